// The pieces of an answer to "why?", why.hpp: who is missing in a configuration, and sentences of bounded length.

#include <doctest/doctest.h>
#include <raft/why.hpp>

#include <string>

#include "support/letter.hpp"
#include "support/printing.hpp"

namespace why_test {

using namespace raft;
using namespace story;

TEST_CASE("some_servers: shows the first eight and counts all") {
  some_servers some;
  for (std::uint64_t id = 1; id <= 11; ++id) some.add(node_id{id});
  CHECK(some.count == 11);
  CHECK(some.first().size() == 8);
  CHECK(some.holds(8_n));
  CHECK_FALSE(some.holds(9_n));
  sentence s;
  s << some;
  CHECK(s.view() == "1, 2, 3, 4, 5, 6, 7, 8 and 3 more");
  CHECK((sentence{} << some_servers{}).view() == "nobody");
}

TEST_CASE("shortage_of: each half on its own, a voter of both named once") {
  configuration c;
  c.voters = {1_n, 3_n, 4_n};
  c.outgoing = {1_n, 2_n, 4_n, 5_n, 6_n};
  const auto none = detail::shortage_of(c, [](node_id) { return false; });
  CHECK(none.halves == lacking::both);
  CHECK(none.needed == 3);
  CHECK(none.absent.count == 6);
  const auto two = detail::shortage_of(c, [](node_id id) { return id == 1_n || id == 4_n; });
  CHECK(two.halves == lacking::outgoing);
  CHECK(two.needed == 1);
  CHECK(two.absent.count == 4);
  const auto old_half = detail::shortage_of(c, [](node_id id) { return id == 1_n || id == 2_n || id == 5_n; });
  CHECK(old_half.halves == lacking::incoming);
  CHECK(detail::shortage_of(c, [](node_id) { return true; }).halves == lacking::none);
  CHECK(detail::shortage_of(voters_of({1_n, 2_n}), [](node_id id) { return id == 1_n; }).halves == lacking::majority);
}

TEST_CASE("sentence: cut off where its room ends, never beyond") {
  sentence s;
  for (int i = 0; i < 100; ++i) s << "0123456789";
  CHECK(s.view().size() == sentence::capacity);
  s << std::uint64_t{12345};
  CHECK(s.view().size() == sentence::capacity);
  CHECK((sentence{} << std::uint64_t{0}).view() == "0");
  CHECK((sentence{} << UINT64_MAX).view() == "18446744073709551615");
}

TEST_CASE("explain: every cause has words, and the longest answer fits") {
  some_servers many;
  for (std::uint64_t id = 0; id < 300; ++id) many.add(node_id{UINT64_MAX - id});
  for (int cause = 0; cause <= static_cast<int>(commit_delay::cause::earlier_term); ++cause) {
    commit_delay d{};
    d.why = static_cast<commit_delay::cause>(cause);
    d.index = index_t{UINT64_MAX};
    d.other = index_t{UINT64_MAX};
    d.leader = node_id{UINT64_MAX};
    d.needed = 100;
    d.halves = lacking::both;
    d.own_disk = true;
    d.servers = many;
    const sentence s = explain(d);
    CHECK(s.view().size() > 20);
    CHECK(s.view().size() < sentence::capacity);
  }
  for (int cause = 0; cause <= static_cast<int>(leader_absence::cause::votes_missing); ++cause) {
    leader_absence a{};
    a.why = static_cast<leader_absence::cause>(cause);
    a.refused = many;
    CHECK(explain(a).view().size() > 10);
  }
  for (int cause = 0; cause <= static_cast<int>(peer_pause::cause::carried); ++cause) {
    peer_pause p{};
    p.why = static_cast<peer_pause::cause>(cause);
    CHECK(explain(p).view().size() > 10);
  }
}

TEST_CASE("explain: why an entry is not committed, in words") {
  using cause = commit_delay::cause;
  some_servers two;
  two.add(2_n);
  two.add(3_n);
  commit_delay d{};
  d.index = 7_i;
  d.other = 9_i;
  d.leader = 4_n;
  const auto says = [&d](cause why, std::string_view words) {
    d.why = why;
    CHECK(explain(d).view() == words);
  };
  says(cause::none, "entry 7 is committed");
  says(cause::compacted, "entry 7 was committed and compacted long ago; the log begins at 9");
  says(cause::beyond_end, "entry 7 is not in this log, which ends at 9");
  says(cause::node_failed, "entry 7 will not be committed here: a write of this node failed");
  says(cause::no_leader, "entry 7 waits for a leader");
  says(cause::not_leader, "entry 7 is not known here to be committed; 4 leads and knows");
  says(cause::own_disk, "entry 7 waits for the leader's own disk");
  says(cause::earlier_term, "entry 7 is of an earlier term and commits with entry 9 of this term");
  d.servers = two;
  says(cause::earlier_term,
       "entry 7 is of an earlier term and commits with entry 9 of this term, which waits for the acknowledgements of "
       "2 and 3");
  says(cause::followers, "entry 7 waits for the acknowledgements of 2 and 3");
  d.needed = 1;
  d.halves = lacking::majority;
  says(cause::followers, "entry 7 waits for the acknowledgements of 2 and 3 (1 more is needed)");
  d.needed = 2;
  says(cause::followers, "entry 7 waits for the acknowledgements of 2 and 3 (2 more are needed)");
  d.halves = lacking::incoming;
  says(cause::followers,
       "entry 7 waits for the acknowledgements of 2 and 3 (2 more are needed in the new half of the joint "
       "configuration)");
  d.halves = lacking::outgoing;
  says(cause::followers,
       "entry 7 waits for the acknowledgements of 2 and 3 (2 more are needed in the old half of the joint "
       "configuration)");
  d.halves = lacking::both;
  d.own_disk = true;
  says(cause::followers,
       "entry 7 waits for the acknowledgements of 2 and 3, and for the leader's own disk (2 more are needed in each "
       "half "
       "of the joint configuration)");
}

TEST_CASE("explain: why there is no leader, in words") {
  using cause = leader_absence::cause;
  leader_absence a{};
  a.leader = 2_n;
  a.term = 5_t;
  const auto says = [&a](cause why, std::string_view words) {
    a.why = why;
    CHECK(explain(a).view() == words);
  };
  says(cause::none, "2 leads term 5");
  says(cause::node_failed, "a write of this node failed; it takes part in nothing any more");
  says(cause::restoring_snapshot,
       "a snapshot is on its way into the state machine; this node does not stand before that");
  says(cause::not_a_voter, "this node has no vote and waits for another one to lead");
  says(cause::election_timer, "no leader is known in term 5; this node stands when its election timer fires");
  says(cause::lets_others_first,
       "no leader is known in term 5; this node would rather not lead and lets campaign_grace election timeouts pass "
       "before it stands");
  says(cause::own_vote_not_stored, "this node stands in term 5; its own vote is not durable yet");
  says(cause::pre_votes_missing, "this node asks whether it would win term 6");
  says(cause::votes_missing, "this node stands in term 5");
  a.refused.add(3_n);
  says(cause::pre_votes_refused, "this node asks whether it would win term 6; refused by 3");
  a.silent.add(4_n);
  a.needed = 1;
  a.halves = lacking::majority;
  says(cause::votes_refused, "this node stands in term 5; refused by 3; no answer of 4 (1 more is needed)");
}

TEST_CASE("explain: why a member is sent nothing, in words") {
  using cause = peer_pause::cause;
  peer_pause p{};
  p.peer = 3_n;
  p.match = 4_i;
  p.next = 6_i;
  p.last = 9_i;
  p.silent_ms = 250;
  p.inflight_messages = 8;
  p.inflight_bytes = 1000;
  p.snapshot_offset = 10;
  p.snapshot_size = 50;
  const auto says = [&p](cause why, std::string_view words) {
    p.why = why;
    CHECK(explain(p).view() == words);
  };
  says(cause::none, "server 3 is being sent entries up to 5 of 9");
  says(cause::node_failed, "server 3 is sent nothing: a write of this node failed");
  says(cause::not_leader, "server 3 is sent nothing: this node does not lead");
  says(cause::not_a_member, "server 3 is no other member");
  says(cause::log_lost, "server 3 came back without entries that it had acknowledged, up to 4; it has to be removed");
  says(cause::not_heard, "server 3 has not answered for 250 ms; it has entries up to 4 of 9");
  says(cause::probing, "server 3 is being asked whether the logs meet at 5");
  says(cause::in_snapshot, "server 3 is being sent the snapshot: 10 of 50 bytes");
  says(cause::full_messages, "server 3 has 8 appends under way, which is max_inflight_messages");
  says(cause::full_bytes, "server 3 has 1000 bytes under way, which reaches max_inflight_bytes");
  says(cause::gathering, "server 3 has 8 appends under way; what is new gathers until an answer");
  says(cause::not_at_hand, "server 3 needs entries from 6 on, which are not at hand");
  says(cause::chunk_limit,
       "server 3 has 10 of 50 bytes of the snapshot; the next ones wait for snapshot_bytes_per_second");
  says(cause::carried, "server 3 is brought the snapshot out of band: it has told of 10 of 50 bytes");
  p.match = 9_i;
  says(cause::none, "server 3 is up to date");
}

static_assert(
    [] {
      sentence s;
      s << "entry " << index_t{7};
      return s.view() == "entry 7";
    }(),
    "answers work in constant evaluation");

}  // namespace why_test
