// The Log's contract (policies.hpp), point by point, on memory_log; and memory_log against a twin that keeps a vector
// of entries, over random operations.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>
#include <raft/memory_log.hpp>

namespace memory_log_test {

namespace {

using raft::configuration;
using raft::entries;
using raft::entry;
using raft::entry_kind;
using raft::errc;
using raft::index_t;
using raft::log_contents;
using raft::mark_t;
using raft::memory_log;
using raft::node_id;
using raft::payload;
using raft::snapshot_meta;
using raft::term_t;

constexpr std::uint32_t no_limit = UINT32_MAX;

static_assert(raft::log_policy<memory_log>);
static_assert(raft::explain_log<memory_log>());
static_assert(memory_log::durable_on_return);

constexpr configuration three() { return raft::voters_of({node_id{1}, node_id{2}, node_id{3}}); }

constexpr std::vector<std::byte> bytes_of(std::string_view text) {
  std::vector<std::byte> bytes;
  for (const char c : text) bytes.push_back(static_cast<std::byte>(c));
  return bytes;
}

constexpr std::vector<std::byte> byte_form(const configuration& c) {
  std::vector<std::byte> bytes;
  raft::encode(c, bytes);
  return bytes;
}

/// Appends one entry of each term, with a payload of 8 bytes.
constexpr void append_terms(memory_log& log, std::initializer_list<std::uint64_t> terms) {
  const std::vector<std::byte> data(8, std::byte{7});
  const payload one{data};
  for (const std::uint64_t term : terms) {
    const auto mark = log.append(term_t{term}, entry_kind::command, {&one, 1});
    RAFT_ASSERT(mark.has_value(), "a log in memory accepts what it is told");
  }
}

constexpr snapshot_meta place(std::uint64_t index, std::uint64_t term, std::uint64_t id = 0) {
  snapshot_meta meta;
  meta.index = index_t{index};
  meta.term = term_t{term};
  meta.configuration = three();
  meta.id = id;
  return meta;
}

/// begin, write and finish; the mark.
constexpr mark_t install(memory_log& log, const snapshot_meta& meta, std::string_view image) {
  const auto bytes = bytes_of(image);
  const bool begun = log.begin_snapshot(meta).has_value() && log.write_snapshot(bytes).has_value();
  const auto mark = log.finish_snapshot();
  return begun && mark ? *mark : mark_t{};
}

constexpr std::vector<std::uint64_t> terms_of(const memory_log& log) {
  std::vector<std::uint64_t> terms;
  for (index_t i = log.first_index(); i <= log.last_index(); i = i.next()) terms.push_back(log.term_at(i).value);
  return terms;
}

using terms = std::vector<std::uint64_t>;

}  // namespace

// ---------------------------------------------------------------- the contract

TEST_CASE("contract 1: an empty log ends at zero and begins at one, with term zero before it") {
  const memory_log log{three()};
  CHECK(log.first_index() == index_t{1});
  CHECK(log.last_index() == index_t{0});
  CHECK(log.term_at(index_t{0}) == term_t{0});
  CHECK(log.hard_state() == raft::hard_state{});
  CHECK(log.configurations().empty());
}

TEST_CASE("contract 1: indexes are consecutive, and the term of the last compacted entry is remembered") {
  memory_log log{three(), 64};
  append_terms(log, {1, 1, 2, 4});
  CHECK(log.first_index() == index_t{1});
  CHECK(log.last_index() == index_t{4});
  CHECK(install(log, place(3, 2), "abc") != mark_t{});
  CHECK(log.compact(index_t{3}).has_value());
  CHECK(log.first_index() == index_t{4});
  CHECK(log.term_at(index_t{3}) == term_t{2});
  CHECK(terms_of(log) == terms{4});
  CHECK(log.truncate_from(index_t{4}).has_value());
  CHECK(log.last_index().next() == log.first_index());
  CHECK(log.term_at(index_t{3}) == term_t{2});
}

TEST_CASE("contract 2: every write returns a mark, one more than that of the write before it") {
  memory_log log{three()};
  std::uint64_t expected = 0;
  const std::vector<std::byte> data(8, std::byte{7});
  const payload one{data};
  CHECK(log.store({term_t{1}, node_id{2}, index_t{0}})->value == ++expected);
  CHECK(log.append(term_t{1}, entry_kind::command, {&one, 1})->value == ++expected);
  CHECK(log.append(term_t{1}, entry_kind::command, {})->value == ++expected);
  const memory_log other{log};
  CHECK(log.append(*other.view(index_t{1}, index_t{1}, no_limit))->value == ++expected);
  CHECK(log.append(entries{})->value == ++expected);
  CHECK(log.truncate_from(index_t{2})->value == ++expected);
  CHECK(log.truncate_from(index_t{2})->value == ++expected);
  CHECK(install(log, place(1, 1), "a").value == ++expected);
  CHECK(log.compact(index_t{1})->value == ++expected);
  CHECK(log.compact(index_t{1})->value == ++expected);
}

TEST_CASE("contract 2: what was written is readable at once") {
  memory_log log{three()};
  const raft::hard_state h{term_t{4}, node_id{2}, index_t{0}};
  CHECK(log.store(h).has_value());
  CHECK(log.hard_state() == h);
}

TEST_CASE("contract 3: a refused write changes nothing") {
  memory_log log{three()};
  append_terms(log, {1, 1});
  CHECK(install(log, place(2, 1), "two") != mark_t{});
  const memory_log before{log};
  CHECK(log.write_snapshot(bytes_of("x")).error().code == errc::not_ready);
  CHECK(log.finish_snapshot().error().code == errc::not_ready);
  CHECK(log == before);
}

TEST_CASE("contract 4: a view shows consecutive entries from `from` on, in one piece") {
  memory_log log{three(), 64};
  append_terms(log, {1, 2, 3, 4, 5});  // 24 bytes each: two a segment
  const auto two = log.view(index_t{1}, index_t{5}, no_limit);
  REQUIRE(two.has_value());
  CHECK(two->count() == 2);
  CHECK(two->last_term() == term_t{2});
  CHECK(log.view(index_t{2}, index_t{5}, no_limit)->count() == 1);
  CHECK(log.view(index_t{3}, index_t{4}, 47)->count() == 1);
  CHECK(log.view(index_t{3}, index_t{4}, 48)->count() == 2);
  CHECK(log.view(index_t{3}, index_t{4}, 0)->count() == 1);
}

TEST_CASE("contract 5: the configurations at hand are listed in order") {
  memory_log log{three(), 64};
  const auto bytes = byte_form(three());
  const payload one{bytes};
  append_terms(log, {1});
  CHECK(log.append(term_t{1}, entry_kind::configuration, {&one, 1}).has_value());
  append_terms(log, {1});
  CHECK(log.append(term_t{1}, entry_kind::configuration, {&one, 1}).has_value());
  CHECK(std::ranges::equal(log.configurations(), std::vector{index_t{2}, index_t{4}}));
  CHECK(log.truncate_from(index_t{4}).has_value());
  CHECK(std::ranges::equal(log.configurations(), std::vector{index_t{2}}));
  CHECK(install(log, place(2, 1), "") != mark_t{});
  CHECK(log.compact(index_t{2}).has_value());
  CHECK(log.configurations().empty());
}

TEST_CASE("contract 6: both forms of append copy") {
  memory_log log{three()};
  std::vector<std::byte> data(8, std::byte{1});
  const payload one{data};
  CHECK(log.append(term_t{1}, entry_kind::command, {&one, 1}).has_value());
  memory_log source{three()};
  CHECK(source.append(term_t{1}, entry_kind::command, {&one, 1}).has_value());
  const entries view = *source.view(index_t{1}, index_t{1}, no_limit);
  std::vector<std::byte> wire(view.data(), view.data() + view.bytes());
  CHECK(log.append(*entries::parse(wire.data(), wire.size(), 1)).has_value());
  std::fill(data.begin(), data.end(), std::byte{9});
  std::fill(wire.begin(), wire.end(), std::byte{9});
  std::size_t seen = 0;
  log.for_each(index_t{1}, index_t{2}, [&seen](const entry& e) {
    ++seen;
    CHECK(e.term == term_t{1});
    CHECK(std::ranges::all_of(e.data, [](std::byte b) { return b == std::byte{1}; }));
  });
  CHECK(seen == 2);
}

TEST_CASE("contract 7: before there is a snapshot, its place is index zero with the initial configuration") {
  memory_log log{three()};
  CHECK(log.snapshot().index == index_t{0});
  CHECK(log.snapshot().term == term_t{0});
  CHECK(log.snapshot().configuration == three());
  CHECK(log.snapshot().size == 0);
  CHECK(log.read_snapshot(0, 10)->empty());
}

TEST_CASE("contract 7: read_snapshot shows pieces of it, one byte at least before its end") {
  memory_log log{three()};
  CHECK(install(log, place(5, 2), "0123456789") != mark_t{});
  const auto text = [&log](std::uint64_t offset, std::uint32_t max) {
    const auto piece = log.read_snapshot(offset, max);
    std::string_view seen{piece->empty() ? nullptr : reinterpret_cast<const char*>(piece->data()), piece->size()};
    return seen;
  };
  CHECK(text(0, 100) == "0123456789");
  CHECK(text(0, 4) == "0123");
  CHECK(text(7, 4) == "789");
  CHECK(text(4, 0) == "4");
  CHECK(text(10, 4).empty());
  CHECK(log.read_snapshot(11, 4).error().code == errc::impossible);
  CHECK(log.read_snapshot(UINT64_MAX, 4).error().code == errc::impossible);
}

TEST_CASE("contract 8: a snapshot is written beside the current one, piece by piece") {
  memory_log log{three()};
  append_terms(log, {1, 1, 1});
  CHECK(install(log, place(1, 1), "old") != mark_t{});
  const snapshot_meta meta = place(2, 1, 77);
  CHECK(log.begin_snapshot(meta).has_value());
  CHECK(log.partial().meta == meta);
  CHECK(log.partial().received == 0);
  CHECK(log.write_snapshot(bytes_of("ne")).has_value());
  CHECK(log.write_snapshot(bytes_of("")).has_value());
  CHECK(log.write_snapshot(bytes_of("wer")).has_value());
  CHECK(log.partial().received == 5);
  CHECK(log.snapshot().index == index_t{1});
  CHECK(log.read_snapshot(0, 9)->size() == 3);

  CHECK(log.finish_snapshot().has_value());
  CHECK(log.snapshot().index == index_t{2});
  CHECK(log.snapshot().size == 5);
  CHECK(log.snapshot().id == 77);
  CHECK(log.snapshot().configuration == three());
  CHECK(log.read_snapshot(0, 9)->size() == 5);
  CHECK(log.partial().meta.index == index_t{0});
  CHECK(log.partial().received == 0);
}

TEST_CASE("finish_snapshot: two images take turns in their memory, so that a steady state allocates nothing") {
  memory_log log{three()};
  append_terms(log, {1, 1, 1, 1});
  const auto image_of = [&log](std::uint64_t index) {
    CHECK(install(log, place(index, 1), "as large as the others") != mark_t{});
    return log.read_snapshot(0, 1)->data();
  };
  const std::byte* const first = image_of(1);
  const std::byte* const second = image_of(2);
  CHECK(image_of(3) == first);
  CHECK(image_of(4) == second);
}

TEST_CASE("contract 8: begin_snapshot discards an unfinished one") {
  memory_log log{three()};
  CHECK(log.begin_snapshot(place(2, 1)).has_value());
  CHECK(log.write_snapshot(bytes_of("left over")).has_value());
  CHECK(install(log, place(3, 1), "abc") != mark_t{});
  memory_log direct{three()};
  CHECK(install(direct, place(3, 1), "abc") != mark_t{});
  CHECK(log == direct);
}

TEST_CASE("contract 8: if the log holds the snapshot's last entry, all entries stay") {
  memory_log log{three(), 64};
  append_terms(log, {1, 2, 2, 3});
  CHECK(install(log, place(3, 2), "s") != mark_t{});
  CHECK(log.first_index() == index_t{1});
  CHECK(terms_of(log) == terms{1, 2, 2, 3});
}

TEST_CASE("contract 8: if it does not, all entries go and the log begins behind the snapshot") {
  struct at {
    std::uint64_t index, term;
  };
  for (const at snapshot : {at{3, 3}, at{4, 1}, at{5, 3}, at{9, 9}}) {
    memory_log log{three(), 64};
    append_terms(log, {1, 2, 2, 3});
    CHECK(install(log, place(snapshot.index, snapshot.term), "s") != mark_t{});
    CHECK(log.first_index() == index_t{snapshot.index + 1});
    CHECK(log.last_index() == index_t{snapshot.index});
    CHECK(log.term_at(index_t{snapshot.index}) == term_t{snapshot.term});
    append_terms(log, {10});
    CHECK(log.last_index() == index_t{snapshot.index + 1});
  }
}

TEST_CASE("contract 8: a snapshot at or below the current one is refused") {
  memory_log log{three()};
  append_terms(log, {1, 1, 1});
  CHECK(install(log, place(2, 1), "two") != mark_t{});
  for (const std::uint64_t index : {1U, 2U}) {
    CHECK(log.begin_snapshot(place(index, 1)).has_value());
    const memory_log before{log};
    CHECK(log.finish_snapshot().error().code == errc::compacted);
    CHECK(log == before);
  }
}

TEST_CASE("contract 8: a snapshot's id follows from its bytes alone if none was given") {
  const auto id = [](std::initializer_list<std::string_view> pieces) {
    memory_log log{three()};
    CHECK(log.begin_snapshot(place(1, 1)).has_value());
    for (const auto piece : pieces) CHECK(log.write_snapshot(bytes_of(piece)).has_value());
    CHECK(log.finish_snapshot().has_value());
    return log.snapshot().id;
  };
  // CRC-32C of "123456789" is the check value of RFC 3720.
  CHECK(id({"123456789"}) == (std::uint64_t{9} << 32 | 0xE3069283));
  CHECK(id({"1234", "", "56789"}) == id({"123456789"}));
  CHECK(id({"123456780"}) != id({"123456789"}));
  CHECK(id({""}) != 0);
}

TEST_CASE("begin_snapshot: does not believe the size that it is told") {
  memory_log log{three()};
  snapshot_meta meta = place(1, 1);
  meta.size = UINT64_MAX;
  CHECK(log.begin_snapshot(meta).has_value());
  CHECK(log.partial().meta.size == UINT64_MAX);
  CHECK(log.write_snapshot(bytes_of("abc")).has_value());
  CHECK(log.finish_snapshot().has_value());
  CHECK(log.snapshot().size == 3);
}

// ---------------------------------------------------------------- for a Log that keeps its image here

TEST_CASE("reset: the log begins behind a place, with its term") {
  memory_log log{three()};
  append_terms(log, {1, 2});
  log.reset(index_t{10}, term_t{4});
  CHECK(log.first_index() == index_t{11});
  CHECK(log.last_index() == index_t{10});
  CHECK(log.term_at(index_t{10}) == term_t{4});
}

TEST_CASE("place_snapshot: treats the entries as finish_snapshot does, at the log's beginning as well") {
  memory_log log{three()};
  log.reset(index_t{3}, term_t{2});
  append_terms(log, {2, 3});
  log.place_snapshot(place(3, 2));
  CHECK(log.last_index() == index_t{5});
  CHECK(log.snapshot() == place(3, 2));
  log.place_snapshot(place(4, 2));
  CHECK(log.last_index() == index_t{5});
  CHECK(log.first_index() == index_t{4});
  log.place_snapshot(place(5, 4));
  CHECK(log.last_index() == index_t{5});
  CHECK(log.first_index() == index_t{6});
  CHECK(log.term_at(index_t{5}) == term_t{4});
  log.reset(index_t{7}, term_t{4});
  append_terms(log, {4});
  log.place_snapshot(place(6, 4));  // before the log's beginning: what it holds does not follow it
  CHECK(log.last_index() == index_t{6});
  CHECK(log.first_index() == index_t{7});
}

TEST_CASE("place_snapshot: of the one before no bytes are shown any more") {
  memory_log log{three()};
  append_terms(log, {1, 1});
  REQUIRE(log.begin_snapshot(place(1, 1)));
  REQUIRE(log.write_snapshot(bytes_of("image")));
  REQUIRE(log.finish_snapshot());
  REQUIRE(log.read_snapshot(0, no_limit)->size() == 5);
  log.place_snapshot(place(2, 1));
  CHECK(log.first_index() == index_t{1});  // it holds the last entry that the snapshot covers
  CHECK(log.read_snapshot(0, no_limit)->empty());
}

// ---------------------------------------------------------------- value

TEST_CASE("equality: hard state, entries, beginning, snapshot and the unfinished one; not marks or segments") {
  const auto sample = [](std::size_t segment_bytes) {
    memory_log log{three(), segment_bytes};
    append_terms(log, {1, 1, 2});
    CHECK(install(log, place(2, 1), "two") != mark_t{});
    return log;
  };
  const memory_log base = sample(64);
  memory_log log = sample(4096);
  CHECK(log == base);
  CHECK(log.truncate_from(index_t{4}).has_value());
  CHECK(log == base);

  CHECK(log.store({term_t{2}, node_id{1}, index_t{1}}).has_value());
  CHECK(!(log == base));
  log = base;
  CHECK(log == base);
  append_terms(log, {2});
  CHECK(!(log == base));
  log = base;
  CHECK(log.compact(index_t{1}).has_value());
  CHECK(!(log == base));
  log = base;
  CHECK(log.begin_snapshot(place(3, 2)).has_value());
  CHECK(!(log == base));
  memory_log further = log;
  CHECK(further.write_snapshot(bytes_of("x")).has_value());
  CHECK(!(further == log));
  memory_log of_another_term = base;
  CHECK(of_another_term.begin_snapshot(place(3, 1)).has_value());
  CHECK(!(of_another_term == log));
  memory_log again = further;
  CHECK(again == further);
  CHECK(again.begin_snapshot(place(3, 2)).has_value());
  CHECK(again == log);
  memory_log another = sample(64);
  CHECK(install(another, place(3, 2), "a") != mark_t{});
  CHECK(install(log, place(3, 2), "b") != mark_t{});
  CHECK(!(another == log));

  memory_log one_image = base;
  memory_log other_image = base;
  CHECK(install(one_image, place(3, 2, 77), "a") != mark_t{});
  CHECK(install(other_image, place(3, 2, 77), "b") != mark_t{});
  CHECK(!(one_image == other_image));
}

TEST_CASE("copy: is independent, and a snapshot goes on where it was") {
  memory_log log{three(), 64};
  append_terms(log, {1, 1, 1});
  CHECK(log.begin_snapshot(place(2, 1)).has_value());
  CHECK(log.write_snapshot(bytes_of("1234")).has_value());
  memory_log copy{log};
  CHECK(copy.write_snapshot(bytes_of("56789")).has_value());
  CHECK(copy.finish_snapshot().has_value());
  CHECK(copy.snapshot().id == (std::uint64_t{9} << 32 | 0xE3069283));
  CHECK(log.partial().received == 4);
  CHECK(log.snapshot().index == index_t{0});
  const memory_log moved{std::move(copy)};
  CHECK(moved.snapshot().size == 9);
}

// ---------------------------------------------------------------- restore

namespace {

/// A consistent state: a snapshot at 4, entries 3 (command), 4 (no-op), 5 (configuration) and 6.
struct sample_state {
  std::vector<std::byte> image = bytes_of("image");
  std::vector<std::byte> command = bytes_of("command");
  std::vector<std::byte> members = byte_form(three());
  std::vector<entry> list{{index_t{3}, term_t{2}, entry_kind::command, command},
                          {index_t{4}, term_t{3}, entry_kind::no_op, {}},
                          {index_t{5}, term_t{3}, entry_kind::configuration, members},
                          {index_t{6}, term_t{5}, entry_kind::command, command}};
  log_contents contents{{term_t{5}, node_id{2}, index_t{5}}, place(4, 3), image, index_t{2}, term_t{1}, {}};

  /// What `restore` says; the entries are those in `list`.
  [[nodiscard]] raft::result<memory_log> restore() {
    contents.entries = list;
    return memory_log::restore(contents, 64);
  }
};

}  // namespace

TEST_CASE("restore: a log that holds what it was given") {
  sample_state s;
  const auto log = s.restore();
  REQUIRE(log.has_value());
  CHECK(log->hard_state() == s.contents.hard);
  CHECK(log->first_index() == index_t{3});
  CHECK(log->last_index() == index_t{6});
  CHECK(log->term_at(index_t{2}) == term_t{1});
  CHECK(terms_of(*log) == terms{2, 3, 3, 5});
  CHECK(std::ranges::equal(log->configurations(), std::vector{index_t{5}}));
  s.contents.snapshot.size = s.image.size();  // told or not
  CHECK(*s.restore() == *log);
  CHECK(log->snapshot().index == index_t{4});
  CHECK(log->snapshot().size == 5);
  CHECK(log->snapshot().id == memory_log::id_of(raft::detail::crc32c(s.image.data(), s.image.size()), 5));
  std::vector<entry_kind> kinds;
  log->for_each(index_t{3}, index_t{6}, [&kinds](const entry& e) { kinds.push_back(e.kind); });
  CHECK(kinds == std::vector{entry_kind::command, entry_kind::no_op, entry_kind::configuration, entry_kind::command});
}

TEST_CASE("restore: the smallest states") {
  log_contents fresh;
  fresh.snapshot.configuration = three();
  const auto log = memory_log::restore(fresh);
  REQUIRE(log.has_value());
  CHECK(*log == memory_log{three()});

  log_contents only_snapshot;
  only_snapshot.hard.current_term = term_t{2};
  only_snapshot.snapshot = place(7, 2, 5);
  only_snapshot.base_index = index_t{7};
  only_snapshot.base_term = term_t{2};
  const auto behind = memory_log::restore(only_snapshot);
  REQUIRE(behind.has_value());
  CHECK(behind->first_index() == index_t{8});
  CHECK(behind->snapshot().id == 5);
}

TEST_CASE("restore: refuses a state that contradicts itself, and says how") {
  const auto refused = [](auto&& spoil) {
    sample_state s;
    spoil(s);
    const auto log = s.restore();
    REQUIRE(!log.has_value());
    CHECK(std::string_view{log.error().what}.size() > 10);
    return log.error().code;
  };
  const auto contradiction = errc::inconsistent_state;
  CHECK(refused([](auto& s) { s.contents.snapshot.configuration.voters.clear(); }) == errc::invalid_configuration);
  CHECK(refused([](auto& s) { s.contents.snapshot.term = term_t{0}; }) == contradiction);
  CHECK(refused([](auto& s) { s.contents.snapshot.term = term_t{2}; }) == contradiction);
  CHECK(refused([](auto& s) { s.contents.snapshot.index = index_t{1}; }) == contradiction);
  CHECK(refused([](auto& s) { s.contents.snapshot.index = index_t{7}; }) == contradiction);
  CHECK(refused([](auto& s) { s.contents.snapshot.size = 4; }) == contradiction);
  CHECK(refused([](auto& s) { s.contents.base_index = index_t{1}; }) == contradiction);
  CHECK(refused([](auto& s) { s.contents.base_term = term_t{3}; }) == contradiction);
  CHECK(refused([](auto& s) { s.contents.base_term = term_t{0}; }) == contradiction);
  CHECK(refused([](auto& s) { s.list[1].index = index_t{5}; }) == contradiction);
  CHECK(refused([](auto& s) { s.list[2].term = term_t{2}; }) == contradiction);
  CHECK(refused([](auto& s) { s.list[1].kind = entry_kind{0}; }) == contradiction);
  CHECK(refused([](auto& s) { s.list[1].kind = entry_kind{4}; }) == contradiction);
  CHECK(refused([](auto& s) { s.list[2].data = s.command; }) == contradiction);
  CHECK(refused([](auto& s) { s.list.resize(1); }) == contradiction);
  CHECK(refused([](auto& s) { s.contents.hard.current_term = term_t{4}; }) == contradiction);
  CHECK(refused([](auto& s) { s.contents.hard.commit_hint = index_t{7}; }) == contradiction);
  // Memory that is zero until it is written to: nothing reads a gigabyte here.
  const std::unique_ptr<void, void (*)(void*)> zeros{std::calloc(raft::entry_payload_limit + 1, 1), std::free};
  REQUIRE(zeros);
  const raft::payload too_large{static_cast<const std::byte*>(zeros.get()), raft::entry_payload_limit + 1};
  CHECK(refused([&](auto& s) { s.list[0].data = too_large; }) == contradiction);
  sample_state large;
  large.list[0].data = too_large.first(raft::entry_payload_limit);
  large.contents.entries = large.list;
  CHECK(validate(large.contents));

  const auto refused_small = [](auto&& spoil) {
    log_contents contents;
    contents.snapshot.configuration = three();
    spoil(contents);
    const auto log = memory_log::restore(contents);
    return log ? errc{} : log.error().code;
  };
  const auto image = bytes_of("x");
  const entry in_term_zero{index_t{1}, term_t{0}, entry_kind::command, {}};
  CHECK(refused_small([](log_contents& c) { c.hard.voted_for = node_id{1}; }) == contradiction);
  CHECK(refused_small([&](log_contents& c) { c.image = image; }) == contradiction);
  CHECK(refused_small([&](log_contents& c) { c.entries = {&in_term_zero, 1}; }) == contradiction);
  CHECK(refused_small([](log_contents& c) { c.snapshot.term = term_t{1}; }) == contradiction);
  CHECK(refused_small([](log_contents& c) {
          c.snapshot = place(7, 2);
          c.hard.current_term = term_t{2};
          c.base_index = index_t{7};
          c.base_term = term_t{1};
        }) == contradiction);
}

// ---------------------------------------------------------------- against a twin

namespace {

/// splitmix64: a seeded sequence, the same everywhere.
class draws {
 public:
  explicit draws(std::uint64_t seed) : state_(seed) {}
  std::uint64_t operator()(std::uint64_t below) {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (z ^ (z >> 31)) % below;
  }

 private:
  std::uint64_t state_;
};

/// The contract, written down without any thought of speed.
struct twin_entry {
  std::uint64_t term;
  entry_kind kind;
  std::vector<std::byte> data;
};

struct twin {
  std::uint64_t base = 0, base_term = 0;
  std::vector<twin_entry> list;  // the entry at index base + 1 + k
  std::uint64_t snapshot_index = 0;
  std::vector<std::byte> image;

  [[nodiscard]] std::uint64_t last() const { return base + list.size(); }
  [[nodiscard]] std::uint64_t term_at(std::uint64_t i) const { return i == base ? base_term : list[i - base - 1].term; }
  void truncate_from(std::uint64_t i) { list.resize(std::min<std::size_t>(list.size(), i - base - 1)); }
  void compact(std::uint64_t i) {
    if (i <= base) return;
    base_term = term_at(i);
    list.erase(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(i - base));
    base = i;
  }
  void install(std::uint64_t index, std::uint64_t term, const std::vector<std::byte>& bytes) {
    if (index > last() || term_at(index) != term) {
      list.clear();
      base = index;
      base_term = term;
    }
    snapshot_index = index;
    image = bytes;
  }
};

std::vector<std::byte> wire_form(const std::vector<twin_entry>& list) {
  std::vector<std::byte> wire;
  for (const twin_entry& e : list) {
    const std::size_t at = wire.size();
    wire.resize(at + raft::entry_bytes(e.data.size()));
    raft::write_entry(wire.data() + at, term_t{e.term}, e.kind, e.data);
  }
  return wire;
}

/// One walk of a log and its twin; all that a log shows is compared after each step.
class walk {
 public:
  walk(std::uint64_t seed, std::size_t segment_bytes) : draw_(seed), log_(three(), segment_bytes), spare_(log_) {}

  void step() {
    switch (draw_(12)) {
      case 0:
      case 1:
      case 2:
        return append_payloads();
      case 3:
      case 4:
      case 5:
      case 6:
        return append_batch();
      case 7:
      case 8:
        if (twin_.list.empty()) return;
        return truncate(twin_.base + 1 + draw_(twin_.list.size() + 2));
      case 9:
        return compact();
      case 10:
        return snapshot();
      default:
        return copy();
    }
  }

  void compare() {
    REQUIRE(log_.first_index().value == twin_.base + 1);
    REQUIRE(log_.last_index().value == twin_.last());
    for (std::uint64_t i = twin_.base; i <= twin_.last(); ++i) {
      REQUIRE(log_.term_at(index_t{i}).value == twin_.term_at(i));
    }
    std::vector<index_t> configurations;
    std::size_t k = 0;
    log_.for_each(log_.first_index(), log_.last_index(), [&](const entry& e) {
      REQUIRE(e.index.value == twin_.base + 1 + k);
      REQUIRE(e.term.value == twin_.list[k].term);
      REQUIRE(e.kind == twin_.list[k].kind);
      REQUIRE(std::ranges::equal(e.data, twin_.list[k].data));
      if (e.kind == entry_kind::configuration) configurations.push_back(e.index);
      ++k;
    });
    REQUIRE(k == twin_.list.size());
    REQUIRE(std::ranges::equal(log_.configurations(), configurations));
    REQUIRE(log_.snapshot().index.value == twin_.snapshot_index);
    REQUIRE(std::ranges::equal(*log_.read_snapshot(0, no_limit), twin_.image));
    view();
  }

 private:
  twin_entry make_entry() {
    const auto kind =
        draw_(8) == 0 ? (draw_(2) == 0 ? entry_kind::configuration : entry_kind::no_op) : entry_kind::command;
    const std::size_t length = draw_(20) == 0 ? draw_(400) : draw_(40);
    std::vector<std::byte> data(length);
    for (std::byte& b : data) b = static_cast<std::byte>(draw_(255) + 1);
    if (kind == entry_kind::configuration) data = byte_form(three());
    if (kind == entry_kind::no_op) data.clear();
    return {next_term(), kind, std::move(data)};
  }

  std::uint64_t next_term() { return twin_.term_at(twin_.last()) + (draw_(4) == 0 ? 1 : 0) + (twin_.last() == 0); }

  void append_payloads() {
    const twin_entry first = make_entry();
    std::vector<twin_entry> list(draw_(7), first);
    if (first.kind == entry_kind::command) {
      for (twin_entry& e : list) e.data.resize(draw_(e.data.size() + 20), std::byte{3});
    }
    std::vector<payload> payloads;
    for (const twin_entry& e : list) payloads.emplace_back(e.data);
    REQUIRE(log_.append(term_t{first.term}, first.kind, payloads).has_value());
    twin_.list.insert(twin_.list.end(), list.begin(), list.end());
  }

  void append_batch() {
    std::vector<twin_entry> list;
    for (std::uint64_t n = draw_(9); n > 0; --n) {
      list.push_back(make_entry());
      twin_.list.push_back(list.back());
    }
    const auto wire = wire_form(list);
    const auto batch = entries::parse(wire.data(), wire.size(), static_cast<std::uint32_t>(list.size()));
    REQUIRE(batch.has_value());
    REQUIRE(log_.append(*batch).has_value());
  }

  void truncate(std::uint64_t i) {
    REQUIRE(log_.truncate_from(index_t{i}).has_value());
    twin_.truncate_from(i);
  }

  void compact() {
    if (twin_.snapshot_index < twin_.base) return;
    const std::uint64_t i = twin_.base + draw_(std::min(twin_.snapshot_index, twin_.last()) - twin_.base + 1);
    REQUIRE(log_.compact(index_t{i}).has_value());
    twin_.compact(i);
  }

  void snapshot() {
    if (twin_.last() == 0) return;
    std::uint64_t index = std::max(twin_.last() - draw_(twin_.list.size() + 1), std::uint64_t{1});
    std::uint64_t term = twin_.term_at(index);
    if (draw_(8) == 0) {  // from a leader, and not in this log
      index = twin_.last() + 1 + draw_(5);
      term = twin_.term_at(twin_.last()) + draw_(2);
    }
    if (index <= twin_.snapshot_index) return;
    const std::vector<std::byte> bytes(draw_(100), static_cast<std::byte>(draw_(256)));
    const std::size_t cut = draw_(bytes.size() + 1);
    REQUIRE(log_.begin_snapshot(place(index, term)).has_value());
    REQUIRE(log_.write_snapshot(payload{bytes}.first(cut)).has_value());
    REQUIRE(log_.write_snapshot(payload{bytes}.subspan(cut)).has_value());
    REQUIRE(log_.finish_snapshot().has_value());
    twin_.install(index, term, bytes);
  }

  void copy() {
    if (draw_(3) == 0) {
      memory_log moved{std::move(log_)};
      log_ = std::move(moved);
    }
    spare_ = log_;
    REQUIRE(spare_ == log_);
    std::swap(spare_, log_);
    if (draw_(4) == 0) spare_ = memory_log{three(), 64 + 8 * draw_(40)};
  }

  void view() {
    if (twin_.list.empty()) return;
    const std::uint64_t from = twin_.base + 1 + draw_(twin_.list.size());
    const std::uint64_t to = from + draw_(twin_.last() - from + 1);
    const auto max = draw_(2) == 0 ? no_limit : static_cast<std::uint32_t>(draw_(300));
    const auto seen = log_.view(index_t{from}, index_t{to}, max);
    REQUIRE(seen.has_value());
    REQUIRE(seen->count() >= 1);
    REQUIRE(seen->count() <= to - from + 1);
    REQUIRE((seen->bytes() <= max || seen->count() == 1));
    const auto first = twin_.list.begin() + static_cast<std::ptrdiff_t>(from - twin_.base - 1);
    const auto wire = wire_form({first, first + seen->count()});
    REQUIRE(std::ranges::equal(payload{seen->data(), seen->bytes()}, wire));
    REQUIRE(seen->last_term().value == twin_.term_at(from + seen->count() - 1));
  }

  draws draw_;
  memory_log log_;
  memory_log spare_;
  twin twin_;
};

}  // namespace

TEST_CASE("twin: random operations at tiny segment sizes show what a vector of entries shows") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    walk w{seed, 64 + 8 * (seed % 30)};
    for (int step = 0; step < 400; ++step) {
      CAPTURE(step);
      w.step();
      w.compare();
    }
  }
}

// ---------------------------------------------------------------- constant evaluation

namespace {

constexpr bool replicates() {
  memory_log leader{three(), 64};
  append_terms(leader, {1, 1, 2});
  memory_log follower{three(), 64};
  append_terms(follower, {1, 1, 1, 1});
  bool done = follower.truncate_from(index_t{3}).has_value();
  done = done && follower.append(*leader.view(index_t{3}, index_t{3}, no_limit)).has_value();
  done = done && follower.store({term_t{2}, node_id{1}, index_t{2}}).has_value();
  done = done && leader.store({term_t{2}, node_id{1}, index_t{2}}).has_value();
  return done && leader == follower && terms_of(follower) == terms{1, 1, 2};
}
static_assert(replicates());

constexpr bool installs() {
  memory_log log{three(), 64};
  append_terms(log, {1, 1, 2});
  if (install(log, place(2, 1), "state") == mark_t{}) return false;
  if (!log.compact(index_t{2}) || log.first_index() != index_t{3}) return false;
  if (install(log, place(8, 5), "of the leader") == mark_t{}) return false;
  return log.first_index() == index_t{9} && log.read_snapshot(3, 6)->size() == 6 && log.snapshot().id != 0;
}
static_assert(installs());

constexpr bool restores() {
  const auto command = bytes_of("x");
  const entry one{index_t{1}, term_t{1}, entry_kind::command, command};
  log_contents contents;
  contents.snapshot.configuration = three();
  contents.entries = {&one, 1};
  if (memory_log::restore(contents, 64)) return false;  // the current term is behind
  contents.hard.current_term = term_t{1};
  const auto log = memory_log::restore(contents, 64);
  return log && log->last_index() == index_t{1} && log->term_at(index_t{1}) == term_t{1};
}
static_assert(restores());

}  // namespace

}  // namespace memory_log_test
