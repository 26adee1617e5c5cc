#!/bin/bash
# How a hart waits that spins for a word, in a wfi that does not wait, or by pause: after a while asleep, whether or not
# there is a processor for each; in virtual time by giving its turn away. One that looks at the clock meanwhile is awake.
set -u
cd "$(dirname "$0")/../.."
passed=0
failed=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# sleeps WANT [GUEST:]FOR NAME COMMAND...: does the run end well, having slept (some) or not (none), or either (any)? FOR:
# word, wfi, pause
sleeps()
{
    local want=$1 for=${2#*:} guest=spin_${2%:*} name="$2, $3" status n
    shift 3
    timeout 60 "$@" -m 64M -smp 2 --stats="$dir/stats.json" "$dir/$guest" >"$dir/out" 2>&1
    status=$?
    n=$(sed -n 's/.*"'"$for"'_sleeps": *\([0-9]*\).*/\1/p' "$dir/stats.json")
    case $want:$n in
    none:0 | some:[1-9]* | any:[0-9]*) [ "$status" = 0 ] && passed=$((passed + 1)) && return ;;
    esac
    failed=$((failed + 1))
    echo "FAILED: $name: status $status, slept '$n' times, wanted $want"
}

tests/guest/bare.sh --build "$dir" || exit 1
dbt=${DBT:-./dbt-run}
for what in word wfi; do
    sleeps some $what "a processor each" "$dbt"
    sleeps some $what "one for both" taskset -c 0 "$dbt"
    sleeps none $what "virtual time" "$dbt" --time virtual
done
# With one processor for both it gives way to the other at once.
if [ "$(nproc)" = 1 ]; then
    echo "skipped: pause, a processor each: there is one only"
else
    sleeps some pause "a processor each" "$dbt"
fi
sleeps none pause "virtual time" "$dbt" --time virtual
sleeps none delay:pause "a processor each" "$dbt"
sleeps none delay:pause "one for both" taskset -c 0 "$dbt"
for threads in each 1; do
    sleeps any mail:pause "threads: $threads" timeout 30 "$dbt" --hart-threads $threads
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
