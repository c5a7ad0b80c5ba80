#pragma once

// A Log on files [battery, above floor 5]: a write-ahead log in segments, and a snapshot, in one directory.
//
//   store append truncate_from compact finish_snapshot --> the image (a memory_log: what reads see, at once)
//                                                     \--> the batch that gathers, until sync() makes it durable
//   sync() = one write and one fdatasync for all that came since the last one (group commit)
//
//   options.hpp         the tunables
//   format.hpp          every byte of a segment
//   segment_writer.hpp  batches to segments; recycling, zero-filling
//   recovery.hpp        the end of the log; what is cut and what is refused
//   replay.hpp          batches to state
//   snapshot_files.hpp  snapshots
//   posix_files.hpp     the seam to the operating system
//
// A loop turn: step the node (it writes here), send, `sync()`, `node.step(raft::persisted{s.first, s.last})`. Or hand
// the sync out: `prepare_sync()`, its `run()` on any thread while this one goes on writing, `complete()` here.
//
// Files: `log-<sequence>` segments, `spare-<n>` segments to be, `snapshot-<index>`, `partial-<n>` a snapshot being
// written, `synced` which batch was synced last, `lock`.
//
// Invariants: a batch is on disk as a whole or, after a crash, not at all; so what one sync covers is atomic. What was
// reported durable is there after any crash, or the opening is refused with file and offset. After a failed write or
// sync every later write fails with the same error, a sync is never tried again, and reads go on.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <raft/assert.hpp>
#include <raft/configuration.hpp>
#include <raft/entry.hpp>
#include <raft/file_log/file_handle.hpp>
#include <raft/file_log/format.hpp>
#include <raft/file_log/options.hpp>
#include <raft/file_log/posix_files.hpp>
#include <raft/file_log/recovery.hpp>
#include <raft/file_log/segment_writer.hpp>
#include <raft/file_log/snapshot_files.hpp>
#include <raft/memory_log.hpp>
#include <raft/policies.hpp>
#include <raft/result.hpp>
#include <raft/storage.hpp>
#include <raft/types.hpp>

namespace raft {

/// When the writes of a file_log are durable.
enum class sync_mode : std::uint8_t {
  deferred,   ///< When the sync() that follows them has returned: many writes, one sync.
  on_return,  ///< When each write returns: simple, and a sync each.
};

/// The marks of the writes that a sync made durable, as for `raft::persisted`; zero if there were none.
struct synced_marks {
  mark_t first{};
  mark_t last{};
  [[nodiscard]] bool empty() const noexcept { return last == mark_t{}; }
};

/// The durable Log. Movable; not copyable. One thread at a time, but for sync_job::run. Allocates while its buffers
/// grow to the largest batch, at each new segment, and for snapshots; nothing else. Payloads are copied twice: into the
/// image and into the batch that gathers.
template <files_policy Files = posix_files, sync_mode Mode = sync_mode::deferred>
class file_log {
  struct parts;

 public:
  static constexpr bool durable_on_return = Mode == sync_mode::on_return;

  /// A sync that was handed out.
  class sync_job {
   public:
    /// Whether there is anything to write.
    explicit operator bool() const noexcept { return parts_ != nullptr; }
    /// Writes and syncs. On any thread; the log may be used meanwhile, moved, but not destroyed.
    void run() {
      if (parts_ != nullptr) outcome_ = parts_->writer.write(parts_->flying);
    }

   private:
    friend class file_log;
    parts* parts_ = nullptr;
    result<void> outcome_{};
  };

  /// Opens the log in `directory`, or makes one there, with `initial` as the cluster's first configuration; a log that
  /// is there has its own, and `initial` is not looked at. Reads all segments and, unless opted out, the snapshot.
  /// errc::busy if somebody has it open; errc::corrupt where it is damaged; errc::io, no_space, unsupported_version,
  /// invalid_options, invalid_configuration. What is refused lies on the disk as before (but for the directory and the
  /// file `lock`, which are made if missing), and `failure`, if given, tells the file. Any name in the directory that
  /// looks like one of ours is ours.
  static result<file_log> open(const std::string& directory, const raft::configuration& initial,
                               const file_log_options& options = {}, file_log_failure* failure = nullptr,
                               const Files& files = Files{}) {
    if (auto legal = validate(options); !legal) return legal.error();
    if (auto legal = validate(initial); !legal) return legal.error();
    file_log log{std::make_unique<parts>(files, directory, options), initial};
    if (log.recover(initial)) return log;
    const file_log_failure why = log.last_error();
    if (failure != nullptr) *failure = why;
    return why.why;
  }

  // ---- hard state [Fig. 2, persistent state]

  [[nodiscard]] const raft::hard_state& hard_state() const noexcept { return image_.hard_state(); }
  result<mark_t> store(const raft::hard_state& h) {
    if (auto ready = begin_write(24); !ready) return ready.error();
    detail::wal::byte_buffer& out = begin_item(item::hard_state, 24);
    detail::wal::put(out, h);
    return end_write([&] { return image_.store(h); });
  }

  // ---- entries, read: all from the image; lifetimes and costs are memory_log's

  [[nodiscard]] index_t first_index() const noexcept { return image_.first_index(); }
  [[nodiscard]] index_t last_index() const noexcept { return image_.last_index(); }
  /// Precondition: first_index() - 1 <= i <= last_index().
  [[nodiscard]] term_t term_at(index_t i) const noexcept { return image_.term_at(i); }
  /// Never fails. Precondition: first_index() <= from <= to <= last_index().
  [[nodiscard]] result<entries> view(index_t from, index_t to, std::uint32_t max_bytes) const noexcept {
    return image_.view(from, to, max_bytes);
  }
  /// Calls visit(const entry&) for each entry in [from, to]. Precondition: first_index() <= from, to <= last_index().
  template <class Visit>
  void for_each(index_t from, index_t to, Visit&& visit) const {
    image_.for_each(from, to, visit);
  }
  [[nodiscard]] std::span<const index_t> configurations() const noexcept { return image_.configurations(); }

  // ---- entries, written; errc::busy, and nothing changed, while options.max_waiting_bytes wait for sync();
  //      errc::too_large for more than 2 GiB at once

  /// Precondition: the terms of the batch do not lie below that of the last entry.
  result<mark_t> append(const entries& batch) {
    RAFT_ASSERT(batch.empty() || batch.first_term() >= term_at(last_index()), "the terms of the entries never fall");
    if (auto ready = begin_write(batch.bytes()); !ready) return ready.error();
    if (!batch.empty()) {
      detail::wal::byte_buffer& out = begin_entries(batch.count(), batch.bytes());
      detail::copy_bytes(out.grow(batch.bytes()), batch.data(), batch.bytes());
    }
    return end_write([&] { return image_.append(batch); });
  }

  /// Precondition: `term` does not lie below that of the last entry; no payload is larger than entry_payload_limit.
  result<mark_t> append(term_t term, entry_kind kind, std::span<const payload> payloads) {
    RAFT_ASSERT(term >= term_at(last_index()), "the terms of the entries never fall");
    std::size_t bytes = 0;
    for (const payload p : payloads) bytes += entry_bytes(p.size());
    if (auto ready = begin_write(bytes); !ready) return ready.error();
    if (!payloads.empty()) {
      detail::wal::byte_buffer& out = begin_entries(payloads.size(), bytes);
      std::byte* at = out.grow(bytes);
      for (const payload p : payloads) {
        write_entry(at, term, kind, p);
        at += entry_bytes(p.size());
      }
    }
    return end_write([&] { return image_.append(term, kind, payloads); });
  }

  /// Removes i and all behind it. Precondition: snapshot().index < i.
  result<mark_t> truncate_from(index_t i) {
    RAFT_ASSERT(snapshot().index < i, "what a snapshot covers is committed, and stays");
    if (auto ready = begin_write(16); !ready) return ready.error();
    if (i <= last_index()) {
      detail::wal::byte_buffer& out = begin_item(item::truncation, 16);
      detail::wal::put(out, i.value);
      detail::wal::put(out, term_at(i.previous()).value);
    }
    return end_write([&] { return image_.truncate_from(i); });
  }

  /// Removes all up to and with i, from the disk a segment at a time. Precondition: i <= snapshot().index.
  result<mark_t> compact(index_t i) {
    RAFT_ASSERT(i <= snapshot().index, "only what the snapshot covers is compacted");
    if (auto ready = begin_write(16); !ready) return ready.error();
    if (first_index() <= i) {
      detail::wal::byte_buffer& out = begin_item(item::compaction, 16);
      detail::wal::put(out, i.value);
      detail::wal::put(out, term_at(i).value);
    }
    return end_write([&] { return image_.compact(i); });
  }

  // ---- snapshots [paper §7]

  /// Valid until the next finish_snapshot.
  [[nodiscard]] const snapshot_meta& snapshot() const noexcept { return image_.snapshot(); }

  /// See log_policy; errc::corrupt where the file is damaged (then last_error() names it), errc::impossible for an
  /// offset behind the end. Reads whole blocks of 64 KiB, into at most max + 128 KiB of memory; valid until the next
  /// call.
  result<payload> read_snapshot(std::uint64_t offset, std::uint32_t max) { return parts_->snapshots.read(offset, max); }

  /// The snapshot that is being written; index zero if there is none. After a restart, as much as is whole on the disk.
  [[nodiscard]] const partial_snapshot& partial() const noexcept { return parts_->snapshots.partial(); }

  /// Starts to write one, and discards an unfinished one. errc::invalid_configuration, and nothing changed, for a meta
  /// without a legal one. errc::no_space, here and in write_snapshot, and in finish_snapshot for its last block:
  /// the one that is being written is discarded and its file removed, and the log goes on.
  result<void> begin_snapshot(const snapshot_meta& meta) {
    if (failed()) return failure().why;
    if (auto legal = validate(meta.configuration); !legal) return legal.error();
    return parts_->snapshots.begin(meta, parts_->failures);
  }

  /// Adds bytes (copied), and syncs now and then. errc::not_ready if no snapshot is being written.
  result<void> write_snapshot(payload bytes) {
    if (failed()) return failure().why;
    if (partial().meta.index == index_t{}) return {errc::not_ready, "no snapshot is being written"};
    return parts_->snapshots.write(bytes, parts_->failures);
  }

  /// Makes the one that is being written the current one; see log_policy. Syncs what of its file is not synced yet, at
  /// most 8 MiB; the log's part of it is durable with the next sync. errc::not_ready if none is being written,
  /// errc::compacted if the current one reaches as far; both change nothing.
  result<mark_t> finish_snapshot() {
    if (failed()) return failure().why;
    if (partial().meta.index == index_t{}) return {errc::not_ready, "no snapshot is being written"};
    if (partial().meta.index <= snapshot().index) return {errc::compacted, "the current snapshot reaches as far"};
    // As put_snapshot writes it: whether it replaces the log, five numbers, and the members.
    const std::size_t item_bytes = 48 + detail::wal::round_up(configuration_bytes(partial().meta.configuration), 8);
    if (auto ready = begin_write(item_bytes); !ready) return ready.error();
    const auto meta = parts_->snapshots.finish(parts_->failures);
    if (!meta) return meta.error();
    put_snapshot(*meta);
    std::string former;
    const auto mark = end_write([&] {
      image_.place_snapshot(*meta);
      former = parts_->snapshots.place();
    });
    // It may go once the new one is durable: with this batch, or one that follows.
    if (!former.empty()) parts_->gathering.obsolete.push_back(std::move(former));
    return mark;
  }

  // ---- durability

  /// Whether writes wait for a sync.
  [[nodiscard]] bool dirty() const noexcept { return !parts_->gathering.empty(); }

  /// Makes all writes so far durable, with one write and one sync, and returns their marks (none if there were none).
  /// errc::io, errc::no_space: this log has failed, for good. Precondition: no sync is handed out.
  result<synced_marks> sync() {
    RAFT_ASSERT(!parts_->in_flight, "a sync that was handed out is completed before the next one");
    sync_job job = prepare_sync();
    job.run();
    return complete(job);
  }

  /// Hands out the sync of all writes so far; empty if there is nothing to sync or one is handed out already. Every job
  /// that is not empty must be run and completed. Later writes wait for the next one.
  [[nodiscard]] sync_job prepare_sync() {
    sync_job job;
    if (failed() || parts_->in_flight || !dirty()) return job;
    parts_->gathering.base = first_index().previous();
    std::swap(parts_->gathering, parts_->flying);
    parts_->open_item = 0;
    parts_->in_flight = true;
    job.parts_ = parts_.get();
    return job;
  }

  /// Takes back a job that was run, and returns the marks that are durable now; see sync().
  result<synced_marks> complete(const sync_job& job) {
    if (!job) return failed() ? result<synced_marks>{failure().why} : result<synced_marks>{synced_marks{}};
    RAFT_ASSERT(parts_->in_flight && job.parts_ == parts_.get(),
                "a job is completed once, by the log that gave it out");
    parts_->in_flight = false;
    const synced_marks done{parts_->flying.first, parts_->flying.last};
    parts_->flying.clear();
    if (job.outcome_) return done;
    const file_log_failure& first = parts_->writer.failures().first();
    return parts_->failures.note(first.why, first.file);
  }

  /// What failed first, and in which file: a write or sync, else the last snapshot read. Nothing failed: no file.
  [[nodiscard]] const file_log_failure& last_error() const noexcept {
    return failed() ? failure() : parts_->snapshots.read_failure();
  }

 private:
  using item = detail::wal::item;

  /// All but the image, at an address that stays. While a job is out, `writer` and `flying` are its.
  struct parts {
    parts(const Files& f, const std::string& d, const file_log_options& o)
        : files(f), directory(d), options(o), snapshots(f, d, o), writer(f, d, o) {}

    [[no_unique_address]] Files files;
    std::string directory;
    file_log_options options;
    detail::wal::failure_account failures{};
    detail::wal::file_handle<Files> lock{};
    detail::wal::snapshot_files<Files> snapshots;
    detail::wal::batch gathering{};
    std::size_t open_item = 0;  ///< Where in it an item of entries begins that is the last item; else zero.
    mark_t mark{};
    bool in_flight = false;
    detail::wal::batch flying{};
    detail::wal::segment_writer<Files> writer;
  };

  file_log(std::unique_ptr<parts> p, const raft::configuration& initial) : image_(initial), parts_(std::move(p)) {}

  // ---- opening

  bool recover(const raft::configuration& initial) {
    parts& p = *parts_;
    auto& failures = p.failures;
    if (!failures.good(p.files.make_directory(p.directory), p.directory)) return false;
    const std::string lock = p.directory + "/lock";
    const auto locked = p.files.lock(lock);
    if (!failures.good(locked, lock)) return false;
    p.lock = {p.files, *locked};
    const auto names = p.files.list(p.directory);
    if (!failures.good(names, p.directory)) return false;

    detail::wal::recovery<Files> found{p.files, p.directory, p.options, failures};
    detail::wal::small_state nothing;
    nothing.snapshot.configuration = initial;
    if (!found.run(*names, nothing)) return false;
    std::vector<std::string> leftovers = found.leftovers();
    const detail::wal::log_end& end = found.end();
    const bool found_one = !end.segments.empty();
    if (!found_one && !make_identity(*names, found)) return false;
    if (!p.snapshots.find(*names, end.identity, found.state().snapshot(), leftovers, failures)) return false;
    const auto epoch = found_one ? p.files.random_number() : result<std::uint64_t>{std::uint64_t{1}};
    if (!failures.good(epoch, p.directory)) return false;
    image_ = found.state().take_image();
    return take_up(found, static_cast<std::uint32_t>(*epoch), *names, leftovers);
  }

  /// A directory without a log: nothing may be there that speaks of one.
  bool make_identity(const std::vector<std::string>& names, detail::wal::recovery<Files>& found) {
    for (const std::string& name : names) {
      std::uint64_t number = 0;
      if (name != "synced" && !detail::wal::parse_name(name, "snapshot-", number)) continue;
      parts_->failures.note(detail::wal::damaged(0, "the segments of the log are not there"),
                            parts_->directory + '/' + name);
      return false;
    }
    const auto identity = parts_->files.random_number();
    if (!parts_->failures.good(identity, parts_->directory)) return false;
    found.end().identity = *identity;
    return true;
  }

  /// From here on the disk is written to: makes sure of what was found, tidies up, and writes the first batch of this
  /// opening, with which everything before it is known to be synced.
  bool take_up(detail::wal::recovery<Files>& found, std::uint32_t epoch, const std::vector<std::string>& names,
               const std::vector<std::string>& leftovers) {
    parts& p = *parts_;
    auto& failures = p.failures;
    const auto unconfirmed = found.unconfirmed();
    if (!sync_found(found.end().segments) || !p.snapshots.sync_current(failures)) return false;
    if (!p.writer.resume(std::move(found.end()), epoch)) return note_writer();
    if (unconfirmed && p.options.sync == sync_policy::always && !p.writer.confirm(*unconfirmed)) return note_writer();
    if (found.snapshot_unconfirmed() && !p.snapshots.confirm_current(failures)) return false;
    for (const std::string& file : leftovers) {
      if (!failures.good(p.files.remove(file), file)) return false;
    }
    if (!p.snapshots.confirm(failures)) return false;
    begin_batch();
    // Its mark is nobody's: those that are handed out begin behind it.
    p.mark = p.gathering.first = p.gathering.last = mark_t{1};
    if (!sync()) return false;
    const bool noted_before = std::find(names.begin(), names.end(), "synced") != names.end();
    if (!p.writer.open_synced(noted_before)) return note_writer();
    return true;
  }

  /// Syncs the segments that were found, and the directory: a process that was killed leaves what it wrote in the
  /// system's memory.
  bool sync_found(const std::vector<detail::wal::segment_on_disk>& segments) {
    parts& p = *parts_;
    if (p.options.sync == sync_policy::never) return true;
    for (const auto& s : segments) {
      const std::string path = p.directory + '/' + detail::wal::name_of("log-", s.sequence);
      const auto file = detail::wal::open_file(p.files, path, open_mode::write);
      if (!p.failures.good(file, path) || !p.failures.good(file->sync(), path)) return false;
    }
    return p.failures.good(p.files.sync_directory(p.directory), p.directory);
  }

  bool note_writer() {
    parts_->failures.note(parts_->writer.failures().first().why, parts_->writer.failures().first().file);
    return false;
  }

  // ---- writing

  [[nodiscard]] bool failed() const noexcept { return parts_->failures.any(); }
  [[nodiscard]] const file_log_failure& failure() const noexcept { return parts_->failures.first(); }

  /// Makes room for a write of about `bytes` bytes in the batch that gathers.
  result<void> begin_write(std::size_t bytes) {
    if (failed()) return failure().why;
    detail::wal::batch& b = parts_->gathering;
    if (bytes > (std::size_t{2} << 30)) return {errc::too_large, "more than 2 GiB in one write"};
    if (b.bytes.size() + bytes > parts_->options.max_waiting_bytes &&
        b.bytes.size() > detail::wal::batch_header_bytes) {
      return {errc::busy, "max_waiting_bytes wait for sync()"};
    }
    if (b.empty()) begin_batch();
    return {};
  }

  /// The batch that gathers begins: a segment that begins with it would begin with this state.
  void begin_batch() {
    parts_->gathering.state_before.clear();
    detail::wal::put_small_state(parts_->gathering.state_before, image_);
  }

  detail::wal::byte_buffer& begin_item(item kind, std::size_t length) {
    parts_->open_item = 0;
    detail::wal::put_item(parts_->gathering.bytes, kind, length);
    return parts_->gathering.bytes;
  }

  /// An item of entries, or more room in the last item if it is one: so a run of small appends is one run of entries.
  detail::wal::byte_buffer& begin_entries(std::uint64_t count, std::size_t bytes) {
    detail::wal::byte_buffer& out = parts_->gathering.bytes;
    parts_->gathering.highest = std::max(parts_->gathering.highest, last_index() + count);
    if (parts_->open_item != 0) {
      std::byte* const at = out.data() + parts_->open_item;
      detail::store_le(at, static_cast<std::uint32_t>(detail::load_le<std::uint32_t>(at) + bytes));
      detail::store_le(at + 16, detail::load_le<std::uint64_t>(at + 16) + count);
      return out;
    }
    const std::size_t at = out.size();
    begin_item(item::entries, bytes + 16);
    parts_->open_item = at;
    detail::wal::put(out, last_index().next().value);
    detail::wal::put(out, count);
    return out;
  }

  /// Precondition: `meta` is of a later place than the current snapshot.
  void put_snapshot(const snapshot_meta& meta) {
    const bool held = meta.index <= last_index() && term_at(meta.index) == meta.term;
    std::vector<std::byte> place;
    detail::wal::put(place, meta);
    detail::wal::byte_buffer& out = begin_item(item::snapshot, 8 + place.size());
    detail::wal::put(out, std::uint64_t{held ? 0U : 1U});
    detail::copy_bytes(out.grow(place.size()), place.data(), place.size());
  }

  /// Ends a write: gives it its mark, syncs it where writes are durable on return, and shows it to reads.
  template <class Show>
  result<mark_t> end_write(Show&& show) {
    const mark_t mark{parts_->mark.value + 1};
    parts_->mark = mark;
    detail::wal::batch& b = parts_->gathering;
    if (b.empty()) b.first = mark;
    b.last = mark;
    if constexpr (durable_on_return) {
      if (auto done = sync(); !done) return done.error();
    }
    static_cast<void>(show());
    return mark;
  }

  memory_log image_;
  std::unique_ptr<parts> parts_;
};

/// The Log each of whose writes is durable when it returns.
template <files_policy Files = posix_files>
using durable_file_log = file_log<Files, sync_mode::on_return>;

static_assert(log_policy<file_log<>>);
static_assert(log_policy<durable_file_log<>>);

}  // namespace raft
