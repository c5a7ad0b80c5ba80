// Snapshots of a file_log: written and read in pieces, current at once, resumed after a restart.

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <raft/file_log.hpp>
#include <support/faulty_disk.hpp>
#include <support/log_image.hpp>
#include <support/log_model.hpp>
#include <support/log_run.hpp>

namespace {

namespace wal = raft::detail::wal;

using raft::errc;
using raft::index_t;
using raft::term_t;
using test::bytes_of;
using test::crash_and_reopen;
using test::files_named;
using test::image_of;
using test::open;
using test::pattern;
using test::propose;
using test::small;
using test::snapshot_at;
using test::three_voters;

}  // namespace

TEST_CASE("finish_snapshot: keeps the log if it holds the entry, else replaces it") {
  for (const std::uint64_t term : {1U, 2U}) {
    test::disk d;
    {
      auto log = open(d);
      for (int i = 0; i < 5; ++i) propose(log, 1, "x");
      snapshot_at(log, 3, term, "image");
      CHECK(log.first_index() == index_t{term == 1 ? 1U : 4U});
      CHECK(log.last_index() == index_t{term == 1 ? 5U : 3U});
      CHECK(log.term_at(index_t{3}) == term_t{term});
      REQUIRE(log.sync().has_value());
    }
    d.crash({});
    auto log = open(d);
    CHECK(log.first_index() == index_t{term == 1 ? 1U : 4U});
    CHECK(log.last_index() == index_t{term == 1 ? 5U : 3U});
    CHECK(log.term_at(index_t{3}) == term_t{term});
    CHECK(image_of(log, 2) == "image");
    propose(log, 2, "next");
    CHECK(log.last_index() == index_t{term == 1 ? 6U : 4U});
  }
}

TEST_CASE("no room for a snapshot: it is discarded, its file goes, and the log goes on") {
  const raft::snapshot_meta meta{index_t{3}, term_t{1}, three_voters(), 0, 0};
  const std::string image = pattern(300'000);
  for (const char* where : {"begin", "write", "finish"}) {
    CAPTURE(where);
    test::disk d;
    auto log = open(d);
    for (int i = 0; i < 5; ++i) propose(log, 1, "x");
    REQUIRE(log.sync());
    std::string lacked;
    const auto try_it = [&](const char* step, auto call) {
      if (!lacked.empty()) return;
      if (step == std::string{where}) d.room = d.used();
      const auto done = call();
      if (!done && done.error().code == errc::no_space) lacked = step;
    };
    try_it("begin", [&] { return log.begin_snapshot(meta); });
    try_it("write", [&] { return log.write_snapshot(bytes_of(image)); });
    try_it("finish", [&] { return log.finish_snapshot(); });
    CHECK(lacked == where);
    CHECK(log.partial().meta.index == index_t{});
    CHECK(files_named(d, "partial-") == 0);
    CHECK(log.write_snapshot(bytes_of("x")).error().code == errc::not_ready);
    propose(log, 1, "it fits into this segment");
    CHECK(log.sync());
    CHECK(log.last_error().file.empty());
    d.room = UINT64_MAX;
    snapshot_at(log, 3, 1, image);
    REQUIRE(log.sync());
    d.crash({});
    auto again = open(d);
    CHECK(again.last_index() == index_t{6});
    CHECK(image_of(again, 70'000) == image);
  }
}

TEST_CASE("no room for a snapshot: if its file cannot be removed either, the log fails for good") {
  test::disk d;
  auto log = open(d);
  propose(log, 1, "x");
  REQUIRE(log.sync());
  d.room = d.used();
  d.fail_at = d.calls + 3;  // the file is made, its header finds no room, and the third call is to remove it
  CHECK(log.begin_snapshot({index_t{1}, term_t{1}, three_voters(), 0, 0}).error().code == errc::io);
  CHECK(log.last_error().file.starts_with("dir/partial-"));
  CHECK(log.store({term_t{2}, raft::nobody, index_t{}}).error().code == errc::io);
}

TEST_CASE(
    "no room for a snapshot: an unfinished one that is found on a full disk is taken up, or goes, and never in the "
    "way") {
  // What ends inside a block: a process that was killed in the midst of a write.
  test::disk d;
  {
    auto log = open(d);
    for (int i = 0; i < 5; ++i) propose(log, 1, "x");
    REQUIRE(log.sync());
    REQUIRE(log.begin_snapshot({index_t{3}, term_t{1}, three_voters(), 0, 0}));
    REQUIRE(log.write_snapshot(bytes_of(pattern(140'000))));
  }
  const std::string name = test::names_of(d, "partial-").at(0);
  d.content(name).resize(d.content(name).size() - 1000);
  d.settle_content();
  {
    test::disk full = d;
    full.revive();
    full.room = full.used();
    const auto log = open(full);
    CHECK(log.partial().meta.index == index_t{3});
    CHECK(log.partial().received == 65536);
  }
  // No call for it may keep the log from being opened for want of room: then it goes.
  std::size_t gone = 0;
  for (std::uint64_t call = 1; call < 100; ++call) {
    test::disk copy = d;
    copy.revive();
    copy.fail_at = copy.calls + call;
    copy.fail_code = errc::no_space;
    const auto log = test::disk_log::open("dir", three_voters(), small(), nullptr, test::disk_files{&copy});
    if (!log || files_named(copy, "partial-") != 0) continue;
    ++gone;
    CHECK(log->partial().meta.index == index_t{});
    CHECK(log->last_index() == index_t{5});
    CHECK(log->last_error().file.empty());
  }
  CHECK(gone == 5);  // its header is written, its block read and written, its size asked, its file synced
}

TEST_CASE("finish_snapshot: refused without one, and at or below the current one; nothing changes") {
  test::disk d;
  auto log = open(d);
  CHECK(log.write_snapshot(bytes_of("x")).error().code == errc::not_ready);
  CHECK(log.finish_snapshot().error().code == errc::not_ready);
  for (int i = 0; i < 5; ++i) propose(log, 1, "x");
  snapshot_at(log, 3, 1, "image");
  raft::snapshot_meta meta = log.snapshot();
  REQUIRE(log.begin_snapshot(meta));
  CHECK(log.finish_snapshot().error().code == errc::compacted);
  CHECK(log.partial().meta.index == index_t{3});
  CHECK(image_of(log, 100) == "image");
  REQUIRE(log.sync().has_value());
  CHECK(log.last_error().file.empty());
}

TEST_CASE("read_snapshot: pieces of any size at any offset, equal ids for equal bytes") {
  for (const std::size_t size : {0U, 1U, 65535U, 65536U, 65537U, 200000U}) {
    CAPTURE(size);
    test::disk d;
    const std::string image = pattern(size);
    auto log = open(d);
    raft::memory_log model{three_voters()};
    propose(log, 1, "x");
    propose(model, 1, "x");
    snapshot_at(log, 1, 1, image);
    snapshot_at(model, 1, 1, image);
    CHECK(log.snapshot() == model.snapshot());
    REQUIRE(log.sync().has_value());
    crash_and_reopen(log, d);
    CHECK(log.snapshot() == model.snapshot());
    for (const std::uint32_t max : {1000U, 65536U, 70000U, 1000000U}) CHECK(image_of(log, max) == image);
    CHECK(log.read_snapshot(size, 10)->empty());
    CHECK(log.read_snapshot(size + 1, 10).error().code == errc::impossible);
    if (size > 0) CHECK(log.read_snapshot(size - 1, 0)->size() == 1);
    test::random r{size};
    for (int i = 0; i < 50 && size > 0; ++i) {
      const std::uint64_t at = r.below(size);
      const auto piece = log.read_snapshot(at, static_cast<std::uint32_t>(1 + r.below(size)));
      REQUIRE(piece.has_value());
      CHECK(image.compare(at, piece->size(), reinterpret_cast<const char*>(piece->data()), piece->size()) == 0);
    }
  }
}

TEST_CASE("finish_snapshot: an id that was given stays") {
  test::disk d;
  auto log = open(d);
  raft::snapshot_meta meta{index_t{9}, term_t{4}, three_voters(), 77, 4711};
  REQUIRE(log.begin_snapshot(meta));
  REQUIRE(log.write_snapshot(bytes_of("abc")));
  REQUIRE(log.finish_snapshot());
  REQUIRE(log.sync().has_value());
  crash_and_reopen(log, d);
  CHECK(log.snapshot().id == 4711);
  CHECK(log.snapshot().size == 3);
}

TEST_CASE("partial: goes on after a restart behind the last whole block") {
  test::disk d;
  const std::string image = pattern(300000);
  raft::snapshot_meta meta{index_t{9}, term_t{4}, three_voters(), 300000, 99};
  {
    auto log = open(d);
    CHECK(log.partial().meta.index == index_t{});
    REQUIRE(log.begin_snapshot(meta));
    REQUIRE(log.write_snapshot(bytes_of(image).first(200000)));
    CHECK(log.partial().received == 200000);
    CHECK(log.partial().meta == meta);
  }
  SUBCASE("of the process") { d.revive(); }
  SUBCASE("of the machine") { d.crash({test::keep::how::everything}); }
  {
    auto log = open(d);
    CHECK(log.partial().meta == meta);
    CHECK(log.partial().received == 196608);
    REQUIRE(log.write_snapshot(bytes_of(image).subspan(196608)));
    REQUIRE(log.finish_snapshot());
    REQUIRE(log.sync().has_value());
    CHECK(image_of(log, 50000) == image);
  }
  d.crash({});
  auto log = open(d);
  CHECK(log.snapshot().index == index_t{9});
  CHECK(image_of(log, 50000) == image);
  CHECK(log.partial().meta.index == index_t{});
  CHECK(files_named(d, "partial-") == 0);
}

TEST_CASE("partial: after a crash that kept any sectors, what counts is what was written, also after another one") {
  const std::string image = pattern(400000);
  const std::string other = pattern(400001);
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    test::disk d;
    {
      auto log = open(d);
      REQUIRE(log.begin_snapshot({index_t{9}, term_t{4}, three_voters(), 0, 99}));
      REQUIRE(log.write_snapshot(bytes_of(image)));
    }
    d.crash({test::keep::how::any, seed});
    std::string expected;
    {
      auto log = open(d);
      const std::uint64_t received = log.partial().received;
      if (log.partial().meta.index == index_t{}) continue;
      CHECK(received % 65536 == 0);
      REQUIRE(log.write_snapshot(bytes_of(other).subspan(received, 65536)));
      expected = image.substr(0, received) + other.substr(received, 65536);
    }
    d.crash({test::keep::how::any, seed + 1000});
    auto log = open(d);
    const std::uint64_t received = log.partial().received;
    REQUIRE(received <= expected.size());
    REQUIRE(log.finish_snapshot());
    CHECK(image_of(log, 100000) == expected.substr(0, received));
  }
}

TEST_CASE("begin_snapshot: discards the unfinished one and its file") {
  test::disk d;
  auto log = open(d);
  REQUIRE(log.begin_snapshot({index_t{9}, term_t{4}, three_voters(), 0, 0}));
  REQUIRE(log.write_snapshot(bytes_of(pattern(100000))));
  REQUIRE(log.begin_snapshot({index_t{5}, term_t{4}, three_voters(), 0, 0}));
  CHECK(log.partial().received == 0);
  CHECK(files_named(d, "partial-") == 1);
  REQUIRE(log.write_snapshot(bytes_of("new")));
  REQUIRE(log.finish_snapshot());
  CHECK(log.partial().meta.index == index_t{});
  CHECK(image_of(log, 10) == "new");
  CHECK(log.snapshot().index == index_t{5});
}

TEST_CASE("partial: a block that is damaged ends it, and what lay behind does not count later") {
  test::disk d;
  const std::string image = pattern(400000);
  const std::string other = pattern(400001);
  {
    auto log = open(d);
    REQUIRE(log.begin_snapshot({index_t{9}, term_t{4}, three_voters(), 0, 99}));
    REQUIRE(log.write_snapshot(bytes_of(image)));
  }
  // The third of six whole blocks; each is 64 KiB and 8 bytes, behind a header and a slot of 512 each.
  d.content("partial-0000000000000001")[1024 + 2 * 65544 + 7] ^= std::byte{1};
  d.revive();
  {
    auto log = open(d);
    CHECK(log.partial().received == 131072);
    REQUIRE(log.write_snapshot(bytes_of(other).subspan(131072, 65536)));
  }
  d.revive();
  auto log = open(d);
  CHECK(log.partial().received == 196608);
  REQUIRE(log.finish_snapshot());
  CHECK(image_of(log, 100000) == image.substr(0, 131072) + other.substr(131072, 65536));
}

TEST_CASE("finish_snapshot: after a sync that failed, what a later one confirms is really there") {
  const std::string image = pattern(200000);
  int resumed = 0;
  for (std::uint64_t call = 1; call <= 12; ++call) {
    CAPTURE(call);
    test::disk d;
    {
      auto log = open(d);
      REQUIRE(log.begin_snapshot({index_t{9}, term_t{4}, three_voters(), 0, 99}));
      REQUIRE(log.write_snapshot(bytes_of(image)));
      d.fail_at = d.calls + call;
      const bool finished = log.finish_snapshot().has_value() && log.sync().has_value();
      if (finished) break;
    }
    d.revive();
    {
      auto log = open(d);
      if (log.partial().meta.index == index_t{9}) {
        ++resumed;
        REQUIRE(log.write_snapshot(bytes_of(image).subspan(log.partial().received)));
        REQUIRE(log.finish_snapshot());
        REQUIRE(log.sync().has_value());
      }
      CHECK((log.snapshot().index == index_t{} || image_of(log, 65536) == image));
    }
    const bool placed = files_named(d, "snapshot-") == 1;
    d.crash({});
    auto log = open(d);
    CHECK(log.snapshot().index == index_t{placed ? 9U : 0U});
    if (placed) CHECK(image_of(log, 65536) == image);
  }
  CHECK(resumed >= 3);
}

TEST_CASE("begin_snapshot: refuses a configuration that could not be read back") {
  test::disk d;
  auto log = open(d);
  CHECK(log.begin_snapshot({index_t{9}, term_t{4}, {}, 0, 0}).error().code == errc::invalid_configuration);
  CHECK(log.partial().meta.index == index_t{});
  CHECK(log.last_error().file.empty());
}

TEST_CASE("finish_snapshot: as much data as members may have is there after a restart") {
  const raft::configuration large = test::largest_configuration();
  test::disk d;
  {
    auto log = open(d);
    propose(log, 1, "x");
    REQUIRE(log.begin_snapshot({index_t{1}, term_t{1}, large, 0, 0}));
    REQUIRE(log.write_snapshot(bytes_of("image")));
    REQUIRE(log.finish_snapshot());
    REQUIRE(log.sync().has_value());
  }
  d.crash({});
  CHECK(open(d).snapshot().configuration == large);
}

TEST_CASE("read_snapshot: a block is good for its place only") {
  test::disk d;
  raft::file_log_options o = small();
  o.verify_snapshot = false;
  {
    auto log = open(d, o);
    propose(log, 1, "x");
    snapshot_at(log, 1, 1, pattern(200000));
    REQUIRE(log.sync().has_value());
  }
  auto& bytes = d.content("snapshot-0000000000000001");
  std::swap_ranges(bytes.begin() + 1024, bytes.begin() + 1024 + 65544, bytes.begin() + 1024 + 65544);
  auto log = open(d, o);
  CHECK(log.read_snapshot(0, 100).error().code == errc::corrupt);
  CHECK(log.read_snapshot(65536, 100).error().code == errc::corrupt);
  CHECK(log.read_snapshot(131072, 100).has_value());
}

TEST_CASE("write_snapshot: syncs a large image in portions, and a portion that fails fails the log") {
  for (const bool fails : {false, true}) {
    test::disk d;
    auto log = open(d);
    REQUIRE(log.begin_snapshot({index_t{9}, term_t{4}, three_voters(), 0, 0}));
    const std::string piece = pattern(std::size_t{1} << 20);
    const std::uint64_t syncs = d.syncs;
    for (int i = 0; i < 7; ++i) REQUIRE(log.write_snapshot(bytes_of(piece)));
    CHECK(d.syncs == syncs);
    d.fail_at = fails ? d.calls + 17 : 0;  // 16 blocks, then the sync
    const auto eighth = log.write_snapshot(bytes_of(piece));
    CHECK(d.syncs == syncs + 1);
    CHECK(eighth.has_value() == !fails);
    if (fails) CHECK(log.store({}).error().code == errc::io);
  }
}

namespace {

const std::string ninth = "snapshot-0000000000000009";

/// A log with a snapshot.
test::disk disk_with(const std::string& image, std::uint64_t term, const raft::configuration& members,
                     std::uint64_t index = 9) {
  test::disk d;
  auto log = open(d);
  REQUIRE(log.begin_snapshot({index_t{index}, term_t{term}, members, 0, 0}));
  REQUIRE(log.write_snapshot(bytes_of(image)));
  REQUIRE(log.finish_snapshot());
  REQUIRE(log.sync().has_value());
  return d;
}

/// Sums the header of a snapshot's file up again, so that a change of it does not show as such.
void seal_header(std::vector<std::byte>& bytes) {
  const auto end = 40 + raft::detail::load_le<std::uint64_t>(bytes.data() + 32);
  raft::detail::store_le(bytes.data() + 8, raft::detail::crc32c(bytes.data() + 12, static_cast<std::size_t>(end) - 12));
}

}  // namespace

TEST_CASE("open: refuses a snapshot that is whole and not the one that the log speaks of") {
  const test::disk whole = disk_with("image", 4, three_voters());
  const auto with_file_of = [&](const test::disk& other) {
    test::disk d = whole;
    d.content(ninth) = other.files.at(other.names.lower_bound("snapshot-")->second).seen;
    d.revive();
    return test::reopened(d, small());
  };
  CHECK(with_file_of(whole).find("refused") == std::string::npos);
  const std::string reason =
      "refused: dir/" + ninth + ": the snapshot is not the one that the log speaks of, at offset ";
  CHECK(with_file_of(disk_with("imagE", 4, three_voters())) == reason + "512");
  CHECK(with_file_of(disk_with("images", 4, three_voters())) == reason + "512");
  CHECK(with_file_of(disk_with("image", 5, three_voters())) == reason + "40");
  CHECK(with_file_of(disk_with("image", 4, three_voters(), 8)) == reason + "40");
  CHECK(with_file_of(disk_with("image", 4, raft::voters_of({raft::node_id{1}}))) == reason + "40");
}

TEST_CASE("open: refuses a snapshot whose parts are whole, each for itself, and make no sense") {
  const auto refusal = [](auto change) {
    test::disk d = disk_with("image", 4, three_voters());
    change(d.content(ninth), d.identity);
    d.revive();
    raft::file_log_failure why;
    const std::string shown = test::reopened(d, small(), &why);
    CHECK(why.why.code == (shown.find("version") == std::string::npos ? errc::corrupt : errc::unsupported_version));
    return shown;
  };
  const auto refused_as = [](const std::string& sentence) { return "refused: dir/" + ninth + ": " + sentence; };
  CHECK(refusal([](std::vector<std::byte>& bytes, std::uint64_t) {
          raft::detail::store_le(bytes.data() + 12, wal::format_version - 1);
          seal_header(bytes);
        }) == refused_as("a snapshot of a version that this build does not read"));
  // A place that is longer than what it says, and one whose configuration has no voters.
  CHECK(refusal([](std::vector<std::byte>& bytes, std::uint64_t) {
          raft::detail::store_le(bytes.data() + 32, raft::detail::load_le<std::uint64_t>(bytes.data() + 32) + 8);
          seal_header(bytes);
        }) == refused_as("the place of a snapshot is malformed, at offset 40"));
  CHECK(refusal([](std::vector<std::byte>& bytes, std::uint64_t) {
          bytes[40 + 40 + 2] = std::byte{0};
          seal_header(bytes);
        }) == refused_as("the place of a snapshot is malformed, at offset 40"));
  // Another checksum of the image, in a slot that is whole: the blocks are those of some other image.
  CHECK(refusal([](std::vector<std::byte>& bytes, std::uint64_t identity) {
          std::byte* const slot = bytes.data() + 512;
          slot[4] ^= std::byte{1};
          const std::uint32_t seed = wal::seed_of(identity) ^ wal::seed_of(1 * 0x9E3779B97F4A7C15);
          raft::detail::store_le(slot, raft::detail::crc32c(slot + 4, 20, seed));
        }) == refused_as("the checksum of a snapshot does not hold, at offset 512"));
}

TEST_CASE("open: a snapshot's file that the log does not speak of goes if there is another, and is refused if not") {
  const std::string zeroth = "snapshot-0000000000000000";
  test::disk d = disk_with("image", 4, three_voters());
  test::disk none;
  { const auto log = open(none); }
  for (test::disk* one : {&d, &none}) {
    one->names[zeroth] = one->durable_names[zeroth] = one->next_file;
    one->files[one->next_file++] = {};
    one->revive();
  }
  CHECK(open(d).snapshot().index == index_t{9});
  CHECK(d.names.count(zeroth) == 0);
  CHECK(test::reopened(none, small()) == "refused: dir/" + zeroth + ": a snapshot that no log speaks of, at offset 0");
  CHECK(none.names.count(zeroth) == 1);
}

TEST_CASE("partial: one under the name of another, or not beyond the current snapshot, does not count and goes") {
  for (const bool renamed : {false, true}) {
    CAPTURE(renamed);
    test::disk d = disk_with("image", 4, three_voters());
    d.revive();
    {
      auto log = open(d);
      REQUIRE(log.begin_snapshot({index_t{renamed ? 10U : 9U}, term_t{4}, three_voters(), 0, 0}));
      REQUIRE(log.write_snapshot(bytes_of(pattern(70000))));
    }
    REQUIRE(files_named(d, "partial-") == 1);
    d.crash({test::keep::how::everything});
    if (renamed) {
      for (auto* names : {&d.names, &d.durable_names}) {
        auto one = names->extract(names->lower_bound("partial-"));
        one.key() = "partial-0000000000000007";
        names->insert(std::move(one));
      }
    }
    CHECK(open(d).partial().meta.index == index_t{});
    CHECK(files_named(d, "partial-") == 0);
  }
}

TEST_CASE("snapshot's file: a header and a slot of whole sectors, then blocks of 64 KiB and 8 bytes") {
  wal::snapshot_file<test::disk_files> file;
  file.slot = 512;
  CHECK(file.offset_of(0) == 1024);
  CHECK(file.offset_of(1) == 1024 + 65544);
  CHECK(file.offset_of(3) == 1024 + 3 * 65544);
  test::disk d = disk_with(pattern(65536 + 5), 4, three_voters());
  CHECK(d.content(ninth).size() == 1024 + 65544 + 5 + 8);
}

TEST_CASE("open: a snapshot that ends too soon is refused, with the place and what is cut off") {
  const test::disk whole = disk_with(pattern(65536 + 5), 4, three_voters());
  const auto refusal = [&](std::size_t size) {
    test::disk d = whole;
    d.content(ninth).resize(size);
    d.settle_content();
    d.revive();
    const std::string shown = test::reopened(d, small());
    const std::string named = "refused: dir/" + ninth + ": ";
    REQUIRE(shown.rfind(named, 0) == 0);
    return shown.substr(named.size());
  };
  const auto place = raft::detail::load_le<std::uint64_t>(whole.files.at(whole.names.at(ninth)).seen.data() + 32);
  const std::size_t header = 40 + static_cast<std::size_t>(place);
  for (const std::size_t size : {std::size_t{0}, std::size_t{8}, std::size_t{39}}) {
    CHECK(refusal(size) == "a snapshot does not begin as one, at offset 0");
  }
  for (const std::size_t size : {std::size_t{40}, header - 1}) {
    CHECK(refusal(size) == "the header of a snapshot is damaged, at offset 32");
  }
  for (const std::size_t size : {header, std::size_t{512 + 12}}) {
    CHECK(refusal(size) == "the size of a snapshot is damaged, at offset 512");
  }
  for (const std::size_t size : {std::size_t{512 + 24}, std::size_t{1024 + 65543}}) {
    CHECK(refusal(size) == "a snapshot ends too soon, at offset 1024");
  }
  CHECK(refusal(1024 + 65544 + 5 + 7) == "a snapshot ends too soon, at offset 66568");
}

TEST_CASE("open: a snapshot's header is as long as it may be, and no longer") {
  for (const std::uint64_t more : {0U, 8U}) {
    test::disk d = disk_with("image", 4, three_voters());
    auto& bytes = d.content(ninth);
    const std::uint64_t length = wal::snapshot_place_limit + more;
    bytes.resize(40 + static_cast<std::size_t>(length));
    raft::detail::store_le(bytes.data() + 32, length);
    seal_header(bytes);
    d.settle_content();
    d.revive();
    CHECK(test::reopened(d, small()) == "refused: dir/" + ninth + ": " +
                                            (more == 0 ? "the place of a snapshot is malformed, at offset 40"
                                                       : "the header of a snapshot is damaged, at offset 32"));
  }
}

TEST_CASE("read_snapshot: a block is read from the disk once, for all pieces of it that follow each other") {
  const std::string image = pattern(3 * 65536);
  test::disk d = disk_with(image, 4, three_voters());
  d.revive();
  auto log = open(d);
  const std::uint64_t calls = d.calls;
  for (std::uint64_t at = 0; at < image.size(); at += 4096) REQUIRE(log.read_snapshot(at, 4096));
  CHECK(d.calls - calls == 3);
  REQUIRE(log.read_snapshot(65536 + 1, 65536 + 10));  // of two blocks
  CHECK(d.calls - calls == 5);
  for (const std::uint64_t at : {65536U, 2 * 65536U, 3 * 65536U - 1}) REQUIRE(log.read_snapshot(at, 1));
  CHECK(d.calls - calls == 5);
  REQUIRE(log.read_snapshot(65535, 2));
  CHECK(d.calls - calls == 7);
}

TEST_CASE("read_snapshot: after a block that could not be read, the others are what they are") {
  const std::string image = pattern(2 * 65536 - 10);
  test::disk d = disk_with(image, 4, three_voters());
  d.revive();
  auto log = open(d);
  const auto piece_at = [&](std::uint64_t offset) {
    const auto piece = log.read_snapshot(offset, 1000);
    return piece ? std::string{reinterpret_cast<const char*>(piece->data()), piece->size()} : "not read";
  };
  CHECK(piece_at(0) == image.substr(0, 1000));
  d.content(ninth)[1024 + 65544] ^= std::byte{1};
  CHECK(piece_at(65536) == "not read");
  CHECK(piece_at(0) == image.substr(0, 1000));
  CHECK(piece_at(65536) == "not read");
  CHECK(piece_at(image.size()).empty());  // the end is no block, and needs none
}

TEST_CASE("begin_snapshot: one that fails leaves none that is being written") {
  test::disk d;
  auto whole = open(d);
  REQUIRE(whole.begin_snapshot({index_t{9}, term_t{4}, three_voters(), 0, 0}));
  const std::uint64_t calls = d.calls;
  REQUIRE(whole.begin_snapshot({index_t{9}, term_t{4}, three_voters(), 0, 0}));
  const std::uint64_t all = d.calls - calls;
  for (std::uint64_t call = 1; call <= all; ++call) {
    CAPTURE(call);
    test::disk one;
    auto log = open(one);
    REQUIRE(log.begin_snapshot({index_t{9}, term_t{4}, three_voters(), 0, 0}));
    REQUIRE(log.write_snapshot(bytes_of("some of it")));
    one.fail_at = one.calls + call;
    CHECK(log.begin_snapshot({index_t{10}, term_t{4}, three_voters(), 0, 0}).error().code == errc::io);
    CHECK(log.partial().meta.index == index_t{});
    CHECK(log.partial().received == 0);
    CHECK(one.calls == one.fail_at);  // and nothing is done to the disk any more
  }
}

TEST_CASE("finish_snapshot: one that fails is refused, whichever call it is, and the snapshot is the former one") {
  test::disk whole;
  auto finished = open(whole);
  propose(finished, 4, "x");
  snapshot_at(finished, 1, 4, "former");
  REQUIRE(finished.sync());
  REQUIRE(finished.begin_snapshot({index_t{9}, term_t{4}, three_voters(), 0, 0}));
  REQUIRE(finished.write_snapshot(bytes_of("image")));
  const std::uint64_t calls = whole.calls;
  REQUIRE(finished.finish_snapshot());
  const std::uint64_t all = whole.calls - calls;
  CHECK(all >= 5);  // the last block, the slot, the sync, the name, and that it lasts
  for (std::uint64_t call = 1; call <= all; ++call) {
    CAPTURE(call);
    test::disk d;
    auto log = open(d);
    propose(log, 4, "x");
    snapshot_at(log, 1, 4, "former");
    REQUIRE(log.sync());
    REQUIRE(log.begin_snapshot({index_t{9}, term_t{4}, three_voters(), 0, 0}));
    REQUIRE(log.write_snapshot(bytes_of("image")));
    d.fail_at = d.calls + call;
    const auto done = log.finish_snapshot();
    REQUIRE(!done);
    CHECK(done.error().code == errc::io);
    CHECK(d.calls == d.fail_at);
    CHECK(log.snapshot().index == index_t{1});
    CHECK(log.last_index() == index_t{1});
    d.crash({});
    CHECK(open(d).snapshot().index == index_t{1});
  }
}

TEST_CASE("begin_snapshot: files are numbered on, also after a restart") {
  test::disk d;
  const raft::snapshot_meta meta{index_t{9}, term_t{4}, three_voters(), 0, 0};
  {
    auto log = open(d);
    for (int i = 0; i < 3; ++i) REQUIRE(log.begin_snapshot(meta));
  }
  CHECK(files_named(d, "partial-0000000000000003") == 1);
  d.revive();
  auto log = open(d);
  REQUIRE(log.begin_snapshot(meta));
  CHECK(files_named(d, "partial-0000000000000004") == 1);
  CHECK(files_named(d, "partial-") == 1);
}

TEST_CASE("write_snapshot: what was written of a discarded one does not hasten the sync of the next") {
  test::disk d;
  auto log = open(d);
  const std::string half = pattern(std::size_t{4} << 20);
  const std::uint64_t syncs = d.syncs;
  for (int i = 0; i < 2; ++i) {
    REQUIRE(log.begin_snapshot({index_t{9}, term_t{4}, three_voters(), 0, 0}));
    REQUIRE(log.write_snapshot(bytes_of(half)));
  }
  CHECK(d.syncs == syncs);
  REQUIRE(log.write_snapshot(bytes_of(half)));
  CHECK(d.syncs == syncs + 1);
  REQUIRE(log.write_snapshot(bytes_of("a little")));
  CHECK(d.syncs == syncs + 1);
}

TEST_CASE("partial: one of whole blocks is as long after a restart as before") {
  test::disk d;
  {
    auto log = open(d);
    REQUIRE(log.begin_snapshot({index_t{9}, term_t{4}, three_voters(), 0, 0}));
    REQUIRE(log.write_snapshot(bytes_of(pattern(2 * 65536))));
  }
  const std::string name = "partial-0000000000000001";
  const std::size_t size = d.content(name).size();
  CHECK(size == 1024 + 2 * 65544);
  d.revive();
  const auto log = open(d);
  CHECK(log.partial().received == 2 * 65536);
  CHECK(d.content(name).size() == size);
}
