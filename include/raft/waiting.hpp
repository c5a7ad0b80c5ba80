#pragma once

// What waits inside a node for something to happen later [floor 6]: messages for the writes that they speak for, and
// proposals for their fate. Plain values; who fills and empties them is impl/settle.hpp and impl/proposal.hpp.

#include <cstddef>
#include <cstdint>
#include <utility>

#include <raft/message.hpp>
#include <raft/storage.hpp>
#include <raft/types.hpp>

namespace raft::waiting {

/// Which writes a message speaks for: the term and vote alone, or all that was written up to its input.
enum class speaks_for : std::uint8_t { term_and_vote, everything };

/// A message that has not left.
struct outgoing {
  template <class Body>
  constexpr outgoing(node_id from, node_id to, term_t term, const Body& body, speaks_for what_for)
      : what{from, to, term, message_body{std::in_place_type<Body>, body}}, about(what_for) {}
  message what;
  speaks_for about;
  mark_t mark{};  ///< It leaves when all writes up to this one are durable.
  bool stamped = false;
};

/// How many of them wait at most. What others send must not fill the memory of a server whose disk stalls; and any
/// message may be lost.
inline constexpr std::size_t most_outgoing = 4096;

/// What was proposed during one leadership and has no fate yet: fates are given in order, so a range tells it.
template <class TimePoint>
struct proposals {
  term_t term{};
  index_t first{};      ///< The first without a fate.
  index_t last{};       ///< The last proposed.
  TimePoint give_up{};  ///< When the rest is unknown, after the leadership has ended.
};

/// Snapshots that somebody works on, by their index; zero: none.
struct snapshots {
  bool to_restore = false;   ///< One was installed; the state machine does not have it yet,
  mark_t restore_mark{};     ///< and does not get it before this write is durable.
  index_t restoring{};       ///< A state machine is being filled from it elsewhere.
  index_t own{};             ///< Being written of the own state.
  snapshot_meta own_meta{};  ///< Its place, or the last one's: memory that is kept.
  /// A leader is asked for one at this index or behind; until it is there nothing is applied. Should this node be
  /// elected meanwhile, it commits and applies nothing, and hands over with its first heartbeat.
  index_t wanted{};
  std::uint64_t asked_in = 0;  ///< The round of the leader in which it was asked last.
};

}  // namespace raft::waiting
