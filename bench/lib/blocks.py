"""What dbt-run -d in_asm,out_asm,cache wrote: each block's guest and host code, and where it runs."""
import bisect
import re

HEADER = re.compile(r"block (\d+) at ([0-9a-f]+) \(physical ([0-9a-f]+)\) mode ([0-9a-f]+)")
MADE = re.compile(r"made ([0-9a-f]+) mode ([0-9a-f]+), (\d+) bytes at 0x([0-9a-f]+)"
                  r", (\d+) at 0x([0-9a-f]+)")
INSN = re.compile(r"  ([0-9a-f]{16})  (.*)")
MARK = re.compile(r"  ; \+0x([0-9a-f]+)")
HOST = re.compile(r"  ([0-9a-f]{4,})  (.*)")


APART = "apart"  # what host code that seldom runs belongs to


class Block:
    """guest: [(address, text)]; host: [(offset, text, guest address it belongs to, APART or
    None)]."""

    def __init__(self, match):
        self.gva, self.gpa, self.mode = (int(match[i], 16) for i in (2, 3, 4))
        self.guest, self.host = [], []
        self.start = self.size = 0
        self.apart = self.apart_size = 0  # of the code that seldom runs
        self.samples = {}  # offset: count
        self.at = None     # the guest instruction that the host code next read belongs to

    @property
    def total(self):
        return sum(self.samples.values())

    def take(self, line):
        if line.startswith("-- apart"):
            self.at = APART
        elif match := MARK.fullmatch(line):
            self.at = (self.gva & ~0xfff) + int(match[1], 16)
        elif match := INSN.fullmatch(line):
            self.guest.append((int(match[1], 16), match[2]))
        elif match := HOST.match(line):
            self.host.append((int(match[1], 16), match[2], self.at))

    def sample(self, offset):
        """Counts for the host instruction that holds the offset."""
        starts = [h[0] for h in self.host]
        k = bisect.bisect_right(starts, offset) - 1
        key = starts[k] if k >= 0 else 0
        self.samples[key] = self.samples.get(key, 0) + 1


def lines_of(path):
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            yield line.rstrip("\n")


def read(path):
    """The blocks that have a place, in the order in which they were made: when code was
    overwritten, the last one at an address is the one that is there."""
    block = None
    for line in lines_of(path):
        if match := HEADER.fullmatch(line):
            block = Block(match)
        elif match := MADE.fullmatch(line):
            if block and block.gpa == int(match[1], 16):
                block.size, block.start = int(match[3]), int(match[4], 16)
                block.apart_size, block.apart = int(match[5]), int(match[6], 16)
                yield block
            block = None
        elif block:
            block.take(line)


def last_before(address, parts, begins):
    """parts: by address; begins: these, sorted."""
    k = bisect.bisect_right(begins, address) - 1
    return parts[begins[k]] if k >= 0 else None


def attribute(blocks, addresses):
    """Hands each sampled host address to the block that holds it; gives the rest."""
    current, apart = {}, {}
    for block in blocks:
        current[block.start] = block
        if block.apart_size:
            apart[block.apart] = block
    starts, aparts = sorted(current), sorted(apart)
    others = []

    for address in addresses:
        block = last_before(address, current, starts)
        if not (block and address < block.start + block.size):
            block = last_before(address, apart, aparts)
            if block and address >= block.apart + block.apart_size:
                block = None
        if block:
            block.sample(address - block.start)
        else:
            others.append(address)
    return [b for b in current.values() if b.samples], others
