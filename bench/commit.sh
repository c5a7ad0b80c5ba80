#!/usr/bin/env bash
# The commit work as multiples of the memcpy floor of the same run, for a cluster of 3 in one thread, every message
# encoded and decoded: best and median of 10 processes, the cases interleaved, each beside its goal; instructions an
# entry (counted by valgrind, as the difference of two lengths); heap allocations an entry on each node.
#
#   bench/commit.sh [processes]

set -euo pipefail
cd "$(dirname "$0")"
source support/build.sh
need python3 python3
need valgrind valgrind
build commit_probe
PYTHONDONTWRITEBYTECODE=1 exec python3 support/commit.py "$build/bench/commit_probe" "${1:-10}"
