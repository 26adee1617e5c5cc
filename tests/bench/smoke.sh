#!/bin/bash
# One round of two kernels and one of the ablation: the machinery from compiler to picture.
# Nothing here depends on how long anything takes.
#
#   tests/bench/smoke.sh        the last line is "N passed, N failed"
set -u
cd "$(dirname "$0")/../.." || exit 1
export OUT=out/test/bench RUNS=1 LIMIT=100
passed=0
failed=0
rm -rf "$OUT"
mkdir -p "$OUT"

check() # WHAT COMMAND...
{
    local what=$1
    shift
    if "$@" >"$OUT/said" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $what: $*"
        tail -n 20 "$OUT/said"
    fi
}

check "a round" env BOOT=0 KERNELS="divide cold" bench/run.py
cp "$OUT/said" "$OUT/run.txt"
check "its table" grep -E '^  divide( +[0-9.]+){4}' "$OUT/run.txt"
check "its progress" grep 'round 1 of 1: cold ' "$OUT/run.txt"
check "its JSON" python3 -c "
import json, sys
result = json.load(open('$OUT/bench.json'))
assert set(result['kernels']) == {'divide', 'cold'}, result
assert result['about']['commands']['qemu'] and result['about']['qemu'] != 'unknown'
assert all(result['geomeans'][g]['dbt/qemu'] > 0 for g in ('compute', 'system'))"
check "its picture" grep -q '</svg>' "$OUT/bench.svg"
check "the ablation" env KERNELS=divide WITHOUT="cse links" bench/ablation.py
cp "$OUT/said" "$OUT/ablation.txt"
check "its table" grep -E '^  divide( +[0-9.]+){2}$' "$OUT/ablation.txt"

# An emulator that does not start ends the run, and the line says which and where to look.
DBT="./dbt-run --nosuch" BOOT=0 KERNELS=divide bench/run.py >"$OUT/wrong.txt" 2>&1
check "a bad command is told" grep 'dbt ended or hung (status 1).*log/dbt.txt' "$OUT/wrong.txt"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
