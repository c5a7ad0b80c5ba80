#pragma once

// What a Log keeps besides the entries [floor 4]: Figure 2's persistent state and the place of the snapshot.

#include <cstdint>

#include <raft/configuration.hpp>
#include <raft/types.hpp>

namespace raft {

/// currentTerm and votedFor [Fig. 2, persistent state], and a hint.
struct hard_state {
  term_t current_term{};
  node_id voted_for{};  ///< In current_term; nobody if no vote was given.
  /// An index known to be committed and durable when this was stored. It may lag behind, and may be zero: it only lets
  /// a restarted server apply sooner.
  index_t commit_hint{};
  friend constexpr bool operator==(const hard_state&, const hard_state&) = default;
};

/// The place of a snapshot: what it replaces, and who the members were there.
struct snapshot_meta {
  index_t index{};  ///< The last entry that it covers; zero: no snapshot, only the initial configuration.
  term_t term{};    ///< That entry's term.
  raft::configuration configuration{};  ///< The latest configuration at or below index.
  std::uint64_t size = 0;               ///< Bytes of the state machine's image.
  std::uint64_t id = 0;                 ///< Equal ids (of one index) mean equal bytes; a Log derives it from the bytes.
  friend constexpr bool operator==(const snapshot_meta&, const snapshot_meta&) = default;
};

/// A snapshot that is being written, from the state machine or from the leader; survives a restart of a durable Log.
struct partial_snapshot {
  snapshot_meta meta{};        ///< As given to begin_snapshot; index zero if nothing is being written.
  std::uint64_t received = 0;  ///< How many of its bytes are there, from the first on.
};

}  // namespace raft
