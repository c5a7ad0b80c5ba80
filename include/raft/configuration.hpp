#pragma once

// Who the members are [floor 3]: the five fields of a joint-capable configuration, what the caller wants known of each
// member (an address), the rules that make a configuration legal, and its byte form, which is the payload of a
// configuration entry and part of a snapshot's place.
//
// Invariants (`validate`): each list is sorted and free of doubles; there is at least one voter; a learner votes in
// neither half; learners_next are outgoing voters; outgoing, learners_next and auto_leave are empty outside a joint
// configuration [paper §6, thesis 4.2.1, 4.3]; only members have data, once, and never an empty one.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <raft/bytes.hpp>
#include <raft/result.hpp>
#include <raft/types.hpp>

namespace raft {

/// The most bytes of data that a configuration carries for one member.
inline constexpr std::size_t member_data_limit = 256;

/// What the caller wants every server to know of a member, such as its address. The engine does not look at it; it
/// travels with the configuration: in force, rolled back, snapshotted and restored together with it.
struct member_data {
  node_id id{};
  std::vector<std::byte> data{};  ///< At most member_data_limit bytes.
  friend constexpr bool operator==(const member_data&, const member_data&) = default;
};

/// A membership. A plain value; equality compares all fields.
struct configuration {
  std::vector<node_id> voters{};         ///< The (incoming) voters.
  std::vector<node_id> outgoing{};       ///< The voters of the old half while joint; else empty.
  std::vector<node_id> learners{};       ///< Receive the log, do not vote.
  std::vector<node_id> learners_next{};  ///< Outgoing voters that become learners when the joint state is left.
  bool auto_leave = false;               ///< Whether the leader leaves the joint state by itself.
  std::vector<member_data> data{};       ///< Of the members that have some, sorted by id.

  [[nodiscard]] constexpr bool joint() const noexcept { return !outgoing.empty(); }
  /// Whether `id` votes in either half.
  [[nodiscard]] constexpr bool is_voter(node_id id) const noexcept { return holds(voters, id) || holds(outgoing, id); }
  [[nodiscard]] constexpr bool is_learner(node_id id) const noexcept { return holds(learners, id); }
  [[nodiscard]] constexpr bool is_member(node_id id) const noexcept { return is_voter(id) || is_learner(id); }
  /// The data of `id`, valid as long as this configuration is neither changed nor gone; empty if it has none. O(log n).
  [[nodiscard]] constexpr payload data_of(node_id id) const noexcept {
    const auto at = std::ranges::lower_bound(data, id, {}, &member_data::id);
    return at != data.end() && at->id == id ? payload{at->data} : payload{};
  }

  friend constexpr bool operator==(const configuration&, const configuration&) = default;

  /// Whether the sorted `list` holds `id`. O(log n).
  [[nodiscard]] static constexpr bool holds(std::span<const node_id> list, node_id id) noexcept {
    return std::binary_search(list.begin(), list.end(), id);
  }
};

/// The most members that one list of a configuration may name.
inline constexpr std::size_t configuration_limit = 255;

/// A configuration of voters only; sorts them.
[[nodiscard]] constexpr configuration voters_of(std::vector<node_id> voters) {
  std::sort(voters.begin(), voters.end());
  configuration c;
  c.voters = std::move(voters);
  return c;
}

/// Every member once, sorted.
[[nodiscard]] constexpr std::vector<node_id> members_of(const configuration& c) {
  std::vector<node_id> all = c.voters;
  all.insert(all.end(), c.outgoing.begin(), c.outgoing.end());
  all.insert(all.end(), c.learners.begin(), c.learners.end());
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

/// Whether the invariants above hold; if not, the sentence says which one does not.
[[nodiscard]] constexpr result<void> validate(const configuration& c) noexcept {
  constexpr auto sorted_set = [](const std::vector<node_id>& list) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (list[i] == nobody || (i > 0 && !(list[i - 1] < list[i]))) return false;
    }
    return list.size() <= configuration_limit;
  };
  constexpr auto wrong = [](const char* what) { return result<void>{errc::invalid_configuration, what}; };
  if (c.voters.empty()) return wrong("a configuration has at least one voter");
  if (!sorted_set(c.voters) || !sorted_set(c.outgoing) || !sorted_set(c.learners) || !sorted_set(c.learners_next)) {
    return wrong("each list of a configuration is sorted, names no id twice, no id 0, and at most 255 members");
  }
  for (const node_id id : c.learners) {
    if (c.is_voter(id)) return wrong("a learner does not vote in either half");
  }
  for (const node_id id : c.learners_next) {
    if (!configuration::holds(c.outgoing, id) || configuration::holds(c.voters, id)) {
      return wrong("learners_next votes in the outgoing half only");
    }
  }
  if (!c.joint() && c.auto_leave) return wrong("auto_leave belongs to a joint configuration");
  node_id before{};
  for (const member_data& m : c.data) {
    if (!c.is_member(m.id) || !(before < m.id)) return wrong("data belongs to members, once each, sorted by id");
    if (m.data.empty() || m.data.size() > member_data_limit) return wrong("a member's data has 1 to 256 bytes");
    before = m.id;
  }
  return {};
}

/// How many bytes `encode` appends for `c`. O(members).
[[nodiscard]] constexpr std::size_t configuration_bytes(const configuration& c) noexcept {
  const std::size_t ids = c.voters.size() + c.outgoing.size() + c.learners.size() + c.learners_next.size();
  std::size_t bytes = 6 + 8 * ids + (c.data.empty() ? 0 : 2);
  for (const member_data& m : c.data) bytes += 10 + m.data.size();
  return bytes;
}

/// Appends the byte form to `out`: a version byte, auto_leave, four counts, then the ids as 8 bytes each. Version 1 is
/// of a configuration without data; version 2 goes on with a count u16 of those that have some, and for each its id, a
/// length u16 and the bytes. So a configuration has one form, and one without data that which every build reads.
constexpr void encode(const configuration& c, std::vector<std::byte>& out) {
  const auto put = [&out](auto number) {
    const std::size_t at = out.size();
    out.resize(at + sizeof number, std::byte{0});
    detail::store_le(out.data() + at, number);
  };
  const auto put_ids = [&put](const std::vector<node_id>& ids) {
    for (const node_id id : ids) put(id.value);
  };
  out.push_back(std::byte{c.data.empty() ? std::uint8_t{1} : std::uint8_t{2}});
  out.push_back(std::byte{c.auto_leave});
  for (const auto* list : {&c.voters, &c.outgoing, &c.learners, &c.learners_next}) {
    out.push_back(static_cast<std::byte>(list->size()));
  }
  put_ids(c.voters);
  put_ids(c.outgoing);
  put_ids(c.learners);
  put_ids(c.learners_next);
  if (c.data.empty()) return;
  put(static_cast<std::uint16_t>(c.data.size()));
  for (const member_data& m : c.data) {
    put(m.id.value);
    put(static_cast<std::uint16_t>(m.data.size()));
    out.insert(out.end(), m.data.begin(), m.data.end());
  }
}

namespace detail {

/// Reads what version 2 has behind the ids: all of `bytes`.
constexpr result<void> decode_member_data(payload bytes, std::vector<member_data>& out) {
  constexpr auto ends = [] { return result<void>{errc::malformed, "a configuration ends inside its members' data"}; };
  if (bytes.size() < 2) return ends();
  const auto count = load_le<std::uint16_t>(bytes.data());
  if (count == 0) return {errc::malformed, "a configuration of version 2 without data"};
  std::size_t at = 2;
  for (std::size_t i = 0; i < count; ++i) {
    if (bytes.size() - at < 10) return ends();
    const node_id id{load_le<std::uint64_t>(bytes.data() + at)};
    const std::size_t length = load_le<std::uint16_t>(bytes.data() + at + 8);
    at += 10;
    if (bytes.size() - at < length) return ends();
    const payload data = bytes.subspan(at, length);
    out.push_back({id, std::vector<std::byte>(data.begin(), data.end())});
    at += length;
  }
  if (at != bytes.size()) return {errc::malformed, "bytes left over behind a configuration"};
  return {};
}

}  // namespace detail

/// The configuration whose byte form is exactly `bytes`; refuses every other input, and any illegal configuration.
[[nodiscard]] constexpr result<configuration> decode_configuration(payload bytes) {
  if (bytes.size() < 6) return {errc::malformed, "a configuration ends inside its head"};
  const bool with_data = bytes[0] == std::byte{2};
  if (!with_data && bytes[0] != std::byte{1}) {
    return {errc::unsupported_version, "a configuration of an unknown version"};
  }
  if (bytes[1] > std::byte{1}) return {errc::malformed, "a configuration's auto_leave is neither 0 nor 1"};
  configuration c;
  c.auto_leave = bytes[1] == std::byte{1};
  std::size_t at = 6;
  std::size_t list_number = 2;
  for (auto* list : {&c.voters, &c.outgoing, &c.learners, &c.learners_next}) {
    const auto count = std::to_integer<std::size_t>(bytes[list_number++]);
    if ((bytes.size() - at) / 8 < count) return {errc::malformed, "a configuration ends inside its ids"};
    for (std::size_t i = 0; i < count; ++i, at += 8) {
      list->push_back(node_id{detail::load_le<std::uint64_t>(bytes.data() + at)});
    }
  }
  if (with_data) {
    if (auto read = detail::decode_member_data(bytes.subspan(at), c.data); !read) return read.error();
  } else if (at != bytes.size()) {
    return {errc::malformed, "bytes left over behind a configuration"};
  }
  if (auto legal = validate(c); !legal) return legal.error();
  return c;
}

}  // namespace raft
