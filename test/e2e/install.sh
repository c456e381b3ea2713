#!/usr/bin/env bash
# What a newcomer does: clone, and run the first command of the README, with
# nothing in Go's caches. What is cloned is the last commit.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.bash"
bounded 1500 "$@"

quietly git clone "$repo" "$work/clone"
cd "$work/clone"

# first_command prints the first command of the first sh block of the README.
first_command() {
  awk '/^```sh$/ { inside = 1; next }
       inside && /^```/ { exit }
       inside && !/^ *(#|$|git clone |cd )/ { sub(/^\$ /, ""); print; if (!/\\$/) exit }' README.md
}

command='go run ./cmd/devs deploy --embedded -t testdata/apps/hello/s.yaml'
if [ -f README.md ]; then
  command=$(first_command)
  [ -n "$command" ] || fail "README.md has no command in its first sh block"
fi

export GOCACHE=$work/gocache GOFLAGS="${GOFLAGS:-} -modcacherw"
small=$(go list -m -f '{{.Path}}@{{.Version}}' github.com/gofrs/flock)
if GOMODCACHE=$work/gomodcache timeout 30 go mod download "$small" >/dev/null 2>&1; then
  export GOMODCACHE=$work/gomodcache
fi
pass

timeout 1200 bash -euo pipefail -c "$command" >"$work/out" 2>"$work/err" </dev/null || {
  cat "$work/out" "$work/err" >&2
  fail "the first command failed: $command"
}
grep -q 'Hello, world!' "$work/out" "$work/err" || { cat "$work/out" "$work/err" >&2; fail "no greeting from: $command"; }
pass
grep -q 'system_url: http' "$work/out" || { cat "$work/out" >&2; fail "no system_url from: $command"; }
pass
[ -z "$(git status --porcelain)" ] || { git status --short >&2; fail "the first command left files that git sees"; }
pass
finish
