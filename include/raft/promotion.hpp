#pragma once

// What a leader knows of a server that it makes a voter [floor 5] [thesis 4.2.1]. A plain value; who fills it is
// impl/promotion.hpp.
//
//   add_server -> (a learner) -> rounds, each of which sends what the log held when it began -> (a voter) -> its fate
//
// A round that took less than an election timeout shows that the server will not hold the cluster up when it votes.
// It is the leader's alone: it ends with the leadership, and the next leader knows nothing of it.

#include <cstdint>

#include <raft/outcome.hpp>
#include <raft/types.hpp>

namespace raft {

/// Invariant: while none is under way, target is nobody.
template <class TimePoint>
struct promotion {
  enum class stage : std::uint8_t {
    added,     ///< The learner is in the log; its entry is not committed.
    rounds,    ///< It catches up.
    promoted,  ///< The voter is in the log; its entry is not committed.
  };
  node_id target{};  ///< Nobody: none is under way.
  stage at{};
  index_t goal{};          ///< rounds: where the log ended when the present one began,
  TimePoint began{};       ///< and when that was.
  std::uint32_t round{};   ///< Which one it is, from 1 on.
  promotion_fate ended{};  ///< Not zero: how it ended, which is not told yet.

  [[nodiscard]] constexpr bool under_way() const noexcept { return target != nobody; }
  [[nodiscard]] constexpr bool pursued() const noexcept { return under_way() && ended == promotion_fate{}; }
  constexpr void begin_round(index_t last, TimePoint now) noexcept {
    at = stage::rounds;
    goal = last;
    began = now;
    ++round;
  }
};

}  // namespace raft
