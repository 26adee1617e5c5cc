#!/bin/bash
# Measures dbt-run against QEMU and against native code: `make bench`.
#
#   [RUNS=5] [KERNELS="fib sieve"] [DBT=./dbt-run] [QEMU=...] bench/run.sh
#
# DBT and QEMU are commands with their options, to which -kernel, -initrd and -append are added.
# Each round boots the guest to power-off and runs every kernel once under each of the two and
# natively, so that a change of the machine's speed meets all alike. bench/README.md says more.
set -eu
export LC_ALL=C

top=$(cd "$(dirname "$0")/.." && pwd)
out=$top/out/bench
runs=${RUNS:-5}
limit=${LIMIT:-600}
dbt=${DBT:-$top/dbt-run}
qemu=${QEMU:-qemu-system-riscv64 -M virt -nographic -bios default -m 1G}
kernels=${KERNELS:-$(cd "$top/bench/kernels" && printf '%s ' */*.c | sed 's/[a-z]*\/\([a-z0-9]*\)\.c/\1/g')}

# No fused operations, which the host's baseline lacks: the checksums must be equal. (matmul asks
# for them itself, and rounds its checksum.)
cflags="-std=gnu17 -O2 -Wall -Wextra -Werror -ffp-contract=off -fno-math-errno
    -static -I$top/bench/kernels"

die()
{
    echo "bench: $*" >&2
    exit 1
}

guest_file()
{
    "$top/scripts/fetch-guest.sh" --print "$1"
}

prepare()
{
    "$top/scripts/deps.sh" build bench
    "$top/scripts/fetch-guest.sh"
    command -v "${dbt%% *}" >/dev/null || die "no ${dbt%% *}: run make first"
    rm -rf "$out"
    mkdir -p "$out/native" "$out/guest" "$out/log"
}

build() # COMPILER FOLDER
{
    local name

    # shellcheck disable=SC2086 # flags are words
    for name in $kernels; do
        "$1" $cflags "$top"/bench/kernels/*/"$name.c" -o "$out/$2/$name" -lm ||
            die "no kernel '$name' in bench/kernels, or it does not build"
    done
    # shellcheck disable=SC2086
    "$1" $cflags "$top/bench/cputime.c" -o "$out/cputime-$2"
}

pack()
{
    local name files=("$out/cputime-guest:/bin/cputime")

    for name in $kernels; do
        files+=("$out/guest/$name:/bench/$name")
    done
    "$top/scripts/make-initramfs.sh" "$out/kernels.cpio.gz" "$top/bench/init" "${files[@]}"
}

# One line of raw data: ROUND WHO WHAT cputime's fields.
record() # ROUND WHO, cputime lines on stdin
{
    tr -d '\r' | sed -n "s/^cputime \\([^ ]*\\) /$1 $2 \\1 /p" >>"$out/raw.txt"
}

# Boots one initramfs, keeps the console, records the cost of the emulator itself as WHAT.
boot() # ROUND WHO WHAT INITRD COMMAND
{
    local log=$out/log/$3-$2-$1.txt cost=$out/log/cost.txt

    # The guest's own cputime lines go to the console, ours to another file.
    # shellcheck disable=SC2016,SC2086 # the inner shell expands; a command is words
    "$out/cputime-native" -p -t "$limit" "$3" \
        sh -c 'log=$1; shift; exec "$@" >"$log" 2>&1' sh "$log" $5 \
        -kernel "$(guest_file KERNEL)" -initrd "$4" -append 'console=ttyS0' \
        </dev/null 2>"$cost" ||
        die "$2 failed at '$3' ($(grep -o 'status=.*' "$cost")); its last words, from $log:" \
            $'\n'"$(tail -n 3 "$log")"
    grep -q 'dbt: guest done' "$log" || die "$2 ended early at '$3', see $log"
    record "$1" "$2" <"$cost"
}

guest_round() # ROUND WHO COMMAND
{
    boot "$1" "$2" boot "$(guest_file AUTO)" "$3"
    boot "$1" "$2" kernels "$out/kernels.cpio.gz" "$3"
    record "$1" "$2" <"$out/log/kernels-$2-$1.txt"
    checksums <"$out/log/kernels-$2-$1.txt" | cmp -s - "$out/checksums" ||
        die "$2 computed something else than the host; compare $out/log/kernels-$2-$1.txt" \
            "with $out/checksums"
}

native_round() # ROUND
{
    local name log=$out/log/native-$1.txt

    for name in $kernels; do
        "$out/cputime-native" "$name" "$out/native/$name" >>"$log" 2>&1 ||
            die "$name failed natively, see $log"
    done
    record "$1" native <"$log"
    checksums <"$log" >"$out/checksums"
}

checksums()
{
    tr -d '\r' | grep -E '^[a-z0-9]+ [0-9a-f]{16}$' | sort
}

describe()
{
    echo "cpu=$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)"
    echo "host=$(uname -sr)"
    echo "dbt=$dbt"
    echo "qemu=$qemu"
    echo "qemu_version=$(${qemu%% *} --version | head -n 1)"
    echo "cc=$(gcc --version | head -n 1)"
    echo "guest_cc=$(riscv64-linux-gnu-gcc --version | head -n 1)"
    echo "runs=$runs"
}

prepare
build gcc native
build riscv64-linux-gnu-gcc guest
pack
describe >"$out/about.txt"
for round in $(seq "$runs"); do
    echo "bench: round $round of $runs: native" >&2
    native_round "$round"
    echo "bench: round $round of $runs: dbt" >&2
    guest_round "$round" dbt "$dbt"
    echo "bench: round $round of $runs: qemu" >&2
    guest_round "$round" qemu "$qemu"
done
python3 "$top/bench/report.py" "$out" "$top/out/bench.json"
