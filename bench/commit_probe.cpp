// One case of the commit work, for commit.sh, peers/run.sh, profilers and instruction counters:
//
//   commit_probe [--nodes N] [--window N] [--payload BYTES] [--mode span|single] [--entries N] [--runs N]
//                [--commit-at-once] [--checksums all|header] [--no-floor]
//
// Each run commits `entries` (rounded to windows), then copies the same payloads for the floor. Prints one line of
// `name=value`: ns_entry and floor_ns are the best of the runs, *_median their medians; allocations an entry for each
// node apart.

#include <charconv>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "support/allocations.hpp"
#include "support/commit_load.hpp"
#include "support/floor.hpp"
#include "support/samples.hpp"

namespace {

struct request {
  bench::commit_shape shape{};
  std::size_t entries = 100'000;
  std::size_t runs = 5;
  bool floor = true;
  raft::checksums covered = raft::checksums::all;
};

bool read(std::size_t& to, std::string_view text) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), to);
  return error == std::errc{} && end == text.data() + text.size() && to != 0;
}

/// Reads an option that has a value.
bool read(request& to, std::string_view option, std::string_view value) {
  if (option == "--nodes") return read(to.shape.nodes, value) && to.shape.nodes < bench::allocations::owners;
  if (option == "--window") return read(to.shape.window, value);
  if (option == "--payload") return read(to.shape.payload, value);
  if (option == "--entries") return read(to.entries, value);
  if (option == "--runs") return read(to.runs, value);
  if (option == "--mode") {
    to.shape.how = value == "single" ? bench::proposing::singly : bench::proposing::as_span;
    return value == "single" || value == "span";
  }
  if (option == "--checksums") {
    to.covered = value == "header" ? raft::checksums::header : raft::checksums::all;
    return value == "header" || value == "all";
  }
  return false;
}

bool read(request& to, int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--no-floor") {
      to.floor = false;
    } else if (option == "--commit-at-once") {
      to.shape.commit_at_once = true;
    } else if (i + 1 == argc || !read(to, option, argv[++i])) {
      std::fprintf(stderr, "commit_probe: cannot make sense of %s\n", argv[i]);
      return false;
    }
  }
  return true;
}

template <raft::checksums Covered>
void probe(const request& asked) {
  bench::commit_load<Covered> load{asked.shape};
  bench::memcpy_floor floor{asked.floor ? asked.shape.nodes : 0, load.work()};
  const std::size_t windows = (asked.entries + asked.shape.window - 1) / asked.shape.window;
  const auto entries = static_cast<double>(windows * asked.shape.window);
  bench::samples cluster_times;
  bench::samples floor_times;
  std::uint64_t allocated[bench::allocations::owners];
  for (std::size_t k = 0; k < bench::allocations::owners; ++k) allocated[k] = bench::allocations::of(k);
  const std::uint64_t messages = load.messages();
  for (std::size_t run = 0; run < asked.runs; ++run) {
    cluster_times.add(bench::time_of([&] { load.run(windows); }) / entries);
    if (asked.floor) floor_times.add(bench::time_of([&] { floor.run(load.work(), windows); }) / entries);
  }
  const double all = entries * static_cast<double>(asked.runs);
  std::printf("ns_entry=%.2f ns_entry_median=%.2f", cluster_times.best(), cluster_times.median());
  if (asked.floor) {
    std::printf(" floor_ns=%.2f floor_ns_median=%.2f x_floor=%.2f x_floor_median=%.2f", floor_times.best(),
                floor_times.median(), cluster_times.best() / floor_times.best(),
                cluster_times.median() / floor_times.median());
  }
  std::printf(" msgs_entry=%.4f", static_cast<double>(load.messages() - messages) / all);
  for (std::size_t k = 1; k <= asked.shape.nodes; ++k) {
    std::printf(" allocs_node%zu=%.6f", k, static_cast<double>(bench::allocations::of(k) - allocated[k]) / all);
  }
  std::printf("\n");
  load.verify();
}

}  // namespace

int main(int argc, char** argv) {
  request asked;
  if (!read(asked, argc, argv)) return 2;
  if (asked.covered == raft::checksums::all) {
    probe<raft::checksums::all>(asked);
  } else {
    probe<raft::checksums::header>(asked);
  }
}
