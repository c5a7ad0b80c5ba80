#pragma once

// The invariants. Each is a function named after its number, and is checked when what it speaks of happens, against the
// server that it happened to and what is remembered of the others (history.hpp); so a check costs the same however long
// the logs are. The few that compare all servers run every so often.
//
//   I1-I9     invariants_log.hpp       terms, votes, the shape of logs, what may be written, cut, forgotten
//   I10-I20   invariants_roles.hpp     what a leader knows, elections, commit, configuration, snapshots
//   I21-I31   both of these: one leader a term, log matching, committed entries, state machines
//   I18       invariants_leadership.hpp  leadership that is handed over
//   I32-I37   invariants_messages.hpp  what a message may claim when it leaves
//   I38-I42   invariants_clients.hpp   fates, reads, durability of answers
//   I49       invariants_answers.hpp   what a node answers to "why?"
//   I50       session_clients.hpp      clients' sessions: once each, alike everywhere, within the window
//
// Not here: I43-I45 liveness.hpp; I47 is the simulator's hostile input (workload.hpp); I48 the trace hash. The lease
// reads of I37 await the feature that they speak of.
//
// Departures from the usual wording, each since the usual one is false or too weak for this engine:
//   I3   a leader's commit index may run ahead of its own disk; what is applied may not (I29).
//   I25  an entry is committed when its leader says so first; a follower that says so before any leader is at fault.
//   I28  a follower may know an entry as committed without the entry by which it was committed. Then a log that ends in
//   a
//        later term need not hold it. So I28 is checked where the follower's log reaches the term of the commit.

#include <cinttypes>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <raft/testing/history.hpp>
#include <raft/testing/meters.hpp>
#include <raft/testing/server.hpp>

namespace raft::testing {

/// What was found to be wrong first.
struct violation {
  std::string invariant{};  ///< "I21", or a rule of the engine's design.
  std::string what{};
  node_id node{};
};

class invariants {
 public:
  using options_type = server::options_type;
  using servers_type = std::vector<std::unique_ptr<server>>;

  /// Of a cluster of these servers, all with empty disks. `bytes_may_differ`: two snapshots of one state need not have
  /// the same bytes. `meters` must outlive it.
  invariants(const servers_type& servers, const configuration& initial, const options_type& options,
             bool bytes_may_differ, meters& counts);

  [[nodiscard]] bool broken() const noexcept { return !found_.invariant.empty(); }
  [[nodiscard]] const violation& found() const noexcept { return found_; }
  [[nodiscard]] const session_ledger& ledger() const noexcept { return ledger_; }
  [[nodiscard]] const history& ghosts() const noexcept { return history_; }
  [[nodiscard]] const shadow& of(const server& s) const noexcept { return history_.servers[s.slot]; }

  /// Notes a violation, unless one was found before.
  void report(const char* invariant, const server& s, const char* format, ...)
#if defined(__GNUC__)
      __attribute__((format(printf, 4, 5)))
#endif
      ;

  // ---- what happens inside a call [invariants_log.hpp, invariants_messages.hpp, invariants_clients.hpp]

  void written(server& s, const disk_write& w);
  void survived(server& s, const disk_write& w);
  void refused(server& s, const disk_write& w);
  void sent(server& s, const message& m);
  void handed_over(server& s, index_t index, term_t term, std::uint64_t hash);
  void executed(server& s, index_t index, std::uint64_t state);
  void session_executed(server& s, index_t index, const session_result& result);
  void restored(server& s, const snapshot_meta& meta, index_t last_command, std::uint64_t state);
  void fate_told(server& s, index_t first, index_t last, term_t term, fate what);
  void read_told(server& s, std::uint64_t context, read_fate what, index_t index);

  // ---- what the simulation did

  /// The server is up again; its node is there.
  void started(server& s);
  /// The server is down; its disk is what the crash left.
  void crashed(server& s);
  void before_call(server& s);
  void after_call(server& s);
  /// The message that the call just ended took in.
  void took_in(server& s, const message& m);
  void forced_to_campaign(server& s);
  bool promotion_asked(server& s, node_id target);
  void promotion_refused(server& s);
  void promotion_ended(server& s, const events::promotion_ended& e);
  void transfer_begun(server& s, node_id target);
  void transfer_told(server& s, node_id target, transfer_fate what);
  /// The next call proposes these; they are viewed until `proposed`.
  void about_to_propose(std::span<const payload> commands);
  void proposed(server& s, const result<proposal>& answer);
  void read_asked(server& s, std::uint64_t context);
  void read_refused(server& s, std::uint64_t context);
  /// The next call proposes this at a server that leads, or that forwards it.
  void about_to_forward(server& s, std::uint64_t context, payload command, bool leads);
  void forwarded(server& s, std::uint64_t context, bool accepted);
  void forwarded_told(server& s, std::uint64_t context, fate what, proposal place);
  /// The next call takes in this message, which is viewed until it returns.
  void about_to_take_in(const message& m);
  /// The server says that what it shows is at most so old.
  void read_stale(server& s, instant bound);
  /// What compares all servers; O(servers squared).
  void every_so_often();
  /// All clients' questions have been answered, on every server that is up.
  void nothing_is_open(const server& s);
  /// All these servers are equal.
  void converged(const std::vector<server*>& live);

 private:
  // ---- [invariants_log.hpp]
  void i01_terms_never_fall(server& s, const hard_state& h);
  void i02_one_vote_a_term(server& s, const hard_state& h);
  void i04_log_shape(server& s);
  void i05_terms_in_the_log_never_fall(server& s, const trail& log, const entry& e, term_t stored);
  void i06_commit_and_applied_never_fall(server& s, const glance& now);
  void i03_index_order(server& s, const glance& now);
  void i07_committed_entries_stay(server& s, index_t cut);
  void i08_leaders_only_append(server& s, const disk_write& w);
  void i09_acknowledged_entries_stay(server& s, index_t cut);
  void i23_i24_one_entry_one_past(server& s, trail& log, const entry& e, bool own);
  void append(server& s, trail& log, const disk_write& w, term_t stored, bool own);
  void truncate(server& s, index_t from);
  void finish_snapshot(server& s, const memory_log& log, trail& shown, const snapshot_meta& meta, bool at_first);
  void store_durably(server& s, const hard_state& h);

  // ---- [invariants_roles.hpp]
  void catch_up(server& s);
  void note_role(server& s, const glance& now);
  void i10_progress(server& s, const server::status_type& status);
  void i11_honest_match(server& s, const server::status_type& status);
  void i12_elected_by_a_quorum(server& s, const glance& now);
  void i13_commit_rule(server& s, const glance& now);
  void i14_uncommitted_bytes(server& s, const server::status_type& status);
  void i15_configuration_in_force(server& s);
  void i16_one_change_at_a_time(server& s, index_t index, const configuration& next);
  void i17_role_fits_configuration(server& s, const glance& now);
  void i19_snapshot(server& s, const memory_log& log, const snapshot_meta& meta);
  void i20_known_leader(server& s, const glance& now);
  void i21_one_leader_a_term(server& s, term_t term);
  void i22_greatest_index_of_its_term(server& s);
  void i25_committed_agrees(server& s, const glance& now);
  void i26_leader_completeness(server& s, term_t term);
  void i27_quorum_keeps_the_committed();
  void i28_up_to_date_is_right(server& s, server& other);
  void i42_durable_on_a_quorum(server& s, index_t i, const char* invariant);

  // ---- [invariants_messages.hpp]
  void i32_claims_no_term_that_is_not_durable(server& s, const message& m);
  void i33_append_is_the_senders_log(server& s, const message& m, const append_entries& request);
  void i34_acknowledges_what_is_durable(server& s, const message& m, const append_entries_reply& reply);
  void i35_vote_is_durable(server& s, const message& m, bool granted);
  void i35_vote_for_an_up_to_date_log(server& s, const hard_state& h);
  void i36_snapshot_is_the_senders(server& s, const message& m, const install_snapshot& chunk);
  void i36_installed_is_durable(server& s, const message& m, const install_snapshot_reply& reply);
  void i37_promise_to_the_leader(server& s, node_id candidate);
  void i46_bounded_sends(server& s, const message& m);

  // ---- [invariants_leadership.hpp]
  void i18_transfer(server& s, const server::status_type& status);
  void i18_refuses_what_would_be_late(server& s);
  void i18_asks_who_has_everything(server& s, const message& m);
  [[nodiscard]] bool asked_to_stand(node_id candidate, term_t by_leader_of) const;

  // ---- [invariants_clients.hpp]
  void i29_applied_is_committed(server& s, index_t index, term_t term, std::uint64_t hash);
  void i30_born_of_a_proposal(server& s, const disk_write& w);
  void note_forwarded_command(server& s, const entry& e);
  void note_forward(server& s, const forwarded_proposal& request);
  [[nodiscard]] forward_ghost* find_forward(std::size_t slot, std::uint64_t session, std::uint64_t serial) noexcept;
  void i38_real_time_order(server& s, const shadow::open_proposal& p);
  void i40_fate(server& s, const shadow::open_proposal& p, fate what);

  // ---- [invariants_answers.hpp]
  void i49_answers(server& s, const glance& now);
  void i49_answers_of_leader(server& s, const server::status_type& status);
  [[nodiscard]] static std::string text_of(const sentence& said) { return std::string(said.view()); }

  [[nodiscard]] shadow& shadow_of(const server& s) noexcept { return history_.servers[s.slot]; }
  [[nodiscard]] server* find(node_id id) const noexcept;
  [[nodiscard]] const shadow* find_shadow(node_id id) const noexcept;

  const servers_type* servers_;
  options_type options_;
  bool bytes_may_differ_;
  meters* counts_;
  history history_;
  session_ledger ledger_{};
  std::span<const payload> asked_{};   ///< What the call under way proposes,
  const message* taken_in_ = nullptr;  ///< or takes in.
  payload leads_with_{};               ///< What it proposes at a leader by the name of forwarding.
  std::uint64_t forwarding_ = 0;       ///< Its context, if the call under way forwards a proposal.
  violation found_{};
};

inline invariants::invariants(const servers_type& servers, const configuration& initial, const options_type& options,
                              bool bytes_may_differ, meters& counts)
    : servers_(&servers),
      options_(options),
      bytes_may_differ_(bytes_may_differ),
      counts_(&counts),
      history_(servers.size(), initial) {
  for (const auto& s : servers) {
    shadow_of(*s).deferred = s->traits.deferred;
    shadow_of(*s).match_before.assign(servers.size(), index_t{});
    shadow_of(*s).appends.assign(servers.size(), 0);
  }
}

inline void invariants::report(const char* invariant, const server& s, const char* format, ...) {
  if (broken()) return;
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  found_ = {invariant, text, s.id};
}

inline server* invariants::find(node_id id) const noexcept {
  for (const auto& s : *servers_) {
    if (s->id == id) return s.get();
  }
  return nullptr;
}

inline const shadow* invariants::find_shadow(node_id id) const noexcept {
  const server* s = find(id);
  return s == nullptr ? nullptr : &of(*s);
}

}  // namespace raft::testing

#include <raft/testing/impl/invariants_answers.hpp>
#include <raft/testing/impl/invariants_clients.hpp>
#include <raft/testing/impl/invariants_leadership.hpp>
#include <raft/testing/impl/invariants_log.hpp>
#include <raft/testing/impl/invariants_messages.hpp>
#include <raft/testing/impl/invariants_roles.hpp>
