// The tape of a recording: what each note is on recording and on replay, what cut-off and forged notes do, and the
// policies that speak to it. That whole nodes come to the same is record_test's.

#include <doctest/doctest.h>
#include <raft/memory_log.hpp>
#include <raft/record_tape.hpp>

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "support/letter.hpp"
#include "support/printing.hpp"
#include "support/test_log.hpp"

namespace record_tape_test {

using namespace raft;
using namespace story;

namespace {

constexpr std::uint8_t time_note = 0xf0;
constexpr std::uint8_t log_error_note = 0xf1;
constexpr std::uint8_t answer_note = 0xf2;
constexpr std::uint8_t short_view_note = 0xf3;
constexpr std::uint8_t sum_note = 0xf4;
constexpr std::uint8_t carried_note = 0xf5;

constexpr std::int64_t time_limit = std::int64_t{1} << 61;

using raw = std::vector<std::byte>;

raw bytes_are(std::initializer_list<int> all) {
  raw out;
  for (const int b : all) out.push_back(static_cast<std::byte>(b));
  return out;
}

/// A note with these numbers.
raw note_of(std::uint8_t kind, const std::vector<std::uint64_t>& numbers) {
  raw out{static_cast<std::byte>(kind)};
  raft::detail::form_writer form{out};
  for (const std::uint64_t n : numbers) form(n);
  return out;
}

raw operator+(raw a, const raw& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

raw noted(const tape& t) { return {t.written().begin(), t.written().end()}; }

enum class ending { whole, cut_off };

/// A tape that replays these notes, behind no input.
struct replaying : tape {
  explicit replaying(raw all, ending how = ending::whole) : notes(std::move(all)) {
    replay({}, notes, how == ending::cut_off);
  }
  raw notes;
};

/// Reads a clock that shows `now`.
std::int64_t read_clock(tape& t, std::int64_t now) {
  return t.time([now] { return now; });
}

/// A call of a Log that answers with this number.
result<std::uint64_t> call_log(tape& t, std::uint64_t answer) {
  return t.log_call([answer] { return result<std::uint64_t>{answer}; });
}
result<std::uint64_t> fail_log(tape& t, errc code, std::uint64_t detail) {
  return t.log_call([&] { return result<std::uint64_t>{error{code, 3_n, detail, "of the test"}}; });
}

}  // namespace

// ---------------------------------------------------------------------------------------------------- readings

TEST_CASE("tape: a reading of the clock is noted as its way from the last one, and handed back") {
  tape recording;
  CHECK(read_clock(recording, 5) == 5);
  CHECK(read_clock(recording, 5) == 5);
  CHECK(read_clock(recording, 68) == 68);
  CHECK(noted(recording) == bytes_are({time_note, 10, time_note, 0, time_note, 126}));
  replaying t{noted(recording)};
  CHECK(read_clock(t, 999) == 5);
  CHECK(read_clock(t, 999) == 5);
  CHECK_FALSE(t.all_asked_for());
  CHECK(read_clock(t, 999) == 68);
  CHECK(t.all_asked_for());
  CHECK_FALSE(t.diverged());
  CHECK(t.sum() == recording.sum());
  CHECK(t.written().empty());
}

TEST_CASE("tape: a clock may begin below zero and never goes back") {
  tape recording;
  CHECK(read_clock(recording, -5) == -5);
  CHECK(noted(recording) == bytes_are({time_note, 9}));
  replaying t{noted(recording) + bytes_are({time_note, 9})};
  CHECK(read_clock(t, 0) == -5);
  CHECK(read_clock(t, 0) == -5);
  CHECK(t.notes.size() == 4);
  CHECK_FALSE(t.all_asked_for());  // although nothing is left
  CHECK_FALSE(t.diverged());
}

TEST_CASE("tape: a reading up to which arithmetic is safe is handed back, and none beyond") {
  struct row {
    std::int64_t reading;
    bool good;
  };
  for (const row& r :
       {row{time_limit, true}, row{time_limit + 1, false}, row{-time_limit, true}, row{-time_limit - 1, false},
        row{std::numeric_limits<std::int64_t>::max(), false}, row{std::numeric_limits<std::int64_t>::min(), false}}) {
    CAPTURE(r.reading);
    tape recording;
    CHECK(read_clock(recording, r.reading) == r.reading);
    replaying t{noted(recording)};
    CHECK(read_clock(t, 7) == (r.good ? r.reading : 0));
    CHECK(t.all_asked_for() == r.good);
  }
}

TEST_CASE("tape: a reading that was not noted diverges, unless the notes were cut off; the last one is handed back") {
  for (const ending how : {ending::whole, ending::cut_off}) {
    for (const raw& other : {raw{}, note_of(answer_note, {1})}) {
      replaying t{note_of(time_note, {8}) + other, how};
      CHECK(read_clock(t, 9) == 4);
      CHECK(read_clock(t, 9) == 4);
      CHECK(t.diverged() == (how == ending::whole));
      CHECK(t.all_asked_for() == other.empty());
    }
  }
}

TEST_CASE("tape: what diverged stays so, whatever follows") {
  replaying t{{}};
  CHECK(t.answer(1) == 1);
  CHECK(t.diverged());
  const raw notes = note_of(answer_note, {2});
  t.replay({}, notes, true);
  CHECK(t.answer(1) == 2);
  CHECK(t.answer(1) == 1);
  CHECK(t.diverged());
  replaying told{{}};
  CHECK_FALSE(told.diverged());
  told.diverge();
  CHECK(told.diverged());
}

// ---------------------------------------------------------------------------------------------------- the Log's errors

TEST_CASE("tape: an error of the Log is noted with the number of its call, and comes back at that call") {
  tape recording;
  CHECK(*call_log(recording, 7) == 7);
  CHECK(recording.written().empty());
  CHECK(fail_log(recording, errc::io, 28).error() == error{errc::io, 3_n, 28, ""});
  CHECK(*call_log(recording, 8) == 8);
  CHECK(noted(recording) == bytes_are({log_error_note, 2, static_cast<int>(errc::io), 28}));
  replaying t{noted(recording)};
  CHECK(*call_log(t, 7) == 7);
  CHECK_FALSE(t.all_asked_for());
  bool asked = false;
  const auto answer = t.log_call([&] {
    asked = true;
    return result<std::uint64_t>{8};
  });
  REQUIRE_FALSE(answer);
  CHECK(answer.error() == error{errc::io, nobody, 28, ""});
  CHECK_FALSE(asked);
  CHECK(*call_log(t, 8) == 8);
  CHECK(t.all_asked_for());
  CHECK_FALSE(t.diverged());
  CHECK(t.sum() == recording.sum());
}

TEST_CASE("tape: the sum tells which call of the Log failed, with which code, and which detail") {
  const auto sum_after = [](int calls, errc code, std::uint64_t detail) {
    tape t;
    for (int i = 0; i < calls; ++i) CHECK(call_log(t, 1));
    CHECK_FALSE(fail_log(t, code, detail));
    return t.sum();
  };
  tape none;
  CHECK(call_log(none, 1));
  CHECK(none.sum() == tape{}.sum());
  const std::set<std::uint64_t> sums{none.sum(), sum_after(0, errc::io, 1), sum_after(1, errc::io, 1),
                                     sum_after(0, errc::corrupt, 1), sum_after(0, errc::io, 2)};
  CHECK(sums.size() == 5);
}

TEST_CASE("tape: an error of the Log that cannot be one is refused, and the Log is asked") {
  struct row {
    raw note;
    bool good;
  };
  for (const row& r : {row{note_of(log_error_note, {1, 1, 0}), true}, row{note_of(log_error_note, {1, 255, 0}), true},
                       row{note_of(log_error_note, {1, 0, 0}), false}, row{note_of(log_error_note, {1, 256, 0}), false},
                       row{note_of(log_error_note, {1, 1}), false}, row{note_of(log_error_note, {2, 0, 0}), false}}) {
    CAPTURE(r.note.size());
    replaying t{r.note};
    CHECK(call_log(t, 5).has_value() == !r.good);
    CHECK(t.all_asked_for() == r.good);
    CHECK(t.sum() != (r.good ? tape{}.sum() : 0));
  }
  replaying t{note_of(log_error_note, {1, 0, 0})};
  CHECK(*call_log(t, 5) == 5);
  CHECK(t.sum() == tape{}.sum());
}

TEST_CASE("tape: calls of the Log are counted from each input on") {
  tape recording;
  CHECK(call_log(recording, 1));
  CHECK(call_log(recording, 1));
  inputs::tick in;
  recording.write(in);
  CHECK_FALSE(fail_log(recording, errc::io, 0));
  CHECK(noted(recording) == bytes_are({1, log_error_note, 1, static_cast<int>(errc::io), 0}));

  replaying t{{}};
  CHECK(call_log(t, 1));
  CHECK(call_log(t, 1));
  const raw tick = bytes_are({1});
  const raw notes = note_of(log_error_note, {1, static_cast<std::uint64_t>(errc::io), 0});
  t.replay(tick, notes, false);
  CHECK_FALSE(call_log(t, 1));
  CHECK(t.all_asked_for());
  CHECK(t.sum() == recording.sum());
}

// ---------------------------------------------------------------------------------------------------- answers, offers

TEST_CASE("tape: an answer is noted, and handed back in place of one's own") {
  tape recording;
  CHECK(recording.answer(300) == 300);
  CHECK(noted(recording) == bytes_are({answer_note, 0xac, 2}));
  replaying t{noted(recording)};
  CHECK(t.answer(1) == 300);
  CHECK(t.all_asked_for());
  CHECK_FALSE(t.diverged());
  CHECK(t.sum() == recording.sum());
}

TEST_CASE("tape: an answer that was not noted is one's own, and diverges unless the notes were cut off") {
  for (const ending how : {ending::whole, ending::cut_off}) {
    for (const raw& other : {raw{}, note_of(time_note, {1})}) {
      replaying t{other, how};
      CHECK(t.answer(4) == 4);
      CHECK(t.diverged() == (how == ending::whole));
      CHECK(t.all_asked_for() == other.empty());
    }
  }
}

TEST_CASE("tape: of the offers of a snapshot those that were taken are noted, and taken again") {
  tape recording;
  CHECK_FALSE(recording.carries([] { return false; }));
  CHECK(recording.written().empty());
  CHECK(recording.carries([] { return true; }));
  CHECK(noted(recording) == bytes_are({carried_note}));

  int offers = 0;
  const auto offer = [&] { return ++offers != 0; };
  replaying t{bytes_are({carried_note, carried_note})};
  CHECK(t.carries(offer));
  CHECK_FALSE(t.all_asked_for());
  CHECK(t.carries(offer));
  CHECK(t.all_asked_for());
  CHECK_FALSE(t.carries(offer));
  CHECK(offers == 0);
  CHECK_FALSE(t.diverged());

  replaying other{note_of(answer_note, {1})};
  CHECK_FALSE(other.carries(offer));
  CHECK(other.answer(2) == 1);
  CHECK(other.all_asked_for());
}

// ---------------------------------------------------------------------------------------------------- short views

TEST_CASE("tape: a view that shows less than was asked is noted with its call; a whole one is not") {
  tape recording;
  CHECK(call_log(recording, 1));
  CHECK(recording.shown(4, 4) == 4);
  CHECK(recording.written().empty());
  CHECK(recording.sum() == tape{}.sum());
  CHECK(call_log(recording, 1));
  CHECK(recording.shown(3, 4) == 3);
  CHECK(noted(recording) == bytes_are({short_view_note, 2, 3}));
  CHECK(recording.sum() != tape{}.sum());

  replaying t{noted(recording)};
  CHECK(call_log(t, 1));
  CHECK(t.shown(4, 4) == 4);
  CHECK_FALSE(t.all_asked_for());
  CHECK(call_log(t, 1));
  CHECK(t.shown(4, 4) == 3);
  CHECK(t.all_asked_for());
  CHECK_FALSE(t.diverged());
  CHECK(t.sum() == recording.sum());
  CHECK(t.written().empty());
}

TEST_CASE("tape: a replayed view is as long as the recorded one, which this Log has to have") {
  struct row {
    std::vector<std::uint64_t> noted;  ///< Nothing: all that was asked for.
    std::uint64_t own;
    std::uint64_t shown;
    bool diverges;
  };
  constexpr std::uint64_t asked = 9;
  for (const row& r :
       {row{{0, 3}, 9, 3, false}, row{{0, 3}, 4, 3, false}, row{{0, 3}, 3, 3, false}, row{{0, 4}, 3, 3, true},
        row{{0, 0}, 3, 3, true}, row{{0, 0}, 9, 9, true}, row{{}, 9, 9, false}, row{{}, 8, 8, true}}) {
    for (const ending how : {ending::whole, ending::cut_off}) {
      replaying t{r.noted.empty() ? raw{} : note_of(short_view_note, r.noted), how};
      CAPTURE(r.own);
      CAPTURE(t.notes.size());
      CHECK(t.shown(r.own, asked) == r.shown);
      CHECK(t.diverged() == (r.diverges && how == ending::whole));
      CHECK(t.all_asked_for());
      CHECK((t.sum() == tape{}.sum()) == (r.shown == asked));
    }
  }
}

TEST_CASE("tape: a note of another kind, or of another call, is left where it is") {
  replaying t{note_of(time_note, {8})};
  CHECK(t.shown(4, 4) == 4);
  CHECK(call_log(t, 1));
  CHECK_FALSE(t.carries([] { return true; }));
  CHECK_FALSE(t.diverged());
  CHECK(read_clock(t, 0) == 4);
  CHECK(t.all_asked_for());

  replaying view{note_of(short_view_note, {1, 2}) + note_of(answer_note, {1})};  // not error 2 of call 1
  CHECK(call_log(view, 1));
  CHECK(view.shown(4, 4) == 2);
  CHECK(view.answer(9) == 1);
  CHECK(view.all_asked_for());

  replaying later{note_of(short_view_note, {2, 1})};
  CHECK(call_log(later, 1));
  CHECK(later.shown(4, 4) == 4);
  CHECK_FALSE(later.all_asked_for());
  CHECK(call_log(later, 1));
  CHECK(later.shown(4, 4) == 1);
  CHECK(later.all_asked_for());
}

// ---------------------------------------------------------------------------------------------------- inputs and sums

TEST_CASE("tape: an input is written with its number, and is in the sum on both sides") {
  tape recording;
  inputs::read in{7};
  recording.write(in);
  CHECK(noted(recording) == bytes_are({6, 7}));
  CHECK(recording.sum() != tape{}.sum());
  const raw input = noted(recording);
  recording.clear_written();
  CHECK(recording.written().empty());
  recording.write_sum();
  REQUIRE(recording.written().size() == 9);
  CHECK(recording.written()[0] == std::byte{sum_note});
  CHECK(raft::detail::load_le<std::uint64_t>(recording.written().data() + 1) == recording.sum());

  tape t;
  t.replay(input, {}, false);
  CHECK(t.sum() == recording.sum());
  CHECK(t.all_asked_for());
  tape at_start;
  at_start.replay({}, {}, false);  // no input: what a node does while it is made
  CHECK(at_start.sum() == tape{}.sum());
}

TEST_CASE("tape: bytes, numbers and messages that went out are in the sum") {
  const auto sum_after = [](auto output) {
    tape t;
    output(t);
    return t.sum();
  };
  const std::set<std::uint64_t> sums{tape{}.sum(),
                                     sum_after([](tape& t) { t.did(payload_of("a")); }),
                                     sum_after([](tape& t) { t.did(payload_of("b")); }),
                                     sum_after([](tape& t) { t.did(1, 2); }),
                                     sum_after([](tape& t) { t.did(1, 3); }),
                                     sum_after([](tape& t) {
                                       t.did_send(say(1_n, 2_n, 3_t, request_vote{4_i, 2_t}).what);
                                     }),
                                     sum_after([](tape& t) {
                                       t.did_send(say(1_n, 2_n, 3_t, request_vote{4_i, 3_t}).what);
                                     })};
  CHECK(sums.size() == 7);
}

// ---------------------------------------------------------------------------------------------------- the Transport

namespace {

struct plain_transport {
  std::vector<letter>* sent;
  void send(const message& m) { sent->push_back(keep(m)); }
};

struct carrier : plain_transport {
  bool takes;
  std::vector<std::uint64_t>* offered;
  bool send_snapshot(const envelope&, const install_snapshot& head) {
    offered->push_back(head.id);
    return takes;
  }
};

install_snapshot head_of(std::uint64_t id) {
  install_snapshot head{};
  head.id = id;
  return head;
}

const envelope to_second{1_n, 2_n, 3_t};

}  // namespace

TEST_CASE("taped_transport: what is sent is an output, and goes on") {
  std::vector<letter> sent;
  tape t;
  raft::detail::taped_transport<plain_transport> transport{&t, {&sent}};
  const letter vote = say(1_n, 2_n, 3_t, request_vote{4_i, 2_t});
  transport.send(vote.what);
  REQUIRE(sent.size() == 1);
  CHECK(sent[0] == vote);
  tape other;
  other.did_send(vote.what);
  CHECK(t.sum() == other.sum());
  CHECK(t.sum() != tape{}.sum());
}

TEST_CASE("taped_transport: a snapshot that is carried is an output; one that is declined is none, nor is it noted") {
  std::vector<letter> sent;
  std::vector<std::uint64_t> offered;
  tape taken;
  raft::detail::taped_transport<carrier> takes{&taken, {{&sent}, true, &offered}};
  CHECK(takes.send_snapshot(to_second, head_of(7)));
  CHECK(offered == std::vector<std::uint64_t>{7});
  CHECK(noted(taken) == bytes_are({carried_note}));
  tape other;
  raft::detail::taped_transport<carrier> takes_another{&other, {{&sent}, true, &offered}};
  CHECK(takes_another.send_snapshot(to_second, head_of(8)));
  CHECK(std::set<std::uint64_t>{tape{}.sum(), taken.sum(), other.sum()}.size() == 3);

  tape declined;
  raft::detail::taped_transport<carrier> declines{&declined, {{&sent}, false, &offered}};
  CHECK_FALSE(declines.send_snapshot(to_second, head_of(9)));
  CHECK(offered == std::vector<std::uint64_t>{7, 8, 9});
  CHECK(declined.written().empty());
  CHECK(declined.sum() == tape{}.sum());

  tape without;
  raft::detail::taped_transport<plain_transport> carries_nothing{&without, {&sent}};
  CHECK_FALSE(carries_nothing.send_snapshot(to_second, head_of(9)));
  CHECK(without.written().empty());
  CHECK(sent.empty());

  replaying again{noted(taken)};
  raft::detail::taped_transport<raft::detail::no_transport> replayed{&again, {}};
  CHECK(replayed.send_snapshot(to_second, head_of(7)));
  CHECK_FALSE(replayed.send_snapshot(to_second, head_of(7)));
  CHECK(again.sum() == taken.sum());
}

// ---------------------------------------------------------------------------------------------------- the Log

namespace {

const std::vector<written> four{{1, "a"}, {1, "a longer one"}, {2, "c"}, {3, "dd"}};

template <class Log>
raft::detail::taped_log<Log> log_with(tape& t, const std::vector<written>& held) {
  stored s{.term = 3, .members = voters(3), .log = held};
  return {&t, Log{s.build()}};
}

}  // namespace

TEST_CASE("taped_log: a replayed view is cut to as many entries as the recorded one showed") {
  tape recording;
  const auto recorded = log_with<durable_test_log>(recording, four);
  REQUIRE(recorded.view(1_i, 4_i, 60)->count() == 2);
  CHECK(noted(recording) == bytes_are({short_view_note, 1, 2}));
  for (std::uint32_t count = 1; count <= 4; ++count) {
    CAPTURE(count);
    replaying t{count == 4 ? raw{} : note_of(short_view_note, {1, count})};
    const auto log = log_with<durable_test_log>(t, four);
    const auto batch = log.view(1_i, 4_i, 1000);
    REQUIRE(batch);
    CHECK(read(*batch) == std::vector(four.begin(), four.begin() + count));
    CHECK(batch->last_term() == term_t{four[count - 1].term});
    const auto parsed = entries::parse(batch->data(), batch->bytes(), batch->count());
    REQUIRE(parsed);
    CHECK(parsed->last_term() == batch->last_term());
    CHECK(t.all_asked_for());
    CHECK_FALSE(t.diverged());
  }
}

TEST_CASE("taped_log: a view of the rest of the log is a whole one, whatever its first index") {
  tape t;
  const auto log = log_with<durable_test_log>(t, four);
  for (std::uint64_t from = 1; from <= 4; ++from) CHECK(log.view(index_t{from}, 4_i, 1000)->count() == 5 - from);
  CHECK(t.written().empty());
  CHECK(t.sum() == tape{}.sum());
}

TEST_CASE("taped_log: a view that fails is an error and shows nothing, on both sides") {
  tape recording;
  auto log = log_with<durable_test_log>(recording, four);
  log.inner.unreadable = {errc::not_at_hand, nobody, 0, "cold"};
  CHECK(log.view(1_i, 4_i, 1000).error().code == errc::not_at_hand);
  CHECK(noted(recording) == bytes_are({log_error_note, 1, static_cast<int>(errc::not_at_hand), 0}));
  replaying t{noted(recording)};
  const auto again = log_with<durable_test_log>(t, four);
  const auto shown = again.view(1_i, 4_i, 1000);
  REQUIRE_FALSE(shown);
  CHECK(shown.error().code == errc::not_at_hand);
  CHECK(t.all_asked_for());
  CHECK(t.sum() == recording.sum());
}

namespace {

/// Writes of every kind, as far as they succeed: the marks.
template <class Log>
std::vector<std::uint64_t> marks_of_writes(raft::detail::taped_log<Log>& log) {
  std::vector<std::uint64_t> marks;
  const auto note = [&](const result<mark_t>& mark) { marks.push_back(mark ? mark->value : 0); };
  const payload command = payload_of("x");
  note(log.store({4_t, 1_n, 0_i}));
  note(log.append(4_t, entry_kind::command, std::span{&command, 1}));
  const bytes wire = wire_of({{4, "y"}});
  note(log.append(*entries::parse(wire.data(), wire.size(), 1)));
  note(log.truncate_from(2_i));
  return marks;
}

}  // namespace

TEST_CASE("taped_log: the first write's mark is noted, and those of the replayed Log are moved to it") {
  tape recording;
  auto log = log_with<deferred_test_log>(recording, four);
  REQUIRE(log.inner.store({3_t, nobody, 0_i}));
  REQUIRE(log.inner.store({3_t, nobody, 0_i}));  // so that the node's first write is not the Log's first
  const auto marks = marks_of_writes(log);
  CHECK(marks == std::vector<std::uint64_t>{3, 4, 5, 6});
  CHECK(noted(recording) == bytes_are({answer_note, 3}));
  replaying t{noted(recording)};
  auto again = log_with<deferred_test_log>(t, four);
  CHECK(marks_of_writes(again) == marks);
  CHECK(again.inner.newest() == 4_m);
  CHECK(t.all_asked_for());
  CHECK_FALSE(t.diverged());
  CHECK(t.sum() == recording.sum());
}

TEST_CASE("taped_log: the marks of a Log that is durable on return are nobody's business") {
  tape t;
  auto log = log_with<durable_test_log>(t, four);
  for (const std::uint64_t mark : marks_of_writes(log)) CHECK(mark != 0);
  CHECK(t.written().empty());
  CHECK(t.sum() == tape{}.sum());
}

TEST_CASE("taped_log: a write that fails has no mark; the next one's is the first") {
  tape recording;
  auto log = log_with<deferred_test_log>(recording, four);
  log.inner.failing = "store";
  CHECK(log.store({4_t, 1_n, 0_i}).error().code == errc::io);
  CHECK(noted(recording) == bytes_are({log_error_note, 1, static_cast<int>(errc::io), 5}));
  CHECK(*log.truncate_from(3_i) == 1_m);
  CHECK(noted(recording) == bytes_are({log_error_note, 1, static_cast<int>(errc::io), 5, answer_note, 1}));
}

// ---------------------------------------------------------------------------------------------------- the machine

namespace {

/// Notes in words what it is told.
struct talkative {
  std::vector<std::string>* told;
  bool leads = true;
  void say(std::initializer_list<std::uint64_t> numbers, std::string what) const {
    for (const std::uint64_t n : numbers) what += ' ' + std::to_string(n);
    told->push_back(std::move(what));
  }
  void apply(const entry& e) { say({e.index.value, e.term.value}, "apply " + text_of(e.data)); }
  void begin_restore(const snapshot_meta& m) { say({m.index.value, m.term.value, m.id}, "begin_restore"); }
  [[nodiscard]] bool may_lead() const { return leads; }
  void on_promotion(node_id n, promotion_fate what) { say({n.value, std::uint64_t(what)}, "promotion"); }
  void on_transfer(node_id n, transfer_fate what) { say({n.value, std::uint64_t(what)}, "transfer"); }
  void on_role(role_kind role, term_t t, node_id n) {
    say({t.value, n.value}, role == role_kind::leader ? "leader" : "no leader");
  }
  void on_fate(index_t first, index_t last, term_t t, fate what) {
    say({first.value, last.value, t.value, std::uint64_t(what)}, "fate");
  }
  void on_read(std::uint64_t context, read_fate what, index_t i) {
    say({context, std::uint64_t(what), i.value}, "read");
  }
  void on_forwarded(std::uint64_t context, fate what, proposal p, node_id n) {
    say({context, std::uint64_t(what), p.index.value, p.term.value, n.value}, "forwarded");
  }
  void on_configuration(const configuration& c, index_t i) { say({c.voters.size(), i.value}, "configuration"); }
  void on_restore(const snapshot_meta& m) { say({m.index.value, m.term.value, m.id}, "restore"); }
};

/// One that hears nothing but its entries.
struct taciturn {
  std::uint64_t applied = 0;
  void apply(const entry&) { ++applied; }
};

using taped_talkative = raft::detail::taped_machine<talkative>;

snapshot_meta meta_of(index_t index, term_t term, std::uint64_t id) { return {index, term, voters(1), 0, id}; }

configuration with(std::size_t voting, std::size_t outgoing, std::size_t learning) {
  configuration c = voters(voting);
  for (std::size_t i = 0; i < outgoing; ++i) c.outgoing.push_back(node_id{i + 1});
  for (std::size_t i = 0; i < learning; ++i) c.learners.push_back(node_id{i + 20});
  return c;
}

struct call {
  void (*tell)(taped_talkative&);
  const char* told;
};

/// Every call of a machine, and for each of its numbers one that differs in it alone.
const call calls[] = {
    {[](taped_talkative& m) {
       m.apply({4_i, 3_t, entry_kind::command, payload_of("x")});
     },
     "apply x 4 3"},
    {[](taped_talkative& m) {
       m.apply({5_i, 3_t, entry_kind::command, payload_of("x")});
     },
     "apply x 5 3"},
    {[](taped_talkative& m) {
       m.apply({4_i, 2_t, entry_kind::command, payload_of("x")});
     },
     "apply x 4 2"},
    {[](taped_talkative& m) {
       m.apply({4_i, 3_t, entry_kind::command, payload_of("y")});
     },
     "apply y 4 3"},
    {[](taped_talkative& m) { m.begin_restore(meta_of(4_i, 3_t, 9)); }, "begin_restore 4 3 9"},
    {[](taped_talkative& m) { m.begin_restore(meta_of(5_i, 3_t, 9)); }, "begin_restore 5 3 9"},
    {[](taped_talkative& m) { m.begin_restore(meta_of(4_i, 2_t, 9)); }, "begin_restore 4 2 9"},
    {[](taped_talkative& m) { m.begin_restore(meta_of(4_i, 3_t, 8)); }, "begin_restore 4 3 8"},
    {[](taped_talkative& m) { m.on_restore(meta_of(4_i, 3_t, 9)); }, "restore 4 3 9"},
    {[](taped_talkative& m) { m.on_restore(meta_of(5_i, 3_t, 9)); }, "restore 5 3 9"},
    {[](taped_talkative& m) { m.on_restore(meta_of(4_i, 2_t, 9)); }, "restore 4 2 9"},
    {[](taped_talkative& m) { m.on_restore(meta_of(4_i, 3_t, 8)); }, "restore 4 3 8"},
    {[](taped_talkative& m) { m.on_promotion(2_n, promotion_fate::promoted); }, "promotion 2 1"},
    {[](taped_talkative& m) { m.on_promotion(3_n, promotion_fate::promoted); }, "promotion 3 1"},
    {[](taped_talkative& m) { m.on_promotion(2_n, promotion_fate::too_slow); }, "promotion 2 2"},
    {[](taped_talkative& m) { m.on_transfer(2_n, transfer_fate::done); }, "transfer 2 1"},
    {[](taped_talkative& m) { m.on_transfer(3_n, transfer_fate::done); }, "transfer 3 1"},
    {[](taped_talkative& m) { m.on_transfer(2_n, transfer_fate::timed_out); }, "transfer 2 2"},
    {[](taped_talkative& m) { m.on_role(role_kind::leader, 3_t, 1_n); }, "leader 3 1"},
    {[](taped_talkative& m) { m.on_role(role_kind::follower, 3_t, 1_n); }, "no leader 3 1"},
    {[](taped_talkative& m) { m.on_role(role_kind::leader, 4_t, 1_n); }, "leader 4 1"},
    {[](taped_talkative& m) { m.on_role(role_kind::leader, 3_t, 2_n); }, "leader 3 2"},
    {[](taped_talkative& m) { m.on_fate(4_i, 6_i, 3_t, fate::applied); }, "fate 4 6 3 1"},
    {[](taped_talkative& m) { m.on_fate(5_i, 6_i, 3_t, fate::applied); }, "fate 5 6 3 1"},
    {[](taped_talkative& m) { m.on_fate(4_i, 7_i, 3_t, fate::applied); }, "fate 4 7 3 1"},
    {[](taped_talkative& m) { m.on_fate(4_i, 6_i, 2_t, fate::applied); }, "fate 4 6 2 1"},
    {[](taped_talkative& m) { m.on_fate(4_i, 6_i, 3_t, fate::dropped); }, "fate 4 6 3 2"},
    {[](taped_talkative& m) { m.on_read(7, read_fate::ready, 4_i); }, "read 7 1 4"},
    {[](taped_talkative& m) { m.on_read(8, read_fate::ready, 4_i); }, "read 8 1 4"},
    {[](taped_talkative& m) { m.on_read(7, read_fate::dropped, 4_i); }, "read 7 2 4"},
    {[](taped_talkative& m) { m.on_read(7, read_fate::ready, 5_i); }, "read 7 1 5"},
    {[](taped_talkative& m) {
       m.on_forwarded(7, fate::applied, {4_i, 3_t}, 2_n);
     },
     "forwarded 7 1 4 3 2"},
    {[](taped_talkative& m) {
       m.on_forwarded(8, fate::applied, {4_i, 3_t}, 2_n);
     },
     "forwarded 8 1 4 3 2"},
    {[](taped_talkative& m) {
       m.on_forwarded(7, fate::unknown, {4_i, 3_t}, 2_n);
     },
     "forwarded 7 3 4 3 2"},
    {[](taped_talkative& m) {
       m.on_forwarded(7, fate::applied, {5_i, 3_t}, 2_n);
     },
     "forwarded 7 1 5 3 2"},
    {[](taped_talkative& m) {
       m.on_forwarded(7, fate::applied, {4_i, 2_t}, 2_n);
     },
     "forwarded 7 1 4 2 2"},
    {[](taped_talkative& m) {
       m.on_forwarded(7, fate::applied, {4_i, 3_t}, 3_n);
     },
     "forwarded 7 1 4 3 3"},
    {[](taped_talkative& m) { m.on_configuration(with(3, 0, 0), 4_i); }, "configuration 3 4"},
    {[](taped_talkative& m) { m.on_configuration(with(2, 0, 0), 4_i); }, "configuration 2 4"},
    {[](taped_talkative& m) { m.on_configuration(with(3, 2, 0), 4_i); }, "configuration 3 4"},
    {[](taped_talkative& m) { m.on_configuration(with(3, 0, 1), 4_i); }, "configuration 3 4"},
    {[](taped_talkative& m) { m.on_configuration(with(3, 0, 0), 5_i); }, "configuration 3 5"},
};

}  // namespace

TEST_CASE("taped_machine: whatever a machine is told goes on to it, and is an output with all its numbers") {
  std::set<std::uint64_t> sums{tape{}.sum()};
  for (const call& c : calls) {
    CAPTURE(c.told);
    tape t;
    std::vector<std::string> told;
    taped_talkative machine{&t, {&told}};
    c.tell(machine);
    REQUIRE(told.size() == 1);
    CHECK(told[0] == c.told);
    CHECK(sums.insert(t.sum()).second);
    CHECK(t.written().empty());
  }
}

TEST_CASE("taped_machine: that a machine hears nothing changes nothing of the sum") {
  tape t;
  raft::detail::taped_machine<taciturn> machine{&t, {}};
  machine.apply({4_i, 3_t, entry_kind::command, payload_of("x")});
  CHECK(machine.inner.applied == 1);
  machine.on_role(role_kind::leader, 3_t, 1_n);
  tape u;
  std::vector<std::string> told;
  taped_talkative other{&u, {&told}};
  other.apply({4_i, 3_t, entry_kind::command, payload_of("x")});
  other.on_role(role_kind::leader, 3_t, 1_n);
  CHECK(t.sum() == u.sum());
}

TEST_CASE("taped_machine: whether it may lead is the recorded machine's word") {
  std::vector<std::string> told;
  for (const bool leads : {false, true}) {
    tape recording;
    CHECK(taped_talkative{&recording, {&told, leads}}.may_lead() == leads);
    CHECK(noted(recording) == bytes_are({answer_note, leads ? 1 : 0}));
    replaying t{noted(recording)};
    CHECK(taped_talkative{&t, {&told, !leads}}.may_lead() == leads);
    CHECK(t.all_asked_for());
  }
}

}  // namespace record_tape_test
