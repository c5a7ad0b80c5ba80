#pragma once

// One recorded run of writes to a file_log on a faulty disk: what the log shows after each, how far it is synced, and
// what it may show after a crash.

#include <cstdint>
#include <string>
#include <vector>

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

}  // namespace test
