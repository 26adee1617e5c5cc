/* A hart's deadlines and the host's timer behind them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/system/machine_int.h"
#include "softmmu/mmu_int.h"
#include "tests/lib/toy_isa.h"

enum { LIMIT_S = 20, MS = 10000 /* ticks */ };

static uint64_t no_time(void *arg)
{
    (void)arg;
    return 0;
}

static void set_no_timer(void *arg, uint64_t deadline_ticks)
{
    (void)arg, (void)deadline_ticks;
}

/* A hart that the host's timer kicks: its clock goes slower by the factor than the host's. */
static struct toy_hart *begin(struct machine *m, struct machine_hart *h, unsigned slower)
{
    struct toy_hart *t = toy_create(&(struct toy_config){.engine = ENGINE_INTERP});
    struct err e;

    alarm(LIMIT_S);
    memset(m, 0, sizeof *m);
    memset(h, 0, sizeof *h);
    m->hart = h;
    m->n_harts = 1;
    h->m = m;
    h->hart = t->world->hart;
    h->tid = (pid_t)syscall(SYS_gettid);
    h->cpu.now_ticks = no_time;
    h->cpu.set_timer = set_no_timer;
    h->cpu.s.mmu = t->s.mmu;
    host_time_begin(&m->host_time);
    host_time_set(&m->host_time, &h->cpu.s);
    h->cpu.s.tsc_mult /= slower;
    hart_timers_init(h);
    assert_true(hart_timers_start(h, &e));
    return t;
}

static void end(struct toy_hart *t, struct machine_hart *h)
{
    hart_timers_fini(h);
    toy_destroy(t);
    alarm(0);
}

/* The loop of a hart that is busy: it serves what kicks it. */
static void run_until_due(const struct toy_hart *t, struct machine_hart *h, unsigned timer)
{
    struct cpu_state *s = (struct cpu_state *)(uintptr_t)&t->s;

    while (h->deadline[timer] != UINT64_MAX) {
        while (!atomic_exchange(&s->pending, 0))
            continue;
        hart_serve_timers(h);
    }
}

static void an_alarm_that_comes_early_is_set_again(void **state)
{
    static struct machine m;
    static struct machine_hart h;
    struct toy_hart *t = begin(&m, &h, 2);
    uint64_t at = machine_ticks(&m) + 20 * MS;

    (void)state;
    hart_set_deadline(&h, TIMER_STIME, at);
    run_until_due(t, &h, TIMER_STIME);
    assert_true(machine_ticks(&m) >= at);
    end(t, &h);
}

/* An earlier alarm stands, finds nothing due, and leads to the one that is wanted. */
static void a_deadline_that_is_moved_out_is_kept(void **state)
{
    static struct machine m;
    static struct machine_hart h;
    struct toy_hart *t = begin(&m, &h, 1);
    uint64_t now = machine_ticks(&m);

    (void)state;
    hart_set_deadline(&h, TIMER_STIME, now + 5 * MS);
    hart_set_deadline(&h, TIMER_STIME, now + 30 * MS);
    run_until_due(t, &h, TIMER_STIME);
    assert_true(machine_ticks(&m) >= now + 30 * MS);
    end(t, &h);
}

static bool mmu_sample_is_due(const struct toy_hart *t)
{
    return t->s.mmu->sample_soon;
}

/* What has passed of a wish is not waited for anew; in sleep nothing runs that could be looked at.
 */
static void a_sample_comes_when_it_was_first_wanted_but_not_in_sleep(void **state)
{
    static struct machine m;
    static struct machine_hart h;
    struct toy_hart *t = begin(&m, &h, 1);
    const uint64_t now = machine_ticks(&m);

    (void)state;
    hart_sample_after(&h, 5 * MS * NS_PER_TICK);
    const uint64_t at = h.deadline[TIMER_SAMPLE];

    assert_in_range(at, now + 5 * MS, machine_ticks(&m) + 5 * MS);
    hart_sample_after(&h, 1000 * MS * NS_PER_TICK);
    assert_int_equal(h.deadline[TIMER_SAMPLE], at);
    run_until_due(t, &h, TIMER_SAMPLE);
    assert_true(machine_ticks(&m) >= at);
    assert_true(mmu_sample_is_due(t)); /* however short ago the last one was */
    hart_sample_after(&h, 1000 * MS * NS_PER_TICK);
    hart_set_deadline(&h, TIMER_STIME, 0); /* which ends it at once */
    hart_wait(&h);
    assert_int_equal(h.deadline[TIMER_SAMPLE], UINT64_MAX);
    end(t, &h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alarm_that_comes_early_is_set_again),
        cmocka_unit_test(a_deadline_that_is_moved_out_is_kept),
        cmocka_unit_test(a_sample_comes_when_it_was_first_wanted_but_not_in_sleep),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
