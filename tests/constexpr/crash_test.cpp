// Disks and crashes in constant evaluation [paper §5.1, Fig. 2]: nothing is said before it is durable, and a crash that
// loses what was not synced loses nothing that anybody was told. Nothing here runs: compiling is the test.

#include "constexpr/cluster.hpp"

namespace {

using namespace constant;

constexpr bool waits_for_the_disk() {
  std::int64_t now = 0;
  std::vector<by_value::letter> mail;
  using server = node<mailbox<by_value>, deferred_log, hand_clock, machine>;
  auto made = server::create(node_id{2}, {}, 1, mailbox<by_value>{&mail},
                             deferred_log{memory_log{three(), small_segment}}, hand_clock{&now}, machine{});
  server& b = *made;
  const message asked{node_id{1}, node_id{2}, term_t{4},
                      message_body{std::in_place_type<request_vote>, request_vote{index_t{}, term_t{}}}};
  if (!b.step(asked) || !mail.empty()) return false;
  if (b.step(persisted{mark_t{1}, mark_t{2}})) return false;  // only one write was asked for
  if (!b.step(persisted{mark_t{1}, mark_t{1}}) || mail.size() != 1) return false;
  return std::get<request_vote_reply>(mail[0].what.body).granted;
}
static_assert(waits_for_the_disk());

template <class Wire>
using disks_cluster = cluster<Wire, deferred_log>;

template <class Wire>
constexpr bool sync_all(disks_cluster<Wire>& c) {
  for (const std::size_t id : {1U, 2U, 3U}) {
    if (!c.sync(id)) return false;
  }
  return true;
}

/// Server 1 leads, and its no-op is committed and durable everywhere.
template <class Wire>
constexpr bool lead(disks_cluster<Wire>& c) {
  if (c.elect(1)) return false;  // its own vote is not durable
  for (int round = 0; round < 4; ++round) {
    if (!sync_all(c) || !c.deliver()) return false;
  }
  return c[1].role() == role_kind::leader && c[1].commit_index() == index_t{1};
}

/// A vote that was not synced was not given: the server may vote for another after the crash.
template <class Wire>
constexpr bool a_vote_is_given_when_it_is_durable() {
  disks_cluster<Wire> c;
  c.cut(3U);
  (void)c.elect(1);
  if (!c.sync(1) || !c.deliver() || !c.sync(1) || !c.deliver()) return false;  // the request is out, and taken in
  if (c[2].term() != term_t{1} || c[1].role() != role_kind::candidate) return false;
  c.crash(2);
  if (c[2].term() != term_t{0} || c[2].status().voted_for != nobody) return false;
  c.cut(1U);
  (void)c.elect(3);
  if (!c.sync(3) || !c.deliver() || !c.sync(2) || !c.deliver()) return false;
  c.crash(2);
  return c[2].term() == term_t{1} && c[2].status().voted_for == node_id{3} && c[3].role() == role_kind::leader;
}
static_assert(a_vote_is_given_when_it_is_durable<by_value>());

/// Entries that were not synced are lost, were not acknowledged, and come again.
template <class Wire>
constexpr bool what_was_not_synced_was_not_acknowledged() {
  disks_cluster<Wire> c;
  if (!lead(c) || !c.propose(1, "a") || !c.sync(1) || !c.deliver()) return false;
  if (c[2].log().last_index() != index_t{2} || c[1].commit_index() != index_t{1}) return false;
  c.crash(2);
  c.crash(3);
  if (c[2].log().last_index() != index_t{1} || c[3].term() != term_t{1}) return false;
  for (int round = 0; round < 4; ++round) {
    if (!c.pass(50) || !sync_all(c) || !c.deliver()) return false;
  }
  return c[1].commit_index() == index_t{2} && c.all_have("a");
}
static_assert(what_was_not_synced_was_not_acknowledged<by_value>());

/// A leader that crashes with what it had not synced loses it; what a quorum has synced without it is committed, and
/// the next leader has it.
template <class Wire>
constexpr bool a_commit_outlives_a_leader_that_never_synced_it() {
  disks_cluster<Wire> c;
  if (!lead(c) || !c.propose(1, "a") || !c.sync(2) || !c.deliver()) return false;
  if (c[1].commit_index() != index_t{1}) return false;  // one of three disks has it
  if (!c.sync(3) || !c.deliver() || c[1].commit_index() != index_t{2}) return false;
  if (!c[1].machine().state.empty()) return false;  // committed, and not durable here
  c.crash(1);
  if (c[1].log().last_index() != index_t{1}) return false;
  c.pass(400);  // long enough to forget the leader
  for (int round = 0; round < 8; ++round) {
    if (!sync_all(c) || !c.pass(50)) return false;
  }
  if (c[1].role() == role_kind::leader || c[1].log().last_index() < index_t{3}) return false;
  return c.all_have("a");
}
static_assert(a_commit_outlives_a_leader_that_never_synced_it<by_value>());

}  // namespace
