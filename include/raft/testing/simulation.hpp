#pragma once

// A whole run: a seed, some events with faults (safety), then the end of the faults (liveness).
//
//   raft::testing::outcome o = raft::testing::simulate(raft::testing::draw_plan(seed, 20'000));
//   if (o.found) std::puts(raft::testing::to_text(o).c_str());
//
// A run is a function of its plan: equal plans give equal outcomes, bit for bit (`outcome::trace`).

#include <cstdint>
#include <optional>
#include <string>

#include <raft/testing/cluster.hpp>
#include <raft/testing/faults.hpp>
#include <raft/testing/liveness.hpp>
#include <raft/testing/meters.hpp>
#include <raft/testing/plan.hpp>
#include <raft/testing/workload.hpp>

namespace raft::testing {

/// What became of a run.
struct outcome {
  plan chosen{};
  std::optional<violation> found{};
  instant at = 0;            ///< When the run ended, or what was found was found.
  std::uint64_t events = 0;  ///< How many there were, those of the liveness phase included.
  std::uint64_t trace = 0;   ///< The hash of all that happened.
  std::uint64_t committed = 0;
  double timeouts_to_order = 0;  ///< From the end of the faults until all was in order, in election timeouts.
  meters counts{};
};

namespace detail {

inline instant draw_interval(rng& chance, instant mean) { return chance.between(1, 2 * mean); }

/// The safety phase.
inline void run_with_faults(cluster& c, workload& clients, faults& trouble, rng chance) {
  const plan& p = c.chosen();
  c.plan_errand(errand::work, draw_interval(chance, p.work_interval));
  if (p.fault_interval != 0) c.plan_errand(errand::fault, draw_interval(chance, p.fault_interval));
  while (c.events() < p.events && !c.checks().broken()) {
    switch (c.advance()) {
      case errand::work:
        clients.act();
        c.plan_errand(errand::work, draw_interval(chance, p.work_interval));
        break;
      case errand::fault:
        trouble.act();
        c.plan_errand(errand::fault, draw_interval(chance, p.fault_interval));
        break;
      case errand::none:
        break;
    }
  }
}

}  // namespace detail

/// Carries out a plan. `tell_story`: a line on standard output for everything that happens.
[[nodiscard]] inline outcome simulate(const plan& p, bool tell_story = false) {
  outcome o;
  o.chosen = p;
  const rng root{p.seed};
  cluster c{p, o.counts, tell_story};
  workload clients{c, root.fork(4)};
  faults trouble{c, root.fork(5)};
  liveness end{c, clients, root.fork(6)};
  detail::run_with_faults(c, clients, trouble, root.fork(7));
  if (!c.checks().broken()) end.watch();
  if (c.checks().broken()) o.found = c.checks().found();
  for (const auto& s : c.servers()) o.counts.add(meter::reads_not_at_hand, s->disk.cold_reads());
  o.at = c.now();
  o.events = c.events();
  o.trace = c.trace();
  o.committed = c.checks().ghosts().last_committed().value;
  o.timeouts_to_order = o.found ? 0 : end.timeouts_taken();
  return o;
}

/// What was found, the plan, and how to see it again.
[[nodiscard]] inline std::string to_text(const outcome& o) {
  char line[1024];
  std::string text;
  if (o.found) {
    std::snprintf(line, sizeof line,
                  "seed %" PRIu64 ": %s broken at node %" PRIu64 ", %.3f ms, event %" PRIu64 ": %s\n", o.chosen.seed,
                  o.found->invariant.c_str(), o.found->node.value, static_cast<double>(o.at) / 1000.0, o.events,
                  o.found->what.c_str());
  } else {
    std::snprintf(line, sizeof line, "seed %" PRIu64 ": all in order after %" PRIu64 " events, trace %016" PRIx64 "\n",
                  o.chosen.seed, o.events, o.trace);
  }
  text += line;
  text += to_text(o.chosen);
  std::snprintf(line, sizeof line, "reproduce: raft_sim --seed %" PRIu64 " --events %" PRIu64 " --trace\n",
                o.chosen.seed, o.chosen.events);
  text += line;
  return text;
}

}  // namespace raft::testing
