#pragma once

// Numbers in bytes and copies of bytes [floor 1]: little-endian whatever the machine, usable in constant evaluation,
// and a plain load or memcpy at run time. Everything that has a byte form (entry, configuration, codec, file) uses
// these.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace raft::detail {

template <class Number>
constexpr Number load_le(const std::byte* from) noexcept {
  if (!std::is_constant_evaluated()) {
    if constexpr (std::endian::native == std::endian::little) {
      Number n;
      std::memcpy(&n, from, sizeof n);
      return n;
    }
  }
  Number n = 0;
  for (std::size_t i = 0; i < sizeof(Number); ++i) {
    n = static_cast<Number>(n | static_cast<Number>(static_cast<Number>(from[i]) << (8 * i)));
  }
  return n;
}

template <class Number>
constexpr void store_le(std::byte* to, Number n) noexcept {
  if (!std::is_constant_evaluated()) {
    if constexpr (std::endian::native == std::endian::little) {
      std::memcpy(to, &n, sizeof n);
      return;
    }
  }
  for (std::size_t i = 0; i < sizeof(Number); ++i) to[i] = static_cast<std::byte>((n >> (8 * i)) & 0xff);
}

/// Copies `n` bytes; `n` may be zero with null pointers. The ranges must not overlap.
constexpr void copy_bytes(std::byte* to, const std::byte* from, std::size_t n) noexcept {
  if (std::is_constant_evaluated()) {
    for (std::size_t i = 0; i < n; ++i) to[i] = from[i];
  } else if (n != 0) {
    std::memcpy(to, from, n);
  }
}

/// copy_bytes that spares the call where a payload or an entry is small: 16 to 32 bytes are two words that overlap.
constexpr void copy_few(std::byte* to, const std::byte* from, std::size_t n) noexcept {
  constexpr std::size_t word = 16;
  if (std::is_constant_evaluated() || n < word || n > 2 * word) return copy_bytes(to, from, n);
  std::byte first[word];
  std::byte last[word];
  std::memcpy(first, from, word);
  std::memcpy(last, from + n - word, word);
  std::memcpy(to, first, word);
  std::memcpy(to + n - word, last, word);
}

/// Sets `n` bytes to zero.
constexpr void zero_bytes(std::byte* to, std::size_t n) noexcept {
  if (std::is_constant_evaluated()) {
    for (std::size_t i = 0; i < n; ++i) to[i] = std::byte{0};
  } else if (n != 0) {
    std::memset(to, 0, n);
  }
}

}  // namespace raft::detail
