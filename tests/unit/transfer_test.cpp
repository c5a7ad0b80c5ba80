// The state of a transfer, and what a priority is worth, transfer.hpp.

#include <doctest/doctest.h>

#include <raft/transfer.hpp>

#include "support/printing.hpp"
#include "support/test_log.hpp"

namespace transfer_test {

using namespace raft;
using namespace story;

TEST_CASE("transfer: begins with nobody asked, and ends with nothing left of it") {
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
  t.end();
  CHECK_FALSE(t.under_way());
  CHECK_FALSE(t.refuses);
  CHECK_FALSE(t.asked);
  CHECK_FALSE(t.ever_asked);
  t.begin(2_n, 2_t, 8_i, 600, true);
  CHECK(t.refuses);
}

TEST_CASE("best_successor: who has most of the log, of those heard lately that let no transfer pass, if there is one") {
  const configuration c = voters(5);
  const auto peer = [](node_id id, index_t match, std::int64_t heard, bool passed_over) {
    progress<std::int64_t> p;
    p.id = id;
    p.match = match;
    p.heard_at = heard;
    p.passed_over = passed_over;
    return p;
  };
  std::vector peers{peer(2_n, 9_i, 100, true), peer(3_n, 7_i, 100, false), peer(4_n, 8_i, 0, false),
                    peer(5_n, 7_i, 100, false)};
  CHECK(best_successor(peers, c, std::int64_t{200}, std::int64_t{200}) == 3_n);
  CHECK(best_successor(peers, c, std::int64_t{200}, std::int64_t{201}) == 4_n);
  for (auto& p : peers) p.passed_over = true;
  CHECK(best_successor(peers, c, std::int64_t{200}, std::int64_t{200}) == 2_n);
  CHECK(best_successor(peers, voters(1), std::int64_t{200}, std::int64_t{200}) == nobody);
  peers[0].state = progress_state::lost;  // what it acknowledged is gone, and its word with it
  CHECK(best_successor(peers, c, std::int64_t{200}, std::int64_t{200}) == 3_n);
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

TEST_CASE("reluctance: the end of a silence changes how long a server waits if there was one, and it lacks priority") {
  for (const std::uint32_t silent : {0U, 1U, 5U}) {
    for (const std::uint32_t priority : {0U, 3U, highest_priority}) {
      reluctance r{silent};
      CHECK(r.end_silence(priority) == (silent != 0 && priority != highest_priority));
      CHECK(r.silent == 0);
    }
  }
}

}  // namespace transfer_test
