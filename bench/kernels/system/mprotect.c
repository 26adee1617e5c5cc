/* Rights of pages taken and given: a collector's write barrier. Each page that
 * is written faults once, and the handler opens it. */
#include <signal.h>
#include <sys/mman.h>

#include "bench.h"

enum { PAGE = 4096, PAGES = 64, ROUNDS = 450 };

static uint8_t *memory;
static volatile uint64_t dirty;

static void handle(int number, siginfo_t *info, void *context)
{
    uintptr_t page = (uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1);

    (void)number;
    (void)context;
    dirty++;
    mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE);
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
    uint64_t random = 73, sum = 0;

    memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || sigaction(SIGSEGV, &action, NULL))
        return 1;
    for (int round = 0; round < ROUNDS; round++) {
        mprotect(memory, PAGES * PAGE, PROT_READ);
        for (int i = 0; i < 64; i++) {
            size_t page = bench_random(&random) % PAGES;

            memory[page * PAGE + (size_t)i]++;
        }
        sum = bench_mix(sum, dirty);
    }
    return bench_done("mprotect", sum);
}
