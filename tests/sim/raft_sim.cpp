// The simulator as a program: runs seeds one after the other, stops at the first one that breaks an invariant, and
// prints what was done.
//
//   raft_sim --seeds 1..2000 --events 20000     a range; exits 1 at a violation, or if a meter stayed at zero
//   raft_sim --seed 7 --events 20000 --trace    one seed again, with its story
//
// More seeds on more cores: run it several times with ranges that do not meet.

#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "assertion.hpp"  // before any header of the engine

#include <raft/testing/report.hpp>
#include <raft/testing/simulation.hpp>

namespace {

struct arguments {
  std::uint64_t first = 1;
  std::uint64_t last = 100;
  std::uint64_t events = 20'000;
  bool trace = false;
  bool keep_going = false;
  bool meters_must_move = false;
};

[[noreturn]] void explain_usage() {
  std::fputs(
      "usage: raft_sim [--seed N | --seeds A..B] [--events N] [--trace] [--keep-going] [--meters]\n"
      "  --seed N       run one seed\n"
      "  --seeds A..B   run these seeds, both ends included (1..100)\n"
      "  --events N     events with faults in each run (20000)\n"
      "  --trace        print the story, a line for each thing that happens\n"
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
    } else if (name == "--keep-going") {
      a.keep_going = true;
    } else if (name == "--meters") {
      a.meters_must_move = true;
    } else if (i + 1 == count) {
      explain_usage();
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

}  // namespace

int main(int count, char** values) {
  const arguments a = parse(count, values);
  raft::testing::summary all;
  const auto begin = std::chrono::steady_clock::now();
  for (std::uint64_t seed = a.first; seed <= a.last; ++seed) {
    const raft::testing::plan p = raft::testing::draw_plan(seed, a.events);
    raft::testing::running(p.seed, p.events);
    const raft::testing::outcome o = raft::testing::simulate(p, a.trace);
    all.add(o);
    if (o.found || a.first == a.last) std::fputs(raft::testing::to_text(o).c_str(), stdout);
    if (o.found && !a.keep_going) break;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::fputs(raft::testing::to_text(all, took.count()).c_str(), stdout);
  if (all.broken() != 0) return 1;
  return a.meters_must_move && all.has_idle_meters() ? 1 : 0;
}
