#pragma once

// Proposals on their way to a leader [floor 6]: those that this server sent and whose fate is open, and what it took
// in of others. Plain state; impl/forwarding.hpp moves it.
//
// A proposal is sent once, since sending it again could have it executed twice. Its message has a session, another one
// for each start of the asking server, and a serial, by which the leader takes each in at most once: a message that
// the network doubles, or brings again much later, is no second proposal. A message counts in the term in which it was
// sent and in no other, so what a leader took in is remembered for its term.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <raft/options.hpp>
#include <raft/types.hpp>

namespace raft {

/// The asking server's side.
template <class TimePoint>
class forwarded_proposals {
 public:
  struct open {
    std::uint64_t serial = 0;
    std::uint64_t context = 0;  ///< The caller's.
    std::uint64_t bytes = 0;
    node_id leader{};  ///< Who was asked,
    term_t term{};     ///< in which term.
    index_t index{};   ///< Where it was put; zero while that is not known.
    TimePoint give_up{};
  };

  constexpr void begin_with(std::uint64_t session) noexcept { session_ = session; }
  [[nodiscard]] constexpr std::uint64_t session() const noexcept { return session_; }
  [[nodiscard]] constexpr bool empty() const noexcept { return open_.empty(); }
  [[nodiscard]] constexpr std::uint64_t bytes() const noexcept { return bytes_; }
  /// When some are given up at the earliest.
  [[nodiscard]] constexpr TimePoint wake() const noexcept { return open_.empty() ? never<TimePoint>() : wake_; }

  /// Answers its serial.
  constexpr std::uint64_t add(open o) {
    o.serial = ++last_serial_;
    wake_ = open_.empty() || o.give_up < wake_ ? o.give_up : wake_;
    bytes_ += o.bytes;
    open_.push_back(o);
    changed_ = true;
    return o.serial;
  }
  /// Null if it has ended. Who changes it so that it may end says so by `look_again`. O(log n).
  [[nodiscard]] constexpr open* find(std::uint64_t session, std::uint64_t serial) noexcept {
    if (session != session_) return nullptr;
    const auto at = std::lower_bound(open_.begin(), open_.end(), serial,
                                     [](const open& o, std::uint64_t wanted) { return o.serial < wanted; });
    return at != open_.end() && at->serial == serial ? &*at : nullptr;
  }
  constexpr void look_again() noexcept { changed_ = true; }

  /// Lets go of those of which `ends(open)` says so. O(1) if nothing can have changed: nothing more was applied since
  /// the last call, none was added or changed so, and it is not yet time.
  template <class Ends>
  constexpr void end(index_t applied, TimePoint now, Ends&& ends) {
    if (applied == seen_ && !changed_ && now < wake_) return;
    seen_ = applied;
    changed_ = false;
    wake_ = never<TimePoint>();
    std::size_t kept = 0;
    for (std::size_t i = 0; i < open_.size(); ++i) {
      const open o = open_[i];
      if (ends(o)) {
        bytes_ -= o.bytes;
      } else {
        if (o.give_up < wake_) wake_ = o.give_up;
        open_[kept++] = o;
      }
    }
    open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(kept), open_.end());
  }

  /// Its canonical form (canonical.hpp); `time` writes a moment. What only spares a look (seen_, wake_, changed_) is
  /// no part of it.
  template <class Writer, class Time>
  constexpr void canonical(Writer& w, const Time& time) const {
    const auto& [session, last_serial, sent, bytes, seen, wake, changed] = *this;
    if (w.chance()) w(session);
    w(last_serial, bytes, sent.size());
    for (const auto& [serial, context, size, leader, term, index, give_up] : sent) {
      w(serial, context, size, leader, term, index);
      time(give_up);
    }
  }

 private:
  std::uint64_t session_ = 0;
  std::uint64_t last_serial_ = 0;
  std::vector<open> open_{};  ///< By serial.
  std::uint64_t bytes_ = 0;
  index_t seen_{};    ///< What was applied when they were last looked through.
  TimePoint wake_{};  ///< Not after the earliest give_up.
  bool changed_ = false;
};

/// The leader's side: what was taken in during one term, so that nothing is taken in twice. It outlives the leadership
/// and not the process.
class taken_proposals {
 public:
  [[nodiscard]] constexpr term_t term() const noexcept { return term_; }
  /// A leadership begins: of its term nothing was taken in yet.
  constexpr void begin(term_t term) noexcept {
    term_ = term;
    sessions_.clear();
  }

  /// Whether this was surely not taken in before; it is now. What is older than the last 64 of its session, and what
  /// comes when more sessions were seen than can be remembered, may have been. Each member has room of its own for
  /// most_sessions starts in a term; all strangers together have as much. So one that starts over and over, or makes
  /// sessions up, takes no room of the others, and gets no answers itself until the term ends.
  [[nodiscard]] constexpr bool take(node_id from, bool member, std::uint64_t session, std::uint64_t serial) {
    std::size_t others = 0;
    for (std::size_t i = sessions_.size(); i-- != 0;) {
      seen& s = sessions_[i];
      if (s.from == from && s.session == session) return s.take(serial);
      others += (member ? s.from == from : s.of_stranger) ? 1 : 0;
    }
    if (others >= most_sessions) return false;
    sessions_.push_back({from, !member, session, serial, 1});
    return true;
  }

  /// Its canonical form (canonical.hpp), of a server in this term: what was taken in before is never asked for again.
  template <class Writer>
  constexpr void canonical(Writer& w, term_t present) const {
    const auto& [term, sessions] = *this;
    w(term == present);
    if (term != present) return;
    std::vector<seen> sorted = sessions;
    std::sort(sorted.begin(), sorted.end(), [&w](const seen& a, const seen& b) {
      return std::pair{w.name_of(a.from), a.session} < std::pair{w.name_of(b.from), b.session};
    });
    w(sorted.size());
    for (const auto& [from, stranger, session, highest, mask] : sorted) w(from, stranger, session, highest, mask);
  }

  static constexpr std::size_t most_sessions = 64;

 private:
  struct seen {
    node_id from{};
    bool of_stranger = false;  ///< When it was first seen.
    std::uint64_t session = 0;
    std::uint64_t highest = 0;
    std::uint64_t mask = 0;  ///< Bit k: highest - k was taken in.

    [[nodiscard]] constexpr bool take(std::uint64_t serial) noexcept {
      if (serial > highest) {
        const std::uint64_t by = serial - highest;
        mask = by < 64 ? mask << by | 1 : 1;
        highest = serial;
        return true;
      }
      const std::uint64_t below = highest - serial;
      if (below > 63 || (mask >> below & 1) != 0) return false;
      mask |= std::uint64_t{1} << below;
      return true;
    }
  };

  term_t term_{};
  std::vector<seen> sessions_{};
};

}  // namespace raft
