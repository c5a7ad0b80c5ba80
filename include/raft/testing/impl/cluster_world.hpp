#pragma once

// What the servers of a simulated cluster do to the world: what they send and tell, and what is seen of their insides.
// Included by cluster.hpp only.

namespace raft::testing {

inline void cluster::sent(server& from, const message& m) {
  if (from.disk.power_was_cut()) return;  // the machine is off, though this call goes on
  checks_.sent(from, m);
  if (m.to == nobody || m.to.value > servers_.size()) return;
  const std::size_t to = m.to.value - 1;
  for (const network::delivery& d : network_.send(from.slot, to, m, now_)) {
    push({d.at, 0, event_kind::deliver, static_cast<std::uint32_t>(network_.at(d.frame).to), 0, d.frame, 0});
  }
}

inline void cluster::fate_told(server& s, index_t first, index_t last, term_t t, fate what) {
  if (story_->told()) {
    story_->line(now_, "%" PRIu64 " tells that proposals %" PRIu64 "-%" PRIu64 " of term %" PRIu64 " are %s",
                 s.id.value, first.value, last.value, t.value,
                 what == fate::applied   ? "applied"
                 : what == fate::dropped ? "dropped"
                                         : "unknown");
  }
  checks_.fate_told(s, first, last, t, what);
}

inline void cluster::read_told(server& s, std::uint64_t context, read_fate what, index_t index) {
  if (story_->told()) {
    story_->line(now_, "%" PRIu64 " answers read %" PRIu64 ": %s %" PRIu64, s.id.value, context,
                 what == read_fate::ready ? "ready at" : "dropped", index.value);
  }
  checks_.read_told(s, context, what, index);
}

inline void cluster::role_told(server& s, role_kind role, term_t t, node_id leader) {
  static constexpr const char* names[]{"follower", "pre-candidate", "candidate", "leader"};
  if (role == role_kind::leader) {
    story_->deed(now_, "%" PRIu64 " leads in term %" PRIu64, s.id.value, t.value);
  } else {
    story_->line(now_, "%" PRIu64 " is %s in term %" PRIu64 ", leader %" PRIu64, s.id.value,
                 names[static_cast<std::size_t>(role)], t.value, leader.value);
  }
  if (role == role_kind::candidate) counts_->add(meter::candidacies);
}

inline void cluster::transfer_told(server& s, node_id target, transfer_fate what) {
  checks_.transfer_told(s, target, what);
}

inline void cluster::observed(server& s, const events::promotion_ended& e) {
  story_->line(now_, "%" PRIu64 " tells that %" PRIu64 " is %s", s.id.value, e.server.value,
               e.what == promotion_fate::promoted ? "made a voter" : "not made a voter");
  checks_.promotion_ended(s, e);
}

inline void cluster::observed(server& s, const events::transfer_begun& e) {
  story_->deed(now_, "%" PRIu64 " hands its leadership to %" PRIu64, s.id.value, e.target.value);
  checks_.transfer_begun(s, e.target);
}

inline void cluster::observed(server& s, const events::transfer_ended& e) {
  story_->line(now_, "%" PRIu64 " tells that its transfer to %" PRIu64 " is %s", s.id.value, e.target.value,
               e.what == transfer_fate::done        ? "done"
               : e.what == transfer_fate::timed_out ? "timed out"
                                                    : "aborted");
}

inline void cluster::observed(server& s, const events::message_ignored& e) {
  if (e.why != ignored_reason::would_not_lead) return;
  counts_->add(meter::leadership_declined);
  story_->line(now_, "%" PRIu64 " would rather not lead", s.id.value);
}

inline void cluster::observed(server& s, const events::peer_changed& e) {
  if (e.state == progress_state::snapshot) counts_->add(meter::peers_to_snapshot);
  story_->line(now_, "%" PRIu64 " now sends to %" PRIu64 " as state %u, match %" PRIu64, s.id.value, e.peer.value,
               static_cast<unsigned>(e.state), e.match.value);
}

inline void cluster::observed(server& s, const events::peer_lost_log& e) {
  checks_.report("I9", s,
                 "accuses %" PRIu64 ", which lost nothing, of having lost its log: acknowledged %" PRIu64
                 ", last %" PRIu64,
                 e.peer.value, e.acknowledged.value, e.last_log_index.value);
}

inline void cluster::observed(server& s, const events::message_refused& e) {
  story_->line(now_, "%" PRIu64 " refuses a message of %" PRIu64 ": %s", s.id.value, e.from.value, e.why.what);
}

inline void cluster::observed(server& s, const events::snapshot_installed& e) {
  counts_->add(meter::snapshots_installed);
  story_->deed(now_, "%" PRIu64 " installs a snapshot of %" PRIu64, s.id.value, e.index.value);
}

inline void cluster::observed(server& s, const events::log_truncated& e) {
  story_->deed(now_, "%" PRIu64 " cuts its log from %" PRIu64 " on", s.id.value, e.from.value);
}

}  // namespace raft::testing
