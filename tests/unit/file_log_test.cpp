// What a file_log promises as a Log, without faults: the contract, group commit, handed-out syncs, segments that
// come and go, real files. Snapshots, faults and crashes have files of their own.

#include <doctest/doctest.h>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <raft/file_log.hpp>
#include <support/faulty_disk.hpp>
#include <support/log_image.hpp>
#include <support/log_model.hpp>
#include <support/log_run.hpp>

namespace {
std::atomic<std::uint64_t> allocations{0};
}  // namespace

[[gnu::noinline]] void* operator new(std::size_t n) {
  ++allocations;
  void* const p = std::malloc(n == 0 ? 1 : n);
  if (p == nullptr) std::abort();
  return p;
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace {

using raft::errc;
using raft::index_t;
using raft::mark_t;
using raft::node_id;
using raft::term_t;
using test::bytes_of;
using test::crash_and_reopen;
using test::describe;
using test::files_named;
using test::open;
using test::pattern;
using test::propose;
using test::small;
using test::snapshot_at;
using test::three_voters;

using deferred_log = test::disk_log;
using immediate_log = raft::durable_file_log<test::disk_files>;

static_assert(raft::log_policy<deferred_log>);
static_assert(raft::log_policy<immediate_log>);
static_assert(!deferred_log::durable_on_return);
static_assert(immediate_log::durable_on_return);

/// A directory of the real file system, removed with what is in it.
class directory {
 public:
  directory() {
    const char* const base = std::getenv("TMPDIR");
    path_ = std::string{base == nullptr || *base == '\0' ? "/tmp" : base} + "/raft-file-log-XXXXXX";
    REQUIRE(::mkdtemp(path_.data()) != nullptr);
  }
  ~directory() {
    const raft::posix_files files;
    for (const std::string& sub : {path_ + "/log", path_}) {
      if (const auto names = files.list(sub)) {
        for (const std::string& name : *names) static_cast<void>(files.remove(sub + '/' + name));
      }
      ::rmdir(sub.c_str());
    }
  }
  [[nodiscard]] std::string log() const { return path_ + "/log"; }

 private:
  std::string path_;
};

}  // namespace

TEST_CASE("open: a new directory begins with the initial configuration, and keeps it") {
  test::disk d;
  {
    auto log = open(d);
    CHECK(log.first_index() == index_t{1});
    CHECK(log.last_index() == index_t{});
    CHECK(log.term_at(index_t{}) == term_t{});
    CHECK(log.hard_state() == raft::hard_state{});
    CHECK(log.snapshot().index == index_t{});
    CHECK(log.snapshot().configuration == three_voters());
    CHECK(!log.dirty());
  }
  CHECK(d.handles.empty());
  auto again = deferred_log::open("dir", raft::voters_of({node_id{8}}), small(), nullptr, test::disk_files{&d});
  REQUIRE(again.has_value());
  CHECK(again->snapshot().configuration == three_voters());
}

TEST_CASE("open: refuses options and configurations that make no sense") {
  test::disk d;
  const auto attempt = [&d](auto change) {
    raft::file_log_options o = small();
    change(o);
    return deferred_log::open("dir", three_voters(), o, nullptr, test::disk_files{&d});
  };
  CHECK(attempt([](auto& o) { o.segment_bytes = 4088; }).error().code == errc::invalid_options);
  CHECK(attempt([](auto& o) { o.segment_bytes = 8193; }).error().code == errc::invalid_options);
  CHECK(attempt([](auto& o) { o.fill_bytes = 4095; }).error().code == errc::invalid_options);
  CHECK(attempt([](auto& o) { o.max_waiting_bytes = 4095; }).error().code == errc::invalid_options);
  CHECK(attempt([](auto& o) { o.max_waiting_bytes = (std::uint64_t{2} << 30) + 1; }).error().code ==
        errc::invalid_options);
  CHECK(deferred_log::open("dir", {}, small(), nullptr, test::disk_files{&d}).error().code ==
        errc::invalid_configuration);
  CHECK(d.names.empty());
  raft::file_log_options bounds;
  bounds.segment_bytes = bounds.fill_bytes = 4096;
  for (const std::uint64_t waiting : {std::uint64_t{4096}, std::uint64_t{2} << 30}) {
    bounds.max_waiting_bytes = waiting;
    CHECK(raft::validate(bounds));
  }
}

TEST_CASE("open: a directory that is open is busy, and free again afterwards") {
  test::disk d;
  auto log = std::optional{open(d)};
  raft::file_log_failure why;
  const auto second = deferred_log::open("dir", three_voters(), small(), &why, test::disk_files{&d});
  REQUIRE(!second);
  CHECK(second.error().code == errc::busy);
  CHECK(why.file == "dir/lock");
  log.reset();
  CHECK(deferred_log::open("dir", three_voters(), small(), nullptr, test::disk_files{&d}).has_value());
}

TEST_CASE("sync: one write and one sync for all writes since the last one, and their marks") {
  test::disk d;
  raft::file_log_options o = small();
  o.segment_bytes = o.fill_bytes = 1 << 20;  // the next segment is filled by the first sync
  o.record_syncs = false;
  auto log = open(d, o);
  REQUIRE(log.store({term_t{1}, node_id{1}, {}}).has_value());
  const auto begin = log.sync();
  REQUIRE(begin.has_value());
  CHECK(begin->first == begin->last);

  const std::uint64_t writes = d.writes;
  const std::uint64_t syncs = d.syncs;
  const mark_t first = propose(log, 1, "a");
  for (int i = 0; i < 9; ++i) propose(log, 1, std::string(300, 'b'));
  const auto last = log.store({term_t{2}, {}, {}});
  REQUIRE(last.has_value());
  CHECK(first == mark_t{begin->last.value + 1});
  CHECK(*last == mark_t{first.value + 10});
  CHECK(d.writes == writes);
  CHECK(log.dirty());
  const auto done = log.sync();
  REQUIRE(done.has_value());
  CHECK(done->first == first);
  CHECK(done->last == *last);
  CHECK(d.writes == writes + 1);
  CHECK(d.syncs == syncs + 1);
  CHECK(!log.dirty());
  const auto nothing = log.sync();
  REQUIRE(nothing.has_value());
  CHECK(nothing->empty());
  CHECK(d.syncs == syncs + 1);
}

TEST_CASE("append: entries and states are readable at once, and survive only when they were synced") {
  test::disk d;
  std::string synced;
  {
    auto log = open(d);
    propose(log, 1, "one");
    propose(log, 2, "two");
    REQUIRE(log.store({term_t{2}, node_id{3}, index_t{1}}).has_value());
    REQUIRE(log.sync().has_value());
    synced = describe(log);
    propose(log, 2, "three");
    CHECK(log.last_index() == index_t{3});
    CHECK(log.term_at(index_t{3}) == term_t{2});
    CHECK(describe(log).find("three") != std::string::npos);
  }
  d.crash({test::keep::how::everything});
  auto log = open(d);
  CHECK(describe(log) == synced);
}

TEST_CASE("append: runs of small appends become one run of entries on the disk") {
  test::disk d;
  raft::file_log_options o = small();
  o.segment_bytes = o.fill_bytes = 1 << 20;
  const auto bytes_of_one_batch = [&](int proposals) {
    auto log = open(d, o);
    const std::uint64_t changes = d.changes;
    for (int i = 0; i < proposals; ++i) propose(log, 1, std::string(16, 'x'));
    REQUIRE(log.sync().has_value());
    return (d.changes - changes) * test::sector;
  };
  // 32 bytes an entry and 64 a batch; a sector at each end, and one for the file `synced`.
  CHECK(bytes_of_one_batch(1000) <= 1000 * 32 + 64 + 3 * test::sector);
  CHECK(open(d, o).last_index() == index_t{1000});
}

TEST_CASE("append: an entry that was truncated and appended again is the later one after a restart") {
  test::disk d;
  {
    auto log = open(d);
    propose(log, 1, "first");
    propose(log, 1, "second");
    REQUIRE(log.sync().has_value());
    REQUIRE(log.truncate_from(index_t{2}).has_value());
    propose(log, 3, "other");
    REQUIRE(log.sync().has_value());
    REQUIRE(log.truncate_from(index_t{9}).has_value());
    CHECK(log.last_index() == index_t{2});
    REQUIRE(log.sync().has_value());
  }
  auto log = open(d);
  CHECK(log.last_index() == index_t{2});
  CHECK(log.term_at(index_t{2}) == term_t{3});
  CHECK(describe(log).find("other") != std::string::npos);
  CHECK(describe(log).find("second") == std::string::npos);
}

TEST_CASE("append: refuses more than max_waiting_bytes before a sync, and goes on after it") {
  test::disk d;
  raft::file_log_options o = small();
  o.max_waiting_bytes = 4096;
  auto log = open(d, o);
  const std::string text(1000, 'x');
  for (int i = 0; i < 3; ++i) propose(log, 1, text);
  const raft::payload p = bytes_of(text);
  const auto refused = log.append(term_t{1}, raft::entry_kind::command, std::span{&p, 1});
  REQUIRE(!refused);
  CHECK(refused.error().code == errc::busy);
  CHECK(log.last_index() == index_t{3});
  REQUIRE(log.sync().has_value());
  propose(log, 1, text);
  REQUIRE(log.sync().has_value());
  propose(log, 1, std::string(20000, 'y'));  // one write may be larger than the limit, and than a segment
  REQUIRE(log.sync().has_value());
  const std::string before = describe(log);
  crash_and_reopen(log, d, o);
  CHECK(describe(log) == before);
}

TEST_CASE("max_waiting_bytes: what waits and the next write may be as many, and not a byte more") {
  const auto bytes_on_disk = [](const auto& write) {  // of the batch that waits, if `write` makes it
    test::disk d;
    auto log = open(d);
    write(log);
    REQUIRE(log.sync());
    return test::batches_of(d.content("log-0000000000000001"), d.identity).back().second;
  };
  const std::string text(3992, 'x');
  const raft::payload p = bytes_of(text);
  const auto append = [&p](auto& log) {
    return log.append(term_t{1}, raft::entry_kind::command, std::span{&p, 1}).has_value();
  };
  const auto finish = [](auto& log) { return log.finish_snapshot().has_value(); };
  const auto write_image = [](auto& log) {
    REQUIRE(log.begin_snapshot({index_t{1}, term_t{1}, three_voters(), 0, 0}));
    REQUIRE(log.write_snapshot(bytes_of("image")));
  };
  const std::uint64_t waiting = bytes_on_disk([&](auto& log) { REQUIRE(append(log)); });
  const std::uint64_t item = bytes_on_disk([&](auto& log) {
                               write_image(log);
                               REQUIRE(append(log));
                               REQUIRE(finish(log));
                             }) -
                             waiting - raft::detail::wal::item_header_bytes;
  for (const std::uint64_t less : {0U, 1U}) {
    CAPTURE(less);
    test::disk d;
    raft::file_log_options o = small();
    o.max_waiting_bytes = waiting + raft::entry_bytes(text.size()) - less;
    auto log = open(d, o);
    CHECK(append(log));
    CHECK(append(log) == (less == 0));
    test::disk other;
    o.max_waiting_bytes = waiting + item - less;
    auto with_image = open(other, o);
    write_image(with_image);
    CHECK(append(with_image));
    CHECK(finish(with_image) == (less == 0));
  }
}

TEST_CASE("for_each: shows each entry that it is asked for, with its place, term and bytes") {
  test::disk d;
  auto log = open(d);
  for (const char* text : {"a", "b", "c", "d"}) propose(log, 7, text);
  std::string shown;
  log.for_each(index_t{2}, index_t{3}, [&shown](const raft::entry& e) {
    shown += std::to_string(e.index.value) + ':' + std::to_string(e.term.value) + ':' +
             std::string(reinterpret_cast<const char*>(e.data.data()), e.data.size()) + ' ';
  });
  CHECK(shown == "2:7:b 3:7:c ");
}

TEST_CASE("prepare_sync: writes go on while the sync is under way, and belong to the next one") {
  test::disk d;
  auto log = open(d);
  CHECK(!log.prepare_sync());
  const mark_t a = propose(log, 1, "a");
  auto job = log.prepare_sync();
  REQUIRE(static_cast<bool>(job));
  CHECK(!log.prepare_sync());
  const mark_t b = propose(log, 1, "b");
  REQUIRE(log.truncate_from(index_t{2}).has_value());
  const mark_t c = propose(log, 2, "c");
  deferred_log moved = std::move(log);
  job.run();
  const auto first = moved.complete(job);
  REQUIRE(first.has_value());
  CHECK(first->first == a);
  CHECK(first->last == a);
  CHECK(moved.dirty());
  const auto second = moved.sync();
  REQUIRE(second.has_value());
  CHECK(second->first == b);
  CHECK(second->last == c);
  const std::string before = describe(moved);
  crash_and_reopen(moved, d);
  CHECK(describe(moved) == before);
}

TEST_CASE("prepare_sync: on another thread, on real files") {
  const directory dir;
  raft::file_log_options o;
  o.segment_bytes = 65536;
  o.fill_bytes = 4096;
  std::string before;
  {
    auto log = raft::file_log<>::open(dir.log(), three_voters(), o);
    REQUIRE(log.has_value());
    mark_t durable{};
    for (std::uint64_t round = 0; round < 200; ++round) {
      auto job = log->prepare_sync();
      std::thread syncing{[&job] { job.run(); }};
      for (int i = 0; i < 5; ++i) propose(*log, 1 + round / 10, std::to_string(round));
      syncing.join();
      const auto done = log->complete(job);
      REQUIRE(done.has_value());
      CHECK((round == 0 || done->first > durable));
      durable = done->last;
    }
    REQUIRE(log->sync().has_value());
    before = describe(*log);
  }
  auto log = raft::file_log<>::open(dir.log(), three_voters(), o);
  REQUIRE(log.has_value());
  CHECK(describe(*log) == before);
  CHECK(log->last_index() == index_t{1000});
}

TEST_CASE("durable_on_return: every write is there after a crash that keeps nothing else") {
  test::disk d;
  raft::memory_log model{three_voters()};
  test::op_maker maker{7};
  for (int round = 0; round < 120; ++round) {
    {
      auto log = open<immediate_log>(d);
      CHECK(describe(log) == describe(model));
      const test::write_op op = maker.next(model);
      if (op.what == test::write_op::kind::sync) continue;
      REQUIRE(test::apply(log, op));
      REQUIRE(test::apply(model, op));
      CHECK(describe(log) == describe(model));
      CHECK(!log.dirty());
    }
    d.crash({});
  }
}

TEST_CASE("a log over reopenings is the log in memory, whatever is written") {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    CAPTURE(seed);
    test::disk d;
    raft::memory_log model{three_voters()};
    test::op_maker maker{seed, seed % 3 == 0 ? 3000U : 60U, seed % 4 == 0 ? 200000U : 3000U};
    for (int round = 0; round < 12; ++round) {
      auto log = open(d);
      REQUIRE(describe(log) == describe(model));
      d.short_writes = seed % 2 == 0;
      for (int i = 0; i < 40; ++i) {
        const test::write_op op = maker.next(model);
        if (op.what == test::write_op::kind::sync) {
          REQUIRE(log.sync().has_value());
          continue;
        }
        REQUIRE(test::apply(log, op));
        REQUIRE(test::apply(model, op));
        REQUIRE(describe(log) == describe(model));
      }
      REQUIRE(log.sync().has_value());
    }
    d.crash({});
    auto log = open(d);
    CHECK(describe(log) == describe(model));
    CHECK(files_named(d, "snapshot-") == (log.snapshot().index == index_t{} ? 0 : 1));
    CHECK(files_named(d, "log-") <= 8);
  }
}

TEST_CASE("truncate_from, compact: more than is there is no write of its own, but has a mark") {
  test::disk d;
  auto log = open(d);
  for (int i = 0; i < 4; ++i) propose(log, 1, "x");
  snapshot_at(log, 3, 1, "image");
  REQUIRE(log.compact(index_t{3}).has_value());
  CHECK(log.first_index() == index_t{4});
  REQUIRE(log.sync().has_value());
  const auto a = log.compact(index_t{2});
  const auto b = log.truncate_from(index_t{100});
  REQUIRE(a.has_value());
  REQUIRE(b.has_value());
  const auto done = log.sync();
  REQUIRE(done.has_value());
  CHECK(done->first == *a);
  CHECK(done->last == *b);
  const std::string before = describe(log);
  crash_and_reopen(log, d);
  CHECK(describe(log) == before);
  CHECK(log.term_at(index_t{3}) == term_t{1});
}

TEST_CASE("segments: what a snapshot made needless is used again, and the number of files stays small") {
  for (const std::uint32_t spares : {0U, 1U, 3U}) {
    CAPTURE(spares);
    test::disk d;
    raft::file_log_options o = small();
    o.spare_segments = spares;
    auto log = open(d, o);
    std::uint64_t index = 0;
    std::size_t most = 0;
    for (int round = 0; round < 60; ++round) {
      for (int i = 0; i < 20; ++i, ++index) {
        propose(log, 1, std::string(100, 'x'));
        REQUIRE(log.sync().has_value());
      }
      snapshot_at(log, index, 1, "image");
      REQUIRE(log.compact(index_t{index}).has_value());
      REQUIRE(log.sync().has_value());
      REQUIRE(log.sync().has_value());
      if (round > 10) most = std::max(most, files_named(d, "log-") + files_named(d, "spare-"));
    }
    CHECK(most <= 3 + std::max(spares, 1U));
    CHECK(files_named(d, "spare-") <= std::max(spares, 1U) + 1);
    CHECK(d.files.size() < 60 + (spares == 0 ? 200 : 12));  // all that ever were: one a snapshot, and the segments
    const std::string before = describe(log);
    crash_and_reopen(log, d, o);
    CHECK(describe(log) == before);
  }
}

TEST_CASE("segments: no sync has to wait for more than its batch and a portion of the next segment") {
  test::disk d;
  raft::file_log_options o;
  o.segment_bytes = 1 << 20;
  o.fill_bytes = 16384;
  auto log = open(d, o);
  std::uint64_t most = 0;
  for (int i = 0; i < 3000; ++i) {
    propose(log, 1, std::string(1000, 'x'));
    const std::uint64_t before = d.changes;
    REQUIRE(log.sync().has_value());
    most = std::max(most, d.changes - before);
  }
  CHECK(files_named(d, "log-") >= 3);
  // A batch, the file `synced`, the header of a segment, two portions.
  CHECK(most <= 4 + 1 + 4 + 2 * 16384 / test::sector);
}

TEST_CASE("sync_policy::never: nothing is synced, and a restart of the process loses nothing") {
  test::disk d;
  raft::file_log_options o = small();
  o.sync = raft::sync_policy::never;
  std::string before;
  {
    auto log = open(d, o);
    for (int i = 0; i < 200; ++i) {
      propose(log, 1, std::string(100, 'x'));
      REQUIRE(log.sync().has_value());
    }
    snapshot_at(log, 50, 1, pattern(100000));
    REQUIRE(log.compact(index_t{50}).has_value());
    REQUIRE(log.sync().has_value());
    before = describe(log);
  }
  CHECK(d.syncs == 0);
  d.revive();
  SUBCASE("and goes on so") {
    auto log = open(d, o);
    CHECK(describe(log) == before);
  }
  SUBCASE("and then always: what was found is synced") {
    {
      auto log = open(d);
      CHECK(describe(log) == before);
    }
    d.crash({});
    auto log = open(d);
    CHECK(describe(log) == before);
  }
}

TEST_CASE("real files: a log that was closed is found again, and is locked meanwhile") {
  const directory dir;
  raft::memory_log model{three_voters()};
  test::op_maker maker{3, 60, 200000};
  raft::file_log_options o = small();
  for (int round = 0; round < 5; ++round) {
    raft::file_log_failure why;
    auto log = raft::file_log<>::open(dir.log(), three_voters(), o, &why);
    INFO(why.text());
    REQUIRE(log.has_value());
    CHECK(describe(*log) == describe(model));
    CHECK(raft::file_log<>::open(dir.log(), three_voters(), o).error().code == errc::busy);
    for (int i = 0; i < 60; ++i) {
      const test::write_op op = maker.next(model);
      if (op.what == test::write_op::kind::sync) {
        REQUIRE(log->sync().has_value());
      } else {
        REQUIRE(test::apply(*log, op));
        REQUIRE(test::apply(model, op));
      }
    }
    REQUIRE(log->sync().has_value());
  }
}

TEST_CASE("real files: errors of the system are values, with errno and path") {
  raft::file_log_failure why;
  const auto log = raft::file_log<>::open("/proc/no-such-directory/log", three_voters(), {}, &why);
  REQUIRE(!log);
  CHECK(log.error().code == errc::io);
  CHECK(log.error().detail == ENOENT);
  CHECK(why.file == "/proc/no-such-directory/log");
  CHECK(why.text() == "/proc/no-such-directory/log: the directory cannot be made, errno " + std::to_string(ENOENT));
  const raft::posix_files files;
  CHECK(files.open("/proc/no-such", raft::open_mode::read).error().detail == ENOENT);
  CHECK(files.list("/proc/no-such").error().code == errc::io);
  CHECK(files.sync_directory("/proc/no-such").error().code == errc::io);
  CHECK(files.remove("/proc/no-such").error().code == errc::io);
  CHECK(files.rename("/proc/no-such", "/proc/no-such-2").error().code == errc::io);
  CHECK(files.lock("/proc/no-such/lock").error().code == errc::io);
  std::byte b{};
  CHECK(files.read_at(-1, &b, 1, 0).error().detail == EBADF);
  CHECK(files.write_at(-1, &b, 1, 0).error().detail == EBADF);
  CHECK(files.sync(-1).error().detail == EBADF);
  CHECK(files.size_of(-1).error().detail == EBADF);
  const auto full = files.open("/dev/full", raft::open_mode::write);
  REQUIRE(full.has_value());
  CHECK(files.write_at(*full, &b, 1, 0).error().code == errc::no_space);
  files.close(*full);
}

TEST_CASE("real files: nothing stays open, also of what was refused; and descriptor zero is a file like any") {
  const directory dir;
  const raft::posix_files files;
  REQUIRE(files.make_directory(dir.log()));
  const std::string path = dir.log() + "/file";
  const auto open_ones = [&] {
    const auto names = files.list("/proc/self/fd");
    return names ? names->size() : 0;
  };
  const std::size_t before = open_ones();
  const auto each_once = [&] {
    const auto locked = files.lock(path);
    REQUIRE(locked);
    CHECK(files.lock(path).error().code == errc::busy);
    files.close(*locked);
    const auto file = files.open(path, raft::open_mode::create);
    REQUIRE(file);
    files.close(*file);
    CHECK(files.list(dir.log()));
    CHECK(files.sync_directory(dir.log()));
    CHECK_FALSE(files.sync_directory("/proc"));  // which has none
  };
  each_once();
  CHECK(open_ones() == before);
  const auto missing = files.lock(dir.log() + "/none/lock");
  REQUIRE(!missing);
  CHECK(missing.error().detail == ENOENT);
  CHECK(std::string{missing.error().what} == "the lock file cannot be opened");
  const int kept = ::dup(0);
  ::close(0);
  each_once();
  if (kept >= 0) ::dup2(kept, 0);
  if (kept >= 0) ::close(kept);
}

TEST_CASE("real files: what fails rarely is a value as well: a lock, a directory that breaks off, a quota") {
  // Does something on a thread of its own, for which one call to the system always fails, with that errno.
  const auto while_failing = [](long call, int number, auto what) {
    bool failing = false;
    std::thread{[&] {
      sock_filter program[] = {
          BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 1),
          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(number)),
          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      };
      const sock_fprog filter{std::size(program), program};
      failing = ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
      if (failing) what();
    }}.join();
    if (!failing) MESSAGE("not tested: this machine lets no thread have a call to the system fail");
  };
  const directory dir;
  const raft::posix_files files;
  REQUIRE(files.make_directory(dir.log()).has_value());
  const std::string path = dir.log() + "/file";
  const auto file = files.open(path, raft::open_mode::create);
  REQUIRE(file.has_value());
  const std::byte b{};
  while_failing(SYS_flock, ENOLCK, [&] {
    const auto locked = files.lock(path);
    REQUIRE(!locked);
    CHECK(locked.error().code == errc::io);  // not busy: nobody has it
    CHECK(locked.error().detail == ENOLCK);
  });
  while_failing(SYS_getdents64, EIO, [&] {
    const auto names = files.list(dir.log());
    REQUIRE(!names);  // no part of the names passes for all of them
    CHECK(names.error().code == errc::io);
    CHECK(names.error().detail == EIO);
  });
  while_failing(SYS_getrandom, EPERM, [&] {
    const auto number = files.random_number();
    REQUIRE(!number);  // no log without one: another could have the same
    CHECK(number.error().code == errc::io);
  });
  while_failing(SYS_pwrite64, EDQUOT, [&] {
    const auto written = files.write_at(*file, &b, 1, 0);
    REQUIRE(!written);
    CHECK(written.error().code == errc::no_space);
    CHECK(written.error().detail == EDQUOT);
  });
  // A write that takes no bytes is no success, lest whoever goes on with the rest goes on for ever.
  CHECK(files.write_at(*file, &b, 0, 0).error().code == errc::no_space);
  files.close(*file);
}

TEST_CASE("real files: a directory that is there, below one that may not be read, is taken; one that was made is not") {
  const directory dir;
  const raft::posix_files files;
  const std::string outer = dir.log();
  REQUIRE(files.make_directory(outer).has_value());
  REQUIRE(files.make_directory(outer + "/there").has_value());
  REQUIRE(::chmod(outer.c_str(), 0333) == 0);  // to be written to and passed through
  REQUIRE(::chmod(outer.substr(0, outer.size() - 4).c_str(), 0711) == 0);
  // Root may read it all the same; for the file system, this thread is somebody else meanwhile.
  const bool root = ::geteuid() == 0;
  if (root) ::setfsuid(65534);
  const bool readable = files.list(outer).has_value();
  const auto there = files.make_directory(outer + "/there");
  const auto made = files.make_directory(outer + "/made");
  if (root) ::setfsuid(0);
  ::chmod(outer.c_str(), 0750);
  ::rmdir((outer + "/there").c_str());
  ::rmdir((outer + "/made").c_str());
  CHECK(there.has_value());
  if (readable) {
    MESSAGE("not tested: on this machine whoever runs the tests may read every directory");
    return;
  }
  REQUIRE(!made);  // it may be gone after a crash
  CHECK(made.error().code == errc::io);
  CHECK(made.error().detail == EACCES);
  // Whatever else prevents the sync is told for both: this file system has none.
  CHECK(files.make_directory("/proc/self").error().detail == EINVAL);
}

TEST_CASE("steady state: append and sync allocate nothing") {
  const directory dir;
  auto log = raft::file_log<>::open(dir.log(), three_voters());
  REQUIRE(log.has_value());
  const std::string text(100, 'x');
  const auto turn = [&] {
    for (int i = 0; i < 16; ++i) propose(*log, 1, text);
    REQUIRE(log->sync().has_value());
  };
  for (int i = 0; i < 8; ++i) turn();
  const std::uint64_t before = allocations;
  for (int i = 0; i < 8; ++i) turn();
  // The image may begin a segment of its own: a block, its offsets, the list of blocks.
  CHECK(allocations - before <= 3);
}

TEST_CASE("failed: after a sync that failed every write is refused with its reason, and changes nothing") {
  test::disk d;
  auto log = open(d);
  propose(log, 1, "kept");
  REQUIRE(log.begin_snapshot({index_t{1}, term_t{1}, three_voters(), 0, 0}));
  REQUIRE(log.write_snapshot(bytes_of("image")));
  d.fail_at = d.calls + 1;
  REQUIRE(!log.sync());
  const std::string before = describe(log);
  const raft::payload p = bytes_of("lost");
  std::vector<std::byte> wire(raft::entry_bytes(p.size()));
  raft::write_entry(wire.data(), term_t{1}, raft::entry_kind::command, p);
  const auto refused = [](const auto& answer) { return !answer && answer.error().code == errc::io; };
  CHECK(refused(log.append(*raft::entries::parse(wire.data(), wire.size(), 1))));
  CHECK(refused(log.append(term_t{1}, raft::entry_kind::command, std::span{&p, 1})));
  CHECK(refused(log.store({term_t{2}, node_id{1}, {}})));
  CHECK(refused(log.truncate_from(index_t{1})));
  CHECK(refused(log.compact(index_t{})));
  CHECK(refused(log.begin_snapshot({index_t{1}, term_t{1}, three_voters(), 0, 0})));
  CHECK(refused(log.write_snapshot(p)));
  CHECK(refused(log.finish_snapshot()));
  CHECK(refused(log.sync()));
  CHECK(describe(log) == before);
}

TEST_CASE("durable_on_return: a write whose sync fails is refused and not shown") {
  test::disk d;
  auto log = open<immediate_log>(d);
  propose(log, 1, "kept");
  const std::string before = describe(log);
  d.fail_at = d.calls + 2;  // behind the write itself
  const raft::payload p = bytes_of("lost");
  CHECK(log.append(term_t{1}, raft::entry_kind::command, std::span{&p, 1}).error().code == errc::io);
  CHECK(log.last_error().file == "dir/log-0000000000000001");
  CHECK(describe(log) == before);
  CHECK(log.store({term_t{2}, node_id{1}, {}}).error().code == errc::io);
  CHECK(describe(log) == before);
}

TEST_CASE("append: an empty batch is a write without entries, and has a mark") {
  test::disk d;
  auto log = open(d);
  const auto mark = log.append(raft::entries{});
  REQUIRE(mark.has_value());
  CHECK(log.last_index() == index_t{});
  const auto done = log.sync();
  REQUIRE(done.has_value());
  CHECK(done->last == *mark);
}

TEST_CASE("append: more than 2 GiB in one write are refused before a byte of them is copied") {
  test::disk d;
  auto log = open(d);
  const std::unique_ptr<void, void (*)(void*)> zeros{std::calloc(raft::entry_payload_limit, 1), std::free};
  REQUIRE(zeros);
  const raft::payload gigabyte{static_cast<const std::byte*>(zeros.get()), raft::entry_payload_limit};
  const std::vector<raft::payload> two(2, gigabyte);
  const auto refused = log.append(term_t{1}, raft::entry_kind::command, two);
  REQUIRE(!refused);
  CHECK(refused.error().code == errc::too_large);
  CHECK(log.last_index() == index_t{});
  CHECK(!log.dirty());
  // Just 2 GiB are not: they only have to wait.
  const raft::payload half = gigabyte.first(gigabyte.size() - raft::entry_bytes(0));
  propose(log, 1, "x");
  const auto waits = log.append(term_t{1}, raft::entry_kind::command, std::vector<raft::payload>(2, half));
  REQUIRE(!waits);
  CHECK(waits.error().code == errc::busy);
}

TEST_CASE("finish_snapshot: waits for a sync like any other write, and is not lost by that") {
  test::disk d;
  raft::file_log_options o = small();
  o.max_waiting_bytes = 4096;
  auto log = open(d, o);
  propose(log, 1, "x");
  REQUIRE(log.sync().has_value());
  REQUIRE(log.begin_snapshot({index_t{1}, term_t{1}, three_voters(), 0, 0}));
  REQUIRE(log.write_snapshot(bytes_of("image")));
  const raft::payload p{};
  while (log.append(term_t{1}, raft::entry_kind::command, std::span{&p, 1})) REQUIRE(log.last_index().value < 1000);
  CHECK(log.finish_snapshot().error().code == errc::busy);
  CHECK(log.snapshot().index == index_t{});
  REQUIRE(log.sync().has_value());
  REQUIRE(log.finish_snapshot().has_value());
  CHECK(log.snapshot().index == index_t{1});
}

TEST_CASE("real files: a limit on the size of files is a full disk, not a broken one") {
  const directory here;
  const raft::posix_files files;
  REQUIRE(files.make_directory(here.log()).has_value());
  const auto file = files.open(here.log() + "/limited", raft::open_mode::create);
  REQUIRE(file.has_value());
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const rlimit small_files{4096, before.rlim_max};
  void (*const handler)(int) = std::signal(SIGXFSZ, SIG_IGN);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small_files) == 0);
  const std::byte b{};
  const auto written = files.write_at(*file, &b, 1, 4096);
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  files.close(*file);
  REQUIRE(!written);
  CHECK(written.error().code == errc::no_space);
  CHECK(written.error().detail == EFBIG);
}

TEST_CASE("real files: a directory may be named relative to where the process is, with slashes at its end or none") {
  const directory here;
  const raft::posix_files files;
  REQUIRE(files.make_directory(here.log()).has_value());
  const int back = ::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  REQUIRE(back >= 0);
  REQUIRE(::chdir(here.log().c_str()) == 0);
  const auto made = files.make_directory("relative");
  const auto again = files.make_directory("relative//");
  const auto inside = files.make_directory("relative/inside/");
  ::rmdir("relative/inside");
  ::rmdir("relative");
  REQUIRE(::fchdir(back) == 0);
  ::close(back);
  CHECK(made.has_value());
  CHECK(again.has_value());
  CHECK(inside.has_value());
}

TEST_CASE("file_log_failure: a line that says what there is to say of each kind") {
  const auto line = [](errc code) {
    return raft::file_log_failure{{code, {}, 28, "it went wrong"}, "dir/file"}.text();
  };
  CHECK(line(errc::corrupt) == "dir/file: it went wrong, at offset 28");
  CHECK(line(errc::io) == "dir/file: it went wrong, errno 28");
  CHECK(line(errc::no_space) == "dir/file: it went wrong, errno 28");
  CHECK(line(errc::busy) == "dir/file: it went wrong");
}

TEST_CASE("failure_account: keeps the first failure, whatever fails because of it") {
  raft::detail::wal::failure_account failures;
  CHECK(failures.good(raft::result<void>{}, "dir/a"));
  CHECK(!failures.any());
  CHECK(!failures.good(raft::result<void>{errc::io, "first"}, "dir/b"));
  CHECK(!failures.good(raft::result<void>{errc::no_space, "second"}, "dir/c"));
  CHECK(failures.first().file == "dir/b");
  CHECK(failures.first().why.code == errc::io);
}
