#!/usr/bin/env python3
"""Makes code and tables of patterns.txt: OUT/rows.S and OUT/rows.inc.

    generate.py OUT [--plant drop|swap]

A planted program is judged as the right one but does something else: `drop` leaves out fences,
annotations and atomicity, `swap` turns each thread's accesses round, with time between them: two next to
each other are seen in between by chance only, as hosts schedule. What the model then finds forbidden and
interleaving or TSO show, the test must count: so each row is seen to fail.
"""
import argparse
import pathlib
import re

import model

WEAK, TSO, INTERLEAVING = range(3)
ADDRESS = {"x": "a0", "y": "a1", "z": "a2"}
VALUE = {1: "a4", 2: "a5", 3: "a6"}
PAUSE, PAUSE_TURNS = "pause", 100   # about as long as the random pauses before an instance


def number_reads(threads):
    """Each read with the number of its result, so that it keeps it in another order."""
    n, numbered = 0, []
    for words in threads:
        numbered.append([])
        for word in words:
            if word[0] in "RS":
                word, n = f"{word}@{n}", n + 1
            numbered[-1].append(word)
    return numbered


def without_pauses(threads):
    return [[w for w in words if w != PAUSE] for words in threads]


def dropped(threads):
    return [[re.sub(r"\.(amo|sc|lr|aqrl|aq|rl)|\+(addr|data|ctrl)", "", w)
             for w in words if w[0] != "f"] for words in threads]


def swapped(threads):
    turned = [list(reversed(words)) for words in dropped(threads)]
    return [[w for word in words for w in (PAUSE, word)][1:] for words in turned]


PLANT = {"drop": dropped, "swap": swapped}


class Thread:
    """The assembly of one thread. Results are kept in registers up to the end."""

    def __init__(self, width):
        self.width, self.lines, self.results = width, [], []

    def add(self, text):
        self.lines.append("    " + text)

    def address(self, m):
        if m["dep"] != "addr":
            return ADDRESS[m["loc"]]
        self.add(f"xor t4, {self.last}, {self.last}")
        self.add(f"add t4, t4, {ADDRESS[m['loc']]}")
        return "t4"

    def value(self, m):
        value = VALUE[int(m["value"])]
        if m["dep"] != "data":
            return value
        self.add(f"xor t5, {self.last}, {self.last}")
        self.add(f"add t5, t5, {value}")
        return "t5"

    @property
    def last(self):
        return f"t{len(self.results) - 1}"

    def access(self, word):
        m = model.TOKEN.match(word)
        if m["dep"] == "ctrl":
            self.add(f"bnez {self.last}, 1f")
            self.lines.append("1:")
        order = f".{m['order']}" if m["order"] else ""
        address, op, w = self.address(m), m["op"], self.width
        if op == "W":
            self.write(m, address, order)
            return
        result = f"t{len(self.results)}"
        self.results.append(int(m["reg"]))
        if op == "S" and m["kind"]:
            self.add(f"amoswap.{w}{order} {result}, {self.value(m)}, ({address})")
        elif m["kind"] == "amo":
            self.add(f"amoor.{w}{order} {result}, zero, ({address})")
        elif m["kind"] == "lr":
            self.add(f"lr.{w}{order} {result}, ({address})")
        else:
            self.add(f"l{w} {result}, 0({address})")
        if op == "S" and not m["kind"]:         # planted: no longer one operation
            self.add(f"s{w} {self.value(m)}, 0({address})")

    def write(self, m, address, order):
        value, w = self.value(m), self.width
        if m["kind"] == "amo":
            self.add(f"amoswap.{w}{order} zero, {value}, ({address})")
        elif m["kind"] == "sc":
            self.lines.append("1:")
            self.add(f"lr.{w} t6, ({address})")
            self.add(f"sc.{w}{order} t6, {value}, ({address})")
            self.add("bnez t6, 1b")
        else:
            self.add(f"s{w} {value}, 0({address})")

    def word(self, word):
        fence = model.FENCE.match(word)
        if word == PAUSE:
            self.add(f"li t6, {PAUSE_TURNS}")
            self.lines.append("1:")
            self.add("addi t6, t6, -1")
            self.add("bnez t6, 1b")
        elif not fence:
            self.access(word)
        elif fence["tso"]:
            self.add("fence.tso")
        else:
            self.add(f"fence {fence['pred']}, {fence['succ']}")


def code(label, words, width, first):
    """The function `label`: a0 to a2 the locations, a3 where results go, as bytes."""
    t = Thread(width)
    t.lines.append(f"{label}:")
    for n, register in VALUE.items():
        t.add(f"li {register}, {n}")
    for word in words:
        t.word(word)
    for n, register in enumerate(t.results):
        t.add(f"sb t{n}, {register - first}(a3)")
    t.add("ret")
    return t.lines


def digits(outcome, n_finals):
    number = 0
    for value in reversed(outcome[0] + outcome[1][:n_finals]):
        number = number * 4 + value
    return number


def table(label, row, width, plant):
    """The row as a C initialiser, and its threads' assembly."""
    program, allowed, shown, interleaved = model.evaluate(row.threads)
    model.check_row(row, allowed, shown)
    registers, finals = model.asked_outcome(row.asked)
    n_finals = len(finals or ())

    def codes(outcomes):
        return {digits(o, n_finals) for o in outcomes}

    kind = {c: WEAK for c in codes(allowed)}
    kind.update({c: TSO for c in codes(shown)})
    kind.update({c: INTERLEAVING for c in codes(interleaved)})
    threads, bad = number_reads(row.threads), set()
    if plant:
        threads = PLANT[plant](threads)
        planted = model.Program(without_pauses(threads))
        bad = codes(planted.outcomes(planted.tso)) - set(kind)
    lines, first, counts = [], [], []
    for n, words in enumerate(threads):
        regs = [int(w[w.index("@") + 1:]) for w in words if "@" in w]
        first.append(min(regs, default=0))
        counts.append(len(regs))
        lines += code(f"{label}_{n}", words, width, first[-1])
    pad = [0] * (4 - len(threads))
    functions = ", ".join(f"{label}_{n}" for n in range(len(threads)))
    outcomes = ", ".join(f"{{{c}, {k}}}" for c, k in sorted(kind.items()))
    asked = digits((registers, finals or ()), n_finals)
    c = (f'    {{"{row.name}", {len(threads)}, {program.n_registers}, {n_finals}, '
         f"{int(bool(bad))}, {asked}, {len(kind)},\n"
         f"     {{{', '.join(map(str, first + pad))}}}, {{{', '.join(map(str, counts + pad))}}},\n"
         f"     {{{functions}}},\n     (const struct outcome[]){{{outcomes}}}}},\n")
    return c, lines, functions


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--plant", choices=PLANT)
    args = parser.parse_args()
    assembly, rows, names = ["    .text"], [], []
    for n, row in enumerate(model.read_rows()):
        c, lines, functions = table(f"row{n}", row, "dw"[n % 2], args.plant)
        rows.append(c)
        assembly += lines
        names.append(functions)
    exported = ", ".join(names)
    declared = ", ".join(f"{name.strip()}" for name in exported.split(","))
    assembly += [f"    .globl {name.strip()}" for name in exported.split(",")]
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "rows.S").write_text("\n".join(assembly) + "\n")
    (args.out / "rows.inc").write_text(
        f"extern row_fn {declared};\n\nstatic const struct row rows[] = {{\n{''.join(rows)}}};\n")


if __name__ == "__main__":
    main()
