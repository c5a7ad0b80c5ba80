#pragma once

// What both of the two translation units see: every header, and the smallest policies that make a node.
#include <cstdint>
#include <utility>

#include "all_headers.hpp"

struct deaf_transport {
  void send(const raft::message&) {}
};

struct stopped_clock {
  using duration = std::int64_t;
  using time_point = std::int64_t;
  std::int64_t now() const { return 0; }
};

struct empty_machine {
  void apply(const raft::entry&) {}
  raft::result<void> write_snapshot(auto&& sink) { return sink(raft::payload{}); }
  raft::result<void> restore(auto&& source) {
    const raft::result<raft::payload> bytes = source();
    return bytes ? raft::result<void>{} : bytes.error();
  }
};

using smallest_node = raft::node<deaf_transport, raft::memory_log, stopped_clock, empty_machine>;

/// A server that is the only voter and leads at once; its commit index.
inline raft::index_t commit_index_of_a_single_voter() {
  raft::memory_log log{{.voters = {raft::node_id{1}}}};
  raft::result<smallest_node> node = smallest_node::create(raft::node_id{1}, {}, 1, {}, std::move(log), {}, {});
  if (!node) return {};
  node->campaign();
  return node->status().commit_index;
}
