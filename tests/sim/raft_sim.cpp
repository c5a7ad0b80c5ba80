// The simulator as a program: runs seeds one after the other, stops at the first one that breaks an invariant, and
// prints what was done.
//
//   raft_sim --seeds 1..2000 --events 20000     a range; exits 1 at a violation (--meters: or if one stayed at zero)
//   raft_sim --seed 7 --events 20000 --trace    one seed again, with its story
//   raft_sim --seed 7 --shrink                  the least of it that still fails, told as a story
//   raft_sim --repeat 7:812:only=4,17 --trace   what shrinking left, again
//
// More seeds on more cores: run it several times with ranges that do not meet.

#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>

#include "assertion.hpp"  // before any header of the engine

#include <raft/testing/report.hpp>
#include <raft/testing/shrink.hpp>
#include <raft/testing/simulation.hpp>

#include "engine_servers.hpp"

namespace {

struct arguments {
  std::uint64_t first = 1;
  std::uint64_t last = 100;
  std::uint64_t events = 20'000;
  std::optional<raft::testing::rerun> repeat{};
  bool trace = false;
  bool shrink = false;
  bool keep_going = false;
  bool meters_must_move = false;
};

[[noreturn]] void explain_usage() {
  std::fputs(
      "usage: raft_sim [--seed N | --seeds A..B | --repeat RUN] [--events N] [--trace] [--shrink] [--keep-going]\n"
      "                [--meters]\n"
      "  --seed N       run one seed\n"
      "  --seeds A..B   run these seeds, both ends included (1..100)\n"
      "  --repeat RUN   run what shrinking left, as it was printed\n"
      "  --events N     events with faults in each run (20000)\n"
      "  --trace        print the story, a line for each thing that happens\n"
      "  --shrink       cut a run that fails down to the least that still fails, and tell its story\n"
      "  --keep-going   go on after a violation; the exit status is 1 all the same\n"
      "  --meters       fail if a fault or a feature was not seen once in all the runs\n",
      stderr);
  std::exit(2);
}

std::uint64_t number(const char* text, char** end) {
  if (*text < '0' || *text > '9') explain_usage();
  return std::strtoull(text, end, 10);
}

arguments parse(int count, char** values) {
  arguments a;
  for (int i = 1; i < count; ++i) {
    const std::string name = values[i];
    char* end = nullptr;
    if (name == "--trace") {
      a.trace = true;
    } else if (name == "--shrink") {
      a.shrink = true;
    } else if (name == "--keep-going") {
      a.keep_going = true;
    } else if (name == "--meters") {
      a.meters_must_move = true;
    } else if (i + 1 == count) {
      explain_usage();
    } else if (name == "--repeat") {
      a.repeat = raft::testing::parse_rerun(values[++i]);
      if (!a.repeat) explain_usage();
      a.first = a.last = a.repeat->seed;
    } else if (name == "--seed") {
      a.first = a.last = number(values[++i], &end);
    } else if (name == "--events") {
      a.events = number(values[++i], &end);
    } else if (name == "--seeds") {
      a.first = number(values[++i], &end);
      if (std::strncmp(end, "..", 2) != 0) explain_usage();
      a.last = number(end + 2, &end);
    } else {
      explain_usage();
    }
    if (end != nullptr && *end != '\0') explain_usage();
  }
  return a;
}

std::optional<raft::testing::outcome> run(const raft::testing::rerun& r, raft::testing::story& told) {
  raft::testing::plan p = raft::testing::draw_plan(r.seed, r.events);
  if (!raft::testing::cut_down(p, r)) return std::nullopt;
  raft::testing::running(p.seed, p.events);
  return raft::testing::simulate(p, told);
}

void tell_least(const raft::testing::rerun& r, const raft::testing::outcome& found) {
  raft::testing::story untold;
  const auto again = [&untold](const raft::testing::rerun& other) { return run(other, untold); };
  const raft::testing::shrunk least = raft::testing::shrink(r, found, again, 2000);
  raft::testing::story told{raft::testing::story::to::memory};
  (void)run(least.least, told);
  std::fputs(to_text(least, told).c_str(), stdout);
  std::printf("reproduce: raft_sim --repeat %s --trace\n", to_text(least.least).c_str());
}

}  // namespace

int main(int count, char** values) {
  const arguments a = parse(count, values);
  raft::testing::summary all;
  const auto begin = std::chrono::steady_clock::now();
  for (std::uint64_t seed = a.first; seed <= a.last; ++seed) {
    const raft::testing::rerun which = a.repeat ? *a.repeat : raft::testing::rerun{seed, a.events, 0, 0, std::nullopt};
    raft::testing::story told{a.trace ? raft::testing::story::to::output : raft::testing::story::to::nowhere};
    const std::optional<raft::testing::outcome> o = run(which, told);
    if (!o) explain_usage();
    all.add(*o);
    if (o->found || a.first == a.last) std::fputs(to_text(*o).c_str(), stdout);
    if (o->found) std::printf("reproduce: raft_sim --repeat %s --trace\n", to_text(which).c_str());
    if (o->found && a.shrink) tell_least(which, *o);
    if (o->found && !a.keep_going) break;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::fputs(raft::testing::to_text(all, took.count()).c_str(), stdout);
  if (all.broken() != 0) return 1;
  return a.meters_must_move && all.has_idle_meters() ? 1 : 0;
}
