#pragma once

// How a simulated cluster is made, takes its next event, and carries it out; and what follows from a call into a node.
// Included by cluster.hpp only.

namespace raft::testing {

inline std::vector<std::unique_ptr<server>> cluster::make_servers() {
  std::vector<std::unique_ptr<server>> made;
  for (std::size_t slot = 0; slot < plan_.servers.size(); ++slot) {
    server::setup s;
    s.id = node_id{slot + 1};
    s.slot = slot;
    s.traits = plan_.servers[slot];
    s.initial = &plan_.members;
    s.segment_bytes = plan_.segment_bytes;
    s.filler = plan_.image_filler;
    s.sessions = plan_.sessions;
    if (kit_ != nullptr) s.content = {kit_, &*reference_, plan_.options.snapshot_chunk_bytes};
    s.now = &now_;
    s.world = this;
    s.chance = chance_.fork(100 + slot);
    made.push_back(make_server(s));
    made.back()->disk.set_cold(plan_.cold_permille);
    if (s.traits.files) made.back()->disk.put_on_files(plan_.members);
    if (plan_.disks_lie) made.back()->disk.lie();
  }
  return made;
}

inline cluster::cluster(const plan& p, const subject_kit* kit, meters& counts, story& told)
    : plan_(p),
      kit_(kit),
      reference_(kit != nullptr ? std::optional<replay>{std::in_place, *kit} : std::nullopt),
      counts_(&counts),
      story_(&told),
      chance_(rng{p.seed}.fork(2)),
      servers_(make_servers()),
      checks_(servers_, plan_.members, plan_.options, kit != nullptr && kit->has_digest, counts),
      network_(plan_, rng{p.seed}.fork(3), counts) {
  if (!p.members.learners.empty()) counts.add(meter::learners);
  if (p.members.joint()) counts.add(meter::joint_configurations);
  for (const server_traits& t : p.servers) counts.add(meter::low_priorities, t.priority == highest_priority ? 0 : 1);
  if (p.members.voters.size() == 1) counts.add(meter::single_voters);
  if (p.members.voters.size() % 2 == 0) counts.add(meter::even_voters);
  for (auto& s : servers_) restart(*s);
}

inline server* cluster::leader() noexcept {
  server* best = nullptr;
  for (const auto& s : servers_) {
    if (!s->up || s->look().role != role_kind::leader) continue;
    if (best == nullptr || s->look().term > best->look().term) best = s.get();
  }
  return best;
}

// ---------------------------------------------------------------------------------------------------- the next event

inline server* cluster::next_to_tick() const noexcept {
  server* first = nullptr;
  for (const auto& s : servers_) {
    if (s->up && (first == nullptr || s->wake < first->wake)) first = s.get();
  }
  return first;
}

inline instant cluster::next_moment() const noexcept {
  const server* ticking = next_to_tick();
  const instant wake = ticking == nullptr ? never : ticking->wake;
  return queue_.empty() ? wake : std::min(wake, queue_.front().at);
}

inline errand cluster::advance() {
  ++events_;
  server* ticking = next_to_tick();
  if (ticking != nullptr && (queue_.empty() || ticking->wake < queue_.front().at)) {
    now_ = std::max(now_, ticking->wake);
    trace_.add(static_cast<std::uint64_t>(now_) << 8 | ticking->slot);
    tick(*ticking);
    return errand::none;
  }
  if (queue_.empty()) return errand::none;
  const event e = pop();
  now_ = std::max(now_, e.at);
  trace_.add(static_cast<std::uint64_t>(now_) << 8 | static_cast<std::uint64_t>(e.kind) << 4 | e.slot);
  if (events_ % 128 == 0) checks_.every_so_often();
  switch (e.kind) {
    case event_kind::deliver:
      deliver(e);
      break;
    case event_kind::sync:
      sync(e);
      break;
    case event_kind::apply:
      apply(e);
      break;
    case event_kind::fetch:
      fetch(e);
      break;
    case event_kind::restore:
      restore(e);
      break;
    case event_kind::piece:
      write_piece(e);
      break;
    case event_kind::carry:
      carry(e);
      break;
    case event_kind::restart:
      if (at(e.slot).incarnation != e.incarnation) break;
      crash(at(e.slot), never);
      restart(at(e.slot));
      break;
    case event_kind::work:
      return errand::work;
    case event_kind::fault:
      network_.end_disturbances(now_);
      return errand::fault;
  }
  return errand::none;
}

inline void cluster::tick(server& s) {
  if (plan_.ticker != 0) counts_->add(meter::fixed_rate_ticks);
  const bool due = s.deadline() <= s.local_now();
  const glance before = s.look();
  s.wake = never;
  call(s, [&s] { s.tick(); });
  if (!s.up) return;
  const glance now = s.look();
  const bool idle = due && s.deadline() <= s.local_now() && before.applied == now.applied && before.term == now.term &&
                    before.role == now.role;
  s.idle_ticks = idle ? s.idle_ticks + 1 : 0;
  if (s.idle_ticks > 10'000) checks_.report("I46", s, "ticks are due again and again, and change nothing");
}

/// Only a tick puts the next one off: what is due stays due, whatever else happens to the server meanwhile.
inline void cluster::plan_tick(server& s) {
  if (!s.up) return;
  if (plan_.ticker != 0) {
    if (s.wake == never) s.wake = now_ + plan_.ticker;
  } else {
    const instant due = s.deadline();
    if (due > never / 2) {
      s.wake = never;
      return;
    }
    instant at = std::max(s.face.real(due), std::min(s.wake, now_ + 1));
    if (plan_.timer_delay != 0 && !calm_) {
      at += static_cast<instant>(mix(static_cast<std::uint64_t>(due)) % static_cast<std::uint64_t>(plan_.timer_delay));
    }
    s.wake = at;
  }
  s.wake = std::max(s.wake, s.paused_until);
}

inline void cluster::deliver(const event& e) {
  server& s = at(e.slot);
  if (s.up && s.paused_until > now_) {
    event again = e;
    again.at = s.paused_until;
    return push(again);
  }
  if (!s.up || network_.lost_on_arrival(e.first, now_)) return network_.drop(e.first);
  network_.arrived(e.first);
  const auto opened = network_.open(e.first, s.id);
  if (opened && network_.at(e.first).damaged) checks_.report("I47", s, "takes a damaged frame for a message");
  if (!opened && !network_.at(e.first).damaged) {
    checks_.report("I47", s, "does not decode what was encoded: %s", opened.error().what);
  }
  if (opened) {
    const message& m = opened->message;
    if (const auto* chunk = std::get_if<install_snapshot>(&m.body)) note_chunk(s, *chunk);
    if (story_->told()) story_->line(now_, "%s", to_text(m).c_str());
    call(s, [&] {
      checks_.about_to_take_in(m);
      const auto taken = s.step(m);
      // Nothing that a server of ours sends is impossible, but for members that one does not know of.
      if (!taken && taken.error().code != errc::failed) {
        checks_.report("I47", s, "refuses what a correct server sent: %s", taken.error().what);
      }
      checks_.took_in(s, m);
    });
  }
  network_.drop(e.first);
}

inline void cluster::sync(const event& e) {
  server& s = at(e.slot);
  if (!s.up || s.incarnation != e.incarnation) return;
  if (s.paused_until > now_) {
    event again = e;
    again.at = s.paused_until;
    return push(again);
  }
  s.sync_under_way = false;
  if (s.disk.stuck()) return;
  if (!s.disk.complete(mark_t{e.first}, mark_t{e.last})) counts_->add(meter::completions_out_of_order);
  if (s.disk.power_was_cut()) return crash_without_power(s);
  if (s.disk.stuck()) return;
  const auto report_it = [&] {
    const auto taken = s.step(persisted{mark_t{e.first}, mark_t{e.last}});
    if (!taken && taken.error().code != errc::failed) {
      checks_.report("rule 1", s, "refuses a completion: %s", taken.error().what);
    }
  };
  call(s, report_it);
  if (s.up && chance_of(s, purpose::repeat).permille(plan_.repeat_permille)) call(s, report_it);
}

inline void cluster::apply(const event& e) {
  server& s = at(e.slot);
  if (!s.up || s.incarnation != e.incarnation) return;
  if (s.paused_until > now_) {
    event again = e;
    again.at = s.paused_until;
    return push(again);
  }
  s.apply_planned = false;
  if (s.machine.held() == 0) return;
  const index_t last =
      s.machine.release(calm_ ? s.machine.held() : 1 + chance_of(s, purpose::apply).below(s.machine.held()));
  const auto report_it = [&] {
    const auto taken = s.step(applied{last});
    if (!taken && taken.error().code != errc::failed) {
      checks_.report("I29", s, "refuses to hear that %" PRIu64 " is applied: %s", last.value, taken.error().what);
    }
  };
  call(s, report_it);
  if (s.up && chance_of(s, purpose::repeat).permille(plan_.repeat_permille)) call(s, report_it);
}

inline bool cluster::reaches(const server& s, const event& e) {
  if (!s.up || s.incarnation != e.incarnation) return false;
  if (s.paused_until <= now_) return true;
  event again = e;
  again.at = s.paused_until;
  push(again);
  return false;
}

inline void cluster::fetch(const event& e) {
  server& s = at(e.slot);
  if (!reaches(s, e)) return;
  s.fetch_planned = false;
  const fetched there = s.disk.asked_for();
  s.disk.fetch();
  if (there.first == index_t{} || there.last > s.disk.image().last_index()) return;
  counts_->add(meter::cold_fetches);
  call(s, [&] {
    const auto taken = s.step(there);
    if (!taken && taken.error().code != errc::failed) {
      checks_.report("rule 4", s, "refuses entries that are at hand: %s", taken.error().what);
    }
  });
}

// ---------------------------------------------------------------------------------------------------- after a call

inline void cluster::after_call(server& s) {
  checks_.after_call(s);
  const glance now = s.look();
  trace_.add(now.term.value << 32 ^ now.commit.value << 16 ^ now.applied.value << 4 ^
             static_cast<std::uint64_t>(now.role));
  trace_.add(s.disk.image().last_index().value << 20 ^ s.disk.issued().value);
  if (now.failed) return note_failure(s);
  if (s.disk.power_was_cut()) return crash_without_power(s);
  if (s.slow_until > now_) {
    pause(s, chance_of(s, purpose::slow).between(1, plan_.latency_max));
    counts_->add(meter::slowed_calls);
  }
  plan_syncs(s);
  plan_apply(s);
  plan_fetch(s);
  plan_restore(s);
  plan_tick(s);
  if (std::exchange(s.snapshot_wanted, false)) call(s, [&s] { (void)s.take_snapshot(); });
}

/// A deferred disk gets to its writes: one sync for all that are there, or each by itself.
inline void cluster::plan_syncs(server& s) {
  if (!s.traits.deferred) return;
  const mark_t issued = s.disk.issued();
  if (s.sync_issued == issued) return;
  rng chance = chance_of(s, purpose::sync);
  const auto moment = [&] {
    const instant latency = calm_ ? plan_.sync_min : chance.between(plan_.sync_min, plan_.sync_max);
    return std::max(now_, s.disk_stalled_until) + latency;
  };
  if (plan_.each_write_alone && s.disk.files() == nullptr) {
    for (; s.sync_issued < issued; s.sync_issued = mark_t{s.sync_issued.value + 1}) {
      const std::uint64_t mark = s.sync_issued.value + 1;
      push({moment(), 0, event_kind::sync, static_cast<std::uint32_t>(s.slot), s.incarnation, mark, mark});
    }
  } else if (!s.sync_under_way && s.sync_issued < issued) {
    push({moment(), 0, event_kind::sync, static_cast<std::uint32_t>(s.slot), s.incarnation, s.sync_issued.value + 1,
          issued.value});
    s.disk.begin_sync();
    s.sync_issued = issued;
    s.sync_under_way = true;
  }
}

inline void cluster::plan_apply(server& s) {
  if (s.apply_planned || s.machine.held() == 0) return;
  s.apply_planned = true;
  const instant delay = calm_ ? 10 : chance_of(s, purpose::apply).between(1, plan_.apply_delay);
  push({now_ + delay, 0, event_kind::apply, static_cast<std::uint32_t>(s.slot), s.incarnation, 0, 0});
}

inline void cluster::plan_fetch(server& s) {
  if (s.fetch_planned || s.disk.asked_for().first == index_t{}) return;
  s.fetch_planned = true;
  push({now_ + chance_of(s, purpose::fetch).between(1, plan_.fetch_delay), 0, event_kind::fetch,
        static_cast<std::uint32_t>(s.slot), s.incarnation, 0, 0});
}

/// A node whose disk refused a write is silent for ever; somebody restarts it after a while, at once if its power went.
inline void cluster::note_failure(server& s) {
  s.wake = never;
  if (s.restart_planned) return;
  checks_.nothing_is_open(s);
  if (s.disk.power_was_cut()) return crash_without_power(s);
  s.restart_planned = true;
  plan_restart(s, chance_of(s, purpose::failure).between(1, 1 + plan_.fault_length));
  story_->deed(now_, "%" PRIu64 " failed: its disk refused a write", s.id.value);
}

}  // namespace raft::testing
