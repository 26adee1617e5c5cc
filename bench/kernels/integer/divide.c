/* Division and remainder, signed and unsigned, 32 and 64 bits wide: greatest
 * common divisors, powers modulo a number, dates. */
#include "bench.h"

enum { ROUNDS = 800000 };

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t t = a % b;

        a = b;
        b = t;
    }
    return a;
}

static uint32_t power(uint64_t base, uint32_t exponent, uint32_t modulus)
{
    uint64_t result = 1;

    for (base %= modulus; exponent; exponent >>= 1) {
        if (exponent & 1)
            result = result * base % modulus;
        base = base * base % modulus;
    }
    return (uint32_t)result;
}

static int32_t calendar(int32_t day, int32_t length)
{
    int32_t year = day / length, rest = day % length;

    return year * 1000 + rest / (length / 12 + 1);
}

int main(void)
{
    uint64_t random = 29, sum = 0;

    for (int i = 0; i < ROUNDS; i++) {
        uint64_t a = bench_random(&random), b = bench_random(&random);

        sum = bench_mix(sum, gcd(a >> 20, (b >> 24) | 1));
        sum += power(a, (uint32_t)b & 0xfff, (uint32_t)(b >> 33) | 1);
        sum += (uint64_t)(int64_t)calendar((int32_t)a, 353 + (int32_t)(b & 31));
        sum += (uint64_t)((int64_t)a / (int64_t)(b | 1));
    }
    return bench_done("divide", sum);
}
