#pragma once

// Numbers and bytes to and from a snapshot, a piece at a time [battery, above floor 2]: what sessions.hpp writes its
// byte form with, and the adapter between it and a StateMachine's snapshot. Numbers take 8 bytes, little-endian.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include <raft/bytes.hpp>
#include <raft/result.hpp>
#include <raft/types.hpp>

namespace raft {

/// Makes of a `source() -> result<payload>`, whose pieces have any borders (a StateMachine's in `restore`), a reader
/// that fills whole spans: errc::corrupt where the source ends before. What a piece has left over waits for the next
/// call. Views the source, and its latest piece.
template <class Source>
class exact_reader {
 public:
  explicit constexpr exact_reader(Source& source) : source_(source) {}

  constexpr result<void> operator()(std::span<std::byte> to) {
    while (!to.empty()) {
      if (rest_.empty()) {
        auto piece = source_();
        if (!piece) return piece.error();
        if (piece->empty()) return {errc::corrupt, "the snapshot ends too early"};
        rest_ = *piece;
      }
      const std::size_t n = std::min(to.size(), rest_.size());
      detail::copy_bytes(to.data(), rest_.data(), n);
      to = to.subspan(n);
      rest_ = rest_.subspan(n);
    }
    return {};
  }

  /// What was taken from the source and not asked for yet.
  [[nodiscard]] constexpr payload rest() const noexcept { return rest_; }

 private:
  Source& source_;
  payload rest_{};
};

namespace detail {

/// Gathers small things into pieces for a `sink(payload) -> result<void>`; keeps its first error, and does not call it
/// after that.
template <class Sink>
class piece_writer {
 public:
  explicit constexpr piece_writer(Sink& sink) : sink_(sink) {}

  constexpr void numbers(std::initializer_list<std::uint64_t> list) {
    for (const std::uint64_t n : list) {
      gathered_.resize(gathered_.size() + 8, std::byte{});
      store_le<std::uint64_t>(gathered_.data() + gathered_.size() - 8, n);
    }
    if (gathered_.size() >= piece) flush();
  }

  /// What is large goes to the sink as it is.
  constexpr void bytes(payload p) {
    if (p.size() < piece) {
      gathered_.insert(gathered_.end(), p.begin(), p.end());
    } else {
      flush();
      if (outcome_) outcome_ = sink_(p);
    }
  }

  [[nodiscard]] constexpr bool good() const noexcept { return outcome_.has_value(); }

  constexpr result<void> finish() {
    flush();
    return outcome_;
  }

 private:
  static constexpr std::size_t piece = 4096;

  constexpr void flush() {
    if (outcome_ && !gathered_.empty()) outcome_ = sink_(payload(gathered_));
    gathered_.clear();
  }

  Sink& sink_;
  std::vector<std::byte> gathered_{};
  result<void> outcome_{};
};

template <std::size_t N, class Read>
constexpr result<void> read_numbers(Read& read, std::array<std::uint64_t, N>& to) {
  std::array<std::byte, 8 * N> bytes{};
  if (result<void> got = read(std::span<std::byte>(bytes)); !got) return got;
  for (std::size_t i = 0; i < N; ++i) to[i] = load_le<std::uint64_t>(bytes.data() + 8 * i);
  return {};
}

/// Appends the next `size` bytes to `to`, whose memory grows with those that are really there.
template <class Read>
constexpr result<void> read_bytes(Read& read, std::uint64_t size, std::vector<std::byte>& to) {
  constexpr std::uint64_t piece = 64U << 10U;
  while (size > 0) {
    const auto n = static_cast<std::size_t>(std::min(size, piece));
    to.resize(to.size() + n, std::byte{});
    if (result<void> got = read(std::span<std::byte>(to).last(n)); !got) return got;
    size -= n;
  }
  return {};
}

}  // namespace detail

}  // namespace raft
