/* Work for N processes at once: each does units until MS milliseconds have passed, one at least,
 * and the sum of what they did in a second is printed. Each finishes its last unit and counts by
 * its own time, so that it matters little who comes last.
 *
 *      work compute|forks|faults N MS */
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

enum { PAGE = 4096, FAULTS = 512, LOOPS = 2000000, WORDS = 4096, PROCESSES = 64 };

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

/* Units a second. */
static double rate_until(void (*unit)(void), uint64_t start, uint64_t end)
{
    uint64_t n = 0, now;

    do {
        unit();
        n++;
        now = now_ns();
    } while (now < end);
    return (double)n * 1e9 / (double)(now - start);
}

int main(int n_args, char **args)
{
    void (*unit)(void) = NULL;
    double *rate, sum = 0;
    uint64_t start, end;
    int n, bad = 0;

    if (n_args < 4)
        return 0;
    self_path = args[0];
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].name, args[1]) == 0)
            unit = kinds[i].unit;
    n = atoi(args[2]);
    if (!unit || n < 1 || n > PROCESSES)
        return 2;
    rate = mmap(NULL, PROCESSES * sizeof *rate, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                -1, 0);
    if (rate == MAP_FAILED)
        return 1;
    start = now_ns();
    end = start + (uint64_t)atoi(args[3]) * 1000000;
    for (int i = 0; i < n; i++) {
        pid_t child = fork();

        if (child == 0) {
            rate[i] = rate_until(unit, start, end);
            _exit(0);
        }
        bad |= child < 0;
    }
    for (int i = 0; i < n; i++) {
        int status;

        bad |= wait(&status) < 0 || status != 0;
    }
    for (int i = 0; i < n; i++)
        sum += rate[i];
    printf("work: %.3f units a second\n", sum);
    return bad;
}
