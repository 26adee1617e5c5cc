#!/bin/bash
# A guest that runs in flash memory and writes to it, under each engine; what stays in the files. The
# last line is "N passed, N failed".
#
#   tests/guest/flash.sh [DBT]
set -u
cd "$(dirname "$0")/../.."
export LC_ALL=C
run=$(realpath "${1:-${DBT:-./dbt-run}}")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
. tests/guest/tally.sh

riscv64-linux-gnu-gcc -nostdlib -static -march=rv64gc -mabi=lp64d -mcmodel=medany -mno-relax \
    -Wl,-N,-Ttext=0x20000000,--build-id=none,--no-warn-rwx-segments -o "$dir/elf" \
    tests/guest/flash/flash.S || exit 2
riscv64-linux-gnu-objcopy -O binary "$dir/elf" "$dir/code" || exit 2
truncate -s 32M "$dir/code"
cp "$dir/code" "$dir/before"
printf 'hello from the host\nhelloAB' >"$dir/expected"
printf 'hello from the host\n' >"$dir/file"
# The function as the guest leaves it.
printf '\x13\x05\x20\x04\x67\x80\x00\x00' >"$dir/function"

guest() # ENGINE SETTINGS OPTION...
{
    local engine=$1 settings=$2
    shift 2
    # shellcheck disable=SC2086 # a list of words
    timeout 60 "$run" --engine $engine -m 64M -serial stdio -bios none \
        -drive "if=pflash,format=raw,unit=0,file=$dir/code,readonly=on" \
        -drive "if=pflash,unit=1,file=$dir/bank$settings" \
        -fw_cfg "name=opt/greeting,file=$dir/file" -fw_cfg opt/z,string=last "$@" </dev/null \
        2>&1 | tr -d '\r\n' | cmp - <(tr -d '\n' <"$dir/expected")
}

begins_so()
{
    cmp -n 8 "$dir/bank" "$dir/function"
}

for engine in "jit --tier 1" "jit --tier auto" interp check; do
    truncate -s 0 "$dir/bank"
    truncate -s 32M "$dir/bank"
    ok "a guest in flash, $engine" guest "$engine" ""
    ok "what it wrote is in the file" begins_so
    ok "the rest of the block is erased" cmp -n $((262144 - 8)) <(tail -c +9 "$dir/bank") \
        <(head -c 262136 /dev/zero | tr '\0' '\377')
    ok "the next block is as it was" cmp -n 65536 <(tail -c +262145 "$dir/bank") /dev/zero
done
truncate -s 0 "$dir/bank"
truncate -s 32M "$dir/bank"
ok 'snapshot=on' guest jit ",snapshot=on"
ok 'leaves the file alone' cmp -n 33554432 "$dir/bank" /dev/zero
ok 'its code is as it was' cmp "$dir/code" "$dir/before"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
