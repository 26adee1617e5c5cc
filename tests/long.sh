#!/bin/bash
# What takes longer than CI should: `make test-long`. Whole boots with every block run by both
# engines, under each stress mode, and under the sanitizers; the long random tests.
set -u
cd "$(dirname "$0")/.."
passed=0
failed=0
kernel=$(scripts/fetch-guest.sh --print KERNEL)
initrd=$(scripts/fetch-guest.sh --print AUTO)

one() # NAME SECONDS COMMAND...
{
    local name=$1 seconds=$2 start=$SECONDS
    shift 2
    if timeout "$seconds" "$@" >out/test/long.log 2>&1 </dev/null; then
        echo "ok    $name ($((SECONDS - start)) s)"
        passed=$((passed + 1))
    else
        echo "FAIL  $name (status $?): $*"
        tail -n 40 out/test/long.log | sed 's/^/    /'
        failed=$((failed + 1))
    fi
}

boots() # DBT OPTION...: to the end of the guest's own script
{
    "$@" -kernel "$kernel" -initrd "$initrd" -append console=ttyS0 -serial stdio </dev/null |
        tee out/test/boots.log | grep -q "dbt: guest done"
}
export -f boots
export kernel initrd

mkdir -p out/test
make -j2 --no-print-directory dbt-run || exit 1
make -j2 --no-print-directory BUILD=asan out/asan/dbt-run || exit 1
one check-builtin 600 tests/guest/check-boot.sh
one check-opensbi 600 tests/guest/check-boot.sh 0 --firmware opensbi
one check-no-passes 600 tests/guest/check-boot.sh 0 --opt none
one check-regs 900 tests/guest/check-boot.sh 0 --stress regs,seed=7
one check-table 900 tests/guest/check-boot.sh 0 --stress table
for stress in regs table links regs,table,links; do
    one "boot-$stress" 300 bash -c "boots ./dbt-run --stress $stress"
done
one boot-small-cache 300 bash -c "boots ./dbt-run --cache-size 1M"
export ASAN_OPTIONS=detect_leaks=0:handle_segv=0:allow_user_segv_handler=1
one asan-boot 300 bash -c "boots out/asan/dbt-run"
one asan-check 900 env DBT=out/asan/dbt-run tests/guest/check-boot.sh 100000000
export DBT_FUZZ_CASES=1000000
for test in x64_emit ir_fp; do
    one "long-$test" 1800 "out/release/tests/unit/test_$test"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
