// examples/kv: the first line of a recording, by which a replay has the seed and the options that the engine had.

#include "../../examples/kv/src/recorded_run.hpp"

#include <doctest/doctest.h>

#include <string>

namespace kv_recorded_run_test {

using namespace kv;

namespace {

server_options unusual() {
  server_options o;
  o.election_min = std::chrono::milliseconds(30);
  o.election_max = std::chrono::milliseconds(77);
  o.snapshot_entries = 123;
  o.lease_drift = 9;
  return o;
}

}  // namespace

TEST_CASE("first_line: what it says comes back, and what follows is left") {
  const std::string line = first_line({UINT64_MAX, unusual()});
  CHECK(line ==
        "raft-kv-recording 1 --seed 18446744073709551615 --election-ms 30-77 --snapshot-entries 123 --lease-reads 9\n");
  const std::string file = line + "\nrest\n";
  std::string_view left = file;
  const auto run = take_first_line(left);
  REQUIRE(run);
  CHECK(left == "\nrest\n");
  CHECK(run->seed == UINT64_MAX);
  const auto had = engine_options(unusual());
  const auto has = engine_options(run->options);
  CHECK(has.election_timeout_min == had.election_timeout_min);
  CHECK(has.election_timeout_max == had.election_timeout_max);
  CHECK(has.heartbeat_interval == had.heartbeat_interval);
  CHECK(has.trailing_entries == had.trailing_entries);
  CHECK(has.lease_reads);
  CHECK(has.lease_clock_drift == 9);
  CHECK(first_line({1, {}}).find("lease") == std::string::npos);
}

TEST_CASE("take_first_line: what is no such line is refused, and nothing is taken") {
  for (const char* bad :
       {"", "raft-kv-recording 1 --seed 5", "raft-kv-recording 2 --seed 5\n", "raft-kv-recording 1 --seed 0\n",
        "raft-kv-recording 1 --seed\n", "raft-kv-recording 1 --seed 5 --nope 3\n",
        "raft-kv-recording 1 --seed 5 --election-ms 9\n", "raft-kv-recording 1 \n", "REDIS0011\n"}) {
    std::string_view left = bad;
    CHECK_MESSAGE(!take_first_line(left), bad);
    CHECK(left == bad);
  }
}

TEST_CASE("engine_options: make sense together, with leases and without") {
  CHECK(raft::validate(engine_options({})));
  CHECK_FALSE(engine_options({}).lease_reads);
  CHECK(raft::validate(engine_options(unusual())));
}

}  // namespace kv_recorded_run_test
