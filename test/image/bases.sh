#!/usr/bin/env bash
# Makes the base images of the tests from Debian's packages, as OCI layouts in a cache
# folder: busybox (busybox-static, 2 MB) and debian (debootstrap minbase bookworm with
# ca-certificates and python3-minimal, about 143 MB). A base that is there already is
# left alone; delete the folder to make it again.
#
#   DEVS_TEST_CACHE  the cache folder (default: devs-test in the user's cache folder)
#   DEBIAN_MIRROR    where the packages come from (default: where this machine's come from)
set -euo pipefail
# shellcheck source=test/image/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
out=$DEVS_TEST_CACHE/bases
mirror=${DEBIAN_MIRROR:-}
packages=ca-certificates,python3-minimal

# own_mirror prints where the packages of this machine come from.
own_mirror() {
  apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | awk '$2 == "bookworm" { print $1; exit }'
}

# layout NAME TREE COMMAND turns a folder into an OCI layout, complete or not at all.
layout() {
  local name=$1 tree=$2 command=$3
  tar --create --numeric-owner --sort=name --xattrs --xattrs-include='security.capability' --directory "$tree" \
    --file "$work/$name.tar" .
  (cd "$repo_root" && go run ./test/image/mkbase -cmd "$command" "$work/$name.tar" "$work/$name.layout")
  rm -rf "${out:?}/$name"
  mv "$work/$name.layout" "$out/$name"
}

make_busybox() {
  need_packages busybox:busybox-static
  local tree=$work/busybox applet program
  program=$(command -v busybox)
  mkdir -p "$tree"/{bin,sbin,etc,root,tmp,var,usr/bin,usr/sbin,home}
  chmod 1777 "$tree/tmp"
  chmod 700 "$tree/root"
  install -m 755 "$program" "$tree/bin/busybox"
  for applet in $("$program" --list); do
    [ "$applet" = busybox ] || ln -s busybox "$tree/bin/$applet"
  done
  printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'daemon:x:1:1:daemon:/usr/sbin:/bin/false' \
    'www-data:x:33:33:www-data:/var/www:/bin/false' 'nobody:x:65534:65534:nobody:/home:/bin/false' >"$tree/etc/passwd"
  printf '%s\n' 'root:x:0:' 'daemon:x:1:' 'staff:x:50:www-data' 'www-data:x:33:' 'nogroup:x:65534:' >"$tree/etc/group"
  chmod 644 "$tree/etc/passwd" "$tree/etc/group"
  layout busybox "$tree" sh
}

make_debian() {
  need_packages debootstrap:debootstrap
  local tree=$work/debian
  [ -n "$mirror" ] || mirror=$(own_mirror)
  [ -n "$mirror" ] || { apt-get update -qq && mirror=$(own_mirror); }
  [ -n "$mirror" ] || fail "no mirror of Debian bookworm is known: set DEBIAN_MIRROR"
  PATH=$PATH:/usr/sbin:/sbin debootstrap --variant=minbase --include="$packages" bookworm "$tree" "$mirror" \
    >"$work/debootstrap.log" 2>&1 || { tail -20 "$work/debootstrap.log" >&2; fail "debootstrap failed"; }
  # As images are published: no packages, no lists, no logs, no device nodes.
  rm -rf "$tree"/var/cache/apt/* "$tree"/var/lib/apt/lists/* "$tree"/var/log/*.log "$tree"/var/log/apt/* \
    "$tree"/var/cache/ldconfig/aux-cache "${tree:?}"/dev/* "$tree"/debootstrap
  rm -f "$tree/etc/resolv.conf" "$tree/etc/hostname"
  printf 'deb %s bookworm main\n' "$mirror" >"$tree/etc/apt/sources.list"
  layout debian "$tree" bash
}

umask 022
make_work
mkdir -p "$out"
for name in busybox debian; do
  [ -f "$out/$name/index.json" ] || "make_$name"
done
