/* When a hart gives away the thread that it shares: the alarm of the thread, and who gets it. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "dbt/base/clock.h"
#include "runtime/hart_int.h"
#include "runtime/quiesce.h"
#include "runtime/system/machine_int.h"
#include "tests/lib/toy_isa.h"

enum { LIMIT_S = 60, N = 2, MS = 1000000, SLICES_MS = 40 };

/* Two harts on one thread; each test says what they do. */
static struct machine m;
static struct machine_hart harts[N];
static struct toy_hart *toy[N];
static bool seen[N];
static unsigned n_woken;

static void begin(void **state)
{
    const struct toy_config config = {.engine = ENGINE_INTERP, .n_harts = N, .n_procs = 1};

    (void)state;
    alarm(LIMIT_S);
    memset(&m, 0, sizeof m);
    memset(harts, 0, sizeof harts);
    memset(seen, 0, sizeof seen);
    n_woken = 0;
    m.hart = harts;
    m.n_harts = N;
    m.n_procs = 1;
    machine_slices_create(&m);
    for (unsigned k = 0; k < N; k++) {
        toy[k] = k ? toy_add_hart(toy[0], &config) : toy_create(&config);
        harts[k].m = &m;
        harts[k].index = k;
        harts[k].hart = toy[k]->world->hart;
        harts[k].cpu.priv = RV_U;
        atomic_store(&toy[k]->s.pending, 0);
    }
}

static void end(void)
{
    alarm(0);
    machine_slices_destroy(&m);
    for (unsigned k = N; k-- > 0;)
        toy_destroy(toy[k]);
}

static void *run_thread(void *arg)
{
    struct err e;

    for (unsigned k = 0; k < N; k++)
        harts[k].tid = (pid_t)syscall(SYS_gettid);
    assert_true(hart_slices_start(&harts[0], &e) && hart_slices_start(&harts[1], &e));
    proc_run(toy[0]->world->tcache, 0);
    return arg;
}

static void run(void (*first)(void *arg), void (*second)(void *arg))
{
    pthread_t thread;
    struct err e;

    assert_true(proc_prepare(harts[0].hart, first, &harts[0], &e));
    assert_true(proc_prepare(harts[1].hart, second, &harts[1], &e));
    assert_int_equal(pthread_create(&thread, NULL, run_thread, NULL), 0);
    pthread_join(thread, NULL);
}

static uint64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* What a busy hart's loop does with what kicks it. */
static void serve(struct machine_hart *h)
{
    struct cpu_state *s = &toy[h->index]->s;

    if (atomic_exchange(&s->pending, 0) & PENDING_EVENT)
        hart_serve_slice(h);
    if (atomic_exchange(&h->cpu.s.pending, 0) & PENDING_YIELD)
        hart_give_way(h);
}

static void come_in(struct machine_hart *h)
{
    quiesce_enter(h->hart);
    hart_begin_slice(h);
}

static void go_out(struct machine_hart *h)
{
    hart_end_slice(h);
    quiesce_leave(h->hart);
}

static void stay_until_the_other_has_been_here(struct machine_hart *h)
{
    seen[h->index] = true;
    while (!seen[!h->index])
        serve(h);
    go_out(h);
}

/* ---- Whose slice ends -------------------------------------------------------------------------
 */

static void is_busy_until_the_other_has_been_here(void *arg)
{
    struct machine_hart *h = arg;

    come_in(h);
    stay_until_the_other_has_been_here(h);
}

static void a_busy_hart_gives_way_when_its_slice_is_over(void **state)
{
    const uint64_t from = now_ns();

    begin(state);
    run(is_busy_until_the_other_has_been_here, is_busy_until_the_other_has_been_here);
    assert_true(now_ns() - from >= 4 * MS);
    end();
}

/* It may hold what the other one would come to wait for; but not for ever. */
static void a_kernel_gives_way_later(void **state)
{
    const uint64_t from = now_ns();

    begin(state);
    harts[0].cpu.priv = harts[1].cpu.priv = RV_S;
    run(is_busy_until_the_other_has_been_here, is_busy_until_the_other_has_been_here);
    assert_true(now_ns() - from >= 6 * MS);
    end();
}

static void gives_way_early(void *arg)
{
    struct machine_hart *h = arg;

    come_in(h);
    for (const uint64_t from = now_ns(); now_ns() - from < 2 * MS;)
        continue;
    hart_yield(h->hart);
    hart_begin_slice(h);
    seen[0] = true;
    go_out(h);
}

static void is_busy_for_a_whole_slice(void *arg)
{
    struct machine_hart *h = arg;
    const uint64_t from = now_ns();

    come_in(h);
    while (!seen[0])
        serve(h);
    assert_true(now_ns() - from >= 4 * MS);
    go_out(h);
}

/* The alarm of the one before comes in the middle of this one's slice. */
static void an_alarm_that_is_too_early_is_set_again(void **state)
{
    begin(state);
    run(gives_way_early, is_busy_for_a_whole_slice);
    end();
}

/* ---- Firmware ---------------------------------------------------------------------------------
 */

/* As firmware is, before its slice is over. */
static void run_until_asked(struct machine_hart *h)
{
    while (!h->cpu.has_paused)
        if (atomic_exchange(&toy[h->index]->s.pending, 0) & PENDING_EVENT)
            hart_serve_slice(h);
}

static void is_asked_soon(void *arg)
{
    struct machine_hart *h = arg;
    const uint64_t from = now_ns();

    come_in(h);
    run_until_asked(h);
    assert_true(now_ns() - from >= MS / 20);
    assert_true(h->slice_end > from + 3 * MS);
    assert_true(atomic_load(&h->cpu.s.pending) & PENDING_YIELD);
    hart_give_way(h); /* at once, though it is in M mode */
    assert_true(seen[1]);
    seen[0] = true;
    go_out(h);
}

static void firmware_is_asked_before_its_slice_is_over(void **state)
{
    begin(state);
    harts[0].cpu.priv = RV_M;
    harts[0].cpu.mideleg = 1;
    run(is_asked_soon, is_busy_until_the_other_has_been_here);
    end();
}

static void interrupts_another(void *arg)
{
    struct machine_hart *h = arg;

    come_in(h);
    h->cpu.priv = RV_M;
    machine_interrupts_another(&m);
    run_until_asked(h);
    seen[0] = true;
    hart_give_way(h);
    go_out(h);
}

/* From then on, where it has come there in the middle of a slice. */
static void and_soon_after_it_interrupts_another(void **state)
{
    begin(state);
    harts[0].cpu.mideleg = 1;
    run(interrupts_another, is_busy_until_the_other_has_been_here);
    end();
}

/* ---- Who sleeps has no slice ------------------------------------------------------------------
 */

static void sleeps_until_it_is_to_end(void *arg)
{
    struct machine_hart *h = arg;

    come_in(h);
    while (!seen[0]) {
        hart_end_slice(h);
        hart_sleep(h->hart, UINT64_MAX);
        hart_begin_slice(h);
        n_woken++;
    }
    go_out(h);
}

static void is_busy_for_some_slices(void *arg)
{
    struct machine_hart *h = arg;

    come_in(h);
    hart_yield(h->hart);
    hart_begin_slice(h);
    for (uint64_t from = now_ns(); now_ns() - from < (uint64_t)SLICES_MS * MS;)
        serve(h);
    assert_int_equal(n_woken, 0);
    seen[0] = true;
    hart_kick(harts[1].hart, PENDING_EVENT);
    go_out(h);
}

/* It has come to run while the other one waited for its turn, so its slice had an end. (With an
 * alarm for each hart it would be woken ten times.) */
static void who_sleeps_is_not_woken_for_it(void **state)
{
    begin(state);
    run(is_busy_for_some_slices, sleeps_until_it_is_to_end);
    assert_int_equal(n_woken, 1);
    end();
}

/* ---- An alarm that nobody waits for -----------------------------------------------------------
 */

static void lets_an_alarm_pass(void *arg)
{
    struct machine_hart *h = arg;

    come_in(h); /* the other one waits for its turn */
    hart_end_slice(h);
    for (uint64_t from = now_ns(); now_ns() - from < (uint64_t)SLICES_MS * MS;)
        assert_int_equal(atomic_load(&toy[0]->s.pending), 0);
    hart_begin_slice(h);
    stay_until_the_other_has_been_here(h);
}

static void it_kicks_nobody_and_the_next_slice_has_an_alarm_again(void **state)
{
    begin(state);
    run(lets_an_alarm_pass, is_busy_until_the_other_has_been_here);
    end();
}

/* ---- Signals that somebody sends ------------------------------------------------------------- */

static void is_sent_a_signal(void *arg)
{
    struct machine_hart *h = arg;

    come_in(h);
    assert_int_equal(syscall(SYS_tgkill, getpid(), h->tid, SIGNAL_SLICE), 0);
    assert_int_equal(atomic_load(&toy[0]->s.pending), 0);
    stay_until_the_other_has_been_here(h);
}

static void a_signal_that_is_no_alarm_means_nothing(void **state)
{
    begin(state);
    run(is_sent_a_signal, is_busy_until_the_other_has_been_here);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_busy_hart_gives_way_when_its_slice_is_over),
        cmocka_unit_test(a_kernel_gives_way_later),
        cmocka_unit_test(an_alarm_that_is_too_early_is_set_again),
        cmocka_unit_test(firmware_is_asked_before_its_slice_is_over),
        cmocka_unit_test(and_soon_after_it_interrupts_another),
        cmocka_unit_test(who_sleeps_is_not_woken_for_it),
        cmocka_unit_test(it_kicks_nobody_and_the_next_slice_has_an_alarm_again),
        cmocka_unit_test(a_signal_that_is_no_alarm_means_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
