#pragma once

// What the bytes of a fuzzer's input say, one after the other; and messages out of them: anything, or one that a server
// sent with some fields changed. Which fields a kind has says the codec's table, so a new kind is attacked as well.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <raft/codec.hpp>

namespace fuzz {

inline void require(bool holds) {
  if (!holds) std::abort();
}

/// Zeros behind its end.
class input {
 public:
  input(const std::uint8_t* data, std::size_t size) : left_(data, size) {}
  [[nodiscard]] bool over() const { return left_.empty(); }
  std::uint8_t byte() {
    if (left_.empty()) return 0;
    const std::uint8_t b = left_.front();
    left_ = left_.subspan(1);
    return b;
  }
  /// Small numbers mostly; then the edges of what is counted with; then anything.
  std::uint64_t number() {
    constexpr std::uint64_t limit = std::uint64_t{1} << 62;
    const std::uint8_t b = byte();
    if (b < 0xe0) return b % 16;
    if (b < 0xe8) return limit - 4 + b % 8;
    if (b < 0xf0) return UINT64_MAX - b % 8;
    std::uint64_t n = 0;
    for (int i = 0; i < 8; ++i) n = n << 8 | byte();
    return n;
  }
  /// Near `was`, or a number as above.
  std::uint64_t changed(std::uint64_t was) {
    const std::uint8_t b = byte();
    if (b < 0x60) return was + 1 + b % 3;
    if (b < 0xc0) return was - 1 - b % 3;
    return number();
  }

 private:
  std::span<const std::uint8_t> left_;
};

/// Entries in their wire form, in `room`; what no Log could hold comes out empty.
inline raft::entries batch(input& in, std::vector<std::byte>& room) {
  room.clear();
  const std::uint32_t count = in.byte() % 4;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::vector<std::byte> data(in.byte() % 32, std::byte{1});
    auto kind = raft::entry_kind::command;
    if (in.byte() % 4 == 0) {
      kind = raft::entry_kind::configuration;
      data.clear();
      encode(raft::voters_of({raft::node_id{1}, raft::node_id{2}, raft::node_id{3U + in.byte() % 2U}}), data);
    }
    const std::size_t at = room.size();
    room.resize(at + raft::entry_bytes(data.size()));
    raft::write_entry(room.data() + at, raft::term_t{in.number()}, kind, data);
  }
  const auto parsed = raft::entries::parse(room.data(), room.size(), count);
  return parsed ? *parsed : raft::entries{};
}

inline void change(input& in, std::uint64_t& field) { field = in.changed(field); }
inline void change(input&, bool& field) { field = !field; }
void change(input& in, auto& field) { field.value = in.changed(field.value); }

/// Changes the field of that number, counted from 0, if the kind has one.
template <class Body>
void change_field(input& in, Body& body, std::size_t which) {
  std::apply(
      [&](auto... field) {
        std::size_t at = 0;
        ((at++ == which ? change(in, body.*field) : void()), ...);
      },
      raft::detail::frame_layout<Body>::fields);
}

/// The memory that a changed message views.
struct views {
  std::vector<std::byte> first{};
  std::vector<std::byte> second{};
};

/// Changes what the message views.
template <class Body>
void change_views(input& in, Body& body, views& room) {
  if constexpr (std::is_same_v<Body, raft::append_entries>) body.entries = batch(in, room.first);
  if constexpr (std::is_same_v<Body, raft::install_snapshot>) {
    room.first.assign(body.configuration.begin(), body.configuration.end());
    if (!room.first.empty()) room.first[in.byte() % room.first.size()] ^= std::byte{in.byte()};
    body.configuration = room.first;
    room.second.assign(in.byte() % 40, std::byte{in.byte()});
    body.data = room.second;
  }
  if constexpr (std::is_same_v<Body, raft::forwarded_proposal>) {
    room.first.assign(in.byte() % 64, std::byte{in.byte()});
    body.command = room.first;
  }
}

/// One change or several, to the envelope or to the body.
inline void change(input& in, raft::message& m, views& room) {
  for (int more = 1 + in.byte() % 3; more > 0; --more) {
    const std::uint8_t what = in.byte() % 16;
    if (what == 0) change(in, m.term);
    if (what == 1) m.from = raft::node_id{in.number()};
    if (what == 2) m.to = raft::node_id{in.number()};
    if (what == 3) std::visit([&](auto& body) { change_views(in, body, room); }, m.body);
    if (what > 3) std::visit([&](auto& body) { change_field(in, body, what % 6); }, m.body);
  }
}

/// A message of any kind, whose fields are anything.
template <std::size_t Kind = 0>
raft::message_body any_body(input& in, std::size_t kind, views& room) {
  if constexpr (Kind + 1 < raft::detail::body_kinds) {
    if (kind != Kind) return any_body<Kind + 1>(in, kind, room);
  }
  raft::detail::body_kind<Kind> body{};
  for (std::size_t field = 0; field < 6; ++field) change_field(in, body, field);
  if constexpr (std::is_same_v<decltype(body), raft::install_snapshot>) {
    encode(raft::voters_of({raft::node_id{1}, raft::node_id{2}, raft::node_id{3}}), room.first);
    body.configuration = room.first;
  }
  change_views(in, body, room);
  return body;
}

}  // namespace fuzz
