#pragma once

// Client sessions [battery, above floor 2] [paper §8, thesis 6.3]: a command that is sent again, to whatever leader, is
// done once and gets its first answer again. A part of a state machine, not of the node: it lies in the machine, is
// changed by the entries that the machine applies and by nothing else, and is written into the machine's snapshot.
//
//   client  --(session, serial, command)-->  propose  -->  log  -->  StateMachine::apply  -->  sessions.once(..)
//
// A client numbers its commands from 1 on and may have `limits.window` of them under way: the lowest without an answer,
// and those at most window - 1 above it. Within the window they may arrive in any order, and again. An answer is kept
// until the client acknowledges it, or a serial arrives that moves the window beyond it.
//
// What every server decides alike, because it follows from the entries alone and never from a clock here:
//   - time: `advance(now)` takes a number that the entries bring, never the machine's own reading: the leader's clock
//     as the proposal carries it, or the entry's index. It never falls.
//   - expiry: a session that was not used for more than `limits.idle` of that time is forgotten; so is the least
//     recently used one where there are too many, or too many bytes of answers.
//   - numbers: a session's number is never given out again, so a late duplicate of one that expired says so
//     (`expired`) and is not taken for new.
//
// Invariants: floor < each serial kept <= floor + window, ascending; a serial above the floor that is not kept was
// never done; sessions are linked in the order of their last use; the answers' bytes are at most limits.bytes, but for
// a single answer larger than that. Memory: in proportion to the bytes that are kept, whatever was kept before.
//
// The byte form: numbers of 8 bytes, little-endian. Head: 1 (the version), the four limits in their order, the time,
// the last session's number, the number of sessions. Then the sessions, the least recently used first: number, floor,
// time of the last use, number of answers; then each answer: serial, size, bytes.
//
// A value: copyable, comparable; works in constant evaluation. Distinct objects are safe to use from distinct threads.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <raft/assert.hpp>
#include <raft/result.hpp>
#include <raft/sessions_form.hpp>
#include <raft/types.hpp>

namespace raft {

/// Part of the replicated state: the same on every server, in the snapshot, changed only by an entry (`set_limits`).
struct session_limits {
  std::uint64_t sessions = 10'000;     ///< At most 2^31. One more, and the least recently used one is forgotten.
  std::uint64_t window = 64;           ///< Commands that a client may have under way; 1 to 4096.
  std::uint64_t bytes = 64ULL << 20U;  ///< Of all answers together; a single answer is kept whatever its size.
  std::uint64_t idle = 0;              ///< In the unit of `advance`; zero: no session expires by time.
  friend constexpr bool operator==(const session_limits&, const session_limits&) = default;
};

/// Whether the limits make sense; if not, the sentence names the relation that does not hold.
[[nodiscard]] constexpr result<void> validate(const session_limits& l) noexcept {
  if (l.sessions == 0 || l.sessions > 1ULL << 31U) return {errc::invalid_options, "1 <= sessions <= 2^31"};
  if (l.window == 0 || l.window > 4096) return {errc::invalid_options, "1 <= window <= 4096"};
  return {};
}

enum class session_outcome : std::uint8_t {
  fresh,     ///< Never done before; by `once` it is done now.
  answered,  ///< Done before: here is the answer that it got.
  too_old,   ///< Acknowledged, or the window moved on: it was done or never will be, and its answer is not kept.
  expired,   ///< The session was forgotten: whether the command was done is not known any more. Open another.
  unknown,   ///< No such session was ever opened.
};

/// What became of a command, and its answer if it is fresh or answered.
struct session_reply {
  session_outcome what{};
  payload answer{};
};

class sessions {
 public:
  constexpr sessions() = default;
  /// Precondition: validate(limits).
  explicit constexpr sessions(const session_limits& limits) : limits_(limits) {
    RAFT_ASSERT(validate(limits).has_value(), "the limits make sense");
  }

  // ------------------------------------------------------------------------------- by entries of the log, and only so

  /// A new session's number; the first is 1. Amortised O(1).
  constexpr std::uint64_t open();

  /// Executes a command of a session unless it was done before. `execute() -> payload` is called only where the outcome
  /// is `fresh`; the bytes that it returns are kept as the answer (copied), and returned as they are. An answer from
  /// before is valid until the next call that is not const. The session counts as used. It must not call back in here.
  /// O(log sessions + window).
  template <class Execute>
  constexpr session_reply once(std::uint64_t id, std::uint64_t serial, Execute&& execute);

  /// The client has the answers up to and with `serial`, which are let go. False if there is no such session. Counts as
  /// use.
  constexpr bool acknowledge(std::uint64_t id, std::uint64_t serial);

  /// Forgets a session that its client needs no more. False if there is no such session.
  constexpr bool close(std::uint64_t id);

  /// The time of the log is `now`, if it is not later already: sessions that were idle too long are forgotten.
  constexpr void advance(std::uint64_t now);

  /// Changes the limits, and forgets what they no longer allow. Precondition: validate(limits).
  constexpr void set_limits(const session_limits& limits);

  // ----------------------------------------------------------------------------------------------------- questions

  /// What `once` would say, without doing anything: `answered` is final, so a server may answer a duplicate at once; of
  /// the others the log alone decides. O(log sessions + log window).
  [[nodiscard]] constexpr session_reply look_up(std::uint64_t id, std::uint64_t serial) const;

  [[nodiscard]] constexpr std::size_t size() const noexcept { return count_; }
  /// Of all answers that are kept.
  [[nodiscard]] constexpr std::uint64_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] constexpr std::uint64_t last_id() const noexcept { return last_id_; }
  [[nodiscard]] constexpr std::uint64_t now() const noexcept { return now_; }
  [[nodiscard]] constexpr const session_limits& limits() const noexcept { return limits_; }

  /// Whether both decide everything alike from here on. O(state).
  friend constexpr bool operator==(const sessions& a, const sessions& b) { return same(a, b); }

  // ------------------------------------------------------------------------------------------------------ snapshot

  /// Writes the byte form by calls of `sink(payload) -> result<void>`; stops with the sink's error. O(state).
  template <class Sink>
  constexpr result<void> write(Sink&& sink) const;

  /// Replaces everything by a byte form. `read(std::span<std::byte>) -> result<void>` fills the whole of the span with
  /// the next bytes, or fails (see `exact_reader`); it is not asked for more than the form has. Refuses with
  /// errc::corrupt what no `write` wrote; then, or if `read` fails, nothing changes. Memory grows with the bytes that
  /// are there, not with sizes that are claimed.
  template <class Read>
  constexpr result<void> restore(Read&& read);

 private:
  static constexpr std::uint32_t none = UINT32_MAX;
  static constexpr std::size_t slack = 512;  ///< Bytes of holes that no session is asked to give back.
  static constexpr std::uint64_t version = 1;

  struct kept_answer {
    std::uint64_t serial = 0;
    std::size_t offset = 0;  ///< In session::bytes.
    std::size_t size = 0;
  };
  struct session {
    std::uint64_t id = 0;
    std::uint64_t floor = 0;
    std::uint64_t used_at = 0;
    std::uint32_t older = none;  ///< The session used before this one; of a free slot: the next free one.
    std::uint32_t newer = none;
    std::vector<kept_answer> answers{};  ///< By serial.
    std::vector<std::byte> bytes{};      ///< Of the answers, with holes where some were let go.
    std::size_t live = 0;                ///< Without the holes.
  };
  struct place {
    std::uint64_t id = 0;
    std::uint32_t slot = none;  ///< none: forgotten.
    [[nodiscard]] static constexpr bool before(const place& a, const place& b) noexcept { return a.id < b.id; }
  };

  [[nodiscard]] static constexpr payload bytes_of(const session& s, const kept_answer& a) noexcept {
    return payload(s.bytes).subspan(a.offset, a.size);
  }
  [[nodiscard]] static constexpr std::vector<kept_answer>::const_iterator at_or_above(const session& s,
                                                                                      std::uint64_t serial) {
    return std::lower_bound(s.answers.begin(), s.answers.end(), serial,
                            [](const kept_answer& a, std::uint64_t n) { return a.serial < n; });
  }
  [[nodiscard]] constexpr session_outcome missing(std::uint64_t id) const noexcept {
    return id != 0 && id <= last_id_ ? session_outcome::expired : session_outcome::unknown;
  }
  [[nodiscard]] static constexpr session_reply reply_of(const session& s, std::uint64_t serial) {
    if (serial <= s.floor) return {session_outcome::too_old, {}};
    const auto a = at_or_above(s, serial);
    if (a == s.answers.end() || a->serial != serial) return {session_outcome::fresh, {}};
    return {session_outcome::answered, bytes_of(s, *a)};
  }

  [[nodiscard]] constexpr std::uint32_t slot_of(std::uint64_t id) const;
  constexpr std::uint32_t adopt(std::uint64_t id, std::uint64_t used_at);
  constexpr void link_as_newest(std::uint32_t slot);
  constexpr void unlink(std::uint32_t slot);
  constexpr void use(std::uint32_t slot);
  constexpr void forget(std::uint32_t slot);
  constexpr void raise_floor(session& s, std::uint64_t floor);
  constexpr void keep(session& s, std::uint64_t serial, payload answer);
  constexpr void give_back(session& s);
  constexpr void hold_byte_limit(session& s);
  [[nodiscard]] static constexpr bool same(const sessions& a, const sessions& b);
  [[nodiscard]] static constexpr result<void> corrupt(const char* why) { return {errc::corrupt, why}; }
  template <class Read>
  constexpr result<void> fill(Read& read);
  template <class Read>
  constexpr result<void> fill_session(Read& read);
  template <class Read>
  constexpr result<void> fill_answer(Read& read, session& s);

  session_limits limits_{};
  std::uint64_t now_ = 0;
  std::uint64_t last_id_ = 0;
  std::uint64_t bytes_ = 0;
  std::size_t count_ = 0;
  std::vector<session> slots_{};
  std::vector<place> places_{};       ///< By id; numbers only grow, so new ones go to the end.
  std::uint32_t oldest_ = none;       ///< The least recently used session,
  std::uint32_t newest_ = none;       ///< and the most recently used one.
  std::uint32_t free_ = none;         ///< The first free slot.
  std::vector<std::byte> scratch_{};  ///< Of give_back.
};

// ---------------------------------------------------------------------------------------------------- by entries

constexpr std::uint64_t sessions::open() {
  while (count_ >= limits_.sessions) forget(oldest_);
  link_as_newest(adopt(++last_id_, now_));
  return last_id_;
}

template <class Execute>
constexpr session_reply sessions::once(std::uint64_t id, std::uint64_t serial, Execute&& execute) {
  const std::uint32_t slot = slot_of(id);
  if (slot == none) return {missing(id), {}};
  use(slot);
  session_reply reply = reply_of(slots_[slot], serial);
  if (reply.what != session_outcome::fresh) return reply;
  reply.answer = execute();
  keep(slots_[slot], serial, reply.answer);
  return reply;
}

constexpr bool sessions::acknowledge(std::uint64_t id, std::uint64_t serial) {
  const std::uint32_t slot = slot_of(id);
  if (slot == none) return false;
  use(slot);
  raise_floor(slots_[slot], serial);
  return true;
}

constexpr bool sessions::close(std::uint64_t id) {
  const std::uint32_t slot = slot_of(id);
  if (slot == none) return false;
  forget(slot);
  return true;
}

constexpr void sessions::advance(std::uint64_t now) {
  now_ = std::max(now_, now);
  while (limits_.idle != 0 && oldest_ != none && now_ - slots_[oldest_].used_at > limits_.idle) forget(oldest_);
}

constexpr void sessions::set_limits(const session_limits& limits) {
  RAFT_ASSERT(validate(limits).has_value(), "the limits make sense");
  limits_ = limits;
  while (count_ > limits_.sessions) forget(oldest_);
  advance(now_);
  for (session& s : slots_) {
    if (s.answers.empty()) continue;
    const std::uint64_t highest = s.answers.back().serial;
    if (highest > limits_.window) raise_floor(s, highest - limits_.window);
  }
  if (newest_ != none) hold_byte_limit(slots_[newest_]);
}

// ---------------------------------------------------------------------------------------------------- questions

constexpr session_reply sessions::look_up(std::uint64_t id, std::uint64_t serial) const {
  const std::uint32_t slot = slot_of(id);
  if (slot == none) return {missing(id), {}};
  return reply_of(slots_[slot], serial);
}

constexpr bool sessions::same(const sessions& a, const sessions& b) {
  if (a.limits_ != b.limits_ || a.now_ != b.now_ || a.last_id_ != b.last_id_ || a.count_ != b.count_) return false;
  std::uint32_t other = b.oldest_;
  for (std::uint32_t slot = a.oldest_; slot != none; slot = a.slots_[slot].newer) {
    const session& x = a.slots_[slot];
    const session& y = b.slots_[other];
    if (x.id != y.id || x.floor != y.floor || x.used_at != y.used_at) return false;
    const bool equal = std::equal(x.answers.begin(), x.answers.end(), y.answers.begin(), y.answers.end(),
                                  [&](const kept_answer& p, const kept_answer& q) {
                                    const payload u = bytes_of(x, p);
                                    const payload v = bytes_of(y, q);
                                    return p.serial == q.serial && std::equal(u.begin(), u.end(), v.begin(), v.end());
                                  });
    if (!equal) return false;
    other = y.newer;
  }
  return true;
}

// ---------------------------------------------------------------------------------------------------- pieces

/// Where the session lies, or none.
constexpr std::uint32_t sessions::slot_of(std::uint64_t id) const {
  const auto at = std::lower_bound(places_.begin(), places_.end(), place{id}, place::before);
  return at == places_.end() || at->id != id ? none : at->slot;
}

/// A slot for a session that is in no order of use yet. The places have to be in order when all are there.
constexpr std::uint32_t sessions::adopt(std::uint64_t id, std::uint64_t used_at) {
  std::uint32_t slot = free_;
  if (slot == none) {
    slot = static_cast<std::uint32_t>(slots_.size());
    slots_.push_back(session{});
  } else {
    free_ = slots_[slot].older;
  }
  slots_[slot].id = id;
  slots_[slot].used_at = used_at;
  places_.push_back(place{id, slot});
  ++count_;
  return slot;
}

constexpr void sessions::link_as_newest(std::uint32_t slot) {
  slots_[slot].older = newest_;
  slots_[slot].newer = none;
  (newest_ == none ? oldest_ : slots_[newest_].newer) = slot;
  newest_ = slot;
}

constexpr void sessions::unlink(std::uint32_t slot) {
  const session& s = slots_[slot];
  (s.older == none ? oldest_ : slots_[s.older].newer) = s.newer;
  (s.newer == none ? newest_ : slots_[s.newer].older) = s.older;
}

constexpr void sessions::use(std::uint32_t slot) {
  slots_[slot].used_at = now_;
  if (slot == newest_) return;
  unlink(slot);
  link_as_newest(slot);
}

constexpr void sessions::forget(std::uint32_t slot) {
  const std::uint64_t id = slots_[slot].id;
  bytes_ -= slots_[slot].live;
  unlink(slot);
  slots_[slot] = session{};
  slots_[slot].older = free_;
  free_ = slot;
  --count_;
  std::lower_bound(places_.begin(), places_.end(), place{id}, place::before)->slot = none;
  if (places_.size() > 2 * count_ + 16) std::erase_if(places_, [](const place& p) { return p.slot == none; });
}

/// Lets go of the answers up to and with `floor`; what is not done by then never will be.
constexpr void sessions::raise_floor(session& s, std::uint64_t floor) {
  if (floor <= s.floor) return;
  s.floor = floor;
  auto last = s.answers.begin();
  for (; last != s.answers.end() && last->serial <= floor; ++last) {
    s.live -= last->size;
    bytes_ -= last->size;
  }
  s.answers.erase(s.answers.begin(), last);
  give_back(s);
}

constexpr void sessions::keep(session& s, std::uint64_t serial, payload answer) {
  if (serial > limits_.window) raise_floor(s, serial - limits_.window);
  s.answers.insert(at_or_above(s, serial), kept_answer{serial, s.bytes.size(), answer.size()});
  s.bytes.insert(s.bytes.end(), answer.begin(), answer.end());
  s.live += answer.size();
  bytes_ += answer.size();
  hold_byte_limit(s);
}

/// Moves the answers together where more than half of the memory is holes, into less memory where it is far too much.
constexpr void sessions::give_back(session& s) {
  if (s.bytes.size() <= 2 * s.live + slack) return;
  scratch_.clear();
  for (kept_answer& a : s.answers) {
    const payload bytes = bytes_of(s, a);
    a.offset = scratch_.size();
    scratch_.insert(scratch_.end(), bytes.begin(), bytes.end());
  }
  if (s.bytes.capacity() > 4 * s.live + 2 * slack) s.bytes = std::vector<std::byte>();
  s.bytes.assign(scratch_.begin(), scratch_.end());
}

/// Precondition: `s` is the most recently used session.
constexpr void sessions::hold_byte_limit(session& s) {
  while (bytes_ > limits_.bytes && count_ > 1) forget(oldest_);
  while (bytes_ > limits_.bytes && s.answers.size() > 1) raise_floor(s, s.answers.front().serial);
}

// ---------------------------------------------------------------------------------------------------- snapshot

template <class Sink>
constexpr result<void> sessions::write(Sink&& sink) const {
  detail::piece_writer to{sink};
  to.numbers({version, limits_.sessions, limits_.window, limits_.bytes, limits_.idle, now_, last_id_, count_});
  for (std::uint32_t slot = oldest_; slot != none && to.good(); slot = slots_[slot].newer) {
    const session& s = slots_[slot];
    to.numbers({s.id, s.floor, s.used_at, s.answers.size()});
    for (const kept_answer& a : s.answers) {
      to.numbers({a.serial, a.size});
      to.bytes(bytes_of(s, a));
    }
  }
  return to.finish();
}

template <class Read>
constexpr result<void> sessions::restore(Read&& read) {
  sessions fresh;
  if (auto filled = fresh.fill(read); !filled) return filled;
  *this = std::move(fresh);
  return {};
}

/// Precondition: *this is empty.
template <class Read>
constexpr result<void> sessions::fill(Read& read) {
  std::array<std::uint64_t, 8> head{};
  if (auto got = detail::read_numbers(read, head); !got) return got;
  if (head[0] != version) return corrupt("sessions in a version of their form that this build does not read");
  limits_ = {head[1], head[2], head[3], head[4]};
  now_ = head[5];
  last_id_ = head[6];
  if (!validate(limits_)) return corrupt("the limits of the sessions make no sense");
  if (head[7] > limits_.sessions) return corrupt("there are more sessions than their limit allows");
  std::uint64_t answers = 0;
  for (std::uint64_t left = head[7]; left > 0; --left) {
    if (auto got = fill_session(read); !got) return got;
    answers += slots_[newest_].answers.size();
    if (bytes_ > limits_.bytes && answers > 1) return corrupt("the answers have more bytes than their limit allows");
  }
  std::sort(places_.begin(), places_.end(), place::before);
  const auto twice =
      std::adjacent_find(places_.begin(), places_.end(), [](const place& a, const place& b) { return a.id == b.id; });
  if (twice != places_.end()) return corrupt("a session is there twice");
  return {};
}

template <class Read>
constexpr result<void> sessions::fill_session(Read& read) {
  std::array<std::uint64_t, 4> head{};
  if (auto got = detail::read_numbers(read, head); !got) return got;
  const auto [id, floor, used_at, answers] = head;
  if (id == 0 || id > last_id_) return corrupt("a session's number was never given out");
  if (used_at > now_ || (limits_.idle != 0 && now_ - used_at > limits_.idle)) {
    return corrupt("a session should have expired, or was used in the future");
  }
  if (newest_ != none && used_at < slots_[newest_].used_at) return corrupt("the sessions are in no order of use");
  const std::uint32_t slot = adopt(id, used_at);
  link_as_newest(slot);
  slots_[slot].floor = floor;
  // Each lies behind the one before and within the window, so there are no more of them than it has room for.
  for (std::uint64_t left = answers; left > 0; --left) {
    if (auto got = fill_answer(read, slots_[slot]); !got) return got;
  }
  return {};
}

template <class Read>
constexpr result<void> sessions::fill_answer(Read& read, session& s) {
  std::array<std::uint64_t, 2> head{};
  if (auto got = detail::read_numbers(read, head); !got) return got;
  const auto [serial, size] = head;
  if (serial <= s.floor || serial - s.floor > limits_.window) return corrupt("an answer lies outside of its window");
  if (!s.answers.empty() && serial <= s.answers.back().serial) return corrupt("the answers are in no order");
  s.answers.push_back({serial, s.bytes.size(), static_cast<std::size_t>(size)});
  if (auto got = detail::read_bytes(read, size, s.bytes); !got) return got;
  s.live += static_cast<std::size_t>(size);
  bytes_ += size;
  return {};
}

}  // namespace raft
