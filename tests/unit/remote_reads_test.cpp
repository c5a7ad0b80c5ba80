// Reads that a server asks its leader about: what gathers, what is under way, what ends and when.

#include <doctest/doctest.h>
#include <raft/remote_reads.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "support/forms.hpp"
#include "support/letter.hpp"
#include "support/printing.hpp"

namespace remote_reads_test {

using namespace raft;
using namespace story;

namespace {

using reads = remote_reads<std::int64_t>;
using told = std::vector<std::pair<std::uint64_t, std::uint64_t>>;  // context, index

told ends(reads& r, index_t applied) {
  told all;
  r.tell(applied, [&all](std::uint64_t context, index_t index) { all.emplace_back(context, index.value); });
  return all;
}

constexpr std::int64_t never_at = std::numeric_limits<std::int64_t>::max();

}  // namespace

TEST_CASE("remote_reads: what gathers while a request is under way waits for the next one") {
  reads r;
  CHECK_FALSE(r.wants_to_ask());
  r.gather(1, 100);
  CHECK(r.wants_to_ask());
  const std::uint64_t first = r.begin(0, 10, 999);
  CHECK_FALSE(r.wants_to_ask());
  r.gather(2, 101);
  CHECK_FALSE(r.wants_to_ask());
  CHECK(r.size() == 2);
  r.take(5_i);
  CHECK_FALSE(r.under_way());
  CHECK(r.wants_to_ask());
  CHECK(ends(r, 5_i) == told{{1, 5}});
  CHECK(r.size() == 1);
  CHECK(r.begin(20, 30, 999) == first + 1);
  r.take(6_i);
  CHECK(ends(r, 6_i) == told{{2, 6}});
  CHECK(r.size() == 0);
}

TEST_CASE("remote_reads: a request is repeated in time while it is under way, and any of its tickets answers it") {
  reads r;
  r.begin_with(UINT64_MAX);  // tickets may wrap around
  CHECK_FALSE(r.is_to_be_repeated(100));
  r.gather(1, 100);
  const std::uint64_t first = r.begin(0, 10, 999);
  CHECK_FALSE(r.is_to_be_repeated(9));
  CHECK(r.is_to_be_repeated(10));
  const std::uint64_t second = r.repeat(20);
  CHECK_FALSE(r.is_to_be_repeated(19));
  CHECK(r.is_to_be_repeated(20));
  CHECK_FALSE(r.answers(first - 1));
  CHECK(r.answers(first));
  CHECK(r.answers(second));
  CHECK_FALSE(r.answers(second + 1));
  r.take(1_i);
  CHECK_FALSE(r.answers(first));
  CHECK_FALSE(r.is_to_be_repeated(20));
}

TEST_CASE("remote_reads: a read ends when its index is applied, and one whose patience is over as dropped") {
  reads r;
  r.gather(1, 100);
  r.gather(2, 150);  // given up with the first
  r.begin(0, 10, 999);
  r.take(5_i);
  CHECK(ends(r, 4_i).empty());
  CHECK(r.has_ended());
  r.expire(99);
  CHECK(ends(r, 4_i).empty());
  r.expire(100);
  CHECK(ends(r, 4_i) == told{{1, 0}, {2, 0}});
  CHECK_FALSE(r.has_ended());

  r.gather(3, 200);
  r.begin(101, 110, 999);
  r.expire(199);
  CHECK(r.under_way());
  r.expire(200);
  CHECK_FALSE(r.under_way());
  CHECK(ends(r, 4_i) == told{{3, 0}});
}

TEST_CASE("remote_reads: who drops all drops what gathered, what is asked, and what waits to be applied, each once") {
  reads r;
  r.gather(1, 100);
  r.begin(0, 10, 999);
  r.take(5_i);
  r.gather(2, 100);
  r.begin(1, 11, 999);
  r.gather(3, 100);
  r.drop_all();
  CHECK_FALSE(r.under_way());
  CHECK_FALSE(r.wants_to_ask());
  told all = ends(r, 0_i);
  std::ranges::sort(all);
  CHECK(all == told{{1, 0}, {2, 0}, {3, 0}});
  CHECK(r.size() == 0);
}

TEST_CASE("remote_reads: it wakes for the repetition, for the end of patience, and for nothing when nothing waits") {
  reads r;
  CHECK(r.wake() == never_at);
  r.gather(1, 100);
  r.begin(0, 10, 999);
  CHECK(r.wake() == 10);
  r.repeat(120);
  CHECK(r.wake() == 100);
  r.gather(2, 300);
  r.take(5_i);
  CHECK(r.wake() == 100);  // the read that waits is given up before the next request is due
  r.expire(100);
  CHECK(ends(r, 0_i).size() == 1);
  CHECK(r.wake() == 120);
  r.begin(120, 130, 999);
  r.take(6_i);
  CHECK(ends(r, 6_i).size() == 1);
  CHECK(r.wake() == never_at);
}

TEST_CASE("remote_reads: how stale a server is counts from the request, once its answer is applied") {
  reads r;
  CHECK_FALSE(r.shown(0, 9_i));
  r.begin(10, 20, 999);
  r.take(5_i);
  CHECK_FALSE(r.shown(11, 4_i));
  r.begin(15, 25, 999);
  r.take(6_i);  // the first answer is waited for, and not replaced
  CHECK(r.shown(16, 5_i) == 10);
  r.begin(30, 40, 999);
  r.take(6_i);
  CHECK(r.shown(31, 6_i) == 30);
  CHECK(r.shown(30, 6_i) == 30);
  CHECK_FALSE(r.shown(29, 6_i));  // the clock went back
  CHECK_FALSE(r.shown(31, 6_i));
}

TEST_CASE("remote_reads: its canonical form has every read, with its place, and the request under way") {
  const auto write = [](const reads& r) {
    return form_by({}, [&](canonical_writer& w, const auto& time) { r.canonical(w, time); });
  };
  every_change_shows<reads>(
      {}, write,
      {[](reads& r) { r.gather(1, 100); }, [](reads& r) { r.gather(2, 100); }, [](reads& r) { r.begin(5, 15, 999); },
       [](reads& r) { r.repeat(15); }, [](reads& r) { r.repeat(16); }, [](reads& r) { r.gather(3, 50); },
       [](reads& r) { r.take(7_i); }, [](reads& r) { (void)r.shown(20, 7_i); }, [](reads& r) { r.expire(100); },
       [](reads& r) { (void)ends(r, 7_i); }});
  // Each by itself.
  const auto after = [&write](const auto&... inputs) {
    reads r;
    (inputs(r), ...);
    return write(r);
  };
  const auto gathers = [](std::uint64_t context, std::int64_t until) {
    return [=](reads& r) { r.gather(context, until); };
  };
  const auto begins = [](std::int64_t now, std::int64_t repeat, std::int64_t until) {
    return [=](reads& r) { r.begin(now, repeat, until); };
  };
  const auto takes = [](index_t index) { return [=](reads& r) { r.take(index); }; };
  CHECK_FALSE(begins_with(after(gathers(1, 100)), after()));
  CHECK_FALSE(begins_with(after(gathers(1, 100), gathers(2, 100)), after(gathers(1, 100))));
  CHECK(after(gathers(1, 100)) != after(gathers(2, 100)));
  CHECK(after(gathers(1, 100)) != after(gathers(1, 101)));
  CHECK(after(gathers(1, 100), begins(5, 15, 999)) != after(gathers(2, 100), begins(5, 15, 999)));
  CHECK(after(begins(5, 15, 99)) != after(begins(6, 15, 99)));
  CHECK(after(begins(5, 15, 99)) != after(begins(5, 16, 99)));
  CHECK(after(begins(5, 15, 99)) != after(begins(5, 15, 98)));
  const auto shows = [](std::int64_t now, index_t applied) { return [=](reads& r) { (void)r.shown(now, applied); }; };
  CHECK(after(begins(5, 15, 99), takes(7_i)) != after(begins(5, 15, 99), takes(8_i)));
  CHECK(after(begins(5, 15, 99), takes(7_i)) != after(begins(6, 15, 99), takes(7_i)));
  CHECK(after(begins(5, 15, 99), takes(7_i), shows(20, 7_i)) != after(begins(6, 15, 99), takes(7_i), shows(20, 7_i)));
  CHECK(after(gathers(1, 100), begins(5, 15, 99), takes(7_i), shows(20, 7_i)) !=
        after(gathers(2, 100), begins(5, 15, 99), takes(7_i), shows(20, 7_i)));
  CHECK(after(gathers(1, 100), begins(5, 15, 99), takes(7_i), shows(20, 7_i)) !=
        after(gathers(1, 101), begins(5, 15, 99), takes(7_i), shows(20, 7_i)));
  CHECK(after(gathers(1, 100), begins(5, 15, 99), takes(7_i), shows(20, 8_i)) !=
        after(gathers(1, 100), begins(5, 15, 99), takes(8_i), shows(20, 8_i)));

  // Tickets come from the generator, and count if they are asked for.
  reads a;
  reads b;
  b.begin_with(1);
  CHECK(write(a) == write(b));
  const auto with_chance = [](const reads& r) {
    return form_by(canonical_writer{}.with_chance(),
                   [&](canonical_writer& w, const auto& time) { r.canonical(w, time); });
  };
  CHECK(with_chance(a) != with_chance(b));
}

}  // namespace remote_reads_test
