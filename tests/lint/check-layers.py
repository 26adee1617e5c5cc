#!/usr/bin/env python3
"""Refuses an include that does not point down: tests/lint/layers.txt says what may.

    tests/lint/check-layers.py
"""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def rows():
    table = []
    for line in (TOP / "tests/lint/layers.txt").read_text().splitlines():
        words = line.split("#")[0].split()
        if words:
            table.append((words[0], words[1:]))
    return table


def inside(path, folder):
    return path == folder or path.startswith(folder + "/")


def main():
    table = rows()
    wrong = 0
    folders = ["dbt", "frontend", "backend-x86_64", "softmmu", "devices", "runtime"]
    for folder in folders:
        for file in sorted((TOP / folder).rglob("*.[ch]")):
            name = str(file.relative_to(TOP))
            home, may = next(row for row in table if inside(name, row[0]))
            for target in INCLUDE.findall(file.read_text()):
                if not (TOP / target).exists():
                    print(f"{name}: includes {target}, which is not in the tree")
                    wrong += 1
                elif "*" not in may and not inside(target, home) and not any(
                    inside(target, m) for m in may
                ):
                    print(f"{name}: includes {target}; {home} may see {' '.join(may) or 'nothing'}")
                    wrong += 1
    return 1 if wrong else 0


sys.exit(main())
