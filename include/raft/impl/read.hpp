#pragma once

// Linearizable reads without log entries [floor 8] [paper §8, thesis 6.4]. Included by node.hpp only.
//
// A read notes the commit index, a round of messages confirms that this node still led after the read was asked, and it
// is answered when the state machine has caught up to that index. One round is under way for reads at a time; what is
// asked meanwhile shares the next one. A read has the round that begins after it, whatever its context: one that is
// asked again is a read of its own.
//
// By lease (options.lease_reads) no round is needed while a quorum is known to vote for nobody else (lease.hpp). A
// lease ends with the leadership, with a transfer of it, with the membership whose quorum made it, and in time; the
// read then takes a round.

namespace raft {

RAFT_NODE_TEMPLATE
constexpr result<void> RAFT_NODE::read(std::uint64_t context) {
  const detail::entered guard{inside_};
  if (failed_) return refuse_request(request_kind::read, failure_);
  auto* lead = std::get_if<leader_role>(&role_);
  if (lead == nullptr) return refuse_request(request_kind::read, not_leader());
  if (lead->reads.size() >= options_.max_pending_reads) {
    return refuse_request(request_kind::read, {errc::busy, nobody, 0, "max_pending_reads"});
  }
  if (options_.lease_reads) now_ = clock_.now();
  // A new leader knows what is committed only once an entry of its own term is [paper §8].
  lead->reads.push_back({context, round_for_read(*lead), std::max(commit_index_, lead->first_index)});
  lead->wanted_round = std::max(lead->wanted_round, lead->reads.back().round);
  settle();
  return {};
}

/// The round that has to be echoed for a read that is asked now. By lease none; it then waits for those before it only.
RAFT_NODE_TEMPLATE
constexpr std::uint64_t RAFT_NODE::round_for_read(leader_role& lead) const {
  if (!options_.lease_reads || !holds_lease(lead)) return lead.round + 1;
  return lead.reads.empty() ? 0 : lead.reads.back().round;
}

/// [thesis 6.4.1]: nobody else can have been elected by now. Precondition: now_ is the Clock's.
RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::holds_lease(leader_role& lead) const {
  if (transferring()) return false;
  lead.lease.confirm(confirmed_round(lead));
  const std::int64_t promised = count_of(options_.election_timeout_min);
  const std::int64_t drift = static_cast<std::int64_t>(options_.lease_clock_drift);
  return lead.lease.holds(now_, duration_of<duration>(promised - (promised * drift + 999) / 1000));
}

/// The latest round that a quorum has echoed.
RAFT_NODE_TEMPLATE
constexpr std::uint64_t RAFT_NODE::confirmed_round(const leader_role& lead) const {
  return of_quorum(lead, lead.round, [](const peer& p) { return p.round; });
}

/// Begins a round for reads that have none, as soon as no other is under way.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::begin_round_for_reads(leader_role& lead) {
  if (lead.wanted_round <= lead.round) return;
  if (lead.read_round <= confirmed_round(lead)) begin_round(lead);
}

/// Whether any read waits for an answer: asked after every input.
RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::reads_are_open() const {
  const auto* lead = std::get_if<leader_role>(&role_);
  return remote_.has_ended() || (lead != nullptr && !lead->reads.empty());
}

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::answer_reads() {
  remote_.tell(last_applied_, [this](std::uint64_t context, index_t index) {
    answer_read(context, index == index_t{} ? read_fate::dropped : read_fate::ready, index);
  });
  auto* lead = std::get_if<leader_role>(&role_);
  if (lead == nullptr || lead->reads.empty()) return;
  const std::uint64_t confirmed = confirmed_round(*lead);
  std::size_t done = 0;
  for (; done < lead->reads.size(); ++done) {
    const roles::pending_read& read = lead->reads[done];
    if (read.round > confirmed || read.index > last_applied_) break;
    answer_read(read.context, read_fate::ready, read.index);
  }
  lead->reads.erase(lead->reads.begin(), lead->reads.begin() + static_cast<std::ptrdiff_t>(done));
}

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::answer_read(std::uint64_t context, read_fate what, index_t index) {
  tell(events::read_answered{what});
  if constexpr (requires { machine_.on_read(context, what, index); }) machine_.on_read(context, what, index);
}

}  // namespace raft
