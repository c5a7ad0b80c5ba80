#pragma once

// Clocks. Simulated time is a number of microseconds that only the simulation moves. Each server reads it through a
// face of its own, which may run faster or slower than the others and may jump forward; a face never goes back.

#include <cstdint>

#include <raft/policies.hpp>

namespace raft::testing {

/// A moment or a span of simulated time, in microseconds.
using instant = std::int64_t;

inline constexpr instant milliseconds_us = 1000;
inline constexpr instant never = INT64_MAX;

/// How one server's clock shows the time.
class clock_face {
 public:
  /// A face at its true rate.
  static constexpr std::int64_t true_rate = 1024;

  [[nodiscard]] constexpr instant local(instant real) const noexcept {
    return local_ + (real - real_) * rate_ / true_rate;
  }
  /// The first real moment at which the face shows at least `shown`; a moment that has passed if it showed that long
  /// ago.
  [[nodiscard]] constexpr instant real(instant shown) const noexcept {
    if (shown <= local_) return real_;
    return real_ + ((shown - local_) * true_rate + rate_ - 1) / rate_;
  }
  /// From `now` on the face runs at `rate` / true_rate. Precondition: rate >= 1.
  constexpr void set_rate(instant now, std::int64_t rate) noexcept {
    local_ = local(now);
    real_ = now;
    rate_ = rate;
  }
  /// The face jumps forward.
  constexpr void jump(instant by) noexcept { local_ += by; }

 private:
  instant real_ = 0;
  instant local_ = 0;
  std::int64_t rate_ = true_rate;
};

/// The Clock of a simulated server: a handle to its face and to the simulation's time, which must outlive it.
class sim_clock {
 public:
  using duration = instant;
  using time_point = instant;

  constexpr sim_clock(const clock_face& face, const instant& real) noexcept : face_(&face), real_(&real) {}
  [[nodiscard]] constexpr time_point now() const noexcept { return face_->local(*real_); }

 private:
  const clock_face* face_;
  const instant* real_;
};

static_assert(clock_policy<sim_clock>);

}  // namespace raft::testing
