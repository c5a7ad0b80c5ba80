#include "support/cluster.hpp"

#include <algorithm>

#include <doctest/doctest.h>

#include "support/printing.hpp"

namespace story {

using namespace raft;

cluster::cluster(std::uint64_t n, const setup& how) : cluster(voters(n), how) {}

cluster::cluster(const configuration& members, const setup& how) : how_(how) {
  for (const node_id id : members_of(members)) start(id.value, memory_log{members, 4096});
}

server& cluster::operator[](std::uint64_t id) {
  const auto found = servers_.find(id);
  REQUIRE_MESSAGE(found != servers_.end(), "server ", id, " is down");
  return *found->second;
}

server& cluster::start(std::uint64_t id, memory_log log, recorder machine) {
  return start(id, std::move(log), std::move(machine), how_);
}

server& cluster::start(std::uint64_t id, memory_log log, recorder machine, const setup& how) {
  setup own = how;
  own.seed += id;
  auto made = try_start(node_id{id}, std::move(log), own, std::move(machine), world_);
  REQUIRE_MESSAGE(made.has_value(), made.error().what);
  servers_[id] = *std::move(made);
  return *servers_[id];
}

void cluster::crash(std::uint64_t id) {
  disks_.insert_or_assign(id, (*this)[id].log().disk());
  servers_.erase(id);
}

server& cluster::restart(std::uint64_t id) {
  if (up(id)) crash(id);
  return start(id, disks_.at(id));
}

std::vector<std::uint64_t> cluster::ids() const {
  std::vector<std::uint64_t> all;
  for (const auto& [id, one] : servers_) all.push_back(id);
  return all;
}

void cluster::cut(std::uint64_t a, std::uint64_t b) {
  cut_one_way(a, b);
  cut_one_way(b, a);
}

void cluster::mend(std::uint64_t a, std::uint64_t b) {
  cut_.erase({a, b});
  cut_.erase({b, a});
}

void cluster::split(const std::vector<std::uint64_t>& some, const std::vector<std::uint64_t>& others) {
  for (const std::uint64_t a : some) {
    for (const std::uint64_t b : others) cut(a, b);
  }
}

void cluster::isolate(std::uint64_t id) {
  for (const auto& [other, one] : servers_) {
    if (other != id) cut(id, other);
  }
}

void cluster::arrive(const letter& l) {
  if (!up(l.what.to.value) || cut_.contains({l.what.from.value, l.what.to.value})) return;
  const auto taken = servers_[l.what.to.value]->step(l);
  if (!taken) CHECK_MESSAGE(taken.error().code == errc::failed, "refused: ", l, ": ", taken.error());
}

std::size_t cluster::deliver() {
  std::size_t delivered = 0;
  while (!mail().empty()) {
    delivered += deliver(any);
    REQUIRE_MESSAGE(delivered < 1000000, "the network never falls silent");
  }
  return delivered;
}

std::size_t cluster::deliver(const filter& which) {
  const std::vector<letter> now = take(which);
  for (const letter& l : now) arrive(l);
  return now.size();
}

std::size_t cluster::drop(const filter& which) { return take(which).size(); }

std::vector<letter> cluster::take(const filter& which) {
  std::vector<letter> taken;
  std::vector<letter> left;
  for (letter& l : std::exchange(mail(), {})) (which(l) ? taken : left).push_back(std::move(l));
  mail() = std::move(left);
  return taken;
}

void cluster::deliver_late(const std::vector<letter>& letters) {
  for (const letter& l : letters) arrive(l);
}

void cluster::pass(ms duration) {
  const ms end = now() + duration;
  for (int ticks = 0;; ++ticks) {
    deliver();
    ms next = std::numeric_limits<ms>::max();
    for (const auto& [id, one] : servers_) next = std::min(next, one->deadline());
    if (next > end) break;
    now() = std::max(now(), next);
    for (const auto& [id, one] : servers_) {
      if (one->deadline() <= now()) one->tick();
    }
    REQUIRE_MESSAGE(ticks < 1000000, "a deadline is never met");
  }
  now() = end;
}

server& cluster::elect(std::uint64_t id) {
  jump(how_.options.election_timeout_min);
  server& one = (*this)[id];
  one.campaign();
  if (how_.deferred) {
    finish();
  } else {
    deliver();
  }
  REQUIRE_MESSAGE(one.leads(), "server ", id, " was not elected: ", one.status());
  return one;
}

server& cluster::elect_unheard(std::uint64_t id) {
  jump(how_.options.election_timeout_max);
  server& one = (*this)[id];
  one.campaign();
  deliver(kind<raft::request_pre_vote>());
  deliver(kind<raft::request_pre_vote_reply>());
  deliver(kind<raft::request_vote>());
  deliver(kind<raft::request_vote_reply>());
  REQUIRE_MESSAGE(one.leads(), "server ", id, " was not elected: ", one.status());
  return one;
}

server& cluster::await_leader(ms limit) {
  const ms end = now() + limit;
  while (now() < end) {
    pass(10);
    for (const auto& [id, one] : servers_) {
      if (!one->leads()) continue;
      const auto follows = [leader = node_id{id}](const auto& other) { return other.second->leader() == leader; };
      const auto count = std::count_if(servers_.begin(), servers_.end(), follows);
      if (static_cast<std::size_t>(count) >= majority(one->status().configuration.voters.size())) return *one;
    }
  }
  FAIL("no leader after " << limit << " ms");
  return (*this)[0];
}

void cluster::spread() { pass(2 * how_.options.heartbeat_interval); }

void cluster::finish() {
  for (bool busy = true; busy;) {
    busy = deliver() != 0;
    for (const auto& [id, one] : servers_) {
      if (one->log().under_way().empty()) continue;
      busy = true;
      CHECK(one->persisted());
    }
  }
}

}  // namespace story
