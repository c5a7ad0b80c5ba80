#pragma once

// Reads at any server, confirmed by the leader, and reads that say how stale they are [floor 8] [thesis 6.4]. Included
// by node.hpp only.
//
// A server that does not lead asks the leader for an index. The leader takes that for a read of its own: a round (or
// its lease) confirms that it leads, an entry of its term is committed; then it names its commit index at the moment of
// the question. Who asked waits until it has applied that. A leader asks itself, in the same words, for what bounds its
// own staleness.
//
// `read_stale` refuses with errc::too_stale; `error.detail` is how stale this server is, in ticks of the Clock's
// duration, or all ones where that is not known yet. It is asked for on demand only: by a call that finds the bound
// older than half of what is allowed, so that callers who come often never wait.

namespace raft {

RAFT_NODE_TEMPLATE
constexpr result<void> RAFT_NODE::read_anywhere(std::uint64_t context) {
  if (std::holds_alternative<leader_role>(role_)) return read(context);
  const detail::entered guard{inside_};
  if (failed_) return refuse_request(request_kind::read, failure_);
  if (leader() == nobody) return refuse_request(request_kind::read, not_leader());
  if (remote_.size() >= options_.max_pending_reads) {
    return refuse_request(request_kind::read, {errc::busy, nobody, 0, "max_pending_reads"});
  }
  now_ = clock_.now();
  remote_.gather(context, now_ + options_.election_timeout_max + options_.election_timeout_max);
  if (remote_.wants_to_ask()) ask_leader();
  settle();
  return {};
}

RAFT_NODE_TEMPLATE
constexpr result<typename RAFT_NODE::duration> RAFT_NODE::read_stale(duration at_most) {
  const detail::entered guard{inside_};
  if (failed_) return failure_;
  now_ = clock_.now();
  auto shown = remote_.shown(now_, last_applied_);
  if ((!shown || at_most < now_ - *shown + (now_ - *shown)) && !remote_.under_way() && leader() != nobody) {
    ask_leader();
    settle();
    shown = remote_.shown(now_, last_applied_);
  }
  if (!shown) {
    return refuse_request(request_kind::read,
                          {errc::too_stale, leader(), UINT64_MAX, "how stale this server is is not known yet"});
  }
  const duration stale = now_ - *shown;
  if (at_most < stale) {
    const auto ticks = static_cast<std::uint64_t>(count_of(stale));
    return refuse_request(request_kind::read, {errc::too_stale, leader(), ticks, "more stale than allowed"});
  }
  return stale;
}

/// Begins a request.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::ask_leader() {
  const duration patience = options_.election_timeout_max + options_.election_timeout_max;
  send_read_request(remote_.begin(now_, now_ + options_.heartbeat_interval, now_ + patience));
}

/// Nothing is lost on the way from a leader to itself: a question of its own that waits is not asked again, and one
/// that was given up goes, so that one that nobody confirms does not fill the memory.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::send_read_request(std::uint64_t ticket) {
  if (auto* lead = std::get_if<leader_role>(&role_)) {
    bool waits = false;
    std::erase_if(lead->asked, [&](const roles::asked_read& asked) {
      const bool current = remote_.answers(asked.ticket);
      waits = waits || (asked.by == id_ && current);
      return asked.by == id_ && !current;
    });
    if (!waits) note_asked(*lead, id_, ticket);
  } else if (leader() != nobody) {
    queue(leader(), read_request{ticket}, speaks_for::term_and_vote);
  }
}

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::note_asked(leader_role& lead, node_id by, std::uint64_t ticket) {
  const std::uint64_t round = options_.lease_reads && holds_lease(lead) ? 0 : lead.round + 1;
  lead.wanted_round = std::max(lead.wanted_round, round);
  lead.asked.push_back({by, ticket, round, std::max(commit_index_, lead.first_index)});
}

/// Asked by time: what waited too long ends, what is not answered is asked again, of whoever leads by now.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::mind_remote_reads() {
  remote_.expire(now_);
  if (remote_.is_to_be_repeated(now_)) send_read_request(remote_.repeat(now_ + options_.heartbeat_interval));
  if (remote_.wants_to_ask()) ask_leader();
}

/// A few requests of each member may be under way, since it repeats them; one more is let go without a word, and no
/// other member's is: the first ones, answered, answer it as well. Who does not lead says so: nobody waits for it.
RAFT_NODE_TEMPLATE
constexpr detail::verdict RAFT_NODE::on_read_request(const envelope& m, const read_request& request) {
  constexpr std::ptrdiff_t most = 4;
  auto* lead = std::get_if<leader_role>(&role_);
  if (lead == nullptr || find_peer(m.from) == nullptr) {
    queue(m.from, read_reply{request.ticket, {}, false}, speaks_for::term_and_vote);
  } else if (std::ranges::count(lead->asked, m.from, &roles::asked_read::by) >= most) {
    tell(events::message_ignored{m.from, ignored_reason::asks_too_much});
  } else {
    note_asked(*lead, m.from, request.ticket);
  }
  return {};
}

/// What can be answered is, and leaves at once: it speaks for nothing but the term.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::answer_asked(leader_role& lead) {
  const std::uint64_t confirmed = confirmed_round(lead);
  std::optional<roles::asked_read> own;
  std::erase_if(lead.asked, [&](const roles::asked_read& asked) {
    if (asked.round > confirmed || asked.index > commit_index_) return false;
    if (asked.by == id_) {
      own = asked;
    } else {
      send_now(asked.by, read_reply{asked.ticket, asked.index, true});
    }
    return true;
  });
  if (!own || !remote_.answers(own->ticket)) return;
  remote_.take(own->index);
  if (remote_.wants_to_ask()) ask_leader();
}

RAFT_NODE_TEMPLATE
constexpr detail::verdict RAFT_NODE::check_body(const envelope&, const read_reply& reply) const {
  if (reply.index.value > detail::number_limit || reply.confirmed != (reply.index != index_t{})) {
    return {errc::impossible, "an index that no leader names"};
  }
  return {};
}

RAFT_NODE_TEMPLATE
constexpr detail::verdict RAFT_NODE::on_read_reply(const envelope& m, const read_reply& reply) {
  if (m.from != leader() || !remote_.answers(reply.ticket)) {
    tell(events::message_ignored{m.from, ignored_reason::stale_answer});
    return {};
  }
  if (reply.confirmed) {
    remote_.take(reply.index);
  } else {
    remote_.give_up_asked();
  }
  if (remote_.wants_to_ask()) ask_leader();
  return {};
}

}  // namespace raft
