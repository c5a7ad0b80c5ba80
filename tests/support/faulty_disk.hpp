#pragma once

// Short names for the disk in memory that file_log is tested on, and chance for tests.

#include <cstdint>

#include <raft/testing/faulty_files.hpp>

namespace test {

using disk = raft::testing::memory_disk;
using disk_files = raft::testing::memory_files;
using raft::testing::keep;
using raft::testing::sector;

/// A seeded generator (splitmix64): the same numbers on every machine.
struct random {
  std::uint64_t state = 0;
  std::uint64_t next() {
    std::uint64_t z = (state += 0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t n) { return next() % n; }
};

}  // namespace test
