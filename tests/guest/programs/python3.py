"""Integers of any length, decimals, fractions, json, hashes, regular expressions, floating point."""
import collections
import datetime
import decimal
import fractions
import hashlib
import json
import math
import random
import re
import struct
import unicodedata


def show(name, value):
    print(name, hashlib.sha256(repr(value).encode()).hexdigest()[:32])


n, out = 7, []
for i in range(20000):
    n = (n * 6364136223846793005 + 1442695040888963407) % 2**64
    out.append(n >> 40)
text = json.dumps({str(k): v for k, v in zip(out, sorted(out))})
show("json", json.loads(text))
for name in ("md5", "sha1", "sha256", "sha512", "sha3_384", "blake2b", "blake2s"):
    print(name, hashlib.new(name, text.encode()).hexdigest()[:32])
total = 0.0
for x in out:  # sum() has rounded otherwise since 3.12.
    total += math.sqrt(x)
print(repr(total), len(re.findall("7[0-4]+", text)), pow(3, 10**40, 10**50 + 151))
show("re", re.findall(r"(\d)(?!\1)(\d{2,3}?)(?=\D|7)", text))
show("sub", re.sub(r"(?P<a>[1-5]+)(?P<b>[6-9]+)", r"\g<b>:\g<a>", text))

# Large numbers.
show("factorial", hex(math.factorial(2000)))
show("power", hex(3**20000 // 7**5000))
show("gcd", [math.gcd(a * b, b * 6) for a, b in zip(out, out[1:])])
show("isqrt", math.isqrt(10**2000))
decimal.getcontext().prec = 300
show("decimal", [decimal.Decimal(2).sqrt(), decimal.Decimal(3).ln(), decimal.Decimal(1) / 7, decimal.Decimal("1.5").exp()])
show("fractions", sum(fractions.Fraction(1, k) for k in range(1, 300)))

# Floating point, to the last bit where C's library is exact or Python's own.
show("floats", [(x / 7).hex() for x in out[:5000]])
show("repr", [repr(struct.unpack("d", struct.pack("Q", x << 40 | x))[0]) for x in out[:5000]])
show("float32", [struct.pack("<f", x / 3) for x in out[:5000]])
show("round", [round(x / 1000, 2) for x in out[:5000]])
show("format", ["%.3e|%10.4f|%g" % (x / 3, x / 9, x / 1e5) for x in out[:5000]])
show("fsum", math.fsum(x / 7 for x in out))

# Objects.
r = random.Random(7)
words = ["".join(r.choice("abcdefgh") for _ in range(r.randrange(1, 6))) for _ in range(20000)]
show("counter", sorted(collections.Counter(words).items(), key=lambda p: (-p[1], p[0]))[:100])
r.shuffle(words)
show("sort", sorted(words, key=lambda w: (len(w), w[::-1])))
show("dates", [(datetime.date(1970, 1, 1) + datetime.timedelta(x % 40000)).isoformat() for x in out])
show("unicode", [unicodedata.normalize("NFD", c) for c in map(chr, range(0xC0, 0x250))])
