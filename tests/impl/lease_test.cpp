// Reads by lease, impl/read.hpp and lease.hpp, and the promises that they rest on, impl/election.hpp. "[B132]" and the
// like name the bug, seen in other engines, that a test guards against.
//
// The options are the defaults: a promise lasts 150 ms, clocks differ by at most 100 in 1000, so a lease lasts 135 ms.

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace impl_lease_test {

using namespace raft;
using namespace story;

namespace {

using answers = std::vector<recorder::answered>;

setup with_leases() {
  setup how;
  how.options.lease_reads = true;
  return how;
}

void echo(server& a, node_id who, std::uint64_t round, index_t index = 1_i) {
  CHECK(a.step(say(who, 1_n, a.term(), matched(index, round))));
}

/// Leads three voters since time 150; its no-op is committed. It started, and promised, at time 0.
std::unique_ptr<server> leader_with_leases() {
  auto a = start(1_n, {.members = voters(3)}, with_leases());
  a->now() = 150;
  win(*a);
  echo(*a, 2_n, 0);
  echo(*a, 3_n, 0);
  a->take_mail();
  return a;
}

/// The same with a lease from time 200 on.
std::unique_ptr<server> holder() {
  auto a = leader_with_leases();
  a->pass(50);  // a heartbeat, round 1
  echo(*a, 2_n, 1);
  a->take_mail();
  return a;
}

/// Whether a read is answered without a message.
bool at_once(server& a, std::uint64_t context) {
  const std::size_t before = a.machine().reads.size();
  REQUIRE(a.read(context));
  return a.take_mail().empty() && a.machine().reads.size() == before + 1 &&
         a.machine().reads.back().context == context && a.machine().reads.back().what == read_fate::ready;
}

bool granted(server& s, node_id candidate, term_t term) {
  s.take_mail();
  CHECK(s.step(say(candidate, s.status().id, term, request_vote{9_i, term_t{term.value - 1}})));
  const auto mail = s.take_mail();
  return !mail.empty() && mail[0].as<request_vote_reply>().granted;
}

}  // namespace

TEST_CASE("lease: off unless asked for") {
  auto a = start(1_n, {.members = voters(3)});
  win(*a);
  echo(*a, 2_n, 0);
  a->pass(50);
  echo(*a, 2_n, 1);
  a->take_mail();
  CHECK_FALSE(at_once(*a, 7));
}

TEST_CASE("lease: lasts from the sending of the round that a quorum echoed") {
  auto a = leader_with_leases();
  a->pass(50);  // 200: round 1 leaves
  a->take_mail();
  a->now() = 240;
  CHECK_FALSE(at_once(*a, 1));  // nobody echoed it
  auto b = leader_with_leases();
  b->pass(50);
  b->now() = 240;
  echo(*b, 2_n, 1);
  b->take_mail();
  CHECK(at_once(*b, 1));
  b->now() = 334;
  CHECK(at_once(*b, 2));
  b->now() = 335;
  CHECK_FALSE(at_once(*b, 3));
}

TEST_CASE("lease: takes a quorum, and learners and strangers are none") {
  configuration members = voters(5);
  members.learners = {6_n, 7_n};
  auto a = start(1_n, {.members = members}, with_leases());
  a->now() = 150;
  win(*a);
  echo(*a, 2_n, 0);
  echo(*a, 3_n, 0);
  a->pass(50);
  echo(*a, 2_n, 1);
  echo(*a, 6_n, 1);
  echo(*a, 7_n, 1);
  echo(*a, 9_n, 1);
  a->take_mail();
  CHECK_FALSE(at_once(*a, 1));
  echo(*a, 4_n, 2);
  a->take_mail();
  CHECK(a->machine().reads.empty());  // 2 and 4 echoed, but 2 not this round
  echo(*a, 2_n, 2);
  CHECK(a->machine().reads.size() == 1);
  CHECK(at_once(*a, 2));
}

TEST_CASE("lease: is renewed by each heartbeat that is echoed, reads or none") {
  auto a = holder();
  for (std::uint64_t round = 2; round < 40; ++round) {
    a->pass(50);
    echo(*a, 3_n, round);
    a->take_mail();
  }
  CHECK(at_once(*a, 1));
}

TEST_CASE("lease: many reads are answered in order, and wait for those before them") {
  auto a = leader_with_leases();
  REQUIRE(a->read(1));  // takes a round, and so begins the lease
  a->take_mail();
  REQUIRE(a->read(2));
  CHECK(a->machine().reads.empty());
  echo(*a, 2_n, 1);
  REQUIRE(a->machine().reads.size() == 1);
  REQUIRE(a->read(3));  // there is a lease; read 2 waits for round 2 all the same
  CHECK(a->machine().reads.size() == 1);
  echo(*a, 2_n, 2);
  REQUIRE(a->machine().reads.size() == 3);
  CHECK(a->machine().reads[1].context == 2);
  CHECK(a->machine().reads[2].context == 3);
}

TEST_CASE("lease: a new leader's read waits for the first commit of its term all the same [B127]") {
  auto a = start(1_n, {.term = 1, .members = voters(3), .log = {{1, "x"}}}, with_leases());
  a->now() = 150;
  win(*a);
  a->pass(50);
  CHECK(a->step(say(2_n, 1_n, 2_t, refused(1_i, {}, 0_i, 1))));
  CHECK(a->step(say(3_n, 1_n, 2_t, refused(1_i, {}, 0_i, 1))));
  a->take_mail();
  REQUIRE(a->read(7));
  CHECK(a->machine().reads.empty());
  echo(*a, 2_n, 1, 2_i);
  CHECK(a->machine().reads == answers{{7, read_fate::ready, 2_i, "x;"}});
}

TEST_CASE("lease: shows what is committed, and waits until that is applied") {
  setup how = with_leases();
  how.elsewhere = true;
  auto a = start(1_n, {.members = voters(3)}, how);
  a->now() = 150;
  win(*a);
  echo(*a, 2_n, 0);
  CHECK(a->propose("x"));
  a->pass(50);
  echo(*a, 2_n, 1, 2_i);
  CHECK(a->read(7));
  CHECK(a->machine().reads.empty());
  CHECK(a->executed(2_i));
  CHECK(a->machine().reads == answers{{7, read_fate::ready, 2_i, "x;"}});
}

TEST_CASE("lease: a jump of the clock ends it, and so does a clock that goes back") {
  auto a = holder();
  CHECK(at_once(*a, 1));
  a->now() += 1000;
  CHECK_FALSE(at_once(*a, 2));
  auto b = holder();
  b->now() = 260;
  CHECK(at_once(*b, 1));
  b->now() = 259;
  CHECK_FALSE(at_once(*b, 2));
  b->now() = 270;
  CHECK_FALSE(at_once(*b, 3));  // who knows how long it was gone
  echo(*b, 2_n, 2);
  b->take_mail();
  REQUIRE(b->machine().reads.size() >= 2);
}

TEST_CASE("lease: a change of the membership ends it, and what was echoed before does not bring it back") {
  for (const bool joint : {false, true}) {
    auto a = holder();
    REQUIRE(at_once(*a, 1));
    CHECK(a->change(joint ? membership{{1_n, 4_n, 5_n}, {}} : membership{{1_n, 2_n, 3_n, 4_n}, {}}));
    echo(*a, 3_n, 1);
    a->take_mail();
    CHECK_FALSE(at_once(*a, 2));
  }
}

TEST_CASE("lease: ends when leadership begins to be handed over, before the target is asked to stand [B132]") {
  auto a = holder();
  CHECK(a->propose("x"));
  a->take_mail();
  CHECK(at_once(*a, 1));
  CHECK(a->transfer_to(3_n));  // which lacks that entry
  CHECK(among(a->take_mail(), kind<timeout_now>()).empty());
  CHECK_FALSE(at_once(*a, 2));
}

TEST_CASE("lease: dies with the leadership") {
  auto a = holder();
  CHECK(a->step(say(2_n, 1_n, 2_t, append_entries_reply{})));
  CHECK(a->read(1).error().code == errc::not_leader);
  a->now() += 150;
  win(*a);
  CHECK_FALSE(at_once(*a, 2));
}

// ---------------------------------------------------------------------------------------------------- the promise

TEST_CASE("vote_promise: a server that starts votes for nobody for the smallest election timeout [B136]") {
  auto b = start(2_n, {.term = 1, .members = voters(3)}, with_leases());
  CHECK_FALSE(granted(*b, 3_n, 2_t));
  CHECK(b->term() == 1_t);
  b->campaign();
  CHECK(b->role() == role_kind::follower);
  b->now() = 149;
  CHECK_FALSE(granted(*b, 3_n, 2_t));
  b->now() = 150;
  CHECK(granted(*b, 3_n, 2_t));
  // Without leases it may at once.
  CHECK(granted(*start(2_n, {.term = 1, .members = voters(3)}), 3_n, 2_t));
}

TEST_CASE("vote_promise: is not asked for in vain by a pre-vote") {
  auto b = start(2_n, {.term = 1, .members = voters(3)}, with_leases());
  CHECK(b->step(say(3_n, 2_n, 1_t, request_pre_vote{9_i, 1_t})));
  CHECK_FALSE(b->only<request_pre_vote_reply>().granted);
  b->now() = 150;
  CHECK(b->step(say(3_n, 2_n, 1_t, request_pre_vote{9_i, 1_t})));
  CHECK(b->only<request_pre_vote_reply>().granted);
}

TEST_CASE("vote_promise: outlives the term in which it was given") {
  auto b = start(2_n, {.members = voters(3)}, with_leases());
  b->now() = 1000;
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {}, 1)));
  // Something else than a vote tells it of a higher term, and it forgets its leader.
  CHECK(b->step(say(3_n, 2_n, 2_t, append_entries_reply{})));
  REQUIRE(b->leader() == nobody);
  CHECK_FALSE(granted(*b, 3_n, 2_t));
  CHECK_FALSE(granted(*b, 3_n, 3_t));
  CHECK(granted(*b, 1_n, 2_t));  // whose lease it was
  auto c = start(2_n, {.members = voters(3)}, with_leases());
  c->now() = 1000;
  CHECK(c->step(append(1_n, 2_n, 1_t, {}, 0_i, {}, 1)));
  CHECK(c->step(say(3_n, 2_n, 2_t, append_entries_reply{})));
  c->now() = 1150;
  CHECK(granted(*c, 3_n, 2_t));
}

TEST_CASE("vote_promise: a campaign that is asked for waits until it is over") {
  for (const bool pre_vote : {false, true}) {
    setup how = with_leases();
    how.options.pre_vote = pre_vote;
    auto b = start(2_n, {.members = voters(3)}, how);
    b->now() = 1000;
    CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {}, 1)));
    b->take_mail();
    b->campaign();
    CHECK(b->role() == role_kind::follower);
    CHECK(b->term() == 1_t);
    CHECK(b->take_mail().empty());
    CHECK(b->deadline() == 1150);
    b->pass(150);
    CHECK(b->role() != role_kind::follower);
  }
}

TEST_CASE("lease: nobody is elected while a leader that is cut off may still answer from its state") {
  cluster c{3, with_leases()};
  c.elect(1);
  CHECK(c[1].propose("old"));
  c.spread();
  c.pass(50);
  c.isolate(1);
  const ms cut_at = c.now();
  std::uint64_t context = 0;
  ms last_answer = 0;
  while (!c[2].leads() && !c[3].leads()) {
    c.pass(1);
    REQUIRE(c.now() < cut_at + 2000);
    if (!c[1].leads()) continue;
    const std::size_t before = c[1].machine().reads.size();
    CHECK(c[1].read(++context));
    if (c[1].machine().reads.size() > before && c[1].machine().reads.back().what == read_fate::ready) {
      last_answer = c.now();
    }
  }
  CHECK(last_answer > cut_at + 50);  // it answered for a while
  CHECK(last_answer < cut_at + 135);
  CHECK(c.now() >= cut_at + 100);
}

}  // namespace impl_lease_test
