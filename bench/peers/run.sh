#!/usr/bin/env bash
# The same commit work on this engine, on etcd's raft (Debian's golang-etcd-server-dev) and on canonical's C raft
# (libraft-dev): 3 members in one thread, every message encoded and decoded, payloads copied, logs trimmed. Best and
# median of some processes each, interleaved; CPU time, so that a garbage collector on another core is not free.
#
#   bench/peers/run.sh [processes]

set -euo pipefail
cd "$(dirname "$0")"
source ../support/build.sh
need python3 python3
need go golang-go
need /usr/share/gocode/src/go.etcd.io/etcd/raft golang-etcd-server-dev
need /usr/include/raft.h libraft-dev
build commit_probe
(
  cd etcd
  GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS= GOCACHE="$build/go-cache" go build -o "$build/etcd_probe" .
)
g++ -std=c++20 -O2 -DNDEBUG libraft/main.cpp -o "$build/libraft_probe" -lraft
PYTHONDONTWRITEBYTECODE=1 exec python3 compare.py "$build" "${1:-5}"
