// What a node answers to "why?", impl/why.hpp: each cause where it holds, with the servers and numbers that belong to
// it.

#include <doctest/doctest.h>

#include <string>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace impl_why_test {

using namespace raft;
using namespace story;

namespace {

using commit_cause = commit_delay::cause;
using leader_cause = leader_absence::cause;
using pause_cause = peer_pause::cause;

std::vector<std::uint64_t> ids(const some_servers& some) {
  std::vector<std::uint64_t> all;
  for (const node_id id : some.first()) all.push_back(id.value);
  return all;
}
using list = std::vector<std::uint64_t>;

template <class Answer>
std::string text(const Answer& answer) {
  return std::string(explain(answer).view());
}

void ack(server& a, node_id who, index_t index) { CHECK(a.step(say(who, 1_n, a.term(), matched(index)))); }

std::unique_ptr<server> leader_of(const configuration& c, const setup& how = {}) {
  auto a = start(1_n, {.members = c}, how);
  win(*a);
  return a;
}

}  // namespace

// ---------------------------------------------------------------------------------------------------- commit

TEST_CASE("why_not_committed: a leader names the voters whose acknowledgements are missing") {
  auto a = leader_of(voters(5));
  auto d = a->why_not_committed(1_i);
  CHECK(d.why == commit_cause::followers);
  CHECK(ids(d.servers) == list{2, 3, 4, 5});
  CHECK(d.needed == 2);
  CHECK(d.halves == lacking::majority);
  CHECK_FALSE(d.own_disk);
  CHECK(d.leader == 1_n);
  CHECK(text(d) == "entry 1 waits for the acknowledgements of 2, 3, 4 and 5 (2 more are needed)");
  ack(*a, 4_n, 1_i);
  d = a->why_not_committed(1_i);
  CHECK(ids(d.servers) == list{2, 3, 5});
  CHECK(text(d) == "entry 1 waits for the acknowledgements of 2, 3 and 5 (1 more is needed)");
  ack(*a, 2_n, 1_i);
  CHECK(a->why_not_committed(1_i).why == commit_cause::none);
  CHECK(text(a->why_not_committed(1_i)) == "entry 1 is committed");
}

TEST_CASE("why_not_committed: behind the end, and long compacted") {
  auto a = leader_of(voters(1), {.options = {.trailing_entries = 0}});
  CHECK(a->why_not_committed(2_i).why == commit_cause::beyond_end);
  CHECK(a->why_not_committed(2_i).other == 1_i);
  REQUIRE(a->propose({"x", "y"}));
  REQUIRE(a->take_snapshot());
  REQUIRE(a->propose("z"));
  REQUIRE(a->propose("z"));
  const auto d = a->why_not_committed(2_i);
  CHECK(d.why == commit_cause::compacted);
  CHECK(d.other == 4_i);
  CHECK(a->why_not_committed(4_i).why == commit_cause::none);
  CHECK(a->why_not_committed(6_i).why == commit_cause::beyond_end);
  CHECK(a->why_not_committed(6_i).other == 5_i);
  CHECK(text(d) == "entry 2 was committed and compacted long ago; the log begins at 4");
}

TEST_CASE("why_not_committed: the leader's own disk, alone and together with followers") {
  auto a = start(1_n, {.members = voters(3)}, {.deferred = true});
  win(*a);
  REQUIRE(a->propose("x"));
  auto d = a->why_not_committed(2_i);
  CHECK(d.why == commit_cause::followers);
  CHECK(d.own_disk);
  CHECK(d.needed == 1);
  CHECK(text(d) ==
        "entry 2 waits for the acknowledgements of 2 and 3, and for the leader's own disk (1 more is needed)");
  ack(*a, 2_n, 2_i);
  d = a->why_not_committed(2_i);
  CHECK(d.why == commit_cause::own_disk);
  CHECK(text(d) == "entry 2 waits for the leader's own disk");
  REQUIRE(a->persisted());
  CHECK(a->why_not_committed(2_i).why == commit_cause::none);
}

TEST_CASE("why_not_committed: an entry of an earlier term waits for one of this term [paper §5.4.2]") {
  auto a = start(1_n, {.term = 1, .members = voters(3), .log = {{1, "x"}, {1, "y"}}});
  win(*a);
  CHECK(a->why_not_committed(1_i).why == commit_cause::followers);
  ack(*a, 2_n, 1_i);
  const auto d = a->why_not_committed(1_i);
  CHECK(d.why == commit_cause::earlier_term);
  CHECK(d.other == 3_i);
  CHECK(ids(d.servers) == list{2, 3});
  CHECK(text(d) ==
        "entry 1 is of an earlier term and commits with entry 3 of this term, which waits for the "
        "acknowledgements of 2 and 3 (1 more is needed)");
  CHECK(a->why_not_committed(2_i).why == commit_cause::followers);
  ack(*a, 2_n, 3_i);
  CHECK(a->why_not_committed(1_i).why == commit_cause::none);
}

TEST_CASE("why_not_committed: of an earlier term, the leader's own disk holds all that was there when it was elected") {
  auto a = start(1_n, {.term = 1, .members = voters(3), .log = {{1, "x"}, {1, "y"}}}, {.deferred = true});
  a->campaign();
  while (!a->leads()) {  // each write is durable but for that of the entry by which it begins to lead
    for (const letter& l : a->take_mail()) {
      if (l.what.to != 3_n) continue;
      if (l.is<request_pre_vote>()) CHECK(a->step(say(3_n, 1_n, l.what.term, request_pre_vote_reply{1_t, true})));
      if (l.is<request_vote>()) CHECK(a->step(say(3_n, 1_n, l.what.term, request_vote_reply{true})));
    }
    if (!a->leads()) REQUIRE(a->persisted());
  }
  REQUIRE_FALSE(a->log().under_way().empty());
  ack(*a, 2_n, 2_i);
  const auto d = a->why_not_committed(2_i);
  CHECK(d.why == commit_cause::earlier_term);
  CHECK(d.other == 3_i);
  CHECK(d.own_disk);
  CHECK(ids(d.servers) == list{2, 3});
}

TEST_CASE("why_not_committed: of a joint configuration, the half that lacks") {
  configuration c;
  c.voters = {1_n, 2_n, 3_n};
  c.outgoing = {1_n, 4_n, 5_n};
  auto a = start(1_n, {.members = c});
  win(*a);
  CHECK(a->why_not_committed(1_i).halves == lacking::both);
  ack(*a, 2_n, 1_i);
  auto d = a->why_not_committed(1_i);
  CHECK(d.halves == lacking::outgoing);
  CHECK(ids(d.servers) == list{3, 4, 5});
  CHECK(text(d) ==
        "entry 1 waits for the acknowledgements of 3, 4 and 5 (1 more is needed in the old half of the "
        "joint configuration)");
  auto b = start(1_n, {.members = c});
  win(*b);
  ack(*b, 4_n, 1_i);
  CHECK(b->why_not_committed(1_i).halves == lacking::incoming);
  ack(*b, 3_n, 1_i);
  CHECK(b->why_not_committed(1_i).why == commit_cause::none);
}

TEST_CASE("why_not_committed: who lost its log, and learners, count for nothing") {
  configuration c = voters(3);
  c.learners = {4_n};
  auto a = leader_of(c);
  ack(*a, 4_n, 1_i);
  CHECK(ids(a->why_not_committed(1_i).servers) == list{2, 3});
  // 2 acknowledges, comes back empty, and is found out; meanwhile nothing more is committed by its old word.
  ack(*a, 2_n, 1_i);
  REQUIRE(a->propose("x"));
  ack(*a, 2_n, 2_i);
  REQUIRE(a->commit() == 2_i);
  REQUIRE(a->propose("y"));
  for (int i = 0; i < 3; ++i) {
    for (const letter& l : a->take_mail()) {
      if (l.what.to != 2_n || !l.is<append_entries>()) continue;
      const auto asked = l.as<append_entries>();
      append_entries_reply no{false, asked.prev_log_index, {}, {}, {}, asked.round};
      CHECK(a->step(say(2_n, 1_n, a->term(), no)));
    }
    a->pass(60);
  }
  REQUIRE(a->why_paused(2).why == pause_cause::log_lost);
  CHECK(text(a->why_paused(2)) ==
        "server 2 came back without entries that it had acknowledged, up to 2; it has to be "
        "removed");
  CHECK(ids(a->why_not_committed(3_i).servers) == list{2, 3});
}

TEST_CASE("why_not_committed: what a member acknowledged and lost is missing again") {
  auto a = leader_of(voters(5));
  ack(*a, 2_n, 1_i);
  ack(*a, 3_n, 1_i);
  REQUIRE(a->propose("x"));
  ack(*a, 2_n, 2_i);
  CHECK(ids(a->why_not_committed(2_i).servers) == list{3, 4, 5});
  a->pass(60);
  for (int i = 0; i < 3; ++i) {
    for (const letter& l : a->take_mail()) {
      if (l.what.to != 2_n || !l.is<append_entries>()) continue;
      const auto asked = l.as<append_entries>();
      CHECK(a->step(
          say(2_n, 1_n, a->term(), append_entries_reply{false, asked.prev_log_index, {}, {}, {}, asked.round})));
    }
    a->pass(60);
  }
  REQUIRE(a->peer(2).state == progress_state::lost);
  CHECK(ids(a->why_not_committed(2_i).servers) == list{2, 3, 4, 5});
}

TEST_CASE("why_not_committed: others ask the leader, or wait for one; a failed node says so") {
  auto b = start(2_n, {.term = 1, .members = voters(3), .log = {{1, "x"}}});
  CHECK(b->why_not_committed(1_i).why == commit_cause::no_leader);
  CHECK(b->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 0_i, {})));
  const auto d = b->why_not_committed(1_i);
  CHECK(d.why == commit_cause::not_leader);
  CHECK(d.leader == 1_n);
  CHECK(text(d) == "entry 1 is not known here to be committed; 1 leads and knows");
  b->log().failing = "append";
  CHECK(b->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 0_i, {{1, "y"}})));
  REQUIRE(b->failed());
  CHECK(b->why_not_committed(1_i).why == commit_cause::node_failed);
  CHECK(b->why_no_leader().why == leader_cause::node_failed);
  CHECK(b->why_paused(1).why == pause_cause::node_failed);
}

// ---------------------------------------------------------------------------------------------------- no leader

TEST_CASE("why_no_leader: who would rather not lead says so, until it stands all the same") {
  auto a = start(1_n, {.members = voters(3)}, {.options = {.campaign_grace = 2}});
  a->evacuate();
  CHECK(a->why_no_leader().why == leader_cause::lets_others_first);
  a->stop_evacuation();
  CHECK(a->why_no_leader().why == leader_cause::election_timer);
  a->machine().lags = true;
  for (int timeouts = 0; timeouts < 2; ++timeouts) {
    CHECK(a->why_no_leader().why == leader_cause::lets_others_first);
    a->now() = a->deadline();
    a->tick();
  }
  CHECK(a->why_no_leader().why == leader_cause::election_timer);
}

TEST_CASE("why_no_leader: the timer, then who refused a pre-vote and who is silent, over rounds") {
  auto a = start(1_n, {.term = 4, .members = voters(5)});
  CHECK(a->why_no_leader().why == leader_cause::election_timer);
  a->campaign();
  auto w = a->why_no_leader();
  CHECK(w.why == leader_cause::pre_votes_missing);
  CHECK(ids(w.silent) == list{2, 3, 4, 5});
  CHECK(w.needed == 2);
  CHECK(a->step(say(3_n, 1_n, 4_t, request_pre_vote_reply{4_t, false})));
  CHECK(a->step(say(5_n, 1_n, 4_t, request_pre_vote_reply{4_t, true})));
  w = a->why_no_leader();
  CHECK(w.why == leader_cause::pre_votes_refused);
  CHECK(ids(w.refused) == list{3});
  CHECK(ids(w.silent) == list{2, 4});
  CHECK(w.needed == 1);
  CHECK(text(w) == "this node asks whether it would win term 5; refused by 3; no answer of 2 and 4 (1 more is needed)");
  a->campaign();  // a new round: who refused in the last one is not forgotten at once
  w = a->why_no_leader();
  CHECK(w.why == leader_cause::pre_votes_refused);
  CHECK(ids(w.refused) == list{3});
  CHECK(ids(w.silent) == list{2, 4, 5});
  CHECK(a->step(say(3_n, 1_n, 4_t, request_pre_vote_reply{4_t, true})));
  CHECK(a->why_no_leader().refused.count == 0);
  CHECK(ids(a->why_no_leader().silent) == list{2, 4, 5});
}

TEST_CASE("why_no_leader: a candidate, its own vote, and who voted for somebody else") {
  auto a = start(1_n, {.term = 4, .members = voters(3)}, {.options = {.pre_vote = false}, .deferred = true});
  a->campaign();
  CHECK(a->why_no_leader().why == leader_cause::own_vote_not_stored);
  REQUIRE(a->persisted());
  CHECK(a->why_no_leader().why == leader_cause::votes_missing);
  CHECK(a->step(say(2_n, 1_n, 5_t, request_vote_reply{false})));
  const auto w = a->why_no_leader();
  CHECK(w.why == leader_cause::votes_refused);
  CHECK(w.halves == lacking::majority);
  CHECK(text(w) == "this node stands in term 5; refused by 2; no answer of 3 (1 more is needed)");
  CHECK(a->step(say(3_n, 1_n, 5_t, request_vote_reply{true})));
  CHECK(a->why_no_leader().why == leader_cause::none);
  CHECK(a->why_no_leader().leader == 1_n);
  CHECK(text(a->why_no_leader()) == "1 leads term 5");
}

TEST_CASE("why_no_leader: who has no vote waits, and so does who has a snapshot pending") {
  configuration c = voters(3);
  c.learners = {4_n};
  auto d = start(4_n, {.term = 1, .members = c});
  CHECK(d->why_no_leader().why == leader_cause::not_a_voter);
  CHECK(d->step(append(1_n, 4_n, 1_t, {}, 0_i, {})));
  CHECK(d->why_no_leader().why == leader_cause::none);
  CHECK(d->why_no_leader().leader == 1_n);

  auto b = start(2_n, {.term = 1, .members = voters(3)}, {.deferred = true});
  CHECK(b->step(chunk(1_n, 2_n, 1_t, {5_i, 1_t}, voters(3), "image", 0, 5)));
  CHECK(b->step(say(3_n, 2_n, 2_t, request_vote_reply{false})));  // a later term: its leader is not known
  CHECK(b->why_no_leader().why == leader_cause::restoring_snapshot);
}

// ---------------------------------------------------------------------------------------------------- pauses

TEST_CASE("why_paused: up to date, probing, gathering, full by messages and by bytes") {
  auto a = leader_of(voters(3), {.options = {.max_bytes_per_append = 64,
                                             .max_inflight_messages = 2,
                                             .max_inflight_bytes = 200,
                                             .max_entry_bytes = 1024}});
  CHECK(a->why_paused(2).why == pause_cause::probing);
  CHECK(a->why_paused(2).state == progress_state::probe);
  CHECK(text(a->why_paused(2)) == "server 2 is being asked whether the logs meet at 0");
  ack(*a, 2_n, 1_i);
  CHECK(a->why_paused(2).why == pause_cause::none);
  CHECK(text(a->why_paused(2)) == "server 2 is up to date");
  REQUIRE(a->propose("x"));  // sent at once
  CHECK(a->why_paused(2).why == pause_cause::none);
  CHECK(text(a->why_paused(2)) == "server 2 is being sent entries up to 2 of 2");
  REQUIRE(a->propose("y"));  // gathers
  CHECK(a->why_paused(2).why == pause_cause::gathering);
  CHECK(a->why_paused(2).inflight_messages == 1);
  REQUIRE(a->propose(std::string(70, 'z')));  // a full message
  REQUIRE(a->propose("w"));
  CHECK(a->why_paused(2).why == pause_cause::full_messages);
  CHECK(text(a->why_paused(2)) == "server 2 has 2 appends under way, which is max_inflight_messages");
  ack(*a, 2_n, a->last());
  CHECK(a->why_paused(2).why == pause_cause::none);
  REQUIRE(a->propose(std::string(300, 'z')));
  REQUIRE(a->propose("w"));
  CHECK(a->why_paused(2).why == pause_cause::full_bytes);
  CHECK(a->why_paused(2).inflight_bytes == a->peer(2).inflight_bytes);
}

TEST_CASE("why_paused: full by bytes is whoever has max_inflight_bytes under way, and not a byte less") {
  for (const std::size_t entry : {std::size_t{192}, std::size_t{200}, std::size_t{208}}) {  // in its byte form
    CAPTURE(entry);
    auto a = leader_of(voters(3), {.options = {.max_bytes_per_append = 64,
                                               .max_inflight_messages = 8,
                                               .max_inflight_bytes = 200,
                                               .max_entry_bytes = 1024}});
    ack(*a, 2_n, 1_i);
    REQUIRE(a->propose(std::string(entry - entry_header_bytes, 'z')));
    REQUIRE(a->peer(2).inflight_bytes == entry);
    CHECK((a->why_paused(2).why == pause_cause::full_bytes) == (entry >= 200));
  }
}

TEST_CASE("why_paused: a member that is silent, being sent a snapshot, or none") {
  auto a = leader_of(voters(3), {.options = {.check_quorum = false, .trailing_entries = 0}});
  ack(*a, 2_n, 1_i);
  a->pass(299);
  CHECK(a->why_paused(3).why == pause_cause::probing);
  a->pass(1);
  CHECK(a->why_paused(3).why == pause_cause::not_heard);
  CHECK(a->why_paused(3).silent_ms == 300);
  CHECK(text(a->why_paused(3)) == "server 3 has not answered for 300 ms; it has entries up to 0 of 1");
  REQUIRE(a->propose("x"));
  ack(*a, 2_n, 2_i);
  REQUIRE(a->take_snapshot());
  CHECK(a->step(say(3_n, 1_n, a->term(), append_entries_reply{false, 0_i, {}, {}, {}, 1})));
  a->pass(50);
  ack(*a, 3_n, 0_i);
  REQUIRE(a->peer(3).state == progress_state::snapshot);
  const auto p = a->why_paused(3);
  CHECK(p.why == pause_cause::in_snapshot);
  CHECK(p.state == progress_state::snapshot);
  CHECK(p.snapshot_size == 2);
  CHECK(text(p) == "server 3 is being sent the snapshot: 0 of 2 bytes");
  CHECK(a->why_paused(1).why == pause_cause::not_a_member);
  CHECK(a->why_paused(9).why == pause_cause::not_a_member);
  CHECK(start(2_n, {.members = voters(3)})->why_paused(1).why == pause_cause::not_leader);
}

}  // namespace impl_why_test
