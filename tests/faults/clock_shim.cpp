// Loaded before the C library (LD_PRELOAD), it answers a server's questions for the time as the run wants: the wall
// clock with a step, the steady clock with a rate and jumps of its own. The machine's clocks are not touched.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>

#include "clock_page.hpp"

namespace {

faults::clock_page* page() {
  static faults::clock_page* const at = [] {
    const char* name = std::getenv("RAFT_CLOCK_PAGE");
    const int file = name == nullptr ? -1 : ::open(name, O_RDWR | O_CLOEXEC);
    if (file < 0) return static_cast<faults::clock_page*>(nullptr);
    void* mapped = ::mmap(nullptr, sizeof(faults::clock_page), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    ::close(file);
    return mapped == MAP_FAILED ? nullptr : static_cast<faults::clock_page*>(mapped);
  }();
  return at;
}

std::int64_t nanoseconds(const timespec& t) { return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec; }

timespec as_timespec(std::int64_t n) { return {n / 1'000'000'000, n % 1'000'000'000}; }

}  // namespace

extern "C" {

int clock_gettime(clockid_t which, timespec* out) noexcept {
  const long failed = ::syscall(SYS_clock_gettime, which, out);
  faults::clock_page* const p = page();
  if (failed != 0 || p == nullptr) return static_cast<int>(failed);
  if (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE) {
    *out = as_timespec(nanoseconds(*out) + p->wall_offset.load());
    p->wall_reads.fetch_add(1, std::memory_order_relaxed);
  } else if (which == CLOCK_MONOTONIC || which == CLOCK_MONOTONIC_COARSE) {
    *out = as_timespec(p->steady(nanoseconds(*out)));
    p->steady_reads.fetch_add(1, std::memory_order_relaxed);
  }
  return 0;
}

int gettimeofday(timeval* out, void*) noexcept {
  timespec now{};
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  *out = {now.tv_sec, now.tv_nsec / 1000};
  return 0;
}

time_t time(time_t* out) noexcept {
  timespec now{};
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}

}  // extern "C"
