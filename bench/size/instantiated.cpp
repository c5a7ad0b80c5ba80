// Every function of one node, and its size as that of an object.

#include "node.hpp"

template class raft::node<bench::empty_transport, bench::empty_log, bench::empty_clock, bench::empty_machine>;

extern const char sizeof_node[sizeof(bench::empty_node)];
const char sizeof_node[sizeof(bench::empty_node)] = {1};
