#pragma once

// Clients that number their commands, retry them at whoever leads, and pipeline them in any order; and what has to hold
// for them. A command is done once at most, on every server at the same entry, with the same answer, whatever the
// machines went through: crashes, snapshots, replays. And a client that keeps to its window is never told "too old" of
// a command whose answer it does not have.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <raft/bytes.hpp>
#include <raft/outcome.hpp>
#include <raft/sessions.hpp>
#include <raft/types.hpp>

#include <raft/testing/rng.hpp>

namespace raft::testing {

/// A command of a session; of session 0, the wish for one.
struct session_command {
  static constexpr std::uint64_t magic = 0x7365'7373'696f'6e73;
  static constexpr std::size_t bytes = 32;
  std::uint64_t session = 0;
  std::uint64_t serial = 0;

  [[nodiscard]] static std::optional<session_command> read(payload p) {
    const auto word = [&p](std::size_t i) { return raft::detail::load_le<std::uint64_t>(p.data() + 8 * i); };
    if (p.size() != bytes || word(0) != magic) return std::nullopt;
    return session_command{word(1), word(2)};
  }
  /// `attempt` makes each sending of it another entry.
  [[nodiscard]] std::array<std::byte, bytes> form(std::uint64_t attempt) const {
    std::array<std::byte, bytes> to{};
    const std::array<std::uint64_t, 4> words{magic, session, serial, attempt};
    for (std::size_t i = 0; i < words.size(); ++i) raft::detail::store_le(to.data() + 8 * i, words[i]);
    return to;
  }
};

/// What a machine made of one. The answer of a command is the index at which it was done; of session 0, its number.
struct session_result {
  session_command command{};
  session_outcome what{};
  std::uint64_t answer = 0;
  friend bool operator==(const session_result& a, const session_result& b) {
    return a.command.session == b.command.session && a.command.serial == b.command.serial && a.what == b.what &&
           a.answer == b.answer;
  }
};

/// What became of all commands, on whatever server.
class session_ledger {
 public:
  /// A machine executed the entry at `index`; the answer is what is wrong with that, or null.
  const char* executed(index_t index, const session_result& r) {
    if (const auto [there, first] = at_.try_emplace(index, r); !first) {
      return there->second == r ? nullptr : "decides otherwise about a session's command than another server";
    }
    if (r.command.session == 0) return nullptr;
    const auto [done, first] = done_.try_emplace({r.command.session, r.command.serial}, index);
    if (r.what == session_outcome::fresh && !first) return "does a session's command twice";
    if (r.what != session_outcome::fresh && first) done_.erase(done);
    if (r.what != session_outcome::answered) return nullptr;
    return !first && r.answer == done->second.value ? nullptr : "gives another answer than the first one";
  }
  [[nodiscard]] const session_result* find(index_t index) const {
    const auto at = at_.find(index);
    return at == at_.end() ? nullptr : &at->second;
  }

 private:
  std::map<index_t, session_result> at_{};
  std::map<std::pair<std::uint64_t, std::uint64_t>, index_t> done_{};  ///< Where each was done.
};

/// One client. It learns what became of an entry when somebody has executed it, and retries without waiting for that.
class session_client {
 public:
  /// The next thing to send: a new command within its window, or an old one again: mostly one without an answer, now
  /// and then one that was answered long ago, as a network repeats them.
  [[nodiscard]] session_command next(std::uint64_t window, rng& chance) {
    if (session_ == 0) return {};
    const std::uint64_t low = open_.empty() ? next_ : open_.begin()->first;
    const bool may_go_on = next_ < low + window;
    if (low > 1 && chance.permille(50)) return {session_, low - 1 - chance.below(std::min(low - 1, 2 * window))};
    if (!open_.empty() && (!may_go_on || chance.permille(500))) {
      auto at = open_.begin();
      for (std::uint64_t k = chance.below(open_.size()); k > 0; --k) ++at;
      return {session_, at->first};
    }
    // Numbers may be given out in any order within the window, and some are never used: here, the second one of a pair
    // goes first.
    const bool swap = next_ + 1 < low + window && chance.permille(300);
    const std::uint64_t serial = next_ + (swap ? 1 : 0);
    if (swap) open_.try_emplace(next_);
    next_ = serial + 1;
    open_.try_emplace(serial);
    return {session_, serial};
  }
  void sent(const session_command& c, const proposal& where) { waits_.push_back({c, where}); }

  /// Looks at what became of what it sent; the answer is what is wrong with that, or null.
  template <class TermAt>
  const char* learn(const session_ledger& ledger, TermAt&& term_at) {
    const char* wrong = nullptr;
    std::erase_if(waits_, [&](const sent_command& s) {
      const session_result* r = ledger.find(s.where.index);
      if (r == nullptr) return term_at(s.where.index) > s.where.term;
      if (term_at(s.where.index) == s.where.term) wrong = wrong != nullptr ? wrong : take(s.command, *r);
      return true;
    });
    return wrong;
  }

 private:
  struct sent_command {
    session_command command{};
    proposal where{};
  };

  const char* take(const session_command& c, const session_result& r) {
    if (c.session == 0) {
      if (session_ == 0) session_ = r.answer;
      return nullptr;
    }
    if (c.session != session_) return nullptr;
    switch (r.what) {
      case session_outcome::fresh:
      case session_outcome::answered:
        open_.erase(c.serial);
        return nullptr;
      case session_outcome::expired:
        session_ = 0;
        next_ = 1;
        open_.clear();
        return nullptr;
      case session_outcome::too_old:
        return open_.contains(c.serial) ? "a client that keeps to its window is told that a command is too old"
                                        : nullptr;
      case session_outcome::unknown:
        break;
    }
    return "a client is told that its session never was";
  }

  std::uint64_t session_ = 0;
  std::uint64_t next_ = 1;
  struct nothing {};
  std::map<std::uint64_t, nothing> open_{};  ///< Serials without an answer.
  std::vector<sent_command> waits_{};
};

}  // namespace raft::testing
