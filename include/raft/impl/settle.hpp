#pragma once

// The one way out [floor 8]: every effect of an input leaves here, in a fixed order. Included by node.hpp only.
//
//   1 Log           the term and vote, a truncation, entries, a snapshot's chunk. What became durable by it is counted
//                   (the own vote, the own entries), which may ask for another write: a new leader's no-op.
//   2 Transport     a leader's appends, which may leave while its own write is under way [thesis 10.2.1]; then every
//                   message whose writes are durable. Nothing else ever leaves.
//   3 StateMachine  what is committed and durable; then its hooks: role, fates, reads, transfers.
//
// A term is stored before the entries of that term, so no stored entry's term exceeds the stored term at any crash. If
// a write fails, nothing is sent, then or later: the node cannot know what reached the disk.
//
// What one place calls on the way of every message is always_inline (node.hpp): by its size it would stay out of line.

namespace raft {

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::settle() {
  do {
    if (!write()) break;
  } while (count_own());
  if (!failed_) {
    send();
    if (failure_.code != errc{}) {
      fail(error{failure_});
    } else {
      apply();
    }
  }
  report();
}

// ------------------------------------------------------------------------------------------------ 1 Log

RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::write() {
  if (store_hard_state_ && !write_hard_state()) return false;
  if (received_ != nullptr && !append_received()) return false;
  if (!proposed_.empty() && !append_proposed()) return false;
  if (chunk_ != nullptr && !write_chunk()) return false;
  stamp_outbox();
  return true;
}

RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::write_hard_state() {
  store_hard_state_ = false;
  hard_.commit_hint = last_applied_;  // what this input commits may not be in the log yet
  const auto mark = log_.store(hard_);
  if (!note_write(mark)) return false;
  hard_state_mark_ = *mark;
  return true;
}

RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::write_truncation() {
  const index_t from = std::exchange(truncate_from_, index_t{});
  const auto mark = log_.truncate_from(from);
  if (!note(mark)) return false;
  if constexpr (!Log::durable_on_return) durable_.truncated(*mark, from);
  tell(events::log_truncated{from});
  if (from <= configuration_index_) refresh_configuration();
  return !failed_;
}

RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::append_received() {
  if (truncate_from_ != index_t{} && !write_truncation()) return false;
  const raft::entries& batch = *std::exchange(received_, nullptr);
  return note_append(log_.append(received_already_ == 0 ? batch : batch.from(received_already_)));
}

RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::append_proposed() {
  const auto mark = log_.append(term(), proposed_kind_, std::exchange(proposed_, {}));
  auto& lead = std::get<leader_role>(role_);
  if (mark) {
    lead.appended_bytes += proposed_bytes_;
    lead.uncommitted.push(log_.last_index(), proposed_bytes_);
    look_at_all(lead);
  }
  return note_append(mark);
}

RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::note_append(const result<mark_t>& mark) {
  if (!note(mark)) return false;
  if constexpr (!Log::durable_on_return) durable_.appended(*mark, log_.last_index());
  const std::span<const index_t> places = log_.configurations();
  if (!places.empty() && places.back() > configuration_index_ && places.back() > log_.snapshot().index) {
    refresh_configuration();
  }
  return !failed_;
}

/// What is durable now counts for this node itself. True if that asks for another write.
RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::count_own() {
  if (auto* lead = std::get_if<leader_role>(&role_)) {
    count_own_entries(*lead);
    begin_round_for_reads(*lead);
    if (leave_joint_by_itself(*lead)) return true;
    return promotion_.pursued() && pursue_promotion();
  }
  return count_own_vote();
}

RAFT_NODE_TEMPLATE
template <class Value>
constexpr bool RAFT_NODE::note(const result<Value>& outcome) {
  if (outcome) return true;
  fail(outcome.error());
  return false;
}

RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::note_write(const result<mark_t>& mark) {
  if (!note(mark)) return false;
  if constexpr (!Log::durable_on_return) durable_.wrote(*mark);
  return true;
}

RAFT_NODE_TEMPLATE
constexpr index_t RAFT_NODE::durable_index() const noexcept {
  if constexpr (Log::durable_on_return) {
    return log_.last_index();
  } else {
    return durable_.index();
  }
}

RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::is_durable(mark_t mark) const noexcept {
  if constexpr (Log::durable_on_return) {
    return true;
  } else {
    return mark <= durable_.mark();
  }
}

// ------------------------------------------------------------------------------------------------ 2 Transport

/// Notes a message to leave when what it speaks for is durable: the term and vote, or all that was written up to now.
RAFT_NODE_TEMPLATE
template <class Body>
constexpr void RAFT_NODE::queue(node_id to, const Body& body, speaks_for what) {
  if constexpr (Log::durable_on_return && std::same_as<Body, append_entries_reply>) {
    RAFT_ASSERT(answer_to_ == nobody, "an input is answered once");
    answer_to_ = to;
    answer_ = body;
  } else {
    if (outbox_.size() < waiting::most_outgoing) outbox_.emplace_back(id_, to, term(), body, what);
  }
}

/// For a leader's own requests, which speak for nothing but its term, durable since it was elected.
RAFT_NODE_TEMPLATE
template <class Body>
constexpr void RAFT_NODE::send_now(node_id to, const Body& body) {
  if constexpr (sends_bodies<Transport>) {
    transport_.send(envelope{id_, to, term()}, body);
  } else {
    transport_.send(message{id_, to, term(), message_body{std::in_place_type<Body>, body}});
  }
  tell(events::message_sent{to, detail::kind_of<Body>(), detail::entries_in(body), detail::bytes_in(body)});
}

/// For what waited in the outbox.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::send_waiting(const message& m) {
  transport_.send(m);
  if constexpr (requires { observer_.on(events::message_sent{}); }) {
    visit_body(m.body, [&]<class Body>(const Body& body) {
      tell(events::message_sent{m.to, detail::kind_of<Body>(), detail::entries_in(body), detail::bytes_in(body)});
    });
  }
}

/// The writes of this input have their marks now: so do the messages that speak for them.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::stamp_outbox() {
  if constexpr (!Log::durable_on_return) {
    for (auto waiting = outbox_.rbegin(); waiting != outbox_.rend() && !waiting->stamped; ++waiting) {
      waiting->mark = waiting->about == speaks_for::everything ? durable_.issued() : hard_state_mark_;
      waiting->stamped = true;
    }
  }
}

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::send() {
  if (auto* lead = std::get_if<leader_role>(&role_)) {
    const bool last_words = is_removed();
    if (last_words) begin_round(*lead);
    replicate(*lead);
    if (transfer_.under_way()) pursue_transfer(*lead);
    if (!lead->asked.empty()) answer_asked(*lead);
    if (last_words) retire(*lead);
  }
  if constexpr (Log::durable_on_return) {
    if (answer_to_ != nobody) send_now(std::exchange(answer_to_, nobody), answer_);
    for (const waiting_message& waiting : outbox_) send_waiting(waiting.what);
    outbox_.clear();
  } else {
    send_what_is_durable();
  }
}

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::send_what_is_durable() {
  if (outbox_.empty()) return;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < outbox_.size(); ++i) {
    if (out_of_date(outbox_[i])) continue;
    if (!is_durable(outbox_[i].mark)) {
      if (kept != i) outbox_[kept] = outbox_[i];
      ++kept;
    } else if (!superseded(i)) {
      send_waiting(outbox_[i].what);
    }
  }
  if (kept == 0) {
    outbox_.clear();
  } else {
    outbox_.erase(outbox_.begin() + static_cast<std::ptrdiff_t>(kept), outbox_.end());
  }
}

/// Whether the message waited so long that its term has passed: nobody counts on it any more.
RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::out_of_date(const waiting_message& waiting) const { return waiting.what.term < term(); }

/// Whether a later acknowledgement that leaves now says everything that the one at `i` says: one sync of many appends
/// is answered once.
RAFT_NODE_TEMPLATE
constexpr bool RAFT_NODE::superseded(std::size_t i) const {
  if (i + 1 >= outbox_.size() || !is_durable(outbox_[i + 1].mark)) return false;
  const message& now = outbox_[i].what;
  const message& next = outbox_[i + 1].what;
  const auto* ack = std::get_if<append_entries_reply>(&now.body);
  const auto* later = std::get_if<append_entries_reply>(&next.body);
  return ack != nullptr && later != nullptr && now.to == next.to && now.term == next.term && ack->success &&
         later->success && later->index >= ack->index && later->round >= ack->round;
}

// ------------------------------------------------------------------------------------------------ 3 hooks

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::report() {
  if (role_changed_) report_role();
  if constexpr (wants_fates) {
    if (!failed_) resolve_applied();
    give_up_proposals();
  }
  if constexpr (hears_of_forwards<StateMachine>) {
    if (!forwarded_.empty()) resolve_forwarded();
  }
  if (reads_are_open()) answer_reads();
  if (transfer_.under_way()) report_transfer();
  if (promotion_.ended != promotion_fate{}) report_promotion();
}

RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::report_role() {
  role_changed_ = false;
  tell(events::role_changed{id_, term(), role(), leader()});
  if constexpr (requires { machine_.on_role(role(), term(), leader()); }) machine_.on_role(role(), term(), leader());
}

RAFT_NODE_TEMPLATE
template <class Event>
constexpr void RAFT_NODE::tell(const Event& event) {
  if constexpr (requires { observer_.on(event); }) observer_.on(event);
}

/// A write failed. The node keeps what it knows and takes part in nothing any more.
RAFT_NODE_TEMPLATE
constexpr void RAFT_NODE::fail(const error& why) {
  failed_ = true;
  failure_ = {errc::failed, nobody, why.detail, why.what};
  if (std::holds_alternative<leader_role>(role_)) leave_leadership();
  remote_.drop_all();
  become<follower>();
  outbox_.clear();
  answer_to_ = nobody;
  store_hard_state_ = false;
  truncate_from_ = index_t{};
  received_ = nullptr;
  proposed_ = {};
  chunk_ = nullptr;
  tell(events::node_failed{why});
}

/// Destroys the present role, with its data, and begins another. (Assignment between a variant's alternatives is not
/// usable in constant evaluation everywhere.)
RAFT_NODE_TEMPLATE
template <class Role>
constexpr Role& RAFT_NODE::become() {
  std::destroy_at(&role_);
  std::construct_at(&role_, std::in_place_type<Role>);
  role_changed_ = true;
  return std::get<Role>(role_);
}

}  // namespace raft
