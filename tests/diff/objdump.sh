#!/bin/sh
# The disassembler (and with it names, encodings and formats of every row) against
# binutils:  tests/diff/objdump.sh [SEED [WORDS_PER_ROW]]
#
# Prints the first differences, theirs with <, ours with >, and fails.
set -eu
seed=${1:-1}
words=${2:-100}
top=$(cd "$(dirname "$0")/../.." && pwd)
prefix=${RISCV_PREFIX:-riscv64-linux-gnu-}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

${CC:-cc} -std=gnu17 -O1 -Wall -Wextra -I"$top" -o "$dir/words" \
    "$top/tests/diff/objdump_words.c" "$top"/frontend/riscv/rv_table.c \
    "$top"/frontend/riscv/rv_decode.c "$top"/frontend/riscv/rv_disasm.c "$top"/dbt/base/*.c
"$dir/words" "$seed" "$words" "$dir/words.s" "$dir/ours"
"${prefix}as" -o "$dir/words.o" "$dir/words.s"

# "   1c:  0505  c.addi a0,1 # comment" -> "0505 c.addi a0,1". Targets get their 0x, which
# objdump leaves out in files that have symbols. What neither knows is one thing under two
# names.
"${prefix}objdump" -d -z -M no-aliases "$dir/words.o" |
    sed -n -E 's/^ *[0-9a-f]+:\t([0-9a-f]+) +\t/\1 /p' |
    sed -E '/ (jal|beq|bne|blt|bge|bltu|bgeu|c\.j|c\.beqz|c\.bnez)\t/s/([,\t])([0-9a-f]+)( <.*)?$/\10x\2/' |
    sed -E 's/ +<[^>]*>//; s/[ \t]+#.*//; s/[ \t]+$//; s/\.4byte\t/.word\t/; s/\.2byte\t/.half\t/; s/c\.unimp$/.half\t0x0/' \
    >"$dir/theirs"

if ! diff "$dir/theirs" "$dir/ours" >"$dir/diff"; then
    grep '^[<>]' "$dir/diff" | head -40
    echo "objdump.sh: $(grep -c '^>' "$dir/diff") of $(wc -l <"$dir/ours") words differ (seed $seed)" >&2
    exit 1
fi
echo "objdump.sh: $(wc -l <"$dir/ours") words agree (seed $seed)"
