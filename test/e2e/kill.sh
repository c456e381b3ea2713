#!/usr/bin/env bash
# The embedded cloud is killed in the middle of many creates, three times at
# moments drawn at random. What it acknowledged is there when it starts again.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.bash"
bounded 240 "$@"
build
install_client

for round in 1 2 3; do
  start_cloud "$work/state"
  acks=$work/acks.$round
  : >"$acks"
  (cd "$work/fc2" && CLOUD_URL=$cloud_url exec timeout 60 node creates.mjs make "$round") >"$acks" 2>"$work/make.err" &
  make_pid=$!
  pids+=("$make_pid")
  for _ in $(seq 400); do
    [ -s "$acks" ] && break
    sleep 0.02
  done
  moment=0.$(printf '%03d' $((RANDOM % 1000)))
  sleep "$moment"
  kill -9 "$cloud_pid"
  wait "$cloud_pid" 2>/dev/null || true
  wait "$make_pid" || { cat "$work/make.err" >&2; fail "round $round: creates ended for another reason than the kill"; }
  pass

  start_cloud "$work/state"
  for earlier in $(seq "$round"); do
    (cd "$work/fc2" && CLOUD_URL=$cloud_url quietly timeout 60 node creates.mjs check "$work/acks.$earlier") ||
      fail "round $round, killed ${moment}s after the first answer: something that was acknowledged in round $earlier is lost"
  done
  pass

  kill -INT "$cloud_pid"
  wait "$cloud_pid" || fail "round $round: the cloud did not end cleanly"
  pass
done
finish
