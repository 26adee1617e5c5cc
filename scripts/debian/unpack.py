#!/usr/bin/env python3
"""Unpacks Debian packages into an empty folder, as dpkg would, but runs none of their scripts.

    fakeroot -s STATE scripts/debian/unpack.py ROOT PACKAGE.deb...

So it works for any architecture. dpkg's status says afterwards that all are unpacked and none is
configured: `dpkg --configure -a` inside the guest does the rest, once the preinst scripts have
been run there. Under fakeroot, because the files belong to root and others.
"""

import hashlib
import os
import re
import subprocess
import sys
import tempfile


class Package:
    """One .deb: its control fields, and what goes into dpkg's folder info/."""

    def __init__(self, deb):
        self.deb = deb
        self.info = tempfile.TemporaryDirectory(prefix="dbt-control.")
        subprocess.run(["dpkg-deb", "--control", deb, self.info.name], check=True)
        with open(os.path.join(self.info.name, "control"), encoding="utf-8") as f:
            self.control = f.read().strip("\n")
        self.name = self.field("Package")
        # dpkg tells packages that may be there for several architectures apart by their file names.
        self.stem = self.name
        if self.field("Multi-Arch") == "same":
            self.stem += ":" + self.field("Architecture")

    def field(self, name):
        found = re.search(rf"^{name}:\s*(.*)$", self.control, re.MULTILINE | re.IGNORECASE)
        return found.group(1).strip() if found else ""

    def lines(self, member):
        path = os.path.join(self.info.name, member)
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as f:
            return [line.split("#")[0].strip() for line in f if line.split("#")[0].strip()]

    def unpack(self, root):
        """The files; returns their names, folders first, as dpkg lists them."""
        data = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", self.deb], stdout=subprocess.PIPE)
        # /bin and others are links into /usr, which an older package must not replace.
        names = subprocess.run(["tar", "-xvp", "--numeric-owner", "--keep-directory-symlink",
                                "--quoting-style=literal", "-C", root],
                               stdin=data.stdout, stdout=subprocess.PIPE, text=True, check=True)
        data.stdout.close()
        if data.wait() != 0:
            sys.exit(f"unpack.py: dpkg-deb cannot unpack {self.deb}")
        return ["/" + name[2:].rstrip("/") if name.rstrip("/") != "." else "/."
                for name in names.stdout.splitlines()]

    def status(self, root):
        """The stanza of dpkg's status file. The conffiles are in place already, so their sums
        are the packaged ones, and dpkg looks for no .dpkg-new."""
        stanza = self.control.replace(f"Package: {self.name}",
                                      f"Package: {self.name}\nStatus: install ok unpacked", 1)
        conffiles = [line.split()[-1] for line in self.lines("conffiles")
                     if not line.startswith("remove-on-upgrade ")]
        if conffiles:
            stanza += "\nConffiles:"
        for name in conffiles:
            with open(root + name, "rb") as f:
                stanza += f"\n {name} {hashlib.md5(f.read()).hexdigest()}"
        return stanza + "\n\n"

    def install_info(self, info, names):
        for member in os.listdir(self.info.name):
            if member != "control":
                source, target = (os.path.join(folder, name) for folder, name in
                                  ((self.info.name, member), (info, f"{self.stem}.{member}")))
                subprocess.run(["cp", source, target], check=True)
        write(os.path.join(info, self.stem + ".list"), "".join(name + "\n" for name in names))


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def trigger_files(packages):
    """dpkg's triggers/: who is interested in which path (File) and in which name (a file each)."""
    files = {"File": ""}
    for package in packages:
        for line in package.lines("triggers"):
            directive, name = line.split()
            kind = {"interest": "", "interest-await": "",
                    "interest-noawait": "/noawait"}.get(directive)
            if kind is None:
                continue
            if name.startswith("/"):
                files["File"] += f"{name} {package.stem}{kind}\n"
            else:
                files[name] = files.get(name, "") + f"{package.stem}{kind}\n"
    return files


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    root = sys.argv[1]
    packages = sorted((Package(deb) for deb in sys.argv[2:]),
                      key=lambda p: (p.name != "base-files", p.name))
    database = os.path.join(root, "var/lib/dpkg")
    info = os.path.join(database, "info")
    # base-files comes first and brings the links /bin -> usr/bin, so nothing may be there before.
    unpacked = [(package, package.unpack(root)) for package in packages]
    for folder in ("info", "updates", "triggers", "alternatives", "parts"):
        os.makedirs(os.path.join(database, folder), exist_ok=True)
    write(os.path.join(info, "format"), "1\n")
    for package, names in unpacked:
        package.install_info(info, names)
    write(os.path.join(database, "status"), "".join(p.status(root) for p, _ in unpacked))
    write(os.path.join(database, "available"), "")
    for name, text in trigger_files(packages).items():
        write(os.path.join(database, "triggers", name), text)


if __name__ == "__main__":
    main()
