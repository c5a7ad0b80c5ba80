// The codec: one message to bytes and back. `append` carries a batch of entries straight from a log's memory.

#include <benchmark/benchmark.h>

#include <vector>

#include "support/allocations.hpp"
#include "support/cluster.hpp"
#include "support/payloads.hpp"

namespace {

constexpr raft::node_id sender{1};
constexpr raft::node_id receiver{2};

/// A log that holds one batch, and the append_entries that carries it; a heartbeat if there are no entries.
struct appending {
  raft::memory_log log{raft::voters_of({sender, receiver})};
  raft::message message{sender, receiver, raft::term_t{1}, {}};

  appending(std::size_t entries, std::size_t size) {
    const bench::payloads work{entries, size};
    bench::must(log.append(raft::term_t{1}, raft::entry_kind::command, work.window()));
    raft::append_entries body;
    if (entries != 0) body.entries = bench::must(log.view(raft::index_t{1}, log.last_index(), UINT32_MAX));
    message.body = body;
  }
};

raft::message reply() {
  return {sender, receiver, raft::term_t{1},
          raft::append_entries_reply{true, raft::index_t{64}, {}, {}, raft::index_t{64}, 1}};
}

template <raft::checksums Covered>
void encode(benchmark::State& state, const raft::message& m) {
  std::vector<std::byte> buffer(raft::frame_bytes(m), std::byte{0});
  bench::allocations::charge_to(1);
  const std::uint64_t before = bench::allocations::of(1);
  for (auto _ : state) {
    benchmark::DoNotOptimize(bench::must(raft::encode<Covered>(m, bench::the_cluster, buffer)));
    benchmark::ClobberMemory();
  }
  bench::allocations::charge_to(0);
  state.SetBytesProcessed(static_cast<std::int64_t>(buffer.size()) * state.iterations());
  state.counters["allocs"] =
      benchmark::Counter(static_cast<double>(bench::allocations::of(1) - before), benchmark::Counter::kAvgIterations);
}

/// As a server does it: the body goes straight to whoever takes it in.
template <raft::checksums Covered>
void decode(benchmark::State& state, const raft::message& m) {
  std::vector<std::byte> buffer(raft::frame_bytes(m), std::byte{0});
  bench::must(raft::encode<Covered>(m, bench::the_cluster, buffer));
  bench::allocations::charge_to(1);
  const std::uint64_t before = bench::allocations::of(1);
  for (auto _ : state) {
    const auto bytes = raft::decode_to<Covered>(buffer, bench::the_cluster, receiver,
                                                [](const auto&, const auto& body) { benchmark::DoNotOptimize(&body); });
    benchmark::ClobberMemory();
    if (!bytes) state.SkipWithError("a frame was not decoded");
  }
  bench::allocations::charge_to(0);
  state.SetBytesProcessed(static_cast<std::int64_t>(buffer.size()) * state.iterations());
  state.counters["allocs"] =
      benchmark::Counter(static_cast<double>(bench::allocations::of(1) - before), benchmark::Counter::kAvgIterations);
}

/// Into a message that can be kept, and compared.
void decode_whole_reply(benchmark::State& state) {
  std::vector<std::byte> buffer(raft::frame_bytes(reply()), std::byte{0});
  bench::must(raft::encode(reply(), bench::the_cluster, buffer));
  for (auto _ : state) {
    auto decoded = raft::decode(buffer, bench::the_cluster, receiver);
    benchmark::DoNotOptimize(decoded);
    if (!decoded) state.SkipWithError("a frame was not decoded");
  }
}

template <raft::checksums Covered>
void encode_append(benchmark::State& state) {
  const appending a{static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1))};
  encode<Covered>(state, a.message);
}

template <raft::checksums Covered>
void decode_append(benchmark::State& state) {
  const appending a{static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1))};
  decode<Covered>(state, a.message);
}

void encode_reply(benchmark::State& state) { encode<raft::checksums::all>(state, reply()); }
void decode_reply(benchmark::State& state) { decode<raft::checksums::all>(state, reply()); }

BENCHMARK(encode_append<raft::checksums::all>)->ArgNames({"entries", "payload"})->ArgsProduct({{0, 1, 64}, {16, 1024}});
BENCHMARK(encode_append<raft::checksums::header>)->ArgNames({"entries", "payload"})->ArgsProduct({{1, 64}, {16, 1024}});
BENCHMARK(decode_append<raft::checksums::all>)->ArgNames({"entries", "payload"})->ArgsProduct({{0, 1, 64}, {16, 1024}});
BENCHMARK(decode_append<raft::checksums::header>)->ArgNames({"entries", "payload"})->ArgsProduct({{1, 64}, {16, 1024}});
BENCHMARK(encode_reply);
BENCHMARK(decode_reply);
BENCHMARK(decode_whole_reply);

}  // namespace

BENCHMARK_MAIN();
