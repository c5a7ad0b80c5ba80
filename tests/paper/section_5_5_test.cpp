// Sections 5.5 and 5.6 of the paper, crashes of followers and candidates, timing: a test for each sentence that can be
// tested. The names are the sentences, in our words.

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace section_5_5_test {

using namespace raft;
using namespace story;

TEST_CASE("5.5 requests to a server that is down are sent again without end, and succeed when it restarts") {
  cluster c{3};
  c.elect(1);
  c.crash(3);
  CHECK(c[1].propose("x"));
  c.pass(20000);
  c.restart(3);
  c.pass(500);
  CHECK(c[3].state() == "x;");
}

TEST_CASE("5.5 a server that crashes after a request and before its answer gets the same request again, without harm") {
  setup how;
  how.deferred = true;
  cluster c{3, how};
  c.elect(1);
  CHECK(c[1].propose("x"));
  const auto request = c.take(to(2) && kind<append_entries>());
  REQUIRE(request.size() == 1);
  c.deliver_late(request);
  CHECK(c[2].persisted());
  c.drop(from(2));
  c.restart(2);
  CHECK(c[2].shape() == "[1:1][2:1]");
  c.deliver_late(request);
  CHECK(c[2].persisted());
  CHECK(c[2].shape() == "[1:1][2:1]");
  const auto answers = among(c.mail(), from(2) && kind<append_entries_reply>());
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].as<append_entries_reply>() == matched(2_i));
}

TEST_CASE("5.5 RPCs are idempotent: entries that are already in the log are ignored") {
  auto b = start(2_n, {.term = 1, .members = voters(3)});
  const letter request = append(1_n, 2_n, 1_t, {}, 1_i, {no_op(1), {1, "x"}});
  CHECK(b->step(request));
  const auto answer = b->take_mail();
  const auto writes = b->log().writes;
  for (int i = 0; i < 3; ++i) {
    CHECK(b->step(request));
    CHECK(b->take_mail() == answer);
  }
  CHECK(b->log().writes == writes);
}

TEST_CASE("5.5 a vote that is asked for twice is given once") {
  setup how;
  how.options.pre_vote = false;
  cluster c{3, how};
  c[1].campaign();
  const auto requests = c.take(to(2));
  c.deliver_late(requests);
  c.deliver_late(requests);
  c.restart(2);
  c.deliver_late(requests);
  CHECK(among(c.mail(), from(2)).size() == 3);
  for (const letter& l : among(c.mail(), from(2))) CHECK(l.as<request_vote_reply>().granted);
  CHECK(c[2].vote() == 1_n);
  c.deliver();
  CHECK(c[1].leads());
}

TEST_CASE("5.5 a candidate that crashes is just another server that is down") {
  setup how;
  how.options.pre_vote = false;
  cluster c{3, how};
  c[1].campaign();
  c.deliver(to(2));
  c.crash(1);
  c.drop();
  const server& chosen = c.await_leader();
  CHECK(chosen.term() > 1_t);
  c.restart(1);
  CHECK(c[1].vote() == 1_n);
  CHECK(c[1].term() == 1_t);
  c.pass(1000);
  CHECK(c[1].leader() == chosen.status().id);
}

TEST_CASE("5.6 safety does not depend on timing: slow clocks, fast clocks, and none that runs") {
  cluster c{3};
  c.elect(1);
  CHECK(c[1].propose("x"));
  c.deliver();
  c.jump(ms{1} << 40);  // everybody slept
  for (const std::uint64_t id : c.ids()) c[id].tick();
  c.drop();
  c.pass(3000);
  server& chosen = c.await_leader();
  c.spread();
  CHECK(chosen.state() == "x;");
  int leading = 0;
  for (const std::uint64_t id : c.ids()) leading += c[id].leads();
  CHECK(leading == 1);
}

TEST_CASE("5.6 messages may take any time below the election timeout, and the leader stays") {
  cluster c{3};
  c.elect(1);
  std::vector<letter> way;
  for (int step = 0; step < 200; ++step) {
    c.jump(25);
    for (const std::uint64_t id : c.ids()) {
      if (c[id].deadline() <= c.now()) c[id].tick();
    }
    const auto next = c.take();
    c.deliver_late(way);  // everything is 25 ms on its way
    way = next;
  }
  CHECK(c[1].leads());
  CHECK(c[1].term() == 1_t);
}

TEST_CASE("5.6 while there is no leader there is no progress, and the cluster elects one soon") {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    setup how;
    how.seed = seed * 100;
    cluster c{5, how};
    c.await_leader();
    const std::uint64_t down = c[1].leader().value;
    c.crash(down);
    const ms began = c.now();
    c.await_leader();
    CHECK(c.now() - began < 4 * 300);
  }
}

}  // namespace section_5_5_test
