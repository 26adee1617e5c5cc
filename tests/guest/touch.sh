#!/bin/bash
# A kernel's code that touches new pages and little else asks the tables, after some faults in its window; code that
# runs often between two of them does not (runtime/wild.h).
set -u
cd "$(dirname "$0")/../.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
. tests/guest/tally.sh

counter() # NAME
{
    sed -n 's/.*"'"$1"'": *\([0-9]*\).*/\1/p' "$dir/stats.json"
}

# faults LEAST MOST WILD GUEST OPTION...: how many window faults it has, and how many accesses come to ask the tables.
faults()
{
    local least=$1 most=$2 wild=$3 guest=$4 n w
    shift 4
    timeout 60 "$dbt" -m 64M "$@" --stats="$dir/stats.json" "$dir/$guest" || return
    n=$(counter window_faults_mapped)
    w=$(counter wild)
    echo "$n faults, $w accesses"
    [ "$n" -ge "$least" ] && [ "$n" -le "$most" ] && [ "$w" = "$wild" ]
}

tests/guest/bare.sh --build "$dir" || exit 1
dbt=${DBT:-./dbt-run}
ok new faults 30 40 1 touch_new
ok hot faults 30 40 1 touch_hot
ok new-tier-1 faults 30 40 1 touch_new --tier 1
ok busy faults 100 110 0 touch_busy
ok clears faults 100 110 0 touch_clears
# Two engines do not leave a block together where one of them counts.
ok busy-check faults 1 110 0 touch_busy --engine check --time virtual --window always
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
