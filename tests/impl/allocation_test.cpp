// No allocation in the steady state: the node with memory_log and the codec, snapshots included. The load is that of
// the commit bench, which counts the same while it measures. And what a role took goes with the role.

#include <doctest/doctest.h>

#include "../../bench/support/allocations.hpp"
#include "../../bench/support/commit_load.hpp"

TEST_CASE(
    "a cluster in its steady state allocates nothing, on any node, while it commits, applies and takes snapshots") {
  for (const auto how : {bench::proposing::as_span, bench::proposing::singly}) {
    for (const std::size_t payload : {16U, 1024U}) {
      bench::commit_load<> load{{.payload = payload, .how = how}};
      const std::uint64_t before = bench::allocations::of_nodes();
      REQUIRE(before > 0);  // it is counted at all
      load.run(2 * bench::cluster<>::trim_at / 64);
      CHECK(bench::allocations::of_nodes() == before);
      load.verify();
    }
  }
}

TEST_CASE("become: who leads and follows by turns gives back all that it held as a leader") {
  bench::cluster<> c{3};
  const auto turns = [&c](int n) {
    for (int turn = 0; turn < n; ++turn) {
      for (const std::size_t who : {1U, 2U, 0U}) c.elect(who);
      c.finish();
    }
    return bench::allocations::held();
  };
  const std::uint64_t held = turns(100);  // what is kept for later has its size now
  CHECK(turns(10) <= held);
}
