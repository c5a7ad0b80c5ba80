#pragma once

// The nouns that everything is counted in [floor 1]: term, index, node id, write mark. Each is a type of its own, so
// that a term passed where an index belongs does not compile. They convert from and to a number only when asked.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>

namespace raft {

/// A term: the logical clock of the protocol [paper §5.1]. Zero is "before the first election".
struct term_t {
  std::uint64_t value = 0;

  constexpr term_t() noexcept = default;
  explicit constexpr term_t(std::uint64_t v) noexcept : value(v) {}
  [[nodiscard]] constexpr term_t next() const noexcept { return term_t{value + 1}; }
  friend constexpr auto operator<=>(const term_t&, const term_t&) noexcept = default;
};

/// A position in the log; the first entry has index 1, and zero is "before the log" [paper §5.3].
struct index_t {
  std::uint64_t value = 0;

  constexpr index_t() noexcept = default;
  explicit constexpr index_t(std::uint64_t v) noexcept : value(v) {}
  [[nodiscard]] constexpr index_t next() const noexcept { return index_t{value + 1}; }
  /// The index before this one; the index before zero is zero.
  [[nodiscard]] constexpr index_t previous() const noexcept { return index_t{value == 0 ? 0 : value - 1}; }
  friend constexpr auto operator<=>(const index_t&, const index_t&) noexcept = default;
  friend constexpr index_t operator+(index_t i, std::uint64_t n) noexcept { return index_t{i.value + n}; }
  /// How many entries lie in (b, a]. Precondition: b <= a.
  friend constexpr std::uint64_t operator-(index_t a, index_t b) noexcept { return a.value - b.value; }
};

/// The name of a server, chosen by whoever configures the cluster and never used twice. Zero is "nobody".
struct node_id {
  std::uint64_t value = 0;

  constexpr node_id() noexcept = default;
  explicit constexpr node_id(std::uint64_t v) noexcept : value(v) {}
  friend constexpr auto operator<=>(const node_id&, const node_id&) noexcept = default;
};

/// Nobody: no leader known, no vote given.
inline constexpr node_id nobody{};

/// The number of a write to the Log: each write of one Log has the mark after that of the write before it. A mark, not
/// an index, is what durability is reported by: an entry that was truncated and appended again has another mark.
struct mark_t {
  std::uint64_t value = 0;

  constexpr mark_t() noexcept = default;
  explicit constexpr mark_t(std::uint64_t v) noexcept : value(v) {}
  friend constexpr auto operator<=>(const mark_t&, const mark_t&) noexcept = default;
};

/// Bytes that somebody else owns. How long they stay valid is said where a payload is handed over.
using payload = std::span<const std::byte>;

}  // namespace raft
