#!/bin/bash
# Makes a disk image with a whole Debian, without QEMU and without root rights: fetches packages, unpacks
# them here, and has the guest finish them under dbt-run. Silent when the image is there.
#
#   scripts/debian-image.sh            makes the image
#   scripts/debian-image.sh --print    its path; makes nothing
#
# Environment: IMAGE (where; by default debian.img in fetch-guest.sh's cache), SIZE (2G; the file
# is sparse), PACKAGES (more of them), ROOT_PASSWORD (dbt), DBT (./dbt-run, which runs the second
# stage), and fetch-guest.sh's DBT_CACHE, SUITE, GUEST_ARCH and DBT_MIRROR.
#
# The image has a GPT with an EFI system partition, on which systemd-boot is, and an ext4 root, whose
# extlinux.conf U-Boot finds first: `dbt-run debian.img`.
set -eu
umask 022
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin

here=$(cd "$(dirname "$0")" && pwd)
cache=$("$here/fetch-guest.sh" --print DIR)
suite=${SUITE:-stable}
arch=${GUEST_ARCH:-riscv64}
image=${IMAGE:-$cache/debian.img}
size=${SIZE:-2G}
bytes= # The same, as a number.
dbt=${DBT:-$here/../dbt-run}
work=
# shellcheck source=scripts/apt-root.sh
. "$here/apt-root.sh"

# What a person misses in less: a login, names and addresses, packages over https; two boot paths.
packages="apt ca-certificates dbus debian-archive-keyring dosfstools e2fsprogs init iproute2
    iputils-ping less linux-image-$arch login netbase passwd procps systemd-boot
    systemd-resolved systemd-sysv u-boot-menu udev zstd ${PACKAGES:-}"
# The drivers of the second stage's machine, in the order in which they are loaded. One that the
# kernel has built in, or not at all, is left out.
modules="virtio_mmio virtio_blk crc16 crc32c_generic libcrc32c mbcache jbd2 ext4 nls_cp437
    nls_ascii nls_utf8 fat vfat"
# MiB. The EFI system partition holds two kernels with their initramfs, and more.
esp_at=1
esp_size=256
root_at=$((esp_at + esp_size))

die()
{
    echo "debian-image.sh: $*" >&2
    exit 1
}

say()
{
    echo "debian-image.sh: $*" >&2
}

# ---- Packages ---------------------------------------------------------------------------------

fetch()
{
    make_apt_root
    say "fetching Debian $suite ($arch)"
    # shellcheck disable=SC2086 # a list of words
    fetch_debs "$cache/archives" '?essential' $packages
}

# ---- The root: its files belong to root and others, as fakeroot remembers -----------------------

# New files need no fakeroot: in it, what it has not heard of is root's.
configure_root()
{
    local sources=$work/root/etc/apt/sources.list.d/debian.sources key

    cp -r "$here/debian/tree/." "$work/root/"
    # What this script made of the host's source: the same archive, for the guest's apt.
    cp "$work/apt/sources/debian.sources" "$sources"
    # A keyring of the host's own is not there; the guest has Debian's, which apt trusts unnamed.
    key=$(sed -n 's/^Signed-By: *//p' "$sources")
    [ -z "$key" ] || [ -e "$work/root$key" ] || sed -i '/^Signed-By:/d' "$sources"
    echo "${ROOT_PASSWORD:-dbt}" >"$work/root/etc/dbt-root-password"
}

unpack()
{
    mkdir "$work/root"
    say "unpacking $(wc -l <"$work/debs") packages"
    xargs -x -n 10000 fakeroot -s "$work/fakeroot" "$here/debian/unpack.py" "$work/root" \
        <"$work/debs"
    configure_root
}

# ---- The disk ---------------------------------------------------------------------------------

# U-Boot goes by the partitions' numbers, and for it an EFI system partition is always bootable; so the
# numbers are those of Debian's cloud images. The root stands last, where it can grow.
make_disk() # OUT
{
    local root_kib

    # One MiB at the end is the second copy of the table.
    root_kib=$((bytes / 1024 - (root_at + 1) * 1024))
    truncate -s "$bytes" "$1"
    sfdisk -q "$1" <<END
label: gpt
15: start=${esp_at}MiB, size=${esp_size}MiB, type=uefi, name=esp
1: start=${root_at}MiB, size=${root_kib}KiB, type=linux, name=root, attrs=LegacyBIOSBootable
END
    mkfs.vfat -F 32 -s 2 -n DBT-ESP -C "$work/esp" $((esp_size * 1024)) >/dev/null
    dd if="$work/esp" of="$1" bs=1M seek=$esp_at conv=notrunc,sparse status=none
    # The file is all zero, so there is nothing that the guest must initialise later.
    fakeroot -i "$work/fakeroot" mke2fs -q -t ext4 -L dbt-root -d "$work/root" \
        -E "offset=$((root_at << 20)),lazy_itable_init=0,lazy_journal_init=0" "$1" \
        "${root_kib}k" || die "the packages do not fit into SIZE=$size"
}

# ---- The second stage ---------------------------------------------------------------------------

# The kernel's own modules, unpacked, because not every busybox unpacks.
second_stage() # IMAGE
{
    local name file
    local files=("$here/debian/second-stage:/second-stage" "$work/modules/order:/modules/order")

    mkdir "$work/modules"
    for name in $modules; do
        file=$(find "$work/root/usr/lib/modules" -name "$name.ko*")
        case $file in
        '') continue ;;
        *.xz) xz -dc "$file" >"$work/modules/$name.ko" ;;
        *.zst) zstd -qdc "$file" >"$work/modules/$name.ko" ;;
        *) cp "$file" "$work/modules/$name.ko" ;;
        esac
        echo "$name" >>"$work/modules/order"
        files+=("$work/modules/$name.ko:/modules/$name.ko")
    done
    "$here/make-initramfs.sh" "$work/initrd" "$here/debian/init" "${files[@]}"
    say "the second stage, in the guest: some minutes; its log is $image.log"
    timeout 3600 "$dbt" -m 1G -kernel "$work"/root/boot/vmlinu[xz]-* -initrd "$work/initrd" \
        -append "console=ttyS0 quiet" --drive "$1" -serial stdio </dev/null >"$image.log" 2>&1 ||
        die "dbt-run failed, see $image.log"
    grep -q 'dbt: second stage done' "$image.log" || die "the second stage failed, see $image.log"
}

main()
{
    local folder

    [ ! -e "$image" ] || return 0
    bytes=$(numfmt --from=iec "$size" 2>/dev/null) || die "SIZE=$size: give a number with M or G"
    folder=$(dirname "$image")
    # fetch-guest.sh makes the usual one.
    [ -z "${IMAGE:-}" ] || [ -w "$folder" ] || die "cannot write to $folder, where $(basename "$image") would be"
    "$here/deps.sh" guest image
    "$here/fetch-guest.sh" # The busybox of the second stage, and the folder.
    exec 8>"$cache/.debian.lock"
    flock 8
    [ ! -e "$image" ] || return 0 # Another run made it.
    rm -rf "$cache"/.debian.work.* # What a killed run left; we hold the lock.
    work=$(mktemp -d "$cache/.debian.work.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    fetch
    unpack
    say "making $image"
    make_disk "$work/image"
    second_stage "$work/image"
    mv "$work/image" "$image"
}

case ${1:-} in
--print) echo "$image" ;;
'') main ;;
*) die "usage: scripts/debian-image.sh [--print]" ;;
esac
