// Record and replay: a replay comes to the same state and the same outputs; a changed byte, another seed, other options
// are noticed; bytes that are no recording are refused.

#include <doctest/doctest.h>
#include <raft/record.hpp>

#include <deque>
#include <string>

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

using create_type = raft::testing::recorded_node;

result<create_type> try_create(tape& t, std::vector<std::byte>& out, memory_log log, std::uint64_t inputs_a_sum) {
  static raft::testing::slow_log::control disk;
  static std::deque<letter> mail;
  static const std::int64_t now = 0;
  static std::vector<snapshot_carried> lost;
  return create_type::create(t, {&out}, {inputs_a_sum}, 1_n, {}, 1, {&mail, &lost}, {std::move(log), disk}, {&now}, {});
}

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
  s.bytes[0] ^= std::byte{1};
  CHECK(initial_log(s.bytes).error().code == errc::malformed);
  s.bytes = whole;
  s.bytes[7] = std::byte{2};
  CHECK(initial_log(s.bytes).error().code == errc::unsupported_version);
  CHECK_FALSE(initial_log({}));
}

TEST_CASE("create: refuses a sum after no inputs, and a Log in the middle of a snapshot") {
  tape t;
  std::vector<std::byte> out;
  CHECK(try_create(t, out, memory_log{voters(1)}, 0).error().code == errc::invalid_options);
  memory_log log{voters(1)};
  REQUIRE(log.begin_snapshot({4_i, 1_t, voters(1), 9, 9}));
  CHECK(try_create(t, out, std::move(log), 1).error().code == errc::not_ready);
  CHECK(out.empty());
  CHECK(try_create(t, out, memory_log{voters(1)}, 1));
  CHECK(out.size() > 8);
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

}  // namespace record_test
