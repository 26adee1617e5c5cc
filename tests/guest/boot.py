#!/usr/bin/env python3
"""Boots the real guest through a pseudo-terminal, as a person would.

    tests/guest/boot.py [--dbt PATH] [--quick | --check]

Needs what scripts/fetch-guest.sh puts into the cache. --quick: the translator with the built-in
firmware only. --check: programs in the guest, every block run by both engines. Prints a line a
case; the last one is "N passed, N failed".
"""

import argparse
import fcntl
import hashlib
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import tty

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Wrong(Exception):
    """What a case did not find; its text is for a person."""


def guest_file(what):
    script = os.path.join(ROOT, "scripts", "fetch-guest.sh")
    path = subprocess.check_output([script, "--print", what], text=True, timeout=30).strip()
    if not os.path.exists(path):
        installer = " --installer" if what.startswith("DI_") else ""
        sys.exit(f"boot.py: no {path}: run scripts/fetch-guest.sh{installer}")
    return path


def lead_session():
    """In the child: the terminal is its controlling one and it is in the foreground, as when
    a shell starts it. Otherwise dbt-run rightly leaves the modes alone."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """dbt-run with a new pseudo-terminal as its standard input, output and error.

    The slave side stays open here, so that its modes can still be asked for when the
    process is gone.
    """

    def __init__(self, command):
        self.master, self.slave = pty.openpty()
        # A shell's terminal is cooked; what we must get back is exactly this.
        self.before = termios.tcgetattr(self.slave)
        self.text = ""
        self.seen = 0  # self.text up to here was consumed by wait_for()
        self.unasked = b""  # what came behind the last question where the cursor is
        self.process = subprocess.Popen(command, stdin=self.slave, stdout=self.slave,
                                        stderr=self.slave, preexec_fn=lead_session)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def read(self, seconds):
        """Takes what the guest printed within the time; False if nothing came."""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        data = os.read(self.master, 65536)
        # Who asks where the cursor is gets an answer: in the corner, where vi sent it to learn
        # the terminal's size, or nowhere in particular. Either may come in two pieces.
        *asked, self.unasked = (self.unasked + data).split(b"\x1b[6n")
        for before in asked:
            os.write(self.master, b"\x1b[24;80R" if b"999;999H" in before else b"\x1b[1;1R")
        self.text += data.decode("utf-8", "replace")
        return bool(data)

    def wait_for(self, words, seconds):
        """The text up to and with the words, which must come within the time."""
        end = time.monotonic() + seconds
        while True:
            at = self.text.find(words, self.seen)
            if at >= 0:
                start, self.seen = self.seen, at + len(words)
                return self.text[start:self.seen]
            left = end - time.monotonic()
            if left <= 0:
                raise Wrong(f"no {words!r} within {seconds} s")
            if not self.read(min(left, 0.2)) and self.process.poll() is not None:
                raise Wrong(f"ended with status {self.process.returncode} before {words!r}")

    def send(self, text):
        os.write(self.master, text.encode())

    def wait_for_end(self, status, seconds):
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            if time.monotonic() > end:
                raise Wrong(f"still runs after {seconds} s")
            self.read(0.1)
        while self.read(0):
            pass
        if self.process.returncode != status:
            raise Wrong(f"ended with status {self.process.returncode}, not {status}")

    def resize(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[tty.LFLAG] & termios.ICANON

    def check_restored(self):
        if termios.tcgetattr(self.slave) != self.before:
            raise Wrong("the terminal's modes are not as they were")


def expect(pattern, text):
    if not re.search(pattern, text, re.MULTILINE):
        raise Wrong(f"no {pattern!r} in {text!r}")


def command(term, line, seconds=30):
    term.send(line + "\r")
    # Asked for by its end, so the echo of what was typed is part of the answer.
    return term.wait_for("/ # ", seconds)


def shell_case(term):
    """To the prompt, three commands, power-off."""
    term.wait_for("/ # ", 120)
    expect(r"^Linux .* riscv64 GNU/Linux", command(term, "uname -a"))
    expect(r"^isa\s*: rv64imafdc", command(term, "cat /proc/cpuinfo"))
    term.send("poweroff -f\r")
    term.wait_for_end(0, 60)
    term.check_restored()


def settle(term, seconds=20):
    """Until the shell has asked where the cursor is, as it does unless keys wait for it. Else the
    answer would come behind the next line, to the program that this starts: vi takes it for its own."""
    try:
        term.wait_for("\x1b[6n", seconds)
    except Wrong:
        pass


def edit_with_vi(term):
    """Two lines typed, one of them changed, written and read back."""
    settle(term)
    term.send("vi c\r")
    term.wait_for("- c 1/1", 120)
    term.send("ifirst\rsecond\x1b")
    term.wait_for("- c [Modified] 2/2", 120)
    term.send(":%s/sec/dia/\r")
    term.wait_for("\x1b[2;1Hdia", 120)
    term.send(":wq\r")
    term.wait_for("/ # ", 120)
    expect(r"^first\s+diaond\s", command(term, "cat c", 120))


def programs_case(term):
    """gzip, sha256sum, awk and vi against this machine's answers."""
    text = "".join(f"{n} {n * n % 9973}\n" for n in range(1, 2001)).encode()
    term.wait_for("/ # ", 300)
    command(term, "awk 'BEGIN { for (n = 1; n <= 2000; n++) print n, n * n % 9973 }' >a", 120)
    expect(hashlib.sha256(text).hexdigest(), command(term, "sha256sum a", 120))
    command(term, "gzip -9 a && gzip -dc a.gz >b", 120)
    expect(hashlib.sha256(text).hexdigest(), command(term, "sha256sum b", 120))
    expect(rf"\b{sum(n * n % 9973 for n in range(1, 2001))}\b",
           command(term, "awk '{ s += $2 } END { print s }' b", 120))
    edit_with_vi(term)
    term.send("poweroff -f\r")
    term.wait_for_end(0, 120)
    term.check_restored()


def init_case(term):
    """To the guest's init, help, then Ctrl-A x."""
    term.wait_for("dbt: guest ready", 240)
    if not term.is_raw():
        raise Wrong("the terminal was not in raw mode")
    term.send("\x01x")
    term.wait_for_end(0, 30)
    term.check_restored()


def help_case(term):
    """Ctrl-A h prints help while the guest runs on; Ctrl-A x ends it."""
    term.wait_for("Linux version", 60)
    term.send("\x01h")
    term.wait_for("Ctrl-A", 30)
    term.send("\x01x")
    term.wait_for_end(0, 30)
    term.check_restored()


def sigterm_case(term):
    """SIGTERM ends dbt-run in mid-boot, with the terminal given back."""
    term.wait_for("Linux version", 60)
    if not term.is_raw():
        raise Wrong("the terminal was not in raw mode")
    term.process.send_signal(signal.SIGTERM)
    end = time.monotonic() + 30
    while term.process.poll() is None:
        if time.monotonic() > end:
            raise Wrong("still runs 30 s after SIGTERM")
        term.read(0.1)
    # By the signal, or with a shell's status for it.
    if term.process.returncode not in (-signal.SIGTERM, 128 + signal.SIGTERM):
        raise Wrong(f"ended with status {term.process.returncode} after SIGTERM")
    term.check_restored()


def hang_up_case(term):
    """A terminal that is closed ends the machine in it."""
    term.wait_for("Linux version", 60)
    for end in (term.slave, term.master):
        os.close(end)
    # For close(), which closes them.
    term.slave, term.master = (os.open(os.devnull, os.O_RDWR) for _ in range(2))
    try:
        status = term.process.wait(30)
    except subprocess.TimeoutExpired:
        raise Wrong("still runs 30 s after its terminal was closed") from None
    if status not in (-signal.SIGHUP, 128 + signal.SIGHUP):
        raise Wrong(f"ended with status {status} when its terminal was closed")


def stop_case(term):
    """kill -TSTP gives the terminal back until SIGCONT; then the guest goes on."""
    term.wait_for("/ # ", 60)
    term.process.send_signal(signal.SIGTSTP)
    end = time.monotonic() + 10
    while open(f"/proc/{term.process.pid}/stat").read().rpartition(")")[2].split()[0] != "T":
        if time.monotonic() > end:
            raise Wrong("does not stop after SIGTSTP")
        term.read(0.1)
    if term.is_raw():
        raise Wrong("stopped, but the terminal is raw")
    term.process.send_signal(signal.SIGCONT)
    while not term.is_raw():
        if time.monotonic() > end:
            raise Wrong("went on, but the terminal is not raw")
        term.read(0.1)
    term.send("poweroff -f\r")
    term.wait_for_end(0, 60)
    term.check_restored()


def monitor_case(term):
    """Ctrl-A c: the guest stands still for as long as the monitor says so, and its clock too."""
    term.wait_for("/ # ", 60)
    term.send("\x01c")
    term.wait_for("(dbt) ", 30)
    term.send("stop\rinfo status\r")
    term.wait_for("stopped", 30)
    term.send("info registers\r")
    term.wait_for("satp", 30)
    term.send("\x01c")
    term.wait_for("Keys go to the guest", 30)
    term.send("cat /proc/uptime\r")
    before = len(term.text)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        term.read(0.1)
    if "cat" in term.text[before:]:
        raise Wrong("the guest answers though it was stopped")
    term.send("\x01ccont\r\x01c")
    text = term.wait_for("/ # ", 60)
    expect(r"^\d+\.\d+ ", text)
    uptime = float(re.search(r"^(\d+\.\d+) ", text, re.MULTILINE)[1])
    if uptime > 5:
        raise Wrong(f"the guest's clock went on to {uptime} s while it was stopped")
    # A machine that starts anew does not cut off who types at it.
    term.send("\x01csystem_reset\r")
    term.wait_for("/ # ", 60)
    # The terminal's answer to the new shell went to the monitor, too: Ctrl-U.
    term.send("\x15info status\r")
    term.wait_for("running", 30)
    term.send("q\r")
    term.wait_for_end(0, 30)
    term.check_restored()


def stuck_case(term, keys="\x01x"):
    """Nobody reads what a guest writes without end: Ctrl-A x ends it all the same."""
    term.wait_for("/ # ", 60)
    term.send("yes\r")
    time.sleep(3)
    term.send(keys)
    try:
        term.process.wait(30)
    except subprocess.TimeoutExpired:
        raise Wrong("still runs after 30 s") from None
    term.wait_for_end(0, 1)
    term.check_restored()


def stuck_quit_case(term):
    """And so does the monitor's quit, for which the hart waits in vain."""
    stuck_case(term, "\x01cquit\r")


def harts_case(n):
    """The shell sees n harts, and each of them does something; then the monitor, and power-off."""
    def case(term):
        term.wait_for("/ # ", 120)
        if len(re.findall(r"^hart\s*:", command(term, "cat /proc/cpuinfo"), re.MULTILINE)) != n:
            raise Wrong(f"not {n} harts in /proc/cpuinfo")
        command(term, f"for i in $(seq {4 * n}); do "
                "(n=0; while [ $n -lt 9000 ]; do n=$((n+1)); done) & done; wait", 120)
        busy = [int(line.split()[1]) for line in command(term, "cat /proc/stat").splitlines()
                if re.match(r"cpu\d", line)]
        if len(busy) != n or not all(busy):
            raise Wrong(f"the harts' times in user mode are {busy}")
        term.send("\x01c")
        term.wait_for("(dbt) ", 30)
        term.send("info cpus\r")
        for i in range(n):
            term.wait_for(f"CPU #{i}: thread_id=", 30)
        term.send(f"cpu {n - 1}\rinfo registers\r")
        term.wait_for("satp", 30)
        term.send(f"cpu {n}\r")
        term.wait_for(f"there are 0 to {n - 1}", 30)
        term.send("info registers -a\r")
        for i in range(n):
            term.wait_for(f"CPU#{i}\r", 30)
        term.send("stop\rinfo status\r")
        term.wait_for("stopped", 30)
        term.send("cont\r\x01c")
        term.wait_for("Keys go to the guest", 30)
        command(term, "cat /proc/uptime")
        term.send("\x01csystem_reset\r")
        term.wait_for("/ # ", 120)
        term.send("\x15\x01c")
        term.wait_for("Keys go to the guest", 30)
        term.send("poweroff -f\r")
        term.wait_for_end(0, 60)
        term.check_restored()
    return case


def console_case(term):
    """A shell on the virtio console, which has the terminal's size, and hears when that changes."""
    term.resize(33, 101)
    term.wait_for("/ # ", 120)
    expect(r"^33 101\s", command(term, "stty size </dev/hvc0"))
    term.resize(40, 132)
    time.sleep(0.5)  # the interrupt takes its time; then the shell draws its prompt anew
    term.send("stty size </dev/hvc0\r")
    term.wait_for("40 132", 30)
    term.send("seq 9999; echo end-of-$((40 + 2))\r")
    text = term.wait_for("end-of-42", 60)
    if re.findall(r"^(\d+)\s", text, re.MULTILINE)[-9999:] != [str(n) for n in range(1, 10000)]:
        raise Wrong("9999 lines did not all arrive")
    term.send("poweroff -f\r")
    term.wait_for_end(0, 60)
    term.check_restored()


def console_initrd():
    """An initramfs with the module and an init of its own."""
    path = os.path.join(ROOT, "out", "test", "console.cpio.gz")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    subprocess.check_call([os.path.join(ROOT, "scripts", "make-initramfs.sh"), path,
                           os.path.join(ROOT, "tests", "guest", "disk", "init-console"),
                           guest_file("MODULES") + "/virtio_mmio.ko:/modules/virtio_mmio.ko"])
    return path


CASES = [
    ("builtin, jit: shell", [], shell_case, True),
    ("opensbi, jit: shell", ["--firmware", "opensbi"], shell_case, False),
    ("virtio console", ["--console", "mon:stdio", "-initrd", console_initrd], console_case, False),
    ("2 harts", ["-smp", "2"], harts_case(2), False),
    ("4 harts, opensbi", ["-smp", "4", "--firmware", "opensbi"], harts_case(4), False),
    ("4 harts, SIGTERM", ["-smp", "4"], sigterm_case, False),
    ("Ctrl-A h", [], help_case, False),
    ("Ctrl-A c", [], monitor_case, False),
    ("Ctrl-A x, unread", [], stuck_case, False),
    ("quit, unread", [], stuck_quit_case, False),
    ("SIGTERM", [], sigterm_case, False),
    ("closed terminal", [], hang_up_case, False),
    ("SIGTSTP, SIGCONT", [], stop_case, False),
    ("builtin, interp: init, Ctrl-A x", ["--engine", "interp"], init_case, False),
]


CHECK = ["--engine", "check", "--time", "virtual"]
CHECK_CASES = [
    ("builtin, check: programs", CHECK, programs_case, True),
    ("opensbi, check: programs", CHECK + ["--firmware", "opensbi"], programs_case, True),
]


def run(name, options, case, arguments):
    start = time.monotonic()
    term = Terminal(arguments + [o() if callable(o) else o for o in options])
    try:
        case(term)
    except (Wrong, OSError) as e:
        print(f"FAIL  {name}: {e}")
        print("      the last it printed:")
        for line in term.text[-1500:].splitlines():
            print(f"      | {line!r}")
        return False
    finally:
        term.close()
    print(f"ok    {name} ({time.monotonic() - start:.1f} s)", flush=True)
    return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dbt", default=os.environ.get("DBT", os.path.join(ROOT, "dbt-run")))
    parser.add_argument("--quick", action="store_true", help="jit and built-in firmware only")
    parser.add_argument("--check", action="store_true", help="programs under --engine check")
    flags = parser.parse_args()
    arguments = [flags.dbt, "-kernel", guest_file("KERNEL"), "-initrd", guest_file("INITRD"),
                 "-append", "console=ttyS0"]
    cases = CHECK_CASES if flags.check else CASES
    results = [run(name, options, case, arguments)
               for name, options, case, quick in cases if quick or not flags.quick]
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
