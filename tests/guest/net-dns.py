#!/usr/bin/env python3
"""The guest asks for names through libslirp, which asks the host's own name server: ours.

    tests/guest/net-dns.py [--dbt PATH] [OPTION...]

Which server that is libslirp reads in /etc/resolv.conf. So all of it runs in a name space of its own, with
another such file and a loopback on which port 53 is free; where the host gives none there is nothing to
test. The last line is "N passed, N failed".
"""
import argparse
import glob
import http.server
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INSIDE = "DBT_NET_DNS_INSIDE"
A, AAAA = 1, 28
asked = set()


def enter():
    """Starts this anew in name spaces of its own."""
    unshare = ["unshare", "--mount", "--net"] + ([] if os.geteuid() == 0 else ["--user", "--map-root-user"])
    if subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL).returncode != 0:
        print("no name spaces here\n0 passed, 0 failed")
        sys.exit(0)
    os.execvpe("unshare", [*unshare, sys.executable, *sys.argv], {**os.environ, INSIDE: "1"})


def settle_in(folder):
    """A loopback, and a resolv.conf that names it, over IPv4 and IPv6."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    path = os.path.join(folder, "resolv.conf")
    with open(path, "w") as f:
        f.write("nameserver 127.0.0.1\nnameserver ::1\n")
    subprocess.run(["mount", "--bind", path, os.path.realpath("/etc/resolv.conf")], check=True)


def answer(query, server):
    """RFC 1035, section 4: one question, at most one answer."""
    number, = struct.unpack_from("!H", query)
    end = query.index(b"\0", 12) + 1
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    name, (kind,) = ".".join(labels), struct.unpack_from("!H", query, end)
    asked.add((server, name))
    data = None
    if name == "host.dbt.test":
        data = {A: socket.inet_pton(socket.AF_INET, "10.0.2.2"),
                AAAA: socket.inet_pton(socket.AF_INET6, "fec0::2")}.get(kind)
    elif re.fullmatch(r"\d+\.dbt\.test", name) and kind == A:
        data = bytes([10, 9, 8, int(labels[0])])
    known = data is not None or name == "host.dbt.test"
    reply = struct.pack("!HHHHHH", number, 0x8180 | (0 if known else 3), 1, data is not None, 0, 0) + query[12:end + 4]
    if data is not None:
        reply += struct.pack("!HHHIH", 0xC00C, kind, 1, 60, len(data)) + data
    return reply


def serve_names(family, address):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.bind((address, 53))

    def serve():
        while True:
            query, sender = s.recvfrom(512)
            s.sendto(answer(query, address), sender)

    threading.Thread(target=serve, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"by name\n")

    def log_message(self, *_):
        pass


def guest_file(what):
    return subprocess.check_output([f"{ROOT}/scripts/fetch-guest.sh", "--print", what], text=True).strip()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dbt", default=os.environ.get("DBT", os.path.join(ROOT, "dbt-run")))
    args, more = parser.parse_known_args()
    if INSIDE not in os.environ:
        enter()
    with tempfile.TemporaryDirectory(prefix="dbt-net-dns.") as folder:
        settle_in(folder)
        serve_names(socket.AF_INET, "127.0.0.1")
        serve_names(socket.AF_INET6, "::1")
        web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=web.serve_forever, daemon=True).start()
        modules = [f"{path}:/modules/{os.path.basename(path)}" for path in glob.glob(guest_file("MODULES") + "/*.ko")]
        subprocess.run([f"{ROOT}/scripts/make-initramfs.sh", f"{folder}/initrd", f"{ROOT}/tests/guest/net/init-dns",
                        *modules], check=True)
        done = subprocess.run([args.dbt, "-kernel", guest_file("KERNEL"), "-initrd", f"{folder}/initrd", "-append",
                               f"console=ttyS0 quiet http={web.server_address[1]}", "-serial", "stdio", "--net", "user",
                               *more], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", timeout=200)
        subprocess.run(["umount", os.path.realpath("/etc/resolv.conf")], check=False)
    results = re.findall(r"^test: (.*) (ok|FAILED.*?)\r?$", done.stdout, re.MULTILINE)
    results += [("the guest came to its end", "ok" if "test: done" in done.stdout and done.returncode == 0 else "FAILED"),
                ("the server was asked", "ok" if {("127.0.0.1", "50.dbt.test"), ("::1", "host.dbt.test")} <= asked
                 else f"FAILED: {asked}")]
    bad = [result for result in results if result[1] != "ok"]
    for name, how in bad:
        print(f"FAILED: {name}: {how}")
    if bad:
        print(done.stdout[-3000:])
    print(f"{len(results) - len(bad)} passed, {len(bad)} failed")
    return len(bad) != 0


sys.exit(main())
