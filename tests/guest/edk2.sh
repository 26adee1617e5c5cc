#!/bin/bash
# EDK2 in flash: it boots a kernel that it gets by fw_cfg, keeps its variables in the second bank, and, if
# scripts/debian-image.sh has made a Debian, boots that from a disk on PCI to its login. The last line is
# "N passed, N failed".
#
#   tests/guest/edk2.sh [DBT [OPTION...]]
set -u
cd "$(dirname "$0")/../.."
export LC_ALL=C
run=$(realpath "${1:-${DBT:-./dbt-run}}")
shift
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
. tests/guest/tally.sh
log=$dir/log
lines=20

scripts/fetch-edk2.sh || exit 2
code=$(scripts/fetch-edk2.sh --print CODE)
vars=$(scripts/fetch-edk2.sh --print VARS)
cp "$vars" "$dir/vars"

edk2() # OPTION...
{
    timeout "${LIMIT:-300}" "$run" -m 1G -serial stdio "$@" \
        -drive "if=pflash,format=raw,unit=0,file=$code,readonly=on" \
        -drive "if=pflash,format=raw,unit=1,file=$dir/vars" </dev/null >"$dir/log" 2>&1
}

ok 'a kernel by fw_cfg' edk2 "$@" -kernel "$(scripts/fetch-guest.sh --print KERNEL)" \
    -initrd "$(scripts/fetch-guest.sh --print AUTO)" -append "console=ttyS0 dbt=here"
ok 'it is EDK2' grep -q 'EDK2 firmware' "$dir/log"
ok 'Linux starts by EFI' grep -q 'efi: EFI v2.*EDK II' "$dir/log"
ok 'with its command line' grep -q 'Kernel command line: .*dbt=here' "$dir/log"
ok 'and comes to its end' grep -q 'dbt: guest done' "$dir/log"
ok 'the variables changed' test "$(cmp "$vars" "$dir/vars" | wc -l)" = 1
ok 'the code did not' sha256sum --status -c --ignore-missing <(
    cd "$(dirname "$code")" && sed "s|  |  $PWD/|" SHA256SUMS.edk2)

disk=$(scripts/debian-image.sh --print)
if [ -f "$disk" ]; then
    # The login prompt is there: Ctrl-A x is not typed, so the limit ends it.
    LIMIT=${DISK_LIMIT:-120} edk2 "$@" -drive "if=none,id=disk,file=$disk,snapshot=on" \
        -device virtio-blk-pci,drive=disk
    ok 'Debian from a disk on PCI' grep -q 'dbt-debian login:' "$dir/log"
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
