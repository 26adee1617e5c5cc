#!/usr/bin/env python3
"""Programs of Debian's in the guest: what they make of fixed work is what they make of it on this host.

    tests/guest/debian_programs.py [--dbt PATH] [--image FILE] [--files N] [OPTION...]

The image is what scripts/debian-image.sh makes, and is left as it is: a copy boots. Programs come by apt
from a repository on this host's loopback. A shared folder of N files (20000) looks the same to both.
Other options go to dbt-run. Prints a line a case; the last one is "N passed, N failed".
"""

import argparse
import difflib
import os
import random
import shutil
import subprocess
import sys
import tempfile

from boot import ROOT, Terminal, Wrong
from debian import Guest, host, run_cases

PACKAGES = "gcc libc6-dev perl python3 sqlite3 openssl git"
# By a pattern of apt's: Python's version is in its name.
TESTS = "?name(^libpython3[.][0-9]+-testsuite$)"
# What of Python's own tests asks most of a machine: numbers, memory, signals, threads, files, processes.
PYTHON_TESTS = """test_array test_binop test_bytes test_builtin test_cmath test_complex test_decimal test_dict
    test_enumerate test_exceptions test_fcntl test_float test_fractions test_generators test_hash test_hashlib
    test_heapq test_int test_io test_json test_list test_long test_math test_memoryview test_mmap test_pow
    test_queue test_random test_re test_scope test_selectors test_set test_signal test_sort test_statistics
    test_string_literals test_struct test_subprocess test_threading test_time test_tuple test_str test_zlib"""
WORK = ["gcc", "python3", "perl", "sqlite3", "openssl", "git"]
N_FOLDERS = 97


def make_keys(folder):
    """Keys, and signatures that have a random part, of the text that openssl.sh makes."""
    text = os.path.join(folder, "text")
    with open(text, "w", encoding="ascii") as f:
        f.writelines(f"{n}\n" for n in range(1, 200001))
    for name, how in (("rsa", "RSA -pkeyopt rsa_keygen_bits:2048"), ("ed25519", "ED25519"),
                      ("ec", "EC -pkeyopt ec_paramgen_curve:P-384")):
        host(["openssl", "genpkey", "-quiet", "-algorithm", *how.split(), "-out", f"{folder}/{name}.pem"],
             stderr=subprocess.DEVNULL)
    host(["openssl", "dgst", "-sha384", "-sign", f"{folder}/ec.pem", "-out", f"{folder}/ec.signature", text])
    host(["openssl", "dgst", "-sha256", "-sign", f"{folder}/rsa.pem", "-sigopt", "rsa_padding_mode:pss",
          "-out", f"{folder}/pss.signature", text])


def make_tree(folder, n_files):
    """Files that git keeps; then some are changed, removed, moved, new, links or programs."""
    chance = random.Random(3)

    def path(n):
        return os.path.join(folder, f"d{n % N_FOLDERS}", f"e{n // N_FOLDERS % 5}", f"file-{n}")

    def write(n, more=b""):
        os.makedirs(os.path.dirname(path(n)), exist_ok=True)
        with open(path(n), "wb") as f:
            f.write(chance.randbytes(chance.choice((0, 1, 100, 4095, 4096, 4097, 9000))) + more)

    for n in range(n_files):
        write(n)
    git = ["git", "-C", folder, "-c", "user.name=n", "-c", "user.email=n@n", "-c", "gc.auto=0"]
    host([*git, "init", "-q"])
    host([*git, "add", "."], stderr=subprocess.DEVNULL)
    host([*git, "commit", "-q", "-m", "all"])
    for n in range(11, n_files, 53):
        match n // 53 % 5:
            case 0:
                write(n, b"changed")
            case 1:
                os.remove(path(n))
            case 2:
                os.rename(path(n), path(n) + ".moved")
            case 3:
                os.chmod(path(n), 0o755)
            case 4:
                os.remove(path(n))
                os.symlink(f"file-{n + 1}", path(n))
    host([*git, "add", "d0"])


class Programs(Guest):
    """A Debian with programs, and a shared folder with their work and the host's answers."""

    def get_programs(self):
        """apt installs them, with all that they need, and Python's tests."""
        debs = host([os.path.join(ROOT, "scripts", "fetch-debs.sh"), *PACKAGES.split(), TESTS], stderr=None,
                    seconds=900).split()
        self.install(f"{PACKAGES} '{TESTS}'", debs)
        self.run("rm -f /root/test.list; apt-get clean")
        self.expect("dpkg --audit; dpkg-query -W -f '${db:Status-Status}\\n' | sort -u", "installed")

    def mount(self):
        """The folder; and a kernel that warns of a host that is busy is not to do so between a program's lines."""
        self.run("dmesg -n 1")
        self.expect("mount -t virtiofs share /mnt && ls /mnt/programs >/dev/null", "")

    def python_tests(self):
        """Python's own tests, of which none fails; the load of a host that is busy is no fault."""
        text, status = self.run(f"python3 -m test --timeout 600 -u none {' '.join(PYTHON_TESTS.split())} "
                                ">/tmp/python 2>&1; tail -n 60 /tmp/python; grep -q '^Result: SUCCESS' /tmp/python", 3600)
        if status != 0:
            raise Wrong(f"Python's tests: {text}")

    def same(self, name, seconds=900):
        """A script of programs/, here and in the guest."""
        def answer(folder):
            return (f"KERNELS={folder}/kernels KEYS={folder}/keys TREE={folder}/tree LC_ALL=C "
                    f"sh {folder}/programs/{name}.sh")

        want = host(["sh", "-c", answer(self.folder)], stderr=subprocess.DEVNULL, seconds=seconds)
        got, status = self.run(f"{answer('/mnt')} 2>/tmp/errors", seconds)
        if status != 0 or got != want.strip():
            errors, _ = self.run("tail -n 20 /tmp/errors")
            lines = difflib.unified_diff(want.strip().splitlines(), got.splitlines(), "host", "guest", lineterm="", n=1)
            raise Wrong("\n".join([f"{name}: status {status}, and says {errors!r}", *lines]))

    def tree(self):
        """git status and diff, find, sums and tar of the shared tree."""
        self.same("tree")

    def tree_written(self):
        """What git in the guest commits there, the host finds right."""
        git = "git -c safe.directory='*' -c user.name=n -c user.email=n@n -c gc.auto=0 -C /mnt/tree"
        _, status = self.run(f"{git} add -A >/dev/null 2>&1 && {git} commit -q -m more", 900)
        if status != 0:
            raise Wrong(f"git commit: status {status}")
        self.expect(f"{git} status --porcelain", "")
        here = ["git", "-C", os.path.join(self.folder, "tree")]
        if host([*here, "status", "--porcelain"]) != "":
            raise Wrong("git status here is not empty after the guest's commit")
        host([*here, "fsck", "--strict"], stderr=subprocess.DEVNULL, seconds=300)
        self.expect(f"{git} rev-parse HEAD", host([*here, "rev-parse", "HEAD"]).strip())
        self.run("umount /mnt")


# A case for each script, by its name.
for work in WORK:
    setattr(Programs, work, lambda self, name=work: self.same(name))

CASES = ["login", "running", "get_programs", "mount", *WORK, "tree", "tree_written", "python_tests", "power_off", "file_system"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dbt", default=os.environ.get("DBT", os.path.join(ROOT, "dbt-run")))
    parser.add_argument("--image")
    parser.add_argument("--files", type=int, default=20000)
    parser.add_argument("--only", nargs="+", choices=CASES[4:-2], help="these cases of the work alone")
    flags, options = parser.parse_known_args()
    image = flags.image or host([os.path.join(ROOT, "scripts", "debian-image.sh"), "--print"]).strip()
    if not os.path.exists(image):
        sys.exit(f"debian_programs.py: no {image}: run make debian-image")
    with tempfile.TemporaryDirectory(prefix="dbt-programs.", dir=os.environ.get("TMPDIR", "/var/tmp")) as d:
        copy, share = os.path.join(d, "debian.img"), os.path.join(d, "share")
        for name in ("keys", "tree"):
            os.makedirs(os.path.join(share, name))
        shutil.copytree(os.path.join(ROOT, "tests", "guest", "programs"), os.path.join(share, "programs"))
        shutil.copytree(os.path.join(ROOT, "bench", "kernels"), os.path.join(share, "kernels"))
        make_keys(os.path.join(share, "keys"))
        make_tree(os.path.join(share, "tree"), flags.files)
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", image, copy], check=True)
        term = Terminal([flags.dbt, copy, "--net", "user", "--share", share] + options)
        try:
            wanted = [c for c in CASES if not flags.only or c in flags.only or c not in CASES[4:-2]]
            passed, failed = run_cases("programs", wanted, Programs(term, copy, share))
        finally:
            term.close()
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
