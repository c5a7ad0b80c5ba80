# To be sourced from the top of the tree: `server` becomes the path of raft-kv, RAFT_KV's or the release preset's, which
# is brought up to date. Ends the script if that fails.
server=${RAFT_KV:-build/release/examples/kv/raft-kv}
if [ -z "${RAFT_KV:-}" ]; then
  if ! { cmake --preset release && cmake --build --preset release --target raft-kv; } >&2; then
    echo "0 passed, 1 failed"
    exit 1
  fi
fi
server=$(realpath "$server")
