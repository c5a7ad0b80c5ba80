#pragma once

// Which configuration is in force [floor 8] [paper §6, thesis 4.1]: the latest in the log, committed or not; when the log
// loses it, the one before it, at last the snapshot's. The Log knows where configurations lie. Included by node.hpp only.

namespace raft {

/// The latest configuration at or below `index`; an error if its entry is not at hand or not legal.
RAFT_NODE_TEMPLATE
constexpr result<configuration> RAFT_NODE::configuration_at(index_t index) const {
  const std::span<const index_t> places = log_.configurations();
  const auto behind = std::upper_bound(places.begin(), places.end(), index);
  if (behind == places.begin() || *(behind - 1) <= log_.snapshot().index) return log_.snapshot().configuration;
  const index_t place = *(behind - 1);
  const auto found = log_.view(place, place, 0);
  if (!found) return found.error();
  return decode_configuration(read_entry(found->data(), place).data);
}

/// Brings the configuration in force up to date with the log, after the log changed.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::refresh_configuration() {
  const std::span<const index_t> places = log_.configurations();
  const index_t latest = places.empty() || places.back() <= log_.snapshot().index ? index_t{} : places.back();
  auto in_force = configuration_at(log_.last_index());
  if (!in_force) return fail(in_force.error());
  configuration_index_ = latest;
  if (configuration_ == *in_force) return;
  configuration_ = *std::move(in_force);
  if (auto* lead = std::get_if<leader_role>(&role_)) match_peers_to(*lead);
  if constexpr (requires { machine_.on_configuration(configuration_, configuration_index_); }) {
    machine_.on_configuration(configuration_, configuration_index_);
  }
}

/// One progress for each other member: those that stay keep theirs.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::match_peers_to(leader_role& lead) {
  std::vector<peer> peers;
  for (const node_id member : members_of(configuration_)) {
    if (member == id_) continue;
    if (peer* known = find_peer(member)) {
      peers.push_back(std::move(*known));
      continue;
    }
    peer fresh{};
    fresh.id = member;
    fresh.next = log_.last_index().next();
    fresh.heard_at = now_;
    peers.push_back(std::move(fresh));
  }
  lead.peers = std::move(peers);
}

}  // namespace raft
