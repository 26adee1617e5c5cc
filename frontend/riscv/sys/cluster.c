/* What the harts of a machine want of each other under the built-in SBI: start, interrupts, fences.
 *
 *      initiator  --post-->  the target's seat: fences, who waits  --kick-->  target's run loop
 *          ^ sleeps in its own run loop until all are done                        | rv_attend()
 *          +-------------------------- waits_for, kick ---------------------------+
 *
 * Nobody blocks inside a call: an initiator goes back to its run loop and sleeps there as by WFI,
 * with its own seat open to others. So two harts that fence each other cannot wait for each other,
 * and a machine that is to stand still never waits for a hart that waits.
 *
 * A hart that is away (asleep, stopped, not yet running) is not waited for. Nor can it run stale:
 * "away" and the list of fences change under one lock. Either the target is found away, then the
 * lock's order puts the post before the target's rv_back(), which takes the list before any guest
 * code runs. Or it is found awake, then the initiator is entered as a waiter, and whatever the
 * target does next, rv_attend() at the next block boundary (the kick) or rv_away(), it takes the
 * list and tells the waiter.
 *
 * Nor is a hart waited for that is in another space than the fence is about. It uses none of the
 * translations before it enters that space, and rv_enter_space() says so first, then looks for
 * mail; who posts puts the mail there, then looks in which space the hart is. One of them sees the
 * other. Translations that are global belong to no space, and a fence of one space does not name
 * them (privileged specification, SFENCE.VMA).
 *
 * fence.i has nothing to do but this: a store into code drops its blocks when it is made, and a
 * hart that has been in its run loop since is in none of them. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>

#include "dbt/base/check.h"
#include "dbt/base/lock.h"
#include "dbt/base/serialize.h"
#include "frontend/riscv/sys/sys.h"

/* Fences that a seat holds; one too many makes one fence of everything of them. */
enum { MAX_FENCES = 16 };

struct mail {
    struct rv_fence fence[MAX_FENCES];
    unsigned n_fences;
    bool fence_all;
    uint64_t waiters; /* bit i: hart i waits until this is done */
};

/* What is between one hart and the others. */
struct seat {
    struct rv_hart *h;
    pthread_mutex_t lock; /* away, mail, changes of state; nothing is called under it */
    bool away;
    struct mail mail;
    /* Written under the lock; read without it by who needs no more than a moment's truth. */
    _Atomic uint32_t state; /* enum rv_hsm */
    uint64_t start_pc, start_arg;
    /* There is mail: what the hart asks at each call of rv_interrupt(). Set before the kick. */
    _Atomic bool has_mail;
    /* The hart's own fences that others have not done yet. */
    _Atomic uint32_t waits_for;
    /* The hart's thread's. */
    bool fencing;      /* in a call that waits for waits_for */
    bool resume_jumps; /* SUSPENDED, and goes on at start_pc */
};

struct rv_cluster {
    unsigned n;
    /* Stopping: so that of the last two harts that stop at once one is told that it is the last. */
    pthread_mutex_t stop_lock;
    struct seat seat[RV_MAX_HARTS];
};

struct rv_cluster *rv_cluster_create(unsigned n_harts)
{
    struct rv_cluster *c = calloc(1, sizeof *c);

    CHECK(c && "memory for the harts' seats");
    CHECK(n_harts > 0 && n_harts <= RV_MAX_HARTS);
    c->n = n_harts;
    pthread_mutex_init(&c->stop_lock, NULL);
    for (unsigned i = 0; i < n_harts; i++) {
        lock_init(&c->seat[i].lock);
        c->seat[i].away = true;
    }
    return c;
}

void rv_cluster_destroy(struct rv_cluster *c)
{
    for (unsigned i = 0; i < c->n; i++)
        pthread_mutex_destroy(&c->seat[i].lock);
    pthread_mutex_destroy(&c->stop_lock);
    free(c);
}

void rv_cluster_add(struct rv_cluster *c, struct rv_hart *h)
{
    CHECK(h->hartid < c->n);
    h->cluster = c;
    c->seat[h->hartid].h = h;
}

unsigned rv_n_harts(const struct rv_hart *h)
{
    return h->cluster ? h->cluster->n : 1;
}

static struct seat *seat_of(const struct rv_hart *h)
{
    return &h->cluster->seat[h->hartid];
}

static enum rv_hsm state_of(const struct seat *s)
{
    return (enum rv_hsm)atomic_load(&s->state);
}

enum rv_hsm rv_hsm_state(const struct rv_hart *h)
{
    return h->cluster ? state_of(seat_of(h)) : RV_HSM_STARTED;
}

enum rv_hsm rv_hsm_state_of(const struct rv_hart *h, unsigned hartid)
{
    return state_of(&h->cluster->seat[hartid]);
}

static void kick(const struct seat *s)
{
    s->h->sbi->kick(s->h->machine, (unsigned)s->h->hartid);
}

static void sleep_on(struct rv_hart *h)
{
    state_pend(&h->s, PENDING_WAIT);
}

static void sleep_no_more(struct rv_hart *h)
{
    atomic_fetch_and(&h->s.pending, ~(uint32_t)PENDING_WAIT);
}

/* ---- Mail ------------------------------------------------------------------------------ */

/* Who forks again and again fences the same again and again. */
static struct rv_fence *find_fence(struct mail *m, const struct rv_fence *fence)
{
    for (unsigned i = 0; i < m->n_fences; i++) {
        struct rv_fence *f = &m->fence[i];

        if (f->start == fence->start && f->len == fence->len && f->all_asid == fence->all_asid &&
            f->asid == fence->asid)
            return f;
    }
    return NULL;
}

static void add_fence(struct mail *m, const struct rv_fence *fence)
{
    struct rv_fence *same = find_fence(m, fence);

    if (same)
        same->moment = fence->moment > same->moment ? fence->moment : same->moment;
    else if (m->n_fences == MAX_FENCES)
        m->fence_all = true;
    else
        m->fence[m->n_fences++] = *fence;
}

/* Can it be in the middle of what the fence is about? */
static bool concerns(const struct seat *to, const struct rv_fence *fence)
{
    return !fence || fence->all_asid || atomic_load(&to->h->asid) == fence->asid;
}

static void post(struct seat *to, struct seat *from, const struct rv_fence *fence)
{
    bool wait;

    pthread_mutex_lock(&to->lock);
    if (fence)
        add_fence(&to->mail, fence);
    atomic_store(&to->has_mail, true);
    wait = !to->away && concerns(to, fence);
    if (wait) {
        to->mail.waiters |= bit((unsigned)from->h->hartid);
        atomic_fetch_add(&from->waits_for, 1);
    }
    pthread_mutex_unlock(&to->lock);
    if (wait)
        kick(to);
}

static void do_fences(struct rv_hart *h, const struct mail *m)
{
    if (m->fence_all) {
        mmu_fence(h->s.mmu, true, 0, true, 0);
        return;
    }
    for (unsigned i = 0; i < m->n_fences; i++)
        rv_do_fence(h, &m->fence[i]);
}

static struct mail take_fences_locked(struct seat *s)
{
    struct mail mail = s->mail;

    s->mail.n_fences = 0;
    s->mail.fence_all = false;
    return mail;
}

/* The one place where `away` changes. */
static void take_mail(struct rv_hart *h, bool away)
{
    struct seat *s = seat_of(h);
    struct mail mail;

    pthread_mutex_lock(&s->lock);
    s->away = away;
    mail = take_fences_locked(s);
    s->mail.waiters = 0;
    atomic_store(&s->has_mail, false);
    pthread_mutex_unlock(&s->lock);
    do_fences(h, &mail);
    if (mail.waiters) /* one of them may have asked for a fence.i, which leaves nothing else to do
                       */
        host_serialize();
    for (; mail.waiters; mail.waiters &= mail.waiters - 1) {
        struct seat *waiter = &h->cluster->seat[__builtin_ctzll(mail.waiters)];

        if (atomic_fetch_sub(&waiter->waits_for, 1) == 1)
            kick(waiter);
    }
}

/* In the middle of a block, perhaps: so those who wait for a fence.i go on waiting, for the next
 * block boundary. */
void rv_enter_space(struct rv_hart *h, uint32_t asid)
{
    struct mail mail;
    struct seat *s;

    atomic_store(&h->asid, asid);
    if (!h->cluster)
        return;
    s = seat_of(h);
    if (!atomic_load(&s->has_mail))
        return;
    pthread_mutex_lock(&s->lock);
    mail = take_fences_locked(s);
    atomic_store(&s->has_mail, mail.waiters != 0);
    pthread_mutex_unlock(&s->lock);
    do_fences(h, &mail);
}

void rv_away(struct rv_hart *h)
{
    if (h->cluster)
        take_mail(h, true);
}

void rv_back(struct rv_hart *h)
{
    if (h->cluster)
        take_mail(h, false);
}

/* ---- Interrupts and fences of others ----------------------------------------------------- */

/* A hart that is not started has nobody whom an interrupt could concern. */
void rv_send_ipi(struct rv_hart *h, uint64_t harts)
{
    for (; harts; harts &= harts - 1) {
        unsigned i = (unsigned)__builtin_ctzll(harts);

        if (i == h->hartid) {
            rv_set_mip(h, RV_SSI, true);
            continue;
        }
        const struct seat *to = &h->cluster->seat[i];
        enum rv_hsm state = state_of(to);

        if (state != RV_HSM_STARTED && state != RV_HSM_SUSPENDED)
            continue;
        rv_set_mip(to->h, RV_SSI, true);
        kick(to);
    }
}

/* Above this many pages one fence of everything is cheaper. */
enum { FENCE_MAX_PAGES = 64 };

void rv_do_fence(struct rv_hart *h, const struct rv_fence *f)
{
    uint64_t first = align_down(f->start, PAGE_SIZE);
    bool all = (f->start == 0 && f->len == 0) || f->len > FENCE_MAX_PAGES * PAGE_SIZE;

    if (all) {
        mmu_fence_since(h->s.mmu, f->moment, true, 0, f->all_asid, f->asid);
        return;
    }
    for (uint64_t at = 0; at < f->start - first + f->len; at += PAGE_SIZE)
        mmu_fence_since(h->s.mmu, f->moment, false, first + at, f->all_asid, f->asid);
}

void rv_send_fence(struct rv_hart *h, uint64_t harts, const struct rv_fence *fence)
{
    struct rv_fence now;

    if (fence) {
        now = *fence;
        now.moment = mmu_moment(h->s.mmu);
        fence = &now;
    }
    if (fence && (harts >> h->hartid & 1))
        rv_do_fence(h, fence);
    else if (!fence)
        host_serialize();
    harts &= ~bit((unsigned)h->hartid);
    if (!harts)
        return;
    struct seat *self = seat_of(h);

    for (; harts; harts &= harts - 1)
        post(&h->cluster->seat[__builtin_ctzll(harts)], self, fence);
    if (atomic_load(&self->waits_for)) {
        self->fencing = true;
        sleep_on(h);
    }
}

bool rv_is_fencing(const struct rv_hart *h)
{
    return h->cluster && seat_of(h)->fencing && atomic_load(&seat_of(h)->waits_for);
}

/* ---- Start, stop, suspend ----------------------------------------------------------------- */

static void set_state(struct seat *s, enum rv_hsm state)
{
    pthread_mutex_lock(&s->lock);
    atomic_store(&s->state, state);
    pthread_mutex_unlock(&s->lock);
}

bool rv_start(struct rv_hart *h, unsigned hartid, uint64_t pc, uint64_t arg)
{
    struct seat *to = &h->cluster->seat[hartid];
    bool ok;

    pthread_mutex_lock(&to->lock);
    ok = state_of(to) == RV_HSM_STOPPED;
    if (ok) {
        to->start_pc = pc;
        to->start_arg = arg;
        atomic_store(&to->state, RV_HSM_START_PENDING);
    }
    pthread_mutex_unlock(&to->lock);
    if (ok)
        kick(to);
    return ok;
}

void rv_stop(struct rv_hart *h)
{
    set_state(seat_of(h), RV_HSM_STOPPED);
    sleep_on(h);
}

bool rv_stop_unless_last(struct rv_hart *h)
{
    struct rv_cluster *c = h->cluster;
    bool others = false;

    if (!c)
        return false;
    pthread_mutex_lock(&c->stop_lock);
    for (unsigned i = 0; i < c->n; i++)
        others |= i != h->hartid && state_of(&c->seat[i]) != RV_HSM_STOPPED;
    if (others)
        rv_stop(h);
    pthread_mutex_unlock(&c->stop_lock);
    return others;
}

void rv_suspend(struct rv_hart *h)
{
    if (h->cluster) {
        seat_of(h)->resume_jumps = false;
        set_state(seat_of(h), RV_HSM_SUSPENDED);
    }
    sleep_on(h);
}

void rv_suspend_to(struct rv_hart *h, uint64_t pc, uint64_t arg)
{
    struct seat *s = seat_of(h);

    s->start_pc = pc;
    s->start_arg = arg;
    s->resume_jumps = true;
    set_state(s, RV_HSM_SUSPENDED);
    sleep_on(h);
}

/* STARTED comes last: an interrupt that is sent from then on is not wiped out by the reset. */
static enum rv_attend start(struct rv_hart *h, struct seat *s)
{
    rv_enter_supervisor(h, s->start_pc, h->hartid, s->start_arg);
    set_state(s, RV_HSM_STARTED);
    return RV_ATTEND_BEGAN;
}

/* After a non-retentive suspension four registers are said (SBI 2.0, table 9.4); others may be
 * anything, also what they were. */
static enum rv_attend resume(struct rv_hart *h, struct seat *s)
{
    sleep_no_more(h);
    set_state(s, RV_HSM_STARTED);
    if (!s->resume_jumps)
        return RV_ATTEND_RUN;
    h->satp = 0;
    h->mstatus &= ~RV_STATUS_SIE;
    h->s.reg[10] = h->hartid;
    h->s.reg[11] = s->start_arg;
    h->s.pc = s->start_pc;
    rv_sync(h);
    return RV_ATTEND_BEGAN;
}

/* ---- The hart's own side ------------------------------------------------------------------- */

/* WFI resumes on what is enabled in mie, whatever mstatus.xIE and delegation say. */
static bool irq_pending(const struct rv_hart *h)
{
    return (rv_mip(h) & h->mie) != 0;
}

bool rv_wakes(const struct rv_hart *h)
{
    const struct seat *s;

    if (!h->cluster)
        return irq_pending(h);
    s = seat_of(h);
    switch (state_of(s)) {
    case RV_HSM_STOPPED: return false;
    case RV_HSM_START_PENDING: return true;
    default: return s->fencing ? atomic_load(&s->waits_for) == 0 : irq_pending(h);
    }
}

static enum rv_attend stay(struct rv_hart *h)
{
    sleep_on(h);
    return RV_ATTEND_STAY;
}

enum rv_attend rv_attend(struct rv_hart *h)
{
    struct seat *s;

    if (!h->cluster)
        return RV_ATTEND_RUN;
    s = seat_of(h);
    if (atomic_load(&s->has_mail))
        take_mail(h, false);
    switch (state_of(s)) {
    case RV_HSM_STOPPED: return stay(h);
    case RV_HSM_START_PENDING: return start(h, s);
    case RV_HSM_SUSPENDED: return irq_pending(h) ? resume(h, s) : stay(h);
    case RV_HSM_STARTED: break;
    }
    if (!s->fencing)
        return RV_ATTEND_RUN;
    if (atomic_load(&s->waits_for))
        return stay(h);
    s->fencing = false;
    sleep_no_more(h);
    return RV_ATTEND_RUN;
}
