# Functions for the scripts that do what CIs do: the product's images in a dockerd and a
# registry of our own (test/image/lib.sh), and checks that are counted.
# shellcheck shell=bash
#
#   source "$(dirname "$0")/lib.sh"
#   need_docker; make_work; start_dockerd; start_registry; build_images
#   check "says hello" "$DOCKER" run --rm --network=host "$SLIM_IMAGE" echo hello
#   summary
#
# shellcheck source=test/image/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../image/lib.sh"

passed=0 failed=0 skipped=0

# skip WHY counts what cannot be tested here. With DEVS_REQUIRE=1 that is a failure.
skip() {
  [ "${DEVS_REQUIRE:-}" != 1 ] || fail "$1"
  skipped=$((skipped + 1))
  echo "skipped: $1"
}

# need_docker ends the script where no dockerd can be started.
need_docker() {
  if [ "$(id -u)" != 0 ] || ! { PATH=$PATH:/usr/sbin command -v dockerd || command -v apt-get; } >/dev/null; then
    skip "this needs root, dockerd, and a docker client"
    summary
    exit
  fi
}

# check TITLE COMMAND... runs a command and counts whether it succeeds. What it printed
# is shown when it does not.
check() {
  local title=$1 code=0
  shift
  "$@" >"$work/check.log" 2>&1 </dev/null || code=$?
  if [ "$code" = 0 ]; then
    passed=$((passed + 1))
    echo "ok      $title"
  else
    failed=$((failed + 1))
    echo "FAILED  $title (exit code $code): $*"
    tail -20 "$work/check.log" | sed 's/^/        /'
  fi
}

# summary prints the last line, and fails when a check did or when there was none.
summary() {
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" = 0 ] && [ $((passed + skipped)) -gt 0 ]
}

# assemble_image builds the product (DEVS_BIN names a ready one) and the context of its
# images. Sets DEVS_BIN and IMAGE_ROOT.
assemble_image() {
  [ -z "${IMAGE_ROOT:-}" ] || return 0
  need_packages busybox:busybox-static
  if [ -z "${DEVS_BIN:-}" ]; then
    (cd "$repo_root" && CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o "$work/devs" ./cmd/devs)
    export DEVS_BIN=$work/devs
  fi
  IMAGE_ROOT=$work/root
  "$repo_root/build/image.sh" "$IMAGE_ROOT" "$DEVS_BIN" "$(command -v busybox)"
}

# build_images builds both targets of the Dockerfile in the dockerd that runs. Sets
# SLIM_IMAGE and FULL_IMAGE; needs start_dockerd and start_registry, and pushes the bases
# when nobody has. The packages of full are kept in DEVS_TEST_CACHE: they take minutes.
build_images() {
  [ -n "${DEBIAN:-}" ] || push_bases
  assemble_image
  export SLIM_IMAGE=devs-ci:slim FULL_IMAGE=devs-ci:full
  docker_build slim "$SLIM_IMAGE"
  local kept=devs-ci:packages
  local cache=$DEVS_TEST_CACHE/images/packages-$(packages_key).tar.zst
  need_packages zstd:zstd
  if [ -f "$cache" ]; then
    zstd -dcq "$cache" | "$DOCKER" load -q >&2
  else
    docker_build packages "$kept"
    mkdir -p "${cache%/*}"
    "$DOCKER" save "$kept" | zstd -1q >"$cache.$$"
    mv "$cache.$$" "$cache"
    find "${cache%/*}" -name 'packages-*' -mtime +7 -delete
  fi
  docker_build full "$FULL_IMAGE" --cache-from "$kept"
}

# docker_build TARGET TAG [FLAG...] builds with docker, and without its BuildKit, which
# reads no cache that was loaded.
docker_build() {
  local target=$1 tag=$2
  shift 2
  DOCKER_BUILDKIT=0 "$DOCKER" build -q --network=host --build-arg "BASE=$DEBIAN" "$@" \
    --target "$target" -t "$tag" -f "$repo_root/Dockerfile" "$IMAGE_ROOT" >"$work/build.log" 2>&1 || {
    tail -30 "$work/build.log" >&2
    fail "docker could not build the target $target"
  }
}

# packages_key is what the stage with the packages is made of: the base, and its own
# lines of the Dockerfile.
packages_key() {
  { skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$DEBIAN"
    sed -n '/ AS packages$/,/^FROM packages/p' "$repo_root/Dockerfile" | grep -v '^#'; } | sha256sum | cut -c1-16
}
