// Leadership by wish, impl/leadership.hpp: transfers, step-downs, evacuations, leaders forgotten, priorities. "[B143]"
// and the like name the bug, seen in other engines, that a test guards against.

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace impl_leadership_test {

using namespace raft;
using namespace story;

namespace {

constexpr ms timeout = 300;  ///< The largest election timeout, and so a transfer's.

configuration with_learner(std::uint64_t voting, node_id learner) {
  configuration c = voters(voting);
  c.learners.push_back(learner);
  return c;
}

/// Server 1 leads three servers that all have its log.
cluster led_by_one(const setup& how = {}) {
  cluster c{3, how};
  c.elect(1);
  CHECK(c[1].propose("a"));
  how.deferred ? c.finish() : c.spread();
  return c;
}

using fates = std::vector<recorder::transfer>;

/// A leader of three, alone with the test, whose followers have its log.
std::unique_ptr<server> lone_leader(const setup& how = {}) {
  auto a = start(1_n, {.members = voters(3)}, how);
  win(*a);
  for (const node_id other : {2_n, 3_n}) CHECK(a->step(say(other, 1_n, 1_t, matched(1_i))));
  a->take_mail();
  return a;
}

/// A follower of 1 in term 1 that has its entry.
std::unique_ptr<server> lone_follower(const configuration& members = voters(3), const setup& how = {}) {
  auto b = start(2_n, {.members = members}, how);
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {no_op(1)})));
  b->take_mail();
  return b;
}

letter order(node_id to, term_t term, index_t last) { return say(1_n, to, term, timeout_now{last, term}); }

}  // namespace

// ---------------------------------------------------------------------------------------------------- transfers

TEST_CASE("transfer_leadership: the target leads the next term at once, pre-votes and stickiness notwithstanding") {
  cluster c = led_by_one();  // with pre_vote and check_quorum: both would refuse an election that nobody asked for
  CHECK(c[1].transfer_to(3_n));
  CHECK(c.deliver() > 0);  // no time passes
  CHECK(c[3].leads());
  CHECK(c[3].term() == 2_t);
  CHECK(c[1].leader() == 3_n);
  CHECK(c[2].leader() == 3_n);
  CHECK(c[1].machine().transfers == fates{{3_n, transfer_fate::done}});
  CHECK(c[3].propose("b"));
  c.spread();
  CHECK(c[1].state() == "a;b;");
}

TEST_CASE("transfer_leadership: no pre-vote is asked on the way") {
  cluster c = led_by_one();
  CHECK(c[1].transfer_to(2_n));
  std::size_t asked = 0;
  for (int i = 0; i < 10; ++i) {
    asked += among(c.mail(), kind<request_pre_vote>()).size();
    c.deliver(any);
  }
  CHECK(asked == 0);
  CHECK(c[2].leads());
}

TEST_CASE("transfer_leadership: a target that lags is caught up first [thesis 3.10]") {
  auto a = lone_leader();
  CHECK(a->propose("x"));
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(2_i))));  // 3 has not answered
  a->take_mail();
  CHECK(a->transfer_to(3_n));
  CHECK(a->all<timeout_now>().empty());
  CHECK(a->step(say(3_n, 1_n, 1_t, matched(2_i))));
  const auto asked = a->all<timeout_now>();
  REQUIRE(asked.size() == 1);
  CHECK(asked[0] == timeout_now{2_i, 1_t});
}

TEST_CASE("transfer_leadership: proposals and changes are refused meanwhile, and the target is named [B143]") {
  auto a = lone_leader();
  CHECK(a->transfer_to(3_n));
  const index_t last = a->last();
  const auto refused = a->propose("x");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::transferring);
  CHECK(refused.error().leader == 3_n);
  CHECK(a->change({.voters = {1_n, 2_n}}).error().code == errc::transferring);
  CHECK(a->last() == last);
  CHECK(a->machine().fates.empty());
}

TEST_CASE("transfer_leadership: by option proposals go on until the target has what was there at the start [B143]") {
  setup how;
  how.options.propose_while_target_lags = true;
  auto a = lone_leader(how);
  CHECK(a->propose("x"));  // 2
  CHECK(a->transfer_to(3_n));
  CHECK(a->propose("y"));  // 3
  a->take_mail();
  CHECK(a->step(say(3_n, 1_n, 1_t, matched(2_i))));
  CHECK(a->propose("z").error().code == errc::transferring);
  CHECK(a->all<timeout_now>().empty());
  CHECK(a->step(say(3_n, 1_n, 1_t, matched(3_i))));
  CHECK(a->all<timeout_now>().size() == 1);
}

TEST_CASE("transfer_leadership: a load that never ends does not keep a transfer from ending [B143]") {
  setup how;
  how.options.propose_while_target_lags = true;
  cluster c = led_by_one(how);
  CHECK(c[1].propose("x"));
  CHECK(c[1].transfer_to(3_n));
  for (int i = 0; i < 50 && c[1].leads(); ++i) {
    (void)c[1].propose("y");
    c.deliver(any);
  }
  c.deliver();
  CHECK(c[3].leads());
  CHECK(c[1].machine().transfers == fates{{3_n, transfer_fate::done}});
}

TEST_CASE("transfer_leadership: a deadline returns to normal [B144]") {
  cluster c = led_by_one();
  c.crash(3);
  CHECK(c[1].transfer_to(3_n));
  CHECK(c[1].status().transfer_target == 3_n);
  CHECK(c[1].status().transfer_deadline == c.now() + timeout);
  CHECK(c[1].deadline() <= c.now() + timeout);
  c.pass(timeout - 1);
  CHECK(c[1].machine().transfers.empty());
  CHECK(c[1].propose("b").error().code == errc::transferring);
  c.pass(1);
  CHECK(c[1].machine().transfers == fates{{3_n, transfer_fate::timed_out}});
  CHECK(c[1].status().transfer_target == nobody);
  CHECK(c[1].leads());
  CHECK(c[1].propose("b"));
  c.spread();
  CHECK(c[2].state() == "a;b;");
}

TEST_CASE("transfer_leadership: its time is an option") {
  setup how;
  how.options.transfer_timeout = 1;
  auto a = lone_leader(how);
  CHECK(a->transfer_to(3_n));
  CHECK(a->status().transfer_deadline == a->now() + 1);
  CHECK(a->deadline() == a->now() + 1);
  a->pass(1);
  CHECK(a->machine().transfers == fates{{3_n, transfer_fate::timed_out}});
}

TEST_CASE("transfer_leadership: its time runs from the call, whenever the last tick was") {
  setup how;
  how.options.check_quorum = false;
  auto a = lone_leader(how);
  REQUIRE(a->propose("2 lacks it"));
  a->now() += 40;
  REQUIRE(a->transfer_to(2_n));
  a->pass(timeout - 1);
  CHECK(a->machine().transfers.empty());
  a->pass(1);
  CHECK(a->machine().transfers == fates{{2_n, transfer_fate::timed_out}});
}

TEST_CASE("transfer_leadership: the target is asked when it has everything, and then once until the next heartbeat") {
  auto a = lone_leader();
  REQUIRE(a->propose("x"));
  a->take_mail();
  REQUIRE(a->transfer_to(2_n));
  CHECK(a->step(say(3_n, 1_n, 1_t, matched(2_i))));
  CHECK(a->all<timeout_now>().empty());
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(2_i))));
  CHECK(a->all<timeout_now>() == std::vector{timeout_now{2_i, 1_t}});
  CHECK(a->step(say(3_n, 1_n, 1_t, matched(2_i))));
  CHECK(a->all<timeout_now>().empty());
  a->pass(50);
  CHECK(a->all<timeout_now>().size() == 1);
}

TEST_CASE("transfer_leadership: the best is asked at once") {
  auto a = lone_leader();
  CHECK(a->transfer_to_best().value() == 2_n);
  CHECK(a->all<timeout_now>().size() == 1);
}

TEST_CASE("transfer_leadership: what gathers for the target leaves at once") {
  setup how;
  how.options.eager_messages = 1;
  auto a = lone_leader(how);
  REQUIRE(a->propose("on its way"));
  REQUIRE(a->propose("gathers"));
  a->take_mail();
  REQUIRE(a->transfer_to(2_n));
  const auto sent = among(a->take_mail(), kind<append_entries>());
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].what.to == 2_n);
  CHECK(read(sent[0].as<append_entries>().entries) == std::vector<written>{{1, "gathers"}});
}

TEST_CASE("transfer_leadership: a lost timeout_now is sent again with the next heartbeat") {
  cluster c = led_by_one();
  CHECK(c[1].transfer_to(3_n));
  CHECK(c.drop(kind<timeout_now>()) == 1);
  c.pass(50);
  CHECK(c[3].leads());
}

TEST_CASE("transfer_leadership: to this node, a stranger, a learner or one that lost its log: refused [B150]") {
  auto a = start(1_n, {.members = with_learner(3, 4_n)});
  win(*a);
  const std::string before = a->picture();
  for (const node_id target : {1_n, nobody, 9_n, 4_n}) {
    CAPTURE(target);
    const auto refused = a->transfer_to(target);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::ineligible);
  }
  CHECK(a->picture() == before);
  CHECK(a->propose("x"));
}

TEST_CASE("transfer_leadership: refused where nobody leads, with a hint; and a second one while the first lasts") {
  auto b = lone_follower();
  CHECK(b->transfer_to(3_n).error().code == errc::not_leader);
  CHECK(b->transfer_to(3_n).error().leader == 1_n);
  CHECK(b->transfer_to_best().error().code == errc::not_leader);
  auto a = lone_leader();
  CHECK(a->transfer_to(3_n));
  CHECK(a->transfer_to(2_n).error() == error{errc::transferring, 3_n, 0, ""});
  CHECK(a->transfer_to_best().error() == error{errc::transferring, 3_n, 0, ""});
  CHECK(a->status().transfer_target == 3_n);
}

TEST_CASE("transfer_leadership: the best is who has most of the log, of the voters heard lately") {
  auto a = start(1_n, {.members = with_learner(4, 5_n)});
  win(*a);
  CHECK(a->propose("x"));
  for (const node_id other : {2_n, 4_n}) CHECK(a->step(say(other, 1_n, 1_t, matched(1_i))));
  for (const node_id other : {3_n, 5_n}) CHECK(a->step(say(other, 1_n, 1_t, matched(2_i))));
  const auto best = a->transfer_to_best();
  REQUIRE(best);
  CHECK(*best == 3_n);
}

TEST_CASE("transfer_leadership: a voter that fell silent is not the best") {
  setup how;
  how.options.check_quorum = false;
  auto a = start(1_n, {.members = voters(3)}, how);
  win(*a);
  CHECK(a->step(say(3_n, 1_n, 1_t, matched(1_i))));
  a->pass(timeout - 1);
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(0_i))));
  a->now() += 1;
  CHECK(*a->transfer_to_best() == 2_n);
  auto alone = start(1_n, {.members = voters(3)}, how);
  win(*alone);
  alone->now() += timeout;
  CHECK(alone->transfer_to_best().error().code == errc::not_ready);
}

TEST_CASE("transfer_leadership: who let one pass is not asked again while there is somebody else") {
  cluster c = led_by_one();
  CHECK(*c[1].transfer_to_best() == 2_n);
  for (int i = 0; i < 8; ++i) {  // the appends arrive, the orders do not
    c.drop(kind<timeout_now>());
    c.deliver(!kind<timeout_now>());
    c.drop(kind<timeout_now>());
    c.jump(50);
    c[1].tick();
  }
  REQUIRE(c[1].machine().transfers == fates{{2_n, transfer_fate::timed_out}});
  c.drop();
  CHECK(*c[1].transfer_to_best() == 3_n);
}

TEST_CASE("transfer_outcome: leadership lost to somebody else, or before the target was asked, aborts the transfer") {
  auto a = lone_leader();
  CHECK(a->propose("x"));
  CHECK(a->transfer_to(3_n));  // which lacks x
  CHECK(a->step(say(2_n, 1_n, 2_t, append_entries_reply{})));
  CHECK(a->machine().transfers == fates{{3_n, transfer_fate::aborted}});

  auto b = lone_leader();
  CHECK(b->transfer_to(3_n));  // asked at once
  CHECK(b->step(say(2_n, 1_n, 2_t, append_entries_reply{})));
  CHECK(b->machine().transfers.empty());  // it may yet be 3
  CHECK(b->status().transfer_target == 3_n);
  CHECK(b->step(append(2_n, 1_n, 2_t, {1_i, 1_t}, 0_i, {no_op(2)})));
  CHECK(b->machine().transfers == fates{{3_n, transfer_fate::aborted}});
}

TEST_CASE("transfer_outcome: without a next leader the deadline ends it, at a follower as well") {
  auto a = lone_leader();
  CHECK(a->transfer_to(3_n));
  CHECK(a->step(say(2_n, 1_n, 2_t, append_entries_reply{})));
  const ms end = a->status().transfer_deadline;
  CHECK(a->deadline() <= end);
  a->now() = end;
  a->tick();
  CHECK(a->machine().transfers == fates{{3_n, transfer_fate::timed_out}});
}

TEST_CASE("transfer_outcome: a target that is removed or made a learner aborts the transfer [B145]") {
  for (const bool removed : {true, false}) {
    CAPTURE(removed);
    setup how;
    how.options.propose_while_target_lags = true;
    auto a = lone_leader(how);
    CHECK(a->propose("x"));
    CHECK(a->transfer_to(3_n));  // lacks x, so changes are possible yet
    membership next{.voters = {1_n, 2_n}};
    if (!removed) next.learners = {3_n};
    CHECK(a->change(next));
    CHECK(a->machine().transfers == fates{{3_n, transfer_fate::aborted}});
    CHECK(a->propose("y"));
  }
}

TEST_CASE("transfer_outcome: a failed write aborts it") {
  auto a = lone_leader();
  CHECK(a->transfer_to(3_n));
  a->log().failing = "store";
  CHECK(a->step(say(3_n, 1_n, 2_t, request_vote{1_i, 1_t, true})));
  REQUIRE(a->failed());
  CHECK(a->machine().transfers == fates{{3_n, transfer_fate::aborted}});
}

TEST_CASE("transferring: from the beginning to the end, and to the end of the term once the target was asked [B132]") {
  cluster c = led_by_one();
  CHECK_FALSE(c[1].transferring());
  CHECK(c[1].propose("b"));
  const auto late = c.take();  // 3 does not get b
  CHECK(c[1].transfer_to(3_n));
  CHECK(c[1].transferring());
  CHECK(c[1].status().transfer_target == 3_n);
  c.drop();
  c.isolate(3);
  c.pass(timeout);  // never asked: all is as before
  REQUIRE(c[1].machine().transfers.size() == 1);
  CHECK_FALSE(c[1].transferring());
  c.heal();
  c.spread();
  CHECK(c[1].transfer_to(3_n));
  const auto asked = c.take(kind<timeout_now>());
  REQUIRE(asked.size() == 1);
  c.isolate(3);
  c.pass(timeout);
  REQUIRE(c[1].machine().transfers.size() == 2);
  CHECK(c[1].leads());
  CHECK(c[1].transferring());
  // Why: the order is still on its way, and 3 is elected by it though 2 hears 1 at that moment.
  c.heal();
  c.pass(50);
  c.deliver_late(asked);
  c.deliver();
  CHECK(c[3].leads());
  CHECK_FALSE(c[1].transferring());
}

// ---------------------------------------------------------------------------------------------------- with leases

TEST_CASE("transfer_leadership: leases neither hinder it nor outlive its beginning [B132]") {
  setup how;
  how.options.lease_reads = true;
  cluster c = led_by_one(how);
  c.pass(100);
  const auto at_once = [&c] {  // whether 1 answers a read without a message
    const std::size_t answered = c[1].machine().reads.size();
    CHECK(c[1].read(5));
    return c[1].machine().reads.size() == answered + 1;
  };
  REQUIRE(at_once());
  c.deliver();
  CHECK(c[1].transfer_to(3_n));
  CHECK_FALSE(at_once());
  const auto asked = c.take(kind<timeout_now>());
  c.isolate(3);
  c.pass(timeout - 1);
  CHECK_FALSE(at_once());
  c.pass(1);
  REQUIRE(c[1].machine().transfers == fates{{3_n, transfer_fate::timed_out}});
  c.pass(200);
  CHECK(c[1].leads());
  CHECK_FALSE(at_once());  // the order may arrive however late: no lease any more in this term
  c.heal();
  c.deliver_late(asked);
  c.deliver();
  CHECK(c[3].leads());  // although 2 promised 1 at this moment
}

TEST_CASE("transfer_leadership: a lease comes back after a transfer whose target was never asked") {
  setup how;
  how.options.lease_reads = true;
  cluster c = led_by_one(how);
  c.pass(100);
  c.crash(3);
  CHECK(c[1].propose("b"));  // 3 lacks it, and is not asked
  CHECK(c[1].transfer_to(3_n));
  c.pass(timeout);
  REQUIRE(c[1].machine().transfers == fates{{3_n, transfer_fate::timed_out}});
  const std::size_t answered = c[1].machine().reads.size();
  CHECK(c[1].read(5));
  CHECK(c[1].machine().reads.size() == answered + 1);
}

TEST_CASE("forget_leader: not while it may read by a lease [B136]") {
  setup how;
  how.options.lease_reads = true;
  auto b = start(2_n, {.members = voters(3)}, how);
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {no_op(1)})));
  CHECK(b->forget_leader().error().code == errc::not_ready);
  CHECK(b->leader() == 1_n);
  b->now() += 150;
  CHECK(b->forget_leader());
  CHECK(b->leader() == nobody);
}

// ---------------------------------------------------------------------------------------------------- the target

TEST_CASE("on_timeout_now: stands in the next term, and says that the leader asked for it") {
  auto b = lone_follower();
  CHECK(b->step(order(2_n, 1_t, 1_i)));
  CHECK(b->role() == role_kind::candidate);
  CHECK(b->term() == 2_t);
  const auto asked = b->all<request_vote>();
  REQUIRE(asked.size() == 2);
  CHECK(asked[0] == request_vote{1_i, 1_t, true});
}

TEST_CASE("on_timeout_now: only this once; the next election is like any other") {
  auto b = lone_follower();
  CHECK(b->step(order(2_n, 1_t, 1_i)));
  b->take_mail();
  b->now() = b->deadline();
  b->tick();
  CHECK(b->role() == role_kind::pre_candidate);
  CHECK(b->step(say(1_n, 2_n, 2_t, request_pre_vote_reply{2_t, true})));
  CHECK(b->all<request_vote>() == std::vector(2, request_vote{1_i, 1_t, false}));
}

TEST_CASE("on_timeout_now: whoever is about to stand does so at once, without the consent that it was waiting for") {
  auto b = lone_follower();
  b->now() += timeout;
  b->campaign();
  REQUIRE(b->role() == role_kind::pre_candidate);
  CHECK(b->step(order(2_n, 1_t, 1_i)));
  CHECK(b->role() == role_kind::candidate);
}

TEST_CASE("on_timeout_now: of an earlier term it is ignored [B149]") {
  auto b = lone_follower();
  CHECK(b->step(append(3_n, 2_n, 2_t, {1_i, 1_t}, 0_i, {no_op(2)})));
  b->take_mail();
  CHECK(b->step(order(2_n, 1_t, 1_i)));
  CHECK(b->role() == role_kind::follower);
  CHECK(b->term() == 2_t);
  CHECK(b->take_mail().empty());
}

TEST_CASE("on_timeout_now: a log that lacks what the leader had does not stand [B149]") {
  auto b = lone_follower();
  CHECK(b->step(order(2_n, 1_t, 2_i)));
  CHECK(b->role() == role_kind::follower);
  CHECK(b->term() == 1_t);
  CHECK(b->told<events::message_ignored>().back().why == ignored_reason::cannot_campaign);
}

TEST_CASE("on_timeout_now: a log that ends in the leader's term, but earlier, does not stand either [B149]") {
  auto b = lone_follower();
  CHECK(b->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 0_i, {{1, "a"}})));
  b->take_mail();
  CHECK(b->step(order(2_n, 1_t, 3_i)));
  CHECK(b->role() == role_kind::follower);
  CHECK(b->step(order(2_n, 1_t, 2_i)));
  CHECK(b->role() == role_kind::candidate);
}

TEST_CASE("on_timeout_now: whoever sends it leads, also where nobody stands for it") {
  auto b = start(2_n, {.term = 1, .members = voters(3)});
  CHECK(b->leader() == nobody);
  CHECK(b->step(order(2_n, 1_t, 1_i)));
  CHECK(b->role() == role_kind::follower);
  CHECK(b->leader() == 1_n);
}

TEST_CASE("on_timeout_now: what the disk did not confirm counts for nobody [B149]") {
  setup how;
  how.deferred = true;
  auto a = start(1_n, {.members = voters(3)}, how);
  win(*a);
  CHECK(a->step(say(3_n, 1_n, 1_t, matched(0_i))));  // 3 has not written the no-op
  a->take_mail();
  CHECK(a->transfer_to(3_n));
  CHECK(a->all<timeout_now>().empty());
  CHECK(a->step(say(3_n, 1_n, 1_t, matched(1_i))));
  CHECK(a->all<timeout_now>().size() == 1);
}

TEST_CASE("on_timeout_now: a learner does not stand, nor a server whose snapshot is not in its machine") {
  configuration members = voters_of({1_n, 3_n});
  members.learners = {2_n};
  auto b = lone_follower(members);
  CHECK(b->step(order(2_n, 1_t, 1_i)));
  CHECK(b->role() == role_kind::follower);
  CHECK(b->term() == 1_t);
}

TEST_CASE("on_timeout_now: of a second leader, or about a log that no leader has, it is impossible") {
  auto b = lone_follower();
  const std::string before = b->picture();
  CHECK(b->step(say(3_n, 2_n, 1_t, timeout_now{1_i, 1_t})).error().code == errc::impossible);
  CHECK(b->step(say(1_n, 2_n, 1_t, timeout_now{0_i, 0_t})).error().code == errc::impossible);
  CHECK(b->step(say(1_n, 2_n, 2_t, timeout_now{1_i, 1_t})).error().code == errc::impossible);
  CHECK(b->step(say(1_n, 2_n, 1_t, timeout_now{index_t{UINT64_MAX}, 1_t})).error().code == errc::impossible);
  CHECK(b->picture() == before);
  auto a = lone_leader();
  CHECK(a->step(say(3_n, 1_n, 1_t, timeout_now{1_i, 1_t})).error().code == errc::impossible);
}

TEST_CASE("on_timeout_now: the vote waits for the disk like any other") {
  setup how;
  how.deferred = true;
  cluster c = led_by_one(how);
  CHECK(c[1].transfer_to(3_n));
  c.deliver();
  CHECK(c[3].role() == role_kind::candidate);
  CHECK(c[1].leads());  // nobody was asked yet: 3 has not stored its vote
  c.finish();
  CHECK(c[3].leads());
}

// ---------------------------------------------------------------------------------------------------- the voters

TEST_CASE("asked_by_leader: stickiness gives way to the leader's own wish, in the next term and for a voter alone") {
  const auto heeds = [](node_id candidate, term_t term, bool handed_over) {
    auto b = lone_follower();
    CHECK(b->step(say(candidate, 2_n, term, request_vote{1_i, 1_t, handed_over})));
    return b->term() == term && b->vote() == candidate;
  };
  CHECK(heeds(3_n, 2_t, true));
  CHECK_FALSE(heeds(3_n, 2_t, false));
  CHECK_FALSE(heeds(3_n, 3_t, true));
  CHECK_FALSE(heeds(9_n, 2_t, true));
}

TEST_CASE("asked_by_leader: the wish gives no vote to a log that is behind") {
  auto b = lone_follower();
  CHECK(b->step(say(3_n, 2_n, 2_t, request_vote{0_i, 0_t, true})));
  CHECK(b->vote() == nobody);
}

// ---------------------------------------------------------------------------------------------------- removed leaders

TEST_CASE("retire: a leader that removed itself hands over with its last words") {
  cluster c = led_by_one();
  CHECK(c[1].change({.voters = {2_n, 3_n}}));
  c.deliver();  // no time passes
  CHECK_FALSE(c[1].leads());
  const bool led = c[2].leads() || c[3].leads();
  CHECK(led);
  CHECK(c[2].term() == 2_t);
}

TEST_CASE("retire: a successor that lacks an entry is not asked, since it would not win") {
  auto a = lone_leader();
  REQUIRE(a->change({.voters = {2_n, 3_n}}));
  REQUIRE(a->propose("behind the removal"));
  a->take_mail();
  for (const node_id other : {2_n, 3_n}) CHECK(a->step(say(other, 1_n, 1_t, matched(a->last().previous()))));
  CHECK_FALSE(a->leads());
  CHECK(a->all<timeout_now>().empty());
}

TEST_CASE("retire: a transfer that the removal overtakes is not called aborted while its target is elected") {
  cluster c = led_by_one();
  REQUIRE(c[1].change({.voters = {2_n, 3_n}}));
  c.deliver(to(3));
  c.deliver(from(3));  // 3 has it, 2 is behind
  REQUIRE(c[1].leads());
  REQUIRE(c[1].transfer_to(2_n));
  c.deliver();  // no time passes: what 2 acknowledges commits the removal, and makes it the successor
  CHECK(c[2].leads());
  CHECK(c[1].machine().transfers.empty());
  c.pass(2 * timeout);  // no member hears of it any more: that the target was asked is all that is known
  CHECK(c[1].machine().transfers == fates{{2_n, transfer_fate::timed_out}});
}

// ---------------------------------------------------------------------------------------------------- step_down

TEST_CASE("step_down: gives leadership up, and lets others go first for an election timeout") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    setup how;
    how.seed = 100 * seed;
    cluster c = led_by_one(how);
    const ms before = c.now();
    CHECK(c[1].step_down());
    CHECK(c[1].role() == role_kind::follower);
    CHECK(c[1].leader() == nobody);
    CHECK(c[1].deadline() >= before + timeout + 150);
    CHECK(c[1].status().voted_for == 1_n);  // the vote of the term stays
    CHECK_FALSE(c.await_leader().status().id == 1_n);
  }
}

TEST_CASE("step_down: waits one election timeout of the longest more than a follower, from the call") {
  auto a = lone_leader();
  auto b = lone_leader();
  for (auto* s : {a.get(), b.get()}) s->now() += 40;
  CHECK(a->step_down());
  CHECK(b->step(append(2_n, 1_n, 2_t, {1_i, 1_t}, 0_i, {})));
  CHECK(a->deadline() == b->deadline() + timeout);
}

TEST_CASE("step_down: ends a transfer whose target was not asked yet, drops reads, and is refused elsewhere") {
  auto a = lone_leader();
  CHECK(a->propose("x"));
  CHECK(a->transfer_to(3_n));
  CHECK(a->read(7));
  CHECK(a->step_down());
  CHECK(a->machine().transfers == fates{{3_n, transfer_fate::aborted}});
  REQUIRE(a->machine().reads.size() == 1);
  CHECK(a->machine().reads[0].what == read_fate::dropped);
  CHECK(a->step_down().error().code == errc::not_leader);
}

// ---------------------------------------------------------------------------------------------------- evacuation

TEST_CASE("evacuate: a leader hands over, and does not come back") {
  cluster c = led_by_one();
  c[1].evacuate();
  CHECK(c[1].status().evacuating);
  c.deliver();
  REQUIRE_FALSE(c[1].leads());
  for (int i = 0; i < 10; ++i) {
    server& leader = c.await_leader();
    REQUIRE(leader.status().id != 1_n);
    CHECK(leader.step_down());
  }
}

TEST_CASE("evacuate: a leader without a successor looks for one with each heartbeat") {
  cluster c = led_by_one();
  c.crash(2);
  c.crash(3);
  c[1].now() += 301;  // nobody was heard lately; check_quorum looks with the next tick
  c[1].evacuate();
  CHECK(c[1].leads());
  CHECK(c[1].status().transfer_target == nobody);
  setup how;
  how.options.check_quorum = false;
  cluster d = led_by_one(how);
  d.isolate(1);
  d.pass(50);
  d.jump(251);
  d[1].evacuate();
  REQUIRE(d[1].status().transfer_target == nobody);
  d.heal();
  d.pass(100);
  CHECK_FALSE(d[1].leads());
}

TEST_CASE("evacuate: whoever is evacuated takes no leadership, and the leader tries another") {
  cluster c = led_by_one();
  c[2].evacuate();
  c[1].evacuate();  // 2 would be the best
  c.deliver();
  CHECK(c[1].leads());
  CHECK(c[2].told<events::message_ignored>().back().why == ignored_reason::would_not_lead);
  c.pass(timeout + 50);
  CHECK(c[3].leads());
  CHECK(c[1].machine().transfers == fates{{2_n, transfer_fate::timed_out}, {3_n, transfer_fate::done}});
}

TEST_CASE("evacuate: each voter is offered leadership before any is offered it again") {
  cluster c{5};
  c.elect(1);
  c.spread();
  c[2].evacuate();
  c[3].evacuate();
  c[4].evacuate();
  c[1].evacuate();
  c.pass(3 * (timeout + 100) + 50);
  CHECK(c[5].leads());
  CHECK(c[1].machine().transfers == fates{{2_n, transfer_fate::timed_out},
                                          {3_n, transfer_fate::timed_out},
                                          {4_n, transfer_fate::timed_out},
                                          {5_n, transfer_fate::done}});
}

TEST_CASE("evacuate: if every server is evacuated, the leader serves on, and looks for another now and then") {
  cluster c = led_by_one();
  for (const std::uint64_t id : c.ids()) c[id].evacuate();
  int refused = 0;
  constexpr int asked = 4000;
  for (int i = 0; i < asked; ++i) {
    c.pass(10);
    REQUIRE(c[1].leads());
    const auto done = c[1].propose("x");
    if (done) continue;
    CHECK(done.error().code == errc::transferring);
    ++refused;
  }
  CHECK(refused > asked / 30);
  CHECK(refused <= asked * 11 / 100);
  const std::size_t offers = c[1].machine().transfers.size();
  CHECK(offers >= 8);
  CHECK(offers % 2 == 0);
  for (std::size_t i = 0; i < offers; ++i) {
    CHECK(c[1].machine().transfers[i] == recorder::transfer{node_id{2 + i % 2}, transfer_fate::timed_out});
  }
  // Who changes its mind is found, and the operator's own word is obeyed at once.
  c[3].stop_evacuation();
  c.pass(12 * 2 * timeout);
  CHECK(c[3].leads());
  cluster d = led_by_one();
  for (const std::uint64_t id : d.ids()) d[id].evacuate();
  d.pass(3 * timeout);
  d[2].stop_evacuation();
  d[1].evacuate();
  d.pass(2 * timeout);
  CHECK(d[2].leads());
}

TEST_CASE("evacuate: a leader that all let pass serves on for nine times as long as it offered") {
  setup how;
  how.options.check_quorum = false;
  auto a = lone_leader(how);
  a->evacuate();  // nobody obeys, and nobody says a word; but 2 and 3 are heard
  const auto run_to = [&a](ms until) {
    while (a->now() < until) {
      a->pass(50);
      for (const node_id other : {2_n, 3_n}) CHECK(a->step(say(other, 1_n, 1_t, matched(1_i))));
    }
    return a->told<events::transfer_begun>().size();
  };
  CHECK(run_to(2 * timeout) == 2);
  // A transfer begins and ends with heartbeats: at 0 and 300, at 350 and 650. At 700 it is seen that both let it pass.
  CHECK(run_to(700 + 9 * 700 - 50) == 2);
  CHECK(run_to(700 + 9 * 700) == 3);
}

TEST_CASE(
    "evacuate: how long it serves on is counted from this evacuation's offers, not from those of an earlier one") {
  setup how;
  how.options.check_quorum = false;
  auto a = lone_leader(how);
  const auto run_to = [&a](ms until) {
    while (a->now() < until) {
      a->pass(50);
      for (const node_id other : {2_n, 3_n}) CHECK(a->step(say(other, 1_n, 1_t, matched(1_i))));
    }
    return a->told<events::transfer_begun>().size();
  };
  a->evacuate();
  CHECK(run_to(50) == 1);
  a->stop_evacuation();
  const ms later = 1'000'000;
  CHECK(run_to(later) == 1);
  a->evacuate();
  // One let it pass then, the other does so now: from 0 to 300, and it is seen at 350 that none is left.
  CHECK(run_to(later + 350 + 9 * 350 - 50) == 2);
  CHECK(run_to(later + 350 + 9 * 350) == 3);
}

TEST_CASE("evacuate: a follower that lets an election timeout pass knows no leader any more") {
  auto b = lone_follower();
  b->evacuate();
  REQUIRE(b->leader() == 1_n);
  b->pass(timeout);
  CHECK(b->role() == role_kind::follower);
  CHECK(b->leader() == nobody);
  CHECK(b->machine().roles.back() == recorder::role{role_kind::follower, 1_t, nobody});
}

TEST_CASE("evacuate: if every server is evacuated and none leads, one of them stands all the same") {
  cluster c{3};
  for (const std::uint64_t id : c.ids()) c[id].evacuate();
  server& leader = c.await_leader((4 + 4) * timeout);
  CHECK(leader.propose("x"));
}

TEST_CASE("stop_evacuation: the server stands and takes leadership again") {
  cluster c = led_by_one();
  c[3].evacuate();
  c[3].stop_evacuation();
  CHECK_FALSE(c[3].status().evacuating);
  CHECK(c[1].transfer_to(3_n));
  c.deliver();
  CHECK(c[3].leads());
}

TEST_CASE("on_election_timeout: who would rather not lead lets campaign_grace timeouts pass, and no more") {
  const auto timeouts_until_it_stands = [](auto&& make_it_reluctant, std::uint32_t grace) {
    setup how;
    how.options.campaign_grace = grace;
    auto b = start(2_n, {.members = voters(3)}, how);
    make_it_reluctant(*b);
    for (std::uint32_t n = 1; n < 100; ++n) {
      b->now() = b->deadline();
      b->tick();
      if (b->role() == role_kind::pre_candidate) return n;
      CHECK(b->take_mail().empty());
    }
    return 0U;
  };
  const auto nothing = [](server&) {};
  const auto evacuated = [](server& s) { s.evacuate(); };
  const auto lagging = [](server& s) { s.machine().lags = true; };
  CHECK(timeouts_until_it_stands(nothing, 4) == 1);
  CHECK(timeouts_until_it_stands(evacuated, 4) == 5);
  CHECK(timeouts_until_it_stands(lagging, 4) == 5);
  CHECK(timeouts_until_it_stands(lagging, 0) == 1);
}

TEST_CASE("on_election_timeout: a leader that is heard counts the grace anew") {
  setup how;
  how.options.campaign_grace = 2;
  auto b = start(2_n, {.members = voters(3)}, how);
  b->evacuate();
  const auto wait = [&b] {
    b->now() = b->deadline();
    b->tick();
  };
  wait();
  wait();
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {})));
  wait();
  wait();
  CHECK(b->role() == role_kind::follower);
  wait();
  CHECK(b->role() == role_kind::pre_candidate);
}

TEST_CASE("may_lead: a server whose machine lags is led by another; if all lag, by one of them all the same") {
  cluster c{3};
  c[1].machine().lags = true;
  c[2].machine().lags = true;
  CHECK(c.await_leader().status().id == 3_n);
  cluster all{3};
  for (const std::uint64_t id : {1U, 2U, 3U}) all[id].machine().lags = true;
  (void)all.await_leader((4 + 4) * timeout);
}

TEST_CASE("may_lead: a machine that lags takes no leadership") {
  cluster c = led_by_one();
  c[3].machine().lags = true;
  CHECK(c[1].transfer_to(3_n));
  c.deliver();
  CHECK(c[1].leads());
  c.pass(timeout);
  CHECK(c[1].machine().transfers == fates{{3_n, transfer_fate::timed_out}});
}

TEST_CASE("campaign: is obeyed by whoever would rather not lead") {
  auto b = start(2_n, {.members = voters(3)});
  b->evacuate();
  b->campaign();
  CHECK(b->role() == role_kind::pre_candidate);
}

// ---------------------------------------------------------------------------------------------------- forget_leader

TEST_CASE("forget_leader: the follower votes at once") {
  auto b = lone_follower();
  CHECK(b->step(say(3_n, 2_n, 2_t, request_vote{1_i, 1_t})));
  REQUIRE(b->term() == 1_t);
  CHECK(b->forget_leader());
  CHECK(b->leader() == nobody);
  CHECK(b->role() == role_kind::follower);
  CHECK(b->term() == 1_t);
  CHECK(b->step(say(3_n, 2_n, 1_t, request_pre_vote{1_i, 1_t})));
  CHECK(b->only<request_pre_vote_reply>().granted);
  CHECK(b->step(say(3_n, 2_n, 2_t, request_vote{1_i, 1_t})));
  CHECK(b->only<request_vote_reply>().granted);
}

TEST_CASE("forget_leader: the leader is followed again when it is heard; a leader itself refuses") {
  auto b = lone_follower();
  CHECK(b->forget_leader());
  CHECK(b->machine().roles.back() == recorder::role{role_kind::follower, 1_t, nobody});
  CHECK(b->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 0_i, {})));
  CHECK(b->leader() == 1_n);
  auto a = lone_leader();
  CHECK(a->forget_leader().error().code == errc::ineligible);
  auto fresh = start(2_n, {.members = voters(3)});
  CHECK(fresh->forget_leader());  // there is nothing to forget
  fresh->campaign();
  CHECK(fresh->forget_leader());  // nor for one who asks to lead, and it goes on asking
  CHECK(fresh->role() == role_kind::pre_candidate);
  CHECK(fresh->told<events::role_changed>().size() == 1);
}

// ---------------------------------------------------------------------------------------------------- priorities

TEST_CASE("priority: a lower one waits longer, what it lacks is halved by each timeout") {
  for (std::uint32_t priority = 0; priority <= highest_priority; ++priority) {
    CAPTURE(priority);
    setup how;
    how.options.priority = priority;
    auto b = start(2_n, {.members = voters(3)}, how);
    for (std::uint32_t lacking = highest_priority - priority;; lacking /= 2) {
      CHECK(b->status().priority == highest_priority - lacking);
      const ms wait = b->deadline() - b->now();
      CHECK(wait >= 150 + 150 * lacking);
      CHECK(wait < 300 + 150 * lacking);
      if (lacking == 0) break;
      b->now() = b->deadline();
      b->tick();
      CHECK(b->role() == role_kind::pre_candidate);
    }
  }
}

TEST_CASE("priority: counts in full again once a leader is heard") {
  setup how;
  how.options.priority = 0;
  auto b = start(2_n, {.members = voters(3)}, how);
  for (int i = 0; i < 3; ++i) {
    b->now() = b->deadline();
    b->tick();
  }
  REQUIRE(b->status().priority == highest_priority);
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {})));
  CHECK(b->status().priority == 0);
  CHECK(b->deadline() >= b->now() + 150 + 7 * 150);
}

TEST_CASE("priority: counts in full again once the server itself leads") {
  setup how;
  how.options.priority = 0;
  auto b = start(1_n, {.members = voters(3)}, how);
  for (int i = 0; i < 3; ++i) {
    b->now() = b->deadline();
    b->tick();
  }
  REQUIRE(b->status().priority == highest_priority);
  win(*b);
  CHECK(b->status().priority == 0);
  CHECK(b->step(say(2_n, 1_n, b->term().next(), append_entries_reply{})));
  CHECK(b->deadline() >= b->now() + 150 + 7 * 150);
}

TEST_CASE("priority: the highest leads, a low one only if nobody else can") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    setup how;
    how.seed = 50 * seed;
    how.options.priority = 3;
    cluster c{3, how};
    how.options.priority = 7;
    c.start(2, memory_log{voters(3), 4096}, {}, how);
    CHECK(c.await_leader().status().id == 2_n);
    c.crash(2);
    const ms began = c.now();
    (void)c.await_leader();
    CHECK(c.now() - began <= 300 + 4 * 150 + 300);  // both wait alike: one timeout, and a split vote at most
  }
}

TEST_CASE("priority: does not bear on a transfer, nor on votes") {
  setup how;
  how.options.priority = 0;
  cluster c = led_by_one(how);
  CHECK(c[1].transfer_to(3_n));
  c.deliver();
  CHECK(c[3].leads());
}

}  // namespace impl_leadership_test
