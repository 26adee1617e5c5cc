/* Sleeps of a few microseconds: a timer set, the processor idle, the interrupt. */
#include <time.h>

#include "bench.h"

enum { ROUNDS = 12000 };

int main(void)
{
    const struct timespec pause = {.tv_nsec = 5000};
    uint64_t sum = 0;

    for (int i = 0; i < ROUNDS; i++)
        sum += nanosleep(&pause, NULL) == 0;
    return bench_done("naps", sum);
}
