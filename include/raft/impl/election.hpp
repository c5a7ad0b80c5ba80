#pragma once

// Leader election [floor 8] [paper §5.2, §5.4.1, thesis 4.2.3, 6.2, 9.6]. Included by node.hpp only.

namespace raft {

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::campaign() {
  const detail::entered guard{inside_};
  if (failed_) return;
  now_ = clock_.now();
  if (!std::holds_alternative<leader_role>(role_)) campaign_if_allowed();
  settle();
}

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::campaign_if_allowed() {
  if (!may_campaign()) {
    reset_election_timer();
    tell(events::message_ignored{id_, ignored_reason::cannot_campaign});
    return;
  }
  if (promise_.binds(id_, now_)) {  // some leader may read by a lease until then
    election_deadline_ = promise_.until;
    tell(events::message_ignored{id_, ignored_reason::has_leader});
    return;
  }
  if (options_.pre_vote) {
    start_pre_vote();
  } else {
    start_election();
  }
}

/// A voter stands, and so does a server that a change which is not committed yet would remove: it may be the only one
/// that can win. With a snapshot of the leader that is not durable yet nobody stands.
RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::may_campaign() const {
  if (snapshots_.to_restore && snapshots_.restoring == index_t{}) return false;
  if (term().value >= detail::number_limit) return false;  // the next one would be refused by everybody
  if (configuration_.is_voter(id_)) return true;
  if (configuration_index_ <= commit_index_) return false;
  const auto former = configuration_at(configuration_index_.previous());
  return former && former->is_voter(id_);
}

/// [thesis 9.6]: asks whether it would win, and raises nothing meanwhile.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::start_pre_vote() {
  std::vector<node_id> refused_before;
  if (auto* former = std::get_if<pre_candidate>(&role_)) refused_before = std::move(former->votes.refused);
  auto& self = become<pre_candidate>();
  self.refused_before = std::move(refused_before);
  self.votes.take(id_, true);
  reset_election_timer();
  if (outcome(self.votes) == vote_result::won) return start_election();
  const index_t last = log_.last_index();
  for (const node_id voter : members_of(configuration_)) {
    if (voter != id_ && configuration_.is_voter(voter)) {
      queue(voter, request_pre_vote{last, log_.term_at(last)}, speaks_for::term_and_vote);
    }
  }
}

/// [Fig. 2, Candidates]: raise the term, vote for self, reset the timer, ask all. The own vote counts when it is
/// durable, and the requests leave then, too.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::start_election() {
  const index_t last = log_.last_index();
  start_election({last, log_.term_at(last)});
}

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::start_election(const request_vote& request) {
  hard_.current_term = term().next();
  hard_.voted_for = id_;
  store_hard_state_ = true;
  become<candidate>();
  reset_election_timer();
  for (const node_id voter : members_of(configuration_)) {
    if (voter != id_ && configuration_.is_voter(voter)) queue(voter, request, speaks_for::term_and_vote);
  }
}

/// True if the own vote has just become durable and decided the election.
RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::count_own_vote() {
  auto* self = std::get_if<candidate>(&role_);
  if (self == nullptr || self->own_vote_counted || !is_durable(hard_state_mark_)) return false;
  self->own_vote_counted = true;
  self->votes.take(id_, true);
  if (outcome(self->votes) != vote_result::won) return false;
  become_leader();
  return true;
}

RAFT_NODE_TEMPLATE
constexpr vote_result RAFT_NODE::outcome(const roles::tally& votes) const {
  return count_votes(configuration_, votes.granted, votes.refused);
}

/// What the vote has come to with this answer. Who has no vote is not even noted: strangers could fill the memory.
RAFT_NODE_TEMPLATE
constexpr vote_result RAFT_NODE::take_vote(roles::tally& votes, node_id voter, bool granted) {
  if (configuration_.is_voter(voter)) {
    votes.take(voter, granted);
  } else {
    tell(events::message_ignored{voter, ignored_reason::not_a_member});
  }
  return outcome(votes);
}

/// [Fig. 2, RequestVote receiver 2; paper §5.4.1]: the candidate's log is at least as up to date as this one.
RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::up_to_date(index_t last_log_index, term_t last_log_term) const {
  const term_t own = log_.term_at(log_.last_index());
  return last_log_term > own || (last_log_term == own && last_log_index >= log_.last_index());
}

/// [thesis 4.2.3] Whether a leader was heard within the minimum election timeout. It never speaks against that leader
/// itself, and not at all where leaders do not check their quorum: they would then be followed for ever. What was
/// promised to a leader that may read by a lease is kept over terms, too, and when the leader is forgotten.
RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::hears_leader_other_than(node_id asker) const {
  if (!options_.check_quorum) return false;
  if (std::holds_alternative<leader_role>(role_) || promise_.binds(asker, now_)) return true;
  const auto* f = std::get_if<follower>(&role_);
  return f != nullptr && f->leader != nobody && f->leader != asker &&
         now_ - f->heard_at < options_.election_timeout_min;
}

/// The answer would be yes to a real request in the next term. It promises nothing and stores nothing.
RAFT_NODE_TEMPLATE
constexpr detail::verdict RAFT_NODE::on_request_pre_vote(const envelope& m, const request_pre_vote& request) {
  const bool granted = m.term >= term() && up_to_date(request.last_log_index, request.last_log_term) &&
                       !std::holds_alternative<leader_role>(role_) && !hears_leader_other_than(m.from);
  queue(m.from, request_pre_vote_reply{m.term, granted}, speaks_for::term_and_vote);
  return {};
}

RAFT_NODE_TEMPLATE
constexpr detail::verdict RAFT_NODE::on_pre_vote_reply(const envelope& m, const request_pre_vote_reply& reply) {
  auto& self = std::get<pre_candidate>(role_);
  if (reply.asked != term()) {
    tell(events::message_ignored{m.from, ignored_reason::stale_answer});
    return {};
  }
  if (take_vote(self.votes, m.from, reply.granted) == vote_result::won) start_election();
  return {};
}

/// [Fig. 2, RequestVote receiver]: one vote a term, for a log that is up to date; given only when it is durable.
RAFT_NODE_TEMPLATE
constexpr detail::verdict RAFT_NODE::on_request_vote(const envelope& m, const request_vote& request) {
  const bool free = hard_.voted_for == nobody && leader() == nobody;
  const bool granted = (free || hard_.voted_for == m.from) &&
                       (!promise_.binds(m.from, now_) || asked_by_leader(m, request)) &&
                       up_to_date(request.last_log_index, request.last_log_term);
  if (granted) {
    if (hard_.voted_for != m.from) {
      hard_.voted_for = m.from;
      store_hard_state_ = true;
      tell(events::vote_granted{m.from, term()});
    }
    reset_election_timer();
  }
  queue(m.from, request_vote_reply{granted}, speaks_for::term_and_vote);
  return {};
}

RAFT_NODE_TEMPLATE
constexpr detail::verdict RAFT_NODE::on_vote_reply(const envelope& m, const request_vote_reply& reply) {
  auto& self = std::get<candidate>(role_);
  if (take_vote(self.votes, m.from, reply.granted) == vote_result::won) become_leader();
  return {};
}

/// [Fig. 2, Leaders; paper §8]: nextIndex behind the log's end, matchIndex zero, and an entry of the own term, by which
/// everything before it gets committed.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::become_leader() {
  auto& lead = become<leader_role>();
  taken_.begin(term());
  lead.first_index = log_.last_index().next();
  reluctance_.silent = 0;
  match_peers_to(lead);
  heartbeat_deadline_ = now_ + options_.heartbeat_interval;
  want_entries(entry_kind::no_op, nothing, entry_bytes(0));
  if constexpr (wants_fates)
    proposals_.push_back({term(), lead.first_index.next(), lead.first_index, raft::never<time_point>()});
}

/// A vote belongs to a term: it is forgotten only when the term rises. The election timer goes on: only a leader or a
/// vote that is given starts it again, or a candidate that cannot win would keep those that can from standing. Who
/// leads is told by `follow`.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::become_follower(term_t new_term) {
  if (std::holds_alternative<leader_role>(role_)) {
    leave_leadership();
    reset_election_timer();
  }
  if (new_term > term()) {
    hard_.current_term = new_term;
    hard_.voted_for = nobody;
    store_hard_state_ = true;
  }
  become<follower>();
}

/// [thesis 6.2]: a leader that a quorum has not answered for an election timeout makes way.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::check_quorum() {
  if (!options_.check_quorum) return;
  const auto& lead = std::get<leader_role>(role_);
  const time_point heard = of_quorum(lead, now_, [](const peer& p) { return p.heard_at; });
  if (now_ - heard >= options_.election_timeout_max) become_follower(term());
}

/// The timeout is drawn anew each time that a campaign begins or a vote is given, so that split votes do not repeat.
/// The draws of two priorities do not overlap, as long as both count in full.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::reset_election_timer() {
  const std::int64_t low = count_of(options_.election_timeout_min);
  const std::int64_t width = count_of(options_.election_timeout_max) - low;
  const std::int64_t behind = highest_priority - reluctance_.priority(options_.priority);
  const auto drawn = static_cast<std::int64_t>(draw() % static_cast<std::uint64_t>(width));
  election_timeout_ = duration_of<duration>(low + behind * width + drawn);
  election_deadline_ = now_ + election_timeout_;
}

/// The next number of the seeded generator (splitmix64).
RAFT_NODE_TEMPLATE
constexpr std::uint64_t RAFT_NODE::draw() {
  random_ += 0x9e3779b97f4a7c15U;
  std::uint64_t z = random_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

}  // namespace raft
