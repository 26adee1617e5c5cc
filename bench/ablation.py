#!/usr/bin/env python3
"""What each pass and switch is worth: `make bench-ablation`; see bench/README.md.

    [RUNS=3] [PASSES=1] [KERNELS=compute] [DBT=./dbt-run] [WITHOUT="fold cse"] bench/ablation.py

Every kernel runs in dbt as it is and in one dbt for each thing switched off, all interleaved.
WITHOUT chooses among the switches; PASSES is how often a kernel runs in each of RUNS boots. The
table says how many times longer a kernel takes without.
"""
import os
import re

from lib import about, stats, table
from lib.guest import Guest
from lib.kernels import RESULTS, TOP, chosen, die, prepare
from lib.measure import rounds

OUT = RESULTS / "bench-ablation"
PASSES = TOP / "dbt" / "opt" / "opt_pass.def"

# What has no pass of its own: a name for the table, and dbt-run's option.
SWITCHES = {
    "passes": "--opt none",
    "links": "--stress links --tier auto",
    "first": "--tier 1",
    "windows": "--window off",
}


def variants(words):
    """{what is off: options}, all or those that were asked for."""
    passes = re.findall(r"^OPT_PASS\(\s*(\w+)", PASSES.read_text(encoding="utf-8"), re.MULTILINE)
    known = {**{name: f"--opt=-{name}" for name in passes}, **SWITCHES}
    for word in words.split():
        if word not in known:
            die(f"no switch '{word}'; there are: {' '.join(known)}")
    return {name: option for name, option in known.items() if name in (words.split() or known)}


def main():
    n_runs = int(os.environ.get("RUNS", 3))
    n_passes = int(os.environ.get("PASSES", 1))
    kernels = chosen(os.environ.get("KERNELS", ""), ("compute",))
    dbt = os.environ.get("DBT", str(TOP / "dbt-run"))
    commands = {"all": dbt, **{f"-{name}": f"{dbt} {option}" for name, option in
                               variants(os.environ.get("WITHOUT", "")).items()}}
    initrd = prepare(OUT, kernels)
    pairs = [(name, "all") for name in commands if name != "all"]

    def open_sides(_):
        return [Guest(name, command, initrd, OUT / "log" / f"{name}.txt")
                for name, command in commands.items()]

    result = {"about": {**about.describe(commands, n_runs), "passes": n_passes}}

    def write(samples):
        result.update(stats.evaluate(samples, kernels, pairs))
        about.write_json(RESULTS / "bench-ablation.json", result)

    rounds(kernels, n_runs, open_sides, write, n_passes)
    print("\nTime without a pass or switch, as a multiple of the time with all:")
    table.print_ratios(result, [f"{a}/{b}" for a, b in pairs], [a for a, _ in pairs])
    print("\nout/bench-ablation.json has all values, with their extremes.")


if __name__ == "__main__":
    main()
