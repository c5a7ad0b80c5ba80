#pragma once

// Hashes of 128 bits, and a set of them [battery, part of explorer.hpp].
//
// A hash stands for what was hashed: that two of n states share one has a chance of n * n / 2^129, for a hundred
// million states less than one in 10^22. Sums of hashes stand for sets, in any order.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include <raft/bytes.hpp>
#include <raft/types.hpp>

namespace raft::testing {

/// 128 bits; adds without carry between the halves.
struct hash128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  constexpr hash128& operator+=(const hash128& other) noexcept {
    high += other.high;
    low += other.low;
    return *this;
  }
  constexpr hash128& operator-=(const hash128& other) noexcept {
    high -= other.high;
    low -= other.low;
    return *this;
  }
  friend constexpr hash128 operator+(hash128 a, const hash128& b) noexcept { return a += b; }
  friend constexpr auto operator<=>(const hash128&, const hash128&) noexcept = default;
};

namespace detail {

constexpr std::uint64_t mixed(std::uint64_t z) noexcept {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

}  // namespace detail

/// `kind` keeps apart what has equal bytes and is not the same.
[[nodiscard]] constexpr hash128 hash_of(payload bytes, std::uint64_t kind) noexcept {
  std::uint64_t a = 0x243f6a8885a308d3U ^ kind;
  std::uint64_t b = 0x13198a2e03707344U + bytes.size();
  const auto take = [&](std::uint64_t word) {
    a = detail::mixed(a ^ word) + b;
    b = detail::mixed(b + word * 0x9e3779b97f4a7c15U) ^ (a << 23 | a >> 41);
  };
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) take(raft::detail::load_le<std::uint64_t>(bytes.data() + at));
  std::uint64_t rest = 1;
  for (; at < bytes.size(); ++at) rest = rest << 8 | std::to_integer<std::uint64_t>(bytes[at]);
  take(rest);
  return {detail::mixed(a ^ detail::mixed(b)), detail::mixed(b + 0xa4093822299f31d0U) ^ a};
}

/// Held for a few instructions at a time.
class spin_lock {
 public:
  void lock() noexcept {
    while (held_.test_and_set(std::memory_order_acquire)) std::this_thread::yield();
  }
  void unlock() noexcept { held_.clear(std::memory_order_release); }

 private:
  std::atomic_flag held_{};
};

/// A set of hashes for several threads at once. 16 bytes an element, at most 70 % full.
class hash_set {
 public:
  /// Whether it was not there before.
  bool insert(const hash128& h) {
    shard& s = shards_[h.high >> 56];
    s.lock.lock();
    if (10 * (s.count + 1) > 7 * s.slots.size()) grow(s);
    const bool fresh = put(s.slots, h);
    s.count += fresh ? 1 : 0;
    s.lock.unlock();
    return fresh;
  }
  [[nodiscard]] std::size_t size() const noexcept {
    std::size_t sum = 0;
    for (const shard& s : shards_) sum += s.count;
    return sum;
  }

 private:
  struct shard {
    spin_lock lock{};
    std::vector<hash128> slots{};  ///< All zero: free.
    std::size_t count = 0;
  };

  static bool put(std::vector<hash128>& slots, const hash128& h) noexcept {
    const std::size_t mask = slots.size() - 1;
    std::size_t at = h.low & mask;
    for (; slots[at] != hash128{}; at = (at + 1) & mask) {
      if (slots[at] == h) return false;
    }
    slots[at] = h;
    return true;
  }
  static void grow(shard& s) {
    std::vector<hash128> larger(s.slots.empty() ? 64 : 2 * s.slots.size());
    for (const hash128& h : s.slots) {
      if (h != hash128{}) put(larger, h);
    }
    s.slots.swap(larger);
  }

  std::array<shard, 256> shards_{};
};

/// A map from numbers below 2^64 - 1 to small values; what is in it never changes.
template <class Value>
class number_map {
 public:
  /// Null if it is not there; valid until the next insertion.
  [[nodiscard]] const Value* find(std::uint64_t key) const noexcept {
    if (slots_.empty()) return nullptr;
    const slot& found = slots_[place(slots_, key)];
    return found.key == key ? &found.value : nullptr;
  }
  /// The value that was there first stays.
  void insert(std::uint64_t key, const Value& value) {
    if (10 * (count_ + 1) > 7 * slots_.size()) grow();
    slot& free = slots_[place(slots_, key)];
    if (free.key == key) return;
    free = {key, value};
    ++count_;
  }
  [[nodiscard]] std::size_t size() const noexcept { return count_; }

 private:
  static constexpr std::uint64_t none = ~std::uint64_t{0};
  struct slot {
    std::uint64_t key = none;
    Value value{};
  };

  static std::size_t place(const std::vector<slot>& slots, std::uint64_t key) noexcept {
    const std::size_t mask = slots.size() - 1;
    std::size_t at = detail::mixed(key) & mask;
    while (slots[at].key != none && slots[at].key != key) at = (at + 1) & mask;
    return at;
  }
  void grow() {
    std::vector<slot> larger(slots_.empty() ? 64 : 2 * slots_.size());
    for (const slot& full : slots_) {
      if (full.key != none) larger[place(larger, full.key)] = full;
    }
    slots_.swap(larger);
  }

  std::vector<slot> slots_{};
  std::size_t count_ = 0;
};

}  // namespace raft::testing
