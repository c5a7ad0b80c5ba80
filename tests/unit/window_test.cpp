// What is under way, oldest first.

#include <doctest/doctest.h>
#include <raft/window.hpp>

#include <deque>
#include <vector>

#include "support/forms.hpp"
#include "support/letter.hpp"

namespace window_test {

using namespace raft;
using namespace story;

TEST_CASE("window: begins empty") {
  const window w;
  CHECK(w.empty());
  CHECK(w.count() == 0);
  CHECK(w.bytes() == 0);
}

TEST_CASE("release_to: lets go of what ends at or below, from the front") {
  window w;
  w.push(3_i, 10);
  w.push(5_i, 20);
  w.push(9_i, 30);
  CHECK(w.count() == 3);
  CHECK(w.bytes() == 60);
  w.release_to(2_i);
  CHECK(w.count() == 3);
  w.release_to(5_i);
  CHECK(w.count() == 1);
  CHECK(w.bytes() == 30);
  w.release_to(8_i);
  CHECK(w.count() == 1);
  w.release_to(100_i);
  CHECK(w.empty());
  CHECK(w.bytes() == 0);
  w.release_to(100_i);
  w.push(1_i, 7);  // after all has gone any index may come
  CHECK(w.bytes() == 7);
}

TEST_CASE("clear: forgets the count and the bytes [B168]") {
  window w;
  for (std::uint64_t k = 1; k < 20; ++k) w.push(index_t{k}, 5);
  w.clear();
  CHECK(w.empty());
  CHECK(w.bytes() == 0);
  w.push(1_i, 5);
  CHECK(w.count() == 1);
  CHECK(w.bytes() == 5);
}

TEST_CASE("push: over many rounds it holds what a plain queue holds") {
  window w;
  std::deque<std::pair<std::uint64_t, std::uint64_t>> twin;
  std::uint64_t last = 0;
  std::uint64_t chance = 7;
  for (int step = 0; step < 20000; ++step) {
    chance = chance * 6364136223846793005U + 1442695040888963407U;
    const std::uint64_t draw = chance >> 40;
    if (draw % 5 < static_cast<std::uint64_t>(step / 2000) % 5) {
      last += 1 + draw % 3;
      w.push(index_t{last}, draw % 100);
      twin.emplace_back(last, draw % 100);
    } else if (!twin.empty()) {
      const std::uint64_t upto = twin.front().first + draw % 7;
      w.release_to(index_t{upto});
      while (!twin.empty() && twin.front().first <= upto) twin.pop_front();
    }
    std::uint64_t bytes = 0;
    for (const auto& [index, size] : twin) bytes += size;
    REQUIRE(w.count() == twin.size());
    REQUIRE(w.bytes() == bytes);
    REQUIRE(w.empty() == twin.empty());
  }
}

TEST_CASE("window: a copy is independent") {
  window w;
  w.push(1_i, 5);
  window copy = w;
  copy.push(2_i, 6);
  copy.release_to(1_i);
  CHECK(w.bytes() == 5);
  CHECK(copy.bytes() == 6);
}

TEST_CASE("window: its form holds the bytes of each, whatever was held before and wherever it lies") {
  const auto form = [](const window& w) {
    numbers out;
    w.canonical(out);
    return out.written;
  };
  window w;
  CHECK(form(w) == std::vector<std::uint64_t>{0});
  for (std::uint64_t i = 1; i <= 3; ++i) w.push(index_t{i}, 10 * i);
  CHECK(form(w) == std::vector<std::uint64_t>{3, 1, 10, 2, 20, 3, 30});
  w.release_to(2_i);
  w.push(4_i, 40);
  w.push(9_i, 50);  // around the end of the ring
  CHECK(form(w) == std::vector<std::uint64_t>{3, 3, 30, 4, 40, 9, 50});
  w.clear();
  CHECK(form(w) == std::vector<std::uint64_t>{0});
}

}  // namespace window_test
