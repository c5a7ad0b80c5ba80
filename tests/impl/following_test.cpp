// Log replication, the follower's side, impl/following.hpp. "[B44]" and the like name the bug, seen in other engines,
// that a test guards against.

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace impl_following_test {

using namespace raft;
using namespace story;

namespace {

std::unique_ptr<server> follower(std::uint64_t term, const std::vector<written>& log, const setup& how = {}) {
  return start(2_n, {.term = term, .members = voters(3), .log = log}, how);
}

append_entries_reply answer(server& s, const letter& l) {
  s.take_mail();
  CHECK(s.step(l));
  return s.only<append_entries_reply>();
}

append_entries_reply success(index_t index, index_t last, std::uint64_t round = 0) {
  return {true, index, {}, {}, last, round};
}

/// The message is refused as one that no correct leader sends, and nothing changes.
void impossible(server& s, const letter& l) {
  const std::string before = s.picture();
  s.take_mail();
  const auto taken = s.step(l);
  REQUIRE_FALSE(taken);
  CHECK(taken.error().code == errc::impossible);
  CHECK(s.picture() == before);
  CHECK(s.take_mail().empty());
}

}  // namespace

TEST_CASE("on_append_entries: entries behind the end are appended and acknowledged") {
  auto b = follower(1, {{1, "a"}});
  CHECK(answer(*b, append(1_n, 2_n, 1_t, {1_i, 1_t}, 0_i, {{1, "b"}, {1, "c"}}, 4)) == success(3_i, 3_i, 4));
  CHECK(read(b->log().image()) == std::vector<written>{{1, "a"}, {1, "b"}, {1, "c"}});
  CHECK(b->log().writes == std::vector<std::string>{"append"});
}

TEST_CASE("on_append_entries: an append that is doubled or late changes nothing [B41]") {
  auto b = follower(1, {});
  const letter first = append(1_n, 2_n, 1_t, {}, 0_i, {no_op(1), {1, "a"}});
  CHECK(answer(*b, first) == success(2_i, 2_i));
  CHECK(answer(*b, append(1_n, 2_n, 1_t, {2_i, 1_t}, 0_i, {{1, "b"}, {1, "c"}, {1, "d"}, {1, "e"}, {1, "f"}})) ==
        success(7_i, 7_i));
  const auto writes = b->log().writes;
  CHECK(answer(*b, first) == success(2_i, 7_i));
  CHECK(answer(*b, append(1_n, 2_n, 1_t, {}, 0_i, {no_op(1)})) == success(1_i, 7_i));
  CHECK(answer(*b, append(1_n, 2_n, 1_t, {3_i, 1_t}, 0_i, {{1, "c"}, {1, "d"}})) == success(5_i, 7_i));
  CHECK(b->log().writes == writes);
  CHECK(b->shape() == "[1:1][2:1][3:1][4:1][5:1][6:1][7:1]");
}

TEST_CASE("on_append_entries: a batch that is held in part adds the rest only") {
  auto b = follower(1, {{1, "a"}, {1, "b"}});
  CHECK(answer(*b, append(1_n, 2_n, 1_t, {}, 0_i, {{1, "a"}, {1, "b"}, {1, "c"}})) == success(3_i, 3_i));
  CHECK(b->log().writes == std::vector<std::string>{"append"});
  CHECK(read(b->log().image()) == std::vector<written>{{1, "a"}, {1, "b"}, {1, "c"}});
}

TEST_CASE("on_append_entries: what lies before the log's beginning is no conflict [B43]") {
  auto b = start(2_n, {.term = 2,
                       .members = voters(3),
                       .log = {{2, "k"}, {2, "l"}, {2, "m"}},
                       .base = {10_i, 2_t},
                       .snapshot = {10_i, 2_t},
                       .image = "s"});
  CHECK(answer(*b, append(1_n, 2_n, 2_t, {8_i, 1_t}, 0_i, {{1, "i"}, {2, "j"}})) == success(10_i, 13_i));
  CHECK(answer(*b, append(1_n, 2_n, 2_t, {8_i, 1_t}, 0_i, {{1, "i"}, {2, "j"}, {2, "k"}})) == success(11_i, 13_i));
  CHECK(answer(*b, append(1_n, 2_n, 2_t, {8_i, 1_t}, 0_i, {})) == success(8_i, 13_i));
  CHECK(answer(*b, append(1_n, 2_n, 2_t, {}, 0_i, {{1, "a"}})) == success(1_i, 13_i));
  CHECK(b->log().writes.empty());
  CHECK(b->shape() == "[11:2][12:2][13:2]");
  // Over the border and beyond the end: only the end is new.
  CHECK(answer(*b, append(1_n, 2_n, 2_t, {9_i, 1_t}, 0_i, {{2, "j"}, {2, "k"}, {2, "l"}, {2, "m"}, {2, "n"}})) ==
        success(14_i, 14_i));
  CHECK(b->log().writes == std::vector<std::string>{"append"});
}

TEST_CASE("on_append_entries: only what the request covers is acknowledged [B44]") {
  auto b = follower(1, {{1, "a"}, {1, "b"}, {1, "c"}, {1, "stale"}, {1, "stale"}});
  CHECK(answer(*b, append(1_n, 2_n, 2_t, {3_i, 1_t}, 0_i, {})) == success(3_i, 5_i));
  CHECK(answer(*b, append(1_n, 2_n, 2_t, {2_i, 1_t}, 0_i, {{1, "c"}})) == success(3_i, 5_i));
}

TEST_CASE("on_append_entries: a stale tail does not help a leader to a commit [B44]") {
  cluster c{3};
  c.start(1, {.term = 1, .members = voters(3), .log = {{1, "a"}, {1, "b"}, {1, "c"}}});
  c.start(2, {.term = 1, .members = voters(3), .log = {{1, "a"}, {1, "b"}, {1, "c"}, {1, "s"}, {1, "s"}}});
  c.start(3, {.term = 1, .members = voters(3)});
  c.cut(1, 2);
  c.elect(1);
  c.isolate(3);
  c.heal();
  c.cut(1, 3);
  CHECK(c[1].propose("x"));
  c.drop();
  c.jump(50);
  c[1].tick();
  // Every entry is lost on its way to 2; it sees but the question at the place where the logs meet.
  CHECK(c[2].step(append(1_n, 2_n, 2_t, {3_i, 1_t}, 0_i, {}, 1)));
  c.drop(from(1));
  c.deliver(to(1));
  CHECK(c[1].peer(2).match <= 3_i);
  CHECK(c[1].commit() <= 4_i);
  CHECK(c[1].commit() != 5_i);
}

TEST_CASE("set_commit_index: a follower's commit goes no further than what it was shown to be equal") {
  auto b = follower(1, {{1, "a"}, {1, "b"}, {1, "c"}, {1, "stale"}, {1, "stale"}});
  answer(*b, append(1_n, 2_n, 2_t, {3_i, 1_t}, 5_i, {}));
  CHECK(b->commit() == 3_i);
  answer(*b, append(1_n, 2_n, 2_t, {3_i, 1_t}, 9_i, {{2, "d"}}));
  CHECK(b->commit() == 4_i);
  CHECK(b->state() == "a;b;c;d;");
  CHECK(b->shape() == "[1:1][2:1][3:1][4:2]");
}

TEST_CASE("set_commit_index: the commit index does not fall [B164]") {
  auto b = follower(1, {{1, "a"}, {1, "b"}});
  answer(*b, append(1_n, 2_n, 1_t, {2_i, 1_t}, 2_i, {}));
  answer(*b, append(1_n, 2_n, 1_t, {2_i, 1_t}, 1_i, {}));
  answer(*b, append(1_n, 2_n, 1_t, {1_i, 1_t}, 2_i, {}));
  CHECK(b->commit() == 2_i);
  CHECK(b->state() == "a;b;");
}

TEST_CASE("refuse_append: says where the logs may meet: past a whole conflicting term") {
  auto b = follower(9, {{1, "a"}, {1, "b"}, {1, "c"}, {4, "d"}, {4, "e"}, {4, "f"}, {4, "g"}});
  const auto refused_at = [&](after prev) { return answer(*b, append(1_n, 2_n, 9_t, prev, 0_i, {})); };
  // Behind the end: from the end on, back over the terms above prev_log_term.
  CHECK(refused_at({10_i, 6_t}) == refused(10_i, {7_i, 4_t}, 7_i));
  CHECK(refused_at({9_i, 3_t}) == refused(9_i, {3_i, 1_t}, 7_i));
  CHECK(refused_at({6_i, 5_t}) == refused(6_i, {6_i, 4_t}, 7_i));
  CHECK(refused_at({6_i, 2_t}) == refused(6_i, {3_i, 1_t}, 7_i));
  CHECK(b->shape() == "[1:1][2:1][3:1][4:4][5:4][6:4][7:4]");
  CHECK(b->log().writes.empty());

  auto empty = follower(9, {});
  CHECK(answer(*empty, append(1_n, 2_n, 9_t, {4_i, 3_t}, 0_i, {})) == refused(4_i, {}, 0_i));
}

TEST_CASE("refuse_append: the hint does not reach below the log's beginning [B51]") {
  auto b = start(2_n, {.term = 9,
                       .members = voters(3),
                       .log = {{8, "k"}, {8, "l"}},
                       .base = {10_i, 7_t},
                       .snapshot = {10_i, 7_t},
                       .image = "s"});
  CHECK(answer(*b, append(1_n, 2_n, 9_t, {12_i, 1_t}, 0_i, {})) == refused(12_i, {10_i, 7_t}, 12_i));
  CHECK(answer(*b, append(1_n, 2_n, 9_t, {99_i, 1_t}, 0_i, {})) == refused(99_i, {10_i, 7_t}, 12_i));
}

TEST_CASE("on_append_entries: a conflict removes the entry and all behind it, and nothing before it") {
  auto b = follower(3, {{1, "a"}, {2, "b"}, {2, "c"}, {2, "d"}});
  CHECK(answer(*b, append(1_n, 2_n, 3_t, {1_i, 1_t}, 0_i, {{2, "b"}, {3, "x"}})) == success(3_i, 3_i));
  CHECK(read(b->log().image()) == std::vector<written>{{1, "a"}, {2, "b"}, {3, "x"}});
  CHECK(b->log().writes == std::vector<std::string>{"truncate", "append"});
  CHECK(b->told<events::log_truncated>().at(0).from == 3_i);
}

TEST_CASE("on_append_entries: the leader's shorter log is no conflict") {
  auto b = follower(2, {{1, "a"}, {1, "b"}, {1, "c"}});
  CHECK(answer(*b, append(1_n, 2_n, 2_t, {}, 0_i, {{1, "a"}})) == success(1_i, 3_i));
  CHECK(b->shape() == "[1:1][2:1][3:1]");
}

TEST_CASE("contradicts_committed: what is committed is never truncated, whoever asks") {
  auto b = follower(2, {{1, "a"}, {1, "b"}, {1, "c"}, {1, "d"}});
  answer(*b, append(1_n, 2_n, 2_t, {3_i, 1_t}, 3_i, {}));
  REQUIRE(b->commit() == 3_i);
  impossible(*b, append(1_n, 2_n, 2_t, {1_i, 1_t}, 3_i, {{2, "x"}}));
  impossible(*b, append(1_n, 2_n, 2_t, {}, 3_i, {{1, "a"}, {1, "b"}, {2, "x"}}));
  impossible(*b, append(1_n, 2_n, 2_t, {2_i, 2_t}, 3_i, {}));
  impossible(*b, append(1_n, 2_n, 2_t, {3_i, 2_t}, 3_i, {{2, "x"}}));
  impossible(*b, append(3_n, 2_n, 7_t, {1_i, 1_t}, 3_i, {{7, "x"}}));  // not even of a later term
  CHECK(b->term() == 2_t);
  CHECK(answer(*b, append(1_n, 2_n, 2_t, {3_i, 1_t}, 3_i, {{2, "x"}})) == success(4_i, 4_i));
}

TEST_CASE("contradicts_committed: of what is compacted, the term of the last entry is known still") {
  auto b = start(
      2_n,
      {.term = 5, .members = voters(3), .log = {{4, "k"}}, .base = {10_i, 4_t}, .snapshot = {10_i, 4_t}, .image = "s"});
  impossible(*b, append(1_n, 2_n, 5_t, {10_i, 3_t}, 0_i, {}));
  impossible(*b, append(1_n, 2_n, 5_t, {10_i, 5_t}, 0_i, {{5, "x"}}));
  impossible(*b, append(1_n, 2_n, 5_t, {9_i, 3_t}, 0_i, {{3, "j"}}));
  impossible(*b, append(1_n, 2_n, 5_t, {8_i, 3_t}, 0_i, {{3, "i"}, {3, "j"}, {5, "x"}}));
  CHECK(answer(*b, append(1_n, 2_n, 5_t, {10_i, 4_t}, 0_i, {})) == success(10_i, 11_i));
  CHECK(answer(*b, append(1_n, 2_n, 5_t, {8_i, 3_t}, 0_i, {{3, "i"}, {4, "j"}, {4, "k"}, {5, "x"}})) ==
        success(12_i, 12_i));
  CHECK(b->shape() == "[11:4][12:5]");
}

TEST_CASE("already_held: an entry that is held answers for all before it [paper §5.3, Log Matching]") {
  auto b = follower(3, {{1, "a"}, {2, "b"}, {3, "c"}});
  // No leader sends this; what the last entry says is taken all the same, and the others are not looked at.
  CHECK(answer(*b, append(1_n, 2_n, 3_t, {}, 0_i, {{1, "a"}, {1, "?"}, {3, "c"}})) == success(3_i, 3_i));
  CHECK(b->log().writes.empty());
}

TEST_CASE("check_body: an append that no leader's log could give is refused [B183]") {
  auto b = follower(5, {{1, "a"}, {4, "b"}});
  impossible(*b, append(1_n, 2_n, 5_t, {2_i, 4_t}, 0_i, {{3, "x"}}));  // the terms fall
  impossible(*b, append(1_n, 2_n, 5_t, {2_i, 4_t}, 0_i, {{6, "x"}}));  // an entry of a later term than the leader's
  impossible(*b, append(1_n, 2_n, 5_t, {2_i, 6_t}, 0_i, {}));          // and so its predecessor
  impossible(*b, append(1_n, 2_n, 5_t, {0_i, 1_t}, 0_i, {}));          // nothing lies at zero
  impossible(*b, append(1_n, 2_n, 5_t, {2_i, 0_t}, 0_i, {}));          // and something lies elsewhere
  impossible(*b, append(1_n, 2_n, 5_t, {}, 0_i, {{0, "x"}}));          // an entry of no term
  impossible(*b, append(1_n, 2_n, 5_t, {index_t{UINT64_MAX}, 4_t}, 0_i, {}));
  impossible(*b, append(1_n, 2_n, 5_t, {index_t{UINT64_MAX}, 4_t}, 0_i, {{5, "x"}}));
  impossible(*b, append(1_n, 2_n, 5_t, {2_i, 4_t}, index_t{UINT64_MAX}, {}));
  CHECK(answer(*b, append(1_n, 2_n, 5_t, {2_i, 4_t}, index_t{std::uint64_t{1} << 62}, {})) == success(2_i, 2_i));
}

TEST_CASE("check_body: a second leader of a term is refused") {
  auto b = follower(5, {{1, "a"}});
  answer(*b, append(1_n, 2_n, 5_t, {1_i, 1_t}, 0_i, {}));
  impossible(*b, append(3_n, 2_n, 5_t, {1_i, 1_t}, 0_i, {{5, "x"}}));
  CHECK(b->leader() == 1_n);
  answer(*b, append(3_n, 2_n, 6_t, {1_i, 1_t}, 0_i, {}));
  CHECK(b->leader() == 3_n);
}

TEST_CASE("refuse_second_leader: a leader refuses appends and snapshots of its own term, and goes on [B182]") {
  auto a = start(1_n, {.members = voters(3)});
  win(*a);
  impossible(*a, append(2_n, 1_n, 1_t, {}, 0_i, {no_op(1)}));
  impossible(*a, chunk(2_n, 1_n, 1_t, {9_i, 1_t}, voters(3), "state", 0, 3));
  CHECK(a->leads());
}

TEST_CASE("on_append_entries: of a very old leader nothing is taken but that it is old [B182]") {
  auto a = start(1_n, {.term = 900, .members = voters(3)});
  win(*a);
  const std::string before = a->picture();
  CHECK(a->step(append(2_n, 1_n, 1_t, {7_i, 1_t}, 9_i, {{1, "x"}})));
  CHECK(a->only<append_entries_reply>().success == false);
  CHECK(a->step(chunk(2_n, 1_n, 1_t, {9_i, 1_t}, voters(3), "state", 0, 3)));
  CHECK(a->only<install_snapshot_reply>().installed == false);
  CHECK(a->picture() == before);
}

TEST_CASE("follow: the leader's word starts the election timer again") {
  auto b = follower(1, {});
  const ms wait = b->deadline();
  b->now() = wait - 1;
  answer(*b, append(1_n, 2_n, 1_t, {}, 0_i, {}));
  CHECK(b->deadline() == b->now() + wait);
  b->now() += 10;
  answer(*b, append(1_n, 2_n, 1_t, {5_i, 1_t}, 0_i, {}));  // refused, and yet heard
  CHECK(b->deadline() == b->now() + wait);
  b->now() += 10;
  CHECK(b->step(chunk(1_n, 2_n, 1_t, {9_i, 1_t}, voters(3), "state", 0, 2)));
  CHECK(b->deadline() == b->now() + wait);
}

TEST_CASE("follow: an append of a former term does not hold the election back") {
  auto b = follower(3, {});
  const ms due = b->deadline();
  b->now() = due - 1;
  CHECK(b->step(append(1_n, 2_n, 2_t, {}, 0_i, {})));
  CHECK(b->deadline() == due);
}

TEST_CASE("on_append_entries: the example of the consistency check, step by step") {
  // Leader [1:1][2:3][3:3] of term 4, follower [1:1][2:1].
  cluster c{3};
  c.start(1, {.term = 3, .members = voters(3), .log = {{1, "a"}, {3, "b"}, {3, "c"}}});
  c.start(2, {.term = 3, .members = voters(3), .log = {{1, "a"}, {1, "z"}}});
  c[1].campaign();
  while (c.deliver(!to(2)) != 0) {
  }
  REQUIRE(c[1].leads());
  c.drop(!kind<append_entries>());

  // 1 The leader asks at its end, with its first entry of this term.
  REQUIRE(c.mail().size() == 1);
  CHECK(c.mail()[0] == append(1_n, 2_n, 4_t, {3_i, 3_t}, 0_i, {no_op(4)}));
  c.deliver(to(2));
  // 2 The follower has no entry 3. Its last one is of term 1, which is no later than term 3: the logs may meet there.
  REQUIRE(c.mail().size() == 1);
  CHECK(c.mail()[0] == say(2_n, 1_n, 4_t, refused(3_i, {2_i, 1_t}, 2_i)));
  CHECK(c[2].shape() == "[1:1][2:1]");
  c.deliver(to(1));
  // 3 The leader's entry 2 is of a later term than 1: they cannot meet behind entry 1.
  REQUIRE(among(c.mail(), to(2)).size() == 1);
  CHECK(among(c.mail(), to(2))[0] == append(1_n, 2_n, 4_t, {1_i, 1_t}, 4_i, {{3, "b"}, {3, "c"}, no_op(4)}, 0));
  c.deliver(to(2));
  // 4 The follower lets go of its entry 2 and has the leader's log.
  CHECK(c[2].shape() == "[1:1][2:3][3:3][4:4]");
  CHECK(c[2].log().writes == std::vector<std::string>{"store", "truncate", "append"});
  CHECK(c[2].state() == "a;b;c;");
  c.deliver();
  CHECK(c[1].peer(2).match == 4_i);
}

}  // namespace impl_following_test
