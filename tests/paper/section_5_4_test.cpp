// Section 5.4 of the paper, safety: a test for each sentence that can be tested. The names are the sentences, in our
// words. Figure 8 is a story of its own, in tests/stories.

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace section_5_4_test {

using namespace raft;
using namespace story;

namespace {

setup plain() {
  setup how;
  how.options.pre_vote = false;
  return how;
}

bool granted(server& s, node_id candidate, term_t term, after last) {
  s.take_mail();
  CHECK(s.step(say(candidate, s.status().id, term, request_vote{last.index, last.term})));
  return s.only<request_vote_reply>().granted;
}

}  // namespace

TEST_CASE("5.4.1 a candidate cannot win unless its log contains all committed entries") {
  cluster c{5};
  c.elect(1);
  CHECK(c[1].propose("x"));
  c.deliver(to(2) || to(3));
  c.deliver(to(1));
  REQUIRE(c[1].commit() == 2_i);  // on 1, 2 and 3
  c.drop();
  c.crash(1);
  for (const std::uint64_t id : {4U, 5U}) {
    c.jump(300);
    c[id].campaign();
    c.deliver();
    CHECK_FALSE(c[id].leads());
  }
  server& chosen = c.await_leader();
  CHECK(chosen.shape().starts_with("[1:1][2:1]"));
  c.spread();
  CHECK(c[5].state() == "x;");
}

TEST_CASE("5.4.1 entries flow from leaders to followers only") {
  cluster c{3};
  c.start(1, {.term = 2, .members = voters(3), .log = {{2, "a"}}});
  c.start(2, {.term = 2, .members = voters(3), .log = {{1, "z"}, {1, "y"}}});
  c.start(3, {.term = 2, .members = voters(3)});
  c.elect(1);
  c.spread();
  for (const std::uint64_t id : c.ids()) {
    CHECK(read(c[id].log().image()) == std::vector<written>{{2, "a"}, no_op(3)});
  }
}

TEST_CASE("5.4.1 the voter denies its vote if its own log is more up to date") {
  auto b = start(2_n, {.term = 3, .members = voters(3), .log = {{1, "a"}, {3, "b"}}}, plain());
  CHECK_FALSE(granted(*b, 1_n, 4_t, {1_i, 1_t}));
  CHECK_FALSE(granted(*b, 1_n, 5_t, {1_i, 3_t}));
  CHECK(granted(*b, 1_n, 6_t, {2_i, 3_t}));
}

TEST_CASE("5.4.1 of logs with different last terms, the one with the later term is more up to date") {
  auto b = start(2_n, {.term = 3, .members = voters(3), .log = {{1, "a"}, {2, "b"}}}, plain());
  CHECK_FALSE(granted(*b, 1_n, 4_t, {100_i, 1_t}));
  CHECK(granted(*b, 1_n, 5_t, {1_i, 3_t}));
}

TEST_CASE("5.4.1 of logs that end with the same term, the longer one is more up to date") {
  auto b = start(2_n, {.term = 3, .members = voters(3), .log = {{2, "a"}, {2, "b"}}}, plain());
  CHECK_FALSE(granted(*b, 1_n, 4_t, {1_i, 2_t}));
  CHECK(granted(*b, 1_n, 5_t, {2_i, 2_t}));
  CHECK(granted(*b, 3_n, 6_t, {3_i, 2_t}));
}

TEST_CASE("5.4.2 only entries of the leader's current term are committed by counting replicas") {
  auto a = start(1_n, {.term = 3, .members = voters(3), .log = {{1, "a"}, {2, "b"}, {3, "c"}}});
  win(*a);
  for (const index_t index : {1_i, 2_i, 3_i}) {
    for (const node_id id : {2_n, 3_n}) CHECK(a->step(say(id, 1_n, 4_t, matched(index))));
    CHECK(a->commit() == 0_i);
  }
  CHECK(a->step(say(2_n, 1_n, 4_t, matched(4_i))));
  CHECK(a->commit() == 4_i);
}

TEST_CASE("5.4.2 entries retain their original term when a later leader replicates them") {
  cluster c{3};
  c.start(1, {.term = 3, .members = voters(3), .log = {{1, "a"}, {2, "b"}, {3, "c"}}});
  c.elect(1);
  CHECK(c[2].shape() == "[1:1][2:2][3:3][4:4]");
}

TEST_CASE("5.4.3 leader completeness: what is committed is in the log of every later leader") {
  cluster c{5};
  std::string committed;
  for (std::uint64_t round = 0; round < 40; ++round) {
    server& lead = c.await_leader();
    CHECK(lead.propose(std::to_string(round)));
    c.spread();
    if (lead.leads() && lead.commit() == lead.last()) committed = lead.state();
    const std::uint64_t down = lead.status().id.value;
    c.drop();
    if (round % 2 == 0) {
      c.isolate(down);
      CHECK(lead.propose("never"));
    } else {
      c.crash(down);
    }
    server& next = c.await_leader();
    c.spread();
    CHECK(next.state().starts_with(committed));
    c.heal();
    if (!c.up(down)) c.restart(down);
    c.pass(500);
  }
  CHECK(committed.size() > 40);
}

TEST_CASE("5.4.3 state machine safety: no two servers apply different commands at an index") {
  cluster c{5};
  std::map<index_t, std::string> applied;
  std::map<std::uint64_t, std::size_t> seen;
  for (std::uint64_t round = 0; round < 120; ++round) {
    c.heal();
    if (round % 4 == 1) c.split({1 + round % 5, 1 + (round + 1) % 5}, {1 + (round + 2) % 5, 1 + (round + 3) % 5});
    if (round % 6 == 2) {
      c.restart(1 + round % 5);
      seen[1 + round % 5] = 0;
    }
    c.pass(60 + static_cast<ms>(round % 11) * 40);
    for (const std::uint64_t id : c.ids()) {
      if (c[id].leads()) CHECK(c[id].propose(std::to_string(round) + "@" + std::to_string(id)));
      const auto& commands = c[id].machine().commands;
      for (std::size_t& k = seen[id]; k < commands.size(); ++k) {
        const auto [known, fresh] = applied.try_emplace(commands[k].index, commands[k].text);
        CHECK(known->second == commands[k].text);
        if (k > 0) CHECK(commands[k].index > commands[k - 1].index);
      }
    }
  }
  CHECK(applied.size() > 40);
}

}  // namespace section_5_4_test
