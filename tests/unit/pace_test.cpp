// pace.hpp: no faster than the limit, and nothing of it lost to rounding.

#include <raft/pace.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <vector>

#include "support/forms.hpp"

namespace pace_test {

using raft::pace;

TEST_CASE("pace: a piece is paid for before the next one leaves") {
  pace<std::int64_t> p;
  CHECK(p.free_at() == 0);
  const auto price = static_cast<std::int64_t>(p.price(500, 1000, 1000));
  CHECK(price == 500);
  p.pay(std::int64_t{10'000}, price, std::int64_t{50});
  CHECK(p.free_at() == 10'500);
}

TEST_CASE("pace: who is late makes up for it, within the slack") {
  pace<std::int64_t> p;
  p.pay(std::int64_t{1000}, std::int64_t{100}, std::int64_t{50});
  CHECK(p.free_at() == 1100);
  p.pay(std::int64_t{1130}, std::int64_t{100}, std::int64_t{50});
  CHECK(p.free_at() == 1200);  // As if it had been on time.
  p.pay(std::int64_t{1250}, std::int64_t{100}, std::int64_t{50});
  CHECK(p.free_at() == 1300);
  p.pay(std::int64_t{1351}, std::int64_t{100}, std::int64_t{50});
  CHECK(p.free_at() == 1451);  // Too late: the pause is not made up for.
}

TEST_CASE("pace: less than a tick is not lost, and not given away") {
  // 3 bytes at 2000 bytes a second, with a clock of milliseconds: a tick and a half each.
  pace<std::int64_t> p;
  std::uint64_t ticks = 0;
  for (int k = 0; k < 1000; ++k) {
    const std::uint64_t one = p.price(3, 2000, 1000);
    CHECK(one >= 1);
    CHECK(one <= 2);
    ticks += one;
  }
  CHECK(ticks == 1500);
}

TEST_CASE("pace: the largest chunk on the finest clock does not overflow") {
  pace<std::int64_t> p;
  CHECK(p.price(UINT32_MAX, UINT32_MAX, 1'000'000'000) == 1'000'000'000);
  CHECK(p.price(UINT32_MAX, 1, 1'000'000'000) == std::uint64_t{UINT32_MAX} * 1'000'000'000);
}

TEST_CASE("pace: works with the clocks of <chrono>") {
  using std::chrono::milliseconds;
  using time_point = std::chrono::steady_clock::time_point;
  pace<time_point> p;
  const time_point now{std::chrono::hours(5)};
  p.pay(now, milliseconds(20), milliseconds(5));
  CHECK(p.free_at() == now + milliseconds(20));
}

namespace {

constexpr bool works_in_constant_evaluation() {
  pace<std::int64_t> p;
  p.pay(std::int64_t{5}, static_cast<std::int64_t>(p.price(10, 10, 1000)), std::int64_t{1});
  return p.free_at() == 1005;
}
static_assert(works_in_constant_evaluation());

}  // namespace

TEST_CASE("pace: its form holds when the next piece may leave, and what is owed") {
  pace<std::int64_t> p;
  CHECK(p.price(5, 4, 1) == 1);  // and a quarter of a tick is owed
  p.pay(std::int64_t{100}, std::int64_t{1}, std::int64_t{0});
  story::numbers out;
  p.canonical(out, [&out](std::int64_t time) { out(static_cast<std::uint64_t>(time)); });
  CHECK(out.written == std::vector<std::uint64_t>{101, 1});
}

}  // namespace pace_test
