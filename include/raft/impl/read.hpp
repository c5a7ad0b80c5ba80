#pragma once

// Linearizable reads without log entries [floor 8] [paper §8, thesis 6.4]. Included by node.hpp only.
//
// A read notes the commit index, a round of messages confirms that this node still led after the read was asked, and it
// is answered when the state machine has caught up to that index. One round is under way for reads at a time; what is
// asked meanwhile shares the next one.

namespace raft {

RAFT_NODE_TEMPLATE
constexpr result<void> RAFT_NODE::read(std::uint64_t context) {
  const detail::entered guard{inside_};
  if (failed_) return failure_;
  auto* lead = std::get_if<leader_role>(&role_);
  if (lead == nullptr) return not_leader();
  // A new leader knows what is committed only once an entry of its own term is [paper §8].
  lead->reads.push_back({context, lead->round + 1, std::max(commit_index_, lead->first_index)});
  settle();
  return {};
}

/// The latest round that a quorum has echoed.
RAFT_NODE_TEMPLATE
constexpr std::uint64_t RAFT_NODE::confirmed_round(const leader_role& lead) const {
  return of_quorum(lead, lead.round, [](const peer& p) { return p.round; });
}

/// Begins a round for reads that have none, as soon as no other is under way.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::begin_round_for_reads(leader_role& lead) {
  if (lead.reads.empty() || lead.reads.back().round <= lead.round) return;
  const bool under_way = lead.reads.front().round <= lead.round && confirmed_round(lead) < lead.round;
  if (!under_way) begin_round(lead);
}

/// Whether any read waits for an answer: asked after every input.
RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::reads_are_open() const {
  const auto* lead = std::get_if<leader_role>(&role_);
  return !dropped_reads_.empty() || (lead != nullptr && !lead->reads.empty());
}

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::answer_reads() {
  for (const std::uint64_t context : dropped_reads_) answer_read(context, read_fate::dropped, index_t{});
  dropped_reads_.clear();
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
  if constexpr (requires { machine_.on_read(context, what, index); }) machine_.on_read(context, what, index);
}

}  // namespace raft
