#pragma once

// The node [floor 7]: one Raft server as a value. All of its state is in this class; each chapter of the paper is in
// the file of that name under impl/. README.md draws how they work together.
//
// One way, no back and forth: an input changes state and notes what it wants (a write, a message); then `settle()`, the
// only place that calls a policy with an effect, carries it out in a fixed order, and the call returns. Nothing is
// owned that blocks, waits or runs by itself; nothing is thrown; bad input is refused with an `error` and changes
// nothing.
//
// Invariants: snapshot <= last_applied <= commit_index <= last_index (last_applied lags behind a snapshot that the
// state machine does not have yet); a message leaves only when every write that it speaks for is durable
// (durability.hpp, impl/settle.hpp); terms and the commit index never fall.
//
// Thread-safety: distinct nodes are safe to use from distinct threads, one node is not. Calling a node from inside one
// of its policies is a programmer's error (asserted in checked builds).

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include <raft/assert.hpp>
#include <raft/canonical_forms.hpp>
#include <raft/configuration.hpp>
#include <raft/configuration_change.hpp>
#include <raft/dispatch.hpp>
#include <raft/durability.hpp>
#include <raft/entry.hpp>
#include <raft/forwarding.hpp>
#include <raft/fwd.hpp>
#include <raft/guard.hpp>
#include <raft/lease.hpp>
#include <raft/message.hpp>
#include <raft/observer.hpp>
#include <raft/options.hpp>
#include <raft/outcome.hpp>
#include <raft/policies.hpp>
#include <raft/promotion.hpp>
#include <raft/quorum.hpp>
#include <raft/remote_reads.hpp>
#include <raft/result.hpp>
#include <raft/role.hpp>
#include <raft/status.hpp>
#include <raft/storage.hpp>
#include <raft/transfer.hpp>
#include <raft/types.hpp>
#include <raft/waiting.hpp>
#include <raft/why.hpp>
#include <raft/window.hpp>

namespace raft {

/// One Raft server; see the top of this file.
template <class Transport, class Log, class Clock, class StateMachine, class Observer>
class node {
  static_assert(transport_policy<Transport>,
                "the first argument of raft::node is no Transport: explain_transport<T>()");
  static_assert(log_policy<Log>, "the second argument of raft::node is no Log: explain_log<L>()");
  static_assert(clock_policy<Clock>, "the third argument of raft::node is no Clock: explain_clock<C>()");
  static_assert(state_machine_policy<StateMachine>,
                "the fourth argument of raft::node is no StateMachine: explain_state_machine<S>()");

 public:
  using duration = typename Clock::duration;
  using time_point = typename Clock::time_point;
  using options_type = raft::options<duration>;
  using status_type = raft::status<time_point>;

  // ---------------------------------------------------------------------------------------------- life
  /// A server that starts, or restarts, from what its Log holds: as a follower that knows no leader [paper §5.2, §5.5].
  /// `seed` feeds all chance. Give each server another, and another at each start, by which late answers to an earlier
  /// one are told apart. Refuses options and stored states that contradict themselves. Restores the machine from the
  /// Log's snapshot, unless it is durable itself and says that it is further (`applied_index()`). O(1) but for that.
  static constexpr result<node> create(node_id id, const options_type& options, std::uint64_t seed, Transport transport,
                                       Log log, Clock clock, StateMachine machine, Observer observer = {});

  // ---------------------------------------------------------------------------------------------- inputs
  /// Lets time pass. Call it when `deadline()` is reached, or at any rate that suits. O(peers).
  constexpr void tick();

  /// Takes in a message of another server; its views need to be valid during the call only. A message that no correct
  /// server would have sent here is refused and changes nothing; one that is merely late is ignored without an error.
  constexpr result<void> step(const message& m);
  /// The same for a message that is not in one piece, as `decode_to` of codec.hpp hands it over: it saves building one.
  template <class Body>
  constexpr result<void> step(const envelope& m, const Body& body);

  /// Takes in that something is done that this node waited for; what each event says is at its place (outcome.hpp).
  constexpr result<void> step(const persisted& p);
  constexpr result<void> step(const applied& a);
  constexpr result<void> step(const restored& r);
  constexpr result<void> step(const fetched& f);
  constexpr result<void> step(const snapshot_written& s);
  constexpr result<void> step(const snapshot_abandoned& s);
  constexpr result<void> step(const snapshot_carried& c);

  /// Appends a command, if this node leads; the bytes are copied into the Log. A refusal means that nothing was
  /// appended, and names the leader if one is known. What was not refused ends in exactly one fate, told by
  /// `StateMachine::on_fate`.
  constexpr result<proposal> propose(payload command);

  /// The same for several commands in one write and one message: all are appended, or none. The proposal returned is
  /// the first; the others follow it. Refuses an empty span.
  constexpr result<proposal> propose(std::span<const payload> commands);
  /// The same for one command, refused with term_moved unless this node leads in the term `expected`: for who decided
  /// something from what it read in that term.
  constexpr result<proposal> propose(payload command, term_t expected);
  /// The same on any server: one that does not lead sends the command to the leader, once, and keeps nothing of it. Its
  /// one fate is told by `on_forwarded(context, fate, proposal, leader)`: see impl/forwarding.hpp [thesis 6.2].
  constexpr result<void> propose_anywhere(payload command,
                                          std::uint64_t context) requires hears_of_forwards<StateMachine>;
  /// Asks for a linearizable read: `StateMachine::on_read(context, ...)` is told, perhaps before this returns, when the
  /// state machine shows everything that was committed at this moment. All reads that are asked while a round of
  /// confirmation is under way share the next one; with options.lease_reads mostly none is needed. `context` is the
  /// caller's to choose and not looked at: one that stands for all of a turn's readers will do [thesis 6.4].
  constexpr result<void> read(std::uint64_t context);
  /// The same on any server: one that does not lead asks the leader for the index up to which it has to apply. Refused
  /// if no leader is known; dropped, at the latest, after two election_timeout_max. Linearizable, too.
  constexpr result<void> read_anywhere(std::uint64_t context);
  /// How old, at most, the state is that is shown here: everything committed so long ago is in it. Refused (too_stale)
  /// if that is more than `at_most`; a call that finds more than half of it asks the leader. See impl/remote_read.hpp.
  constexpr result<duration> read_stale(duration at_most);

  /// Appends the next step from the membership in force to `target`, if this node leads: one server at a time where
  /// that is all that differs, else a joint configuration, which whoever leads then leaves by itself. It is in force at
  /// once and done when its entry is applied (and, after a joint one, the entry that leaves it). `expected`, if given,
  /// is the configuration_index of `status()` that the caller looked at: the change is refused if another one came
  /// between. Refused while a change is not committed, or nothing of this term is [paper §6, thesis 4.1].
  constexpr result<proposal> change_membership(const membership& target, std::optional<index_t> expected = {});
  /// Makes `server` a voter once it has caught up [thesis 4.2.1]; ends in one fate: see impl/promotion.hpp.
  constexpr result<void> add_server(const member_data& server);
  /// Leaves a joint configuration that does not do so by itself.
  constexpr result<proposal> leave_joint_configuration();

  /// Whether change_membership would be accepted now, and what it would append. Changes nothing.
  [[nodiscard]] constexpr result<change_preview> preview_change(const membership& target,
                                                                std::optional<index_t> expected = {}) const;

  /// Writes the state machine's state into the Log as a snapshot at last_applied, and lets go of the entries before it
  /// (but for options.trailing_entries). Refuses where there is nothing new, or while a follower is being sent the
  /// present one. What fails while the Log writes it is returned, and the node goes on; a Log that fails when it puts
  /// it in place stops the node [paper §7].
  constexpr result<index_t> take_snapshot();

  /// The same, piece by piece, while the state machine goes on: names the place, `at` or last_applied(), whose state
  /// the caller captures now. The image's bytes are given to `write_snapshot` when they are there, in their order; then
  /// `step(snapshot_written)`, which says how this may end, makes it the current one, and only then entries are let go.
  constexpr result<snapshot_meta> begin_snapshot(std::optional<index_t> at = {});
  constexpr result<void> write_snapshot(payload bytes);

  /// For a follower whose state machine is damaged: asks whoever leads for a snapshot at least up to what is applied
  /// here, its answer; until that is there, or a restart, applies nothing and hands leadership over. A leader refuses.
  constexpr result<index_t> request_snapshot();

  /// Acts as if the election timer had fired, whatever speaks for letting others go first, on a node that may stand.
  constexpr void campaign();

  // ---------------------------------------------------------------------------------------------- leadership
  /// Hands leadership to `target`, a voter, which gets all entries and then stands at once. Ends in one fate, told by
  /// `StateMachine::on_transfer`, within options.transfer_timeout. Until then proposals, changes and further transfers
  /// are refused (errc::transferring; options.propose_while_target_lags) [thesis 3.10].
  constexpr result<void> transfer_leadership(node_id target);
  /// The same, to the voter heard lately that has the most of the log; answers whom.
  constexpr result<node_id> transfer_leadership();
  /// Gives leadership up, to nobody (a transfer is faster), and lets others go first for an election timeout.
  constexpr result<void> step_down();
  /// Hands over whenever it leads, takes no leadership handed to it, and stands only after options.campaign_grace
  /// timeouts; until stop_evacuation or the end of this node.
  constexpr void evacuate();
  constexpr void stop_evacuation() noexcept { reluctance_.evacuating = false; }
  /// A follower's, who was told that its leader is gone: votes freely at once. Refused while that may read by a lease.
  constexpr result<void> forget_leader();
  /// Whether another server may be elected while this leader is still heard; see impl/leadership.hpp.
  [[nodiscard]] constexpr bool transferring() const noexcept;

  // ---------------------------------------------------------------------------------------------- questions
  /// When tick() next has anything to do; a moment that has passed if there is work left from the last call.
  [[nodiscard]] constexpr time_point deadline() const;
  [[nodiscard]] constexpr status_type status() const;
  /// Why an entry is not committed, why there is no leader, why a member is not sent more; see why.hpp. O(peers).
  [[nodiscard]] constexpr commit_delay why_not_committed(index_t index) const;
  [[nodiscard]] constexpr leader_absence why_no_leader() const;
  [[nodiscard]] constexpr peer_pause why_paused(node_id id) const;
  /// Writes what decides all that this node will do, in a form that equal states share; see canonical.hpp.
  constexpr void canonical(canonical_writer& w) const;
  [[nodiscard]] constexpr node_id id() const noexcept { return id_; }
  [[nodiscard]] constexpr role_kind role() const noexcept { return static_cast<role_kind>(role_.index()); }
  [[nodiscard]] constexpr term_t term() const noexcept { return hard_.current_term; }
  /// Of the current term, perhaps this node; nobody if none is known.
  [[nodiscard]] constexpr node_id leader() const noexcept;
  [[nodiscard]] constexpr index_t commit_index() const noexcept { return commit_index_; }
  [[nodiscard]] constexpr index_t last_applied() const noexcept { return last_applied_; }
  /// The membership in force: the latest in the log, committed or not.
  [[nodiscard]] constexpr const raft::configuration& configuration() const noexcept { return configuration_; }
  [[nodiscard]] constexpr const options_type& options() const noexcept { return options_; }
  /// Whether a write failed: the node then takes part in nothing any more.
  [[nodiscard]] constexpr bool failed() const noexcept { return failed_; }

  /// The policies, which the node holds by value. Writing to the Log from outside is a programmer's error.
  [[nodiscard]] constexpr Transport& transport() noexcept { return transport_; }
  [[nodiscard]] constexpr Log& log() noexcept { return log_; }
  [[nodiscard]] constexpr const Log& log() const noexcept { return log_; }
  [[nodiscard]] constexpr Clock& clock() noexcept { return clock_; }
  [[nodiscard]] constexpr StateMachine& machine() noexcept { return machine_; }
  [[nodiscard]] constexpr const StateMachine& machine() const noexcept { return machine_; }
  [[nodiscard]] constexpr Observer& observer() noexcept { return observer_; }

 private:
  using follower = roles::follower<time_point>;
  using pre_candidate = roles::pre_candidate;
  using candidate = roles::candidate;
  using leader_role = roles::leader<time_point>;
  using role_variant = std::variant<follower, pre_candidate, candidate, leader_role>;
  using peer = progress<time_point>;
  using speaks_for = waiting::speaks_for;
  using waiting_message = waiting::outgoing;
  using open_proposals = waiting::proposals<time_point>;

  /// Of a no-op. (g++ 12 evaluates no static member with elided elements.)
  static constexpr payload nothing[1]{payload{}};
  static constexpr bool wants_fates = requires(StateMachine & m) { m.on_fate(index_t{}, index_t{}, term_t{}, fate{}); }
  || requires(Observer& o) { o.on(events::fate_told{}); };
  static constexpr bool restores_elsewhere = requires { requires bool(StateMachine::restores_elsewhere); };
  static constexpr bool applies_elsewhere = requires { requires bool(StateMachine::applies_elsewhere); };
  // ---------------------------------------------------------------------------------------------- the table
  // For each kind of message, what each role does with it once the term rule has passed it. Every pair is listed: a new
  // kind without a line here, or a line without a role, does not compile.
  template <class Body>
  using row = detail::row<node, Body>;
  // clang-format off
  //                                                                                             follower                    pre-candidate               candidate                   leader
  static constexpr row<request_pre_vote>       handlers(const request_pre_vote&)       { return {&node::on_request_pre_vote, &node::on_request_pre_vote, &node::on_request_pre_vote, &node::on_request_pre_vote}; }
  static constexpr row<request_pre_vote_reply> handlers(const request_pre_vote_reply&) { return {&node::ignore,              &node::on_pre_vote_reply,   &node::ignore,              &node::ignore}; }
  static constexpr row<request_vote>           handlers(const request_vote&)           { return {&node::on_request_vote,     &node::on_request_vote,     &node::on_request_vote,     &node::on_request_vote}; }
  static constexpr row<request_vote_reply>     handlers(const request_vote_reply&)     { return {&node::ignore,              &node::ignore,              &node::on_vote_reply,       &node::ignore}; }
  static constexpr row<append_entries>         handlers(const append_entries&)         { return {&node::on_append_entries,   &node::on_append_entries,   &node::on_append_entries,   &node::refuse_second_leader}; }
  static constexpr row<append_entries_reply>   handlers(const append_entries_reply&)   { return {&node::ignore,              &node::ignore,              &node::ignore,              &node::on_append_entries_reply}; }
  static constexpr row<install_snapshot>       handlers(const install_snapshot&)       { return {&node::on_install_snapshot, &node::on_install_snapshot, &node::on_install_snapshot, &node::refuse_second_leader}; }
  static constexpr row<install_snapshot_reply> handlers(const install_snapshot_reply&) { return {&node::ignore,              &node::ignore,              &node::ignore,              &node::on_install_snapshot_reply}; }
  static constexpr row<timeout_now>            handlers(const timeout_now&)            { return {&node::on_timeout_now,      &node::on_timeout_now,      &node::on_timeout_now,      &node::refuse_second_leader}; }
  static constexpr row<read_request>           handlers(const read_request&)           { return {&node::on_read_request,     &node::on_read_request,     &node::on_read_request,     &node::on_read_request}; }
  static constexpr row<read_reply>             handlers(const read_reply&)             { return {&node::on_read_reply,       &node::on_read_reply,       &node::on_read_reply,       &node::on_read_reply}; }
  static constexpr row<forwarded_proposal>     handlers(const forwarded_proposal&)     { return {&node::on_forwarded_proposal, &node::on_forwarded_proposal, &node::on_forwarded_proposal, &node::on_forwarded_proposal}; }
  static constexpr row<forwarded_proposal_reply> handlers(const forwarded_proposal_reply&) { return {&node::on_forwarded_reply, &node::on_forwarded_reply, &node::on_forwarded_reply, &node::on_forwarded_reply}; }
  // clang-format on
  // ---------------------------------------------------------------------------------------------- step [impl/step.hpp]
  constexpr node(node_id id, const options_type& options, std::uint64_t seed, Transport&& transport, Log&& log,
                 Clock&& clock, StateMachine&& machine, Observer&& observer);
  constexpr result<void> start();
  [[nodiscard]] constexpr result<void> check_stored_state() const;
  [[gnu::cold]] constexpr result<void> refuse(node_id from, const error& why);
  [[gnu::cold]] constexpr error refuse_request(request_kind what, const error& why);
  template <class Body>
  [[nodiscard]] constexpr detail::verdict check_envelope(const envelope& m) const;
  template <class Body>
  [[nodiscard]] constexpr detail::verdict check_body(const envelope& m, const Body& body) const;
  [[nodiscard]] constexpr detail::verdict check_body(const envelope& m, const append_entries& request) const;
  [[nodiscard]] constexpr detail::verdict check_body(const envelope& m, const install_snapshot& chunk) const;
  [[nodiscard]] constexpr detail::verdict check_body(const envelope& m, const timeout_now& order) const;
  [[nodiscard]] constexpr detail::verdict check_body(const envelope& m, const read_reply& reply) const;
  [[nodiscard]] constexpr detail::verdict check_body(const envelope& m, const forwarded_proposal_reply& reply) const;
  [[nodiscard]] constexpr bool second_leader(const envelope& m) const;
  template <class Body>
  [[gnu::always_inline]] constexpr detail::verdict take_in(const envelope& m, const Body& body);
  template <class Body>
  constexpr bool term_rule(const envelope& m, const Body& body);
  template <class Body>
  [[gnu::cold]] constexpr void answer_lower_term(const envelope& m, const Body& body);
  template <class Body>
  constexpr detail::verdict ignore(const envelope& m, const Body& body);
  template <class Body>
  constexpr detail::verdict refuse_second_leader(const envelope& m, const Body& body);
  [[nodiscard]] constexpr error not_leader() const noexcept;
  // ------------------------------------------------------------------------------------------ §5.2 [impl/election.hpp]
  constexpr detail::verdict on_request_pre_vote(const envelope& m, const request_pre_vote& request);
  constexpr detail::verdict on_pre_vote_reply(const envelope& m, const request_pre_vote_reply& reply);
  constexpr detail::verdict on_request_vote(const envelope& m, const request_vote& request);
  constexpr detail::verdict on_vote_reply(const envelope& m, const request_vote_reply& reply);
  constexpr void campaign_if_allowed();
  constexpr void start_pre_vote();
  constexpr void start_election();
  constexpr void start_election(const request_vote& request);
  constexpr bool count_own_vote();
  [[gnu::cold]] constexpr void become_leader();
  [[gnu::cold]] constexpr void become_follower(term_t new_term);
  constexpr void check_quorum();
  constexpr void reset_election_timer();
  [[nodiscard]] constexpr bool may_campaign() const;
  [[nodiscard]] constexpr bool up_to_date(index_t last_log_index, term_t last_log_term) const;
  [[nodiscard]] constexpr bool hears_leader_other_than(node_id asker) const;
  [[nodiscard]] constexpr vote_result outcome(const roles::tally& votes) const;
  constexpr vote_result take_vote(roles::tally& votes, node_id voter, bool granted);
  // ------------------------------------------------------------------------- leadership by wish [impl/leadership.hpp]
  constexpr detail::verdict on_timeout_now(const envelope& m, const timeout_now& order);
  [[nodiscard]] constexpr bool asked_by_leader(const envelope& m, const request_vote& request) const;
  [[nodiscard]] constexpr node_id best_peer() const;
  constexpr result<void> begin_transfer(node_id target);
  [[gnu::cold]] constexpr void pursue_transfer(leader_role& lead);
  [[gnu::cold]] constexpr void renew_transfer(leader_role& lead);
  [[gnu::cold]] constexpr void report_transfer();
  constexpr void ask_to_stand(leader_role& lead, node_id successor);
  [[gnu::cold]] constexpr void retire(leader_role& lead);
  [[gnu::cold]] constexpr void on_election_timeout();
  [[nodiscard]] constexpr bool unwilling() const;
  // -------------------------------------------------------------------- §5.3, the leader's side [impl/replication.hpp]
  constexpr detail::verdict on_append_entries_reply(const envelope& m, const append_entries_reply& reply);
  constexpr void on_append_success(leader_role& lead, peer& p, index_t match);
  [[gnu::cold]] constexpr void on_append_refusal(peer& p, const append_entries_reply& reply);
  constexpr void suspect_lost_log(peer& p, const append_entries_reply& reply);
  [[nodiscard, gnu::cold]] constexpr index_t meeting_point(index_t hint_index, term_t hint_term) const;
  [[gnu::cold]] constexpr void begin_round(leader_role& lead);
  constexpr void look_at_all(leader_role& lead);
  [[gnu::always_inline]] constexpr void replicate(leader_role& lead);
  [[gnu::always_inline]] constexpr void replicate_to(leader_role& lead, peer& p);
  [[gnu::always_inline]] constexpr void send_ready_appends(leader_role& lead, peer& p);
  constexpr bool send_append(leader_role& lead, peer& p);
  [[gnu::cold]] constexpr void send_heartbeat(leader_role& lead, peer& p);
  [[nodiscard]] constexpr bool in_step(const peer& p) const;
  [[nodiscard]] constexpr bool compacted_for(const peer& p) const;
  [[nodiscard]] constexpr peer* find_peer(node_id id);
  // -------------------------------------------------------------------- §5.3, the follower's side [impl/following.hpp]
  constexpr detail::verdict on_append_entries(const envelope& m, const append_entries& request);
  [[nodiscard, gnu::cold]] constexpr bool contradicts_committed(const append_entries& request) const;
  constexpr void follow(node_id leader);
  [[gnu::cold]] constexpr void refuse_append(node_id leader, const append_entries& request);
  [[nodiscard, gnu::cold]] constexpr std::uint32_t already_held(index_t prev, const raft::entries& batch) const;
  // -------------------------------------------------------------------------------------- §5.3, §5.4 [impl/commit.hpp]
  constexpr void count_own_entries(leader_role& lead);
  constexpr void advance_commit_index(leader_role& lead);
  template <class Value, class Of>
  [[nodiscard]] constexpr Value of_quorum(const leader_role& lead, Value own, Of&& of) const;
  constexpr void set_commit_index(index_t index);
  constexpr void apply();
  constexpr void hand_over(index_t upto);
  [[gnu::cold]] constexpr void wait_for_entries(const error& why);
  constexpr void note_executed(index_t index);
  // --------------------------------------------------------------------------------------- clients [impl/proposal.hpp]
  [[nodiscard]] constexpr detail::verdict check_proposal(const leader_role& lead, std::span<const payload> commands,
                                                         std::uint64_t& bytes) const;
  constexpr void want_entries(entry_kind kind, std::span<const payload> payloads, std::uint64_t bytes);
  constexpr void resolve_applied();
  constexpr void resolve_covered(const snapshot_meta& snapshot);
  constexpr void resolve(index_t first, index_t last, term_t of, fate what);
  constexpr void give_up_proposals();
  constexpr void leave_leadership();
  // ---------------------------------------------------------------------------------------------- §8 [impl/read.hpp]
  [[nodiscard]] constexpr std::uint64_t confirmed_round(const leader_role& lead) const;
  [[nodiscard]] constexpr std::uint64_t round_for_read(leader_role& lead) const;
  [[nodiscard, gnu::cold]] constexpr bool holds_lease(leader_role& lead) const;
  constexpr void begin_round_for_reads(leader_role& lead);
  [[nodiscard]] constexpr bool reads_are_open() const;
  [[gnu::cold]] constexpr void answer_reads();
  constexpr void answer_read(std::uint64_t context, read_fate what, index_t index);
  // ------------------------------------------------------------------- §8 [impl/remote_read.hpp, impl/forwarding.hpp]
  constexpr void ask_leader();
  constexpr void send_read_request(std::uint64_t ticket);
  constexpr void note_asked(leader_role& lead, node_id by, std::uint64_t ticket);
  [[gnu::cold]] constexpr void mind_remote_reads();
  constexpr detail::verdict on_read_request(const envelope& m, const read_request& request);
  [[gnu::cold]] constexpr void answer_asked(leader_role& lead);
  constexpr detail::verdict on_read_reply(const envelope& m, const read_reply& reply);
  [[nodiscard]] constexpr result<void> check_forwarding(payload command);
  [[nodiscard]] constexpr detail::verdict check_forwarded(const leader_role* lead, payload command,
                                                          std::uint64_t& bytes) const;
  constexpr detail::verdict on_forwarded_proposal(const envelope& m, const forwarded_proposal& request);
  constexpr detail::verdict on_forwarded_reply(const envelope& m, const forwarded_proposal_reply& reply);
  [[nodiscard]] constexpr std::optional<fate> fate_of(index_t index, term_t of) const;
  [[gnu::cold]] constexpr void resolve_forwarded();
  // ------------------------------------------------------------------------------------------ §6 [impl/membership.hpp]
  [[nodiscard]] constexpr result<void> may_change_membership(std::optional<index_t> expected) const;
  [[nodiscard]] constexpr result<raft::configuration> next_configuration(const membership& target,
                                                                         std::optional<index_t> expected) const;
  constexpr result<proposal> append_configuration(const raft::configuration& next);
  constexpr void want_configuration(const raft::configuration& next);
  constexpr bool leave_joint_by_itself(leader_role& lead);
  [[nodiscard]] constexpr bool is_removed() const;
  [[gnu::cold]] constexpr bool pursue_promotion();
  [[nodiscard]] constexpr std::int64_t patience_for(const peer& p) const;
  [[gnu::cold]] constexpr void report_promotion();
  [[gnu::cold]] constexpr void refresh_configuration();
  constexpr void match_peers_to(leader_role& lead);
  [[nodiscard]] constexpr result<raft::configuration> configuration_at(index_t index) const;
  // -------------------------------------------------------------------------------------------- §7 [impl/snapshot.hpp]
  constexpr detail::verdict on_install_snapshot(const envelope& m, const install_snapshot& chunk);
  constexpr detail::verdict on_install_snapshot_reply(const envelope& m, const install_snapshot_reply& reply);
  [[nodiscard]] constexpr result<void> check_take_snapshot(index_t at) const;
  [[nodiscard]] constexpr result<void> check_present_snapshot() const;
  constexpr result<void> open_snapshot(index_t at);
  constexpr result<index_t> close_snapshot();
  [[gnu::cold]] constexpr bool write_chunk();
  constexpr bool install();
  [[gnu::cold]] constexpr void restore_machine();
  constexpr void machine_is_restored();
  [[gnu::cold]] constexpr void send_chunk(leader_role& lead, peer& p);
  constexpr bool let_carry(leader_role& lead, peer& p);
  [[gnu::cold]] constexpr void ask_for_snapshot(node_id leader, std::uint64_t round);
  [[gnu::cold]] constexpr void on_snapshot_request(peer& p, index_t wanted);
  constexpr void compact_log();
  [[nodiscard]] constexpr index_t within_trailing_bytes(index_t upto, index_t covered) const;
  // ----------------------------------------------------------------------------------------- effects [impl/settle.hpp]
  constexpr void settle();
  constexpr bool write();
  [[gnu::cold]] constexpr bool write_hard_state();
  [[gnu::cold]] constexpr bool write_truncation();
  constexpr bool append_received();
  constexpr bool append_proposed();
  constexpr bool note_append(const result<mark_t>& mark);
  constexpr bool count_own();
  constexpr void stamp_outbox();
  [[gnu::always_inline]] constexpr void send();
  constexpr void send_what_is_durable();
  constexpr void report();
  [[gnu::cold]] constexpr void report_role();
  [[gnu::cold]] constexpr void fail(const error& why);
  template <class Body>
  constexpr void queue(node_id to, const Body& body, speaks_for what);
  template <class Body>
  constexpr void send_now(node_id to, const Body& body);
  constexpr void send_waiting(const message& m);
  template <class Event>
  constexpr void tell(const Event& event);
  template <class Value>
  constexpr bool note(const result<Value>& outcome);
  constexpr bool note_write(const result<mark_t>& mark);
  [[nodiscard]] constexpr bool out_of_date(const waiting_message& waiting) const;
  [[nodiscard]] constexpr bool superseded(std::size_t i) const;
  [[nodiscard]] constexpr index_t durable_index() const noexcept;
  [[nodiscard]] constexpr bool is_durable(mark_t mark) const noexcept;
  template <class Role>
  constexpr Role& become();
  constexpr std::uint64_t draw();
  // ----------------------------------------------------------------------------------------- state: what it is made of
  node_id id_{};
  options_type options_{};
  [[no_unique_address]] Transport transport_;
  [[no_unique_address]] Log log_;
  [[no_unique_address]] Clock clock_;
  [[no_unique_address]] StateMachine machine_;
  [[no_unique_address]] Observer observer_;
  std::uint64_t random_ = 0;  ///< The state of the seeded generator.
  // ---------------------------------------------------------------------------------------------- state: Figure 2
  hard_state hard_{};  ///< currentTerm and votedFor, as the Log holds them or is about to.
  role_variant role_{};
  index_t commit_index_{};
  index_t last_applied_{};    ///< Executed by the state machine.
  index_t handed_over_{};     ///< Given to the state machine; ahead of last_applied_ only where it applies elsewhere.
  index_t handed_command_{};  ///< The last command among it, of a machine that applies elsewhere.
  raft::configuration configuration_{};  ///< In force.
  index_t configuration_index_{};        ///< The entry it is from; zero if it is the snapshot's.
  bool is_voter_ = false;                ///< Whether this node votes in it.
  // ---------------------------------------------------------------------------------------------- state: time
  time_point now_{};  ///< The Clock at the latest tick or message.
  time_point election_deadline_{};
  time_point heartbeat_deadline_{};
  duration election_timeout_{};         ///< The latest draw.
  vote_promise<time_point> promise_{};  ///< Given only with options.lease_reads.
  // ----------------------------- state: what an input wants, noted by handlers, carried out and cleared by settle()
  bool store_hard_state_ = false;
  index_t truncate_from_{};                  ///< Before received_ is appended; zero: nothing.
  const raft::entries* received_ = nullptr;  ///< To append, of a leader; but for the first ones,
  std::uint32_t received_already_ = 0;       ///< which are here.
  std::span<const payload> proposed_{};      ///< To append, as a leader.
  entry_kind proposed_kind_ = entry_kind::command;
  std::uint64_t proposed_bytes_ = 0;         ///< What they take in the log.
  const install_snapshot* chunk_ = nullptr;  ///< To write, of chunk_from_.
  node_id chunk_from_{};
  // ---------------------------------------------------------------------------------------------- state: what waits
  durability durable_{};      ///< Used only with a Log that is not durable on return.
  mark_t hard_state_mark_{};  ///< The write that holds hard_.
  std::vector<waiting_message> outbox_{};
  /// With a Log that is durable on return, the answer to an append does not wait in the outbox, which would cost more
  /// than to send it: it leaves with the same call. To nobody: there is none.
  node_id answer_to_{};
  append_entries_reply answer_{};
  std::vector<open_proposals> proposals_{};  ///< One for each leadership with open ends; the present one last.
  remote_reads<time_point> remote_{};        ///< Reads that the leader has to confirm, and those that were dropped.
  forwarded_proposals<time_point> forwarded_{};
  taken_proposals taken_{};
  window handed_{};                           ///< Entries that a state machine elsewhere has not executed yet.
  std::vector<std::byte> members_scratch_{};  ///< A configuration's bytes: in a chunk being sent,
  payload members_entry_{};                   ///< in an entry being written.
  waiting::snapshots snapshots_{};
  bool entries_awaited_ = false;       ///< The next entry to apply is not at hand; the Log fetches it.
  promotion<time_point> promotion_{};  ///< Of a learner, to voter.
  transfer<time_point> transfer_{};    ///< Of leadership, to another node.
  reluctance reluctance_{};            ///< Of this node, to lead.
  bool role_changed_ = false;
  bool failed_ = false;
  bool inside_ = false;  ///< A call is under way.
  error failure_{};
};

}  // namespace raft

#include <raft/impl/chapters.hpp>
