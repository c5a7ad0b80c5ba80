#pragma once

// The tunables [floor 5], each with its unit and its default, and the relations between them, which `validate` checks
// together: one call, one error that names the relation that does not hold. ("Configuration" means membership.)
//
// Durations are those of the Clock. A `std::chrono::duration` works without <chrono> being included here; so does an
// integer, which then counts milliseconds.

#include <cstdint>
#include <limits>
#include <type_traits>

#include <raft/entry.hpp>
#include <raft/result.hpp>

namespace raft {

/// `n` milliseconds as a Duration: integers count milliseconds, chrono-like types are converted exactly (rounded down).
template <class Duration>
[[nodiscard]] constexpr Duration milliseconds(std::int64_t n) noexcept {
  if constexpr (std::is_arithmetic_v<Duration>) {
    return static_cast<Duration>(n);
  } else {
    using period = typename Duration::period;
    return Duration{static_cast<typename Duration::rep>(n * period::den / (1000 * period::num))};
  }
}

/// The number of ticks of its own unit in a duration.
template <class Duration>
[[nodiscard]] constexpr std::int64_t count_of(Duration d) noexcept {
  if constexpr (std::is_arithmetic_v<Duration>) {
    return static_cast<std::int64_t>(d);
  } else {
    return static_cast<std::int64_t>(d.count());
  }
}

/// A duration in milliseconds, rounded down; see `milliseconds`.
template <class Duration>
[[nodiscard]] constexpr std::int64_t count_of_milliseconds(Duration d) noexcept {
  if constexpr (std::is_arithmetic_v<Duration>) {
    return static_cast<std::int64_t>(d);
  } else {
    using period = typename Duration::period;
    return static_cast<std::int64_t>(d.count()) / period::den * 1000 * period::num +
           static_cast<std::int64_t>(d.count()) % period::den * 1000 * period::num / period::den;
  }
}

/// The duration of `n` ticks of its own unit.
template <class Duration>
[[nodiscard]] constexpr Duration duration_of(std::int64_t n) noexcept {
  if constexpr (std::is_arithmetic_v<Duration>) {
    return static_cast<Duration>(n);
  } else {
    return Duration{static_cast<typename Duration::rep>(n)};
  }
}

/// A moment that never comes.
template <class TimePoint>
[[nodiscard]] constexpr TimePoint never() noexcept {
  if constexpr (requires { TimePoint::max(); }) {
    return TimePoint::max();
  } else {
    return std::numeric_limits<TimePoint>::max();
  }
}

/// The priority of a server that is to lead as readily as any.
inline constexpr std::uint32_t highest_priority = 7;

namespace detail {

/// The longest election timeout: what is added up and multiplied of it fits in its type then, and in 64 bits.
template <class Duration>
[[nodiscard]] constexpr std::int64_t timeout_limit() noexcept {
  using rep = decltype(Duration{} / Duration{});  // of an integer and of a chrono-like duration alike
  constexpr std::int64_t wide = std::numeric_limits<std::int64_t>::max() / 2048;
  if constexpr (std::numeric_limits<rep>::digits < 52) {
    return std::numeric_limits<rep>::max() / 32;
  } else {
    return wide;
  }
}

}  // namespace detail

template <class Duration>
struct options {
  // ---- time [paper §5.2, §9.3]

  /// A follower that hears no leader campaigns after a time drawn anew, each time, from [min, max). Choose min well
  /// above a round trip plus a sync of the log; max at least min + a few round trips, so that draws differ. At most
  /// 2^52 ticks (50 days of nanoseconds), less where the duration is narrower than 64 bits.
  Duration election_timeout_min = milliseconds<Duration>(150);
  Duration election_timeout_max = milliseconds<Duration>(300);
  /// A leader that has nothing to send sends this often. At most half of election_timeout_min.
  Duration heartbeat_interval = milliseconds<Duration>(50);

  // ---- election

  /// Ask for a majority's consent before raising the term, so that a server that comes back from a partition does not
  /// depose a working leader [thesis 9.6].
  bool pre_vote = true;
  /// A leader that has not heard of a quorum within election_timeout_max steps down [thesis 6.2]; and servers that hear
  /// a leader refuse votes for election_timeout_min ("stickiness" [thesis 4.2.3]).
  bool check_quorum = true;

  // ---- reads [thesis 6.4]

  /// A leader answers reads without a round of messages, for as long as a quorum that it heard of has promised to vote
  /// for nobody else. Saves a round trip a read, and rests on clocks: with one that is worse than lease_clock_drift
  /// says, or stands still while the server sleeps, a read may be stale. Needs check_quorum. The same on every server
  /// of the cluster, since it is the others that keep the promise. A server that starts votes for nobody for
  /// election_timeout_min then: it does not remember what it promised. [thesis 6.4.1]
  /// A Clock that shows the time at which the loop looked last is late by up to a turn of the loop: a follower's
  /// promise then ends so much too early, a leader's lease so much too late. Turns of both together have to be shorter
  /// than what lease_clock_drift takes off (15 ms of 150), or the Clock has to look anew each time.
  bool lease_reads = false;
  /// The most reads that wait for an answer on one server; more are refused.
  std::uint32_t max_pending_reads = 65536;
  /// By how many thousandths the clocks of two servers may differ in their rate: while one of them shows 1000, the
  /// other one shows at least 1000 - lease_clock_drift. A lease lasts election_timeout_min less as much.
  std::uint32_t lease_clock_drift = 100;

  // ---- leadership [thesis 3.10]

  /// How readily this server stands for election, 0 to 7: for each level that it lacks it waits longer, by as much as
  /// election_timeout_min and max differ; what it lacks is halved (rounded down) by each timeout that passes without a
  /// leader. So a lower priority delays an election by eleven such differences at most, and never prevents it. It bears
  /// on nothing else: not on votes, not on a transfer.
  std::uint32_t priority = highest_priority;
  /// How many election timeouts in a row, without a leader, a server lets pass that would rather not lead: one that is
  /// evacuated, or whose state machine says so (`may_lead`). After that it stands like any other.
  std::uint32_t campaign_grace = 4;
  /// How long a transfer of leadership may take; then all is as before. Zero: election_timeout_max.
  Duration transfer_timeout = milliseconds<Duration>(0);
  /// While leadership is handed over proposals are refused (errc::transferring), or the target would never have all of
  /// them. True: only from when the target has what the log held at the beginning, which is a shorter time, and a
  /// longer transfer.
  bool propose_while_target_lags = false;

  // ---- replication [paper §5.3, thesis 10.2]

  /// The most entries and the most bytes (wire form) of one append_entries. One entry is sent whatever its size.
  std::uint32_t max_entries_per_append = 4096;
  std::uint32_t max_bytes_per_append = 1U << 20;
  /// The most append_entries messages, and bytes in them, under way to one follower.
  std::uint32_t max_inflight_messages = 64;
  std::uint64_t max_inflight_bytes = 16U << 20;
  /// While fewer messages than this are under way to a follower, what is proposed is sent at once; else it gathers
  /// until an acknowledgement, a full message or a tick. 1 batches best; more sends earlier.
  std::uint32_t eager_messages = 1;

  // ---- proposals and commit

  /// The largest payload of one proposal, in bytes.
  std::uint32_t max_entry_bytes = 16U << 20;
  /// A leader refuses proposals while more bytes (wire form) than this are appended and not committed.
  std::uint64_t max_uncommitted_bytes = 256U << 20;
  /// While commands of more bytes (wire form) than this are forwarded and have no fate, no more are. One always may be.
  std::uint64_t max_forwarded_bytes = 16U << 20;
  /// Tell followers a new commit index at once, by a message of its own, instead of with the next append or heartbeat:
  /// followers apply sooner, at the price of up to two more messages a follower for each commit.
  bool commit_at_once = false;
  /// The most bytes (wire form) handed to the state machine in one call into the node; the rest follows with the next
  /// call, and deadline() says that there is more. At least one entry is handed over.
  std::uint64_t max_apply_bytes = 4U << 20;

  // ---- membership [thesis 4.2.1]

  /// How many rounds of replication `add_server` gives a learner to complete one within election_timeout_min, and for
  /// how many election_timeout_max it may be silent, or have no more of the log or of the snapshot than before. 1 to
  /// 1000.
  std::uint32_t promotion_rounds = 10;

  // ---- snapshots [paper §7]

  /// The most snapshot bytes in one install_snapshot, and so in memory for it.
  std::uint32_t snapshot_chunk_bytes = 256U << 10;
  /// How many entries before a snapshot stay in the log, so that followers that lag a little need no snapshot.
  std::uint64_t trailing_entries = 1024;
  /// How many bytes (wire form) they may have: of more, the oldest go, too.
  std::uint64_t trailing_bytes = 64U << 20;
  /// The most snapshot bytes a second that a leader sends, to all followers together; zero: as fast as they take them.
  /// A loop that ticks at a fixed rate sends at most one chunk a tick then. Not for what the Transport carries itself.
  std::uint64_t snapshot_bytes_per_second = 0;
  /// How long a Transport that carries snapshots out of band has, since the last sign of life, before it is asked
  /// again. Also how long a follower that is sent a snapshot, by whatever way, may take nothing more of it in before a
  /// leader that wants to take the next one does so. At least election_timeout_max.
  Duration snapshot_carry_timeout = milliseconds<Duration>(60'000);
};

/// Whether the tunables make sense together; if not, the sentence names the relation that does not hold.
template <class Duration>
[[nodiscard]] constexpr result<void> validate(const options<Duration>& o) noexcept {
  constexpr auto broken = [](const char* relation) { return result<void>{errc::invalid_options, relation}; };
  const auto zero = duration_of<Duration>(0);
  constexpr std::int64_t limit = detail::timeout_limit<Duration>();
  if (!(o.heartbeat_interval > zero)) return broken("heartbeat_interval > 0");
  if (!(o.election_timeout_min < o.election_timeout_max)) {
    return broken("election_timeout_min < election_timeout_max");
  }
  if (count_of(o.election_timeout_max) > limit) return broken("election_timeout_max is too long to count with");
  if (o.election_timeout_max < o.heartbeat_interval ||
      o.election_timeout_min < o.heartbeat_interval + o.heartbeat_interval) {
    return broken("election_timeout_min >= 2 * heartbeat_interval");
  }
  if (o.lease_reads && !o.check_quorum) return broken("lease_reads needs check_quorum");
  if (o.max_pending_reads == 0) return broken("max_pending_reads >= 1");
  if (o.lease_clock_drift >= 1000) return broken("lease_clock_drift < 1000");
  if (o.priority > highest_priority) return broken("priority <= 7");
  if (o.transfer_timeout < zero) return broken("transfer_timeout >= 0");
  if (count_of(o.transfer_timeout) > limit) return broken("transfer_timeout is too long to count with");
  if (o.max_entries_per_append == 0) return broken("max_entries_per_append >= 1");
  if (o.max_bytes_per_append < entry_header_bytes) return broken("max_bytes_per_append >= one entry's header");
  if (o.max_inflight_messages == 0 || o.max_inflight_messages > 65536) {
    return broken("1 <= max_inflight_messages <= 65536");
  }
  if (o.eager_messages == 0 || o.eager_messages > o.max_inflight_messages) {
    return broken("1 <= eager_messages <= max_inflight_messages");
  }
  if (o.max_inflight_bytes < o.max_bytes_per_append) return broken("max_inflight_bytes >= max_bytes_per_append");
  if (o.max_entry_bytes > entry_payload_limit) return broken("max_entry_bytes <= 2^30");
  if (o.max_uncommitted_bytes < entry_bytes(o.max_entry_bytes)) {
    return broken("max_uncommitted_bytes >= one entry of max_entry_bytes");
  }
  if (o.promotion_rounds == 0 || o.promotion_rounds > 1000) return broken("1 <= promotion_rounds <= 1000");
  if (o.max_apply_bytes == 0) return broken("max_apply_bytes >= 1");
  if (o.snapshot_chunk_bytes == 0) return broken("snapshot_chunk_bytes >= 1");
  if (o.snapshot_carry_timeout < o.election_timeout_max) {
    return broken("snapshot_carry_timeout >= election_timeout_max");
  }
  return {};
}

}  // namespace raft
