#pragma once

// The tunables of file_log.

#include <cstddef>
#include <cstdint>

#include <raft/memory_log.hpp>
#include <raft/result.hpp>

namespace raft {

/// Whether file_log asks the disk to confirm what it wrote.
enum class sync_policy : std::uint8_t {
  always,  ///< What is reported durable survives a power failure.
  /// It survives the end of the process, not that of the machine: nothing is ever synced. After a failure of power an
  /// opening shows what is whole from the beginning on, or refuses the log where that is not what was written; what
  /// earlier openings with `always` had synced may be gone as well, since files are used again without a sync. An
  /// opening with `always` makes sure of all that it shows.
  never,
};

struct file_log_options {
  sync_policy sync = sync_policy::always;
  /// The size of a segment of the log, in bytes; at least 4 KiB. A larger batch gets a segment of its own. Entries go
  /// from the disk a whole segment at a time.
  std::uint64_t segment_bytes = std::uint64_t{64} << 20;
  /// How many segments that are needed no more are kept, to be written again: that spares filling new ones with zeros.
  std::uint32_t spare_segments = 2;
  /// The next segment is filled with zeros while the current one is written, by so many bytes at a time; that is what
  /// a sync may have to wait for, besides its own bytes. At least 4 KiB.
  std::uint32_t fill_bytes = 256U << 10;
  /// Note each sync in the file `synced`, by a write of 32 bytes that is itself not synced. It lets an opening that
  /// finds the last batch damaged say that it had been synced (see `recovery.hpp`); costs about 1 us a sync.
  bool record_syncs = true;
  /// Read the whole snapshot when the log is opened and check it, instead of only where it is read later.
  bool verify_snapshot = true;
  /// The most bytes that may wait for sync(); writes beyond it are refused. At most 2 GiB.
  std::uint64_t max_waiting_bytes = std::uint64_t{1} << 30;
  /// The size of the segments of the image in memory; see memory_log.
  std::size_t memory_segment_bytes = memory_log::default_segment_bytes;
};

/// Whether the tunables make sense together; if not, the sentence names the relation that does not hold.
[[nodiscard]] constexpr result<void> validate(const file_log_options& o) noexcept {
  constexpr auto broken = [](const char* relation) { return result<void>{errc::invalid_options, relation}; };
  if (o.segment_bytes < 4096) return broken("segment_bytes >= 4 KiB");
  if (o.segment_bytes % 8 != 0) return broken("segment_bytes is a multiple of 8");
  if (o.fill_bytes < 4096) return broken("fill_bytes >= 4 KiB");
  if (o.max_waiting_bytes < 4096 || o.max_waiting_bytes > (std::uint64_t{2} << 30)) {
    return broken("4 KiB <= max_waiting_bytes <= 2 GiB");
  }
  return {};
}

}  // namespace raft
