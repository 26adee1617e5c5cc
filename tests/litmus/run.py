#!/usr/bin/env python3
"""Builds the litmus programs and runs them: tests/litmus/README.md.

    tests/litmus/run.py [--on dbt|qemu] [--harts 2,4] [--modes builtin,opensbi,machine]
                        [--rounds N] [--tests LIST] [--only LIST] [--strict] [--planted]
                        [--limit SECONDS] [-v] [OPTION...]

Further options are the emulator's. --planted: the builds with planted faults, each of which must be
noticed in one of some tries. The last line is "N passed, N failed".
"""
import argparse
import itertools
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

import model

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
HERE = TOP / "tests" / "litmus"
OUT = pathlib.Path(os.environ.get("OUT", TOP / "out")).resolve() / "litmus"
PREFIX = os.environ.get("RISCV_PREFIX", "riscv64-linux-gnu-")
CFLAGS = ("-std=gnu17 -O2 -g -Wall -Wextra -Werror -march=rv64gc -mabi=lp64 -mcmodel=medany -mno-relax -ffreestanding "
          "-fno-builtin -nostdlib -static -fno-pic -no-pie -fno-stack-protector").split()
SOURCES = "guest rows lrsc words paging code wake hsm timer".split()
LINE = re.compile(r"^(ok|FAIL|blind|skip) +(\S+)(.*)$")
# How often a planted build is run, each time with what went unnoticed only, and up to a limit with twice
# the rounds: while a busy host has both harts on one processor, more rounds show nothing, another time does.
TRIES, ROUNDS_DOUBLED = 16, 6
# start.S: a hart began where the boot hart had. OpenSBI 1.1 says START_PENDING before it stores where the
# hart is to start; if that one looks in between, it goes where scratch memory still points to. The slower
# the caller, the more often: up to one run in six under --stress=cache.
STARTED_TOO_EARLY, EARLY_TRIES = 3, 8
ONLY_MAX = 12   # names: the guest's command line is short


def build(plant, machine):
    """The program's path: a flat image for S mode, an ELF for M mode."""
    out = OUT / f"{'machine' if machine else 'supervisor'}{f'-{plant}' if plant else ''}"
    subprocess.run([sys.executable, str(HERE / "generate.py"), str(out),
                    *(["--plant", plant] if plant else [])], check=True)
    elf = out / "litmus"
    subprocess.run(
        [f"{PREFIX}gcc", *CFLAGS, f"-I{TOP}", f"-I{out}", *(["-DPLANTED"] if plant else []),
         *(["-DMACHINE"] if machine else []),
         f"-Wl,-T,{HERE}/link.ld,--defsym,IMAGE_BASE={'0x80000000' if machine else '0x80200000'}",
         "-Wl,--build-id=none,--no-warn-rwx-segments", "-o", str(elf), str(HERE / "start.S"),
         str(out / "rows.S"), *(str(HERE / f"{name}.c") for name in SOURCES),
         str(HERE / f"firmware_{'m' if machine else 's'}.c")], check=True)
    if machine:
        return elf
    flat = out / "litmus.bin"
    subprocess.run([f"{PREFIX}objcopy", "-O", "binary", str(elf), str(flat)], check=True)
    return flat


def command(args, mode, harts, image, append):
    """How the emulator is called."""
    if args.on == "qemu":
        bios = "none" if mode == "machine" else "default"
        start = ["qemu-system-riscv64", "-M", "virt", "-nographic", "-bios", bios]
    else:
        firmware = "none" if mode == "machine" else mode
        start = [args.dbt, "--firmware", firmware, "-serial", "stdio"]
        if args.strict:
            start.append("--lrsc=strict")
    return [*start, "-m", "128M", "-smp", str(harts), *args.more, "-kernel", str(image),
            "-append", append]


def spread(process, stop):
    """Pins the busy threads to processors in turn. A thread that another wakes is put beside it,
    and two on one processor never meet, so that most tests would see nothing."""
    cpus = sorted(os.sched_getaffinity(0))
    pinned = {}
    while not stop.wait(0.01):
        try:
            tasks = os.listdir(f"/proc/{process.pid}/task")
            for tid in sorted(map(int, tasks)):
                with open(f"/proc/{process.pid}/task/{tid}/stat", encoding="ascii",
                          errors="replace") as f:
                    ticks = int(f.read().rpartition(")")[2].split()[11])
                if tid not in pinned and ticks >= 2:
                    pinned[tid] = cpus[len(pinned) % len(cpus)]
                    os.sched_setaffinity(tid, {pinned[tid]})
        except (OSError, ValueError):
            continue


class Run:
    """One run of one image: what it said, and how it ended."""

    def __init__(self, args, words, log):
        self.text, self.status = "", None
        stop = threading.Event()
        with open(log, "wb") as out:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
            thread = threading.Thread(target=spread, args=(process, stop), daemon=True)
            thread.start()
            try:
                self.status = process.wait(args.limit)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                self.status = f"none after {args.limit} s"
            stop.set()
            thread.join()
        self.text = log.read_text(errors="replace").replace("\r", "")
        self.verdicts = [LINE.match(line).groups() for line in self.text.splitlines() if LINE.match(line)]
        self.ended = re.search(r"^litmus: \d+ passed", self.text, re.MULTILINE) is not None


def run_again(args, mode, words, log):
    """As Run(), but again after that race of the firmware's."""
    for _ in range(EARLY_TRIES):
        run = Run(args, words, log)
        if mode != "opensbi" or run.status != STARTED_TOO_EARLY or "OpenSBI v1.1\n" not in run.text:
            break
        print("note  OpenSBI 1.1 started a hart before it had said where: once more", flush=True)
    return run


def append_of(args, harts, seed):
    words = [f"rounds={args.rounds}", f"seed={seed}", f"harts={harts}",
             f"seconds={args.seconds}"]
    words += [f"tests={args.tests}"] if args.tests else []
    words += [f"only={args.only}"] if args.only else []
    words += ["lrsc=strict"] if args.strict else []
    return " ".join(words)


def report(run, name, args):
    """Prints what is of interest; gives (passed, failed)."""
    good = sum(v[0] == "ok" for v in run.verdicts)
    bad = [v for v in run.verdicts if v[0] == "FAIL"]
    lost = not run.ended or (run.status != 0 and not bad)
    print(f"{'FAIL' if bad or lost else 'ok  '}  {name}: {good} tests passed, {len(bad)} failed", flush=True)
    for line in run.text.splitlines():
        if line.startswith(("FAIL", "note", "skip")) or "!" in line and line.startswith("      ") and ":0!" not in line:
            print(f"      {line.strip()}")
        elif args.verbose and (LINE.match(line) or re.match(r" {6}[a-z]\S+: ", line)):
            print(f"      {line}")
    if lost:
        print(f"      it did not come to its end, or with status {run.status}; the last it said:")
        for line in run.text.splitlines()[-8:]:
            print(f"      | {line}")
    return good, len(bad) + lost


def relaxed(runs):
    """{row: {outcome: count}} of what interleaving does not explain, over all runs."""
    seen = {}
    for run in runs:
        for line in run.text.splitlines():
            m = re.match(r"^      (\S+?): ", line)
            for code, count, mark in re.findall(r" (\S+?):(\d+)([*~])", line) if m else []:
                if int(count):
                    cell = seen.setdefault(m[1], {})
                    cell[code + mark] = cell.get(code + mark, 0) + int(count)
    return seen


def run_all(args):
    passed, failed, runs = 0, 0, []
    for mode in args.modes:
        image = build(None, mode == "machine")
        for harts in args.harts:
            name = f"{args.on}, {mode}, {harts} harts"
            start = time.monotonic()
            run = run_again(args, mode, command(args, mode, harts, image, append_of(args, harts, args.seed)),
                            OUT / f"{args.on}-{mode}-{harts}.log")
            runs.append(run)
            good, bad = report(run, f"{name} ({time.monotonic() - start:.0f} s)", args)
            passed, failed = passed + good, failed + bad
    seen = relaxed(runs)
    if seen:
        print("      allowed, seen, and no interleaving (* TSO shows it):")
        for row, cells in seen.items():
            print(f"      {row:<20}", " ".join(f"{code} x{count}" for code, count in cells.items()))
    return passed, failed


def wants(name):
    """Three and four threads meet too seldom where there are fewer processors."""
    return len(os.sched_getaffinity(0)) >= 4 or name.split(".")[0] not in ("iriw", "wrc", "rwc", "isa2")


def try_planted(args, images, noticed, known):
    """All builds once; adds the names of those tests that noticed, and of all that could. Gives why
    that was not possible, or None."""
    for harts, mode, plant in itertools.product(args.harts, args.modes, images):
        run = run_again(args, mode, command(args, mode, harts, images[plant][mode], append_of(args, harts, args.seed)),
                        OUT / f"{args.on}-{mode}-{harts}-{plant}.log")
        noticed |= {v[1] for v in run.verdicts if v[0] == "ok"}
        known |= {v[1] for v in run.verdicts if v[0] != "skip" and wants(v[1])}
        if not run.ended:
            return f"{plant}, {mode}, {harts} harts: it did not come to its end, status {run.status}"
    return None


def run_planted(args):
    """Every planted fault must be noticed, by one of both builds, once in some tries."""
    noticed, known = set(), set()
    images = {plant: {mode: build(plant, mode == "machine") for mode in args.modes}
              for plant in ("drop", "swap")}
    rows = {row.name for row in model.read_rows()}
    for turn in range(TRIES):
        trouble = try_planted(args, images, noticed, known)
        if trouble:
            print(f"FAIL  {trouble}")
            return len(noticed), 1
        left = sorted(known - noticed)
        if not left:
            break
        files = {"amo": "words", "torn": "words", "neighbours": "words"}
        args.tests = ",".join({"rows" if n in rows else files.get(n.split(".")[0], n.split(".")[0]) for n in left})
        args.only = ",".join([n for n in left if n in rows and n.count(",") == 0][:ONLY_MAX]
                             or {n.split(".")[0] for n in left if n in rows})
        args.seed, args.rounds = args.seed + 1, args.rounds * (2 if turn < ROUNDS_DOUBLED else 1)
    for name in left:
        print(f"FAIL  {name}: its planted fault went unnoticed in {TRIES} tries")
    return len(noticed & known), len(left)


def numbers(text):
    return [int(n) for n in text.split(",")]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--on", choices=["dbt", "qemu"], default="dbt")
    parser.add_argument("--dbt", default=os.environ.get("DBT", str(TOP / "dbt-run")))
    parser.add_argument("--harts", type=numbers, default=[2, 4])
    parser.add_argument("--modes", type=lambda text: text.split(","), default=["builtin", "opensbi", "machine"])
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=3, help="at most, for a test whose rounds need all harts")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tests", default="")
    parser.add_argument("--only", default="")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--planted", action="store_true")
    parser.add_argument("--limit", type=float, default=600)
    parser.add_argument("-v", "--verbose", action="store_true")
    args, args.more = parser.parse_known_args()
    if args.on == "qemu":
        args.modes = [m for m in args.modes if m != "builtin"]
    OUT.mkdir(parents=True, exist_ok=True)
    passed, failed = run_planted(args) if args.planted else run_all(args)
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
