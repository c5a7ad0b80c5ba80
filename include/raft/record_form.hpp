#pragma once

// The byte form of a recording's numbers, and the list of all inputs. Part of the battery record.hpp.
//
// A new input of the node gets its struct in `inputs` and its place at the end of `input_list`, and that is all: its
// fields are written and read by `form`, and `call` feeds it to a node, first the recorded one and later the replayed
// one. The order of the list is the byte form's. tests/tidy/check.py (every_input_is_recorded) finds an input of
// node.hpp that is not here.
//
// Invariants: what was written is read back equal; a reader never looks behind its bytes, takes no memory on the word
// of a number alone, and once something was wrong stays `good == false`.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <raft/bytes.hpp>
#include <raft/codec.hpp>
#include <raft/configuration.hpp>
#include <raft/configuration_change.hpp>
#include <raft/entry.hpp>
#include <raft/message.hpp>
#include <raft/options.hpp>
#include <raft/outcome.hpp>
#include <raft/types.hpp>

namespace raft {

namespace detail {

/// A hash of everything that goes through it, in order. Equal on every machine; no defence against intent.
class running_hash {
 public:
  constexpr void add(std::uint64_t n) noexcept {
    value_ = (value_ ^ n) * 0x9e3779b97f4a7c15U;
    value_ ^= value_ >> 29;
  }
  constexpr void add(payload bytes) noexcept {
    add(bytes.size());
    std::size_t at = 0;
    for (; at + 8 <= bytes.size(); at += 8) add(load_le<std::uint64_t>(bytes.data() + at));
    std::uint64_t rest = 0;
    for (std::size_t i = at; i < bytes.size(); ++i) rest = rest << 8 | std::to_integer<std::uint64_t>(bytes[i]);
    add(rest);
  }
  [[nodiscard]] constexpr std::uint64_t value() const noexcept { return value_; }

 private:
  std::uint64_t value_ = 0x243f6a8885a308d3U;
};

/// Whose addresses a recorded message shows: those that it had stand before its frame, since they may be wrong ones.
inline constexpr envelope recorded_envelope{node_id{1}, node_id{2}, term_t{}};

/// Writes fields behind the bytes that are there. Numbers take 1 to 10 bytes, 7 bits in each, the lowest first.
class form_writer {
 public:
  explicit constexpr form_writer(std::vector<std::byte>& out) noexcept : out_(out) {}

  constexpr void operator()(std::uint64_t n) {
    for (; n >= 0x80; n >>= 7) out_.push_back(static_cast<std::byte>(n | 0x80));
    out_.push_back(static_cast<std::byte>(n));
  }
  template <class Noun>
  requires requires(Noun n) { n.value; }
  constexpr void operator()(Noun n) { (*this)(n.value); }
  constexpr void operator()(payload bytes) {
    (*this)(bytes.size());
    out_.insert(out_.end(), bytes.begin(), bytes.end());
  }
  constexpr void operator()(std::span<const payload> many, std::vector<payload>&) {
    (*this)(many.size());
    for (const payload one : many) (*this)(one);
  }
  constexpr void operator()(const std::vector<node_id>& ids) {
    (*this)(ids.size());
    for (const node_id id : ids) (*this)(id);
  }
  constexpr void operator()(const std::vector<member_data>& all) {
    (*this)(all.size());
    for (const member_data& m : all) {
      (*this)(m.id);
      (*this)(payload{m.data});
    }
  }
  constexpr void operator()(const std::vector<std::byte>& bytes) { (*this)(payload{bytes}); }
  constexpr void operator()(const std::optional<index_t>& i) { (*this)(i ? i->value + 1 : 0); }
  constexpr void operator()(const raft::message& m) {
    (*this)(m.from);
    (*this)(m.to);
    (*this)(m.term);
    const std::size_t bytes = frame_bytes(m);
    (*this)(bytes);
    const std::size_t at = out_.size();
    out_.resize(at + bytes, std::byte{0});
    visit_body(m.body, [&](const auto& body) {
      (void)encode<checksums::header>(recorded_envelope, body, cluster_id{}, std::span{out_}.subspan(at));
    });
  }

 private:
  std::vector<std::byte>& out_;
};

/// Reads them; views point into the bytes that are read.
class form_reader {
 public:
  explicit constexpr form_reader(payload bytes) noexcept : left_(bytes) {}

  [[nodiscard]] constexpr bool good() const noexcept { return good_; }
  [[nodiscard]] constexpr payload left() const noexcept { return left_; }
  /// Whether nothing is wrong but that the bytes end too early.
  [[nodiscard]] constexpr bool ended_early() const noexcept { return short_; }
  constexpr void fail() noexcept { good_ = false; }
  constexpr void run_short() noexcept {
    short_ = short_ || good_;
    good_ = false;
  }

  /// The next byte, which stays; zero at the end.
  [[nodiscard]] constexpr std::uint8_t peek() const noexcept {
    return left_.empty() ? std::uint8_t{0} : std::to_integer<std::uint8_t>(left_.front());
  }
  constexpr void skip(std::size_t n) noexcept { left_ = left_.subspan(n < left_.size() ? n : left_.size()); }

  constexpr void operator()(std::uint64_t& n) noexcept {
    n = 0;
    for (unsigned shift = 0;; shift += 7) {
      if (left_.empty()) return run_short();
      const auto byte = std::to_integer<std::uint64_t>(left_.front());
      left_ = left_.subspan(1);
      if (shift == 63 && byte > 1) return fail();
      n |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (byte == 0 && shift != 0) fail();  // a number has one form
        return;
      }
    }
  }
  template <class Noun>
  requires requires(Noun n) { n.value; }
  constexpr void operator()(Noun& n) noexcept { (*this)(n.value); }
  constexpr void operator()(payload& bytes) noexcept {
    const std::size_t n = count(1);
    bytes = left_.first(n);
    skip(n);
  }
  constexpr void operator()(std::span<const payload>& many, std::vector<payload>& held) {
    for (std::size_t n = count(1); n != 0 && good_; --n) (*this)(held.emplace_back());
    many = held;
  }
  constexpr void operator()(std::vector<node_id>& ids) {
    for (std::size_t n = count(1); n != 0 && good_; --n) (*this)(ids.emplace_back());
  }
  constexpr void operator()(std::vector<member_data>& all) {
    for (std::size_t n = count(2); n != 0 && good_; --n) {
      member_data& m = all.emplace_back();
      (*this)(m.id);
      (*this)(m.data);
    }
  }
  constexpr void operator()(std::vector<std::byte>& bytes) {
    payload read;
    (*this)(read);
    bytes.assign(read.begin(), read.end());
  }
  constexpr void operator()(std::optional<index_t>& i) noexcept {
    std::uint64_t n = 0;
    (*this)(n);
    if (n != 0) i = index_t{n - 1};
  }
  constexpr void operator()(raft::message& m) {
    node_id from;
    node_id to;
    term_t term;
    payload frame;
    (*this)(from);
    (*this)(to);
    (*this)(term);
    (*this)(frame);  // empty, and so no frame, if something was wrong by then
    auto read = decode<checksums::header>(frame, cluster_id{}, recorded_envelope.to, frame.size());
    if (!read || read->bytes != frame.size()) return fail();
    visit_body(read->message.body, [&]<class Body>(const Body& body) {
      static_assert(std::is_trivially_destructible_v<raft::message>, "or the present one has to be destroyed");
      std::construct_at(&m, raft::message{from, to, term, message_body{std::in_place_type<Body>, body}});
    });
  }

 private:
  /// A count of things that take so many bytes each at least, all of which must be there.
  constexpr std::size_t count(std::size_t each) noexcept {
    std::uint64_t n = 0;
    (*this)(n);
    if (!good_) return 0;
    if (n > left_.size() / each) {
      run_short();
      return 0;
    }
    return static_cast<std::size_t>(n);
  }

  payload left_;
  bool good_ = true;
  bool short_ = false;
};

}  // namespace detail

/// Everything that can be done to a node, as values; see the top of this file. Views are valid as long as what they
/// were made of.
namespace inputs {

struct tick {
  constexpr void form(auto&) {}
  constexpr void call(auto& n) const { n.tick(); }
};
struct message {
  raft::message m{};
  constexpr void form(auto& f) { f(m); }
  constexpr auto call(auto& n) const { return n.step(m); }
};
struct persisted {
  raft::persisted p{};
  constexpr void form(auto& f) { f(p.first), f(p.last); }
  constexpr auto call(auto& n) const { return n.step(p); }
};
struct applied {
  raft::applied a{};
  constexpr void form(auto& f) { f(a.index); }
  constexpr auto call(auto& n) const { return n.step(a); }
};
struct propose {
  std::span<const payload> commands{};
  std::vector<payload> held{};  ///< What `commands` views when it was read back.
  constexpr void form(auto& f) { f(commands, held); }
  constexpr auto call(auto& n) const { return n.propose(commands); }
};
struct read {
  std::uint64_t context = 0;
  constexpr void form(auto& f) { f(context); }
  constexpr auto call(auto& n) const { return n.read(context); }
};
struct change_membership {
  membership target{};
  std::optional<index_t> expected{};
  constexpr void form(auto& f) { f(target.voters), f(target.learners), f(target.data), f(expected); }
  constexpr auto call(auto& n) const { return n.change_membership(target, expected); }
};
struct leave_joint_configuration {
  constexpr void form(auto&) {}
  constexpr auto call(auto& n) const { return n.leave_joint_configuration(); }
};
struct take_snapshot {
  constexpr void form(auto&) {}
  constexpr auto call(auto& n) const { return n.take_snapshot(); }
};
struct campaign {
  constexpr void form(auto&) {}
  constexpr void call(auto& n) const { n.campaign(); }
};
struct fetched {
  raft::fetched f{};
  constexpr void form(auto& form) { form(f.first), form(f.last); }
  constexpr auto call(auto& n) const { return n.step(f); }
};
struct propose_in_term {
  payload command{};
  term_t expected{};
  constexpr void form(auto& f) { f(command), f(expected); }
  constexpr auto call(auto& n) const { return n.propose(command, expected); }
};

struct restored {
  raft::restored r{};
  constexpr void form(auto& f) { f(r.index); }
  constexpr auto call(auto& n) const { return n.step(r); }
};
struct begin_snapshot {
  std::optional<index_t> at{};
  constexpr void form(auto& f) { f(at); }
  constexpr auto call(auto& n) const { return n.begin_snapshot(at); }
};
struct write_snapshot {
  payload bytes{};
  constexpr void form(auto& f) { f(bytes); }
  constexpr auto call(auto& n) const { return n.write_snapshot(bytes); }
};
struct snapshot_written {
  raft::snapshot_written s{};
  constexpr void form(auto& f) { f(s.index); }
  constexpr auto call(auto& n) const { return n.step(s); }
};
struct snapshot_abandoned {
  raft::snapshot_abandoned s{};
  constexpr void form(auto& f) { f(s.index); }
  constexpr auto call(auto& n) const { return n.step(s); }
};
struct transfer_leadership {
  node_id target{};
  constexpr void form(auto& f) { f(target); }
  constexpr auto call(auto& n) const { return n.transfer_leadership(target); }
};
struct transfer_to_best {
  constexpr void form(auto&) {}
  constexpr auto call(auto& n) const { return n.transfer_leadership(); }
};
struct step_down {
  constexpr void form(auto&) {}
  constexpr auto call(auto& n) const { return n.step_down(); }
};
struct evacuate {
  constexpr void form(auto&) {}
  constexpr void call(auto& n) const { n.evacuate(); }
};
struct stop_evacuation {
  constexpr void form(auto&) {}
  constexpr void call(auto& n) const { n.stop_evacuation(); }
};
struct forget_leader {
  constexpr void form(auto&) {}
  constexpr auto call(auto& n) const { return n.forget_leader(); }
};

struct read_anywhere {
  std::uint64_t context = 0;
  constexpr void form(auto& f) { f(context); }
  constexpr auto call(auto& n) const { return n.read_anywhere(context); }
};
struct read_stale {
  std::uint64_t at_most = 0;  ///< Ticks of the node's duration.
  constexpr void form(auto& f) { f(at_most); }
  template <class Node>
  constexpr auto call(Node& n) const {
    return n.read_stale(duration_of<typename Node::duration>(static_cast<std::int64_t>(at_most & INT64_MAX)));
  }
};

struct snapshot_carried {
  raft::snapshot_carried c{};
  constexpr void form(auto& f) {
    std::uint64_t arrived = c.arrived ? 1 : 0;
    f(c.to), f(c.id), f(arrived);
    c.arrived = arrived != 0;
  }
  constexpr auto call(auto& n) const { return n.step(c); }
};
struct request_snapshot {
  constexpr void form(auto&) {}
  constexpr auto call(auto& n) const { return n.request_snapshot(); }
};
struct add_server {
  member_data server{};
  constexpr void form(auto& f) { f(server.id), f(server.data); }
  constexpr auto call(auto& n) const { return n.add_server(server); }
};
struct propose_anywhere {
  payload command{};
  std::uint64_t context = 0;
  constexpr void form(auto& f) { f(command), f(context); }
  constexpr auto call(auto& n) const { return n.propose_anywhere(command, context); }
};

}  // namespace inputs

/// In the order of the byte form: an input's number is its place, from 1 on. New ones go to the end.
using input_list =
    std::tuple<inputs::tick, inputs::message, inputs::persisted, inputs::applied, inputs::propose, inputs::read,
               inputs::change_membership, inputs::leave_joint_configuration, inputs::take_snapshot, inputs::campaign,
               inputs::fetched, inputs::propose_in_term, inputs::restored, inputs::begin_snapshot,
               inputs::write_snapshot, inputs::snapshot_written, inputs::snapshot_abandoned,
               inputs::transfer_leadership, inputs::transfer_to_best, inputs::step_down, inputs::evacuate,
               inputs::stop_evacuation, inputs::forget_leader, inputs::read_anywhere, inputs::read_stale,
               inputs::snapshot_carried, inputs::request_snapshot, inputs::add_server, inputs::propose_anywhere>;

namespace detail {

/// An input's number.
template <class Input, std::size_t Place = 0>
constexpr std::uint8_t input_number() noexcept {
  if constexpr (std::is_same_v<Input, std::tuple_element_t<Place, input_list>>) {
    return std::uint8_t{Place + 1};
  } else {
    return input_number<Input, Place + 1>();
  }
}

}  // namespace detail

}  // namespace raft
