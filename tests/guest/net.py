#!/usr/bin/env python3
"""Debian's kernel with a network: the guest (net/init) reaches servers here, and we its own.

    tests/guest/net.py [--dbt PATH] [--via user|passt|tap] [--mbytes N] [OPTION...]

With BUS=pci in the environment the card is on PCI. N megabytes go each way (10). Without the program passt there is nothing to test via it, and via a
tap interface not without root's rights. The last line is "N passed, N failed".
"""

import argparse
import glob
import hashlib
import http.server
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MAC = "52:54:00:ab:cd:ef"
# CSUM, MAC, HOST_TSO4, MRG_RXBUF, STATUS; GUEST_CSUM; HOST_TSO6; GUEST_TSO4 and 6.
FEATURES = {"user": "11000100000100011", "passt": "10000100000110011", "tap": "11000101100110011"}
counts = {True: 0, False: 0}


def ok(name, good, why=""):
    counts[bool(good)] += 1
    if not good:
        print(f"FAILED: {name}: {why}")


def guest_file(what):
    script = os.path.join(ROOT, "scripts", "fetch-guest.sh")
    return subprocess.check_output([script, "--print", what], text=True, timeout=30).strip()


def make_initrd(folder):
    out, udp = os.path.join(folder, "initrd"), os.path.join(folder, "udp")
    here = os.path.join(ROOT, "tests", "guest", "net")
    subprocess.run(["riscv64-linux-gnu-gcc", "-O1", "-static", "-o", udp, os.path.join(here, "udp.c")], check=True, timeout=60)
    modules = [f"{path}:/modules/{os.path.basename(path)}" for path in glob.glob(guest_file("MODULES") + "/*.ko")]
    subprocess.run([os.path.join(ROOT, "scripts", "make-initramfs.sh"), out,
                    os.path.join(here, "init"), udp, *modules], check=True, timeout=60)
    return out


class Both(http.server.ThreadingHTTPServer):
    """On IPv4 and IPv6: the guest's 10.0.2.2 is 127.0.0.1, its fec0::2 is ::1."""

    address_family = socket.AF_INET6
    daemon_threads = True


def serve(data):
    """A web server on the loopback with /data, /sum and /turn, a number one higher each time. Returns its port."""
    pages = {"/data": data, "/sum": (hashlib.sha256(data).hexdigest() + "\n").encode()}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/turn":
                pages["/turn"] = b"%d\n" % (int(pages.get("/turn", b"0")) + 1)
            body = pages.get(self.path)
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_):
            pass

    server = Both(("::", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def serve_udp(address):
    """Sends back what comes. Returns its port."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, 0))

    def echo_all():
        while True:
            s.sendto(*s.recvfrom(2048))

    threading.Thread(target=echo_all, daemon=True).start()
    return s.getsockname()[1]


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Guest:
    """dbt-run; its lines are kept as they come."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, errors="replace")
        self.lines = []
        self.news = threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            with self.news:
                self.lines.append(line.rstrip())
                self.news.notify_all()

    def wait_for(self, text, seconds):
        """True when a line is the text within the time."""
        end = time.monotonic() + seconds
        with self.news:
            while text not in self.lines:
                if time.monotonic() > end or self.process.poll() is not None:
                    return text in self.lines
                self.news.wait(0.2)
        return True


def download(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read()


def try_to(name, action):
    try:
        ok(name, *action())
    except OSError as e:
        ok(name, False, e)


def from_guest(address, port):
    start = time.monotonic()
    data = download(f"http://{address}:{port}/data")
    seconds = time.monotonic() - start
    print(f"      from the guest: {len(data) / 1e6 / seconds:.1f} MB/s")
    want = download(f"http://{address}:{port}/sum").decode().strip()
    return hashlib.sha256(data).hexdigest() == want, f"{len(data)} bytes, of which the sum is wrong"


def echo(address, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(10)
        s.sendto(b"hello", (address, port))
        answer = s.recv(100)
    return answer == b"hello", answer


def not_at(address, port):
    with socket.socket() as s:
        s.settimeout(10)
        return s.connect_ex((address, port)) != 0, "somebody listens"


class Monitor:
    """The other end of --monitor unix:PATH."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)
        self.answer()

    def answer(self):
        text = ""
        while not text.endswith("(dbt) "):
            text += self.socket.recv(4096).decode() or "(dbt) "
        return text[:-len("(dbt) ")]

    def say(self, line):
        self.socket.sendall(line.encode() + b"\n")
        return self.answer()


def forward_at_run_time(path):
    """A forward that comes and goes while the guest runs."""
    port, monitor = free_port(), Monitor(path)
    said = monitor.say(f"hostfwd_add tcp:127.0.0.1:{port}-:80")
    got = download(f"http://127.0.0.1:{port}/sum")
    listed = f" {port} " in monitor.say("info network")
    said += monitor.say(f"hostfwd_remove tcp:127.0.0.1:{port}")
    gone, _ = not_at("127.0.0.1", port)
    return not said and len(got) == 65 and listed and gone, (said, got, listed, gone)


def say_end(address, port):
    with socket.create_connection((address, port), timeout=10) as s:
        s.sendall(b"end\n")
    return True, ""


TAP = f"dbt{os.getpid() % 1000000}"


def tap(ports, folder):
    """The options for an interface of this host's, which is made by whoever opens it."""
    return None, ["--net", f"tap={TAP},mac={MAC}"]


def address_tap():
    """Gives it the addresses that libslirp has."""
    for _ in range(100):
        if os.path.exists(f"/sys/class/net/{TAP}"):
            break
        time.sleep(0.1)
    for words in (["link", "set", TAP, "up"], ["address", "add", "10.0.2.2/24", "dev", TAP],
                  ["-6", "address", "add", "fec0::2/64", "dev", TAP, "nodad"]):
        subprocess.run(["ip", *words], check=True, timeout=10)


def user(ports, folder):
    """The options for libslirp: QEMU's spelling."""
    web, end, udp = ports
    return None, ["-netdev", f"user,id=n,hostname=guest,hostfwd=tcp:127.0.0.1:{web}-:80,hostfwd=udp::{udp}-:5000,"
                  f"hostfwd=tcp:127.0.0.1:{end}-10.0.2.15:9,hostfwd=tcp:[::1]:{web}-:80", "-device", f"virtio-net-{os.environ.get('BUS', 'device')},netdev=n,mac={MAC}"]


def passt(ports, folder):
    """Starts passt with the same addresses, and the options for it."""
    web, end, udp = ports
    path = os.path.join(folder, "passt")
    who = ["--runas", "0"] if os.geteuid() == 0 else []
    process = subprocess.Popen(["passt", "-f", "-q", *who, "-s", path, "-a", "10.0.2.15", "-n", "24", "-g", "10.0.2.2",
                                "-t", f"127.0.0.1/{web}:80,{end}:9", "-u", f"127.0.0.1/{udp}:5000"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(100):
        if os.path.exists(path):
            break
        time.sleep(0.1)
    return process, ["--net", f"passt={path},mac={MAC}"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dbt", default=os.environ.get("DBT", os.path.join(ROOT, "dbt-run")))
    parser.add_argument("--via", choices=["user", "passt", "tap"], default="user")
    parser.add_argument("--mbytes", type=int, default=10)
    args, more = parser.parse_known_args()
    if args.via == "passt" and not shutil.which("passt"):
        print("no passt here\n0 passed, 0 failed")
        return 0
    if args.via == "tap" and not (os.geteuid() == 0 and os.access("/dev/net/tun", os.W_OK) and shutil.which("ip")):
        print("no rights to a tap interface here\n0 passed, 0 failed")
        return 0
    data = os.urandom(args.mbytes << 20)
    here, there, ports = "127.0.0.1", "127.0.0.1", (free_port(), free_port(), free_port(socket.SOCK_DGRAM))
    if args.via == "tap":
        here, there, ports = "0.0.0.0", "10.0.2.15", (80, 9, 5000)
    tcp, end, udp = ports
    with tempfile.TemporaryDirectory(prefix="dbt-net.") as folder:
        peer, options = {"user": user, "passt": passt, "tap": tap}[args.via](ports, folder)
        guest = Guest([args.dbt, "-kernel", guest_file("KERNEL"), "-initrd", make_initrd(folder), "-append",
                       f"console=ttyS0 quiet http={serve(data)} udp={serve_udp(here)} bytes={len(data)} features={FEATURES[args.via]} via={args.via}",
                       "-serial", "stdio", "--monitor", f"unix:{folder}/monitor", *options, *more])
        if args.via == "tap":
            address_tap()
        if guest.wait_for("test: ready", 600):
            try_to("a file from the guest", lambda: from_guest(there, tcp))
            if args.via != "tap":
                try_to("only the address that was chosen", lambda: not_at("127.0.0.2", tcp))
            if args.via == "user":
                try_to("a file from the guest over IPv6", lambda: from_guest("[::1]", tcp))
                try_to("a forward at run time", lambda: forward_at_run_time(f"{folder}/monitor"))
            if args.via == "passt":
                peer.kill()
                peer.wait()
                os.unlink(os.path.join(folder, "passt"))
                try_to("nobody there without passt", lambda: not_at(there, tcp))
                peer, _ = passt(ports, folder)
                ok("the link is up again", guest.wait_for("dbt-run: --net passt: passt is there again; the guest's network is up", 20))
                time.sleep(2)  # until the guest was heard
                try_to("a file when passt was started anew", lambda: from_guest(there, tcp))
            try_to("an echo over UDP", lambda: echo(there, udp))
            try_to("the end", lambda: say_end(there, end))
        ok("the guest was reset", "test: reset" in guest.lines)
        ok("the guest came to its end", guest.wait_for("test: done", 60))
        try:
            status = guest.process.wait(30)
        except subprocess.TimeoutExpired:
            guest.process.kill()
            status = "none: it hangs"
        ok("its exit status", status == 0, status)
        if peer:
            peer.kill()
            peer.wait()
        for line in guest.lines:
            if re.match(r"test: .* ", line):
                ok(line, line.endswith(" ok"), "in the guest")
        if counts[False]:
            print("\n".join(guest.lines[-60:]))
    print(f"{counts[True]} passed, {counts[False]} failed")
    return 0 if not counts[False] else 1


sys.exit(main())
