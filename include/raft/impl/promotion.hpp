#pragma once

// A server that catches up and then votes [floor 8] [thesis 4.2.1]. Included by node.hpp only.

namespace raft {

RAFT_NODE_TEMPLATE
constexpr result<void> RAFT_NODE::add_server(const member_data& server) {
  const detail::entered guard{inside_};
  const auto refuse_change = [this](const error& why) { return refuse_request(request_kind::change, why); };
  if (failed_) return refuse_change(failure_);
  if (!std::holds_alternative<leader_role>(role_)) return refuse_change(not_leader());
  if (promotion_.under_way()) {
    return refuse_change({errc::not_ready, promotion_.target, 0, "another server is being made a voter"});
  }
  if (configuration_.is_voter(server.id)) return refuse_change({errc::ineligible, {}, 0, "it is a voter already"});
  const bool learns = configuration_.is_learner(server.id);
  const bool as_it_is =
      learns && (server.data.empty() || std::ranges::equal(server.data, configuration_.data_of(server.id)));
  if (!as_it_is) {
    membership target{configuration_.voters, configuration_.learners, {}};
    if (!learns) target.learners.push_back(server.id);
    if (!server.data.empty()) target.data.push_back(server);
    const auto next = next_configuration(target, {});
    if (!next) return refuse_change(next.error());
    want_configuration(*next);
  }
  promotion_.target = server.id;
  settle();
  return {};
}

/// The next step, if it is time for it. True if that asks for a write.
RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::pursue_promotion() {
  const node_id target = promotion_.target;
  const peer* p = find_peer(target);
  if (p == nullptr || p->state == progress_state::lost) {
    promotion_.ended = promotion_fate::aborted;
    return false;
  }
  if (configuration_index_ > commit_index_) return false;
  if (configuration_.is_voter(target)) {
    promotion_.ended = promotion_fate::promoted;
    return false;
  }
  if (is_removed()) return false;  // it is about to make way, and changes nothing any more
  if (promotion_.round == 0) promotion_.begin_round(log_.last_index(), now_);
  promotion_.note(p->match, p->state == progress_state::snapshot ? p->snapshot_offset : 0, now_);
  const std::int64_t patience = patience_for(*p);
  const bool silent = count_of(duration{now_ - p->heard_at}) >= patience;
  if (silent || count_of(duration{now_ - promotion_.moved_at}) >= patience) promotion_.ended = promotion_fate::too_slow;
  if (promotion_.ended != promotion_fate{} || p->match < promotion_.goal) return false;
  if (now_ - promotion_.began >= options_.election_timeout_min) {
    if (promotion_.round >= options_.promotion_rounds) {
      promotion_.ended = promotion_fate::too_slow;
      return false;
    }
    promotion_.begin_round(log_.last_index(), now_);
    if (p->match < promotion_.goal) return false;
  }
  // It has caught up. Where no change may be made now (a transfer is under way), the same is asked again later.
  membership next_members{configuration_.voters, configuration_.learners, {}};
  std::erase(next_members.learners, target);
  next_members.voters.push_back(target);
  const auto next = next_configuration(next_members, {});
  if (!next) return false;
  want_configuration(*next);
  return true;
}

/// For how many ticks a server that is to be a voter may be silent, or come no further. What this leader has it wait
/// for is not held against it: a Transport that carries the snapshot, a turn at the limit on the bytes of snapshots.
RAFT_NODE_TEMPLATE
constexpr std::int64_t RAFT_NODE::patience_for(const peer& p) const {
  std::int64_t patience = count_of(options_.election_timeout_max) * std::int64_t{options_.promotion_rounds};
  if (p.carried) patience = std::max(patience, count_of(options_.snapshot_carry_timeout));
  if (p.state == progress_state::snapshot && options_.snapshot_bytes_per_second != 0) {
    const std::uint64_t peers = std::get<leader_role>(role_).peers.size();
    const std::uint64_t turns = peers * options_.snapshot_chunk_bytes;
    const auto seconds = static_cast<std::int64_t>(turns / options_.snapshot_bytes_per_second);
    patience += (1 + std::min(seconds, std::int64_t{1} << 20)) * count_of(milliseconds<duration>(1000));
  }
  return patience;
}

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::report_promotion() {
  const node_id target = promotion_.target;
  const promotion_fate what = promotion_.ended;
  promotion_ = {};
  tell(events::promotion_ended{target, what});
  if constexpr (requires { machine_.on_promotion(target, what); }) machine_.on_promotion(target, what);
}

}  // namespace raft
