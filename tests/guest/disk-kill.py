#!/usr/bin/env python3
"""kill -9 of dbt-run while its guest writes: what the guest has flushed is in the file.

    tests/guest/disk-kill.py [--dbt PATH] [--kills N] [--seed N] [--file-system] [--format F]

The guest is disk/flush.S, which writes blocks; with --file-system it is Debian's kernel with
disk/init-kill, which writes files: then the file system must recover, too. --format: the disk is an
image of that format, which must be sound afterwards, and no qemu-nbd may be left. The last line is
"N passed, N failed", one for each kill.
"""
import argparse
import glob
import os
import random
import re
import select
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
N_SECTORS = 256
KEPT_FILES = 30  # of the 40 that the guest keeps


def run_and_kill(command, begun, seconds):
    """All that the guest said until it was killed, some time after it said `begun`."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    said = b""
    end = None
    try:
        while end is None or time.monotonic() < end:
            left = 120 if end is None else end - time.monotonic()
            if select.select([process.stdout], [], [], max(left, 0))[0]:
                data = os.read(process.stdout.fileno(), 65536)
                if not data:
                    sys.exit(f"disk-kill.py: dbt-run ended by itself, said {said[-200:]!r}")
                said += data
            elif end is None:
                sys.exit(f"disk-kill.py: the guest says nothing, but {said[-200:]!r}")
            if end is None and re.search(begun, said):
                end = time.monotonic() + seconds
    finally:
        process.kill()
        process.wait()
    return (said + process.stdout.read()).replace(b"\r", b"")


class Blocks:
    """The guest writes numbered blocks."""

    def __init__(self, disk, folder, dbt):
        self.disk = os.path.join(folder, "raw")
        guest = os.path.join(folder, "guest")
        subprocess.check_call([
            os.environ.get("RISCV_PREFIX", "riscv64-linux-gnu-") + "gcc", "-nostdlib", "-static",
            "-fno-pic", "-no-pie", "-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany", "-mno-relax",
            f"-I{ROOT}/tests/guest/bare", "-Wl,-N,-Ttext=0x80000000,--build-id=none",
            "-Wl,--no-warn-rwx-segments", "-o", guest, f"{ROOT}/tests/guest/disk/flush.S"])
        self.command = [dbt, "-serial", "stdio", "-m", "16M", "--drive", disk, guest]
        self.begun = rb"\n"
        self.seconds = 0.4

    def prepare(self):
        with open(self.disk, "wb") as f:
            f.truncate(512 * N_SECTORS)

    @staticmethod
    def flushed(said):
        return int(said.split(b"\n")[-2], 16)

    @staticmethod
    def sector_of(number):
        return (number * 0x9E3779B1 & 0xFFFFFFFF) >> 24

    def check(self, flushed):
        newest = {self.sector_of(n): n for n in range(1, flushed + 1)}
        with open(self.disk, "rb") as f:
            data = f.read()
        for sector, number in newest.items():
            words = struct.unpack_from("<64Q", data, 512 * sector)
            if words[0] < number:
                return f"sector {sector} holds write {words[0]}, but {number} was flushed"
            if len(set(words)) != 1:
                return f"sector {sector} is torn: {words[0]} and {words[-1]}"
            if self.sector_of(words[0]) != sector:
                return f"sector {sector} holds write {words[0]}, which went elsewhere"
        return None


class Files:
    """The guest writes numbered files."""

    def __init__(self, disk, folder, dbt):
        self.disk = os.path.join(folder, "raw")
        initrd = os.path.join(folder, "initrd")
        fetched = {what: subprocess.check_output(
            [f"{ROOT}/scripts/fetch-guest.sh", "--print", what], text=True).strip()
            for what in ("KERNEL", "MODULES")}
        modules = [f"{m}:/modules/{os.path.basename(m)}"
                   for m in glob.glob(fetched["MODULES"] + "/*.ko")]
        subprocess.check_call([f"{ROOT}/scripts/make-initramfs.sh", initrd,
                               f"{ROOT}/tests/guest/disk/init-kill"] + modules)
        self.command = [dbt, "-serial", "stdio", "--drive", disk, "-kernel",
                        fetched["KERNEL"], "-initrd", initrd, "-append", "console=ttyS0 quiet"]
        self.begun = rb"safe: 1\r?\n"
        self.seconds = 3

    def prepare(self):
        if os.path.exists(self.disk):
            os.unlink(self.disk)
        tool("mke2fs", "-q", "-t", "ext4", self.disk, "32M")

    @staticmethod
    def flushed(said):
        return int(re.findall(rb"safe: (\d+)\n", said)[-1])

    def check(self, flushed):
        status, text = tool("e2fsck", "-p", self.disk)  # replays the journal, repairs nothing else
        if status > 1:
            return f"e2fsck -p: status {status}: {text}"
        status, text = tool("e2fsck", "-fn", self.disk)
        if status != 0:
            return f"e2fsck -fn: status {status}: {text}"
        for number in range(max(1, flushed - KEPT_FILES), flushed + 1):
            text = tool("debugfs", "-R", f"cat /{number}", self.disk)[1]
            if (f"{number}\n" * 8192)[:8192] not in text:
                return f"file {number} of {flushed} is lost or damaged"
        return None


def into_image(raw, disk, image_format):
    """The disk that the guest gets, of the bytes in raw."""
    if os.path.exists(disk):
        os.unlink(disk)
    if image_format == "raw":
        os.rename(raw, disk)
    else:
        subprocess.check_call(["qemu-img", "convert", "-O", image_format, raw, disk])


def out_of_image(disk, raw, image_format):
    """The other way, once the server has heard that dbt-run is gone: soon."""
    if image_format == "raw":
        os.rename(disk, raw)
        return None
    end = time.monotonic() + 10
    while True:
        status, text = tool("qemu-img", "check", "-q", "-f", image_format, disk)
        if "lock" not in text or time.monotonic() > end:
            break
        time.sleep(0.01)
    if status == 0:
        status, text = tool("qemu-img", "convert", "-O", "raw", disk, raw)
    return f"qemu-img: status {status}: {text}" if status else None


def tool(*command):
    path = os.environ.get("PATH", "") + ":/sbin:/usr/sbin"
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env=dict(os.environ, PATH=path), errors="replace")
    return done.returncode, done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dbt", default=os.environ.get("DBT", os.path.join(ROOT, "dbt-run")))
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--file-system", action="store_true")
    parser.add_argument("--format", default="raw")
    args = parser.parse_args()
    chance = random.Random(args.seed)
    passed = failed = most = 0
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as folder:
        disk = os.path.join(folder, "disk")
        test = (Files if args.file_system else Blocks)(disk, folder, args.dbt)
        for kill in range(args.kills):
            test.prepare()
            into_image(test.disk, disk, args.format)
            said = run_and_kill(test.command, test.begun, chance.random() ** 2 * test.seconds)
            flushed = test.flushed(said)
            wrong = out_of_image(disk, test.disk, args.format) or test.check(flushed)
            most = max(most, flushed)
            passed += not wrong
            failed += bool(wrong)
            if wrong:
                print(f"FAILED: kill {kill} of --seed {args.seed}: {wrong}")
    print(f"in the longest run {most} were safe")
    print(f"{passed} passed, {failed} failed")
    return failed != 0


sys.exit(main())
