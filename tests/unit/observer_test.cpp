// Events: each is told once, with what it promises; an observer takes those that it wants; none costs nothing.

#include <doctest/doctest.h>
#include <raft/observer.hpp>

#include <functional>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "support/cluster.hpp"
#include "support/printing.hpp"

namespace observer_test {

using namespace raft;
using namespace story;

static_assert(std::is_empty_v<no_observer>);

namespace {

using list = std::vector<std::string>;

/// Those events of one kind, each in a word for each of its fields.
template <class Event, class Write>
list told(const server& s, Write&& write) {
  list all;
  for (const Event& e : s.told<Event>()) {
    std::ostringstream line;
    write(line, e);
    all.push_back(line.str());
  }
  return all;
}

/// A server in that state, its mail and its events thrown away.
std::unique_ptr<server> ready(std::unique_ptr<server> s) {
  s->take_mail();
  s->events.clear();
  return s;
}

std::unique_ptr<server> leader(const setup& how = {}) {
  auto s = story::start(1_n, {.members = voters(3)}, how);
  win(*s);
  CHECK(s->step(say(2_n, 1_n, 1_t, matched(1_i))));
  return ready(std::move(s));
}

}  // namespace

TEST_CASE("events: an election, as the voter and the winner see it") {
  cluster c{3};
  c.elect(1);
  const auto roles = c[1].told<events::role_changed>();
  REQUIRE(roles.size() == 3);
  CHECK(roles[0].role == role_kind::pre_candidate);
  CHECK(roles[1].role == role_kind::candidate);
  CHECK(roles[1].term == 1_t);
  CHECK(roles[2].role == role_kind::leader);
  CHECK(roles[2].leader == 1_n);
  const auto votes = c[2].told<events::vote_granted>();
  REQUIRE(votes.size() == 1);
  CHECK(votes[0].candidate == 1_n);
  CHECK(votes[0].term == 1_t);
}

TEST_CASE("events: commit and apply") {
  cluster c{3};
  c.elect(1);
  c.spread();
  c[1].events.clear();
  CHECK(c[1].propose({"x", "y"}));
  c.deliver();
  REQUIRE(c[1].told<events::commit_advanced>().size() == 1);
  CHECK(c[1].told<events::commit_advanced>()[0].index == 3_i);
  REQUIRE(c[1].told<events::applied>().size() == 1);
  CHECK(c[1].told<events::applied>()[0].index == 3_i);
}

TEST_CASE("events: a snapshot taken here, sent, and installed there") {
  setup how;
  how.options.trailing_entries = 0;
  cluster c{3, how};
  c.isolate(3);
  c.elect(1);
  CHECK(c[1].propose({"x", "y"}));
  c.spread();
  CHECK(c[1].take_snapshot());
  c.heal();
  c.pass(500);
  REQUIRE(c[1].told<events::snapshot_taken>().size() == 1);
  CHECK(c[1].told<events::snapshot_taken>()[0].index == 3_i);
  CHECK(c[1].told<events::snapshot_taken>()[0].size == 4);
  REQUIRE_FALSE(c[1].told<events::peer_changed>().empty());
  CHECK(c[1].told<events::peer_changed>()[0].peer == 3_n);
  CHECK(c[1].told<events::peer_changed>()[0].state == progress_state::snapshot);
  REQUIRE(c[3].told<events::snapshot_installed>().size() == 1);
  CHECK(c[3].told<events::snapshot_installed>()[0].index == 3_i);
}

TEST_CASE("events: a server says with what it begins") {
  const auto s = story::start(2_n, {.term = 3, .commit_hint = 1, .members = voters(3), .log = {{1, "a"}, {3, "b"}}});
  CHECK(told<events::started>(*s, [](auto& out, const events::started& e) {
          out << e.node.value << ' ' << e.term << ' ' << e.commit_index << ' ' << e.last_applied;
        }) == list{"2 3 1 0"});
}

TEST_CASE("events: what is ignored is told once, with who said it and why") {
  const auto old = [] { return ready(story::start(1_n, {.term = 5, .members = voters(3), .log = {{5, "a"}}})); };
  const auto hearing = [] { return ready(follower_of_one()); };
  const auto standing = [old] {
    auto s = old();
    s->campaign();
    return ready(std::move(s));
  };
  const auto leading = [] { return leader(); };
  const auto evacuated = [] {
    auto s = follower_of_one();
    s->evacuate();
    return ready(std::move(s));
  };
  const auto refusing = [] {
    auto s = leader();
    CHECK(s->step(say(2_n, 1_n, 1_t, refused(0_i, {}, 0_i))));
    return ready(std::move(s));
  };
  struct row {
    const char* what;
    std::function<std::unique_ptr<server>()> who;
    std::function<void(server&)> input;
    std::uint64_t from;
    ignored_reason why;
  };
  const auto hears = [](const letter& l) { return [l](server& s) { CHECK(s.step(l)); }; };
  using why = ignored_reason;
  const std::vector<row> rows{
      {"an old vote", old, hears(say(2_n, 1_n, 4_t, request_vote_reply{true})), 2, why::stale_term},
      {"a vote asked for", hearing, hears(say(3_n, 2_n, 2_t, request_vote{1_i, 1_t})), 3, why::has_leader},
      {"a stranger's acknowledgement", leading, hears(say(9_n, 1_n, 1_t, matched(1_i))), 9, why::not_a_member},
      {"a stranger's word on a snapshot", leading,
       hears(say(9_n, 1_n, 1_t, install_snapshot_reply{1_i, 7, 0, true, 0})), 9, why::not_a_member},
      {"a stranger's pre-vote", standing, hears(say(9_n, 1_n, 5_t, request_pre_vote_reply{5_t, true})), 9,
       why::not_a_member},
      {"a stranger's proposal", leading, hears(say(9_n, 1_n, 1_t, forwarded_proposal{7, 1, payload_of("x")})), 9,
       why::not_a_member},
      {"a pre-vote for another term", standing, hears(say(2_n, 1_n, 5_t, request_pre_vote_reply{4_t, true})), 2,
       why::stale_answer},
      {"an old refusal", refusing, hears(say(2_n, 1_n, 1_t, refused(0_i, {}, 0_i))), 2, why::stale_answer},
      {"an answer to no read", hearing, hears(say(1_n, 2_n, 1_t, read_reply{77, 1_i, true})), 1, why::stale_answer},
      {"an answer to no proposal", hearing, hears(say(1_n, 2_n, 1_t, forwarded_proposal_reply{7, 1, 2_i, 1_n})), 1,
       why::stale_answer},
      {"a vote for who does not stand", hearing, hears(say(3_n, 2_n, 1_t, request_vote_reply{true})), 3,
       why::wrong_role},
      {"an order to stand without the log", hearing, hears(say(1_n, 2_n, 1_t, timeout_now{5_i, 1_t})), 1,
       why::cannot_campaign},
      {"an order to stand where it would not", evacuated, hears(say(1_n, 2_n, 1_t, timeout_now{1_i, 1_t})), 1,
       why::would_not_lead},
      {"a campaign of who has no vote", [] { return ready(story::start(4_n, {.members = voters(3)})); },
       [](server& s) { s.campaign(); }, 4, why::cannot_campaign},
      {"a timeout where it would not lead", evacuated, [](server& s) { s.pass(s.deadline() - s.now()); }, 2,
       why::would_not_lead},
      {"a proposal that comes twice",
       [] {
         auto s = leader();
         CHECK(s->step(say(2_n, 1_n, 1_t, forwarded_proposal{7, 1, payload_of("x")})));
         return ready(std::move(s));
       },
       hears(say(2_n, 1_n, 1_t, forwarded_proposal{7, 1, payload_of("x")})), 2, why::maybe_taken},
      {"a fifth question",
       [] {
         auto s = leader();
         for (std::uint64_t i = 1; i <= 4; ++i) CHECK(s->step(say(2_n, 1_n, 1_t, read_request{i})));
         return ready(std::move(s));
       },
       hears(say(2_n, 1_n, 1_t, read_request{5})), 2, why::asks_too_much},
  };
  for (const row& r : rows) {
    CAPTURE(r.what);
    const auto s = r.who();
    r.input(*s);
    const auto ignored = s->told<events::message_ignored>();
    REQUIRE(ignored.size() == 1);
    CHECK(ignored[0].from == node_id{r.from});
    CHECK(ignored[0].why == r.why);
  }
}

TEST_CASE("events: who held a promise does not stand before it is over, and says so") {
  setup how;
  how.options.lease_reads = true;
  const auto s = ready(follower_of_one(how));
  s->campaign();
  const auto ignored = s->told<events::message_ignored>();
  REQUIRE(ignored.size() == 1);
  CHECK(ignored[0].from == 2_n);
  CHECK(ignored[0].why == ignored_reason::has_leader);
  CHECK(s->role() == role_kind::follower);
}

TEST_CASE("events: what a client asks for is refused with its kind and the reason") {
  struct row {
    const char* what;
    std::function<bool(server&)> input;
    request_kind kind;
    errc why;
  };
  const auto fails = [](const auto& outcome) { return !outcome.has_value(); };
  const std::vector<row> of_follower{
      {"a command", [&](server& s) { return fails(s.propose("x")); }, request_kind::proposal, errc::not_leader},
      {"a command of another term", [&](server& s) { return fails(s.propose("x", 9_t)); }, request_kind::proposal,
       errc::term_moved},
      {"a read", [&](server& s) { return fails(s.read(1)); }, request_kind::read, errc::not_leader},
      {"a read that may be old", [&](server& s) { return fails(s.read_stale(0)); }, request_kind::read,
       errc::too_stale},
      {"a change", [&](server& s) { return fails(s.change({.voters = {1_n}})); }, request_kind::change,
       errc::not_leader},
      {"the end of a joint membership", [&](server& s) { return fails(s.leave_joint()); }, request_kind::change,
       errc::not_leader},
      {"another server", [&](server& s) { return fails(s.add({.id = 4_n})); }, request_kind::change, errc::not_leader},
      {"a transfer", [&](server& s) { return fails(s.transfer_to(3_n)); }, request_kind::transfer, errc::not_leader},
  };
  const std::vector<row> of_leader{
      {"no command", [&](server& s) { return fails(s.propose(std::span<const payload>{})); }, request_kind::proposal,
       errc::malformed},
      {"a transfer to a stranger", [&](server& s) { return fails(s.transfer_to(9_n)); }, request_kind::transfer,
       errc::ineligible},
      {"a voter once more", [&](server& s) { return fails(s.add({.id = 2_n})); }, request_kind::change,
       errc::ineligible},
  };
  const auto check = [](server& s, const std::vector<row>& rows) {
    for (const row& r : rows) {
      CAPTURE(r.what);
      s.events.clear();
      CHECK(r.input(s));
      const auto told = s.told<events::request_refused>();
      REQUIRE(told.size() == 1);
      CHECK(told[0].what == r.kind);
      CHECK(told[0].why == r.why);
    }
  };
  check(*ready(follower_of_one()), of_follower);
  check(*leader(), of_leader);
}

TEST_CASE("events: a proposal from its place to its fate") {
  const auto s = leader();
  CHECK(s->propose({"x", "four"}));
  CHECK(told<events::proposed>(*s, [](auto& out, const events::proposed& e) {
          out << e.first.index << ' ' << e.first.term << ' ' << e.count << ' ' << e.bytes;
        }) == list{"2 1 2 " + std::to_string(entry_bytes(1) + entry_bytes(4))});
  CHECK(s->step(say(2_n, 1_n, 1_t, forwarded_proposal{7, 1, payload_of("y")})));
  CHECK(told<events::proposed>(*s, [](auto& out, const events::proposed& e) {
          out << e.first.index << ' ' << e.first.term << ' ' << e.count << ' ' << e.bytes;
        })[1] == "4 1 1 " + std::to_string(entry_bytes(1)));
  CHECK(s->step(say(3_n, 1_n, 1_t, matched(4_i))));
  CHECK(told<events::commit_advanced>(
            *s, [](auto& out, const events::commit_advanced& e) { out << e.index << ' ' << e.term; }) == list{"4 1"});
  CHECK(told<events::applied>(*s, [](auto& out, const events::applied& e) { out << e.index; }) == list{"4"});
  CHECK(told<events::fate_told>(*s, [](auto& out, const events::fate_told& e) {
          out << e.first << ' ' << e.last << ' ' << e.term << ' ' << e.what;
        }) == list{(std::ostringstream{} << "2 4 1 " << fate::applied).str()});
}

TEST_CASE("events: reads are told as they end, and with the leadership that ends with them") {
  const auto s = leader();
  const auto ends = [&s] {
    return told<events::read_answered>(*s, [](auto& out, const events::read_answered& e) { out << e.what; });
  };
  const auto name = [](read_fate what) { return (std::ostringstream{} << what).str(); };
  CHECK(s->read(1));
  CHECK(s->step(say(2_n, 1_n, 1_t, matched(1_i, 1))));
  CHECK(ends() == list{name(read_fate::ready)});
  CHECK(s->read(2));
  CHECK(s->step_down());
  CHECK(ends() == list{name(read_fate::ready), name(read_fate::dropped)});
}

TEST_CASE("events: a transfer begins and ends, with its target") {
  setup how;
  how.options.transfer_timeout = 100;
  const auto s = leader(how);
  CHECK(s->transfer_to(3_n));
  CHECK(told<events::transfer_begun>(*s, [](auto& out, const events::transfer_begun& e) {
          out << e.target.value << ' ' << e.term;
        }) == list{"3 1"});
  s->pass(s->status().transfer_deadline - s->now());
  const auto ended = s->told<events::transfer_ended>();
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].target == 3_n);
  CHECK(ended[0].what == transfer_fate::timed_out);
}

TEST_CASE("events: a promotion ends, with the server and how") {
  const auto s = leader();
  CHECK(s->add({.id = 4_n}));
  CHECK(s->step_down());
  const auto ended = s->told<events::promotion_ended>();
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].server == 4_n);
  CHECK(ended[0].what == promotion_fate::aborted);
}

TEST_CASE("events: a membership that comes into force is told with its place") {
  const auto s = leader();
  CHECK(s->change({.voters = {1_n, 2_n, 3_n}, .learners = {4_n}}));
  const auto told = s->told<events::configuration_changed>();
  REQUIRE(told.size() == 1);
  CHECK(told[0].index == 2_i);
  REQUIRE(told[0].now != nullptr);
  CHECK(told[0].now->learners == std::vector<node_id>{4_n});
  CHECK(s->step(say(3_n, 1_n, 1_t, matched(2_i))));
  CHECK(s->told<events::configuration_changed>().size() == 1);  // that it is committed changes nothing
}

TEST_CASE("events: a command sent to the leader, and what became of it") {
  const auto s = ready(follower_of_one());
  CHECK(s->propose_anywhere("four", 5));
  CHECK(told<events::proposal_forwarded>(*s, [](auto& out, const events::proposal_forwarded& e) {
          out << e.to.value << ' ' << e.term << ' ' << e.bytes;
        }) == list{"1 1 " + std::to_string(entry_bytes(4))});
  const auto asked = s->only<forwarded_proposal>();
  CHECK(s->step(say(1_n, 2_n, 1_t, forwarded_proposal_reply{asked.session, asked.serial, 2_i, 1_n})));
  CHECK(s->told<events::forwarded_ended>().empty());
  CHECK(s->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 2_i, {{1, "four"}})));
  auto ended = s->told<events::forwarded_ended>();
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].what == fate::applied);
  CHECK(ended[0].place.index == 2_i);
  CHECK(ended[0].place.term == 1_t);

  CHECK(s->propose_anywhere("refused", 6));
  s->take_mail();
  CHECK(s->step(say(1_n, 2_n, 1_t, forwarded_proposal_reply{asked.session, asked.serial + 1, {}, 3_n})));
  ended = s->told<events::forwarded_ended>();
  REQUIRE(ended.size() == 2);
  CHECK(ended[1].what == fate::dropped);
  CHECK(ended[1].place.index == 0_i);
  CHECK(ended[1].place.term == 0_t);
}

TEST_CASE("events: messages are told with their kind, their entries and their bytes, there and here") {
  const auto kind = [](const message_body& body) { return std::to_string(body.index()); };
  const auto sent = [](const server& s) {
    return told<events::message_sent>(s, [](auto& out, const events::message_sent& e) {
      out << e.to.value << ' ' << int{e.kind} << ' ' << e.entries << ' ' << e.bytes;
    });
  };
  const auto received = [](const server& s) {
    return told<events::message_received>(s, [](auto& out, const events::message_received& e) {
      out << e.from.value << ' ' << int{e.kind} << ' ' << e.entries << ' ' << e.bytes;
    });
  };
  const auto s = ready(follower_of_one());
  const letter two = append(1_n, 2_n, 1_t, {1_i, 1_t}, 1_i, {{1, "x"}, {1, "y"}});
  CHECK(s->step(two));
  const letter part = chunk(1_n, 2_n, 1_t, {9_i, 1_t}, voters(3), "image", 0, 3);
  CHECK(s->step(part));
  const letter vote = say(3_n, 2_n, 2_t, request_vote{});
  CHECK(s->step(vote));
  CHECK(received(*s) == list{"1 " + kind(two.what.body) + " 2 " + std::to_string(2 * entry_bytes(1)),
                             "1 " + kind(part.what.body) + " 0 3", "3 " + kind(vote.what.body) + " 0 0"});
  const auto answers = s->take_mail();
  list expected;
  for (const letter& l : answers)
    expected.push_back((std::ostringstream{} << l.what.to.value << ' ').str() + kind(l.what.body) + " 0 0");
  CHECK(sent(*s) == expected);
  CHECK(expected.size() == 2);  // none for the vote: it hears its leader

  const auto lead = leader();
  CHECK(lead->propose("four"));
  const std::string entry = " " + kind(two.what.body) + " 1 " + std::to_string(entry_bytes(4));
  CHECK(sent(*lead)[0] == "2" + entry);

  setup how;
  how.deferred = true;
  const auto waits = story::start(2_n, {.term = 1, .members = voters(3)}, how);
  CHECK(waits->step(say(3_n, 2_n, 2_t, request_vote{})));
  CHECK(sent(*waits).empty());  // it waits for the disk
  CHECK(waits->persisted());
  CHECK(sent(*waits) == list{"3 " + kind(message_body{request_vote_reply{}}) + " 0 0"});
}

}  // namespace observer_test
