// The other of two translation units that include every header; see run.py.
#include "all_headers.hpp"

raft::index_t commit_index_of_the_other_unit();

raft::index_t commit_index_of_the_other_unit() {
  const raft::configuration members{.voters = {raft::node_id{1}, raft::node_id{2}, raft::node_id{3}}};
  return raft::committed_index(members, [](raft::node_id id) { return raft::index_t{id.value}; });
}
