#pragma once

// A Log in memory [battery, above floor 6]: what it is told is durable at once, and gone with the object. For state
// that is replicated but need not outlive all servers, for tests and explorers (it is a value: copy it, compare it),
// and as the readable image inside a Log that stores elsewhere.
//
// How the entries lie in memory, what is recycled and what a call costs is said in `entry_store.hpp`.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <raft/assert.hpp>
#include <raft/canonical_forms.hpp>
#include <raft/configuration.hpp>
#include <raft/crc32c.hpp>
#include <raft/entry.hpp>
#include <raft/entry_store.hpp>
#include <raft/policies.hpp>
#include <raft/result.hpp>
#include <raft/storage.hpp>
#include <raft/types.hpp>

namespace raft {

/// All that a Log holds, as plain values: what `memory_log::restore` builds one from. The views are copied.
struct log_contents {
  hard_state hard{};
  snapshot_meta snapshot{};          ///< Its size may be left zero, and so may its id: they follow from the image.
  payload image{};                   ///< The snapshot's bytes.
  index_t base_index{};              ///< The index before the first entry,
  term_t base_term{};                ///< and its term.
  std::span<const entry> entries{};  ///< From base_index + 1 on, each with its index.
};

/// Whether such a state can have come about; if not, the sentence says what contradicts what. O(entries).
[[nodiscard]] constexpr result<void> validate(const log_contents& c) {
  constexpr auto wrong = [](const char* what) { return result<void>{errc::inconsistent_state, what}; };
  const index_t last = c.base_index + c.entries.size();
  if (auto legal = validate(c.snapshot.configuration); !legal) return legal.error();
  if ((c.snapshot.index == index_t{}) != (c.snapshot.term == term_t{})) {
    return wrong("a snapshot has a term exactly if it has an index");
  }
  if (c.snapshot.index == index_t{} && !c.image.empty()) return wrong("a snapshot of nothing has bytes");
  if (c.snapshot.size != 0 && c.snapshot.size != c.image.size()) {
    return wrong("the snapshot has fewer or more bytes than its size");
  }
  if ((c.base_index == index_t{}) != (c.base_term == term_t{})) return wrong("only index zero has term zero");
  if (c.base_index > c.snapshot.index) return wrong("entries between the snapshot and the log are missing");
  if (last < c.snapshot.index) return wrong("the log ends before its snapshot");

  term_t term = c.base_term;
  if (c.base_index == c.snapshot.index && term != c.snapshot.term) return wrong("the log and its snapshot differ");
  for (std::size_t k = 0; k < c.entries.size(); ++k) {
    const entry& e = c.entries[k];
    if (e.index != c.base_index + (k + 1)) return wrong("the indexes of the entries are not consecutive");
    if (e.term < term || e.term == term_t{}) return wrong("the terms of the entries fall, or are zero");
    if (e.kind != entry_kind::command && e.kind != entry_kind::no_op && e.kind != entry_kind::configuration) {
      return wrong("an entry is of an unknown kind");
    }
    if (e.data.size() > entry_payload_limit) return wrong("an entry is larger than the byte form allows");
    if (e.kind == entry_kind::configuration && !decode_configuration(e.data)) {
      return wrong("an entry of kind configuration holds none");
    }
    term = e.term;
    if (e.index == c.snapshot.index && term != c.snapshot.term) return wrong("the log and its snapshot differ");
  }

  if (c.hard.current_term < term) return wrong("an entry or the snapshot is of a later term than the current one");
  if (c.hard.voted_for != nobody && c.hard.current_term == term_t{}) return wrong("a vote was given in term zero");
  if (c.hard.commit_hint > last) return wrong("the commit hint lies behind the last entry");
  return {};
}

/// The Log in memory. Every write is durable when it returns, and none fails but for a snapshot that is not in order.
/// A value: copies are deep, assignment reuses memory, equality looks at what is held and not at how it lies in memory
/// (nor at marks). One that was moved from may only be assigned to or destroyed. Not safe for two threads at once.
class memory_log {
 public:
  static constexpr bool durable_on_return = true;
  /// Large enough that few batches are split between segments, small enough that growing by one goes unnoticed.
  static constexpr std::size_t default_segment_bytes = std::size_t{256} << 10;

  /// An empty log of a cluster whose first configuration is `initial`. Segments are `segment_bytes` large (64 B to
  /// 1 GiB, rounded down to a multiple of 8), and the first one is allocated by the first append.
  explicit constexpr memory_log(raft::configuration initial, std::size_t segment_bytes = default_segment_bytes)
      : entries_(segment_bytes) {
    snapshot_.configuration = std::move(initial);
  }

  /// A log that holds `contents`, or errc::inconsistent_state (errc::invalid_configuration) with what is wrong with it.
  static constexpr result<memory_log> restore(const log_contents& contents,
                                              std::size_t segment_bytes = default_segment_bytes) {
    if (auto legal = validate(contents); !legal) return legal.error();
    memory_log log{contents.snapshot.configuration, segment_bytes};
    log.hard_ = contents.hard;
    log.snapshot_ = contents.snapshot;
    log.image_.assign(contents.image.begin(), contents.image.end());
    log.snapshot_.size = log.image_.size();
    if (log.snapshot_.id == 0 && log.snapshot_.index != index_t{}) {
      log.snapshot_.id = id_of(detail::crc32c(log.image_.data(), log.image_.size()), log.image_.size());
    }
    log.reset(contents.base_index, contents.base_term);
    for (const entry& e : contents.entries) log.entries_.append(e.term, e.kind, std::span{&e.data, 1});
    return log;
  }

  // ---- hard state [Fig. 2, persistent state]

  [[nodiscard]] constexpr const raft::hard_state& hard_state() const noexcept { return hard_; }
  constexpr result<mark_t> store(const raft::hard_state& h) noexcept {
    hard_ = h;
    return next_mark();
  }

  // ---- entries, read (the lifetimes and costs are those of entry_store)

  [[nodiscard]] constexpr index_t first_index() const noexcept { return entries_.base().next(); }
  [[nodiscard]] constexpr index_t last_index() const noexcept { return entries_.last(); }
  /// Precondition: first_index() - 1 <= i <= last_index().
  [[nodiscard]] constexpr term_t term_at(index_t i) const noexcept { return entries_.term_at(i); }
  /// Never fails. Precondition: first_index() <= from <= to <= last_index().
  [[nodiscard]] constexpr result<entries> view(index_t from, index_t to, std::uint32_t max_bytes) const noexcept {
    return entries_.view(from, to, max_bytes);
  }
  /// Calls visit(const entry&) for each entry in [from, to], without chaining through their headers. `visit` must not
  /// write to the log. Precondition: first_index() <= from, to <= last_index().
  template <class Visit>
  constexpr void for_each(index_t from, index_t to, Visit&& visit) const {
    entries_.for_each(from, to, visit);
  }
  [[nodiscard]] constexpr std::span<const index_t> configurations() const noexcept { return entries_.configurations(); }

  // ---- entries, written

  /// Precondition: the terms of the batch do not lie below that of the last entry.
  constexpr result<mark_t> append(const entries& batch) {
    entries_.append(batch);
    return next_mark();
  }
  /// Precondition: `term` does not lie below that of the last entry; each payload has at most entry_payload_limit
  /// bytes.
  constexpr result<mark_t> append(term_t term, entry_kind kind, std::span<const payload> payloads) {
    entries_.append(term, kind, payloads);
    return next_mark();
  }
  /// Removes i and all behind it. Precondition: first_index() <= i.
  constexpr result<mark_t> truncate_from(index_t i) {
    entries_.truncate_from(i);
    return next_mark();
  }
  /// Removes all up to and with i. Precondition: i <= snapshot().index.
  constexpr result<mark_t> compact(index_t i) {
    RAFT_ASSERT(i <= snapshot_.index, "only what the snapshot covers is compacted");
    entries_.compact(i);
    return next_mark();
  }

  // ---- snapshots [paper §7]

  /// Valid until the next finish_snapshot.
  [[nodiscard]] constexpr const snapshot_meta& snapshot() const noexcept { return snapshot_; }

  /// Bytes of the current snapshot: all from `offset` on, at most `max` (one at least, unless offset is the size).
  /// errc::impossible for an offset behind the end.
  [[nodiscard]] constexpr result<payload> read_snapshot(std::uint64_t offset, std::uint32_t max) const noexcept {
    if (offset > image_.size()) return {errc::impossible, "an offset behind the end of the snapshot"};
    const payload rest = payload{image_}.subspan(static_cast<std::size_t>(offset));
    return rest.first(std::min<std::size_t>(rest.size(), std::max(max, 1U)));
  }

  /// The snapshot that is being written; index zero if there is none.
  [[nodiscard]] constexpr const partial_snapshot& partial() const noexcept { return partial_; }

  /// Starts to write one, and discards an unfinished one. No memory is set aside on the word of meta.size.
  constexpr result<void> begin_snapshot(const snapshot_meta& meta) {
    partial_.meta = meta;
    partial_.received = 0;
    partial_image_.clear();
    partial_crc_ = 0;
    return {};
  }

  /// Adds bytes (copied). errc::not_ready if no snapshot is being written.
  constexpr result<void> write_snapshot(payload bytes) {
    if (partial_.meta.index == index_t{}) return {errc::not_ready, "no snapshot is being written"};
    partial_image_.insert(partial_image_.end(), bytes.begin(), bytes.end());
    partial_crc_ = detail::crc32c(bytes.data(), bytes.size(), partial_crc_);
    partial_.received += bytes.size();
    return {};
  }

  /// Makes the one that is being written the current one. If the log holds the entry (meta.index, meta.term), all
  /// entries stay; else all go, and the log begins behind meta.index. errc::not_ready if none is being written,
  /// errc::compacted if the current one reaches as far; both change nothing.
  constexpr result<mark_t> finish_snapshot() {
    if (partial_.meta.index == index_t{}) return {errc::not_ready, "no snapshot is being written"};
    if (partial_.meta.index <= snapshot_.index) return {errc::compacted, "the current snapshot reaches as far"};
    partial_.meta.size = partial_.received;
    if (partial_.meta.id == 0) partial_.meta.id = id_of(partial_crc_, partial_.received);
    place_snapshot(partial_.meta);
    image_.swap(partial_image_);  // both keep their memory: the next snapshot is written without an allocation
    partial_.meta.index = index_t{};
    partial_.received = 0;
    return next_mark();
  }

  // ---- for a Log that stores elsewhere and keeps its readable image here; not writes, so no marks

  /// Removes all entries; the log begins behind (base, term).
  constexpr void reset(index_t base, term_t term) { entries_.reset(base, term); }

  /// What finish_snapshot does, for a snapshot whose bytes are kept elsewhere: read_snapshot has none to show.
  constexpr void place_snapshot(const snapshot_meta& meta) {
    const bool held = first_index().previous() <= meta.index && meta.index <= last_index();
    if (!held || term_at(meta.index) != meta.term) entries_.reset(meta.index, meta.term);
    snapshot_ = meta;
    image_.clear();
  }

  /// The id of a snapshot with this CRC-32C and size; never zero.
  [[nodiscard]] static constexpr std::uint64_t id_of(std::uint32_t crc, std::uint64_t size) noexcept {
    return std::max<std::uint64_t>(size << 32 | crc, 1);
  }

  /// Its canonical form (canonical.hpp): what it shows, and the bytes of a snapshot that is being written.
  template <class Writer>
  constexpr void canonical(Writer& w) const {
    canonical_contents(w, *this);
    if (partial_.meta.index != index_t{}) w(payload{partial_image_});
  }

  friend constexpr bool operator==(const memory_log& a, const memory_log& b) noexcept {
    const bool writing = a.partial_.meta.index != index_t{};
    const bool same_partial =
        a.partial_.meta.index == b.partial_.meta.index &&
        (!writing || (a.partial_.meta == b.partial_.meta && a.partial_image_ == b.partial_image_));
    return a.hard_ == b.hard_ && a.snapshot_ == b.snapshot_ && a.image_ == b.image_ && same_partial &&
           a.entries_ == b.entries_;
  }

 private:
  constexpr mark_t next_mark() noexcept { return mark_ = mark_t{mark_.value + 1}; }

  detail::entry_store entries_;
  mark_t mark_{};
  raft::hard_state hard_{};
  snapshot_meta snapshot_{};
  std::vector<std::byte> image_{};
  partial_snapshot partial_{};
  std::vector<std::byte> partial_image_{};
  std::uint32_t partial_crc_ = 0;
};

static_assert(log_policy<memory_log>);

}  // namespace raft
