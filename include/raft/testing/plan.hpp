#pragma once

// What a seed stands for: everything about a run that is chosen before it begins. Options, faults and workloads are
// drawn together ("swarm"): most runs have only some of the faults, and limits are often far smaller than anybody would
// choose, so that rare states come up within thousands of events.

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include <raft/configuration.hpp>
#include <raft/options.hpp>

#include <raft/testing/clock.hpp>
#include <raft/testing/rng.hpp>
#include <raft/testing/server.hpp>

namespace raft::testing {

/// What may go wrong while the safety phase lasts.
// clang-format off
enum class fault : std::uint8_t {
  cut_link, cut_into, cut_out_of, isolate, split, bridge, ring, flap, clog, lossy, drop_kind,
  crash, crash_leader, crash_at_write, crash_all, pause, disk_stall, refuse_write, sync_failure, refuse_snapshot,
  clock_rate, clock_jump, slow,
  io_error, full_disk, bit_flip, stale_block, misdirected_block,  // of real files
  count_,  ///< Not a fault: how many there are.
};
// clang-format on

inline constexpr std::size_t fault_count = static_cast<std::size_t>(fault::count_);

/// The names of the faults, in their order.
// clang-format off
inline constexpr std::array<const char*, fault_count> fault_names{
    "cut_link", "cut_into", "cut_out_of", "isolate", "split", "bridge", "ring", "flap", "clog", "lossy", "drop_kind",
    "crash", "crash_leader", "crash_at_write", "crash_all", "pause", "disk_stall", "refuse_write", "sync_failure",
    "refuse_snapshot", "clock_rate", "clock_jump", "slow", "io_error", "full_disk", "bit_flip", "stale_block",
    "misdirected_block"};
// clang-format on

/// Who is there when the faults have stopped.
enum class ending : std::uint8_t {
  all,     ///< Every server, fully connected.
  core,    ///< A quorum, fully connected; the rest stay down.
  hub,     ///< Every server, but each is connected to one alone (I45).
  web,     ///< Every server; a quorum is fully connected, of all other links some are there, each way by itself (I45).
  served,  ///< Every server; it is enough that somebody leads, commits and answers.
};

/// All times in microseconds, all chances per thousand.
struct plan {
  std::uint64_t seed = 0;
  std::uint64_t events = 0;  ///< How long the safety phase is.
  /// Of the errands (what clients do, what goes wrong), numbered from 1 in the order of time, those that are run, in
  /// their order; all of them if there is no such list. An errand draws from a generator of its own, and its moment
  /// does not depend on any other: so a run with fewer of them is the same run, but for what they did (shrink.hpp).
  std::optional<std::vector<std::uint64_t>> only{};

  // The cluster.
  configuration members{};
  std::vector<server_traits> servers{};
  server::options_type options{};
  std::size_t segment_bytes = 4096;
  std::size_t image_filler = 0;
  session_limits sessions{};
  instant ticker = 0;       ///< Servers tick at this rate; zero: when their deadline comes.
  instant timer_delay = 0;  ///< A timer is late by up to this.

  // The network, when no fault is under way.
  instant latency_min = 0;
  instant latency_max = 0;
  std::uint64_t late_permille = 0;  ///< Messages that take up to late_max.
  instant late_max = 0;
  bool in_order = false;
  std::uint64_t loss_permille = 0;
  std::uint64_t duplicate_permille = 0;
  std::uint64_t damage_permille = 0;
  std::uint64_t replay_permille = 0;  ///< With a message, one from long ago comes again.

  // Disks.
  instant sync_min = 0;
  instant sync_max = 0;
  bool each_write_alone = false;  ///< Writes complete one by one, in any order; else all that are there by one sync.
  std::uint64_t lose_all_permille = 0;  ///< Crashes that keep nothing that was not reported.
  std::uint32_t cold_permille = 0;
  instant fetch_delay = 0;            ///< Of entries in cold storage, up to this.
  std::uint64_t repeat_permille = 0;  ///< Reports of what is durable, or applied, that come twice.
  bool disks_lie = false;             ///< Never drawn: nothing is promised then. For tests of the checks.

  // Clocks, besides the faults.
  std::int64_t slowest_rate = 0;  ///< Not zero: rates are drawn from here up to the true one, so that leases hold.

  // Clients.
  instant work_interval = 0;  ///< The mean time between two things that clients ask.
  std::uint64_t span_permille = 0;
  std::uint64_t read_permille = 0;
  std::uint64_t session_permille = 0;   ///< Of commands that clients number and retry.
  std::uint64_t anywhere_permille = 0;  ///< Of the reads, those that are asked of any server.
  std::uint64_t forward_permille = 0;   ///< Proposals at any server.
  std::uint64_t stale_permille = 0;     ///< Reads with a bound on how stale they are.
  std::uint64_t snapshot_permille = 0;
  std::uint64_t snapshot_request_permille = 0;
  std::uint64_t campaign_permille = 0;
  std::uint64_t hostile_permille = 0;
  std::uint64_t spurious_tick_permille = 0;
  std::uint64_t leadership_permille = 0;  ///< Transfers, step-downs, evacuations, leaders forgotten.
  std::uint64_t change_permille = 0;      ///< Changes of the membership, among all servers.
  std::int64_t payload_max = 0;
  instant restore_delay = 0;  ///< Of each piece of a snapshot that is written or restored elsewhere, up to this.
  instant apply_delay = 0;    ///< Of machines that apply elsewhere, up to this.

  // Faults.
  instant fault_interval = 0;  ///< The mean time between two faults; zero: none.
  instant fault_length = 0;    ///< The longest duration of one.
  std::array<bool, fault_count> faults{};

  // The end.
  raft::testing::ending ending = ending::all;
  bool watch_stability = false;

  [[nodiscard]] bool runs(std::uint64_t errand) const noexcept {
    return !only || std::binary_search(only->begin(), only->end(), errand);
  }
  /// [I43] How long after the faults stopped everything must be in order, besides the time for what has to be sent.
  [[nodiscard]] instant patience() const noexcept { return 20 * options.election_timeout_max + reserve(); }
  /// How much longer it may take because of servers that let others go first.
  [[nodiscard]] instant reserve() const noexcept {
    instant all = 0;
    for (const server_traits& t : servers) {
      instant own = 0;
      if (t.machine == machine_kind::elsewhere) own = options.campaign_grace * options.election_timeout_max;
      for (std::uint32_t lacking = highest_priority - t.priority; lacking != 0; lacking /= 2) {
        own += lacking * (options.election_timeout_max - options.election_timeout_min);
      }
      all = std::max(all, own);
    }
    return all;
  }
};

namespace detail {

inline void draw_members(plan& p, rng& r) {
  const auto count = r.one_of<std::uint64_t>({1, 2, 3, 3, 3, 3, 3, 4, 5, 5, 5, 7});
  std::vector<node_id> ids;
  for (std::uint64_t i = 1; i <= count; ++i) ids.emplace_back(i);
  p.members = voters_of(ids);
  if (count >= 3 && r.permille(200)) {
    p.members.learners.push_back(p.members.voters.back());
    p.members.voters.pop_back();
  } else if (count >= 3 && r.permille(150)) {
    // Joint from the first moment on: halves that overlap, as if one server was being replaced.
    p.members.outgoing.assign(ids.begin(), ids.end() - 1);
    p.members.voters.assign(ids.begin() + 1, ids.end());
  }
  const bool mixed = r.permille(500);
  const auto draw_traits = [&r] {
    const auto kind =
        r.one_of({machine_kind::in_place, machine_kind::in_place, machine_kind::elsewhere, machine_kind::durable});
    return server_traits{r.permille(700), kind};
  };
  const server_traits same = draw_traits();
  // Those beyond the first members join by a change, if at all.
  if (r.permille(300)) p.change_permille = r.one_of<std::uint64_t>({5, 30});
  const std::uint64_t spare = p.change_permille == 0 ? 0 : std::min<std::uint64_t>(8 - count, r.below(4));
  for (std::uint64_t i = 0; i < count + spare; ++i) p.servers.push_back(mixed ? draw_traits() : same);
}

inline void draw_options(plan& p, rng& r) {
  auto& o = p.options;
  o.election_timeout_min = r.between(50, 300) * milliseconds_us;
  o.election_timeout_max = o.election_timeout_min + r.between(20, 200) * milliseconds_us;
  o.heartbeat_interval = o.election_timeout_min / r.between(2, 8);
  o.pre_vote = r.permille(700);
  o.check_quorum = r.permille(700);
  o.max_entries_per_append = static_cast<std::uint32_t>(r.log_between(1, 256));
  o.max_bytes_per_append = static_cast<std::uint32_t>(r.log_between(64, 1 << 16));
  o.max_inflight_messages = static_cast<std::uint32_t>(r.log_between(1, 64));
  o.max_inflight_bytes = o.max_bytes_per_append * static_cast<std::uint64_t>(r.log_between(1, 64));
  o.eager_messages = static_cast<std::uint32_t>(r.between(1, std::min<std::int64_t>(o.max_inflight_messages, 4)));
  p.payload_max = r.log_between(8, 2048);
  o.max_entry_bytes = static_cast<std::uint32_t>(p.payload_max);
  o.max_uncommitted_bytes = entry_bytes(o.max_entry_bytes) * static_cast<std::uint64_t>(r.log_between(1, 256));
  o.commit_at_once = r.permille(400);
  o.promotion_rounds = r.permille(500) ? 1U : 10U;
  o.max_apply_bytes = r.permille(500) ? static_cast<std::uint64_t>(r.log_between(1, 4096)) : o.max_apply_bytes;
  o.snapshot_chunk_bytes = static_cast<std::uint32_t>(r.log_between(32, 4096));
  o.trailing_entries = static_cast<std::uint64_t>(r.permille(250) ? 0 : r.log_between(1, 256));
  if (r.permille(300)) o.trailing_bytes = static_cast<std::uint64_t>(r.log_between(1, 1 << 14));
  if (r.permille(300)) o.snapshot_bytes_per_second = static_cast<std::uint64_t>(r.log_between(20, 2000));
  o.snapshot_carry_timeout = r.between(1, 4) * o.election_timeout_max;
  p.segment_bytes = static_cast<std::size_t>(r.log_between(64, 16384));
  p.image_filler = static_cast<std::size_t>(r.permille(300) ? 0 : r.log_between(1, 2048));
  // A ticker has to be finer than the spread of the timeouts, or candidates keep meeting in one tick.
  const instant spread = o.election_timeout_max - o.election_timeout_min;
  if (r.permille(250)) p.ticker = std::min(o.heartbeat_interval / 2, spread / 4) / r.between(1, 4);
  if (r.permille(300)) p.timer_delay = o.heartbeat_interval / 2;
}

inline void draw_network_and_disks(plan& p, rng& r) {
  p.latency_min = r.log_between(50, 2000);
  p.latency_max = p.latency_min + r.log_between(50, 10 * milliseconds_us);
  if (r.permille(500)) p.late_permille = static_cast<std::uint64_t>(r.log_between(1, 100));
  p.late_max = r.log_between(20 * milliseconds_us, 2000 * milliseconds_us);
  p.in_order = r.permille(200);
  if (r.permille(500)) p.loss_permille = static_cast<std::uint64_t>(r.log_between(1, 200));
  if (r.permille(500)) p.duplicate_permille = static_cast<std::uint64_t>(r.log_between(1, 200));
  if (r.permille(300)) p.damage_permille = static_cast<std::uint64_t>(r.log_between(1, 30));
  if (r.permille(300)) p.replay_permille = static_cast<std::uint64_t>(r.log_between(1, 50));
  p.sync_min = r.log_between(50, 1000);
  p.sync_max = p.sync_min + r.log_between(50, 20 * milliseconds_us);
  p.each_write_alone = r.permille(400);
  p.lose_all_permille = r.one_of<std::uint64_t>({0, 300, 1000});
  if (r.permille(200)) p.cold_permille = static_cast<std::uint32_t>(r.log_between(1, 300));
  p.fetch_delay = r.log_between(10, 200 * milliseconds_us);
}

inline void draw_work_and_faults(plan& p, rng& r) {
  p.work_interval = r.log_between(500, 50 * milliseconds_us);
  p.span_permille = r.one_of<std::uint64_t>({0, 100, 500});
  p.read_permille = r.one_of<std::uint64_t>({0, 100, 400});
  p.snapshot_permille = r.one_of<std::uint64_t>({0, 20, 100, 200});
  if (p.payload_max >= 32) p.session_permille = r.one_of<std::uint64_t>({0, 100, 400});
  p.sessions = {static_cast<std::uint64_t>(r.between(2, 8)), static_cast<std::uint64_t>(r.between(1, 8)), 1 << 20,
                r.permille(500) ? static_cast<std::uint64_t>(r.log_between(50, 2000)) : 0};
  p.snapshot_request_permille = r.one_of<std::uint64_t>({0, 0, 2, 10});
  p.campaign_permille = r.one_of<std::uint64_t>({0, 0, 2, 20});
  p.hostile_permille = r.one_of<std::uint64_t>({0, 20});
  p.spurious_tick_permille = r.one_of<std::uint64_t>({0, 0, 50});
  p.repeat_permille = r.one_of<std::uint64_t>({0, 0, 50});
  p.apply_delay = r.log_between(10, 100 * milliseconds_us);
  p.restore_delay = r.log_between(10, 500 * milliseconds_us);
  if (r.permille(30)) return;  // A few runs without any fault: they must not need one.
  p.fault_interval = r.log_between(50 * milliseconds_us, 3000 * milliseconds_us);
  p.fault_length = r.log_between(50 * milliseconds_us, 3000 * milliseconds_us);
  for (std::size_t i = 0; i < static_cast<std::size_t>(fault::io_error); ++i) p.faults[i] = r.permille(500);
}

/// Where reads go by leases, clocks keep to the drift that the options state; one that jumps keeps to none.
inline void draw_leases(plan& p, rng r) {
  auto& o = p.options;
  if (!o.check_quorum || !r.permille(400)) return;
  o.lease_reads = true;
  o.lease_clock_drift = r.one_of<std::uint32_t>({0, 50, 200, 500, 900});
  p.slowest_rate = (clock_face::true_rate * (1000 - static_cast<std::int64_t>(o.lease_clock_drift)) + 999) / 1000;
  p.faults[static_cast<std::size_t>(fault::clock_jump)] = false;
  p.read_permille = std::max<std::uint64_t>(p.read_permille, 300);
  if (!r.permille(500) || p.members.voters.size() < 3) return;
  // Leaders that are cut off while their clock is slow and others' are not, and that are asked all the time.
  p.read_permille = 600;
  p.work_interval = std::min<instant>(p.work_interval, milliseconds_us);
  p.fault_interval = 2 * o.election_timeout_max;
  p.fault_length = 10 * o.election_timeout_max;
  p.faults.fill(false);
  for (const fault f : {fault::clock_rate, fault::isolate, fault::crash_leader}) {
    p.faults[static_cast<std::size_t>(f)] = true;
  }
}

/// Servers whose logs are on real files, and what goes wrong with those. What lies there is damaged only where the
/// membership stays, so that nobody counts on a server that is lost for good.
inline void draw_files(plan& p, rng r) {
  if (!r.permille(350)) return;
  const std::uint64_t part = r.one_of<std::uint64_t>({500, 1000});
  for (server_traits& t : p.servers) t.files = r.permille(part);
  if (p.fault_interval == 0) return;
  for (const fault f :
       {fault::io_error, fault::full_disk, fault::bit_flip, fault::stale_block, fault::misdirected_block}) {
    p.faults[static_cast<std::size_t>(f)] = r.permille(400) && (f < fault::bit_flip || p.change_permille == 0);
  }
}

/// Reads at any server, and reads that say how stale they are.
inline void draw_remote_reads(plan& p, rng r) {
  p.anywhere_permille = r.one_of<std::uint64_t>({0, 300, 700});
  p.stale_permille = r.one_of<std::uint64_t>({0, 50, 200});
  p.forward_permille = r.one_of<std::uint64_t>({0, 100, 400});
  p.options.max_forwarded_bytes = static_cast<std::uint64_t>(r.log_between(1, 1 << 16));
  p.options.max_pending_reads = static_cast<std::uint32_t>(r.permille(300) ? r.log_between(1, 32) : 65536);
}

/// Of a stream of its own.
inline void draw_leadership(plan& p, rng r) {
  p.leadership_permille = r.one_of<std::uint64_t>({0, 0, 5, 30, 100});
  p.options.propose_while_target_lags = r.permille(500);
  if (r.permille(500)) p.options.transfer_timeout = r.log_between(milliseconds_us, 2000 * milliseconds_us);
  p.options.campaign_grace = static_cast<std::uint32_t>(r.below(6));
  if (!r.permille(300)) return;
  for (server_traits& t : p.servers) t.priority = static_cast<std::uint32_t>(r.below(highest_priority + 1));
}

}  // namespace detail

/// The plan of a seed. Precondition: none; every seed has one.
[[nodiscard]] inline plan draw_plan(std::uint64_t seed, std::uint64_t events) {
  plan p;
  rng r = rng{seed}.fork(1);
  p.seed = seed;
  p.events = events;
  detail::draw_members(p, r);
  detail::draw_options(p, r);
  detail::draw_network_and_disks(p, r);
  detail::draw_work_and_faults(p, r);
  detail::draw_leases(p, rng{seed}.fork(11));
  detail::draw_leadership(p, rng{seed}.fork(8));
  detail::draw_remote_reads(p, rng{seed}.fork(12));
  detail::draw_files(p, rng{seed}.fork(14));
  p.ending = r.one_of({ending::all, ending::all, ending::core, ending::hub, ending::web});
  const bool steady = p.options.pre_vote && p.options.check_quorum;
  const bool partial = p.ending == ending::hub || p.ending == ending::web;
  if (partial && (!steady || p.servers.size() < 3)) p.ending = ending::all;
  // Which quorum would do is not known where the membership changes; and servers that were removed and do not know it
  // disturb those that are not steady.
  if (p.change_permille != 0) p.ending = steady ? ending::all : ending::served;
  p.watch_stability = r.permille(120);
  return p;
}

namespace detail {
template <class Add>
void add_reads(const server::options_type& o, Add&& add) {
  add("lease_reads", o.lease_reads);
  add("lease_clock_drift", o.lease_clock_drift);
  add("max_pending_reads", o.max_pending_reads);
  add("max_forwarded_bytes", o.max_forwarded_bytes);
}
}  // namespace detail

/// A server's traits in a word.
[[nodiscard]] inline std::string to_text(const server_traits& t) {
  std::string text = t.deferred ? " deferred" : " immediate";
  text += t.machine == machine_kind::in_place ? "" : t.machine == machine_kind::elsewhere ? "+elsewhere" : "+durable";
  if (t.files) text += "+files";
  if (t.priority != highest_priority) text.append("+priority").append(std::to_string(t.priority));
  return text;
}

/// The plan as lines of text, for a report.
[[nodiscard]] inline std::string to_text(const plan& p) {
  std::string text;
  const auto add = [&text](const char* name, auto value) {
    char line[96];
    std::snprintf(line, sizeof line, "  %s=%" PRId64, name, static_cast<std::int64_t>(value));
    text += line;
  };
  const auto end_line = [&text] { text += '\n'; };
  const auto& o = p.options;
  add("voters", p.members.voters.size());
  add("outgoing", p.members.outgoing.size());
  add("learners", p.members.learners.size());
  add("change_permille", p.change_permille);
  add("leadership_permille", p.leadership_permille);
  for (const server_traits& t : p.servers) text += to_text(t);
  end_line();
  add("election_timeout_min", o.election_timeout_min);
  add("election_timeout_max", o.election_timeout_max);
  add("heartbeat_interval", o.heartbeat_interval);
  add("pre_vote", o.pre_vote);
  add("check_quorum", o.check_quorum);
  add("commit_at_once", o.commit_at_once);
  detail::add_reads(o, add);
  end_line();
  add("transfer_timeout", o.transfer_timeout);
  add("propose_while_target_lags", o.propose_while_target_lags);
  add("campaign_grace", o.campaign_grace);
  add("max_entries_per_append", o.max_entries_per_append);
  add("max_bytes_per_append", o.max_bytes_per_append);
  add("max_inflight_messages", o.max_inflight_messages);
  add("max_inflight_bytes", o.max_inflight_bytes);
  add("eager_messages", o.eager_messages);
  end_line();
  add("max_entry_bytes", o.max_entry_bytes);
  add("max_uncommitted_bytes", o.max_uncommitted_bytes);
  add("max_apply_bytes", o.max_apply_bytes);
  add("snapshot_chunk_bytes", o.snapshot_chunk_bytes);
  add("trailing_entries", o.trailing_entries);
  end_line();
  add("segment_bytes", p.segment_bytes);
  add("image_filler", p.image_filler);
  add("ticker", p.ticker);
  add("timer_delay", p.timer_delay);
  add("work_interval", p.work_interval);
  add("apply_delay", p.apply_delay);
  end_line();
  add("latency_min", p.latency_min);
  add("latency_max", p.latency_max);
  add("late_permille", p.late_permille);
  add("late_max", p.late_max);
  add("in_order", p.in_order);
  add("loss_permille", p.loss_permille);
  add("duplicate_permille", p.duplicate_permille);
  end_line();
  add("sync_min", p.sync_min);
  add("sync_max", p.sync_max);
  add("each_write_alone", p.each_write_alone);
  add("lose_all_permille", p.lose_all_permille);
  add("fault_interval", p.fault_interval);
  add("fault_length", p.fault_length);
  add("ending", p.ending);
  end_line();
  text += "  faults:";
  for (std::size_t i = 0; i < fault_count; ++i) {
    if (p.fault_interval != 0 && p.faults[i]) text.append(" ").append(fault_names[i]);
  }
  end_line();
  return text;
}

}  // namespace raft::testing
