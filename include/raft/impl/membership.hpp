#pragma once

// Membership [floor 8] [paper §6, thesis 4]. Included by node.hpp only.
//
// In force is the latest configuration in the log, committed or not; when the log loses it, the one before it, at last
// the snapshot's. The Log knows where configurations lie. One change at a time: the next one is appended only when the
// last is committed, and an entry of the leader's own term is, too (else two leaders of different terms could each
// count with a configuration whose quorums do not meet).

namespace raft {

RAFT_NODE_TEMPLATE
constexpr result<proposal> RAFT_NODE::change_membership(const membership& target, std::optional<index_t> expected) {
  const detail::entered guard{inside_};
  const auto next = next_configuration(target, expected);
  if (!next) return refuse_request(request_kind::change, next.error());
  return append_configuration(*next);
}

/// The step that change_membership would append, if it is legal and may be taken now.
RAFT_NODE_TEMPLATE
constexpr result<configuration> RAFT_NODE::next_configuration(const membership& target,
                                                              std::optional<index_t> expected) const {
  if (auto possible = may_change_membership(expected); !possible) return possible.error();
  auto next = step_towards(configuration_, target);
  if (next && *next == configuration_) return {errc::not_ready, "this is the membership in force"};
  return next;
}

RAFT_NODE_TEMPLATE
constexpr result<proposal> RAFT_NODE::leave_joint_configuration() {
  const detail::entered guard{inside_};
  if (auto possible = may_change_membership({}); !possible) {
    return refuse_request(request_kind::change, possible.error());
  }
  auto next = leave_joint(configuration_);
  if (!next) return refuse_request(request_kind::change, next.error());
  return append_configuration(*next);
}

RAFT_NODE_TEMPLATE
constexpr result<change_preview> RAFT_NODE::preview_change(const membership& target,
                                                           std::optional<index_t> expected) const {
  auto next = next_configuration(target, expected);
  if (!next) return next.error();
  const auto& lead = std::get<leader_role>(role_);
  const auto found = detail::shortage_of(*next, [&](node_id voter) {
    const auto p = std::ranges::lower_bound(lead.peers, voter, {}, &peer::id);
    const bool known = p != lead.peers.end() && p->id == voter;
    return voter == id_ || (known && now_ - p->heard_at < options_.election_timeout_max);
  });
  return change_preview{*std::move(next), found.needed == 0, found.absent, found.needed};
}

RAFT_NODE_TEMPLATE
constexpr result<void> RAFT_NODE::may_change_membership(std::optional<index_t> expected) const {
  if (failed_) return failure_;
  const auto* lead = std::get_if<leader_role>(&role_);
  if (lead == nullptr) return not_leader();
  if (transfer_.refuses) return transfer_.refusal();
  if (commit_index_ < lead->first_index) return {errc::not_ready, "nothing of this leader's term is committed yet"};
  if (configuration_index_ > commit_index_) return {errc::not_ready, "the last membership change is not committed yet"};
  if (expected && *expected != configuration_index_) {
    return {errc::not_ready, "another membership than the expected one is in force"};
  }
  return {};
}

/// Notes the entry, and has it written. It is in force when it is in the log (refresh_configuration).
RAFT_NODE_TEMPLATE
constexpr result<proposal> RAFT_NODE::append_configuration(const raft::configuration& next) {
  const proposal place{log_.last_index().next(), term()};
  want_configuration(next);
  settle();
  return place;  // with the fate unknown, if the write failed (see propose)
}

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::want_configuration(const raft::configuration& next) {
  members_scratch_.clear();
  encode(next, members_scratch_);
  members_entry_ = members_scratch_;
  want_entries(entry_kind::configuration, std::span<const payload>{&members_entry_, 1},
               entry_bytes(members_entry_.size()));
  if constexpr (wants_fates) proposals_.back().last = log_.last_index().next();
}

/// [thesis 4.3]: a joint configuration that is committed is left by whoever leads. True if that asks for a write. It is
/// asked for once: with the entry in the log the configuration in force is no longer joint.
RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::leave_joint_by_itself(leader_role& lead) {
  if (!configuration_.auto_leave || configuration_index_ > commit_index_ || commit_index_ < lead.first_index) {
    return false;
  }
  want_configuration(*leave_joint(configuration_));
  return true;
}

/// [paper §6]: a leader that is no voter of the configuration leads until that is committed. Then it tells the others
/// so, in one last round, and makes way.
RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::is_removed() const { return !is_voter_ && configuration_index_ <= commit_index_; }

/// The latest configuration at or below `index`; an error if its entry is not at hand or not legal.
RAFT_NODE_TEMPLATE
constexpr result<configuration> RAFT_NODE::configuration_at(index_t index) const {
  const std::span<const index_t> places = log_.configurations();
  const auto behind = std::upper_bound(places.begin(), places.end(), index);
  if (behind == places.begin() || *(behind - 1) <= log_.snapshot().index) return log_.snapshot().configuration;
  const index_t place = *(behind - 1);
  const auto found = log_.view(place, place, 0);
  if (!found) return found.error();
  return decode_configuration(read_entry(found->data(), place).data);
}

/// Brings the configuration in force up to date with the log, after the log changed.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::refresh_configuration() {
  const std::span<const index_t> places = log_.configurations();
  const index_t latest = places.empty() || places.back() <= log_.snapshot().index ? index_t{} : places.back();
  auto in_force = configuration_at(log_.last_index());
  if (!in_force) return fail(in_force.error());
  configuration_index_ = latest;
  if (configuration_ == *in_force) return;
  configuration_ = *std::move(in_force);
  is_voter_ = configuration_.is_voter(id_);
  if (auto* lead = std::get_if<leader_role>(&role_)) {
    match_peers_to(*lead);
    lead->lease.end();            // it was a quorum of another membership that made it
    advance_commit_index(*lead);  // the quorum may have become smaller
  }
  tell(events::configuration_changed{configuration_index_, &configuration_});
  if constexpr (requires { machine_.on_configuration(configuration_, configuration_index_); }) {
    machine_.on_configuration(configuration_, configuration_index_);
  }
}

/// One progress for each other member: those that stay keep theirs.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::match_peers_to(leader_role& lead) {
  std::vector<peer> peers;
  for (const node_id member : members_of(configuration_)) {
    if (member == id_) continue;
    if (peer* known = find_peer(member)) {
      peers.push_back(std::move(*known));
      continue;
    }
    peer fresh{};
    fresh.id = member;
    fresh.next = log_.last_index().next();
    fresh.heard_at = now_;
    peers.push_back(std::move(fresh));
  }
  lead.peers = std::move(peers);
}

}  // namespace raft
