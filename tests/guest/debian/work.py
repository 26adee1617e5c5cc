"""Integers of any length, json, hashes, regular expressions, floating point."""
import hashlib
import json
import math
import re

n, out = 7, []
for i in range(20000):
    n = (n * 6364136223846793005 + 1442695040888963407) % 2**64
    out.append(n >> 40)
text = json.dumps({str(k): v for k, v in zip(out, sorted(out))})
total = 0.0
for x in out:  # sum() has rounded otherwise since 3.12.
    total += math.sqrt(x)
print(hashlib.sha256(text.encode()).hexdigest(), len(re.findall("7[0-4]+", text)),
      repr(total), pow(3, 10**40, 10**50 + 151))
