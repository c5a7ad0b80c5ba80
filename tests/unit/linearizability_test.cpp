// The checker of histories, on histories whose verdict is known.

#include <raft/testing/linearizability.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace linearizability_test {

using namespace raft::testing::linearizability;

namespace {

constexpr auto never = operation::never;

operation set(std::string value, std::int64_t call, std::int64_t end) {
  return {.what = action::set, .key = "k", .value = std::move(value), .call = call, .end = end};
}
operation get(std::optional<std::string> result, std::int64_t call, std::int64_t end) {
  return {.what = action::get, .key = "k", .call = call, .end = end, .result = std::move(result)};
}
operation cas(std::string expected, std::string value, std::optional<std::string> result, std::int64_t call,
              std::int64_t end) {
  return {.what = action::cas,
          .key = "k",
          .value = std::move(value),
          .expected = std::move(expected),
          .call = call,
          .end = end,
          .result = std::move(result)};
}
operation increment(std::string result, std::int64_t call, std::int64_t end) {
  return {.what = action::increment, .key = "k", .call = call, .end = end, .result = std::move(result)};
}

operation refused_increment(std::int64_t call, std::int64_t end) {
  return {.what = action::increment, .key = "k", .call = call, .end = end, .result = std::nullopt};
}

bool good(const std::vector<operation>& history) {
  const verdict v = check(history).what;
  REQUIRE(v != verdict::gave_up);
  return v == verdict::linearizable;
}

/// The dumb twin: tries every order of every subset that contains all that returned.
bool good_by_brute_force(const std::vector<operation>& history) {
  std::vector<std::size_t> order(history.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  do {
    detail::state s;
    std::size_t returned = 0;
    const auto needed = static_cast<std::size_t>(
        std::count_if(history.begin(), history.end(), [](const operation& o) { return o.end != never; }));
    bool legal = true;
    for (std::size_t i = 0; i < order.size() && legal; ++i) {
      if (returned == needed) return true;  // the rest never took effect
      for (std::size_t j = i + 1; j < order.size(); ++j)
        legal = legal && history[order[j]].end >= history[order[i]].call;
      legal = legal && detail::perform(history[order[i]], s);
      returned += history[order[i]].end != never ? 1 : 0;
    }
    if (legal && returned == needed) return true;
  } while (std::next_permutation(order.begin(), order.end()));
  return false;
}

}  // namespace

TEST_CASE("check: one after the other") {
  CHECK(good({}));
  CHECK(good({get({}, 1, 2), set("a", 3, 4), get("a", 5, 6)}));
  CHECK_FALSE(good({set("a", 1, 2), get({}, 3, 4)}));
  CHECK_FALSE(good({set("a", 1, 2), set("b", 3, 4), get("a", 5, 6)}));
}

TEST_CASE("check: overlapping operations may be seen or not, but not both ways round") {
  CHECK(good({set("a", 1, 10), get({}, 2, 3), get("a", 4, 5)}));
  CHECK_FALSE(good({set("a", 1, 10), get("a", 2, 3), get({}, 4, 5)}));
  CHECK(good({set("a", 1, 10), set("b", 2, 9), get("b", 3, 4), get("a", 5, 6)}));
  CHECK_FALSE(good({set("a", 1, 10), set("b", 2, 9), get("b", 3, 4), get("a", 5, 6), get("b", 7, 8)}));
}

TEST_CASE("check: a stale read after somebody else saw the new value") {
  CHECK_FALSE(good({set("old", 0, 1), set("new", 2, 3), get("new", 4, 5), get("old", 6, 7)}));
}

TEST_CASE("check: an unknown outcome may take effect late, or never, but not before its call") {
  CHECK(good({set("a", 1, never), get({}, 2, 3), get("a", 100, 101)}));
  CHECK(good({set("a", 1, never), get({}, 2, 3), get({}, 100, 101)}));
  CHECK_FALSE(good({get("a", 1, 2), set("a", 3, never)}));
  CHECK_FALSE(good({set("a", 1, never), get("a", 2, 3), get({}, 4, 5)}));
}

TEST_CASE("check: a lost write, a write done twice") {
  CHECK_FALSE(good({increment("1", 1, 2), increment("1", 3, 4)}));
  CHECK_FALSE(good({increment("1", 1, 2), increment("3", 3, 4)}));
  CHECK(good({increment("1", 1, 2), increment("", 3, never), increment("3", 5, 6)}));
  CHECK(good({increment("2", 1, 4), increment("1", 2, 3)}));
}

TEST_CASE("check: compare-and-set") {
  CHECK(good(
      {cas("a", "b", {}, 1, 2), set("a", 3, 4), cas("x", "b", "0", 5, 6), cas("a", "b", "1", 7, 8), get("b", 9, 10)}));
  CHECK_FALSE(good({set("a", 1, 2), cas("a", "b", "1", 3, 10), cas("a", "c", "1", 4, 9)}));
  CHECK_FALSE(good({set("a", 1, 2), cas("a", "b", {}, 3, 4)}));
}

TEST_CASE("check: append") {
  const auto append = [](std::string value, std::string length, std::int64_t call, std::int64_t end) {
    return operation{.what = action::append,
                     .key = "k",
                     .value = std::move(value),
                     .call = call,
                     .end = end,
                     .result = std::move(length)};
  };
  CHECK(good({append("a", "1", 1, 10), append("b", "2", 2, 9), get("ab", 11, 12)}));
  CHECK_FALSE(good({append("a", "1", 1, 10), append("b", "2", 2, 9), get("ba", 11, 12)}));
}

TEST_CASE("check: keys are independent, and the bad one is named") {
  std::vector<operation> history = {set("a", 1, 2), get("a", 3, 4)};
  for (operation o : {set("x", 1, 2), get("y", 3, 4)}) {
    o.key = "bad";
    history.push_back(o);
  }
  const finding f = check(history);
  CHECK(f.what == verdict::not_linearizable);
  CHECK(f.key == "bad");
}

TEST_CASE("check: gives up at its bound") {
  std::vector<operation> history;
  for (int i = 0; i < 20; ++i) history.push_back(set(std::to_string(i), i, 100));
  history.push_back(get("nobody wrote this", 200, 201));
  CHECK(check(history, 1000).what == verdict::gave_up);
  CHECK(to_text(check(history, 1000)) == "undecided: the search of key k reached its bound of 1000 states");
}

TEST_CASE("check: what is no number is not incremented, and that is refused") {
  CHECK(good({set("nine", 0, 1), refused_increment(2, 3), get("nine", 4, 5)}));
  CHECK(good({set("9223372036854775807", 0, 1), refused_increment(2, 3)}));
  CHECK_FALSE(good({set("nine", 0, 1), increment("1", 2, 3)}));
  CHECK_FALSE(good({set("9", 0, 1), refused_increment(2, 3)}));
}

TEST_CASE("check: the same verdict as trying every order, on random histories") {
  std::uint32_t random = 99;
  const auto draw = [&random](std::uint32_t n) {
    random = random * 1664525 + 1013904223;
    return (random >> 10) % n;
  };
  int bad = 0;
  for (int round = 0; round < 4000; ++round) {
    std::vector<operation> history;
    const std::uint32_t size = 2 + draw(5);
    for (std::uint32_t i = 0; i < size; ++i) {
      const std::int64_t call = draw(12);
      const std::int64_t end = draw(6) == 0 ? never : call + 1 + draw(6);
      const auto digit = [&draw] { return std::to_string(draw(3)); };
      switch (draw(4)) {
        case 0:
          history.push_back(set(digit(), 2 * call, end == never ? never : 2 * end + 1));
          break;
        case 1:
          history.push_back(increment(digit(), 2 * call, end == never ? never : 2 * end + 1));
          break;
        case 2:
          history.push_back(cas(digit(), digit(), draw(3) == 0 ? std::optional<std::string>{} : std::to_string(draw(2)),
                                2 * call, end == never ? never : 2 * end + 1));
          break;
        default:
          history.push_back(
              get(draw(3) == 0 ? std::optional<std::string>{} : digit(), 2 * call, end == never ? never : 2 * end + 1));
      }
    }
    const bool expected = good_by_brute_force(history);
    REQUIRE(good(history) == expected);
    bad += expected ? 0 : 1;
  }
  CHECK(bad > 400);
  CHECK(bad < 3600);
}

TEST_CASE("check: a long history of few clients is quick") {
  // Four clients, 500 operations on one key, simulated against a real store.
  std::uint32_t random = 5;
  const auto draw = [&random](std::uint32_t n) {
    random = random * 1664525 + 1013904223;
    return (random >> 10) % n;
  };
  std::vector<operation> history;
  detail::state s;
  std::int64_t free_at[4] = {};
  std::int64_t now = 0;
  for (int i = 0; i < 500; ++i) {
    const auto client = draw(4);
    const std::int64_t call = std::max(free_at[client], now - static_cast<std::int64_t>(draw(20)));
    now = std::max(now, call) + 1 + draw(5);  // it takes effect now
    operation o = draw(2) == 0 ? set(std::to_string(i), call, 0) : get({}, call, 0);
    if (o.what == action::set) s = o.value;
    if (o.what == action::get) o.result = s;
    o.end = now + 1 + draw(20);
    if (o.what == action::set && draw(20) == 0) o.end = never;
    free_at[client] = o.end == never ? now + 20 : o.end;
    history.push_back(o);
  }
  CHECK(good(history));
  // One wrong read.
  for (std::size_t i = 400; i < history.size(); ++i) {
    if (history[i].what != action::get) continue;
    history[i].result = "0";
    break;
  }
  CHECK_FALSE(good(history));
}

}  // namespace linearizability_test
