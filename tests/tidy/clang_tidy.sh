#!/usr/bin/env bash
# clang-tidy 14 over the headers, seen through the translation units below; the examples too. Few, because each costs
# seconds; two_units_main.cpp includes every header and makes a node. Closes with `N passed, M failed`.
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

find tests/compile/two_units_main.cpp examples -name '*.cpp' -print0 |
  xargs -0 -P "$(nproc)" -I{} bash -c 'check "$1" "$2"' _ {} "$work" >"$work/answers"
grep -v '^passed$' "$work/answers"
passed=$(grep -c '^passed$' "$work/answers")
failed=$(grep -c '^FAILED ' "$work/answers")
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
