// One of two translation units that include every header and instantiate a node; see run.py.
#include "two_units.hpp"

template class raft::node<deaf_transport, raft::memory_log, stopped_clock, empty_machine>;

raft::index_t commit_index_in_the_other_unit();

int main() {
  const raft::index_t here = commit_index_of_a_single_voter();
  return here == raft::index_t{1} && here == commit_index_in_the_other_unit() ? 0 : 1;
}
