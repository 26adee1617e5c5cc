#!/bin/bash
# The long form of tests/run.sh system: COUNT programs against the evaluator under each stress mode, a fifth of
# them against QEMU.
#
#   tests/system/fuzz.sh SEED COUNT
set -u
cd "$(dirname "$0")/../.."
diff=out/release/tests/system/system_diff
status=0
for stress in none regs,seed="$1" cache table links irq; do
    option="--time virtual"
    [ "$stress" = none ] || option="$option --stress $stress"
    echo "== seed $1, stress $stress"
    start=$SECONDS
    "$diff" --seed "$1" --count "$2" --option "$option" || status=1
    echo "   $((SECONDS - start)) s"
done
echo "== seed $1, QEMU"
"$diff" --seed "$1" --count $(($2 / 5)) --b qemu --option "--time virtual" || status=1
exit $status
