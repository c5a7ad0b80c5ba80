// CRC-32C: the vectors of RFC 3720, and every way to the value against a bitwise twin written from the definition.

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <raft/crc32c.hpp>

namespace crc32c_test {

namespace {

using raft::detail::crc32c;

/// The definition, bit by bit: reflected division by 0x1EDC6F41, register preset to ones and inverted at the end.
constexpr std::uint32_t bitwise(const std::byte* data, std::size_t size, std::uint32_t seed = 0) {
  std::uint32_t remainder = ~seed;
  for (std::size_t i = 0; i < size; ++i) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      const std::uint32_t in = (std::to_integer<std::uint32_t>(data[i]) >> bit) & 1;
      const bool subtract = ((remainder ^ in) & 1) != 0;
      remainder >>= 1;
      if (subtract) remainder ^= 0x82F63B78;
    }
  }
  return ~remainder;
}

template <std::size_t N, class Make>
constexpr std::array<std::byte, N> filled(Make make) {
  std::array<std::byte, N> out{};
  for (std::size_t i = 0; i < N; ++i) out[i] = static_cast<std::byte>(make(i));
  return out;
}

constexpr auto check_input = filled<9>([](std::size_t i) { return '1' + static_cast<int>(i); });
constexpr auto zeros = filled<32>([](std::size_t) { return 0; });
constexpr auto ones = filled<32>([](std::size_t) { return 0xff; });
constexpr auto rising = filled<32>([](std::size_t i) { return i; });
constexpr auto falling = filled<32>([](std::size_t i) { return 31 - i; });

// The check value, and RFC 3720 B.4 (which prints the bytes in the order of the wire).
static_assert(crc32c(check_input.data(), check_input.size()) == 0xE3069283);
static_assert(crc32c(zeros.data(), zeros.size()) == 0x8A9136AA);
static_assert(crc32c(ones.data(), ones.size()) == 0x62A8AB43);
static_assert(crc32c(rising.data(), rising.size()) == 0x46DD794E);
static_assert(crc32c(falling.data(), falling.size()) == 0x113FDB5C);
static_assert(raft::detail::crc32c_fixed<32>(rising.data()) == 0x46DD794E);
static_assert(crc32c(nullptr, 0) == 0);
static_assert(crc32c(nullptr, 0, 0x1234) == 0x1234);
static_assert(crc32c(rising.data() + 5, 27, crc32c(rising.data(), 5)) == crc32c(rising.data(), 32));

std::vector<std::byte> noise(std::size_t size) {
  std::vector<std::byte> out(size, std::byte{});
  std::uint64_t state = 0x9E3779B97F4A7C15;
  for (auto& b : out) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    b = static_cast<std::byte>(state >> 56);
  }
  return out;
}

using way = std::uint32_t (*)(const std::byte*, std::size_t, std::uint32_t);

/// Every length from `least` to 1000 at every alignment within a cache line that matters, and some that are long, with
/// and without a seed.
void compare_with_twin(way compute, std::size_t least) {
  const auto bytes = noise(40000);
  for (std::size_t size = least; size <= 1000; ++size) {
    const std::size_t shift = size % 67;
    const std::uint32_t seed = size % 2 == 0 ? 0 : 0xDEADBEEF;
    const std::uint32_t expected = bitwise(bytes.data() + shift, size, seed);
    if (compute(bytes.data() + shift, size, seed) != expected) FAIL_CHECK("size ", size, " shift ", shift);
  }
  for (std::size_t shift = 0; shift < 64; ++shift) {
    for (const std::size_t size : {64u, 127u, 200u, 777u}) {
      if (compute(bytes.data() + shift, size, 7) != bitwise(bytes.data() + shift, size, 7)) {
        FAIL_CHECK("size ", size, " shift ", shift);
      }
    }
  }
  for (const std::size_t size : {3071u, 3072u, 3073u, 3264u, 6144u, 9999u, 39999u}) {
    CHECK(compute(bytes.data() + 1, size, 1) == bitwise(bytes.data() + 1, size, 1));
  }
}

/// Every single-bit error changes the value: a register that is ignored somewhere would show here.
void notice_every_bit(way compute, std::size_t size) {
  auto bytes = noise(size);
  const std::uint32_t good = compute(bytes.data(), size, 0);
  for (std::size_t i = 0; i < 8 * size; ++i) {
    const auto bit = static_cast<std::byte>(1u << (i % 8));
    bytes[i / 8] ^= bit;
    if (compute(bytes.data(), size, 0) == good) FAIL_CHECK("bit ", i, " is not covered");
    bytes[i / 8] ^= bit;
  }
}

}  // namespace

TEST_CASE("crc32c: known vectors at run time") {
  CHECK(crc32c(check_input.data(), check_input.size()) == 0xE3069283);
  CHECK(crc32c(zeros.data(), zeros.size()) == 0x8A9136AA);
  CHECK(crc32c(ones.data(), ones.size()) == 0x62A8AB43);
  CHECK(crc32c(rising.data(), rising.size()) == 0x46DD794E);
  CHECK(crc32c(falling.data(), falling.size()) == 0x113FDB5C);
  CHECK(crc32c(nullptr, 0) == 0);
}

TEST_CASE("crc32c: equals the bitwise twin") {
  compare_with_twin([](const std::byte* d, std::size_t n, std::uint32_t s) { return crc32c(d, n, s); }, 0);
}

TEST_CASE("crc32c: a sum in two parts is the sum of the whole, wherever it is cut") {
  const auto bytes = noise(700);
  const std::uint32_t whole = bitwise(bytes.data(), bytes.size());
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    const std::uint32_t front = crc32c(bytes.data(), cut);
    if (crc32c(bytes.data() + cut, bytes.size() - cut, front) != whole) FAIL_CHECK("cut ", cut);
  }
}

TEST_CASE("crc32c: every bit counts") {
  notice_every_bit([](const std::byte* d, std::size_t n, std::uint32_t s) { return crc32c(d, n, s); }, 99);
  notice_every_bit([](const std::byte* d, std::size_t n, std::uint32_t s) { return crc32c(d, n, s); }, 600);
}

TEST_CASE("crc32c_power: up to x^31 one bit, the highest power in the lowest one; x^32 is the rest of the polynomial") {
  using raft::detail::crc32c_power;
  for (std::size_t n = 0; n < 32; ++n) CHECK(crc32c_power(n) == 0x80000000 >> n);
  CHECK(crc32c_power(32) == 0x82F63B78);
  CHECK(crc32c_power(33) == 0x82F63B78 >> 1);
}

TEST_CASE("crc32c_portable: equals the bitwise twin") {
  using raft::detail::crc32c_portable;
  compare_with_twin([](const std::byte* d, std::size_t n, std::uint32_t s) { return crc32c_portable(d, n, s); }, 0);
}

TEST_CASE("crc32c_fixed: equals the bitwise twin") {
  const auto bytes = noise(200);
  const auto compare = [&]<std::size_t... Words>(std::index_sequence<Words...>) {
    using raft::detail::crc32c_fixed;
    return ((crc32c_fixed<8 * Words>(bytes.data() + Words) == bitwise(bytes.data() + Words, 8 * Words)) && ...);
  };
  CHECK(compare(std::make_index_sequence<17>{}));
}

#ifdef RAFT_CRC32C_X86
TEST_CASE("crc32c_sse42: equals the bitwise twin") {
  if (!raft::detail::crc32c_has_sse42()) {
    MESSAGE("not tested: this processor has no SSE 4.2");
    return;
  }
  using raft::detail::crc32c_sse42;
  compare_with_twin([](const std::byte* d, std::size_t n, std::uint32_t s) { return crc32c_sse42(d, n, s); }, 0);
}

TEST_CASE("crc32c_avx512: equals the bitwise twin") {
  if (!raft::detail::crc32c_has_avx512()) {
    MESSAGE("not tested: this processor has no AVX-512 with VPCLMULQDQ");
    return;
  }
  using raft::detail::crc32c_avx512;
  compare_with_twin([](const std::byte* d, std::size_t n, std::uint32_t s) { return crc32c_avx512(d, n, s); }, 64);
}
#endif

}  // namespace crc32c_test
