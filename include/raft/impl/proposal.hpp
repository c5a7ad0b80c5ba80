#pragma once

// Clients' commands and what becomes of them [floor 8] [paper §8, thesis 6]. Included by node.hpp only.
//
// Everything that a leader appends in its term lies in one run of the log. So the fates that are still open are one
// range for each leadership, and they are decided by what gets committed there: the proposal itself (applied) or
// anything else (dropped, and all behind it too [paper §5.3, Log Matching]).

namespace raft {

RAFT_NODE_TEMPLATE
constexpr result<proposal> RAFT_NODE::propose(payload command) {
  return propose(std::span<const payload>{&command, 1});
}

RAFT_NODE_TEMPLATE
constexpr result<proposal> RAFT_NODE::propose(payload command, term_t expected) {
  if (failed_) return refuse_request(request_kind::proposal, failure_);
  if (term() != expected) {
    return refuse_request(request_kind::proposal,
                          {errc::term_moved, leader(), term().value, "the term is another one by now"});
  }
  return propose(command);
}

RAFT_NODE_TEMPLATE
constexpr result<proposal> RAFT_NODE::propose(std::span<const payload> commands) {
  const detail::entered guard{inside_};
  const auto* lead = std::get_if<leader_role>(&role_);
  if (failed_) return refuse_request(request_kind::proposal, failure_);
  if (lead == nullptr) return refuse_request(request_kind::proposal, not_leader());
  if (transfer_.refuses) return refuse_request(request_kind::proposal, transfer_.refusal());
  std::uint64_t bytes = 0;
  if (const auto possible = check_proposal(*lead, commands, bytes); !possible) {
    return refuse_request(request_kind::proposal, possible.error());
  }
  const proposal first{log_.last_index().next(), term()};
  want_entries(entry_kind::command, commands, bytes);
  if constexpr (wants_fates) proposals_.back().last = log_.last_index() + commands.size();
  tell(events::proposed{first, commands.size(), bytes});
  settle();
  // Even if the write failed, some of it may be on the disk, and may be executed after a restart: no refusal, but a
  // proposal whose fate was told as unknown.
  return first;
}

/// Whether the limits allow it. Adds up the bytes that the entries will take.
RAFT_NODE_TEMPLATE
constexpr detail::verdict RAFT_NODE::check_proposal(const leader_role& lead, std::span<const payload> commands,
                                                    std::uint64_t& bytes) const {
  if (commands.empty()) return {errc::malformed, "a proposal of no command"};
  for (const payload& command : commands) {
    if (command.size() > options_.max_entry_bytes) return {errc::too_large, "max_entry_bytes"};
    bytes += entry_bytes(command.size());
  }
  if (bytes > options_.max_uncommitted_bytes) return {errc::too_large, "max_uncommitted_bytes"};
  if (lead.uncommitted.bytes() + bytes > options_.max_uncommitted_bytes) return {errc::busy, "max_uncommitted_bytes"};
  return {};
}

/// Notes what settle() is to append as a leader's own; `bytes` is what the entries will take.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::want_entries(entry_kind kind, std::span<const payload> payloads, std::uint64_t bytes) {
  proposed_ = payloads;
  proposed_kind_ = kind;
  proposed_bytes_ = bytes;
}

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::resolve(index_t first, index_t last, term_t of, fate what) {
  if (first > last) return;
  tell(events::fate_told{first, last, of, what});
  if constexpr (requires { machine_.on_fate(first, last, of, what); }) machine_.on_fate(first, last, of, what);
}

/// Tells the fates that what was applied has decided. While a snapshot is on its way into the state machine the log
/// does not tell any more; resolve_covered then will.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::resolve_applied() {
  if (snapshots_.to_restore) return;
  for (open_proposals& open : proposals_) {
    if (open.first > open.last || open.first > last_applied_) continue;
    const index_t upto = std::min(open.last, last_applied_);
    // The last applied entry whose term is not above the proposals'; ours end there.
    const index_t ours = open.term == log_.term_at(upto) ? upto : meeting_point(upto, open.term);
    if (ours >= open.first && log_.term_at(ours) == open.term) {
      resolve(open.first, ours, open.term, fate::applied);
      open.first = ours.next();
    }
    if (open.first <= upto) {
      resolve(open.first, open.last, open.term, fate::dropped);
      open.first = open.last.next();
    }
  }
}

/// A snapshot replaced the log. Its last term tells: below the proposals' term, none of them is in it or can follow it;
/// equal, all up to it are; above, those before its index may be, and the others are not.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::resolve_covered(const snapshot_meta& snapshot) {
  for (open_proposals& open : proposals_) {
    if (open.first > snapshot.index || open.first > open.last) continue;
    if (snapshot.term < open.term) {
      resolve(open.first, open.last, open.term, fate::dropped);
    } else if (snapshot.term == open.term) {
      const index_t covered = std::min(open.last, snapshot.index);
      resolve(open.first, covered, open.term, fate::applied);
      open.first = covered.next();
      continue;
    } else {
      const index_t hidden = std::min(open.last, snapshot.index.previous());
      resolve(open.first, hidden, open.term, fate::unknown);
      resolve(hidden.next(), open.last, open.term, fate::dropped);
    }
    open.first = open.last.next();
  }
}

/// Nobody waits for ever: what is undecided two election timeouts after leadership was lost is unknown.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::give_up_proposals() {
  for (open_proposals& open : proposals_) {
    if (now_ < open.give_up && !failed_) continue;
    resolve(open.first, open.last, open.term, fate::unknown);
    open.first = open.last.next();
  }
  std::erase_if(proposals_, [](const open_proposals& open) {
    return open.first > open.last && open.give_up != never<time_point>();  // the present leadership's stays
  });
}

/// What a leader leaves behind: reads that can be asked again, and proposals whose fate is up to the next leaders.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::leave_leadership() {
  const auto& lead = std::get<leader_role>(role_);
  for (const roles::pending_read& read : lead.reads) remote_.drop(read.context);
  if (promotion_.pursued()) promotion_.ended = promotion_fate::aborted;
  if constexpr (wants_fates) {
    proposals_.back().give_up = now_ + options_.election_timeout_max + options_.election_timeout_max;
  }
}

}  // namespace raft
