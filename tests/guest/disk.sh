#!/bin/bash
# Debian's kernel with virtio disks: the guest (disk/init) reads what we wrote, and we read what it
# wrote. The last line is "N passed, N failed".
#
#     tests/guest/disk.sh [./dbt-run [OPTION...]]
#
# BUS=pci: the disks and the random numbers are on PCI, and not in the board's slots.
# FORMATS=1: the same disks as images of other formats, qcow2 with a backing file, compressed, vmdk,
# vdi, vhdx and vpc, found by their contents or named; what the guest left is looked at through
# qemu-img.
set -u
cd "$(dirname "$0")/../.."
export LC_ALL=C
run=$(realpath "${1:-${DBT:-./dbt-run}}")
shift
dir=$(mktemp -d "${TMPDIR:-/var/tmp}/dbt-disk.XXXXXX")
trap 'rm -rf "$dir"' EXIT
. tests/guest/tally.sh

sum()
{
    sha256sum | cut -c1-64
}

# ---- Disks and the initramfs -------------------------------------------------------------

# Every sector begins with its number.
python3 - "$dir/a" 131072 <<'end'
import sys
with open(sys.argv[1], "wb") as f:
    for n in range(int(sys.argv[2])):
        f.write(b"%08x" % n + bytes([n & 255]) * 504)
end
head -c 2M /dev/urandom >"$dir/data"
truncate -s 64M "$dir/b" "$dir/f"
head -c 128M /dev/zero | tr '\0' Z | head -c 40M | dd of="$dir/b" conv=notrunc status=none
head -c 8M "$dir/a" >"$dir/c"
head -c 8M "$dir/a" >"$dir/d"
mkdir "$dir/tree"
echo "from the host" >"$dir/tree/greeting"
PATH=$PATH:/sbin:/usr/sbin
truncate -s 32M "$dir/e"
mke2fs -q -t ext4 -d "$dir/tree" "$dir/e" || exit 2
cp "$dir/c" "$dir/c.before"
cp "$dir/d" "$dir/d.before"

sum <"$dir/a" >"$dir/expected"
sum <"$dir/data" >"$dir/data-sum"
tail -c +2097153 "$dir/d" | sum >"$dir/rest"
files=("$dir/expected:/expected" "$dir/data:/expected-data" "$dir/data-sum:/expected-data-sum"
    "$dir/rest:/expected-rest")
for module in "$(scripts/fetch-guest.sh --print MODULES)"/*.ko; do
    files+=("$module:/modules/$(basename "$module")")
done
scripts/make-initramfs.sh "$dir/initrd" tests/guest/disk/init "${files[@]}" || exit 2

# ---- Other formats -------------------------------------------------------------------------

# Disk $dir/NAME as an image of that name.
into() # NAME FORMAT [OPTION...]
{
    local name=$1 format=$2
    shift 2
    mv "$dir/$name" "$dir/raw"
    qemu-img convert -f raw -O "$format" "$@" "$dir/raw" "$dir/$name" || exit 2
    cp "$dir/$name" "$dir/$name.before"
    rm "$dir/raw"
}

b_format=raw
if [ "${FORMATS:-0}" != 0 ]; then
    into a qcow2 -c
    mv "$dir/b" "$dir/base"
    qemu-img create -q -f qcow2 -F raw -b base "$dir/b" || exit 2
    cp "$dir/base" "$dir/base.before"
    b_format=qcow2
    into c vmdk
    into d vdi
    into e vhdx
    into f vpc -o force_size=on
fi

# ---- The run ----------------------------------------------------------------------------------

drives=()
n_drives=0

drive() # SETTINGS
{
    n_drives=$((n_drives + 1))
    if [ "${BUS:-device}" = pci ]; then
        drives+=(-drive "if=none,id=disk$n_drives,file=$1" -device "virtio-blk-pci,drive=disk$n_drives")
    else
        drives+=(--drive "$1")
    fi
}

drive "$dir/a,serial=first-disk"
drive "$dir/b,format=$b_format"
drive "$dir/c,readonly=on"
drives+=(-drive "if=none,id=four,file=$dir/d,snapshot=on" -device "virtio-blk-${BUS:-device},drive=four")
drive "$dir/e"
drive "$dir/f"
timeout 200 "$run" -kernel "$(scripts/fetch-guest.sh --print KERNEL)" -initrd "$dir/initrd" \
    -append "console=ttyS0 quiet" -serial stdio "${drives[@]}" -device "virtio-rng-${BUS:-device}" "$@" \
    </dev/null >"$dir/log" 2>&1
status=$?
ok "status $status" [ "$status" = 0 ]
ok 'the guest came to its end' grep -q '^test: done' "$dir/log"
while read -r line; do
    ok "$line" [ "${line##* }" = ok ]
done < <(tr -d '\r' <"$dir/log" | grep '^test: .* ')
[ "$failed" = 0 ] || tail -n 60 "$dir/log"

# ---- What it left ---------------------------------------------------------------------------------

if [ "$b_format" != raw ]; then
    ok 'the backing file stays' cmp "$dir/base" "$dir/base.before"
    for disk in a b e; do
        ok "disk $disk is sound" qemu-img check -q "$dir/$disk"
    done
    ok 'no server is left' [ -z "$(pgrep -f "qemu-nbd .*$dir/")" ]
    for disk in b e f; do
        qemu-img convert -O raw "$dir/$disk" "$dir/raw" && mv "$dir/raw" "$dir/$disk"
    done
fi

part() # FILE OFFSET LENGTH
{
    tail -c +$(($2 + 1)) "$1" | head -c "$3"
}

same() # FILE OFFSET: holds the data there
{
    part "$1" "$2" 2097152 | cmp - "$dir/data"
}

zeros() # FILE OFFSET LENGTH
{
    part "$1" "$2" "$3" | cmp - <(head -c "$3" /dev/zero)
}

ok 'written' same "$dir/b" 0
ok 'written at an odd place' same "$dir/b" $((4099 * 1536))
ok 'untouched beside it' [ "$(part "$dir/b" $((4099 * 1536 - 1)) 1)" = Z ]
ok 'untouched behind it' [ "$(part "$dir/b" $((4099 * 1536 + 2097152)) 1)" = Z ]
ok 'discarded' zeros "$dir/b" 33554432 1048576
[ "$b_format" != raw ] || ok 'a hole' [ "$(du -k "$dir/b" | cut -f1)" -lt 40000 ]
ok 'the length stays' [ "$(stat -c %s "$dir/b")" = 67108864 ]
ok 'read-only stays' cmp "$dir/c" "$dir/c.before"
ok 'a snapshot is thrown away' cmp "$dir/d" "$dir/d.before"
ok 'the file system is sound' e2fsck -fn "$dir/e"
ok "the guest's file system is sound" e2fsck -fn "$dir/f"
for disk in e f; do
    debugfs -R "dump /copy $dir/copy-$disk" "$dir/$disk" >/dev/null 2>&1
    ok "the copy on $disk" cmp "$dir/copy-$disk" "$dir/data"
done
ok '200 files' [ "$(debugfs -R 'ls /many' "$dir/e" 2>/dev/null | grep -o '([0-9]*)' | wc -l)" -ge 200 ]
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
