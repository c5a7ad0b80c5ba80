#pragma once

// Bytes that are gathered and dropped together. Unlike a string it does not fill new room with zeros first.

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>

namespace kv {

class arena {
 public:
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::string_view view() const noexcept { return {data_.get(), size_}; }

  /// Room for `bytes` more, behind what is there; used(n) says how many of them were written.
  char* room(std::size_t bytes) {
    if (capacity_ - size_ < bytes) grow(size_ + bytes);
    return data_.get() + size_;
  }
  void used(std::size_t bytes) noexcept { size_ += bytes; }

  /// Memory is kept, but not much more than usual work needs.
  void clear() {
    size_ = 0;
    if (capacity_ > most_kept) *this = {};
  }

 private:
  static constexpr std::size_t most_kept = std::size_t{16} << 20;

  void grow(std::size_t needed) {
    const std::size_t capacity = std::max(needed, std::max(2 * capacity_, std::size_t{4096}));
    std::unique_ptr<char[]> larger{new char[capacity]};
    if (size_ != 0) std::memcpy(larger.get(), data_.get(), size_);
    data_ = std::move(larger);
    capacity_ = capacity;
  }

  std::unique_ptr<char[]> data_{};
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace kv
