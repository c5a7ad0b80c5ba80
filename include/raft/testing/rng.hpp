#pragma once

// Chance, from a seed. Every random choice of a simulated run comes from a generator of this kind; equal seeds give
// equal runs on every compiler and machine (no distribution of <random> does, since the standard does not say how they
// count).
//
// Aspects of a run (network, disks, faults, clients) draw from generators of their own, forked from the run's seed, so
// that a change of one aspect leaves the choices of the others alone.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace raft::testing {

/// Spreads the bits of `x` over all 64: a bijection in which each bit of the input moves half of those of the output.
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t x) noexcept {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9ULL;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// A generator of 64-bit numbers; a value, 8 bytes. Not for secrets.
class rng {
 public:
  explicit constexpr rng(std::uint64_t seed) noexcept : state_(mix(seed + 0x9e3779b97f4a7c15ULL)) {}

  constexpr std::uint64_t next() noexcept { return mix(state_ += 0x9e3779b97f4a7c15ULL); }

  /// A number in [0, n), n >= 1; n below 2^32.
  constexpr std::uint64_t below(std::uint64_t n) noexcept { return (next() >> 32) * n >> 32; }

  /// A number in [low, high], both included.
  constexpr std::int64_t between(std::int64_t low, std::int64_t high) noexcept {
    return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low) + 1));
  }

  /// A number in [low, high] whose magnitude is drawn first: as many below 10 as between 10 and 100. low >= 1.
  constexpr std::int64_t log_between(std::int64_t low, std::int64_t high) noexcept {
    const auto bits_low = static_cast<std::int64_t>(std::bit_width(static_cast<std::uint64_t>(low)));
    const auto bits_high = static_cast<std::int64_t>(std::bit_width(static_cast<std::uint64_t>(high)));
    const auto bits = between(bits_low, bits_high);
    const std::int64_t from = std::int64_t{1} << (bits - 1);
    const std::int64_t drawn = between(from, 2 * from - 1);
    return drawn < low ? low : drawn > high ? high : drawn;
  }

  /// True `n` times out of a thousand.
  constexpr bool permille(std::uint64_t n) noexcept { return below(1000) < n; }

  /// One of the values, all equally likely.
  template <class Value>
  constexpr Value one_of(std::initializer_list<Value> values) noexcept {
    return values.begin()[below(values.size())];
  }

  /// A generator whose numbers have nothing to do with this one's; `purpose` tells several apart.
  [[nodiscard]] constexpr rng fork(std::uint64_t purpose) const noexcept { return rng{mix(state_ ^ mix(purpose + 1))}; }

 private:
  std::uint64_t state_;
};

}  // namespace raft::testing
