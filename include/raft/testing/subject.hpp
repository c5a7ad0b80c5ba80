#pragma once

// A user's own state machine in the simulator: `subject` hides its type, so that the simulator is compiled once and not
// for each machine; `replay` is what each replica of it is compared with.
//
// What is asked of a machine is what the engine asks (policies.hpp: apply, write_snapshot, restore, and any hooks that
// it has). Besides, it may offer
//
//   std::uint64_t digest() const     equal for equal states; else the bytes of its snapshot are compared, which must
//                                    be the same for the same state then (no pointers, no order of a hash table)
//   index_t applied_index() const    that it keeps its state over a crash; it has to be copyable then
//
// and has to be a function of the commands applied: no clock, no chance, no address.

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <raft/bytes.hpp>
#include <raft/entry.hpp>
#include <raft/outcome.hpp>
#include <raft/policies.hpp>
#include <raft/role.hpp>
#include <raft/storage.hpp>

#include <raft/testing/hash.hpp>
#include <raft/testing/rng.hpp>

namespace raft::testing {

/// A state machine under test.
class subject {
 public:
  subject() = default;
  subject(const subject&) = delete;
  subject& operator=(const subject&) = delete;
  virtual ~subject() = default;

  virtual void apply(const entry& e) = 0;
  /// Appends the snapshot's bytes to `image`.
  virtual result<void> write_snapshot(std::vector<std::byte>& image) = 0;
  /// Reads them, in pieces of `piece` bytes.
  virtual result<void> restore(payload image, std::size_t piece) = 0;
  /// Of its state.
  virtual std::uint64_t digest() = 0;
  /// What the user finds wrong with its state; empty if nothing.
  [[nodiscard]] virtual std::string complaint() const = 0;
  /// Null if it cannot be copied.
  [[nodiscard]] virtual std::unique_ptr<subject> copy() const = 0;
  /// Of one that keeps its state over a crash.
  [[nodiscard]] virtual index_t applied_index() const = 0;

  // ---- its hooks, if it has them

  virtual void on_restore(const snapshot_meta& meta) = 0;
  virtual void on_role(role_kind role, term_t term, node_id leader) = 0;
  virtual void on_fate(index_t first, index_t last, term_t term, fate what) = 0;
  virtual void on_read(std::uint64_t context, read_fate what, index_t index) = 0;
  virtual void on_configuration(const configuration& c, index_t index) = 0;
};

/// What the simulator has to know of a user's machine.
struct subject_kit {
  std::function<std::unique_ptr<subject>()> make{};       ///< A fresh one.
  std::function<std::vector<std::byte>(rng&)> command{};  ///< Draws one; none: bytes at random, of every length.
  std::function<std::string(payload)> describe{};         ///< A command in words, for the story; none: its length.
  std::size_t largest_command = 0;                        ///< What `command` makes has at most so many bytes.
  bool has_digest = false;                                ///< Its snapshots may differ in bytes.
  bool durable = false;                                   ///< It keeps its state over a crash.
};

namespace detail {

template <class M>
class subject_of final : public subject {
 public:
  using check_type = std::function<std::string(const M&)>;

  static constexpr bool has_digest = requires(const M& m) {
    { m.digest() } -> std::convertible_to<std::uint64_t>;
  };
  static constexpr bool is_durable = requires(const M& m) {
    { m.applied_index() } -> std::same_as<index_t>;
  };

  subject_of(const std::function<M()>& make, const check_type& check) : machine_(make()), check_(&check) {}
  subject_of(const M& other, const check_type* check) : machine_(other), check_(check) {}

  void apply(const entry& e) override { machine_.apply(e); }
  result<void> write_snapshot(std::vector<std::byte>& image) override {
    auto sink = [&image](payload bytes) -> result<void> {
      image.insert(image.end(), bytes.begin(), bytes.end());
      return {};
    };
    return machine_.write_snapshot(sink);
  }
  result<void> restore(payload image, std::size_t piece) override {
    auto source = [&image, piece]() -> result<payload> {
      const payload next = image.first(std::min(piece, image.size()));
      image = image.subspan(next.size());
      return next;
    };
    return machine_.restore(source);
  }
  std::uint64_t digest() override {
    if constexpr (has_digest) {
      return machine_.digest();
    } else {
      bytes_.clear();
      (void)write_snapshot(bytes_);
      return hash_bytes(bytes_);
    }
  }
  [[nodiscard]] std::string complaint() const override { return *check_ ? (*check_)(machine_) : std::string{}; }
  [[nodiscard]] std::unique_ptr<subject> copy() const override {
    if constexpr (std::copy_constructible<M>) return std::make_unique<subject_of>(machine_, check_);
    return nullptr;
  }
  [[nodiscard]] index_t applied_index() const override {
    if constexpr (is_durable) return machine_.applied_index();
    return index_t{};
  }

  void on_restore(const snapshot_meta& meta) override {
    if constexpr (requires { machine_.on_restore(meta); }) machine_.on_restore(meta);
  }
  void on_role(role_kind role, term_t term, node_id leader) override {
    if constexpr (requires { machine_.on_role(role, term, leader); }) machine_.on_role(role, term, leader);
  }
  void on_fate(index_t first, index_t last, term_t term, fate what) override {
    if constexpr (requires { machine_.on_fate(first, last, term, what); }) machine_.on_fate(first, last, term, what);
  }
  void on_read(std::uint64_t context, read_fate what, index_t index) override {
    if constexpr (requires { machine_.on_read(context, what, index); }) machine_.on_read(context, what, index);
  }
  void on_configuration(const configuration& c, index_t index) override {
    if constexpr (requires { machine_.on_configuration(c, index); }) machine_.on_configuration(c, index);
  }

 private:
  M machine_;
  const check_type* check_;
  std::vector<std::byte> bytes_{};
};

}  // namespace detail

/// A machine that executes every committed command once, in order, and never crashes nor sees a snapshot: what a
/// replica must be equal to, whatever it went through.
class replay {
 public:
  explicit replay(const subject_kit& kit) : machine_(kit.make()), digests_{machine_->digest()} {}

  /// Some replica is given this command; all before it were seen.
  void see(const entry& e) {
    if (e.index.value < digests_.size()) return;
    machine_->apply(e);
    digests_.resize(e.index.value, digests_.back());
    digests_.push_back(machine_->digest());
  }
  /// Of the state after all commands up to i. Precondition: one of them was seen, or i is zero.
  [[nodiscard]] std::uint64_t digest_at(index_t i) const noexcept {
    return digests_[std::min<std::size_t>(i.value, digests_.size() - 1)];
  }

 private:
  std::unique_ptr<subject> machine_;
  std::vector<std::uint64_t> digests_;  ///< By index.
};

}  // namespace raft::testing
