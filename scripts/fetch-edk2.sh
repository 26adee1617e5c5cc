#!/bin/bash
# Puts EDK2 for riscv64, from Debian's package qemu-efi-riscv64, into the cache folder of fetch-guest.sh.
#
#   scripts/fetch-edk2.sh               fetches it; silent when it is there
#   scripts/fetch-edk2.sh --print WHAT  the path of CODE or VARS (copy that one); fetches nothing
#
# Environment: as fetch-guest.sh's. The package is not in Debian 12, so it does not come by apt install there.
set -eu
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
cache=${DBT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dbt/guest}
suite=${SUITE:-stable}
arch=${GUEST_ARCH:-riscv64}
work=
# shellcheck source=scripts/apt-root.sh
. "$here/apt-root.sh"

die()
{
    echo "fetch-edk2.sh: $*" >&2
    exit 1
}

good()
{
    [ -f "$cache/SHA256SUMS.edk2" ] && (cd "$cache" && sha256sum --status -c SHA256SUMS.edk2 2>/dev/null)
}

main()
{
    mkdir -p "$cache" 2>/dev/null || die "cannot make the folder $cache; set DBT_CACHE"
    exec 9>"$cache/.lock-edk2"
    flock 9
    good && return
    work=$(mktemp -d "$cache/.edk2.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    make_apt_root
    cd "$work"
    private_apt apt-get download "qemu-efi-$arch"
    dpkg-deb --fsys-tarfile "$(echo "$work"/*.deb)" |
        tar -x --sparse --wildcards --transform 's|.*/||' '*/RISCV_VIRT_*.fd' ||
        die "$suite's qemu-efi-$arch holds no RISCV_VIRT_CODE.fd"
    mv -f RISCV_VIRT_CODE.fd edk2-code.fd
    mv -f RISCV_VIRT_VARS.fd edk2-vars.fd
    sha256sum edk2-code.fd edk2-vars.fd >SHA256SUMS.edk2
    mv -f edk2-code.fd edk2-vars.fd "$cache/"
    mv -f SHA256SUMS.edk2 "$cache/" # Last: it says that the others are whole.
    cd "$here"
}

case ${1:-} in
--print)
    case ${2:-} in
    CODE) echo "$cache/edk2-code.fd" ;;
    VARS) echo "$cache/edk2-vars.fd" ;;
    *) die "--print takes CODE or VARS" ;;
    esac
    ;;
'') main ;;
*) die "usage: scripts/fetch-edk2.sh [--print CODE|VARS]" ;;
esac
