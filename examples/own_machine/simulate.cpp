// Finds the bug of tickets.hpp with the simulator that is shipped, cuts the run down, and tells the story; then shows
// that it takes a restart to see it, and that the repaired machine passes. Ends with 0 if all that is so.

#include <cstdio>

#include <raft/testing/scenario.hpp>

#include "repaired.hpp"
#include "tickets.hpp"

using namespace raft::testing;

template <class Machine>
scenario<Machine> clients() {
  scenario<Machine> s;
  s.command = [](rng& chance) { return std::vector{chance.permille(600) ? Machine::take : Machine::give_back}; };
  s.describe = [](raft::payload p) { return p.front() == Machine::take ? "take" : "give back"; };
  s.seeds = 20;
  s.events = 5000;
  return s;
}

int main() {
  const report broken = simulate(clients<tickets>());
  std::fputs(broken.text.c_str(), stdout);
  const bool is_short = broken.least && broken.least->least.only->size() <= 8;

  scenario<tickets> spared = clients<tickets>();
  spared.adjust = without_restarts;
  const bool hidden = !simulate(spared).found;

  const bool repaired = !simulate(clients<repaired_tickets>()).found;
  std::printf("found: %d, short: %d, hidden without restarts: %d, gone when repaired: %d\n", broken.found.has_value(),
              is_short, hidden, repaired);
  return broken.found && is_short && hidden && repaired ? 0 : 1;
}
