#pragma once

// A line of the node's table of handlers [floor 6]: for one kind of message, what each role does with it.

#include <raft/message.hpp>
#include <raft/result.hpp>

namespace raft::detail {

/// Invariant: there is a handler for every role.
template <class Node, class Body>
struct row {
  using handler = verdict (Node::*)(const envelope&, const Body&);
  constexpr row(handler as_follower, handler as_pre_candidate, handler as_candidate, handler as_leader)
      : role{as_follower, as_pre_candidate, as_candidate, as_leader} {}
  handler role[4];  ///< In the order of role_kind.
};

}  // namespace raft::detail
