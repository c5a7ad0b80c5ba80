#pragma once

// Exactly once, for clients that want it [thesis 6.3]: a session remembers the answers to its latest commands, so that
// a command which is sent again, to whatever leader, gets its first answer and is not done again.
//
// Everything here is replicated state: it changes only by entries of the log, is part of the snapshot, and never looks
// at a clock. A session is forgotten only to make room, the least recently used first, as every server decides alike
// from the same entries. Numbers of sessions are never used twice, so a late duplicate of a forgotten session is
// refused.
//
// What a session keeps: an answer for each of its latest `answers_limit` serials; a floor, the highest serial whose
// answer it let go. A serial above the floor without an answer was certainly never done, in whatever order they come.

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace kv {

struct session {
  std::uint64_t id = 0;
  std::uint64_t floor = 0;
  std::map<std::uint64_t, std::string> answers{};  ///< By serial; as they went to the client.
};

class sessions {
 public:
  // Part of the replicated state's rules: every server of a cluster has the same.
  static constexpr std::size_t sessions_limit = 10'000;
  static constexpr std::size_t answers_limit = 64;                   ///< Of one session.
  static constexpr std::size_t bytes_limit = std::size_t{64} << 20;  ///< Of all answers together.

  enum class found : std::uint8_t {
    unknown_session,  ///< Never opened, or forgotten.
    too_old,          ///< The answer was let go; the command was or was not done.
    answered,         ///< answer() is what it was told.
    fresh,            ///< Never done: do it, then keep() its answer.
  };

  sessions() = default;
  sessions(const sessions&) = delete;
  sessions& operator=(const sessions&) = delete;
  sessions(sessions&&) noexcept = default;
  sessions& operator=(sessions&&) noexcept = default;

  /// A new session's number.
  std::uint64_t open() {
    if (by_use_.size() == sessions_limit) forget_least_recently_used();
    adopt({.id = ++last_id_});
    return last_id_;
  }

  /// Looks a command up; the session counts as used. After `answered`, `answer` views it until the next call.
  found look_up(std::uint64_t id, std::uint64_t serial, std::string_view& answer) {
    const auto place = by_id_.find(id);
    if (place == by_id_.end()) return found::unknown_session;
    by_use_.splice(by_use_.end(), by_use_, place->second);
    const session& s = *place->second;
    if (serial <= s.floor) return found::too_old;
    const auto at = s.answers.find(serial);
    if (at == s.answers.end()) return found::fresh;
    answer = at->second;
    return found::answered;
  }

  /// Keeps the answer to a command that `look_up` called fresh. Precondition: nothing was called in between.
  void keep(std::uint64_t id, std::uint64_t serial, std::string_view answer) {
    session& s = *by_id_.find(id)->second;
    s.answers.emplace(serial, answer);
    bytes_ += answer.size();
    while (s.answers.size() > answers_limit) let_go_of_first(s);
    while (bytes_ > bytes_limit && by_use_.size() > 1) forget_least_recently_used();
    while (bytes_ > bytes_limit && s.answers.size() > 1) let_go_of_first(s);
  }

  [[nodiscard]] std::size_t size() const noexcept { return by_use_.size(); }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::uint64_t last_id() const noexcept { return last_id_; }

  /// Calls visit(session) for each, the least recently used first.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (const session& s : by_use_) visit(s);
  }

  /// Of a snapshot: the sessions in the order of for_each, each with a number of its own, and the last number given
  /// out.
  void adopt(session s) {
    for (const auto& [serial, answer] : s.answers) bytes_ += answer.size();
    by_use_.push_back(std::move(s));
    by_id_.emplace(by_use_.back().id, std::prev(by_use_.end()));
  }
  void set_last_id(std::uint64_t id) noexcept { last_id_ = id; }
  [[nodiscard]] bool holds(std::uint64_t id) const { return by_id_.contains(id); }

 private:
  void let_go_of_first(session& s) {
    const auto first = s.answers.begin();
    s.floor = first->first;
    bytes_ -= first->second.size();
    s.answers.erase(first);
  }

  void forget_least_recently_used() {
    for (const auto& [serial, answer] : by_use_.front().answers) bytes_ -= answer.size();
    by_id_.erase(by_use_.front().id);
    by_use_.pop_front();
  }

  std::list<session> by_use_{};
  std::unordered_map<std::uint64_t, std::list<session>::iterator> by_id_{};
  std::uint64_t last_id_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace kv
