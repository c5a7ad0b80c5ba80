#!/usr/bin/env bash
# Kills the leader under load, with -9, ROUNDS (50) times: nothing acknowledged may be lost, nothing done twice.
# Prints how long there was no leader, in milliseconds and in election timeouts. Usage: failover.sh [ROUNDS]
exec bash "$(dirname "${BASH_SOURCE[0]}")/run.sh" failover "${1:-50}"
