/* Timers of all harts at once, and that their clocks are one. */
#include "tests/litmus/guest.h"

static volatile uint64_t early, latest, back, fired[MAX_HARTS];
static volatile uint64_t told __attribute__((aligned(LINE)));
static volatile uint64_t deadline[MAX_HARTS];
static struct barrier barrier __attribute__((aligned(LINE)));
static uint64_t wanted;

static void tick(void)
{
    unsigned index = self()->index;
    uint64_t now = time_now(), late = now - deadline[index];

    if (now < deadline[index] + (PLANT ? ticks_per_second : 0))
        __atomic_add_fetch(&early, 1, __ATOMIC_RELAXED);
    else if (late > latest)
        latest = late;
    set_timer(UINT64_MAX);
    fired[index] = fired[index] + 1;
}

static void take_timers(unsigned index)
{
    self()->on_timer = tick;
    enable_interrupts(true);
    barrier_wait(&barrier, n_harts);
    for (uint64_t i = 1; i <= wanted; i++) {
        deadline[index] = time_now() + random_below(ticks_per_second / 2000);
        set_timer(deadline[index]);
        while (fired[index] < i) {
            if (i % 2) {
                delay(50);
                continue;
            }
            /* Not between the question and the sleep. */
            enable_interrupts(false);
            if (fired[index] < i)
                wait_for_interrupt();
            enable_interrupts(true);
        }
    }
    enable_interrupts(false);
    self()->on_timer = NULL;
}

/* What a hart reads of the clock after it has been told another's reading is no earlier (Zicntr:
 * the clocks of all harts agree to within a tick). */
static void pass_time_on(unsigned index)
{
    uint64_t bad = 0;

    (void)index;
    barrier_wait(&barrier, n_harts);
    for (uint64_t i = 0; i < wanted; i++) {
        uint64_t before = acquire(&told), now = time_now();

        bad += now + 1 < before;
        if (now > before)
            release(&told, now + (PLANT ? 1000 : 0));
    }
    __atomic_add_fetch(&back, bad, __ATOMIC_RELAXED);
}

void test_timer(void)
{
    wanted = rounds_of(50) > 20000 ? 20000 : rounds_of(50);
    early = latest = 0;
    for (unsigned h = 0; h < MAX_HARTS; h++)
        fired[h] = 0;
    run_on_all(take_timers);
    verdict("timer.all", wanted, early, "too early");
    note("timer.all", "latest, us:", latest * 1000000 / ticks_per_second, "");
    if (n_harts < 2)
        return;
    wanted = rounds_of(1);
    told = back = 0;
    run_on_all(pass_time_on);
    verdict("timer.agree", wanted, back, "the clock went back");
}
