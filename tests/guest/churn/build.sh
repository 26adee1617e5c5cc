#!/bin/sh
# In the guest: builds C programs from folder $1 and runs them, again and again. Each round is some hundreds
# of processes: make's shells, the compiler's passes, and the programs, of which some run long enough for a window.
set -u
work=$(mktemp -d) || exit 1
cat >"$work/Makefile" <<'END'
all: $(patsubst %.c,%.ran,$(notdir $(wildcard $(FROM)/integer/*.c)))
%.o: $(FROM)/integer/%.c
	gcc -std=gnu17 -O2 -I$(FROM) -c -o $@ $<
%.exe: %.o
	gcc -pthread -o $@ $< -lm
%.ran: %.exe
	./$< >$@.new && mv $@.new $@
	@for i in 1 2 3 4 5 6 7 8; do expr $$i + 1; done >/dev/null
.SECONDARY:
END
round=0
while :; do
    make -s -k -j2 -C "$work" -f "$work/Makefile" "FROM=$1" all || exit 1
    round=$((round + 1))
    echo "round $round"
    rm -f "$work"/*.o "$work"/*.exe "$work"/*.ran
done
