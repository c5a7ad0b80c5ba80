#pragma once

// What a node is told besides messages, and what it answers to those who ask something of it [floor 4]: local events,
// the place of a proposal, and the fates in which proposals and reads end. Plain values.

#include <cstddef>
#include <cstdint>

#include <raft/configuration.hpp>
#include <raft/some_servers.hpp>
#include <raft/types.hpp>

namespace raft {

/// A local event: the Log's writes with marks in [first, last] are durable. Marks may be reported in any order.
struct persisted {
  mark_t first{};
  mark_t last{};
};

/// A local event, of a state machine that applies elsewhere: it has executed all entries up to index.
struct applied {
  index_t index{};
};

/// A local event: all bytes of the snapshot that was begun at this index were given to `write_snapshot`. Refused with
/// errc::not_ready while a follower is being sent the present one: report it again later. With errc::compacted (as
/// `write_snapshot` is) if a leader's snapshot took its place. After any other error, and a restart, it is gone.
struct snapshot_written {
  index_t index{};
};

/// A local event: the snapshot that was begun at this index will not be written to its end.
struct snapshot_abandoned {
  index_t index{};
};

/// A local event, of a Transport that carries snapshots out of band: it has brought this one over, or given up. The
/// leader then waits for the follower's own word, and asks the Transport again if there is none in time; after a
/// failure it does so after an election timeout. Late and doubled words do no harm.
struct snapshot_carried {
  node_id to{};
  std::uint64_t id = 0;  ///< Of the snapshot, as in the head.
  bool arrived = false;
};

/// A local event, of a state machine that restores elsewhere: its state is that of the snapshot at this index. Until
/// then nothing is applied, and all else goes on. If another snapshot took that one's place meanwhile, this is ignored,
/// and `begin_restore` is or will be called again.
struct restored {
  index_t index{};
};

/// A local event, of a Log that answered errc::not_at_hand: the entries in [first, last] are at hand now.
/// What waited for them goes on, to be applied or to be sent.
struct fetched {
  index_t first{};
  index_t last{};
};

/// What became of a proposal that was not refused.
enum class fate : std::uint8_t {
  applied = 1,  ///< Committed, and given to this node's state machine.
  dropped,      ///< Another entry was committed in its place: it is not executed anywhere and never will be.
  unknown,      ///< It may or may not be executed: leadership was lost, and its end is out of sight.
};

/// What became of a read that was not refused.
enum class read_fate : std::uint8_t {
  ready = 1,  ///< The state machine now shows everything that was committed when the read was asked.
  dropped,    ///< Leadership was lost before it was confirmed; ask again elsewhere.
};

/// How the handing over of leadership ended, see `node::transfer_leadership`.
enum class transfer_fate : std::uint8_t {
  done = 1,   ///< The target leads.
  timed_out,  ///< Its time was over first; whoever leads goes on. A target that was asked to stand may do so yet.
  aborted,    ///< Leadership was lost to somebody else, or the target may not lead any more.
};

/// How making a server a voter ended, see `node::add_server`.
enum class promotion_fate : std::uint8_t {
  promoted = 1,  ///< It votes, and that is committed.
  too_slow,      ///< No round of options.promotion_rounds was fast enough, or it was silent, or answered and came no
                 ///< further, for so many election timeouts. It is a learner.
  aborted,       ///< Leadership was lost, or it was removed, or lost its log. The configuration tells what it is.
};

/// Where a proposal stands in the log; it is done when an entry with this index AND this term is applied.
struct proposal {
  index_t index{};
  term_t term{};
  friend constexpr bool operator==(const proposal&, const proposal&) = default;
};

/// What a membership change would do; see `node::preview_change`.
struct change_preview {
  raft::configuration next{};  ///< The configuration that would be appended.
  /// Whether a quorum of it has answered within the last election timeout, this node included. If not, nothing would
  /// commit after the change until more of its members are up.
  bool quorum_is_heard = false;
  some_servers not_heard{};         ///< Voters of it (of either half) that have not answered for so long,
  std::size_t more_are_needed = 0;  ///< and how many of them have to, at least, before anything commits.
};

}  // namespace raft
