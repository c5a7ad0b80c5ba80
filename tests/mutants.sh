#!/usr/bin/env bash
# Breaks the engine on purpose, one mutant at a time, and prints what notices it: see tests/mutants/README.md.
#
#   bash tests/mutants.sh              the three rules that everything rests on
#   bash tests/mutants.sh --all        every patch in tests/mutants/rows, by tests, the simulator, the explorer
#   bash tests/mutants.sh --fast       every patch that a test kills, by tests alone
#   bash tests/mutants.sh --explorer   every patch that the explorer finds, by it alone
#   bash tests/mutants.sh --features   every feature of the table in include/raft/README.md, by the test named there
#   bash tests/mutants.sh B60 rule_... those whose names begin so
#   bash tests/mutants.sh --general    every operator, condition and statement of the headers, by tests alone (27 min)
#   bash tests/mutants.sh --check      whether every patch applies and names what is there; builds nothing
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ "${1:-}" = --check ] || bash tests/support/install.sh g++ python3 doctest-dev
if [ "${1:-}" = --general ]; then
  bash tests/support/install.sh clang-19 libclang-19-dev python3-clang-19
  exec nice python3 tests/mutants/general.py "${@:2}"
fi
exec nice python3 tests/mutants/rows.py "$@"
