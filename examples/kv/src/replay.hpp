#pragma once

// `raft-kv --replay FILE`: does again what an engine did that was recorded with --record, without its files, sockets
// and clock, and compares every output.

#include <cstdint>
#include <string>
#include <string_view>

#include <raft/result.hpp>

namespace kv {

/// What a replay came to.
struct replay_report {
  std::uint64_t id = 0;
  std::uint64_t inputs = 0;
  std::uint64_t compared = 0;  ///< Up to which input the outputs are known to be the same.
  std::uint64_t cut_off = 0;   ///< Bytes at the end that are no whole input.
  std::uint64_t term = 0;      ///< Where the engine was at the end,
  std::uint64_t commit_index = 0;
  std::uint64_t keys = 0;  ///< and what the state held.
};

/// Replays the bytes of such a file. An error's detail is the number of the input at which this was noticed:
/// inconsistent_state, that the outputs are others; anything else, that it is no recording.
[[nodiscard]] raft::result<replay_report> replay_recording(std::string_view file);

/// The same with a file, and with words on stdout. Answers the exit code: 0, the outputs are the same as far as the
/// recording goes; 1, they are not; 3, it cannot be read.
int replay(const std::string& name);

}  // namespace kv
