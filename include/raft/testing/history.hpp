#pragma once

// What the checkers remember: ghost state. It belongs to the simulation, survives every crash, and no engine reads it.
//
// Entries are remembered by hashes. Each entry of each log has a chain hash, H(chain hash of the entry before it, the
// entry): two logs with equal chain hashes at an index are equal up to there. So "these logs agree up to k" is one
// comparison, whatever was compacted since.
//
//   trail     one log, as a disk shows it: of each entry the term, the chain hash, the bytes so far
//   shadow    one server: its two trails (what it reads, what a crash would leave), its votes, its open promises
//   history   the cluster: every entry that ever was, the leader of each term, everything committed

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <raft/node.hpp>

#include <raft/testing/clock.hpp>
#include <raft/testing/hash.hpp>
#include <raft/testing/machine.hpp>
#include <raft/testing/server.hpp>

namespace raft::testing {

/// One log by its hashes: of each entry from base() on. Compaction leaves it as it is: what was known stays known.
class trail {
 public:
  struct link {
    term_t term{};
    std::uint64_t chain = 0;
    std::uint64_t bytes = 0;  ///< Of all entries up to this one, in wire form, from some beginning.
  };
  struct member_list {
    index_t index{};
    configuration members{};
  };

  [[nodiscard]] index_t base() const noexcept { return base_; }
  [[nodiscard]] index_t last() const noexcept { return base_ + (links_.size() - 1); }
  /// Precondition: base() <= i <= last().
  [[nodiscard]] const link& at(index_t i) const noexcept { return links_[i - base_]; }
  [[nodiscard]] bool knows(index_t i) const noexcept { return base_ <= i && i <= last(); }
  /// Whether the log holds i with this chain hash.
  [[nodiscard]] bool holds(index_t i, std::uint64_t chain) const noexcept { return knows(i) && at(i).chain == chain; }
  /// The configurations in the log, oldest first.
  [[nodiscard]] const std::vector<member_list>& configurations() const noexcept { return configurations_; }

  void append(term_t term, std::uint64_t chain, std::size_t bytes) {
    links_.push_back({term, chain, links_.back().bytes + bytes});
  }
  void note_configuration(configuration c) { configurations_.push_back({last(), std::move(c)}); }
  void truncate_from(index_t i) {
    if (i > last()) return;
    links_.resize(i > base_ ? i - base_ : 1);
    while (!configurations_.empty() && configurations_.back().index >= i) configurations_.pop_back();
  }
  /// The log begins anew behind `base`.
  void reset(index_t base, link at_base) {
    base_ = base;
    links_.assign(1, at_base);
    configurations_.clear();
  }

 private:
  index_t base_{};
  std::vector<link> links_{link{}};
  std::vector<member_list> configurations_{};
};

/// A list with one value for each term; terms that nobody spoke of have the default.
template <class Value>
class by_term {
 public:
  [[nodiscard]] Value get(term_t t) const { return t.value < values_.size() ? values_[t.value] : Value{}; }
  void set(term_t t, Value v) {
    if (t.value >= values_.size()) values_.resize(t.value + t.value / 2 + 16);
    values_[t.value] = std::move(v);
  }

 private:
  std::vector<Value> values_{};
};

/// Where a log ended when its server asked for votes.
struct log_end {
  term_t term{};
  index_t index{};
  /// Whether a log that ends at `a` is behind one that ends at `b` [paper §5.4.1].
  friend bool operator<(log_end a, log_end b) noexcept {
    return a.term != b.term ? a.term < b.term : a.index < b.index;
  }
};

/// What is remembered of one server.
struct shadow {
  node_id promoting{};  ///< Whom its node makes a voter; nobody if none [I50].
  struct acknowledgement {
    term_t term{};
    index_t index{};
  };
  struct lease_promise {
    node_id leader{};
    term_t term{};
    instant until = 0;  ///< On its own clock.
  };
  struct open_proposal {
    index_t index{};
    term_t term{};
    index_t floor{};  ///< What lies at or before it had been answered when the proposal was made.
  };
  struct open_forward {
    std::uint64_t context = 0;
    std::uint64_t hash = 0;  ///< Of the command's bytes.
    std::uint64_t serial = 0;
    index_t floor{};  ///< As of a proposal.
  };
  struct open_read {
    std::uint64_t context = 0;
    index_t floor{};  ///< Everything that was committed when it was asked.
  };

  // Over all incarnations.
  bool deferred = false;
  trail image{};                     ///< The log that it reads.
  trail later{};                     ///< deferred: the log that a crash would leave.
  hard_state stored{};               ///< The hard state that it reads,
  hard_state durable{};              ///< and the one that a crash would leave.
  by_term<node_id> votes{};          ///< G.vote: durable votes.
  by_term<term_t> asked_to_stand{};  ///< By the leader of that term, with timeout_now: the term itself.
  by_term<log_end> candidacies{};    ///< What it claimed when it asked for votes.
  lease_promise lease_given{};       ///< With lease reads: whom alone it may vote for until then; any term [I37].
  term_t sent_term{};                ///< The highest term in which it said anything.
  /// G.acked: what it told leaders is durable. Terms rise and indexes fall along the list: what was told later covers
  /// what was told of lower entries before.
  std::vector<acknowledgement> acknowledged{};

  // Of the present incarnation.
  glance now{};  ///< As it was when the checkers looked last.
  /// What was committed anywhere at moments of its own clock, at which it was called; the latest ones.
  std::vector<std::pair<instant, index_t>> committed_seen{};
  bool write_refused = false;
  term_t term_before{};                    ///< When the call under way began [I12].
  std::vector<index_t> match_before{};     ///< By slot, while it leads [I10].
  std::vector<std::uint32_t> appends{};    ///< By slot: appends with entries sent in the call under way [I46].
  lease_promise promise{};                 ///< [I37]
  std::vector<open_proposal> proposals{};  ///< Those without a fate, by term and index.
  std::vector<open_read> reads{};          ///< Those without an answer.
  std::vector<open_forward> forwards{};    ///< Those without a fate.
  index_t handed_over{};                   ///< The last command that its machine was given.
  node_id transfer_target{};               ///< Of the transfer that has no fate yet [I18].

  void acknowledge(term_t t, index_t i) {
    while (!acknowledged.empty() && acknowledged.back().index <= i) acknowledged.pop_back();
    if (acknowledged.empty() || acknowledged.back().term < t) acknowledged.push_back({t, i});
  }
  /// The log that a crash would leave.
  [[nodiscard]] const trail& lasting() const noexcept { return deferred ? later : image; }
  /// Whether what a crash would leave holds the entry i with this chain hash, or a snapshot that covers it.
  [[nodiscard]] bool keeps(index_t i, std::uint64_t chain) const noexcept {
    return i < lasting().base() || lasting().holds(i, chain);
  }
};

/// One entry that some leader wrote once.
struct version {
  term_t term{};
  std::uint64_t hash = 0;
  std::uint64_t chain = 0;
  entry_kind kind{};
  std::uint32_t older = 0;  ///< Another one of the same index, plus one; zero: none.
};

/// One committed entry.
struct committed_entry {
  term_t term{};
  std::uint64_t chain = 0;
  std::uint64_t hash = 0;
  entry_kind kind{};
  std::uint64_t state = 0;  ///< What a machine's hash is after it.
  index_t last_command{};   ///< The last command up to here.
  std::uint64_t image = 0;  ///< The hash of the snapshot's bytes at this index, once one was taken.
};

/// A forwarded proposal, over all incarnations: by whom, in which session, which one; and where it was put.
struct forward_ghost {
  std::uint64_t session = 0;
  std::uint64_t serial = 0;
  proposal place{};
  bool dropped = false;  ///< Its client was told that it is never executed.
};

/// What is remembered of the cluster.
class history {
 public:
  history(std::size_t count, configuration first) : servers(count), initial(std::move(first)) {}

  std::vector<shadow> servers;
  configuration initial;
  by_term<node_id> leaders{};                          ///< G.leader.
  std::vector<std::vector<forward_ghost>> forwards{};  ///< By slot of the asking server, in the order of asking.
  index_t answered{};                                  ///< The last entry that some client was told is applied.

  // ---- every entry that ever was: (index, term) -> one payload, one past [I23, I24]

  [[nodiscard]] const version* find(index_t i, term_t t) const noexcept {
    if (i.value >= newest_.size()) return nullptr;
    for (std::uint32_t at = newest_[i.value]; at != 0; at = versions_[at - 1].older) {
      if (versions_[at - 1].term == t) return &versions_[at - 1];
    }
    return nullptr;
  }
  const version& add(index_t i, const version& v) {
    if (i.value >= newest_.size()) newest_.resize(2 * i.value + 16);
    versions_.push_back(v);
    versions_.back().older = newest_[i.value];
    newest_[i.value] = static_cast<std::uint32_t>(versions_.size());
    return versions_.back();
  }
  [[nodiscard]] static constexpr std::uint64_t link(std::uint64_t chain, std::uint64_t added) noexcept {
    return mix(combine(chain, added));
  }

  // ---- everything committed [I25]

  [[nodiscard]] index_t last_committed() const noexcept { return index_t{committed_.size() - 1}; }
  /// Precondition: i <= last_committed().
  [[nodiscard]] const committed_entry& committed(index_t i) const noexcept { return committed_[i.value]; }
  [[nodiscard]] committed_entry& committed(index_t i) noexcept { return committed_[i.value]; }

  /// The leader of `in_term` says that the next entry is committed; it counted the voters of `members`.
  void commit(term_t in_term, const version& v, const configuration& members) {
    if (!(counted_by_ == members)) counted_by_ = members;
    const committed_entry& before = committed_.back();
    const index_t i{committed_.size()};
    const bool command = v.kind == entry_kind::command;
    const std::uint64_t state = command ? machine_state::next_hash(before.state, i, v.hash) : before.state;
    committed_.push_back({v.term, v.chain, v.hash, v.kind, state, command ? i : before.last_command, 0});
    if (commit_terms_.empty() || commit_terms_.back().first != in_term) commit_terms_.emplace_back(in_term, i);
    commit_terms_.back().second = i;
    if (const auto* c = v.kind == entry_kind::configuration ? find_configuration(i, v.term) : nullptr) {
      committed_configurations_.push_back({i, v.term, *c});
    }
  }

  /// The last entry that was committed by a leader of an earlier term than t.
  [[nodiscard]] index_t committed_before(term_t t) const noexcept {
    for (auto part = commit_terms_.rbegin(); part != commit_terms_.rend(); ++part) {
      if (part->first < t) return part->second;
    }
    return index_t{};
  }
  /// The term whose leader committed i. Precondition: 1 <= i <= last_committed().
  [[nodiscard]] term_t commit_term(index_t i) const noexcept {
    auto part = commit_terms_.rbegin();
    while (part + 1 != commit_terms_.rend() && (part + 1)->second >= i) ++part;
    return part->first;
  }

  /// The configuration by whose quorum the last committed entry was committed, and with it all before it.
  [[nodiscard]] const configuration& counted_by() const noexcept { return counted_by_; }

  // ---- configurations

  /// A configuration entry (i, t) was written.
  void add_configuration(index_t i, term_t t, configuration c) { proposed_.push_back({i, t, std::move(c)}); }
  [[nodiscard]] const configuration* find_configuration(index_t i, term_t t) const noexcept {
    for (const auto& p : proposed_) {
      if (p.index == i && p.term == t) return &p.members;
    }
    return nullptr;
  }
  /// The latest configuration among the committed entries up to i. Precondition: i <= last_committed().
  [[nodiscard]] const configuration& configuration_at(index_t i) const noexcept {
    for (auto p = committed_configurations_.rbegin(); p != committed_configurations_.rend(); ++p) {
      if (p->index <= i) return p->members;
    }
    return initial;
  }

 private:
  struct placed_configuration {
    index_t index{};
    term_t term{};
    configuration members{};
  };

  std::vector<std::uint32_t> newest_{};  ///< By index: a place in versions_, plus one.
  std::vector<version> versions_{};
  std::vector<committed_entry> committed_{committed_entry{}};
  std::vector<std::pair<term_t, index_t>> commit_terms_{};  ///< Of each leader's commits, the last entry.
  configuration counted_by_{};
  std::vector<placed_configuration> proposed_{};
  std::vector<placed_configuration> committed_configurations_{};
};

/// Whether the servers for which `yes(node_id)` holds are a quorum of c. (Written without the engine's own arithmetic.)
template <class Yes>
[[nodiscard]] bool is_quorum(const configuration& c, Yes&& yes) {
  const auto most_of = [&yes](const std::vector<node_id>& half) {
    std::size_t n = 0;
    for (const node_id id : half) n += yes(id) ? 1U : 0U;
    return 2 * n > half.size();
  };
  return most_of(c.voters) && (c.outgoing.empty() || most_of(c.outgoing));
}

}  // namespace raft::testing
