#pragma once

// How an input enters [floor 8]: start from the stored state, the envelope's checks, the term rule [paper §5.1], the
// table. Included by node.hpp only.

namespace raft {

RAFT_NODE_TEMPLATE
constexpr RAFT_NODE::node(node_id id, const options_type& options, std::uint64_t seed, Transport&& transport, Log&& log,
                          Clock&& clock, StateMachine&& machine, Observer&& observer)
    : id_(id),
      options_(options),
      transport_(std::move(transport)),
      log_(std::move(log)),
      clock_(std::move(clock)),
      machine_(std::move(machine)),
      observer_(std::move(observer)),
      random_(seed),
      hard_(log_.hard_state()),
      now_(clock_.now()),
      durable_(log_.last_index()) {}

RAFT_NODE_TEMPLATE
constexpr result<RAFT_NODE> RAFT_NODE::create(node_id id, const options_type& options, std::uint64_t seed,
                                              Transport transport, Log log, Clock clock, StateMachine machine,
                                              Observer observer) {
  if (id == nobody) return {errc::invalid_options, "a node's id is not 0"};
  if (auto valid = validate(options); !valid) return valid.error();
  node n{id,
         options,
         seed,
         std::move(transport),
         std::move(log),
         std::move(clock),
         std::move(machine),
         std::move(observer)};
  if (auto started = n.start(); !started) return started.error();
  return result<node>{std::move(n)};
}

RAFT_NODE_TEMPLATE
constexpr result<void> RAFT_NODE::check_stored_state() const {
  constexpr auto wrong = [](const char* what) { return result<void>{errc::inconsistent_state, what}; };
  const snapshot_meta& snapshot = log_.snapshot();
  if (log_.first_index().previous() > snapshot.index) return wrong("entries are compacted that no snapshot covers");
  if (log_.last_index() < snapshot.index) return wrong("the log ends before its snapshot");
  if (log_.term_at(log_.last_index()) > hard_.current_term) return wrong("an entry's term is above the stored term");
  if (log_.term_at(snapshot.index) != snapshot.term) return wrong("the snapshot's term is not that of its entry");
  if (hard_.current_term.value > detail::number_limit) return wrong("the stored term is out of range");
  if (auto legal = validate(snapshot.configuration); !legal) return legal;
  for (const index_t i : std::span<const index_t>(log_.configurations())) {
    if (!configuration_at(i)) return wrong("a configuration entry holds no legal configuration");
  }
  return {};
}

RAFT_NODE_TEMPLATE
constexpr result<void> RAFT_NODE::start() {
  if (auto consistent = check_stored_state(); !consistent) return consistent;
  refresh_configuration();
  const snapshot_meta& snapshot = log_.snapshot();
  if constexpr (requires { machine_.applied_index(); }) last_applied_ = machine_.applied_index();
  if (last_applied_ > log_.last_index()) {
    return {errc::inconsistent_state, "the state machine has applied entries that the log does not hold"};
  }
  handed_over_ = last_applied_;
  commit_index_ = std::max({snapshot.index, last_applied_, std::min(hard_.commit_hint, log_.last_index())});
  if (last_applied_ < snapshot.index) {
    restore_machine();
    if (failed_) return failure_;
  }
  reset_election_timer();
  // Another number at another start, by the seed or by the time: no answer to an earlier incarnation is taken for one.
  const auto start_of_time = static_cast<std::uint64_t>(count_of(duration{now_ - time_point{}}));
  forwarded_.begin_with((random_ ^ start_of_time << 20) * 0xbf58476d1ce4e5b9U);
  remote_.begin_with((random_ ^ start_of_time) * 0x9e3779b97f4a7c15U ^ random_ << 32);
  if (options_.lease_reads) promise_.give(nobody, now_ + options_.election_timeout_min);
  tell(events::started{id_, term(), commit_index_, last_applied_});
  return {};
}

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::tick() {
  const detail::entered guard{inside_};
  if (failed_) return;
  now_ = clock_.now();
  if (auto* lead = std::get_if<leader_role>(&role_)) {
    if (now_ >= heartbeat_deadline_) {
      heartbeat_deadline_ = now_ + options_.heartbeat_interval;
      begin_round(*lead);
      renew_transfer(*lead);
    }
    for (peer& p : lead->peers) p.prompt = true;
    look_at_all(*lead);
    check_quorum();
  } else if (now_ >= election_deadline_) {
    on_election_timeout();
  }
  if (now_ >= remote_.wake()) mind_remote_reads();
  settle();
}

RAFT_NODE_TEMPLATE
constexpr result<void> RAFT_NODE::step(const message& m) {
  return visit_body(m.body, [&](const auto& body) { return step(envelope_of(m), body); });
}

RAFT_NODE_TEMPLATE
template <class Body>
constexpr result<void> RAFT_NODE::step(const envelope& m, const Body& body) {
  const detail::entered guard{inside_};
  if (failed_) return refuse(m.from, failure_);
  if (const auto possible = check_envelope<Body>(m); !possible) return refuse(m.from, possible.error());
  const time_point before = std::exchange(now_, clock_.now());
  const auto taken = take_in(m, body);
  if (!taken) {
    now_ = before;
    return refuse(m.from, taken.error());
  }
  tell(events::message_received{m.from, detail::kind_of<Body>(), detail::entries_in(body), detail::bytes_in(body)});
  settle();
  return {};
}

/// Nothing changed, so there is nothing to settle.
RAFT_NODE_TEMPLATE
constexpr result<void> RAFT_NODE::refuse(node_id from, const error& why) {
  tell(events::message_refused{from, why});
  return why;
}

/// The same for what a client asked for.
RAFT_NODE_TEMPLATE
constexpr error RAFT_NODE::refuse_request(request_kind what, const error& why) {
  tell(events::request_refused{what, why.code});
  return why;
}

RAFT_NODE_TEMPLATE
constexpr result<void> RAFT_NODE::step(const persisted& p) {
  const detail::entered guard{inside_};
  if (failed_) return failure_;
  if constexpr (!Log::durable_on_return) {
    if (!durable_.completed(p.first, p.last)) {
      return {errc::impossible, "a write is reported durable that was never asked for"};
    }
    settle();
  }
  return {};
}

RAFT_NODE_TEMPLATE
constexpr result<void> RAFT_NODE::step(const applied& a) {
  const detail::entered guard{inside_};
  if (failed_) return failure_;
  if (a.index > handed_over_) return {errc::impossible, "entries are reported applied that were not handed over"};
  note_executed(a.index);
  settle();
  return {};
}

/// To apply and to send go through the same door: both simply ask the Log again.
RAFT_NODE_TEMPLATE
constexpr result<void> RAFT_NODE::step(const fetched& f) {
  const detail::entered guard{inside_};
  if (failed_) return failure_;
  if (f.first > f.last || f.last > log_.last_index()) {
    return {errc::impossible, "entries are reported at hand that the log does not hold"};
  }
  if (auto* lead = std::get_if<leader_role>(&role_)) {
    for (peer& p : lead->peers) p.prompt = true;
    look_at_all(*lead);
  }
  settle();
  return {};
}

RAFT_NODE_TEMPLATE
template <class Body>
constexpr detail::verdict RAFT_NODE::check_envelope(const envelope& m) const {
  if (m.to != id_) return {errc::misaddressed, "the message is for another node"};
  if (m.from == id_ || m.from == nobody)
    return {errc::misaddressed, "the message names this node, or nobody, as sender"};
  if (m.term.value == 0 || m.term.value > detail::number_limit) {
    // Before the first election servers are at term 0, and speak of nothing but pre-votes.
    constexpr bool about_votes = std::same_as<Body, request_pre_vote> || std::same_as<Body, request_pre_vote_reply>;
    if (m.term.value != 0 || !about_votes) return {errc::impossible, "the message's term is out of range"};
  }
  return {};
}

/// Of the kinds that have no check of their own only a request for votes can carry something impossible: the log of who
/// stands ends with an entry of an earlier term than the one in which it would lead.
RAFT_NODE_TEMPLATE
template <class Body>
constexpr detail::verdict RAFT_NODE::check_body(const envelope& m, const Body& body) const {
  if constexpr (std::same_as<Body, request_vote> || std::same_as<Body, request_pre_vote>) {
    if (m.term < term()) return {};
    const term_t would_lead_in = std::same_as<Body, request_vote> ? m.term : m.term.next();
    if (body.last_log_index.value > detail::number_limit || body.last_log_term >= would_lead_in ||
        (body.last_log_index == index_t{}) != (body.last_log_term == term_t{})) {
      return {errc::impossible, "votes are asked for with a log that no server has in this term"};
    }
  }
  return {};
}

/// [paper §5.2, election safety]: a term has one leader. (A leader itself refuses by the table; who led this term and
/// made way knows it still.)
RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::second_leader(const envelope& m) const {
  const auto* f = std::get_if<follower>(&role_);
  if (f == nullptr || m.term != term()) return false;
  return f->leader == nobody ? taken_.term() == term() : f->leader != m.from;
}

RAFT_NODE_TEMPLATE
template <class Body>
constexpr detail::verdict RAFT_NODE::take_in(const envelope& m, const Body& body) {
  if (auto possible = check_body(m, body); !possible) return possible;
  if (!term_rule(m, body)) return {};
  constexpr row<Body> by = handlers(Body{});
  switch (role()) {
    case role_kind::follower:
      return (this->*by.role[0])(m, body);
    case role_kind::pre_candidate:
      return (this->*by.role[1])(m, body);
    case role_kind::candidate:
      return (this->*by.role[2])(m, body);
    case role_kind::leader:
      return (this->*by.role[3])(m, body);
  }
  return {};
}

/// [paper §5.1]: a higher term makes a follower of anyone; a message of a lower term is answered with the higher one,
/// so that its sender is not left behind, and has no other effect. True if the handler is to see the message. Pre-votes
/// are the exception, since they speak of a term that nobody is in yet [thesis 9.6].
RAFT_NODE_TEMPLATE
template <class Body>
constexpr bool RAFT_NODE::term_rule(const envelope& m, const Body& body) {
  if constexpr (std::same_as<Body, request_pre_vote>) return true;
  if (m.term == term()) return true;
  if (m.term > term()) {
    if constexpr (std::same_as<Body, request_vote>) {
      if (hears_leader_other_than(m.from) && !asked_by_leader(m, body)) {
        tell(events::message_ignored{m.from, ignored_reason::has_leader});
        return false;
      }
    }
    become_follower(m.term);
    return true;
  }
  if constexpr (std::same_as<Body, request_pre_vote_reply>) {
    if (body.asked == term()) return true;
  }
  if constexpr (std::same_as<Body, forwarded_proposal_reply>) return true;  // it speaks of its own term's log
  answer_lower_term(m, body);
  return false;
}

/// The answer is of the present term, and the request's round is not: round 0, or its sender, were it to lead the
/// present term by then, could take the answer for a confirmation of that leadership.
RAFT_NODE_TEMPLATE
template <class Body>
constexpr void RAFT_NODE::answer_lower_term(const envelope& m, const Body& body) {
  if constexpr (std::same_as<Body, request_vote>) {
    queue(m.from, request_vote_reply{false}, speaks_for::term_and_vote);
  } else if constexpr (std::same_as<Body, append_entries>) {
    queue(m.from, append_entries_reply{false, body.prev_log_index, {}, {}, log_.last_index(), 0},
          speaks_for::term_and_vote);
  } else if constexpr (std::same_as<Body, install_snapshot>) {
    queue(m.from, install_snapshot_reply{body.last_included_index, body.id, 0, false, 0}, speaks_for::term_and_vote);
  } else {
    tell(events::message_ignored{m.from, ignored_reason::stale_term});
  }
}

RAFT_NODE_TEMPLATE
template <class Body>
constexpr detail::verdict RAFT_NODE::ignore(const envelope& m, const Body&) {
  tell(events::message_ignored{m.from, ignored_reason::wrong_role});
  return {};
}

/// [paper §5.2, election safety]: a term has at most one leader, and it is this node.
RAFT_NODE_TEMPLATE
template <class Body>
constexpr detail::verdict RAFT_NODE::refuse_second_leader(const envelope&, const Body&) {
  return {errc::impossible, "a message of a second leader of this node's own term"};
}

RAFT_NODE_TEMPLATE
constexpr error RAFT_NODE::not_leader() const noexcept {
  return {errc::not_leader, leader(), 0, "this node does not lead"};
}

RAFT_NODE_TEMPLATE
constexpr node_id RAFT_NODE::leader() const noexcept {
  if (const auto* f = std::get_if<follower>(&role_)) return f->leader;
  return std::holds_alternative<leader_role>(role_) ? id_ : nobody;
}

RAFT_NODE_TEMPLATE
constexpr typename RAFT_NODE::time_point RAFT_NODE::deadline() const {
  if (failed_) return raft::never<time_point>();
  const bool waits = entries_awaited_ || snapshots_.to_restore || snapshots_.wanted != index_t{};
  const bool may_go_on = handed_over_ == last_applied_ && !waits;
  if (handed_over_ < std::min(commit_index_, durable_index()) && may_go_on) return now_;
  auto next = raft::never<time_point>();
  if (const auto* lead = std::get_if<leader_role>(&role_)) {
    next = heartbeat_deadline_;
    if (options_.snapshot_bytes_per_second != 0 && lead->chunk_waits()) next = std::min(next, lead->pace.free_at());
  } else if (may_campaign()) {
    next = election_deadline_;
  }
  if (transfer_.under_way() && transfer_.deadline < next) next = transfer_.deadline;
  for (const open_proposals& open : proposals_) {
    if (open.give_up < next) next = open.give_up;
  }
  next = std::min({next, remote_.wake(), forwarded_.wake()});
  return next;
}

RAFT_NODE_TEMPLATE
constexpr typename RAFT_NODE::status_type RAFT_NODE::status() const {
  status_type s;
  s.id = id_;
  s.role = role();
  s.term = term();
  s.voted_for = hard_.voted_for;
  s.leader = leader();
  s.commit_index = commit_index_;
  s.last_applied = last_applied_;
  s.first_index = log_.first_index();
  s.last_index = log_.last_index();
  s.durable_index = durable_index();
  s.snapshot_index = log_.snapshot().index;
  s.snapshot_term = log_.snapshot().term;
  s.configuration = configuration_;
  s.configuration_index = configuration_index_;
  s.pending_reads = remote_.size();
  s.waiting_messages = outbox_.size();
  s.failed = failed_;
  s.failure = failure_;
  s.deadline = deadline();
  s.transfer_target = transfer_.target;
  s.transfer_deadline = transfer_.deadline;
  s.evacuating = reluctance_.evacuating;
  s.priority = reluctance_.priority(options_.priority);
  if (const auto* lead = std::get_if<leader_role>(&role_)) {
    s.uncommitted_bytes = lead->uncommitted.bytes();
    s.pending_reads += lead->reads.size();
    for (const peer& p : lead->peers) {
      const bool full = p.inflight.count() >= options_.max_inflight_messages ||
                        p.inflight.bytes() >= options_.max_inflight_bytes || p.state == progress_state::lost;
      s.peers.push_back(
          {p.id, p.match, p.next, p.state, p.inflight.count(), p.inflight.bytes(), p.waiting || full, p.heard_at});
    }
  }
  return s;
}

}  // namespace raft
