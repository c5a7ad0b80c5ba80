#pragma once

// A simulated cluster: servers, the network between them, and the queue of everything that is to happen. One event at a
// time is taken from the queue, in the order of simulated time; equal times keep the order in which they were planned.
//
// The cluster knows how servers live (messages, disks, timers, crashes). What clients do is in workload.hpp, what goes
// wrong in faults.hpp, what has to be true in invariants.hpp.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <raft/testing/hash.hpp>
#include <raft/testing/invariants.hpp>
#include <raft/testing/meters.hpp>
#include <raft/testing/network.hpp>
#include <raft/testing/plan.hpp>
#include <raft/testing/server.hpp>
#include <raft/testing/story.hpp>
#include <raft/testing/subject.hpp>

namespace raft::testing {

/// What the owner of a cluster is to do when its moment comes.
enum class errand : std::uint8_t { none, work, fault };

class cluster final : private world {
 public:
  /// `kit`: the user's machine, or null. All of them must outlive the cluster.
  cluster(const plan& p, const subject_kit* kit, meters& counts, story& told);

  [[nodiscard]] const plan& chosen() const noexcept { return plan_; }
  /// The user's machine; null if there is none.
  [[nodiscard]] const subject_kit* kit() const noexcept { return kit_; }
  [[nodiscard]] instant now() const noexcept { return now_; }
  [[nodiscard]] const std::vector<std::unique_ptr<server>>& servers() const noexcept { return servers_; }
  [[nodiscard]] server& at(std::size_t slot) noexcept { return *servers_[slot]; }
  [[nodiscard]] invariants& checks() noexcept { return checks_; }
  [[nodiscard]] network& net() noexcept { return network_; }
  [[nodiscard]] story& teller() const noexcept { return *story_; }
  [[nodiscard]] meters& counts() noexcept { return *counts_; }
  [[nodiscard]] std::uint64_t events() const noexcept { return events_; }
  [[nodiscard]] std::uint64_t trace() const noexcept { return trace_.value(); }
  /// The server that leads the highest term; null if none leads.
  [[nodiscard]] server* leader() noexcept;

  /// Lets the next event happen, and answers what the owner has to do at this moment.
  errand advance();
  /// The moment of the next event.
  [[nodiscard]] instant next_moment() const noexcept;
  void plan_errand(errand e, instant after) { push({now_ + after, 0, kind_of(e), 0, 0, 0, 0}); }

  /// Calls into a server's node, checks everything afterwards, and plans what follows from it.
  template <class Call>
  void call(server& s, Call&& into) {
    checks_.before_call(s);
    into();
    after_call(s);
  }

  /// Begins a snapshot of the machine's present state; its pieces are written while the server goes on.
  void begin_piecewise_snapshot(server& s);

  // ---- faults

  /// Destroys the node; it starts again after `down`, unless that is `never`.
  void crash(server& s, instant down);
  /// Its process ends, and what lies on its disk is damaged before it starts again; if the damage is found, it never
  /// does. Precondition: its log is on files that would notice.
  void crash_and_decay(server& s, instant down, decay how);
  /// Nothing reaches the server for a while; its clock goes on.
  void pause(server& s, instant length) { s.paused_until = std::max(s.paused_until, now_ + length); }
  /// After a change of its clock or its pause.
  void plan_tick(server& s);
  /// All faults stop: servers that are down or hampered start anew, clocks run alike, messages from before are
  /// forgotten unless they arrive soon. Those not in `live` go down for good. The links `cut` stay cut.
  void calm(const std::vector<server*>& live, link_set cut);

 private:
  enum class event_kind : std::uint8_t { deliver, sync, apply, fetch, restore, piece, carry, restart, work, fault };
  struct event {
    instant at = 0;
    std::uint64_t number = 0;
    event_kind kind{};
    std::uint32_t slot = 0;
    std::uint32_t incarnation = 0;
    std::uint64_t first = 0;  ///< deliver: the frame; sync: the first mark,
    std::uint64_t last = 0;   ///< and the last.
    [[nodiscard]] friend bool operator<(const event& a, const event& b) noexcept {  // The heap's top is the greatest.
      return a.at != b.at ? a.at > b.at : a.number > b.number;
    }
  };

  static event_kind kind_of(errand e) noexcept { return e == errand::work ? event_kind::work : event_kind::fault; }
  void push(event e) {
    e.number = ++pushed_;
    queue_.push_back(e);
    std::push_heap(queue_.begin(), queue_.end());
  }
  event pop() {
    std::pop_heap(queue_.begin(), queue_.end());
    const event e = queue_.back();
    queue_.pop_back();
    return e;
  }

  [[nodiscard]] std::vector<std::unique_ptr<server>> make_servers();
  /// What is drawn for a server at this moment, for one purpose; whatever happened elsewhere changes nothing about it.
  enum class purpose : std::uint8_t {
    sync,
    repeat,
    apply,
    fetch,
    restore,
    piece,
    offer,
    carry,
    crash,
    failure,
    start,
    slow
  };
  [[nodiscard]] rng chance_of(const server& s, purpose why) const noexcept {
    return chance_.fork(combine(mix(static_cast<std::uint64_t>(now_)), s.slot << 8 | static_cast<std::uint64_t>(why)));
  }
  [[nodiscard]] server* next_to_tick() const noexcept;
  void tick(server& s);
  void deliver(const event& e);
  void note_chunk(server& s, const install_snapshot& chunk);
  void sync(const event& e);
  void apply(const event& e);
  void fetch(const event& e);
  void restore(const event& e);
  void write_piece(const event& e);
  void finish_piecewise(server& s);
  void carry(const event& e);
  void bring_over(server& s, const envelope& m, install_snapshot part, payload image, rng& chance);
  void restart(server& s);
  void after_call(server& s);
  void plan_syncs(server& s);
  void plan_apply(server& s);
  void plan_fetch(server& s);
  void plan_restore(server& s);
  void plan_piece(server& s);
  /// Whether the event is for this incarnation, now; one that is paused gets it later.
  [[nodiscard]] bool reaches(const server& s, const event& e);
  void crash_without_power(server& s);
  void went_down(server& s, const disk::remains& left);
  void count_file_faults(server& s, const disk::remains& left);
  void plan_restart(const server& s, instant after);
  void note_failure(server& s);

  // ---- what servers do [world]

  void sent(server& from, const message& m) override;
  void written(server& s, const disk_write& w) override { checks_.written(s, w); }
  void survived(server& s, const disk_write& w) override { checks_.survived(s, w); }
  void refused(server& s, const disk_write& w) override { checks_.refused(s, w); }
  void handed_over(server& s, index_t i, term_t t, std::uint64_t hash) override { checks_.handed_over(s, i, t, hash); }
  void session_executed(server& s, index_t i, const session_result& r) override { checks_.session_executed(s, i, r); }
  void executed(server& s, index_t i, std::uint64_t state) override { checks_.executed(s, i, state); }
  void restored(server& s, const snapshot_meta& meta, index_t last_command, std::uint64_t state) override {
    checks_.restored(s, meta, last_command, state);
  }
  void fate_told(server& s, index_t first, index_t last, term_t t, fate what) override;
  void read_told(server& s, std::uint64_t context, read_fate what, index_t index) override;
  void forwarded_told(server& s, std::uint64_t context, fate what, proposal place) override {
    checks_.forwarded_told(s, context, what, place);
  }
  void role_told(server& s, role_kind role, term_t t, node_id leader) override;
  void configuration_told(server&, const configuration&, index_t) override {}
  void transfer_told(server& s, node_id target, transfer_fate what) override;
  void found_wrong(server& s, const char* invariant, const char* what) override {
    checks_.report(invariant, s, "%s", what);
  }
  void observed(server& s, const events::promotion_ended& e) override;
  void observed(server& s, const events::transfer_begun& e) override;
  void observed(server& s, const events::transfer_ended& e) override;
  void observed(server& s, const events::peer_changed& e) override;
  void observed(server& s, const events::peer_lost_log& e) override;
  void observed(server& s, const events::message_refused& e) override;
  void observed(server& s, const events::message_ignored& e) override;
  void observed(server& s, const events::snapshot_installed& e) override;
  void observed(server& s, const events::snapshot_wanted&) override { s.snapshot_wanted = true; }
  bool offered(server& from, const envelope& m, const install_snapshot& head) override;
  void observed(server& s, const events::log_truncated& e) override;

  plan plan_;
  const subject_kit* kit_;
  std::optional<replay> reference_;
  meters* counts_;
  story* story_;
  instant now_ = 0;
  rng chance_;
  std::vector<std::unique_ptr<server>> servers_;
  invariants checks_;
  network network_;
  std::vector<event> queue_{};
  std::uint64_t pushed_ = 0;
  std::uint64_t events_ = 0;
  /// A snapshot on its way out of band.
  struct carriage {
    envelope about{};
    install_snapshot head{};
    std::vector<std::byte> members{};
    std::vector<std::byte> image{};
    std::uint32_t sender = 0;  ///< Its incarnation.
  };
  std::vector<carriage> carriages_{};
  trace_hash trace_{};
  bool calm_ = false;
};

}  // namespace raft::testing

#include <raft/testing/impl/cluster_events.hpp>
#include <raft/testing/impl/cluster_lives.hpp>
#include <raft/testing/impl/cluster_snapshots.hpp>
#include <raft/testing/impl/cluster_world.hpp>
