#!/usr/bin/env bash
# Writes every C++ file as `bash tests/run.sh format tidy` wants it: clang-format 14, and the rule before the name of a
# section (`// ------ name`) cut to fit its line.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mapfile -t files < <(find include tests bench examples -name '*.[hc]pp' | sort)
for file in "${files[@]}"; do
  while IFS=: read -r number line; do
    over=$((${#line} - 120))
    [ "$over" -le 0 ] || sed -i -E "${number}s/-{$over}-/-/" "$file"
  done < <(grep -nE '^ *// -{10,} ' "$file")
done
clang-format-14 -i "${files[@]}"
