// Section 6 of the paper, cluster membership changes: a test for each sentence that can be tested. The names are the
// sentences, in our words.

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace section_6_test {

using namespace raft;
using namespace story;

namespace {

/// A cluster of the servers 1 to 3, led by 1, with 4 to 6 started and outside.
cluster three_and_three() {
  cluster c{3};
  for (const std::uint64_t id : {4U, 5U, 6U}) c.start(id, memory_log{voters(3)});
  c.elect(1);
  CHECK(c[1].propose("before"));
  c.spread();
  return c;
}

const membership others{{4_n, 5_n, 6_n}, {}};

}  // namespace

TEST_CASE("6 the cluster first goes to a joint configuration, and from there to the new one") {
  cluster c = three_and_three();
  CHECK(c[1].change(others));
  CHECK(c[1].status().configuration.joint());
  CHECK(c[1].status().configuration.voters == others.voters);
  CHECK(c[1].status().configuration.outgoing == voters(3).voters);
  c.await_leader();
  c.pass(2000);
  server& chosen = c[c[4].leader().value];
  CHECK(chosen.status().configuration == voters_of(others.voters));
  CHECK(chosen.status().id > 3_n);
}

TEST_CASE("6 log entries are replicated to all servers in both configurations") {
  cluster c = three_and_three();
  CHECK(c[1].change(others));
  c.drop();
  c[1].pass(50);
  for (std::uint64_t id = 2; id <= 6; ++id) CHECK_FALSE(among(c.mail(), to(id)).empty());
}

TEST_CASE("6 agreement, for elections and for entries, needs separate majorities of both configurations") {
  configuration joint;
  joint.voters = {4_n, 5_n, 6_n};
  joint.outgoing = {1_n, 2_n, 3_n};
  auto a = start(1_n, {.term = 1, .members = joint, .log = {}});
  a->campaign();
  const auto consent = [&](node_id id) { CHECK(a->step(say(id, 1_n, 1_t, request_pre_vote_reply{1_t, true}))); };
  for (const node_id id : {2_n, 3_n, 4_n}) consent(id);
  CHECK(a->role() == role_kind::pre_candidate);  // five of six, and no majority of 4, 5, 6
  consent(5_n);
  CHECK(a->role() == role_kind::candidate);
  for (const node_id id : {2_n, 3_n, 4_n}) CHECK(a->step(say(id, 1_n, 2_t, request_vote_reply{true})));
  CHECK_FALSE(a->leads());
  CHECK(a->step(say(5_n, 1_n, 2_t, request_vote_reply{true})));
  CHECK(a->leads());
  for (const node_id id : {2_n, 3_n, 4_n}) CHECK(a->step(say(id, 1_n, 2_t, matched(1_i))));
  CHECK(a->commit() == 0_i);
  CHECK(a->step(say(6_n, 1_n, 2_t, matched(1_i))));
  CHECK(a->commit() == 1_i);
}

TEST_CASE("6 a server uses the latest configuration in its log, committed or not") {
  auto b = start(2_n, {.term = 1, .members = voters(3)});
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {members(1, voters(5))})));
  CHECK(b->status().configuration == voters(5));
  b->campaign();
  b->now() += 1000;
  b->campaign();
  CHECK(b->all<request_pre_vote>().size() >= 4);
}

TEST_CASE("6 if the leader crashes, the next one may be of either configuration, but not of both at once") {
  for (const bool reached : {false, true}) {
    cluster c = three_and_three();
    CHECK(c[1].change(others));
    if (reached) {
      c.deliver(any);
    } else {
      c.drop();
    }
    c.drop();
    c.crash(1);
    c.pass(3000);
    int leading = 0;
    for (const std::uint64_t id : c.ids()) leading += c[id].leads();
    CHECK(leading <= 1);
  }
}

TEST_CASE("6 Cold and Cnew cannot both decide alone: a change that is cut off with new servers decides nothing") {
  cluster c = three_and_three();
  c.split({1, 4, 5, 6}, {2, 3});
  CHECK(c[1].change(others));
  c.deliver();
  CHECK(c[1].commit() == 2_i);  // no majority of 1, 2, 3
  c.elect(2);
  CHECK(c[2].propose("decided"));
  c.spread();
  CHECK(c[2].state() == "before;decided;");
  c.heal();
  c.pass(3000);
  CHECK(c[1].state().starts_with("before;decided;"));
}

TEST_CASE("6 new servers join as non-voting members and get the log without being counted") {
  cluster c = three_and_three();
  CHECK(c[1].change({voters(3).voters, {4_n}}));
  c.spread();
  CHECK(c[4].state() == "before;");
  c.crash(2);
  c.crash(3);
  CHECK(c[1].propose("x"));
  c.pass(100);
  CHECK(c[4].shape() == c[1].shape());
  CHECK(c[1].commit() < c[1].last());
}

TEST_CASE("6 a leader that is not in the new configuration steps down once that is committed, and not before") {
  cluster c = three_and_three();
  CHECK(c[1].change({{2_n, 3_n}, {}}));
  CHECK(c[1].leads());
  c.deliver(to(2));
  c.deliver(to(1));
  CHECK(c[1].leads());  // 1 and 2 have it; of 2 and 3 that is one
  CHECK(c[1].commit() == 2_i);
  c.deliver();
  CHECK_FALSE(c[1].leads());
  CHECK(c[2].commit() >= 3_i);
}

TEST_CASE("6 removed servers do not disrupt the cluster: votes are refused while a leader is heard") {
  cluster c = three_and_three();
  c.isolate(3);
  CHECK(c[1].change({{1_n, 2_n}, {}}));
  c.spread();
  c.heal();
  const term_t term = c[1].term();
  c.pass(10000);
  CHECK(c[1].leads());
  CHECK(c[1].term() == term);
  setup how;
  how.options.pre_vote = false;  // even one that raises its term
  auto rude = start(3_n, {.term = 50, .members = voters(3)}, how);
  rude->campaign();
  c.deliver_late(rude->take_mail());
  CHECK(c[1].leads());
  CHECK(c[1].term() == term);
}

}  // namespace section_6_test
