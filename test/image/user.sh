#!/usr/bin/env bash
# Builds as an ordinary user with mapped ids what the suite of judge.sh does not: the
# image of a function, and builds that are killed. Nothing of them may be left.
set -euo pipefail
# shellcheck source=test/image/lib.sh
source "$(dirname "$0")/lib.sh"
need_packages newuidmap:uidmap busybox:busybox-static
make_work
export DEVS_IMAGE=-
build_product
home=$work/home
mkdir -p "$home/bin" "$home/tmp"
cp "$DEVS_BIN" "$home/bin/devs"
cp "$(command -v busybox)" "$home/busybox"

cat >"$home/s.yaml" <<'YAML'
edition: 1.0.0
name: box
services:
  web:
    component: fc
    actions:
      pre-build:
        - run: test "$(id -un)" = nobody
    props:
      region: cn-hangzhou
      service: {name: box}
      function:
        name: web
        runtime: custom-container
        caPort: 19137
        timeout: 30
        customContainerConfig:
          image: registry.cn-hangzhou.aliyuncs.com/box/web:v1
YAML
cat >"$home/Dockerfile" <<'DOCKERFILE'
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox --install /bin; test $(id -u) = 0 && mkdir -m 700 /private && touch /private/file && chown -R 33:33 /private"]
RUN ["/bin/sh", "-c", "test $(stat -c %u /private/file) = 33 && mkdir /own"]
USER 1000:1000
RUN ["/bin/sh", "-c", "test $(id -u) = 1000 && ! touch /own/file && ! ls /private && test -d /proc/self/fd"]
DOCKERFILE
sed 's/test -d .proc.self.fd/echo ready; sleep 30/' "$home/Dockerfile" >"$home/Sleeps"
printf 'FROM scratch\nCOPY busybox /busybox\nRUN ["/busybox", "sh", "-c", "exit 42"]\n' >"$home/Fails"
printf 'FROM scratch\nCOPY busybox /busybox\nCOPY --chown=70000:70000 s.yaml /foreign\nRUN ["/busybox", "true"]\n' >"$home/Foreign"
chown -R nobody:nogroup "$home"

# try COMMAND... runs it as the user.
try() {
  (cd "$home" && env -i "PATH=$home/bin:$PATH" "HOME=$home" "TMPDIR=$home/tmp" SOURCE_DATE_EPOCH=1700000000 DEVS_EMBEDDED=1 \
    "$repo_root/test/image/as-user.sh" "$@")
}
# nothing_left checks that no build left a process or a file.
nothing_left() {
  local left
  left=$(find "$home/tmp" -mindepth 1 -path '*/devs-build*/*' ! -name lock)
  [ -z "$left" ] || fail "$1: there is left: $left"
}

# The image of a function: hooks are the user's own, RUN has mapped ids, and errors
# come back with their place and code.
try devs build -o json >"$work/out" 2>"$work/log" || { cat "$work/log" >&2; fail "devs build failed"; }
grep -q 'RUN uses namespaces: .*ids mapped for user 65534' "$work/log" || { cat "$work/log" >&2; fail "RUN did not use mapped ids"; }
want=$(grep -o 'sha256:[0-9a-f]*' "$work/out")
nothing_left "devs build"
code=0
try devs build -f Fails >"$work/out" 2>"$work/log" || code=$?
[ "$code" = 101 ] || fail "a command that fails gave the code $code"
grep -q 'Fails:3:1: the command failed: exit code 42' "$work/log" || { cat "$work/log" >&2; fail "the error is not told"; }
code=0
try devs image build -f Fails . >"$work/out" 2>"$work/log" || code=$?
[ "$code" = 101 ] && [ "$(grep -c 'exit code 42' "$work/log")" = 1 ] || { cat "$work/log" >&2; fail "devs image build gave the code $code"; }

# Files of users beyond the ids that are given: no command may take them for others'.
code=0
try devs image build -f Foreign . >"$work/out" 2>"$work/log" || code=$?
[ "$code" = 100 ] && grep -q 'Foreign:4:1: .*has no ids for, /foreign among them' "$work/log" || { cat "$work/log" >&2; fail "foreign files gave the code $code"; }

# Without mapped ids the build says why there are none.
try env "PATH=$home/bin" DEVS_ISOLATION=namespaces devs image build --isolation namespaces . >"$work/out" 2>"$work/log" &&
  fail "namespaces without newuidmap"
grep -q 'no namespaces: not root; no mapped ids: no newuidmap in PATH' "$work/log" || { cat "$work/log" >&2; fail "the reason is not told"; }

# Killed, first the process that was called, then the one in the namespace.
for victim in devs exe; do
  : >"$work/log"
  try devs image build -f Sleeps . >"$work/out" 2>"$work/log" &
  wait_for "the build" "$work/log" grep -q '\] ready$' "$work/log"
  outer=$(pgrep -o -u nobody -f "^devs image build -f Sleeps")
  pid=$outer
  [ "$victim" = devs ] || pid=$(pgrep -P "$outer")
  kill -9 "$pid"
  wait "$!" 2>/dev/null || true
  wait_for "the end of the build" "$work/log" bash -c '! pgrep -u nobody,200999 -f "image build -f Sleeps|echo ready"'
  try devs build -o json >"$work/out" 2>"$work/log" || { cat "$work/log" >&2; fail "the build after a kill failed"; }
  got=$(grep -o 'sha256:[0-9a-f]*' "$work/out")
  try devs image build --silent . >"$work/out" 2>"$work/log" || { cat "$work/log" >&2; fail "the build after a kill failed"; }
  [ "$got" = "$want" ] || fail "after a kill the image is $got, not $want"
  nothing_left "after the kill of $victim"
done
echo "an ordinary user builds with mapped ids, and leaves nothing behind"
