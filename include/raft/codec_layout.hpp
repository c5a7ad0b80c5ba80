#pragma once

// Which fields each kind of message has in its frame, behind the header that codec.hpp describes: the table for the
// reader, and the same for the compiler. Part of that battery. A new kind of message gets its row in both, at the end.
//
//  kind                       fields from byte 48 on; a truth is 0 or 1                               then
//   0  request_pre_vote       last_log_index, last_log_term
//   1  request_pre_vote_reply asked, granted
//   2  request_vote           last_log_index, last_log_term, handed_over
//   3  request_vote_reply     granted
//   4  append_entries         prev_log_index, prev_log_term, leader_commit, round,
//                             count u32, size u32 of the entries                                      the entries
//   5  append_entries_reply   success, index, hint_index, hint_term, last_log_index, round
//   6  install_snapshot       last_included_index, last_included_term, id, size, offset, round,
//                             size u32 of the configuration, size u32 of the data                     both; zeros to 8
//   7  install_snapshot_reply last_included_index, id, offset, installed, round
//   8  timeout_now            last_log_index, last_log_term
//   9  read_request           ticket
//  10  read_reply             ticket, index, confirmed
//  11  forwarded_proposal     session, serial,
//                             size u64 of the command                                               it; zeros to 8
//  12  forwarded_proposal_reply session, serial, index, leader

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include <raft/message.hpp>

namespace raft {

/// Bytes of the header, in every version: with so many bytes at hand a frame can be judged.
inline constexpr std::size_t frame_header_bytes = 48;

namespace detail {

/// The fields of each kind, in the order of the wire. Without a row for a new kind, the codec does not compile.
template <class Body>
struct frame_layout;

template <>
struct frame_layout<request_pre_vote> {
  static constexpr std::tuple fields{&request_pre_vote::last_log_index, &request_pre_vote::last_log_term};
};
template <>
struct frame_layout<request_pre_vote_reply> {
  static constexpr std::tuple fields{&request_pre_vote_reply::asked, &request_pre_vote_reply::granted};
};
template <>
struct frame_layout<request_vote> {
  static constexpr std::tuple fields{&request_vote::last_log_index, &request_vote::last_log_term,
                                     &request_vote::handed_over};
};
template <>
struct frame_layout<request_vote_reply> {
  static constexpr std::tuple fields{&request_vote_reply::granted};
};
template <>
struct frame_layout<append_entries> {
  static constexpr std::tuple fields{&append_entries::prev_log_index, &append_entries::prev_log_term,
                                     &append_entries::leader_commit, &append_entries::round};
};
template <>
struct frame_layout<append_entries_reply> {
  static constexpr std::tuple fields{&append_entries_reply::success,        &append_entries_reply::index,
                                     &append_entries_reply::hint_index,     &append_entries_reply::hint_term,
                                     &append_entries_reply::last_log_index, &append_entries_reply::round};
};
template <>
struct frame_layout<install_snapshot> {
  static constexpr std::tuple fields{&install_snapshot::last_included_index,
                                     &install_snapshot::last_included_term,
                                     &install_snapshot::id,
                                     &install_snapshot::size,
                                     &install_snapshot::offset,
                                     &install_snapshot::round};
};
template <>
struct frame_layout<install_snapshot_reply> {
  static constexpr std::tuple fields{&install_snapshot_reply::last_included_index, &install_snapshot_reply::id,
                                     &install_snapshot_reply::offset, &install_snapshot_reply::installed,
                                     &install_snapshot_reply::round};
};
template <>
struct frame_layout<timeout_now> {
  static constexpr std::tuple fields{&timeout_now::last_log_index, &timeout_now::last_log_term};
};
template <>
struct frame_layout<read_request> {
  static constexpr std::tuple fields{&read_request::ticket};
};
template <>
struct frame_layout<read_reply> {
  static constexpr std::tuple fields{&read_reply::ticket, &read_reply::index, &read_reply::confirmed};
};
template <>
struct frame_layout<forwarded_proposal> {
  static constexpr std::tuple fields{&forwarded_proposal::session, &forwarded_proposal::serial};
};
template <>
struct frame_layout<forwarded_proposal_reply> {
  static constexpr std::tuple fields{&forwarded_proposal_reply::session, &forwarded_proposal_reply::serial,
                                     &forwarded_proposal_reply::index, &forwarded_proposal_reply::leader};
};

/// Whether frames of this kind go on behind the head; their last field then tells two sizes.
template <class Body>
inline constexpr bool has_tail = std::is_same_v<Body, append_entries> || std::is_same_v<Body, install_snapshot> ||
                                 std::is_same_v<Body, forwarded_proposal>;

template <class Body>
inline constexpr std::size_t head_bytes = frame_header_bytes +
                                          8 * (std::tuple_size_v<decltype(frame_layout<Body>::fields)> +
                                               (has_tail<Body> ? 1 : 0));

template <std::size_t Kind>
using body_kind = std::variant_alternative_t<Kind, message_body>;

inline constexpr std::size_t body_kinds = std::variant_size_v<message_body>;

inline constexpr std::size_t largest_head = []<std::size_t... Kind>(std::index_sequence<Kind...>) {
  return std::max({head_bytes<body_kind<Kind>>...});
}
(std::make_index_sequence<body_kinds>{});

constexpr std::size_t padding_after(std::size_t bytes) noexcept { return -bytes & 7; }

inline constexpr std::array<std::byte, 8> frame_padding{};

}  // namespace detail

}  // namespace raft
