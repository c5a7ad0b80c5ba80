#pragma once

// A step of an exploration as a line that people read [battery, part of explorer.hpp]:
//
//   2 takes in 1's request_vote of term 1, sends request_vote_reply; 2 is a follower of term 1, log [], commit 0

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <raft/testing/explorer_reactions.hpp>
#include <raft/testing/story.hpp>

namespace raft::testing {

namespace detail {

inline std::string text_of(const node_id& id) { return std::to_string(id.value); }

inline std::string text_of(const append_entries& m) {
  std::string text = m.entries.empty() ? "heartbeat" : "append";
  text += " behind " + std::to_string(m.prev_log_index.value) + ':' + std::to_string(m.prev_log_term.value);
  if (!m.entries.empty()) {
    text += " of";
    m.entries.for_each(m.prev_log_index.next(), [&text](const entry& e) {
      text += " " + std::to_string(e.index.value) + ':' + std::to_string(e.term.value);
    });
  }
  return text + ", commit " + std::to_string(m.leader_commit.value);
}

/// What a message says, without its addresses.
inline std::string text_of(const message_body& body) {
  if (const auto* a = std::get_if<append_entries>(&body)) return text_of(*a);
  std::string text = message_names[body.index()];
  if (const auto* v = std::get_if<request_vote_reply>(&body)) return v->granted ? "vote" : "refusal of a vote";
  if (const auto* v = std::get_if<request_pre_vote_reply>(&body))
    return v->granted ? "pre-vote" : "refusal of a pre-vote";
  if (const auto* r = std::get_if<append_entries_reply>(&body)) {
    return (r->success ? "acknowledgement up to " : "refusal at ") + std::to_string(r->index.value);
  }
  if (const auto* s = std::get_if<install_snapshot>(&body)) {
    return "snapshot at " + std::to_string(s->last_included_index.value);
  }
  return text;
}

inline std::string text_of(const log_facts& log) {
  std::string text = log.base == index_t{} ? "[" : "[(" + std::to_string(log.base.value) + ")";
  for (index_t i = log.base.next(); i <= log.last(); i = i.next()) {
    if (text.size() > 1) text += ' ';
    text += std::to_string(i.value) + ':' + std::to_string(log.at(i).term.value);
  }
  return text + "]";
}

inline std::string text_of(const server_facts& f) {
  static constexpr std::array roles{"a follower", "a pre-candidate", "a candidate", "the leader"};
  return text_of(f.id) + " is " + roles[static_cast<std::size_t>(f.role)] + " of term " + std::to_string(f.term.value) +
         ", log " + text_of(f.log) + ", commit " + std::to_string(f.commit.value);
}

inline std::string text_of(const configuration& c) {
  std::string text;
  for (const node_id id : c.voters) text += (text.empty() ? "" : " ") + text_of(id);
  if (c.joint()) {
    text += " and";
    for (const node_id id : c.outgoing) text += " " + text_of(id);
  }
  return text;
}

template <class Reactions>
std::string text_of(const Reactions& known, const server_facts& f, const input& in) {
  std::string who = text_of(f.id);
  switch (in.what) {
    case act::deliver: {
      const message& m = known.message_at(in.argument).message.what;
      return who + " takes in " + text_of(m.from) + "'s " + text_of(m.body) + " (term " + std::to_string(m.term.value) +
             ")";
    }
    case act::campaign:
      return who + " stands for election";
    case act::beat:
    case act::tick:
      return who + " sends a heartbeat, if it is time";
    case act::propose:
      return who + " is asked to append '" + static_cast<char>('a' + in.argument) + "'";
    case act::persist:
      return "the oldest write of " + who + " becomes durable";
    case act::crash:
      return who + " crashes, " + std::to_string(in.argument) + " of its writes under way are kept, and restarts";
    case act::snapshot:
      return who + " takes a snapshot";
    case act::change:
      return who + " is asked for the membership " + text_of(voters_of(known.scope().targets[in.argument].voters));
    case act::transfer:
      return who + " is asked to hand over to " + text_of(known.scope().servers[in.argument]);
    case act::read:
      return who + " is asked for a read, when " + std::to_string(in.argument) + " entries are committed";
    case act::advance:
      return "a moment passes";
  }
  return who;
}

}  // namespace detail

/// The line of one step: what happened, what was sent, and what has become of the server.
template <class Reactions>
std::string line_of(const Reactions& known, std::uint32_t before, const input& in,
                    const typename Reactions::reaction& r) {
  std::string line = detail::text_of(known, known.server(before).facts, in);
  const auto& sent = known.effect_at(r.effect).sent;
  for (std::size_t i = 0; i < sent.size(); ++i) {
    const message& m = known.message_at(sent[i]).message.what;
    line += (i == 0 ? ", sends " : "; ") + detail::text_of(m.body) + " to " + detail::text_of(m.to);
  }
  return line + ". " + detail::text_of(known.server(r.state).facts);
}

/// Plays the steps of a story again and writes them down. A message that came about as an answer that changed nobody
/// gets the line of that answer before it is taken in.
template <class Reactions>
class teller {
 public:
  teller(Reactions& known, typename Reactions::cache& cache) : known_(known), cache_(cache) {
    for (const node_id id : known.scope().servers) {
      const auto first = known.first_state(id);
      states_.push_back(first ? *first : 0);
    }
  }

  void tell(std::uint32_t server, const input& in) {
    if (in.what == act::advance) {
      for (std::uint32_t& s : states_) s = known_.react(cache_, s, in).state;
      lines.emplace_back("a moment passes");
    } else {
      if (in.what == act::deliver) tell_answer(in.argument);
      const auto r = known_.react(cache_, states_[server], in);
      lines.push_back(line_of(known_, states_[server], in, r));
      states_[server] = r.state;
      for (const std::uint32_t m : known_.effect_at(r.effect).sent) sent_.push_back({m, {}});
    }
    note_answers();
  }

  std::vector<std::string> lines{};

 private:
  struct sending {
    std::uint32_t message = 0;
    std::string line{};          ///< Of the answer as which it came about, until it is told.
    std::uint32_t answered = 0;  ///< The message that was answered so.
  };

  void tell_answer(std::uint32_t message) {
    for (std::size_t i = 0; i < sent_.size(); ++i) {
      if (sent_[i].message != message || sent_[i].line.empty()) continue;
      const std::string line = std::exchange(sent_[i].line, {});
      tell_answer(sent_[i].answered);
      lines.push_back(line);
    }
  }

  void note_answers() {
    for (std::size_t i = 0; i < sent_.size(); ++i) {
      const std::uint32_t m = sent_[i].message;
      const std::size_t to = known_.message_at(m).to;
      if (to >= states_.size()) continue;
      const input in{act::deliver, m};
      const auto r = known_.react(cache_, states_[to], in);
      if (r.state != states_[to]) continue;
      for (const std::uint32_t answer : known_.effect_at(r.effect).sent) {
        const bool there =
            std::any_of(sent_.begin(), sent_.end(), [&](const sending& s) { return s.message == answer; });
        if (!there) sent_.push_back({answer, line_of(known_, states_[to], in, r), m});
      }
    }
  }

  Reactions& known_;
  typename Reactions::cache& cache_;
  std::vector<std::uint32_t> states_{};
  std::vector<sending> sent_{};
};

}  // namespace raft::testing
