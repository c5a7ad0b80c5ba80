// What a leader knows of one other member, and its states.

#include <doctest/doctest.h>
#include <raft/progress.hpp>

#include "support/letter.hpp"
#include "support/printing.hpp"

namespace progress_test {

using namespace raft;
using namespace story;

namespace {

using member = progress<std::int64_t>;

member busy() {
  member p;
  p.id = 2_n;
  p.match = 4_i;
  p.next = 9_i;
  p.state = progress_state::replicate;
  p.inflight.push(6_i, 100);
  p.inflight.push(8_i, 100);
  p.waiting = true;
  p.prompt = false;
  p.suspicion = 3;
  p.requested = true;
  p.carried = true;
  p.heard_at = 77;
  return p;
}

}  // namespace

TEST_CASE("become_probe: asks from there on, but never at or below what matches [B47]") {
  member p = busy();
  p.become_probe(6_i);
  CHECK(p.state == progress_state::probe);
  CHECK(p.next == 6_i);
  CHECK_FALSE(p.waiting);
  CHECK(p.prompt);
  CHECK(p.inflight.empty());
  CHECK(p.inflight.bytes() == 0);
  CHECK(p.match == 4_i);
  p.become_probe(2_i);
  CHECK(p.next == 5_i);
  p.become_probe(4_i);
  CHECK(p.next == 5_i);
}

TEST_CASE("become_replicate: goes on behind what matches, and nothing is under way") {
  member p = busy();
  p.become_replicate();
  CHECK(p.state == progress_state::replicate);
  CHECK(p.next == 5_i);
  CHECK_FALSE(p.waiting);
  CHECK(p.prompt);
  CHECK(p.suspicion == 0);
  CHECK_FALSE(p.requested);
  CHECK(p.inflight.empty());
}

TEST_CASE("become_snapshot: begins at the first byte of that snapshot") {
  member p = busy();
  p.snapshot_offset = 55;
  p.become_snapshot(7, 30);
  CHECK(p.state == progress_state::snapshot);
  CHECK(p.snapshot_id == 7);
  CHECK(p.snapshot_offset == 0);
  CHECK(p.moved_at == 30);
  CHECK_FALSE(p.carried);
  CHECK_FALSE(p.waiting);
  CHECK(p.inflight.empty());
  CHECK(p.match == 4_i);
}

TEST_CASE("has_bytes: only what differs is a move") {
  member p = busy();
  p.become_snapshot(7, 30);
  p.has_bytes(0, 40);
  CHECK(p.moved_at == 30);
  p.has_bytes(16, 50);
  CHECK(p.snapshot_offset == 16);
  CHECK(p.moved_at == 50);
  p.has_bytes(16, 60);
  CHECK(p.moved_at == 50);
  p.has_bytes(0, 70);  // it has lost them, and begins anew
  CHECK(p.snapshot_offset == 0);
  CHECK(p.moved_at == 70);
}

TEST_CASE("become_lost: nothing is under way, and what it acknowledged is remembered") {
  member p = busy();
  p.become_lost();
  CHECK(p.state == progress_state::lost);
  CHECK_FALSE(p.waiting);
  CHECK(p.inflight.empty());
  CHECK(p.match == 4_i);
}

TEST_CASE("progress: no change of state forgets when the member was heard [B121]") {
  member p = busy();
  p.become_probe(6_i);
  p.become_snapshot(1, 30);
  p.become_replicate();
  p.become_lost();
  CHECK(p.heard_at == 77);
}

}  // namespace progress_test
