// A cluster in constant evaluation: it elects, replicates, repairs a conflict, reads, hands leadership over and
// installs a snapshot while this file is compiled, its messages handed over as values and as encoded frames. Nothing
// here runs: compiling is the test.

#include "constexpr/cluster.hpp"

namespace {

using namespace constant;

// ---------------------------------------------------------------------------------------------------- elections

template <class Wire>
constexpr bool elects_by_campaign() {
  cluster<Wire> c;
  return c.elect(2) && c[2].term() == term_t{1} && c[2].commit_index() == index_t{1} && c[1].leader() == node_id{2} &&
         c[3].leader() == node_id{2};
}
static_assert(elects_by_campaign<by_value>());
static_assert(elects_by_campaign<by_frame>());

template <class Wire>
constexpr bool elects_by_the_clock() {
  cluster<Wire> c;
  std::int64_t first = c[1].deadline();
  for (const std::size_t id : {2U, 3U}) first = std::min(first, c[id].deadline());
  if (!c.pass(first)) return false;
  int leaders = 0;
  for (const std::size_t id : {1U, 2U, 3U}) leaders += c[id].role() == role_kind::leader;
  return first >= 150 && first < 300 && leaders == 1;
}
static_assert(elects_by_the_clock<by_value>());
static_assert(elects_by_the_clock<by_frame>());

template <class Wire>
constexpr bool a_lost_leader_is_replaced() {
  cluster<Wire> c;
  if (!c.elect(1)) return false;
  c.cut(1U);
  if (!c.elect(3) || c[3].term() != term_t{2}) return false;
  c.heal();
  return c.pass(50) && c[1].role() == role_kind::follower && c[1].leader() == node_id{3};
}
static_assert(a_lost_leader_is_replaced<by_value>());
static_assert(a_lost_leader_is_replaced<by_frame>());

constexpr bool a_single_voter_elects_itself() {
  std::int64_t now = 0;
  std::vector<by_value::letter> mail;
  using server = node<mailbox<by_value>, memory_log, hand_clock, machine>;
  auto made = server::create(node_id{1}, {}, 1, mailbox<by_value>{&mail},
                             memory_log{voters_of({node_id{1}}), small_segment}, hand_clock{&now}, machine{});
  server& alone = *made;
  alone.campaign();
  const bytes command = bytes_of("x");
  return alone.role() == role_kind::leader && alone.propose(payload{command}) && alone.read(5) && mail.empty() &&
         equal(alone.machine().state, "x") && alone.machine().answered == 5;
}
static_assert(a_single_voter_elects_itself());

// ---------------------------------------------------------------------------------------------------- replication

template <class Wire>
constexpr bool replicates() {
  cluster<Wire> c;
  return c.elect(1) && c.propose(1, "ab") && c.propose(1, "") && c.propose(1, "c") && c.pass(50) && c.all_have("abc") &&
         c[3].commit_index() == index_t{4} && !c[2].propose(payload{});
}
static_assert(replicates<by_value>());
static_assert(replicates<by_frame>());

template <class Wire>
constexpr bool a_follower_that_was_away_catches_up() {
  cluster<Wire> c;
  c.cut(3U);
  if (!c.elect(1) || !c.propose(1, "ab") || !c.propose(1, "cd")) return false;
  c.heal();
  return c.pass(50) && c.pass(50) && c.pass(50) && c.all_have("abcd");
}
static_assert(a_follower_that_was_away_catches_up<by_value>());
static_assert(a_follower_that_was_away_catches_up<by_frame>());

template <class Wire>
constexpr bool repairs_a_conflict() {
  constexpr written leading[]{{1, "a"}, {1, "b"}, {3, "c"}};
  constexpr written following[]{{1, "a"}, {2, "x"}, {2, "y"}, {2, "z"}};
  cluster<Wire> c{log_of(3, leading), log_of(3, following), memory_log{three(), small_segment}};
  if (!c.elect(1) || !c.pass(50)) return false;
  return c.all_have("abc") && c[2].log().last_index() == index_t{4} && c[2].log().term_at(index_t{2}) == term_t{1} &&
         c[2].log() == c[2].log() && c[1].commit_index() == index_t{4};
}
static_assert(repairs_a_conflict<by_value>());
static_assert(repairs_a_conflict<by_frame>());

template <class Wire>
constexpr bool reads() {
  cluster<Wire> c;
  if (!c.elect(1) || !c.propose(1, "ab") || !c[1].read(40) || c[1].machine().answered != 0) return false;
  return c[1].read(2) && c.deliver() && c[1].machine().answered == 42;
}
static_assert(reads<by_value>());
static_assert(reads<by_frame>());

// ---------------------------------------------------------------------------------------------------- leadership

template <class Wire>
constexpr bool hands_leadership_over() {
  cluster<Wire> c;
  if (!c.elect(1) || !c.propose(1, "ab") || !c.deliver()) return false;
  if (!c[1].transfer_leadership(node_id{3}) || !c[1].transferring() || !c.deliver()) return false;
  return c[3].role() == role_kind::leader && c[3].term() == term_t{2} && c[1].leader() == node_id{3} &&
         c[1].status().transfer_target == nobody && c.propose(3, "c") && c.pass(50) && c.all_have("abc");
}
static_assert(hands_leadership_over<by_value>());
static_assert(hands_leadership_over<by_frame>());

// ---------------------------------------------------------------------------------------------------- snapshots

template <class Wire>
constexpr bool installs_a_snapshot() {
  cluster<Wire> c{compacting()};
  c.cut(3U);
  if (!c.elect(1) || !c.propose(1, "abcd") || !c.propose(1, "efgh")) return false;
  if (!c[1].take_snapshot() || c[1].log().first_index() != index_t{4}) return false;
  c.heal();
  if (!c.pass(50) || !c.pass(50)) return false;
  return c[3].log().snapshot() == c[1].log().snapshot() && c[3].log().snapshot().index == index_t{3} &&
         c.propose(1, "i") && c.pass(50) && c.all_have("abcdefghi");
}
static_assert(installs_a_snapshot<by_value>());
static_assert(installs_a_snapshot<by_frame>());

// ---------------------------------------------------------------------------------------------------- values

constexpr bool a_node_is_a_value() {
  std::int64_t now = 0;
  std::vector<by_value::letter> mail;
  using server = node<mailbox<by_value>, memory_log, hand_clock, machine>;
  auto made = server::create(node_id{1}, {}, 1, mailbox<by_value>{&mail},
                             memory_log{voters_of({node_id{1}}), small_segment}, hand_clock{&now}, machine{});
  server& original = *made;
  original.campaign();
  server what_if = original;
  const bytes command = bytes_of("x");
  return what_if.propose(payload{command}) && equal(what_if.machine().state, "x") && original.machine().state.empty() &&
         original.log().last_index() == index_t{1} && what_if.log().last_index() == index_t{2};
}
static_assert(a_node_is_a_value());

}  // namespace
