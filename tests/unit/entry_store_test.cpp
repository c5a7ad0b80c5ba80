// The entries in memory: how they lie, what moves, and what is allocated. What a Log promises about them is in
// memory_log_test.cpp.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <new>
#include <vector>

#include <doctest/doctest.h>
#include <raft/entry_store.hpp>

// ---------------------------------------------------------------- every allocation of this program is counted

namespace {

struct heap {
  std::size_t calls = 0;      ///< Allocations so far.
  std::size_t requested = 0;  ///< Bytes of them.
  std::size_t live = 0;       ///< Bytes that are not returned yet.
};
heap counted;

constexpr std::size_t counter_bytes = alignof(std::max_align_t);

void* counted_new(std::size_t size) {
  auto* const at = static_cast<std::byte*>(std::malloc(size + counter_bytes));
  if (at == nullptr) std::abort();
  *reinterpret_cast<std::size_t*>(at) = size;
  ++counted.calls;
  counted.requested += size;
  counted.live += size;
  return at + counter_bytes;
}

void counted_delete(void* p) noexcept {
  if (p == nullptr) return;
  auto* const at = static_cast<std::byte*>(p) - counter_bytes;
  counted.live -= *reinterpret_cast<std::size_t*>(at);
  std::free(at);
}

}  // namespace

void* operator new(std::size_t size) { return counted_new(size); }
void* operator new[](std::size_t size) { return counted_new(size); }
void operator delete(void* p) noexcept { counted_delete(p); }
void operator delete[](void* p) noexcept { counted_delete(p); }
void operator delete(void* p, std::size_t) noexcept { counted_delete(p); }
void operator delete[](void* p, std::size_t) noexcept { counted_delete(p); }

namespace {

using raft::entries;
using raft::entry;
using raft::entry_bytes;
using raft::entry_kind;
using raft::index_t;
using raft::payload;
using raft::term_t;
using raft::detail::entry_store;

constexpr std::uint32_t no_limit = UINT32_MAX;
constexpr std::size_t two_small = 64;  // a segment that holds two entries of 9 to 16 bytes

/// A batch in its wire form that owns its bytes, put together without the store.
struct batch {
  std::vector<std::byte> bytes{};
  std::uint32_t count = 0;
  term_t last_term{};

  constexpr void add(term_t term, entry_kind kind, std::size_t length, std::byte fill) {
    const std::vector<std::byte> data(length, fill);
    const std::size_t at = bytes.size();
    bytes.resize(at + entry_bytes(length), std::byte{0xee});
    raft::write_entry(bytes.data() + at, term, kind, data);
    ++count;
    last_term = term;
  }
  [[nodiscard]] constexpr entries view() const {
    return entries::trusted(bytes.data(), static_cast<std::uint32_t>(bytes.size()), count, last_term);
  }
};

constexpr batch commands(std::uint64_t term, std::initializer_list<std::size_t> lengths, std::uint8_t fill = 1) {
  batch b;
  for (const std::size_t length : lengths) b.add(term_t{term}, entry_kind::command, length, std::byte{fill++});
  return b;
}

constexpr std::size_t of_helper = 2;  ///< Allocations by append_payloads itself.

constexpr void append_payloads(entry_store& store, std::uint64_t term, std::size_t count, std::size_t length,
                               std::uint8_t fill = 1, entry_kind kind = entry_kind::command) {
  const std::vector<std::byte> data(length, std::byte{fill});
  const std::vector<payload> payloads(count, payload{data});
  store.append(term_t{term}, kind, payloads);
}

/// All entries as one wire form, put together from views.
constexpr batch wire_of(const entry_store& store) {
  batch b;
  for (index_t i = store.base(); i < store.last();) {
    const entries piece = store.view(i.next(), store.last(), no_limit);
    b.bytes.insert(b.bytes.end(), piece.data(), piece.data() + piece.bytes());
    b.count += piece.count();
    i = i + piece.count();
  }
  return b;
}

/// The sizes in entries of the pieces that lie together.
constexpr std::vector<std::uint32_t> pieces_of(const entry_store& store) {
  std::vector<std::uint32_t> sizes;
  for (index_t i = store.base(); i < store.last(); i = i + sizes.back()) {
    sizes.push_back(store.view(i.next(), store.last(), no_limit).count());
  }
  return sizes;
}

using sizes = std::vector<std::uint32_t>;

}  // namespace

// ---------------------------------------------------------------- append

TEST_CASE("append: one entry, and another of the other kind behind it, are where they are looked for") {
  for (const bool by_batch : {true, false}) {
    CAPTURE(by_batch);
    entry_store store{two_small};
    const auto append = [&](std::uint64_t term, std::size_t length, std::uint8_t fill) {
      by_batch ? store.append(commands(term, {length}, fill).view()) : append_payloads(store, term, 1, length, fill);
    };
    append(2, 9, 1);
    REQUIRE(store.last() == index_t{1});
    REQUIRE(store.base() == index_t{0});
    REQUIRE(store.term_at(index_t{1}) == term_t{2});
    const entries one = store.view(index_t{1}, index_t{1}, no_limit);
    REQUIRE(one.count() == 1);
    REQUIRE(one.bytes() == 32);
    append(3, 10, 2);
    REQUIRE(store.last() == index_t{2});
    const entries both = store.view(index_t{1}, index_t{2}, no_limit);
    REQUIRE(both.count() == 2);
    REQUIRE(both.bytes() == 64);
    REQUIRE(both.first_term() == term_t{2});
    REQUIRE(both.last_term() == term_t{3});
    append(4, 1, 3);
    REQUIRE(store.last() == index_t{3});
    REQUIRE(store.view(index_t{2}, index_t{3}, no_limit).count() == 1);
    const entries third = store.view(index_t{3}, index_t{3}, no_limit);
    REQUIRE(third.count() == 1);
    REQUIRE(third.bytes() == 24);
    REQUIRE(third.first_term() == term_t{4});
  }
}

TEST_CASE("truncate_from: of three entries one, then all, which leaves room for others") {
  entry_store store{two_small};
  for (std::uint64_t term = 1; term <= 3; ++term) append_payloads(store, term, 1, 16);
  store.truncate_from(index_t{3});
  REQUIRE(store.last() == index_t{2});
  REQUIRE(store.term_at(index_t{2}) == term_t{2});
  REQUIRE(store.view(index_t{1}, index_t{2}, no_limit).count() == 2);
  store.truncate_from(index_t{2});
  REQUIRE(store.last() == index_t{1});
  REQUIRE(store.view(index_t{1}, index_t{1}, no_limit).count() == 1);
  store.truncate_from(index_t{1});
  REQUIRE(store.last() == index_t{0});
  append_payloads(store, 9, 1, 16);
  REQUIRE(store.last() == index_t{1});
  REQUIRE(store.term_at(index_t{1}) == term_t{9});
}

TEST_CASE("compact: of three entries one, then all; the last one's term is remembered") {
  entry_store store{two_small};
  for (std::uint64_t term = 1; term <= 3; ++term) append_payloads(store, term, 1, 16);
  store.compact(index_t{1});
  REQUIRE(store.base() == index_t{1});
  REQUIRE(store.last() == index_t{3});
  REQUIRE(store.term_at(index_t{1}) == term_t{1});
  REQUIRE(store.view(index_t{2}, index_t{3}, no_limit).count() == 1);
  store.compact(index_t{3});
  REQUIRE(store.base() == index_t{3});
  REQUIRE(store.term_at(index_t{3}) == term_t{3});
  append_payloads(store, 4, 1, 16);
  REQUIRE(store.last() == index_t{4});
  REQUIRE(store.view(index_t{4}, index_t{4}, no_limit).first_term() == term_t{4});
}

TEST_CASE("append(batch): is split between entries where a segment ends, and reads back byte for byte") {
  const batch b = commands(3, {16, 16, 16, 16, 16});
  entry_store store{two_small};
  store.append(b.view());
  CHECK(store.last() == index_t{5});
  CHECK(pieces_of(store) == sizes{2, 2, 1});
  CHECK(wire_of(store).bytes == b.bytes);

  store.append(commands(4, {16, 16}).view());
  CHECK(pieces_of(store) == sizes{2, 2, 2, 1});
}

TEST_CASE("append(batch): an entry that would end behind the segment goes to the next one whole") {
  for (const std::size_t length : {17U, 24U, 25U, 32U, 48U}) {
    CAPTURE(length);
    const batch b = commands(1, {16, length, 1});
    entry_store store{two_small};
    store.append(b.view());
    const bool both_fit = 2 * raft::entry_header_bytes + 16 + (length + 7) / 8 * 8 <= two_small;
    CHECK(store.view(index_t{1}, index_t{3}, no_limit).count() == (both_fit ? 2 : 1));
    CHECK(wire_of(store).bytes == b.bytes);
  }
}

TEST_CASE("append(batch): a segment may be filled by entries without payload, whatever its size") {
  for (const std::size_t segment_bytes : {64U, 72U, 80U, 100U, 104U}) {
    CAPTURE(segment_bytes);
    batch b;
    for (int k = 0; k < 100; ++k) b.add(term_t{1}, entry_kind::command, 0, std::byte{0});
    entry_store store{segment_bytes};
    store.append(b.view());
    CHECK(wire_of(store).bytes == b.bytes);
    CHECK(pieces_of(store).front() == segment_bytes / 16);
  }
}

TEST_CASE("append: no entries change nothing") {
  entry_store store{two_small};
  store.append(entries{});
  CHECK(store.last() == index_t{0});
  store.append(commands(1, {1}).view());
  store.append(entries{});
  CHECK(store.last() == index_t{1});
  CHECK(store.term_at(index_t{1}) == term_t{1});
  store.append(term_t{2}, entry_kind::command, std::span<const payload>{});
  CHECK(store.last() == index_t{1});
  CHECK(store.term_at(index_t{1}) == term_t{1});
}

TEST_CASE("append(payloads): writes the very bytes of the wire form, for every small length") {
  std::vector<std::byte> data(80);
  for (std::size_t k = 0; k < data.size(); ++k) data[k] = static_cast<std::byte>(k + 1);
  std::vector<payload> payloads;
  batch expected;
  for (std::size_t length = 0; length <= data.size(); ++length) {
    payloads.push_back(payload{data}.first(length));
    const std::size_t at = expected.bytes.size();
    expected.bytes.resize(at + 16 + (length + 7) / 8 * 8, std::byte{0});
    raft::detail::store_le<std::uint64_t>(expected.bytes.data() + at, 9);
    raft::detail::store_le<std::uint64_t>(expected.bytes.data() + at + 8, length | std::uint64_t{1} << 32);
    std::copy_n(data.begin(), length, expected.bytes.begin() + static_cast<std::ptrdiff_t>(at) + 16);
  }
  for (const std::size_t segment_bytes : {64U, 128U, 4096U, 1U << 20}) {
    CAPTURE(segment_bytes);
    entry_store store{segment_bytes};
    store.append(term_t{9}, entry_kind::command, payloads);
    CHECK(wire_of(store).bytes == expected.bytes);
  }
}

TEST_CASE("append(payloads): the padding is zero in memory that was used before") {
  entry_store store{256};
  append_payloads(store, 1, 40, 24, 0xff);
  store.truncate_from(index_t{1});
  append_payloads(store, 1, 20, 3, 0xff);
  store.for_each(index_t{1}, store.last(), [](const entry& e) {
    for (std::size_t k = 3; k < 8; ++k) CHECK(e.data.data()[k] == std::byte{0});
  });
}

TEST_CASE("append: an entry larger than a segment has its own, which is returned as soon as the entry goes") {
  entry_store store{256};
  append_payloads(store, 1, 1, 16);
  const batch large = commands(1, {100'000, 16});
  const std::size_t before = counted.live;
  store.append(large.view());
  CHECK(pieces_of(store) == sizes{1, 1, 1});
  CHECK(counted.live > before + 100'000);
  store.truncate_from(index_t{2});
  CHECK(counted.live < before + 10'000);

  store.append(large.view());
  append_payloads(store, 1, 1, 100'000);
  CHECK(counted.live > before + 200'000);
  store.compact(index_t{2});
  CHECK(counted.live < before + 110'000);
  store.compact(index_t{4});
  CHECK(counted.live < before + 10'000);
  CHECK(store.last() == index_t{4});
}

// ---------------------------------------------------------------- reading

TEST_CASE("term_at: base, last and everything between") {
  entry_store store{two_small};
  store.reset(index_t{10}, term_t{2});
  CHECK(store.term_at(index_t{10}) == term_t{2});
  for (std::uint64_t term = 3; term < 20; ++term) append_payloads(store, term, 1, 8);
  for (std::uint64_t i = 11; i <= store.last().value; ++i) CHECK(store.term_at(index_t{i}) == term_t{i - 8});
  store.compact(index_t{15});
  for (std::uint64_t i = 15; i <= store.last().value; ++i) CHECK(store.term_at(index_t{i}) == term_t{i - 8});
}

TEST_CASE("view: ends at `to`, at max_bytes, or where the segment ends, but shows one entry at least") {
  entry_store store{1024};
  store.append(commands(7, {8, 16, 24, 32, 8}).view());  // 24, 32, 40, 48, 24 bytes
  const auto seen = [&store](std::uint64_t from, std::uint64_t to, std::uint32_t max) {
    return store.view(index_t{from}, index_t{to}, max);
  };
  struct expectation {
    std::uint64_t from, to;
    std::uint32_t max, count, bytes;
  };
  for (const expectation e : {expectation{1, 5, no_limit, 5, 168},
                              {1, 3, no_limit, 3, 96},
                              {2, 2, no_limit, 1, 32},
                              {1, 5, 168, 5, 168},
                              {1, 5, 167, 4, 144},
                              {1, 5, 144, 4, 144},
                              {1, 5, 143, 3, 96},
                              {1, 5, 56, 2, 56},
                              {1, 5, 55, 1, 24},
                              {1, 5, 24, 1, 24},
                              {1, 5, 23, 1, 24},
                              {1, 5, 0, 1, 24},
                              {5, 5, 0, 1, 24},
                              {4, 5, 1, 1, 48},
                              {4, 5, 72, 2, 72}}) {
    CAPTURE(e.from);
    CAPTURE(e.to);
    CAPTURE(e.max);
    const entries v = seen(e.from, e.to, e.max);
    CHECK(v.count() == e.count);
    CHECK(v.bytes() == e.bytes);
    CHECK(entries::parse(v.data(), v.bytes(), v.count()).has_value());
    CHECK(v.last_term() == term_t{7});
  }
}

TEST_CASE("view: carries the term of its own last entry") {
  entry_store store{1024};
  for (std::uint64_t term = 1; term <= 5; ++term) append_payloads(store, term, 1, 8);
  CHECK(store.view(index_t{1}, index_t{5}, no_limit).last_term() == term_t{5});
  CHECK(store.view(index_t{1}, index_t{3}, no_limit).last_term() == term_t{3});
  CHECK(store.view(index_t{2}, index_t{5}, 48).last_term() == term_t{3});
  CHECK(store.view(index_t{2}, index_t{5}, 48).first_term() == term_t{2});
}

TEST_CASE("for_each: shows each entry of the range once, in order, across segments") {
  entry_store store{two_small};
  for (std::uint8_t k = 1; k <= 9; ++k) append_payloads(store, k, 1, k, k);
  for (std::uint64_t from = 1; from <= 9; ++from) {
    for (std::uint64_t to = from - 1; to <= 9; ++to) {
      std::uint64_t expected = from;
      store.for_each(index_t{from}, index_t{to}, [&expected](const entry& e) {
        CHECK(e.index == index_t{expected});
        CHECK(e.term == term_t{expected});
        CHECK(e.kind == entry_kind::command);
        CHECK(e.data.size() == expected);
        CHECK(e.data.back() == static_cast<std::byte>(expected));
        ++expected;
      });
      CHECK(expected == to + 1);
    }
  }
}

TEST_CASE("configurations: found in batches and payloads, forgotten by truncation and compaction") {
  entry_store store{two_small};
  batch b;
  for (const auto kind : {entry_kind::no_op, entry_kind::command, entry_kind::configuration, entry_kind::command,
                          entry_kind::configuration, entry_kind::no_op}) {
    b.add(term_t{1}, kind, 10, std::byte{1});
  }
  const auto found = [&store] {
    std::vector<std::uint64_t> all;
    for (const index_t i : store.configurations()) all.push_back(i.value);
    return all;
  };
  using indexes = std::vector<std::uint64_t>;
  store.append(b.view());
  CHECK(found() == indexes{3, 5});
  append_payloads(store, 1, 2, 4, 1, entry_kind::configuration);
  append_payloads(store, 1, 2, 4, 1, entry_kind::no_op);
  CHECK(found() == indexes{3, 5, 7, 8});
  store.truncate_from(index_t{8});
  CHECK(found() == indexes{3, 5, 7});
  store.compact(index_t{3});
  CHECK(found() == indexes{5, 7});
  store.compact(index_t{4});
  CHECK(found() == indexes{5, 7});
  store.truncate_from(index_t{5});
  CHECK(found().empty());
  store.append(b.view());
  CHECK(found() == indexes{7, 9});
  store.reset(index_t{20}, term_t{3});
  CHECK(found().empty());
}

// ---------------------------------------------------------------- removing

TEST_CASE("truncate_from and compact: at every place, at every fill") {
  for (std::uint64_t count = 1; count <= 9; ++count) {
    for (std::uint64_t base = 0; base <= count; ++base) {
      for (std::uint64_t cut = base + 1; cut <= count + 2; ++cut) {
        entry_store store{two_small};
        for (std::uint64_t term = 1; term <= count; ++term) append_payloads(store, term, 1, 16);
        store.compact(index_t{base});
        store.truncate_from(index_t{cut});
        const std::uint64_t last = std::min(cut - 1, count);
        REQUIRE(store.base() == index_t{base});
        REQUIRE(store.last() == index_t{last});
        for (std::uint64_t i = base; i <= last; ++i) REQUIRE(store.term_at(index_t{i}) == term_t{i});
        append_payloads(store, 99, 3, 16);
        REQUIRE(store.last() == index_t{last + 3});
        REQUIRE(store.term_at(index_t{last}) == term_t{last});
        REQUIRE(store.term_at(index_t{last + 1}) == term_t{99});
        REQUIRE(wire_of(store).count == last + 3 - base);
      }
    }
  }
}

TEST_CASE("compact: below or at base changes nothing") {
  entry_store store{two_small};
  append_payloads(store, 1, 5, 16);
  store.compact(index_t{3});
  store.compact(index_t{3});
  store.compact(index_t{1});
  CHECK(store.base() == index_t{3});
  CHECK(store.last() == index_t{5});
}

TEST_CASE("reset: no entries, and another beginning") {
  entry_store store{two_small};
  append_payloads(store, 1, 5, 16);
  store.reset(index_t{40}, term_t{6});
  CHECK(store.base() == index_t{40});
  CHECK(store.last() == index_t{40});
  CHECK(store.term_at(index_t{40}) == term_t{6});
  append_payloads(store, 7, 1, 16);
  CHECK(store.last() == index_t{41});
}

// ---------------------------------------------------------------- value

TEST_CASE("copy: deep, equal, and independent") {
  entry_store a{two_small};
  for (std::uint64_t term = 1; term <= 9; ++term) append_payloads(a, term, 1, 4 * term);
  a.compact(index_t{2});
  entry_store b{a};
  CHECK(b == a);
  CHECK(b.term_at(index_t{9}) == term_t{9});
  CHECK(b.view(index_t{3}, index_t{3}, 0).data() != a.view(index_t{3}, index_t{3}, 0).data());
  b.truncate_from(index_t{9});
  CHECK(!(b == a));
  CHECK(a.last() == index_t{9});
  b = a;
  CHECK(b == a);
  const entry_store& same = b;
  b = same;
  CHECK(b == a);
}

TEST_CASE("copy: the configurations come along") {
  entry_store a{two_small};
  append_payloads(a, 1, 2, 4, 1, entry_kind::configuration);
  const entry_store b{a};
  CHECK(std::ranges::equal(b.configurations(), a.configurations()));
}

TEST_CASE("assignment: reuses the memory that is there") {
  entry_store small{256};
  append_payloads(small, 1, 2, 16);
  entry_store large{256};
  append_payloads(large, 2, 40, 16, 1, entry_kind::configuration);
  entry_store world{256};
  world = large;
  world = small;
  const std::size_t before = counted.calls;
  for (int k = 0; k < 10; ++k) {
    world = large;
    world = small;
  }
  CHECK(counted.calls == before);
  CHECK(world == small);
}

TEST_CASE("assignment: takes over the segment size") {
  entry_store a{two_small};
  append_payloads(a, 1, 5, 16);
  entry_store b{256};
  append_payloads(b, 2, 80, 16);
  const entry_store large{b};
  b = a;
  append_payloads(b, 3, 4, 16);
  CHECK(pieces_of(b) == sizes{2, 2, 2, 2, 1});
  b = large;
  append_payloads(b, 3, 8, 16);
  CHECK(pieces_of(b) == sizes(11, 8));
}

TEST_CASE("move: takes everything; what was moved from can be assigned to") {
  entry_store a{two_small};
  append_payloads(a, 1, 9, 16);
  a.compact(index_t{2});
  const entry_store twin{a};
  const std::size_t before = counted.calls;
  entry_store b{std::move(a)};
  CHECK(b == twin);
  entry_store c{two_small};
  c = std::move(b);
  CHECK(c == twin);
  CHECK(counted.calls == before);
  a = c;
  b = a;
  append_payloads(b, 2, 1, 16);
  CHECK(a == twin);
  CHECK(b.last() == index_t{10});
}

TEST_CASE("equality: looks at entries, not at segments") {
  const batch b = commands(1, {16, 3, 40, 0, 7});
  entry_store a{two_small};
  a.append(b.view());
  entry_store c{4096};
  c.append(b.view());
  CHECK(a == c);
  c.truncate_from(index_t{5});
  CHECK(!(a == c));
  c.append(commands(1, {7}, 9).view());  // the last one filled with 5 there, with 9 here
  CHECK(!(a == c));
  c.truncate_from(index_t{5});
  c.append(commands(1, {7}, 5).view());
  CHECK(a == c);
  a.compact(index_t{1});
  CHECK(!(a == c));
  c.compact(index_t{1});
  CHECK(a == c);

  for (std::uint64_t other = 1; other <= 9; ++other) {
    CAPTURE(other);
    entry_store x{two_small};
    entry_store y{256};
    for (std::uint64_t i = 1; i <= 9; ++i) {
      append_payloads(x, 1, 1, 16, 1);
      append_payloads(y, 1, 1, 16, i == other ? 2 : 1);
    }
    CHECK(!(x == y));
    CHECK(!(y == x));
  }

  entry_store empty_at_3{64};
  empty_at_3.reset(index_t{3}, term_t{1});
  entry_store other_term{64};
  other_term.reset(index_t{3}, term_t{2});
  CHECK(!(empty_at_3 == other_term));
}

// ---------------------------------------------------------------- memory

TEST_CASE("allocation: none in a load that repeats, of any shape") {
  struct load {
    std::size_t segment_bytes, batch, length, keep_most, keep_least;
  };
  for (const load l : {load{4096, 64, 16, 2000, 300},
                       {4096, 1, 16, 500, 499},
                       {4096, 7, 100, 300, 0},
                       {16384, 64, 1024, 900, 100},
                       {256, 3, 40, 50, 20}}) {
    CAPTURE(l.segment_bytes);
    CAPTURE(l.batch);
    entry_store leader{l.segment_bytes};
    entry_store follower{l.segment_bytes};
    const std::vector<std::byte> data(l.length, std::byte{5});
    const std::vector<payload> payloads(l.batch, payload{data});
    const auto trim = [&l](entry_store& store) {
      if (store.last() - store.base() > l.keep_most) store.compact(index_t{store.last().value - l.keep_least});
    };
    const auto turn = [&] {
      index_t next = leader.last().next();
      leader.append(term_t{1}, entry_kind::command, payloads);
      while (next <= leader.last()) {
        const entries piece = leader.view(next, leader.last(), no_limit);
        follower.append(piece);
        next = next + piece.count();
      }
      if (next.value % 5 == 0) {
        follower.truncate_from(follower.last());
        follower.append(leader.view(leader.last(), leader.last(), 0));
      }
      trim(leader);
      trim(follower);
    };
    for (int k = 0; k < 3000; ++k) turn();
    const std::size_t before = counted.calls;
    for (int k = 0; k < 3000; ++k) turn();
    CHECK(counted.calls == before);
    CHECK(leader == follower);
  }
}

TEST_CASE("allocation: none where what repeats is compacted in two steps") {
  entry_store store{256};
  const auto turn = [&store, data = std::vector<std::byte>(240)] {
    const payload one{data};
    for (int k = 0; k < 100; ++k) store.append(term_t{1}, entry_kind::command, {&one, 1});  // a segment each
    store.compact(index_t{store.base().value + 40});
    store.compact(index_t{store.last().value - 2});
  };
  for (int k = 0; k < 4; ++k) turn();
  const std::size_t before = counted.calls;
  for (int k = 0; k < 20; ++k) turn();
  CHECK(counted.calls == before);
}

TEST_CASE("growth: no append allocates, and so moves, more than a segment and the list of segments") {
  constexpr std::size_t segment_bytes = 64 << 10;
  entry_store store{segment_bytes};
  const std::vector<std::byte> data(1024, std::byte{5});
  const payload one{data};
  std::size_t worst = 0;
  std::size_t filled = 0;
  const std::byte* const nowhere = nullptr;
  const std::byte* first = nowhere;
  for (; filled < (std::size_t{32} << 20); filled += entry_bytes(data.size())) {
    const std::size_t before = counted.requested;
    store.append(term_t{1}, entry_kind::command, {&one, 1});
    worst = std::max(worst, counted.requested - before);
    if (first == nowhere) first = store.view(index_t{1}, index_t{1}, 0).data();
  }
  const std::size_t segments = filled / segment_bytes + 2;
  // A segment has 4 bytes for each place where an entry may begin; the list doubles, 64 bytes a segment at most.
  CHECK(worst <= segment_bytes + segment_bytes / 4 + 2 * 64 * segments);
  CHECK(store.view(index_t{1}, index_t{1}, 0).data() == first);
}

TEST_CASE("compact: moves no entry") {
  entry_store store{1024};
  append_payloads(store, 1, 1000, 16);
  const std::byte* const there = store.view(index_t{900}, index_t{900}, 0).data();
  for (std::uint64_t i = 1; i < 900; ++i) store.compact(index_t{i});
  CHECK(store.view(index_t{900}, index_t{900}, 0).data() == there);
}

TEST_CASE("memory: what a burst took is returned by two compactions, and what a steady load needs is kept") {
  constexpr std::size_t segment_bytes = 4096;
  const std::size_t at_start = counted.live;
  entry_store store{segment_bytes};
  append_payloads(store, 1, 10, 1000);
  append_payloads(store, 1, 1000, 1000);  // 4 entries a segment: 250 segments
  CHECK(counted.live - at_start > 240 * segment_bytes);
  store.compact(index_t{1000});
  CHECK(counted.live - at_start > 240 * segment_bytes);  // the load might come again
  append_payloads(store, 1, 10, 1000);
  store.compact(index_t{1010});
  append_payloads(store, 1, 10, 1000);
  store.compact(index_t{1020});
  CHECK(counted.live - at_start < 12 * (segment_bytes + segment_bytes / 4) + 300 * 64 * 2);
}

TEST_CASE("memory: what is kept is the most that was in use, an eighth of that, and one more segment") {
  constexpr std::size_t segment_bytes = 1024;
  constexpr std::size_t each = segment_bytes + 4 * (segment_bytes / 16);
  entry_store store{segment_bytes};
  const auto grow_to = [&store](std::size_t segments) {  // from one, of one entry each
    append_payloads(store, 1, segments - 1, 1000);
    store.compact(store.last().previous());
  };
  append_payloads(store, 1, 1, 1000);
  grow_to(100);
  const std::size_t at_most = counted.live;
  grow_to(16);  // the 100 were in use since the compaction before the last one
  CHECK(counted.live == at_most);
  grow_to(8);
  CHECK(counted.live == at_most - (100 - (16 + 2 + 1)) * each);
  const std::size_t before = counted.calls;
  grow_to(19);
  CHECK(counted.calls == before + of_helper);
}

TEST_CASE("memory: compactions that empty no segment return none") {
  entry_store store{4096};
  append_payloads(store, 1, 1000, 1000);  // 4 entries a segment
  store.compact(index_t{900});
  const std::size_t kept = counted.live;
  for (std::uint64_t i = 901; i < 904; ++i) store.compact(index_t{i});
  CHECK(counted.live == kept);
}

TEST_CASE("memory: what a burst took is returned by resets, too") {
  constexpr std::size_t segment_bytes = 4096;
  const std::size_t at_start = counted.live;
  entry_store store{segment_bytes};
  append_payloads(store, 1, 1000, 1000);
  for (std::uint64_t i = 0; i < 3; ++i) store.reset(index_t{2000 + i}, term_t{1});
  CHECK(counted.live - at_start < 2 * (segment_bytes + segment_bytes / 4) + 600 * 64);
}

TEST_CASE("memory: after all entries went, behind a compaction, every segment is used again") {
  entry_store store{256};
  append_payloads(store, 1, 5, 240);  // one entry a segment
  store.compact(index_t{1});
  store.truncate_from(index_t{2});
  append_payloads(store, 1, 5, 240);
  store.compact(index_t{6});
  const std::size_t before = counted.calls;
  append_payloads(store, 1, 5, 240);
  CHECK(counted.calls == before + of_helper);
}

TEST_CASE("memory: the segment freed last is used first") {
  entry_store store{256};
  append_payloads(store, 1, 100, 240);  // one entry a segment
  const std::byte* const at_40 = store.view(index_t{40}, index_t{40}, 0).data();
  store.compact(index_t{40});
  append_payloads(store, 1, 1, 240);
  CHECK(store.view(index_t{101}, index_t{101}, 0).data() == at_40);
}

TEST_CASE("memory: all of it is returned at the end") {
  const std::size_t before = counted.live;
  {
    entry_store store{256};
    append_payloads(store, 1, 100, 40);
    append_payloads(store, 1, 1, 4000);
    store.compact(index_t{50});
    entry_store copy{store};
    copy.truncate_from(index_t{60});
    store = std::move(copy);
  }
  CHECK(counted.live == before);
}

// ---------------------------------------------------------------- constant evaluation

namespace {

constexpr bool appends_and_splits() {
  const batch b = commands(1, {16, 16, 3});
  entry_store store{two_small};
  store.append(b.view());
  append_payloads(store, 2, 2, 9);
  return pieces_of(store) == sizes{2, 2, 1} && store.term_at(index_t{3}) == term_t{1} &&
         store.term_at(index_t{5}) == term_t{2};
}
static_assert(appends_and_splits());

constexpr bool truncates_and_compacts() {
  entry_store store{two_small};
  append_payloads(store, 1, 7, 16);
  store.compact(index_t{3});
  store.truncate_from(index_t{6});
  append_payloads(store, 2, 2, 16);
  std::uint64_t seen = 0;
  store.for_each(index_t{4}, index_t{7}, [&seen](const entry& e) { seen += e.term.value; });
  return store.base() == index_t{3} && store.last() == index_t{7} && seen == 6 &&
         store.view(index_t{4}, index_t{7}, 31).count() == 1;
}
static_assert(truncates_and_compacts());

constexpr bool copies_and_compares() {
  entry_store a{two_small};
  append_payloads(a, 1, 3, 16);
  append_payloads(a, 1, 1, 70);  // larger than a segment
  entry_store b{a};
  if (!(a == b)) return false;
  b.truncate_from(index_t{4});
  if (a == b) return false;
  b = std::move(a);
  return b.last() == index_t{4};
}
static_assert(copies_and_compares());

}  // namespace
