// Reads at any server, confirmed by the leader, and reads that say how stale they are: impl/remote_read.hpp. "[B140]"
// and the like name the bug, seen in other engines, that a test guards against.

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace impl_remote_read_test {

using namespace raft;
using namespace story;

namespace {

using answers = std::vector<recorder::answered>;

std::uint64_t ticket_asked(server& b) {
  const auto asked = b.only<read_request>();
  return asked.ticket;
}

void answer(server& b, std::uint64_t ticket, index_t index) {
  CHECK(b.step(say(1_n, 2_n, 1_t, read_reply{ticket, index, true})));
}

/// Applies commands up to 2 at the follower: entry 2 is "x".
void commit_x(server& b) { CHECK(b.step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 2_i, {{1, "x"}}, 0))); }

/// A leader of three with leases on; none is in force before a round is echoed.
std::unique_ptr<server> leader_that_may_lease() {
  setup how;
  how.options.lease_reads = true;
  auto a = start(1_n, {.members = voters(3)}, how);
  a->now() = 150;
  win(*a);
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(1_i))));
  return a;
}

}  // namespace

TEST_CASE("read_anywhere: a follower asks the leader, and answers when it has applied what the leader names") {
  auto b = follower_of_one();
  CHECK(b->read_anywhere(7));
  const std::uint64_t ticket = ticket_asked(*b);
  answer(*b, ticket, 2_i);
  CHECK(b->machine().reads.empty());
  commit_x(*b);
  CHECK(b->machine().reads == answers{{7, read_fate::ready, 2_i, "x;"}});
}

TEST_CASE("read_anywhere: what a turn asks while a request is under way shares the next one") {
  auto b = follower_of_one();
  CHECK(b->read_anywhere(1));
  const std::uint64_t first = ticket_asked(*b);
  for (const std::uint64_t context : {2U, 3U, 4U}) CHECK(b->read_anywhere(context));
  CHECK(b->take_mail().empty());
  answer(*b, first, 1_i);
  CHECK(b->machine().reads.size() == 1);
  const std::uint64_t second = ticket_asked(*b);
  CHECK(second != first);
  answer(*b, first, 1_i);  // once more: it was asked before reads 2 to 4
  CHECK(b->machine().reads.size() == 1);
  answer(*b, second, 1_i);
  CHECK(b->machine().reads.size() == 4);  // [B138]
  CHECK(b->take_mail().empty());
}

TEST_CASE("read_anywhere: is asked again with another ticket, and an answer to either will do") {
  for (const bool by_the_first : {false, true}) {
    auto b = follower_of_one();
    CHECK(b->read_anywhere(7));
    const std::uint64_t first = ticket_asked(*b);
    CHECK(b->deadline() == 50);
    b->pass(50);
    const std::uint64_t second = ticket_asked(*b);
    CHECK(second != first);
    answer(*b, by_the_first ? first : second, 1_i);
    CHECK(b->machine().reads.size() == 1);
    answer(*b, by_the_first ? second : first, 1_i);
    CHECK(b->machine().reads.size() == 1);
  }
}

TEST_CASE("read_anywhere: ends as dropped when nobody answers, each once") {
  auto b = follower_of_one();
  CHECK(b->read_anywhere(7));
  b->now() = 100;
  CHECK(b->read_anywhere(8));
  for (ms at = 100; at <= 1400; at += 50) {
    b->now() = at;
    if (at % 100 == 0) CHECK(b->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 1_i, {}, 0)));
    b->tick();
    CHECK(b->machine().reads.size() == (at < 600 ? 0 : at < 700 ? 1 : 2));
  }
  CHECK(b->machine().reads[0] == recorder::answered{7, read_fate::dropped, 0_i, ""});
  CHECK(b->machine().reads[1] == recorder::answered{8, read_fate::dropped, 0_i, ""});
}

TEST_CASE("read_anywhere: what the leader named and never got here is dropped, too") {
  auto b = follower_of_one();
  CHECK(b->read_anywhere(7));
  answer(*b, ticket_asked(*b), 9_i);
  b->pass(599);
  CHECK(b->machine().reads.empty());
  b->pass(1);
  REQUIRE(b->machine().reads.size() == 1);
  CHECK(b->machine().reads[0].what == read_fate::dropped);
}

TEST_CASE("read_anywhere: who does not lead says so, and the reads end at once") {
  auto b = follower_of_one();
  CHECK(b->read_anywhere(7));
  CHECK(b->step(say(1_n, 2_n, 1_t, read_reply{ticket_asked(*b), {}, false})));
  REQUIRE(b->machine().reads.size() == 1);
  CHECK(b->machine().reads[0].what == read_fate::dropped);
  auto c = start(3_n, {.term = 1, .members = voters(3)});
  CHECK(c->step(say(2_n, 3_n, 1_t, read_request{5})));
  CHECK(c->only<read_reply>() == read_reply{5, {}, false});
}

TEST_CASE("read_anywhere: another leader is asked when one is known") {
  auto b = follower_of_one();
  CHECK(b->read_anywhere(7));
  const std::uint64_t first = ticket_asked(*b);
  CHECK(b->step(append(3_n, 2_n, 2_t, {1_i, 1_t}, 1_i, {no_op(2)}, 0)));
  b->take_mail();
  answer(*b, first, 1_i);  // of the former leader's term: it is too late
  CHECK(b->machine().reads.empty());
  b->pass(50);
  const auto mail = b->take_mail();
  REQUIRE(mail.size() == 1);
  CHECK(mail[0].what.to == 3_n);
  CHECK(mail[0].as<read_request>().ticket != first);
  CHECK(b->step(say(3_n, 2_n, 2_t, read_reply{mail[0].as<read_request>().ticket, 2_i, true})));
  CHECK(b->machine().reads.empty());
  CHECK(b->step(append(3_n, 2_n, 2_t, {2_i, 2_t}, 2_i, {}, 0)));
  CHECK(b->machine().reads.size() == 1);
}

TEST_CASE("read_anywhere: is refused where no leader is known, by a failed node, and beyond the limit") {
  auto b = start(2_n, {.members = voters(3)});
  CHECK(b->read_anywhere(1).error() == error{errc::not_leader, nobody, 0, ""});
  setup how;
  how.options.max_pending_reads = 2;
  auto c = follower_of_one(how);
  CHECK(c->read_anywhere(1));
  CHECK(c->read_anywhere(2));
  CHECK(c->read_anywhere(3).error().code == errc::busy);
  c->log().failing = "all";
  (void)c->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 1_i, {{1, "x"}}, 0));
  CHECK(c->machine().reads.size() == 2);
  for (const auto& read : c->machine().reads) CHECK(read.what == read_fate::dropped);
  CHECK(c->read_anywhere(4).error().code == errc::failed);
  auto a = start(1_n, {.members = voters(3)}, how);
  win(*a);
  CHECK(a->read(1));
  CHECK(a->read(2));
  CHECK(a->read(3).error().code == errc::busy);
}

TEST_CASE("read_anywhere: an answer to an earlier incarnation's question answers nothing") {
  cluster c{3};
  c.elect(1);
  c.spread();
  CHECK(c[2].read_anywhere(1));
  const auto late = c.take(kind<read_request>());
  c.crash(2);
  c.pass(10);
  c.restart(2);
  c.pass(60);
  REQUIRE(c[2].leader() == 1_n);
  CHECK(c[2].read_anywhere(2));
  const auto fresh = c.take(kind<read_request>());
  REQUIRE(fresh.size() == 1);
  CHECK(fresh[0].as<read_request>().ticket != late[0].as<read_request>().ticket);
  c.deliver_late(late);
  c.deliver();
  CHECK(c[2].machine().reads.empty());
  c.deliver_late(fresh);
  c.deliver();
  CHECK(c[2].machine().reads.size() == 1);
}

// ---------------------------------------------------------------------------------------------------- the leader

TEST_CASE("on_read_request: the leader names its commit index when a round that began later is echoed") {
  auto a = start(1_n, {.members = voters(3)});
  win(*a);
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(1_i))));
  a->take_mail();
  CHECK(a->step(say(2_n, 1_n, 1_t, read_request{5})));
  auto mail = a->take_mail();
  REQUIRE(mail.size() == 2);  // a round begins at once
  CHECK(mail[0].as<append_entries>().round == 1);
  CHECK(a->step(say(3_n, 1_n, 1_t, matched(1_i, 0))));
  CHECK(among(a->take_mail(), kind<read_reply>()).empty());
  CHECK(a->step(say(3_n, 1_n, 1_t, matched(1_i, 1))));
  mail = among(a->take_mail(), kind<read_reply>());
  REQUIRE(mail.size() == 1);
  CHECK(mail[0] == say(1_n, 2_n, 1_t, read_reply{5, 1_i, true}));
}

TEST_CASE("on_read_request: a new leader names nothing before the first commit of its term [B127]") {
  auto a = start(1_n, {.term = 1, .members = voters(3), .log = {{1, "x"}}});
  win(*a);
  CHECK(a->step(say(2_n, 1_n, 2_t, read_request{5})));
  CHECK(a->step(say(3_n, 1_n, 2_t, refused(1_i, {}, 0_i, 1))));
  CHECK(among(a->take_mail(), kind<read_reply>()).empty());
  CHECK(a->step(say(3_n, 1_n, 2_t, matched(2_i, 1))));
  const auto mail = among(a->take_mail(), kind<read_reply>());
  REQUIRE(mail.size() == 1);
  CHECK(mail[0].as<read_reply>() == read_reply{5, 2_i, true});
}

TEST_CASE("on_read_request: a single voter answers a learner at once [B140]") {
  configuration members = voters(1);
  members.learners = {2_n};
  auto a = start(1_n, {.members = members});
  win(*a);
  CHECK(a->step(say(2_n, 1_n, 1_t, read_request{5})));
  const auto mail = among(a->take_mail(), kind<read_reply>());
  REQUIRE(mail.size() == 1);
  CHECK(mail[0] == say(1_n, 2_n, 1_t, read_reply{5, 1_i, true}));
}

TEST_CASE("on_read_request: by lease without a round, and strangers get nothing") {
  auto a = leader_that_may_lease();
  a->pass(50);
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(1_i, 1))));
  a->take_mail();
  CHECK(a->step(say(3_n, 1_n, 1_t, read_request{5})));
  CHECK(a->only<read_reply>() == read_reply{5, 1_i, true});
  CHECK(a->step(say(9_n, 1_n, 1_t, read_request{5})));
  CHECK(a->only<read_reply>() == read_reply{5, {}, false});
}

TEST_CASE("on_read_request: with leases on, but none in force, a round is waited for") {
  auto a = leader_that_may_lease();
  a->take_mail();
  CHECK(a->step(say(3_n, 1_n, 1_t, read_request{5})));
  CHECK(among(a->take_mail(), kind<read_reply>()).empty());
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(1_i, 1))));
  CHECK(a->only<read_reply>() == read_reply{5, 1_i, true});
}

TEST_CASE("on_read_request: what one may ask is bounded, and takes nothing from the others") {
  auto a = start(1_n, {.members = voters(3)});
  win(*a);
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(1_i))));
  a->take_mail();
  const auto let_go = [&a] {
    return std::ranges::count(a->told<events::message_ignored>(), ignored_reason::asks_too_much,
                              &events::message_ignored::why);
  };
  for (std::uint64_t ticket = 1; ticket <= 100; ++ticket) CHECK(a->step(say(2_n, 1_n, 1_t, read_request{ticket})));
  CHECK(let_go() == 96);
  CHECK(a->step(say(3_n, 1_n, 1_t, read_request{7})));
  CHECK(among(a->take_mail(), kind<read_reply>()).empty());  // nobody is refused: reads that wait go on waiting
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(1_i, 1))));
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(1_i, 2))));  // the second round is for those that came during the first
  const auto replies = among(a->take_mail(), kind<read_reply>());
  CHECK(among(replies, to(2)).size() == 4);
  CHECK(among(replies, to(3)) == std::vector{say(1_n, 3_n, 1_t, read_reply{7, 1_i, true})});
  CHECK(a->step(say(2_n, 1_n, 1_t, read_request{101})));  // there is room again
  CHECK(let_go() == 96);
}

TEST_CASE("read_anywhere: a leader that was cut off confirms nothing to those cut off with it [B129]") {
  cluster c{5};
  c.elect(1);
  CHECK(c[1].propose("old"));
  c.spread();
  c.split({1, 2}, {3, 4, 5});
  c.elect(3);
  CHECK(c[3].propose("new"));
  c.deliver();
  REQUIRE(c[2].leader() == 1_n);
  CHECK(c[2].read_anywhere(7));
  c.deliver();
  CHECK(c[2].machine().reads.empty());
  c.heal();
  c.pass(200);
  REQUIRE(c[2].machine().reads.size() == 1);
  const auto& told = c[2].machine().reads[0];
  CHECK((told.what == read_fate::dropped || told.state == "old;new;"));
}

TEST_CASE("read_anywhere: on the leader it is a read") {
  auto a = start(1_n, {.members = voters(1)});
  win(*a);
  CHECK(a->read_anywhere(7));
  CHECK(a->machine().reads == answers{{7, read_fate::ready, 1_i, ""}});
  setup how;
  how.options.max_pending_reads = 1;
  auto b = start(1_n, {.members = voters(3)}, how);
  win(*b);
  CHECK(b->read(1));
  CHECK(b->read_anywhere(2).error().code == errc::busy);  // by whatever name, they share the limit
}

TEST_CASE("answer_asked: reads that gathered before this server led are asked for next, and then nothing more is") {
  auto b = follower_of_one();
  CHECK(b->read_anywhere(1));
  CHECK(b->read_anywhere(2));  // waits for the end of the first request
  win(*b);
  const auto round_of = [](const std::vector<letter>& mail) {
    REQUIRE_FALSE(mail.empty());
    return mail.back().as<append_entries>().round;
  };
  const auto echo = [&b](std::uint64_t round) { CHECK(b->step(say(1_n, 2_n, 2_t, matched(2_i, round)))); };
  echo(0);
  b->take_mail();
  b->pass(50);  // the request is repeated, to itself
  echo(round_of(b->take_mail()));
  REQUIRE(b->machine().reads.size() == 1);
  CHECK(b->machine().reads[0] == recorder::answered{1, read_fate::ready, 2_i, ""});
  b->take_mail();
  b->pass(1);
  echo(round_of(b->take_mail()));
  REQUIRE(b->machine().reads.size() == 2);
  CHECK(b->machine().reads[1] == recorder::answered{2, read_fate::ready, 2_i, ""});
  b->take_mail();
  b->pass(1);
  CHECK(b->take_mail().empty());
}

TEST_CASE("check_body: a reply that no leader gives is refused and changes nothing") {
  auto b = follower_of_one();
  CHECK(b->read_anywhere(7));
  const std::uint64_t ticket = ticket_asked(*b);
  const std::string before = b->picture();
  for (const read_reply& reply :
       {read_reply{ticket, index_t{UINT64_MAX}, true}, read_reply{ticket, {}, true}, read_reply{ticket, 1_i, false}}) {
    CHECK(b->step(say(1_n, 2_n, 1_t, reply)).error().code == errc::impossible);
  }
  CHECK(b->step(say(3_n, 2_n, 1_t, read_reply{ticket, 1_i, true})));  // it does not lead: ignored
  CHECK(b->step(say(1_n, 2_n, 1_t, read_reply{ticket + 1, 1_i, true})));
  CHECK(b->picture() == before);
}

// ---------------------------------------------------------------------------------------------------- how stale

TEST_CASE("read_stale: not known until the leader has answered; then from the moment of asking") {
  auto b = follower_of_one();
  b->now() = 10;
  const auto unknown = b->read_stale(1000);
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error() == error{errc::too_stale, 1_n, UINT64_MAX, ""});
  const std::uint64_t ticket = ticket_asked(*b);
  b->now() = 30;
  answer(*b, ticket, 1_i);
  CHECK(*b->read_stale(1000) == 20);
  b->now() = 40;
  CHECK(*b->read_stale(60) == 30);
  CHECK(b->take_mail().empty());  // the bound is fresh enough
  CHECK(b->read_stale(29).error() == error{errc::too_stale, 1_n, 30, ""});
  CHECK(b->all<read_request>().size() == 1);  // and asked for anew
}

TEST_CASE("read_stale: is asked for again before it is too old") {
  auto b = follower_of_one();
  (void)b->read_stale(100);
  answer(*b, ticket_asked(*b), 1_i);
  b->now() = 50;
  CHECK(*b->read_stale(100) == 50);
  CHECK(b->take_mail().empty());
  b->now() = 51;
  CHECK(*b->read_stale(100) == 51);
  answer(*b, ticket_asked(*b), 1_i);
  CHECK(*b->read_stale(100) == 0);
}

TEST_CASE("read_stale: what the leader named counts when it is applied, and messages of the leader's own never do") {
  auto b = follower_of_one();
  (void)b->read_stale(100);
  answer(*b, ticket_asked(*b), 1_i);
  b->now() = 60;
  CHECK(*b->read_stale(100) == 60);
  const std::uint64_t ticket = ticket_asked(*b);
  b->now() = 70;
  answer(*b, ticket, 2_i);
  CHECK(*b->read_stale(100) == 70);
  CHECK(b->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 1_i, {}, 9)));  // it may have been under way for hours
  CHECK(*b->read_stale(100) == 70);
  commit_x(*b);
  CHECK(*b->read_stale(100) == 10);
  b->now() = 30;  // the clock went back
  CHECK_FALSE(b->read_stale(100));
}

TEST_CASE("read_stale: an answer that came to a repeated question bounds from the first asking") {
  auto b = follower_of_one();
  (void)b->read_stale(100);
  b->take_mail();
  b->pass(50);
  answer(*b, ticket_asked(*b), 1_i);
  CHECK(*b->read_stale(100) == 50);
}

TEST_CASE("read_stale: a leader asks its own quorum") {
  auto a = start(1_n, {.members = voters(3)});
  win(*a);
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(1_i))));
  a->take_mail();
  CHECK(a->read_stale(1000).error().code == errc::too_stale);
  a->now() += 10;
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(1_i, 1))));
  CHECK(*a->read_stale(1000) == 10);
  a->now() += 1000;
  CHECK(a->read_stale(1000).error() == error{errc::too_stale, 1_n, 1010, ""});
  auto alone = start(1_n, {.members = voters(1)});
  CHECK(alone->read_stale(1000).error() == error{errc::too_stale, nobody, UINT64_MAX, ""});
  win(*alone);
  CHECK(*alone->read_stale(1000) == 0);
}

TEST_CASE("read_stale: exactly as stale as allowed is allowed") {
  auto b = follower_of_one();
  (void)b->read_stale(100);
  answer(*b, ticket_asked(*b), 1_i);
  b->now() = 10;
  CHECK(b->read_stale(10).value() == 10);
  CHECK_FALSE(b->read_stale(9));
}

TEST_CASE("read_stale: asked for nobody's read, the leader is asked again with each heartbeat, up to two timeouts") {
  auto b = follower_of_one();
  (void)b->read_stale(1000);
  const std::uint64_t first = ticket_asked(*b);
  CHECK(b->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 1_i, {})));
  b->take_mail();
  for (ms at = 50; at < 600; at += 50) {
    CHECK(b->deadline() == at);
    b->now() = at - 1;
    b->tick();
    CHECK(b->all<read_request>().empty());
    b->pass(1);
    CHECK(b->all<read_request>().size() == 1);
    CHECK(b->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 1_i, {})));
    b->take_mail();
  }
  b->pass(49);
  answer(*b, first, 1_i);
  CHECK(b->read_stale(1000).value() == 599);
  auto late = follower_of_one();
  (void)late->read_stale(1000);
  const std::uint64_t old = ticket_asked(*late);
  for (ms at = 50; at <= 600; at += 50) {
    CHECK(late->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 1_i, {})));
    late->pass(50);
  }
  late->take_mail();
  answer(*late, old, 1_i);  // given up a moment ago
  CHECK_FALSE(late->read_stale(1000));
}

TEST_CASE("read_stale: what a leader asks itself takes no question of another server away") {
  auto a = start(1_n, {.members = voters(3)});
  win(*a);
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(1_i))));
  CHECK(a->step(say(3_n, 1_n, 1_t, read_request{77})));
  CHECK_FALSE(a->read_stale(10));
  a->pass(50);  // its own is looked at again
  const auto rounds = among(a->take_mail(), to(2) && kind<append_entries>());
  REQUIRE_FALSE(rounds.empty());
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(1_i, rounds.back().as<append_entries>().round))));
  CHECK(a->only<read_reply>() == read_reply{77, 1_i, true});
  CHECK(a->read_stale(1000));
}

TEST_CASE("read_stale: what a leader asked itself and gave up answers nothing, and it asks anew at once") {
  setup how;
  how.options.check_quorum = false;
  const error unknown{errc::too_stale, 1_n, UINT64_MAX, ""};
  for (const bool echoed_late : {false, true}) {
    CAPTURE(echoed_late);
    auto a = start(1_n, {.members = voters(3)}, how);
    win(*a);
    CHECK(a->step(say(2_n, 1_n, 1_t, matched(1_i))));
    const auto latest_round = [&a] { return a->take_mail().back().as<append_entries>().round; };
    CHECK(a->read_stale(100000).error() == unknown);
    for (ms at = 50; at <= 600; at += 50) a->pass(50);
    if (echoed_late) CHECK(a->step(say(2_n, 1_n, 1_t, matched(1_i, latest_round()))));
    CHECK(a->read_stale(100000).error() == unknown);
    a->pass(50);
    CHECK(a->step(say(2_n, 1_n, 1_t, matched(1_i, latest_round()))));
    CHECK(a->read_stale(100000).value() == 50);
  }
}

TEST_CASE("read_stale: a leader that nobody answers does not ask itself more and more") {
  setup how;
  how.options.check_quorum = false;
  auto a = start(1_n, {.members = voters(3)}, how);
  win(*a);
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(1_i))));
  for (int k = 0; k < 200; ++k) {
    CHECK_FALSE(a->read_stale(10));
    a->pass(50);
  }
  a->take_mail();
  CHECK(a->step(say(2_n, 1_n, 1_t, read_request{77})));
  CHECK(among(a->take_mail(), kind<read_reply>()).empty());  // there is room: it waits for its round
}

}  // namespace impl_remote_read_test
