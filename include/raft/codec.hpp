#pragma once

// The byte form of every message: one frame each. An optional battery beside the engine, for Transports that send
// bytes; it stands on message.hpp (floor 5) and crc32c.hpp, and no engine header includes it.
//
// A frame is a head of fixed size (a header of 48 bytes and the fields of its kind, 8 bytes each), then the bytes that
// the message views. All numbers are little-endian.
//
//    at  bytes  header
//     0      4  length     of the whole frame, these four bytes included; a multiple of 8
//     4      4  check      CRC-32C of the head from byte 8 on
//     8      1  version    1
//     9      1  kind       its place in message_body
//    10      2  flags      0
//    12      4  check      CRC-32C of all that follows the head; 0 if nothing does, or with checksums::header
//    16      8  cluster
//    24      8  from
//    32      8  to
//    40      8  term
//
// From byte 48 on the fields of the kind follow; codec_layout.hpp has the table of them.
//
// Entries stand in the frame as they stand in a Log (entry.hpp): encoding copies one block, decoding views one.
//
// Invariants: a message has one byte form, and only that form decodes to it. `length` is not under the check: it
// follows from fields that are, and must agree with them. The sizes of head and fields are multiples of 8, so a frame
// that begins at an aligned address has aligned entries, and so has the frame after it. No byte sequence makes
// `decode` read outside its input, trust a size before it was checked, or end the process.

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include <raft/bytes.hpp>
#include <raft/codec_layout.hpp>
#include <raft/crc32c.hpp>
#include <raft/entry.hpp>
#include <raft/message.hpp>
#include <raft/result.hpp>
#include <raft/types.hpp>

namespace raft {

/// The name of a cluster, the same on all its nodes and never used twice: what keeps a node from listening to a
/// stranger that got its address. Zero is as good as any other.
struct cluster_id {
  std::uint64_t value = 0;

  constexpr cluster_id() noexcept = default;
  explicit constexpr cluster_id(std::uint64_t v) noexcept : value(v) {}
  friend constexpr auto operator<=>(const cluster_id&, const cluster_id&) noexcept = default;
};

/// What the checksums of a frame cover. The head is always covered. Leave the rest out only if the transport protects
/// it (TLS, shared memory). All nodes of a cluster do the same: each refuses the other's frames.
enum class checksums : std::uint8_t {
  all,     ///< Every byte.
  header,  ///< The head: entries, configuration and snapshot data are not covered.
};

/// The version of the byte form that this header writes, and the only one that it reads.
inline constexpr std::uint8_t frame_version = 1;

/// The largest frame that `decode` takes unless told otherwise. Must exceed a frame with one entry of
/// `options.max_entry_bytes`, one with `max_bytes_per_append`, and one with `snapshot_chunk_bytes`.
inline constexpr std::size_t default_frame_limit = std::size_t{64} << 20;

/// A message out of a frame, and where the next frame begins.
struct decoded {
  constexpr decoded() noexcept = default;
  /// A body without content, to be filled where it stays: to move a message costs more than to decode it.
  template <class Body>
  explicit constexpr decoded(std::type_identity<Body>) noexcept
      : message{{}, {}, {}, message_body{std::in_place_type<Body>}} {}

  /// Its views are into the bytes that were decoded, and as valid as those.
  raft::message message{};
  /// How many bytes the frame took.
  std::size_t bytes = 0;
};

namespace detail {

/// What follows the head: nothing, one view, or three (the last one of padding); and the field that tells the sizes.
template <std::size_t Views>
struct frame_tail {
  std::array<payload, Views> views{};
  std::uint64_t sizes = 0;

  [[nodiscard]] constexpr std::size_t bytes() const noexcept {
    std::size_t sum = 0;
    for (const payload view : views) sum += view.size();
    return sum;
  }
  [[nodiscard]] constexpr std::uint32_t check() const noexcept {
    std::uint32_t crc = 0;
    for (const payload view : views) {
      if (!view.empty()) crc = crc32c(view.data(), view.size(), crc);
    }
    return crc;
  }
};

constexpr std::uint64_t two_sizes(std::uint64_t first, std::uint64_t second) noexcept { return first | second << 32; }

template <class Body>
constexpr frame_tail<0> tail_of(const Body&) noexcept {
  return {};
}

constexpr frame_tail<1> tail_of(const append_entries& m) noexcept {
  return {{payload{m.entries.data(), m.entries.bytes()}}, two_sizes(m.entries.count(), m.entries.bytes())};
}

constexpr frame_tail<2> tail_of(const forwarded_proposal& m) noexcept {
  const std::size_t padding = padding_after(m.command.size());
  return {{m.command, payload{frame_padding.data(), padding}}, m.command.size()};
}

constexpr frame_tail<3> tail_of(const install_snapshot& m) noexcept {
  const std::size_t padding = padding_after(m.configuration.size() + m.data.size());
  return {{m.configuration, m.data, payload{frame_padding.data(), padding}},
          two_sizes(m.configuration.size(), m.data.size())};
}

/// Each field is one number of 8 bytes.
constexpr std::uint64_t field_value(const auto& field) noexcept { return field.value; }
constexpr std::uint64_t field_value(bool field) noexcept { return field ? 1 : 0; }
constexpr std::uint64_t field_value(std::uint64_t field) noexcept { return field; }

/// Writes head_bytes<Body> bytes. Written and summed in words, so that no load waits for stores narrower than itself.
template <class Body, std::size_t Views>
constexpr void write_head(std::byte* to, const envelope& m, cluster_id cluster, const Body& body,
                          const frame_tail<Views>& tail, std::uint32_t tail_check) noexcept {
  store_le<std::uint64_t>(to + 8,
                          frame_version | std::uint64_t{kind_of<Body>()} << 8 | std::uint64_t{tail_check} << 32);
  store_le<std::uint64_t>(to + 16, cluster.value);
  store_le<std::uint64_t>(to + 24, m.from.value);
  store_le<std::uint64_t>(to + 32, m.to.value);
  store_le<std::uint64_t>(to + 40, m.term.value);
  std::byte* at = to + frame_header_bytes;
  std::apply([&](auto... field) { ((store_le<std::uint64_t>(at, field_value(body.*field)), at += 8), ...); },
             frame_layout<Body>::fields);
  if constexpr (has_tail<Body>) store_le<std::uint64_t>(at, tail.sizes);
  const std::uint32_t check = crc32c_fixed<head_bytes<Body> - 8>(to + 8);
  store_le<std::uint64_t>(to, two_sizes(head_bytes<Body> + tail.bytes(), check));
}

template <checksums Covered, std::size_t Views>
constexpr std::uint32_t tail_check(const frame_tail<Views>& tail) noexcept {
  return Covered == checksums::all ? tail.check() : 0;
}

/// Why a frame of `bytes` bytes was not written.
constexpr error no_room(std::size_t bytes) noexcept {
  return {errc::too_large, {}, bytes, "the frame is larger than the space for it, or than its length field can say"};
}

}  // namespace detail

/// How many bytes `encode` writes for a message with this body. O(1).
template <class Body>
[[nodiscard]] constexpr std::size_t frame_bytes(const Body& body) noexcept {
  return detail::head_bytes<Body> + detail::tail_of(body).bytes();
}
[[nodiscard]] constexpr std::size_t frame_bytes(const message& m) noexcept {
  return visit_body(m.body, [](const auto& body) { return frame_bytes(body); });
}

/// The checksum of entries that a leader sends to one follower after the other, computed once: keep one beside each
/// node's Transport and give it to `encode`. What stands at an index of the leader of a term never changes while it
/// leads [Fig. 3, Leader Append-Only], so where entries stand says what they are; requests that no leader's node made
/// must not be summed with it. A value; not safe to use from two threads at once.
class entries_check {
 public:
  /// CRC-32C of the entries of `request`. O(1) if they are those of the last call, else O(bytes).
  constexpr std::uint32_t of(const envelope& m, const append_entries& request) noexcept {
    const place now{m.from, m.term, request.prev_log_index, request.entries.data(), request.entries.bytes()};
    if (now != place_) {
      place_ = now;
      check_ = detail::tail_of(request).check();
    }
    return check_;
  }

 private:
  struct place {
    node_id leader{};
    term_t term{};
    index_t before{};
    const std::byte* data = nullptr;
    std::size_t bytes = 0;
    friend constexpr bool operator==(const place&, const place&) = default;
  };
  place place_{};
  std::uint32_t check_ = 0;
};

namespace detail {

/// Writes the frame if there is room for it; `check_of(tail)` is asked for the checksum of what follows the head.
template <class Body, class CheckOf>
constexpr result<std::size_t> write_frame(const envelope& m, const Body& body, cluster_id cluster,
                                          std::span<std::byte> out, CheckOf&& check_of) noexcept {
  const auto tail = tail_of(body);
  const std::size_t bytes = head_bytes<Body> + tail.bytes();
  if (bytes > std::min<std::size_t>(out.size(), UINT32_MAX)) return no_room(bytes);
  write_head(out.data(), m, cluster, body, tail, check_of(tail));
  std::byte* at = out.data() + head_bytes<Body>;
  for (const payload view : tail.views) {
    copy_few(at, view.data(), view.size());
    at += view.size();
  }
  return bytes;
}

template <checksums Covered, class Body, class Buffer>
constexpr result<std::size_t> append(const envelope& m, const Body& body, cluster_id cluster, Buffer& out) {
  const auto tail = tail_of(body);
  const std::size_t bytes = head_bytes<Body> + tail.bytes();
  if (bytes > UINT32_MAX) return no_room(bytes);
  const std::size_t begin = out.size();
  out.resize(begin + head_bytes<Body>, std::byte{0});
  write_head(out.data() + begin, m, cluster, body, tail, tail_check<Covered>(tail));
  for (const payload view : tail.views) out.insert(out.end(), view.begin(), view.end());
  return bytes;
}

}  // namespace detail

/// Writes the frame of a message to the beginning of `out`, and answers how many bytes it took: one copy of what the
/// message views, straight from where it lies (a Log's memory) to where the caller wants it. `out` must not overlap it.
/// Refuses with too_large (`error.detail`: the frame's bytes) if `out` or the length field, u32, is too small.
template <checksums Covered = checksums::all, class Body>
[[nodiscard]] constexpr result<std::size_t> encode(const envelope& m, const Body& body, cluster_id cluster,
                                                   std::span<std::byte> out) noexcept {
  return detail::write_frame(m, body, cluster, out, [](const auto& tail) { return detail::tail_check<Covered>(tail); });
}
/// The same; entries are summed once for all followers that they go to.
template <checksums Covered = checksums::all, class Body>
[[nodiscard]] constexpr result<std::size_t> encode(const envelope& m, const Body& body, cluster_id cluster,
                                                   std::span<std::byte> out, entries_check& sums) noexcept {
  return detail::write_frame(m, body, cluster, out, [&](const auto& tail) {
    if constexpr (std::is_same_v<Body, append_entries> && Covered == checksums::all) return sums.of(m, body);
    return detail::tail_check<Covered>(tail);
  });
}
template <checksums Covered = checksums::all>
[[nodiscard]] constexpr result<std::size_t> encode(const message& m, cluster_id cluster,
                                                   std::span<std::byte> out) noexcept {
  return visit_body(m.body, [&](const auto& body) { return encode<Covered>(envelope_of(m), body, cluster, out); });
}

/// Appends the frame of `m` to a std::vector<std::byte> or what behaves like one; the views of `m` must not be into it.
/// Answers and refuses as `encode`. Allocates only when the buffer's capacity is used up, and writes the tail once,
/// without filling with zeros first.
template <checksums Covered = checksums::all, class Buffer>
[[nodiscard]] constexpr result<std::size_t> append_frame(const message& m, cluster_id cluster, Buffer& out) {
  return visit_body(m.body,
                    [&](const auto& body) { return detail::append<Covered>(envelope_of(m), body, cluster, out); });
}

/// The frame of a message in pieces, for `writev`: the head, which is here, and up to three views of what the message
/// views, in this order. Valid as long as what the message views.
struct frame_pieces {
  std::array<std::byte, detail::largest_head> head_storage{};
  std::size_t head_bytes = 0;
  std::array<payload, 3> views{payload{}, payload{}, payload{}};  ///< Those that are not needed are empty.
  std::size_t bytes = 0;                                          ///< Of the whole frame.

  /// Into this object: ask again after a copy.
  [[nodiscard]] constexpr payload head() const noexcept { return {head_storage.data(), head_bytes}; }
};

/// The pieces of the frame of `m`; copies no entry and no snapshot byte. Refuses with too_large (`error.detail`: the
/// frame's bytes) what the length field, u32, cannot say.
template <checksums Covered = checksums::all>
[[nodiscard]] constexpr result<frame_pieces> encode_pieces(const message& m, cluster_id cluster) noexcept {
  return visit_body(m.body, [&]<class Body>(const Body& body) -> result<frame_pieces> {
    const auto tail = detail::tail_of(body);
    frame_pieces pieces;
    pieces.head_bytes = detail::head_bytes<Body>;
    pieces.bytes = pieces.head_bytes + tail.bytes();
    if (pieces.bytes > UINT32_MAX) return detail::no_room(pieces.bytes);
    std::copy(tail.views.begin(), tail.views.end(), pieces.views.begin());
    detail::write_head(pieces.head_storage.data(), envelope_of(m), cluster, body, tail,
                       detail::tail_check<Covered>(tail));
    return pieces;
  });
}

namespace detail {

/// Whether the head may be believed, and is for us. Precondition: all of it is at hand.
template <class Body>
constexpr verdict judge_head(const std::byte* from, cluster_id cluster, node_id self) noexcept {
  const auto word = [from](std::size_t at) { return load_le<std::uint64_t>(from + at); };
  const bool whole = crc32c_fixed<head_bytes<Body> - 8>(from + 8) == load_le<std::uint32_t>(from + 4);
  if (!whole) return {errc::checksum, "the head of a frame is damaged"};
  if ((word(8) >> 16 & 0xffff) != 0) return {errc::malformed, "a frame with flags that mean nothing yet"};
  if (word(16) != cluster.value) return {errc::foreign_cluster, "a frame of another cluster"};
  if (word(32) != self.value) return {errc::misaddressed, "a frame for another node"};
  if (word(24) == self.value) return {errc::misaddressed, "a frame from this node itself"};
  if (word(24) == nobody.value) return {errc::misaddressed, "a frame from nobody"};
  return {};
}

constexpr bool read_field(const std::byte* from, auto& field) noexcept {
  field = std::remove_cvref_t<decltype(field)>{load_le<std::uint64_t>(from)};
  return true;
}
constexpr bool read_field(const std::byte* from, bool& field) noexcept {
  const auto value = load_le<std::uint64_t>(from);
  field = value == 1;
  return value <= 1;
}

/// Fills the fields; answers whether each had a value that it can have.
template <class Body>
constexpr bool read_fields(const std::byte* at, Body& body) noexcept {
  bool readable = true;
  std::apply([&](auto... field) { ((readable &= read_field(at, body.*field), at += 8), ...); },
             frame_layout<Body>::fields);
  return readable;
}

/// Views what follows the head in `tail`, of which the head tells `sizes`.
constexpr verdict read_tail(append_entries& body, std::uint64_t sizes, payload tail) noexcept {
  if (sizes >> 32 != tail.size()) return {errc::malformed, "a frame that carries more or less than it says"};
  const auto count = static_cast<std::uint32_t>(sizes);
  const auto parsed = entries::parse(tail.data(), tail.size(), count);
  if (!parsed) return {errc::malformed, parsed.error().what};
  body.entries = entries::trusted(tail.data(), static_cast<std::uint32_t>(tail.size()), count, parsed->last_term());
  return {};
}

constexpr bool all_zero(payload bytes) noexcept {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

constexpr verdict read_tail(forwarded_proposal& body, std::uint64_t size, payload tail) noexcept {
  if (size > tail.size() || tail.size() - size != padding_after(static_cast<std::size_t>(size))) {
    return {errc::malformed, "a frame that carries more or less than it says"};
  }
  body.command = tail.first(static_cast<std::size_t>(size));
  if (!all_zero(tail.subspan(body.command.size()))) return {errc::malformed, "padding that is not zero"};
  return {};
}

constexpr verdict read_tail(install_snapshot& body, std::uint64_t sizes, payload tail) noexcept {
  const std::uint64_t together = (sizes & UINT32_MAX) + (sizes >> 32);  // two u32, where std::size_t may have 32 bits
  if (together > tail.size() || tail.size() - together != padding_after(static_cast<std::size_t>(together))) {
    return {errc::malformed, "a frame that carries more or less than it says"};
  }
  const auto configuration = static_cast<std::size_t>(sizes & UINT32_MAX);
  const auto data = static_cast<std::size_t>(sizes >> 32);
  if (!all_zero(tail.subspan(configuration + data))) return {errc::malformed, "padding that is not zero"};
  body.configuration = tail.first(configuration);
  body.data = tail.subspan(configuration, data);
  return {};
}

inline constexpr verdict incomplete_frame{errc::incomplete, "the frame goes on behind these bytes"};

/// Fills a body from a frame that says that it is of this kind, if that is right. `bytes` is the frame's size then;
/// and if the frame is incomplete, how many bytes are missing.
template <checksums Covered, class Body>
constexpr verdict read_frame(payload in, cluster_id cluster, node_id self, std::size_t limit, std::size_t& bytes,
                             Body& body) noexcept {
  constexpr std::size_t head = head_bytes<Body>;
  const std::byte* const from = in.data();
  const std::size_t length = load_le<std::uint32_t>(from);
  if (length % 8 != 0 || length < head || (!has_tail<Body> && length > head)) {
    return {errc::malformed, "a frame whose length cannot be"};
  }
  if (length > limit) return {errc::malformed, "a frame larger than the limit"};
  bytes = length - in.size();
  // A damaged length is found before anybody waits for so many bytes.
  if (in.size() < head) return incomplete_frame;
  if (const auto good = judge_head<Body>(from, cluster, self); !good) return good;
  if (in.size() < length) return incomplete_frame;
  bytes = length;
  const payload tail{from + head, length - head};
  const bool covered = Covered == checksums::all && !tail.empty();
  const std::uint32_t tail_check = covered ? crc32c(tail.data(), tail.size()) : 0;
  if (tail_check != load_le<std::uint32_t>(from + 12)) {
    return {errc::checksum, "the entries or the data of a frame are damaged"};
  }
  if (!read_fields(from + frame_header_bytes, body)) return {errc::malformed, "a truth that is neither 0 nor 1"};
  if constexpr (has_tail<Body>) return read_tail(body, load_le<std::uint64_t>(from + head - 8), tail);
  return {};
}

/// Who sent the frame at `from` to whom. Precondition: its head was judged.
constexpr envelope read_envelope(const std::byte* from) noexcept {
  return {node_id{load_le<std::uint64_t>(from + 24)}, node_id{load_le<std::uint64_t>(from + 32)},
          term_t{load_le<std::uint64_t>(from + 40)}};
}

/// Why there is no message.
constexpr error unread(const verdict& why, std::size_t missing) noexcept {
  error e = why.error();
  if (e.code == errc::incomplete) e.detail = missing;
  return e;
}

/// Reads a frame into a message.
template <checksums Covered>
struct into_message {
  using answer = result<decoded>;
  template <class Body>
  static constexpr answer read(payload in, cluster_id cluster, node_id self, std::size_t limit) noexcept {
    answer out{std::in_place, std::type_identity<Body>{}};
    Body& body = std::get<Body>(out->message.body);
    const auto good = read_frame<Covered>(in, cluster, self, limit, out->bytes, body);
    if (!good) return unread(good, out->bytes);
    const envelope m = read_envelope(in.data());
    out->message.from = m.from;
    out->message.to = m.to;
    out->message.term = m.term;
    return out;
  }
};

/// Reads a frame and calls take(envelope, body).
template <checksums Covered>
struct into_call {
  using answer = result<std::size_t>;
  template <class Body, class Take>
  static constexpr answer read(payload in, cluster_id cluster, node_id self, std::size_t limit, Take& take) {
    Body body{};
    std::size_t bytes = 0;
    const auto good = read_frame<Covered>(in, cluster, self, limit, bytes, body);
    if (!good) return unread(good, bytes);
    take(read_envelope(in.data()), body);
    return bytes;
  }
};

/// Reader::read<Body>(...) for a kind that is known at run time.
template <class Reader, std::size_t Kind = 0, class... Arguments>
constexpr typename Reader::answer read_kind(std::uint8_t kind, payload in, Arguments&&... arguments) {
  if constexpr (Kind == body_kinds) {
    return error{errc::malformed, {}, 0, "a frame of an unknown kind"};
  } else {
    if (kind == Kind) return Reader::template read<body_kind<Kind>>(in, arguments...);
    return read_kind<Reader, Kind + 1>(kind, in, arguments...);
  }
}

/// The same for any frame; the two kinds of the steady state are asked for first.
template <class Reader, class... Arguments>
constexpr typename Reader::answer read_any(payload in, Arguments&&... arguments) {
  if (in.size() < frame_header_bytes) return unread(incomplete_frame, frame_header_bytes - in.size());
  if (in[8] != std::byte{frame_version}) return error{errc::unsupported_version, {}, 0, "a frame of another version"};
  const auto kind = std::to_integer<std::uint8_t>(in[9]);
  if (kind == kind_of<append_entries>()) return Reader::template read<append_entries>(in, arguments...);
  if (kind == kind_of<append_entries_reply>()) return Reader::template read<append_entries_reply>(in, arguments...);
  return read_kind<Reader>(kind, in, arguments...);
}

}  // namespace detail

/// The message in the frame at the beginning of `in`, for node `self` of `cluster`, and how many bytes the frame took.
/// Safe on any bytes at any alignment; copies nothing and, but for entries that carry a configuration (entries::parse
/// decodes those), allocates nothing. O(bytes of the frame). Use the message where the result holds it: a copy of it
/// costs about as much as decoding it did.
///
/// Refuses with
/// - incomplete: at least `error.detail` more bytes are needed. Nothing is wrong so far, but only a header whose check
///   was right (all of the head at hand) is to be relied on;
/// - unsupported_version: not frame_version, and so nothing else was looked at;
/// - checksum: damaged; malformed: no frame of this version, or larger than `limit` bytes;
/// - foreign_cluster; misaddressed: for another node, from `self`, or from nobody.
/// After any refusal but incomplete, a stream has lost its place and is best closed.
template <checksums Covered = checksums::all>
[[nodiscard]] constexpr result<decoded> decode(std::span<const std::byte> in, cluster_id cluster, node_id self,
                                               std::size_t limit = default_frame_limit) noexcept {
  return detail::read_any<detail::into_message<Covered>>(in, cluster, self, limit);
}

/// `decode` without building a message: hands its envelope and body over as take(const envelope&, const Body&), and
/// answers how many bytes the frame took. `node::step` takes them as they come.
template <checksums Covered = checksums::all, class Take>
[[nodiscard]] constexpr result<std::size_t> decode_to(std::span<const std::byte> in, cluster_id cluster, node_id self,
                                                      Take&& take, std::size_t limit = default_frame_limit) {
  return detail::read_any<detail::into_call<Covered>>(in, cluster, self, limit, take);
}

}  // namespace raft
