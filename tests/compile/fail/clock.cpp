// A Clock compiles as it is; each case takes one requirement away. See ../run.py.
//
// case LACKS_DURATION: has_durations
// case LACKS_DURATION: a Clock needs: a duration that is an integer or has count(), rep and period
// case DURATION_IS_NO_NUMBER: has_durations
// case DURATION_IS_NO_NUMBER: a Clock needs: a duration that is an integer or has count(), rep and period
// case LACKS_NOW: tells_time
// case LACKS_NOW: c.now()
// case LACKS_NOW: a Clock needs: time_point now() const, with time_point arithmetic
// case NOW_IS_NOT_CONST: tells_time
// case NOW_IS_NOT_CONST: a Clock needs: time_point now() const, with time_point arithmetic
// case LACKS_TIME_POINT: tells_time
// case LACKS_TIME_POINT: a Clock needs: time_point now() const, with time_point arithmetic
#include <cstdint>

#include <raft/policies.hpp>

struct my_clock {
#if defined(DURATION_IS_NO_NUMBER)
  struct duration {};
#elif !defined(LACKS_DURATION)
  using duration = std::int64_t;
#endif
#ifndef LACKS_TIME_POINT
  using time_point = std::int64_t;
#endif
#if defined(NOW_IS_NOT_CONST)
  std::int64_t now() { return 0; }
#elif !defined(LACKS_NOW)
  std::int64_t now() const { return 0; }
#endif
};

static_assert(raft::clock_policy<my_clock>);
static_assert(raft::explain_clock<my_clock>());
