#pragma once

// The commands: the table of those that clients may send, what a request must look like to be one, and the form in
// which a command stands in the log.
//
//   request (words) --parse--> command (checked; views) --encode--> bytes in the log --decode--> command --> state
//
// Whatever can be refused without looking at the data is refused by `parse`, so it never takes a place in the log.
// The numbers of `verb` and the byte form are part of the data on disk: they may be added to, never changed.

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "bytes.hpp"

namespace kv {

enum class verb : std::uint8_t {
  // On data.
  set = 1,
  get = 2,
  del = 3,
  exists = 4,
  incr = 5,
  incrby = 6,
  append = 7,
  strlen = 8,
  mset = 9,
  mget = 10,
  dbsize = 11,
  flushall = 12,
  cas = 13,
  // On sessions.
  session_open = 64,
  session_do = 65,
  // Answered by the server that is asked; never in the log.
  ping = 128,
  echo,
  info,
  command,
  config,
  hello,
  select,
  quit,
  readonly,
  readwrite,
  raft_status,
  raft_snapshot,
  raft_add,
  raft_remove,
  raft_change,
  raft_transfer,
  raft_why,
  raft_preview,
};

/// Who answers a command.
enum class effect : std::uint8_t {
  writes,  ///< Goes through the log.
  reads,   ///< Looks at the data, at a moment when it is certainly the latest.
  local,   ///< Looks at this server only.
};

struct command_info {
  std::string_view name;
  kv::verb verb;
  kv::effect effect;
  int arity;                ///< Words, the name included; -n: at least n.
  std::array<int, 3> keys;  ///< First key, last key (-1: the last word), step; as Redis' COMMAND tells them.
};

// The most frequent first: `find_command` looks from the front.
inline constexpr std::array command_table{
    command_info{"set", verb::set, effect::writes, -3, {1, 1, 1}},
    command_info{"get", verb::get, effect::reads, 2, {1, 1, 1}},
    command_info{"incr", verb::incr, effect::writes, 2, {1, 1, 1}},
    command_info{"session.do", verb::session_do, effect::writes, -4, {0, 0, 0}},
    command_info{"del", verb::del, effect::writes, -2, {1, -1, 1}},
    command_info{"mset", verb::mset, effect::writes, -3, {1, -1, 2}},
    command_info{"mget", verb::mget, effect::reads, -2, {1, -1, 1}},
    command_info{"cas", verb::cas, effect::writes, 4, {1, 1, 1}},
    command_info{"exists", verb::exists, effect::reads, -2, {1, -1, 1}},
    command_info{"incrby", verb::incrby, effect::writes, 3, {1, 1, 1}},
    command_info{"append", verb::append, effect::writes, 3, {1, 1, 1}},
    command_info{"strlen", verb::strlen, effect::reads, 2, {1, 1, 1}},
    command_info{"ping", verb::ping, effect::local, -1, {0, 0, 0}},
    command_info{"echo", verb::echo, effect::local, 2, {0, 0, 0}},
    command_info{"dbsize", verb::dbsize, effect::reads, 1, {0, 0, 0}},
    command_info{"flushall", verb::flushall, effect::writes, -1, {0, 0, 0}},
    command_info{"session.open", verb::session_open, effect::writes, 1, {0, 0, 0}},
    command_info{"info", verb::info, effect::local, -1, {0, 0, 0}},
    command_info{"command", verb::command, effect::local, -1, {0, 0, 0}},
    command_info{"config", verb::config, effect::local, -2, {0, 0, 0}},
    command_info{"hello", verb::hello, effect::local, -1, {0, 0, 0}},
    command_info{"select", verb::select, effect::local, 2, {0, 0, 0}},
    command_info{"quit", verb::quit, effect::local, -1, {0, 0, 0}},
    command_info{"readonly", verb::readonly, effect::local, -1, {0, 0, 0}},
    command_info{"readwrite", verb::readwrite, effect::local, 1, {0, 0, 0}},
    command_info{"raft.status", verb::raft_status, effect::local, 1, {0, 0, 0}},
    command_info{"raft.snapshot", verb::raft_snapshot, effect::local, 1, {0, 0, 0}},
    command_info{"raft.add", verb::raft_add, effect::local, -3, {0, 0, 0}},
    command_info{"raft.remove", verb::raft_remove, effect::local, 2, {0, 0, 0}},
    command_info{"raft.change", verb::raft_change, effect::local, -2, {0, 0, 0}},
    command_info{"raft.preview", verb::raft_preview, effect::local, -2, {0, 0, 0}},
    command_info{"raft.transfer", verb::raft_transfer, effect::local, -1, {0, 0, 0}},
    command_info{"raft.why", verb::raft_why, effect::local, -1, {0, 0, 0}},
};

inline constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// Whether `word` is `name` (which is in lower case) but for the case of its letters.
inline constexpr bool same_word(std::string_view word, std::string_view name) noexcept {
  if (word.size() != name.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (lower(word[i]) != name[i]) return false;
  }
  return true;
}

/// The command of that name in any case, or null.
inline const command_info* find_command(std::string_view word) noexcept {
  for (const command_info& c : command_table) {
    if (same_word(word, c.name)) return &c;
  }
  return nullptr;
}

/// An integer as Redis takes one: decimal, no blanks, no sign but '-', no zeros in front, within 64 bits.
inline std::optional<std::int64_t> to_integer(std::string_view text) noexcept {
  std::int64_t n = 0;
  const auto [stop, wrong] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (wrong != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
  const std::string_view digits = text.substr(text[0] == '-' ? 1 : 0);
  if (digits[0] == '0' && text.size() > 1) return std::nullopt;
  return n;
}

/// A positive number without zeros in front.
inline std::optional<std::uint64_t> to_count(std::string_view text) noexcept {
  std::uint64_t n = 0;
  const auto [stop, wrong] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (wrong != std::errc{} || stop != text.data() + text.size() || text[0] == '0') return std::nullopt;
  return n;
}

/// Flags of SET.
inline constexpr std::uint8_t set_if_absent = 1;    ///< NX
inline constexpr std::uint8_t set_if_present = 2;   ///< XX
inline constexpr std::uint8_t set_answers_old = 4;  ///< GET

/// A checked command. The words are views into the request or the log's entry.
struct command {
  kv::verb verb{};
  kv::effect effect{};
  std::uint8_t flags = 0;   ///< Of SET.
  bool in_session = false;  ///< It came by SESSION.DO: session and serial hold.
  std::uint64_t session = 0;
  std::uint64_t serial = 0;
  std::span<const std::string_view> words{};  ///< Without the name, and without what flags say.
};

namespace texts {
inline constexpr std::string_view syntax = "ERR syntax error";
inline constexpr std::string_view not_an_integer = "ERR value is not an integer or out of range";
inline constexpr std::string_view overflow = "ERR increment or decrement would overflow";
inline constexpr std::string_view too_long = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
}  // namespace texts

namespace detail {

inline std::string unknown_command(std::span<const std::string_view> words) {
  std::string text = "ERR unknown command '" + std::string(words[0].substr(0, 128)) + "', with args beginning with: ";
  for (const std::string_view word : words.subspan(1)) {
    if (text.size() > 256) break;
    text.append(1, '\'').append(word.substr(0, 128)).append("' ");
  }
  return text;
}

inline bool parse_set_flags(std::span<const std::string_view> options, std::uint8_t& flags) noexcept {
  for (const std::string_view word : options) {
    if (same_word(word, "nx")) {
      flags |= set_if_absent;
    } else if (same_word(word, "xx")) {
      flags |= set_if_present;
    } else if (same_word(word, "get")) {
      flags |= set_answers_old;
    } else {
      return false;
    }
  }
  return (flags & set_if_absent) == 0 || (flags & set_if_present) == 0;
}

}  // namespace detail

/// Checks a request. True: `out` is the command, with views into `words` (and the span itself views `words`). False:
/// `error` is the text of the refusal. Precondition: at least one word.
inline bool parse(std::span<const std::string_view> words, command& out, std::string& error) {
  const auto refuse = [&error](std::string_view text) {
    error = text;
    return false;
  };
  const command_info* info = find_command(words[0]);
  if (info == nullptr) return refuse(detail::unknown_command(words));
  const auto count = static_cast<int>(words.size());
  const bool odd_pairs = info->verb == verb::mset && count % 2 == 0;
  if ((info->arity > 0 ? count != info->arity : count < -info->arity) || odd_pairs) {
    return refuse("ERR wrong number of arguments for '" + std::string(info->name) + "' command");
  }
  if (info->verb == verb::session_do) {
    const auto session = to_count(words[1]);
    const auto serial = to_count(words[2]);
    if (!session || !serial) return refuse("ERR SESSION.DO needs a session and a serial number above zero");
    // Asked before the inner command is parsed: sessions in sessions must not nest calls as deep as a client likes.
    const command_info* inner = find_command(words[3]);
    if (inner != nullptr && (inner->effect == effect::local || inner->verb >= verb::session_open)) {
      return refuse("ERR only commands on data can be done in a session");
    }
    if (!parse(words.subspan(3), out, error)) return false;
    out.in_session = true;
    out.session = *session;
    out.serial = *serial;
    out.effect = effect::writes;
    return true;
  }
  out = command{.verb = info->verb, .effect = info->effect, .words = words.subspan(1)};
  switch (out.verb) {
    case verb::set:
      if (!detail::parse_set_flags(words.subspan(3), out.flags)) return refuse(texts::syntax);
      out.words = words.subspan(1, 2);
      return true;
    case verb::incrby:
      if (!to_integer(words[2])) return refuse(texts::not_an_integer);
      return true;
    case verb::flushall:
      if (count > 2 || (count == 2 && !same_word(words[1], "async") && !same_word(words[1], "sync"))) {
        return refuse(texts::syntax);
      }
      out.words = {};
      return true;
    default:
      return true;
  }
}

/// At least as many bytes as the form of a command takes in the log.
inline std::size_t encoded_bound(const command& c) noexcept {
  std::size_t bytes = 3 + 3 * number_bytes;
  for (const std::string_view word : c.words) bytes += number_bytes + word.size();
  return bytes;
}

/// Writes the form in which a command that is not local stands in the log; answers where it ends. Precondition: there
/// is room for encoded_bound(c) bytes.
inline char* encode(char* to, const command& c) noexcept {
  if (c.in_session) {
    *to++ = static_cast<char>(verb::session_do);
    to = put_number(to, c.session);
    to = put_number(to, c.serial);
  }
  *to++ = static_cast<char>(c.verb);
  *to++ = static_cast<char>(c.flags);
  to = put_number(to, c.words.size());
  for (const std::string_view word : c.words) {
    to = put_number(to, word.size());
    to = std::copy(word.begin(), word.end(), to);
  }
  return to;
}

/// The same, behind what `out` holds.
inline void encode(std::string& out, const command& c) {
  const std::size_t before = out.size();
  out.resize(before + encoded_bound(c));
  out.resize(static_cast<std::size_t>(encode(out.data() + before, c) - out.data()));
}

/// Reads what `encode` wrote. `words` is the memory for the list of words, its contents views into `bytes`. Refuses
/// bytes that are no such form; O(bytes) whatever they are.
inline bool decode(std::string_view bytes, std::vector<std::string_view>& words, command& out) {
  out = command{};
  words.clear();
  if (!bytes.empty() && static_cast<unsigned char>(bytes[0]) == static_cast<unsigned char>(verb::session_do)) {
    bytes.remove_prefix(1);
    if (!take_number(bytes, out.session) || !take_number(bytes, out.serial)) return false;
    out.in_session = true;
  }
  if (bytes.size() < 2) return false;
  out.verb = static_cast<kv::verb>(static_cast<unsigned char>(bytes[0]));
  out.flags = static_cast<std::uint8_t>(bytes[1]);
  bytes.remove_prefix(2);
  std::uint64_t count = 0;
  if (!take_number(bytes, count) || count > bytes.size()) return false;
  for (std::uint64_t i = 0; i < count; ++i) {
    std::string_view word;
    if (!take_string(bytes, word)) return false;
    words.push_back(word);
  }
  out.words = words;
  return bytes.empty();
}

}  // namespace kv
