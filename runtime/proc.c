#define _GNU_SOURCE
#include "runtime/proc.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "dbt/base/clock.h"
#include "runtime/hart_int.h"

enum { NS = 1000000000 };

NOT_SANITIZED static struct proc *proc_of(struct hart *h)
{
    return &h->tc->proc[hart_thread(h)];
}

/* Of one that sleeps. */
static bool has_its_word(const struct hart *h)
{
    return h->place.kind == SLEEP_ON_WORD && word_has_changed(h);
}

/* *now: the clock, 0 until somebody asks for it. */
static bool can_run(struct hart *h, uint64_t *now)
{
    const struct proc_place *place = &h->place;

    if (place->state != PROC_ASLEEP)
        return place->state == PROC_READY;
    if (hart_is_kicked(h) || has_its_word(h))
        return true;
    if (place->until == UINT64_MAX)
        return false;
    if (!*now)
        *now = clock_ns(CLOCK_MONOTONIC);
    return place->until <= *now;
}

void proc_join(struct hart *h)
{
    struct tcache *t = h->tc;
    struct hart *before = h;

    if (!t->config.n_procs)
        return;
    if (h->n >= t->config.n_procs) {
        before = t->hart[h->n - t->config.n_procs];
        mmu_share(h->mmu, before->mmu);
        h->place.next = before->place.next;
    }
    before->place.next = h;
}

/* ---- Choosing ---------------------------------------------------------------------------------
 */

struct choice {
    struct hart *next; /* NULL: nobody can run */
    bool is_let_in;    /* it is not its turn */
    bool any;          /* somebody will */
    uint64_t until;    /* the first of the sleepers' times; UINT64_MAX: none */
    uint64_t now;      /* if there is such a time */
};

/* One that waited for a word which has changed: mostly for a spin lock that is its own by now, or
 * soon. All that want it wait until this one runs; each that is kept waiting sleeps, too, and is
 * handed the lock asleep. */
static struct hart *find_waited_for(struct hart *last)
{
    struct hart *h = last;

    do {
        h = h->place.next;
        if (h->place.state == PROC_ASLEEP && has_its_word(h))
            return h;
    } while (h != last);
    return NULL;
}

/* In turn, so that all come to run: the first behind the last that had its turn, that one at the
 * end. Between two turns a few may be let in. */
static struct choice choose(const struct proc *p)
{
    enum { LET_IN_MAX = 8 };
    struct choice c = {.until = UINT64_MAX};
    struct hart *h = p->turn;

    if (p->n_let_in < LET_IN_MAX && (c.next = find_waited_for(h))) {
        c.is_let_in = true;
        return c;
    }
    do {
        h = h->place.next;
        c.any |= h->place.state != PROC_OUT;
        if (can_run(h, &c.now))
            c.next = h;
        else if (h->place.state == PROC_ASLEEP && h->place.until < c.until)
            c.until = h->place.until;
    } while (!c.next && h != p->turn);
    return c;
}

/* Until somebody is kicked, or the first of the sleepers' times. Who kicks stores that first, then
 * looks whether we idle; we say that we idle, then look who is kicked. A call between changes
 * `wake`. */
static void idle(struct proc *p)
{
    uint32_t seen = atomic_load(&p->wake);

    atomic_store(&p->idle, true);
    struct choice c = choose(p);

    if (!c.next) {
        uint64_t ns = c.until - c.now;
        struct timespec t = {.tv_sec = (time_t)(ns / NS), .tv_nsec = (long)(ns % NS)};

        syscall(SYS_futex, &p->wake, FUTEX_WAIT_PRIVATE, seen, c.until == UINT64_MAX ? NULL : &t,
                NULL, 0);
    }
    atomic_store(&p->idle, false);
}

/* Who is to run now; NULL: all have returned. */
static struct hart *wait_for_next(struct proc *p)
{
    struct choice c;

    while (!(c = choose(p)).next && c.any)
        idle(p);
    p->n_let_in = c.is_let_in ? p->n_let_in + 1 : 0;
    if (c.next && !c.is_let_in)
        p->turn = c.next;
    return c.next;
}

/* ---- Changing
 * ------------------------------------------------------------------------------------ */

static void make_current(struct proc *p, struct hart *h)
{
    h->place.state = PROC_READY;
    atomic_store(&h->asleep, false);
    atomic_store(&p->current, h);
    hart_set_running(h);
    mmu_load_gs(h->s);
}

/* h is not to run for now. */
static void give(struct hart *h)
{
    struct proc *p = proc_of(h);

    DCHECK(!h->making.now && "it fills the thread's segment of the cache");
    struct hart *next = wait_for_next(p);

    if (next)
        make_current(p, next);
    if (next == h)
        return;
    fiber_switch(&h->place.fiber, next ? &next->place.fiber : &p->thread);
}

static void run_body(void *arg)
{
    struct hart *h = arg;

    h->place.body(h->place.arg);
    h->place.state = PROC_OUT;
    give(h);
}

bool proc_prepare(struct hart *h, void (*body)(void *arg), void *arg, struct err *e)
{
    h->place.body = body;
    h->place.arg = arg;
    h->place.state = PROC_READY;
    return fiber_create(&h->place.fiber, run_body, h, e);
}

void proc_run(struct tcache *t, unsigned k)
{
    struct proc *p = &t->proc[k];
    struct hart *first = t->hart[k];

    p->turn = first;
    fiber_of_thread(&p->thread);
    make_current(p, first);
    fiber_switch(&p->thread, &first->place.fiber);
    hart_set_running(NULL);
}

void proc_sleep(struct hart *h, uint64_t timeout_ns, enum proc_sleep kind)
{
    uint64_t now = timeout_ns == UINT64_MAX ? 0 : clock_ns(CLOCK_MONOTONIC);

    h->place.until = timeout_ns < UINT64_MAX - now ? now + timeout_ns : UINT64_MAX;
    h->place.kind = kind;
    h->place.state = PROC_ASLEEP;
    atomic_store(&h->asleep, true);
    give(h);
}

void proc_yield(struct hart *h)
{
    give(h);
}

bool proc_is_shared(const struct hart *h)
{
    for (struct hart *o = h->place.next; o != h; o = o->place.next)
        if (o->place.state == PROC_READY || (o->place.state == PROC_ASLEEP &&
                                             (o->place.kind != SLEEP_ALARMED || hart_is_kicked(o))))
            return true;
    return false;
}

/* It may see a hart as the current one that has just given way: that one yields once too often, and
 * who is woken waits until the slice of the next one is over. */
NOT_SANITIZED void proc_kicked(struct hart *h)
{
    struct proc *p = proc_of(h);
    struct hart *now = atomic_load(&p->current);

    if (!atomic_load(&h->asleep))
        return;
    atomic_fetch_add(&p->wake, 1);
    if (atomic_load(&p->idle)) {
        syscall(SYS_futex, &p->wake, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    } else if (now && now != h) {
        hart_pend(now, PENDING_YIELD);
    }
}
