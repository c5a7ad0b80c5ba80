#pragma once

// One write to a Log as a value, and how it is done to any Log. A simulated disk keeps its writes as such until they
// are durable, and does each to every Log that it stands for.

#include <cstddef>
#include <cstdint>
#include <vector>

#include <raft/entry.hpp>
#include <raft/memory_log.hpp>
#include <raft/result.hpp>
#include <raft/storage.hpp>
#include <raft/types.hpp>

namespace raft::testing {

/// One write, as it was asked for.
struct disk_write {
  enum class kind : std::uint8_t { store, append, truncate, compact, begin_snapshot, snapshot_bytes, finish_snapshot };

  kind what{};
  bool own = false;  ///< append: a leader's own entries, not another's.
  bool done = false;
  mark_t mark{};  ///< Zero for begin_snapshot and snapshot_bytes.
  hard_state hard{};
  index_t index{};  ///< append: the first entry's; truncate: from here on; compact: up to here.
  std::uint32_t count = 0;
  term_t last_term{};
  snapshot_meta meta{};
  std::vector<std::byte> bytes{};

  /// The appended entries. Valid as long as this is unchanged.
  [[nodiscard]] entries batch() const {
    return entries::trusted(bytes.data(), static_cast<std::uint32_t>(bytes.size()), count, last_term);
  }
  /// Whether it has a mark: begin_snapshot and snapshot_bytes have none.
  [[nodiscard]] bool marked() const noexcept { return what != kind::begin_snapshot && what != kind::snapshot_bytes; }
};

/// Does it to `log`; the mark that the log gave it, zero if it gives none.
template <class Log>
result<mark_t> carry_out(Log& log, const disk_write& w) {
  const auto unmarked = [](const result<void>& r) { return r ? result<mark_t>{mark_t{}} : result<mark_t>{r.error()}; };
  switch (w.what) {
    case disk_write::kind::store:
      return log.store(w.hard);
    case disk_write::kind::append:
      return log.append(w.batch());
    case disk_write::kind::truncate:
      return log.truncate_from(w.index);
    case disk_write::kind::compact:
      return log.compact(w.index);
    case disk_write::kind::begin_snapshot:
      return unmarked(log.begin_snapshot(w.meta));
    case disk_write::kind::snapshot_bytes:
      return unmarked(log.write_snapshot(w.bytes));
    case disk_write::kind::finish_snapshot:
      return log.finish_snapshot();
  }
  return {errc::impossible, "a write of no kind"};
}

/// Who watches a disk.
class disk_watcher {
 public:
  /// The image shows this write now; on an immediate disk it is durable, too.
  virtual void written(const disk_write& w) = 0;
  /// A write that was not durable when it was asked for will be found after a crash now.
  virtual void survived(const disk_write& w) = 0;
  /// The disk refused this.
  virtual void refused(const disk_write& w) = 0;

 protected:
  ~disk_watcher() = default;
};

}  // namespace raft::testing
