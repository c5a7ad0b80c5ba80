// raft-kv-check: writes numbers into a cluster of raft-kv, remembers which were acknowledged, and looks for them later.
//
//   raft-kv-check leader SERVERS [SECONDS]   waits for a leader that takes writes; prints its address and the
//   milliseconds raft-kv-check write SERVERS FILE         writes until SIGTERM; prints the longest pause; FILE: what
//   was acknowledged raft-kv-check verify SERVERS FILE        asks EVERY server for every acknowledged number
//
// SERVERS is HOST:PORT,HOST:PORT,... of the clients' ports. Ends with 0 if all is well, 1 if not, 2 for a bad command
// line.

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "resp_client.hpp"

namespace {

using namespace kv::tools;

std::atomic<bool> stopping{false};

std::vector<kv::address> parse_servers(std::string_view text) {
  std::vector<kv::address> all;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    auto one = kv::detail::parse_address(text.substr(0, comma));
    if (!one) return {};
    all.push_back(std::move(*one));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return all;
}

std::string key_of(int writer, long long n) { return "number:" + std::to_string(writer) + ":" + std::to_string(n); }

int wait_for_leader(const std::vector<kv::address>& servers, int seconds) {
  const auto begin = steady::now();
  cluster_client client{servers};
  const auto done = client.until_done({"SET", "leader-check", "1"}, milliseconds(1000 * seconds), milliseconds(300));
  if (!done) {
    std::fprintf(stderr, "no leader that takes writes within %d s\n", seconds);
    return 1;
  }
  const auto took = std::chrono::duration_cast<milliseconds>(steady::now() - begin).count();
  std::printf("%s %lld\n", to_string(client.server()).c_str(), static_cast<long long>(took));
  return 0;
}

int write_numbers(const std::vector<kv::address>& servers, const std::string& file) {
  constexpr int writers = 4;
  std::vector<long long> acknowledged(writers, 0);
  std::mutex mutex;
  auto latest = steady::now();
  auto longest = steady::duration::zero();
  std::signal(SIGTERM, [](int) { stopping = true; });
  std::vector<std::thread> threads;
  for (int w = 0; w < writers; ++w) {
    threads.emplace_back([&, w] {
      cluster_client client{servers};
      long long n = 1;
      while (!stopping) {
        // A number that is written twice is the same number: to send it again is harmless.
        const outcome o = client.once({"SET", key_of(w, n), std::to_string(n)}, steady::now() + milliseconds(1000));
        if (o.what != outcome::kind::done) {
          std::this_thread::sleep_for(milliseconds(2));
          continue;
        }
        if (o.answer.text != "OK") {
          std::fprintf(stderr, "SET was answered %c%s\n", o.answer.type, o.answer.text.c_str());
          std::exit(1);
        }
        const std::lock_guard lock{mutex};
        acknowledged[static_cast<std::size_t>(w)] = n++;
        longest = std::max(longest, steady::now() - latest);
        latest = steady::now();
      }
    });
  }
  for (std::thread& t : threads) t.join();
  std::ofstream out{file};
  long long sum = 0;
  for (const long long n : acknowledged) {
    out << n << '\n';
    sum += n;
  }
  std::printf("%lld %lld\n", sum, static_cast<long long>(std::chrono::duration_cast<milliseconds>(longest).count()));
  return out.good() ? 0 : 1;
}

/// Waits until the server has applied what the leader has committed now.
bool catch_up(const kv::address& server, long long index) {
  const auto until = steady::now() + std::chrono::seconds(30);
  while (steady::now() < until) {
    if (std::atoll(status_field(server, "applied_index").c_str()) >= index) return true;
    std::this_thread::sleep_for(milliseconds(20));
  }
  std::fprintf(stderr, "%s does not catch up to index %lld\n", to_string(server).c_str(), index);
  return false;
}

long long count_missing(const kv::address& server, const std::vector<long long>& acknowledged) {
  constexpr long long batch = 1000;
  connection c;
  long long missing = 0;
  const auto until = steady::now() + std::chrono::seconds(60);
  if (!c.open(server, until) || !c.call({"READONLY"}, until)) return -1;
  for (std::size_t w = 0; w < acknowledged.size(); ++w) {
    for (long long first = 1; first <= acknowledged[w]; first += batch) {
      const long long last = std::min(first + batch - 1, acknowledged[w]);
      std::vector<std::string> words{"MGET"};
      for (long long n = first; n <= last; ++n) words.push_back(key_of(static_cast<int>(w), n));
      const auto got = c.call(words, until);
      if (!got || got->items.size() != static_cast<std::size_t>(last - first + 1)) return -1;
      for (long long n = first; n <= last; ++n) {
        missing += got->items[static_cast<std::size_t>(n - first)].text == std::to_string(n) ? 0 : 1;
      }
    }
  }
  return missing;
}

int verify(const std::vector<kv::address>& servers, const std::string& file) {
  std::ifstream in{file};
  std::vector<long long> acknowledged;
  for (long long n = 0; in >> n;) acknowledged.push_back(n);
  const int leader = leader_of(servers);
  if (acknowledged.empty() || leader < 0) {
    std::fprintf(stderr, acknowledged.empty() ? "nothing was acknowledged\n" : "no leader\n");
    return 1;
  }
  const long long index = std::atoll(status_field(servers[static_cast<std::size_t>(leader)], "commit_index").c_str());
  bool good = true;
  for (const kv::address& server : servers) {
    if (!catch_up(server, index)) return 1;
    const long long missing = count_missing(server, acknowledged);
    std::printf("%s: %lld missing\n", to_string(server).c_str(), missing);
    good = good && missing == 0;
  }
  return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto servers = words.size() >= 2 ? parse_servers(words[1]) : std::vector<kv::address>{};
  if (!servers.empty() && words[0] == "leader") {
    return wait_for_leader(servers, words.size() > 2 ? std::atoi(words[2].c_str()) : 10);
  }
  if (!servers.empty() && words.size() == 3 && words[0] == "write") return write_numbers(servers, words[2]);
  if (!servers.empty() && words.size() == 3 && words[0] == "verify") return verify(servers, words[2]);
  std::fprintf(stderr, "usage: raft-kv-check leader|write|verify HOST:PORT,... [SECONDS|FILE]\n");
  return 2;
}
