// Membership in constant evaluation [paper §6, thesis 4]: one server at a time, through a joint configuration that is
// left by itself, a change that is rolled back, a learner that becomes a voter, a leader that removes itself. Nothing
// here runs: compiling is the test.

#include "constexpr/cluster.hpp"

namespace {

using namespace constant;

constexpr node_id n1{1};
constexpr node_id n2{2};
constexpr node_id n3{3};
constexpr node_id n4{4};

/// Servers 1 to 3, of which 1 leads, and 4, which is nobody's member yet. All have "a" but for 4.
template <class Wire>
struct three_and_one : cluster<Wire> {
  bool good = false;
  constexpr three_and_one() {
    this->add(memory_log{three(), small_segment});
    good = this->elect(1) && this->propose(1, "a");
  }
  /// Two heartbeats, with their answers: everybody knows what is committed.
  constexpr bool settle() { return this->pass(50) && this->pass(50); }
};

template <class Wire>
constexpr bool adds_a_voter() {
  three_and_one<Wire> c;
  if (!c.good || !c[1].change_membership({{n1, n2, n3, n4}, {}, {}}) || !c.deliver() || !c.settle()) return false;
  return c[4].configuration() == voters_of({n1, n2, n3, n4}) && c[1].commit_index() == index_t{3} && c.all_have("a") &&
         c.propose(1, "b") && c.settle() && c.all_have("ab");
}
static_assert(adds_a_voter<by_value>());

/// With the others of one half away nothing is committed, though all of the other half have it.
constexpr bool a_joint_configuration_needs_both_halves(bool old_half_is_away) {
  three_and_one<by_value> c;
  old_half_is_away ? c.cut(2U, 3U) : c.cut(4U);
  if (!c.good || !c[1].change_membership({{n1, n4}, {}, {}}) || !c.deliver() || !c.settle()) return false;
  const std::size_t other = old_half_is_away ? 4 : 3;
  if (!c[1].configuration().joint() || c[other].log().last_index() != index_t{3}) return false;
  return c[1].commit_index() == index_t{2} && c[other].commit_index() == index_t{2};
}
static_assert(a_joint_configuration_needs_both_halves(false));
static_assert(a_joint_configuration_needs_both_halves(true));

template <class Wire>
constexpr bool leaves_a_joint_configuration_by_itself() {
  three_and_one<Wire> c;
  if (!c.good || !c[1].change_membership({{n1, n2, n4}, {n3}, {}}) || !c[1].configuration().joint()) return false;
  if (!c.deliver() || !c.settle()) return false;
  configuration left = voters_of({n1, n2, n4});
  left.learners.push_back(n3);
  for (const std::size_t id : {1U, 2U, 3U, 4U}) {
    if (!(c[id].configuration() == left) || c[id].log().configurations().size() != 2) return false;
  }
  return c.all_have("a") && c[1].status().configuration_index == index_t{4};
}
static_assert(leaves_a_joint_configuration_by_itself<by_value>());
static_assert(leaves_a_joint_configuration_by_itself<by_frame>());

template <class Wire>
constexpr bool a_change_that_is_lost_is_rolled_back() {
  three_and_one<Wire> c;
  c.cut(1U);
  if (!c.good || !c[1].change_membership({{n1, n2}, {}, {}}) || !c.deliver()) return false;
  if (!(c[1].configuration() == voters_of({n1, n2})) || !c.elect(2)) return false;
  c.heal();
  return c.settle() && c[1].leader() == n2 && c[1].configuration() == three() && c.propose(2, "b") && c.settle() &&
         equal(c[1].machine().state, "ab");
}
static_assert(a_change_that_is_lost_is_rolled_back<by_value>());

template <class Wire>
constexpr bool a_learner_that_caught_up_votes() {
  three_and_one<Wire> c;
  if (!c.good || !c[1].add_server({n4, bytes_of("address")}) || !c[1].configuration().is_learner(n4)) return false;
  if (!c.deliver() || !c.settle() || !c.settle()) return false;
  return c[4].configuration().is_voter(n4) && equal(c[4].configuration().data_of(n4), "address") && c.all_have("a");
}
static_assert(a_learner_that_caught_up_votes<by_value>());

/// It leads until its removal is committed, and asks who has everything to stand.
template <class Wire>
constexpr bool a_leader_removes_itself() {
  three_and_one<Wire> c;
  if (!c.good || !c[1].change_membership({{n2, n3}, {}, {}}) || !c.deliver()) return false;
  const bool another = c[2].role() == role_kind::leader || c[3].role() == role_kind::leader;
  return another && c[1].role() == role_kind::follower && c[2].term() == term_t{2} &&
         c[2].configuration() == voters_of({n2, n3});
}
static_assert(a_leader_removes_itself<by_value>());

}  // namespace
