#pragma once

// What many runs came to, as a table.

#include <algorithm>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>

#include <raft/testing/simulation.hpp>

namespace raft::testing {

class summary {
 public:
  void add(const outcome& o) {
    ++runs_;
    events_ += o.events;
    committed_ += o.committed;
    simulated_ += o.at;
    if (o.found) {
      ++broken_;
      ++by_invariant_[o.found->invariant];
    }
    if (o.timeouts_to_order > slowest_) {
      slowest_ = o.timeouts_to_order;
      slowest_seed_ = o.chosen.seed;
    }
    counts_.add(o.counts);
  }
  [[nodiscard]] std::uint64_t broken() const noexcept { return broken_; }
  [[nodiscard]] bool has_idle_meters() const noexcept {
    for (std::size_t i = 0; i < meter_names.size(); ++i) {
      if (counts_[static_cast<meter>(i)] == 0) return true;
    }
    return false;
  }

  friend std::string to_text(const summary& s, double seconds);

 private:
  std::uint64_t runs_ = 0;
  std::uint64_t events_ = 0;
  std::uint64_t committed_ = 0;
  instant simulated_ = 0;
  std::uint64_t broken_ = 0;
  double slowest_ = 0;
  std::uint64_t slowest_seed_ = 0;
  meters counts_{};
  std::map<std::string, std::uint64_t> by_invariant_{};
};

[[nodiscard]] inline std::string to_text(const summary& s, double seconds) {
  char line[160];
  std::string text;
  const auto rate = [seconds](std::uint64_t n) { return static_cast<double>(n) / std::max(seconds, 1e-9); };
  std::snprintf(line, sizeof line, "%-38s %14" PRIu64 "   %.0f a minute\n", "seeds", s.runs_, 60 * rate(s.runs_));
  text += line;
  std::snprintf(line, sizeof line, "%-38s %14" PRIu64 "   %.0f a second\n", "events", s.events_, rate(s.events_));
  text += line;
  std::snprintf(line, sizeof line, "%-38s %14" PRIu64 "\n", "entries committed", s.committed_);
  text += line;
  std::snprintf(line, sizeof line, "%-38s %14.0f s\n", "simulated time", static_cast<double>(s.simulated_) / 1e6);
  text += line;
  std::snprintf(line, sizeof line, "%-38s %14.1f election timeouts (seed %" PRIu64 ")\n", "slowest return to order",
                s.slowest_, s.slowest_seed_);
  text += line;
  std::snprintf(line, sizeof line, "%-38s %14" PRIu64 "\n", "violations", s.broken_);
  text += line;
  for (const auto& [name, n] : s.by_invariant_) {
    std::snprintf(line, sizeof line, "  %-36s %14" PRIu64 "\n", name.c_str(), n);
    text += line;
  }
  for (std::size_t i = 0; i < meter_names.size(); ++i) {
    const std::uint64_t n = s.counts_[static_cast<meter>(i)];
    std::snprintf(line, sizeof line, "  %-36s %14" PRIu64 "%s\n", meter_names[i], n, n == 0 ? "   never seen" : "");
    text += line;
  }
  return text;
}

}  // namespace raft::testing
