#!/usr/bin/env python3
"""Nobody reads what a guest writes. The hart that has written it waits, and nothing else does: other harts run, also on
the same thread (in virtual time they do not, or runs would not repeat); the monitor answers, stops the machine and lets
it go on. No byte is lost, by whatever way they come.

    tests/guest/crowded.py [--dbt PATH]

The last line is "N passed, N failed".
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import time

from boot import Wrong
from churn import Monitor

HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT = 60
K = 1 << 10
LINE, CONSOLE = "-serial stdio", "-serial null --console stdio"
# What is put at once, and how often: all of it is more than dbt-run holds, or than it takes while it is crowded.
BYTES, BUFFERS, CALL, CALLS = (400 * K, 1), (256 * K, 16), (8192 * K, 1), (64 * K, 64)
CASES = [ # name, way, length and times, hart, options
    ("UART, a thread each", "UART", BYTES, 0, f"{LINE} -smp 2 --hart-threads each"),
    ("UART, one thread", "UART", BYTES, 0, f"{LINE} -smp 2 --hart-threads 1"),
    ("UART, by hart 1", "UART", BYTES, 1, f"{LINE} -smp 2 --hart-threads 1"),
    ("UART, virtual time", "UART", BYTES, 0, f"{LINE} --time virtual"),
    ("UART, virtual time, 2 harts", "UART", BYTES, 0, f"{LINE} -smp 2 --time virtual"),
    ("UART, check mode", "UART", BYTES, 0, f"{LINE} --engine check --time virtual"),
    ("legacy SBI", "LEGACY", BYTES, 0, f"{LINE} --as supervisor"),
    ("SBI's debug console", "DBCN", BYTES, 0, f"{LINE} --as supervisor"),
    ("HTIF, one call", "HTIF", CALL, 0, LINE),
    ("HTIF, by hart 1", "HTIF", CALLS, 1, f"{LINE} -smp 2"),
    ("HTIF, virtual time", "HTIF", CALL, 0, f"{LINE} --time virtual"),
    ("virtio console", "CONSOLE", BUFFERS, 0, CONSOLE),
    ("virtio console, 2 harts", "CONSOLE", BUFFERS, 0, f"{CONSOLE} -smp 2 --hart-threads 1"),
    ("virtio console, virtual time", "CONSOLE", BUFFERS, 0, f"{CONSOLE} --time virtual"),
]


def build(put, size, hart, to):
    subprocess.run([os.environ.get("RISCV_PREFIX", "riscv64-linux-gnu-") + "gcc", "-nostdlib", "-static", "-fno-pic", "-no-pie",
                    "-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany", "-mno-relax", f"-DPUT=PUT_{put}",
                    f"-DLEN={size[0]}", f"-DN_BLOCKS={size[1]}", f"-DWHO={hart}",
                    "-Wl,-N,-Ttext=0x80000000,--build-id=none,--no-warn-rwx-segments", "-o", to,
                    os.path.join(HERE, "crowded.S")], check=True, timeout=60)
    return to


def connect(path):
    end = time.monotonic() + LIMIT
    while True:
        try:
            return Monitor(path)
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > end:
                raise Wrong("there is no monitor") from None
            time.sleep(0.01)


def counter(monitor):
    """Of hart 1, which writes nothing."""
    monitor.say("cpu 1")
    return int(re.search(r"\bs2\b\W+([0-9a-f]+)", monitor.say("info registers"))[1], 16)


def wait_until_full(process):
    """The pipe is, and what dbt-run holds besides: nothing goes into it any more."""
    last, since = None, time.monotonic()
    end = since + LIMIT
    while time.monotonic() - since < 0.5:
        with open(f"/proc/{process.pid}/io", encoding="ascii") as f:
            n = f.read()
        if n != last:
            last, since = n, time.monotonic()
        if since > end:
            raise Wrong("it writes on, though nobody reads")
        time.sleep(0.02)


def ask(monitor, hart, options):
    if "running" not in monitor.say("info status"):
        raise Wrong("it does not run")
    if "-smp 2" in options and hart == 0:
        before = counter(monitor)
        time.sleep(0.1)
        if (counter(monitor) != before) == ("virtual" in options):
            raise Wrong("the other hart runs in virtual time, or does not else")
    monitor.say("stop")
    if "stopped" not in monitor.say("info status"):
        raise Wrong("it does not stop")
    monitor.say("cont")


def run(dbt, put, size, hart, options, tmp):
    sock = os.path.join(tmp, "monitor")
    process = subprocess.Popen([dbt, *options.split(), "-m", "64M", "--monitor", f"unix:{sock},server,nowait",
                                build(put, size, hart, os.path.join(tmp, "guest"))], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        monitor = connect(sock)
        wait_until_full(process)
        # In virtual time the hart that writes keeps its turn, so that runs repeat, and the monitor is hart 0's.
        ask(monitor, hart, options)
        out = process.communicate(timeout=LIMIT)[0].replace(b"\r", b"")
    finally:
        process.kill()
        process.wait()
        if os.path.exists(sock):
            os.unlink(sock)
    alphabet = bytes(range(ord("a"), ord("z") + 1))
    length, times = size
    if out != (alphabet * (length // 26 + 1))[:length] * times:
        raise Wrong(f"{len(out)} of {length * times} bytes, or others, came out")
    if process.returncode != 0:
        raise Wrong(f"status {process.returncode}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dbt", default=os.environ.get("DBT", os.path.join(HERE, "../../dbt-run")))
    dbt = parser.parse_args().dbt
    passed = failed = 0
    with tempfile.TemporaryDirectory() as tmp:
        for name, put, size, hart, options in CASES:
            try:
                run(dbt, put, size, hart, options, tmp)
                passed += 1
            except (Wrong, OSError, subprocess.SubprocessError) as why:
                failed += 1
                print(f"FAILED: {name}: {why}")
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
