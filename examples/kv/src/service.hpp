#pragma once

// One server without its sockets: the engine, its log on disk, and the desk at which clients' commands wait. The server
// calls it in the order of a loop turn (server.hpp); it calls nobody.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <raft/codec.hpp>
#include <raft/file_log.hpp>

#include "desk.hpp"
#include "link.hpp"
#include "options.hpp"
#include "record_file.hpp"

namespace kv {

using moment = std::chrono::steady_clock::time_point;

/// The engine's Clock: the time at which the loop looked last, or, for reads by lease, which a late clock would make
/// stale (raft/options.hpp, lease_reads), the time of now.
class loop_clock {
 public:
  using duration = std::chrono::steady_clock::duration;
  using time_point = moment;
  loop_clock(const moment& now, bool looks_anew) : now_(looks_anew ? nullptr : &now) {}
  [[nodiscard]] time_point now() const noexcept { return now_ != nullptr ? *now_ : std::chrono::steady_clock::now(); }

 private:
  const moment* now_;
};

class service {
 public:
  /// Opens the log and starts the engine, as a follower. Null: `why` says what is wrong, with file and offset if the
  /// log is damaged.
  static std::unique_ptr<service> open(const server_options& options, std::string& why);

  service(const service&) = delete;
  service& operator=(const service&) = delete;
  ~service();

  // ---- a loop turn, in this order

  /// The time from now on, until it is called again.
  void set_time(moment now) noexcept { now_ = now; }
  void begin_turn() { desk_.begin_turn(); }
  /// Takes in every whole frame at the front of `bytes`; answers how many bytes they took, or why the connection is to
  /// be closed.
  raft::result<std::size_t> take_frames(std::span<const std::byte> bytes);
  /// Takes in the whole requests at the front of `bytes`, until the client's or the turn's measure is full; answers how
  /// many bytes they took. `more`: another whole request may be there.
  std::size_t take_requests(client& c, std::string_view bytes, bool& more);
  /// Whether the client's measure is not full: what it may have under way before it is read no further.
  [[nodiscard]] bool has_room(client& c) const;
  /// Proposes what was taken in, asks for the reads, and lets time pass if it is due.
  void submit();
  /// Whether writes wait for the disk.
  [[nodiscard]] bool dirty() const noexcept;
  /// Writes and syncs what this turn wrote, and tells the engine.
  void sync();
  /// Applies what a follower put off: after its acknowledgement has left, before anybody looks at the state.
  void catch_up();
  /// Whether somebody here waits for an answer of the other servers.
  [[nodiscard]] bool waiting() const noexcept {
    return desk_.waiting_writes() != 0 || desk_.forwards() != 0 || desk_.waiting_reads();
  }
  /// Takes a snapshot if the log has grown enough.
  void snapshot_if_due();

  // ---- the end

  /// Hands leadership over if it is here, so that nobody has to wait for an election. False: there is nothing to wait
  /// for (any more).
  bool hand_over();

  // ---- what the loop needs to know

  /// When submit() has something to do next.
  [[nodiscard]] moment deadline() const;
  /// The log has failed: this server must not go on. The text says why.
  [[nodiscard]] bool failed(std::string& why) const;
  [[nodiscard]] kv::desk& desk() noexcept { return desk_; }
  /// One for each other server that was ever a member, or spoke to this one.
  [[nodiscard]] link_list& links() noexcept { return links_; }
  /// The one to that server; a new one if there is none.
  link& link_to(raft::node_id peer);
  /// Where a server is: one of the present members, else (while this server is none of them, or the members' places are
  /// not known yet) of those that began the cluster. Null: nobody to talk to.
  [[nodiscard]] const member* find(std::uint64_t id) const;
  /// This server.
  [[nodiscard]] const member& self() const { return *options_.find(options_.id); }
  /// Rises whenever the members may be others than before.
  [[nodiscard]] std::uint64_t membership_version() const noexcept { return membership_version_; }
  [[nodiscard]] raft::cluster_id cluster() const noexcept { return cluster_; }
  [[nodiscard]] const server_options& options() const noexcept { return options_; }
  /// The numbers of this server in Prometheus' text form.
  [[nodiscard]] std::string metrics() const;

  /// One line on stderr.
  void log(std::string_view text) const;

 private:
  /// The engine's StateMachine: a handle to the desk, and to the log of this service.
  class machine;
  /// The engine's Observer.
  class watcher;
  /// A raft::node with these, recorded or not.
  class engine;

  explicit service(const server_options& options);
  bool start(std::string& why);
  bool take_request(client& c, std::span<const std::string_view> words);
  void answer(client& c, const command& what);
  void read(client& c, const command& what);
  bool propose_batch();
  void forward_batch();
  [[nodiscard]] std::size_t most_reads_before_a_write() const noexcept;
  void apply_later(raft::index_t index) noexcept;
  void take_members(const raft::configuration& c, raft::index_t index);
  [[nodiscard]] raft::configuration initial_configuration() const;
  void say_ping(std::string& out, std::span<const std::string_view> words) const;
  void say_info(std::string& out) const;
  void say_commands(std::string& out, std::span<const std::string_view> words) const;
  void say_settings(std::string& out, std::span<const std::string_view> words) const;
  void say_hello(std::string& out, std::span<const std::string_view> words, client_number who) const;
  void say_read_mode(std::string& out, client& c, const command& what) const;
  void say_status(std::string& out) const;
  void say_snapshot(std::string& out);

  // administration.cpp
  void change_members(client& c, const command& what);
  void say_preview(std::string& out, const command& what) const;
  void transfer(client& c, const command& what);
  bool read_target(const command& what, raft::membership& target, std::string& why) const;
  bool read_member(std::uint64_t id, std::string_view place, raft::membership& target, std::string& why) const;
  void say_why(std::string& out, std::span<const std::string_view> words) const;
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> status() const;

  server_options options_;
  raft::cluster_id cluster_;
  moment now_;
  kv::desk desk_;
  link_list links_{};
  std::vector<member> members_{};  ///< Those of the configuration in force whose places are known, by id.
  bool is_member_ = false;
  std::uint64_t membership_version_ = 0;
  std::unique_ptr<record_file> record_{};
  std::unique_ptr<engine> engine_;
  raft::index_t put_off_{};  ///< The first command that is to be applied later, in this turn; zero: there is none.
  raft::index_t put_off_until_{};  ///< The last one.
  std::string error_{};            ///< Memory for texts.
};

}  // namespace kv
