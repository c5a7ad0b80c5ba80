#pragma once

// The simulated network: every message is encoded when it is sent and decoded where it arrives, so bytes of its own are
// all that travels. Between the two it may be lost, doubled, delayed, damaged, overtaken, or come again long after.
//
// What becomes of a message is drawn for it alone, by its link and moment: so a message less elsewhere, as when a run
// is shrunk, leaves the fates of the others as they are.
//
// Faults are sets of directed links (who to whom), which exist for a while: a cut link loses what is sent and what was
// under way, a clogged one keeps it until it is free, a lossy one loses a third.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <raft/codec.hpp>

#include <raft/testing/clock.hpp>
#include <raft/testing/hash.hpp>
#include <raft/testing/meters.hpp>
#include <raft/testing/plan.hpp>
#include <raft/testing/rng.hpp>

namespace raft::testing {

/// A set of directed links among at most eight servers, by slot.
class link_set {
 public:
  constexpr link_set& add(std::size_t from, std::size_t to) noexcept {
    bits_ |= bit(from, to);
    return *this;
  }
  constexpr link_set& add_both(std::size_t a, std::size_t b) noexcept { return add(a, b).add(b, a); }
  [[nodiscard]] constexpr bool has(std::size_t from, std::size_t to) const noexcept {
    return (bits_ & bit(from, to)) != 0;
  }
  [[nodiscard]] constexpr bool empty() const noexcept { return bits_ == 0; }
  constexpr link_set& operator|=(const link_set& other) noexcept {
    bits_ |= other.bits_;
    return *this;
  }

 private:
  static constexpr std::uint64_t bit(std::size_t from, std::size_t to) noexcept {
    return std::uint64_t{1} << (from * 8 + to);
  }
  std::uint64_t bits_ = 0;
};

/// One disturbance, until it ends.
struct disturbance {
  enum class kind : std::uint8_t { cut, clog, lossy, drop_kind };
  kind what{};
  link_set links{};
  instant until = 0;
  instant flap = 0;           ///< Not zero: it comes and goes with this period.
  std::size_t body_kind = 0;  ///< drop_kind: which alternative of message_body.
};

/// A message under way, encoded.
struct frame {
  std::vector<std::byte> bytes{};
  std::size_t from = 0;
  std::size_t to = 0;
  std::uint64_t number = 0;  ///< Rises along each link.
  bool damaged = false;
};

class network {
 public:
  network(const plan& p, rng chance, meters& counts) : plan_(&p), chance_(chance), counts_(&counts) {}

  static constexpr cluster_id cluster{7};

  /// One copy of a message that will arrive.
  struct delivery {
    std::size_t frame = 0;
    instant at = 0;
  };

  // ---- disturbances

  void disturb(const disturbance& d) { disturbances_.push_back(d); }
  void end_disturbances(instant now) {
    std::erase_if(disturbances_, [now](const disturbance& d) { return d.until <= now; });
  }
  /// From now on everything arrives, soon, once and in one piece, but for what these links carry.
  void calm(link_set still_cut) {
    disturbances_.clear();
    calm_ = true;
    if (!still_cut.empty()) disturbances_.push_back({disturbance::kind::cut, still_cut, never, 0, 0});
  }

  // ---- messages

  /// Takes in a message; answers which copies of it arrive when. The answer is valid until the next call.
  const std::vector<delivery>& send(std::size_t from, std::size_t to, const message& m, instant now) {
    deliveries_.clear();
    rng chance = chance_of(from, to, now);
    if (suffers(disturbance::kind::cut, from, to, now) || drops_kind(m.body.index(), from, to, now) ||
        (!calm_ && chance.permille(plan_->loss_permille)) ||
        (suffers(disturbance::kind::lossy, from, to, now) && chance.permille(333))) {
      counts_->add(meter::lost);
      return deliveries_;
    }
    const std::size_t f = take_frame(from, to);
    (void)append_frame(m, cluster, frames_[f].bytes);
    deliveries_.push_back({f, arrival(from, to, now, chance)});
    if (calm_) return deliveries_;
    if (chance.permille(plan_->duplicate_permille)) {
      const std::size_t copy = copy_of(f);
      deliveries_.push_back({copy, arrival(from, to, now, chance)});
      counts_->add(meter::duplicated);
    }
    if (plan_->replay_permille != 0) replay(f, now, chance);
    if (chance.permille(plan_->damage_permille)) damage(f, chance);
    return deliveries_;
  }

  /// The message in a frame that arrives: an error for one that was damaged. Its views are valid until `drop`.
  [[nodiscard]] result<decoded> open(std::size_t f, node_id to) const { return decode(frames_[f].bytes, cluster, to); }
  [[nodiscard]] const frame& at(std::size_t f) const noexcept { return frames_[f]; }

  /// Whether a frame that arrives is lost at the last moment, since its link is cut now.
  [[nodiscard]] bool lost_on_arrival(std::size_t f, instant now) {
    const bool cut = suffers(disturbance::kind::cut, frames_[f].from, frames_[f].to, now);
    if (cut) counts_->add(meter::lost);
    return cut;
  }
  /// Notes an arrival, for the meter of reordering.
  void arrived(std::size_t f) {
    const frame& it = frames_[f];
    std::uint64_t& newest = newest_[it.from][it.to];
    if (it.number < newest) counts_->add(meter::reordered);
    newest = std::max(newest, it.number);
    counts_->add(meter::delivered);
  }
  /// Lets go of a frame.
  void drop(std::size_t f) {
    frames_[f].bytes.clear();
    free_.push_back(f);
  }

 private:
  static constexpr std::size_t slots = 8;
  static constexpr std::size_t remembered = 64;

  [[nodiscard]] static bool active(const disturbance& d, std::size_t from, std::size_t to, instant now) noexcept {
    return now < d.until && d.links.has(from, to) && (d.flap == 0 || now / d.flap % 2 == 0);
  }
  [[nodiscard]] bool suffers(disturbance::kind what, std::size_t from, std::size_t to, instant now) const noexcept {
    return std::any_of(disturbances_.begin(), disturbances_.end(),
                       [&](const disturbance& d) { return d.what == what && active(d, from, to, now); });
  }
  [[nodiscard]] bool drops_kind(std::size_t kind, std::size_t from, std::size_t to, instant now) {
    const bool dropped = std::any_of(disturbances_.begin(), disturbances_.end(), [&](const disturbance& d) {
      return d.what == disturbance::kind::drop_kind && d.body_kind == kind && active(d, from, to, now);
    });
    if (dropped) counts_->add(meter::dropped_by_kind);
    return dropped;
  }

  /// Of the next message on this link at this moment.
  [[nodiscard]] rng chance_of(std::size_t from, std::size_t to, instant now) noexcept {
    burst& b = bursts_[from][to];
    b = {now, b.at == now ? b.count + 1 : 0};
    return chance_.fork(combine(combine(mix(static_cast<std::uint64_t>(now)), b.count), from * slots + to));
  }

  [[nodiscard]] instant arrival(std::size_t from, std::size_t to, instant now, rng& chance) {
    if (calm_) return now + plan_->latency_min;
    instant at = now + chance.between(plan_->latency_min, plan_->latency_max);
    if (chance.permille(plan_->late_permille)) {
      at = now + chance.between(plan_->latency_max, std::max(plan_->latency_max, plan_->late_max));
      counts_->add(meter::delayed_long);
    }
    for (const disturbance& d : disturbances_) {
      if (d.what != disturbance::kind::clog || !active(d, from, to, now)) continue;
      at = std::max(at, d.until + chance.between(0, plan_->latency_max));
      counts_->add(meter::clogged);
    }
    instant& latest = latest_[from][to];
    if (plan_->in_order) at = std::max(at, latest + 1);
    latest = std::max(latest, at);
    return at;
  }

  std::size_t take_frame(std::size_t from, std::size_t to) {
    if (free_.empty()) {
      free_.push_back(frames_.size());
      frames_.emplace_back();
    }
    const std::size_t f = free_.back();
    free_.pop_back();
    frames_[f].from = from;
    frames_[f].to = to;
    frames_[f].number = ++numbers_;
    frames_[f].damaged = false;
    return f;
  }

  std::size_t copy_of(std::size_t f) {
    const std::size_t copy = take_frame(frames_[f].from, frames_[f].to);
    frames_[copy].bytes = frames_[f].bytes;
    frames_[copy].number = frames_[f].number;
    return copy;
  }

  void damage(std::size_t f, rng& chance) {
    auto& bytes = frames_[f].bytes;
    bytes[chance.below(bytes.size())] ^= static_cast<std::byte>(1 + chance.below(255));
    frames_[f].damaged = true;
    counts_->add(meter::damaged_frames);
  }

  /// Remembers this message, and perhaps sends one that was remembered long ago.
  void replay(std::size_t f, instant now, rng& chance) {
    if (chance.permille(50) || old_.size() < remembered) {
      if (old_.size() < remembered) old_.emplace_back();
      frame& place = old_[chance.below(old_.size())];
      place = frames_[f];
    }
    if (!chance.permille(plan_->replay_permille)) return;
    const frame& again = old_[chance.below(old_.size())];
    if (again.bytes.empty() || suffers(disturbance::kind::cut, again.from, again.to, now)) return;
    const std::size_t copy = take_frame(again.from, again.to);
    frames_[copy].bytes = again.bytes;
    frames_[copy].number = again.number;
    deliveries_.push_back({copy, arrival(again.from, again.to, now, chance)});
    counts_->add(meter::replayed_old);
  }

  const plan* plan_;
  rng chance_;
  meters* counts_;
  bool calm_ = false;
  std::vector<disturbance> disturbances_{};
  std::vector<frame> frames_{};
  std::vector<std::size_t> free_{};
  std::vector<frame> old_{};
  std::vector<delivery> deliveries_{};
  std::uint64_t numbers_ = 0;
  struct burst {
    instant at = -1;
    std::uint64_t count = 0;
  };
  std::array<std::array<burst, slots>, slots> bursts_{};
  std::array<std::array<instant, slots>, slots> latest_{};
  std::array<std::array<std::uint64_t, slots>, slots> newest_{};
};

}  // namespace raft::testing
