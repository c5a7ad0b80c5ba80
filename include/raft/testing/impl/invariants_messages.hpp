#pragma once

// Invariants of what a message claims at the moment when it leaves [I32-I37, I46]. Included by invariants.hpp only.

namespace raft::testing {

/// Nobody speaks in a term that it could forget, to itself, or after a write failed.
inline void invariants::i32_claims_no_term_that_is_not_durable(server& s, const message& m) {
  const shadow& sh = shadow_of(s);
  if (sh.write_refused) report("rule 7", s, "sends a message after a failed write");
  if (m.from != s.id || m.to == s.id || find(m.to) == nullptr) {
    report("I32", s, "sends a message from %" PRIu64 " to %" PRIu64, m.from.value, m.to.value);
  }
  if (m.term > s.look().term || m.term > sh.durable.current_term) {
    report("I32", s, "speaks in term %" PRIu64 "; its own is %" PRIu64 ", durably %" PRIu64, m.term.value,
           s.look().term.value, sh.durable.current_term.value);
  }
}

/// An append shows the sender's log: the entry before, consecutive entries, a commit index that it has.
inline void invariants::i33_append_is_the_senders_log(server& s, const message& m, const append_entries& request) {
  const trail& log = shadow_of(s).image;
  const index_t prev = request.prev_log_index;
  const glance now = s.look();
  if (now.role != role_kind::leader || m.term != now.term)
    report("I33", s, "sends an append and does not lead its term");
  if (request.leader_commit > now.commit) {
    report("I33", s, "says that %" PRIu64 " is committed, and knows of %" PRIu64, request.leader_commit.value,
           now.commit.value);
  }
  const bool nothing_before = prev == index_t{} && request.prev_log_term == term_t{};
  if (!nothing_before && (!log.knows(prev) || log.at(prev).term != request.prev_log_term)) {
    report("I33", s, "says that entry %" PRIu64 " has term %" PRIu64, prev.value, request.prev_log_term.value);
  }
  request.entries.for_each(prev.next(), [&](const entry& e) {
    if (!log.knows(e.index) || log.at(e.index).term != e.term) {
      return report("I33", s, "sends as entry %" PRIu64 " what is not in its log", e.index.value);
    }
    const version* v = history_.find(e.index, e.term);
    if (v == nullptr || v->hash != hash_entry(e))
      report("I24", s, "sends entry %" PRIu64 " with other bytes", e.index.value);
  });
}

/// What is acknowledged is durable, and is what that leader has there. (An answer of an earlier term may have waited
/// for the disk while its entries were replaced: it speaks of the moment at which it was given.)
inline void invariants::i34_acknowledges_what_is_durable(server& s, const message& m,
                                                         const append_entries_reply& reply) {
  shadow& sh = shadow_of(s);
  if (!reply.success || m.term != s.look().term || reply.index == index_t{}) return;
  const trail& lasting = sh.lasting();
  if (reply.index > lasting.last()) {
    return report("I34", s, "acknowledges %" PRIu64 ", and only %" PRIu64 " is durable", reply.index.value,
                  lasting.last().value);
  }
  sh.acknowledge(m.term, reply.index);
  const server* leader = find(m.to);
  if (leader == nullptr || !leader->up || of(*leader).now.role != role_kind::leader || of(*leader).now.term != m.term) {
    return;
  }
  const trail& theirs = of(*leader).image;
  if (theirs.knows(reply.index) && !sh.keeps(reply.index, theirs.at(reply.index).chain)) {
    report("I34", s, "acknowledges %" PRIu64 ", and holds another log than leader %" PRIu64, reply.index.value,
           m.to.value);
  }
}

/// A vote that is told, its own included, is durable.
inline void invariants::i35_vote_is_durable(server& s, const message& m, bool granted) {
  const node_id vote = shadow_of(s).votes.get(m.term);
  if (granted && vote != m.to) {
    report("I35", s, "grants %" PRIu64 " a vote in term %" PRIu64 " that is not durable (durable: %" PRIu64 ")",
           m.to.value, m.term.value, vote.value);
  }
}

/// A vote goes to a candidate whose log is at least as up to date as the voter's.
inline void invariants::i35_vote_for_an_up_to_date_log(server& s, const hard_state& h) {
  const shadow& sh = shadow_of(s);
  if (h.voted_for == nobody || (h.voted_for == sh.stored.voted_for && h.current_term == sh.stored.current_term)) return;
  i37_promise_to_the_leader(s, h.voted_for);
  if (h.voted_for == s.id) return;
  const shadow* candidate = find_shadow(h.voted_for);
  const log_end theirs = candidate == nullptr ? log_end{} : candidate->candidacies.get(h.current_term);
  const log_end mine{sh.image.at(sh.image.last()).term, sh.image.last()};
  if (theirs < mine) {
    report("I35", s,
           "votes in term %" PRIu64 " for a log that ends at %" PRIu64 " of term %" PRIu64 "; its own ends at %" PRIu64
           " of term %" PRIu64,
           h.current_term.value, theirs.index.value, theirs.term.value, mine.index.value, mine.term.value);
  }
  counts_->add(meter::votes_granted);
}

/// A chunk is a piece of the sender's own snapshot.
inline void invariants::i36_snapshot_is_the_senders(server& s, const message& m, const install_snapshot& chunk) {
  const snapshot_meta& own = s.disk.image().snapshot();
  if (s.look().role != role_kind::leader || m.term != s.look().term) {
    report("I36", s, "sends a snapshot and does not lead its term");
  }
  if (chunk.last_included_index != own.index || chunk.last_included_term != own.term || chunk.id != own.id ||
      chunk.size != own.size || chunk.offset > own.size) {
    return report("I36", s, "sends a chunk of a snapshot of %" PRIu64 ", and has one of %" PRIu64,
                  chunk.last_included_index.value, own.index.value);
  }
  if (chunk.data.size() > std::max<std::uint64_t>(1, options_.snapshot_chunk_bytes)) {
    report("I46", s, "sends a chunk of %zu bytes", chunk.data.size());
  }
  counts_->add(meter::snapshot_chunks);
}

/// "Installed" is said when it is durable.
inline void invariants::i36_installed_is_durable(server& s, const message& m, const install_snapshot_reply& reply) {
  if (!reply.installed || m.term != s.look().term) return;
  const index_t i = reply.last_included_index;
  shadow& sh = shadow_of(s);
  if (i > history_.last_committed() || !sh.keeps(i, history_.committed(i).chain)) {
    report("I36", s, "says that it holds everything up to %" PRIu64 ", and does not durably", i.value);
  }
  sh.acknowledge(m.term, i);
}

/// A server that hears a leader lets no other one be elected for the smallest election timeout, but for whom that
/// leader asked to stand. Where that leader may read by a lease nothing else ends the promise sooner: no other term, no
/// campaign that is asked for, no restart.
inline void invariants::i37_promise_to_the_leader(server& s, node_id candidate) {
  const shadow& sh = shadow_of(s);
  const bool asked = asked_to_stand(candidate, term_t{s.look().term.value - 1});
  if (options_.lease_reads && s.local_now() < sh.lease_given.until && sh.lease_given.leader != candidate && !asked) {
    report("I37", s, "votes for %" PRIu64 " while %" PRIu64 " may read by a lease", candidate.value,
           sh.lease_given.leader.value);
  }
  if (!options_.check_quorum || sh.promise.leader == nobody || sh.promise.leader == candidate) return;
  if (sh.stored.current_term != sh.promise.term || s.local_now() >= sh.promise.until) return;
  if (asked_to_stand(candidate, sh.promise.term)) return;
  report("I37", s, "votes for %" PRIu64 " within the smallest election timeout of hearing leader %" PRIu64,
         candidate.value, sh.promise.leader.value);
}

/// No call sends one peer more appends than may be under way.
inline void invariants::i46_bounded_sends(server& s, const message& m) {
  const server* to = find(m.to);
  if (to == nullptr) return;
  if (++shadow_of(s).appends[to->slot] > options_.max_inflight_messages + 1) {
    report("I46", s, "sends %" PRIu64 " more appends than may be under way", m.to.value);
  }
}

inline void invariants::sent(server& s, const message& m) {
  catch_up(s);
  i32_claims_no_term_that_is_not_durable(s, m);
  shadow& sh = shadow_of(s);
  sh.sent_term = std::max(sh.sent_term, m.term);
  if (const auto* request = std::get_if<append_entries>(&m.body)) {
    counts_->add(request->entries.empty() ? meter::heartbeats : meter::appends_with_entries);
    if (!request->entries.empty()) i46_bounded_sends(s, m);
    i33_append_is_the_senders_log(s, m, *request);
  } else if (const auto* reply = std::get_if<append_entries_reply>(&m.body)) {
    if (!reply->success) counts_->add(meter::appends_refused);
    i34_acknowledges_what_is_durable(s, m, *reply);
  } else if (const auto* ask = std::get_if<request_vote>(&m.body)) {
    counts_->add(meter::votes_asked);
    if (sh.votes.get(m.term) != s.id) report("I35", s, "asks for votes before its own is durable");
    sh.candidacies.set(m.term, {ask->last_log_term, ask->last_log_index});
    if (ask->handed_over && !asked_to_stand(s.id, term_t{m.term.value - 1})) {
      report("I37", s, "says that a leader asked it to stand in term %" PRIu64 ", and none did", m.term.value);
    }
  } else if (const auto* vote = std::get_if<request_vote_reply>(&m.body)) {
    i35_vote_is_durable(s, m, vote->granted);
  } else if (const auto* chunk = std::get_if<install_snapshot>(&m.body)) {
    i36_snapshot_is_the_senders(s, m, *chunk);
  } else if (const auto* installed = std::get_if<install_snapshot_reply>(&m.body)) {
    i36_installed_is_durable(s, m, *installed);
  } else if (std::holds_alternative<timeout_now>(m.body)) {
    i18_asks_who_has_everything(s, m);
  } else if (std::holds_alternative<request_pre_vote>(m.body)) {
    counts_->add(meter::pre_votes_asked);
  } else if (const auto* pre = std::get_if<request_pre_vote_reply>(&m.body)) {
    // On a deferred disk the answer may have waited since before the leader was heard.
    if (pre->granted && !sh.deferred) i37_promise_to_the_leader(s, m.to);
  } else if (const auto* forward = std::get_if<forwarded_proposal>(&m.body)) {
    note_forward(s, *forward);
  } else if (const auto* named = std::get_if<read_reply>(&m.body); named != nullptr && named->confirmed) {
    const glance now = s.look();
    if (now.role != role_kind::leader || now.term != m.term || named->index > now.commit) {
      report("I39", s, "names an index for reads, and does not lead or has not committed it");
    }
  }
}

/// [I12] A pre-vote asks, and changes nothing: it elects nobody, and takes nobody to another term [thesis 9.6].
/// [I37] What is taken from a leader renews the promise to it.
inline void invariants::took_in(server& s, const message& m) {
  taken_in_ = nullptr;
  if (std::holds_alternative<request_pre_vote>(m.body) && s.look().term != shadow_of(s).term_before) {
    report("I12", s, "enters term %" PRIu64 " by a pre-vote of %" PRIu64, s.look().term.value, m.from.value);
  }
  const bool of_a_leader = std::holds_alternative<append_entries>(m.body) ||
                           std::holds_alternative<install_snapshot>(m.body) ||
                           std::holds_alternative<timeout_now>(m.body);
  if (!of_a_leader) return;
  const glance now = s.look();
  if (now.leader == m.from && now.term == m.term && now.role == role_kind::follower) {
    shadow_of(s).promise = {m.from, m.term, s.local_now() + options_.election_timeout_min};
    shadow_of(s).lease_given = shadow_of(s).promise;
  }
}

inline void invariants::forced_to_campaign(server& s) { shadow_of(s).promise = {}; }

}  // namespace raft::testing
