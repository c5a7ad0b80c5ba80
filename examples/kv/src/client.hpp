#pragma once

// One client's connection, as the service sees it: no socket.

#include <cstdint>

#include "reply_queue.hpp"
#include "resp.hpp"

namespace kv {

/// Names a connection. A number is never used again, so what comes for one that is gone meets nobody.
using client_number = std::uint64_t;

struct client {
  client_number number = 0;
  resp::parser parser{};
  reply_queue replies{};
  std::uint64_t reading_turn = 0;  ///< The latest turn in which it asked for a read.
  bool reads_here = false;     ///< READONLY: any server answers reads, once it has caught up with the leader's index.
  std::uint64_t stale_ms = 0;  ///< READONLY STALE: answers may be so old instead; zero: may not.
  bool held_back = false;      ///< Its next request is a write that waits until few reads are in front of it.
  bool closing = false;        ///< Takes no more requests, and ends when everything is answered.
  bool dirty = false;          ///< It is in the service's list of those with something to send.
};

}  // namespace kv
