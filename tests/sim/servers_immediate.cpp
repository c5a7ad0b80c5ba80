// The simulated servers whose Log is durable on return; see engine_servers.hpp.

#include "assertion.hpp"  // before any header of the engine

#include "engine_servers.hpp"

template class raft::testing::engine_server<false, raft::testing::machine_kind::in_place>;
template class raft::testing::engine_server<false, raft::testing::machine_kind::elsewhere>;
template class raft::testing::engine_server<false, raft::testing::machine_kind::durable>;
