#!/usr/bin/env bash
# Three replicated, synced servers against ONE redis-server with appendfsync always, on this machine, in one run.
#
#   bash bench/redis_ratio.sh [ROUNDS]      5 rounds; about 25 s each
#
# Loads: SET and GET with -c 50, -c 50 -P 16, -c 200 -P 32, each at least about 1 s. In every round each load goes to
# both, in an order that is drawn anew, and not before the machine is idle. Prints the medians, the ratio of the
# medians, and the lowest and highest ratio of a round. RAFT_KV=FILE takes that raft-kv instead of building it;
# RAFT_KV_OPTIONS are options for it, WAIT=SECONDS (20) how long to wait for an idle machine. Figures of different runs
# say nothing about each other: the machine drifts more than they differ.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
rounds=${1:-5}
bash tests/support/install.sh redis-server redis-tools gawk procps
server=${RAFT_KV:-}
if [ -z "$server" ]; then
  bash tests/support/install.sh g++ cmake make libasio-dev
  { cmake --preset release && cmake --build --preset release --target raft-kv; } >/dev/null
  server=build/release/examples/kv/raft-kv
fi

data=$(mktemp -d "${TMPDIR:-/tmp}/redis-ratio.XXXXXX")
pids=()
finish() {
  for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
  rm -rf "$data"
}
trap finish EXIT
trap 'exit 130' INT TERM

cluster=""
for id in 1 2 3; do cluster+="${cluster:+,}$id=127.0.0.1:1780$id/127.0.0.1:1770$id"; done
for id in 1 2 3; do
  # shellcheck disable=SC2086  # the options are words
  "$server" --id $id --cluster "$cluster" --data "$data/$id" ${RAFT_KV_OPTIONS:-} >"$data/$id.log" 2>&1 &
  pids+=($!)
  disown
done
mkdir "$data/redis"
redis-server --port 17700 --appendonly yes --appendfsync always --save "" --dir "$data/redis" >"$data/redis.log" 2>&1 &
pids+=($!)
disown

leader_port() { # of the one that says that it leads
  local id
  for id in 1 2 3; do
    if redis-cli -p 1770$id raft.status 2>/dev/null | grep -A1 -x role | grep -qx leader; then
      echo 1770$id && return
    fi
  done
  return 1
}
for _ in $(seq 100); do
  if leader_port >/dev/null && redis-cli -p 17700 ping >/dev/null 2>&1; then break; fi
  sleep 0.1
done
leader_port >/dev/null || { cat "$data"/*.log && exit 1; }

wait_until_idle() { # at least 80 % of all processors for 0.3 s
  local before after
  for _ in $(seq $((${WAIT:-20} * 3))); do
    before=$(awk '/^cpu /{print $5 + $6, $2 + $3 + $4 + $5 + $6 + $7 + $8}' /proc/stat)
    sleep 0.3
    after=$(awk '/^cpu /{print $5 + $6, $2 + $3 + $4 + $5 + $6 + $7 + $8}' /proc/stat)
    if echo "$before $after" | awk '{exit !(($3 - $1) >= 0.8 * ($4 - $2))}'; then return; fi
  done
  busy=$((busy + 1))
}
busy=0

run() { # PORT COMMAND REQUESTS OPTIONS... -> requests per second
  redis-benchmark -p "$1" -t "$2" -n "$3" "${@:4}" -q 2>/dev/null | tr '\r' '\n' |
    grep -oE '[0-9.]+ requests per second' | tail -n 1 | grep -oE '^[0-9.]+'
}

loads=("set -c 50" "set -c 50 -P 16" "set -c 200 -P 32" "get -c 50" "get -c 50 -P 16" "get -c 200 -P 32")
declare -A requests
for load in "${loads[@]}"; do
  read -r command options <<<"$load"
  for who in redis raft; do
    port=17700
    [ $who = raft ] && port=$(leader_port)
    # shellcheck disable=SC2086
    rate=$(run "$port" "$command" 20000 $options)
    # Enough for a second and more, from a guess that is short and therefore low.
    # shellcheck disable=SC2086
    rate=$(run "$port" "$command" "$(awk "BEGIN{print int($rate * 0.5)}")" $options)
    requests["$who $load"]=$(awk "BEGIN{print int($rate * 1.4)}")
  done
done

for round in $(seq "$rounds"); do
  for load in "${loads[@]}"; do
    read -r command options <<<"$load"
    for who in $(printf 'redis\nraft\n' | shuf); do
      port=17700
      [ "$who" = raft ] && port=$(leader_port)
      wait_until_idle
      # shellcheck disable=SC2086
      rate=$(run "$port" "$command" "${requests["$who $load"]}" $options)
      echo "$round|$load|$who|$rate" >>"$data/figures"
      [ "$who" = redis ] && redis-cli -p 17700 bgrewriteaof >/dev/null
    done
  done
done

echo "requests a second, medians of $rounds rounds;" \
  "$busy of $((12 * rounds)) loads started on a machine that was not idle"
gawk -F'|' '
  function median(list, n) { asort(list); return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2 }
  { rate[$2, $3, $1] = $4; if (!($2 in seen)) { seen[$2] = 1; order[++count] = $2 }; if ($1 > rounds) rounds = $1 }
  END {
    printf "%-20s %12s %12s %7s   %s\n", "", "redis", "raft-kv", "ratio", "lowest-highest of a round"
    for (i = 1; i <= count; ++i) {
      low = 1e9; high = 0; delete a; delete b
      for (r = 1; r <= rounds; ++r) {
        a[r] = rate[order[i], "redis", r]; b[r] = rate[order[i], "raft", r]
        q = b[r] / a[r]; if (q < low) low = q; if (q > high) high = q
      }
      x = median(a, rounds); y = median(b, rounds)
      printf "%-20s %12d %12d %7.2f   %.2f-%.2f\n", order[i], x, y, y / x, low, high
    }
  }' "$data/figures"
