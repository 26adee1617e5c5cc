#!/usr/bin/env python3
"""The network of dbt against QEMU's, both with libslirp: `make bench-net`; bench/README.md says how to read it.

    [RUNS=5] [MBYTES=100] [DBT=./dbt-run] [QEMU=...] [LIMIT=600] bench/net.py

MBYTES go from the guest's web server to us through hostfwd, and from ours into the guest, over TCP.
"""
import http.server
import os
import pathlib
import socket
import subprocess
import threading
import time
import urllib.request

from lib import about, table
from lib.guest import Guest
from lib.kernels import RESULTS, TOP, die, guest_file
from lib.measure import note
from lib.stats import ratio, summary

OUT = RESULTS / "bench-net"
QEMU = "qemu-system-riscv64 -M virt -nographic -bios default -m 1G -global virtio-mmio.force-legacy=false"
CHUNK = bytes(1 << 20)


def serve(n_mbytes):
    """A web server on the loopback that has so much of nothing. Returns its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(n_mbytes * len(CHUNK)))
            self.end_headers()
            for _ in range(n_mbytes):
                self.wfile.write(CHUNK)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def make_initrd(n_mbytes):
    os.makedirs(OUT / "log", exist_ok=True)
    (OUT / "bytes").write_text(str(n_mbytes * len(CHUNK)))
    modules = [f"{path}:/modules/{path.name}" for path in pathlib.Path(guest_file("MODULES")).glob("*.ko")]
    subprocess.run([str(TOP / "scripts/make-initramfs.sh"), str(OUT / "initrd"), str(TOP / "bench/net/init"),
                    f"{OUT / 'bytes'}:/bytes", *modules], check=True)
    return OUT / "initrd"


class Side:
    """One emulator with a booted guest, whose port 80 is `port` here."""

    def __init__(self, name, command, initrd):
        self.port = free_port()
        net = f"-netdev user,id=n,hostfwd=tcp:127.0.0.1:{self.port}-:80 -device virtio-net-device,netdev=n"
        self.guest = Guest(name, f"{command} {net}", initrd, OUT / "log" / f"{name}.txt")

    def measure(self, action):
        """Seconds on the clock, and of the emulator's CPU time."""
        cpu, start = self.guest.settle(), time.monotonic()
        action()
        seconds = time.monotonic() - start
        return {"wall": seconds, "cpu": self.guest.settle() - cpu}

    def from_guest(self, _, n_bytes):
        left = n_bytes
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/data", timeout=600) as answer:
            while data := answer.read(len(CHUNK)):
                left -= len(data)
        if left:
            die(f"{self.guest.name}: {left} bytes of {n_bytes} are missing")

    def to_guest(self, server, _):
        self.guest.process.stdin.write(f"get http://10.0.2.2:{server}/\n".encode())
        self.guest.process.stdin.flush()
        _, match = self.guest.wait_for(r"bench: status (\d+)\n")
        if match[1] != "0":
            die(f"{self.guest.name}: the guest gets nothing, see {self.guest.log.name}")


def print_table(result, n_mbytes):
    print(f"\n{n_mbytes} MiB over TCP through libslirp: MB/s on the clock and CPU seconds of the whole process, medians;\n"
          "dbt/qemu of the CPU time, with its extremes over the rounds:")
    for way, r in result.items():
        print(f"  {way:<11}", *(f"{side} {n_mbytes * 1.048576 / r[side]['wall']['median']:6.1f} MB/s "
                                f"{r[side]['cpu']['median']:6.3f} s  " for side in ("dbt", "qemu")),
              table.with_spread(r["dbt/qemu"]))


def main():
    n_runs, n_mbytes = int(os.environ.get("RUNS", 5)), int(os.environ.get("MBYTES", 100))
    commands = {"dbt": os.environ.get("DBT", str(TOP / "dbt-run")), "qemu": os.environ.get("QEMU", QEMU)}
    subprocess.run([str(TOP / "scripts/deps.sh"), "build", "bench"], check=True)
    subprocess.run([str(TOP / "scripts/fetch-guest.sh")], check=True)
    initrd, server = make_initrd(n_mbytes), serve(n_mbytes)
    ways = {"from guest": Side.from_guest, "to guest": Side.to_guest}
    samples = {way: {name: [] for name in commands} for way in ways}
    sides = {name: Side(name, command, initrd) for name, command in commands.items()}
    for number in range(n_runs):
        for way, action in ways.items():
            for name in sorted(sides, reverse=number % 2 == 1):
                cost = sides[name].measure(lambda: action(sides[name], server, n_mbytes * len(CHUNK)))
                note(f"{number + 1} of {n_runs}: {way}: {name:<5}{cost['wall']:8.3f} s, CPU {cost['cpu']:8.3f} s")
                samples[way][name].append(cost)
    for side in sides.values():
        side.guest.close()
    result = {way: {**{side: {key: summary([c[key] for c in costs]) for key in ("wall", "cpu")}
                       for side, costs in by_side.items()},
                    "dbt/qemu": ratio({side: [c["cpu"] for c in costs] for side, costs in by_side.items()}, "dbt", "qemu")}
              for way, by_side in samples.items()}
    print_table(result, n_mbytes)
    about.write_json(RESULTS / "bench-net.json", {"about": about.describe(commands, n_runs), "ways": result})


main()
