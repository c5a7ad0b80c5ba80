// What each consumer builds: the whole engine, found by the consumer's own means.
#include <cstdio>

#include <raft/raft.hpp>

#if RAFT_CHECKED != EXPECTED_CHECKED
#error "the package decides about assertions for its user"
#endif

int main() {
  const raft::configuration members{.voters = {raft::node_id{1}, raft::node_id{2}, raft::node_id{3}}};
  const auto index = raft::committed_index(members, [](raft::node_id id) { return raft::index_t{id.value}; });
  std::printf("%d.%d.%d\n", RAFT_VERSION_MAJOR, RAFT_VERSION_MINOR, RAFT_VERSION_PATCH);
  return index == raft::index_t{2} ? 0 : 1;
}
