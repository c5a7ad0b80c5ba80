// What an idle node costs: a tick with nothing to do, of one group and of each in a sweep over many; and a leader's
// heartbeat round, which is a tick, a message to each follower, and their answers, encoded and decoded.

#include <benchmark/benchmark.h>

#include <vector>

#include "support/allocations.hpp"
#include "support/cluster.hpp"

namespace {

struct drops_messages {
  void send(const raft::message&) const noexcept {}
};

using idle_node = raft::node<drops_messages, raft::memory_log, bench::manual_clock, bench::summing_machine>;

/// Followers of different groups, whose election timers are not due.
void tick_idle_follower(benchmark::State& state) {
  const auto groups = static_cast<std::size_t>(state.range(0));
  const std::int64_t time = 0;
  const std::vector<raft::node_id> ids{raft::node_id{1}, raft::node_id{2}, raft::node_id{3}};
  std::vector<idle_node> nodes;
  nodes.reserve(groups);
  for (std::size_t k = 0; k < groups; ++k) {
    nodes.push_back(
        bench::must(idle_node::create(ids[0], {}, k + 1, {}, raft::memory_log{raft::voters_of(ids)}, {&time}, {})));
  }
  for (auto _ : state) {
    for (idle_node& n : nodes) n.tick();
    benchmark::ClobberMemory();
  }
  state.counters["ns_tick"] = benchmark::Counter(
      static_cast<double>(groups), benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
  state.counters["sizeof_node"] = static_cast<double>(sizeof(idle_node));
}
BENCHMARK(tick_idle_follower)->ArgName("groups")->Arg(1)->Arg(1000)->Arg(10000);

/// deadline(), by which a loop can leave out ticks altogether.
void deadline_of_idle_follower(benchmark::State& state) {
  const std::int64_t time = 0;
  const std::vector<raft::node_id> ids{raft::node_id{1}, raft::node_id{2}, raft::node_id{3}};
  auto n = bench::must(idle_node::create(ids[0], {}, 1, {}, raft::memory_log{raft::voters_of(ids)}, {&time}, {}));
  for (auto _ : state) {
    benchmark::DoNotOptimize(n.deadline());
    benchmark::ClobberMemory();
  }
}
BENCHMARK(deadline_of_idle_follower);

void heartbeat_round(benchmark::State& state) {
  bench::cluster<> cluster{static_cast<std::size_t>(state.range(0))};
  cluster.heartbeat();
  const std::uint64_t allocated = bench::allocations::of_nodes();
  const std::uint64_t sent = cluster.sent();
  for (auto _ : state) cluster.heartbeat();
  state.counters["allocs"] = benchmark::Counter(static_cast<double>(bench::allocations::of_nodes() - allocated),
                                                benchmark::Counter::kAvgIterations);
  state.counters["msgs"] =
      benchmark::Counter(static_cast<double>(cluster.sent() - sent), benchmark::Counter::kAvgIterations);
}
BENCHMARK(heartbeat_round)->ArgName("nodes")->Arg(3)->Arg(5)->Arg(7);

}  // namespace

BENCHMARK_MAIN();
