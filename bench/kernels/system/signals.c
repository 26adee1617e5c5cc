/* Signals that a process sends itself: delivery, handler, return. */
#include <signal.h>
#include <unistd.h>

#include "bench.h"

enum { ROUNDS = 70000 };

static volatile uint64_t sum;

static void handle(int number)
{
    sum = bench_mix(sum, (uint64_t)(number == SIGUSR1));
}

int main(void)
{
    struct sigaction action = {.sa_handler = handle};
    pid_t self = getpid();

    if (sigaction(SIGUSR1, &action, NULL))
        return 1;
    for (int i = 0; i < ROUNDS; i++)
        kill(self, SIGUSR1);
    return bench_done("signals", sum);
}
