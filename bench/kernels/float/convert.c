/* Conversions between all formats and widths, minimum and maximum, signs,
 * comparisons, classes: the operations around the arithmetic. */
/* No NaN and no negative zero comes here, and fmin may be one instruction. */
#pragma GCC optimize("finite-math-only", "no-signed-zeros")
#include <math.h>

#include "bench.h"

enum { COUNT = 4096, ROUNDS = 3600 };

static double values[COUNT];
static int16_t samples[COUNT];

__attribute__((noinline)) static uint64_t mix(double low, double high)
{
    uint64_t sum = 0;

    for (int i = 0; i < COUNT; i++) {
        double x = fmax(low, fmin(values[i], high));
        float f = (float)x * 0.5f + (float)samples[i];
        int32_t whole = (int32_t)f;
        double rest = fabs(x) - (double)whole;

        sum += (uint64_t)(int64_t)(x * 1024.0) + (uint32_t)whole;
        sum ^= (uint64_t)(uint32_t)(int32_t)copysign(rest, x);
        samples[i] = (int16_t)(whole & 0x3ff);
        if (rest >= 3.0)
            sum += (uint64_t)(rest + (double)(sum >> 40));
    }
    return sum;
}

int main(void)
{
    uint64_t random = 61, sum = 0;

    for (int i = 0; i < COUNT; i++)
        values[i] = ((double)(bench_random(&random) >> 12) * 0x1p-52 - 0.3) * 5000.0 + 0.1;
    for (int i = 0; i < ROUNDS; i++)
        sum = bench_mix(sum, mix(-900.0 - i, 1500.0 + i));
    return bench_done("convert", sum);
}
