// Every byte: images of file_log and a frame of each kind of message, with each bit flipped, each prefix cut, each
// record dropped, doubled and swapped, each sector zeroed, stale or misdirected. Each is refused with a named reason or
// taken for what it was; none is taken for something else. Counts are printed.
//
// The long form tries more and larger images: `build/release/tests/every_bytes_test --no-skip`.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include <raft/codec.hpp>
#include <raft/file_log.hpp>
#include <support/faulty_disk.hpp>
#include <support/log_image.hpp>
#include <support/messages.hpp>

namespace {

using test::disk;
using test::image;
using test::sector;
using bytes = test::byte_list;

std::ptrdiff_t signed_of(std::size_t n) { return static_cast<std::ptrdiff_t>(n); }

/// How many damaged images there were, and what became of them.
struct tally {
  std::uint64_t tried = 0;
  std::uint64_t refused = 0;
  std::uint64_t wrong = 0;
};

std::string to_text(const std::string& what, const tally& t) {
  return what + ": " + std::to_string(t.tried) + " tried, " + std::to_string(t.refused) + " refused, " +
         std::to_string(t.tried - t.refused - t.wrong) + " taken for what it was, " + std::to_string(t.wrong) +
         " wrong";
}

// ---------------------------------------------------------------------------------------------------- file_log

/// What a sector of a file held at moments of the run: `versions[file][sector]`.
using past = std::map<int, std::map<std::size_t, std::set<bytes>>>;

bytes sector_of(const bytes& content, std::size_t number) {
  const std::size_t end = std::min(content.size(), (number + 1) * sector);
  return {content.begin() + signed_of(number * sector), content.begin() + signed_of(end)};
}

/// Damages the files of a log in every way, one at a time, and opens each.
class log_damage {
 public:
  /// From here on the files of this log, which must outlive it.
  void turn_to(const image& whole) { whole_ = &whole; }

  void every_bit() {
    for (const std::string& name : test::names_of(whole_->d, "")) {
      for (std::size_t at = 0; at < content(name).size(); ++at) {
        for (unsigned bit = 0; bit < 8; ++bit) {
          try_one("bit", name, at, [&](bytes& b) { b[at] ^= static_cast<std::byte>(1U << bit); });
        }
      }
    }
  }

  /// The file ends there; or what is behind was never written, and reads as zeros.
  void every_prefix() {
    for (const std::string& name : test::names_of(whole_->d, "")) {
      for (std::size_t size = 0; size < content(name).size(); ++size) {
        try_one("prefix", name, size, [&](bytes& b) { b.resize(size); });
        if (content(name)[size] == std::byte{}) continue;  // the same image as the next one
        try_one("prefix and zeros", name, size,
                [&](bytes& b) { std::fill(b.begin() + signed_of(size), b.end(), std::byte{}); });
      }
    }
  }

  void every_sector(const past& versions) {
    for (const std::string& name : test::names_of(whole_->d, "")) {
      for (std::size_t number = 0; number * sector < content(name).size(); ++number) {
        try_sector("sector of zeros", name, number, bytes(sector));
        misdirect_into(name, number);
        const auto file = versions.find(whole_->d.names.at(name));
        if (file == versions.end() || file->second.count(number) == 0) continue;
        for (const bytes& old : file->second.at(number)) try_sector("stale sector", name, number, old);
      }
    }
  }

  void every_batch() {
    for (const std::string& name : test::names_of(whole_->d, "log-")) {
      const auto batches = test::batches_of(content(name), whole_->d.identity);
      for (std::size_t i = 0; i < batches.size(); ++i) {
        const auto [begin, size] = batches[i];
        const std::size_t end = begin + size;
        try_one("batch dropped", name, begin, [&, b = begin](bytes& all) {
          const std::size_t before = all.size();
          all.erase(all.begin() + signed_of(b), all.begin() + signed_of(end));
          all.resize(before);
        });
        try_one("batch doubled", name, begin, [&, b = begin](bytes& all) {
          const std::size_t before = all.size();
          const bytes one(all.begin() + signed_of(b), all.begin() + signed_of(end));
          all.insert(all.begin() + signed_of(end), one.begin(), one.end());
          all.resize(before);
        });
        if (i + 1 == batches.size()) continue;
        const std::size_t next_end = end + batches[i + 1].second;
        try_one("batch swapped with the next", name, begin, [&, b = begin](bytes& all) {
          std::rotate(all.begin() + signed_of(b), all.begin() + signed_of(end), all.begin() + signed_of(next_end));
        });
      }
    }
  }

  /// Files that are gone, under another's name, or there twice.
  void every_file() {
    const auto names = test::names_of(whole_->d, "");
    for (const std::string& one : names) {
      try_files("file dropped", one, [&](disk& d) { d.names.erase(one); });
      for (const std::string& other : names) {
        if (one == other) continue;
        try_files("file in the place of another", one, [&](disk& d) { d.content(other) = d.content(one); });
        if (one < other) try_files("files swapped", one, [&](disk& d) { std::swap(d.names[one], d.names[other]); });
      }
      for (const char* prefix : {"log-", "spare-", "snapshot-", "partial-"}) {
        for (std::uint64_t number = 0; number < 16; ++number) {
          const std::string name = raft::detail::wal::name_of(prefix, number);
          if (whole_->d.names.count(name) != 0) continue;
          try_files("file doubled under a new name", one, [&](disk& d) {
            d.files[d.next_file] = d.files.at(d.names.at(one));
            d.names[name] = d.next_file++;
          });
        }
      }
    }
  }

  /// Prints the counts; nothing may be wrong, and of each kind of damage something was refused.
  void report() const {
    tally all;
    for (const auto& [what, t] : tallies_) {
      MESSAGE(to_text(what, t));
      CHECK(t.wrong == 0);
      CHECK(t.refused > 0);
      all.tried += t.tried;
      all.refused += t.refused;
      all.wrong += t.wrong;
    }
    MESSAGE(to_text("all damage to a log", all));
  }

 private:
  [[nodiscard]] const bytes& content(const std::string& name) const {
    return whole_->d.files.at(whole_->d.names.at(name)).seen;
  }

  template <class Change>
  void try_files(const std::string& what, const std::string& name, Change&& change) {
    disk d = whole_->d;
    change(d);
    d.settle_content();
    d.durable_names = d.names;
    const test::opening o = test::open_damaged(d, whole_->shown);
    tally& t = tallies_[what];
    ++t.tried;
    t.refused += o.refused ? 1U : 0U;
    if (o.wrong == nullptr) return;
    ++t.wrong;
    FAIL_CHECK(what, " of ", name, ": ", o.wrong);
  }

  template <class Change>
  void try_one(const std::string& what, const std::string& name, std::size_t at, Change&& change) {
    try_files(what, name + " at " + std::to_string(at), [&](disk& d) { change(d.content(name)); });
  }

  /// Damage that changes nothing is none.
  void try_sector(const std::string& what, const std::string& name, std::size_t number, const bytes& by) {
    bytes now = sector_of(content(name), number);
    const std::size_t n = std::min(now.size(), by.size());
    if (std::equal(by.begin(), by.begin() + signed_of(n), now.begin())) return;
    try_one(what, name, number * sector, [&](bytes& all) {
      std::copy(by.begin(), by.begin() + signed_of(n), all.begin() + signed_of(number * sector));
    });
  }

  /// What was meant for any other sector of any file was written here.
  void misdirect_into(const std::string& name, std::size_t number) {
    for (const std::string& other : test::names_of(whole_->d, "")) {
      for (std::size_t from = 0; from * sector < content(other).size(); ++from) {
        if (other != name || from != number) {
          try_sector("misdirected sector", name, number, sector_of(content(other), from));
        }
      }
    }
  }

  const image* whole_ = nullptr;
  std::map<std::string, tally> tallies_{};
};

/// The run of an image once more, for what its sectors held before.
past past_of(const image& whole) {
  past versions;
  disk d;
  auto log = test::disk_log::open("dir", test::three_voters(), test::small_options(), nullptr, test::disk_files{&d});
  REQUIRE(log.has_value());
  for (const test::write_op& op : whole.s.ops) {
    if (op.what == test::write_op::kind::sync) {
      REQUIRE(log->sync().has_value());
    } else {
      REQUIRE(test::apply(*log, op));
    }
    for (const auto& [number, file] : d.files) {
      for (std::size_t i = 0; i * sector < file.seen.size(); ++i) {
        versions[number][i].insert(sector_of(file.seen, i));
      }
    }
  }
  return versions;
}

/// Leaves an unfinished snapshot of a block and a half.
void begin_snapshot(disk& d, const std::string& shown) {
  auto log = test::disk_log::open("dir", test::three_voters(), test::small_options(), nullptr, test::disk_files{&d});
  REQUIRE(log.has_value());
  REQUIRE(log->begin_snapshot({raft::index_t{99999}, raft::term_t{2000}, test::three_voters(), 0, 0}));
  REQUIRE(log->write_snapshot(test::bytes_of(test::pattern(100000))));
  REQUIRE(test::describe(*log) == shown);
}

/// A hundred of the bytes of an unfinished snapshot, and all of its header.
std::vector<std::size_t> places_in(const bytes& partial) {
  std::vector<std::size_t> all;
  for (std::size_t at = 0; at < partial.size(); at += at < 1100 ? 1 : 977) all.push_back(at);
  return all;
}

}  // namespace

TEST_CASE("every byte of a log of several segments: damaged in every way, it is refused or shows the same state") {
  const image whole{36, 90, 300};
  REQUIRE(test::names_of(whole.d, "log-").size() == 6);
  REQUIRE(!test::names_of(whole.d, "snapshot-").empty());
  log_damage damage;
  damage.turn_to(whole);
  damage.every_bit();
  damage.every_prefix();
  damage.every_file();
  damage.report();
}

TEST_CASE("every sector and batch of some logs, zeroed, stale, misdirected, dropped, doubled, swapped") {
  log_damage damage;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    const image whole{seed, seed % 2 == 0 ? 60 : 25, 200};
    damage.turn_to(whole);
    damage.every_sector(past_of(whole));
    damage.every_batch();
  }
  damage.report();
}

TEST_CASE("every byte of more logs, large and small" * doctest::skip()) {
  log_damage damage;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    const image whole{seed, seed % 2 == 0 ? 60 : 25, seed % 3 == 0 ? 2500U : 200U};
    damage.turn_to(whole);
    damage.every_bit();
    damage.every_prefix();
    damage.every_file();
    damage.every_sector(past_of(whole));
    damage.every_batch();
  }
  damage.report();
}

TEST_CASE("every byte of an unfinished snapshot: damaged, it is dropped, or goes on from what is whole of it") {
  image whole{4, 40, 900};
  begin_snapshot(whole.d, whole.shown);
  whole.d.crash({test::keep::how::everything});
  const std::string name = test::names_of(whole.d, "partial-").back();
  const std::string all = test::pattern(100000);
  std::uint64_t tried = 0;
  std::uint64_t resumed = 0;
  const auto check = [&](disk d) {
    d.settle_content();
    ++tried;
    raft::file_log_failure why;
    auto log = test::disk_log::open("dir", test::three_voters(), test::small_options(), &why, test::disk_files{&d});
    INFO(why.text());
    REQUIRE(log.has_value());
    const raft::partial_snapshot& there = log->partial();
    if (there.meta.index == raft::index_t{}) return;
    ++resumed;
    REQUIRE(there.meta.index == raft::index_t{99999});
    REQUIRE((there.received == 0 || there.received == 65536));
    REQUIRE(log->write_snapshot(test::bytes_of(all).subspan(static_cast<std::size_t>(there.received))));
    REQUIRE(log->finish_snapshot());
    if (test::image_of(*log, 100000) != all) FAIL("what goes on from a damaged snapshot is another one");
  };
  for (const std::size_t at : places_in(whole.d.content(name))) {
    for (unsigned bit = 0; bit < 8; bit += 3) {
      disk d = whole.d;
      d.content(name)[at] ^= static_cast<std::byte>(1U << bit);
      check(std::move(d));
    }
    disk d = whole.d;
    d.content(name).resize(at);
    check(std::move(d));
  }
  MESSAGE("unfinished snapshots: ", tried, " tried, ", tried - resumed, " dropped, ", resumed, " went on, 0 wrong");
  CHECK(resumed > 100);
  CHECK(resumed < tried);
}

// ---------------------------------------------------------------------------------------------------- messages

namespace {

using raft::checksums;
using raft::message;
using raft::payload;

/// Frames of all kinds, and what damage to one of them comes to.
template <checksums Covered>
class frame_damage {
 public:
  frame_damage() {
    for (const message& m : test::one_of_each(wire_, 5, chunk_)) {
      bytes frame;
      REQUIRE(raft::append_frame<Covered>(m, test::home, frame).has_value());
      frames_.push_back({m, std::move(frame), checked_bytes(m)});
    }
  }

  void every_bit() {
    for (const one& f : frames_) {
      for (std::size_t at = 0; at < f.checked; ++at) {
        for (unsigned bit = 0; bit < 8; ++bit) {
          bytes b = f.frame;
          b[at] ^= static_cast<std::byte>(1U << bit);
          check("bit", f, b, b);
        }
      }
    }
  }

  /// It ends there; or the connection broke there and goes on with the next frame, of whatever kind.
  void every_prefix() {
    for (const one& f : frames_) {
      for (std::size_t size = 0; size < f.frame.size(); ++size) {
        const bytes cut(f.frame.begin(), f.frame.begin() + signed_of(size));
        check("prefix", f, cut, cut);
        if (size == 0 || Covered == checksums::header) continue;
        for (const one& next : frames_) {
          bytes b = cut;
          b.insert(b.end(), next.frame.begin(), next.frame.end());
          check("prefix, then another frame", f, b, cut);
        }
      }
    }
  }

  /// A word of eight bytes dropped, doubled, swapped with the one behind it.
  void every_word() {
    for (const one& f : frames_) {
      const bytes& whole = f.frame;
      for (std::size_t at = 0; at + 8 <= f.checked; at += 8) {
        const auto word = whole.begin() + signed_of(at);
        bytes b(whole.begin(), word);
        b.insert(b.end(), word + 8, whole.end());
        check("word dropped", f, b, b);
        b = whole;
        b.insert(b.begin() + signed_of(at), word, word + 8);
        check("word doubled", f, b, b);
        if (at + 16 > f.checked) continue;
        b = whole;
        std::rotate(b.begin() + signed_of(at), b.begin() + signed_of(at + 8), b.begin() + signed_of(at + 16));
        check("words swapped", f, b, b);
      }
    }
  }

  /// An entry of an append dropped, doubled, swapped with the one behind it, and the frame filled up or cut to its
  /// size.
  void every_entry() {
    if (Covered == checksums::header) return;  // the payload is the transport's to check
    const one& f = frames_[4];
    std::vector<std::size_t> ends{f.head};
    std::get<raft::append_entries>(f.what.body).entries.for_each(raft::index_t{1}, [&](const raft::entry& e) {
      ends.push_back(ends.back() + raft::entry_bytes(e.data.size()));
    });
    REQUIRE(ends.back() == f.frame.size());
    for (std::size_t i = 0; i + 1 < ends.size(); ++i) {
      const auto entry = f.frame.begin() + signed_of(ends[i]);
      const auto entry_end = f.frame.begin() + signed_of(ends[i + 1]);
      bytes b(f.frame.begin(), entry);
      b.insert(b.end(), entry_end, f.frame.end());
      b.resize(f.frame.size());
      check("entry dropped", f, b, b);
      b = f.frame;
      b.insert(b.begin() + signed_of(ends[i]), entry, entry_end);
      b.resize(f.frame.size());
      check("entry doubled", f, b, b);
      if (i + 2 == ends.size()) continue;
      b = f.frame;
      std::rotate(b.begin() + signed_of(ends[i]), b.begin() + signed_of(ends[i + 1]),
                  b.begin() + signed_of(ends[i + 2]));
      check("entries swapped", f, b, b);
    }
  }

  void report(const std::string& of) const {
    for (const auto& [what, t] : tallies_) {
      MESSAGE(to_text(of + what, t));
      CHECK(t.wrong == 0);
      CHECK(t.refused > 0);
    }
  }

 private:
  struct one {
    message what;
    bytes frame;
    std::size_t checked;    ///< So many bytes at its beginning are the codec's to check.
    std::size_t head = 88;  ///< Of an append: where the entries begin.
  };

  static std::size_t checked_bytes(const message& m) {
    if (Covered == checksums::all) return raft::frame_bytes(m);
    constexpr std::array<std::size_t, 13> heads{64, 64, 72, 56, 88, 96, 104, 88, 64, 56, 72, 72, 80};
    return heads[m.body.index()];
  }

  /// `b` is to be refused, unless it is the frame of `f` as it was. `damaged`: the part of it that differs from a
  /// frame.
  void check(const std::string& what, const one& f, const bytes& b, const bytes& damaged) {
    if (b.size() >= f.frame.size() && f.checked < f.frame.size() && same_beginning(b, f.frame, f.checked)) return;
    tally& t = tallies_[what];
    ++t.tried;
    auto back = raft::decode<Covered>(b, test::home, test::receiver);
    if (!back) {
      ++t.refused;
      if (back.error().what != nullptr && *back.error().what != '\0' && back.error().code != raft::errc{}) return;
    } else if (back->bytes <= b.size() && back->message == f.what && same_beginning(damaged, f.frame, f.frame.size())) {
      return;
    }
    ++t.wrong;
    FAIL_CHECK(what, " in a frame of kind ", f.what.body.index());
  }

  /// In their first `n` bytes, as far as both have them.
  static bool same_beginning(const bytes& a, const bytes& b, std::size_t n) {
    const auto end = signed_of(std::min({n, a.size(), b.size()}));
    return std::equal(a.begin(), a.begin() + end, b.begin());
  }

  bytes wire_ = test::batch(5, 3, 9);
  bytes chunk_ = test::batch(2, 4);
  std::vector<one> frames_{};
  std::map<std::string, tally> tallies_{};
};

template <checksums Covered>
void damage_every_frame(const std::string& of) {
  frame_damage<Covered> damage;
  damage.every_bit();
  damage.every_prefix();
  damage.every_word();
  damage.every_entry();
  damage.report(of);
}

}  // namespace

TEST_CASE("every byte of a message of each kind: damaged in every way, it is refused") {
  damage_every_frame<checksums::all>("frames, ");
}

TEST_CASE("every byte of a message's head, where the payload is the transport's to check") {
  damage_every_frame<checksums::header>("heads of frames, ");
}

TEST_CASE("frames of a stream dropped, doubled and swapped are the messages that are there, in their order") {
  const bytes wire = test::batch(5, 3, 9);
  const bytes chunk = test::batch(2, 4);
  const auto all = test::one_of_each(wire, 5, chunk);
  const auto check = [&](const std::vector<std::size_t>& order) {
    bytes stream;
    for (const std::size_t i : order) REQUIRE(raft::append_frame(all[i], test::home, stream).has_value());
    payload rest{stream};
    for (const std::size_t i : order) {
      auto back = raft::decode(rest, test::home, test::receiver);
      REQUIRE(back.has_value());
      CHECK(back->message == all[i]);
      rest = rest.subspan(back->bytes);
    }
    CHECK(rest.empty());
  };
  std::vector<std::size_t> whole(all.size());
  for (std::size_t i = 0; i < whole.size(); ++i) whole[i] = i;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::vector<std::size_t> order = whole;
    order.erase(order.begin() + signed_of(i));
    check(order);
    order = whole;
    order.insert(order.begin() + signed_of(i), i);
    check(order);
    if (i + 1 == whole.size()) continue;
    order = whole;
    std::swap(order[i], order[i + 1]);
    check(order);
  }
}
