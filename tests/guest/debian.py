#!/usr/bin/env python3
"""Boots Debian from its disk image, as `make run-debian` does, works in it and shuts it down.

    tests/guest/debian.py [--dbt PATH] [--image FILE] [-smp N] [OPTION...]

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
from debian_apt_repo import serve

# A shell that neither edits nor echoes what is typed, so that what comes back is its answer.
PROMPT = "ready for more> "
SHELL = f"stty -echo; exec env PS1='{PROMPT}' PS2= PAGER=cat SYSTEMD_COLORS=0 LC_ALL=C bash --norc --noediting"
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"

def host(command, seconds=60, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, timeout=seconds,
                          env={**os.environ, "PATH": PATH}, **options).stdout


def root_offset(image):
    """Where the root partition begins, in bytes."""
    table = json.loads(host(["sfdisk", "-J", image]))["partitiontable"]
    root = next(part for part in table["partitions"] if part["name"] == "root")
    return root["start"] * table.get("sectorsize", 512)


class Guest:
    """A booted Debian. Each case is a method and builds on those before it."""

    def __init__(self, term, image, folder, harts):
        self.term = term
        self.harts = harts
        self.image = image
        self.folder = folder

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
        self.expect("nproc", self.harts)
        self.expect("findmnt -no SOURCE,FSTYPE /", "/dev/vda1 ext4")
        self.expect("findmnt -no SOURCE,FSTYPE /boot/efi", "/dev/vda15 vfat")
        self.expect("tty", "/dev/ttyS0")
        now, _ = self.run("date +%s")
        if abs(int(now) - time.time()) > 60:
            raise Wrong(f"the guest's clock is {int(now) - int(time.time())} s from the host's")

    def packages(self):
        """dpkg and apt find nothing amiss in what the second stage configured."""
        self.expect("dpkg --audit", "")
        self.expect("stat -c '%U %G %a' /usr/bin/passwd /usr/bin/chage /etc/shadow | tr '\\n' ,",
                    "root root 4755,root shadow 2755,root shadow 640,")
        self.expect("dpkg-query -W -f '${db:Status-Status}\\n' | sort -u", "installed")
        _, status = self.run("apt-get check")
        if status != 0:
            raise Wrong("apt-get check fails")
        # The files are those of the packages, their sums made by the guest.
        self.expect("cd /; md5sum --quiet -c /var/lib/dpkg/info/{bash,coreutils,perl-base}.md5sums; "
                    "cd", "", 300)

    def programs(self):
        """openssl, zstd and gzip compute what they compute here; debian_programs.py has more."""
        text = "".join(f"{n} {n * n % 9973}\n" for n in range(1, 100001)).encode()
        self.run("perl -e 'print \"$_ \", $_ * $_ % 9973, \"\\n\" for 1 .. 100000' >/tmp/a")
        for option, name in (("sha256", "sha256"), ("sha3-512", "sha3_512"), ("blake2b512", "blake2b")):
            self.expect(f"openssl dgst -r -{option} /tmp/a | cut -d' ' -f1",
                        hashlib.new(name, text).hexdigest())
        self.expect("zstd -q -9 -c /tmp/a | zstd -qdc | cmp - /tmp/a", "")
        self.expect("gzip -c /tmp/a | gzip -dc | cmp - /tmp/a", "")

    def extlinux(self):
        """U-Boot found extlinux.conf and loaded this kernel itself."""
        if not re.search("Retrieving file: /boot/vmlinux", self.term.text):
            raise Wrong("U-Boot loaded no kernel by extlinux.conf")
        self.expect("test ! -d /sys/firmware/efi", "")

    def efi(self):
        """It was U-Boot's EFI and systemd-boot that loaded this kernel."""
        if "EFI stub: Booting Linux Kernel" not in self.term.text:
            raise Wrong("the kernel's EFI stub did not run")
        self.expect("test -d /sys/firmware/efi", "")
        self.expect("cat /etc/machine-id | wc -c", "33")

    def network(self):
        """The card has the address that DHCP gave it; the names' server is known."""
        self.expect("networkctl --no-legend --no-pager list eth0 | awk '{ print $4, $5 }'", "routable configured")
        self.expect("ip -4 -br addr show eth0 | awk '{ print $2, $3 }'", "UP 10.0.2.15/24")
        self.expect("resolvectl dns eth0 | awk '{ print $NF }'", "10.0.2.3")

    def install(self, packages, debs=()):
        """By apt, from a repository on this host's loopback that has these packages' files."""
        only = "-o Dir::Etc::sourcelist=/root/test.list -o Dir::Etc::sourceparts=/dev/null"
        with tempfile.TemporaryDirectory(prefix="dbt-repo.") as folder:
            self.run(f"echo 'deb [trusted=yes] http://10.0.2.2:{serve(folder, debs)}/ ./' >/root/test.list")
            for step in ("update", f"-y --no-install-recommends install {packages}"):
                text, status = self.run(f"DEBIAN_FRONTEND=noninteractive apt-get -q {only} {step}", 1800)
                if status != 0:
                    raise Wrong(f"apt-get {step}: {text}")

    def apt(self):
        """apt installs packages from a repository on this host's loopback, and removes them."""
        self.install("dbt-hello")
        self.expect("dbt-hello", "hello: configure")
        self.run("apt-get -qq -y --autoremove purge dbt-hello")
        self.expect("dpkg-query -W 'dbt-hello*' 2>/dev/null | wc -l", "0")
        self.run("rm -rf /root/test.list /usr/share/dbt-hello")

    def share(self):
        """A folder of this host's, both ways."""
        with open(os.path.join(self.folder, "from-host"), "w", encoding="utf-8") as f:
            f.write("hello from the host\n")
        self.expect("mount -t virtiofs share /mnt && cat /mnt/from-host", "hello from the host")
        self.expect("tar -C /usr/lib -cf /mnt/archive.tar systemd && umount /mnt", "")
        want, _ = self.run("tar -C /usr/lib -cf - systemd | sha256sum | cut -d' ' -f1")
        got = host(["sha256sum", os.path.join(self.folder, "archive.tar")]).split()[0]
        if got != want:
            raise Wrong(f"an archive made by the guest has the sum {got} here, {want} there")

    def reboot(self):
        """`reboot` goes through the firmware and U-Boot again."""
        self.term.send("reboot\r")
        self.login()

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


# By extlinux, from whose partition U-Boot boots first; then by EFI, with a network card and a shared folder.
BOOTS = {
    "extlinux": ["login", "extlinux", "running", "machine", "packages", "programs", "reboot", "running",
                 "power_off", "file_system"],
    "EFI, network, folder": ["login", "efi", "running", "network", "apt", "share", "power_off", "file_system"],
}


def run_cases(boot, cases, guest):
    """How many passed and failed; after one that fails the others cannot run."""
    for n, name in enumerate(cases):
        start = time.monotonic()
        try:
            getattr(guest, name)()
        except (Wrong, OSError, subprocess.SubprocessError) as e:
            print(f"FAIL  {boot}: {name}: {e}\n      the last it printed:")
            for line in guest.term.text[-3000:].splitlines():
                print(f"      | {line!r}")
            return n, len(cases) - n
        print(f"ok    {boot}: {name} ({time.monotonic() - start:.1f} s)", flush=True)
    return len(cases), 0


def boot_image(image, folder, command, harts):
    """Both boots of a disk, the second after what the first wrote to it."""
    passed = failed = 0
    for boot in BOOTS:
        if boot.startswith("EFI"):
            # Without the mark on the root partition U-Boot looks at the EFI system partition only.
            host(["sfdisk", "-q", "--part-attrs", image, "1", ""])
            command = command + ["--net", "user", "--share", folder]
        term = Terminal(command)
        try:
            counts = run_cases(boot, BOOTS[boot], Guest(term, image, folder, harts))
        finally:
            term.close()
        passed, failed = passed + counts[0], failed + counts[1]
    return passed, failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dbt", default=os.environ.get("DBT", os.path.join(ROOT, "dbt-run")))
    parser.add_argument("--image")
    parser.add_argument("-smp", default="1")
    flags, options = parser.parse_known_args()
    image = flags.image or host([os.path.join(ROOT, "scripts", "debian-image.sh"), "--print"]).strip()
    if not os.path.exists(image):
        sys.exit(f"debian.py: no {image}: run make debian-image")
    with tempfile.TemporaryDirectory(prefix="dbt-debian.", dir=os.environ.get("TMPDIR", "/var/tmp")) as d:
        copy, share = os.path.join(d, "debian.img"), os.path.join(d, "share")
        os.mkdir(share)
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", image, copy], check=True)
        passed, failed = boot_image(copy, share, [flags.dbt, copy, "-smp", flags.smp] + options, flags.smp)
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
