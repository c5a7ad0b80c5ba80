#pragma once

// Times, and what is made of them.

#include <time.h>

#include <algorithm>
#include <vector>

namespace bench {

/// Nanoseconds of a clock of the operating system.
inline double now(clockid_t clock) noexcept {
  timespec t{};
  clock_gettime(clock, &t);
  return 1e9 * static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec);
}

/// Nanoseconds that this thread computed for `work()`. What other programs took from it is not in it.
template <class Work>
double time_of(Work&& work) {
  const double begin = now(CLOCK_THREAD_CPUTIME_ID);
  work();
  return now(CLOCK_THREAD_CPUTIME_ID) - begin;
}

/// Nanoseconds that passed during `work()`: for work that waits for a disk.
template <class Work>
double wall_time_of(Work&& work) {
  const double begin = now(CLOCK_MONOTONIC);
  work();
  return now(CLOCK_MONOTONIC) - begin;
}

/// Measurements of one thing. The questions need at least one.
class samples {
 public:
  void add(double value) { values_.push_back(value); }
  [[nodiscard]] double best() const { return *std::min_element(values_.begin(), values_.end()); }
  [[nodiscard]] double median() const {
    auto sorted = values_;
    std::sort(sorted.begin(), sorted.end());
    const auto middle = sorted.size() / 2;
    return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }

 private:
  std::vector<double> values_{};
};

}  // namespace bench
