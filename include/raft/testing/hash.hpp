#pragma once

// Hashes of 64 bits: of bytes, of entries, of chains of entries, and of a whole run. They decide nothing that matters
// outside a test: two entries that differ have the same one with a chance of 2^-64.

#include <cstddef>
#include <cstdint>

#include <raft/bytes.hpp>
#include <raft/entry.hpp>
#include <raft/types.hpp>

#include <raft/testing/rng.hpp>

namespace raft::testing {

/// Folds `value` into `hash`, which has to be a hash already: of two small numbers it would make equal ones.
[[nodiscard]] constexpr std::uint64_t combine(std::uint64_t hash, std::uint64_t value) noexcept {
  hash = (hash ^ value) * 0x9fb21c651e98df25ULL;
  return hash ^ (hash >> 32);
}

[[nodiscard]] constexpr std::uint64_t hash_bytes(payload bytes, std::uint64_t hash = 0x2545f4914f6cdd1dULL) noexcept {
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) hash = combine(hash, raft::detail::load_le<std::uint64_t>(bytes.data() + at));
  std::uint64_t rest = bytes.size() << 56;
  for (; at < bytes.size(); ++at) rest = rest << 8 ^ std::to_integer<std::uint64_t>(bytes[at]);
  return mix(combine(hash, rest));
}

/// Of the entry's term, kind and bytes; not of its index.
[[nodiscard]] constexpr std::uint64_t hash_entry(const entry& e) noexcept {
  return hash_bytes(e.data, mix(e.term.value * 8 + static_cast<std::uint64_t>(e.kind)));
}

/// What a whole run was: every event is folded in. Two runs that differ anywhere differ here.
class trace_hash {
 public:
  constexpr void add(std::uint64_t value) noexcept { value_ = combine(value_, value); }
  [[nodiscard]] constexpr std::uint64_t value() const noexcept { return mix(value_); }

 private:
  std::uint64_t value_ = 0x6a09e667f3bcc909ULL;
};

}  // namespace raft::testing
