#!/usr/bin/env bash
# Breaks rules of the engine on purpose, one at a time, in a copy, and shows that the simulator catches each: by which
# invariant, after how many seeds. A simulator that misses one is worth nothing, so this is a test of the simulator.
#
#   bash tests/sim/break_rules.sh              the three rules that everything rests on
#   bash tests/sim/break_rules.sh --all        every rule in the list below
#   bash tests/sim/break_rules.sh NAME...      those
#   bash tests/sim/break_rules.sh --texts      only looks whether every rule's text is in the engine, once
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
  file[$1]=include/raft/$2
  from[$1]=$3
  to[$1]=$4
}

# The three.
rule vote_not_persisted_before_the_reply impl/election.hpp \
  'queue(m.from, request_vote_reply{granted}, speaks_for::term_and_vote);' \
  'send_now(m.from, request_vote_reply{granted});'
rule truncate_on_every_append impl/following.hpp \
  'const std::uint32_t held = prev == log_.last_index() ? 0 : already_held(prev, batch);' \
  'const std::uint32_t held = 0;'
rule commit_an_old_term_by_counting impl/commit.hpp \
  'if (held <= commit_index_ || log_.term_at(held) != term()) return;' \
  'if (held <= commit_index_) return;'

# More, after bugs that others shipped.
rule vote_erased_in_the_same_term impl/election.hpp 'if (new_term > term()) {' 'if (new_term >= term()) {'
rule vote_without_comparing_logs impl/election.hpp \
  'const term_t own = log_.term_at(log_.last_index());' \
  'const term_t own{}; if (own < last_log_term.next()) return true;'
rule own_vote_counts_at_once impl/election.hpp \
  'self->own_vote_counted || !is_durable(hard_state_mark_)) return false;' 'self->own_vote_counted) return false;'
rule leader_counts_itself_before_its_disk impl/commit.hpp 'const index_t own = durable_index();' \
  'const index_t own = log_.last_index();'
rule apply_before_durable impl/commit.hpp 'const index_t upto = std::min(commit_index_, durable_index());' \
  'const index_t upto = commit_index_;'
rule follower_commits_what_was_not_compared impl/following.hpp \
  'set_commit_index(std::min(request.leader_commit, end));' \
  'set_commit_index(std::min(request.leader_commit, log_.last_index()));'
rule acknowledgement_of_the_whole_log impl/following.hpp \
  'append_entries_reply{true, std::min(end, durable_index()), {}, {}, log_.last_index(), request.round}' \
  'append_entries_reply{true, durable_index(), {}, {}, log_.last_index(), request.round}'
rule acknowledgement_before_durable impl/following.hpp \
  'queue(m.from, append_entries_reply{true, end, {}, {}, last, request.round}, speaks_for::everything);' \
  'queue(m.from, append_entries_reply{true, end, {}, {}, last, request.round}, speaks_for::term_and_vote);'
rule match_taken_from_a_refusal impl/replication.hpp 'if (reply.success) {' \
  'if (reply.success || reply.index <= log_.last_index()) {'
rule promise_forgotten_by_a_restart impl/step.hpp \
  'if (options_.lease_reads) promise_.give(nobody, now_ + options_.election_timeout_min);' ''
rule promise_forgotten_with_the_term impl/election.hpp \
  '(!promise_.binds(m.from, now_) || asked_by_leader(m, request)) &&' ''
rule campaign_within_a_promise impl/election.hpp 'if (promise_.binds(id_, now_)) {' 'if (false) {'
rule every_election_asked_by_the_leader impl/election.hpp 'start_election({last, log_.term_at(last)});' \
  'start_election({last, log_.term_at(last), true});'
rule hands_over_to_who_lags impl/leadership.hpp '|| p->match != log_.last_index()) return;' ') return;'
rule proposals_while_handing_over impl/proposal.hpp 'if (transfer_.refuses)' 'if (false)'
rule transfer_without_an_end impl/leadership.hpp '} else if (now_ < transfer_.deadline) {' '} else {'
rule reluctance_without_end impl/leadership.hpp 'if (patient && unwilling()) {' 'if (unwilling()) {'
rule priority_without_decay transfer.hpp '>> (silent < 31 ? silent : 31)' '>> 0'
rule read_without_a_round impl/read.hpp 'if (read.round > confirmed || read.index > last_applied_) break;' \
  'if (read.index > last_applied_) break;'
rule read_before_the_first_commit_of_the_term impl/read.hpp 'std::max(commit_index_, lead->first_index)' 'commit_index_'
rule round_of_a_former_term_echoed impl/step.hpp \
  'append_entries_reply{false, body.prev_log_index, {}, {}, log_.last_index(), 0}' \
  'append_entries_reply{false, body.prev_log_index, {}, {}, log_.last_index(), body.round}'
rule snapshot_stamped_with_the_current_term impl/snapshot.hpp \
  'meta.term = log_.term_at(at);' 'meta.term = term();'
rule vote_from_an_empty_log_behind_a_snapshot impl/election.hpp \
  'const term_t own = log_.term_at(log_.last_index());' \
  'const bool none = log_.first_index() > log_.last_index();
  const term_t own = none ? term_t{} : log_.term_at(log_.last_index());'
rule pre_vote_raises_the_term impl/step.hpp 'if constexpr (std::same_as<Body, request_pre_vote>) return true;' \
  'if constexpr (std::same_as<Body, request_pre_vote>) {
    if (m.term >= term()) become_follower(m.term.next(), nobody);
    return true;
  }'
rule acknowledgement_of_a_former_term_counts impl/step.hpp 'if (body.asked == term()) return true;
  }' 'if (body.asked == term()) return true;
  }
  if constexpr (std::same_as<Body, append_entries_reply>) return true;'
rule match_goes_back impl/replication.hpp 'if (match > p.match) {' 'if (match != p.match) {'
rule compacted_entries_taken_for_a_conflict impl/following.hpp 'if (end <= known) return batch.count();' \
  'if (end <= known) return 0;'
rule idle_follower_never_learns_the_commit impl/replication.hpp \
  'append_entries{prev, prev_term, commit_index_, lead.round, {}}' \
  'append_entries{prev, prev_term, index_t{}, lead.round, {}}'
rule snapshot_wipes_a_longer_log impl/snapshot.hpp 'const bool held =
      index <= commit_index_ || (index <= log_.last_index() && log_.term_at(index) == chunk.last_included_term);' \
  'const bool held = index <= commit_index_;
  if (index < log_.last_index() && !held) truncate_from_ = index.next();'
rule installed_before_durable impl/snapshot.hpp 'installed ? speaks_for::everything : speaks_for::term_and_vote);' \
  'speaks_for::term_and_vote);'
rule session_window_off_by_one sessions.hpp 'raise_floor(s, serial - limits_.window);' \
  'raise_floor(s, serial - limits_.window + 1);'
rule session_answer_not_kept sessions.hpp 'keep(slots_[slot], serial, reply.answer);' ''
rule session_number_given_out_again sessions.hpp 'adopt(++last_id_, now_)' 'adopt(last_id_ = count_ + 1, now_)'
rule applied_while_being_restored impl/commit.hpp 'if (failed_ || snapshots_.to_restore) return;' 'if (failed_) return;'
rule overtaken_snapshot_goes_on impl/snapshot.hpp \
  'snapshots_.own = index_t{};  // The leader'"'"'s reaches further, or it would not have been sent.' ''
rule applied_while_a_snapshot_is_wanted impl/commit.hpp 'handed_over_ >= upto || snapshots_.wanted != index_t{}' \
  'handed_over_ >= upto'
rule cold_entries_asked_for_at_once impl/step.hpp 'const bool waits = entries_awaited_ ||' 'const bool waits ='
rule restored_before_durable impl/commit.hpp 'if (!is_durable(snapshots_.restore_mark)) return;' ''
rule snapshot_with_the_newest_configuration impl/snapshot.hpp 'if (at >= configuration_index_) {' 'if (true) {'
rule second_change_while_one_is_open impl/membership.hpp \
  'if (configuration_index_ > commit_index_) return' 'if (false) return'
rule change_before_a_commit_of_the_term impl/membership.hpp 'if (commit_index_ < lead->first_index) return' \
  'if (false) return'
rule cut_configuration_stays_in_force impl/settle.hpp 'if (from <= configuration_index_) refresh_configuration();' ''
rule joint_quorum_of_one_half quorum.hpp \
  'return c.joint() ? std::min(incoming, detail::majority_of_outgoing<value>(c.outgoing, value_of)) : incoming;' \
  'return incoming;'
rule old_mark_covers_a_new_entry durability.hpp '    index_ = std::min(index_, kept);
' ''
rule completions_out_of_order_jump_ahead durability.hpp \
  'if (early_[i].first.value > durable_.value + 1) {' 'if (false) {'
rule applied_forgotten_at_restart impl/step.hpp 'handed_over_ = last_applied_;
  commit_index_' 'handed_over_ = std::max(last_applied_, std::min(hard_.commit_hint, log_.last_index()));
  commit_index_'
rule uncommitted_bytes_leak impl/commit.hpp 'lead.uncommitted.release_to(held);' ''
rule bytes_in_flight_leak progress.hpp 'state = progress_state::probe;
    next = from > match ? from : match.next();
    waiting = false;
    prompt = true;
    inflight.clear();' 'state = progress_state::probe;
    next = from > match ? from : match.next();
    waiting = false;
    prompt = true;'
rule unknown_called_dropped impl/proposal.hpp 'resolve(open.first, open.last, open.term, fate::unknown);' \
  'resolve(open.first, open.last, open.term, fate::dropped);'
rule reads_forgotten_with_leadership impl/proposal.hpp \
  'remote_.drop(read.context);' 'static_cast<void>(read);'
rule goes_on_after_a_failed_write impl/settle.hpp '  failed_ = true;
' ''
rule stickiness_forgotten impl/election.hpp 'if (!options_.check_quorum) return false;' 'return false;'
rule timeouts_not_random impl/election.hpp 'static_cast<std::int64_t>(draw() % static_cast<std::uint64_t>(width))' \
  'static_cast<std::int64_t>(width / 2)'
rule no_answer_to_a_lower_term impl/step.hpp 'answer_lower_term(m, body);
  return false;' 'return false;'

case "${1:-}" in
  '') chosen=("${names[@]:0:3}") ;;
  --all | --texts) chosen=("${names[@]}") ;;
  *) chosen=("$@") ;;
esac

break_rule() { # NAME DIRECTORY: the engine in DIRECTORY/include, with one rule broken
  cp -r include "$2/include"
  python3 tests/support/break_rule.py "$2/${file[$1]}" "${from[$1]}" "${to[$1]}"
}

if [ "${1:-}" = --texts ]; then
  found=0
  for name in "${chosen[@]}"; do
    mkdir "$scratch/$name"
    if break_rule "$name" "$scratch/$name"; then found=$((found + 1)); fi
    rm -rf "${scratch:?}/$name"
  done
  echo "$found passed, $((${#chosen[@]} - found)) failed"
  [ "$found" = "${#chosen[@]}" ]
  exit
fi

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
