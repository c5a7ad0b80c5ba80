// The canonical form: equal for states that behave alike, different for all others, and the same under every renaming.
// (That no data member is forgotten is the compiler's business: each is named in a structured binding.)

#include <doctest/doctest.h>
#include <raft/canonical.hpp>

#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "support/cluster.hpp"
#include "support/forms.hpp"
#include "support/printing.hpp"

namespace impl_canonical_test {

using namespace raft;
using namespace story;

namespace {

form form_of(canonical_writer w, const server& s) {
  s.canonical(w);
  return {w.bytes().begin(), w.bytes().end()};
}

form form_of(const server& s) { return form_of(canonical_writer{}, s); }
form timed_form_of(const server& s) { return form_of(canonical_writer{}.with_times(), s); }

template <class Value>
form form_of_value(canonical_writer w, const Value& value) {
  canonical(w, value);
  return {w.bytes().begin(), w.bytes().end()};
}

/// Who plays 1, 2, 3, 4.
using cast = std::array<std::uint64_t, 4>;

/// What happens to the cluster whose servers have these ids: each line changes somebody's state.
std::vector<std::function<void(cluster&, const cast&)>> long_story() {
  const auto heard = [](cluster& c, const cast&) { c.deliver(); };
  return {
      [](cluster& c, const cast& a) { c[a[0]].campaign(); },
      heard,
      [](cluster& c, const cast& a) { CHECK(c[a[0]].propose("x")); },
      heard,
      [](cluster& c, const cast& a) {
        CHECK(c[a[0]].propose({"y", "z"}));
      },
      [](cluster& c, const cast& a) { c.drop(to(a[2])); },
      heard,
      [](cluster& c, const cast& a) { CHECK(c[a[0]].read(7)); },
      heard,
      [](cluster& c, const cast& a) { CHECK(c[a[0]].take_snapshot()); },
      [](cluster& c, const cast& a) {
        CHECK(c[a[0]].change({.voters = {node_id{a[0]}, node_id{a[1]}, node_id{a[3]}}}));
      },
      heard,
      [](cluster& c, const cast&) { c.pass(60); },
      [](cluster& c, const cast& a) { CHECK(c[a[0]].transfer_to(node_id{a[1]})); },
      heard,
  };
}

cluster beginning(const cast& a) {
  setup how;
  how.options.pre_vote = false;
  how.options.trailing_entries = 0;
  configuration members = voters_of({node_id{a[0]}, node_id{a[1]}, node_id{a[2]}});
  members.learners = {node_id{a[3]}};
  return cluster{members, how};
}

}  // namespace

TEST_CASE("canonical: a renamed cluster gives the bytes of the original under that renaming, at each step of a story") {
  const cast original{1, 2, 3, 4};
  for (const cast& other : {cast{2, 3, 1, 4}, cast{4, 3, 2, 1}, cast{30, 7, 9, 11}}) {
    std::vector<renamed_id> renaming;
    for (std::size_t i = 0; i < 4; ++i) renaming.push_back({node_id{original[i]}, node_id{other[i]}});
    cluster a = beginning(original);
    cluster b = beginning(other);
    std::size_t step = 0;
    for (const auto& happens : long_story()) {
      happens(a, original);
      happens(b, other);
      ++step;
      CAPTURE(step);
      for (std::size_t i = 0; i < 4; ++i) {
        CHECK(form_of(canonical_writer{renaming}, a[original[i]]) == form_of(b[other[i]]));
        CHECK(form_of(canonical_writer{renaming}, a[original[i]]) !=
              form_of(canonical_writer{renaming}, a[original[(i + 1) % 4]]));
      }
      std::vector<form> sent;
      std::vector<form> sent_there;
      for (const letter& l : a.mail()) sent.push_back(form_of_value(canonical_writer{renaming}, l.what));
      for (const letter& l : b.mail()) sent_there.push_back(form_of_value(canonical_writer{}, l.what));
      std::ranges::sort(sent);
      std::ranges::sort(sent_there);
      CHECK(sent == sent_there);
    }
  }
}

TEST_CASE("canonical: inputs that commute give equal bytes in both orders") {
  const auto leader = [] {
    auto s = story::start(1_n, {.members = voters(5)});
    win(*s);
    CHECK(s->propose("x"));
    return s;
  };
  auto a = leader();
  auto b = leader();
  const letter of_2 = say(2_n, 1_n, 1_t, matched(1_i));
  const letter of_3 = say(3_n, 1_n, 1_t, matched(1_i));
  CHECK(a->step(of_2));
  CHECK(b->step(of_3));
  CHECK(form_of(*a) != form_of(*b));
  CHECK(a->step(of_3));
  CHECK(b->step(of_2));
  CHECK(form_of(*a) == form_of(*b));
}

TEST_CASE("canonical: a refused message changes nothing") {
  auto s = follower_of_one();
  const form before = form_of(canonical_writer{}.with_times().with_chance(), *s);
  CHECK_FALSE(s->step(append(3_n, 2_n, 1_t, {1_i, 1_t}, 1_i, {{1, "a second leader"}})));
  CHECK_FALSE(s->step(say(1_n, 2_n, 0_t, request_vote{})));
  CHECK(form_of(canonical_writer{}.with_times().with_chance(), *s) == before);
}

TEST_CASE("canonical: every change of a follower's state is seen") {
  auto s = follower_of_one();
  form before = form_of(*s);
  const auto changes = [&](const char* what, auto&& input) {
    CAPTURE(what);
    input();
    const form after = form_of(*s);
    CHECK(after != before);
    before = after;
  };
  changes("an entry", [&] { CHECK(s->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 1_i, {{1, "a"}}))); });
  changes("the commit index alone", [&] { CHECK(s->step(append(1_n, 2_n, 1_t, {2_i, 1_t}, 2_i, {}))); });
  changes("another entry", [&] { CHECK(s->step(append(1_n, 2_n, 1_t, {2_i, 1_t}, 2_i, {{1, "b"}}))); });
  changes("it is overwritten by one of the same length", [&] {
    CHECK(s->step(append(3_n, 2_n, 2_t, {2_i, 1_t}, 2_i, {{2, "b"}})));
  });
  changes("a higher term", [&] { CHECK(s->step(append(1_n, 2_n, 3_t, {3_i, 2_t}, 2_i, {}))); });
  changes("evacuation", [&] { s->evacuate(); });
  changes("its end", [&] { s->stop_evacuation(); });
  changes("the leader is forgotten", [&] { CHECK(s->forget_leader()); });
  changes("a read elsewhere", [&] {
    CHECK(s->step(append(1_n, 2_n, 3_t, {3_i, 2_t}, 2_i, {})));
    CHECK(s->read_anywhere(5));
  });
  changes("its answer is awaited no longer", [&] { s->pass(600); });
  changes("a proposal elsewhere", [&] {
    CHECK(s->step(append(1_n, 2_n, 3_t, {3_i, 2_t}, 2_i, {})));
    CHECK(s->propose_anywhere("elsewhere", 9));
  });
  changes("a snapshot is being written", [&] { CHECK(s->begin_snapshot()); });
  changes("it is abandoned", [&] { CHECK(s->snapshot_abandoned(2_i)); });
  changes("a snapshot is asked for", [&] { CHECK(s->request_snapshot()); });
  changes("it stands", [&] { s->campaign(); });
  // Only those that are given decide; who refused is told by why_no_leader() alone.
  CHECK(s->step(say(3_n, 2_n, 3_t, request_pre_vote_reply{3_t, false})));
  CHECK(form_of(*s) == before);
  changes("a vote is given", [&] { CHECK(s->step(say(1_n, 2_n, 3_t, request_pre_vote_reply{3_t, true}))); });
}

TEST_CASE("canonical: with leases the promise to the leader is seen, and when it ends if times are") {
  setup how;
  how.options.lease_reads = true;
  auto fresh = story::start(2_n, {.term = 1, .members = voters(3)}, how);
  fresh->pass(400);  // what a restart promises has passed
  CHECK(fresh->step(append(1_n, 2_n, 1_t, {}, 0_i, {no_op(1)})));
  const form bound_to_1 = form_of(*fresh);
  const form until = timed_form_of(*fresh);
  fresh->now() += 1;
  CHECK(form_of(*fresh) == bound_to_1);
  CHECK(timed_form_of(*fresh) != until);

  // Of two that know of no leader in term 2, one gave its word to 1 in term 1, the other to 3.
  const auto promised = [&how](node_id leader) {
    auto s = story::start(2_n, {.term = 1, .members = voters(5)}, how);
    CHECK(s->step(append(leader, 2_n, 1_t, {}, 0_i, {})));
    CHECK(s->step(say(5_n, 2_n, 2_t, matched(0_i))));
    CHECK(s->leader() == nobody);
    return s;
  };
  CHECK(form_of(*promised(1_n)) == form_of(*promised(1_n)));
  CHECK(form_of(*promised(1_n)) != form_of(*promised(3_n)));
}

TEST_CASE("canonical: until when a promise to a leader holds is seen if times are") {
  setup how;
  how.options.lease_reads = true;
  // It is bound to 1 alone, and so may vote for it at once; from then on its own timer does not tell when 1 was heard.
  const auto heard_at = [&how](ms when) {
    auto s = story::start(2_n, {.term = 1, .members = voters(3)}, how);
    s->now() = when;
    CHECK(s->step(append(1_n, 2_n, 1_t, {}, 0_i, {})));
    s->now() = 30;
    CHECK(s->step(say(1_n, 2_n, 2_t, request_vote{})));
    CHECK(s->vote() == 1_n);
    return s;
  };
  REQUIRE(heard_at(10)->deadline() == heard_at(20)->deadline());
  CHECK(timed_form_of(*heard_at(10)) == timed_form_of(*heard_at(10)));
  CHECK(timed_form_of(*heard_at(10)) != timed_form_of(*heard_at(20)));
  CHECK(form_of(*heard_at(10)) == form_of(*heard_at(20)));
}

TEST_CASE("canonical: commands that were handed to a machine and are not executed yet are seen") {
  setup how;
  how.elsewhere = true;
  auto s = follower_of_one(how);
  CHECK(s->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 3_i, {{1, "a"}, {1, "b"}})));
  const form none = form_of(*s);
  CHECK(s->executed(2_i));
  const form one = form_of(*s);
  CHECK(one != none);
  CHECK(s->executed(3_i));
  CHECK(form_of(*s) != one);
  CHECK(form_of(*s) != none);
}

TEST_CASE("canonical: in which portions commands were handed to a machine elsewhere is seen") {
  setup how;
  how.elsewhere = true;
  const auto committed = [&how](std::initializer_list<index_t> steps) {
    auto s = follower_of_one(how);
    CHECK(s->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 1_i, {{1, "a"}, {1, "b"}})));
    for (const index_t commit : steps) CHECK(s->step(append(1_n, 2_n, 1_t, {3_i, 1_t}, commit, {})));
    CHECK(s->commit() == 3_i);
    return s;
  };
  CHECK(form_of(*committed({3_i})) == form_of(*committed({3_i})));
  CHECK(form_of(*committed({3_i})) != form_of(*committed({2_i, 3_i})));
}

TEST_CASE("canonical: which command a machine elsewhere was handed last is of no account once it is executed") {
  setup how;
  how.elsewhere = true;
  const stored log{.term = 1, .commit_hint = 2, .members = voters(3), .log = {no_op(1), {1, "a"}}};
  const letter no_command = append(1_n, 2_n, 1_t, {2_i, 1_t}, 3_i, {no_op(1)});
  recorder executed;
  executed.state = "a;";
  executed.durable_at = 2_i;
  // One executed it in this life, the other in an earlier one.
  auto stayed = story::start(2_n, log, how);
  CHECK(stayed->step(append(1_n, 2_n, 1_t, {2_i, 1_t}, 2_i, {})));
  CHECK(stayed->executed(2_i));
  CHECK(stayed->step(no_command));
  stayed->machine() = executed;
  auto again = story::start(2_n, log, how, executed);
  CHECK(again->step(no_command));
  REQUIRE(stayed->applied() == 3_i);
  REQUIRE(again->applied() == 3_i);
  CHECK(form_of(*stayed) == form_of(*again));
}

TEST_CASE("canonical: of two followers with one log, who proposed its end and has to tell the fate is another one") {
  const std::vector<written> log{no_op(1), {1, "x"}};
  auto led = story::start(2_n, {.members = voters(3)});
  win(*led);
  CHECK(led->propose("x"));
  auto followed = story::start(2_n, {.members = voters(3)});
  CHECK(followed->step(append(1_n, 2_n, 1_t, {}, 0_i, log)));
  for (server* s : {led.get(), followed.get()}) {
    CHECK(s->step(append(3_n, 2_n, 2_t, {2_i, 1_t}, 0_i, {})));
    REQUIRE(story::read(s->log().image()) == log);
  }
  CHECK(form_of(*led) != form_of(*followed));
  // When it gives up, nothing is left of it.
  for (server* s : {led.get(), followed.get()}) {
    s->now() = 10'000;
    CHECK(s->step(append(3_n, 2_n, 2_t, {2_i, 1_t}, 0_i, {})));
  }
  CHECK(led->machine().fates.size() == 1);
  CHECK(form_of(*led) == form_of(*followed));
}

TEST_CASE("canonical: candidates differ by who voted for them, and not by who did not") {
  for (const bool granted : {true, false}) {
    std::vector<form> forms;
    for (const node_id voter : {2_n, 3_n}) {
      auto s = story::start(1_n, {.members = voters(5)});
      s->campaign();
      forms.push_back(form_of(*s));
      CHECK(s->step(say(voter, 1_n, 0_t, request_pre_vote_reply{0_t, granted})));
      forms.push_back(form_of(*s));
    }
    CHECK(forms[0] == forms[2]);
    CHECK((forms[1] != forms[0]) == granted);
    CHECK((forms[1] != forms[3]) == granted);
  }
}

TEST_CASE("canonical: every change of a leader's state is seen") {
  setup how;
  how.options.commit_at_once = true;
  auto s = story::start(1_n, {.members = voters(3)}, how);
  win(*s);
  form before = form_of(*s);
  const auto changes = [&](const char* what, auto&& input) {
    CAPTURE(what);
    input();
    const form after = form_of(*s);
    CHECK(after != before);
    before = after;
  };
  changes("a heartbeat's round", [&] { s->pass(50); });
  changes("the round is echoed", [&] { CHECK(s->step(say(2_n, 1_n, 1_t, matched(0_i, 1)))); });
  changes("a match", [&] { CHECK(s->step(say(2_n, 1_n, 1_t, matched(1_i, 1)))); });
  changes("a proposal", [&] { CHECK(s->propose("x")); });
  changes("a read", [&] { CHECK(s->read(3)); });
  changes("a read of another server", [&] { CHECK(s->step(say(3_n, 1_n, 1_t, read_request{77}))); });
  changes("a forwarded proposal", [&] {
    CHECK(s->step(say(3_n, 1_n, 1_t, forwarded_proposal{5, 1, payload_of("f")})));
  });
  changes("a learner that is to be a voter", [&] { CHECK(s->add({.id = 4_n, .data = bytes_of("place")})); });
  changes("a refusal", [&] { CHECK(s->step(say(3_n, 1_n, 1_t, refused(0_i, {}, 0_i, 1)))); });
  changes("a transfer", [&] { CHECK(s->transfer_to(2_n)); });
}

TEST_CASE("canonical: parts of a node that nothing else shows are in the form, each by itself") {
  const auto differ = [](auto&& make, auto&& one, auto&& other) {
    auto a = make();
    auto b = make();
    CHECK(form_of(*a) == form_of(*b));
    one(*a);
    other(*b);
    CHECK(form_of(*a) != form_of(*b));
  };
  const auto follower = [] { return follower_of_one(); };
  const auto leader = [] {
    configuration members = voters(3);
    members.learners = {4_n, 5_n};
    auto s = story::start(1_n, {.members = members});
    win(*s);
    CHECK(s->step(say(2_n, 1_n, 1_t, matched(1_i))));
    CHECK(s->propose("2 and 3 lack it"));
    return s;
  };
  SUBCASE("a read elsewhere") {
    differ(
        follower, [](server& s) { CHECK(s.read_anywhere(5)); }, [](server& s) { CHECK(s.read_anywhere(6)); });
  }
  SUBCASE("a proposal elsewhere") {
    differ(
        follower, [](server& s) { CHECK(s.propose_anywhere("x", 5)); },
        [](server& s) { CHECK(s.propose_anywhere("x", 6)); });
  }
  SUBCASE("a proposal of another server, by its serial number") {
    const auto taken = [](std::uint64_t serial) {
      return [serial](server& s) { CHECK(s.step(say(3_n, 1_n, 1_t, forwarded_proposal{7, serial, payload_of("x")}))); };
    };
    differ(leader, taken(1), taken(2));
  }
  SUBCASE("whom leadership is handed to") {
    differ(
        leader, [](server& s) { CHECK(s.transfer_to(2_n)); }, [](server& s) { CHECK(s.transfer_to(3_n)); });
  }
  SUBCASE("who is to be a voter") {
    differ(
        leader,
        [](server& s) {
          CHECK(s.add({4_n, {}}));
        },
        [](server& s) {
          CHECK(s.add({5_n, {}}));
        });
  }
}

TEST_CASE("canonical: beside a Log whose form tells nothing, the node's own words for it count") {
  const auto hidden = [](const stored& log, bool deferred = false) {
    setup how = small_chunks();
    how.deferred = deferred;
    auto s = story::start(2_n, log, how);
    s->log().hidden = true;
    return s;
  };
  CHECK(form_of(*hidden({.term = 3, .vote = 1, .members = voters(3)})) !=
        form_of(*hidden({.term = 3, .vote = 3, .members = voters(3)})));
  CHECK(form_of(*hidden({.term = 3, .members = voters(3)})) != form_of(*hidden({.term = 4, .members = voters(3)})));
  CHECK(form_of(*hidden({.term = 3, .members = voters(3)})) != form_of(*hidden({.term = 3, .members = voters(5)})));

  // What is under way to the disk, and where in it the term and vote are.
  const auto applied = [&hidden] {
    auto s = hidden({.term = 1, .members = voters(3), .log = {no_op(1), {1, "a"}}}, true);
    CHECK(s->step(append(1_n, 2_n, 1_t, {2_i, 1_t}, 2_i, {})));
    CHECK(s->persisted());
    REQUIRE(s->applied() == 2_i);
    s->take_mail();
    return s;
  };
  const auto snapshot = [](server& s) { CHECK(s.take_snapshot()); };
  const auto term = [](server& s) { CHECK(s.step(say(3_n, 2_n, 2_t, matched(0_i)))); };
  auto none = applied();
  auto one = applied();
  snapshot(*one);
  CHECK(form_of(*none) != form_of(*one));
  auto other = applied();
  term(*one);
  term(*other);
  snapshot(*other);
  CHECK(form_of(*one) != form_of(*other));
}

TEST_CASE("canonical: answers that wait for the same write count each") {
  setup how;
  how.deferred = true;
  const auto answering = [&how](int times) {
    auto s = story::start(2_n, {.term = 1, .members = voters(3)}, how);
    for (int i = 0; i < times; ++i) CHECK(s->step(append(1_n, 2_n, 1_t, {}, 0_i, {no_op(1)}, 3)));
    return s;
  };
  CHECK(form_of(*answering(1)) != form_of(*answering(2)));
}

TEST_CASE("canonical: policies that say what they hold take part") {
  recorder other;
  other.state = "x;";
  const stored log{.term = 1, .members = voters(3)};
  auto a = story::start(2_n, log);
  auto b = story::start(2_n, log);
  CHECK(form_of(*a) == form_of(*b));
  CHECK(form_of(*a) != form_of(*story::start(2_n, log, {}, other)));
  b->carries() = false;
  CHECK(form_of(*a) != form_of(*b));
}

namespace {

/// A Log without a form of its own.
struct plain_log : private memory_log {
  static constexpr bool durable_on_return = true;
  using memory_log::append, memory_log::begin_snapshot, memory_log::compact, memory_log::configurations,
      memory_log::finish_snapshot, memory_log::first_index, memory_log::hard_state, memory_log::last_index,
      memory_log::partial, memory_log::read_snapshot, memory_log::snapshot, memory_log::store, memory_log::term_at,
      memory_log::truncate_from, memory_log::view, memory_log::write_snapshot;
  explicit plain_log(memory_log log) : memory_log(std::move(log)) {}
};

struct silent_transport {
  void send(const message&) {}
};
struct stopped_clock {
  using duration = ms;
  using time_point = ms;
  [[nodiscard]] static ms now() { return 0; }
};
/// Tells its state, where an Observer has one that counts.
struct telling_observer {
  std::uint64_t state = 0;
  void canonical(canonical_writer& w) const { w(state); }
};

form form_of_plain(const stored& log, std::uint64_t observed = 0) {
  auto made = node<silent_transport, plain_log, stopped_clock, recorder, telling_observer>::create(
      2_n, {}, 1, {}, plain_log{log.build()}, {}, {}, telling_observer{observed});
  REQUIRE(made);
  return form_by({}, [&](canonical_writer& w, const auto&) { made->canonical(w); });
}

}  // namespace

TEST_CASE("canonical: a Log without a form of its own counts by what it shows; an Observer with one counts") {
  const stored one{.term = 1, .members = voters(3), .log = {{1, "a"}}};
  stored other = one;
  other.log[0].text = "b";
  CHECK(form_of_plain(one) == form_of_plain(one));
  CHECK(form_of_plain(one) != form_of_plain(other));
  CHECK(form_of_plain(one, 1) != form_of_plain(one, 2));
}

TEST_CASE("canonical: times are written only if asked for, and relative to the present") {
  auto a = follower_of_one();
  auto b = follower_of_one();
  CHECK(timed_form_of(*a) == timed_form_of(*b));
  b->now() += 10;
  CHECK(form_of(*a) == form_of(*b));
  CHECK(timed_form_of(*a) != timed_form_of(*b));

  // Born ten later, and otherwise the same.
  const auto born_at = [](ms when) {
    auto where = std::make_shared<world>();
    where->now = when;
    auto made = try_start(2_n, stored{.members = voters(3)}.build(), {}, {}, where);
    REQUIRE(made);
    return *std::move(made);
  };
  CHECK(timed_form_of(*born_at(0)) == timed_form_of(*born_at(10)));
}

TEST_CASE("canonical: of two followers the form with times tells when each would stand, and how it draws that again") {
  const auto server_at = [](ms when, std::uint64_t seed) {
    auto where = std::make_shared<world>();
    where->now = when;
    setup how;
    how.seed = seed;
    auto made = try_start(2_n, stored{.term = 1, .members = voters(3)}.build(), how, {}, where);
    REQUIRE(made);
    return *std::move(made);
  };
  const auto at_hundred = [](server& s) {
    s.now() = 100;
    s.tick();
    return timed_form_of(s);
  };
  SUBCASE("when it would stand: the vote that both gave started their timers again") {
    const auto voting_at = [&server_at](ms when) {
      auto s = server_at(0, 1);
      s->now() = when;
      CHECK(s->step(say(1_n, 2_n, 2_t, request_vote{})));
      return s;
    };
    auto early = voting_at(10);
    auto late = voting_at(20);
    REQUIRE(early->deadline() + 10 == late->deadline());
    CHECK(at_hundred(*early) != at_hundred(*late));
  }
  SUBCASE("its timeout, which begins anew with each word of a leader: one that is longer began as much earlier") {
    std::uint64_t longer = 1;
    std::uint64_t shorter = 2;
    if (server_at(0, 1)->deadline() < server_at(0, 2)->deadline()) std::swap(longer, shorter);
    auto early = server_at(0, longer);
    auto late = server_at(early->deadline() - server_at(0, shorter)->deadline(), shorter);
    REQUIRE(late->now() > 0);
    REQUIRE(late->now() < 100);
    REQUIRE(early->deadline() == late->deadline());
    CHECK(at_hundred(*early) != at_hundred(*late));
  }
  SUBCASE("its last look at the clock, by which it reckons what follows from a write that became durable") {
    auto looked = server_at(0, 1);
    auto slept = server_at(0, 1);
    looked->pass(10);
    slept->now() = 10;
    REQUIRE(looked->deadline() == slept->deadline());
    CHECK(form_of(*looked) == form_of(*slept));
    CHECK(timed_form_of(*looked) != timed_form_of(*slept));
  }
}

TEST_CASE("canonical: what the generator gives is written only if asked for") {
  setup other;
  other.seed = 2;
  auto a = follower_of_one();
  auto b = follower_of_one(other);
  CHECK(form_of(*a) == form_of(*b));
  CHECK(form_of(canonical_writer{}.with_chance(), *a) != form_of(canonical_writer{}.with_chance(), *b));

  // A vote that is asked for twice is given twice, and each time the timer draws another number.
  const auto asked = [](int times) {
    auto s = story::start(2_n, {.term = 1, .members = voters(3)});
    for (int i = 0; i < times; ++i) CHECK(s->step(say(1_n, 2_n, 2_t, request_vote{})));
    return s;
  };
  CHECK(form_of(*asked(1)) == form_of(*asked(2)));
  CHECK(form_of(canonical_writer{}.with_chance(), *asked(1)) != form_of(canonical_writer{}.with_chance(), *asked(2)));
}

TEST_CASE("canonical: marks count by what is durable: the same log, come about by more writes") {
  setup how;
  how.deferred = true;
  const auto with_log = [&](bool by_a_detour) {
    auto s = story::start(2_n, {.term = 1, .members = voters(3)}, how);
    if (by_a_detour) {
      CHECK(s->step(append(1_n, 2_n, 1_t, {}, 0_i, {{1, "a"}})));
      CHECK(s->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 0_i, {{1, "b"}})));
    } else {
      CHECK(s->step(append(1_n, 2_n, 1_t, {}, 0_i, {{1, "a"}, {1, "b"}})));
    }
    return s;
  };
  auto a = with_log(false);
  auto b = with_log(true);
  CHECK(form_of(*a) != form_of(*b));  // one write is under way, or two
  CHECK(a->persisted());
  CHECK(b->persisted());
  CHECK(form_of(*a) == form_of(*b));
  CHECK(a->step(append(1_n, 2_n, 1_t, {2_i, 1_t}, 0_i, {{1, "c"}})));
  CHECK(b->step(append(1_n, 2_n, 1_t, {2_i, 1_t}, 0_i, {{1, "c"}})));
  CHECK(form_of(*a) == form_of(*b));
}

TEST_CASE("canonical: an answer that waits for the disk is seen, and in which order they wait") {
  setup how;
  how.deferred = true;
  const auto asked = [&](bool first_3) {
    auto s = story::start(2_n, {.term = 1, .members = voters(3)}, how);
    if (first_3) CHECK(s->step(say(3_n, 2_n, 2_t, request_vote{})));
    CHECK(s->step(say(1_n, 2_n, 2_t, request_vote{})));
    if (!first_3) CHECK(s->step(say(3_n, 2_n, 2_t, request_vote{})));
    return s;
  };
  CHECK(form_of(*asked(true)) != form_of(*asked(false)));
}

TEST_CASE("canonical: a message's fields and addresses all count, and its configurations are renamed") {
  const std::vector<renamed_id> swapped{{1_n, 2_n}, {2_n, 1_n}};
  const canonical_writer renaming{swapped};
  const letter one = append(1_n, 2_n, 3_t, {4_i, 2_t}, 3_i, {members(3, voters_of({1_n, 3_n}))}, 9);
  const letter two = append(2_n, 1_n, 3_t, {4_i, 2_t}, 3_i, {members(3, voters_of({2_n, 3_n}))}, 9);
  CHECK(form_of_value(renaming, one.what) == form_of_value(canonical_writer{}, two.what));
  CHECK(form_of_value(canonical_writer{}, one.what) != form_of_value(canonical_writer{}, two.what));
  for (const letter& l : {append(1_n, 2_n, 3_t, {4_i, 2_t}, 3_i, {members(3, voters_of({1_n, 3_n}))}, 8),
                          append(1_n, 2_n, 3_t, {4_i, 2_t}, 2_i, {members(3, voters_of({1_n, 3_n}))}, 9),
                          append(1_n, 2_n, 3_t, {4_i, 2_t}, 3_i, {members(3, voters_of({1_n, 4_n}))}, 9),
                          append(1_n, 2_n, 3_t, {4_i, 2_t}, 3_i, {{3, "command"}}, 9)}) {
    CHECK(form_of_value(canonical_writer{}, l.what) != form_of_value(canonical_writer{}, one.what));
  }
  const letter chunk_one = chunk(1_n, 2_n, 3_t, {4_i, 2_t}, voters_of({1_n}), "image", 0, 5);
  const letter chunk_two = chunk(2_n, 1_n, 3_t, {4_i, 2_t}, voters_of({2_n}), "image", 0, 5);
  CHECK(form_of_value(renaming, chunk_one.what) == form_of_value(canonical_writer{}, chunk_two.what));
  CHECK(form_of_value(renaming, chunk_one.what) != form_of_value(canonical_writer{}, chunk_one.what));
}

TEST_CASE("canonical: no number's form begins another one's") {
  std::vector<form> forms;
  std::set<std::uint64_t> numbers{300, UINT64_MAX - 1, UINT64_MAX};
  for (unsigned bit = 0; bit < 64; ++bit) numbers.insert({std::uint64_t{1} << bit, (std::uint64_t{1} << bit) - 1});
  for (const std::uint64_t n : numbers) {
    forms.push_back(form_by({}, [n](canonical_writer& w, const auto&) { w(n); }));
  }
  for (const form& a : forms) {
    for (const form& b : forms) {
      if (&a != &b) CHECK_FALSE(begins_with(b, a));
    }
  }
}

TEST_CASE("canonical: where bytes end, and others begin, is seen") {
  const auto of = [](std::string_view first, std::string_view second) {
    return form_by({}, [&](canonical_writer& w, const auto&) { w(payload_of(first), payload_of(second)); });
  };
  CHECK(of("ab", "c") != of("a", "bc"));
  CHECK(of("abc", "") != of("", "abc"));
}

TEST_CASE("canonical: a writer that was cleared writes the next form as if it were the first one") {
  const std::vector<renamed_id> renaming{{1_n, 5_n}};
  canonical_writer w{renaming};
  w.with_times();
  w(1_n);
  const form first{w.bytes().begin(), w.bytes().end()};
  w.clear();
  CHECK(w.bytes().empty());
  CHECK(w.times());
  w(1_n);
  CHECK(std::ranges::equal(w.bytes(), first));
}

TEST_CASE("canonical: that a moment never comes is told from every moment, and told only if times are asked for") {
  const auto of = [](canonical_writer w, ms moment, ms present) {
    return form_by(w,
                   [=](canonical_writer& to, const auto&) { raft::detail::canonical_moment<ms>(to, moment, present); });
  };
  const auto timed = [&of](ms moment, ms present) { return of(canonical_writer{}.with_times(), moment, present); };
  const form none = timed(never<ms>(), 100);
  for (const ms moment : {0, 99, 100, 101, 5000}) {
    CHECK_FALSE(begins_with(timed(moment, 100), none));
    CHECK_FALSE(begins_with(none, timed(moment, 100)));
    CHECK(of({}, moment, 100).empty());
  }
  CHECK(timed(99, 100) != timed(101, 100));
  CHECK(timed(7, 10) == timed(97, 100));
  CHECK(none == timed(never<ms>(), 0));
  CHECK(of({}, never<ms>(), 100).empty());
}

TEST_CASE("canonical: each role counts, and in it who leads, who voted, and whether the own vote is durable") {
  const options<ms> o{};
  const auto write = [&o](const auto& role) {
    return form_by({}, [&](canonical_writer& w, const auto& time) { raft::detail::canonical_role(w, role, o, time); });
  };
  using followers = roles::follower<ms>;
  every_change_shows<followers>(
      {}, write, {[](auto& f) { f.leader = 1_n; }, [](auto& f) { f.heard_at = 5; }, [](auto& f) { f.leader = 2_n; }});
  CHECK(write(followers{nobody, 5}) == write(followers{}));
  every_change_shows<roles::candidate>(
      {}, write,
      {[](auto& c) { c.own_vote_counted = true; }, [](auto& c) { c.votes.take(2_n, true); },
       [](auto& c) { c.votes.take(3_n, true); }});
  every_change_shows<roles::pre_candidate>(
      {}, write, {[](auto& c) { c.votes.take(2_n, true); }, [](auto& c) { c.votes.take(3_n, true); }});
}

TEST_CASE("canonical: whatever a leader knows of itself counts") {
  options<ms> o{};
  o.snapshot_bytes_per_second = 1000;
  o.lease_reads = true;
  o.eager_messages = 1;
  o.max_inflight_messages = 8;
  using leaders = roles::leader<ms>;
  const auto write = [&o](const leaders& role) {
    return form_by({}, [&](canonical_writer& w, const auto& time) { raft::detail::canonical_role(w, role, o, time); });
  };
  const std::vector<std::function<void(leaders&)>> changes{
      [](leaders& l) { l.counted = 1_i; },
      [](leaders& l) { l.first_index = 1_i; },
      [](leaders& l) { l.round = 1; },
      [](leaders& l) { l.wanted_round = 1; },
      [](leaders& l) { l.read_round = 1; },
      [](leaders& l) { l.appended_bytes = 1; },
      [](leaders& l) { l.peers.push_back({.id = 2_n}); },
      [](leaders& l) { l.uncommitted.push(1_i, 16); },
      [](leaders& l) { l.reads.push_back({}); },
      [](leaders& l) { l.reads[0].context = 1; },
      [](leaders& l) { l.reads[0].round = 1; },
      [](leaders& l) { l.reads[0].index = 1_i; },
      [](leaders& l) { l.asked.push_back({}); },
      [](leaders& l) { l.asked[0].by = 2_n; },
      [](leaders& l) { l.asked[0].ticket = 1; },
      [](leaders& l) { l.asked[0].round = 1; },
      [](leaders& l) { l.asked[0].index = 1_i; },
      [](leaders& l) { l.pace.pay(ms{10}, ms{5}, ms{1}); },
      [](leaders& l) { l.lease.begin_round(1, 10); },
      [](leaders& l) { l.offers_again = 7; },
      [](leaders& l) { l.offers = true; },
      [](leaders& l) { l.offers_since = 7; },
  };
  every_change_shows<leaders>({}, write, changes);

  // What an option leaves unused counts only with it.
  o.snapshot_bytes_per_second = 0;
  o.lease_reads = false;
  o.eager_messages = o.max_inflight_messages;
  leaders unused;
  const form plain = write(unused);
  for (const std::size_t change : {5U, 17U, 18U, 21U}) changes[change](unused);
  CHECK(write(unused) == plain);
}

TEST_CASE("canonical: a leader's own reads, those of others and its offer are not taken for each other") {
  using leaders = roles::leader<ms>;
  const options<ms> o{};
  const auto write = [&o](const leaders& role) {
    return form_by({}, [&](canonical_writer& w, const auto& time) { raft::detail::canonical_role(w, role, o, time); });
  };
  // Without how many own reads there are the numbers of both are 1 2 3 0 1 0 7.
  leaders own;
  own.reads.push_back({.context = 1, .round = 2, .index = 3_i});
  own.offers = true;
  own.offers_again = 7;
  leaders of_another;
  of_another.asked.push_back({.by = 2_n, .ticket = 3, .round = 0, .index = 1_i});
  of_another.offers_again = 7;
  CHECK(write(own) != write(of_another));

  leaders offering;
  offering.offers = true;
  offering.offers_since = 3;
  offering.offers_again = 4;
  leaders asked;
  asked.asked.push_back({.by = 1_n, .ticket = 3, .round = 4, .index = 5_i});
  CHECK_FALSE(begins_with(write(asked), write(offering)));
  leaders later;
  later.offers_again = 3;
  CHECK_FALSE(begins_with(write(offering), write(later)));
  // That it offers is no time.
  const auto untimed = [&o](const leaders& role) {
    return form_by({}, [&](canonical_writer& w, const auto&) { raft::detail::canonical_role(w, role, o, [](ms) {}); });
  };
  CHECK(untimed(offering) != untimed(leaders{}));
}

TEST_CASE("canonical: whatever a leader knows of a peer counts") {
  options<ms> o{};
  o.commit_at_once = true;
  o.eager_messages = 1;
  o.max_inflight_messages = 8;
  using peers = progress<ms>;
  const auto write = [&o](const peers& p) {
    return form_by({}, [&](canonical_writer& w, const auto& time) { raft::detail::canonical_peer(w, p, o, time); });
  };
  const std::vector<std::function<void(peers&)>> changes{
      [](peers& p) { p.id = 2_n; },
      [](peers& p) { p.match = 3_i; },
      [](peers& p) { p.next = 4_i; },
      [](peers& p) { p.state = progress_state::replicate; },
      [](peers& p) { p.look = !p.look; },
      [](peers& p) { p.waiting = !p.waiting; },
      [](peers& p) { p.heartbeat = !p.heartbeat; },
      [](peers& p) { p.round = 5; },
      [](peers& p) { p.suspicion = 6; },
      [](peers& p) { p.requested = !p.requested; },
      [](peers& p) { p.passed_over = !p.passed_over; },
      [](peers& p) { p.prompt = !p.prompt; },
      [](peers& p) { p.sent_bytes = 7; },
      [](peers& p) { p.inflight.push(4_i, 16); },
      [](peers& p) { p.told_commit = 3_i; },
      [](peers& p) { p.heard_at = 8; },
      [](peers& p) { p.state = progress_state::snapshot; },
      [](peers& p) { p.snapshot_id = 9; },
      [](peers& p) { p.snapshot_offset = 10; },
      [](peers& p) { p.carried = !p.carried; },
      [](peers& p) { p.sent_at = 11; },
      [](peers& p) { p.moved_at = 12; },
  };
  every_change_shows<peers>({}, write, changes);

  // What is of use in another state, or with an option, is left out.
  peers probed{.id = 2_n, .state = progress_state::probe};
  form plain = write(probed);
  for (const std::size_t change : {17U, 18U, 19U, 20U, 21U}) changes[change](probed);
  CHECK(write(probed) == plain);
  o.commit_at_once = false;
  o.eager_messages = o.max_inflight_messages;
  plain = write(probed);
  for (const std::size_t change : {11U, 12U, 14U}) changes[change](probed);
  CHECK(write(probed) == plain);
}

TEST_CASE("canonical: of what waits in the outbox each message counts, what it speaks for, and its write") {
  durability d;
  d.wrote(1_m);
  using outbox = std::vector<waiting::outgoing>;
  const auto write = [&d](const outbox& box) {
    return form_by({}, [&](canonical_writer& w, const auto&) { raft::detail::canonical_outbox(w, box, d); });
  };
  using enum waiting::speaks_for;
  every_change_shows<outbox>(
      {}, write,
      {[](outbox& box) { box.emplace_back(1_n, 2_n, 1_t, request_vote_reply{true}, term_and_vote); },
       [](outbox& box) { box[0].about = everything; }, [](outbox& box) { box[0].stamped = true; },
       [](outbox& box) { box[0].mark = 1_m; }, [](outbox& box) { box[0].mark = 3_m; },
       [](outbox& box) { box.emplace_back(1_n, 2_n, 1_t, matched(1_i), everything); },
       [](outbox& box) { std::swap(box[0].what, box[1].what); },
       [](outbox& box) { box.emplace_back(1_n, 3_n, 1_t, request_vote{}, everything); }});
  // Requests for votes go out in the order of the ids, whoever comes first; all others in theirs.
  const auto two = [&write](node_id a, node_id b, const auto& body, mark_t of_b = {}) {
    outbox box;
    box.emplace_back(9_n, a, 1_t, body, everything);
    box.emplace_back(9_n, b, 1_t, body, everything);
    box.back().mark = of_b;
    return write(box);
  };
  CHECK(two(1_n, 2_n, request_vote{}) == two(2_n, 1_n, request_vote{}));
  CHECK(two(1_n, 2_n, request_pre_vote{}) == two(2_n, 1_n, request_pre_vote{}));
  CHECK(two(1_n, 2_n, request_vote_reply{}) != two(2_n, 1_n, request_vote_reply{}));
  CHECK(two(1_n, 2_n, request_vote{}, 3_m) != two(2_n, 1_n, request_vote{}, 3_m));
  outbox mixed;
  mixed.emplace_back(9_n, 2_n, 1_t, request_vote{}, everything);
  mixed.emplace_back(9_n, 1_n, 1_t, request_vote_reply{}, everything);
  outbox turned;
  turned.emplace_back(9_n, 1_n, 1_t, request_vote_reply{}, everything);
  turned.emplace_back(9_n, 2_n, 1_t, request_vote{}, everything);
  CHECK(write(mixed) != write(turned));
}

TEST_CASE("canonical: the outbox ends where it ends, and how much waits in it is seen") {
  const durability d;
  const auto write = [&d](std::span<const waiting::outgoing> box) {
    return form_by({}, [&](canonical_writer& w, const auto&) { raft::detail::canonical_outbox(w, box, d); });
  };
  using enum waiting::speaks_for;
  using outbox = std::vector<waiting::outgoing>;
  outbox votes;
  for (const node_id to : {3_n, 2_n, 1_n}) votes.emplace_back(9_n, to, 1_t, request_vote{}, everything);
  outbox mixed;
  mixed.emplace_back(9_n, 4_n, 1_t, request_vote_reply{}, everything);
  mixed.insert(mixed.end(), votes.begin(), votes.end());
  for (const outbox& box : {votes, mixed}) {
    for (std::size_t n = 0; n < box.size(); ++n) {
      CAPTURE(n);
      const std::span<const waiting::outgoing> some = std::span{box}.first(n);
      outbox others(some.begin(), some.end());
      others.push_back(mixed[0]);
      CHECK(write(some) == write(std::span{others}.first(n)));  // whatever lies behind them
      CHECK_FALSE(begins_with(write(std::span{box}.first(n + 1)), write(some)));
    }
  }
}

TEST_CASE("canonical: of proposals without a fate each counts, with all that is known of it") {
  using proposals = std::vector<waiting::proposals<ms>>;
  const auto write = [](const proposals& all) {
    return form_by({}, [&](canonical_writer& w, const auto& time) { raft::detail::canonical_proposals(w, all, time); });
  };
  every_change_shows<proposals>({}, write,
                                {[](auto& all) { all.push_back({}); }, [](auto& all) { all[0].term = 1_t; },
                                 [](auto& all) { all[0].first = 2_i; }, [](auto& all) { all[0].last = 3_i; },
                                 [](auto& all) { all[0].give_up = 4; }, [](auto& all) { all.push_back({}); }});
  CHECK_FALSE(begins_with(write({{1_t, 2_i, 3_i, 4}}), write({})));
  CHECK_FALSE(begins_with(write({{1_t, 2_i, 3_i, 4}, {}}), write({{1_t, 2_i, 3_i, 4}})));
}

TEST_CASE("canonical: snapshots under way, a promotion and a transfer count, each with what belongs to it") {
  durability d;
  d.wrote(1_m);
  using snapshots = waiting::snapshots;
  const auto write_snapshots = [&d](const snapshots& s) {
    return form_by({}, [&](canonical_writer& w, const auto&) { raft::detail::canonical_snapshots(w, s, d); });
  };
  every_change_shows<snapshots>(
      {}, write_snapshots,
      {[](auto& s) { s.to_restore = true; }, [](auto& s) { s.restore_mark = 1_m; }, [](auto& s) { s.restoring = 4_i; },
       [](auto& s) { s.own = 5_i; }, [](auto& s) { s.own_meta.index = 5_i; }, [](auto& s) { s.wanted = 6_i; },
       [](auto& s) { s.asked_in = 7; }});
  snapshots none;
  none.restore_mark = 1_m;
  none.own_meta.index = 5_i;
  none.asked_in = 7;
  CHECK(write_snapshots(none) == write_snapshots({}));

  using promotions = promotion<ms>;
  const auto write_promotion = [](const promotions& p) {
    return form_by({}, [&](canonical_writer& w, const auto& time) { raft::detail::canonical_promotion(w, p, time); });
  };
  const std::vector<std::function<void(promotions&)>> of_promotion{
      [](auto& p) { p.target = 4_n; }, [](auto& p) { p.goal = 2_i; },
      [](auto& p) { p.began = 3; },    [](auto& p) { p.round = 4; },
      [](auto& p) { p.match = 5_i; },  [](auto& p) { p.offset = 6; },
      [](auto& p) { p.moved_at = 7; }, [](auto& p) { p.ended = promotion_fate::too_slow; }};
  every_change_shows<promotions>({}, write_promotion, of_promotion);
  promotions nobodys;
  for (std::size_t change = 1; change < of_promotion.size(); ++change) of_promotion[change](nobodys);
  CHECK(write_promotion(nobodys) == write_promotion({}));

  using transfers = transfer<ms>;
  const auto write_transfer = [](const transfers& t) {
    return form_by({}, [&](canonical_writer& w, const auto& time) { raft::detail::canonical_transfer(w, t, time); });
  };
  const std::vector<std::function<void(transfers&)>> of_transfer{
      [](auto& t) { t.target = 2_n; },     [](auto& t) { t.term = 3_t; },     [](auto& t) { t.goal = 4_i; },
      [](auto& t) { t.deadline = 5; },     [](auto& t) { t.refuses = true; }, [](auto& t) { t.asked = true; },
      [](auto& t) { t.ever_asked = true; }};
  every_change_shows<transfers>({}, write_transfer, of_transfer);
  transfers to_nobody;
  for (std::size_t change = 1; change < of_transfer.size(); ++change) of_transfer[change](to_nobody);
  CHECK(write_transfer(to_nobody) == write_transfer({}));
}

}  // namespace impl_canonical_test
