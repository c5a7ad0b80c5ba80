#pragma once

// A few ids in an answer [floor 2]: owned, without memory of their own, and bounded.

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

#include <raft/types.hpp>

namespace raft {

/// Some servers: the first ones by id, and how many there are in all.
struct some_servers {
  static constexpr std::size_t shown = 8;
  std::array<node_id, shown> ids{};
  std::size_t count = 0;

  constexpr void add(node_id id) noexcept {
    if (count < shown) ids[count] = id;
    ++count;
  }
  [[nodiscard]] constexpr std::span<const node_id> first() const noexcept {
    return std::span{ids}.first(std::min(count, shown));
  }
  [[nodiscard]] constexpr bool holds(node_id id) const noexcept {
    return std::ranges::find(first(), id) != first().end();
  }
  friend constexpr bool operator==(const some_servers&, const some_servers&) = default;
};

}  // namespace raft
