// A live cluster under hostile messages (libFuzzer). Three servers talk to each other; the input says which of their
// messages arrives, when, twice or never, what clients and time do, who crashes, and, on the way, what somebody hostile
// says: a message that a server sent with some fields changed, or anything.
//
// What must hold:
//   - what a node refuses, a message or a local event, changes nothing: its canonical bytes are the same, times and
//     chance included, and it sends nothing;
//   - whatever a node takes in, it stays a node: indexes in order, terms rising, what is committed unchanged;
//   - as long as nobody took in a word that no server said, no server's message is refused, a term has one leader, and
//     what is committed is the same everywhere.
//
// Byte 0 chooses how the servers are made: whether writes are durable at once, whether there is a pre-vote, a lease, a
// learner. Then each turn takes a byte for what happens, and what that needs.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <raft/canonical.hpp>
#include <raft/memory_log.hpp>
#include <raft/raft.hpp>

#include "fuzz/input.hpp"

namespace {

using namespace raft;
using fuzz::input;
using fuzz::require;

constexpr cluster_id home{7};
constexpr std::size_t most_mail = 64;

using frame = std::vector<std::byte>;

struct frames_transport {
  std::vector<frame>* mail;
  std::uint64_t* sent;
  void send(const message& m) const {
    require(m.from != m.to && m.to != nobody);
    ++*sent;
    frame f;
    require(append_frame(m, home, f).has_value());
    if (mail->size() == most_mail) mail->erase(mail->begin());
    mail->push_back(std::move(f));
  }
};

struct hand_clock {
  using duration = std::int64_t;
  using time_point = std::int64_t;
  const std::int64_t* time;
  [[nodiscard]] std::int64_t now() const { return *time; }
};

struct machine {
  index_t last{};
  void apply(const entry& e) {
    require(e.index > last);
    last = e.index;
  }
  result<void> write_snapshot(auto& sink) const {
    const std::array<std::byte, 40> image{};
    return sink(payload{image});
  }
  result<void> restore(auto& source) {
    for (;;) {
      const auto piece = source();
      if (!piece) return piece.error();
      if (piece->empty()) return {};
    }
  }
  void on_restore(const snapshot_meta& place) { last = place.index; }
  void on_fate(index_t first, index_t end, term_t, fate) const { require(first <= end); }
  void on_read(std::uint64_t, read_fate what, index_t index) const {
    require((what == read_fate::ready) == (index != index_t{}));
  }
  void on_forwarded(std::uint64_t, fate, proposal, node_id) const {}
  void on_transfer(node_id target, transfer_fate) const { require(target != nobody); }
  void on_promotion(node_id server, promotion_fate) const { require(server != nobody); }
  void canonical(auto& w) const { w(last); }
};

/// A Log whose writes are durable when the input says so.
struct later_log : memory_log {
  static constexpr bool durable_on_return = false;
  explicit later_log(memory_log image) : memory_log(std::move(image)) {}
  result<mark_t> store(const raft::hard_state& h) { return note(memory_log::store(h)); }
  result<mark_t> append(const entries& batch) { return note(memory_log::append(batch)); }
  result<mark_t> append(term_t term, entry_kind kind, std::span<const payload> payloads) {
    return note(memory_log::append(term, kind, payloads));
  }
  result<mark_t> truncate_from(index_t i) { return note(memory_log::truncate_from(i)); }
  result<mark_t> compact(index_t i) { return note(memory_log::compact(i)); }
  result<mark_t> finish_snapshot() { return note(memory_log::finish_snapshot()); }
  result<mark_t> note(const result<mark_t>& mark) {
    if (mark) newest = mark->value;
    return mark;
  }
  std::uint64_t newest = 0;
};

template <class Node>
std::vector<std::byte> bytes_of(const Node& n) {
  canonical_writer w;
  w.with_times().with_chance();
  n.canonical(w);
  return {w.bytes().begin(), w.bytes().end()};
}

template <class Log>
class cluster {
 public:
  using server = node<frames_transport, Log, hand_clock, machine>;

  cluster(input& in, std::uint8_t how) : in_(in) {
    options_.pre_vote = (how & 2) == 0;
    options_.lease_reads = (how & 4) != 0;
    options_.trailing_entries = 2;
    options_.snapshot_chunk_bytes = 16;
    options_.max_entry_bytes = 64;
    options_.max_uncommitted_bytes = 1024;
    options_.max_forwarded_bytes = 512;
    configuration members = voters_of({node_id{1}, node_id{2}, node_id{3}});
    if ((how & 8) != 0) members.voters.pop_back(), members.learners.push_back(node_id{3});
    for (std::uint64_t id = 1; id <= 3; ++id) {
      servers_.push_back(start(id, Log{memory_log{members, 256}}));
    }
  }

  void turn() {
    const std::uint8_t what = in_.byte() % 32;
    const std::size_t who = in_.byte() % servers_.size();
    if (what < 14) return deliver(what < 12, what != 13);
    if (what < 22) return hostile(who);
    before_.emplace(servers_[who]);
    if (what == 22) time_ += 1 + in_.byte();
    if (what < 25) servers_[who].tick();
    if (what == 25) complete(who);
    if (what == 26) restart(who);
    if (what == 27) bogus_event(who);
    if (what > 27) ask(servers_[who]);
    check(who);
  }

 private:
  /// What of a node is compared with what it is after its next input.
  struct look {
    explicit look(const server& n)
        : term(n.term()), commit(n.commit_index()), applied(n.last_applied()), log(n.log()) {}
    term_t term;
    index_t commit, applied;
    memory_log log;
  };

  server start(std::uint64_t id, Log log) {
    auto made = server::create(node_id{id}, options_, ++starts_, {&mail_, &sent_}, std::move(log), {&time_}, {});
    require(made.has_value());
    return *std::move(made);
  }

  server* find(node_id id) { return id.value >= 1 && id.value <= 3 ? &servers_[id.value - 1] : nullptr; }

  /// One of the messages under way arrives, and is gone from there unless it is to come again.
  void deliver(bool once, bool arrives) {
    if (mail_.empty()) return;
    const std::size_t at = in_.byte() % mail_.size();
    const frame f = mail_[at];
    if (once) mail_.erase(mail_.begin() + static_cast<std::ptrdiff_t>(at));
    past_.resize(std::min(most_mail, past_.size() + 1));
    past_[arrived_++ % past_.size()] = f;
    const node_id to{detail::load_le<std::uint64_t>(f.data() + 32)};
    server* const n = find(to);
    if (n == nullptr || !arrives) return;
    before_.emplace(*n);
    const auto m = decode(f, home, to);
    require(m.has_value());
    const bool taken = n->step(m->message).has_value();
    require(taken || !honest_ || n->failed());
    check(to.value - 1);
  }

  void hostile(std::size_t who) {
    server& n = servers_[who];
    fuzz::views room;
    message m{node_id{1 + in_.byte() % 4U}, n.id(), n.term(), {}};
    const bool from_nothing = in_.byte() % 4 == 0 || past_.empty();
    const frame f = from_nothing ? frame{} : past_[in_.byte() % past_.size()];
    if (from_nothing) {
      m.body = fuzz::any_body(in_, in_.byte() % detail::body_kinds, room);
      if (in_.byte() % 2 == 0) m.term = term_t{in_.changed(n.term().value)};
    } else {
      const node_id to{detail::load_le<std::uint64_t>(f.data() + 32)};
      m = decode(f, home, to)->message;
      if (in_.byte() % 2 == 0) m.to = n.id();
      if (in_.byte() % 2 == 0) m.term = n.term();
      fuzz::change(in_, m, room);
    }
    time_ += in_.byte() % 4;  // a refusal does not even change when the node looked last
    before_.emplace(n);
    const auto before = bytes_of(n);
    const std::uint64_t sent = sent_;
    const auto taken = n.step(m);
    const bool nothing_changed = bytes_of(n) == before && sent_ == sent;
    require(taken || nothing_changed);
    honest_ = honest_ && nothing_changed;
    check(who);
  }

  /// Local events that were never asked for.
  void bogus_event(std::size_t who) {
    server& n = servers_[who];
    const auto before = bytes_of(n);
    const std::uint64_t sent = sent_;
    const std::uint64_t x = in_.number();
    const std::uint64_t y = in_.number();
    const auto refused_is_nothing = [&](const result<void>& taken) {
      require(taken.has_value() || (bytes_of(n) == before && sent_ == sent));
    };
    const std::uint8_t which = in_.byte() % 7;
    if (which == 0) refused_is_nothing(n.step(persisted{mark_t{x}, mark_t{UINT64_MAX}}));
    if (which == 1) refused_is_nothing(n.step(applied{index_t{x}}));
    if (which == 2) refused_is_nothing(n.step(fetched{index_t{x}, index_t{y}}));
    if (which == 3) refused_is_nothing(n.step(restored{index_t{x}}));
    if (which == 4) refused_is_nothing(n.step(snapshot_written{index_t{x}}));
    if (which == 5) refused_is_nothing(n.step(snapshot_abandoned{index_t{x}}));
    if (which == 6) refused_is_nothing(n.step(snapshot_carried{node_id{x}, y, true}));
  }

  /// Some writes are durable: in order, or not.
  void complete(std::size_t who) {
    if constexpr (!Log::durable_on_return) {
      const std::uint64_t newest = servers_[who].log().newest;
      const std::uint64_t next = done_[who] + 1;
      if (next > newest) return;
      const bool in_order = in_.byte() % 4 != 0;
      const std::uint64_t first = in_order ? next : next + in_.byte() % (newest - next + 1);
      const std::uint64_t last = in_order ? newest : first;
      if (first == next) done_[who] = last;
      require(servers_[who].step(persisted{mark_t{first}, mark_t{last}}).has_value() || servers_[who].failed());
    }
  }

  /// A crash after which everything that was written is there, and nothing else.
  void restart(std::size_t who) {
    Log log = servers_[who].log();
    if constexpr (!Log::durable_on_return) done_[who] = log.newest;
    servers_[who] = start(who + 1, std::move(log));
    before_.reset();
  }

  void ask(server& n) {
    const std::vector<std::byte> command(in_.byte() % 80, std::byte{7});
    const node_id other{1 + in_.byte() % 5U};
    membership target{{node_id{1}, node_id{2}}, {}, {}};
    if (in_.byte() % 2 == 0) target.voters.push_back(node_id{3 + in_.byte() % 2U});
    if (in_.byte() % 4 == 0) target.learners.push_back(node_id{4 + in_.byte() % 2U});
    switch (in_.byte() % 18) {
      case 0:
        return n.campaign();
      case 1:
        return void(n.read(1));
      case 2:
        return void(n.read_anywhere(2));
      case 3:
        return void(n.read_stale(in_.byte()));
      case 4:
        return void(n.propose_anywhere(command, 3));
      case 5:
        return void(n.change_membership(target));
      case 6:
        return void(n.add_server({other, {}}));
      case 7:
        return void(n.leave_joint_configuration());
      case 8:
        return void(n.transfer_leadership(other));
      case 9:
        return void(n.transfer_leadership());
      case 10:
        return void(n.step_down());
      case 11:
        return n.evacuate();
      case 12:
        return n.stop_evacuation();
      case 13:
        return void(n.forget_leader());
      case 14:
        return void(n.request_snapshot());
      case 15:
        return void(n.begin_snapshot());
      case 16:
        return void(n.write_snapshot(command).has_value() && n.step(snapshot_written{n.last_applied()}).has_value());
      default:
        return void(n.take_snapshot());
    }
  }

  /// Of the server that had an input, and as long as all were honest of the cluster.
  void check(std::size_t who) {
    const server& n = servers_[who];
    const memory_log& log = n.log();
    require(n.commit_index() <= log.last_index() && log.first_index() <= log.last_index().next());
    require(n.last_applied() <= n.commit_index() && log.snapshot().index <= n.commit_index());
    for (index_t i = log.first_index(); i <= log.last_index(); i = i.next()) {
      require(log.term_at(i.previous()) <= log.term_at(i) && log.term_at(i) <= n.term());
    }
    if (before_) {
      const memory_log& was = before_->log;
      require(n.term() >= before_->term && n.commit_index() >= before_->commit);
      require(n.last_applied() >= before_->applied);
      for (index_t i = std::max(log.first_index(), was.first_index()); i <= before_->commit; i = i.next()) {
        require(log.term_at(i) == was.term_at(i));
      }
    }
    if (honest_) check_all();
    before_.reset();
  }

  void check_all() {
    for (const server& n : servers_) {
      if (n.role() == role_kind::leader) require(leaders_.try_emplace(n.term(), n.id()).first->second == n.id());
      const memory_log& log = n.log();
      for (index_t i = std::max(log.first_index(), index_t{1}); i <= n.commit_index(); i = i.next()) {
        require(committed_.try_emplace(i, log.term_at(i)).first->second == log.term_at(i));
      }
    }
  }

  input& in_;
  options<std::int64_t> options_{};
  std::int64_t time_ = 1000;
  std::uint64_t sent_ = 0;
  std::uint64_t arrived_ = 0;
  std::uint64_t starts_ = 0;
  std::vector<frame> mail_{};
  std::vector<frame> past_{};
  std::vector<server> servers_{};
  std::array<std::uint64_t, 3> done_{};
  std::optional<look> before_{};
  bool honest_ = true;  ///< Nobody took in a word that no server said.
  std::map<term_t, node_id> leaders_{};
  std::map<index_t, term_t> committed_{};
};

template <class Log>
void run(input& in, std::uint8_t how) {
  cluster<Log> c(in, how);
  for (int turns = 0; turns < 200 && !in.over(); ++turns) c.turn();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  input in(data, size);
  const std::uint8_t how = in.byte();
  (how & 1) == 0 ? run<memory_log>(in, how) : run<later_log>(in, how);
  return 0;
}
