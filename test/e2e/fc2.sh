#!/usr/bin/env bash
# The official JavaScript client for API 2016-08-15 drives the embedded cloud.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.bash"
bounded 240 "$@"
build

install_client
start_cloud "$work/state"
code=0
(cd "$work/fc2" && CLOUD_URL=$cloud_url timeout 120 node --test-reporter=tap test.mjs) >"$work/tap" 2>&1 || code=$?
passed=$(sed -n 's/^# pass //p' "$work/tap")
failed=$(sed -n 's/^# fail //p' "$work/tap")
if [ "$code" -ne 0 ] || [ "${failed:-1}" -ne 0 ] || [ "${passed:-0}" -eq 0 ]; then
  cat "$work/tap" >&2
  echo "${passed:-0} passed, ${failed:-1} failed"
  exit 1
fi
finish
