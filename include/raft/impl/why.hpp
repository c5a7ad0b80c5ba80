#pragma once

// Answers to "why?" [floor 8]: looks at the node's state and changes nothing. Included by node.hpp only.

namespace raft {

RAFT_NODE_TEMPLATE
constexpr commit_delay RAFT_NODE::why_not_committed(index_t index) const {
  using cause = commit_delay::cause;
  commit_delay d{};
  d.index = index;
  d.leader = leader();
  const bool compacted = index < log_.first_index();
  const bool beyond = index > log_.last_index();
  if (compacted || beyond) d.other = compacted ? log_.first_index() : log_.last_index();
  const auto* lead = std::get_if<leader_role>(&role_);
  // Of an entry in a leader's log that is not committed: who is missing [paper §5.3, §5.4.2].
  const auto count = [&] {
    const auto missing = [&](index_t upto, bool own) {
      return detail::shortage_of(configuration_, [&](node_id voter) {
        if (voter == id_) return own;
        const auto p = std::ranges::lower_bound(lead->peers, voter, {}, &peer::id);
        return p != lead->peers.end() && p->id == voter && p->state != progress_state::lost && p->match >= upto;
      });
    };
    index_t upto = d.index;
    d.why = cause::followers;
    if (upto < lead->first_index && missing(upto, lead->counted >= upto).halves == lacking::none) {
      d.why = cause::earlier_term;
      upto = d.other = lead->first_index;
    }
    // What the followers lack is what they would lack if the own write were durable.
    const detail::shortage found = missing(upto, true);
    d.servers = found.absent;
    d.needed = found.needed;
    d.halves = found.halves;
    d.own_disk = lead->counted < upto && is_voter_;
    if (found.halves == lacking::none && d.why == cause::followers) d.why = cause::own_disk;
  };
  if (index <= commit_index_) {
    d.why = compacted ? cause::compacted : cause::none;
  } else if (failed_) {
    d.why = cause::node_failed;
  } else if (beyond) {
    d.why = cause::beyond_end;
  } else if (lead == nullptr) {
    d.why = d.leader == nobody ? cause::no_leader : cause::not_leader;
  } else {
    count();
  }
  return d;
}

RAFT_NODE_TEMPLATE
constexpr leader_absence RAFT_NODE::why_no_leader() const {
  using cause = leader_absence::cause;
  leader_absence a{};
  a.leader = leader();
  a.term = term();
  const auto count = [&](const roles::tally& votes, std::span<const node_id> refused_before) {
    const auto granted = [&](node_id voter) { return configuration::holds(votes.granted, voter); };
    const detail::shortage found = detail::shortage_of(configuration_, granted);
    a.needed = found.needed;
    a.halves = found.halves;
    const auto sort_out = [&](node_id voter) {
      if (granted(voter)) return true;
      const bool no = configuration::holds(votes.refused, voter) || configuration::holds(refused_before, voter);
      if (no) a.refused.add(voter);
      return no;
    };
    a.silent = detail::voters_without(configuration_, sort_out);
  };
  if (failed_) {
    a.why = cause::node_failed;
  } else if (a.leader != nobody) {
    a.why = cause::none;
  } else if (snapshots_.to_restore && snapshots_.restoring == index_t{}) {
    a.why = cause::restoring_snapshot;
  } else if (const auto* asks = std::get_if<pre_candidate>(&role_)) {
    count(asks->votes, asks->refused_before);
    a.why = a.refused.count != 0 ? cause::pre_votes_refused : cause::pre_votes_missing;
  } else if (const auto* stands = std::get_if<candidate>(&role_)) {
    count(stands->votes, {});
    a.why = a.refused.count != 0 ? cause::votes_refused : cause::votes_missing;
    if (!stands->own_vote_counted) a.why = cause::own_vote_not_stored;
  } else {
    const bool waits = unwilling() && reluctance_.silent < options_.campaign_grace;
    a.why = !may_campaign() ? cause::not_a_voter : waits ? cause::lets_others_first : cause::election_timer;
  }
  return a;
}

RAFT_NODE_TEMPLATE
constexpr peer_pause RAFT_NODE::why_paused(node_id id) const {
  using cause = peer_pause::cause;
  peer_pause a{};
  a.peer = id;
  a.last = log_.last_index();
  const auto* lead = std::get_if<leader_role>(&role_);
  if (lead == nullptr) {
    a.why = failed_ ? cause::node_failed : cause::not_leader;
    return a;
  }
  const auto found = std::ranges::lower_bound(lead->peers, id, {}, &peer::id);
  if (found == lead->peers.end() || found->id != id) {
    a.why = cause::not_a_member;
    return a;
  }
  const peer& p = *found;
  a.state = p.state;
  a.match = p.match;
  a.next = p.next;
  a.inflight_messages = p.inflight.count();
  a.inflight_bytes = p.inflight.bytes();
  a.silent_ms = count_of_milliseconds(now_ - p.heard_at);
  if (p.state == progress_state::snapshot) {
    a.snapshot_offset = p.snapshot_offset;
    a.snapshot_size = log_.snapshot().size;
  }
  const auto cause_of = [&] {
    if (p.state == progress_state::lost) return cause::log_lost;
    if (now_ - p.heard_at >= options_.election_timeout_max) return cause::not_heard;
    if (p.state == progress_state::snapshot && p.carried) return cause::carried;
    if (p.state == progress_state::snapshot) return p.waiting ? cause::in_snapshot : cause::chunk_limit;
    if (p.state == progress_state::probe) return p.waiting ? cause::probing : cause::not_at_hand;
    if (p.inflight.count() >= options_.max_inflight_messages) return cause::full_messages;
    if (p.inflight.bytes() >= options_.max_inflight_bytes) return cause::full_bytes;
    if (p.next > log_.last_index()) return cause::none;
    return p.inflight.count() >= options_.eager_messages ? cause::gathering : cause::not_at_hand;
  };
  a.why = cause_of();
  return a;
}

}  // namespace raft
