#!/bin/bash
# Runs the bare-metal guests of tests/guest/bare under each engine: every one must end with
# the status and the text that its head comment names, and is typed after a while what stands there.
#
#   tests/guest/bare.sh [NAME...]       DBT=./dbt-run, ENGINES="jit first interp check"; first: --tier auto
#                                       STRESS="": lists for --stress, of which each has a run of its own
#                                       OPTIONS="": for all of them
#   tests/guest/bare.sh --build DIR     only builds them
set -u
cd "$(dirname "$0")/../.."
export LC_ALL=C
dbt=${DBT:-./dbt-run}
engines=${ENGINES:-jit first interp check}
stresses=${STRESS:-none}
cross=${RISCV_PREFIX:-riscv64-linux-gnu-}
passed=0
failed=0

build() # SOURCE OUT
{
    "${cross}gcc" -nostdlib -static -fno-pic -no-pie -march=rv64gc -mabi=lp64d -mcmodel=medany -mno-relax \
        -Wl,-N,-Ttext=0x80000000,--build-id=none,--no-warn-rwx-segments -o "$2" "$1"
}

# What the head comment says of KEY.
head_says() # KEY SOURCE
{
    sed -n "s|^// $1: ||p" "$2"
}

run() # NAME ENGINE STRESS
{
    local source=tests/guest/bare/$1.S options status want out typed engine="$2 --tier 1"
    options=$(head_says options "$source")
    options=${options//DISK/$dir/disk} # an empty one of 64 KiB
    # The two sides of a comparison need one clock.
    if [ "$2" = check ] && [[ $options != *--time* ]]; then
        options="$options --time virtual"
    fi
    [ "$2" = first ] && engine="jit --tier auto"
    [ "$3" = none ] || options="$options --stress $3"
    options="$options ${OPTIONS:-}"
    typed=$(head_says types "$source")
    # shellcheck disable=SC2086 # lists of words
    timeout 60 "$dbt" --engine $engine -m 64M -serial stdio $options "$dir/$1" \
        >"$dir/out" 2>"$dir/err" < <([ -z "$typed" ] || { sleep 0.3; printf %s "$typed"; })
    status=$?
    want=$(head_says status "$source")
    out=$(tr -d '\r' <"$dir/out")
    if [ "$status" = "$want" ] && [ "$out" = "$(head_says prints "$source")" ]; then
        passed=$((passed + 1))
        return
    fi
    failed=$((failed + 1))
    echo "FAILED: $1 under $2, stress $3: status $status, wanted $want; printed '$out'"
    tail -n 20 "$dir/err" | sed 's/^/    /'
}

if [ "${1:-}" = --build ]; then
    mkdir -p "$2" || exit 1
    for source in tests/guest/bare/*.S; do
        build "$source" "$2/$(basename "$source" .S)" || exit 1
    done
    exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
truncate -s 64K "$dir/disk"
for source in tests/guest/bare/*.S; do
    name=$(basename "$source" .S)
    [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
    if ! build "$source" "$dir/$name"; then
        failed=$((failed + 1))
        continue
    fi
    for engine in $engines; do
        for stress in $stresses; do
            run "$name" "$engine" "$stress"
        done
    done
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
