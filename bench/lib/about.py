"""On what and with what was measured, for the JSON."""
import json
import os
import platform
import subprocess
import time

from lib.kernels import CFLAGS, COMPILERS, TOP


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "unknown"


def processor():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return "unknown"


def describe(sides, n_runs):
    """sides: {name: command}."""
    about = {
        "date": time.strftime("%Y-%m-%d %H:%M:%S"),
        "cpu": processor(),
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "host": f"{platform.system()} {platform.release()}",
        "commit": first_line("git", "-C", str(TOP), "describe", "--always", "--dirty"),
        "commands": dict(sides),
        "runs": n_runs,
        "cflags": " ".join(CFLAGS),
        "compilers": {side: first_line(cc, "--version") for side, cc in COMPILERS.items()},
    }
    if "qemu" in sides:
        about["qemu"] = first_line(sides["qemu"].split()[0], "--version")
    return about


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, indent=1)
        f.write("\n")
