#pragma once

// Several servers and the network between them, which does nothing by itself: the test delivers, drops, keeps back,
// doubles, cuts and heals, and lets time pass.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "support/server.hpp"

namespace story {

class cluster {
 public:
  /// Servers 1 to n, all voters, all empty.
  explicit cluster(std::uint64_t n, const setup& how = {});
  /// The members of a configuration, all empty.
  explicit cluster(const raft::configuration& members, const setup& how = {});

  server& operator[](std::uint64_t id);

  // ---- servers come and go

  /// Starts a server, or starts it anew, with that durable state.
  server& start(std::uint64_t id, raft::memory_log log, recorder machine = {});
  /// The same for a server that is built in another way than the others.
  server& start(std::uint64_t id, raft::memory_log log, recorder machine, const setup& how);
  server& start(std::uint64_t id, const stored& log, recorder machine = {}) {
    return start(id, log.build(), std::move(machine));
  }
  /// The server is gone, with all that was not durable.
  void crash(std::uint64_t id);
  /// It comes back with what was durable.
  server& restart(std::uint64_t id);
  [[nodiscard]] bool up(std::uint64_t id) const { return servers_.contains(id); }
  [[nodiscard]] std::vector<std::uint64_t> ids() const;

  // ---- the network

  /// On the way, oldest first.
  [[nodiscard]] std::vector<letter>& mail() { return world_->mail; }
  /// Nothing gets from a to b.
  void cut_one_way(std::uint64_t a, std::uint64_t b) { cut_.insert({a, b}); }
  void cut(std::uint64_t a, std::uint64_t b);
  /// Cuts every link between the two groups.
  void split(const std::vector<std::uint64_t>& some, const std::vector<std::uint64_t>& others);
  /// Cuts every link of a server.
  void isolate(std::uint64_t id);
  /// Everything gets through again, or between two servers alone.
  void heal() { cut_.clear(); }
  void mend(std::uint64_t a, std::uint64_t b);

  /// Delivers until nothing is on the way. Answers how many letters were taken in.
  std::size_t deliver();
  /// Delivers what is on the way now and passes the filter; what is sent meanwhile stays on the way.
  std::size_t deliver(const filter& which);
  std::size_t drop(const filter& which = any);
  /// Takes letters off the way, to deliver them later by hand.
  std::vector<letter> take(const filter& which = any);
  void deliver_late(const std::vector<letter>& letters);

  // ---- time

  ms& now() { return world_->now; }
  /// Lets time pass and the network deliver, each server ticking at its deadlines.
  void pass(ms duration);
  /// Moves every clock, and nobody notices.
  void jump(ms duration) { world_->now += duration; }

  // ---- ends

  /// Has this server campaign after an election timeout without a leader, and win.
  server& elect(std::uint64_t id);
  /// The same, but nothing gets there that it sends as a leader: that is on the way.
  server& elect_unheard(std::uint64_t id);
  /// Lets time pass until a server leads whom a majority follows; fails if that takes over `limit`.
  server& await_leader(ms limit = 20 * 300);
  /// Everybody knows of the leader's commit, and has executed it.
  void spread();
  /// Completes every write of every server, and delivers, until nothing happens any more.
  void finish();

 private:
  void arrive(const letter& l);

  setup how_;
  std::shared_ptr<world> world_ = std::make_shared<world>();
  std::map<std::uint64_t, std::unique_ptr<server>> servers_{};
  std::map<std::uint64_t, raft::memory_log> disks_{};
  std::set<std::pair<std::uint64_t, std::uint64_t>> cut_{};
};

}  // namespace story
