// Record and replay: a replay comes to the same state and the same outputs; a changed byte, another seed, other options
// are noticed; bytes that are no recording are refused.

#include <doctest/doctest.h>
#include <raft/record.hpp>

#include <deque>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "support/letter.hpp"
#include "support/printing.hpp"
#include "support/recorded_cluster.hpp"
#include "support/test_log.hpp"

namespace record_test {

using namespace raft;
using namespace story;

namespace {

using raft::testing::recorded_cluster;
using raft::testing::recorded_server;

/// A run of so many inputs with everything in it.
struct busy : recorded_cluster {
  busy(std::uint64_t seed, std::uint64_t inputs, std::uint64_t inputs_a_sum = 10)
      : recorded_cluster(seed, inputs_a_sum) {
    run(inputs);
  }
};

template <class Replayed>
std::string why(const result<Replayed>& end) {
  return end ? std::string{} : std::string{end.error().what} + ' ' + std::to_string(end.error().detail);
}

/// A recorded server of its own; what it sends goes nowhere.
struct lone_server : recorded_server {
  std::deque<letter> mail{};
  std::int64_t now = 0;

  lone_server() {
    id = 1_n;
    seed = 1;
  }
  result<void> start(memory_log log, std::uint64_t inputs_a_sum = 1) {
    auto made = raft::testing::recorded_node::create(tape, {&bytes}, {inputs_a_sum}, id, options, seed, {&mail, &lost},
                                                     {std::move(log), disk}, {&now}, {});
    if (!made) return made.error();
    node.emplace(*std::move(made));
    return {};
  }
  /// Everything that was written is durable.
  void report_durable() {
    REQUIRE(node->step(persisted{mark_t{reported.value + 1}, disk.issued}));
    reported = disk.issued;
  }
};

}  // namespace

TEST_CASE("replay: every server of a busy cluster comes to the same state and the same outputs") {
  busy c{1, 20000, 1};
  std::uint64_t leaders = 0;
  std::array<std::uint64_t, 4> forwarded{};
  std::array<std::uint64_t, std::tuple_size_v<input_list>> of_kind{};
  for (recorded_server& s : c.servers) {
    tape t;
    const auto end = s.replay(t);
    REQUIRE_MESSAGE(end, why(end));
    CHECK(end->inputs == s.node->inputs_recorded());
    CHECK(end->checked == end->inputs);
    CHECK(end->incomplete == 0);
    CHECK(end->sum == s.tape.sum());
    CHECK(end->end->term() == s.node->engine().term());
    CHECK(end->end->role() == s.node->engine().role());
    CHECK(end->end->commit_index() == s.node->engine().commit_index());
    CHECK(end->end->last_applied() == s.node->engine().last_applied());
    CHECK(end->end->log().last_index() == s.node->engine().log().last_index());
    CHECK(end->end->machine().inner.state == s.node->machine().state);
    CHECK(end->end->machine().inner.forwarded == s.node->machine().forwarded);
    leaders += s.node->machine().times_leader;
    for (std::size_t i = 0; i < forwarded.size(); ++i) forwarded[i] += s.node->machine().forwarded[i];
    for (std::size_t i = 0; i < of_kind.size(); ++i) of_kind[i] += end->of_kind[i];
  }
  // Each kind of input occurs, and each fate of a command that was forwarded.
  for (std::size_t i = 0; i < of_kind.size(); ++i) CHECK_MESSAGE(of_kind[i] > 0, "input " << i + 1);
  for (std::size_t i = 1; i < forwarded.size(); ++i) CHECK_MESSAGE(forwarded[i] > 0, "fate " << i);
  CHECK(c.forwards > 0);
  CHECK(c.carried > 0);
  CHECK(leaders >= 2);
  CHECK(c.snapshots > 0);
  CHECK(c.changes > 0);
  CHECK(c.reads > 0);
  CHECK(c.reads_elsewhere > 0);
  CHECK(c.transfers > 0);
  CHECK(c.servers[0].node->machine().state != 0);
}

TEST_CASE("replay: another seed, or other options, diverge, and the replay says where") {
  busy c{2, 8000, 1};
  options<std::int64_t> other = c.options;
  other.max_entries_per_append = 3;
  int other_seeds = 0;
  int other_options = 0;
  for (const recorded_server& s : c.servers) {
    tape t;
    if (const auto end = s.replay(t, s.seed + 1, s.options); !end) {
      CHECK(end.error().code == errc::inconsistent_state);
      CHECK(end.error().detail > 1);
      CHECK(end.error().detail <= s.node->inputs_recorded());
      ++other_seeds;
    }
    tape u;
    if (!s.replay(u, s.seed, other)) ++other_options;
  }
  CHECK(other_seeds > 0);  // (of one that never stood by its own timer the seed does not show)
  CHECK(other_options > 0);
}

TEST_CASE("replay: a changed byte anywhere is noticed") {
  busy c{3, 250, 1};
  recorded_server& s = c.servers[1];
  const std::vector<std::byte> whole = s.bytes;
  {
    tape t;
    REQUIRE(s.replay(t));
  }
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const int flip : {0x01, 0x80}) {
      s.bytes = whole;
      s.bytes[i] ^= static_cast<std::byte>(flip);
      tape t;
      const auto end = s.replay(t);
      const bool noticed =
          !end || end->incomplete != 0 || end->checked != end->inputs || end->inputs != s.node->inputs_recorded();
      CHECK_MESSAGE(noticed, "byte " << i << " of " << whole.size());
    }
  }
}

TEST_CASE("replay: a recording that was cut off anywhere goes as far as it goes") {
  busy c{4, 250, 1};
  recorded_server& s = c.servers[2];
  const std::vector<std::byte> whole = s.bytes;
  std::uint64_t most = 0;
  for (std::size_t length = 0; length < whole.size(); length += 7) {
    s.bytes.assign(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    tape t;
    const auto end = s.replay(t);
    if (!end) {
      CHECK(end.error().code == errc::malformed);
      CHECK(most == 0);  // only inside the head
      continue;
    }
    CHECK(end->inputs >= most);
    CHECK(end->inputs - end->checked <= 2);
    most = end->inputs;
  }
  CHECK(most + 20 > s.node->inputs_recorded());
}

TEST_CASE("replay: a run that begins with a log, a snapshot and a term is replayed from them") {
  busy c{5, 5000};
  c.restart_all();
  c.run(3000);
  for (recorded_server& s : c.servers) {
    const auto log = initial_log(s.bytes);
    REQUIRE(log);
    CHECK(log->last_index() > 0_i);
    tape t;
    const auto end = s.replay(t);
    REQUIRE_MESSAGE(end, why(end));
    CHECK(end->sum == s.tape.sum());
    CHECK(end->end->machine().inner.state == s.node->machine().state);
  }
}

TEST_CASE("replay: a Log that fails, or has entries in cold storage, does so again") {
  recorded_cluster c{6, 1};
  c.cold_permille = 100;
  c.run(4000);
  c.servers[0].disk.fails = true;
  c.run(1000);
  REQUIRE(c.servers[0].node->engine().failed());
  for (recorded_server& s : c.servers) {
    tape t;
    const auto end = s.replay(t);
    REQUIRE_MESSAGE(end, why(end));
    CHECK(end->sum == s.tape.sum());
    CHECK(end->end->failed() == s.node->engine().failed());
  }
}

TEST_CASE("replay: what is no recording is refused, and so is another version") {
  busy c{7, 50};
  recorded_server& s = c.servers[0];
  const auto whole = s.bytes;
  for (std::size_t i = 0; i < 7; ++i) {
    s.bytes = whole;
    s.bytes[i] ^= std::byte{1};
    CHECK(initial_log(s.bytes).error().code == errc::malformed);
  }
  s.bytes = whole;
  s.bytes[7] ^= std::byte{1};
  CHECK(initial_log(s.bytes).error().code == errc::unsupported_version);
  s.bytes.resize(8);  // the version is the last byte that has to be there
  CHECK(initial_log(s.bytes).error().code == errc::unsupported_version);
  CHECK_FALSE(initial_log({}));
}

TEST_CASE("create: refuses what a node refuses, a sum after no inputs, and a Log that cannot be read now") {
  const stored full{.term = 5,
                    .members = voters(1),
                    .log = {{2, "a"}, {5, "b"}},
                    .base = {3_i, 2_t},
                    .snapshot = {4_i, 2_t},
                    .image = "a state."};
  const auto refusal = [&](std::uint64_t inputs_a_sum, auto change) {
    lone_server s;
    memory_log log = full.build();
    change(s, log);
    const auto started = s.start(std::move(log), inputs_a_sum);
    CHECK(s.bytes.empty() != started.has_value());
    return started ? errc{} : started.error().code;
  };
  CHECK(refusal(1, [](lone_server&, memory_log&) {}) == errc{});
  CHECK(refusal(0, [](lone_server&, memory_log&) {}) == errc::invalid_options);
  CHECK(refusal(1, [](lone_server& s, memory_log&) { s.options.max_entries_per_append = 0; }) == errc::invalid_options);
  CHECK(refusal(1, [](lone_server& s, memory_log&) { s.id = nobody; }) == errc::invalid_options);
  CHECK(refusal(1, [](lone_server& s, memory_log&) { s.disk.unreadable = true; }) == errc::io);
  CHECK(refusal(1, [](lone_server& s, memory_log&) { s.disk.cold_permille = 1000; }) == errc::not_at_hand);
}

TEST_CASE("create: a snapshot in the middle of which the Log is begins anew, and the run is replayed all the same") {
  lone_server s;
  memory_log log = stored{.term = 5, .members = voters(3), .log = {{2, "a"}, {5, "b"}}}.build();
  REQUIRE(log.begin_snapshot({6_i, 5_t, voters(3), 4, 9}));
  REQUIRE(log.write_snapshot(bytes_of("hal")));
  REQUIRE(s.start(std::move(log)));
  CHECK(s.node->engine().log().partial().received == 0);
  REQUIRE(s.node->step(chunk(2_n, 1_n, 5_t, {6_i, 5_t}, voters(3), "half", 0, 4).what));
  s.report_durable();
  s.node->finish();
  CHECK(s.node->engine().log().snapshot().index == 6_i);
  tape t;
  const auto end = s.replay(t);
  REQUIRE_MESSAGE(end, why(end));
  CHECK(end->sum == s.tape.sum());
  CHECK(end->end->log().snapshot().index == 6_i);
}

TEST_CASE("replay: a begin_snapshot that finds no room does not part the run from its replay") {
  // What the Log held of a leader's snapshot before the recording is in no recording, whatever becomes of the call.
  lone_server s;
  memory_log log{voters(3)};
  REQUIRE(log.begin_snapshot({6_i, 5_t, voters(3), 4, 7}));
  REQUIRE(log.write_snapshot(bytes_of("ha")));
  REQUIRE(s.start(std::move(log)));
  REQUIRE(s.node->step(append(2_n, 1_n, 5_t, {}, 1_i, {{5, "x"}}).what));
  s.report_durable();
  REQUIRE(s.node->engine().last_applied() == 1_i);
  s.disk.no_room = true;
  CHECK(s.node->begin_snapshot().error().code == errc::no_space);
  s.disk.no_room = false;
  REQUIRE(s.node->step(chunk(2_n, 1_n, 5_t, {6_i, 5_t}, voters(3), "half", 0, 1).what));
  REQUIRE(s.node->step(chunk(2_n, 1_n, 5_t, {6_i, 5_t}, voters(3), "half", 1, 3).what));
  s.report_durable();
  s.node->finish();
  CHECK(s.node->engine().log().snapshot().index == 6_i);
  tape t;
  const auto end = s.replay(t);
  REQUIRE_MESSAGE(end, why(end));
  CHECK(end->sum == s.tape.sum());
}

TEST_CASE("replay: a follower cuts what another leader had sent, and does so again") {
  lone_server s;
  REQUIRE(s.start(memory_log{voters(3)}));
  REQUIRE(s.node->step(append(2_n, 1_n, 2_t, {}, 0_i, {{2, "old"}, {2, "older"}}).what));
  s.report_durable();
  REQUIRE(s.node->step(append(3_n, 1_n, 3_t, {}, 0_i, {{3, "new"}}).what));
  s.report_durable();
  s.node->finish();
  REQUIRE(s.node->engine().log().last_index() == 1_i);
  tape t;
  const auto end = s.replay(t);
  REQUIRE_MESSAGE(end, why(end));
  CHECK(end->checked == 4);
  CHECK(end->sum == s.tape.sum());
  CHECK(end->end->log().inner == s.node->log());
  CHECK(end->end->log().term_at(1_i) == 3_t);
}

// ---------------------------------------------------------------------------------------------------- hostile bytes

namespace {

/// A recording's head, field by field, as record.hpp says it.
struct written_head {
  std::uint64_t every = 1;
  snapshot_meta snapshot{4_i, 2_t, voters(1), 0, 7};
  std::vector<std::byte> members = bytes_of(voters(1));
  std::string_view image = "state";
  index_t base = 3_i;
  std::vector<std::pair<std::uint64_t, std::vector<std::byte>>> batches{{1, wire_of({{2, "a"}})},
                                                                        {1, wire_of({{5, "b"}})}};

  [[nodiscard]] std::vector<std::byte> bytes() const {
    std::vector<std::byte> out(raft::detail::recording_magic.begin(), raft::detail::recording_magic.end());
    raft::detail::form_writer form{out};
    form(1_n), form(every);
    form(5_t), form(nobody), form(0_i);
    form(snapshot.index), form(snapshot.term), form(snapshot.id), form(payload{members}), form(payload_of(image));
    form(base), form(2_t);
    for (const auto& [count, wire] : batches) form(count), form(payload{wire});
    form(std::uint64_t{0});
    return out;
  }
};

}  // namespace

TEST_CASE("initial_log: a head that says what no Log holds is refused") {
  const auto verdict = [](auto change) {
    written_head head;
    change(head);
    const auto log = initial_log(head.bytes());
    return log ? errc{} : log.error().code;
  };
  CHECK(verdict([](written_head&) {}) == errc{});
  CHECK(verdict([](written_head& h) { h.batches.clear(); }) == errc::inconsistent_state);  // ends before its snapshot
  CHECK(verdict([](written_head& h) { h.snapshot.term = 6_t; }) == errc::inconsistent_state);
  CHECK(verdict([](written_head& h) { h.every = 0; }) == errc::malformed);
  CHECK(verdict([](written_head& h) { h.members.clear(); }) == errc::malformed);
  CHECK(verdict([](written_head& h) { h.members.push_back(std::byte{0}); }) == errc::malformed);
  CHECK(verdict([](written_head& h) { h.base = index_t{UINT64_MAX}; }) == errc::malformed);
  CHECK(verdict([](written_head& h) { h.base = index_t{(std::uint64_t{1} << 62) + 1}; }) == errc::malformed);
  CHECK(verdict([](written_head& h) { h.batches[0].first = 2; }) == errc::malformed);
  CHECK(verdict([](written_head& h) { h.batches[0].first = (std::uint64_t{1} << 32) + 1; }) == errc::malformed);
  CHECK(verdict([](written_head& h) { h.batches[0].first = UINT64_MAX; }) == errc::malformed);
  CHECK(verdict([](written_head& h) { h.batches[0].second.pop_back(); }) == errc::malformed);
  CHECK(verdict([](written_head& h) { h.batches[0].second[12] = std::byte{9}; }) == errc::malformed);  // its kind
  // The highest index that there is begins a log of which no entry can follow.
  CHECK(verdict([](written_head& h) {
          h.base = h.snapshot.index = index_t{std::uint64_t{1} << 62};
          h.batches.clear();
        }) == errc{});
  const auto whole = written_head{}.bytes();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    CHECK(initial_log(payload{whole}.first(length)).error().code == errc::malformed);
  }
}

TEST_CASE("initial_log: holds every entry of the recorded Log, whatever lies together in it") {
  for (std::size_t count = 0; count <= 5; ++count) {
    CAPTURE(count);
    stored some{.term = 1, .members = voters(1)};
    some.log.assign(count, {1, "sixteen bytes..."});
    for (const std::size_t segment_bytes : {std::size_t{64}, std::size_t{4096}}) {  // two of them in each, or all
      lone_server s;
      const memory_log log = some.build();
      memory_log in_segments{voters(1), segment_bytes};
      REQUIRE(in_segments.store(log.hard_state()));
      if (count != 0) REQUIRE(in_segments.append(*log.view(1_i, log.last_index(), UINT32_MAX)));
      REQUIRE(s.start(std::move(in_segments)));
      const auto found = initial_log(s.bytes);
      REQUIRE(found);
      CHECK(*found == log);
    }
  }
}

TEST_CASE("replay: refuses what is no recording, and what a node refuses") {
  const auto replay_of = [](payload recording, const raft::options<std::int64_t>& o) {
    tape t;
    const auto end = replay<raft::testing::recorded_clock>(
        t, recording, o, 1, deferred_memory_log{memory_log{voters(1)}}, raft::testing::recorded_machine{});
    return end ? errc{} : end.error().code;
  };
  lone_server s;
  REQUIRE(s.start(memory_log{voters(1)}));
  s.node->finish();
  CHECK(replay_of(s.bytes, s.options) == errc{});
  raft::options<std::int64_t> senseless;
  senseless.max_entries_per_append = 0;
  CHECK(replay_of(s.bytes, senseless) == errc::invalid_options);
  CHECK(replay_of({}, s.options) == errc::malformed);
  s.bytes[7] ^= std::byte{1};
  CHECK(replay_of(s.bytes, s.options) == errc::unsupported_version);
}

TEST_CASE("replay: cut off at any byte it goes as far as it goes; bytes that are no record are refused, and counted") {
  lone_server s;
  REQUIRE(s.start(memory_log{voters(1)}, 1000));  // the sums are those that finish() writes
  s.node->finish();
  std::vector<std::size_t> ends{s.bytes.size()};  // of the head with what was noted of the start, and of each input
  for (int i = 0; i < 3; ++i) {
    s.now += 1000;
    s.node->tick();
    s.node->finish();
    ends.push_back(s.bytes.size());
  }
  const auto whole = s.bytes;
  raft::detail::form_reader head{whole};
  REQUIRE(raft::detail::take_head(head, 4096));
  const std::size_t head_end = whole.size() - head.left().size();
  REQUIRE(head_end < ends[0]);

  for (std::size_t length = head_end; length <= whole.size(); ++length) {
    CAPTURE(length);
    // In front of the rest, as in a file of which not all was read: what lies behind the end is not looked at.
    s.bytes = whole;
    s.bytes.resize(length);
    tape t;
    const auto end = s.replay(t);
    REQUIRE_MESSAGE(end, why(end));
    const auto begun = std::count_if(ends.begin(), ends.end() - 1, [=](std::size_t at) { return at < length; });
    const auto whole_ones = std::count_if(ends.begin() + 1, ends.end(), [=](std::size_t at) { return at <= length; });
    CHECK(end->inputs == static_cast<std::uint64_t>(begun));
    CHECK(end->checked == static_cast<std::uint64_t>(whole_ones));
    // Of a record that is there in part: all of it from its first byte on, if it was cut inside a note.
    const auto record = std::find_if(ends.begin(), ends.end(), [=](std::size_t at) { return at >= length; });
    const std::size_t from = record == ends.begin() ? head_end : *(record - 1);
    CHECK((end->incomplete == 0 || end->incomplete == length - from));
    if (length + 8 > *record && length < *record) CHECK(end->incomplete == length - from);  // inside its sum
  }

  // A number in two bytes that fits into one; an input that there is not; a note behind the last one.
  using several = std::vector<std::byte>;
  for (const several& wrong : {several{std::byte{0xf0}, std::byte{0x80}, std::byte{0}}, several{std::byte{0xf6}},
                               several{std::byte{0xef}}, several{std::byte{6}, std::byte{0x80}, std::byte{0}}}) {
    const bool is_note = wrong[0] >= std::byte{0xf0};
    for (std::size_t i = 0; i < ends.size(); ++i) {
      s.bytes = whole;
      s.bytes.insert(s.bytes.begin() + static_cast<std::ptrdiff_t>(ends[i]), wrong.begin(), wrong.end());
      tape t;
      const auto end = s.replay(t);
      REQUIRE_FALSE(end);
      CHECK(end.error().code == errc::malformed);
      CHECK(end.error().detail == (is_note && i > 0 ? i - 1 : i));
      if (is_note) CHECK(end.error().what == std::string("a note that cannot be read"));
    }
  }
}

TEST_CASE("replay: a note of the start that cannot be read is refused, though nothing follows it") {
  lone_server s;
  REQUIRE(s.start(memory_log{voters(1)}));
  s.node->finish();
  for (const int b : {0xf0, 0x80, 0x00}) s.bytes.push_back(static_cast<std::byte>(b));  // a number in two forms
  tape t;
  const auto end = s.replay(t);
  REQUIRE_FALSE(end);
  CHECK(end.error().code == errc::malformed);
}

TEST_CASE("replay: a note that is missing is noticed at its input, before a sum is reached") {
  lone_server s;
  REQUIRE(s.start(memory_log{voters(1)}, 1000));
  for (int i = 0; i < 3; ++i) s.node->tick();
  s.node->finish();
  {
    tape t;
    REQUIRE(s.replay(t));
  }
  // A tick is one byte; that the clock was read behind it, and stood still, is noted in two.
  const std::vector<std::byte> a_tick{std::byte{1}, std::byte{0xf0}, std::byte{0}};
  const auto first = std::search(s.bytes.begin(), s.bytes.end(), a_tick.begin(), a_tick.end());
  REQUIRE(first != s.bytes.end());
  s.bytes.erase(first + 1, first + 3);
  tape t;
  const auto end = s.replay(t);
  REQUIRE_FALSE(end);
  CHECK(end.error().code == errc::inconsistent_state);
  CHECK(end.error().detail == 1);
}

namespace {

/// A sink that remembers how much it got.
struct counting_sink {
  std::size_t* bytes;
  void operator()(payload more) const { *bytes += more.size(); }
};
/// A Clock that remembers how much was recorded when it was asked.
struct looking_clock {
  using duration = std::int64_t;
  using time_point = std::int64_t;
  const std::size_t* recorded;
  std::size_t* seen;
  [[nodiscard]] std::int64_t now() const {
    *seen = *recorded;
    return 0;
  }
};
struct silent_transport {
  void send(const message&) {}
};

}  // namespace

TEST_CASE("recorder: an input is with the sink before it is executed, so that a crash does not swallow it") {
  using looking = raft::recorder<silent_transport, raft::testing::slow_log, looking_clock,
                                 raft::testing::recorded_machine, counting_sink>;
  std::size_t recorded = 0;
  std::size_t seen = 0;
  tape t;
  raft::testing::slow_log::control disk;
  auto made =
      looking::create(t, {&recorded}, {1000}, 1_n, {}, 1, {}, {memory_log{voters(1)}, disk}, {&recorded, &seen}, {});
  REQUIRE(made);
  const std::size_t before = recorded;
  made->tick();
  CHECK(seen > before);
}

// ---------------------------------------------------------------------------------------------------- the byte form

namespace {

template <class Value>
std::vector<std::byte> bytes_written(const Value& v) {
  std::vector<std::byte> out;
  raft::detail::form_writer form{out};
  form(v);
  return out;
}

}  // namespace

TEST_CASE("form: numbers come back, in one form only, and never from behind the end") {
  for (int bits = 0; bits < 64; ++bits) {
    for (const std::uint64_t n : {std::uint64_t{1} << bits, (std::uint64_t{1} << bits) - 1, UINT64_MAX >> bits}) {
      const auto bytes = bytes_written(n);
      raft::detail::form_reader form{bytes};
      std::uint64_t back = 1;
      form(back);
      CHECK(form.good());
      CHECK(form.left().empty());
      CHECK(back == n);
      raft::detail::form_reader short_form{payload{bytes}.first(bytes.size() - 1)};
      short_form(back);
      CHECK_FALSE(short_form.good());
      CHECK(short_form.ended_early());
    }
  }
  for (const std::vector<std::byte>& wrong :
       {std::vector<std::byte>{std::byte{0x80}, std::byte{0}}, std::vector<std::byte>(11, std::byte{0xff})}) {
    raft::detail::form_reader form{wrong};
    std::uint64_t back = 0;
    form(back);
    CHECK_FALSE(form.good());
    CHECK_FALSE(form.ended_early());
  }
}

TEST_CASE("form: what was malformed once does not come to have ended too early") {
  const std::vector<std::byte> two_forms{std::byte{0x80}, std::byte{0}};
  raft::detail::form_reader form{two_forms};
  std::uint64_t n = 0;
  form(n);
  form(n);  // there is nothing left
  CHECK_FALSE(form.good());
  CHECK_FALSE(form.ended_early());
}

TEST_CASE("form: once something was wrong no bytes are handed out") {
  std::vector<std::byte> out{std::byte{0x80}, std::byte{0}};  // a number in two forms
  raft::detail::form_writer{out}(payload_of("there"));
  raft::detail::form_reader form{out};
  std::uint64_t n = 0;
  form(n);
  REQUIRE_FALSE(form.good());
  payload bytes = payload_of("before");
  form(bytes);
  CHECK(bytes.empty());
  CHECK_FALSE(form.good());
  CHECK_FALSE(form.ended_early());
}

TEST_CASE("form: of a message behind something wrong nothing is taken") {
  std::vector<std::byte> out{std::byte{0x80}, std::byte{0}};
  const letter l = append(2_n, 1_n, 9_t, {3_i, 2_t}, 1_i, {{9, "x"}});
  raft::detail::form_writer{out}(l.what);
  raft::detail::form_reader form{out};
  std::uint64_t n = 0;
  form(n);
  message back{};
  form(back);
  CHECK(back == message{});
  CHECK_FALSE(form.good());
  CHECK_FALSE(form.ended_early());
}

TEST_CASE("form: a message whose frame is none, or does not end where it should, is malformed") {
  const auto reads = [](payload frame) {
    std::vector<std::byte> out;
    raft::detail::form_writer writer{out};
    writer(2_n), writer(1_n), writer(3_t), writer(frame);
    raft::detail::form_reader form{out};
    message back{};
    form(back);
    CHECK_FALSE(form.ended_early());
    return form.good();
  };
  std::vector<std::byte> frame;
  REQUIRE(append_frame<checksums::header>(say(1_n, 2_n, {}, request_vote{4_i, 2_t}).what, {}, frame));
  CHECK(reads(frame));
  CHECK_FALSE(reads(payload{frame}.first(frame.size() - 8)));
  CHECK_FALSE(reads({}));
  std::vector<std::byte> more = frame;
  more.resize(frame.size() + 8);
  CHECK_FALSE(reads(more));
  frame[20] ^= std::byte{1};
  CHECK_FALSE(reads(frame));
}

TEST_CASE("form: a message keeps its addresses, wrong ones too") {
  const letter l = append(5_n, 5_n, 9_t, {3_i, 2_t}, 1_i, {{9, "x"}});
  const auto bytes = bytes_written(l.what);
  raft::detail::form_reader form{bytes};
  message back{};
  form(back);
  REQUIRE(form.good());
  CHECK(back == l.what);
}

TEST_CASE("form: a count takes no memory that its bytes do not justify") {
  const auto bytes = bytes_written(std::uint64_t{1} << 60);
  raft::detail::form_reader form{bytes};
  std::vector<node_id> ids;
  form(ids);
  CHECK_FALSE(form.good());
  CHECK(ids.capacity() == 0);
}

namespace {

template <class Input>
std::vector<std::byte> bytes_of_input(Input in) {
  std::vector<std::byte> out;
  raft::detail::form_writer form{out};
  in.form(form);
  return out;
}

/// What is read back from an input's bytes: the same, with nothing left of them, and nothing from fewer.
template <class Input>
Input read_back(const Input& in, const std::vector<std::byte>& bytes) {
  raft::detail::form_reader form{bytes};
  Input back{};
  back.form(form);
  CHECK(form.good());
  CHECK(form.left().empty());
  CHECK(bytes_of_input(back) == bytes_of_input(in));
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    raft::detail::form_reader cut{payload{bytes}.first(length)};
    Input part{};
    part.form(cut);
    CHECK_FALSE(cut.good());
  }
  return back;
}

template <class Input>
Input come_back(const Input& in) {
  static std::deque<std::vector<std::byte>> kept;
  kept.push_back(bytes_of_input(in));
  return read_back(in, kept.back());
}

/// Stands for a node: notes which of its inputs was called.
struct called {
  std::string what{};
  void tick() { what = "tick"; }
  void campaign() { what = "campaign"; }
  void evacuate() { what = "evacuate"; }
  void stop_evacuation() { what = "stop_evacuation"; }
};

}  // namespace

TEST_CASE("form: every input comes back with all its fields, and not from fewer bytes than it has") {
  using namespace raft::inputs;
  const auto marks = come_back(raft::inputs::persisted{{3_m, 300_m}});
  CHECK(marks.p.first == 3_m);
  CHECK(marks.p.last == 300_m);
  const letter sent = append(5_n, 5_n, 9_t, {3_i, 2_t}, 1_i, {{9, "x"}});
  CHECK(come_back(raft::inputs::message{sent.what}).m == sent.what);
  CHECK(come_back(raft::inputs::applied{{200_i}}).a.index == 200_i);
  const std::vector<payload> commands{payload_of("a"), payload_of(""), payload_of("long command")};
  const auto proposed = come_back(raft::inputs::propose{commands, {}});
  REQUIRE(proposed.held.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) CHECK(text_of(proposed.held[i]) == text_of(commands[i]));
  CHECK(come_back(raft::inputs::read{77}).context == 77);
  const membership target{{1_n, 2_n}, {300_n}, {{2_n, bytes_of("place")}, {3_n, {}}}};
  for (const std::optional<index_t> expected : {std::optional<index_t>{}, std::optional{0_i}, std::optional{9_i}}) {
    const auto changed = come_back(raft::inputs::change_membership{target, expected});
    CHECK(changed.target.voters == target.voters);
    CHECK(changed.target.learners == target.learners);
    REQUIRE(changed.target.data.size() == 2);
    CHECK(changed.target.data[0].id == 2_n);
    CHECK(changed.target.data[0].data == bytes_of("place"));
    CHECK(changed.target.data[1].id == 3_n);
    CHECK(changed.target.data[1].data.empty());
    CHECK(changed.expected == expected);
    CHECK(come_back(raft::inputs::begin_snapshot{expected}).at == expected);
  }
  const auto at_hand = come_back(raft::inputs::fetched{{3_i, 9_i}});
  CHECK(at_hand.f.first == 3_i);
  CHECK(at_hand.f.last == 9_i);
  const auto in_term = come_back(propose_in_term{payload_of("x"), 4_t});
  CHECK(text_of(in_term.command) == "x");
  CHECK(in_term.expected == 4_t);
  CHECK(come_back(raft::inputs::restored{{5_i}}).r.index == 5_i);
  CHECK(text_of(come_back(write_snapshot{payload_of("piece")}).bytes) == "piece");
  CHECK(come_back(raft::inputs::snapshot_written{{6_i}}).s.index == 6_i);
  CHECK(come_back(raft::inputs::snapshot_abandoned{{7_i}}).s.index == 7_i);
  CHECK(come_back(transfer_leadership{2_n}).target == 2_n);
  CHECK(come_back(raft::inputs::read_anywhere{8}).context == 8);
  CHECK(come_back(raft::inputs::read_stale{9}).at_most == 9);
  for (const bool arrived : {false, true}) {
    const auto carried = come_back(raft::inputs::snapshot_carried{{2_n, 7, arrived}});
    CHECK(carried.c.to == 2_n);
    CHECK(carried.c.id == 7);
    CHECK(carried.c.arrived == arrived);
  }
  const auto added = come_back(raft::inputs::add_server{{4_n, bytes_of("place")}});
  CHECK(added.server.id == 4_n);
  CHECK(added.server.data == bytes_of("place"));
  const auto anywhere = come_back(raft::inputs::propose_anywhere{payload_of("y"), 6});
  CHECK(text_of(anywhere.command) == "y");
  CHECK(anywhere.context == 6);
}

TEST_CASE("form: inputs without an answer are what their names say") {
  called node;
  raft::inputs::tick{}.call(node);
  CHECK(node.what == "tick");
  raft::inputs::campaign{}.call(node);
  CHECK(node.what == "campaign");
  raft::inputs::evacuate{}.call(node);
  CHECK(node.what == "evacuate");
  raft::inputs::stop_evacuation{}.call(node);
  CHECK(node.what == "stop_evacuation");
}

TEST_CASE("form_reader: skips what is there, and no more") {
  const auto three = bytes_of("abc");
  raft::detail::form_reader form{three};
  CHECK(form.peek() == 'a');
  form.skip(2);
  CHECK(form.peek() == 'c');
  CHECK(form.left().size() == 1);
  form.skip(1);
  CHECK(form.left().empty());
  CHECK(form.peek() == 0);
  raft::detail::form_reader all{three};
  all.skip(4);
  CHECK(all.left().empty());
  CHECK(all.good());
}

TEST_CASE("running_hash: tells each byte of what goes through it, its length, and the order") {
  const auto sum = [](std::initializer_list<std::string_view> pieces) {
    raft::detail::running_hash hash;
    for (const std::string_view piece : pieces) hash.add(payload_of(piece));
    return hash.value();
  };
  const std::string text = "twenty-three bytes long";
  std::set<std::uint64_t> sums{sum({text})};
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string other = text;
    other[i] = '!';
    sums.insert(sum({other}));
    sums.insert(sum({std::string_view{text}.substr(0, i)}));
  }
  CHECK(sums.size() == 1 + 2 * text.size());
  CHECK(sum({"a", "b"}) != sum({"b", "a"}));
  CHECK(sum({"ab", ""}) != sum({"a", "b"}));
  CHECK(sum({}) != sum({""}));
  CHECK(sum({text}) == sum({text}));
}

TEST_CASE("running_hash: zeros count by how many there are") {
  std::set<std::uint64_t> sums;
  const std::vector<std::byte> zeros(40, std::byte{0});
  for (std::size_t length = 0; length <= zeros.size(); ++length) {
    raft::detail::running_hash hash;
    hash.add(payload{zeros}.first(length));
    sums.insert(hash.value());
  }
  CHECK(sums.size() == zeros.size() + 1);
}

TEST_CASE("running_hash: no two bits changed together undo each other") {
  const std::string text = "three numbers of eight!!";
  const auto sum = [](const std::string& changed) {
    raft::detail::running_hash hash;
    hash.add(payload_of(changed));
    return hash.value();
  };
  const auto flipped = [](std::string in, std::size_t bit) {
    in[bit / 8] = static_cast<char>(in[bit / 8] ^ (1 << bit % 8));
    return in;
  };
  const std::uint64_t whole = sum(text);
  for (std::size_t a = 0; a < 8 * text.size(); ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      if (sum(flipped(flipped(text, a), b)) == whole) FAIL_CHECK("bits " << a << " and " << b);
    }
  }
}

TEST_CASE(
    "running_hash: bytes go in as their length, numbers of eight bytes, and the rest, so that all machines agree") {
  const std::string text = "0123456789abcdef0123456";
  for (std::size_t length = 0; length <= text.size(); ++length) {
    CAPTURE(length);
    raft::detail::running_hash of_bytes;
    of_bytes.add(payload_of(std::string_view{text}.substr(0, length)));
    raft::detail::running_hash of_numbers;
    of_numbers.add(length);
    const std::size_t whole = length / 8 * 8;
    for (std::size_t at = 0; at < whole; at += 8) {  // the lowest byte first
      std::uint64_t number = 0;
      for (std::size_t i = 8; i-- != 0;) number = number * 256 + static_cast<unsigned char>(text[at + i]);
      of_numbers.add(number);
    }
    std::uint64_t rest = 0;  // the highest byte first
    for (std::size_t i = whole; i < length; ++i) rest = rest * 256 + static_cast<unsigned char>(text[i]);
    of_numbers.add(rest);
    CHECK(of_bytes.value() == of_numbers.value());
  }
}

namespace {

/// The sum of a tape after a call that answered so.
template <class Value>
std::uint64_t sum_of_answer(const result<Value>& answer) {
  struct answers {
    const result<Value>& with;
    result<Value> call(const tape&) const { return with; }
  };
  tape t;
  (void)raft::detail::call_taped(answers{answer}, t, t);
  return t.sum();
}

/// Whether each of these answers, and each way to refuse, makes another sum than no answer and all the others.
template <class Value>
bool answers_count(const std::vector<Value>& values) {
  std::set<std::uint64_t> sums{tape{}.sum()};
  for (const Value& v : values) sums.insert(sum_of_answer(result<Value>{v}));
  const std::vector<error> refusals{{errc::not_leader, 2_n, 3, ""},
                                    {errc::not_ready, 2_n, 3, ""},
                                    {errc::not_leader, 4_n, 3, ""},
                                    {errc::not_leader, 2_n, 5, ""}};
  for (const error& e : refusals) sums.insert(sum_of_answer(result<Value>{e}));
  return sums.size() == 1 + values.size() + refusals.size();
}

}  // namespace

TEST_CASE("tape: what a call answers is an output, of every kind of answer, and why it refuses") {
  CHECK(answers_count<index_t>({1_i, 2_i}));
  CHECK(answers_count<node_id>({1_n, 2_n}));
  CHECK(answers_count<proposal>({{1_i, 1_t}, {2_i, 1_t}, {1_i, 2_t}}));
  CHECK(answers_count<snapshot_meta>({{1_i, 1_t, {}, 0, 0}, {2_i, 1_t, {}, 0, 0}, {1_i, 2_t, {}, 0, 0}}));
  CHECK(answers_count<std::int64_t>({1, 2}));
  const std::set<std::uint64_t> sums{tape{}.sum(),
                                     sum_of_answer(result<void>{}),
                                     sum_of_answer(result<void>{error{errc::not_leader, 2_n, 3, ""}}),
                                     sum_of_answer(result<void>{error{errc::not_ready, 2_n, 3, ""}}),
                                     sum_of_answer(result<void>{error{errc::not_leader, 4_n, 3, ""}}),
                                     sum_of_answer(result<void>{error{errc::not_leader, 2_n, 5, ""}})};
  CHECK(sums.size() == 6);
}

TEST_CASE("tape: every output and every reading changes the sum") {
  const auto sum_after = [](auto&&... outputs) {
    tape t;
    (outputs(t), ...);
    return t.sum();
  };
  const auto sends = [](const letter& l) { return [l](tape& t) { t.did_send(l.what); }; };
  const auto reads = [](std::int64_t now) { return [now](tape& t) { (void)t.time([now] { return now; }); }; };
  const auto answers = [](std::uint64_t own) { return [own](tape& t) { (void)t.answer(own); }; };
  const auto shows = [](std::uint64_t own) { return [own](tape& t) { (void)t.shown(own, 9); }; };
  const std::vector<std::uint64_t> sums{sum_after(),
                                        sum_after(sends(say(1_n, 2_n, 3_t, request_vote{4_i, 2_t}))),
                                        sum_after(sends(say(1_n, 2_n, 3_t, request_vote{5_i, 2_t}))),
                                        sum_after(sends(say(1_n, 3_n, 3_t, request_vote{4_i, 2_t}))),
                                        sum_after(reads(7)),
                                        sum_after(reads(8)),
                                        sum_after(reads(7), reads(8)),
                                        sum_after(answers(1)),
                                        sum_after(answers(2)),
                                        sum_after(shows(3)),
                                        sum_after(shows(4)),
                                        sum_after([](tape& t) { t.did(1, 2); }),
                                        sum_after([](tape& t) { t.did(2, 1); })};
  CHECK(std::set<std::uint64_t>(sums.begin(), sums.end()).size() == sums.size());
}

}  // namespace record_test
