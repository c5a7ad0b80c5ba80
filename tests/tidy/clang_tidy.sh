#!/usr/bin/env bash
# clang-tidy 14 over the headers, seen through a few translation units, because each costs 10 s and more:
# two_units_main.cpp includes every header and makes a node, service.cpp is all of raft-kv but its sockets.
# Closes with `N passed, M failed`.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd include && find raft -name '*.hpp' ! -path '*/impl/*' | sort | sed 's/.*/#include <&>/') >"$work/all_headers.hpp"

check() { # FILE: its findings, one file of them for each
  clang-tidy-14 --quiet "$1" -- -std=c++20 -Iinclude -I"$2" >"$2/$(tr / _ <<<"$1")" 2>/dev/null && echo passed && return
  cat "$2/$(tr / _ <<<"$1")"
  echo "FAILED $1"
}
export -f check

printf '%s\0' tests/compile/two_units_main.cpp examples/kv/src/service.cpp examples/three_nodes/main.cpp |
  xargs -0 -P "$(nproc)" -I{} bash -c 'check "$1" "$2"' _ {} "$work" >"$work/answers"
grep -v '^passed$' "$work/answers"
passed=$(grep -c '^passed$' "$work/answers")
failed=$(grep -c '^FAILED ' "$work/answers")
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
