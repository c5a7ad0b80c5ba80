#pragma once

// What a node tells whoever watches it [floor 5]: typed events. An Observer offers `on(event)` for those it wants; the
// others, and all of them with `no_observer`, cost nothing. An Observer only looks: it may not call into the node.

#include <cstdint>

#include <raft/configuration.hpp>
#include <raft/outcome.hpp>
#include <raft/progress.hpp>
#include <raft/result.hpp>
#include <raft/role.hpp>
#include <raft/types.hpp>

namespace raft {

/// Why an input changed nothing.
enum class ignored_reason : std::uint8_t {
  stale_term,       ///< An answer of an earlier term.
  has_leader,       ///< A vote was asked for while a leader is alive [thesis 4.2.3].
  not_a_member,     ///< An answer of somebody who is no member.
  stale_answer,     ///< An answer to a question that was settled since.
  wrong_role,       ///< An answer to a role that this node no longer has.
  cannot_campaign,  ///< A node that is to stand may not (no voter, a snapshot is pending, its log lacks something).
  would_not_lead,   ///< A node that could stand lets others go first (evacuated, or its state machine lags).
  maybe_taken,      ///< A forwarded proposal that may have been taken in before: a doubled or a very late one.
  asks_too_much,    ///< A read request of a member of whom others are not answered yet.
};

/// What a client or an operator asks of a node.
enum class request_kind : std::uint8_t { proposal, read, change, transfer };

namespace events {

/// The node begins, as a follower, with what its Log and its state machine hold.
struct started {
  node_id node{};
  term_t term{};
  index_t commit_index{};
  index_t last_applied{};
};
struct role_changed {
  node_id node{};
  term_t term{};
  role_kind role{};
  node_id leader{};
};
struct vote_granted {
  node_id candidate{};
  term_t term{};
};
struct message_refused {
  node_id from{};
  error why{};
};
struct message_ignored {
  node_id from{};
  ignored_reason why{};
};
struct log_truncated {
  index_t from{};
};
struct commit_advanced {
  index_t index{};
  term_t term{};
};
struct applied {
  index_t index{};
};
struct peer_changed {
  node_id peer{};
  progress_state state{};
  index_t match{};
};
/// A member came back without entries that it had acknowledged. It is not counted or written to in this term any more;
/// it must be removed and added again under a new id.
struct peer_lost_log {
  node_id peer{};
  index_t acknowledged{};
  index_t last_log_index{};
};
/// This leader hands its leadership to `target`.
struct transfer_begun {
  node_id target{};
  term_t term{};
};
/// That has ended so.
struct transfer_ended {
  node_id target{};
  transfer_fate what{};
};
struct snapshot_taken {
  index_t index{};
  std::uint64_t size = 0;
};
/// A follower asks for a snapshot at `index` or behind, and the present one does not reach that far: take one.
struct snapshot_wanted {
  node_id peer{};
  index_t index{};
};
struct snapshot_installed {
  index_t index{};
  term_t term{};
};
/// A message was handed to the Transport. `kind` is its place in message_body; `bytes` are of entries (wire form) or of
/// a snapshot.
struct message_sent {
  node_id to{};
  std::uint8_t kind = 0;
  std::uint32_t entries = 0;
  std::uint64_t bytes = 0;
};
/// A message was taken in, and not refused.
struct message_received {
  node_id from{};
  std::uint8_t kind = 0;
  std::uint32_t entries = 0;
  std::uint64_t bytes = 0;
};
/// So many commands of so many bytes (wire form) were appended here, from this place on.
struct proposed {
  proposal first{};
  std::size_t count = 0;
  std::uint64_t bytes = 0;
};
/// Somebody asked for something and was refused at once.
struct request_refused {
  request_kind what{};
  errc why{};
};
/// What became of proposals; see `node::propose`.
struct fate_told {
  index_t first{};
  index_t last{};
  term_t term{};
  fate what{};
};
/// A command was sent to the leader, see `node::propose_anywhere`.
struct proposal_forwarded {
  node_id to{};
  term_t term{};
  std::uint64_t bytes = 0;
};
/// What became of one that was asked in that way, here or at the leader. Index zero: it got no place.
struct forwarded_ended {
  fate what{};
  proposal place{};
};
/// How making a server a voter ended, see `node::add_server`.
struct promotion_ended {
  node_id server{};
  promotion_fate what{};
};
struct read_answered {
  read_fate what{};
};
/// Another configuration is in force; it is valid during the call.
struct configuration_changed {
  index_t index{};
  const raft::configuration* now = nullptr;
};
/// A write failed: the node takes part in nothing any more.
struct node_failed {
  error why{};
};

}  // namespace events

/// Watches nothing; the default.
struct no_observer {};

}  // namespace raft
