// What an operator asks of a server: to change the members of the cluster, to let another one lead, why nothing
// happens, and its numbers.

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <raft/why.hpp>

#include "engine.hpp"
#include "policies.hpp"
#include "service.hpp"

namespace kv {

/// Adds a server to the target, or gives it another place: "HOST:RAFTPORT/HOST:CLIENTPORT".
bool service::read_member(std::uint64_t id, std::string_view place, raft::membership& target, std::string& why) const {
  const auto m = detail::parse_place(id, place);
  if (!m) {
    why = "ERR a server's place is HOST:RAFTPORT/HOST:CLIENTPORT";
    return false;
  }
  const std::string text = place_of(*m);
  if (text.size() > raft::member_data_limit) {
    why = "ERR a server's place has at most " + std::to_string(raft::member_data_limit) + " characters";
    return false;
  }
  const raft::payload bytes = as_payload(text);
  target.data.push_back({raft::node_id{id}, {bytes.begin(), bytes.end()}});
  return true;
}

/// RAFT.ADD id place [LEARNER], RAFT.REMOVE id, RAFT.CHANGE (or PREVIEW) id[=place]... [LEARNERS id[=place]...].
bool service::read_target(const command& what, raft::membership& target, std::string& why) const {
  const auto words = what.words;
  const auto refuse = [&why](std::string_view text) {
    why = text;
    return false;
  };
  if (what.verb == verb::raft_change || what.verb == verb::raft_preview) {
    auto* list = &target.voters;
    target = {};
    for (const std::string_view word : words) {
      if (same_word(word, "learners")) {
        list = &target.learners;
        continue;
      }
      const std::size_t equals = std::min(word.find('='), word.size());
      const auto id = to_count(word.substr(0, equals));
      if (!id) return refuse("ERR a server is named by its number, as ID or ID=HOST:RAFTPORT/HOST:CLIENTPORT");
      if (equals != word.size() && !read_member(*id, word.substr(equals + 1), target, why)) return false;
      if (equals == word.size() && find(*id) == nullptr) return refuse("ERR where a new server is has to be said");
      list->push_back(raft::node_id{*id});
    }
    return true;
  }
  const auto id = to_count(words[0]);
  if (!id) return refuse("ERR a server is named by its number");
  const raft::node_id who{*id};
  std::erase(target.voters, who);
  std::erase(target.learners, who);
  if (what.verb == verb::raft_remove) return true;
  const bool learner = words.size() == 3 && same_word(words[2], "learner");
  if (words.size() > 3 || (words.size() == 3 && !learner)) return refuse(texts::syntax);
  (learner ? target.learners : target.voters).push_back(who);
  return read_member(*id, words[1], target, why);
}

void service::change_members(client& c, const command& what) {
  const auto say_error = [&](const std::string& text) {
    desk_.say(c, [&text](std::string& out) { resp::write_error(out, text); });
  };
  if (!desk_.leading()) return say_error(desk_.elsewhere());
  const raft::configuration& now = engine_->configuration();
  if (now.joint()) return say_error("ERR a change is under way");
  raft::membership target{now.voters, now.learners, {}};
  std::string why;
  if (!read_target(what, target, why)) return say_error(why);
  if (const auto next = raft::step_towards(now, target); next && *next == now) {
    return desk_.say(c, [](std::string& out) { resp::write_simple(out, "OK"); });  // it is so already
  }
  raft::error refusal{};
  if (what.verb == verb::raft_add && !now.is_voter(raft::node_id{*to_count(what.words[0])}) && what.words.size() == 2) {
    // A new voter catches up as a learner first: meanwhile the cluster does without it.
    const auto begun = engine_->add_server(target.data.front());
    if (begun) return desk_.expect_promotion(c);
    refusal = begun.error();
  } else {
    const auto place = engine_->change_membership(target);
    if (place) return desk_.expect_change(c, *place);
    refusal = place.error();
  }
  say_error(refusal.code == raft::errc::not_leader ? desk_.elsewhere()
            : refusal.code == raft::errc::failed   ? std::string(texts::unknown)
                                                   : std::string("ERR ") + refusal.what);
}

/// RAFT.PREVIEW: what RAFT.CHANGE with the same words would do now, and whether anything would commit after it.
void service::say_preview(std::string& out, const command& what) const {
  raft::membership target;
  std::string why;
  if (!read_target(what, target, why)) return resp::write_error(out, why);
  const auto preview = engine_->preview_change(target);
  if (!preview) {
    const bool elsewhere = preview.error().code == raft::errc::not_leader;
    return resp::write_error(out, elsewhere ? desk_.elsewhere() : std::string("ERR ") + preview.error().what);
  }
  const auto ids = [](const std::vector<raft::node_id>& list) {
    std::string joined;
    for (const raft::node_id id : list) joined += (joined.empty() ? "" : ",") + std::to_string(id.value);
    return joined;
  };
  std::string text = "voters " + ids(preview->next.voters);
  if (preview->next.joint()) text += ", together with " + ids(preview->next.outgoing) + " at first";
  if (!preview->next.learners.empty()) text += "; learners " + ids(preview->next.learners);
  if (!preview->next.learners_next.empty()) text += "; learners afterwards " + ids(preview->next.learners_next);
  raft::sentence heard;
  if (preview->quorum_is_heard) {
    heard << "; a majority of the voters is heard";
  } else {
    heard << "; nothing would commit before " << preview->more_are_needed << " more of " << preview->not_heard
          << " are heard";
  }
  resp::write_bulk(out, text.append(heard.view()));
}

/// RAFT.TRANSFER [id]: leadership goes to that server, or to the one that has the most of the log.
void service::transfer(client& c, const command& what) {
  const auto say_error = [&](const std::string& text) {
    desk_.say(c, [&text](std::string& out) { resp::write_error(out, text); });
  };
  if (what.words.size() > 1) return say_error("ERR wrong number of arguments for 'raft.transfer' command");
  if (!desk_.leading()) return say_error(desk_.elsewhere());
  raft::result<void> begun;
  if (what.words.empty()) {
    if (const auto best = engine_->transfer_leadership(); !best) begun = best.error();
  } else {
    const auto id = to_count(what.words[0]);
    if (!id) return say_error("ERR a server is named by its number");
    begun = engine_->transfer_leadership(raft::node_id{*id});
  }
  if (!begun) return say_error(std::string("ERR ") + begun.error().what);
  desk_.expect_transfer(c);
}

bool service::hand_over() {
  if (!desk_.leading() || engine_->failed()) return false;
  const auto begun = engine_->transfer_leadership();
  return begun || begun.error().code == raft::errc::transferring;  // again, when one has timed out
}

std::vector<std::pair<std::string, std::string>> service::status() const {
  const auto s = engine_->status();
  const auto text = [](auto n) { return std::to_string(n); };
  const auto ids = [](const std::vector<raft::node_id>& list) {
    std::string joined;
    for (const raft::node_id id : list) joined += (joined.empty() ? "" : ",") + std::to_string(id.value);
    return joined;
  };
  static constexpr const char* roles[] = {"follower", "pre-candidate", "candidate", "leader"};
  std::vector<std::pair<std::string, std::string>> all = {
      {"id", text(s.id.value)},
      {"role", roles[static_cast<std::size_t>(s.role)]},
      {"term", text(s.term.value)},
      {"leader", text(s.leader.value)},
      {"commit_index", text(s.commit_index.value)},
      {"applied_index", text(s.last_applied.value)},
      {"last_index", text(s.last_index.value)},
      {"snapshot_index", text(s.snapshot_index.value)},
      {"voters", ids(s.configuration.voters)},
      {"learners", ids(s.configuration.learners)},
      {"first_index", text(s.first_index.value)},
      {"durable_index", text(s.durable_index.value)},
      {"uncommitted_bytes", text(s.uncommitted_bytes)},
      {"waiting_writes", text(desk_.waiting_writes())},
      {"forwarded_writes", text(desk_.forwards())},
      {"messages_sent", text(engine_->observer().counts().sent)},
      {"transfer_target", text(s.transfer_target.value)},
      {"configuration_index", text(s.configuration_index.value)},
      {"outgoing_voters", ids(s.configuration.outgoing)},
      {"keys", text(desk_.state().keys())},
      {"sessions", text(desk_.state().session_count())},
      {"clients", text(desk_.connections())},
  };
  static constexpr const char* states[] = {"probe", "replicate", "snapshot", "lost"};
  for (const auto& p : s.peers) {
    all.emplace_back("peer_" + text(p.id.value), std::string(states[static_cast<std::size_t>(p.state)]) + " match " +
                                                     text(p.match.value) + " in flight " + text(p.inflight_messages));
  }
  return all;
}

void service::say_status(std::string& out) const {
  const auto all = status();
  resp::write_array(out, 2 * all.size());
  for (const auto& [field, value] : all) {
    resp::write_bulk(out, field);
    resp::write_bulk(out, value);
  }
}

std::string service::metrics() const {
  std::string page;
  const auto put = [&page](std::string_view name, std::string_view help, std::string_view type, std::uint64_t value) {
    page.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ").append(name).append(" ");
    page.append(type).append("\n").append(name).append(" ").append(std::to_string(value)).append("\n");
  };
  engine_->observer().for_each([&put](const raft::metric& m) {
    put(m.name, m.help, m.type == raft::metric_type::counter ? "counter" : "gauge", m.value);
  });
  put("raft_kv_keys", "Keys that are stored.", "gauge", desk_.state().keys());
  put("raft_kv_sessions", "Sessions that are kept.", "gauge", desk_.state().session_count());
  put("raft_kv_clients", "Connections of clients.", "gauge", desk_.connections());
  put("raft_kv_waiting_writes", "Commands that wait for the log.", "gauge", desk_.waiting_writes());
  put("raft_kv_forwarded_writes", "Commands that were sent on to the leader and wait for their end.", "gauge",
      desk_.forwards());
  return page;
}

/// RAFT.WHY: why there is no leader, and why members are not sent more; RAFT.WHY index: why it is not committed.
void service::say_why(std::string& out, std::span<const std::string_view> words) const {
  if (words.size() > 1) return resp::write_error(out, "ERR wrong number of arguments for 'raft.why' command");
  if (words.size() == 1) {
    const auto index = to_count(words[0]);
    if (!index) return resp::write_error(out, texts::not_an_integer);
    return resp::write_bulk(out, raft::explain(engine_->why_not_committed(raft::index_t{*index})).view());
  }
  std::vector<std::string> lines;
  lines.emplace_back(raft::explain(engine_->why_no_leader()).view());
  if (desk_.leading()) {
    for (const raft::node_id id : raft::members_of(engine_->configuration())) {
      if (id.value != options_.id) lines.emplace_back(raft::explain(engine_->why_paused(id)).view());
    }
  }
  resp::write_array(out, lines.size());
  for (const std::string& line : lines) resp::write_bulk(out, line);
}

}  // namespace kv
