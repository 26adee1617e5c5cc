#!/usr/bin/env python3
"""kill -9 of dbt-run while its guest writes: what the guest has flushed is in the file.

    tests/guest/disk-kill.py [--dbt PATH] [--kills N] [--seed N]

The guest is disk/flush.S. The last line is "N passed, N failed": one for each kill.
"""
import argparse
import os
import random
import select
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
N_SECTORS = 256


def build(out):
    cross = os.environ.get("RISCV_PREFIX", "riscv64-linux-gnu-")
    subprocess.check_call([
        cross + "gcc", "-nostdlib", "-static", "-fno-pic", "-no-pie", "-march=rv64gc",
        "-mabi=lp64d", "-mcmodel=medany", "-mno-relax", f"-I{ROOT}/tests/guest/bare",
        "-Wl,-N,-Ttext=0x80000000,--build-id=none,--no-warn-rwx-segments", "-o", out,
        f"{ROOT}/tests/guest/disk/flush.S"])


def sector_of(number):
    return (number * 0x9E3779B1 & 0xFFFFFFFF) >> 24


def run_and_kill(dbt, guest, disk, seconds):
    """The last number that the guest said, or 0."""
    process = subprocess.Popen([dbt, "-serial", "stdio", "-m", "16M", "--drive", disk, guest],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    said = b""
    end = None
    try:
        while end is None or time.monotonic() < end:
            left = 60 if end is None else end - time.monotonic()
            if select.select([process.stdout], [], [], max(left, 0))[0]:
                data = os.read(process.stdout.fileno(), 65536)
                if not data:
                    sys.exit(f"disk-kill.py: dbt-run ended by itself, said {said[-200:]!r}")
                said += data
            elif end is None:
                sys.exit("disk-kill.py: the guest says nothing")
            if end is None and b"\n" in said:
                end = time.monotonic() + seconds
    finally:
        process.kill()
        process.wait()
    said += process.stdout.read()
    lines = said.replace(b"\r", b"").split(b"\n")[:-1]
    return int(lines[-1], 16) if lines else 0


def check(disk, flushed):
    """None, or what is wrong."""
    newest = {}
    for number in range(max(1, flushed - 64 * N_SECTORS), flushed + 1):
        newest[sector_of(number)] = number
    with open(disk, "rb") as f:
        data = f.read()
    for sector, number in newest.items():
        words = struct.unpack_from("<64Q", data, 512 * sector)
        if words[0] < number:
            return f"sector {sector} holds write {words[0]}, but {number} was flushed"
        if len(set(words)) != 1:
            return f"sector {sector} is torn: {words[0]} and {words[-1]}"
        if sector_of(words[0]) != sector:
            return f"sector {sector} holds write {words[0]}, which went elsewhere"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dbt", default=os.path.join(ROOT, "dbt-run"))
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    chance = random.Random(args.seed)
    passed = failed = most = 0
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as folder:
        guest, disk = os.path.join(folder, "guest"), os.path.join(folder, "disk")
        build(guest)
        for kill in range(args.kills):
            with open(disk, "wb") as f:
                f.truncate(512 * N_SECTORS)
            flushed = run_and_kill(args.dbt, guest, disk, chance.random() ** 2 * 0.4)
            wrong = check(disk, flushed) if flushed else "nothing was flushed"
            most = max(most, flushed)
            if wrong:
                failed += 1
                print(f"FAILED: kill {kill} of --seed {args.seed}: {wrong}")
            else:
                passed += 1
    print(f"the longest run had flushed {most} writes")
    print(f"{passed} passed, {failed} failed")
    return failed != 0


sys.exit(main())
