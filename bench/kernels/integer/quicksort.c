/* Branches that cannot be predicted, and loads that follow them. */
#include "bench.h"

enum { COUNT = 600000, ROUNDS = 4 };

static uint32_t values[COUNT];

static void sort(uint32_t *v, ptrdiff_t lo, ptrdiff_t hi)
{
    while (lo < hi) {
        uint32_t pivot = v[lo + (hi - lo) / 2];
        ptrdiff_t i = lo, j = hi;

        while (i <= j) {
            while (v[i] < pivot)
                i++;
            while (v[j] > pivot)
                j--;
            if (i <= j) {
                uint32_t t = v[i];

                v[i++] = v[j];
                v[j--] = t;
            }
        }
        /* The smaller half by a call, so that the stack stays shallow. */
        if (j - lo < hi - i) {
            sort(v, lo, j);
            lo = i;
        } else {
            sort(v, i, hi);
            hi = j;
        }
    }
}

int main(void)
{
    uint64_t random = 42, sum = 0;

    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < COUNT; i++)
            values[i] = (uint32_t)bench_random(&random);
        sort(values, 0, COUNT - 1);
        for (int i = 0; i < COUNT; i += 997)
            sum = bench_mix(sum, values[i]);
    }
    return bench_done("quicksort", sum);
}
