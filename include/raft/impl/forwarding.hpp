#pragma once

// Proposals at any server, forwarded to the leader [floor 8] [thesis 6.2]. Included by node.hpp only.
//
// A forwarded proposal is never forwarded again: who does not lead refuses it and says who does. The leader's answer is
// a place, (index, term), which proves nothing yet; from then on the asking server's own log tells the fate, as it does
// for a leader's own proposals. No answer means that nobody knows: the fate is unknown after two election_timeout_max.
//
// `StateMachine::on_forwarded(context, fate, proposal, leader)` tells each one's fate, once, on the server that was
// asked, the leader itself included: applied here, in `proposal`; dropped (for certain: safe to try again), where the
// place is zero if it was refused, and `leader` is whom the refusing server follows; or unknown. On a leader `on_fate`
// tells its ranges as ever, which hold what others forwarded, too.

namespace raft {

RAFT_NODE_TEMPLATE
constexpr result<void> RAFT_NODE::propose_anywhere(payload command,
                                                   std::uint64_t context) requires hears_of_forwards<StateMachine> {
  typename forwarded_proposals<time_point>::open open{};
  open.context = context;
  open.bytes = entry_bytes(command.size());
  open.term = term();
  if (std::holds_alternative<leader_role>(role_)) {
    const auto place = propose(command);
    if (!place) return place.error();
    open.index = place->index;
  }
  const detail::entered guard{inside_};
  if (open.index == index_t{}) {
    if (auto possible = check_forwarding(command); !possible) return possible;
    open.leader = leader();
  }
  now_ = clock_.now();
  open.give_up = now_ + options_.election_timeout_max + options_.election_timeout_max;
  const std::uint64_t serial = forwarded_.add(open);
  if (open.leader != nobody) {
    tell(events::proposal_forwarded{open.leader, open.term, open.bytes});
    // It leaves in this call, while the caller's bytes are there: the term is durable.
    queue(open.leader, forwarded_proposal{forwarded_.session(), serial, command}, speaks_for::term_and_vote);
    settle();
  }
  resolve_forwarded();
  return {};
}

RAFT_NODE_TEMPLATE
constexpr result<void> RAFT_NODE::check_forwarding(payload command) {
  constexpr auto what = request_kind::proposal;
  const std::uint64_t bytes = entry_bytes(command.size());
  if (failed_) return refuse_request(what, failure_);
  if (leader() == nobody) return refuse_request(what, not_leader());
  if (command.size() > options_.max_entry_bytes) {
    return refuse_request(what, {errc::too_large, nobody, 0, "max_entry_bytes"});
  }
  if (!forwarded_.empty() && forwarded_.bytes() + bytes > options_.max_forwarded_bytes) {
    return refuse_request(what, {errc::busy, nobody, 0, "max_forwarded_bytes"});
  }
  if (!is_durable(hard_state_mark_)) return refuse_request(what, {errc::not_ready, nobody, 0, "the term is stored"});
  return {};
}

/// Each is taken in once. A refusal has the asking server tell its client that the command will never be executed; so
/// it is given only where that is certain: by a server that knows everything that it took in in this term, or that
/// voted for another and so never led it.
RAFT_NODE_TEMPLATE
constexpr detail::verdict RAFT_NODE::on_forwarded_proposal(const envelope& m, const forwarded_proposal& request) {
  const auto* lead = std::get_if<leader_role>(&role_);
  if (lead != nullptr && find_peer(m.from) == nullptr) {
    // Not even refused: that would have to be remembered, and strangers could fill the memory for those who belong.
    tell(events::message_ignored{m.from, ignored_reason::not_a_member});
    return {};
  }
  const bool remembers = taken_.term() == term();
  const bool member = configuration_.is_member(m.from);  // a stranger, where this node leads no more
  if (remembers ? !taken_.take(m.from, member, request.session, request.serial) : hard_.voted_for == id_) {
    tell(events::message_ignored{m.from, ignored_reason::maybe_taken});
    return {};
  }
  forwarded_proposal_reply reply{request.session, request.serial, {}, leader()};
  std::uint64_t bytes = 0;
  if (const auto possible = check_forwarded(lead, request.command, bytes); possible) {
    reply.index = log_.last_index().next();
    want_entries(entry_kind::command, {&request.command, 1}, bytes);
    if constexpr (wants_fates) proposals_.back().last = reply.index;
    tell(events::proposed{{reply.index, term()}, 1, bytes});
  } else {
    tell(events::request_refused{request_kind::proposal, possible.error().code});
  }
  queue(m.from, reply, speaks_for::term_and_vote);
  return {};
}

/// Whether what a server forwards may be appended here. Adds up the bytes that the entry will take.
RAFT_NODE_TEMPLATE
constexpr detail::verdict RAFT_NODE::check_forwarded(const leader_role* lead, payload command,
                                                     std::uint64_t& bytes) const {
  if (lead == nullptr) return {errc::not_leader, "this node does not lead"};
  if (transfer_.refuses) return transfer_.refusal();
  return check_proposal(*lead, {&command, 1}, bytes);
}

RAFT_NODE_TEMPLATE
constexpr detail::verdict RAFT_NODE::check_body(const envelope&, const forwarded_proposal_reply& reply) const {
  if (reply.index.value > detail::number_limit) return {errc::impossible, "an index out of range"};
  return {};
}

RAFT_NODE_TEMPLATE
constexpr detail::verdict RAFT_NODE::on_forwarded_reply(const envelope& m, const forwarded_proposal_reply& reply) {
  auto* open = forwarded_.find(reply.session, reply.serial);
  if (open == nullptr || open->leader != m.from || open->term != m.term || open->index != index_t{}) {
    tell(events::message_ignored{m.from, ignored_reason::stale_answer});
    return {};
  }
  if (reply.index != index_t{}) {
    open->index = reply.index;
    open->give_up = now_ + options_.election_timeout_max + options_.election_timeout_max;
    if (fate_of(open->index, open->term)) forwarded_.look_again();
  } else {
    open->leader = reply.leader;
    open->term = term_t{};  // refused
    forwarded_.look_again();
  }
  return {};
}

/// What became of the entry of term `of` at `index`, as far as what is applied here tells; nothing if it does not yet.
RAFT_NODE_TEMPLATE
constexpr std::optional<fate> RAFT_NODE::fate_of(index_t index, term_t of) const {
  const index_t edge = log_.first_index().previous();
  if (last_applied_ < index) {
    // Terms never fall along the log: behind an entry of a later term there is none of this one.
    if (last_applied_ >= edge && log_.term_at(last_applied_) > of) return fate::dropped;
    return {};
  }
  if (index >= edge) return log_.term_at(index) == of ? fate::applied : fate::dropped;
  const term_t there = log_.term_at(edge);
  return there < of ? fate::dropped : there == of ? fate::applied : fate::unknown;
}

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::resolve_forwarded() {
  forwarded_.end(last_applied_, failed_ ? never<time_point>() : now_, [this](const auto& open) {
    std::optional<fate> what;
    if (open.term == term_t{}) {
      what = fate::dropped;
    } else if (open.index != index_t{}) {
      what = fate_of(open.index, open.term);
    }
    if (!what && (failed_ || now_ >= open.give_up)) what = fate::unknown;
    if (!what) return false;
    const proposal place = open.index == index_t{} ? proposal{} : proposal{open.index, open.term};
    tell(events::forwarded_ended{*what, place});
    if constexpr (hears_of_forwards<StateMachine>) machine_.on_forwarded(open.context, *what, place, open.leader);
    return true;
  });
}

}  // namespace raft
