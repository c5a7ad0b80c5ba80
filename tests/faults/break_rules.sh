#!/usr/bin/env bash
# Breaks rules on purpose, one at a time, in a copy, and shows that tests/faults/run.sh catches each with real servers:
# a run that finds nothing in a server that answers stale reads is worth nothing.
#
#   bash tests/faults/break_rules.sh              every rule in the list below; some minutes each
#   bash tests/faults/break_rules.sh NAME...      those
#   bash tests/faults/break_rules.sh --texts      only looks whether every rule's text is there, once
#
# SEEDS (3) seeds of SECONDS_EACH (60) seconds are tried before a broken rule counts as not caught.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

names=()
declare -A file from to
rule() { # NAME FILE FROM TO
  names+=("$1")
  file[$1]=$2
  from[$1]=$3
  to[$1]=$4
}

rule reads_without_a_round include/raft/impl/read.hpp \
  'if (!options_.lease_reads || !holds_lease(lead)) return lead.round + 1;' \
  'if (!options_.lease_reads || !holds_lease(lead)) return 0;'
rule reads_at_followers_without_the_leader examples/kv/src/service.cpp \
  'const bool may_be_old = c.stale_ms != 0 && !desk_.leading();
  if (may_be_old && engine_->read_stale(std::chrono::milliseconds(c.stale_ms))) {' \
  'if (!desk_.leading()) {'
rule votes_without_comparing_logs include/raft/impl/election.hpp \
  'const term_t own = log_.term_at(log_.last_index());' \
  'const term_t own{}; if (own < last_log_term.next()) return true;'
rule answers_of_sessions_not_kept include/raft/sessions.hpp 'keep(slots_[slot], serial, reply.answer);' ''
rule damaged_entries_taken include/raft/codec.hpp 'if (tail_check != load_le<std::uint32_t>(from + 12)) {' \
  'if (false) {'
rule unknown_called_refused examples/kv/src/desk.hpp \
  'what == raft::fate::dropped ? texts::try_again : texts::unknown;' 'texts::try_again;'
rule connections_never_given_up examples/kv/src/link_sockets.cpp '  give_up_soon(s);
  l.now' '  l.now'

chosen=("$@")
[ $# -gt 0 ] && [ "$1" != --texts ] || chosen=("${names[@]}")
caught=0
for name in "${chosen[@]}"; do
  [ -n "${file[$name]:-}" ] || { echo "no rule is called $name" >&2; exit 2; }
  copy=$scratch/$name
  mkdir "$copy"
  cp -r include examples "$copy"
  python3 tests/support/break_rule.py "$copy/${file[$name]}" "${from[$name]}" "${to[$name]}" || continue
  if [ "${1:-}" = --texts ]; then
    caught=$((caught + 1))
    continue
  fi
  # As one unit, since each reads the whole engine.
  (cd "$copy/examples/kv/src" && printf '#include "%s"\n' *.cpp) >"$copy/examples/kv/src/all.cc"
  "${CXX:-g++}" -std=c++20 -w -O1 -DASIO_STANDALONE -DASIO_NO_DEPRECATED -I"$copy/include" -x c++ \
    "$copy/examples/kv/src/all.cc" -o "$copy/raft-kv" -pthread
  word="NOT CAUGHT"
  for seed in $(seq 1 "${SEEDS:-3}"); do
    TMPDIR=$scratch RAFT_KV="$copy/raft-kv" bash tests/faults/run.sh --seconds "${SECONDS_EACH:-60}" \
      --seed "$seed" >"$copy/out" 2>&1 || true
    # A machine that is too busy to begin catches nothing.
    if grep -q '^ok     the cluster begins' "$copy/out" && grep -q '^FAILED' "$copy/out"; then
      word="caught with seed $seed: $(grep -m 1 '^FAILED' "$copy/out" | cut -c 1-150)"
      caught=$((caught + 1))
      break
    fi
  done
  printf '%-40s %s\n' "$name" "$word"
  rm -rf "$copy" "$scratch"/raft-faults.*
done
echo "$caught passed, $((${#chosen[@]} - caught)) failed"
[ "$caught" = "${#chosen[@]}" ]
