#!/usr/bin/env python3
"""This tree's dbt-run against another commit's: `make bench-compare BASE=COMMIT`.

    [RUNS=5] [KERNELS=...] [OPTIONS="--opt none"] bench/compare.py COMMIT

COMMIT is built in a git worktree under out/bench-base. OPTIONS go to both. See bench/README.md.
"""
import os
import subprocess
import sys

from lib import about, stats, table
from lib.guest import Guest
from lib.kernels import RESULTS, TOP, chosen, die, prepare
from lib.measure import note, rounds

OUT = RESULTS / "bench-compare"
PAIR = ("here", "base")


def git(*words):
    done = subprocess.run(["git", "-C", str(TOP), *words], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        die(f"git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout.strip()


def build_base(commit):
    """The path of its dbt-run; a second call with the same commit builds nothing."""
    tree = RESULTS / "bench-base" / commit[:12]
    if not (tree / "Makefile").exists():
        git("worktree", "prune")
        git("worktree", "add", "--detach", "--force", str(tree), commit)
    note(f"building {commit[:12]} in {tree}")
    # Not this make's flags and variables: it is another tree.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(["make", "-j2", "-s", "dbt-run"], cwd=tree, env=environment,
                          stdout=sys.stderr, check=False)
    if done.returncode != 0:
        die(f"{commit[:12]} does not build")
    return str(tree / "dbt-run")


def apart(kernel):
    """Whether the times lie outside each other's spread, and then which way."""
    here, base = (kernel["times"][side] for side in PAIR)
    if here["max"] < base["min"]:
        return "faster"
    if here["min"] > base["max"]:
        return "slower"
    return ""


def print_result(result, base):
    pair = "/".join(PAIR)
    for kernel in result["kernels"].values():
        kernel["verdict"] = apart(kernel)
    print(f"\nCPU seconds here and at {base}, the ratio with its extremes; 'faster' and 'slower'"
          "\nstand where the times of all rounds lie apart:")
    print(f"  {'':<12}{'base':>9}{'here':>9}{pair:>13}")
    for name, kernel in result["kernels"].items():
        times = (kernel["times"][side]["median"] for side in ("base", "here"))
        print(f"  {name:<12}" + "".join(f"{t:9.3f}" for t in times)
              + table.with_spread(kernel["ratios"][pair], 3) + f"    {kernel['verdict']}")
    for mean, values in result["geomeans"].items():
        print(f"  geomean {mean:<10}{'':12}{values[pair]:8.3f}")
    for verdict in ("faster", "slower"):
        names = [n for n, k in result["kernels"].items() if k["verdict"] == verdict]
        print(f"{verdict}: {' '.join(names) or 'none'}")


def main():
    if len(sys.argv) != 2 or not sys.argv[1]:
        die("which commit? make bench-compare BASE=COMMIT")
    base = git("rev-parse", "--verify", f"{sys.argv[1]}^{{commit}}")
    n_runs = int(os.environ.get("RUNS", 5))
    options = os.environ.get("OPTIONS", "")
    kernels = chosen(os.environ.get("KERNELS", ""))
    initrd = prepare(OUT, kernels)
    commands = {"base": f"{build_base(base)} {options}", "here": f"{TOP / 'dbt-run'} {options}"}

    def open_sides(_):
        return [Guest(name, command, initrd, OUT / "log" / f"{name}.txt")
                for name, command in commands.items()]

    result = {"about": {**about.describe(commands, n_runs), "base": base}}

    def write(samples):
        result.update(stats.evaluate(samples, kernels, [PAIR]))

    rounds(kernels, n_runs, open_sides, write)
    print_result(result, base[:12])
    about.write_json(RESULTS / "bench-compare.json", result)
    print("out/bench-compare.json has all values.")


if __name__ == "__main__":
    main()
