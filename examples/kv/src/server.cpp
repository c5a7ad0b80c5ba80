#include "server.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>

namespace kv {

bool server::open(std::string& why) {
  signals_.add(SIGINT);
  signals_.add(SIGTERM);
  signals_.async_wait([this](std::error_code wrong, int) { stopping_ = !wrong; });
  return links_.open(why) && clients_.open(why) && page_.open(why);
}

bool server::run(std::string& why) {
  auto end = moment::max();
  for (;;) {
    wait(end);
    turn();
    if (service_.failed(why)) return false;
    if (!stopping_) continue;
    const auto now = std::chrono::steady_clock::now();
    if (end == moment::max()) end = now + service_.options().election_max;
    if (now >= end || !service_.hand_over()) return true;
  }
}

/// Until something has arrived or is due; then takes note of everything that has arrived. One turn for each single
/// event instead would be several times slower: it is the common sync and the common messages that carry the load.
void server::wait(moment limit) {
  if (!clients_.more_at_hand()) io_.run_one_until(std::min(service_.deadline(), limit));
  io_.poll();
}

/// The order matters. What the followers need leaves before this server's own disk is waited for, so that all disks
/// work at the same time; and whoever waited only for this disk and the followers' is answered in this turn, by looking
/// at the followers' answers again after the sync.
void server::turn() {
  service_.set_time(std::chrono::steady_clock::now());
  service_.begin_turn();
  links_.take_in();
  clients_.take_in();
  service_.submit();
  links_.flush();
  if (service_.dirty()) {
    service_.sync();
    links_.flush();
    service_.set_time(std::chrono::steady_clock::now());
  }
  if (service_.waiting()) {
    links_.look_again();
    links_.flush();
  }
  service_.catch_up();
  clients_.flush();
  service_.snapshot_if_due();
}

}  // namespace kv
