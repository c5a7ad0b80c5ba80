#pragma once

// The invariants that the explorer holds every state against [battery, part of explorer.hpp]: each a function that says
// whether it holds, and a line in a table with its name and what it comes from. "Durable" means what a crash now would
// leave.
//
// step       what one server did in one step: its state before and after, and what it sent
// past       one server's state against the history (explorer_facts.hpp)
// pair       the states of two servers
// quorum     the states of all servers
//
// What is tempting and wrong is not here: that a follower's commit index is durable, that one server at a time leads
// across terms, that the commit index does not fall over a restart.

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <raft/testing/explorer_facts.hpp>

namespace raft::testing {

/// A step of one server.
struct step_facts {
  const server_facts& before;
  const server_facts& after;
  bool restarted = false;
  std::span<const kept_message> sent{};
  std::span<const read_answer> answers{};
  std::span<const index_t> executed{};
};

namespace explorer_rules {

/// Whether those for whom `yes(id)` are more than half of each half. Counted here, and not by the engine's quorum.hpp,
/// which is what is looked at.
template <class Yes>
bool has_quorum(const configuration& c, const Yes& yes) {
  const auto more_than_half = [&yes](const std::vector<node_id>& half) {
    return 2 * std::count_if(half.begin(), half.end(), yes) > static_cast<std::ptrdiff_t>(half.size());
  };
  return more_than_half(c.voters) && (c.outgoing.empty() || more_than_half(c.outgoing));
}

// ---------------------------------------------------------------------------------------------------- step

/// Terms never fall; over a restart the stored one counts [paper §5.1].
inline bool terms_never_fall(const step_facts& s) {
  return s.restarted ? s.after.term >= s.before.durable_term : s.after.term >= s.before.term;
}

/// One vote a term, restarts included: a durable one never changes, and only durable ones are told (see
/// speaks_of_what_is_durable) [Fig. 2, RequestVote RPC].
inline bool one_vote_a_term(const step_facts& s) {
  return s.before.durable_term != s.after.durable_term || s.before.durable_vote == nobody ||
         s.before.durable_vote == s.after.durable_vote;
}

/// snapshot <= commit <= last, applied <= commit [Fig. 2].
inline bool indexes_are_in_order(const step_facts& s) {
  const server_facts& f = s.after;
  return f.snapshot.index <= f.commit && f.commit <= f.log.last() && f.applied <= f.commit &&
         f.log.base <= f.snapshot.index;
}

/// Commit and applied rise, while the server lives [Fig. 2, volatile state].
inline bool commit_and_applied_rise(const step_facts& s) {
  return s.restarted || (s.after.commit >= s.before.commit && s.after.applied >= s.before.applied);
}

/// Terms along a log never fall, and none is above the server's [paper §5.3].
inline bool terms_rise_along_the_log(const step_facts& s) {
  term_t last = s.after.log.base_term;
  for (const entry_facts& e : s.after.log.held) {
    if (e.term < last) return false;
    last = e.term;
  }
  return last <= s.after.term && s.after.disk.last_term() <= s.after.durable_term;
}

/// What is committed stays, but for what a snapshot covers [paper §5.3].
inline bool committed_entries_stay(const step_facts& s) {
  if (s.restarted) return true;
  for (index_t i = s.before.log.base.next(); i <= s.before.commit; i = i.next()) {
    if (i <= s.after.log.base) continue;
    if (!s.after.log.holds(i) || s.after.log.at(i).hash != s.before.log.at(i).hash) return false;
  }
  return true;
}

/// A leader only appends [paper §5.3, Leader Append-Only].
inline bool leader_only_appends(const step_facts& s) {
  if (s.before.role != role_kind::leader || s.after.role != role_kind::leader || s.before.term != s.after.term) {
    return true;
  }
  for (index_t i = std::max(s.before.log.base, s.after.log.base).next(); i <= s.before.log.last(); i = i.next()) {
    if (!s.after.log.holds(i) || s.after.log.at(i).hash != s.before.log.at(i).hash) return false;
  }
  return true;
}

/// A leader commits what a quorum holds, itself included only if that is durable, and only entries of its own term
/// [paper §5.4.2; Fig. 2, Leaders 4].
inline bool commits_by_a_quorum_of_its_term(const step_facts& s) {
  const server_facts& f = s.after;
  if (s.restarted || f.role != role_kind::leader || s.before.term != f.term || f.commit <= s.before.commit) return true;
  if (!f.log.holds(f.commit) || f.log.at(f.commit).term != f.term) return false;
  return has_quorum(f.members, [&f](node_id voter) {
    if (voter == f.id) return f.disk.last() >= f.commit;
    return std::any_of(f.matches.begin(), f.matches.end(),
                       [&](const match_facts& m) { return m.id == voter && m.match >= f.commit; });
  });
}

/// match < next <= last + 1 [Fig. 2, volatile state on leaders].
inline bool progress_is_in_order(const step_facts& s) {
  return std::all_of(s.after.matches.begin(), s.after.matches.end(),
                     [&s](const match_facts& m) { return m.match < m.next && m.next <= s.after.log.last().next(); });
}

/// In force is the latest configuration in the log, committed or not [paper §6].
inline bool latest_configuration_is_in_force(const step_facts& s) {
  configuration latest = s.after.snapshot.configuration;
  for (index_t i = s.after.log.base.next(); i <= s.after.log.last(); i = i.next()) {
    const entry_facts& e = s.after.log.at(i);
    if (e.kind != entry_kind::configuration || i <= s.after.snapshot.index) continue;
    auto there = decode_configuration(e.data);
    if (!there) return false;
    latest = *std::move(there);
  }
  return s.after.failed || latest == s.after.members;
}

/// Who stands or leads votes, or a change that takes its vote is not committed [thesis 4.2.2].
inline bool only_voters_stand(const step_facts& s) {
  return s.after.role == role_kind::follower || s.after.members.is_voter(s.after.id) ||
         s.after.members_index > s.after.commit;
}

/// What is sent is of the sender's term, and speaks for nothing that is not durable: votes, acknowledgements.
inline bool speaks_of_what_is_durable(const step_facts& s) {
  const server_facts& f = s.after;
  return std::all_of(s.sent.begin(), s.sent.end(), [&f](const kept_message& m) {
    if (m.what.from != f.id || m.what.to == f.id || m.what.term > f.term) return false;
    if (const auto* vote = std::get_if<request_vote_reply>(&m.what.body)) {
      return !vote->granted || (f.durable_vote == m.what.to && f.durable_term == m.what.term);
    }
    if (std::holds_alternative<request_vote>(m.what.body)) {
      return f.durable_vote == f.id && f.durable_term == m.what.term;
    }
    if (const auto* ack = std::get_if<append_entries_reply>(&m.what.body)) {
      return !ack->success || ack->index <= f.disk.last();
    }
    if (const auto* done = std::get_if<install_snapshot_reply>(&m.what.body)) {
      return !done->installed || done->last_included_index <= f.disk.last();
    }
    return true;
  });
}

/// An append shows the sender's log [Fig. 2, AppendEntries RPC].
inline bool appends_show_the_log(const step_facts& s) {
  const log_facts& log = s.after.log;
  return std::all_of(s.sent.begin(), s.sent.end(), [&](const kept_message& m) {
    const auto* a = std::get_if<append_entries>(&m.what.body);
    if (a == nullptr) return true;
    if (a->leader_commit > s.after.commit) return false;
    const index_t prev = a->prev_log_index;
    if (prev > log.base && (!log.holds(prev) || log.at(prev).term != a->prev_log_term)) return false;
    bool same = true;
    a->entries.for_each(prev.next(), [&](const entry& e) {
      same = same && (e.index <= log.base || (log.holds(e.index) && log.at(e.index).term == e.term));
    });
    return same;
  });
}

/// A read shows everything that was committed when it was asked: the explorer asks with that index as the context
/// [paper §8].
inline bool reads_are_linearizable(const step_facts& s) {
  return std::all_of(s.answers.begin(), s.answers.end(), [&s](const read_answer& a) {
    return a.what != read_fate::ready || (a.index.value >= a.context && s.after.applied.value >= a.context);
  });
}

/// A command is executed once, in the order of the log, while the server lives; a snapshot leads forward only. A state
/// that goes back and is made good within the step is what nobody sees afterwards [paper §5.3, lastApplied; §7].
inline bool executes_forward(const step_facts& s) {
  index_t last = s.restarted ? index_t{} : s.before.applied;
  return std::all_of(s.executed.begin(), s.executed.end(), [&last](index_t i) { return std::exchange(last, i) < i; });
}

/// No step here fails a write, so none ends a server.
inline bool nobody_fails(const step_facts& s) { return !s.after.failed; }

// ---------------------------------------------------------------------------------------------------- past

/// One leader a term, for ever [paper §5.2, Election Safety].
template <class Machine>
bool one_leader_a_term(const explored_history<Machine>& h, const server_facts& f) {
  return f.role != role_kind::leader || h.leaders[f.term.value - 1] == f.id;
}

/// What was committed once is committed everywhere, for ever [paper §5.4.3].
template <class Machine>
bool committed_is_final(const explored_history<Machine>& h, const server_facts& f) {
  if (f.commit > h.length() || f.log.base_term != h.term_at(f.log.base)) return false;
  for (index_t i = f.log.base.next(); i <= f.commit; i = i.next()) {
    if (!f.log.holds(i) || f.log.at(i).hash != h.at(i).entry.hash) return false;
  }
  return true;
}

/// A leader has everything that was committed before its term [paper §5.4.3, Leader Completeness].
template <class Machine>
bool leaders_have_what_was_committed(const explored_history<Machine>& h, const server_facts& f) {
  if (f.role != role_kind::leader) return true;
  for (index_t i = f.log.base.next(); i <= h.length(); i = i.next()) {
    if (h.at(i).under >= f.term) continue;
    if (!f.log.holds(i) || f.log.at(i).hash != h.at(i).entry.hash) return false;
  }
  return true;
}

/// A state machine has executed exactly what was committed, in order [paper §5.4.3, State Machine Safety].
template <class Machine>
bool states_follow_the_log(const explored_history<Machine>& h, const server_facts& f) {
  return f.applied <= h.length() && f.machine == h.state_at(f.applied);
}

/// A snapshot has the term and the members of its place [paper §7].
template <class Machine>
bool snapshots_know_their_place(const explored_history<Machine>& h, const server_facts& f) {
  return f.snapshot.index <= h.length() && f.snapshot.term == h.term_at(f.snapshot.index) &&
         f.snapshot.configuration == h.members_at(f.snapshot.index);
}

/// One change at a time: behind what is committed there is one configuration at most [thesis 4.1].
template <class Machine>
bool one_change_at_a_time(const explored_history<Machine>& h, const server_facts& f) {
  int open = 0;
  for (index_t i = f.log.base.next(); i <= f.log.last(); i = i.next()) {
    open += i > h.length() && f.log.at(i).kind == entry_kind::configuration ? 1 : 0;
  }
  return open <= 1;
}

// ---------------------------------------------------------------------------------------------------- pair

/// Equal terms at an index mean equal logs up to there, in memory and on the disks [paper §5.3, Log Matching].
inline bool logs_match(const log_facts& a, const log_facts& b) {
  const index_t first = std::max(a.base, b.base);
  bool equal = true;
  for (index_t i = first.next(); i <= std::min(a.last(), b.last()); i = i.next()) {
    if (a.at(i).term == b.at(i).term && (!equal || a.at(i).hash != b.at(i).hash)) return false;
    equal = equal && a.at(i).term == b.at(i).term;
  }
  return true;
}
inline bool logs_match(const server_facts& a, const server_facts& b) {
  return logs_match(a.log, b.log) && logs_match(a.log, b.disk) && logs_match(a.disk, b.log) &&
         logs_match(a.disk, b.disk);
}

/// A leader's log has the most entries of its term: only it makes them [paper §5.2].
inline bool leader_has_most_of_its_term(const server_facts& leader, const server_facts& other) {
  if (leader.role != role_kind::leader) return true;
  const auto most = [&leader](const log_facts& log) {
    index_t last{};
    for (index_t i = log.base.next(); i <= log.last(); i = i.next()) {
      if (log.at(i).term == leader.term) last = i;
    }
    return last;
  };
  return most(leader.log) >= most(other.log) || most(other.log) <= leader.log.base;
}

/// What a leader takes for matched is there, durable and equal, as long as the other knows of no later leader
/// [Fig. 2, matchIndex].
inline bool matches_are_honest(const server_facts& leader, const server_facts& other) {
  if (leader.role != role_kind::leader || other.term > leader.term) return true;
  for (const match_facts& m : leader.matches) {
    if (m.id != other.id) continue;
    if (m.match > other.disk.last()) return false;
    for (index_t i = std::max(leader.log.base, other.disk.base).next(); i <= m.match; i = i.next()) {
      if (leader.log.at(i).hash != other.disk.at(i).hash) return false;
    }
  }
  return true;
}

// ---------------------------------------------------------------------------------------------------- quorum

/// What somebody knows to be committed is durable on at least one server of every quorum of the membership that it has
/// in force [paper §5.4.3]: so whoever is elected has it. `held[i]` is how much of the committed log is durable at
/// `all[i]`.
inline bool every_quorum_holds_the_commits(std::span<const server_facts* const> all, std::span<const index_t> held) {
  return std::all_of(all.begin(), all.end(), [&](const server_facts* f) {
    const auto lacks = [&](node_id id) {
      for (std::size_t i = 0; i < all.size(); ++i) {
        if (all[i]->id == id) return held[i] < f->commit;
      }
      return true;
    };
    return !has_quorum(f->members, lacks);
  });
}

}  // namespace explorer_rules

/// A broken invariant: its name, and the rule that it comes from. An empty name: none.
struct broken_rule {
  const char* name = nullptr;
  const char* source = "";
  explicit operator bool() const noexcept { return name != nullptr; }
};

template <class... What>
struct rule_of {
  const char* name;
  const char* source;
  bool (*holds)(What...);
};

using step_rule = rule_of<const step_facts&>;
using pair_rule = rule_of<const server_facts&, const server_facts&>;
template <class Machine>
using past_rule = rule_of<const explored_history<Machine>&, const server_facts&>;

inline constexpr std::array step_rules{
    step_rule{"terms never fall", "I1, paper 5.1", explorer_rules::terms_never_fall},
    step_rule{"one vote a term", "I2, paper 5.2", explorer_rules::one_vote_a_term},
    step_rule{"indexes are in order", "I3, Figure 2", explorer_rules::indexes_are_in_order},
    step_rule{"commit and applied rise", "I6, Figure 2", explorer_rules::commit_and_applied_rise},
    step_rule{"terms rise along the log", "I5, paper 5.3", explorer_rules::terms_rise_along_the_log},
    step_rule{"committed entries stay", "I7, paper 5.3", explorer_rules::committed_entries_stay},
    step_rule{"a leader only appends", "I8, paper 5.3", explorer_rules::leader_only_appends},
    step_rule{"commits by a quorum, of its term", "I13, paper 5.4.2", explorer_rules::commits_by_a_quorum_of_its_term},
    step_rule{"progress is in order", "I10, Figure 2", explorer_rules::progress_is_in_order},
    step_rule{"the latest configuration is in force", "I15, paper 6", explorer_rules::latest_configuration_is_in_force},
    step_rule{"only voters stand", "I17, thesis 4.2.2", explorer_rules::only_voters_stand},
    step_rule{"speaks of what is durable", "I32 I34 I35, paper 5.1", explorer_rules::speaks_of_what_is_durable},
    step_rule{"appends show the log", "I33, Figure 2", explorer_rules::appends_show_the_log},
    step_rule{"reads are linearizable", "I39, paper 8", explorer_rules::reads_are_linearizable},
    step_rule{"executes forward, each command once", "I29, paper 5.3", explorer_rules::executes_forward},
    step_rule{"nobody fails", "no write failed", explorer_rules::nobody_fails},
};

template <class Machine>
inline constexpr std::array past_rules{
    past_rule<Machine>{"one leader a term", "I21, paper 5.2", explorer_rules::one_leader_a_term<Machine>},
    past_rule<Machine>{"committed is final", "I25, paper 5.4.3", explorer_rules::committed_is_final<Machine>},
    past_rule<Machine>{"leaders have what was committed", "I26, paper 5.4.3",
                       explorer_rules::leaders_have_what_was_committed<Machine>},
    past_rule<Machine>{"states follow the log", "I29, paper 5.4.3", explorer_rules::states_follow_the_log<Machine>},
    past_rule<Machine>{"snapshots know their place", "I19, paper 7",
                       explorer_rules::snapshots_know_their_place<Machine>},
    past_rule<Machine>{"one change at a time", "I16, thesis 4.1", explorer_rules::one_change_at_a_time<Machine>},
};

inline constexpr std::array pair_rules{
    pair_rule{"logs match", "I23 I24, paper 5.3", explorer_rules::logs_match},
    pair_rule{"a leader has most of its term", "I22, paper 5.2", explorer_rules::leader_has_most_of_its_term},
    pair_rule{"matches are honest", "I11, Figure 2", explorer_rules::matches_are_honest},
};

inline constexpr broken_rule quorum_rule{"every quorum holds the commits", "I27, paper 5.4.3"};

/// The first of the rules that is broken.
template <class Rules, class... What>
[[nodiscard]] broken_rule first_broken(const Rules& rules, const What&... what) {
  for (const auto& rule : rules) {
    if (!rule.holds(what...)) return {rule.name, rule.source};
  }
  return {};
}

}  // namespace raft::testing
