#pragma once

// The seam between file_log and the operating system: every system call that file_log makes is one function of a
// `Files` policy. `posix_files` is the real one; a test puts a disk in memory in its place that loses, tears and
// damages what was written.
//
// What file_log relies on, of any Files:
// 1. What `sync` has confirmed survives any crash. What was written and not synced may be lost or kept sector by sector
//    (512 bytes), in any subset; a sector is never a mixture, and a sector that was not written keeps its content.
// 2. That a name came, went or changed survives a crash once `sync_directory` has confirmed it. A rename is atomic:
//    after a crash the new name shows the old file or the new one.
// 3. A failed `sync` says that anything written since the last one may be lost, whatever a later read or sync says.
// 4. Failures are values: errc::no_space where room is lacking, errc::busy for a lock that somebody holds, else
//    errc::io with errno in `detail`.

#include <cerrno>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <raft/result.hpp>

namespace raft {

/// How a file is opened. The directory entry of a created one is durable after sync_directory only.
enum class open_mode : std::uint8_t {
  read,    ///< It exists; for reading.
  write,   ///< It exists; for reading and writing.
  create,  ///< Made if it is not there, emptied if it is; for reading and writing.
};

/// POSIX files. Stateless: any number of copies, any thread.
struct posix_files {
  /// A descriptor; `none` is no file.
  using file = int;
  static constexpr file none = -1;

  [[nodiscard]] result<file> open(const std::string& path, open_mode mode) const noexcept {
    int flags = mode == open_mode::read ? O_RDONLY : O_RDWR;
    if (mode == open_mode::create) flags |= O_CREAT | O_TRUNC;
    return opened(::open(path.c_str(), flags | O_CLOEXEC, 0640), "a file cannot be opened");
  }

  void close(file f) const noexcept { ::close(f); }

  /// Makes the file if it is not there and locks it against every other opener, in this process and others, until it is
  /// closed or the process ends. errc::busy if it is locked.
  [[nodiscard]] result<file> lock(const std::string& path) const noexcept {
    const int f = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (f < 0) return failed("the lock file cannot be opened");
    if (::flock(f, LOCK_EX | LOCK_NB) == 0) return f;
    const raft::error why = errno == EWOULDBLOCK ? raft::error{errc::busy, {}, 0, "the directory is open already"}
                                                 : failed("the lock file cannot be locked");
    ::close(f);
    return why;
  }

  /// Reads up to n bytes; fewer at the end of the file or as the system pleases, none only at the end.
  [[nodiscard]] result<std::size_t> read_at(file f, std::byte* to, std::size_t n, std::uint64_t offset) const noexcept {
    for (;;) {
      const auto done = ::pread(f, to, n, static_cast<off_t>(offset));
      if (done >= 0) return static_cast<std::size_t>(done);
      if (errno != EINTR) return failed("a read failed");
    }
  }

  /// Writes up to n bytes, at least one; grows the file where needed.
  [[nodiscard]] result<std::size_t> write_at(file f, const std::byte* from, std::size_t n,
                                             std::uint64_t offset) const noexcept {
    for (;;) {
      const auto done = ::pwrite(f, from, n, static_cast<off_t>(offset));
      if (done > 0) return static_cast<std::size_t>(done);
      if (done == 0) return {errc::no_space, "a write took no bytes"};
      if (errno != EINTR) return failed("a write failed");
    }
  }

  /// Makes the file's content and size durable. Never asked again after it failed.
  [[nodiscard]] result<void> sync(file f) const noexcept {
#if defined(__APPLE__)
    return done(::fcntl(f, F_FULLFSYNC), "a file cannot be synced");
#else
    return done(::fdatasync(f), "a file cannot be synced");
#endif
  }

  /// Sets the system to writing out a range soon, without waiting for it; promises nothing.
  void start_writing(file f, std::uint64_t offset, std::uint64_t n) const noexcept {
#if defined(__linux__)
    static_cast<void>(::sync_file_range(f, static_cast<off_t>(offset), static_cast<off_t>(n), SYNC_FILE_RANGE_WRITE));
#else
    static_cast<void>(f), static_cast<void>(offset), static_cast<void>(n);
#endif
  }

  [[nodiscard]] result<std::uint64_t> size_of(file f) const noexcept {
    struct stat about {};
    if (::fstat(f, &about) != 0) return failed("the size of a file cannot be read");
    return static_cast<std::uint64_t>(about.st_size);
  }

  [[nodiscard]] result<void> rename(const std::string& from, const std::string& to) const noexcept {
    return done(::rename(from.c_str(), to.c_str()), "a file cannot be renamed");
  }

  [[nodiscard]] result<void> remove(const std::string& path) const noexcept {
    return done(::unlink(path.c_str()), "a file cannot be removed");
  }

  /// Makes the names in a directory durable.
  [[nodiscard]] result<void> sync_directory(const std::string& path) const noexcept {
    const int f = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f < 0) return failed("a directory cannot be opened");
    const result<void> synced = done(::fsync(f), "a directory cannot be synced");
    ::close(f);
    return synced;
  }

  /// Makes a directory unless it is there, durably in both cases (whoever made it may have died before it was). The one
  /// above it must exist.
  [[nodiscard]] result<void> make_directory(const std::string& path) const {
    const bool made = ::mkdir(path.c_str(), 0750) == 0;
    if (!made && errno != EEXIST) return failed("the directory cannot be made");
    const auto slash = path.find_last_of('/', path.find_last_not_of('/'));
    const result<void> synced = sync_directory(slash == std::string::npos ? "." : path.substr(0, slash + 1));
    // One that was there, below one that only others may read, is their business.
    if (!synced && !made && synced.error().detail == EACCES) return {};
    return synced;
  }

  /// The names in a directory, in any order.
  [[nodiscard]] result<std::vector<std::string>> list(const std::string& path) const {
    DIR* const open_directory = ::opendir(path.c_str());
    if (open_directory == nullptr) return failed("the directory cannot be read");
    std::vector<std::string> names;
    for (errno = 0; const dirent* entry = ::readdir(open_directory); errno = 0) names.emplace_back(entry->d_name);
    result<std::vector<std::string>> listed = failed("the directory cannot be read");
    if (errno == 0) listed = std::move(names);
    ::closedir(open_directory);
    return listed;
  }

  /// A number that others cannot guess, another one at each call, here and in any other process.
  [[nodiscard]] result<std::uint64_t> random_number() const noexcept {
    std::uint64_t number = 0;
    if (::getentropy(&number, sizeof number) != 0) return failed("the system gives no random number");
    return number;
  }

 private:
  static raft::error failed(const char* what) noexcept {
    // A limit on the size of files or a quota is a full disk to whoever has to make room.
    const bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
    return {full ? errc::no_space : errc::io, {}, static_cast<std::uint64_t>(errno), what};
  }
  static result<void> done(int status, const char* what) noexcept {
    return status == 0 ? result<void>{} : result<void>{failed(what)};
  }
  static result<file> opened(int f, const char* what) noexcept {
    return f >= 0 ? result<file>{f} : result<file>{failed(what)};
  }
};

/// What `raft::file_log<Files>` needs of a Files; the contract is at the top of this file.
template <class F>
concept files_policy = std::copyable<F> &&
    requires(const F& f, typename F::file h, const std::string& path, std::byte* to, const std::byte* from,
             std::size_t n, std::uint64_t offset) {
  { F::none } -> std::convertible_to<typename F::file>;
  { f.open(path, open_mode::read) } -> std::same_as<result<typename F::file>>;
  { f.lock(path) } -> std::same_as<result<typename F::file>>;
  f.close(h);
  { f.read_at(h, to, n, offset) } -> std::same_as<result<std::size_t>>;
  { f.write_at(h, from, n, offset) } -> std::same_as<result<std::size_t>>;
  { f.sync(h) } -> std::same_as<result<void>>;
  f.start_writing(h, offset, offset);
  { f.size_of(h) } -> std::same_as<result<std::uint64_t>>;
  { f.rename(path, path) } -> std::same_as<result<void>>;
  { f.remove(path) } -> std::same_as<result<void>>;
  { f.sync_directory(path) } -> std::same_as<result<void>>;
  { f.make_directory(path) } -> std::same_as<result<void>>;
  { f.list(path) } -> std::same_as<result<std::vector<std::string>>>;
  { f.random_number() } -> std::same_as<result<std::uint64_t>>;
};

static_assert(files_policy<posix_files>);

}  // namespace raft
