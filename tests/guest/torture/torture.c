/* Tortures a Linux of several harts for so many seconds: processes and threads that do a thing over
 * and over and check what came of it. Ends with the line "torture ok", or names what went wrong.
 *
 *      torture SECONDS [PLANT]         PLANT: the name of a job that is to report a failure */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, CHILD_STATUS = 42 };

static time_t deadline;
static const char *plant = "";
static const char *self_path;
static _Atomic uint64_t rounds;

static bool more(void)
{
    struct timespec now;

    atomic_fetch_add_explicit(&rounds, 1, memory_order_relaxed);
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec < deadline;
}

static void fail(const char *job, const char *what, long a, long b)
{
    fprintf(stderr, "torture: %s: %s: %ld %ld (errno %d)\n", job, what, a, b, errno);
    _exit(1);
}

#define EXPECT(job, a, b)                                                                          \
    do {                                                                                           \
        long a_ = (long)(a), b_ = (long)(b);                                                       \
        if (a_ != b_ || strcmp(plant, job) == 0)                                                   \
            fail(job, #a " is not " #b, a_, b_);                                                   \
    } while (0)

static pthread_t start(void *(*fn)(void *), void *arg)
{
    pthread_t t;

    if (pthread_create(&t, NULL, fn, arg))
        fail("pthread_create", "refused", 0, 0);
    return t;
}

/* ---- Processes ------------------------------------------------------------------------ */

/* Children that exit, that exec, and grandchildren; memory that is copied on write. */
static void forks(void)
{
    volatile uint64_t *shared_page =
        mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (uint64_t n = 0; more(); n++) {
        pid_t child[4];

        for (int p = 0; p < 16; p++)
            shared_page[p * PAGE / 8] = n + (uint64_t)p;
        for (unsigned i = 0; i < 4; i++) {
            child[i] = fork();
            if (child[i] == 0) {
                for (int p = 0; p < 16; p++) {
                    if (shared_page[p * PAGE / 8] != n + (uint64_t)p)
                        _exit(1);
                    shared_page[p * PAGE / 8] = i;
                }
                if (i == 3)
                    execl(self_path, self_path, "child", (char *)NULL);
                _exit(CHILD_STATUS);
            }
            if (child[i] < 0)
                fail("forks", "refused", i, 0);
        }
        for (unsigned i = 0; i < 4; i++) {
            int status;

            EXPECT("forks", waitpid(child[i], &status, 0), child[i]);
            EXPECT("forks", WIFEXITED(status) ? WEXITSTATUS(status) : -1, CHILD_STATUS);
        }
        for (int p = 0; p < 16; p++)
            EXPECT("forks", shared_page[p * PAGE / 8], n + (uint64_t)p);
    }
}

/* A sum through a chain of processes and pipes. */
static void pipes(void)
{
    static uint64_t block[512];
    int there[2], back[2], status;
    pid_t child;

    if (pipe(there) || pipe(back))
        fail("pipes", "refused", 0, 0);
    child = fork();
    if (child == 0) {
        close(there[1]);
        while (read(there[0], block, 8) == 8) {
            uint64_t n = block[0], got = 0, sum = 0;

            while (got < n * 8) {
                ssize_t r = read(there[0], (char *)block + got, n * 8 - got);

                if (r <= 0)
                    _exit(1);
                got += (uint64_t)r;
            }
            for (uint64_t i = 0; i < n; i++)
                sum += block[i];
            if (write(back[1], &sum, 8) != 8)
                _exit(1);
        }
        _exit(CHILD_STATUS);
    }
    for (uint64_t n = 1; more(); n++) {
        uint64_t words = n % 511 + 1, sum = 0, answer = 0;

        for (uint64_t i = 0; i < words; i++)
            sum += block[i] = n * i;
        EXPECT("pipes", write(there[1], &words, 8), 8);
        EXPECT("pipes", write(there[1], block, words * 8), words * 8);
        EXPECT("pipes", read(back[0], &answer, 8), 8);
        EXPECT("pipes", answer, sum);
    }
    close(there[1]);
    EXPECT("pipes", waitpid(child, &status, 0), child);
    EXPECT("pipes", WEXITSTATUS(status), CHILD_STATUS);
}

/* ---- Threads of one address space ----------------------------------------------------- */

static _Thread_local volatile sig_atomic_t skipped;

/* A store to a page that is read-only at the moment is skipped: sd without compression is 4 bytes.
 */
static void skip_store(int number, siginfo_t *info, void *context)
{
    ucontext_t *u = context;

    (void)number, (void)info;
    u->uc_mcontext.__gregs[0] += 4;
    skipped = 1;
}

static void store_word(volatile uint64_t *p, uint64_t value)
{
    __asm__ volatile(".option push\n.option norvc\nsd %1, 0(%0)\n.option pop" ::"r"(p), "r"(value)
                     : "memory");
}

/* Maps, writes, protects and unmaps; what another thread does at the same time needs shootdowns. */
static void *map_and_unmap(void *arg)
{
    uint64_t id = (uint64_t)(uintptr_t)arg;

    for (uint64_t n = 1; more(); n++) {
        size_t pages = n % 13 + 1;
        volatile uint64_t *p =
            mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED)
            fail("maps", "refused", (long)n, 0);
        for (size_t i = 0; i < pages; i++) {
            EXPECT("maps", p[i * PAGE / 8], 0);
            p[i * PAGE / 8] = id << 32 | n;
        }
        EXPECT("maps", mprotect((void *)p, pages * PAGE, PROT_READ), 0);
        skipped = 0;
        store_word(p, 0);
        EXPECT("maps", skipped, 1);
        for (size_t i = 0; i < pages; i++)
            EXPECT("maps", p[i * PAGE / 8], id << 32 | n);
        EXPECT("maps", munmap((void *)p, pages * PAGE), 0);
    }
    return NULL;
}

static volatile uint64_t *guarded;

static void *store_always(void *arg)
{
    uint64_t index = (uint64_t)(uintptr_t)arg;

    for (uint64_t n = 1; n % 256 || more(); n++)
        store_word(guarded + index * 8, n);
    return NULL;
}

/* After mprotect() no store of any thread arrives. */
static void *protect(void *arg)
{
    while (more()) {
        uint64_t before[4];

        EXPECT("protect", mprotect((void *)guarded, PAGE, PROT_READ), 0);
        for (int i = 0; i < 4; i++)
            before[i] = guarded[i * 8];
        for (int spin = 0; spin < 2000; spin++)
            __asm__ volatile("");
        for (int i = 0; i < 4; i++)
            EXPECT("protect", guarded[i * 8], before[i]);
        EXPECT("protect", mprotect((void *)guarded, PAGE, PROT_READ | PROT_WRITE), 0);
    }
    return arg;
}

static void memory(void)
{
    struct sigaction action = {.sa_sigaction = skip_store, .sa_flags = SA_SIGINFO | SA_NODEFER};
    pthread_t t[8];

    sigaction(SIGSEGV, &action, NULL);
    guarded = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    t[0] = start(protect, NULL);
    for (uintptr_t i = 0; i < 4; i++)
        t[1 + i] = start(store_always, (void *)i);
    for (uintptr_t i = 0; i < 3; i++)
        t[5 + i] = start(map_and_unmap, (void *)(i + 1));
    for (int i = 0; i < 8; i++)
        pthread_join(t[i], NULL);
}

/* ---- Futexes, locks, signals ---------------------------------------------------------- */

static _Atomic uint32_t turn;

static void futex(int op, uint32_t value)
{
    syscall(SYS_futex, &turn, op, value, NULL, NULL, 0);
}

static void *ping(void *arg)
{
    uint32_t me = (uint32_t)(uintptr_t)arg;

    for (uint32_t n = 0;; n++) {
        uint32_t now, want = n * 2 + me;
        bool last = n % 64 == 0 && !more();

        while ((now = atomic_load(&turn)) < want)
            futex(FUTEX_WAIT_PRIVATE, now);
        if (now >= UINT32_MAX / 2 || last) {
            atomic_store(&turn, UINT32_MAX / 2);
            futex(FUTEX_WAKE_PRIVATE, 2);
            return NULL;
        }
        EXPECT("futex", now, want);
        atomic_store(&turn, want + 1);
        futex(FUTEX_WAKE_PRIVATE, 1);
    }
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t plain_count;
static _Atomic uint64_t atomic_count;

static void *count(void *arg)
{
    for (uint64_t n = 1; n % 64 || more(); n++) {
        pthread_mutex_lock(&lock);
        plain_count++;
        pthread_mutex_unlock(&lock);
        atomic_fetch_add_explicit(&atomic_count, 1, memory_order_relaxed);
    }
    return arg;
}

static void futexes(void)
{
    pthread_t t[5];

    for (uintptr_t i = 0; i < 2; i++)
        t[i] = start(ping, (void *)i);
    for (uintptr_t i = 0; i < 3; i++)
        t[2 + i] = start(count, NULL);
    for (int i = 0; i < 5; i++)
        pthread_join(t[i], NULL);
    EXPECT("futex", plain_count, atomic_count);
}

static _Atomic uint64_t handled;
static _Atomic bool asleep_end;

static void on_user(int number)
{
    (void)number;
    atomic_fetch_add(&handled, 1);
}

static void *be_signalled(void *arg)
{
    uint64_t x = 1, y = 1;
    double f = 1.0;

    /* Registers of both kinds must come back from every handler. */
    while (!atomic_load(&asleep_end)) {
        for (int i = 0; i < 1000; i++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            y = y * 6364136223846793005u + 1442695040888963407u;
            f = f * 1.0000001 + 0.5;
            if (f > 1e9)
                f = 1.0;
        }
        EXPECT("signals", x, y);
    }
    return arg;
}

static void signals(void)
{
    struct sigaction action = {.sa_handler = on_user};
    pthread_t t[2];

    sigaction(SIGUSR1, &action, NULL);
    t[0] = start(be_signalled, NULL);
    t[1] = start(be_signalled, NULL);
    for (uint64_t n = 0; more(); n++) {
        uint64_t before = atomic_load(&handled);

        EXPECT("signals", pthread_kill(t[n % 2], SIGUSR1), 0);
        while (atomic_load(&handled) == before)
            sched_yield();
        EXPECT("signals", atomic_load(&handled), before + 1);
    }
    atomic_store(&asleep_end, true);
    pthread_join(t[0], NULL);
    pthread_join(t[1], NULL);
}

/* ---- Code ----------------------------------------------------------------------------- */

static uint32_t *code;
static _Atomic uint64_t code_epoch;

static uint32_t li_a0(uint64_t n)
{
    return 0x513u | (uint32_t)(n % 2000) << 20;
}

static uint64_t call(const uint32_t *at)
{
    return ((uint64_t(*)(void))(uintptr_t)at)();
}

/* The writer flushes for all threads (riscv_flush_icache, flags 0), then tells. */
static void *write_code(void *arg)
{
    for (uint64_t n = 1; more(); n++) {
        code[0] = li_a0(n);
        EXPECT("code", syscall(259, code, code + 2, 0), 0);
        atomic_store(&code_epoch, n);
        EXPECT("code", call(code), n % 2000);
    }
    return arg;
}

static void *run_code(void *arg)
{
    for (uint64_t k = 0; k % 64 || more(); k++) {
        uint64_t n = atomic_load(&code_epoch), got = call(code);
        uint64_t ahead = (got + 2000 - n % 2000) % 2000;

        if (ahead > 1000 && atomic_load(&code_epoch) - n < 500)
            fail("code", "old code was run", (long)got, (long)n);
    }
    return arg;
}

/* A compiler of its own: a page a thread, written and run over and over. */
static void *own_code(void *arg)
{
    uint32_t *mine =
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (uint64_t n = 1; more(); n++) {
        uint32_t *at = mine + n % 1000;

        at[0] = li_a0(n);
        at[1] = 0x8067;
        EXPECT("code", syscall(259, at, at + 2, 1), 0);
        EXPECT("code", call(at), n % 2000);
    }
    return arg;
}

static void codes(void)
{
    pthread_t t[5];

    code = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    code[0] = li_a0(0);
    code[1] = 0x8067;
    syscall(259, code, code + 2, 0);
    t[0] = start(write_code, NULL);
    t[1] = start(run_code, NULL);
    t[2] = start(run_code, NULL);
    t[3] = start(own_code, NULL);
    t[4] = start(own_code, NULL);
    for (int i = 0; i < 5; i++)
        pthread_join(t[i], NULL);
}

/* ---- All of them at once, a process each ---------------------------------------------- */

static const struct {
    const char *name;
    void (*run)(void);
} jobs[] = {{"forks", forks},     {"pipes", pipes},     {"memory", memory},
            {"futexes", futexes}, {"signals", signals}, {"codes", codes}};
enum { N_JOBS = sizeof(jobs) / sizeof(jobs[0]) };

int main(int n_args, char **args)
{
    struct timespec now;
    pid_t pid[N_JOBS];
    int bad = 0;

    if (n_args > 1 && strcmp(args[1], "child") == 0)
        return CHILD_STATUS;
    self_path = args[0];
    plant = n_args > 2 ? args[2] : "";
    clock_gettime(CLOCK_MONOTONIC, &now);
    deadline = now.tv_sec + (n_args > 1 ? atoi(args[1]) : 10);
    printf("torture: %ld harts\n", sysconf(_SC_NPROCESSORS_ONLN));
    fflush(stdout);
    for (int i = 0; i < N_JOBS; i++) {
        pid[i] = fork();
        if (pid[i] == 0) {
            jobs[i].run();
            printf("torture: %s: %lu rounds\n", jobs[i].name, (unsigned long)atomic_load(&rounds));
            fflush(stdout);
            _exit(0);
        }
    }
    for (int i = 0; i < N_JOBS; i++) {
        int status;

        waitpid(pid[i], &status, 0);
        if (status) {
            printf("torture: %s: status %x\n", jobs[i].name, (unsigned)status);
            bad = 1;
        }
    }
    puts(bad ? "torture FAILED" : "torture ok");
    return bad;
}
