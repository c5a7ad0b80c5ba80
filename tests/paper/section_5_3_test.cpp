// Section 5.3 of the paper, log replication: a test for each sentence that can be tested. The names are the sentences,
// in our words.

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace section_5_3_test {

using namespace raft;
using namespace story;

namespace {

std::vector<written> log_with_terms(std::initializer_list<std::uint64_t> terms) {
  std::vector<written> log;
  for (const std::uint64_t t : terms) log.push_back({t, std::to_string(log.size() + 1)});
  return log;
}

}  // namespace

TEST_CASE("5.3 the leader appends a command as a new entry and sends it to the others in parallel") {
  auto a = start(1_n, {.members = voters(3)});
  win(*a);
  for (const node_id id : {2_n, 3_n}) CHECK(a->step(say(id, 1_n, 1_t, matched(1_i))));
  a->take_mail();
  CHECK(a->propose("x"));
  const auto mail = a->take_mail();
  REQUIRE(mail.size() == 2);
  CHECK(mail[0].what.to == 2_n);
  CHECK(mail[1].what.to == 3_n);
  for (const letter& l : mail) CHECK(read(l.as<append_entries>().entries) == std::vector<written>{{1, "x"}});
}

TEST_CASE("5.3 when an entry is safely replicated the leader applies it and answers the client") {
  auto a = start(1_n, {.members = voters(3)});
  win(*a);
  CHECK(a->propose("x"));
  CHECK(a->state().empty());
  CHECK(a->step(say(3_n, 1_n, 1_t, matched(2_i))));
  CHECK(a->state() == "x;");
  CHECK(a->machine().fates.size() == 1);
}

TEST_CASE("5.3 the leader retries without end until all followers have all entries") {
  cluster c{3};
  c.elect(1);
  c.isolate(3);
  CHECK(c[1].propose({"x", "y"}));
  c.pass(30000);
  CHECK(c[3].last() == 1_i);
  c.heal();
  c.pass(1000);
  CHECK(c[3].shape() == c[1].shape());
}

TEST_CASE("5.3 each entry stores a command and the term in which the leader received it, and has an index") {
  auto a = start(1_n, {.term = 4, .members = voters(1)});
  win(*a);
  CHECK(*a->propose("x") == proposal{2_i, 5_t});
  CHECK(read(a->log().image()).at(1) == written{5, "x"});
}

TEST_CASE("5.3 an entry is committed once its leader has replicated it on a majority") {
  auto a = start(1_n, {.members = voters(5)});
  win(*a);
  CHECK(a->propose("x"));
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(2_i))));
  CHECK(a->commit() == 0_i);
  CHECK(a->step(say(3_n, 1_n, 1_t, matched(2_i))));
  CHECK(a->commit() == 2_i);
}

TEST_CASE("5.3 with it all preceding entries are committed, those of previous leaders too") {
  auto a = start(1_n, {.term = 3, .members = voters(3), .log = log_with_terms({1, 2, 3})});
  win(*a);
  CHECK(a->step(say(2_n, 1_n, 4_t, matched(4_i))));
  CHECK(a->commit() == 4_i);
  CHECK(a->state() == "1;2;3;");
}

TEST_CASE("5.3 the leader includes the highest committed index in later appends, heartbeats too") {
  auto a = start(1_n, {.members = voters(3)});
  win(*a);
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(1_i))));
  a->take_mail();
  CHECK(a->propose("x"));
  CHECK(a->take_mail().at(0).as<append_entries>().leader_commit == 1_i);
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(2_i))));
  a->take_mail();
  a->pass(50);
  for (const letter& l : a->take_mail()) CHECK(l.as<append_entries>().leader_commit == 2_i);
}

TEST_CASE("5.3 a follower that learns that an entry is committed applies it, in log order") {
  auto b = start(2_n, {.term = 1, .members = voters(3)});
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {{1, "a"}, {1, "b"}})));
  CHECK(b->state().empty());
  CHECK(b->step(append(1_n, 2_n, 1_t, {2_i, 1_t}, 2_i, {})));
  CHECK(b->state() == "a;b;");
}

TEST_CASE("5.3 log matching: entries with the same index and term hold the same command, and so do all before them") {
  cluster c{5};
  for (std::uint64_t round = 0; round < 60; ++round) {
    c.heal();
    if (round % 3 == 0) c.isolate(1 + round % 5);
    if (round % 5 == 0) c.split({1, 2}, {3, 4, 5});
    if (round % 7 == 0) c.restart(1 + round % 5);
    c.pass(100 + static_cast<ms>(round % 9) * 50);
    for (const std::uint64_t id : c.ids()) {
      if (c[id].leads()) CHECK(c[id].propose(std::to_string(round) + "@" + std::to_string(id)));
    }
    for (const std::uint64_t id : c.ids()) {
      for (const std::uint64_t other : c.ids()) {
        const auto one = read(c[id].log().image());
        const auto two = read(c[other].log().image());
        for (std::size_t k = std::min(one.size(), two.size()); k-- > 0;) {
          if (one[k].term != two[k].term) continue;
          for (std::size_t j = 0; j <= k; ++j) CHECK(one[j] == two[j]);
          break;
        }
      }
    }
  }
  CHECK(c[1].last() > 20_i);
}

TEST_CASE("5.3 a leader creates one entry at most with a given index in a given term") {
  auto a = start(1_n, {.members = voters(1)});
  win(*a);
  for (std::uint64_t k = 2; k < 50; ++k) CHECK(*a->propose("x") == proposal{index_t{k}, 1_t});
}

TEST_CASE("5.3 log entries never change their position") {
  cluster c{3};
  c.elect(1);
  CHECK(c[1].propose({"a", "b"}));
  c.spread();
  const auto before = read(c[2].log().image());
  CHECK(c[1].propose({"c", "d"}));
  c.spread();
  const auto later = read(c[2].log().image());
  CHECK(std::vector<written>(later.begin(), later.begin() + 3) == before);
}

TEST_CASE("5.3 an append carries the index and term of the entry before the new ones; without it, it is refused") {
  auto a = start(1_n, {.term = 2, .members = voters(2), .log = log_with_terms({1, 2})});
  a->campaign();
  CHECK(a->step(say(2_n, 1_n, 2_t, request_pre_vote_reply{2_t, true})));
  a->take_mail();
  CHECK(a->step(say(2_n, 1_n, 3_t, request_vote_reply{true})));
  const letter sent = a->take_mail().at(0);
  CHECK(sent.as<append_entries>().prev_log_index == 2_i);
  CHECK(sent.as<append_entries>().prev_log_term == 2_t);
  auto b = start(2_n, {.term = 2, .members = voters(2), .log = log_with_terms({1})});
  CHECK(b->step(sent));
  CHECK_FALSE(b->only<append_entries_reply>().success);
  CHECK(b->last() == 1_i);
}

TEST_CASE("5.3 when an append succeeds, the follower's log is identical up to the new entries") {
  auto b = start(2_n, {.term = 3, .members = voters(3), .log = log_with_terms({1, 1, 2})});
  const auto batch = std::vector<written>{{1, "2"}, {3, "x"}, {3, "y"}};
  CHECK(b->step(append(1_n, 2_n, 3_t, {1_i, 1_t}, 0_i, batch)));
  CHECK(b->only<append_entries_reply>().index == 4_i);
  CHECK(read(b->log().image()) == std::vector<written>{{1, "1"}, {1, "2"}, {3, "x"}, {3, "y"}});
}

TEST_CASE("5.3 figure 7: whatever a follower's log is like when a leader comes to power, it becomes the leader's") {
  const auto leading = log_with_terms({1, 1, 1, 4, 4, 5, 5, 6, 6, 6});
  const std::vector<std::vector<written>> followers{
      log_with_terms({1, 1, 1, 4, 4, 5, 5, 6, 6}),           // (a) misses the last
      log_with_terms({1, 1, 1, 4}),                          // (b) misses many
      log_with_terms({1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6}),     // (c) has one too many
      log_with_terms({1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7}),  // (d) has two of a term that the leader never saw
      log_with_terms({1, 1, 1, 4, 4, 4, 4}),                 // (e) misses some and has some
      log_with_terms({1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3})};    // (f) the same, over several terms
  for (const auto& log : followers) {
    cluster c{7};
    c.start(1, {.term = 7, .members = voters(7), .log = leading});
    for (std::uint64_t id = 2; id <= 7; ++id) c.start(id, {.term = 7, .members = voters(7), .log = followers[id - 2]});
    c.start(2, {.term = 7, .members = voters(7), .log = log});
    c.jump(150);
    c[1].campaign();
    c.deliver();
    REQUIRE(c[1].leads());
    CHECK(c[1].term() == 8_t);
    for (const std::uint64_t id : c.ids()) CHECK(c[id].shape() == c[1].shape());
    c.spread();
    for (const std::uint64_t id : c.ids()) CHECK(c[id].state() == "1;2;3;4;5;6;7;8;9;10;");
  }
}

TEST_CASE("5.3 a leader comes to power without any special action to restore consistency") {
  auto a = start(1_n, {.term = 2, .members = voters(3), .log = log_with_terms({1, 2})});
  a->campaign();
  CHECK(a->step(say(2_n, 1_n, 2_t, request_pre_vote_reply{2_t, true})));
  a->take_mail();
  CHECK(a->step(say(2_n, 1_n, 3_t, request_vote_reply{true})));
  for (const letter& l : a->take_mail()) CHECK(l.is<append_entries>());
}

TEST_CASE("5.3 leader append-only: a leader never overwrites or deletes entries in its own log") {
  auto a = start(1_n, {.term = 2, .members = voters(3), .log = log_with_terms({1, 2})});
  win(*a);
  CHECK(a->propose("x"));
  const std::string before = a->shape();
  CHECK(a->step(say(2_n, 1_n, 3_t, refused(2_i, {}, 0_i))));
  CHECK(a->step(say(3_n, 1_n, 3_t, refused(2_i, {1_i, 1_t}, 9_i))));
  CHECK_FALSE(a->step(append(2_n, 1_n, 3_t, {}, 0_i, {{3, "other"}})));
  CHECK(a->shape() == before);
  CHECK(std::count(a->log().writes.begin(), a->log().writes.end(), "truncate") == 0);
}

TEST_CASE("5.3 on a refusal the follower names a term and an index, so a conflicting term is passed in one step") {
  auto b = start(2_n, {.term = 7, .members = voters(3), .log = log_with_terms({1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3})});
  CHECK(b->step(append(1_n, 2_n, 7_t, {10_i, 6_t}, 0_i, {})));
  CHECK(b->only<append_entries_reply>() == refused(10_i, {10_i, 3_t}, 11_i));
  CHECK(b->step(append(1_n, 2_n, 7_t, {10_i, 2_t}, 0_i, {})));
  CHECK(b->only<append_entries_reply>() == refused(10_i, {6_i, 2_t}, 11_i));
}

TEST_CASE(
    "5.3 while a majority is up new entries are accepted, replicated and applied; a slow follower does not matter") {
  cluster c{5};
  c.elect(1);
  c.spread();
  c.isolate(5);
  for (int k = 0; k < 10; ++k) {
    CHECK(c[1].propose(std::to_string(k)));
    c.deliver();
    CHECK(c[1].commit() == c[1].last());
  }
}

TEST_CASE("5.3 in the normal case an entry takes a single round to a majority") {
  cluster c{5};
  c.elect(1);
  c.spread();
  CHECK(c[1].propose("x"));
  c.deliver(to(2) || to(3));
  c.deliver(to(1));
  CHECK(c[1].state() == "x;");
}

TEST_CASE("5.3 five servers split into three and two, and healed: the three go on, the two lose what they added") {
  cluster c{5};
  c.elect(1);
  CHECK(c[1].propose("before"));
  c.spread();
  c.split({1, 2}, {3, 4, 5});

  // The old leader has a minority: it appends, and commits nothing.
  CHECK(c[1].propose({"lost", "lost too"}));
  c.deliver();
  CHECK(c[2].shape() == c[1].shape());
  CHECK(c[1].commit() == 2_i);

  // The three elect one of themselves, and commit.
  c.elect(4);
  CHECK(c[4].term() == 2_t);
  CHECK(c[4].propose({"kept", "kept too"}));
  c.spread();
  CHECK(c[4].commit() == 5_i);
  CHECK(c[4].state() == "before;kept;kept too;");
  CHECK(c[2].state() == "before;");

  c.pass(400);
  CHECK_FALSE(c[1].leads());  // it has noticed that it leads nobody

  c.heal();
  c.pass(1000);
  int leading = 0;
  for (const std::uint64_t id : c.ids()) {
    leading += c[id].leads();
    CHECK(c[id].shape() == c[4].shape());
    CHECK(c[id].state() == "before;kept;kept too;");
  }
  CHECK(leading == 1);
  CHECK(c[1].machine().fates.back() == recorder::fated{3_i, 4_i, 1_t, fate::dropped});
  std::size_t truncated = 0;
  for (const std::uint64_t id : c.ids()) truncated += c[id].told<events::log_truncated>().size();
  CHECK(truncated == 2);
}

}  // namespace section_5_3_test
