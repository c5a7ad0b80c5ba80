#pragma once

// Invariants of roles, elections, commit, configurations and snapshots [I10-I22, I25-I28, I31]. Included by
// invariants.hpp only.

namespace raft::testing {

// ---------------------------------------------------------------------------------------------------- elections

/// A term has one leader, over all time.
inline void invariants::i21_one_leader_a_term(server& s, term_t term) {
  const node_id known = history_.leaders.get(term);
  if (known != nobody && known != s.id) {
    report("I21", s, "leads term %" PRIu64 ", whose leader was %" PRIu64, term.value, known.value);
  }
  history_.leaders.set(term, s.id);
}

/// Who leads was elected by a quorum of durable votes, its own among them if it votes.
inline void invariants::i12_elected_by_a_quorum(server& s, const glance& now) {
  const bool elected = is_quorum(s.configuration(), [&](node_id voter) {
    const shadow* sh = find_shadow(voter);
    return sh != nullptr && sh->votes.get(now.term) == s.id;
  });
  if (!elected) report("I12", s, "leads term %" PRIu64 " without a quorum of durable votes", now.term.value);
}

/// A new leader holds everything that leaders of earlier terms committed.
inline void invariants::i26_leader_completeness(server& s, term_t term) {
  const index_t last = history_.committed_before(term);
  const trail& log = shadow_of(s).image;
  if (last < log.base() || log.holds(last, history_.committed(last).chain)) return;
  report("I26", s, "leads term %" PRIu64 " without entry %" PRIu64 ", which was committed before", term.value,
         last.value);
}

/// Takes notice of a role that began inside the present call.
inline void invariants::note_role(server& s, const glance& now) {
  shadow& sh = shadow_of(s);
  if (now.role == sh.now.role && now.term == sh.now.term) return;
  const bool leads = now.role == role_kind::leader;
  const bool led = sh.now.role == role_kind::leader;
  if (led && !leads) counts_->add(meter::step_downs);
  if (leads && !(led && sh.now.term == now.term)) {
    counts_->add(meter::leaders);
    if (asked_to_stand(s.id, term_t{now.term.value - 1})) counts_->add(meter::leaders_by_transfer);
    if (led) report("I20", s, "leads term %" PRIu64 " straight after term %" PRIu64, now.term.value, sh.now.term.value);
    i21_one_leader_a_term(s, now.term);
    i12_elected_by_a_quorum(s, now);
    i26_leader_completeness(s, now.term);
    sh.match_before.assign(sh.match_before.size(), index_t{});
    if (sh.image.last() > history_.last_committed() && history_.last_committed() > index_t{}) {
      counts_->add(meter::figure_8_states);
    }
  }
  sh.now.role = now.role;
  sh.now.term = std::max(sh.now.term, now.term);
}

/// Candidates and leaders vote in their configuration, or in the one before while a change is not committed.
inline void invariants::i17_role_fits_configuration(server& s, const glance& now) {
  if (now.role == role_kind::follower || s.configuration().is_voter(s.id)) return;
  const auto& in_log = shadow_of(s).image.configurations();
  const bool open = !in_log.empty() && in_log.back().index > now.commit;
  const configuration& before =
      in_log.size() > 1 ? in_log[in_log.size() - 2].members : s.disk.image().snapshot().configuration;
  if (!open || !before.is_voter(s.id)) report("I17", s, "is no voter, and stands or leads");
}

/// One change of membership at a time, in a term in which something is committed; and any quorum of the new
/// configuration meets any quorum of the one before.
inline void invariants::i16_one_change_at_a_time(server& s, index_t index, const configuration& next) {
  const trail& log = shadow_of(s).image;
  const glance now = s.look();
  const index_t committed = std::max(now.commit, log.base());
  const auto& in_log = log.configurations();
  if (!in_log.empty() && in_log.back().index > now.commit) {
    report("I16", s, "changes the membership at %" PRIu64 " while the change at %" PRIu64 " is not committed",
           index.value, in_log.back().index.value);
  }
  if (log.at(committed).term != now.term) {
    report("I16", s, "changes the membership and has committed nothing in term %" PRIu64, now.term.value);
  }
  const std::size_t n = history_.servers.size();
  for (std::uint64_t subset = 0; subset < (std::uint64_t{1} << n); ++subset) {
    const auto inside = [subset](node_id id) { return (subset >> (id.value - 1) & 1) != 0; };
    const auto outside = [subset](node_id id) { return (subset >> (id.value - 1) & 1) == 0; };
    if (is_quorum(s.configuration(), inside) && is_quorum(next, outside)) {
      return report("I16", s, "changes the membership at %" PRIu64 " to one whose quorums do not all meet the old ones",
                    index.value);
    }
  }
}

/// Nobody takes for the leader of a term who was not elected in it; and who does not lead does not name itself.
inline void invariants::i20_known_leader(server& s, const glance& now) {
  if (now.leader == nobody) return;
  if (now.leader == s.id && now.role != role_kind::leader)
    report("I20", s, "does not lead and names itself the leader");
  if (history_.leaders.get(now.term) != now.leader) {
    report("I20", s, "takes %" PRIu64 " for the leader of term %" PRIu64, now.leader.value, now.term.value);
  }
}

/// A leader has the greatest index of its term.
inline void invariants::i22_greatest_index_of_its_term(server& s) {
  const glance now = s.look();
  if (now.role != role_kind::leader) return;
  for (const shadow& other : history_.servers) {
    const trail& log = other.image;
    if (log.at(log.last()).term == now.term && log.last() > shadow_of(s).image.last()) {
      report("I22", s, "leads term %" PRIu64 " and has not its entry %" PRIu64, now.term.value, log.last().value);
    }
  }
}

// ------------------------------------------------------------------------------------------------ what a leader knows

/// match < next <= last + 1; match never falls; what is in flight is within its limits, and there is none but where
/// appends are sent ahead.
inline void invariants::i10_progress(server& s, const server::status_type& status) {
  std::vector<index_t>& match_before = shadow_of(s).match_before;
  for (const auto& other : *servers_) {  // Who was removed and joins again starts anew.
    const bool listed =
        std::any_of(status.peers.begin(), status.peers.end(), [&](const auto& p) { return p.id == other->id; });
    if (!listed) match_before[other->slot] = index_t{};
  }
  for (const auto& p : status.peers) {
    const server* other = find(p.id);
    if (other == nullptr) continue;
    index_t& before = match_before[other->slot];
    const bool in_order = p.match < p.next && p.next <= status.last_index.next();
    if (!in_order || p.match < before) {
      report("I10", s, "of %" PRIu64 ": match %" PRIu64 " (was %" PRIu64 "), next %" PRIu64 ", last %" PRIu64,
             p.id.value, p.match.value, before.value, p.next.value, status.last_index.value);
    }
    before = p.match;
    const bool idle = p.inflight_messages == 0 && p.inflight_bytes == 0;
    const bool within =
        p.inflight_messages <= options_.max_inflight_messages && (p.inflight_messages == 0) == (p.inflight_bytes == 0);
    if (!within || (p.state != progress_state::replicate && !idle)) {
      report("I10", s, "%zu appends of %" PRIu64 " bytes under way to %" PRIu64, p.inflight_messages, p.inflight_bytes,
             p.id.value);
    }
  }
}

/// What a leader believes that another holds, that one holds durably.
inline void invariants::i11_honest_match(server& s, const server::status_type& status) {
  const trail& log = shadow_of(s).image;
  for (const auto& p : status.peers) {
    const shadow* other = find_shadow(p.id);
    if (other == nullptr || p.match == index_t{} || other->stored.current_term > status.term) continue;
    const bool covered = p.match < log.base() && p.match <= history_.last_committed();
    if (!covered && !log.knows(p.match)) {
      report("I11", s, "believes that %" PRIu64 " holds %" PRIu64 ", which it has not itself", p.id.value,
             p.match.value);
      continue;
    }
    const std::uint64_t chain = covered ? history_.committed(p.match).chain : log.at(p.match).chain;
    if (!other->keeps(p.match, chain)) {
      report("I11", s, "believes that %" PRIu64 " holds %" PRIu64 " durably", p.id.value, p.match.value);
    }
  }
}

/// The sum of what is proposed and not committed: at least the entries of its own term that are open, none if none is.
inline void invariants::i14_uncommitted_bytes(server& s, const server::status_type& status) {
  const trail& log = shadow_of(s).image;
  index_t from = std::max(status.commit_index, log.base());
  std::uint64_t open = log.at(log.last()).bytes - log.at(from).bytes;
  while (from < log.last() && log.at(from.next()).term < status.term) {
    open -= log.at(from.next()).bytes - log.at(from).bytes;
    from = from.next();
  }
  if (status.uncommitted_bytes < open || (from == log.last() && status.uncommitted_bytes != 0)) {
    report("I14", s, "counts %" PRIu64 " bytes as uncommitted, and it is %" PRIu64, status.uncommitted_bytes, open);
  }
}

// ---------------------------------------------------------------------------------------------------- commit

/// Of the configuration by which the latest entry was committed, a quorum keeps entry i, whatever happens now.
inline void invariants::i42_durable_on_a_quorum(server& s, index_t i, const char* invariant) {
  const std::uint64_t chain = history_.committed(i).chain;
  const bool kept = is_quorum(history_.counted_by(), [&](node_id voter) {
    const shadow* sh = find_shadow(voter);
    return sh != nullptr && sh->keeps(i, chain);
  });
  if (!kept) report(invariant, s, "no quorum holds entry %" PRIu64 " durably", i.value);
}

/// A leader commits an entry of its own term, which a quorum holds durably at that moment, and with it all before it.
inline void invariants::i13_commit_rule(server& s, const glance& now) {
  const trail& log = shadow_of(s).image;
  if (!log.knows(now.commit)) return;  // i03 tells
  if (log.at(now.commit).term != now.term) {
    report("I13", s, "commits %" PRIu64 " of term %" PRIu64 " by counting, in term %" PRIu64, now.commit.value,
           log.at(now.commit).term.value, now.term.value);
    return;
  }
  for (index_t i = history_.last_committed().next(); i <= now.commit; i = i.next()) {
    const version* v = log.knows(i) ? history_.find(i, log.at(i).term) : nullptr;
    if (v == nullptr) return report("I13", s, "commits %" PRIu64 ", which it does not hold", i.value);
    if (v->term < now.term) counts_->add(meter::commits_of_older_terms);
    history_.commit(now.term, *v, s.configuration());
    if (v->kind == entry_kind::configuration) {
      counts_->add(meter::configurations_committed);
      if (!s.configuration().is_voter(s.id)) counts_->add(meter::leaders_removed);
    }
  }
  i42_durable_on_a_quorum(s, now.commit, "I13");
}

/// What a server takes for committed is what was committed: nothing else, and nothing that no leader committed yet.
inline void invariants::i25_committed_agrees(server& s, const glance& now) {
  if (now.commit == index_t{}) return;
  if (now.commit > history_.last_committed()) {
    return report("I25", s, "takes %" PRIu64 " for committed, and no leader did", now.commit.value);
  }
  const trail& log = shadow_of(s).image;
  if (now.commit >= log.base() && !log.holds(now.commit, history_.committed(now.commit).chain)) {
    report("I25", s, "takes another entry %" PRIu64 " for committed than was committed there", now.commit.value);
  }
}

/// Takes notice of a commit index that rose inside the present call.
inline void invariants::catch_up(server& s) {
  shadow& sh = shadow_of(s);
  const glance now = s.look();
  note_role(s, now);
  if (now.failed || now.commit <= sh.now.commit) return;
  if (now.role == role_kind::leader) i13_commit_rule(s, now);
  i25_committed_agrees(s, now);
  sh.now.commit = now.commit;
}

/// A quorum keeps what is committed.
inline void invariants::i27_quorum_keeps_the_committed() {
  const index_t last = history_.last_committed();
  if (last > index_t{}) i42_durable_on_a_quorum(*servers_->front(), last, "I27");
}

/// A log that is at least as up to date as another one holds what that one knows to be committed.
inline void invariants::i28_up_to_date_is_right(server& s, server& other) {
  const trail& mine = shadow_of(s).image;
  const trail& theirs = shadow_of(other).image;
  const log_end my_end{mine.at(mine.last()).term, mine.last()};
  const log_end their_end{theirs.at(theirs.last()).term, theirs.last()};
  const index_t commit = other.look().commit;
  if (my_end < their_end || commit == index_t{} || commit > history_.last_committed()) return;
  if (their_end.term < history_.commit_term(commit) || commit < mine.base()) return;
  if (!mine.holds(commit, history_.committed(commit).chain)) {
    report("I28", s, "is up to date with %" PRIu64 " and has not the entry %" PRIu64 ", committed there",
           other.id.value, commit.value);
  }
}

// ---------------------------------------------------------------------------------- configurations and snapshots

/// The configuration in force is that of the last configuration entry, else the snapshot's.
inline void invariants::i15_configuration_in_force(server& s) {
  const auto& in_log = shadow_of(s).image.configurations();
  const snapshot_meta& snapshot = s.disk.image().snapshot();
  const bool from_log = !in_log.empty() && in_log.back().index > snapshot.index;
  if (!(s.configuration() == (from_log ? in_log.back().members : snapshot.configuration))) {
    report("I15", s, "acts on another configuration than the latest in its log");
  }
}

/// A snapshot is the state after the committed entries up to its index, with their last term and configuration; and two
/// of one index are equal byte by byte [I48].
inline void invariants::i19_snapshot(server& s, const memory_log& log, const snapshot_meta& meta) {
  const snapshot_meta& now = log.snapshot();
  const index_t i = meta.index;
  if (now.index != i || i > history_.last_committed()) {
    return report("I19", s, "has a snapshot of %" PRIu64 ", which is not committed", i.value);
  }
  committed_entry& there = history_.committed(i);
  if (now.term != there.term || !(now.configuration == history_.configuration_at(i))) {
    return report("I19", s, "has a snapshot of %" PRIu64 " with another term or configuration", i.value);
  }
  const auto image = log.read_snapshot(0, UINT32_MAX);
  if (!image || image->size() != now.size || image->size() < machine_state::image_bytes) {
    return report("I19", s, "has a snapshot of %" PRIu64 " of another size than it says", i.value);
  }
  if (raft::detail::load_le<std::uint64_t>(image->data() + 8) != there.state) {
    return report("I19", s, "has a snapshot of %" PRIu64 " with another state", i.value);
  }
  const std::uint64_t hash = hash_bytes(bytes_may_differ_ ? image->first(machine_state::image_bytes) : *image);
  if (there.image != 0 && there.image != hash) {
    report("I48", s, "has a snapshot of %" PRIu64 " with other bytes than an earlier one", i.value);
  }
  there.image = hash;
}

// ---------------------------------------------------------------------------------------------------- when

inline void invariants::before_call(server& s) {
  shadow& sh = shadow_of(s);
  sh.appends.assign(history_.servers.size(), 0);
  sh.term_before = s.look().term;
  const index_t committed = history_.last_committed();
  if (!sh.committed_seen.empty() && sh.committed_seen.back().second == committed) return;
  if (sh.committed_seen.size() == 512) sh.committed_seen.erase(sh.committed_seen.begin());
  sh.committed_seen.emplace_back(s.local_now(), committed);
}

inline void invariants::after_call(server& s) {
  shadow& sh = shadow_of(s);
  if (sh.write_refused && !s.look().failed) report("rule 7", s, "goes on after a failed write");
  const glance now = s.look();
  if (sh.promoting != nobody && now.role != role_kind::leader) {
    report("I50", s, "leads no more and leaves the promotion of %" PRIu64 " without a fate", sh.promoting.value);
  }
  if (now.failed) return;  // It knows what it could not write, and says nothing any more.
  catch_up(s);
  i03_index_order(s, now);
  i06_commit_and_applied_never_fall(s, now);
  i15_configuration_in_force(s);
  i17_role_fits_configuration(s, now);
  i20_known_leader(s, now);
  if (now.term != sh.stored.current_term) {
    report("I1", s, "is in term %" PRIu64 ", and its Log in %" PRIu64, now.term.value, sh.stored.current_term.value);
  }
  if (now.role == role_kind::leader) {
    const server::status_type status = s.status();
    i10_progress(s, status);
    i11_honest_match(s, status);
    i14_uncommitted_bytes(s, status);
    i49_answers_of_leader(s, status);
    i18_transfer(s, status);
  }
  i49_answers(s, now);
  sh.now = now;
}

inline void invariants::every_so_often() {
  i27_quorum_keeps_the_committed();
  for (const auto& s : *servers_) {
    if (!s->up || s->look().failed) continue;
    i22_greatest_index_of_its_term(*s);
    for (const auto& other : *servers_) {
      if (other->up && other != s && !other->look().failed) i28_up_to_date_is_right(*s, *other);
    }
  }
}

/// [I31] Every live server has committed and applied everything, to the same effect.
inline void invariants::converged(const std::vector<server*>& live) {
  const index_t last = history_.last_committed();
  for (server* s : live) {
    const glance now = s->look();
    if (now.commit != last || now.applied != last || s->machine.state().hash != history_.committed(last).state) {
      report("I31", *s, "ends with commit %" PRIu64 ", applied %" PRIu64 "; committed is %" PRIu64, now.commit.value,
             now.applied.value, last.value);
    }
  }
}

}  // namespace raft::testing
