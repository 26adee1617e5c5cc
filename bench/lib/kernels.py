"""The kernels: what there is, and how it is compiled for the host and for the guest."""
import os
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
FOLDER = TOP / "bench" / "kernels"
# Where results go, and below it what was built for them.
RESULTS = pathlib.Path(os.environ.get("OUT", TOP / "out")).resolve()

# A folder is a group; these are the means that the table gives.
GROUPS = {
    "compute": ("integer", "float"),
    "integer": ("integer",),
    "float": ("float",),
    "system": ("system",),
}

# No fused operations, which the host's baseline lacks: the checksums must be equal. (matmul
# asks for them itself, and rounds its checksum.)
CFLAGS = ["-std=gnu17", "-O2", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off",
          "-fno-math-errno", "-static", "-pthread", f"-I{FOLDER}"]
COMPILERS = {"native": "gcc", "guest": "riscv64-linux-gnu-gcc"}


def die(text):
    sys.exit(f"bench: {text}")


def everything():
    """{name: group}, in the order of the table."""
    order = {"float": 1, "system": 2}
    found = {file.stem: file.parent.name for file in sorted(FOLDER.glob("*/*.c"))}
    return dict(sorted(found.items(), key=lambda item: order.get(item[1], 0)))


def chosen(words, default=("integer", "float", "system")):
    """{name: group} of what $KERNELS names: kernels, folders, groups."""
    known = everything()
    words = words.split() or default
    wanted = set()
    for word in words:
        groups = GROUPS.get(word, ())
        if word not in known and not groups:
            die(f"no kernel '{word}'; there are: {' '.join(known)}, and {' '.join(GROUPS)}")
        wanted |= {n for n, g in known.items() if n == word or g in groups}
    return {name: group for name, group in known.items() if name in wanted}


def program(out, side, name):
    return out / side / name


def build(out, kernels):
    """Compiles for both sides into out/native and out/guest."""
    for side, compiler in COMPILERS.items():
        (out / side).mkdir(parents=True, exist_ok=True)
        for name, group in kernels.items():
            command = [compiler, *CFLAGS, str(FOLDER / group / f"{name}.c"), "-o",
                       str(program(out, side, name)), "-lm"]
            if subprocess.run(command, check=False).returncode != 0:
                die(f"{name} does not build with {compiler}")


def pack(out, kernels):
    """The initramfs with all of them."""
    initrd = out / "kernels.cpio.gz"
    files = [f"{program(out, 'guest', name)}:/bench/{name}" for name in kernels]
    subprocess.run([str(TOP / "scripts/make-initramfs.sh"), str(initrd),
                    str(TOP / "bench/init"), *files], check=True)
    return initrd


def guest_file(what):
    script = TOP / "scripts" / "fetch-guest.sh"
    return subprocess.check_output([str(script), "--print", what], text=True).strip()


def prepare(out, kernels, groups=("build", "bench")):
    """Everything that a measurement needs; gives the initramfs."""
    subprocess.run([str(TOP / "scripts/deps.sh"), *groups], check=True)
    subprocess.run([str(TOP / "scripts/fetch-guest.sh")], check=True)
    os.makedirs(out / "log", exist_ok=True)
    build(out, kernels)
    return pack(out, kernels)
