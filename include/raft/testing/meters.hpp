#pragma once

// Meters: how often each fault was injected and each feature used. A run over many seeds in which one stays at zero has
// not tested what it says, and fails (see report.hpp). A meter counts the effect, not the intention: `lost` counts
// messages that did not arrive.

#include <array>
#include <cstddef>
#include <cstdint>

namespace raft::testing {

// clang-format off
enum class meter : std::uint8_t {
  // The network.
  delivered, lost, duplicated, reordered, delayed_long, clogged, cut_one_way, cut_both_ways, split, bridge, ring, flapped,
  dropped_by_kind, damaged_frames, replayed_old,
  // Servers and their disks.
  crashes, crashes_at_write, crashes_that_lost_writes, crashes_that_kept_unreported_writes, torn_appends, restarts,
  restarts_of_all, pauses, slowed_calls, clock_rates, clock_jumps, disk_stalls, writes_refused, syncs_failed, completions_out_of_order,
  snapshots_refused_by_disk, reads_not_at_hand, cold_fetches, restored_elsewhere,
  snapshots_in_pieces, snapshots_abandoned, snapshots_overtaken, snapshots_offered, snapshots_carried,
  snapshot_requests, snapshot_requests_served, fixed_rate_ticks,
  // Real files.
  logs_opened, io_errors, full_disks, sectors_dropped_by_sync, torn_writes, bit_flips, stale_blocks, misdirected_blocks,
  damage_refused, damage_harmless, servers_lost,
  // Elections.
  pre_votes_asked, votes_asked, votes_granted, leaders, campaigns_forced, step_downs, candidacies,
  // Replication.
  appends_with_entries, heartbeats, appends_refused, truncations, peers_to_snapshot, compactions, snapshots_taken,
  snapshot_chunks, snapshots_installed, snapshot_transfers_resumed, figure_8_states, commits_of_older_terms,
  // Clients.
  proposals, spans, empty_proposals, largest_proposals, refused_too_large, refused_busy, refused_not_leader, fates_applied,
  fates_dropped, fates_unknown, hostile_refused, reads_asked, reads_ready, reads_dropped, reads_by_lease, reads_at_followers, forwards, forwards_refused,
  forwards_taken, forwards_applied, forwards_dropped, forwards_unknown, stale_reads_shown,
  stale_reads_refused, refused_term_moved,
  applied, applied_elsewhere, machines_restored,
  durable_machines_restarted,
  // Leadership.
  transfers_begun, transfers_done, transfers_timed_out, transfers_aborted, transfers_refused, refused_transferring,
  leaders_by_transfer, step_downs_asked, evacuations, leaders_forgotten, leadership_declined, low_priorities,
  sessions_opened, session_commands, session_retries_answered, session_retries_too_old, sessions_expired,
  // Membership.
  changes, changes_refused, changes_with_data, promotions, promotions_too_slow, promotions_aborted, joint_configurations_left, configurations_committed, leaders_removed,
  // Answers to "why?".
  absences_with_refusals, pauses_by_limits, delays_of_earlier_terms, delays_of_own_disks,
  // The shape of the cluster and of the end.
  learners, joint_configurations, single_voters, even_voters, ends_with_all, ends_with_core, ends_with_hub, ends_with_web, ends_with_service, stability_watched,
  count_,  ///< Not a meter: how many there are.
};
// clang-format on

/// The names of the meters, in their order.
// clang-format off
inline constexpr std::array<const char*, static_cast<std::size_t>(meter::count_)> meter_names{
    "delivered", "lost", "duplicated", "reordered", "delayed_long", "clogged", "cut_one_way", "cut_both_ways", "split",
    "bridge", "ring", "flapped", "dropped_by_kind", "damaged_frames", "replayed_old",
    "crashes", "crashes_at_write", "crashes_that_lost_writes", "crashes_that_kept_unreported_writes", "torn_appends",
    "restarts", "restarts_of_all", "pauses", "slowed_calls", "clock_rates", "clock_jumps", "disk_stalls", "writes_refused",
    "syncs_failed", "completions_out_of_order", "snapshots_refused_by_disk", "reads_not_at_hand", "cold_fetches",
    "restored_elsewhere", "snapshots_in_pieces", "snapshots_abandoned", "snapshots_overtaken",
    "snapshots_offered", "snapshots_carried", "snapshot_requests", "snapshot_requests_served",
    "fixed_rate_ticks",
    "logs_opened", "io_errors", "full_disks", "sectors_dropped_by_sync", "torn_writes", "bit_flips", "stale_blocks",
    "misdirected_blocks", "damage_refused", "damage_harmless", "servers_lost",
    "pre_votes_asked", "votes_asked", "votes_granted", "leaders", "campaigns_forced", "step_downs", "candidacies",
    "appends_with_entries", "heartbeats", "appends_refused", "truncations", "peers_to_snapshot", "compactions",
    "snapshots_taken", "snapshot_chunks", "snapshots_installed", "snapshot_transfers_resumed", "figure_8_states",
    "commits_of_older_terms",
    "proposals", "spans", "empty_proposals", "largest_proposals", "refused_too_large", "refused_busy",
    "refused_not_leader", "fates_applied", "fates_dropped", "fates_unknown", "hostile_refused", "reads_asked", "reads_ready",
    "reads_dropped", "reads_by_lease", "reads_at_followers", "forwards", "forwards_refused", "forwards_taken",
    "forwards_applied", "forwards_dropped", "forwards_unknown", "stale_reads_shown", "stale_reads_refused", "refused_term_moved",
    "applied", "applied_elsewhere", "machines_restored",
    "durable_machines_restarted",
    "transfers_begun", "transfers_done", "transfers_timed_out", "transfers_aborted", "transfers_refused",
    "refused_transferring", "leaders_by_transfer", "step_downs_asked", "evacuations", "leaders_forgotten",
    "leadership_declined", "low_priorities",
    "sessions_opened", "session_commands", "session_retries_answered", "session_retries_too_old", "sessions_expired",
    "changes", "changes_refused", "changes_with_data", "promotions", "promotions_too_slow", "promotions_aborted",
    "joint_configurations_left", "configurations_committed",
    "leaders_removed",
    "absences_with_refusals", "pauses_by_limits", "delays_of_earlier_terms", "delays_of_own_disks",
    "learners", "joint_configurations", "single_voters", "even_voters", "ends_with_all", "ends_with_core",
    "ends_with_hub", "ends_with_web", "ends_with_service", "stability_watched",
};
// clang-format on
static_assert(meter_names.back() != nullptr, "every meter has a name");

/// The counts of one run, or of many.
class meters {
 public:
  constexpr void add(meter m, std::uint64_t n = 1) noexcept { counts_[static_cast<std::size_t>(m)] += n; }
  [[nodiscard]] constexpr std::uint64_t operator[](meter m) const noexcept {
    return counts_[static_cast<std::size_t>(m)];
  }
  constexpr void add(const meters& other) noexcept {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  }

 private:
  std::array<std::uint64_t, static_cast<std::size_t>(meter::count_)> counts_{};
};

}  // namespace raft::testing
