#!/bin/sh
# Makes the action one image for ever: rewrites the image of action.yml.
#
#   build/stamp.sh IMAGE@sha256:DIGEST [ACTION]
#
# ACTION is the file, action.yml of the project when none is named. Everything else in
# it stays as it is; a file that has no such line, or several, is left alone.
set -eu

image=${1:-} file=${2:-$(dirname "$0")/../action.yml}
digest=${image##*@sha256:}
case $image in
  *[!a-zA-Z0-9./:@_-]* | @* | *@*@*) digest= ;;
  *@sha256:*) ;;
  *) digest= ;;
esac
case $digest in
  *[!0-9a-f]*) digest= ;;
esac
if [ ${#digest} != 64 ]; then
  echo "stamp.sh: ${image:-nothing} is no image with a digest, such as ghcr.io/devs/deploy@sha256:…" >&2
  exit 2
fi
lines=$(grep -c '^  image: docker://' "$file" || true)
if [ "$lines" != 1 ]; then
  echo "stamp.sh: $file has ${lines:-no} lines with the image of the action, not one" >&2
  exit 1
fi
new=$file.$$
trap 'rm -f "$new"' EXIT
sed "s|^  image: docker://.*|  image: docker://$image|" "$file" >"$new"
mv "$new" "$file"
