#!/usr/bin/env bash
# Measures the image builder against others in one run. Each builds and pushes to a
# registry on loopback; the result is a table in Markdown on standard output.
#
#   A  busybox and one file of 2 MB
#   B  debian and a COPY of 20,000 files, about 298 MB
#   C  debian and a RUN with apt-get install jq, then COPY
#
# Cold: nothing is there but the base in the registry, and the repository is new. Warm:
# the same again. Edit: one line is added to one source file.
#
# Time is of the whole of build and push, in the container where devs runs in one
# (docker's start of the container is not counted). Memory is the largest resident set
# of one process; of docker and BuildKit that of the daemon. Pushed is what went to the
# registry, in one more round through a proxy that counts.
#
#   BENCH_RUNS       rounds, of which the median counts (default 5)
#   BENCH_TOOLS      default: devs devs-host buildah classic buildkit modern crane
#   BENCH_WORKLOADS  default: A B C
#   BUILDKIT_DIR     a folder with buildkitd and buildctl, for modern
#   CRANE            a ready crane (default: built from its module)
#   DEVS_BIN, DEVS_IMAGE  the product, instead of building both
set -euo pipefail
# shellcheck source=test/image/lib.sh
source "$(dirname "$0")/lib.sh"
runs=${BENCH_RUNS:-5}
read -r -a tools <<<"${BENCH_TOOLS:-devs devs-host buildah classic buildkit modern crane}"
read -r -a workloads <<<"${BENCH_WORKLOADS:-A B C}"

make_workloads() {
  local w
  for w in A B C; do
    mkdir -p "$work/$w/context"
  done
  # Text and noise alternate, 2.0 MB in all.
  "$work/bin/gentree" -files 400 -bytes 2000000 "$work/A/gen" >&2
  find "$work/A/gen" -type f | sort | xargs cat >"$work/A/context/app"
  truncate -s 2000000 "$work/A/context/app"
  chmod 755 "$work/A/context/app"
  rm -rf "$work/A/gen"
  "$work/bin/gentree" "$work/B/context" >&2
  echo 'print("hello")' >"$work/C/context/app.py"
  cat >"$work/A/Dockerfile" <<'DOCKERFILE'
ARG BUSYBOX
FROM ${BUSYBOX}
COPY . /app
CMD ["/app/app"]
DOCKERFILE
  cat >"$work/B/Dockerfile" <<'DOCKERFILE'
ARG DEBIAN
FROM ${DEBIAN}
COPY . /app
CMD ["/app/app"]
DOCKERFILE
  cat >"$work/C/Dockerfile" <<'DOCKERFILE'
ARG DEBIAN
FROM ${DEBIAN}
RUN apt-get update && apt-get install -y --no-install-recommends jq && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY . .
CMD ["/app/app"]
DOCKERFILE
}

# edit adds a line to one source file of a workload.
edit() {
  local file
  case $1 in
  A) file=$work/A/context/app ;;
  B) file=$work/B/context/modules/package-0100/src/part05002.js ;;
  C) file=$work/C/context/app.py ;;
  esac
  [ -f "$file" ] || file=$(find "$work/$1/context" -type f -name '*.js' | sort | head -1)
  echo "// edited ${SECONDS}${RANDOM}" >>"$file"
}

# The builders. Each has a function reset_X, which forgets everything, and build_X
# WORKLOAD REGISTRY REFERENCE, which writes "seconds KiB" to $work/out/result.

devs_flags() {
  local at=$1 registry=$2 ref=$3
  flags=(image build -f "$at/Dockerfile" -t "$ref" --build-arg "BUSYBOX=$registry/busybox:latest"
    --build-arg "DEBIAN=$registry/debian:latest" "$at/context")
}

reset_devs() { :; }
build_devs() {
  local flags
  devs_flags /github/workspace "$2" "$3"
  "$DOCKER" run --rm --network=host -v "$work/$1:/github/workspace" -v "$work/bin:/github/bin:ro" -v "$work/out:/github/out" \
    --entrypoint /github/bin/measure "$DEVS_IMAGE" -o /github/out/result devs "${flags[@]}"
}

reset_devs-host() { rm -rf "$work/devs-home"; }
build_devs-host() {
  local flags
  devs_flags "$work/$1" "$2" "$3"
  mkdir -p "$work/devs-home"
  env HOME="$work/devs-home" XDG_CACHE_HOME="$work/devs-home/cache" \
    "$work/bin/measure" -o "$work/out/result" "$DEVS_BIN" "${flags[@]}"
}

reset_buildah() {
  buildah --root "$work/buildah/root" --runroot "$work/buildah/run" rm --all >/dev/null 2>&1 || true
  buildah --root "$work/buildah/root" --runroot "$work/buildah/run" rmi --all --force >/dev/null 2>&1 || true
}
build_buildah() {
  local base="buildah --root $work/buildah/root --runroot $work/buildah/run"
  "$work/bin/measure" -o "$work/out/result" sh -ec "
    $base --runtime runc bud -q --layers --network=host --tls-verify=false --build-arg BUSYBOX=$2/busybox:latest --build-arg DEBIAN=$2/debian:latest \
      -f $work/$1/Dockerfile -t $3 $work/$1/context
    $base push -q --tls-verify=false $3"
}

reset_docker() {
  "$DOCKER" system prune -f >/dev/null
  "$DOCKER" image ls --format '{{.Repository}}:{{.Tag}}' | { grep -v '^devs-test:' || true; } | xargs -r "$DOCKER" image rm -f >/dev/null
  "$DOCKER" image prune -f >/dev/null
  DOCKER_BUILDKIT=1 "$DOCKER" builder prune -af >/dev/null
}
reset_classic() { reset_docker; }
reset_buildkit() { reset_docker; }

build_docker() {
  forget_peak "$dockerd_pid"
  DOCKER_BUILDKIT=$4 "$work/bin/measure" -o "$work/out/result" sh -ec "
    $DOCKER build -q --network=host --build-arg BUSYBOX=$2/busybox:latest --build-arg DEBIAN=$2/debian:latest \
      -f $work/$1/Dockerfile -t $3 $work/$1/context
    $DOCKER push -q $3"
  with_peak "$dockerd_pid"
}
build_classic() { build_docker "$@" 0; }
build_buildkit() { build_docker "$@" 1; }

reset_modern() { "$BUILDCTL" prune --all >/dev/null; }
build_modern() {
  forget_peak "$buildkitd_pid"
  "$work/bin/measure" -o "$work/out/result" "$BUILDCTL" build --progress=plain --frontend=dockerfile.v0 \
    --local "context=$work/$1/context" --local "dockerfile=$work/$1" --opt force-network-mode=host --allow network.host \
    --opt "build-arg:BUSYBOX=$2/busybox:latest" --opt "build-arg:DEBIAN=$2/debian:latest" --output "type=image,push=true,name=$3"
  with_peak "$buildkitd_pid"
}

# crane has no builder: it appends a tar, and can not do C.
reset_crane() { :; }
build_crane() {
  local base=debian
  [ "$1" = A ] && base=busybox
  "$work/bin/measure" -o "$work/out/result" sh -ec "
    tar -C $work/$1 --transform 's,^context,app,' -cf $work/out/layer.tar context
    $CRANE append -b $2/$base:latest -f $work/out/layer.tar -t $3
    rm $work/out/layer.tar"
}

# forget_peak and with_peak measure the peak of a daemon's resident set.
forget_peak() { echo 5 >"/proc/$1/clear_refs"; }
with_peak() {
  local seconds _
  read -r seconds _ <"$work/out/result"
  echo "$seconds $(awk '/^VmHWM/ { print $2 }' "/proc/$1/status")" >"$work/out/result"
}

usable() {
  case $1 in
  devs) [ -n "${DEVS_IMAGE:-}" ] ;;
  devs-host) [ -n "${DEVS_BIN:-}" ] ;;
  modern) [ -n "${BUILDKIT_DIR:-}" ] ;;
  *) true ;;
  esac
}

# one measures one build: phase, workload, tool, registry, reference.
one() {
  local phase=$1 w=$2 tool=$3 registry=$4 ref=$5 seconds kib sent=- received=-
  [ "$registry" = "$REGISTRY" ] || curl -fsS "http://$registry/meter" >/dev/null
  rm -f "$work/out/result"
  if ! "build_$tool" "$w" "$registry" "$ref" >"$work/out/log" 2>&1; then
    tail -20 "$work/out/log" >&2
    echo "$tool $w $phase failed" >&2
    return 1
  fi
  read -r seconds kib <"$work/out/result"
  [ "$registry" = "$REGISTRY" ] || read -r sent received < <(curl -fsS "http://$registry/meter")
  echo "$tool $w $phase $seconds $kib $sent $received" | tee -a "$work/results" >&2
}

# round does the three phases with a repository of its own.
round() {
  local w=$1 tool=$2 registry=$3 number=$4
  local ref=$registry/bench/$tool-${w,,}-$number:latest
  "reset_$tool"
  one cold "$w" "$tool" "$registry" "$ref" && one warm "$w" "$tool" "$registry" "$ref" || return 1
  edit "$w"
  one edit "$w" "$tool" "$registry" "$ref"
}

# table prints the medians.
table() {
  local w tool phase
  echo "| workload | builder | cold / warm / edit, s | peak memory, MB | pushed, MB |"
  echo "|---|---|---|---|---|"
  for w in "${workloads[@]}"; do
    for tool in "${tools[@]}"; do
      grep -q "^$tool $w edit" "$work/results" || continue
      local times=() peaks=() sizes=()
      for phase in cold warm edit; do
        times+=("$(column "$tool" "$w" "$phase" 4 | median '%.2f' 1)")
        peaks+=("$(column "$tool" "$w" "$phase" 5 | median '%.0f' 976.5625)")
        sizes+=("$(column "$tool" "$w" "$phase" 6 | median '%.1f' 1000000)")
      done
      echo "| $w | $tool | ${times[0]} / ${times[1]} / ${times[2]} | ${peaks[0]} / ${peaks[1]} / ${peaks[2]} | ${sizes[0]} / ${sizes[1]} / ${sizes[2]} |"
    done
  done
}
# The rounds through the meter (those with a number in column 6) count for bytes alone.
column() {
  awk -v t="$1" -v w="$2" -v p="$3" -v c="$4" '$1 == t && $2 == w && $3 == p && (c == 6) == ($6 != "-") { print $c }' "$work/results"
}
median() {
  sort -n | awk -v f="$1\n" -v d="$2" '{ v[NR] = $1 } END { if (NR == 0) { print "-"; exit } m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2; printf f, m / d }'
}

need_packages buildah:buildah skopeo:skopeo curl:curl
make_work
mkdir -p "$work/out" "$work/bin"
(cd "$repo_root" && CGO_ENABLED=0 go build -trimpath -o "$work/bin/" ./test/image/gentree ./test/image/measure ./test/image/meter)
if [ -z "${CRANE:-}" ]; then
  GOBIN=$work/bin GOFLAGS=-mod=mod go install github.com/google/go-containerregistry/cmd/crane@v0.22.1
  CRANE=$work/bin/crane
fi
start_dockerd
start_registry
start_meter
push_bases
[ -z "${BUILDKIT_DIR:-}" ] || start_buildkitd "$BUILDKIT_DIR"
build_product
make_workloads
: >"$work/results"
failed=0
for w in "${workloads[@]}"; do
  for tool in "${tools[@]}"; do
    usable "$tool" || continue
    [ "$tool $w" != "crane C" ] || continue
    # Rounds of one builder follow each other; the last one is through the meter.
    for number in $(seq "$runs"); do
      round "$w" "$tool" "$REGISTRY" "$number" || { failed=1; break; }
    done
    round "$w" "$tool" "$METER" metered || failed=1
  done
done
table
exit "$failed"
