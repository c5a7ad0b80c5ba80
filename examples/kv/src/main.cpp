// raft-kv: one server of a replicated, durable key-value store that Redis clients can talk to.
//
// Ends with 0 after SIGINT or SIGTERM, 2 for a command line that makes no sense, 3 if it cannot start (a damaged log, a
// port in use), 4 if its log fails while it runs: a server that cannot write takes part in nothing any more. A replay
// has codes of its own: replay.hpp.

#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "options.hpp"
#include "replay.hpp"
#include "server.hpp"
#include "service.hpp"

int main(int argc, char** argv) {
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  for (const std::string_view word : words) {
    if (word != "--help" && word != "-h") continue;
    std::fputs(kv::usage.data(), stdout);
    return 0;
  }
  kv::server_options options;
  std::string why;
  if (!kv::parse(words, options, why)) {
    std::fprintf(stderr, "raft-kv: %s\n%s", why.c_str(), kv::usage.data());
    return 2;
  }
  const auto fail = [&options, &why](int code) {
    std::fprintf(stderr, "raft-kv %llu: %s\n", static_cast<unsigned long long>(options.id), why.c_str());
    return code;
  };
  if (!options.replay.empty()) return kv::replay(options.replay);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may grow no further is an error of the log like any other
  const auto service = kv::service::open(options, why);
  if (service == nullptr) return fail(3);
  kv::server server{*service};
  if (!server.open(why)) return fail(3);
  const kv::member& me = *options.find(options.id);
  std::printf("raft-kv %llu: clients at %s, servers at %s, data in %s\n", static_cast<unsigned long long>(options.id),
              to_string(me.clients).c_str(), to_string(me.raft).c_str(), options.data.c_str());
  std::fflush(stdout);
  if (server.run(why)) return 0;
  why = "the log has failed, this server stops: " + why;
  return fail(4);
}
