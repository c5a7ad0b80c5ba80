// The bytes of file_log: what is written is read back, and what is no such thing is refused, with the place.

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <raft/file_log/format.hpp>

namespace {

namespace wal = raft::detail::wal;

using raft::errc;
using raft::index_t;
using raft::node_id;
using raft::payload;
using raft::term_t;
using bytes = std::vector<std::byte>;

wal::small_state some_state() {
  wal::small_state s;
  s.hard = {term_t{9}, node_id{2}, index_t{17}};
  s.base = index_t{10};
  s.base_term = term_t{4};
  s.last = index_t{20};
  s.last_term = term_t{8};
  s.snapshot = {index_t{15}, term_t{5}, raft::voters_of({node_id{1}, node_id{2}, node_id{3}}), 99, 7};
  return s;
}

bytes form_of(const wal::small_state& s) {
  bytes out;
  wal::put(out, s.hard);
  for (const std::uint64_t n : {s.base.value, s.base_term.value, s.last.value, s.last_term.value}) wal::put(out, n);
  wal::put(out, s.snapshot);
  return out;
}

bytes segment_of(const bytes& state) {
  wal::segment_header h;
  h.identity = 0x1122334455667788;
  h.sequence = 6;
  h.first_batch = 41;
  h.epoch = 3;
  h.before = 8;
  bytes out;
  wal::encode_segment_header(out, h, state);
  return out;
}

/// What is wrong with a segment's header: the offset, and the sentence.
std::string wrong_with(payload header) {
  const auto h = wal::decode_segment_header(header);
  if (h) return "";
  return std::to_string(h.error().detail) + ": " + h.error().what;
}

}  // namespace

TEST_CASE("round_up: to the next multiple, and a multiple stays") {
  static_assert(wal::round_up(0, 8) == 0);
  static_assert(wal::round_up(1, 8) == 8);
  static_assert(wal::round_up(8, 8) == 8);
  CHECK(wal::round_up(0, 512) == 0);
  CHECK(wal::round_up(1, 512) == 512);
  CHECK(wal::round_up(511, 512) == 512);
  CHECK(wal::round_up(512, 512) == 512);
  CHECK(wal::round_up(513, 512) == 1024);
}

TEST_CASE("byte_buffer: what fits stays where it is, to the last byte; more moves it, with what is in it") {
  wal::byte_buffer b;
  for (std::size_t i = 0; i < 40; ++i) *b.grow(1) = static_cast<std::byte>(i);
  wal::byte_buffer exact;
  const std::byte* const place = exact.grow(40);
  exact.shrink(0);
  CHECK(exact.grow(40) == place);
  exact.shrink(0);
  CHECK(exact.grow(41) != place);
  CHECK(exact.size() == 41);
  CHECK(b.size() == 40);
  for (std::size_t i = 0; i < 40; ++i) CHECK(b.data()[i] == static_cast<std::byte>(i));
}

TEST_CASE("cursor: gives what is there, and nothing once it was asked for more") {
  bytes nine(9);
  raft::detail::store_le(nine.data(), std::uint64_t{0x0807060504030201});
  nine[8] = std::byte{9};
  wal::cursor in{nine.data(), nine.size()};
  CHECK(in.number() == 0x0807060504030201);
  CHECK(in.left == 1);
  CHECK(in.number() == 0);
  CHECK_FALSE(in.good);
  CHECK(in.left == 1);
  CHECK(in.bytes(1).empty());  // though it is there
  CHECK(in.bytes(0).data() == nullptr);
  CHECK_FALSE(in.good);
  wal::cursor whole{nine.data(), nine.size()};
  CHECK(whole.bytes(9).size() == 9);
  CHECK(whole.good);
  CHECK(whole.bytes(UINT64_MAX).empty());
  CHECK_FALSE(whole.good);
}

TEST_CASE("consistent: places and terms rise together, and the same entry has one term") {
  CHECK(wal::consistent(some_state()));
  CHECK(wal::consistent({}));
  const auto with = [](auto change) {
    wal::small_state s = some_state();
    change(s);
    return wal::consistent(s);
  };
  CHECK_FALSE(with([](auto& s) { s.base = index_t{}; }));           // no entry has a term
  CHECK_FALSE(with([](auto& s) { s.base_term = term_t{6}; }));      // above the snapshot's
  CHECK_FALSE(with([](auto& s) { s.base = index_t{16}; }));         // behind the snapshot
  CHECK_FALSE(with([](auto& s) { s.base = s.snapshot.index; }));    // the same entry, in another term
  CHECK_FALSE(with([](auto& s) { s.snapshot.index = s.last; }));    // likewise
  CHECK_FALSE(with([](auto& s) { s.snapshot.term = term_t{9}; }));  // above the last entry's
  CHECK_FALSE(with([](auto& s) { s.last = index_t{14}; }));         // before the snapshot
  CHECK(with([](auto& s) { s.base = s.snapshot.index, s.base_term = s.snapshot.term; }));
  CHECK(with([](auto& s) { s.snapshot.index = s.last, s.snapshot.term = s.last_term; }));
  CHECK(with([](auto& s) { s.base_term = s.snapshot.term = s.last_term; }));
  const auto empty_with = [](auto change) {
    wal::small_state s;
    change(s);
    return wal::consistent(s);
  };
  CHECK_FALSE(empty_with([](auto& s) { s.base_term = s.snapshot.term = s.last_term = term_t{1}; }));
  CHECK_FALSE(empty_with([](auto& s) { s.snapshot.size = 1; }));
  CHECK_FALSE(empty_with([](auto& s) { s.snapshot.id = 1; }));
}

TEST_CASE("snapshot's meta: comes back from its bytes, which are padded to a multiple of 8 and no further") {
  for (std::size_t length = 0; length <= 8; ++length) {
    CAPTURE(length);
    raft::snapshot_meta m = some_state().snapshot;
    if (length > 0) m.configuration.data.push_back({node_id{2}, bytes(length, std::byte{7})});
    REQUIRE(raft::validate(m.configuration));
    bytes out;
    wal::put(out, m);
    CHECK(out.size() == 5 * 8 + wal::round_up(raft::configuration_bytes(m.configuration), 8));
    wal::cursor in{out.data(), out.size()};
    CHECK(wal::take_snapshot_meta(in) == m);
    CHECK(in.good);
    CHECK(in.left == 0);
  }
}

TEST_CASE("segment's header: comes back from its bytes, a whole number of sectors") {
  const wal::small_state state = some_state();
  const bytes header = segment_of(form_of(state));
  CHECK(header.size() == 512);
  const std::size_t end = wal::segment_header_bytes + form_of(state).size();
  for (const std::size_t given : {header.size(), end}) {
    const auto h = wal::decode_segment_header({header.data(), given});
    REQUIRE(h);
    CHECK(h->identity == 0x1122334455667788);
    CHECK(h->sequence == 6);
    CHECK(h->first_batch == 41);
    CHECK(h->epoch == 3);
    CHECK(h->before == 8);
    CHECK(h->data_offset == 512);
    CHECK(h->state == state);
  }
  for (std::size_t given = 0; given < end; ++given) {
    CHECK(wrong_with({header.data(), given}) == "0: a segment ends inside its header");
  }
}

TEST_CASE("segment's header: anything else is refused, with the place and what is wrong there") {
  const bytes header = segment_of(form_of(some_state()));
  CHECK(wrong_with(bytes(wal::segment_header_bytes)) == "0: a segment does not begin as one");
  const std::size_t end = wal::segment_header_bytes + form_of(some_state()).size();
  for (std::size_t at = 0; at < end; ++at) {
    bytes damaged = header;
    damaged[at] ^= std::byte{0x10};
    const std::string wrong = wrong_with(damaged);
    CAPTURE(at);
    if (at < 8) CHECK(wrong == "0: a segment does not begin as one");
    if (at == 46 || at == 47) CHECK(wrong == "44: the header of a segment is damaged");  // a length beyond all
    if (at >= 8 && (at < 44 || at > 47)) CHECK(wrong == "8: the header of a segment is damaged");
    CHECK_FALSE(wrong.empty());
  }
  bytes longer = form_of(some_state());
  longer.resize(longer.size() + 8);
  CHECK(wrong_with(segment_of(longer)) == "56: the state in a segment's header is malformed");
  CHECK(wrong_with(segment_of({})) == "56: the state in a segment's header is malformed");
}

TEST_CASE("segment's header: as long as it may be, and no longer") {
  const std::size_t most = wal::segment_header_limit - wal::segment_header_bytes;
  CHECK(wrong_with(segment_of(bytes(most))) == "56: the state in a segment's header is malformed");
  CHECK(wrong_with(segment_of(bytes(most + 1))) == "44: the header of a segment is damaged");
}

TEST_CASE("synced: the number comes back; of another log, cut short or with any bit turned it says nothing") {
  constexpr std::uint64_t identity = 0xfedcba9876543210;
  std::array<std::byte, wal::synced_bytes> note{};
  std::array<std::byte, wal::synced_bytes> other{};
  other.fill(std::byte{0xff});
  wal::encode_synced(note.data(), identity, 1234);
  wal::encode_synced(other.data(), identity, 1234);
  CHECK(note == other);  // no byte of it is left to chance
  CHECK(wal::decode_synced(note, identity) == 1234);
  CHECK(wal::decode_synced(note, identity + 1) == 0);
  CHECK(wal::decode_synced(payload{note}.first(wal::synced_bytes - 1), identity) == 0);
  CHECK(wal::decode_synced({}, identity) == 0);
  for (std::size_t bit = 0; bit < 8 * note.size(); ++bit) {
    auto damaged = note;
    damaged[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
    CHECK(wal::decode_synced(damaged, identity) == 0);
  }
}

TEST_CASE("names: a prefix and sixteen digits, and nothing else is one") {
  CHECK(wal::name_of("log-", 0) == "log-0000000000000000");
  CHECK(wal::name_of("log-", 0x0123456789abcdef) == "log-0123456789abcdef");
  std::uint64_t number = 77;
  REQUIRE(wal::parse_name("log-0123456789abcdef", "log-", number));
  CHECK(number == 0x0123456789abcdef);
  REQUIRE(wal::parse_name("log-ffffffffffffffff", "log-", number));
  CHECK(number == UINT64_MAX);
  for (const char* other :
       {"", "log-", "log-0123456789abcde", "log-0123456789abcdef0", "lag-0123456789abcdef", "log-0123456789abcdeg",
        "log-0123456789ABCDEF", "log-/123456789abcdef", "log-:123456789abcdef", "log-`123456789abcdef"}) {
    CAPTURE(other);
    CHECK_FALSE(wal::parse_name(other, "log-", number));
  }
}
