#pragma once

// Log compaction and snapshots [floor 8] [paper §7; Fig. 13]. Included by node.hpp only.
//
// A snapshot travels in chunks, one under way at a time: the receiver always says which byte it wants next, so a chunk
// that is lost, doubled or sent to a server that has restarted costs one round trip.

namespace raft {

RAFT_NODE_TEMPLATE
constexpr result<index_t> RAFT_NODE::take_snapshot() {
  const detail::entered guard{inside_};
  if (failed_) return failure_;
  if (auto begun = open_snapshot(last_applied_); !begun) return begun.error();
  auto sink = [this](payload bytes) { return log_.write_snapshot(bytes); };
  if (auto written = machine_.write_snapshot(sink); !written) {
    snapshots_.own = index_t{};
    return written.error();
  }
  return close_snapshot();
}

RAFT_NODE_TEMPLATE
constexpr result<snapshot_meta> RAFT_NODE::begin_snapshot(std::optional<index_t> at) {
  const detail::entered guard{inside_};
  if (failed_) return failure_;
  if (auto begun = open_snapshot(at.value_or(last_applied_)); !begun) return begun.error();
  return snapshots_.own_meta;
}

RAFT_NODE_TEMPLATE
constexpr result<void> RAFT_NODE::write_snapshot(payload bytes) {
  const detail::entered guard{inside_};
  if (failed_) return failure_;
  if (snapshots_.own == index_t{}) return {errc::compacted, "no snapshot is being written; a leader's took its place"};
  auto written = log_.write_snapshot(bytes);
  if (!written) snapshots_.own = index_t{};
  return written;
}

RAFT_NODE_TEMPLATE
constexpr result<void> RAFT_NODE::step(const snapshot_written& s) {
  const detail::entered guard{inside_};
  if (failed_) return failure_;
  if (snapshots_.own == index_t{} || s.index != snapshots_.own) {
    return {errc::compacted, "this snapshot is not being written; a leader's took its place"};
  }
  if (auto free = check_present_snapshot(); !free) return free;
  if (auto closed = close_snapshot(); !closed) return closed.error();
  return {};
}

RAFT_NODE_TEMPLATE
constexpr result<void> RAFT_NODE::step(const snapshot_abandoned& s) {
  const detail::entered guard{inside_};
  if (failed_) return failure_;
  if (s.index == snapshots_.own) snapshots_.own = index_t{};
  return {};
}

RAFT_NODE_TEMPLATE
constexpr result<void> RAFT_NODE::open_snapshot(index_t at) {
  if (auto possible = check_take_snapshot(at); !possible) return possible.error();
  snapshot_meta& meta = snapshots_.own_meta;
  if (at >= configuration_index_) {
    meta.configuration = configuration_;  // mostly; into memory that is there
  } else {
    auto members = configuration_at(at);
    if (!members) return members.error();
    meta.configuration = *std::move(members);
  }
  meta.index = at;
  meta.term = log_.term_at(at);
  if (auto begun = log_.begin_snapshot(meta); !begun) return begun.error();
  snapshots_.own = at;
  return {};
}

/// All its bytes are there: it becomes the current one, and the log may begin later.
RAFT_NODE_TEMPLATE
constexpr result<index_t> RAFT_NODE::close_snapshot() {
  const index_t at = std::exchange(snapshots_.own, index_t{});
  if (note_write(log_.finish_snapshot())) {
    tell(events::snapshot_taken{at, log_.snapshot().size});
    compact_log();
  }
  settle();
  if (failed_) return failure_;
  return at;
}

RAFT_NODE_TEMPLATE
constexpr result<void> RAFT_NODE::check_take_snapshot(index_t at) const {
  if (snapshots_.own != index_t{}) return {errc::not_ready, "a snapshot is being written already"};
  if (snapshots_.to_restore) return {errc::not_ready, "a snapshot of the leader is being installed"};
  if (snapshots_.wanted != index_t{}) return {errc::not_ready, "a snapshot of the leader is asked for"};
  if (at > last_applied_) return {errc::not_ready, "not everything up to there is applied"};
  if (at <= log_.snapshot().index) return {errc::not_ready, "nothing was applied since the last snapshot"};
  return check_present_snapshot();
}

/// Whether the present snapshot may be replaced: not while a follower is being sent it. One that is gone does not keep
/// the log growing, nor does one that is heard and takes nothing more of it in.
RAFT_NODE_TEMPLATE
constexpr result<void> RAFT_NODE::check_present_snapshot() const {
  if (const auto* lead = std::get_if<leader_role>(&role_)) {
    for (const peer& p : lead->peers) {
      if (p.state != progress_state::snapshot) continue;
      const bool answers = now_ - p.heard_at < options_.election_timeout_max + options_.election_timeout_max;
      const bool moves = p.wants_chunk() || now_ - p.moved_at < options_.snapshot_carry_timeout;
      if (answers && moves) {
        return {errc::not_ready, "a follower is being sent the present snapshot"};
      }
    }
  }
  return {};
}

/// Lets go of what the snapshot covers, but for the entries that followers who lag a little may still need.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::compact_log() {
  const index_t covered = log_.snapshot().index;
  const std::uint64_t kept = std::min(covered.value, options_.trailing_entries);
  const index_t by_count = std::max(index_t{covered.value - kept}, log_.first_index().previous());
  const index_t upto = within_trailing_bytes(by_count, covered);
  if (upto >= log_.first_index()) note_write(log_.compact(upto));
}

/// The last entry, at or behind `upto`, behind which those up to `covered` have no more bytes than may trail. Entries
/// that are not at hand take no room here: they stay. O(pieces of the log), and what is let go.
RAFT_NODE_TEMPLATE
constexpr index_t RAFT_NODE::within_trailing_bytes(index_t upto, index_t covered) const {
  std::uint64_t bytes = 0;
  for (index_t at = upto; at < covered;) {
    const auto piece = log_.view(at.next(), covered, UINT32_MAX);
    if (!piece) return upto;
    bytes += piece->bytes();
    at = at + piece->count();
  }
  while (bytes > options_.trailing_bytes) {
    const std::uint64_t excess = bytes - options_.trailing_bytes;
    const auto piece =
        log_.view(upto.next(), covered, static_cast<std::uint32_t>(std::min<std::uint64_t>(excess, UINT32_MAX)));
    if (!piece) return upto;
    bytes -= piece->bytes();
    upto = upto + piece->count();
  }
  return upto;
}

// ------------------------------------------------------------------------------------------------ the leader's side

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::send_chunk(leader_role& lead, peer& p) {
  const duration patience = p.carried ? options_.snapshot_carry_timeout : options_.election_timeout_min;
  if (p.waiting && now_ - p.sent_at < patience) return;
  const snapshot_meta& snapshot = log_.snapshot();
  if (p.snapshot_id != snapshot.id || p.snapshot_offset > snapshot.size) p.become_snapshot(snapshot.id, now_);
  if (let_carry(lead, p)) return;
  const bool limited = options_.snapshot_bytes_per_second != 0;
  if (limited && (now_ < lead.pace.free_at() || lead.waits_longer_for_a_chunk(p))) return;
  p.waiting = true;  // Also for bytes that cannot be read: they are tried again as if the chunk had been lost.
  p.sent_at = now_;
  const auto data = log_.read_snapshot(p.snapshot_offset, options_.snapshot_chunk_bytes);
  if (!data) return;
  members_scratch_.clear();
  encode(snapshot.configuration, members_scratch_);
  send_now(p.id, install_snapshot{snapshot.index, snapshot.term, snapshot.id, snapshot.size, p.snapshot_offset,
                                  lead.round, members_scratch_, *data});
  p.heartbeat = false;
  if (limited) {
    const auto second = static_cast<std::uint64_t>(count_of(milliseconds<duration>(1000)));
    const auto bytes = static_cast<std::uint32_t>(data->size());
    const std::uint64_t ticks = lead.pace.price(bytes, options_.snapshot_bytes_per_second, second);
    lead.pace.pay(now_, duration_of<duration>(static_cast<std::int64_t>(ticks)), options_.heartbeat_interval);
  }
}

/// Offers the whole snapshot to a Transport that may carry it by a way of its own.
RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::let_carry(leader_role& lead, peer& p) {
  if constexpr (carries_snapshots<Transport>) {
    const snapshot_meta& snapshot = log_.snapshot();
    members_scratch_.clear();
    encode(snapshot.configuration, members_scratch_);
    const install_snapshot head{snapshot.index,    snapshot.term, snapshot.id,      snapshot.size,
                                p.snapshot_offset, lead.round,    members_scratch_, {}};
    p.carried = transport_.send_snapshot(envelope{id_, p.id, term()}, head);
    if (!p.carried) return false;
    p.waiting = true;
    p.sent_at = now_;
    return true;
  } else {
    return false;
  }
}

/// What has arrived is for the follower to say; until then, and after a failure, patience begins anew.
RAFT_NODE_TEMPLATE
constexpr result<void> RAFT_NODE::step(const snapshot_carried& c) {
  const detail::entered guard{inside_};
  if (failed_) return failure_;
  now_ = clock_.now();
  peer* p = find_peer(c.to);
  if (p == nullptr || p->state != progress_state::snapshot || !p->carried || p->snapshot_id != c.id) return {};
  p->carried = c.arrived;
  p->sent_at = now_;
  return {};
}

RAFT_NODE_TEMPLATE
constexpr detail::verdict RAFT_NODE::on_install_snapshot_reply(const envelope& m, const install_snapshot_reply& reply) {
  peer* p = find_peer(m.from);
  if (p == nullptr) {
    tell(events::message_ignored{m.from, ignored_reason::not_a_member});
    return {};
  }
  auto& lead = std::get<leader_role>(role_);
  if (reply.round > lead.round || (reply.installed && reply.last_included_index > log_.last_index()) ||
      (reply.id == 0 &&
       (reply.last_included_index == index_t{} || reply.last_included_index > log_.last_index().next()))) {
    return {errc::impossible, "an answer to what was never sent"};
  }
  p->heard_at = now_;
  p->look = true;
  p->round = std::max(p->round, reply.round);
  if (reply.installed) {
    p->requested = false;
    on_append_success(lead, *p, reply.last_included_index);
  } else if (reply.id == 0) {
    on_snapshot_request(*p, reply.last_included_index);
  } else if (p->carried && p->state == progress_state::snapshot && reply.id == p->snapshot_id) {
    p->has_bytes(reply.offset, now_);
    p->sent_at = now_;
  } else if (p->state == progress_state::snapshot && reply.id == p->snapshot_id) {
    p->has_bytes(reply.offset, now_);
    p->waiting = false;
  }
  return {};
}

/// A follower lacks what its log says that it has. Asked in vain, or twice, or late, this costs a chunk at most: who
/// has everything says so at once.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::on_snapshot_request(peer& p, index_t wanted) {
  if (p.state == progress_state::lost || p.state == progress_state::snapshot) return;
  const snapshot_meta& snapshot = log_.snapshot();
  if (snapshot.index < wanted) return tell(events::snapshot_wanted{p.id, wanted});
  p.become_snapshot(snapshot.id, now_);
  p.requested = true;
  tell(events::peer_changed{p.id, p.state, p.match});
}

// ------------------------------------------------------------------------------------------------ the follower's side

RAFT_NODE_TEMPLATE
constexpr result<index_t> RAFT_NODE::request_snapshot() {
  const detail::entered guard{inside_};
  if (failed_) return failure_;
  if (std::holds_alternative<leader_role>(role_)) return {errc::not_ready, "a leader has nobody to ask"};
  if (snapshots_.to_restore) return {errc::not_ready, "a snapshot of the leader is being installed"};
  snapshots_.own = index_t{};
  snapshots_.wanted = std::max(handed_over_, log_.snapshot().index.next());
  snapshots_.asked_in = 0;
  return snapshots_.wanted;
}

/// Once in a round of the leader; an answer to a chunk that never was, of a snapshot that has no id.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::ask_for_snapshot(node_id leader, std::uint64_t round) {
  if (std::exchange(snapshots_.asked_in, round) == round) return;
  queue(leader, install_snapshot_reply{snapshots_.wanted, 0, 0, false, round}, speaks_for::term_and_vote);
}

/// What no correct leader sends, found in O(1) (and the size of a configuration).
RAFT_NODE_TEMPLATE
constexpr detail::verdict RAFT_NODE::check_body(const envelope& m, const install_snapshot& chunk) const {
  if (m.term < term()) return {};
  if (second_leader(m)) return {errc::impossible, "a second leader of this term"};
  if (chunk.last_included_index == index_t{} || chunk.last_included_index.value > detail::number_limit ||
      chunk.last_included_term == term_t{} || chunk.last_included_term > m.term || chunk.id == 0) {
    return {errc::impossible, "a snapshot of no place in this leader's log"};
  }
  if (chunk.offset > chunk.size || chunk.data.size() > chunk.size - chunk.offset ||
      (chunk.data.empty() && chunk.size != chunk.offset)) {
    return {errc::impossible, "a chunk that does not lie in its snapshot"};
  }
  const index_t at = chunk.last_included_index;
  const bool falls = at > commit_index_ && chunk.last_included_term < log_.term_at(commit_index_);
  if (falls ||
      (at <= commit_index_ && at >= log_.first_index().previous() && log_.term_at(at) != chunk.last_included_term)) {
    return {errc::impossible, "a snapshot that contradicts what is committed"};
  }
  if (auto members = decode_configuration(chunk.configuration); !members) return members.error();
  return {};
}

RAFT_NODE_TEMPLATE
constexpr detail::verdict RAFT_NODE::on_install_snapshot(const envelope& m, const install_snapshot& chunk) {
  follow(m.from);
  const index_t index = chunk.last_included_index;
  const bool held =
      index <= commit_index_ || (index <= log_.last_index() && log_.term_at(index) == chunk.last_included_term);
  const bool wanted = snapshots_.wanted != index_t{} && index >= snapshots_.wanted && index > log_.snapshot().index;
  if (held && !wanted) {
    // Everything that it covers is in the log already [Fig. 13, receiver 6]: nothing is thrown away.
    set_commit_index(index);
    queue(m.from, install_snapshot_reply{index, chunk.id, chunk.size, true, chunk.round}, speaks_for::everything);
    return {};
  }
  chunk_ = &chunk;
  chunk_from_ = m.from;
  return {};
}

/// Writes the chunk if it is the one that is wanted, and says which one is wanted next.
RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::write_chunk() {
  const install_snapshot& chunk = *std::exchange(chunk_, nullptr);
  const partial_snapshot there = log_.partial();
  const bool same = snapshots_.own == index_t{} && there.meta.index == chunk.last_included_index &&
                    there.meta.term == chunk.last_included_term && there.meta.id == chunk.id &&
                    there.meta.size == chunk.size;
  std::uint64_t received = same ? there.received : 0;
  bool installed = false;
  if (chunk.offset == received) {
    if (!same) {
      snapshots_.own = index_t{};  // The leader's reaches further, or it would not have been sent.
      const snapshot_meta meta{chunk.last_included_index, chunk.last_included_term,
                               *decode_configuration(chunk.configuration), chunk.size, chunk.id};
      if (!note(log_.begin_snapshot(meta))) return false;
    }
    if (!note(log_.write_snapshot(chunk.data))) return false;
    received += chunk.data.size();
    installed = received == chunk.size;
    if (installed && !install()) return false;
  }
  queue(chunk_from_, install_snapshot_reply{chunk.last_included_index, chunk.id, received, installed, chunk.round},
        installed ? speaks_for::everything : speaks_for::term_and_vote);
  return true;
}

/// The last chunk is there: the snapshot replaces the log, and then, when it is durable, the state [Fig. 13, receiver
/// 7, 8].
RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::install() {
  const auto mark = log_.finish_snapshot();
  if (!mark) {
    fail(mark.error());
    return false;
  }
  const snapshot_meta& snapshot = log_.snapshot();
  if constexpr (!Log::durable_on_return) {
    // A log that goes on behind it was not replaced: what was durable is.
    log_.last_index() == snapshot.index ? durable_.replaced(*mark, snapshot.index) : durable_.wrote(*mark);
  }
  snapshots_.to_restore = true;
  snapshots_.restore_mark = *mark;
  set_commit_index(snapshot.index);
  refresh_configuration();
  tell(events::snapshot_installed{snapshot.index, snapshot.term});
  return !failed_;
}

/// Fills the state machine from the Log's snapshot, a piece at a time; or asks one that restores elsewhere to do so.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::restore_machine() {
  const snapshot_meta& snapshot = log_.snapshot();
  if constexpr (restores_elsewhere) {
    snapshots_.to_restore = true;
    snapshots_.restoring = snapshot.index;
    machine_.begin_restore(snapshot);
  } else {
    std::uint64_t offset = 0;
    auto source = [this, &offset]() -> result<payload> {
      auto piece = log_.read_snapshot(offset, options_.snapshot_chunk_bytes);
      if (piece) offset += piece->size();
      return piece;
    };
    if (auto restored = machine_.restore(source); !restored) return fail(restored.error());
    machine_is_restored();
  }
}

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::machine_is_restored() {
  const snapshot_meta& snapshot = log_.snapshot();
  snapshots_.to_restore = false;
  snapshots_.restoring = snapshots_.wanted = index_t{};
  last_applied_ = snapshot.index;
  handed_over_ = snapshot.index;
  tell(events::applied{last_applied_});
  if constexpr (applies_elsewhere) handed_.clear();
  if constexpr (requires { machine_.on_restore(snapshot); }) machine_.on_restore(snapshot);
  resolve_covered(snapshot);
}

/// Late words about a snapshot that another one has replaced are no harm: that one is restored next.
RAFT_NODE_TEMPLATE
constexpr result<void> RAFT_NODE::step(const restored& r) {
  const detail::entered guard{inside_};
  if (failed_) return failure_;
  const index_t present = log_.snapshot().index;
  if (r.index > present) return {errc::impossible, "a snapshot is reported restored that is not there"};
  if (snapshots_.restoring == index_t{} || r.index != snapshots_.restoring || snapshots_.restoring != present)
    return {};
  machine_is_restored();
  settle();
  return {};
}

}  // namespace raft
