// The state of a transfer, and what a priority is worth, transfer.hpp.

#include <doctest/doctest.h>

#include <raft/transfer.hpp>

#include "support/printing.hpp"

using namespace raft;
using namespace story;

TEST_CASE("transfer: begins with nobody asked, and ends with nothing left of it but who let it pass") {
  transfer<std::int64_t> t;
  CHECK_FALSE(t.under_way());
  t.begin(3_n, 2_t, 7_i, 300, false);
  CHECK(t.under_way());
  CHECK(t.target == 3_n);
  CHECK(t.term == 2_t);
  CHECK(t.goal == 7_i);
  CHECK(t.deadline == 300);
  CHECK_FALSE(t.refuses);
  CHECK_FALSE(t.asked);
  CHECK_FALSE(t.ever_asked);
  t.refuses = t.asked = t.ever_asked = true;
  t.end(transfer_fate::timed_out);
  CHECK_FALSE(t.under_way());
  CHECK_FALSE(t.refuses);
  CHECK_FALSE(t.asked);
  CHECK_FALSE(t.ever_asked);
  CHECK(t.passed_over == 3_n);
  t.begin(2_n, 2_t, 8_i, 600, true);
  CHECK(t.refuses);
  CHECK(t.passed_over == 3_n);
  t.end(transfer_fate::done);
  CHECK(t.passed_over == nobody);
}

TEST_CASE("reluctance: what a priority lacks is halved by each silent timeout, down to nothing") {
  CHECK(reluctance{0}.priority(0) == 0);
  CHECK(reluctance{1}.priority(0) == 4);  // 7 / 2 = 3 are lacking
  CHECK(reluctance{2}.priority(0) == 6);
  CHECK(reluctance{3}.priority(0) == 7);
  CHECK(reluctance{UINT32_MAX}.priority(0) == 7);
  CHECK(reluctance{0}.priority(5) == 5);
  CHECK(reluctance{1}.priority(5) == 6);
  for (std::uint32_t silent = 0; silent < 40; ++silent) CHECK(reluctance{silent}.priority(highest_priority) == 7);
}
