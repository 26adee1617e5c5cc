/* The spectral norm of a matrix that is never stored: conversions of integers
 * and double divisions. */
#include <math.h>

#include "bench.h"

enum { N = 700, ROUNDS = 35 };

static double element(int i, int j)
{
    return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1);
}

static void times(const double *v, double *out)
{
    for (int i = 0; i < N; i++) {
        double sum = 0;

        for (int j = 0; j < N; j++)
            sum += element(i, j) * v[j];
        out[i] = sum;
    }
}

static void times_transposed(const double *v, double *out)
{
    for (int i = 0; i < N; i++) {
        double sum = 0;

        for (int j = 0; j < N; j++)
            sum += element(j, i) * v[j];
        out[i] = sum;
    }
}

int main(void)
{
    static double u[N], v[N], t[N];
    double uv = 0, vv = 0;

    for (int i = 0; i < N; i++)
        u[i] = 1;
    for (int i = 0; i < ROUNDS; i++) {
        times(u, t);
        times_transposed(t, v);
        times(v, t);
        times_transposed(t, u);
    }
    for (int i = 0; i < N; i++) {
        uv += u[i] * v[i];
        vv += v[i] * v[i];
    }
    return bench_done("spectral", bench_bits(sqrt(uv / vv)));
}
