#pragma once

// The engine, whole [floor 9]. Optional batteries are headers of their own: memory_log.hpp, file_log.hpp, codec.hpp.

#include <raft/node.hpp>
#include <raft/version.hpp>
