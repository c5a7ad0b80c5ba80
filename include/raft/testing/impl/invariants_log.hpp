#pragma once

// Invariants of what is written [I1-I9, I23, I24]: terms, votes, the log's shape, and what is never cut. Included by
// invariants.hpp only.

namespace raft::testing {

// ---------------------------------------------------------------------------------------------------- single rules

/// A server's term never falls, over restarts too.
inline void invariants::i01_terms_never_fall(server& s, const hard_state& h) {
  const term_t before = shadow_of(s).stored.current_term;
  if (h.current_term < before) {
    report("I1", s, "stores term %" PRIu64 " after term %" PRIu64, h.current_term.value, before.value);
  }
}

/// A vote that was given stays given until the term rises; one that was durable, for ever.
inline void invariants::i02_one_vote_a_term(server& s, const hard_state& h) {
  const shadow& sh = shadow_of(s);
  const bool same_term = h.current_term == sh.stored.current_term;
  const node_id before =
      same_term && sh.stored.voted_for != nobody ? sh.stored.voted_for : sh.votes.get(h.current_term);
  if (before != nobody && h.voted_for != before) {
    report("I2", s, "voted for %" PRIu64 " in term %" PRIu64 ", and now for %" PRIu64, before.value,
           h.current_term.value, h.voted_for.value);
  }
}

/// snapshot <= applied <= commit <= last.
inline void invariants::i03_index_order(server& s, const glance& now) {
  const memory_log& log = s.disk.image();
  if (now.applied > now.commit || now.commit > log.last_index()) {
    report("I3", s, "applied %" PRIu64 ", commit %" PRIu64 ", last %" PRIu64 " are out of order", now.applied.value,
           now.commit.value, log.last_index().value);
  }
  // Between the installation of a snapshot and its durability the state machine lags behind it.
  if (log.snapshot().index > now.commit) {
    report("I3", s, "the snapshot %" PRIu64 " is ahead of the commit index %" PRIu64, log.snapshot().index.value,
           now.commit.value);
  }
}

/// Indexes are consecutive, the snapshot reaches to the log's beginning, and both agree on its term.
inline void invariants::i04_log_shape(server& s) {
  const shadow& sh = shadow_of(s);
  const memory_log& log = s.disk.image();
  const index_t base = log.first_index().previous();
  const snapshot_meta& snapshot = log.snapshot();
  if (log.last_index() != sh.image.last()) {
    report("I4", s, "the log ends at %" PRIu64 ", what was written at %" PRIu64, log.last_index().value,
           sh.image.last().value);
    return;
  }
  if (base > snapshot.index || snapshot.index > log.last_index()) {
    report("I4", s, "the snapshot %" PRIu64 " lies outside the log (%" PRIu64 ", %" PRIu64 "]", snapshot.index.value,
           base.value, log.last_index().value);
  } else if (log.term_at(snapshot.index) != snapshot.term) {
    report("I4", s, "the snapshot %" PRIu64 " has term %" PRIu64 ", its entry %" PRIu64, snapshot.index.value,
           snapshot.term.value, log.term_at(snapshot.index).value);
  }
}

/// Terms along a log never fall, and none is above the server's own, as it is stored.
inline void invariants::i05_terms_in_the_log_never_fall(server& s, const trail& log, const entry& e, term_t stored) {
  if (e.term < log.at(log.last()).term || e.term > stored) {
    report("I5", s, "an entry of term %" PRIu64 " behind one of %" PRIu64 ", while term %" PRIu64 " is stored",
           e.term.value, log.at(log.last()).term.value, stored.value);
  }
}

/// Commit index, applied index and term never fall within an incarnation.
inline void invariants::i06_commit_and_applied_never_fall(server& s, const glance& now) {
  const glance& before = shadow_of(s).now;
  if (now.term < before.term) report("I1", s, "term %" PRIu64 " after %" PRIu64, now.term.value, before.term.value);
  if (now.commit < before.commit || now.applied < before.applied) {
    report("I6", s, "commit %" PRIu64 " after %" PRIu64 ", applied %" PRIu64 " after %" PRIu64, now.commit.value,
           before.commit.value, now.applied.value, before.applied.value);
  }
}

/// What a server knew to be committed before this input is never cut off. (What the input itself commits may lie behind
/// the cut: it comes with the entries that replace those cut off.)
inline void invariants::i07_committed_entries_stay(server& s, index_t cut) {
  const index_t commit = shadow_of(s).now.commit;
  if (cut <= commit) {
    report("I7", s, "cuts its log from %" PRIu64 " on, and knows %" PRIu64 " to be committed", cut.value, commit.value);
  }
}

/// A leader appends entries of its own term, the first one a no-op or a configuration, and does nothing else to its
/// log.
inline void invariants::i08_leaders_only_append(server& s, const disk_write& w) {
  const glance now = s.look();
  const bool leads = now.role == role_kind::leader;
  if (w.what == disk_write::kind::truncate && leads) {
    report("I8", s, "a leader cuts its log from %" PRIu64 " on", w.index.value);
  }
  if (w.what != disk_write::kind::append) return;
  if (w.own != leads)
    report("I8", s, "%s", leads ? "a leader takes entries of another" : "writes entries as if it led");
  if (!w.own) return;
  const entry first = read_entry(w.bytes.data(), w.index);
  const shadow& sh = shadow_of(s);
  if (first.term != now.term || now.term != sh.stored.current_term) {
    report("I8", s, "a leader of term %" PRIu64 " appends an entry of term %" PRIu64, now.term.value, first.term.value);
  }
  if (sh.image.at(sh.image.last()).term < now.term && first.kind == entry_kind::command) {
    report("I8", s, "the first entry of term %" PRIu64 " is a command", now.term.value);
  }
}

/// An entry that a leader was told of as durable is cut off for a leader of a later term only.
inline void invariants::i09_acknowledged_entries_stay(server& s, index_t cut) {
  shadow& sh = shadow_of(s);
  for (shadow::acknowledgement& told : sh.acknowledged) {
    if (told.index < cut) continue;
    if (sh.stored.current_term <= told.term) {
      report("I9", s,
             "cuts its log from %" PRIu64 " on in term %" PRIu64 ", and acknowledged %" PRIu64 " in term %" PRIu64,
             cut.value, sh.stored.current_term.value, told.index.value, told.term.value);
    }
    told.index = cut.previous();
  }
  while (sh.acknowledged.size() > 1 && sh.acknowledged[sh.acknowledged.size() - 2].index == cut.previous()) {
    sh.acknowledged.pop_back();
  }
}

/// For each (index, term) there is one entry, ever, and one log before it. `own`: the leader of its term writes it now.
inline void invariants::i23_i24_one_entry_one_past(server& s, trail& log, const entry& e, bool own) {
  const std::uint64_t hash = hash_entry(e);
  const std::uint64_t chain = history::link(log.at(log.last()).chain, hash);
  const version* known = history_.find(e.index, e.term);
  if (known == nullptr) {
    if (!own)
      report("I24", s, "holds an entry (%" PRIu64 ", term %" PRIu64 ") that no leader wrote", e.index.value,
             e.term.value);
    known = &history_.add(e.index, {e.term, hash, chain, e.kind, 0});
    if (e.kind == entry_kind::configuration) {
      if (auto c = decode_configuration(e.data)) history_.add_configuration(e.index, e.term, *std::move(c));
    }
  } else if (own) {
    report("I24", s, "writes a second entry (%" PRIu64 ", term %" PRIu64 ")", e.index.value, e.term.value);
  }
  if (known->hash != hash) {
    report("I24", s, "entry (%" PRIu64 ", term %" PRIu64 ") has other bytes here", e.index.value, e.term.value);
  } else if (known->chain != chain) {
    report("I23", s, "entry (%" PRIu64 ", term %" PRIu64 ") follows another log here", e.index.value, e.term.value);
  }
  log.append(e.term, chain, entry_bytes(e.data.size()));
  if (e.kind == entry_kind::configuration) {
    if (auto c = decode_configuration(e.data)) log.note_configuration(*std::move(c));
  }
}

// ---------------------------------------------------------------------------------------------------- the writes

inline void invariants::append(server& s, trail& log, const disk_write& w, term_t stored, bool own) {
  if (w.index != log.last().next()) {
    report("I4", s, "appends %" PRIu64 " behind %" PRIu64, w.index.value, log.last().value);
    return;
  }
  w.batch().for_each(w.index, [&](const entry& e) {
    i05_terms_in_the_log_never_fall(s, log, e, stored);
    i23_i24_one_entry_one_past(s, log, e, own);
  });
}

inline void invariants::truncate(server& s, index_t from) {
  i07_committed_entries_stay(s, from);
  i09_acknowledged_entries_stay(s, from);
  shadow_of(s).image.truncate_from(from);
  counts_->add(meter::truncations);
}

/// A snapshot became the current one in `log`, which `shown` follows. `at_first`: in the first of the two logs.
inline void invariants::finish_snapshot(server& s, const memory_log& log, trail& shown, const snapshot_meta& meta,
                                        bool at_first) {
  i19_snapshot(s, log, meta);
  if (broken()) return;
  const std::uint64_t chain = history_.committed(meta.index).chain;
  if (shown.holds(meta.index, chain)) return;
  if (s.up && s.look().role == role_kind::leader) report("I8", s, "a leader replaces its log by a snapshot");
  if (at_first) i09_acknowledged_entries_stay(s, meta.index.next());
  shown.reset(meta.index, {meta.term, chain, 0});
}

inline void invariants::store_durably(server& s, const hard_state& h) {
  shadow& sh = shadow_of(s);
  sh.durable = h;
  if (h.voted_for != nobody) sh.votes.set(h.current_term, h.voted_for);
}

[[nodiscard]] inline bool brings_configuration(const disk_write& w) {
  bool brings = false;
  w.batch().for_each(w.index, [&brings](const entry& e) { brings |= e.kind == entry_kind::configuration; });
  return brings;
}

inline void invariants::written(server& s, const disk_write& w) {
  shadow& sh = shadow_of(s);
  // The commit index may be ahead of what is written: an append and what it commits come in one message.
  if (s.up) note_role(s, s.look());
  // What is committed by now was counted without the configuration that comes.
  if (s.up && w.own && w.what == disk_write::kind::append && brings_configuration(w)) catch_up(s);
  switch (w.what) {
    case disk_write::kind::store:
      i01_terms_never_fall(s, w.hard);
      i02_one_vote_a_term(s, w.hard);
      i35_vote_for_an_up_to_date_log(s, w.hard);
      if (w.hard.commit_hint > history_.last_committed()) {
        report("I3", s, "stores the hint that %" PRIu64 " is committed", w.hard.commit_hint.value);
      }
      sh.stored = w.hard;
      if (!sh.deferred) store_durably(s, w.hard);
      break;
    case disk_write::kind::append:
      i08_leaders_only_append(s, w);
      if (w.own) i30_born_of_a_proposal(s, w);
      append(s, sh.image, w, sh.stored.current_term, w.own);
      break;
    case disk_write::kind::truncate:
      i08_leaders_only_append(s, w);
      truncate(s, w.index);
      break;
    case disk_write::kind::compact:
      if (w.index > s.disk.image().snapshot().index) {
        report("I7", s, "compacts up to %" PRIu64 ", and its snapshot is %" PRIu64, w.index.value,
               s.disk.image().snapshot().index.value);
      }
      counts_->add(meter::compactions);
      break;
    case disk_write::kind::finish_snapshot:
      finish_snapshot(s, s.disk.image(), sh.image, w.meta, true);
      break;
    case disk_write::kind::begin_snapshot:
    case disk_write::kind::snapshot_bytes:
      return;
  }
  i04_log_shape(s);
}

inline void invariants::survived(server& s, const disk_write& w) {
  shadow& sh = shadow_of(s);
  trail& log = sh.deferred ? sh.later : sh.image;
  const bool was_refused = w.mark == mark_t{};
  switch (w.what) {
    case disk_write::kind::store:
      if (!sh.deferred) sh.stored = w.hard;
      store_durably(s, w.hard);
      break;
    case disk_write::kind::append:
      append(s, log, w, sh.durable.current_term, w.own && was_refused);
      break;
    case disk_write::kind::truncate:
      if (was_refused) i09_acknowledged_entries_stay(s, w.index);  // else it was looked at when it was written
      log.truncate_from(w.index);
      break;
    case disk_write::kind::finish_snapshot:
      finish_snapshot(s, s.disk.durable(), log, w.meta, was_refused);
      break;
    case disk_write::kind::compact:
    case disk_write::kind::begin_snapshot:
    case disk_write::kind::snapshot_bytes:
      break;
  }
}

inline void invariants::refused(server& s, const disk_write& w) {
  const bool about_a_snapshot =
      w.what == disk_write::kind::begin_snapshot || w.what == disk_write::kind::snapshot_bytes;
  if (!about_a_snapshot) shadow_of(s).write_refused = true;
  if (w.what == disk_write::kind::append && w.own) i30_born_of_a_proposal(s, w);
  counts_->add(about_a_snapshot ? meter::snapshots_refused_by_disk : meter::writes_refused);
}

// ---------------------------------------------------------------------------------------------------- incarnations

inline void invariants::crashed(server& s) {
  shadow& sh = shadow_of(s);
  if (sh.deferred) {
    sh.image = sh.later;
    sh.stored = sh.durable;
  }
  sh.now = {};
  sh.write_refused = false;
  sh.promise = {};
  sh.proposals.clear();
  sh.reads.clear();
  sh.forwards.clear();
  sh.promoting = nobody;
  sh.transfer_target = nobody;
  sh.handed_over = index_t{};
}

/// [I1, I6, I9] What the new incarnation begins with is no less than what the old ones promised.
inline void invariants::started(server& s) {
  shadow& sh = shadow_of(s);
  const glance now = s.look();
  if (now.term < sh.sent_term) {
    report("I1", s, "begins in term %" PRIu64 ", and spoke in term %" PRIu64, now.term.value, sh.sent_term.value);
  }
  if (now.role != role_kind::follower || now.leader != nobody) report("I20", s, "begins as more than a follower");
  if (!sh.acknowledged.empty() && sh.acknowledged.front().index > sh.image.last()) {
    report("I9", s, "begins with a log that ends at %" PRIu64 ", and acknowledged %" PRIu64, sh.image.last().value,
           sh.acknowledged.front().index.value);
  }
  const index_t snapshot = s.disk.image().snapshot().index;
  const bool of_its_own = s.traits.machine == machine_kind::durable && s.machine.applied_index() >= snapshot;
  const index_t expected = of_its_own ? s.machine.applied_index() : snapshot;
  const index_t applied = s.machine.to_restore() != index_t{} ? index_t{} : expected;  // it is filled later
  if (now.applied != applied || now.commit < expected) {
    report("I6", s, "begins with applied %" PRIu64 " and commit %" PRIu64 "; its state is that of %" PRIu64,
           now.applied.value, now.commit.value, expected.value);
  }
  if (of_its_own) sh.handed_over = s.machine.state().last_command;
  i04_log_shape(s);
  i15_configuration_in_force(s);
  i25_committed_agrees(s, now);
  sh.now = now;
}

}  // namespace raft::testing
