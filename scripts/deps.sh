#!/bin/bash
# Installs the Debian packages that a task needs, and only those that are missing.
#
#   scripts/deps.sh GROUP...      build, guest, image, formats, test, bench, hot, check, fuzz
#
# Silent, quick and without network when nothing is missing. "a|b" means that either will do,
# because Debian renamed or split a package between releases.
set -eu -o pipefail

declare -A GROUPS_OF=(
    [build]="gcc libc6-dev make pkg-config|pkgconf libcapstone-dev libffi-dev libfdt-dev libslirp-dev
             libnbd-dev libzstd-dev zlib1g-dev opensbi"
    [guest]="apt dpkg tar gzip xz-utils zstd coreutils util-linux debian-archive-keyring u-boot-qemu"
    [image]="dpkg fakeroot python3 e2fsprogs fdisk dosfstools xz-utils zstd coreutils"
    [formats]="qemu-utils libnbd0"
    [test]="libcmocka-dev libunicorn-dev gcc-riscv64-linux-gnu libc6-dev-riscv64-cross
            binutils-riscv64-linux-gnu qemu-user qemu-system-riscv|qemu-system-misc device-tree-compiler python3
            binutils e2fsprogs fdisk dosfstools mtools dpkg fakeroot git openssl perl sqlite3
            qemu-utils libnbd0 iproute2 util-linux"
    [bench]="qemu-system-riscv|qemu-system-misc gcc-riscv64-linux-gnu libc6-dev-riscv64-cross
             qemu-utils libnbd0 python3"
    [hot]="linux-perf"
    [check]="clang-format clang-tidy"
    [fuzz]="clang libclang-rt-dev|libclang-common-11-dev python3"
)

die()
{
    echo "deps.sh: $*" >&2
    exit 1
}

wanted()
{
    local group

    for group in "$@"; do
        [ -n "${GROUPS_OF[$group]:-}" ] ||
            die "no group '$group'; there are: ${!GROUPS_OF[*]}"
        # shellcheck disable=SC2086 # a list of words
        printf '%s\n' ${GROUPS_OF[$group]}
    done | sort -u
}

# Reads names or a|b, prints those of which no alternative is installed.
missing()
{
    local installed choice name

    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p')
    while read -r choice; do
        for name in ${choice//|/ }; do
            grep -qxF "$name" <<<"$installed" && continue 2
        done
        echo "$choice"
    done
}

# The first of a|b that this release of Debian has.
available()
{
    local name

    for name in ${1//|/ }; do
        if [ -n "$(apt-cache madison "$name" 2>/dev/null)" ]; then
            echo "$name"
            return
        fi
    done
    die "apt knows no package ${1//|/ or }; is the 'main' component of Debian configured?"
}

as_root()
{
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

install_missing()
{
    local choice packages=()

    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        die "not root and no sudo here; as root, run: apt-get install ${*/|*/}"
    fi
    echo "deps.sh: installing $*" >&2
    as_root apt-get -qq -o DPkg::Lock::Timeout=300 update >&2 ||
        die "apt-get update failed, see above"
    for choice in "$@"; do
        packages+=("$(available "$choice")") || exit 1
    done
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
        -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install "${packages[@]}" >&2 ||
        die "apt-get install ${packages[*]} failed, see above"
}

[ $# -gt 0 ] || die "usage: scripts/deps.sh GROUP... with GROUP one of: ${!GROUPS_OF[*]}"
command -v dpkg-query >/dev/null ||
    die "this is not a Debian system; the packages to look for are listed in scripts/deps.sh"

names=$(wanted "$@")
mapfile -t lacking < <(missing <<<"$names")
[ ${#lacking[@]} -eq 0 ] || install_missing "${lacking[@]}"
