/* Work for N processes at once: each does so many units, and the time until all have is printed.
 *
 *      work compute|forks|faults|pipes N UNITS */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, FAULTS = 512, LOOPS = 2000000, WORDS = 4096 };

static const char *self_path;

/* Integer work on a table that fits the first-level cache. */
static void compute(void)
{
    static uint64_t table[WORDS];
    uint64_t x = 88172645463325252u, sum = 0;

    for (int i = 0; i < LOOPS; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        sum += table[x % WORDS] += x ^ sum;
    }
    if (sum == 0)
        _exit(1);
}

/* A process that becomes another program, sixteen times. */
static void forks(void)
{
    for (int i = 0; i < 16; i++) {
        pid_t child = fork();
        int status;

        if (child == 0) {
            execl(self_path, self_path, (char *)NULL);
            _exit(1);
        }
        if (waitpid(child, &status, 0) != child || status)
            _exit(1);
    }
}

/* Pages that are touched for the first time. */
static void faults(void)
{
    for (int i = 0; i < 8; i++) {
        volatile uint8_t *p =
            mmap(NULL, FAULTS * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED)
            _exit(1);
        for (int n = 0; n < FAULTS; n++)
            p[n * PAGE] = 1;
        munmap((void *)p, FAULTS * PAGE);
    }
}

static const struct {
    const char *name;
    void (*unit)(void);
} kinds[] = {{"compute", compute}, {"forks", forks}, {"faults", faults}};

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int main(int n_args, char **args)
{
    void (*unit)(void) = NULL;
    int n, units, bad = 0;
    uint64_t start;

    if (n_args < 4)
        return 0;
    self_path = args[0];
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].name, args[1]) == 0)
            unit = kinds[i].unit;
    if (!unit)
        return 2;
    n = atoi(args[2]);
    units = atoi(args[3]);
    start = now_ns();
    for (int i = 0; i < n; i++)
        if (fork() == 0) {
            for (int k = 0; k < units; k++)
                unit();
            _exit(0);
        }
    for (int i = 0; i < n; i++) {
        int status;

        wait(&status);
        bad |= status != 0;
    }
    printf("work: %" PRIu64 " ns\n", now_ns() - start);
    return bad;
}
