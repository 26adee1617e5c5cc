#!/bin/bash
# How a hart waits that spins for a word, in a wfi that does not wait, or by pause: after a while asleep, whether or not
# there is a processor for each; in virtual time by giving its turn away. One that looks at the clock meanwhile is awake.
set -u
cd "$(dirname "$0")/../.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
. tests/guest/tally.sh

# sleeps WANT [GUEST:]FOR COMMAND...: does the run end well, having slept (some) or not (none), or either (any)? FOR:
# word, wfi, pause
sleeps()
{
    local want=$1 for=${2#*:} guest=spin_${2%:*} n
    shift 2
    timeout 60 "$@" -m 64M -smp 2 --stats="$dir/stats.json" "$dir/$guest" || return
    n=$(sed -n 's/.*"'"$for"'_sleeps": *\([0-9]*\).*/\1/p' "$dir/stats.json")
    echo "slept '$n' times"
    case $want:$n in
    none:0 | some:[1-9]* | any:[0-9]*) return 0 ;;
    esac
    return 1
}

tests/guest/bare.sh --build "$dir" || exit 1
dbt=${DBT:-./dbt-run}
for what in word wfi; do
    ok "$what, a processor each" sleeps some $what "$dbt"
    ok "$what, one for both" sleeps some $what taskset -c 0 "$dbt"
    ok "$what, virtual time" sleeps none $what "$dbt" --time virtual
done
# With one processor for both it gives way to the other at once.
if [ "$(nproc)" = 1 ]; then
    echo "skipped: pause, a processor each: there is one only"
else
    ok "pause, a processor each" sleeps some pause "$dbt"
fi
ok "pause, virtual time" sleeps none pause "$dbt" --time virtual
ok "delay:pause, a processor each" sleeps none delay:pause "$dbt"
ok "delay:pause, one for both" sleeps none delay:pause taskset -c 0 "$dbt"
for threads in each 1; do
    ok "mail:pause, threads: $threads" sleeps any mail:pause timeout 30 "$dbt" --hart-threads $threads
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
