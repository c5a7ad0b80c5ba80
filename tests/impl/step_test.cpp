// How inputs enter, impl/step.hpp: the stored state, the envelope, the term rule, the table of roles and messages.
// Hostile values are refused with a reason and change nothing. "[B184]" and the like name the bug, seen in other
// engines, that a test guards against.

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace impl_step_test {

using namespace raft;
using namespace story;

namespace {

/// A server in each role, of term 5, with entries 1 and 2 and the first one committed.
std::vector<std::unique_ptr<server>> one_in_each_role() {
  std::vector<std::unique_ptr<server>> all;
  setup eager;
  eager.options.pre_vote = false;
  const auto at = [](std::uint64_t term) {
    return stored{.term = term, .commit_hint = 1, .members = voters(3), .log = {{1, "a"}, {4, "b"}}};
  };
  all.push_back(start(1_n, at(5)));
  CHECK(all.back()->step(append(2_n, 1_n, 5_t, {2_i, 4_t}, 1_i, {})));
  all.push_back(start(1_n, at(5)));
  all.back()->campaign();
  all.push_back(start(1_n, at(4), eager));
  all.back()->campaign();
  all.push_back(start(1_n, at(4)));
  win(*all.back());
  for (const auto& s : all) s->take_mail();
  REQUIRE(all[0]->role() == role_kind::follower);
  REQUIRE(all[1]->role() == role_kind::pre_candidate);
  REQUIRE(all[2]->role() == role_kind::candidate);
  REQUIRE(all[3]->role() == role_kind::leader);
  for (const auto& s : all) REQUIRE(s->term() == 5_t);
  return all;
}

std::vector<letter> one_of_each(node_id from, node_id to, term_t term) {
  return {say(from, to, term, request_pre_vote{2_i, 4_t}),
          say(from, to, term, request_pre_vote_reply{5_t, true}),
          say(from, to, term, request_vote{2_i, 4_t}),
          say(from, to, term, request_vote_reply{true}),
          append(from, to, term, {2_i, 4_t}, 1_i, {}),
          say(from, to, term, matched(2_i)),
          chunk(from, to, term, {9_i, 4_t}, voters(3), "image", 0, 5),
          say(from, to, term, install_snapshot_reply{2_i, 7, 0, true, 0}),
          say(from, to, term, read_request{7}),
          say(from, to, term, forwarded_proposal{7, 1, payload_of("x")}),
          say(from, to, term, forwarded_proposal_reply{7, 1, 2_i, 1_n}),
          say(from, to, term, read_reply{7, 2_i, true})};
}

void refused_unchanged(server& s, const letter& l, errc code) {
  const std::string before = s.picture();
  const auto told = s.told<events::message_refused>().size();
  const auto taken = s.step(l);
  REQUIRE_FALSE(taken);
  CHECK(taken.error().code == code);
  CHECK(taken.error().what[0] != '\0');
  CHECK(s.picture() == before);
  CHECK(s.take_mail().empty());
  CHECK(s.told<events::message_refused>().size() == told + 1);
  CHECK(s.told<events::message_refused>().back().from == l.what.from);
}

}  // namespace

TEST_CASE("check_envelope: a message for another node is refused, in every role and of every kind") {
  for (const auto& s : one_in_each_role()) {
    for (const letter& l : one_of_each(2_n, 3_n, 9_t)) refused_unchanged(*s, l, errc::misaddressed);
    for (const letter& l : one_of_each(2_n, nobody, 5_t)) refused_unchanged(*s, l, errc::misaddressed);
  }
}

TEST_CASE("check_envelope: a message from the node itself, or from nobody, is refused [B184]") {
  for (const auto& s : one_in_each_role()) {
    for (const letter& l : one_of_each(1_n, 1_n, 5_t)) refused_unchanged(*s, l, errc::misaddressed);
    for (const letter& l : one_of_each(nobody, 1_n, 5_t)) refused_unchanged(*s, l, errc::misaddressed);
  }
}

TEST_CASE("check_envelope: a term that no cluster reaches is refused [B185]") {
  for (const auto& s : one_in_each_role()) {
    for (const std::uint64_t term : {(std::uint64_t{1} << 62) + 1, UINT64_MAX}) {
      for (const letter& l : one_of_each(2_n, 1_n, term_t{term})) refused_unchanged(*s, l, errc::impossible);
    }
    // Term zero is before the first election: nobody speaks of anything but pre-votes then.
    for (const letter& l : one_of_each(2_n, 1_n, 0_t)) {
      if (l.is<request_pre_vote>() || l.is<request_pre_vote_reply>()) {
        CHECK(s->step(l));
        s->take_mail();
      } else {
        refused_unchanged(*s, l, errc::impossible);
      }
    }
  }
}

TEST_CASE("handlers: every pair of a role and a message ends in an answer, a silence or a refusal") {
  for (const term_t term : {3_t, 5_t, 6_t}) {
    for (const auto& l : one_of_each(2_n, 1_n, term)) {
      for (const auto& s : one_in_each_role()) {
        const role_kind role = s->role();
        CAPTURE(role);
        CAPTURE(l);
        const auto taken = s->step(l);
        const bool leaders_own = l.is<append_entries>() || l.is<install_snapshot>();
        CHECK(taken.has_value() == !(role == role_kind::leader && term == 5_t && leaders_own));
        CHECK(s->term() >= 5_t);
        const bool about_pre_votes = l.is<request_pre_vote>();
        const bool sticky = l.is<request_vote>() && role == role_kind::leader;
        if (term == 6_t && !about_pre_votes && !sticky) CHECK(s->term() == 6_t);
        if (term == 3_t && !l.is<request_pre_vote_reply>()) CHECK(s->role() == role);
      }
    }
  }
}

TEST_CASE("ignore: answers that a role has no use for change nothing") {
  const auto all = one_in_each_role();
  const auto ignored = [&](std::size_t role, const letter& l) {
    const std::string before = all[role]->picture();
    CHECK(all[role]->step(l));
    CHECK(all[role]->picture() == before);
    CHECK(all[role]->take_mail().empty());
    CHECK(all[role]->told<events::message_ignored>().back().why == ignored_reason::wrong_role);
  };
  const auto mail = one_of_each(3_n, 1_n, 5_t);
  for (const std::size_t role : {0U, 2U, 3U}) ignored(role, mail[1]);
  for (const std::size_t role : {0U, 1U, 3U}) ignored(role, mail[3]);
  for (const std::size_t role : {0U, 1U, 2U}) ignored(role, mail[5]);
  for (const std::size_t role : {0U, 1U, 2U}) ignored(role, mail[7]);
}

TEST_CASE("term_rule: an answer of a former term changes nothing, in any role") {
  for (const auto& s : one_in_each_role()) {
    for (const letter& l : one_of_each(2_n, 1_n, 4_t)) {
      const std::string before = s->picture();
      if (l.is<request_pre_vote_reply>()) continue;  // its own term does not matter, but the one that was asked for
      CHECK(s->step(l));
      CHECK(s->picture() == before);
      s->take_mail();
    }
  }
}

TEST_CASE("create: nonsense is refused with the reason") {
  const stored plain{.term = 1, .members = voters(3)};
  CHECK(try_start(nobody, plain.build()).error().code == errc::invalid_options);
  setup how;
  how.options.heartbeat_interval = 0;
  const auto made = try_start(1_n, plain.build(), how);
  REQUIRE_FALSE(made);
  CHECK(made.error().code == errc::invalid_options);
  CHECK(made.error().what == std::string("heartbeat_interval > 0"));
}

TEST_CASE("check_stored_state: a state that contradicts itself is refused") {
  const auto refused = [](memory_log log) {
    const auto made = try_start(1_n, std::move(log));
    REQUIRE_FALSE(made);
    return made.error().code;
  };
  memory_log nobody_votes{configuration{}};
  CHECK(refused(nobody_votes) == errc::invalid_configuration);

  memory_log later_entry = stored{.term = 3, .members = voters(3), .log = {{3, "x"}}}.build();
  CHECK(later_entry.store({2_t, nobody, 0_i}));
  CHECK(refused(later_entry) == errc::inconsistent_state);

  memory_log beyond = stored{.members = voters(3)}.build();
  CHECK(beyond.store({term_t{UINT64_MAX}, nobody, 0_i}));
  CHECK(refused(beyond) == errc::inconsistent_state);

  memory_log gap = stored{.term = 1, .members = voters(3)}.build();
  gap.reset(5_i, 1_t);
  CHECK(refused(gap) == errc::inconsistent_state);

  const stored behind_a_snapshot{.term = 2, .members = voters(3), .base = {5_i, 1_t}, .snapshot = {5_i, 1_t}};
  memory_log ends_before_it = behind_a_snapshot.build();
  CHECK(try_start(1_n, ends_before_it));
  ends_before_it.reset(3_i, 1_t);
  CHECK(refused(ends_before_it) == errc::inconsistent_state);

  memory_log of_another_term = behind_a_snapshot.build();
  of_another_term.reset(5_i, 2_t);
  CHECK(refused(of_another_term) == errc::inconsistent_state);

  memory_log broken = stored{.term = 1, .members = voters(3)}.build();
  const payload none{};
  CHECK(broken.append(1_t, entry_kind::configuration, std::span{&none, 1}));
  CHECK(refused(broken) == errc::inconsistent_state);
}

TEST_CASE("check_stored_state: of what a snapshot covers the configuration is its own, whatever an entry holds") {
  memory_log log = stored{.term = 1, .members = voters(3)}.build();
  const payload none{};
  CHECK(log.append(1_t, entry_kind::configuration, std::span{&none, 1}));
  CHECK(log.begin_snapshot({1_i, 1_t, voters(3), 0, 0}));
  CHECK(log.finish_snapshot());
  REQUIRE(log.first_index() == 1_i);
  const auto a = try_start(1_n, std::move(log));
  REQUIRE(a);
  CHECK((*a)->status().configuration == voters(3));
}

TEST_CASE("create: a server starts from any consistent state") {
  const stored full{.term = 7,
                    .vote = 2,
                    .commit_hint = 6,
                    .members = voters(5),
                    .log = {{5, "f"}, {6, "g"}, members(7, voters(3)), {7, "h"}},
                    .base = {4_i, 4_t},
                    .snapshot = {5_i, 5_t},
                    .image = "state;"};
  auto a = start(1_n, full);
  const auto s = a->status();
  CHECK(s.id == 1_n);
  CHECK(s.role == role_kind::follower);
  CHECK(s.term == 7_t);
  CHECK(s.voted_for == 2_n);
  CHECK(s.leader == nobody);
  CHECK(s.commit_index == 6_i);
  CHECK(s.last_applied == 5_i);
  CHECK(s.first_index == 5_i);
  CHECK(s.last_index == 8_i);
  CHECK(s.durable_index == 8_i);
  CHECK(s.snapshot_index == 5_i);
  CHECK(s.snapshot_term == 5_t);
  CHECK(s.configuration == voters(3));
  CHECK(s.configuration_index == 7_i);
  CHECK_FALSE(s.failed);
  CHECK(s.peers.empty());
  CHECK(a->state() == "state;");
  a->tick();
  CHECK(a->state() == "state;g;");
}

TEST_CASE("tick: nothing happens before the deadline, and something at it [B185]") {
  for (const ms base : {ms{0}, ms{1} << 31, ms{1} << 40, ms{1} << 52}) {
    cluster c{3};
    c.now() = base;
    for (const std::uint64_t id : c.ids()) c.start(id, memory_log{voters(3)});
    server& a = c[1];
    const ms due = a.deadline();
    CHECK(due >= base + 150);
    CHECK(due < base + 300);
    c.now() = due - 1;
    a.tick();
    CHECK(c.mail().empty());
    CHECK(a.role() == role_kind::follower);
    c.now() = due;
    a.tick();
    CHECK(a.role() == role_kind::pre_candidate);
    c.deliver();
    CHECK(a.leads());
    c.isolate(1);
    c.pass(400);  // a dead peer is not heard for ever, however late it is
    CHECK_FALSE(a.leads());
  }
}

TEST_CASE("tick: the same inputs and the same seed give the same messages") {
  const auto run = [] {
    cluster c{3};
    std::vector<letter> sent;
    for (int step = 0; step < 400; ++step) {
      c.jump(7);
      for (const std::uint64_t id : c.ids()) c[id].tick();
      if (step % 50 == 20) {
        for (const std::uint64_t id : c.ids()) (void)c[id].propose(std::to_string(step));
      }
      if (step % 90 == 60) c.drop();
      for (const letter& l : c.mail()) sent.push_back(l);
      c.deliver(any);
    }
    return sent;
  };
  const auto first = run();
  CHECK(first.size() > 200);
  CHECK(first == run());
}

TEST_CASE("second_leader: a leader's word is taken from nobody else in its term") {
  auto b = start(1_n, {.term = 5, .members = voters(3)});
  CHECK(b->step(append(2_n, 1_n, 5_t, {}, 0_i, {})));
  b->take_mail();
  refused_unchanged(*b, append(3_n, 1_n, 5_t, {}, 0_i, {}), errc::impossible);
  refused_unchanged(*b, chunk(3_n, 1_n, 5_t, {9_i, 5_t}, voters(3), "image", 0, 5), errc::impossible);
  CHECK(b->leader() == 2_n);
}

TEST_CASE("step: values at the edge of what a field holds do no harm in any role [B47] [B185]") {
  const std::uint64_t edges[]{0,         1, 2, 3, (std::uint64_t{1} << 62) - 1, std::uint64_t{1} << 62, UINT64_MAX - 1,
                              UINT64_MAX};
  for (const std::uint64_t x : edges) {
    for (const std::uint64_t y : edges) {
      for (const auto& s : one_in_each_role()) {
        const index_t commit = s->commit();
        (void)s->step(say(2_n, 1_n, 5_t, append_entries_reply{true, index_t{x}, {}, {}, index_t{y}, 0}));
        (void)s->step(
            say(2_n, 1_n, 5_t, append_entries_reply{false, index_t{x}, index_t{y}, term_t{y}, index_t{x}, 0}));
        (void)s->step(say(2_n, 1_n, 5_t, append_entries_reply{true, 1_i, {}, {}, {}, x}));
        (void)s->step(say(2_n, 1_n, 5_t, install_snapshot_reply{index_t{x}, y, y, true, 0}));
        (void)s->step(say(2_n, 1_n, 5_t, install_snapshot_reply{index_t{x}, x, y, false, 0}));
        (void)s->step(say(2_n, 1_n, 5_t, request_vote{index_t{x}, term_t{y}}));
        (void)s->step(say(2_n, 1_n, 5_t, request_pre_vote{index_t{x}, term_t{y}}));
        (void)s->step(append(2_n, 1_n, 5_t, {index_t{x}, term_t{y}}, index_t{y}, {}, x));
        (void)s->step(append(2_n, 1_n, 5_t, {index_t{x}, term_t{y}}, index_t{x}, {{5, "x"}}, y));
        letter part = chunk(2_n, 1_n, 5_t, {index_t{x}, term_t{y}}, voters(3), "", 0, 0);
        std::get<install_snapshot>(part.what.body).size = x;
        std::get<install_snapshot>(part.what.body).offset = y;
        (void)s->step(part);
        CHECK(s->term() == 5_t);
        CHECK(s->commit() >= commit);
        CHECK(s->last() >= s->commit());
        s->tick();
        s->take_mail();
      }
    }
  }
}

TEST_CASE("check_body: votes asked for with a log that no server has are refused, in every role [B185]") {
  const std::uint64_t beyond = (std::uint64_t{1} << 62) + 1;
  const after impossible[]{{0_i, 3_t}, {2_i, 0_t}, {2_i, term_t{UINT64_MAX}}, {index_t{beyond}, 4_t}};
  for (const auto& s : one_in_each_role()) {
    for (const after last : impossible) {
      refused_unchanged(*s, say(2_n, 1_n, 6_t, request_vote{last.index, last.term}), errc::impossible);
      refused_unchanged(*s, say(2_n, 1_n, 6_t, request_pre_vote{last.index, last.term}), errc::impossible);
    }
    // Who stands in term 6 has nothing of term 6 yet; who would stand in term 7 is in term 6.
    refused_unchanged(*s, say(2_n, 1_n, 6_t, request_vote{2_i, 6_t}), errc::impossible);
    refused_unchanged(*s, say(2_n, 1_n, 6_t, request_pre_vote{2_i, 7_t}), errc::impossible);
    CHECK(s->step(say(2_n, 1_n, 6_t, request_pre_vote{2_i, 6_t})));
    CHECK(s->step(say(2_n, 1_n, 6_t, request_vote{2_i, 5_t})));
  }
}

TEST_CASE("check_body: an index is taken up to the largest one that a log may reach, and not beyond [B185]") {
  const auto each_with = [](index_t i) {
    forwarded_proposal_reply forwarded{7, 1, i, 2_n};
    return std::vector<letter>{say(2_n, 1_n, 5_t, request_vote{i, 4_t}),
                               say(2_n, 1_n, 5_t, request_pre_vote{i, 4_t}),
                               append(2_n, 1_n, 5_t, {i, 4_t}, 1_i, {}),
                               append(2_n, 1_n, 5_t, {2_i, 4_t}, i, {}),
                               chunk(2_n, 1_n, 5_t, {i, 4_t}, voters(3), "image", 0, 5),
                               say(2_n, 1_n, 5_t, timeout_now{i, 5_t}),
                               say(2_n, 1_n, 5_t, read_reply{7, i, true}),
                               say(2_n, 1_n, 5_t, forwarded)};
  };
  const std::uint64_t most = std::uint64_t{1} << 62;
  for (const letter& l : each_with(index_t{most})) CHECK(one_in_each_role()[0]->step(l));
  for (const letter& l : each_with(index_t{most + 1})) refused_unchanged(*one_in_each_role()[0], l, errc::impossible);
}

TEST_CASE("check_body: of a former term nothing is looked at but that it is one") {
  auto b = std::move(one_in_each_role()[0]);
  const std::string before = b->picture();
  for (const letter& l : {say(3_n, 1_n, 4_t, timeout_now{0_i, 9_t}), say(3_n, 1_n, 4_t, request_vote{0_i, 3_t})}) {
    CHECK(b->step(l));
  }
  CHECK(b->role() == role_kind::follower);
  CHECK(b->term() == 5_t);
}

TEST_CASE("step: what is refused does not even move the time at which the node looks") {
  auto b = start(1_n, {.term = 5, .commit_hint = 2, .members = voters(3), .log = {{1, "a"}, {4, "b"}}});
  CHECK(b->applied() == 0_i);  // so there is work left, and the deadline is the moment of the last look
  const ms before = b->deadline();
  b->now() += 40;
  refused_unchanged(*b, append(2_n, 1_n, 5_t, {0_i, 3_t}, 0_i, {}), errc::impossible);
  CHECK(b->deadline() == before);
}

TEST_CASE("second_leader: who led a term and made way still knows that nobody else leads it") {
  auto a = start(1_n, {.members = voters(3)});
  win(*a);
  CHECK(a->step_down());
  REQUIRE(a->role() == role_kind::follower);
  REQUIRE(a->leader() == nobody);
  a->take_mail();
  refused_unchanged(*a, append(2_n, 1_n, 1_t, {1_i, 1_t}, 0_i, {}), errc::impossible);
  refused_unchanged(*a, chunk(2_n, 1_n, 1_t, {9_i, 1_t}, voters(3), "image", 0, 5), errc::impossible);
  refused_unchanged(*a, say(2_n, 1_n, 1_t, timeout_now{1_i, 1_t}), errc::impossible);
  CHECK(a->step(append(2_n, 1_n, 2_t, {1_i, 1_t}, 0_i, {no_op(2)})));
  CHECK(a->leader() == 2_n);
}

}  // namespace impl_step_test
