// Figure 8 of the paper: why a leader never commits an entry of an earlier term by counting [paper §5.4.2, B60]. Five
// servers; entry 2 of term 2 gets to three of them, and may still be overwritten (d); once an entry of the leader's own
// term is on a majority, it may not (e). Entries are written index:term.

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace figure_8_test {

using namespace raft;
using namespace story;

TEST_CASE(
    "Figure 8: an entry of an earlier term, on a majority, is not committed before one of the leader's own term is") {
  cluster c{5};
  const auto members = voters(5);
  // (a) S1 leads term 2 and has replicated entry 2 on S2 only.
  c.start(1, {.term = 2, .vote = 1, .members = members, .log = {{1, "a"}, {2, "two"}}});
  c.start(2, {.term = 2, .vote = 1, .members = members, .log = {{1, "a"}, {2, "two"}}});
  c.start(3, {.term = 3, .vote = 5, .members = members, .log = {{1, "a"}}});
  c.start(4, {.term = 3, .vote = 5, .members = members, .log = {{1, "a"}}});
  // (b) S1 crashed; S5 was elected for term 3 by S3, S4 and itself, and has another entry 2.
  c.start(5, {.term = 3, .vote = 5, .members = members, .log = {{1, "a"}, {3, "three"}}});
  c.crash(5);

  // (c) S5 crashed; S1 restarts, is elected for term 4, and goes on replicating: entry 2 gets to S3.
  c.jump(150);
  c[1].campaign();
  c.deliver(kind<request_pre_vote>());
  c.deliver(kind<request_pre_vote_reply>());
  for (int round = 0; round < 5 && c[1].term() < 4_t; ++round) {  // it learns of term 3 from S3 and S4
    c.drop();
    c.jump(300);
    c[1].campaign();
    c.deliver(kind<request_pre_vote>());
    c.deliver(kind<request_pre_vote_reply>());
  }
  c.deliver(kind<request_vote>());
  c.deliver(kind<request_vote_reply>());
  REQUIRE(c[1].leads());
  REQUIRE(c[1].term() == 4_t);
  REQUIRE(c[1].shape() == "[1:1][2:2][3:4]");
  c.drop();
  // Its own entry of term 4 stays behind: S3 gets no more than entry 2.
  CHECK(c[3].step(append(1_n, 3_n, 4_t, {1_i, 1_t}, 0_i, {{2, "two"}})));
  CHECK(c[2].step(append(1_n, 2_n, 4_t, {2_i, 2_t}, 0_i, {})));
  c.deliver(to(1));
  CHECK(c[1].peer(2).match == 2_i);
  CHECK(c[1].peer(3).match == 2_i);
  CHECK(c[1].commit() == 0_i);  // on three of five, and not committed
  c.drop();

  SUBCASE("(d) S1 crashes, and S5 overwrites entry 2 everywhere") {
    c.crash(1);
    c.restart(5);
    // S2, S3 and S4 know a later term than S5, but have no later entry than its own.
    for (int round = 0; round < 5 && !c[5].leads(); ++round) {
      c.jump(300);
      c[5].campaign();
      c.deliver();
    }
    REQUIRE(c[5].leads());
    c.spread();
    for (const std::uint64_t id : c.ids()) {
      CHECK(c[id].shape().starts_with("[1:1][2:3]"));
      CHECK(c[id].state() == "a;three;");
    }
  }
  SUBCASE("(e) S1 replicates an entry of its own term on a majority: with it entry 2 is committed for good") {
    c.pass(60);
    CHECK(c[1].commit() == 3_i);
    CHECK(c[1].state() == "a;two;");
    c.crash(1);
    c.restart(5);
    c.drop();
    c.jump(300);
    c[5].campaign();
    c.deliver();
    CHECK_FALSE(c[5].leads());
    c.await_leader();
    c.spread();
    for (const std::uint64_t id : c.ids()) CHECK(c[id].state() == "a;two;");
  }
}

}  // namespace figure_8_test
