#!/usr/bin/env python3
"""Debian's installer, from its kernel and initramfs, on the serial line, as a person would use it.

    tests/guest/installer.py [--dbt PATH] [OPTION...]

Needs what scripts/fetch-guest.sh --installer puts into the cache. To the menu of languages and
beyond, with a network and an empty disk. Prints a line a case; the last one is "N passed, N failed".
"""

import argparse
import os
import sys
import tempfile
import time

from boot import ROOT, Terminal, Wrong, guest_file

# The keys of a VT102, as a person's terminal sends them.
UP, DOWN, ENTER = "\x1b[A", "\x1b[B", "\r"
# The installer runs in a screen, whose key is Ctrl-A: ours, so it is typed twice.
SCREEN = "\x01\x01"


class Installer:
    """An installer on its way. Each case is a method and builds on those before it."""

    def __init__(self, term):
        self.term = term

    def language(self):
        """The first menu: kernel, initramfs and all of the installer's start."""
        self.term.wait_for("Select a language", 600)
        self.term.wait_for("Choose the language to be used for the installation process.", 60)
        self.term.wait_for("English", 60)

    def keys(self):
        """Arrows move, Enter takes: from C, past which is English, to where the person lives."""
        self.term.send(UP + DOWN + ENTER)
        self.term.wait_for("Select your location", 120)
        self.term.wait_for("United States", 60)
        self.term.send(ENTER)
        self.term.wait_for("Configure the keyboard", 300)
        self.term.send(ENTER)

    def network(self):
        """It finds the card, gets an address by DHCP, and asks for the machine's name."""
        self.term.wait_for("Configure the network", 600)
        self.term.wait_for("Please enter the hostname for this system.", 600)

    def shell(self):
        """Its second window is a shell: a disk and a card."""
        self.term.send(SCREEN + "2")
        self.term.wait_for("built-in shell (ash)", 60)
        self.term.send("echo machine=$(uname -m) devices=$(ls /sys/bus/virtio/devices | wc -l)\r")
        self.term.wait_for("machine=riscv64 devices=2", 60)
        self.term.send("ip -4 -o addr show scope global\r")
        self.term.wait_for("10.0.2.15/24", 60)

    def end(self):
        """Ctrl-A x ends it, the terminal as it was."""
        self.term.send("\x01x")
        self.term.wait_for_end(0, 60)
        self.term.check_restored()


CASES = ["language", "keys", "network", "shell", "end"]


def run_cases(installer):
    """How many passed and failed; after one that fails the others cannot run."""
    for n, name in enumerate(CASES):
        start = time.monotonic()
        try:
            getattr(installer, name)()
        except (Wrong, OSError) as e:
            print(f"FAIL  installer: {name}: {e}\n      the last it printed:")
            for line in installer.term.text[-3000:].splitlines():
                print(f"      | {line!r}")
            return n, len(CASES) - n
        print(f"ok    installer: {name} ({time.monotonic() - start:.1f} s)", flush=True)
    return len(CASES), 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dbt", default=os.environ.get("DBT", os.path.join(ROOT, "dbt-run")))
    flags, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="dbt-installer.", dir=os.environ.get("TMPDIR", "/var/tmp")) as d:
        disk = os.path.join(d, "disk.img")
        with open(disk, "wb") as f:
            f.truncate(8192 * 512)
        # No -append: the board's device tree says where the console is.
        term = Terminal([flags.dbt, "-kernel", guest_file("DI_KERNEL"), "-initrd", guest_file("DI_INITRD"),
                         "--drive", disk, "--net", "user"] + options)
        try:
            passed, failed = run_cases(Installer(term))
        finally:
            term.close()
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
