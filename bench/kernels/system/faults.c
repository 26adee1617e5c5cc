/* Fresh pages: mapped, touched for the first time, given back. */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "bench.h"

enum { PAGE = 4096, PAGES = 256, ROUNDS = 600 };

int main(void)
{
    uint64_t sum = 0;

    for (int round = 0; round < ROUNDS; round++) {
        uint8_t *memory =
            mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (memory == MAP_FAILED)
            return 1;
        /* Never as huge pages, which would hide the faults where there are such. */
        madvise(memory, PAGES * PAGE, MADV_NOHUGEPAGE);
        for (int page = 0; page < PAGES; page++) {
            memory[page * PAGE + round] = (uint8_t)(page + 1);
            sum += memory[page * PAGE] + memory[page * PAGE + round];
        }
        munmap(memory, PAGES * PAGE);
    }
    return bench_done("faults", sum);
}
