# What the end-to-end scripts share. A script sources it after `set -euo pipefail`
# and calls bounded first. Everything happens in $work, a new temporary folder.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
repo=$(cd "$here/../.." && pwd)
passed=0
pids=()

# bounded SECONDS ARGS... runs the calling script again under a time limit.
bounded() {
  local seconds=$1
  shift
  if [ -z "${E2E_BOUNDED:-}" ]; then
    E2E_BOUNDED=1 exec timeout -k 10 "$seconds" bash "$0" "$@"
  fi
  unset DEVS_EMBEDDED FC_ENDPOINT E2E_BOUNDED
  work=$(mktemp -d)
  trap clean EXIT
  trap 'echo "$0: stopped, or out of time" >&2; exit 124' TERM INT
}

# clean ends what the script started, by pid, and removes its folder.
clean() {
  local code=$? pid
  trap - EXIT TERM INT
  for pid in "${pids[@]}"; do
    kill "$pid" 2>/dev/null || true
  done
  for pid in "${pids[@]}"; do
    for _ in $(seq 50); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  if [ "$code" -ne 0 ] && [ -s "$work/cloud.log" ]; then
    echo "-- the end of the embedded cloud's log" >&2
    tail -n 20 "$work/cloud.log" >&2
  fi
  chmod -R u+w "$work" 2>/dev/null || true
  rm -rf "$work"
  exit "$code"
}

# build sets $devs: the binary of $DEVS_BIN, or one built from this tree.
build() {
  if [ -n "${DEVS_BIN:-}" ]; then
    devs=$(realpath "$DEVS_BIN")
    return
  fi
  devs=$work/devs
  quietly go -C "$repo" build -o "$devs" ./cmd/devs
}

# quietly runs a command and shows what it said only when it fails.
quietly() {
  local code=0
  "$@" >"$work/quiet.log" 2>&1 || code=$?
  if [ "$code" -ne 0 ]; then
    echo "$* ended with $code:" >&2
    cat "$work/quiet.log" >&2
    return "$code"
  fi
}

# install_client brings the official JavaScript client to $work/fc2, beside the
# files that use it.
install_client() {
  cp -r "$here/fc2" "$work/fc2"
  (cd "$work/fc2" && quietly timeout 120 npm ci --ignore-scripts --no-audit --no-fund)
}

# start_cloud STATE starts the embedded cloud on a state folder, waits until it
# answers, and sets $cloud_pid and $cloud_url.
start_cloud() {
  rm -f "$1/address" # of a cloud that was killed
  "$devs" emulator --listen 127.0.0.1:0 --state "$1" >>"$work/cloud.log" 2>&1 &
  cloud_pid=$!
  pids+=("$cloud_pid")
  for _ in $(seq 300); do
    if [ -s "$1/address" ]; then
      cloud_url=$(cat "$1/address")
      return
    fi
    kill -0 "$cloud_pid" 2>/dev/null || break
    sleep 0.05
  done
  fail "the embedded cloud did not start"
}

pass() { passed=$((passed + 1)); }

fail() {
  echo "$0: $*" >&2
  echo "$passed passed, 1 failed"
  exit 1
}

finish() { echo "$passed passed, 0 failed"; }
