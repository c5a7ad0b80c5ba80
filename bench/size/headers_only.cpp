// The price of the include alone.

#include <raft/raft.hpp>
