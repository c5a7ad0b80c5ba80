#pragma once

// Quorum arithmetic [floor 4]: pure functions of values, no node, no state. A quorum of a joint configuration is a
// majority of EACH half [paper §6].

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include <raft/configuration.hpp>
#include <raft/types.hpp>

namespace raft {

/// How many of `n` are more than half of them.
[[nodiscard]] constexpr std::size_t majority(std::size_t n) noexcept { return n / 2 + 1; }

/// The largest value that a majority of `values` reaches. Reorders `values`. Precondition: not empty. O(n).
template <class Value>
[[nodiscard]] constexpr Value majority_value(std::span<Value> values) noexcept {
  const std::size_t nth = values.size() - majority(values.size());
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(nth), values.end());
  return values[nth];
}

namespace detail {

/// The largest value that a majority of a half reaches. Out of line: few have a half with more than 8 voters. (A
/// `value_of` that is passed on by its address costs the rule as well: what it captures has to lie in memory.)
template <class Value, class ValueOf>
[[gnu::noinline]] constexpr Value majority_of_many(std::span<const node_id> half, ValueOf value_of) {
  std::vector<Value> values(half.size(), Value{});
  std::transform(half.begin(), half.end(), values.begin(), value_of);
  return majority_value(std::span{values});
}

/// The same, without an allocation for 8 voters or fewer: each value is put into its place as it comes.
template <class Value, class ValueOf>
constexpr Value majority_of(std::span<const node_id> half, ValueOf& value_of) {
  std::array<Value, 8> sorted{};
  if (half.size() > sorted.size()) return majority_of_many<Value>(half, value_of);
  for (std::size_t i = 0; i < half.size(); ++i) {
    const Value v = value_of(half[i]);
    std::size_t place = i;
    for (; place != 0 && v < sorted[place - 1]; --place) sorted[place] = sorted[place - 1];
    sorted[place] = v;
  }
  return sorted[half.size() - majority(half.size())];
}

/// The same, out of line, for the half that is seldom there.
template <class Value, class ValueOf>
[[gnu::noinline]] constexpr Value majority_of_outgoing(std::span<const node_id> half, ValueOf value_of) {
  return majority_of<Value>(half, value_of);
}

}  // namespace detail

/// The largest value that a quorum of `c` reaches, where `value_of(node_id)` is each voter's. With match indexes it is
/// the index that may be committed (if its entry is of the current term [paper §5.4.2]); with times it is the moment
/// since which a quorum has been heard. Allocates only for halves of more than 8 voters.
template <class ValueOf>
[[nodiscard]] constexpr auto quorum_value(const configuration& c, ValueOf value_of) {
  using value = std::decay_t<decltype(value_of(node_id{}))>;
  const value incoming = detail::majority_of<value>(c.voters, value_of);
  return c.joint() ? std::min(incoming, detail::majority_of_outgoing<value>(c.outgoing, value_of)) : incoming;
}

/// The index that a quorum holds, from each voter's match index [Fig. 2, Rules for Leaders 4].
template <class MatchOf>
[[nodiscard]] constexpr index_t committed_index(const configuration& c, MatchOf&& match_of) {
  return quorum_value(c, match_of);
}

/// What a round of votes has come to.
enum class vote_result : std::uint8_t { pending, won, lost };

/// The outcome of a vote among `c`'s voters; `granted` and `refused` are sorted sets, and ids that do not vote in `c`
/// count for nothing. Lost means that the missing answers cannot bring a quorum any more.
[[nodiscard]] constexpr vote_result count_votes(const configuration& c, std::span<const node_id> granted,
                                                std::span<const node_id> refused) noexcept {
  const auto of_half = [granted, refused](std::span<const node_id> half) {
    std::size_t yes = 0;
    std::size_t no = 0;
    for (const node_id id : half) {
      if (configuration::holds(granted, id)) {
        ++yes;
      } else if (configuration::holds(refused, id)) {
        ++no;
      }
    }
    if (yes >= majority(half.size())) return vote_result::won;
    return half.size() - no < majority(half.size()) ? vote_result::lost : vote_result::pending;
  };
  const vote_result incoming = of_half(c.voters);
  if (!c.joint() || incoming == vote_result::lost) return incoming;
  const vote_result outgoing = of_half(c.outgoing);
  return outgoing == vote_result::won ? incoming : outgoing;
}

}  // namespace raft
