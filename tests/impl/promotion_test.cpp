// A server catches up as a learner and then votes, impl/promotion.hpp: by rounds, with one fate, whatever happens.

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace impl_promotion_test {

using namespace raft;
using namespace story;

namespace {

using told = std::vector<std::pair<node_id, promotion_fate>>;

void ack(server& a, node_id who, index_t index) { CHECK(a.step(say(who, 1_n, a.term(), matched(index)))); }

/// A leader of three that committed its first entry.
std::unique_ptr<server> leader_of_three(const setup& how = {}) {
  auto a = start(1_n, {.members = voters(3)}, how);
  win(*a);
  ack(*a, 2_n, 1_i);
  REQUIRE(a->commit() == 1_i);
  return a;
}

/// The other voters have everything.
void commit_all(server& a) {
  ack(a, 2_n, a.last());
  ack(a, 3_n, a.last());
}

bool same(const told& some, const told& others) { return some == others; }

}  // namespace

TEST_CASE("add_server: a server joins as a learner, catches up and votes, in a cluster") {
  cluster c{3};
  c.elect(1);
  REQUIRE(c[1].propose({"x", "y", "z"}));
  c.start(4, memory_log{voters(3)});
  REQUIRE(c[1].add({4_n, {std::byte{'d'}}}));
  CHECK(c[1].status().configuration.is_learner(4_n));
  c.pass(300);
  for (const std::uint64_t id : c.ids()) {
    CHECK(c[id].status().configuration.voters == voters(4).voters);
    CHECK(text_of(c[id].status().configuration.data_of(4_n)) == "d");
  }
  CHECK(same(c[1].machine().promotions, {{4_n, promotion_fate::promoted}}));
  CHECK(c[1].told<events::promotion_ended>().size() == 1);
  CHECK(c[2].machine().promotions.empty());
}

TEST_CASE("pursue_promotion: a slow round is followed by another, a fast one by the vote") {
  auto a = leader_of_three({.options = {.check_quorum = false}});
  REQUIRE(a->add({4_n, {}}));
  CHECK(a->status().configuration.learners == std::vector{4_n});
  commit_all(*a);
  REQUIRE(a->propose("x"));  // behind the goal of the first round: of no account for it
  a->pass(150);              // not less than election_timeout_min
  ack(*a, 4_n, 2_i);
  CHECK(a->status().configuration.learners == std::vector{4_n});
  a->pass(149);
  ack(*a, 4_n, 2_i);  // the second round goes up to 3
  CHECK(a->status().configuration.learners == std::vector{4_n});
  ack(*a, 4_n, 3_i);
  CHECK(a->status().configuration.voters == voters(4).voters);
  CHECK(a->machine().promotions.empty());  // it is not committed
  commit_all(*a);
  CHECK(same(a->machine().promotions, {{4_n, promotion_fate::promoted}}));
}

TEST_CASE(
    "pursue_promotion: of election_timeout_min is slow, of one less is fast; who has all that came by then votes") {
  for (const ms took : {149, 150}) {
    for (const bool more : {false, true}) {
      CAPTURE(took);
      CAPTURE(more);
      auto a = leader_of_three({.options = {.check_quorum = false}});
      REQUIRE(a->add({4_n, {}}));
      commit_all(*a);
      const index_t goal = a->last();
      if (more) REQUIRE(a->propose("x"));
      a->pass(took);
      ack(*a, 4_n, goal);
      CHECK(a->status().configuration.is_voter(4_n) == (took == 149 || !more));
    }
  }
}

TEST_CASE("pursue_promotion: who has caught up during a transfer votes when that is over") {
  auto a = leader_of_three({.options = {.check_quorum = false}});
  REQUIRE(a->add({4_n, {}}));
  commit_all(*a);
  REQUIRE(a->propose("3 lacks it"));
  REQUIRE(a->transfer_to(3_n));
  ack(*a, 4_n, a->last());
  CHECK(a->status().configuration.is_learner(4_n));
  CHECK(a->machine().promotions.empty());
  a->pass(300);
  REQUIRE_FALSE(a->transferring());
  ack(*a, 4_n, a->last());
  CHECK(a->status().configuration.is_voter(4_n));
}

TEST_CASE("pursue_promotion: no round begins before the learner is committed") {
  auto a = leader_of_three();
  REQUIRE(a->add({4_n, {}}));
  ack(*a, 4_n, 2_i);
  CHECK(a->status().configuration.learners == std::vector{4_n});
  CHECK_FALSE(a->change({{1_n, 2_n, 3_n, 4_n}, {}}));
  commit_all(*a);
  ack(*a, 4_n, 2_i);
  CHECK(a->status().configuration.is_voter(4_n));
}

TEST_CASE("pursue_promotion: given up after so many rounds; the server stays a learner") {
  auto a = leader_of_three({.options = {.check_quorum = false, .promotion_rounds = 3}});
  REQUIRE(a->add({4_n, {}}));
  commit_all(*a);
  for (int round = 1; round <= 3; ++round) {
    CHECK(a->machine().promotions.empty());
    const index_t goal = a->last();
    REQUIRE(a->propose("x"));  // always something behind the goal, so that the next round has something to do
    a->pass(200);
    ack(*a, 4_n, goal);
  }
  CHECK(same(a->machine().promotions, {{4_n, promotion_fate::too_slow}}));
  CHECK(a->status().configuration.learners == std::vector{4_n});
  ack(*a, 4_n, a->last());
  REQUIRE(a->add({4_n, {}}));  // it may be tried again, and has everything by now
  CHECK(a->status().configuration.is_voter(4_n));
}

TEST_CASE("pursue_promotion: a server that is silent is given up, too") {
  auto a = leader_of_three({.options = {.check_quorum = false, .promotion_rounds = 2}});
  REQUIRE(a->add({4_n, {}}));
  commit_all(*a);
  a->pass(599);
  CHECK(a->machine().promotions.empty());
  a->pass(1);
  CHECK(same(a->machine().promotions, {{4_n, promotion_fate::too_slow}}));
}

TEST_CASE("pursue_promotion: a server that answers and comes no further is given up, too") {
  auto a = leader_of_three({.options = {.check_quorum = false, .promotion_rounds = 2}});
  REQUIRE(a->add({4_n, {}}));
  REQUIRE(a->propose("x"));
  commit_all(*a);  // the first round begins at 0, up to 3
  const auto answers_until = [&a](ms until, index_t match) {
    while (a->now() < until) {
      a->pass(50);
      ack(*a, 4_n, match);
    }
  };
  answers_until(550, 0_i);
  CHECK(a->machine().promotions.empty());
  ack(*a, 4_n, 1_i);  // a step counts the time anew
  answers_until(1100, 1_i);
  CHECK(a->machine().promotions.empty());
  answers_until(1150, 1_i);
  CHECK(same(a->machine().promotions, {{4_n, promotion_fate::too_slow}}));
  CHECK(a->status().configuration.learners == std::vector{4_n});
}

TEST_CASE("pursue_promotion: bytes of a snapshot are steps, each but once") {
  setup how{.options = {.check_quorum = false, .promotion_rounds = 2}};
  how.options.snapshot_chunk_bytes = 10;
  const std::string image(40, 's');
  auto a =
      start(1_n, {.term = 1, .members = voters(3), .base = {9_i, 1_t}, .snapshot = {9_i, 1_t}, .image = image}, how);
  win(*a);
  commit_all(*a);
  REQUIRE(a->add({4_n, {}}));
  commit_all(*a);
  CHECK(a->step(say(4_n, 1_n, a->term(), refused(a->last(), {}, 0_i))));
  const std::uint64_t id = a->log().snapshot().id;
  const auto holds = [&](std::uint64_t bytes) {
    CHECK(a->step(say(4_n, 1_n, a->term(), install_snapshot_reply{9_i, id, bytes, false, 0})));
  };
  for (const std::uint64_t bytes : {10U, 20U, 30U}) {
    a->pass(550);
    holds(bytes);
    CHECK(a->machine().promotions.empty());
  }
  for (int again = 0; again < 11; ++again) {  // it loses the bytes, and takes the same ones again
    a->pass(50);
    holds(again % 2 == 0 ? 0 : 30);
  }
  CHECK(a->machine().promotions.empty());
  a->pass(50);
  CHECK(same(a->machine().promotions, {{4_n, promotion_fate::too_slow}}));
}

TEST_CASE("patience_for: what the leader itself has a server wait for is not held against it") {
  setup how{.options = {.check_quorum = false, .promotion_rounds = 1}};
  how.options.snapshot_chunk_bytes = 10;
  const auto given_up_after = [](const setup& with) {
    const std::string image(40, 's');
    auto a =
        start(1_n, {.term = 1, .members = voters(3), .base = {9_i, 1_t}, .snapshot = {9_i, 1_t}, .image = image}, with);
    win(*a);
    commit_all(*a);
    REQUIRE(a->add({4_n, {}}));
    commit_all(*a);
    CHECK(a->step(say(4_n, 1_n, a->term(), refused(a->last(), {}, 0_i))));
    const ms begin = a->now();
    while (a->machine().promotions.empty() && a->now() < begin + 100'000) a->pass(10);
    return a->now() - begin;
  };
  CHECK(given_up_after(how) == 300);
  how.options.snapshot_bytes_per_second = 10;  // its turn comes every three seconds
  CHECK(given_up_after(how) == 300 + 4000);
  how.options.snapshot_bytes_per_second = 0;
  how.carrier = true;
  how.options.snapshot_carry_timeout = 5000;
  CHECK(given_up_after(how) == 5000);
}

TEST_CASE("leave_leadership: a promotion ends with the leadership, in a fate; a failed node's, too") {
  auto a = leader_of_three();
  REQUIRE(a->add({4_n, {}}));
  CHECK(a->step(append(2_n, 1_n, a->term().next(), {}, 0_i, {})));
  REQUIRE_FALSE(a->leads());
  CHECK(same(a->machine().promotions, {{4_n, promotion_fate::aborted}}));

  auto b = leader_of_three();
  REQUIRE(b->add({4_n, {}}));
  b->log().failing = "append";
  CHECK(b->propose("x"));
  REQUIRE(b->failed());
  CHECK(same(b->machine().promotions, {{4_n, promotion_fate::aborted}}));
}

TEST_CASE("pursue_promotion: another change takes the server away") {
  auto a = leader_of_three({.options = {.check_quorum = false}});
  REQUIRE(a->add({4_n, {}}));
  commit_all(*a);
  REQUIRE(a->change({{1_n, 2_n, 3_n}, {}}));
  CHECK(same(a->machine().promotions, {{4_n, promotion_fate::aborted}}));
}

TEST_CASE("pursue_promotion: a leader that is removed promotes nobody any more") {
  auto a = leader_of_three({.options = {.check_quorum = false}});
  REQUIRE(a->add({4_n, {}}));
  commit_all(*a);
  REQUIRE(a->change({{2_n, 3_n}, {4_n}}));
  ack(*a, 4_n, 3_i);  // it has caught up while the removal is not committed
  commit_all(*a);
  CHECK_FALSE(a->leads());
  CHECK(a->status().configuration.learners == std::vector{4_n});
  CHECK(same(a->machine().promotions, {{4_n, promotion_fate::aborted}}));
}

TEST_CASE("pursue_promotion: a server that lost its log is promoted no further") {
  auto a = leader_of_three({.options = {.check_quorum = false}});
  REQUIRE(a->add({4_n, {}}));
  commit_all(*a);
  REQUIRE(a->propose("x"));
  ack(*a, 4_n, 1_i);  // on its way to the goal, entry 2
  for (int beats = 0; a->peer(4).state != progress_state::lost && beats < 5; ++beats) {
    CHECK(a->machine().promotions.empty());
    a->take_mail();
    a->pass(50);
    const auto mail = among(a->take_mail(), to(4) && kind<append_entries>());
    REQUIRE_FALSE(mail.empty());
    const auto& asked = mail.back().as<append_entries>();
    CHECK(a->step(say(4_n, 1_n, 1_t, refused(asked.prev_log_index, {}, 0_i, asked.round))));
  }
  CHECK(a->peer(4).state == progress_state::lost);
  CHECK(same(a->machine().promotions, {{4_n, promotion_fate::aborted}}));
}

TEST_CASE("add_server: a learner is promoted as it is; with another address this one is put in force first") {
  const auto with_learner_at = [](std::string_view place) {
    configuration c = voters(3);
    c.learners = {4_n};
    c.data = {{4_n, bytes_of(place)}};
    return c;
  };
  for (const std::string_view place : {"", "here", "there"}) {
    CAPTURE(place);
    auto a = start(1_n, {.members = with_learner_at("here")}, {.options = {.check_quorum = false}});
    win(*a);
    ack(*a, 2_n, 1_i);
    REQUIRE(a->add({4_n, bytes_of(place)}));
    CHECK(a->last() == (place == "there" ? 2_i : 1_i));
    CHECK(a->status().configuration == with_learner_at(place == "there" ? "there" : "here"));
    commit_all(*a);
    ack(*a, 4_n, a->last());
    CHECK(a->status().configuration.is_voter(4_n));
  }
}

TEST_CASE("add_server: a learner's new address is refused while another change is under way, with the reason") {
  configuration members = voters(3);
  members.learners = {4_n};
  auto a = start(1_n, {.members = members}, {.options = {.check_quorum = false}});
  win(*a);
  ack(*a, 2_n, 1_i);
  REQUIRE(a->change({.voters = members.voters, .learners = {4_n, 5_n}}));
  CHECK(a->add({4_n, bytes_of("there")}).error().code == errc::not_ready);
  CHECK(a->add({4_n, {}}));  // as it is, it waits for that change
  commit_all(*a);
  ack(*a, 4_n, a->last());
  CHECK(a->status().configuration.is_voter(4_n));
}

TEST_CASE("promotion: the time that a server does not come further is counted from the first round on, not from each") {
  promotion<ms> p;
  p.begin_round(9_i, 10);
  CHECK(p.goal == 9_i);
  CHECK(p.began == 10);
  CHECK(p.moved_at == 10);
  CHECK(p.round == 1);
  p.begin_round(12_i, 99);
  CHECK(p.goal == 12_i);
  CHECK(p.began == 99);
  CHECK(p.moved_at == 10);
  CHECK(p.round == 2);
}

TEST_CASE("promotion: what a server has come to never falls") {
  promotion<ms> p;
  p.begin_round(9_i, 10);
  p.note(5_i, 0, 20);
  CHECK(p.moved_at == 20);
  p.note(4_i, 100, 30);
  p.note(5_i, 0, 40);
  CHECK(p.match == 5_i);
  CHECK(p.offset == 0);
  CHECK(p.moved_at == 20);
  p.note(5_i, 1, 50);
  CHECK(p.moved_at == 50);
}

TEST_CASE("add_server: refused with the reason, and then there is no fate") {
  auto a = leader_of_three();
  CHECK(a->add({2_n, {}}).error().code == errc::ineligible);
  CHECK(a->add({nobody, {}}).error().code == errc::invalid_configuration);
  REQUIRE(a->add({4_n, {}}));
  CHECK(a->add({5_n, {}}).error().code == errc::not_ready);
  commit_all(*a);
  CHECK(a->add({5_n, {}}).error().code == errc::not_ready);
  auto b = start(2_n, {.members = voters(3)});
  CHECK(b->add({4_n, {}}).error().code == errc::not_leader);
  configuration members = voters(3);
  members.learners = {4_n};
  auto learns = start(2_n, {.members = members});
  CHECK(learns->add({4_n, {}}).error().code == errc::not_leader);
  CHECK(b->machine().promotions.empty());
  CHECK(a->machine().promotions.empty());
}

}  // namespace impl_promotion_test
