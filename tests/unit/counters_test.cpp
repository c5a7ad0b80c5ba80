// Counters: each counts what its name says, under a name that a metrics page may carry; and a watched node does what an
// unwatched one does.

#include <doctest/doctest.h>
#include <raft/counters.hpp>
#include <raft/memory_log.hpp>
#include <raft/node.hpp>

#include <deque>
#include <optional>
#include <set>
#include <string>

#include "support/letter.hpp"
#include "support/printing.hpp"
#include "support/test_log.hpp"

namespace counters_test {

using namespace raft;
using namespace story;

namespace {

struct net {
  std::deque<letter>* mail;
  void send(const message& m) { mail->push_back(keep(m)); }
};
struct clock_handle {
  using duration = std::int64_t;
  using time_point = std::int64_t;
  const std::int64_t* at;
  [[nodiscard]] std::int64_t now() const { return *at; }
};
struct machine {
  int applied = 0;
  bool lags = false;
  void apply(const entry&) { ++applied; }
  [[nodiscard]] bool may_lead() const { return !lags; }
  void on_forwarded(std::uint64_t, fate, proposal, node_id) {}
  template <class Sink>
  result<void> write_snapshot(Sink& sink) const {
    return sink(payload_of("image"));
  }
  template <class Source>
  result<void> restore(Source& source) {
    while (!source()->empty()) {
    }
    return {};
  }
};

using counted = node<net, memory_log, clock_handle, machine, counting_observer>;

struct small_cluster {
  std::deque<letter> mail{};
  std::int64_t now = 0;
  std::vector<counted> nodes{};

  explicit small_cluster(std::uint64_t n, options<std::int64_t> o = {}) {
    o.trailing_entries = 0;
    for (std::uint64_t id = 1; id <= n; ++id) {
      auto made = counted::create(node_id{id}, o, id, net{&mail}, memory_log{voters(n)}, clock_handle{&now}, machine{});
      REQUIRE(made);
      nodes.push_back(*std::move(made));
    }
  }
  counted& operator[](std::uint64_t id) { return nodes[id - 1]; }
  const counters& of(std::uint64_t id) { return nodes[id - 1].observer().counts(); }

  void deliver(std::uint64_t except = 0) {
    while (!mail.empty()) {
      const letter l = std::move(mail.front());
      mail.pop_front();
      if (l.what.to.value == except || l.what.from.value == except) continue;
      CHECK((*this)[l.what.to.value].step(l.what));
    }
  }
};

}  // namespace

TEST_CASE("counting_observer: an election, proposals, reads and heartbeats, on each side") {
  small_cluster c{3};
  CHECK(c.of(1).voters == 3);
  CHECK(c.of(1).configuration_changes == 1);
  c[1].campaign();
  c.deliver();
  const counters& lead = c.of(1);
  CHECK(lead.pre_candidacies == 1);
  CHECK(lead.candidacies == 1);
  CHECK(lead.elections_won == 1);
  CHECK(lead.is_leader == 1);
  CHECK(lead.leader == 1);
  CHECK(lead.leader_changes == 1);
  CHECK(lead.term == 1);
  CHECK(c.of(2).votes_granted + c.of(3).votes_granted == 2);
  CHECK(c.of(2).leader == 1);
  CHECK(c.of(2).elections_won == 0);

  const std::uint64_t appends = lead.appends_sent;
  REQUIRE(c[1].propose(payload_of("12345678")));
  c.deliver();
  CHECK(lead.proposed == 1);
  CHECK(lead.proposed_bytes == entry_bytes(8));
  CHECK(lead.fates_applied == 1);
  CHECK(lead.committed == 2);
  CHECK(lead.applied == 2);
  CHECK(lead.appends_sent == appends + 2);
  CHECK(c.of(2).entries_received == 2);
  CHECK(c.of(2).entry_bytes_received == entry_bytes(0) + entry_bytes(8));
  CHECK(c.of(2).entry_bytes_received + c.of(3).entry_bytes_received == lead.entry_bytes_sent);
  CHECK(lead.entries_sent == c.of(2).entries_received + c.of(3).entries_received);

  REQUIRE(c[1].read(7));
  c.deliver();
  CHECK(lead.reads_ready == 1);
  CHECK(lead.heartbeats_sent >= 2);
  CHECK(lead.heartbeats_sent == c.of(2).heartbeats_received + c.of(3).heartbeats_received);
  CHECK(lead.sent + c.of(2).sent + c.of(3).sent == lead.received + c.of(2).received + c.of(3).received);
}

TEST_CASE("counting_observer: what is refused, ignored, dropped") {
  small_cluster c{3};
  CHECK_FALSE(c[2].propose(payload_of("x")));
  CHECK_FALSE(c[2].read(1));
  CHECK_FALSE(c[2].change_membership({{1_n}, {}}));
  CHECK(c.of(2).proposals_refused == 1);
  CHECK(c.of(2).reads_refused == 1);
  CHECK(c.of(2).changes_refused == 1);
  CHECK_FALSE(c[2].step(say(1_n, 9_n, 1_t, request_vote{}).what));
  CHECK(c.of(2).refused == 1);
  CHECK(c[2].step(say(1_n, 2_n, 0_t, request_pre_vote_reply{0_t, true}).what));
  CHECK(c.of(2).ignored == 1);

  c[1].campaign();
  c.deliver();
  REQUIRE(c[1].propose(payload_of("lost")));
  REQUIRE(c[1].read(1));
  c.mail.clear();
  c.now += 1000;
  c[2].campaign();
  c.deliver(1);
  REQUIRE(c[2].role() == role_kind::leader);
  for (int i = 0; i < 3; ++i) {
    c.now += 60;
    c[2].tick();
    c.deliver();
  }
  CHECK(c.of(1).step_downs == 1);
  CHECK(c.of(1).is_leader == 0);
  CHECK(c.of(1).leader_changes == 2);
  CHECK(c.of(1).reads_dropped == 1);
  CHECK(c.of(1).truncations == 1);
  CHECK(c.of(1).fates_dropped == 1);
}

TEST_CASE("counting_observer: why proposals, reads and transfers are refused") {
  small_cluster c{3};
  CHECK_FALSE(c[2].propose(payload_of("x")));
  CHECK(c.of(2).proposals_refused_not_leader == 1);
  CHECK_FALSE(c[2].read_stale(100));
  CHECK(c.of(2).reads_too_stale == 1);
  CHECK(c.of(2).reads_refused == 0);
  CHECK_FALSE(c[2].transfer_leadership(1_n));
  CHECK(c.of(2).transfers_refused == 1);
  c[1].campaign();
  c.deliver();
  CHECK_FALSE(c[1].transfer_leadership(1_n));
  CHECK_FALSE(c[1].transfer_leadership(9_n));
  CHECK(c.of(1).transfers_refused == 2);
  REQUIRE(c[1].transfer_leadership(2_n));
  CHECK_FALSE(c[1].propose(payload_of("x")));
  CHECK(c.of(1).proposals_refused_transferring == 1);
  CHECK_FALSE(c[1].transfer_leadership());
  CHECK(c.of(1).transfers_refused == 3);
  c.deliver();
  CHECK(c.of(1).transfers == 1);
  CHECK(c.of(1).transfers_done == 1);

  small_cluster d{3, {.max_entry_bytes = 8, .max_uncommitted_bytes = 64}};
  d[1].campaign();
  d.deliver();
  for (int i = 0; i < 5; ++i) (void)d[1].propose(payload_of("12345678"));
  CHECK(d.of(1).proposals_refused == d.of(1).proposals_refused_busy);
  CHECK(d.of(1).proposals_refused_busy > 0);
}

TEST_CASE("counting_observer: transfers and promotions, each by its fate; who declines to stand") {
  small_cluster c{3};
  c[1].campaign();
  c.deliver();
  c[2].evacuate();
  REQUIRE(c[1].transfer_leadership(2_n));
  for (int i = 0; i < 7; ++i) {
    c.now += 50;
    c[1].tick();
    c.deliver();
  }
  CHECK(c.of(1).transfers_timed_out == 1);
  CHECK(c.of(2).campaigns_declined > 0);
  REQUIRE(c[1].add_server({4_n, {}}));
  c.deliver(4);
  REQUIRE(c[1].transfer_leadership(3_n));
  CHECK(c[1].step(say(2_n, 1_n, 9_t, append_entries_reply{}).what));
  CHECK(c.of(1).transfers_aborted + c.of(1).transfers_timed_out == 1);  // the target may be elected yet
  CHECK(c.of(1).promotions_aborted == 1);
  CHECK(c.of(1).promotions_done + c.of(1).promotions_too_slow == 0);
}

TEST_CASE("counting_observer: forwarded proposals, here and there, and what is not answered") {
  small_cluster c{3};
  c[1].campaign();
  c.deliver();
  REQUIRE(c[2].propose_anywhere(payload_of("x"), 1));
  const letter once = c.mail.front();
  c.deliver();
  for (int i = 0; i < 2; ++i) {
    c.now += 50;
    c[1].tick();
    c.deliver();
  }
  CHECK(c.of(2).forwarded == 1);
  CHECK(c.of(2).forwarded_applied == 1);
  CHECK(c.of(1).proposed == 1);
  CHECK(c[1].step(once.what));
  CHECK(c.of(1).forwarded_ignored == 1);
  REQUIRE(c[2].propose_anywhere(payload_of("x"), 2));
  c.mail.clear();
  c.now += 700;
  c[2].tick();
  CHECK(c.of(2).forwarded_unknown == 1);
  CHECK(c.of(2).forwarded_dropped == 0);
  for (std::uint64_t ticket = 0; ticket < 6; ++ticket) CHECK(c[1].step(say(2_n, 1_n, 1_t, read_request{ticket}).what));
  CHECK(c.of(1).read_requests_ignored == 2);
}

TEST_CASE("counting_observer: votes that are not answered since a leader is heard") {
  small_cluster c{3};
  c[1].campaign();
  c.deliver();
  CHECK(c[2].step(say(3_n, 2_n, 2_t, request_vote{1_i, 1_t}).what));
  CHECK(c.of(2).vote_requests_ignored == 1);
  CHECK(c.of(2).ignored == 1);
}

TEST_CASE("counting_observer: every event that a node tells is counted, but for what other numbers show") {
  const auto counts = []<class Event>(const Event&) {
    return requires(counting_observer o, Event e) { o.on(e); };
  };
  static_assert(counts(events::started{}) && counts(events::role_changed{}) && counts(events::vote_granted{}));
  static_assert(counts(events::message_refused{}) && counts(events::message_ignored{}));
  static_assert(counts(events::log_truncated{}) && counts(events::commit_advanced{}) && counts(events::applied{}));
  static_assert(counts(events::peer_changed{}) && counts(events::peer_lost_log{}));
  static_assert(counts(events::transfer_begun{}) && counts(events::transfer_ended{}));
  static_assert(counts(events::snapshot_taken{}) && counts(events::snapshot_wanted{}));
  static_assert(counts(events::snapshot_installed{}) && counts(events::message_sent{}));
  static_assert(counts(events::message_received{}) && counts(events::proposed{}));
  static_assert(counts(events::request_refused{}) && counts(events::fate_told{}));
  static_assert(counts(events::proposal_forwarded{}) && counts(events::forwarded_ended{}));
  static_assert(counts(events::promotion_ended{}) && counts(events::read_answered{}));
  static_assert(counts(events::configuration_changed{}) && counts(events::node_failed{}));
}

TEST_CASE("counting_observer: snapshots and members") {
  small_cluster c{3};
  c[1].campaign();
  c.deliver(3);
  REQUIRE(c[1].propose(payload_of("x")));
  c.deliver(3);
  REQUIRE(c[1].take_snapshot());
  for (int i = 0; i < 6; ++i) {
    c.now += 60;
    c[1].tick();
    c.deliver();
  }
  CHECK(c.of(1).snapshots_taken == 1);
  CHECK(c.of(1).chunks_sent == 1);
  CHECK(c.of(1).chunk_bytes_sent == 5);
  CHECK(c.of(1).snapshots_sent == 1);
  CHECK(c.of(3).chunks_received == 1);
  CHECK(c.of(3).chunk_bytes_received == 5);
  CHECK(c.of(3).snapshots_installed == 1);
  CHECK(c.of(3).applied == 2);
  REQUIRE(c[1].change_membership({{1_n, 2_n}, {3_n}}));
  c.deliver();
  CHECK(c.of(1).voters == 2);
  CHECK(c.of(1).learners == 1);
  CHECK(c.of(1).joint == 0);
  CHECK(c.of(1).configuration_changes == 2);
  CHECK(c.of(2).configuration_changes == 2);
}

TEST_CASE("counting_observer: a restarted node shows where it begins") {
  memory_log log{voters(1)};
  (void)log.store({4_t, 1_n, {}});
  std::deque<letter> mail;
  const std::int64_t now = 0;
  auto made = counted::create(1_n, {}, 1, net{&mail}, std::move(log), clock_handle{&now}, machine{});
  REQUIRE(made);
  CHECK(made->observer().counts().term == 4);
}

TEST_CASE("for_each: every number once, with a name as the field writes them") {
  counting_observer o;
  std::set<std::string> names;
  std::string page;
  std::size_t numbers = 0;
  o.for_each([&](const metric& m) {
    ++numbers;
    const std::string name{m.name};
    CHECK(names.insert(name).second);
    CHECK(name.starts_with("raft_"));
    CHECK(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string::npos);
    CHECK(name.ends_with("_total") == (m.type == metric_type::counter));
    CHECK(m.help.size() > 10);
    CHECK(m.help.ends_with("."));
    CHECK(m.value == 0);
    page += "# HELP " + name + ' ' + std::string(m.help) + '\n';
  });
  CHECK(numbers * sizeof(std::uint64_t) == sizeof(counters));  // none is left out
  for (const char* known : {"raft_leader_changes_seen_total", "raft_proposals_committed_total",
                            "raft_proposals_applied_total", "raft_append_requests_sent_total"}) {
    CHECK(names.contains(known));
  }
}

TEST_CASE("for_each: each name shows its own number") {
  std::set<const void*> places;
  const counters c;
  for (const auto& row : raft::detail::metric_rows) CHECK(places.insert(&(c.*row.value)).second);
}

TEST_CASE("counting_observer: each event counts where its name says, and nowhere else") {
  counting_observer o;
  counters expected;
  const auto counts = [&o, &expected](const auto& event) {
    o.on(event);
    return o.counts() == expected;
  };
  expected.term = 5, expected.committed = 8, expected.applied = 7;
  CHECK(counts(events::started{1_n, 5_t, 8_i, 7_i}));
  expected.committed = 9;
  CHECK(counts(events::commit_advanced{9_i, 5_t}));
  expected.applied = 9;
  CHECK(counts(events::applied{9_i}));
  expected.truncations = 1;
  CHECK(counts(events::log_truncated{7_i}));
  expected.snapshots_wanted = 1;
  CHECK(counts(events::snapshot_wanted{2_n, 9_i}));
  expected.peers_lost = 1;
  CHECK(counts(events::peer_lost_log{2_n, 9_i, 3_i}));
  expected.failed = 1;
  CHECK(counts(events::node_failed{}));
  expected.fates_applied = 3;
  CHECK(counts(events::fate_told{4_i, 6_i, 5_t, fate::applied}));
  expected.fates_dropped = 2;
  CHECK(counts(events::fate_told{4_i, 5_i, 5_t, fate::dropped}));
  expected.fates_unknown = 4;
  CHECK(counts(events::fate_told{4_i, 7_i, 5_t, fate::unknown}));
  const auto ended = [](fate what) {
    events::forwarded_ended e{};
    e.what = what;
    return e;
  };
  expected.forwarded_applied = 1;
  CHECK(counts(ended(fate::applied)));
  expected.forwarded_dropped = 1;
  CHECK(counts(ended(fate::dropped)));
  expected.forwarded_unknown = 1;
  CHECK(counts(ended(fate::unknown)));
  expected.transfers_done = 1;
  CHECK(counts(events::transfer_ended{2_n, transfer_fate::done}));
  expected.transfers_timed_out = 1;
  CHECK(counts(events::transfer_ended{2_n, transfer_fate::timed_out}));
  expected.transfers_aborted = 1;
  CHECK(counts(events::transfer_ended{2_n, transfer_fate::aborted}));
  const auto promotion = [](promotion_fate what) {
    events::promotion_ended e{};
    e.what = what;
    return e;
  };
  expected.promotions_done = 1;
  CHECK(counts(promotion(promotion_fate::promoted)));
  expected.promotions_too_slow = 1;
  CHECK(counts(promotion(promotion_fate::too_slow)));
  expected.promotions_aborted = 1;
  CHECK(counts(promotion(promotion_fate::aborted)));
}

TEST_CASE(
    "counting_observer: a leader that is told of twice was elected once; only snapshots count as snapshots sent") {
  counting_observer o;
  for (int times = 0; times < 2; ++times) o.on(events::role_changed{1_n, 5_t, role_kind::leader, 1_n});
  CHECK(o.counts().elections_won == 1);
  CHECK(o.counts().leader_changes == 1);
  const auto peer_is = [&o](progress_state now) {
    events::peer_changed e{};
    e.state = now;
    o.on(e);
    return o.counts().snapshots_sent;
  };
  CHECK(peer_is(progress_state::probe) == 0);
  CHECK(peer_is(progress_state::snapshot) == 1);
  CHECK(peer_is(progress_state::replicate) == 1);
  CHECK(peer_is(progress_state::lost) == 1);
}

TEST_CASE("counting_observer: a request that is refused counts by its kind and its reason") {
  const auto after_one = [](request_kind what, errc why) {
    counting_observer o;
    o.on(events::request_refused{what, why});
    return o.counts();
  };
  counters expected;
  expected.proposals_refused = expected.proposals_refused_busy = 1;
  CHECK(after_one(request_kind::proposal, errc::busy) == expected);
  expected = {};
  expected.proposals_refused = expected.proposals_refused_not_leader = 1;
  CHECK(after_one(request_kind::proposal, errc::not_leader) == expected);
  expected = {};
  expected.proposals_refused = expected.proposals_refused_transferring = 1;
  CHECK(after_one(request_kind::proposal, errc::transferring) == expected);
  expected = {};
  expected.reads_refused = 1;
  CHECK(after_one(request_kind::read, errc::not_leader) == expected);
  expected = {};
  expected.reads_too_stale = 1;
  CHECK(after_one(request_kind::read, errc::too_stale) == expected);
  expected = {};
  expected.changes_refused = 1;
  CHECK(after_one(request_kind::change, errc::busy) == expected);
  expected = {};
  expected.transfers_refused = 1;
  CHECK(after_one(request_kind::transfer, errc::busy) == expected);
}

TEST_CASE("counting_observer: a message that is ignored counts by its reason") {
  const auto after_one = [](ignored_reason why) {
    counting_observer o;
    o.on(events::message_ignored{2_n, why});
    return o.counts();
  };
  counters expected;
  expected.ignored = 1;
  CHECK(after_one(ignored_reason::stale_answer) == expected);
  expected.vote_requests_ignored = 1;
  CHECK(after_one(ignored_reason::has_leader) == expected);
  expected.vote_requests_ignored = 0;
  expected.campaigns_declined = 1;
  CHECK(after_one(ignored_reason::would_not_lead) == expected);
  CHECK(after_one(ignored_reason::cannot_campaign) == expected);
  expected.campaigns_declined = 0;
  expected.forwarded_ignored = 1;
  CHECK(after_one(ignored_reason::maybe_taken) == expected);
  expected.forwarded_ignored = 0;
  expected.read_requests_ignored = 1;
  CHECK(after_one(ignored_reason::asks_too_much) == expected);
}

TEST_CASE(
    "counting_observer: a leader change is another leader than the last one, by whatever way it is lost sight of") {
  counting_observer o;
  const auto becomes = [&o](term_t term, role_kind role, node_id leader) {
    o.on(events::role_changed{1_n, term, role, leader});
  };
  becomes(1_t, role_kind::follower, 2_n);
  becomes(2_t, role_kind::follower, nobody);
  becomes(2_t, role_kind::follower, 2_n);
  CHECK(o.counts().leader_changes == 1);
  becomes(3_t, role_kind::follower, 3_n);
  CHECK(o.counts().leader_changes == 2);
  CHECK(o.counts().leader == 3);
  CHECK(o.counts().elections_won == 0);
  CHECK(o.counts().step_downs == 0);
}

TEST_CASE("counting_observer: the membership in force is shown, joint or not") {
  counting_observer o;
  configuration now = voters(3);
  now.outgoing = {1_n, 2_n};
  now.learners = {7_n};
  events::configuration_changed e{};
  e.now = &now;
  o.on(e);
  CHECK(o.counts().voters == 3);
  CHECK(o.counts().learners == 1);
  CHECK(o.counts().joint == 1);
  now = voters(2);
  o.on(e);
  CHECK(o.counts().voters == 2);
  CHECK(o.counts().learners == 0);
  CHECK(o.counts().joint == 0);
  CHECK(o.counts().configuration_changes == 2);
}

}  // namespace counters_test
