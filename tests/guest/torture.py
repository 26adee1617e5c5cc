#!/usr/bin/env python3
"""Tortures Debian's kernel with several harts (torture/torture.c): `make soak`.

    tests/guest/torture.py [--seconds N] [--harts 2,4] [--limit SECONDS] [--dbt PATH | --on qemu] [OPTION...]

N seconds are shared by the numbers of harts; the limit, 120, is for boots, beyond four times that.
First a short run with a planted failure, which must be noticed. The last line is "N passed, N failed".
"""
import argparse
import os
import pathlib
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
HERE = TOP / "tests" / "guest" / "torture"
OUT = TOP / "out" / "test"


def guest_file(what):
    script = TOP / "scripts" / "fetch-guest.sh"
    return subprocess.check_output([str(script), "--print", what], text=True, timeout=30).strip()


def make_initrd():
    OUT.mkdir(parents=True, exist_ok=True)
    program, initrd = OUT / "torture", OUT / "torture.cpio.gz"
    subprocess.run(["riscv64-linux-gnu-gcc", "-std=gnu17", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-pthread",
                    "-o", str(program), str(HERE / "torture.c")], check=True, timeout=120)
    subprocess.run([str(TOP / "scripts/make-initramfs.sh"), str(initrd), str(HERE / "init"), str(program)],
                   check=True, timeout=120)
    return initrd


def run(command, initrd, harts, seconds, limit, plant=""):
    """What the guest said; None when it did not come to its end in four times the time, or the emulator to a good one."""
    append = f"console=ttyS0 quiet torture={seconds}" + (f" plant={plant}" if plant else "")
    log = OUT / f"torture-{harts}{plant and '-' + plant}.log"
    with open(log, "wb") as out:
        process = subprocess.Popen([*command, "-m", "512M", "-smp", str(harts), "-kernel", guest_file("KERNEL"),
                                    "-initrd", str(initrd), "-append", append],
                                   stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        try:
            status = process.wait(4 * seconds + limit)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return None, log
    return log.read_text(errors="replace") if status == 0 else None, log


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--harts", type=lambda text: [int(n) for n in text.split(",")], default=[2, 4])
    parser.add_argument("--limit", type=float, default=120)
    parser.add_argument("--dbt", default=os.environ.get("DBT", str(TOP / "dbt-run")))
    parser.add_argument("--on", choices=["dbt", "qemu"], default="dbt")
    args, more = parser.parse_known_args()
    command = [args.dbt, "-serial", "stdio", *more]
    if args.on == "qemu":
        command = ["qemu-system-riscv64", "-M", "virt", "-nographic", *more]
    initrd, passed, failed = make_initrd(), 0, 0
    for harts, seconds, plant in [(args.harts[0], 2, "signals"),
                                  *((n, max(1, args.seconds // len(args.harts)), "") for n in args.harts)]:
        start = time.monotonic()
        text, log = run(command, initrd, harts, seconds, args.limit, plant)
        good = text is not None and ("torture ok" in text) == (not plant) and "torture: status" in text
        passed, failed = passed + good, failed + (not good)
        print(f"{'ok  ' if good else 'FAIL'}  {harts} harts, {seconds} s{', planted failure' if plant else ''} "
              f"({time.monotonic() - start:.0f} s)", flush=True)
        if not good:
            print(f"      {'it hangs, or ends badly:' if text is None else 'see'} {log}")
            print("\n".join(log.read_text(errors="replace").splitlines()[-20:]))
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
