#!/usr/bin/env python3
"""Boots Debian from its disk image, as `make run-debian` does, works in it and shuts it down.

    tests/guest/debian.py [--dbt PATH] [--image FILE] [OPTION...]

The image is what scripts/debian-image.sh makes, and is left as it is: a copy boots. Other options go
to dbt-run. Prints a line a case; the last one is "N passed, N failed".
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time

from boot import ROOT, Terminal, Wrong

# A shell that neither edits nor echoes what is typed, so that what comes back is its answer.
PROMPT = "ready for more> "
SHELL = f"stty -echo; exec env PS1='{PROMPT}' PS2= PAGER=cat SYSTEMD_COLORS=0 LC_ALL=C bash --norc --noediting"
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"

PERL = r"""
my ($h, %words) = (5381);
for my $n (1 .. 60000) {
    $h = ($h * 33 + ($n ^ ($h >> 7))) & 0xffffffff;
    $words{sprintf("w%03x", $h & 0xfff)} += $n;
    $h ^= length(join(",", reverse split(//, "$n$h"))) if $n % 3 == 0;
}
my $sum = 0;
$sum = ($sum * 31 + $words{$_}) % 1000000007 for sort keys %words;
printf("perl %d %s %.15g\n", $h, $sum, atan2(1, 3) ** 0.37);
"""

PYTHON = r"""
import hashlib, json, math, re
n, out = 7, []
for i in range(20000):
    n = (n * 6364136223846793005 + 1442695040888963407) % 2**64
    out.append(n >> 40)
text = json.dumps({str(k): v for k, v in zip(out, sorted(out))})
print("python", hashlib.sha256(text.encode()).hexdigest(), len(re.findall("7[0-4]+", text)),
      repr(sum(math.sqrt(x) for x in out)), pow(3, 10**40, 10**50 + 151))
"""


def host(command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, timeout=60,
                          env={**os.environ, "PATH": PATH}, **options).stdout


def root_offset(image):
    """Where the last partition begins, in bytes."""
    table = json.loads(host(["sfdisk", "-J", image]))["partitiontable"]
    return table["partitions"][-1]["start"] * table.get("sectorsize", 512)


class Guest:
    """A booted Debian; each case is a method, in the order in which they are to run."""

    def __init__(self, term, image):
        self.term = term
        self.image = image

    def run(self, line, seconds=120):
        """What a command prints, and its status."""
        self.term.send(f"{line}; echo \"status=$?\"\r")
        text = self.term.wait_for(PROMPT, seconds)
        match = re.search(r"(.*)status=(\d+)\r*\n", text, re.DOTALL)
        if not match:
            raise Wrong(f"no status of {line!r} in {text!r}")
        return match.group(1).replace("\r", "").strip(), int(match.group(2))

    def expect(self, line, want, seconds=120):
        got, status = self.run(line, seconds)
        if (got, status) != (want, 0):
            raise Wrong(f"{line!r}: {got!r}, status {status}, not {want!r}")

    def login(self):
        """U-Boot, kernel and systemd, to the prompt of a root login."""
        self.term.wait_for("dbt-debian login: ", 900)
        self.term.send("root\r")
        self.term.wait_for("Password: ", 60)
        self.term.send(os.environ.get("ROOT_PASSWORD", "dbt") + "\r")
        self.term.wait_for("root@dbt-debian:~# ", 120)
        self.term.send(SHELL + "\r")
        self.term.wait_for("noediting", 60)
        self.term.wait_for(PROMPT, 60)

    def running(self):
        """systemd says that all units started."""
        state, _ = self.run("systemctl is-system-running --wait", 600)
        if state != "running":
            failed, _ = self.run("systemctl --failed --no-legend --plain")
            raise Wrong(f"the system is {state}: {failed}")

    def machine(self):
        """The board's disk, console and clock are in use."""
        self.expect("uname -m", "riscv64")
        self.expect("findmnt -no SOURCE,FSTYPE /", "/dev/vda2 ext4")
        self.expect("tty", "/dev/ttyS0")
        now, _ = self.run("date +%s")
        if abs(int(now) - time.time()) > 60:
            raise Wrong(f"the guest's clock is {int(now) - int(time.time())} s from the host's")

    def packages(self):
        """dpkg and apt find nothing amiss in what the second stage configured."""
        self.expect("dpkg --audit", "")
        self.expect("dpkg-query -W -f '${db:Status-Status}\\n' | sort -u", "installed")
        _, status = self.run("apt-get check")
        if status != 0:
            raise Wrong("apt-get check fails")
        # The files are those of the packages, their sums made by the guest.
        self.expect("cd /; md5sum --quiet -c /var/lib/dpkg/info/{bash,coreutils,perl-base}.md5sums; "
                    "cd", "", 300)

    def programs(self):
        """Fixed work in perl, python3 (if there), openssl and zstd, with the host's results."""
        self.work("perl", "-e", PERL)
        if self.run("command -v python3")[1] == 0:
            self.work("python3", "-c", PYTHON)
        text = "".join(f"{n} {n * n % 9973}\n" for n in range(1, 100001)).encode()
        self.run("perl -e 'print \"$_ \", $_ * $_ % 9973, \"\\n\" for 1 .. 100000' >/tmp/a")
        for name in ("sha256", "sha3-512", "blake2b512"):
            digest = hashlib.new({"sha3-512": "sha3_512", "blake2b512": "blake2b"}.get(name, name),
                                 text).hexdigest()
            self.expect(f"openssl dgst -r -{name} /tmp/a | cut -d' ' -f1", digest)
        self.expect("zstd -q -9 -c /tmp/a | zstd -qdc | cmp - /tmp/a", "")
        self.expect("gzip -c /tmp/a | gzip -dc | cmp - /tmp/a", "")

    def work(self, program, option, text):
        want = host([program, option, text]).strip()
        lines = ["cat >/tmp/program <<'END'", *text.strip().splitlines(), "END"]
        self.term.send("".join(line + "\r" for line in lines))
        self.term.wait_for(PROMPT, 60)
        self.expect(f"{program} /tmp/program", want, 300)

    def power_off(self):
        """`poweroff` ends dbt-run with status 0, the terminal as it was."""
        self.term.send("poweroff\r")
        self.term.wait_for_end(0, 300)
        self.term.check_restored()

    def file_system(self):
        """The root file system was left clean, with nothing to repair."""
        at = f"{self.image}?offset={root_offset(self.image)}"
        check = subprocess.run(["e2fsck", "-fn", at], text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, env={**os.environ, "PATH": PATH}, check=False)
        if check.returncode != 0:
            raise Wrong(f"e2fsck: status {check.returncode}: {check.stdout}")
        state = host(["dumpe2fs", "-h", at], stderr=subprocess.DEVNULL)
        if not re.search(r"^Filesystem state: +clean$", state, re.MULTILINE) or "needs_recovery" in state:
            raise Wrong("the file system was not unmounted")


CASES = ["login", "running", "machine", "packages", "programs", "power_off", "file_system"]


def run_cases(guest):
    for n, name in enumerate(CASES):
        start = time.monotonic()
        try:
            getattr(guest, name)()
        except (Wrong, OSError, subprocess.SubprocessError) as e:
            print(f"FAIL  {name}: {e}\n      the last it printed:")
            for line in guest.term.text[-3000:].splitlines():
                print(f"      | {line!r}")
            # Each case builds on those before it.
            return n, len(CASES) - n
        print(f"ok    {name} ({time.monotonic() - start:.1f} s)", flush=True)
    return len(CASES), 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dbt", default=os.path.join(ROOT, "dbt-run"))
    parser.add_argument("--image")
    flags, options = parser.parse_known_args()
    image = flags.image or host([os.path.join(ROOT, "scripts", "debian-image.sh"), "--print"]).strip()
    if not os.path.exists(image):
        sys.exit(f"debian.py: no {image}: run make debian-image")
    with tempfile.TemporaryDirectory(prefix="dbt-debian.", dir=os.environ.get("TMPDIR", "/var/tmp")) as d:
        copy = os.path.join(d, "debian.img")
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", image, copy], check=True)
        term = Terminal([flags.dbt, copy] + options)
        try:
            passed, failed = run_cases(Guest(term, copy))
        finally:
            term.close()
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
