#pragma once

// A queue in one piece of memory that is used again: pushing allocates only while it grows to its high-water mark.

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace kv {

template <class T>
class fifo {
 public:
  void push(T value) { items_.push_back(std::move(value)); }
  [[nodiscard]] bool empty() const noexcept { return begin_ == items_.size(); }
  [[nodiscard]] std::size_t size() const noexcept { return items_.size() - begin_; }
  /// Precondition: not empty.
  T& front() noexcept { return items_[begin_]; }
  /// Counted from the front. Precondition: i < size().
  T& operator[](std::size_t i) noexcept { return items_[begin_ + i]; }
  [[nodiscard]] std::span<T> all() noexcept { return std::span<T>{items_}.subspan(begin_); }

  /// Precondition: not empty. O(1) on average: what is left moves to the front once it is the smaller part.
  void pop() {
    ++begin_;
    if (begin_ == items_.size()) {
      items_.clear();
      begin_ = 0;
    } else if (begin_ >= 64 && begin_ * 2 > items_.size()) {
      items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(begin_));
      begin_ = 0;
    }
  }

 private:
  std::vector<T> items_{};
  std::size_t begin_ = 0;
};

}  // namespace kv
