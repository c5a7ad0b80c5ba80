// Appending to a log: in memory, on files without syncs, and on files with one sync an append.
//
// The synced appends are measured against a bare loop, pwrite and fdatasync of as many bytes on a file filled with
// zeros beforehand, one after the other in the same run: `fraction` is how much of the bare loop's throughput is left.
// Compactions, which recycle the segments, happen between the measured appends.
//
// Files go to the directory RAFT_BENCH_DIR, else to the present one: choose one on the disk that is meant.

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <raft/file_log.hpp>

#include "support/allocations.hpp"
#include "support/cluster.hpp"
#include "support/floor.hpp"
#include "support/payloads.hpp"
#include "support/samples.hpp"

namespace {

constexpr raft::term_t term{1};

raft::configuration voters() { return raft::voters_of({raft::node_id{1}}); }

// ---- in memory

/// Appends windows, as a leader does, and lets go of all now and then.
void append_proposals(benchmark::State& state) {
  const bench::payloads work{static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1))};
  const std::size_t kept = std::max<std::size_t>((std::size_t{8} << 20) / (work.count() * work.size()), 1);
  raft::memory_log log{voters()};
  bench::memcpy_floor floor{1, work};
  bench::samples times;
  bench::samples floor_times;
  const auto fill = [&] {
    bench::allocations::charge_to(1);
    log.reset(log.last_index(), term);
    for (std::size_t k = 0; k < kept; ++k) bench::must(log.append(term, raft::entry_kind::command, work.window()));
    bench::allocations::charge_to(0);
  };
  fill();
  const std::uint64_t before = bench::allocations::of_nodes();
  const auto entries = static_cast<double>(kept * work.count());
  for (auto _ : state) {
    const double time = bench::time_of(fill);
    times.add(time / entries);
    floor_times.add(bench::time_of([&] { floor.run(work, kept); }) / entries);
    state.SetIterationTime(time * 1e-9);
  }
  state.counters["ns_entry"] = times.median();
  state.counters["x_floor"] = times.median() / floor_times.median();
  state.counters["allocs"] = static_cast<double>(bench::allocations::of_nodes() - before);
}

/// Appends batches in their wire form, as a follower does.
void append_batch(benchmark::State& state) {
  const bench::payloads work{static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1))};
  const std::size_t kept = std::max<std::size_t>((std::size_t{8} << 20) / (work.count() * work.size()), 1);
  raft::memory_log source{voters()};
  bench::must(source.append(term, raft::entry_kind::command, work.window()));
  const raft::entries batch = bench::must(source.view(raft::index_t{1}, source.last_index(), UINT32_MAX));
  raft::memory_log log{voters()};
  bench::memcpy_floor floor{1, work};
  bench::samples times;
  bench::samples floor_times;
  const auto fill = [&] {
    log.reset(log.last_index(), term);
    for (std::size_t k = 0; k < kept; ++k) bench::must(log.append(batch));
  };
  fill();
  const auto entries = static_cast<double>(kept * batch.count());
  for (auto _ : state) {
    const double time = bench::time_of(fill);
    times.add(time / entries);
    floor_times.add(bench::time_of([&] { floor.run(work, kept); }) / entries);
    state.SetIterationTime(time * 1e-9);
  }
  state.counters["ns_entry"] = times.median();
  state.counters["x_floor"] = times.median() / floor_times.median();
}

BENCHMARK(append_proposals)->ArgNames({"entries", "payload"})->ArgsProduct({{1, 64}, {16, 1024}})->UseManualTime();
BENCHMARK(append_batch)->ArgNames({"entries", "payload"})->ArgsProduct({{1, 64}, {16, 1024}})->UseManualTime();

// ---- on files

/// A directory of its own, gone with the object.
class scratch_directory {
 public:
  scratch_directory() {
    const char* asked = std::getenv("RAFT_BENCH_DIR");
    path_ = std::string{asked != nullptr ? asked : "."} + "/append_bench.XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr) {
      std::perror("append_bench: mkdtemp");
      std::exit(1);
    }
  }
  ~scratch_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  scratch_directory(const scratch_directory&) = delete;
  scratch_directory& operator=(const scratch_directory&) = delete;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

/// The bare loop: as many bytes, to the next place of a file that was filled with zeros.
class bare_file {
 public:
  static constexpr std::size_t size = std::size_t{16} << 20;

  explicit bare_file(const std::string& path) : descriptor_(::open(path.c_str(), O_RDWR | O_CREAT, 0600)) {
    const std::vector<std::byte> zeros(size, std::byte{0});
    if (descriptor_ < 0 || ::pwrite(descriptor_, zeros.data(), size, 0) != static_cast<ssize_t>(size) ||
        ::fsync(descriptor_) != 0) {
      std::perror("append_bench: bare file");
      std::exit(1);
    }
  }
  ~bare_file() { ::close(descriptor_); }
  bare_file(const bare_file&) = delete;
  bare_file& operator=(const bare_file&) = delete;

  void write_and_sync(raft::payload bytes) noexcept {
    if (at_ + bytes.size() > size) at_ = 0;
    if (::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(at_)) < 0 ||
        ::fdatasync(descriptor_) != 0) {
      std::perror("append_bench: bare loop");
      std::exit(1);
    }
    at_ += bytes.size();
  }

 private:
  int descriptor_;
  std::size_t at_ = 0;
};

raft::file_log<> open_log(const std::string& directory, raft::sync_policy sync) {
  raft::file_log_options options;
  options.sync = sync;
  options.segment_bytes = std::uint64_t{16} << 20;
  return bench::must(raft::file_log<>::open(directory, voters(), options));
}

/// Takes a snapshot of nothing, and lets go of all entries.
void compact_all(raft::file_log<>& log) {
  bench::must(log.begin_snapshot({log.last_index(), term, voters()}));
  bench::must(log.write_snapshot(raft::payload{}));
  bench::must(log.finish_snapshot());
  bench::must(log.compact(log.last_index()));
  bench::must(log.sync());
}

/// Appends of one entry of `bytes` bytes, a sync each; entries so large that a write is as many bytes as the bare
/// loop's.
class file_appends {
 public:
  file_appends(const std::string& directory, raft::sync_policy sync, std::size_t bytes)
      : log_(open_log(directory, sync)), bytes_(bytes, std::byte{0x5a}) {
    for (int segments = 0; segments < 4; ++segments) {  // Until only recycled segments are written.
      for (std::size_t written = 0; written < (std::size_t{16} << 20); written += bytes) append();
      compact_all(log_);
    }
  }

  void append() {
    const raft::payload command{bytes_};
    bench::must(log_.append(term, raft::entry_kind::command, std::span{&command, 1}));
    bench::must(log_.sync());
    appended_ += bytes_.size();
  }
  /// Keeps what is recycled coming.
  void compact_now_and_then() {
    if (appended_ < std::size_t{16} << 20) return;
    compact_all(log_);
    appended_ = 0;
  }
  [[nodiscard]] raft::payload bytes() const noexcept { return bytes_; }

 private:
  raft::file_log<> log_;
  std::vector<std::byte> bytes_;
  std::size_t appended_ = 0;
};

void file_append_without_sync(benchmark::State& state) {
  const scratch_directory directory;
  file_appends appends{directory.path() + "/log", raft::sync_policy::never, static_cast<std::size_t>(state.range(0))};
  for (auto _ : state) {
    state.SetIterationTime(bench::wall_time_of([&] { appends.append(); }) * 1e-9);
    appends.compact_now_and_then();
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

void file_append_synced(benchmark::State& state) {
  const scratch_directory directory;
  file_appends appends{directory.path() + "/log", raft::sync_policy::always, static_cast<std::size_t>(state.range(0))};
  bare_file bare{directory.path() + "/bare"};
  bench::samples log_times;
  bench::samples bare_times;
  double log_sum = 0;
  double bare_sum = 0;
  for (auto _ : state) {
    const double log_time = bench::wall_time_of([&] { appends.append(); });
    const double bare_time = bench::wall_time_of([&] { bare.write_and_sync(appends.bytes()); });
    log_times.add(log_time);
    bare_times.add(bare_time);
    log_sum += log_time;
    bare_sum += bare_time;
    state.SetIterationTime(log_time * 1e-9);
    appends.compact_now_and_then();
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
  state.counters["median_us"] = log_times.median() / 1000;
  state.counters["bare_us"] = bare_times.median() / 1000;
  state.counters["fraction"] = bare_sum / log_sum;
  state.counters["fraction_of_medians"] = bare_times.median() / log_times.median();
}

BENCHMARK(file_append_without_sync)->ArgName("bytes")->Arg(4 << 10)->Arg(64 << 10)->UseManualTime()->Iterations(2000);
BENCHMARK(file_append_synced)->ArgName("bytes")->Arg(4 << 10)->Arg(64 << 10)->UseManualTime()->Iterations(2000);

}  // namespace

BENCHMARK_MAIN();
