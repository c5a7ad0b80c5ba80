// The account of write marks, against a slow twin that remembers every write.

#include <doctest/doctest.h>
#include <raft/durability.hpp>

#include <set>
#include <vector>

#include "support/forms.hpp"
#include "support/letter.hpp"
#include "support/printing.hpp"

namespace durability_test {

using namespace raft;
using namespace story;

namespace {

/// Remembers for each entry of the log which write brought it, and which writes are complete.
class twin {
 public:
  explicit twin(std::uint64_t last) : brought_by_(last, 0) {}
  void wrote() { ++issued_; }
  void appended(std::uint64_t last) {
    ++issued_;
    while (brought_by_.size() < last) brought_by_.push_back(issued_);
  }
  void truncated(std::uint64_t from) {
    ++issued_;
    brought_by_.resize(std::min<std::size_t>(brought_by_.size(), from - 1));
  }
  void replaced(std::uint64_t last) {
    ++issued_;
    brought_by_.assign(last, issued_);
  }
  void completed(std::uint64_t first, std::uint64_t last) {
    for (; first <= last; ++first) complete_.insert(first);
  }
  [[nodiscard]] std::uint64_t mark() const {
    std::uint64_t m = 0;
    while (complete_.contains(m + 1)) ++m;
    return m;
  }
  [[nodiscard]] std::uint64_t index() const {
    std::uint64_t i = 0;
    while (i < brought_by_.size() && brought_by_[i] <= mark()) ++i;
    return i;
  }
  [[nodiscard]] std::uint64_t last() const { return brought_by_.size(); }
  [[nodiscard]] std::uint64_t issued() const { return issued_; }

 private:
  std::vector<std::uint64_t> brought_by_;
  std::uint64_t issued_ = 0;
  std::set<std::uint64_t> complete_{};
};

}  // namespace

TEST_CASE("durability: everything that the Log was opened with is durable") {
  const durability d{7_i};
  CHECK(d.index() == 7_i);
  CHECK(d.mark() == 0_m);
  CHECK(d.issued() == 0_m);
}

TEST_CASE("wrote: the first mark tells where the Log's marks begin") {
  durability d{7_i};
  d.wrote(101_m);
  CHECK(d.issued() == 101_m);
  CHECK(d.mark() == 100_m);
  CHECK(d.completed(101_m, 101_m));
  CHECK(d.mark() == 101_m);
}

TEST_CASE("completed: an entry is durable when its write and all before it are") {
  durability d{0_i};
  d.appended(1_m, 2_i);
  d.appended(2_m, 5_i);
  d.wrote(3_m);
  CHECK(d.completed(2_m, 2_m));
  CHECK(d.index() == 0_i);
  CHECK(d.mark() == 0_m);
  CHECK(d.completed(1_m, 1_m));
  CHECK(d.index() == 5_i);
  CHECK(d.mark() == 2_m);
  CHECK(d.completed(3_m, 3_m));
  CHECK(d.mark() == 3_m);
}

TEST_CASE("completed: marks that were never issued are refused and change nothing") {
  durability d{0_i};
  d.appended(1_m, 2_i);
  CHECK_FALSE(d.completed(1_m, 2_m));
  CHECK_FALSE(d.completed(0_m, 1_m));
  CHECK_FALSE(d.completed(2_m, 1_m));
  CHECK_FALSE(d.completed(mark_t{UINT64_MAX}, mark_t{UINT64_MAX}));
  CHECK(d.index() == 0_i);
  CHECK(d.mark() == 0_m);
  CHECK(d.completed(1_m, 1_m));
  CHECK(d.completed(1_m, 1_m));
  CHECK(d.index() == 2_i);
}

TEST_CASE("truncated: an entry that is appended again belongs to its new mark [B154]") {
  durability d{0_i};
  d.appended(1_m, 3_i);
  d.truncated(2_m, 2_i);
  d.appended(3_m, 3_i);
  CHECK(d.completed(1_m, 1_m));
  CHECK(d.index() == 1_i);
  CHECK(d.completed(3_m, 3_m));
  CHECK(d.index() == 1_i);
  CHECK(d.completed(2_m, 2_m));
  CHECK(d.index() == 3_i);
}

TEST_CASE("truncated: what was durable and is gone is not durable any more") {
  durability d{9_i};
  d.truncated(1_m, 5_i);
  CHECK(d.index() == 4_i);
  d.appended(2_m, 9_i);
  CHECK(d.index() == 4_i);
  CHECK(d.completed(1_m, 2_m));
  CHECK(d.index() == 9_i);
}

TEST_CASE("replaced: of a log that a snapshot replaced nothing is durable before that is") {
  durability d{9_i};
  d.appended(1_m, 12_i);
  d.replaced(2_m, 20_i);
  CHECK(d.index() == 0_i);
  d.appended(3_m, 22_i);
  CHECK(d.completed(1_m, 1_m));
  CHECK(d.index() == 0_i);
  CHECK(d.completed(2_m, 2_m));
  CHECK(d.index() == 20_i);
  CHECK(d.completed(3_m, 3_m));
  CHECK(d.index() == 22_i);
}

TEST_CASE("durability: random writes and completions in any order, against the twin") {
  std::uint64_t chance = 99;
  const auto draw = [&](std::uint64_t n) {
    chance = chance * 6364136223846793005U + 1442695040888963407U;
    return (chance >> 33) % n;
  };
  for (int run = 0; run < 400; ++run) {
    const std::uint64_t begin = draw(4);
    durability d{index_t{begin}};
    twin t{begin};
    for (int step = 0; step < 60; ++step) {
      const mark_t mark{t.issued() + 1};
      switch (draw(8)) {
        case 0:
          d.wrote(mark);
          t.wrote();
          break;
        case 1:
        case 2: {
          const std::uint64_t last = t.last() + 1 + draw(3);
          d.appended(mark, index_t{last});
          t.appended(last);
          break;
        }
        case 3: {
          if (t.last() == 0) break;
          const std::uint64_t from = 1 + draw(t.last());
          d.truncated(mark, index_t{from});
          t.truncated(from);
          break;
        }
        case 4: {
          if (draw(4) != 0) break;
          const std::uint64_t last = t.last() + draw(5);
          d.replaced(mark, index_t{last});
          t.replaced(last);
          break;
        }
        default: {
          if (t.issued() == 0) break;
          const std::uint64_t first = 1 + draw(t.issued());
          const std::uint64_t last = first + draw(std::min<std::uint64_t>(3, t.issued() - first + 1));
          CHECK(d.completed(mark_t{first}, mark_t{last}));
          t.completed(first, last);
          break;
        }
      }
      REQUIRE(d.index() == index_t{t.index()});
      REQUIRE(d.mark() == mark_t{t.mark()});
      REQUIRE(d.issued() == mark_t{t.issued()});
    }
  }
}

TEST_CASE("durability: its form holds marks as what is above the durable one, and everything that is under way") {
  const auto form = [](const durability& d) {
    numbers out;
    d.canonical(out);
    return out.written;
  };
  const auto busy = [](std::uint64_t first_mark) {
    durability d{5_i};
    for (std::uint64_t i = 0; i < 6; ++i) d.appended(mark_t{first_mark + i}, index_t{6 + i});
    CHECK(d.completed(mark_t{first_mark}, mark_t{first_mark}));
    CHECK(d.completed(mark_t{first_mark + 5}, mark_t{first_mark + 5}));
    CHECK(d.completed(mark_t{first_mark + 2}, mark_t{first_mark + 3}));
    return d;
  };
  CHECK(form(durability{5_i}) == std::vector<std::uint64_t>{0, 5, 0, 0});
  // 5 above; 6 is durable; five under way, each with its mark and its end; two completed early, in the order of marks.
  CHECK(form(busy(1)) == std::vector<std::uint64_t>{5, 6, 5, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11, 2, 2, 3, 5, 5});
  CHECK(form(busy(100)) == form(busy(1)));
  // Completions that begin alike are in one order, in whatever order they came.
  const auto completes = [](std::initializer_list<std::uint64_t> lasts) {
    durability d{5_i};
    for (std::uint64_t i = 1; i <= 6; ++i) d.appended(mark_t{i}, index_t{5 + i});
    for (const std::uint64_t last : lasts) CHECK(d.completed(3_m, mark_t{last}));
    return d;
  };
  CHECK(form(completes({4, 5})) == form(completes({5, 4})));
  CHECK(form(completes({4, 5})) != form(completes({4, 6})));
}

TEST_CASE("truncated: of an append that it removes whole nothing is left") {
  const auto form = [](const durability& d) {
    numbers out;
    d.canonical(out);
    return out.written;
  };
  durability cut{0_i};
  cut.appended(1_m, 5_i);
  cut.appended(2_m, 8_i);
  cut.truncated(3_m, 6_i);
  durability never{0_i};
  never.appended(1_m, 5_i);
  never.wrote(2_m);
  never.wrote(3_m);
  CHECK(form(cut) == form(never));
}

}  // namespace durability_test
