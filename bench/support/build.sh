# Sourced by the scripts of bench/: what they need is installed by name, and a release is built.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${RAFT_BENCH_BUILD:-$here/build/bench}

# need COMMAND PACKAGE ...: installs the packages of Debian if the command (or the file) is not there.
need() {
  local what=$1
  shift
  if command -v "$what" >/dev/null || [[ -e $what ]]; then return; fi
  local as_root=()
  [[ $(id -u) == 0 ]] || as_root=(sudo)
  echo "installing $*" >&2
  "${as_root[@]}" apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
    { "${as_root[@]}" apt-get update -qq &&
        "${as_root[@]}" apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }
}

# build TARGET ...: a release of these, in $build.
build() {
  need cmake cmake
  need ninja ninja-build
  need g++ g++
  cmake -S "$here" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE="-O2 -DNDEBUG" \
    -DRAFT_BUILD_BENCH=ON -DRAFT_BUILD_TESTS=OFF -DRAFT_BUILD_EXAMPLES=OFF -DRAFT_CHECKED=OFF ${RAFT_BENCH_CMAKE:-} >&2
  cmake --build "$build" --target "$@" >&2
}
