#pragma once

// From a run that failed to the least of it that still fails, told as a story.
//
// A run is cut down in four ways, each kept if the same invariant is broken again: it ends with what was found; whole
// troubles are left out (lost messages, slow disks, ...: `simplifications`); servers are left out; and errands
// (plan.hpp: what clients do, what goes wrong), large parts of the list first, then one by one. What was drawn for an
// errand or a message is drawn for it alone, so what is left is what it was in the long run.
//
// `rerun` says in one line which run that is; the same line gives the same run, bit for bit.

#include <algorithm>
#include <array>
#include <charconv>
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <raft/testing/plan.hpp>
#include <raft/testing/simulation.hpp>
#include <raft/testing/story.hpp>

namespace raft::testing {

/// A trouble that a plan can do without.
struct simplification {
  std::string_view name{};
  void (*apply)(plan&) = nullptr;
};

// clang-format off
inline constexpr std::array<simplification, 17> simplifications{{
    {"loss", [](plan& p) { p.loss_permille = 0; }},
    {"duplicates", [](plan& p) { p.duplicate_permille = 0; }},
    {"damage", [](plan& p) { p.damage_permille = 0; }},
    {"replays", [](plan& p) { p.replay_permille = 0; }},
    {"delays", [](plan& p) { p.late_permille = 0; }},
    {"reordering", [](plan& p) { p.in_order = true; }},
    {"cold_entries", [](plan& p) { p.cold_permille = 0; }},
    {"repeated_reports", [](plan& p) { p.repeat_permille = 0; }},
    {"lost_writes", [](plan& p) { p.lose_all_permille = 0; }},
    {"late_timers", [](plan& p) { p.timer_delay = p.ticker = 0; }},
    {"deferred_disks", [](plan& p) { for (server_traits& t : p.servers) t.deferred = false; }},
    {"machines_elsewhere",
     [](plan& p) {
       for (server_traits& t : p.servers) {
         if (t.machine == machine_kind::elsewhere) t.machine = machine_kind::in_place;
       }
     }},
    {"priorities", [](plan& p) { for (server_traits& t : p.servers) t.priority = highest_priority; }},
    {"small_messages",
     [](plan& p) {
       p.options.max_entries_per_append = std::max(p.options.max_entries_per_append, 64U);
       p.options.max_bytes_per_append = std::max(p.options.max_bytes_per_append, 1U << 16);
       p.options.max_inflight_bytes =
           std::max<std::uint64_t>(p.options.max_inflight_bytes, p.options.max_bytes_per_append);
       p.options.snapshot_chunk_bytes = std::max(p.options.snapshot_chunk_bytes, 4096U);
     }},
    {"leases", [](plan& p) { p.options.lease_reads = false; }},
    {"partial_ending", [](plan& p) { p.ending = ending::all; }},
    {"stability", [](plan& p) { p.watch_stability = false; }},
}};
// clang-format on

/// Which run it is.
struct rerun {
  std::uint64_t seed = 1;
  std::uint64_t events = 20'000;
  std::uint32_t without = 0;                         ///< A bit for each of `simplifications`.
  std::size_t servers = 0;                           ///< Only the first so many; zero: all.
  std::optional<std::vector<std::uint64_t>> only{};  ///< plan::only.
};

/// The run in one word: `seed:events`, and as far as something is left out `:without=loss,delays:servers=3:only=4,17`.
[[nodiscard]] inline std::string to_text(const rerun& r) {
  std::string text = std::to_string(r.seed) + ":" + std::to_string(r.events);
  const auto list = [&text](const char* name, auto&& of) {
    text += name;
    for (const auto& item : of) text.append(item).append(1, ',');
    text.pop_back();
  };
  std::vector<std::string> names;
  for (std::size_t i = 0; i < simplifications.size(); ++i) {
    if ((r.without >> i & 1) != 0) names.emplace_back(simplifications[i].name);
  }
  if (!names.empty()) list(":without=", names);
  if (r.servers != 0) text += ":servers=" + std::to_string(r.servers);
  if (!r.only) return text;
  names.clear();
  for (const std::uint64_t number : *r.only) names.push_back(std::to_string(number));
  if (names.empty()) names.emplace_back("0");
  list(":only=", names);
  return text;
}

namespace detail {

/// Cuts off the part of `text` before the next `mark`.
inline std::string_view next_part(std::string_view& text, char mark) {
  const std::size_t end = std::min(text.find(mark), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

template <class Number>
bool read_number(std::string_view text, Number& to) {
  const auto read = std::from_chars(text.data(), text.data() + text.size(), to);
  return read.ec == std::errc{} && read.ptr == text.data() + text.size();
}

inline bool read_without(std::string_view names, rerun& r) {
  while (!names.empty()) {
    const std::string_view name = next_part(names, ',');
    const auto* const found = std::find_if(simplifications.begin(), simplifications.end(),
                                           [name](const simplification& s) { return s.name == name; });
    if (found == simplifications.end()) return false;
    r.without |= 1U << (found - simplifications.begin());
  }
  return true;
}

inline bool read_only(std::string_view numbers, rerun& r) {
  r.only.emplace();
  while (!numbers.empty()) {
    std::uint64_t number = 0;
    if (!read_number(next_part(numbers, ','), number)) return false;
    if (number != 0) r.only->push_back(number);
  }
  return std::is_sorted(r.only->begin(), r.only->end());
}

}  // namespace detail

/// The run that such a word names; nothing if it is none.
[[nodiscard]] inline std::optional<rerun> parse_rerun(std::string_view text) {
  rerun r;
  if (!detail::read_number(detail::next_part(text, ':'), r.seed)) return std::nullopt;
  if (!detail::read_number(detail::next_part(text, ':'), r.events)) return std::nullopt;
  while (!text.empty()) {
    std::string_view part = detail::next_part(text, ':');
    const std::string_view name = detail::next_part(part, '=');
    const bool good = name == "without"   ? detail::read_without(part, r)
                      : name == "servers" ? detail::read_number(part, r.servers)
                      : name == "only"    ? detail::read_only(part, r)
                                          : false;
    if (!good) return std::nullopt;
  }
  return r;
}

/// Leaves out of a seed's plan what the rerun leaves out. False if nothing would be left.
inline bool cut_down(plan& p, const rerun& r) {
  for (std::size_t i = 0; i < simplifications.size(); ++i) {
    if ((r.without >> i & 1) != 0) simplifications[i].apply(p);
  }
  p.only = r.only;
  if (r.servers == 0 || r.servers >= p.servers.size()) return true;
  p.servers.resize(r.servers);
  for (auto* half : {&p.members.voters, &p.members.outgoing, &p.members.learners, &p.members.learners_next}) {
    std::erase_if(*half, [&r](node_id id) { return id.value > r.servers; });
  }
  if (p.members.outgoing.empty()) p.members.auto_leave = false;
  const bool partial = p.ending == ending::hub || p.ending == ending::web;
  if (partial && r.servers < 3) p.ending = ending::all;
  return !p.members.voters.empty();
}

/// The least of a run that was found.
struct shrunk {
  rerun least{};
  outcome last{};             ///< What became of it.
  std::uint64_t errands = 0;  ///< How many the long run had,
  std::uint64_t runs = 0;     ///< and how many runs were tried.
};

namespace detail {

template <class Run>
class shrinker {
 public:
  shrinker(const rerun& begin, const outcome& found, Run& run, std::uint64_t most_runs)
      : run_(&run), most_runs_(most_runs), best_{begin, found, found.errands, 0} {}

  shrunk shrink() {
    rerun shorter = best_.least;
    shorter.events = std::min(shorter.events, best_.last.events);
    if (!shorter.only) {
      shorter.only.emplace(best_.last.errands);
      std::iota(shorter.only->begin(), shorter.only->end(), std::uint64_t{1});
    }
    (void)fails_too(shorter);
    if (!best_.least.only) return std::move(best_);  // Not repeatable: that would be a fault of the simulator.
    for (std::size_t before = SIZE_MAX; best_.least.only->size() < before && best_.runs < most_runs_;) {
      before = best_.least.only->size();
      leave_out_troubles();
      leave_out_servers();
      leave_out_errands();
    }
    return std::move(best_);
  }

 private:
  bool fails_too(const rerun& candidate) {
    if (best_.runs == most_runs_) return false;
    ++best_.runs;
    const std::optional<outcome> o = (*run_)(candidate);
    if (!o || !o->found || o->found->invariant != best_.last.found->invariant) return false;
    best_.least = candidate;
    best_.last = *o;
    best_.least.events = std::min(best_.least.events, o->events);
    return true;
  }

  void leave_out_troubles() {
    rerun all = best_.least;
    all.without = (1U << simplifications.size()) - 1;
    if (all.without == best_.least.without || fails_too(all)) return;
    for (std::size_t i = 0; i < simplifications.size(); ++i) {
      rerun one = best_.least;
      one.without |= 1U << i;
      if (one.without != best_.least.without) (void)fails_too(one);
    }
  }

  void leave_out_servers() {
    std::size_t n = best_.last.chosen.servers.size();
    for (rerun fewer = best_.least; n > 1; fewer = best_.least) {
      fewer.servers = --n;
      if (!fails_too(fewer)) return;
    }
  }

  void leave_out_errands() {
    std::vector<std::uint64_t> kept = best_.least.only.value_or(std::vector<std::uint64_t>{});
    for (std::size_t part = kept.size(); part != 0; part /= 2) {
      for (std::size_t at = 0; at < kept.size();) {
        const std::size_t end = std::min(at + part, kept.size());
        std::vector<std::uint64_t> rest{kept.begin(), kept.begin() + static_cast<std::ptrdiff_t>(at)};
        rest.insert(rest.end(), kept.begin() + static_cast<std::ptrdiff_t>(end), kept.end());
        rerun fewer = best_.least;
        fewer.only = rest;
        if (fails_too(fewer)) {
          kept = std::move(rest);
        } else {
          at = end;
        }
      }
    }
  }

  Run* run_;
  std::uint64_t most_runs_;
  shrunk best_;
};

}  // namespace detail

/// Cuts down a run that found something. `run(rerun)` repeats one: an optional outcome, none for a run that makes no
/// sense. At most `most_runs` runs, each no longer than the first one.
template <class Run>
[[nodiscard]] shrunk shrink(const rerun& begin, const outcome& found, Run&& run, std::uint64_t most_runs) {
  return detail::shrinker<std::remove_reference_t<Run>>{begin, found, run, most_runs}.shrink();
}

/// What remains, in the order of time, and the last moments before it fails. `told`: the story of `s.least`, in memory.
[[nodiscard]] inline std::string to_text(const shrunk& s, const story& told) {
  constexpr std::size_t most_deeds = 60;
  constexpr std::size_t last_moments = 16;
  std::string text = "shrunk in " + std::to_string(s.runs) + " runs: of " + std::to_string(s.errands) + " errands " +
                     std::to_string(s.least.only ? s.least.only->size() : s.errands) + " remain, among " +
                     std::to_string(s.last.chosen.servers.size()) + " servers\n";
  std::vector<const story_line*> deeds;
  for (const story_line& l : told.lines()) {
    if (l.deed) deeds.push_back(&l);
  }
  for (std::size_t i = 0; i < deeds.size(); ++i) {
    if (i == most_deeds / 2 && deeds.size() > most_deeds) {
      i = deeds.size() - most_deeds / 2;
      text += "  ... " + std::to_string(deeds.size() - most_deeds) + " more ...\n";
    }
    const std::string errand = deeds[i]->errand == 0 ? "" : "  (errand " + std::to_string(deeds[i]->errand) + ")";
    text.append("  ").append(to_text(*deeds[i])).append(errand).append(1, '\n');
  }
  text += "the last moments:\n";
  const auto& lines = told.lines();
  for (std::size_t i = lines.size() - std::min(lines.size(), last_moments); i < lines.size(); ++i) {
    text.append("  ").append(to_text(lines[i])).append(1, '\n');
  }
  char line[1024];
  std::snprintf(line, sizeof line, "  [%12.3f ms] %s broken at node %" PRIu64 ": %s\n",
                static_cast<double>(s.last.at) / 1000.0, s.last.found->invariant.c_str(), s.last.found->node.value,
                s.last.found->what.c_str());
  return text + line;
}

}  // namespace raft::testing
