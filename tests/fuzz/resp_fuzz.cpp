// Hostile bytes to examples/kv: as requests, as an entry of the log, and as a snapshot.
//
// What must hold: no read beyond the bytes and no crash; a request is found the same whatever pieces the bytes come in;
// a command that is taken goes into the log and comes out of it the same; whatever stands in a log leaves the state
// able to write a snapshot that restores to the same state.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "../../examples/kv/src/resp.hpp"
#include "../../examples/kv/src/state.hpp"
#include "fuzz/input.hpp"

namespace {

using fuzz::require;

const kv::resp::limits small{.arguments = 64, .argument_bytes = 256, .request_bytes = 1024, .inline_bytes = 128};

void do_request(kv::state& state, std::span<const std::string_view> words) {
  kv::command c;
  std::string error;
  if (!kv::parse(words, c, error)) return require(!error.empty());
  if (c.effect == kv::effect::local) return;
  std::string entry;
  kv::encode(entry, c);
  std::vector<std::string_view> memory;
  kv::command d;
  require(kv::decode(entry, memory, d));
  require(d.verb == c.verb && d.flags == c.flags && d.in_session == c.in_session && d.words.size() == c.words.size());
  for (std::size_t i = 0; i < c.words.size(); ++i) require(c.words[i] == d.words[i]);
  std::string reply;
  c.effect == kv::effect::reads ? state.read(entry, reply) : state.apply(entry, reply);
  require(reply.size() >= 3 && reply.ends_with("\r\n"));
}

/// What a stream of requests was taken for; the state does them.
std::string take(std::string_view bytes, std::size_t step, kv::state& state) {
  kv::resp::parser parser{small};
  std::string found;
  std::size_t begin = 0;
  for (std::size_t end = 0; end < bytes.size();) {
    end = std::min(bytes.size(), end + step);
    for (;;) {
      const std::string exact{bytes.substr(begin, end - begin)};
      const auto outcome = parser.next(exact);
      if (outcome == kv::resp::outcome::incomplete) break;
      if (outcome == kv::resp::outcome::broken) return found + "!" + parser.error();
      for (const std::string_view word : parser.arguments()) kv::put_string(found, word);
      found.push_back('\n');
      if (!parser.arguments().empty()) do_request(state, parser.arguments());
      require(parser.consumed() > 0);
      begin += parser.consumed();
    }
  }
  return found;
}

std::string image_of(const kv::state& state) {
  std::string image;
  auto sink = [&image](raft::payload piece) -> raft::result<void> {
    image.append(kv::as_text(piece));
    return {};
  };
  require(state.write_snapshot(sink).has_value());
  return image;
}

bool restore(kv::state& state, std::string_view image) {
  auto source = [&image]() -> raft::result<raft::payload> {
    const std::string_view piece = image.substr(0, 7);
    image.remove_prefix(piece.size());
    return kv::as_payload(piece);
  };
  return state.restore(source).has_value();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  kv::state state;
  kv::state other;
  require(take(bytes, bytes.size() + 1, state) == take(bytes, 3, other));
  std::string reply;
  state.apply(bytes, reply);
  kv::state again;
  require(restore(again, image_of(state)));
  require(again.keys() == state.keys() && again.session_count() == state.session_count());
  static_cast<void>(restore(again, bytes));
  static_cast<void>(image_of(again));
  return 0;
}
