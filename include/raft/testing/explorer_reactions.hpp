#pragma once

// How a server reacts to an input, looked up [battery, part of explorer.hpp].
//
// A server is a value and its reaction depends on its own state and the input alone. So each distinct state of a server
// is kept once, with one real node, its facts, and its hash under every renaming; each distinct message likewise; and
// each reaction is computed once, by the engine, and remembered: (state, input) -> (state, messages). A world is then a
// few numbers, and most of what the explorer does is looking up.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <raft/testing/explorer_hash.hpp>
#include <raft/testing/explorer_invariants.hpp>
#include <raft/testing/explorer_scope.hpp>
#include <raft/testing/explorer_server.hpp>

namespace raft::testing {

/// What may happen to a server.
enum class act : std::uint8_t {
  deliver,   ///< Argument: the message.
  campaign,  ///< It acts as if its election timer had fired.
  beat,      ///< A leader's heartbeat is due.
  tick,      ///< It is told that time has passed.
  propose,   ///< Argument: which command.
  persist,   ///< Its oldest write that is under way is durable.
  crash,     ///< Argument: how many writes under way reached the disk. It restarts at once.
  snapshot,
  change,    ///< Argument: the place of the target in the scope.
  transfer,  ///< Argument: the place of the target among the servers.
  read,      ///< Argument: how much was ever committed at this moment.
  advance,   ///< Its clock; happens to all servers at once.
};

/// An input of a server, in 24 bits of argument and 8 of kind.
struct input {
  act what{};
  std::uint32_t argument = 0;
  [[nodiscard]] constexpr std::uint32_t number() const noexcept {
    return static_cast<std::uint32_t>(what) << 24 | argument;
  }
};

/// Many values that never move, found by number. One thread at a time adds; all may read what they know of.
template <class T>
class store {
 public:
  [[nodiscard]] const T& operator[](std::size_t i) const noexcept {
    return *(*pages_[i / page_size].load(std::memory_order_acquire))[i % page_size];
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  static constexpr std::size_t capacity = std::size_t{1} << 26;

  std::size_t add(T value) {
    auto& slot = pages_[size_ / page_size];
    if (size_ % page_size == 0) {
      owned_.push_back(std::make_unique<page>());
      slot.store(owned_.back().get(), std::memory_order_release);
    }
    (*owned_.back())[size_ % page_size] = std::make_unique<T>(std::move(value));
    return size_++;
  }

 private:
  static constexpr std::size_t page_size = 4096;
  using page = std::array<std::unique_ptr<T>, page_size>;
  std::vector<std::atomic<page*>> pages_ = std::vector<std::atomic<page*>>(capacity / page_size);
  std::vector<std::unique_ptr<page>> owned_{};
  std::size_t size_ = 0;
};

/// A server whose durable term is above this takes no notice of the message any more, in whatever state it will ever
/// be: answers count in their own term only, refusals of votes tell nothing but a term, and an answer to a pre-vote
/// counts in the term in which it was asked. Requests are answered for ever, with the higher term, unless they are
/// `late` and the scope loses such.
[[nodiscard]] inline term_t heeded_up_to(const message& m, bool late_requests) {
  const term_t before{m.term.value == 0 ? 0 : m.term.value - 1};
  if (const auto* vote = std::get_if<request_vote_reply>(&m.body)) return vote->granted ? m.term : before;
  if (const auto* vote = std::get_if<request_pre_vote_reply>(&m.body)) {
    return vote->granted ? std::max(vote->asked, before) : before;
  }
  const bool asks = std::holds_alternative<request_vote>(m.body) || std::holds_alternative<request_pre_vote>(m.body) ||
                    std::holds_alternative<append_entries>(m.body) ||
                    std::holds_alternative<install_snapshot>(m.body) || std::holds_alternative<read_request>(m.body) ||
                    std::holds_alternative<forwarded_proposal>(m.body);
  return asks && late_requests ? term_t{~std::uint64_t{0}} : m.term;
}

template <class Machine, bool DurableOnReturn>
class reactions {
 public:
  using node_type = explored_node<Machine, DurableOnReturn>;
  using past_type = explored_history<Machine>;
  using hashes = std::vector<hash128>;

  struct server_state {
    node_type node;
    server_facts facts;
    hashes names;  ///< Under each renaming.
  };
  struct message_state {
    kept_message message;
    std::size_t to = 0;  ///< Among the servers; their number if it is none of them.
    term_t heeded{};     ///< See heeded_up_to.
    hashes names;
  };
  struct past_state {
    past_type past;
    hashes names;
  };
  struct effect {
    std::vector<std::uint32_t> sent{};
    broken_rule broken{};
    bool beyond = false;  ///< It leads out of the scope.
  };
  struct reaction {
    std::uint32_t state = 0;
    std::uint32_t effect = 0;
  };
  /// What a server's state adds to the past, and how much of all that is committed is durable there.
  struct remembered {
    std::uint32_t past = 0;
    std::uint16_t held = 0;
    std::int16_t broken = -1;  ///< Which of past_rules.
  };

  explicit reactions(const exploration_scope& scope) : scope_(scope), renamings_(scope.renamings()) {
    effects_.add({});  // the first one: nothing
    past_type start;
    start.initial = scope.initial;
    keep_past(std::move(start));
  }

  [[nodiscard]] const exploration_scope& scope() const noexcept { return scope_; }
  [[nodiscard]] std::size_t renamings() const noexcept { return renamings_.size(); }
  [[nodiscard]] const server_state& server(std::uint32_t i) const noexcept { return servers_[i]; }
  [[nodiscard]] const message_state& message_at(std::uint32_t i) const noexcept { return messages_[i]; }
  [[nodiscard]] const past_state& past(std::uint32_t i) const noexcept { return pasts_[i]; }
  [[nodiscard]] const effect& effect_at(std::uint32_t i) const noexcept { return effects_[i]; }
  [[nodiscard]] std::size_t servers() const noexcept { return servers_.size(); }
  [[nodiscard]] std::size_t messages() const noexcept { return messages_.size(); }
  [[nodiscard]] std::size_t computed() const noexcept { return known_.size(); }

  /// The state in which a server begins; an error if the scope's options are none.
  result<std::uint32_t> first_state(node_id id) {
    auto made = started(id, memory_log{scope_.initial, explored_log<DurableOnReturn>::segment_bytes}, {});
    if (!made) return made.error();
    server_facts facts = facts_of(*made);
    return keep_server(*std::move(made), std::move(facts));
  }

  /// What one thread knows already: it looks there first, and waits for nobody.
  struct cache {
    number_map<reaction> known{};
    number_map<remembered> past{};
  };

  reaction react(cache& mine, std::uint32_t state, const input& in) {
    const std::uint64_t key = std::uint64_t{state} << 32 | in.number();
    return looked_up(mine.known, known_, key, [&] { return compute(state, in); });
  }

  remembered remember(cache& mine, std::uint32_t past, std::uint32_t state) {
    const std::uint64_t key = std::uint64_t{past} << 32 | state;
    return looked_up(mine.past, remembered_, key, [&] { return compute_past(past, state); });
  }

 private:
  /// In the thread's own map, else in the one for all, else computed.
  template <class Value, class Compute>
  Value looked_up(number_map<Value>& mine, number_map<Value>& all, std::uint64_t key, const Compute& compute_it) {
    if (const Value* known = mine.find(key)) return *known;
    std::optional<Value> found;
    {
      const std::lock_guard guard{mutex_};
      if (const Value* known = all.find(key)) found = *known;
    }
    if (!found) {
      found = compute_it();
      const std::lock_guard guard{mutex_};
      all.insert(key, *found);
    }
    mine.insert(key, *found);
    return *found;
  }

  remembered compute_past(std::uint32_t past, std::uint32_t state) {
    remembered r;
    const server_facts& facts = servers_[state].facts;
    past_type h = pasts_[past].past;
    h.take(facts);
    r.held = static_cast<std::uint16_t>(common_with(h, facts.disk).value);
    for (std::size_t i = 0; i < past_rules<Machine>.size() && r.broken < 0; ++i) {
      if (!past_rules<Machine>[i].holds(h, facts)) r.broken = static_cast<std::int16_t>(i);
    }
    r.past = keep_past(std::move(h));
    return r;
  }

  result<node_type> started(node_id id, memory_log log, explored_clock clock) const {
    return node_type::create(id, scope_.options, 1, {}, explored_log<DurableOnReturn>{std::move(log)}, clock, {}, {});
  }

  void feed(node_type& n, const input& in) {
    switch (in.what) {
      case act::deliver:
        (void)n.step(messages_[in.argument].message.what);
        break;
      case act::campaign:
        n.campaign();
        break;
      case act::beat:
        n.clock().at += scope_.options.heartbeat_interval;
        n.tick();
        break;
      case act::tick:
        if (n.deadline() <= n.clock().now()) n.tick();
        break;
      case act::propose: {
        const auto command = static_cast<std::byte>('a' + in.argument);
        (void)n.propose(payload{&command, 1});
        break;
      }
      case act::persist: {
        const mark_t mark = n.log().complete();
        (void)n.step(persisted{mark, mark});
        break;
      }
      case act::snapshot:
        (void)n.take_snapshot();
        break;
      case act::change:
        (void)n.change_membership(scope_.targets[in.argument]);
        break;
      case act::transfer:
        (void)n.transfer_leadership(scope_.servers[in.argument]);
        break;
      case act::read:
        (void)n.read(in.argument);
        break;
      case act::advance:
        n.clock().at += 1;
        break;
      case act::crash:
        break;  // see `compute`
    }
  }

  reaction compute(std::uint32_t state, const input& in) {
    const server_state& before = servers_[state];
    std::optional<node_type> n{before.node};
    effect e;
    if (in.what == act::crash) {
      auto again = started(before.facts.id, n->log().after_crash(in.argument), n->clock());
      if (!again) return {state, keep_effect({{}, {"a server starts again", again.error().what}, false})};
      n.emplace(*std::move(again));
    } else {
      feed(*n, in);
    }
    const std::vector<kept_message> sent = std::exchange(n->transport().sent, {});
    const std::vector<read_answer> answers = std::exchange(n->machine().answers, {});
    const std::vector<index_t> executed = std::exchange(n->machine().executed, {});
    server_facts after = facts_of(*n);
    e.broken =
        first_broken(step_rules, step_facts{before.facts, after, in.what == act::crash, sent, answers, executed});
    e.beyond = after.term.value > scope_.max_term || (scope_.max_log != 0 && after.log.last().value > scope_.max_log) ||
               after.waiting > scope_.max_waiting || std::any_of(sent.begin(), sent.end(), [this](const auto& m) {
                 const auto* append = std::get_if<append_entries>(&m.what.body);
                 return append != nullptr && append->round > scope_.max_round;
               });
    if (!e.beyond) {
      for (const kept_message& m : sent) e.sent.push_back(keep_message(m));
    }
    const std::uint32_t next = keep_server(*std::move(n), std::move(after));
    const bool nothing = e.sent.empty() && !e.beyond && !e.broken;
    return {next, nothing ? 0 : keep_effect(std::move(e))};
  }

  template <class Write>
  [[nodiscard]] hashes names_of(std::uint64_t kind, const Write& write) const {
    hashes all;
    for (const auto& renaming : renamings_) {
      canonical_writer w{renaming};
      if (scope_.timed) w.with_times();
      write(w);
      all.push_back(hash_of(w.bytes(), kind));
    }
    return all;
  }

  /// The number of the value whose name this is; a new one if `make` has to be called for it.
  template <class T, class Make>
  std::uint32_t keep(std::map<hash128, std::uint32_t>& numbers, store<T>& values, const hash128& name, Make&& make) {
    const std::lock_guard guard{mutex_};
    const auto [at, fresh] = numbers.try_emplace(name, static_cast<std::uint32_t>(values.size()));
    if (fresh) values.add(make());
    return at->second;
  }
  std::uint32_t keep_server(node_type n, server_facts facts) {
    hashes names = names_of(1, [&n](canonical_writer& w) { n.canonical(w); });
    return keep(server_numbers_, servers_, names[0], [&] {
      return server_state{std::move(n), std::move(facts), std::move(names)};
    });
  }
  std::uint32_t keep_message(const kept_message& m) {
    hashes names = names_of(2, [&m](canonical_writer& w) { raft::canonical(w, m.what); });
    return keep(message_numbers_, messages_, names[0], [&] {
      const auto to = std::find(scope_.servers.begin(), scope_.servers.end(), m.what.to);
      return message_state{m, static_cast<std::size_t>(to - scope_.servers.begin()),
                           heeded_up_to(m.what, scope_.late_requests), std::move(names)};
    });
  }
  std::uint32_t keep_past(past_type h) {
    hashes names = names_of(3, [&h](canonical_writer& w) { h.canonical(w); });
    return keep(past_numbers_, pasts_, names[0], [&] { return past_state{std::move(h), std::move(names)}; });
  }
  std::uint32_t keep_effect(effect e) {
    const std::lock_guard guard{mutex_};
    return static_cast<std::uint32_t>(effects_.add(std::move(e)));
  }

  exploration_scope scope_;
  std::vector<std::vector<renamed_id>> renamings_;
  std::mutex mutex_{};  ///< Of what follows, but for the maps of what is known.
  std::map<hash128, std::uint32_t> server_numbers_{};
  std::map<hash128, std::uint32_t> message_numbers_{};
  std::map<hash128, std::uint32_t> past_numbers_{};
  store<server_state> servers_{};
  store<message_state> messages_{};
  store<past_state> pasts_{};
  store<effect> effects_{};
  number_map<reaction> known_{};
  number_map<remembered> remembered_{};
};

}  // namespace raft::testing
