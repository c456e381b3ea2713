#!/bin/sh
# Assembles the root folder of the product's image, which is the context of both targets
# of the Dockerfile.
#
#   build/image.sh ROOT DEVS BUSYBOX [CERTIFICATES]
#
# ROOT is made; DEVS and BUSYBOX are static programs for the platform of the image (and
# BUSYBOX must run here); CERTIFICATES is a bundle of certificate authorities. Then
#
#   docker build -f Dockerfile -t devs ROOT
#
# makes the image slim, and so does `tar -C ROOT -c . | docker import` with the settings
# of the Dockerfile. The target full takes the program devs alone, and makes the links
# to it itself.
#
# All files of the image lie in the folder /.devs, and everything else at the top is a
# link into it: so a build can rename the files of a stage into the root of a container
# that has no right to mount anything, and back (package pkg/image/sandbox). A real
# folder at the top, or a file, ends that: the check in the package says which.
set -eu

[ $# -ge 3 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
root=$1 devs=$2 busybox=$3 certificates=${4:-/etc/ssl/certs/ca-certificates.crt}
[ ! -e "$root" ] || { echo "image.sh: $root exists" >&2; exit 1; }
[ -s "$certificates" ] || { echo "image.sh: no certificates at $certificates" >&2; exit 1; }

umask 022
home=$root/.devs
mkdir -p "$home/bin" "$home/etc/ssl/certs"
# What programs and pipelines expect to find, or to mount into.
for name in usr var run home opt srv mnt media lib; do
  mkdir "$home/$name"
  ln -s "/.devs/$name" "$root/$name"
done
# root is HOME for everybody, and closed to nobody: programs take what they may not look
# for as an error, and what is not there as nothing.
mkdir "$home/root" "$home/work" "$home/tmp"
chmod 0700 "$home/work"
chmod 1777 "$home/tmp"
ln -s /.devs/root "$root/root"
ln -s /.devs/tmp "$root/tmp"
ln -s /.devs/bin "$root/bin"
ln -s /.devs/bin "$root/sbin"
ln -s ../bin "$home/usr/bin"
ln -s ../bin "$home/usr/sbin"
ln -s ../run "$home/var/run"
ln -s ../tmp "$home/var/tmp"

install -m 0755 "$devs" "$home/bin/devs"
ln -s devs "$home/bin/s"
# The ENTRYPOINT of the image. It is no script, because shells lose what they find in
# the environment under names with dashes, as the inputs of actions have.
ln -s devs "$home/bin/entrypoint"
install -m 0755 "$busybox" "$home/bin/busybox"
for applet in $("$busybox" --list); do
  case $applet in
    busybox | devs | s | entrypoint) ;;
    *) ln -s busybox "$home/bin/$applet" ;;
  esac
done
[ -e "$home/bin/sh" ] || { echo "image.sh: $busybox has no sh" >&2; exit 1; }
install -m 0644 "$certificates" "$home/etc/ssl/certs/ca-certificates.crt"
# The marker: only where it is may a root be exchanged.
echo "The root of this container belongs to devs, which may exchange it while it builds." >"$home/image"
