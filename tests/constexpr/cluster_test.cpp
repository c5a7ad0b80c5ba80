// A cluster in constant evaluation: it elects, replicates, repairs a conflict, reads, and installs a snapshot while
// this file is compiled, its messages handed over as values and as encoded frames. A compiler that gets through it has
// also proved that these paths are free of undefined behaviour. Nothing here runs: compiling is the test.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <raft/codec.hpp>
#include <raft/memory_log.hpp>
#include <raft/node.hpp>

namespace {

using namespace raft;

using bytes = std::vector<std::byte>;

constexpr bytes bytes_of(std::string_view text) {
  bytes out;
  for (const char c : text) out.push_back(static_cast<std::byte>(c));
  return out;
}

constexpr bool equal(payload data, std::string_view text) {
  if (data.size() != text.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (data[i] != static_cast<std::byte>(text[i])) return false;
  }
  return true;
}

// ---------------------------------------------------------------------------------------------------- policies

/// How a message is kept until it is delivered: as a value that owns what it views.
struct by_value {
  struct letter {
    message what;
    bytes first;
    bytes second;
  };

  static constexpr letter keep(const message& m) {
    letter l{m, {}, {}};
    if (const auto* request = std::get_if<append_entries>(&m.body)) {
      l.first.assign(request->entries.data(), request->entries.data() + request->entries.bytes());
    } else if (const auto* part = std::get_if<install_snapshot>(&m.body)) {
      l.first.assign(part->configuration.begin(), part->configuration.end());
      l.second.assign(part->data.begin(), part->data.end());
    }
    return l;
  }
  static constexpr node_id receiver(const letter& l) { return l.what.to; }
  static constexpr node_id sender(const letter& l) { return l.what.from; }

  template <class Node>
  static constexpr bool deliver(const letter& l, Node& node) {
    if (const auto* request = std::get_if<append_entries>(&l.what.body)) {
      append_entries own = *request;
      own.entries = *entries::parse(l.first.data(), l.first.size(), request->entries.count());
      return node.step(envelope_of(l.what), own).has_value();
    }
    if (const auto* part = std::get_if<install_snapshot>(&l.what.body)) {
      install_snapshot own = *part;
      own.configuration = l.first;
      own.data = l.second;
      return node.step(envelope_of(l.what), own).has_value();
    }
    return node.step(l.what).has_value();
  }
};

/// The same: as the frame that goes over a wire.
struct by_frame {
  struct letter {
    node_id from;
    node_id to;
    bytes frame;
  };
  static constexpr cluster_id home{7};

  static constexpr letter keep(const message& m) {
    letter l{m.from, m.to, {}};
    (void)append_frame(m, home, l.frame);
    return l;
  }
  static constexpr node_id receiver(const letter& l) { return l.to; }
  static constexpr node_id sender(const letter& l) { return l.from; }

  template <class Node>
  static constexpr bool deliver(const letter& l, Node& node) {
    const auto read = decode(l.frame, home, l.to);
    return read && read->bytes == l.frame.size() && node.step(read->message).has_value();
  }
};

template <class Wire>
struct mailbox {
  std::vector<typename Wire::letter>* mail;
  constexpr void send(const message& m) { mail->push_back(Wire::keep(m)); }
};

struct clock {
  using duration = std::int64_t;
  using time_point = std::int64_t;
  const std::int64_t* at;
  [[nodiscard]] constexpr std::int64_t now() const { return *at; }
};

/// The commands, one behind the other.
struct machine {
  bytes state{};
  std::uint64_t answered = 0;

  constexpr void apply(const entry& e) { state.insert(state.end(), e.data.begin(), e.data.end()); }
  template <class Sink>
  constexpr result<void> write_snapshot(Sink& sink) const {
    return sink(payload{state});
  }
  template <class Source>
  constexpr result<void> restore(Source& source) {
    state.clear();
    for (;;) {
      const auto piece = source();
      if (!piece) return piece.error();
      if (piece->empty()) return {};
      state.insert(state.end(), piece->begin(), piece->end());
    }
  }
  constexpr void on_read(std::uint64_t context, read_fate what, index_t) {
    if (what == read_fate::ready) answered += context;
  }
};

/// A Log whose writes are durable when the caller says so.
struct deferred_log : memory_log {
  static constexpr bool durable_on_return = false;
};

// ---------------------------------------------------------------------------------------------------- the cluster

constexpr std::size_t small_segment = 256;

constexpr configuration three() { return voters_of({node_id{1}, node_id{2}, node_id{3}}); }

struct written {
  std::uint64_t term;
  std::string_view text;
};

/// A log with these commands, of a server in `term`.
constexpr memory_log log_of(std::uint64_t term, std::span<const written> commands) {
  std::vector<bytes> texts;
  texts.reserve(commands.size());
  std::vector<entry> all;
  for (const written& w : commands) {
    texts.push_back(bytes_of(w.text));
    all.push_back({index_t{all.size() + 1}, term_t{w.term}, entry_kind::command, texts.back()});
  }
  log_contents contents;
  contents.hard.current_term = term_t{term};
  contents.snapshot.configuration = three();
  contents.entries = all;
  return *memory_log::restore(contents, small_segment);
}

template <class Wire>
class cluster {
 public:
  using server = node<mailbox<Wire>, memory_log, clock, machine>;

  explicit constexpr cluster(const raft::options<std::int64_t>& options = {})
      : cluster(memory_log{three(), small_segment}, memory_log{three(), small_segment},
                memory_log{three(), small_segment}, options) {}

  constexpr cluster(memory_log one, memory_log two, memory_log last, const raft::options<std::int64_t>& options = {}) {
    servers_.reserve(3);
    start(std::move(one), options);
    start(std::move(two), options);
    start(std::move(last), options);
  }
  cluster(const cluster&) = delete;  // the servers point here
  cluster& operator=(const cluster&) = delete;
  constexpr ~cluster() = default;

  constexpr server& operator[](std::size_t id) { return servers_[id - 1]; }

  /// Delivers until nothing is on the way. False if anything was refused.
  constexpr bool deliver() {
    while (!mail_.empty()) {
      const auto now = std::exchange(mail_, {});
      for (const auto& l : now) {
        const node_id to = Wire::receiver(l);
        if (to == cut_ || Wire::sender(l) == cut_) continue;
        if (!Wire::deliver(l, (*this)[static_cast<std::size_t>(to.value)])) return false;
      }
    }
    return true;
  }

  /// Nothing gets to this server, or from it.
  constexpr void cut(std::uint64_t id) { cut_ = node_id{id}; }
  constexpr void heal() { cut_ = nobody; }

  constexpr bool pass(std::int64_t duration) {
    now_ += duration;
    for (server& s : servers_) s.tick();
    return deliver();
  }

  constexpr bool propose(std::size_t id, std::string_view text) {
    const bytes command = bytes_of(text);
    return (*this)[id].propose(payload{command}).has_value() && deliver();
  }

  constexpr bool elect(std::size_t id) {
    now_ += 150;
    (*this)[id].campaign();
    return deliver() && (*this)[id].role() == role_kind::leader;
  }

  constexpr bool all_have(std::string_view state) {
    for (server& s : servers_) {
      if (!equal(s.machine().state, state)) return false;
    }
    return true;
  }

 private:
  constexpr void start(memory_log log, const raft::options<std::int64_t>& options) {
    const node_id id{servers_.size() + 1};
    auto made = server::create(id, options, id.value, mailbox<Wire>{&mail_}, std::move(log), clock{&now_}, machine{});
    servers_.push_back(*std::move(made));
  }

  std::int64_t now_ = 0;
  std::vector<typename Wire::letter> mail_{};
  std::vector<server> servers_{};
  node_id cut_{};
};

// ---------------------------------------------------------------------------------------------------- elections

template <class Wire>
constexpr bool elects_by_campaign() {
  cluster<Wire> c;
  return c.elect(2) && c[2].term() == term_t{1} && c[2].commit_index() == index_t{1} && c[1].leader() == node_id{2} &&
         c[3].leader() == node_id{2};
}
static_assert(elects_by_campaign<by_value>());
static_assert(elects_by_campaign<by_frame>());

template <class Wire>
constexpr bool elects_by_the_clock() {
  cluster<Wire> c;
  std::int64_t first = c[1].deadline();
  for (const std::size_t id : {2U, 3U}) first = std::min(first, c[id].deadline());
  if (!c.pass(first)) return false;
  int leaders = 0;
  for (const std::size_t id : {1U, 2U, 3U}) leaders += c[id].role() == role_kind::leader;
  return first >= 150 && first < 300 && leaders == 1;
}
static_assert(elects_by_the_clock<by_value>());
static_assert(elects_by_the_clock<by_frame>());

template <class Wire>
constexpr bool a_lost_leader_is_replaced() {
  cluster<Wire> c;
  if (!c.elect(1)) return false;
  c.cut(1);
  if (!c.elect(3) || c[3].term() != term_t{2}) return false;
  c.heal();
  return c.pass(50) && c[1].role() == role_kind::follower && c[1].leader() == node_id{3};
}
static_assert(a_lost_leader_is_replaced<by_value>());
static_assert(a_lost_leader_is_replaced<by_frame>());

constexpr bool a_single_voter_elects_itself() {
  std::int64_t now = 0;
  std::vector<by_value::letter> mail;
  using server = node<mailbox<by_value>, memory_log, clock, machine>;
  auto made = server::create(node_id{1}, {}, 1, mailbox<by_value>{&mail},
                             memory_log{voters_of({node_id{1}}), small_segment}, clock{&now}, machine{});
  server& alone = *made;
  alone.campaign();
  const bytes command = bytes_of("x");
  return alone.role() == role_kind::leader && alone.propose(payload{command}) && alone.read(5) && mail.empty() &&
         equal(alone.machine().state, "x") && alone.machine().answered == 5;
}
static_assert(a_single_voter_elects_itself());

// ---------------------------------------------------------------------------------------------------- replication

template <class Wire>
constexpr bool replicates() {
  cluster<Wire> c;
  return c.elect(1) && c.propose(1, "ab") && c.propose(1, "") && c.propose(1, "c") && c.pass(50) && c.all_have("abc") &&
         c[3].commit_index() == index_t{4} && !c[2].propose(payload{});
}
static_assert(replicates<by_value>());
static_assert(replicates<by_frame>());

template <class Wire>
constexpr bool a_follower_that_was_away_catches_up() {
  cluster<Wire> c;
  c.cut(3);
  if (!c.elect(1) || !c.propose(1, "ab") || !c.propose(1, "cd")) return false;
  c.heal();
  return c.pass(50) && c.pass(50) && c.pass(50) && c.all_have("abcd");
}
static_assert(a_follower_that_was_away_catches_up<by_value>());
static_assert(a_follower_that_was_away_catches_up<by_frame>());

template <class Wire>
constexpr bool repairs_a_conflict() {
  constexpr written leading[]{{1, "a"}, {1, "b"}, {3, "c"}};
  constexpr written following[]{{1, "a"}, {2, "x"}, {2, "y"}, {2, "z"}};
  cluster<Wire> c{log_of(3, leading), log_of(3, following), memory_log{three(), small_segment}};
  if (!c.elect(1) || !c.pass(50)) return false;
  return c.all_have("abc") && c[2].log().last_index() == index_t{4} && c[2].log().term_at(index_t{2}) == term_t{1} &&
         c[2].log() == c[2].log() && c[1].commit_index() == index_t{4};
}
static_assert(repairs_a_conflict<by_value>());
static_assert(repairs_a_conflict<by_frame>());

template <class Wire>
constexpr bool reads() {
  cluster<Wire> c;
  if (!c.elect(1) || !c.propose(1, "ab") || !c[1].read(40) || c[1].machine().answered != 0) return false;
  return c[1].read(2) && c.deliver() && c[1].machine().answered == 42;
}
static_assert(reads<by_value>());
static_assert(reads<by_frame>());

// ---------------------------------------------------------------------------------------------------- leadership

template <class Wire>
constexpr bool hands_leadership_over() {
  cluster<Wire> c;
  if (!c.elect(1) || !c.propose(1, "ab") || !c.deliver()) return false;
  if (!c[1].transfer_leadership(node_id{3}) || !c[1].transferring() || !c.deliver()) return false;
  return c[3].role() == role_kind::leader && c[3].term() == term_t{2} && c[1].leader() == node_id{3} &&
         c[1].status().transfer_target == nobody && c.propose(3, "c") && c.pass(50) && c.all_have("abc");
}
static_assert(hands_leadership_over<by_value>());
static_assert(hands_leadership_over<by_frame>());

// ---------------------------------------------------------------------------------------------------- snapshots

constexpr options<std::int64_t> compacting() {
  options<std::int64_t> o;
  o.trailing_entries = 0;
  o.snapshot_chunk_bytes = 3;
  return o;
}

template <class Wire>
constexpr bool installs_a_snapshot() {
  cluster<Wire> c{compacting()};
  c.cut(3);
  if (!c.elect(1) || !c.propose(1, "abcd") || !c.propose(1, "efgh")) return false;
  if (!c[1].take_snapshot() || c[1].log().first_index() != index_t{4}) return false;
  c.heal();
  if (!c.pass(50) || !c.pass(50)) return false;
  return c[3].log().snapshot() == c[1].log().snapshot() && c[3].log().snapshot().index == index_t{3} &&
         c.propose(1, "i") && c.pass(50) && c.all_have("abcdefghi");
}
static_assert(installs_a_snapshot<by_value>());
static_assert(installs_a_snapshot<by_frame>());

// ---------------------------------------------------------------------------------------------------- durability

constexpr bool waits_for_the_disk() {
  std::int64_t now = 0;
  std::vector<by_value::letter> mail;
  using server = node<mailbox<by_value>, deferred_log, clock, machine>;
  auto made = server::create(node_id{2}, {}, 1, mailbox<by_value>{&mail},
                             deferred_log{memory_log{three(), small_segment}}, clock{&now}, machine{});
  server& b = *made;
  const message asked{node_id{1}, node_id{2}, term_t{4},
                      message_body{std::in_place_type<request_vote>, request_vote{index_t{}, term_t{}}}};
  if (!b.step(asked) || !mail.empty()) return false;
  if (b.step(persisted{mark_t{1}, mark_t{2}})) return false;  // only one write was asked for
  if (!b.step(persisted{mark_t{1}, mark_t{1}}) || mail.size() != 1) return false;
  return std::get<request_vote_reply>(mail[0].what.body).granted;
}
static_assert(waits_for_the_disk());

// ---------------------------------------------------------------------------------------------------- values

constexpr bool a_node_is_a_value() {
  std::int64_t now = 0;
  std::vector<by_value::letter> mail;
  using server = node<mailbox<by_value>, memory_log, clock, machine>;
  auto made = server::create(node_id{1}, {}, 1, mailbox<by_value>{&mail},
                             memory_log{voters_of({node_id{1}}), small_segment}, clock{&now}, machine{});
  server& original = *made;
  original.campaign();
  server what_if = original;
  const bytes command = bytes_of("x");
  return what_if.propose(payload{command}) && equal(what_if.machine().state, "x") && original.machine().state.empty() &&
         original.log().last_index() == index_t{1} && what_if.log().last_index() == index_t{2};
}
static_assert(a_node_is_a_value());

}  // namespace
