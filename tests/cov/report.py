#!/usr/bin/env python3
"""What was executed, by folder; with FILE, the lines of it that were not.

    tests/cov/report.py [--missed] [FILE...]        --missed: of all files

Reads the .gcda files under out/cov. A line is covered when any object executed it. Lines that
cannot be reached are rows of exempt.txt, each with a word why; they are not counted. A row that
excuses nothing is an error.
"""
import collections
import fnmatch
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


class Exempt:
    """The rows of exempt.txt, and which of them were of use."""

    def __init__(self):
        rows = EXEMPT.read_text().splitlines()
        self.rows = [[part.strip() for part in row.split(" | ")]
                     for row in rows if row and not row.startswith("#")]
        self.used = set()

    def excuses(self, file, text):
        for n, (files, lines, _) in enumerate(self.rows):
            if fnmatch.fnmatchcase(file, files) and fnmatch.fnmatchcase(
                    text, lines.replace("[", "[[]")):
                self.used.add(n)
                return True
        return False

    def useless(self):
        return [f"exempt.txt: of no use: {' | '.join(row)}"
                for n, row in enumerate(self.rows) if n not in self.used]


def folder_of(file):
    return next((f for f, _ in FOLDERS if file.startswith(f + "/")), None)


def tally(lines, exempt):
    """(folder -> Counter of total, covered, excused), (file -> lines that are missing)."""
    figures = {folder: collections.Counter() for folder, _ in FOLDERS}
    missing = collections.defaultdict(list)
    for file in sorted(lines):
        if not folder_of(file):
            continue
        figure = figures[folder_of(file)]
        text = [line.strip() for line in (TOP / file).read_text().splitlines()]
        for number, count in sorted(lines[file].items()):
            if count == 0 and exempt.excuses(file, text[number - 1]):
                figure["excused"] += 1
                continue
            figure["total"] += 1
            figure["covered"] += count > 0
            if count == 0:
                missing[file].append(f"{file}:{number}: {text[number - 1]}")
    return figures, missing


def main():
    exempt = Exempt()
    figures, missing = tally(counts(), exempt)
    for file in missing if "--missed" in sys.argv else sys.argv[1:]:
        print("\n".join(missing.get(file, [])))
    print(f"{'folder':16} {'lines':>6} {'covered':>8} {'%':>6} {'excused':>8}")
    wrong = exempt.useless()
    for folder, least in FOLDERS:
        figure = figures[folder]
        share = 100 * figure["covered"] / max(1, figure["total"])
        print(f"{folder:16} {figure['total']:6} {figure['covered']:8} {share:6.1f} "
              f"{figure['excused']:8}")
        if share < least:
            wrong.append(f"{folder}: less than {least} %")
    print("\n".join(wrong))
    return 1 if wrong else 0


sys.exit(main())
