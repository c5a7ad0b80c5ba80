#pragma once

// What a leader knows of a server that it makes a voter [floor 5] [thesis 4.2.1]. A plain value; who fills it is
// impl/promotion.hpp.
//
//   add_server -> (a learner) -> rounds, each of which sends what the log held when it began -> (a voter) -> its fate
//
// A round that took less than an election timeout shows that the server will not hold the cluster up when it votes.
// There is a limited number of them, and each ends: a server that comes no further for too long, answering or not, is
// given up. It is the leader's alone: it ends with the leadership, and the next leader knows nothing of it.

#include <cstdint>

#include <raft/outcome.hpp>
#include <raft/types.hpp>

namespace raft {

/// Invariant: while none is under way, target is nobody.
template <class TimePoint>
struct promotion {
  node_id target{};        ///< Nobody: none is under way.
  std::uint32_t round{};   ///< Which one it is, from 1 on; none while the learner is not committed.
  index_t goal{};          ///< Where the log ended when the round began,
  TimePoint began{};       ///< and when that was.
  index_t match{};         ///< How much of the log the server has had at the most since the first one,
  std::uint64_t offset{};  ///< and of the snapshot that leads to more of it,
  TimePoint moved_at{};    ///< and when it came so far.
  promotion_fate ended{};  ///< Not zero: how it ended, which is not told yet.

  [[nodiscard]] constexpr bool under_way() const noexcept { return target != nobody; }
  [[nodiscard]] constexpr bool pursued() const noexcept { return under_way() && ended == promotion_fate{}; }
  constexpr void begin_round(index_t last, TimePoint now) noexcept {
    goal = last;
    began = now;
    if (round++ == 0) moved_at = now;
  }
  /// The server has so much of the log, and so many bytes of a snapshot.
  constexpr void note(index_t so_far, std::uint64_t bytes, TimePoint now) noexcept {
    if (so_far < match || (so_far == match && bytes <= offset)) return;
    match = so_far;
    offset = bytes;
    moved_at = now;
  }
};

}  // namespace raft
