#!/bin/bash
# Fetches packages of the guest's Debian with all that they need, and prints the paths of their files.
#
#   scripts/fetch-debs.sh PACKAGE...
#
# They are kept in the folder `archives` of fetch-guest.sh's cache, whose variables DBT_CACHE, SUITE,
# GUEST_ARCH and DBT_MIRROR hold here, too.
set -eu
umask 022
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
cache=$("$here/fetch-guest.sh" --print DIR)
suite=${SUITE:-stable}
arch=${GUEST_ARCH:-riscv64}
# shellcheck source=scripts/apt-root.sh
. "$here/apt-root.sh"

die()
{
    echo "fetch-debs.sh: $*" >&2
    exit 1
}

[ $# -gt 0 ] || die "usage: scripts/fetch-debs.sh PACKAGE..."
"$here/deps.sh" guest
mkdir -p "$cache" 2>/dev/null || die "cannot make the folder $cache; set DBT_CACHE"
# Two that fetch the same would spoil each other's files; debian-image.sh fetches there, too.
exec 8>"$cache/.debian.lock"
flock 8
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
make_apt_root
fetch_debs "$cache/archives" '?essential' "$@"
cat "$work/debs"
