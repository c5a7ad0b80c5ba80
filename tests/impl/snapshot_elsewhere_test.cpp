// Snapshots that are written, and restored, while the node goes on: impl/snapshot.hpp.

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace impl_snapshot_elsewhere_test {

using namespace raft;
using namespace story;

namespace {

setup patient(bool deferred = false) {
  setup how = small_chunks();
  how.patient = true;
  how.deferred = deferred;
  return how;
}

std::unique_ptr<server> single(const setup& how = small_chunks()) {
  auto a = start(1_n, {.members = voters(1)}, how);
  win(*a);
  return a;
}

/// The whole image in one chunk, from server 1 to server 3.
letter whole(after at, std::string_view image, std::uint64_t term = 1) {
  return chunk(1_n, 3_n, term_t{term}, at, voters(3), image, 0, 100);
}

}  // namespace

// ------------------------------------------------------------------------------------------------ written elsewhere

TEST_CASE("begin_snapshot: the machine goes on, and nothing is let go before the bytes are there") {
  auto a = single();
  CHECK(a->propose({"a", "b"}));
  const auto begun = a->begin_snapshot();
  REQUIRE(begun);
  CHECK(begun->index == 3_i);
  CHECK(begun->term == 1_t);
  CHECK(begun->configuration == voters(1));
  CHECK(a->propose("c"));
  CHECK(a->state() == "a;b;c;");
  CHECK(a->write_snapshot("a;"));
  CHECK(a->propose("d"));
  CHECK(a->state() == "a;b;c;d;");
  CHECK(a->write_snapshot("b;"));
  CHECK(a->shape() == "[1:1][2:1][3:1][4:1][5:1]");
  CHECK(a->log().snapshot().index == 0_i);
  CHECK(a->snapshot_written(3_i));
  CHECK(a->log().snapshot().index == 3_i);
  CHECK(text_of(*a->log().read_snapshot(0, 100)) == "a;b;");
  CHECK(a->shape() == "[4:1][5:1]");
  CHECK(a->state() == "a;b;c;d;");
  REQUIRE(a->told<events::snapshot_taken>().size() == 1);
  CHECK(a->told<events::snapshot_taken>()[0].index == 3_i);
  CHECK(a->told<events::snapshot_taken>()[0].size == 4);
  // A restart begins from it and executes the rest.
  auto again = try_start(1_n, a->log().disk(), small_chunks());
  REQUIRE(again);
  CHECK((*again)->state() == "a;b;");
  win(**again);
  CHECK((*again)->state() == "a;b;c;d;");
}

TEST_CASE("begin_snapshot: of an earlier place, with the configuration that was in force there") {
  auto b = start(3_n, {.term = 1, .members = voters(3)}, small_chunks());
  CHECK(b->step(append(1_n, 3_n, 1_t, {}, 4_i, {no_op(1), {1, "a"}, members(1, voters(4)), {1, "b"}})));
  REQUIRE(b->applied() == 4_i);
  CHECK(b->begin_snapshot(5_i).error().code == errc::not_ready);
  CHECK(b->begin_snapshot(0_i).error().code == errc::not_ready);
  const auto begun = b->begin_snapshot(2_i);
  REQUIRE(begun);
  CHECK(begun->configuration == voters(3));
  CHECK(b->write_snapshot("a;"));
  CHECK(b->snapshot_written(2_i));
  CHECK(b->log().snapshot().configuration == voters(3));
  CHECK(b->status().configuration == voters(4));
  CHECK(b->shape() == "[3:1][4:1]");
  CHECK(b->begin_snapshot(2_i).error().code == errc::not_ready);
  CHECK(b->begin_snapshot(3_i)->configuration == voters(4));
}

TEST_CASE("begin_snapshot: one is written at a time, until it is done or abandoned") {
  auto a = single();
  CHECK(a->propose("a"));
  CHECK(a->write_snapshot("x").error().code == errc::compacted);
  CHECK(a->snapshot_written(2_i).error().code == errc::compacted);
  CHECK(a->snapshot_written(0_i).error().code == errc::compacted);
  REQUIRE(a->begin_snapshot());
  CHECK(a->begin_snapshot().error().code == errc::not_ready);
  CHECK(a->take_snapshot().error().code == errc::not_ready);
  CHECK(a->snapshot_written(1_i).error().code == errc::compacted);
  CHECK(a->snapshot_abandoned(1_i));  // Another one: no matter.
  CHECK(a->begin_snapshot().error().code == errc::not_ready);
  CHECK(a->write_snapshot("zzz"));
  CHECK(a->snapshot_abandoned(2_i));
  CHECK(a->write_snapshot("x").error().code == errc::compacted);
  CHECK(a->snapshot_written(2_i).error().code == errc::compacted);
  CHECK(a->log().snapshot().index == 0_i);
  CHECK(a->take_snapshot());  // Nothing of the abandoned one is left in it.
  CHECK(text_of(*a->log().read_snapshot(0, 100)) == "a;");
}

TEST_CASE("begin_snapshot: a snapshot of the leader that comes meanwhile wins") {
  for (const bool complete : {true, false}) {
    CAPTURE(complete);
    auto b = start(3_n, {.term = 1, .members = voters(3)}, small_chunks());
    CHECK(b->step(append(1_n, 3_n, 1_t, {}, 2_i, {no_op(1), {1, "a"}})));
    REQUIRE(b->begin_snapshot());
    CHECK(b->write_snapshot("a"));
    CHECK(b->step(complete ? whole({9_i, 1_t}, "leader;")
                           : chunk(1_n, 3_n, 1_t, {9_i, 1_t}, voters(3), "leader;", 0, 4)));
    CHECK(b->write_snapshot(";").error().code == errc::compacted);
    CHECK(b->snapshot_written(2_i).error().code == errc::compacted);
    CHECK(b->snapshot_abandoned(2_i));
    if (!complete) CHECK(b->step(chunk(1_n, 3_n, 1_t, {9_i, 1_t}, voters(3), "leader;", 4, 4)));
    CHECK(b->state() == "leader;");
    CHECK(b->log().snapshot().index == 9_i);
  }
}

TEST_CASE("begin_snapshot: a chunk in the middle of a leader's snapshot does not end it") {
  auto b = start(3_n, {.term = 1, .members = voters(3)}, small_chunks());
  CHECK(b->step(append(1_n, 3_n, 1_t, {}, 2_i, {no_op(1), {1, "a"}})));
  REQUIRE(b->begin_snapshot());
  CHECK(b->write_snapshot("a"));
  b->take_mail();
  CHECK(b->step(chunk(1_n, 3_n, 1_t, {9_i, 1_t}, voters(3), "leader;", 4, 4)));
  CHECK(b->only<install_snapshot_reply>().offset == 0);
  CHECK(b->write_snapshot(";"));
  CHECK(b->snapshot_written(2_i));
  CHECK(text_of(*b->log().read_snapshot(0, 100)) == "a;");
}

TEST_CASE("write_snapshot: a Log without room is an error, harms nothing, and one can begin anew") {
  auto a = single();
  CHECK(a->propose("a"));
  a->log().failure.code = errc::no_space;
  a->log().failing = "begin";
  CHECK(a->begin_snapshot().error().code == errc::no_space);
  a->log().failing = "write";
  REQUIRE(a->begin_snapshot());
  CHECK(a->write_snapshot("a").error().code == errc::no_space);
  CHECK(a->write_snapshot("a").error().code == errc::compacted);
  CHECK(a->snapshot_written(2_i).error().code == errc::compacted);
  CHECK_FALSE(a->failed());
  a->log().failing.clear();
  CHECK(a->take_snapshot());
}

TEST_CASE("take_snapshot: one that could not be written can be taken again") {
  auto a = single();
  CHECK(a->propose("a"));
  a->log().failing = "write";
  CHECK_FALSE(a->take_snapshot());
  a->log().failing.clear();
  CHECK(a->take_snapshot());
}

TEST_CASE("step(snapshot_written): not while a follower is being sent the present one; later it is") {
  cluster c{3, small_chunks()};
  c.isolate(3);
  c.elect(1);
  for (const char* x : {"1", "2", "3", "4", "5", "6"}) CHECK(c[1].propose(x));
  c.spread();
  CHECK(c[1].take_snapshot());
  CHECK(c[1].propose("7"));
  c.spread();
  for (int beat = 0; beat < 14; ++beat) c.pass(50);  // Server 3 is gone for long: it need not be waited for.
  REQUIRE(c[1].begin_snapshot());
  CHECK(c[1].write_snapshot(c[1].state()));
  c.heal();
  c.jump(50);
  c[1].tick();
  c.deliver(to(3) || to(2));
  c.deliver(to(1));
  REQUIRE(c[1].peer(3).state == progress_state::snapshot);
  CHECK(c[1].snapshot_written(8_i).error().code == errc::not_ready);
  CHECK(c[1].log().snapshot().index == 7_i);
  for (int k = 0; k < 40; ++k) c.pass(20);
  REQUIRE(c[1].peer(3).state == progress_state::replicate);
  CHECK(c[1].snapshot_written(8_i));
  CHECK(c[1].log().snapshot().index == 8_i);
  CHECK(text_of(*c[1].log().read_snapshot(0, 100)) == "1;2;3;4;5;6;7;");
}

TEST_CASE("step(snapshot_written): a write that fails when it is put in place stops the node") {
  auto a = single();
  CHECK(a->propose("x"));
  REQUIRE(a->begin_snapshot());
  a->log().failing = "finish";
  CHECK(a->snapshot_written(2_i).error().code == errc::failed);
  CHECK(a->failed());
  CHECK(a->begin_snapshot().error().code == errc::failed);
  CHECK(a->write_snapshot("x").error().code == errc::failed);
  CHECK(a->snapshot_abandoned(2_i).error().code == errc::failed);
}

// ------------------------------------------------------------------------------------------------ restored elsewhere

TEST_CASE("restores_elsewhere: meanwhile heartbeats are answered and entries taken, and nothing is applied") {
  for (const bool deferred : {false, true}) {
    CAPTURE(deferred);
    auto b = start(3_n, {.term = 1, .members = voters(3)}, patient(deferred));
    CHECK(b->step(whole({9_i, 1_t}, "s;")));
    if (deferred) {
      CHECK(b->machine().asked_to_restore.empty());  // Not before it is durable.
      CHECK(b->persisted());
    }
    CHECK(b->machine().asked_to_restore == std::vector{9_i});
    b->take_mail();
    CHECK(b->step(append(1_n, 3_n, 1_t, {9_i, 1_t}, 9_i, {})));
    CHECK(b->only<append_entries_reply>().success);
    CHECK(b->step(append(1_n, 3_n, 1_t, {9_i, 1_t}, 10_i, {{1, "x"}})));
    if (deferred) CHECK(b->persisted());
    CHECK(b->only<append_entries_reply>().index == 10_i);
    CHECK(b->commit() == 10_i);
    CHECK(b->state().empty());
    CHECK(b->applied() == 0_i);
    CHECK(b->deadline() > b->now());  // Nothing is to be done.
    const auto taken = b->take_snapshot();
    REQUIRE_FALSE(taken);
    CHECK(taken.error().code == errc::not_ready);
    CHECK(taken.error().what == std::string("a snapshot of the leader is being installed"));
    CHECK(b->machine().restored.empty());
    CHECK(b->restored(9_i));
    CHECK(b->machine().restored == std::vector{9_i});
    CHECK(b->state() == "s;x;");
    CHECK(b->applied() == 10_i);
    CHECK(b->machine().asked_to_restore.size() == 1);
  }
}

TEST_CASE("restores_elsewhere: late, early and repeated words do no harm") {
  auto b = start(3_n, {.term = 1, .members = voters(3)}, patient());
  CHECK(b->restored(0_i));
  CHECK(b->restored(1_i).error().code == errc::impossible);
  CHECK(b->step(whole({9_i, 1_t}, "s;")));
  CHECK(b->restored(10_i).error().code == errc::impossible);
  CHECK(b->restored(8_i));
  CHECK(b->applied() == 0_i);
  CHECK(b->restored(9_i));
  CHECK(b->step(append(1_n, 3_n, 1_t, {9_i, 1_t}, 10_i, {{1, "x"}})));
  CHECK(b->restored(9_i));  // Told twice: it does not go back.
  CHECK(b->applied() == 10_i);
  CHECK(b->state() == "s;x;");
}

TEST_CASE("restores_elsewhere: what was asked for and is being restored is not taken in again") {
  auto b = start(3_n, {.term = 1, .members = voters(3)}, patient());
  CHECK(b->step(append(1_n, 3_n, 1_t, {}, 2_i, {no_op(1), {1, "a"}})));
  REQUIRE(b->request_snapshot().value() == 2_i);
  CHECK(b->step(whole({2_i, 1_t}, "a;")));
  REQUIRE(b->machine().asked_to_restore == std::vector{2_i});
  const auto writes = b->log().writes;
  b->take_mail();
  CHECK(b->step(whole({2_i, 1_t}, "a;")));  // doubled on the way
  CHECK(b->only<install_snapshot_reply>().installed);
  CHECK(b->log().writes == writes);
  CHECK(b->restored(2_i));
  CHECK(b->state() == "a;");
}

TEST_CASE("restores_elsewhere: another snapshot that comes meanwhile is restored next") {
  for (const bool deferred : {false, true}) {
    CAPTURE(deferred);
    auto b = start(3_n, {.term = 1, .members = voters(3)}, patient(deferred));
    CHECK(b->step(whole({9_i, 1_t}, "old;")));
    if (deferred) CHECK(b->persisted());
    CHECK(b->step(whole({20_i, 1_t}, "new;")));
    if (deferred) {
      CHECK(b->restored(9_i));  // The old one is not in the log any more.
      CHECK(b->applied() == 0_i);
      CHECK(b->persisted());
    }
    CHECK(b->machine().asked_to_restore == std::vector{9_i, 20_i});
    CHECK(b->restored(9_i));
    CHECK(b->applied() == 0_i);
    CHECK(b->restored(20_i));
    CHECK(b->applied() == 20_i);
    CHECK(b->state() == "new;");
  }
}

TEST_CASE("restores_elsewhere: such a server may stand and lead, and answers reads when it can") {
  auto b = start(3_n, {.term = 1, .members = voters(3)}, patient());
  CHECK(b->step(whole({9_i, 1_t}, "s;")));
  b->now() += 300;
  win(*b);
  CHECK(b->propose("x"));
  CHECK(b->step(say(1_n, 3_n, 2_t, matched(11_i))));
  CHECK(b->commit() == 11_i);
  b->take_mail();
  CHECK(b->read(7));
  b->pass(50);
  CHECK(b->step(say(1_n, 3_n, 2_t, matched(11_i, b->all<append_entries>().back().round))));
  CHECK(b->machine().fates.empty());
  CHECK(b->machine().reads.empty());
  CHECK(b->restored(9_i));
  CHECK(b->state() == "s;x;");
  CHECK(b->machine().fates == std::vector<recorder::fated>{{11_i, 11_i, 2_t, fate::applied}});
  REQUIRE(b->machine().reads.size() == 1);
  CHECK(b->machine().reads[0].state == "s;x;");
}

TEST_CASE("restores_elsewhere: what a snapshot says of proposals is told when it is restored") {
  auto a = start(3_n, {.members = voters(3)}, patient());
  win(*a);
  CHECK(a->propose("x"));
  CHECK(a->step(chunk(1_n, 3_n, 2_t, {9_i, 2_t}, voters(3), "s;", 0, 100)));
  CHECK(a->machine().fates.empty());
  CHECK(a->restored(9_i));
  CHECK(a->machine().fates == std::vector<recorder::fated>{{2_i, 2_i, 1_t, fate::unknown}});
}

TEST_CASE("restores_elsewhere: a restart asks for the log's snapshot") {
  auto first = start(3_n, {.term = 1, .members = voters(3)}, small_chunks());
  CHECK(first->step(whole({9_i, 1_t}, "s;")));
  auto b = try_start(3_n, first->log().disk(), patient());
  REQUIRE(b);
  CHECK((*b)->machine().asked_to_restore == std::vector{9_i});
  CHECK((*b)->applied() == 0_i);
  CHECK((*b)->deadline() > (*b)->now());
  CHECK((*b)->restored(9_i));
  CHECK((*b)->applied() == 9_i);
  CHECK((*b)->state() == "s;");
}

}  // namespace impl_snapshot_elsewhere_test
