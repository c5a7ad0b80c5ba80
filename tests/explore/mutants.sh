#!/usr/bin/env bash
# Breaks seven classic rules in a copy of the engine, one at a time, and shows that the explorer finds each: in which
# scope, by which invariant, with a story of how many steps. A scope that finds nothing proves nothing, so this is a
# test of the scopes and of the invariants.
#
#   bash tests/explore/mutants.sh             all of them
#   bash tests/explore/mutants.sh --quick     three of them, that small scopes find
#   bash tests/explore/mutants.sh NAME...     those
#   bash tests/explore/mutants.sh --texts     only looks whether every rule's text is in the engine, once
#
# CXX and CXXFLAGS can be set; STORIES=1 prints the stories. Assertions are off: what finds a mutant is an invariant.
# Exits 1 if a mutant was not found.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

names=()
declare -A file from to scope
rule() { # NAME SCOPE FILE FROM TO
  names+=("$1")
  scope[$1]=$2
  file[$1]=include/raft/$3
  from[$1]=$4
  to[$1]=$5
}

rule vote_without_comparing_logs elections impl/election.hpp \
  'const term_t own = log_.term_at(log_.last_index());' \
  'const term_t own{}; if (own < last_log_term.next()) return true;'
rule vote_forgotten_on_crash two_crashes impl/step.hpp '  refresh_configuration();
  const snapshot_meta& snapshot = log_.snapshot();
  last_applied_ = index_t{};' '  refresh_configuration();
  hard_.voted_for = nobody;
  const snapshot_meta& snapshot = log_.snapshot();
  last_applied_ = index_t{};'
rule commit_an_old_term_by_counting figure_8 impl/commit.hpp \
  'if (held <= commit_index_ || log_.term_at(held) != term()) return;' 'if (held <= commit_index_) return;'
rule commit_without_the_match heartbeats impl/following.hpp \
  'set_commit_index(std::min(request.leader_commit, end));' \
  'set_commit_index(std::min(request.leader_commit, log_.last_index()));'
rule joint_quorum_is_of_the_union joint_change quorum.hpp \
  'return c.joint() ? std::min(incoming, detail::majority_of_outgoing<value>(c.outgoing, value_of)) : incoming;' \
  'if (!c.joint()) return incoming;
  std::vector<node_id> all = c.voters;
  for (const node_id id : c.outgoing) {
    if (std::find(all.begin(), all.end(), id) == all.end()) all.push_back(id);
  }
  std::sort(all.begin(), all.end());
  return detail::majority_of<value>(all, value_of);'
rule truncate_on_every_append one_entry impl/following.hpp \
  'const std::uint32_t held = prev == log_.last_index() ? 0 : already_held(prev, batch);' \
  'const std::uint32_t held = 0;'
rule old_snapshot_installed late_snapshot impl/snapshot.hpp \
  'index <= commit_index_ || (index <= log_.last_index() && log_.term_at(index) == chunk.last_included_term);' \
  'index <= log_.snapshot().index;'

case "${1:-}" in
  '' | --texts) chosen=("${names[@]}") ;;
  --quick) chosen=(vote_forgotten_on_crash commit_without_the_match truncate_on_every_append) ;;
  *) chosen=("$@") ;;
esac

break_rule() { # NAME DIRECTORY: the engine in DIRECTORY/include, with one rule broken
  cp -r include "$2/include"
  python3 tests/support/break_rule.py "$2/${file[$1]}" "${from[$1]}" "${to[$1]}"
}

good=0
for name in "${chosen[@]}"; do
  [ -n "${file[$name]:-}" ] || { echo "no rule is called $name" >&2; exit 2; }
  mkdir "$scratch/$name"
  if ! break_rule "$name" "$scratch/$name"; then continue; fi
  if [ "${1:-}" = --texts ]; then
    good=$((good + 1))
  else
    "${CXX:-g++}" -std=c++20 -w ${CXXFLAGS:--O2} -DRAFT_CHECKED=0 -pthread -I"$scratch/$name/include" \
      tests/explore/raft_explore.cpp -o "$scratch/$name/raft_explore"
    status=0
    "$scratch/$name/raft_explore" --scope "${scope[$name]}" >"$scratch/$name/out" || status=$?
    broken=$(sed -n 's/^ *broken: //p' "$scratch/$name/out")
    if [ "$status" = 1 ] && [ -n "$broken" ]; then
      good=$((good + 1))
      printf '%-32s found in %-14s %9s states, %2s steps: %s\n' "$name" "${scope[$name]}" \
        "$(awk '$2 == "BROKEN" { print $3 }' "$scratch/$name/out")" \
        "$(sed -n 's/.*(a story of \([0-9]*\) steps).*/\1/p' "$scratch/$name/out")" "$broken"
      [ -z "${STORIES:-}" ] || sed -n 's/^  /    /p' "$scratch/$name/out"
    else
      printf '%-32s NOT FOUND in %s\n' "$name" "${scope[$name]}"
      tail -n 5 "$scratch/$name/out"
    fi
  fi
  rm -rf "${scratch:?}/$name"
done
echo "$good passed, $((${#chosen[@]} - good)) failed"
[ "$good" = "${#chosen[@]}" ]
