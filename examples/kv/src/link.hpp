#pragma once

// The way to one other server, as the engine's Transport sees it: a buffer that the network empties. No socket.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include <raft/codec.hpp>
#include <raft/message.hpp>
#include <raft/types.hpp>

namespace kv {

/// Frames that wait to be sent to one server. While it is not connected, or has not taken what waits, messages are
/// dropped whole: the protocol sends again what matters, and memory stays bounded.
struct link {
  /// More than the engine has under way to one peer (options.max_inflight_bytes).
  static constexpr std::size_t limit = std::size_t{64} << 20;

  raft::node_id peer{};
  bool connected = false;
  std::vector<std::byte> out{};
  std::size_t sent = 0;       ///< How much of `out` is gone already.
  std::uint64_t dropped = 0;  ///< Messages.

  void put(const raft::message& m, raft::cluster_id cluster) {
    if (!connected || out.size() - sent + raft::frame_bytes(m) > limit || !raft::append_frame(m, cluster, out))
      ++dropped;
  }
  void reset(bool now_connected) {
    connected = now_connected;
    out.clear();
    sent = 0;
  }
  [[nodiscard]] bool pending() const noexcept { return sent < out.size(); }
};

/// All of them; they come, and stay where they are.
using link_list = std::deque<link>;

/// The engine's Transport: a handle to the links.
class links_transport {
 public:
  links_transport(link_list& links, raft::cluster_id cluster) : links_(&links), cluster_(cluster) {}

  void send(const raft::message& m) {
    for (link& l : *links_) {
      if (l.peer == m.to) return l.put(m, cluster_);
    }
  }

 private:
  link_list* links_;
  raft::cluster_id cluster_;
};

}  // namespace kv
