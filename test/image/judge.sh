#!/usr/bin/env bash
# Judges the image builder: every Dockerfile of testdata/dockerfiles is built with devs
# on this machine (as root, and as an ordinary user with mapped ids) and in its image,
# and with docker; files and configs must agree.
# Arguments go to go test (say -run TestSuite/case/copy).
#
#   DEVS_BIN, DEVS_IMAGE  the product, instead of building both; "-" leaves one out
#   BUILDKIT_DIR          a folder with buildkitd and buildctl, for a third judge
#   JUDGE_HEAVY=1         also the cases that take minutes
set -euo pipefail
# shellcheck source=test/image/lib.sh
source "$(dirname "$0")/lib.sh"
need_packages git:git xz:xz-utils zstd:zstd bzip2:bzip2 ssh-agent:openssh-client curl:curl newuidmap:uidmap
make_work
start_dockerd
start_registry
push_bases

# The agent and the key of the cases with --mount=type=ssh.
export SSH_AUTH_SOCK=$work/agent.sock
ssh-agent -D -a "$SSH_AUTH_SOCK" >"$work/agent.log" 2>&1 &
started+=("$!")
ssh-keygen -q -t ed25519 -N '' -C key-of-the-judge -f "$work/key"
wait_for ssh-agent "$work/agent.log" test -S "$SSH_AUTH_SOCK"
ssh-add -q "$work/key"

if [ -n "${BUILDKIT_DIR:-}" ]; then
  start_buildkitd "$BUILDKIT_DIR"
fi
build_product
export JUDGE_WORK=$work/judge
mkdir -p "$JUDGE_WORK"
export AS_USER=$repo_root/test/image/as-user.sh
cd "$repo_root"
go test -count=1 -timeout "${JUDGE_TIMEOUT:-60m}" -parallel "${JUDGE_PARALLEL:-3}" ./test/image/judge "$@"
