#pragma once

// The byte forms on disk of file_log's segments, all little-endian.
//
//   segment   log-<sequence>
//     header  {magic u64, crc u32, version u32, identity u64, sequence u64, number of the first batch u64, epoch u32,
//              length u32, before u32, 0 u32, state}, padded to a multiple of 512; then batches back to back
//     batch   {crc of the header u32, crc of the items u32, length u32, sequence u32, number u64, durable u64,
//              epoch u32, before u32, items}
//       item  {length u32, kind u32, what the kind says}; lengths are multiples of 8
//   synced    {magic u64, identity u64, number u64, 0 u32, crc u32}
//
// A batch is what one sync makes durable: all of it or, after a crash, none. Each checksum of a batch starts from the
// log's identity, a random number that no client knows, so that bytes inside a payload never pass for a batch, nor does
// a batch of another log. Batches are numbered through the life of the log; one sector rewritten, dropped, doubled or
// swapped breaks the sequence of numbers. Each opening draws an epoch, and says with all that it writes which one was
// before: so the openings are a chain, and what one of them left behind the end of the log, or in a file that is used
// again, is never taken for what a later one writes there, even if a failure of power took the links between (without
// syncs any of them may be gone). The first opening of a log has epoch 1, and 0 before it.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <raft/bytes.hpp>
#include <raft/configuration.hpp>
#include <raft/crc32c.hpp>
#include <raft/result.hpp>
#include <raft/storage.hpp>
#include <raft/types.hpp>

namespace raft::detail::wal {

inline constexpr std::uint64_t segment_magic = 0x31474F4C54464152;  // "RAFTLOG1"
inline constexpr std::uint64_t synced_magic = 0x434E595354464152;   // "RAFTSYNC"
inline constexpr std::uint32_t format_version = 2;
inline constexpr std::size_t sector_bytes = 512;
inline constexpr std::size_t batch_header_bytes = 40;
inline constexpr std::size_t item_header_bytes = 8;
inline constexpr std::size_t synced_bytes = 32;

[[nodiscard]] constexpr std::size_t round_up(std::size_t n, std::size_t to) noexcept { return (n + to - 1) / to * to; }

/// The start of every checksum in a log with this identity.
[[nodiscard]] constexpr std::uint32_t seed_of(std::uint64_t identity) noexcept {
  return static_cast<std::uint32_t>(identity ^ (identity >> 32));
}

[[nodiscard]] inline raft::error damaged(std::uint64_t offset, const char* what) noexcept {
  return {errc::corrupt, {}, offset, what};
}

// ---------------------------------------------------------------------------------------------------- writing, reading

/// Bytes that grow at the end and are not set before they are written, which is what distinguishes it from a vector.
class byte_buffer {
 public:
  [[nodiscard]] std::byte* data() noexcept { return bytes_.get(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// Room for n more bytes, to be written by the caller; valid until the next call.
  std::byte* grow(std::size_t n) {
    if (n > capacity_ - size_) {
      const std::size_t capacity = std::max(size_ + n, 2 * capacity_);
      std::unique_ptr<std::byte[]> larger{new std::byte[capacity]};
      copy_bytes(larger.get(), bytes_.get(), size_);
      bytes_ = std::move(larger);
      capacity_ = capacity;
    }
    size_ += n;
    return bytes_.get() + size_ - n;
  }

  /// Precondition: n <= size().
  void shrink(std::size_t n) noexcept { size_ = n; }

 private:
  std::unique_ptr<std::byte[]> bytes_{};
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

inline void put(byte_buffer& out, std::uint64_t n) { store_le(out.grow(8), n); }

inline void put(std::vector<std::byte>& out, std::uint64_t n) {
  const std::size_t at = out.size();
  out.resize(at + 8);
  store_le(out.data() + at, n);
}

/// Takes numbers and bytes from the front of a range; `good` turns false when more is asked for than is there.
struct cursor {
  const std::byte* at;
  std::size_t left;
  bool good = true;

  std::uint64_t number() noexcept {
    const payload eight = bytes(8);
    return good ? load_le<std::uint64_t>(eight.data()) : 0;
  }
  payload bytes(std::uint64_t n) noexcept {
    good = good && n <= left;
    if (!good) return {};
    const payload taken{at, static_cast<std::size_t>(n)};
    at += n;
    left -= static_cast<std::size_t>(n);
    return taken;
  }
};

// ---------------------------------------------------------------------------------------------------- small state

/// All of a log's state but its entries: what each segment begins with, so that the segments before it may go.
struct small_state {
  hard_state hard{};
  index_t base{};  ///< The index before the first entry,
  term_t base_term{};
  index_t last{};  ///< and that of the last one.
  term_t last_term{};
  snapshot_meta snapshot{};
  friend bool operator==(const small_state&, const small_state&) = default;
};

/// Whether a log can be in this state: base <= snapshot <= last, terms along them never fall, and where two of them are
/// the same entry, or none, so are their terms; and where there is no snapshot there is no image.
[[nodiscard]] inline bool consistent(const small_state& s) noexcept {
  const auto follows = [](index_t a, term_t a_term, index_t b, term_t b_term) {
    return a < b ? a_term <= b_term : a == b && a_term == b_term;
  };
  return follows(index_t{}, term_t{}, s.base, s.base_term) &&
         follows(s.base, s.base_term, s.snapshot.index, s.snapshot.term) &&
         follows(s.snapshot.index, s.snapshot.term, s.last, s.last_term) &&
         (s.snapshot.index != index_t{} || (s.snapshot.size == 0 && s.snapshot.id == 0));
}

template <class Bytes>
void put(Bytes& out, const hard_state& h) {
  put(out, h.current_term.value);
  put(out, h.voted_for.value);
  put(out, h.commit_hint.value);
}

inline hard_state take_hard_state(cursor& in) noexcept {
  hard_state h;
  h.current_term = term_t{in.number()};
  h.voted_for = node_id{in.number()};
  h.commit_hint = index_t{in.number()};
  return h;
}

/// {index, term, size, id, length of the configuration's byte form} and that, padded to a multiple of 8.
inline void put(std::vector<std::byte>& out, const snapshot_meta& m) {
  put(out, m.index.value);
  put(out, m.term.value);
  put(out, m.size);
  put(out, m.id);
  const std::size_t at = out.size();
  put(out, std::uint64_t{0});
  encode(m.configuration, out);
  store_le<std::uint64_t>(out.data() + at, out.size() - at - 8);
  out.resize(at + 8 + round_up(out.size() - at - 8, 8));
}

inline snapshot_meta take_snapshot_meta(cursor& in) {
  snapshot_meta m;
  m.index = index_t{in.number()};
  m.term = term_t{in.number()};
  m.size = in.number();
  m.id = in.number();
  const std::uint64_t length = in.number();
  auto c = decode_configuration(in.bytes(length));
  in.bytes((8 - length % 8) % 8);
  if (c) {
    m.configuration = std::move(*c);
  } else {
    in.good = false;
  }
  return m;
}

/// The byte form of a small_state, of the log `log`.
template <class Log>
void put_small_state(std::vector<std::byte>& out, const Log& log) {
  const index_t base = log.first_index().previous();
  put(out, log.hard_state());
  put(out, base.value);
  put(out, log.term_at(base).value);
  put(out, log.last_index().value);
  put(out, log.term_at(log.last_index()).value);
  put(out, log.snapshot());
}

inline small_state take_small_state(cursor& in) {
  small_state s;
  s.hard = take_hard_state(in);
  s.base = index_t{in.number()};
  s.base_term = term_t{in.number()};
  s.last = index_t{in.number()};
  s.last_term = term_t{in.number()};
  s.snapshot = take_snapshot_meta(in);
  return s;
}

// ---------------------------------------------------------------------------------------------------- segment

struct segment_header {
  std::uint64_t identity = 0;
  std::uint64_t sequence = 0;
  std::uint64_t first_batch = 0;  ///< The number of the first batch in it: all before it are synced, and elsewhere.
  std::uint32_t epoch = 0;        ///< Of the opening that began it,
  std::uint32_t before = 0;       ///< and of the one before that.
  std::size_t data_offset = 0;    ///< Where the batches begin.
  small_state state{};            ///< As it was before the first batch.
};

inline constexpr std::size_t segment_header_bytes = 56;
/// More than the state in any header takes.
inline constexpr std::size_t segment_header_limit = std::size_t{1} << 20;

/// The bytes of a segment's header, padding included. `state` is the byte form of a small_state.
inline void encode_segment_header(std::vector<std::byte>& out, const segment_header& h,
                                  const std::vector<std::byte>& state) {
  out.clear();
  put(out, segment_magic);
  put(out, std::uint64_t{format_version} << 32);
  put(out, h.identity);
  put(out, h.sequence);
  put(out, h.first_batch);
  put(out, h.epoch | std::uint64_t{state.size()} << 32);
  put(out, std::uint64_t{h.before});
  out.insert(out.end(), state.begin(), state.end());
  store_le(out.data() + 8, crc32c(out.data() + 12, out.size() - 12));
  out.resize(round_up(out.size(), sector_bytes));
}

/// Reads the header at the beginning of `bytes`: all of the file, or segment_header_limit bytes of it at least.
inline result<segment_header> decode_segment_header(payload bytes) {
  if (bytes.size() < segment_header_bytes) return damaged(0, "a segment ends inside its header");
  const std::byte* const at = bytes.data();
  if (load_le<std::uint64_t>(at) != segment_magic) return damaged(0, "a segment does not begin as one");
  const std::size_t end = segment_header_bytes + load_le<std::uint32_t>(at + 44);
  if (end > segment_header_limit) return damaged(44, "the header of a segment is damaged");
  if (end > bytes.size()) return damaged(0, "a segment ends inside its header");
  if (load_le<std::uint32_t>(at + 8) != crc32c(at + 12, end - 12)) {
    return damaged(8, "the header of a segment is damaged");
  }
  if (load_le<std::uint32_t>(at + 12) != format_version) {
    return {errc::unsupported_version, "a segment of a version that this build does not read"};
  }
  cursor in{at + 16, end - 16};
  segment_header h;
  h.identity = in.number();
  h.sequence = in.number();
  h.first_batch = in.number();
  h.epoch = static_cast<std::uint32_t>(in.number());
  h.before = static_cast<std::uint32_t>(in.number());
  h.data_offset = round_up(end, sector_bytes);
  h.state = take_small_state(in);
  if (!in.good || in.left != 0) return damaged(segment_header_bytes, "the state in a segment's header is malformed");
  return h;
}

// ---------------------------------------------------------------------------------------------------- batch

struct batch_header {
  std::uint32_t body_crc = 0;
  std::uint32_t length = 0;    ///< Of the items, in bytes.
  std::uint32_t sequence = 0;  ///< The low half of the segment's.
  std::uint64_t number = 0;
  std::uint64_t durable = 0;  ///< When this was written, all batches up to this number were synced.
  std::uint32_t epoch = 0;    ///< Of the opening that wrote it,
  std::uint32_t before = 0;   ///< and of the one before that.
};

/// Fills in the header of a batch, whose items follow it in the same bytes.
inline void seal_batch(std::byte* batch, std::size_t size, const batch_header& h, std::uint32_t seed) noexcept {
  store_le(batch + 4, crc32c(batch + batch_header_bytes, size - batch_header_bytes, seed));
  store_le(batch + 8, static_cast<std::uint32_t>(size - batch_header_bytes));
  store_le(batch + 12, h.sequence);
  store_le(batch + 16, h.number);
  store_le(batch + 24, h.durable);
  store_le(batch + 32, h.epoch);
  store_le(batch + 36, h.before);
  store_le(batch, crc32c(batch + 4, batch_header_bytes - 4, seed));
}

/// Whether a batch's header lies at `at`; if so, it is in `h`. What may lie there is anything: zeros, an old batch,
/// half of one.
inline bool read_batch_header(const std::byte* at, std::uint32_t seed, batch_header& h) noexcept {
  if (load_le<std::uint32_t>(at) != crc32c(at + 4, batch_header_bytes - 4, seed)) return false;
  h = {load_le<std::uint32_t>(at + 4),  load_le<std::uint32_t>(at + 8),  load_le<std::uint32_t>(at + 12),
       load_le<std::uint64_t>(at + 16), load_le<std::uint64_t>(at + 24), load_le<std::uint32_t>(at + 32),
       load_le<std::uint32_t>(at + 36)};
  return true;
}

/// What an item says.
enum class item : std::uint32_t {
  entries = 1,     ///< {first index, count}, and the entries in their wire form
  truncation = 2,  ///< {the first index that goes, the term of the one before it}
  hard_state = 3,  ///< {term, vote, commit hint}
  compaction = 4,  ///< {the last index that goes, its term}
  snapshot = 5,    ///< {1 if the log was replaced, else 0}, and the meta
};

template <class Bytes>
void put_item(Bytes& out, item kind, std::size_t length) {
  put(out, length | std::uint64_t{static_cast<std::uint32_t>(kind)} << 32);
}

// ---------------------------------------------------------------------------------------------------- synced

inline void encode_synced(std::byte* to, std::uint64_t identity, std::uint64_t number) noexcept {
  store_le(to, synced_magic);
  store_le(to + 8, identity);
  store_le(to + 16, number);
  store_le(to + 24, std::uint32_t{0});
  store_le(to + 28, crc32c(to, 28));
}

/// The number in it, or zero if these are no such bytes: they are written without a sync, so anything may be there.
inline std::uint64_t decode_synced(payload bytes, std::uint64_t identity) noexcept {
  if (bytes.size() < synced_bytes || load_le<std::uint32_t>(bytes.data() + 28) != crc32c(bytes.data(), 28)) return 0;
  if (load_le<std::uint64_t>(bytes.data()) != synced_magic) return 0;
  return load_le<std::uint64_t>(bytes.data() + 8) == identity ? load_le<std::uint64_t>(bytes.data() + 16) : 0;
}

// ---------------------------------------------------------------------------------------------------- names

/// A prefix and 16 hexadecimal digits.
inline std::string name_of(const char* prefix, std::uint64_t number) {
  std::string name{prefix};
  for (int shift = 60; shift >= 0; shift -= 4) name += "0123456789abcdef"[(number >> shift) & 15];
  return name;
}

/// Whether `name` is such a name; if so, the number is in `number`.
inline bool parse_name(std::string_view name, std::string_view prefix, std::uint64_t& number) noexcept {
  if (name.size() != prefix.size() + 16 || !name.starts_with(prefix)) return false;
  number = 0;
  for (std::size_t i = prefix.size(); i < name.size(); ++i) {
    const char c = name[i];
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return false;
    number = number << 4 | static_cast<std::uint64_t>(digit);
  }
  return true;
}

}  // namespace raft::detail::wal
