#pragma once

// How the servers of a simulated cluster go down and come up again, and the end of all faults. Included by cluster.hpp
// only.

namespace raft::testing {

inline void cluster::crash(server& s, instant down) {
  if (!s.up) return;
  s.stop();
  went_down(s, s.disk.crash(chance_of(s, purpose::crash).permille(plan_.lose_all_permille)));
  if (down != never) plan_restart(s, down);
}

inline void cluster::crash_without_power(server& s) {
  counts_->add(meter::crashes_at_write);
  crash(s, chance_of(s, purpose::failure).between(1, 1 + plan_.fault_length));
}

inline void cluster::crash_and_decay(server& s, instant down, decay how) {
  if (!s.up) return;
  s.stop();
  const disk::remains left = s.disk.crash_and_decay(how);
  if (left.damaged) {
    counts_->add(how == decay::bit_flip ? meter::bit_flips
                 : how == decay::stale  ? meter::stale_blocks
                                        : meter::misdirected_blocks);
    counts_->add(s.disk.lost() ? meter::damage_refused : meter::damage_harmless);
  }
  if (s.disk.lost()) {
    counts_->add(meter::servers_lost);
    story_->deed(now_, "%" PRIu64 " is lost: %s", s.id.value, s.disk.files()->refusal().text().c_str());
  }
  went_down(s, left);
  plan_restart(s, down);
}

inline void cluster::went_down(server& s, const disk::remains& left) {
  s.up = false;
  ++s.incarnation;
  if (left.wrong != nullptr) checks_.report("I4", s, "after a crash %s", left.wrong);
  if (s.disk.files() != nullptr) count_file_faults(s, left);
  s.machine.crash();
  checks_.crashed(s);
  s.paused_until = s.slow_until = 0;
  s.disk_stalled_until = 0;
  s.sync_issued = s.disk.issued();
  s.restore_planned = s.own_snapshot = {};
  s.wants_snapshot = s.snapshot_wanted = false;
  s.sync_under_way = s.apply_planned = s.fetch_planned = s.restart_planned = s.got_chunk = false;
  counts_->add(meter::crashes);
  if (left.lost != 0) counts_->add(meter::crashes_that_lost_writes);
  if (left.kept != 0) counts_->add(meter::crashes_that_kept_unreported_writes);
  if (left.torn && s.disk.files() == nullptr) counts_->add(meter::torn_appends);
  story_->deed(now_, "%" PRIu64 " crashes; of its unreported writes %zu survive, %zu do not%s", s.id.value, left.kept,
               left.lost, left.torn ? ", one does in part" : "");
}

inline void cluster::count_file_faults(server& s, const disk::remains& left) {
  memory_disk& d = s.disk.files()->below();
  counts_->add(meter::io_errors, std::exchange(d.io_errors, 0));
  counts_->add(meter::full_disks, std::exchange(d.full, 0));
  counts_->add(meter::sectors_dropped_by_sync, std::exchange(d.sectors_dropped, 0));
  if (left.torn) counts_->add(meter::torn_writes);
}

inline void cluster::plan_restart(const server& s, instant after) {
  push({now_ + after, 0, event_kind::restart, static_cast<std::uint32_t>(s.slot), s.incarnation, 0, 0});
}

inline void cluster::restart(server& s) {
  if (s.up || s.disk.lost()) return;
  ++s.incarnation;
  s.sync_issued = s.disk.issued();
  if (const char* wrong = s.disk.open()) return checks_.report("I4", s, "%s", wrong);
  if (s.disk.files() != nullptr) counts_->add(meter::logs_opened);
  server::options_type own = plan_.options;
  own.priority = s.traits.priority;
  if (const auto made = s.start(own, chance_of(s, purpose::start).next()); !made) {
    return checks_.report("I4", s, "cannot start from what a crash left: %s", made.error().what);
  }
  s.up = true;
  s.wake = never;
  if (s.incarnation > 1) {
    counts_->add(meter::restarts);
    if (s.traits.machine == machine_kind::durable) counts_->add(meter::durable_machines_restarted);
    story_->deed(now_, "%" PRIu64 " starts again in term %" PRIu64 " with a log up to %" PRIu64, s.id.value,
                 s.look().term.value, s.disk.image().last_index().value);
  }
  checks_.started(s);
  plan_syncs(s);
  plan_apply(s);
  plan_restore(s);
  plan_tick(s);
}

inline void cluster::calm(const std::vector<server*>& live, link_set cut) {
  calm_ = true;
  network_.calm(cut);
  const instant latest = now_ + plan_.latency_max;
  for (event& e : queue_) {
    if (e.at > latest) e.at = e.kind == event_kind::deliver ? never : latest;
  }
  std::erase_if(queue_, [this](const event& e) {
    if (e.at == never) network_.drop(e.first);
    return e.at == never || e.kind == event_kind::work || e.kind == event_kind::fault || e.kind == event_kind::restart;
  });
  std::make_heap(queue_.begin(), queue_.end());
  for (auto& s : servers_) {
    const bool stays = std::find(live.begin(), live.end(), s.get()) != live.end();
    s->paused_until = s->slow_until = 0;
    s->disk_stalled_until = 0;
    s->wake = never;
    s->face.set_rate(now_, clock_face::true_rate);
    if (s->up && (!stays || s->look().failed || s->disk.stuck() || s->wants_snapshot)) crash(*s, never);
    s->disk.set_cold(0);
    s->disk.heal();
    if (stays) restart(*s);
    if (s->up) s->stop_evacuation();
    plan_tick(*s);
  }
}

}  // namespace raft::testing
