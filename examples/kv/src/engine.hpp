#pragma once

// The engine of a service: a raft::node, or one that is recorded (raft/record.hpp). The same inputs and questions,
// whichever it is; what each means is said in raft/node.hpp.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include <raft/file_log.hpp>
#include <raft/node.hpp>
#include <raft/record.hpp>

#include "link.hpp"
#include "policies.hpp"
#include "record_file.hpp"
#include "service.hpp"

namespace kv {

class service::engine {
  using plain = raft::node<links_transport, raft::file_log<>, loop_clock, machine, watcher>;
  using recorded = raft::recorder<links_transport, raft::file_log<>, loop_clock, machine, record_sink, watcher>;

  engine() = default;

  template <class Call>
  decltype(auto) with(Call&& call) {
    return recorded_ ? call(*recorded_) : call(*plain_);
  }
  template <class Question>
  decltype(auto) ask(Question&& question) const {
    return recorded_ ? question(recorded_->engine()) : question(*plain_);
  }

 public:
  /// With a file the node is recorded to it.
  static raft::result<std::unique_ptr<engine>> create(record_file* file, raft::node_id id,
                                                      const raft::options<loop_clock::duration>& options,
                                                      std::uint64_t seed, links_transport transport,
                                                      raft::file_log<> log, loop_clock clock, machine m, watcher w) {
    std::unique_ptr<engine> made{new engine};
    if (file == nullptr) {
      auto node = plain::create(id, options, seed, transport, std::move(log), clock, m, w);
      if (!node) return node.error();
      made->plain_.emplace(*std::move(node));
    } else {
      auto node = recorded::create(made->tape_, record_sink{file}, {.inputs_a_sum = 1}, id, options, seed, transport,
                                   std::move(log), clock, m, w);
      if (!node) return node.error();
      made->recorded_.emplace(*std::move(node));
    }
    return made;
  }

  // ---- inputs

  void tick() {
    with([](auto& n) { n.tick(); });
  }
  template <class Event>
  raft::result<void> step(const Event& e) {
    return with([&](auto& n) { return n.step(e); });
  }
  raft::result<raft::proposal> propose(std::span<const raft::payload> commands) {
    return with([&](auto& n) { return n.propose(commands); });
  }
  raft::result<void> propose_anywhere(raft::payload command, std::uint64_t context) {
    return with([&](auto& n) { return n.propose_anywhere(command, context); });
  }
  raft::result<void> read_anywhere(std::uint64_t context) {
    return with([&](auto& n) { return n.read_anywhere(context); });
  }
  raft::result<loop_clock::duration> read_stale(loop_clock::duration at_most) {
    return with([&](auto& n) { return n.read_stale(at_most); });
  }
  raft::result<raft::proposal> change_membership(const raft::membership& target) {
    return with([&](auto& n) { return n.change_membership(target); });
  }
  raft::result<void> add_server(const raft::member_data& server) {
    return with([&](auto& n) { return n.add_server(server); });
  }
  raft::result<void> transfer_leadership(raft::node_id target) {
    return with([&](auto& n) { return n.transfer_leadership(target); });
  }
  raft::result<raft::node_id> transfer_leadership() {
    return with([](auto& n) { return n.transfer_leadership(); });
  }
  raft::result<raft::index_t> take_snapshot() {
    return with([](auto& n) { return n.take_snapshot(); });
  }

  // ---- questions

  [[nodiscard]] raft::node_id id() const {
    return ask([](const auto& n) { return n.id(); });
  }
  [[nodiscard]] bool failed() const {
    return ask([](const auto& n) { return n.failed(); });
  }
  [[nodiscard]] moment deadline() const {
    return ask([](const auto& n) { return n.deadline(); });
  }
  [[nodiscard]] raft::index_t last_applied() const {
    return ask([](const auto& n) { return n.last_applied(); });
  }
  [[nodiscard]] raft::status<moment> status() const {
    return ask([](const auto& n) { return n.status(); });
  }
  [[nodiscard]] const raft::configuration& configuration() const {
    return ask([](const auto& n) -> const raft::configuration& { return n.configuration(); });
  }
  [[nodiscard]] raft::result<raft::change_preview> preview_change(const raft::membership& target) const {
    return ask([&](const auto& n) { return n.preview_change(target); });
  }
  [[nodiscard]] raft::commit_delay why_not_committed(raft::index_t index) const {
    return ask([&](const auto& n) { return n.why_not_committed(index); });
  }
  [[nodiscard]] raft::leader_absence why_no_leader() const {
    return ask([](const auto& n) { return n.why_no_leader(); });
  }
  [[nodiscard]] raft::peer_pause why_paused(raft::node_id id) const {
    return ask([&](const auto& n) { return n.why_paused(id); });
  }

  [[nodiscard]] raft::file_log<>& log() { return recorded_ ? recorded_->log() : plain_->log(); }
  [[nodiscard]] watcher& observer() { return recorded_ ? recorded_->observer() : plain_->observer(); }

 private:
  raft::tape tape_{};
  std::optional<recorded> recorded_{};
  std::optional<plain> plain_{};  ///< One of the two.
};

}  // namespace kv
