#pragma once

// The event loop: waits for sockets and time, and does one turn for all that has arrived. The seam between it and Asio
// is narrow on purpose (wait, take in, flush): the order of a turn does not depend on what waits.

#include <string>

#include <asio.hpp>

#include "client_sockets.hpp"
#include "link_sockets.hpp"
#include "metrics_page.hpp"
#include "service.hpp"

namespace kv {

class server {
 public:
  explicit server(service& s) : service_(s), links_(io_, s), clients_(io_, s), page_(io_, s), signals_(io_) {}

  /// Listens. False: `why` says why that is not possible.
  bool open(std::string& why);
  /// Serves until SIGINT or SIGTERM (true), or until the log fails (false, `why` says how). Before it ends by a signal,
  /// it hands leadership over if it has it, and waits for that for an election timeout at most.
  bool run(std::string& why);

 private:
  void wait(moment limit);
  void turn();

  service& service_;
  asio::io_context io_{1};
  link_sockets links_;
  client_sockets clients_;
  metrics_page page_;
  asio::signal_set signals_;
  bool stopping_ = false;
};

}  // namespace kv
