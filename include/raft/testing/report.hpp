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
    to_lead_.add(o.timeouts_to_lead, o.lead_bound, o.chosen.seed);
    to_order_.add(o.timeouts_to_order, o.order_bound, o.chosen.seed);
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
  /// Which run came closest to its bound.
  struct slowest {
    double took = 0;
    double bound = 1;
    std::uint64_t seed = 0;
    void add(double other, double other_bound, std::uint64_t of) noexcept {
      if (other_bound > 0 && other / other_bound > took / bound) *this = {other, other_bound, of};
    }
  };

  std::uint64_t runs_ = 0;
  std::uint64_t events_ = 0;
  std::uint64_t committed_ = 0;
  instant simulated_ = 0;
  std::uint64_t broken_ = 0;
  slowest to_lead_{};
  slowest to_order_{};
  meters counts_{};
  std::map<std::string, std::uint64_t> by_invariant_{};
};

/// The table. `seconds`: how long the runs took; zero if nobody looked.
[[nodiscard]] inline std::string to_text(const summary& s, double seconds = 0) {
  char line[160];
  std::string text;
  const auto add = [&](const char* name, std::uint64_t n, const char* unit, double per) {
    std::snprintf(line, sizeof line, "%-38s %14" PRIu64, name, n);
    text += line;
    if (seconds > 0 && per > 0) {
      std::snprintf(line, sizeof line, "   %.0f a %s", static_cast<double>(n) * per / seconds, unit);
      text += line;
    }
    text += '\n';
  };
  const auto add_slowest = [&](const char* name, const summary::slowest& w) {
    std::snprintf(line, sizeof line, "%-38s %14.1f of %.1f election timeouts allowed (seed %" PRIu64 ")\n", name,
                  w.took, w.bound, w.seed);
    text += line;
  };
  add("seeds", s.runs_, "minute", 60);
  add("events", s.events_, "second", 1);
  add("entries committed", s.committed_, "", 0);
  add("seconds of simulated time", static_cast<std::uint64_t>(s.simulated_) / 1'000'000, "", 0);
  add_slowest("closest to B, until somebody leads", s.to_lead_);
  add_slowest("closest to B, until all is in order", s.to_order_);
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
