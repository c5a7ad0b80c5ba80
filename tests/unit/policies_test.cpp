// The four policies as concepts: what satisfies them, and which part each omission fails.

#include <doctest/doctest.h>
#include <raft/policies.hpp>

#include <chrono>

#include "support/recorder.hpp"
#include "support/test_log.hpp"

namespace policies_test {

using namespace raft;

namespace {

struct transport {
  void send(const message&) {}
};
struct mute {};
static_assert(transport_policy<transport> && !transport_policy<mute>);
static_assert(!sends_bodies<transport>);

struct body_transport : transport {
  using transport::send;
  template <class Body>
  void send(const envelope&, const Body&) {}
};
static_assert(transport_policy<body_transport> && sends_bodies<body_transport>);

static_assert(log_policy<story::durable_test_log> && log_policy<story::deferred_test_log>);
struct log_without_kind : story::test_log {};
static_assert(!stores_hard_state<log_without_kind> && reads_entries<log_without_kind> &&
              writes_entries<log_without_kind> && keeps_snapshots<log_without_kind>);
struct log_that_cannot_compact : story::durable_test_log {
  result<mark_t> compact(index_t) = delete;
};
static_assert(!writes_entries<log_that_cannot_compact> && reads_entries<log_that_cannot_compact>);
struct log_without_terms : story::durable_test_log {
  term_t term_at(index_t) const = delete;
};
static_assert(!reads_entries<log_without_terms> && writes_entries<log_without_terms>);
struct log_without_partial : story::durable_test_log {
  partial_snapshot partial() const = delete;
};
static_assert(!keeps_snapshots<log_without_partial>);

struct tick_clock {
  using duration = int;
  using time_point = int;
  int now() const { return 0; }
};
struct forgetful_clock {
  using duration = int;
  using time_point = int;
  int now() { return 0; }  // not const
};
static_assert(clock_policy<tick_clock> && clock_policy<std::chrono::steady_clock>);
static_assert(has_durations<forgetful_clock> && !tells_time<forgetful_clock>);
static_assert(!has_durations<mute>);

static_assert(state_machine_policy<story::recorder> && state_machine_policy<story::distant_recorder>);
struct machine_without_restore {
  void apply(const entry&) {}
  template <class Sink>
  result<void> write_snapshot(Sink&) {
    return {};
  }
};
static_assert(applies_entries<machine_without_restore> && writes_snapshots<machine_without_restore> &&
              !restores_snapshots<machine_without_restore>);
static_assert(!applies_entries<mute>);

}  // namespace

TEST_CASE("explain: types that lack nothing are told so") {
  CHECK(explain_transport<transport>());
  CHECK(explain_log<story::deferred_test_log>());
  CHECK(explain_clock<std::chrono::steady_clock>());
  CHECK(explain_state_machine<story::recorder>());
}

}  // namespace policies_test
