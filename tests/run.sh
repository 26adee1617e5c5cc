#!/bin/bash
# All that CI runs: `make test`. Each part prints its own lines and counts; the last line of
# all is "N passed, N failed". A part fails if it says so or exits with another status than 0.
#
#   tests/run.sh [PART...]      parts: unit asan tsan tools guest smp diff system windows bench check docs (default:
#                               these) and long, which takes longer than CI should: make test-long; debian and
#                               windows-long are parts of it, as is tsan-long
# STOP=1 ends at the first test that fails. LIMIT: seconds that no test, builds apart, may exceed. SLOW=1: how many times as long as usual they may take.
# WINDOW=off|auto|always: what guests run under in the parts guest, smp, system, boots and under-window: auto.
set -u
cd "$(dirname "$0")/.."
export LC_ALL=C
parts=${*:-unit asan tsan tools guest smp diff system windows bench check docs}
log=out/test${WINDOW:+/$WINDOW}
export DBT=${DBT:-$PWD/dbt-run}
[ -z "${WINDOW:-}" ] || DBT=$PWD/tests/guest/with-window
asan_options=detect_leaks=0:handle_segv=0:allow_user_segv_handler=1
mkdir -p "$log"
passed=0
failed=0

count() # PASSED FAILED
{
    passed=$((passed + $1))
    failed=$((failed + $2))
}

enough()
{
    if [ "${STOP:-0}" != 0 ] && [ "$failed" -gt 0 ]; then
        echo "$passed passed, $failed failed"
        exit 1
    fi
}

at_most() # SECONDS
{
    local seconds=$(($1 * ${SLOW:-1}))
    echo $((${LIMIT:-$seconds} < seconds ? LIMIT : seconds))
}

# Runs a command that is one test.
one() # NAME SECONDS COMMAND...
{
    local name=$1 seconds=$2 start=$SECONDS
    shift 2
    [[ $name == *build ]] || seconds=$(at_most "$seconds")
    if timeout "$seconds" "$@" >"$log/$name.log" 2>&1 </dev/null; then
        echo "ok    $name ($((SECONDS - start)) s)"
        count 1 0
    else
        echo "FAIL  $name (status $?, $((SECONDS - start)) s): $*"
        tail -n 40 "$log/$name.log" | sed 's/^/    /'
        count 0 1
        enough
    fi
}

# Runs a command whose last line counts its own tests: "N passed, N failed".
many() # NAME SECONDS COMMAND...
{
    local name=$1 seconds=$2 start=$SECONDS status line
    shift 2
    timeout "$(at_most "$seconds")" "$@" >"$log/$name.log" 2>&1 </dev/null
    status=$?
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log/$name.log" | tail -n 1)
    if [ -z "$line" ]; then
        line="0 passed, 1 failed"
    elif [ "$status" -ne 0 ] && [[ $line == *" 0 failed"* ]]; then
        line="${line%% *} passed, 1 failed"
    fi
    # shellcheck disable=SC2086 # two numbers
    count $(sed -E 's/^([0-9]+) passed, ([0-9]+) failed.*/\1 \2/' <<<"$line")
    if [[ $line == *", 0 failed"* ]]; then
        echo "ok    $name: $line ($((SECONDS - start)) s)"
    else
        echo "FAIL  $name: $line, status $status ($((SECONDS - start)) s)"
        tail -n 60 "$log/$name.log" | sed 's/^/    /'
        enough
    fi
}

# A unit test's own counts are cmocka's lines. All tests, or those that are named.
unit() # BUILD [NAME...]
{
    local build=$1 program name n bad status start
    shift
    local programs=("${@/#/out/$build/tests/unit/test_}")
    if ! make -j2 --no-print-directory BUILD="$build" "${programs[@]:-unit}" >"$log/build-$build.log" 2>&1; then
        echo "FAIL  the $build build"
        tail -n 40 "$log/build-$build.log" | sed 's/^/    /'
        count 0 1
        enough
        return
    fi
    [ $# -gt 0 ] || programs=(out/"$build"/tests/unit/test_*)
    for program in "${programs[@]}"; do
        [ -x "$program" ] && [[ $program != *.* ]] || continue
        name=$build-$(basename "$program")
        start=$SECONDS
        timeout "$(at_most 300)" "$program" >"$log/$name.log" 2>&1 </dev/null
        status=$?
        n=$(sed -nE 's/^\[  PASSED  \] ([0-9]+) test.*/\1/p' "$log/$name.log" | awk '{s += $1} END {print s + 0}')
        bad=$(sed -nE 's/^\[  FAILED  \] [^0-9]*([0-9]+) test.*/\1/p' "$log/$name.log" | awk '{s += $1} END {print s + 0}')
        [ "$status" -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
        [ "$n" -eq 0 ] && [ "$bad" -eq 0 ] && bad=1
        count "$n" "$bad"
        if [ "$bad" -eq 0 ]; then
            echo "ok    $name: $n passed ($((SECONDS - start)) s)"
        else
            echo "FAIL  $name: $n passed, $bad failed, status $status"
            grep -vE '^\[ (RUN|      OK)' "$log/$name.log" | tail -n 40 | sed 's/^/    /'
            enough
        fi
    done
}

part_unit()
{
    unit release
}

# The same under AddressSanitizer and UBSan, with a bare-metal guest and the firmware's part
# of a boot.
part_asan()
{
    export ASAN_OPTIONS=$asan_options
    unit asan
    one asan-build 900 make -j2 --no-print-directory BUILD=asan out/asan/dbt-run
    many asan-bare 300 env DBT=out/asan/dbt-run ENGINES=check tests/guest/bare.sh
    one fetch-guest 600 scripts/fetch-guest.sh
    many asan-smp-boots 300 tests/guest/smp-boots --dbt out/asan/dbt-run --harts 2,4 --limit 140
    many asan-litmus 200 tests/litmus/run.py --dbt out/asan/dbt-run --harts 2 --rounds 500 --limit 60
    one asan-firmware 120 tests/guest/firmware.sh out/asan/dbt-run
    many asan-fuzz-replay 600 make -j2 --no-print-directory BUILD=asan fuzz-replay
    many asan-virtio-count 300 make -j2 --no-print-directory BUILD=asan virtio-count N=100000
    unset ASAN_OPTIONS
}

# What has threads, under ThreadSanitizer: nothing is suppressed, dbt/base/tsan.h says what it is told.
part_tsan()
{
    unit tsan chardev dispatch fiber hart_waits harts jumps_race machine_slice monitor plic pool procs reserve_harts rv_cluster rv_trap salts seen \
        share_escape track turns uart16550 virtio_blk virtio_net window_harts window_limit
    one tsan-build 900 make -j2 --no-print-directory BUILD=tsan out/tsan/dbt-run
    one fetch-guest 600 scripts/fetch-guest.sh
    many tsan-boot 300 tests/guest/smp-boots --dbt out/tsan/dbt-run --harts 2,4 --limit 140
    many tsan-litmus 200 tests/litmus/run.py --dbt out/tsan/dbt-run --harts 2 --rounds 1000 --limit 60
    many tsan-litmus-strict 60 tests/litmus/run.py --dbt out/tsan/dbt-run --strict --tests lrsc --modes builtin
}

# More harts, more rounds, disks, networks, folders.
part_tsan-long()
{
    local dbt=out/tsan/dbt-run

    part_tsan
    many tsan-boots 1200 tests/guest/smp-boots --dbt "$dbt" --times 3 --limit 300
    many tsan-boots-small-cache 1200 tests/guest/smp-boots --dbt "$dbt" --harts 2,4 --limit 300 --cache-size 4M
    many tsan-litmus-4 1200 tests/litmus/run.py --dbt "$dbt" --rounds 10000 --limit 360
    many tsan-crowded 600 tests/guest/crowded.py --dbt "$dbt"
    many tsan-torture 1200 tests/guest/torture.py --dbt "$dbt" --seconds 120
}

part_tools()
{
    one build 600 make -j2 --no-print-directory dbt-run
    one clang-build 900 make -j2 --no-print-directory BUILD=clang CC=clang out/clang/dbt-run
    many bad-input 120 tests/guest/bad-input.sh ./dbt-run
    many debian-unpack 60 tests/guest/debian-unpack.sh
    one objdump 120 tests/diff/objdump.sh
}

part_guest()
{
    one guest-build 600 make -j2 --no-print-directory dbt-run
    one fetch-guest 600 scripts/fetch-guest.sh
    many bare 300 env ENGINES="jit first check" tests/guest/bare.sh
    many bare-wild-harts 60 env OPTIONS="-smp 2" tests/guest/bare.sh window_wild window_wild_kernel
    many bare-stress 300 env ENGINES=jit STRESS="regs,seed=7 cache,table links irq" tests/guest/bare.sh
    many run-elf 300 tests/guest/run-elf-check.sh
    one check-first-second 120 tests/guest/check-boot.sh 100000000
    many boot 300 python3 tests/guest/boot.py
    many disk 300 tests/guest/disk.sh
    many disk-pci 300 env BUS=pci tests/guest/disk.sh
    many flash 200 tests/guest/flash.sh
    many disk-formats 300 env FORMATS=1 tests/guest/disk.sh
    many disk-boot 300 tests/guest/disk-boot.sh
    many disk-kill 120 tests/guest/disk-kill.py
    many disk-kill-qcow2 120 tests/guest/disk-kill.py --format qcow2
    many net 120 tests/guest/net.py
    many net-pci 120 env BUS=pci tests/guest/net.py
    many net-dns 120 tests/guest/net-dns.py
    many share 300 tests/guest/share.sh
    many balloon 300 tests/guest/balloon.py
}

# Several harts: litmus tests, a tortured Linux, boots; in turns, runs that repeat.
part_smp()
{
    one smp-build 600 make -j2 --no-print-directory dbt-run
    one fetch-guest 600 scripts/fetch-guest.sh
    one litmus-model 60 tests/litmus/model.py
    one litmus-random 60 tests/litmus/model.py --random 2000 1
    many litmus 300 tests/litmus/run.py --rounds 3000 --limit 150
    many litmus-threads 300 tests/litmus/run.py --rounds 2000 --harts 4 --limit 150 --hart-threads each
    many litmus-planted 600 tests/litmus/run.py --planted --harts 2 --modes builtin --rounds 20000
    many litmus-strict 120 tests/litmus/run.py --strict --tests lrsc --rounds 5000
    many litmus-strict-planted 120 tests/litmus/run.py --planted --strict --tests lrsc --harts 2 --modes builtin
    many spin 60 tests/guest/spin.sh
    many touch 60 tests/guest/touch.sh
    many crowded 120 tests/guest/crowded.py
    many torture 300 tests/guest/torture.py --seconds 60
    many smp-boots 300 tests/guest/smp-boots
    many smp-boots-threads 300 tests/guest/smp-boots --harts 4 --hart-threads each
    many smp-boots-firmware 300 tests/guest/smp-boots --harts 4 --firmware opensbi --hart-threads 1
    many smp-boots-one 300 tests/guest/smp-boots --harts 2,4 --firmware builtin --hart-threads 1
    many smp-boots-strict 300 tests/guest/smp-boots --harts 2,4 --lrsc=strict
    many smp-boots-cache 300 tests/guest/smp-boots --harts 2 --stress cache,seed=1
    many smp-boots-64 300 tests/guest/smp-boots --harts 64 --limit 140
    many litmus-cache 300 tests/litmus/run.py --rounds 300 --harts 2 --limit 150 --stress cache,seed=2
    many litmus-virtual 300 tests/litmus/run.py --rounds 300 --limit 150 --time virtual
    many repeat 600 tests/guest/repeat.py
    one check-2-harts 300 tests/guest/check-boot.sh 0 -smp 2
}

part_diff()
{
    local stress

    one diff-build 300 make -j2 --no-print-directory out/release/tests/diff/unicorn_diff \
        out/release/tests/diff/qemu_user out/release/tests/diff/fp_diff
    many fp-diff 300 out/release/tests/diff/fp_diff --seed 1 --count 2000000
    many fp-diff-regs 300 out/release/tests/diff/fp_diff --seed 2 --count 1000000 --engine jit \
        --stress-regs 1
    many unicorn-jit 300 out/release/tests/diff/unicorn_diff --seed 1 --count 400000
    many unicorn-interp 300 out/release/tests/diff/unicorn_diff --seed 2 --count 200000 \
        --engine interp
    for stress in regs,seed=1 cache table links irq; do
        many "unicorn-$stress" 300 out/release/tests/diff/unicorn_diff --seed 3 --count 100000 \
            --stress "$stress"
    done
    many qemu-user 300 out/release/tests/diff/qemu_user --seed 1 --count 100000
}

# Random system programs: the engines with each other, each stress mode, QEMU.
part_system()
{
    local stress diff=(out/release/tests/system/system_diff --dbt "$DBT")

    one system-build 300 make -j2 --no-print-directory dbt-run "${diff[0]}"
    many system-interp 120 "${diff[@]}" --seed 3 --count 4000 --option "--time virtual"
    many system-first 120 "${diff[@]}" --seed 7 --count 800 --option "--time virtual --tier auto"
    many system-check 120 "${diff[@]}" --seed 2 --count 800 --a check --option "--time virtual"
    for stress in regs,seed=7 cache table links irq regs,cache,table,links,irq,seed=9; do
        many "system-$stress" 120 "${diff[@]}" --seed 3 --count 800 \
            --option "--time virtual --stress $stress"
    done
    many system-host-time 120 "${diff[@]}" --seed 4 --count 800
    many system-window 120 "${diff[@]}" --seed 8 --count 800 --option "--window always"
    many system-window-check 120 "${diff[@]}" --seed 8 --count 400 --a check \
        --option "--time virtual --window always"
    many system-window-unfit 120 "${diff[@]}" --seed 2 --count 400 --a check \
        --option "--time virtual --window always --tier 1"
    many system-window-stress 120 "${diff[@]}" --seed 9 --count 800 \
        --option "--window always --stress regs,table,links,seed=9"
    many system-kernel 120 "$diff" --kernel --seed 8 --count 800 --option "--window always"
    many system-kernel-check 120 "$diff" --kernel --seed 8 --count 400 --a check \
        --option "--time virtual --window always"
    many system-kernel-stress 120 "$diff" --kernel --seed 20 --count 800 \
        --option "--window always --stress regs,table,links,irq,seed=9"
    many system-kernel-qemu 120 "$diff" --kernel --seed 5 --count 800 --b qemu \
        --option "--time virtual --window always"
    # Without the counts of virtual time, before which all that is kept in registers goes to its place.
    for stress in regs,seed=6 regs,table,links,seed=9; do
        many "system-host-time-$stress" 120 "${diff[@]}" --seed 6 --count 800 --option "--stress $stress"
    done
    many system-qemu 120 "${diff[@]}" --seed 5 --count 4000 --b qemu --option "--time virtual"
}

# What is short of the parts guest, smp and system, for WINDOW.
part_under-window()
{
    local diff=(out/release/tests/system/system_diff --dbt "$DBT")

    many bare 300 env ENGINES="jit check" tests/guest/bare.sh
    many bare-stress 300 env ENGINES=jit STRESS="regs,cache,table,links,irq,seed=7" tests/guest/bare.sh
    one check-first-second 120 tests/guest/check-boot.sh 100000000
    many boot 300 python3 tests/guest/boot.py
    many disk 300 tests/guest/disk.sh
    many net 120 tests/guest/net.py
    many share 300 tests/guest/share.sh
    many system-check 120 "${diff[@]}" --seed 11 --count 800 --a check --option "--time virtual"
    many system-stress 120 "${diff[@]}" --seed 12 --count 800 --option "--stress regs,cache,table,links,irq,seed=9"
    many system-qemu 120 "${diff[@]}" --seed 13 --count 1000 --b qemu --option "--time virtual"
    many litmus 120 tests/litmus/run.py --rounds 1000 --limit 60 --modes builtin
    many smp-boots 300 tests/guest/smp-boots --harts 2,4
    many torture 120 tests/guest/torture.py --seconds 10
}

# Guests with windows and without, of which the other parts have those that --window auto gives. Some that are
# slow under `always` have as long as they want: it is for tests.
part_windows()
{
    one windows-build 600 make -j2 --no-print-directory dbt-run out/release/tests/system/system_diff
    one fetch-guest 600 scripts/fetch-guest.sh
    many window-off 900 env WINDOW=off tests/run.sh under-window
    many window-always 1800 env WINDOW=always SLOW=4 tests/run.sh under-window
}

# All of them, and Debian.
part_windows-long()
{
    many window-off-all 10800 env WINDOW=off tests/run.sh guest system smp boots
    many window-always-all 21600 env WINDOW=always SLOW=4 tests/run.sh guest system smp boots
    one debian-image 3600 scripts/debian-image.sh
    many debian-window-always 3600 python3 tests/guest/debian.py --window always --tier 1 -smp 2
    many window-churn 1800 tests/guest/churn.py --minutes 10
}

# The benchmark's own sums, and one short round of it: nothing is compared with a time.
part_bench()
{
    one bench-build 600 make -j2 --no-print-directory dbt-run
    one fetch-guest 600 scripts/fetch-guest.sh
    many bench-sums 60 tests/bench/test_bench.py
    many bench-round 300 tests/bench/smoke.sh
    many bench-docs 60 tests/docs.sh bench/README.md
}

part_check()
{
    one layers 60 make --no-print-directory check-layers
    one words 60 make --no-print-directory check-words
    one format 120 make --no-print-directory check-format
    one tidy 600 make --no-print-directory check-tidy
}

part_docs()
{
    many docs 300 tests/docs.sh
}

# Boots to the end of the guest's own script.
boots() # DBT OPTION...
{
    "$@" -kernel "$kernel" -initrd "$initrd" -append console=ttyS0 -serial stdio </dev/null |
        tee out/test/boots.log | grep -q "dbt: guest done"
}

# Whole boots with every block run by both engines, and under each stress mode.
part_boots()
{
    local stress

    kernel=$(scripts/fetch-guest.sh --print KERNEL)
    initrd=$(scripts/fetch-guest.sh --print AUTO)
    export -f boots
    export kernel initrd
    one boots-build 600 make -j2 --no-print-directory dbt-run
    one fetch-guest 600 scripts/fetch-guest.sh
    one check-builtin 600 tests/guest/check-boot.sh
    one check-opensbi 600 tests/guest/check-boot.sh 0 --firmware opensbi
    many check-programs 1200 python3 tests/guest/boot.py --check
    many check-bare-stress 900 env ENGINES=check STRESS="regs,seed=7 cache table links irq" \
        tests/guest/bare.sh
    one check-no-passes 600 tests/guest/check-boot.sh 0 --opt none
    one check-regs 900 tests/guest/check-boot.sh 0 --stress regs,seed=7
    one check-table 900 tests/guest/check-boot.sh 0 --stress table
    for stress in regs table cache links regs,table,links; do
        one "boot-$stress" 300 bash -c "boots \"\$DBT\" --stress $stress"
    done
    one check-4-harts 900 tests/guest/check-boot.sh 0 -smp 4 --firmware opensbi
    one boot-small-cache 300 bash -c "boots \"\$DBT\" --cache-size 1M"
}

# Debian as people have it: its installer, an image of it, programs from its packages.
part_debian()
{
    one debian-build 600 make -j2 --no-print-directory dbt-run
    one fetch-installer 600 scripts/fetch-guest.sh --installer
    many installer 1200 tests/guest/installer.py
    one debian-image 3600 scripts/debian-image.sh
    many debian 1800 python3 tests/guest/debian.py
    many debian-programs 5400 python3 tests/guest/debian_programs.py
}

# Those, boots under the sanitizers, and the long random tests.
part_long()
{
    local test

    one build 600 make -j2 --no-print-directory dbt-run
    one asan-build 900 make -j2 --no-print-directory BUILD=asan out/asan/dbt-run
    part_boots
    many bare-interp 300 env ENGINES=interp tests/guest/bare.sh
    many asan-bare 900 env ASAN_OPTIONS=$asan_options DBT=out/asan/dbt-run tests/guest/bare.sh
    many litmus-1e6 3600 tests/litmus/run.py --rounds 1000000 --seconds 60 --limit 1800
    many smp-boots-50 3600 tests/guest/smp-boots --times 50
    many smp-boots-cache 3600 tests/guest/smp-boots --harts 2,4,8 --limit 600 --times 3 --stress cache,seed=5
    many litmus-cache 3600 tests/litmus/run.py --rounds 3000 --limit 900 --stress cache,seed=6
    many torture-cache 3600 tests/guest/torture.py --seconds 60 --limit 600 --stress cache,seed=7
    many repeat-long 3600 tests/guest/repeat.py --long
    many litmus-check 3600 tests/litmus/run.py --rounds 300 --limit 900 --engine check
    many disk-kill 900 tests/guest/disk-kill.py --kills 400 --seed 7
    many net-100-mbytes 600 tests/guest/net.py --mbytes 100
    many net-stress 600 tests/guest/net.py --stress regs,table,links
    many net-tap 300 tests/guest/net.py --via tap
    many net-passt 300 tests/guest/net.py --via passt
    many disk-kill-qcow2-files 1800 tests/guest/disk-kill.py --kills 20 --seed 5 --file-system --format qcow2
    many disk-kill-files 1800 tests/guest/disk-kill.py --kills 40 --seed 3 --file-system
    export ASAN_OPTIONS=$asan_options
    one asan-boot 300 bash -c "boots out/asan/dbt-run"
    many asan-torture 1200 tests/guest/torture.py --dbt out/asan/dbt-run --seconds 120
    many asan-net 600 tests/guest/net.py --dbt out/asan/dbt-run
    one asan-check 900 env DBT=out/asan/dbt-run tests/guest/check-boot.sh 100000000
    many asan-share 900 tests/guest/share.sh out/asan/dbt-run
    unset ASAN_OPTIONS
    part_debian
    part_windows-long
    many edk2 900 tests/guest/edk2.sh
    many share-20000 900 env FILES=20000 tests/guest/share.sh
    many share-virtual 600 tests/guest/share.sh "$DBT" --time virtual
    for test in x64_emit ir_fp; do
        one "long-$test" 1800 env DBT_FUZZ_CASES=1000000 "out/release/tests/unit/test_$test"
    done
}

for part in $parts; do
    echo "== $part"
    "part_$part"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
