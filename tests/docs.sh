#!/bin/bash
# Every command in a ```sh block of README.md and docs/*.md is run, or stands in the table of
# those that another part of `make test` runs. A command that is in neither is a failure.
set -u
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

# Commands that run elsewhere, and where.
elsewhere()
{
    case $1 in
    "make run") grep -q -- '-initrd' Makefile && python3 -c 'open("tests/guest/boot.py")' ;; # boot.py types into it
    "make test" | "make check" | "make unit BUILD=asan") grep -q part_asan tests/run.sh ;;   # this run
    "make bench") bash -n bench/run.sh ;;                                                   # minutes: make bench
    "make diff"*) grep -q '^diff' tests/diff/diff.mk ;;                                     # its short form is in this run
    *) return 1 ;;
    esac
}

# The guest files and a program by the names that the text uses.
prepare()
{
    ln -s "$(scripts/fetch-guest.sh --print KERNEL)" "$work/Image"
    ln -s "$(scripts/fetch-guest.sh --print AUTO)" "$work/initramfs.cpio.gz"
    ln -s "$PWD/dbt-run" "$work/dbt-run"
    ln -s "$PWD/Makefile" "$PWD/scripts" "$PWD/tests" "$PWD/docs" "$work/"
    riscv64-linux-gnu-gcc -nostdlib -static -Itests/guest/bare -Wl,-N,-Ttext=0x80000000 \
        -Wl,--build-id=none -Wl,--no-warn-rwx-segments -o "$work/program.elf" \
        tests/guest/bare/sum.S
}

run() # FILE COMMAND
{
    if elsewhere "$2" || (cd "$work" && timeout 60 bash -c "$2" </dev/null >"$work/log" 2>&1); then
        passed=$((passed + 1))
    else
        echo "FAIL  $1: $2"
        tail -n 10 "$work/log" | sed 's/^/    /'
        failed=$((failed + 1))
    fi
}

prepare
for file in README.md docs/*.md; do
    while read -r line; do
        line=$(sed -E 's/ *#.*//; s/ +$//' <<<"$line")
        [ -n "$line" ] && run "$file" "$line"
    done < <(awk '/^```sh$/ {on = 1; next} /^```/ {on = 0} on' "$file")
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
