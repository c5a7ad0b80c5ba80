// The byte form of messages: round trips of every kind, every way to damage a frame, and the frames byte by byte.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <raft/codec.hpp>
#include <raft/configuration.hpp>
#include <support/messages.hpp>

namespace codec_test {

namespace {

using namespace raft;

using test::append_message;
using test::batch;
using test::from_sender;
using test::home;
using test::one_of_each;
using test::snapshot_message;
using bytes = test::byte_list;

constexpr node_id self = test::receiver;

template <checksums Covered = checksums::all>
constexpr bytes frame_of(const message& m) {
  bytes out;
  auto size = append_frame<Covered>(m, home, out);
  RAFT_ASSERT(size && *size == out.size(), "what append_frame answers is what it appended");
  return out;
}

/// The same by envelope and body, of which no message is built.
template <checksums Covered>
constexpr bool round_trip_in_parts(const message& m, const bytes& frame, payload in) {
  const envelope sent{m.from, m.to, m.term};
  bytes again(frame.size(), std::byte{0xEE});
  const bool written = visit_body(m.body, [&](const auto& body) {
    auto size = encode<Covered>(sent, body, home, again);
    return size && *size == frame_bytes(body);
  });
  bool equal = false;
  auto size = decode_to<Covered>(in, home, self, [&]<class Body>(const envelope& got, const Body& body) {
    const Body& original = std::get<Body>(m.body);
    equal = got == sent && original == body;
    // Equal entries have equal bytes; the term of the last one is told beside them.
    if constexpr (requires { body.entries; }) {
      equal = equal && original.entries.last_term() == body.entries.last_term();
    }
  });
  return written && again == frame && equal && size && *size == frame.size();
}

/// Whether all ways to encode agree, and decoding gives the message back, from an odd address and with bytes behind it.
template <checksums Covered>
constexpr bool round_trip(const message& m) {
  const bytes frame = frame_of<Covered>(m);
  if (frame.size() != frame_bytes(m) || frame.size() % 8 != 0) return false;

  bytes exact(frame.size(), std::byte{0xEE});
  auto written = encode<Covered>(m, home, exact);
  if (!written || *written != frame.size() || exact != frame) return false;

  auto pieces = encode_pieces<Covered>(m, home);
  if (!pieces || pieces->bytes != frame.size()) return false;
  bytes joined(pieces->head().begin(), pieces->head().end());
  for (const payload view : pieces->views) joined.insert(joined.end(), view.begin(), view.end());
  if (joined != frame) return false;

  bytes shifted(1, std::byte{0xEE});
  shifted.insert(shifted.end(), frame.begin(), frame.end());
  shifted.push_back(std::byte{0xEE});
  const auto in = std::span{shifted}.subspan(1);
  auto back = decode<Covered>(in, home, self);
  if (!back || back->bytes != frame.size() || back->message != m) return false;
  return round_trip_in_parts<Covered>(m, frame, in);
}

template <checksums Covered>
constexpr bool every_kind_round_trips() {
  const bytes wire = batch(5, 3, 9);
  const bytes chunk = batch(2, 4);
  for (const message& m : one_of_each(wire, 5, chunk)) {
    if (!round_trip<Covered>(m)) return false;
  }
  return round_trip<Covered>(append_message({}, 0)) && round_trip<Covered>(snapshot_message({}, {}));
}

static_assert(every_kind_round_trips<checksums::all>());
static_assert(every_kind_round_trips<checksums::header>());

/// Why both ways to decode refuse a frame: errc{} if neither does, errc::corrupt if they disagree.
constexpr errc verdict(payload frame, cluster_id cluster = home, node_id receiver = self,
                       std::size_t limit = default_frame_limit) {
  bool handed_over = false;
  const auto take = [&](const envelope&, const auto&) { handed_over = true; };
  auto parts = decode_to(frame, cluster, receiver, take, limit);
  auto back = decode(frame, cluster, receiver, limit);
  const bool agree = back ? parts && *parts == back->bytes : !parts && parts.error() == back.error();
  if (!agree || handed_over != back.has_value()) return errc::corrupt;
  return back ? errc{} : back.error().code;
}

static_assert(verdict(frame_of(from_sender(request_vote_reply{true}))) == errc{});
static_assert(verdict(frame_of(from_sender(request_vote_reply{true})), cluster_id{1}) == errc::foreign_cluster);
static_assert(verdict(bytes(48, std::byte{})) == errc::unsupported_version);

/// CRC-32C from the definition, so that a frame can be changed and sealed again without the code under test.
std::uint32_t bitwise_crc(payload data) {
  std::uint32_t remainder = 0xFFFFFFFF;
  for (const std::byte b : data) {
    remainder ^= std::to_integer<std::uint32_t>(b);
    for (int bit = 0; bit < 8; ++bit) remainder = (remainder >> 1) ^ ((remainder & 1) != 0 ? 0x82F63B78 : 0);
  }
  return ~remainder;
}

void put32(bytes& frame, std::size_t at, std::uint32_t value) { detail::store_le(frame.data() + at, value); }
void put64(bytes& frame, std::size_t at, std::uint64_t value) { detail::store_le(frame.data() + at, value); }

/// Sets both checks of a frame whose head has `head` bytes.
void seal(bytes& frame, std::size_t head) {
  const payload all{frame};
  put32(frame, 12, frame.size() > head ? bitwise_crc(all.subspan(head)) : 0);
  put32(frame, 4, bitwise_crc(all.first(head).subspan(8)));
}

constexpr std::array<std::size_t, 13> heads{64, 64, 72, 56, 88, 96, 104, 88, 64, 56, 72, 72, 80};

class generator {
 public:
  std::uint64_t next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return state_ >> 16;
  }

 private:
  std::uint64_t state_ = 42;
};

bytes from_hex(std::string_view text) {
  bytes out;
  const auto digit = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); };
  for (std::size_t i = 0; i + 1 < text.size(); i += 3) {
    out.push_back(static_cast<std::byte>(digit(text[i]) << 4 | digit(text[i + 1])));
  }
  return out;
}

}  // namespace

// ---------------------------------------------------------------------------------------------------- round trips

TEST_CASE("encode: every kind round-trips at run time") {
  CHECK(every_kind_round_trips<checksums::all>());
  CHECK(every_kind_round_trips<checksums::header>());
}

TEST_CASE("encode: append_entries of many sizes round-trip") {
  for (const std::size_t length : {0u, 1u, 7u, 8u, 9u, 16u, 100u, 1000u}) {
    for (const std::uint32_t count : {0u, 1u, 2u, 3u, 7u, 8u, 64u, 65u}) {
      const bytes wire = batch(count, length, 5);
      CHECK(round_trip<checksums::all>(append_message(wire, count)));
      CHECK(round_trip<checksums::header>(append_message(wire, count)));
    }
  }
}

TEST_CASE("encode: install_snapshot of many sizes round-trips") {
  const bytes bulk = batch(40, 100, 7);
  const payload all{bulk};
  for (std::size_t configuration = 0; configuration < 20; ++configuration) {
    for (std::size_t data = 0; data < 20; ++data) {
      CHECK(round_trip<checksums::all>(snapshot_message(all.first(configuration), all.last(data))));
    }
  }
  CHECK(round_trip<checksums::all>(snapshot_message(all.first(30), all)));
}

TEST_CASE("encode: a truth in a message survives both ways") {
  for (const bool truth : {false, true}) {
    CHECK(round_trip<checksums::all>(from_sender(request_vote_reply{truth})));
    CHECK(round_trip<checksums::all>(from_sender(request_pre_vote_reply{term_t{1}, truth})));
    CHECK(round_trip<checksums::all>(from_sender(append_entries_reply{truth, index_t{1}, {}, {}, {}, 0})));
    CHECK(round_trip<checksums::all>(from_sender(install_snapshot_reply{index_t{1}, 2, 3, truth, 4})));
    CHECK(round_trip<checksums::all>(from_sender(read_reply{1, index_t{2}, truth})));
  }
}

TEST_CASE("encode: extreme values survive") {
  const index_t last{UINT64_MAX};
  message m = from_sender(append_entries_reply{true, last, last, term_t{UINT64_MAX}, last, UINT64_MAX});
  m.from = node_id{UINT64_MAX};
  m.term = term_t{UINT64_MAX};
  CHECK(round_trip<checksums::all>(m));
}

TEST_CASE("decode: frames one behind the other, each told its size") {
  const bytes wire = batch(3, 10);
  const bytes chunk = batch(2, 5);
  const auto all = one_of_each(wire, 3, chunk);
  bytes stream;
  for (const message& m : all) CHECK(append_frame(m, home, stream).has_value());
  payload rest{stream};
  for (const message& m : all) {
    auto back = decode(rest, home, self);
    REQUIRE(back.has_value());
    CHECK(back->message == m);
    rest = rest.subspan(back->bytes);
  }
  CHECK(rest.empty());
}

TEST_CASE("decode: views the input, copies nothing") {
  const bytes wire = batch(3, 10);
  const bytes frame = frame_of(append_message(wire, 3));
  auto append = decode(frame, home, self);
  REQUIRE(append.has_value());
  CHECK(std::get<append_entries>(append->message.body).entries.data() == frame.data() + 88);

  const bytes chunk_frame = frame_of(snapshot_message(payload{wire}.first(5), payload{wire}.first(30)));
  auto chunk = decode(chunk_frame, home, self);
  REQUIRE(chunk.has_value());
  CHECK(std::get<install_snapshot>(chunk->message.body).configuration.data() == chunk_frame.data() + 104);
  CHECK(std::get<install_snapshot>(chunk->message.body).data.data() == chunk_frame.data() + 109);
}

TEST_CASE("encode_pieces: views the message's memory, and the head is found again after a copy") {
  const bytes wire = batch(3, 10);
  auto pieces = encode_pieces(append_message(wire, 3), home);
  REQUIRE(pieces.has_value());
  CHECK(pieces->views[0].data() == wire.data());
  CHECK(pieces->views[1].empty());
  CHECK(pieces->views[2].empty());
  const frame_pieces copy = *pieces;
  CHECK(copy.head().data() == copy.head_storage.data());
  CHECK(copy.head().size() == 88);
}

TEST_CASE("encode: with a remembered checksum every follower gets the frame that it would get without one") {
  const bytes wire = batch(20, 5);
  message m = append_message(wire, 20);
  entries_check sums;
  const auto same_as_without = [&] {
    const auto& body = std::get<append_entries>(m.body);
    bytes with(frame_bytes(m), std::byte{});
    bytes without(frame_bytes(m), std::byte{});
    return encode(envelope_of(m), body, home, with, sums) && encode(m, home, without) && with == without;
  };
  CHECK(same_as_without());
  m.to = node_id{3};
  CHECK(same_as_without());
  // Other entries: of another length, place, term or leader; each differs from the one before in that alone.
  auto& body = std::get<append_entries>(m.body);
  body.entries = *entries::parse(wire.data(), entry_bytes(5) * 4, 4);
  CHECK(same_as_without());
  bytes changing = wire;
  body.entries = *entries::parse(changing.data(), changing.size(), 20);
  CHECK(same_as_without());
  const auto changes = [&changing] { changing[entry_header_bytes] ^= std::byte{1}; };
  changes();
  body.prev_log_index = body.prev_log_index.next();
  CHECK(same_as_without());
  changes();
  m.term = m.term.next();
  CHECK(same_as_without());
  changes();
  m.from = node_id{4};
  CHECK(same_as_without());
}

TEST_CASE("entries_check: sums entries up once for all followers") {
  bytes wire = batch(20, 5);
  message m = append_message(wire, 20);
  entries_check sums;
  const std::uint32_t first = sums.of(envelope_of(m), std::get<append_entries>(m.body));
  // What a leader's log never does shows that it did not look again.
  wire[entry_header_bytes] ^= std::byte{1};
  m.to = node_id{3};
  CHECK(sums.of(envelope_of(m), std::get<append_entries>(m.body)) == first);
}

TEST_CASE("append_frame: reuses the capacity and leaves what is there") {
  const bytes wire = batch(8, 50);
  bytes out;
  out.reserve(4096);
  const std::byte* const memory = out.data();
  out.assign(3, std::byte{0x77});
  CHECK(append_frame(append_message(wire, 8), home, out).has_value());
  CHECK(out.data() == memory);
  CHECK(std::count(out.begin(), out.begin() + 3, std::byte{0x77}) == 3);
  CHECK(decode(payload{out}.subspan(3), home, self).has_value());
}

// ---------------------------------------------------------------------------------------------------- refusals

TEST_CASE("encode: refuses a space that is too small, and says how much it needs") {
  const bytes wire = batch(2, 10);
  const message m = append_message(wire, 2);
  for (std::size_t room = 0; room < frame_bytes(m); ++room) {
    bytes out(room, std::byte{0x77});
    auto written = encode(m, home, out);
    REQUIRE_FALSE(written.has_value());
    CHECK(written.error().code == errc::too_large);
    CHECK(written.error().detail == frame_bytes(m));
    CHECK(std::count(out.begin(), out.end(), std::byte{0x77}) == static_cast<std::ptrdiff_t>(room));
  }
}

TEST_CASE("encode: refuses what the length field cannot say") {
  const std::byte one{};
  // Only its size is looked at: 104 + 2^32 - 104 bytes are one frame too many for 32 bits.
  const message m = snapshot_message({}, payload{&one, (std::size_t{1} << 32) - 104});
  bytes out;
  CHECK(frame_bytes(m) == std::size_t{1} << 32);
  CHECK(append_frame(m, home, out).error().code == errc::too_large);
  CHECK(out.empty());
  CHECK(encode_pieces(m, home).error().detail == std::size_t{1} << 32);
}

TEST_CASE("decode: each prefix is incomplete, and says how many bytes are missing") {
  const bytes wire = batch(3, 10);
  const bytes chunk = batch(2, 5);
  for (const message& m : one_of_each(wire, 3, chunk)) {
    const bytes frame = frame_of(m);
    for (std::size_t size = 0; size < frame.size(); ++size) {
      auto back = decode(payload{frame}.first(size), home, self);
      REQUIRE_FALSE(back.has_value());
      CHECK(verdict(payload{frame}.first(size)) == errc::incomplete);
      CHECK(back.error().detail == (size < 48 ? 48 : frame.size()) - size);
    }
  }
}

TEST_CASE("decode: looks at nothing behind the bytes that are there") {
  const bytes wire = batch(3, 10);
  const bytes chunk = batch(2, 5);
  for (const message& m : one_of_each(wire, 3, chunk)) {
    const bytes frame = frame_of(m);
    for (std::size_t size = 0; size < frame.size(); ++size) {
      bytes other(frame.size(), std::byte{0xff});
      std::copy_n(frame.begin(), size, other.begin());
      CHECK(verdict(payload{other}.first(size)) == errc::incomplete);
    }
  }
}

TEST_CASE("decode: refuses a frame with any one byte changed") {
  const bytes wire = batch(3, 10);
  const bytes chunk = batch(2, 5);
  for (const message& m : one_of_each(wire, 3, chunk)) {
    const bytes good = frame_of(m);
    for (std::size_t at = 0; at < good.size(); ++at) {
      for (unsigned change = 1; change < 256; ++change) {
        bytes bad = good;
        bad[at] ^= static_cast<std::byte>(change);
        if (verdict(bad) == errc{}) FAIL_CHECK("kind ", m.body.index(), " byte ", at, " change ", change);
      }
    }
  }
}

TEST_CASE("decode: calls damage by its name") {
  const bytes wire = batch(3, 10);
  bytes bad = frame_of(append_message(wire, 3));
  bad[20] ^= std::byte{1};
  CHECK(verdict(bad) == errc::checksum);
  bad[20] ^= std::byte{1};
  bad.back() ^= std::byte{1};
  CHECK(verdict(bad) == errc::checksum);
  // A damaged head is refused before its payload has arrived.
  bad[20] ^= std::byte{1};
  bad.resize(88, std::byte{});
  CHECK(verdict(bad) == errc::checksum);
}

TEST_CASE("decode: looks at nothing behind another version") {
  for (const unsigned version : {0u, 2u, 3u, 255u}) {
    bytes frame(48, std::byte{0xFF});
    frame[8] = static_cast<std::byte>(version);
    CHECK(verdict(frame) == errc::unsupported_version);
    frame.resize(47, std::byte{});
    CHECK(verdict(frame) == errc::incomplete);
  }
}

TEST_CASE("decode: refuses other clusters and wrong addresses before the payload is there") {
  const bytes wire = batch(3, 10);
  const bytes chunk = batch(2, 5);
  for (message m : one_of_each(wire, 3, chunk)) {
    const std::size_t head = heads[m.body.index()];
    bytes frame = frame_of(m);
    CHECK(verdict(frame, cluster_id{home.value + 1}) == errc::foreign_cluster);
    CHECK(verdict(frame, home, node_id{3}) == errc::misaddressed);
    CHECK(verdict(frame, home, nobody) == errc::misaddressed);
    frame.resize(head, std::byte{});
    CHECK(verdict(frame, cluster_id{home.value + 1}) == errc::foreign_cluster);
    CHECK(verdict(frame, home, node_id{3}) == errc::misaddressed);
    m.from = self;
    CHECK(verdict(frame_of(m)) == errc::misaddressed);
    m.from = nobody;
    CHECK(verdict(frame_of(m)) == errc::misaddressed);
  }
}

TEST_CASE("decode: a frame may have the size of the limit, and no byte more") {
  const bytes wire = batch(3, 10);
  const bytes frame = frame_of(append_message(wire, 3));
  CHECK(verdict(frame, home, self, frame.size()) == errc{});
  CHECK(verdict(frame, home, self, frame.size() - 1) == errc::malformed);
  bytes huge = frame;
  put32(huge, 0, 0xFFFFFFF8);
  CHECK(verdict(huge) == errc::malformed);
}

TEST_CASE("decode: refuses sealed frames that no encoder writes") {
  const bytes wire = batch(3, 10);
  const bytes chunk = batch(2, 5);
  const auto all = one_of_each(wire, 3, chunk);
  for (const message& m : all) {
    const std::size_t head = heads[m.body.index()];
    const bytes good = frame_of(m);
    const auto changed = [&](auto change) {
      bytes frame = good;
      change(frame);
      seal(frame, head);
      return verdict(frame);
    };
    CHECK(changed([](bytes&) {}) == errc{});
    CHECK(changed([](bytes& f) { f[9] = std::byte{std::variant_size_v<message_body>}; }) == errc::malformed);
    CHECK(changed([](bytes& f) { f[9] = std::byte{255}; }) == errc::malformed);
    CHECK(changed([](bytes& f) { f[10] = std::byte{1}; }) == errc::malformed);
    CHECK(changed([](bytes& f) { f[11] = std::byte{0x80}; }) == errc::malformed);
    CHECK(changed([&](bytes& f) { put32(f, 0, static_cast<std::uint32_t>(f.size() - 8)); }) != errc{});
    CHECK(changed([&](bytes& f) { put32(f, 0, static_cast<std::uint32_t>(f.size() - 4)); }) == errc::malformed);
    CHECK(changed([&](bytes& f) { put32(f, 0, static_cast<std::uint32_t>(head - 8)); }) == errc::malformed);
    CHECK(changed([&](bytes& f) { put32(f, 0, 0); }) == errc::malformed);
    CHECK(changed([&](bytes& f) {
            f.insert(f.end(), 8, std::byte{});
            put32(f, 0, static_cast<std::uint32_t>(f.size()));
          }) == errc::malformed);
  }
}

TEST_CASE("decode: a truth is 0 or 1") {
  const std::array<std::pair<message, std::size_t>, 6> truths{{
      {from_sender(request_vote{index_t{8}, term_t{3}, true}), 64},
      {from_sender(request_pre_vote_reply{term_t{8}, true}), 56},
      {from_sender(request_vote_reply{true}), 48},
      {from_sender(append_entries_reply{true, index_t{1}, {}, {}, {}, 0}), 48},
      {from_sender(install_snapshot_reply{index_t{1}, 2, 3, true, 4}), 72},
      {from_sender(read_reply{1, index_t{2}, true}), 64},
  }};
  for (const auto& [m, at] : truths) {
    for (const std::uint64_t value : {std::uint64_t{2}, std::uint64_t{0x100}, std::uint64_t{1} << 63}) {
      bytes frame = frame_of(m);
      put64(frame, at, value);
      seal(frame, frame.size());
      CHECK(verdict(frame) == errc::malformed);
    }
  }
}

TEST_CASE("decode: a message without a payload has no check of one") {
  bytes frame = frame_of(from_sender(request_vote{index_t{1}, term_t{1}}));
  put32(frame, 12, 5);
  put32(frame, 4, bitwise_crc(payload{frame}.subspan(8)));
  CHECK(verdict(frame) == errc::checksum);
}

TEST_CASE("decode: refuses entries that do not parse, or are more or fewer than told") {
  const bytes wire = batch(3, 10);
  const bytes good = frame_of(append_message(wire, 3));
  const auto changed = [&](std::size_t at, std::uint32_t value) {
    bytes frame = good;
    put32(frame, at, value);
    seal(frame, 88);
    return verdict(frame);
  };
  CHECK(changed(80, 3) == errc{});
  CHECK(changed(80, 2) == errc::malformed);           // the count
  CHECK(changed(80, 4) == errc::malformed);           //
  CHECK(changed(80, 0xFFFFFFFF) == errc::malformed);  //
  CHECK(changed(84, 88) == errc::malformed);          // the size, which is 96
  CHECK(changed(84, 104) == errc::malformed);         //
  CHECK(changed(88, 9) == errc::malformed);           // the first entry's term, above the second's
  CHECK(changed(96, 11) == errc{});                   // its length: another payload in the same 16 bytes
  CHECK(changed(96, 17) == errc::malformed);          // its length: the next header is read from a payload
  CHECK(changed(96, 0xFFFFFFFF) == errc::malformed);  //
  CHECK(changed(100, 0) == errc::malformed);          // its kind
  CHECK(changed(100, 4) == errc::malformed);          //
  CHECK(changed(100, 0x101) == errc::malformed);      // the zeros behind its kind
}

TEST_CASE("decode: an entry's configuration must be legal, and a wrong one is malformed, whatever is wrong with it") {
  bytes form;
  encode(voters_of({node_id{1}, node_id{2}}), form);
  bytes wire(entry_bytes(form.size()), std::byte{});
  write_entry(wire.data(), term_t{7}, entry_kind::configuration, form);
  const message m = append_message(wire, 1);
  CHECK(round_trip<checksums::all>(m));
  const auto changed = [&](std::size_t at, unsigned value) {
    bytes frame = frame_of(m);
    frame[88 + 16 + at] = static_cast<std::byte>(value);
    seal(frame, 88);
    return verdict(frame);
  };
  CHECK(changed(0, 1) == errc{});
  CHECK(changed(0, 2) == errc::malformed);   // its version
  CHECK(changed(1, 1) == errc::malformed);   // auto_leave, though not joint
  CHECK(changed(2, 3) == errc::malformed);   // a voter too many
  CHECK(changed(14, 1) == errc::malformed);  // a voter twice
}

TEST_CASE("decode: refuses a snapshot chunk whose parts do not fill its frame") {
  const bytes chunk = batch(2, 5);
  const payload all{chunk};
  const bytes good = frame_of(snapshot_message(all.first(3), all.first(8)));
  bytes after_data = good;
  after_data[115] = std::byte{1};
  seal(after_data, 104);
  CHECK(verdict(after_data) == errc::malformed);  // the first byte of the padding
  const auto changed = [&](std::uint32_t configuration, std::uint32_t data, std::byte last) {
    bytes frame = good;
    put32(frame, 96, configuration);
    put32(frame, 100, data);
    frame.back() = last;
    seal(frame, 104);
    return verdict(frame);
  };
  CHECK(changed(3, 8, std::byte{0}) == errc{});
  CHECK(changed(3, 8, std::byte{1}) == errc::malformed);  // padding
  CHECK(changed(0, 8, std::byte{0}) == errc::malformed);
  CHECK(changed(3, 14, std::byte{0}) == errc::malformed);
  CHECK(changed(3, 13, std::byte{1}) == errc{});  // the same bytes without padding
  CHECK(changed(0xFFFFFFFF, 0xFFFFFFFF, std::byte{0}) == errc::malformed);
  CHECK(changed(0xFFFFFFF8, 16, std::byte{0}) == errc::malformed);
}

TEST_CASE("decode: refuses a forwarded proposal whose command does not fill its frame, but for zeros") {
  const bytes command = from_hex("68 65 6c 6c 6f ");
  const bytes good = frame_of(from_sender(forwarded_proposal{0x5E, 3, command}));
  const auto changed = [&](std::uint64_t size, std::size_t at, unsigned value) {
    bytes frame = good;
    put64(frame, 64, size);
    frame[at] = static_cast<std::byte>(value);
    seal(frame, 72);
    return verdict(frame);
  };
  CHECK(changed(5, 77, 0) == errc{});
  for (const std::size_t padding : {77U, 78U, 79U}) CHECK(changed(5, padding, 1) == errc::malformed);
  CHECK(changed(8, 79, 1) == errc{});  // the same bytes without padding
  CHECK(changed(0, 77, 0) == errc::malformed);
  CHECK(changed(9, 77, 0) == errc::malformed);
  CHECK(changed(UINT64_MAX, 77, 0) == errc::malformed);
}

TEST_CASE("checksums: header leaves the payload to the transport, and still checks the head and the structure") {
  const bytes wire = batch(3, 10);
  bytes frame = frame_of<checksums::header>(append_message(wire, 3));
  CHECK(std::count(frame.begin() + 12, frame.begin() + 16, std::byte{0}) == 4);
  const auto header_verdict = [](const bytes& f) {
    auto back = decode<checksums::header>(f, home, self);
    return back ? errc{} : back.error().code;
  };
  frame[104] ^= std::byte{1};  // a payload byte
  CHECK(header_verdict(frame) == errc{});
  frame[100] ^= std::byte{0xF0};  // an entry's kind
  CHECK(header_verdict(frame) == errc::malformed);
  frame[20] ^= std::byte{1};
  CHECK(header_verdict(frame) == errc::checksum);
  // Nodes that do it differently refuse each other's entries.
  CHECK(verdict(frame_of<checksums::header>(append_message(wire, 3))) == errc::checksum);
  CHECK(header_verdict(frame_of<checksums::all>(append_message(wire, 3))) == errc::checksum);
}

// ---------------------------------------------------------------------------------------------------- hostile bytes

TEST_CASE("decode: survives random bytes") {
  generator random;
  for (int round = 0; round < 20000; ++round) {
    bytes frame(random.next() % 200, std::byte{});
    for (auto& b : frame) b = static_cast<std::byte>(random.next());
    if (frame.size() > 9) {
      frame[8] = std::byte{1};
      frame[9] = static_cast<std::byte>(random.next() % 9);
      put32(frame, 0, static_cast<std::uint32_t>(frame.size() & ~std::size_t{7}));
    }
    CHECK(verdict(frame) != errc{});
  }
}

TEST_CASE("decode: what it takes from a sealed frame with random words is encoded to the same bytes again") {
  const bytes wire = batch(3, 10);
  const bytes chunk = batch(2, 5);
  const auto all = one_of_each(wire, 3, chunk);
  generator random;
  int taken = 0;
  for (int round = 0; round < 20000; ++round) {
    const message& m = all[random.next() % all.size()];
    const std::size_t head = heads[m.body.index()];
    bytes frame = frame_of(m);
    for (std::uint64_t n = random.next() % 3; n > 0; --n) {
      const std::size_t at = 40 + random.next() % (frame.size() - 40);
      frame[at] = static_cast<std::byte>(random.next() % 4 == 0 ? random.next() : random.next() % 3);
    }
    seal(frame, head);
    auto back = decode(frame, home, self);
    if (!back) continue;
    ++taken;
    CHECK(frame_of(back->message) == frame);
  }
  CHECK(taken > 1000);
}

// ---------------------------------------------------------------------------------------------------- byte by byte

TEST_CASE("the byte form: one frame of each kind, written out from the tables in codec.hpp and codec_layout.hpp") {
  // length, check; version, kind, flags, check; cluster; from; to; term
  constexpr std::array<std::string_view, 13> golden{
      "40 00 00 00 5c c9 2f 3b 01 00 00 00 00 00 00 00 ef cd ab 89 67 45 23 01 01 00 00 00 00 00 00 00 "
      "02 00 00 00 00 00 00 00 07 00 00 00 00 00 00 00 "
      "11 00 00 00 00 00 00 00 06 00 00 00 00 00 00 00 ",

      "40 00 00 00 e2 45 4a 76 01 01 00 00 00 00 00 00 ef cd ab 89 67 45 23 01 01 00 00 00 00 00 00 00 "
      "02 00 00 00 00 00 00 00 07 00 00 00 00 00 00 00 "
      "08 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 ",

      "48 00 00 00 2c fc f7 e7 01 02 00 00 00 00 00 00 ef cd ab 89 67 45 23 01 01 00 00 00 00 00 00 00 "
      "02 00 00 00 00 00 00 00 07 00 00 00 00 00 00 00 "
      "11 00 00 00 00 00 00 00 06 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 ",

      "38 00 00 00 9b 74 52 1a 01 03 00 00 00 00 00 00 ef cd ab 89 67 45 23 01 01 00 00 00 00 00 00 00 "
      "02 00 00 00 00 00 00 00 07 00 00 00 00 00 00 00 "
      "01 00 00 00 00 00 00 00 ",

      "80 00 00 00 58 e4 90 65 01 04 00 00 f9 b8 49 ef ef cd ab 89 67 45 23 01 01 00 00 00 00 00 00 00 "
      "02 00 00 00 00 00 00 00 07 00 00 00 00 00 00 00 "
      "11 00 00 00 00 00 00 00 05 00 00 00 00 00 00 00 10 00 00 00 00 00 00 00 09 00 00 00 00 00 00 00 "
      "02 00 00 00 28 00 00 00 "
      "06 00 00 00 00 00 00 00 00 00 00 00 02 00 00 00 "
      "07 00 00 00 00 00 00 00 05 00 00 00 01 00 00 00 68 65 6c 6c 6f 00 00 00 ",

      "60 00 00 00 75 1a 02 b8 01 05 00 00 00 00 00 00 ef cd ab 89 67 45 23 01 01 00 00 00 00 00 00 00 "
      "02 00 00 00 00 00 00 00 07 00 00 00 00 00 00 00 "
      "00 00 00 00 00 00 00 00 11 00 00 00 00 00 00 00 0c 00 00 00 00 00 00 00 03 00 00 00 00 00 00 00 "
      "13 00 00 00 00 00 00 00 09 00 00 00 00 00 00 00 ",

      "70 00 00 00 1b 1a a5 75 01 06 00 00 b4 ad c6 49 ef cd ab 89 67 45 23 01 01 00 00 00 00 00 00 00 "
      "02 00 00 00 00 00 00 00 07 00 00 00 00 00 00 00 "
      "11 00 00 00 00 00 00 00 05 00 00 00 00 00 00 00 aa 00 00 00 00 00 00 00 e8 03 00 00 00 00 00 00 "
      "40 00 00 00 00 00 00 00 09 00 00 00 00 00 00 00 03 00 00 00 04 00 00 00 "
      "63 66 67 64 61 74 61 00 ",

      "58 00 00 00 01 41 c7 60 01 07 00 00 00 00 00 00 ef cd ab 89 67 45 23 01 01 00 00 00 00 00 00 00 "
      "02 00 00 00 00 00 00 00 07 00 00 00 00 00 00 00 "
      "11 00 00 00 00 00 00 00 aa 00 00 00 00 00 00 00 44 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 "
      "09 00 00 00 00 00 00 00 ",

      "40 00 00 00 bd 9c e6 b9 01 08 00 00 00 00 00 00 ef cd ab 89 67 45 23 01 01 00 00 00 00 00 00 00 "
      "02 00 00 00 00 00 00 00 07 00 00 00 00 00 00 00 "
      "11 00 00 00 00 00 00 00 07 00 00 00 00 00 00 00 ",

      "38 00 00 00 97 8f da 6a 01 09 00 00 00 00 00 00 ef cd ab 89 67 45 23 01 01 00 00 00 00 00 00 00 "
      "02 00 00 00 00 00 00 00 07 00 00 00 00 00 00 00 ed 5e 00 00 00 00 00 00 ",

      "48 00 00 00 de 85 f1 50 01 0a 00 00 00 00 00 00 ef cd ab 89 67 45 23 01 01 00 00 00 00 00 00 00 "
      "02 00 00 00 00 00 00 00 07 00 00 00 00 00 00 00 ed 5e 00 00 00 00 00 00 11 00 00 00 00 00 00 00 "
      "01 00 00 00 00 00 00 00 ",

      "50 00 00 00 73 57 fc 4f 01 0b 00 00 b3 ed 03 90 ef cd ab 89 67 45 23 01 01 00 00 00 00 00 00 00 "
      "02 00 00 00 00 00 00 00 07 00 00 00 00 00 00 00 5e 00 00 00 00 00 00 00 03 00 00 00 00 00 00 00 "
      "05 00 00 00 00 00 00 00 68 65 6c 6c 6f 00 00 00 ",

      "50 00 00 00 04 3b 5d 92 01 0c 00 00 00 00 00 00 ef cd ab 89 67 45 23 01 01 00 00 00 00 00 00 00 "
      "02 00 00 00 00 00 00 00 07 00 00 00 00 00 00 00 5e 00 00 00 00 00 00 00 03 00 00 00 00 00 00 00 "
      "11 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 ",
  };
  const bytes hello = from_hex("68 65 6c 6c 6f ");
  bytes wire(16 + 24, std::byte{});
  write_entry(wire.data(), term_t{6}, entry_kind::no_op, {});
  write_entry(wire.data() + 16, term_t{7}, entry_kind::command, hello);
  const bytes chunk = from_hex("63 66 67 64 61 74 61 ");
  const payload all{chunk};
  auto carried = entries::parse(wire.data(), wire.size(), 2);
  REQUIRE(carried.has_value());
  const std::array<message, 13> messages{
      from_sender(request_pre_vote{index_t{17}, term_t{6}}),
      from_sender(request_pre_vote_reply{term_t{8}, true}),
      from_sender(request_vote{index_t{17}, term_t{6}, true}),
      from_sender(request_vote_reply{true}),
      from_sender(append_entries{index_t{17}, term_t{5}, index_t{16}, 9, *carried}),
      from_sender(append_entries_reply{false, index_t{17}, index_t{12}, term_t{3}, index_t{19}, 9}),
      from_sender(install_snapshot{index_t{17}, term_t{5}, 0xAA, 1000, 64, 9, all.first(3), all.last(4)}),
      from_sender(install_snapshot_reply{index_t{17}, 0xAA, 68, true, 9}),
      from_sender(timeout_now{index_t{17}, term_t{7}}),
      from_sender(read_request{0x5EED}),
      from_sender(read_reply{0x5EED, index_t{17}, true}),
      from_sender(forwarded_proposal{0x5E, 3, hello}),
      from_sender(forwarded_proposal_reply{0x5E, 3, index_t{17}, node_id{1}}),
  };
  static_assert(std::variant_size_v<message_body> == golden.size());
  for (std::size_t kind = 0; kind < golden.size(); ++kind) {
    CAPTURE(kind);
    const bytes frame = from_hex(golden[kind]);
    CHECK(frame_of(messages[kind]) == frame);
    auto back = decode(frame, home, self);
    REQUIRE(back.has_value());
    CHECK(back->message == messages[kind]);
  }
}

}  // namespace codec_test
