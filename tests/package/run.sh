#!/usr/bin/env bash
# The package as its users meet it: installed into a fresh tree, moved to another place, and consumed by find_package,
# by pkg-config and by add_subdirectory; and every example built against the installed package alone.
# Usage: run.sh [CXX]. Closes with `N passed, M failed`.
set -uo pipefail

source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here="$source_dir/tests/package"
export CXX="${1:-${CXX:-g++}}"
command -v ninja >/dev/null && export CMAKE_GENERATOR=Ninja

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

check() { # NAME COMMAND...: the command succeeds
  local name=$1 output="$work/output.$BASHPID"
  shift
  if "$@" >"$output" 2>&1; then
    echo passed >>"$work/answers"
  else
    echo "FAILED package: $name"$'\n'"$(tail -n 30 "$output")" >>"$work/answers"
  fi
}

check_refused() { # NAME TEXT COMMAND...: the command fails and says TEXT
  check "$1 should be refused with '$2'" refused "${@:2}"
}

refused() { # TEXT COMMAND...
  local output
  ! output=$("${@:2}" 2>&1) && grep -q "$1" <<<"$output"
}

consume() { # FOLDER BUILD [OPTION...]: configures, builds and runs a consumer
  local folder=$1 build=$2
  shift 2
  cmake -S "$folder" -B "$build" "$@" && cmake --build "$build" && "$build/consumer"
}

by_pkg_config() {
  local PKG_CONFIG_PATH="$prefix/share/pkgconfig" flags
  export PKG_CONFIG_PATH
  flags=$(pkg-config --cflags "raft = $version") || return 1
  # shellcheck disable=SC2086 # the flags are words of their own
  "$CXX" -std=c++20 -DNDEBUG -DEXPECTED_CHECKED=0 $flags "$here/consumer.cpp" -o "$work/by_pkg_config" &&
    [ "$("$work/by_pkg_config")" = "$version" ]
}

only_headers_and_packages() { # what is installed, and nothing else
  local unexpected
  unexpected=$(cd "$prefix" && find . -type f ! -path './include/raft/*.hpp' ! -path './share/cmake/raft/*.cmake' \
    ! -path ./share/pkgconfig/raft.pc) || return 1
  [ -z "$unexpected" ] || { echo "$unexpected"; return 1; }
  diff <(cd "$source_dir" && find include/raft -name '*.hpp' | sort) <(cd "$prefix" && find include -type f | sort)
}

example() { # FOLDER: copied out of the tree, so that nothing but the package can be found; with its tests, if any
  local name
  name=$(basename "$1")
  mkdir -p "$work/alone" && cp -r "$1" "$work/alone/$name" &&
    cmake -S "$work/alone/$name" -B "$work/example-$name" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=None &&
    cmake --build "$work/example-$name" && ctest --test-dir "$work/example-$name" --output-on-failure
}

prefix="$work/moved"
version=$(sed -n 's/^#define RAFT_VERSION_[A-Z]* \([0-9]*\)$/\1/p' "$source_dir/include/raft/version.hpp" | paste -sd.)
major=${version%%.*}
minor=$(cut -d. -f2 <<<"$version")

install_the_package() {
  cmake -S "$source_dir" -B "$work/build" -DCMAKE_INSTALL_PREFIX="$work/installed" -DRAFT_BUILD_TESTS=OFF \
    -DRAFT_BUILD_BENCH=OFF -DRAFT_BUILD_EXAMPLES=OFF && cmake --install "$work/build" && mv "$work/installed" "$prefix"
}
check "install" install_the_package
check "nothing but headers and packages" only_headers_and_packages

consumers() {
  local found="-DCMAKE_PREFIX_PATH=$prefix"
  check "find_package" consume "$here/find_package" "$work/found" "$found"
  check "find_package, this version" consume "$here/find_package" "$work/same" "$found" -DWANTED_VERSION="$version"
  check_refused "find_package, a later minor version" "considered but not accepted" \
    cmake -S "$here/find_package" -B "$work/later" "$found" -DWANTED_VERSION="$major.$((minor + 1))"
  check_refused "find_package, a later major version" "considered but not accepted" \
    cmake -S "$here/find_package" -B "$work/major" "$found" -DWANTED_VERSION="$((major + 1)).0"
  check "pkg-config" by_pkg_config
  check "add_subdirectory" consume "$here/add_subdirectory" "$work/sub" -DRAFT_SOURCE="$source_dir"
  check "add_subdirectory, checked" consume "$here/add_subdirectory" "$work/checked" -DRAFT_SOURCE="$source_dir" \
    -DRAFT_CHECKED=ON
}

consumers &
for file in "$source_dir"/examples/*/CMakeLists.txt; do
  folder=$(dirname "$file")
  check "example $(basename "$folder") alone" example "$folder"
done
wait

grep -v '^passed$' "$work/answers"
passed=$(grep -c '^passed$' "$work/answers")
failed=$(grep -c '^FAILED ' "$work/answers")
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
