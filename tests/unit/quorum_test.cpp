// Quorum arithmetic against slow twins that count subsets, over all small configurations.

#include <doctest/doctest.h>
#include <raft/quorum.hpp>

#include <bit>

#include "support/letter.hpp"
#include "support/printing.hpp"

namespace quorum_test {

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

/// Whether the servers in `some` are a quorum of the two halves (no outgoing half: 0).
bool is_quorum(unsigned some, unsigned voters, unsigned outgoing) {
  return more_than_half(some, voters) && (outgoing == 0 || more_than_half(some, outgoing));
}

/// Every pair of halves among `n` servers; the outgoing one may be empty.
template <class Visit>
void each_configuration(unsigned n, Visit visit) {
  for (unsigned voters = 1; voters < 1U << n; ++voters) {
    for (unsigned outgoing = 0; outgoing < 1U << n; ++outgoing) {
      configuration c;
      c.voters = ids_in(voters);
      c.outgoing = ids_in(outgoing);
      visit(c, voters, outgoing);
    }
  }
}

}  // namespace

TEST_CASE("majority: more than half, and no more than needed") {
  for (std::size_t n = 1; n < 100; ++n) {
    CHECK(2 * majority(n) > n);
    CHECK(2 * (majority(n) - 1) <= n);
  }
}

TEST_CASE("majority_value: the largest value that more than half reach") {
  std::vector<int> values{5};
  CHECK(majority_value(std::span{values}) == 5);
  values = {1, 9};
  CHECK(majority_value(std::span{values}) == 1);
  values = {7, 1, 4};
  CHECK(majority_value(std::span{values}) == 4);
  values = {4, 3, 2, 1};
  CHECK(majority_value(std::span{values}) == 2);
  values = {1, 1, 8, 8, 8};
  CHECK(majority_value(std::span{values}) == 8);
}

TEST_CASE("count_votes: every configuration of up to four servers, and every set of answers") {
  const unsigned n = 4;
  long wrong = 0;
  long cases = 0;
  each_configuration(n, [&](const configuration& c, unsigned voters, unsigned outgoing) {
    for (unsigned granted = 0; granted < 1U << n; ++granted) {
      for (unsigned refused = 0; refused < 1U << n; ++refused) {
        if ((granted & refused) != 0) continue;
        const unsigned could_still = ~refused & ((1U << n) - 1);
        const vote_result expected = is_quorum(granted, voters, outgoing)       ? vote_result::won
                                     : is_quorum(could_still, voters, outgoing) ? vote_result::pending
                                                                                : vote_result::lost;
        wrong += count_votes(c, ids_in(granted), ids_in(refused)) != expected;
        ++cases;
      }
    }
  });
  CHECK(wrong == 0);
  CHECK(cases == 15 * 16 * 81);
}

TEST_CASE("count_votes: strangers and learners count for nothing, and a grant goes before a refusal") {
  configuration c = voters_of({1_n, 2_n, 3_n});
  c.learners = {4_n};
  CHECK(count_votes(c, std::vector{1_n, 4_n, 9_n}, {}) == vote_result::pending);
  CHECK(count_votes(c, std::vector{1_n}, std::vector{4_n, 8_n, 9_n}) == vote_result::pending);
  CHECK(count_votes(c, std::vector{1_n, 2_n}, std::vector{2_n, 3_n}) == vote_result::won);
}

TEST_CASE("quorum_value: every configuration of up to four servers, and every value of each") {
  const unsigned n = 4;
  const unsigned values = 3;
  long wrong = 0;
  each_configuration(n, [&](const configuration& c, unsigned voters, unsigned outgoing) {
    for (unsigned code = 0; code < values * values * values * values; ++code) {
      const unsigned value[n]{code % values, code / values % values, code / 9 % values, code / 27};
      unsigned expected = 0;
      for (unsigned v = 0; v < values; ++v) {
        unsigned reach = 0;
        for (unsigned i = 0; i < n; ++i) reach |= value[i] >= v ? 1U << i : 0U;
        if (is_quorum(reach, voters, outgoing)) expected = v;
      }
      wrong += quorum_value(c, [&](node_id id) { return value[id.value - 1]; }) != expected;
    }
  });
  CHECK(wrong == 0);
}

TEST_CASE("quorum_value: large halves, around the size from which they are counted otherwise") {
  for (std::uint64_t n = 1; n < 40; ++n) {
    std::vector<node_id> ids;
    for (std::uint64_t id = 1; id <= n; ++id) ids.push_back(node_id{id});
    const configuration c = voters_of(ids);
    // The values are a rearrangement of 1 to n: the majority reaches the one that leaves a minority below it.
    const auto value = [&](node_id id) { return id.value * 7919 % n + 1; };
    std::vector<std::uint64_t> sorted;
    for (const node_id id : ids) sorted.push_back(value(id));
    std::sort(sorted.begin(), sorted.end());
    CHECK(quorum_value(c, value) == sorted[n - majority(n)]);
    configuration joint = c;
    joint.outgoing = {1_n, 2_n, 3_n};
    const auto half = quorum_value(voters_of({1_n, 2_n, 3_n}), value);
    CHECK(quorum_value(joint, value) == std::min(half, sorted[n - majority(n)]));
  }
}

TEST_CASE("committed_index: two quorums of one configuration meet") {
  // So that two leaders cannot both commit: what one quorum holds, every other one knows of.
  each_configuration(4, [](const configuration& c, unsigned, unsigned) {
    for (unsigned some = 0; some < 16; ++some) {
      const auto held = [&](unsigned set) {
        return committed_index(c, [&](node_id id) { return index_t{(set >> (id.value - 1)) & 1}; });
      };
      if (held(some) == 1_i) CHECK(held(~some & 15) == 0_i);
    }
  });
}

}  // namespace quorum_test
