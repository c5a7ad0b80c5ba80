#pragma once

// CRC-32C (Castagnoli; that of RFC 3720), for the codec and for files [floor 2]. Beside the engine: no engine header
// includes it.
//
// One value, four ways to it: a table (any machine, and constant evaluation), the crc32 instruction of SSE4.2 on
// several streams at once, folding by 512-bit carry-less multiplication, and the instruction of ARMv8. `crc32c` takes
// the best that the running processor has: no global of ours is involved, and before the compiler's own feature table
// is filled (static initialisation) it merely takes a slower way to the same value.
//
// Polynomials are bit-reflected throughout: bit i of a 32-bit remainder is the coefficient of x^(31-i).

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include <raft/bytes.hpp>

#if defined(__x86_64__) && defined(__GNUC__)
#define RAFT_CRC32C_X86 1
#include <nmmintrin.h>
#include <wmmintrin.h>
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#define RAFT_CRC32C_ARM 1
#include <arm_acle.h>
#endif

namespace raft::detail {

inline constexpr std::uint32_t crc32c_polynomial = 0x82F63B78;

/// `remainder` times x, modulo the polynomial.
constexpr std::uint32_t crc32c_times_x(std::uint32_t remainder) noexcept {
  return (remainder >> 1) ^ ((remainder & 1) != 0 ? crc32c_polynomial : 0);
}

/// x^n modulo the polynomial. O(n).
constexpr std::uint32_t crc32c_power(std::size_t n) noexcept {
  std::uint32_t power = 0x80000000;
  for (; n > 0; --n) power = crc32c_times_x(power);
  return power;
}

/// [k][b]: what byte b, followed by k zero bytes, adds to the remainder; so eight bytes are taken in one step.
inline constexpr auto crc32c_tables = [] {
  std::array<std::array<std::uint32_t, 256>, 8> t{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t remainder = b;
    for (int bit = 0; bit < 8; ++bit) remainder = crc32c_times_x(remainder);
    t[0][b] = remainder;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t b = 0; b < 256; ++b) t[k][b] = (t[k - 1][b] >> 8) ^ t[0][t[k - 1][b] & 0xff];
  }
  return t;
}();

/// The portable way. 8 bytes a step at run time, one in constant evaluation.
constexpr std::uint32_t crc32c_portable(const std::byte* data, std::size_t size, std::uint32_t seed = 0) noexcept {
  const auto& t = crc32c_tables;
  std::uint32_t crc = ~seed;
  if (!std::is_constant_evaluated()) {
    for (; size >= 8; data += 8, size -= 8) {
      const std::uint64_t w = load_le<std::uint64_t>(data) ^ crc;
      crc = t[7][w & 0xff] ^ t[6][(w >> 8) & 0xff] ^ t[5][(w >> 16) & 0xff] ^ t[4][(w >> 24) & 0xff] ^
            t[3][(w >> 32) & 0xff] ^ t[2][(w >> 40) & 0xff] ^ t[1][(w >> 48) & 0xff] ^
            t[0][static_cast<std::size_t>(w >> 56)];
    }
  }
  for (std::size_t i = 0; i < size; ++i) {
    crc = (crc >> 8) ^ t[0][(crc ^ std::to_integer<std::uint32_t>(data[i])) & 0xff];
  }
  return ~crc;
}

#ifdef RAFT_CRC32C_X86

#define RAFT_CRC32C_SSE42 __attribute__((target("sse4.2,pclmul")))
#define RAFT_CRC32C_AVX512 __attribute__((target("sse4.2,pclmul,avx512f,vpclmulqdq")))

/// Less than 8 bytes at the end; `crc` is the raw remainder, not inverted.
RAFT_CRC32C_SSE42 inline std::uint32_t crc32c_sse42_tail(const std::byte* data, std::size_t size,
                                                         std::uint32_t crc) noexcept {
  if ((size & 4) != 0) {
    crc = _mm_crc32_u32(crc, load_le<std::uint32_t>(data));
    data += 4;
  }
  if ((size & 2) != 0) {
    crc = _mm_crc32_u16(crc, load_le<std::uint16_t>(data));
    data += 2;
  }
  if ((size & 1) != 0) crc = _mm_crc32_u8(crc, std::to_integer<std::uint8_t>(*data));
  return crc;
}

/// One stream: 8 bytes every 3 cycles, and the best for less than about 128 bytes.
RAFT_CRC32C_SSE42 inline std::uint32_t crc32c_sse42_small(const std::byte* data, std::size_t size,
                                                          std::uint32_t crc) noexcept {
  std::uint64_t remainder = crc;
  for (; size >= 32; data += 32, size -= 32) {
    remainder = _mm_crc32_u64(remainder, load_le<std::uint64_t>(data));
    remainder = _mm_crc32_u64(remainder, load_le<std::uint64_t>(data + 8));
    remainder = _mm_crc32_u64(remainder, load_le<std::uint64_t>(data + 16));
    remainder = _mm_crc32_u64(remainder, load_le<std::uint64_t>(data + 24));
  }
  for (; size >= 8; data += 8, size -= 8) remainder = _mm_crc32_u64(remainder, load_le<std::uint64_t>(data));
  crc = static_cast<std::uint32_t>(remainder);
  return size == 0 ? crc : crc32c_sse42_tail(data, size, crc);
}

/// One stream of so many words, without a loop.
template <std::size_t... Word>
RAFT_CRC32C_SSE42 inline std::uint32_t crc32c_sse42_words(const std::byte* data,
                                                          std::index_sequence<Word...>) noexcept {
  std::uint64_t remainder = ~std::uint32_t{0};
  ((remainder = _mm_crc32_u64(remainder, load_le<std::uint64_t>(data + 8 * Word))), ...);
  return ~static_cast<std::uint32_t>(remainder);
}

/// The remainder of `crc` followed by `Bytes` zero bytes. The product of two reflected remainders is one x too high in
/// 64 bits, and the crc32 instruction multiplies by x^32: hence the 33.
template <std::size_t Bytes>
RAFT_CRC32C_SSE42 inline std::uint64_t crc32c_sse42_shift(std::uint64_t crc) noexcept {
  constexpr std::uint32_t power = crc32c_power(8 * Bytes - 33);
  const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<std::int64_t>(crc)),
                                               _mm_cvtsi64_si128(static_cast<std::int64_t>(power)), 0);
  return _mm_crc32_u64(0, static_cast<std::uint64_t>(_mm_cvtsi128_si64(product)));
}

/// Takes 3 * Stream bytes at a time, as three independent streams (the instruction takes 3 cycles, and one can start
/// every cycle), and leaves less than that.
template <std::size_t Stream>
RAFT_CRC32C_SSE42 inline std::uint32_t crc32c_sse42_blocks(const std::byte*& data, std::size_t& size,
                                                           std::uint32_t crc) noexcept {
  std::uint64_t first = crc;
  for (; size >= 3 * Stream; data += 3 * Stream, size -= 3 * Stream) {
    std::uint64_t second = 0;
    std::uint64_t third = 0;
#pragma GCC unroll 8
    for (std::size_t i = 0; i < Stream; i += 8) {
      first = _mm_crc32_u64(first, load_le<std::uint64_t>(data + i));
      second = _mm_crc32_u64(second, load_le<std::uint64_t>(data + Stream + i));
      third = _mm_crc32_u64(third, load_le<std::uint64_t>(data + 2 * Stream + i));
    }
    first = crc32c_sse42_shift<2 * Stream>(first) ^ crc32c_sse42_shift<Stream>(second) ^ third;
  }
  return static_cast<std::uint32_t>(first);
}

/// SSE4.2 and PCLMULQDQ (every x86-64 processor since 2010). Precondition: the processor has them.
RAFT_CRC32C_SSE42 inline std::uint32_t crc32c_sse42(const std::byte* data, std::size_t size,
                                                    std::uint32_t seed = 0) noexcept {
  std::uint32_t crc = ~seed;
  if (size >= 3 * 64) {
    crc = crc32c_sse42_blocks<1024>(data, size, crc);
    crc = crc32c_sse42_blocks<64>(data, size, crc);
  }
  return ~crc32c_sse42_small(data, size, crc);
}

using crc32c_lanes = std::uint64_t __attribute__((vector_size(64)));

/// In each 128-bit lane, the product of one half of `a` and one of `b`: 0x00 the low halves, 0x11 the high ones. (By
/// hand, because <immintrin.h> takes a translation unit 0.2 to 0.4 s to read.)
template <int Halves>
RAFT_CRC32C_AVX512 inline crc32c_lanes crc32c_multiply(crc32c_lanes a, crc32c_lanes b) noexcept {
  crc32c_lanes product;
  asm("vpclmulqdq %3, %2, %1, %0" : "=v"(product) : "v"(a), "v"(b), "i"(Halves));  // NOLINT(hicpp-no-assembler)
  return product;
}

RAFT_CRC32C_AVX512 inline crc32c_lanes crc32c_load(const std::byte* from) noexcept {
  crc32c_lanes lanes;
  std::memcpy(&lanes, from, sizeof lanes);
  return lanes;
}

/// A lane's low half stands 64 bits higher than its high half; the product of reflected 64-bit factors is one x too
/// high. A lane times the pair is a lane that stands `bytes` further on.
constexpr std::array<std::uint64_t, 2> crc32c_fold_pair(std::size_t bytes) noexcept {
  return {std::uint64_t{crc32c_power(8 * bytes + 63)} << 32, std::uint64_t{crc32c_power(8 * bytes - 1)} << 32};
}

/// Every lane moved on by `Bytes`.
template <std::size_t Bytes>
RAFT_CRC32C_AVX512 inline crc32c_lanes crc32c_fold(crc32c_lanes lanes) noexcept {
  constexpr auto k = crc32c_fold_pair(Bytes);
  constexpr crc32c_lanes factors = {k[0], k[1], k[0], k[1], k[0], k[1], k[0], k[1]};
  return crc32c_multiply<0x00>(lanes, factors) ^ crc32c_multiply<0x11>(lanes, factors);
}

/// The remainder of 64 bytes: three lanes are moved onto the last one, whose 16 bytes the crc32 instruction takes.
RAFT_CRC32C_AVX512 inline std::uint32_t crc32c_fold_down(crc32c_lanes lanes) noexcept {
  constexpr auto a = crc32c_fold_pair(48);
  constexpr auto b = crc32c_fold_pair(32);
  constexpr auto c = crc32c_fold_pair(16);
  constexpr crc32c_lanes factors = {a[0], a[1], b[0], b[1], c[0], c[1], 0, 0};
  const crc32c_lanes moved = crc32c_multiply<0x00>(lanes, factors) ^ crc32c_multiply<0x11>(lanes, factors);
  const std::uint64_t low = moved[0] ^ moved[2] ^ moved[4] ^ lanes[6];
  const std::uint64_t high = moved[1] ^ moved[3] ^ moved[5] ^ lanes[7];
  return static_cast<std::uint32_t>(_mm_crc32_u64(_mm_crc32_u64(0, low), high));
}

/// 512-bit folding, 256 bytes a step. Preconditions: the processor has it; size >= 64.
RAFT_CRC32C_AVX512 inline std::uint32_t crc32c_avx512(const std::byte* data, std::size_t size,
                                                      std::uint32_t seed = 0) noexcept {
  crc32c_lanes sum = crc32c_load(data) ^ crc32c_lanes {
    std::uint32_t { ~seed }
  };
  if (size >= 256) {
    crc32c_lanes second = crc32c_load(data + 64);
    crc32c_lanes third = crc32c_load(data + 128);
    crc32c_lanes fourth = crc32c_load(data + 192);
    for (data += 256, size -= 256; size >= 256; data += 256, size -= 256) {
      sum = crc32c_fold<256>(sum) ^ crc32c_load(data);
      second = crc32c_fold<256>(second) ^ crc32c_load(data + 64);
      third = crc32c_fold<256>(third) ^ crc32c_load(data + 128);
      fourth = crc32c_fold<256>(fourth) ^ crc32c_load(data + 192);
    }
    sum = crc32c_fold<192>(sum) ^ crc32c_fold<128>(second) ^ crc32c_fold<64>(third) ^ fourth;
  } else {
    data += 64;
    size -= 64;
  }
  for (; size >= 64; data += 64, size -= 64) sum = crc32c_fold<64>(sum) ^ crc32c_load(data);
  return ~crc32c_sse42_small(data, size, crc32c_fold_down(sum));
}

/// Whether crc32c_sse42 may be called: known when the compiler was told, else a load and a test.
inline bool crc32c_has_sse42() noexcept {
#if defined(__SSE4_2__) && defined(__PCLMUL__)
  return true;
#else
  return __builtin_cpu_supports("sse4.2") != 0 && __builtin_cpu_supports("pclmul") != 0;
#endif
}

/// Whether crc32c_avx512 may be called.
inline bool crc32c_has_avx512() noexcept {
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("vpclmulqdq") != 0;
}

/// Kept out of line, because it would crowd the registers of whoever asks for a checksum.
[[gnu::cold, gnu::noinline]] inline std::uint32_t crc32c_without_sse42(const std::byte* data, std::size_t size,
                                                                       std::uint32_t seed) noexcept {
  return crc32c_portable(data, size, seed);
}

inline std::uint32_t crc32c_best(const std::byte* data, std::size_t size, std::uint32_t seed) noexcept {
  if (!crc32c_has_sse42()) return crc32c_without_sse42(data, size, seed);
  if (size < 128) return ~crc32c_sse42_small(data, size, ~seed);
  return crc32c_has_avx512() ? crc32c_avx512(data, size, seed) : crc32c_sse42(data, size, seed);
}

template <std::size_t Size>
inline std::uint32_t crc32c_best_fixed(const std::byte* data) noexcept {
  if (!crc32c_has_sse42()) return crc32c_without_sse42(data, Size, 0);
  return crc32c_sse42_words(data, std::make_index_sequence<Size / 8>{});
}

#undef RAFT_CRC32C_SSE42
#undef RAFT_CRC32C_AVX512

#elif defined(RAFT_CRC32C_ARM)

/// The crc32c instructions of ARMv8, which the compiler was told to use.
inline std::uint32_t crc32c_best(const std::byte* data, std::size_t size, std::uint32_t seed) noexcept {
  std::uint32_t crc = ~seed;
  for (; size >= 8; data += 8, size -= 8) crc = __crc32cd(crc, load_le<std::uint64_t>(data));
  for (; size > 0; ++data, --size) crc = __crc32cb(crc, std::to_integer<std::uint8_t>(*data));
  return ~crc;
}

template <std::size_t Size>
inline std::uint32_t crc32c_best_fixed(const std::byte* data) noexcept {
  return crc32c_best(data, Size, 0);
}

#else

inline std::uint32_t crc32c_best(const std::byte* data, std::size_t size, std::uint32_t seed) noexcept {
  return crc32c_portable(data, size, seed);
}

template <std::size_t Size>
inline std::uint32_t crc32c_best_fixed(const std::byte* data) noexcept {
  return crc32c_portable(data, Size);
}

#endif

/// The CRC-32C of `size` bytes; the value for "123456789" is 0xE3069283. `seed` is the value of the bytes before them:
/// crc32c(b, crc32c(a)) == crc32c(a followed by b). `data` may be null if `size` is zero. Any alignment, any thread.
constexpr std::uint32_t crc32c(const std::byte* data, std::size_t size, std::uint32_t seed = 0) noexcept {
  if (std::is_constant_evaluated()) return crc32c_portable(data, size, seed);
  return crc32c_best(data, size, seed);
}

/// crc32c(data, Size) for a small size that the compiler knows, a multiple of 8.
template <std::size_t Size>
constexpr std::uint32_t crc32c_fixed(const std::byte* data) noexcept {
  static_assert(Size % 8 == 0 && Size <= 128, "more is better done by crc32c");
  if (std::is_constant_evaluated()) return crc32c_portable(data, Size);
  return crc32c_best_fixed<Size>(data);
}

}  // namespace raft::detail
