#pragma once

// A simulated disk, and the Log on it.
//
// A disk holds two states of a Log: the image, which shows every write at once, and what would be found after a crash
// now. In a deferred disk a write moves from the first to the second when it and all writes before it have completed;
// the simulation completes them later, in any order, each for itself or many at once. In an immediate disk both are
// one.
//
// A crash keeps everything up to the last write before which nothing is missing, and then as much of the rest as chance
// says: none of it, some writes in their order, and of an append its first entries. A write that had completed behind
// one that had not may be lost too: it spoke for nothing (policies.hpp, Log 2).
//
// A disk can refuse: from some write on (its power is cut, or it broke), or a sync (completions stop, and every later
// write fails). What was refused may be found after the crash all the same, whole or in part.
//
// Invariants: the durable state is the image of some moment; marks are consecutive within an incarnation.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <raft/memory_log.hpp>
#include <raft/outcome.hpp>
#include <raft/policies.hpp>

#include <raft/testing/rng.hpp>

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
};

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

class disk {
 public:
  /// An empty disk, or one that holds `initial` as the first configuration of a cluster. `watcher` must outlive it.
  disk(const configuration& initial, std::size_t segment_bytes, bool deferred, disk_watcher& watcher, rng chance)
      : image_(initial, segment_bytes),
        durable_(initial, segment_bytes),
        watcher_(&watcher),
        deferred_(deferred),
        chance_(chance) {}

  /// What the server reads.
  [[nodiscard]] const memory_log& image() const noexcept { return image_; }
  /// What it would find after a crash that keeps nothing more than it must.
  [[nodiscard]] const memory_log& durable() const noexcept { return deferred_ ? durable_ : image_; }
  [[nodiscard]] bool deferred() const noexcept { return deferred_; }
  /// Whether a write that has a mark was refused since the last crash.
  [[nodiscard]] bool broken() const noexcept { return broken_; }
  [[nodiscard]] bool power_was_cut() const noexcept { return broken_ && power_; }
  [[nodiscard]] mark_t issued() const noexcept { return issued_; }
  /// Writes that were refused or have not completed.
  [[nodiscard]] std::size_t pending() const noexcept { return queue_.size() - head_; }

  // ---- faults

  /// Refuses the write after `after` more, and all that follow; `power`: as the power goes, else as hardware fails.
  void refuse_from(std::uint32_t after, bool power) noexcept {
    fuse_ = after;
    power_ = power;
  }
  /// The next sync fails: nothing completes any more, and every later write is refused.
  void fail_sync() noexcept {
    stuck_ = true;
    fuse_ = 0;
    power_ = false;
  }
  [[nodiscard]] bool stuck() const noexcept { return stuck_; }
  /// Refuses the beginning of the next snapshot, and nothing else.
  void refuse_snapshot() noexcept { no_room_ = true; }
  /// From now on the disk lies: what it completes is not kept. No server can stand that, but checkers have to notice
  /// it.
  void lie() noexcept { lies_ = true; }
  /// How many reads of a thousand find entries in cold storage, where they stay until they are fetched.
  void set_cold(std::uint32_t permille) noexcept {
    cold_permille_ = permille;
    asked_for_ = at_hand_ = {};
  }
  /// The entries to be fetched; from zero on if there are none.
  [[nodiscard]] fetched asked_for() const noexcept { return asked_for_; }
  /// They are there, until they are viewed or others are asked for.
  void fetch() noexcept { at_hand_ = std::exchange(asked_for_, {}); }

  /// Takes back what was planned and has not struck yet.
  void heal() noexcept {
    if (!broken_ && !stuck_) fuse_ = no_fuse;
    no_room_ = false;
  }

  // ---- completion (of a deferred disk)

  /// Completes the writes with marks in [first, last]. False if an older one has not completed.
  bool complete(mark_t first, mark_t last) {
    if (lies_) return true;
    const std::size_t head_before = head_;
    for (std::size_t i = head_; i < queue_.size(); ++i) {
      if (queue_[i].mark >= first && queue_[i].mark <= last) queue_[i].done = true;
    }
    std::size_t end = head_;
    for (std::size_t i = head_; i < queue_.size() && (queue_[i].done || queue_[i].mark == mark_t{}); ++i) {
      if (queue_[i].done) end = i + 1;
    }
    while (head_ < end) survive(queue_[head_++]);
    const bool in_order = head_ != head_before;
    recycle();
    return in_order;
  }

  /// What a crash left of the writes that were not known to be durable.
  struct remains {
    std::size_t kept = 0;
    std::size_t lost = 0;
    bool torn = false;
  };

  /// The server crashes: afterwards the image is what the next incarnation finds. `lose_all`: nothing is kept that need
  /// not be; else chance says.
  remains crash(bool lose_all) {
    remains left;
    const std::size_t end = lose_all ? head_ : head_ + chance_.below(pending() + 1);
    for (; head_ < end; ++left.kept) survive(queue_[head_++]);
    if (!lose_all && head_ < queue_.size()) left.torn = tear(queue_[head_]);
    left.lost = queue_.size() - head_;
    head_ = queue_.size();
    recycle();
    if (deferred_) image_ = durable_;
    issued_ = mark_t{chance_.below(1000)};
    fuse_ = no_fuse;
    broken_ = stuck_ = power_ = no_room_ = false;
    asked_for_ = at_hand_ = {};
    return left;
  }

  // ---- the Log's writes

  result<mark_t> store(const hard_state& h) {
    disk_write w = fresh(disk_write::kind::store);
    w.hard = h;
    return submit(std::move(w));
  }

  result<mark_t> append(const entries& batch) {
    disk_write w = fresh(disk_write::kind::append);
    w.index = image_.last_index().next();
    w.bytes.assign(batch.data(), batch.data() + batch.bytes());
    w.count = batch.count();
    w.last_term = batch.last_term();
    return submit(std::move(w));
  }

  result<mark_t> append(term_t term, entry_kind kind, std::span<const payload> payloads) {
    disk_write w = fresh(disk_write::kind::append);
    w.index = image_.last_index().next();
    w.own = true;
    w.count = static_cast<std::uint32_t>(payloads.size());
    w.last_term = term;
    for (const payload data : payloads) {
      const std::size_t at = w.bytes.size();
      w.bytes.resize(at + entry_bytes(data.size()));
      write_entry(w.bytes.data() + at, term, kind, data);
    }
    return submit(std::move(w));
  }

  result<mark_t> truncate_from(index_t i) {
    disk_write w = fresh(disk_write::kind::truncate);
    w.index = i;
    return submit(std::move(w));
  }

  result<mark_t> compact(index_t i) {
    disk_write w = fresh(disk_write::kind::compact);
    w.index = i;
    return submit(std::move(w));
  }

  result<void> begin_snapshot(const snapshot_meta& meta) {
    disk_write w = fresh(disk_write::kind::begin_snapshot);
    w.meta = meta;
    return submit_unmarked(std::move(w));
  }

  result<void> write_snapshot(payload bytes) {
    disk_write w = fresh(disk_write::kind::snapshot_bytes);
    w.bytes.assign(bytes.begin(), bytes.end());
    return submit_unmarked(std::move(w));
  }

  result<mark_t> finish_snapshot() {
    disk_write w = fresh(disk_write::kind::finish_snapshot);
    w.meta = image_.partial().meta;
    if (w.meta.index <= image_.snapshot().index) return {errc::compacted, "the current snapshot reaches as far"};
    return submit(std::move(w));
  }

  // ---- the Log's reads that are more than the image's

  [[nodiscard]] result<entries> view(index_t from, index_t to, std::uint32_t max_bytes) {
    if (cold_permille_ != 0 && !is_configuration(from) && is_cold(from, to)) {
      ++cold_reads_;
      return {errc::not_at_hand, "the entries are in cold storage"};
    }
    return image_.view(from, to, max_bytes);
  }
  [[nodiscard]] std::uint64_t cold_reads() const noexcept { return cold_reads_; }
  [[nodiscard]] result<payload> read_snapshot(std::uint64_t offset, std::uint32_t max) const {
    return image_.read_snapshot(offset, max);
  }

 private:
  static constexpr std::uint32_t no_fuse = UINT32_MAX;

  /// Cold is what chance says, and what is being fetched; one fetch is under way at a time.
  bool is_cold(index_t from, index_t to) {
    if (from >= at_hand_.first && from <= at_hand_.last) return false;
    const bool waits = from >= asked_for_.first && from <= asked_for_.last;
    if (!waits && !chance_.permille(cold_permille_)) return false;
    if (asked_for_.first == index_t{}) asked_for_ = {from, to};
    return true;
  }

  /// Configurations are always at hand (policies.hpp, Log 5).
  [[nodiscard]] bool is_configuration(index_t i) const noexcept {
    const auto places = image_.configurations();
    return std::binary_search(places.begin(), places.end(), i);
  }

  static bool carry_out(memory_log& log, const disk_write& w) {
    switch (w.what) {
      case disk_write::kind::store:
        return log.store(w.hard).has_value();
      case disk_write::kind::append:
        return log.append(w.batch()).has_value();
      case disk_write::kind::truncate:
        return log.truncate_from(w.index).has_value();
      case disk_write::kind::compact:
        return log.compact(w.index).has_value();
      case disk_write::kind::begin_snapshot:
        return log.begin_snapshot(w.meta).has_value();
      case disk_write::kind::snapshot_bytes:
        return log.write_snapshot(w.bytes).has_value();
      case disk_write::kind::finish_snapshot:
        return log.finish_snapshot().has_value();
    }
    return false;
  }

  disk_write fresh(disk_write::kind what) {
    disk_write w;
    if (!spare_.empty()) {
      w = std::move(spare_.back());
      spare_.pop_back();
    }
    w.what = what;
    w.own = w.done = false;
    w.mark = {};
    w.bytes.clear();
    w.count = 0;
    return w;
  }

  result<mark_t> submit(disk_write w) {
    if (fuse_ == 0) {
      watcher_->refused(w);
      if (!std::exchange(broken_, true)) queue_.push_back(std::move(w));
      return {stuck_ ? errc::io : errc::no_space, "the simulated disk refuses this write"};
    }
    if (fuse_ != no_fuse) --fuse_;
    w.mark = issued_ = mark_t{issued_.value + 1};
    take(std::move(w));
    return issued_;
  }

  result<void> submit_unmarked(disk_write w) {
    if (fuse_ == 0 || no_room_) {
      no_room_ = false;
      watcher_->refused(w);
      return {errc::no_space, "the simulated disk has no room for a snapshot"};
    }
    take(std::move(w));
    return {};
  }

  void take(disk_write w) {
    carry_out(image_, w);
    watcher_->written(w);
    (deferred_ ? queue_ : spare_).push_back(std::move(w));
  }

  void survive(const disk_write& w) {
    carry_out(deferred_ ? durable_ : image_, w);
    watcher_->survived(w);
  }

  /// Of an append, perhaps the first entries survive; of a snapshot's bytes, the first ones.
  bool tear(const disk_write& w) {
    if (w.what != disk_write::kind::append || w.count < 2) return false;
    disk_write part = w;
    part.count = static_cast<std::uint32_t>(chance_.below(w.count));
    if (part.count == 0) return false;
    std::size_t end = 0;
    for (std::uint32_t i = 0; i < part.count; ++i) {
      const entry e = read_entry(w.bytes.data() + end, index_t{});
      part.last_term = e.term;
      end += entry_bytes(e.data.size());
    }
    part.bytes.resize(end);
    survive(part);
    return true;
  }

  void recycle() {
    if (head_ != queue_.size()) {
      if (head_ < 64) return;
      for (std::size_t i = 0; i < head_; ++i) spare_.push_back(std::move(queue_[i]));
      queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(head_));
    } else {
      for (disk_write& w : queue_) spare_.push_back(std::move(w));
      queue_.clear();
    }
    head_ = 0;
  }

  memory_log image_;
  memory_log durable_;
  disk_watcher* watcher_;
  bool deferred_;
  rng chance_;
  mark_t issued_{};
  std::vector<disk_write> queue_{};  ///< From head_ on: what a crash may lose, oldest first.
  std::size_t head_ = 0;
  std::vector<disk_write> spare_{};
  std::uint32_t fuse_ = no_fuse;
  std::uint32_t cold_permille_ = 0;
  std::uint64_t cold_reads_ = 0;
  fetched asked_for_{};
  fetched at_hand_{};
  bool broken_ = false;
  bool power_ = false;
  bool stuck_ = false;
  bool no_room_ = false;
  bool lies_ = false;
};

/// The Log of a simulated server: a handle to its disk, which must outlive it. `Deferred` says whether writes are
/// durable later than on return, and must be the disk's own answer.
template <bool Deferred>
class sim_log {
 public:
  static constexpr bool durable_on_return = !Deferred;

  explicit sim_log(disk& d) noexcept : disk_(&d) {}

  [[nodiscard]] const raft::hard_state& hard_state() const noexcept { return disk_->image().hard_state(); }
  result<mark_t> store(const raft::hard_state& h) { return disk_->store(h); }

  [[nodiscard]] index_t first_index() const noexcept { return disk_->image().first_index(); }
  [[nodiscard]] index_t last_index() const noexcept { return disk_->image().last_index(); }
  [[nodiscard]] term_t term_at(index_t i) const noexcept { return disk_->image().term_at(i); }
  [[nodiscard]] result<entries> view(index_t from, index_t to, std::uint32_t max_bytes) const {
    return disk_->view(from, to, max_bytes);
  }
  [[nodiscard]] std::span<const index_t> configurations() const noexcept { return disk_->image().configurations(); }

  result<mark_t> append(const entries& batch) { return disk_->append(batch); }
  result<mark_t> append(term_t term, entry_kind kind, std::span<const payload> payloads) {
    return disk_->append(term, kind, payloads);
  }
  result<mark_t> truncate_from(index_t i) { return disk_->truncate_from(i); }
  result<mark_t> compact(index_t i) { return disk_->compact(i); }

  [[nodiscard]] const snapshot_meta& snapshot() const noexcept { return disk_->image().snapshot(); }
  result<payload> read_snapshot(std::uint64_t offset, std::uint32_t max) { return disk_->read_snapshot(offset, max); }
  [[nodiscard]] const partial_snapshot& partial() const noexcept { return disk_->image().partial(); }
  result<void> begin_snapshot(const snapshot_meta& meta) { return disk_->begin_snapshot(meta); }
  result<void> write_snapshot(payload bytes) { return disk_->write_snapshot(bytes); }
  result<mark_t> finish_snapshot() { return disk_->finish_snapshot(); }

 private:
  disk* disk_;
};

static_assert(log_policy<sim_log<true>>);
static_assert(log_policy<sim_log<false>>);

}  // namespace raft::testing
