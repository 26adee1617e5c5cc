#!/bin/bash
# The harnesses, with libFuzzer or without.
#
#   tests/fuzz/run.sh fuzz BUILD-FOLDER SECONDS [NAME...]     SECONDS in all, split among them
#   tests/fuzz/run.sh replay BUILD-FOLDER MUTATIONS [NAME...]  ends with "N passed, N failed"
set -u
cd "$(dirname "$0")/../.."
export LC_ALL=C
[ $# -ge 3 ] || { sed -n '2,5s/^# \?//p' "$0" >&2; exit 2; }
how=$1 folder=$2 amount=$3
shift 3
export ASAN_OPTIONS=${ASAN_OPTIONS:-handle_segv=1:detect_leaks=1}
export UBSAN_OPTIONS=print_stacktrace=1
passed=0
failed=0
names=()
for source in tests/fuzz/fuzz_*.c; do
    grep -q '^int LLVMFuzzerTestOneInput' "$source" || continue
    name=$(basename "$source" .c)
    names+=("${name#fuzz_}")
done
[ $# -gt 0 ] && names=("$@")
mkdir -p out/fuzz
tests/fuzz/make-seeds.py out/fuzz/seeds || exit 1

# Found inputs grow in out/fuzz/corpus; one that fails is written to out/fuzz.
fuzz() # NAME
{
    local seconds=$((amount / ${#names[@]}))
    mkdir -p "out/fuzz/corpus/$1"
    # shellcheck disable=SC2046 # a path or nothing
    timeout $((seconds + 120)) "$folder/tests/fuzz/fuzz_$1" -max_total_time=$((seconds > 0 ? seconds : 1)) \
        -artifact_prefix="out/fuzz/$1-" -timeout=20 -rss_limit_mb=4096 -max_len=16384 -print_final_stats=1 \
        "out/fuzz/corpus/$1" "out/fuzz/seeds/$1" $(kept "$1") 2>"out/fuzz/$how-$1.log"
}

replay() # NAME
{
    # shellcheck disable=SC2046 # a path or nothing
    timeout 300 "$folder/tests/fuzz/fuzz_$1" "$amount" "out/fuzz/seeds/$1" $(kept "$1") >"out/fuzz/$how-$1.log" 2>&1
}

# Inputs that failed once.
kept() # NAME
{
    [ ! -d "tests/fuzz/corpus/$1" ] || echo "tests/fuzz/corpus/$1"
}

for name in "${names[@]}"; do
    if "$how" "$name"; then
        echo "ok    $name: $(grep -aE 'number_of_executed|mutations$' "out/fuzz/$how-$name.log" | tail -n 1)"
        passed=$((passed + 1))
    else
        echo "FAILED: $name (status $?); out/fuzz/$how-$name.log ends:"
        tail -n 30 "out/fuzz/$how-$name.log" | cut -c1-200 | sed 's/^/    /'
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
