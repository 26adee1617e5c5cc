#!/usr/bin/env python3
"""A shared folder of dbt against QEMU's 9p: `make bench-share`; bench/README.md says how to read it.

    [RUNS=3] [FILES=2000] [MBYTES=100] [DBT=./dbt-run] [QEMU=...] [LIMIT=600] bench/share.py

FILES small files are looked at, read, packed; MBYTES are read and written in one file.
"""
import os
import pathlib
import random
import shutil
import subprocess
import time

from lib import about, table
from lib.guest import Guest
from lib.kernels import RESULTS, TOP, die, guest_file
from lib.measure import note
from lib.stats import ratio, summary

OUT = RESULTS / "bench-share"
TREE = OUT / "tree"
QEMU = "qemu-system-riscv64 -M virt -nographic -bios default -m 1G -global virtio-mmio.force-legacy=false"
WAYS = {"find": "names and attributes of all files", "read": "all files, once", "again": "all files, twice",
        "tar": "all files, by one program", "status": "git status of them", "make": "a twentieth of them copied and removed",
        "large": "a file read", "write": "a file written"}


def make_tree(n_files, n_mbytes):
    """The same files each time."""
    chance = random.Random(1)
    shutil.rmtree(TREE, ignore_errors=True)
    for n in range(n_files):
        folder = TREE / "many" / str(n % 20) / str(n // 20 % 7)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"file-{n}").write_bytes(chance.randbytes(chance.choice((0, 1, 100, 4095, 4096, 4097, 9000))))
    git = ["git", "-c", "user.name=n", "-c", "user.email=n@n", "-c", "gc.auto=0", "-C", str(TREE / "many")]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *words], check=True)
    (TREE / "large").write_bytes(bytes(n_mbytes << 20))
    (TREE / "mbytes").write_text(str(n_mbytes))


def git_files():
    """Debian's git for the guest, and the libraries that `git status` needs."""
    to = OUT / "git"
    shutil.rmtree(to, ignore_errors=True)
    debs = subprocess.check_output([str(TOP / "scripts/fetch-debs.sh"), "git"], text=True).split()
    for deb in debs:
        if pathlib.Path(deb).name.split("_")[0] in ("git", "libc6", "libpcre2-8-0", "zlib1g"):
            subprocess.run(["dpkg-deb", "-x", deb, str(to)], check=True)
    libraries = "usr/lib/riscv64-linux-gnu"
    names = ["usr/bin/git", *(f"{libraries}/{name}" for name in ("libc.so.6", "libpcre2-8.so.0", "libz.so.1"))]
    loader = f"{libraries}/ld-linux-riscv64-lp64d.so.1"
    return [*(f"{to / name}:/{name}" for name in names), f"{to / loader}:/lib/{pathlib.Path(loader).name}"]


def make_initrd():
    modules = [f"{path}:/modules/{path.name}" for path in pathlib.Path(guest_file("MODULES")).glob("*.ko")]
    subprocess.run([str(TOP / "scripts/make-initramfs.sh"), str(OUT / "initrd"), str(TOP / "bench/share/init"),
                    *modules, *git_files()], check=True)
    return OUT / "initrd"


def measure(guest, command):
    """Seconds on the clock, and of the emulator's CPU time."""
    cpu, start = guest.settle(), time.monotonic()
    guest.process.stdin.write(f"{command}\n".encode())
    guest.process.stdin.flush()
    _, match = guest.wait_for(rf"bench: status (\d+) of {command}\n")
    seconds = time.monotonic() - start
    if match[1] != "0":
        die(f"{guest.name}: {command} ended with status {match[1]}, see {guest.log.name}")
    return {"wall": seconds, "cpu": guest.settle() - cpu}


def print_table(result, n_files, n_mbytes):
    print(f"\n{n_files} files, {n_mbytes} MiB; seconds on the clock and of CPU time of the whole process, medians;\n"
          "dbt/qemu of the CPU time, with its extremes over the rounds:")
    for way, r in result.items():
        print(f"  {way:<6}", *(f"{side} {r[side]['wall']['median']:7.3f} s, CPU {r[side]['cpu']['median']:7.3f} s  "
                               for side in ("dbt", "qemu")), table.with_spread(r["dbt/qemu"]), WAYS[way])


def main():
    n_runs, n_files = int(os.environ.get("RUNS", 3)), int(os.environ.get("FILES", 2000))
    n_mbytes = int(os.environ.get("MBYTES", 100))
    dbt, qemu = os.environ.get("DBT", str(TOP / "dbt-run")), os.environ.get("QEMU", QEMU)
    subprocess.run([str(TOP / "scripts/deps.sh"), "build", "bench"], check=True)
    subprocess.run([str(TOP / "scripts/fetch-guest.sh")], check=True)
    os.makedirs(OUT / "log", exist_ok=True)
    make_tree(n_files, n_mbytes)
    initrd = make_initrd()
    commands = {"dbt": f"{dbt} --share {TREE},tag=tree",
                "qemu": f"{qemu} -fsdev local,id=f,path={TREE},security_model=none "
                        "-device virtio-9p-device,fsdev=f,mount_tag=tree"}
    guests = {name: Guest(name, command, initrd, OUT / "log" / f"{name}.txt") for name, command in commands.items()}
    samples = {way: {name: [] for name in commands} for way in WAYS}
    for number in range(n_runs):
        for way in WAYS:
            for name in sorted(guests, reverse=number % 2 == 1):
                cost = measure(guests[name], way)
                note(f"{number + 1} of {n_runs}: {way}: {name:<5}{cost['wall']:8.3f} s, CPU {cost['cpu']:8.3f} s")
                samples[way][name].append(cost)
    for guest in guests.values():
        guest.close()
    shutil.rmtree(TREE)
    result = {way: {**{side: {key: summary([c[key] for c in costs]) for key in ("wall", "cpu")}
                       for side, costs in by_side.items()},
                    "dbt/qemu": ratio({side: [c["cpu"] for c in costs] for side, costs in by_side.items()}, "dbt", "qemu")}
              for way, by_side in samples.items()}
    print_table(result, n_files, n_mbytes)
    about.write_json(RESULTS / "bench-share.json", {"about": about.describe(commands, n_runs), "ways": result})


main()
