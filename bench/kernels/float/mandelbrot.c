/* A chain of double operations with a compare in each round. */
#include "bench.h"

enum { SIZE = 900, LIMIT = 300 };

static int escape(double cr, double ci)
{
    double zr = 0, zi = 0;
    int n = 0;

    while (n < LIMIT) {
        double rr = zr * zr, ii = zi * zi;

        if (rr + ii > 4.0)
            break;
        zi = 2 * zr * zi + ci;
        zr = rr - ii + cr;
        n++;
    }
    return n;
}

int main(void)
{
    uint64_t sum = 0;

    for (int y = 0; y < SIZE; y++)
        for (int x = 0; x < SIZE; x++)
            sum = bench_mix(sum, (uint64_t)escape(-2.0 + 3.0 * x / SIZE, -1.5 + 3.0 * y / SIZE));
    return bench_done("mandelbrot", sum);
}
