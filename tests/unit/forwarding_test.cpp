// Forwarded proposals, both sides as plain values: what is open at the server that was asked, and what the leader took.

#include <doctest/doctest.h>
#include <raft/forwarding.hpp>

#include <cstdint>
#include <limits>
#include <vector>

#include "support/forms.hpp"
#include "support/letter.hpp"
#include "support/printing.hpp"

namespace forwarding_test {

using namespace raft;
using namespace story;

namespace {

using proposals = forwarded_proposals<std::int64_t>;

constexpr std::int64_t never_at = std::numeric_limits<std::int64_t>::max();

proposals::open asked(std::uint64_t context, std::uint64_t bytes, std::int64_t give_up) {
  proposals::open o{};
  o.context = context;
  o.bytes = bytes;
  o.give_up = give_up;
  return o;
}

/// The contexts that it looks at in a call of `end`; none ends, but for `which`.
std::vector<std::uint64_t> looked_at(proposals& p, index_t applied, std::int64_t now, std::uint64_t which = 0) {
  std::vector<std::uint64_t> seen;
  p.end(applied, now, [&](const proposals::open& o) {
    seen.push_back(o.context);
    return o.context == which;
  });
  return seen;
}

using list = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("forwarded_proposals: serials rise by one, and find those that are open alone") {
  proposals p;
  p.begin_with(7);
  CHECK(p.session() == 7);
  CHECK(p.empty());
  CHECK(p.add(asked(1, 16, 100)) == 1);
  CHECK(p.add(asked(2, 24, 100)) == 2);
  CHECK(p.add(asked(3, 32, 100)) == 3);
  CHECK(p.bytes() == 72);
  REQUIRE(p.find(7, 2) != nullptr);
  CHECK(p.find(7, 2)->context == 2);
  CHECK(p.find(8, 2) == nullptr);
  CHECK(p.find(7, 0) == nullptr);
  CHECK(p.find(7, 4) == nullptr);
  CHECK(looked_at(p, 0_i, 0, 2) == list{1, 2, 3});
  CHECK(p.bytes() == 48);
  CHECK(p.find(7, 2) == nullptr);
  CHECK(p.find(7, 3)->context == 3);
  CHECK(p.add(asked(4, 8, 100)) == 4);
}

TEST_CASE("forwarded_proposals: they are looked through if more is applied, one changed or came, or time is up") {
  proposals p;
  p.add(asked(1, 16, 100));
  CHECK(looked_at(p, 5_i, 0) == list{1});
  CHECK(looked_at(p, 5_i, 99).empty());
  CHECK(looked_at(p, 6_i, 99) == list{1});
  CHECK(looked_at(p, 6_i, 99).empty());
  p.look_again();
  CHECK(looked_at(p, 6_i, 99) == list{1});
  CHECK(looked_at(p, 6_i, 99).empty());
  p.add(asked(2, 16, 200));
  CHECK(looked_at(p, 6_i, 99) == list{1, 2});
  CHECK(looked_at(p, 6_i, 100, 1) == list{1, 2});
  CHECK(looked_at(p, 6_i, 199).empty());
  CHECK(looked_at(p, 6_i, 200) == list{2});
}

TEST_CASE("forwarded_proposals: it wakes when the first is given up, and never with none") {
  proposals p;
  CHECK(p.wake() == never_at);
  p.add(asked(1, 16, 100));
  CHECK(p.wake() == 100);
  p.add(asked(2, 16, 200));
  CHECK(p.wake() == 100);
  p.add(asked(3, 16, 50));
  CHECK(p.wake() == 50);
  CHECK(looked_at(p, 0_i, 50, 3) == list{1, 2, 3});
  CHECK(p.wake() == 100);
  CHECK(looked_at(p, 0_i, 100, 1) == list{1, 2});
  CHECK(p.wake() == 200);
  CHECK(looked_at(p, 0_i, 200, 2) == list{2});
  CHECK(p.wake() == never_at);
}

TEST_CASE("forwarded_proposals: its canonical form has all of each, and the session only where chance is asked for") {
  const auto write = [](const proposals& p) {
    return form_by({}, [&](canonical_writer& w, const auto& time) { p.canonical(w, time); });
  };
  every_change_shows<proposals>(
      {}, write,
      {[](proposals& p) { p.add(asked(1, 16, 100)); }, [](proposals& p) { p.find(0, 1)->context = 2; },
       [](proposals& p) { p.find(0, 1)->bytes = 24; }, [](proposals& p) { p.find(0, 1)->leader = 1_n; },
       [](proposals& p) { p.find(0, 1)->term = 3_t; }, [](proposals& p) { p.find(0, 1)->index = 4_i; },
       [](proposals& p) { p.find(0, 1)->give_up = 101; }, [](proposals& p) { p.add(asked(1, 16, 100)); },
       [](proposals& p) { (void)looked_at(p, 0_i, 0, 1); }});
  proposals a;
  proposals b;
  b.begin_with(7);
  CHECK(write(a) == write(b));
  const auto with_chance = [](const proposals& p) {
    return form_by(canonical_writer{}.with_chance(),
                   [&](canonical_writer& w, const auto& time) { p.canonical(w, time); });
  };
  CHECK(with_chance(a) != with_chance(b));
  // What was asked and ended before counts by its serial alone; that it was looked through does not count.
  proposals c;
  proposals d;
  c.add(asked(1, 16, 100));
  d.add(asked(1, 16, 100));
  (void)looked_at(d, 3_i, 4);
  CHECK(write(c) == write(d));
}

TEST_CASE("taken_proposals: each is taken once, in whatever order, and none that is too old to be sure") {
  taken_proposals t;
  t.begin(5_t);
  CHECK(t.term() == 5_t);
  CHECK(t.take(2_n, true, 9, 1));
  CHECK_FALSE(t.take(2_n, true, 9, 1));
  CHECK(t.take(2_n, true, 9, 3));
  CHECK(t.take(2_n, true, 9, 2));
  CHECK_FALSE(t.take(2_n, true, 9, 2));
  CHECK(t.take(2_n, true, 9, 66));
  CHECK_FALSE(t.take(2_n, true, 9, 3));
  CHECK_FALSE(t.take(2_n, true, 9, 2));  // 64 before the highest
  CHECK(t.take(2_n, true, 9, 4));
  CHECK(t.take(2_n, true, 9, 129));
  CHECK(t.take(2_n, true, 9, 67));
  CHECK_FALSE(t.take(2_n, true, 9, 66));
  CHECK_FALSE(t.take(2_n, true, 9, 65));  // 64 before the highest: nobody knows
  CHECK(t.take(3_n, true, 9, 1));         // another server's
  CHECK(t.take(2_n, true, 8, 1));         // another session's
  t.begin(6_t);
  CHECK(t.term() == 6_t);
  CHECK(t.take(2_n, true, 9, 1));
}

TEST_CASE("taken_proposals: what was taken before a leap of 64 is forgotten, and what was not may come") {
  taken_proposals t;
  t.begin(5_t);
  CHECK(t.take(2_n, true, 9, 1));
  CHECK(t.take(2_n, true, 9, 2));
  CHECK(t.take(2_n, true, 9, 66));
  for (std::uint64_t serial = 3; serial <= 65; ++serial) CHECK(t.take(2_n, true, 9, serial));
  CHECK_FALSE(t.take(2_n, true, 9, 2));
}

TEST_CASE("taken_proposals: each member has room for so many sessions, and all strangers together for as many") {
  taken_proposals t;
  t.begin(5_t);
  const auto most = taken_proposals::most_sessions;
  for (std::uint64_t session = 1; session <= most; ++session) CHECK(t.take(2_n, true, session, 1));
  CHECK_FALSE(t.take(2_n, true, most + 1, 1));
  CHECK(t.take(2_n, true, 1, 2));
  CHECK(t.take(3_n, true, 1, 1));
  for (std::uint64_t id = 1; id <= most; ++id) CHECK(t.take(node_id{100 + id}, false, 1, 1));
  CHECK_FALSE(t.take(99_n, false, 1, 1));
  CHECK(t.take(3_n, true, 2, 1));
}

TEST_CASE("taken_proposals: its canonical form has what was taken in this term, by the servers' names") {
  const auto write = [](const taken_proposals& t, term_t present, canonical_writer w = {}) {
    return form_by(std::move(w), [&](canonical_writer& to, const auto&) { t.canonical(to, present); });
  };
  const auto write_in_5 = [&write](const taken_proposals& t) { return write(t, 5_t); };
  taken_proposals fresh;
  fresh.begin(5_t);
  every_change_shows<taken_proposals>(fresh, write_in_5,
                                      {[](taken_proposals& t) { CHECK(t.take(2_n, true, 9, 1)); },
                                       [](taken_proposals& t) { CHECK(t.take(2_n, true, 9, 3)); },
                                       [](taken_proposals& t) { CHECK(t.take(2_n, true, 9, 2)); },
                                       [](taken_proposals& t) { CHECK(t.take(3_n, true, 9, 1)); },
                                       [](taken_proposals& t) { CHECK(t.take(3_n, true, 8, 1)); }});
  const auto of = [](std::initializer_list<std::pair<node_id, std::uint64_t>> sessions, bool members = true) {
    taken_proposals t;
    t.begin(5_t);
    for (const auto& [from, session] : sessions) CHECK(t.take(from, members, session, 1));
    return t;
  };
  CHECK(write_in_5(of({{2_n, 1}})) != write_in_5(of({{3_n, 1}})));
  CHECK(write_in_5(of({{2_n, 1}})) != write_in_5(of({{2_n, 2}})));
  CHECK(write_in_5(of({{2_n, 1}})) != write_in_5(of({{2_n, 1}}, false)));
  // In whatever order they came, and under whatever names.
  CHECK(write_in_5(of({{2_n, 1}, {3_n, 2}, {2_n, 3}})) == write_in_5(of({{3_n, 2}, {2_n, 3}, {2_n, 1}})));
  const std::vector<renamed_id> swapped{{2_n, 3_n}, {3_n, 2_n}};
  CHECK(write(of({{2_n, 1}, {3_n, 2}}), 5_t, canonical_writer{swapped}) == write_in_5(of({{3_n, 1}, {2_n, 2}})));
  // Of a term that is over nothing counts, but that it is.
  CHECK(write(of({{2_n, 1}}), 6_t) == write(of({{3_n, 2}}), 6_t));
  CHECK(write(of({}), 6_t) != write_in_5(of({})));
  CHECK_FALSE(begins_with(write_in_5(of({})), write(of({}), 6_t)));
  CHECK_FALSE(begins_with(write_in_5(of({{2_n, 1}, {3_n, 2}})), write_in_5(of({{2_n, 1}}))));
}

}  // namespace forwarding_test
