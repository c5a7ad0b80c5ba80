#pragma once

// Whether a history of operations on a key-value store is linearizable: whether there is an order of the operations,
// each somewhere between its call and its return, in which a store that does one at a time would have given the same
// results. A search after Wing and Gong with Lowe's cache of (what is placed, state), for each key by itself.
//
// An operation whose outcome is unknown (a timeout, a lost leader) may take effect at any time after its call, or
// never: it has no return. One that certainly was not applied does not belong into a history.
//
// The search is exponential in the worst case: few clients a key and short histories keep it small, and `bound` ends
// it; then the verdict is `gave_up`, which is neither yes nor no.
//
//   using namespace raft::testing::linearizability;
//   std::vector<operation> history = ...;  // one for each call of each client
//   const finding f = check(history);
//   if (f.what != verdict::linearizable) std::puts(to_text(f).c_str());

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

namespace raft::testing::linearizability {

enum class action : std::uint8_t {
  get,        ///< result: the value, or none.
  set,        ///< value.
  append,     ///< value; result: the length, in digits.
  cas,        ///< expected, value; result: "1", "0", or none where there is no such key.
  increment,  ///< result: the number, in digits; none where there is another value, or no room.
};

/// Times are the caller's: any that order events, of one clock.
struct operation {
  static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

  int client = 0;
  action what{};
  std::string key{};
  std::string value{};
  std::string expected{};
  std::int64_t call = 0;
  std::int64_t end = never;  ///< When it returned; never if its outcome is unknown, and then `result` means nothing.
  std::optional<std::string> result{};
};

enum class verdict : std::uint8_t { linearizable, not_linearizable, gave_up };

namespace detail {

using state = std::optional<std::string>;

/// Adds one to a number in digits; of what is none, nothing comes.
inline state incremented(const state& s) {
  long long number = 0;
  if (s) {
    const auto read = std::from_chars(s->data(), s->data() + s->size(), number);
    if (read.ec != std::errc{} || read.ptr != s->data() + s->size()) return std::nullopt;
  }
  if (number == std::numeric_limits<long long>::max()) return std::nullopt;
  return std::to_string(number + 1);
}

/// Does an operation; false if its result is not what this state gives.
inline bool perform(const operation& o, state& s) {
  const bool known = o.end != operation::never;
  switch (o.what) {
    case action::get:
      return !known || o.result == s;
    case action::set:
      s = o.value;
      return true;
    case action::append:
      s = s.value_or("") + o.value;
      return !known || o.result == std::to_string(s->size());
    case action::cas: {
      state answer;
      if (s) answer = *s == o.expected ? "1" : "0";
      if (s && *s == o.expected) s = o.value;
      return !known || o.result == answer;
    }
    case action::increment:
      if (const state after = incremented(s)) {
        s = after;
        return !known || o.result == s;
      }
      return !known || !o.result;  // Refused.
  }
  return false;
}

class search {
 public:
  search(std::vector<const operation*> operations, std::size_t bound)
      : operations_(std::move(operations)), bound_(bound) {
    std::sort(operations_.begin(), operations_.end(),
              [](const operation* a, const operation* b) { return a->call < b->call; });
    placed_.assign((operations_.size() + 63) / 64, 0);
    for (const operation* o : operations_) open_ += o->end != operation::never ? 1 : 0;
  }

  verdict run() {
    // Depth first, without recursion: each level has placed one operation and remembers the state before it.
    struct level {
      std::size_t placed;
      state before;
    };
    std::vector<level> path;
    state now;
    std::size_t next = 0;  // the first candidate that was not tried at this level
    for (;;) {
      if (open_ == 0) return verdict::linearizable;
      bool deeper = false;
      const std::int64_t limit = first_return();
      for (std::size_t i = next; i < operations_.size() && operations_[i]->call <= limit; ++i) {
        if (is_placed(i)) continue;
        state then = now;
        if (!perform(*operations_[i], then)) continue;
        place(i, true);
        if (seen_.insert(signature(then)).second) {
          if (seen_.size() > bound_) return verdict::gave_up;
          path.push_back({i, std::exchange(now, std::move(then))});
          next = 0;
          deeper = true;
          break;
        }
        place(i, false);
      }
      if (deeper) continue;
      if (path.empty()) return verdict::not_linearizable;
      now = std::move(path.back().before);
      next = path.back().placed + 1;
      place(path.back().placed, false);
      path.pop_back();
    }
  }

 private:
  [[nodiscard]] bool is_placed(std::size_t i) const { return (placed_[i / 64] >> (i % 64) & 1) != 0; }

  void place(std::size_t i, bool yes) {
    placed_[i / 64] ^= std::uint64_t{1} << (i % 64);
    if (operations_[i]->end != operation::never) open_ += yes ? -1 : 1;
    if (yes) {
      while (first_ < operations_.size() && is_placed(first_)) ++first_;
    } else {
      first_ = std::min(first_, i);
    }
  }

  /// No operation that was called after this moment can come next: one that returned then is not placed yet.
  [[nodiscard]] std::int64_t first_return() const {
    std::int64_t earliest = operation::never;
    for (std::size_t i = first_; i < operations_.size() && operations_[i]->call <= earliest; ++i) {
      if (!is_placed(i)) earliest = std::min(earliest, operations_[i]->end);
    }
    return earliest;
  }

  [[nodiscard]] std::string signature(const state& s) const {
    std::string bytes(reinterpret_cast<const char*>(placed_.data()), placed_.size() * sizeof placed_[0]);
    if (s) bytes.append(1, '=').append(*s);
    return bytes;
  }

  std::vector<const operation*> operations_;
  std::size_t bound_;
  std::vector<std::uint64_t> placed_{};
  std::size_t first_ = 0;  ///< All before it are placed.
  long open_ = 0;          ///< Operations that returned and are not placed.
  std::unordered_set<std::string> seen_{};
};

}  // namespace detail

/// What was found, and the key that it was found at.
struct finding {
  verdict what = verdict::linearizable;
  std::string key{};
  std::size_t bound = 0;  ///< The most pairs that one key was given.
};

/// Checks each key of a history. `bound`: the most (placed, state) pairs remembered for one key before it gives up.
inline finding check(const std::vector<operation>& history, std::size_t bound = 2'000'000) {
  std::map<std::string, std::vector<const operation*>> by_key;
  for (const operation& o : history) by_key[o.key].push_back(&o);
  finding worst{verdict::linearizable, {}, bound};
  for (auto& [key, operations] : by_key) {
    const verdict v = detail::search{std::move(operations), bound}.run();
    if (v == verdict::not_linearizable) return {v, key, bound};
    if (v == verdict::gave_up) worst = {v, key, bound};
  }
  return worst;
}

/// A finding as a sentence.
[[nodiscard]] inline std::string to_text(const finding& f) {
  if (f.what == verdict::linearizable) return "linearizable";
  if (f.what == verdict::not_linearizable) return "not linearizable: key " + f.key;
  return "undecided: the search of key " + f.key + " reached its bound of " + std::to_string(f.bound) + " states";
}

}  // namespace raft::testing::linearizability
