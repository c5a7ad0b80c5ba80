#include "support/server.hpp"

#include <sstream>

#include <doctest/doctest.h>

#include "support/printing.hpp"

namespace story {

using namespace raft;

namespace {

struct mailbox {
  world* where;
  void send(const message& m) { where->mail.push_back(keep(m)); }
  template <class Writer>
  void canonical(Writer& w) const {
    w(where->carries);
  }
};

/// Gets by envelope and body what does not wait.
struct body_mailbox : mailbox {
  using mailbox::send;
  template <class Body>
  void send(const envelope& m, const Body& body) {
    send(message{m.from, m.to, m.term, message_body{std::in_place_type<Body>, body}});
  }
};

struct carrier_mailbox : mailbox {
  bool send_snapshot(const envelope& m, const install_snapshot& head) {
    where->offered.push_back(keep(message{m.from, m.to, m.term, head}));
    return where->carries;
  }
};

struct test_clock {
  using duration = ms;
  using time_point = ms;
  const ms* at;
  [[nodiscard]] ms now() const { return *at; }
};

struct watcher {
  std::vector<event>* seen;
  template <class Event>
  void on(const Event& e) {
    seen->emplace_back(e);
  }
};

template <class Log, class Machine, class Transport = mailbox>
class server_of final : public server {
 public:
  using engine = node<Transport, Log, test_clock, Machine, watcher>;

  explicit server_of(std::shared_ptr<world> where) : server(std::move(where)) {}

  result<void> begin(node_id id, memory_log log, const setup& how, const recorder& machine) {
    Machine own;
    static_cast<recorder&>(own) = machine;
    auto made = engine::create(id, how.options, how.seed, Transport{world_.get()}, Log{std::move(log)},
                               test_clock{&world_->now}, std::move(own), watcher{&events});
    if (!made) return made.error();
    node_.emplace(*std::move(made));
    return {};
  }

  result<void> step(const message& m) override { return node_->step(m); }
  result<void> executed(index_t index) override { return node_->step(raft::applied{index}); }
  result<void> fetched(index_t first, index_t last) override { return node_->step(raft::fetched{first, last}); }
  result<void> report(const raft::persisted& p) override { return node_->step(p); }
  void tick() override { node_->tick(); }
  void campaign() override { node_->campaign(); }
  using server::propose;
  result<proposal> propose(std::span<const payload> commands) override {
    return commands.size() == 1 ? node_->propose(commands[0]) : node_->propose(commands);
  }
  result<proposal> propose(std::string_view command, term_t expected) override {
    return node_->propose(payload_of(command), expected);
  }
  result<void> propose_anywhere(std::string_view command, std::uint64_t context) override {
    return node_->propose_anywhere(payload_of(command), context);
  }
  result<void> read(std::uint64_t context) override { return node_->read(context); }
  result<void> read_anywhere(std::uint64_t context) override { return node_->read_anywhere(context); }
  result<ms> read_stale(ms at_most) override { return node_->read_stale(at_most); }
  result<index_t> take_snapshot() override { return node_->take_snapshot(); }
  result<snapshot_meta> begin_snapshot(std::optional<index_t> at) override { return node_->begin_snapshot(at); }
  result<void> write_snapshot(std::string_view bytes) override { return node_->write_snapshot(payload_of(bytes)); }
  result<void> snapshot_written(index_t index) override { return node_->step(raft::snapshot_written{index}); }
  result<void> snapshot_abandoned(index_t index) override { return node_->step(raft::snapshot_abandoned{index}); }
  result<index_t> request_snapshot() override { return node_->request_snapshot(); }
  result<void> carried(const snapshot_carried& c) override { return node_->step(c); }
  result<void> restored(index_t index) override {
    const auto& done = machine().restored;
    const bool again = !done.empty() && done.back() == index;
    if (const auto& meta = log().snapshot(); meta.index == index && !again) {
      machine().state = text_of(*log().read_snapshot(0, static_cast<std::uint32_t>(meta.size)));
    }
    return node_->step(raft::restored{index});
  }
  result<void> transfer_to(node_id target) override { return node_->transfer_leadership(target); }
  result<node_id> transfer_to_best() override { return node_->transfer_leadership(); }
  result<void> step_down() override { return node_->step_down(); }
  void evacuate() override { node_->evacuate(); }
  void stop_evacuation() override { node_->stop_evacuation(); }
  result<void> forget_leader() override { return node_->forget_leader(); }
  [[nodiscard]] bool transferring() const override { return node_->transferring(); }
  result<proposal> change(const membership& target, std::optional<index_t> expected) override {
    return node_->change_membership(target, expected);
  }
  result<void> add(const member_data& who) override { return node_->add_server(who); }
  result<proposal> leave_joint() override { return node_->leave_joint_configuration(); }
  result<change_preview> preview(const membership& target) override { return node_->preview_change(target); }
  [[nodiscard]] ms deadline() const override { return node_->deadline(); }
  [[nodiscard]] raft::status<ms> status() const override { return node_->status(); }
  [[nodiscard]] commit_delay why_not_committed(index_t index) const override { return node_->why_not_committed(index); }
  [[nodiscard]] leader_absence why_no_leader() const override { return node_->why_no_leader(); }
  [[nodiscard]] peer_pause why_paused(std::uint64_t peer) const override { return node_->why_paused(node_id{peer}); }
  void canonical(canonical_writer& w) const override { node_->canonical(w); }
  [[nodiscard]] bool failed() const override { return node_->failed(); }
  [[nodiscard]] test_log& log() override { return node_->log(); }
  [[nodiscard]] recorder& machine() override { return node_->machine(); }

 private:
  std::optional<engine> node_{};
};

template <class Log, class Machine, class Transport = mailbox>
result<std::unique_ptr<server>> try_start_as(node_id id, memory_log log, const setup& how, const recorder& machine,
                                             std::shared_ptr<world> where) {
  auto made = std::make_unique<server_of<Log, Machine, Transport>>(std::move(where));
  if (auto begun = made->begin(id, std::move(log), how, machine); !begun) return begun.error();
  return std::unique_ptr<server>(std::move(made));
}

}  // namespace

result<std::unique_ptr<server>> try_start(node_id id, memory_log log, const setup& how, recorder machine,
                                          std::shared_ptr<world> where) {
  if (where == nullptr) where = std::make_shared<world>();
  if (how.carrier) {
    return try_start_as<durable_test_log, recorder, carrier_mailbox>(id, std::move(log), how, machine,
                                                                     std::move(where));
  }
  if (how.bodies) {
    return try_start_as<durable_test_log, recorder, body_mailbox>(id, std::move(log), how, machine, std::move(where));
  }
  if (how.patient && how.deferred) {
    return try_start_as<deferred_test_log, patient_recorder>(id, std::move(log), how, machine, std::move(where));
  }
  if (how.patient) {
    return try_start_as<durable_test_log, patient_recorder>(id, std::move(log), how, machine, std::move(where));
  }
  if (how.deferred && how.elsewhere) {
    return try_start_as<deferred_test_log, distant_recorder>(id, std::move(log), how, machine, std::move(where));
  }
  if (how.deferred) {
    return try_start_as<deferred_test_log, recorder>(id, std::move(log), how, machine, std::move(where));
  }
  if (how.elsewhere) {
    return try_start_as<durable_test_log, distant_recorder>(id, std::move(log), how, machine, std::move(where));
  }
  return try_start_as<durable_test_log, recorder>(id, std::move(log), how, machine, std::move(where));
}

std::unique_ptr<server> start(node_id id, const stored& log, const setup& how, recorder machine) {
  auto made = try_start(id, log.build(), how, std::move(machine));
  REQUIRE_MESSAGE(made.has_value(), made.error().what);
  return *std::move(made);
}

std::unique_ptr<server> follower_of_one(const setup& how) {
  auto b = start(2_n, {.members = voters(3)}, how);
  CHECK(b->step(append(1_n, 2_n, 1_t, {}, 0_i, {no_op(1)}, 0)));
  CHECK(b->step(append(1_n, 2_n, 1_t, {1_i, 1_t}, 1_i, {}, 0)));
  b->take_mail();
  return b;
}

setup small_chunks() {
  setup how;
  how.options.snapshot_chunk_bytes = 4;
  how.options.trailing_entries = 0;
  return how;
}

void win(server& s) {
  s.campaign();
  (void)s.persisted();
  for (int round = 0; round < 2 && !s.leads(); ++round) {
    for (const letter& l : s.take_mail()) {
      if (l.is<request_pre_vote>()) {
        CHECK(s.step(say(l.what.to, l.what.from, l.what.term, request_pre_vote_reply{l.what.term, true})));
      } else if (l.is<request_vote>() && l.what.term == s.term()) {
        CHECK(s.step(say(l.what.to, l.what.from, l.what.term, request_vote_reply{true})));
      }
    }
    (void)s.persisted();
  }
  s.take_mail();
  REQUIRE(s.leads());
}

result<proposal> server::propose(std::string_view command) {
  const payload one = payload_of(command);
  return propose(std::span<const payload>{&one, 1});
}

result<proposal> server::propose(std::initializer_list<std::string_view> commands) {
  std::vector<payload> views;
  for (const std::string_view command : commands) views.push_back(payload_of(command));
  return propose(std::span<const payload>{views});
}

peer_status<ms> server::peer(std::uint64_t id) const {
  for (const auto& p : status().peers) {
    if (p.id == node_id{id}) return p;
  }
  FAIL("no such peer: " << id);
  return {};
}

result<void> server::persisted(mark_t first, mark_t last) {
  log().complete(first, last);
  return report({first, last});
}

result<void> server::persisted() {
  while (true) {
    const std::vector<mark_t> marks = log().under_way();
    if (marks.empty()) return {};
    if (auto told = persisted(marks.front(), marks.back()); !told) return told;
  }
}

void server::pass(ms duration) {
  now() += duration;
  tick();
}

void require_only(const std::vector<letter>& mail, bool of_that_kind) {
  std::ostringstream all;
  for (const letter& l : mail) all << "\n  " << l;
  REQUIRE_MESSAGE(of_that_kind, "the mail is not one letter of the kind asked for:", all.str());
}

std::string server::picture() {
  std::ostringstream out;
  out << status() << '\n' << story::read(log().image()) << '\n' << log().hard_state() << '\n' << log().snapshot();
  out << '\n' << log().partial().meta << " received " << log().partial().received << '\n' << state();
  out << '\n'
      << machine().fates.size() << " fates, " << machine().reads.size() << " reads, " << machine().transfers.size()
      << " transfers, " << log().writes.size() << " writes";
  return out.str();
}

std::ostream& operator<<(std::ostream& out, const recorder::command& c) {
  return out << c.index << ':' << c.term << ' ' << c.text;
}
std::ostream& operator<<(std::ostream& out, const recorder::fated& f) {
  return out << '[' << f.first << ", " << f.last << "] term " << f.term << ' ' << f.what;
}
std::ostream& operator<<(std::ostream& out, const recorder::answered& a) {
  return out << a.context << ' ' << a.what << " at " << a.index << ": " << a.state;
}
std::ostream& operator<<(std::ostream& out, const recorder::transfer& t) { return out << t.target << ' ' << t.what; }
std::ostream& operator<<(std::ostream& out, const recorder::forwarded& f) {
  return out << f.context << ' ' << f.what << " at " << f.place << " by " << f.leader;
}
std::ostream& operator<<(std::ostream& out, const recorder::role& r) {
  return out << r.what << " in " << r.term << " of " << r.leader;
}

}  // namespace story
