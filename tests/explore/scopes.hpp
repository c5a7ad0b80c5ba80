#pragma once

// The scopes that the tests explore. Each is small enough to be explored to its end, and wide enough for what it is
// named after; what a broken rule needs is said where it decided the bounds.

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include <raft/testing/explorer_scope.hpp>

namespace scopes {

using raft::node_id;
using raft::testing::exploration_scope;

inline std::vector<node_id> ids(std::initializer_list<std::uint64_t> values) {
  std::vector<node_id> all;
  for (const std::uint64_t v : values) all.emplace_back(v);
  return all;
}

/// Three voters, and nothing happens but elections and what follows from them.
inline exploration_scope three(std::string name, std::string about, std::uint64_t max_term) {
  exploration_scope s;
  s.name = std::move(name);
  s.about = std::move(about);
  s.servers = ids({1, 2, 3});
  s.initial = raft::voters_of(s.servers);
  s.max_term = max_term;
  s.late_requests = false;
  return s;
}

/// Two voters and one more server, for changes of the membership; `about` says to what.
inline exploration_scope two_and_one(std::string name, std::string about, std::uint64_t max_term) {
  exploration_scope s = three(std::move(name), std::move(about), max_term);
  s.initial = raft::voters_of(ids({1, 2}));
  s.limit.changes = 1;
  return s;
}

inline exploration_scope simple_change(std::string name, std::string about, std::uint64_t max_term) {
  exploration_scope s = two_and_one(std::move(name), std::move(about), max_term);
  s.targets = {{.voters = ids({1, 2, 3})}};
  return s;
}

/// Whose leader may be removed, and then prefers an id to another.
inline exploration_scope joint_change(std::string name, std::string about, std::uint64_t max_term,
                                      std::uint64_t max_log) {
  exploration_scope s = two_and_one(std::move(name), std::move(about), max_term);
  s.targets = {{.voters = ids({1, 3})}};
  s.max_log = max_log;
  s.symmetric = false;
  return s;
}

inline exploration_scope with_late_requests(exploration_scope s) {
  s.late_requests = true;
  return s;
}

/// Five voters.
inline exploration_scope five(std::string name, std::string about, std::uint64_t max_term) {
  exploration_scope s = three(std::move(name), std::move(about), max_term);
  s.servers = ids({1, 2, 3, 4, 5});
  s.initial = raft::voters_of(s.servers);
  return s;
}

/// Time passes: a leader that has heard no quorum for two moments steps down.
inline exploration_scope check_quorum(std::string name, std::string about, std::uint64_t max_term) {
  exploration_scope s = three(std::move(name), std::move(about), max_term);
  s.timed = true;
  s.options = exploration_scope::timed_options();
  s.limit.moments = 2;
  return s;
}

inline exploration_scope by_lease(std::string name, std::string about, std::uint8_t moments) {
  exploration_scope s = check_quorum(std::move(name), std::move(about), 2);
  s.options.lease_reads = true;
  s.options.lease_clock_drift = 0;
  s.max_log = 2;
  s.limit = {.reads = 1, .moments = moments};
  return s;
}

/// Reads of a leader that may be deposed, by rounds of confirmation.
inline exploration_scope by_quorum(std::string name, std::string about, std::uint8_t reads) {
  exploration_scope s = three(std::move(name), std::move(about), 2);
  s.options.max_entries_per_append = 1;
  s.max_log = 2;
  s.limit.reads = reads;
  return s;
}

inline exploration_scope with_pre_vote(exploration_scope s) {
  s.options.pre_vote = true;
  return s;
}

inline exploration_scope with_learner(exploration_scope s) {
  s.initial.learners = ids({3});
  return s;
}

/// Writes complete later, and a crash keeps any prefix of those that are under way.
inline exploration_scope with_deferred_writes(exploration_scope s) {
  s.deferred = true;
  return s;
}

/// An append carries one entry, logs have two.
inline exploration_scope entry_by_entry(exploration_scope s) {
  s.options.max_entries_per_append = 1;
  s.max_log = 2;
  return s;
}

/// One voter, 1, and one more server.
inline exploration_scope one_and_one(std::string name, std::string about, std::uint64_t max_term) {
  exploration_scope s = three(std::move(name), std::move(about), max_term);
  s.servers = ids({1, 2});
  s.initial = raft::voters_of(ids({1}));
  return s;
}

/// The scopes of every run of the tests.
inline std::vector<exploration_scope> quick_scopes() {
  std::vector<exploration_scope> all;
  const auto add = [&all](exploration_scope s) -> exploration_scope& { return all.emplace_back(std::move(s)); };
  add(three("elections", "three voters, terms to 2", 2));
  add(with_late_requests(three("late_requests", "the same, and requests of earlier terms still arrive", 2)));
  add(three("one_entry", "a client's entry, terms to 2", 2)).limit.proposals = 1;
  // Only a heartbeat names a commit index behind the place where the logs are known to meet.
  auto& heartbeats = add(three("heartbeats", "a heartbeat, terms to 2, logs of one", 2));
  heartbeats.max_log = 1;
  heartbeats.limit.beats = 1;
  add(three("one_crash", "a crash, terms to 2", 2)).limit.crashes = 1;
  add(three("two_crashes", "two crashes and an entry, term 1", 1)).limit = {.crashes = 2, .proposals = 1};
  add(with_deferred_writes(three("deferred", "writes complete later, a crash keeps any prefix of them; term 1", 1)))
      .limit = {.crashes = 1, .proposals = 1};
  add(with_deferred_writes(three("deferred_snapshot", "the same with a snapshot; term 1", 1))).limit = {
      .crashes = 1, .proposals = 1, .snapshots = 1};
  add(with_pre_vote(with_late_requests(three("pre_vote", "pre-votes, terms to 2", 2))));
  add(simple_change("simple_change", "{1, 2} becomes {1, 2, 3}, term 1", 1));
  add(simple_change("simple_change_crash", "the same with a crash; terms to 2", 2)).limit.crashes = 1;
  add(joint_change("joint_change", "{1, 2} becomes {1, 3}, and the joint configuration is left; term 1", 1, 3));
  add(joint_change("joint_change_crash", "the same with a crash; terms to 2", 2, 3)).limit.crashes = 1;
  add(joint_change("joint_change_terms", "the same without one; terms to 3", 3, 3));
  add(with_learner(simple_change("learner", "the learner 3 becomes a voter, terms to 2", 2)));
  add(with_learner(simple_change("learner_crash", "the same with a crash", 2))).limit.crashes = 1;
  add(three("snapshot", "an entry and a snapshot that lets go of it, term 1", 1)).limit = {.proposals = 1,
                                                                                           .snapshots = 1};
  auto& chunks = add(three("snapshot_chunks", "a snapshot that travels in two chunks, and a crash; term 1", 1));
  chunks.options.snapshot_chunk_bytes = 4;
  chunks.limit = {.crashes = 1, .proposals = 1, .snapshots = 1};
  // That followers hear of a commit at once lets one be ahead of a snapshot that is late.
  auto& late = add(one_and_one("late_snapshot", "a learner, a snapshot that comes late, and a heartbeat; term 1", 1));
  late.initial.learners = ids({2});
  late.options.commit_at_once = true;
  late.limit = {.beats = 1, .proposals = 1, .snapshots = 1};
  add(with_late_requests(three("transfer", "leadership is handed over, terms to 2", 2))).limit.transfers = 1;
  add(by_quorum("read_by_quorum", "a read of a leader that may be deposed; terms to 2, one entry an append", 1));
  add(by_quorum("read_and_transfer", "the same, and leadership is handed over", 1)).limit.transfers = 1;
  add(by_lease("read_by_lease", "a read by lease, two moments pass, terms to 2", 2));
  add(check_quorum("check_quorum", "leaders that hear no quorum step down; two moments pass, terms to 2, logs of one",
                   2))
      .max_log = 1;
  add(entry_by_entry(three("old_terms", "terms to 3, one entry an append, logs of two", 3)));
  add(five("five_voters", "five voters, terms to 2", 2));
  return all;
}

/// What takes longer.
inline std::vector<exploration_scope> long_scopes() {
  std::vector<exploration_scope> all;
  const auto add = [&all](exploration_scope s) -> exploration_scope& { return all.emplace_back(std::move(s)); };
  // The story of Figure 8 needs this much: with terms to 3 there is no room for it, and if an append carries all that
  // there is, nobody has the old entry without the new one.
  add(entry_by_entry(three("figure_8", "terms to 4, one entry an append, logs of two", 4)));
  add(with_late_requests(
      entry_by_entry(three("old_terms_late", "old_terms, and requests of earlier terms arrive", 3))));
  add(three("three_terms", "three voters, terms to 3", 3));
  add(three("crash_and_entry", "a crash and an entry, terms to 2", 2)).limit = {.crashes = 1, .proposals = 1};
  add(with_late_requests(three("crash_and_entry_late", "the same, and requests of earlier terms arrive", 2))).limit = {
      .crashes = 1, .proposals = 1};
  add(three("crashes_and_entry", "two crashes and an entry, terms to 2", 2)).limit = {.crashes = 2, .proposals = 1};
  add(with_deferred_writes(three("deferred_terms", "writes complete later, a crash, terms to 2", 2))).limit.crashes = 1;
  add(with_deferred_writes(three("deferred_entry", "writes complete later, an entry, terms to 2", 2))).limit.proposals =
      1;
  add(with_pre_vote(with_late_requests(three("pre_vote_entry", "pre-votes and an entry, terms to 2", 2))))
      .limit.proposals = 1;
  add(with_pre_vote(with_late_requests(three("pre_vote_crash", "pre-votes and a crash, terms to 2", 2))))
      .limit.crashes = 1;
  add(with_pre_vote(three("pre_vote_terms", "pre-votes, terms to 3", 3)));
  add(with_pre_vote(three("pre_vote_crash_entry", "pre-votes, a crash and an entry, terms to 2", 2))).limit = {
      .crashes = 1, .proposals = 1};
  add(simple_change("simple_change_terms", "{1, 2} becomes {1, 2, 3}, terms to 3", 3));
  add(with_learner(simple_change("learner_terms", "the learner 3 becomes a voter, terms to 3", 3)));
  add(three("snapshot_terms", "an entry, a snapshot and a crash, terms to 2", 2)).limit = {
      .crashes = 1, .proposals = 1, .snapshots = 1};
  auto& trailing = add(three("snapshot_trailing", "the same, and the last entry that it covers stays in the log", 2));
  trailing.options.trailing_entries = 1;
  trailing.limit = {.crashes = 1, .proposals = 1, .snapshots = 1};
  add(three("transfer_entry", "leadership is handed over, with an entry and a crash; terms to 2", 2)).limit = {
      .crashes = 1, .proposals = 1, .transfers = 1};
  add(by_quorum("read_crash", "a read of a leader that may be deposed, and a crash; terms to 2", 1)).limit.crashes = 1;
  add(by_quorum("two_reads", "two reads of leaders that may be deposed; terms to 2", 2));
  add(by_lease("read_by_lease_long", "a read by lease, three moments pass, terms to 2", 3));
  add(check_quorum("check_quorum_entry", "leaders that hear no quorum step down, an entry; two moments pass, term 1",
                   1))
      .limit.proposals = 1;
  add(check_quorum("check_quorum_terms", "the same while one moment passes, terms to 2", 2)).limit = {.proposals = 1,
                                                                                                      .moments = 1};
  add(five("five_voters_crash", "five voters and a crash; terms to 2, logs of one", 2)).limit.crashes = 1;
  all.back().max_log = 1;
  auto& five_entry = add(five("five_voters_entry", "five voters and an entry; terms to 2, logs of two", 2));
  five_entry.max_log = 2;
  five_entry.limit.proposals = 1;
  return all;
}

}  // namespace scopes
