#pragma once

// What a leader knows of one other member [floor 3], and how it may send to it.
//
//   probe      the place where the logs meet is being looked for: one append under way at a time
//   replicate  it is known: appends are sent ahead of their acknowledgements, within the limits
//   snapshot   what the member lacks is compacted: chunks of the snapshot, one under way at a time
//   lost       the member came back without entries that it had acknowledged: it gets nothing but heartbeats
//
// Invariants: match < next; match never falls within a term; in `replicate` everything in [match + 1, next - 1] is
// under way; outside `replicate` nothing is.

#include <cstdint>

#include <raft/types.hpp>
#include <raft/window.hpp>

namespace raft {

enum class progress_state : std::uint8_t { probe, replicate, snapshot, lost };

template <class TimePoint>
struct progress {
  node_id id{};
  index_t match{};  ///< Everything up to here is known to be equal and durable there [Fig. 2, matchIndex].
  index_t next{};   ///< The next entry to send [Fig. 2, nextIndex].
  progress_state state = progress_state::probe;
  window inflight{};              ///< Appends with entries that are not acknowledged yet.
  bool look = true;               ///< Something changed since it was last looked at whether anything is to be sent.
  bool waiting = false;           ///< probe, snapshot: a message is under way, nothing follows until its answer.
  bool prompt = true;             ///< Something new is to be sent without waiting for a full message.
  bool heartbeat = false;         ///< Something has to be sent even if there is nothing new.
  std::uint64_t round = 0;        ///< The latest round of the leader that it has echoed.
  std::uint64_t suspicion = 0;    ///< Not zero: an answer to this round or a later one tells whether its log was lost.
  std::uint64_t sent_bytes = 0;   ///< The leader's count of appended bytes when everything had been sent.
  index_t told_commit{};          ///< The highest commit index sent.
  std::uint64_t snapshot_id = 0;  ///< snapshot: which one is being sent,
  std::uint64_t snapshot_offset = 0;  ///< and how many of its bytes the member has.
  bool requested = false;             ///< snapshot: the member asked for it, and nothing else ends it.
  bool carried = false;               ///< snapshot: the Transport carries it, out of band.
  bool passed_over = false;           ///< It let a transfer of leadership pass: others are preferred to it.
  TimePoint sent_at{};                ///< snapshot: when the chunk under way was sent.
  TimePoint moved_at{};               ///< snapshot: when snapshot_offset moved last.
  TimePoint heard_at{};               ///< When the latest answer came; at the start of the term, then.

  [[nodiscard]] constexpr bool wants_chunk() const noexcept { return state == progress_state::snapshot && !waiting; }

  constexpr void become_probe(index_t from) {
    state = progress_state::probe;
    next = from > match ? from : match.next();
    waiting = false;
    prompt = true;
    inflight.clear();
  }

  constexpr void become_replicate() {
    state = progress_state::replicate;
    next = match.next();
    waiting = false;
    prompt = true;
    suspicion = 0;
    requested = false;
    inflight.clear();
  }

  constexpr void become_snapshot(std::uint64_t id_of_snapshot, TimePoint now) {
    state = progress_state::snapshot;
    snapshot_id = id_of_snapshot;
    snapshot_offset = 0;
    moved_at = now;
    carried = false;
    waiting = false;
    inflight.clear();
  }

  /// snapshot: the member has so many bytes of it.
  constexpr void has_bytes(std::uint64_t offset, TimePoint now) {
    if (offset != snapshot_offset) moved_at = now;
    snapshot_offset = offset;
  }

  constexpr void become_lost() {
    state = progress_state::lost;
    waiting = false;
    inflight.clear();
  }
};

}  // namespace raft
