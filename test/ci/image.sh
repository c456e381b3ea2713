#!/usr/bin/env bash
# Starts the product's images as CIs do, in a dockerd of our own: the entrypoint, Jenkins'
# container with a foreign user, GitLab's scripts on standard input, the Kubernetes mode
# of GitHub's runners, read-only roots, users without a name, the programs of full; and
# compares what devs builds from the Dockerfile with what docker does.
#
#   DEVS_BIN  the product, instead of building it
set -euo pipefail
# shellcheck source=test/ci/lib.sh
source "$(dirname "$0")/lib.sh"
most=20000000 # bytes of slim, compressed

# run FLAG... IMAGE ARGUMENT... starts a container that goes when it ends.
run() { "$DOCKER" run --rm --network=host "$@"; }

# workspace NAME UID makes a copy of the application that belongs to a user, and prints
# its path.
workspace() {
  mkdir -p "$work/ws"
  cp -r "$repo_root/test/ci/image/app" "$work/ws/$1"
  chown -R "$2:$2" "$work/ws/$1"
  echo "$work/ws/$1"
}

# prints TEXT COMMAND... runs a command that must print a text somewhere.
prints() {
  local text=$1
  shift
  "$@" >"$work/printed" 2>&1 || { local code=$?; cat "$work/printed"; return "$code"; }
  cat "$work/printed"
  grep -qF -- "$text" "$work/printed"
}
# fails CODE TEXT COMMAND... runs a command that must fail with this code, and print a text.
fails() {
  local want=$1 text=$2 code=0
  shift 2
  "$@" >"$work/printed" 2>&1 || code=$?
  cat "$work/printed"
  [ "$code" = "$want" ] && grep -qF -- "$text" "$work/printed"
}
# with FILE COMMAND... gives a command a file as its standard input.
with() {
  local file=$1
  shift
  "$@" <"$file"
}

entrypoint() {
  local name=$1 image=$2
  echo "a line" >"$work/line"
  check "$name: no arguments show the help" prints "Usage:" run "$image"
  check "$name: inputs of an action are run" fails 100 "no s.yaml" run -e INPUT_ACCESS-KEY-ID=x -e INPUT_ACCESS-KEY-SECRET=y -e INPUT_COMMAND=plan "$image"
  check "$name: cat is run" prints "a line" with "$work/line" run -i "$image" cat
  check "$name: sh -c is run" prints "x y" run "$image" sh -c 'echo x $1' sh y
  check "$name: /bin/sh is run" prints "x y" run "$image" /bin/sh -c 'echo x y'
  check "$name: inputs with dashes reach programs" prints "INPUT_A-B=x" run -e INPUT_A-B=x "$image" env
  check "$name: a command is ours" prints "linux/" run "$image" version
  check "$name: so is a flag" prints "linux/" run "$image" --version
  check "$name: devs and s are programs" prints "linux/" run "$image" sh -ec 'devs version; s version; /.devs/bin/s version'
  check "$name: a service is ours" fails 100 "no s.yaml" run "$image" worker deploy
  check "$name: a builtin of shells is no program" fails 100 "no s.yaml" run "$image" export
  check "$name: a path that is not there is told" fails 127 "/no/such: no such file" run "$image" /no/such
  check "$name: the entrypoint by its path" prints "Usage:" run --entrypoint /.devs/bin/entrypoint "$image"
  check "$name: no user and no command are set" test "$("$DOCKER" image inspect -f '{{.Config.User}}{{.Config.Cmd}}' "$image")" = "[]"
  check "$name: temporary files and certificates" run -u 12345 "$image" sh -ec 'f=$(mktemp); test -f "$f"; test -s "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}"'
}

# Jenkins starts cat with a terminal, looks for it with docker top, and executes scripts.
jenkins() {
  local name=$1 image=$2 home=/ ws id
  [ "$name" = full ] || home=/.devs/root
  ws=$(workspace "$name-jenkins" 1000)
  id=$("$DOCKER" run -t -d --network=host -u 1000:1000 -w "$ws" -v "$ws:$ws:rw,z" -e JENKINS_URL=http://localhost -e "WORKSPACE=$ws" "$image" cat)
  check "$name: Jenkins finds cat" prints cat "$DOCKER" top "$id" -eo pid,comm
  check "$name: Jenkins' user has no name and no home" prints "1000 $home" "$DOCKER" exec "$id" sh -c 'echo "$(id -u) $HOME" && ! id -un && ! touch "$HOME/x"'
  check "$name: Jenkins deploys" prints "created" "$DOCKER" exec "$id" sh -c 's deploy --embedded -y'
  check "$name: Jenkins' hook ran" grep -qx 1000 "$ws/hook.txt"
  check "$name: Jenkins plans" "$DOCKER" exec "$id" sh -c 's plan --embedded --detailed-exitcode'
  check "$name: Jenkins stores a credential" "$DOCKER" exec "$id" sh -c 's config add --AccountID 1 --AccessKeyID 2 --AccessKeySecret 3 -a x && s config get -a x'
  check "$name: Jenkins' pipeline sets HOME to /" prints "nothing to do" "$DOCKER" exec -e HOME=/ "$id" sh -c 's deploy --embedded -y --skip-actions'
  check "$name: all that is left belongs to Jenkins" test -z "$(find "$ws" ! -uid 1000)"
  "$DOCKER" rm -f "$id" >/dev/null
}

# GitLab looks for a shell with a script of sh, and gives it the job on standard input.
gitlab() {
  local name=$1 image=$2 ws
  ws=$(workspace "$name-gitlab" 0)
  cat >"$work/job" <<'JOB'
set -e
cd "$CI_PROJECT_DIR"
s config add --AccountID 1 --AccessKeyID 2 --AccessKeySecret 3 -a x >/dev/null
s deploy --embedded -y
echo "the job is done"
JOB
  local find='for shell in /usr/local/bin/bash /usr/bin/bash /bin/bash /usr/local/bin/sh /usr/bin/sh /bin/sh /busybox/sh; do
    if [ -x "$shell" ]; then exec "$shell"; fi
  done
  echo "shell not found"
  exit 1'
  local flags=(-i -v "$ws:$ws" -e CI=true -e GITLAB_CI=true -e "CI_PROJECT_DIR=$ws")
  check "$name: GitLab's script on standard input of sh" prints "the job is done" with "$work/job" run "${flags[@]}" "$image" sh
  check "$name: GitLab's search for a shell" prints "the job is done" with "$work/job" run "${flags[@]}" "$image" sh -c "$find"
  check "$name: GitLab without an entrypoint" prints "the job is done" with "$work/job" run "${flags[@]}" --entrypoint "" "$image" sh
}

# GitHub's runners in Kubernetes keep the container alive, copy files into it, and run
# scripts there.
kubernetes() {
  local name=$1 image=$2 ws id
  ws=$(workspace "$name-kubernetes" 0)
  tar -C "$ws" -cf "$work/files.tar" .
  cat >"$work/script" <<'JOB'
cd /__w
test "$(find . -type f | wc -l)" = 5
test "$(stat -c '%a %s' code/index.js)" = "$(stat -c %a code/index.js) $(wc -c <code/index.js)"
chmod 700 code
s deploy --embedded -y
echo "the step is done"
JOB
  id=$("$DOCKER" run -d --network=host "$image" tail -f /dev/null)
  check "$name: files are copied in" with "$work/files.tar" "$DOCKER" exec -i "$id" sh -c 'mkdir /__w && tar -xmf - -C /__w'
  check "$name: the step's script is copied in" with "$work/script" "$DOCKER" exec -i "$id" sh -c 'cat >/tmp/script'
  check "$name: the step runs" prints "the step is done" "$DOCKER" exec "$id" sh -e /tmp/script
  check "$name: a login shell finds s" prints /.devs/bin/s "$DOCKER" exec "$id" sh -lc 'command -v s'
  check "$name: files are copied out" prints hook.txt "$DOCKER" exec "$id" tar -cf - -C /__w .
  "$DOCKER" rm -f "$id" >/dev/null
}

# exchanged builds with a RUN in slim, whose root can be exchanged as long as nothing lies
# in it: credentials are stored in HOME, and do not.
exchanged() {
  mkdir "$work/ws/run"
  printf 'ARG BUSYBOX=x\nFROM $BUSYBOX\nRUN test -d /proc/self\n' >"$work/ws/run/Dockerfile"
  check "slim: RUN works by an exchanged root, also when a credential is stored" prints "RUN uses own-root" \
    run -v "$work/ws/run:/github/workspace" -w /github/workspace -e BUSYBOX "$SLIM_IMAGE" sh -ec \
    's config add --AccountID 1 --AccessKeyID 2 --AccessKeySecret 3 -a x; s image build --build-arg BUSYBOX .'
}

# users deploys as several users, with a root that nothing can be written to.
users() {
  local name=$1 image=$2 uid ws
  for uid in 0 1000 12345; do
    ws=$(workspace "$name-user-$uid" "$uid")
    check "$name: user $uid deploys with a read-only root" prints created \
      run --read-only -u "$uid" -v "$ws:$ws" -w "$ws" "$image" deploy --embedded -y
    check "$name: user $uid plans with a read-only root" \
      run --read-only -u "$uid" -v "$ws:$ws" -w "$ws" "$image" plan --embedded --detailed-exitcode
    check "$name: nothing is left of user $uid but state" test -z "$(find "$ws/.s/tmp" -mindepth 1)"
  done
  ws=$(workspace "$name-homeless" 12345)
  check "$name: a user without HOME deploys" prints created \
    run -u 12345:0 -v "$ws:$ws" -w "$ws" --entrypoint sh "$image" -c 'unset HOME; devs deploy --embedded -y'
}

# programs are those of full, for root and for a user without a name.
programs() {
  local uid ws
  for uid in 0 1000; do
    ws=$(workspace "programs-$uid" "$uid")
    local at=(-u "$uid:$uid" -v "$ws:$ws" -w "$ws" "$FULL_IMAGE" sh -ec)
    check "full: node, npm, python, pip, git and bash of user $uid" run "${at[@]}" \
      'node --version; npm --version; python3 --version; python3 -m pip --version; pip --version; git --version; bash --version'
    check "full: user $uid installs a package of npm" prints "hello npm" run "${at[@]}" \
      'cd code; npm install --offline --no-audit --no-fund ../greeting; node -p "require(\"greeting\")(\"npm\")"'
    check "full: user $uid installs a package of Python" prints "hello pip" run "${at[@]}" '
      python3 -c "import zipfile
z = zipfile.ZipFile(\"greeting-1-py3-none-any.whl\", \"w\")
d = \"greeting-1.dist-info/\"
z.writestr(\"greeting.py\", \"print(\\\"hello pip\\\")\")
z.writestr(d + \"METADATA\", \"Metadata-Version: 2.1\\nName: greeting\\nVersion: 1\\n\")
z.writestr(d + \"WHEEL\", \"Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n\")
z.writestr(d + \"RECORD\", \"\")"
      pip install --no-index --target lib ./greeting-1-py3-none-any.whl; PYTHONPATH=lib python3 -c "import greeting"'
    check "full: user $uid clones a repository" run "${at[@]}" \
      'git init -q a; cd a; touch f; git add f; git -c user.name=a -c user.email=a@localhost commit -qm f; cd ..; git clone -q a b; test -f b/f'
    check "full: user $uid deploys and invokes what npm installed" prints "hello node" run "${at[@]}" \
      's deploy --embedded -y && s invoke --embedded -e "{\"who\":\"node\"}"'
  done
  ws=$(workspace other-s 0)
  cat >"$ws/install" <<'JOB'
npm install -g --offline --no-audit --no-fund --install-links ./greeting
"$(npm prefix -g)/bin/s" | grep "the other s"
s version | grep linux/
test "$(command -v s)" = /.devs/bin/s
sh -lc 's version' | grep linux/
bash -lc 's version' | grep linux/
test "$(readlink /.devs/bin/s)" = devs
echo "s is ours"
JOB
  check "full: another s that npm installs is not in the way" prints "s is ours" run -v "$ws:$ws" -w "$ws" "$FULL_IMAGE" sh -e install
  check "full: pip installs for all" run -v "$work/ws/programs-0:/ws:ro" "$FULL_IMAGE" sh -ec \
    'pip install --no-index /ws/greeting-1-py3-none-any.whl; python3 -c "import greeting"'
  check "full: no lists of packages" run "$FULL_IMAGE" sh -ec 'test -z "$(find /var/lib/apt/lists /var/cache/apt -type f)"'
}

# listing IMAGE FILE lists what a container of an image consists of: type and mode, owner,
# size and path, and where links lead.
listing() {
  local id
  id=$("$DOCKER" create "$1" true)
  "$DOCKER" export "$id" | tar --numeric-owner --full-time -tvf - | sed -E 's/ [0-9]{4}-[0-9-]{5} [0-9:.]+ / /' | sort >"$2"
  "$DOCKER" rm "$id" >/dev/null
}
# settings IMAGE prints its config. No working directory is the same as /.
settings() {
  "$DOCKER" image inspect -f '{{json .Config.Entrypoint}} {{json .Config.Cmd}} {{json .Config.Env}} user {{.Config.User}} in {{or .Config.WorkingDir "/"}}' "$1"
}

# ours builds a target with devs and compares it with docker's.
ours() {
  local name=$1 image=$2
  shift 2
  check "$name: devs builds it" "$DEVS_BIN" image build --silent -f "$repo_root/Dockerfile" "$@" -t "$REGISTRY/ours:$name" "$IMAGE_ROOT"
  check "$name: docker takes it" "$DOCKER" pull -q "$REGISTRY/ours:$name"
  listing "$image" "$work/theirs.list"
  listing "$REGISTRY/ours:$name" "$work/ours.list"
  check "$name: the same files as docker's" diff "$work/theirs.list" "$work/ours.list"
  check "$name: there are files" grep -q ' .devs/bin/entrypoint' "$work/ours.list"
  check "$name: the same settings as docker's" test "$(settings "$image")" = "$(settings "$REGISTRY/ours:$name")"
}

# size REFERENCE prints the bytes of its layers in the registry.
size() { skopeo inspect --raw --tls-verify=false "docker://$1" | python3 -c 'import json, sys; print(sum(l["size"] for l in json.load(sys.stdin)["layers"]))'; }

# compare builds with devs. The packages of full are those that docker installed: they
# take minutes, and no two installations are the same.
compare() {
  ours slim "$SLIM_IMAGE" --target slim
  ours default "$SLIM_IMAGE"
  "$DOCKER" tag devs-ci:packages "$REGISTRY/packages:latest"
  "$DOCKER" push -q "$REGISTRY/packages:latest" >/dev/null
  ours full "$FULL_IMAGE" --target full --build-context "packages=docker-image://$REGISTRY/packages:latest"
}

sizes() {
  local slim full
  slim=$(size "$REGISTRY/ours:slim")
  full=$(size "$REGISTRY/ours:full")
  echo "        compressed: slim $slim bytes, full $full bytes"
  check "slim: at most $most bytes" test "$slim" -gt 0 -a "$slim" -le "$most"
}

need_docker
need_packages skopeo:skopeo python3:python3
make_work
start_dockerd
start_registry
build_images
for target in slim full; do
  image=$SLIM_IMAGE
  [ "$target" = slim ] || image=$FULL_IMAGE
  entrypoint "$target" "$image"
  jenkins "$target" "$image"
  gitlab "$target" "$image"
  kubernetes "$target" "$image"
  users "$target" "$image"
done
exchanged
programs
compare
sizes
summary
