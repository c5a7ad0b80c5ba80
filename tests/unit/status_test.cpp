// A node's state as one value.

#include <doctest/doctest.h>
#include <raft/status.hpp>

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

}  // namespace status_test
