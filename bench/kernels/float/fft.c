/* A radix-2 transform and back: double butterflies over 128 KiB with strides
 * that double, and the bit reversal of indices. */
#include "bench.h"

enum { BITS = 13, N = 1 << BITS, ROUNDS = 400 };

struct complex {
    double re, im;
};

static struct complex data[N], roots[N / 2];

/* Unit roots by halving angles, so that no library decides the last bit. */
static void make_roots(void)
{
    roots[0] = (struct complex){1, 0};
    for (int step = N / 4, level = 2; step >= 1; step /= 2, level++) {
        /* sin and cos of 2 pi / 2^level by their series: enough terms for double. */
        double x = 6.283185307179586 / (double)(1 << level), s = 0, c = 0, term = 1;

        for (int k = 0; k < 24; k++) {
            if (k % 2)
                s += k % 4 == 1 ? term : -term;
            else
                c += k % 4 == 0 ? term : -term;
            term = term * x / (k + 1);
        }
        for (int i = 0; i < N / 2; i += 2 * step)
            roots[i + step] = (struct complex){roots[i].re * c - roots[i].im * s,
                                               roots[i].re * s + roots[i].im * c};
    }
}

static void reverse(void)
{
    for (unsigned i = 0, j = 0; i < N; i++) {
        unsigned bit = N >> 1;

        if (i < j) {
            struct complex t = data[i];

            data[i] = data[j];
            data[j] = t;
        }
        while (j & bit) {
            j ^= bit;
            bit >>= 1;
        }
        j |= bit;
    }
}

static void transform(double sign)
{
    reverse();
    for (int half = 1; half < N; half *= 2)
        for (int start = 0; start < N; start += 2 * half)
            for (int k = 0; k < half; k++) {
                struct complex w = roots[k * (N / 2 / half)];
                struct complex *a = &data[start + k], *b = a + half;
                double re = b->re * w.re - b->im * w.im * sign;
                double im = b->re * w.im * sign + b->im * w.re;

                *b = (struct complex){a->re - re, a->im - im};
                *a = (struct complex){a->re + re, a->im + im};
            }
}

int main(void)
{
    uint64_t random = 53, sum = 0;

    make_roots();
    for (int i = 0; i < N; i++)
        data[i].re = (double)(bench_random(&random) >> 12) * 0x1p-52 - 0.5;
    for (int round = 0; round < ROUNDS; round++) {
        transform(1);
        data[round].re *= 0.5;
        transform(-1);
        for (int i = 0; i < N; i++) {
            data[i].re *= 1.0 / N;
            data[i].im *= 1.0 / N;
        }
    }
    for (int i = 0; i < N; i += 37)
        sum = bench_mix(sum, bench_bits(data[i].re));
    return bench_done("fft", sum);
}
