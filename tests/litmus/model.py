#!/usr/bin/env python3
"""What RVWMO allows, and what TSO can show of it with the code that we emit.

    model.py                    reads patterns.txt and compares its verdicts
    model.py --random N SEED    N random programs: what we can show must be among what is allowed

A program is run in every global memory order that keeps the preserved program order (RISC-V
unprivileged specification, "RVWMO Memory Consistency Model", rules 1 to 13). A load takes the
latest store in that order, or one of its own hart's that is still on its way (load value axiom).
TSO is the same with another preserved order: everything but a store before a later load.
"""
import pathlib
import random
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
LOCATIONS = "xyz"
TOKEN = re.compile(r"(?P<op>[WRS])(?P<loc>[xyz])(?:=(?P<value>\d))?(?:\.(?P<kind>amo|sc|lr))?"
                   r"(?:\.(?P<order>aq|rl|aqrl))?(?:\+(?P<dep>addr|data|ctrl))?(?:@(?P<reg>\d))?$")
FENCE = re.compile(r"f\.(?:(?P<tso>tso)|(?P<pred>r?w?),(?P<succ>r?w?))$")


class Access:
    """One memory operation. AMOs are one that is both a load and a store."""

    def __init__(self, loc, load, store, value=0, aq=False, rl=False, amo=False, sc=False):
        self.loc, self.load, self.store, self.value = loc, load, store, value
        self.aq, self.rl, self.amo, self.sc = aq, rl, amo, sc
        self.reg = None         # the number of the result among the program's, if it counts
        self.deps = {}          # "addr", "data": the access it depends on
        self.ctrl = set()       # the accesses on which branches before it depend
        self.pair = None        # of an SC: its LR
        self.thread = self.po = 0


class Row:
    """A line of patterns.txt: the threads' words."""

    def __init__(self, name, threads, asked="", verdict=""):
        self.name, self.threads, self.asked, self.verdict = name, threads, asked, verdict


def read_rows(path=HERE / "patterns.txt"):
    """All rows, each with its pattern's outcome as a tuple and whether finals count."""
    rows, pattern = [], None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        if words[0] == "pattern":
            pattern = words[1:]
            continue
        threads = [t.split() for t in " ".join(words[1:-1]).split("|")]
        rows.append(Row(f"{pattern[0]}.{words[0]}", threads, pattern[1], words[-1]))
        if words[-1] not in ("forbid", "allow", "tso"):
            sys.exit(f"{path}:{number}: no verdict '{words[-1]}'")
    return rows


def asked_outcome(text):
    registers, _, finals = text.partition("/")
    return (tuple(int(v) for v in registers.split(",") if v),
            tuple(int(v) for v in finals.split(",")) if finals else None)


class Program:
    """The accesses of a row, by thread in program order, with fences between them."""

    def __init__(self, threads):
        self.accesses, self.fences = [], []     # fences: (thread, po, pred, succ, tso)
        self.n_registers = 0
        for thread, words in enumerate(threads):
            self._thread(thread, words)
        self.locations = sorted({a.loc for a in self.accesses})

    def _thread(self, thread, words):
        po, last_read, branches = 0, None, set()
        for word in words:
            fence = FENCE.match(word)
            if fence:
                self.fences.append((thread, po, fence["pred"], fence["succ"], bool(fence["tso"])))
                continue
            for a in self._accesses(word, last_read, branches):
                a.thread, a.po, po = thread, po, po + 1
                a.ctrl = set(branches)
                if a.load and a.reg is not None:
                    last_read = a
                if a.sc:                        # the loop's branch asks the SC
                    branches = branches | {a}
                self.accesses.append(a)

    def _accesses(self, word, last_read, branches):
        m = TOKEN.match(word)
        if not m:
            sys.exit(f"patterns.txt: cannot read '{word}'")
        order = m["order"] or ""
        aq, rl = order.startswith("aq"), order.endswith("rl")
        value = int(m["value"] or 0)
        if m["kind"] == "sc":
            lr = Access(m["loc"], True, False)
            sc = Access(m["loc"], False, True, value, aq, rl, sc=True)
            sc.pair = lr
            made = [lr, sc]
        elif m["kind"] == "amo":
            # A read by amoor of nothing stores what it finds.
            made = [Access(m["loc"], True, True, None if m["op"] == "R" else value, aq, rl, amo=True)]
        else:
            made = [Access(m["loc"], m["op"] == "R", m["op"] == "W", value, aq, rl)]
        if m["op"] in "RS":
            made[0].reg = int(m["reg"] or self.n_registers)
            self.n_registers += 1
        if m["dep"] == "ctrl":
            branches.add(last_read)
        elif m["dep"]:
            made[-1].deps[m["dep"]] = last_read
        return made

    # ---- Preserved program order, as far as it is known before values are ---------------------

    def _fenced(self, a, b):
        for thread, at, pred, succ, tso in self.fences:
            if thread != a.thread or not a.po < at <= b.po:
                continue
            if tso and (a.load or (a.store and b.store)):
                return True
            if not tso and ((a.load and "r" in pred) or (a.store and "w" in pred)) and \
                    ((b.load and "r" in succ) or (b.store and "w" in succ)):
                return True
        return False

    def rvwmo(self, a, b):
        """Rules 1, 4 to 11 and 13; the others ask what was read."""
        between = [m for m in self.accesses if m.thread == a.thread and a.po < m.po < b.po]
        return (b.store and a.loc == b.loc
                or self._fenced(a, b)
                or a.aq or b.rl or a.rl and b.aq          # all annotations are RCsc
                or b.pair is a
                or a in b.deps.values()
                or b.store and a in b.ctrl
                or b.store and any(m.deps.get("addr") is a for m in between))

    def tso(self, a, b):
        """What the host keeps of our code: see docs/memory-model.md."""
        if a.load or b.store or a.amo or b.amo or a.sc or b.sc:
            return True
        if b.rl:                                # an LR with rl has a full fence before it
            return True
        for m in self.accesses:                 # a locked instruction between them
            if m.thread == a.thread and a.po < m.po < b.po and (m.amo or m.sc or (m.rl and m.load)):
                return True
        return any(t == a.thread and a.po < at <= b.po and not tso and "w" in pred and "r" in succ
                   for t, at, pred, succ, tso in self.fences)

    def sc(self, a, b):
        return True

    # ---- All executions ------------------------------------------------------------------------

    def outcomes(self, preserved, dynamic=False):
        """{(registers, finals)} over all global memory orders."""
        n = len(self.accesses)
        before = [0] * n
        for i, a in enumerate(self.accesses):
            for j, b in enumerate(self.accesses):
                if a.thread == b.thread and a.po < b.po and preserved(a, b):
                    before[j] |= 1 << i
        found = set()
        self._run(before, 0, [], {}, {}, found, dynamic)
        return found

    def _run(self, before, done, order, memory, read_from, found, dynamic):
        """memory: loc -> index of the last store; read_from: load -> store's index or -1."""
        if len(order) == len(self.accesses):
            if self._sound(order, read_from, dynamic):
                found.add(self._outcome(memory, read_from))
            return
        for i, a in enumerate(self.accesses):
            if done >> i & 1 or before[i] & ~done:
                continue
            new_memory, new_read = memory, read_from
            if a.load:
                own = [j for j, s in enumerate(self.accesses) if s.store and s.loc == a.loc and
                       s.thread == a.thread and s.po < a.po and not done >> j & 1]
                new_read = dict(read_from)
                new_read[i] = own[-1] if own else memory.get(a.loc, -1)
            if a.store:
                new_memory = dict(memory)
                new_memory[a.loc] = i
            self._run(before, done | 1 << i, order + [i], new_memory, new_read, found, dynamic)

    def _value(self, store, read_from):
        if store < 0:
            return 0
        value = self.accesses[store].value
        return self._value(read_from[store], read_from) if value is None else value

    def _outcome(self, memory, read_from):
        registers = [0] * self.n_registers
        for i, store in read_from.items():
            if self.accesses[i].reg is not None:
                registers[self.accesses[i].reg] = self._value(store, read_from)
        return (tuple(registers),
                tuple(self._value(memory.get(loc, -1), read_from) for loc in self.locations))

    def _sound(self, order, read_from, dynamic):
        at = {i: n for n, i in enumerate(order)}
        return self._atomic(at, read_from) and (not dynamic or self._late_rules(at, read_from))

    def _atomic(self, at, read_from):
        """No other hart's store between what an LR read and its SC (atomicity axiom)."""
        for i, a in enumerate(self.accesses):
            if a.pair is None:
                continue
            source = read_from[self.accesses.index(a.pair)]
            first = at[source] if source >= 0 else -1
            if first > at[i]:
                return False
            for j, s in enumerate(self.accesses):
                if s.store and s.loc == a.loc and s.thread != a.thread and first < at[j] < at[i]:
                    return False
        return True

    def _late_rules(self, at, read_from):
        """Rules 2, 3 and 12."""
        for j, b in enumerate(self.accesses):
            if not b.load:
                continue
            source = read_from[j]
            for i, a in enumerate(self.accesses):
                if a.thread != b.thread or a.po >= b.po or at[i] < at[j]:
                    continue
                between = [m for m in self.accesses if m.thread == a.thread and a.po < m.po < b.po]
                if a.load and not a.store and a.loc == b.loc and read_from[i] != source and \
                        not any(m.store and m.loc == b.loc for m in between):
                    return False                # 2
                if (a.amo or a.sc) and source == i:
                    return False                # 3
                if any(m.store and a in m.deps.values() and
                       source == self.accesses.index(m) for m in between):
                    return False                # 12
        return True


def evaluate(threads):
    """The outcomes that RVWMO allows, those that we can show, and those of mere interleaving."""
    p = Program(threads)
    return (p, p.outcomes(p.rvwmo, dynamic=True), p.outcomes(p.tso), p.outcomes(p.sc))


def matches(outcome, asked):
    registers, finals = asked
    return outcome[0] == registers and (finals is None or outcome[1][:len(finals)] == finals)


def verdict_of(row, allowed, shown):
    asked = asked_outcome(row.asked)
    if not any(matches(o, asked) for o in allowed):
        return "forbid"
    return "tso" if any(matches(o, asked) for o in shown) else "allow"


def check_row(row, allowed, shown):
    """Dies unless the person who wrote the row and the model agree, and what we emit is enough."""
    computed = verdict_of(row, allowed, shown)
    if computed != row.verdict:
        sys.exit(f"patterns.txt: {row.name}: the row says {row.verdict}, the model {computed}")
    if not shown <= allowed:
        sys.exit(f"{row.name}: what we emit can show {sorted(shown - allowed)}, which is forbidden")


def random_thread(rng, n):
    words, has_read = [], False
    for _ in range(n):
        if words and rng.random() < 0.25:
            sets = ["rw,rw", "tso", "w,w", "r,r", "w,r", "r,w", "rw,w", "r,rw"]
            words.append("f." + rng.choice(sets))
        loc, order = rng.choice("xy"), rng.choice(["", "", ".aq", ".rl", ".aqrl"])
        kind = rng.choice(["", "", "", "", ".amo", ".sc"])
        dep = rng.choice(["", "+addr", "+data", "+ctrl"]) if has_read else ""
        if rng.random() < 0.5:
            kind = kind.replace("sc", "lr")
            words.append(f"R{loc}{kind}{order if kind else ''}{dep.replace('data', 'addr')}")
            has_read = True
        else:
            words.append(f"W{loc}={rng.randint(1, 3)}{kind}{order if kind else ''}{dep}")
    return words


def random_programs(count, seed):
    """How many of them TSO showed something of that interleaving does not explain."""
    rng, relaxed = random.Random(seed), 0
    for _ in range(count):
        threads = [random_thread(rng, rng.randint(1, 3)) for _ in range(rng.randint(2, 3))]
        while sum(len([w for w in t if w[0] != "f"]) + sum(".sc" in w for w in t) for t in threads) > 7:
            threads[-1].pop()
            threads = [t for t in threads if t]
        _, allowed, shown, interleaved = evaluate(threads)
        relaxed += shown != interleaved
        text = " | ".join(" ".join(t) for t in threads)
        if not interleaved <= shown:
            sys.exit(f"{text}: TSO does not show {sorted(interleaved - shown)}")
        if not shown <= allowed:
            sys.exit(f"{text}: what we emit can show {sorted(shown - allowed)}, which is forbidden")
    return relaxed


def main():
    if sys.argv[1:2] == ["--random"]:
        count, seed = int(sys.argv[2]), int(sys.argv[3])
        relaxed = random_programs(count, seed)
        print(f"{count} random programs, {relaxed} of them with more than interleavings: all within RVWMO")
        return
    rows = read_rows()
    for row in rows:
        _, allowed, shown, _ = evaluate(row.threads)
        check_row(row, allowed, shown)
    print(f"{len(rows)} rows: verdicts as the model computes them, what we emit within RVWMO")


if __name__ == "__main__":
    main()
