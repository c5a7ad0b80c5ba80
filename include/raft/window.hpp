#pragma once

// What is under way, oldest first [floor 2]: a FIFO of (last index, bytes), with the sum of the bytes. It limits
// appends in flight to a follower, uncommitted proposals, and entries handed to a state machine that applies elsewhere.
//
// Invariants: indexes rise; bytes() is the sum over what is held; empty() implies bytes() == 0. The ring grows to a
// high-water mark and stays.

#include <cstddef>
#include <cstdint>
#include <vector>

#include <raft/assert.hpp>
#include <raft/types.hpp>

namespace raft {

class window {
 public:
  [[nodiscard]] constexpr bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] constexpr std::size_t count() const noexcept { return count_; }
  [[nodiscard]] constexpr std::uint64_t bytes() const noexcept { return taken_in_ - released_; }

  /// Takes in what ends at `last`. Amortised O(1). Precondition: last is above every index held.
  constexpr void push(index_t last, std::uint64_t bytes) {
    RAFT_ASSERT(empty() || at(count_ - 1).last < last, "a window takes indexes in rising order");
    if (count_ == mask_ + 1) grow();
    taken_in_ += bytes;
    at(count_) = {last, taken_in_};
    ++count_;
  }

  /// Lets go of all that ends at or below `index`.
  constexpr void release_to(index_t index) noexcept {
    while (count_ != 0 && at(0).last <= index) {
      released_ = at(0).taken_in;
      head_ = (head_ + 1) & mask_;
      --count_;
    }
  }

  constexpr void clear() noexcept {
    head_ = 0;
    count_ = 0;
    released_ = taken_in_;
  }

  /// Its canonical form (canonical.hpp): what is held, not how it lies in memory, nor what was held before.
  template <class Writer>
  constexpr void canonical(Writer& w) const {
    const auto& [ring, mask, head, count, taken_in, released] = *this;
    w(count);
    std::uint64_t before = released;
    for (std::size_t i = 0; i < count; ++i) {
      const item& held = ring[(head + i) & mask];
      w(held.last, held.taken_in - before);
      before = held.taken_in;
    }
  }

 private:
  struct item {
    index_t last{};
    std::uint64_t taken_in = 0;  ///< Bytes up to here, since the beginning.
  };

  constexpr item& at(std::size_t i) noexcept { return ring_[(head_ + i) & mask_]; }

  [[gnu::noinline]] constexpr void grow() {
    std::vector<item> larger(ring_.empty() ? 4 : 2 * ring_.size(), item{});
    for (std::size_t i = 0; i < count_; ++i) larger[i] = at(i);
    ring_.swap(larger);
    mask_ = ring_.size() - 1;
    head_ = 0;
  }

  std::vector<item> ring_{};
  std::size_t mask_ = ~std::size_t{0};  ///< The size of the ring, zero or a power of two, less one.
  std::size_t head_ = 0;
  std::size_t count_ = 0;
  std::uint64_t taken_in_ = 0;
  std::uint64_t released_ = 0;
};

}  // namespace raft
