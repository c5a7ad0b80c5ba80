// Real raft-kv servers, each in a network namespace, under faults that a seed draws: links, packets, processes, disks,
// clocks, members. Clients go on meanwhile; everything that they saw is checked.
//
//   faults RAFT-KV CLOCK-SHIM DIRECTORY SECONDS SEED
//
// DIRECTORY gets the servers' logs, the rounds and the history. Ends with the line `N passed, M failed`; the exit code
// is 0 only if nothing failed, and 77 on a machine that forbids namespaces, where nothing was tested.

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <set>

#include "nemesis.hpp"

namespace {

using namespace faults;
using linearizability::verdict;

constexpr int skipped = 77;
/// The bound B: within it the cluster is in order after any fault. 50 times the longest election timeout of raft-kv's
/// default: 20 for the protocol, as in the simulator, and the rest for TCP and for starting again.
constexpr milliseconds bound{15000};

double in_ms(steady::duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

/// What a kind of fault did to clients.
struct effect {
  int times = 0;
  std::vector<double> pauses{};  ///< The longest time without an answered write, of each round in which it was alone.

  void note(double pause) {
    ++times;
    pauses.push_back(pause);
  }
};

class run {
 public:
  explicit run(const std::vector<std::string>& words)
      : directory_(words[2]),
        limit_(std::chrono::seconds(std::atoi(words[3].c_str()))),
        seed_(static_cast<unsigned>(std::strtoul(words[4].c_str(), nullptr, 10))),
        site_(words[0], words[2], words[1], 5, seed_),
        nemesis_(site_, seed_),
        rounds_(words[2] + "/rounds.txt") {}

  int operator()() {
    for (const std::string& what : nemesis_.missing()) std::printf("not here: %s\n", what.c_str());
    // Nothing is promised of that but that it happens: making the first logs takes a busy machine its time.
    check("the cluster begins", [this] { await_order(std::chrono::seconds(60)); });
    {
      counters sessions{site_.around(), 3, milliseconds(1)};
      recorder clients{site_.around(), 9, seed_};
      ledger writes{site_.around(), 2};
      check("the cluster comes back after each round of faults", [&] { disturb(sessions); });
      site_.heal();
      check("in order within the bound when the faults have stopped", [this] { note_order(await_order()); });
      check("back at once after a long cut", [this] { cut_for_long(); });
      sessions.stop();
      clients.stop();
      writes.stop();
      clients.write(directory_ + "/history.jsonl");
      judge(sessions, clients, writes);
    }
    report();
    std::printf("%d passed, %d failed\n", passed_, failed_);
    return failed_ == 0 ? 0 : 1;
  }

 private:
  [[nodiscard]] bool is_long() const { return limit_ >= std::chrono::minutes(5); }

  template <class Holds>
  void check(const char* what, Holds&& holds) {
    std::string why;
    try {
      holds();
    } catch (const std::exception& e) {
      why = e.what();
    }
    std::printf("%s %s%s%s\n", why.empty() ? "ok    " : "FAILED", what, why.empty() ? "" : ": ", why.c_str());
    std::fflush(stdout);
    ++(why.empty() ? passed_ : failed_);
  }

  // -------------------------------------------------------------------------------------------------- faults

  void disturb(counters& sessions) {
    const auto begin = steady::now();
    require(within(bound, [&] { return sessions.acknowledged() > 0; }), "nothing is answered before any fault");
    for (int n = 0; steady::now() - begin < limit_; ++n) {
      rounds_ << std::chrono::duration<double>(steady::now() - begin).count() << " s:";
      round(sessions, n);
      if (n % 20 == 19) {
        note_order(await_order());
        std::printf("       %3.0f s: %d rounds, %lld commands of sessions\n", in_ms(steady::now() - begin) / 1000,
                    n + 1, sessions.acknowledged());
        std::fflush(stdout);
      }
    }
  }

  /// One fault, or two at once, for a while; then none until a write is answered, and some time more.
  void round(counters& sessions, int n) {
    static_cast<void>(sessions.longest_pause_ms());
    const bool alone = nemesis_.between(0, 2) > 0;
    std::vector<fault> all;
    std::vector<std::string> names;
    begin_one(all, names);
    if (!alone) begin_one(all, names);
    // Now and then for so long that timers of all kinds have had their turn.
    const milliseconds hold(n % 10 == 9 ? nemesis_.between(4000, 8000) : nemesis_.between(300, 1500));
    for (const auto until = steady::now() + hold; steady::now() < until;) {
      for (const fault& f : all) {
        if (f.tick) f.tick();
      }
      std::this_thread::sleep_for(milliseconds(100));
    }
    for (const fault& f : all) {
      if (f.end) f.end();
    }
    for (const fault& f : all) {
      if (f.finish) f.finish();
    }
    sessions.mark();
    require(within(bound, [&] { return sessions.first_answer().has_value(); }), "no answer after " + names.front());
    std::this_thread::sleep_for(milliseconds(nemesis_.between(100, 500)));
    require(sessions.wrong().empty(), sessions.wrong());
    const double pause = sessions.longest_pause_ms();
    for (const std::string& name : names) ++effects_[name].times;
    (names.size() == 1 ? effects_[names[0]] : together_).pauses.push_back(pause);
    if (names.size() > 1) ++together_.times;
    rounds_ << " | held " << hold.count() << " ms, longest pause " << pause << " ms" << std::endl;
    look_at_processes();
  }

  void begin_one(std::vector<fault>& all, std::vector<std::string>& names) {
    const nemesis::kind& k = nemesis_.draw();
    auto f = k.begin();
    rounds_ << " " << k.name << (f ? ";" : " (not now);");
    if (!f) return;
    all.push_back(*std::move(f));
    names.push_back(k.name);
  }

  /// A server cut off for so long that TCP, left to itself, would not try again for as long.
  void cut_for_long() {
    constexpr milliseconds at_once(4000);
    const std::chrono::seconds cut(is_long() ? 45 : 7);
    int lead = -1;
    require(within(bound, [&] { return (lead = site_.leader()) >= 0; }), "nobody leads");
    const int v = site_.members()[site_.members()[0] == lead ? 1 : 0];
    for (const int i : site_.members()) {
      site_.cut(i, v);
      site_.cut(v, i);
    }
    std::this_thread::sleep_for(cut);
    site_.network().clear();
    const auto took = await_order();
    note_order(took);
    std::printf("       %.0f ms after a cut of %lld s\n", in_ms(took), static_cast<long long>(cut.count()));
    require(took < at_once, "it took " + std::to_string(in_ms(took)) + " ms");
  }

  void look_at_processes() {
    for (const int i : site_.members()) {
      const auto code = site_.ended(i);
      require(!code || nemesis_.may_end(i, *code), "server " + std::to_string(i + 1) + " ended by itself with " +
                                                       std::to_string(code.value_or(0)) + ": " +
                                                       last_line(site_.log(i)));
      site_.start(i);
    }
  }
  static std::string last_line(const std::string& text) {
    const std::size_t end = text.find_last_not_of('\n') + 1;
    const std::size_t begin = text.find_last_of('\n', end - 1) + 1;
    return end == 0 ? std::string{} : text.substr(begin, end - begin);
  }

  steady::duration await_order(milliseconds limit = bound) {
    const auto begin = steady::now();
    std::string what;
    const bool there = within(limit, [&] { return (what = site_.disorder()).empty(); });
    require(there, "not in order after " + std::to_string(limit.count()) + " ms: " + what);
    return steady::now() - begin;
  }
  void note_order(steady::duration took) { worst_order_ = std::max(worst_order_, took); }

  // -------------------------------------------------------------------------------------------------- verdicts

  void judge(counters& sessions, const recorder& clients, const ledger& writes) {
    std::vector<address> servers;
    for (const int i : site_.members()) servers.push_back(site_.client(i));
    check("every history is linearizable", [&] { judge_histories(clients.history()); });
    check("each command of a session was done exactly once", [&] { sessions.verify(servers); });
    check("every acknowledged write is on every server", [&] {
      const auto keys = writes.acknowledged();
      for (const auto& [who, held] : on_each_server(servers, keys)) {
        for (std::size_t i = 0; i < keys.size(); ++i) require(held[i] == keys[i], keys[i] + " is lost at " + who);
      }
      acknowledged_ = static_cast<long long>(keys.size());
    });
    check("every server holds the same", [&] {
      std::set<std::string> touched;
      for (const auto& o : clients.history()) touched.insert(o.key);
      std::vector<std::string> keys{touched.begin(), touched.end()};
      const auto unknown = writes.unknown();
      keys.insert(keys.end(), unknown.begin(), unknown.end());
      const auto all = on_each_server(servers, keys);
      for (const auto& [who, held] : all) {
        for (std::size_t i = 0; i < keys.size(); ++i) {
          require(held[i] == all.front().second[i], keys[i] + " differs at " + who);
        }
      }
    });
    check("faults of every kind came", [this] { judge_faults(); });
    for (const auto& o : clients.history()) ++(o.end == linearizability::operation::never ? unknown_ : done_);
    refused_ = clients.refused();
    unknown_ += static_cast<long long>(writes.unknown().size());
    done_ += acknowledged_;
    in_sessions_ = sessions.acknowledged();
  }

  void judge_histories(const std::vector<linearizability::operation>& history) {
    std::map<std::string, std::vector<linearizability::operation>> by_key;
    for (const auto& o : history) by_key[o.key].push_back(o);
    for (const auto& [key, operations] : by_key) {
      const auto found = linearizability::check(operations);
      require(found.what != verdict::not_linearizable, "not linearizable at key " + key);
      require(found.what != verdict::gave_up, "the checker gave up at key " + key);
      ++histories_;
    }
    require(histories_ > 20, "hardly any histories");
  }

  /// What each server holds, asked with reads at that server, which ask the leader for its index first.
  static std::vector<std::pair<std::string, std::vector<std::string>>> on_each_server(
      const std::vector<address>& servers, const std::vector<std::string>& keys) {
    constexpr std::size_t batch = 500;
    std::vector<std::pair<std::string, std::vector<std::string>>> all;
    for (const address& server : servers) {
      connection c;
      require(c.open(server, steady::now() + milliseconds(2000)) && c.call({"READONLY"}), "a server cannot be read");
      std::vector<std::string> held;
      for (std::size_t at = 0; at < keys.size(); at += batch) {
        std::vector<std::string> words{"MGET"};
        const auto from = keys.begin() + static_cast<std::ptrdiff_t>(at);
        words.insert(words.end(), from, from + static_cast<std::ptrdiff_t>(std::min(batch, keys.size() - at)));
        const auto got = c.call(words, milliseconds(10000));
        require(got && got->items.size() + 1 == words.size(), "a server cannot be read");
        for (const reply& r : got->items) held.push_back(r.type == 'n' ? "none" : r.text);
      }
      all.emplace_back(to_string(server), std::move(held));
    }
    return all;
  }

  void judge_faults() {
    // A short run has no time for all.
    const std::size_t wanted = is_long() ? nemesis_.kinds().size() : 8;
    require(effects_.size() >= wanted,
            "only " + std::to_string(effects_.size()) + " of " + std::to_string(wanted) + " kinds");
    const wire_counts& w = site_.network().counts();
    require(w.passed > 0 && w.cut > 0, "the wire cut nothing");
    std::uint64_t asked = 0;
    for (const auto& [i, clock] : site_.clocks()) asked += (*clock)->steady_reads;
    require(asked > 0, "no server asks the clock that is given to it");
  }

  // -------------------------------------------------------------------------------------------------- the report

  static void print(const std::string& name, effect e) {
    std::sort(e.pauses.begin(), e.pauses.end());
    std::printf("  %-48s %5d", name.c_str(), e.times);
    if (!e.pauses.empty()) std::printf(" %10.0f %10.0f", e.pauses[e.pauses.size() / 2], e.pauses.back());
    std::printf("\n");
  }

  void report() {
    std::printf("\n  %-48s %5s %10s %10s\n", "fault", "times", "median", "worst");
    for (const auto& [name, e] : effects_) print(name, e);
    print("(rounds with two at once)", together_);
    std::printf("  unavailability: ms without an answered write, of the rounds in which it was the only fault\n\n");
    const wire_counts& w = site_.network().counts();
    const auto n = [](const std::atomic<std::uint64_t>& c) { return static_cast<unsigned long long>(c.load()); };
    std::printf("  packets: %llu arrived, %llu cut, %llu lost, %llu doubled, %llu overtaken, %llu late, %llu damaged\n",
                n(w.passed), n(w.cut), n(w.lost), n(w.twice), n(w.overtaken), n(w.delayed), n(w.damaged));
    std::uint64_t wall = 0;
    for (const auto& [i, clock] : site_.clocks()) wall += (*clock)->wall_reads;
    std::printf("  servers: %zu in all; %d ended by a full disk; the wall clock was asked %llu times\n",
                site_.clocks().size(), nemesis_.ended_by_full_disks(), static_cast<unsigned long long>(wall));
    std::printf("  operations: %lld done, %lld refused, %lld unknown; and %lld in sessions, each once\n", done_,
                refused_, unknown_, in_sessions_);
    std::printf("  %lld histories linearizable; %lld acknowledged writes found on every server\n", histories_,
                acknowledged_);
    std::printf("  in order after the faults within %.0f ms at worst (bound: %lld ms)\n", in_ms(worst_order_),
                static_cast<long long>(bound.count()));
  }

  std::string directory_;
  steady::duration limit_;
  unsigned seed_;
  site site_;
  nemesis nemesis_;
  std::ofstream rounds_;
  std::map<std::string, effect> effects_{};
  effect together_{};
  steady::duration worst_order_{};
  long long done_ = 0, refused_ = 0, unknown_ = 0, in_sessions_ = 0, histories_ = 0, acknowledged_ = 0;
  int passed_ = 0;
  int failed_ = 0;
};

/// Why this machine cannot run it; empty: it can.
std::string forbidden() {
  try {
    own_namespaces();
    wire{0}.plug(1);
  } catch (const std::exception& e) {
    return e.what();
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() != 5) {
    std::fprintf(stderr, "usage: faults RAFT-KV CLOCK-SHIM DIRECTORY SECONDS SEED\n");
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  if (const std::string why = forbidden(); !why.empty()) {
    std::printf("SKIPPED: this machine forbids it: %s\n", why.c_str());
    return skipped;
  }
  // Whatever hangs: it ends, and the kernel takes the servers and their namespaces with it.
  ::alarm(static_cast<unsigned>(std::atoi(words[3].c_str())) + 300);
  try {
    return run{words}();
  } catch (const std::exception& e) {
    std::printf("FAILED the run itself: %s\n0 passed, 1 failed\n", e.what());
    return 1;
  }
}
