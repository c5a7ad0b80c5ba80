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
  if (values.size() > 8) {
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(nth), values.end());
    return values[nth];
  }
  for (std::size_t i = 1; i < values.size(); ++i) {
    for (std::size_t k = i; k != 0 && values[k] < values[k - 1]; --k) std::swap(values[k], values[k - 1]);
  }
  return values[nth];
}

/// The largest value that a quorum of `c` reaches, where `value_of(node_id)` is each voter's. With match indexes it is
/// the index that may be committed (if its entry is of the current term [paper §5.4.2]); with times it is the moment
/// since which a quorum has been heard. Allocates only for halves of more than 8 voters.
template <class ValueOf>
[[nodiscard]] constexpr auto quorum_value(const configuration& c, ValueOf&& value_of) {
  using value = std::decay_t<decltype(value_of(node_id{}))>;
  const auto of_each = [&](std::span<const node_id> half, std::span<value> values) {
    for (std::size_t i = 0; i < half.size(); ++i) values[i] = value_of(half[i]);
    return majority_value(values);
  };
  const auto of_half = [&](std::span<const node_id> half) {
    std::array<value, 8> few{};
    if (half.size() <= few.size()) return of_each(half, std::span<value>{few}.first(half.size()));
    std::vector<value> many(half.size(), value{});
    return of_each(half, many);
  };
  const value incoming = of_half(c.voters);
  return c.joint() ? std::min(incoming, of_half(c.outgoing)) : incoming;
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
  const auto of_half = [&](std::span<const node_id> half) {
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
