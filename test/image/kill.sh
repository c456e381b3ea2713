#!/usr/bin/env bash
# Kills a build at random moments and builds again: the next build must give the image
# of an undisturbed one, and nothing of the killed one may be left.
#
#   KILLS   how often (50)
set -euo pipefail
# shellcheck source=test/image/lib.sh
source "$(dirname "$0")/lib.sh"
make_work
start_registry
push_bases
export DEVS_IMAGE=-
build_product

context=$work/context
mkdir -p "$context/many"
for i in $(seq 200); do head -c 100000 /dev/urandom | base64 -w 0 >"$context/many/$i"; done
cat >"$context/Dockerfile" <<'DOCKERFILE'
ARG BUSYBOX
FROM $BUSYBOX AS made
COPY many /many
RUN cat /many/* > /all && sleep 0.1 && rm -r /many
RUN wc -c < /all > /size
FROM $BUSYBOX
COPY --from=made /size /all /
COPY many /many
RUN mkdir -p /a/b && echo done > /a/b/c
DOCKERFILE

export DEVS_BUILD_DIR=$work/builds XDG_CACHE_HOME=$work/cache SOURCE_DATE_EPOCH=1700000000
# build REPOSITORY prints the digest.
build() {
  "$DEVS_BIN" image build --silent -t "$REGISTRY/$1:v1" --build-arg "BUSYBOX=$BUSYBOX" "$context" 2>"$work/log"
}
# digest REPOSITORY builds and prints the digest alone.
digest() {
  local out
  out=$(build "$1") || { cat "$work/log" >&2; fail "the build of $1 failed"; }
  echo "${out##*@}"
}

# The second build shows how long one takes when nothing is new to the machine.
want=$(digest undisturbed)
started_at=$(date +%s%N)
[ "$(digest undisturbed-again)" = "$want" ] || fail "two builds of the same are not the same"
length=$((($(date +%s%N) - started_at) / 1000000))
kills=${KILLS:-50} killed=0 tries=0
while [ "$killed" -lt "$kills" ]; do
  tries=$((tries + 1))
  [ "$tries" -le $((kills * 5)) ] || fail "only $killed of $tries builds were under way when they were to be killed"
  (build "killed-$tries" >/dev/null) 2>/dev/null &
  pid=$!
  moment=$((RANDOM % length))
  sleep "$(printf '%d.%03d' $((moment / 1000)) $((moment % 1000)))"
  # The shell of the function is the parent: the product itself is what is killed.
  child=$(pgrep -P "$pid" -x devs || true)
  if [ -n "$child" ] && kill -9 "$child" 2>/dev/null; then killed=$((killed + 1)); fi
  wait "$pid" 2>/dev/null || true
  got=$(digest "killed-$tries")
  [ "$got" = "$want" ] || fail "after kill $tries the image is $got, not $want"
  left=$(find "$DEVS_BUILD_DIR" -mindepth 1 -maxdepth 1 ! -name lock)
  [ -z "$left" ] || fail "after kill $tries there is left: $left"
done
echo "$killed builds were killed under way, of $tries that were tried, and the build after each gave the right image"
