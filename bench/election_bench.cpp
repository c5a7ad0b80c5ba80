// An election, from the moment at which a follower stands (everybody's patience with the old leader having ended) until
// its first entry is committed: pre-vote, vote, no-op; every message encoded and decoded. Each follower in turn.

#include <benchmark/benchmark.h>

#include "support/allocations.hpp"
#include "support/cluster.hpp"

namespace {

void election(benchmark::State& state) {
  const auto nodes = static_cast<std::size_t>(state.range(0));
  bench::cluster<> cluster{nodes};
  std::size_t next = 0;
  const std::uint64_t allocated = bench::allocations::of_nodes();
  const std::uint64_t sent = cluster.sent();
  for (auto _ : state) {
    next = (next + 1) % nodes;
    cluster.elect(next);
  }
  state.counters["allocs"] = benchmark::Counter(static_cast<double>(bench::allocations::of_nodes() - allocated),
                                                benchmark::Counter::kAvgIterations);
  state.counters["msgs"] =
      benchmark::Counter(static_cast<double>(cluster.sent() - sent), benchmark::Counter::kAvgIterations);
}
// So many elections that the logs, which are not trimmed here, stay small.
BENCHMARK(election)->ArgName("nodes")->Arg(3)->Arg(5)->Arg(7)->Iterations(2000)->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();
