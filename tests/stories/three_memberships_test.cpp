// Stickiness that wedges [B115]: a server takes a live peer, which leads no longer, for its leader, and refuses its
// vote to the only one that can be elected. Three memberships, C1 = {1, 2, 3}, C2 = {1}, C3 = {2, 3}; server 1 leads
// through all of them. Server 3 heard of C1 only: it still takes server 1 for its leader when C3 needs its vote.

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace three_memberships_test {

using namespace raft;
using namespace story;

TEST_CASE("a server that followed a leader which was removed meanwhile gives its vote to who can be elected") {
  cluster c{3};
  c.elect(1);
  CHECK(c[1].propose("a"));
  c.spread();

  // C1 to C2, through a joint membership: server 3 hears nothing of it.
  c.cut(1, 3);
  REQUIRE(c[1].change({{1_n}, {}}));
  c.pass(40);
  REQUIRE(c[1].status().configuration == voters(1));
  REQUIRE(c[1].commit() == c[1].last());
  // C2 to C3, of which server 1 is no member. Server 3 gets none of it before server 1 is done.
  REQUIRE(c[1].change({{2_n, 3_n}, {}}));
  c.heal();
  for (int turn = 0; turn < 20 && c[1].leads(); ++turn) {
    // Server 3 takes in what commits C3, and not who is in it: of the two last words only the entries get through.
    c.deliver();
    c.pass(10);
  }
  REQUIRE_FALSE(c[1].leads());

  // Server 1 is up, hears both of the others, and leads nobody. Two election timeouts are patience enough.
  const ms silent = c.now();
  server& chosen = c.await_leader();
  CHECK(c.now() - silent <= 2 * 300);
  CHECK(chosen.status().id != 1_n);
  CHECK(chosen.propose("b"));
  c.spread();
  CHECK(c[2].state() == "a;b;");
  CHECK(c[3].state() == "a;b;");
}

TEST_CASE(
    "the moment of the wedge: one holds C3, the other C1 and the memory of a leader that is up and leads no more") {
  cluster c{3};
  configuration last = voters_of({2_n, 3_n});
  // Server 2 has the whole log; server 3 ends with C1, and hears server 1's last heartbeat just now.
  c.start(1, {.term = 1, .vote = 1, .members = voters(3), .log = {no_op(1), members(1, voters(1)), members(1, last)}});
  c.start(2, {.term = 1, .vote = 1, .members = voters(3), .log = {no_op(1), members(1, voters(1)), members(1, last)}});
  c.start(3, {.term = 1, .vote = 1, .members = voters(3), .log = {no_op(1)}});
  CHECK(c[3].step(append(1_n, 3_n, 1_t, {1_i, 1_t}, 1_i, {})));
  REQUIRE(c[3].leader() == 1_n);
  c.drop();

  c[2].campaign();
  c.deliver();
  CHECK_FALSE(c[2].leads());  // server 3 heard its leader a moment ago, and is right to wait
  server& chosen = c.await_leader(3 * 300);
  CHECK(chosen.status().id != 1_n);
  CHECK(c[3].status().configuration == last);
}

}  // namespace three_memberships_test
