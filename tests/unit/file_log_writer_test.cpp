// The writing half of file_log: what goes into which segment, what is filled ahead and used again, what a batch says of
// those before it, and that after a call that failed there is no other.

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <raft/file_log.hpp>
#include <support/faulty_disk.hpp>
#include <support/log_image.hpp>
#include <support/log_run.hpp>

namespace {

namespace wal = raft::detail::wal;

using raft::errc;
using raft::index_t;
using test::batches_of;
using test::disk;
using test::disk_log;
using test::files_named;
using test::names_of;
using test::propose;
using test::refused;
using test::reopened;
using test::script;
using test::small;
using test::small_options;

const std::string first_segment = "log-0000000000000001";

/// Where the next batch goes in the last segment: a header of one sector, and the batches.
std::size_t used(disk& d) {
  const auto batches = batches_of(d.content(names_of(d, "log-").back()), d.identity);
  return batches.back().first + batches.back().second;
}

/// Writes one entry and syncs; the batch takes `bytes` bytes, a multiple of 8.
void write_batch(disk_log& log, std::size_t bytes) {
  const std::size_t around = wal::batch_header_bytes + wal::item_header_bytes + 16 + raft::entry_header_bytes;
  REQUIRE(bytes >= around);
  propose(log, 1, std::string(bytes - around, 'x'));
  REQUIRE(log.sync());
}

/// The sizes of the files that are, or will be, the next segment.
std::vector<std::size_t> spare_sizes(disk& d) {
  std::vector<std::size_t> sizes;
  for (const std::string& name : names_of(d, "spare-")) sizes.push_back(d.content(name).size());
  return sizes;
}

raft::file_log_options without_note(raft::file_log_options o) {
  o.record_syncs = false;
  return o;
}

/// A disk that has room, but for no name more while `full` says so.
struct nameless_files : test::disk_files {
  const bool* full = nullptr;

  [[nodiscard]] raft::result<file> open(const std::string& path, raft::open_mode mode) const {
    if (*full && mode == raft::open_mode::create) return raft::error{errc::no_space, {}, 28, "no room for a name"};
    return test::disk_files::open(path, mode);
  }
};

}  // namespace

TEST_CASE("failed: the call that fails is the last one, whichever it is") {
  const script s = script::random_one(5, 60, 400);
  for (const std::uint32_t spares : {0U, 1U}) {
    raft::file_log_options o = small_options();
    o.spare_segments = spares;
    disk clean;
    { const auto log = test::open(clean, o); }
    const std::uint64_t opening = clean.calls;
    disk all;
    REQUIRE(!test::run(all, s, o).failed);
    for (std::uint64_t call = opening + 1; call <= all.calls; ++call) {
      CAPTURE(call);
      disk d;
      d.fail_at = call;
      const test::progress p = test::run(d, s, o);
      CHECK(p.opened);
      CHECK(p.failed);
      CHECK(p.why.code == errc::io);
      CHECK(d.calls == call);
    }
  }
}

TEST_CASE("segments: a batch that fits goes into this one, to the last byte") {
  for (const std::size_t room_left : {0U, 8U}) {
    CAPTURE(room_left);
    disk d;
    auto log = test::open(d);
    write_batch(log, small().segment_bytes - used(d) - room_left);
    CHECK(files_named(d, "log-") == 1);
    CHECK(used(d) == small().segment_bytes - room_left);
    write_batch(log, 80);
    CHECK(files_named(d, "log-") == 2);
  }
  disk d;
  auto log = test::open(d);
  write_batch(log, 80);  // else the first segment would be needless at once
  write_batch(log, small().segment_bytes - used(d) + 8);
  CHECK(files_named(d, "log-") == 2);
}

TEST_CASE("segments: a batch that fills one with its header takes the file that was filled for it") {
  for (const bool exactly : {true, false}) {
    disk d;
    auto log = test::open(d);
    for (int i = 0; i < 4; ++i) write_batch(log, 80);
    REQUIRE(spare_sizes(d) == std::vector<std::size_t>{small().segment_bytes});
    const std::string filled = names_of(d, "spare-").front();
    write_batch(log, small().segment_bytes - test::sector + (exactly ? 0 : 8));
    CHECK(files_named(d, filled) == (exactly ? 0 : 1));
    CHECK(d.content(names_of(d, "log-").back()).size() == small().segment_bytes + (exactly ? 0 : 8));
    test::crash_and_reopen(log, d);
    CHECK(log.last_index() == index_t{5});
  }
}

TEST_CASE("filling: one portion of the next segment a sync, until it is four ahead of what is written in this one") {
  disk d;
  raft::file_log_options o;
  o.segment_bytes = 64 * 1024;
  o.fill_bytes = 4097;  // no multiple of anything that the log writes
  auto log = test::open(d, o);
  std::vector<std::size_t> sizes;
  for (int i = 0; i < 6; ++i) {
    if (i > 0) write_batch(log, 80);
    REQUIRE(spare_sizes(d).size() == 1);
    sizes.push_back(spare_sizes(d).front() / o.fill_bytes);
  }
  CHECK(sizes == std::vector<std::size_t>{1, 2, 3, 4, 4, 4});
  // A fifth would reach as far as four behind here only once a whole portion is written.
  write_batch(log, 4096 - used(d));
  CHECK(spare_sizes(d).front() == 4 * std::size_t{4097});
  write_batch(log, 80);
  CHECK(spare_sizes(d).front() == 5 * std::size_t{4097});
}

TEST_CASE("filling: keeps up with batches of any size, and no more than that") {
  raft::file_log_options o;
  o.segment_bytes = 1 << 20;
  o.fill_bytes = 4096;
  for (const std::size_t portions : {1U, 2U, 5U}) {
    for (const std::size_t more : {0U, 8U}) {
      CAPTURE(portions);
      CAPTURE(more);
      disk d;
      auto log = test::open(d, o);
      write_batch(log, portions * 4096 + more);
      CHECK(spare_sizes(d).front() == 4096 * (1 + portions + (more > 0 ? 1 : 0)));
    }
  }
  // Four ahead are four ahead, where that is a whole number of them.
  disk d;
  auto log = test::open(d, o);
  for (int i = 0; i < 8; ++i) write_batch(log, 80);
  CHECK(spare_sizes(d).front() == 4 * std::size_t{4096});
  write_batch(log, 4096 - used(d));
  CHECK(spare_sizes(d).front() == 5 * std::size_t{4096});
}

TEST_CASE("filling: the next segment is synced once, when it is whole, and not written to before it begins") {
  disk d;
  auto log = test::open(d);  // two portions
  write_batch(log, 80);
  const std::uint64_t before = d.syncs;
  const std::uint64_t writes = d.writes;
  for (int i = 0; i < 5; ++i) write_batch(log, 80);
  CHECK(spare_sizes(d) == std::vector<std::size_t>{small().segment_bytes});
  CHECK(d.syncs - before == 5);
  CHECK(d.writes - writes == 2 * 5);  // a batch, and the file `synced`
  disk other;
  auto faster = test::open(other);
  const std::uint64_t earlier = other.syncs;
  write_batch(faster, 5000);  // more than the portion that was missing
  CHECK(spare_sizes(other) == std::vector<std::size_t>{small().segment_bytes});
  CHECK(other.syncs - earlier == 2);
}

TEST_CASE("filling: refused for want of room, it is tried again when a segment begins, and not before") {
  raft::file_log_options o = small();
  o.spare_segments = 1;
  disk d;
  auto log = test::open(d, o);
  d.room = d.used() + 1000;
  for (int i = 0; i < 10; ++i) write_batch(log, 80);
  CHECK(d.full == 1);
  CHECK(spare_sizes(d).empty());
  d.room = UINT64_MAX;
  write_batch(log, 80);
  CHECK(spare_sizes(d).empty());
  write_batch(log, 8000);  // no room for it here
  CHECK(files_named(d, "log-") == 2);
  write_batch(log, 80);
  CHECK(spare_sizes(d).size() == 1);
  CHECK(d.full == 1);
}

TEST_CASE("filling: a name for which there is no room is no failure while this segment has room") {
  disk d;
  bool full = false;
  auto log = raft::file_log<nameless_files>::open("dir", test::three_voters(), small(), nullptr, {{&d}, &full});
  REQUIRE(log.has_value());
  const auto sync_one = [&](std::size_t bytes) {
    propose(*log, 1, std::string(bytes, 'x'));
    return log->sync().has_value();
  };
  while (spare_sizes(d) != std::vector<std::size_t>{small().segment_bytes}) REQUIRE(sync_one(80));
  full = true;
  while (files_named(d, "log-") == 1) REQUIRE(sync_one(80));  // into the one that was filled
  for (int i = 0; i < 10; ++i) CHECK(sync_one(80));
  CHECK(files_named(d, "spare-") == 0);
  CHECK_FALSE(sync_one(small().segment_bytes));  // it needs another one
  CHECK(log->last_error().why.code == errc::no_space);
}

TEST_CASE("resume: an opening's first batch says that all before it is synced, where anything is ever synced") {
  for (const auto sync : {raft::sync_policy::always, raft::sync_policy::never}) {
    raft::file_log_options o = without_note(small());
    o.sync = sync;
    disk d;
    {
      auto log = test::open(d, o);
      write_batch(log, 80);
    }
    { const auto log = test::open(d, o); }
    const auto batches = batches_of(d.content(first_segment), d.identity);
    REQUIRE(batches.size() == 3);
    d.flip_bit(first_segment, batches[1].first + wal::batch_header_bytes + 1, 3);
    raft::file_log_failure why;
    const std::string shown = reopened(d, o, &why);
    CHECK(refused(shown) == (sync == raft::sync_policy::always));
    if (refused(shown)) CHECK(why.why.detail == batches[1].first);
    if (!refused(shown)) CHECK(shown.find("last=0 ") != std::string::npos);
  }
}

TEST_CASE("confirm: what only the system's memory shows is on the disk before an opening relies on it") {
  const raft::file_log_options o = without_note(small());
  for (const bool full : {false, true}) {  // then the opening's own batch begins a segment
    CAPTURE(full);
    disk d;
    {
      auto log = test::open(d, o);
      const std::size_t rest = full ? o.segment_bytes - used(d) : 80;
      propose(log, 1, std::string(rest - 80, 'x'));
      d.fail_sync_at = d.syncs + 1;
      CHECK_FALSE(log.sync());  // what it was to write is dropped, and reads go on to show it
    }
    d.revive();
    std::string shown;
    {
      auto log = test::open(d, o);
      shown = test::describe(log);
      CHECK(log.last_index() == index_t{1});
      CHECK(files_named(d, "log-") == (full ? 2 : 1));
    }
    d.crash({});
    CHECK(reopened(d, o) == shown);
  }
}

TEST_CASE("synced: the note is kept over an opening, and its name over a crash") {
  disk d;
  {
    auto log = test::open(d);
    write_batch(log, 80);
  }
  const auto noted = d.content("synced");
  CHECK(wal::decode_synced({noted.data(), noted.size()}, d.identity) == 2);
  { const auto log = test::open(d); }
  const auto kept = d.content("synced");
  CHECK(wal::decode_synced({kept.data(), kept.size()}, d.identity) >= 2);
  disk fresh;
  { const auto log = test::open(fresh); }
  fresh.crash({});
  CHECK(files_named(fresh, "synced") == 1);
}
