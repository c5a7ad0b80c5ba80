#!/usr/bin/env bash
# Takes into a fuzzer's corpus what its last runs found, and keeps of all that as few inputs as reach the same code.
# Usage, after tests/run.sh fuzz has built it: minimise.sh NAME
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

name=${1:?"which fuzzer?"}
kept=build/fuzz/$name.kept
rm -rf "$kept"
mkdir -p "$kept" "build/fuzz/$name.found" "tests/fuzz/corpus/$name"
"build/fuzz/$name" -set_cover_merge=1 -use_counters=0 "$kept" "tests/fuzz/corpus/$name" "build/fuzz/$name.found" \
  2>"build/fuzz/$name.merge.log"
rm -rf "tests/fuzz/corpus/$name"
mv "$kept" "tests/fuzz/corpus/$name"
echo "$name: $(find "tests/fuzz/corpus/$name" -type f | wc -l) inputs"
