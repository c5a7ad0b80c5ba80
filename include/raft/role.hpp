#pragma once

// The four roles [floor 4], each with the data that only it needs: a role's data dies with the role [paper §5.1, Fig.
// 4]. The pre-candidate asks whether it would win before it raises the term [thesis 9.6].

#include <algorithm>
#include <cstdint>
#include <variant>
#include <vector>

#include <raft/lease.hpp>
#include <raft/pace.hpp>
#include <raft/progress.hpp>
#include <raft/types.hpp>
#include <raft/window.hpp>

namespace raft {

/// Which role, for status, hooks and events; in the order of the variant.
enum class role_kind : std::uint8_t { follower, pre_candidate, candidate, leader };

namespace roles {

/// Who answered a request for votes: two sets, so that an answer that arrives twice counts once.
struct tally {
  std::vector<node_id> granted{};
  std::vector<node_id> refused{};

  constexpr void take(node_id voter, bool yes) {
    auto& set = yes ? granted : refused;
    const auto at = std::lower_bound(set.begin(), set.end(), voter);
    if (at == set.end() || *at != voter) set.insert(at, voter);
  }
};

template <class TimePoint>
struct follower {
  node_id leader{};      ///< Of the current term; nobody while it is not known.
  TimePoint heard_at{};  ///< When the leader was last heard; meaningless while leader is nobody.
};

struct pre_candidate {
  tally votes{};
  std::vector<node_id> refused_before{};  ///< Who refused in the round before this one, if there was one.
};

struct candidate {
  tally votes{};
  bool own_vote_counted = false;  ///< It counts once it is durable.
};

/// A read that waits for the leader to be confirmed and for the state machine to catch up [thesis 6.4].
struct pending_read {
  std::uint64_t context = 0;
  std::uint64_t round = 0;  ///< A quorum's echo of this round confirms it.
  index_t index{};          ///< What has to be applied first.
};

/// A read index that a server asked for: it waits for the leader to be confirmed and for a commit of its term.
struct asked_read {
  node_id by{};  ///< Perhaps the leader itself.
  std::uint64_t ticket = 0;
  std::uint64_t round = 0;
  index_t index{};
};

template <class TimePoint>
struct leader {
  std::vector<progress<TimePoint>> peers{};  ///< Every other member, sorted by id.
  index_t counted{};                         ///< Its own match index: what is durable here and has been counted.
  index_t first_index{};                     ///< The no-op of this term: a commit of this term exists from here on.
  std::uint64_t round = 0;                   ///< The latest broadcast; every append and chunk carries it.
  std::uint64_t appended_bytes = 0;          ///< Wire-form bytes appended in this term.
  window uncommitted{};                      ///< What was appended in this term and is not committed.
  std::vector<pending_read> reads{};         ///< In the order in which they were asked.
  std::vector<asked_read> asked{};           ///< Those of other servers.
  std::uint64_t wanted_round = 0;            ///< The last one that some read waits for,
  std::uint64_t read_round = 0;              ///< and the last one that was begun when some did.
  raft::pace<TimePoint> pace{};              ///< Used with options.snapshot_bytes_per_second.
  raft::lease<TimePoint> lease{};            ///< Used with options.lease_reads.
  TimePoint offers_since{};  ///< Of a leader that would rather not lead: since when it offers leadership to one after
  bool offers = false;       ///< the other, if it does;
  TimePoint offers_again{};  ///< and until when it does not, since nobody took it.

  /// Whether a chunk of a snapshot could leave if the limit on their bytes allowed it.
  [[nodiscard]] constexpr bool chunk_waits() const {
    return std::any_of(peers.begin(), peers.end(), [](const auto& p) { return p.wants_chunk(); });
  }
  /// Whether another follower has waited for one longer than `p`: they take turns.
  [[nodiscard]] constexpr bool waits_longer_for_a_chunk(const progress<TimePoint>& p) const {
    return std::any_of(peers.begin(), peers.end(),
                       [&p](const auto& other) { return other.wants_chunk() && other.sent_at < p.sent_at; });
  }
};

}  // namespace roles

}  // namespace raft
