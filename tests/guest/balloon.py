#!/usr/bin/env python3
"""Debian's kernel gives memory back to the host: what it has freed, and what the balloon takes.

    tests/guest/balloon.py [--dbt PATH] [OPTION...]

The guest has 1 GiB and fills 600 MiB of it. What is measured is the memory file of dbt-run, in which
RAM lies: its size in the host's memory. The last line is "N passed, N failed".
"""
import argparse
import glob
import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MIB = 1 << 20
FILL = 600
LIMIT = 120


class Guest:
    def __init__(self, dbt, folder, options):
        fetched = {what: subprocess.check_output(
            [f"{ROOT}/scripts/fetch-guest.sh", "--print", what], text=True).strip()
            for what in ("KERNEL", "MODULES")}
        modules = [f"{m}:/modules/{os.path.basename(m)}" for m in glob.glob(fetched["MODULES"] + "/*.ko")]
        subprocess.check_call([f"{ROOT}/scripts/make-initramfs.sh", f"{folder}/initrd",
                               f"{ROOT}/tests/guest/balloon/init"] + modules)
        self.said = ""
        self.process = subprocess.Popen(
            [dbt, "-m", "1G", "-serial", "stdio", "--monitor", f"unix:{folder}/monitor", "-kernel",
             fetched["KERNEL"], "-initrd", f"{folder}/initrd", "-append", "console=ttyS0 quiet", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.wait_for("test: ready")
        self.monitor = socket.socket(socket.AF_UNIX)
        self.monitor.connect(f"{folder}/monitor")
        self.answer()

    def wait_for(self, text):
        """What came before it."""
        end = time.monotonic() + LIMIT
        while text not in self.said:
            if not select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))[0]:
                sys.exit(f"balloon.py: the guest does not say '{text}', but {self.said[-300:]!r}")
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                sys.exit(f"balloon.py: dbt-run ended, said {self.said[-300:]!r}")
            self.said += data.decode(errors="replace")
        before, self.said = self.said.split(text, 1)
        return before

    def ok(self, command):
        """Did the guest do it, with success?"""
        self.process.stdin.write(f"{command}\n".encode())
        self.process.stdin.flush()
        self.wait_for("test: status ")
        return self.wait_for("\n").startswith("0 ")

    def answer(self):
        text = ""
        while not text.endswith("(dbt) "):
            self.monitor.settimeout(LIMIT)
            text += self.monitor.recv(65536).decode()
        return text[:-6]

    def say(self, command):
        self.monitor.sendall(f"{command}\n".encode())
        return self.answer()

    def memory(self):
        """MiB that the host has given to guest RAM, and the process's proportional set size."""
        folder = f"/proc/{self.process.pid}/fd/"
        ram = next(folder + fd for fd in os.listdir(folder) if "memfd:guest-ram" in os.readlink(folder + fd))
        with open(f"/proc/{self.process.pid}/smaps_rollup") as f:
            pss = int(re.search(r"Pss: *(\d+) kB", f.read())[1])
        return os.stat(ram).st_blocks * 512 // MIB, pss // 1024

    def memory_below(self, mbytes):
        """How much it is once it is below that, or at the limit."""
        end = time.monotonic() + LIMIT
        while self.memory()[0] > mbytes and time.monotonic() < end:
            time.sleep(0.2)
        return self.memory()


class Count:
    passed = failed = 0

    def check(self, what, good, figures=""):
        self.passed += bool(good)
        self.failed += not good
        print(f"{'ok    ' if good else 'FAILED: '}{what} {figures}")


def reporting(count, dbt, folder, options):
    guest = Guest(dbt, folder, ["--balloon", *options])
    before = guest.memory()
    count.check("the guest fills memory", guest.ok(f"fill {FILL}"))
    filled = guest.memory()
    count.check("the host has given it", filled[0] >= FILL, filled)
    guest.ok("free")
    start = time.monotonic()
    after = guest.memory_below(before[0] + 150)
    count.check("what is freed goes back", after[0] <= before[0] + 150,
                f"MiB of RAM, PSS: {before} booted, {filled} filled, {after} {time.monotonic() - start:.0f} s after")
    count.check("and can be had again", guest.ok(f"fill {FILL}") and guest.ok(f"check {FILL}"))
    guest.ok("free")
    end(count, guest)


def balloon(count, dbt, folder, options):
    guest = Guest(dbt, folder, ["-device", "virtio-balloon-device,free-page-reporting=off", *options])
    guest.ok(f"fill {FILL}")
    guest.ok("free")
    filled = guest.memory()
    count.check("nothing goes back by itself", filled[0] >= FILL, filled)
    count.check("info balloon", "balloon: actual=1024\n" in guest.say("info balloon"))
    guest.say("balloon 300")
    stop = time.monotonic() + LIMIT
    while "actual=300\n" not in guest.say("info balloon") and time.monotonic() < stop:
        time.sleep(0.2)
    count.check("the balloon is blown up", "actual=300\n" in guest.say("info balloon"))
    small = guest.memory_below(380)
    count.check("the host has the rest", small[0] <= 380, f"MiB of RAM, PSS: {filled} filled, {small} with balloon 300")
    count.check("the guest has less", guest.ok("total 300"))
    time.sleep(0.5)
    said = guest.say("info balloon")
    total = re.search(r"total_mem +(\d+)", said)
    count.check("the guest says what it has", total and int(total[1]) < 1024 * MIB, said)
    guest.say("balloon 4000")
    while "actual=1024\n" not in guest.say("info balloon") and time.monotonic() < stop + LIMIT:
        time.sleep(0.2)
    count.check("and let out", "actual=1024\n" in guest.say("info balloon"))
    count.check("all can be used again", guest.ok(f"fill {FILL}") and guest.ok(f"check {FILL}"))
    count.check("what is no size", "how much memory" in guest.say("balloon lots"))
    end(count, guest)


def end(count, guest):
    guest.process.stdin.write(b"off\n")
    guest.process.stdin.close()
    try:
        status = guest.process.wait(LIMIT)
    except subprocess.TimeoutExpired:
        guest.process.kill()
        status = "none"
    count.check("it ends", status == 0, status)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dbt", default=os.environ.get("DBT", os.path.join(ROOT, "dbt-run")))
    args, options = parser.parse_known_args()
    count = Count()
    for case in (reporting, balloon):
        with tempfile.TemporaryDirectory() as folder:
            case(count, args.dbt, folder, options)
    print(f"{count.passed} passed, {count.failed} failed")
    return count.failed != 0


sys.exit(main())
