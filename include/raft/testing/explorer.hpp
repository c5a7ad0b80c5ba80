#pragma once

// The explorer [battery]: every state that a small cluster of shipping nodes can reach within a scope, breadth first,
// each held against the invariants (explorer_invariants.hpp). An exploration that ends is complete: within its scope
// there is no other behaviour. One that finds a broken invariant tells the shortest story that leads there.
//
//   exploration_scope scope;                 who, how many crashes, proposals, changes, ... (explorer_scope.hpp)
//   const auto found = explore(scope);       with the hashing state machine and a Log that is durable on return
//   explore<my_machine, false>(scope, 2)     with your state machine, with writes that complete later, on two threads
//
// A state machine has to be a copyable, default-constructible StateMachine with `canonical(writer)`, whose commands are
// one byte, 'a' and what follows. Whether the same commands lead to the same state everywhere is one of the invariants.
//
// What is covered. The network is a set that only grows: a message that was sent once can be delivered at any time from
// then on, any number of times, in any order, or never. That is loss, duplication, reordering and every delay at once.
// A server may stand for election at any moment, crash at any moment and restart with its durable state and, where
// writes are deferred, any prefix of the others. What may happen how often, and up to which term, is the scope's.
//
// What is not: liveness (nothing here says that something happens at last; the simulator does); clocks that differ;
// completions of writes out of order; bytes that change; more servers than a scope can hold.
//
// States are told apart by hashes of 128 bits (explorer_hash.hpp), and taken for equal that differ by a renaming of
// servers. The number of distinct states does not depend on the number of threads.

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <raft/testing/explorer_reactions.hpp>
#include <raft/testing/explorer_story.hpp>

namespace raft::testing {

/// What an exploration found.
struct exploration {
  bool complete = false;        ///< Every state of the scope was seen, and nothing was broken.
  std::uint64_t states = 0;     ///< Distinct ones, up to renamings.
  std::uint64_t unreduced = 0;  ///< Distinct ones, if no renaming made two of them equal.
  std::uint64_t steps = 0;      ///< Which lead from one state to another, or to one that was known.
  std::uint32_t depth = 0;      ///< Of the last state that was new.
  std::size_t server_states = 0;
  std::size_t messages = 0;
  broken_rule broken{};
  std::vector<std::string> story{};  ///< The shortest one to what is broken, a line a step.
  const char* refused = nullptr;     ///< Why nothing was explored, or not to the end.
};

template <class Machine, bool DurableOnReturn>
class explorer {
 public:
  explorer(const exploration_scope& scope, unsigned threads, std::uint64_t most_states)
      : known_(scope), most_states_(most_states), workers_(std::max(threads, 1U)) {}

  exploration run() {
    const exploration_scope& scope = known_.scope();
    if (scope.servers.empty() || scope.servers.size() > most_servers) return refused("1 to 5 servers");
    if (scope.deferred == DurableOnReturn) return refused("durable on return, or deferred: not both");
    if (scope.renamings().size() != known_.renamings()) return refused("no scope");
    worker& w = workers_[0];
    world& first = w.next;
    for (std::size_t i = 0; i < scope.servers.size(); ++i) {
      const auto state = known_.first_state(scope.servers[i]);
      if (!state) return refused(state.error().what);
      first.head.servers[i] = *state;
    }
    w.totals = sums_of(first);
    if (is_new(w)) pack(first, w.level);
    exploration e;
    std::vector<block> level = take_level();
    for (; !level.empty() && !found_; ++e.depth) {
      expand_level(level);
      level = take_level();
      if (seen_.size() > most_states_) return refused("more states than asked for", e.depth);
    }
    count(e);
    e.complete = !found_;
    e.depth = e.depth == 0 ? 0 : e.depth - 1;
    if (found_) {
      e.broken = what_is_broken_;
      e.story = tell();
    }
    return e;
  }

 private:
  static constexpr std::size_t most_servers = 5;
  static constexpr std::uint32_t root = ~std::uint32_t{0};
  using reactions_type = reactions<Machine, DurableOnReturn>;
  using sums = std::vector<hash128>;

  struct head_type {
    std::uint32_t link = root;  ///< How it came about.
    std::uint32_t past = 0;
    how_often used{};
    std::array<std::uint32_t, most_servers> servers{};
    std::uint32_t messages = 0;
  };
  static_assert(std::is_trivially_copyable_v<head_type>);
  /// One state of everything.
  struct world {
    head_type head{};
    std::vector<std::uint32_t> messages{};
  };
  /// Where a state came from: the state before it, and what happened to whom.
  struct link {
    std::uint32_t before = root;
    std::uint32_t server = 0;
    input what{};
  };
  using block = std::vector<std::byte>;
  struct worker {
    std::vector<link> links{};
    std::vector<block> level{};  ///< The new states of the next level.
    std::uint64_t steps = 0;
    std::uint64_t unreduced = 0;
    typename reactions_type::cache cache{};
    sums totals_before{};  ///< Of the state that is being expanded,
    sums totals{};         ///< and of the one that follows,
    world next{};          ///< which is this.
  };

  exploration refused(const char* why, std::uint32_t depth = 0) {
    exploration e;
    count(e);
    e.refused = why;
    e.depth = depth;
    return e;
  }
  void count(exploration& e) const {
    e.states = seen_.size();
    for (const worker& w : workers_) {
      e.steps += w.steps;
      e.unreduced += w.unreduced;
    }
    e.server_states = known_.servers();
    e.messages = known_.messages();
  }

  // ---------------------------------------------------------------------------------------------- levels

  static void pack(world& w, std::vector<block>& to) {
    w.head.messages = static_cast<std::uint32_t>(w.messages.size());
    const auto head = std::as_bytes(std::span{&w.head, 1});
    const auto messages = std::as_bytes(std::span{w.messages});
    if (to.empty() || to.back().size() + head.size() + messages.size() > block_bytes) {
      to.emplace_back();
      to.back().reserve(block_bytes);
    }
    to.back().insert(to.back().end(), head.begin(), head.end());
    to.back().insert(to.back().end(), messages.begin(), messages.end());
  }
  static std::size_t unpack(const block& b, std::size_t at, world& w) {
    const auto read = [&b, &at](std::span<std::byte> to) {
      std::copy_n(b.data() + at, to.size(), to.begin());
      at += to.size();
    };
    read(std::as_writable_bytes(std::span{&w.head, 1}));
    w.messages.resize(w.head.messages);
    read(std::as_writable_bytes(std::span{w.messages}));
    return at;
  }
  std::vector<block> take_level() {
    std::vector<block> level;
    for (worker& w : workers_) {
      for (block& b : w.level) level.push_back(std::move(b));
      w.level.clear();
    }
    return level;
  }

  void expand_level(std::vector<block>& level) {
    std::atomic<std::size_t> next{0};
    const auto work = [&](worker& w) {
      world at;
      for (std::size_t i = next++; i < level.size() && !found_; i = next++) {
        for (std::size_t place = 0; place < level[i].size() && !found_;) {
          place = unpack(level[i], place, at);
          expand(at, w);
        }
        block{}.swap(level[i]);
      }
    };
    std::vector<std::thread> others;
    for (std::size_t i = 1; i < workers_.size(); ++i) others.emplace_back(work, std::ref(workers_[i]));
    work(workers_[0]);
    for (std::thread& t : others) t.join();
  }

  // ---------------------------------------------------------------------------------------------- what may happen

  void expand(const world& from, worker& w) {
    w.totals_before = sums_of(from);
    for (std::uint32_t i = 0; i < known_.scope().servers.size(); ++i) {
      local_steps(from, i, w);
      leader_steps(from, i, w);
    }
    for (const std::uint32_t m : from.messages) {
      const std::size_t to = known_.message_at(m).to;
      if (to < known_.scope().servers.size()) {
        happen(from, static_cast<std::uint32_t>(to), {act::deliver, m}, from.head.used, w);
      }
    }
    if (from.head.used.moments < known_.scope().limit.moments) advance(from, w);
  }

  void local_steps(const world& from, std::uint32_t i, worker& w) {
    const exploration_scope& scope = known_.scope();
    const auto& state = known_.server(from.head.servers[i]);
    how_often used = from.head.used;
    if (state.facts.role != role_kind::leader && state.facts.term.value < scope.max_term) {
      happen(from, i, {act::campaign, 0}, used, w);
    }
    const auto under_way = static_cast<std::uint32_t>(state.node.log().under_way());
    if (under_way != 0) happen(from, i, {act::persist, 0}, used, w);
    if (used.crashes < scope.limit.crashes) {
      ++used.crashes;
      for (std::uint32_t kept = 0; kept <= under_way; ++kept) happen(from, i, {act::crash, kept}, used, w);
      --used.crashes;
    }
    if (used.snapshots < scope.limit.snapshots && state.facts.applied > state.facts.snapshot.index) {
      ++used.snapshots;
      happen(from, i, {act::snapshot, 0}, used, w);
    }
  }

  void leader_steps(const world& from, std::uint32_t i, worker& w) {
    const exploration_scope& scope = known_.scope();
    if (known_.server(from.head.servers[i]).facts.role != role_kind::leader) return;
    const auto once = [&](std::uint8_t how_often::*what, const input& in) {
      how_often used = from.head.used;
      if (used.*what >= scope.limit.*what) return;
      ++(used.*what);
      happen(from, i, in, used, w);
    };
    if (scope.timed) happen(from, i, {act::tick, 0}, from.head.used, w);
    once(&how_often::beats, {act::beat, 0});
    once(&how_often::proposals, {act::propose, from.head.used.proposals});
    once(&how_often::reads, {act::read, static_cast<std::uint32_t>(known_.past(from.head.past).past.length().value)});
    for (std::uint32_t t = 0; t < scope.targets.size(); ++t) once(&how_often::changes, {act::change, t});
    for (std::uint32_t t = 0; t < scope.servers.size() && scope.limit.transfers != 0; ++t) {
      if (t != i) once(&how_often::transfers, {act::transfer, t});
    }
  }

  // ---------------------------------------------------------------------------------------------- steps

  /// One server takes in one input.
  void happen(const world& from, std::uint32_t server, const input& in, const how_often& used, worker& w) {
    const std::uint32_t before = from.head.servers[server];
    const auto r = known_.react(w.cache, before, in);
    if (r.state == before) return;  // what it sends is sent already (see `close`)
    const auto& effect = known_.effect_at(r.effect);
    if (effect.broken) return report(effect.broken, from, server, in, w);
    if (effect.beyond) return;
    ++w.steps;
    const auto past = known_.remember(w.cache, from.head.past, r.state);
    if (past.broken >= 0) return report(rule_of_past(past.broken), from, server, in, w);
    world& next = w.next;
    next.head = from.head;
    next.head.past = past.past;
    next.head.used = used;
    next.head.servers[server] = r.state;
    next.messages.assign(from.messages.begin(), from.messages.end());
    w.totals = w.totals_before;
    exchange(w.totals, known_.server(before).names, known_.server(r.state).names);
    if (past.past != from.head.past) {
      exchange(w.totals, known_.past(from.head.past).names, known_.past(past.past).names);
    }
    add_messages(r.effect, w);
    if (const broken_rule broken = close(server, from.messages.size(), w)) return report(broken, from, server, in, w);
    if (is_new(w)) check_and_keep(from, server, in, w);
  }

  /// All clocks advance by one.
  void advance(const world& from, worker& w) {
    world& next = w.next;
    next = from;
    ++next.head.used.moments;
    ++w.steps;
    for (std::size_t i = 0; i < known_.scope().servers.size(); ++i) {
      next.head.servers[i] = known_.react(w.cache, next.head.servers[i], {act::advance, 0}).state;
    }
    w.totals = sums_of(next);
    for (std::uint32_t i = 0; i < known_.scope().servers.size(); ++i) {
      if (const broken_rule broken = close(i, 0, w)) return report(broken, from, 0, {act::advance, 0}, w);
    }
    if (is_new(w)) check_and_keep(from, 0, {act::advance, 0}, w);
  }

  static void exchange(sums& totals, const sums& old, const sums& now) {
    for (std::size_t i = 0; i < totals.size(); ++i) {
      totals[i] -= old[i];
      totals[i] += now[i];
    }
  }

  /// What is sent joins the messages of the next world, unless it is there.
  void add_messages(std::uint32_t effect, worker& w) {
    for (const std::uint32_t m : known_.effect_at(effect).sent) {
      if (std::find(w.next.messages.begin(), w.next.messages.end(), m) != w.next.messages.end()) continue;
      w.next.messages.push_back(m);
      const auto& names = known_.message_at(m).names;
      for (std::size_t i = 0; i < w.totals.size(); ++i) w.totals[i] += names[i];
    }
  }

  /// Sends what is sent by inputs that change nobody's state: answers to messages that are late. Nothing is lost by
  /// doing so at once. Such a message may come at any time, and what may follow without it may follow with it: it need
  /// not be delivered. Without this every subset of these answers would be a world of its own.
  /// Precondition: it was so done before `changed` got its state, and the messages from `fresh` on were sent.
  broken_rule close(std::uint32_t changed, std::size_t fresh, worker& w) {
    for (std::size_t at = 0; at < w.next.messages.size(); ++at) {
      const std::uint32_t m = w.next.messages[at];
      const std::size_t to = known_.message_at(m).to;
      if (to >= known_.scope().servers.size() || (at < fresh && to != changed)) continue;
      const auto r = known_.react(w.cache, w.next.head.servers[to], {act::deliver, m});
      if (r.state != w.next.head.servers[to] || r.effect == 0) continue;
      const auto& effect = known_.effect_at(r.effect);
      if (effect.broken) return effect.broken;
      if (!effect.beyond) add_messages(r.effect, w);
    }
    forget(w);
    return {};
  }

  /// Messages that nobody will ever heed again are gone.
  void forget(worker& w) {
    std::erase_if(w.next.messages, [&](std::uint32_t m) {
      const auto& state = known_.message_at(m);
      const bool heeded = state.to < known_.scope().servers.size() &&
                          known_.server(w.next.head.servers[state.to]).facts.durable_term <= state.heeded;
      for (std::size_t i = 0; !heeded && i < w.totals.size(); ++i) w.totals[i] -= state.names[i];
      return !heeded;
    });
  }

  /// The sums over all servers, messages and the past of their hashes, under each renaming.
  sums sums_of(const world& w) const {
    sums totals = known_.past(w.head.past).names;
    const auto add = [&totals](const std::vector<hash128>& names) {
      for (std::size_t i = 0; i < totals.size(); ++i) totals[i] += names[i];
    };
    for (std::size_t i = 0; i < known_.scope().servers.size(); ++i) add(known_.server(w.head.servers[i]).names);
    for (const std::uint32_t m : w.messages) add(known_.message_at(m).names);
    return totals;
  }

  /// A state is known if any renaming of it is: the least of its hashes stands for all of them.
  bool is_new(worker& w) {
    const hash128 least = *std::min_element(w.totals.begin(), w.totals.end());
    const auto bytes = std::bit_cast<std::array<std::byte, sizeof(how_often)>>(w.next.head.used);
    if (!seen_.insert(least + hash_of(bytes, 4))) return false;
    w.unreduced += w.totals.size() / static_cast<std::size_t>(std::count(w.totals.begin(), w.totals.end(), least));
    return true;
  }

  void check_and_keep(const world& from, std::uint32_t server, const input& in, worker& w) {
    if (const broken_rule broken = broken_in(w, server)) return report(broken, from, server, in, w);
    w.next.head.link = keep_link(from, server, in, w);
    pack(w.next, w.level);
  }

  /// Links of all workers are numbered in turns.
  std::uint32_t keep_link(const world& from, std::uint32_t server, const input& in, worker& w) {
    w.links.push_back({from.head.link, server, in});
    const auto worker_number = static_cast<std::size_t>(&w - workers_.data());
    return static_cast<std::uint32_t>((w.links.size() - 1) * workers_.size() + worker_number);
  }

  // ---------------------------------------------------------------------------------------------- what must hold

  /// What is broken in a state in which `changed` is not as before.
  broken_rule broken_in(worker& by, std::uint32_t changed) {
    const world& w = by.next;
    const std::size_t n = known_.scope().servers.size();
    std::array<const server_facts*, most_servers> all{};
    std::array<index_t, most_servers> held{};
    for (std::size_t i = 0; i < n; ++i) {
      all[i] = &known_.server(w.head.servers[i]).facts;
      const auto r = known_.remember(by.cache, w.head.past, w.head.servers[i]);
      if (r.broken >= 0) return rule_of_past(r.broken);
      held[i] = index_t{r.held};
    }
    for (std::size_t i = 0; i < n; ++i) {
      if (i == changed) continue;
      if (const auto broken = first_broken(pair_rules, *all[changed], *all[i])) return broken;
      if (const auto broken = first_broken(pair_rules, *all[i], *all[changed])) return broken;
    }
    if (!explorer_rules::every_quorum_holds_the_commits(std::span{all}.first(n), std::span{held}.first(n))) {
      return quorum_rule;
    }
    return {};
  }

  static broken_rule rule_of_past(std::int16_t i) {
    const auto& rule = past_rules<Machine>[static_cast<std::size_t>(i)];
    return {rule.name, rule.source};
  }

  // ---------------------------------------------------------------------------------------------- the story

  void report(const broken_rule& what, const world& from, std::uint32_t server, const input& in, worker& w) {
    const std::uint32_t last = keep_link(from, server, in, w);
    const std::lock_guard guard{mutex_};
    if (found_) return;
    what_is_broken_ = what;
    last_ = last;
    found_ = true;
  }

  std::vector<std::string> tell() {
    std::vector<link> steps;
    for (std::uint32_t at = last_; at != root; at = steps.back().before) {
      steps.push_back(workers_[at % workers_.size()].links[at / workers_.size()]);
    }
    std::reverse(steps.begin(), steps.end());
    teller<reactions_type> t{known_, workers_[0].cache};
    for (const link& step : steps) t.tell(step.server, step.what);
    t.lines.push_back(std::string{"broken: "} + what_is_broken_.name + " (" + what_is_broken_.source + ")");
    return std::move(t.lines);
  }

  static constexpr std::size_t block_bytes = std::size_t{1} << 18;
  reactions_type known_;
  std::uint64_t most_states_;
  std::vector<worker> workers_;
  hash_set seen_{};
  std::mutex mutex_{};
  std::atomic<bool> found_{false};
  broken_rule what_is_broken_{};
  std::uint32_t last_ = root;
};

/// Explores a scope to its end, to the first broken invariant, or to `most_states`. The Log of its servers is durable
/// on return, or later: as the scope's `deferred` says, too.
template <class Machine = hashing_machine, bool DurableOnReturn = true>
[[nodiscard]] exploration explore(const exploration_scope& scope, unsigned threads = 1,
                                  std::uint64_t most_states = ~std::uint64_t{0}) {
  return explorer<Machine, DurableOnReturn>{scope, threads, most_states}.run();
}

}  // namespace raft::testing
