#pragma once

// Messages that own what they view, and short ways to build them: what a test writes, delays, doubles and looks at.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <raft/configuration.hpp>
#include <raft/entry.hpp>
#include <raft/message.hpp>
#include <raft/types.hpp>

namespace story {

using bytes = std::vector<std::byte>;

constexpr raft::index_t operator""_i(unsigned long long n) { return raft::index_t{n}; }
constexpr raft::term_t operator""_t(unsigned long long n) { return raft::term_t{n}; }
constexpr raft::node_id operator""_n(unsigned long long n) { return raft::node_id{n}; }
constexpr raft::mark_t operator""_m(unsigned long long n) { return raft::mark_t{n}; }

bytes bytes_of(std::string_view text);
raft::payload payload_of(std::string_view text);
std::string text_of(raft::payload data);
bytes bytes_of(const raft::configuration& c);

/// An entry as a test writes it down; its index follows from its place.
struct written {
  std::uint64_t term = 1;
  std::string text{};
  raft::entry_kind kind = raft::entry_kind::command;
  friend bool operator==(const written&, const written&) = default;
};

/// The entry by which a leader of this term begins.
written no_op(std::uint64_t term);
/// An entry that puts `c` in force.
written members(std::uint64_t term, const raft::configuration& c);
/// The wire form of a batch, to be viewed by `view_of`.
bytes wire_of(const std::vector<written>& batch);
std::vector<written> read(const raft::entries& batch);

/// A message with the memory that it views. Copies share that memory; it goes with the last of them.
struct letter {
  raft::message what{};
  std::shared_ptr<const bytes> entries{};
  std::shared_ptr<const bytes> configuration{};
  std::shared_ptr<const bytes> data{};

  template <class Body>
  [[nodiscard]] bool is() const {
    return std::holds_alternative<Body>(what.body);
  }
  template <class Body>
  [[nodiscard]] const Body& as() const {
    return std::get<Body>(what.body);
  }
  friend bool operator==(const letter& a, const letter& b) { return a.what == b.what; }
};

/// A copy that outlives what `m` views.
letter keep(const raft::message& m);

/// A message that views nothing.
template <class Body>
letter say(raft::node_id from, raft::node_id to, raft::term_t term, const Body& body) {
  return keep({from, to, term, raft::message_body{std::in_place_type<Body>, body}});
}

/// Where an append begins: prevLogIndex and prevLogTerm.
struct after {
  raft::index_t index{};
  raft::term_t term{};
};

letter append(raft::node_id from, raft::node_id to, raft::term_t term, after prev, raft::index_t leader_commit,
              const std::vector<written>& batch, std::uint64_t round = 0);
raft::append_entries_reply matched(raft::index_t index, std::uint64_t round = 0);
raft::append_entries_reply refused(raft::index_t prev, after hint, raft::index_t last, std::uint64_t round = 0);

/// The chunk of `image` that begins at `offset` and has at most `size` bytes, of a snapshot at `at` with this
/// membership.
letter chunk(raft::node_id from, raft::node_id to, raft::term_t term, after at, const raft::configuration& members,
             std::string_view image, std::size_t offset, std::size_t size, std::uint64_t id = 7);

/// Which letters.
using filter = std::function<bool(const letter&)>;

filter to(std::uint64_t id);
filter from(std::uint64_t id);
filter operator&&(filter a, filter b);
filter operator||(filter a, filter b);
filter operator!(filter a);
inline bool any(const letter&) { return true; }
template <class Body>
filter kind() {
  return [](const letter& l) { return l.is<Body>(); };
}

/// Those of the letters that the filter lets through.
std::vector<letter> among(const std::vector<letter>& letters, const filter& which);

}  // namespace story
