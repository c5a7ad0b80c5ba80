#pragma once

// A disk in memory, and file_log's seam to it (file_log/posix_files.hpp): it does to the files of a log what disks do.
//
//   raft::testing::memory_disk d;
//   auto log = raft::file_log<raft::testing::memory_files>::open("dir", first, {}, nullptr, {&d});
//   d.fail_at = d.calls + 3;               // the third call from here on fails
//   d.crash({raft::testing::keep::how::any, seed});   // the power fails: open the log again, and look
//
// It loses what was not synced, sector by sector and name by name; it tears writes; it fails calls, and drops what a
// failed sync was to write and goes on showing it; it has no room; it lies about syncs. What lies there can be damaged:
// bits flipped, sectors that hold what they held before, or what was meant for others. A value: copy it to try several
// ends of one run.
//
// Invariants: a sector is never a mixture of two writes; without a fault, what was synced is what reads show.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <raft/file_log/posix_files.hpp>
#include <raft/result.hpp>
#include <raft/testing/rng.hpp>

namespace raft::testing {

inline constexpr std::size_t sector = 512;  ///< Bytes that a disk writes as a whole.

/// What a crash keeps of what was not synced.
struct keep {
  enum class how { nothing, everything, prefix, any } what = how::nothing;
  std::uint64_t seed = 0;   ///< any: of the choices.
  std::uint64_t until = 0;  ///< prefix: what was done up to this number of changes.
};

/// See above.
struct memory_disk {
  struct change {  ///< A sector of a file that was written and not synced.
    std::uint64_t when;
    std::size_t sector_number;
    std::vector<std::byte> bytes;
    std::size_t size;  ///< Of the file then.
  };
  struct inode {
    std::vector<std::byte> seen{};     ///< What reads show.
    std::vector<std::byte> durable{};  ///< What is safe.
    std::vector<change> pending{};
    std::map<std::size_t, std::vector<std::byte>> former{};  ///< By sector: what was safe before the last change of it.
  };
  struct renaming {  ///< A change of a directory that was not synced.
    std::uint64_t when;
    enum class kind { create, rename, remove } what;
    std::string from;
    std::string to;
    int file;
  };
  struct handle {
    int file;
    bool writable;
    std::string locked;
  };

  std::map<int, inode> files{};
  std::map<std::string, int> names{};  ///< What list() and open() show.
  std::map<std::string, int> durable_names{};
  std::vector<renaming> pending_names{};
  std::map<int, handle> handles{};
  std::set<std::string> locks{};
  int next_file = 1;
  int next_handle = 1;
  std::uint64_t changes = 0;  ///< How often anything on it was changed.

  // ---- faults

  std::uint64_t calls = 0;  ///< How many calls were made (close and lock apart).
  std::uint64_t syncs = 0;
  std::uint64_t writes = 0;
  std::uint64_t fail_at = 0;       ///< The number of the call that fails; zero: none.
  std::uint64_t fail_sync_at = 0;  ///< The number of the sync that fails; zero: none.

  // ---- what they did, while the machine was on

  std::uint64_t io_errors = 0;        ///< Calls that failed,
  std::uint64_t full = 0;             ///< those for which there was no room,
  std::uint64_t sectors_dropped = 0;  ///< and written sectors that a failed sync dropped.
  errc fail_code = errc::io;
  std::uint64_t dead_from = UINT64_MAX;         ///< From this call on the machine is off: nothing is done, all fails.
  std::size_t torn_bytes = 0;                   ///< A write that is the call dead_from still writes so many bytes,
  std::size_t tore = 0;                         ///< and wrote so many.
  bool short_writes = false;                    ///< Writes take at most 700 bytes a call, reads 900.
  std::uint64_t room = UINT64_MAX;              ///< Bytes that all files together may have.
  bool lies = false;                            ///< sync() says yes and does nothing.
  std::uint64_t identity = 0x0123456789ABCDEF;  ///< Of the first log that is made.
  std::uint64_t drawn = 0;                      ///< How many random numbers were asked for; the first is the identity.

  [[nodiscard]] std::uint64_t used() const {
    std::uint64_t n = 0;
    for (const auto& name : names) n += files.at(name.second).seen.size();
    return n;
  }

  /// Counts a call; the error if it fails.
  result<void> call() {
    ++calls;
    if (calls >= dead_from) return error{errc::io, {}, 5, "the machine is off"};
    if (calls != fail_at) return {};
    ++(fail_code == errc::io ? io_errors : full);
    return error{fail_code, {}, fail_code == errc::io ? 5U : 28U, "a fault"};
  }

  void write(inode& f, const std::byte* from, std::size_t n, std::size_t offset) {
    if (f.seen.size() < offset + n) f.seen.resize(offset + n);
    std::copy(from, from + n, f.seen.begin() + static_cast<std::ptrdiff_t>(offset));
    for (std::size_t s = offset / sector; s * sector < offset + n; ++s) {
      const auto begin = f.seen.begin() + static_cast<std::ptrdiff_t>(s * sector);
      const auto end = f.seen.begin() + static_cast<std::ptrdiff_t>(std::min(f.seen.size(), (s + 1) * sector));
      f.pending.push_back({++changes, s, {begin, end}, f.seen.size()});
    }
  }

  void rename(renaming::kind what, const std::string& from, const std::string& to, int file) {
    pending_names.push_back({++changes, what, from, to, file});
  }

  /// The power fails: what was not synced is kept as `k` says, all is closed, and reads show what is left.
  void crash(const keep& k) {
    rng r{k.seed};
    const auto kept = [&](std::uint64_t when) {
      switch (k.what) {
        case keep::how::nothing:
          return false;
        case keep::how::everything:
          return true;
        case keep::how::prefix:
          return when <= k.until;
        case keep::how::any:
          return r.below(2) == 0;
      }
      return false;
    };
    for (auto& [number, f] : files) {
      for (const change& c : f.pending) {
        if (kept(c.when)) make_durable(f, c);
      }
      f.pending.clear();
      f.seen = f.durable;
    }
    for (const renaming& c : pending_names) {
      if (kept(c.when)) settle(c);
    }
    pending_names.clear();
    names = durable_names;
    revive();
  }

  /// The process ends and the machine goes on: the system still has all that was written.
  void revive() {
    handles.clear();
    locks.clear();
    calls = syncs = writes = 0;
    fail_at = fail_sync_at = 0;
    dead_from = UINT64_MAX;
    torn_bytes = 0;
    short_writes = false;
    room = UINT64_MAX;
    forget_unnamed();
  }

  static void make_durable(inode& f, const change& c) {
    if (f.durable.size() < c.size) f.durable.resize(c.size);
    const auto at = f.durable.begin() + static_cast<std::ptrdiff_t>(c.sector_number * sector);
    if (std::equal(c.bytes.begin(), c.bytes.end(), at)) return;
    f.former[c.sector_number].assign(at, at + static_cast<std::ptrdiff_t>(c.bytes.size()));
    std::copy(c.bytes.begin(), c.bytes.end(), at);
  }

  /// Files that no name leads to are gone.
  void forget_unnamed() {
    std::set<int> named;
    for (const auto& name : names) named.insert(name.second);
    for (const auto& name : durable_names) named.insert(name.second);
    for (const renaming& c : pending_names) named.insert(c.file);
    std::erase_if(files, [&named](const auto& file) { return named.count(file.first) == 0; });
  }

  void settle(const renaming& c) {
    const auto gone = durable_names.find(c.from);
    const bool same = gone != durable_names.end() && gone->second == c.file;
    if (c.what != renaming::kind::create && same) durable_names.erase(gone);
    if (c.what == renaming::kind::create) durable_names[c.from] = c.file;
    if (c.what == renaming::kind::rename) durable_names[c.to] = c.file;
  }

  // ---- damage: of what lies there, in what reads show and what is durable alike

  [[nodiscard]] std::size_t sectors(const std::string& name) const {
    return (files.at(names.at(name)).seen.size() + sector - 1) / sector;
  }
  /// The sector `number` of a file; less than a whole one at its end.
  [[nodiscard]] std::vector<std::byte> sector_of(const std::string& name, std::size_t number) const {
    const std::vector<std::byte>& all = files.at(names.at(name)).seen;
    const auto at = [&all](std::size_t n) {
      return all.begin() + static_cast<std::ptrdiff_t>(std::min(all.size(), n * sector));
    };
    return {at(number), at(number + 1)};
  }
  /// What it held before its last change; zeros if there was no change.
  [[nodiscard]] std::vector<std::byte> former_sector_of(const std::string& name, std::size_t number) const {
    const inode& f = files.at(names.at(name));
    const auto found = f.former.find(number);
    return found != f.former.end() ? found->second : std::vector<std::byte>(sector);
  }
  void flip_bit(const std::string& name, std::size_t at, unsigned bit) {
    inode& f = files.at(names.at(name));
    f.seen[at] ^= static_cast<std::byte>(1U << bit);
    if (at < f.durable.size()) f.durable[at] ^= static_cast<std::byte>(1U << bit);
    ++changes;
  }
  /// Puts `bytes` in the place of a sector, as far as both reach.
  void replace_sector(const std::string& name, std::size_t number, const std::vector<std::byte>& bytes) {
    inode& f = files.at(names.at(name));
    for (std::vector<std::byte>* part : {&f.seen, &f.durable}) {
      for (std::size_t i = 0; i < bytes.size() && number * sector + i < part->size(); ++i) {
        (*part)[number * sector + i] = bytes[i];
      }
    }
    ++changes;
  }
  /// The content of a file, to be changed in any way; call settle_content afterwards.
  std::vector<std::byte>& content(const std::string& name) { return files.at(names.at(name)).seen; }
  void settle_content() {
    for (auto& [number, f] : files) f.durable = f.seen;
  }
};

/// The seam to such a disk. All names are in one directory; the directory's own name is cut off.
struct memory_files {
  memory_disk* on = nullptr;

  using file = int;
  static constexpr file none = 0;

  static std::string base(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

  result<file> open(const std::string& path, open_mode mode) const {
    if (auto r = on->call(); !r) return r.error();
    const std::string name = base(path);
    auto found = on->names.find(name);
    if (found == on->names.end() && mode != open_mode::create) {
      return error{errc::io, {}, 2, "no such file"};
    }
    if (found == on->names.end()) {
      found = on->names.emplace(name, on->next_file).first;
      on->files[on->next_file] = {};
      on->rename(memory_disk::renaming::kind::create, name, "", on->next_file++);
    } else if (mode == open_mode::create) {
      on->files[found->second] = {};
      ++on->changes;
    }
    on->handles[on->next_handle] = {found->second, mode != open_mode::read, ""};
    return on->next_handle++;
  }

  result<file> lock(const std::string& path) const {
    const std::string name = base(path);
    if (!on->locks.insert(name).second) return {errc::busy, "locked"};
    on->handles[on->next_handle] = {0, false, name};
    return on->next_handle++;
  }

  void close(file f) const {
    const auto found = on->handles.find(f);
    if (found == on->handles.end()) return;  // of before the crash
    on->locks.erase(found->second.locked);
    on->handles.erase(found);
  }

  result<std::size_t> read_at(file f, std::byte* to, std::size_t n, std::uint64_t offset) const {
    if (auto r = on->call(); !r) return r.error();
    const auto& seen = on->files.at(on->handles.at(f).file).seen;
    const std::size_t there = offset < seen.size() ? seen.size() - offset : 0;
    n = std::min({n, there, on->short_writes ? std::size_t{900} : n});
    std::copy_n(seen.begin() + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(offset, seen.size())), n, to);
    return n;
  }

  result<std::size_t> write_at(file f, const std::byte* from, std::size_t n, std::uint64_t offset) const {
    ++on->writes;
    auto r = on->call();
    auto& inode = on->files.at(on->handles.at(f).file);
    if (!on->handles.at(f).writable) return {errc::io, "not open for writing"};
    if (on->calls == on->dead_from) on->write(inode, from, on->tore = std::min(n, on->torn_bytes), offset);
    if (!r) return r.error();
    if (on->short_writes) n = std::min<std::size_t>(n, 700);
    const std::uint64_t grows = offset + n > inode.seen.size() ? offset + n - inode.seen.size() : 0;
    if (grows > 0 && on->used() + grows > on->room) {
      ++on->full;
      return error{errc::no_space, {}, 28, "full"};
    }
    on->write(inode, from, n, offset);
    return n;
  }

  result<void> sync(file f) const {
    if (++on->syncs == on->fail_sync_at) on->fail_at = on->calls + 1;
    auto& inode = on->files.at(on->handles.at(f).file);
    if (auto r = on->call(); !r) {
      if (on->calls >= on->dead_from) return r;
      on->sectors_dropped += inode.pending.size();
      inode.pending.clear();  // reads still show it
      return r;
    }
    if (on->lies) return {};
    for (const memory_disk::change& c : inode.pending) memory_disk::make_durable(inode, c);
    inode.pending.clear();
    return {};
  }

  void start_writing(file, std::uint64_t, std::uint64_t) const {}

  result<std::uint64_t> size_of(file f) const {
    if (auto r = on->call(); !r) return r.error();
    return std::uint64_t{on->files.at(on->handles.at(f).file).seen.size()};
  }

  result<void> rename(const std::string& from, const std::string& to) const {
    if (auto r = on->call(); !r) return r;
    const auto found = on->names.find(base(from));
    if (found == on->names.end()) return error{errc::io, {}, 2, "no such file"};
    const int number = found->second;
    on->names.erase(found);
    on->names[base(to)] = number;
    on->rename(memory_disk::renaming::kind::rename, base(from), base(to), number);
    return {};
  }

  result<void> remove(const std::string& path) const {
    if (auto r = on->call(); !r) return r;
    const auto found = on->names.find(base(path));
    if (found == on->names.end()) return error{errc::io, {}, 2, "no such file"};
    on->rename(memory_disk::renaming::kind::remove, found->first, "", found->second);
    on->names.erase(found);
    return {};
  }

  result<void> sync_directory(const std::string&) const {
    if (++on->syncs == on->fail_sync_at) on->fail_at = on->calls + 1;
    if (auto r = on->call(); !r) return r;
    if (on->lies) return {};
    for (const auto& c : on->pending_names) on->settle(c);
    on->pending_names.clear();
    return {};
  }

  result<void> make_directory(const std::string&) const { return on->call(); }

  result<std::vector<std::string>> list(const std::string&) const {
    if (auto r = on->call(); !r) return r.error();
    std::vector<std::string> out{".", ".."};
    for (const auto& name : on->names) out.push_back(name.first);
    return out;
  }

  result<std::uint64_t> random_number() const {
    if (auto r = on->call(); !r) return r.error();
    return on->identity + on->drawn++ * 0x9E3779B97F4A7C15;
  }
};

static_assert(files_policy<memory_files>);

}  // namespace raft::testing
