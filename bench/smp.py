#!/usr/bin/env python3
"""Several harts, dbt's and QEMU's: `make bench-smp`; bench/README.md says how to read it.

    [RUNS=5] [KERNELS="compute forks faults"] [DBT=./dbt-run] [QEMU=...] [LIMIT=600] [BOOT=0] bench/smp.py

Throughput by the guest's clock: two harts on two processors against one, eight against two, both
with eight processes and with a process for each hart.
"""
import os
import subprocess

from lib import about, table
from lib.guest import Guest, boot_cpu
from lib.kernels import COMPILERS, RESULTS, TOP, die
from lib.measure import note
from lib.stats import ratio, summary

OUT = RESULTS / "bench-smp"
QEMU = "qemu-system-riscv64 -M virt -nographic -bios default -m 1G"
KINDS = ("compute", "forks", "faults")
MS = 1500  # a measurement's length
BOOTS = 3  # in each round: they are short, and differ more
HOST_MS = 300
# What is measured: a name, harts, processes.
SIDES = (("1", 1, 1), ("2", 2, 2), ("2x8", 2, 8), ("8", 8, 8))
HARTS = sorted({harts for _, harts, _ in SIDES})
PAIRS = (("2", "1"), ("8", "2x8"), ("8", "2"))


def make_work(side, name):
    command = [COMPILERS[side], "-std=gnu17", "-O2", "-Wall", "-Wextra", "-Werror", "-static",
               str(TOP / "bench/smp/work.c"), "-o", str(OUT / name)]
    if subprocess.run(command, check=False).returncode != 0:
        die("work.c does not build")


def make_initrd():
    os.makedirs(OUT / "log", exist_ok=True)
    make_work("native", "native")
    make_work("guest", "work")
    subprocess.run([str(TOP / "scripts/make-initramfs.sh"), str(OUT / "initrd"), str(TOP / "bench/smp/init"),
                    str(OUT / "work")], check=True)
    return OUT / "initrd"


def throughput(guest, kind, processes):
    """Units a second, all processes together, from when the emulator idles."""
    guest.settle()
    guest.process.stdin.write(f"{kind} {processes} {MS}\n".encode())
    guest.process.stdin.flush()
    before, match = guest.wait_for(rf"bench: status (\d+) of {kind}\n")
    if match[1] != "0" or "work: " not in before:
        die(f"{kind} under {guest.name} ended with status {match[1]}; see {guest.log.name}")
    return units_of(before)


def units_of(text):
    return float(text.split("work: ")[1].split()[0])


def host_scale():
    """How many times as much two native processes do now as one: less than 2 where somebody else has a part of
    the processors, which costs what runs on both."""
    one, two = (units_of(subprocess.run([str(OUT / "native"), "compute", str(n), str(HOST_MS)], check=True,
                                        stdout=subprocess.PIPE, text=True).stdout) for n in (1, 2))
    return two / one


def one_round(commands, initrd, kinds, number, samples):
    """Boots all machines, and runs each kind on all of them in turn."""
    guests = {(name, harts): Guest(f"{name}-{harts}", f"{command} -smp {harts}", initrd,
                                   OUT / "log" / f"{name}-{harts}.txt")
              for name, command in commands.items() for harts in HARTS}
    try:
        for kind in kinds:
            # Else what is measured first on a machine pays for the code that all runs of this kind share.
            for (_, harts), guest in guests.items():
                throughput(guest, kind, harts)
            order = [(name, *side) for name in commands for side in SIDES]
            for name, side, harts, processes in order[::-1] if number % 2 == 1 else order:
                value = throughput(guests[name, harts], kind, processes)
                samples[kind][name].setdefault(side, []).append(value)
                note(f"round {number + 1}: {kind:<8}{name:<5}{harts} harts, {processes} processes {value:10.1f} units/s")
    finally:
        for guest in guests.values():
            guest.close()


def boots(commands, n_runs):
    """CPU seconds of a boot to power-off with one hart and with two, and what the host was worth meanwhile."""
    costs = {name: {1: [], 2: []} for name in commands}
    host = []
    for number in range(BOOTS * n_runs):
        host.append(host_scale())
        note(f"boot {number + 1}: two native processes do {host[-1]:.2f} times as much as one")
        for name, command in commands.items():
            for harts in (1, 2):
                cost = boot_cpu(name, f"{command} -smp {harts}", OUT / "log" / f"boot-{name}-{harts}.txt")
                costs[name][harts].append(cost)
                note(f"boot {number + 1}: {name:<5}{harts} harts {cost:8.3f} s")
    return {"host": summary(host),
            "boot": {name: {"1": summary(by[1]), "2": summary(by[2]), "2/1": ratio(by, 2, 1)}
                     for name, by in costs.items()}}


def print_tables(result):
    print("\nThroughput, units of work a second on the guest's clock, medians; ratios with their extremes:")
    print(f"  {'':<9}{'':<6}" + "".join(f"{name + ' h':>11}" for name, _, _ in SIDES)
          + "  " + "".join(f"{f'{a} h / {b} h':>12}{'':<13}" for a, b in PAIRS))
    for kind, sides in result["kinds"].items():
        for name, r in sides.items():
            print(f"  {kind:<9}{name:<6}" + "".join(f"{r[side]['median']:11.1f}" for side, _, _ in SIDES),
                  *(table.with_spread(r[f"{a}/{b}"]) for a, b in PAIRS))
    if "host" in result:
        print("  meanwhile two native processes did", table.with_spread(result["host"]), "times as much as one")
    for name, r in result.get("boot", {}).items():
        print(f"  boot to power-off, CPU: {name:<5} 1 hart {r['1']['median']:.3f} s, 2 harts {r['2']['median']:.3f} s,",
              table.with_spread(r["2/1"]), f"the least of each {r['2']['min'] / r['1']['min']:.2f}")


def main():
    n_runs = int(os.environ.get("RUNS", 5))
    kinds = os.environ.get("KERNELS", "").split() or list(KINDS)
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        die(f"no work '{unknown[0]}'; there is: {' '.join(KINDS)}")
    commands = {"dbt": os.environ.get("DBT", str(TOP / "dbt-run")), "qemu": os.environ.get("QEMU", QEMU)}
    subprocess.run([str(TOP / "scripts/deps.sh"), "build", "bench"], check=True)
    subprocess.run([str(TOP / "scripts/fetch-guest.sh")], check=True)
    initrd = make_initrd()
    samples = {kind: {name: {} for name in commands} for kind in kinds}
    result = {"about": about.describe(commands, n_runs)}
    if os.environ.get("BOOT", "1") != "0":
        result.update(boots(commands, n_runs))
    for number in range(n_runs):
        one_round(commands, initrd, kinds, number, samples)
    result["kinds"] = {
        kind: {name: {**{side: summary(values) for side, values in by.items()},
                      **{f"{a}/{b}": ratio(by, a, b) for a, b in PAIRS}}
               for name, by in sides.items()}
        for kind, sides in samples.items()}
    print_tables(result)
    about.write_json(RESULTS / "bench-smp.json", result)


if __name__ == "__main__":
    main()
