#pragma once

// One recorded run of writes to a file_log on a faulty disk: what the log shows after each, how far it is synced, and
// what it may show after a crash. And short names for the calls that tests make.

#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <raft/file_log.hpp>
#include <support/faulty_disk.hpp>
#include <support/log_model.hpp>

namespace test {

using disk_log = raft::file_log<disk_files>;

inline raft::file_log_options small_options() {
  raft::file_log_options o;
  o.segment_bytes = 4096;
  o.fill_bytes = 4096;
  return o;
}

/// A list of writes and what a log shows before the first and after each.
struct script {
  std::vector<write_op> ops{};
  std::vector<std::string> shows{};

  /// `count` writes as op_maker makes them; the last one is a sync.
  static script random_one(std::uint64_t seed, int count, std::size_t payload = 60, std::size_t image = 3000) {
    script s;
    raft::memory_log model{three_voters()};
    op_maker maker{seed, payload, image};
    s.shows.push_back(describe(model));
    for (int i = 0; i < count; ++i) s.add(model, maker.next(model));
    s.add(model, {});
    return s;
  }

  void add(raft::memory_log& model, write_op op) {
    static_cast<void>(apply(model, op));
    ops.push_back(std::move(op));
    shows.push_back(describe(model));
  }
};

/// How far a run came: shows[synced] is durable for certain; shows[maybe] may be, as a sync of it was under way.
struct progress {
  bool opened = false;
  std::size_t synced = 0;
  std::size_t maybe = 0;
  bool failed = false;
  raft::error why{};
};

/// Opens a log on the disk and does the script to it until something fails.
inline progress run(disk& d, const script& s, const raft::file_log_options& o) {
  progress p;
  auto log = disk_log::open("dir", three_voters(), o, nullptr, disk_files{&d});
  if (!log) {
    p.failed = true;
    p.why = log.error();
    return p;
  }
  p.opened = true;
  for (std::size_t i = 0; i < s.ops.size() && !p.failed; ++i) {
    raft::result<void> r;
    if (s.ops[i].what == write_op::kind::sync) {
      p.maybe = i + 1;
      if (const auto done = log->sync(); !done) r = done.error();
      if (r) p.synced = i + 1;
    } else {
      r = apply(*log, s.ops[i]);
    }
    if (!r) {
      p.failed = true;
      p.why = r.error();
    }
  }
  return p;
}

/// What an opening of the disk shows, or "refused: " and why.
inline std::string reopened(disk& d, const raft::file_log_options& o, raft::file_log_failure* failure = nullptr) {
  raft::file_log_failure why;
  auto log = disk_log::open("dir", three_voters(), o, &why, disk_files{&d});
  if (failure != nullptr) *failure = why;
  return log ? describe(*log) : "refused: " + why.text();
}

// ---- single calls, each of which must succeed

/// Segments of 8 KiB.
inline raft::file_log_options small() {
  raft::file_log_options o;
  o.segment_bytes = 8192;
  o.fill_bytes = 4096;
  return o;
}

template <class Log = disk_log>
Log open(disk& d, const raft::file_log_options& o = small()) {
  raft::file_log_failure why;
  auto log = Log::open("dir", three_voters(), o, &why, disk_files{&d});
  INFO(why.text());
  REQUIRE(log.has_value());
  return std::move(*log);
}

/// Closes the log, lets the power fail with nothing kept that was not synced, and opens it again.
inline void crash_and_reopen(disk_log& log, disk& d, const raft::file_log_options& o = small()) {
  { const disk_log closed = std::move(log); }
  d.crash({});
  log = open(d, o);
}

template <class Log>
raft::mark_t propose(Log& log, std::uint64_t term, const std::string& text) {
  const raft::payload p = bytes_of(text);
  const auto mark = log.append(raft::term_t{term}, raft::entry_kind::command, std::span{&p, 1});
  REQUIRE(mark.has_value());
  return *mark;
}

template <class Log>
void snapshot_at(Log& log, std::uint64_t index, std::uint64_t term, const std::string& image) {
  raft::snapshot_meta meta;
  meta.index = raft::index_t{index};
  meta.term = raft::term_t{term};
  meta.configuration = three_voters();
  REQUIRE(log.begin_snapshot(meta));
  REQUIRE(log.write_snapshot(bytes_of(image)));
  REQUIRE(log.finish_snapshot());
}

template <class Log>
std::string image_of(Log& log, std::uint32_t max) {
  std::string out;
  while (out.size() < log.snapshot().size) {
    const auto piece = log.read_snapshot(out.size(), max);
    REQUIRE(piece.has_value());
    REQUIRE(!piece->empty());
    REQUIRE(piece->size() <= max);
    out.append(reinterpret_cast<const char*>(piece->data()), piece->size());
  }
  return out;
}

/// Bytes that repeat nowhere soon; others for every n.
inline std::string pattern(std::size_t n) {
  std::string s(n, ' ');
  random r{n};
  for (char& c : s) c = static_cast<char>(r.next());
  return s;
}

inline std::size_t files_named(const disk& d, const std::string& prefix) {
  std::size_t n = 0;
  for (const auto& name : d.names) n += name.first.rfind(prefix, 0) == 0 ? 1 : 0;
  return n;
}

}  // namespace test
