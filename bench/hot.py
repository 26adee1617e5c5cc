#!/usr/bin/env python3
"""The blocks in which a kernel's time goes: `make bench-hot KERNEL=NAME`; see bench/README.md.

    [COUNT=8] [DBT="./dbt-run --opt none"] bench/hot.py KERNEL

Boots the guest with a dump of all blocks, samples dbt-run with perf while the kernel runs, and
prints the blocks with most samples: guest instructions, below each the host code made of it, with
its share of all samples.
"""
import collections
import os
import signal
import subprocess
import sys
import time

from lib import blocks as dump
from lib.guest import Guest
from lib.kernels import COMPILERS, RESULTS, TOP, chosen, die, prepare, program
from lib.measure import note

OUT = RESULTS / "bench-hot"


def sample(guest, kernel):
    """[(address, symbol)] of the kernel's run."""
    data = OUT / "perf.data"
    # Interpreter and translator are in there as well: their names say what is not guest code.
    perf = subprocess.Popen(["perf", "record", "-q", "-e", "cpu-clock", "-F", "2500", "-o",
                             str(data), "-p", str(guest.pid)], stderr=subprocess.PIPE, text=True)
    time.sleep(0.5)
    if perf.poll() is not None:
        die(f"perf: {perf.stderr.read().strip()} (sysctl kernel.perf_event_paranoid=1 allows it)")
    guest.run(kernel)
    perf.send_signal(signal.SIGINT)
    perf.wait()
    text = subprocess.run(["perf", "script", "-i", str(data), "-F", "ip,sym,dso"], check=True,
                          capture_output=True, text=True).stdout
    return [row_of(line) for line in text.splitlines() if line.strip()]


def row_of(line):
    """perf script's "ADDRESS SYMBOL (FILE)". The code cache is one file without symbols; what
    lies in it and in no block is the stubs that blocks share."""
    address, rest = line.split(None, 1)
    name = "stubs of the code cache" if "dbt-code" in rest else rest.split(" (")[0].strip()
    return int(address, 16), name


def functions(kernel):
    """[(address, name)] of the kernel's program, sorted: it is linked to fixed addresses."""
    nm = COMPILERS["guest"].replace("gcc", "nm")
    text = subprocess.run([nm, "-n", str(program(OUT, "guest", kernel))], check=True,
                          capture_output=True, text=True).stdout
    rows = (line.split() for line in text.splitlines())
    return [(int(row[0], 16), row[2]) for row in rows if len(row) == 3 and row[1] in "tTwW"]


def name_of(symbols, address):
    """FUNCTION+0xOFFSET, "" for the guest's kernel."""
    at = None
    for start, name in symbols:
        if start > address:
            break
        at = (start, name)
    if address >> 40 or not at:
        return ""
    return f" {at[1]}+{address - at[0]:#x}"


def print_block(block, total, symbols):
    share = 100 / total
    print(f"\n{block.total * share:5.1f} %  block {block.gva:x}{name_of(symbols, block.gva)}, "
          f"{len(block.guest)} guest instructions, {block.size} bytes of host code")

    def print_host(at):
        for offset, text, owner in block.host:
            if owner == at:
                n = block.samples.get(offset, 0)
                print(f"{f'{n * share:7.2f}' if n else '':>7}      {offset:04x}  {text}")

    print_host(None)
    for address, text in block.guest:
        print(f"         {address:x}  {text}")
        print_host(address)
    if any(block.samples.get(offset) for offset, _, owner in block.host if owner == dump.APART):
        print("         apart:")
        print_host(dump.APART)


def print_others(others, total):
    """Our own functions, and the host's kernel, by name."""
    names = collections.Counter(others)
    print("\nOutside translated code:")
    for name, n in names.most_common(12):
        print(f"  {100 * n / total:5.1f} %  {name}")


def main():
    if len(sys.argv) != 2 or not sys.argv[1]:
        die("which kernel? make bench-hot KERNEL=NAME")
    kernel = sys.argv[1]
    kernels = chosen(kernel)
    if list(kernels) != [kernel]:
        die(f"'{kernel}' is a group; name one kernel")
    initrd = prepare(OUT, kernels, ("build", "bench", "hot"))
    log = OUT / "blocks.txt"
    dbt = os.environ.get("DBT", str(TOP / "dbt-run"))
    note("booting with a dump of all blocks")
    guest = Guest("dbt", f"{dbt} -d in_asm,out_asm,cache -D {log}", initrd, OUT / "log/dbt.txt")
    guest.run(kernel)
    note("sampling a second run, for which no code must be made")
    samples = sample(guest, kernel)
    guest.power_off()
    guest.close()
    if not samples:
        die("perf gave no samples")
    names = dict(samples)
    hot, others = dump.attribute(dump.read(log), [address for address, _ in samples])
    hot.sort(key=lambda block: -block.total)
    inside = sum(block.total for block in hot)
    symbols = functions(kernel)
    print(f"{kernel}: {len(samples)} samples, {100 * inside / len(samples):.1f} % in "
          f"{len(hot)} blocks. Shares are of all samples.")
    for block in hot[:int(os.environ.get("COUNT", 8))]:
        print_block(block, len(samples), symbols)
    print_others([names[address] for address in others], len(samples))


if __name__ == "__main__":
    main()
