#pragma once

// The replicated state: the data and the sessions, what an entry of the log does to them, and their form in a snapshot.
//
// A snapshot is: the word "raft-kv", a version; the number of pairs and the pairs; the sessions in their own form
// (raft/sessions.hpp); and the word "end". It is written and read in pieces of bounded size.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <raft/result.hpp>
#include <raft/sessions.hpp>
#include <raft/types.hpp>

#include "bytes.hpp"
#include "command.hpp"
#include "resp.hpp"
#include "store.hpp"

namespace kv {

namespace detail {

/// Gathers what is written into pieces for a sink(payload) -> result<void>; keeps the sink's first error, and does not
/// call it after that.
template <class Sink>
class snapshot_writer {
 public:
  explicit snapshot_writer(Sink& sink) : sink_(sink) { buffer_.reserve(2 * piece); }

  void number(std::uint64_t n) {
    put_number(buffer_, n);
    if (buffer_.size() >= piece) flush();
  }
  void string(std::string_view text) {
    number(text.size());
    for (std::size_t at = 0; at < text.size(); at += piece) {
      buffer_.append(text.substr(at, piece));
      if (buffer_.size() >= piece) flush();
    }
  }
  /// What is in a form of its own already.
  raft::result<void> operator()(raft::payload bytes) {
    buffer_.append(as_text(bytes));
    if (buffer_.size() >= piece) flush();
    return outcome_;
  }
  raft::result<void> finish() {
    flush();
    return outcome_;
  }

 private:
  static constexpr std::size_t piece = std::size_t{64} << 10;

  void flush() {
    if (outcome_ && !buffer_.empty()) outcome_ = sink_(as_payload(buffer_));
    buffer_.clear();
  }

  Sink& sink_;
  std::string buffer_{};
  raft::result<void> outcome_{};
};

/// Reads what snapshot_writer wrote from a source() -> result<payload>. Keeps the first error; what is read after it is
/// empty.
template <class Source>
class snapshot_reader {
 public:
  explicit snapshot_reader(Source& source) : source_(source) {}

  std::uint64_t number() {
    std::string bytes;
    do {
      if (!at_hand() || bytes.size() == 10) return fail();
      bytes.push_back(rest_.front());
      rest_.remove_prefix(1);
    } while (static_cast<unsigned char>(bytes.back()) >= 0x80);
    std::string_view view = bytes;
    std::uint64_t n = 0;
    return take_number(view, n) ? n : fail();
  }

  /// Memory grows with the bytes that are really there, not with the length that is claimed.
  std::string string() {
    std::string text;
    for (std::uint64_t left = number(); left > 0;) {
      if (!at_hand()) {
        fail();
        break;
      }
      const std::string_view part =
          rest_.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left, rest_.size())));
      text.append(part);
      rest_.remove_prefix(part.size());
      left -= part.size();
    }
    return text;
  }

  /// Fills the span with what is in a form of its own.
  raft::result<void> operator()(std::span<std::byte> to) {
    while (!to.empty() && at_hand()) {
      const std::size_t n = std::min(to.size(), rest_.size());
      std::ranges::copy(as_payload(rest_.substr(0, n)), to.begin());
      rest_.remove_prefix(n);
      to = to.subspan(n);
    }
    if (!to.empty()) fail();
    return outcome_;
  }

  std::uint64_t fail() {
    if (outcome_) outcome_ = raft::error{raft::errc::corrupt, {}, 0, "the snapshot is not in the form of raft-kv"};
    rest_ = {};
    return 0;
  }

  [[nodiscard]] bool at_end() {
    const bool more = at_hand();
    return !more && good();
  }
  [[nodiscard]] bool good() const noexcept { return outcome_.has_value(); }
  [[nodiscard]] raft::result<void> outcome() const { return outcome_; }

 private:
  /// Whether there is a byte to read.
  bool at_hand() {
    if (!rest_.empty() || ended_ || !outcome_) return !rest_.empty();
    const auto more = source_();
    if (!more) {
      outcome_ = more.error();
    } else {
      rest_ = as_text(*more);
    }
    ended_ = rest_.empty();
    return !ended_;
  }

  Source& source_;
  std::string_view rest_{};
  bool ended_ = false;
  raft::result<void> outcome_{};
};

}  // namespace detail

class state {
 public:
  /// A rule of the replicated state: every server of a cluster has the same.
  static constexpr raft::session_limits session_limits{.sessions = 10'000, .window = 64, .bytes = 64 << 20};

  /// Does what an entry of the log says, and appends the reply for the client to `out`.
  void apply(std::string_view entry, std::string& out) {
    command c;
    if (!decode(entry, words_, c)) return resp::write_error(out, "ERR malformed command");
    if (c.verb == verb::session_open) return resp::write_integer(out, static_cast<std::int64_t>(sessions_.open()));
    if (!c.in_session) return store_.execute(c, out);
    apply_once(c, out);
  }

  /// Answers a command that only reads. `entry` is in the form of `encode`.
  void read(std::string_view entry, std::string& out) {
    command c;
    if (!decode(entry, words_, c)) return resp::write_error(out, "ERR malformed command");
    store_.execute(c, out);
  }

  [[nodiscard]] std::size_t keys() const noexcept { return store_.size(); }
  [[nodiscard]] std::size_t session_count() const noexcept { return sessions_.size(); }

  /// Writes everything by calls of sink(payload) -> result<void>; stops with the sink's error. O(state).
  template <class Sink>
  raft::result<void> write_snapshot(Sink& sink) const {
    detail::snapshot_writer<Sink> to{sink};
    to.string(mark);
    to.number(version);
    to.number(store_.size());
    store_.for_each([&to](std::string_view key, std::string_view value) {
      to.string(key);
      to.string(value);
    });
    if (auto written = sessions_.write(to); !written) return written;
    to.string(end_mark);
    return to.finish();
  }

  /// Replaces everything by what source() -> result<payload> gives, piece by piece, an empty one at the end. On an
  /// error nothing changes.
  template <class Source>
  raft::result<void> restore(Source& source) {
    detail::snapshot_reader<Source> from{source};
    if (from.string() != mark || from.number() != version) from.fail();
    store data;
    raft::sessions known;
    for (std::uint64_t left = from.number(); left > 0 && from.good(); --left) {
      std::string key = from.string();
      data.put(std::move(key), from.string());
    }
    if (!from.good()) return from.outcome();
    if (auto restored = known.restore(from); !restored) return restored;
    if (from.string() != end_mark || !from.at_end()) from.fail();
    if (!from.good()) return from.outcome();
    store_ = std::move(data);
    sessions_ = std::move(known);
    return {};
  }

 private:
  static constexpr std::string_view mark = "raft-kv";
  static constexpr std::string_view end_mark = "end";
  static constexpr std::uint64_t version = 2;

  void apply_once(const command& c, std::string& out) {
    const auto reply = sessions_.once(c.session, c.serial, [&] {
      const std::size_t from = out.size();
      store_.execute(c, out);
      return as_payload(std::string_view{out}.substr(from));
    });
    switch (reply.what) {
      case raft::session_outcome::unknown:
      case raft::session_outcome::expired:
        return resp::write_error(out,
                                 "NOSESSION no such session: never opened, or forgotten as the least recently used");
      case raft::session_outcome::too_old:
        return resp::write_error(out, "STALE the answer to this serial is not kept any more");
      case raft::session_outcome::answered:
        out.append(as_text(reply.answer));
        return;
      case raft::session_outcome::fresh:
        return;
    }
  }

  store store_{};
  raft::sessions sessions_{session_limits};
  std::vector<std::string_view> words_{};
};

}  // namespace kv
