// Leader election, impl/election.hpp. "[B01]" and the like name the bug, seen in other engines, that a test guards
// against.

#include <doctest/doctest.h>

#include <set>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace impl_election_test {

using namespace raft;
using namespace story;

namespace {

setup without_pre_vote() {
  setup how;
  how.options.pre_vote = false;
  return how;
}

configuration with_learners(std::uint64_t voting, std::vector<node_id> learners) {
  configuration c = voters(voting);
  c.learners = std::move(learners);
  return c;
}

/// A vote asked for by `candidate`, and the answer.
bool granted(server& s, node_id candidate, term_t term, after last) {
  s.take_mail();
  CHECK(s.step(say(candidate, s.status().id, term, request_vote{last.index, last.term})));
  return s.only<request_vote_reply>().granted;
}

bool pre_granted(server& s, node_id candidate, term_t term, after last) {
  s.take_mail();
  CHECK(s.step(say(candidate, s.status().id, term, request_pre_vote{last.index, last.term})));
  return s.only<request_pre_vote_reply>().granted;
}

letter grant(node_id from, node_id to, term_t term) { return say(from, to, term, request_vote_reply{true}); }
letter refusal(node_id from, node_id to, term_t term) { return say(from, to, term, request_vote_reply{false}); }
letter pre_grant(node_id from, node_id to, term_t term, term_t asked) {
  return say(from, to, term, request_pre_vote_reply{asked, true});
}

}  // namespace

TEST_CASE("start_pre_vote: asks every other voter and changes nothing that is stored") {
  auto a = start(1_n, {.term = 3, .vote = 2, .members = with_learners(3, {4_n}), .log = {{2, "x"}, {3, "y"}}});
  a->campaign();
  CHECK(a->role() == role_kind::pre_candidate);
  CHECK(a->term() == 3_t);
  CHECK(a->vote() == 2_n);
  CHECK(a->log().writes.empty());
  const auto mail = a->take_mail();
  REQUIRE(mail.size() == 2);
  CHECK(mail[0] == say(1_n, 2_n, 3_t, request_pre_vote{2_i, 3_t}));
  CHECK(mail[1] == say(1_n, 3_n, 3_t, request_pre_vote{2_i, 3_t}));
}

TEST_CASE("on_pre_vote_reply: the consent of a majority starts the election") {
  auto a = start(1_n, {.term = 3, .members = voters(5)});
  a->campaign();
  CHECK(a->step(pre_grant(2_n, 1_n, 3_t, 3_t)));
  CHECK(a->role() == role_kind::pre_candidate);
  CHECK(a->step(say(4_n, 1_n, 3_t, request_pre_vote_reply{3_t, false})));
  CHECK(a->role() == role_kind::pre_candidate);
  a->take_mail();
  CHECK(a->step(pre_grant(3_n, 1_n, 3_t, 3_t)));
  CHECK(a->role() == role_kind::candidate);
  CHECK(a->term() == 4_t);
  CHECK(a->vote() == 1_n);
  CHECK(a->log().hard_state().current_term == 4_t);
  CHECK(a->log().hard_state().voted_for == 1_n);
  const auto asked = a->all<request_vote>();
  CHECK(asked.size() == 4);
}

TEST_CASE("on_pre_vote_reply: an answer to an earlier question does not count") {
  auto a = start(1_n, {.term = 3, .members = voters(3)});
  a->campaign();
  CHECK(a->step(pre_grant(2_n, 1_n, 3_t, 2_t)));
  CHECK(a->role() == role_kind::pre_candidate);
  REQUIRE(a->told<events::message_ignored>().size() == 1);
  CHECK(a->told<events::message_ignored>()[0].why == ignored_reason::stale_answer);
}

TEST_CASE("become_follower: an append of the same term does not erase the vote [B01]") {
  auto c = start(3_n, {.term = 0, .members = voters(3)}, without_pre_vote());
  CHECK(granted(*c, 1_n, 1_t, {}));
  CHECK(c->step(append(1_n, 3_n, 1_t, {}, 0_i, {})));
  CHECK_FALSE(granted(*c, 2_n, 1_t, {}));
  CHECK(c->vote() == 1_n);
}

TEST_CASE("become_follower: a candidate that finds a leader of its term keeps its own vote [B01]") {
  auto c = start(3_n, {.term = 0, .members = voters(3)}, without_pre_vote());
  c->campaign();
  REQUIRE(c->term() == 1_t);
  CHECK(c->step(append(1_n, 3_n, 1_t, {}, 0_i, {})));
  CHECK(c->role() == role_kind::follower);
  CHECK_FALSE(granted(*c, 2_n, 1_t, {}));
  CHECK(c->vote() == 3_n);
}

TEST_CASE("start_pre_vote: a pre-candidate keeps the vote that it gave in this term [B03]") {
  auto c = start(3_n, {.term = 1, .vote = 1, .members = voters(3)});
  c->campaign();
  REQUIRE(c->role() == role_kind::pre_candidate);
  CHECK_FALSE(granted(*c, 2_n, 1_t, {}));
  CHECK(c->vote() == 1_n);
}

TEST_CASE("start_election: each election counts its own votes only [B05]") {
  auto a = start(1_n, {.members = voters(5)}, without_pre_vote());
  a->campaign();
  CHECK(a->step(grant(2_n, 1_n, 1_t)));
  CHECK(a->role() == role_kind::candidate);
  a->campaign();
  REQUIRE(a->term() == 2_t);
  CHECK(a->step(grant(3_n, 1_n, 2_t)));
  CHECK(a->role() == role_kind::candidate);
  CHECK(a->step(grant(2_n, 1_n, 1_t)));  // late, of the former election
  CHECK(a->role() == role_kind::candidate);
  CHECK(a->step(grant(4_n, 1_n, 2_t)));
  CHECK(a->leads());
}

TEST_CASE("start_pre_vote: each round counts its own consents only [B05]") {
  auto a = start(1_n, {.members = voters(5)});
  a->campaign();
  CHECK(a->step(pre_grant(2_n, 1_n, 0_t, 0_t)));
  a->campaign();
  CHECK(a->step(pre_grant(3_n, 1_n, 0_t, 0_t)));
  CHECK(a->role() == role_kind::pre_candidate);
  CHECK(a->step(pre_grant(2_n, 1_n, 0_t, 0_t)));
  CHECK(a->role() == role_kind::candidate);
}

TEST_CASE("on_vote_reply: a vote that arrives twice counts once [B06]") {
  auto a = start(1_n, {.members = voters(5)}, without_pre_vote());
  a->campaign();
  for (int i = 0; i < 4; ++i) CHECK(a->step(grant(2_n, 1_n, 1_t)));
  CHECK(a->role() == role_kind::candidate);
  CHECK(a->step(grant(3_n, 1_n, 1_t)));
  CHECK(a->leads());
}

TEST_CASE("on_pre_vote_reply: a consent that arrives twice counts once [B06]") {
  auto a = start(1_n, {.members = voters(5)});
  a->campaign();
  for (int i = 0; i < 4; ++i) CHECK(a->step(pre_grant(2_n, 1_n, 0_t, 0_t)));
  CHECK(a->role() == role_kind::pre_candidate);
}

TEST_CASE("on_vote_reply: learners and strangers have no vote [B08]") {
  auto a = start(1_n, {.members = with_learners(3, {4_n, 5_n})}, without_pre_vote());
  a->campaign();
  CHECK(a->take_mail().size() == 2);  // it asks voters only
  CHECK(a->step(grant(4_n, 1_n, 1_t)));
  CHECK(a->step(grant(5_n, 1_n, 1_t)));
  CHECK(a->step(grant(9_n, 1_n, 1_t)));
  CHECK(a->role() == role_kind::candidate);
  CHECK(a->told<events::message_ignored>().size() == 3);
  CHECK(a->told<events::message_ignored>().back().why == ignored_reason::not_a_member);
  CHECK(a->step(grant(2_n, 1_n, 1_t)));
  CHECK(a->leads());
}

TEST_CASE("on_pre_vote_reply: learners and strangers have no say [B08]") {
  auto a = start(1_n, {.members = with_learners(3, {4_n, 5_n})});
  a->campaign();
  CHECK(a->step(pre_grant(4_n, 1_n, 0_t, 0_t)));
  CHECK(a->step(pre_grant(5_n, 1_n, 0_t, 0_t)));
  CHECK(a->step(pre_grant(9_n, 1_n, 0_t, 0_t)));
  CHECK(a->role() == role_kind::pre_candidate);
}

TEST_CASE("create: a leader that restarts comes back as a follower of nobody [B12]") {
  cluster c{3};
  c.elect(1);
  c.drop();
  server& back = c.restart(1);
  CHECK(back.role() == role_kind::follower);
  CHECK(back.leader() == nobody);
  CHECK(back.term() == 1_t);
  CHECK(back.vote() == 1_n);
  REQUIRE_FALSE(back.propose("again"));
  CHECK(back.propose("again").error().code == errc::not_leader);
  c.pass(50);
  CHECK(c.drop(from(1)) == 0);
}

TEST_CASE("up_to_date: a log that is emptied by a snapshot ends with the snapshot's term [B15]") {
  auto b = start(2_n, {.term = 5, .members = voters(3), .base = {10_i, 5_t}, .snapshot = {10_i, 5_t}, .image = "s"});
  CHECK_FALSE(granted(*b, 3_n, 6_t, {8_i, 3_t}));
  CHECK_FALSE(granted(*b, 3_n, 7_t, {10_i, 3_t}));
  CHECK_FALSE(granted(*b, 3_n, 8_t, {99_i, 4_t}));
  CHECK_FALSE(granted(*b, 3_n, 9_t, {9_i, 5_t}));
  CHECK(granted(*b, 3_n, 10_t, {10_i, 5_t}));
}

TEST_CASE("start_election: a candidate behind a snapshot speaks of the snapshot's term [B16]") {
  auto a = start(1_n, {.term = 5, .members = voters(3), .base = {10_i, 4_t}, .snapshot = {10_i, 4_t}, .image = "s"},
                 without_pre_vote());
  a->campaign();
  CHECK(a->all<request_vote>() == std::vector(2, request_vote{10_i, 4_t}));

  // So three servers that all come from the same snapshot elect one of them.
  cluster c{3};
  const stored restored{.term = 5, .members = voters(3), .base = {10_i, 4_t}, .snapshot = {10_i, 4_t}, .image = "s"};
  for (const std::uint64_t id : {1U, 2U, 3U}) c.start(id, restored);
  c.elect(2);
}

TEST_CASE("on_request_vote: who gives a vote waits a whole timeout before it stands itself [B17]") {
  auto b = start(2_n, {.members = voters(3)}, without_pre_vote());
  b->now() = b->deadline() - 1;
  CHECK(granted(*b, 1_n, 1_t, {}));
  CHECK(b->deadline() >= b->now() + 150);
  CHECK(b->deadline() < b->now() + 300);
}

TEST_CASE("on_request_vote: who refuses a vote stands when it would have stood [B18]") {
  auto b = start(2_n, {.term = 2, .members = voters(3), .log = {{2, "x"}}}, without_pre_vote());
  const ms due = b->deadline();
  b->now() = due - 1;
  CHECK_FALSE(granted(*b, 1_n, 3_t, {}));
  CHECK(b->term() == 3_t);
  CHECK(b->deadline() == due);
  CHECK_FALSE(granted(*b, 1_n, 3_t, {}));
  CHECK(b->deadline() == due);
  CHECK_FALSE(pre_granted(*b, 1_n, 3_t, {}));
  CHECK(b->deadline() == due);
}

TEST_CASE("on_request_vote: a candidate that refuses a vote of a later term keeps its timer [B18]") {
  auto b = start(2_n, {.term = 2, .members = voters(3), .log = {{2, "x"}}}, without_pre_vote());
  b->campaign();
  const ms due = b->deadline();
  b->now() = due - 1;
  CHECK_FALSE(granted(*b, 1_n, 7_t, {}));
  CHECK(b->role() == role_kind::follower);
  CHECK(b->deadline() == due);
}

TEST_CASE("become_follower: a leader that steps down has a new timer") {
  auto a = start(1_n, {.members = voters(3)});
  win(*a);
  a->now() += 10000;
  CHECK(a->step(say(2_n, 1_n, 9_t, append_entries_reply{})));
  CHECK(a->role() == role_kind::follower);
  CHECK(a->deadline() >= a->now() + 150);
  CHECK(a->deadline() < a->now() + 300);
}

TEST_CASE("reset_election_timer: each timeout is drawn anew from [min, max), and each seed draws others [B19]") {
  std::set<ms> drawn;
  auto a = start(1_n, {.members = voters(3)}, without_pre_vote());
  for (int round = 0; round < 300; ++round) {
    const ms wait = a->deadline() - a->now();
    CHECK(wait >= 150);
    CHECK(wait < 300);
    drawn.insert(wait);
    a->pass(wait);
  }
  CHECK(a->term() == 300_t);
  CHECK(drawn.size() > 90);
  CHECK(*drawn.begin() < 160);
  CHECK(*drawn.rbegin() >= 290);

  setup other = without_pre_vote();
  other.seed = 2;
  auto b = start(1_n, {.members = voters(3)}, other);
  auto again = start(1_n, {.members = voters(3)}, without_pre_vote());
  auto same = start(1_n, {.members = voters(3)}, without_pre_vote());
  int differ = 0;
  for (int round = 0; round < 20; ++round) {
    CHECK(again->deadline() == same->deadline());
    differ += again->deadline() != b->deadline();
    for (server* s : {b.get(), again.get(), same.get()}) s->campaign();
  }
  CHECK(differ > 10);
}

TEST_CASE("draw: the timeouts are those of splitmix64, whose numbers for seed 0 are known") {
  setup how;
  how.seed = 0;
  how.options.election_timeout_min = 1000;
  how.options.election_timeout_max = 1'000'001'000;
  how.options.snapshot_carry_timeout = 1'000'001'000;
  auto a = start(1_n, {.members = voters(3)}, how);
  for (const std::uint64_t number : {0xe220a8397b1dcdafU, 0x6e789e6aa1b965f4U, 0x06c45d188009454fU}) {
    CHECK(a->deadline() - a->now() == 1000 + static_cast<ms>(number % 1'000'000'000));
    a->campaign();
  }
}

TEST_CASE("on_pre_vote_reply: consent counts although the voter's term is lower [B20]") {
  cluster c{3};
  for (const std::uint64_t id : {1U, 2U}) c.start(id, {.term = 5, .members = voters(3), .log = {{1, "x"}}});
  c.start(3, {.term = 1, .members = voters(3), .log = {{1, "x"}}});
  c.crash(2);
  c[1].campaign();
  c.deliver();
  CHECK(c[1].leads());
  CHECK(c[1].term() == 6_t);
}

TEST_CASE("answer_lower_term: whoever speaks of a former term learns the present one [B22]") {
  const auto fresh = [] { return start(2_n, {.term = 5, .members = voters(3), .log = {{4, "x"}}}); };
  auto b = fresh();
  CHECK(b->step(say(1_n, 2_n, 3_t, request_vote{9_i, 3_t})));
  CHECK(b->take_mail() == std::vector{say(2_n, 1_n, 5_t, request_vote_reply{false})});
  CHECK(b->step(say(1_n, 2_n, 3_t, request_pre_vote{9_i, 3_t})));
  CHECK(b->take_mail() == std::vector{say(2_n, 1_n, 5_t, request_pre_vote_reply{3_t, false})});
  CHECK(b->step(append(1_n, 2_n, 3_t, {1_i, 3_t}, 0_i, {}, 8)));
  // Round 8 was of term 3: a leader of term 5 must not take it for a round of its own.
  CHECK(b->take_mail() == std::vector{say(2_n, 1_n, 5_t, append_entries_reply{false, 1_i, {}, {}, 1_i, 0})});
  CHECK(b->step(chunk(1_n, 2_n, 3_t, {9_i, 2_t}, voters(3), "state", 0, 3)));
  CHECK(b->take_mail() == std::vector{say(2_n, 1_n, 5_t, install_snapshot_reply{9_i, 7, 0, false, 0})});
  CHECK(b->picture().find("follower term 5") != std::string::npos);
  CHECK(b->log().writes.empty());
}

TEST_CASE("answer_lower_term: a server whose candidacy failed at a higher term gets back into the cluster [B22]") {
  cluster c{3};
  c.elect(1);
  c.isolate(2);
  const stored stranded{.term = 4, .vote = 2, .members = voters(3), .log = {no_op(1)}};
  c.start(2, stranded);
  c.crash(3);
  c.heal();
  c.await_leader();
  CHECK(c[1].leader() == c[2].leader());
  CHECK(c[1].term() > 4_t);
}

TEST_CASE("hears_leader_other_than: a live leader is not voted out [thesis 4.2.3]") {
  auto b = start(2_n, {.members = voters(3)});
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {no_op(1)})));
  b->take_mail();
  b->now() += 149;
  CHECK(b->step(say(3_n, 2_n, 7_t, request_vote{9_i, 6_t})));
  CHECK(b->take_mail().empty());
  CHECK(b->term() == 1_t);
  CHECK_FALSE(pre_granted(*b, 3_n, 1_t, {9_i, 1_t}));
  b->now() += 1;  // the minimum election timeout has passed
  CHECK(pre_granted(*b, 3_n, 1_t, {9_i, 1_t}));
  CHECK(granted(*b, 3_n, 7_t, {9_i, 6_t}));
  CHECK(b->term() == 7_t);
}

TEST_CASE("hears_leader_other_than: a working leader is not deposed by a vote that is asked of it") {
  auto a = start(1_n, {.members = voters(3)});
  win(*a);
  CHECK(a->step(say(3_n, 1_n, 7_t, request_vote{9_i, 6_t})));
  CHECK(a->leads());
  CHECK(a->take_mail().empty());
  CHECK_FALSE(pre_granted(*a, 3_n, 7_t, {9_i, 7_t}));
}

TEST_CASE("hears_leader_other_than: the leader itself may be voted for again [B24]") {
  auto b = start(2_n, {.members = voters(3)});
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {no_op(1)})));
  CHECK(pre_granted(*b, 1_n, 1_t, {1_i, 1_t}));
  CHECK(granted(*b, 1_n, 2_t, {1_i, 1_t}));
}

TEST_CASE("hears_leader_other_than: without a leader nothing is refused, right after start [B25]") {
  auto b = start(2_n, {.members = voters(3)});
  CHECK(pre_granted(*b, 1_n, 0_t, {}));
  CHECK(granted(*b, 1_n, 1_t, {}));
  CHECK(pre_granted(*b, 3_n, 1_t, {}));  // a vote given is no leader heard
}

TEST_CASE("campaign: in a fresh cluster who is told to stand leads at once, or with leases after a timeout") {
  for (const bool leases : {false, true}) {
    for (const std::uint64_t chosen : {1U, 2U, 3U}) {
      setup how;
      how.options.lease_reads = leases;
      cluster c{3, how};
      if (leases) {
        c[chosen].campaign();
        c.deliver();
        CHECK_FALSE(c[chosen].leads());
        c.jump(150);
      }
      c[chosen].campaign();
      c.deliver();
      CHECK(c[chosen].leads());
      CHECK(c[chosen].term() == 1_t);
    }
  }
}

TEST_CASE("hears_leader_other_than: without check_quorum a leader that is heard may be voted out") {
  setup how;
  how.options.check_quorum = false;
  auto b = start(2_n, {.members = voters(3)}, how);
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {no_op(1)})));
  CHECK(granted(*b, 3_n, 2_t, {1_i, 1_t}));
}

TEST_CASE("on_request_pre_vote: nothing is changed by the question [B26]") {
  auto b = start(2_n, {.term = 3, .members = voters(3), .log = {{2, "x"}}});
  const std::string before = b->picture();
  CHECK(pre_granted(*b, 1_n, 3_t, {1_i, 2_t}));
  CHECK(pre_granted(*b, 1_n, 8_t, {1_i, 2_t}));
  CHECK(pre_granted(*b, 3_n, 3_t, {1_i, 2_t}));  // more than one may be encouraged
  CHECK_FALSE(pre_granted(*b, 1_n, 2_t, {9_i, 2_t}));
  CHECK_FALSE(pre_granted(*b, 1_n, 3_t, {0_i, 0_t}));
  CHECK_FALSE(pre_granted(*b, 1_n, 3_t, {9_i, 1_t}));
  CHECK(b->picture() == before);
}

TEST_CASE("campaign: a server that flaps does not disturb the leader that the others hear [B26]") {
  cluster c{3};
  c.elect(1);
  c.cut_one_way(1, 3);
  c.pass(3000);
  CHECK(c[1].leads());
  CHECK(c[1].term() == 1_t);
  CHECK(c[3].term() == 1_t);
  c.heal();
  c.pass(1000);
  CHECK(c[1].leads());
  CHECK(c[3].leader() == 1_n);
}

TEST_CASE("campaign: a leader goes on leading [B27]") {
  auto a = start(1_n, {.members = voters(3)});
  win(*a);
  a->campaign();
  CHECK(a->leads());
  CHECK(a->term() == 1_t);
  CHECK(a->step(pre_grant(2_n, 1_n, 1_t, 1_t)));
  CHECK(a->step(pre_grant(3_n, 1_n, 1_t, 1_t)));
  CHECK(a->step(grant(2_n, 1_n, 1_t)));
  CHECK(a->leads());
  CHECK(a->term() == 1_t);
}

TEST_CASE("on_pre_vote_reply: consents that arrive after the election began start no other one [B27]") {
  auto a = start(1_n, {.members = voters(5)});
  a->campaign();
  for (const node_id id : {2_n, 3_n}) CHECK(a->step(pre_grant(id, 1_n, 0_t, 0_t)));
  REQUIRE(a->role() == role_kind::candidate);
  for (const node_id id : {4_n, 5_n}) CHECK(a->step(pre_grant(id, 1_n, 0_t, 0_t)));
  CHECK(a->role() == role_kind::candidate);
  CHECK(a->term() == 1_t);
}

TEST_CASE("term_rule: an answer with a higher term deposes a leader [B28]") {
  const auto leading = [] {
    auto a = start(1_n, {.members = voters(3)});
    win(*a);
    return a;
  };
  const std::vector<message_body> answers{request_vote_reply{}, append_entries_reply{}, install_snapshot_reply{},
                                          request_pre_vote_reply{}};
  for (const message_body& body : answers) {
    auto a = leading();
    CHECK(a->step(keep({2_n, 1_n, 2_t, body})));
    CHECK(a->role() == role_kind::follower);
    CHECK(a->term() == 2_t);
    CHECK(a->leader() == nobody);
    CHECK(a->vote() == nobody);
    CHECK(a->log().hard_state().current_term == 2_t);
  }
}

TEST_CASE("follow: whoever stands gives up for the leader of its own term [B29]") {
  for (const bool with_chunk : {false, true}) {
    auto a = start(1_n, {.members = voters(3)}, without_pre_vote());
    a->campaign();
    REQUIRE(a->role() == role_kind::candidate);
    a->take_mail();
    const letter news = with_chunk ? chunk(2_n, 1_n, 1_t, {9_i, 1_t}, voters(3), "state", 0, 2)
                                   : append(2_n, 1_n, 1_t, {}, 0_i, {no_op(1)});
    CHECK(a->step(news));
    CHECK(a->role() == role_kind::follower);
    CHECK(a->leader() == 2_n);
    if (with_chunk) CHECK(a->only<install_snapshot_reply>().offset == 2);
    if (!with_chunk) CHECK(a->only<append_entries_reply>().success);
  }
}

TEST_CASE("follow: a follower without a leader adopts the first one of its term [B29]") {
  auto b = start(2_n, {.term = 4, .vote = 1, .members = voters(3)});
  CHECK(b->step(append(3_n, 2_n, 4_t, {}, 0_i, {})));
  CHECK(b->leader() == 3_n);
  REQUIRE_FALSE(b->machine().roles.empty());
  CHECK(b->machine().roles.back() == recorder::role{role_kind::follower, 4_t, 3_n});
}

TEST_CASE("campaign: a single voter elects itself, with learners or without [B30]") {
  for (const bool pre_vote : {false, true}) {
    for (const auto& members : {voters(1), with_learners(1, {2_n, 3_n})}) {
      setup how;
      how.options.pre_vote = pre_vote;
      auto a = start(1_n, {.members = members}, how);
      a->now() = a->deadline();
      a->tick();
      CHECK(a->leads());
      CHECK(a->term() == 1_t);
      CHECK(a->commit() == 1_i);
    }
  }
}

TEST_CASE("may_campaign: nobody stands while its snapshot is not in the state machine [B34]") {
  setup how = without_pre_vote();
  how.deferred = true;
  auto c = start(3_n, {.term = 1, .members = voters(3)}, how);
  CHECK(c->step(chunk(1_n, 3_n, 1_t, {9_i, 1_t}, voters(3), "state", 0, 5)));
  REQUIRE_FALSE(c->log().under_way().empty());
  c->campaign();
  CHECK(c->role() == role_kind::follower);
  CHECK(c->deadline() == std::numeric_limits<ms>::max());
  c->pass(10000);
  CHECK(c->role() == role_kind::follower);
  CHECK(c->persisted());
  CHECK(c->state() == "state");
  c->campaign();
  CHECK(c->role() == role_kind::candidate);
}

TEST_CASE("may_campaign: a learner and a stranger never stand, be a change of the membership under way or not") {
  for (const auto& log : {std::vector<written>{}, {members(1, with_learners(3, {4_n, 5_n}))}}) {
    for (const node_id id : {4_n, 9_n}) {
      auto s = start(id, {.term = 1, .members = with_learners(3, {4_n}), .log = log});
      CHECK(s->deadline() == std::numeric_limits<ms>::max());
      s->pass(100000);
      s->campaign();
      CHECK(s->role() == role_kind::follower);
      CHECK(s->take_mail().empty());
      CHECK(s->told<events::message_ignored>().back().why == ignored_reason::cannot_campaign);
    }
  }
}

TEST_CASE("campaign_if_allowed: who may not stand says so once in an election timeout, however often it ticks") {
  auto s = start(4_n, {.members = with_learners(3, {4_n})});
  std::size_t said = 0;
  for (ms at = 300; at <= 3000; ++at) {
    s->now() = at;
    s->tick();
    CHECK(s->told<events::message_ignored>().size() - said <= 1);
    if (at % 150 == 149) said = s->told<events::message_ignored>().size();
  }
  CHECK(said >= 9);  // in 2700 ms, of timeouts shorter than 300
}

TEST_CASE("may_campaign: a server stands while its removal is not committed, and wins without its own vote [B116]") {
  configuration without_1 = voters_of({2_n});
  auto a = start(1_n, {.term = 1, .members = voters(2), .log = {members(1, without_1)}});
  a->campaign();
  CHECK(a->role() == role_kind::pre_candidate);
  CHECK(a->step(pre_grant(2_n, 1_n, 1_t, 1_t)));
  CHECK(a->role() == role_kind::candidate);
  CHECK(a->step(grant(2_n, 1_n, 2_t)));
  CHECK(a->leads());
  // Once the removal is committed it stands no more.
  a->take_mail();
  CHECK(a->step(append(2_n, 1_n, 3_t, {1_i, 1_t}, 2_i, {no_op(3)})));
  CHECK(a->commit() == 2_i);
  a->campaign();
  CHECK(a->role() == role_kind::follower);
}

TEST_CASE("on_request_vote: a leader refuses a vote of its own term and stays [B36]") {
  auto a = start(1_n, {.members = voters(3)}, without_pre_vote());
  win(*a);
  CHECK_FALSE(granted(*a, 3_n, 1_t, {}));
  CHECK(a->leads());
}

TEST_CASE("on_request_vote: a vote that was given is given again to the same candidate") {
  auto b = start(2_n, {.members = voters(3)});
  CHECK(granted(*b, 1_n, 1_t, {}));
  CHECK(granted(*b, 1_n, 1_t, {}));
  CHECK(b->log().writes == std::vector<std::string>{"store"});
  CHECK(b->told<events::vote_granted>().size() == 1);
}

TEST_CASE("on_request_vote: no vote in a term whose leader is known") {
  auto b = start(2_n, {.term = 2, .members = voters(3)});
  CHECK(b->step(append(1_n, 2_n, 2_t, {}, 0_i, {})));
  CHECK_FALSE(granted(*b, 3_n, 2_t, {9_i, 1_t}));
}

TEST_CASE("check_quorum: a leader that hears nobody makes way [B186]") {
  cluster c{3};
  c.elect(1);
  c.cut_one_way(2, 1);
  c.cut_one_way(3, 1);
  c.pass(600);
  CHECK_FALSE(c[1].leads());
  c.await_leader();
  CHECK(c[2].leader() == c[3].leader());
  CHECK(c[2].leader() != 1_n);
}

TEST_CASE("check_quorum: one answer of a majority is enough, and counts from when it came") {
  auto a = start(1_n, {.members = voters(5)});
  win(*a);
  const ms began = a->now();
  a->now() = began + 250;
  CHECK(a->step(say(2_n, 1_n, 1_t, append_entries_reply{true, 1_i, {}, {}, 1_i, 0})));
  CHECK(a->step(say(3_n, 1_n, 1_t, append_entries_reply{false, 0_i, {}, {}, 0_i, 0})));  // a refusal is an answer, too
  a->pass(299);
  CHECK(a->leads());
  a->pass(1);
  CHECK(a->role() == role_kind::follower);
  CHECK(a->term() == 1_t);
  CHECK(a->leader() == nobody);
}

TEST_CASE("check_quorum: a fresh leader has a whole timeout to hear its followers [B121]") {
  auto a = start(1_n, {.members = voters(3)});
  a->now() = 1000000;
  win(*a);
  a->pass(299);
  CHECK(a->leads());
}

TEST_CASE("check_quorum: what learners say does not count") {
  auto a = start(1_n, {.members = with_learners(3, {4_n, 5_n})});
  win(*a);
  a->now() += 299;
  for (const node_id id : {4_n, 5_n})
    CHECK(a->step(say(id, 1_n, 1_t, append_entries_reply{true, 1_i, {}, {}, 1_i, 0})));
  a->pass(1);
  CHECK(a->role() == role_kind::follower);
}

TEST_CASE("check_quorum: switched off, a leader that hears nobody stays") {
  setup how;
  how.options.check_quorum = false;
  auto a = start(1_n, {.members = voters(3)}, how);
  win(*a);
  a->pass(100000);
  CHECK(a->leads());
}

TEST_CASE("on_vote_reply: refusals decide nothing, and do not spoil a majority") {
  auto a = start(1_n, {.members = voters(5)}, without_pre_vote());
  a->campaign();
  CHECK(a->step(refusal(2_n, 1_n, 1_t)));
  CHECK(a->step(refusal(3_n, 1_n, 1_t)));
  CHECK(a->role() == role_kind::candidate);
  CHECK(a->step(grant(4_n, 1_n, 1_t)));
  CHECK(a->step(grant(5_n, 1_n, 1_t)));
  CHECK(a->leads());
}

TEST_CASE("become_follower: the former leader is nobody's leader after a step-down [B179]") {
  auto a = start(1_n, {.members = voters(3)});
  win(*a);
  CHECK(a->step(say(2_n, 1_n, 2_t, append_entries_reply{})));
  const auto refused = a->propose("x");
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == error{errc::not_leader, nobody, 0, ""});
  auto b = start(2_n, {.members = voters(3)});
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {})));
  CHECK(b->propose("x").error().leader == 1_n);
  CHECK(b->step(say(3_n, 2_n, 2_t, append_entries_reply{})));
  CHECK(b->propose("x").error().leader == nobody);
  b->campaign();
  CHECK(b->propose("x").error().leader == nobody);
}

TEST_CASE("campaign: a removed server that never heard of it does not disturb the others [B114]") {
  for (const bool pre_vote : {true, false}) {
    setup how;
    how.options.pre_vote = pre_vote;
    cluster c{4, how};
    const configuration three = voters(3);
    c.elect(1);
    // Server 4 stays with the configuration of four; the other three have left it behind.
    for (const std::uint64_t id : {1U, 2U, 3U}) {
      c.start(id, {.term = 1, .members = voters(4), .log = {no_op(1), members(1, three)}});
    }
    c.elect(1);
    const term_t term = c[1].term();
    c.pass(5000);
    CHECK(c[1].leads());
    CHECK(c[1].term() == term);
  }
}

TEST_CASE("hears_leader_other_than: a leader that fell silent does not hold a vote back [B115]") {
  auto b = start(2_n, {.members = voters(3)});
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {no_op(1)})));
  b->pass(150);
  CHECK(granted(*b, 3_n, 2_t, {1_i, 1_t}));
}

TEST_CASE("may_campaign: no term is begun that every server would refuse, this one after a restart included [B185]") {
  const std::uint64_t last_term = std::uint64_t{1} << 62;
  for (const bool pre_vote : {true, false}) {
    setup how;
    how.options.pre_vote = pre_vote;
    auto a = start(1_n, {.members = voters(3)}, how);
    CHECK(a->step(append(2_n, 1_n, term_t{last_term}, {}, 0_i, {})));
    CHECK(a->term() == term_t{last_term});
    a->campaign();
    a->pass(1000);
    CHECK(a->role() == role_kind::follower);
    CHECK(a->term() == term_t{last_term});
    CHECK(try_start(1_n, a->log().disk()));
  }
}

}  // namespace impl_election_test
