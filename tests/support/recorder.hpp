#pragma once

// A state machine that remembers everything that it is told; its state is all commands, each followed by ';'.

#include <cstdint>
#include <string>
#include <vector>

#include <raft/node.hpp>

#include "support/letter.hpp"

namespace story {

struct recorder {
  struct command {
    raft::index_t index{};
    raft::term_t term{};
    std::string text{};
    friend bool operator==(const command&, const command&) = default;
  };
  struct fated {
    raft::index_t first{};
    raft::index_t last{};
    raft::term_t term{};
    raft::fate what{};
    friend bool operator==(const fated&, const fated&) = default;
  };
  struct answered {
    std::uint64_t context = 0;
    raft::read_fate what{};
    raft::index_t index{};
    std::string state{};  ///< What a read would have seen at that moment.
    friend bool operator==(const answered&, const answered&) = default;
  };
  struct forwarded {
    std::uint64_t context = 0;
    raft::fate what{};
    raft::proposal place{};
    raft::node_id leader{};
    friend bool operator==(const forwarded&, const forwarded&) = default;
  };
  struct role {
    raft::role_kind what{};
    raft::term_t term{};
    raft::node_id leader{};
    friend bool operator==(const role&, const role&) = default;
  };

  struct transfer {
    raft::node_id target{};
    raft::transfer_fate what{};
    friend bool operator==(const transfer&, const transfer&) = default;
  };

  std::string state{};
  std::vector<command> commands{};
  std::vector<fated> fates{};
  std::vector<std::string> states_at_fates{};  ///< What could be seen when each was told.
  std::vector<answered> reads{};
  std::vector<forwarded> forwards{};
  std::vector<role> roles{};
  std::vector<transfer> transfers{};
  std::vector<raft::configuration> configurations{};
  std::vector<raft::index_t> restored{};
  std::vector<raft::index_t> asked_to_restore{};  ///< Of one that restores elsewhere.
  raft::index_t durable_at{};                     ///< What a machine that is durable itself says that it has applied.
  bool refuses_to_restore = false;
  bool lags = false;  ///< It says that its server had better not lead.

  template <class Writer>
  void canonical(Writer& w) const {
    w(payload_of(state));
  }

  void apply(const raft::entry& e) {
    commands.push_back({e.index, e.term, text_of(e.data)});
    state += commands.back().text + ';';
  }

  template <class Sink>
  raft::result<void> write_snapshot(Sink& sink) const {
    const raft::payload whole = payload_of(state);
    const std::size_t half = whole.size() / 2;
    if (auto written = sink(whole.first(half)); !written) return written;
    return sink(whole.subspan(half));
  }

  template <class Source>
  raft::result<void> restore(Source& source) {
    if (refuses_to_restore) return {raft::errc::corrupt, "the image cannot be read"};
    state.clear();
    for (;;) {
      const auto piece = source();
      if (!piece) return piece.error();
      if (piece->empty()) return {};
      state += text_of(*piece);
    }
  }

  [[nodiscard]] raft::index_t applied_index() const { return durable_at; }
  void on_role(raft::role_kind what, raft::term_t term, raft::node_id leader) { roles.push_back({what, term, leader}); }
  void on_fate(raft::index_t first, raft::index_t last, raft::term_t term, raft::fate what) {
    fates.push_back({first, last, term, what});
    states_at_fates.push_back(state);
  }
  void on_forwarded(std::uint64_t context, raft::fate what, raft::proposal place, raft::node_id leader) {
    forwards.push_back({context, what, place, leader});
  }
  void on_read(std::uint64_t context, raft::read_fate what, raft::index_t index) {
    reads.push_back({context, what, index, state});
  }
  std::vector<std::pair<raft::node_id, raft::promotion_fate>> promotions{};
  void on_promotion(raft::node_id server, raft::promotion_fate what) { promotions.emplace_back(server, what); }
  void on_transfer(raft::node_id target, raft::transfer_fate what) { transfers.push_back({target, what}); }
  [[nodiscard]] bool may_lead() const { return !lags; }
  void on_configuration(const raft::configuration& c, raft::index_t) { configurations.push_back(c); }
  void on_restore(const raft::snapshot_meta& meta) { restored.push_back(meta.index); }
};

/// The same, executing elsewhere: a command counts as executed when the test says so.
struct distant_recorder : recorder {
  static constexpr bool applies_elsewhere = true;
};

/// The same, filled from a snapshot elsewhere: `server::restored` does so when the test says so.
struct patient_recorder : recorder {
  static constexpr bool restores_elsewhere = true;
  void begin_restore(const raft::snapshot_meta& meta) { asked_to_restore.push_back(meta.index); }
};

std::ostream& operator<<(std::ostream& out, const recorder::command& c);
std::ostream& operator<<(std::ostream& out, const recorder::fated& f);
std::ostream& operator<<(std::ostream& out, const recorder::answered& a);
std::ostream& operator<<(std::ostream& out, const recorder::transfer& t);
std::ostream& operator<<(std::ostream& out, const recorder::forwarded& f);
std::ostream& operator<<(std::ostream& out, const recorder::role& r);

}  // namespace story
