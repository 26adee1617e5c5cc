#!/usr/bin/env python3
"""CPU time from power-on to the login prompt of Debian's disk image, dbt's and QEMU's.

    [RUNS=3] [IMAGE=debian.img] [DBT=./dbt-run] [QEMU=...] [LIMIT=600] bench/debian.py

The same image, U-Boot and kind of disk; what the guest writes is thrown away. DBT and QEMU are
commands with their options.
"""
import os
import subprocess

from lib import about
from lib.guest import LIMIT, cpu_seconds, pss_mib
from lib.kernels import RESULTS, TOP, die
from lib.measure import note
from lib.stats import ratio, summary
from lib.until import read_until

PROMPT = b" login: "
UBOOT = "/usr/lib/u-boot/qemu-riscv64_smode/uboot.elf"


def commands(image):
    dbt = os.environ.get("DBT", str(TOP / "dbt-run")).split()
    qemu = os.environ.get("QEMU", "qemu-system-riscv64 -M virt -nographic -bios default -m 1G "
                          f"-kernel {UBOOT}").split()
    return {"dbt": [*dbt, "-snapshot", image],
            "qemu": [*qemu, "-snapshot", "-drive", f"if=none,id=d,format=raw,file={image}",
                     "-device", "virtio-blk-device,drive=d"]}


def to_prompt(name, command, log):
    """CPU seconds and MiB."""
    with open(log, "wb") as console:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
        try:
            if not read_until(process.stdout, PROMPT, LIMIT, console):
                die(f"{name} came to no prompt within {LIMIT} s, see {log}")
            return {"cpu": cpu_seconds(process.pid), "pss": pss_mib(process.pid)}
        finally:
            process.kill()
            process.wait()


def main():
    n_runs = int(os.environ.get("RUNS", 3))
    image = os.environ.get("IMAGE") or subprocess.check_output(
        [TOP / "scripts" / "debian-image.sh", "--print"], text=True).strip()
    if not os.path.exists(image):
        die(f"no {image}: run make debian-image")
    logs = RESULTS / "bench" / "log"
    logs.mkdir(parents=True, exist_ok=True)
    sides = commands(image)
    samples = {name: [] for name in sides}
    for number in range(n_runs):
        for name, command in sides.items():
            cost = to_prompt(name, command, logs / f"debian-{name}.txt")
            note(f"{number + 1} of {n_runs}: {name:<5}{cost['cpu']:8.2f} s")
            samples[name].append(cost)
    times = {name: [cost["cpu"] for cost in costs] for name, costs in samples.items()}
    result = {"about": about.describe({name: " ".join(c) for name, c in sides.items()}, n_runs),
              "debian": {name: {key: summary([c[key] for c in costs]) for key in costs[0]}
                         for name, costs in samples.items()},
              "dbt/qemu": ratio(times, "dbt", "qemu")}
    about.write_json(RESULTS / "bench-debian.json", result)
    for name, cell in result["debian"].items():
        print(f"{name:<5} {cell['cpu']['median']:8.2f} s [{cell['cpu']['min']:.2f}, "
              f"{cell['cpu']['max']:.2f}], pss {cell['pss']['median']:.0f} MiB")
    print(f"dbt/qemu {result['dbt/qemu']['median']:.2f}")


if __name__ == "__main__":
    main()
