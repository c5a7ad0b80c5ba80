#pragma once

// One node with a clock, a mailbox, a Log and a state machine that the test holds. It stands behind virtual functions,
// so that the node is compiled once (server.cpp) and not in every test.

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <raft/node.hpp>

#include "support/letter.hpp"
#include "support/recorder.hpp"
#include "support/test_log.hpp"

namespace story {

using ms = std::int64_t;
using tunables = raft::options<ms>;
using event =
    std::variant<raft::events::started, raft::events::role_changed, raft::events::vote_granted,
                 raft::events::message_refused, raft::events::message_ignored, raft::events::log_truncated,
                 raft::events::commit_advanced, raft::events::applied, raft::events::peer_changed,
                 raft::events::peer_lost_log, raft::events::snapshot_taken, raft::events::snapshot_wanted,
                 raft::events::snapshot_installed, raft::events::node_failed, raft::events::message_sent,
                 raft::events::message_received, raft::events::proposed, raft::events::request_refused,
                 raft::events::fate_told, raft::events::read_answered, raft::events::promotion_ended,
                 raft::events::configuration_changed, raft::events::transfer_begun, raft::events::transfer_ended,
                 raft::events::proposal_forwarded, raft::events::forwarded_ended>;

/// What servers share: the time, and everything that they sent and nobody took in, oldest first.
struct world {
  ms now = 0;
  std::vector<letter> mail{};
  /// A snapshot that a carrier was offered: its head, the data apart.
  std::vector<letter> offered{};
  bool carries = true;  ///< Whether carriers take it.
};

/// How servers are built.
struct setup {
  tunables options{};
  bool deferred = false;   ///< Writes complete when the test says so.
  bool elsewhere = false;  ///< The machine executes when the test says so.
  bool carrier = false;    ///< The transport carries snapshots out of band.
  bool bodies = false;     ///< The transport takes envelopes and bodies.
  bool patient = false;    ///< The machine is filled from a snapshot when the test says so.
  std::uint64_t seed = 1;
};

class server {
 public:
  virtual ~server() = default;

  virtual raft::result<void> step(const raft::message& m) = 0;
  raft::result<void> step(const letter& l) { return step(l.what); }
  virtual raft::result<void> executed(raft::index_t index) = 0;
  /// The node is told that these entries are at hand now; whether they are is the log's business.
  virtual raft::result<void> fetched(raft::index_t first, raft::index_t last) = 0;
  virtual void tick() = 0;
  virtual void campaign() = 0;
  virtual raft::result<raft::proposal> propose(std::span<const raft::payload> commands) = 0;
  raft::result<raft::proposal> propose(std::string_view command);
  raft::result<raft::proposal> propose(std::initializer_list<std::string_view> commands);
  virtual raft::result<raft::proposal> propose(std::string_view command, raft::term_t expected) = 0;
  virtual raft::result<void> propose_anywhere(std::string_view command, std::uint64_t context) = 0;
  virtual raft::result<void> read(std::uint64_t context) = 0;
  virtual raft::result<void> read_anywhere(std::uint64_t context) = 0;
  virtual raft::result<ms> read_stale(ms at_most) = 0;
  virtual raft::result<raft::index_t> take_snapshot() = 0;
  virtual raft::result<raft::snapshot_meta> begin_snapshot(std::optional<raft::index_t> at = {}) = 0;
  virtual raft::result<void> write_snapshot(std::string_view bytes) = 0;
  virtual raft::result<void> snapshot_written(raft::index_t index) = 0;
  virtual raft::result<void> snapshot_abandoned(raft::index_t index) = 0;
  virtual raft::result<raft::index_t> request_snapshot() = 0;
  virtual raft::result<void> carried(const raft::snapshot_carried& c) = 0;
  /// A patient machine gets the log's snapshot, if that is the one at `index`; then the node is told.
  virtual raft::result<void> restored(raft::index_t index) = 0;
  virtual raft::result<void> transfer_to(raft::node_id target) = 0;
  virtual raft::result<raft::node_id> transfer_to_best() = 0;
  virtual raft::result<void> step_down() = 0;
  virtual void evacuate() = 0;
  virtual void stop_evacuation() = 0;
  virtual raft::result<void> forget_leader() = 0;
  [[nodiscard]] virtual bool transferring() const = 0;
  virtual raft::result<raft::proposal> change(const raft::membership& target,
                                              std::optional<raft::index_t> expected = {}) = 0;
  virtual raft::result<raft::proposal> leave_joint() = 0;
  virtual raft::result<void> add(const raft::member_data& server) = 0;
  [[nodiscard]] virtual raft::result<raft::change_preview> preview(const raft::membership& target) = 0;

  [[nodiscard]] virtual ms deadline() const = 0;
  [[nodiscard]] virtual raft::status<ms> status() const = 0;
  [[nodiscard]] virtual raft::commit_delay why_not_committed(raft::index_t index) const = 0;
  [[nodiscard]] virtual raft::leader_absence why_no_leader() const = 0;
  [[nodiscard]] virtual raft::peer_pause why_paused(std::uint64_t peer) const = 0;
  virtual void canonical(raft::canonical_writer& w) const = 0;
  [[nodiscard]] virtual bool failed() const = 0;
  [[nodiscard]] virtual test_log& log() = 0;
  [[nodiscard]] virtual recorder& machine() = 0;

  [[nodiscard]] raft::role_kind role() const { return status().role; }
  [[nodiscard]] bool leads() const { return role() == raft::role_kind::leader; }
  [[nodiscard]] raft::term_t term() const { return status().term; }
  [[nodiscard]] raft::node_id leader() const { return status().leader; }
  [[nodiscard]] raft::node_id vote() const { return status().voted_for; }
  [[nodiscard]] raft::index_t commit() const { return status().commit_index; }
  [[nodiscard]] raft::index_t applied() const { return status().last_applied; }
  [[nodiscard]] raft::index_t last() const { return status().last_index; }
  [[nodiscard]] raft::peer_status<ms> peer(std::uint64_t id) const;
  /// The log as "[1:1][2:3]", index:term.
  [[nodiscard]] std::string shape() { return story::shape(log().image()); }
  /// The commands executed so far, each followed by ';'.
  [[nodiscard]] const std::string& state() { return machine().state; }

  /// The writes with these marks (or all) became durable: the disk and the node are told.
  raft::result<void> persisted(raft::mark_t first, raft::mark_t last);
  raft::result<void> persisted();
  /// Only the node is told.
  virtual raft::result<void> report(const raft::persisted& p) = 0;

  /// What was sent and not taken in. Of a server in a cluster: what all of them sent.
  [[nodiscard]] std::vector<letter>& mail() { return world_->mail; }
  [[nodiscard]] std::vector<letter>& offered() { return world_->offered; }
  [[nodiscard]] bool& carries() { return world_->carries; }
  /// Takes all mail away.
  std::vector<letter> take_mail() { return std::exchange(world_->mail, {}); }
  /// Takes all mail away; there must be exactly one letter, and it has to have this body.
  template <class Body>
  Body only();
  /// The same, without a look at the mail of other kinds.
  template <class Body>
  std::vector<Body> all();
  ms& now() { return world_->now; }
  /// Moves the clock by so much and ticks.
  void pass(ms duration);

  /// Everything the observer was told.
  std::vector<event> events{};
  template <class Event>
  [[nodiscard]] std::vector<Event> told() const;

  /// All that can be seen of the node and its log, for "nothing changed".
  [[nodiscard]] std::string picture();

 protected:
  explicit server(std::shared_ptr<world> w) : world_(std::move(w)) {}
  std::shared_ptr<world> world_;

 private:
  std::vector<letter> handed_out_{};  ///< Keeps alive what the bodies view that `only` and `all` gave.
};

/// A server on that log, or the reason why there is none.
raft::result<std::unique_ptr<server>> try_start(raft::node_id id, raft::memory_log log, const setup& how = {},
                                                recorder machine = {}, std::shared_ptr<world> where = nullptr);

/// A server that has to start.
std::unique_ptr<server> start(raft::node_id id, const stored& log, const setup& how = {}, recorder machine = {});

/// Server 2 of three voters, which hears leader 1 of term 1 since time 0, and holds its no-op.
std::unique_ptr<server> follower_of_one(const setup& how = {});

/// Snapshots in chunks of 4 bytes, and no entries left before them.
setup small_chunks();

/// Makes `s` leader by its own campaign and the votes that it needs, and takes the mail away.
void win(server& s);

template <class Body>
std::vector<Body> server::all() {
  std::vector<Body> bodies;
  for (const letter& l : take_mail()) {
    if (l.is<Body>()) bodies.push_back(l.as<Body>());
    handed_out_.push_back(l);
  }
  return bodies;
}

template <class Event>
std::vector<Event> server::told() const {
  std::vector<Event> some;
  for (const event& e : events) {
    if (const auto* one = std::get_if<Event>(&e)) some.push_back(*one);
  }
  return some;
}

/// What `only` says if the mail is something else.
void require_only(const std::vector<letter>& mail, bool of_that_kind);

template <class Body>
Body server::only() {
  const std::vector<letter> mail = take_mail();
  const bool right = mail.size() == 1 && mail[0].is<Body>();
  require_only(mail, right);
  handed_out_.insert(handed_out_.end(), mail.begin(), mail.end());
  return right ? mail[0].as<Body>() : Body{};
}

}  // namespace story
