// Any message into `step` of a live node (libFuzzer). A message that is refused changes nothing; whatever comes, the
// node stays a node: its indexes in order, its terms rising, its commit index never falling, its committed entries
// unchanged.
//
// Byte 0 chooses the role that the node starts in. Then, until the input ends, each turn takes a byte for what happens
// (mostly a message; now and then time passes, or a client proposes or reads) and the fields that it needs. A number is
// one byte, near the node's own numbers, or eight bytes, anything.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include <raft/memory_log.hpp>
#include <raft/raft.hpp>

namespace {

using namespace raft;

void require(bool holds) {
  if (!holds) std::abort();
}

struct counting_transport {
  std::uint64_t* sent;
  void send(const message& m) const {
    require(m.from != m.to);
    ++*sent;
  }
};

struct hand_clock {
  using duration = std::int64_t;
  using time_point = std::int64_t;
  const std::int64_t* time;
  [[nodiscard]] std::int64_t now() const { return *time; }
};

struct machine {
  index_t last{};
  void apply(const entry& e) {
    require(e.index > last);
    last = e.index;
  }
  result<void> write_snapshot(auto& sink) const { return sink(std::as_bytes(std::span{&last.value, 1})); }
  result<void> restore(auto& source) {
    for (;;) {
      const auto piece = source();
      if (!piece) return piece.error();
      if (piece->empty()) return {};
    }
  }
  void on_restore(const snapshot_meta& place) { last = place.index; }
  void on_fate(index_t first, index_t end, term_t, fate) const { require(first <= end); }
  void on_read(std::uint64_t, read_fate, index_t) const {}
  void on_transfer(node_id target, transfer_fate) const { require(target != nobody); }
};

using server = node<counting_transport, memory_log, hand_clock, machine>;

/// What the input says, byte after byte; zeros behind its end.
class input {
 public:
  input(const std::uint8_t* data, std::size_t size) : left_(data, size) {}
  [[nodiscard]] bool over() const { return left_.empty(); }
  std::uint8_t byte() {
    if (left_.empty()) return 0;
    const std::uint8_t b = left_.front();
    left_ = left_.subspan(1);
    return b;
  }
  /// Small numbers mostly, and all others.
  std::uint64_t number() {
    const std::uint8_t b = byte();
    if (b < 0xf0) return b % 16;
    std::uint64_t n = 0;
    for (int i = 0; i < 8; ++i) n = n << 8 | byte();
    return n;
  }
  index_t index() { return index_t{number()}; }
  term_t term() { return term_t{number()}; }
  /// A batch of entries whose terms do not fall, as `entries` promises; parsed from bytes, so any other is refused.
  entries batch(std::vector<std::byte>& room) {
    const std::uint32_t count = byte() % 4;
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::size_t at = room.size();
      const std::size_t length = byte() % 32;
      room.resize(at + entry_bytes(length));
      const auto kind = byte() % 8 == 0 ? entry_kind::configuration : entry_kind::command;
      std::vector<std::byte> data(length, std::byte{1});
      if (kind == entry_kind::configuration) {
        data.clear();
        encode(voters_of({node_id{1}, node_id{2}, node_id{3U + byte() % 2}}), data);
        room.resize(at + entry_bytes(data.size()));
      }
      write_entry(room.data() + at, term(), kind, data);
    }
    const auto parsed = entries::parse(room.data(), room.size(), count);
    return parsed ? *parsed : entries{};
  }
  payload bytes(std::vector<std::byte>& room) {
    room.assign(byte() % 64, std::byte{byte()});
    return room;
  }

 private:
  std::span<const std::uint8_t> left_;
};

message_body any_body(input& in, std::vector<std::byte>& a, std::vector<std::byte>& b) {
  switch (in.byte() % 13) {
    case 0:
      return request_pre_vote{in.index(), in.term()};
    case 1:
      return request_pre_vote_reply{in.term(), in.byte() % 2 == 0};
    case 2:
      return request_vote{in.index(), in.term(), in.byte() % 2 == 0};
    case 3:
      return request_vote_reply{in.byte() % 2 == 0};
    case 4:
      return append_entries{in.index(), in.term(), in.index(), in.number(), in.batch(a)};
    case 5:
      return append_entries_reply{in.byte() % 2 == 0, in.index(), in.index(), in.term(), in.index(), in.number()};
    case 6: {
      encode(voters_of({node_id{1}, node_id{2}, node_id{3}}), b);
      if (in.byte() % 8 == 0) b.resize(b.size() / 2);
      return install_snapshot{in.index(),  in.term(),   in.number(), in.number(),
                              in.number(), in.number(), b,           in.bytes(a)};
    }
    case 7:
      return read_request{in.number()};
    case 8:
      return read_reply{in.number(), in.index(), in.byte() % 2 == 0};
    case 9:
      return forwarded_proposal{in.number(), in.number(), in.bytes(a)};
    case 10:
      return forwarded_proposal_reply{in.number(), in.number(), in.index(), node_id{in.number()}};
    case 11:
      return install_snapshot_reply{in.index(), in.number(), in.number(), in.byte() % 2 == 0, in.number()};
    default:
      return timeout_now{in.index(), in.term()};
  }
}

/// What a refused message must leave as it was.
struct picture {
  explicit picture(const server& n, std::uint64_t sent_until)
      : log(n.log()),
        role(n.role()),
        term(n.term()),
        leader(n.leader()),
        commit(n.commit_index()),
        applied(n.last_applied()),
        members(n.configuration()),
        vote(n.status().voted_for),
        deadline(n.deadline()),
        sent(sent_until) {}
  bool operator==(const picture&) const = default;
  memory_log log;
  role_kind role;
  term_t term;
  node_id leader;
  index_t commit, applied;
  configuration members;
  node_id vote;
  std::int64_t deadline;
  std::uint64_t sent;
};

void check(const server& n, const picture& before) {
  const memory_log& log = n.log();
  require(n.term() >= before.term && n.commit_index() >= before.commit && n.last_applied() >= before.applied);
  require(log.snapshot().index <= n.last_applied() && n.last_applied() <= n.commit_index());
  require(n.commit_index() <= log.last_index() && log.first_index() <= log.last_index().next());
  for (index_t i = log.first_index(); i <= log.last_index(); i = i.next()) {
    require(log.term_at(i.previous()) <= log.term_at(i) && log.term_at(i) <= n.term());
    const bool was_there = before.log.first_index() <= i && i <= before.log.last_index();
    if (i <= before.commit && was_there) require(log.term_at(i) == before.log.term_at(i));
  }
}

/// A node with a few committed entries of terms 1 and 2, in the role that was asked for.
server make(std::uint8_t wanted, std::uint64_t& sent, const std::int64_t& time) {
  memory_log log(voters_of({node_id{1}, node_id{2}, node_id{3}}), 256);
  static_cast<void>(log.store({term_t{2}, nobody, index_t{3}}));
  const std::vector<payload> none(3);
  static_cast<void>(log.append(term_t{1}, entry_kind::command, none));
  static_cast<void>(log.append(term_t{2}, entry_kind::command, none));
  options<std::int64_t> o;
  o.trailing_entries = 2;
  o.snapshot_chunk_bytes = 16;
  server n = *server::create(node_id{1}, o, 7, {&sent}, std::move(log), {&time}, {});
  if (wanted == 0) return n;
  n.campaign();
  if (wanted == 1) return n;
  static_cast<void>(n.step({node_id{2}, node_id{1}, term_t{2}, request_pre_vote_reply{term_t{2}, true}}));
  if (wanted == 2) return n;
  static_cast<void>(n.step({node_id{2}, node_id{1}, term_t{3}, request_vote_reply{true}}));
  require(n.role() == role_kind::leader);
  return n;
}

void send_one(server& n, input& in, std::uint64_t& sent) {
  std::vector<std::byte> a;
  std::vector<std::byte> b;
  const node_id from{in.byte() % 8 == 0 ? in.number() : 2 + in.byte() % 2};
  const node_id to{in.byte() % 16 == 0 ? in.number() : 1};
  const term_t term = in.byte() % 2 == 0 ? n.term() : in.term();
  const message m{from, to, term, any_body(in, a, b)};
  const picture before(n, sent);
  const auto taken = n.step(m);
  if (!taken) require(before == picture(n, sent));
  check(n, before);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  input in(data, size);
  std::uint64_t sent = 0;
  std::int64_t time = 1000;
  server n = make(in.byte() % 4, sent, time);
  for (int turns = 0; turns < 64 && !in.over() && !n.failed(); ++turns) {
    const std::uint8_t what = in.byte() % 16;
    const picture before(n, sent);
    if (what == 0) {
      time += in.byte();
      n.tick();
    } else if (what == 1) {
      static_cast<void>(n.propose(payload{}));
    } else if (what == 2) {
      static_cast<void>(time % 2 == 0 ? n.read(1) : n.read_anywhere(1));
      static_cast<void>(n.read_stale(100));
    } else if (what == 3) {
      static_cast<void>(n.take_snapshot());
    } else if (what == 4) {
      static_cast<void>(n.transfer_leadership(node_id{1U + in.byte() % 4}));
    } else if (what == 5) {
      static_cast<void>(in.byte() % 2 == 0 ? n.step_down() : n.forget_leader());
    } else {
      send_one(n, in, sent);
    }
    check(n, before);
  }
  return 0;
}
