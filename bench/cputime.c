/* Runs a command and says what it cost: one line on stderr,
 *
 *     cputime NAME user=SECONDS sys=SECONDS rss=KIB pss=KIB status=N
 *
 * where status is the exit status, or 128 + the signal that ended it. The same
 * program measures kernels on the host, kernels in the guest, and the
 * emulators: user and system time as the operating system charged it.
 *
 *     cputime [-p] [-t LIMIT_SECONDS] NAME COMMAND [ARGUMENT...]
 *
 * rss is the peak the operating system kept. It counts a page twice that is
 * mapped twice, as a translator may do with its code and the guest's memory;
 * -p samples the proportional size as well, which counts it once, ten times a
 * second. Without -p, pss is 0. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long pss_kib(pid_t pid)
{
    char line[128];
    long kib = 0;
    FILE *f;

    snprintf(line, sizeof line, "/proc/%d/smaps_rollup", (int)pid);
    f = fopen(line, "r");
    if (!f)
        return 0;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "Pss: %ld", &kib) == 1)
            break;
    fclose(f);
    return kib;
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Waits for the child; its peak of pss if that is wanted. */
static long wait_for(pid_t pid, bool want_pss, double limit, int *status, struct rusage *use)
{
    const struct timespec pause = {.tv_nsec = 100000000};
    double end = now() + limit;
    sigset_t child;
    long peak = 0;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    while (wait4(pid, status, WNOHANG, use) == 0) {
        long kib = want_pss ? pss_kib(pid) : 0;

        if (kib > peak)
            peak = kib;
        if (limit > 0 && now() > end)
            kill(pid, SIGKILL);
        if (want_pss || limit > 0)
            sigtimedwait(&child, NULL, &pause);
        else
            sigwaitinfo(&child, NULL);
    }
    return peak;
}

static int usage(void)
{
    fprintf(stderr, "usage: cputime [-p] [-t LIMIT_SECONDS] NAME COMMAND [ARGUMENT...]\n");
    return 1;
}

int main(int argc, char **argv)
{
    bool want_pss = false;
    double limit = 0;
    struct rusage use;
    sigset_t child;
    int opt, status;
    long peak;
    pid_t pid;

    while ((opt = getopt(argc, argv, "+pt:")) != -1) {
        if (opt == 'p')
            want_pss = true;
        else if (opt == 't')
            limit = atof(optarg);
        else
            return usage();
    }
    if (argc - optind < 2)
        return usage();

    /* Blocked before the child exists, so that its end cannot be missed. */
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    pid = fork();
    if (pid == 0) {
        sigprocmask(SIG_UNBLOCK, &child, NULL);
        execvp(argv[optind + 1], argv + optind + 1);
        fprintf(stderr, "cputime: cannot run %s: %s\n", argv[optind + 1], strerror(errno));
        _exit(127);
    }
    if (pid < 0) {
        perror("cputime: fork");
        return 1;
    }
    peak = wait_for(pid, want_pss, limit, &status, &use);
    status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    fprintf(stderr, "cputime %s user=%.6f sys=%.6f rss=%ld pss=%ld status=%d\n", argv[optind],
            seconds(use.ru_utime), seconds(use.ru_stime), use.ru_maxrss, peak, status);
    return status;
}
