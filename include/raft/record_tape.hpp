#pragma once

// The tape between a node and its recording, and the policies that speak to it. Part of the battery record.hpp.
//
// A tape records or replays. Recording, it writes down what a node cannot know by itself (the clock's readings, the
// errors of its Log) and sums up what the node does. Replaying, it hands back the former and sums up again; the node in
// between is the same code with the same policies' faces.
//
// Invariants: a replayed node is told exactly what was noted, in that order; where it asks for something else, the tape
// is `diverged` from then on.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <raft/codec.hpp>
#include <raft/configuration.hpp>
#include <raft/entry.hpp>
#include <raft/options.hpp>
#include <raft/outcome.hpp>
#include <raft/policies.hpp>
#include <raft/record_form.hpp>
#include <raft/role.hpp>
#include <raft/storage.hpp>
#include <raft/types.hpp>

namespace raft {

namespace detail {

/// What stands between two inputs; numbers above those of any input.
enum class note : std::uint8_t { time = 0xf0, log_error, answer, short_view, sum, carried };

}  // namespace detail

/// See the top of this file. The caller holds it, at one place, for as long as the recorder or the replay lives.
class tape {
 public:
  tape() = default;
  tape(const tape&) = delete;
  tape& operator=(const tape&) = delete;

  /// What was written and not taken away.
  [[nodiscard]] constexpr payload written() const noexcept { return out_; }
  constexpr void clear_written() noexcept { out_.clear(); }
  /// The sum over all inputs and outputs so far.
  [[nodiscard]] constexpr std::uint64_t sum() const noexcept { return sum_.value(); }
  [[nodiscard]] constexpr bool diverged() const noexcept { return diverged_; }
  constexpr void diverge() noexcept { diverged_ = true; }

  // ---- for whoever records

  template <class Input>
  constexpr void write(Input& in) {
    const std::size_t at = out_.size();
    out_.push_back(static_cast<std::byte>(detail::input_number<Input>()));
    detail::form_writer form{out_};
    in.form(form);
    sum_.add(payload{out_}.subspan(at));
    calls_ = 0;
  }
  constexpr void write_sum() {
    out_.push_back(static_cast<std::byte>(detail::note::sum));
    const std::size_t at = out_.size();
    out_.resize(at + 8, std::byte{0});
    detail::store_le(out_.data() + at, sum());
  }
  [[nodiscard]] constexpr std::vector<std::byte>& buffer() noexcept { return out_; }

  // ---- for whoever replays

  /// The bytes of an input that follows, and what was noted while the recorded node took it in; `cut_off`, if more may
  /// have been noted.
  constexpr void replay(payload input, payload notes, bool cut_off) noexcept {
    if (!input.empty()) sum_.add(input);
    notes_ = detail::form_reader{notes};
    replays_ = true;
    cut_off_ = cut_off;
    calls_ = 0;
  }
  /// Whether all of that was asked for.
  [[nodiscard]] constexpr bool all_asked_for() const noexcept { return notes_.good() && notes_.left().empty(); }

  // ---- for the policies

  /// A reading of the clock, of so many ticks of its own.
  template <class Read>
  constexpr std::int64_t time(Read&& read) {
    if (replays_) {
      std::uint64_t moved = 0;
      if (take(detail::note::time)) notes_(moved);
      hand_back(last_time_ + ((moved >> 1) ^ (~(moved & 1) + 1)));
    } else {
      const auto now = static_cast<std::uint64_t>(read());
      const std::uint64_t moved = now - last_time_;
      out_.push_back(static_cast<std::byte>(detail::note::time));
      detail::form_writer{out_}(moved << 1 ^ (~(moved >> 63) + 1));
      last_time_ = now;
    }
    told_time_ = true;
    sum_.add(last_time_);
    return static_cast<std::int64_t>(last_time_);
  }

  /// What a call of the Log answers: that it fails is an input.
  template <class Call>
  constexpr auto log_call(Call&& call) -> decltype(call()) {
    ++calls_;
    if (replays_) {
      if (auto noted = noted_error()) return *noted;
      return call();
    }
    auto answer = call();
    if (!answer) note_error(answer.error());
    return answer;
  }

  /// A number that a policy gives, and the node goes by: the mark of the Log's first write, whether a machine may lead.
  /// `own` is what it is here.
  constexpr std::uint64_t answer(std::uint64_t own) {
    if (replays_) {
      if (take(detail::note::answer)) notes_(own);
    } else {
      out_.push_back(static_cast<std::byte>(detail::note::answer));
      detail::form_writer{out_}(own);
    }
    did(own);
    return own;
  }

  /// Whether the Transport carries a snapshot that it is offered. Only that it does is noted.
  template <class Offer>
  constexpr bool carries(Offer&& offer) {
    if (!replays_) {
      if (!offer()) return false;
      out_.push_back(static_cast<std::byte>(detail::note::carried));
      return true;
    }
    if (notes_.peek() != static_cast<std::uint8_t>(detail::note::carried)) return false;
    notes_.skip(1);
    return true;
  }

  /// How many of the `asked` entries a view of the Log shows, which is the Log's to choose; `own` is what it shows
  /// here.
  constexpr std::uint64_t shown(std::uint64_t own, std::uint64_t asked) {
    if (replays_) {
      const std::uint64_t noted = noted_count(asked);
      if ((noted > own || noted == 0) && !cut_off_) diverged_ = true;
      own = noted < own && noted != 0 ? noted : own;
    } else if (own < asked) {
      out_.push_back(static_cast<std::byte>(detail::note::short_view));
      detail::form_writer form{out_};
      form(calls_), form(own);
    }
    if (own < asked) did(own);
    return own;
  }

  /// An output.
  constexpr void did(auto... numbers) noexcept { (sum_.add(static_cast<std::uint64_t>(numbers)), ...); }
  constexpr void did(payload bytes) noexcept { sum_.add(bytes); }
  constexpr void did_send(const message& m) {
    scratch_.resize(frame_bytes(m), std::byte{0});
    (void)encode<checksums::header>(m, cluster_id{}, scratch_);
    sum_.add(payload{scratch_});
  }

 private:
  /// A reading that a Clock can have given: clocks never go back, and arithmetic on it must not overflow.
  constexpr void hand_back(std::uint64_t reading) noexcept {
    constexpr std::int64_t limit = std::int64_t{1} << 61;
    const auto now = static_cast<std::int64_t>(reading);
    const bool back = told_time_ && now < static_cast<std::int64_t>(last_time_);
    if (back || now > limit || now < -limit) return notes_.fail();
    last_time_ = reading;
  }

  constexpr bool take(detail::note kind) noexcept {
    if (notes_.peek() != static_cast<std::uint8_t>(kind)) {
      diverged_ = diverged_ || !cut_off_;
      return false;
    }
    notes_.skip(1);
    return true;
  }

  constexpr void note_error(const error& e) {
    out_.push_back(static_cast<std::byte>(detail::note::log_error));
    detail::form_writer form{out_};
    form(calls_);
    form(static_cast<std::uint64_t>(e.code));
    form(e.detail);
    did(calls_, e.code, e.detail);
  }

  constexpr std::optional<error> noted_error() noexcept {
    if (notes_.peek() != static_cast<std::uint8_t>(detail::note::log_error)) return {};
    detail::form_reader ahead = notes_;
    ahead.skip(1);
    std::uint64_t call = 0;
    std::uint64_t code = 0;
    std::uint64_t detail = 0;
    ahead(call), ahead(code), ahead(detail);
    // What cannot be an error stays where it is, and so is never asked for.
    if (!ahead.good() || code == 0 || code > UINT8_MAX || call != calls_) return {};
    notes_ = ahead;
    did(call, code, detail);
    return error{static_cast<errc>(code), {}, detail, "an error of the recorded Log"};
  }

  /// What was noted of the view that is this call; all that was asked for, if nothing was.
  constexpr std::uint64_t noted_count(std::uint64_t asked) noexcept {
    if (notes_.peek() != static_cast<std::uint8_t>(detail::note::short_view)) return asked;
    detail::form_reader ahead = notes_;
    ahead.skip(1);
    std::uint64_t call = 0;
    std::uint64_t count = 0;
    ahead(call), ahead(count);
    if (call != calls_) return asked;
    notes_ = ahead;
    return count;
  }

  std::vector<std::byte> out_{};
  std::vector<std::byte> scratch_{};
  detail::running_hash sum_{};
  detail::form_reader notes_{payload{}};
  std::uint64_t last_time_ = 0;
  bool told_time_ = false;
  std::uint64_t calls_ = 0;  ///< Of the Log, that may fail, since the present input began.
  bool replays_ = false;
  bool cut_off_ = false;
  bool diverged_ = false;
};

namespace detail {

template <class Transport>
struct taped_transport {
  raft::tape* to;
  [[no_unique_address]] Transport inner;
  constexpr void send(const message& m) {
    to->did_send(m);
    inner.send(m);
  }
  /// Offered to every recorded node, and to every replayed one, which cannot know what the recorded one had: to a node,
  /// a Transport that always declines is one that carries nothing.
  constexpr bool send_snapshot(const envelope& m, const install_snapshot& head) {
    const bool carried = to->carries([&] {
      if constexpr (carries_snapshots<Transport>) {
        return inner.send_snapshot(m, head);
      } else {
        return false;
      }
    });
    if (carried) to->did_send({m.from, m.to, m.term, message_body{std::in_place_type<install_snapshot>, head}});
    return carried;
  }
};

/// What a replayed node sends goes nowhere.
struct no_transport {
  constexpr void send(const message&) const noexcept {}
};

template <class Clock>
struct taped_clock {
  using duration = typename Clock::duration;
  using time_point = typename Clock::time_point;
  raft::tape* to;
  [[no_unique_address]] Clock inner;

  [[nodiscard]] constexpr time_point now() const {
    return from_ticks(to->time([this] { return ticks(inner.now()); }));
  }
  [[nodiscard]] static constexpr std::int64_t ticks(time_point t) noexcept {
    if constexpr (requires { t.time_since_epoch(); }) {
      return count_of(t.time_since_epoch());
    } else {
      return static_cast<std::int64_t>(t);
    }
  }
  [[nodiscard]] static constexpr time_point from_ticks(std::int64_t n) noexcept {
    return time_point{duration_of<duration>(n)};
  }
};

/// A clock that only hands back.
template <class Clock>
struct no_clock {
  using duration = typename Clock::duration;
  using time_point = typename Clock::time_point;
  [[nodiscard]] constexpr time_point now() const noexcept { return time_point{}; }
};

template <class Log>
struct taped_log {
  static constexpr bool durable_on_return = Log::durable_on_return;
  raft::tape* to;
  Log inner;
  std::uint64_t moved = 0;  ///< From the marks of this Log to those of the recorded one.
  bool wrote = false;
  /// A snapshot is under way whose every byte was recorded: one from before the recording is in none, and after an
  /// error the Log may have kept it or not, which a replay cannot tell.
  bool begun = false;

  [[nodiscard]] constexpr raft::hard_state hard_state() const { return inner.hard_state(); }
  [[nodiscard]] constexpr index_t first_index() const { return inner.first_index(); }
  [[nodiscard]] constexpr index_t last_index() const { return inner.last_index(); }
  [[nodiscard]] constexpr term_t term_at(index_t i) const { return inner.term_at(i); }
  [[nodiscard]] constexpr std::span<const index_t> configurations() const { return inner.configurations(); }
  [[nodiscard]] constexpr const snapshot_meta& snapshot() const { return inner.snapshot(); }
  [[nodiscard]] constexpr partial_snapshot partial() const { return begun ? inner.partial() : partial_snapshot{}; }
  [[nodiscard]] constexpr result<entries> view(index_t from, index_t last, std::uint32_t max) const {
    auto batch = to->log_call([&] { return inner.view(from, last, max); });
    if (!batch) return batch;
    const auto count = static_cast<std::uint32_t>(to->shown(batch->count(), last - from + 1));
    return count < batch->count() ? first_of(*batch, count) : *batch;
  }
  [[nodiscard]] constexpr result<payload> read_snapshot(std::uint64_t offset, std::uint32_t max) {
    return to->log_call([&] { return inner.read_snapshot(offset, max); });
  }
  constexpr result<mark_t> store(const raft::hard_state& h) {
    return marked([&] { return inner.store(h); });
  }
  constexpr result<mark_t> append(const entries& batch) {
    return marked([&] { return inner.append(batch); });
  }
  constexpr result<mark_t> append(term_t term, entry_kind kind, std::span<const payload> payloads) {
    return marked([&] { return inner.append(term, kind, payloads); });
  }
  constexpr result<mark_t> truncate_from(index_t i) {
    return marked([&] { return inner.truncate_from(i); });
  }
  constexpr result<mark_t> compact(index_t i) {
    return marked([&] { return inner.compact(i); });
  }
  constexpr result<void> begin_snapshot(const snapshot_meta& meta) {
    auto done = to->log_call([&] { return inner.begin_snapshot(meta); });
    begun = done.has_value();
    return done;
  }
  constexpr result<void> write_snapshot(payload bytes) {
    auto done = to->log_call([&] { return inner.write_snapshot(bytes); });
    begun &= done.has_value();
    return done;
  }
  constexpr result<mark_t> finish_snapshot() {
    return marked([&] { return inner.finish_snapshot(); });
  }

 private:
  /// The first `count` entries of a batch, `count` >= 1.
  static constexpr entries first_of(const entries& batch, std::uint32_t count) noexcept {
    const std::uint32_t bytes = batch.bytes() - batch.from(count).bytes();
    const entries all_but_last = batch.from(count - 1);
    return entries::trusted(batch.data(), bytes, count, all_but_last.first_term());
  }

  template <class Write>
  constexpr result<mark_t> marked(Write&& write) {
    auto mark = to->log_call(write);
    if (!mark || durable_on_return) return mark;
    if (!std::exchange(wrote, true)) moved = to->answer(mark->value) - mark->value;
    return mark_t{mark->value + moved};
  }
};

template <class StateMachine>
struct taped_machine {
  static constexpr bool applies_elsewhere = requires { requires bool(StateMachine::applies_elsewhere); };
  static constexpr bool restores_elsewhere = requires { requires bool(StateMachine::restores_elsewhere); };
  raft::tape* to;
  StateMachine inner;

  constexpr void apply(const entry& e) {
    to->did(1, e.index.value, e.term.value);
    to->did(e.data);
    inner.apply(e);
  }
  template <class Sink>
  constexpr result<void> write_snapshot(Sink& sink) {
    return inner.write_snapshot(sink);
  }
  template <class Source>
  constexpr result<void> restore(Source& source) requires requires(StateMachine& m) {
    m.restore(source);
  }
  { return inner.restore(source); }
  constexpr void begin_restore(const snapshot_meta& meta) requires requires(StateMachine& m) { m.begin_restore(meta); }
  {
    to->did(9, meta.index.value, meta.term.value, meta.id);
    inner.begin_restore(meta);
  }
  [[nodiscard]] constexpr bool may_lead() const requires requires(const StateMachine& m) { m.may_lead(); }
  { return to->answer(inner.may_lead() ? 1 : 0) != 0; }
  constexpr void on_promotion(node_id server, promotion_fate what) {
    to->did(11, server.value, what);
    if constexpr (requires { inner.on_promotion(server, what); }) inner.on_promotion(server, what);
  }
  constexpr void on_transfer(node_id target, transfer_fate what) {
    to->did(10, target.value, what);
    if constexpr (requires { inner.on_transfer(target, what); }) inner.on_transfer(target, what);
  }
  [[nodiscard]] constexpr index_t applied_index() const requires requires(const StateMachine& m) { m.applied_index(); }
  { return inner.applied_index(); }
  constexpr void on_role(role_kind role, term_t term, node_id leader) {
    to->did(2, role, term.value, leader.value);
    if constexpr (requires { inner.on_role(role, term, leader); }) inner.on_role(role, term, leader);
  }
  constexpr void on_fate(index_t first, index_t last, term_t term, fate what) {
    to->did(3, first.value, last.value, term.value, what);
    if constexpr (requires { inner.on_fate(first, last, term, what); }) inner.on_fate(first, last, term, what);
  }
  constexpr void on_read(std::uint64_t context, read_fate what, index_t index) {
    to->did(4, context, what, index.value);
    if constexpr (requires { inner.on_read(context, what, index); }) inner.on_read(context, what, index);
  }
  constexpr void on_forwarded(std::uint64_t context, fate what, proposal place, node_id leader) {
    to->did(12, context, what, place.index.value, place.term.value, leader.value);
    if constexpr (hears_of_forwards<StateMachine>) inner.on_forwarded(context, what, place, leader);
  }
  constexpr void on_configuration(const configuration& c, index_t index) {
    to->did(5, c.voters.size(), c.outgoing.size(), c.learners.size(), index.value);
    if constexpr (requires { inner.on_configuration(c, index); }) inner.on_configuration(c, index);
  }
  constexpr void on_restore(const snapshot_meta& meta) {
    to->did(6, meta.index.value, meta.term.value, meta.id);
    if constexpr (requires { inner.on_restore(meta); }) inner.on_restore(meta);
  }
};

}  // namespace detail

}  // namespace raft
