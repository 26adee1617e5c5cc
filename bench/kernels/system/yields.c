/* Two processes on one processor that give way to each other all the time:
 * context switches with a change of address space. */
#define _GNU_SOURCE
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "one_cpu.h"

enum { ROUNDS = 100000, PAGES = 8, PAGE = 4096 };

static uint8_t data[PAGES * PAGE];

/* Touches a few pages between, whose translations a switch may have lost. */
static uint64_t play(void)
{
    uint64_t sum = 0;

    for (int i = 0; i < ROUNDS; i++) {
        for (int page = 0; page < PAGES; page++)
            sum += ++data[page * PAGE + 64];
        sched_yield();
    }
    return sum;
}

int main(void)
{
    int status;
    uint64_t sum;
    pid_t child;

    one_cpu();
    child = fork();
    if (child == 0)
        _exit(play() & 0x7f);
    sum = play();
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return 1;
    return bench_done("yields", bench_mix(sum, (uint64_t)WEXITSTATUS(status)));
}
