#pragma once

// The kinds of simulated servers, each with a whole node in it: where the build compiles them apart, in
// servers_*.cpp (RAFT_ENGINE_SERVERS_APART), the programs that simulate need not do so again. One that is compiled
// by hand from a single file has them itself. Include assertion.hpp before this.

#include <raft/testing/server.hpp>

#ifdef RAFT_ENGINE_SERVERS_APART
namespace raft::testing {

extern template class engine_server<false, machine_kind::in_place>;
extern template class engine_server<false, machine_kind::elsewhere>;
extern template class engine_server<false, machine_kind::durable>;
extern template class engine_server<true, machine_kind::in_place>;
extern template class engine_server<true, machine_kind::elsewhere>;
extern template class engine_server<true, machine_kind::durable>;

}  // namespace raft::testing
#endif
