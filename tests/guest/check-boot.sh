#!/bin/bash
# Boots Debian's kernel with every block run by both engines and compared.
#
#   tests/guest/check-boot.sh [MAX_INSNS [OPTION...]]    no limit: to power-off
set -eu
cd "$(dirname "$0")/../.."
limit=${1:-0}
shift || true
options=(--engine check --time virtual -append "console=ttyS0 earlycon=sbi" -serial stdio)
[ "$limit" -eq 0 ] || options+=(--max-insns "$limit")
log=$(mktemp)
trap 'rm -f "$log"' EXIT
"${DBT:-./dbt-run}" -kernel "$(scripts/fetch-guest.sh --print KERNEL)" \
    -initrd "$(scripts/fetch-guest.sh --print AUTO)" "${options[@]}" "$@" </dev/null >"$log" 2>&1 ||
    { tail -n 100 "$log"; exit 1; }
if [ "$limit" -eq 0 ]; then
    grep -q "dbt: guest done" "$log"
else
    grep -q "Linux version" "$log"
fi
tail -n 1 "$log"
