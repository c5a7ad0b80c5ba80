#pragma once

// The members of the node, out of line: a chapter of the paper each [floor 8]. Included by node.hpp only.

#define RAFT_NODE_TEMPLATE template <class Transport, class Log, class Clock, class StateMachine, class Observer>
#define RAFT_NODE node<Transport, Log, Clock, StateMachine, Observer>

#include <raft/impl/canonical.hpp>
#include <raft/impl/commit.hpp>
#include <raft/impl/election.hpp>
#include <raft/impl/following.hpp>
#include <raft/impl/forwarding.hpp>
#include <raft/impl/leadership.hpp>
#include <raft/impl/membership.hpp>
#include <raft/impl/promotion.hpp>
#include <raft/impl/proposal.hpp>
#include <raft/impl/read.hpp>
#include <raft/impl/remote_read.hpp>
#include <raft/impl/replication.hpp>
#include <raft/impl/settle.hpp>
#include <raft/impl/snapshot.hpp>
#include <raft/impl/step.hpp>
#include <raft/impl/why.hpp>

#undef RAFT_NODE_TEMPLATE
#undef RAFT_NODE
