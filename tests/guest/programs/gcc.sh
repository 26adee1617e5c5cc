# C programs compiled in four ways, and what they print; the kernels of bench/ among them.
# Their folder is $KERNELS.
set -eu
here=$(dirname "$0")
dir=$(mktemp -d)
for options in -O0 -O2 '-O3 -flto -funroll-loops' '-Os -fPIE -pie'; do
    # shellcheck disable=SC2086 # a list of words
    gcc $options -Wall -ffp-contract=off "$here/sort.c" -o "$dir/sort" -lm
    echo "sort $options: $("$dir/sort")"
done
more=
# What a compiler of Debian's does not use unless it is told to: the machine has it.
[ "$(uname -m)" != riscv64 ] || more=-march=rv64gc_zba_zbb_zbs_zicond
for file in "$KERNELS"/integer/*.c "$KERNELS"/float/*.c; do
    for options in -O2 "-O2 $more"; do
        # shellcheck disable=SC2086 # a list of words
        gcc -std=gnu17 $options -ffp-contract=off -fno-math-errno -pthread -I"$KERNELS" "$file" \
            -o "$dir/kernel" -lm
        "$dir/kernel"
    done
done
# A library of two files, and a program that finds it at run time.
cat >"$dir/add.c" <<'END'
int add(int a, int b) { return a + b; }
END
cat >"$dir/main.c" <<'END'
#include <stdio.h>
int add(int a, int b);
int main(void) { return printf("%d\n", add(40, 2)) != 3; }
END
gcc -shared -fPIC -o "$dir/libadd.so" "$dir/add.c"
gcc -o "$dir/main" "$dir/main.c" -L"$dir" -ladd
LD_LIBRARY_PATH=$dir "$dir/main"
gcc -c -o "$dir/add.o" "$dir/add.c"
ar rc "$dir/libadd.a" "$dir/add.o"
gcc -static -o "$dir/main" "$dir/main.c" "$dir/libadd.a"
"$dir/main"
rm -rf "$dir"
