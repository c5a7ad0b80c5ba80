#include "support/printing.hpp"

#include <array>

namespace raft {

namespace {

template <std::size_t N>
const char* name(const std::array<const char*, N>& names, std::size_t at) {
  return at < N ? names[at] : "?";
}

std::ostream& ids(std::ostream& out, const std::vector<node_id>& list) {
  out << '{';
  for (std::size_t i = 0; i < list.size(); ++i) out << (i == 0 ? "" : ",") << list[i].value;
  return out << '}';
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const request_pre_vote& b) {
  return out << "request_pre_vote last " << b.last_log_index << ':' << b.last_log_term;
}
std::ostream& operator<<(std::ostream& out, const request_pre_vote_reply& b) {
  return out << "request_pre_vote_reply asked " << b.asked << (b.granted ? " granted" : " refused");
}
std::ostream& operator<<(std::ostream& out, const request_vote& b) {
  return out << "request_vote last " << b.last_log_index << ':' << b.last_log_term
             << (b.handed_over ? " handed over" : "");
}
std::ostream& operator<<(std::ostream& out, const request_vote_reply& b) {
  return out << "request_vote_reply" << (b.granted ? " granted" : " refused");
}
std::ostream& operator<<(std::ostream& out, const append_entries& b) {
  return out << "append_entries prev " << b.prev_log_index << ':' << b.prev_log_term << " commit " << b.leader_commit
             << " round " << b.round << ' ' << b.entries;
}
std::ostream& operator<<(std::ostream& out, const append_entries_reply& b) {
  out << "append_entries_reply" << (b.success ? " success " : " refused ") << b.index;
  if (!b.success) out << " hint " << b.hint_index << ':' << b.hint_term;
  return out << " last " << b.last_log_index << " round " << b.round;
}
std::ostream& operator<<(std::ostream& out, const install_snapshot& b) {
  return out << "install_snapshot " << b.last_included_index << ':' << b.last_included_term << " id " << b.id << " ["
             << b.offset << ", " << b.offset + b.data.size() << ") of " << b.size << " round " << b.round;
}
std::ostream& operator<<(std::ostream& out, const install_snapshot_reply& b) {
  return out << "install_snapshot_reply " << b.last_included_index << " id " << b.id << " offset " << b.offset
             << (b.installed ? " installed" : "") << " round " << b.round;
}

std::ostream& operator<<(std::ostream& out, const timeout_now& b) {
  return out << "timeout_now last " << b.last_log_index << ':' << b.last_log_term;
}
std::ostream& operator<<(std::ostream& out, const read_request& b) { return out << "read_request " << b.ticket; }
std::ostream& operator<<(std::ostream& out, const read_reply& b) {
  return out << "read_reply " << b.ticket << (b.confirmed ? " at " : " unconfirmed ") << b.index;
}
std::ostream& operator<<(std::ostream& out, const forwarded_proposal& b) {
  return out << "forwarded_proposal " << b.session << '.' << b.serial << ' ' << b.command.size() << " bytes";
}
std::ostream& operator<<(std::ostream& out, const forwarded_proposal_reply& b) {
  return out << "forwarded_proposal_reply " << b.session << '.' << b.serial << " at " << b.index << " leader "
             << b.leader;
}

std::ostream& operator<<(std::ostream& out, term_t t) { return out << t.value; }
std::ostream& operator<<(std::ostream& out, index_t i) { return out << i.value; }
std::ostream& operator<<(std::ostream& out, node_id id) { return out << 'n' << id.value; }
std::ostream& operator<<(std::ostream& out, mark_t m) { return out << 'm' << m.value; }

std::ostream& operator<<(std::ostream& out, errc code) {
  static constexpr std::array names{"none",
                                    "not_leader",
                                    "busy",
                                    "too_large",
                                    "not_ready",
                                    "transferring",
                                    "ineligible",
                                    "failed",
                                    "too_stale",
                                    "term_moved",
                                    "invalid_options",
                                    "invalid_configuration",
                                    "inconsistent_state",
                                    "malformed",
                                    "checksum",
                                    "unsupported_version",
                                    "foreign_cluster",
                                    "misaddressed",
                                    "unknown_peer",
                                    "impossible",
                                    "incomplete",
                                    "compacted",
                                    "not_at_hand",
                                    "io",
                                    "no_space",
                                    "corrupt"};
  return out << name(names, static_cast<std::size_t>(code));
}

std::ostream& operator<<(std::ostream& out, const error& e) {
  return out << e.code << " (" << e.what << ") leader " << e.leader << " detail " << e.detail;
}

std::ostream& operator<<(std::ostream& out, role_kind role) {
  return out << name(std::array{"follower", "pre_candidate", "candidate", "leader"}, static_cast<std::size_t>(role));
}

std::ostream& operator<<(std::ostream& out, progress_state state) {
  return out << name(std::array{"probe", "replicate", "snapshot", "lost"}, static_cast<std::size_t>(state));
}

std::ostream& operator<<(std::ostream& out, fate what) {
  return out << name(std::array{"none", "applied", "dropped", "unknown"}, static_cast<std::size_t>(what));
}

std::ostream& operator<<(std::ostream& out, read_fate what) {
  return out << name(std::array{"none", "ready", "dropped"}, static_cast<std::size_t>(what));
}

std::ostream& operator<<(std::ostream& out, transfer_fate what) {
  return out << name(std::array{"none", "done", "timed_out", "aborted"}, static_cast<std::size_t>(what));
}

std::ostream& operator<<(std::ostream& out, ignored_reason why) {
  return out << name(std::array{"stale_term", "has_leader", "not_a_member", "stale_answer", "wrong_role",
                                "cannot_campaign", "would_not_lead", "maybe_taken", "asks_too_much"},
                     static_cast<std::size_t>(why));
}

std::ostream& operator<<(std::ostream& out, vote_result result) {
  return out << name(std::array{"pending", "won", "lost"}, static_cast<std::size_t>(result));
}

std::ostream& operator<<(std::ostream& out, const proposal& p) { return out << p.index << ':' << p.term; }

std::ostream& operator<<(std::ostream& out, const configuration& c) {
  ids(out << "voters ", c.voters);
  if (c.joint()) ids(out << " outgoing ", c.outgoing);
  if (!c.learners.empty()) ids(out << " learners ", c.learners);
  if (!c.learners_next.empty()) ids(out << " next ", c.learners_next);
  for (const member_data& m : c.data) out << ' ' << m.id << "=\"" << story::text_of(m.data) << '"';
  return out << (c.auto_leave ? " auto" : "");
}

std::ostream& operator<<(std::ostream& out, const hard_state& h) {
  return out << "term " << h.current_term << " vote " << h.voted_for << " hint " << h.commit_hint;
}

std::ostream& operator<<(std::ostream& out, const snapshot_meta& m) {
  return out << "snapshot " << m.index << ':' << m.term << " size " << m.size << " id " << m.id << ' '
             << m.configuration;
}

std::ostream& operator<<(std::ostream& out, const entries& batch) { return story::operator<<(out, story::read(batch)); }

std::ostream& operator<<(std::ostream& out, const message& m) {
  out << m.from << "->" << m.to << " term " << m.term << ' ';
  std::visit([&](const auto& body) { out << body; }, m.body);
  return out;
}

std::ostream& operator<<(std::ostream& out, const status<std::int64_t>& s) {
  out << s.id << ' ' << s.role << " term " << s.term << " vote " << s.voted_for << " leader " << s.leader << " commit "
      << s.commit_index << " applied " << s.last_applied << " log [" << s.first_index << ", " << s.last_index
      << "] durable " << s.durable_index << " snapshot " << s.snapshot_index << ':' << s.snapshot_term << ' '
      << s.configuration << " from " << s.configuration_index << " deadline " << s.deadline << " uncommitted "
      << s.uncommitted_bytes << " reads " << s.pending_reads;
  if (s.failed) out << " failed: " << s.failure;
  if (s.transfer_target != nobody) out << " hands over to " << s.transfer_target << " until " << s.transfer_deadline;
  if (s.evacuating) out << " evacuating";
  if (s.priority != highest_priority) out << " priority " << s.priority;
  for (const auto& p : s.peers) {
    out << " | " << p.id << ' ' << p.state << " match " << p.match << " next " << p.next << " in flight "
        << p.inflight_messages << '/' << p.inflight_bytes << (p.paused ? " paused" : "") << " heard " << p.heard_at;
  }
  return out;
}

}  // namespace raft

namespace story {

std::ostream& operator<<(std::ostream& out, const written& e) {
  static constexpr std::array kinds{"?", "", "no-op", "members"};
  const bool known = static_cast<std::size_t>(e.kind) < kinds.size();
  out << '[' << e.term << ':' << kinds[known ? static_cast<std::size_t>(e.kind) : 0];
  if (e.kind == raft::entry_kind::command) out << (e.text.size() > 40 ? e.text.substr(0, 40) + "..." : e.text);
  return out << ']';
}

std::ostream& operator<<(std::ostream& out, const std::vector<written>& log) {
  for (const written& e : log) out << e;
  return out;
}

std::ostream& operator<<(std::ostream& out, const letter& l) { return out << l.what; }

}  // namespace story
