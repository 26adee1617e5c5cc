/* IPIs: how long they take, and that none is lost, to a hart that runs and to one that sleeps. */
#include "tests/litmus/guest.h"

static volatile uint64_t turn __attribute__((aligned(LINE)));
static volatile uint64_t mail[MAX_HARTS][LINE / 8] __attribute__((aligned(LINE)));
static volatile uint64_t sent[MAX_HARTS][LINE / 8] __attribute__((aligned(LINE)));
static volatile uint64_t lost, ended;
static struct barrier barrier __attribute__((aligned(LINE)));
static uint64_t wanted;

/* A wake-up that never comes would hang us; a timer ends the wait, and is counted. */
static uint64_t rescue_ticks(void)
{
    return ticks_per_second * (PLANT ? 1 : 4) / 2;
}

static void sleep_until(const volatile uint64_t *p, uint64_t at_least)
{
    uint64_t deadline = time_now() + rescue_ticks();

    set_timer(deadline);
    for (;;) {
        clear_ipi();
        if (acquire(p) >= at_least)
            break;
        if (time_now() >= deadline) {
            __atomic_add_fetch(&lost, 1, __ATOMIC_RELAXED);
            deadline = time_now() + rescue_ticks();
            set_timer(deadline);
        }
        wait_for_interrupt();
    }
    set_timer(UINT64_MAX);
}

/* ---- How long they take ------------------------------------------------------------------ */

enum { MAX_SAMPLES = 4096 };

static uint32_t sample[MAX_SAMPLES]; /* of a round trip, in ticks; hart 0's */
static unsigned n_samples;

static void add_sample(uint64_t start)
{
    if (n_samples < MAX_SAMPLES)
        sample[n_samples++] = (uint32_t)(time_now() - start);
}

static void note_times(const char *name)
{
    const uint64_t ns_per_tick = 1000000000 / ticks_per_second;

    for (unsigned gap = MAX_SAMPLES / 2; gap; gap /= 2)
        for (unsigned i = gap; i < n_samples; i++)
            for (unsigned k = i; k >= gap && sample[k - gap] > sample[k]; k -= gap) {
                uint32_t t = sample[k];

                sample[k] = sample[k - gap];
                sample[k - gap] = t;
            }
    note(name, "round trip, median, ns:", sample[n_samples / 2] * ns_per_tick, "");
    note(name, "round trip, p99, ns:", sample[n_samples * 99 / 100] * ns_per_tick, "");
}

/* ---- Two harts that wake each other --------------------------------------------------- */

static void ping_pong(unsigned index)
{
    if (index > 1)
        return;
    for (uint64_t i = 1; i <= wanted; i++) {
        uint64_t mine = 2 * i + index, start = time_now();

        sleep_until(&turn, mine - 1);
        release(&turn, mine);
        full_fence();
        if (!PLANT || i != wanted / 2) /* one forgotten */
            send_ipi(!index);
        if (index == 0)
            add_sample(start);
    }
}

static void sleepers(void)
{
    wanted = PLANT ? 10 : rounds_of(1) > 100000 ? 100000 : rounds_of(1);
    lost = n_samples = 0;
    turn = 1;
    run_on_all(ping_pong);
    verdict("wake.ping-pong", wanted, lost, "wake-ups lost");
    note_times("wake.ping-pong");
}

/* ---- To a hart that runs, or makes code
 * -------------------------------------------------------------- */

static uint32_t code[16] __attribute__((aligned(4096)));
static bool makes_code;

/* A function that is new each time: the emulator has to translate it. */
static void work(uint64_t n)
{
    if (!makes_code) {
        delay(100);
        return;
    }
    code[0] = 0x00000513u | (uint32_t)(n % 2048) << 20; /* li a0, n */
    code[1] = 0x00008067;                               /* ret */
    __asm__ volatile("fence.i" ::: "memory");
    ((void (*)(void))(uintptr_t)code)();
}

static void answer(void)
{
    mail[1][0] = mail[1][0] + 1;
}

static void busy(unsigned index)
{
    if (index == 1) {
        self()->on_ipi = answer;
        enable_interrupts(true);
        barrier_wait(&barrier, 2);
        for (uint64_t n = 0; !acquire(&ended); n++)
            work(n);
        enable_interrupts(false);
        self()->on_ipi = NULL;
    } else if (index == 0) {
        barrier_wait(&barrier, 2);
        for (uint64_t i = 1; i <= wanted; i++) {
            uint64_t start = time_now();

            if (!PLANT || i != wanted / 2)
                send_ipi(1);
            if (!spin_until(&mail[1][0], i, rescue_ticks())) {
                lost = lost + 1;
                mail[1][0] = i;
            }
            add_sample(start);
        }
        release(&ended, 1);
    }
}

static void runners(const char *name, bool make_code)
{
    makes_code = make_code;
    wanted = PLANT ? 10 : rounds_of(1) > 100000 ? 100000 : rounds_of(1);
    lost = ended = n_samples = 0;
    mail[1][0] = 0;
    run_on_all(busy);
    verdict(name, wanted, lost, "IPIs lost");
    note_times(name);
}

/* That a fence does what it is for: code.c, paging.c. */
#ifndef MACHINE
static void fence_often(unsigned index)
{
    if (index == 1) {
        barrier_wait(&barrier, 2);
        for (uint64_t n = 0; !acquire(&ended); n++)
            work(n);
    } else if (index == 0) {
        barrier_wait(&barrier, 2);
        for (uint64_t i = 1; i <= wanted; i++) {
            uint64_t start = time_now();

            remote_fence_i();
            add_sample(start);
        }
        release(&ended, 1);
    }
}

static void fences(const char *name, bool make_code)
{
    makes_code = make_code;
    ended = n_samples = 0;
    run_on_all(fence_often);
    note_times(name);
}
#endif

/* ---- All to all ----------------------------------------------------------------------- */

/* Each leaves a letter in a box, then wakes its owner, who sleeps whenever all boxes are empty.
 * IPIs may be merged, letters not. PLANT: nobody is woken. */
static void storm(unsigned index)
{
    uint64_t got = 0, want = wanted * (n_harts - 1), i = 0, deadline = time_now() + rescue_ticks();

    barrier_wait(&barrier, n_harts);
    while (got < want || i < wanted) {
        uint64_t now;

        if (i < wanted) {
            for (unsigned to = 0; to < n_harts; to++) {
                if (to == index)
                    continue;
                __atomic_add_fetch(&mail[to][0], 1, __ATOMIC_RELEASE);
                full_fence();
                if (!PLANT)
                    send_ipi(to);
            }
            i++;
        }
        if (random_below(4))
            continue;
        clear_ipi();
        now = __atomic_exchange_n(&mail[index][0], 0, __ATOMIC_ACQUIRE);
        got += now;
        if (now || i < wanted || got >= want)
            continue;
        set_timer(deadline = time_now() + rescue_ticks());
        wait_for_interrupt();
        if (time_now() >= deadline)
            __atomic_add_fetch(&lost, 1, __ATOMIC_RELAXED);
    }
    set_timer(UINT64_MAX);
    clear_ipi();
    __atomic_add_fetch(&sent[index][0], got, __ATOMIC_RELAXED);
}

static void storms(void)
{
    uint64_t total = 0;

    wanted = rounds_of(10);
    lost = 0;
    for (unsigned h = 0; h < MAX_HARTS; h++)
        mail[h][0] = sent[h][0] = 0;
    run_on_all(storm);
    for (unsigned h = 0; h < n_harts; h++)
        total += sent[h][0];
    if (total != wanted * n_harts * (n_harts - 1))
        lost = lost + 1;
    verdict("wake.storm", wanted, lost, "wake-ups or letters lost");
}

void test_wake(void)
{
    sleepers();
    runners("wake.running", false);
    runners("wake.translating", true);
    storms();
#ifndef MACHINE
    fences("wake.fence", false);
    fences("wake.fence-translating", true);
#endif
}
