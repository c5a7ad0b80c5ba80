#pragma once

// A node's state as one value [floor 5], for gauges, tests and people. It owns what it holds.

#include <cstdint>
#include <vector>

#include <raft/configuration.hpp>
#include <raft/progress.hpp>
#include <raft/result.hpp>
#include <raft/role.hpp>
#include <raft/types.hpp>

namespace raft {

/// What the leader knows of one member; see `progress`.
template <class TimePoint>
struct peer_status {
  node_id id{};
  index_t match{};
  index_t next{};
  progress_state state{};
  std::size_t inflight_messages = 0;
  std::uint64_t inflight_bytes = 0;
  bool paused = false;  ///< Nothing more is sent until an answer comes.
  TimePoint heard_at{};
};

template <class TimePoint>
struct status {
  node_id id{};
  role_kind role{};
  term_t term{};
  node_id voted_for{};
  node_id leader{};
  index_t commit_index{};
  index_t last_applied{};
  index_t first_index{};
  index_t last_index{};
  index_t durable_index{};  ///< Entries up to here are durable on this node.
  index_t snapshot_index{};
  term_t snapshot_term{};
  raft::configuration configuration{};
  index_t configuration_index{};  ///< The entry that put it in force; zero for one that came with a snapshot.
  bool failed = false;
  error failure{};
  TimePoint deadline{};
  node_id transfer_target{};      ///< Whom leadership is being handed to; nobody if to nobody.
  TimePoint transfer_deadline{};  ///< When that ends at the latest.
  bool evacuating = false;
  std::uint32_t priority = 0;  ///< As far as it counts now: it grows with each election timeout without a leader.
  std::uint64_t uncommitted_bytes = 0;
  std::size_t pending_reads = 0;
  std::size_t waiting_messages = 0;             ///< That have not left yet, because what they speak for is not durable.
  std::vector<peer_status<TimePoint>> peers{};  ///< Empty unless leader.
};

}  // namespace raft
