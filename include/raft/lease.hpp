#pragma once

// The two halves of a lease [floor 2] [thesis 6.4.1]: for how long a leader may believe that nobody else leads, and for
// how long a server that heard it votes for nobody else. Used only where options.lease_reads is on.
//
//     leader     S = a round begins ------------ a quorum has echoed it: nobody else leads before S + length
//     follower           R = its message arrives: no vote for another before R + election_timeout_min
//
// S is before R, and `length` is election_timeout_min less what clocks may differ in that time, so the lease is over
// before the first promise of that quorum is. Whoever is elected later needs a vote of somebody in that quorum.
//
// Invariants: `from` is the beginning of a round that a quorum echoed; a lease that is over for good stays so.

#include <cstdint>

#include <raft/types.hpp>

namespace raft {

/// The leader's half; it begins with the leadership and dies with it.
template <class TimePoint>
class lease {
 public:
  /// A round begins at `now`. One round at a time is watched: a lease is renewed once a round trip.
  constexpr void begin_round(std::uint64_t round, TimePoint now) noexcept {
    if (watched_ != 0) return;
    watched_ = round;
    watched_from_ = now;
  }

  /// A quorum has echoed every round up to this one.
  constexpr void confirm(std::uint64_t round) noexcept {
    if (watched_ == 0 || round < watched_) return;
    watched_ = 0;
    from_ = watched_from_;
    held_ = !over_;
  }

  /// Whether nobody else can lead at `now`, `length` being how long a lease lasts. A clock that went back since the
  /// last question has lost count of the time: the lease is over until another round is echoed.
  template <class Duration>
  [[nodiscard]] constexpr bool holds(TimePoint now, Duration length) noexcept {
    if (now < latest_ || now < from_) held_ = false;
    latest_ = now;
    return held_ && now - from_ < length;
  }

  /// It ends at once. What was echoed until now, or is under way in the round `latest`, does not bring it back.
  constexpr void end() noexcept {
    held_ = false;
    watched_ = 0;
  }

  /// It ends, and none follows in this leadership: another server was told that it may stand at once.
  constexpr void end_for_good() noexcept {
    end();
    over_ = true;
  }

  [[nodiscard]] constexpr bool is_over() const noexcept { return over_; }

  /// Its canonical form (canonical.hpp); `time` writes a moment.
  template <class Writer, class Time>
  constexpr void canonical(Writer& w, const Time& time) const {
    const auto& [watched, watched_from, from, latest, held, over] = *this;
    w(watched, held, over);
    if (watched != 0) time(watched_from);
    if (held) {
      time(from);
      time(latest);
    }
  }

 private:
  std::uint64_t watched_ = 0;  ///< The round that renews the lease when it is echoed; zero: none is under way.
  TimePoint watched_from_{};
  TimePoint from_{};    ///< When the latest echoed one of those rounds began.
  TimePoint latest_{};  ///< The latest moment at which the lease was asked for.
  bool held_ = false;
  bool over_ = false;
};

/// The voter's half; it outlives roles and terms. A server that starts promises as if it had heard some leader at that
/// moment, since it does not remember whom it heard before.
template <class TimePoint>
struct vote_promise {
  node_id leader{};  ///< Who alone may be voted for; nobody after a start.
  TimePoint until{};
  bool given = false;

  constexpr void give(node_id to, TimePoint end) noexcept { *this = {to, end, true}; }
  [[nodiscard]] constexpr bool binds(node_id candidate, TimePoint now) const noexcept {
    return given && now < until && candidate != leader;
  }
};

}  // namespace raft
