#pragma once

// A simulated state machine: sixteen registers, and a hash over every command that it executed, in order. Two machines
// with equal hashes executed the same commands; the hash is what the checkers compare.
//
// A user's own machine (subject.hpp) may stand in it: then it is handed the same commands, snapshots and restores, and
// is compared at every command with one that went through nothing.
//
// Three kinds, so that each optional part of the StateMachine policy is used: one that executes in `apply`; one that
// applies and restores elsewhere (commands are held, and a snapshot waits, until the simulation lets them in); one that
// is durable itself (it keeps its state over a crash, perhaps that of some moments ago).

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <raft/bytes.hpp>
#include <raft/node.hpp>
#include <raft/policies.hpp>

#include <raft/testing/hash.hpp>
#include <raft/testing/rng.hpp>
#include <raft/testing/session_clients.hpp>
#include <raft/testing/subject.hpp>

namespace raft::testing {

/// How a simulated state machine executes.
enum class machine_kind : std::uint8_t { in_place, elsewhere, durable };

/// Who watches a state machine, and hears what the node tells it.
class machine_watcher {
 public:
  /// An entry was handed over; `hash` is that of the entry.
  virtual void handed_over(index_t index, term_t term, std::uint64_t hash) = 0;
  /// It was executed, and the machine's hash is `state` now.
  virtual void executed(index_t index, std::uint64_t state) = 0;
  virtual void session_executed(index_t index, const session_result& result) = 0;
  virtual void restored(const snapshot_meta& meta, index_t last_command, std::uint64_t state) = 0;
  virtual void fate_told(index_t first, index_t last, term_t term, fate what) = 0;
  virtual void read_told(std::uint64_t context, read_fate what, index_t index) = 0;
  virtual void forwarded_told(std::uint64_t context, fate what, proposal place) = 0;
  virtual void role_told(role_kind role, term_t term, node_id leader) = 0;
  virtual void configuration_told(const configuration& c, index_t index) = 0;
  virtual void transfer_told(node_id target, transfer_fate what) = 0;
  /// Of the user's machine in it: which invariant is broken, and how.
  virtual void found_wrong(const char* invariant, const char* what) = 0;

 protected:
  ~machine_watcher() = default;
};

/// What a machine's commands amount to.
struct machine_state {
  static constexpr std::size_t registers_count = 16;
  /// Bytes of its image before the filler.
  static constexpr std::size_t image_bytes = 8 * (registers_count + 2);

  index_t last_command{};
  std::uint64_t hash = 0;
  std::array<std::uint64_t, registers_count> registers{};
  friend bool operator==(const machine_state&, const machine_state&) = default;

  /// The hash after a command with this entry hash at this index.
  [[nodiscard]] static constexpr std::uint64_t next_hash(std::uint64_t state, index_t index,
                                                         std::uint64_t entry_hash) noexcept {
    return combine(combine(state, index.value), entry_hash);
  }
};

/// A user's machine for a simulated server; pointers are null where there is none.
struct machine_content {
  const subject_kit* kit = nullptr;
  replay* reference = nullptr;
  std::size_t piece = 0;  ///< Snapshots are restored in pieces of so many bytes.
};

class machine {
 public:
  /// `filler`: bytes by which its image is larger than its state. `watcher` must outlive it, and what `content` names.
  machine(machine_kind kind, std::size_t filler, const session_limits& limits, const machine_content& content,
          machine_watcher& watcher, rng chance)
      : kind_(kind), filler_(filler), limits_(limits), content_(content), watcher_(&watcher), chance_(chance) {
    if (content_.kit == nullptr) return;
    own_ = content_.kit->make();
    if (kind_ == machine_kind::durable) store();
  }

  [[nodiscard]] machine_kind kind() const noexcept { return kind_; }
  [[nodiscard]] const machine_state& state() const noexcept { return state_; }
  /// How many commands it holds and has not executed.
  [[nodiscard]] std::size_t held() const noexcept { return held_.size(); }
  /// The user's machine in it; null if there is none.
  [[nodiscard]] subject* own() const noexcept { return own_.get(); }

  // ---- the simulation's side

  /// Executes up to `count` of the commands held; answers the last one's index, zero if none was held.
  index_t release(std::size_t count) {
    index_t last{};
    const std::size_t n = std::min(count, held_.size());
    for (std::size_t i = 0; i < n; ++i) {
      execute(held_[i]);
      last = held_[i].index;
    }
    held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(n));
    return last;
  }

  /// The snapshot from which it is to be filled elsewhere; zero: none.
  [[nodiscard]] index_t to_restore() const noexcept { return to_restore_; }
  void begin_restore(const snapshot_meta& meta) noexcept { to_restore_ = meta.index; }

  /// What a crash leaves: nothing, or of a durable machine the state of this or an earlier moment.
  void crash() {
    held_.clear();
    to_restore_ = {};
    if (kind_ == machine_kind::durable) {
      if (chance_.permille(500)) {
        state_ = stored_;
        sessions_ = stored_sessions_;
        if (own_ != nullptr) own_ = stored_own_->copy();
      }
      store();
    } else {
      state_ = {};
      sessions_ = sessions{limits_};
      if (own_ != nullptr) own_ = content_.kit->make();
    }
  }

  // ---- the StateMachine's side

  void apply(const entry& e) {
    const std::uint64_t hash = hash_entry(e);
    std::uint64_t key = 0;
    std::uint64_t value = hash;
    if (e.data.size() >= 8) key = raft::detail::load_le<std::uint64_t>(e.data.data()) % machine_state::registers_count;
    watcher_->handed_over(e.index, e.term, hash);
    held_command c{e.index, hash, key, value, std::nullopt, e.term, {}};
    if (own_ != nullptr) {
      content_.reference->see(e);
      c.data.assign(e.data.begin(), e.data.end());
    } else {
      c.in_session = session_command::read(e.data);
    }
    if (kind_ == machine_kind::elsewhere) {
      held_.push_back(std::move(c));
    } else {
      execute(c);
    }
  }

  template <class Sink>
  result<void> write_snapshot(Sink& sink) const {
    std::array<std::byte, machine_state::image_bytes> head{};
    raft::detail::store_le<std::uint64_t>(head.data(), state_.last_command.value);
    raft::detail::store_le<std::uint64_t>(head.data() + 8, state_.hash);
    for (std::size_t i = 0; i < machine_state::registers_count; ++i) {
      raft::detail::store_le<std::uint64_t>(head.data() + 16 + 8 * i, state_.registers[i]);
    }
    if (auto written = sink(payload{head}); !written) return written;
    if (own_ != nullptr) {
      std::vector<std::byte> image;
      if (auto written = own_->write_snapshot(image); !written) return written;
      return sink(payload{image});
    }
    std::vector<std::byte> filler(filler_);
    for (std::size_t i = 0; i < filler_; ++i) filler[i] = filler_byte(i);
    if (auto written = sink(payload{filler}); !written) return written;
    return sessions_.write(sink);
  }

  template <class Source>
  result<void> restore(Source& source) {
    std::vector<std::byte> image;
    for (;;) {
      auto piece = source();
      if (!piece) return piece.error();
      if (piece->empty()) break;
      image.insert(image.end(), piece->begin(), piece->end());
    }
    if (own_ != nullptr) return restore_own(image);
    if (image.size() < machine_state::image_bytes + filler_) return {errc::corrupt, "an image of another size"};
    auto rest = [left = payload{image}.subspan(machine_state::image_bytes + filler_)]() mutable {
      return result<payload>{std::exchange(left, {})};
    };
    exact_reader reader{rest};
    if (auto restored = sessions_.restore(reader); !restored) return restored;
    if (!reader.rest().empty()) return {errc::corrupt, "an image with bytes behind its end"};
    restore_head(image);
    for (std::size_t i = 0; i < filler_; ++i) {
      if (image[machine_state::image_bytes + i] != filler_byte(i)) return {errc::corrupt, "an image with other bytes"};
    }
    return {};
  }

  void on_restore(const snapshot_meta& meta) {
    if (own_ != nullptr) own_->on_restore(meta);
    if (chance_.permille(500)) store();
    watcher_->restored(meta, state_.last_command, state_.hash);
  }

  /// Of a durable machine: what it has executed.
  [[nodiscard]] index_t applied_index() const noexcept {
    return own_ != nullptr ? own_->applied_index() : state_.last_command;
  }

  [[nodiscard]] machine_watcher& watcher() const noexcept { return *watcher_; }

 private:
  struct held_command {
    index_t index{};
    std::uint64_t hash = 0;
    std::uint64_t key = 0;
    std::uint64_t value = 0;
    std::optional<session_command> in_session{};
    term_t term{};
    std::vector<std::byte> data{};  ///< For the user's machine.
  };

  void store() {
    stored_ = state_;
    stored_sessions_ = sessions_;
    if (own_ != nullptr && kind_ == machine_kind::durable) stored_own_ = own_->copy();
  }

  void restore_head(payload image) {
    held_.clear();
    to_restore_ = {};
    state_.last_command = index_t{raft::detail::load_le<std::uint64_t>(image.data())};
    state_.hash = raft::detail::load_le<std::uint64_t>(image.data() + 8);
    for (std::size_t i = 0; i < machine_state::registers_count; ++i) {
      state_.registers[i] = raft::detail::load_le<std::uint64_t>(image.data() + 16 + 8 * i);
    }
  }

  result<void> restore_own(payload image) {
    if (image.size() < machine_state::image_bytes) return {errc::corrupt, "an image of another size"};
    auto done = own_->restore(image.subspan(machine_state::image_bytes), std::max<std::size_t>(1, content_.piece));
    if (!done) {
      watcher_->found_wrong("I19", "its machine does not restore what another one wrote");
      return done;
    }
    restore_head(image);
    compare("restored a snapshot");
    return {};
  }

  /// [I29] Its state is that of a machine that executed the same commands and went through nothing else.
  void compare(const char* after) {
    if (own_->digest() != content_.reference->digest_at(state_.last_command)) {
      char text[160];
      std::snprintf(text, sizeof text,
                    "its machine has another state after it %s up to %" PRIu64
                    " than a fresh one that executed all commands up to there",
                    after, state_.last_command.value);
      watcher_->found_wrong("I29", text);
    }
    if (const std::string wrong = own_->complaint(); !wrong.empty()) watcher_->found_wrong("check", wrong.c_str());
  }

  [[nodiscard]] std::byte filler_byte(std::size_t i) const noexcept {
    return static_cast<std::byte>((state_.hash >> (i % 8 * 8) ^ i) & 0xff);
  }

  void execute(const held_command& c) {
    state_.last_command = c.index;
    state_.hash = machine_state::next_hash(state_.hash, c.index, c.hash);
    state_.registers[c.key] = c.value;
    if (own_ != nullptr) own_->apply({c.index, c.term, entry_kind::command, payload{c.data}});
    if (c.in_session) execute_once(c.index, *c.in_session);
    if (kind_ == machine_kind::durable && chance_.permille(100)) store();
    watcher_->executed(c.index, state_.hash);
    if (own_ != nullptr) compare("executed commands");
  }

  /// The log's time is its index.
  void execute_once(index_t index, const session_command& c) {
    session_result r{c, session_outcome::fresh, 0};
    sessions_.advance(index.value);
    if (c.session == 0) {
      r.answer = sessions_.open();
    } else {
      std::array<std::byte, 8> answer{};
      raft::detail::store_le<std::uint64_t>(answer.data(), index.value);
      const auto reply = sessions_.once(c.session, c.serial, [&answer] { return payload{answer}; });
      r.what = reply.what;
      if (!reply.answer.empty()) r.answer = raft::detail::load_le<std::uint64_t>(reply.answer.data());
    }
    watcher_->session_executed(index, r);
  }

  machine_kind kind_;
  std::size_t filler_;
  session_limits limits_;
  machine_content content_;
  machine_watcher* watcher_;
  rng chance_;
  machine_state state_{};
  sessions sessions_{limits_};
  sessions stored_sessions_{limits_};
  machine_state stored_{};  ///< durable, as stored_sessions_: the oldest state that a crash may bring back.
  std::unique_ptr<subject> own_{};
  std::unique_ptr<subject> stored_own_{};
  std::vector<held_command> held_{};
  index_t to_restore_{};
};

/// The StateMachine of a simulated server: a handle to its machine, which must outlive it.
template <machine_kind Kind>
class sim_machine {
 public:
  static constexpr bool applies_elsewhere = Kind == machine_kind::elsewhere;
  static constexpr bool restores_elsewhere = Kind == machine_kind::elsewhere;

  explicit sim_machine(machine& m) noexcept : machine_(&m) {}

  void apply(const entry& e) { machine_->apply(e); }
  template <class Sink>
  result<void> write_snapshot(Sink&& sink) {
    return machine_->write_snapshot(sink);
  }
  template <class Source>
  result<void> restore(Source&& source) {
    return machine_->restore(source);
  }
  void begin_restore(const snapshot_meta& meta) { machine_->begin_restore(meta); }
  [[nodiscard]] index_t applied_index() const noexcept requires(Kind == machine_kind::durable) {
    return machine_->applied_index();
  }

  void on_restore(const snapshot_meta& meta) { machine_->on_restore(meta); }
  void on_role(role_kind role, term_t term, node_id leader) {
    if (subject* own = machine_->own()) own->on_role(role, term, leader);
    machine_->watcher().role_told(role, term, leader);
  }
  void on_fate(index_t first, index_t last, term_t term, fate what) {
    if (subject* own = machine_->own()) own->on_fate(first, last, term, what);
    machine_->watcher().fate_told(first, last, term, what);
  }
  void on_read(std::uint64_t context, read_fate what, index_t index) {
    if (subject* own = machine_->own()) own->on_read(context, what, index);
    machine_->watcher().read_told(context, what, index);
  }
  void on_transfer(node_id target, transfer_fate what) { machine_->watcher().transfer_told(target, what); }
  /// A machine that executes elsewhere had better not lead while it has much to do.
  [[nodiscard]] bool may_lead() const noexcept requires(Kind == machine_kind::elsewhere) {
    return machine_->held() < 8;
  }
  void on_forwarded(std::uint64_t context, fate what, proposal place, node_id) {
    machine_->watcher().forwarded_told(context, what, place);
  }
  void on_configuration(const configuration& c, index_t index) {
    if (subject* own = machine_->own()) own->on_configuration(c, index);
    machine_->watcher().configuration_told(c, index);
  }

 private:
  machine* machine_;
};

static_assert(state_machine_policy<sim_machine<machine_kind::in_place>>);
static_assert(state_machine_policy<sim_machine<machine_kind::elsewhere>>);
static_assert(state_machine_policy<sim_machine<machine_kind::durable>>);

}  // namespace raft::testing
