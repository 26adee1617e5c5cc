/* The time of day, as a program with many log lines asks for it. */
#include <time.h>

#include "bench.h"

enum { ROUNDS = 3000000 };

int main(void)
{
    uint64_t before = 0, sum = 0;

    for (int i = 0; i < ROUNDS; i++) {
        struct timespec t;
        uint64_t now;

        clock_gettime(CLOCK_MONOTONIC, &t);
        now = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
        sum += now >= before;
        before = now;
    }
    return bench_done("clocks", sum);
}
