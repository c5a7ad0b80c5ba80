#pragma once

// Numbers and strings as bytes: the small language in which commands stand in the log and state in a snapshot. A number
// is 7 bits a byte, least significant first, the high bit set on all but the last; a string is its length and its
// bytes.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace kv {

/// Views of the same memory, as the engine and as strings see it.
inline std::string_view as_text(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline std::span<const std::byte> as_payload(std::string_view text) noexcept {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

/// The most bytes that a number takes.
inline constexpr std::size_t number_bytes = 10;

/// Writes a number at `to`; answers where it ends.
inline char* put_number(char* to, std::uint64_t n) noexcept {
  while (n >= 0x80) {
    *to++ = static_cast<char>((n & 0x7f) | 0x80);
    n >>= 7;
  }
  *to++ = static_cast<char>(n);
  return to;
}

inline void put_number(std::string& out, std::uint64_t n) {
  char bytes[number_bytes];
  out.append(bytes, static_cast<std::size_t>(put_number(bytes, n) - bytes));
}

inline void put_string(std::string& out, std::string_view text) {
  put_number(out, text.size());
  out.append(text);
}

/// Takes what the functions above wrote off the front of `bytes`. Each answers whether it was there; if not, `bytes` is
/// in no defined place and the whole is to be refused.
inline bool take_number(std::string_view& bytes, std::uint64_t& n) noexcept {
  n = 0;
  for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    if (shift == 63 && byte > 1) return false;
    n |= std::uint64_t{byte & 0x7fU} << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

inline bool take_string(std::string_view& bytes, std::string_view& text) noexcept {
  std::uint64_t size = 0;
  if (!take_number(bytes, size) || size > bytes.size()) return false;
  text = bytes.substr(0, static_cast<std::size_t>(size));
  bytes.remove_prefix(text.size());
  return true;
}

}  // namespace kv
