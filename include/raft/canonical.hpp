#pragma once

// The canonical byte form [floor 2]: equal bytes for states that behave alike, so that a state can be recognised,
// counted and compared, and "nothing changed" can be asserted; under a renaming of ids, so that states that differ only
// in who is who can be taken for one.
//
//   node::canonical(writer)    all of a node that decides what it will do: impl/canonical.hpp
//   canonical(writer, value)   of messages, entries, configurations and Logs: canonical_forms.hpp
//
// The form holds no pointer, no padding and no capacity; sets are sorted after the renaming; numbers that matter only
// as differences (write marks, sums of bytes) are written as such. It says nothing of times, and nothing of what the
// seeded generator gave, unless the writer is asked for them; times are then relative to the Clock's present. It is no
// form to store: it may change with every version, and nothing reads it back.
//
// A policy takes part by a member `template <class Writer> void canonical(Writer&) const`. A Log needs none: without
// one it is written by what it shows. Of a Transport, a StateMachine and an Observer without one nothing is written.
//
// A type that is written by its own member names all of its data members there in one structured binding: one that is
// added later, and forgotten, does not compile.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <raft/types.hpp>

namespace raft {

/// A server's id, and the one that it is to be written as.
struct renamed_id {
  node_id from{};
  node_id to{};
};

/// Collects the bytes. A value; clear() keeps its memory.
class canonical_writer {
 public:
  constexpr canonical_writer() = default;
  /// Writes ids by this renaming, which is viewed and has to outlive the writer; an id that it does not name is kept.
  /// Precondition: no two ids become one.
  explicit constexpr canonical_writer(std::span<const renamed_id> renaming) noexcept : renaming_(renaming) {}

  /// Asks for times as well: deadlines, and when somebody was heard.
  constexpr canonical_writer& with_times() noexcept {
    times_ = true;
    return *this;
  }
  /// Asks for the seeded generator as well, and for what it gave that messages carry: tickets and sessions. Without it
  /// two nodes are equal that differ in these alone, which is right as long as no server asks through another one.
  constexpr canonical_writer& with_chance() noexcept {
    chance_ = true;
    return *this;
  }
  [[nodiscard]] constexpr bool times() const noexcept { return times_; }
  [[nodiscard]] constexpr bool chance() const noexcept { return chance_; }

  [[nodiscard]] constexpr payload bytes() const noexcept { return out_; }
  constexpr void clear() noexcept { out_.clear(); }

  /// Writes each value: a number, a truth value, an enumerator, a term, an index, an id (renamed), bytes with their
  /// length.
  template <class... Values>
  constexpr void operator()(const Values&... values) {
    (put(values), ...);
  }

  /// What `id` is written as. O(ids that are renamed).
  [[nodiscard]] constexpr node_id name_of(node_id id) const noexcept {
    for (const renamed_id& r : renaming_) {
      if (r.from == id) return r.to;
    }
    return id;
  }

  /// A set of ids, sorted by what they are written as.
  constexpr void set(std::span<const node_id> ids) {
    in_order(
        ids, [](node_id id) { return id; }, [this](node_id id) { put(id); });
  }

  /// How many items there are, and each by `write(item)`, sorted by what `id_of(item)` is written as; of equal ids in
  /// the order in which they are.
  template <class Item, class IdOf, class Write>
  constexpr void in_order(std::span<const Item> items, IdOf&& id_of, Write&& write) {
    std::vector<std::pair<node_id, std::size_t>> places;
    for (std::size_t i = 0; i < items.size(); ++i) places.push_back({name_of(id_of(items[i])), i});
    std::sort(places.begin(), places.end());
    put(items.size());
    for (const auto& place : places) write(items[place.second]);
  }

  /// Ticks from the present, before or after it.
  constexpr void ticks(std::int64_t n) {
    put(static_cast<std::uint64_t>(n) << 1 ^ static_cast<std::uint64_t>(n >> 63));
  }

 private:
  /// 1 to 10 bytes, 7 bits in each, the lowest first: no number's form begins another one's.
  template <class Number>
  requires(std::is_integral_v<Number> || std::is_enum_v<Number>) constexpr void put(Number number) {
    auto n = static_cast<std::uint64_t>(number);
    for (; n >= 0x80; n >>= 7) out_.push_back(static_cast<std::byte>(n | 0x80));
    out_.push_back(static_cast<std::byte>(n));
  }
  constexpr void put(term_t t) { put(t.value); }
  constexpr void put(index_t i) { put(i.value); }
  constexpr void put(node_id id) { put(name_of(id).value); }
  constexpr void put(payload data) {
    put(data.size());
    out_.insert(out_.end(), data.begin(), data.end());
  }

  std::vector<std::byte> out_{};
  std::span<const renamed_id> renaming_{};
  bool times_ = false;
  bool chance_ = false;
};

}  // namespace raft
