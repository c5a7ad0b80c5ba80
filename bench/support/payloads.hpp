#pragma once

// What is proposed: a window's payloads, over and over. They are few, so that the source of every copy, the floor's as
// well as the cluster's, lies in the cache: what is measured is what becomes of a payload, not where it came from.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace bench {

class payloads {
 public:
  static constexpr std::size_t different = 16;

  /// A window of `count` payloads of `size` bytes. Precondition: size >= 1.
  payloads(std::size_t count, std::size_t size) : bytes_(different * size, std::byte{0x5a}), size_(size) {
    for (std::size_t k = 0; k < different; ++k) bytes_[k * size] = static_cast<std::byte>(3 * k + 1);
    for (std::size_t k = 0; k < count; ++k) {
      window_.emplace_back(bytes_.data() + k % different * size, size);
      sum_ += static_cast<std::uint64_t>(window_.back().front());
    }
  }
  payloads(const payloads&) = delete;  // The window points into the bytes.
  payloads& operator=(const payloads&) = delete;

  [[nodiscard]] std::span<const std::span<const std::byte>> window() const noexcept { return window_; }
  [[nodiscard]] std::size_t count() const noexcept { return window_.size(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// The sum of the first bytes of a window.
  [[nodiscard]] std::uint64_t sum() const noexcept { return sum_; }

 private:
  std::vector<std::byte> bytes_;
  std::size_t size_;
  std::vector<std::span<const std::byte>> window_{};
  std::uint64_t sum_ = 0;
};

}  // namespace bench
