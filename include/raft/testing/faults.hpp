#pragma once

// What goes wrong in a simulated cluster while its safety phase lasts: one fault at a time is begun, several last at
// once. Which kinds there are in a run, how often they come and how long they last is the plan's.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include <raft/testing/cluster.hpp>
#include <raft/testing/rng.hpp>

namespace raft::testing {

class faults {
 public:
  explicit faults(cluster& c) : cluster_(&c) {
    for (std::size_t i = 0; i < fault_count; ++i) {
      if (c.chosen().faults[i]) enabled_.push_back(static_cast<fault>(i));
    }
  }

  /// Begins one fault.
  void act(rng chance) {
    chance_ = chance;
    if (enabled_.empty()) return;
    const fault f = enabled_[chance_.below(enabled_.size())];
    cluster_->teller().deed(cluster_->now(), "fault: %s", fault_names[static_cast<std::size_t>(f)]);
    if (f >= fault::crash) {
      hit_server(f);
    } else {
      hit_network(f);
    }
  }

 private:
  [[nodiscard]] std::size_t count() const noexcept { return cluster_->servers().size(); }
  std::size_t any() { return chance_.below(count()); }
  instant length() {
    const instant longest = cluster_->chosen().fault_length;
    return chance_.between(1 + longest / 10, 1 + longest);
  }
  /// Half of the time the leader, else anyone: leaders are where it hurts.
  server& victim() {
    server* leader = cluster_->leader();
    return leader != nullptr && chance_.permille(500) ? *leader : cluster_->at(any());
  }
  /// Within the bound that leases rest on, or any.
  std::int64_t rate() {
    const std::int64_t slowest = cluster_->chosen().slowest_rate;
    if (slowest != 0) return chance_.between(slowest, clock_face::true_rate);
    return chance_.one_of<std::int64_t>({512, 700, 930, 1024, 1100, 1500, 2048, 4096, 10240});
  }
  void count_fault(meter m) { cluster_->counts().add(m); }

  // ---- the network

  /// Every link from `slots` to others, or from others to them, or both.
  link_set between(const std::vector<bool>& inside, bool out, bool in) const {
    link_set links;
    for (std::size_t a = 0; a < count(); ++a) {
      for (std::size_t b = 0; b < count(); ++b) {
        if (inside[a] && !inside[b] && out) links.add(a, b);
        if (!inside[a] && inside[b] && in) links.add(a, b);
      }
    }
    return links;
  }
  std::vector<bool> only(std::size_t slot) const {
    std::vector<bool> inside(count());
    inside[slot] = true;
    return inside;
  }
  std::vector<bool> random_side() {
    std::vector<bool> inside(count());
    for (std::size_t i = 0; i < count(); ++i) inside[i] = chance_.permille(500);
    return inside;
  }
  link_set one_link() {
    const std::size_t from = any();
    const std::size_t to = any();
    return from == to ? link_set{} : link_set{}.add(from, to);
  }
  /// Two halves that can talk to one server, but not to each other.
  link_set bridge() {
    const std::size_t middle = any();
    const std::vector<bool> inside = random_side();
    link_set links;
    for (std::size_t a = 0; a < count(); ++a) {
      for (std::size_t b = a + 1; b < count(); ++b) {
        if (a != middle && b != middle && inside[a] != inside[b]) links.add_both(a, b);
      }
    }
    return links;
  }

  /// Each hears its two neighbours, in some order of all, and nobody else.
  link_set ring() {
    const std::size_t step = 1 + chance_.below(2);
    link_set links;
    for (std::size_t a = 0; a < count(); ++a) {
      for (std::size_t b = 0; b < count(); ++b) {
        const bool neighbours = a == b || (a + step) % count() == b || (b + step) % count() == a;
        if (!neighbours) links.add(a, b);
      }
    }
    return links;
  }

  void hit_network(fault f) {
    disturbance d;
    d.until = cluster_->now() + length();
    d.what = f == fault::clog        ? disturbance::kind::clog
             : f == fault::lossy     ? disturbance::kind::lossy
             : f == fault::drop_kind ? disturbance::kind::drop_kind
                                     : disturbance::kind::cut;
    meter counted = meter::cut_one_way;
    switch (f) {
      case fault::cut_link:
        d.links = one_link();
        break;
      case fault::cut_into:
        d.links = between(only(victim().slot), false, true);
        break;
      case fault::cut_out_of:
        d.links = between(only(victim().slot), true, false);
        break;
      case fault::isolate:
        d.links = between(only(victim().slot), true, true);
        counted = meter::cut_both_ways;
        break;
      case fault::split:
        d.links = between(random_side(), true, true);
        counted = meter::split;
        break;
      case fault::bridge:
        d.links = bridge();
        counted = meter::bridge;
        break;
      case fault::ring:
        d.links = ring();
        counted = meter::ring;
        break;
      case fault::flap:
        d.links = chance_.permille(500) ? between(only(victim().slot), true, true) : one_link();
        d.flap = chance_.log_between(milliseconds_us, 500 * milliseconds_us);
        counted = meter::flapped;
        break;
      default:
        d.links = one_link();
        d.links |= chance_.permille(500) ? between(random_side(), true, true) : between(random_side(), true, false);
        d.body_kind = chance_.below(std::variant_size_v<message_body>);
        cluster_->net().disturb(d);
        return;  // What is clogged or dropped is counted message by message.
    }
    if (d.links.empty()) return;
    count_fault(counted);
    cluster_->net().disturb(d);
  }

  // ---- servers

  void hit_server(fault f) {
    server& s = victim();
    switch (f) {
      case fault::crash: {
        server& hit = cluster_->at(any());
        cluster_->crash(hit, length());
        break;
      }
      case fault::crash_leader:
        cluster_->crash(s, length());
        break;
      case fault::crash_all:
        for (std::size_t i = 0; i < count(); ++i) cluster_->crash(cluster_->at(i), length());
        count_fault(meter::restarts_of_all);
        break;
      case fault::pause:
        cluster_->pause(s, length());
        count_fault(meter::pauses);
        break;
      case fault::slow:
        s.slow_until = cluster_->now() + length();
        break;
      case fault::clock_rate:
        s.face.set_rate(cluster_->now(), rate());
        cluster_->plan_tick(s);
        count_fault(meter::clock_rates);
        break;
      case fault::clock_jump:
        s.face.jump(chance_.log_between(milliseconds_us, 4 * cluster_->chosen().options.election_timeout_max));
        cluster_->plan_tick(s);
        count_fault(meter::clock_jumps);
        break;
      default:
        if (s.up) hit_disk(s, f);
        break;
    }
  }

  void hit_disk(server& s, fault f) {
    if (s.disk.files() != nullptr && hit_files(s, f)) return;
    switch (f) {
      case fault::crash_at_write:
        s.disk.refuse_from(static_cast<std::uint32_t>(chance_.below(8)), true);
        break;
      case fault::refuse_write:
        s.disk.refuse_from(static_cast<std::uint32_t>(chance_.below(8)), false);
        break;
      case fault::sync_failure:
        if (!s.traits.deferred) return;
        s.disk.fail_sync();
        count_fault(meter::syncs_failed);
        break;
      case fault::refuse_snapshot:
        s.disk.refuse_snapshot();
        break;
      case fault::disk_stall:
        s.disk_stalled_until = cluster_->now() + length();
        count_fault(meter::disk_stalls);
        break;
      default:
        break;
    }
  }

  // ---- real files

  /// Whether the fault is one of files that are beneath a disk; the others are left to the disk.
  bool hit_files(server& s, fault f) {
    memory_disk& d = s.disk.files()->below();
    switch (f) {
      case fault::crash_at_write:
        s.disk.files()->cut_power_soon();
        return true;
      case fault::sync_failure:
        d.fail_sync_at = d.syncs + 1;
        count_fault(meter::syncs_failed);
        return true;
      case fault::io_error:
        d.fail_at = d.calls + 1 + chance_.below(12);
        return true;
      case fault::full_disk:
        d.room = d.used() + chance_.below(4096);
        return true;
      case fault::bit_flip:
        return damage(s, decay::bit_flip);
      case fault::stale_block:
        return damage(s, decay::stale);
      case fault::misdirected_block:
        return damage(s, decay::misdirected);
      default:
        return false;
    }
  }

  /// Raft stands the loss of a minority for good: more is not done to it.
  bool damage(server& s, decay how) {
    const auto spared = [this, &s](node_id id) { return id != s.id && !cluster_->at(id.value - 1).disk.lost(); };
    if (!is_quorum(cluster_->chosen().members, spared) || !s.disk.files()->would_notice()) return true;
    cluster_->crash_and_decay(s, length(), how);
    return true;
  }

  cluster* cluster_;
  rng chance_{0};
  std::vector<fault> enabled_{};
};

}  // namespace raft::testing
