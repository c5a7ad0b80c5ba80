// Section 5.2 of the paper, leader election: a test for each sentence that can be tested, and every way in which a
// cluster may start up. The names are the sentences, in our words.

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace section_5_2_test {

using namespace raft;
using namespace story;

namespace {

setup plain() {
  setup how;
  how.options.pre_vote = false;
  return how;
}

int leaders(cluster& c) {
  int count = 0;
  for (const std::uint64_t id : c.ids()) count += c[id].leads();
  return count;
}

}  // namespace

TEST_CASE("5.2 when servers start up they begin as followers") {
  cluster c{5};
  for (const std::uint64_t id : c.ids()) {
    CHECK(c[id].role() == role_kind::follower);
    CHECK(c[id].leader() == nobody);
  }
}

TEST_CASE("5.2 a server remains a follower as long as it receives valid RPCs from a leader or candidate") {
  cluster c{3};
  c.elect(1);
  c.pass(20000);
  CHECK(c[1].leads());
  CHECK(c[1].term() == 1_t);
}

TEST_CASE("5.2 leaders send periodic heartbeats, appends without entries, to all followers") {
  auto a = start(1_n, {.members = voters(5)});
  win(*a);
  for (int beat = 0; beat < 3; ++beat) {
    a->pass(50);
    const auto mail = a->take_mail();
    CHECK(mail.size() == 4);
    for (const letter& l : mail) CHECK(l.as<append_entries>().entries.empty());
  }
}

TEST_CASE("5.2 a follower that hears nothing over an election timeout begins an election") {
  auto b = start(2_n, {.members = voters(3)}, plain());
  b->now() = b->deadline() - 1;
  b->tick();
  CHECK(b->role() == role_kind::follower);
  b->pass(1);
  CHECK(b->role() == role_kind::candidate);
}

TEST_CASE("5.2 to begin an election it raises its term, becomes candidate, votes for itself and asks all others") {
  auto b = start(2_n, {.term = 6, .members = voters(5)}, plain());
  b->campaign();
  CHECK(b->term() == 7_t);
  CHECK(b->role() == role_kind::candidate);
  CHECK(b->vote() == 2_n);
  const auto mail = b->take_mail();
  CHECK(mail.size() == 4);
  for (const letter& l : mail) CHECK(l.what.term == 7_t);
}

TEST_CASE("5.2 a candidate wins with the votes of a majority of the full cluster for the same term") {
  auto a = start(1_n, {.members = voters(5)}, plain());
  a->campaign();
  CHECK(a->step(say(2_n, 1_n, 1_t, request_vote_reply{true})));
  CHECK_FALSE(a->leads());
  CHECK(a->step(say(3_n, 1_n, 1_t, request_vote_reply{true})));
  CHECK(a->leads());
}

TEST_CASE("5.2 a server votes for one candidate at most in a term, first come first served") {
  auto b = start(2_n, {.members = voters(3)}, plain());
  CHECK(b->step(say(1_n, 2_n, 4_t, request_vote{})));
  CHECK(b->only<request_vote_reply>().granted);
  CHECK(b->step(say(3_n, 2_n, 4_t, request_vote{9_i, 3_t})));
  CHECK_FALSE(b->only<request_vote_reply>().granted);
  auto again = try_start(2_n, b->log().disk(), plain());  // and a restart does not make it forget
  REQUIRE(again);
  CHECK((*again)->step(say(3_n, 2_n, 4_t, request_vote{9_i, 3_t})));
  CHECK_FALSE((*again)->only<request_vote_reply>().granted);
}

TEST_CASE("5.2 the winner sends heartbeats to all others at once, which prevents new elections") {
  cluster c{5, plain()};
  c[1].campaign();
  c.deliver(kind<request_vote>());
  for (const std::uint64_t id : {2U, 3U}) c.deliver(from(id) && kind<request_vote_reply>());
  REQUIRE(c[1].leads());
  CHECK(among(c.mail(), kind<append_entries>()).size() == 4);
  c.pass(10000);
  CHECK(c[1].leads());
  CHECK(c[1].term() == 1_t);
}

TEST_CASE("5.2 a candidate that receives AppendEntries of a term at least as large recognises the leader") {
  for (const term_t term : {1_t, 5_t}) {
    auto a = start(1_n, {.members = voters(3)}, plain());
    a->campaign();
    a->take_mail();
    CHECK(a->step(append(2_n, 1_n, term, {}, 0_i, {no_op(1)})));
    CHECK(a->role() == role_kind::follower);
    CHECK(a->leader() == 2_n);
    CHECK(a->term() == term);
    CHECK(a->only<append_entries_reply>().success);
  }
}

TEST_CASE("5.2 a candidate that receives AppendEntries of a smaller term rejects it and stays candidate") {
  auto a = start(1_n, {.term = 3, .members = voters(3)}, plain());
  a->campaign();
  a->take_mail();
  CHECK(a->step(append(2_n, 1_n, 3_t, {}, 0_i, {no_op(3)})));
  CHECK(a->role() == role_kind::candidate);
  CHECK(a->only<append_entries_reply>() == append_entries_reply{});
  CHECK(a->last() == 0_i);
}

TEST_CASE("5.2 so does a pre-candidate: lower, equal and higher term") {
  for (const term_t term : {2_t, 3_t, 4_t}) {
    auto a = start(1_n, {.term = 3, .members = voters(3)});
    a->campaign();
    REQUIRE(a->role() == role_kind::pre_candidate);
    CHECK(a->step(append(2_n, 1_n, term, {}, 0_i, {})));
    CHECK((a->role() == role_kind::follower) == (term >= 3_t));
    CHECK(a->leader() == (term >= 3_t ? 2_n : nobody));
  }
}

TEST_CASE("5.2 if votes are split nobody wins, and each candidate times out and begins a new election") {
  cluster c{4, plain()};
  c[1].campaign();
  c[2].campaign();
  c.deliver(from(1) && to(3));
  c.deliver(from(2) && to(4));
  c.deliver();
  CHECK(leaders(c) == 0);
  CHECK(c[3].vote() == 1_n);
  CHECK(c[4].vote() == 2_n);
  CHECK(c[1].role() == role_kind::candidate);
  CHECK(c[2].role() == role_kind::candidate);
  const ms first = std::min(c[1].deadline(), c[2].deadline());
  CHECK(first <= c.now() + 300);
  server& chosen = c.await_leader();
  CHECK(chosen.term() >= 2_t);
}

TEST_CASE("5.2 votes that cross: two candidates of one term refuse each other") {
  cluster c{2, plain()};
  c[1].campaign();
  c[2].campaign();
  c.deliver();
  CHECK(c[1].role() == role_kind::candidate);
  CHECK(c[2].role() == role_kind::candidate);
  CHECK(c[1].vote() == 1_n);
  CHECK(c[2].vote() == 2_n);
  c.await_leader();
}

TEST_CASE("5.2 votes that cross: the candidate of the later term wins over the one of the former") {
  cluster c{3, plain()};
  c[1].campaign();
  c.drop();
  c[1].campaign();  // term 2
  c[2].campaign();  // term 1
  c.deliver();
  CHECK(c[1].leads());
  CHECK(c[1].term() == 2_t);
  CHECK(c[2].role() == role_kind::follower);
  CHECK(c[2].leader() == 1_n);
}

TEST_CASE("5.2 pre-votes that cross: both may be encouraged, and one leader comes of it") {
  cluster c{3};
  c[1].campaign();
  c[2].campaign();
  c.deliver();
  CHECK(leaders(c) <= 1);
  c.await_leader();
  c.pass(1000);
  CHECK(leaders(c) == 1);
}

TEST_CASE("5.2 all start at once: whatever the order in which the requests arrive, one leader comes of it") {
  // Five candidates of one term, each with a request to each other: some orders of delivery.
  for (std::uint64_t order = 0; order < 40; ++order) {
    setup how = plain();
    how.seed = order;
    cluster c{5, how};
    for (const std::uint64_t id : c.ids()) c[id].campaign();
    auto requests = c.take();
    for (std::size_t k = 0; k < requests.size(); ++k) {
      c.deliver_late({requests[(k * 7 + order) % requests.size()]});
    }
    c.deliver();
    CHECK(leaders(c) == 0);  // each voted for itself
    server& chosen = c.await_leader();
    CHECK(chosen.leads());
    c.pass(500);
    CHECK(leaders(c) == 1);
  }
}

TEST_CASE("5.2 election timeouts are chosen at random from a fixed interval, such as 150 to 300 ms") {
  std::map<ms, int> drawn;
  for (std::uint64_t seed = 0; seed < 600; ++seed) {
    setup how;
    how.seed = seed;
    const ms wait = start(1_n, {.members = voters(3)}, how)->deadline();
    CHECK(wait >= 150);
    CHECK(wait < 300);
    ++drawn[wait / 50];
  }
  for (const auto& [third, count] : drawn) CHECK(count > 120);  // 200 each if they were equal
}

TEST_CASE("5.2 each candidate restarts its randomised timeout at the start of an election") {
  auto a = start(1_n, {.members = voters(3)}, plain());
  const ms first = a->deadline();
  a->now() = first;
  a->tick();
  const ms second = a->deadline() - a->now();
  CHECK(second >= 150);
  CHECK(second < 300);
  CHECK(second != first);
}

TEST_CASE("5.2 a leader that fails is replaced, and its return changes nothing") {
  cluster c{5};
  c.await_leader();
  const node_id first = c[1].leader();
  c.crash(first.value);
  server& second = c.await_leader();
  const term_t term = second.term();
  c.restart(first.value);
  c.pass(2000);
  CHECK(second.leads());
  CHECK(second.term() == term);
  CHECK(leaders(c) == 1);
}

TEST_CASE("5.2 with no more than half of the servers there is no leader") {
  cluster c{4};
  c.crash(3);
  c.crash(4);
  c.pass(5000);
  CHECK(leaders(c) == 0);
}

}  // namespace section_5_2_test
