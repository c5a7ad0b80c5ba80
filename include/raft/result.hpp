#pragma once

// Errors are values [floor 2]: `result<T>` holds a T or an `error`, and is shaped like C++23's std::expected, which no
// compiler of ours has in C++20. Nothing in the engine throws. What makes an error is `cold`: compilers then lay the
// way of every refusal aside, and the other one is straight.

#include <cstdint>
#include <optional>
#include <utility>

#include <raft/assert.hpp>
#include <raft/types.hpp>

namespace raft {

/// Why something was refused or failed. The comment says what the one who asked may conclude.
enum class errc : std::uint8_t {
  // A request to the node; refused at once, nothing was appended, safe to ask again elsewhere.
  not_leader = 1,  ///< `error.leader` names the leader if one is known.
  busy,            ///< A limit of `options` is reached (the text names it); try again after a commit.
  too_large,       ///< The payload is larger than `options.max_entry_bytes`.
  not_ready,       ///< It needs something that is under way (a commit in this term, a snapshot); try again.
  transferring,    ///< Leadership is being handed to `error.leader`; ask there, or here when the transfer has ended.
  ineligible,      ///< The server that was named cannot do it; the text says why.
  failed,          ///< A write of this node failed before; it takes part in nothing any more.
  too_stale,       ///< More stale than was allowed; `error.detail` tells how stale, all ones if that is not known.
  term_moved,      ///< It was meant for another term than the present one, which `error.detail` tells.
  // Values given by the program.
  invalid_options,        ///< The text names the relation that does not hold.
  invalid_configuration,  ///< The text says what is wrong with it.
  inconsistent_state,     ///< The stored state contradicts itself; the text says how.
  // Messages and bytes from outside; refused, nothing changed.
  malformed,            ///< The bytes or the fields cannot be a message.
  checksum,             ///< The bytes are damaged.
  unsupported_version,  ///< A version of the format that this build does not read.
  foreign_cluster,      ///< The message belongs to another cluster.
  misaddressed,         ///< The message is for another node, or says that it comes from this one.
  unknown_peer,         ///< A message that only a member may send, from somebody who is none.
  impossible,  ///< No correct peer sends this (it contradicts what is committed, or a second leader of a term).
  incomplete,  ///< More bytes are needed; `error.detail` says how many at least, if known.
  // A Log's answers.
  compacted,    ///< The entries asked for are gone; a snapshot covers them.
  not_at_hand,  ///< The entries asked for are in cold storage and will be reported when they are there.
  io,           ///< The operating system refused a read or write; `error.detail` is its number (errno).
  no_space,     ///< The disk is full.
  corrupt,      ///< Stored bytes are damaged; `error.detail` is the offset.
};

/// What went wrong: a code to act on, a sentence to print, and the two facts that some codes carry.
struct error {
  errc code{};
  node_id leader{};        ///< not_leader: who leads, as far as known; transferring: who is to lead; else nobody.
  std::uint64_t detail{};  ///< A number whose meaning the code gives (offset, errno, missing bytes).
  const char* what = "";   ///< A sentence in static storage; never null.

  friend constexpr bool operator==(const error& a, const error& b) noexcept {
    return a.code == b.code && a.leader == b.leader && a.detail == b.detail;
  }
};

namespace detail {

/// Room for an error, which is written only where there is one: success costs nothing.
union maybe_error {
  constexpr maybe_error() noexcept : none{} {}
  explicit constexpr maybe_error(const error& e) noexcept : why(e) {}
  char none;
  error why;
};

}  // namespace detail

/// A T, or the reason why there is none. Distinct objects are safe to use from distinct threads.
template <class T>
class [[nodiscard]] result {
 public:
  using value_type = T;
  using error_type = raft::error;

  constexpr result(T value) : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor)
  /// A T made of `arguments` where it will stay: for one that is dear to move.
  template <class... Arguments>
  explicit constexpr result(std::in_place_t, Arguments&&... arguments)
      : value_(std::in_place, std::forward<Arguments>(arguments)...) {}
  [[gnu::cold]] constexpr result(raft::error why) noexcept : failure_(why) {}  // NOLINT(google-explicit-constructor)
  [[gnu::cold]] constexpr result(errc code, const char* what) noexcept : failure_(raft::error{code, {}, 0, what}) {}

  [[nodiscard]] constexpr bool has_value() const noexcept { return value_.has_value(); }
  explicit constexpr operator bool() const noexcept { return has_value(); }

  /// Precondition: has_value().
  constexpr T& value() & noexcept { return *checked(); }
  constexpr const T& value() const& noexcept { return *const_cast<result*>(this)->checked(); }
  constexpr T&& value() && noexcept { return std::move(*checked()); }
  constexpr T& operator*() & noexcept { return value(); }
  constexpr const T& operator*() const& noexcept { return value(); }
  constexpr T&& operator*() && noexcept { return std::move(*this).value(); }
  constexpr T* operator->() noexcept { return &value(); }
  constexpr const T* operator->() const noexcept { return &value(); }

  /// Precondition: !has_value().
  [[nodiscard]] constexpr const raft::error& error() const noexcept {
    RAFT_ASSERT(!has_value(), "error() is asked only of a result without a value");
    return failure_.why;
  }

 private:
  constexpr std::optional<T>& checked() noexcept {
    RAFT_ASSERT(has_value(), "value() is asked only of a result that has one");
    return value_;
  }

  std::optional<T> value_{};
  detail::maybe_error failure_{};
};

/// Done, or the reason why not.
template <>
class [[nodiscard]] result<void> {
 public:
  using value_type = void;
  using error_type = raft::error;

  constexpr result() noexcept : has_value_(true) {}
  [[gnu::cold]] constexpr result(raft::error why) noexcept : failure_(why) {}  // NOLINT(google-explicit-constructor)
  [[gnu::cold]] constexpr result(errc code, const char* what) noexcept : failure_(raft::error{code, {}, 0, what}) {}

  [[nodiscard]] constexpr bool has_value() const noexcept { return has_value_; }
  explicit constexpr operator bool() const noexcept { return has_value_; }

  /// Precondition: !has_value().
  [[nodiscard]] constexpr const raft::error& error() const noexcept {
    RAFT_ASSERT(!has_value_, "error() is asked only of a result that failed");
    return failure_.why;
  }

 private:
  detail::maybe_error failure_{};
  bool has_value_ = false;
};

namespace detail {

/// A result<void> for the way through the engine, where a refusal is a code and a sentence and success is the rule: it
/// travels in two registers. 16 bytes.
class [[nodiscard]] verdict {
 public:
  /// Nothing speaks against it.
  constexpr verdict() noexcept = default;
  [[gnu::cold]] constexpr verdict(errc code, const char* what) noexcept : code_(code), what_(what) {}
  [[gnu::cold]] constexpr verdict(const raft::error& why) noexcept
      : code_(why.code), what_(why.what) {}  // NOLINT(google-explicit-constructor)

  explicit constexpr operator bool() const noexcept { return code_ == errc{}; }
  /// Precondition: it is a refusal.
  [[nodiscard]] constexpr raft::error error() const noexcept { return {code_, {}, 0, what_}; }

 private:
  errc code_{};
  const char* what_ = "";
};

}  // namespace detail

}  // namespace raft
