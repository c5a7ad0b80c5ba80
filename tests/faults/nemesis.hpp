#pragma once

// What goes wrong: every kind of fault, how it begins, what it does meanwhile, how it ends. Which, when, to whom and
// how hard follows from the seed; what that meets is the machine's own timing.

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "site.hpp"

namespace faults {

/// A fault that goes on.
struct fault {
  std::function<void()> tick{};    ///< Called every few milliseconds meanwhile.
  std::function<void()> end{};     ///< Throws if what it met with is no part of it.
  std::function<void()> finish{};  ///< What has to be possible when all faults have ended; throws if it is not.
};

class nemesis {
 public:
  struct kind {
    std::string name;
    /// Nothing if it could not begin: nobody leads, say.
    std::function<std::optional<fault>()> begin;
  };

  nemesis(site& where, unsigned seed) : site_(where), random_(seed) {
    add_links();
    add_weather();
    add_processes();
    add_clocks();
    add_operations();
    add_qdiscs();
  }
  nemesis(const nemesis&) = delete;
  nemesis& operator=(const nemesis&) = delete;

  [[nodiscard]] const std::vector<kind>& kinds() const { return kinds_; }
  /// Kinds that this machine does not have, with the reason.
  [[nodiscard]] const std::vector<std::string>& missing() const { return missing_; }
  /// Servers that ended because their disk was full, as they should.
  [[nodiscard]] int ended_by_full_disks() const { return ended_by_full_disks_; }
  /// Whether a server may end by itself, with that code: because its disk was full, now or just before.
  bool may_end(int i, int code) {
    constexpr int cannot_start = 3;
    constexpr int log_failed = 4;
    if (i != full_disk_ || (code != cannot_start && code != log_failed)) return false;
    ++ended_by_full_disks_;
    return true;
  }

  /// The next kind: each comes once before one comes again.
  const kind& draw() {
    if (deck_.empty()) {
      for (std::size_t i = 0; i < kinds_.size(); ++i) deck_.push_back(i);
      std::shuffle(deck_.begin(), deck_.end(), random_);
    }
    const std::size_t i = deck_.back();
    deck_.pop_back();
    return kinds_[i];
  }
  int between(int low, int high) { return low + static_cast<int>(random_() % static_cast<unsigned>(high - low + 1)); }

 private:
  using maybe = std::optional<fault>;

  void add(const char* name, std::function<maybe()> begin) { kinds_.push_back({name, std::move(begin)}); }

  [[nodiscard]] int anybody() { return site_.members()[random_() % site_.members().size()]; }
  [[nodiscard]] int anybody_but(int i) {
    int other = i;
    while (other == i) other = anybody();
    return other;
  }
  /// The leader more often than not: faults elsewhere are hardly noticed.
  [[nodiscard]] int victim() {
    const int lead = random_() % 5 < 3 ? site_.leader() : -1;
    return lead >= 0 ? lead : anybody();
  }
  [[nodiscard]] std::vector<int> shuffled() {
    std::vector<int> all = site_.members();
    std::shuffle(all.begin(), all.end(), random_);
    return all;
  }

  // -------------------------------------------------------------------------------------------------- links

  void cut(int from, int to) { site_.cut(from, to); }
  void cut_back(int to, int from) { site_.cut(from, to); }
  void cut_both(int a, int b) {
    cut(a, b);
    cut(b, a);
  }
  /// Cuts something between one and each other member.
  fault cut_all(int one, void (nemesis::*what)(int, int)) {
    for (const int i : site_.members()) {
      if (i != one) (this->*what)(one, i);
    }
    return until_it_clears();
  }
  fault until_it_clears(std::function<void()> tick = {}) {
    return {std::move(tick), [this] { site_.network().clear(); }};
  }
  /// Cuts every pair of members that `connected` does not want.
  template <class Connected>
  fault keep_only(const std::vector<int>& all, Connected connected) {
    for (std::size_t a = 0; a < all.size(); ++a) {
      for (std::size_t b = 0; b < all.size(); ++b) {
        if (a != b && !connected(a, b)) cut(all[a], all[b]);
      }
    }
    return until_it_clears();
  }

  void add_links() {
    add("one server cut off from the others", [this] { return cut_all(victim(), &nemesis::cut_both); });
    add("one server hears nobody", [this] { return cut_all(victim(), &nemesis::cut_back); });
    add("one server is heard by nobody", [this] { return cut_all(victim(), &nemesis::cut); });
    add("one link cut", [this]() -> maybe {
      const int v = victim();
      cut_both(v, anybody_but(v));
      return until_it_clears();
    });
    add("one link cut one way", [this]() -> maybe {
      const int v = victim();
      cut(v, anybody_but(v));
      return until_it_clears();
    });
    add("split in two and three", [this]() -> maybe {
      return keep_only(shuffled(), [](std::size_t a, std::size_t b) { return (a < 2) == (b < 2); });
    });
    add("two halves and a bridge", [this]() -> maybe {
      return keep_only(shuffled(), [](std::size_t a, std::size_t b) { return a == 0 || b == 0 || a % 2 == b % 2; });
    });
    add("a ring", [this]() -> maybe {
      const auto all = shuffled();
      return keep_only(all,
                       [n = all.size()](std::size_t a, std::size_t b) { return (a + 1) % n == b || (b + 1) % n == a; });
    });
    add("a link that flaps", [this]() -> maybe {
      const int v = victim();
      return until_it_clears([this, v, n = 0]() mutable {
        site_.network().clear();
        if (++n % 2 != 0) cut_all(v, &nemesis::cut_both);
      });
    });
    add("answers to clients lost", [this]() -> maybe {
      weather w;
      w.cut = true;
      site_.network().set(site::node(victim()), site::clients_node, w);
      return until_it_clears();
    });
    add("a network device off", [this]() -> maybe {
      const int v = victim();
      set_device(v, false);
      return fault{{}, [this, v] { set_device(v, true); }};
    });
  }
  void set_device(int i, bool up) {
    site_.network().in(site::node(i), [up] { detail::set_device(wire::device, up); });
  }

  // -------------------------------------------------------------------------------------------------- weather

  /// The same weather between all servers, and, if it is said so, to and from clients.
  fault everywhere(const weather& w, bool clients) {
    std::vector<int> nodes;
    for (const int i : site_.members()) nodes.push_back(site::node(i));
    if (clients) nodes.push_back(site::clients_node);
    for (const int a : nodes) {
      for (const int b : nodes) site_.network().set(a, b, w);
    }
    return until_it_clears();
  }
  unsigned chance(int low, int high) { return static_cast<unsigned>(between(low, high)); }

  void add_weather() {
    add("packets lost", [this]() -> maybe {
      weather w;
      w.loss = chance(20, 250);
      return everywhere(w, true);
    });
    add("packets doubled", [this]() -> maybe {
      weather w;
      w.twice = chance(100, 500);
      return everywhere(w, true);
    });
    add("packets out of order", [this]() -> maybe {
      weather w;
      w.overtaken = chance(50, 400);
      return everywhere(w, true);
    });
    add("packets late", [this]() -> maybe {
      weather w;
      w.delay = milliseconds(between(2, 40));
      w.jitter = milliseconds(between(0, 60));
      return everywhere(w, true);
    });
    add("packets damaged, TCP blind", [this]() -> maybe {
      weather w;
      w.damaged = chance(5, 50);
      return everywhere(w, false);
    });
    add("all of that", [this]() -> maybe {
      return everywhere({false, chance(0, 100), chance(0, 100), chance(0, 100), chance(0, 5),
                         milliseconds(between(0, 20)), milliseconds(between(0, 20))},
                        false);
    });
  }

  // -------------------------------------------------------------------------------------------------- processes

  /// Servers that were members when a fault began may be gone when it ends.
  void start_again(const std::vector<int>& which) {
    for (const int i : which) {
      if (site_.is_member(i)) site_.start(i);
    }
  }
  fault kill(const std::vector<int>& which) {
    for (const int i : which) site_.kill9(i);
    return {{}, [this, which] { start_again(which); }};
  }
  fault stop(const std::vector<int>& which) {
    for (const int i : which) site_.signal(i, SIGSTOP);
    return {{}, [this, which] {
              for (const int i : which) site_.signal(i, SIGCONT);
            }};
  }
  std::vector<int> majority() {
    auto all = shuffled();
    all.resize(all.size() / 2 + 1);
    return all;
  }
  maybe of_leader(fault (nemesis::*what)(const std::vector<int>&)) {
    const int lead = site_.leader();
    if (lead < 0) return std::nullopt;
    return (this->*what)({lead});
  }

  void add_processes() {
    add("kill -9 of the leader", [this] { return of_leader(&nemesis::kill); });
    add("kill -9 of one", [this]() -> maybe { return kill({anybody()}); });
    add("kill -9 of a majority", [this]() -> maybe { return kill(majority()); });
    add("kill -9 of all", [this]() -> maybe { return kill(shuffled()); });
    add("kill -9, over and over", [this]() -> maybe {
      const int v = victim();
      return fault{[this, v] {
                     site_.kill9(v);
                     start_again({v});
                   },
                   [this, v] { start_again({v}); }};
    });
    add("SIGSTOP of the leader", [this] { return of_leader(&nemesis::stop); });
    add("SIGSTOP of one", [this]() -> maybe { return stop({anybody()}); });
    add("SIGSTOP of a majority", [this]() -> maybe { return stop(majority()); });
    add("SIGSTOP of the leader, cut off when it goes on", [this]() -> maybe {
      const int lead = site_.leader();
      if (lead < 0) return std::nullopt;
      site_.signal(lead, SIGSTOP);
      return fault{{}, [this, lead] {
                     cut_all(lead, &nemesis::cut_both);
                     site_.signal(lead, SIGCONT);
                     std::this_thread::sleep_for(milliseconds(between(100, 400)));
                     site_.network().clear();
                   }};
    });
    add("a full disk", [this] { return fill_disk(); });
  }

  maybe fill_disk() {
    const int v = victim();
    const std::string ballast = site_.disk(v) + "/ballast";
    const int file = ::open(ballast.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    require(file >= 0, "a disk cannot be filled");
    const std::string zeros(std::size_t{1} << 20, '\0');
    for (std::size_t piece = zeros.size(); piece > 0;) {
      if (::write(file, zeros.data(), piece) <= 0) piece /= 2;
    }
    ::close(file);
    // What it writes is mostly in place already; a snapshot needs room.
    connection link;
    const auto until = steady::now() + milliseconds(300);
    if (link.open(site_.client(v), until)) static_cast<void>(link.call({"RAFT.SNAPSHOT"}, until));
    full_disk_ = v;
    return fault{{}, [this, v, ballast] {
                   std::filesystem::remove(ballast);
                   const auto code = site_.ended(v);
                   require(!code || may_end(v, *code),
                           "a full disk ended a server with " + std::to_string(code.value_or(0)));
                   start_again({v});
                 }};
  }

  // -------------------------------------------------------------------------------------------------- clocks

  void add_clocks() {
    add("a wall clock stepped", [this]() -> maybe {
      const std::int64_t years = std::int64_t{365} * 86400 * 1'000'000'000;
      site_.clock(victim()).wall_offset.fetch_add(between(0, 1) == 0 ? years : -years);
      return fault{};
    });
    add("a steady clock that jumps ahead", [this]() -> maybe {
      site_.clock(victim()).set_steady(1000, std::int64_t{between(1, 20'000)} * 1'000'000);
      return fault{};
    });
    // It takes long to notice that nobody follows it any more: clients go on asking it when another one leads already.
    add("the leader cut off, with a slow clock", [this]() -> maybe {
      const int lead = site_.leader();
      if (lead < 0) return std::nullopt;
      site_.clock(lead).set_steady(between(50, 200), 0);
      cut_all(lead, &nemesis::cut_both);
      return fault{{}, [this, lead] {
                     std::this_thread::sleep_for(milliseconds(between(1000, 2000)));
                     site_.network().clear();
                     site_.clock(lead).set_steady(1000, 0);
                   }};
    });
    add("steady clocks that run fast and slow", [this]() -> maybe {
      const auto all = site_.members();
      for (const int i : all) site_.clock(i).set_steady(between(500, 2000), 0);
      return fault{{}, [this, all] {
                     for (const int i : all) site_.clock(i).set_steady(1000, 0);
                   }};
    });
  }

  // -------------------------------------------------------------------------------------------------- operations

  void add_operations() {
    add("leadership handed over", [this]() -> maybe {
      ask_leader({"RAFT.TRANSFER"});
      return fault{};
    });
    add("snapshots taken", [this]() -> maybe {
      return fault{[this] {
        connection link;
        const auto until = steady::now() + milliseconds(50);
        if (link.open(site_.client(anybody()), until)) {
          static_cast<void>(link.call({"RAFT.SNAPSHOT"}, until));
        }
      }};
    });
    add("a server replaced", [this] { return replace(false); });
    add("a server replaced in one joint change", [this] { return replace(true); });
  }

  /// Asks once, and does not wait long for the answer.
  void ask_leader(const std::vector<std::string>& words) {
    const int lead = site_.leader_or_newcomer();
    connection link;
    const auto until = steady::now() + milliseconds(500);
    if (lead >= 0 && link.open(site_.client(lead), until)) static_cast<void>(link.call(words, until));
  }
  void finish(const std::vector<std::string>& words) {
    std::string last;
    const bool done = site_.administer(words, milliseconds(30000), last);
    require(done, words[0] + " " + words[1] + " is not done: " + last);
  }

  /// A new server for an old one, which is wiped. It is begun while faults go on, and finished when they have ended.
  maybe replace(bool joint) {
    if (replacing_) return std::nullopt;
    const int old = victim();
    const int fresh = site_.add_server();
    if (fresh < 0) return std::nullopt;
    replacing_ = true;
    const std::string place = site_.location(fresh);
    std::vector<std::string> change{"RAFT.CHANGE"};
    for (const int i : site_.members()) {
      if (i != old) change.push_back(std::to_string(i + 1));
    }
    change.push_back(std::to_string(fresh + 1) + "=" + place);
    const std::vector<std::string> add_it{"RAFT.ADD", std::to_string(fresh + 1), place};
    const std::vector<std::string> remove_it{"RAFT.REMOVE", std::to_string(old + 1)};
    ask_leader(joint ? change : add_it);
    return fault{{}, {}, [this, joint, old, fresh, change, add_it, remove_it] {
                   if (joint) {
                     finish(change);
                   } else {
                     finish(add_it);
                     finish(remove_it);
                   }
                   site_.join(fresh);
                   site_.leave(old);
                   site_.take_away(old);
                   replacing_ = false;
                 }};
  }

  // -------------------------------------------------------------------------------------------------- tc

  /// What iproute2's tc does to a server's device, where the kernel has that queueing discipline.
  void add_qdisc(const char* name, const std::string& words) {
    if (!tc(site::operator_node, words)) {
      missing_.push_back(std::string(name) + ": this kernel or machine has no `tc qdisc ... " + words + "`");
      return;
    }
    remove_qdisc(site::operator_node);
    add(name, [this, words]() -> maybe {
      const int node = site::node(victim());
      if (!tc(node, words)) return std::nullopt;
      return fault{{}, [this, node] { remove_qdisc(node); }};
    });
  }
  bool tc(int node, const std::string& words) {
    int code = -1;
    site_.network().in(
        node, [&] { code = std::system(("tc qdisc replace dev wire0 root " + words + " 2>/dev/null").c_str()); });
    return code == 0;
  }
  void remove_qdisc(int node) {
    site_.network().in(node, [] { static_cast<void>(std::system("tc qdisc del dev wire0 root 2>/dev/null") == 0); });
  }
  void add_qdiscs() {
    add_qdisc("netem: late, lost, doubled, out of order", "netem delay 20ms 15ms loss 5% duplicate 5% reorder 25% 50%");
    add_qdisc("tbf: a narrow line", "tbf rate 400kbit burst 4kb latency 300ms");
  }

  site& site_;
  std::mt19937 random_;
  std::vector<kind> kinds_{};
  std::vector<std::string> missing_{};
  std::vector<std::size_t> deck_{};
  bool replacing_ = false;
  int full_disk_ = -1;  ///< Whose disk was full last.
  int ended_by_full_disks_ = 0;
};

}  // namespace faults
