/* Two processes on one processor that pass a word to and fro through pipes. */
#define _GNU_SOURCE
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "one_cpu.h"

enum { ROUNDS = 30000 };

static int serve(int in, int out)
{
    uint64_t word;

    while (read(in, &word, sizeof word) == sizeof word) {
        word = word * 3 + 1;
        if (write(out, &word, sizeof word) != sizeof word)
            return 1;
    }
    return 0;
}

int main(void)
{
    int to[2], from[2], status;
    uint64_t word = 1, sum = 0;
    pid_t child;

    one_cpu();
    if (pipe(to) || pipe(from))
        return 1;
    child = fork();
    if (child == 0) {
        close(to[1]);
        _exit(serve(to[0], from[1]));
    }
    for (int i = 0; i < ROUNDS; i++) {
        if (write(to[1], &word, sizeof word) != sizeof word ||
            read(from[0], &word, sizeof word) != sizeof word)
            return 1;
        sum = bench_mix(sum, word);
    }
    close(to[1]);
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        return 1;
    return bench_done("pipes", sum);
}
