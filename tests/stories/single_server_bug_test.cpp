// The bug of 2015 in single-server membership changes, found by Diego Ongaro: two leaders of neighbouring terms change
// the membership by one server each, and the two new memberships have majorities that do not meet. What keeps it away:
// a leader begins no change before an entry of its own term is committed [thesis 4.1, erratum].
//
// Four servers, S1 to S4; S5 is about to join.

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace single_server_bug_test {

using namespace raft;
using namespace story;

namespace {

const membership five{{1_n, 2_n, 3_n, 4_n, 5_n}, {}};
const membership without_one{{2_n, 3_n, 4_n}, {}};

/// S1 leads term 1, adds S5, and reaches nobody but S5 with that. Then S2 is elected by S3 and S4 for term 2; its first
/// entry is with S3, and on the way to S4.
cluster two_leaders_later() {
  cluster c{4};
  c.start(5, memory_log{voters(4)});
  c.elect(1);
  CHECK(c[1].propose("a"));
  c.spread();

  c.split({1, 5}, {2, 3, 4});
  REQUIRE(c[1].change(five));
  c.deliver();
  CHECK(c[1].status().configuration == voters(5));
  CHECK(c[5].status().configuration == voters(5));
  CHECK(c[1].commit() == 2_i);  // two of five have it

  c.elect_unheard(2);
  REQUIRE(c[2].term() == 2_t);
  REQUIRE(c[2].status().configuration == voters(4));  // it never heard of S5
  c.drop(to(4));
  c.deliver(to(3));
  c.deliver(to(2));
  REQUIRE(c[3].shape() == "[1:1][2:1][3:2]");
  REQUIRE(c[4].shape() == "[1:1][2:1]");
  return c;
}

}  // namespace

TEST_CASE("the bug's second change is refused: nothing of the new leader's term is committed yet") {
  cluster c = two_leaders_later();
  // Here the bug would remove S1: S2 and S3 are two of {2, 3, 4}, while S1, S4 and S5 are three of {1, 2, 3, 4, 5}.
  CHECK(c[2].commit() == 2_i);
  const auto refused = c[2].change(without_one);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::not_ready);
  CHECK(c[2].shape() == "[1:1][2:1][3:2]");
}

TEST_CASE("once it may, whoever could elect S1 holds a later entry than S1") {
  cluster c = two_leaders_later();
  c.pass(60);  // the next heartbeat brings S4 the entry of term 2: three of four have it
  REQUIRE(c[2].commit() == 3_i);
  REQUIRE(c[2].change(without_one));
  c.deliver();
  REQUIRE(c[2].commit() == 4_i);
  CHECK(c[2].propose("b"));
  c.spread();
  REQUIRE(c[2].state() == "a;b;");

  // S1 comes back with S5 and S4 and the membership of five, in which three votes are enough.
  c.heal();
  c.split({2, 3}, {1, 4, 5});
  for (int election = 0; election < 10; ++election) {
    c.jump(300);
    c[1].campaign();
    c.deliver();
    CHECK_FALSE(c[1].leads());
  }
  c.heal();
  c.pass(3000);
  for (const std::uint64_t id : {2U, 3U, 4U}) CHECK(c[id].state() == "a;b;");
  CHECK(c[2].status().configuration == voters_of({2_n, 3_n, 4_n}));
}

}  // namespace single_server_bug_test
