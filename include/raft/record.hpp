#pragma once

// Records what is done to a node, and replays it elsewhere to the same state and the same outputs, bit for bit.
// An optional battery; it stands on node.hpp, codec.hpp and memory_log.hpp.
//
//   raft::tape tape;
//   auto n = raft::recorder<Transport, Log, Clock, StateMachine, Sink>::create(tape, sink, {every}, id, options, ...);
//   n->tick(); n->step(message); n->propose(command);             // as with a node; `sink(bytes)` gets the recording
//
//   auto log = raft::initial_log(bytes);                          // what the Log held when the recording began
//   auto end = raft::replay<Clock>(bytes, options, seed, *log, machine);     // a StateMachine as it was then
//
// A recording is one run of a node, from its start to its end; a restart begins another one. It is a stream of bytes:
//
//   "raftrec" and a version byte, 2
//   id, inputs between two sums, the Log's state   hard state; snapshot with its image; base; entries
//   then, over and over: an input                  its number (its place in input_list) and its fields
//                        and notes of its call     0xf0 reading of the clock, less the one before
//                                                  0xf1 error of the Log: which call of this input's, code, detail
//                                                  0xf2 the mark of the Log's first write; may_lead()
//                                                  0xf3 which call was a view that did not show all, and how many
//                                                  0xf4 the sum, u64, little-endian
//                                                  0xf5 the Transport carries the snapshot that it was offered
//
// Numbers are little-endian base 128, messages are frames of codec.hpp. Nothing else is in it: chance comes from the
// seed, and the options are the program's; a replay with others diverges, and says where.
//
// The sum is over every input, every clock reading and every output: messages sent, entries applied, fates, reads,
// roles, and what each call returned. It is written after every `inputs_a_sum` inputs and at the end (`finish`): after
// each input (1) a difference is traced to the very input, at 9 bytes each; after every 1000th, to a thousand, for
// almost nothing. An input goes to the sink before it is executed, so a crash does not swallow the one that caused it.
//
// Invariants: a recorder does not change what its node does; a changed byte of a recording is either no recording any
// more (errc::malformed) or noticed at the next sum (errc::inconsistent_state); no bytes make a replay read outside
// them or end the process. As thread-safe as a node.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include <raft/memory_log.hpp>
#include <raft/node.hpp>
#include <raft/record_form.hpp>
#include <raft/record_tape.hpp>

namespace raft {

/// The version of the recordings that this header writes, and the only one that it replays.
inline constexpr std::uint8_t recording_version = 2;

struct record_options {
  /// After how many inputs a sum of inputs and outputs is written; at least 1.
  std::uint64_t inputs_a_sum = 1000;
};

/// A memory_log whose writes are durable when they are reported: to replay what was recorded over such a Log.
struct deferred_memory_log : memory_log {
  static constexpr bool durable_on_return = false;
};

namespace detail {

inline constexpr std::array<std::byte, 8> recording_magic{
    std::byte{'r'}, std::byte{'a'}, std::byte{'f'}, std::byte{'t'},
    std::byte{'r'}, std::byte{'e'}, std::byte{'c'}, std::byte{recording_version}};

/// What a call returned, as an output.
constexpr void did_return(tape& t, const result<void>& r) {
  r ? t.did(7) : t.did(8, r.error().code, r.error().leader.value, r.error().detail);
}
constexpr void did_return(tape& t, const result<index_t>& r) {
  r ? t.did(7, r->value) : t.did(8, r.error().code, r.error().leader.value, r.error().detail);
}
constexpr void did_return(tape& t, const result<proposal>& r) {
  r ? t.did(7, r->index.value, r->term.value) : t.did(8, r.error().code, r.error().leader.value, r.error().detail);
}

constexpr void did_return(tape& t, const result<node_id>& r) {
  r ? t.did(7, r->value) : t.did(8, r.error().code, r.error().leader.value, r.error().detail);
}
constexpr void did_return(tape& t, const result<snapshot_meta>& r) {
  r ? t.did(7, r->index.value, r->term.value) : t.did(8, r.error().code, r.error().leader.value, r.error().detail);
}

template <class Duration>
constexpr void did_return(tape& t, const result<Duration>& r) {
  r ? t.did(7, count_of(*r)) : t.did(8, r.error().code, r.error().leader.value, r.error().detail);
}

/// Calls a node with an input; the answer, if there is one, is an output.
template <class Input, class Node>
constexpr auto call_taped(const Input& in, Node& n, tape& t) {
  if constexpr (std::is_void_v<decltype(in.call(n))>) {
    in.call(n);
  } else {
    auto answer = in.call(n);
    did_return(t, answer);
    return answer;
  }
}

/// Writes all that a Log holds. An error if it cannot be read now.
template <class Log>
constexpr result<void> put_log(std::vector<std::byte>& out, Log& log) {
  form_writer form{out};
  const hard_state h = log.hard_state();
  form(h.current_term), form(h.voted_for), form(h.commit_hint);
  const snapshot_meta& s = log.snapshot();
  std::vector<std::byte> members;
  encode(s.configuration, members);
  const std::uint64_t size = s.index == index_t{} ? 0 : s.size;
  form(s.index), form(s.term), form(s.id), form(payload{members}), form(size);
  for (std::uint64_t at = 0; at < size;) {
    const auto piece = log.read_snapshot(at, 1U << 20);
    if (!piece) return piece.error();
    out.insert(out.end(), piece->begin(), piece->end());
    at += piece->size();
  }
  const index_t base = log.first_index().previous();
  form(base), form(log.term_at(base));
  for (index_t next = base.next(); next <= log.last_index();) {
    const auto batch = log.view(next, log.last_index(), 1U << 20);
    if (!batch) return batch.error();
    form(std::uint64_t{batch->count()}), form(payload{batch->data(), batch->bytes()});
    next = next + batch->count();
  }
  form(std::uint64_t{0});
  return {};
}

/// Reads what put_log wrote.
constexpr result<memory_log> take_log(form_reader& form, std::size_t segment_bytes) {
  constexpr auto malformed = [] { return error{errc::malformed, {}, 0, "a recording's Log is malformed"}; };
  log_contents c;
  payload members;
  form(c.hard.current_term), form(c.hard.voted_for), form(c.hard.commit_hint);
  form(c.snapshot.index), form(c.snapshot.term), form(c.snapshot.id), form(members), form(c.image);
  form(c.base_index), form(c.base_term);
  auto configuration = decode_configuration(members);
  if (!form.good() || !configuration || c.base_index.value > number_limit) return malformed();
  c.snapshot.configuration = *std::move(configuration);
  std::vector<entry> all;
  for (std::uint64_t count = 0;;) {
    payload bytes;
    form(count);
    if (form.good() && count == 0) break;
    form(bytes);
    if (!form.good() || count > bytes.size() / entry_header_bytes) return malformed();
    const auto batch = entries::parse(bytes.data(), bytes.size(), static_cast<std::uint32_t>(count));
    if (!batch) return malformed();
    batch->for_each(c.base_index + all.size() + 1, [&](const entry& e) { all.push_back(e); });
  }
  c.entries = all;
  return memory_log::restore(c, segment_bytes);
}

struct recording_head {
  node_id id{};
  std::uint64_t inputs_a_sum = 0;
  memory_log log;
};

constexpr result<recording_head> take_head(form_reader& form, std::size_t segment_bytes) {
  const payload all = form.left();
  if (all.size() < recording_magic.size()) return {errc::malformed, "no recording"};
  for (std::size_t i = 0; i + 1 < recording_magic.size(); ++i) {
    if (all[i] != recording_magic[i]) return {errc::malformed, "no recording"};
  }
  if (all[7] != recording_magic[7]) return {errc::unsupported_version, "a recording of another version"};
  form.skip(recording_magic.size());
  node_id id;
  std::uint64_t every = 0;
  form(id), form(every);
  auto log = take_log(form, segment_bytes);
  if (!log) return log.error();
  if (every == 0) return {errc::malformed, "a recording's head is malformed"};
  return recording_head{id, every, *std::move(log)};
}

}  // namespace detail

/// A node that is recorded. It has the inputs of a node, under the same names, and hands out the node for everything
/// else. `Sink` is called as sink(payload) with the next bytes of the recording, valid during the call; what it does
/// with errors is its own business. Costs a copy of each input, and a hash of all that the node does.
template <class Transport, class Log, class Clock, class StateMachine, class Sink, class Observer = no_observer>
class recorder {
 public:
  using node_type = node<detail::taped_transport<Transport>, detail::taped_log<Log>, detail::taped_clock<Clock>,
                         detail::taped_machine<StateMachine>, Observer>;

  /// As node::create; the Log's state goes to the sink first. `t` is new, and outlives the recorder at its place. A
  /// snapshot in the middle of which the Log is begins anew, as its bytes cannot be read back.
  static constexpr result<recorder> create(tape& t, Sink sink, const record_options& how, node_id id,
                                           const options<typename Clock::duration>& o, std::uint64_t seed,
                                           Transport transport, Log log, Clock clock, StateMachine machine,
                                           Observer observer = {}) {
    if (how.inputs_a_sum == 0) return {errc::invalid_options, "inputs_a_sum >= 1"};
    std::vector<std::byte>& out = t.buffer();
    out.assign(detail::recording_magic.begin(), detail::recording_magic.end());
    detail::form_writer form{out};
    form(id), form(how.inputs_a_sum);
    if (auto put = detail::put_log(out, log); !put) return put.error();
    t.did(payload{out});
    auto made = node_type::create(id, o, seed, {&t, std::move(transport)}, {&t, std::move(log)}, {&t, std::move(clock)},
                                  {&t, std::move(machine)}, std::move(observer));
    if (!made) return made.error();
    recorder r{t, std::move(sink), how, *std::move(made)};
    r.flush();
    return r;
  }

  /// Any input of `inputs`; the named ones below are short for it.
  template <class Input>
  constexpr auto put(Input in) {
    tape_->write(in);
    flush();
    if constexpr (std::is_void_v<decltype(in.call(node_))>) {
      detail::call_taped(in, node_, *tape_);
      count();
    } else {
      auto answer = detail::call_taped(in, node_, *tape_);
      count();
      return answer;
    }
  }

  constexpr void tick() { put(inputs::tick{}); }
  constexpr result<void> step(const message& m) { return put(inputs::message{m}); }
  constexpr result<void> step(const persisted& p) { return put(inputs::persisted{p}); }
  constexpr result<void> step(const applied& a) { return put(inputs::applied{a}); }
  constexpr result<void> step(const fetched& f) { return put(inputs::fetched{f}); }
  template <class Body>
  constexpr result<void> step(const envelope& m, const Body& body) {
    return put(inputs::message{raft::message{m.from, m.to, m.term, message_body{std::in_place_type<Body>, body}}});
  }
  constexpr result<proposal> propose(payload command) { return propose(std::span<const payload>{&command, 1}); }
  constexpr result<proposal> propose(std::span<const payload> commands) { return put(inputs::propose{commands, {}}); }
  constexpr result<proposal> propose(payload command, term_t expected) {
    return put(inputs::propose_in_term{command, expected});
  }
  constexpr result<void> read(std::uint64_t context) { return put(inputs::read{context}); }
  constexpr result<proposal> change_membership(const membership& target, std::optional<index_t> expected = {}) {
    return put(inputs::change_membership{target, expected});
  }
  constexpr result<void> add_server(const member_data& server) { return put(inputs::add_server{server}); }
  constexpr result<proposal> leave_joint_configuration() { return put(inputs::leave_joint_configuration{}); }
  constexpr result<index_t> take_snapshot() { return put(inputs::take_snapshot{}); }
  constexpr void campaign() { put(inputs::campaign{}); }
  constexpr result<void> step(const restored& r) { return put(inputs::restored{r}); }
  constexpr result<snapshot_meta> begin_snapshot(std::optional<index_t> at = {}) {
    return put(inputs::begin_snapshot{at});
  }
  constexpr result<void> write_snapshot(payload bytes) { return put(inputs::write_snapshot{bytes}); }
  constexpr result<void> step(const snapshot_written& s) { return put(inputs::snapshot_written{s}); }
  constexpr result<void> step(const snapshot_abandoned& s) { return put(inputs::snapshot_abandoned{s}); }
  constexpr result<void> step(const snapshot_carried& c) { return put(inputs::snapshot_carried{c}); }
  constexpr result<index_t> request_snapshot() { return put(inputs::request_snapshot{}); }
  constexpr result<void> transfer_leadership(node_id target) { return put(inputs::transfer_leadership{target}); }
  constexpr result<node_id> transfer_leadership() { return put(inputs::transfer_to_best{}); }
  constexpr result<void> step_down() { return put(inputs::step_down{}); }
  constexpr void evacuate() { put(inputs::evacuate{}); }
  constexpr void stop_evacuation() { put(inputs::stop_evacuation{}); }
  constexpr result<void> read_anywhere(std::uint64_t context) { return put(inputs::read_anywhere{context}); }
  constexpr auto read_stale(typename Clock::duration at_most) {
    return put(inputs::read_stale{static_cast<std::uint64_t>(count_of(at_most))});
  }
  constexpr result<void> forget_leader() { return put(inputs::forget_leader{}); }
  constexpr result<void> propose_anywhere(payload command,
                                          std::uint64_t context) requires hears_of_forwards<StateMachine> {
    return put(inputs::propose_anywhere{command, context});
  }

  /// Writes a sum, so that all up to here can be checked, and hands everything to the sink. The recording may go on.
  constexpr void finish() {
    tape_->write_sum();
    flush();
  }

  [[nodiscard]] constexpr const node_type& engine() const noexcept { return node_; }
  [[nodiscard]] constexpr Transport& transport() noexcept { return node_.transport().inner; }
  [[nodiscard]] constexpr Log& log() noexcept { return node_.log().inner; }
  [[nodiscard]] constexpr StateMachine& machine() noexcept { return node_.machine().inner; }
  [[nodiscard]] constexpr Observer& observer() noexcept { return node_.observer(); }
  [[nodiscard]] constexpr Sink& sink() noexcept { return sink_; }
  /// How many inputs there were.
  [[nodiscard]] constexpr std::uint64_t inputs_recorded() const noexcept { return inputs_; }

 private:
  constexpr recorder(tape& t, Sink&& sink, const record_options& how, node_type&& n)
      : tape_(&t), sink_(std::move(sink)), how_(how), node_(std::move(n)) {}

  constexpr void flush() {
    sink_(tape_->written());
    tape_->clear_written();
  }
  constexpr void count() {
    if (++inputs_ % how_.inputs_a_sum == 0) tape_->write_sum();
  }

  tape* tape_;
  [[no_unique_address]] Sink sink_;
  record_options how_;
  node_type node_;
  std::uint64_t inputs_ = 0;
};

/// What a replay came to.
template <class Clock, class Log, class StateMachine>
struct replayed {
  using node_type = node<detail::taped_transport<detail::no_transport>, detail::taped_log<Log>,
                         detail::taped_clock<detail::no_clock<Clock>>, detail::taped_machine<StateMachine>>;
  std::uint64_t inputs = 0;                                            ///< How many were replayed,
  std::array<std::uint64_t, std::tuple_size_v<input_list>> of_kind{};  ///< and of each kind, in the list's order.
  std::uint64_t checked = 0;                                           ///< Up to which one a sum agreed.
  std::uint64_t sum = 0;           ///< Over all of them; of the recorder's tape it is the same.
  std::size_t incomplete = 0;      ///< Bytes at the end that are no whole record: the recording was cut off there.
  std::optional<node_type> end{};  ///< The node after the last input, for questions; its policies' inner ones are
                                   ///< `log().inner` and `machine().inner`.
};

/// What the Log held when a recording began. A replay needs segments in which its Log shows as much at once as the
/// recorded one did: large ones. errc::malformed, errc::inconsistent_state, errc::unsupported_version.
[[nodiscard]] constexpr result<memory_log> initial_log(payload recording,
                                                       std::size_t segment_bytes = std::size_t{64} << 20) {
  detail::form_reader form{recording};
  auto head = detail::take_head(form, segment_bytes);
  if (!head) return head.error();
  return std::move(head->log);
}

namespace detail {

/// Feeds a recording to a node, input by input.
template <class Clock, class Log, class StateMachine>
class player {
 public:
  using report_type = replayed<Clock, Log, StateMachine>;
  using node_type = typename report_type::node_type;

  constexpr player(tape& t, form_reader form) : tape_(&t), form_(form) {}

  constexpr result<void> start(node_id id, const options<typename Clock::duration>& o, std::uint64_t seed, Log log,
                               StateMachine machine) {
    const std::size_t before = form_.left().size();
    if (!hand_over({})) return wrong(errc::malformed, "a note that cannot be read");
    note_end(before);
    auto made =
        node_type::create(id, o, seed, {tape_, {}}, {tape_, std::move(log)}, {tape_, {}}, {tape_, std::move(machine)});
    if (!made) return made.error();
    report_.end.emplace(*std::move(made));
    return judge();
  }

  constexpr result<void> run() {
    while (form_.good() && !form_.left().empty()) {
      const std::size_t before = form_.left().size();
      if (const auto went = one_input<0>(form_.peek()); !went) return went;
      note_end(before);
    }
    report_.sum = tape_->sum();
    return {};
  }

  constexpr report_type take_report() { return std::move(report_); }

 private:
  /// What was read last began so many bytes before the end: if it is not whole, the recording was cut off in it.
  constexpr void note_end(std::size_t before) {
    if (!form_.good()) report_.incomplete = before;
  }

  template <std::size_t Place>
  constexpr result<void> one_input(std::uint8_t number) {
    if constexpr (Place == std::tuple_size_v<input_list>) {
      return wrong(errc::malformed, "an input of an unknown kind");
    } else {
      if (number != Place + 1) return one_input<Place + 1>(number);
      std::tuple_element_t<Place, input_list> in{};
      const payload from = form_.left();
      form_.skip(1);
      in.form(form_);
      if (!form_.good()) {
        if (form_.ended_early()) return {};
        return wrong(errc::malformed, "an input that cannot be read");
      }
      const payload bytes = from.first(from.size() - form_.left().size());
      if (!hand_over(bytes)) return wrong(errc::malformed, "a note that cannot be read");
      static_cast<void>(call_taped(in, *report_.end, *tape_));
      ++report_.inputs;
      ++report_.of_kind[Place];
      return judge();
    }
  }

  /// Gives an input and the notes behind it to the tape; false if one of them cannot be read.
  constexpr bool hand_over(payload input) {
    find_notes();
    if (!form_.good() && !form_.ended_early()) return false;
    // What was cut off, or was never written since the call did not return, is not asked for.
    tape_->replay(input, notes_, !form_.good() || (form_.left().empty() && !sum_));
    return true;
  }

  /// The notes up to the next input or the end, and the sum among them.
  constexpr void find_notes() {
    const payload from = form_.left();
    sum_.reset();
    std::size_t notes_end = 0;
    while (form_.peek() >= static_cast<std::uint8_t>(note::time)) {
      const std::uint8_t kind = form_.peek();
      form_.skip(1);
      if (kind == static_cast<std::uint8_t>(note::sum)) {
        if (form_.left().size() < 8) {
          form_.run_short();
          break;
        }
        const auto read = load_le<std::uint64_t>(form_.left().data());
        if (sum_ && *sum_ != read) tape_->diverge();
        sum_ = read;
        form_.skip(8);
        continue;
      }
      if (kind > static_cast<std::uint8_t>(note::carried)) return form_.fail();
      std::uint64_t number = 0;
      if (kind != static_cast<std::uint8_t>(note::carried)) form_(number);
      if (kind == static_cast<std::uint8_t>(note::short_view)) form_(number);
      if (kind == static_cast<std::uint8_t>(note::log_error)) form_(number), form_(number);
      if (!form_.good()) break;
      notes_end = from.size() - form_.left().size();
    }
    notes_ = from.first(notes_end);
  }

  /// Whether the node did what the recorded one did, as far as is known by now.
  constexpr result<void> judge() {
    if (tape_->diverged() || !tape_->all_asked_for()) {
      return wrong(errc::inconsistent_state, "the replayed node asks for the time, or for its Log, at another place");
    }
    if (sum_ && *sum_ != tape_->sum()) {
      return wrong(errc::inconsistent_state, "the replayed node did something else since the last sum that agreed");
    }
    if (sum_) report_.checked = report_.inputs;
    return {};
  }

  [[nodiscard]] constexpr error wrong(errc code, const char* what) const { return {code, {}, report_.inputs, what}; }

  tape* tape_;
  form_reader form_;
  payload notes_{};
  std::optional<std::uint64_t> sum_{};
  report_type report_{};
};

}  // namespace detail

/// Replays a recording with a new node: the id is the recording's, options and seed are those of the recorded node, the
/// Log holds what initial_log says (a deferred_memory_log if the recorded one was not durable on return), the machine
/// is as it was then. `t` is new, and outlives what is returned, at its place.
///
/// inconsistent_state: the node did something else than the recorded one; `error.detail` is the number of the last
/// input before this was noticed, counted from 1, and what differs lies between it and the last sum that agreed.
/// malformed, unsupported_version: no recording; `error.detail` is the number of inputs that were replayed.
template <class Clock, class Log, class StateMachine>
constexpr result<replayed<Clock, Log, StateMachine>> replay(tape& t, payload recording,
                                                            const options<typename Clock::duration>& o,
                                                            std::uint64_t seed, Log log, StateMachine machine) {
  detail::form_reader form{recording};
  const auto head = detail::take_head(form, memory_log::default_segment_bytes);
  if (!head) return head.error();
  t.did(recording.first(recording.size() - form.left().size()));
  detail::player<Clock, Log, StateMachine> p{t, form};
  if (auto started = p.start(head->id, o, seed, std::move(log), std::move(machine)); !started) return started.error();
  if (auto ran = p.run(); !ran) return ran.error();
  return p.take_report();
}

}  // namespace raft
