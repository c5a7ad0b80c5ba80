#pragma once

// A node with policies that do as little as a policy can, and hold nothing: what is measured is the engine.

#include <cstdint>
#include <span>

#include <raft/raft.hpp>

namespace bench {

struct empty_transport {
  void send(const raft::message&) noexcept {}
};

struct empty_clock {
  using duration = std::int64_t;
  using time_point = std::int64_t;
  [[nodiscard]] time_point now() const noexcept { return 0; }
};

struct empty_machine {
  void apply(const raft::entry&) noexcept {}
  template <class Sink>
  raft::result<void> write_snapshot(Sink&&) noexcept {
    return {};
  }
  template <class Source>
  raft::result<void> restore(Source&&) noexcept {
    return {};
  }
};

/// A Log that holds nothing and does nothing; its functions are elsewhere, so that no call of them is left out.
struct empty_log {
  static constexpr bool durable_on_return = true;
  raft::hard_state hard_state() const;
  raft::result<raft::mark_t> store(const raft::hard_state&);
  raft::index_t first_index() const;
  raft::index_t last_index() const;
  raft::term_t term_at(raft::index_t) const;
  raft::result<raft::entries> view(raft::index_t, raft::index_t, std::uint32_t) const;
  std::span<const raft::index_t> configurations() const;
  raft::result<raft::mark_t> append(const raft::entries&);
  raft::result<raft::mark_t> append(raft::term_t, raft::entry_kind, std::span<const raft::payload>);
  raft::result<raft::mark_t> truncate_from(raft::index_t);
  raft::result<raft::mark_t> compact(raft::index_t);
  const raft::snapshot_meta& snapshot() const;
  raft::result<raft::payload> read_snapshot(std::uint64_t, std::uint32_t);
  raft::partial_snapshot partial() const;
  raft::result<void> begin_snapshot(const raft::snapshot_meta&);
  raft::result<void> write_snapshot(raft::payload);
  raft::result<raft::mark_t> finish_snapshot();
};

using empty_node = raft::node<empty_transport, empty_log, empty_clock, empty_machine>;

}  // namespace bench
