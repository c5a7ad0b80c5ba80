#pragma once

// What is durable here [floor 2]: the one account of write marks, for a Log whose writes are durable later.
//
// A write speaks for something only when it and all writes before it are durable. So the account keeps the largest mark
// below which nothing is missing, and for the entries the index up to which the log is durable AS IT STANDS NOW: an
// entry that was truncated and appended again belongs to its new mark, and the old mark's completion says nothing of
// it.

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include <raft/assert.hpp>
#include <raft/types.hpp>

namespace raft {

class durability {
 public:
  constexpr durability() = default;
  /// At start: everything that the Log was opened with is durable.
  explicit constexpr durability(index_t last) : index_(last) {}

  /// The newest mark that was issued.
  [[nodiscard]] constexpr mark_t issued() const noexcept { return issued_; }
  /// All writes up to here are durable.
  [[nodiscard]] constexpr mark_t mark() const noexcept { return durable_; }
  /// All entries up to here are durable, as the log stands now.
  [[nodiscard]] constexpr index_t index() const noexcept { return index_; }

  /// A write got this mark. The first one seen tells where the Log's marks begin.
  constexpr void wrote(mark_t mark) noexcept {
    if (issued_ == mark_t{}) durable_ = mark_t{mark.value - 1};
    RAFT_ASSERT(mark > durable_, "a Log's marks rise");
    issued_ = mark;
  }

  constexpr void appended(mark_t mark, index_t last) {
    wrote(mark);
    appends_.push_back({mark, last});
  }

  constexpr void truncated(mark_t mark, index_t from) {
    wrote(mark);
    const index_t kept = from.previous();
    while (!appends_.empty() && appends_.back().last > kept) {
      const index_t before = appends_.size() > 1 ? appends_[appends_.size() - 2].last : index_;
      if (before >= kept) {
        appends_.pop_back();
      } else {
        appends_.back().last = kept;
      }
    }
    index_ = std::min(index_, kept);
  }

  /// The log was replaced by a snapshot at `last`.
  constexpr void replaced(mark_t mark, index_t last) {
    wrote(mark);
    appends_.clear();
    appends_.push_back({mark, last});
    index_ = index_t{};
  }

  /// The writes with marks in [first, last] are durable; completions may come in any order. False, and nothing changed,
  /// for marks that were never issued.
  constexpr bool completed(mark_t first, mark_t last) {
    if (first > last || last > issued_ || first == mark_t{}) return false;
    if (last <= durable_) return true;
    early_.push_back({first, last});
    advance_mark();
    std::size_t done = 0;
    for (; done < appends_.size() && appends_[done].mark <= durable_; ++done) index_ = appends_[done].last;
    appends_.erase(appends_.begin(), appends_.begin() + static_cast<std::ptrdiff_t>(done));
    return true;
  }

  /// By how much a mark is above all that is durable; zero if it is durable itself.
  [[nodiscard]] constexpr std::uint64_t above_durable(mark_t mark) const noexcept {
    return mark <= durable_ ? 0 : mark.value - durable_.value;
  }

  /// Its canonical form (canonical.hpp). Marks are only compared with each other, so they are written as what is above
  /// the durable one: with a Log that numbers on, equal forms behave alike wherever its marks began.
  template <class Writer>
  constexpr void canonical(Writer& w) const {
    const auto& [issued, durable, index, appends, early] = *this;
    w(above_durable(issued), index, appends.size());
    for (const append& a : appends) w(above_durable(a.mark), a.last);
    std::vector<range> sorted = early;
    std::sort(sorted.begin(), sorted.end(), [](const range& a, const range& b) {
      return std::pair{a.first, a.last} < std::pair{b.first, b.last};
    });
    w(sorted.size());
    for (const range& r : sorted) w(above_durable(r.first), above_durable(r.last));
  }

 private:
  struct append {
    mark_t mark{};
    index_t last{};
  };
  struct range {
    mark_t first{};
    mark_t last{};
  };

  constexpr void advance_mark() {
    for (bool moved = true; moved;) {
      moved = false;
      for (std::size_t i = 0; i < early_.size();) {
        if (early_[i].first.value > durable_.value + 1) {
          ++i;
          continue;
        }
        durable_ = std::max(durable_, early_[i].last);
        early_[i] = early_.back();
        early_.pop_back();
        moved = true;
      }
    }
  }

  mark_t issued_{};
  mark_t durable_{};
  index_t index_{};
  std::vector<append> appends_{};  ///< Not durable yet, oldest first; marks and last indexes rise.
  std::vector<range> early_{};     ///< Completed while an older write is not.
};

}  // namespace raft
