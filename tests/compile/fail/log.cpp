// A Log compiles as it is; each case takes one requirement away. See ../run.py.
//
// case LACKS_DURABLE_ON_RETURN: stores_hard_state
// case LACKS_DURABLE_ON_RETURN: durable_on_return
// case LACKS_DURABLE_ON_RETURN: a Log needs: static constexpr bool durable_on_return; hard_state(); store()
// case LACKS_HARD_STATE: stores_hard_state
// case LACKS_HARD_STATE: c.hard_state()
// case LACKS_STORE: stores_hard_state
// case LACKS_STORE: l.store(h)
// case STORE_TELLS_NO_MARK: stores_hard_state
// case STORE_TELLS_NO_MARK: a Log needs: static constexpr bool durable_on_return; hard_state(); store()
// case LACKS_FIRST_INDEX: reads_entries
// case LACKS_FIRST_INDEX: c.first_index()
// case LACKS_FIRST_INDEX: a Log needs: first_index, last_index, term_at, view, configurations (all const)
// case LACKS_LAST_INDEX: c.last_index()
// case LACKS_TERM_AT: c.term_at(i)
// case LACKS_VIEW: c.view(i, i, n)
// case LACKS_CONFIGURATIONS: c.configurations()
// case LACKS_APPEND_BATCH: writes_entries
// case LACKS_APPEND_BATCH: l.append(batch)
// case LACKS_APPEND_BATCH: a Log needs: append(entries), append(term, kind, payloads), truncate_from, compact
// case LACKS_APPEND_PAYLOADS: writes_entries
// case LACKS_APPEND_PAYLOADS: l.append(
// case LACKS_TRUNCATE_FROM: l.truncate_from(i)
// case LACKS_COMPACT: l.compact(i)
// case LACKS_SNAPSHOT: keeps_snapshots
// case LACKS_SNAPSHOT: c.snapshot()
// case LACKS_SNAPSHOT: a Log needs: snapshot, read_snapshot, partial, begin_snapshot, write_snapshot, finish_snapshot
// case LACKS_READ_SNAPSHOT: l.read_snapshot(
// case LACKS_PARTIAL: c.partial()
// case LACKS_BEGIN_SNAPSHOT: l.begin_snapshot(m)
// case LACKS_WRITE_SNAPSHOT: l.write_snapshot(bytes)
// case LACKS_FINISH_SNAPSHOT: l.finish_snapshot()
#include <cstdint>
#include <span>

#include <raft/policies.hpp>

struct my_log {
#ifndef LACKS_DURABLE_ON_RETURN
  static constexpr bool durable_on_return = true;
#endif
#ifndef LACKS_HARD_STATE
  raft::hard_state hard_state() const { return {}; }
#endif
#if defined(STORE_TELLS_NO_MARK)
  void store(const raft::hard_state&) {}
#elif !defined(LACKS_STORE)
  raft::result<raft::mark_t> store(const raft::hard_state&) { return raft::mark_t{}; }
#endif

#ifndef LACKS_FIRST_INDEX
  raft::index_t first_index() const { return raft::index_t{1}; }
#endif
#ifndef LACKS_LAST_INDEX
  raft::index_t last_index() const { return raft::index_t{}; }
#endif
#ifndef LACKS_TERM_AT
  raft::term_t term_at(raft::index_t) const { return raft::term_t{}; }
#endif
#ifndef LACKS_VIEW
  raft::result<raft::entries> view(raft::index_t, raft::index_t, std::uint32_t) const { return raft::entries{}; }
#endif
#ifndef LACKS_CONFIGURATIONS
  std::span<const raft::index_t> configurations() const { return {}; }
#endif

#ifndef LACKS_APPEND_BATCH
  raft::result<raft::mark_t> append(const raft::entries&) { return raft::mark_t{}; }
#endif
#ifndef LACKS_APPEND_PAYLOADS
  raft::result<raft::mark_t> append(raft::term_t, raft::entry_kind, std::span<const raft::payload>) {
    return raft::mark_t{};
  }
#endif
#ifndef LACKS_TRUNCATE_FROM
  raft::result<raft::mark_t> truncate_from(raft::index_t) { return raft::mark_t{}; }
#endif
#ifndef LACKS_COMPACT
  raft::result<raft::mark_t> compact(raft::index_t) { return raft::mark_t{}; }
#endif

#ifndef LACKS_SNAPSHOT
  const raft::snapshot_meta& snapshot() const { return meta; }
#endif
#ifndef LACKS_READ_SNAPSHOT
  raft::result<raft::payload> read_snapshot(std::uint64_t, std::uint32_t) { return raft::payload{}; }
#endif
#ifndef LACKS_PARTIAL
  raft::partial_snapshot partial() const { return {}; }
#endif
#ifndef LACKS_BEGIN_SNAPSHOT
  raft::result<void> begin_snapshot(const raft::snapshot_meta&) { return {}; }
#endif
#ifndef LACKS_WRITE_SNAPSHOT
  raft::result<void> write_snapshot(raft::payload) { return {}; }
#endif
#ifndef LACKS_FINISH_SNAPSHOT
  raft::result<raft::mark_t> finish_snapshot() { return raft::mark_t{}; }
#endif

  raft::snapshot_meta meta{};
};

static_assert(raft::log_policy<my_log>);
static_assert(raft::explain_log<my_log>());
