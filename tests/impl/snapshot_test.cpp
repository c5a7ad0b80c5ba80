// Compaction and snapshots, impl/snapshot.hpp. "[B79]" and the like name the bug, seen in other engines, that a test
// guards against.

#include <doctest/doctest.h>

#include <algorithm>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace impl_snapshot_test {

using namespace raft;
using namespace story;

namespace {

std::unique_ptr<server> follower(const std::vector<written>& log, std::uint64_t term, const setup& how = {}) {
  return start(3_n, {.term = term, .members = voters(3), .log = log}, how);
}

install_snapshot_reply answer(server& s, const letter& l) {
  s.take_mail();
  CHECK(s.step(l));
  return s.only<install_snapshot_reply>();
}

/// A leader whose log begins behind a snapshot, and server 3 without anything.
cluster lagging(std::uint64_t commands, const setup& how = small_chunks()) {
  cluster c{3, how};
  c.isolate(3);
  c.elect(1);
  for (std::uint64_t k = 0; k < commands; ++k) CHECK(c[1].propose(std::to_string(k)));
  c.spread();
  CHECK(c[1].take_snapshot());
  c.drop();
  return c;
}

}  // namespace

TEST_CASE("take_snapshot: the state and its place are stored, and the log lets go of what they cover") {
  setup how = small_chunks();
  how.options.trailing_entries = 2;
  auto a = start(1_n, {.members = voters(1)}, how);
  win(*a);
  CHECK(a->propose({"a", "b", "c", "d"}));
  const auto taken = a->take_snapshot();
  REQUIRE(taken);
  CHECK(*taken == 5_i);
  const auto& meta = a->log().snapshot();
  CHECK(meta.index == 5_i);
  CHECK(meta.term == 1_t);
  CHECK(meta.configuration == voters(1));
  CHECK(meta.size == 8);
  CHECK(text_of(*a->log().read_snapshot(0, 100)) == "a;b;c;d;");
  CHECK(a->shape() == "[4:1][5:1]");
  CHECK(a->told<events::snapshot_taken>().at(0).index == 5_i);
  CHECK(a->propose("e"));
  CHECK(a->state() == "a;b;c;d;e;");
}

TEST_CASE("check_take_snapshot: there has to be something new") {
  auto a = start(1_n, {.members = voters(1)}, small_chunks());
  CHECK(a->take_snapshot().error().code == errc::not_ready);
  win(*a);
  CHECK(a->take_snapshot());
  const std::string before = a->picture();
  CHECK(a->take_snapshot().error().code == errc::not_ready);
  CHECK(a->picture() == before);
  CHECK(a->propose("x"));
  CHECK(a->take_snapshot());
}

TEST_CASE("check_take_snapshot: not while a follower that answers is being sent the present one [B90]") {
  cluster c = lagging(10);
  c.heal();
  CHECK(c[1].propose("x"));
  c.jump(50);
  c[1].tick();
  c.deliver(to(3) || to(2));
  c.deliver(to(1));
  REQUIRE(c[1].peer(3).state == progress_state::snapshot);
  c.deliver(to(3) && kind<install_snapshot>());
  CHECK(c[1].take_snapshot().error().code == errc::not_ready);
  c.drop();
  c.crash(3);  // it answers no more: the log does not have to grow for it
  for (int beat = 0; beat < 12; ++beat) c.pass(50);
  CHECK(c[1].take_snapshot());
}

TEST_CASE("take_snapshot: it has the term of its last entry, not the present one [B84]") {
  auto a = start(1_n, {.term = 5, .commit_hint = 2, .members = voters(3), .log = {{3, "a"}, {3, "b"}, {4, "c"}}},
                 small_chunks());
  a->tick();
  CHECK(a->step(say(2_n, 1_n, 7_t, append_entries_reply{})));
  REQUIRE(a->term() == 7_t);
  CHECK(a->take_snapshot());
  CHECK(a->log().snapshot().index == 2_i);
  CHECK(a->log().snapshot().term == 3_t);
}

TEST_CASE("take_snapshot: it has the configuration that was in force at its place, not the newest [B83]") {
  auto b = follower({}, 1, small_chunks());
  CHECK(b->step(
      append(1_n, 3_n, 1_t, {}, 3_i, {no_op(1), members(1, voters(4)), {1, "a"}, {1, "b"}, members(1, voters(5))})));
  REQUIRE(b->commit() == 3_i);
  REQUIRE(b->status().configuration == voters(5));
  CHECK(b->take_snapshot());
  CHECK(b->log().snapshot().configuration == voters(4));
  CHECK(b->shape() == "[4:1][5:1]");
  CHECK(b->status().configuration == voters(5));
  // The newest is truncated: the one at the snapshot is in force again.
  CHECK(b->step(append(2_n, 3_n, 2_t, {3_i, 1_t}, 3_i, {no_op(2)})));
  CHECK(b->status().configuration == voters(4));
}

TEST_CASE("compact_log: no entry goes that no snapshot covers [B100]") {
  for (const std::uint64_t trailing : {0U, 1U, 3U, 100U}) {
    setup how = small_chunks();
    how.options.trailing_entries = trailing;
    cluster c{1, how};
    c.elect(1);
    for (int k = 0; k < 20; ++k) {
      CHECK(c[1].propose(std::to_string(k)));
      if (k % 4 == 0) CHECK(c[1].take_snapshot());
      CHECK(c[1].status().first_index <= c[1].status().snapshot_index.next());
      const std::string whole = c[1].state();
      c.restart(1);
      c.elect(1);
      CHECK(c[1].state() == whole);
    }
  }
  // What lies behind the snapshot stays, whatever may trail.
  auto a = start(1_n, {.members = voters(3)}, small_chunks());
  win(*a);
  CHECK(a->propose("a"));
  CHECK(a->step(say(2_n, 1_n, 1_t, append_entries_reply{true, 2_i, {}, {}, 2_i, 0})));
  CHECK(a->propose({"b", "c"}));
  CHECK(a->take_snapshot());
  CHECK(a->log().snapshot().index == 2_i);
  CHECK(a->shape() == "[3:1][4:1]");
}

TEST_CASE("take_snapshot: a Log that has no room for it is left as it was") {
  auto a = start(1_n, {.members = voters(1)}, small_chunks());
  win(*a);
  CHECK(a->propose("x"));
  a->log().failure = {errc::no_space, nobody, 28, "no room"};
  for (const char* step : {"begin", "write"}) {
    a->log().failing = step;
    const auto taken = a->take_snapshot();
    REQUIRE_FALSE(taken);
    CHECK(taken.error().code == errc::no_space);
    CHECK_FALSE(a->failed());
    CHECK(a->shape() == "[1:1][2:1]");
  }
  a->log().failing.clear();
  CHECK(a->take_snapshot());
  CHECK(text_of(*a->log().read_snapshot(0, 100)) == "x;");
}

TEST_CASE("take_snapshot: a write that fails when it is put in place stops the node") {
  auto a = start(1_n, {.members = voters(1)}, small_chunks());
  win(*a);
  CHECK(a->propose("x"));
  a->log().failing = "finish";
  CHECK_FALSE(a->take_snapshot());
  CHECK(a->failed());
  CHECK(a->role() == role_kind::follower);
}

TEST_CASE("take_snapshot: when it fails for good, every fate that is open is told at once") {
  auto a = start(1_n, {.members = voters(3)}, small_chunks());
  win(*a);
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(1_i))));
  CHECK(a->propose("x"));
  CHECK(a->read(7));
  a->log().failing = "finish";
  const auto taken = a->take_snapshot();
  REQUIRE_FALSE(taken);
  CHECK(taken.error().code == errc::failed);
  CHECK(a->machine().fates == std::vector<recorder::fated>{{2_i, 2_i, 1_t, fate::unknown}});
  REQUIRE(a->machine().reads.size() == 1);
  CHECK(a->machine().reads[0].what == read_fate::dropped);
}

// ---------------------------------------------------------------------------------------------------- to a follower

TEST_CASE("send_chunk: a follower behind the compacted log catches up, in chunks no larger than the limit") {
  cluster c = lagging(20);
  const std::string whole = c[1].state();
  c.heal();
  std::size_t largest = 0;
  for (int step = 0; step < 200 && c[3].state() != whole; ++step) {
    c.jump(5);
    c[1].tick();
    for (const letter& l : among(c.mail(), kind<install_snapshot>())) {
      largest = std::max(largest, l.as<install_snapshot>().data.size());
    }
    CHECK(among(c.mail(), kind<install_snapshot>()).size() <= 1);  // one under way at a time
    c.deliver(any);
  }
  CHECK(largest == 4);
  CHECK(c[3].state() == whole);
  CHECK(c[3].log().snapshot() == c[1].log().snapshot());
  CHECK(c[3].machine().restored == std::vector{21_i});
  c.pass(100);
  CHECK(c[1].peer(3).state == progress_state::replicate);
  CHECK(c[1].propose("after"));
  c.spread();
  CHECK(c[3].state() == whole + "after;");
}

TEST_CASE("send_chunk: chunks that are lost, doubled and out of order do no harm") {
  cluster c = lagging(40);
  const std::string whole = c[1].state();
  c.heal();
  std::uint64_t chance = 12345;
  const auto draw = [&](std::uint64_t n) {
    chance = chance * 6364136223846793005U + 1442695040888963407U;
    return (chance >> 33) % n;
  };
  std::vector<letter> kept;
  for (int step = 0; step < 5000 && c[3].state() != whole; ++step) {
    c.jump(10);
    for (const std::uint64_t id : {1U, 2U}) {
      if (c[id].deadline() <= c.now()) c[id].tick();
    }
    for (const letter& l : c.take()) {
      const bool snapshot = l.is<install_snapshot>() || l.is<install_snapshot_reply>();
      if (snapshot && draw(4) == 0) continue;
      if (snapshot && draw(4) == 0) kept.push_back(l);
      c.deliver_late({l});
    }
    if (!kept.empty() && draw(3) == 0) {
      const auto at = kept.begin() + static_cast<std::ptrdiff_t>(draw(kept.size()));
      c.deliver_late({*at});
      if (draw(2) == 0) kept.erase(at);
    }
  }
  CHECK(c[3].state() == whole);
  CHECK(c[3].machine().restored == std::vector{41_i});
  c.drop();
  c.pass(300);
  CHECK(c[3].shape() == c[1].shape());
}

TEST_CASE("send_chunk: a chunk that is lost is sent again after an election timeout") {
  cluster c = lagging(10);
  c.heal();
  c.pass(1);
  CHECK(c[1].propose("x"));
  c.jump(50);
  c[1].tick();
  c.deliver(any);
  c.deliver(any);
  REQUIRE(c[1].peer(3).state == progress_state::snapshot);
  REQUIRE(c.drop(to(3) && kind<install_snapshot>()) == 1);
  const ms lost = c.now();
  std::size_t again = 0;
  while (again == 0) {
    c.jump(10);
    if (c[1].deadline() <= c.now()) c[1].tick();
    again = among(c.mail(), to(3) && kind<install_snapshot>()).size();
    c.deliver(to(2));
    c.deliver(to(1));
    c.drop(to(3) && kind<append_entries>());
    REQUIRE(c.now() - lost <= 250);
  }
  CHECK(c.now() - lost >= 150);
}

TEST_CASE("send_chunk: a snapshot that is not at hand is tried again, and heartbeats go on meanwhile") {
  cluster c = lagging(10);
  c[1].log().cold = true;
  c.heal();
  c.pass(1000);
  CHECK(c[1].leads());
  CHECK(c[1].peer(3).state == progress_state::snapshot);
  CHECK(c[3].last() == 0_i);
  CHECK(c[3].term() == c[1].term());  // it follows
  c[1].log().cold = false;
  c.pass(1000);
  CHECK(c[3].state() == c[1].state());
}

TEST_CASE("on_install_snapshot_reply: an answer about another snapshot does not move the place in this one") {
  cluster c = lagging(10);
  c.heal();
  c.jump(50);
  c[1].tick();
  c.deliver(any);
  c.deliver(any);
  const auto under_way = among(c.mail(), to(3) && kind<install_snapshot>());
  REQUIRE(under_way.size() == 1);
  const auto sent = under_way[0].as<install_snapshot>();
  c.drop();
  const auto answered = [&](std::uint64_t id) {
    CHECK(c[1].step(say(3_n, 1_n, c[1].term(), install_snapshot_reply{sent.last_included_index, id, 4, false, 0})));
    return among(c.take(), kind<install_snapshot>());
  };
  CHECK(answered(sent.id + 1).empty());
  const auto next = answered(sent.id);
  REQUIRE(next.size() == 1);
  CHECK(next[0].as<install_snapshot>().offset == 4);
}

TEST_CASE("send_chunk: heartbeats reach a follower that is being sent a snapshot") {
  cluster c = lagging(50);
  c.heal();
  c.jump(50);
  c[1].tick();
  c.deliver(any);
  c.deliver(any);
  REQUIRE(c[1].peer(3).state == progress_state::snapshot);
  c.drop();
  c.jump(50);
  c[1].tick();
  const auto beats = among(c.mail(), to(3) && kind<append_entries>());
  REQUIRE(beats.size() == 1);
  CHECK(beats[0].as<append_entries>().prev_log_index == 0_i);
  c.deliver(to(3));
  CHECK(c[3].commit() == 0_i);
  CHECK(among(c.mail(), from(3)).at(0).as<append_entries_reply>() == matched(0_i, beats[0].as<append_entries>().round));
}

TEST_CASE("on_append_success: a stray answer moves nobody out of the snapshot state [B91]") {
  cluster c = lagging(20);
  c.heal();
  c.jump(50);
  c[1].tick();
  c.deliver(any);
  c.deliver(any);
  REQUIRE(c[1].peer(3).state == progress_state::snapshot);
  const term_t term = c[1].term();
  const auto before = c[1].peer(3);
  c.drop();
  CHECK(c[1].step(say(3_n, 1_n, term, refused(1_i, {}, 0_i))));
  CHECK(c[1].step(say(3_n, 1_n, term, refused(20_i, {}, 0_i))));
  CHECK(c[1].step(say(3_n, 1_n, term, matched(0_i))));
  CHECK(c[1].step(say(3_n, 1_n, term, matched(3_i))));  // still below what the log begins with
  CHECK(c[1].peer(3).state == progress_state::snapshot);
  CHECK(c[1].peer(3).next >= before.next);
  CHECK(among(c.mail(), kind<install_snapshot>()).empty());  // the one under way is not doubled
}

TEST_CASE("on_append_success: a follower that caught up by other means leaves the snapshot state [B89]") {
  setup how = small_chunks();
  how.options.trailing_entries = 5;
  cluster c = lagging(20, how);
  c.heal();
  c.jump(50);
  c[1].tick();
  c.deliver(any);
  c.deliver(any);
  REQUIRE(c[1].peer(3).state == progress_state::snapshot);
  REQUIRE(c[1].status().first_index == 17_i);
  REQUIRE(c[1].log().snapshot().index == 21_i);
  c.drop();
  // It holds everything up to 16, so the log has all that it needs, although the snapshot reaches further.
  CHECK(c[1].step(say(3_n, 1_n, c[1].term(), matched(16_i))));
  CHECK(c[1].peer(3).state == progress_state::replicate);
  const auto sent = among(c.mail(), to(3) && kind<append_entries>());
  REQUIRE_FALSE(sent.empty());
  CHECK(sent[0].as<append_entries>().prev_log_index == 16_i);
}

TEST_CASE("on_install_snapshot_reply: after the transfer the follower is sent what follows that snapshot [B90]") {
  cluster c = lagging(20);
  c.heal();
  CHECK(c[1].propose("behind"));
  c.pass(1000);
  CHECK(c[3].state() == c[1].state());
  CHECK(c[1].peer(3).match == c[1].last());
}

TEST_CASE("send_chunk: a newer snapshot replaces the one that was being sent [B104]") {
  cluster c = lagging(20);
  c.heal();
  c.jump(50);
  c[1].tick();
  for (int step = 0; step < 6; ++step) c.deliver(any);
  REQUIRE(c[3].log().partial().received > 0);
  c.drop();
  c.isolate(3);
  CHECK(c[1].propose("more"));
  c.pass(700);  // server 3 falls silent, so the leader may take another one
  CHECK(c[1].take_snapshot());
  const index_t newer = c[1].log().snapshot().index;
  c.heal();
  c.pass(2000);
  CHECK(c[3].state() == c[1].state());
  CHECK(c[3].log().snapshot().index == newer);
  CHECK(c[3].machine().restored.size() == 1);
}

TEST_CASE("send_chunk: a leader whose log is empty behind its snapshot sends that to whoever lacks it [B99]") {
  cluster c = lagging(5);
  REQUIRE(c[1].status().first_index > c[1].last());
  c.heal();
  c.pass(1000);  // nobody proposes
  CHECK(c[3].state() == c[1].state());
  CHECK(c[1].peer(3).match == c[1].last());
}

TEST_CASE("send_chunk: a leader whose log is all compacted sends its snapshot to a newcomer at once [B99]") {
  cluster c{2, small_chunks()};
  c.start(1, {.term = 1, .members = voters(2), .base = {9_i, 1_t}, .snapshot = {9_i, 1_t}, .image = "everything;"});
  c[1].campaign();
  c.deliver();  // not a moment passes, and nobody proposes
  CHECK(c[2].state() == "everything;");
  CHECK(c[2].log().snapshot().index == 9_i);
}

TEST_CASE("write_chunk: a follower that restarts goes on where it was, or begins anew if nothing is left [B94]") {
  for (const bool kept : {true, false}) {
    cluster c = lagging(30);
    c.heal();
    c.jump(50);
    c[1].tick();
    while (c[3].log().partial().received < 20) REQUIRE(c.deliver(any) != 0);
    const std::uint64_t there = c[3].log().partial().received;
    if (kept) {
      c.restart(3);
      CHECK(c[3].log().partial().received == there);
    } else {
      c.start(3, memory_log{voters(3), 4096});
    }
    c.drop();
    std::size_t from_the_start = 0;
    for (int step = 0; step < 400 && c[3].state() != c[1].state(); ++step) {
      c.jump(5);
      for (const std::uint64_t id : {1U, 2U}) {
        if (c[id].deadline() <= c.now()) c[id].tick();
      }
      for (const letter& l : among(c.mail(), kind<install_snapshot>())) {
        from_the_start += l.as<install_snapshot>().offset == 0;
      }
      c.deliver(any);
    }
    CHECK(from_the_start == (kept ? 0 : 1));
    CHECK(c[3].state() == c[1].state());
    CHECK(c[3].machine().restored.size() == 1);
  }
}

TEST_CASE("send_chunk: a leader that restarts, and leads again, goes on where the follower is") {
  cluster c = lagging(30);
  c.heal();
  c.jump(50);
  c[1].tick();
  while (c[3].log().partial().received < 20) REQUIRE(c.deliver(any) != 0);
  const std::uint64_t there = c[3].log().partial().received;
  c.restart(1);
  c.drop();
  c.elect(1);  // and with that, all of the rest is sent
  CHECK(c[3].state() == c[1].state());
  CHECK(c[3].machine().restored.size() == 1);
  const auto& writes = c[3].log().writes;
  CHECK(std::count(writes.begin(), writes.end(), "begin") == 1);
  CHECK(there >= 20);
}

TEST_CASE("write_chunk: a chunk in the middle without its beginning asks for the beginning [B94]") {
  auto c = follower({}, 1);
  CHECK(answer(*c, chunk(1_n, 3_n, 1_t, {9_i, 1_t}, voters(3), "0123456789", 4, 4)) ==
        install_snapshot_reply{9_i, 7, 0, false, 0});
  CHECK(c->log().partial().meta.index == 0_i);
  CHECK(answer(*c, chunk(1_n, 3_n, 1_t, {9_i, 1_t}, voters(3), "0123456789", 0, 4)).offset == 4);
  CHECK(answer(*c, chunk(1_n, 3_n, 1_t, {9_i, 1_t}, voters(3), "0123456789", 0, 4)).offset == 4);  // doubled
  CHECK(answer(*c, chunk(1_n, 3_n, 1_t, {9_i, 1_t}, voters(3), "0123456789", 8, 2)).offset == 4);  // early
  CHECK(answer(*c, chunk(1_n, 3_n, 1_t, {9_i, 1_t}, voters(3), "0123456789", 4, 4)).offset == 8);
  const auto last = answer(*c, chunk(1_n, 3_n, 1_t, {9_i, 1_t}, voters(3), "0123456789", 8, 4));
  CHECK(last == install_snapshot_reply{9_i, 7, 10, true, 0});
  CHECK(c->state() == "0123456789");
  CHECK(c->commit() == 9_i);
  CHECK(c->applied() == 9_i);
  CHECK(c->last() == 9_i);
}

TEST_CASE("write_chunk: a crash between the last byte and the end costs no byte: that is asked for, and it ends") {
  setup how;
  how.deferred = true;
  auto before = follower({}, 1, how);
  CHECK(before->step(chunk(1_n, 3_n, 1_t, {9_i, 1_t}, voters(3), "01234567", 0, 8)));
  auto c = try_start(3_n, before->log().disk());
  REQUIRE(c);
  REQUIRE((*c)->log().snapshot().index == 0_i);
  CHECK(answer(**c, chunk(2_n, 3_n, 2_t, {9_i, 1_t}, voters(3), "01234567", 0, 4)) ==
        install_snapshot_reply{9_i, 7, 8, false, 0});
  CHECK(answer(**c, chunk(2_n, 3_n, 2_t, {9_i, 1_t}, voters(3), "01234567", 8, 4)).installed);
  CHECK((*c)->state() == "01234567");
}

TEST_CASE("write_chunk: chunks of two snapshots are not mixed") {
  auto c = follower({}, 1);
  const auto part = [&](std::uint64_t id, after at, std::string_view image, std::size_t offset) {
    return answer(*c, chunk(1_n, 3_n, 1_t, at, voters(3), image, offset, 4, id));
  };
  CHECK(part(7, {9_i, 1_t}, "aaaaaaaa", 0).offset == 4);
  CHECK(part(8, {9_i, 1_t}, "bbbbbbbb", 4).offset == 0);  // other bytes
  CHECK(part(7, {8_i, 1_t}, "aaaaaaaa", 4).offset == 0);  // another place
  CHECK(part(8, {9_i, 1_t}, "bbbbbbbb", 0).offset == 4);  // begins anew
  CHECK(part(7, {9_i, 1_t}, "aaaaaaaa", 4).offset == 0);
  CHECK(part(8, {9_i, 1_t}, "bbbbbbbb", 4).installed);
  CHECK(c->state() == "bbbbbbbb");
}

TEST_CASE("write_chunk: what agrees in index and id, but not in term or size, is another snapshot") {
  auto c = follower({}, 2);
  const auto part = [&](after at, std::string_view image, std::size_t offset) {
    return answer(*c, chunk(1_n, 3_n, 2_t, at, voters(3), image, offset, 4));
  };
  CHECK(part({9_i, 1_t}, "aaaaaaaa", 0).offset == 4);
  CHECK(part({9_i, 2_t}, "aaaaaaaa", 4).offset == 0);
  CHECK(part({9_i, 1_t}, "aaaaaaaaaaaa", 4).offset == 0);
  CHECK(part({9_i, 1_t}, "aaaaaaaa", 4).installed);
}

TEST_CASE("write_chunk: another leader goes on with the same snapshot") {
  auto c = follower({}, 1);
  answer(*c, chunk(1_n, 3_n, 1_t, {9_i, 1_t}, voters(3), "01234567", 0, 4));
  const auto next = answer(*c, chunk(2_n, 3_n, 4_t, {9_i, 1_t}, voters(3), "01234567", 4, 4));
  CHECK(next.installed);
  CHECK(c->leader() == 2_n);
  CHECK(c->state() == "01234567");
}

TEST_CASE("on_install_snapshot: an older snapshot takes nothing back [B79]") {
  auto c = follower({}, 1, small_chunks());
  CHECK(c->step(append(1_n, 3_n, 1_t, {}, 4_i, {{1, "a"}, {1, "b"}, {1, "c"}, {1, "d"}, {1, "e"}})));
  REQUIRE(c->commit() == 4_i);
  for (const bool compacted : {false, true}) {
    if (compacted) CHECK(c->take_snapshot());
    const auto writes = c->log().writes.size();
    for (const index_t at : {1_i, 3_i, 4_i}) {
      CHECK(answer(*c, chunk(1_n, 3_n, 1_t, {at, 1_t}, voters(3), "old", 0, 3)) ==
            install_snapshot_reply{at, 7, 3, true, 0});
    }
    CHECK(c->log().writes.size() == writes);
  }
  CHECK(c->commit() == 4_i);
  CHECK(c->state() == "a;b;c;d;");
  CHECK(c->machine().restored.empty());
}

TEST_CASE("on_install_snapshot: a longer log that agrees stays whole [B80]") {
  auto c = follower({{1, "a"}, {1, "b"}, {1, "c"}, {1, "d"}}, 1);
  const auto taken = answer(*c, chunk(1_n, 3_n, 1_t, {2_i, 1_t}, voters(3), "image", 0, 5));
  CHECK(taken.installed);
  CHECK(c->shape() == "[1:1][2:1][3:1][4:1]");
  CHECK(c->commit() == 2_i);
  CHECK(c->state() == "a;b;");  // what it has says the same
}

TEST_CASE("on_install_snapshot: what the log holds, to its last entry, is committed and not written again") {
  auto c = follower({{1, "a"}, {1, "b"}}, 1);
  CHECK(answer(*c, chunk(1_n, 3_n, 1_t, {2_i, 1_t}, voters(3), "image", 0, 3)) ==
        install_snapshot_reply{2_i, 7, 5, true, 0});
  CHECK(c->log().writes.empty());
  CHECK(c->commit() == 2_i);
}

TEST_CASE("install: a log that differs goes, all of it [B81]") {
  auto c = follower({{1, "a"}, {1, "b"}, {1, "c"}, {1, "d"}}, 3);
  CHECK(answer(*c, chunk(1_n, 3_n, 3_t, {2_i, 3_t}, voters(3), "image", 0, 5)).installed);
  CHECK(c->shape().empty());
  CHECK(c->last() == 2_i);
  CHECK(c->state() == "image");
  CHECK(c->log().disk() == c->log().image());
  CHECK(c->step(append(1_n, 3_n, 3_t, {2_i, 3_t}, 3_i, {{3, "x"}})));
  CHECK(c->state() == "imagex;");
}

TEST_CASE("install: the configuration of the snapshot is in force, not one that went with the log [B82]") {
  auto c = follower({{1, "a"}, {1, "b"}, members(1, voters(5)), {1, "d"}}, 3);
  REQUIRE(c->status().configuration == voters(5));
  CHECK(answer(*c, chunk(1_n, 3_n, 3_t, {8_i, 3_t}, voters(4), "image", 0, 5)).installed);
  CHECK(c->status().configuration == voters(4));
  CHECK(c->status().configuration_index == 0_i);
  CHECK(c->machine().configurations.back() == voters(4));
}

TEST_CASE("install: both halves of a joint configuration come with the snapshot, and survive a restart [B85]") {
  configuration joint;
  joint.voters = {3_n, 4_n};
  joint.outgoing = {1_n, 2_n, 3_n};
  joint.learners = {9_n};
  joint.learners_next = {1_n};
  joint.auto_leave = true;
  auto c = follower({}, 1);
  CHECK(answer(*c, chunk(1_n, 3_n, 1_t, {8_i, 1_t}, joint, "image", 0, 5)).installed);
  CHECK(c->status().configuration == joint);
  auto again = try_start(3_n, c->log().disk());
  REQUIRE(again);
  CHECK((*again)->status().configuration == joint);
  CHECK((*again)->state() == "image");
}

TEST_CASE("install: a server may find itself a learner, or out, and takes the snapshot all the same [B86]") {
  configuration learner = voters(2);
  learner.learners = {3_n};
  for (const configuration& members : {learner, voters(2)}) {
    auto c = follower({}, 1);
    CHECK(answer(*c, chunk(1_n, 3_n, 1_t, {8_i, 1_t}, members, "image", 0, 5)).installed);
    CHECK(c->state() == "image");
    CHECK(c->deadline() == std::numeric_limits<ms>::max());
  }
}

TEST_CASE("on_install_snapshot_reply: of who is no member nothing is taken [B93]") {
  auto a = start(1_n, {.members = voters(3)});
  win(*a);
  const std::string before = a->picture();
  CHECK(a->step(say(9_n, 1_n, 1_t, install_snapshot_reply{1_i, 7, 4, false, 0})));
  CHECK(a->step(say(9_n, 1_n, 1_t, install_snapshot_reply{1_i, 7, 4, true, 0})));
  CHECK(a->picture() == before);
}

TEST_CASE("on_install_snapshot_reply: impossible answers are refused, others do no harm [B95]") {
  cluster c = lagging(10);
  c.heal();
  c.jump(50);
  c[1].tick();
  c.deliver(any);
  c.deliver(any);
  REQUIRE(c[1].peer(3).state == progress_state::snapshot);
  const std::uint64_t id = c[1].log().snapshot().id;
  c.drop();
  const auto refused = c[1].step(say(3_n, 1_n, 1_t, install_snapshot_reply{99_i, id, 0, true, 0}));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::impossible);
  CHECK_FALSE(c[1].step(say(3_n, 1_n, 1_t, install_snapshot_reply{11_i, id, 0, false, 1000})));
  // An offset that cannot be: it begins anew.
  CHECK(c[1].step(say(3_n, 1_n, 1_t, install_snapshot_reply{11_i, id, UINT64_MAX, false, 0})));
  const auto sent = among(c.mail(), to(3) && kind<install_snapshot>());
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].as<install_snapshot>().offset == 0);
  // The end without the word that it is installed: it is asked until that is said.
  c.drop();
  CHECK(c[1].step(say(3_n, 1_n, 1_t, install_snapshot_reply{11_i, id, c[1].log().snapshot().size, false, 0})));
  const auto last = among(c.mail(), to(3) && kind<install_snapshot>());
  REQUIRE(last.size() == 1);
  CHECK(last[0].as<install_snapshot>().offset == c[1].log().snapshot().size);
  CHECK(c[1].peer(3).match < 11_i);
  c.pass(2000);
  CHECK(c[3].state() == c[1].state());
}

TEST_CASE("restore_machine: what is committed behind the snapshot is executed after it, once [B96]") {
  setup how;
  how.deferred = true;
  auto c = follower({}, 1, how);
  CHECK(c->step(append(1_n, 3_n, 1_t, {}, 2_i, {{1, "a"}, {1, "b"}})));  // not durable yet, so not executed
  CHECK(c->step(chunk(1_n, 3_n, 1_t, {4_i, 1_t}, voters(3), "a;b;c;d;", 0, 8)));
  CHECK(c->step(append(1_n, 3_n, 1_t, {4_i, 1_t}, 5_i, {{1, "e"}})));
  CHECK(c->state().empty());
  const auto marks = c->log().under_way();
  REQUIRE(marks.size() >= 3);
  CHECK(c->persisted(marks.front(), marks.front()));
  CHECK(c->state().empty());  // what was to be executed has been replaced
  CHECK(c->persisted());
  CHECK(c->state() == "a;b;c;d;e;");
  CHECK(c->machine().commands.size() == 1);
  CHECK(c->applied() == 5_i);
}

TEST_CASE("restore_machine: a late report of what was executed elsewhere does not set it back [B96]") {
  setup how;
  how.elsewhere = true;
  auto c = follower({}, 1, how);
  CHECK(c->step(append(1_n, 3_n, 1_t, {}, 3_i, {{1, "a"}, {1, "b"}, {1, "c"}})));
  CHECK(c->executed(1_i));
  CHECK(c->step(chunk(1_n, 3_n, 1_t, {9_i, 1_t}, voters(3), "image", 0, 5)));
  CHECK(c->applied() == 9_i);
  CHECK(c->executed(2_i));
  CHECK(c->applied() == 9_i);
  CHECK(c->executed(3_i));
  CHECK(c->applied() == 9_i);
  CHECK(c->step(append(1_n, 3_n, 1_t, {9_i, 1_t}, 10_i, {{1, "x"}})));
  CHECK(c->machine().commands.back() == recorder::command{10_i, 1_t, "x"});
  CHECK(c->executed(10_i));
  CHECK(c->applied() == 10_i);
}

TEST_CASE("take_snapshot: an own snapshot does not replace a newer one of the leader [B97]") {
  setup how = small_chunks();
  how.deferred = true;
  auto c = follower({}, 1, how);
  CHECK(c->step(append(1_n, 3_n, 1_t, {}, 2_i, {{1, "a"}, {1, "b"}})));
  CHECK(c->persisted());
  REQUIRE(c->applied() == 2_i);
  CHECK(c->step(chunk(1_n, 3_n, 1_t, {9_i, 1_t}, voters(3), "image", 0, 5)));
  const auto taken = c->take_snapshot();
  REQUIRE_FALSE(taken);
  CHECK(taken.error().code == errc::not_ready);
  CHECK(c->persisted());
  CHECK(c->log().snapshot().index == 9_i);
  CHECK(c->take_snapshot().error().code == errc::not_ready);
  CHECK(c->state() == "image");
}

TEST_CASE("on_install_snapshot: a snapshot that contradicts what is committed is refused [B103]") {
  auto c = follower({}, 2);
  CHECK(c->step(append(1_n, 3_n, 2_t, {}, 2_i, {{1, "a"}, {1, "b"}, {1, "c"}})));
  REQUIRE(c->commit() == 2_i);
  const std::string before = c->picture();
  c->take_mail();
  for (const after at : {after{2_i, 2_t}, after{1_i, 2_t}}) {
    const auto taken = c->step(chunk(1_n, 3_n, 2_t, at, voters(3), "image", 0, 5));
    REQUIRE_FALSE(taken);
    CHECK(taken.error().code == errc::impossible);
  }
  CHECK(c->picture() == before);
  CHECK(c->take_mail().empty());
}

TEST_CASE("check_body: a snapshot at the place where the log begins has the term that is known of it") {
  const stored log{
      .term = 5, .members = voters(3), .log = {{2, "d"}, {4, "e"}}, .base = {3_i, 2_t}, .snapshot = {4_i, 2_t}};
  auto c = start(3_n, log);
  const auto taken = c->step(chunk(1_n, 3_n, 5_t, {3_i, 3_t}, voters(3), "image", 0, 5));
  REQUIRE_FALSE(taken);
  CHECK(taken.error().code == errc::impossible);
  CHECK(answer(*c, chunk(1_n, 3_n, 5_t, {3_i, 2_t}, voters(3), "image", 0, 5)).installed);
}

TEST_CASE("check_body: a chunk that cannot be is refused and changes nothing") {
  auto c = follower({}, 2);
  const std::string before = c->picture();
  const letter right = chunk(1_n, 3_n, 2_t, {9_i, 1_t}, voters(3), "image", 0, 5);
  const auto refused = [&](auto change, errc code) {
    letter wrong = right;
    change(std::get<install_snapshot>(wrong.what.body));
    const auto taken = c->step(wrong);
    REQUIRE_FALSE(taken);
    CHECK(taken.error().code == code);
    CHECK(c->picture() == before);
  };
  refused([](install_snapshot& s) { s.last_included_index = 0_i; }, errc::impossible);
  refused([](install_snapshot& s) { s.last_included_index = index_t{UINT64_MAX}; }, errc::impossible);
  refused([](install_snapshot& s) { s.last_included_term = 0_t; }, errc::impossible);
  refused([](install_snapshot& s) { s.last_included_term = 3_t; }, errc::impossible);
  refused([](install_snapshot& s) { s.offset = 1; }, errc::impossible);
  refused([](install_snapshot& s) { s.offset = UINT64_MAX; }, errc::impossible);
  refused([](install_snapshot& s) { s.size = 4; }, errc::impossible);
  refused([](install_snapshot& s) { s.size = 0; }, errc::impossible);
  refused([](install_snapshot& s) { s.data = {}; }, errc::impossible);
  refused([](install_snapshot& s) { s.configuration = s.configuration.first(3); }, errc::malformed);
  refused([](install_snapshot& s) { s.configuration = {}; }, errc::malformed);
  const bytes nobody_votes = bytes_of(configuration{});
  refused([&](install_snapshot& s) { s.configuration = nobody_votes; }, errc::invalid_configuration);
  CHECK(c->step(right));
  CHECK(c->state() == "image");
}

TEST_CASE("on_install_snapshot: an empty image is an image") {
  auto c = follower({}, 1);
  CHECK(answer(*c, chunk(1_n, 3_n, 1_t, {3_i, 1_t}, voters(3), "", 0, 5)).installed);
  CHECK(c->applied() == 3_i);
  CHECK(c->machine().restored == std::vector{3_i});
}

TEST_CASE("restore_machine: an image that cannot be read stops the node") {
  recorder machine;
  machine.refuses_to_restore = true;
  auto c = start(3_n, {.term = 1, .members = voters(3)}, {}, machine);
  CHECK(c->step(chunk(1_n, 3_n, 1_t, {3_i, 1_t}, voters(3), "image", 0, 5)));
  CHECK(c->failed());
  const auto made = try_start(3_n, c->log().disk(), {}, machine);
  CHECK_FALSE(made);
}

TEST_CASE("restore_machine: an image that the Log does not show stops the node") {
  auto c = follower({}, 1);
  c->log().cold = true;
  CHECK(c->step(chunk(1_n, 3_n, 1_t, {3_i, 1_t}, voters(3), "image", 0, 5)));
  CHECK(c->failed());
  CHECK(c->state().empty());
  CHECK(c->machine().restored.empty());
}

TEST_CASE("create: a restart restores the snapshot and goes on behind it") {
  cluster c{1, small_chunks()};
  c.elect(1);
  CHECK(c[1].propose({"a", "b"}));
  CHECK(c[1].take_snapshot());
  CHECK(c[1].propose("c"));
  c.restart(1);
  CHECK(c[1].state() == "a;b;");
  CHECK(c[1].applied() == 3_i);
  CHECK(c[1].commit() == 3_i);
  c.elect(1);
  CHECK(c[1].state() == "a;b;c;");
}

TEST_CASE("create: a machine that is further than the snapshot is not set back to it [B163]") {
  recorder machine;
  machine.state = "kept";
  machine.durable_at = 6_i;
  const stored log{.term = 1,
                   .members = voters(1),
                   .log = {{1, "f"}, {1, "g"}},
                   .base = {5_i, 1_t},
                   .snapshot = {5_i, 1_t},
                   .image = "image"};
  auto a = start(1_n, log, {}, machine);
  CHECK(a->state() == "kept");
  win(*a);
  CHECK(a->state() == "keptg;");
  machine.durable_at = 4_i;  // and one that is not as far begins with the snapshot
  auto b = start(1_n, log, {}, machine);
  CHECK(b->state() == "image");
}

TEST_CASE("install: a crash before the snapshot is durable leaves the log as it was [B160]") {
  setup how;
  how.deferred = true;
  auto c = follower({{1, "a"}, {1, "b"}}, 1, how);
  CHECK(c->step(chunk(1_n, 3_n, 1_t, {9_i, 1_t}, voters(3), "image", 0, 5)));
  CHECK(c->take_mail().empty());  // nothing is said before it is durable
  auto crashed = try_start(3_n, c->log().disk());
  REQUIRE(crashed);
  CHECK((*crashed)->shape() == "[1:1][2:1]");
  CHECK((*crashed)->log().snapshot().index == 0_i);
  CHECK(c->persisted());
  CHECK(c->only<install_snapshot_reply>().installed);
  auto later = try_start(3_n, c->log().disk());
  REQUIRE(later);
  CHECK((*later)->state() == "image");
  CHECK((*later)->last() == 9_i);
}

TEST_CASE("check_body: a snapshot behind what is committed is not of an earlier term than that") {
  auto b = start(2_n, {.term = 5, .commit_hint = 2, .members = voters(3), .log = {{1, "a"}, {4, "b"}, {5, "c"}}});
  const std::string before = b->picture();
  CHECK(b->step(chunk(1_n, 2_n, 5_t, {7_i, 3_t}, voters(3), "state", 0, 5)).error().code == errc::impossible);
  CHECK(b->picture() == before);
  CHECK(b->step(chunk(1_n, 2_n, 5_t, {7_i, 4_t}, voters(3), "state", 0, 5)));
  CHECK(b->shape().empty());
}

TEST_CASE("check_body: every snapshot has an id") {
  auto b = start(2_n, {.term = 5, .members = voters(3)});
  const std::string before = b->picture();
  CHECK(b->step(chunk(1_n, 2_n, 5_t, {7_i, 4_t}, voters(3), "state", 0, 5, 0)).error().code == errc::impossible);
  CHECK(b->picture() == before);
}

}  // namespace impl_snapshot_test
