#pragma once

// Log replication, the follower's side [floor 8] [paper §5.3; Fig. 2, AppendEntries receiver]. Included by node.hpp
// only.

namespace raft {

/// The sender is the leader of this term: whoever stood for it gives up, and the election timer starts again.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::follow(node_id leader) {
  auto* self = std::get_if<follower>(&role_);
  if (self == nullptr) {
    become_follower(term());
    self = std::get_if<follower>(&role_);
  }
  if (self->leader != leader) {
    self->leader = leader;
    role_changed_ = true;
    if (reluctance_.end_silence(options_.priority)) reset_election_timer();
  }
  self->heard_at = now_;
  election_deadline_ = now_ + election_timeout_;
  if (options_.lease_reads) promise_.give(leader, now_ + options_.election_timeout_min);
}

/// What no correct leader sends; O(1) unless the request reaches below the commit index.
RAFT_NODE_TEMPLATE
constexpr detail::verdict RAFT_NODE::check_body(const envelope& m, const append_entries& request) const {
  if (m.term < term()) return {};
  const auto& batch = request.entries;
  if (second_leader(m)) return {errc::impossible, "a second leader of this term"};
  if (request.prev_log_index.value > detail::number_limit || request.leader_commit.value > detail::number_limit) {
    return {errc::impossible, "an index out of range"};
  }
  if ((request.prev_log_index == index_t{}) != (request.prev_log_term == term_t{})) {
    return {errc::impossible, "prev_log_term is zero exactly where prev_log_index is"};
  }
  if (request.prev_log_term > m.term || batch.last_term() > m.term) {
    return {errc::impossible, "an entry of a later term than its leader's"};
  }
  if (!batch.empty() && batch.first_term() < std::max(request.prev_log_term, term_t{1})) {
    return {errc::impossible, "the terms of the log would fall"};
  }
  if (request.prev_log_index <= commit_index_ && contradicts_committed(request)) {
    return {errc::impossible, "an entry that contradicts a committed one"};
  }
  return {};
}

/// Whether the request differs from this log at or below the commit index: no leader's log does [paper §5.4.3].
RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::contradicts_committed(const append_entries& request) const {
  const index_t prev = request.prev_log_index;
  if (prev >= log_.first_index().previous() && log_.term_at(prev) != request.prev_log_term) return true;
  const std::uint32_t held = already_held(prev, request.entries);
  return held < request.entries.count() && prev + held < commit_index_;
}

/// [Fig. 2, AppendEntries receiver 2 to 5]
RAFT_NODE_TEMPLATE
constexpr detail::verdict RAFT_NODE::on_append_entries(const envelope& m, const append_entries& request) {
  const raft::entries& batch = request.entries;
  const index_t prev = request.prev_log_index;
  const index_t end = prev + batch.count();
  follow(m.from);
  if (snapshots_.wanted != index_t{}) ask_for_snapshot(m.from, request.round);
  // At or below the commit index everything has been found equal, even what is compacted here (see check_body).
  if (prev > log_.last_index() || (prev > commit_index_ && log_.term_at(prev) != request.prev_log_term)) {
    refuse_append(m.from, request);  // [receiver 2]
    return {};
  }
  const std::uint32_t held = prev == log_.last_index() ? 0 : already_held(prev, batch);
  if (held < batch.count()) {
    RAFT_ASSERT(prev + held >= commit_index_, "what is committed is never truncated");
    if (prev + held < log_.last_index()) truncate_from_ = prev + held + 1;  // [receiver 3]
    received_ = &batch;                                                     // [receiver 4]
    received_already_ = held;
  }
  set_commit_index(std::min(request.leader_commit, end));  // [receiver 5]
  if (batch.empty()) {
    // A heartbeat's answer waits for no entry: it claims what is durable already.
    queue(m.from, append_entries_reply{true, std::min(end, durable_index()), {}, {}, log_.last_index(), request.round},
          speaks_for::term_and_vote);
  } else {
    // Only what this request covers is acknowledged: what lies behind may be another leader's [paper §5.3].
    const index_t last = held < batch.count() ? end : log_.last_index();
    queue(m.from, append_entries_reply{true, end, {}, {}, last, request.round}, speaks_for::everything);
  }
  return {};
}

/// Where the logs may meet: the last entry at or before prev_log_index with a term no larger than prev_log_term. Terms
/// never fall along a log, so it is found by bisection.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::refuse_append(node_id leader, const append_entries& request) {
  const index_t hint = meeting_point(std::min(request.prev_log_index, log_.last_index()), request.prev_log_term);
  queue(leader,
        append_entries_reply{false, request.prev_log_index, hint, log_.term_at(hint), log_.last_index(), request.round},
        speaks_for::term_and_vote);
}

/// How many of the batch's first entries the log holds. The last entry decides for all if it is there [paper §5.3, Log
/// Matching]; else the entries are compared one by one up to the first that differs. Of those that are compacted only
/// the last one can be compared.
RAFT_NODE_TEMPLATE
constexpr std::uint32_t RAFT_NODE::already_held(index_t prev, const raft::entries& batch) const {
  const index_t end = prev + batch.count();
  const index_t known = log_.first_index().previous();
  if (end < known) return batch.count();
  if (end <= log_.last_index() && log_.term_at(end) == batch.last_term()) return batch.count();
  std::uint32_t held = 0;
  bool same = true;
  batch.for_each(prev.next(), [&](const entry& e) {
    same = same && e.index <= log_.last_index() && (e.index < known || log_.term_at(e.index) == e.term);
    if (same) ++held;
  });
  return held;
}

}  // namespace raft
