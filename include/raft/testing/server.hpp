#pragma once

// A simulated server: its disk, its state machine, its clock's face, and, while it is up, a node over them.
//
// The simulation handles servers through one abstract class, so that a cluster may mix nodes of different policies:
// those whose Log is durable on return with those whose Log is not, and so on. What a node does to the world arrives at
// `world`, with the server that does it.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

#include <raft/node.hpp>

#include <raft/testing/clock.hpp>
#include <raft/testing/disk.hpp>
#include <raft/testing/machine.hpp>
#include <raft/testing/rng.hpp>
#include <raft/testing/sim_log.hpp>

namespace raft::testing {

class server;

/// What the simulation is told by its servers, from inside their calls.
class world {
 public:
  virtual void sent(server& from, const message& m) = 0;
  virtual void written(server& s, const disk_write& w) = 0;
  virtual void survived(server& s, const disk_write& w) = 0;
  virtual void refused(server& s, const disk_write& w) = 0;
  virtual void handed_over(server& s, index_t index, term_t term, std::uint64_t hash) = 0;
  virtual void executed(server& s, index_t index, std::uint64_t state) = 0;
  virtual void session_executed(server& s, index_t index, const session_result& result) = 0;
  virtual void restored(server& s, const snapshot_meta& meta, index_t last_command, std::uint64_t state) = 0;
  virtual void fate_told(server& s, index_t first, index_t last, term_t term, fate what) = 0;
  virtual void read_told(server& s, std::uint64_t context, read_fate what, index_t index) = 0;
  virtual void forwarded_told(server& s, std::uint64_t context, fate what, proposal place) = 0;
  virtual void role_told(server& s, role_kind role, term_t term, node_id leader) = 0;
  virtual void configuration_told(server& s, const configuration& c, index_t index) = 0;
  virtual void transfer_told(server& s, node_id target, transfer_fate what) = 0;
  virtual void found_wrong(server& s, const char* invariant, const char* what) = 0;
  virtual void observed(server& s, const events::promotion_ended& e) = 0;
  virtual void observed(server& s, const events::transfer_begun& e) = 0;
  virtual void observed(server& s, const events::transfer_ended& e) = 0;
  virtual void observed(server& s, const events::peer_changed& e) = 0;
  virtual void observed(server& s, const events::peer_lost_log& e) = 0;
  virtual void observed(server& s, const events::message_refused& e) = 0;
  virtual void observed(server& s, const events::message_ignored& e) = 0;
  virtual void observed(server& s, const events::snapshot_installed& e) = 0;
  virtual void observed(server& s, const events::snapshot_wanted& e) = 0;
  /// Whether the snapshot with this head is carried out of band.
  virtual bool offered(server& from, const envelope& m, const install_snapshot& head) = 0;
  virtual void observed(server& s, const events::log_truncated& e) = 0;

 protected:
  ~world() = default;
};

/// How a server is made.
struct server_traits {
  bool deferred = true;  ///< Its Log's writes are durable later.
  machine_kind machine = machine_kind::in_place;
  std::uint32_t priority = highest_priority;
  bool files = false;  ///< Its Log is file_log, on files in memory.
};

/// What a node says of itself, cheaply.
struct glance {
  role_kind role{};
  term_t term{};
  node_id leader{};
  index_t commit{};
  index_t applied{};
  bool failed = false;
};

class server : public disk_watcher, public machine_watcher {
 public:
  using options_type = options<instant>;
  using status_type = raft::status<instant>;

  struct setup {
    node_id id{};
    std::size_t slot = 0;  ///< Its place among the servers, from 0.
    server_traits traits{};
    const configuration* initial = nullptr;
    std::size_t segment_bytes = 0;
    std::size_t filler = 0;  ///< See `machine`.
    session_limits sessions{};
    machine_content content{};
    const instant* now = nullptr;
    raft::testing::world* world = nullptr;
    rng chance{0};
  };

  explicit server(const setup& s)
      : id(s.id),
        slot(s.slot),
        traits(s.traits),
        disk(*s.initial, s.segment_bytes, s.traits.deferred, *this, s.chance.fork(1)),
        machine(s.traits.machine, s.filler, s.sessions, s.content, *this, s.chance.fork(2)),
        world_(s.world),
        now_(s.now) {}
  virtual ~server() = default;
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  // ---- the node, while there is one

  /// Makes the node from what the disk holds. Precondition: not up.
  virtual result<void> start(const options_type& o, std::uint64_t seed) = 0;
  /// Destroys the node; disk and machine are the caller's business.
  virtual void stop() = 0;
  virtual result<void> step(const message& m) = 0;
  virtual result<void> step(const persisted& p) = 0;
  virtual result<void> step(const applied& a) = 0;
  virtual result<void> step(const fetched& f) = 0;
  virtual result<void> step(const raft::restored& r) = 0;
  virtual result<void> step(const snapshot_written& s) = 0;
  virtual result<void> step(const snapshot_abandoned& s) = 0;
  virtual result<void> step(const snapshot_carried& c) = 0;
  virtual result<index_t> request_snapshot() = 0;
  virtual result<proposal> propose(payload command) = 0;
  virtual result<proposal> propose(payload command, term_t expected) = 0;
  virtual result<proposal> propose(std::span<const payload> commands) = 0;
  virtual result<void> propose_anywhere(payload command, std::uint64_t context) = 0;
  virtual result<void> read(std::uint64_t context) = 0;
  virtual result<void> read_anywhere(std::uint64_t context) = 0;
  virtual result<instant> read_stale(instant at_most) = 0;
  virtual result<proposal> change_membership(const membership& target, std::optional<index_t> expected) = 0;
  [[nodiscard]] virtual result<change_preview> preview_change(const membership& target,
                                                              std::optional<index_t> expected) const = 0;
  virtual result<proposal> leave_joint_configuration() = 0;
  virtual result<void> add_server(const member_data& who) = 0;
  virtual result<index_t> take_snapshot() = 0;
  virtual result<snapshot_meta> begin_snapshot() = 0;
  virtual result<void> write_snapshot(payload bytes) = 0;
  virtual void campaign() = 0;
  virtual result<void> transfer_leadership(node_id target) = 0;
  virtual result<node_id> transfer_leadership() = 0;
  virtual result<void> step_down() = 0;
  virtual void evacuate() = 0;
  virtual void stop_evacuation() = 0;
  virtual result<void> forget_leader() = 0;
  virtual void tick() = 0;
  [[nodiscard]] virtual instant deadline() const = 0;
  [[nodiscard]] virtual glance look() const = 0;
  [[nodiscard]] virtual status_type status() const = 0;
  [[nodiscard]] virtual const raft::configuration& configuration() const = 0;
  [[nodiscard]] virtual commit_delay why_not_committed(index_t index) const = 0;
  [[nodiscard]] virtual leader_absence why_no_leader() const = 0;
  [[nodiscard]] virtual peer_pause why_paused(node_id peer) const = 0;

  // ---- the simulation's notes

  const node_id id;
  const std::size_t slot;
  const server_traits traits;
  raft::testing::disk disk;
  raft::testing::machine machine;
  clock_face face{};
  bool up = false;
  std::uint32_t incarnation = 0;  ///< How often it was started; what was meant for an earlier one does not reach it.
  instant paused_until = 0;
  instant slow_until = 0;  ///< Until then every call takes it a while.
  instant wake = never;    ///< When it is to tick next.
  instant disk_stalled_until = 0;
  mark_t sync_issued{};  ///< The last mark for which a completion is planned.
  bool sync_under_way = false;
  bool apply_planned = false;
  bool fetch_planned = false;
  index_t restore_planned{};           ///< The snapshot for which it is planned to be let into the machine.
  bool snapshot_wanted = false;        ///< It leads, and somebody asked for a newer snapshot than it has.
  bool wants_snapshot = false;         ///< It asked for one.
  index_t own_snapshot{};              ///< Being written piece by piece; zero: none.
  std::vector<std::byte> own_image{};  ///< What it is to be,
  std::size_t own_written = 0;         ///< and how much of it was written.
  bool restart_planned = false;
  bool got_chunk = false;        ///< This incarnation was sent a piece of a snapshot, not the first one.
  std::uint32_t idle_ticks = 0;  ///< Ticks in a row that were due and changed nothing.

  [[nodiscard]] instant local_now() const noexcept { return face.local(*now_); }

 protected:
  [[nodiscard]] sim_clock make_clock() const noexcept { return sim_clock{face, *now_}; }

 private:
  void written(const disk_write& w) final { world_->written(*this, w); }
  void survived(const disk_write& w) final { world_->survived(*this, w); }
  void refused(const disk_write& w) final { world_->refused(*this, w); }
  void handed_over(index_t i, term_t t, std::uint64_t hash) final { world_->handed_over(*this, i, t, hash); }
  void session_executed(index_t i, const session_result& r) final { world_->session_executed(*this, i, r); }
  void executed(index_t i, std::uint64_t state) final { world_->executed(*this, i, state); }
  void restored(const snapshot_meta& meta, index_t last_command, std::uint64_t state) final {
    world_->restored(*this, meta, last_command, state);
  }
  void fate_told(index_t first, index_t last, term_t t, fate f) final { world_->fate_told(*this, first, last, t, f); }
  void read_told(std::uint64_t context, read_fate f, index_t i) final { world_->read_told(*this, context, f, i); }
  void forwarded_told(std::uint64_t context, fate f, proposal place) final {
    world_->forwarded_told(*this, context, f, place);
  }
  void role_told(role_kind role, term_t t, node_id leader) final { world_->role_told(*this, role, t, leader); }
  void configuration_told(const raft::configuration& c, index_t i) final { world_->configuration_told(*this, c, i); }
  void transfer_told(node_id target, transfer_fate what) final { world_->transfer_told(*this, target, what); }
  void found_wrong(const char* invariant, const char* what) final { world_->found_wrong(*this, invariant, what); }

 public:
  /// Who hears of this server's doings; for its Transport and its Observer.
  raft::testing::world& outside() const noexcept { return *world_; }

 private:
  raft::testing::world* world_;
  const instant* now_;
};

/// The Transport of a simulated server: a handle.
class sim_transport {
 public:
  explicit sim_transport(server& from) noexcept : from_(&from) {}
  void send(const message& m) { from_->outside().sent(*from_, m); }

 protected:
  server* from_;
};

/// The same, with a way of its own for snapshots.
class sim_carrier : public sim_transport {
 public:
  using sim_transport::sim_transport;
  bool send_snapshot(const envelope& m, const install_snapshot& head) {
    return from_->outside().offered(*from_, m, head);
  }
};

/// The same for a server that takes messages and sends them by envelope and body (policies.hpp, Transport 2).
class sim_body_transport : public sim_transport {
 public:
  using sim_transport::send;
  using sim_transport::sim_transport;
  template <class Body>
  void send(const envelope& m, const Body& body) {
    send(message{m.from, m.to, m.term, message_body{std::in_place_type<Body>, body}});
  }
};

static_assert(transport_policy<sim_transport> && !sends_bodies<sim_transport>);
static_assert(carries_snapshots<sim_carrier> && !carries_snapshots<sim_body_transport>);
static_assert(transport_policy<sim_body_transport> && sends_bodies<sim_body_transport>);

/// The Observer of a simulated server: a handle. It passes on the events that the simulation counts.
class sim_observer {
 public:
  explicit sim_observer(server& of) noexcept : of_(&of) {}
  template <class Event>
  void on(const Event& e) requires requires(world& w, server& s) {
    w.observed(s, e);
  }
  { of_->outside().observed(*of_, e); }

 private:
  server* of_;
};

template <bool Deferred, machine_kind Kind>
class engine_server final : public server {
 public:
  /// Half of the servers, so that both ways in and out are used.
  static constexpr bool by_body = Kind == machine_kind::in_place;
  using transport_type = std::conditional_t<by_body, sim_body_transport, sim_carrier>;
  using node_type = node<transport_type, sim_log<Deferred>, sim_clock, sim_machine<Kind>, sim_observer>;

  using server::server;

  result<void> start(const options_type& o, std::uint64_t seed) override {
    auto made = node_type::create(id, o, seed, transport_type{*this}, sim_log<Deferred>{disk}, make_clock(),
                                  sim_machine<Kind>{machine}, sim_observer{*this});
    if (!made) return made.error();
    node_.emplace(std::move(*made));
    return {};
  }
  void stop() override { node_.reset(); }
  result<void> step(const message& m) override {
    if constexpr (by_body) {
      return visit_body(m.body, [&](const auto& body) { return node_->step(envelope_of(m), body); });
    } else {
      return node_->step(m);
    }
  }
  result<void> step(const persisted& p) override { return node_->step(p); }
  result<void> step(const applied& a) override { return node_->step(a); }
  result<void> step(const fetched& f) override { return node_->step(f); }
  result<void> step(const raft::restored& r) override { return node_->step(r); }
  result<void> step(const snapshot_written& s) override { return node_->step(s); }
  result<void> step(const snapshot_abandoned& s) override { return node_->step(s); }
  result<void> step(const snapshot_carried& c) override { return node_->step(c); }
  result<index_t> request_snapshot() override { return node_->request_snapshot(); }
  result<proposal> propose(payload command) override { return node_->propose(command); }
  result<proposal> propose(payload command, term_t expected) override { return node_->propose(command, expected); }
  result<proposal> propose(std::span<const payload> commands) override { return node_->propose(commands); }
  result<void> propose_anywhere(payload command, std::uint64_t context) override {
    return node_->propose_anywhere(command, context);
  }
  result<void> read(std::uint64_t context) override { return node_->read(context); }
  result<void> read_anywhere(std::uint64_t context) override { return node_->read_anywhere(context); }
  result<instant> read_stale(instant at_most) override { return node_->read_stale(at_most); }
  result<proposal> change_membership(const membership& target, std::optional<index_t> expected) override {
    return node_->change_membership(target, expected);
  }
  [[nodiscard]] result<change_preview> preview_change(const membership& target,
                                                      std::optional<index_t> expected) const override {
    return node_->preview_change(target, expected);
  }
  result<void> add_server(const member_data& who) override { return node_->add_server(who); }
  result<proposal> leave_joint_configuration() override { return node_->leave_joint_configuration(); }
  result<index_t> take_snapshot() override { return node_->take_snapshot(); }
  result<snapshot_meta> begin_snapshot() override { return node_->begin_snapshot(); }
  result<void> write_snapshot(payload bytes) override { return node_->write_snapshot(bytes); }
  void campaign() override { node_->campaign(); }
  result<void> transfer_leadership(node_id target) override { return node_->transfer_leadership(target); }
  result<node_id> transfer_leadership() override { return node_->transfer_leadership(); }
  result<void> step_down() override { return node_->step_down(); }
  void evacuate() override { node_->evacuate(); }
  void stop_evacuation() override { node_->stop_evacuation(); }
  result<void> forget_leader() override { return node_->forget_leader(); }
  void tick() override { node_->tick(); }
  [[nodiscard]] instant deadline() const override { return node_->deadline(); }
  [[nodiscard]] glance look() const override {
    const node_type& n = *node_;
    return {n.role(), n.term(), n.leader(), n.commit_index(), n.last_applied(), n.failed()};
  }
  [[nodiscard]] status_type status() const override { return node_->status(); }
  [[nodiscard]] const raft::configuration& configuration() const override { return node_->configuration(); }
  [[nodiscard]] commit_delay why_not_committed(index_t index) const override { return node_->why_not_committed(index); }
  [[nodiscard]] leader_absence why_no_leader() const override { return node_->why_no_leader(); }
  [[nodiscard]] peer_pause why_paused(node_id peer) const override { return node_->why_paused(peer); }

 private:
  std::optional<node_type> node_{};
};

/// A server with these traits.
[[nodiscard]] inline std::unique_ptr<server> make_server(const server::setup& s) {
  const auto of_kind = [&]<machine_kind Kind>() -> std::unique_ptr<server> {
    if (s.traits.deferred) return std::make_unique<engine_server<true, Kind>>(s);
    return std::make_unique<engine_server<false, Kind>>(s);
  };
  switch (s.traits.machine) {
    case machine_kind::elsewhere:
      return of_kind.template operator()<machine_kind::elsewhere>();
    case machine_kind::durable:
      return of_kind.template operator()<machine_kind::durable>();
    case machine_kind::in_place:
      break;
  }
  return of_kind.template operator()<machine_kind::in_place>();
}

}  // namespace raft::testing
