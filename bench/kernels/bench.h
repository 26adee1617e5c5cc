/* What every benchmark kernel shares: random numbers and the line it prints.
 * A kernel is one plain C file, compiled alike for the host and for the guest;
 * it prints one line, `NAME CHECKSUM`, which must be the same on both, and runs
 * for 0.1 to 0.3 s natively. */
#pragma once

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* xorshift64: the same everywhere, and cheap beside what is measured. */
static inline uint64_t bench_random(uint64_t *state)
{
    uint64_t x = *state;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

/* One step of a checksum in which the order of the values counts. */
static inline uint64_t bench_mix(uint64_t sum, uint64_t value)
{
    return (sum ^ value) * 0x100000001b3u;
}

/* A floating-point result, to the last bit. */
static inline uint64_t bench_bits(double x)
{
    uint64_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline int bench_done(const char *name, uint64_t sum)
{
    printf("%s %016" PRIx64 "\n", name, sum);
    return 0;
}
