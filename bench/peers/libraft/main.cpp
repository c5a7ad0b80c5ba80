// The commit work of bench/support/commit_load.hpp on canonical's C raft, as Debian ships it (libraft-dev): a whole
// cluster in one thread behind a raft_io of our own. Messages are encoded into the receiver's in-box and decoded there
// (a header and 16 bytes an entry, like the library's own byte form, which it does not export); writes complete when
// the writer's turn comes.
//
// In its favour: a window is proposed in one call, in-boxes are kept, and nothing is traced.

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string_view>
#include <vector>

extern "C" {
#include <raft.h>
}

#include "../../support/payloads.hpp"
#include "../../support/samples.hpp"

namespace {

constexpr unsigned trim_at = 8192;
constexpr unsigned trim_to = 1024;

void must(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "libraft_probe: %s\n", what);
  std::abort();
}

struct header {
  std::uint64_t type;
  std::uint64_t from;
  std::uint64_t count;
};

struct entry_header {
  std::uint64_t term;
  std::uint32_t length;
  std::uint32_t type;
};

class cluster;

/// A completion that is due: what the library asked to be told later.
struct completion {
  void (*tell)(void* request, void* callback);
  void* request;
  void* callback;
};

struct member {
  cluster* home = nullptr;
  raft_id id = 0;
  raft_io io{};
  raft_fsm fsm{};
  raft_tracer tracer{};
  raft engine{};
  raft_io_tick_cb tick = nullptr;
  raft_io_recv_cb recv = nullptr;
  raft_time time = 0;
  std::vector<std::byte> in_box{};
  std::vector<std::byte> taken{};
  std::vector<completion> due{};
  std::vector<completion> telling{};
  std::uint64_t count = 0;
  std::uint64_t sum = 0;
};

member& of(raft_io* io) { return *static_cast<member*>(io->impl); }  // The library takes io->data for itself.
member& of(raft_fsm* fsm) { return *static_cast<member*>(fsm->data); }

void* kept(std::size_t bytes) {
  void* memory = raft_malloc(bytes == 0 ? 1 : bytes);
  must(memory != nullptr, "out of memory");
  return memory;
}

class cluster {
 public:
  explicit cluster(std::size_t size);
  cluster(const cluster&) = delete;
  cluster& operator=(const cluster&) = delete;

  void commit(const bench::payloads& work, std::size_t per_call);
  void verify(std::uint64_t count, std::uint64_t sum);
  bool round();
  member& at(raft_id id) { return members_[id - 1]; }
  [[nodiscard]] std::size_t size() const { return members_.size(); }
  [[nodiscard]] std::uint64_t sent() const { return sent_; }
  void count_sent() { ++sent_; }

 private:
  bool turn(member& m);
  void pass_time(raft_time milliseconds);

  std::deque<member> members_;
  std::uint64_t sent_ = 0;
};

// ---- raft_io: memory and in-boxes

void tell_sent(void* request, void* callback) {
  auto* r = static_cast<raft_io_send*>(request);
  reinterpret_cast<raft_io_send_cb>(callback)(r, 0);
}
void tell_appended(void* request, void* callback) {
  auto* r = static_cast<raft_io_append*>(request);
  reinterpret_cast<raft_io_append_cb>(callback)(r, 0);
}
void tell_put(void* request, void* callback) {
  auto* r = static_cast<raft_io_snapshot_put*>(request);
  reinterpret_cast<raft_io_snapshot_put_cb>(callback)(r, 0);
}

/// What a server starts from: a snapshot of nothing that names the members.
int io_load(raft_io* io, raft_term* term, raft_id* voted_for, raft_snapshot** snapshot, raft_index* start_index,
            raft_entry* entries[], std::size_t* n_entries) {
  auto* s = static_cast<raft_snapshot*>(kept(sizeof(raft_snapshot)));
  *s = {};
  s->index = 1;
  s->term = 1;
  s->configuration_index = 1;
  raft_configuration_init(&s->configuration);
  for (raft_id id = 1; id <= of(io).home->size(); ++id) {
    const char address[] = {static_cast<char>('0' + id), '\0'};
    must(raft_configuration_add(&s->configuration, id, address, RAFT_VOTER) == 0, "a configuration was refused");
  }
  s->bufs = static_cast<raft_buffer*>(kept(sizeof(raft_buffer)));
  s->bufs[0] = {kept(8), 8};
  s->n_bufs = 1;
  *term = 1;
  *voted_for = 0;
  *snapshot = s;
  *start_index = 2;
  *entries = nullptr;
  *n_entries = 0;
  return 0;
}

int io_start(raft_io* io, unsigned, raft_io_tick_cb tick, raft_io_recv_cb recv) {
  of(io).tick = tick;
  of(io).recv = recv;
  return 0;
}

template <class T>
std::byte* write(std::byte* to, const T& value) {
  std::memcpy(to, &value, sizeof value);
  return to + sizeof value;
}

template <class T>
const std::byte* read(const std::byte* from, T& value) {
  std::memcpy(&value, from, sizeof value);
  return from + sizeof value;
}

std::byte* room_in(std::vector<std::byte>& box, std::size_t bytes) {
  const std::size_t at = box.size();
  box.resize(at + bytes);
  return box.data() + at;
}

int io_send(raft_io* io, raft_io_send* request, const raft_message* m, raft_io_send_cb told) {
  member& from = of(io);
  std::size_t bytes = sizeof(header) + sizeof(raft_append_entries);
  std::uint64_t count = 0;
  if (m->type == RAFT_IO_APPEND_ENTRIES) {
    count = m->append_entries.n_entries;
    for (std::uint64_t k = 0; k < count; ++k) bytes += sizeof(entry_header) + m->append_entries.entries[k].buf.len;
  }
  must(m->type <= RAFT_IO_REQUEST_VOTE_RESULT, "a message that this work never needs was sent");
  std::byte* at = room_in(from.home->at(m->server_id).in_box, bytes);
  at = write(at, header{m->type, from.id, count});
  std::memcpy(at, &m->append_entries, sizeof(raft_append_entries));  // The largest of the bodies sent here.
  at += sizeof(raft_append_entries);
  for (std::uint64_t k = 0; k < count; ++k) {
    const raft_entry& e = m->append_entries.entries[k];
    at = write(at, entry_header{e.term, static_cast<std::uint32_t>(e.buf.len), e.type});
    std::memcpy(at, e.buf.base, e.buf.len);
    at += e.buf.len;
  }
  from.home->count_sent();
  from.due.push_back({tell_sent, request, reinterpret_cast<void*>(told)});
  return 0;
}

int io_append(raft_io* io, raft_io_append* request, const raft_entry*, unsigned, raft_io_append_cb told) {
  of(io).due.push_back({tell_appended, request, reinterpret_cast<void*>(told)});
  return 0;
}

int io_snapshot_put(raft_io* io, unsigned, raft_io_snapshot_put* request, const raft_snapshot*,
                    raft_io_snapshot_put_cb told) {
  of(io).due.push_back({tell_put, request, reinterpret_cast<void*>(told)});
  return 0;
}

/// Decodes the message at `at` and hands it over; returns where the next one begins.
const std::byte* receive(member& m, const std::byte* at) {
  header h{};
  raft_message message{};
  at = read(at, h);
  message.type = static_cast<unsigned short>(h.type);
  message.server_id = h.from;
  const char address[] = {static_cast<char>('0' + h.from), '\0'};
  message.server_address = address;
  at = read(at, message.append_entries);
  if (h.count != 0) {
    std::size_t payload = 0;
    const std::byte* look = at;
    for (std::uint64_t k = 0; k < h.count; ++k) {
      entry_header e{};
      look = read(look, e) + e.length;
      payload += e.length;
    }
    auto* entries = static_cast<raft_entry*>(kept(h.count * sizeof(raft_entry)));
    auto* batch = static_cast<std::byte*>(kept(payload));
    std::size_t used = 0;
    for (std::uint64_t k = 0; k < h.count; ++k) {
      entry_header e{};
      at = read(at, e);
      std::memcpy(batch + used, at, e.length);
      entries[k] = {e.term, static_cast<unsigned short>(e.type), {batch + used, e.length}, batch};
      used += e.length;
      at += e.length;
    }
    message.append_entries.entries = entries;
  }
  m.recv(&m.io, &message);
  return at;
}

raft_io io_of(member& m) {
  raft_io io{};
  io.version = 1;
  io.impl = &m;
  io.init = [](raft_io*, raft_id, const char*) { return 0; };
  io.close = [](raft_io* self, raft_io_close_cb closed) { closed(self); };
  io.load = io_load;
  io.start = io_start;
  io.bootstrap = [](raft_io*, const raft_configuration*) { return 0; };
  io.recover = [](raft_io*, const raft_configuration*) { return 0; };
  io.set_term = [](raft_io*, raft_term) { return 0; };
  io.set_vote = [](raft_io*, raft_id) { return 0; };
  io.send = io_send;
  io.append = io_append;
  io.truncate = [](raft_io*, raft_index) { return 0; };
  io.snapshot_put = io_snapshot_put;
  io.snapshot_get = [](raft_io*, raft_io_snapshot_get*, raft_io_snapshot_get_cb) { return int{RAFT_NOTFOUND}; };
  io.time = [](raft_io* self) { return of(self).time; };
  io.random = [](raft_io* self, int low, int high) { return low + static_cast<int>(of(self).id) % (high - low); };
  return io;
}

raft_fsm fsm_of(member& m) {
  raft_fsm fsm{};
  fsm.version = 1;
  fsm.data = &m;
  fsm.apply = [](raft_fsm* self, const raft_buffer* command, void** result) {
    ++of(self).count;
    of(self).sum += *static_cast<const unsigned char*>(command->base);
    *result = nullptr;
    return 0;
  };
  fsm.snapshot = [](raft_fsm*, raft_buffer* bufs[], unsigned* n) {
    *bufs = static_cast<raft_buffer*>(kept(sizeof(raft_buffer)));
    (*bufs)[0] = {kept(8), 8};
    *n = 1;
    return 0;
  };
  fsm.restore = [](raft_fsm*, raft_buffer* image) {
    raft_free(image->base);
    return 0;
  };
  return fsm;
}

// ---- the cluster

cluster::cluster(std::size_t size) : members_(size) {
  for (std::size_t k = 0; k < size; ++k) {
    member& m = members_[k];
    m.home = this;
    m.id = k + 1;
    m.io = io_of(m);
    m.fsm = fsm_of(m);
    m.tracer.emit = [](raft_tracer*, const char*, int, const char*) {};
    const char address[] = {static_cast<char>('0' + m.id), '\0'};
    must(raft_init(&m.engine, &m.io, &m.fsm, m.id, address) == 0, "raft_init failed");
    m.engine.tracer = &m.tracer;
    raft_set_pre_vote(&m.engine, true);
    raft_set_snapshot_threshold(&m.engine, trim_at - trim_to);
    raft_set_snapshot_trailing(&m.engine, trim_to);
    must(raft_start(&m.engine) == 0, "raft_start failed");
  }
  while (raft_state(&at(1).engine) != RAFT_LEADER) pass_time(100);
  pass_time(100);
}

/// Lets time pass on the first member, which so becomes and stays the leader, and runs until all is quiet.
void cluster::pass_time(raft_time milliseconds) {
  for (member& m : members_) m.time += milliseconds;
  at(1).tick(&at(1).io);
  while (round()) {
  }
}

/// Completes a member's writes, and hands it what is in its in-box.
bool cluster::turn(member& m) {
  if (m.due.empty() && m.in_box.empty()) return false;
  m.taken.swap(m.in_box);
  for (const std::byte* next = m.taken.data(); next != m.taken.data() + m.taken.size();) next = receive(m, next);
  m.taken.clear();
  while (!m.due.empty()) {
    m.telling.swap(m.due);
    for (const completion& c : m.telling) c.tell(c.request, c.callback);
    m.telling.clear();
  }
  return true;
}

bool cluster::round() {
  bool moved = false;
  for (member& m : members_) moved |= turn(m);
  return moved;
}

void cluster::commit(const bench::payloads& work, std::size_t per_call) {
  member& leader = at(1);
  const std::uint64_t end = leader.count + work.count();
  std::vector<raft_buffer> buffers(work.count());
  for (std::size_t k = 0; k < work.count(); ++k) {
    buffers[k] = {kept(work.size()), work.size()};
    std::memcpy(buffers[k].base, work.window()[k].data(), work.size());
  }
  std::vector<struct raft_apply> requests(work.count() / per_call);
  for (std::size_t k = 0; k < requests.size(); ++k) {
    const int rc =
        raft_apply(&leader.engine, &requests[k], &buffers[k * per_call], static_cast<unsigned>(per_call),
                   [](struct raft_apply*, int status, void*) { must(status == 0, "a command was not applied"); });
    must(rc == 0, "raft_apply refused a command");
  }
  while (leader.count < end) must(round(), "nothing moves any more");
}

void cluster::verify(std::uint64_t count, std::uint64_t sum) {
  for (int beats = 0; beats < 3; ++beats) pass_time(150);
  for (const member& m : members_) must(m.count == count && m.sum == sum, "a member applied something else");
}

struct request {
  std::size_t nodes = 3;
  std::size_t window = 64;
  std::size_t payload = 16;
  std::size_t entries = 100'000;
  std::size_t runs = 5;
  bool single = false;
};

bool read(request& to, std::string_view option, std::string_view value) {
  if (option == "--mode") {
    to.single = value == "single";
    return value == "single" || value == "span";
  }
  std::size_t* const number = option == "--nodes"     ? &to.nodes
                              : option == "--window"  ? &to.window
                              : option == "--payload" ? &to.payload
                              : option == "--entries" ? &to.entries
                              : option == "--runs"    ? &to.runs
                                                      : nullptr;
  if (number == nullptr) return false;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), *number);
  return error == std::errc{} && end == value.data() + value.size() && *number != 0 && to.nodes <= 7;
}

}  // namespace

int main(int argc, char** argv) {
  request asked;
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc || !read(asked, argv[i], argv[i + 1])) {
      std::fprintf(stderr, "libraft_probe: cannot make sense of %s\n", argv[i]);
      return 2;
    }
  }
  cluster c{asked.nodes};
  const bench::payloads work{asked.window, asked.payload};
  const std::size_t per_call = asked.single ? 1 : asked.window;
  std::uint64_t windows = 0;
  const auto run = [&](std::size_t n) {
    for (std::size_t w = 0; w < n; ++w) c.commit(work, per_call);
    windows += n;
  };
  run(2 * trim_at / asked.window + 1);
  const std::size_t per_run = (asked.entries + asked.window - 1) / asked.window;
  const auto entries = static_cast<double>(per_run * asked.window);
  const std::uint64_t sent = c.sent();
  bench::samples times;
  for (std::size_t r = 0; r < asked.runs; ++r) times.add(bench::time_of([&] { run(per_run); }) / entries);
  std::printf("ns_entry=%.2f ns_entry_median=%.2f msgs_entry=%.4f\n", times.best(), times.median(),
              static_cast<double>(c.sent() - sent) / (entries * static_cast<double>(asked.runs)));
  c.verify(windows * work.count(), windows * work.sum());
}
