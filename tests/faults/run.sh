#!/usr/bin/env bash
# Real raft-kv servers in network namespaces of their own, under faults: links cut, one-way, late and lossy, kill -9,
# SIGSTOP, full disks, clocks stepped, members replaced. Concurrent clients; every history is checked.
#
#   bash tests/faults/run.sh                             the short form: 18 s of faults
#   bash tests/faults/run.sh --minutes 10 --seed 1       the long form
#   RAFT_KV=FILE bash tests/faults/run.sh ...            with that server instead of the release preset's
#
# As root, or where users may make namespaces. No packet leaves the namespaces, which end with the run, however that
# ends. The servers' logs, the rounds and the history are kept where something failed. The last line is
# `N passed, M failed`, or `SKIPPED: ...` with the reason (exit code 77) on a machine that forbids namespaces.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
seconds=18
seed=1
while [ $# -ge 2 ]; do
  case $1 in
    --minutes) seconds=$((60 * $2)) ;;
    --seconds) seconds=$2 ;;
    --seed) seed=$2 ;;
    *) break ;;
  esac
  shift 2
done
[ $# = 0 ] || { sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//' && exit 2; }

. tests/support/kv/server.sh

work=$(mktemp -d "${TMPDIR:-/tmp}/raft-faults.XXXXXX")
status=1
running=
finish() {
  [ -z "$running" ] || kill "$running" 2>/dev/null
  wait
  case $status in
    0 | 77 | 130) rm -rf "$work" ;;
    *)
      echo "logs, rounds and history are in $work" >&2
      echo "again: bash tests/faults/run.sh --seconds $seconds --seed $seed" >&2
      ;;
  esac
}
trap finish EXIT
trap 'status=130; exit 130' INT TERM

flags="-std=c++20 -O1 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -Iinclude -Itests"
# shellcheck disable=SC2086 # the flags are words of their own
if ! "${CXX:-g++}" $flags -shared -fPIC tests/faults/clock_shim.cpp -o "$work/clock_shim.so" ||
  ! "${CXX:-g++}" $flags tests/faults/main.cpp -o "$work/faults" -pthread; then
  echo "0 passed, 1 failed"
  exit 1
fi
echo "seed $seed, $seconds s of faults"
"$work/faults" "$server" "$work/clock_shim.so" "$work/data" "$seconds" "$seed" &
running=$!
wait "$running"
status=$?
running=
exit "$status"
