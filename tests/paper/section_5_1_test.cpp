// Section 5.1 of the paper, Raft basics: a test for each sentence that can be tested. The names are the sentences, in
// our words.

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace section_5_1_test {

using namespace raft;
using namespace story;

TEST_CASE("5.1 five servers tolerate two failures") {
  cluster c{5};
  c.elect(1);
  c.crash(4);
  c.crash(5);
  CHECK(c[1].propose("x"));
  c.spread();
  for (const std::uint64_t id : c.ids()) CHECK(c[id].state() == "x;");
  c.crash(1);  // a third one: two of five do nothing any more
  c.pass(3000);
  CHECK_FALSE(c[2].leads());
  CHECK_FALSE(c[3].leads());
}

TEST_CASE("5.1 in normal operation there is one leader and all others are followers") {
  cluster c{5};
  c.await_leader();
  c.pass(5000);
  int leaders = 0;
  int followers = 0;
  for (const std::uint64_t id : c.ids()) {
    leaders += c[id].leads();
    followers += c[id].role() == role_kind::follower;
  }
  CHECK(leaders == 1);
  CHECK(followers == 4);
}

TEST_CASE("5.1 followers are passive: they issue no requests on their own") {
  cluster c{3};
  c.elect(1);
  for (int beat = 0; beat < 20; ++beat) {
    c.jump(50);
    for (const std::uint64_t id : c.ids()) {
      if (c[id].deadline() <= c.now()) c[id].tick();
    }
    for (const letter& l : among(c.mail(), !from(1))) CHECK(l.is<append_entries_reply>());
    c.deliver(any);
  }
}

TEST_CASE("5.1 a follower that a client contacts names the leader") {
  cluster c{3};
  c.elect(3);
  CHECK(c[1].propose("x").error() == error{errc::not_leader, 3_n, 0, ""});
}

TEST_CASE("5.1 terms are numbered with consecutive integers, each beginning with an election") {
  auto a = start(1_n, {.members = voters(3)});
  for (std::uint64_t term = 1; term < 10; term += 2) {
    win(*a);
    CHECK(a->term() == term_t{term});
    CHECK(a->step(append(2_n, 1_n, term_t{term + 1}, {}, 0_i, {})));  // the next election is another's
    CHECK(a->term() == term_t{term + 1});
  }
}

TEST_CASE("5.1 a term may end without a leader, and a new one begins shortly") {
  setup how;
  how.options.pre_vote = false;
  cluster c{4, how};
  c[1].campaign();
  c[2].campaign();
  c.deliver(to(3) && from(1));
  c.deliver(to(4) && from(2));
  c.drop(kind<request_vote>());
  c.deliver();
  for (const std::uint64_t id : c.ids()) CHECK_FALSE(c[id].leads());
  CHECK(c[1].term() == 1_t);
  server& chosen = c.await_leader();
  CHECK(chosen.term() > 1_t);
}

TEST_CASE("5.1 there is at most one leader in a given term") {
  cluster c{5};
  std::map<term_t, node_id> leader;
  for (int step = 0; step < 600; ++step) {
    c.pass(10);
    if (step % 7 == 3) c[1 + static_cast<std::uint64_t>(step) % 5].campaign();
    if (step % 40 == 10) c.isolate(1 + static_cast<std::uint64_t>(step / 40) % 5);
    if (step % 40 == 30) c.heal();
    for (const std::uint64_t id : c.ids()) {
      if (!c[id].leads()) continue;
      const auto [known, fresh] = leader.try_emplace(c[id].term(), node_id{id});
      CHECK(known->second == node_id{id});
    }
  }
  CHECK(leader.size() > 3);
}

TEST_CASE("5.1 terms are exchanged whenever servers communicate, and the larger one is adopted") {
  auto b = start(2_n, {.term = 3, .members = voters(3)});
  CHECK(b->step(append(1_n, 2_n, 8_t, {}, 0_i, {})));
  CHECK(b->term() == 8_t);
  CHECK(b->take_mail().at(0).what.term == 8_t);
  CHECK(b->step(append(1_n, 2_n, 5_t, {}, 0_i, {})));
  CHECK(b->term() == 8_t);
  CHECK(b->take_mail().at(0).what.term == 8_t);
}

TEST_CASE("5.1 a candidate or leader whose term is out of date reverts to follower at once") {
  setup how;
  how.options.pre_vote = false;
  auto a = start(1_n, {.members = voters(3)}, how);
  a->campaign();
  CHECK(a->step(say(2_n, 1_n, 5_t, request_vote_reply{false})));
  CHECK(a->role() == role_kind::follower);
  win(*a);
  CHECK(a->step(say(2_n, 1_n, 9_t, append_entries_reply{})));
  CHECK(a->role() == role_kind::follower);
  CHECK(a->term() == 9_t);
}

TEST_CASE("5.1 a request with a stale term is rejected") {
  auto b = start(2_n, {.term = 5, .members = voters(3)});
  CHECK(b->step(say(1_n, 2_n, 4_t, request_vote{9_i, 4_t})));
  CHECK_FALSE(b->only<request_vote_reply>().granted);
  CHECK(b->step(append(1_n, 2_n, 4_t, {}, 0_i, {{4, "x"}})));
  CHECK_FALSE(b->only<append_entries_reply>().success);
  CHECK(b->last() == 0_i);
}

TEST_CASE("5.1 requests that get no answer in time are sent again, and in parallel to all servers") {
  setup how;
  how.options.pre_vote = false;
  cluster c{3, how};
  c[1].campaign();
  CHECK(c.drop(kind<request_vote>()) == 2);
  c.now() = c[1].deadline();
  c[1].tick();
  CHECK(c.mail().size() == 2);
  c.deliver();
  REQUIRE(c[1].leads());
  CHECK(c[1].propose("x"));
  CHECK(c.drop() == 2);
  c.pass(200);
  CHECK(c[2].shape() == c[1].shape());
  CHECK(c[3].shape() == c[1].shape());
}

}  // namespace section_5_1_test
