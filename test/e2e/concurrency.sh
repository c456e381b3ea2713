#!/usr/bin/env bash
# Two deploys of different files of one function at once, against one embedded
# cloud: what is online afterwards is one of the two files as a whole, and a
# deploy that did not win says that somebody else changed something.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.bash"
bounded 240 "$@"
build
cd "$work"
start_cloud "$work/.s/cloud"

# write_file WHO ROUND TIMEOUT MEMORY writes WHO.yaml and its code.
write_file() {
  mkdir -p "code-$1"
  cat >"$1.yaml" <<YAML
edition: 1.0.0
name: race
services:
  race:
    component: fc
    props:
      region: cn-hangzhou
      service: {name: race}
      function:
        name: f
        description: $1$2
        runtime: nodejs16
        handler: index.handler
        codeUri: ./code-$1
        timeout: $3
        memorySize: $4
        environmentVariables: {WHO: $1$2}
YAML
  echo "exports.handler = (e, c, done) => done(null, 'code $1$2, env ' + process.env.WHO);" >"code-$1/index.js"
}

# online prints what is there: from info, and from the function itself.
online() {
  "$devs" info --embedded -t a.yaml -o json >info.json 2>info.err || { cat info.err >&2; return 1; }
  python3 -c '
import json
f = json.load(open("info.json"))["race"]["function"]
print("{description} {timeout} {memorySize}".format(**f))'
  "$devs" invoke --embedded -t a.yaml -e '{}' 2>/dev/null
}

wanted() { printf '%s\n' "$1 $2 $3" "code $1, env $1"; }

# outcome WHO CODE checks how a deploy ended.
outcome() {
  case $2 in
    0) ;;
    101) grep -q -e 'changed by somebody else' -e 'another deploy of race ran into' "$1.out" || { cat "$1.out" >&2; fail "round $round: $1 ended with 101 for another reason than a conflict"; } ;;
    *) cat "$1.out" >&2; fail "round $round: $1 ended with $2" ;;
  esac
}

for round in 1 2 3 4 5; do
  write_file a "$round" $((10 + round)) 256
  write_file b "$round" $((20 + round)) 512
  timeout 60 "$devs" deploy --embedded --use-local -t a.yaml >a.out 2>&1 &
  a_pid=$!
  timeout 60 "$devs" deploy --embedded --use-local -t b.yaml >b.out 2>&1 &
  b_pid=$!
  a_code=0 b_code=0
  wait "$a_pid" || a_code=$?
  wait "$b_pid" || b_code=$?
  outcome a "$a_code"
  outcome b "$b_code"
  pass

  got=$(online)
  if [ "$got" = "$(wanted "a$round" $((10 + round)) 256)" ]; then
    winner=a loser=b winner_code=$a_code
  elif [ "$got" = "$(wanted "b$round" $((20 + round)) 512)" ]; then
    winner=b loser=a winner_code=$b_code
  else
    fail "round $round: neither file is online: $got"
  fi
  [ "$winner_code" -eq 0 ] || { cat "$winner.out" >&2; fail "round $round: $winner is online and ended with $winner_code"; }
  pass

  # The loser's second try finds a difference it may settle, and wins.
  quietly "$devs" deploy --embedded --use-local -t "$loser.yaml"
  quietly "$devs" plan --embedded -t "$loser.yaml" --detailed-exitcode || fail "round $round: the second deploy left something to do"
  pass
done
finish
