#!/usr/bin/env bash
# Bytes of a node with empty policies, seconds to compile, and bytes of .text of one instantiation, for each compiler
# that is installed (g++-12 clang++-14 clang++-19, or those named).
#
#   bench/size/run.sh [compiler ...]

set -euo pipefail
cd "$(dirname "$0")"
source ../support/build.sh
need size binutils
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

flags=(-std=c++20 -DNDEBUG -I../../include)

# seconds FILE FLAGS...: the best of three.
seconds() {
  local best=999 took
  for _ in 1 2 3; do
    took=$({ TIMEFORMAT=%U; time "$compiler" "${flags[@]}" "${@:2}" -c "$1" -o "$work/timed.o"; } 2>&1)
    best=$(printf '%s\n%s\n' "$best" "$took" | sort -g | head -1)
  done
  printf %s "$best"
}

# text FLAGS...: bytes of all sections of code of the instantiation.
text() {
  "$compiler" "${flags[@]}" "$@" -c instantiated.cpp -o "$work/sized.o"
  size -A "$work/sized.o" | awk '$1 ~ /^\.text/ { sum += $2 } END { printf "%d", sum }'
}

printf '%-12s%14s%16s%16s%12s%12s%12s\n' \
  compiler 'sizeof(node)' 'headers, s' 'one node -O2, s' '.text -Os' '.text -O2' '.text -O3'
[[ $# != 0 ]] || set -- g++-12 clang++-14 clang++-19
for compiler; do
  command -v "$compiler" >/dev/null || continue
  os=$(text -Os) o3=$(text -O3) o2=$(text -O2)
  bytes=$((16#$(nm -S "$work/sized.o" | awk '$4 == "sizeof_node" { print $2 }')))
  printf '%-12s%14s%16s%16s%12s%12s%12s\n' "$compiler" "$bytes" "$(seconds headers_only.cpp -O2)" \
    "$(seconds instantiated.cpp -O2)" "$os" "$o2" "$o3"
done
