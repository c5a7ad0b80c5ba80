#pragma once

// The simulator for your own state machine.
//
//   raft::testing::scenario<my_machine> s;
//   s.command = [](raft::testing::rng& r) { return encode(my_command{r.below(10)}); };
//   const raft::testing::report r = raft::testing::simulate(s);
//   if (r.found) std::puts(r.text.c_str());
//
// Every seed is a cluster of its own: servers, options, faults and clients as drawn (plan.hpp), over the engine that
// ships. Besides the engine's invariants, each replica of the machine is compared, at every command, with one that
// executed the same commands and never crashed nor saw a snapshot. What is found is shrunk, and told as a story with
// one line that repeats it: give its word to `repeat`.
//
// What can be swapped: the StateMachine, here; the options, the members, the faults and the clients' habits, by
// `adjust`. The Log, the Transport and the Clock are the simulator's own, since they are what goes wrong: your Log and
// your Transport have their own contracts (policies.hpp) and want their own tests.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <raft/testing/report.hpp>
#include <raft/testing/shrink.hpp>
#include <raft/testing/simulation.hpp>
#include <raft/testing/subject.hpp>

namespace raft::testing {

/// What is simulated. Only `make` is needed, and only if the machine has no default constructor.
template <state_machine_policy M>
struct scenario {
  std::function<M()> make = default_make();
  /// Draws a command of at most `largest_command` bytes; none: bytes at random, of every length from 0 on. (Now and
  /// then clients propose one that is too large: it is refused, and never applied.)
  std::function<std::vector<std::byte>(rng&)> command{};
  std::size_t largest_command = 1024;
  /// A command in words, for the story.
  std::function<std::string(payload)> describe{};
  /// What is wrong with a machine's state, after every command; empty if nothing.
  std::function<std::string(const M&)> check{};
  /// Changes what a seed drew.
  std::function<void(plan&)> adjust{};

  std::uint64_t first_seed = 1;
  std::uint64_t seeds = 50;
  std::uint64_t events = 20'000;     ///< With faults, of each seed.
  std::string repeat{};              ///< Not empty: this run alone, as an earlier report named it.
  std::uint64_t shrink_runs = 1000;  ///< The most runs that shrinking may take; zero: not shrunk.

 private:
  static std::function<M()> default_make() {
    if constexpr (std::default_initializable<M>) return [] { return M{}; };
    return {};
  }
};

/// What was found in all its runs; they end with the first one that finds something.
struct report {
  summary all{};
  std::optional<outcome> found{};
  std::optional<shrunk> least{};
  std::string text{};  ///< For people; with the table of what was exercised if nothing was found.
};

/// Leaves out all faults by which a server starts again, and all snapshots sent to one that has fallen behind: then no
/// machine is ever restored. For a test that has to show that something needs a crash.
inline void without_restarts(plan& p) {
  for (std::size_t i = 0; i < fault_count; ++i) {
    const auto f = static_cast<fault>(i);
    const bool harmless = f < fault::crash || f == fault::pause || f == fault::disk_stall || f == fault::clock_rate ||
                          f == fault::clock_jump || f == fault::slow;
    p.faults[i] = p.faults[i] && harmless;
  }
  p.snapshot_request_permille = 0;
  p.options.trailing_entries = UINT64_MAX;
  p.options.trailing_bytes = UINT64_MAX;
}

namespace detail {

/// A seed's plan for a user's machine: nobody else's commands, and limits that let the machine's own through.
inline void adapt(plan& p, const subject_kit& kit) {
  p.payload_max = std::max(p.payload_max, static_cast<std::int64_t>(kit.largest_command));
  p.options.max_entry_bytes = static_cast<std::uint32_t>(p.payload_max);
  p.options.max_uncommitted_bytes =
      std::max(p.options.max_uncommitted_bytes, 4 * std::uint64_t{entry_bytes(p.options.max_entry_bytes)});
  p.options.snapshot_bytes_per_second = 0;
  p.image_filler = 0;
  p.session_permille = 0;
  for (server_traits& t : p.servers) {
    if (kit.durable) t.machine = machine_kind::durable;
    if (!kit.durable && t.machine == machine_kind::durable) t.machine = machine_kind::in_place;
  }
}

template <class M>
subject_kit kit_of(const scenario<M>& s) {
  using made = subject_of<M>;
  static_assert(!made::is_durable || std::copy_constructible<M>,
                "a machine that keeps its state over a crash (applied_index) has to be copyable here");
  return {[&s] { return std::make_unique<made>(s.make, s.check); },
          s.command,
          s.describe,
          s.largest_command,
          made::has_digest,
          made::is_durable};
}

/// One run of a scenario; nothing if the rerun leaves nothing of it.
template <class M>
std::optional<outcome> run(const scenario<M>& s, const subject_kit& kit, const rerun& r, story& told) {
  plan p = draw_plan(r.seed, r.events);
  adapt(p, kit);
  if (s.adjust) s.adjust(p);
  if (!cut_down(p, r)) return std::nullopt;
  return simulate(p, told, &kit);
}

}  // namespace detail

/// Runs a scenario.
template <class M>
[[nodiscard]] report simulate(const scenario<M>& s) {
  report all;
  const subject_kit kit = detail::kit_of(s);
  std::optional<rerun> given = parse_rerun(s.repeat);
  if (!given && !s.repeat.empty()) {
    all.text = "scenario: `repeat` names no run: " + s.repeat + "\n";
    all.found.emplace().found = {"scenario", "`repeat` names no run", nobody};
    return all;
  }
  const std::uint64_t runs = given ? 1 : s.seeds;
  for (std::uint64_t i = 0; i < runs && !all.found; ++i) {
    const rerun r = given ? *given : rerun{s.first_seed + i, s.events, 0, 0, std::nullopt};
    story untold;
    const std::optional<outcome> o = detail::run(s, kit, r, untold);
    if (!o) continue;
    all.all.add(*o);
    if (!o->found) continue;
    all.found = o;
    const auto again = [&](const rerun& other) { return detail::run(s, kit, other, untold); };
    all.least = shrink(r, *o, again, s.shrink_runs);
    story told{story::to::memory};
    (void)detail::run(s, kit, all.least->least, told);
    all.text = to_text(*o) + to_text(*all.least, told) + "repeat: " + to_text(all.least->least) + "\n";
  }
  if (!all.found) all.text = to_text(all.all);
  return all;
}

}  // namespace raft::testing
