#!/bin/bash
# What the tests execute of the sources: runs them under gcc's coverage build and prints a table.
# Its programs take several times as long as the usual ones, so that random tests and boots are
# short here.
#
#   tests/cov/run.sh            (`make cov` builds first)
set -u
cd "$(dirname "$0")/../.." || exit 1
export LC_ALL=C
out=out/cov
log=$out/log
mkdir -p "$log"
find "$out" -name '*.gcda' -delete
failed=0
scripts/fetch-guest.sh >/dev/null || exit 1

# The counts of a program that is killed are lost, so limits are wide.
cover() # NAME SECONDS COMMAND...
{
    local name=$1 seconds=$2 start=$SECONDS
    shift 2
    if ! timeout "$seconds" "$@" >"$log/$name.log" 2>&1 </dev/null; then
        echo "FAIL  $name (status $?): $*"
        tail -n 20 "$log/$name.log" | sed 's/^/    /'
        failed=$((failed + 1))
    else
        echo "ok    $name ($((SECONDS - start)) s)"
    fi
}

for program in "$out"/tests/unit/test_*; do
    [[ $program == *.* ]] || cover "$(basename "$program")" 900 "$program"
done
export DBT=$out/dbt-run
dumped=("$DBT" -kernel "$(scripts/fetch-guest.sh --print KERNEL)" -append "console=ttyS0 earlycon=sbi"
    -serial null --time virtual -D /dev/null)
cover bare 600 tests/guest/bare.sh
cover bad-input 600 tests/guest/bad-input.sh "$DBT"
cover unicorn 900 "$out/tests/diff/unicorn_diff" --seed 1 --count 20000
cover qemu 900 "$out/tests/diff/qemu_user" --seed 1 --count 10000
cover firmware 600 tests/guest/firmware.sh "$DBT"
cover boot-check 900 tests/guest/check-boot.sh 30000000
cover boot-stress 900 tests/guest/check-boot.sh 30000000 --stress regs,table,cache
cover boot-dumps 900 "${dumped[@]}" --max-insns 300000 -d in_asm,ir,ir_opt,out_asm,exec
cover boot-logs 900 "${dumped[@]}" --max-insns 30000000 -d trap,irq,mmu,cache,sbi,guest
mkdir -p "$out/objdump"
cover objdump 300 env CC="gcc --coverage -dumpdir $out/objdump/" tests/diff/objdump.sh
python3 tests/cov/report.py
[ "$failed" -eq 0 ]
