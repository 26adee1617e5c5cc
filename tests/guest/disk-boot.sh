#!/bin/bash
# A disk image and nothing else: U-Boot finds extlinux.conf on its partition and boots the kernel
# beside it, with a GPT and with an MBR; or it finds an EFI program, GRUB, which boots the kernel. The last line is "N passed, N failed".
#
#     tests/guest/disk-boot.sh [./dbt-run [OPTION...]]
set -u
cd "$(dirname "$0")/../.."
export LC_ALL=C
run=$(realpath "${1:-${DBT:-./dbt-run}}")
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

# An EFI system partition of 16 MiB with GRUB, and behind it the partition that GRUB looks for.
truncate -s 100M "$dir/efi.img"
printf 'label: gpt\nstart=2048, size=32768, type=uefi\nstart=34816, size=131072\n' |
    sfdisk -q "$dir/efi.img" || exit 2
truncate -s 16M "$dir/esp"
mkfs.vfat "$dir/esp" >/dev/null || exit 2
mmd -i "$dir/esp" ::/EFI ::/EFI/BOOT ::/EFI/debian
mcopy -i "$dir/esp" "$(scripts/fetch-guest.sh --print GRUB)" ::/EFI/BOOT/BOOTRISCV64.EFI || exit 2
mcopy -i "$dir/esp" - ::/EFI/debian/grub.cfg <<'end' || exit 2
search --no-floppy --set=root --file /boot/vmlinux
set timeout=0
menuentry auto {
    linux /boot/vmlinux console=ttyS0 quiet
    initrd /boot/initrd
}
end
dd if="$dir/esp" of="$dir/efi.img" bs=1M seek=1 conv=notrunc status=none
rm "$dir/tree/boot/extlinux/extlinux.conf"
mke2fs -q -t ext4 -d "$dir/tree" -E offset=17825792 "$dir/efi.img" 64M || exit 2

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
boots 'GRUB, by EFI' "$dir/efi.img" "$@"
qemu-img convert -f raw -O qcow2 -c "$dir/gpt.img" "$dir/base.qcow2" || exit 2
qemu-img create -q -f qcow2 -F qcow2 -b base.qcow2 "$dir/gpt.qcow2" || exit 2
boots 'compressed qcow2 behind a qcow2 disk' "$dir/gpt.qcow2" "$@"
# U-Boot tries virtio 0 and no other disk.
truncate -s 1M "$dir/blank"
boots 'an MBR disk before a blank one' -drive file="$dir/dos.img",readonly=on \
    -drive if=none,id=second,file="$dir/blank",format=raw \
    -device virtio-blk-device,drive=second "$@"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
