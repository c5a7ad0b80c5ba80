#pragma once

// What the explorer's invariants look at [battery, part of explorer.hpp]: the facts of one server, taken once for each
// state of it; and the history, which no server knows by itself: who led each term, and what was ever committed.

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <raft/testing/explorer_hash.hpp>
#include <raft/testing/explorer_server.hpp>

namespace raft::testing {

/// The hash of a state machine's state.
template <class Machine>
[[nodiscard]] hash128 hash_of_state(const Machine& machine) {
  canonical_writer w;
  machine.canonical(w);
  return hash_of(w.bytes(), 1);
}

/// An entry as far as invariants compare it.
struct entry_facts {
  term_t term{};
  hash128 hash{};  ///< Of all that it is.
  entry_kind kind{};
  std::vector<std::byte> data{};
};

/// A log, as it lies in memory or as it lies on the disk.
struct log_facts {
  index_t base{};      ///< The index before the first entry,
  term_t base_term{};  ///< and its term.
  std::vector<entry_facts> held{};

  [[nodiscard]] index_t last() const noexcept { return base + held.size(); }
  [[nodiscard]] term_t last_term() const noexcept { return held.empty() ? base_term : held.back().term; }
  [[nodiscard]] bool holds(index_t i) const noexcept { return base < i && i <= last(); }
  /// Precondition: holds(i).
  [[nodiscard]] const entry_facts& at(index_t i) const noexcept { return held[i - base - 1]; }
};

struct match_facts {
  node_id id{};
  index_t match{};
  index_t next{};
};

struct server_facts {
  node_id id{};
  role_kind role{};
  term_t term{};
  node_id durable_vote{};  ///< In durable_term.
  term_t durable_term{};
  index_t commit{};
  index_t applied{};
  bool failed = false;
  log_facts log{};
  log_facts disk{};
  configuration members{};
  index_t members_index{};
  snapshot_meta snapshot{};
  std::vector<match_facts> matches{};  ///< Of a leader.
  std::size_t waiting = 0;             ///< Messages that wait for its disk.
  hash128 machine{};
};

inline log_facts facts_of_log(const memory_log& log) {
  log_facts f;
  f.base = log.first_index().previous();
  f.base_term = log.term_at(f.base);
  if (log.last_index() == f.base) return f;
  log.for_each(f.base.next(), log.last_index(), [&f](const entry& e) {
    canonical_writer w;
    canonical(w, e);
    f.held.push_back({e.term, hash_of(w.bytes(), e.index.value), e.kind, {e.data.begin(), e.data.end()}});
  });
  return f;
}

template <class Node>
[[nodiscard]] server_facts facts_of(const Node& n) {
  const auto status = n.status();
  server_facts f;
  f.id = n.id();
  f.role = n.role();
  f.term = n.term();
  const hard_state durable = n.log().disk().hard_state();
  f.durable_vote = durable.voted_for;
  f.durable_term = durable.current_term;
  f.commit = n.commit_index();
  f.applied = n.last_applied();
  f.failed = n.failed();
  f.log = facts_of_log(n.log().image());
  f.disk = facts_of_log(n.log().disk());
  f.members = n.configuration();
  f.members_index = status.configuration_index;
  f.snapshot = n.log().snapshot();
  for (const auto& p : status.peers) f.matches.push_back({p.id, p.match, p.next});
  f.waiting = status.waiting_messages;
  f.machine = hash_of_state(n.machine().inner);
  return f;
}

/// What was ever committed at one index, and under whom.
struct explored_entry {
  entry_facts entry{};
  term_t under{};           ///< The term of the server that first knew of it.
  hash128 state{};          ///< A state machine that has executed everything up to here.
  configuration members{};  ///< The latest configuration up to here.
};

/// What is true of the past and no server remembers: it survives every crash.
template <class Machine>
struct explored_history {
  std::vector<node_id> leaders{};           ///< Of each term from 1 on; nobody: none.
  std::vector<explored_entry> committed{};  ///< From index 1 on.
  configuration initial{};
  Machine machine{};  ///< After all that is committed.

  [[nodiscard]] index_t length() const noexcept { return index_t{committed.size()}; }
  [[nodiscard]] const explored_entry& at(index_t i) const noexcept { return committed[i.value - 1]; }
  [[nodiscard]] term_t term_at(index_t i) const noexcept { return i == index_t{} ? term_t{} : at(i).entry.term; }
  [[nodiscard]] const configuration& members_at(index_t i) const noexcept {
    return i == index_t{} ? initial : at(i).members;
  }
  [[nodiscard]] hash128 state_at(index_t i) const { return i == index_t{} ? hash_of_state(Machine{}) : at(i).state; }

  /// Takes in what a server's state adds. What contradicts it is left for the invariants to find.
  void take(const server_facts& f) {
    if (f.role == role_kind::leader) {
      if (leaders.size() < f.term.value) leaders.resize(f.term.value);
      node_id& leader = leaders[f.term.value - 1];
      if (leader == nobody) leader = f.id;
    }
    while (length() < f.commit && f.log.holds(length().next())) {
      const index_t i = length().next();
      const entry_facts& e = f.log.at(i);
      if (e.kind == entry_kind::command) machine.apply({i, e.term, e.kind, e.data});
      configuration members = members_at(length());
      if (e.kind == entry_kind::configuration) {
        if (auto next = decode_configuration(e.data)) members = *std::move(next);
      }
      committed.push_back({e, f.term, hash_of_state(machine), std::move(members)});
    }
  }

  template <class Writer>
  void canonical(Writer& w) const {
    w(leaders.size());
    for (const node_id id : leaders) w(id);
    w(committed.size());
    for (const explored_entry& c : committed) {
      raft::canonical(w, entry{{}, c.entry.term, c.entry.kind, c.entry.data});
      w(c.under);
    }
  }
};

/// How many entries from the first on a log has in common with what was committed.
template <class Machine>
[[nodiscard]] index_t common_with(const explored_history<Machine>& h, const log_facts& log) {
  index_t i = log.base;
  while (i < h.length() && log.holds(i.next()) && log.at(i.next()).hash == h.at(i.next()).entry.hash) i = i.next();
  return i;
}

}  // namespace raft::testing
