#pragma once

// A real log beneath a simulated disk: file_log, on files in memory (faulty_files.hpp). Every write of the server goes
// to it, and every read of the server comes from it; the disk's own memory_log tells what it has to show.
//
// What goes wrong: calls fail, there is no room, a failed sync drops what it was to write, the power goes between two
// sectors of a write; and while the server is down, bits flip, and blocks are stale or in the place of others. After a
// crash `look` opens a copy of what is left, so that the simulation knows what the next start will find.
//
// Not thread-safe; a sync that was begun is ended, or the process is.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <raft/file_log.hpp>
#include <raft/testing/disk_write.hpp>
#include <raft/testing/faulty_files.hpp>
#include <raft/testing/hash.hpp>
#include <raft/testing/rng.hpp>

namespace raft::testing {

/// What can happen to bytes on a disk that nobody writes to.
enum class decay : std::uint8_t {
  bit_flip,    ///< One bit of a sector is another one.
  stale,       ///< A sector is as it was before its last change, or was never written.
  misdirected  ///< The last write of a sector went to another one, and is missing where it was meant to be.
};

/// Everything that a log shows but an unfinished snapshot, as a number.
template <class Log>
[[nodiscard]] std::uint64_t fingerprint(Log& log) {
  const hard_state& h = log.hard_state();
  const snapshot_meta& m = log.snapshot();
  std::uint64_t hash = 0x6a09e667f3bcc909ULL;
  const auto add = [&hash](std::uint64_t n) { hash = combine(hash, mix(n)); };
  for (const std::uint64_t n :
       {h.current_term.value, h.voted_for.value, h.commit_hint.value, log.first_index().value, log.last_index().value,
        log.term_at(log.first_index().previous()).value, m.index.value, m.term.value, m.size, m.id}) {
    add(n);
  }
  std::vector<std::byte> members;
  encode(m.configuration, members);
  add(hash_bytes(members));
  for (const index_t i : log.configurations()) add(i.value);
  for (index_t i = log.first_index(); i <= log.last_index();) {
    const auto some = log.view(i, log.last_index(), UINT32_MAX);
    if (!some || some->empty()) return 0;
    some->for_each(i, [&add](const entry& e) { add(hash_entry(e)); });
    i = i + some->count();
  }
  std::uint64_t image = 1;
  for (std::uint64_t at = 0; at < m.size;) {
    const auto piece = log.read_snapshot(at, UINT32_MAX);
    if (!piece || piece->empty()) return 0;
    for (const std::byte b : *piece) image = combine(image, std::to_integer<std::uint64_t>(b));
    at += piece->size();
  }
  add(image);
  return hash;
}

class log_files {
  using deferred_log = file_log<memory_files, sync_mode::deferred>;
  using immediate_log = file_log<memory_files, sync_mode::on_return>;

 public:
  log_files(configuration initial, bool deferred, rng chance)
      : initial_(std::move(initial)), deferred_(deferred), chance_(chance) {
    options_.segment_bytes = 4096U << chance_.below(3);
    options_.fill_bytes = 4096;
    options_.spare_segments = static_cast<std::uint32_t>(chance_.below(3));
    disk_.identity = chance_.next();
  }

  /// Opens the log, as at the start of its process.
  result<void> open() {
    disk_.short_writes = chance_.permille(200);
    synced_ = false;
    return deferred_ ? open(disk_, later_) : open(disk_, at_once_);
  }
  [[nodiscard]] bool is_open() const noexcept { return later_.has_value() || at_once_.has_value(); }
  /// Why it was not opened.
  [[nodiscard]] const file_log_failure& refusal() const noexcept { return refusal_; }

  /// Calls f(log) on the open log.
  template <class F>
  decltype(auto) with(F&& f) {
    return deferred_ ? f(*later_) : f(*at_once_);
  }
  template <class F>
  decltype(auto) with(F&& f) const {
    return deferred_ ? f(*later_) : f(*at_once_);
  }

  // ---- the Log's writes

  result<mark_t> write(const disk_write& w) {
    auto done = with([&w](auto& log) {
      return w.what == disk_write::kind::append && w.own ? append_own(log, w) : carry_out(log, w);
    });
    synced_ |= !deferred_ && done && w.marked();
    return done;
  }

  /// Hands out the sync of all writes so far, unless one is under way.
  void begin_sync() {
    if (deferred_ && !sync_) sync_.emplace(later_->prepare_sync());
  }
  [[nodiscard]] bool syncs() const noexcept { return sync_.has_value(); }
  /// The marks that it made durable. Precondition: syncs().
  result<synced_marks> end_sync() {
    sync_->run();
    auto done = later_->complete(*sync_);
    sync_.reset();
    synced_ |= done.has_value();
    return done;
  }

  // ---- what goes wrong while it runs

  /// What the log is written to, for its faults.
  [[nodiscard]] memory_disk& below() noexcept { return disk_; }
  [[nodiscard]] const memory_disk& below() const noexcept { return disk_; }
  /// The power goes at one of the next calls, in the midst of a write if it is one.
  void cut_power_soon() {
    disk_.dead_from = disk_.calls + 1 + chance_.below(24);
    disk_.torn_bytes = chance_.below(2048);
  }
  /// What the next failure of power keeps of what was not synced, instead of what chance says.
  void keep_at_crash(const keep& k) noexcept { chosen_ = k; }
  /// Takes back what was planned and has not struck yet.
  void heal() noexcept {
    disk_.fail_at = disk_.fail_sync_at = 0;
    disk_.room = UINT64_MAX;
    if (!off()) disk_.dead_from = UINT64_MAX;
  }
  [[nodiscard]] bool off() const noexcept { return disk_.calls >= disk_.dead_from; }

  /// The process ends, and the machine with it if `power`: then of what was not synced any sectors are kept, or none if
  /// `lose_all`. A sync that was under way may have come to any point.
  void end(bool power, bool lose_all) {
    if (sync_ && !lose_all && chance_.permille(700)) {
      if (power && !off()) disk_.dead_from = disk_.calls + 1 + chance_.below(4);
      disk_.torn_bytes = chance_.below(4096);
      sync_->run();
    }
    sync_.reset();
    torn_ = disk_.tore != 0;
    disk_.tore = 0;
    later_.reset();
    at_once_.reset();
    if (power || off()) {
      const keep by_chance{lose_all ? keep::how::nothing : keep::how::any, chance_.next()};
      disk_.crash(chosen_ ? *chosen_ : by_chance);
      chosen_.reset();
    } else {
      disk_.revive();
    }
  }
  /// Whether the last end left a part of a write.
  [[nodiscard]] bool torn() const noexcept { return torn_; }

  /// Whether damage to what lies there would be noticed for certain: that of the last batch is told from a torn write
  /// by the file `synced` alone, which a failed power may have left behind (file_log/recovery.hpp).
  [[nodiscard]] bool would_notice() const noexcept { return synced_ && !off(); }

  /// Damages what lies there: one sector, or the two of a misdirected write, of which `synced` is none, since with it
  /// the last batch may go unnoticed. Precondition: the process has ended. False if there was nothing to damage.
  bool damage(decay how) {
    const auto [name, number] = written_sector();
    if (name.empty()) return false;
    const std::vector<std::byte> now = disk_.sector_of(name, number);
    const std::vector<std::byte> former = disk_.former_sector_of(name, number);
    if (how == decay::bit_flip) {
      disk_.flip_bit(name, number * sector + chance_.below(now.size()), static_cast<unsigned>(chance_.below(8)));
      return true;
    }
    if (std::equal(now.begin(), now.end(), former.begin(), former.end())) return false;
    if (how == decay::misdirected) {
      const auto [other, place] = written_sector();
      if (name == "synced" || other == "synced" || other.empty() || (other == name && place == number)) return false;
      disk_.replace_sector(other, place, now);
    }
    disk_.replace_sector(name, number, former);
    return true;
  }

  /// What an opening would find now.
  struct found {
    bool refused = false;
    bool as_damaged = false;  ///< It is refused with a file, for damage.
    std::uint64_t shows = 0;  ///< Its fingerprint.
    partial_snapshot partial{};
  };
  found look() { return deferred_ ? look<deferred_log>() : look<immediate_log>(); }

 private:
  template <class Log>
  result<void> open(memory_disk& d, std::optional<Log>& log) {
    auto opened = Log::open("dir", initial_, options_, &refusal_, memory_files{&d});
    if (!opened) return opened.error();
    log.emplace(std::move(*opened));
    return {};
  }

  template <class Log>
  found look() {
    memory_disk copy = disk_;
    std::optional<Log> log;
    found f;
    if (open(copy, log)) {
      f.shows = fingerprint(*log);
      f.partial = log->partial();
    } else {
      f.refused = true;
      f.as_damaged = refusal_.why.code == errc::corrupt && !refusal_.file.empty();
    }
    return f;
  }

  template <class Log>
  static result<mark_t> append_own(Log& log, const disk_write& w) {
    std::vector<payload> commands;
    entry_kind kind = entry_kind::no_op;
    w.batch().for_each(w.index, [&](const entry& e) {
      commands.push_back(e.data);
      kind = e.kind;
    });
    return log.append(w.last_term, kind, commands);
  }

  /// A sector that is not all zeros, of any file; no name if chance found none.
  std::pair<std::string, std::size_t> written_sector() {
    std::vector<std::string> names;
    for (const auto& name : disk_.names) names.push_back(name.first);
    for (int tries = 0; tries < 50 && !names.empty(); ++tries) {
      const std::string& name = names[chance_.below(names.size())];
      const std::size_t all = disk_.sectors(name);
      if (all == 0) continue;
      const std::size_t number = chance_.below(all);
      const std::vector<std::byte> bytes = disk_.sector_of(name, number);
      if (std::any_of(bytes.begin(), bytes.end(), [](std::byte b) { return b != std::byte{}; })) return {name, number};
    }
    return {};
  }

  configuration initial_;
  bool deferred_;
  rng chance_;
  file_log_options options_{};
  memory_disk disk_{};
  file_log_failure refusal_{};
  std::optional<deferred_log> later_{};     ///< The open log, of one kind
  std::optional<immediate_log> at_once_{};  ///< or the other.
  std::optional<deferred_log::sync_job> sync_{};
  bool synced_ = false;  ///< Since it was opened.
  std::optional<keep> chosen_{};
  bool torn_ = false;
};

}  // namespace raft::testing
