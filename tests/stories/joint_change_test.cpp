// From {1, 2, 3} to {3, 4, 5} in one change, led by server 1, which is not among the new ones [paper §6, Figure 11].

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace joint_change_test {

using namespace raft;
using namespace story;

namespace {

const membership old_ones{{1_n, 2_n, 3_n}, {}};
const membership new_ones{{3_n, 4_n, 5_n}, {}};

cluster before_the_change() {
  cluster c{3};
  for (const std::uint64_t id : {4U, 5U}) c.start(id, memory_log{voters(3)});
  c.elect(1);
  CHECK(c[1].propose("a"));
  c.spread();
  return c;
}

/// Everybody in the membership of three has this state, and one of them leads it.
void all_is_well(cluster& c, const std::string& state) {
  server& chosen = c.await_leader();
  CHECK(new_ones.voters.end() != std::ranges::find(new_ones.voters, chosen.status().id));
  CHECK(chosen.status().configuration == voters_of(new_ones.voters));
  CHECK(chosen.propose("last"));
  c.spread();
  for (const node_id id : new_ones.voters) CHECK(c[id.value].state() == state + "last;");
}

}  // namespace

TEST_CASE("Cold,new is in force as soon as it is in the log, and decides by both majorities") {
  cluster c = before_the_change();
  REQUIRE(c[1].change(new_ones));
  const configuration joint = c[1].status().configuration;
  CHECK(joint.voters == new_ones.voters);
  CHECK(joint.outgoing == old_ones.voters);

  // On 4 and 5 it is two of the new ones; of the old ones server 1 alone has it.
  c.split({1, 4, 5}, {2, 3});
  c.pass(60);
  CHECK(c[4].status().configuration == joint);
  CHECK(c[1].commit() == 2_i);
  // With 2 it is two of the old ones; of the new ones nobody has the command behind it.
  c.heal();
  c.split({1, 2}, {3, 4, 5});
  CHECK(c[1].propose("b"));
  c.pass(60);
  CHECK(c[2].status().configuration == joint);
  CHECK(c[1].commit() == 3_i);
  // With 3 and 4 it is a majority of each half.
  c.heal();
  c.isolate(5);
  c.pass(200);
  CHECK(c[1].commit() >= 4_i);
}

TEST_CASE("server 1 leads until Cnew is committed, without counting itself, and then it is over") {
  cluster c = before_the_change();
  REQUIRE(c[1].change(new_ones));
  CHECK(c[1].propose("b"));
  c.split({1, 2}, {4, 5});
  c.pass(60);
  CHECK(c[1].commit() < 3_i);
  c.heal();
  c.deliver();
  c.pass(2000);
  CHECK_FALSE(c[1].leads());
  CHECK_FALSE(c[2].leads());
  CHECK(c[3].commit() >= 5_i);  // the no-op, a, Cold,new, b, Cnew
  // The old ones are switched off for good; nobody misses them.
  c.crash(1);
  c.crash(2);
  all_is_well(c, "a;b;");
}

TEST_CASE("whoever is elected in the middle goes on: the change ends without anybody asking again") {
  cluster c = before_the_change();
  CHECK(c[1].propose("b"));
  c.spread();
  REQUIRE(c[1].change(new_ones));
  // Everybody has Cold,new, and server 1 is gone before anybody hears that it is committed.
  c.deliver(any);
  c.crash(1);
  c.pass(5000);
  c.crash(2);
  all_is_well(c, "a;b;");
}

TEST_CASE("whoever is elected without the change undoes it: what was not committed was not promised") {
  cluster c = before_the_change();
  c.isolate(1);
  const auto asked = c[1].change(new_ones);
  REQUIRE(asked);
  CHECK(c[1].status().configuration.joint());
  c.elect(2);
  c.heal();
  c.pass(1000);
  for (const std::uint64_t id : {1U, 2U, 3U}) CHECK(c[id].status().configuration == voters(3));
  CHECK(c[1].machine().fates.back().first == asked->index);
  CHECK(c[1].machine().fates.back().what == fate::dropped);
}

}  // namespace joint_change_test
