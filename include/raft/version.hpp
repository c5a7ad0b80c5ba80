#pragma once

// The version of the engine [floor 0]. CMake reads these three lines, so that package and header cannot differ.

#define RAFT_VERSION_MAJOR 0
#define RAFT_VERSION_MINOR 1
#define RAFT_VERSION_PATCH 0

/// One number for comparisons: 1'002'003 is 1.2.3.
#define RAFT_VERSION (RAFT_VERSION_MAJOR * 1000000 + RAFT_VERSION_MINOR * 1000 + RAFT_VERSION_PATCH)
