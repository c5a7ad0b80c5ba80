// Which configuration is in force and how it changes, impl/membership.hpp. "[B106]" and the like name the bug, seen in
// other engines, that a test guards against.

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace impl_membership_test {

using namespace raft;
using namespace story;

namespace {

configuration with_learners(std::uint64_t voting, std::vector<node_id> learners) {
  configuration c = voters(voting);
  c.learners = std::move(learners);
  return c;
}

membership of(const configuration& c) { return {c.voters, c.learners}; }

void ack(server& a, node_id who, index_t index) { CHECK(a.step(say(who, 1_n, a.term(), matched(index)))); }

/// A leader of that configuration, which has committed its first entry.
std::unique_ptr<server> leader_of(const configuration& c, const setup& how = {}) {
  auto a = start(1_n, {.members = c}, how);
  win(*a);
  for (const node_id id : members_of(c)) {
    if (id != 1_n) ack(*a, id, a->last());
  }
  REQUIRE(a->commit() == a->last());
  a->take_mail();
  return a;
}

}  // namespace

TEST_CASE("refresh_configuration: the latest configuration in the log is in force, committed or not") {
  auto b = start(2_n, {.term = 1, .members = voters(3)});
  CHECK(b->status().configuration == voters(3));
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {no_op(1), members(1, voters(4)), {1, "x"}, members(1, voters(5))})));
  CHECK(b->commit() == 0_i);
  CHECK(b->status().configuration == voters(5));
  CHECK(b->status().configuration_index == 4_i);
  CHECK(b->machine().configurations.back() == voters(5));
}

TEST_CASE("create: a restarted server takes the latest configuration from its log") {
  auto b = start(2_n, {.term = 1, .members = voters(3), .log = {no_op(1), members(1, voters(4)), {1, "x"}}});
  CHECK(b->status().configuration == voters(4));
  CHECK(b->status().configuration_index == 2_i);
}

TEST_CASE("write_truncation: a configuration that goes brings the one before it back, from the log [B109]") {
  auto b = start(2_n, {.term = 1, .members = voters(3)});
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 2_i, {no_op(1), members(1, voters(4)), {1, "x"}, members(1, voters(5))})));
  REQUIRE(b->status().configuration == voters(5));
  CHECK(b->step(append(3_n, 2_n, 2_t, {3_i, 1_t}, 2_i, {no_op(2)})));
  CHECK(b->status().configuration == voters(4));
  CHECK(b->status().configuration_index == 2_i);
  CHECK(b->machine().configurations.back() == voters(4));
}

TEST_CASE("write_truncation: with no configuration left in the log the snapshot's is in force [B109]") {
  auto b = start(2_n, {.term = 1,
                       .members = voters(4),
                       .log = {{1, "x"}, members(1, voters(5))},
                       .base = {7_i, 1_t},
                       .snapshot = {7_i, 1_t},
                       .image = "s"});
  REQUIRE(b->status().configuration == voters(5));
  CHECK(b->step(append(3_n, 2_n, 2_t, {8_i, 1_t}, 0_i, {no_op(2)})));
  CHECK(b->status().configuration == voters(4));
  CHECK(b->status().configuration_index == 0_i);
}

TEST_CASE("write_truncation: one configuration replaces another at the same place") {
  auto b = start(2_n, {.term = 1, .members = voters(3), .log = {no_op(1), members(1, voters(4))}});
  CHECK(b->step(append(3_n, 2_n, 2_t, {1_i, 1_t}, 0_i, {members(2, voters(2))})));
  CHECK(b->status().configuration == voters(2));
  CHECK(b->status().configuration_index == 2_i);
}

TEST_CASE("refresh_configuration: an old configuration without itself does not send a server away [B124]") {
  auto d = start(4_n, {.members = voters(4)});
  CHECK(d->step(append(1_n, 4_n, 1_t, {}, 1_i, {members(1, voters(3))})));
  CHECK(d->status().configuration == voters(3));
  CHECK(d->step(append(1_n, 4_n, 1_t, {1_i, 1_t}, 3_i, {{1, "x"}, members(1, voters(4))})));
  CHECK(d->status().configuration == voters(4));
  CHECK(d->state() == "x;");
}

TEST_CASE("create: a configuration that was received is there after a restart [B166]") {
  cluster c{voters(1)};
  c.elect(1);
  CHECK(c[1].change(of(with_learners(1, {4_n}))));
  c.start(4, memory_log{with_learners(1, {4_n})});
  c.pass(100);
  CHECK(c[1].change({{1_n, 4_n}, {}}));
  c.pass(100);
  REQUIRE(c[4].status().configuration == voters_of({1_n, 4_n}));
  c.restart(4);
  CHECK(c[4].status().configuration == voters_of({1_n, 4_n}));
}

// ---------------------------------------------------------------------------------------------------- members' data

namespace {

member_data datum(node_id id, std::string_view text) {
  const payload view = payload_of(text);
  return {id, {view.begin(), view.end()}};
}

configuration three_at(std::string_view prefix) {
  configuration c = voters(3);
  for (const node_id id : c.voters) c.data.push_back(datum(id, std::string(prefix) + std::to_string(id.value)));
  return c;
}

}  // namespace

TEST_CASE("configuration_at: what a snapshot covers is the snapshot's, and the entry behind it is not needed") {
  const auto log_with = [](const std::vector<written>& more) {
    stored log{.term = 1, .members = voters(2), .snapshot = {2_i, 1_t}, .image = "s"};
    log.log = {no_op(1), members(1, voters(2))};
    log.log.insert(log.log.end(), more.begin(), more.end());
    return log;
  };
  auto a = start(1_n, log_with({}));
  CHECK(a->status().configuration_index == 0_i);
  auto b = start(1_n, log_with({members(1, voters_of({2_n}))}));
  CHECK(b->status().configuration_index == 3_i);
  b->log().unreadable = {errc::corrupt, nobody, 17, "the segment is damaged"};
  b->campaign();  // it is removed, and that is not committed: the membership before counts
  CHECK(b->role() == role_kind::pre_candidate);
}

TEST_CASE("change_membership: members' data travels to all, and lasts through restarts and snapshots") {
  cluster c{three_at("host")};
  c.elect(1);
  c.start(4, memory_log{three_at("host")});
  REQUIRE(c[1].change({{1_n, 2_n, 3_n, 4_n}, {}, {datum(4_n, "host4"), datum(2_n, "moved")}}));
  c.pass(200);
  c.spread();
  for (const std::uint64_t id : c.ids()) {
    CHECK(text_of(c[id].status().configuration.data_of(4_n)) == "host4");
    CHECK(text_of(c[id].status().configuration.data_of(2_n)) == "moved");
    CHECK(text_of(c[id].status().configuration.data_of(1_n)) == "host1");
    CHECK(text_of(c[id].machine().configurations.back().data_of(4_n)) == "host4");
  }
  c.restart(2);
  CHECK(text_of(c[2].status().configuration.data_of(4_n)) == "host4");
  REQUIRE(c[1].propose("x"));
  c.pass(200);
  REQUIRE(c[1].take_snapshot());
  c.start(5, memory_log{three_at("host")});
  REQUIRE(c[1].change({{1_n, 2_n, 3_n, 4_n}, {5_n}, {datum(5_n, "host5")}}));
  c.pass(500);
  CHECK(text_of(c[5].status().configuration.data_of(2_n)) == "moved");
  CHECK(text_of(c[5].status().configuration.data_of(5_n)) == "host5");
}

TEST_CASE("take_snapshot: a server that only ever got the snapshot knows the members' data") {
  cluster c{three_at("host"), {.options = {.trailing_entries = 0}}};
  c.elect(1);
  c.isolate(3);
  REQUIRE(c[1].change({{1_n, 2_n, 3_n}, {}, {datum(2_n, "moved")}}));
  REQUIRE(c[1].propose("x"));
  c.pass(200);
  REQUIRE(c[1].take_snapshot());
  c.heal();
  c.pass(1000);
  REQUIRE(c[3].log().snapshot().index >= 2_i);
  CHECK(text_of(c[3].log().snapshot().configuration.data_of(2_n)) == "moved");
  CHECK(text_of(c[3].status().configuration.data_of(2_n)) == "moved");
}

TEST_CASE("write_truncation: members' data goes back with the configuration that brought it [B109]") {
  configuration moved = three_at("host");
  moved.data[1] = datum(2_n, "moved");
  auto b = start(2_n, {.term = 1, .members = three_at("host")});
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 1_i, {no_op(1), members(1, moved)})));
  CHECK(text_of(b->status().configuration.data_of(2_n)) == "moved");
  CHECK(b->machine().configurations.back() == moved);  // nothing but data differs, and it is told
  CHECK(b->step(append(3_n, 2_n, 2_t, {1_i, 1_t}, 1_i, {no_op(2)})));
  CHECK(text_of(b->status().configuration.data_of(2_n)) == "host2");
  CHECK(b->machine().configurations.back() == three_at("host"));
}

TEST_CASE("change_membership: data alone is a change like any other, expected index included") {
  auto a = leader_of(three_at("host"));
  const membership moved{{1_n, 2_n, 3_n}, {}, {datum(2_n, "moved")}};
  CHECK_FALSE(a->change(moved, 7_i));
  CHECK_FALSE(a->change({{1_n, 2_n, 3_n}, {}, {datum(2_n, "host2")}}));  // as it is
  CHECK_FALSE(a->change({{1_n, 2_n, 3_n}, {}, {datum(9_n, "stranger")}}));
  REQUIRE(a->change(moved, 0_i));
  CHECK_FALSE(a->change({{1_n, 2_n, 3_n}, {}, {datum(1_n, "too early")}}));
  ack(*a, 2_n, 2_i);
  CHECK(a->machine().fates.back() == recorder::fated{2_i, 2_i, 1_t, fate::applied});
  CHECK_FALSE(a->change({{1_n, 2_n, 3_n}, {}, {datum(1_n, "x")}}, 0_i));
  CHECK(a->change({{1_n, 2_n, 3_n}, {}, {datum(1_n, "x")}}, 2_i));
}

// ---------------------------------------------------------------------------------------------------- changes

TEST_CASE("change_membership: one voter comes or goes in one step, in force at once") {
  auto a = leader_of(voters(3));
  const auto place = a->change(of(voters(4)));
  REQUIRE(place);
  CHECK(*place == proposal{2_i, 1_t});
  CHECK(a->status().configuration == voters(4));
  CHECK(a->status().configuration_index == 2_i);
  CHECK(read(a->log().image()).back() == members(1, voters(4)));
  ack(*a, 2_n, 2_i);
  CHECK(a->commit() == 1_i);  // two of four are no majority
  ack(*a, 4_n, 2_i);
  CHECK(a->commit() == 2_i);
  CHECK(a->machine().fates.back() == recorder::fated{2_i, 2_i, 1_t, fate::applied});
}

TEST_CASE("change_membership: a second change waits for the first one's commit [B106]") {
  auto a = leader_of(voters(3));
  CHECK(a->change(of(voters(4))));
  const std::string before = a->picture();
  const auto second = a->change(of(voters(5)));
  REQUIRE_FALSE(second);
  CHECK(second.error().code == errc::not_ready);
  CHECK(a->picture() == before);
  ack(*a, 2_n, 2_i);
  ack(*a, 3_n, 2_i);
  CHECK(a->change(of(voters(5))));
}

TEST_CASE("change_membership: a new leader changes nothing before an entry of its term is committed") {
  auto a = start(1_n, {.term = 1, .members = voters(3), .log = {{1, "x"}}});
  win(*a);
  const auto early = a->change(of(voters(4)));
  REQUIRE_FALSE(early);
  CHECK(early.error().code == errc::not_ready);
  ack(*a, 2_n, 1_i);
  CHECK_FALSE(a->change(of(voters(4))));
  ack(*a, 2_n, 2_i);
  CHECK(a->change(of(voters(4))));
}

TEST_CASE("change_membership: an uncommitted change of a former leader holds the next one back [B106]") {
  auto a = start(1_n, {.term = 1, .members = voters(3), .log = {no_op(1), members(1, voters(4))}});
  win(*a);
  CHECK_FALSE(a->change(of(voters(5))));
  ack(*a, 2_n, a->last());
  CHECK_FALSE(a->change(of(voters(5))));
  ack(*a, 3_n, a->last());
  CHECK(a->change(of(voters(5))));
}

TEST_CASE("change_membership: the last voter cannot go, nor can nonsense come [B125]") {
  auto a = leader_of(voters(1));
  const std::string before = a->picture();
  for (const membership& target : {membership{}, membership{{}, {1_n}}, membership{{1_n, 0_n}, {}},
                                   membership{{1_n, 1_n}, {}}, membership{{1_n}, {1_n}}}) {
    const auto refused = a->change(target);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::invalid_configuration);
    CHECK(a->picture() == before);
  }
  CHECK_FALSE(a->change(of(voters(1))));
  CHECK_FALSE(a->leave_joint());
}

TEST_CASE("change_membership: the expected configuration has to be the one in force") {
  auto a = leader_of(voters(3));
  CHECK_FALSE(a->change(of(voters(4)), 7_i));
  CHECK(a->change(of(voters(4)), 0_i));
  ack(*a, 2_n, 2_i);
  ack(*a, 3_n, 2_i);
  CHECK_FALSE(a->change(of(voters(5)), 0_i));
  CHECK(a->change(of(voters(5)), 2_i));
}

TEST_CASE("preview_change: says what would be appended, and changes nothing") {
  auto a = leader_of(voters(3));
  const std::string before = a->picture();
  const auto small = a->preview(of(voters(4)));
  REQUIRE(small);
  CHECK(small->next == voters(4));
  CHECK(small->quorum_is_heard);
  CHECK(small->more_are_needed == 0);
  CHECK(small->not_heard.first().size() == 1);  // the new one
  CHECK(small->not_heard.holds(4_n));
  const auto large = a->preview({{1_n, 7_n, 8_n, 9_n}, {}});
  REQUIRE(large);
  CHECK(large->next.joint());
  CHECK_FALSE(large->quorum_is_heard);
  CHECK(large->more_are_needed == 2);  // 1 is there, 3 of 4 are a majority
  CHECK(large->not_heard.count == 3);
  for (const node_id id : {7_n, 8_n, 9_n}) CHECK(large->not_heard.holds(id));
  CHECK(a->picture() == before);
}

TEST_CASE("preview_change: a voter is heard until an election timeout of the longest after its last word") {
  for (const ms silent : {299, 300}) {
    auto a = start(1_n, {.members = voters(3)}, {.options = {.check_quorum = false}});
    win(*a);
    ack(*a, 2_n, 1_i);
    a->pass(silent);
    const auto next = a->preview({{1_n, 2_n}, {}});
    REQUIRE(next);
    CHECK(next->quorum_is_heard == (silent == 299));
    CHECK(next->not_heard.holds(2_n) == (silent == 300));
  }
}

TEST_CASE("leave_joint_by_itself: a joint configuration is left once, when it is committed [B111]") {
  auto a = leader_of(voters(3));
  CHECK(a->change({{1_n, 4_n, 5_n}, {}}));
  REQUIRE(a->status().configuration.joint());
  CHECK(a->propose({"x", "y", "z"}));
  const auto count = [&] {
    std::size_t found = 0;
    for (const written& e : read(a->log().image())) found += e.kind == entry_kind::configuration;
    return found;
  };
  for (const node_id id : {2_n, 3_n, 4_n}) ack(*a, id, 3_i);
  CHECK(a->commit() == 3_i);
  CHECK(count() == 2);
  CHECK(a->status().configuration == voters_of({1_n, 4_n, 5_n}));
  for (const node_id id : {4_n, 5_n}) ack(*a, id, a->last());
  a->pass(100);
  CHECK(count() == 2);
  CHECK(a->commit() == a->last());
  CHECK(a->state() == "x;y;z;");
}

TEST_CASE("leave_joint_by_itself: the next leader leaves what the former one entered [B111]") {
  configuration joint;
  joint.voters = {1_n, 4_n, 5_n};
  joint.outgoing = {1_n, 2_n, 3_n};
  joint.auto_leave = true;
  auto a = start(1_n, {.term = 1, .members = voters(3), .log = {no_op(1), members(1, joint), {1, "x"}}});
  win(*a);
  CHECK(a->status().configuration == joint);
  for (const node_id id : {2_n, 4_n}) ack(*a, id, a->last());
  CHECK(a->status().configuration == voters_of({1_n, 4_n, 5_n}));
}

TEST_CASE("refresh_configuration: when the quorum becomes smaller, what it holds is committed at once [B76]") {
  auto a = leader_of(voters(4));
  CHECK(a->propose("x"));
  ack(*a, 2_n, 2_i);
  CHECK(a->commit() == 1_i);  // two of four
  CHECK(a->read(7));
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(2_i, 1))));
  CHECK(a->machine().reads.empty());
  CHECK(a->change(of(voters(3))));
  CHECK(a->commit() == 2_i);  // two of three
  CHECK(a->state() == "x;");
  CHECK(a->machine().reads.size() == 1);
}

TEST_CASE("is_removed: a leader that is removed leads until that is committed, tells it, and makes way [B118] [B119]") {
  for (const bool demoted : {false, true}) {
    cluster c{3};
    c.elect(1);
    c.spread();
    configuration rest = voters_of({2_n, 3_n});
    if (demoted) rest.learners = {1_n};
    CHECK(c[1].change(of(rest)));
    CHECK(c[1].leads());
    c.deliver(to(2));
    c.deliver(to(1));
    CHECK(c[1].leads());  // its own copy does not count
    c.deliver();
    CHECK_FALSE(c[1].leads());
    for (const std::uint64_t id : {1U, 2U, 3U}) CHECK(c[id].commit() >= 2_i);
    c.await_leader();
    c.pass(2000);
    CHECK(c[2].leader() == c[3].leader());
    CHECK(c[2].leader() != 1_n);
    CHECK(c[1].role() == role_kind::follower);
    CHECK(c[1].term() <= c[2].term());
  }
}

TEST_CASE("match_peers_to: a learner that is promoted is not sent everything again [B122]") {
  auto a = leader_of(with_learners(3, {4_n}));
  CHECK(a->propose({"x", "y"}));
  ack(*a, 4_n, 3_i);
  ack(*a, 2_n, 3_i);
  a->take_mail();
  CHECK(a->change(of(voters(4))));
  CHECK(a->peer(4).match == 3_i);
  CHECK(a->peer(4).state == progress_state::replicate);
}

TEST_CASE("match_peers_to: a new member is sent to at once [B123]") {
  cluster c{voters(1)};
  c.elect(1);
  CHECK(c[1].propose("x"));
  c.start(2, memory_log{voters(1)});
  CHECK(c[1].change(of(with_learners(1, {2_n}))));
  c.deliver();  // not a moment passes
  CHECK(c[2].shape() == c[1].shape());
  CHECK(c[2].status().configuration == with_learners(1, {2_n}));
}

TEST_CASE("match_peers_to: who is removed is not sent to, and its answers are not listened to [B93]") {
  auto a = leader_of(voters(3));
  CHECK(a->change({{1_n, 2_n}, {}}));
  ack(*a, 2_n, 2_i);
  a->take_mail();
  a->pass(50);
  CHECK(among(a->take_mail(), to(3)).empty());
  CHECK(a->step(say(3_n, 1_n, 1_t, matched(2_i))));
  CHECK(a->step(say(3_n, 1_n, 1_t, install_snapshot_reply{1_i, 1, 0, false, 0})));
  CHECK(a->told<events::message_ignored>().back().why == ignored_reason::not_a_member);
}

TEST_CASE("change_membership: in a cluster, from three servers to three others, one of them in both") {
  cluster c{3};
  c.elect(1);
  for (int k = 0; k < 10; ++k) CHECK(c[1].propose(std::to_string(k)));
  c.spread();
  for (const std::uint64_t id : {4U, 5U}) c.start(id, memory_log{voters(3)});
  CHECK(c[1].change({{1_n, 4_n, 5_n}, {}}));
  c.spread();
  CHECK(c[1].status().configuration == voters_of({1_n, 4_n, 5_n}));
  CHECK(c[1].status().configuration_index <= c[1].commit());
  for (const std::uint64_t id : {4U, 5U}) CHECK(c[id].state() == c[1].state());
  c.crash(1);
  c.crash(2);
  c.crash(3);
  CHECK(c.await_leader().propose("on"));
  c.spread();
  CHECK(c[4].state() == c[5].state());
  CHECK(c[4].state().ends_with("9;on;"));
}

TEST_CASE("leave_joint_by_itself: not before the new leader has committed in its own term") {
  configuration joint;
  joint.voters = {1_n, 4_n, 5_n};
  joint.outgoing = {1_n, 2_n, 3_n};
  joint.auto_leave = true;
  auto a = start(1_n, {.term = 1, .commit_hint = 2, .members = voters(3), .log = {no_op(1), members(1, joint)}});
  win(*a);
  REQUIRE(a->commit() == 2_i);  // the joint configuration is committed
  CHECK(a->last() == 3_i);      // and nothing of this term is
  for (const node_id id : {2_n, 4_n}) CHECK(a->step(say(id, 1_n, a->term(), matched(3_i))));
  CHECK(a->commit() == 3_i);
  CHECK(a->last() == 4_i);
  CHECK(a->status().configuration == voters_of({1_n, 4_n, 5_n}));
}

TEST_CASE("preview_change: what change_membership would refuse, it refuses with the same reason") {
  auto a = leader_of(voters(3));
  const auto shown = a->preview({});
  const auto asked = a->change({});
  REQUIRE_FALSE(shown);
  REQUIRE_FALSE(asked);
  CHECK(shown.error().code == errc::invalid_configuration);
  CHECK(shown.error().code == asked.error().code);
}

TEST_CASE("refresh_configuration: a Log that has lost the configuration's entry stops the node") {
  auto b = start(2_n, {.term = 1, .members = voters(3)});
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 2_i, {no_op(1), members(1, voters(4)), {1, "x"}, members(1, voters(5))})));
  b->take_mail();
  b->log().unreadable = {errc::corrupt, nobody, 0, "the entry is damaged"};
  const auto taken = b->take_snapshot();  // which needs the one at its place
  REQUIRE_FALSE(taken);
  CHECK(taken.error().code == errc::corrupt);
  CHECK(b->log().writes.back() == "append");
  CHECK(b->step(append(3_n, 2_n, 2_t, {3_i, 1_t}, 2_i, {no_op(2)})));  // cuts the newest one off
  CHECK(b->failed());
  CHECK(b->take_mail().empty());  // rather than act on a membership that it does not know
}

}  // namespace impl_membership_test
