#pragma once

// What is explored [battery, part of explorer.hpp]: a scope says who there is, how often what may happen, and which
// renamings of the servers make no difference.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <raft/canonical.hpp>
#include <raft/configuration.hpp>
#include <raft/configuration_change.hpp>
#include <raft/options.hpp>

namespace raft::testing {

/// How often something may happen, in all servers together.
struct how_often {
  std::uint8_t crashes = 0;    ///< Each followed by a restart, at any time.
  std::uint8_t beats = 0;      ///< Heartbeats of leaders (where time stands still).
  std::uint8_t proposals = 0;  ///< Commands of clients.
  std::uint8_t snapshots = 0;  ///< Each lets go of the entries that it covers.
  std::uint8_t changes = 0;    ///< Of the membership, to one of the scope's targets.
  std::uint8_t transfers = 0;  ///< Of leadership, to any server.
  std::uint8_t reads = 0;      ///< Linearizable ones, of a leader.
  std::uint8_t moments = 0;    ///< By which all clocks advance (where time passes).
  friend constexpr bool operator==(const how_often&, const how_often&) = default;
};

struct exploration_scope {
  std::string name{};
  std::string about{};
  std::vector<node_id> servers{};  ///< At most 5.
  configuration initial{};
  raft::options<std::int64_t> options = timeless_options();
  std::uint64_t max_term = 2;  ///< Nobody stands for a later one; what leads there by other ways is not followed.
  std::uint64_t max_log = 0;   ///< The same for the last index of a log; 0: no limit but that of what may happen.
  /// The same for messages that wait for one server's disk: a network that doubles could have any number of them.
  std::size_t max_waiting = 2;
  /// The same for the rounds of a leader: each late refusal that it gets may begin another one, without end.
  std::uint64_t max_round = 1;
  how_often limit{};
  std::vector<membership> targets{};  ///< Of changes.
  /// Writes complete one after another, whenever it pleases the explorer, and a crash keeps any prefix of the others.
  /// For explore<Machine, false>, which refuses a scope without it, as explore<Machine, true> refuses one with it.
  bool deferred = false;
  /// Requests of a term that their receiver has left are still delivered, and answered with the present term. Without
  /// them a scope is several times smaller; its network loses such.
  bool late_requests = true;
  /// Time passes, for all servers alike; else it plays no part, and elections and heartbeats come at any moment.
  bool timed = false;
  /// States are taken for equal that differ by a renaming under which `initial` and `targets` stay the same. Wrong only
  /// where the engine itself prefers an id to another: when a leader that is removed, or evacuated, chooses whom to ask
  /// to stand.
  bool symmetric = true;

  /// No timeout ever ends by itself, no option is on that needs time, and nothing waits for more to gather.
  [[nodiscard]] static raft::options<std::int64_t> timeless_options() {
    raft::options<std::int64_t> o;
    o.heartbeat_interval = 1;
    o.election_timeout_min = std::int64_t{1} << 40;
    o.election_timeout_max = (std::int64_t{1} << 40) + 1;
    o.snapshot_carry_timeout = std::int64_t{1} << 41;
    o.pre_vote = false;
    o.check_quorum = false;
    o.trailing_entries = 0;
    o.eager_messages = o.max_inflight_messages;  // nothing gathers: what is there is sent
    return o;
  }
  /// A heartbeat each moment, an election timeout of two, nothing random.
  [[nodiscard]] static raft::options<std::int64_t> timed_options() {
    raft::options<std::int64_t> o = timeless_options();
    o.election_timeout_min = 2;
    o.election_timeout_max = 3;
    o.check_quorum = true;
    return o;
  }

  /// The renamings under which nothing changes, the one that changes nothing first.
  [[nodiscard]] std::vector<std::vector<renamed_id>> renamings() const {
    std::vector<std::size_t> order(servers.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::vector<std::vector<renamed_id>> all;
    do {
      std::vector<renamed_id> r;
      for (std::size_t i = 0; i < order.size(); ++i) r.push_back({servers[i], servers[order[i]]});
      if (all.empty() || keeps(r)) all.push_back(std::move(r));
    } while (symmetric && std::next_permutation(order.begin(), order.end()));
    return all;
  }

 private:
  [[nodiscard]] bool keeps(const std::vector<renamed_id>& r) const {
    const canonical_writer names{r};
    const auto set = [&names](std::vector<node_id> ids, bool renamed) {
      for (node_id& id : ids) id = renamed ? names.name_of(id) : id;
      std::sort(ids.begin(), ids.end());
      return ids;
    };
    if (set(initial.voters, true) != initial.voters || set(initial.learners, true) != initial.learners) return false;
    return std::all_of(targets.begin(), targets.end(), [&](const membership& t) {
      return std::any_of(targets.begin(), targets.end(), [&](const membership& other) {
        return set(t.voters, true) == set(other.voters, false) && set(t.learners, true) == set(other.learners, false);
      });
    });
  }
};

}  // namespace raft::testing
