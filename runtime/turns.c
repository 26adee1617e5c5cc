#define _GNU_SOURCE
#include "runtime/turns.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/hart_int.h"

void turns_init(struct tcache *t)
{
    pthread_mutex_init(&t->turns.lock, NULL);
    atomic_init(&t->turns.holder, TURN_NOBODY);
}

void turns_fini(struct tcache *t)
{
    pthread_mutex_destroy(&t->turns.lock);
}

static uint64_t limit_of(const struct tcache *t)
{
    return t->config.max_insns ? t->config.max_insns : UINT64_MAX;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- Whose turn it is ------------------------------------------------------------------------ */

static bool can_run_locked(struct hart *h)
{
    const struct tcache *t = h->tc;
    uint64_t now = t->turns.clock;

    if (h->turn.state == TURN_IDLE)
        return hart_is_kicked(h) || atomic_load(&h->turn.due) <= now || limit_of(t) <= now;
    return h->turn.state == TURN_READY;
}

static struct hart *next_locked(struct tcache *t)
{
    for (unsigned k = 1; k <= t->n_harts; k++) {
        struct hart *h = t->hart[(t->turns.last + k) % t->n_harts];

        if (can_run_locked(h))
            return h;
    }
    return NULL;
}

/* The time that a hart without work waits for; UINT64_MAX: none. */
static uint64_t earliest_locked(const struct tcache *t, uint64_t after)
{
    uint64_t least = UINT64_MAX;

    for (unsigned k = 0; k < t->n_harts; k++) {
        uint64_t due = atomic_load(&t->hart[k]->turn.due);

        if (t->hart[k]->turn.state == TURN_IDLE && due > after)
            least = earlier(least, due);
    }
    return least;
}

static bool is_any_idle_locked(const struct tcache *t)
{
    for (unsigned k = 0; k < t->n_harts; k++)
        if (t->hart[k]->turn.state == TURN_IDLE)
            return true;
    return false;
}

static void wake(struct hart *h)
{
    atomic_fetch_add(&h->turn.go, 1);
    syscall(SYS_futex, &h->turn.go, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* The next one, with the clock set on if all are idle. A kick that comes when nobody could be found
 * finds that nobody has the turn (turns_kicked); one that came before is found here, behind the
 * store that says so. */
static void choose_locked(struct tcache *t)
{
    struct turns *turns = &t->turns;
    struct hart *h = next_locked(t);

    if (!h && is_any_idle_locked(t)) {
        uint64_t at = earlier(earliest_locked(t, turns->clock), limit_of(t));

        if (at != UINT64_MAX)
            turns->clock = at;
        else
            atomic_store(&turns->holder, TURN_NOBODY);
        h = next_locked(t);
    }
    atomic_store(&turns->holder, h ? (int)h->n : TURN_NOBODY);
}

void turns_kicked(struct hart *h)
{
    if (atomic_load(&h->tc->turns.holder) == TURN_NOBODY)
        wake(h);
}

/* ---- A turn ---------------------------------------------------------------------------------- */

/* Behind the clock's limit less a block's length, blocks are of one instruction, and so are turns.
 */
static uint64_t end_locked(const struct tcache *t)
{
    uint64_t now = t->turns.clock, limit = limit_of(t), end = UINT64_MAX;

    if (now >= limit || limit - now <= IR_MAX_GUEST)
        return now + 1;
    if (limit != UINT64_MAX)
        end = limit - IR_MAX_GUEST;
    return t->n_harts == 1 ? end : earlier(end, earlier(now + TURN_INSNS, earliest_locked(t, now)));
}

static void set_deadline(struct hart *h)
{
    h->s->icount_deadline = earlier(atomic_load(&h->turn.due), h->turn.end);
    if (h->s->icount >= h->s->icount_deadline || h->s->icount >= limit_of(h->tc))
        state_pend(h->s, PENDING_TIME);
}

void turns_take(struct hart *h)
{
    struct turns *turns = &h->tc->turns;
    struct cpu_state *s = h->s;

    if (h->turn.state == TURN_RUNS)
        return;
    pthread_mutex_lock(&turns->lock);
    if (h->turn.state == TURN_OUT)
        h->turn.state = TURN_READY;
    for (;;) {
        if (turns->holder == TURN_NOBODY)
            choose_locked(h->tc);
        if (turns->holder == (int)h->n)
            break;
        uint32_t seen = atomic_load(&h->turn.go);

        pthread_mutex_unlock(&turns->lock);
        syscall(SYS_futex, &h->turn.go, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
        pthread_mutex_lock(&turns->lock);
    }
    h->turn.state = TURN_RUNS;
    h->turn.end = end_locked(h->tc);
    /* What the others did meanwhile, and what all slept through. */
    s->n_unretired += turns->clock - s->icount;
    s->icount = turns->clock;
    pthread_mutex_unlock(&turns->lock);
    set_deadline(h);
}

void turns_give(struct hart *h, enum turn_state state)
{
    struct turns *turns = &h->tc->turns;
    struct hart *next = NULL;

    pthread_mutex_lock(&turns->lock);
    h->turn.state = state;
    turns->clock = h->s->icount;
    turns->last = h->n;
    choose_locked(h->tc);
    if (turns->holder != TURN_NOBODY && turns->holder != (int)h->n)
        next = h->tc->hart[turns->holder];
    pthread_mutex_unlock(&turns->lock);
    if (next)
        wake(next);
}

void turns_yield(struct hart *h)
{
    h->turn.end = 0;
}

bool turns_are_over(const struct hart *h)
{
    return h->tc->config.turns && h->s->icount >= h->turn.end;
}

bool turns_are_last(const struct hart *h)
{
    uint64_t limit = limit_of(h->tc), now = h->s->icount;

    return h->tc->config.turns && (now >= limit || limit - now <= IR_MAX_GUEST);
}

/* ---- What the machine says ---------------------------------------------------------------------
 */

void tcache_muster(struct tcache *t)
{
    CHECK(t->config.turns && t->n_harts == t->config.n_harts);
    for (unsigned k = 0; k < t->n_harts; k++)
        t->hart[k]->turn.state = TURN_READY;
    atomic_store(&t->turns.holder, 0);
}

void hart_set_due(struct hart *h, uint64_t icount)
{
    atomic_store(&h->turn.due, icount);
    if (h->turn.state == TURN_RUNS)
        set_deadline(h);
}
