/* Fields of any width from a stream of bits, as decoders read them, and the
 * idioms of bits: byte swap, count, leading and trailing zeros, sign extension. */
#include <string.h>

#include "bench.h"

enum { BYTES = 1 << 16, ROUNDS = 320 };

static uint8_t stream[BYTES + 8];

static uint64_t load_be64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, 8);
    return __builtin_bswap64(v);
}

static unsigned count(uint64_t x)
{
    x -= x >> 1 & 0x5555555555555555;
    x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return (unsigned)(x * 0x0101010101010101 >> 56);
}

static uint64_t decode(void)
{
    uint64_t sum = 0;

    for (size_t bit = 0; bit < BYTES * 8;) {
        uint64_t word = load_be64(stream + bit / 8) << bit % 8;
        unsigned zeros = (unsigned)__builtin_clzll(word | 1 << 8);
        unsigned width = 1 + (zeros & 15);
        int64_t value = (int64_t)(word << zeros) >> (64 - width);

        sum = bench_mix(sum, (uint64_t)value) + (uint64_t)(int8_t)word;
        sum += count(word & (word >> 3)) + (unsigned)__builtin_ctzll(word | 1ull << 40);
        bit += width + (zeros & 7) + 1;
    }
    return sum;
}

int main(void)
{
    uint64_t random = 47, sum = 0;

    for (int i = 0; i < BYTES; i++)
        stream[i] = (uint8_t)(bench_random(&random) & bench_random(&random));
    for (int i = 0; i < ROUNDS; i++)
        sum = bench_mix(sum, decode());
    return bench_done("bits", sum);
}
