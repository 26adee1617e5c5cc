/* Double multiply-add over rows and columns. The guest fuses them, as compilers
 * do by default, and the host's baseline cannot, so the checksum drops the last
 * bits. (Whole numbers would make it exact, but then no operation is inexact,
 * which QEMU's floating point is slowest at: unfair.) */
#pragma GCC optimize("fp-contract=fast")
#include "bench.h"

enum { N = 300, ROUNDS = 9 };

/* Not a constant to the compiler, as sizes seldom are: else it takes two columns at once. */
static volatile int size_now = N;

static double a[N][N], b[N][N], c[N][N];

__attribute__((noipa)) static void multiply(int n)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double sum = 0;

            for (int k = 0; k < n; k++)
                sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
}

int main(void)
{
    uint64_t random = 7, sum = 0;

    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                a[i][j] = (double)(bench_random(&random) >> 11) * 0x1p-53;
                b[i][j] = (double)(bench_random(&random) >> 11) * 0x1p-53;
            }
        multiply(size_now);
        for (int i = 0; i < N; i++)
            sum = bench_mix(sum, (uint64_t)(c[i][i * 7 % N] * 1e6));
    }
    return bench_done("matmul", sum);
}
