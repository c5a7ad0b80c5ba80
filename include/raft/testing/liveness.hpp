#pragma once

// Liveness [I31, I41, I43-I45]: when the faults have stopped, everything is in order again within a stated time.
//
// The time is B = 20 * election_timeout_max, for an election, a fresh proposal and a fresh read; and besides as long as
// it takes to send and apply what the servers lag behind by (a limit of one entry an append makes that long, and it is
// no fault of the protocol).
//
// "In order" is: one leader, known to all; commit and applied index of all equal to the end of its log; the fresh
// proposal applied and the read answered; every peer in the replicate state with nothing under way; nobody waiting for
// an answer. Where only one server is connected to all others (the hub), or a quorum is connected and the others are in
// part (the web), it is that somebody leads, commits and answers; and in the web that nobody deposes it later.
//
// Some runs go on for 50 election timeouts more, in which no term may change [I44].

#include <algorithm>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <raft/testing/cluster.hpp>
#include <raft/testing/rng.hpp>
#include <raft/testing/workload.hpp>

namespace raft::testing {

class liveness {
 public:
  liveness(cluster& c, workload& w, rng chance) : cluster_(&c), workload_(&w), chance_(chance) {}

  /// Stops the faults and watches what becomes of it. What is wrong is reported to the cluster's checks.
  void watch() {
    const ending how = cluster_->chosen().ending;
    if (how == ending::hub) {
      heal_around_a_hub();
      if (!wait_until([this] { return served(); })) return give_up("I45");
      cluster_->counts().add(meter::ends_with_hub);
    }
    if (how == ending::web) {
      heal_a_core_in_a_web();
      if (!wait_until([this] { return served(); })) return give_up("I45");
      watch_who_leads_in_the_web();
      cluster_->counts().add(meter::ends_with_web);
    }
    heal(how == ending::core ? choose_core() : everyone());
    if (how == ending::served) {
      if (!wait_until([this] { return served(); })) give_up("I43");
      return cluster_->counts().add(meter::ends_with_service);
    }
    cluster_->counts().add(how == ending::core ? meter::ends_with_core : meter::ends_with_all);
    if (!wait_until([this] { return in_order(); })) return give_up("I43");
    cluster_->checks().converged(members_);
    cluster_->checks().every_so_often();
    if (cluster_->chosen().watch_stability) watch_stability();
  }

  /// How long it took from the end of the faults until everything was in order; in election timeouts.
  [[nodiscard]] double timeouts_taken() const noexcept { return in_timeouts(done_at_ - began_); }
  /// How long until somebody led.
  [[nodiscard]] double timeouts_to_lead() const noexcept { return in_timeouts(led_at_ - began_); }
  /// B: the most that is allowed until somebody leads, and until everything is in order.
  [[nodiscard]] double lead_bound() const noexcept { return in_timeouts(cluster_->chosen().patience()); }
  [[nodiscard]] double order_bound() const noexcept { return in_timeouts(allowed_); }

 private:
  [[nodiscard]] double in_timeouts(instant span) const noexcept {
    return static_cast<double>(span) / static_cast<double>(cluster_->chosen().options.election_timeout_max);
  }
  [[nodiscard]] bool broken() const { return cluster_->checks().broken(); }

  // ---- who is there; whose log was lost for good never is

  std::vector<server*> everyone() {
    std::vector<server*> all;
    for (const auto& s : cluster_->servers()) {
      if (!s->disk.lost()) all.push_back(s.get());
    }
    return all;
  }

  /// A random set of servers that is a quorum, no larger than it must be (learners may be in it).
  std::vector<server*> choose_core() {
    std::vector<server*> rest = everyone();
    std::vector<server*> core;
    const auto holds = [&core](node_id id) {
      return std::any_of(core.begin(), core.end(), [id](const server* s) { return s->id == id; });
    };
    while (!is_quorum(cluster_->chosen().members, holds)) {
      const auto next = rest.begin() + static_cast<std::ptrdiff_t>(chance_.below(rest.size()));
      core.push_back(*next);
      rest.erase(next);
    }
    return core;
  }

  void heal(std::vector<server*> live) {
    live_ = std::move(live);
    begin(link_set{});
  }

  /// Everybody lives, but talks to one server alone: the voter that is most up to date, or nobody could be elected.
  void heal_around_a_hub() {
    live_ = everyone();
    cluster_->calm(live_, link_set{});     // who failed starts again, and what its disk lost does not count
    pass(cluster_->chosen().latency_max);  // and what its former life had sent arrives
    const server* hub = nullptr;
    const auto end_of = [this](const server& s) {
      const trail& log = cluster_->checks().of(s).image;
      return log_end{log.at(log.last()).term, log.last()};
    };
    for (const server* s : live_) {
      if (!cluster_->chosen().members.is_voter(s->id)) continue;
      if (hub == nullptr || end_of(*hub) < end_of(*s)) hub = s;
    }
    link_set cut;
    for (const server* a : live_) {
      for (const server* b : live_) {
        if (a != b && a != hub && b != hub) cut.add(a->slot, b->slot);
      }
    }
    begin(cut);
  }

  void heal_a_core_in_a_web() {
    const std::vector<server*> core = choose_core();
    const auto in_core = [&core](server* s) { return std::find(core.begin(), core.end(), s) != core.end(); };
    live_ = everyone();
    link_set cut;
    for (server* a : live_) {
      for (server* b : live_) {
        const bool linked = a == b || (in_core(a) && in_core(b)) || chance_.permille(500);
        if (!linked) cut.add(a->slot, b->slot);
      }
    }
    begin(cut);
  }

  void begin(link_set cut) {
    cluster_->teller().line(cluster_->now(), "the faults stop; %zu servers live%s", live_.size(),
                            cut.empty() ? "" : ", around a hub");
    cluster_->calm(live_, cut);
    began_ = cluster_->now();
    led_at_ = never;
    probe_ = {};
    asked_ = false;
  }

  // ---- how long

  [[nodiscard]] instant allowance() {
    const plan& p = cluster_->chosen();
    std::uint64_t entries = 0;
    index_t last{};
    for (const server* s : live_) last = std::max(last, s->disk.image().last_index());
    for (const server* s : live_) {
      entries = std::max(entries, last - s->disk.image().snapshot().index);
    }
    std::uint64_t image =
        machine_state::image_bytes + p.image_filler + 64 + p.sessions.sessions * (32 + 24 * p.sessions.window);
    for (const server* s : live_) {
      if (s->machine.own() != nullptr) image = std::max(image, 2 * image_bytes(*s));
    }
    const std::uint64_t chunks = image / p.options.snapshot_chunk_bytes + 1;
    const instant round_trip = 4 * p.latency_min + 4 * p.sync_min + 100;
    const auto messages = static_cast<instant>(entries + chunks + 16);
    return p.patience() + messages * (round_trip + 2 * p.ticker);
  }

  static std::uint64_t image_bytes(const server& s) {
    std::uint64_t bytes = 0;
    auto sink = [&bytes](payload part) -> result<void> {
      bytes += part.size();
      return {};
    };
    (void)s.machine.write_snapshot(sink);
    return bytes;
  }

  template <class Done>
  bool wait_until(Done&& done) {
    allowed_ = allowance();
    const instant end = began_ + allowed_;
    while (!broken() && cluster_->now() < end && cluster_->next_moment() < never) {
      if (led_at_ == never && cluster_->now() > began_ + cluster_->chosen().patience()) return false;
      (void)cluster_->advance();
      if (!broken() && done()) {
        done_at_ = cluster_->now();
        return true;
      }
    }
    return false;
  }

  // ---- what is in order

  /// The one leader whom all follow that live and are members; null if there is none.
  server* common_leader() {
    server* leader = cluster_->leader();
    if (leader == nullptr) return nullptr;
    const term_t term = leader->look().term;
    members_.clear();
    for (server* s : live_) {
      if (leader->configuration().is_member(s->id)) members_.push_back(s);
    }
    for (const server* s : members_) {
      const glance now = s->look();
      if (now.leader != leader->id || now.term != term) return nullptr;
    }
    return leader;
  }

  /// Makes a proposal and asks a read at the leader; true when both are done, in the term in which they were made.
  bool fresh_answers(server& leader) {
    const glance now = leader.look();
    if (probe_.term != now.term) {
      const auto answer = workload_->propose_one(leader);
      if (!answer) return false;
      probe_ = *answer;
      asked_ = false;
    }
    if (!asked_) asked_ = workload_->read(leader);  // as many may be open as a server takes
    return asked_ && leader.look().applied >= probe_.index && cluster_->checks().of(leader).reads.empty();
  }

  bool served() {
    server* leader = cluster_->leader();
    if (leader == nullptr) return false;
    if (led_at_ == never) led_at_ = cluster_->now();
    return fresh_answers(*leader);
  }

  bool in_order() {
    server* leader = common_leader();
    if (leader == nullptr) return false;
    if (led_at_ == never) led_at_ = cluster_->now();
    if (!fresh_answers(*leader)) return false;
    if (leader->configuration().auto_leave) return false;
    const index_t last = leader->disk.image().last_index();
    for (const server* s : members_) {
      const glance now = s->look();
      if (now.commit != last || now.applied != last || s->machine.held() != 0) return false;
    }
    for (const server* s : live_) {
      const shadow& sh = cluster_->checks().of(*s);
      if (!sh.proposals.empty() || !sh.reads.empty() || !sh.forwards.empty() || sh.transfer_target != nobody)
        return false;
    }
    for (const auto& p : leader->status().peers) {
      const bool lives = std::any_of(live_.begin(), live_.end(), [&p](const server* s) { return s->id == p.id; });
      if (lives && (p.state != progress_state::replicate || p.match != last)) return false;
    }
    return true;
  }

  void watch_stability() {
    cluster_->counts().add(meter::stability_watched);
    server* leader = common_leader();
    const term_t term = leader->look().term;
    const instant end = cluster_->now() + 50 * cluster_->chosen().options.election_timeout_max;
    while (!broken() && cluster_->now() < end && cluster_->next_moment() < end) (void)cluster_->advance();
    for (const server* s : members_) {
      if (s->look().term != term || s->look().leader != leader->id) {
        cluster_->checks().report("I44", *s, "left a healthy leader: term %" PRIu64 " after %" PRIu64,
                                  s->look().term.value, term.value);
      }
    }
  }

  /// [I44, I45] Once those who had fallen behind were heard, nobody who is partly connected deposes who leads.
  void watch_who_leads_in_the_web() {
    const instant timeout = cluster_->chosen().options.election_timeout_max;
    pass(20 * timeout + cluster_->chosen().reserve());
    server* leader = cluster_->leader();
    if (leader == nullptr) return give_up("I45");
    const term_t term = leader->look().term;
    pass(30 * timeout);
    const glance now = leader->look();
    if (now.role != role_kind::leader || now.term != term) {
      cluster_->checks().report("I44", *leader, "was deposed in term %" PRIu64 " by who is partly connected",
                                term.value);
    }
  }

  void pass(instant length) {
    const instant end = cluster_->now() + length;
    while (!broken() && cluster_->now() < end && cluster_->next_moment() < end) (void)cluster_->advance();
  }

  // ---- what is not

  void give_up(const char* invariant) {
    if (broken()) return;
    std::string text;
    for (const server* s : live_) {
      const glance now = s->look();
      const shadow& sh = cluster_->checks().of(*s);
      char line[160];
      std::snprintf(line, sizeof line,
                    "; %" PRIu64 ": role %u term %" PRIu64 " leader %" PRIu64 " commit %" PRIu64 " applied %" PRIu64
                    " last %" PRIu64 " open %zu+%zu",
                    s->id.value, static_cast<unsigned>(now.role), now.term.value, now.leader.value, now.commit.value,
                    now.applied.value, s->disk.image().last_index().value, sh.proposals.size(), sh.reads.size());
      text += line;
    }
    cluster_->checks().report(invariant, *live_.front(),
                              "not in order %.0f election timeouts after the faults stopped%s",
                              static_cast<double>(cluster_->now() - began_) /
                                  static_cast<double>(cluster_->chosen().options.election_timeout_max),
                              text.c_str());
  }

  cluster* cluster_;
  workload* workload_;
  rng chance_;
  std::vector<server*> live_{};
  std::vector<server*> members_{};  ///< Of them, those of the leader's configuration.
  instant began_ = 0;
  instant led_at_ = never;
  instant done_at_ = 0;
  instant allowed_ = 0;
  proposal probe_{};
  bool asked_ = false;
};

}  // namespace raft::testing
