#pragma once

// Who leads, by wish [floor 8] [thesis 3.10]: leadership handed over, given up, refused for a while, forgotten.
// Included by node.hpp only.
//
// A transfer never decides an election: it only has the target stand early, with everything that the leader has, and
// has the others not hold against it that they hear the leader [thesis 4.2.3]. So nothing here bears on safety, but for
// one thing: once timeout_now was sent, a leader may be elected at any moment, hearing this one or not, however late
// that message arrives. A lease must not outlive that: see `transferring`.

namespace raft {

// ------------------------------------------------------------------------------------------------ the leader's side

RAFT_NODE_TEMPLATE
constexpr result<void> RAFT_NODE::transfer_leadership(node_id target) {
  const detail::entered guard{inside_};
  if (target == id_ && std::holds_alternative<leader_role>(role_)) {
    return refuse_request(request_kind::transfer, {errc::ineligible, nobody, 0, "this node leads already"});
  }
  now_ = clock_.now();
  const auto begun = begin_transfer(target);
  if (!begun) return refuse_request(request_kind::transfer, begun.error());
  settle();
  return {};
}

RAFT_NODE_TEMPLATE
constexpr result<node_id> RAFT_NODE::transfer_leadership() {
  const detail::entered guard{inside_};
  now_ = clock_.now();
  const node_id target = best_peer();
  const auto begun = begin_transfer(target);
  if (!begun) {
    const error nobody_there{errc::not_ready, nobody, 0, "no other voter was heard within an election timeout"};
    const bool without_target = begun.error().code == errc::ineligible;
    return refuse_request(request_kind::transfer, without_target ? nobody_there : begun.error());
  }
  settle();
  return target;
}

/// Nobody if no voter was heard lately, or this node does not lead.
RAFT_NODE_TEMPLATE
constexpr node_id RAFT_NODE::best_peer() const {
  const auto* lead = std::get_if<leader_role>(&role_);
  if (lead == nullptr) return nobody;
  return best_successor(lead->peers, configuration_, now_, options_.election_timeout_max);
}

/// Precondition: now_ is the Clock's.
RAFT_NODE_TEMPLATE
constexpr result<void> RAFT_NODE::begin_transfer(node_id target) {
  if (failed_) return failure_;
  if (!std::holds_alternative<leader_role>(role_)) return not_leader();
  if (transfer_.under_way()) return transfer_.refusal();
  peer* p = find_peer(target);
  if (p == nullptr) return {errc::ineligible, "the target is no member"};
  if (!may_take_over(*p, configuration_)) return {errc::ineligible, "the target is to be no voter, or lost its log"};
  const auto none = duration_of<duration>(0);
  const duration limit = options_.transfer_timeout > none ? options_.transfer_timeout : options_.election_timeout_max;
  transfer_.begin(target, term(), log_.last_index(), now_ + limit, !options_.propose_while_target_lags);
  p->look = true;
  p->prompt = true;
  tell(events::transfer_begun{target, term()});
  return {};
}

/// The target gets everything, then it is asked to stand; again with each heartbeat, since messages get lost. New
/// proposals are refused from the start or, by option, from when it has what was there at the start: else it would
/// always be one entry behind.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::pursue_transfer(leader_role& lead) {
  const peer* p = find_peer(transfer_.target);
  if (p == nullptr || !may_take_over(*p, configuration_) || transfer_.term != term())
    return;  // report_transfer ends it
  if (p->match >= transfer_.goal) transfer_.refuses = true;
  if (!transfer_.refuses || transfer_.asked || p->match != log_.last_index()) return;
  transfer_.asked = true;
  transfer_.ever_asked = true;
  ask_to_stand(lead, transfer_.target);
}

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::ask_to_stand(leader_role& lead, node_id successor) {
  const index_t last = log_.last_index();
  lead.lease.end_for_good();
  send_now(successor, timeout_now{last, log_.term_at(last)});
}

/// The last words of a leader that is no member any more: the successor is asked to stand, so that nobody has to wait
/// for a timeout. It needs everything, or it would not win.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::retire(leader_role& lead) {
  const node_id successor = best_peer();
  if (successor != nobody && find_peer(successor)->match == log_.last_index()) ask_to_stand(lead, successor);
  become_follower(term());
}

/// Whether somebody may be elected while others still hear this leader: from the beginning of a transfer to its end,
/// and to the end of the term once timeout_now was sent, which may arrive late. No lease is to be used or renewed then.
RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::transferring() const noexcept {
  const auto* lead = std::get_if<leader_role>(&role_);
  return lead != nullptr && (transfer_.under_way() || lead->lease.is_over());
}

/// Whether the transfer that is under way has ended, and how. A leadership that is lost after the target was asked may
/// have gone to it: the next leader tells.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::report_transfer() {
  const node_id target = transfer_.target;
  const bool leads = std::holds_alternative<leader_role>(role_);
  const peer* p = find_peer(target);
  const bool possible = leads ? term() == transfer_.term && p != nullptr && may_take_over(*p, configuration_)
                              : transfer_.ever_asked && leader() == nobody;
  auto what = transfer_fate::timed_out;
  if (!failed_ && leader() == target) {
    what = transfer_fate::done;
  } else if (failed_ || !possible) {
    what = transfer_fate::aborted;
  } else if (now_ < transfer_.deadline) {
    return;
  }
  if (peer* late = what == transfer_fate::timed_out ? find_peer(target) : nullptr; late != nullptr) {
    late->passed_over = true;
  }
  transfer_.end();
  tell(events::transfer_ended{target, what});
  if constexpr (requires { machine_.on_transfer(target, what); }) machine_.on_transfer(target, what);
}

RAFT_NODE_TEMPLATE
constexpr result<void> RAFT_NODE::step_down() {
  const detail::entered guard{inside_};
  if (failed_) return failure_;
  if (!std::holds_alternative<leader_role>(role_)) return not_leader();
  now_ = clock_.now();
  become_follower(term());
  election_deadline_ = election_deadline_ + options_.election_timeout_max;
  settle();
  return {};
}

// ------------------------------------------------------------------------------------------------ the target's side

/// What no correct leader sends.
RAFT_NODE_TEMPLATE
constexpr detail::verdict RAFT_NODE::check_body(const envelope& m, const timeout_now& order) const {
  if (m.term < term()) return {};
  if (second_leader(m)) return {errc::impossible, "a second leader of this term"};
  if (order.last_log_index == index_t{} || order.last_log_index.value > detail::number_limit ||
      order.last_log_term != m.term) {
    return {errc::impossible, "a leader's log ends with an entry of its own term"};
  }
  return {};
}

/// [thesis 3.10]: stands at once and without a pre-vote, which the others would refuse since they hear the leader.
RAFT_NODE_TEMPLATE
constexpr detail::verdict RAFT_NODE::on_timeout_now(const envelope& m, const timeout_now& order) {
  follow(m.from);
  const index_t last = log_.last_index();
  const bool holds_all = log_.term_at(last) == order.last_log_term && last >= order.last_log_index;
  if (!may_campaign() || !holds_all || unwilling()) {
    tell(events::message_ignored{m.from,
                                 unwilling() ? ignored_reason::would_not_lead : ignored_reason::cannot_campaign});
    return {};
  }
  start_election({last, log_.term_at(last), true});
  return {};
}

/// Whether a vote asked for on a leader's behalf goes to somebody whom that leader may have asked: a voter, and in the
/// very next term. A late or foreign one is treated like any other. What was promised to a leader that may read by a
/// lease does not speak against it either: the lease was over before the order was sent, and those of leaders before
/// that one were when it was elected.
RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::asked_by_leader(const envelope& m, const request_vote& request) const {
  return request.handed_over && m.term <= term().next() && configuration_.is_voter(m.from);
}

// ------------------------------------------------------------------------------------------------ who would not lead

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::evacuate() {
  const detail::entered guard{inside_};
  if (failed_) return;
  now_ = clock_.now();
  reluctance_.evacuating = true;
  if (auto* lead = std::get_if<leader_role>(&role_)) {
    lead->offers_again = now_;
    renew_transfer(*lead);
  }
  settle();
}

/// With each heartbeat: the target is asked again, and a leader that is evacuated, or can execute nothing since its
/// state machine is damaged, looks again whom it can hand over to. It asks one voter after the other. If all of them
/// let it pass, since they would rather not lead either, somebody has to: this one goes on for nine times as long as
/// that took. So proposals are refused for a tenth of the time at the most, and who changes its mind is found.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::renew_transfer(leader_role& lead) {
  transfer_.asked = false;
  const bool hands_over = reluctance_.evacuating || snapshots_.wanted != index_t{};
  if (!hands_over) lead.offers = false;  // what it offered before says nothing of the next time
  if (!hands_over || transfer_.under_way() || now_ < lead.offers_again) return;
  const peer* best = find_peer(best_peer());
  if (best == nullptr) return;  // there is a next time
  if (best->passed_over) {
    for (peer& p : lead.peers) p.passed_over = false;
    if (lead.offers) {
      lead.offers = false;
      lead.offers_again = now_;
      for (int tenth = 1; tenth < 10; ++tenth) lead.offers_again = lead.offers_again + (now_ - lead.offers_since);
      return;
    }
  }
  if (!lead.offers) lead.offers_since = now_;
  lead.offers = true;
  (void)begin_transfer(best->id);
}

RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::unwilling() const {
  if constexpr (requires {
                  { std::as_const(machine_).may_lead() } -> std::same_as<bool>;
                }) {
    if (!machine_.may_lead()) return true;
  }
  return reluctance_.evacuating || snapshots_.wanted != index_t{};
}

/// No leader was heard for an election timeout. Who would rather not lead lets some of them pass.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::on_election_timeout() {
  const bool patient = reluctance_.silent < options_.campaign_grace;
  if (reluctance_.silent < std::numeric_limits<std::uint32_t>::max()) ++reluctance_.silent;
  if (patient && unwilling()) {
    become_follower(term());
    reset_election_timer();
    tell(events::message_ignored{id_, ignored_reason::would_not_lead});
    return;
  }
  campaign_if_allowed();
}

RAFT_NODE_TEMPLATE
constexpr result<void> RAFT_NODE::forget_leader() {
  const detail::entered guard{inside_};
  if (failed_) return failure_;
  auto* self = std::get_if<follower>(&role_);
  if (std::holds_alternative<leader_role>(role_)) return {errc::ineligible, "a leader does not forget itself"};
  if (self == nullptr || self->leader == nobody) return {};
  now_ = clock_.now();
  if (promise_.binds(nobody, now_)) return {errc::not_ready, "the leader may read by a lease"};
  self->leader = nobody;
  role_changed_ = true;
  settle();
  return {};
}

}  // namespace raft
