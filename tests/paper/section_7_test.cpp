// Section 7 of the paper, log compaction: a test for each sentence that can be tested. The names are the sentences, in
// our words. More about the transfer is in impl/snapshot_test.cpp.

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace section_7_test {

using namespace raft;
using namespace story;

namespace {

setup compacting() {
  setup how;
  how.options.trailing_entries = 0;
  how.options.snapshot_chunk_bytes = 8;
  return how;
}

}  // namespace

TEST_CASE("7 each server takes snapshots on its own, of what is committed in its log") {
  cluster c{3, compacting()};
  c.elect(1);
  CHECK(c[1].propose({"a", "b"}));
  c.spread();
  CHECK(c[1].propose("not committed"));
  c.drop();
  CHECK(c[2].take_snapshot());
  CHECK(c[2].log().snapshot().index == 3_i);
  CHECK(c[1].log().snapshot().index == 0_i);
  CHECK(c[3].log().snapshot().index == 0_i);
}

TEST_CASE("7 a snapshot holds the last included index and term, and the latest configuration as of that index") {
  cluster c{3, compacting()};
  c.elect(1);
  CHECK(c[1].change({voters(3).voters, {9_n}}));
  CHECK(c[1].propose("a"));
  c.spread();
  CHECK(c[2].take_snapshot());
  const snapshot_meta& meta = c[2].log().snapshot();
  CHECK(meta.index == 3_i);
  CHECK(meta.term == 1_t);
  CHECK(meta.configuration.learners == std::vector{9_n});
}

TEST_CASE("7 once a snapshot is written the entries up to it may go, and the first append behind it still is checked") {
  cluster c{3, compacting()};
  c.elect(1);
  CHECK(c[1].propose({"a", "b"}));
  c.spread();
  CHECK(c[2].take_snapshot());
  CHECK(c[2].shape().empty());
  CHECK(c[2].step(append(1_n, 2_n, 1_t, {3_i, 1_t}, 3_i, {{1, "c"}})));
  CHECK(c[2].shape() == "[4:1]");
  c.drop();
}

TEST_CASE("7 a prior snapshot goes with the entries") {
  auto a = start(1_n, {.members = voters(1)}, compacting());
  win(*a);
  CHECK(a->propose("a"));
  CHECK(a->take_snapshot());
  CHECK(a->propose("b"));
  CHECK(a->take_snapshot());
  CHECK(a->log().snapshot().index == 3_i);
  CHECK(text_of(*a->log().read_snapshot(0, 100)) == "a;b;");
}

TEST_CASE("7 the leader sends its snapshot when it has discarded the next entry that a follower needs") {
  cluster c{3, compacting()};
  c.isolate(3);
  c.elect(1);
  CHECK(c[1].propose({"a", "b", "c", "d", "e", "f"}));
  c.spread();
  CHECK(c[1].take_snapshot());
  c.heal();
  c.pass(500);
  CHECK(c[3].state() == c[1].state());
  CHECK(c[3].machine().restored == std::vector{7_i});
  CHECK(c[3].machine().commands.empty());
}

TEST_CASE("7 a follower that keeps up is sent no snapshot") {
  cluster c{3, compacting()};
  c.elect(1);
  for (int k = 0; k < 20; ++k) {
    CHECK(c[1].propose(std::to_string(k)));
    c.spread();
    CHECK(c[1].take_snapshot());
  }
  CHECK(c[2].machine().restored.empty());
  CHECK(c[3].machine().restored.empty());
}

TEST_CASE("7 figure 13, receiver 1: replies at once if the term is below currentTerm") {
  auto b = start(2_n, {.term = 5, .members = voters(3)});
  CHECK(b->step(chunk(1_n, 2_n, 4_t, {9_i, 4_t}, voters(3), "image", 0, 5)));
  const auto mail = b->take_mail();
  REQUIRE(mail.size() == 1);
  CHECK(mail[0].what.term == 5_t);
  CHECK_FALSE(mail[0].as<install_snapshot_reply>().installed);
  CHECK(b->log().partial().meta.index == 0_i);
}

TEST_CASE("7 figure 13, receivers 2 to 4: chunks are written at their offsets, and the next one is asked for") {
  auto b = start(2_n, {.term = 1, .members = voters(3)});
  for (const std::size_t offset : {0U, 3U, 6U}) {
    CHECK(b->step(chunk(1_n, 2_n, 1_t, {9_i, 1_t}, voters(3), "0123456789", offset, 3)));
    const auto reply = b->only<install_snapshot_reply>();
    CHECK_FALSE(reply.installed);
    CHECK(reply.offset == offset + 3);
    CHECK(b->log().partial().received == offset + 3);
    CHECK(b->log().snapshot().index == 0_i);
  }
  CHECK(b->step(chunk(1_n, 2_n, 1_t, {9_i, 1_t}, voters(3), "0123456789", 9, 3)));
  CHECK(b->only<install_snapshot_reply>().installed);
}

TEST_CASE("7 figure 13, receiver 5: it is stored, and any partial snapshot goes") {
  auto b = start(2_n, {.term = 1, .members = voters(3)});
  CHECK(b->step(chunk(1_n, 2_n, 1_t, {9_i, 1_t}, voters(3), "0123", 0, 2)));
  CHECK(b->step(chunk(1_n, 2_n, 1_t, {12_i, 1_t}, voters(3), "abcd", 0, 4, 8)));
  CHECK(b->log().snapshot().index == 12_i);
  CHECK(b->log().partial().meta.index == 0_i);
}

TEST_CASE("7 figure 13, receiver 6: if the last included entry is in the log, the entries behind it stay") {
  auto b = start(2_n, {.term = 1, .members = voters(3), .log = {{1, "a"}, {1, "b"}, {1, "c"}}});
  CHECK(b->step(chunk(1_n, 2_n, 1_t, {2_i, 1_t}, voters(3), "image", 0, 5)));
  CHECK(b->shape().ends_with("[3:1]"));
  CHECK(b->applied() == 2_i);
}

TEST_CASE("7 figure 13, receiver 7: else the whole log goes") {
  auto b = start(2_n, {.term = 2, .members = voters(3), .log = {{1, "a"}, {1, "b"}, {1, "c"}}});
  CHECK(b->step(chunk(1_n, 2_n, 2_t, {2_i, 2_t}, voters(3), "image", 0, 5)));
  CHECK(b->shape().empty());
}

TEST_CASE("7 figure 13, receiver 8: the state machine is reset to the snapshot, and its configuration loaded") {
  auto b = start(2_n, {.term = 1, .members = voters(3)});
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 1_i, {{1, "a"}})));
  CHECK(b->step(chunk(1_n, 2_n, 1_t, {9_i, 1_t}, voters(5), "image", 0, 5)));
  CHECK(b->state() == "image");
  CHECK(b->applied() == 9_i);
  CHECK(b->status().configuration == voters(5));
}

}  // namespace section_7_test
