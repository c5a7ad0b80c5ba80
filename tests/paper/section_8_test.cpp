// Section 8 of the paper, client interaction: a test for each sentence that can be tested. The names are the sentences,
// in our words.

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace section_8_test {

using namespace raft;
using namespace story;

TEST_CASE("8 a server that is not the leader rejects a request and tells of the most recent leader it heard from") {
  cluster c{3};
  c.elect(2);
  for (const std::uint64_t id : {1U, 3U}) CHECK(c[id].propose("x").error().leader == 2_n);
  c.crash(2);
  c.elect(3);
  CHECK(c[1].propose("x").error().leader == 3_n);
}

TEST_CASE("8 if the leader crashes, what a client asked for ends all the same, or it is told that nobody knows") {
  cluster c{3};
  c.elect(1);
  CHECK(c[1].propose("x"));
  c.drop();
  c.isolate(1);
  c.pass(3000);
  REQUIRE(c[1].machine().fates.size() == 1);
  CHECK(c[1].machine().fates[0].what == fate::unknown);
}

TEST_CASE("8 a read must not return stale data: the leader has to have committed an entry of its term") {
  auto a = start(1_n, {.term = 1, .members = voters(3), .log = {{1, "x"}}});
  win(*a);
  CHECK(a->read(7));
  CHECK(a->step(say(2_n, 1_n, 2_t, matched(1_i, 1))));  // the round is confirmed, nothing is committed
  CHECK(a->machine().reads.empty());
  CHECK(a->step(say(2_n, 1_n, 2_t, matched(2_i, 1))));
  REQUIRE(a->machine().reads.size() == 1);
  CHECK(a->machine().reads[0] == recorder::answered{7, read_fate::ready, 2_i, "x;"});
}

TEST_CASE("8 each leader commits a blank no-op entry at the start of its term") {
  cluster c{3};
  c.elect(1);
  CHECK(read(c[1].log().image()) == std::vector<written>{no_op(1)});
  CHECK(c[1].commit() == 1_i);
  CHECK(c[1].state().empty());
  c.crash(1);
  c.elect(2);
  CHECK(read(c[2].log().image()) == std::vector<written>{no_op(1), no_op(2)});
}

TEST_CASE("8 the leader checks that it has not been deposed before it answers a read: heartbeats with a majority") {
  cluster c{5};
  c.elect(1);
  c.spread();
  CHECK(c[1].read(7));
  c.deliver(to(2));
  c.deliver(to(1));
  CHECK(c[1].machine().reads.empty());  // two of five
  c.deliver(to(3));
  c.deliver(to(1));
  CHECK(c[1].machine().reads.size() == 1);

  c.isolate(1);
  c.elect(4);
  CHECK(c[4].propose("new"));
  c.deliver();
  CHECK(c[1].read(8));
  c.pass(1000);
  CHECK(c[1].machine().reads.back().what == read_fate::dropped);
}

}  // namespace section_8_test
