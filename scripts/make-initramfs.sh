#!/bin/bash
# Writes a gzipped initramfs with busybox, a console and what else is named.
#
#   scripts/make-initramfs.sh OUT.cpio.gz INIT_SCRIPT [FILE[:/GUEST/PATH]...]
#
# INIT_SCRIPT becomes /init. A FILE goes to /bin under its own name unless a path is given; all
# files are executable. The guest's busybox is $BUSYBOX, or the one that fetch-guest.sh cached.
#
# The archive is written header by header, because the kernel gives /init no console unless the
# archive holds the node /dev/console, and making a node for cpio(1) to pick up takes root. The
# same input makes the same bytes.
set -eu
export LC_ALL=C

die()
{
    echo "make-initramfs.sh: $*" >&2
    exit 1
}

pad4() # LENGTH
{
    local n=$(((4 - $1 % 4) % 4))

    [ $n -eq 0 ] || head -c $n /dev/zero
}

inode=0
seen=" "

# One "newc" entry (the kernel's Documentation/driver-api/early-userspace/buffer-format.rst).
entry() # NAME MODE LENGTH MAJOR MINOR
{
    inode=$((inode + 1))
    printf '070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X' \
        $inode $(($2)) 0 0 1 0 "$3" 0 0 "$4" "$5" $((${#1} + 1)) 0
    printf '%s\0' "$1"
    pad4 $((110 + ${#1} + 1))
}

directory() # NAME, with its parents
{
    case $1 in */*) directory "${1%/*}" ;; esac
    case $seen in *" $1 "*) return ;; esac
    seen="$seen$1 "
    entry "$1" 0040755 0 0 0
}

file() # NAME SOURCE
{
    local size

    size=$(stat -L -c %s -- "$2")
    case $1 in */*) directory "${1%/*}" ;; esac
    entry "$1" 0100755 "$size" 0 0
    cat -- "$2"
    pad4 "$size"
}

link() # NAME TARGET
{
    entry "$1" 0120777 ${#2} 0 0
    printf '%s' "$2"
    pad4 ${#2}
}

archive() # INIT_SCRIPT [FILE[:PATH]...]
{
    local name source

    for name in bin dev etc proc root run sbin sys tmp usr/bin usr/sbin; do
        directory "$name"
    done
    entry dev/console 0020600 0 5 1
    entry dev/null 0020666 0 1 3
    file bin/busybox "$busybox"
    link bin/sh busybox
    file init "$1"
    shift
    for source in "$@"; do
        name="bin/$(basename "$source")"
        case $source in *:/*) name=${source##*:/} source=${source%:/*} ;; esac
        file "$name" "$source"
    done
    entry 'TRAILER!!!' 0 0 0 0
}

[ $# -ge 2 ] || die "usage: scripts/make-initramfs.sh" \
    "OUT.cpio.gz INIT_SCRIPT [FILE[:/GUEST/PATH]...]"
out=$1
shift
busybox=${BUSYBOX:-${DBT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dbt/guest}/busybox}
[ -r "$busybox" ] || die "no busybox at $busybox: run scripts/fetch-guest.sh first"
for source in "$@"; do
    [ -r "${source%:/*}" ] || die "cannot read ${source%:/*}"
done

partial=$(mktemp "$out.XXXXXX")
trap 'rm -f "$partial"' EXIT
archive "$@" | gzip -9n >"$partial" || die "cannot write $out"
chmod 644 "$partial"
mv -f "$partial" "$out"
