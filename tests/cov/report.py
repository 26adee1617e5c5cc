#!/usr/bin/env python3
"""What was executed, by folder; with FILE, the lines of it that were not.

    tests/cov/report.py [--missed] [FILE...]        --missed: of all files

Reads the .gcda files under out/cov. A line is covered when any object executed it. Lines that
cannot be reached are rows of exempt.txt, each with a word why; they are not counted. A row whose
line is gone, or is executed after all, is an error.
"""
import collections
import json
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
OUT = TOP / "out/cov"
EXEMPT = TOP / "tests/cov/exempt.txt"
# Folder, and the share of its lines that must be covered; longest name first.
FOLDERS = [
    ("dbt", 95),
    ("frontend", 95),
    ("backend-x86_64", 95),
    ("softmmu", 95),
    ("runtime", 0),
    ("devices", 0),
]


def counts():
    """file -> line -> times executed."""
    lines = collections.defaultdict(lambda: collections.defaultdict(int))
    # An object that no program ever ran has a .gcno alone.
    objects = sorted(p for folder in [*(f for f, _ in FOLDERS), "objdump"]
                     for p in (OUT / folder).rglob("*.gcno"))
    done = subprocess.run(["gcov", "--json-format", "--stdout", *map(str, objects)], cwd=TOP,
                          check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    for text in done.stdout.decode().splitlines():
        for file in json.loads(text)["files"] if text.startswith("{") else []:
            name = file["file"].removeprefix(f"{TOP}/")
            for line in file["lines"]:
                lines[name][line["line_number"]] += line["count"]
    return lines


def exempt():
    """file -> text of a line -> why."""
    rows = collections.defaultdict(dict)
    for row in EXEMPT.read_text().splitlines():
        if row and not row.startswith("#"):
            file, text, why = (part.strip() for part in row.split(" | "))
            rows[file][text] = why
    return rows


def folder_of(file):
    return next((f for f, _ in FOLDERS if file.startswith(f + "/")), None)


def main():
    lines, rows = counts(), exempt()
    total, covered, missed, excused = (collections.Counter() for _ in range(4))
    missing = {}
    wrong = []
    for file in sorted(lines):
        folder = folder_of(file)
        if not folder:
            continue
        text = [line.strip() for line in (TOP / file).read_text().splitlines()]
        used = set()
        for number, count in sorted(lines[file].items()):
            what = text[number - 1]
            if what in rows.get(file, {}):
                used.add(what)
                if count == 0:
                    excused[folder] += 1
                    continue
            total[folder] += 1
            covered[folder] += count > 0
            if count == 0:
                missed[file] += 1
                missing.setdefault(file, []).append(f"{file}:{number}: {text[number - 1]}")
        wrong += [f"exempt.txt: {file} has no such line: {t}"
                  for t in rows.get(file, {}) if t not in used]
    wanted = sys.argv[1:]
    for file in missing if "--missed" in wanted else wanted:
        print("\n".join(missing.get(file, [])))
    print(f"{'folder':16} {'lines':>6} {'covered':>8} {'%':>6} {'excused':>8}")
    for folder, least in FOLDERS:
        share = 100 * covered[folder] / max(1, total[folder])
        low = "  below 95" if share < least else ""
        print(f"{folder:16} {total[folder]:6} {covered[folder]:8} {share:6.1f} "
              f"{excused[folder]:8}{low}")
        wrong += [low] if low else []
    print("\n".join(w for w in wrong if w.startswith("exempt")))
    return 1 if wrong else 0


sys.exit(main())
