#!/usr/bin/env python3
"""Builds C programs in a loop in Debian, and looks whether windows (docs/windows.md) leave anything behind.

    tests/guest/churn.py [--minutes N] [--dbt PATH] [--image FILE] [-smp N] [OPTION...]

The image is made by scripts/debian-image.sh when it is not there, with a compiler in it; what the guest
writes is thrown away. Every ten seconds the machine is stopped for a moment, so that what the host says of the
process and what it says of itself are of one moment:

    address space   But for what each window that there is reserves, it stays within SPACE_SLACK: a window whose
                    addresses were not given back is 256 GiB, one whose list of pages was not, 256 MiB. Threads and
                    malloc's arenas are some tens of MiB each.
    mappings        But for the pieces of RAM's two views, which come and go with code pages, and for those that dbt counts of
                    its windows, there are always as many, within MAPPINGS_SLACK and what lies side by side by chance.
    windows, their mappings by dbt's own count and by the host's, memory of the process's own, its page tables, files
                    What they are at most in the second half of the time is not well above what they are in the first:
                    see HALVES.

When the build has ended, and the windows with it, what is left is as before it. Every figure of every sample is in
out/test/churn.csv. The last line is "N passed, N failed".
"""

import argparse
import csv
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

from boot import ROOT, Terminal, Wrong
from debian import Guest

PACKAGES = "gcc libc6-dev make"
MIB = 1 << 20
EVERY = 10  # seconds
# softmmu/windows.c: 2^38 bytes and guards of 3 MiB, a list of 4 bytes a page, and one of 8 for each of RAM's.
RAM_BYTES = 1 << 30
WINDOW_BYTES = (1 << 38) + (3 << 20) + (1 << 28) + RAM_BYTES // 512
SPACE_SLACK = 512 * MIB
MAPPINGS_SLACK = 64
OF_A_WINDOW = 4  # mappings that it reserves; the host joins them with their neighbours'
IDLE = 90  # seconds: unused windows go one by one, after 10
# By how much the second half's maximum may be above the first's: a factor, and what is added. Windows and their
# mappings go up and down with what is compiled at the moment, up to limits that an hour comes to many times in each
# half; a leak of one piece for each window would add thousands, hundreds of windows an hour being the least.
# Memory of the process's own is tables and translated blocks, which have grown to what they will be when the code cache
# has been full once, and so it is small; what a window needs is some 10 to 100 KiB.
HALVES = {"windows": (1.5, 8), "window_mappings": (1.5, 1000), "others": (1.5, 1000),
          "anon_kib": (1.05, 4096), "page_tables_kib": (1.25, 1024), "files": (1, 4)}
CACHE = "128M"
LEAST_WINDOWS = 8  # a minute: else there was no churn


class Monitor:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(path)
        self.answer()

    def answer(self):
        text = b""
        while not text.endswith(b"(dbt) "):
            more = self.socket.recv(65536)
            if not more:
                raise Wrong("the monitor has closed its socket")
            text += more
        return text[:-6].decode()

    def say(self, command):
        self.socket.sendall(f"{command}\n".encode())
        return self.answer()


def mappings(pid):
    """How many there are, and how many of them are not pieces of RAM's two views."""
    total, n_of = 0, {}
    bytes_of = {}
    with open(f"/proc/{pid}/maps", encoding="utf-8") as f:
        for line in f:
            total += 1
            if "memfd:guest-ram" not in line:
                continue
            first, end, offset = (int(n, 16) for n in re.match(r"(\w+)-(\w+) \S+ (\w+)", line).groups())
            base = first - offset
            n_of[base] = n_of.get(base, 0) + 1
            bytes_of[base] = bytes_of.get(base, 0) + end - first
    views = [base for base, n in bytes_of.items() if n == max(bytes_of.values())]
    return total, total - sum(n_of[base] for base in views)


def sample(pid, monitor, start):
    monitor.say("stop")
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        status = dict(re.findall(r"^(\w+):\s+(\d+)", f.read(), re.MULTILINE))
    total, others = mappings(pid)
    files = len(os.listdir(f"/proc/{pid}/fd"))
    said = monitor.say("info jit")
    monitor.say("cont")

    def stat(words):
        return int(re.search(rf"^ *(\d+)  {words}", said, re.MULTILINE)[1])

    windows = stat("windows that there are now")
    return {"seconds": round(time.monotonic() - start), "windows": windows,
            "given": stat("windows given to address spaces"), "taken": stat("windows taken away"),
            "window_mappings": stat("host mappings that they take"), "mappings": total, "others": others,
            "mappings_left": others - stat("host mappings that they take"), "blocks": stat("blocks translated"),
            "space_mib": int(status["VmSize"]) // 1024, "space_left_mib": int(status["VmSize"]) // 1024 - windows * WINDOW_BYTES // MIB,
            "anon_kib": int(status["RssAnon"]), "shared_kib": int(status["RssShmem"]),
            "page_tables_kib": int(status["VmPTE"]), "files": files, "threads": int(status["Threads"])}


class Count:
    passed = failed = 0

    def check(self, what, good, figures):
        self.passed += bool(good)
        self.failed += not good
        print(f"{'ok    ' if good else 'FAILED'} {what}: {figures}", flush=True)


def judge(count, before, samples, after, minutes):
    half = samples[-1]["seconds"] / 2
    first = [s for s in samples if s["seconds"] <= half]
    second = [s for s in samples if s["seconds"] > half]
    given = [part[-1]["given"] - part[0]["given"] for part in (first, second)]
    count.check("both halves had windows", min(given) >= LEAST_WINDOWS * minutes / 2, f"{given} were given")
    everything = [before, *samples, after]
    least = min(s["space_left_mib"] for s in everything)
    most = max(s["space_left_mib"] for s in everything)
    count.check("address space but for the windows that there are", most - least <= SPACE_SLACK // MIB,
                f"{least} to {most} MiB")
    left = [s["mappings_left"] for s in everything]
    count.check("mappings but for those that windows count", max(left) - min(left) <=
                MAPPINGS_SLACK + OF_A_WINDOW * max(s["windows"] for s in everything), f"{min(left)} to {max(left)}")
    for name, (factor, more) in HALVES.items():
        a, b = (max(s[name] for s in part) for part in (first, second))
        count.check(f"{name}, at most, by halves", b <= a * factor + more, f"{a}, {b}")
    for name, more in (("windows", 2), ("files", 0)):
        count.check(f"{name} before and after the build", after[name] <= before[name] + more,
                    f"{before[name]}, {after[name]}")


def run(args, more, folder):
    term = Terminal([args.dbt, args.image, "-snapshot", "-m", f"{RAM_BYTES >> 20}M", "-smp", args.smp, "--cache-size", CACHE, "--share", f"{folder}/share,ro",
                     "--monitor", f"unix:{folder}/monitor", *more])
    try:
        guest = Guest(term, args.image, folder, args.smp)
        guest.login()
        guest.running()
        guest.expect("mount -t virtiofs share /mnt && ls /mnt/churn/build.sh", "/mnt/churn/build.sh")
        monitor = Monitor(f"{folder}/monitor")
        time.sleep(EVERY)
        start = time.monotonic()
        before = sample(term.process.pid, monitor, start)
        columns = csv.DictWriter(open(args.csv, "w", encoding="utf-8", buffering=1), list(before))
        columns.writeheader()
        columns.writerow(before)
        term.send("/mnt/churn/build.sh /mnt/kernels\r")
        samples, rounds = [], 0
        start = time.monotonic()
        while time.monotonic() < start + 60 * args.minutes:
            end = time.monotonic() + EVERY
            while (left := end - time.monotonic()) > 0:
                term.read(left)
            if term.process.poll() is not None:
                raise Wrong(f"dbt-run ended with status {term.process.returncode}")
            if len(term.text) > 1 << 20 or "not remade" in term.text or "Error" in term.text:
                raise Wrong(f"the build fails: {term.text[-2000:]}")
            samples.append(sample(term.process.pid, monitor, start))
            columns.writerow(samples[-1])
            if len(samples) % 6 == 1:
                rounds = len(re.findall(r"^round \d+", term.text, re.MULTILINE))
                print(f"      {rounds} rounds;", ", ".join(f"{k} {v}" for k, v in samples[-1].items()), flush=True)
        term.send("\x03")
        term.wait_for("ready for more> ", 120)
        end = time.monotonic() + IDLE
        while time.monotonic() < end:
            guest.run("sleep 3", 60)
        after = sample(term.process.pid, monitor, start)
        columns.writerow(after)
        return before, samples, after
    finally:
        term.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--dbt", default=os.environ.get("DBT", os.path.join(ROOT, "dbt-run")))
    parser.add_argument("--image")
    parser.add_argument("--csv", default=os.path.join(ROOT, "out", "test", "churn.csv"))
    parser.add_argument("-smp", default="2")
    args, more = parser.parse_known_args()
    script = os.path.join(ROOT, "scripts", "debian-image.sh")
    if not args.image:
        plain = subprocess.check_output([script, "--print"], text=True).strip()
        args.image = os.path.join(os.path.dirname(plain), "debian-gcc.img")
        subprocess.run([script], env={**os.environ, "IMAGE": args.image, "PACKAGES": PACKAGES, "SIZE": "3G"}, check=True)
    os.makedirs(os.path.dirname(args.csv), exist_ok=True)
    count = Count()
    with tempfile.TemporaryDirectory(prefix="dbt-churn.", dir=os.environ.get("TMPDIR", "/var/tmp")) as folder:
        os.mkdir(f"{folder}/share")
        for name, path in (("churn", "tests/guest/churn"), ("kernels", "bench/kernels")):
            subprocess.run(["cp", "-r", os.path.join(ROOT, path), f"{folder}/share/{name}"], check=True)
        try:
            judge(count, *run(args, more, folder), args.minutes)
        except (Wrong, OSError) as e:
            count.check("the build", False, e)
    print(f"{count.passed} passed, {count.failed} failed")
    sys.exit(count.failed > 0)


if __name__ == "__main__":
    main()
