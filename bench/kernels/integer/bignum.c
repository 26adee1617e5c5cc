/* Products of 64-bit words into 128 bits, with carries: a Montgomery power of
 * 1024-bit numbers, as RSA does it. */
#include <string.h>

#include "bench.h"

enum { WORDS = 16, ROUNDS = 140 };

typedef unsigned __int128 wide;

static uint64_t modulus[WORDS], inverse;

/* a = a * b / 2^1024 modulo the modulus. */
__attribute__((noinline)) static void multiply(uint64_t *a, const uint64_t *b)
{
    uint64_t t[WORDS + 2] = {0};

    for (int i = 0; i < WORDS; i++) {
        uint64_t carry = 0, m;
        wide sum;

        for (int j = 0; j < WORDS; j++) {
            sum = (wide)a[i] * b[j] + t[j] + carry;
            t[j] = (uint64_t)sum;
            carry = (uint64_t)(sum >> 64);
        }
        sum = (wide)t[WORDS] + carry;
        t[WORDS] = (uint64_t)sum;
        t[WORDS + 1] = (uint64_t)(sum >> 64);

        m = t[0] * inverse;
        sum = (wide)m * modulus[0] + t[0];
        for (int j = 1; j < WORDS; j++) {
            sum = (wide)m * modulus[j] + t[j] + (uint64_t)(sum >> 64);
            t[j - 1] = (uint64_t)sum;
        }
        sum = (wide)t[WORDS] + (uint64_t)(sum >> 64);
        t[WORDS - 1] = (uint64_t)sum;
        t[WORDS] = t[WORDS + 1] + (uint64_t)(sum >> 64);
    }
    memcpy(a, t, sizeof(uint64_t) * WORDS);
}

int main(void)
{
    uint64_t base[WORDS], result[WORDS], random = 37, sum = 0;

    for (int i = 0; i < WORDS; i++) {
        modulus[i] = bench_random(&random);
        base[i] = bench_random(&random);
        result[i] = bench_random(&random);
    }
    /* The top bits are clear, so that no sum overflows t. */
    modulus[0] |= 1;
    modulus[WORDS - 1] >>= 2;
    base[WORDS - 1] >>= 3;
    result[WORDS - 1] >>= 3;
    inverse = 1;
    for (int i = 0; i < 6; i++)
        inverse *= 2 - modulus[0] * inverse;
    inverse = -inverse;
    for (int round = 0; round < ROUNDS; round++)
        for (int bit = 0; bit < 1024; bit++) {
            multiply(result, result);
            if (base[bit / 64 % WORDS] >> bit % 64 & 1)
                multiply(result, base);
        }
    for (int i = 0; i < WORDS; i++)
        sum = bench_mix(sum, result[i]);
    return bench_done("bignum", sum);
}
