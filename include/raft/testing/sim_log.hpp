#pragma once

// The Log of a simulated server: a handle to its disk (disk.hpp).

#include <cstdint>
#include <span>

#include <raft/policies.hpp>
#include <raft/testing/disk.hpp>

namespace raft::testing {

/// The disk must outlive it. `Deferred` says whether writes are
/// durable later than on return, and must be the disk's own answer.
template <bool Deferred>
class sim_log {
 public:
  static constexpr bool durable_on_return = !Deferred;

  explicit sim_log(disk& d) noexcept : disk_(&d) {}

  [[nodiscard]] const raft::hard_state& hard_state() const noexcept { return disk_->stored(); }
  result<mark_t> store(const raft::hard_state& h) { return disk_->store(h); }

  [[nodiscard]] index_t first_index() const noexcept { return disk_->first_index(); }
  [[nodiscard]] index_t last_index() const noexcept { return disk_->last_index(); }
  [[nodiscard]] term_t term_at(index_t i) const noexcept { return disk_->term_at(i); }
  [[nodiscard]] result<entries> view(index_t from, index_t to, std::uint32_t max_bytes) const {
    return disk_->view(from, to, max_bytes);
  }
  [[nodiscard]] std::span<const index_t> configurations() const noexcept { return disk_->configurations(); }

  result<mark_t> append(const entries& batch) { return disk_->append(batch); }
  result<mark_t> append(term_t term, entry_kind kind, std::span<const payload> payloads) {
    return disk_->append(term, kind, payloads);
  }
  result<mark_t> truncate_from(index_t i) { return disk_->truncate_from(i); }
  result<mark_t> compact(index_t i) { return disk_->compact(i); }

  [[nodiscard]] const snapshot_meta& snapshot() const noexcept { return disk_->snapshot(); }
  result<payload> read_snapshot(std::uint64_t offset, std::uint32_t max) { return disk_->read_snapshot(offset, max); }
  [[nodiscard]] const partial_snapshot& partial() const noexcept { return disk_->partial(); }
  result<void> begin_snapshot(const snapshot_meta& meta) { return disk_->begin_snapshot(meta); }
  result<void> write_snapshot(payload bytes) { return disk_->write_snapshot(bytes); }
  result<mark_t> finish_snapshot() { return disk_->finish_snapshot(); }

 private:
  disk* disk_;
};

static_assert(log_policy<sim_log<true>>);
static_assert(log_policy<sim_log<false>>);

}  // namespace raft::testing
