// Events: each is told once, with what it promises; an observer takes those that it wants; none costs nothing.

#include <doctest/doctest.h>
#include <raft/observer.hpp>

#include <type_traits>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace observer_test {

using namespace raft;
using namespace story;

static_assert(std::is_empty_v<no_observer>);

TEST_CASE("events: an election, as the voter and the winner see it") {
  cluster c{3};
  c.elect(1);
  const auto roles = c[1].told<events::role_changed>();
  REQUIRE(roles.size() == 3);
  CHECK(roles[0].role == role_kind::pre_candidate);
  CHECK(roles[1].role == role_kind::candidate);
  CHECK(roles[1].term == 1_t);
  CHECK(roles[2].role == role_kind::leader);
  CHECK(roles[2].leader == 1_n);
  const auto votes = c[2].told<events::vote_granted>();
  REQUIRE(votes.size() == 1);
  CHECK(votes[0].candidate == 1_n);
  CHECK(votes[0].term == 1_t);
}

TEST_CASE("events: commit and apply") {
  cluster c{3};
  c.elect(1);
  c.spread();
  c[1].events.clear();
  CHECK(c[1].propose({"x", "y"}));
  c.deliver();
  REQUIRE(c[1].told<events::commit_advanced>().size() == 1);
  CHECK(c[1].told<events::commit_advanced>()[0].index == 3_i);
  REQUIRE(c[1].told<events::applied>().size() == 1);
  CHECK(c[1].told<events::applied>()[0].index == 3_i);
}

TEST_CASE("events: a snapshot taken here, sent, and installed there") {
  setup how;
  how.options.trailing_entries = 0;
  cluster c{3, how};
  c.isolate(3);
  c.elect(1);
  CHECK(c[1].propose({"x", "y"}));
  c.spread();
  CHECK(c[1].take_snapshot());
  c.heal();
  c.pass(500);
  REQUIRE(c[1].told<events::snapshot_taken>().size() == 1);
  CHECK(c[1].told<events::snapshot_taken>()[0].index == 3_i);
  CHECK(c[1].told<events::snapshot_taken>()[0].size == 4);
  REQUIRE_FALSE(c[1].told<events::peer_changed>().empty());
  CHECK(c[1].told<events::peer_changed>()[0].peer == 3_n);
  CHECK(c[1].told<events::peer_changed>()[0].state == progress_state::snapshot);
  REQUIRE(c[3].told<events::snapshot_installed>().size() == 1);
  CHECK(c[3].told<events::snapshot_installed>()[0].index == 3_i);
}

}  // namespace observer_test
