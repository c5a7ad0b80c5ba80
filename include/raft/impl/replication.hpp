#pragma once

// Log replication, the leader's side [floor 8] [paper §5.3, thesis 10.2]. Included by node.hpp only.
//
// Appends are pulled, not pushed: handlers only change what is known of a peer, and `replicate` then sends what each
// peer's state allows. So one message carries everything that gathered, and nothing is queued that is out of date.

namespace raft {

/// The last index at or below `hint_index` whose term is at most `hint_term`; at worst the index before the log.
RAFT_NODE_TEMPLATE
constexpr index_t RAFT_NODE::meeting_point(index_t hint_index, term_t hint_term) const {
  index_t low = log_.first_index().previous();
  index_t high = std::min(hint_index, log_.last_index());
  if (high <= low) return high;
  while (low < high) {
    const index_t middle{low.value + (high.value - low.value + 1) / 2};
    if (log_.term_at(middle) <= hint_term) {
      low = middle;
    } else {
      high = middle.previous();
    }
  }
  return low;
}

RAFT_NODE_TEMPLATE
constexpr typename RAFT_NODE::peer* RAFT_NODE::find_peer(node_id id) {
  auto* lead = std::get_if<leader_role>(&role_);
  if (lead == nullptr) return nullptr;
  for (peer& p : lead->peers) {
    if (p.id == id) return &p;
  }
  return nullptr;
}

RAFT_NODE_TEMPLATE
constexpr detail::verdict RAFT_NODE::on_append_entries_reply(const envelope& m, const append_entries_reply& reply) {
  peer* p = find_peer(m.from);
  if (p == nullptr) {
    tell(events::message_ignored{m.from, ignored_reason::not_a_member});
    return {};
  }
  auto& lead = std::get<leader_role>(role_);
  if (reply.round > lead.round || (reply.success && reply.index > log_.last_index())) {
    return {errc::impossible, "an answer to what was never sent"};
  }
  p->heard_at = now_;
  p->look = true;
  p->round = std::max(p->round, reply.round);
  if (reply.success) {
    on_append_success(lead, *p, reply.index);
  } else {
    on_append_refusal(*p, reply);
  }
  return {};
}

/// [Fig. 2, Leaders 3]: matchIndex only rises, whatever the order in which answers arrive.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::on_append_success(leader_role& lead, peer& p, index_t match) {
  if (p.state == progress_state::lost) return;
  p.prompt = true;
  if (match > p.match) {
    p.match = match;
    if (p.state != progress_state::probe && p.next <= match) p.next = match.next();
    p.inflight.release_to(match);
    if (match > commit_index_) advance_commit_index(lead);
  }
  switch (p.state) {
    case progress_state::replicate:
      break;
    case progress_state::probe:
      if (match.next() >= p.next) p.become_replicate();
      break;
    case progress_state::snapshot:
      // It caught up by other means: from match + 1 on the log has all that it needs.
      if (!p.requested && match.next() >= log_.first_index()) p.become_replicate();
      break;
    case progress_state::lost:
      break;
  }
}

/// Moves nextIndex back to where the logs may meet: past a whole conflicting term in each round trip [paper §5.3]. An
/// answer to a question that is settled (below match, or not the probe that is under way) moves nothing.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::on_append_refusal(peer& p, const append_entries_reply& reply) {
  const bool current = (p.state == progress_state::replicate && reply.index >= p.match && reply.index < p.next) ||
                       (p.state == progress_state::probe && reply.index.next() == p.next);
  if (!current) {
    tell(events::message_ignored{p.id, ignored_reason::stale_answer});
    return;
  }
  if (reply.last_log_index < p.match || reply.index == p.match) return suspect_lost_log(p, reply);
  const index_t hint = std::min(reply.hint_index, reply.index.previous());
  p.become_probe(meeting_point(hint, reply.hint_term).next());
}

/// The peer's log ends before what it acknowledged. Answers may be late, so it is asked again, at match, in a round of
/// its own; if the answer to that is the same, its log is lost: it must not be counted for what it no longer has.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::suspect_lost_log(peer& p, const append_entries_reply& reply) {
  auto& lead = std::get<leader_role>(role_);
  if (p.suspicion != 0 && reply.round >= p.suspicion) {
    tell(events::peer_lost_log{p.id, p.match, reply.last_log_index});
    p.become_lost();
    return;
  }
  p.become_probe(p.match.next());
  if (p.suspicion == 0) {
    begin_round(lead);
    p.suspicion = lead.round;
  }
}

/// A round is a broadcast: every peer gets a message that carries its number, with entries or without.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::begin_round(leader_role& lead) {
  ++lead.round;
  if (lead.wanted_round == lead.round) lead.read_round = lead.round;
  for (peer& p : lead.peers) p.heartbeat = true;
  look_at_all(lead);
  if (options_.lease_reads) {
    lead.lease.confirm(confirmed_round(lead));
    lead.lease.begin_round(lead.round, now_);
  }
}

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::look_at_all(leader_role& lead) {
  for (peer& p : lead.peers) p.look = true;
}

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::replicate(leader_role& lead) {
  for (peer& p : lead.peers) {
    if (!std::exchange(p.look, false)) continue;
    if (in_step(p)) {
      p.prompt = false;
    } else {
      replicate_to(lead, p);
    }
  }
}

/// Whether there is nothing to say to the peer; the common case, asked for each answer that comes.
RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::in_step(const peer& p) const {
  return p.state == progress_state::replicate && p.next > log_.last_index() && !p.heartbeat && !options_.commit_at_once;
}

RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::compacted_for(const peer& p) const { return p.next < log_.first_index(); }

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::replicate_to(leader_role& lead, peer& p) {
  if (compacted_for(p) && p.state != progress_state::lost && p.state != progress_state::snapshot) {
    p.become_snapshot(log_.snapshot().id, now_);
    tell(events::peer_changed{p.id, p.state, p.match});
  }
  switch (p.state) {
    case progress_state::probe:
      if (!p.waiting) p.waiting = send_append(lead, p);
      break;
    case progress_state::replicate:
      send_ready_appends(lead, p);
      break;
    case progress_state::snapshot:
      send_chunk(lead, p);
      break;
    case progress_state::lost:
      break;
  }
  const bool tell_commit = options_.commit_at_once && p.state == progress_state::replicate &&
                           p.told_commit < std::min(commit_index_, p.next.previous());
  if (p.heartbeat || tell_commit) send_heartbeat(lead, p);
}

/// While few messages are under way, what is there is sent at once; else it gathers until there is an acknowledgement
/// or a tick (`prompt`), or a full message.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::send_ready_appends(leader_role& lead, peer& p) {
  const index_t last = log_.last_index();
  while (p.next <= last) {
    const std::size_t under_way = p.inflight.count();
    if (under_way >= options_.max_inflight_messages || p.inflight.bytes() >= options_.max_inflight_bytes) break;
    const bool full = last - p.next.previous() >= options_.max_entries_per_append ||
                      lead.appended_bytes - p.sent_bytes >= options_.max_bytes_per_append;
    if (under_way >= options_.eager_messages && !p.prompt && !full) break;
    if (!send_append(lead, p)) break;
  }
  p.prompt = false;
}

/// One append_entries from nextIndex on. False if its entries are not at hand: what fetches them reports it, and the
/// next heartbeat, which needs none, tries again. Entries that are lost stop the node, when this round of sending is
/// over: others have them, and the cluster is better led from there.
RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::send_append(leader_role& lead, peer& p) {
  const index_t prev = p.next.previous();
  const index_t last = log_.last_index();
  raft::entries batch;
  if (prev < last) {
    const index_t to = std::min(last, prev + options_.max_entries_per_append);
    const auto found = log_.view(p.next, to, options_.max_bytes_per_append);
    if (!found) {
      if (found.error().code != errc::not_at_hand) failure_ = found.error();
      return false;
    }
    batch = *found;
  }
  send_now(p.id, append_entries{prev, log_.term_at(prev), commit_index_, lead.round, batch});
  p.told_commit = commit_index_;
  p.heartbeat = false;
  if (p.state == progress_state::replicate) {
    p.next = p.next + batch.count();
    p.inflight.push(p.next.previous(), batch.bytes());
    if (p.next > last) p.sent_bytes = lead.appended_bytes;
  }
  return true;
}

/// An append without entries. To a peer that is in step it asks at nextIndex, so that its refusal shows what was lost
/// on the way; where the log has nothing to compare it asks at zero, which every log matches.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::send_heartbeat(leader_role& lead, peer& p) {
  const bool comparable = p.state == progress_state::probe || p.state == progress_state::replicate;
  const index_t prev = comparable ? p.next.previous() : index_t{};
  const term_t prev_term = comparable ? log_.term_at(prev) : term_t{};
  send_now(p.id, append_entries{prev, prev_term, commit_index_, lead.round, {}});
  p.told_commit = std::max(p.told_commit, std::min(commit_index_, prev));
  p.heartbeat = false;
}

}  // namespace raft
