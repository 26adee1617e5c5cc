#!/bin/bash
# Puts a Debian kernel and a busybox initramfs into a cache folder outside the tree.
#
#   scripts/fetch-guest.sh                  fetches what is missing; silent when nothing is
#   scripts/fetch-guest.sh --installer      the same for Debian's installer, kernel and initramfs
#   scripts/fetch-guest.sh --print WHAT     the path of KERNEL, INITRD, AUTO, BUSYBOX, MODULES (a
#                                           folder), GRUB, DI_KERNEL and DI_INITRD (the
#                                           installer's) or DIR; fetches nothing
#
# Environment: DBT_CACHE (the folder), SUITE (stable), GUEST_ARCH (riscv64), DBT_MIRROR (by
# default Debian's mirror as this host's apt has it; its keyring goes with it).
#
# apt does the fetching, in a private root (apt-root.sh).
set -eu
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
cache=${DBT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dbt/guest}
suite=${SUITE:-stable}
arch=${GUEST_ARCH:-riscv64}
work=
things="KERNEL, INITRD, AUTO, BUSYBOX, MODULES, GRUB, DI_KERNEL, DI_INITRD or DIR"
# shellcheck source=scripts/apt-root.sh
. "$here/apt-root.sh"

# Drivers that Debian's kernel has as modules, and what they need: disks, file systems, networks,
# shared folders. One that a kernel has built in, or not at all, is left out.
modules="virtio_mmio virtio_blk virtio-rng virtio_net failover net_failover virtio_console
    virtio_balloon ext4 jbd2 mbcache crc16 crc32c_generic libcrc32c netfs 9pnet 9p 9pnet_virtio
    fuse virtiofs"

die()
{
    echo "fetch-guest.sh: $*" >&2
    exit 1
}

say()
{
    echo "fetch-guest.sh: $*" >&2
}

print_path()
{
    case $1 in
    KERNEL) echo "$cache/Image" ;;
    INITRD) echo "$cache/initramfs.cpio.gz" ;;
    AUTO) echo "$cache/initramfs-auto.cpio.gz" ;;
    BUSYBOX) echo "$cache/busybox" ;;
    MODULES) echo "$cache/modules" ;;
    GRUB) echo "$cache/grub.efi" ;;
    DI_KERNEL) echo "$cache/installer-linux" ;;
    DI_INITRD) echo "$cache/installer-initrd.gz" ;;
    DIR) echo "$cache" ;;
    *) die "--print takes $things, not '$1'" ;;
    esac
}

# ---- The packages ---------------------------------------------------------------------------

# The package that linux-image-ARCH stands for today.
kernel_package()
{
    APT_CONFIG=$work/apt/apt.conf apt-cache depends "linux-image-$arch" 2>/dev/null |
        sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1
}

# ---- What comes out of the packages --------------------------------------------------------

# Takes one file out of a package without unpacking the rest, which is large.
take() # DEB PATTERN OUT
{
    dpkg-deb --fsys-tarfile "$1" | tar -xO --wildcards "$2" >"$3" 2>/dev/null ||
        die "$(basename "$1") holds no $2"
    [ -s "$3" ] || die "$(basename "$1") has an empty $2"
}

# Unpacked, because not every busybox unpacks: one folder, no paths.
take_modules() # DEB OUT
{
    local name patterns=()

    for name in $modules; do
        patterns+=("*/kernel/*/$name.ko*")
    done
    mkdir "$2"
    # tar says which it has not found.
    dpkg-deb --fsys-tarfile "$1" |
        tar -xC "$2" --wildcards --transform 's|.*/||' "${patterns[@]}" 2>/dev/null || true
    find "$2" -name '*.xz' -exec xz -d {} +
    find "$2" -name '*.zst' -exec zstd -q -d --rm {} +
    [ -s "$2/virtio_blk.ko" ] || die "$(basename "$1") holds no module virtio_blk"
}

# A flat kernel has a magic number at 0x38; a compressed one or an ELF is of no use to a loader.
check_flat()
{
    case $(tail -c +57 "$1" | head -c 4 | tr '\5\144' '5d') in
    RSC5 | ARMd) ;;
    *) die "the kernel of $suite $arch is not a flat Image" ;;
    esac
}

download()
{
    local kernel

    make_apt_root
    kernel=$(kernel_package)
    [ -n "$kernel" ] || die "$suite has no linux-image-$arch"
    say "fetching $kernel and busybox-static of Debian $suite ($arch), about 115 MB"
    mkdir "$work/debs"
    cd "$work/debs"
    private_apt apt-get download "$kernel" busybox-static
    cd "$here"
    take "$(echo "$work"/debs/linux-image-*.deb)" './boot/vmlinu[xz]-*' "$work/Image"
    check_flat "$work/Image"
    take_modules "$(echo "$work"/debs/linux-image-*.deb)" "$work/modules"
    take "$(echo "$work"/debs/busybox-static_*.deb)" '*bin/busybox' "$work/busybox"
    chmod 755 "$work/busybox"
    echo "$suite $arch" >"$work/origin"
    (cd "$work" && sha256sum Image busybox origin modules/* >SHA256SUMS.packages)
    cd "$work"
    rm -rf "$cache/modules"
    mv -f Image busybox origin modules "$cache/"
    mv -f SHA256SUMS.packages "$cache/" # Last: it says that the others are whole.
}

# The boot loader that a disk has, for the test of booting by EFI.
download_grub()
{
    [ -d "$work/apt" ] || make_apt_root
    mkdir "$work/grub"
    cd "$work/grub"
    private_apt apt-get download "grub-efi-$arch-unsigned"
    take "$(echo "$work"/grub/*.deb)" "*/monolithic/grub$arch.efi" "$work/grub.efi"
    cd "$work"
    sha256sum grub.efi >SHA256SUMS.grub
    mv -f grub.efi "$cache/"
    mv -f SHA256SUMS.grub "$cache/"
    cd "$here"
}

# The package has the release's number in its name; the one that boots from the network, with menus of
# characters.
download_installer()
{
    local package images

    make_apt_root
    package=$(APT_CONFIG=$work/apt/apt.conf apt-cache pkgnames |
        grep "^debian-installer-[0-9]*-netboot-$arch\$" | sort -V | tail -n 1)
    [ -n "$package" ] || die "$suite has no debian-installer-N-netboot-$arch"
    say "fetching $package of Debian $suite, about 50 MB"
    mkdir "$work/installer"
    cd "$work/installer"
    private_apt apt-get download "$package"
    images="*/images/*/$arch/text/debian-installer/$arch"
    take "$(echo "$work"/installer/*.deb)" "$images/linux" "$work/installer-linux"
    check_flat "$work/installer-linux"
    take "$(echo "$work"/installer/*.deb)" "$images/initrd.gz" "$work/installer-initrd.gz"
    cd "$work"
    sha256sum installer-linux installer-initrd.gz >SHA256SUMS.installer
    mv -f installer-linux installer-initrd.gz "$cache/"
    mv -f SHA256SUMS.installer "$cache/"
    cd "$here"
}

make_initramfs()
{
    export BUSYBOX=$cache/busybox

    "$here/make-initramfs.sh" "$cache/initramfs.cpio.gz" "$here/guest/init" || exit 1
    "$here/make-initramfs.sh" "$cache/initramfs-auto.cpio.gz" "$here/guest/init-auto" || exit 1
    (cd "$cache" && sha256sum initramfs.cpio.gz initramfs-auto.cpio.gz &&
        recipe_sums) >"$work/SHA256SUMS.initramfs"
    mv -f "$work/SHA256SUMS.initramfs" "$cache/"
}

# ---- What is there already -----------------------------------------------------------------

# The initramfs is good only if it was made by these scripts as they are now.
recipe_sums()
{
    sha256sum "$here/make-initramfs.sh" "$here/guest/init" "$here/guest/init-auto" \
        "$cache/busybox"
}

good() # SUMS
{
    [ -f "$cache/$1" ] && (cd "$cache" && sha256sum --status -c "$1" 2>/dev/null)
}

packages_good()
{
    good SHA256SUMS.packages && grep -q ' modules/' "$cache/SHA256SUMS.packages" &&
        [ "$(cat "$cache/origin")" = "$suite $arch" ]
}

initramfs_good()
{
    good SHA256SUMS.initramfs &&
        [ "$(sed -n '3,$p' "$cache/SHA256SUMS.initramfs")" = "$(recipe_sums)" ]
}

# Other architectures and older suites have it under other names; only riscv64's is tested.
grub_good()
{
    [ "$arch" != riscv64 ] || [ "$suite" != stable ] || good SHA256SUMS.grub
}

open_cache()
{
    mkdir -p "$cache" 2>/dev/null || die "cannot make the folder $cache; set DBT_CACHE"
    [ -w "$cache" ] || die "cannot write to $cache; set DBT_CACHE"
    cache=$(cd "$cache" && pwd)
    exec 9>"$cache/.lock"
    flock 9
}

# Inside the cache, so that a finished file arrives by a rename.
make_work()
{
    rm -rf "$cache"/.partial.* # What a killed run left; we hold the lock.
    work=$(mktemp -d "$cache/.partial.XXXXXX")
    trap 'rm -rf "$work"' EXIT
}

main()
{
    open_cache
    packages_good && initramfs_good && grub_good && return
    make_work
    if ! packages_good; then
        "$here/deps.sh" guest
        download
    fi
    initramfs_good || make_initramfs
    grub_good || download_grub
}

main_installer()
{
    open_cache
    good SHA256SUMS.installer && return
    make_work
    "$here/deps.sh" guest
    download_installer
}

case ${1:-} in
--print) print_path "${2:-nothing}" ;;
--installer) main_installer ;;
'') main ;;
*) die "usage: scripts/fetch-guest.sh [--installer] [--print WHAT], WHAT one of $things" ;;
esac
