// Commands and what becomes of them, impl/proposal.hpp. "[B178]" and the like name the bug, seen in other engines, that
// a test guards against.

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace impl_proposal_test {

using namespace raft;
using namespace story;

namespace {

using fates = std::vector<recorder::fated>;
using place = std::pair<term_t, index_t>;

std::unique_ptr<server> leader_of(std::uint64_t n, const setup& how = {}) {
  auto a = start(1_n, {.members = voters(n)}, how);
  win(*a);
  for (std::uint64_t id = 2; id <= n; ++id) CHECK(a->step(say(node_id{id}, 1_n, 1_t, matched(1_i))));
  a->take_mail();
  return a;
}

void ack(server& a, node_id who, index_t index) { CHECK(a.step(say(who, 1_n, a.term(), matched(index)))); }

}  // namespace

TEST_CASE("propose: the place of the command is answered, and it is in the log once") {
  auto a = leader_of(3);
  const auto place = a->propose("x");
  REQUIRE(place);
  CHECK(*place == proposal{2_i, 1_t});
  CHECK(read(a->log().image()) == std::vector<written>{no_op(1), {1, "x"}});
  CHECK(a->machine().fates.empty());
}

TEST_CASE("propose: several commands are one write and one message, and the first one's place is answered") {
  auto a = leader_of(3);
  const auto writes = a->log().writes.size();
  const auto place = a->propose({"x", "", "z"});
  REQUIRE(place);
  CHECK(*place == proposal{2_i, 1_t});
  CHECK(a->log().writes.size() == writes + 1);
  const auto mail = a->take_mail();
  REQUIRE(mail.size() == 2);
  CHECK(mail[0] == append(1_n, 2_n, 1_t, {1_i, 1_t}, 1_i, {{1, "x"}, {1, ""}, {1, "z"}}));
  ack(*a, 3_n, 4_i);
  CHECK(a->machine().fates == fates{{2_i, 4_i, 1_t, fate::applied}});
  CHECK(a->state() == "x;;z;");
}

TEST_CASE("propose: for one term only, if asked so: not after the term moved, nor before") {
  auto a = leader_of(3);
  CHECK(*a->propose("x", 1_t) == proposal{2_i, 1_t});
  for (const term_t other : {0_t, 2_t}) {
    const std::string before = a->picture();
    CHECK(a->propose("y", other).error() == error{errc::term_moved, 1_n, 1, ""});
    CHECK(a->picture() == before);
  }
  CHECK(a->step(say(2_n, 1_n, 2_t, append_entries_reply{})));
  CHECK(a->propose("z", 1_t).error() == error{errc::term_moved, nobody, 2, ""});
  CHECK(a->propose("z", 2_t).error().code == errc::not_leader);
  win(*a);
  CHECK(a->propose("z", 1_t).error() == error{errc::term_moved, 1_n, 3, ""});
  CHECK(a->propose("z", 3_t));
}

TEST_CASE("propose: nothing is no proposal") {
  auto a = leader_of(3);
  const std::string before = a->picture();
  const auto refused = a->propose(std::initializer_list<std::string_view>{});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::malformed);
  CHECK(a->picture() == before);
}

TEST_CASE("not_leader: every refusal names the leader, if one is known [B179]") {
  cluster c{3};
  CHECK(c[1].propose("x").error() == error{errc::not_leader, nobody, 0, ""});
  CHECK(c[1].read(1).error() == error{errc::not_leader, nobody, 0, ""});
  c.elect(2);
  for (const std::uint64_t id : {1U, 3U}) {
    CHECK(c[id].propose("x").error() == error{errc::not_leader, 2_n, 0, ""});
    CHECK(c[id].read(1).error() == error{errc::not_leader, 2_n, 0, ""});
    CHECK(c[id].change({{1_n}, {}}).error() == error{errc::not_leader, 2_n, 0, ""});
  }
  CHECK(c[1].machine().fates.empty());
}

TEST_CASE("not_leader: no refusal names the node itself, or one that is known to be gone [B179]") {
  cluster c{3};
  c.elect(1);
  c.isolate(1);
  c.elect(2);
  CHECK(c[1].leads());
  c.heal();
  c.pass(60);
  CHECK(c[1].propose("x").error().leader == 2_n);
  c.isolate(2);
  c.pass(400);
  for (const std::uint64_t id : c.ids()) {
    const auto refused = c[id].propose("y");
    if (!refused) CHECK(refused.error().leader != node_id{id});
  }
}

TEST_CASE("check_proposal: what is too large is refused with the reason, and changes nothing") {
  setup how;
  how.options.max_entry_bytes = 100;
  how.options.max_uncommitted_bytes = 300;
  auto a = leader_of(3, how);
  const std::string before = a->picture();
  const auto large = a->propose(std::string(101, 'x'));
  REQUIRE_FALSE(large);
  CHECK(large.error().code == errc::too_large);
  CHECK(large.error().what == std::string("max_entry_bytes"));
  const std::string fits(100, 'x');
  const auto many = a->propose({fits, fits, fits});  // 3 * 120 bytes in their wire form
  REQUIRE_FALSE(many);
  CHECK(many.error().code == errc::too_large);
  CHECK(many.error().what == std::string("max_uncommitted_bytes"));
  const std::string over(101, 'x');
  CHECK_FALSE(a->propose({fits, over}));  // all or none
  CHECK(a->picture() == before);
  CHECK(a->propose(fits));
}

TEST_CASE("check_proposal: uncommitted bytes are limited, and a commit makes room [B167]") {
  setup how;
  how.options.max_entry_bytes = 84;  // 104 bytes in the wire form
  how.options.max_uncommitted_bytes = 208;
  auto a = leader_of(3, how);
  const std::string command(84, 'x');
  for (int round = 0; round < 50; ++round) {
    CHECK(a->status().uncommitted_bytes == 0);
    REQUIRE(a->propose(command));
    REQUIRE(a->propose(command));
    CHECK(a->status().uncommitted_bytes == 208);
    const std::string before = a->picture();
    const auto refused = a->propose("");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::busy);
    CHECK(refused.error().what == std::string("max_uncommitted_bytes"));
    CHECK(a->picture() == before);
    ack(*a, 2_n, a->last().previous());
    CHECK(a->status().uncommitted_bytes == 104);
    ack(*a, 2_n, a->last());
  }
}

TEST_CASE("check_proposal: what was uncommitted in a lost leadership does not count in the next one [B172]") {
  setup how;
  how.options.max_entry_bytes = 84;
  how.options.max_uncommitted_bytes = 208;
  auto a = leader_of(3, how);
  const std::string command(84, 'x');
  CHECK(a->propose({command, command}));
  CHECK(a->step(say(2_n, 1_n, 5_t, append_entries_reply{})));
  win(*a);
  CHECK(a->status().uncommitted_bytes == entry_bytes(0));  // the no-op of the new term
  ack(*a, 2_n, a->last());
  CHECK(a->status().uncommitted_bytes == 0);
  CHECK(a->propose({command, command}));
  CHECK(a->status().uncommitted_bytes == 208);
}

TEST_CASE("resolve_applied: applied is told once, in order, after the machine has it") {
  auto a = leader_of(3);
  CHECK(a->propose("a"));
  CHECK(a->propose({"b", "c"}));
  ack(*a, 2_n, 3_i);
  CHECK(a->machine().fates == fates{{2_i, 3_i, 1_t, fate::applied}});
  CHECK(a->state() == "a;b;");
  ack(*a, 3_n, 3_i);
  ack(*a, 3_n, 4_i);
  a->pass(50);
  CHECK(a->machine().fates == fates{{2_i, 3_i, 1_t, fate::applied}, {4_i, 4_i, 1_t, fate::applied}});
}

TEST_CASE("resolve_applied: what is overwritten is dropped, and that is certain [B178]") {
  cluster c{3};
  c.elect(1);
  c.spread();
  c.isolate(1);
  CHECK(c[1].propose({"lost", "lost too"}));
  c.elect(2);
  CHECK(c[2].propose("kept"));
  c.spread();
  c.heal();
  c.spread();
  CHECK(c[1].machine().fates == fates{{2_i, 3_i, 1_t, fate::dropped}});
  CHECK(c[1].state() == "kept;");
  CHECK(c[2].machine().fates == fates{{3_i, 3_i, 2_t, fate::applied}});
}

TEST_CASE("resolve_applied: what survives the leader is applied, although another one commits it [B178]") {
  cluster c{3};
  c.elect(1);
  c.spread();
  CHECK(c[1].propose("x"));
  c.deliver(to(2));
  c.drop();
  c.isolate(1);
  c.elect(2);
  c.heal();
  c.spread();
  CHECK(c[1].role() == role_kind::follower);
  CHECK(c[1].machine().fates == fates{{2_i, 2_i, 1_t, fate::applied}});
  CHECK(c[1].state() == "x;");
}

TEST_CASE("resolve_applied: of a run that is cut in the middle the first part is applied, the rest dropped") {
  auto a = leader_of(3);
  CHECK(a->propose({"a", "b", "c"}));
  CHECK(a->step(append(2_n, 1_n, 2_t, {2_i, 1_t}, 3_i, {no_op(2)})));
  CHECK(a->machine().fates == fates{{2_i, 2_i, 1_t, fate::applied}, {3_i, 4_i, 1_t, fate::dropped}});
}

TEST_CASE("resolve_applied: an entry of an earlier term in its place drops a proposal, too") {
  auto a = start(1_n, {.term = 4, .members = voters(3), .log = {{1, "a"}}});
  win(*a);  // term 5: the no-op at 2
  CHECK(a->propose("x"));
  // The leader of term 6 has entries 2 to 4 of term 3.
  CHECK(a->step(append(2_n, 1_n, 6_t, {1_i, 1_t}, 5_i, {{3, "p"}, {3, "q"}, {3, "r"}, no_op(6)})));
  CHECK(a->machine().fates == fates{{3_i, 3_i, 5_t, fate::dropped}});
}

TEST_CASE("give_up_proposals: undecided two election timeouts after leadership was lost is unknown [B178]") {
  auto a = leader_of(3);
  CHECK(a->propose({"x", "y"}));
  CHECK(a->step(say(2_n, 1_n, 2_t, append_entries_reply{})));
  REQUIRE(a->role() == role_kind::follower);
  CHECK(a->machine().fates.empty());
  const ms lost = a->now();
  for (int ticks = 0; a->machine().fates.empty(); ++ticks) {
    REQUIRE(ticks < 10);
    REQUIRE(a->deadline() <= lost + 600);  // the node says when it wants to be asked
    a->now() = a->deadline();
    a->tick();
  }
  CHECK(a->now() == lost + 600);
  CHECK(a->machine().fates == fates{{2_i, 3_i, 1_t, fate::unknown}});
  a->pass(10000);
  CHECK(a->machine().fates.size() == 1);
  // Even if it is executed later, there is one fate only.
  CHECK(a->step(append(2_n, 1_n, 100_t, {3_i, 1_t}, 4_i, {no_op(100)})));
  CHECK(a->state() == "x;y;");
  CHECK(a->machine().fates.size() == 1);
}

TEST_CASE("give_up_proposals: leadership that is won again settles what the former one left open") {
  auto a = leader_of(3);
  CHECK(a->propose("x"));
  CHECK(a->step(say(2_n, 1_n, 2_t, append_entries_reply{})));
  win(*a);
  REQUIRE(a->term() == 3_t);
  const auto second = a->propose("y");
  REQUIRE(second);
  ack(*a, 2_n, a->last());
  CHECK(a->machine().fates == fates{{2_i, 2_i, 1_t, fate::applied}, {4_i, 4_i, 3_t, fate::applied}});
  a->pass(100);
  CHECK(a->machine().fates.size() == 2);
}

TEST_CASE("give_up_proposals: a leader that stays waits for as long as it takes") {
  setup how;
  how.options.check_quorum = false;
  auto a = leader_of(3, how);
  CHECK(a->propose("x"));
  for (int i = 0; i < 100; ++i) a->pass(100);
  CHECK(a->machine().fates.empty());
  ack(*a, 2_n, 2_i);
  CHECK(a->machine().fates == fates{{2_i, 2_i, 1_t, fate::applied}});
}

TEST_CASE("resolve_covered: a snapshot tells the fates of what it covers by its last term [B178]") {
  const auto cut_off = [] {
    auto a = leader_of(3);
    CHECK(a->propose({"a", "b", "c"}));  // 2 to 4, of term 1
    return a;
  };
  const auto install = [](server& a, after at) { CHECK(a.step(chunk(2_n, 1_n, 9_t, at, voters(3), "image", 0, 5))); };

  SUBCASE("of a later term, up to behind all: whether they are in it cannot be seen") {
    auto a = cut_off();
    install(*a, {20_i, 3_t});
    CHECK(a->machine().fates == fates{{2_i, 4_i, 1_t, fate::unknown}});
    CHECK(a->state() == "image");
  }
  SUBCASE("of a later term, up to the middle: neither its last entry nor what comes behind is one of them") {
    auto a = cut_off();
    install(*a, {3_i, 3_t});
    CHECK(a->machine().fates == fates{{2_i, 2_i, 1_t, fate::unknown}, {3_i, 4_i, 1_t, fate::dropped}});
  }
  SUBCASE("of a later term, up to the first of them: none is in that log") {
    auto a = cut_off();
    install(*a, {2_i, 3_t});
    CHECK(a->machine().fates == fates{{2_i, 4_i, 1_t, fate::dropped}});
  }
  SUBCASE("of the proposals' own term, beyond the log: they are all in it") {
    auto a = start(1_n, {.members = voters(3)});
    win(*a);
    ack(*a, 2_n, 1_i);
    CHECK(a->propose({"a", "b", "c"}));
    // The entries of term 1 were lost here by a conflict, and came back by another way.
    CHECK(a->step(append(3_n, 1_n, 2_t, {1_i, 1_t}, 0_i, {no_op(2)})));
    install(*a, {4_i, 1_t});
    CHECK(a->machine().fates == fates{{2_i, 4_i, 1_t, fate::applied}});
    CHECK(a->machine().states_at_fates == std::vector<std::string>{"image"});  // the result can be looked up
  }
  SUBCASE("of the proposals' own term, up to the middle: those behind it wait for what follows") {
    auto a = cut_off();
    CHECK(a->step(append(3_n, 1_n, 2_t, {1_i, 1_t}, 0_i, {no_op(2)})));  // lost here by a conflict
    install(*a, {3_i, 1_t});
    CHECK(a->machine().fates == fates{{2_i, 3_i, 1_t, fate::applied}});
    CHECK(a->step(append(2_n, 1_n, 9_t, {3_i, 1_t}, 4_i, {no_op(9)})));
    CHECK(a->machine().fates == fates{{2_i, 3_i, 1_t, fate::applied}, {4_i, 4_i, 1_t, fate::dropped}});
  }
  SUBCASE("of an earlier term: none of them can follow it") {
    auto a = start(1_n, {.term = 4, .members = voters(3), .log = {{1, "a"}}});
    win(*a);  // term 5
    CHECK(a->propose({"x", "y"}));
    install(*a, {20_i, 3_t});
    CHECK(a->machine().fates == fates{{3_i, 4_i, 5_t, fate::dropped}});
  }
}

TEST_CASE("resolve_covered: what a snapshot told stands, even if what follows it cannot be read") {
  auto a = leader_of(3);
  CHECK(a->propose({"a", "b"}));
  ack(*a, 2_n, 2_i);
  CHECK(a->machine().fates == fates{{2_i, 2_i, 1_t, fate::applied}});
  CHECK(a->step(append(2_n, 1_n, 2_t, {3_i, 1_t}, 2_i, {no_op(2)}, 1)));
  REQUIRE(a->request_snapshot());  // nothing is applied until it is there
  CHECK(a->step(append(2_n, 1_n, 2_t, {4_i, 2_t}, 4_i, {}, 2)));
  REQUIRE(a->applied() == 2_i);
  a->log().unreadable = {errc::corrupt, nobody, 17, "the segment is damaged"};
  CHECK(a->step(chunk(2_n, 1_n, 2_t, {3_i, 1_t}, voters(3), "image", 0, 5)));
  CHECK(a->failed());
  CHECK(a->machine().fates == fates{{2_i, 2_i, 1_t, fate::applied}, {3_i, 3_i, 1_t, fate::applied}});
}

TEST_CASE("fail: when a write fails, what was proposed is unknown, in one fate each") {
  auto a = leader_of(3);
  CHECK(a->propose("x"));
  a->log().failing = "append";
  const auto last = a->propose("y");
  REQUIRE(last);  // part of it may be on the disk, and may be executed one day: this is no refusal
  CHECK(*last == proposal{3_i, 1_t});
  CHECK(a->failed());
  CHECK(a->machine().fates == fates{{2_i, 3_i, 1_t, fate::unknown}});
  const auto refused = a->propose("z");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::failed);
  CHECK(a->machine().fates.size() == 1);
}

TEST_CASE("leave_leadership: each proposal ends once, over many changes of leaders") {
  cluster c{5};
  std::map<std::uint64_t, std::vector<place>> proposed;
  for (std::uint64_t round = 0; round < 25; ++round) {
    const std::uint64_t id = 1 + round * 3 % 5;
    c.heal();
    c.jump(300);
    c[id].campaign();
    c.deliver();
    if (!c[id].leads()) continue;
    if (round % 3 == 0) c.isolate(id);
    if (round % 3 == 1) c.cut_one_way(id, 1 + id % 5);
    for (int k = 0; k < 3; ++k) {
      const auto taken = c[id].propose(std::to_string(round));
      if (taken) proposed[id].emplace_back(taken->term, taken->index);
    }
    if (round % 2 == 0) c.deliver();
  }
  c.heal();
  c.await_leader();
  c.pass(2000);
  std::set<fate> ends;
  for (const std::uint64_t id : c.ids()) {
    std::vector<place> told;
    for (const auto& f : c[id].machine().fates) {
      ends.insert(f.what);
      for (index_t i = f.first; i <= f.last; i = i.next()) told.emplace_back(f.term, i);
    }
    std::ranges::sort(told);
    CHECK_FALSE(told.empty());
    CHECK(told == proposed[id]);
    CHECK(c[id].state() == c[1].state());
  }
  CHECK(ends.contains(fate::applied));
  CHECK(ends.contains(fate::dropped));
}

TEST_CASE("resolve_applied: what was executed elsewhere of a log that is replaced waits for the snapshot") {
  setup how;
  how.deferred = true;
  how.elsewhere = true;
  auto a = leader_of(3, how);
  CHECK(a->propose({"a", "b", "c"}));
  CHECK(a->persisted());
  ack(*a, 2_n, 4_i);
  REQUIRE(a->machine().commands.size() == 3);  // handed over, and not executed yet
  // A leader of term 2 replaces the log by a snapshot; it is not durable here yet when the execution is reported.
  CHECK(a->step(chunk(2_n, 1_n, 2_t, {9_i, 1_t}, voters(3), "image", 0, 5)));
  REQUIRE(a->log().image().first_index() == 10_i);
  CHECK(a->executed(3_i));
  CHECK(a->executed(4_i));
  CHECK(a->machine().fates.empty());
  CHECK(a->persisted());
  CHECK(a->machine().fates == fates{{2_i, 4_i, 1_t, fate::applied}});
  CHECK(a->state() == "image");
}

}  // namespace impl_proposal_test
