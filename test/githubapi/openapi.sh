#!/usr/bin/env bash
# Prints the path of GitHub's OpenAPI description, from the package @octokit/openapi of a
# fixed version, which it fetches into the cache folder of the tests when it is not there.
set -euo pipefail
version=23.0.2
cache=${DEVS_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/devs-test}/openapi-$version
file=$cache/node_modules/@octokit/openapi/generated/api.github.com.json
if [ ! -s "$file" ]; then
  mkdir -p "$cache"
  npm install --no-audit --no-fund --ignore-scripts --silent --prefix "$cache" "@octokit/openapi@$version" >&2
fi
[ -s "$file" ] || { echo "openapi.sh: the package has no $file" >&2; exit 1; }
echo "$file"
