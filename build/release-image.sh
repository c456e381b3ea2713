#!/bin/sh
# Builds the product's images with the product, and pushes them.
#
#   build/release-image.sh REPOSITORY VERSION         on a runner of each platform
#   build/release-image.sh --join REPOSITORY VERSION  once, when all of them are done
#
# The first builds for the platform of this machine, because full has a RUN and devs runs
# nothing for a foreign platform: it pushes REPOSITORY:VERSION-ARCH and
# REPOSITORY:VERSION-full-ARCH, with ARCH as Go names it (amd64, arm64). The second makes
# indexes of them, REPOSITORY:VERSION (slim) and REPOSITORY:VERSION-full; that copies no
# layer and runs nothing, so any machine can do it.
#
# Each image is a line on standard output, REPOSITORY@sha256:… with its digest, slim
# before full. Needs Go, git, and for the images a static busybox on PATH (Debian's
# busybox-static) and the right to RUN (docs/images.md). Credentials of the registry are
# found as always: docs/credentials.md.
#
#   PLATFORMS  what --join joins (default linux/amd64,linux/arm64)
#   BASE       the base of full, instead of that of the Dockerfile
#   SOURCE     the address of the repository, for a label
#   DEVS_BIN   the product, instead of building it
set -eu

usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
join=
[ "${1:-}" != --join ] || { join=1; shift; }
[ $# -eq 2 ] || usage
repository=$1 version=$2
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

devs=${DEVS_BIN:-$work/devs}
[ -n "${DEVS_BIN:-}" ] ||
  CGO_ENABLED=0 go build -trimpath -ldflags="-s -w -X main.version=$version" -o "$devs" ./cmd/devs
# The time of the commit is that of the images, so that they can be built again.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

if [ -n "$join" ]; then
  for name in "$version" "$version-full"; do
    mkdir "$work/$name"
    printf 'ARG TARGETARCH\nFROM %s:%s-${TARGETARCH}\n' "$repository" "$name" >"$work/$name/Dockerfile"
    "$devs" image build --no-cache --platform "${PLATFORMS:-linux/amd64,linux/arm64}" -t "$repository:$name" "$work/$name"
  done
  exit
fi

busybox=$(command -v busybox) || { echo "release-image.sh: there is no busybox: install busybox-static" >&2; exit 1; }
arch=$(go env GOARCH)
build/image.sh "$work/root" "$devs" "$busybox" >&2
for target in slim full; do
  name=$version
  [ "$target" = slim ] || name=$version-$target
  # Without a cache: the packages of full shall be those of today.
  "$devs" image build --no-cache -f Dockerfile --target "$target" -t "$repository:$name-$arch" \
    ${BASE:+--build-arg "BASE=$BASE"} ${SOURCE:+--label "org.opencontainers.image.source=$SOURCE"} \
    --label "org.opencontainers.image.title=devs" --label "org.opencontainers.image.version=$version" \
    --label "org.opencontainers.image.licenses=Apache-2.0" "$work/root"
done
