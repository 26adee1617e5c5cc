#!/bin/bash
# A disk image and nothing else: U-Boot finds extlinux.conf on its partition and boots the kernel
# beside it. With a GPT and with an MBR. The last line is "N passed, N failed".
#
#     tests/guest/disk-boot.sh [./dbt-run [OPTION...]]
set -u
cd "$(dirname "$0")/../.."
export LC_ALL=C
run=$(realpath "${1:-./dbt-run}")
shift
dir=$(mktemp -d "${TMPDIR:-/var/tmp}/dbt-disk-boot.XXXXXX")
trap 'rm -rf "$dir"' EXIT
PATH=$PATH:/sbin:/usr/sbin
passed=0
failed=0

mkdir -p "$dir/tree/boot/extlinux"
cp "$(scripts/fetch-guest.sh --print KERNEL)" "$dir/tree/boot/vmlinux"
cp "$(scripts/fetch-guest.sh --print AUTO)" "$dir/tree/boot/initrd"
cat >"$dir/tree/boot/extlinux/extlinux.conf" <<'end'
default auto
timeout 1
label auto
    kernel /boot/vmlinux
    initrd /boot/initrd
    append console=ttyS0 quiet
end

# The partition begins at 1 MiB.
for table in gpt dos; do
    truncate -s 66M "$dir/$table.img"
    printf 'label: %s\nstart=2048, size=131072, bootable\n' $table |
        sfdisk -q "$dir/$table.img" || exit 2
    mke2fs -q -t ext4 -d "$dir/tree" -E offset=1048576 "$dir/$table.img" 64M || exit 2
done

boots() # NAME ARG...
{
    local name=$1 status
    shift
    timeout 200 "$run" "$@" -serial stdio </dev/null >"$dir/log" 2>&1
    status=$?
    if [ $status = 0 ] && grep -q 'dbt: guest done' "$dir/log"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $name: status $status"
        tail -n 40 "$dir/log"
    fi
}

boots 'a GPT disk' "$dir/gpt.img" "$@"
# U-Boot tries virtio 0 and no other disk.
truncate -s 1M "$dir/blank"
boots 'an MBR disk before a blank one' -drive file="$dir/dos.img",readonly=on \
    -drive if=none,id=second,file="$dir/blank",format=raw \
    -device virtio-blk-device,drive=second "$@"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
