#pragma once

// How a configuration may become another [floor 4]: pure steps, value in, value out [paper §6, thesis 4.1, 4.3].
//
// A caller names the membership that it wants. If the voters differ by one server at most, any majority of the one
// meets any majority of the other, and one step does it. Else the step leads into a joint configuration, which needs a
// majority of each half, and a second step leaves it. Learners come and go in either. Members keep their data through
// every step unless the target gives them another; it goes when they go.

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

#include <raft/configuration.hpp>
#include <raft/result.hpp>
#include <raft/types.hpp>

namespace raft {

/// Who is to vote, who is to receive the log without a vote, what is to be known of them. The order does not matter.
struct membership {
  std::vector<node_id> voters{};
  std::vector<node_id> learners{};
  /// Of those whose data is to be set, or taken away by an empty one; the other members keep theirs.
  std::vector<member_data> data{};
  friend constexpr bool operator==(const membership&, const membership&) = default;
};

namespace detail {

constexpr std::vector<node_id> without(const std::vector<node_id>& all, const std::vector<node_id>& taken_away) {
  std::vector<node_id> left;
  std::set_difference(all.begin(), all.end(), taken_away.begin(), taken_away.end(), std::back_inserter(left));
  return left;
}

constexpr std::vector<node_id> both(const std::vector<node_id>& a, const std::vector<node_id>& b) {
  std::vector<node_id> all;
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(all));
  return all;
}

/// Gives the members of `next` the data that they had, and then that of `set`.
constexpr void carry_data(const std::vector<member_data>& had, std::vector<member_data> set, configuration& next) {
  std::ranges::sort(set, {}, &member_data::id);
  const auto sets = [&set](node_id id) { return std::ranges::binary_search(set, id, {}, &member_data::id); };
  for (const member_data& m : had) {
    if (next.is_member(m.id) && !sets(m.id)) next.data.push_back(m);
  }
  for (member_data& m : set) {
    if (!m.data.empty() || !next.is_member(m.id)) next.data.push_back(std::move(m));
  }
  std::ranges::sort(next.data, {}, &member_data::id);
}

constexpr result<configuration> if_legal(configuration c) {
  if (auto legal = validate(c); !legal) return legal.error();
  return c;
}

}  // namespace detail

/// The step in which at most one server starts or stops to vote; refused if the voters differ by more.
[[nodiscard]] constexpr result<configuration> simple_change(const configuration& now, membership target) {
  if (now.joint()) return {errc::not_ready, "a joint configuration is left before the next change"};
  std::sort(target.voters.begin(), target.voters.end());
  std::sort(target.learners.begin(), target.learners.end());
  const std::size_t differ =
      detail::without(now.voters, target.voters).size() + detail::without(target.voters, now.voters).size();
  if (differ > 1) return {errc::invalid_configuration, "a simple change adds or removes at most one voter"};
  configuration next;
  next.voters = std::move(target.voters);
  next.learners = std::move(target.learners);
  detail::carry_data(now.data, std::move(target.data), next);
  return detail::if_legal(std::move(next));
}

/// The step into the joint configuration between `now` and the target. A voter that is to be a learner votes in the old
/// half until the joint configuration is left (learners_next).
[[nodiscard]] constexpr result<configuration> enter_joint(const configuration& now, membership target,
                                                          bool auto_leave = true) {
  if (now.joint()) return {errc::not_ready, "a joint configuration is left before the next change"};
  std::sort(target.voters.begin(), target.voters.end());
  std::sort(target.learners.begin(), target.learners.end());
  configuration next;
  next.voters = std::move(target.voters);
  next.outgoing = now.voters;
  next.learners = detail::without(target.learners, now.voters);
  next.learners_next = detail::without(target.learners, next.learners);
  next.auto_leave = auto_leave;
  detail::carry_data(now.data, std::move(target.data), next);
  return detail::if_legal(std::move(next));
}

/// The step out of a joint configuration.
[[nodiscard]] constexpr result<configuration> leave_joint(const configuration& now) {
  if (!now.joint()) return {errc::not_ready, "the configuration in force is not joint"};
  configuration next;
  next.voters = now.voters;
  next.learners = detail::both(now.learners, now.learners_next);
  detail::carry_data(now.data, {}, next);
  return detail::if_legal(std::move(next));
}

/// The next step from `now` to the target: the simple one where it will do, else into a joint configuration that is
/// left by itself.
[[nodiscard]] constexpr result<configuration> step_towards(const configuration& now, const membership& target) {
  if (auto simple = simple_change(now, target)) return simple;
  return enter_joint(now, target);
}

}  // namespace raft
