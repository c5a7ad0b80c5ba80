// A StateMachine compiles as it is; each case takes one requirement away. See ../run.py.
//
// case LACKS_APPLY: applies_entries
// case LACKS_APPLY: m.apply(e)
// case LACKS_APPLY: a StateMachine needs: void apply(const raft::entry&)
// case LACKS_WRITE_SNAPSHOT: writes_snapshots
// case LACKS_WRITE_SNAPSHOT: m.write_snapshot(sink)
// case LACKS_WRITE_SNAPSHOT: a StateMachine needs: raft::result<void> write_snapshot(sink)
// case WRITE_SNAPSHOT_HIDES_ERRORS: writes_snapshots
// case WRITE_SNAPSHOT_HIDES_ERRORS: a StateMachine needs: raft::result<void> write_snapshot(sink)
// case LACKS_RESTORE: restores_snapshots
// case LACKS_RESTORE: m.restore(source)
// case LACKS_RESTORE: a StateMachine needs: raft::result<void> restore(source)
#include <raft/policies.hpp>

struct my_machine {
#ifndef LACKS_APPLY
  void apply(const raft::entry&) {}
#endif
#if defined(WRITE_SNAPSHOT_HIDES_ERRORS)
  void write_snapshot(auto&& sink) { static_cast<void>(sink(raft::payload{})); }
#elif !defined(LACKS_WRITE_SNAPSHOT)
  raft::result<void> write_snapshot(auto&& sink) { return sink(raft::payload{}); }
#endif
#ifndef LACKS_RESTORE
  raft::result<void> restore(auto&& source) {
    const auto bytes = source();
    return bytes ? raft::result<void>{} : bytes.error();
  }
#endif
};

static_assert(raft::state_machine_policy<my_machine>);
static_assert(raft::explain_state_machine<my_machine>());
