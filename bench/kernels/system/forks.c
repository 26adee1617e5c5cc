/* Processes that write a little into copied pages and end. */
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

enum { ROUNDS = 700, BYTES = 1 << 17 };

static uint8_t data[BYTES];

int main(void)
{
    uint64_t sum = 0;

    for (int i = 0; i < BYTES; i++)
        data[i] = (uint8_t)i;
    for (int round = 0; round < ROUNDS; round++) {
        pid_t child = fork();
        int status;

        if (child < 0)
            return 1;
        if (child == 0) {
            for (int i = 0; i < BYTES; i += 16384)
                data[i] = (uint8_t)(data[i + 7] + round);
            _exit(data[16384] & 0x7f);
        }
        if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
            return 1;
        sum = bench_mix(sum, (uint64_t)WEXITSTATUS(status));
    }
    return bench_done("forks", sum);
}
