# Functions for the scripts that judge and measure image builds: a dockerd and a
# registry of our own, on loopback and in a private folder, ended by their process ids.
# shellcheck shell=bash

repo_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export DEVS_TEST_CACHE=${DEVS_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/devs-test}
# The docker client that comes with Debian's daemon knows both builders.
export DOCKER=${DOCKER:-/usr/bin/docker}
work=
started=()

fail() {
  echo "error: $*" >&2
  exit 1
}

# make_work makes the private folder; everything in it goes when the script ends. The
# name is short because the path of a socket may not be longer than 107 bytes.
make_work() {
  [ "$(id -u)" = 0 ] || fail "dockerd and debootstrap need root"
  work=$(mktemp -d "${TMPDIR:-/tmp}/dimg.XXXXXX")
  chmod 755 "$work"
  trap 'stop_all' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

# stop_all ends what this script started, the last first, and waits for each.
stop_all() {
  local status=$? i
  for ((i = ${#started[@]} - 1; i >= 0; i--)); do
    kill "${started[i]}" 2>/dev/null || true
    wait "${started[i]}" 2>/dev/null || true
  done
  if [ -n "$work" ]; then
    # A daemon that was killed leaves mounts behind; never delete through one.
    awk -v w="$work/" 'index($2, w) == 1 { print $2 }' /proc/self/mounts | sort -r | while read -r m; do
      umount -l "$m" || true
    done
    chmod -R u+w "$work" 2>/dev/null || true
    rm -rf --one-file-system "$work"
  fi
  return "$status"
}

# need_packages PROGRAM:PACKAGE... installs the Debian packages of missing programs.
need_packages() {
  local pair missing=()
  for pair in "$@"; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || fail "missing: ${missing[*]} (install them; apt-get is not here)"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

# wait_for WHAT LOG COMMAND... polls for half a minute at most.
wait_for() {
  local what=$1 log=$2 _
  shift 2
  for _ in $(seq 600); do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.05
  done
  cat "$log" >&2
  fail "$what did not come up"
}

# start_dockerd starts a dockerd with Debian's defaults, but for the network: containers
# use the host's, so that no bridge and no firewall rule is made. Sets DOCKER_HOST and
# dockerd_pid.
start_dockerd() {
  need_packages /usr/bin/docker:docker.io dockerd:docker.io runc:runc
  local d=$work/docker
  mkdir -p "$d"
  PATH=$PATH:/usr/sbin:/sbin dockerd --data-root "$d/data" --exec-root "$d/exec" -p "$d/pid" -H "unix://$d/sock" \
    --iptables=false --bridge=none >"$d/log" 2>&1 &
  dockerd_pid=$!
  started+=("$dockerd_pid")
  export DOCKER_HOST=unix://$d/sock
  # No credentials and no client settings of the user who runs this.
  export DOCKER_CONFIG=$work/docker-config
  mkdir -p "$DOCKER_CONFIG"
  echo "{}" >"$DOCKER_CONFIG/config.json"
  wait_for dockerd "$d/log" "$DOCKER" version
}

# start_registry starts a registry on loopback, on a port that the kernel chooses.
# Sets REGISTRY (host:port).
start_registry() {
  need_packages docker-registry:docker-registry
  local d=$work/registry port=
  mkdir -p "$d/data"
  cat >"$d/config.yml" <<CONFIG
version: 0.1
log: {level: info, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: $d/data}
  delete: {enabled: true}
http: {addr: "127.0.0.1:0", relativeurls: true}
CONFIG
  docker-registry serve "$d/config.yml" >"$d/log" 2>&1 &
  started+=("$!")
  wait_for docker-registry "$d/log" grep -q 'listening on' "$d/log"
  port=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$d/log" | head -1)
  [ -n "$port" ] || fail "docker-registry: no port in its log"
  export REGISTRY=localhost:$port
}

# push_bases puts the bases of bases.sh into the registry and exports their names.
push_bases() {
  need_packages skopeo:skopeo
  "$repo_root/test/image/bases.sh"
  local name
  for name in busybox debian; do
    skopeo copy -q --dest-tls-verify=false "oci:$DEVS_TEST_CACHE/bases/$name:latest" "docker://$REGISTRY/$name:latest"
  done
  export BUSYBOX=$REGISTRY/busybox:latest DEBIAN=$REGISTRY/debian:latest
}

# start_meter starts a proxy in front of the registry that counts bytes. Sets METER.
start_meter() {
  "$work/bin/meter" "$REGISTRY" >"$work/meter.log" 2>&1 &
  started+=("$!")
  wait_for meter "$work/meter.log" grep -q '^listening on' "$work/meter.log"
  METER=localhost:$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$work/meter.log")
  export METER
}

# start_buildkitd FOLDER starts a buildkitd of our own, of any version, from a folder
# with buildkitd and buildctl. Sets BUILDCTL, BUILDKIT_HOST and buildkitd_pid.
start_buildkitd() {
  local d=$work/buildkit
  mkdir -p "$d"
  cat >"$d/config.toml" <<CONFIG
root = "$d/data"
insecure-entitlements = ["network.host"]
[grpc]
  address = ["unix://$d/sock"]
[worker.oci]
  binary = "$(PATH=$PATH:/usr/sbin command -v runc)"
  networkMode = "host"
[worker.containerd]
  enabled = false
[registry."$REGISTRY"]
  http = true
[registry."${METER:-$REGISTRY.invalid}"]
  http = true
CONFIG
  "$1/buildkitd" --config "$d/config.toml" >"$d/log" 2>&1 &
  buildkitd_pid=$!
  started+=("$buildkitd_pid")
  export BUILDCTL=$1/buildctl BUILDKIT_HOST=unix://$d/sock
  wait_for buildkitd "$d/log" "$BUILDCTL" --addr "$BUILDKIT_HOST" debug workers
}

# build_product builds devs and its image. DEVS_BIN and DEVS_IMAGE name ready ones, or
# leave one out with "-".
build_product() {
  case ${DEVS_BIN:-} in
  -) unset DEVS_BIN ;;
  "")
    (cd "$repo_root" && CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o "$work/devs" ./cmd/devs)
    export DEVS_BIN=$work/devs
    ;;
  esac
  case ${DEVS_IMAGE:-} in
  -) unset DEVS_IMAGE ;;
  "")
    need_packages busybox:busybox-static
    "$repo_root/build/image.sh" "$work/image" "$DEVS_BIN" "$(command -v busybox)" >&2
    DOCKER_BUILDKIT=0 "$DOCKER" build -q -f "$repo_root/Dockerfile" --target slim -t devs-test:latest "$work/image" >&2
    export DEVS_IMAGE=devs-test:latest
    ;;
  esac
}
