#pragma once

// What a node knows of a leadership that it hands over, and of its own wish to lead [floor 6]. Plain values; who fills
// them is impl/leadership.hpp.
//
// A transfer goes: begun -> (the target caught up) -> the target asked by timeout_now -> ended, in one transfer_fate.
// It outlives the leadership that began it: only the next leader shows how it ended.

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include <raft/configuration.hpp>
#include <raft/options.hpp>
#include <raft/outcome.hpp>
#include <raft/progress.hpp>
#include <raft/result.hpp>
#include <raft/types.hpp>

namespace raft {

/// Invariant: while no transfer is under way, target is nobody and neither `refuses` nor `asked` holds.
template <class TimePoint>
struct transfer {
  node_id target{};         ///< Nobody: none is under way.
  term_t term{};            ///< In which it began.
  index_t goal{};           ///< Where the log ended when it began: from there on proposals are refused at the latest.
  TimePoint deadline{};     ///< It ends then, whatever happens.
  bool refuses = false;     ///< Proposals are refused, so that the target catches up for good.
  bool asked = false;       ///< The target was asked to stand since the last heartbeat,
  bool ever_asked = false;  ///< or at any time.

  [[nodiscard]] constexpr bool under_way() const noexcept { return target != nobody; }
  /// What those are told who ask for something that has to wait for its end.
  [[nodiscard]] constexpr error refusal() const noexcept {
    return {errc::transferring, target, 0, "leadership is being handed over"};
  }

  /// Precondition: none is under way.
  constexpr void begin(node_id to, term_t in, index_t end_of_log, TimePoint until, bool refuse_at_once) noexcept {
    *this = {to, in, end_of_log, until, refuse_at_once, false, false};
  }
  constexpr void end() noexcept { *this = {}; }
};

/// Whether a peer may be handed leadership: a voter of the configuration, of the incoming half of a joint one.
template <class TimePoint>
[[nodiscard]] constexpr bool may_take_over(const progress<TimePoint>& p, const configuration& c) noexcept {
  return p.state != progress_state::lost && configuration::holds(c.voters, p.id);
}

/// Of the peers that may take over and were heard less than `limit` ago the one that has the most of the log, the
/// smallest id among equals; one that let a transfer pass only if there is no other. Nobody if there is none. O(peers).
template <class TimePoint, class Duration>
[[nodiscard]] constexpr node_id best_successor(const std::vector<progress<TimePoint>>& peers, const configuration& c,
                                               TimePoint now, Duration limit) noexcept {
  const progress<TimePoint>* best = nullptr;
  const auto rank = [](const progress<TimePoint>& p) { return std::pair{!p.passed_over, p.match}; };
  for (const auto& p : peers) {
    if (!may_take_over(p, c) || now - p.heard_at >= limit) continue;
    if (best == nullptr || rank(p) > rank(*best)) best = &p;
  }
  return best == nullptr ? nobody : best->id;
}

/// Why a server that could stand for election lets others go first. None of it lasts: every election timeout without a
/// leader counts down to the moment when it stands like any other, so that no wish costs the cluster its leader.
struct reluctance {
  std::uint32_t silent = 0;  ///< Election timeouts in a row without a leader.
  bool evacuating = false;

  /// There is a leader: what counted down begins anew. True if that changes how long this server waits.
  constexpr bool end_silence(std::uint32_t configured) noexcept {
    return std::exchange(silent, 0) != 0 && configured != highest_priority;
  }
  /// The server's priority, as far as it still counts: what is missing to the highest one is halved by each timeout.
  [[nodiscard]] constexpr std::uint32_t priority(std::uint32_t configured) const noexcept {
    return highest_priority - ((highest_priority - configured) >> (silent < 31 ? silent : 31));
  }
};

}  // namespace raft
