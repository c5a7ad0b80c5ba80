#pragma once

// What an assertion of the engine does inside the simulator: it says which seed found it, and ends the program. Include
// this before any header of the engine, in every translation unit of the program.

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace raft::testing {

/// The run under way, for the message.
struct running_seed {
  std::uint64_t seed = 0;
  std::uint64_t events = 0;
};

inline running_seed& current_seed() noexcept {
  static running_seed current;
  return current;
}

/// Notes which run is under way.
inline void running(std::uint64_t seed, std::uint64_t events) noexcept { current_seed() = {seed, events}; }

[[noreturn]] inline void assertion_failed(const char* sentence, const char* file, int line) {
  const running_seed& now = current_seed();
  std::fflush(stdout);
  std::printf("seed %" PRIu64 ": RAFT_ASSERT broken at %s:%d: %s\n", now.seed, file, line, sentence);
  std::printf("reproduce: raft_sim --seed %" PRIu64 " --events %" PRIu64 " --trace\n", now.seed, now.events);
  std::fflush(stdout);
  std::_Exit(3);
}

}  // namespace raft::testing

#define RAFT_ASSERT_FAILED(sentence, file, line) ::raft::testing::assertion_failed(sentence, file, line)
