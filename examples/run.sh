#!/usr/bin/env bash
# Three servers of a replicated, durable key-value store on this machine, and proof that they are one.
#
#   bash examples/run.sh          builds, starts, loads and checks them, kills the leader on the way; ends by itself
#   bash examples/run.sh up       starts them on client ports 7001-7003 and leaves them running until interrupted
#   ... --keep                    keeps the data and the logs
#
# On a fresh Debian 12 (as root, or with sudo) it first installs what is missing. RAFT_KV_BIN=DIR takes raft-kv and
# raft-kv-check from there instead of building them. Ends with 0 only if everything was as it has to be.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
keep=no
mode=demonstrate
for word in "$@"; do
  case $word in
    up) mode=up ;;
    --keep) keep=yes ;;
    *) sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//' && exit 2 ;;
  esac
done

data=$(mktemp -d "${TMPDIR:-/tmp}/raft-kv.XXXXXX")
pids=(0 0 0 0) # by id; 0: not running
writer=0

finish() {
  local status=$? pid
  trap - EXIT
  for pid in "${pids[@]}" "$writer"; do
    [ "$pid" = 0 ] || kill -9 "$pid" 2>/dev/null || true
  done
  wait 2>/dev/null || true
  if [ "$keep" = yes ]; then echo "data and logs are in $data"; else rm -rf "$data"; fi
  exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM

die() {
  printf 'FAILED: %s\n' "$*" >&2
  for id in 1 2 3; do
    [ -s "$data/$id.log" ] && printf -- '--- the last lines of server %s\n' "$id" >&2 && tail -n 5 "$data/$id.log" >&2
  done
  exit 1
}

say() { printf '\n== %s\n' "$*"; }

# ---------------------------------------------------------------------------------------------------- build

if [ -z "${RAFT_KV_BIN:-}" ]; then
  bash tests/support/install.sh g++ cmake make libasio-dev redis-tools procps
  say "building raft-kv"
  { cmake --preset release &&
    cmake --build --preset release --target raft-kv raft-kv-check; } >"$data/build.log" 2>&1 ||
    { tail -n 30 "$data/build.log" && die "the build failed"; }
  RAFT_KV_BIN=build/release/examples/kv
else
  bash tests/support/install.sh redis-tools procps
fi
kv=$RAFT_KV_BIN/raft-kv
check=$RAFT_KV_BIN/raft-kv-check
[ -x "$kv" ] && [ -x "$check" ] || die "no raft-kv and raft-kv-check in $RAFT_KV_BIN"

# ---------------------------------------------------------------------------------------------------- servers

in_use() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

any_in_use() {
  local id
  for id in 1 2 3; do
    if in_use $((base + id)) || in_use $((base + 1000 + id)); then return 0; fi
  done
  return 1
}

base=7000 # clients at base + id, servers among themselves at base + 1000 + id
while any_in_use; do
  [ "$mode" = up ] && die "a port of 7001-7003 or 8001-8003 is in use"
  [ "$base" -lt 7900 ] || die "no free ports"
  base=$((base + 10))
done
cluster=""
clients=""
for id in 1 2 3; do
  cluster+="${cluster:+,}$id=127.0.0.1:$((base + 1000 + id))/127.0.0.1:$((base + id))"
  clients+="${clients:+,}127.0.0.1:$((base + id))"
done

start() { # ID
  "$kv" --id "$1" --cluster "$cluster" --data "$data/$1" >>"$data/$1.log" 2>&1 &
  pids[$1]=$!
  disown # or the shell comments on its end
}

cli() { redis-cli -h 127.0.0.1 "$@" </dev/null; }
field() { cli -p $((base + $1)) raft.status | grep -A1 -x "$2" | tail -n 1; } # ID FIELD
alive() { # every server that should run does
  local id
  for id in 1 2 3; do
    [ "${pids[$id]}" = 0 ] || kill -0 "${pids[$id]}" 2>/dev/null || die "server $id ended by itself"
  done
}
id_of() { # HOST:PORT -> ID
  echo $((${1##*:} - base))
}
expect() { # WHAT EXPECTED ACTUAL
  [ "$2" = "$3" ] || die "$1: expected '$2', got '$3'"
  printf '%s: %s\n' "$1" "$3"
}

say "starting three servers; data in $data"
for id in 1 2 3; do start "$id"; done
read -r address took < <("$check" leader "$clients" 20) || die "no leader"
leader=$(id_of "$address")
for _ in $(seq 100); do
  alive
  [ "$(cat "$data"/[123].log | grep -c "clients at")" = 3 ] && break
  sleep 0.1
done
grep -h "clients at" "$data"/[123].log || true
echo "server $leader leads"

if [ "$mode" = up ]; then
  echo "try:  redis-cli -c -p $((base + 1)) set hello world      stop with Ctrl-C"
  while true; do
    alive
    sleep 1
  done
fi

# ---------------------------------------------------------------------------------------------------- a client

say "writing and reading with redis-cli, through a server that does not lead"
follower=$((leader % 3 + 1))
expect "SET" OK "$(cli -c -p $((base + follower)) set greeting hello)"
expect "GET" hello "$(cli -c -p $((base + follower)) get greeting)"
expect "without -c" "MOVED 0 127.0.0.1:$((base + leader))" \
  "$(cli -p $((base + follower)) get greeting 2>&1 | head -n 1)"
session=$(cli -c -p $((base + follower)) session.open)
expect "SESSION.DO INCR" 1 "$(cli -c -p $((base + follower)) session.do "$session" 1 incr counter)"
expect "the same again" 1 "$(cli -c -p $((base + follower)) session.do "$session" 1 incr counter)"

# ---------------------------------------------------------------------------------------------------- load

say "load with redis-benchmark: every SET is on the disks of two servers before it is answered"
summary=""
load() { # COMMAND REQUESTS OPTIONS...
  local rate
  rate=$(redis-benchmark -h 127.0.0.1 -p $((base + leader)) -t "$1" -n "$2" "${@:3}" -q 2>/dev/null | tr '\r' '\n' |
    grep -oE '[0-9.]+ requests per second' | tail -n 1) || die "redis-benchmark -t $1 ${*:3}"
  printf '%s %-9s %s\n' "$1" "${*:3}" "$rate"
  summary+=$(printf '\n  %-4s %-10s %12.0f a second' "${1^^}" "${*:3}" "${rate%% *}")
}
load set 50000 -c 50
load set 500000 -c 50 -P 16
load get 50000 -c 50
load get 500000 -c 50 -P 16
alive

# ---------------------------------------------------------------------------------------------------- losing the leader

say "killing the leader with -9 in the middle of numbered writes"
"$check" write "$clients" "$data/acknowledged" >"$data/writer.out" &
writer=$!
sleep 2
# The load may have made another one leader.
read -r address took < <("$check" leader "$clients" 20) || die "no leader"
leader=$(id_of "$address")
kill -9 "${pids[$leader]}"
read -r address took < <("$check" leader "$clients" 20) || die "no new leader after server $leader was killed"
pids[$leader]=0
killed=$leader
leader=$(id_of "$address")
echo "server $killed killed; server $leader takes writes $took ms later"
sleep 2

say "starting server $killed again"
start "$killed"
behind=yes
for _ in $(seq 300); do
  index=$(field "$leader" commit_index)
  if [ "$(field "$killed" applied_index 2>/dev/null || echo 0)" -ge $((index - 1000)) ] 2>/dev/null; then
    behind=no
    break
  fi
  sleep 0.1
done
[ $behind = no ] || die "server $killed does not catch up"
echo "server $killed has caught up to index $(field "$killed" applied_index)," \
  "the leader is at $(field "$leader" commit_index)"
sleep 1
kill -TERM "$writer"
wait "$writer" || die "the numbered writes failed"
writer=0
read -r written pause <"$data/writer.out"
alive

say "looking for every acknowledged write on every server"
echo "$written writes were acknowledged, one after another by each of 4 clients;" \
  "the longest pause between two was $pause ms"
"$check" verify "$clients" "$data/acknowledged" || die "acknowledged writes are missing"
expect "the counter" 1 "$(cli -c -p $((base + leader)) get counter)"

say "summary: all is well$summary
  $written numbered writes acknowledged, none lost on any server
  a new leader took writes $took ms after the old one was killed"
