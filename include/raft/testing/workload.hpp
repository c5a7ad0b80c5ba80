#pragma once

// What clients, operators and strangers do to a simulated cluster: proposals of every size, alone and in spans, reads,
// snapshots and campaigns at random moments, and messages that no server of the cluster would send.

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <raft/testing/cluster.hpp>
#include <raft/testing/hash.hpp>
#include <raft/testing/rng.hpp>

namespace raft::testing {

class workload {
 public:
  explicit workload(cluster& c) : cluster_(&c) {}

  /// From now on it draws from `chance`; what it proposes and asks is told apart by the errand's number.
  void begin(std::uint64_t errand, rng chance) {
    chance_ = chance;
    serial_ = contexts_ = errand << 8;
  }

  /// Does one thing, at a server that is up.
  void act() {
    server* s = choose();
    if (s == nullptr) return;
    const plan& p = cluster_->chosen();
    if (chance_.permille(p.snapshot_permille)) return take_snapshot(*s);
    if (chance_.permille(p.snapshot_request_permille)) return request_snapshot();
    if (chance_.permille(p.campaign_permille)) return campaign(*s);
    if (chance_.permille(p.hostile_permille)) return disturb(*s);
    if (chance_.permille(p.change_permille)) return change_membership(*s);
    if (chance_.permille(p.leadership_permille)) return lead_otherwise(*s);
    if (chance_.permille(p.spurious_tick_permille)) return cluster_->call(*s, [s] { s->tick(); });
    if (chance_.permille(p.stale_permille)) return read_stale();
    if (chance_.permille(p.forward_permille)) return propose_anywhere();
    if (chance_.permille(p.read_permille))
      return chance_.permille(p.anywhere_permille) ? read_anywhere() : (void)read(*s);
    if (chance_.permille(p.session_permille)) return act_in_session(*s);
    if (chance_.permille(p.span_permille)) return propose_span(*s);
    draw_commands(1, true);
    (void)propose(*s, payloads_);
  }

  /// A proposal of one small command; the checks hear of it.
  result<proposal> propose_one(server& s) {
    draw_commands(1, false);
    return propose(s, payloads_);
  }

  /// Asks for a read; false if it was refused. The context is the last one given out then.
  bool read(server& s) {
    return read(s, [&s](std::uint64_t context) { return s.read(context); });
  }

 private:
  template <class Ask>
  bool read(server& s, Ask&& ask) {
    const std::uint64_t context = ++contexts_;
    cluster_->counts().add(meter::reads_asked);
    cluster_->teller().deed(cluster_->now(), "%" PRIu64 " is asked to read", s.id.value);
    bool asked = false;
    cluster_->call(s, [&] {
      cluster_->checks().read_asked(s, context);
      const auto answer = ask(context);
      asked = answer.has_value();
      if (!asked) cluster_->checks().read_refused(s, context);
    });
    const auto& open = cluster_->checks().of(s).reads;
    const bool answered = asked && s.up && (open.empty() || open.back().context != context);
    if (answered && s.look().role == role_kind::leader && s.configuration().voters.size() > 1) {
      cluster_->counts().add(meter::reads_by_lease);
    }
    return asked;
  }

  server* any_that_hears() {
    server& any = cluster_->at(chance_.below(cluster_->servers().size()));
    return any.up && any.paused_until <= cluster_->now() ? &any : nullptr;
  }

  void read_anywhere() {
    server* s = any_that_hears();
    if (s != nullptr) read(*s, [s](std::uint64_t context) { return s->read_anywhere(context); });
  }

  void propose_anywhere() {
    server* s = any_that_hears();
    if (s == nullptr) return;
    draw_commands(1, true);
    const std::uint64_t context = ++contexts_;
    const bool leads = s->look().role == role_kind::leader;
    cluster_->teller().deed(cluster_->now(), "%" PRIu64 " is asked to forward a command", s->id.value);
    cluster_->call(*s, [&] {
      cluster_->checks().about_to_forward(*s, context, payloads_.front(), leads);
      const auto answer = s->propose_anywhere(payloads_.front(), context);
      cluster_->checks().forwarded(*s, context, answer.has_value());
      cluster_->counts().add(answer ? meter::forwards : meter::forwards_refused);
    });
  }

  void read_stale() {
    server* s = any_that_hears();
    if (s == nullptr) return;
    const instant at_most = chance_.log_between(1, 4 * cluster_->chosen().options.election_timeout_max);
    cluster_->call(*s, [&] {
      const auto bound = s->read_stale(at_most);
      cluster_->counts().add(bound ? meter::stale_reads_shown : meter::stale_reads_refused);
      if (bound && *bound > at_most) cluster_->checks().report("I39", *s, "shows what is more stale than allowed");
      if (bound) cluster_->checks().read_stale(*s, *bound);
    });
  }

  static constexpr std::size_t largest_span = 8;

  /// Mostly the leader; now and then anyone, since clients err.
  server* choose() {
    server* leader = cluster_->leader();
    if (leader != nullptr && leader->paused_until <= cluster_->now() && !chance_.permille(250)) return leader;
    server& any = cluster_->at(chance_.below(cluster_->servers().size()));
    return any.up && any.paused_until <= cluster_->now() ? &any : nullptr;
  }

  /// Makes payloads_ view `n` commands. `any_size`: among them such as are larger than a leader takes.
  void draw_commands(std::size_t n, bool any_size) {
    buffer_.clear();
    std::array<std::size_t, largest_span> ends{};
    for (std::size_t i = 0; i < n; ++i) {
      draw_command(any_size);
      ends[i] = buffer_.size();
    }
    payloads_.clear();
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t at = i == 0 ? 0 : ends[i - 1];
      payloads_.emplace_back(buffer_.data() + at, ends[i] - at);
    }
  }

  /// Appends one to buffer_: the user's, or bytes that were never proposed before (if there is room for that).
  void draw_command(bool any_size) {
    const auto limit = static_cast<std::size_t>(cluster_->chosen().payload_max);
    const std::uint64_t part = chance_.below(16);
    const subject_kit* kit = cluster_->kit();
    const bool too_large = any_size && part == 2;
    if (kit != nullptr && kit->command && !too_large) {
      const std::vector<std::byte> drawn = kit->command(chance_);
      buffer_.insert(buffer_.end(), drawn.begin(), drawn.end());
      return;
    }
    const std::size_t size = too_large   ? limit + 1
                             : part == 0 ? 0
                             : part == 1
                                 ? limit
                                 : static_cast<std::size_t>(chance_.log_between(1, cluster_->chosen().payload_max));
    if (size == 0) cluster_->counts().add(meter::empty_proposals);
    if (size == limit) cluster_->counts().add(meter::largest_proposals);
    const std::size_t begin = buffer_.size();
    buffer_.resize(begin + (size + 7) / 8 * 8);
    std::uint64_t word = mix(++serial_);
    for (std::size_t at = 0; at < size; at += 8, word += 0x9e3779b97f4a7c15ULL) {
      raft::detail::store_le<std::uint64_t>(buffer_.data() + begin + at, word);
    }
    buffer_.resize(begin + size);
  }

  /// A client looks at what became of its commands, and sends the next one, or an old one again.
  void act_in_session(server& s) {
    session_client& client = session_clients_[chance_.below(session_clients_.size())];
    const history& ghosts = cluster_->checks().ghosts();
    const auto term_at = [&ghosts](index_t i) {
      return i <= ghosts.last_committed() ? ghosts.committed(i).term : term_t{};
    };
    if (const char* wrong = client.learn(cluster_->checks().ledger(), term_at)) {
      cluster_->checks().report("I50", s, "%s", wrong);
    }
    const session_command command = client.next(cluster_->chosen().sessions.window, chance_);
    const auto form = command.form(++serial_);
    const payload bytes{form};
    const auto answer = propose(s, std::span<const payload>{&bytes, 1});
    if (answer) client.sent(command, *answer);
  }

  void propose_span(server& s) {
    const std::size_t n = chance_.permille(20) ? 0 : 1 + chance_.below(largest_span);
    draw_commands(n, false);
    const auto answer = propose(s, payloads_);
    if (answer) cluster_->counts().add(meter::spans);
    if (answer && n == 0) cluster_->checks().report("I30", s, "takes a proposal of nothing");
  }

  result<proposal> propose(server& s, std::span<const payload> commands) {
    result<proposal> answer{errc::failed, ""};
    cluster_->call(s, [&] {
      cluster_->checks().about_to_propose(commands);
      answer = commands.size() == 1 && chance_.permille(100) ? propose_in_a_term(s, commands[0]) : s.propose(commands);
      cluster_->checks().proposed(s, answer);
    });
    meters& counts = cluster_->counts();
    if (answer) {
      counts.add(meter::proposals);
    } else if (answer.error().code == errc::too_large) {
      counts.add(meter::refused_too_large);
    } else if (answer.error().code == errc::transferring) {
      counts.add(meter::refused_transferring);
    } else if (answer.error().code == errc::busy) {
      counts.add(meter::refused_busy);
    } else if (answer.error().code == errc::not_leader) {
      counts.add(meter::refused_not_leader);
    }
    if (cluster_->teller().told()) {
      cluster_->teller().deed(cluster_->now(), "%" PRIu64 " is asked to append %s: %s", s.id.value,
                              describe(commands).c_str(), answer ? "done" : answer.error().what);
    }
    return answer;
  }

  [[nodiscard]] std::string describe(std::span<const payload> commands) const {
    const subject_kit* kit = cluster_->kit();
    if (kit == nullptr || !kit->describe) return std::to_string(commands.size()) + " commands";
    std::string text;
    for (const payload command : commands) {
      const bool theirs = command.size() <= kit->largest_command;  // or one that no leader takes
      text.append(text.empty() ? "" : ", ").append(theirs ? kit->describe(command) : "what is too large");
    }
    return text;
  }

  /// For the present term, or for another one: then it is refused.
  result<proposal> propose_in_a_term(server& s, payload command) {
    const glance now = s.look();
    const term_t expected{now.term.value + chance_.below(3)};
    const auto answer = s.propose(command, expected);
    const bool moved = !answer && answer.error().code == errc::term_moved;
    if (moved) cluster_->counts().add(meter::refused_term_moved);
    if (moved != (expected != now.term) && !now.failed) {
      cluster_->checks().report("I30", s, "takes a proposal for term %" PRIu64 " in term %" PRIu64, expected.value,
                                now.term.value);
    }
    return answer;
  }

  /// An operator's wish about who is to lead.
  void lead_otherwise(server& s) {
    cluster_->teller().deed(cluster_->now(), "%" PRIu64 " is told who is to lead", s.id.value);
    switch (chance_.below(8)) {
      case 0:
        return ask(s, meter::step_downs_asked, [&s] { return s.step_down().has_value(); });
      case 1:
        cluster_->counts().add(meter::evacuations);
        return cluster_->call(s, [&s] { s.evacuate(); });
      case 2:
        return cluster_->call(s, [&s] { s.stop_evacuation(); });
      case 3:
        return forget_leader(s);
      case 4:
      case 5:
        return transfer(s, [&s] { return s.transfer_leadership().has_value(); });
      default: {
        const node_id target = cluster_->at(chance_.below(cluster_->servers().size())).id;
        return transfer(s, [&s, target] { return s.transfer_leadership(target).has_value(); });
      }
    }
  }

  template <class Call>
  void ask(server& s, meter counted, Call&& into) {
    bool done = false;
    cluster_->call(s, [&] { done = into(); });
    if (done) cluster_->counts().add(counted);
  }

  template <class Call>
  void transfer(server& s, Call&& into) {
    bool begun = false;
    cluster_->call(s, [&] { begun = into(); });
    if (!begun) cluster_->counts().add(meter::transfers_refused);
  }

  void forget_leader(server& s) {
    if (s.look().leader == nobody) return;
    ask(s, meter::leaders_forgotten, [&] {
      cluster_->checks().forced_to_campaign(s);
      return s.forget_leader().has_value();
    });
  }

  membership draw_membership() {
    membership target;
    for (const auto& other : cluster_->servers()) {
      const std::uint64_t part = chance_.below(8);
      if (part < 5) target.voters.push_back(other->id);
      if (part == 5) target.learners.push_back(other->id);
    }
    if (target.voters.empty()) target.voters.push_back(cluster_->servers().front()->id);
    draw_data(target.voters, target.data);
    draw_data(target.learners, target.data);
    return target;
  }

  /// Sets the data of some of them, or takes it away.
  void draw_data(const std::vector<node_id>& of, std::vector<member_data>& data) {
    for (const node_id id : of) {
      if (chance_.permille(800)) continue;
      const std::size_t size = chance_.permille(200) ? 0 : 1 + chance_.below(24);
      data.push_back({id, std::vector<std::byte>(size, static_cast<std::byte>(chance_.below(256)))});
    }
  }

  /// To a random membership of all servers; out of a joint one that stays, if there is one. What a preview says comes
  /// true, and a change that expects another configuration than the one in force is refused.
  void change_membership(server& s) {
    if (s.configuration().joint() && !s.configuration().auto_leave) return leave_joint(s);
    if (chance_.permille(400)) return add_server(s);
    const membership target = draw_membership();
    std::optional<index_t> expected;
    const index_t in_force = s.status().configuration_index;
    if (chance_.permille(500)) expected = chance_.permille(200) ? in_force.next() : in_force;
    const auto preview = s.preview_change(target, expected);
    const bool new_one = preview && !(preview->next == s.configuration());
    result<proposal> answer{errc::failed, ""};
    cluster_->call(s, [&] { answer = s.change_membership(target, expected); });
    invariants& checks = cluster_->checks();
    if (answer.has_value() != new_one) checks.report("I16", s, "does not do to the membership what its preview says");
    if (answer && expected == in_force.next()) checks.report("I16", s, "changes another membership than was expected");
    cluster_->counts().add(answer ? meter::changes : meter::changes_refused);
    if (answer && !s.configuration().data.empty()) cluster_->counts().add(meter::changes_with_data);
    if (answer) cluster_->teller().deed(cluster_->now(), "%" PRIu64 " changes the membership", s.id.value);
  }

  /// Mostly of one that has no vote.
  void add_server(server& s) {
    const auto& all = cluster_->servers();
    node_id who = all[chance_.below(all.size())]->id;
    for (int tries = 0; tries < 8 && s.configuration().is_voter(who); ++tries) who = all[chance_.below(all.size())]->id;
    cluster_->call(s, [&] {
      const bool was_free = cluster_->checks().promotion_asked(s, who);
      if (!s.add_server({who, {}}) && was_free) cluster_->checks().promotion_refused(s);
    });
  }

  void leave_joint(server& s) {
    bool done = false;
    cluster_->call(s, [&] { done = s.leave_joint_configuration().has_value(); });
    if (done) cluster_->counts().add(meter::joint_configurations_left);
  }

  void take_snapshot(server& s) {
    if (chance_.permille(400)) return cluster_->begin_piecewise_snapshot(s);
    cluster_->call(s, [&] {
      const auto taken = s.take_snapshot();
      if (!taken) return;
      cluster_->counts().add(meter::snapshots_taken);
      cluster_->teller().deed(cluster_->now(), "%" PRIu64 " takes a snapshot of %" PRIu64, s.id.value, taken->value);
    });
  }

  /// A server finds its state machine damaged.
  void request_snapshot() {
    server& s = cluster_->at(chance_.below(cluster_->servers().size()));
    if (!s.up || s.paused_until > cluster_->now()) return;
    cluster_->call(s, [&] {
      if (!s.request_snapshot()) return;
      s.wants_snapshot = true;
      s.own_snapshot = {};
      cluster_->counts().add(meter::snapshot_requests);
      cluster_->teller().deed(cluster_->now(), "%" PRIu64 " finds its machine damaged", s.id.value);
    });
  }

  void campaign(server& s) {
    cluster_->counts().add(meter::campaigns_forced);
    cluster_->teller().deed(cluster_->now(), "%" PRIu64 " is made to campaign", s.id.value);
    cluster_->call(s, [&] {
      cluster_->checks().forced_to_campaign(s);
      s.campaign();
    });
  }

  /// [I47] A message that no correct server sends is refused, and changes nothing.
  void disturb(server& s) {
    const glance before = s.look();
    if (before.failed || before.term == term_t{}) return;
    const node_id other{s.id.value % cluster_->servers().size() + 1};
    cluster_->teller().deed(cluster_->now(), "%" PRIu64 " is sent what no server sends", s.id.value);
    message m{other, s.id, before.term, append_entries{}};
    append_entries request;
    switch (chance_.below(7)) {
      case 0:
        m.to = node_id{99};
        break;
      case 1:
        m.from = s.id;
        break;
      case 2:
        m.term = term_t{0};
        break;
      case 3:
        m.term = term_t{UINT64_MAX};
        break;
      case 4:
        request.prev_log_index = index_t{UINT64_MAX - 1};
        request.prev_log_term = term_t{1};
        m.body = request;
        break;
      case 5:
        m.body = read_reply{chance_.next(), index_t{UINT64_MAX}, true};
        break;
      default:
        if (before.commit == index_t{} || before.commit < s.disk.image().first_index()) return;
        request.prev_log_index = before.commit;
        request.prev_log_term = term_t{s.disk.image().term_at(before.commit).value + 1};
        m.term = before.term.next();
        m.body = request;
        break;
    }
    if (m.from == s.id && m.to == s.id && cluster_->servers().size() > 1 && chance_.permille(500)) m.from = nobody;
    cluster_->call(s, [&] {
      const index_t last = s.disk.image().last_index();
      const auto taken = s.step(m);
      const glance after = s.look();
      const bool same = before.term == after.term && before.role == after.role && before.leader == after.leader &&
                        before.commit == after.commit && last == s.disk.image().last_index();
      cluster_->counts().add(meter::hostile_refused);
      if (taken || !same)
        cluster_->checks().report("I47", s, "takes a message that no server sends: %s", to_text(m).c_str());
    });
  }

  cluster* cluster_;
  rng chance_{0};
  std::vector<std::byte> buffer_{};
  std::vector<payload> payloads_{};
  std::uint64_t serial_ = 0;
  std::uint64_t contexts_ = 0;
  std::array<session_client, 6> session_clients_{};
};

}  // namespace raft::testing
