// The pieces of an answer to "why?", why.hpp: who is missing in a configuration, and sentences of bounded length.

#include <doctest/doctest.h>
#include <raft/why.hpp>

#include <string>

#include "support/letter.hpp"
#include "support/printing.hpp"

namespace why_test {

using namespace raft;
using namespace story;

TEST_CASE("some_servers: shows the first eight and counts all") {
  some_servers some;
  for (std::uint64_t id = 1; id <= 11; ++id) some.add(node_id{id});
  CHECK(some.count == 11);
  CHECK(some.first().size() == 8);
  CHECK(some.holds(8_n));
  CHECK_FALSE(some.holds(9_n));
  sentence s;
  s << some;
  CHECK(s.view() == "1, 2, 3, 4, 5, 6, 7, 8 and 3 more");
  CHECK((sentence{} << some_servers{}).view() == "nobody");
}

TEST_CASE("shortage_of: each half on its own, a voter of both named once") {
  configuration c;
  c.voters = {1_n, 3_n, 4_n};
  c.outgoing = {1_n, 2_n, 4_n, 5_n, 6_n};
  const auto none = detail::shortage_of(c, [](node_id) { return false; });
  CHECK(none.halves == lacking::both);
  CHECK(none.needed == 3);
  CHECK(none.absent.count == 6);
  const auto two = detail::shortage_of(c, [](node_id id) { return id == 1_n || id == 4_n; });
  CHECK(two.halves == lacking::outgoing);
  CHECK(two.needed == 1);
  CHECK(two.absent.count == 4);
  const auto old_half = detail::shortage_of(c, [](node_id id) { return id == 1_n || id == 2_n || id == 5_n; });
  CHECK(old_half.halves == lacking::incoming);
  CHECK(detail::shortage_of(c, [](node_id) { return true; }).halves == lacking::none);
  CHECK(detail::shortage_of(voters_of({1_n, 2_n}), [](node_id id) { return id == 1_n; }).halves == lacking::majority);
}

TEST_CASE("sentence: cut off where its room ends, never beyond") {
  sentence s;
  for (int i = 0; i < 100; ++i) s << "0123456789";
  CHECK(s.view().size() == sentence::capacity);
  s << std::uint64_t{12345};
  CHECK(s.view().size() == sentence::capacity);
  CHECK((sentence{} << std::uint64_t{0}).view() == "0");
  CHECK((sentence{} << UINT64_MAX).view() == "18446744073709551615");
}

TEST_CASE("explain: every cause has words, and the longest answer fits") {
  some_servers many;
  for (std::uint64_t id = 0; id < 300; ++id) many.add(node_id{UINT64_MAX - id});
  for (int cause = 0; cause <= static_cast<int>(commit_delay::cause::earlier_term); ++cause) {
    commit_delay d{};
    d.why = static_cast<commit_delay::cause>(cause);
    d.index = index_t{UINT64_MAX};
    d.other = index_t{UINT64_MAX};
    d.leader = node_id{UINT64_MAX};
    d.needed = 100;
    d.halves = lacking::both;
    d.own_disk = true;
    d.servers = many;
    const sentence s = explain(d);
    CHECK(s.view().size() > 20);
    CHECK(s.view().size() < sentence::capacity);
  }
  for (int cause = 0; cause <= static_cast<int>(leader_absence::cause::votes_missing); ++cause) {
    leader_absence a{};
    a.why = static_cast<leader_absence::cause>(cause);
    a.refused = many;
    CHECK(explain(a).view().size() > 10);
  }
  for (int cause = 0; cause <= static_cast<int>(peer_pause::cause::carried); ++cause) {
    peer_pause p{};
    p.why = static_cast<peer_pause::cause>(cause);
    CHECK(explain(p).view().size() > 10);
  }
}

static_assert(
    [] {
      sentence s;
      s << "entry " << index_t{7};
      return s.view() == "entry 7";
    }(),
    "answers work in constant evaluation");

}  // namespace why_test
