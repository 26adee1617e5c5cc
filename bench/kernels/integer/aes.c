/* AES-128 by one table of words: byte extraction, look-ups, rotates. */
#include "bench.h"

enum { BLOCKS = 1500000, ROUNDS = 10 };

static uint8_t box[256];
static uint32_t table[256], keys[4 * (ROUNDS + 1)];

static uint8_t twice(uint8_t x)
{
    return (uint8_t)(x << 1 ^ (x & 0x80 ? 0x1b : 0));
}

static uint32_t rol(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

/* The S-box by walking the field with a generator and its inverse. */
static void make_tables(void)
{
    uint8_t p = 1, q = 1;

    do {
        p = (uint8_t)(p ^ twice(p));
        q = (uint8_t)(q ^ q << 1);
        q = (uint8_t)(q ^ q << 2);
        q = (uint8_t)(q ^ q << 4);
        if (q & 0x80)
            q ^= 0x09;
        box[p] = (uint8_t)(q ^ (q << 1 | q >> 7) ^ (q << 2 | q >> 6) ^ (q << 3 | q >> 5) ^
                           (q << 4 | q >> 4) ^ 0x63);
    } while (p != 1);
    box[0] = 0x63;
    for (int i = 0; i < 256; i++) {
        uint8_t s = box[i], t = twice(s);

        table[i] = (uint32_t)t | (uint32_t)s << 8 | (uint32_t)s << 16 | (uint32_t)(s ^ t) << 24;
    }
}

static uint32_t substitute(uint32_t x)
{
    return box[x & 255] | (uint32_t)box[x >> 8 & 255] << 8 | (uint32_t)box[x >> 16 & 255] << 16 |
           (uint32_t)box[x >> 24] << 24;
}

static void expand_key(const uint32_t key[4])
{
    uint8_t constant = 1;

    for (int i = 0; i < 4 * (ROUNDS + 1); i++) {
        uint32_t t = i ? keys[i - 1] : 0;

        if (i < 4) {
            keys[i] = key[i];
            continue;
        }
        if (i % 4 == 0) {
            t = substitute(rol(t, 24)) ^ constant;
            constant = twice(constant);
        }
        keys[i] = keys[i - 4] ^ t;
    }
}

static uint32_t column(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    return table[a & 255] ^ rol(table[b >> 8 & 255], 8) ^ rol(table[c >> 16 & 255], 16) ^
           rol(table[d >> 24], 24);
}

static void encrypt(uint32_t s[4])
{
    const uint32_t *k = keys;
    uint32_t a = s[0] ^ k[0], b = s[1] ^ k[1], c = s[2] ^ k[2], d = s[3] ^ k[3];

    for (int round = 1; round < ROUNDS; round++) {
        uint32_t t0 = column(a, b, c, d), t1 = column(b, c, d, a);
        uint32_t t2 = column(c, d, a, b), t3 = column(d, a, b, c);

        k += 4;
        a = t0 ^ k[0];
        b = t1 ^ k[1];
        c = t2 ^ k[2];
        d = t3 ^ k[3];
    }
    k += 4;
    s[0] = substitute((a & 0xff) | (b & 0xff00) | (c & 0xff0000) | (d & 0xff000000)) ^ k[0];
    s[1] = substitute((b & 0xff) | (c & 0xff00) | (d & 0xff0000) | (a & 0xff000000)) ^ k[1];
    s[2] = substitute((c & 0xff) | (d & 0xff00) | (a & 0xff0000) | (b & 0xff000000)) ^ k[2];
    s[3] = substitute((d & 0xff) | (a & 0xff00) | (b & 0xff0000) | (c & 0xff000000)) ^ k[3];
}

int main(void)
{
    /* The example of FIPS 197, appendix B, then its result over and over. */
    const uint32_t key[4] = {0x16157e2b, 0xa6d2ae28, 0x8815f7ab, 0x3c4fcf09};
    uint32_t state[4] = {0xa8f64332, 0x8d305a88, 0xa2983131, 0x340737e0};
    uint64_t sum = 0;

    make_tables();
    expand_key(key);
    encrypt(state);
    if (state[0] != 0x1d842539)
        return 1;
    for (int i = 0; i < BLOCKS; i++)
        encrypt(state);
    for (int i = 0; i < 4; i++)
        sum = bench_mix(sum, state[i]);
    return bench_done("aes", sum);
}
