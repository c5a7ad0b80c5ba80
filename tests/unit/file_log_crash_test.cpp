// Crashes of a file_log: at every call that it makes to the system, with every kind of remainder of what was not
// synced. After each the log shows the state of the last sync, or of the one under way; nothing else.

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include <raft/file_log.hpp>
#include <raft/testing/rng.hpp>
#include <support/faulty_disk.hpp>
#include <support/log_run.hpp>

namespace {

using test::disk;
using test::keep;
using test::progress;
using test::reopened;
using test::script;
using test::small_options;

/// The remainders that a crash is tried with.
std::vector<keep> remainders(const disk& d, std::uint64_t seed) {
  std::vector<keep> all{{keep::how::nothing}, {keep::how::everything}};
  for (std::uint64_t i = 0; i < 4; ++i) all.push_back({keep::how::any, seed * 100 + i});
  std::uint64_t first = d.changes;
  for (const auto& [number, f] : d.files) {
    if (!f.pending.empty()) first = std::min(first, f.pending.front().when);
  }
  if (!d.pending_names.empty()) first = std::min(first, d.pending_names.front().when);
  const std::uint64_t step = 1 + (d.changes - first) / 5;
  for (std::uint64_t until = first; until < d.changes; until += step) all.push_back({keep::how::prefix, 0, until});
  return all;
}

/// The state is that of the last sync, or of the one under way.
bool allowed(const std::string& shown, const script& s, const progress& p) {
  return shown == s.shows[p.synced] || shown == s.shows[p.maybe];
}

std::uint64_t calls_of(const script& s, const raft::file_log_options& o) {
  disk d;
  const progress p = run(d, s, o);
  REQUIRE(!p.failed);
  REQUIRE(p.synced == s.ops.size());
  return d.calls;
}

/// Every call of a run of `s` is once the last one.
void crash_everywhere(const script& s, const raft::file_log_options& o) {
  const std::uint64_t calls = calls_of(s, o);
  std::uint64_t old_states = 0;
  std::uint64_t new_states = 0;
  for (std::uint64_t last = 1; last <= calls; ++last) {
    CAPTURE(last);
    disk before;
    before.dead_from = last;
    before.torn_bytes = 300 + 512 * (last % 7);
    const progress p = run(before, s, o);
    REQUIRE(p.failed);
    std::uint64_t number = 0;
    for (const keep& k : remainders(before, last)) {
      CAPTURE(++number);
      disk d = before;
      d.crash(k);
      const std::string shown = reopened(d, o);
      INFO(shown);
      REQUIRE(allowed(shown, s, p));
      (shown == s.shows[p.synced] ? old_states : new_states) += 1;
      // And what was shown once stays, whatever a crash right after that keeps.
      d.crash({keep::how::any, last});
      REQUIRE(reopened(d, o) == shown);
    }
  }
  CHECK(old_states > 0);
  CHECK(new_states > 0);
}

}  // namespace

TEST_CASE("crash: at every call, with any remainder: the state is old or new") {
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    CAPTURE(seed);
    crash_everywhere(script::random_one(seed, 40), small_options());
  }
}

TEST_CASE("crash: at every call, batches larger than a segment, no file `synced`") {
  raft::file_log_options o = small_options();
  o.record_syncs = false;
  for (std::uint64_t seed = 20; seed < 23; ++seed) {
    CAPTURE(seed);
    crash_everywhere(script::random_one(seed, 30, 2500), o);
  }
}

TEST_CASE("crash: at every call of snapshots of several blocks") {
  raft::file_log_options o = small_options();
  o.spare_segments = 0;
  crash_everywhere(script::random_one(31, 30, 60, 200000), o);
}

TEST_CASE("crash: at every call of an opening that follows a crash, twice") {
  const script s = script::random_one(4, 60);
  const auto o = small_options();
  const std::uint64_t calls = calls_of(s, o);
  for (std::uint64_t first = calls / 3; first <= calls; first += 5) {
    CAPTURE(first);
    disk crashed;
    crashed.dead_from = first;
    crashed.torn_bytes = 200;
    const progress p = run(crashed, s, o);
    crashed.crash({keep::how::any, first});
    for (std::uint64_t second = 1;; ++second) {
      CAPTURE(second);
      disk d = crashed;
      d.dead_from = second;
      d.torn_bytes = 20;
      const std::string during = reopened(d, o);
      const bool done = d.calls < second;
      d.crash({keep::how::any, first + second});
      const std::string shown = reopened(d, o);
      INFO(shown);
      REQUIRE(allowed(shown, s, p));
      if (done) {
        CHECK(during == shown);
        break;
      }
    }
  }
}

TEST_CASE("crash: many lives, each writing on from what the last one left") {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    CAPTURE(seed);
    test::random r{seed};
    disk d;
    raft::file_log_options o = small_options();
    o.record_syncs = seed % 2 == 0;
    raft::memory_log durable{test::three_voters()};
    test::op_maker maker{seed};
    for (int life = 0; life < 25; ++life) {
      CAPTURE(life);
      raft::memory_log maybe = durable;
      raft::memory_log now = durable;
      d.dead_from = 1 + r.below(80);
      d.torn_bytes = r.below(2000);
      auto log = test::disk_log::open("dir", test::three_voters(), o, nullptr, test::disk_files{&d});
      while (log) {
        const test::write_op op = maker.next(now);
        if (op.what == test::write_op::kind::sync) {
          maybe = now;
          if (!log->sync()) break;
          durable = now;
        } else {
          if (!test::apply(*log, op)) break;
          REQUIRE(test::apply(now, op));
        }
      }
      d.crash({keep::how::any, r.next()});
      auto again = test::disk_log::open("dir", test::three_voters(), o, nullptr, test::disk_files{&d});
      REQUIRE(again.has_value());
      const std::string shown = test::describe(*again);
      if (shown == test::describe(maybe)) durable = maybe;
      REQUIRE(shown == test::describe(durable));
      d.handles.clear();
      d.locks.clear();
    }
  }
}

TEST_CASE("crash: a torn batch that is cut never comes back behind what is written in its place") {
  // Without syncs a whole batch may lie behind a torn one; the next life writes one of the same size over the torn one.
  raft::file_log_options o = small_options();
  o.sync = raft::sync_policy::never;
  disk d;
  const std::string text(480 - 64 - 16 - 24, 'x');
  const raft::payload p = test::bytes_of(text);
  const auto append = [&](auto& log) {
    REQUIRE(log.append(raft::term_t{1}, raft::entry_kind::command, std::span{&p, 1}).has_value());
    REQUIRE(log.sync().has_value());
  };
  std::vector<std::byte> whole;
  {
    auto log = test::disk_log::open("dir", test::three_voters(), o, nullptr, test::disk_files{&d});
    REQUIRE(log.has_value());
    for (int i = 0; i < 4; ++i) append(*log);
  }
  const std::string name = "log-0000000000000001";
  auto& bytes = d.content(name);
  const std::size_t size = 40 + 24 + raft::entry_bytes(text.size());
  const std::size_t second = bytes.size() - 3 * size;
  bytes[second + 100] ^= std::byte{1};
  d.revive();
  {
    auto log = test::disk_log::open("dir", test::three_voters(), o, nullptr, test::disk_files{&d});
    REQUIRE(log.has_value());
    CHECK(log->last_index() == raft::index_t{1});
    // The batch of the opening takes 40 bytes; with it the new entry ends where the torn batch did.
    const raft::payload shorter = p.first(p.size() - 40);
    REQUIRE(log->append(raft::term_t{1}, raft::entry_kind::command, std::span{&shorter, 1}).has_value());
    REQUIRE(log->sync().has_value());
  }
  d.revive();
  auto log = test::disk_log::open("dir", test::three_voters(), o, nullptr, test::disk_files{&d});
  REQUIRE(log.has_value());
  CHECK(log->last_index() == raft::index_t{2});
}

TEST_CASE("crash: what an earlier opening left behind the end is not taken for what follows") {
  // Without syncs, an empty batch is torn and the one behind it is whole. The next opening writes a batch of its own
  // over the torn one, of the same size and number; the one behind it then has the number that comes next.
  raft::file_log_options o = small_options();
  o.sync = raft::sync_policy::never;
  disk d;
  {
    auto log = test::disk_log::open("dir", test::three_voters(), o, nullptr, test::disk_files{&d});
    REQUIRE(log.has_value());
    REQUIRE(log->truncate_from(raft::index_t{5}).has_value());
    REQUIRE(log->sync().has_value());
    test::propose(*log, 1, "never again");
    REQUIRE(log->sync().has_value());
  }
  auto& bytes = d.content("log-0000000000000001");
  const std::size_t last = 40 + 24 + raft::entry_bytes(11);
  bytes[bytes.size() - last - 1] ^= std::byte{1};
  for (int life = 0; life < 3; ++life) {
    d.revive();
    auto log = test::disk_log::open("dir", test::three_voters(), o, nullptr, test::disk_files{&d});
    REQUIRE(log.has_value());
    CHECK(log->last_index() == raft::index_t{});
  }
}

/// Lives that sync, some that do not, and a failure of power: what it left, told by the term that a life ends with.
/// Each life after that shows what the one before it showed last, as only its process was killed.
struct lives {
  int opened = 0;  ///< How often the log was opened after the failure,
  int kept = 0;    ///< and showed what the first life had synced.
};

lives lives_after_power_failures(std::uint64_t segment_bytes, std::uint64_t writes) {
  lives seen;
  raft::file_log_options o = small_options();
  o.segment_bytes = segment_bytes;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    raft::testing::rng chance{seed};
    disk d;
    std::uint64_t term = 0;
    raft::term_t shown;
    const auto live = [&](raft::sync_policy policy, std::uint64_t at_most) {
      o.sync = policy;
      auto log = test::disk_log::open("dir", test::three_voters(), o, nullptr, test::disk_files{&d});
      if (!log) return false;
      shown = log->hard_state().current_term;
      for (std::uint64_t i = 1 + chance.below(at_most); i != 0; --i) {
        REQUIRE(log->store({raft::term_t{++term}, raft::nobody, raft::index_t{}}));
        REQUIRE(log->sync());
      }
      d.revive();
      return true;
    };
    REQUIRE(live(raft::sync_policy::always, writes));
    const raft::term_t synced{term};
    for (std::uint64_t i = 1 + chance.below(3); i != 0; --i) REQUIRE(live(raft::sync_policy::never, 2 * writes));
    d.crash({keep::how::any, chance.next()});
    if (!live(chance.below(3) == 0 ? raft::sync_policy::never : raft::sync_policy::always, writes)) continue;
    ++seen.opened;
    seen.kept += shown >= synced ? 1 : 0;
    auto again = test::disk_log::open("dir", test::three_voters(), o, nullptr, test::disk_files{&d});
    REQUIRE(again.has_value());
    REQUIRE(again->hard_state().current_term == raft::term_t{term});
  }
  return seen;
}

TEST_CASE("crash: what lives without syncs left on the disk is never taken for what a later one writes there") {
  const lives one_segment = lives_after_power_failures(65536, 12);
  CHECK(one_segment.opened == 300);  // only what is at its end may be missing
  CHECK(one_segment.kept == 300);
  // With files that are used again the log may be refused, and what was synced before may be gone.
  CHECK(lives_after_power_failures(4096, 80).opened > 30);
}

TEST_CASE("crash: at every byte of the last batch") {
  for (const bool recorded : {true, false}) {
    raft::file_log_options o = small_options();
    o.segment_bytes = o.fill_bytes = 16384;
    o.record_syncs = recorded;
    const script s = script::random_one(11, 24);
    // The call that writes the last batch is the last write of which all bytes make the state the new one.
    std::uint64_t call = calls_of(s, o) + 1;
    std::size_t size = 0;
    while (size == 0) {
      REQUIRE(--call > 0);
      disk d;
      d.dead_from = call;
      d.torn_bytes = SIZE_MAX;
      const progress p = run(d, s, o);
      const std::size_t tore = d.tore;
      disk none = d;
      none.crash({keep::how::nothing});
      d.crash({keep::how::everything});
      const bool is_it = reopened(none, o) == s.shows[p.synced] && reopened(d, o) == s.shows[p.maybe];
      if (is_it && s.shows[p.synced] != s.shows[p.maybe]) size = tore;
    }
    std::size_t news = 0;
    for (std::size_t k = 0; k <= size; ++k) {
      CAPTURE(k);
      disk d;
      d.dead_from = call;
      d.torn_bytes = k;
      const progress p = run(d, s, o);
      d.crash({keep::how::everything});
      const std::string shown = reopened(d, o);
      INFO(shown);
      REQUIRE(allowed(shown, s, p));
      if (k == 0) CHECK(shown == s.shows[p.synced]);
      if (k == size) CHECK(shown == s.shows[p.maybe]);
      news += shown == s.shows[p.maybe] ? 1 : 0;
    }
    // Only zeros at its end, which lie there before, need not be written for it to be whole.
    CHECK(news >= 1);
    CHECK(news <= 8);
  }
}

TEST_CASE("a disk that lies about syncs: the loss shows, so this model can tell") {
  const script s = script::random_one(2, 40);
  disk d;
  d.lies = true;
  const progress p = run(d, s, small_options());
  REQUIRE(!p.failed);
  d.crash({});
  d.lies = false;
  CHECK(reopened(d, small_options()) != s.shows[p.synced]);
}
