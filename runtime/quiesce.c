#define _GNU_SOURCE
#include "runtime/quiesce.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runtime/hart_int.h"

/* Later than any epoch: nobody waits for a hart that is outside. */
#define OUTSIDE UINT64_MAX

/* ---- In and out ------------------------------------------------------------------------------ */

/* The store and the load of `stopping` must not change places, nor must the two of tcache_stop():
 * one of the two threads sees the other. */
void quiesce_enter(struct hart *h)
{
    struct tcache *t = h->tc;

    if (t->config.turns)
        turns_take(h);
    for (;;) {
        atomic_store(&h->passed, atomic_load(&t->epoch));
        if (!atomic_load(&t->stopping))
            break;
        atomic_store(&h->passed, OUTSIDE);
        syscall(SYS_futex, &t->stopping, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
    }
    if (h->n_wraps != atomic_load(&t->n_wraps)) {
        h->n_wraps = atomic_load(&t->n_wraps);
        mmu_begin_anew(h->mmu);
        mmu_refresh(h->mmu);
        h->link_from = NULL;
    }
}

void quiesce_leave(struct hart *h)
{
    atomic_store(&h->passed, OUTSIDE);
}

/* No fence: who waits for epoch e stored what makes things unreachable before e, so a hart that has
 * loaded e loads that too; and its own store may be late, since then one waits longer. */
void quiesce_pass(struct hart *h)
{
    struct tcache *t = h->tc;

    atomic_store_explicit(&h->passed, atomic_load_explicit(&t->epoch, memory_order_acquire),
                          memory_order_release);
    bool over = turns_are_over(h);

    if (over || atomic_load_explicit(&t->stopping, memory_order_relaxed)) {
        quiesce_leave(h);
        if (over)
            turns_give(h, TURN_READY);
        quiesce_enter(h);
    }
}

/* ---- Grace periods ------------------------------------------------------------------------------
 */

uint64_t quiesce_begin(struct tcache *t)
{
    return atomic_fetch_add(&t->epoch, 1) + 1;
}

static bool has_passed(struct hart *h, uint64_t epoch)
{
    return atomic_load(&h->passed) >= epoch;
}

bool quiesce_is_over(struct tcache *t, const struct hart *self, uint64_t epoch)
{
    for (unsigned k = 0; k < t->n_harts; k++) {
        if (t->hart[k] != self && !has_passed(t->hart[k], epoch))
            return false;
    }
    return true;
}

/* Most are there within a block's time; one whose thread is not running may take longer. */
static void await(struct hart *h, uint64_t epoch)
{
    const struct timespec nap = {.tv_nsec = 50000};

    for (unsigned n = 0; !has_passed(h, epoch); n++) {
        if (n < 20)
            sched_yield();
        else
            nanosleep(&nap, NULL);
    }
}

static void await_all(struct tcache *t, const struct hart *self, uint64_t epoch)
{
    for (unsigned k = 0; k < t->n_harts; k++) {
        if (t->hart[k] != self && !has_passed(t->hart[k], epoch))
            hart_kick(t->hart[k], PENDING_LEAVE);
    }
    for (unsigned k = 0; k < t->n_harts; k++) {
        if (t->hart[k] != self)
            await(t->hart[k], epoch);
    }
}

void quiesce_wait(struct tcache *t, struct hart *self, uint64_t epoch)
{
    if (quiesce_is_over(t, self, epoch))
        return;
    quiesce_leave(self);
    await_all(t, self, epoch);
    quiesce_enter(self);
}

/* ---- Stopping the world -----------------------------------------------------------------------
 */

void tcache_stop(struct tcache *t, struct hart *self)
{
    if (self)
        quiesce_leave(self); /* another one that stops the world does not wait for us */
    pthread_mutex_lock(&t->stop_lock);
    t->stopped_by = self;
    atomic_store(&t->stopping, 1);
    await_all(t, self, OUTSIDE);
}

void tcache_resume(struct tcache *t)
{
    struct hart *self = t->stopped_by;

    t->stopped_by = NULL;
    atomic_store(&t->stopping, 0);
    syscall(SYS_futex, &t->stopping, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
    pthread_mutex_unlock(&t->stop_lock);
    if (self)
        quiesce_enter(self);
}
