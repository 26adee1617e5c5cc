/* Byte stores with a growing stride, and a predictable loop. */
#include <string.h>

#include "bench.h"

enum { LIMIT = 1 << 20, ROUNDS = 60 };

static uint8_t composite[LIMIT];

static uint64_t count_primes(void)
{
    uint64_t count = 0;

    memset(composite, 0, sizeof composite);
    for (uint32_t i = 2; i < LIMIT; i++) {
        if (composite[i])
            continue;
        count++;
        for (uint64_t j = (uint64_t)i * i; j < LIMIT; j += i)
            composite[j] = 1;
    }
    return count;
}

int main(void)
{
    uint64_t sum = 0;

    for (int i = 0; i < ROUNDS; i++)
        sum = bench_mix(sum, count_primes());
    return bench_done("sieve", sum);
}
