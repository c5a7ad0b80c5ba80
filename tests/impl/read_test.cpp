// Linearizable reads, impl/read.hpp. "[B127]" and the like name the bug, seen in other engines, that a test guards
// against.

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace impl_read_test {

using namespace raft;
using namespace story;

namespace {

using answers = std::vector<recorder::answered>;

std::unique_ptr<server> leader_of(std::uint64_t n, const setup& how = {}) {
  auto a = start(1_n, {.members = voters(n)}, how);
  win(*a);
  for (std::uint64_t id = 2; id <= n; ++id) CHECK(a->step(say(node_id{id}, 1_n, 1_t, matched(1_i))));
  a->take_mail();
  return a;
}

void echo(server& a, node_id who, std::uint64_t round, index_t index = 1_i) {
  CHECK(a.step(say(who, 1_n, a.term(), matched(index, round))));
}

std::uint64_t round_of(server& a) {
  const auto sent = a.all<append_entries>();
  REQUIRE_FALSE(sent.empty());
  return sent.back().round;
}

}  // namespace

TEST_CASE("read: a single voter answers at once") {
  auto a = start(1_n, {.members = voters(1)});
  win(*a);
  CHECK(a->propose("x"));
  CHECK(a->read(7));
  CHECK(a->machine().reads == answers{{7, read_fate::ready, 2_i, "x;"}});
}

TEST_CASE("read: a round begins at once and is not left to the next heartbeat [B141]") {
  auto a = leader_of(3);
  CHECK(a->read(7));
  const auto mail = a->take_mail();
  REQUIRE(mail.size() == 2);
  CHECK(mail[0].what.to == 2_n);
  CHECK(mail[1].what.to == 3_n);
  CHECK(mail[0].as<append_entries>().round == 1);
  CHECK(a->machine().reads.empty());
  echo(*a, 3_n, 1);
  CHECK(a->machine().reads == answers{{7, read_fate::ready, 1_i, ""}});
}

TEST_CASE("read: a context that is asked again is another read, with a round of its own [etcd#20418]") {
  auto a = leader_of(3);
  CHECK(a->read(7));
  echo(*a, 2_n, 1);
  REQUIRE(a->machine().reads.size() == 1);
  CHECK(a->propose("x"));
  echo(*a, 2_n, 1, 2_i);
  CHECK(a->read(7));
  a->take_mail();
  echo(*a, 3_n, 1, 2_i);  // confirms the first time only
  CHECK(a->machine().reads.size() == 1);
  echo(*a, 3_n, 2, 2_i);
  CHECK(a->machine().reads == answers{{7, read_fate::ready, 1_i, ""}, {7, read_fate::ready, 2_i, "x;"}});
}

TEST_CASE("read: an echo of an earlier round confirms nothing") {
  auto a = leader_of(3);
  a->pass(50);  // round 1, a heartbeat
  a->take_mail();
  CHECK(a->read(7));
  CHECK(round_of(*a) == 2);
  echo(*a, 2_n, 1);
  echo(*a, 3_n, 1);
  CHECK(a->machine().reads.empty());
  echo(*a, 2_n, 2);
  CHECK(a->machine().reads.size() == 1);
}

TEST_CASE("read: in a cluster of five it takes the echoes of two others") {
  auto a = leader_of(5);
  CHECK(a->read(7));
  echo(*a, 2_n, 1);
  echo(*a, 2_n, 1);
  CHECK(a->machine().reads.empty());
  echo(*a, 9_n, 1);
  CHECK(a->machine().reads.empty());
  echo(*a, 4_n, 1);
  CHECK(a->machine().reads.size() == 1);
}

TEST_CASE("read: learners do not confirm") {
  configuration members = voters(3);
  members.learners = {4_n, 5_n};
  auto a = start(1_n, {.members = members});
  win(*a);
  echo(*a, 2_n, 0);
  CHECK(a->read(7));
  echo(*a, 4_n, 1, 0_i);
  echo(*a, 5_n, 1, 0_i);
  CHECK(a->machine().reads.empty());
  echo(*a, 2_n, 1);
  CHECK(a->machine().reads.size() == 1);
}

TEST_CASE("read: a refusal echoes its round, too: the sender is still followed") {
  auto a = start(1_n, {.term = 1, .members = voters(3), .log = {{1, "a"}}});
  win(*a);
  echo(*a, 2_n, 0, 2_i);
  CHECK(a->read(7));
  CHECK(a->step(say(3_n, 1_n, 2_t, refused(1_i, {}, 0_i, 1))));
  CHECK(a->machine().reads.size() == 1);
}

TEST_CASE("read: a new leader's read waits for the first commit of its term [B127]") {
  cluster c{3};
  c.elect(1);
  c.spread();
  CHECK(c[1].propose("x"));
  c.deliver(to(2));
  c.deliver(to(1));
  REQUIRE(c[1].commit() == 2_i);  // committed, and the client was told so
  REQUIRE(c[2].commit() == 1_i);  // which server 2 does not know
  c.drop();
  c.crash(1);
  c.elect_unheard(2);
  CHECK(c[2].read(7));
  // A quorum confirms that it leads; nothing of its term is committed.
  const auto beats = among(c.take(), to(3) && kind<append_entries>());
  for (const letter& l : beats) {
    if (l.as<append_entries>().entries.empty()) c.deliver_late({l});
  }
  c.deliver(to(2));
  CHECK(c[2].machine().reads.empty());
  c.spread();
  CHECK(c[2].machine().reads == answers{{7, read_fate::ready, 3_i, "x;"}});
}

TEST_CASE("read: a leader that was cut off answers nothing from its old state [B129]") {
  cluster c{3};
  c.elect(1);
  CHECK(c[1].propose("old"));
  c.spread();
  c.isolate(1);
  c.elect(2);
  CHECK(c[2].propose("new"));
  c.deliver();
  CHECK(c[1].leads());
  CHECK(c[1].read(7));
  c.deliver();
  CHECK(c[1].machine().reads.empty());
  c.heal();
  c.pass(100);
  CHECK(c[1].machine().reads.size() == 1);
  CHECK(c[1].machine().reads[0].what == read_fate::dropped);
}

TEST_CASE("read: every read that a round confirms is answered, in the order in which they were asked [B138]") {
  auto a = leader_of(3);
  CHECK(a->read(1));
  for (const std::uint64_t context : {2U, 3U, 4U}) CHECK(a->read(context));
  echo(*a, 2_n, 1);
  REQUIRE(a->machine().reads.size() == 1);
  CHECK(a->machine().reads[0].context == 1);
  echo(*a, 2_n, 2);
  REQUIRE(a->machine().reads.size() == 4);
  for (std::uint64_t k = 0; k < 4; ++k) CHECK(a->machine().reads[k].context == k + 1);
}

TEST_CASE("begin_round_for_reads: what is asked while a round is under way shares the next one") {
  auto a = leader_of(3);
  CHECK(a->read(1));
  CHECK(round_of(*a) == 1);
  for (std::uint64_t context = 2; context < 100; ++context) CHECK(a->read(context));
  CHECK(a->take_mail().empty());
  CHECK(a->status().pending_reads == 99);
  echo(*a, 3_n, 1);
  CHECK(round_of(*a) == 2);
  echo(*a, 3_n, 2);
  CHECK(a->machine().reads.size() == 99);
  CHECK(a->take_mail().empty());
}

TEST_CASE("begin_round_for_reads: a heartbeat's round serves the reads that wait for one") {
  auto a = leader_of(3);
  CHECK(a->read(1));  // round 1, and its echoes are lost
  CHECK(a->read(2));
  a->take_mail();
  a->pass(50);
  CHECK(round_of(*a) == 2);
  echo(*a, 2_n, 2);
  CHECK(a->machine().reads.size() == 2);
}

TEST_CASE("read: the answer waits until the state machine shows what was committed when the read was asked") {
  setup how;
  how.elsewhere = true;
  auto a = leader_of(3, how);
  CHECK(a->propose("x"));
  echo(*a, 2_n, 0, 2_i);
  REQUIRE(a->commit() == 2_i);
  CHECK(a->read(7));
  echo(*a, 2_n, 1, 2_i);
  CHECK(a->machine().reads.empty());
  CHECK(a->executed(2_i));
  CHECK(a->machine().reads == answers{{7, read_fate::ready, 2_i, "x;"}});
}

TEST_CASE("read: what is proposed later is not waited for") {
  auto a = leader_of(3);
  CHECK(a->read(7));
  CHECK(a->propose("later"));
  echo(*a, 2_n, 1);
  CHECK(a->machine().reads == answers{{7, read_fate::ready, 1_i, ""}});
}

TEST_CASE("leave_leadership: reads that are not confirmed are dropped, each once") {
  auto a = leader_of(3);
  for (const std::uint64_t context : {1U, 2U, 3U}) CHECK(a->read(context));
  CHECK(a->step(say(2_n, 1_n, 2_t, append_entries_reply{})));
  REQUIRE(a->machine().reads.size() == 3);
  for (std::uint64_t k = 0; k < 3; ++k) {
    CHECK(a->machine().reads[k].context == k + 1);
    CHECK(a->machine().reads[k].what == read_fate::dropped);
  }
  win(*a);
  echo(*a, 2_n, 0, a->last());
  CHECK(a->machine().reads.size() == 3);
}

TEST_CASE("fail: a failed write drops the reads") {
  auto a = leader_of(3);
  CHECK(a->read(1));
  a->log().failing = "all";
  (void)a->propose("x");
  REQUIRE(a->machine().reads.size() == 1);
  CHECK(a->machine().reads[0].what == read_fate::dropped);
  CHECK(a->read(2).error().code == errc::failed);
}

namespace {

/// Server 2, in term 3 by now, answers `old`, of the leader of term 1; that leads term 3 when the answer comes, and a
/// read waits there. Answers the answer.
letter answered_in_the_next_leadership(server& a, const letter& old) {
  auto b = start(2_n, {.term = 3, .members = voters(3)});
  CHECK(b->step(old));
  letter answer = b->take_mail().at(0);
  CHECK(answer.what.term == 3_t);
  CHECK(a.step(say(3_n, 1_n, 2_t, append_entries_reply{})));
  win(a);
  REQUIRE(a.term() == 3_t);
  echo(a, 3_n, 0, a.last());
  CHECK(a.read(7));
  CHECK(a.step(answer));
  return answer;
}

}  // namespace

TEST_CASE("answer_lower_term: an answer to a former leadership's round does not confirm the present one") {
  auto a = leader_of(3);
  a->pass(50);
  const auto old = a->all<append_entries>().back().round;  // round 1 of term 1
  CHECK(old == 1);
  answered_in_the_next_leadership(*a, append(1_n, 2_n, 1_t, {}, 0_i, {}, old));
  CHECK(a->machine().reads.empty());
}

TEST_CASE("answer_lower_term: nor does an answer to a chunk of a former leadership") {
  auto a = leader_of(3);
  a->pass(50);
  letter part = chunk(1_n, 2_n, 1_t, {9_i, 1_t}, voters(3), "image", 0, 5);
  std::get<install_snapshot>(part.what.body).round = a->all<append_entries>().back().round;
  CHECK_FALSE(answered_in_the_next_leadership(*a, part).as<install_snapshot_reply>().installed);
  CHECK(a->machine().reads.empty());
}

}  // namespace impl_read_test
