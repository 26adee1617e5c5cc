#!/usr/bin/env python3
"""Writes inputs from which the fuzzers start: DIR/NAME/*, one folder a harness. All are made here.

    tests/fuzz/make-seeds.py DIR
"""
import gzip
import pathlib
import random
import struct
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
RAM = 0x80000000


def elf(base=RAM, end_signature=RAM + 256, file_len=None):
    """One segment, and a symbol table with tohost and fromhost."""
    code = bytes.fromhex("6f000000") * 16
    names = b"\0tohost\0fromhost\0begin_signature\0end_signature\0"
    symbols = bytes(24)
    for name, value in ((b"tohost", 64), (b"fromhost", 128), (b"begin_signature", 192), (b"end_signature", None)):
        where = end_signature if value is None else base + value
        symbols += struct.pack("<IBBHQQ", names.index(name), 0, 0, 1, where, 8)
    at_code, at_symbols = 64 + 56 + 3 * 64, 64 + 56 + 3 * 64 + len(code)
    at_names = at_symbols + len(symbols)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 243, 1, base, 64, 120, 0, 64, 56, 1, 64, 3, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 7, at_code, base, base, file_len or len(code), 4096, 4096)
    sections = bytes(64)
    sections += struct.pack("<IIQQQQIIQQ", 0, 2, 0, 0, at_symbols, len(symbols), 2, 0, 8, 24)
    sections += struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, at_names, len(names), 0, 0, 1, 0)
    return header + segment + sections + code + symbols + names


def linux(efi=False):
    image = bytearray(600)
    image[0:2] = b"MZ" if efi else b"\x13\0"
    struct.pack_into("<QQ", image, 8, 2 << 20, 1 << 20)
    image[0x30:0x3C] = b"RISCV\0\0\0RSC\x05"
    if efi:
        struct.pack_into("<I", image, 0x3C, 0x40)
        image[0x40:0x44] = b"PE\0\0"
        struct.pack_into("<HH", image, 0x44, 0x5064, 1)
        struct.pack_into("<II", image, 0x68, 500, 0)
    return bytes(image)


def zstd(data):
    """A frame of one block that is not packed (RFC 8878)."""
    return b"\x28\xb5\x2f\xfd\x20" + bytes([len(data)]) + struct.pack("<I", len(data) << 3 | 1)[:3] + data


def zboot(payload, kind=b"gzip"):
    return b"MZ\0\0zimg" + struct.pack("<II8x", 64, len(payload)) + kind.ljust(40, b"\0") + payload


def device_tree():
    strings = b"bootargs\0compatible\0"
    tokens = struct.pack(">I", 1) + bytes(4) + struct.pack(">III", 3, 8, 9) + b"virt\0\0\0\0"
    tokens += struct.pack(">I", 1) + b"chosen\0\0" + struct.pack(">III", 3, 4, 0) + b"old\0"
    tokens += struct.pack(">IIII", 2, 1, 0x6D656D00, 2) + struct.pack(">II", 2, 9)
    at_tokens, at_strings = 40 + 16, 40 + 16 + len(tokens)
    total = at_strings + len(strings)
    head = struct.pack(">10I", 0xD00DFEED, total, at_tokens, at_strings, 40, 17, 16, 0, len(strings), len(tokens))
    return head + bytes(16) + tokens + strings


OPTIONS = [
    "Image",
    "-kernel\nImage\n-initrd\ni\n-append\nconsole=ttyS0\n-m\n512M\n-smp\n1",
    "x\n--engine=check\n--opt\nall,-cse\n--stress\nregs,cache,table,links,irq,seed=7",
    "x\n--cpu\nrv64gc,+zba,zbb=on\n-M\nvirt,dumpdtb=f\n-nographic\n-bios\ndefault",
    "x\n-d\ntrap,irq\n-D\nlog\n--filter\n0x80000000+0x40\n--stats=f.json\n--max-insns\n1000",
    "x\n--signature=f,begin,end\n--as\nmachine\n--firmware\nnone\n--time\nvirtual\n-no-reboot",
    "x\n-m\n1M\n--cache-size\n2G", "x\n-m\n1024K\n--max-insns\n0", "x\n-m\n1023K", "x\n-m\n1T\n--cache-size\n1M",
    "--help", "--version", "-d\nhelp", "--cpu\nhelp", "-drive\nfile=x,,y,format=raw,serial=s,readonly=on\n--drive\nz,snapshot=off\nx",
    "--net\nuser,hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=udp::53-10.0.2.15:53,mac=02:00:00:00:00:01,mtu=9000,restrict=on\n--net\ntap=t\nx",
    "-netdev\nstream,id=n,addr.type=unix,addr.path=p\n-device\nvirtio-net-device,netdev=n,mac=02-00-00-00-00-01\n-nic\ntap,ifname=t\nx",
    "-drive\nif=none,id=a,file=x\n-device\nvirtio-blk-device,drive=a,serial=t\n-device\nvirtio-rng-device\n-device\nvirtio-balloon-device,deflate-on-oom=on\n--console\npty\nx", "x\n-serial\nunix:s\n--\n-y",
]


def seeds():
    plain, packed = linux(), gzip.compress(linux(), mtime=0)
    files = [elf(), elf(RAM + 0x200000), plain, linux(True), packed, zstd(plain[:200]), gzip.compress(elf(), mtime=0),
             elf(end_signature=RAM + (4 << 20)), elf(end_signature=RAM + (8 << 20) + 1), elf(file_len=64 + 24 * 5 + 46),
             zboot(packed)[:-1], zboot(packed), zboot(zstd(plain[:200]), b"zstd22"), b"QFI\xfb", b"070701", b"#!/bin/sh\n", bytes(64)]
    heads = [bytes(5), bytes([1, 2, 1, 2, 0]), bytes([4, 0, 0, 3, 1]), bytes([1, 0, 2, 0, 2]), bytes([4, 1, 2, 0, 3])]
    yield "image", [head + file for head in heads for file in files]
    args = struct.pack("<HB16sB", 40, 1, struct.pack("<QQ", RAM + (4 << 20), 4096), 1) + b"console=ttyS0 " * 3
    yield "dtb", [bytes([1]) + bytes(4) + device_tree(), bytes([2]) + args[:60] + device_tree(),
                  bytes([0]) + args + bytes(4) + struct.pack("<QQ", 1 << 30, 2**64 - 1)]
    yield "options", [line.encode() for line in OPTIONS]
    yield "ir", [bytes([n]) + path.read_bytes() for path in sorted(TOP.glob("tests/ir/*.ir")) for n in (0, 1, 2, 6, 8, 255)]
    chance = random.Random(1)
    programs = []
    for n in range(60):
        words = b""
        for _ in range(24):
            opcode = chance.choice([3, 7, 15, 19, 23, 27, 35, 39, 47, 51, 55, 59, 67, 71, 75, 79, 83, 99, 103, 111, 115])
            words += struct.pack("<I", chance.getrandbits(32) & ~0x7F | opcode)
            words += struct.pack("<H", chance.getrandbits(16) & ~3 | chance.randrange(3)) if n % 2 else b""
        programs.append(bytes([n % 8]) + chance.randbytes(14) + words)
    yield "translate", programs
    yield "devices", [chance.randbytes(200 + 20 * n) for n in range(20)]
    yield "share", [bytes([n % 8]) + chance.randbytes(200 + 40 * n) for n in range(24)]
    yield "virtio", [bytes([n % 22, 0]) + chance.randbytes(300 + 40 * n) for n in range(44)]
    yield "sbi", [chance.randbytes(300) for n in range(20)]


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: tests/fuzz/make-seeds.py DIR")
    for name, inputs in seeds():
        folder = pathlib.Path(sys.argv[1], name)
        folder.mkdir(parents=True, exist_ok=True)
        for n, data in enumerate(inputs):
            (folder / f"{n:03}").write_bytes(data)


main()
