#pragma once

// What a recording of raft-kv says besides what raft/record.hpp writes: its first line, with the seed of the engine and
// the options that it was given. A replay with others would do something else.
//
//   raft-kv-recording 1 --seed N --election-ms LO-HI --snapshot-entries N [--lease-reads N]

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <raft/options.hpp>

#include "options.hpp"

namespace kv {

/// What the engine of a server with these options gets.
[[nodiscard]] inline raft::options<std::chrono::steady_clock::duration> engine_options(const server_options& from) {
  raft::options<std::chrono::steady_clock::duration> o;
  o.election_timeout_min = from.election_min;
  o.election_timeout_max = from.election_max;
  o.heartbeat_interval = std::chrono::steady_clock::duration{from.election_min} / 3;
  o.lease_reads = from.lease_drift != 0;
  if (o.lease_reads) o.lease_clock_drift = from.lease_drift;
  // A turn's entries leave with the turn, while the followers still sync those of the last one: clients on the same
  // machine keep it busy meanwhile (a tenth more of them are served than with one message under way).
  o.eager_messages = 8;
  // A follower that lags by less than half of what lies between two snapshots is caught up from the log: cheaper than
  // a snapshot of everything, as long as those entries are no more than a snapshot's worth of memory. Of small entries
  // that is the count; of large ones the bytes, 64 MiB, are the limit.
  o.trailing_entries = from.snapshot_entries / 2;
  o.trailing_bytes = std::uint64_t{64} << 20;
  return o;
}

/// What the first line of a recording says.
struct recorded_run {
  std::uint64_t seed = 0;    ///< Not zero.
  server_options options{};  ///< As far as they bear on the engine.

  static constexpr std::string_view magic = "raft-kv-recording 1 ";
};

[[nodiscard]] inline std::string first_line(const recorded_run& run) {
  const server_options& o = run.options;
  std::string line{recorded_run::magic};
  const auto say = [&line](std::string_view what, std::uint64_t number) {
    line += what;
    line += std::to_string(number);
  };
  say("--seed ", run.seed);
  say(" --election-ms ", static_cast<std::uint64_t>(o.election_min.count()));
  say("-", static_cast<std::uint64_t>(o.election_max.count()));
  say(" --snapshot-entries ", o.snapshot_entries);
  if (o.lease_drift != 0) say(" --lease-reads ", o.lease_drift);
  line += '\n';
  return line;
}

/// Takes that line off the front of `recording`; nothing if there is none, or one of another version.
[[nodiscard]] inline std::optional<recorded_run> take_first_line(std::string_view& recording) {
  const std::size_t end = recording.find('\n');
  if (end == std::string_view::npos || !recording.starts_with(recorded_run::magic)) return std::nullopt;
  std::string_view line = recording.substr(recorded_run::magic.size(), end - recorded_run::magic.size());
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const std::size_t space = std::min(line.find(' '), line.size());
    words.push_back(line.substr(0, space));
    line.remove_prefix(std::min(space + 1, line.size()));
  }
  recorded_run run;
  for (std::size_t i = 0; i + 1 < words.size(); i += 2) {
    bool known = true;
    if (words[i] == "--seed") {
      run.seed = to_count(words[i + 1]).value_or(0);
    } else if (!detail::take_option(words[i], words[i + 1], run.options, known)) {
      return std::nullopt;
    }
  }
  if (words.size() % 2 != 0 || run.seed == 0) return std::nullopt;
  recording.remove_prefix(end + 1);
  return run;
}

}  // namespace kv
