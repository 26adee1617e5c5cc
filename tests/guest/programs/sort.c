/* Compiled in the guest; its result is the same everywhere. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

int main(void)
{
    enum { N = 100000 };
    static uint64_t v[N];
    uint64_t n = 88172645463325252u, hash = 0;
    double sum = 0;

    for (int i = 0; i < N; i++) {
        n ^= n << 13, n ^= n >> 7, n ^= n << 17;
        v[i] = n;
        sum += sqrt((double)(n >> 11));
    }
    qsort(v, N, sizeof(v[0]), by_value);
    for (int i = 0; i < N; i++)
        hash = hash * 31 + v[i];
    printf("%016" PRIx64 " %.17g\n", hash, sum);
    return 0;
}
