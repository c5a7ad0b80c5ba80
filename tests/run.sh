#!/usr/bin/env bash
# Builds and runs the tests. On a fresh Debian 12 (as root, or with sudo) it first installs what is missing.
#
#   bash tests/run.sh              all groups of the default set
#   bash tests/run.sh NAME...      those groups
#   bash tests/run.sh --help       the groups
#
# Output of a group that passes goes to build/logs/NAME.log; of one that fails, here too. The last line is
# `N passed, M failed`, counted in tests; the exit code is 0 only if nothing failed and every group tested something.
# A group that this machine forbids is named above that line, and is neither passed nor failed.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
export LC_ALL=C.UTF-8
jobs=$(nproc)

# ---------------------------------------------------------------------------------------------------- groups
#
# A group NAME is a function group_NAME, a line about it, the packages that it needs. It prints what it ran, closes each
# part with a line of ctest or with `N passed, M failed`, and answers non-zero if something failed.

default_groups=()
declare -A about needs

group() { # NAME ABOUT PACKAGE...
  local name=$1
  default_groups+=("$name")
  about[$name]=$2
  needs[$name]="${*:3}"
}

basics="g++ cmake ninja-build python3"

group format "every C++ file is as clang-format 14 writes it" clang-format-14
group tidy "the house's own rules, and clang-tidy 14" python3 g++ clang-tidy-14
group unit "a test file for each header" $basics doctest-dev
group paper "a test for each sentence of the paper's Figure 2 and section 5" $basics doctest-dev
group stories "worked examples from the literature and from other engines' bugs" $basics doctest-dev
group file_log "the log on files: crashes, damage, full disks" $basics doctest-dev
group sim "the seeded simulator: faults, invariants, liveness" $basics doctest-dev
group every "crashes at every write, damage to every byte" $basics doctest-dev
group explore "every state of small clusters, and the mutants that this finds" $basics doctest-dev
group constexpr "a cluster in constant evaluation, g++ and clang 19" g++ clang-19
group compile "headers alone, two units, no exceptions, 32 bits, what the compilers say" python3 g++ clang-14 clang-19
[ "$(uname -m)" != x86_64 ] || needs[compile]+=" g++-multilib"
group package "consumers of the installed package, examples alone" $basics pkg-config libasio-dev
group asan "the tests built by clang 19, under AddressSanitizer and UndefinedBehaviorSanitizer" \
  $basics doctest-dev clang-19 libclang-rt-19-dev
group clang14 "the tests built by clang 14, without exceptions and RTTI" $basics doctest-dev clang-14
group fuzz "hostile bytes into codec and step, FUZZ_SECONDS (10) each" clang-19 libclang-rt-19-dev
group e2e "real servers, real clients, kill -9" $basics libasio-dev redis-tools procps
group faults "real servers in network namespaces: links, packets, processes, disks, clocks" $basics libasio-dev iproute2
# By name only.
by_name=(asan_sim clang19 coverage mutants)
about[asan_sim]="the simulator's own tests, under AddressSanitizer and UndefinedBehaviorSanitizer"
needs[asan_sim]="${needs[asan]}"
about[clang19]="what asan runs, built by clang 19 without sanitizers"
needs[clang19]="$basics doctest-dev clang-19"
about[mutants]="the engine broken on purpose, row by row: what notices it (10 min)"
needs[mutants]="g++ python3 doctest-dev"
about[coverage]="lines and branches of include/raft that the tests run"
needs[coverage]="$basics doctest-dev"

# ---------------------------------------------------------------------------------------------------- means

count() { # PASSED FAILED: closes a part of a group
  echo "$1 passed, $2 failed"
  [ "$2" = 0 ] && [ "$1" != 0 ]
}

configure() { # PRESET: Ninja builds it, if it was never configured
  if [ ! -e "build/$1/CMakeCache.txt" ]; then
    CMAKE_GENERATOR=Ninja cmake --preset "$1"
  else
    cmake --preset "$1"
  fi
}

build() { # PRESET TARGET...: builds as much as can be built
  local preset=$1 go_on=-k
  grep -q '^CMAKE_GENERATOR:.*=Ninja' "build/$preset/CMakeCache.txt" && go_on=-k0
  cmake --build --preset "$preset" -j "$jobs" --target "${@:2}" -- "$go_on"
}

with_ctest() { # PRESET LABEL...: builds and runs the tests with these labels; one that does not build counts as failed
  local preset=$1 labels status=0
  labels=$(IFS='|' && echo "${*:2}")
  shift
  configure "$preset" || return 1
  build "$preset" "${@/#/raft_tests_}" || status=1
  ctest --preset "$preset" -j "$jobs" -L "^($labels)\$" || status=1
  return $status
}

# ---------------------------------------------------------------------------------------------------- the groups

group_format() {
  local said files wrong status=0
  files=$(find include tests bench examples -name '*.[hc]pp' | sort)
  said=$(xargs -P "$jobs" -n 8 clang-format-14 --dry-run -Werror <<<"$files" 2>&1) || status=1
  echo "$said"
  wrong=$(sed -n 's/^\([^:]*\):[0-9].*error: code should be clang-formatted.*/\1/p' <<<"$said" | sort -u | wc -l)
  count $(($(wc -l <<<"$files") - wrong)) "$wrong" || status=1
  return $status
}

group_tidy() {
  local status=0
  python3 tests/tidy/check_test.py || status=1
  python3 tests/tidy/check.py || status=1
  bash tests/mutants.sh --check || status=1
  bash tests/faults/break_rules.sh --texts || status=1
  bash tests/tidy/clang_tidy.sh || status=1
  return $status
}

group_unit() { with_ctest dev unit; }
group_paper() { with_ctest dev paper; }
group_stories() { with_ctest dev stories; }
group_file_log() { with_ctest dev file_log; }
group_sim() { with_ctest dev seeds sim; }
group_every() { with_ctest dev every; }

group_explore() {
  local status=0
  with_ctest dev explore || status=1
  bash tests/mutants.sh --explorer || status=1
  return $status
}

group_constexpr() { # both compilers at a time
  local passed=0 failed=0 file one running
  local flags="-std=c++20 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -Iinclude -Itests -fsyntax-only"
  local gcc="g++ -fconstexpr-ops-limit=2000000000 -fconstexpr-loop-limit=100000000"
  local clang="clang++-19 -fconstexpr-steps=2000000000"
  for file in tests/constexpr/*.cpp; do
    running=()
    # shellcheck disable=SC2086 # the flags are words of their own
    $gcc $flags "$file" & running+=("g++ $!")
    # shellcheck disable=SC2086
    $clang $flags "$file" & running+=("clang++-19 $!")
    for one in "${running[@]}"; do
      if wait "${one##* }"; then
        passed=$((passed + 1))
      else
        echo "FAILED ${one%% *} $file"
        failed=$((failed + 1))
      fi
    done
  done
  count "$passed" "$failed"
}

group_compile() { python3 tests/compile/run.py; }
group_package() { bash tests/package/run.sh; }
group_asan() { with_ctest asan unit paper stories file_log seeds; }
group_asan_sim() { with_ctest asan sim every; }
group_clang14() { with_ctest clang14 unit paper stories; }
group_clang19() { with_ctest clang19 unit paper stories file_log seeds; }

fuzz_one() { # NAME_fuzz.cpp: builds and runs one target; its corpus, if it has one, is in corpus/NAME
  local name corpus=() out=build/fuzz
  name=$(basename "$1" _fuzz.cpp)
  [ -d "tests/fuzz/corpus/$name" ] && corpus=("tests/fuzz/corpus/$name")
  mkdir -p "$out/$name.found" &&
    clang++-19 -std=c++20 -O1 -g -Iinclude -Itests -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
      -D_GLIBCXX_ASSERTIONS "$1" -o "$out/$name" &&
    "$out/$name" -max_total_time="${FUZZ_SECONDS:-10}" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
      -artifact_prefix="$out/$name." "$out/$name.found" "${corpus[@]}"
}
export -f fuzz_one

group_fuzz() {
  local passed=0 failed=0 file running=() files=(tests/fuzz/*_fuzz.cpp)
  for file in "${files[@]}"; do
    fuzz_one "$file" >"build/logs/$(basename "$file").log" 2>&1 &
    running+=($!)
  done
  for file in "${!files[@]}"; do
    if wait "${running[$file]}"; then
      passed=$((passed + 1))
    else
      failed=$((failed + 1))
      echo "FAILED ${files[$file]}"
    fi
    tail -n 40 "build/logs/$(basename "${files[$file]}").log"
  done
  count "$passed" "$failed"
}

built_kv=build/release/examples/kv/raft-kv

group_e2e() {
  configure release && build release raft-kv && RAFT_KV=$built_kv bash tests/e2e/run.sh
}

group_faults() {
  configure release && build release raft-kv && RAFT_KV=$built_kv bash tests/faults/run.sh
}

group_mutants() { bash tests/mutants.sh --all; }

group_coverage() {
  find build/coverage -name '*.gcda' -delete 2>/dev/null
  with_ctest coverage unit paper stories file_log seeds sim && python3 tests/support/coverage.py build/coverage --missed
}

# ---------------------------------------------------------------------------------------------------- running them

usage() {
  sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//'
  printf '\nGroups:\n'
  local name
  for name in "${default_groups[@]}" "${by_name[@]}"; do
    printf '  %-10s %s\n' "$name" "${about[$name]}"
  done
  printf 'Without a name all but these run: %s.\n' "${by_name[*]}"
}

totals() { # LOG: adds up the closing lines of a group: "passed failed"
  awk '
    /tests passed, [0-9]+ tests failed out of [0-9]+/ {
      match($0, /[0-9]+ tests failed/); bad = substr($0, RSTART, RLENGTH) + 0
      match($0, /out of [0-9]+/); all = substr($0, RSTART + 7, RLENGTH - 7) + 0
      passed += all - bad; failed += bad
    }
    /^[0-9]+ passed, [0-9]+ failed$/ { passed += $1; failed += $3 }
    END { print passed + 0, failed + 0 }' "$1"
}

wanted=()
for argument in "$@"; do
  case $argument in
    -h | --help) usage && exit 0 ;;
    *)
      [ -n "${about[$argument]:-}" ] || { echo "no group '$argument'; --help lists them" >&2 && exit 2; }
      wanted+=("$argument")
      ;;
  esac
done
[ ${#wanted[@]} -gt 0 ] || wanted=("${default_groups[@]}")

packages=()
for name in "${wanted[@]}"; do
  read -r -a words <<<"${needs[$name]}"
  packages+=("${words[@]}")
done
mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)
bash tests/support/install.sh "${packages[@]}" || exit 1

mkdir -p build/logs
all_passed=0
all_failed=0
table=""
skipped=""
forbidden=77 # the exit code of a group that the machine forbids, and that has said so
for name in "${wanted[@]}"; do
  printf '%s: %s\n' "$name" "${about[$name]}"
  log="build/logs/$name.log"
  began=$SECONDS
  ("group_$name") >"$log" 2>&1 </dev/null
  status=$?
  read -r passed failed < <(totals "$log")
  word=passed
  if [ $status = $forbidden ] && [ "$passed $failed" = "0 0" ] && reason=$(grep '^SKIPPED: ' "$log"); then
    word=skipped
    skipped+="NOT TESTED here: $name: ${reason#SKIPPED: }"$'\n'
  elif [ "$failed" = 0 ] && { [ $status != 0 ] || [ "$passed" = 0 ]; }; then
    failed=1
  fi
  if [ "$failed" != 0 ]; then
    word=FAILED
    tail -n 300 "$log"
  elif [ "$name" = coverage ] || [ "$name" = mutants ]; then
    cat "$log"
  fi
  all_passed=$((all_passed + passed))
  all_failed=$((all_failed + failed))
  table+=$(printf '%-10s %-7s %6d %6d %5d s' "$name" "$word" "$passed" "$failed" $((SECONDS - began)))$'\n'
done

printf '\n%-10s %-7s %6s %6s %7s\n%s\n' group "" passed failed time "$table"
echo "took $((SECONDS / 60)) min $((SECONDS % 60)) s"
printf '%s' "$skipped"
echo "$all_passed passed, $all_failed failed"
[ "$all_failed" = 0 ] && [ "$all_passed" != 0 ]
