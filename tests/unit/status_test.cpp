// A node's state as one value.

#include <doctest/doctest.h>
#include <raft/status.hpp>

#include <limits>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace status_test {

using namespace raft;
using namespace story;

TEST_CASE("status: a leader shows its peers, each with what is known of it") {
  cluster c{3};
  c.elect(1);
  c.spread();
  c.isolate(3);
  CHECK(c[1].propose("x"));
  c.deliver();
  const auto s = c[1].status();
  CHECK(s.role == role_kind::leader);
  CHECK(s.leader == 1_n);
  CHECK(s.commit_index == 2_i);
  CHECK(s.last_applied == 2_i);
  CHECK(s.last_index == 2_i);
  CHECK(s.uncommitted_bytes == 0);
  REQUIRE(s.peers.size() == 2);
  CHECK(s.peers[0].id == 2_n);
  CHECK(s.peers[0].match == 2_i);
  CHECK(s.peers[0].next == 3_i);
  CHECK(s.peers[0].state == progress_state::replicate);
  CHECK(s.peers[0].inflight_messages == 0);
  CHECK(s.peers[0].heard_at == c.now());
  CHECK(s.peers[1].id == 3_n);
  CHECK(s.peers[1].match == 1_i);
  CHECK(s.peers[1].next == 3_i);
  CHECK(s.peers[1].inflight_messages == 1);
  CHECK(s.peers[1].inflight_bytes == entry_bytes(1));
  CHECK(s.peers[1].heard_at < c.now() + 1);
}

TEST_CASE("status: a value of its own, which does not change with the node") {
  cluster c{3};
  c.elect(1);
  const auto before = c[1].status();
  CHECK(c[1].propose("x"));
  CHECK(before.last_index == 1_i);
  CHECK(c[1].status().last_index == 2_i);
}

TEST_CASE("status: reads and bytes that wait are counted") {
  cluster c{3};
  c.elect(1);
  CHECK(c[1].read(1));
  CHECK(c[1].read(2));
  CHECK(c[1].propose("12345678"));
  CHECK(c[1].status().pending_reads == 2);
  CHECK(c[1].status().uncommitted_bytes == entry_bytes(8));
  c.deliver();
  CHECK(c[1].status().pending_reads == 0);
  CHECK(c[1].status().uncommitted_bytes == 0);
}

TEST_CASE("status: what waits for the disk, and up to where the log is durable") {
  setup how;
  how.deferred = true;
  auto b = story::start(2_n, {.term = 1, .members = voters(3), .log = {{1, "a"}}}, how);
  CHECK(b->status().durable_index == 1_i);
  CHECK(b->status().waiting_messages == 0);
  CHECK(b->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 1_i, {{1, "b"}})));
  CHECK(b->status().last_index == 2_i);
  CHECK(b->status().durable_index == 1_i);
  CHECK(b->status().waiting_messages == 1);
  CHECK(b->persisted());
  CHECK(b->status().durable_index == 2_i);
  CHECK(b->status().waiting_messages == 0);
}

TEST_CASE("status: a failed node says so, and why; it waits for nothing") {
  auto b = story::start(2_n, {.term = 1, .members = voters(3)});
  CHECK(b->status().deadline == b->deadline());
  CHECK(b->status().deadline < std::numeric_limits<ms>::max());
  CHECK_FALSE(b->status().failed);
  CHECK(b->status().failure.code == errc{});
  b->log().failing = "all";
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {no_op(1)})));
  CHECK(b->status().failed);
  CHECK(b->status().failure.code == errc::failed);
  CHECK(b->status().failure.detail == 5);
  CHECK(b->status().deadline == std::numeric_limits<ms>::max());
}

TEST_CASE("status: a transfer with its target and its end, an evacuation, and the priority as it counts") {
  setup how;
  how.options.priority = highest_priority - 4;
  how.options.campaign_grace = 10;
  auto a = story::start(1_n, {.members = voters(3)}, how);
  CHECK(a->status().priority == highest_priority - 4);
  CHECK(a->status().transfer_target == nobody);
  a->evacuate();
  CHECK(a->status().evacuating);
  a->pass(a->deadline() - a->now());
  CHECK(a->status().priority == highest_priority - 2);
  a->stop_evacuation();
  CHECK_FALSE(a->status().evacuating);
  win(*a);
  CHECK(a->transfer_to(3_n));
  CHECK(a->status().transfer_target == 3_n);
  CHECK(a->status().transfer_deadline == a->now() + how.options.election_timeout_max);
}

TEST_CASE("status: a read of another kind waits, too, and who is full or lost is paused") {
  setup how;
  how.options.max_inflight_messages = 1;
  auto a = story::start(1_n, {.members = voters(3)}, how);
  win(*a);
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(1_i))));
  CHECK(a->peer(3).paused);  // asked, and not answered yet
  CHECK_FALSE(a->peer(2).paused);
  CHECK(a->propose("x"));
  CHECK(a->peer(2).paused);
  CHECK(a->peer(2).inflight_messages == 1);
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(2_i))));
  CHECK_FALSE(a->peer(2).paused);

  auto b = follower_of_one();
  CHECK(b->read_anywhere(1));
  CHECK(b->read_anywhere(2));
  CHECK(b->status().pending_reads == 2);
}

}  // namespace status_test
