// The commit work on a whole cluster in one thread, as a multiple of the memcpy floor of the same run.
//
//   ns_entry      median of the runs; best_ns is the best one
//   x_floor       ratio of the medians; best_x that of the best runs
//   allocs_entry  heap allocations of all nodes together, snapshots included
//   msgs_entry    messages of all nodes together
//
// 1 KiB and 4 KiB figures have two modes, chosen by how the pages of a process happen to lie: `commit.sh` runs many
// processes for that reason.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>

#include "support/allocations.hpp"
#include "support/commit_load.hpp"
#include "support/floor.hpp"
#include "support/samples.hpp"

namespace {

/// Windows of one run: about 32768 entries, fewer if they are large.
std::size_t windows_of_a_run(const bench::commit_shape& shape) {
  const std::size_t entries = std::min<std::size_t>(32768, (std::size_t{32} << 20) / shape.payload);
  return std::max<std::size_t>(entries / shape.window, 1);
}

void commit(benchmark::State& state, const bench::commit_shape& shape) {
  bench::commit_load<> load{shape};
  bench::memcpy_floor floor{shape.nodes, load.work()};
  const std::size_t windows = windows_of_a_run(shape);
  const auto entries = static_cast<double>(windows * shape.window);
  bench::samples cluster_times;
  bench::samples floor_times;
  std::uint64_t allocated = 0;
  std::uint64_t messages = 0;
  for (auto _ : state) {
    const std::uint64_t allocated_before = bench::allocations::of_nodes();
    const std::uint64_t messages_before = load.messages();
    const double time = bench::time_of([&] { load.run(windows); });
    allocated += bench::allocations::of_nodes() - allocated_before;
    messages += load.messages() - messages_before;
    cluster_times.add(time / entries);
    floor_times.add(bench::time_of([&] { floor.run(load.work(), windows); }) / entries);
    state.SetIterationTime(time * 1e-9);
  }
  load.verify();
  const double all = entries * static_cast<double>(state.iterations());
  state.counters["ns_entry"] = cluster_times.median();
  state.counters["best_ns"] = cluster_times.best();
  state.counters["floor_ns"] = floor_times.median();
  state.counters["x_floor"] = cluster_times.median() / floor_times.median();
  state.counters["best_x"] = cluster_times.best() / floor_times.best();
  state.counters["allocs_entry"] = static_cast<double>(allocated) / all;
  state.counters["msgs_entry"] = static_cast<double>(messages) / all;
}

void add(const bench::commit_shape& shape) {
  const std::string name = "commit/nodes:" + std::to_string(shape.nodes) + "/window:" + std::to_string(shape.window) +
                           "/payload:" + std::to_string(shape.payload) +
                           (shape.how == bench::proposing::as_span ? "/span" : "/single") +
                           (shape.commit_at_once ? "/commit_at_once" : "");
  benchmark::RegisterBenchmark(name.c_str(), commit, shape)
      ->UseManualTime()
      ->Iterations(5)
      ->Unit(benchmark::kMillisecond);
}

}  // namespace

int main(int argc, char** argv) {
  for (const std::size_t nodes : {1U, 3U, 5U, 7U}) {
    for (const std::size_t window : {1U, 64U, 1024U}) {
      for (const std::size_t payload : {16U, 256U, 1024U, 4096U}) {
        bench::commit_shape shape{nodes, window, payload, bench::proposing::as_span, false};
        add(shape);
        if (window == 1) continue;
        shape.how = bench::proposing::singly;
        add(shape);
      }
    }
  }
  for (const std::size_t window : {1U, 64U}) {
    for (const std::size_t payload : {16U, 1024U}) add({3, window, payload, bench::proposing::as_span, true});
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
