#!/usr/bin/env bash
# The pipelines of testdata/pipelines, as their CIs run them: the shell part of each, in a
# container of the image full, against an embedded cloud that another container serves.
# Needs root, Debian and network for its packages; what needs npm's registry is left out
# where that cannot be reached.
set -euo pipefail
if [ -z "${CI_BOUNDED:-}" ]; then
  CI_BOUNDED=1 exec timeout -k 30 3000 bash "$0" "$@"
fi
# shellcheck source=test/ci/lib.sh
source "$(dirname "$0")/lib.sh"

account=1000000000000000 key_id=embedded key_secret=embedded-cloud-secret
npm_line='npm install -g @serverless-devs/s is not needed here: s is devs'
runs=0

# start_cloud serves the embedded cloud from a container, and STS. Sets cloud and sts.
start_cloud() {
  mkdir "$work/cloud"
  "$DOCKER" run -d --name cloud --network=host -v "$work/cloud:/cloud" "$FULL_IMAGE" \
    devs emulator --listen 127.0.0.1:0 --state /cloud >/dev/null
  wait_for "the embedded cloud" /dev/null test -s "$work/cloud/address"
  cloud=$(cat "$work/cloud/address")
  python3 "$repo_root/test/ci/sts.py" "$account" "$key_id" "$key_secret" "$work/sts" >"$work/sts.log" 2>&1 &
  started+=("$!")
  wait_for STS "$work/sts.log" test -s "$work/sts"
  sts=$(cat "$work/sts")
}

# npm_settings sets npm: the arguments of docker that give a container the npm settings of
# this machine, and online: whether its registry answers.
npm_settings() {
  npm=() online=
  local name
  for name in $(compgen -e | grep -iE '^(npm_config_.*|(https?|no)_proxy)$' || true); do
    npm+=(-e "$name")
  done
  [ ! -f "$HOME/.npmrc" ] || npm+=(-v "$HOME/.npmrc:/root/.npmrc:ro")
  if [ -f "${NODE_EXTRA_CA_CERTS:-}" ]; then
    npm+=(-v "$NODE_EXTRA_CA_CERTS:/etc/npm-ca.pem:ro" -e NODE_EXTRA_CA_CERTS=/etc/npm-ca.pem)
  fi
  if timeout 180 "$DOCKER" run --rm --network=host "${npm[@]}" "$FULL_IMAGE" npm view @serverless-devs/s version >"$work/npm.log" 2>&1; then
    online=yes
  else
    skip "npm's registry cannot be reached: what needs it is left out"
  fi
}

# repository NAME makes a fresh checkout of a pipeline's folder. Sets checkout.
repository() {
  checkout=$work/checkout/$1
  rm -rf "$checkout"
  mkdir -p "$work/checkout"
  cp -r "$repo_root/testdata/pipelines/$1" "$checkout"
}

# steps FILE writes the steps of a pipeline to $work/steps, one file each, in order.
steps() {
  rm -rf "$work/steps"
  mkdir "$work/steps"
  SECRET_AccountID=$account SECRET_AccessKeyID=$key_id SECRET_AccessKeySecret=$key_secret awk -f "$repo_root/test/ci/steps.awk" "$1" |
    awk -v dir="$work/steps" '$0 == "#step" { n++; next } { print > sprintf("%s/%02d", dir, n) }'
  if [ -z "$online" ]; then
    sed -i '/^npm /d' "$work"/steps/*
  fi
}

# pipeline FILE SHELL [DOCKER ARGUMENT...] runs the pipeline of the checkout in one
# container, as one job, each step in SHELL. Its output goes to $log, one for each run.
pipeline() {
  local file=$1 shell=$2 step code=0
  shift 2
  steps "$checkout/$file"
  runs=$((runs + 1))
  log=$work/logs/$runs
  mkdir -p "$work/logs"
  "$DOCKER" run -t -d --name job --network=host -v "$checkout:/work" -v "$work/steps:/steps:ro" -w /work "${npm[@]}" \
    -e CI=true -e BRANCH_NAME=main -e "FC_ENDPOINT=$cloud" -e "DEVS_STS_ENDPOINT=$sts" -e "GITHUB_RUN_ID=$runs" "$@" "$FULL_IMAGE" cat >/dev/null
  for step in "$work"/steps/*; do
    # shellcheck disable=SC2086 # the shell has flags
    timeout 300 "$DOCKER" exec job $shell "/steps/${step##*/}" >>"$log" 2>&1 || { code=$?; break; }
  done
  [ "$code" = 0 ] || echo "step ${step##*/} ended with $code" >>"$log"
  ours=$("$DOCKER" exec job sh -c 'command -v s; readlink -f "$(command -v s)"; s version' 2>&1) || true
  "$DOCKER" rm -f job >/dev/null
  cat "$log"
  return "$code"
}

# The shells of the CIs. Jenkins adds -x, and hides the credentials that it prints.
github() { pipeline "$1" "bash --noprofile --norc -eo pipefail" -e GITHUB_ACTIONS=true "${@:2}"; }
gitee() { pipeline "$1" "sh -e" -e GITEE_PIPELINE_BUILD_NUMBER=7 -e "ACCESSKEYID=$key_id" -e "ACCESSKEYSECRET=$key_secret"; }
yunxiao() { pipeline "$1" "bash -e" -e PIPELINE_ID=12 -e PROJECT_DIR=/work -e "ACCESSKEYID=$key_id" -e "ACCESSKEYSECRET=$key_secret"; }
jenkins() {
  pipeline "$1" "sh -e" -u root:root -e JENKINS_URL=http://jenkins.invalid/ -e BUILD_TAG=jenkins-app-7 \
    -e ALICLOUD_ACCESS=jenkins -e "ALICLOUD_ACCESS_KEY_ID=$key_id" -e "ALICLOUD_ACCESS_KEY_SECRET=$key_secret"
}

# ends CODE COMMAND... runs a command that has to end with this exit code.
ends() {
  local want=$1 code=0
  shift
  "$@" || code=$?
  [ "$code" = "$want" ] || { echo "it ended with $code"; return 1; }
}

# says TEXT, silent TEXT look into the log of the last run; once TEXT counts its lines.
says() { grep -qF -- "$1" "$log" || { cat "$log"; return 1; }; }
silent() { ! grep -F -- "$1" "$log"; }
once() { [ "$(grep -cF -- "$1" "$log")" = 1 ] || { cat "$log"; return 1; }; }

# devs_with ARGUMENT... runs s against the cloud, in the checkout, with the keys in the
# environment, as somebody at a desk does.
devs_with() {
  "$DOCKER" run --rm --network=host -v "$checkout:/work" -w /work "${npm[@]}" -e BRANCH_NAME=main -e "FC_ENDPOINT=$cloud" \
    -e "AccountID=$account" -e "AccessKeyID=$key_id" -e "AccessKeySecret=$key_secret" "$FULL_IMAGE" "$@"
}

# answers TEXT [ARGUMENT...] invokes the function and compares what it answers.
answers() {
  local want=$1 got
  shift
  got=$(devs_with s invoke "$@")
  [ "$got" = "$want" ] || { echo "it answered: $got"; return 1; }
}

# ours_first checks that s was still devs after the job.
ours_first() {
  [ -z "$online" ] || says "$npm_line" || return 1
  case $ours in
  /.devs/bin/s$'\n'/.devs/bin/devs$'\n'*) ;;
  *) echo "s is $ours"; return 1 ;;
  esac
}

github_pipeline() {
  local file=.github/workflows/deploy.yml
  repository github
  check "github: the job deploys" github $file
  check "github: the function answers" answers "hello from the workflow"
  check "github: s stays devs" ours_first
  [ -z "$online" ] || check "github: it is said once that npm install can go" once "$npm_line"
  repository github
  check "github: the next checkout has nothing to do" github $file
  check "github: nothing changed" says "greeter: nothing to do"
  repository github
  sed -i 's/from the workflow/again/' "$checkout/code/index.js"
  check "github: a commit is deployed" github $file
  check "github: the new code answers" answers "hello again"
  # What nobody decided about: somebody changed the function online.
  check "github: a change online" devs_with s cli fc-api updateFunction --region cn-hangzhou --serviceName pipeline-github \
    --functionName greeter --memorySize 512 --description "by hand"
  check "github: s deploy alone fails with 101" ends 101 github $file
  check "github: and says what to decide" says "--use-local"
  check "github: the change online is still there" devs_with sh -c \
    's cli fc-api getFunction --region cn-hangzhou --serviceName pipeline-github --functionName greeter | grep -q "memorySize: 512"'
  sed -i 's/run: s deploy$/run: s deploy -y --use-local/' "$checkout/$file"
  check "github: with --use-local the file wins" github $file
  check "github: the memory is that of the file" devs_with sh -c 's info | grep -q "memorySize: 128"'
}

gitee_pipeline() {
  repository gitee
  check "gitee: the goals deploy" gitee .workflow/master-pipeline.yml
  check "gitee: the function answers" answers "hello from the goals" -e '{"method":"GET","path":"/"}'
  check "gitee: s stays devs" ours_first
}

jenkins_pipeline() {
  repository jenkins
  check "jenkins: the alias of the pipeline deploys" jenkins Jenkinsfile
  check "jenkins: the function answers" answers "hello from main"
  check "jenkins: s stays devs" ours_first
  repository jenkins
  check "jenkins: again" jenkins Jenkinsfile
  check "jenkins: nothing to do" says "greeter: nothing to do"
}

yunxiao_pipeline() {
  repository yunxiao
  check "yunxiao: three dashes are read as two" yunxiao pipeline.yml
  check "yunxiao: and that is said" says "---AccessKeyID has too many dashes; it was read as --AccessKeyID"
  check "yunxiao: the function answers" answers "hello from the flow"
  check "yunxiao: s stays devs" ours_first
}

# The registry of the embedded cloud stands for ACR, so the job has a cloud of its own.
container_pipeline() {
  local file=.github/workflows/publish.yaml
  repository container
  cp "$(command -v busybox)" "$checkout/busybox"
  check "container: the job builds, pushes and deploys" github $file -e DEVS_EMBEDDED=1
  check "container: the image was pushed" says "pushed registry.cn-hangzhou.aliyuncs.com/pipeline-container/web@sha256:"
  check "container: the function answers" container_answers "<p>hello from v1</p>"
  check "container: s stays devs" ours_first
  check "container: the same version again" github $file -e DEVS_EMBEDDED=1
  check "container: nothing to do" says "web: nothing to do"
  check "container: nothing pushed" silent "pushed registry"
  echo v2 >"$checkout/version"
  check "container: the next version" github $file -e DEVS_EMBEDDED=1
  check "container: its function answers" container_answers "<p>hello from v2</p>"
}

container_answers() {
  local got
  got=$("$DOCKER" run --rm --network=host -v "$checkout:/work" -w /work -e DEVS_EMBEDDED=1 "$FULL_IMAGE" \
    sh -c 'image=registry.cn-hangzhou.aliyuncs.com/pipeline-container/web:$(cat version) s invoke -e "{\"method\":\"GET\",\"path\":\"/\"}"')
  [ "$got" = "$1" ] || { echo "it answered: $got"; return 1; }
}

koa_pipeline() {
  local file=.workflow/master-pipeline.yml
  repository koa
  check "koa: the first deploy" devs_with sh -c 'npm install --no-audit --no-fund && s deploy'
  check "koa: it answers" answers "hello from Koa v1" -e '{"method":"GET","path":"/"}'
  repository koa
  sed -i 's/Koa v1/Koa v2/' "$checkout/app.js"
  check "koa: the goals change the code and publish" gitee $file
  check "koa: a version was published" says 'versionId: "1"'
  check "koa: the new code answers" answers "hello from Koa v2" -e '{"method":"GET","path":"/"}'
  repository koa
  sed -i 's/Koa v1/Koa v3/' "$checkout/app.js"
  check "koa: the next commit" gitee $file
  check "koa: the next version" says 'versionId: "2"'
  check "koa: the same commit again publishes nothing" ends 101 gitee $file
  check "koa: and says why" says "changed since the last one"
}

no_secret() { ! grep -rlF -- "$key_secret" "$work/logs"; }

need_docker
need_packages python3:python3 busybox:busybox-static
make_work
start_dockerd
start_registry
build_images
npm_settings
start_cloud
github_pipeline
gitee_pipeline
jenkins_pipeline
yunxiao_pipeline
container_pipeline
[ -z "$online" ] || koa_pipeline
check "the secret is in no log of $runs jobs" no_secret
"$DOCKER" rm -f cloud >/dev/null
summary
