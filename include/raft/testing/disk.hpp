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
// A disk may have real files beneath it (log_files.hpp). Then the log on them is what the server reads and writes, and
// what a crash leaves of them has to be one of the states that this disk could be in then; which one is looked up.
//
// Invariants: the durable state is the image of some moment; marks are consecutive within an incarnation.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <raft/assert.hpp>
#include <raft/memory_log.hpp>
#include <raft/outcome.hpp>
#include <raft/policies.hpp>

#include <raft/testing/disk_write.hpp>
#include <raft/testing/log_files.hpp>
#include <raft/testing/rng.hpp>

namespace raft::testing {

class disk {
  template <class Read>
  decltype(auto) read(Read&& r) const {
    return files_ && files_->is_open() ? files_->with(r) : r(image_);
  }

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
  /// Whether a write was refused since the last crash that has a mark, or for which there was no power.
  [[nodiscard]] bool broken() const noexcept { return broken_; }
  [[nodiscard]] bool power_was_cut() const noexcept { return broken_ && power_; }
  [[nodiscard]] mark_t issued() const noexcept { return issued_; }
  /// Writes that were refused or have not completed.
  [[nodiscard]] std::size_t pending() const noexcept { return queue_.size() - head_; }

  // ---- real files

  /// Puts a real log beneath it; before anything is written. Snapshots have at most 64 KiB then.
  void put_on_files(const configuration& initial) {
    files_.emplace(initial, deferred_, chance_.fork(1));
    mark_opening();
  }
  /// The files, or null.
  [[nodiscard]] log_files* files() noexcept { return files_ ? &*files_ : nullptr; }
  [[nodiscard]] const log_files* files() const noexcept { return files_ ? &*files_ : nullptr; }
  /// What lies there was damaged, and refuses to be opened.
  [[nodiscard]] bool lost() const noexcept { return lost_; }
  /// The server starts: the log is opened, and shows what the last crash left. Null if so, else what is wrong.
  [[nodiscard]] const char* open() {
    if (!files_) return nullptr;
    if (!files_->open()) return "the log that a crash left cannot be opened";
    const auto shown = files_->with([](auto& log) { return fingerprint(log); });
    return shown == fingerprint(image_) ? nullptr : "the log shows another state than the one that a crash left";
  }

  /// What a crash left of the writes that were not known to be durable.
  struct remains {
    std::size_t kept = 0;
    std::size_t lost = 0;
    bool torn = false;
    bool damaged = false;
    const char* wrong = nullptr;  ///< What is wrong with what was left; null if nothing is.
  };

  // ---- faults

  /// Refuses the write after `after` more, and all that follow; `power`: as the power goes, else as hardware fails.
  void refuse_from(std::uint32_t after, bool power) noexcept {
    fuse_ = after;
    power_ = power;
  }
  /// The next crash leaves so many of the writes that were not known to be durable, and of the one behind them, if it
  /// is an append, so many entries; instead of as many as chance says.
  void keep_at_crash(std::size_t kept, std::uint32_t entries) noexcept { chosen_ = {kept, entries}; }
  /// What that crash left; nothing if there was none yet.
  [[nodiscard]] const std::optional<remains>& left_as_chosen() const noexcept { return left_as_chosen_; }
  /// The same for the files that are beneath it.
  void keep_at_crash(const keep& k) noexcept { files_->keep_at_crash(k); }
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
  void lie() noexcept {
    lies_ = true;
    if (files_) files_->below().lies = true;
  }
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
    if (files_) files_->heal();
  }

  // ---- completion (of a deferred disk)

  /// What was written so far is on its way.
  void begin_sync() {
    if (!files_ || stuck_ || files_->syncs()) return;
    files_->begin_sync();
    on_their_way_ = issued_;
  }

  /// Completes the writes with marks in [first, last]. False if an older one has not completed.
  bool complete(mark_t first, mark_t last) {
    if (files_ && !sync_files()) return true;
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

  /// The server crashes: afterwards the image is what the next incarnation finds. `lose_all`: nothing is kept that need
  /// not be; else chance says.
  remains crash(bool lose_all) {
    if (files_) return crash_files(lose_all, {});
    remains left;
    const std::size_t most = chosen_ ? chosen_->kept : lose_all ? 0 : chance_.below(pending() + 1);
    const std::size_t end = head_ + std::min(most, pending());
    for (; head_ < end; ++left.kept) survive(queue_[head_++]);
    if ((chosen_ || !lose_all) && head_ < queue_.size()) left.torn = tear(queue_[head_]);
    forget_the_rest(left);
    if (std::exchange(chosen_, {})) left_as_chosen_ = left;
    issued_ = mark_t{chance_.below(1000)};
    return left;
  }
  /// The same, and what lies there is damaged before anybody looks. Precondition: files()->would_notice().
  remains crash_and_decay(decay how) { return crash_files(false, how); }

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

  // ---- the Log's reads

  [[nodiscard]] const hard_state& stored() const {
    return read([](auto& log) -> auto& { return log.hard_state(); });
  }
  [[nodiscard]] index_t first_index() const {
    return read([](auto& log) { return log.first_index(); });
  }
  [[nodiscard]] index_t last_index() const {
    return read([](auto& log) { return log.last_index(); });
  }
  [[nodiscard]] term_t term_at(index_t i) const {
    return read([i](auto& log) { return log.term_at(i); });
  }
  [[nodiscard]] std::span<const index_t> configurations() const {
    return read([](auto& log) { return log.configurations(); });
  }
  [[nodiscard]] const snapshot_meta& snapshot() const {
    return read([](auto& log) -> auto& { return log.snapshot(); });
  }
  [[nodiscard]] const partial_snapshot& partial() const {
    return read([](auto& log) -> auto& { return log.partial(); });
  }

  [[nodiscard]] result<entries> view(index_t from, index_t to, std::uint32_t max_bytes) {
    if (cold_permille_ != 0 && !is_configuration(from) && is_cold(from, to)) {
      ++cold_reads_;
      return {errc::not_at_hand, "the entries are in cold storage"};
    }
    return read([=](auto& log) { return log.view(from, to, max_bytes); });
  }
  [[nodiscard]] std::uint64_t cold_reads() const noexcept { return cold_reads_; }
  [[nodiscard]] result<payload> read_snapshot(std::uint64_t offset, std::uint32_t max) {
    if (files_) return files_->with([=](auto& log) { return log.read_snapshot(offset, max); });
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
    if (const auto written = write_files(w); !written) {
      watcher_->refused(w);
      broken_ = true;
      queue_.push_back(std::move(w));
      return written.error();
    }
    w.mark = issued_ = mark_t{issued_.value + 1};
    take(std::move(w));
    return issued_;
  }

  result<void> submit_unmarked(disk_write w) {
    if (fuse_ == 0 || no_room_) {
      no_room_ = false;
      watcher_->refused(w);
      if (fuse_ == 0 && power_ && !std::exchange(broken_, true)) queue_.push_back(std::move(w));
      return {errc::no_space, "the simulated disk has no room for a snapshot"};
    }
    if (const auto written = write_files(w); !written) {
      watcher_->refused(w);
      broken_ |= power_;
      return written.error();
    }
    if (fuse_ != no_fuse) --fuse_;
    take(std::move(w));
    return {};
  }

  void take(disk_write w) {
    (void)carry_out(image_, w);
    watcher_->written(w);
    (deferred_ ? queue_ : spare_).push_back(std::move(w));
  }

  void survive(const disk_write& w) {
    (void)carry_out(deferred_ ? durable_ : image_, w);
    watcher_->survived(w);
  }

  /// Of an append, perhaps the first entries survive; of a snapshot's bytes, the first ones.
  bool tear(const disk_write& w) {
    if (w.what != disk_write::kind::append || w.count < 2) return false;
    disk_write part = w;
    part.count = chosen_ ? std::min(chosen_->entries, w.count - 1) : static_cast<std::uint32_t>(chance_.below(w.count));
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

  /// What is left of the writes that were not known to be durable is settled: the next incarnation begins.
  void forget_the_rest(remains& left) {
    left.lost = queue_.size() - head_;
    head_ = queue_.size();
    recycle();
    if (deferred_) image_ = durable_;
    fuse_ = no_fuse;
    broken_ = stuck_ = power_ = no_room_ = false;
    asked_for_ = at_hand_ = {};
  }

  // ---- real files

  /// The first mark that an opened log hands out is the next one.
  void mark_opening() noexcept { issued_ = on_their_way_ = mark_t{1}; }

  result<void> write_files(const disk_write& w) {
    if (!files_) return {};
    const auto done = files_->write(w);
    if (done) {
      RAFT_ASSERT(!w.marked() || done->value == issued_.value + 1, "both logs hand out the same marks");
      return {};
    }
    fail_sync();
    power_ = files_->off();
    return done.error();
  }

  bool sync_files() {
    if (files_->end_sync()) return true;
    fail_sync();
    power_ = broken_ = files_->off();
    return false;
  }

  /// As far as this, the writes may have reached the files: what the last sync was for, or the write that failed.
  [[nodiscard]] std::size_t end_of_reach() const noexcept {
    std::size_t end = head_;
    for (std::size_t i = head_; i < queue_.size(); ++i) {
      const bool sent = deferred_ ? queue_[i].mark != mark_t{} && queue_[i].mark <= on_their_way_ : queue_[i].marked();
      if (sent) end = i + 1;
    }
    return end;
  }

  remains crash_files(bool lose_all, std::optional<decay> how) {
    remains left;
    files_->end(power_ || (!how && chance_.permille(600)), lose_all);
    left.torn = files_->torn();
    left.damaged = how && files_->damage(*how);
    const log_files::found f = files_->look();
    lost_ = f.refused;
    if (f.refused) {
      if (!left.damaged) left.wrong = "the log is refused, and nothing damaged it";
      if (!f.as_damaged) left.wrong = "the log is refused, and not as damaged";
    } else if (f.shows != fingerprint(deferred_ ? durable_ : image_)) {
      memory_log with_all = durable();
      const std::size_t end = end_of_reach();
      for (std::size_t i = head_; i < end; ++i) (void)carry_out(with_all, queue_[i]);
      if (f.shows != fingerprint(with_all)) left.wrong = "the log shows a state that it was never in, or is older";
      for (; left.wrong == nullptr && head_ < end; ++left.kept) survive(queue_[head_++]);
    }
    forget_the_rest(left);
    mark_opening();
    if (f.partial.meta.index != index_t{}) {
      for (memory_log* log : {&image_, &durable_}) (void)log->begin_snapshot(f.partial.meta);
    }
    return left;
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
  struct choice {
    std::size_t kept = 0;
    std::uint32_t entries = 0;
  };
  std::optional<choice> chosen_{};
  std::optional<remains> left_as_chosen_{};
  std::optional<log_files> files_{};
  mark_t on_their_way_{};  ///< The last write that a sync of the files was begun for.
  bool lost_ = false;
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

}  // namespace raft::testing
