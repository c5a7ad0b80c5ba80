#pragma once

// Snapshots in a simulated cluster: those written in pieces, carried out of band, and restored elsewhere. Included by
// cluster.hpp only.

namespace raft::testing {

/// A transfer is resumed where the first chunk that an incarnation gets goes on from what an earlier one had.
inline void cluster::note_chunk(server& s, const install_snapshot& chunk) {
  const partial_snapshot& there = s.disk.partial();
  const bool resumes = !s.got_chunk && chunk.offset != 0 && chunk.offset == there.received && chunk.id == there.meta.id;
  if (resumes) counts_->add(meter::snapshot_transfers_resumed);
  s.got_chunk |= chunk.offset != 0;
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
  const auto read = s.machine.restore(source);
  if (!read && read.error().code == errc::io)
    return crash(s, chance_of(s, purpose::failure).between(1, 1 + plan_.fault_length));
  if (!read) {
    return checks_.report("I19", s, "cannot restore its snapshot: %s", read.error().what);
  }
  counts_->add(meter::restored_elsewhere);
  const auto report_it = [&] {
    const auto taken = s.step(raft::restored{index});
    if (!taken && taken.error().code != errc::failed) {
      checks_.report("I19", s, "refuses to hear that %" PRIu64 " is restored: %s", index.value, taken.error().what);
    }
  };
  call(s, report_it);
  if (s.up && chance_of(s, purpose::repeat).permille(plan_.repeat_permille)) call(s, report_it);
}

inline void cluster::begin_piecewise_snapshot(server& s) {
  call(s, [&] {
    const auto begun = s.begin_snapshot();
    if (!begun) return;
    s.own_snapshot = begun->index;
    story_->deed(now_, "%" PRIu64 " begins a snapshot of %" PRIu64 ", in pieces", s.id.value, begun->index.value);
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
  rng chance = chance_of(s, purpose::piece);
  if (chance.permille(20)) {
    counts_->add(meter::snapshots_abandoned);
    call(s, [&s] { (void)s.step(snapshot_abandoned{std::exchange(s.own_snapshot, index_t{})}); });
    return;
  }
  if (s.own_written == s.own_image.size()) {
    finish_piecewise(s);
  } else {
    const std::size_t n = 1 + chance.below(s.own_image.size() - s.own_written);
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
    story_->deed(now_, "%" PRIu64 " has written its snapshot of %" PRIu64, s.id.value, index.value);
    if (s.disk.image().snapshot().index != index) checks_.report("I19", s, "does not have the snapshot that it took");
  });
}

inline bool cluster::offered(server& from, const envelope& m, const install_snapshot& head) {
  rng chance = chance_of(from, purpose::offer);
  if (m.to.value > servers_.size() || chance.permille(300)) return false;
  carriage c{m, head, {head.configuration.begin(), head.configuration.end()}, {}, from.incarnation};
  while (c.image.size() < head.size) {
    const auto piece = from.disk.read_snapshot(c.image.size(), UINT32_MAX);
    if (!piece || piece->empty()) return false;
    c.image.insert(c.image.end(), piece->begin(), piece->end());
  }
  counts_->add(meter::snapshots_offered);
  const instant delay = calm_ ? 10 : chance.between(1, plan_.restore_delay);
  push({now_ + delay, 0, event_kind::carry, static_cast<std::uint32_t>(from.slot), 0, carriages_.size(), 0});
  carriages_.push_back(std::move(c));
  return true;
}

/// It arrives, or part of it, or nothing; and the sender hears the truth, or nothing.
inline void cluster::carry(const event& e) {
  const carriage c = std::exchange(carriages_[e.first], {});
  server& to = at(c.about.to.value - 1);
  rng chance = chance_of(to, purpose::carry);
  const bool arrives = to.up && to.paused_until <= now_ && (calm_ || !chance.permille(200));
  if (arrives) {
    install_snapshot part = c.head;
    part.configuration = c.members;
    bring_over(to, c.about, part, c.image, chance);
  }
  server& from = at(e.slot);
  if (!from.up || from.incarnation != c.sender || (!calm_ && chance.permille(200))) return;
  call(from, [&] { (void)from.step(snapshot_carried{c.about.to, c.head.id, arrives}); });
}

inline void cluster::bring_over(server& s, const envelope& m, install_snapshot part, payload image, rng& chance) {
  for (bool more = true; more && s.up && !s.look().failed;) {
    const std::uint64_t left = image.size() - part.offset;
    const std::uint64_t n = left == 0 ? 0 : 1 + chance.below(left);
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
    more = part.offset < image.size() && (calm_ || !chance.permille(100));
  }
  if (part.offset == image.size()) counts_->add(meter::snapshots_carried);
}

inline void cluster::plan_restore(server& s) {
  const index_t index = s.machine.to_restore();
  if (index == index_t{} || s.restore_planned == index) return;
  s.restore_planned = index;
  const instant delay = calm_ ? 10 : chance_of(s, purpose::restore).between(1, plan_.restore_delay);
  push({now_ + delay, 0, event_kind::restore, static_cast<std::uint32_t>(s.slot), s.incarnation, index.value, 0});
}

inline void cluster::plan_piece(server& s) {
  const instant delay = calm_ ? 10 : chance_of(s, purpose::piece).between(1, plan_.restore_delay);
  push(
      {now_ + delay, 0, event_kind::piece, static_cast<std::uint32_t>(s.slot), s.incarnation, s.own_snapshot.value, 0});
}

}  // namespace raft::testing
