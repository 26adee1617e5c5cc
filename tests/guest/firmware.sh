#!/bin/bash
# The firmware's part of a boot: OpenSBI prints its banner and enters a tiny S-mode payload
# that powers the machine off through it.
#
#   tests/guest/firmware.sh [DBT]
set -eu
cd "$(dirname "$0")/../.."
dbt=${1:-${DBT:-./dbt-run}}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/payload.S" <<'EOF'
    .globl _start
_start:
    li a7, 0x53525354       /* SRST, system_reset: shutdown, no reason */
    li a6, 0
    li a0, 0
    li a1, 0
    ecall
1:  j 1b
EOF
riscv64-linux-gnu-gcc -nostdlib -static -Wl,-N,-Ttext=0x80200000 -Wl,--build-id=none \
    -Wl,--no-warn-rwx-segments -o "$work/payload" "$work/payload.S"
riscv64-linux-gnu-objcopy -O binary "$work/payload" "$work/payload.bin"
for firmware in opensbi builtin; do
    timeout 60 "$dbt" --firmware "$firmware" -kernel "$work/payload.bin" -serial stdio </dev/null \
        >"$work/out" 2>&1 || { cat "$work/out"; echo "firmware $firmware: status $?"; exit 1; }
    if [ "$firmware" = opensbi ] && ! grep -q "OpenSBI v" "$work/out"; then
        cat "$work/out"
        echo "no OpenSBI banner"
        exit 1
    fi
done
