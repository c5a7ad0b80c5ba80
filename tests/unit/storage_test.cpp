// What a Log keeps besides the entries: plain values.

#include <doctest/doctest.h>
#include <raft/storage.hpp>

#include "support/letter.hpp"
#include "support/printing.hpp"

namespace storage_test {

using namespace raft;
using namespace story;

TEST_CASE("hard_state: begins in term zero without a vote; every field counts") {
  CHECK(hard_state{} == hard_state{0_t, nobody, 0_i});
  CHECK_FALSE(hard_state{1_t, 2_n, 3_i} == hard_state{2_t, 2_n, 3_i});
  CHECK_FALSE(hard_state{1_t, 2_n, 3_i} == hard_state{1_t, 3_n, 3_i});
  CHECK_FALSE(hard_state{1_t, 2_n, 3_i} == hard_state{1_t, 2_n, 4_i});
}

TEST_CASE("snapshot_meta: every field counts") {
  const snapshot_meta m{4_i, 2_t, voters_of({1_n}), 9, 7};
  CHECK(m == snapshot_meta{4_i, 2_t, voters_of({1_n}), 9, 7});
  CHECK_FALSE(m == snapshot_meta{5_i, 2_t, voters_of({1_n}), 9, 7});
  CHECK_FALSE(m == snapshot_meta{4_i, 3_t, voters_of({1_n}), 9, 7});
  CHECK_FALSE(m == snapshot_meta{4_i, 2_t, voters_of({2_n}), 9, 7});
  CHECK_FALSE(m == snapshot_meta{4_i, 2_t, voters_of({1_n}), 8, 7});
  CHECK_FALSE(m == snapshot_meta{4_i, 2_t, voters_of({1_n}), 9, 8});
}

TEST_CASE("partial_snapshot: nothing is being written at first") {
  CHECK(partial_snapshot{}.meta.index == 0_i);
  CHECK(partial_snapshot{}.received == 0);
}

}  // namespace storage_test
