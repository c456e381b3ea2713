#!/usr/bin/env bash
# Runs the action as GitHub would: act runs the workflows of testdata/workflows, with
# the action's image in a dockerd of our own, pinned by its digest as a release is. What
# the workflows deploy to is the embedded cloud on loopback.
#
# Needs root and Debian's packages, as all of test/image. Where those are missing, it
# says so, and fails only with DEVS_REQUIRE=1.
set -euo pipefail
# shellcheck source=test/ci/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
ACT=github.com/nektos/act@v0.2.89

# install_act installs act once. Sets act.
install_act() {
  local folder=$DEVS_TEST_CACHE/act-${ACT##*@}
  [ -x "$folder/act" ] || (cd "$work" && GOBIN=$folder go install "$ACT")
  act=$folder/act
}

# start_cloud serves the embedded cloud. Sets CLOUD.
start_cloud() {
  (cd "$work" && exec "$DEVS_BIN" emulator --listen 127.0.0.1:0 --state "$work/cloud") >"$work/cloud.log" 2>&1 &
  started+=("$!")
  wait_for "the embedded cloud" "$work/cloud.log" grep -qo 'http://127.0.0.1:[0-9]*' "$work/cloud.log"
  CLOUD=$(grep -o 'http://127.0.0.1:[0-9]*' "$work/cloud.log" | head -1)
}

# start_github serves a double of GitHub's API, in which the commit belongs to the pull
# request 7. Sets GITHUB_API and GITHUB_STATE.
start_github() {
  (cd "$repo_root" && go build -o "$work/githubapi" ./test/githubapi/serve)
  "$work/githubapi" -openapi "$("$repo_root/test/githubapi/openapi.sh")" -pull "$sha=7" -denied read-only >"$work/github.log" 2>&1 &
  started+=("$!")
  wait_for "the double of GitHub's API" "$work/github.log" grep -q '^state ' "$work/github.log"
  GITHUB_API=$(sed -n 's/^api //p' "$work/github.log") GITHUB_STATE=$(sed -n 's/^state //p' "$work/github.log")
}

# make_runner makes the image that the jobs run in: busybox, and nothing of ours.
make_runner() {
  local root=$work/runner applet
  mkdir -p "$root"/{bin,etc,tmp,usr/bin,var}
  cp "$(command -v busybox)" "$root/bin/busybox"
  for applet in $(busybox --list); do
    [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
  done
  printf 'FROM scratch\nCOPY . /\nCMD ["sh"]\n' >"$work/Runner"
  DOCKER_BUILDKIT=0 "$DOCKER" build -q -t devs-ci:runner -f "$work/Runner" "$root" >/dev/null 2>&1
}

# make_project makes the repository team/shop with the application, the workflows, and
# the action with its image of this build, by digest.
make_project() {
  project=$work/shop
  mkdir -p "$project/.github"
  cp -r "$repo_root/testdata/workflows" "$project/.github/workflows"
  mv "$project/.github/workflows/app" "$project/app"
  cp "$repo_root/action.yml" "$project/action.yml"
  "$DOCKER" tag "$SLIM_IMAGE" "$REGISTRY/devs:act"
  "$DOCKER" push -q "$REGISTRY/devs:act" >/dev/null
  local digest
  digest=$("$DOCKER" image inspect --format '{{index .RepoDigests 0}}' "$REGISTRY/devs:act")
  "$repo_root/build/stamp.sh" "$digest" "$project/action.yml"
  git -C "$project" init -q -b main
  git -C "$project" remote add origin https://github.com/team/shop
  commit "Begin"
}

commit() {
  git -C "$project" add -A
  git -C "$project" -c user.name=dev -c user.email=dev@example.com commit -q --allow-empty -m "$1"
  sha=$(git -C "$project" rev-parse HEAD)
}

# The events, as far as they count.
push_event() {
  printf '{"ref": "%s", "after": "%s", "repository": {"full_name": "team/shop"}}\n' "$1" "$sha"
}
pull_request_event() {
  local repository=$1 fork=$2
  cat <<JSON
{"action": "opened", "number": 7, "repository": {"full_name": "team/shop"}, "pull_request": {"number": 7,
 "head": {"ref": "topic", "sha": "$sha", "repo": {"full_name": "$repository", "fork": $fork}},
 "base": {"ref": "main", "repo": {"full_name": "team/shop", "fork": false}}}}
JSON
}
workflow_run_event() {
  printf '{"action": "completed", "repository": {"full_name": "team/shop"}, "workflow_run": {"event": "pull_request", "head_sha": "%s", "head_repository": {"full_name": "stranger/shop"}, "pull_requests": []}}\n' "$sha"
}

# run_workflow NAME KIND [FLAG...] runs the workflow for the event in $event, which is of
# this kind. Sets log and ended, its exit code.
run_workflow() {
  local name=$1 kind=$2
  shift 2
  log=$work/$name.log ended=0
  (cd "$project" && env -i "PATH=$PATH" "HOME=$work/home" "XDG_CACHE_HOME=$work/home/cache" "DOCKER_HOST=$DOCKER_HOST" "DOCKER_CONFIG=$DOCKER_CONFIG" \
    timeout 300 "$act" "$kind" -W ".github/workflows/$kind.yml" -e "$event" -P ubuntu-latest=devs-ci:runner \
    --pull=false --network host --container-daemon-socket - --no-cache-server --rm \
    --env "FC_ENDPOINT=$CLOUD" --env "DEVS_STS_ENDPOINT=http://127.0.0.1:1" --env "GITHUB_API_URL=$GITHUB_API" "$@") >"$log" 2>&1 || ended=$?
}
secrets=(-s ALIYUN_ACCOUNT_ID=1000000000000000 -s ALIYUN_ACCESS_KEY_ID=embedded -s ALIYUN_ACCESS_KEY_SECRET=embedded-cloud-secret
  -s APPROVAL_KEY=a-long-random-text -s GITHUB_TOKEN=workflow --var APP_TOKEN=correct-horse-battery)

# ended CODE, has TEXT, lacks TEXT, output NAME VALUE look at the last run.
ended() { [ "$ended" = "$1" ] || { tail -40 "$log"; return 1; }; }
has() { grep -qF -- "$1" "$log" || { grep -E "::|\\| output" "$log" | tail -60; return 1; }; }
lacks() { ! grep -F -- "$1" "$log"; }
output() { grep -qE -- "\| output $1=$2\$" "$log" || { grep -F "output $1=" "$log"; return 1; }; }
# github PATTERN... wants lines in what the double of GitHub keeps, in this order.
github() {
  curl -fsS "$GITHUB_STATE" >"$work/github.json"
  local pattern from=1 at
  for pattern in "$@"; do
    at=$(tail -n "+$from" "$work/github.json" | grep -nE -m1 -- "$pattern" | cut -d: -f1)
    [ -n "$at" ] || { echo "there is no $pattern in"; cat "$work/github.json"; return 1; }
    from=$((from + at))
  done
}
# comments NUMBER wants so many comments.
comments() {
  curl -fsS "$GITHUB_STATE" >"$work/github.json"
  [ "$(grep -c '"Author":' "$work/github.json")" = "$1" ] || { cat "$work/github.json"; return 1; }
}
# online WORD... asks the cloud what is there.
online() {
  (cd "$project/app" && env "FC_ENDPOINT=$CLOUD" DEVS_STS_ENDPOINT=http://127.0.0.1:1 AccountID=1000000000000000 AccessKeyID=embedded \
    AccessKeySecret=embedded-cloud-secret "$DEVS_BIN" "$@")
}
# prints TEXT COMMAND... wants TEXT in what a command prints.
prints() {
  local text=$1
  shift
  "$@" >"$work/printed" 2>&1 || true
  grep -qF -- "$text" "$work/printed" || { cat "$work/printed"; return 1; }
}

need_docker
make_work
start_dockerd
start_registry
assemble_image
SLIM_IMAGE=devs-ci:slim
DEBIAN=unused docker_build slim "$SLIM_IMAGE"
install_act
start_cloud
make_runner
make_project
start_github
event=$work/event.json

for part in "$(dirname "${BASH_SOURCE[0]}")"/act/*.sh; do
  # shellcheck source=/dev/null
  source "$part"
done
summary
