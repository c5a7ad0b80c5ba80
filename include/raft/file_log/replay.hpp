#pragma once

// What the batches of file_log add up to: the state of the log, batch by batch, each item checked against the state
// that it meets.
//
// Invariants: the image holds the entries behind its floor; the entries up to the floor went with segments that are
// gone, and by the end of the log a compaction has made them needless. The base is at or below the snapshot's place,
// and that at or below the last entry; if it is not below the floor, the image has the snapshot's term there.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <raft/entry.hpp>
#include <raft/file_log/format.hpp>
#include <raft/memory_log.hpp>
#include <raft/storage.hpp>
#include <raft/types.hpp>

namespace raft::detail::wal {

/// The state that batches add up to.
class replay {
 public:
  replay(small_state start, std::size_t memory_segment_bytes)
      : image_(start.snapshot.configuration, memory_segment_bytes),
        base_(start.base),
        base_term_(start.base_term),
        snapshot_(std::move(start.snapshot)) {
    static_cast<void>(image_.store(start.hard));
    image_.reset(start.last, start.last_term);
  }

  /// Executes the items of one batch; false if one contradicts what is before it. `highest` rises to the highest index
  /// among its entries.
  bool apply(payload items, index_t& highest) {
    cursor in{items.data(), items.size()};
    while (in.left > 0) {
      const std::uint64_t head = in.number();
      const payload body = in.bytes(head & 0xffffffff);
      if (!in.good || !apply_item(static_cast<item>(head >> 32), {body.data(), body.size()}, highest)) return false;
    }
    return true;
  }

  /// What a segment that began here would repeat.
  [[nodiscard]] small_state state() const {
    return {
        image_.hard_state(), base_, base_term_, image_.last_index(), image_.term_at(image_.last_index()), snapshot_};
  }

  /// Ends the replay; false if entries that are needed were in segments that are not there.
  bool finish() {
    if (base_ < floor()) return false;
    if (image_.snapshot().index != snapshot_.index) image_.place_snapshot(snapshot_);
    return true;
  }

  [[nodiscard]] const snapshot_meta& snapshot() const noexcept { return snapshot_; }
  [[nodiscard]] memory_log take_image() { return std::move(image_); }

 private:
  /// The image holds the entries behind this; what is before it went with segments that are not there any more.
  [[nodiscard]] index_t floor() const noexcept { return image_.first_index().previous(); }

  bool apply_item(item kind, cursor in, index_t& highest) {
    switch (kind) {
      case item::entries:
        return append(in, highest);
      case item::truncation:
        return truncate(in);
      case item::hard_state: {
        static_cast<void>(image_.store(take_hard_state(in)));
        return in.good && in.left == 0;
      }
      case item::compaction:
        return compact(in);
      case item::snapshot:
        return place(in);
    }
    return false;
  }

  bool append(cursor in, index_t& highest) {
    const index_t first{in.number()};
    const std::uint64_t count = in.number();
    if (!in.good || first != image_.last_index().next() || count > UINT32_MAX) return false;
    const auto batch = entries::parse(in.at, in.left, static_cast<std::uint32_t>(count));
    if (!batch || batch->empty() || batch->first_term() < image_.term_at(image_.last_index())) return false;
    static_cast<void>(image_.append(*batch));
    highest = std::max(highest, image_.last_index());
    return true;
  }

  bool truncate(cursor in) {
    const index_t from{in.number()};
    const term_t term{in.number()};
    if (!in.good || in.left != 0 || from <= snapshot_.index || from > image_.last_index()) return false;
    if (from <= floor()) {
      // The image knows nothing of the entry before `from`, but that it is the snapshot's last one or behind it.
      if (term < snapshot_.term || (from.previous() == snapshot_.index && term != snapshot_.term)) return false;
      image_.reset(from.previous(), term);
    } else {
      if (image_.term_at(from.previous()) != term) return false;
      static_cast<void>(image_.truncate_from(from));
    }
    return true;
  }

  bool compact(cursor in) {
    const index_t to{in.number()};
    const term_t term{in.number()};
    if (!in.good || in.left != 0 || to < base_ || to > snapshot_.index) return false;
    if (to >= floor() && image_.term_at(to) != term) return false;
    base_ = to;
    base_term_ = term;
    // Only a snapshot at or below the floor is not placed yet, and this one reaches as far as `to`.
    if (to > floor()) static_cast<void>(image_.compact(to));
    return true;
  }

  bool place(cursor in) {
    const std::uint64_t replaced = in.number();
    snapshot_meta meta = take_snapshot_meta(in);
    if (!in.good || in.left != 0 || replaced > 1 || meta.index <= snapshot_.index) return false;
    if (replaced == 1) {
      base_ = meta.index;
      base_term_ = meta.term;
      image_.reset(meta.index, meta.term);
    }
    const bool here = meta.index >= floor();
    if (meta.index > image_.last_index() || (here && image_.term_at(meta.index) != meta.term)) return false;
    if (here) image_.place_snapshot(meta);
    snapshot_ = std::move(meta);
    return true;
  }

  memory_log image_;
  index_t base_;
  term_t base_term_;
  snapshot_meta snapshot_;
};

}  // namespace raft::detail::wal
