#!/usr/bin/env bash
# End to end: real raft-kv processes, real clients, kill -9, SIGSTOP, full disks, damaged logs, histories.
#
#   bash tests/e2e/run.sh                    every scenario, about a minute
#   bash tests/e2e/run.sh NAME...            those; `failover ROUNDS` kills the leader so often and times it
#   RAFT_KV=FILE bash tests/e2e/run.sh ...   with that server instead of the release preset's
#
# The servers' data and logs are kept where something failed. The last line is `N passed, M failed`.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
. tests/support/kv/server.sh

work=$(mktemp -d "${TMPDIR:-/tmp}/raft-e2e.XXXXXX")
status=1
finish() {
  if [ "$status" = 0 ]; then rm -rf "$work"; else echo "data and logs are in $work" >&2; fi
}
trap finish EXIT
trap 'exit 130' INT TERM

if ! "${CXX:-g++}" -std=c++20 -O1 -Wall -Wextra -Iinclude -Itests tests/e2e/main.cpp -o "$work/e2e" -pthread; then
  echo "0 passed, 1 failed"
  exit 1
fi
"$work/e2e" "$server" "$work/data" "$@"
status=$?
exit "$status"
