#pragma once

// The data: a map from strings to strings, both any bytes, and what each command does to it. A plain value that knows
// nothing of Raft. Deterministic: the same commands in the same order give the same answers on every server.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "command.hpp"
#include "resp.hpp"

namespace kv {

/// The largest value, as in Redis.
inline constexpr std::size_t value_limit = std::size_t{512} << 20;

class store {
 public:
  /// Does a command on data and appends its reply to `out`. Commands that are none are answered with an error, and so
  /// are those with a wrong number of words: nothing that stands in a log can harm the map.
  void execute(const command& c, std::string& out) {
    const auto w = c.words;
    switch (c.verb) {
      case verb::set:
        return w.size() == 2 ? set(w[0], w[1], c.flags, out) : malformed(out);
      case verb::get:
        return w.size() == 1 ? get(w[0], out) : malformed(out);
      case verb::del:
        return resp::write_integer(out, count_erased(w));
      case verb::exists:
        return resp::write_integer(out, count_present(w));
      case verb::incr:
        return w.size() == 1 ? add(w[0], 1, out) : malformed(out);
      case verb::incrby: {
        const auto n = w.size() == 2 ? to_integer(w[1]) : std::nullopt;
        return n ? add(w[0], *n, out) : malformed(out);
      }
      case verb::append:
        return w.size() == 2 ? append(w[0], w[1], out) : malformed(out);
      case verb::strlen:
        return w.size() == 1 ? length(w[0], out) : malformed(out);
      case verb::mset:
        return w.size() % 2 == 0 ? set_all(w, out) : malformed(out);
      case verb::mget:
        return get_all(w, out);
      case verb::dbsize:
        return resp::write_integer(out, static_cast<std::int64_t>(map_.size()));
      case verb::flushall:
        return clear(out);
      case verb::cas:
        return w.size() == 3 ? compare_and_set(w[0], w[1], w[2], out) : malformed(out);
      default:
        return malformed(out);
    }
  }

  [[nodiscard]] std::size_t size() const noexcept { return map_.size(); }

  /// Calls visit(key, value) for each pair, in no particular order.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (const auto& [key, value] : map_) visit(std::string_view{key}, std::string_view{value});
  }

  /// Puts a pair there, of a snapshot.
  void put(std::string key, std::string value) { map_.insert_or_assign(std::move(key), std::move(value)); }

 private:
  struct hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };
  using map = std::unordered_map<std::string, std::string, hash, std::equal_to<>>;

  static void malformed(std::string& out) { resp::write_error(out, "ERR malformed command"); }
  static void ok(std::string& out) { out.append("+OK\r\n"); }

  void assign(map::iterator at, std::string_view key, std::string_view value) {
    if (at == map_.end()) {
      map_.emplace(key, value);
    } else {
      at->second.assign(value);
    }
  }

  void set(std::string_view key, std::string_view value, std::uint8_t flags, std::string& out) {
    const auto at = map_.find(key);
    if (flags == 0) {
      assign(at, key, value);
      return ok(out);
    }
    const bool present = at != map_.end();
    const bool does = !((flags & set_if_absent) != 0 && present) && !((flags & set_if_present) != 0 && !present);
    if ((flags & set_answers_old) != 0) {
      present ? resp::write_bulk(out, at->second) : resp::write_nil(out);
    } else {
      does ? ok(out) : resp::write_nil(out);
    }
    if (does) assign(at, key, value);
  }

  void get(std::string_view key, std::string& out) const {
    const auto at = map_.find(key);
    at == map_.end() ? resp::write_nil(out) : resp::write_bulk(out, at->second);
  }

  std::int64_t count_erased(std::span<const std::string_view> keys) {
    std::int64_t n = 0;
    for (const std::string_view key : keys) {
      if (const auto at = map_.find(key); at != map_.end()) {
        map_.erase(at);
        ++n;
      }
    }
    return n;
  }

  /// A key that is named twice counts twice, as in Redis.
  [[nodiscard]] std::int64_t count_present(std::span<const std::string_view> keys) const {
    std::int64_t n = 0;
    for (const std::string_view key : keys) n += map_.contains(key) ? 1 : 0;
    return n;
  }

  void add(std::string_view key, std::int64_t n, std::string& out) {
    const auto at = map_.find(key);
    std::int64_t value = 0;
    if (at != map_.end()) {
      const auto held = to_integer(at->second);
      if (!held) return resp::write_error(out, texts::not_an_integer);
      value = *held;
    }
    if (n > 0 ? value > std::numeric_limits<std::int64_t>::max() - n
              : value < std::numeric_limits<std::int64_t>::min() - n) {
      return resp::write_error(out, texts::overflow);
    }
    assign(at, key, std::to_string(value + n));
    resp::write_integer(out, value + n);
  }

  void append(std::string_view key, std::string_view more, std::string& out) {
    auto at = map_.find(key);
    if (at == map_.end()) at = map_.emplace(key, std::string_view{}).first;
    if (at->second.size() + more.size() > value_limit) return resp::write_error(out, texts::too_long);
    at->second.append(more);
    resp::write_integer(out, static_cast<std::int64_t>(at->second.size()));
  }

  void length(std::string_view key, std::string& out) const {
    const auto at = map_.find(key);
    resp::write_integer(out, at == map_.end() ? 0 : static_cast<std::int64_t>(at->second.size()));
  }

  void set_all(std::span<const std::string_view> pairs, std::string& out) {
    for (std::size_t i = 0; i < pairs.size(); i += 2) assign(map_.find(pairs[i]), pairs[i], pairs[i + 1]);
    ok(out);
  }

  void get_all(std::span<const std::string_view> keys, std::string& out) const {
    resp::write_array(out, keys.size());
    for (const std::string_view key : keys) get(key, out);
  }

  void clear(std::string& out) {
    map_.clear();
    ok(out);
  }

  void compare_and_set(std::string_view key, std::string_view old, std::string_view value, std::string& out) {
    const auto at = map_.find(key);
    if (at == map_.end()) return resp::write_nil(out);
    if (at->second != old) return resp::write_integer(out, 0);
    at->second.assign(value);
    resp::write_integer(out, 1);
  }

  map map_{};
};

}  // namespace kv
