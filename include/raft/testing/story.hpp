#pragma once

// The story of a run: a line for everything that happened, for whoever replays a seed.
//
//   [   1234.567 ms] 2 > 3  append_entries term 4 prev (17, 3) +2 commit 16 round 9

#include <array>
#include <cinttypes>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <raft/message.hpp>

#include <raft/testing/clock.hpp>

namespace raft::testing {

/// The names of the kinds of messages, in the order of message_body.
inline constexpr std::array<const char*, std::variant_size_v<message_body>> message_names{"request_pre_vote",
                                                                                          "request_pre_vote_reply",
                                                                                          "request_vote",
                                                                                          "request_vote_reply",
                                                                                          "append_entries",
                                                                                          "append_entries_reply",
                                                                                          "install_snapshot",
                                                                                          "install_snapshot_reply",
                                                                                          "timeout_now",
                                                                                          "read_request",
                                                                                          "read_reply",
                                                                                          "forwarded_proposal",
                                                                                          "forwarded_proposal_reply"};

[[nodiscard]] inline std::string to_text(const message& m) {
  char text[256];
  const auto number = [](auto x) { return static_cast<std::uint64_t>(x.value); };
  if (const auto* a = std::get_if<append_entries>(&m.body)) {
    std::snprintf(text, sizeof text, "prev (%" PRIu64 ", %" PRIu64 ") +%u commit %" PRIu64 " round %" PRIu64,
                  number(a->prev_log_index), number(a->prev_log_term), a->entries.count(), number(a->leader_commit),
                  a->round);
  } else if (const auto* r = std::get_if<append_entries_reply>(&m.body)) {
    std::snprintf(text, sizeof text, "%s %" PRIu64 " hint (%" PRIu64 ", %" PRIu64 ") last %" PRIu64 " round %" PRIu64,
                  r->success ? "yes" : "no", number(r->index), number(r->hint_index), number(r->hint_term),
                  number(r->last_log_index), r->round);
  } else if (const auto* v = std::get_if<request_vote>(&m.body)) {
    std::snprintf(text, sizeof text, "log (%" PRIu64 ", %" PRIu64 ")", number(v->last_log_index),
                  number(v->last_log_term));
  } else if (const auto* p = std::get_if<request_pre_vote>(&m.body)) {
    std::snprintf(text, sizeof text, "log (%" PRIu64 ", %" PRIu64 ")", number(p->last_log_index),
                  number(p->last_log_term));
  } else if (const auto* vr = std::get_if<request_vote_reply>(&m.body)) {
    std::snprintf(text, sizeof text, "%s", vr->granted ? "yes" : "no");
  } else if (const auto* pr = std::get_if<request_pre_vote_reply>(&m.body)) {
    std::snprintf(text, sizeof text, "%s asked %" PRIu64, pr->granted ? "yes" : "no", number(pr->asked));
  } else if (const auto* i = std::get_if<install_snapshot>(&m.body)) {
    std::snprintf(
        text, sizeof text, "of (%" PRIu64 ", %" PRIu64 ") bytes %" PRIu64 "+%zu of %" PRIu64 " round %" PRIu64,
        number(i->last_included_index), number(i->last_included_term), i->offset, i->data.size(), i->size, i->round);
  } else if (const auto* ir = std::get_if<install_snapshot_reply>(&m.body)) {
    std::snprintf(text, sizeof text, "of %" PRIu64 " %s, wants %" PRIu64, number(ir->last_included_index),
                  ir->installed ? "installed" : "not yet", ir->offset);
  } else if (const auto* ask = std::get_if<read_request>(&m.body)) {
    std::snprintf(text, sizeof text, "ticket %" PRIx64, ask->ticket);
  } else if (const auto* told = std::get_if<read_reply>(&m.body)) {
    std::snprintf(text, sizeof text, "ticket %" PRIx64 " %s %" PRIu64, told->ticket, told->confirmed ? "at" : "no",
                  number(told->index));
  }
  char line[384];
  std::snprintf(line, sizeof line, "%" PRIu64 " > %" PRIu64 "  %s term %" PRIu64 " %s", number(m.from), number(m.to),
                message_names[m.body.index()], number(m.term), text);
  return line;
}

/// A line of a story.
struct story_line {
  instant at = 0;
  std::uint64_t errand = 0;  ///< The one that was being run, by its number (plan.hpp); zero: none.
  bool deed = false;         ///< What somebody did, or what became of a server; else a detail, such as a message.
  std::string text{};
};

/// The line as it is printed.
[[nodiscard]] inline std::string to_text(const story_line& l) {
  char head[64];
  std::snprintf(head, sizeof head, "[%12.3f ms] ", static_cast<double>(l.at) / 1000.0);
  return head + l.text;
}

/// Where the story goes: nowhere, to standard output, or into memory. Ask `told()` before composing a line.
class story {
 public:
  enum class to : std::uint8_t { nowhere, output, memory };

  explicit story(to where = to::nowhere) noexcept : where_(where) {}
  [[nodiscard]] bool told() const noexcept { return where_ != to::nowhere; }
  [[nodiscard]] const std::vector<story_line>& lines() const noexcept { return lines_; }

  /// From now on lines are of this errand; zero: of none.
  void set_errand(std::uint64_t number) noexcept { errand_ = number; }

  /// A detail.
  [[gnu::format(printf, 3, 4)]] void line(instant now, const char* format, ...) {
    if (!told()) return;
    va_list arguments;
    va_start(arguments, format);
    add(now, false, format, arguments);
    va_end(arguments);
  }
  /// What a reader of a short story wants to know.
  [[gnu::format(printf, 3, 4)]] void deed(instant now, const char* format, ...) {
    if (!told()) return;
    va_list arguments;
    va_start(arguments, format);
    add(now, true, format, arguments);
    va_end(arguments);
  }

 private:
  void add(instant now, bool is_deed, const char* format, va_list arguments) {
    char text[512];
    std::vsnprintf(text, sizeof text, format, arguments);
    story_line l{now, errand_, is_deed, text};
    if (where_ == to::output) {
      std::puts(to_text(l).c_str());
    } else {
      lines_.push_back(std::move(l));
    }
  }

  to where_;
  std::uint64_t errand_ = 0;
  std::vector<story_line> lines_{};
};

}  // namespace raft::testing
