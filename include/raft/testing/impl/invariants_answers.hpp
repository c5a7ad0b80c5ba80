#pragma once

// Invariants of what a node answers to "why?" [I49]. Included by invariants.hpp only.

namespace raft::testing {

/// [I49] The answers agree with what the servers are: a leader is missed exactly where none is known; what is committed
/// waits for nothing; and what a leader's next entry waits for is what keeps it from being committed.
inline void invariants::i49_answers(server& s, const glance& now) {
  const leader_absence absence = s.why_no_leader();
  if ((absence.why == leader_absence::cause::none) != (now.leader != nobody) || absence.leader != now.leader) {
    report("I49", s, "answers about a leader what is not so: %s", text_of(explain(absence)).c_str());
  }
  if (absence.refused.count != 0) counts_->add(meter::absences_with_refusals);
  const auto done = s.why_not_committed(now.commit).why;
  if (done != commit_delay::cause::none && done != commit_delay::cause::compacted) {
    report("I49", s, "has committed %" PRIu64 " and says that it waits", now.commit.value);
  }
  const commit_delay delay = s.why_not_committed(now.commit.next());
  using cause = commit_delay::cause;
  const bool at_hand = now.commit < s.disk.image().last_index();
  cause expected = now.leader == nobody ? cause::no_leader : cause::not_leader;
  if (now.role == role_kind::leader) expected = delay.why;
  if (!at_hand) expected = cause::beyond_end;
  const bool waits = delay.why == cause::followers || delay.why == cause::own_disk || delay.why == cause::earlier_term;
  if (delay.why != expected || (at_hand && now.role == role_kind::leader && !waits)) {
    report("I49", s, "does not say why the next entry is not committed: %s", text_of(explain(delay)).c_str());
  }
}

/// [I49] Of a leader's: who is named has not acknowledged, and those who are not named are no quorum without them.
inline void invariants::i49_answers_of_leader(server& s, const server::status_type& status) {
  for (const auto& p : status.peers) {
    const peer_pause pause = s.why_paused(p.id);
    if (p.paused && pause.why == peer_pause::cause::none) {
      report("I49", s, "pauses %" PRIu64 " and says that it does not", p.id.value);
    }
    if (pause.why == peer_pause::cause::full_messages || pause.why == peer_pause::cause::full_bytes) {
      counts_->add(meter::pauses_by_limits);
    }
  }
  if (status.commit_index == status.last_index) return;
  const commit_delay delay = s.why_not_committed(status.commit_index.next());
  if (delay.why == commit_delay::cause::earlier_term) counts_->add(meter::delays_of_earlier_terms);
  if (delay.why == commit_delay::cause::own_disk) counts_->add(meter::delays_of_own_disks);
  const index_t upto = delay.why == commit_delay::cause::earlier_term ? delay.other : delay.index;
  for (const auto& p : status.peers) {
    const bool missing = p.match < upto || p.state == progress_state::lost;
    if (status.configuration.is_voter(p.id) && missing != delay.servers.holds(p.id)) {
      report("I49", s, "is wrong about what %" PRIu64 " has not acknowledged: %s", p.id.value,
             text_of(explain(delay)).c_str());
    }
  }
  const bool enough = is_quorum(status.configuration, [&](node_id id) { return !delay.servers.holds(id); });
  if (enough && !delay.own_disk) report("I49", s, "waits for nobody: %s", text_of(explain(delay)).c_str());
}

}  // namespace raft::testing
