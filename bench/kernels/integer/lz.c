/* Compresses and expands text: hashes of four bytes, unaligned loads, short
 * copies of bytes, branches on data. */
#include <string.h>

#include "bench.h"

enum { LENGTH = 1 << 18, HASH_BITS = 13, ROUNDS = 70 };

static uint8_t text[LENGTH], packed[LENGTH * 2], unpacked[LENGTH];
static uint32_t heads[1 << HASH_BITS];

/* Words that come again, as in a log. */
static void write_text(void)
{
    uint64_t random = 41;
    char words[64][12];

    for (int i = 0; i < 64; i++)
        for (int k = 0; k < 12; k++)
            words[i][k] = (char)('a' + bench_random(&random) % 26);
    for (size_t at = 0; at < LENGTH;) {
        const char *word = words[bench_random(&random) % 64];
        size_t len = 2 + bench_random(&random) % 10;

        for (size_t k = 0; k < len && at < LENGTH; k++)
            text[at++] = (uint8_t)word[k];
        if (at < LENGTH)
            text[at++] = ' ';
    }
}

static uint32_t load32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, 4);
    return v;
}

/* A literal is 0, length, bytes; a match is its length, and its distance in two. */
static uint8_t *put_literals(uint8_t *out, const uint8_t *from, size_t len)
{
    while (len) {
        size_t n = len < 255 ? len : 255;

        *out++ = 0;
        *out++ = (uint8_t)n;
        for (size_t i = 0; i < n; i++)
            *out++ = *from++;
        len -= n;
    }
    return out;
}

__attribute__((noinline)) static size_t pack(void)
{
    size_t at = 0, start = 0;
    uint8_t *out = packed;

    memset(heads, 0xff, sizeof heads);
    while (at + 4 <= LENGTH) {
        uint32_t hash = load32(text + at) * 2654435761u >> (32 - HASH_BITS);
        size_t from = heads[hash], len = 0;

        heads[hash] = (uint32_t)at;
        if (from < at && at - from < 65536)
            while (len < 255 && at + len < LENGTH && text[from + len] == text[at + len])
                len++;
        if (len < 4) {
            at++;
            continue;
        }
        out = put_literals(out, text + start, at - start);
        *out++ = (uint8_t)len;
        *out++ = (uint8_t)(at - from);
        *out++ = (uint8_t)((at - from) >> 8);
        start = at += len;
    }
    out = put_literals(out, text + start, LENGTH - start);
    return (size_t)(out - packed);
}

__attribute__((noinline)) static size_t unpack(size_t len)
{
    const uint8_t *p = packed, *end = packed + len;
    uint8_t *out = unpacked;

    while (p < end) {
        size_t n = *p++;
        const uint8_t *from;

        if (n) {
            from = out - (p[0] | p[1] << 8);
            p += 2;
        } else {
            n = *p++;
            from = p;
            p += n;
        }
        while (n--)
            *out++ = *from++;
    }
    return (size_t)(out - unpacked);
}

int main(void)
{
    uint64_t sum = 0;

    write_text();
    for (int round = 0; round < ROUNDS; round++) {
        size_t len = pack();

        if (unpack(len) != LENGTH || memcmp(text, unpacked, LENGTH) != 0)
            return 1;
        sum = bench_mix(sum, len);
        text[round * 101] ^= 1;
    }
    return bench_done("lz", sum);
}
