#!/usr/bin/env bash
# Builds buildkitd and buildctl of the version whose Dockerfile parser devs uses, for
# the third judge and the benchmark: test/image/buildkit.sh FOLDER, then
# BUILDKIT_DIR=FOLDER test/image/judge.sh. The listings named expected in
# testdata/dockerfiles are its work: judge.sh -args -update writes them.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: buildkit.sh FOLDER" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
[ ! -x "$out/buildkitd" ] || exit 0
cd "$(dirname "$0")/../.."
version=$(go list -m -f '{{.Version}}' github.com/moby/buildkit)
source=$(mktemp -d)
trap 'rm -rf "$source"' EXIT
# Its go.mod excludes modules, so go install does not take it: build a copy.
dir=$(go mod download -json "github.com/moby/buildkit@$version" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
cp -r "$dir/." "$source"
chmod -R u+w "$source"
cd "$source"
CGO_ENABLED=0 GOFLAGS=-mod=mod go build -o "$out/" ./cmd/buildkitd ./cmd/buildctl
