// A node compiles as it is; in each case one of its policies lacks one requirement, and the compiler says which policy
// and which part. See ../run.py.
//
// case TRANSPORT_LACKS_SEND: the first argument of raft::node is no Transport
// case TRANSPORT_LACKS_SEND: sends_messages
// case LOG_LACKS_COMPACT: the second argument of raft::node is no Log
// case LOG_LACKS_COMPACT: writes_entries
// case CLOCK_LACKS_NOW: the third argument of raft::node is no Clock
// case CLOCK_LACKS_NOW: tells_time
// case STATE_MACHINE_LACKS_RESTORE: the fourth argument of raft::node is no StateMachine
// case STATE_MACHINE_LACKS_RESTORE: restores_snapshots
#include <cstdint>

#include <raft/memory_log.hpp>
#include <raft/raft.hpp>

struct my_transport {
#ifndef TRANSPORT_LACKS_SEND
  void send(const raft::message&) {}
#endif
};

struct my_log : raft::memory_log {
#ifdef LOG_LACKS_COMPACT
  void compact(raft::index_t) = delete;
#endif
};

struct my_clock {
  using duration = std::int64_t;
  using time_point = std::int64_t;
#ifndef CLOCK_LACKS_NOW
  std::int64_t now() const { return 0; }
#endif
};

struct my_machine {
  void apply(const raft::entry&) {}
  raft::result<void> write_snapshot(auto&&) { return {}; }
#ifndef STATE_MACHINE_LACKS_RESTORE
  raft::result<void> restore(auto&&) { return {}; }
#endif
};

static_assert(sizeof(raft::node<my_transport, my_log, my_clock, my_machine>) > 0);
