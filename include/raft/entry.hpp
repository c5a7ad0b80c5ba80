#pragma once

// One log entry, and a run of entries in their wire form [floor 4].
//
// Entries have ONE byte form, in a Log's memory, on the wire and on disk: a 16-byte header {term u64, length u32,
// kind u8, three zero bytes} and the payload, padded with zeros to a multiple of 8. So a batch is sent, appended and
// stored by copying one block. An entry's index is not in its bytes: it follows from the place of the batch.
//
// Invariants of `entries`: the entries tile the bytes exactly; kinds are known; terms never fall; last_term is the
// term of the last one. Only `parse` (which checks) and `trusted` (a Log, from its own memory) make one.

#include <cstddef>
#include <cstdint>

#include <raft/bytes.hpp>
#include <raft/configuration.hpp>
#include <raft/result.hpp>
#include <raft/types.hpp>

namespace raft {

/// What an entry is for.
enum class entry_kind : std::uint8_t {
  command = 1,        ///< The client's; applied to the state machine.
  no_op = 2,          ///< A new leader's first entry, by which it commits what it inherited [paper §8].
  configuration = 3,  ///< A membership; in force from the moment it is in the log [paper §6].
};

/// One entry as the engine hands it out. `data` views memory of the Log (or of a message) and is valid during the call
/// that hands it over.
struct entry {
  index_t index{};
  term_t term{};
  entry_kind kind = entry_kind::command;
  payload data{};
};

/// Bytes of the header before each payload.
inline constexpr std::size_t entry_header_bytes = 16;

/// The largest payload that the byte form can carry.
inline constexpr std::size_t entry_payload_limit = std::size_t{1} << 30;
static_assert(entry_payload_limit >> 30 == 1, "entries::check compares lengths by their bits from 30 on");

/// How many bytes an entry with a payload of `length` bytes takes in its wire form.
[[nodiscard]] constexpr std::size_t entry_bytes(std::size_t length) noexcept {
  return entry_header_bytes + ((length + 7) & ~std::size_t{7});
}

/// Writes the 16 bytes before a payload of `length` bytes.
constexpr void write_entry_header(std::byte* to, term_t term, entry_kind kind, std::size_t length) noexcept {
  detail::store_le<std::uint64_t>(to, term.value);
  detail::store_le<std::uint64_t>(to + 8, length | (std::uint64_t{static_cast<std::uint8_t>(kind)} << 32));
}

/// Writes a whole entry, padding included: entry_bytes(data.size()) bytes.
constexpr void write_entry(std::byte* to, term_t term, entry_kind kind, payload data) noexcept {
  write_entry_header(to, term, kind, data.size());
  detail::copy_bytes(to + entry_header_bytes, data.data(), data.size());
  const std::size_t end = entry_header_bytes + data.size();
  detail::zero_bytes(to + end, entry_bytes(data.size()) - end);
}

/// Reads the entry whose wire form begins at `from`. Precondition: a whole, valid entry lies there.
[[nodiscard]] constexpr entry read_entry(const std::byte* from, index_t index) noexcept {
  const auto second = detail::load_le<std::uint64_t>(from + 8);
  return {index, term_t{detail::load_le<std::uint64_t>(from)}, static_cast<entry_kind>(second >> 32),
          payload{from + entry_header_bytes, static_cast<std::size_t>(second & 0xffffffff)}};
}

/// A run of consecutive entries in their wire form, in somebody else's memory: as valid as that memory. 24 bytes.
class entries {
 public:
  /// No entries.
  constexpr entries() noexcept = default;

  /// Checks bytes from outside: O(count), refuses anything that is not exactly `count` whole entries with known kinds,
  /// terms that never fall, and legal configurations (the only case that allocates, and frees).
  static constexpr result<entries> parse(const std::byte* data, std::size_t bytes, std::uint32_t count) noexcept {
    term_t last{};
    if (const auto whole = check(data, bytes, count, last); !whole) return whole.error();
    return entries{data, static_cast<std::uint32_t>(bytes), count, last};
  }

  /// For a Log, about its own memory. Precondition: what `parse` checks; `last` is the term of the last entry.
  static constexpr entries trusted(const std::byte* data, std::uint32_t bytes, std::uint32_t count,
                                   term_t last) noexcept {
    return entries{data, bytes, count, last};
  }

  [[nodiscard]] constexpr bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] constexpr std::uint32_t count() const noexcept { return count_; }
  [[nodiscard]] constexpr std::uint32_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] constexpr const std::byte* data() const noexcept { return data_; }
  /// Precondition: not empty.
  [[nodiscard]] constexpr term_t first_term() const noexcept { return term_t{detail::load_le<std::uint64_t>(data_)}; }
  /// Zero if empty.
  [[nodiscard]] constexpr term_t last_term() const noexcept { return last_term_; }

  /// Calls visit(const entry&) for each, in order; the first one has index `first`. O(count).
  template <class Visit>
  constexpr void for_each(index_t first, Visit&& visit) const {
    const std::byte* at = data_;
    const index_t end = first + count_;
    for (index_t i = first; i < end; i = i.next()) {
      const entry e = read_entry(at, i);
      at += entry_bytes(e.data.size());
      visit(e);
    }
  }

  /// The entries from the `skip`th on. O(skip). Precondition: skip <= count().
  [[nodiscard]] constexpr entries from(std::uint32_t skip) const noexcept {
    const std::byte* at = data_;
    for (std::uint32_t i = 0; i < skip; ++i) at += entry_bytes(read_entry(at, index_t{}).data.size());
    const auto left = bytes_ - static_cast<std::uint32_t>(at - data_);
    return entries{at, left, count_ - skip, skip == count_ ? term_t{} : last_term_};
  }

  /// Equal bytes (not: equal addresses).
  friend constexpr bool operator==(const entries& a, const entries& b) noexcept {
    if (a.count_ != b.count_ || a.bytes_ != b.bytes_) return false;
    for (std::uint32_t i = 0; i < a.bytes_; ++i) {
      if (a.data_[i] != b.data_[i]) return false;
    }
    return true;
  }

 private:
  /// The hot loop of a follower: it notes whether anything is there but commands below the limit (which is 2^30).
  static constexpr detail::verdict check(const std::byte* data, std::size_t bytes, std::uint32_t count,
                                         term_t& last) noexcept {
    if (bytes > UINT32_MAX) return {errc::malformed, "a batch of entries larger than its length field"};
    const std::byte* at = data;
    std::uint64_t highest = 0;
    std::uint64_t rare = 0;
    for (std::uint32_t left = count; left != 0; --left) {
      if (bytes < entry_header_bytes) return {errc::malformed, "a batch of entries ends inside a header"};
      const auto term = detail::load_le<std::uint64_t>(at);
      const auto second = detail::load_le<std::uint64_t>(at + 8);
      const std::size_t size = entry_bytes(second & 0xffffffff);
      if (bytes < size) return {errc::malformed, "a batch of entries ends inside a payload"};
      if (term < highest) return {errc::malformed, "the terms of a batch of entries fall"};
      rare |= second ^ std::uint64_t{static_cast<std::uint8_t>(entry_kind::command)} << 32;
      highest = term;
      at += size;
      bytes -= size;
    }
    if (bytes != 0) return {errc::malformed, "bytes left over behind a batch of entries"};
    last = term_t{highest};
    return rare >> 30 == 0 ? detail::verdict{} : check_rare(data, count);
  }

  /// A second walk, over entries that tile their bytes, for what is seldom among them.
  [[gnu::noinline]] static constexpr detail::verdict check_rare(const std::byte* data, std::uint32_t count) noexcept {
    for (; count != 0; --count) {
      if (const auto legal = check_one(data); !legal) return legal;
      data += entry_bytes(detail::load_le<std::uint32_t>(data + 8));
    }
    return {};
  }

  /// Precondition: all of the entry is there, unless it is above the limit.
  static constexpr detail::verdict check_one(const std::byte* data) noexcept {
    const auto second = detail::load_le<std::uint64_t>(data + 8);
    const std::uint64_t kind = second >> 32;
    if ((second & 0xffffffff) > entry_payload_limit) return {errc::malformed, "a payload above entry_payload_limit"};
    if (kind == static_cast<std::uint64_t>(entry_kind::command)) return {};
    if (kind == static_cast<std::uint64_t>(entry_kind::no_op)) return {};
    if (kind != static_cast<std::uint64_t>(entry_kind::configuration)) {
      return {errc::malformed, "an entry of an unknown kind"};
    }
    const auto legal = decode_configuration(read_entry(data, index_t{}).data);
    return legal ? detail::verdict{} : legal.error();
  }

  constexpr entries(const std::byte* data, std::uint32_t bytes, std::uint32_t count, term_t last) noexcept
      : data_(data), bytes_(bytes), count_(count), last_term_(last) {}

  const std::byte* data_ = nullptr;
  std::uint32_t bytes_ = 0;
  std::uint32_t count_ = 0;
  term_t last_term_{};
};

}  // namespace raft
