#pragma once

// Entries in memory [battery, above floor 4]: the store inside `memory_log`, and inside any Log that keeps a readable
// image.
//
//   entry_store   the entries (base, last], the term at base, which of them are configurations
//     segment     a fixed block of bytes with entries back to back, and the offset of each
//
// Entries lie in segments in their wire form. A batch goes in by one block copy for each segment that it touches (it is
// split between entries), and `view` hands out the bytes as they lie. A segment never moves, so growing moves no entry;
// what grows by doubling is the list of segments alone.
//
// Memory: an emptied segment goes to a free list, and the one freed last is used first, as it is still in the cache.
// A compaction that empties a segment returns what is more than were in use at once since the compaction before the
// last one, an eighth of that, and one: a load that repeats allocates nothing, and after a burst two compactions return
// its memory.
// An entry larger than a segment has a segment of its own, which is returned as soon as the entry goes.
//
// Running out of memory is no error value here: std::bad_alloc leaves the call, as from any vector of the engine.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <raft/assert.hpp>
#include <raft/bytes.hpp>
#include <raft/entry.hpp>
#include <raft/types.hpp>

namespace raft {

namespace detail {

/// A block of memory with consecutive entries back to back from its start, and where each of them begins.
/// Invariant: offsets_[0, count_) rise and tile [0, used_); the entry of slot k has index first_ + k.
class segment {
 public:
  /// Room for `capacity` bytes, where at most `count` entries begin. The memory is not set: what was not written is not
  /// read.
  constexpr segment(std::size_t capacity, std::size_t count)
      : bytes_(new std::byte[capacity]),
        offsets_(new std::uint32_t[count]),
        capacity_(static_cast<std::uint32_t>(capacity)) {}

  constexpr segment(segment&& other) noexcept { swap(other); }
  constexpr segment& operator=(segment&& other) noexcept {
    swap(other);
    return *this;
  }
  constexpr ~segment() {
    delete[] bytes_;
    delete[] offsets_;
  }

  [[nodiscard]] constexpr std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] constexpr index_t first() const noexcept { return first_; }
  [[nodiscard]] constexpr index_t last() const noexcept { return index_t{first_.value + count_ - 1}; }
  [[nodiscard]] constexpr term_t term_at(index_t i) const noexcept {
    return term_t{load_le<std::uint64_t>(bytes_ + offsets_[i - first_])};
  }

  /// Empties it; the next entry has index `first`.
  constexpr void start(index_t first) noexcept {
    first_ = first;
    used_ = 0;
    count_ = 0;
  }

  /// Takes over the content of `other`. Precondition: it fits.
  constexpr void copy(const segment& other) noexcept {
    first_ = other.first_;
    used_ = other.used_;
    count_ = other.count_;
    copy_bytes(bytes_, other.bytes_, used_);
    std::copy_n(other.offsets_, count_, offsets_);
  }

  /// Removes i and all behind it. Precondition: first() <= i <= last().
  constexpr void truncate_from(index_t i) noexcept {
    count_ = static_cast<std::uint32_t>(i - first_);
    used_ = offsets_[count_];
  }

  /// How many more bytes fit.
  [[nodiscard]] constexpr std::size_t room() const noexcept { return capacity_ - used_; }

  /// What `take` took: so many bytes; and the or of the second header words of the entries in them.
  struct taken {
    std::size_t bytes;
    std::uint64_t headers;
  };

  /// Copies the first `count` entries of `from`. The walk is the hot loop of a follower: its members are copied to
  /// locals, as each byte stored may alias them. Precondition: they fit.
  constexpr taken take(const std::byte* from, std::size_t count) noexcept {
    const std::uint32_t start = used_;
    std::uint32_t* const slots = offsets_ + count_;
    std::uint64_t headers = 0;
    std::size_t at = 0;
    for (std::size_t n = 0; n < count; ++n) {
      const auto header = load_le<std::uint64_t>(from + at + 8);
      slots[n] = static_cast<std::uint32_t>(start + at);
      headers |= header;
      at += entry_bytes(header & 0xffffffff);
    }
    copy_few(bytes_ + start, from, at);
    used_ = static_cast<std::uint32_t>(start + at);
    count_ += static_cast<std::uint32_t>(count);
    return {at, headers};
  }

  /// How many of the first `count` entries of `from` fit.
  [[nodiscard]] constexpr std::size_t fitting(const std::byte* from, std::size_t count) const noexcept {
    std::size_t at = 0;
    for (std::size_t left = count; left != 0; --left) {
      at += entry_bytes(load_le<std::uint32_t>(from + at + 8));
      if (at > room()) return count - left;
    }
    return count;
  }

  /// Writes entries with these payloads, as many as there is room for; returns how many.
  constexpr std::size_t take(term_t term, entry_kind kind, std::span<const payload> payloads) noexcept {
    std::byte* const bytes = bytes_;
    std::uint32_t* const slots = offsets_ + count_;
    const std::size_t capacity = capacity_;
    std::size_t at = used_;
    std::size_t n = 0;
    for (; n < payloads.size(); ++n) {
      const payload data = payloads[n];
      const std::size_t end = at + entry_bytes(data.size());
      if (end > capacity) break;
      store_le<std::uint64_t>(bytes + end - 8, 0);  // the padding; header and payload overwrite what is theirs
      write_entry_header(bytes + at, term, kind, data.size());
      copy_few(bytes + at + entry_header_bytes, data.data(), data.size());
      slots[n] = static_cast<std::uint32_t>(at);
      at = end;
    }
    used_ = static_cast<std::uint32_t>(at);
    count_ += static_cast<std::uint32_t>(n);
    return n;
  }

  /// Entries from `from` to at most `to`, as many as fit in max_bytes but at least one. Precondition: first() <= from,
  /// from <= to, from <= last(). O(1), or O(log count) where max_bytes is the limit.
  [[nodiscard]] constexpr entries view(index_t from, index_t to, std::uint32_t max_bytes) const noexcept {
    const std::uint32_t* const begin = offsets_ + (from - first_);
    const std::uint32_t* end = offsets_ + (std::min(to, last()) - first_) + 1;
    std::uint32_t end_offset = end == offsets_ + count_ ? used_ : *end;
    if (end_offset - *begin > max_bytes) {
      const std::uint32_t* const fitting = end_within(begin, end, max_bytes);
      if (fitting != end) end_offset = *fitting;
      end = fitting;
    }
    return entries::trusted(bytes_ + *begin, end_offset - *begin, static_cast<std::uint32_t>(end - begin),
                            term_t{load_le<std::uint64_t>(bytes_ + end[-1])});
  }

  /// Calls visit(const entry&) for each in [from, to]. Precondition: they are here.
  template <class Visit>
  constexpr void for_each(index_t from, index_t to, Visit& visit) const {
    const std::byte* const bytes = bytes_;
    const std::uint32_t* slot = offsets_ + (from - first_);
    for (index_t i = from; i <= to; i = i.next()) visit(read_entry(bytes + *slot++, i));
  }

 private:
  /// Of the entries that begin in [begin, end), where those that fit in max_bytes end, but one at least: the last start
  /// within the limit is where the last entry that fits ends.
  [[gnu::noinline]] static constexpr const std::uint32_t* end_within(const std::uint32_t* begin,
                                                                     const std::uint32_t* end,
                                                                     std::uint32_t max_bytes) noexcept {
    return std::max(std::upper_bound(begin, end, std::uint64_t{*begin} + max_bytes) - 1, begin + 1);
  }

  constexpr void swap(segment& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(offsets_, other.offsets_);
    std::swap(capacity_, other.capacity_);
    std::swap(used_, other.used_);
    std::swap(count_, other.count_);
    std::swap(first_, other.first_);
  }

  std::byte* bytes_ = nullptr;
  std::uint32_t* offsets_ = nullptr;
  std::uint32_t capacity_ = 0;
  std::uint32_t used_ = 0;
  std::uint32_t count_ = 0;
  index_t first_{};
};

/// The entries (base, last] and the term at base. Indexes are consecutive; `last() == base()` if there are none. A
/// value: copies are deep, assignment reuses memory, equality looks at the entries and not at how they lie in segments.
/// One that was moved from may only be assigned to or destroyed. Not safe to use from two threads at once.
/// Invariants: every live segment holds an entry above base; terms never fall.
class entry_store {
 public:
  explicit constexpr entry_store(std::size_t segment_bytes) noexcept
      : segment_bytes_(std::clamp<std::size_t>(segment_bytes & ~std::size_t{7}, 64, std::size_t{1} << 30)) {}

  constexpr entry_store(const entry_store& other) : segment_bytes_(other.segment_bytes_) { *this = other; }
  constexpr entry_store(entry_store&&) noexcept = default;
  constexpr entry_store& operator=(entry_store&&) noexcept = default;
  constexpr ~entry_store() = default;

  /// Copies the entries into the memory that is here, as far as it goes.
  constexpr entry_store& operator=(const entry_store& other) {
    if (this == &other) return *this;
    release_all();
    if (segment_bytes_ != other.segment_bytes_) free_.clear();
    segment_bytes_ = other.segment_bytes_;
    for (std::size_t k = other.head_; k < other.segments_.size(); ++k) {
      const segment& s = other.segments_[k];
      add_segment(s.capacity());
      segments_.back().copy(s);
    }
    base_ = other.base_;
    last_ = other.last_;
    base_term_ = other.base_term_;
    last_term_ = other.last_term_;
    configurations_ = other.configurations_;
    return *this;
  }

  /// The index before the first entry, and that of the last one.
  [[nodiscard]] constexpr index_t base() const noexcept { return base_; }
  [[nodiscard]] constexpr index_t last() const noexcept { return last_; }

  /// The term at i: base and last are remembered, others are looked up, O(log segments). Precondition: base <= i <=
  /// last.
  [[nodiscard]] constexpr term_t term_at(index_t i) const noexcept {
    RAFT_ASSERT(base_ <= i && i <= last_, "a term is asked for within [first_index - 1, last_index]");
    if (i == last_) return last_term_;
    if (i == base_) return base_term_;
    return segment_of(i).term_at(i);
  }

  /// Entries from `from` on, at most to `to`, as many as lie together and fit in max_bytes, but at least one. Valid
  /// until they are truncated or compacted, or the store assigned to. O(log segments), and O(log entries in a segment)
  /// more where max_bytes is the limit. Precondition: base < from <= to <= last.
  [[nodiscard]] constexpr entries view(index_t from, index_t to, std::uint32_t max_bytes) const noexcept {
    RAFT_ASSERT(base_ < from && from <= to && to <= last_, "entries are viewed within [first_index, last_index]");
    return segment_of(from).view(from, to, max_bytes);
  }

  /// Calls visit(const entry&) for each entry in [from, to] (none if to < from). By offset: no entry has to be read to
  /// find the next one. `visit` must not change the store. Precondition: base < from, to <= last.
  template <class Visit>
  constexpr void for_each(index_t from, index_t to, Visit&& visit) const {
    RAFT_ASSERT(base_ < from && to <= last_, "entries are visited within [first_index, last_index]");
    while (from <= to) {
      const segment& s = segment_of(from);
      const index_t end = std::min(to, s.last());
      s.for_each(from, end, visit);
      from = end.next();
    }
  }

  /// The indexes of the entries of kind configuration, ascending.
  [[nodiscard]] constexpr std::span<const index_t> configurations() const noexcept { return configurations_; }

  /// Appends a batch; its bytes are copied. O(count).
  constexpr void append(const entries& batch) {
    if (batch.empty()) return;
    const index_t first = last_.next();
    std::uint64_t headers = 0;
    if (!segments_.empty() && batch.bytes() <= segments_.back().room()) {
      headers = segments_.back().take(batch.data(), batch.count()).headers;
      last_ = last_ + batch.count();
    } else {
      headers = append_split(batch);
    }
    last_term_ = batch.last_term();
    // Of the kinds, command = 1 alone lacks the bit that configuration = 3 has.
    if ((headers >> 33) != 0) note_configurations(first);
  }

  /// Appends one entry of this term and kind for each payload; the payloads are copied. O(payloads).
  constexpr void append(term_t term, entry_kind kind, std::span<const payload> payloads) {
    RAFT_ASSERT(std::ranges::all_of(payloads, [](payload p) { return p.size() <= entry_payload_limit; }),
                "a payload fits into the length field of its entry");
    if (payloads.empty()) return;
    const index_t first = last_.next();
    if (segments_.empty()) add_segment(entry_bytes(payloads.front().size()));
    for (;;) {
      payloads = payloads.subspan(segments_.back().take(term, kind, payloads));
      last_ = segments_.back().last();
      if (payloads.empty()) break;
      add_segment(entry_bytes(payloads.front().size()));
    }
    last_term_ = term;
    if (kind == entry_kind::configuration) note_configurations(first);
  }

  /// Removes i and all behind it; nothing if i > last. Precondition: base < i. O(segments emptied).
  constexpr void truncate_from(index_t i) {
    RAFT_ASSERT(base_ < i, "what is compacted away cannot be truncated");
    if (i > last_) return;
    const term_t term = term_at(i.previous());
    last_ = i.previous();
    last_term_ = term;
    while (!configurations_.empty() && configurations_.back() >= i) configurations_.pop_back();
    if (last_ == base_) return release_all();
    while (segments_.back().first() >= i) {
      release(segments_.back());
      segments_.pop_back();
    }
    if (segments_.back().last() >= i) segments_.back().truncate_from(i);
  }

  /// Removes all up to and with i; nothing if i <= base. Precondition: i <= last. O(segments emptied).
  constexpr void compact(index_t i) {
    RAFT_ASSERT(i <= last_, "only entries that are there are compacted");
    if (i <= base_) return;
    base_term_ = term_at(i);
    base_ = i;
    const auto kept = std::upper_bound(configurations_.begin(), configurations_.end(), i);
    configurations_.erase(configurations_.begin(), kept);
    const std::size_t head = head_;
    while (head_ < segments_.size() && segments_[head_].last() <= i) release(segments_[head_++]);
    if (head_ == head) return;
    drop_released();
    return_memory();
  }

  /// Removes all entries; the next one has index base + 1, and `term` is the term at base. O(segments).
  constexpr void reset(index_t base, term_t term) {
    release_all();
    return_memory();
    configurations_.clear();
    base_ = base;
    last_ = base;
    base_term_ = term;
    last_term_ = term;
  }

  /// Equal entries at equal indexes, and an equal base. O(bytes).
  friend constexpr bool operator==(const entry_store& a, const entry_store& b) noexcept {
    if (a.base_ != b.base_ || a.last_ != b.last_ || a.base_term_ != b.base_term_) return false;
    for (index_t i = a.base_; i < a.last_;) {
      const entries x = a.view(i.next(), a.last_, UINT32_MAX);
      const entries y = b.view(i.next(), b.last_, UINT32_MAX);
      const std::uint32_t n = std::min(x.count(), y.count());
      if (!(a.view(i.next(), i + n, UINT32_MAX) == b.view(i.next(), i + n, UINT32_MAX))) return false;
      i = i + n;
    }
    return true;
  }

 private:
  [[nodiscard]] constexpr const segment& segment_of(index_t i) const noexcept {
    return segments_.back().first() <= i ? segments_.back() : earlier_segment_of(i);
  }
  [[gnu::noinline]] constexpr const segment& earlier_segment_of(index_t i) const noexcept {
    const auto begin = segments_.begin() + static_cast<std::ptrdiff_t>(head_);
    return *(std::upper_bound(begin, segments_.end(), i, [](index_t x, const segment& s) { return x < s.first(); }) -
             1);
  }

  /// Appends a batch that does not fit into the last segment: it is split between entries. Answers the or of their
  /// second header words.
  [[gnu::noinline]] constexpr std::uint64_t append_split(const entries& batch) {
    const std::byte* from = batch.data();
    std::uint64_t headers = 0;
    for (std::size_t left = batch.count();;) {
      if (!segments_.empty()) {
        const std::size_t fitting = segments_.back().fitting(from, left);
        const segment::taken taken = segments_.back().take(from, fitting);
        headers |= taken.headers;
        from += taken.bytes;
        left -= fitting;
        last_ = last_ + fitting;
      }
      if (left == 0) return headers;
      add_segment(entry_bytes(load_le<std::uint32_t>(from + 8)));
    }
  }

  /// Adds an empty segment behind the last one, for an entry of so many bytes that has index last_ + 1.
  constexpr void add_segment(std::size_t bytes) {
    if (bytes > segment_bytes_) {
      segments_.emplace_back(bytes, std::size_t{1});
    } else if (free_.empty()) {
      segments_.emplace_back(segment_bytes_, (segment_bytes_ + entry_header_bytes - 1) / entry_header_bytes);
    } else {
      segments_.push_back(std::move(free_.back()));
      free_.pop_back();
    }
    most_used_ = std::max(most_used_, segments_.size() - head_);
    segments_.back().start(last_.next());
  }

  /// Moves a segment to the free list, or returns its memory if it is of a size of its own. Leaves a husk without
  /// memory, which the caller removes.
  constexpr void release(segment& s) {
    segment emptied = std::move(s);
    if (emptied.capacity() == segment_bytes_) free_.push_back(std::move(emptied));
  }

  constexpr void release_all() {
    for (segment& s : segments_) release(s);
    segments_.clear();
    head_ = 0;
  }

  /// Removes the husks before head_, at a constant cost for each on average.
  constexpr void drop_released() {
    if (head_ == segments_.size()) {
      segments_.clear();
    } else if (head_ * 2 >= segments_.size()) {
      segments_.erase(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(head_));
    } else {
      return;
    }
    head_ = 0;
  }

  /// Shrinks the free list to what the rule at the top of this file allows.
  constexpr void return_memory() {
    const std::size_t used = segments_.size() - head_;
    const std::size_t most = std::max(most_used_, most_used_before_);
    const std::size_t kept = most + most / 8 + 1 - used;
    if (free_.size() > kept) {
      free_.erase(free_.begin(), free_.begin() + static_cast<std::ptrdiff_t>(free_.size() - kept));
    }
    most_used_before_ = most_used_;
    most_used_ = used;
  }

  constexpr void note_configurations(index_t first) {
    for_each(first, last_, [this](const entry& e) {
      if (e.kind == entry_kind::configuration) configurations_.push_back(e.index);
    });
  }

  std::size_t segment_bytes_;
  std::vector<segment> segments_{};  ///< In use from head_ on, oldest first; before head_ are husks.
  std::size_t head_ = 0;
  std::vector<segment> free_{};       ///< Of segment_bytes_ each; used from the back.
  std::size_t most_used_ = 0;         ///< The most segments in use at once since the last compaction that emptied one,
  std::size_t most_used_before_ = 0;  ///< and between that and the one before.
  index_t base_{};
  index_t last_{};
  term_t base_term_{};
  term_t last_term_{};
  std::vector<index_t> configurations_{};
};

}  // namespace detail

}  // namespace raft
