#pragma once

// Reads that a server has another one confirm [floor 6] [thesis 6.4]: what it asks the leader, for whom, and what it
// knows from the answers. Plain state; impl/remote_read.hpp moves it.
//
//     gathered --- a request leaves ---> asked --- the leader's answer, an index ---> ended --- applied here ---> told
//
// One request is under way at a time; what is asked meanwhile shares the next one. It is repeated, each time with a new
// ticket, until it is answered or too old. Any of its tickets will do: all were sent after the last of `asked` was
// asked. No ticket is used twice, by no incarnation of a server, so an answer to an old question answers nothing.
//
// The same answers bound how stale this server is: at the moment of asking no more was committed than the index that
// the leader names, so a server that has applied it shows all that was committed then. A message's age plays no part:
// both moments are this server's own.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <raft/options.hpp>
#include <raft/types.hpp>

namespace raft {

template <class TimePoint>
class remote_reads {
 public:
  /// The first ticket of this incarnation.
  constexpr void begin_with(std::uint64_t ticket) noexcept { last_ticket_ = ticket; }

  [[nodiscard]] constexpr std::size_t size() const noexcept { return gathered_.size() + asked_.size() + ended_.size(); }
  [[nodiscard]] constexpr bool under_way() const noexcept { return under_way_; }
  [[nodiscard]] constexpr bool wants_to_ask() const noexcept { return !under_way_ && !gathered_.empty(); }
  /// Whether some read only waits to be told.
  [[nodiscard]] constexpr bool has_ended() const noexcept { return !ended_.empty(); }

  constexpr void gather(std::uint64_t context, TimePoint give_up) {
    if (gathered_.empty()) gathered_give_up_ = give_up;
    gathered_.push_back(context);
  }

  /// A request leaves, for all that gathered (or for nobody, to know how stale this server is). Answers its ticket.
  constexpr std::uint64_t begin(TimePoint now, TimePoint repeat, TimePoint give_up) noexcept {
    give_up_ = gathered_.empty() ? give_up : gathered_give_up_;
    asked_.swap(gathered_);
    under_way_ = true;
    asked_at_ = now;
    repeat_ = repeat;
    first_ticket_ = ++last_ticket_;
    return last_ticket_;
  }
  [[nodiscard]] constexpr bool is_to_be_repeated(TimePoint now) const noexcept { return under_way_ && now >= repeat_; }
  constexpr std::uint64_t repeat(TimePoint next) noexcept {
    repeat_ = next;
    return ++last_ticket_;
  }

  /// Whether this ticket is one of the request under way.
  [[nodiscard]] constexpr bool answers(std::uint64_t ticket) const noexcept {
    return under_way_ && ticket - first_ticket_ <= last_ticket_ - first_ticket_;
  }
  /// The leader led after the request left, and all that was committed by then is at or before `index`.
  constexpr void take(index_t index) {
    if (!newer_known_) {
      newer_known_ = true;
      newer_at_ = asked_at_;
      newer_ = index;
    }
    for (const std::uint64_t context : asked_) ended_.push_back({context, index, give_up_});
    asked_.clear();
    under_way_ = false;
  }
  /// Nobody answers the request under way: its reads end as dropped.
  constexpr void give_up_asked() {
    for (const std::uint64_t context : asked_) drop(context);
    asked_.clear();
    under_way_ = false;
  }

  constexpr void drop(std::uint64_t context) { ended_.push_back({context, {}, {}}); }
  constexpr void drop_all() {
    give_up_asked();
    for (const std::uint64_t context : gathered_) drop(context);
    gathered_.clear();
    for (ended& read : ended_) read.index = {};
  }
  /// What waited too long is dropped.
  constexpr void expire(TimePoint now) {
    if (under_way_ && now >= give_up_) give_up_asked();
    for (ended& read : ended_) {
      if (now >= read.give_up) read.index = {};
    }
  }

  /// Calls f(context, index) for each read that ends now: index zero says that it was dropped.
  template <class F>
  constexpr void tell(index_t applied, F&& f) {
    std::size_t kept = 0;
    for (const ended& read : ended_) {
      if (read.index > applied) {
        ended_[kept++] = read;
      } else {
        f(read.context, read.index);
      }
    }
    ended_.erase(ended_.begin() + static_cast<std::ptrdiff_t>(kept), ended_.end());
  }

  /// The latest moment of which everything that was committed then is known to be applied here.
  [[nodiscard]] constexpr std::optional<TimePoint> shown(TimePoint now, index_t applied) noexcept {
    if (newer_known_ && newer_ <= applied) {
      newer_known_ = false;
      shown_ = newer_at_;
    }
    if (shown_ && now < *shown_) shown_.reset();  // the clock went back: it has lost count
    return shown_;
  }

  /// When something here has to be done by time alone.
  [[nodiscard]] constexpr TimePoint wake() const noexcept {
    TimePoint at = under_way_ ? std::min(repeat_, give_up_) : wants_to_ask() ? repeat_ : never<TimePoint>();
    if (!ended_.empty()) at = std::min(at, ended_.front().give_up);
    return at;
  }

  /// Its canonical form (canonical.hpp); `time` writes a moment.
  template <class Writer, class Time>
  constexpr void canonical(Writer& w, const Time& time) const {
    const auto& [gathered, gathered_give_up, asked, under_way, first_ticket, last_ticket, asked_at, repeat, give_up,
                 over, shown, newer_known, newer_at, newer] = *this;
    if (w.chance()) w(last_ticket);
    w(gathered.size(), asked.size(), over.size(), under_way, shown.has_value(), newer_known);
    for (const std::uint64_t context : gathered) w(context);
    if (!gathered.empty()) time(gathered_give_up);
    for (const std::uint64_t context : asked) w(context);
    if (under_way) {
      w(last_ticket - first_ticket);
      time(asked_at);
      time(repeat);
      time(give_up);
    }
    for (const auto& [context, index, until] : over) {
      w(context, index);
      time(until);
    }
    if (shown) time(*shown);
    if (newer_known) {
      w(newer);
      time(newer_at);
    }
  }

 private:
  struct ended {
    std::uint64_t context = 0;
    index_t index{};  ///< What has to be applied first; zero: it is dropped.
    TimePoint give_up{};
  };

  std::vector<std::uint64_t> gathered_{};  ///< Contexts asked since the request under way left,
  TimePoint gathered_give_up_{};           ///< and when the first of them is given up.
  std::vector<std::uint64_t> asked_{};     ///< Contexts that the request under way speaks for.
  bool under_way_ = false;
  std::uint64_t first_ticket_ = 0;  ///< Of the request under way.
  std::uint64_t last_ticket_ = 0;
  TimePoint asked_at_{};
  TimePoint repeat_{};
  TimePoint give_up_{};
  std::vector<ended> ended_{};

  std::optional<TimePoint> shown_{};
  bool newer_known_ = false;  ///< An answer will tell more when its index is applied; it waits for that,
  TimePoint newer_at_{};      ///< and is not replaced by yet newer ones, or none might ever be reached.
  index_t newer_{};
};

}  // namespace raft
