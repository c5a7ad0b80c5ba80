#pragma once

// The canonical form of a node [floor 8]; what that is says canonical.hpp. Included by node.hpp only.
//
// It holds everything that decides what the node will do, and nothing else. Left out are: the options and the machinery
// that a node is made of, which never change; what an input notes and settle() clears; memory that is kept; and
// what only why_no_leader() tells (who refused a vote: an election is won by those that are given); and which command
// was handed over last, since the log says that of those which are not executed yet. What counts only with an option,
// or only beside something else, is written only with it. The rounds of a leader are written as they are: messages
// under way carry them, so no state can be shifted by some without all of these.

namespace raft {

namespace detail {

/// If times are asked for: a moment as seen from the present, or that it never comes.
template <class Duration, class Time>
constexpr void canonical_moment(canonical_writer& w, Time moment, Time present) {
  if (!w.times()) return;
  w(moment == never<Time>());
  if (moment != never<Time>()) w.ticks(count_of(Duration{moment - present}));
}

template <class Time>
constexpr void canonical_role(canonical_writer& w, const roles::follower<Time>& role, const auto&, const auto& time) {
  const auto& [leader, heard_at] = role;
  w(leader);
  if (leader != nobody) time(heard_at);
}

constexpr void canonical_tally(canonical_writer& w, const roles::tally& votes) {
  [[maybe_unused]] const auto& [granted, refused] = votes;
  w.set(granted);
}

constexpr void canonical_role(canonical_writer& w, const roles::pre_candidate& role, const auto&, const auto&) {
  [[maybe_unused]] const auto& [votes, refused_before] = role;
  canonical_tally(w, votes);
}

constexpr void canonical_role(canonical_writer& w, const roles::candidate& role, const auto&, const auto&) {
  const auto& [votes, own_vote_counted] = role;
  canonical_tally(w, votes);
  w(own_vote_counted);
}

/// Whether a leader ever lets entries gather, and so looks at how many there are.
constexpr bool gathers(const auto& options) { return options.eager_messages < options.max_inflight_messages; }

template <class Time>
constexpr void canonical_peer(canonical_writer& w, const progress<Time>& p, const auto& options, const auto& time) {
  const auto& [id, match, next, state, inflight, look, waiting, prompt, heartbeat, round, suspicion, sent_bytes,
               told_commit, snapshot_id, snapshot_offset, requested, carried, passed_over, sent_at, moved_at,
               heard_at] = p;
  w(id, match, next, state, look, waiting, heartbeat, round, suspicion, requested, passed_over);
  if (gathers(options)) w(prompt, sent_bytes);
  inflight.canonical(w);
  if (options.commit_at_once) w(told_commit);
  if (state == progress_state::snapshot) {
    w(snapshot_id, snapshot_offset, carried);
    time(sent_at);
    time(moved_at);
  }
  time(heard_at);
}

template <class Time>
constexpr void canonical_role(canonical_writer& w, const roles::leader<Time>& role, const auto& options,
                              const auto& time) {
  const auto& [peers, counted, first_index, round, appended_bytes, uncommitted, reads, asked, wanted_round, read_round,
               pace, lease, offers_since, offers, offers_again] = role;
  w(counted, first_index, round, wanted_round, read_round);
  if (gathers(options)) w(appended_bytes);
  w.in_order(
      std::span<const progress<Time>>(peers), [](const progress<Time>& p) { return p.id; },
      [&](const progress<Time>& p) { canonical_peer(w, p, options, time); });
  uncommitted.canonical(w);
  w(reads.size());
  for (const auto& [context, wanted, index] : reads) w(context, wanted, index);
  w(asked.size());
  for (const auto& [by, ticket, wanted, index] : asked) w(by, ticket, wanted, index);
  if (options.snapshot_bytes_per_second != 0) pace.canonical(w, time);
  if (options.lease_reads) lease.canonical(w, time);
  w(offers);
  if (offers) time(offers_since);
  time(offers_again);
}

/// What waits in the outbox. The order counts where acknowledgements may supersede each other; requests for votes, one
/// after another, go out in the order of the ids, which a renaming changes.
constexpr void canonical_outbox(canonical_writer& w, std::span<const waiting::outgoing> box,
                                const durability& durable) {
  const auto asks_for_votes = [](const waiting::outgoing& o) {
    return std::holds_alternative<request_vote>(o.what.body) || std::holds_alternative<request_pre_vote>(o.what.body);
  };
  const auto write = [&](const waiting::outgoing& o) {
    const auto& [what, about, mark, stamped] = o;
    canonical(w, what);
    w(about, stamped, durable.above_durable(mark));
  };
  w(box.size());
  for (std::size_t i = 0; i < box.size();) {
    std::size_t end = i + 1;
    while (end < box.size() && asks_for_votes(box[i]) && asks_for_votes(box[end]) && box[end].mark == box[i].mark)
      ++end;
    w.in_order(
        box.subspan(i, end - i), [](const waiting::outgoing& o) { return o.what.to; }, write);
    i = end;
  }
}

template <class Time>
constexpr void canonical_proposals(canonical_writer& w, const std::vector<waiting::proposals<Time>>& all,
                                   const auto& time) {
  w(all.size());
  for (const auto& [of, first, last, give_up] : all) {
    w(of, first, last);
    time(give_up);
  }
}

constexpr void canonical_snapshots(canonical_writer& w, const waiting::snapshots& s, const durability& durable) {
  const auto& [to_restore, restore_mark, restoring, own, own_meta, wanted, asked_in] = s;
  w(to_restore, restoring, own, wanted);
  if (to_restore) w(durable.above_durable(restore_mark));
  if (own != index_t{}) canonical(w, own_meta);
  if (wanted != index_t{}) w(asked_in);
}

template <class Time>
constexpr void canonical_promotion(canonical_writer& w, const promotion<Time>& p, const auto& time) {
  const auto& [target, round, goal, began, match, offset, moved_at, ended] = p;
  w(target);
  if (target == nobody) return;
  w(round, goal, match, offset, ended);
  time(began);
  time(moved_at);
}

template <class Time>
constexpr void canonical_transfer(canonical_writer& w, const transfer<Time>& t, const auto& time) {
  const auto& [target, term, goal, deadline, refuses, asked, ever_asked] = t;
  w(target);
  if (target == nobody) return;
  w(term, goal, refuses, asked, ever_asked);
  time(deadline);
}

/// A policy takes part if it says how.
template <class Policy>
constexpr void canonical_policy(canonical_writer& w, const Policy& policy) {
  if constexpr (requires { policy.canonical(w); }) policy.canonical(w);
}

}  // namespace detail

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::canonical(canonical_writer& w) const {
  RAFT_ASSERT(!inside_, "a node is looked at between its inputs");
  [[maybe_unused]] const auto& [id, options, transport, log, clock, machine, observer, random, hard, role, commit_index,
                                last_applied, handed_over, handed_command, members, members_index, is_voter, now,
                                election_deadline, heartbeat_deadline, election_timeout, promise, store_hard_state,
                                truncate_from, received, received_already, proposed, proposed_kind, proposed_bytes,
                                chunk, chunk_from, durable, hard_state_mark, outbox, answer_to, answer, proposals,
                                remote, forwarded, taken, handed, members_scratch, members_entry, snapshots,
                                entries_awaited, promoted, handing_over, reluctant, role_changed, failed, inside,
                                failure] = *this;
  const auto present = clock_.now();
  const auto time = [&w, present](time_point t) { detail::canonical_moment<duration>(w, t, present); };
  w(id, role.index(), failed, failure.code, failure.detail, role_changed, entries_awaited, is_voter);
  w(commit_index, last_applied, handed_over, members_index);
  raft::canonical(w, hard);
  raft::canonical(w, members);
  std::visit([&](const auto& r) { detail::canonical_role(w, r, options_, time); }, role);
  if constexpr (!Log::durable_on_return) {
    durable.canonical(w);
    w(durable.above_durable(hard_state_mark));
    detail::canonical_outbox(w, outbox, durable);
  }
  detail::canonical_proposals(w, proposals, time);
  remote.canonical(w, time);
  forwarded.canonical(w, time);
  taken.canonical(w, term());
  if constexpr (applies_elsewhere) handed.canonical(w);
  detail::canonical_snapshots(w, snapshots, durable);
  detail::canonical_promotion(w, promoted, time);
  detail::canonical_transfer(w, handing_over, time);
  w(reluctant.evacuating, std::min(reluctant.silent, std::max<std::uint32_t>(options.campaign_grace, 31)));
  time(now);
  time(std::holds_alternative<leader_role>(role) ? heartbeat_deadline : election_deadline);
  if (w.times()) w.ticks(count_of(election_timeout));
  if (options.lease_reads) {
    w(promise.given, promise.leader);
    time(promise.until);
  }
  if (w.chance()) w(random);
  if constexpr (requires { log_.canonical(w); }) {
    log.canonical(w);
  } else {
    canonical_contents(w, log);
  }
  detail::canonical_policy(w, machine);
  detail::canonical_policy(w, transport);
  detail::canonical_policy(w, observer);
}

}  // namespace raft
