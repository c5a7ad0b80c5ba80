#pragma once

// Counts what a node does, for a metrics page: an Observer, and the names that an exporter gives to its numbers.
// An optional battery; it stands on observer.hpp (floor 5).
//
//   raft::node<Transport, Log, Clock, StateMachine, raft::counting_observer> n = ...;
//   n.observer().for_each([&](const raft::metric& m) { write(m.name, m.help, m.type, m.value); });
//
// The names follow Prometheus' rules (a unit, `_total` for what only rises) and, where there is one, the name in use
// elsewhere for the same thing. An Observer of your own derives from this one, says `using counting_observer::on;` and
// calls the base in what it overrides.
//
// Invariants: counters never fall while the node lives, and begin at zero with it; nothing is allocated; one event
// costs a few additions. As thread-safe as the node: read it where the node is called.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <raft/message.hpp>
#include <raft/observer.hpp>
#include <raft/role.hpp>
#include <raft/types.hpp>

namespace raft {

enum class metric_type : std::uint8_t {
  counter,  ///< Only rises.
  gauge,    ///< Rises and falls.
};

/// One number with its name. The texts are in static storage.
struct metric {
  std::string_view name{};
  std::string_view help{};
  metric_type type{};
  std::uint64_t value = 0;
};

/// The numbers. A plain value.
struct counters {
  // Elections.
  std::uint64_t term = 0;
  std::uint64_t leader = 0;
  std::uint64_t is_leader = 0;
  std::uint64_t leader_changes = 0;
  std::uint64_t pre_candidacies = 0;
  std::uint64_t candidacies = 0;
  std::uint64_t elections_won = 0;
  std::uint64_t step_downs = 0;
  std::uint64_t votes_granted = 0;
  std::uint64_t vote_requests_ignored = 0;
  std::uint64_t campaigns_declined = 0;
  // Leadership by wish.
  std::uint64_t transfers = 0;
  std::uint64_t transfers_done = 0;
  std::uint64_t transfers_timed_out = 0;
  std::uint64_t transfers_aborted = 0;
  std::uint64_t transfers_refused = 0;
  // Clients.
  std::uint64_t proposed = 0;
  std::uint64_t proposed_bytes = 0;
  std::uint64_t proposals_refused = 0;
  std::uint64_t proposals_refused_busy = 0;
  std::uint64_t proposals_refused_not_leader = 0;
  std::uint64_t proposals_refused_transferring = 0;
  std::uint64_t fates_applied = 0;
  std::uint64_t fates_dropped = 0;
  std::uint64_t fates_unknown = 0;
  std::uint64_t forwarded = 0;
  std::uint64_t forwarded_applied = 0;
  std::uint64_t forwarded_dropped = 0;
  std::uint64_t forwarded_unknown = 0;
  std::uint64_t forwarded_ignored = 0;
  std::uint64_t reads_ready = 0;
  std::uint64_t reads_dropped = 0;
  std::uint64_t reads_refused = 0;
  std::uint64_t reads_too_stale = 0;
  std::uint64_t read_requests_ignored = 0;
  std::uint64_t changes_refused = 0;
  // The log.
  std::uint64_t committed = 0;
  std::uint64_t applied = 0;
  std::uint64_t truncations = 0;
  std::uint64_t snapshots_taken = 0;
  std::uint64_t snapshots_installed = 0;
  std::uint64_t snapshots_sent = 0;
  std::uint64_t snapshots_wanted = 0;
  // Messages.
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  std::uint64_t refused = 0;
  std::uint64_t ignored = 0;
  std::uint64_t appends_sent = 0;
  std::uint64_t entries_sent = 0;
  std::uint64_t entry_bytes_sent = 0;
  std::uint64_t heartbeats_sent = 0;
  std::uint64_t appends_received = 0;
  std::uint64_t entries_received = 0;
  std::uint64_t entry_bytes_received = 0;
  std::uint64_t heartbeats_received = 0;
  std::uint64_t chunks_sent = 0;
  std::uint64_t chunk_bytes_sent = 0;
  std::uint64_t chunks_received = 0;
  std::uint64_t chunk_bytes_received = 0;
  // Members.
  std::uint64_t configuration_changes = 0;
  std::uint64_t voters = 0;
  std::uint64_t learners = 0;
  std::uint64_t joint = 0;
  std::uint64_t promotions_done = 0;
  std::uint64_t promotions_too_slow = 0;
  std::uint64_t promotions_aborted = 0;
  std::uint64_t peers_lost = 0;
  std::uint64_t failed = 0;

  friend constexpr bool operator==(const counters&, const counters&) = default;
};

namespace detail {

struct metric_row {
  std::uint64_t counters::*value;
  metric_type type;
  std::string_view name;
  std::string_view help;
};

// clang-format off
inline constexpr std::array metric_rows{
    metric_row{&counters::term, metric_type::gauge, "raft_term", "The current term."},
    metric_row{&counters::leader, metric_type::gauge, "raft_leader_id", "The id of the leader of this term, 0 if none is known."},
    metric_row{&counters::is_leader, metric_type::gauge, "raft_is_leader", "Whether this server leads: 1 if it does, else 0."},
    metric_row{&counters::leader_changes, metric_type::counter, "raft_leader_changes_seen_total", "How often another leader than the one before became known."},
    metric_row{&counters::pre_candidacies, metric_type::counter, "raft_pre_elections_started_total", "Pre-votes begun by this server."},
    metric_row{&counters::candidacies, metric_type::counter, "raft_elections_started_total", "Elections in which this server stood."},
    metric_row{&counters::elections_won, metric_type::counter, "raft_elections_won_total", "Elections that this server won."},
    metric_row{&counters::step_downs, metric_type::counter, "raft_leader_step_downs_total", "How often this server stopped to lead."},
    metric_row{&counters::votes_granted, metric_type::counter, "raft_votes_granted_total", "Votes given to other servers."},
    metric_row{&counters::vote_requests_ignored, metric_type::counter, "raft_vote_requests_ignored_total", "Votes asked for while a leader was heard, and so not answered."},
    metric_row{&counters::campaigns_declined, metric_type::counter, "raft_elections_declined_total", "How often it was time to stand, or this server was asked to, and it did not: it is evacuated, lags, or may not."},
    metric_row{&counters::transfers, metric_type::counter, "raft_leadership_transfers_total", "Transfers of leadership begun here."},
    metric_row{&counters::transfers_done, metric_type::counter, "raft_leadership_transfers_done_total", "Those after which the target led."},
    metric_row{&counters::transfers_timed_out, metric_type::counter, "raft_leadership_transfers_timed_out_total", "Those that the target let pass."},
    metric_row{&counters::transfers_aborted, metric_type::counter, "raft_leadership_transfers_aborted_total", "Those that another leader, or a change of members, ended."},
    metric_row{&counters::transfers_refused, metric_type::counter, "raft_leadership_transfers_refused_total", "Those that were asked for and refused at once."},
    metric_row{&counters::proposed, metric_type::counter, "raft_proposals_total", "Commands appended for clients of this server."},
    metric_row{&counters::proposed_bytes, metric_type::counter, "raft_proposals_bytes_total", "Bytes of those commands in their wire form."},
    metric_row{&counters::proposals_refused, metric_type::counter, "raft_proposals_refused_total", "Proposals refused at once."},
    metric_row{&counters::proposals_refused_busy, metric_type::counter, "raft_proposals_refused_busy_total", "Those of them refused since a limit in bytes was reached."},
    metric_row{&counters::proposals_refused_not_leader, metric_type::counter, "raft_proposals_refused_not_leader_total", "Those refused since another server leads, or none."},
    metric_row{&counters::proposals_refused_transferring, metric_type::counter, "raft_proposals_refused_transferring_total", "Those refused while leadership was handed over."},
    metric_row{&counters::fates_applied, metric_type::counter, "raft_proposals_done_total", "Entries proposed here that were committed and applied."},
    metric_row{&counters::fates_dropped, metric_type::counter, "raft_proposals_dropped_total", "Entries proposed here that will never be committed."},
    metric_row{&counters::fates_unknown, metric_type::counter, "raft_proposals_unknown_total", "Entries proposed here whose end is out of sight."},
    metric_row{&counters::forwarded, metric_type::counter, "raft_proposals_forwarded_total", "Commands sent on to the leader."},
    metric_row{&counters::forwarded_applied, metric_type::counter, "raft_proposals_forwarded_done_total", "Commands proposed here by way of the leader that were committed and applied."},
    metric_row{&counters::forwarded_dropped, metric_type::counter, "raft_proposals_forwarded_dropped_total", "Those that will never be committed."},
    metric_row{&counters::forwarded_unknown, metric_type::counter, "raft_proposals_forwarded_unknown_total", "Those whose end is out of sight."},
    metric_row{&counters::forwarded_ignored, metric_type::counter, "raft_proposals_forwarded_ignored_total", "Commands that others forwarded here and that may have been taken in before."},
    metric_row{&counters::reads_ready, metric_type::counter, "raft_reads_ready_total", "Linearizable reads answered."},
    metric_row{&counters::reads_dropped, metric_type::counter, "raft_reads_failed_total", "Linearizable reads that were accepted and ended without an answer."},
    metric_row{&counters::reads_refused, metric_type::counter, "raft_reads_refused_total", "Reads refused at once."},
    metric_row{&counters::reads_too_stale, metric_type::counter, "raft_reads_too_stale_total", "Reads that may be old, asked while the state was older, or its age not known."},
    metric_row{&counters::read_requests_ignored, metric_type::counter, "raft_read_requests_ignored_total", "Questions of members of whom earlier ones were not answered yet."},
    metric_row{&counters::changes_refused, metric_type::counter, "raft_configuration_changes_refused_total", "Membership changes refused at once."},
    metric_row{&counters::committed, metric_type::counter, "raft_proposals_committed_total", "The commit index: entries known to be committed."},
    metric_row{&counters::applied, metric_type::counter, "raft_proposals_applied_total", "The applied index: entries executed by the state machine."},
    metric_row{&counters::truncations, metric_type::counter, "raft_log_truncations_total", "How often the end of the log gave way to another leader's entries."},
    metric_row{&counters::snapshots_taken, metric_type::counter, "raft_snapshots_taken_total", "Snapshots taken of the own state machine."},
    metric_row{&counters::snapshots_installed, metric_type::counter, "raft_snapshots_installed_total", "Snapshots installed that a leader sent."},
    metric_row{&counters::snapshots_sent, metric_type::counter, "raft_snapshots_sent_total", "How often a member began to be sent a snapshot."},
    metric_row{&counters::snapshots_wanted, metric_type::counter, "raft_snapshots_wanted_total", "Wishes of followers for a newer snapshot than there is."},
    metric_row{&counters::sent, metric_type::counter, "raft_messages_sent_total", "Messages handed to the transport."},
    metric_row{&counters::received, metric_type::counter, "raft_messages_received_total", "Messages taken in."},
    metric_row{&counters::refused, metric_type::counter, "raft_messages_refused_total", "Messages that no correct server sends here."},
    metric_row{&counters::ignored, metric_type::counter, "raft_messages_ignored_total", "Messages that came too late to matter."},
    metric_row{&counters::appends_sent, metric_type::counter, "raft_append_requests_sent_total", "Append requests with entries sent."},
    metric_row{&counters::entries_sent, metric_type::counter, "raft_append_entries_sent_total", "Entries in them."},
    metric_row{&counters::entry_bytes_sent, metric_type::counter, "raft_append_bytes_sent_total", "Bytes of those entries."},
    metric_row{&counters::heartbeats_sent, metric_type::counter, "raft_heartbeats_sent_total", "Append requests without entries sent."},
    metric_row{&counters::appends_received, metric_type::counter, "raft_append_requests_received_total", "Append requests with entries taken in."},
    metric_row{&counters::entries_received, metric_type::counter, "raft_append_entries_received_total", "Entries in them."},
    metric_row{&counters::entry_bytes_received, metric_type::counter, "raft_append_bytes_received_total", "Bytes of those entries."},
    metric_row{&counters::heartbeats_received, metric_type::counter, "raft_heartbeats_received_total", "Append requests without entries taken in."},
    metric_row{&counters::chunks_sent, metric_type::counter, "raft_snapshot_chunks_sent_total", "Pieces of snapshots sent."},
    metric_row{&counters::chunk_bytes_sent, metric_type::counter, "raft_snapshot_bytes_sent_total", "Bytes in them."},
    metric_row{&counters::chunks_received, metric_type::counter, "raft_snapshot_chunks_received_total", "Pieces of snapshots taken in."},
    metric_row{&counters::chunk_bytes_received, metric_type::counter, "raft_snapshot_bytes_received_total", "Bytes in them."},
    metric_row{&counters::configuration_changes, metric_type::counter, "raft_configuration_changes_total", "How often a membership came into force here, the first one included."},
    metric_row{&counters::voters, metric_type::gauge, "raft_voters", "Voters of the membership in force (the new half of a joint one)."},
    metric_row{&counters::learners, metric_type::gauge, "raft_learners", "Learners of the membership in force."},
    metric_row{&counters::joint, metric_type::gauge, "raft_joint_configuration", "Whether the membership in force is joint: 1 if it is, else 0."},
    metric_row{&counters::promotions_done, metric_type::counter, "raft_promotions_done_total", "Servers made voters once they had caught up."},
    metric_row{&counters::promotions_too_slow, metric_type::counter, "raft_promotions_too_slow_total", "Servers that did not catch up in time, and stayed learners."},
    metric_row{&counters::promotions_aborted, metric_type::counter, "raft_promotions_aborted_total", "Promotions that ended with the leadership, or with the server's removal."},
    metric_row{&counters::peers_lost, metric_type::counter, "raft_peers_lost_log_total", "Members that came back without entries that they had acknowledged."},
    metric_row{&counters::failed, metric_type::gauge, "raft_failed", "Whether a write failed and this server takes part in nothing any more."},
};
// clang-format on

}  // namespace detail

/// Counts; see the top of this file.
class counting_observer {
 public:
  [[nodiscard]] constexpr const raft::counters& counts() const noexcept { return counts_; }

  /// Calls f(const metric&) for each number, in an order that stays. O(metrics), allocates nothing.
  template <class F>
  constexpr void for_each(F&& f) const {
    for (const detail::metric_row& row : detail::metric_rows) {
      f(metric{row.name, row.help, row.type, counts_.*row.value});
    }
  }

  constexpr void on(const events::started& e) noexcept {
    counts_.term = e.term.value;
    counts_.committed = e.commit_index.value;
    counts_.applied = e.last_applied.value;
  }
  constexpr void on(const events::role_changed& e) noexcept {
    const bool leads = e.role == role_kind::leader;
    counts_.term = e.term.value;
    counts_.pre_candidacies += e.role == role_kind::pre_candidate ? 1 : 0;
    counts_.candidacies += e.role == role_kind::candidate ? 1 : 0;
    if (leads && counts_.is_leader == 0) ++counts_.elections_won;
    if (!leads && counts_.is_leader == 1) ++counts_.step_downs;
    counts_.is_leader = leads ? 1 : 0;
    counts_.leader = e.leader.value;
    if (e.leader == nobody || e.leader == last_leader_) return;
    last_leader_ = e.leader;
    ++counts_.leader_changes;
  }
  constexpr void on(const events::vote_granted&) noexcept { ++counts_.votes_granted; }
  constexpr void on(const events::proposed& e) noexcept {
    counts_.proposed += e.count;
    counts_.proposed_bytes += e.bytes;
  }
  constexpr void on(const events::request_refused& e) noexcept {
    switch (e.what) {
      case request_kind::proposal:
        ++counts_.proposals_refused;
        counts_.proposals_refused_busy += e.why == errc::busy ? 1 : 0;
        counts_.proposals_refused_not_leader += e.why == errc::not_leader ? 1 : 0;
        counts_.proposals_refused_transferring += e.why == errc::transferring ? 1 : 0;
        break;
      case request_kind::read:
        ++(e.why == errc::too_stale ? counts_.reads_too_stale : counts_.reads_refused);
        break;
      case request_kind::change:
        ++counts_.changes_refused;
        break;
      case request_kind::transfer:
        ++counts_.transfers_refused;
        break;
    }
  }
  constexpr void on(const events::fate_told& e) noexcept {
    const std::uint64_t n = e.last - e.first + 1;
    counts_.fates_applied += e.what == fate::applied ? n : 0;
    counts_.fates_dropped += e.what == fate::dropped ? n : 0;
    counts_.fates_unknown += e.what == fate::unknown ? n : 0;
  }
  constexpr void on(const events::proposal_forwarded&) noexcept { ++counts_.forwarded; }
  constexpr void on(const events::forwarded_ended& e) noexcept {
    counts_.forwarded_applied += e.what == fate::applied ? 1 : 0;
    counts_.forwarded_dropped += e.what == fate::dropped ? 1 : 0;
    counts_.forwarded_unknown += e.what == fate::unknown ? 1 : 0;
  }
  constexpr void on(const events::transfer_begun&) noexcept { ++counts_.transfers; }
  constexpr void on(const events::transfer_ended& e) noexcept {
    counts_.transfers_done += e.what == transfer_fate::done ? 1 : 0;
    counts_.transfers_timed_out += e.what == transfer_fate::timed_out ? 1 : 0;
    counts_.transfers_aborted += e.what == transfer_fate::aborted ? 1 : 0;
  }
  constexpr void on(const events::promotion_ended& e) noexcept {
    counts_.promotions_done += e.what == promotion_fate::promoted ? 1 : 0;
    counts_.promotions_too_slow += e.what == promotion_fate::too_slow ? 1 : 0;
    counts_.promotions_aborted += e.what == promotion_fate::aborted ? 1 : 0;
  }
  constexpr void on(const events::read_answered& e) noexcept {
    ++(e.what == read_fate::ready ? counts_.reads_ready : counts_.reads_dropped);
  }
  constexpr void on(const events::commit_advanced& e) noexcept { counts_.committed = e.index.value; }
  constexpr void on(const events::applied& e) noexcept { counts_.applied = e.index.value; }
  constexpr void on(const events::log_truncated&) noexcept { ++counts_.truncations; }
  constexpr void on(const events::snapshot_taken&) noexcept { ++counts_.snapshots_taken; }
  constexpr void on(const events::snapshot_installed&) noexcept { ++counts_.snapshots_installed; }
  constexpr void on(const events::snapshot_wanted&) noexcept { ++counts_.snapshots_wanted; }
  constexpr void on(const events::peer_changed& e) noexcept {
    counts_.snapshots_sent += e.state == progress_state::snapshot ? 1 : 0;
  }
  constexpr void on(const events::message_sent& e) noexcept {
    ++counts_.sent;
    if (e.kind == detail::kind_of<append_entries>()) {
      ++(e.entries == 0 ? counts_.heartbeats_sent : counts_.appends_sent);
      counts_.entries_sent += e.entries;
      counts_.entry_bytes_sent += e.bytes;
    } else if (e.kind == detail::kind_of<install_snapshot>()) {
      ++counts_.chunks_sent;
      counts_.chunk_bytes_sent += e.bytes;
    }
  }
  constexpr void on(const events::message_received& e) noexcept {
    ++counts_.received;
    if (e.kind == detail::kind_of<append_entries>()) {
      ++(e.entries == 0 ? counts_.heartbeats_received : counts_.appends_received);
      counts_.entries_received += e.entries;
      counts_.entry_bytes_received += e.bytes;
    } else if (e.kind == detail::kind_of<install_snapshot>()) {
      ++counts_.chunks_received;
      counts_.chunk_bytes_received += e.bytes;
    }
  }
  constexpr void on(const events::message_refused&) noexcept { ++counts_.refused; }
  constexpr void on(const events::message_ignored& e) noexcept {
    ++counts_.ignored;
    counts_.vote_requests_ignored += e.why == ignored_reason::has_leader ? 1 : 0;
    counts_.campaigns_declined +=
        e.why == ignored_reason::would_not_lead || e.why == ignored_reason::cannot_campaign ? 1 : 0;
    counts_.forwarded_ignored += e.why == ignored_reason::maybe_taken ? 1 : 0;
    counts_.read_requests_ignored += e.why == ignored_reason::asks_too_much ? 1 : 0;
  }
  constexpr void on(const events::configuration_changed& e) noexcept {
    ++counts_.configuration_changes;
    counts_.voters = e.now->voters.size();
    counts_.learners = e.now->learners.size();
    counts_.joint = e.now->joint() ? 1 : 0;
  }
  constexpr void on(const events::peer_lost_log&) noexcept { ++counts_.peers_lost; }
  constexpr void on(const events::node_failed&) noexcept { counts_.failed = 1; }

 private:
  raft::counters counts_{};
  node_id last_leader_{};
};

}  // namespace raft
