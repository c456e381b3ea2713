#!/usr/bin/env bash
# Checks with actionlint every workflow of the project and of its test data, and every
# one that the documents show: a YAML block with `on:` and `jobs:`. Needs nothing but Go.
set -euo pipefail
cd "$(dirname "$0")/../.."
ACTIONLINT=github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
GOBIN=$work/bin go install "$ACTIONLINT"
passed=0 failed=0

# actionlint FILE checks a workflow; what else the machine has makes no difference. The
# entrypoint of the action is a file of its image, not of the repository, and the pipelines
# of other people use the actions that they use.
actionlint() {
  "$work/bin/actionlint" -no-color -shellcheck= -pyflakes= -ignore 'file "/\.devs/bin/entrypoint" does not exist' -ignore 'the runner of "actions/.*@v2" action is too old' "$1" >"$work/log" 2>&1
}

# count WHAT STATUS counts a check, and shows what was found when it failed.
count() {
  if [ "$2" = 0 ]; then
    passed=$((passed + 1))
    echo "ok: $1"
  else
    failed=$((failed + 1))
    echo "FAILED: $1"
    cat "$work/log"
  fi
}

# lint WHAT FILE wants a workflow without a fault.
lint() {
  local status=0
  actionlint "$2" || status=1
  count "$1" "$status"
}

# blocks DOCUMENT writes each of its YAML blocks that is a workflow into a file, named
# after its first line.
blocks() {
  awk -v dir="$work/blocks" '
    /^```/ && open {
      if (yaml && text ~ /(^|\n)on:/ && text ~ /(^|\n)jobs:/) { file = dir "/" line ".yml"; printf "%s", text > file; close(file) }
      open = 0
      next
    }
    /^```/ { open = 1; yaml = /^```ya?ml$/; text = ""; line = NR; next }
    open { text = text $0 "\n" }' "$1"
}

while read -r file; do
  lint "$file" "$file"
done < <(find .github/workflows testdata/workflows -maxdepth 1 -name '*.yml' 2>/dev/null | sort
  find testdata/pipelines -path '*/.github/workflows/*' \( -name '*.yml' -o -name '*.yaml' \) 2>/dev/null | sort)
[ "$passed" -gt 0 ] || { echo "there is no workflow: is this the project?" >&2; exit 1; }

shown=0
while read -r document; do
  rm -rf "$work/blocks"
  mkdir "$work/blocks"
  blocks "$document"
  while read -r file; do
    shown=$((shown + 1))
    lint "$document:$(basename "$file" .yml)" "$file"
  done < <(find "$work/blocks" -name '*.yml' | sort)
done < <(find README*.md docs -name '*.md' | sort)
count "the documents show workflows ($shown)" "$((shown == 0))"

# Had actionlint nothing to say to anything, all of this would mean nothing.
printf 'on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ steps.none.outputs.x }}\n' >"$work/broken.yml"
status=0
! actionlint "$work/broken.yml" || status=1
count "a workflow with a fault is refused" "$status"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
