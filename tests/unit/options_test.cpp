// The tunables and the relations between them.

#include <doctest/doctest.h>
#include <raft/options.hpp>

#include <chrono>
#include <string>

namespace options_test {

using namespace raft;

namespace {

using tunables = options<std::int64_t>;

template <class Change>
void broken(const char* relation, Change change) {
  tunables o;
  change(o);
  const auto valid = validate(o);
  CAPTURE(relation);
  REQUIRE_FALSE(valid);
  CHECK(valid.error().code == errc::invalid_options);
  CHECK(valid.error().what == std::string(relation));
}

template <class Change>
bool holds(Change change) {
  tunables o;
  change(o);
  return validate(o).has_value();
}

}  // namespace

TEST_CASE("validate: the defaults hold, in every kind of duration") {
  CHECK(validate(tunables{}));
  CHECK(validate(options<std::chrono::milliseconds>{}));
  CHECK(validate(options<std::chrono::nanoseconds>{}));
  CHECK(tunables{}.election_timeout_min == 150);
  CHECK(tunables{}.election_timeout_max == 300);
  CHECK(options<std::chrono::nanoseconds>{}.heartbeat_interval == std::chrono::milliseconds(50));
  CHECK(tunables{}.pre_vote);
  CHECK(tunables{}.check_quorum);
  CHECK_FALSE(tunables{}.lease_reads);
}

TEST_CASE("validate: each relation is named when it does not hold, and its border does") {
  broken("heartbeat_interval > 0", [](tunables& o) { o.heartbeat_interval = 0; });
  broken("heartbeat_interval > 0", [](tunables& o) { o.heartbeat_interval = -1; });
  broken("election_timeout_min >= 2 * heartbeat_interval", [](tunables& o) { o.heartbeat_interval = 76; });
  CHECK(holds([](tunables& o) { o.heartbeat_interval = 75; }));
  options<std::chrono::milliseconds> slow;
  slow.heartbeat_interval = std::chrono::milliseconds{76};
  CHECK(std::string{validate(slow).error().what} == "election_timeout_min >= 2 * heartbeat_interval");
  broken("election_timeout_min < election_timeout_max", [](tunables& o) { o.election_timeout_max = 150; });
  CHECK(holds([](tunables& o) { o.election_timeout_max = 151; }));
  broken("election_timeout_min >= 2 * heartbeat_interval", [](tunables& o) { o.heartbeat_interval = INT64_MAX; });
  broken("election_timeout_max is too long to count with", [](tunables& o) { o.election_timeout_max = INT64_MAX; });
  broken("election_timeout_max is too long to count with", [](tunables& o) {
    o.election_timeout_max = INT64_MAX / 2048 + 1;
    o.snapshot_carry_timeout = INT64_MAX;
  });
  broken("transfer_timeout is too long to count with", [](tunables& o) { o.transfer_timeout = INT64_MAX; });
  CHECK(holds([](tunables& o) {
    o.election_timeout_max = o.transfer_timeout = INT64_MAX / 2048;
    o.snapshot_carry_timeout = INT64_MAX;
  }));
  options<std::chrono::duration<std::int32_t, std::milli>> narrow;
  CHECK(validate(narrow));
  narrow.election_timeout_max = narrow.snapshot_carry_timeout = std::chrono::duration<std::int32_t, std::milli>::max();
  CHECK_FALSE(validate(narrow));
  broken("snapshot_carry_timeout >= election_timeout_max", [](tunables& o) { o.snapshot_carry_timeout = 299; });
  CHECK(holds([](tunables& o) { o.snapshot_carry_timeout = 300; }));
  broken("lease_reads needs check_quorum", [](tunables& o) {
    o.lease_reads = true;
    o.check_quorum = false;
  });
  CHECK(holds([](tunables& o) { o.lease_reads = true; }));
  broken("max_pending_reads >= 1", [](tunables& o) { o.max_pending_reads = 0; });
  CHECK(holds([](tunables& o) { o.max_pending_reads = 1; }));
  broken("lease_clock_drift < 1000", [](tunables& o) { o.lease_clock_drift = 1000; });
  CHECK(holds([](tunables& o) { o.lease_clock_drift = 999; }));
  broken("max_entries_per_append >= 1", [](tunables& o) { o.max_entries_per_append = 0; });
  CHECK(holds([](tunables& o) { o.max_entries_per_append = 1; }));
  broken("max_bytes_per_append >= one entry's header", [](tunables& o) { o.max_bytes_per_append = 15; });
  CHECK(holds([](tunables& o) { o.max_bytes_per_append = 16; }));
  broken("1 <= max_inflight_messages <= 65536", [](tunables& o) { o.max_inflight_messages = 0; });
  broken("1 <= max_inflight_messages <= 65536", [](tunables& o) { o.max_inflight_messages = 65537; });
  CHECK(holds([](tunables& o) { o.max_inflight_messages = 65536; }));
  broken("1 <= eager_messages <= max_inflight_messages", [](tunables& o) { o.eager_messages = 0; });
  broken("1 <= eager_messages <= max_inflight_messages", [](tunables& o) { o.eager_messages = 65; });
  CHECK(holds([](tunables& o) { o.eager_messages = 64; }));
  broken("max_inflight_bytes >= max_bytes_per_append", [](tunables& o) { o.max_inflight_bytes = (1U << 20) - 1; });
  CHECK(holds([](tunables& o) { o.max_inflight_bytes = 1U << 20; }));
  broken("max_entry_bytes <= 2^30", [](tunables& o) {
    o.max_entry_bytes = (1U << 30) + 1;
    o.max_uncommitted_bytes = UINT64_MAX;
  });
  CHECK(holds([](tunables& o) {
    o.max_entry_bytes = 1U << 30;
    o.max_uncommitted_bytes = UINT64_MAX;
  }));
  broken("max_uncommitted_bytes >= one entry of max_entry_bytes",
         [](tunables& o) { o.max_uncommitted_bytes = entry_bytes(o.max_entry_bytes) - 1; });
  CHECK(holds([](tunables& o) { o.max_uncommitted_bytes = entry_bytes(o.max_entry_bytes); }));
  broken("1 <= promotion_rounds <= 1000", [](tunables& o) { o.promotion_rounds = 0; });
  broken("1 <= promotion_rounds <= 1000", [](tunables& o) { o.promotion_rounds = 1001; });
  CHECK(holds([](tunables& o) { o.promotion_rounds = 1000; }));
  broken("max_apply_bytes >= 1", [](tunables& o) { o.max_apply_bytes = 0; });
  broken("priority <= 7", [](tunables& o) { o.priority = 8; });
  CHECK(holds([](tunables& o) { o.priority = 0; }));
  broken("transfer_timeout >= 0", [](tunables& o) { o.transfer_timeout = -1; });
  CHECK(holds([](tunables& o) { o.transfer_timeout = 1; }));
  broken("snapshot_chunk_bytes >= 1", [](tunables& o) { o.snapshot_chunk_bytes = 0; });
}

TEST_CASE("milliseconds, count_of, duration_of: whatever the unit") {
  CHECK(milliseconds<std::int64_t>(150) == 150);
  CHECK(milliseconds<int>(150) == 150);
  CHECK(milliseconds<std::chrono::nanoseconds>(150) == std::chrono::milliseconds(150));
  CHECK(milliseconds<std::chrono::seconds>(2500) == std::chrono::seconds(2));  // rounded down
  CHECK(count_of(std::chrono::microseconds(7)) == 7);
  CHECK(count_of(std::int64_t{7}) == 7);
  CHECK(duration_of<std::chrono::microseconds>(7) == std::chrono::microseconds(7));
  CHECK(duration_of<std::int64_t>(7) == 7);
}

TEST_CASE("never: later than any moment") {
  CHECK(never<std::int64_t>() == std::numeric_limits<std::int64_t>::max());
  using moment = std::chrono::steady_clock::time_point;
  CHECK(never<moment>() == moment::max());
}

TEST_CASE("count_of_milliseconds: undoes milliseconds, rounds down, and does not overflow") {
  using std::chrono::nanoseconds;
  CHECK(raft::count_of_milliseconds(std::int64_t{7}) == 7);
  CHECK(raft::count_of_milliseconds(nanoseconds{1'999'999}) == 1);
  CHECK(raft::count_of_milliseconds(std::chrono::hours{24 * 365 * 200}) == std::int64_t{24 * 365 * 200} * 3'600'000);
  CHECK(raft::count_of_milliseconds(nanoseconds::max()) == nanoseconds::max().count() / 1'000'000);
}

}  // namespace options_test
