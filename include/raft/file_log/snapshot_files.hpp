#pragma once

// Snapshots of file_log: one file each, written front to back and checked block by block.
//
//   partial-<number>  -- finish: sync, rename, sync the directory -->  snapshot-<index>
//     header  {magic u64, crc u32, version u32, identity u64, number u64, length u64, the meta as it was begun}
//     slot    at the next multiple of 512: {crc u32, crc of the image u32, size u64, id u64}; written by finish
//     blocks  from 512 bytes behind it: 64 KiB of the image (the last one fewer), then {crc u32, length u32}
//
// A snapshot is the current one when the log says so, in the same batch that gives the log its new beginning: one file
// appears before that, the other goes after it, and a crash in between leaves one too many, which the next opening
// removes. The checksum of a block starts from the identity of the log, the number of the file and that of the block,
// so that each is good for its place only. So a partial file needs no account of how far it is: after a crash, all
// whole blocks up to the first damaged one count, and a transfer goes on from there.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <raft/crc32c.hpp>
#include <raft/file_log/file_handle.hpp>
#include <raft/file_log/format.hpp>
#include <raft/file_log/options.hpp>
#include <raft/memory_log.hpp>
#include <raft/result.hpp>
#include <raft/storage.hpp>

namespace raft::detail::wal {

inline constexpr std::uint64_t snapshot_magic = 0x31504E5354464152;  // "RAFTSNP1"
inline constexpr std::size_t snapshot_header_bytes = 40;
/// More than the byte form of any snapshot_meta takes.
inline constexpr std::size_t snapshot_place_limit = std::size_t{1} << 20;
inline constexpr std::size_t slot_bytes = 24;
inline constexpr std::size_t block_bytes = std::size_t{64} << 10;
inline constexpr std::size_t trailer_bytes = 8;

/// One file of a snapshot, by blocks.
template <class Files>
struct snapshot_file {
  file_handle<Files> file{};
  std::string path{};
  snapshot_meta meta{};    ///< As it was begun.
  std::uint64_t slot = 0;  ///< Where the slot is.
  std::uint32_t seed = 0;  ///< The start of the blocks' checksums.
  std::uint64_t number = 0;

  [[nodiscard]] std::uint64_t offset_of(std::uint64_t block) const noexcept {
    return slot + sector_bytes + block * (block_bytes + trailer_bytes);
  }
  [[nodiscard]] std::uint32_t seed_of_block(std::uint64_t block) const noexcept {
    return seed ^ static_cast<std::uint32_t>(block * 0x9E3779B1);
  }

  /// Writes `n` bytes, which are followed by room for a trailer.
  result<void> write_block(std::uint64_t block, std::byte* bytes, std::size_t n) const {
    store_le(bytes + n, crc32c(bytes, n, seed_of_block(block)));
    store_le(bytes + n + 4, static_cast<std::uint32_t>(n));
    return file.write(bytes, n + trailer_bytes, offset_of(block));
  }

  /// Reads a block of n bytes to `to`, where there is room for a trailer behind it.
  result<void> read_block(std::uint64_t block, std::byte* to, std::size_t n) const {
    const auto got = file.read(to, n + trailer_bytes, offset_of(block));
    if (!got) return got.error();
    if (*got < n + trailer_bytes) return damaged(offset_of(block), "a snapshot ends too soon");
    if (load_le<std::uint32_t>(to + n + 4) != n ||
        load_le<std::uint32_t>(to + n) != crc32c(to, n, seed_of_block(block))) {
      return damaged(offset_of(block), "a block of a snapshot is damaged");
    }
    return {};
  }

  /// Writes the header of a new file.
  result<void> write_header(std::uint64_t identity) {
    std::vector<std::byte> out;
    put(out, snapshot_magic);
    put(out, std::uint64_t{format_version} << 32);
    put(out, identity);
    put(out, number);
    put(out, std::uint64_t{0});
    put(out, meta);
    store_le<std::uint64_t>(out.data() + 32, out.size() - snapshot_header_bytes);
    store_le(out.data() + 8, crc32c(out.data() + 12, out.size() - 12));
    place_slot(identity, out.size());
    out.resize(static_cast<std::size_t>(slot + sector_bytes));
    return file.write(out.data(), out.size(), 0);
  }

  /// Reads and checks the header.
  result<void> read_header(std::uint64_t identity) {
    std::vector<std::byte> bytes(16384);
    auto n = file.read(bytes.data(), bytes.size(), 0);
    if (!n) return n.error();
    if (*n < snapshot_header_bytes || load_le<std::uint64_t>(bytes.data()) != snapshot_magic) {
      return damaged(0, "a snapshot does not begin as one");
    }
    const auto length = load_le<std::uint64_t>(bytes.data() + 32);
    if (length > bytes.size() - snapshot_header_bytes && length <= snapshot_place_limit) {
      bytes.resize(snapshot_header_bytes + static_cast<std::size_t>(length));
      n = file.read(bytes.data(), bytes.size(), 0);
      if (!n) return n.error();
    }
    if (length > *n - snapshot_header_bytes) return damaged(32, "the header of a snapshot is damaged");
    const auto end = snapshot_header_bytes + static_cast<std::size_t>(length);
    if (load_le<std::uint32_t>(bytes.data() + 8) != crc32c(bytes.data() + 12, end - 12)) {
      return damaged(8, "the header of a snapshot is damaged");
    }
    if (load_le<std::uint32_t>(bytes.data() + 12) != format_version) {
      return {errc::unsupported_version, "a snapshot of a version that this build does not read"};
    }
    if (load_le<std::uint64_t>(bytes.data() + 16) != identity) return damaged(16, "a snapshot of another log");
    number = load_le<std::uint64_t>(bytes.data() + 24);
    cursor in{bytes.data() + snapshot_header_bytes, static_cast<std::size_t>(length)};
    meta = take_snapshot_meta(in);
    if (!in.good || in.left != 0) return damaged(snapshot_header_bytes, "the place of a snapshot is malformed");
    place_slot(identity, end);
    return {};
  }

 private:
  void place_slot(std::uint64_t identity, std::size_t header_end) noexcept {
    slot = round_up(header_end, sector_bytes);
    seed = seed_of(identity) ^ seed_of(number * 0x9E3779B97F4A7C15);
  }
};

template <class Files>
class snapshot_files {
 public:
  snapshot_files(const Files& files, std::string directory, const file_log_options& options)
      : files_(files), directory_(std::move(directory)), options_(options) {}

  // ---- opening

  /// Finds the files of the current snapshot and of one that is being written; writes nothing. `leftovers` gets the
  /// files of others.
  bool find(const std::vector<std::string>& names, std::uint64_t identity, const snapshot_meta& current,
            std::vector<std::string>& leftovers, failure_account& failures) {
    identity_ = identity;
    std::vector<std::uint64_t> partials;
    bool found = false;
    for (const std::string& name : names) {
      std::uint64_t number = 0;
      if (parse_name(name, "partial-", number)) partials.push_back(number);
      if (!parse_name(name, "snapshot-", number)) continue;
      if (number == current.index.value) {
        found = true;
      } else {
        leftovers.push_back(path(name));
      }
    }
    const std::string wanted = path(name_of("snapshot-", current.index.value));
    if (found != (current.index != index_t{})) {
      failures.note(damaged(0, found ? "a snapshot that no log speaks of" : "the snapshot is not there"), wanted);
      return false;
    }
    if (found && !failures.good(open_current(wanted, current), wanted)) return false;
    std::sort(partials.rbegin(), partials.rend());
    for (const std::uint64_t number : partials) {
      const std::string name = path(name_of("partial-", number));
      next_number_ = std::max(next_number_, number + 1);
      const auto resumed = resume(name, number, current.index);
      if (!failures.good(resumed, name)) return false;
      if (!*resumed) leftovers.push_back(name);
    }
    return true;
  }

  /// Syncs the current snapshot: it was written without, if nothing was ever synced then.
  bool sync_current(failure_account& failures) {
    return !syncs() || !current_.file.is_open() || failures.good(current_.file.sync(), current_.path);
  }

  /// Writes the current snapshot anew and syncs it, where nothing says that it was: see segment_writer::confirm.
  bool confirm_current(failure_account& failures) {
    if (!syncs() || !current_.file.is_open()) return true;
    const auto file = open_file(files_, current_.path, open_mode::write);
    return failures.good(file, current_.path) && failures.good(write_anew(*file, 0, UINT64_MAX), current_.path) &&
           failures.good(file->sync(), current_.path);
  }

  /// Readies a resumed snapshot for being written on: writes what is there anew, as a sync before the restart may have
  /// failed, which a read does not show; and makes sure that no block behind them counts after the next restart.
  bool confirm(failure_account& failures) {
    return !writing_.file.is_open() || kept(write_resumed_anew(), failures) || !failures.any();
  }

  // ---- reading

  /// See log_policy. A piece of the image, from whole blocks that are read and checked; at most max + 128 KiB of
  /// memory.
  result<payload> read(std::uint64_t offset, std::uint32_t max) {
    if (offset > size_) return {errc::impossible, "an offset behind the end of the snapshot"};
    const auto n = std::min<std::uint64_t>(size_ - offset, std::max(max, 1U));
    if (n == 0) return payload{};
    const std::uint64_t first = offset / block_bytes;
    const std::uint64_t end = (offset + n + block_bytes - 1) / block_bytes;
    if (first < read_first_ || end > read_end_) {
      read_.resize(static_cast<std::size_t>((end - first) * block_bytes + trailer_bytes));
      read_first_ = read_end_ = 0;
      for (std::uint64_t b = first; b < end; ++b) {
        // Each block overwrites the trailer of the one before it, so that the image lies in one piece.
        const auto done = current_.read_block(b, read_.data() + (b - first) * block_bytes, length_of(b, size_));
        if (!done) {
          read_failure_ = {done.error(), current_.path};
          return done.error();
        }
      }
      read_first_ = first;
      read_end_ = end;
    }
    return payload{read_.data() + (offset - read_first_ * block_bytes), static_cast<std::size_t>(n)};
  }

  [[nodiscard]] const file_log_failure& read_failure() const noexcept { return read_failure_; }

  // ---- writing

  [[nodiscard]] const partial_snapshot& partial() const noexcept { return partial_; }

  result<void> begin(const snapshot_meta& meta, failure_account& failures) {
    if (writing_.file.is_open()) {
      writing_.file.close();
      partial_ = {};
      if (!failures.good(files_.remove(writing_.path), writing_.path)) return failures.first().why;
    }
    writing_.number = next_number_++;
    writing_.path = path(name_of("partial-", writing_.number));
    writing_.meta = meta;
    auto f = open_file(files_, writing_.path, open_mode::create);
    if (!f && f.error().code == errc::no_space) return f.error();
    if (!failures.good(f, writing_.path)) return failures.first().why;
    writing_.file = std::move(*f);
    if (auto done = kept(writing_.write_header(identity_), failures); !done) return done;
    partial_ = {meta, 0};
    crc_ = 0;
    unsynced_ = 0;
    block_.resize(block_bytes + trailer_bytes);
    return {};
  }

  /// errc::no_space ends the snapshot.
  result<void> write(payload bytes, failure_account& failures) {
    crc_ = crc32c(bytes.data(), bytes.size(), crc_);
    while (!bytes.empty()) {
      const std::size_t at = partial_.received % block_bytes;
      const std::size_t n = std::min(bytes.size(), block_bytes - at);
      copy_bytes(block_.data() + at, bytes.data(), n);
      bytes = bytes.subspan(n);
      if (at + n == block_bytes) {
        const std::uint64_t block = partial_.received / block_bytes;
        if (auto done = kept(writing_.write_block(block, block_.data(), block_bytes), failures); !done) return done;
      }
      partial_.received += n;
      unsynced_ += n;
    }
    // In portions, so that finish() need not wait for the whole image.
    return unsynced_ >= sync_portion ? kept(synced(), failures) : result<void>{};
  }

  /// Makes the image durable under the name of its index. It is not the current one yet: place() follows once the log
  /// says so. Gives the meta with size and id.
  result<snapshot_meta> finish(failure_account& failures) {
    snapshot_meta meta = partial_.meta;
    meta.size = partial_.received;
    if (meta.id == 0) meta.id = memory_log::id_of(crc_, meta.size);
    if (auto done = kept(write_end(meta), failures); !done) return done.error();
    if (!publish(meta, failures)) return failures.first().why;
    finished_ = std::move(writing_);
    finished_size_ = meta.size;
    partial_ = {};
    return meta;
  }

  /// Makes the finished one the current one; gives the path of the file that was, empty if there was none.
  std::string place() {
    std::string former = std::move(current_.path);
    current_ = std::move(finished_);
    size_ = finished_size_;
    read_first_ = read_end_ = 0;
    return former;
  }

 private:
  static constexpr std::uint64_t sync_portion = std::uint64_t{8} << 20;

  [[nodiscard]] static std::size_t length_of(std::uint64_t block, std::uint64_t size) noexcept {
    return static_cast<std::size_t>(std::min<std::uint64_t>(block_bytes, size - block * block_bytes));
  }
  [[nodiscard]] std::string path(const std::string& name) const { return directory_ + '/' + name; }
  [[nodiscard]] bool syncs() const noexcept { return options_.sync == sync_policy::always; }
  result<void> synced() {
    unsynced_ = 0;
    return syncs() ? writing_.file.sync() : result<void>{};
  }

  /// What became of a call for the snapshot that is being written. One that found no room ends that snapshot: no log
  /// speaks of its file, and the log goes on without. Any other failure is the log's.
  result<void> kept(const result<void>& done, failure_account& failures) {
    if (done || done.error().code != errc::no_space) {
      return failures.good(done, writing_.path) ? result<void>{} : result<void>{failures.first().why};
    }
    writing_.file.close();
    partial_ = {};
    return failures.good(files_.remove(writing_.path), writing_.path) ? done : result<void>{failures.first().why};
  }

  /// See confirm.
  result<void> write_resumed_anew() {
    result<void> done = writing_.write_header(identity_);
    const std::uint64_t blocks = partial_.received / block_bytes;
    for (std::uint64_t b = 0; done && b < blocks; ++b) {
      done = writing_.read_block(b, block_.data(), block_bytes);
      if (done) done = writing_.write_block(b, block_.data(), block_bytes);
    }
    if (!done) return done;
    const auto size = writing_.file.size();
    if (!size) return size.error();
    const std::byte zeros[trailer_bytes]{};
    for (std::uint64_t b = blocks; done && writing_.offset_of(b + 1) <= *size; ++b) {
      done = writing_.file.write(zeros, trailer_bytes, writing_.offset_of(b) + block_bytes);
    }
    return done ? synced() : done;
  }

  /// The last block and the slot, synced: then the file is whole.
  result<void> write_end(const snapshot_meta& meta) {
    const std::size_t rest = partial_.received % block_bytes;
    if (rest != 0) {
      auto done = writing_.write_block(partial_.received / block_bytes, block_.data(), rest);
      if (!done) return done;
    }
    std::byte slot[slot_bytes];
    store_le(slot + 4, crc_);
    store_le(slot + 8, meta.size);
    store_le(slot + 16, meta.id);
    store_le(slot, crc32c(slot + 4, slot_bytes - 4, writing_.seed));
    auto done = writing_.file.write(slot, slot_bytes, writing_.slot);
    return done ? synced() : done;
  }

  bool publish(const snapshot_meta& meta, failure_account& failures) {
    const std::string to = path(name_of("snapshot-", meta.index.value));
    if (!failures.good(files_.rename(writing_.path, to), writing_.path)) return false;
    writing_.path = to;
    return !syncs() || failures.good(files_.sync_directory(directory_), directory_);
  }

  result<void> open_current(const std::string& name, const snapshot_meta& expected) {
    auto f = open_file(files_, name, open_mode::read);
    if (!f) return f.error();
    current_.file = std::move(*f);
    current_.path = name;
    if (auto read = current_.read_header(identity_); !read) return read;
    const snapshot_meta& m = current_.meta;
    if (m.index != expected.index || m.term != expected.term || !(m.configuration == expected.configuration)) {
      return damaged(snapshot_header_bytes, "the snapshot is not the one that the log speaks of");
    }
    std::byte slot[slot_bytes]{};
    const auto n = current_.file.read(slot, slot_bytes, current_.slot);
    if (!n) return n.error();
    if (load_le<std::uint32_t>(slot) != crc32c(slot + 4, slot_bytes - 4, current_.seed)) {
      return damaged(current_.slot, "the size of a snapshot is damaged");
    }
    if (load_le<std::uint64_t>(slot + 8) != expected.size || load_le<std::uint64_t>(slot + 16) != expected.id) {
      return damaged(current_.slot, "the snapshot is not the one that the log speaks of");
    }
    size_ = expected.size;
    return options_.verify_snapshot ? verify_current(load_le<std::uint32_t>(slot + 4)) : result<void>{};
  }

  result<void> verify_current(std::uint32_t expected) {
    std::vector<std::byte> block(block_bytes + trailer_bytes);
    std::uint32_t crc = 0;
    for (std::uint64_t b = 0; b * block_bytes < size_; ++b) {
      const std::size_t n = length_of(b, size_);
      if (auto done = current_.read_block(b, block.data(), n); !done) return done;
      crc = crc32c(block.data(), n, crc);
    }
    return crc == expected ? result<void>{} : damaged(current_.slot, "the checksum of a snapshot does not hold");
  }

  /// Takes up a partial file if it is of use: whole header, newer than the current snapshot, the newest one.
  result<bool> resume(const std::string& name, std::uint64_t number, index_t current) {
    if (writing_.file.is_open()) return false;
    auto f = open_file(files_, name, open_mode::write);
    if (!f) return f.error();
    snapshot_file<Files> file;
    file.file = std::move(*f);
    file.path = name;
    const auto header = file.read_header(identity_);
    if (!header && header.error().code != errc::corrupt) return header.error();
    if (!header || file.number != number || file.meta.index <= current) return false;
    block_.resize(block_bytes + trailer_bytes);
    for (;; partial_.received += block_bytes) {
      const auto done = file.read_block(partial_.received / block_bytes, block_.data(), block_bytes);
      if (!done && done.error().code != errc::corrupt) return done.error();
      if (!done) break;
      crc_ = crc32c(block_.data(), block_bytes, crc_);
    }
    partial_.meta = file.meta;
    writing_ = std::move(file);
    return true;
  }

  [[no_unique_address]] Files files_;
  std::string directory_;
  file_log_options options_;
  std::uint64_t identity_ = 0;

  snapshot_file<Files> current_{};
  std::uint64_t size_ = 0;
  std::vector<std::byte> read_{};  ///< The image's blocks [read_first_, read_end_) as read last.
  std::uint64_t read_first_ = 0;
  std::uint64_t read_end_ = 0;
  file_log_failure read_failure_{};

  snapshot_file<Files> writing_{};
  partial_snapshot partial_{};
  std::vector<std::byte> block_{};  ///< The block that is not full yet.
  std::uint32_t crc_ = 0;           ///< Of the image so far.
  std::uint64_t unsynced_ = 0;
  std::uint64_t next_number_ = 1;

  snapshot_file<Files> finished_{};
  std::uint64_t finished_size_ = 0;
};

}  // namespace raft::detail::wal
