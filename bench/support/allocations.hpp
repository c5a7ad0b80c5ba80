#pragma once

// Counts heap allocations, and says who made them. The global operators new and delete are replaced in
// allocations.cpp.

#include <array>
#include <cstddef>
#include <cstdint>

namespace bench {

/// Allocations since the start of the program, by owner: 0 is the harness, k is node k.
class allocations {
 public:
  static constexpr std::size_t owners = 16;

  /// Everything allocated from here on is on this owner's account. Precondition: owner < owners.
  static void charge_to(std::size_t owner) noexcept { owner_ = owner; }
  static void count() noexcept {
    ++counts_[owner_];
    ++held_;
  }
  static void count_freed() noexcept { --held_; }
  [[nodiscard]] static std::uint64_t of(std::size_t owner) noexcept { return counts_[owner]; }
  /// Of all nodes together.
  [[nodiscard]] static std::uint64_t of_nodes() noexcept {
    std::uint64_t sum = 0;
    for (std::size_t k = 1; k < owners; ++k) sum += counts_[k];
    return sum;
  }

  /// How many there are that nobody has freed.
  [[nodiscard]] static std::uint64_t held() noexcept { return held_; }

 private:
  static inline std::uint64_t held_ = 0;
  static inline std::array<std::uint64_t, owners> counts_{};
  static inline std::size_t owner_ = 0;
};

}  // namespace bench
