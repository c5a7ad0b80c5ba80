#pragma once

// How fast the bytes of snapshots may leave [floor 2]: a limit in bytes a second of the Clock's time, for all followers
// together. A plain value; who asks it is impl/snapshot.hpp.
//
// What was sent is paid for with time: the next piece may leave when those before it are paid. Who is late, because it
// slept or ticks at a fixed rate, may make up for at most `slack`. So in any time t there leave at most
// limit * (t + slack) bytes, and one piece.

#include <cstdint>

namespace raft {

template <class TimePoint>
class pace {
 public:
  /// When the next piece may leave.
  [[nodiscard]] constexpr TimePoint free_at() const noexcept { return free_at_; }

  /// How many ticks of time so many bytes cost, `second` being the ticks of a second. What is less than a tick is not
  /// forgotten. Precondition: bytes_per_second is not zero.
  constexpr std::uint64_t price(std::uint32_t bytes, std::uint64_t bytes_per_second, std::uint64_t second) noexcept {
    owed_ += bytes * second;
    const std::uint64_t ticks = owed_ / bytes_per_second;
    owed_ %= bytes_per_second;
    return ticks;
  }

  /// A piece of that price leaves now. Precondition: now is not before free_at().
  template <class Duration>
  constexpr void pay(TimePoint now, Duration price, Duration slack) noexcept {
    if (slack < now - free_at_) free_at_ = now;
    free_at_ = free_at_ + price;
  }

  /// Its canonical form (canonical.hpp); `time` writes a moment.
  template <class Writer, class Time>
  constexpr void canonical(Writer& w, const Time& time) const {
    const auto& [free_at, owed] = *this;
    time(free_at);
    w(owed);
  }

 private:
  TimePoint free_at_{};
  std::uint64_t owed_ = 0;  ///< Bytes times ticks, less than what a tick pays.
};

}  // namespace raft
