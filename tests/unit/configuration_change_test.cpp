// Steps from one configuration to another: pure functions, over all small memberships.

#include <doctest/doctest.h>
#include <raft/configuration_change.hpp>

#include <bit>
#include <string>
#include <string_view>

#include "support/letter.hpp"
#include "support/printing.hpp"

namespace configuration_change_test {

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

TEST_CASE("step_towards: there is none from a joint configuration, nor to one that is illegal") {
  configuration joint = voters_of({1_n, 2_n});
  joint.outgoing = {3_n};
  CHECK(step_towards(joint, membership{{1_n, 2_n}, {}}).error().code == errc::not_ready);
  const configuration now = voters_of({1_n, 2_n, 3_n});
  for (const membership& target : {membership{{}, {}}, membership{{1_n, 1_n}, {}}, membership{{1_n, 2_n}, {2_n}},
                                   membership{{4_n, 5_n}, {4_n}}, membership{{0_n}, {}}}) {
    CHECK(step_towards(now, target).error().code == errc::invalid_configuration);
  }
}

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
        CHECK(now.joint() == (std::popcount(from ^ to) > 1));  // one voter comes or goes at once
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
  CHECK(*enter_joint(voters_of({1_n, 2_n, 3_n}), {{4_n, 1_n}, {5_n, 2_n}}) == *joint);
  const auto two_learn = enter_joint(voters_of({1_n}), {{3_n, 2_n}, {5_n, 4_n}});
  REQUIRE(two_learn);
  CHECK(two_learn->voters == std::vector{2_n, 3_n});
  CHECK(two_learn->learners == std::vector{4_n, 5_n});
}

TEST_CASE("configuration_change: no step but the one out leads from a joint configuration") {
  const configuration joint = *enter_joint(voters_of({1_n}), {{2_n}, {}}, false);
  CHECK_FALSE(joint.auto_leave);
  CHECK(simple_change(joint, {{2_n}, {}}).error().code == errc::not_ready);
  CHECK(enter_joint(joint, {{3_n}, {}}).error().code == errc::not_ready);
  CHECK(leave_joint(voters_of({1_n})).error().code == errc::not_ready);
}

// ---------------------------------------------------------------------------------------------------- members' data

namespace {

member_data datum(node_id id, std::string_view text) {
  const payload view = payload_of(text);
  return {id, {view.begin(), view.end()}};
}

std::string data_in(const configuration& c) {
  std::string all;
  for (const member_data& m : c.data) all += std::to_string(m.id.value) + '=' + text_of(m.data) + ' ';
  return all;
}

configuration three_with_data() {
  configuration c = voters_of({1_n, 2_n, 3_n});
  c.data = {datum(1_n, "a"), datum(2_n, "b"), datum(3_n, "c")};
  return c;
}

}  // namespace

TEST_CASE("simple_change: who stays keeps its data, who goes loses it, who comes brings its own") {
  const auto grown =
      simple_change(three_with_data(), {{1_n, 2_n, 3_n, 4_n}, {5_n}, {datum(5_n, "e"), datum(4_n, "d")}});
  REQUIRE(grown);
  CHECK(data_in(*grown) == "1=a 2=b 3=c 4=d 5=e ");
  const auto shrunk = simple_change(three_with_data(), {{1_n, 3_n}, {}});
  REQUIRE(shrunk);
  CHECK(data_in(*shrunk) == "1=a 3=c ");
}

TEST_CASE("simple_change: data alone may be set, replaced and taken away") {
  const membership same{{1_n, 2_n, 3_n}, {}, {datum(3_n, "moved"), datum(1_n, "")}};
  const auto next = simple_change(three_with_data(), same);
  REQUIRE(next);
  CHECK(data_in(*next) == "2=b 3=moved ");
  CHECK_FALSE(*next == three_with_data());
  CHECK(data_in(*simple_change(three_with_data(), {{1_n, 2_n, 3_n}, {}, {datum(1_n, "moved")}})) == "1=moved 2=b 3=c ");
}

TEST_CASE("simple_change: data of a stranger, or twice, is refused") {
  for (const auto& wrong :
       {std::vector{datum(4_n, "x")}, std::vector{datum(4_n, "")}, std::vector{datum(2_n, "x"), datum(2_n, "y")}}) {
    const auto next = simple_change(three_with_data(), {{1_n, 2_n, 3_n}, {}, wrong});
    REQUIRE_FALSE(next);
    CHECK(next.error().code == errc::invalid_configuration);
  }
}

TEST_CASE("enter_joint, leave_joint: both halves keep their data, and who leaves loses it with the way out") {
  const auto joint = enter_joint(three_with_data(), {{3_n, 4_n}, {2_n}, {datum(4_n, "d")}});
  REQUIRE(joint);
  CHECK(data_in(*joint) == "1=a 2=b 3=c 4=d ");
  CHECK(data_in(*leave_joint(*joint)) == "2=b 3=c 4=d ");
}

}  // namespace configuration_change_test
