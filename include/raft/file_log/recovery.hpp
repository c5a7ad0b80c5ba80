#pragma once

// The reading half of file_log: from the segments of a directory to the state that they hold. It writes nothing; what
// it refuses lies on the disk as before.
//
// One pass, oldest segment first, each read in large pieces. Where the next batch should begin and does not, the log
// ends: by a write that a crash cut short (the one case that is cut silently), or by damage (refused, with file and
// offset). It is damage if anything shows that the batch missing there, number N, was synced or is elsewhere:
//   - a later segment: it exists only because all before it was synced, and says with which batch it begins;
//   - behind that place, the header of a batch that was written when N was synced (`durable` >= N): a batch is written
//     only after the sync of the one before it;
//   - a batch of the last epoch, or the next one, out of its place: dropped, doubled and swapped batches;
//   - the file `synced`, which names the last batch that was synced.
// So damage is told from a torn write except where it takes all batches from some place to the end of the log, and
// `synced` does not name them: it is written after each sync, without one, so it knows all syncs when a process is
// killed, and those of the last half minute may be missing from it when the power fails. Each opening writes anew
// what nothing says was synced, syncs all and then writes a batch of its own, which ends the doubt. With
// sync_policy::never nothing is ever known to be synced, and only what is missing at the end of the last segment is
// cut; what is whole behind that stays on the disk, and counts as little as the batches of other openings do.
//
// A batch whose checksum holds and whose content contradicts what is before it is damage as well (`replay.hpp`).

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <raft/assert.hpp>
#include <raft/file_log/file_handle.hpp>
#include <raft/file_log/format.hpp>
#include <raft/file_log/options.hpp>
#include <raft/file_log/replay.hpp>
#include <raft/file_log/segment_writer.hpp>
#include <raft/result.hpp>
#include <raft/types.hpp>

namespace raft::detail::wal {

/// A file seen through a window of memory that only moves forward.
template <class Files>
class file_window {
 public:
  void look_at(file_handle<Files>& file, std::uint64_t size) {
    file_ = &file;
    size_ = size;
    begin_ = have_ = 0;
  }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

  /// The n bytes at `offset`, or those that there are; valid until the next call. Precondition: no call for this file
  /// began behind `offset`.
  result<payload> at(std::uint64_t offset, std::uint64_t n) {
    RAFT_ASSERT(offset >= begin_, "the window only moves forward");
    n = std::min(n, size_ - std::min(offset, size_));
    if (offset + n > begin_ + have_) {
      const auto piece = std::min(size_ - offset, std::max(n, std::uint64_t{1} << 20));
      if (bytes_.size() < piece) bytes_.resize(static_cast<std::size_t>(piece));
      const auto read = file_->read(bytes_.data(), static_cast<std::size_t>(piece), offset);
      if (!read) return read.error();
      begin_ = offset;
      have_ = *read;
    }
    const std::uint64_t from = offset - begin_;
    return payload{bytes_.data() + from, static_cast<std::size_t>(std::min(n, have_ - std::min(from, have_)))};
  }

 private:
  file_handle<Files>* file_ = nullptr;
  std::uint64_t size_ = 0;
  std::uint64_t begin_ = 0;
  std::uint64_t have_ = 0;
  std::vector<std::byte> bytes_{};
};

/// Reads the log in a directory.
template <class Files>
class recovery {
 public:
  recovery(const Files& files, const std::string& directory, const file_log_options& options, failure_account& failures)
      : files_(files), directory_(directory), options_(options), failures_(failures) {}

  /// Reads what `names` are in the directory. False: refused, or unreadable; the failure is in the account. `initial`
  /// is what a directory without a log begins with.
  bool run(const std::vector<std::string>& names, const small_state& initial) {
    std::vector<std::uint64_t> sequences;
    for (const std::string& name : names) {
      std::uint64_t number = 0;
      if (parse_name(name, "log-", number)) sequences.push_back(number);
      if (parse_name(name, "spare-", number) && !sort_spare(name, number)) return false;
    }
    std::sort(sequences.begin(), sequences.end());
    if (sequences.empty()) {
      replay_.emplace(initial, options_.memory_segment_bytes);
      return true;
    }
    if (!scan(sequences) || !check_synced(names)) return false;
    if (!replay_->finish()) {
      return refuse(path_of(sequences.back()),
                    damaged(0, "entries are missing: a segment before this one is not there"));
    }
    return true;
  }

  /// What was found; after run() succeeded.
  [[nodiscard]] replay& state() noexcept { return *replay_; }
  [[nodiscard]] log_end& end() noexcept { return end_; }
  /// Files that are not part of the log any more.
  [[nodiscard]] const std::vector<std::string>& leftovers() const noexcept { return leftovers_; }
  /// From where on nothing says that what was found was ever synced; nothing if all of it was.
  [[nodiscard]] std::optional<place_on_disk> unconfirmed() const noexcept {
    return synced_ < end_.number ? std::optional{unconfirmed_} : std::nullopt;
  }
  /// Whether nothing says that the snapshot's file was: it is before the batch is written that speaks of it.
  [[nodiscard]] bool snapshot_unconfirmed() const noexcept { return snapshot_batch_ > std::max(confirmed_, synced_); }

 private:
  // ---- segments

  /// Reads the run of consecutive segments that ends with the last one. What lies before a gap was on its way out when
  /// the machine stopped; if it was not, entries will be missing.
  bool scan(const std::vector<std::uint64_t>& sequences) {
    std::size_t oldest = sequences.size() - 1;
    while (oldest != 0 && sequences[oldest - 1] + 1 == sequences[oldest]) --oldest;
    for (std::size_t i = 0; i < oldest; ++i) leftovers_.push_back(path_of(sequences[i]));
    for (std::size_t i = oldest; i < sequences.size(); ++i) {
      if (!scan_segment(sequences[i], i + 1 == sequences.size())) return false;
    }
    return true;
  }

  bool scan_segment(std::uint64_t sequence, bool last) {
    const std::string path = path_of(sequence);
    auto file = open_file(files_, path, open_mode::read);
    if (!failures_.good(file, path)) return false;
    const auto size = file->size();
    if (!failures_.good(size, path)) return false;
    window_.look_at(*file, *size);
    const auto header = read_header();
    if (!failures_.good(header, path)) return false;
    if (header->sequence != sequence) return refuse(path, damaged(24, "a segment has the name of another one"));
    if (!join(path, *header)) return false;

    segment_on_disk segment{sequence, *size, index_t{}};
    if (options_.sync == sync_policy::never) segment.bytes = std::max(segment.bytes, options_.segment_bytes);
    end_.used = header->data_offset;
    for (;;) {
      const auto more = scan_batch(segment);
      if (!failures_.good(more, path)) return false;
      if (!*more) break;
    }
    end_.segments.push_back(segment);
    if (!last) return true;
    const auto whole = check_tail();
    return failures_.good(whole, path);
  }

  result<segment_header> read_header() {
    const auto bytes = window_.at(0, segment_header_limit);
    if (!bytes) return bytes.error();
    return decode_segment_header(*bytes);
  }

  /// Checks that a segment follows the one before it; the first one is where the replay begins.
  bool join(const std::string& path, const segment_header& h) {
    if (!replay_) {
      end_.identity = h.identity;
      end_.number = snapshot_batch_ = h.first_batch - 1;
      end_.epoch = h.epoch;
      if (h.first_batch == 0 || !consistent(h.state)) {
        return refuse(path, damaged(segment_header_bytes, "the state in a segment's header contradicts itself"));
      }
      replay_.emplace(h.state, options_.memory_segment_bytes);
      return true;
    }
    if (h.identity != end_.identity) return refuse(path, damaged(16, "a segment of another log"));
    if (h.first_batch != end_.number + 1) {
      return refuse(path_of(h.sequence - 1), damaged(end_.used, "a batch that was synced is damaged or missing"));
    }
    if (!follows(h)) return refuse(path, damaged(40, "a segment out of turn"));
    if (!(h.state == replay_->state())) {
      return refuse(path, damaged(segment_header_bytes, "a segment contradicts the one before it"));
    }
    end_.epoch = h.epoch;
    return true;
  }

  /// Of the opening that wrote what is before it, or of the next one.
  template <class Header>
  [[nodiscard]] bool follows(const Header& h) const noexcept {
    return h.epoch == end_.epoch || h.before == end_.epoch;
  }

  // ---- batches

  /// Reads the batch at end_.used; false where there is none.
  result<bool> scan_batch(segment_on_disk& segment) {
    const auto head = window_.at(end_.used, batch_header_bytes);
    if (!head) return head.error();
    batch_header h;
    if (head->size() < batch_header_bytes || !read_batch_header(head->data(), seed(), h)) return false;
    if (h.sequence != static_cast<std::uint32_t>(segment.sequence) || h.number != end_.number + 1) return false;
    if (!follows(h)) return false;
    const auto all = window_.at(end_.used, batch_header_bytes + std::uint64_t{h.length});
    if (!all) return all.error();
    if (all->size() < batch_header_bytes + std::uint64_t{h.length}) return false;
    const payload items = all->subspan(batch_header_bytes);
    if (crc32c(items.data(), items.size(), seed()) != h.body_crc) return false;
    const index_t snapshot = replay_->snapshot().index;
    if (!replay_->apply(items, segment.highest)) return damaged(end_.used, "a batch contradicts what is before it");
    if (replay_->snapshot().index != snapshot) snapshot_batch_ = h.number;
    if (h.durable != 0 && h.durable + 1 >= h.number) {
      confirmed_ = h.durable;
      unconfirmed_ = {end_.segments.size(), end_.used};
    }
    end_.used += all->size();
    end_.number = h.number;
    end_.epoch = h.epoch;
    return true;
  }

  /// Behind the end of the log in its last segment: whether anything shows that there was more.
  result<void> check_tail() {
    constexpr std::uint64_t piece = std::uint64_t{1} << 20;
    const auto sequence = static_cast<std::uint32_t>(end_.segments.back().sequence);
    for (std::uint64_t at = end_.used; at + batch_header_bytes <= window_.size(); at += piece) {
      const auto bytes = window_.at(at, piece + batch_header_bytes - 8);
      if (!bytes) return bytes.error();
      for (std::uint64_t i = 0; i < piece && i + batch_header_bytes <= bytes->size(); i += 8) {
        if (load_le<std::uint32_t>(bytes->data() + i + 12) != sequence) continue;
        if (shows_damage(bytes->data() + i, at + i)) {
          return damaged(end_.used, "a batch that was synced is damaged or missing");
        }
      }
    }
    return {};
  }

  bool shows_damage(const std::byte* bytes, std::uint64_t offset) const {
    const std::uint64_t missing = end_.number + 1;
    batch_header h;
    if (!read_batch_header(bytes, seed(), h)) return false;
    if (h.durable >= missing) return true;
    if (!follows(h)) return false;
    // The missing one itself, torn, or later ones of a log that does not sync.
    return offset == end_.used ? h.number != missing : h.number <= missing;
  }

  bool check_synced(const std::vector<std::string>& names) {
    if (std::find(names.begin(), names.end(), "synced") == names.end()) return true;
    const std::string path = directory_ + "/synced";
    auto file = open_file(files_, path, open_mode::read);
    if (!failures_.good(file, path)) return false;
    std::byte bytes[synced_bytes];
    const auto n = file->read(bytes, sizeof bytes, 0);
    if (!failures_.good(n, path)) return false;
    synced_ = decode_synced({bytes, *n}, end_.identity);
    if (synced_ <= end_.number) return true;
    return refuse(path_of(end_.segments.back().sequence),
                  damaged(end_.used, "the last batches that were synced are damaged or missing"));
  }

  // ---- the rest

  bool sort_spare(const std::string& name, std::uint64_t number) {
    const std::string path = directory_ + '/' + name;
    end_.next_spare = std::max(end_.next_spare, number + 1);
    auto file = open_file(files_, path, open_mode::read);
    if (!failures_.good(file, path)) return false;
    const auto size = file->size();
    if (!failures_.good(size, path)) return false;
    if (*size == options_.segment_bytes && end_.spares.size() < std::max(options_.spare_segments, 1U)) {
      end_.spares.push_back(name);
    } else {
      leftovers_.push_back(path);
    }
    return true;
  }

  bool refuse(const std::string& path, raft::error why) {
    failures_.note(why, path);
    return false;
  }
  [[nodiscard]] std::string path_of(std::uint64_t sequence) const {
    return directory_ + '/' + name_of("log-", sequence);
  }
  [[nodiscard]] std::uint32_t seed() const noexcept { return seed_of(end_.identity); }

  const Files& files_;
  const std::string& directory_;
  const file_log_options& options_;
  failure_account& failures_;
  file_window<Files> window_{};
  std::optional<replay> replay_{};
  log_end end_{};
  place_on_disk unconfirmed_{};       ///< Behind the last batch that a later one says was synced.
  std::uint64_t confirmed_ = 0;       ///< The number of that batch.
  std::uint64_t synced_ = 0;          ///< The one that the file `synced` names.
  std::uint64_t snapshot_batch_ = 0;  ///< The one that placed the snapshot.
  std::vector<std::string> leftovers_{};
};

}  // namespace raft::detail::wal
