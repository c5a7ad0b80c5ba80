#pragma once

// One message of each kind, for tests of the byte form: from one sender to one receiver, with values that differ from
// field to field. Works in constant evaluation.

#include <cstddef>
#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include <raft/codec.hpp>

namespace test {

using byte_list = std::vector<std::byte>;

inline constexpr raft::cluster_id home{0x0123456789ABCDEF};
inline constexpr raft::node_id sender{1};
inline constexpr raft::node_id receiver{2};

template <class Body>
constexpr raft::message from_sender(const Body& body) {
  return {sender, receiver, raft::term_t{7}, raft::message_body{std::in_place_type<Body>, body}};
}

constexpr void append_entry(byte_list& out, raft::term_t term, raft::entry_kind kind, std::size_t length) {
  byte_list data(length, std::byte{});
  for (std::size_t i = 0; i < length; ++i) data[i] = static_cast<std::byte>(length + i);
  const std::size_t at = out.size();
  out.resize(at + raft::entry_bytes(length), std::byte{});
  raft::write_entry(out.data() + at, term, kind, data);
}

/// The wire form of `count` entries, the i-th with `least + i % spread` bytes.
constexpr byte_list batch(std::uint32_t count, std::size_t least, std::size_t spread = 1) {
  byte_list out;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto kind = i % 5 == 4 ? raft::entry_kind::no_op : raft::entry_kind::command;
    append_entry(out, raft::term_t{3 + i / 4}, kind, least + i % spread);
  }
  return out;
}

constexpr raft::message append_message(const byte_list& wire, std::uint32_t count) {
  auto parsed = raft::entries::parse(wire.data(), wire.size(), count);
  return from_sender(raft::append_entries{raft::index_t{17}, raft::term_t{3}, raft::index_t{16}, 9, *parsed});
}

constexpr raft::message snapshot_message(raft::payload configuration, raft::payload data) {
  return from_sender(
      raft::install_snapshot{raft::index_t{17}, raft::term_t{5}, 0xAA, 1000, 64, 9, configuration, data});
}

/// One message of each kind, in their order; `wire` (of `count` entries) and `chunk` must outlive it.
constexpr std::vector<raft::message> one_of_each(const byte_list& wire, std::uint32_t count, const byte_list& chunk) {
  using namespace raft;
  const payload data{chunk};
  std::vector<message> all;
  all.push_back(from_sender(request_pre_vote{index_t{17}, term_t{6}}));
  all.push_back(from_sender(request_pre_vote_reply{term_t{8}, true}));
  all.push_back(from_sender(request_vote{index_t{17}, term_t{6}, true}));
  all.push_back(from_sender(request_vote_reply{true}));
  all.push_back(append_message(wire, count));
  all.push_back(from_sender(append_entries_reply{false, index_t{17}, index_t{12}, term_t{3}, index_t{19}, 9}));
  all.push_back(snapshot_message(data.first(chunk.size() / 3), data.subspan(chunk.size() / 3)));
  all.push_back(from_sender(install_snapshot_reply{index_t{17}, 0xAA, 68, true, 9}));
  all.push_back(from_sender(timeout_now{index_t{17}, term_t{7}}));
  all.push_back(from_sender(read_request{0x5EED}));
  all.push_back(from_sender(read_reply{0x5EED, index_t{17}, true}));
  all.push_back(from_sender(forwarded_proposal{0x5E, 3, data.first(chunk.size() / 3)}));
  all.push_back(from_sender(forwarded_proposal_reply{0x5E, 3, index_t{17}, node_id{1}}));
  return all;
}

}  // namespace test
