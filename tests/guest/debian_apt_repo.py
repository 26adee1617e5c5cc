"""A Debian repository with two packages of its own, and of Debian's those that one names, served on this
host's loopback."""

import functools
import hashlib
import http.server
import os
import subprocess
import threading

# What the program of the package says, once its data came whole.
PROGRAM = "#!/bin/sh\ncd /usr/share/dbt-hello && sha256sum --quiet -c sums && cat configured\n"
POSTINST = "#!/bin/sh\nset -e\necho \"hello: $1\" >/usr/share/dbt-hello/configured\n"
PACKAGES = {
    "dbt-hello": {"depends": "dbt-hello-data (= 1.0)", "files": {"usr/bin/dbt-hello": PROGRAM},
                  "scripts": {"postinst": POSTINST}},
}
N_BYTES = 3 << 20


def write(path, content, mode):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(content if isinstance(content, bytes) else content.encode())
    os.chmod(path, mode)


def build(folder, name, depends="", files=None, scripts=None):
    """Makes the package; returns its stanza of the index."""
    root, deb = os.path.join(folder, name + ".d"), os.path.join(folder, name + ".deb")
    control = f"Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody <n@localhost>\n"
    control += f"Depends: {depends}\n" if depends else ""
    control += "Description: a test\n"
    for path, content in (files or {}).items():
        write(os.path.join(root, path), content, 0o755)
    for script, content in (scripts or {}).items():
        write(os.path.join(root, "DEBIAN", script), content, 0o755)
    write(os.path.join(root, "DEBIAN", "control"), control, 0o644)
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zxz", "--build", root, deb], check=True,
                   stdout=subprocess.DEVNULL)
    return stanza(folder, f"{name}.deb")


def stanza(folder, name):
    """What the index says of a package's file."""
    deb = os.path.join(folder, name)
    control = subprocess.run(["dpkg-deb", "-f", deb], check=True, text=True, stdout=subprocess.PIPE).stdout
    with open(deb, "rb") as f:
        digest = hashlib.file_digest(f, "sha256").hexdigest()
    return f"{control}Filename: ./{name}\nSize: {os.path.getsize(deb)}\nSHA256: {digest}\n\n"


def link_all(folder, debs):
    """Links to packages, by names without what a URL says otherwise; their stanzas."""
    for n, deb in enumerate(debs):
        os.symlink(os.path.abspath(deb), os.path.join(folder, f"{n}.deb"))
        yield stanza(folder, f"{n}.deb")


def serve(folder, debs=()):
    """Fills the folder with the repository, of its own packages and the given files; returns the port
    that serves it."""
    data = os.urandom(N_BYTES)
    files = {"usr/share/dbt-hello/data": data,
             "usr/share/dbt-hello/sums": hashlib.sha256(data).hexdigest() + "  data\n"}
    packages = {**PACKAGES, "dbt-hello-data": {"files": files}}
    index = "".join(build(folder, name, **parts) for name, parts in packages.items())
    index += "".join(link_all(folder, debs))
    write(os.path.join(folder, "Packages"), index, 0o644)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                             functools.partial(Handler, directory=folder))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]
