"""Where a kernel can run: in a guest that waits for names of programs, or natively.

A guest idles between two kernels, so the emulator's own CPU time before and after one is that
kernel's cost, the translator's work included, however busy the host is meanwhile.
"""
import os
import re
import select
import subprocess
import time

from lib.kernels import die, guest_file, program

CHECKSUM = re.compile(r"^([a-z0-9]+) ([0-9a-f]{16})\s*$", re.MULTILINE)
LIMIT = float(os.environ.get("LIMIT", 600))


def cpu_seconds(pid):
    """User and system time of a process, all its threads, to the nanosecond."""
    return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3)


def boot_command(command, initrd):
    return [*command.split(), "-kernel", guest_file("KERNEL"), "-initrd", str(initrd),
            "-append", "console=ttyS0"]


class Guest:
    """One booted emulator, `name` to the reader of the table."""

    def __init__(self, name, command, initrd, log):
        self.name = name
        self.log = open(log, "wb")
        self.text = ""
        self.process = subprocess.Popen(boot_command(command, initrd), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.wait_for(r"bench: ready\s")

    @property
    def pid(self):
        return self.process.pid

    def wait_for(self, pattern):
        """What came before the match, which must come within the limit."""
        end = time.monotonic() + LIMIT
        while True:
            match = re.search(pattern, self.text)
            if match:
                before, self.text = self.text[:match.start()], self.text[match.end():]
                return before, match
            pipe = self.process.stdout
            data = b""
            if select.select([pipe], [], [], max(0, end - time.monotonic()))[0]:
                data = os.read(pipe.fileno(), 65536)
            if not data:
                self.process.kill()
                die(f"{self.name} ended or hung (status {self.process.wait()}) when it should "
                    f"have said '{pattern}'; see {self.log.name}")
            self.log.write(data)
            self.log.flush()
            self.text += data.decode("utf-8", "replace").replace("\r", "")

    def settle(self):
        """The CPU time once the emulator idles."""
        now = cpu_seconds(self.pid)
        for _ in range(100):
            time.sleep(0.01)
            before, now = now, cpu_seconds(self.pid)
            if now - before < 0.0005:
                break
        return now

    def run(self, kernel):
        """CPU seconds and the checksum."""
        start = self.settle()
        self.process.stdin.write(f"{kernel}\n".encode())
        self.process.stdin.flush()
        before, match = self.wait_for(rf"bench: status (\d+) of {kernel}\n")
        cpu = self.settle() - start
        if cpu <= 0:
            die(f"{self.name} took no time for {kernel}: the command must become the emulator, by exec")
        if match[1] != "0":
            die(f"{kernel} under {self.name} ended with status {match[1]}; see {self.log.name}")
        return cpu, checksum(before, kernel, self.name)

    def power_off(self):
        """Ends as a machine does, with all logs written."""
        self.process.stdin.write(b"\4")
        self.process.stdin.flush()
        self.wait_for(r"bench: off\n")
        self.process.wait(timeout=LIMIT)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.log.close()


class Native:
    """The host itself."""

    def __init__(self, out, name="native"):
        self.out = out
        self.name = name

    def run(self, kernel):
        process = subprocess.Popen([str(program(self.out, "native", kernel))],
                                   stdout=subprocess.PIPE, text=True)
        text = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        if process.returncode != 0:
            die(f"{kernel} ended with status {process.returncode} natively")
        return usage.ru_utime + usage.ru_stime, checksum(text, kernel, self.name)

    def close(self):
        pass


def checksum(text, kernel, where):
    found = CHECKSUM.search(text)
    if not found or found[1] != kernel:
        die(f"{kernel} under {where} printed no result, but: {text[-200:]!r}")
    return found[2]


def pss_mib(pid):
    """Counts a page once that is mapped twice, as a translator does with its code."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0


def boot(name, command, log, watch=lambda pid: None):
    """Boots the guest that switches itself off, watched ten times a second: what it used."""
    end = time.monotonic() + LIMIT
    with open(log, "wb") as console:
        process = subprocess.Popen(boot_command(command, guest_file("AUTO")),
                                   stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        while True:
            watch(process.pid)
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > end:
                process.kill()
            time.sleep(0.1)
    process.returncode = os.waitstatus_to_exitcode(status)
    with open(log, "rb") as console:
        if process.returncode != 0 or b"dbt: guest done" not in console.read():
            die(f"{name} did not boot (status {process.returncode}), see {log}")
    return usage


def boot_cpu(name, command, log):
    """CPU seconds."""
    usage = boot(name, command, log)
    return usage.ru_utime + usage.ru_stime


def boot_cost(name, command, log):
    """CPU seconds, and peak memory both ways, of two boots: who asks for the memory stops the
    other from changing its mappings for so long, and with two harts that cost it 5 %."""
    pss = [0]
    cpu = boot_cpu(name, command, log)
    usage = boot(name, command, log, lambda pid: pss.append(pss_mib(pid)))
    return {"cpu": cpu, "rss": usage.ru_maxrss / 1024, "pss": max(pss)}
