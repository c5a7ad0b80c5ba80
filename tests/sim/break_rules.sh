#!/usr/bin/env bash
# Breaks rules of the engine on purpose, one at a time, in a copy, and shows that the simulator catches each: by which
# invariant, after how many seeds. A simulator that misses one is worth nothing, so this is a test of the simulator.
#
#   bash tests/sim/break_rules.sh              the three rules that everything rests on
#   bash tests/sim/break_rules.sh --all        every rule in the list below
#   bash tests/sim/break_rules.sh NAME...      those
#
# CXX, CXXFLAGS and SEEDS (2000) can be set. Exits 1 if a broken rule was not caught, or if its text is not
# found in the engine exactly once: then the list has to follow the engine.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

names=()
declare -A file from to
rule() { # NAME FILE FROM TO
  names+=("$1")
  file[$1]=include/raft/impl/$2
  from[$1]=$3
  to[$1]=$4
}

# The three.
rule vote_not_persisted_before_the_reply election.hpp \
  'queue(m.from, request_vote_reply{granted}, speaks_for::term_and_vote);' \
  'send_now(m.from, request_vote_reply{granted});'
rule truncate_on_every_append following.hpp \
  'const std::uint32_t held = prev == log_.last_index() ? 0 : already_held(prev, batch);' \
  'const std::uint32_t held = 0;'
rule commit_an_old_term_by_counting commit.hpp \
  'if (held <= commit_index_ || log_.term_at(held) != term()) return;' \
  'if (held <= commit_index_) return;'

# More, after bugs that others shipped.
rule vote_erased_in_the_same_term election.hpp 'if (new_term > term()) {' 'if (new_term >= term()) {'
rule vote_without_comparing_logs election.hpp \
  'const term_t own = log_.term_at(log_.last_index());' \
  'const term_t own{}; if (own < last_log_term.next()) return true;'
rule own_vote_counts_at_once election.hpp \
  'self->own_vote_counted || !is_durable(hard_state_mark_)) return false;' 'self->own_vote_counted) return false;'
rule leader_counts_itself_before_its_disk commit.hpp 'const index_t own = durable_index();' \
  'const index_t own = log_.last_index();'
rule apply_before_durable commit.hpp 'const index_t upto = std::min(commit_index_, durable_index());' \
  'const index_t upto = commit_index_;'
rule follower_commits_what_was_not_compared following.hpp \
  'set_commit_index(std::min(request.leader_commit, end));' \
  'set_commit_index(std::min(request.leader_commit, log_.last_index()));'
rule acknowledgement_of_the_whole_log following.hpp \
  'append_entries_reply{true, std::min(end, durable_index()), {}, {}, log_.last_index(), request.round}' \
  'append_entries_reply{true, durable_index(), {}, {}, log_.last_index(), request.round}'
rule acknowledgement_before_durable following.hpp \
  'queue(m.from, append_entries_reply{true, end, {}, {}, last, request.round}, speaks_for::everything);' \
  'queue(m.from, append_entries_reply{true, end, {}, {}, last, request.round}, speaks_for::term_and_vote);'
rule match_taken_from_a_refusal replication.hpp 'if (reply.success) {' \
  'if (reply.success || reply.index <= log_.last_index()) {'
rule read_without_a_round read.hpp 'if (read.round > confirmed || read.index > last_applied_) break;' \
  'if (read.index > last_applied_) break;'
rule read_before_the_first_commit_of_the_term read.hpp 'std::max(commit_index_, lead->first_index)' 'commit_index_'
rule round_of_a_former_term_echoed step.hpp \
  'append_entries_reply{false, body.prev_log_index, {}, {}, log_.last_index(), 0}' \
  'append_entries_reply{false, body.prev_log_index, {}, {}, log_.last_index(), body.round}'
rule snapshot_stamped_with_the_current_term snapshot.hpp \
  'const snapshot_meta meta{last_applied_, log_.term_at(last_applied_),' \
  'const snapshot_meta meta{last_applied_, term(),'
rule timeouts_not_random election.hpp 'duration_of<duration>(low + static_cast<std::int64_t>(draw() % width))' \
  'duration_of<duration>(low + static_cast<std::int64_t>(width / 2))'
rule no_answer_to_a_lower_term step.hpp 'answer_lower_term(m, body);
  return false;' 'return false;'

case "${1:-}" in
  '') chosen=("${names[@]:0:3}") ;;
  --all) chosen=("${names[@]}") ;;
  *) chosen=("$@") ;;
esac

break_rule() { # NAME DIRECTORY: the engine in DIRECTORY/include, with one rule broken
  cp -r include "$2/include"
  python3 - "$2/${file[$1]}" "${from[$1]}" "${to[$1]}" <<'PYTHON'
import sys
path, old, new = sys.argv[1:]
text = open(path, encoding="utf-8").read()
found = text.count(old)
if found != 1:
    sys.exit(f"{path}: the text of the rule is there {found} times, not once:\n  {old}")
open(path, "w", encoding="utf-8").write(text.replace(old, new))
PYTHON
}

caught=0
for name in "${chosen[@]}"; do
  [ -n "${file[$name]:-}" ] || { echo "no rule is called $name" >&2; exit 2; }
  mkdir "$scratch/$name"
  break_rule "$name" "$scratch/$name"
  "${CXX:-g++}" -std=c++20 -w ${CXXFLAGS:--O1} -DRAFT_CHECKED=1 -I"$scratch/$name/include" tests/sim/raft_sim.cpp \
    -o "$scratch/$name/raft_sim"
  status=0
  "$scratch/$name/raft_sim" --seeds "1..${SEEDS:-2000}" >"$scratch/$name/out" || status=$?
  if [ "$status" = 0 ]; then
    printf '%-46s NOT CAUGHT in %s seeds\n' "$name" "${SEEDS:-2000}"
  else
    caught=$((caught + 1))
    seed=$(sed -n 's/^seed \([0-9]*\): .*/\1/p' "$scratch/$name/out" | head -n 1)
    what=$(sed -n 's/^seed [0-9]*: //p' "$scratch/$name/out" | head -n 1 | cut -c 1-150)
    printf '%-46s caught after %4s seeds: %s\n' "$name" "$seed" "$what"
  fi
  rm -rf "${scratch:?}/$name"
done
echo "$caught passed, $((${#chosen[@]} - caught)) failed"
[ "$caught" = "${#chosen[@]}" ]
