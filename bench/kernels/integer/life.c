/* Conway's game on bytes: nine loads and a few adds a cell. */
#include <string.h>

#include "bench.h"

enum { WIDTH = 256, HEIGHT = 256, ROUNDS = 500 };

/* Not constants to the compiler, as sizes seldom are: else it takes many cells at once. */
static volatile int width_now = WIDTH, height_now = HEIGHT;

static uint8_t now[HEIGHT + 2][WIDTH + 2], next[HEIGHT + 2][WIDTH + 2];

__attribute__((noipa)) static void step(int width, int height)
{
    for (int y = 1; y <= height; y++)
        for (int x = 1; x <= width; x++) {
            int n = now[y - 1][x - 1] + now[y - 1][x] + now[y - 1][x + 1] + now[y][x - 1] +
                    now[y][x + 1] + now[y + 1][x - 1] + now[y + 1][x] + now[y + 1][x + 1];

            next[y][x] = n == 3 || (n == 2 && now[y][x]);
        }
    memcpy(now, next, sizeof now);
}

int main(void)
{
    uint64_t random = 43, sum = 0;

    for (int y = 1; y <= HEIGHT; y++)
        for (int x = 1; x <= WIDTH; x++)
            now[y][x] = bench_random(&random) % 3 == 0;
    for (int i = 0; i < ROUNDS; i++)
        step(width_now, height_now);
    for (int y = 1; y <= HEIGHT; y++)
        for (int x = 1; x <= WIDTH; x++)
            sum = bench_mix(sum, now[y][x]);
    return bench_done("life", sum);
}
