#pragma once

// The engine's StateMachine and Observer: handles to the service, for those of its files that call the engine.

#include <string>

#include <raft/counters.hpp>
#include <raft/node.hpp>

#include "service.hpp"

namespace kv {

class service::machine {
 public:
  explicit machine(service& to) : to_(&to) {}

  /// A follower's comes later: nobody here waits for it, and the leader waits for the disk and the answer.
  void apply(const raft::entry& e) { to_->desk_.leading() ? to_->desk_.apply(e) : to_->apply_later(e.index); }
  template <class Sink>
  raft::result<void> write_snapshot(Sink& sink) {
    to_->catch_up();
    return to_->desk_.state().write_snapshot(sink);
  }
  template <class Source>
  raft::result<void> restore(Source& source) {
    return to_->desk_.state().restore(source);
  }

  void on_role(raft::role_kind role, raft::term_t term, raft::node_id leader) {
    to_->catch_up();
    static constexpr const char* names[] = {"follower", "pre-candidate", "candidate", "leader"};
    std::string text = std::string(names[static_cast<std::size_t>(role)]) + " in term " + std::to_string(term.value);
    if (leader != raft::nobody && role != raft::role_kind::leader)
      text += ", of leader " + std::to_string(leader.value);
    to_->log(text);
    to_->desk_.on_role(role, leader);
  }
  void on_fate(raft::index_t first, raft::index_t last, raft::term_t term, raft::fate what) {
    to_->catch_up();
    to_->desk_.on_fate(first, last, term, what);
  }
  void on_read(std::uint64_t turn, raft::read_fate what, raft::index_t) {
    to_->catch_up();
    to_->desk_.on_read(turn, what);
  }
  void on_forwarded(std::uint64_t context, raft::fate what, raft::proposal place, raft::node_id) {
    to_->catch_up();
    to_->desk_.on_forwarded(context, what, place);
  }
  void on_transfer(raft::node_id to, raft::transfer_fate what) {
    if (what == raft::transfer_fate::done) to_->log("handed leadership over to " + std::to_string(to.value));
    to_->desk_.on_transfer(what);
  }
  void on_promotion(raft::node_id, raft::promotion_fate what) { to_->desk_.on_promotion(what); }
  void on_configuration(const raft::configuration& c, raft::index_t index) { to_->take_members(c, index); }

 private:
  service* to_;
};

class service::watcher : public raft::counting_observer {
 public:
  explicit watcher(service& to) : to_(&to) {}

  using counting_observer::on;
  void on(const raft::events::peer_lost_log& e) {
    counting_observer::on(e);
    to_->log("server " + std::to_string(e.peer.value) + " has lost entries that it had acknowledged (it had " +
             std::to_string(e.acknowledged.value) + ", now " + std::to_string(e.last_log_index.value) +
             "): it is not counted any more");
  }
  void on(const raft::events::snapshot_installed& e) {
    counting_observer::on(e);
    to_->log("took the leader's snapshot at index " + std::to_string(e.index.value));
  }
  void on(const raft::events::message_refused& e) {
    counting_observer::on(e);
    to_->log("refused a message of server " + std::to_string(e.from.value) + ": " + e.why.what);
  }

 private:
  service* to_;
};

}  // namespace kv
