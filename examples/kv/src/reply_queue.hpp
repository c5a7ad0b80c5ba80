#pragma once

// What one connection is owed, in the order in which it asked. A pure value: no socket, no engine.
//
// Some replies are known at once, writes wait for the log, reads wait for a confirmation; whatever becomes known first,
// the client gets its replies in the order of its requests. And its commands see each other in that order: a read is
// served after the writes before it and before the writes behind it.
//
// Reads wait for their `turn`, the number of the loop turn that took them in, to be confirmed: from then on the state
// holds everything that was acknowledged to anybody before the read was asked. A write that was proposed after a read
// was taken in and is applied now confirms it as well: a leader that had been replaced before the read was asked could
// not have committed that write any more. That is why a read in front of a write needs no confirmation of its own at
// the moment when that write is applied, nor does one behind it that was taken in in the same turn.
//
// Reads can be much larger as replies than as requests, so they are served only while little is ready to be sent; only
// those in front of a write that is applied now cannot wait, and the owner keeps them few.
//
// Invariants: a reply is in ready() only when all before it are; the number of a request is that of the one before it
// plus one; `held_` holds, for each request that waits, its reply if it is known and the command if it is a read.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>

#include "command.hpp"
#include "fifo.hpp"

namespace kv {

class reply_queue {
 public:
  /// Names a request of this connection.
  using number = std::uint64_t;

  /// What can go to the client now. The owner sends it and clears it.
  [[nodiscard]] std::string& ready() noexcept { return ready_; }
  /// Requests that are not answered in ready().
  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_.size(); }
  /// Reads among them.
  [[nodiscard]] std::size_t waiting_reads() const noexcept { return waiting_reads_; }
  /// Bytes of memory that it keeps for them, about.
  [[nodiscard]] std::size_t held_bytes() const noexcept { return held_.size() + waiting_.size() * sizeof(request); }

  // ---- requests, in the order in which they came

  /// A request whose reply is known: write(std::string&) appends it.
  template <class Write>
  void say(Write&& write) {
    if (waiting_.empty()) {
      write(ready_);
      ++first_;
    } else {
      push(kind::said, 0, write);
    }
  }

  /// A command that was or will be proposed in this turn.
  number expect_write(std::uint64_t turn) {
    return push(kind::write, turn, [](std::string&) {});
  }

  /// A command that only reads.
  number expect_read(std::uint64_t turn, const command& c) {
    ++waiting_reads_;
    return push(kind::read, turn, [&c](std::string& out) { encode(out, c); });
  }

  // ---- what became of them; read(std::string_view command, std::string& reply) serves a read from the state of now

  /// A write is about to be applied: answer(std::string&) applies it and appends its reply. The reads in front of it
  /// are served before, those behind it that are confirmed (by it, or up to the turn `confirmed`) after it.
  template <class Read, class Answer>
  void complete(number n, std::uint64_t confirmed, Read&& read, Answer&& answer) {
    serve_while(std::numeric_limits<std::uint64_t>::max(), read, [] { return true; });
    if (n != first_) return answer(late_[resolve(n)]);
    const std::uint64_t turn = waiting_.front().turn;
    answer(ready_);
    pop();
    serve(std::max(confirmed, turn), read);
  }

  /// A write will not be applied, or nobody knows.
  template <class Read>
  void fail(number n, std::string_view reply, std::uint64_t confirmed, Read&& read) {
    late_[resolve(n)] = reply;
    serve(confirmed, read);
  }

  /// The reads of all turns up to this one are confirmed. To be called again when ready() was sent and emptied.
  template <class Read>
  void serve(std::uint64_t confirmed, Read&& read) {
    serve_while(confirmed, read, [this] { return ready_.size() < enough; });
  }

  /// The reads of all turns up to this one, and not above the confirmed one, cannot be confirmed here: they get this
  /// reply.
  template <class Read>
  void drop_reads(std::uint64_t upto, std::uint64_t confirmed, std::string_view reply, Read&& read) {
    for (std::size_t i = 0; i < waiting_.size(); ++i) {
      const request& r = waiting_[i];
      if (r.what == kind::read && !r.resolved && r.turn > confirmed && r.turn <= upto)
        late_[resolve(first_ + i)] = reply;
    }
    serve(confirmed, read);
  }

 private:
  enum class kind : std::uint8_t { said, write, read };
  struct request {
    std::uint64_t turn = 0;
    std::size_t bytes = 0;  ///< Of held_.
    kind what{};
    bool resolved = false;  ///< Its reply is in late_.
  };

  template <class Read, class Room>
  void serve_while(std::uint64_t confirmed, Read&& read, Room&& room) {
    while (!waiting_.empty()) {
      const request r = waiting_.front();
      const std::string_view held = std::string_view{held_}.substr(held_begin_, r.bytes);
      if (r.resolved) {
        ready_.append(late_[first_]);
        late_.erase(first_);
      } else if (r.what == kind::said) {
        ready_.append(held);
      } else if (r.what == kind::read && r.turn <= confirmed && room()) {
        read(held, ready_);
      } else {
        return;
      }
      pop();
    }
  }

  template <class Write>
  number push(kind what, std::uint64_t turn, Write&& write) {
    const std::size_t before = held_.size();
    write(held_);
    waiting_.push({turn, held_.size() - before, what, false});
    return first_ + waiting_.size() - 1;
  }

  number resolve(number n) {
    waiting_[static_cast<std::size_t>(n - first_)].resolved = true;
    return n;
  }

  void pop() {
    if (waiting_.front().what == kind::read) --waiting_reads_;
    held_begin_ += waiting_.front().bytes;
    waiting_.pop();
    ++first_;
    if (waiting_.empty()) {
      held_.clear();
      held_begin_ = 0;
      if (held_.capacity() > kept) held_ = {};
    } else if (held_begin_ > kept && held_begin_ * 2 > held_.size()) {
      held_.erase(0, held_begin_);
      held_begin_ = 0;
    }
  }

  static constexpr std::size_t kept = std::size_t{64} << 10;
  static constexpr std::size_t enough = std::size_t{1} << 20;

  std::string ready_{};
  fifo<request> waiting_{};
  std::size_t waiting_reads_ = 0;
  number first_ = 0;  ///< The number of waiting_.front().
  std::string held_{};
  std::size_t held_begin_ = 0;
  std::map<number, std::string> late_{};  ///< Replies that became known before their turn; rare.
};

}  // namespace kv
