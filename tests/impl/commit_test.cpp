// Commit and apply, impl/commit.hpp. "[B60]" and the like name the bug, seen in other engines, that a test guards
// against.

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace impl_commit_test {

using namespace raft;
using namespace story;

namespace {

void ack(server& a, node_id who, index_t index) { CHECK(a.step(say(who, 1_n, a.term(), matched(index)))); }

std::vector<std::string> texts(const recorder& m) {
  std::vector<std::string> all;
  for (const auto& c : m.commands) all.push_back(c.text);
  return all;
}

}  // namespace

TEST_CASE("advance_commit_index: an entry of an earlier term is not committed by being counted [B60]") {
  auto a = start(1_n, {.term = 2, .members = voters(3), .log = {{1, "a"}, {2, "b"}}});
  win(*a);
  ack(*a, 2_n, 2_i);
  ack(*a, 3_n, 2_i);
  CHECK(a->commit() == 0_i);
  ack(*a, 2_n, 3_i);  // the no-op of this term takes them with it
  CHECK(a->commit() == 3_i);
  CHECK(a->state() == "a;b;");
}

TEST_CASE("advance_commit_index: each member counts for itself only [B62]") {
  auto a = start(1_n, {.members = voters(5)});
  win(*a);
  CHECK(a->propose({"a", "b", "c"}));
  ack(*a, 2_n, 4_i);
  ack(*a, 2_n, 4_i);
  CHECK(a->commit() == 0_i);
  ack(*a, 5_n, 3_i);
  CHECK(a->commit() == 3_i);
  ack(*a, 4_n, 2_i);
  CHECK(a->commit() == 3_i);
  ack(*a, 3_n, 4_i);
  CHECK(a->commit() == 4_i);
}

TEST_CASE("advance_commit_index: learners do not count, a voter among them does") {
  configuration c = voters(3);
  c.learners = {4_n, 5_n};
  auto a = start(1_n, {.members = c});
  win(*a);
  ack(*a, 4_n, 1_i);
  ack(*a, 5_n, 1_i);
  CHECK(a->commit() == 0_i);
  ack(*a, 3_n, 1_i);
  CHECK(a->commit() == 1_i);
}

TEST_CASE("advance_commit_index: a joint configuration needs a majority of each half [B66]") {
  configuration c;
  c.voters = {1_n, 2_n, 3_n};
  c.outgoing = {1_n, 4_n, 5_n};
  auto a = start(1_n, {.members = c});
  win(*a);
  ack(*a, 2_n, 1_i);
  ack(*a, 3_n, 1_i);
  CHECK(a->commit() == 0_i);
  ack(*a, 5_n, 1_i);
  CHECK(a->commit() == 1_i);
}

TEST_CASE("advance_commit_index: entries behind a configuration need the quorum that it brings [B66]") {
  // 1 alone leads; its log brings 2 and 3 in, uncommitted.
  auto a = start(1_n, {.term = 1, .members = voters(1), .log = {no_op(1), members(1, voters(3))}});
  a->campaign();
  CHECK(a->role() == role_kind::pre_candidate);  // alone it is no majority of three
  win(*a);
  CHECK(a->propose("x"));
  CHECK(a->commit() == 0_i);
  ack(*a, 2_n, 3_i);
  CHECK(a->commit() == 3_i);
  CHECK(a->state().empty());
  ack(*a, 3_n, 4_i);
  CHECK(a->state() == "x;");
  // The same for a configuration that it appends itself: the one voter decides no more alone.
  auto b = start(1_n, {.term = 1, .members = voters(1)});
  win(*b);
  const index_t alone = b->last();
  REQUIRE(b->commit() == alone);
  CHECK(b->change({{1_n, 2_n}, {}, {}}));
  CHECK(b->propose("y"));
  CHECK(b->commit() == alone);
  ack(*b, 2_n, b->last());
  CHECK(b->commit() == b->last());
}

TEST_CASE("advance_commit_index: a leader that is no member any more does not count itself [B67]") {
  const configuration without_1 = voters_of({2_n, 3_n, 4_n});
  auto a = start(1_n, {.term = 1, .members = voters(4), .log = {no_op(1), members(1, without_1)}});
  win(*a);
  const index_t last = a->last();
  ack(*a, 2_n, last);
  CHECK(a->commit() == 0_i);
  ack(*a, 3_n, last);
  CHECK(a->commit() == last);
}

TEST_CASE("count_own_entries: the leader counts itself when its write is durable, not before [B69]") {
  setup how;
  how.deferred = true;
  auto a = start(1_n, {.members = voters(3)}, how);
  win(*a);
  ack(*a, 2_n, 1_i);
  REQUIRE(a->commit() == 1_i);
  CHECK(a->propose("x"));
  ack(*a, 2_n, 2_i);
  CHECK(a->commit() == 1_i);  // one copy that is durable
  CHECK(a->state().empty());
  CHECK(a->persisted());
  CHECK(a->commit() == 2_i);
  CHECK(a->state() == "x;");
}

TEST_CASE("apply: others may commit what is not durable here, and it is executed when it is") {
  setup how;
  how.deferred = true;
  auto a = start(1_n, {.members = voters(3)}, how);
  win(*a);
  CHECK(a->propose("x"));
  ack(*a, 2_n, 2_i);
  ack(*a, 3_n, 2_i);
  CHECK(a->commit() == 2_i);
  CHECK(a->state().empty());
  CHECK(a->persisted());
  CHECK(a->state() == "x;");
}

TEST_CASE("apply: of what others committed, only as much is executed as is durable here") {
  setup how;
  how.deferred = true;
  auto b = start(2_n, {.term = 1, .members = voters(3)}, how);
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {no_op(1), {1, "x"}})));
  const mark_t first = b->log().newest();
  CHECK(b->step(append(1_n, 2_n, 1_t, {2_i, 1_t}, 3_i, {{1, "y"}})));
  CHECK(b->persisted(first, first));
  CHECK(b->commit() == 3_i);
  CHECK(b->state() == "x;");
  CHECK(b->applied() == 2_i);
  CHECK(b->persisted());
  CHECK(b->state() == "x;y;");
}

TEST_CASE("count_own_entries: what the leader was waiting for alone is committed with its own write") {
  setup how;
  how.deferred = true;
  auto a = start(1_n, {.members = voters(1)}, how);
  win(*a);
  CHECK(a->commit() == 1_i);
  CHECK(a->propose("x"));
  CHECK(a->commit() == 1_i);
  CHECK(a->persisted());
  CHECK(a->commit() == 2_i);

  auto two = start(1_n, {.members = voters(2)}, how);
  win(*two);
  CHECK(two->propose("x"));
  ack(*two, 2_n, 2_i);
  CHECK(two->commit() == 1_i);
  CHECK(two->persisted());
  CHECK(two->commit() == 2_i);
}

TEST_CASE("hand_over: a bounded number of bytes a call, nothing forgotten or twice [B72]") {
  for (const bool generous : {false, true}) {
    setup how;
    how.options.max_apply_bytes = 2 * entry_bytes(1);
    auto b = start(2_n, {.term = 1, .members = voters(3)}, how);
    b->log().generous = generous;
    CHECK(b->step(
        append(1_n, 2_n, 1_t, {}, 7_i, {{1, "a"}, {1, "b"}, {1, "c"}, no_op(1), {1, "d"}, {1, "e"}, {1, "f"}})));
    CHECK(b->commit() == 7_i);
    std::size_t calls = 1;
    CHECK(b->machine().commands.size() <= (generous ? 3U : 2U));
    while (b->applied() < 7_i) {
      CHECK(b->deadline() <= b->now());  // it says that there is more to do
      const index_t before = b->applied();
      b->tick();
      CHECK(b->applied() > before);
      REQUIRE(++calls < 10);
    }
    CHECK(calls >= 3);
    CHECK(b->deadline() > b->now());
    CHECK(texts(b->machine()) == std::vector<std::string>{"a", "b", "c", "d", "e", "f"});
  }
}

TEST_CASE("hand_over: an entry larger than the bound is handed over all the same [B169]") {
  setup how;
  how.options.max_apply_bytes = 1;
  auto b = start(2_n, {.term = 1, .members = voters(3)}, how);
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 2_i, {{1, "large"}, {1, "larger"}})));
  CHECK(b->state() == "large;");
  b->tick();
  CHECK(b->state() == "large;larger;");
}

TEST_CASE("become_leader: a new leader commits what it inherited without any client [B73]") {
  cluster c{3};
  c.elect(1);
  CHECK(c[1].propose("x"));
  c.deliver(to(2));
  c.crash(1);
  c.drop();
  c.elect(2);
  c.spread();
  CHECK(c[2].state() == "x;");
  CHECK(c[3].state() == "x;");
}

TEST_CASE("apply: every server executes, not the leader alone [B78]") {
  cluster c{3};
  c.elect(1);
  CHECK(c[1].propose("x"));
  c.spread();
  for (const std::uint64_t id : c.ids()) CHECK(c[id].state() == "x;");
  c.crash(1);
  c.elect(3);
  CHECK(c[3].state() == "x;");
}

TEST_CASE("on_append_entries: a follower whose entries were not durable learns the commit all the same [B75]") {
  setup how;
  how.deferred = true;
  cluster c{3, how};
  c.elect(1);
  c.crash(3);
  CHECK(c[1].propose("x"));
  c.deliver();
  CHECK(c[1].persisted());
  c.jump(50);
  c[1].tick();
  c.deliver();  // tells nothing new: server 2 has not written it yet
  CHECK(c[1].commit() == 1_i);
  CHECK(c[2].persisted());
  c.deliver();
  CHECK(c[1].commit() == 2_i);
  c.jump(50);
  c[1].tick();
  c.deliver();
  CHECK(c[2].state() == "x;");
}

TEST_CASE(
    "hand_over: a machine elsewhere gets what is committed, within its bound over all that it has not executed "
    "[B170]") {
  setup how;
  how.elsewhere = true;
  how.options.max_apply_bytes = 2 * entry_bytes(1);
  auto a = start(1_n, {.members = voters(1)}, how);
  win(*a);
  CHECK(a->propose({"a", "b", "c", "d", "e"}));
  REQUIRE(a->commit() == 6_i);
  const auto handed = [&] { return a->machine().commands.size(); };
  const std::size_t first = handed();
  CHECK(first <= 2);
  for (int i = 0; i < 5; ++i) a->tick();
  CHECK(handed() <= 2);
  CHECK(a->deadline() > a->now());  // nothing to do until it has executed some
  CHECK(a->machine().fates.empty());
  while (a->applied() < 6_i) {
    const std::size_t before = handed();
    CHECK(a->executed(a->machine().commands.back().index));
    CHECK(handed() <= before + 2);
  }
  CHECK(a->state() == "a;b;c;d;e;");
  std::uint64_t told = 0;
  for (const auto& f : a->machine().fates) told += f.last - f.first.previous();
  CHECK(told == 5);
}

TEST_CASE("step(applied): execution is reported in steps, and only of what was handed over") {
  setup how;
  how.elsewhere = true;
  auto a = start(1_n, {.members = voters(1)}, how);
  win(*a);
  CHECK(a->propose({"a", "b", "c"}));
  const std::string before = a->picture();
  const auto early = a->executed(5_i);
  REQUIRE_FALSE(early);
  CHECK(early.error().code == errc::impossible);
  CHECK(a->picture() == before);
  CHECK(a->executed(2_i));
  CHECK(a->applied() == 2_i);
  CHECK(a->machine().fates == std::vector<recorder::fated>{{2_i, 2_i, 1_t, fate::applied}});
  CHECK(a->executed(1_i));
  CHECK(a->applied() == 2_i);
  CHECK(a->executed(4_i));
  CHECK(a->applied() == 4_i);
  CHECK(a->machine().fates.back() == recorder::fated{3_i, 4_i, 1_t, fate::applied});
}

TEST_CASE("create: what was not executed before a restart is executed after it [B162]") {
  cluster c{1};
  c.elect(1);
  CHECK(c[1].propose({"a", "b"}));
  CHECK(c[1].state() == "a;b;");
  c.restart(1);
  CHECK(c[1].state().empty());  // this machine keeps nothing
  c.elect(1);
  CHECK(c[1].state() == "a;b;");
  CHECK(texts(c[1].machine()) == std::vector<std::string>{"a", "b"});
}

TEST_CASE("create: a machine that is durable itself goes on behind what it has [B163]") {
  recorder machine;
  machine.state = "a;";
  machine.durable_at = 2_i;
  auto a = start(1_n, {.term = 1, .members = voters(1), .log = {no_op(1), {1, "a"}, {1, "b"}}}, {}, machine);
  CHECK(a->applied() == 2_i);
  CHECK(a->commit() == 2_i);
  win(*a);
  CHECK(a->state() == "a;b;");
  CHECK(texts(a->machine()) == std::vector<std::string>{"b"});
}

TEST_CASE("create: a machine that is further than the log is refused") {
  recorder machine;
  machine.durable_at = 4_i;
  const auto made = try_start(1_n, stored{.term = 1, .members = voters(1), .log = {{1, "a"}}}.build(), {}, machine);
  REQUIRE_FALSE(made);
  CHECK(made.error().code == errc::inconsistent_state);
}

TEST_CASE("create: the commit hint lets a restarted server execute at once, but never beyond its log [B164]") {
  auto a = start(1_n, {.term = 1, .commit_hint = 2, .members = voters(3), .log = {no_op(1), {1, "a"}, {1, "b"}}});
  CHECK(a->commit() == 2_i);
  CHECK(a->deadline() <= a->now());
  a->tick();
  CHECK(a->state() == "a;");
  // A hint that reached the disk before its entries.
  memory_log torn{voters(3)};
  CHECK(torn.store({1_t, nobody, 9_i}));
  const auto made = try_start(1_n, torn);
  REQUIRE(made);
  CHECK((*made)->commit() == 0_i);
}

TEST_CASE("write: the stored commit hint is never ahead of what is durable and executed [B164]") {
  setup how;
  how.deferred = true;
  auto b = start(2_n, {.term = 1, .members = voters(3)}, how);
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 2_i, {no_op(1), {1, "a"}})));
  CHECK(b->step(append(1_n, 2_n, 2_t, {2_i, 1_t}, 2_i, {})));  // stores the new term
  CHECK(b->log().image().hard_state().commit_hint == 0_i);
  CHECK(b->persisted());
  CHECK(b->step(append(1_n, 2_n, 3_t, {2_i, 1_t}, 2_i, {})));
  CHECK(b->log().image().hard_state().commit_hint == 2_i);
}

TEST_CASE("advance_commit_index: success is told from the commit index alone, not from acknowledgements [B77]") {
  auto a = start(1_n, {.members = voters(3)});
  win(*a);
  ack(*a, 2_n, 1_i);
  CHECK(a->propose("x"));
  // The answer that would have made it a majority comes with the news of a later term.
  CHECK(a->step(say(2_n, 1_n, 2_t, matched(2_i))));
  CHECK(a->commit() == 1_i);
  CHECK(a->step(append(3_n, 1_n, 2_t, {1_i, 1_t}, 2_i, {no_op(2)})));
  CHECK(a->machine().fates == std::vector<recorder::fated>{{2_i, 2_i, 1_t, fate::dropped}});
  CHECK(a->state().empty());
  // Nor does an acknowledgement that is no majority tell anybody anything.
  auto b = start(1_n, {.members = voters(5)});
  win(*b);
  CHECK(b->propose("x"));
  ack(*b, 2_n, 2_i);
  CHECK(b->machine().fates.empty());
  ack(*b, 3_n, 2_i);
  CHECK(b->machine().fates == std::vector<recorder::fated>{{2_i, 2_i, 1_t, fate::applied}});
}

TEST_CASE("apply: no-ops and configurations are not shown to the machine") {
  auto b = start(2_n, {.term = 1, .members = voters(3)});
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 4_i, {no_op(1), {1, "a"}, members(1, voters(3)), {1, ""}})));
  CHECK(b->machine().commands == std::vector<recorder::command>{{2_i, 1_t, "a"}, {4_i, 1_t, ""}});
  CHECK(b->applied() == 4_i);
}

TEST_CASE("note_executed: a machine elsewhere is not waited for where it has nothing to execute") {
  setup how;
  how.elsewhere = true;
  SUBCASE("before the first command: a new leader's read is answered") {
    auto a = start(1_n, {.members = voters(1)}, how);
    win(*a);
    CHECK(a->applied() == 1_i);  // the no-op, which it is never shown
    CHECK(a->read(7));
    CHECK(a->machine().reads == std::vector<recorder::answered>{{7, read_fate::ready, 1_i, ""}});
  }
  SUBCASE("behind the last command: what follows it is executed with it, and not before") {
    auto b = start(2_n, {.term = 1, .members = voters(3)}, how);
    CHECK(b->step(append(1_n, 2_n, 1_t, {}, 4_i, {no_op(1), {1, "x"}, members(1, voters(3)), no_op(1)})));
    CHECK(b->applied() == 0_i);
    CHECK(b->executed(2_i));
    CHECK(b->applied() == 4_i);
  }
  SUBCASE("within the bound of what is not executed: what needs no execution does not fill it for ever") {
    how.options.max_apply_bytes = entry_bytes(0);
    auto b = start(2_n, {.term = 4, .members = voters(3)}, how);
    CHECK(b->step(append(1_n, 2_n, 4_t, {}, 5_i, {no_op(1), no_op(2), no_op(3), no_op(4), {4, "x"}})));
    for (int i = 0; i < 5; ++i) b->tick();
    CHECK(texts(b->machine()) == std::vector<std::string>{"x"});
    CHECK(b->applied() == 4_i);
  }
}

// ------------------------------------------------------------------------------------------------ entries not at hand

namespace {

/// A follower whose machine has nothing of four committed entries, and whose log has none of them at hand.
std::unique_ptr<server> with_cold_log(const setup& how = {}) {
  auto b = start(2_n, {.term = 1, .members = voters(3), .log = {no_op(1), {1, "a"}, {1, "b"}, {1, "c"}}}, how);
  b->log().cold = true;
  CHECK(b->step(append(1_n, 2_n, 1_t, {4_i, 1_t}, 4_i, {})));
  CHECK(b->commit() == 4_i);
  return b;
}

}  // namespace

TEST_CASE("hand_over: entries that are not at hand are waited for, without a tick due and without a stop") {
  auto b = with_cold_log();
  CHECK(b->state().empty());
  CHECK(b->applied() == 0_i);
  CHECK(b->deadline() > b->now());  // only the election timer is due some day
  CHECK_FALSE(b->failed());
  // Heartbeats are answered meanwhile.
  b->take_mail();
  CHECK(b->step(append(1_n, 2_n, 1_t, {4_i, 1_t}, 4_i, {})));
  CHECK(b->only<append_entries_reply>().success);
  CHECK(b->deadline() > b->now());
  b->log().cold = false;
  CHECK(b->fetched(1_i, 4_i));
  CHECK(b->state() == "a;b;c;");
  CHECK(b->applied() == 4_i);
  CHECK(b->log().asked.front() == 1_i);  // from the first that it lacks
}

TEST_CASE("hand_over: a report that helps nothing is waited on again; any later input asks again") {
  auto b = with_cold_log();
  CHECK(b->fetched(1_i, 4_i));
  CHECK(b->state().empty());
  CHECK(b->deadline() > b->now());
  b->log().cold = false;  // The report is lost.
  CHECK(b->step(append(1_n, 2_n, 1_t, {4_i, 1_t}, 4_i, {})));
  CHECK(b->state() == "a;b;c;");
}

TEST_CASE("hand_over: what is at hand is applied, a bounded part in a call, and then waited for") {
  setup how;
  how.options.max_apply_bytes = 1;
  auto b = start(2_n, {.term = 1, .members = voters(3), .log = {no_op(1), {1, "a"}, {1, "b"}}}, how);
  CHECK(b->step(append(1_n, 2_n, 1_t, {3_i, 1_t}, 3_i, {})));
  CHECK(b->applied() == 1_i);
  CHECK(b->deadline() <= b->now());
  b->log().cold = true;
  b->tick();
  CHECK(b->deadline() > b->now());
  b->log().cold = false;
  CHECK(b->fetched(2_i, 3_i));
  CHECK(b->state() == "a;");
  CHECK(b->deadline() <= b->now());  // There is more, and it is at hand.
}

TEST_CASE("hand_over: entries that came to be at hand without a report are waited for no more") {
  setup how;
  how.options.max_apply_bytes = 1;
  auto b = with_cold_log(how);
  REQUIRE(b->deadline() > b->now());
  b->log().cold = false;  // The report is lost.
  CHECK(b->step(append(1_n, 2_n, 1_t, {4_i, 1_t}, 4_i, {})));
  CHECK(b->applied() == 1_i);
  CHECK(b->deadline() <= b->now());  // There is more, and it is at hand.
}

TEST_CASE("step(fetched): what the log does not hold is refused") {
  auto b = with_cold_log();
  const std::string before = b->picture();
  CHECK(b->fetched(1_i, 5_i).error().code == errc::impossible);
  CHECK(b->fetched(4_i, 3_i).error().code == errc::impossible);
  CHECK(b->picture() == before);
}

TEST_CASE("step(fetched): a single entry is reported like many, up to the last one") {
  auto b = with_cold_log();
  b->log().cold = false;
  CHECK(b->fetched(4_i, 4_i));
  CHECK(b->applied() == 4_i);
}

TEST_CASE("hand_over: an entry that is lost stops the node, and says why") {
  auto b = with_cold_log();
  b->log().unreadable = {errc::corrupt, nobody, 17, "the segment is damaged"};
  CHECK(b->fetched(1_i, 4_i));
  CHECK(b->failed());
  REQUIRE(b->told<events::node_failed>().size() == 1);
  CHECK(b->told<events::node_failed>()[0].why.code == errc::corrupt);
  CHECK(b->fetched(1_i, 4_i).error().code == errc::failed);
}

TEST_CASE("hand_over: of a machine that executes elsewhere as well") {
  auto b = with_cold_log({.elsewhere = true});
  CHECK(b->deadline() > b->now());
  b->log().cold = false;
  CHECK(b->fetched(1_i, 4_i));
  CHECK(b->state() == "a;b;c;");
  CHECK(b->executed(4_i));
  CHECK(b->applied() == 4_i);
}

TEST_CASE("set_commit_index: is told when it rises, not with each heartbeat; so is what is executed") {
  setup how;
  how.elsewhere = true;
  auto b = follower_of_one(how);
  for (int beat = 0; beat < 3; ++beat) CHECK(b->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 2_i, {{1, "a"}})));
  std::vector<index_t> committed;
  for (const auto& e : b->told<events::commit_advanced>()) committed.push_back(e.index);
  CHECK(committed == std::vector{1_i, 2_i});
  b->events.clear();
  for (int times = 0; times < 2; ++times) CHECK(b->executed(2_i));
  CHECK(b->told<events::applied>().size() == 1);
}

}  // namespace impl_commit_test
