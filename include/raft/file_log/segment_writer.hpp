#pragma once

// The writing half of file_log: puts sealed batches into segments, and sees to the segments behind and ahead.
//
//   write(batch):  [begin a segment]  write  sync  | note the sync  retire old segments  fill the next one
//
// A batch is durable at the bar; what comes behind it is upkeep, in small portions, so that no sync waits long for it.
// All system calls of a sync are made here and on the caller's thread, which need not be the one that fills batches:
// while a sync is under way the writer and its batch belong to whoever runs it.
//
// Invariants: nothing is written to a segment before all of the ones before it is synced; a file is called log-* only
// once its header is durable; a file that was called log-* is overwritten only once its new name is durable; after any
// failed call nothing is ever written again.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <raft/file_log/file_handle.hpp>
#include <raft/file_log/format.hpp>
#include <raft/file_log/options.hpp>
#include <raft/result.hpp>
#include <raft/types.hpp>

namespace raft::detail::wal {

/// What one sync makes durable, and what may go once it is. Cleared and filled again, it allocates nothing.
struct batch {
  byte_buffer bytes{};                    ///< Room for the header, then items.
  std::vector<std::byte> state_before{};  ///< The byte form of the small_state before it.
  std::vector<std::string> obsolete{};    ///< Files that nothing refers to once it is durable.
  mark_t first{};                         ///< The marks of the writes in it; zero if there are none.
  mark_t last{};
  index_t highest{};  ///< The highest index among its entries.
  index_t base{};     ///< Once it is durable, entries up to here are needed no more.

  batch() { bytes.grow(batch_header_bytes); }
  [[nodiscard]] bool empty() const noexcept { return first == mark_t{}; }
  void clear() {
    bytes.shrink(batch_header_bytes);
    obsolete.clear();
    first = last = mark_t{};
    highest = index_t{};
  }
};

/// A segment of the log on disk.
struct segment_on_disk {
  std::uint64_t sequence = 0;
  std::uint64_t bytes = 0;  ///< The size of its file.
  index_t highest{};        ///< The highest index that was ever written to it.
};

/// Where a log ends on disk: what recovery finds and the writer goes on from.
struct log_end {
  std::uint64_t identity = 0;
  std::uint64_t number = 0;                 ///< Of the last batch.
  std::uint32_t epoch = 0;                  ///< Of the last opening; zero in a new directory.
  std::uint64_t used = 0;                   ///< Where the next batch goes in the last segment.
  std::vector<segment_on_disk> segments{};  ///< Oldest first; none in a new directory.
  std::vector<std::string> spares{};        ///< Files of the size of a segment, to be used again.
  std::uint64_t next_spare = 1;             ///< Greater than the number in any spare's name.
};

/// A place in a log on disk.
struct place_on_disk {
  std::size_t segment = 0;  ///< Counted from the oldest one.
  std::uint64_t offset = 0;
};

template <class Files>
class segment_writer {
 public:
  segment_writer(const Files& files, std::string directory, const file_log_options& options)
      : files_(files), directory_(std::move(directory)), options_(options), synced_path_(path("synced")) {}

  /// Takes up a log where recovery found its end, all of which is synced unless nothing ever is; `epoch` is this
  /// opening's.
  [[nodiscard]] bool resume(log_end end, std::uint32_t epoch) {
    end_ = std::move(end);
    before_ = std::exchange(end_.epoch, epoch);
    seed_ = seed_of(end_.identity);
    durable_ = syncs() ? end_.number : 0;
    if (!end_.segments.empty()) {
      current_path_ = path(name_of("log-", end_.segments.back().sequence));
      if (!open(current_, current_path_, open_mode::write)) return false;
    }
    return true;
  }

  /// Writes all from a place to the end of the log anew and syncs it: after a sync that failed, in this process or one
  /// before it, a read shows what the disk may not have.
  [[nodiscard]] bool confirm(const place_on_disk& from) {
    for (std::size_t i = from.segment; i < end_.segments.size(); ++i) {
      const segment_on_disk& s = end_.segments[i];
      const std::string name = path(name_of("log-", s.sequence));
      file_handle<Files> file;
      if (!open(file, name, open_mode::write)) return false;
      const std::uint64_t end = i + 1 == end_.segments.size() ? end_.used : s.bytes;
      if (!good(write_anew(file, i == from.segment ? from.offset : 0, end), name) || !sync(file, name)) return false;
    }
    return true;
  }

  /// Opens the file `synced`. Call after the directory holds a segment.
  [[nodiscard]] bool open_synced(bool exists) {
    if (!records_syncs()) return true;
    if (exists) return open(synced_, synced_path_, open_mode::write);
    return open(synced_, synced_path_, open_mode::create) && sync_directory();
  }

  /// Makes a batch durable; afterwards it may be cleared. Not to be called again after a failure.
  result<void> write(batch& b) {
    if (write_durably(b)) upkeep(b);
    return failures_.any() ? result<void>{failures_.first().why} : result<void>{};
  }

  [[nodiscard]] const failure_account& failures() const noexcept { return failures_; }

 private:
  // ---- the batch

  bool write_durably(batch& b) {
    const std::size_t size = b.bytes.size();
    const bool fits = !end_.segments.empty() && end_.used + size <= end_.segments.back().bytes;
    if (!fits && !begin_segment(size, b.state_before)) return false;
    segment_on_disk& segment = end_.segments.back();
    batch_header h;
    h.sequence = static_cast<std::uint32_t>(segment.sequence);
    h.number = end_.number + 1;
    h.durable = durable_;
    h.epoch = end_.epoch;
    h.before = before_;
    seal_batch(b.bytes.data(), size, h, seed_);
    if (!good(current_.write(b.bytes.data(), size, end_.used), current_path_)) return false;
    if (!sync(current_, current_path_)) return false;
    end_.number = h.number;
    end_.used += size;
    segment.highest = std::max(segment.highest, b.highest);
    if (syncs()) durable_ = h.number;
    return true;
  }

  // ---- segments

  /// Begins a segment that has room for a batch of `size` bytes.
  bool begin_segment(std::size_t size, const std::vector<std::byte>& state) {
    segment_header h;
    h.identity = end_.identity;
    h.sequence = end_.segments.empty() ? 1 : end_.segments.back().sequence + 1;
    h.first_batch = end_.number + 1;
    h.epoch = end_.epoch;
    h.before = before_;
    encode_segment_header(header_, h, state);
    const std::uint64_t bytes = std::max<std::uint64_t>(options_.segment_bytes, header_.size() + size);

    std::string from;
    if (!(bytes == options_.segment_bytes ? take_spare(from) : make_odd(from))) return false;
    if (!good(current_.write(header_.data(), header_.size(), 0), from) || !sync(current_, from)) return false;
    current_path_ = path(name_of("log-", h.sequence));
    if (!good(files_.rename(from, current_path_), from) || !sync_directory()) return false;
    end_.segments.push_back({h.sequence, bytes, index_t{}});
    end_.used = header_.size();
    spare_refused_ = false;
    return true;
  }

  /// A file of the size of a segment becomes current_: one that was used before, or the one that is being filled.
  bool take_spare(std::string& name) {
    if (!end_.spares.empty()) {
      name = path(end_.spares.back());
      end_.spares.pop_back();
      return open(current_, name, open_mode::write);
    }
    if (!filling_.is_open() && !good(begin_filling(), filling_path_)) return false;
    while (syncs() && filled_ < options_.segment_bytes) {
      if (!fill_more()) return false;
    }
    current_ = std::move(filling_);
    name = std::move(filling_path_);
    return true;
  }

  /// A file for a batch that no segment of the usual size has room for; it grows as that is written.
  bool make_odd(std::string& name) {
    name = next_spare_path();
    return open(current_, name, open_mode::create);
  }

  // ---- upkeep

  void upkeep(const batch& b) {
    if (synced_.is_open()) {
      encode_synced(note_, end_.identity, end_.number);
      if (!good(synced_.write(note_, sizeof note_, 0), synced_path_)) return;
    }
    for (const std::string& file : b.obsolete) {
      if (!good(files_.remove(file), file)) return;
    }
    if (retire(b.base)) fill_ahead(b.bytes.size());
  }

  /// Segments that hold nothing above `base` go, oldest first: to be used again, or for good.
  bool retire(index_t base) {
    std::size_t gone = 0;
    for (; gone + 1 < end_.segments.size() && end_.segments[gone].highest <= base; ++gone) {
      const segment_on_disk& s = end_.segments[gone];
      const std::string name = path(name_of("log-", s.sequence));
      if (end_.spares.size() < options_.spare_segments && s.bytes == options_.segment_bytes) {
        end_.spares.push_back(name_of("spare-", end_.next_spare++));
        if (!good(files_.rename(name, path(end_.spares.back())), name)) return false;
      } else if (!good(files_.remove(name), name)) {
        return false;
      }
    }
    if (gone == 0) return true;
    end_.segments.erase(end_.segments.begin(), end_.segments.begin() + static_cast<std::ptrdiff_t>(gone));
    return sync_directory();
  }

  /// Zeros in the next segment keep a few portions ahead of what is written in this one; at a time one portion goes, or
  /// as much as was just written.
  void fill_ahead(std::uint64_t written) {
    if (!syncs() || spare_refused_ || !end_.spares.empty()) return;
    if (!filling_.is_open() && !begin_filling()) return give_up_filling();
    const std::uint64_t portion = options_.fill_bytes;
    const std::uint64_t wanted = std::min(options_.segment_bytes, end_.used + 4 * portion);
    for (std::uint64_t done = 0; done < written && filled_ < wanted; done += portion) {
      if (filled_ + portion > wanted && wanted < options_.segment_bytes) return;
      if (!fill_portion()) return give_up_filling();
    }
    if (filled_ < options_.segment_bytes) return;
    end_.spares.push_back(filling_path_.substr(directory_.size() + 1));
    filling_.close();
  }

  /// A disk without room for the next segment is no failure yet: what is written may still fit into this one, and a
  /// compaction may free one.
  void give_up_filling() {
    if (fill_failure_.code != errc::no_space) {
      failures_.note(fill_failure_, filling_path_);
      return;
    }
    spare_refused_ = true;
    if (!filling_.is_open()) return;
    filling_.close();
    static_cast<void>(good(files_.remove(filling_path_), filling_path_));
  }

  /// Its file, still empty; else the reason is in fill_failure_, too.
  result<void> begin_filling() {
    filling_path_ = next_spare_path();
    filled_ = 0;
    auto f = open_file(files_, filling_path_, open_mode::create);
    if (!f) return fill_failure_ = f.error();
    filling_ = std::move(*f);
    return {};
  }

  /// The next portion of zeros, or failure for good.
  bool fill_more() {
    if (!fill_portion()) failures_.note(fill_failure_, filling_path_);
    return !failures_.any();
  }

  /// The next portion of zeros, and a sync behind the last one; else the reason is in fill_failure_. By then the system
  /// has written most of them, so that neither that sync nor one of the log has to wait for them.
  bool fill_portion() {
    zeros_.resize(options_.fill_bytes);
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(zeros_.size(), options_.segment_bytes - filled_));
    result<void> done = filling_.write(zeros_.data(), n, filled_);
    filling_.start_writing(filled_, n);
    filled_ += n;
    if (done && filled_ == options_.segment_bytes) done = filling_.sync();
    if (!done) fill_failure_ = done.error();
    return done.has_value();
  }

  // ---- calls

  [[nodiscard]] bool syncs() const noexcept { return options_.sync == sync_policy::always; }
  [[nodiscard]] bool records_syncs() const noexcept { return syncs() && options_.record_syncs; }
  [[nodiscard]] std::string path(const std::string& name) const { return directory_ + '/' + name; }
  [[nodiscard]] std::string next_spare_path() { return path(name_of("spare-", end_.next_spare++)); }

  template <class T>
  bool good(const result<T>& r, const std::string& file) {
    return failures_.good(r, file);
  }
  bool open(file_handle<Files>& to, const std::string& name, open_mode mode) {
    auto f = open_file(files_, name, mode);
    if (!good(f, name)) return false;
    to = std::move(*f);
    return true;
  }
  bool sync(const file_handle<Files>& f, const std::string& name) { return !syncs() || good(f.sync(), name); }
  bool sync_directory() { return !syncs() || good(files_.sync_directory(directory_), directory_); }

  [[no_unique_address]] Files files_;
  std::string directory_;
  file_log_options options_;
  failure_account failures_{};
  log_end end_{};
  std::uint32_t before_ = 0;  ///< The epoch of the opening before this one.
  std::uint32_t seed_ = 0;
  std::uint64_t durable_ = 0;  ///< The number of the last batch that is synced.
  file_handle<Files> current_{};
  std::string current_path_{};
  file_handle<Files> synced_{};
  std::string synced_path_;
  std::byte note_[synced_bytes]{};
  std::vector<std::byte> header_{};
  file_handle<Files> filling_{};  ///< The next segment, zeros so far.
  std::string filling_path_{};
  std::uint64_t filled_ = 0;
  std::vector<std::byte> zeros_{};
  raft::error fill_failure_{};
  bool spare_refused_ = false;  ///< There was no room for the next segment; not tried again before a segment begins.
};

}  // namespace raft::detail::wal
