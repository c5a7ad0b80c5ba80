#pragma once

// A whole cluster in one thread. Every message is encoded into the receiver's in-box and decoded there, as over a
// network; only the network itself is missing. A round: every node takes in its in-box.
//
// Steady state: as soon as a log holds `trim_at` entries, the node takes a snapshot of its (small) state machine and
// keeps `trim_to`, so that a run of any length works in the same memory.
//
// Time stands still but where a function says otherwise: reading a clock is the caller's cost, not the engine's.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <utility>
#include <vector>

#include <raft/codec.hpp>
#include <raft/memory_log.hpp>
#include <raft/raft.hpp>

#include "allocations.hpp"

namespace bench {

inline constexpr raft::cluster_id the_cluster{7};

/// Ends the program with the reason if something that cannot fail did.
template <class T>
T must(raft::result<T> r) {
  if (!r) {
    std::fprintf(stderr, "bench: %s\n", r.error().what);
    std::abort();
  }
  if constexpr (!std::is_void_v<T>) return std::move(*r);
}

/// Milliseconds, moved by hand.
struct manual_clock {
  using duration = std::int64_t;
  using time_point = std::int64_t;
  const time_point* time = nullptr;
  [[nodiscard]] time_point now() const noexcept { return *time; }
};

/// Frames under way to one node, in memory that is kept.
class in_box {
 public:
  template <raft::checksums Covered, class Body>
  void put(const raft::envelope& m, const Body& body, raft::entries_check& sums) {
    const std::size_t bytes = raft::frame_bytes(body);
    if (memory_.size() - used_ < bytes) memory_.resize(2 * (used_ + bytes), std::byte{0});
    used_ += must(raft::encode<Covered>(m, body, the_cluster, std::span{memory_}.subspan(used_), sums));
  }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {memory_.data(), used_}; }
  void clear() noexcept { used_ = 0; }

 private:
  std::vector<std::byte> memory_{};
  std::size_t used_ = 0;
};

/// The Transport: node k's in-box is boxes[k - 1].
template <raft::checksums Covered>
struct frames_to_in_boxes {
  in_box* boxes = nullptr;
  std::uint64_t* sent = nullptr;
  raft::entries_check sums{};
  template <class Body>
  void send(const raft::envelope& m, const Body& body) {
    boxes[m.to.value - 1].template put<Covered>(m, body, sums);
    ++*sent;
  }
  void send(const raft::message& m) {
    raft::visit_body(m.body, [&](const auto& body) { send(raft::envelope_of(m), body); });
  }
};

/// The StateMachine: counts what it applies, and adds up the first byte of each command.
struct summing_machine {
  std::uint64_t count = 0;
  std::uint64_t sum = 0;

  void apply(const raft::entry& e) noexcept {
    ++count;
    sum += static_cast<std::uint64_t>(e.data.front());
  }
  template <class Sink>
  raft::result<void> write_snapshot(Sink&& sink) const {
    std::byte image[16];
    raft::detail::store_le(image, count);
    raft::detail::store_le(image + 8, sum);
    return sink(raft::payload{image});
  }
  template <class Source>
  raft::result<void> restore(Source&& source) {
    auto image = source();
    if (!image) return image.error();
    if (image->size() != 16) return {raft::errc::malformed, "the image of a summing_machine has 16 bytes"};
    count = raft::detail::load_le<std::uint64_t>(image->data());
    sum = raft::detail::load_le<std::uint64_t>(image->data() + 8);
    return {};
  }
};

template <raft::checksums Covered = raft::checksums::all>
class cluster {
 public:
  using node = raft::node<frames_to_in_boxes<Covered>, raft::memory_log, manual_clock, summing_machine>;
  using options = typename node::options_type;

  static constexpr std::uint64_t trim_at = 8192;
  static constexpr std::uint64_t trim_to = 1024;

  static options defaults() {
    options o;
    o.trailing_entries = trim_to;
    return o;
  }

  /// A cluster of `size` voters (1 to 15), of which the first leads.
  explicit cluster(std::size_t size, const options& o = defaults()) : options_(o), boxes_(size) {
    std::vector<raft::node_id> ids;
    for (std::size_t k = 1; k <= size; ++k) ids.emplace_back(k);
    nodes_.reserve(size);
    for (std::size_t k = 1; k <= size; ++k) {
      allocations::charge_to(k);
      nodes_.push_back(must(node::create(raft::node_id{k}, o, k, {boxes_.data(), &sent_, {}},
                                         raft::memory_log{raft::voters_of(ids)}, {&time_}, {})));
    }
    allocations::charge_to(0);
    elect(0);
  }
  cluster(const cluster&) = delete;  // The nodes point into it.
  cluster& operator=(const cluster&) = delete;

  [[nodiscard]] node& operator[](std::size_t k) noexcept { return nodes_[k]; }
  [[nodiscard]] node& leader() noexcept { return nodes_[leader_]; }
  [[nodiscard]] std::uint64_t sent() const noexcept { return sent_; }

  /// Has node k lead: everybody's patience with the present leader ends, k stands, and its no-op is committed.
  void elect(std::size_t k) {
    time_ += options_.election_timeout_max;
    on(k, [](node& n) { n.campaign(); });
    for (int rounds = 0;
         nodes_[k].role() != raft::role_kind::leader || nodes_[k].commit_index() < nodes_[k].log().last_index();
         ++rounds) {
      if (rounds == 100) give_up("nobody was elected");
      round();
    }
    leader_ = k;
  }

  /// Proposes all in one call; returns when the leader has applied them.
  void commit_span(std::span<const raft::payload> commands) {
    on(leader_, [&](node& n) { must(n.propose(commands)); });
    run_until_leader_applied();
  }

  /// Proposes all, a call each; returns when the leader has applied them.
  void commit_singly(std::span<const raft::payload> commands) {
    on(leader_, [&](node& n) {
      for (const raft::payload command : commands) must(n.propose(command));
    });
    run_until_leader_applied();
  }

  /// Returns when every node has applied everything; a heartbeat's time passes.
  void finish() {
    const raft::index_t last = leader().log().last_index();
    for (int beats = 0; beats < 10; ++beats) {
      time_ += options_.heartbeat_interval;
      on(leader_, [](node& n) { n.tick(); });
      while (round()) {
      }
      bool all = true;
      for (const node& n : nodes_) all = all && n.last_applied() == last;
      if (all) return;
    }
    give_up("a node did not apply everything");
  }

  /// Ends the program unless every node applied `count` commands whose first bytes add up to `sum`.
  void verify(std::uint64_t count, std::uint64_t sum) const {
    for (const node& n : nodes_) {
      if (n.machine().count != count || n.machine().sum != sum) give_up("a node applied something else");
    }
  }

  /// A heartbeat's time passes on the leader, and everybody answers. For an idle cluster.
  void heartbeat() {
    time_ += options_.heartbeat_interval;
    on(leader_, [](node& n) { n.tick(); });
    while (round()) {
    }
  }

  /// Every node takes in its in-box. Whether there was anything to take in.
  bool round() {
    bool any = false;
    node* n = nodes_.data();
    for (in_box& box : boxes_) any |= take_in(*n++, box);
    return any;
  }

 private:
  template <class Call>
  void on(std::size_t k, Call&& call) {
    on(nodes_[k], call);
  }
  template <class Call>
  void on(node& n, Call&& call) {
    allocations::charge_to(n.id().value);
    call(n);
    allocations::charge_to(0);
  }

  bool take_in(node& n, in_box& box) {
    std::span<const std::byte> rest = box.bytes();
    if (rest.empty()) return false;
    allocations::charge_to(n.id().value);
    const auto step = [&n](const raft::envelope& m, const auto& body) {
      if (const auto stepped = n.step(m, body); !stepped) give_up(stepped.error().what);
    };
    while (!rest.empty()) {
      const auto taken = raft::decode_to<Covered>(rest, the_cluster, n.id(), step);
      if (!taken) give_up(taken.error().what);
      rest = rest.subspan(*taken);
    }
    allocations::charge_to(0);
    box.clear();
    return true;
  }

  void run_until_leader_applied() {
    node& n = leader();
    const raft::index_t last = n.log().last_index();
    while (n.last_applied() < last) {
      if (!round()) on(n, [](node& l) { l.tick(); });  // There was more to apply than fits in one call.
    }
    for (node& k : nodes_) {
      if (k.last_applied().value >= k.log().first_index().value + trim_at) {
        on(k, [](node& full) { must(full.take_snapshot()); });
      }
    }
  }

  [[noreturn]] static void give_up(const char* why) {
    std::fprintf(stderr, "bench: %s\n", why);
    std::abort();
  }

  options options_;
  std::int64_t time_ = 0;
  std::uint64_t sent_ = 0;
  std::size_t leader_ = 0;
  std::vector<in_box> boxes_;
  std::vector<node> nodes_{};
};

}  // namespace bench
