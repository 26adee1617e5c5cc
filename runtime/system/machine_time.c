/* The guest's clock, and who waits for a time of it: each hart has its deadlines, and a timer of
 * the host's that signals its thread. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <x86intrin.h>

#include "dbt/base/clock.h"
#include "dbt/base/tsan.h"
#include "runtime/system/machine_int.h"

/* ---- The clock ------------------------------------------------------------------------------- */

static uint64_t ticks_of(const struct machine_hart *h)
{
    return host_time_ticks(&h->cpu.s, h->m->run.virtual_time);
}

/* All harts have the same words to make it of. In virtual time the one that has the turn, whose
 * thread this is, has the clock. */
uint64_t machine_ticks(void *arg)
{
    struct machine *m = arg;
    const struct machine_hart *self = m->run.virtual_time ? machine_self(m) : NULL;

    return ticks_of(self ? self : &m->hart[0]);
}

uint64_t machine_ir_time(struct cpu_state *s)
{
    struct rv_hart *cpu = (struct rv_hart *)(void *)s;

    return cpu->now_ticks(cpu->now_arg);
}

/* Under virtual time the day begins at a fixed second, so that runs repeat. */
uint64_t machine_wall_ns(void *arg)
{
    struct machine *m = arg;

    if (m->run.virtual_time)
        return UINT64_C(1700000000000000000) +
               (machine_ticks(m) - m->hart[0].cpu.s.time_add) * NS_PER_TICK;
    return clock_ns(CLOCK_REALTIME);
}

/* From now until `at`; 0: it is there. What is further away than the host can tell is never. */
static uint64_t ns_until(const struct machine_hart *h, uint64_t at)
{
    uint64_t now = ticks_of(h);

    if (at <= now)
        return 0;
    return at - now > INT64_MAX / NS_PER_TICK ? UINT64_MAX : (at - now) * NS_PER_TICK;
}

/* Virtual time: the icount at which it is `at`; UINT64_MAX: never. */
static uint64_t icount_at(const struct machine_hart *h, uint64_t at)
{
    return at == UINT64_MAX ? UINT64_MAX : host_time_icount_at(&h->cpu.s, at);
}

/* ---- Deadlines ------------------------------------------------------------------------------- */

static uint64_t earliest_locked(const struct machine_hart *h)
{
    uint64_t least = UINT64_MAX;

    for (unsigned k = 0; k < N_TIMERS; k++)
        if (h->deadline[k] < least)
            least = h->deadline[k];
    return least;
}

/* Arms the host for the earliest deadline. An earlier alarm that is set already stands:
 * it comes, finds nothing due, and arms again; so a deadline that is pushed out, which is
 * what kernels do at each tick, costs nothing. */
static void arm_host_locked(struct machine_hart *h)
{
    uint64_t at = earliest_locked(h);

    if (h->m->run.virtual_time) {
        hart_set_due(h->hart, icount_at(h, at));
        return;
    }
    if (at >= h->armed || !h->alarm.is_made)
        return;
    const uint64_t now = clock_ns(CLOCK_MONOTONIC), ns = ns_until(h, at);

    h->armed = at;
    host_alarm_set(&h->alarm, ns < INT64_MAX - now ? now + ns : INT64_MAX);
}

void hart_set_deadline(struct machine_hart *h, unsigned timer, uint64_t ticks)
{
    pthread_mutex_lock(&h->timers_lock);
    h->deadline[timer] = ticks;
    arm_host_locked(h);
    pthread_mutex_unlock(&h->timers_lock);
}

void hart_bring_deadline(struct machine_hart *h, unsigned timer, uint64_t ticks)
{
    pthread_mutex_lock(&h->timers_lock);
    if (ticks < h->deadline[timer])
        h->deadline[timer] = ticks;
    arm_host_locked(h);
    pthread_mutex_unlock(&h->timers_lock);
}

/* What waits for a time of the clock is the CLINT, which arms again by itself, and the supervisor
 * timer, which is asked when the loop polls; what waits for time to pass waits as long as before.
 */
static void move_deadlines(struct machine_hart *h, uint64_t from, uint64_t to)
{
    pthread_mutex_lock(&h->timers_lock);
    for (unsigned k = 0; k < N_TIMERS; k++) {
        uint64_t left = h->deadline[k] > from ? h->deadline[k] - from : 0;

        if (h->deadline[k] != UINT64_MAX)
            h->deadline[k] = left < UINT64_MAX - to ? to + left : UINT64_MAX;
    }
    h->deadline[TIMER_STIME] = 0;
    h->armed = UINT64_MAX;
    arm_host_locked(h);
    pthread_mutex_unlock(&h->timers_lock);
}

/* Harts that run now see the new time one after the other, within this loop's time: as where `time`
 * is a copy of mtime that takes a moment to arrive. */
void machine_set_ticks(void *arg, uint64_t ticks)
{
    struct machine *m = arg;
    uint64_t now = machine_ticks(m);
    uint64_t time_add = m->hart[0].cpu.s.time_add + (ticks - now);

    for (unsigned i = 0; i < m->n_harts; i++)
        __atomic_store_n(&m->hart[i].cpu.s.time_add, time_add, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < m->n_harts; i++) {
        move_deadlines(&m->hart[i], now, ticks);
        hart_kick(m->hart[i].hart, PENDING_EVENT);
    }
}

static void timer_due(struct machine_hart *h, unsigned timer)
{
    struct machine *m = h->m;

    switch (timer) {
    case TIMER_CLINT: board_timer(&m->board, BOARD_TIMER_HART + h->index); break;
    case TIMER_STIME: rv_timer_tick(&h->cpu); break;
    case TIMER_SAMPLE: mmu_sample_due(h->cpu.s.mmu); break;
    case TIMER_RTC: board_timer(&m->board, BOARD_TIMER_RTC); break;
    case TIMER_HTIF:
        board_poll_htif(&m->board);
        hart_set_deadline(h, TIMER_HTIF, machine_ticks(m) + HTIF_TICKS);
        break;
    default: CHECK(!"a timer that there is not");
    }
}

void hart_serve_timers(struct machine_hart *h)
{
    uint64_t now = ticks_of(h);

    for (unsigned k = 0; k < N_TIMERS; k++) {
        pthread_mutex_lock(&h->timers_lock);
        bool due = h->deadline[k] != UINT64_MAX && h->deadline[k] <= now;

        if (due)
            h->deadline[k] = UINT64_MAX;
        pthread_mutex_unlock(&h->timers_lock);
        if (due)
            timer_due(h, k);
    }
    pthread_mutex_lock(&h->timers_lock);
    if (atomic_exchange(&h->rang, false) || h->armed <= now)
        h->armed = UINT64_MAX;
    arm_host_locked(h);
    pthread_mutex_unlock(&h->timers_lock);
}

void hart_sample_after(void *arg, uint64_t ns)
{
    struct machine_hart *h = arg;

    hart_bring_deadline(h, TIMER_SAMPLE, ticks_of(h) + ns / NS_PER_TICK);
}

/* ---- Sleep ----------------------------------------------------------------------------------- */

/* How long a hart that waits for another one's fence looks before it sleeps: a hart that runs
 * answers at its next block, which is sooner than the host could wake this one. */
enum { SPINS = 1000 };

static void sleep_until(struct machine_hart *h, uint64_t at)
{
    uint64_t ns = ns_until(h, at);

    if (ns == 0)
        return;
    hart_end_slice(h);
    rv_away(&h->cpu);
    for (unsigned k = 0; k < SPINS && rv_is_fencing(&h->cpu); k++)
        _mm_pause();
    hart_sleep(h->hart, ns);
    rv_back(&h->cpu);
    hart_begin_slice(h);
}

void hart_wait(void *arg)
{
    struct machine_hart *h = arg;

    pthread_mutex_lock(&h->timers_lock);
    h->deadline[TIMER_SAMPLE] = UINT64_MAX; /* nothing runs that could be looked at */
    uint64_t at = earliest_locked(h);
    pthread_mutex_unlock(&h->timers_lock);

    if (h->m->run.virtual_time) {
        rv_away(&h->cpu);
        hart_sleep(h->hart, UINT64_MAX);
        rv_back(&h->cpu);
        return;
    }
    sleep_until(h, at);
    if (at <= ticks_of(h))
        hart_kick(h->hart, PENDING_EVENT);
}

/* ---- A line that nobody reads ----------------------------------------------------------------
 */

enum { LINE_NS = 1000000 };

void hart_finds_lines_crowded(void *arg, unsigned lines)
{
    struct machine_hart *self = machine_self(arg);

    if (!self)
        return; /* the line's reader, who echoes */
    self->crowded |= lines;
    hart_kick(self->hart, PENDING_EVENT);
}

/* Some sleep, and the loop comes again. */
void hart_wait_for_lines(struct machine_hart *h)
{
    const unsigned were = h->crowded;

    h->crowded = board_crowded(&h->m->board, were);
    if (were != h->crowded)
        board_goes_on(&h->m->board, were & ~h->crowded);
    if (!h->crowded)
        return;
    hart_end_slice(h);
    rv_away(&h->cpu);
    hart_hold(h->hart, LINE_NS);
    rv_back(&h->cpu);
    hart_begin_slice(h);
    hart_kick(h->hart, PENDING_EVENT);
}

/* ---- The host's timer --------------------------------------------------------------------------
 */

bool host_alarm_init(struct host_alarm *a, int number,
                     void (*handler)(int number, siginfo_t *info, void *context), void *arg,
                     pid_t tid, struct err *e)
{
    struct sigevent ev;
    struct sigaction sa;

    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = handler;
    sa.sa_flags = SA_RESTART | SA_SIGINFO;
    sigaction_at_once(number, &sa);
    memset(&ev, 0, sizeof ev);
    ev.sigev_notify = SIGEV_THREAD_ID;
    ev.sigev_signo = number;
    ev.sigev_value.sival_ptr = arg;
    ev._sigev_un._tid = tid;
    if (timer_create(CLOCK_MONOTONIC, &ev, &a->timer) != 0)
        return err_set(e, "the host gives no timer: %s", strerror(errno));
    a->is_made = true;
    return true;
}

void host_alarm_fini(struct host_alarm *a)
{
    if (a->is_made)
        timer_delete(a->timer);
    a->is_made = false;
}

void host_alarm_set(const struct host_alarm *a, uint64_t ns)
{
    const struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)}};

    timer_settime(a->timer, TIMER_ABSTIME, &when, NULL);
}

NOT_SANITIZED static void on_alarm(int number, siginfo_t *info, void *context)
{
    struct machine_hart *h = info->si_value.sival_ptr;

    (void)number;
    (void)context;
    if (info->si_code != SI_TIMER)
        return; /* somebody sent it */
    atomic_store(&h->rang, true);
    hart_kick(h->hart, PENDING_EVENT);
}

void hart_timers_init(struct machine_hart *h)
{
    h->armed = UINT64_MAX;
    for (unsigned k = 0; k < N_TIMERS; k++)
        h->deadline[k] = UINT64_MAX;
    pthread_mutex_init(&h->timers_lock, NULL);
}

void hart_timers_fini(struct machine_hart *h)
{
    host_alarm_fini(&h->alarm);
    pthread_mutex_destroy(&h->timers_lock);
}

bool hart_timers_start(struct machine_hart *h, struct err *e)
{
    struct host_alarm a;

    if (!host_alarm_init(&a, SIGNAL_TIMER, on_alarm, h, h->tid, e))
        return false;
    pthread_mutex_lock(&h->timers_lock);
    h->alarm = a;
    arm_host_locked(h);
    pthread_mutex_unlock(&h->timers_lock);
    return true;
}
