// Numbers in bytes, little-endian whatever the machine.

#include <doctest/doctest.h>
#include <raft/bytes.hpp>

#include <array>

namespace bytes_test {

using namespace raft::detail;

namespace {

template <class Number>
constexpr bool round_trips(Number n) {
  std::array<std::byte, 16> room{};
  store_le<Number>(room.data() + 3, n);  // not aligned
  return load_le<Number>(room.data() + 3) == n;
}

constexpr bool all_round_trip() {
  return round_trips<std::uint8_t>(0xAB) && round_trips<std::uint16_t>(0xABCD) &&
         round_trips<std::uint32_t>(0xDEADBEEF) && round_trips<std::uint64_t>(0x0123456789ABCDEF) &&
         round_trips<std::uint64_t>(UINT64_MAX) && round_trips<std::uint64_t>(0);
}
static_assert(all_round_trip());  // the way of constant evaluation

}  // namespace

TEST_CASE("store_le, load_le: what was stored is loaded, aligned or not") { CHECK(all_round_trip()); }

TEST_CASE("store_le: the lowest byte comes first") {
  std::array<std::byte, 4> room{};
  store_le<std::uint32_t>(room.data(), 0x04030201);
  for (std::size_t i = 0; i < 4; ++i) CHECK(std::to_integer<std::size_t>(room[i]) == i + 1);
  constexpr auto in_constants = [] {
    std::array<std::byte, 4> out{};
    store_le<std::uint32_t>(out.data(), 0x04030201);
    return out;
  }();
  CHECK(room == in_constants);
  CHECK(load_le<std::uint16_t>(room.data() + 1) == 0x0302);
}

TEST_CASE("copy_bytes, zero_bytes: exactly so many bytes, and none of null") {
  const std::array<std::byte, 4> from{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  std::array<std::byte, 6> to{};
  to.fill(std::byte{9});
  copy_bytes(to.data() + 1, from.data(), 3);
  CHECK(to == std::array{std::byte{9}, std::byte{1}, std::byte{2}, std::byte{3}, std::byte{9}, std::byte{9}});
  zero_bytes(to.data() + 2, 2);
  CHECK(to == std::array{std::byte{9}, std::byte{1}, std::byte{0}, std::byte{0}, std::byte{9}, std::byte{9}});
  copy_bytes(nullptr, nullptr, 0);
  zero_bytes(nullptr, 0);
}

}  // namespace bytes_test
