// Crash at every write. Small runs of each kind (elections, conflicts, snapshots, membership, transfers, sessions,
// reads) are carried out once; then again for each server and each write that it made, with the power failing there:
// before it, after it, in the midst of it, and with every remainder of what was not known to be durable. The server
// starts again from what is left, the run goes on to its end, and all invariants are checked at every event, liveness
// at the end.
//
// Three kinds of Log: durable on return, deferred, and file_log on files in memory, both deferred and on return, where
// a write is a call to the system. Complete, not sampled. Counts are printed.
//
// The long form makes longer runs of more seeds: `build/release/tests/every_writes_test --no-skip`.

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include <sim/assertion.hpp>  // before any header of the engine

#include <raft/testing/simulation.hpp>
#include <sim/engine_servers.hpp>

namespace {

using namespace raft;
using namespace raft::testing;

/// A kind of run, and the meter that says that it was one.
struct kind {
  const char* name;
  void (*shape)(plan&);
  meter shows;
};

void enable(plan& p, std::initializer_list<fault> which) {
  p.fault_interval = 3 * p.options.election_timeout_max;
  for (const fault f : which) p.faults[static_cast<std::size_t>(f)] = true;
}

const kind kinds[]{
    {"elections", [](plan& p) { p.campaign_permille = 250; }, meter::campaigns_forced},
    {"conflicts", [](plan& p) { enable(p, {fault::isolate}); }, meter::truncations},
    {"snapshots",
     [](plan& p) {
       p.snapshot_permille = 250;
       p.options.trailing_entries = 0;
       p.options.snapshot_chunk_bytes = 64;
       enable(p, {fault::isolate});
     },
     meter::snapshots_installed},
    {"membership",
     [](plan& p) {
       p.change_permille = 250;
       p.servers.push_back(p.servers.back());
     },
     meter::configurations_committed},
    {"a joint membership",
     [](plan& p) {
       p.change_permille = 250;
       p.servers.push_back(p.servers.back());
       p.members.outgoing = p.members.voters;
       p.members.voters = {node_id{2}, node_id{3}, node_id{4}};
     },
     meter::joint_configurations_left},
    {"transfers", [](plan& p) { p.leadership_permille = 250; }, meter::transfers_done},
    {"sessions", [](plan& p) { p.session_permille = 900; }, meter::session_commands},
    {"reads",
     [](plan& p) {
       p.read_permille = 500;
       p.anywhere_permille = 300;
       enable(p, {fault::isolate});
     },
     meter::reads_ready},
};

/// A small cluster of three, without chance where it can be without.
plan small_plan(const kind& k, server_traits traits, std::uint64_t seed, std::uint64_t events) {
  plan p;
  p.seed = seed;
  p.events = events;
  p.members = voters_of({node_id{1}, node_id{2}, node_id{3}});
  p.servers.assign(3, traits);
  p.options.election_timeout_min = 100 * milliseconds_us;
  p.options.election_timeout_max = 180 * milliseconds_us;
  p.options.heartbeat_interval = 30 * milliseconds_us;
  p.options.max_entry_bytes = 64;
  p.options.max_entries_per_append = 8;
  p.options.snapshot_carry_timeout = p.options.election_timeout_max;
  p.payload_max = 64;
  p.sessions = {4, 4, 1 << 20, 0};
  p.latency_min = 200;
  p.latency_max = 2000;
  p.late_max = p.latency_max;
  p.sync_min = 300;
  p.sync_max = 5000;
  p.work_interval = 8 * milliseconds_us;
  p.span_permille = 400;
  p.apply_delay = p.restore_delay = p.fetch_delay = 1000;
  p.fault_length = 2 * p.options.election_timeout_max;
  k.shape(p);
  return p;
}

struct tally {
  std::uint64_t runs = 0;
  std::uint64_t writes = 0;
  std::uint64_t crashes = 0;
  std::uint64_t violations = 0;
};

/// Where the power fails, and what is left then.
struct cut {
  std::size_t slot = 0;
  std::uint32_t write = 0;  ///< So many are made before it. Of files: so many calls.
  std::size_t kept = 0;
  std::uint32_t entries = 0;
  std::size_t torn_bytes = 0;
  keep files{};
};

std::string to_text(const cut& c) {
  return "the power of server " + std::to_string(c.slot + 1) + " fails after " + std::to_string(c.write) +
         " writes; kept " + std::to_string(c.kept) + " and " + std::to_string(c.entries) + " entries, " +
         std::to_string(c.torn_bytes) + " bytes, remainder " + std::to_string(static_cast<int>(c.files.what)) + " " +
         std::to_string(c.files.seed);
}

void set(cluster& c, const cut& at) {
  server& s = c.at(at.slot);
  if (log_files* files = s.disk.files()) {
    files->below().dead_from = at.write + 1;
    files->below().torn_bytes = at.torn_bytes;
    s.disk.keep_at_crash(at.files);
  } else {
    s.disk.refuse_from(at.write, true);
    s.disk.keep_at_crash(at.kept, at.entries);
  }
}

/// One run with one crash. What the crash left; nothing if it did not come to it before the faults stopped.
std::optional<disk::remains> run(const plan& p, const cut& at, tally& t) {
  ++t.runs;
  running(p.seed, p.events);
  std::optional<disk::remains> left;
  const auto look = [&](cluster& c) { left = c.at(at.slot).disk.left_as_chosen(); };
  story untold;
  const outcome o = simulate(
      p, untold, nullptr, [&](cluster& c) { set(c, at); }, look);
  t.crashes += o.counts[meter::crashes_at_write];
  if (o.found) {
    ++t.violations;
    FAIL_CHECK(to_text(at), "\n", raft::testing::to_text(o));
  }
  return left;
}

/// Every number of the writes that are waiting is kept, and of the next one every number of entries. False if it never
/// comes to this write.
bool crash_at_write(const plan& p, cut at, tally& t) {
  for (at.kept = 0;; ++at.kept) {
    for (at.entries = 0;; ++at.entries) {
      const auto left = run(p, at, t);
      if (!left) return at.kept != 0 || at.entries != 0;
      if (left->lost == 0) return true;  // all that were waiting are kept
      // With no entry of it kept, it is not known yet whether it can be torn.
      if (at.entries != 0 && !left->torn) break;
      if (at.entries == p.options.max_entries_per_append) break;
    }
  }
}

/// Nothing is kept, all is, every second thing; and of the write in whose midst it fails, none or part.
bool crash_at_call(const plan& p, cut at, tally& t) {
  const std::uint64_t before = t.crashes;
  for (const std::size_t torn : {0U, 300U, 700U}) {
    at.torn_bytes = torn;
    for (const keep& k : {keep{}, keep{keep::how::everything}, keep{keep::how::any, at.write}}) {
      at.files = k;
      if (torn == 0 || k.what != keep::how::nothing) run(p, at, t);
      if (t.crashes == before) return false;
    }
  }
  return true;
}

/// The first of a few seeds whose run is of this kind.
plan find_plan(const kind& k, server_traits traits, std::uint64_t from, std::uint64_t events) {
  for (std::uint64_t seed = from; seed < from + 100; ++seed) {
    const plan p = small_plan(k, traits, seed, events);
    const outcome whole = simulate(p);
    INFO(raft::testing::to_text(whole));
    REQUIRE(!whole.found);
    if (whole.counts[k.shows] > 0) return p;
  }
  FAIL("no run is of the kind ", std::string{k.name});
  return {};
}

/// Writes behind the end of the faults are those of other runs.
void crash_everywhere(const plan& p, tally& t) {
  for (std::size_t slot = 0; slot < p.servers.size(); ++slot) {
    cut at{slot, 0, 0, 0, 0, {}};
    for (; p.servers[slot].files ? crash_at_call(p, at, t) : crash_at_write(p, at, t); ++at.write) ++t.writes;
  }
}

void crash_at_every_write(const char* of, server_traits traits, std::uint64_t seeds, std::uint64_t events) {
  tally all;
  for (const kind& k : kinds) {
    tally t;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) crash_everywhere(find_plan(k, traits, 1000 * seed, events), t);
    MESSAGE(std::string{of}, ", ", std::string{k.name}, ": ", t.writes, " writes, ", t.runs, " runs, ", t.crashes,
            " crashes, ", t.violations, " violations");
    CHECK(t.writes > 20);
    CHECK(t.crashes > t.writes);
    all.runs += t.runs;
    all.writes += t.writes;
    all.crashes += t.crashes;
    all.violations += t.violations;
  }
  MESSAGE(std::string{of}, ": ", all.writes, " writes, ", all.runs, " runs, ", all.crashes, " crashes, ",
          all.violations, " violations");
}

constexpr server_traits immediate{false, machine_kind::in_place, highest_priority, false};
constexpr server_traits deferred{true, machine_kind::in_place, highest_priority, false};
constexpr server_traits immediate_files{false, machine_kind::in_place, highest_priority, true};
constexpr server_traits deferred_files{true, machine_kind::in_place, highest_priority, true};

}  // namespace

TEST_CASE("crash at every write of a log that is durable on return") {
  crash_at_every_write("durable on return", immediate, 1, 250);
}

TEST_CASE("crash at every write of a deferred log, with every remainder") {
  crash_at_every_write("deferred", deferred, 1, 250);
}

TEST_CASE("crash at every call of file_log, deferred") {
  crash_at_every_write("file_log deferred", deferred_files, 1, 180);
}

TEST_CASE("crash at every call of file_log, durable on return") {
  crash_at_every_write("file_log on return", immediate_files, 1, 120);
}

TEST_CASE("crash at every write of longer runs" * doctest::skip()) {
  crash_at_every_write("durable on return", immediate, 5, 1000);
  crash_at_every_write("deferred", deferred, 5, 1000);
  crash_at_every_write("file_log deferred", deferred_files, 3, 600);
  crash_at_every_write("file_log on return", immediate_files, 3, 400);
}
