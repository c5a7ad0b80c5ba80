// One of two translation units that include every header; see run.py.
#include "all_headers.hpp"

raft::index_t commit_index_of_the_other_unit();

int main() {
  const raft::configuration members{.voters = {raft::node_id{1}, raft::node_id{2}, raft::node_id{3}}};
  const auto mine = raft::committed_index(members, [](raft::node_id id) { return raft::index_t{id.value}; });
  return mine == commit_index_of_the_other_unit() ? 0 : 1;
}
