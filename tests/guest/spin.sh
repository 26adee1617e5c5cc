#!/bin/bash
# How a hart waits that spins for a word: after a while asleep, whether or not there is a processor for each; in virtual
# time by giving its turn away.
set -u
cd "$(dirname "$0")/../.."
passed=0
failed=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# sleeps WANT NAME COMMAND...: does the run end well, having slept (some) or not (none)?
sleeps()
{
    local want=$1 name=$2 status n
    shift 2
    timeout 60 "$@" -m 64M -smp 2 --stats="$dir/stats.json" "$dir/spin_word" >"$dir/out" 2>&1
    status=$?
    n=$(sed -n 's/.*"word_sleeps": *\([0-9]*\).*/\1/p' "$dir/stats.json")
    case $want:$n in
    none:0 | some:[1-9]*) [ "$status" = 0 ] && passed=$((passed + 1)) && return ;;
    esac
    failed=$((failed + 1))
    echo "FAILED: $name: status $status, slept '$n' times, wanted $want"
}

tests/guest/bare.sh --build "$dir" || exit 1
dbt=${DBT:-./dbt-run}
sleeps some "a processor each" "$dbt"
sleeps some "one for both" taskset -c 0 "$dbt"
sleeps none "virtual time" "$dbt" --time virtual
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
