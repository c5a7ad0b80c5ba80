#pragma once

// How a simulated cluster carries out its events. Included by cluster.hpp only.

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
    s.now = &now_;
    s.world = this;
    s.chance = chance_.fork(100 + slot);
    made.push_back(make_server(s));
    made.back()->disk.set_cold(plan_.cold_permille);
    if (plan_.disks_lie) made.back()->disk.lie();
  }
  return made;
}

inline cluster::cluster(const plan& p, meters& counts, bool tell_story)
    : plan_(p),
      counts_(&counts),
      story_(tell_story),
      chance_(rng{p.seed}.fork(2)),
      servers_(make_servers()),
      checks_(servers_, plan_.members, plan_.options, counts),
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
    if (story_.told()) story_.line(now_, "%s", to_text(m).c_str());
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

/// A transfer is resumed where the first chunk that an incarnation gets goes on from what an earlier one had.
inline void cluster::note_chunk(server& s, const install_snapshot& chunk) {
  const partial_snapshot& there = s.disk.image().partial();
  const bool resumes = !s.got_chunk && chunk.offset != 0 && chunk.offset == there.received && chunk.id == there.meta.id;
  if (resumes) counts_->add(meter::snapshot_transfers_resumed);
  s.got_chunk |= chunk.offset != 0;
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
  const auto report_it = [&] {
    const auto taken = s.step(persisted{mark_t{e.first}, mark_t{e.last}});
    if (!taken && taken.error().code != errc::failed) {
      checks_.report("rule 1", s, "refuses a completion: %s", taken.error().what);
    }
  };
  call(s, report_it);
  if (s.up && chance_.permille(plan_.repeat_permille)) call(s, report_it);
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
  const index_t last = s.machine.release(calm_ ? s.machine.held() : 1 + chance_.below(s.machine.held()));
  const auto report_it = [&] {
    const auto taken = s.step(applied{last});
    if (!taken && taken.error().code != errc::failed) {
      checks_.report("I29", s, "refuses to hear that %" PRIu64 " is applied: %s", last.value, taken.error().what);
    }
  };
  call(s, report_it);
  if (s.up && chance_.permille(plan_.repeat_permille)) call(s, report_it);
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

/// A machine that restores elsewhere has read the snapshot; if another one came meanwhile, that is read instead.
inline void cluster::restore(const event& e) {
  server& s = at(e.slot);
  if (!reaches(s, e)) return;
  const index_t index{e.first};
  if (s.restore_planned == index) s.restore_planned = {};
  if (s.machine.to_restore() != index || s.disk.image().snapshot().index != index) return;
  std::uint64_t offset = 0;
  auto source = [&]() -> result<payload> {
    auto piece = s.disk.read_snapshot(offset, plan_.options.snapshot_chunk_bytes);
    if (piece) offset += piece->size();
    return piece;
  };
  if (const auto taken = s.machine.restore(source); !taken) {
    return checks_.report("I19", s, "cannot restore its snapshot: %s", taken.error().what);
  }
  counts_->add(meter::restored_elsewhere);
  const auto report_it = [&] {
    const auto taken = s.step(raft::restored{index});
    if (!taken && taken.error().code != errc::failed) {
      checks_.report("I19", s, "refuses to hear that %" PRIu64 " is restored: %s", index.value, taken.error().what);
    }
  };
  call(s, report_it);
  if (s.up && chance_.permille(plan_.repeat_permille)) call(s, report_it);
}

inline void cluster::begin_piecewise_snapshot(server& s) {
  call(s, [&] {
    const auto begun = s.begin_snapshot();
    if (!begun) return;
    s.own_snapshot = begun->index;
    s.own_written = 0;
    s.own_image.clear();
    auto sink = [&s](payload bytes) -> result<void> {
      s.own_image.insert(s.own_image.end(), bytes.begin(), bytes.end());
      return {};
    };
    (void)s.machine.write_snapshot(sink);
  });
  if (s.up && s.own_snapshot != index_t{}) plan_piece(s);
}

/// The next piece of it, or that it is complete, or that it will never be.
inline void cluster::write_piece(const event& e) {
  server& s = at(e.slot);
  if (!reaches(s, e) || s.own_snapshot != index_t{e.first}) return;
  if (chance_.permille(20)) {
    counts_->add(meter::snapshots_abandoned);
    call(s, [&s] { (void)s.step(snapshot_abandoned{std::exchange(s.own_snapshot, index_t{})}); });
    return;
  }
  if (s.own_written == s.own_image.size()) {
    finish_piecewise(s);
  } else {
    const std::size_t n = 1 + chance_.below(s.own_image.size() - s.own_written);
    call(s, [&] {
      const auto written = s.write_snapshot(payload{s.own_image}.subspan(s.own_written, n));
      if (written) return void(s.own_written += n);
      if (written.error().code == errc::compacted) counts_->add(meter::snapshots_overtaken);
      s.own_snapshot = {};
    });
  }
  if (s.up && s.own_snapshot != index_t{}) plan_piece(s);
}

inline void cluster::finish_piecewise(server& s) {
  call(s, [&] {
    const index_t index = s.own_snapshot;
    const auto done = s.step(snapshot_written{index});
    if (!done && done.error().code == errc::not_ready) return;
    s.own_snapshot = {};
    if (!done && done.error().code == errc::compacted) counts_->add(meter::snapshots_overtaken);
    if (!done) return;
    counts_->add(meter::snapshots_in_pieces);
    if (s.disk.image().snapshot().index != index) checks_.report("I19", s, "does not have the snapshot that it took");
  });
}

inline bool cluster::offered(server& from, const envelope& m, const install_snapshot& head) {
  if (m.to.value > servers_.size() || chance_.permille(300)) return false;
  carriage c{m, head, {head.configuration.begin(), head.configuration.end()}, {}, from.incarnation};
  while (c.image.size() < head.size) {
    const auto piece = from.disk.read_snapshot(c.image.size(), UINT32_MAX);
    if (!piece || piece->empty()) return false;
    c.image.insert(c.image.end(), piece->begin(), piece->end());
  }
  counts_->add(meter::snapshots_offered);
  const instant delay = calm_ ? 10 : chance_.between(1, plan_.restore_delay);
  push({now_ + delay, 0, event_kind::carry, static_cast<std::uint32_t>(from.slot), 0, carriages_.size(), 0});
  carriages_.push_back(std::move(c));
  return true;
}

/// It arrives, or part of it, or nothing; and the sender hears the truth, or nothing.
inline void cluster::carry(const event& e) {
  const carriage c = std::exchange(carriages_[e.first], {});
  server& to = at(c.about.to.value - 1);
  const bool arrives = to.up && to.paused_until <= now_ && (calm_ || !chance_.permille(200));
  if (arrives) {
    install_snapshot part = c.head;
    part.configuration = c.members;
    bring_over(to, c.about, part, c.image);
  }
  server& from = at(e.slot);
  if (!from.up || from.incarnation != c.sender || (!calm_ && chance_.permille(200))) return;
  call(from, [&] { (void)from.step(snapshot_carried{c.about.to, c.head.id, arrives}); });
}

inline void cluster::bring_over(server& s, const envelope& m, install_snapshot part, payload image) {
  for (bool more = true; more && s.up && !s.look().failed;) {
    const std::uint64_t left = image.size() - part.offset;
    const std::uint64_t n = left == 0 ? 0 : 1 + chance_.below(left);
    part.data = image.subspan(static_cast<std::size_t>(part.offset), static_cast<std::size_t>(n));
    const message chunk{m.from, m.to, m.term, part};
    call(s, [&] {
      const auto taken = s.step(chunk);
      if (!taken && taken.error().code != errc::failed) {
        checks_.report("I47", s, "refuses a snapshot that was carried: %s", taken.error().what);
      }
      checks_.took_in(s, chunk);
    });
    part.offset += n;
    more = part.offset < image.size() && (calm_ || !chance_.permille(100));
  }
  if (part.offset == image.size()) counts_->add(meter::snapshots_carried);
}

// ---------------------------------------------------------------------------------------------------- after a call

inline void cluster::after_call(server& s) {
  checks_.after_call(s);
  const glance now = s.look();
  trace_.add(now.term.value << 32 ^ now.commit.value << 16 ^ now.applied.value << 4 ^
             static_cast<std::uint64_t>(now.role));
  trace_.add(s.disk.image().last_index().value << 20 ^ s.disk.issued().value);
  if (now.failed) return note_failure(s);
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
  const auto moment = [&] {
    const instant latency = calm_ ? plan_.sync_min : chance_.between(plan_.sync_min, plan_.sync_max);
    return std::max(now_, s.disk_stalled_until) + latency;
  };
  if (plan_.each_write_alone) {
    for (; s.sync_issued < issued; s.sync_issued = mark_t{s.sync_issued.value + 1}) {
      const std::uint64_t mark = s.sync_issued.value + 1;
      push({moment(), 0, event_kind::sync, static_cast<std::uint32_t>(s.slot), s.incarnation, mark, mark});
    }
  } else if (!s.sync_under_way && s.sync_issued < issued) {
    push({moment(), 0, event_kind::sync, static_cast<std::uint32_t>(s.slot), s.incarnation, s.sync_issued.value + 1,
          issued.value});
    s.sync_issued = issued;
    s.sync_under_way = true;
  }
}

inline void cluster::plan_apply(server& s) {
  if (s.apply_planned || s.machine.held() == 0) return;
  s.apply_planned = true;
  const instant delay = calm_ ? 10 : chance_.between(1, plan_.apply_delay);
  push({now_ + delay, 0, event_kind::apply, static_cast<std::uint32_t>(s.slot), s.incarnation, 0, 0});
}

inline void cluster::plan_fetch(server& s) {
  if (s.fetch_planned || s.disk.asked_for().first == index_t{}) return;
  s.fetch_planned = true;
  push({now_ + chance_.between(1, plan_.fetch_delay), 0, event_kind::fetch, static_cast<std::uint32_t>(s.slot),
        s.incarnation, 0, 0});
}

inline void cluster::plan_restore(server& s) {
  const index_t index = s.machine.to_restore();
  if (index == index_t{} || s.restore_planned == index) return;
  s.restore_planned = index;
  const instant delay = calm_ ? 10 : chance_.between(1, plan_.restore_delay);
  push({now_ + delay, 0, event_kind::restore, static_cast<std::uint32_t>(s.slot), s.incarnation, index.value, 0});
}

inline void cluster::plan_piece(server& s) {
  const instant delay = calm_ ? 10 : chance_.between(1, plan_.restore_delay);
  push(
      {now_ + delay, 0, event_kind::piece, static_cast<std::uint32_t>(s.slot), s.incarnation, s.own_snapshot.value, 0});
}

/// A node whose disk refused a write is silent for ever; somebody restarts it after a while, at once if its power went.
inline void cluster::note_failure(server& s) {
  s.wake = never;
  if (s.restart_planned) return;
  checks_.nothing_is_open(s);
  if (s.disk.power_was_cut()) {
    counts_->add(meter::crashes_at_write);
    return crash(s, chance_.between(1, 1 + plan_.fault_length));
  }
  s.restart_planned = true;
  plan_restart(s, chance_.between(1, 1 + plan_.fault_length));
  story_.line(now_, "%" PRIu64 " failed: its disk refused a write", s.id.value);
}

// ---------------------------------------------------------------------------------------------------- down and up

inline void cluster::crash(server& s, instant down) {
  if (!s.up) return;
  s.stop();
  s.up = false;
  ++s.incarnation;
  const disk::remains left = s.disk.crash(chance_.permille(plan_.lose_all_permille));
  s.machine.crash();
  checks_.crashed(s);
  s.paused_until = 0;
  s.disk_stalled_until = 0;
  s.sync_issued = s.disk.issued();
  s.restore_planned = s.own_snapshot = {};
  s.wants_snapshot = s.snapshot_wanted = false;
  s.sync_under_way = s.apply_planned = s.fetch_planned = s.restart_planned = s.got_chunk = false;
  counts_->add(meter::crashes);
  if (left.lost != 0) counts_->add(meter::crashes_that_lost_writes);
  if (left.kept != 0) counts_->add(meter::crashes_that_kept_unreported_writes);
  if (left.torn) counts_->add(meter::torn_appends);
  story_.line(now_, "%" PRIu64 " crashes; of its unreported writes %zu survive, %zu do not%s", s.id.value, left.kept,
              left.lost, left.torn ? ", one does in part" : "");
  if (down != never) plan_restart(s, down);
}

inline void cluster::plan_restart(const server& s, instant after) {
  push({now_ + after, 0, event_kind::restart, static_cast<std::uint32_t>(s.slot), s.incarnation, 0, 0});
}

inline void cluster::restart(server& s) {
  if (s.up) return;
  ++s.incarnation;
  s.sync_issued = s.disk.issued();
  server::options_type own = plan_.options;
  own.priority = s.traits.priority;
  if (const auto made = s.start(own, chance_.next()); !made) {
    return checks_.report("I4", s, "cannot start from what a crash left: %s", made.error().what);
  }
  s.up = true;
  s.wake = never;
  if (s.incarnation > 1) {
    counts_->add(meter::restarts);
    if (s.traits.machine == machine_kind::durable) counts_->add(meter::durable_machines_restarted);
    story_.line(now_, "%" PRIu64 " starts again in term %" PRIu64 " with a log up to %" PRIu64, s.id.value,
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
    s->paused_until = 0;
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

// ---------------------------------------------------------------------------------------------------- what servers do

inline void cluster::sent(server& from, const message& m) {
  checks_.sent(from, m);
  if (m.to == nobody || m.to.value > servers_.size()) return;
  const std::size_t to = m.to.value - 1;
  for (const network::delivery& d : network_.send(from.slot, to, m, now_)) {
    push({d.at, 0, event_kind::deliver, static_cast<std::uint32_t>(network_.at(d.frame).to), 0, d.frame, 0});
  }
}

inline void cluster::fate_told(server& s, index_t first, index_t last, term_t t, fate what) {
  if (story_.told()) {
    story_.line(now_, "%" PRIu64 " tells that proposals %" PRIu64 "-%" PRIu64 " of term %" PRIu64 " are %s", s.id.value,
                first.value, last.value, t.value,
                what == fate::applied   ? "applied"
                : what == fate::dropped ? "dropped"
                                        : "unknown");
  }
  checks_.fate_told(s, first, last, t, what);
}

inline void cluster::read_told(server& s, std::uint64_t context, read_fate what, index_t index) {
  if (story_.told()) {
    story_.line(now_, "%" PRIu64 " answers read %" PRIu64 ": %s %" PRIu64, s.id.value, context,
                what == read_fate::ready ? "ready at" : "dropped", index.value);
  }
  checks_.read_told(s, context, what, index);
}

inline void cluster::role_told(server& s, role_kind role, term_t t, node_id leader) {
  static constexpr const char* names[]{"follower", "pre-candidate", "candidate", "leader"};
  story_.line(now_, "%" PRIu64 " is %s in term %" PRIu64 ", leader %" PRIu64, s.id.value,
              names[static_cast<std::size_t>(role)], t.value, leader.value);
  if (role == role_kind::candidate) counts_->add(meter::candidacies);
}

inline void cluster::transfer_told(server& s, node_id target, transfer_fate what) {
  checks_.transfer_told(s, target, what);
}

inline void cluster::observed(server& s, const events::promotion_ended& e) {
  story_.line(now_, "%" PRIu64 " tells that %" PRIu64 " is %s", s.id.value, e.server.value,
              e.what == promotion_fate::promoted ? "made a voter" : "not made a voter");
  checks_.promotion_ended(s, e);
}

inline void cluster::observed(server& s, const events::transfer_begun& e) {
  story_.line(now_, "%" PRIu64 " hands its leadership to %" PRIu64, s.id.value, e.target.value);
  checks_.transfer_begun(s, e.target);
}

inline void cluster::observed(server& s, const events::transfer_ended& e) {
  story_.line(now_, "%" PRIu64 " tells that its transfer to %" PRIu64 " is %s", s.id.value, e.target.value,
              e.what == transfer_fate::done        ? "done"
              : e.what == transfer_fate::timed_out ? "timed out"
                                                   : "aborted");
}

inline void cluster::observed(server& s, const events::message_ignored& e) {
  if (e.why != ignored_reason::would_not_lead) return;
  counts_->add(meter::leadership_declined);
  story_.line(now_, "%" PRIu64 " would rather not lead", s.id.value);
}

inline void cluster::observed(server& s, const events::peer_changed& e) {
  if (e.state == progress_state::snapshot) counts_->add(meter::peers_to_snapshot);
  story_.line(now_, "%" PRIu64 " now sends to %" PRIu64 " as state %u, match %" PRIu64, s.id.value, e.peer.value,
              static_cast<unsigned>(e.state), e.match.value);
}

inline void cluster::observed(server& s, const events::peer_lost_log& e) {
  checks_.report("I9", s,
                 "accuses %" PRIu64 ", which lost nothing, of having lost its log: acknowledged %" PRIu64
                 ", last %" PRIu64,
                 e.peer.value, e.acknowledged.value, e.last_log_index.value);
}

inline void cluster::observed(server& s, const events::message_refused& e) {
  story_.line(now_, "%" PRIu64 " refuses a message of %" PRIu64 ": %s", s.id.value, e.from.value, e.why.what);
}

inline void cluster::observed(server& s, const events::snapshot_installed& e) {
  counts_->add(meter::snapshots_installed);
  story_.line(now_, "%" PRIu64 " installs a snapshot of %" PRIu64, s.id.value, e.index.value);
}

inline void cluster::observed(server& s, const events::log_truncated& e) {
  story_.line(now_, "%" PRIu64 " cuts its log from %" PRIu64 " on", s.id.value, e.from.value);
}

}  // namespace raft::testing
