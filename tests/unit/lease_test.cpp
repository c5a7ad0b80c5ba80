// The two halves of a lease, as plain values.

#include <doctest/doctest.h>
#include <raft/lease.hpp>

#include <vector>

#include "support/forms.hpp"

namespace lease_test {

using namespace raft;

TEST_CASE("lease: none until a round is echoed") {
  lease<int> l;
  CHECK_FALSE(l.holds(0, 100));
  l.begin_round(1, 10);
  CHECK_FALSE(l.holds(11, 100));
  l.confirm(0);
  CHECK_FALSE(l.holds(12, 100));
  l.confirm(1);
  CHECK(l.holds(13, 100));
  CHECK(l.holds(109, 100));
  CHECK_FALSE(l.holds(110, 100));
}

TEST_CASE("lease: the echo of a later round speaks for the watched one, and no later one's time") {
  lease<int> l;
  l.begin_round(1, 10);
  l.begin_round(2, 50);
  l.confirm(2);
  CHECK(l.holds(60, 100));
  CHECK_FALSE(l.holds(110, 100));
  l.begin_round(3, 115);
  l.confirm(2);
  CHECK_FALSE(l.holds(116, 100));
  l.confirm(3);
  CHECK(l.holds(214, 100));
}

TEST_CASE("lease: ends at once, and a round from before does not bring it back") {
  lease<int> l;
  l.begin_round(1, 10);
  l.end();
  l.confirm(1);
  CHECK_FALSE(l.holds(11, 100));
  l.begin_round(2, 20);
  l.confirm(2);
  CHECK(l.holds(21, 100));
  l.end_for_good();
  CHECK_FALSE(l.holds(22, 100));
  l.begin_round(3, 30);
  l.confirm(3);
  CHECK_FALSE(l.holds(31, 100));
}

TEST_CASE("lease: a clock that went back ends it") {
  lease<int> l;
  l.begin_round(1, 10);
  l.confirm(1);
  CHECK(l.holds(50, 100));
  CHECK_FALSE(l.holds(49, 100));
  CHECK_FALSE(l.holds(51, 100));
}

TEST_CASE("vote_promise: binds to one, until its end") {
  vote_promise<int> p;
  CHECK_FALSE(p.binds(node_id{2}, 0));
  p.give(node_id{1}, 100);
  CHECK(p.binds(node_id{2}, 99));
  CHECK_FALSE(p.binds(node_id{1}, 99));
  CHECK_FALSE(p.binds(node_id{2}, 100));
  p.give(nobody, 200);
  CHECK(p.binds(node_id{1}, 199));
}

TEST_CASE("lease: its form holds what is under way and what is held, and of the times those that count") {
  const auto form = [](const lease<int>& l) {
    story::numbers out;
    l.canonical(out, [&out](int time) { out(1000 + static_cast<std::uint64_t>(time)); });
    return out.written;
  };
  lease<int> l;
  CHECK(form(l) == std::vector<std::uint64_t>{0, 0, 0});
  l.begin_round(7, 10);
  CHECK(form(l) == std::vector<std::uint64_t>{7, 0, 0, 1010});
  l.confirm(7);
  CHECK(l.holds(15, 100));
  CHECK(form(l) == std::vector<std::uint64_t>{0, 1, 0, 1010, 1015});
  l.end_for_good();
  CHECK(form(l) == std::vector<std::uint64_t>{0, 0, 1});
}

TEST_CASE("lease: a question before the round began that renewed it ends it") {
  lease<int> l;
  l.begin_round(1, 10);
  l.confirm(1);
  CHECK_FALSE(l.holds(9, 100));
  CHECK_FALSE(l.holds(11, 100));
  l.begin_round(2, 11);
  l.confirm(2);
  CHECK(l.holds(11, 100));
}

}  // namespace lease_test
