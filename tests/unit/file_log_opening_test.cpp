// What an opening of a file_log reads and does: every call of it fails once, segments are larger than what is read at a
// time, and files are whole in themselves and say what cannot be.

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
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
using raft::term_t;
using test::batches_of;
using test::bytes_of;
using test::disk;
using test::disk_log;
using test::files_named;
using test::image;
using test::names_of;
using test::pattern;
using test::propose;
using test::refused;
using test::reopened;
using test::small;
using test::small_options;
using test::three_voters;

/// Each call of an opening of `whole` fails once: it is refused with the reason, and what was there is there the next
/// time, also after a crash.
void fail_each_call(const disk& whole, const raft::file_log_options& o, const std::string& shown) {
  disk clean = whole;
  { const auto log = test::open(clean, o); }
  for (std::uint64_t call = 1; call <= clean.calls; ++call) {
    CAPTURE(call);
    disk d = whole;
    d.fail_at = call;
    raft::file_log_failure why;
    CHECK(refused(reopened(d, o, &why)));
    CHECK(why.why.code == errc::io);
    CHECK(why.file.rfind("dir", 0) == 0);
    CHECK(d.handles.empty());
    CHECK(d.calls == call);  // nothing is asked of a disk behind the call that failed
    d.revive();
    CHECK(reopened(d, o) == shown);
    d.crash({});
    CHECK(reopened(d, o) == shown);
  }
}

/// Segments larger than the 1 MiB that an opening reads at a time, and no file `synced`.
raft::file_log_options large_segments() {
  raft::file_log_options o;
  o.segment_bytes = o.fill_bytes = 4U << 20;
  o.record_syncs = false;
  return o;
}

void propose_and_sync(disk_log& log, std::size_t bytes) {
  propose(log, 1, pattern(bytes));
  REQUIRE(log.sync());
}

}  // namespace

TEST_CASE("failures: at every call of an opening: refused with the reason, and fine the next time") {
  image whole{4, 40, 900};
  {  // An unfinished snapshot, a segment too many, and a last batch that nothing says was synced.
    auto log = test::open(whole.d, small_options());
    REQUIRE(log.begin_snapshot({index_t{99999}, term_t{2000}, three_voters(), 0, 0}));
    REQUIRE(log.write_snapshot(bytes_of(std::string(200000, 'x'))));
    REQUIRE(log.truncate_from(index_t{88888}).has_value());
    whole.d.dead_from = whole.d.calls + 2;
    REQUIRE(!log.sync());
  }
  whole.d.revive();
  fail_each_call(whole.d, small_options(), whole.shown);
}

TEST_CASE("failures: at every call of an opening that finds spare segments and members with much data") {
  raft::file_log_options o = small();
  o.segment_bytes = 256U << 10;
  disk d;
  std::string shown;
  {
    auto log = test::open(d, o);
    propose(log, 1, "x");
    REQUIRE(log.begin_snapshot({index_t{1}, term_t{1}, test::largest_configuration(), 0, 0}));
    REQUIRE(log.finish_snapshot());
    for (int i = 0; i < 4; ++i) propose_and_sync(log, 150000);
    REQUIRE(log.begin_snapshot({index_t{5}, term_t{1}, test::largest_configuration(), 0, 0}));
    REQUIRE(log.finish_snapshot());
    REQUIRE(log.compact(index_t{5}));
    REQUIRE(log.sync());
    REQUIRE(log.begin_snapshot({index_t{9}, term_t{2}, test::largest_configuration(), 0, 0}));
    REQUIRE(log.write_snapshot(bytes_of(pattern(70000))));
    shown = test::describe(log);
  }
  CHECK(files_named(d, "spare-") == 2);
  d.revive();
  fail_each_call(d, o, shown);
}

TEST_CASE("failures: at every call of an opening that reads segments and batches in more than one piece") {
  disk d;
  std::string shown;
  {
    auto log = test::open(d, large_segments());
    for (const std::size_t bytes : {700000U, 1500000U, 100U}) propose_and_sync(log, bytes);
    shown = test::describe(log);
  }
  CHECK(files_named(d, "log-") == 1);
  d.revive();
  fail_each_call(d, large_segments(), shown);
}

TEST_CASE("failures: at every call of an opening that finds an unfinished snapshot with damaged blocks") {
  const image whole{4, 14, 60};
  disk d = whole.d;
  {
    auto log = test::open(d, test::small_options());
    REQUIRE(log.begin_snapshot({index_t{99999}, term_t{2000}, three_voters(), 0, 0}));
    REQUIRE(log.write_snapshot(bytes_of(std::string(4 * 65536, 'x'))));
  }
  d.flip_bit(names_of(d, "partial-").front(), 1024 + 65544 + 5, 0);  // then two more lie behind it
  d.revive();
  fail_each_call(d, test::small_options(), whole.shown);
}

TEST_CASE("failures: at every call of an opening that makes the log") {
  disk made;
  const std::string shown = reopened(made, small());
  REQUIRE_FALSE(refused(shown));
  fail_each_call(disk{}, small(), shown);
}

TEST_CASE("failures: at every call of an opening, of a log that was written without any sync") {
  raft::file_log_options never = small();
  never.sync = raft::sync_policy::never;
  for (const bool first_segment_there : {true, false}) {
    CAPTURE(first_segment_there);
    disk d;
    std::string shown;
    {
      auto log = test::open(d, never);
      for (int i = 0; i < 6; ++i) propose_and_sync(log, 1500);
      test::snapshot_at(log, 6, 1, pattern(70000));
      if (!first_segment_there) REQUIRE(log.compact(index_t{6}));
      REQUIRE(log.sync());
      for (int i = 0; i < 6; ++i) propose_and_sync(log, 1500);
      shown = test::describe(log);
      // A snapshot that the log does not come to speak of, and an unfinished one.
      test::snapshot_at(log, 12, 1, "image");
      REQUIRE(log.begin_snapshot({index_t{13}, term_t{1}, three_voters(), 0, 0}));
      REQUIRE(log.write_snapshot(bytes_of(pattern(70000))));
    }
    REQUIRE(files_named(d, "log-") >= 2);
    REQUIRE(files_named(d, "snapshot-") == 2);
    REQUIRE(files_named(d, "partial-") == 1);
    CHECK((files_named(d, "log-0000000000000001") == 1) == first_segment_there);
    d.revive();
    fail_each_call(d, small(), shown);
  }
}

TEST_CASE("damage: a batch that was synced is missed, wherever behind it the next one lies") {
  const std::string name = "log-0000000000000001";
  constexpr std::uint64_t piece = 1U << 20;  // what is looked through at a time
  for (std::uint64_t distance = piece - 48; distance <= piece + 16; distance += 8) {
    CAPTURE(distance);
    disk d;
    {
      auto log = test::open(d, large_segments());
      propose_and_sync(log, 1);
      propose_and_sync(log, distance - 80);  // the headers of a batch, an item and an entry
      propose_and_sync(log, 1);
    }
    const auto damaged = batches_of(d.content(name), d.identity).at(2);
    REQUIRE(damaged.second == distance);
    d.content(name)[damaged.first + 1000] ^= std::byte{1};
    d.settle_content();
    d.revive();
    raft::file_log_failure why;
    CHECK(refused(reopened(d, large_segments(), &why)));
    CHECK(why.why.code == errc::corrupt);
    CHECK(why.why.detail == damaged.first);
  }
}

TEST_CASE("spare segments: an opening keeps as many as it may, and only those of its own size") {
  disk d;
  raft::file_log_options o = small();
  o.spare_segments = 3;
  {
    auto log = test::open(d, o);
    for (int i = 0; i < 40; ++i) propose_and_sync(log, 1000);
    test::snapshot_at(log, 40, 1, "image");
    REQUIRE(log.compact(index_t{40}));
    REQUIRE(log.sync());
  }
  CHECK(files_named(d, "spare-") == 3);
  for (const std::uint32_t wanted : {3U, 2U, 0U}) {
    CAPTURE(wanted);
    d.revive();
    o.spare_segments = wanted;
    const auto log = test::open(d, o);
    CHECK(files_named(d, "spare-") == std::max(wanted, 1U));
    CHECK(log.last_index() == index_t{40});
  }
  d.revive();
  o.segment_bytes = 16384;
  const auto log = test::open(d, o);
  for (const std::string& name : names_of(d, "spare-")) CHECK(d.content(name).size() <= 4096);  // begun anew
  CHECK(log.last_index() == index_t{40});
}

TEST_CASE("segments: the next one is filled to its last byte before it begins, whatever portion it is filled by") {
  disk d;
  raft::file_log_options o = small();
  o.fill_bytes = 5000;
  auto log = test::open(d, o);
  for (int i = 0; i < 40; ++i) {
    const std::size_t segments = files_named(d, "log-");
    std::size_t filled = 0;
    for (const std::string& name : names_of(d, "spare-")) filled = std::max(filled, d.content(name).size());
    propose_and_sync(log, 1000);
    if (files_named(d, "log-") > segments) CHECK(filled == o.segment_bytes);
  }
  CHECK(files_named(d, "log-") >= 5);
  for (const std::string& name : names_of(d, "log-")) CHECK(d.content(name).size() == o.segment_bytes);
}

// ---------------------------------------------------------------------------------------------------- what cannot be

namespace {

using item_bytes = std::vector<std::byte>;

item_bytes numbers(wal::item kind, std::initializer_list<std::uint64_t> values) {
  item_bytes out;
  wal::put_item(out, kind, values.size() * 8);
  for (const std::uint64_t v : values) wal::put(out, v);
  return out;
}
item_bytes truncation(std::uint64_t from, std::uint64_t term) { return numbers(wal::item::truncation, {from, term}); }
item_bytes compaction(std::uint64_t to, std::uint64_t term) { return numbers(wal::item::compaction, {to, term}); }
item_bytes snapshot(std::uint64_t index, std::uint64_t term) {
  item_bytes place;
  wal::put(place, raft::snapshot_meta{index_t{index}, term_t{term}, three_voters(), 0, 1});
  item_bytes out;
  wal::put_item(out, wal::item::snapshot, 8 + place.size());
  wal::put(out, std::uint64_t{0});
  out.insert(out.end(), place.begin(), place.end());
  return out;
}

}  // namespace

TEST_CASE("replay: what happened to entries whose segments are gone is held against what is known of them") {
  // A segment began when the log ended with entry 10 of term 3; what was before it is gone.
  const auto outcome = [](std::initializer_list<item_bytes> items) -> std::string {
    wal::small_state start;
    start.last = index_t{10};
    start.last_term = term_t{3};
    start.snapshot.configuration = three_voters();
    wal::replay r{start, 4096};
    index_t highest{};
    for (const item_bytes& one : items) {
      if (!r.apply(one, highest)) return "contradiction";
    }
    if (!r.finish()) return "entries missing";
    const raft::memory_log log = r.take_image();
    CHECK(log.term_at(log.snapshot().index) == log.snapshot().term);
    return std::to_string(log.first_index().value) + ".." + std::to_string(log.last_index().value);
  };
  CHECK(outcome({}) == "entries missing");
  CHECK(outcome({snapshot(10, 3)}) == "entries missing");
  CHECK(outcome({snapshot(10, 3), compaction(10, 3)}) == "11..10");
  CHECK(outcome({snapshot(10, 2)}) == "contradiction");
  CHECK(outcome({snapshot(11, 3)}) == "contradiction");
  CHECK(outcome({snapshot(5, 2), compaction(5, 2)}) == "entries missing");
  CHECK(outcome({snapshot(5, 2), compaction(6, 2)}) == "contradiction");
  CHECK(outcome({snapshot(5, 2), truncation(5, 2)}) == "contradiction");
  CHECK(outcome({snapshot(5, 2), truncation(6, 2), compaction(5, 2)}) == "6..5");
  CHECK(outcome({snapshot(5, 2), truncation(6, 3)}) == "contradiction");
  CHECK(outcome({snapshot(5, 2), truncation(6, 1)}) == "contradiction");
  CHECK(outcome({snapshot(5, 2), truncation(7, 1)}) == "contradiction");
  CHECK(outcome({snapshot(5, 2), truncation(7, 2), compaction(5, 2)}) == "entries missing");
  CHECK(outcome({snapshot(5, 2), truncation(7, 3), snapshot(6, 3), compaction(6, 3)}) == "7..6");
}

// -------------------------------------------------------------------------------- what an opening makes sure of

namespace {

/// A disk that lists its names the other way round: `list` gives them in any order.
struct backward_files : test::disk_files {
  [[nodiscard]] raft::result<std::vector<std::string>> list(const std::string& path) const {
    auto names = test::disk_files::list(path);
    if (names) std::reverse(names->begin(), names->end());
    return names;
  }
};

/// How many sectors an opening of a copy of this disk writes.
std::uint64_t written_by_opening(disk d, const raft::file_log_options& o) {
  const std::uint64_t before = d.changes;
  const auto log = test::open(d, o);
  return d.changes - before;
}

}  // namespace

TEST_CASE("open: in whatever order a directory gives its names") {
  const image whole{4, 40, 900};
  disk d = whole.d;
  {
    auto log = test::open(d, test::small_options());
    for (const std::uint64_t index : {99998U, 99999U}) {
      REQUIRE(log.begin_snapshot({index_t{index}, term_t{2000}, three_voters(), 0, 0}));
      REQUIRE(log.write_snapshot(bytes_of(std::string(100000, 'x'))));
    }
  }
  REQUIRE(files_named(d, "log-") >= 2);
  // Two unfinished snapshots: the newer one counts.
  const std::string newer = names_of(d, "partial-").front();
  disk older = whole.d;
  {
    auto log = test::open(older, test::small_options());
    REQUIRE(log.begin_snapshot({index_t{99997}, term_t{2000}, three_voters(), 0, 0}));
    REQUIRE(log.write_snapshot(bytes_of(std::string(200000, 'y'))));
  }
  const std::string name = names_of(older, "partial-").front();
  REQUIRE(name < newer);
  d.files[d.next_file].seen = older.content(name);
  d.names[name] = d.durable_names[name] = d.next_file++;
  d.settle_content();
  d.revive();
  disk same = d;
  auto forward = test::open(d, test::small_options());
  auto backward = raft::file_log<backward_files>::open("dir", three_voters(), test::small_options(), nullptr,
                                                       backward_files{{&same}});
  REQUIRE(backward);
  CHECK(test::describe(forward) == whole.shown);
  CHECK(test::describe(*backward) == whole.shown);
  CHECK(forward.partial().meta.index == index_t{99999});
  CHECK(backward->partial().meta.index == index_t{99999});
  CHECK(names_of(d, "partial-") == std::vector<std::string>{newer});
  CHECK(names_of(same, "partial-") == std::vector<std::string>{newer});
}

TEST_CASE("open: segments before a gap are needed no more, and go") {
  raft::file_log_options o = small();
  o.spare_segments = 0;
  disk d;
  std::string shown;
  {
    auto log = test::open(d, o);
    for (int i = 0; i < 40; ++i) propose_and_sync(log, 1000);
    const disk before = d;
    test::snapshot_at(log, 40, 1, "image");
    REQUIRE(log.compact(index_t{40}));
    REQUIRE(log.sync());
    // The first one is there again: a name that came back, as names may that were not durably gone.
    REQUIRE(files_named(d, "log-0000000000000001") == 0);
    REQUIRE(files_named(d, "log-0000000000000002") == 0);
    d.files[d.next_file] = before.files.at(before.names.at("log-0000000000000001"));
    d.names["log-0000000000000001"] = d.durable_names["log-0000000000000001"] = d.next_file++;
    shown = test::describe(log);
  }
  CHECK(reopened(d, o) == shown);
  CHECK(files_named(d, "log-0000000000000001") == 0);
}

TEST_CASE("open: what nothing says was synced is written and synced anew, and no more than that") {
  raft::file_log_options o = small();
  disk d;
  {
    auto log = test::open(d, o);
    propose_and_sync(log, 4000);
    propose_and_sync(log, 100);  // says that the one before it was synced; nothing says it of this one but the note
  }
  const std::uint64_t noted = written_by_opening(d, o);
  disk without = d;
  without.names.erase("synced");
  without.durable_names.erase("synced");
  // The last batch, of 180 bytes; and the name of the note, which is made.
  CHECK(written_by_opening(without, o) == noted + 1 + 1);
  CHECK(batches_of(d.content("log-0000000000000001"), d.identity).back().second == 184);
}

TEST_CASE("open: without syncs nothing is written anew, and nothing synced, whatever is in doubt") {
  raft::file_log_options never = small();
  never.sync = raft::sync_policy::never;
  disk d;
  {
    auto log = test::open(d, never);
    propose_and_sync(log, 8192);  // the first segment holds no entry, and goes
    REQUIRE(files_named(d, "log-0000000000000001") == 0);
  }
  d.revive();
  disk with_syncs = d;
  {
    auto log = test::open(d, never);
    test::snapshot_at(log, 1, 1, pattern(70000));
    REQUIRE(log.sync());
  }
  d.revive();
  const std::uint64_t before = d.changes;
  const auto log = test::open(d, never);
  CHECK(d.changes - before == 1);  // the batch of the opening
  CHECK(d.syncs == 0);
  CHECK(test::open(with_syncs).last_index() == index_t{1});  // in doubt is all but a snapshot: there is none
}

TEST_CASE("open: a snapshot is written anew unless a batch behind the one that placed it is there") {
  for (const bool followed : {false, true}) {
    CAPTURE(followed);
    disk d;
    {
      auto log = test::open(d);
      propose_and_sync(log, 100);
      test::snapshot_at(log, 1, 1, pattern(65536));
      REQUIRE(log.sync());
      if (followed) propose_and_sync(log, 100);
    }
    d.names.erase("synced");
    d.durable_names.erase("synced");
    constexpr std::uint64_t image_sectors = 65536 / test::sector;
    CHECK((written_by_opening(d, small()) > image_sectors) == !followed);
  }
}

TEST_CASE("open: what was written without any sync is there after a crash, once an opening with syncs has shown it") {
  raft::file_log_options never = small();
  never.sync = raft::sync_policy::never;
  for (const bool fails_first : {false, true}) {
    CAPTURE(fails_first);
    disk d;
    {
      auto log = test::open(d);  // its segment ends with a batch that says how far it was synced
      for (int i = 0; i < 7; ++i) propose_and_sync(log, 1000);
    }
    {
      auto log = test::open(d, never);
      propose_and_sync(log, 6000);  // in a segment of its own
      propose_and_sync(log, 10);
      REQUIRE(files_named(d, "log-") == 2);
    }
    d.revive();
    if (fails_first) {  // the sync of the second segment: what was written to it is dropped, and still shown
      d.fail_sync_at = d.syncs + 2;
      raft::file_log_failure why;
      CHECK(refused(reopened(d, small(), &why)));
      CHECK(why.file == "dir/log-0000000000000002");
      d.revive();
    }
    std::string shown;
    {
      auto log = test::open(d);
      CHECK(log.last_index() == index_t{9});
      shown = test::describe(log);
    }
    d.crash({});
    CHECK(reopened(d, small()) == shown);
  }
}

TEST_CASE("open: spare segments are numbered on") {
  raft::file_log_options o = small();
  o.spare_segments = 0;
  disk d;
  { const auto log = test::open(d, o); }  // fills the next segment
  REQUIRE(names_of(d, "spare-").size() == 1);
  auto spare = d.names.extract(names_of(d, "spare-").front());
  spare.key() = "spare-0000000000000041";
  d.names.insert(std::move(spare));
  d.durable_names = d.names;
  d.revive();
  {
    auto log = test::open(d, o);
    propose_and_sync(log, 100);
  }
  CHECK(names_of(d, "spare-") == std::vector<std::string>{"spare-0000000000000042"});
}

// ---------------------------------------------------------------------------------------- what lies behind the end

namespace {

/// What opening a log comes to, whose last batch is followed, `distance` bytes further on, by the header of one that is
/// whole, and has no items.
std::string with_header_behind(std::uint64_t distance, const wal::batch_header& behind, std::size_t room) {
  raft::file_log_options o = small();
  o.record_syncs = false;
  disk d;
  {
    auto log = test::open(d, o);
    propose_and_sync(log, 8192 - room - 552 - 80);  // behind the segment's header and the batch of the opening
  }
  auto& bytes = d.content("log-0000000000000001");
  const auto last = batches_of(bytes, d.identity).back();
  REQUIRE(last.first + last.second == 8192 - room);
  std::vector<std::byte> batch(wal::batch_header_bytes);
  wal::seal_batch(batch.data(), batch.size(), behind, wal::seed_of(d.identity));
  std::copy(batch.begin(), batch.end(), bytes.end() - static_cast<std::ptrdiff_t>(room - distance));
  d.settle_content();
  d.revive();
  raft::file_log_failure why;
  const std::string shown = reopened(d, o, &why);
  if (refused(shown)) CHECK(why.why.detail == 8192 - room);
  return refused(shown) ? "refused" : "cut";
}

/// An opening: its epoch, and the one before.
struct opening {
  std::uint32_t epoch = 0;
  std::uint32_t before = 0;
};

wal::batch_header header(std::uint64_t number, std::uint64_t durable, opening by) {
  wal::batch_header h;
  h.sequence = 1;
  h.number = number;
  h.durable = durable;
  h.epoch = by.epoch;
  h.before = by.before;
  return h;
}

}  // namespace

TEST_CASE("damage: behind the end, what shows that the missing batch was there is damage, and what does not is cut") {
  // Batches 1 and 2 are there, of the first opening; the missing one is number 3.
  constexpr opening first{1, 0};
  constexpr opening next{7, 1};
  constexpr opening lost{9, 8};
  for (const std::uint64_t distance : {8U, 64U}) {
    CAPTURE(distance);
    for (const opening by : {first, next, lost}) {
      CHECK(with_header_behind(distance, header(4, 3, by), 120) == "refused");  // written when it was synced
      CHECK(with_header_behind(distance, header(4, 2, by), 120) == "cut");      // of a log that does not sync
    }
    for (const opening by : {first, next}) {
      CHECK(with_header_behind(distance, header(3, 2, by), 120) == "refused");  // itself, in another place
      CHECK(with_header_behind(distance, header(2, 1, by), 120) == "refused");  // one from before, doubled
    }
    CHECK(with_header_behind(distance, header(3, 2, lost), 120) == "cut");  // what follows nothing that is there
    CHECK(with_header_behind(distance, header(2, 1, lost), 120) == "cut");
  }
  CHECK(with_header_behind(0, header(5, 3, first), 40) == "refused");  // to the last byte of the segment
  CHECK(with_header_behind(0, header(5, 2, lost), 40) == "cut");
}

TEST_CASE("damage: a batch that says to be longer than its file is torn, though what there is of it sums up") {
  raft::file_log_options o = small();
  o.record_syncs = false;
  disk d;
  {
    auto log = test::open(d, o);
    propose_and_sync(log, 100);
  }
  auto& bytes = d.content("log-0000000000000001");
  const auto last = batches_of(bytes, d.identity).back();
  bytes.resize(last.first + last.second);
  wal::batch_header h = header(2, 1, {1, 0});
  h.length = static_cast<std::uint32_t>(last.second) - 40 + 8;
  std::byte* const at = bytes.data() + last.first;
  raft::detail::store_le(at + 8, h.length);
  raft::detail::store_le(at, raft::detail::crc32c(at + 4, 36, wal::seed_of(d.identity)));
  d.settle_content();
  d.revive();
  CHECK(reopened(d, o).find("last=0 ") != std::string::npos);
}
