#pragma once

// Small tools over the seam `Files`: a file that closes itself, whole reads and writes, and the account of what failed.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <raft/bytes.hpp>
#include <raft/file_log/posix_files.hpp>
#include <raft/result.hpp>
#include <raft/types.hpp>

namespace raft {

/// What failed, and in which file.
struct file_log_failure {
  raft::error why{};
  std::string file{};  ///< Its path; empty if nothing failed.

  /// One line to print: file, sentence, and the offset or errno where there is one.
  [[nodiscard]] std::string text() const {
    std::string line = file + ": " + why.what;
    if (why.code == errc::corrupt) line += ", at offset " + std::to_string(why.detail);
    if (why.code == errc::io || why.code == errc::no_space) line += ", errno " + std::to_string(why.detail);
    return line;
  }
};

namespace detail::wal {

/// An open file, or none; closes it when it goes.
template <class Files>
class file_handle {
 public:
  file_handle() = default;
  file_handle(const Files& files, typename Files::file f) : files_(files), file_(f) {}
  file_handle(file_handle&& other) noexcept : files_(other.files_), file_(std::exchange(other.file_, Files::none)) {}
  /// By value: `other` takes what was open here along, and closes it.
  file_handle& operator=(file_handle other) noexcept {
    std::swap(files_, other.files_);
    std::swap(file_, other.file_);
    return *this;
  }
  ~file_handle() { close(); }

  [[nodiscard]] bool is_open() const noexcept { return file_ != Files::none; }
  void close() noexcept {
    if (is_open()) files_.close(std::exchange(file_, Files::none));
  }

  /// Reads n bytes, fewer only at the end of the file.
  [[nodiscard]] result<std::size_t> read(std::byte* to, std::size_t n, std::uint64_t offset) const {
    std::size_t done = 0;
    while (done < n) {
      const auto some = files_.read_at(file_, to + done, n - done, offset + done);
      if (!some) return some.error();
      if (*some == 0) break;
      done += *some;
    }
    return done;
  }

  /// Writes n bytes.
  [[nodiscard]] result<void> write(const std::byte* from, std::size_t n, std::uint64_t offset) const {
    for (std::size_t done = 0; done < n;) {
      const auto some = files_.write_at(file_, from + done, n - done, offset + done);
      if (!some) return some.error();
      done += *some;
    }
    return {};
  }

  [[nodiscard]] result<void> sync() const { return files_.sync(file_); }
  void start_writing(std::uint64_t offset, std::uint64_t n) const { files_.start_writing(file_, offset, n); }
  [[nodiscard]] result<std::uint64_t> size() const { return files_.size_of(file_); }

 private:
  [[no_unique_address]] Files files_{};
  typename Files::file file_ = Files::none;
};

/// A file opened, or why not.
template <class Files>
[[nodiscard]] result<file_handle<Files>> open_file(const Files& files, const std::string& path, open_mode mode) {
  const auto f = files.open(path, mode);
  if (!f) return f.error();
  return file_handle<Files>{files, *f};
}

/// Writes the bytes [at, end) of a file, or as many of them as there are, over themselves. After a sync that failed, a
/// read goes on to show what was not written; the next sync succeeds, and says nothing about it.
template <class Files>
[[nodiscard]] result<void> write_anew(const file_handle<Files>& file, std::uint64_t at, std::uint64_t end) {
  std::vector<std::byte> piece(std::size_t{64} << 10);
  while (at < end) {
    const std::uint64_t rest = std::min<std::uint64_t>(piece.size(), end - at);
    const auto n = file.read(piece.data(), static_cast<std::size_t>(rest), at);
    if (!n) return n.error();
    if (*n == 0) break;
    if (auto written = file.write(piece.data(), *n, at); !written) return written;
    at += *n;
  }
  return {};
}

/// Remembers the first failure, with its file, and passes each on.
class failure_account {
 public:
  /// True if `r` has a value; else its error is noted against `file`.
  template <class T>
  [[nodiscard]] bool good(const result<T>& r, const std::string& file) {
    if (!r) note(r.error(), file);
    return r.has_value();
  }
  raft::error note(raft::error why, const std::string& file) {
    if (first_.file.empty()) first_ = {why, file};
    return why;
  }
  [[nodiscard]] bool any() const noexcept { return !first_.file.empty(); }
  [[nodiscard]] const file_log_failure& first() const noexcept { return first_; }

 private:
  file_log_failure first_{};
};

}  // namespace detail::wal

}  // namespace raft
