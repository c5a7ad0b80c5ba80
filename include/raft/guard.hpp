#pragma once

// What guards the way in [floor 1]: numbers that no cluster reaches, and calls that come from inside a call.

#include <cstdint>

#include <raft/assert.hpp>

namespace raft::detail {

/// Terms and indexes above this are refused, so that arithmetic on them cannot overflow.
inline constexpr std::uint64_t number_limit = std::uint64_t{1} << 62;

/// Marks a node as busy during a call, so that a policy that calls back is found out.
class entered {
 public:
  explicit constexpr entered(bool& inside) : inside_(inside) {
    RAFT_ASSERT(!inside_, "a policy does not call back into the node");
    inside_ = true;
  }
  constexpr ~entered() { inside_ = false; }
  entered(const entered&) = delete;
  entered& operator=(const entered&) = delete;

 private:
  bool& inside_;
};

}  // namespace raft::detail
