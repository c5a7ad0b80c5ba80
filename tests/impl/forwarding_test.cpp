// Proposals at any server, forwarded to the leader: impl/forwarding.hpp.

#include <doctest/doctest.h>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace impl_forwarding_test {

using namespace raft;
using namespace story;

namespace {

using told = std::vector<recorder::forwarded>;

std::unique_ptr<server> leader_one() {
  auto a = start(1_n, {.members = voters(3)});
  win(*a);
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(1_i))));
  a->take_mail();
  return a;
}

letter forward(std::string_view command, std::uint64_t serial, term_t term = 1_t, std::uint64_t session = 5) {
  return say(2_n, 1_n, term, forwarded_proposal{session, serial, payload_of(command)});
}

/// What the leader answers to it; nothing: index all ones.
forwarded_proposal_reply answer(server& a, const letter& request) {
  a.take_mail();
  CHECK(a.step(request));
  for (const letter& l : a.take_mail()) {
    if (l.is<forwarded_proposal_reply>()) return l.as<forwarded_proposal_reply>();
  }
  return {0, 0, index_t{UINT64_MAX}, nobody};
}

const forwarded_proposal_reply no_answer{0, 0, index_t{UINT64_MAX}, nobody};

}  // namespace

TEST_CASE("propose_anywhere: a follower sends the command to the leader, and its own log tells the fate") {
  cluster c{3};
  c.elect(1);
  c.spread();
  CHECK(c[2].propose_anywhere("x", 7));
  c.deliver();
  c.spread();
  CHECK(c[1].state() == "x;");
  CHECK(c[2].state() == "x;");
  CHECK(c[2].machine().forwards == told{{7, fate::applied, {2_i, 1_t}, 1_n}});
  CHECK(c[1].machine().forwards.empty());
}

TEST_CASE("propose_anywhere: the commands of a server that starts anew are other ones than those before") {
  const auto session_of = [](ms start_of_time, std::uint64_t seed) {
    cluster c{3, {.seed = seed}};
    c.elect(1);
    c.jump(start_of_time);
    c.restart(2);
    c.pass(60);
    CHECK(c[2].propose_anywhere("x", 7));
    const auto sent = among(c.mail(), kind<forwarded_proposal>());
    REQUIRE(sent.size() == 1);
    return sent[0].as<forwarded_proposal>().session;
  };
  CHECK(session_of(10, 1) == session_of(10, 1));
  CHECK(session_of(10, 1) != session_of(11, 1));  // by the time
  CHECK(session_of(10, 1) != session_of(10, 2));  // or by the seed

  cluster c{3};
  c.elect(1);
  c.spread();
  CHECK(c[2].propose_anywhere("before", 7));
  c.spread();
  c.restart(2);
  c.pass(60);
  REQUIRE(c[2].leader() == 1_n);
  CHECK(c[2].propose_anywhere("after", 7));
  c.spread();
  CHECK(c[1].state() == "before;after;");
}

TEST_CASE("propose_anywhere: what is sent on, and how each one ends, can be watched") {
  auto b = follower_of_one();
  CHECK(b->propose_anywhere("x", 7));
  const auto request = b->only<forwarded_proposal>();
  const auto sent = b->told<events::proposal_forwarded>();
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].to == 1_n);
  CHECK(sent[0].term == 1_t);
  CHECK(sent[0].bytes == entry_bytes(1));
  CHECK(b->told<events::forwarded_ended>().empty());
  CHECK(b->step(say(1_n, 2_n, 1_t, forwarded_proposal_reply{request.session, request.serial, {}, 3_n})));
  const auto ended = b->told<events::forwarded_ended>();
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].what == fate::dropped);
  CHECK(ended[0].place == proposal{});
}

TEST_CASE("propose_anywhere: on the leader the fate is told in the same way") {
  auto alone = start(1_n, {.members = voters(1)});
  win(*alone);
  CHECK(alone->propose_anywhere("x", 7));
  CHECK(alone->machine().forwards == told{{7, fate::applied, {2_i, 1_t}, nobody}});
  auto a = leader_one();
  CHECK(a->propose_anywhere("x", 8));
  CHECK(a->machine().forwards.empty());
  CHECK(a->step(say(3_n, 1_n, 1_t, matched(2_i))));
  CHECK(a->machine().forwards == told{{8, fate::applied, {2_i, 1_t}, nobody}});
}

TEST_CASE("propose_anywhere: applied is told when the entry is applied here, and not before") {
  auto b = follower_of_one();
  CHECK(b->propose_anywhere("x", 7));
  const auto request = b->only<forwarded_proposal>();
  CHECK(text_of(request.command) == "x");
  CHECK(b->step(say(1_n, 2_n, 1_t, forwarded_proposal_reply{request.session, request.serial, 2_i, 1_n})));
  CHECK(b->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 1_i, {{1, "x"}}, 0)));
  CHECK(b->machine().forwards.empty());
  CHECK(b->step(append(1_n, 2_n, 1_t, {2_i, 1_t}, 2_i, {}, 0)));
  CHECK(b->machine().forwards == told{{7, fate::applied, {2_i, 1_t}, 1_n}});
}

TEST_CASE("propose_anywhere: the answer may come after the entry was applied, compacted, and its term is over") {
  for (const bool other_term : {false, true}) {
    setup how;
    how.options.trailing_entries = 0;
    auto b = follower_of_one(how);
    CHECK(b->propose_anywhere("x", 7));
    const auto request = b->only<forwarded_proposal>();
    CHECK(b->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 2_i, {{1, "x"}}, 0)));
    if (other_term) CHECK(b->step(append(3_n, 2_n, 2_t, {2_i, 1_t}, 3_i, {no_op(2)}, 0)));
    CHECK(b->take_snapshot());
    CHECK(b->step(say(1_n, 2_n, 1_t, forwarded_proposal_reply{request.session, request.serial, 2_i, 1_n})));
    // Behind a compacted entry of a later term it may lie or not.
    CHECK(b->machine().forwards == told{{7, other_term ? fate::unknown : fate::applied, {2_i, 1_t}, 1_n}});
  }
}

TEST_CASE("propose_anywhere: another entry in its place means dropped, and so does a later term before it") {
  for (const bool behind : {false, true}) {
    auto b = follower_of_one();
    CHECK(b->propose_anywhere("x", 7));
    const auto request = b->only<forwarded_proposal>();
    const index_t place = behind ? 9_i : 2_i;
    CHECK(b->step(say(1_n, 2_n, 1_t, forwarded_proposal_reply{request.session, request.serial, place, 1_n})));
    CHECK(b->step(append(3_n, 2_n, 2_t, {1_i, 1_t}, 2_i, {no_op(2)}, 0)));
    CHECK(b->machine().forwards == told{{7, fate::dropped, {place, 1_t}, 1_n}});
  }
}

TEST_CASE("propose_anywhere: no answer, or no end, means unknown after two of the longest election timeouts") {
  auto b = follower_of_one();
  CHECK(b->propose_anywhere("x", 7));
  CHECK(b->propose_anywhere("y", 8));
  const auto sent = b->all<forwarded_proposal>();
  REQUIRE(sent.size() == 2);
  b->now() = 100;
  CHECK(b->step(say(1_n, 2_n, 1_t, forwarded_proposal_reply{sent[1].session, sent[1].serial, 2_i, 1_n})));
  b->now() = 599;
  CHECK(b->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 1_i, {}, 0)));
  CHECK(b->machine().forwards.empty());
  CHECK(b->deadline() == 600);
  b->pass(1);
  CHECK(b->machine().forwards == told{{7, fate::unknown, {}, 1_n}});
  b->now() = 700;
  b->tick();
  CHECK(b->machine().forwards == told{{7, fate::unknown, {}, 1_n}, {8, fate::unknown, {2_i, 1_t}, 1_n}});
  CHECK(b->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 2_i, {{1, "y"}}, 0)));
  CHECK(b->machine().forwards.size() == 2);
}

TEST_CASE("propose_anywhere: the time for a fate begins when it is asked, whenever the node was called last") {
  auto b = follower_of_one();
  b->now() = 100;
  CHECK(b->propose_anywhere("x", 7));
  b->now() = 699;
  CHECK(b->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 1_i, {}, 0)));
  CHECK(b->machine().forwards.empty());
  b->pass(1);
  CHECK(b->machine().forwards == told{{7, fate::unknown, {}, 1_n}});
  auto a = leader_one();
  const ms began = a->now();
  a->now() = began + 10;  // the leader has not been called since
  CHECK(a->propose_anywhere("y", 8));
  a->now() = began + 609;
  CHECK(a->step(say(3_n, 1_n, 1_t, matched(1_i))));
  CHECK(a->machine().forwards.empty());
  a->pass(1);
  CHECK(a->machine().forwards == told{{8, fate::unknown, {2_i, 1_t}, nobody}});
}

TEST_CASE("propose_anywhere: a refusal by the leader means dropped, and says who leads") {
  auto b = follower_of_one();
  CHECK(b->propose_anywhere("x", 7));
  const auto request = b->only<forwarded_proposal>();
  CHECK(b->step(say(1_n, 2_n, 1_t, forwarded_proposal_reply{request.session, request.serial, {}, 3_n})));
  CHECK(b->machine().forwards == told{{7, fate::dropped, {}, 3_n}});
}

TEST_CASE("propose_anywhere: is refused at once where it cannot be sent, and nothing leaves") {
  setup how;
  how.options.max_entry_bytes = 100;
  how.options.max_forwarded_bytes = 64;
  auto lost = start(2_n, {.members = voters(3)}, how);
  CHECK(lost->propose_anywhere("x", 1).error() == error{errc::not_leader, nobody, 0, ""});
  auto b = follower_of_one(how);
  CHECK(b->propose_anywhere(std::string(101, 'x'), 1).error().code == errc::too_large);
  CHECK(b->propose_anywhere(std::string(100, 'x'), 2));  // one always may be under way
  CHECK(b->propose_anywhere("x", 3).error().code == errc::busy);
  const auto request = b->only<forwarded_proposal>();
  CHECK(b->step(say(1_n, 2_n, 1_t, forwarded_proposal_reply{request.session, request.serial, {}, 1_n})));
  CHECK(b->propose_anywhere("x", 3));
  b->log().failing = "all";
  (void)b->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 1_i, {{1, "x"}}, 0));
  CHECK(b->machine().forwards.back() == recorder::forwarded{3, fate::unknown, {}, 1_n});
  CHECK(b->propose_anywhere("x", 4).error().code == errc::failed);
}

TEST_CASE("propose_anywhere: what a leader would refuse is refused at once, too, and has no other fate") {
  setup how;
  how.options.max_entry_bytes = 8;
  auto a = start(1_n, {.members = voters(3)}, how);
  win(*a);
  CHECK(a->propose_anywhere("123456789", 1).error().code == errc::too_large);
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(1_i))));
  CHECK(a->transfer_to(2_n));
  CHECK(a->propose_anywhere("x", 2).error() == error{errc::transferring, 2_n, 0, ""});
  CHECK(a->last() == 1_i);
  a->pass(10000);
  CHECK(a->machine().forwards.empty());
}

TEST_CASE("propose_anywhere: exactly max_forwarded_bytes may wait for their fate") {
  for (const std::uint64_t room : {2 * entry_bytes(1) - 1, 2 * entry_bytes(1)}) {
    setup how;
    how.options.max_forwarded_bytes = room;
    auto b = follower_of_one(how);
    CHECK(b->propose_anywhere("x", 7));
    CHECK(b->propose_anywhere("y", 8).has_value() == (room == 2 * entry_bytes(1)));
    CHECK_FALSE(b->propose_anywhere("z", 9));
  }
}

TEST_CASE("propose_anywhere: nothing leaves in a term that is not durable") {
  setup how;
  how.deferred = true;
  auto b = start(2_n, {.members = voters(3)}, how);
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {no_op(1)}, 0)));
  b->take_mail();
  CHECK(b->propose_anywhere("x", 7).error().code == errc::not_ready);
  CHECK(b->take_mail().empty());
  CHECK(b->persisted());
  b->take_mail();
  CHECK(b->propose_anywhere("x", 7));
  CHECK(b->all<forwarded_proposal>().size() == 1);
}

// ---------------------------------------------------------------------------------------------------- the leader

TEST_CASE("on_forwarded_proposal: is appended once, however often it comes") {
  auto a = leader_one();
  CHECK(answer(*a, forward("x", 1)) == forwarded_proposal_reply{5, 1, 2_i, 1_n});
  CHECK(answer(*a, forward("x", 1)) == no_answer);
  CHECK(answer(*a, forward("z", 3)) == forwarded_proposal_reply{5, 3, 3_i, 1_n});
  CHECK(answer(*a, forward("y", 2)) == forwarded_proposal_reply{5, 2, 4_i, 1_n});  // overtaken
  CHECK(answer(*a, forward("y", 2)) == no_answer);
  CHECK(answer(*a, forward("x", 1, 1_t, 6)) == forwarded_proposal_reply{6, 1, 5_i, 1_n});  // after a restart
  CHECK(answer(*a, forward("x", 1)) == no_answer);
  CHECK(answer(*a, forward("w", 100)) == forwarded_proposal_reply{5, 100, 6_i, 1_n});
  CHECK(answer(*a, forward("v", 37)) == forwarded_proposal_reply{5, 37, 7_i, 1_n});
  CHECK(answer(*a, forward("u", 36)) == no_answer);  // too old to be sure
  CHECK(a->last() == 7_i);
}

TEST_CASE("on_forwarded_proposal: what was refused is not taken in when it comes again") {
  setup how;
  how.options.max_entry_bytes = 8;
  how.options.max_uncommitted_bytes = 48;
  auto a = start(1_n, {.members = voters(3)}, how);
  win(*a);
  CHECK(a->propose("12345678"));
  CHECK(answer(*a, forward("x", 1)) == forwarded_proposal_reply{5, 1, {}, 1_n});
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(2_i))));
  CHECK(answer(*a, forward("x", 1)) == no_answer);
  CHECK(answer(*a, forward("x", 2)) == forwarded_proposal_reply{5, 2, 3_i, 1_n});
  CHECK(answer(*a, forward("123456789", 3)) == forwarded_proposal_reply{5, 3, {}, 1_n});
}

TEST_CASE("on_forwarded_proposal: of an earlier term it is not even answered") {
  auto a = leader_one();
  CHECK(a->step(say(2_n, 1_n, 2_t, append_entries_reply{})));
  win(*a);
  REQUIRE(a->term() == 3_t);
  const index_t end = a->last();
  CHECK(answer(*a, forward("x", 1, 1_t)) == no_answer);
  CHECK(a->last() == end);
}

TEST_CASE("on_forwarded_proposal: strangers are not heard, and take no room from those who belong") {
  auto a = leader_one();
  const index_t end = a->last();
  for (std::uint64_t session = 1; session <= 300; ++session) {
    CHECK(answer(*a, say(9_n, 1_n, 1_t, forwarded_proposal{session, 1, payload_of("x")})) == no_answer);
  }
  CHECK(a->last() == end);
  CHECK(a->told<events::message_ignored>().back().why == ignored_reason::not_a_member);
  CHECK(answer(*a, forward("x", 1)) == forwarded_proposal_reply{5, 1, end.next(), 1_n});
}

TEST_CASE("on_forwarded_proposal: who starts over and over, or makes sessions up, takes no room of the others") {
  auto a = leader_one();
  std::uint64_t taken = 0;
  for (std::uint64_t session = 1; session <= 1000; ++session) {
    taken += answer(*a, forward("x", 1, 1_t, session)) != no_answer ? 1 : 0;
  }
  CHECK(taken == taken_proposals::most_sessions);
  CHECK(a->told<events::message_ignored>().back().why == ignored_reason::maybe_taken);
  CHECK(answer(*a, forward("y", 2, 1_t, 1)).index != 0_i);  // those that are known go on
  const auto of = [](node_id who, std::uint64_t session) {
    return say(who, 1_n, 1_t, forwarded_proposal{session, 1, payload_of("z")});
  };
  CHECK(answer(*a, of(3_n, 1)) == forwarded_proposal_reply{1, 1, index_t{1 + taken + 2}, 1_n});
  // Who leads no more hears strangers, and refuses them: so many of them as it can remember.
  a->now() += 1000;
  a->tick();
  REQUIRE_FALSE(a->leads());
  REQUIRE(a->term() == 1_t);
  std::uint64_t refused = 0;
  for (std::uint64_t stranger = 100; stranger < 1000; ++stranger) {
    refused += answer(*a, of(node_id{stranger}, 1)) != no_answer ? 1 : 0;
  }
  CHECK(refused == taken_proposals::most_sessions);
  CHECK(answer(*a, of(3_n, 2)).session == 2);
}

TEST_CASE("on_forwarded_proposal: each refusal is told to whoever watches, with its reason") {
  setup how;
  how.options.max_entry_bytes = 8;
  auto a = start(1_n, {.members = voters(3)}, how);
  win(*a);
  CHECK(answer(*a, forward("123456789", 1)).index == 0_i);
  CHECK(a->told<events::request_refused>().back().why == errc::too_large);
  CHECK(a->step(say(2_n, 1_n, 1_t, matched(1_i))));
  CHECK(a->transfer_to(2_n));
  CHECK(answer(*a, forward("x", 2)).index == 0_i);
  CHECK(a->told<events::request_refused>().back().why == errc::transferring);
  CHECK(a->told<events::request_refused>().size() == 2);
}

TEST_CASE("on_forwarded_proposal: who led refuses what it surely did not take in, and forwards nothing") {
  cluster c{3};
  c.elect(1);
  c.spread();
  CHECK(c[2].propose_anywhere("x", 7));
  const auto late = c.take(kind<forwarded_proposal>());
  c.isolate(1);
  c.jump(400);
  c[1].tick();  // nobody answers: it steps down, in its term
  REQUIRE(c[1].role() == role_kind::follower);
  REQUIRE(c[1].term() == 1_t);
  c.drop();
  c.heal();
  c.deliver_late(late);
  c.deliver_late(late);
  const auto mail = c.take();
  REQUIRE(mail.size() == 1);
  CHECK(mail[0].what.to == 2_n);
  CHECK(mail[0].as<forwarded_proposal_reply>().index == 0_i);
  // Started anew it does not remember whether it took it in: it says nothing.
  c.crash(1);
  c.restart(1);
  c.deliver_late(late);
  CHECK(c.take().empty());
}

TEST_CASE("on_forwarded_proposal: who voted for another never led this term, and refuses") {
  auto c = start(3_n, {.term = 1, .vote = 1, .members = voters(3)});
  CHECK(c->step(say(2_n, 3_n, 1_t, forwarded_proposal{5, 1, payload_of("x")})));
  CHECK(c->only<forwarded_proposal_reply>() == forwarded_proposal_reply{5, 1, {}, nobody});
  auto d = start(3_n, {.term = 1, .vote = 3, .members = voters(3)});
  CHECK(d->step(say(2_n, 3_n, 1_t, forwarded_proposal{5, 1, payload_of("x")})));
  CHECK(d->take_mail().empty());
}

TEST_CASE("on_forwarded_reply: a place that a compacted entry of an earlier term is behind holds none of that term") {
  setup how;
  how.options.trailing_entries = 0;
  auto b = follower_of_one(how);
  CHECK(b->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 3_i, {{1, "a"}, {1, "b"}}, 0)));
  CHECK(b->take_snapshot());
  CHECK(b->step(append(3_n, 2_n, 2_t, {3_i, 1_t}, 3_i, {}, 0)));
  b->take_mail();
  CHECK(b->propose_anywhere("x", 7));
  const auto r = b->only<forwarded_proposal>();
  CHECK(b->step(say(3_n, 2_n, 2_t, forwarded_proposal_reply{r.session, r.serial, 2_i, 3_n})));
  CHECK(b->machine().forwards == told{{7, fate::dropped, {2_i, 2_t}, 3_n}});
}

TEST_CASE("on_forwarded_reply: of what is compacted, the last entry tells what it can") {
  struct line {
    index_t place{};
    std::uint64_t last_term = 1;  ///< Of entry 3, the last one that is compacted.
    fate what{};
  };
  for (const line& l : {line{2_i, 1, fate::applied}, line{3_i, 1, fate::applied}, line{2_i, 2, fate::unknown},
                        line{3_i, 2, fate::dropped}}) {
    setup how;
    how.options.trailing_entries = 0;
    auto b = follower_of_one(how);
    CHECK(b->propose_anywhere("x", 7));
    const auto r = b->only<forwarded_proposal>();
    const node_id leads = l.last_term == 1 ? 1_n : 3_n;
    CHECK(b->step(append(leads, 2_n, term_t{l.last_term}, {1_i, 1_t}, 3_i, {{1, "a"}, {l.last_term, "b"}})));
    CHECK(b->take_snapshot());
    CHECK(b->step(say(1_n, 2_n, 1_t, forwarded_proposal_reply{r.session, r.serial, l.place, 1_n})));
    CHECK(b->machine().forwards == told{{7, l.what, {l.place, 1_t}, 1_n}});
  }
}

TEST_CASE("fate_of: the last entry of a snapshot tells what cannot follow it") {
  setup how;
  how.options.trailing_entries = 0;
  auto b = follower_of_one(how);
  CHECK(b->propose_anywhere("x", 7));
  const auto r = b->only<forwarded_proposal>();
  CHECK(b->step(say(1_n, 2_n, 1_t, forwarded_proposal_reply{r.session, r.serial, 5_i, 1_n})));
  CHECK(b->step(chunk(3_n, 2_n, 2_t, {4_i, 2_t}, voters(3), "image", 0, 5)));
  REQUIRE(b->applied() == 4_i);
  REQUIRE(b->last() == 4_i);
  CHECK(b->machine().forwards == told{{7, fate::dropped, {5_i, 1_t}, 1_n}});
}

TEST_CASE("fate_of: what was applied already does not wait for a snapshot that the machine is being filled from") {
  setup how;
  how.patient = true;
  auto b = follower_of_one(how);
  CHECK(b->propose_anywhere("x", 7));
  const auto r = b->only<forwarded_proposal>();
  CHECK(b->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 2_i, {{1, "x"}})));
  REQUIRE(b->state() == "x;");
  CHECK(b->step(chunk(1_n, 2_n, 1_t, {9_i, 1_t}, voters(3), "image", 0, 5)));
  REQUIRE(b->machine().asked_to_restore == std::vector{9_i});
  CHECK(b->step(say(1_n, 2_n, 1_t, forwarded_proposal_reply{r.session, r.serial, 2_i, 1_n})));
  CHECK(b->machine().forwards == told{{7, fate::applied, {2_i, 1_t}, 1_n}});
}

TEST_CASE("on_forwarded_reply: from others, of other terms, to another session, or a second time it tells nothing") {
  auto b = follower_of_one();
  CHECK(b->propose_anywhere("x", 7));
  const auto r = b->only<forwarded_proposal>();
  CHECK(b->step(say(3_n, 2_n, 1_t, forwarded_proposal_reply{r.session, r.serial, {}, 1_n})));
  CHECK(b->step(say(1_n, 2_n, 1_t, forwarded_proposal_reply{r.session + 1, r.serial, {}, 1_n})));
  CHECK(b->step(say(1_n, 2_n, 1_t, forwarded_proposal_reply{r.session, r.serial + 1, {}, 1_n})));
  CHECK(b->step(say(1_n, 2_n, 1_t, forwarded_proposal_reply{r.session, r.serial, index_t{UINT64_MAX}, 1_n}))
            .error()
            .code == errc::impossible);
  CHECK(b->step(say(1_n, 2_n, 1_t, forwarded_proposal_reply{r.session, r.serial, 2_i, 1_n})));
  CHECK(b->step(say(1_n, 2_n, 1_t, forwarded_proposal_reply{r.session, r.serial, {}, 1_n})));
  CHECK(b->machine().forwards.empty());
  CHECK(b->step(say(1_n, 2_n, 2_t, forwarded_proposal_reply{r.session, r.serial, {}, 1_n})));
  CHECK(b->machine().forwards.empty());
}

}  // namespace impl_forwarding_test
