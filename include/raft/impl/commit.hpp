#pragma once

// Commit and apply [floor 8] [paper §5.3, §5.4.2; Fig. 2, Leaders 4, All Servers 1]. Included by node.hpp only.

namespace raft {

/// The leader's own entries became durable: it counts itself now, and not before. A larger own match index decides
/// something only where another member is ahead of it, or where it is a majority by itself.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::count_own_entries(leader_role& lead) {
  const index_t own = durable_index();
  if (own <= lead.counted) return;
  bool decides = configuration_.voters.size() == 1 || configuration_.outgoing.size() == 1;
  for (const peer& p : lead.peers) decides = decides || p.match > lead.counted;
  lead.counted = own;
  if (decides) advance_commit_index(lead);
}

/// [Fig. 2, Leaders 4; paper §5.4.2]: a majority holds it AND it is of the current term. Entries of earlier terms are
/// committed by what follows them, never by being counted.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::advance_commit_index(leader_role& lead) {
  const index_t held = of_quorum(lead, lead.counted,
                                 [](const peer& p) { return p.state == progress_state::lost ? index_t{} : p.match; });
  if (held <= commit_index_ || log_.term_at(held) != term()) return;
  set_commit_index(held);
  lead.uncommitted.release_to(held);
  if (options_.commit_at_once) look_at_all(lead);
}

/// The largest value that a quorum reaches, where the leader's own is `own` (and counts only if it votes). Both the
/// voters of each half and the peers are sorted, so one pass over the peers meets all of them.
RAFT_NODE_TEMPLATE
template <class Value, class Of>
constexpr Value RAFT_NODE::of_quorum(const leader_role& lead, Value own, Of&& of) const {
  const auto begin = lead.peers.begin();
  return quorum_value(configuration_, [self = id_, own, of, begin, p = begin](node_id voter) mutable {
    if (voter == self) return own;
    if (voter < p->id) p = begin;  // the second half begins
    while (p->id != voter) ++p;
    return of(*p);
  });
}

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::set_commit_index(index_t index) {
  if (index <= commit_index_) return;
  commit_index_ = index;
  tell(events::commit_advanced{index, term()});
}

/// [Fig. 2, All Servers 1]: in order, once each, what is committed and durable here; a bounded part of it at a time.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::apply() {
  if (snapshots_.to_restore) {
    if (!is_durable(snapshots_.restore_mark)) return;
    if (snapshots_.restoring == log_.snapshot().index) return;
    restore_machine();
    if (failed_ || snapshots_.to_restore) return;
  }
  const index_t upto = std::min(commit_index_, durable_index());
  if (handed_over_ >= upto || snapshots_.wanted != index_t{}) return;
  hand_over(upto);
  note_executed(applies_elsewhere ? last_applied_ : handed_over_);
}

/// The state machine has executed what it was given up to `index`; what follows that is no command needs no execution.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::note_executed(index_t index) {
  const index_t upto = index >= handed_command_ ? handed_over_ : index;
  if (upto <= last_applied_) return;
  last_applied_ = upto;
  tell(events::applied{last_applied_});
}

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::hand_over(index_t upto) {
  std::uint64_t budget = options_.max_apply_bytes;
  entries_awaited_ = false;
  if constexpr (applies_elsewhere) {
    handed_.release_to(last_applied_);
    budget = budget > handed_.bytes() ? budget - handed_.bytes() : 0;
  }
  while (handed_over_ < upto && budget != 0) {
    const auto most = static_cast<std::uint32_t>(std::min<std::uint64_t>(budget, UINT32_MAX));
    const auto batch = log_.view(handed_over_.next(), upto, most);
    if (!batch) return wait_for_entries(batch.error());
    const index_t first = handed_over_.next();
    handed_over_ = handed_over_ + batch->count();
    batch->for_each(first, [this](const entry& e) {
      if (e.kind != entry_kind::command) return;
      machine_.apply(e);
      if constexpr (applies_elsewhere) handed_command_ = e.index;
    });
    if constexpr (applies_elsewhere) handed_.push(handed_over_, batch->bytes());
    budget -= std::min<std::uint64_t>(budget, batch->bytes());
  }
}

/// The Log fetches what it was asked for, and reports it; nothing is to be done until then. Entries that cannot be read
/// at all are another matter: this node can execute nothing any more.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::wait_for_entries(const error& why) {
  if (why.code != errc::not_at_hand) return fail(why);
  entries_awaited_ = true;
}

}  // namespace raft
