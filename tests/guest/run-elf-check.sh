#!/bin/bash
# The runner of test programs, tests/guest/run-elf, over the project's own that end by tohost,
# under each engine; then over ones that it must see fail.
#
#   tests/guest/run-elf-check.sh [./dbt-run]
set -u
cd "$(dirname "$0")/../.."
export LC_ALL=C
dbt=$(realpath "${1:-${DBT:-./dbt-run}}")
cross=${RISCV_PREFIX:-riscv64-linux-gnu-}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0
failed=0

# runner STATUS LAST-LINE WORDS ARG...: run-elf ARG... must end so, and say WORDS somewhere.
runner()
{
    local status=$1 last=$2 words=$3 got
    shift 3
    timeout 120 tests/guest/run-elf --dbt "$dbt" -j 2 "$@" >"$dir/out" 2>&1 </dev/null
    got=$?
    if [ "$got" = "$status" ] && [ "$(tail -n 1 "$dir/out")" = "$last" ] &&
        [[ $(cat "$dir/out") == *"$words"* ]]; then
        passed=$((passed + 1))
        return
    fi
    failed=$((failed + 1))
    echo "FAILED: run-elf $*: status $got, wanted $status, '$last' and '$words'"
    tail -n 20 "$dir/out" | sed 's/^/    /'
}

tests/guest/bare.sh --build "$dir/all" || exit 1
mkdir "$dir/good" "$dir/none" "$dir/reference"
for program in "$dir"/all/*; do
    source=tests/guest/bare/$(basename "$program").S
    if grep -q '^// status: 0' "$source" && ! grep -q '^// options:' "$source" &&
        "${cross}nm" "$program" | grep -q ' tohost$'; then
        cp "$program" "$dir/good/"
    fi
done
n=$(find "$dir/good" -type f | wc -l)
[ "$n" -ge 3 ] || echo "FAILED: only $n programs end by tohost"

for engine in jit interp check; do
    runner 0 "$n passed, 0 failed" '' --engine "$engine" --timeout 60 "$dir/good"
done
for stress in regs table links; do
    runner 0 "$n passed, 0 failed" '' --option="--stress $stress" --timeout 60 "$dir/good"
done
echo note >"$dir/good/note.txt"
runner 0 "$n passed, 0 failed" '1 files are not ELF' --timeout 60 "$dir/good"

# Signatures: the last word is not whole.
cat >"$dir/reference/signature.reference_output" <<'end'
12345678
FFFFFFFE
ffffffff
aaaaaa80
00c0ffee
00002211
end
compare=(--signature-dir "$dir/signatures" --reference-dir "$dir/reference")
for engine in jit interp check; do
    runner 0 '1 passed, 0 failed' '' --engine "$engine" "${compare[@]}" "$dir/good/signature"
done
sed -i 's/aaaaaa80/aaaaaa81/' "$dir/reference/signature.reference_output"
runner 1 '0 passed, 1 failed' 'signature, line 4: aaaaaa80, not aaaaaa81' "${compare[@]}" \
    "$dir/good/signature"
sed -i '$d' "$dir/reference/signature.reference_output"
sed -i 's/aaaaaa81/aaaaaa80/' "$dir/reference/signature.reference_output"
runner 1 '0 passed, 1 failed' 'signature of 6 lines, not 5' "${compare[@]}" "$dir/good/signature"
rm "$dir/reference/signature.reference_output"
runner 1 '0 passed, 1 failed' 'no signature.signature or' "${compare[@]}" "$dir/good/signature"

# What must fail.
runner 1 '1 passed, 1 failed' 'FAILED: tohost: status 5 (test 5)' "$dir/all/tohost" "$dir/good/signature"
printf '.globl _start\n_start: j _start\n' >"$dir/spin.S"
"${cross}gcc" -nostdlib -static -Wl,-N,-Ttext=0x80000000,--build-id=none,--no-warn-rwx-segments \
    -o "$dir/spin" "$dir/spin.S"
runner 1 '0 passed, 1 failed' 'spin: not ended after 0.5 s' --timeout 0.5 "$dir/spin"
runner 1 '0 passed, 1 failed' 'note.txt: status 1: dbt-run: ' "$dir/good/note.txt"
runner 1 '0 passed, 1 failed' 'no ELF file in it' "$dir/none"
runner 1 '0 passed, 1 failed' 'cannot open' "$dir/nothing"
runner 1 '0 passed, 1 failed' 'unknown option' --option=--nonsense "$dir/good/signature"

[ "$n" -ge 3 ] || failed=$((failed + 1))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
