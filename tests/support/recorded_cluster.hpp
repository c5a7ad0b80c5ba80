#pragma once

// A small cluster of recorded servers under a random load, for the tests of record.hpp and for raft_replay: three
// voters and a learner, a network that loses and delays, disks whose writes complete later, snapshots, changes of
// membership, crashes of nobody (a recording is one run of a node).

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <raft/record.hpp>

#include "support/letter.hpp"

namespace raft::testing {

/// A deferred Log over a memory_log, of which the test decides what is durable, fails, or is not at hand.
struct slow_log : memory_log {
  static constexpr bool durable_on_return = false;
  struct control {
    bool fails = false;
    bool no_room = false;     ///< For another snapshot; the one that is being written stays.
    bool unreadable = false;  ///< The snapshot's bytes.
    std::uint64_t cold_permille = 0;
    std::uint64_t chance = 1;
    mark_t issued{};
    bool cold() {
      return (chance = chance * 6364136223846793005U + 1442695040888963407U) >> 33 < cold_permille * 2147484;
    }
  };
  control* how;

  slow_log(memory_log log, control& c) : memory_log(std::move(log)), how(&c) {}
  [[nodiscard]] result<entries> view(index_t from, index_t to, std::uint32_t max) const {
    const auto places = configurations();
    if (!std::binary_search(places.begin(), places.end(), from) && how->cold()) {
      return {errc::not_at_hand, "in cold storage"};
    }
    return memory_log::view(from, to, max);
  }
  [[nodiscard]] result<payload> read_snapshot(std::uint64_t offset, std::uint32_t max) const {
    if (how->unreadable) return {errc::io, "the snapshot cannot be read"};
    return memory_log::read_snapshot(offset, max);
  }
  result<void> begin_snapshot(const snapshot_meta& meta) {
    if (how->no_room) return {errc::no_space, "no room for a snapshot"};
    return memory_log::begin_snapshot(meta);
  }
  result<mark_t> store(const raft::hard_state& h) {
    return mark([&] { return memory_log::store(h); });
  }
  result<mark_t> append(const entries& b) {
    return mark([&] { return memory_log::append(b); });
  }
  result<mark_t> append(term_t t, entry_kind k, std::span<const payload> p) {
    return mark([&] { return memory_log::append(t, k, p); });
  }
  result<mark_t> truncate_from(index_t i) {
    return mark([&] { return memory_log::truncate_from(i); });
  }
  result<mark_t> compact(index_t i) {
    return mark([&] { return memory_log::compact(i); });
  }
  result<mark_t> finish_snapshot() {
    return mark([&] { return memory_log::finish_snapshot(); });
  }

 private:
  template <class Write>
  result<mark_t> mark(Write&& write) {
    if (how->fails) return {errc::io, "the disk is gone"};
    auto m = write();
    if (m) how->issued = *m;
    return m;
  }
};

struct recorded_machine {
  std::uint64_t state = 0;
  std::uint64_t times_leader = 0;
  std::array<std::uint64_t, 4> forwarded{};  ///< How many of each fate.
  void apply(const entry& e) {
    for (const std::byte b : e.data) state = state * 31 + std::to_integer<std::uint64_t>(b);
    state += e.index.value;
  }
  template <class Sink>
  result<void> write_snapshot(Sink& sink) const {
    std::array<std::byte, 3000> image{};
    raft::detail::store_le(image.data(), state);
    return sink(payload{image});
  }
  template <class Source>
  result<void> restore(Source& source) {
    std::vector<std::byte> image;
    for (;;) {
      const auto piece = source();
      if (!piece) return piece.error();
      if (piece->empty()) break;
      image.insert(image.end(), piece->begin(), piece->end());
    }
    if (image.size() < sizeof state) return {errc::corrupt, "an image that is too short"};
    state = raft::detail::load_le<std::uint64_t>(image.data());
    return {};
  }
  [[nodiscard]] bool may_lead() const { return state % 16 != 3; }
  void on_role(role_kind role, term_t, node_id) { times_leader += role == role_kind::leader ? 1 : 0; }
  void on_forwarded(std::uint64_t, fate what, proposal, node_id) { ++forwarded[static_cast<std::size_t>(what)]; }
};

/// Takes every third snapshot that it is offered upon itself, and loses each.
struct recorded_transport {
  std::deque<story::letter>* mail;
  std::vector<snapshot_carried>* lost;
  std::uint64_t offers = 0;
  void send(const message& m) { mail->push_back(story::keep(m)); }
  bool send_snapshot(const envelope& m, const install_snapshot& head) {
    if (++offers % 3 != 0) return false;
    lost->push_back({m.to, head.id, false});
    return true;
  }
};
struct recorded_clock {
  using duration = std::int64_t;
  using time_point = std::int64_t;
  const std::int64_t* at;
  [[nodiscard]] std::int64_t now() const { return *at; }
};
struct recorded_sink {
  std::vector<std::byte>* to;
  void operator()(payload bytes) const { to->insert(to->end(), bytes.begin(), bytes.end()); }
};

using recorded_node = recorder<recorded_transport, slow_log, recorded_clock, recorded_machine, recorded_sink>;

struct recorded_server {
  using replay_type = replayed<recorded_clock, deferred_memory_log, recorded_machine>;

  node_id id{};
  std::uint64_t seed = 0;
  raft::options<std::int64_t> options{};
  slow_log::control disk{};
  raft::tape tape{};
  std::vector<std::byte> bytes{};
  std::optional<recorded_node> node{};
  mark_t reported{};                     ///< Up to here the writes were reported durable.
  std::vector<snapshot_carried> lost{};  ///< Snapshots on their way out of band.

  [[nodiscard]] result<replay_type> replay(raft::tape& t) const { return replay(t, seed, options); }
  [[nodiscard]] result<replay_type> replay(raft::tape& t, std::uint64_t with_seed,
                                           const raft::options<std::int64_t>& o) const {
    auto log = initial_log(bytes, std::size_t{1} << 24);
    if (!log) return log.error();
    return raft::replay<recorded_clock>(t, bytes, o, with_seed, deferred_memory_log{*std::move(log)},
                                        recorded_machine{});
  }
};

class recorded_cluster {
 public:
  explicit recorded_cluster(std::uint64_t seed, std::uint64_t inputs_a_sum) : every_(inputs_a_sum), chance_(seed) {
    options.max_entries_per_append = 16;
    options.max_bytes_per_append = 1024;
    options.snapshot_chunk_bytes = 1000;
    options.trailing_entries = 20;
    for (std::uint64_t id = 1; id <= 4; ++id) {
      start(id, memory_log{voters_of({node_id{1}, node_id{2}, node_id{3}}), 4096});
    }
  }
  recorded_cluster(const recorded_cluster&) = delete;
  recorded_cluster& operator=(const recorded_cluster&) = delete;

  /// Hands out this many inputs, and closes each recording with a sum.
  void run(std::uint64_t inputs) {
    for (; inputs != 0; --inputs) one_input();
    for (recorded_server& s : servers) s.node->finish();
  }

  /// Every server ends its run, and begins another one from its Log, with a recording of its own.
  void restart_all() {
    std::vector<memory_log> logs;
    for (recorded_server& s : servers) logs.push_back(static_cast<const memory_log&>(s.node->log()));
    servers.clear();
    mail_.clear();
    for (std::uint64_t id = 1; id <= logs.size(); ++id) start(id, std::move(logs[id - 1]));
  }

  raft::options<std::int64_t> options{};
  std::deque<recorded_server> servers{};
  std::uint64_t cold_permille = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t changes = 0;
  std::uint64_t reads = 0;
  std::uint64_t reads_elsewhere = 0;
  std::uint64_t transfers = 0;
  std::uint64_t forwards = 0;
  std::uint64_t carried = 0;

 private:
  std::uint64_t draw(std::uint64_t below) {
    chance_ += 0x9e3779b97f4a7c15U;
    std::uint64_t z = chance_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return (z ^ (z >> 31)) % below;
  }

  void start(std::uint64_t id, memory_log log) {
    recorded_server& s = servers.emplace_back();
    s.id = node_id{id};
    s.seed = 1000 + id;
    s.options = options;
    auto made = recorded_node::create(s.tape, recorded_sink{&s.bytes}, {every_}, s.id, options, s.seed,
                                      recorded_transport{&mail_, &s.lost}, slow_log{std::move(log), s.disk},
                                      recorded_clock{&now_}, recorded_machine{});
    if (made) s.node.emplace(*std::move(made));
  }

  void one_input() {
    recorded_server& s = servers[draw(servers.size())];
    s.disk.cold_permille = cold_permille;
    recorded_node& n = *s.node;
    const std::uint64_t what = draw(1000);
    if (what < 500) {
      deliver();
    } else if (what < 700) {
      report_durable(s);
    } else if (what < 760) {
      now_ += static_cast<std::int64_t>(draw(20));
      n.tick();
    } else if (what < 920) {
      propose(n);
    } else if (what < 940) {
      const std::vector<std::byte> command(draw(120), static_cast<std::byte>(draw(256)));
      forwards += n.propose_anywhere(command, chance_) ? 1 : 0;
    } else if (what < 955) {
      reads += n.read(chance_) ? 1 : 0;
    } else if (what < 965) {
      reads_elsewhere += n.read_anywhere(chance_) ? 1 : 0;
    } else if (what < 970) {
      reads_elsewhere += n.read_stale(static_cast<std::int64_t>(draw(200))) ? 1 : 0;
    } else if (what < 973) {
      lead_otherwise(n);
    } else if (what < 974) {
      do_what_is_rare(n);
    } else if (what < 976) {
      lose_snapshot(s);
      write_snapshot_in_pieces(n);
    } else if (what < 985) {
      (void)n.step(fetched{n.log().first_index(), n.log().last_index()});
    } else if (what < 995) {
      snapshots += n.take_snapshot() ? 1 : 0;
    } else {
      change(n);
    }
  }

  void deliver() {
    if (mail_.empty()) return servers[0].node->tick();
    const std::size_t at = draw(std::min<std::size_t>(mail_.size(), 4));
    const story::letter l = std::move(mail_[at]);
    mail_.erase(mail_.begin() + static_cast<std::ptrdiff_t>(at));
    if (draw(50) == 0) return servers[0].node->tick();  // lost
    (void)servers[l.what.to.value - 1].node->step(l.what);
  }

  static void report_durable(recorded_server& s) {
    const mark_t issued = s.disk.issued;
    if (issued == s.reported) return s.node->tick();
    (void)s.node->step(persisted{mark_t{s.reported.value + 1}, issued});
    s.reported = issued;
  }

  void propose(recorded_node& n) {
    std::vector<std::byte> command(draw(120), static_cast<std::byte>(draw(256)));
    if (draw(4) == 0) return (void)n.propose(command, n.engine().term());
    const std::vector<payload> several(1 + draw(3), payload{command});
    (void)n.propose(several);
  }

  /// One of the inputs that concern leadership.
  void lead_otherwise(recorded_node& n) {
    switch (draw(7)) {
      case 0:
        return n.campaign();
      case 1:
        transfers += n.transfer_leadership(node_id{1 + draw(4)}) ? 1 : 0;
        return;
      case 2:
        transfers += n.transfer_leadership() ? 1 : 0;
        return;
      case 3:
        return (void)n.step_down();
      case 4:
        return (void)n.forget_leader();
      case 5:
        return n.evacuate();
      default:
        return n.stop_evacuation();
    }
  }

  /// What is mostly refused here: a refusal is an output like any other.
  void do_what_is_rare(recorded_node& n) {
    switch (draw(4)) {
      case 0:
        return (void)n.step(applied{n.engine().last_applied()});
      case 1:
        return (void)n.step(restored{n.engine().last_applied()});
      case 2:
        return (void)n.leave_joint_configuration();
      default:
        return (void)n.request_snapshot();
    }
  }

  void lose_snapshot(recorded_server& s) {
    if (s.lost.empty()) return (void)s.node->step(snapshot_carried{node_id{2}, 1, true});
    carried += s.node->step(s.lost.back()) ? 1 : 0;
    s.lost.pop_back();
  }

  void write_snapshot_in_pieces(recorded_node& n) {
    const auto meta = n.begin_snapshot();
    if (!meta) return;
    const std::vector<std::byte> image(1500, std::byte{0});
    (void)n.write_snapshot(image);
    if (draw(4) == 0) return (void)n.step(snapshot_abandoned{meta->index});
    (void)n.write_snapshot(image);
    snapshots += n.step(snapshot_written{meta->index}) ? 1 : 0;
  }

  void change(recorded_node& n) {
    if (draw(3) == 0) return (void)n.add_server({node_id{1 + draw(4)}, {}});
    membership target;
    for (std::uint64_t id = 1; id <= 4; ++id) {
      (draw(4) != 0 ? target.voters : target.learners).push_back(node_id{id});
    }
    if (draw(2) == 0) target.data.push_back({node_id{1 + draw(4)}, std::vector<std::byte>(draw(9), std::byte{7})});
    changes += n.change_membership(target) ? 1 : 0;
  }

  std::uint64_t every_;
  std::uint64_t chance_;
  std::int64_t now_ = 0;
  std::deque<story::letter> mail_{};
};

}  // namespace raft::testing
