// Steps from one configuration to another: pure functions, over all small memberships.

#include <doctest/doctest.h>
#include <raft/configuration_change.hpp>

#include <bit>

#include "support/letter.hpp"
#include "support/printing.hpp"

using namespace raft;
using namespace story;

namespace {

std::vector<node_id> ids_in(unsigned set) {
  std::vector<node_id> ids;
  for (unsigned id = 1; set != 0; ++id, set >>= 1) {
    if ((set & 1) != 0) ids.push_back(node_id{id});
  }
  return ids;
}

bool more_than_half(unsigned some, unsigned of) { return 2 * std::popcount(some & of) > std::popcount(of); }

unsigned set_of(const std::vector<node_id>& ids) {
  unsigned set = 0;
  for (const node_id id : ids) set |= 1U << (id.value - 1);
  return set;
}

bool is_quorum(unsigned some, const configuration& c) {
  return more_than_half(some, set_of(c.voters)) && (!c.joint() || more_than_half(some, set_of(c.outgoing)));
}

/// Whether no quorum of one decides without a server of each quorum of the other.
bool always_meet(const configuration& a, const configuration& b) {
  for (unsigned some = 0; some < 16; ++some) {
    if (is_quorum(some, a) && is_quorum(~some & 15, b)) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("step_towards: each step is legal, its quorums meet those of the last, and the target is reached") {
  for (unsigned from = 1; from < 16; ++from) {
    for (unsigned to = 1; to < 16; ++to) {
      for (unsigned learn = 0; learn < 16; ++learn) {
        if ((to & learn) != 0) continue;
        const membership target{ids_in(to), ids_in(learn)};
        configuration now = voters_of(ids_in(from));
        const auto first = step_towards(now, target);
        REQUIRE(first);
        CHECK(validate(*first));
        CHECK(always_meet(now, *first));
        now = *first;
        if (now.joint()) {
          CHECK(now.auto_leave);
          const auto second = leave_joint(now);
          REQUIRE(second);
          CHECK(validate(*second));
          CHECK(always_meet(now, *second));
          now = *second;
        }
        CHECK(now.voters == target.voters);
        CHECK(now.learners == target.learners);
        CHECK_FALSE(now.joint());
      }
    }
  }
}

TEST_CASE("simple_change: at most one voter comes or goes") {
  const configuration three = voters_of({1_n, 2_n, 3_n});
  CHECK(simple_change(three, {{1_n, 2_n, 3_n, 4_n}, {}}));
  CHECK(simple_change(three, {{1_n, 2_n}, {3_n}}));
  CHECK(simple_change(three, {{3_n, 1_n, 2_n}, {9_n, 8_n}})->learners == std::vector{8_n, 9_n});
  CHECK_FALSE(simple_change(three, {{1_n, 2_n, 4_n}, {}}));
  CHECK_FALSE(simple_change(three, {{1_n}, {}}));
  CHECK_FALSE(simple_change(voters_of({1_n}), {{}, {}}));
}

TEST_CASE("enter_joint: a voter that is to learn votes until the joint configuration is left") {
  const auto joint = enter_joint(voters_of({1_n, 2_n, 3_n}), {{1_n, 4_n}, {2_n, 5_n}});
  REQUIRE(joint);
  CHECK(joint->voters == std::vector{1_n, 4_n});
  CHECK(joint->outgoing == std::vector{1_n, 2_n, 3_n});
  CHECK(joint->learners == std::vector{5_n});
  CHECK(joint->learners_next == std::vector{2_n});
  CHECK(leave_joint(*joint)->learners == std::vector{2_n, 5_n});
}

TEST_CASE("configuration_change: no step but the one out leads from a joint configuration") {
  const configuration joint = *enter_joint(voters_of({1_n}), {{2_n}, {}}, false);
  CHECK_FALSE(joint.auto_leave);
  CHECK(simple_change(joint, {{2_n}, {}}).error().code == errc::not_ready);
  CHECK(enter_joint(joint, {{3_n}, {}}).error().code == errc::not_ready);
  CHECK(leave_joint(voters_of({1_n})).error().code == errc::not_ready);
}
