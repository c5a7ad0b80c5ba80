#pragma once

// Invariants of leadership that is handed over [I18, and I37 for the votes that follow from it]. Included by
// invariants.hpp only.

namespace raft::testing {

/// [I50] A server that is to be a voter: what is not refused ends in one fate, at the latest with the leadership; and
/// who is said to be promoted is a voter of a committed configuration.
inline bool invariants::promotion_asked(server& s, node_id target) {
  shadow& sh = shadow_of(s);
  if (sh.promoting != nobody) return false;
  sh.promoting = target;
  return true;
}
inline void invariants::promotion_refused(server& s) { shadow_of(s).promoting = nobody; }
inline void invariants::promotion_ended(server& s, const events::promotion_ended& e) {
  shadow& sh = shadow_of(s);
  if (e.server != sh.promoting) {
    report("I50", s, "ends the promotion of %" PRIu64 ", which is not under way", e.server.value);
  }
  sh.promoting = nobody;
  const bool committed = s.status().configuration_index <= s.look().commit;
  if (e.what == promotion_fate::promoted) {
    counts_->add(meter::promotions);
    if (!committed || !s.configuration().is_voter(e.server)) {
      report("I50", s, "says that %" PRIu64 " votes, which is not committed", e.server.value);
    }
  }
  if (e.what == promotion_fate::too_slow) {
    counts_->add(meter::promotions_too_slow);
    if (s.configuration().is_voter(e.server)) report("I50", s, "gives up on a voter, %" PRIu64, e.server.value);
  }
  if (e.what == promotion_fate::aborted) counts_->add(meter::promotions_aborted);
}

inline void invariants::transfer_begun(server& s, node_id target) {
  shadow& sh = shadow_of(s);
  if (sh.transfer_target != nobody) report("I18", s, "begins a transfer while another one has no fate");
  if (target == s.id || !s.configuration().is_voter(target)) {
    report("I18", s, "hands its leadership to %" PRIu64 ", who is no other voter", target.value);
  }
  sh.transfer_target = target;
  counts_->add(meter::transfers_begun);
}

/// Each transfer has one fate; "done" means that its target leads and that this server knows it.
inline void invariants::transfer_told(server& s, node_id target, transfer_fate what) {
  shadow& sh = shadow_of(s);
  const node_id open = std::exchange(sh.transfer_target, nobody);
  if (open != target) report("I18", s, "tells the fate of a transfer to %" PRIu64 " that is not open", target.value);
  const glance now = s.look();
  if (what == transfer_fate::done && (now.leader != target || history_.leaders.get(now.term) != target)) {
    report("I18", s, "tells that leadership went to %" PRIu64 ", who does not lead", target.value);
  }
  counts_->add(what == transfer_fate::done        ? meter::transfers_done
               : what == transfer_fate::timed_out ? meter::transfers_timed_out
                                                  : meter::transfers_aborted);
}

/// The status shows the transfer that is under way, whose time is not over after a look at the clock.
inline void invariants::i18_transfer(server& s, const server::status_type& status) {
  if (status.transfer_target != of(s).transfer_target) {
    report("I18", s, "shows a transfer to %" PRIu64 ", and it is %" PRIu64, status.transfer_target.value,
           of(s).transfer_target.value);
  }
}

/// What is proposed while leadership is handed over would keep the target from having everything.
inline void invariants::i18_refuses_what_would_be_late(server& s) {
  if (of(s).transfer_target != nobody && !options_.propose_while_target_lags) {
    report("I18", s, "takes a proposal while it hands its leadership over");
  }
}

/// A leader asks a voter to stand, and one that holds all that the leader has, durably, as far as the
/// leader can know.
inline void invariants::i18_asks_who_has_everything(server& s, const message& m) {
  const trail& log = of(s).image;
  server* successor = find(m.to);
  if (s.look().role != role_kind::leader || m.term != s.look().term)
    report("I18", s, "hands over what it does not have");
  if (successor == nullptr || !s.configuration().is_voter(m.to))
    return report("I18", s, "asks one to stand who may not");
  shadow& theirs = shadow_of(*successor);
  // One that is in a later term may have cut off since what it acknowledged; it will not stand for this leader.
  const bool moved_on = theirs.stored.current_term > m.term;
  if (!moved_on && !theirs.keeps(log.last(), log.at(log.last()).chain)) {
    report("I18", s, "asks %" PRIu64 " to stand, who lacks entry %" PRIu64, m.to.value, log.last().value);
  }
  theirs.asked_to_stand.set(m.term, m.term);
}

/// Whether the leader of that term asked this server to stand.
inline bool invariants::asked_to_stand(node_id candidate, term_t by_leader_of) const {
  const shadow* sh = find_shadow(candidate);
  return sh != nullptr && by_leader_of != term_t{} && sh->asked_to_stand.get(by_leader_of) == by_leader_of;
}

}  // namespace raft::testing
