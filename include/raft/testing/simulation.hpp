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
  instant at = 0;             ///< When the run ended, or what was found was found.
  std::uint64_t events = 0;   ///< How many there were, those of the liveness phase included.
  std::uint64_t trace = 0;    ///< The hash of all that happened.
  std::uint64_t errands = 0;  ///< How many came up (plan.hpp), whether or not they were run.
  std::uint64_t committed = 0;
  // From the end of the faults, in the longest election timeouts that the options allow; zero if something was found.
  double timeouts_to_lead = 0;   ///< Until somebody led,
  double timeouts_to_order = 0;  ///< until all was in order,
  double lead_bound = 0;         ///< and how long either may take (liveness.hpp).
  double order_bound = 0;
  meters counts{};
};

namespace detail {

inline instant draw_interval(rng& chance, instant mean) { return chance.between(1, 2 * mean); }

/// The safety phase; answers how many errands came up.
inline std::uint64_t run_with_faults(cluster& c, workload& clients, rng chance) {
  const plan& p = c.chosen();
  faults trouble{c};
  rng work_times = chance.fork(1);
  rng fault_times = chance.fork(2);
  const rng own = chance.fork(3);
  std::uint64_t number = 0;
  const auto run = [&](auto&& act) {
    ++number;
    if (!p.runs(number)) return;
    c.teller().set_errand(number);
    act(own.fork(number));
    c.teller().set_errand(0);
  };
  c.plan_errand(errand::work, draw_interval(work_times, p.work_interval));
  if (p.fault_interval != 0) c.plan_errand(errand::fault, draw_interval(fault_times, p.fault_interval));
  while (c.events() < p.events && !c.checks().broken()) {
    switch (c.advance()) {
      case errand::work:
        run([&](rng drawn) {
          clients.begin(number, drawn);
          clients.act();
        });
        c.plan_errand(errand::work, draw_interval(work_times, p.work_interval));
        break;
      case errand::fault:
        run([&](rng drawn) { trouble.act(drawn); });
        c.plan_errand(errand::fault, draw_interval(fault_times, p.fault_interval));
        break;
      case errand::none:
        break;
    }
  }
  return number;
}

/// The number of what is asked when the faults have stopped.
inline constexpr std::uint64_t last_errand = std::uint64_t{1} << 40;

}  // namespace detail

/// Carries out a plan, and tells what happens. `kit`: the user's machine (subject.hpp); null: the simulator's own.
/// `begin` is called with the cluster before anything happens, and `end_of_all` when all is over: to set a fault of
/// one's own, and to look at the servers.
template <class Begin, class End>
[[nodiscard]] outcome simulate(const plan& p, story& told, const subject_kit* kit, Begin&& begin, End&& end_of_all) {
  outcome o;
  o.chosen = p;
  const rng root{p.seed};
  cluster c{p, kit, o.counts, told};
  workload clients{c};
  liveness end{c, clients, root.fork(6)};
  begin(c);
  o.errands = detail::run_with_faults(c, clients, root.fork(7));
  clients.begin(detail::last_errand, root.fork(4));
  if (!c.checks().broken()) end.watch();
  if (c.checks().broken()) o.found = c.checks().found();
  for (const auto& s : c.servers()) o.counts.add(meter::reads_not_at_hand, s->disk.cold_reads());
  o.at = c.now();
  o.events = c.events();
  o.trace = c.trace();
  o.committed = c.checks().ghosts().last_committed().value;
  end_of_all(c);
  if (o.found) return o;
  o.timeouts_to_lead = end.timeouts_to_lead();
  o.timeouts_to_order = end.timeouts_taken();
  o.lead_bound = end.lead_bound();
  o.order_bound = end.order_bound();
  return o;
}

/// The same, with nothing besides the plan.
[[nodiscard]] inline outcome simulate(const plan& p, story& told, const subject_kit* kit = nullptr) {
  return simulate(
      p, told, kit, [](cluster&) {}, [](cluster&) {});
}

/// Carries out a plan.
[[nodiscard]] inline outcome simulate(const plan& p) {
  story untold;
  return simulate(p, untold);
}

/// What was found, and the plan.
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
  return text;
}

}  // namespace raft::testing
