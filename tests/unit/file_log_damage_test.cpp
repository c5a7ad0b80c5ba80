// Damage and failures: bytes that changed, batches and files that moved or went, calls that failed. What was synced is
// there, or the opening is refused with the file and the reason; never is anything else shown.

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <raft/file_log.hpp>
#include <support/faulty_disk.hpp>
#include <support/log_image.hpp>
#include <support/log_run.hpp>

namespace {

using raft::errc;
using test::batches_of;
using test::disk;
using test::image;
using test::keep;
using test::names_of;
using test::progress;
using test::refused;
using test::refused_or;
using test::reopened;
using test::script;
using test::small_options;

}  // namespace

TEST_CASE("damage: every byte of a log, changed alone: refused with a reason, or the same state") {
  for (const std::uint64_t seed : {3U, 5U}) {
    image whole{seed};
    REQUIRE(!names_of(whole.d, "snapshot-").empty());
    std::size_t refusals = 0;
    std::size_t bytes = 0;
    for (const std::string& name : names_of(whole.d, "")) {
      CAPTURE(name);
      for (std::size_t i = 0; i < whole.d.content(name).size(); ++i) {
        CAPTURE(i);
        ++bytes;
        disk d = whole.d;
        d.content(name)[i] ^= static_cast<std::byte>(1U << (i % 8));
        d.settle_content();
        refusals += refused_or(d, whole.shown) ? 1 : 0;
      }
    }
    CHECK(refusals > 1500);
    CHECK(refusals < bytes);
  }
}

TEST_CASE("damage: without the file `synced` a damaged last batch is taken for a torn one, and nothing else is") {
  image whole{3};
  whole.d.names.erase("synced");
  whole.d.durable_names.erase("synced");
  const std::string last = names_of(whole.d, "log-").back();
  const auto batches = batches_of(whole.d.content(last), whole.d.identity);
  const auto end = batches.back();
  std::size_t cut = 0;
  for (std::size_t i = 0; i < whole.d.content(last).size(); ++i) {
    CAPTURE(i);
    disk d = whole.d;
    d.content(last)[i] ^= std::byte{0x80};
    d.settle_content();
    const bool in_last = i >= end.first && i < end.first + end.second;
    const std::string& expected = in_last ? whole.before_last_sync : whole.shown;
    const bool no = refused_or(d, expected);
    CHECK(!(in_last && no));
    cut += in_last ? 1 : 0;
  }
  CHECK(cut == end.second);
}

TEST_CASE("damage: a file `synced` that is whole and not of this log, or no such file at all, says nothing") {
  image whole{3};
  const std::string last = names_of(whole.d, "log-").back();
  const auto end = batches_of(whole.d.content(last), whole.d.identity).back();
  whole.d.content(last)[end.first] ^= std::byte{1};
  whole.d.settle_content();
  disk believed = whole.d;
  CHECK(refused_or(believed, ""));
  for (const std::size_t offset : {0U, 7U, 8U, 15U}) {  // the first word says what the file is, the second of which log
    CAPTURE(offset);
    disk d = whole.d;
    auto& bytes = d.content("synced");
    bytes[offset] ^= std::byte{1};
    raft::detail::store_le(bytes.data() + 28, raft::detail::crc32c(bytes.data(), 28));
    d.settle_content();
    CHECK(!refused_or(d, whole.before_last_sync));
  }
}

TEST_CASE("damage: batches dropped, doubled or swapped") {
  for (const std::uint64_t seed : {3U, 8U, 25U}) {
    const image whole{seed, seed == 25 ? 40 : 20, seed == 25 ? 900U : 60U};
    for (const std::string& name : names_of(whole.d, "log-")) {
      disk copy = whole.d;
      const auto batches = batches_of(copy.content(name), copy.identity);
      for (std::size_t i = 0; i < batches.size(); ++i) {
        for (std::size_t j = i; j < batches.size() + 2; ++j) {
          CAPTURE(i);
          CAPTURE(j);
          disk d = whole.d;
          auto& bytes = d.content(name);
          const std::size_t size = bytes.size();
          const auto at = [&bytes](std::size_t n) { return bytes.begin() + static_cast<std::ptrdiff_t>(n); };
          const auto [begin, length] = batches[i];
          const std::vector<std::byte> one(at(begin), at(begin + length));
          if (j == i) {  // dropped
            bytes.erase(at(begin), at(begin + length));
          } else if (j == batches.size()) {  // doubled
            bytes.insert(at(begin + length), one.begin(), one.end());
          } else if (j == batches.size() + 1) {  // zeros in its place
            std::fill(at(begin), at(begin + length), std::byte{0});
          } else {  // swapped
            const auto [second, other_length] = batches[j];
            const std::vector<std::byte> other(at(second), at(second + other_length));
            bytes.erase(at(second), at(second + other_length));
            bytes.insert(at(second), one.begin(), one.end());
            bytes.erase(at(begin), at(begin + length));
            bytes.insert(at(begin), other.begin(), other.end());
          }
          bytes.resize(size);
          d.settle_content();
          disk unrecorded = d;
          // What lies behind the end of a segment that another one follows does not count.
          const bool last_batch = i + 1 == batches.size();
          const bool last_segment = name == names_of(whole.d, "log-").back();
          const bool harmless = last_batch && j == batches.size() && !last_segment;
          CHECK(refused_or(d, whole.shown) == !harmless);
          // Without the file `synced` only the end of the log may be taken for torn.
          unrecorded.names.erase("synced");
          const bool torn = last_batch && j != batches.size() && last_segment;
          CHECK(refused_or(unrecorded, torn ? whole.before_last_sync : whole.shown) == !(torn || harmless));
        }
      }
    }
  }
}

TEST_CASE("damage: files that are gone, cut short, of another log or under another name") {
  for (const std::uint64_t seed : {4U, 21U}) {
    image whole{seed, 40, 900};
    const auto segments = names_of(whole.d, "log-");
    REQUIRE(segments.size() >= 2);
    for (const std::string& name : names_of(whole.d, "")) {
      CAPTURE(name);
      // A segment before the last one may hold nothing any more that is needed.
      const bool matters = name == segments.back() || name.rfind("snapshot-", 0) == 0;
      disk gone = whole.d;
      gone.names.erase(name);
      gone.durable_names.erase(name);
      const bool no = refused_or(gone, whole.shown);
      CHECK((no || !matters));
      CHECK((!no || name.rfind("log-", 0) == 0 || matters));
      for (std::size_t size = 0; size < gone.files.at(whole.d.names.at(name)).seen.size(); size += 100) {
        CAPTURE(size);
        disk cut = whole.d;
        cut.content(name).resize(size);
        cut.settle_content();
        const bool refusal = refused_or(cut, whole.shown);
        if (name.rfind("snapshot-", 0) == 0) CHECK(refusal);
      }
    }
    {  // the snapshot gone, while there is something to tidy up
      disk d = whole.d;
      {
        auto log = test::open(d, small_options());
        REQUIRE(log.begin_snapshot({raft::index_t{99999}, raft::term_t{2000}, test::three_voters(), 0, 0}));
        REQUIRE(log.write_snapshot(test::bytes_of(std::string(70000, 'x'))));
      }
      const std::string snapshot = names_of(d, "snapshot-").front();
      d.names["snapshot-0000000000000000"] = d.names.at(snapshot);
      d.names.erase(snapshot);
      d.durable_names = d.names;
      d.revive();
      CHECK(refused_or(d, ""));
    }
    {  // all segments gone
      disk d = whole.d;
      for (const auto& name : segments) d.names.erase(name);
      CHECK(refused_or(d, ""));
      d.names.erase("synced");
      CHECK(refused_or(d, ""));  // the snapshot still tells
      d.names["synced"] = whole.d.names.at("synced");
      for (const auto& name : names_of(d, "snapshot-")) d.names.erase(name);
      CHECK(reopened(d, small_options()) == "refused: dir/synced: the segments of the log are not there, at offset 0");
    }
    {  // two segments in each other's place
      disk d = whole.d;
      std::swap(d.names[segments[0]], d.names[segments[1]]);
      CHECK(refused_or(d, ""));
    }
    {  // a segment of another log
      disk other;
      other.identity = 4711;
      REQUIRE(!run(other, whole.s, small_options()).failed);
      for (const auto& name : segments) {
        disk d = whole.d;
        d.content(name) = other.content(name);
        CHECK(refused_or(d, ""));
      }
      disk d = whole.d;
      const std::string snapshot = names_of(d, "snapshot-").front();
      d.content(snapshot) = other.content(snapshot);
      CHECK(reopened(d, small_options()) == "refused: dir/" + snapshot + ": a snapshot of another log, at offset 16");
      d = whole.d;
      d.content("synced") = other.content("synced");
      CHECK(!refused_or(d, whole.shown));
    }
    {  // a segment that does not carry on the state of the one before it
      disk d = whole.d;
      auto& bytes = d.content(segments.back());
      const auto end = 56 + raft::detail::load_le<std::uint32_t>(bytes.data() + 44);
      bytes[56] ^= std::byte{1};  // the current term
      raft::detail::store_le(bytes.data() + 8, raft::detail::crc32c(bytes.data() + 12, end - 12));
      CHECK(refused_or(d, ""));
    }
    for (const std::uint32_t change : {~std::uint32_t{0}, std::uint32_t{1}}) {
      disk d = whole.d;
      auto& bytes = d.content(segments.back());
      const auto end = 56 + raft::detail::load_le<std::uint32_t>(bytes.data() + 44);
      raft::detail::store_le(bytes.data() + 12, raft::detail::wal::format_version + change);
      raft::detail::store_le(bytes.data() + 8, raft::detail::crc32c(bytes.data() + 12, end - 12));
      raft::file_log_failure why;
      CHECK(refused(reopened(d, small_options(), &why)));
      CHECK(why.why.code == errc::unsupported_version);
    }
  }
}

TEST_CASE("damage: the refusal names file and offset of the first batch that is not whole") {
  const image whole{21, 40, 900};
  for (const std::string& name : names_of(whole.d, "log-")) {
    disk d = whole.d;
    for (const auto& [begin, size] : batches_of(d.content(name), d.identity)) {
      disk one = d;
      one.content(name)[begin + size / 2] ^= std::byte{4};
      raft::file_log_failure why;
      CHECK(refused(reopened(one, small_options(), &why)));
      CHECK(why.why.code == errc::corrupt);
      CHECK(why.file == "dir/" + name);
      CHECK(why.why.detail == begin);
      CHECK(why.text().find(", at offset " + std::to_string(begin)) != std::string::npos);
    }
  }
}

TEST_CASE("damage: a batch whole in itself that contradicts the log is refused") {
  namespace wal = raft::detail::wal;
  const auto shown_with = [](auto items, auto change) {
    disk d;
    raft::file_log_options o = small_options();
    o.record_syncs = false;
    {
      auto log = test::disk_log::open("dir", test::three_voters(), o, nullptr, test::disk_files{&d});
      REQUIRE(log.has_value());
      const raft::payload p = test::bytes_of("an entry");
      REQUIRE(log->append(raft::term_t{2}, raft::entry_kind::command, std::span{&p, 1}).has_value());
      REQUIRE(log->sync().has_value());
    }
    auto& bytes = d.content("log-0000000000000001");
    const auto last = batches_of(bytes, d.identity).back();
    std::vector<std::byte> batch(40);
    items(batch);
    wal::batch_header h;
    h.sequence = 1;
    h.number = 3;
    h.durable = 2;
    h.epoch = 1;
    change(h);
    wal::seal_batch(batch.data(), batch.size(), h, wal::seed_of(d.identity));
    std::copy(batch.begin(), batch.end(), bytes.begin() + static_cast<std::ptrdiff_t>(last.first + last.second));
    d.settle_content();
    raft::file_log_failure why;
    const std::string shown = reopened(d, o, &why);
    if (refused(shown)) {
      CHECK(why.why.code == errc::corrupt);
      CHECK(why.why.detail == last.first + last.second);
    }
    return shown;
  };
  const auto with_last_batch = [&](auto items) { return refused(shown_with(items, [](wal::batch_header&) {})); };
  const auto numbers = [](wal::item kind, std::vector<std::uint64_t> values) {
    return [kind, values](std::vector<std::byte>& out) {
      wal::put_item(out, kind, values.size() * 8);
      for (const std::uint64_t v : values) wal::put(out, v);
    };
  };
  const auto entry_at = [](std::uint64_t index, std::uint64_t count, std::uint64_t term) {
    return [=](std::vector<std::byte>& out) {
      wal::put_item(out, wal::item::entries, 32);
      wal::put(out, index);
      wal::put(out, count);
      out.resize(out.size() + 16);
      raft::write_entry(out.data() + out.size() - 16, raft::term_t{term}, raft::entry_kind::no_op, {});
    };
  };
  const auto snapshot = [](std::uint64_t replaced, std::uint64_t index, std::uint64_t term, std::size_t more = 0) {
    return [=](std::vector<std::byte>& out) {
      wal::put_item(out, wal::item::snapshot, 0);
      const std::size_t at = out.size();
      wal::put(out, replaced);
      wal::put(out, raft::snapshot_meta{raft::index_t{index}, raft::term_t{term}, test::three_voters(), 0, 1});
      out.resize(out.size() + more);
      raft::detail::store_le(out.data() + at - 8, static_cast<std::uint32_t>(out.size() - at));
    };
  };
  const auto both = [](auto first, auto second) {
    return [=](std::vector<std::byte>& out) {
      first(out);
      second(out);
    };
  };
  // First, that the harness writes batches that are taken at all.
  CHECK(!with_last_batch(entry_at(2, 1, 2)));
  CHECK(!with_last_batch(numbers(wal::item::truncation, {1, 0})));
  CHECK(!with_last_batch(numbers(wal::item::hard_state, {5, 1, 0})));
  CHECK(!with_last_batch(numbers(wal::item::compaction, {0, 0})));

  // A header that does not fit here: no batch at all, or one that is out of its place.
  const auto with_header = [&](auto change) { return shown_with(entry_at(2, 1, 2), change); };
  CHECK(with_header([](wal::batch_header&) {}).find("last=2 ") != std::string::npos);
  CHECK(with_header([](wal::batch_header& h) { h.sequence = 2; }).find("last=1 ") != std::string::npos);
  const auto with_opening = [&](std::uint32_t epoch, std::uint32_t before) {
    return with_header([&](wal::batch_header& h) { h.epoch = epoch, h.before = before; });
  };
  CHECK(with_opening(7, 1).find("last=2 ") != std::string::npos);  // the next one
  CHECK(with_opening(7, 2).find("last=1 ") != std::string::npos);  // one that follows another, which is not there
  CHECK(with_opening(7, 0).find("last=1 ") != std::string::npos);  // a first one, too
  CHECK(refused(with_header([](wal::batch_header& h) { h.number = 4; })));
  CHECK(refused(with_header([](wal::batch_header& h) { h.number = 2; })));

  CHECK(with_last_batch(entry_at(3, 1, 2)));
  CHECK(with_last_batch(entry_at(1, 1, 2)));
  CHECK(with_last_batch(entry_at(2, 2, 2)));
  CHECK(with_last_batch(entry_at(2, 0, 2)));
  CHECK(with_last_batch(numbers(wal::item::entries, {2, 0})));
  CHECK(with_last_batch(entry_at(2, 1, 1)));
  CHECK(with_last_batch(entry_at(2, (std::uint64_t{1} << 32) + 1, 2)));
  CHECK(with_last_batch(numbers(wal::item::entries, {2})));
  CHECK(with_last_batch(numbers(wal::item::truncation, {3, 2})));
  CHECK(with_last_batch(numbers(wal::item::truncation, {2, 2})));  // of nothing: none is written
  CHECK(with_last_batch(numbers(wal::item::truncation, {0, 0})));
  CHECK(with_last_batch(numbers(wal::item::truncation, {1, 1})));
  CHECK(!with_last_batch(both(entry_at(2, 1, 2), numbers(wal::item::truncation, {2, 2}))));
  CHECK(with_last_batch(both(entry_at(2, 1, 2), numbers(wal::item::truncation, {2, 1}))));
  CHECK(with_last_batch(numbers(wal::item::truncation, {1})));
  CHECK(with_last_batch(numbers(wal::item::truncation, {1, 0, 0})));
  CHECK(with_last_batch(numbers(wal::item::hard_state, {5, 1})));
  CHECK(with_last_batch(numbers(wal::item::hard_state, {5, 1, 0, 0})));
  CHECK(with_last_batch(numbers(wal::item::compaction, {1, 2})));
  CHECK(with_last_batch(numbers(wal::item::compaction, {0, 1})));
  CHECK(with_last_batch(numbers(wal::item::compaction, {0})));
  CHECK(with_last_batch(numbers(wal::item::compaction, {0, 0, 0})));
  CHECK(with_last_batch(both(snapshot(1, 5, 2), numbers(wal::item::compaction, {3, 2}))));
  CHECK(with_last_batch(numbers(static_cast<wal::item>(6), {0})));
  CHECK(with_last_batch(numbers(static_cast<wal::item>(0), {})));
  CHECK(with_last_batch(snapshot(2, 1, 2)));
  CHECK(with_last_batch(snapshot(0, 1, 3)));
  CHECK(with_last_batch(snapshot(0, 2, 2)));
  CHECK(with_last_batch(snapshot(0, 0, 0)));
  CHECK(with_last_batch(numbers(wal::item::snapshot, {0})));
  CHECK(with_last_batch(snapshot(0, 1, 2, 8)));
  CHECK(with_last_batch(both(snapshot(1, 5, 2), snapshot(0, 5, 2))));
  CHECK(with_last_batch(both(numbers(wal::item::entries, {2, 1, 2}), entry_at(3, 1, 2))));
  CHECK(with_last_batch([](std::vector<std::byte>& out) { wal::put_item(out, wal::item::hard_state, 4096); }));
}

TEST_CASE("damage: a segment's header whole in itself that makes no sense is refused") {
  image whole{25, 40, 900};
  const auto segments = names_of(whole.d, "log-");
  REQUIRE(segments.size() >= 2);
  const auto refuses = [&](const std::string& name, std::size_t offset, std::uint64_t value) {
    disk d = whole.d;
    auto& bytes = d.content(name);
    raft::detail::store_le(bytes.data() + offset, value);
    const auto end = 56 + raft::detail::load_le<std::uint32_t>(bytes.data() + 44);
    if (end <= bytes.size())
      raft::detail::store_le(bytes.data() + 8, raft::detail::crc32c(bytes.data() + 12, end - 12));
    d.settle_content();
    return refused_or(d, whole.shown);
  };
  const disk& d = whole.d;
  const auto& last = d.files.at(d.names.at(segments.back())).seen;
  CHECK(!refuses(segments.back(), 24, raft::detail::load_le<std::uint64_t>(last.data() + 24)));  // as it was
  CHECK(refuses(segments.front(), 16, 4711));                                                    // identity
  CHECK(refuses(segments.back(), 16, 4711));
  CHECK(refuses(segments.front(), 24, 77));  // sequence
  CHECK(refuses(segments.front(), 32, 0));   // first batch
  CHECK(refuses(segments.back(), 32, 1));
  const auto with_length = raft::detail::load_le<std::uint64_t>(last.data() + 40);
  CHECK(refuses(segments.back(), 40, with_length + (std::uint64_t{8} << 32)));  // length of the state: more than it has
  CHECK(refuses(segments.back(), 40, std::uint64_t{100} << 32));                // less
  CHECK(refuses(segments.back(), 40, std::uint64_t{60000} << 32));
  CHECK(refuses(segments.back(), 40, std::uint64_t{0xFFFFFF00} << 32));
  const auto with_epoch = [](const std::vector<std::byte>& bytes, std::uint64_t epoch) {
    return (raft::detail::load_le<std::uint64_t>(bytes.data() + 40) >> 32 << 32) | epoch;
  };
  const auto epoch = raft::detail::load_le<std::uint32_t>(last.data() + 40);
  CHECK(refuses(segments.back(), 40, with_epoch(last, epoch + 2)));  // of an opening that never was
  CHECK(refuses(segments.back(), 40, with_epoch(last, epoch + 1)));  // then its batches are of one before it
  CHECK(refuses(segments.front(), 80, 1000));                        // base
  CHECK(refuses(segments.front(), 88, 1000));                        // the base's term, above that of what follows it
  CHECK(refuses(segments.front(), 112, 1000));                       // the snapshot's index
  CHECK(refuses(segments.back(), 96, 1000));                         // the last index
  CHECK(refuses(segments.back(), 144, 7));                           // length of the configuration
  CHECK(refuses(segments.back(), 152, 0xFFFFFFFFFFFF));              // the configuration
}

TEST_CASE("damage: a segment of an opening that never was is refused, though nothing else tells") {
  raft::file_log_options o = small_options();
  o.record_syncs = false;
  disk d;
  {
    auto log = test::open(d, o);
    for (int i = 0; i < 2; ++i) {
      test::propose(log, 1, std::string(3000, 'x'));
      REQUIRE(log.sync());
    }
  }
  const std::string last = names_of(d, "log-").back();
  REQUIRE(last == "log-0000000000000002");
  const std::string out_of_turn = "refused: dir/" + last + ": a segment out of turn, at offset 40";
  const auto shown_with = [&](std::uint32_t epoch, std::uint32_t before) {
    disk changed = d;
    auto& bytes = changed.content(last);
    const auto end = 56 + raft::detail::load_le<std::uint32_t>(bytes.data() + 44);
    raft::detail::store_le(bytes.data() + 40, epoch);
    raft::detail::store_le(bytes.data() + 48, before);
    raft::detail::store_le(bytes.data() + 8, raft::detail::crc32c(bytes.data() + 12, end - 12));
    changed.settle_content();
    return reopened(changed, o);
  };
  CHECK(shown_with(1, 0).find("last=2 ") != std::string::npos);  // as it was
  CHECK(shown_with(7, 1).find("last=1 ") != std::string::npos);  // begun by the next opening: then its batch is none
  CHECK(shown_with(7, 2) == out_of_turn);
  CHECK(shown_with(7, 0) == out_of_turn);
}

TEST_CASE("damage: a header that gives an image to a snapshot that is not there is refused") {
  disk d;
  {
    test::disk_log log = test::open(d);
    test::propose(log, 1, "one");
    REQUIRE(log.sync());
  }
  for (const std::size_t offset : {128U, 136U}) {  // the snapshot's size, its id
    CAPTURE(offset);
    disk other = d;
    auto& bytes = other.content("log-0000000000000001");
    raft::detail::store_le(bytes.data() + offset, std::uint64_t{7});
    const auto end = 56 + raft::detail::load_le<std::uint32_t>(bytes.data() + 44);
    raft::detail::store_le(bytes.data() + 8, raft::detail::crc32c(bytes.data() + 12, end - 12));
    other.settle_content();
    const std::string shown = reopened(other, test::small());
    CHECK(shown.starts_with("refused: "));
    CHECK(shown.find("the state in a segment's header contradicts itself") != std::string::npos);
  }
  CHECK_FALSE(reopened(d, test::small()).starts_with("refused: "));
}

TEST_CASE("damage: names that are not ours are left alone") {
  image whole{3};
  const std::vector<std::string> others{"notes",
                                        "log-",
                                        "log-000000000000000A",
                                        "log-00000000000000001",
                                        "lug-0000000000000001",
                                        "Spare-0000000000000001",
                                        "snapshot_0000000000000001",
                                        "snapshot-zz",
                                        "spare-00000000000000g0",
                                        "partial-0000000000000 01"};
  for (const auto& name : others) {
    whole.d.names[name] = whole.d.durable_names[name] = whole.d.next_file;
    whole.d.files[whole.d.next_file++] = {};
  }
  CHECK(reopened(whole.d, small_options()) == whole.shown);
  for (const auto& name : others) CHECK(whole.d.names.count(name) == 1);
}

TEST_CASE("damage: a snapshot that goes bad while it is open is refused where it is read, and the log works on") {
  disk d;
  auto log = test::disk_log::open("dir", test::three_voters(), small_options(), nullptr, test::disk_files{&d});
  REQUIRE(log.has_value());
  const std::string text(200000, 'x');
  REQUIRE(log->begin_snapshot({raft::index_t{9}, raft::term_t{1}, test::three_voters(), 0, 0}));
  REQUIRE(log->write_snapshot(test::bytes_of(text)));
  REQUIRE(log->finish_snapshot());
  REQUIRE(log->sync().has_value());
  auto& bytes = d.content(names_of(d, "snapshot-").front());
  bytes[bytes.size() / 2] ^= std::byte{1};
  CHECK(log->read_snapshot(0, 65536).has_value());
  const auto bad = log->read_snapshot(65536, 65536);
  REQUIRE(!bad);
  CHECK(bad.error().code == errc::corrupt);
  CHECK(log->last_error().file == "dir/" + names_of(d, "snapshot-").front());
  CHECK(log->read_snapshot(150000, 100000).has_value());
  CHECK(log->store({raft::term_t{3}, {}, {}}).has_value());
  CHECK(log->sync().has_value());
}

TEST_CASE("damage: with verify_snapshot off, a damaged image is found where it is read") {
  image whole{3};
  const std::string name = names_of(whole.d, "snapshot-").front();
  auto& bytes = whole.d.content(name);
  bytes[bytes.size() - 20] ^= std::byte{1};
  whole.d.settle_content();
  raft::file_log_options o = small_options();
  o.verify_snapshot = false;
  disk d = whole.d;
  CHECK(refused(reopened(d, small_options())));
  CHECK(reopened(whole.d, o).find("SNAPSHOT UNREADABLE") != std::string::npos);
}

TEST_CASE(
    "failures: at every call, each kind: it fails for good, reads go on, and what was reported durable is there") {
  for (const std::uint64_t seed : {1U, 3U, 6U}) {
    const script s = script::random_one(seed, 30);
    disk clean;
    REQUIRE(!run(clean, s, small_options()).failed);
    for (const errc code : {errc::io, errc::no_space}) {
      for (std::uint64_t call = 1; call <= clean.calls; ++call) {
        CAPTURE(call);
        disk d;
        d.fail_at = call;
        d.fail_code = code;
        progress p;
        {
          auto log = test::disk_log::open("dir", test::three_voters(), small_options(), nullptr, test::disk_files{&d});
          if (!log) {
            CHECK(log.error().code == code);
          } else {
            std::size_t shown = 0;
            for (std::size_t i = 0; i < s.ops.size(); ++i) {
              raft::result<void> r;
              const bool sync = s.ops[i].what == test::write_op::kind::sync;
              if (sync) {
                p.maybe = i + 1;
                if (const auto done = log->sync(); !done) r = done.error();
                if (r) p.synced = i + 1;
              } else {
                r = test::apply(*log, s.ops[i]);
              }
              if (r) {
                shown = i + 1;
                continue;
              }
              CHECK(r.error().code == code);
              if (code == errc::no_space && s.ops[i].what == test::write_op::kind::snapshot &&
                  log->last_error().file.empty()) {  // no room for a snapshot: the log goes on without
                CHECK(log->partial().meta.index == raft::index_t{});
                REQUIRE(log->sync());
                p.synced = p.maybe = i;
                break;
              }
              CHECK(log->last_error().file.rfind("dir", 0) == 0);
              if (sync) shown = i + 1;
              p.failed = true;
              break;
            }
            CHECK(test::describe(*log) == s.shows[shown]);
            if (p.failed) {
              const std::uint64_t calls = d.calls;
              const raft::payload payload = test::bytes_of("x");
              CHECK(log->store({}).error().code == code);
              CHECK(log->append(raft::term_t{99}, raft::entry_kind::command, std::span{&payload, 1}).error().code ==
                    code);
              CHECK(log->begin_snapshot({}).error().code == code);
              CHECK(log->write_snapshot(payload).error().code == code);
              CHECK(log->finish_snapshot().error().code == code);
              CHECK(log->sync().error().code == code);
              CHECK(log->sync().error().code == code);
              CHECK(d.calls == calls);
              CHECK(test::describe(*log) == s.shows[shown]);
            } else {
              CHECK(code == errc::no_space);  // only room for a segment to come, or a snapshot, may be lacking
            }
          }
        }
        // The process starts again and sees what the system still has; then the power fails.
        disk off = d;
        off.crash({});
        const std::string after_crash = reopened(off, small_options());
        CHECK((after_crash == s.shows[p.synced] || after_crash == s.shows[p.maybe]));
        d.revive();
        const std::string after_restart = reopened(d, small_options());
        INFO(after_restart);
        CHECK((after_restart == s.shows[p.synced] || after_restart == s.shows[p.maybe]));
        d.crash({});
        CHECK(reopened(d, small_options()) == after_restart);
      }
    }
  }
}

TEST_CASE("failures: a disk that fills up: an error, and all that was synced is there when there is room again") {
  disk d;
  d.room = 60000;
  raft::memory_log model{test::three_voters()};
  raft::memory_log durable = model;
  bool full = false;
  {
    auto log = test::disk_log::open("dir", test::three_voters(), small_options(), nullptr, test::disk_files{&d});
    REQUIRE(log.has_value());
    const std::string text(300, 'x');
    const raft::payload payload = test::bytes_of(text);
    for (int i = 0; i < 1000 && !full; ++i) {
      REQUIRE(log->append(raft::term_t{1}, raft::entry_kind::command, std::span{&payload, 1}).has_value());
      REQUIRE(model.append(raft::term_t{1}, raft::entry_kind::command, std::span{&payload, 1}).has_value());
      const auto done = log->sync();
      full = !done;
      if (full) {
        CHECK(done.error().code == errc::no_space);
      } else {
        durable = model;
      }
    }
  }
  CHECK(full);
  CHECK(durable.last_index() > raft::index_t{100});
  CHECK(d.used() <= d.room);
  d.crash({});
  auto log = test::disk_log::open("dir", test::three_voters(), small_options(), nullptr, test::disk_files{&d});
  REQUIRE(log.has_value());
  CHECK(test::describe(*log) == test::describe(durable));
}

TEST_CASE("failures: no room for the next segment is no failure while this one has room, and a compaction helps") {
  disk d;
  auto log = test::disk_log::open("dir", test::three_voters(), small_options(), nullptr, test::disk_files{&d});
  REQUIRE(log.has_value());
  const std::string text(300, 'x');
  const raft::payload payload = test::bytes_of(text);
  std::uint64_t index = 0;
  for (int round = 0; round < 30; ++round) {
    d.room = d.used() + 1600;  // a snapshot, but no segment
    for (int i = 0; i < 3; ++i, ++index) {
      REQUIRE(log->append(raft::term_t{1}, raft::entry_kind::command, std::span{&payload, 1}).has_value());
    }
    REQUIRE(log->sync().has_value());
    REQUIRE(log->begin_snapshot({raft::index_t{index}, raft::term_t{1}, test::three_voters(), 0, 0}));
    REQUIRE(log->finish_snapshot());
    REQUIRE(log->compact(raft::index_t{index}).has_value());
    REQUIRE(log->sync().has_value());
  }
}
