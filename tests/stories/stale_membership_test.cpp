// Two memberships that a server must not go back to: the one in its log below a snapshot that it was sent [B82], and
// the snapshot's where the log has a later one that stays [B109].

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace stale_membership_test {

using namespace raft;
using namespace story;

TEST_CASE("B82: a snapshot's membership is in force, whatever stood in the log that it replaces") {
  // Servers 1 to 3 became 1 to 5. Server 3 was away, and holds another change, to {3} alone, that was never committed:
  // with it server 3 would elect itself.
  cluster c{voters(5)};
  c.start(3, {.term = 1, .members = voters(3), .log = {no_op(1), {1, "a"}, {1, "b"}, members(1, voters_of({3_n}))}});
  REQUIRE(c[3].status().configuration == voters_of({3_n}));
  CHECK(c[3].step(chunk(1_n, 3_n, 2_t, {8_i, 2_t}, voters(5), "a;b;", 0, 4)));
  CHECK(c[3].status().configuration == voters(5));
  CHECK(c[3].status().configuration_index == 0_i);
  c.drop();

  const auto alone = [&c] {
    c.split({3}, {1, 2, 4, 5});
    for (int election = 0; election < 5; ++election) {
      c.jump(300);
      c[3].campaign();
      c.deliver();
      CHECK_FALSE(c[3].leads());
    }
  };
  alone();
  c.heal();
  c.restart(3);  // and what its disk holds says the same
  CHECK(c[3].status().configuration == voters(5));
  alone();
}

TEST_CASE("B109: what a truncation brings back is the membership before it in the log, not the snapshot's") {
  // Members are 1 to 4 since entry 5, which is committed; entry 9, of a deposed leader, would make them 1 to 5.
  const std::vector<written> log{no_op(1),
                                 {1, "a"},
                                 {1, "b"},
                                 {1, "c"},
                                 members(1, voters(4)),
                                 {1, "d"},
                                 {1, "e"},
                                 {1, "f"},
                                 members(1, voters(5))};
  auto b = start(2_n, {.term = 1, .members = voters(3), .log = log});
  REQUIRE(b->status().configuration == voters(5));
  CHECK(b->step(append(3_n, 2_n, 2_t, {8_i, 1_t}, 7_i, {no_op(2)})));
  CHECK(b->status().configuration == voters(4));
  CHECK(b->status().configuration_index == 5_i);

  // A snapshot of the committed part says who the members are there, to a restart and to whoever is sent it.
  REQUIRE(b->take_snapshot());
  CHECK(b->log().image().snapshot().index == 7_i);
  CHECK(b->log().image().snapshot().configuration == voters(4));
  auto again = try_start(2_n, b->log().disk());
  REQUIRE(again);
  CHECK((*again)->status().configuration == voters(4));
}

}  // namespace stale_membership_test
