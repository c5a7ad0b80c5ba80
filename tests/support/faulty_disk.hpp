#pragma once

// A disk in memory that does to file_log what disks do: it loses what was not synced, sector by sector and name by
// name; it fails calls; it drops what a failed sync was to write and goes on showing it. A value: copy it to try
// several ends of one run.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <raft/file_log/posix_files.hpp>

namespace test {

inline constexpr std::size_t sector = 512;

/// A seeded generator (splitmix64): the same numbers on every machine.
struct random {
  std::uint64_t state = 0;
  std::uint64_t next() {
    std::uint64_t z = (state += 0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t n) { return next() % n; }
};

/// What a crash keeps of what was not synced.
struct keep {
  enum class how { nothing, everything, prefix, any } what = how::nothing;
  std::uint64_t seed = 0;   ///< any: of the choices.
  std::uint64_t until = 0;  ///< prefix: what was done up to this number of changes.
};

struct disk {
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
  std::uint64_t fail_at = 0;  ///< The number of the call that fails; zero: none.
  raft::errc fail_code = raft::errc::io;
  std::uint64_t dead_from = UINT64_MAX;         ///< From this call on the machine is off: nothing is done, all fails.
  std::size_t torn_bytes = 0;                   ///< A write that is the call dead_from still writes so many bytes,
  std::size_t tore = 0;                         ///< and wrote so many.
  bool short_writes = false;                    ///< Writes take at most 700 bytes a call, reads 900.
  std::uint64_t room = UINT64_MAX;              ///< Bytes that all files together may have.
  bool lies = false;                            ///< sync() says yes and does nothing.
  std::uint64_t identity = 0x0123456789ABCDEF;  ///< Of the next log that is made.

  [[nodiscard]] std::uint64_t used() const {
    std::uint64_t n = 0;
    for (const auto& name : names) n += files.at(name.second).seen.size();
    return n;
  }

  /// Counts a call; the error if it fails.
  raft::result<void> call() {
    ++calls;
    if (calls >= dead_from) return raft::error{raft::errc::io, {}, 5, "the machine is off"};
    if (calls == fail_at) return raft::error{fail_code, {}, fail_code == raft::errc::io ? 5U : 28U, "a fault"};
    return {};
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
    random r{k.seed};
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
        if (!kept(c.when)) continue;
        if (f.durable.size() < c.size) f.durable.resize(c.size);
        std::copy(c.bytes.begin(), c.bytes.end(),
                  f.durable.begin() + static_cast<std::ptrdiff_t>(c.sector_number * sector));
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
    fail_at = 0;
    dead_from = UINT64_MAX;
    torn_bytes = 0;
    short_writes = false;
    room = UINT64_MAX;
  }

  void settle(const renaming& c) {
    const auto gone = durable_names.find(c.from);
    const bool same = gone != durable_names.end() && gone->second == c.file;
    if (c.what != renaming::kind::create && same) durable_names.erase(gone);
    if (c.what == renaming::kind::create) durable_names[c.from] = c.file;
    if (c.what == renaming::kind::rename) durable_names[c.to] = c.file;
  }

  /// Content of a file as it lies there, for a test to damage: changes what reads show and what is durable alike.
  std::vector<std::byte>& content(const std::string& name) { return files.at(names.at(name)).seen; }
  void settle_content() {
    for (auto& [number, f] : files) f.durable = f.seen;
  }
};

/// The seam to such a disk. All names are in one directory; the directory's own name is cut off.
struct disk_files {
  disk* on = nullptr;

  using file = int;
  static constexpr file none = 0;

  static std::string base(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

  raft::result<file> open(const std::string& path, raft::open_mode mode) const {
    if (auto r = on->call(); !r) return r.error();
    const std::string name = base(path);
    auto found = on->names.find(name);
    if (found == on->names.end() && mode != raft::open_mode::create) {
      return raft::error{raft::errc::io, {}, 2, "no such file"};
    }
    if (found == on->names.end()) {
      found = on->names.emplace(name, on->next_file).first;
      on->files[on->next_file] = {};
      on->rename(disk::renaming::kind::create, name, "", on->next_file++);
    } else if (mode == raft::open_mode::create) {
      on->files[found->second] = {};
      ++on->changes;
    }
    on->handles[on->next_handle] = {found->second, mode != raft::open_mode::read, ""};
    return on->next_handle++;
  }

  raft::result<file> lock(const std::string& path) const {
    const std::string name = base(path);
    if (!on->locks.insert(name).second) return {raft::errc::busy, "locked"};
    on->handles[on->next_handle] = {0, false, name};
    return on->next_handle++;
  }

  void close(file f) const {
    const auto found = on->handles.find(f);
    if (found == on->handles.end()) return;  // of before the crash
    on->locks.erase(found->second.locked);
    on->handles.erase(found);
  }

  raft::result<std::size_t> read_at(file f, std::byte* to, std::size_t n, std::uint64_t offset) const {
    if (auto r = on->call(); !r) return r.error();
    const auto& seen = on->files.at(on->handles.at(f).file).seen;
    const std::size_t there = offset < seen.size() ? seen.size() - offset : 0;
    n = std::min({n, there, on->short_writes ? std::size_t{900} : n});
    std::copy_n(seen.begin() + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(offset, seen.size())), n, to);
    return n;
  }

  raft::result<std::size_t> write_at(file f, const std::byte* from, std::size_t n, std::uint64_t offset) const {
    ++on->writes;
    auto r = on->call();
    auto& inode = on->files.at(on->handles.at(f).file);
    if (!on->handles.at(f).writable) return {raft::errc::io, "not open for writing"};
    if (on->calls == on->dead_from) on->write(inode, from, on->tore = std::min(n, on->torn_bytes), offset);
    if (!r) return r.error();
    if (on->short_writes) n = std::min<std::size_t>(n, 700);
    const std::uint64_t grows = offset + n > inode.seen.size() ? offset + n - inode.seen.size() : 0;
    if (grows > 0 && on->used() + grows > on->room) return raft::error{raft::errc::no_space, {}, 28, "full"};
    on->write(inode, from, n, offset);
    return n;
  }

  raft::result<void> sync(file f) const {
    ++on->syncs;
    auto& inode = on->files.at(on->handles.at(f).file);
    if (auto r = on->call(); !r) {
      if (on->calls < on->dead_from) inode.pending.clear();  // dropped; reads still show it
      return r;
    }
    if (on->lies) return {};
    for (const disk::change& c : inode.pending) {
      if (inode.durable.size() < c.size) inode.durable.resize(c.size);
      std::copy(c.bytes.begin(), c.bytes.end(),
                inode.durable.begin() + static_cast<std::ptrdiff_t>(c.sector_number * sector));
    }
    inode.pending.clear();
    return {};
  }

  void start_writing(file, std::uint64_t, std::uint64_t) const {}

  raft::result<std::uint64_t> size_of(file f) const {
    if (auto r = on->call(); !r) return r.error();
    return std::uint64_t{on->files.at(on->handles.at(f).file).seen.size()};
  }

  raft::result<void> rename(const std::string& from, const std::string& to) const {
    if (auto r = on->call(); !r) return r;
    const auto found = on->names.find(base(from));
    if (found == on->names.end()) return raft::error{raft::errc::io, {}, 2, "no such file"};
    const int number = found->second;
    on->names.erase(found);
    on->names[base(to)] = number;
    on->rename(disk::renaming::kind::rename, base(from), base(to), number);
    return {};
  }

  raft::result<void> remove(const std::string& path) const {
    if (auto r = on->call(); !r) return r;
    const auto found = on->names.find(base(path));
    if (found == on->names.end()) return raft::error{raft::errc::io, {}, 2, "no such file"};
    on->rename(disk::renaming::kind::remove, found->first, "", found->second);
    on->names.erase(found);
    return {};
  }

  raft::result<void> sync_directory(const std::string&) const {
    ++on->syncs;
    if (auto r = on->call(); !r) return r;
    if (on->lies) return {};
    for (const auto& c : on->pending_names) on->settle(c);
    on->pending_names.clear();
    return {};
  }

  raft::result<void> make_directory(const std::string&) const { return on->call(); }

  raft::result<std::vector<std::string>> list(const std::string&) const {
    if (auto r = on->call(); !r) return r.error();
    std::vector<std::string> out{".", ".."};
    for (const auto& name : on->names) out.push_back(name.first);
    return out;
  }

  raft::result<std::uint64_t> identity() const {
    if (auto r = on->call(); !r) return r.error();
    return on->identity;
  }
};

static_assert(raft::files_policy<disk_files>);

}  // namespace test
