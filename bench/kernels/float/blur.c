/* Single precision: a filter over rows and columns of a picture, with clamping,
 * and a recursive filter whose operations depend on each other. */
#include "bench.h"

enum { WIDTH = 320, HEIGHT = 240, ROUNDS = 150 };

/* Not constants to the compiler, as sizes seldom are: else it takes four pixels at once. */
static volatile int width_now = WIDTH, height_now = HEIGHT;

static float picture[HEIGHT][WIDTH], rows[HEIGHT][WIDTH];

static float clamp(float x)
{
    return x < 0.0f ? 0.0f : x > 1.0f ? 1.0f : x;
}

__attribute__((noipa)) static void filter_rows(int width, int height)
{
    for (int y = 0; y < height; y++)
        for (int x = 2; x < width - 2; x++) {
            const float *p = &picture[y][x];
            float sum = p[-2] * 0.06f + p[-1] * 0.25f + p[0] * 0.4f + p[1] * 0.25f + p[2] * 0.06f;

            rows[y][x] = clamp(sum);
        }
}

__attribute__((noipa)) static void filter_columns(int width, int height)
{
    for (int y = 1; y < height - 1; y++)
        for (int x = 0; x < width; x++) {
            float sum = rows[y - 1][x] * -0.2f + rows[y][x] * 1.4f + rows[y + 1][x] * -0.2f;

            picture[y][x] = clamp(sum);
        }
}

__attribute__((noinline)) static float follow(float gain)
{
    float level = 0.5f, peak = 0;

    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            level += (picture[y][x] - level) * gain;
            if (level > peak)
                peak = level;
        }
    return peak;
}

int main(void)
{
    uint64_t random = 59, sum = 0;

    for (int round = 0; round < ROUNDS; round++) {
        if (round % 10 == 0)
            for (int y = 0; y < HEIGHT; y++)
                for (int x = 0; x < WIDTH; x++)
                    picture[y][x] = (float)(bench_random(&random) >> 40) * 0x1p-24f;
        filter_rows(width_now, height_now);
        filter_columns(width_now, height_now);
        sum = bench_mix(sum, bench_bits((double)follow(0.07f + 0.001f * (float)round)));
    }
    return bench_done("blur", sum);
}
