#!/usr/bin/env bash
# What the fuzzers' corpora reach: lines and branches of the files that each aims at, by clang's coverage.
#
#   bash tests/fuzz/coverage.sh              all of them
#   bash tests/fuzz/coverage.sh NAME...      those; what a run has found lately (build/fuzz/NAME.found) counts, too
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

declare -A aims=(
  [codec]="include/raft/codec.hpp include/raft/codec_layout.hpp include/raft/entry.hpp include/raft/configuration.hpp"
  [step]="include/raft/node.hpp include/raft/impl include/raft/forwarding.hpp include/raft/remote_reads.hpp
    include/raft/durability.hpp include/raft/lease.hpp include/raft/progress.hpp include/raft/transfer.hpp
    include/raft/window.hpp include/raft/configuration_change.hpp include/raft/memory_log.hpp
    include/raft/entry_store.hpp"
  [recovery]="include/raft/file_log/format.hpp include/raft/file_log/recovery.hpp include/raft/file_log/replay.hpp"
  [resp]="examples/kv/src/resp.hpp examples/kv/src/state.hpp examples/kv/src/command.hpp"
)
names=("$@")
[ ${#names[@]} -gt 0 ] || mapfile -t names < <(printf '%s\n' "${!aims[@]}" | sort)

out=build/fuzz/coverage
mkdir -p "$out"
for name in "${names[@]}"; do
  [ -n "${aims[$name]:-}" ] || { echo "no files are named that '$name' aims at" >&2 && exit 2; }
  mapfile -t files < <(tr -s ' \n' '\n' <<<"${aims[$name]}")
  clang++-19 -std=c++20 -O1 -g -Iinclude -Itests -fsanitize=fuzzer -fprofile-instr-generate -fcoverage-mapping \
    "tests/fuzz/${name}_fuzz.cpp" -o "$out/$name"
  corpus=("tests/fuzz/corpus/$name")
  [ ! -d "build/fuzz/$name.found" ] || corpus+=("build/fuzz/$name.found")
  LLVM_PROFILE_FILE="$out/$name.profraw" "$out/$name" -runs=0 "${corpus[@]}" 2>"$out/$name.log"
  llvm-profdata-19 merge -sparse "$out/$name.profraw" -o "$out/$name.profdata"
  echo "$name: $(find "${corpus[@]}" -type f | wc -l) inputs"
  llvm-cov-19 report "$out/$name" -instr-profile="$out/$name.profdata" -show-region-summary=false "${files[@]}"
done
