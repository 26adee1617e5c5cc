#!/usr/bin/env python3
"""dbt against QEMU and against native code: `make bench`; bench/README.md says how to read it.

    [RUNS=5] [KERNELS="fib float"] [DBT=./dbt-run] [QEMU=...] [LIMIT=600] bench/run.py

KERNELS: names, or groups: integer, float, compute, system. DBT and QEMU are commands with their
options. LIMIT: seconds after which a boot or a kernel has hung. BOOT=0 leaves the boots out.
"""
import os

from lib import about, plot, table
from lib.guest import Guest, Native, boot_cost
from lib.kernels import RESULTS, TOP, chosen, prepare
from lib.measure import note, rounds
from lib.stats import evaluate, summary

OUT = RESULTS / "bench"
QEMU = "qemu-system-riscv64 -M virt -nographic -bios default -m 1G"
PAIRS = [("dbt", "native"), ("qemu", "native"), ("dbt", "qemu")]


def boots(commands, n_runs):
    """{side: {cpu, rss, pss: summary}}"""
    samples = {name: [] for name in commands}
    for number in range(n_runs):
        for name, command in commands.items():
            cost = boot_cost(name, command, OUT / "log" / f"boot-{name}.txt")
            note(f"boot {number + 1} of {n_runs}: {name:<5}{cost['cpu']:8.3f} s")
            samples[name].append(cost)
    return {name: {key: summary([c[key] for c in costs]) for key in costs[0]}
            for name, costs in samples.items()}


def main():
    n_runs = int(os.environ.get("RUNS", 5))
    kernels = chosen(os.environ.get("KERNELS", ""))
    commands = {"dbt": os.environ.get("DBT", str(TOP / "dbt-run")),
                "qemu": os.environ.get("QEMU", QEMU)}
    initrd = prepare(OUT, kernels)
    result = {"about": about.describe(commands, n_runs)}
    if os.environ.get("BOOT", "1") != "0":
        result["boot"] = boots(commands, n_runs)

    def open_sides(_):
        guests = [Guest(name, command, initrd, OUT / "log" / f"{name}.txt")
                  for name, command in commands.items()]
        return [Native(OUT), *guests]

    def write(samples):
        result.update(evaluate(samples, kernels, PAIRS))
        about.write_json(RESULTS / "bench.json", result)

    rounds(kernels, n_runs, open_sides, write)
    pairs = [f"{a}/{b}" for a, b in PAIRS]
    if "boot" in result:
        table.print_boot(result["boot"])
    table.print_kernels(result, ["native", "dbt", "qemu"], pairs)
    (RESULTS / "bench.svg").write_text(
        plot.draw(result, pairs[:2], "CPU time, as a multiple of native code's"),
        encoding="utf-8")
    print("\nout/bench.json has all values, out/bench.svg is the picture.")


if __name__ == "__main__":
    main()
