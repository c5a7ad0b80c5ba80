#pragma once

// A cluster in constant evaluation, for the tests here: a clock that is a number, mail that is a value or a frame, a
// machine that gathers commands, disks that keep what was synced. What is evaluated there is free of undefined
// behaviour: the compiler refuses the rest.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <raft/codec.hpp>
#include <raft/memory_log.hpp>
#include <raft/node.hpp>

namespace constant {

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
    } else if (const auto* forwarded = std::get_if<forwarded_proposal>(&m.body)) {
      l.first.assign(forwarded->command.begin(), forwarded->command.end());
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
    if (const auto* forwarded = std::get_if<forwarded_proposal>(&l.what.body)) {
      forwarded_proposal own = *forwarded;
      own.command = l.first;
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

struct hand_clock {
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

/// A Log whose writes are durable when the caller says so: `newest` is the last of them.
struct deferred_log : memory_log {
  static constexpr bool durable_on_return = false;
  mark_t newest{};

  explicit constexpr deferred_log(memory_log image) : memory_log(std::move(image)) {}
  constexpr result<mark_t> store(const raft::hard_state& h) { return note(memory_log::store(h)); }
  constexpr result<mark_t> append(const entries& batch) { return note(memory_log::append(batch)); }
  constexpr result<mark_t> append(term_t term, entry_kind kind, std::span<const payload> payloads) {
    return note(memory_log::append(term, kind, payloads));
  }
  constexpr result<mark_t> truncate_from(index_t i) { return note(memory_log::truncate_from(i)); }
  constexpr result<mark_t> compact(index_t i) { return note(memory_log::compact(i)); }
  constexpr result<mark_t> finish_snapshot() { return note(memory_log::finish_snapshot()); }

 private:
  constexpr result<mark_t> note(const result<mark_t>& mark) {
    if (mark) newest = *mark;
    return mark;
  }
};

// ---------------------------------------------------------------------------------------------------- the cluster

constexpr std::size_t small_segment = 256;

constexpr configuration three() { return voters_of({node_id{1}, node_id{2}, node_id{3}}); }

constexpr options<std::int64_t> compacting() {
  options<std::int64_t> o;
  o.trailing_entries = 0;
  o.snapshot_chunk_bytes = 3;
  return o;
}

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

/// Servers 1, 2, 3 and so on, one for each log.
template <class Wire, class Log = memory_log, class Machine = machine>
class cluster {
 public:
  using server = node<mailbox<Wire>, Log, hand_clock, Machine>;

  explicit constexpr cluster(const raft::options<std::int64_t>& options = {}) : options_(options) {
    servers_.reserve(4);
    for (int n = 0; n < 3; ++n) add(memory_log{three(), small_segment});
  }
  constexpr cluster(memory_log one, memory_log two, memory_log last) {
    servers_.reserve(4);
    add(std::move(one));
    add(std::move(two));
    add(std::move(last));
  }
  cluster(const cluster&) = delete;  // the servers point here
  cluster& operator=(const cluster&) = delete;
  constexpr ~cluster() = default;

  constexpr server& operator[](std::size_t id) { return servers_[id - 1]; }

  /// One more server; four at most.
  constexpr void add(memory_log log) {
    const node_id id{servers_.size() + 1};
    disks_.push_back(Log{std::move(log)});
    servers_.push_back(make(id));
  }

  /// Delivers until nothing is on the way. False if anything was refused.
  constexpr bool deliver() {
    while (!mail_.empty()) {
      const auto now = std::exchange(mail_, {});
      for (const auto& l : now) {
        const node_id to = Wire::receiver(l);
        if (is_cut(to) || is_cut(Wire::sender(l)) || to.value > servers_.size()) continue;
        if (!Wire::deliver(l, (*this)[static_cast<std::size_t>(to.value)])) return false;
      }
    }
    return true;
  }
  /// How many messages are on the way.
  [[nodiscard]] constexpr std::size_t under_way() const { return mail_.size(); }

  /// Nothing gets to these servers, or from them; to and from the others it does.
  template <class... Ids>
  constexpr void cut(Ids... ids) {
    cut_ = {node_id{ids}...};
  }
  constexpr void heal() { cut_.clear(); }

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

  // ---- of a Log whose writes are durable later

  /// Everything that this server wrote is durable, and it is told so.
  constexpr bool sync(std::size_t id) {
    const mark_t first{disks_[id - 1].newest.value + 1};
    disks_[id - 1] = (*this)[id].log();
    const mark_t last = disks_[id - 1].newest;
    return first > last || (*this)[id].step(persisted{first, last}).has_value();
  }
  /// It comes back with what was durable, and with nothing else.
  constexpr void crash(std::size_t id) {
    std::destroy_at(&servers_[id - 1]);
    std::construct_at(&servers_[id - 1], make(node_id{id}));
  }

 private:
  constexpr server make(node_id id) {
    auto made = server::create(id, options_, id.value + 8 * ++starts_, mailbox<Wire>{&mail_}, disks_[id.value - 1],
                               hand_clock{&now_}, Machine{});
    return *std::move(made);
  }

  [[nodiscard]] constexpr bool is_cut(node_id id) const { return std::ranges::find(cut_, id) != cut_.end(); }

  raft::options<std::int64_t> options_{};
  std::int64_t now_ = 0;
  std::uint64_t starts_ = 0;
  std::vector<typename Wire::letter> mail_{};
  std::vector<Log> disks_{};
  std::vector<server> servers_{};
  std::vector<node_id> cut_{};
};

}  // namespace constant
