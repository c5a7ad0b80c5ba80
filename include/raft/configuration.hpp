#pragma once

// Who the members are [floor 3]: the five fields of a joint-capable configuration, the rules that make one legal, and
// its byte form, which is the payload of a configuration entry and part of a snapshot's place.
//
// Invariants (`validate`): each list is sorted and free of doubles; there is at least one voter; a learner votes in
// neither half; learners_next are outgoing voters; outgoing, learners_next and auto_leave are empty outside a joint
// configuration [paper §6, thesis 4.2.1, 4.3].

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <raft/bytes.hpp>
#include <raft/result.hpp>
#include <raft/types.hpp>

namespace raft {

/// A membership. A plain value; equality compares all five fields.
struct configuration {
  std::vector<node_id> voters{};         ///< The (incoming) voters.
  std::vector<node_id> outgoing{};       ///< The voters of the old half while joint; else empty.
  std::vector<node_id> learners{};       ///< Receive the log, do not vote.
  std::vector<node_id> learners_next{};  ///< Outgoing voters that become learners when the joint state is left.
  bool auto_leave = false;               ///< Whether the leader leaves the joint state by itself.

  [[nodiscard]] constexpr bool joint() const noexcept { return !outgoing.empty(); }
  /// Whether `id` votes in either half.
  [[nodiscard]] constexpr bool is_voter(node_id id) const noexcept { return holds(voters, id) || holds(outgoing, id); }
  [[nodiscard]] constexpr bool is_learner(node_id id) const noexcept { return holds(learners, id); }
  [[nodiscard]] constexpr bool is_member(node_id id) const noexcept { return is_voter(id) || is_learner(id); }

  friend constexpr bool operator==(const configuration&, const configuration&) = default;

  /// Whether the sorted `list` holds `id`. O(log n).
  [[nodiscard]] static constexpr bool holds(std::span<const node_id> list, node_id id) noexcept {
    return std::binary_search(list.begin(), list.end(), id);
  }
};

/// The most members that one list of a configuration may name.
inline constexpr std::size_t configuration_limit = 255;

/// A configuration of voters only; sorts them.
[[nodiscard]] constexpr configuration voters_of(std::vector<node_id> voters) {
  std::sort(voters.begin(), voters.end());
  configuration c;
  c.voters = std::move(voters);
  return c;
}

/// Every member once, sorted.
[[nodiscard]] constexpr std::vector<node_id> members_of(const configuration& c) {
  std::vector<node_id> all = c.voters;
  all.insert(all.end(), c.outgoing.begin(), c.outgoing.end());
  all.insert(all.end(), c.learners.begin(), c.learners.end());
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

/// Whether the invariants above hold; if not, the sentence says which one does not.
[[nodiscard]] constexpr result<void> validate(const configuration& c) noexcept {
  constexpr auto sorted_set = [](const std::vector<node_id>& list) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (list[i] == nobody || (i > 0 && !(list[i - 1] < list[i]))) return false;
    }
    return list.size() <= configuration_limit;
  };
  constexpr auto wrong = [](const char* what) { return result<void>{errc::invalid_configuration, what}; };
  if (c.voters.empty()) return wrong("a configuration has at least one voter");
  if (!sorted_set(c.voters) || !sorted_set(c.outgoing) || !sorted_set(c.learners) || !sorted_set(c.learners_next)) {
    return wrong("each list of a configuration is sorted, names no id twice, no id 0, and at most 255 members");
  }
  for (const node_id id : c.learners) {
    if (c.is_voter(id)) return wrong("a learner does not vote in either half");
  }
  for (const node_id id : c.learners_next) {
    if (!configuration::holds(c.outgoing, id) || configuration::holds(c.voters, id)) {
      return wrong("learners_next votes in the outgoing half only");
    }
  }
  if (!c.joint() && c.auto_leave) return wrong("auto_leave belongs to a joint configuration");
  return {};
}

/// Appends the byte form to `out`: a version byte, auto_leave, four counts, then the ids as 8 bytes each.
constexpr void encode(const configuration& c, std::vector<std::byte>& out) {
  const auto put_ids = [&out](const std::vector<node_id>& ids) {
    for (const node_id id : ids) {
      const std::size_t at = out.size();
      out.resize(at + 8, std::byte{0});
      detail::store_le<std::uint64_t>(out.data() + at, id.value);
    }
  };
  out.push_back(std::byte{1});
  out.push_back(std::byte{c.auto_leave});
  for (const auto* list : {&c.voters, &c.outgoing, &c.learners, &c.learners_next}) {
    out.push_back(static_cast<std::byte>(list->size()));
  }
  put_ids(c.voters);
  put_ids(c.outgoing);
  put_ids(c.learners);
  put_ids(c.learners_next);
}

/// The configuration whose byte form is exactly `bytes`; refuses every other input, and any illegal configuration.
[[nodiscard]] constexpr result<configuration> decode_configuration(payload bytes) {
  if (bytes.size() < 6) return {errc::malformed, "a configuration ends inside its head"};
  if (bytes[0] != std::byte{1}) return {errc::unsupported_version, "a configuration of an unknown version"};
  if (bytes[1] > std::byte{1}) return {errc::malformed, "a configuration's auto_leave is neither 0 nor 1"};
  configuration c;
  c.auto_leave = bytes[1] == std::byte{1};
  std::size_t at = 6;
  std::size_t list_number = 2;
  for (auto* list : {&c.voters, &c.outgoing, &c.learners, &c.learners_next}) {
    const auto count = std::to_integer<std::size_t>(bytes[list_number++]);
    if ((bytes.size() - at) / 8 < count) return {errc::malformed, "a configuration ends inside its ids"};
    for (std::size_t i = 0; i < count; ++i, at += 8) {
      list->push_back(node_id{detail::load_le<std::uint64_t>(bytes.data() + at)});
    }
  }
  if (at != bytes.size()) return {errc::malformed, "bytes left over behind a configuration"};
  if (auto legal = validate(c); !legal) return legal.error();
  return c;
}

}  // namespace raft
