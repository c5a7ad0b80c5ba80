#pragma once

// Invariants of state machines and of what clients are told [I29, I30, I38-I42]. Included by invariants.hpp only.

namespace raft::testing {

/// An entry reaches a state machine once, in order, after it is committed, and durable here.
inline void invariants::i29_applied_is_committed(server& s, index_t index, term_t term, std::uint64_t hash) {
  shadow& sh = shadow_of(s);
  if (index > s.look().commit || index > history_.last_committed()) {
    return report("I29", s, "applies %" PRIu64 ", which is not committed", index.value);
  }
  if (s.wants_snapshot) report("I29", s, "applies %" PRIu64 " while it waits for a snapshot", index.value);
  if (s.machine.to_restore() != index_t{}) {
    report("I29", s, "applies %" PRIu64 " to a machine that is being filled from a snapshot", index.value);
  }
  const committed_entry& there = history_.committed(index);
  if (there.term != term || there.hash != hash) {
    report("I29", s, "applies another entry %" PRIu64 " than was committed", index.value);
  }
  if (there.kind != entry_kind::command)
    report("I29", s, "applies entry %" PRIu64 ", which is no command", index.value);
  if (history_.committed(index.previous()).last_command != sh.handed_over) {
    report("I29", s, "applies %" PRIu64 " after %" PRIu64 ", with other commands between them or none new", index.value,
           sh.handed_over.value);
  }
  if (!sh.keeps(index, there.chain))
    report("I29", s, "applies %" PRIu64 ", which it does not hold durably", index.value);
  sh.handed_over = index;
}

inline void invariants::handed_over(server& s, index_t index, term_t term, std::uint64_t hash) {
  catch_up(s);
  i29_applied_is_committed(s, index, term, hash);
  counts_->add(meter::applied);
}

/// [I29] Its state is that of every other machine after the same entry.
inline void invariants::executed(server& s, index_t index, std::uint64_t state) {
  if (index > history_.last_committed() || history_.committed(index).state != state) {
    report("I29", s, "is in another state after %" PRIu64 " than others were", index.value);
  }
  if (s.traits.machine == machine_kind::elsewhere) counts_->add(meter::applied_elsewhere);
}

/// [I50] Once each, alike everywhere.
inline void invariants::session_executed(server& s, index_t index, const session_result& result) {
  counts_->add(result.command.session == 0                ? meter::sessions_opened
               : result.what == session_outcome::fresh    ? meter::session_commands
               : result.what == session_outcome::answered ? meter::session_retries_answered
               : result.what == session_outcome::too_old  ? meter::session_retries_too_old
                                                          : meter::sessions_expired);
  if (const char* wrong = ledger_.executed(index, result)) report("I50", s, "%s", wrong);
}

/// [I19, I29] A snapshot leads to the state after its entries, and never back.
inline void invariants::restored(server& s, const snapshot_meta& meta, index_t last_command, std::uint64_t state) {
  shadow& sh = shadow_of(s);
  counts_->add(meter::machines_restored);
  if (std::exchange(s.wants_snapshot, false)) counts_->add(meter::snapshot_requests_served);
  if (meta.index > history_.last_committed()) {
    return report("I19", s, "restores a snapshot of %" PRIu64 ", which is not committed", meta.index.value);
  }
  const committed_entry& there = history_.committed(meta.index);
  if (there.state != state || there.last_command != last_command) {
    report("I19", s, "restores another state than that after %" PRIu64, meta.index.value);
  }
  if (meta.index < sh.handed_over) {
    report("I29", s, "goes back from %" PRIu64 " to a snapshot of %" PRIu64, sh.handed_over.value, meta.index.value);
  }
  if (!sh.keeps(meta.index, there.chain)) report("I29", s, "restores a snapshot that is not durable");
  sh.handed_over = last_command;
}

// ---------------------------------------------------------------------------------------------------- proposals

/// [I30, I40] A leader writes what clients proposed, byte by byte, its own no-op, and configurations; nothing else.
inline void invariants::i30_born_of_a_proposal(server& s, const disk_write& w) {
  shadow& sh = shadow_of(s);
  std::size_t n = 0;
  bool own = false;  // the write of a proposal may be followed by one of its own: a joint membership left, a promotion
  w.batch().for_each(w.index, [&](const entry& e) {
    own = own || e.kind != entry_kind::command;
    if (e.kind == entry_kind::no_op) {
      if (!e.data.empty()) report("I30", s, "writes a no-op that is not empty");
      return;
    }
    sh.proposals.push_back({e.index, e.term, history_.answered});
    if (e.kind == entry_kind::configuration) {
      if (const auto c = decode_configuration(e.data)) i16_one_change_at_a_time(s, e.index, *c);
      return;
    }
    if (asked_.empty() && taken_in_ != nullptr) return note_forwarded_command(s, e);
    if (n >= asked_.size() || hash_bytes(asked_[n]) != hash_bytes(e.data)) {
      return report("I30", s, "writes a command at %" PRIu64 " that nobody proposed", e.index.value);
    }
    ++n;
  });
  if (n != asked_.size() && !asked_.empty() && (n != 0 || !own))
    report("I30", s, "writes %zu of %zu proposals", n, asked_.size());
}

inline void invariants::about_to_propose(std::span<const payload> commands) { asked_ = commands; }

/// [I40] The answer names the place where the commands are.
inline void invariants::proposed(server& s, const result<proposal>& answer) {
  const std::span<const payload> commands = std::exchange(asked_, {});
  if (!answer) {
    if (answer.error().code == errc::not_leader && answer.error().leader == s.id) {
      report("I41", s, "refuses a proposal and sends the client to itself");
    }
    return;
  }
  i18_refuses_what_would_be_late(s);
  // Of a write that was refused nobody knows what reached the disk: its proposals' fate is unknown.
  for (std::size_t k = 0; k < commands.size() && !shadow_of(s).write_refused; ++k) {
    const version* v = history_.find(answer->index + k, answer->term);
    if (v == nullptr || v->hash != hash_entry({answer->index + k, answer->term, entry_kind::command, commands[k]})) {
      report("I40", s, "says that a proposal is at %" PRIu64 ", and it is not", (answer->index + k).value);
    }
  }
}

/// What was answered before a proposal was made lies before it in the log: the log's order is a linearization.
inline void invariants::i38_real_time_order(server& s, const shadow::open_proposal& p) {
  if (p.index <= p.floor) {
    report("I38", s, "applied a proposal at %" PRIu64 " that was made after %" PRIu64 " was answered", p.index.value,
           p.floor.value);
  }
}

/// "Applied" means that this very entry is committed; "dropped" that it cannot be, ever.
inline void invariants::i40_fate(server& s, const shadow::open_proposal& p, fate what) {
  const index_t last = history_.last_committed();
  if (what == fate::applied) {
    if (p.index > last || history_.committed(p.index).term != p.term) {
      report("I40", s, "says that proposal (%" PRIu64 ", term %" PRIu64 ") is applied", p.index.value, p.term.value);
    }
    i38_real_time_order(s, p);
  } else if (what == fate::dropped) {
    const index_t decided = std::min(p.index, last);
    const bool replaced =
        history_.committed(decided).term > p.term || (decided == p.index && history_.committed(decided).term != p.term);
    if (!replaced) {
      report("I40", s, "says that proposal (%" PRIu64 ", term %" PRIu64 ") is dropped, and it may yet be committed",
             p.index.value, p.term.value);
    }
  }
}

inline void invariants::fate_told(server& s, index_t first, index_t last, term_t term, fate what) {
  catch_up(s);
  shadow& sh = shadow_of(s);
  auto at = sh.proposals.begin();
  while (at != sh.proposals.end() && (at->term < term || (at->term == term && at->index < first))) ++at;
  const auto begin = at;
  for (index_t i = first; i <= last; i = i.next(), ++at) {
    if (at == sh.proposals.end() || at->term != term || at->index != i) {
      return report("I40", s, "tells a fate of proposal (%" PRIu64 ", term %" PRIu64 "), which has none to come",
                    i.value, term.value);
    }
    i40_fate(s, *at, what);
  }
  const auto n = static_cast<std::uint64_t>(at - begin);
  sh.proposals.erase(begin, at);
  counts_->add(what == fate::applied   ? meter::fates_applied
               : what == fate::dropped ? meter::fates_dropped
                                       : meter::fates_unknown,
               n);
  if (what != fate::applied || broken()) return;
  i42_durable_on_a_quorum(s, last, "I42");
  history_.answered = std::max(history_.answered, last);
  // An installed snapshot decides fates before the state machine has it: it has to be durable first.
  const bool there = s.machine.state().last_command >= history_.committed(last).last_command;
  if (!there && s.disk.image().snapshot().index < last) {
    report("I40", s, "says that %" PRIu64 " is applied before it is", last.value);
  }
}

// ---------------------------------------------------------------------------------------------------- forwarded

inline forward_ghost* invariants::find_forward(std::size_t slot, std::uint64_t session, std::uint64_t serial) noexcept {
  if (slot >= history_.forwards.size()) return nullptr;
  for (auto f = history_.forwards[slot].rbegin(); f != history_.forwards[slot].rend(); ++f) {
    if (f->session == session && f->serial == serial) return &*f;
  }
  return nullptr;
}

inline void invariants::about_to_take_in(const message& m) { taken_in_ = &m; }

inline void invariants::about_to_forward(server& s, std::uint64_t context, payload command, bool leads) {
  shadow_of(s).forwards.push_back({context, hash_bytes(command), 0, history_.answered});
  if (leads) {
    leads_with_ = command;
    asked_ = std::span<const payload>{&leads_with_, 1};
  } else {
    forwarding_ = context;
  }
}

inline void invariants::forwarded(server& s, std::uint64_t context, bool accepted) {
  asked_ = {};
  forwarding_ = 0;
  if (accepted) return;
  const std::size_t open = std::erase_if(shadow_of(s).forwards, [&](const auto& f) { return f.context == context; });
  if (open == 0) report("I41", s, "refuses a forwarded proposal that has a fate");
}

/// A server forwards only what it was asked to in this call, and each only once.
inline void invariants::note_forward(server& s, const forwarded_proposal& request) {
  auto& open = shadow_of(s).forwards;
  if (forwarding_ == 0 || open.empty() || open.back().context != forwarding_ ||
      open.back().hash != hash_bytes(request.command) || find_forward(s.slot, request.session, request.serial)) {
    return report("I30", s, "forwards what it was not asked to, or twice");
  }
  open.back().serial = request.serial;
  history_.forwards.resize(history_.servers.size());
  history_.forwards[s.slot].push_back({request.session, request.serial, {}, false});
}

/// [I40] A leader appends what another server forwarded once, and not after its client was told that it is dropped.
inline void invariants::note_forwarded_command(server& s, const entry& e) {
  const auto* request = std::get_if<forwarded_proposal>(&taken_in_->body);
  if (request == nullptr || hash_bytes(request->command) != hash_bytes(e.data)) {
    return report("I30", s, "writes a command at %" PRIu64 " that nobody proposed", e.index.value);
  }
  forward_ghost* ghost = find_forward(taken_in_->from.value - 1, request->session, request->serial);
  if (ghost == nullptr || ghost->place.index != index_t{} || ghost->dropped) {
    return report("I40", s, "appends a forwarded proposal twice, or after it was dropped");
  }
  ghost->place = {e.index, e.term};
  counts_->add(meter::forwards_taken);
}

/// [I40, I41] One fate each: applied is applied here, dropped is for certain.
inline void invariants::forwarded_told(server& s, std::uint64_t context, fate what, proposal place) {
  catch_up(s);
  auto& open = shadow_of(s).forwards;
  const auto at = std::find_if(open.begin(), open.end(), [&](const auto& f) { return f.context == context; });
  if (at == open.end()) return report("I41", s, "tells a second fate of a forwarded proposal");
  const shadow::open_forward f = *at;
  open.erase(at);
  counts_->add(what == fate::applied   ? meter::forwards_applied
               : what == fate::dropped ? meter::forwards_dropped
                                       : meter::forwards_unknown);
  forward_ghost* ghost = nullptr;  // none if it was proposed here; the latest of that serial is of this incarnation
  if (f.serial != 0) ghost = find_forward(s.slot, history_.forwards[s.slot].back().session, f.serial);
  if (what == fate::applied) {
    if (ghost != nullptr && !(ghost->place == place))
      report("I40", s, "says that a forwarded proposal is where it is not");
    i40_fate(s, {place.index, place.term, f.floor}, what);
    if (broken()) return;
    history_.answered = std::max(history_.answered, place.index);
    if (s.machine.state().last_command < history_.committed(place.index).last_command) {
      report("I40", s, "says that a forwarded proposal is applied before it is");
    }
  } else if (what == fate::dropped && ghost != nullptr) {
    ghost->dropped = true;
    if (ghost->place.index != index_t{}) i40_fate(s, {ghost->place.index, ghost->place.term, f.floor}, what);
  }
}

// ---------------------------------------------------------------------------------------------------- reads

inline void invariants::read_asked(server& s, std::uint64_t context) {
  shadow_of(s).reads.push_back({context, history_.last_committed()});
}

inline void invariants::read_refused(server& s, std::uint64_t context) {
  const std::size_t open = std::erase_if(shadow_of(s).reads, [&](const auto& r) { return r.context == context; });
  if (open == 0) report("I41", s, "refuses a read that it has answered");
}

/// [I39] A read shows everything that was committed anywhere when it was asked, and is answered once.
inline void invariants::read_told(server& s, std::uint64_t context, read_fate what, index_t index) {
  catch_up(s);
  auto& open = shadow_of(s).reads;
  const auto at = std::find_if(open.begin(), open.end(), [&](const auto& r) { return r.context == context; });
  if (at == open.end()) return report("I41", s, "answers a read twice, or one that nobody asked");
  const index_t floor = at->floor;
  open.erase(at);
  counts_->add(what == read_fate::ready ? meter::reads_ready : meter::reads_dropped);
  if (what != read_fate::ready) return;
  if (s.look().role != role_kind::leader) counts_->add(meter::reads_at_followers);
  if (index < floor || index > history_.last_committed()) {
    return report("I39", s, "answers a read at %" PRIu64 "; %" PRIu64 " was committed when it was asked", index.value,
                  floor.value);
  }
  if (s.machine.state().last_command < history_.committed(index).last_command || s.look().applied < index) {
    report("I39", s, "answers a read at %" PRIu64 " before that is applied", index.value);
  }
}

/// [I39] What was committed anywhere so long ago, by this server's own clock, is applied here.
inline void invariants::read_stale(server& s, instant bound) {
  const instant then = s.local_now() - bound;
  index_t known{};
  for (const auto& [at, committed] : shadow_of(s).committed_seen) {
    if (at <= then) known = committed;
  }
  if (s.look().applied < known || s.machine.state().last_command < history_.committed(known).last_command) {
    report("I39", s,
           "says that it is at most %" PRId64 " us stale, and does not show %" PRIu64 ", which was committed then",
           bound, known.value);
  }
}

/// [I41] Whoever waited has been answered.
inline void invariants::nothing_is_open(const server& s) {
  const shadow& sh = of(s);
  if (!sh.proposals.empty()) {
    report("I41", s, "%zu proposals have no fate, the first one (%" PRIu64 ", term %" PRIu64 ")", sh.proposals.size(),
           sh.proposals.front().index.value, sh.proposals.front().term.value);
  }
  if (sh.transfer_target != nobody) report("I41", s, "a transfer of leadership has no fate");
  if (!sh.reads.empty()) report("I41", s, "%zu reads are not answered", sh.reads.size());
  if (!sh.forwards.empty()) report("I41", s, "%zu forwarded proposals have no fate", sh.forwards.size());
}

}  // namespace raft::testing
