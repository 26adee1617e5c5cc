/* The built-in SBI between harts: starting and stopping, interrupts, fences; by hand, step by step,
 * and by threads that do all of it to each other. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "dbt/base/check.h"
#include "frontend/riscv/rv_helper.h"
#include "frontend/riscv/sys/sys.h"
#include "softmmu/salts.h"
#include "softmmu/track.h"

enum { IPI = 0x735049, RFENCE = 0x52464e43, HSM = 0x48534d };
enum { START = 0, STOP = 1, STATUS = 2, SUSPEND = 3 };
enum {
    OK = 0,
    FAILED = -1,
    INVALID_PARAM = -3,
    INVALID_ADDRESS = -5,
    ALREADY_AVAILABLE = -6,
};
enum { N_HARTS = 4, N_ASIDS = 3, RAM_LEN = 1 << 20, LIMIT_S = 120 };
#define RAM UINT64_C(0x80000000)
#define PC  UINT64_C(0x80000100)

/* One hart, and what a run loop is to it: `pending`, and a place to sleep. */
struct member {
    struct rv_hart *h;
    struct world *w;
    pthread_mutex_t lock;
    pthread_cond_t kicked;
    _Atomic unsigned kicks;
    pthread_t thread;
    /* The threads' test: what a translation of each space would be. */
    uint64_t fences_seen, cached[N_ASIDS], seed, n_ipis, n_waits;
    unsigned asid; /* that it is in */
};

struct world {
    struct phys phys;
    struct track *track;
    struct salts *salts;
    struct rv_cluster *cluster;
    struct member member[N_HARTS];
    unsigned n;
    /* The threads' test. */
    _Atomic uint64_t version[N_ASIDS], completed[N_ASIDS];
    _Atomic unsigned n_running;
    unsigned rounds;
    pthread_barrier_t begin;
};

/* ---- The machine around it ------------------------------------------------------------- */

static bool no_code(void *arg, uint64_t gpa, unsigned len, bool *page_is_code)
{
    (void)arg, (void)gpa, (void)len;
    *page_is_code = false;
    return false;
}

static uint64_t now_ticks(void *arg)
{
    (void)arg;
    return 1000;
}

static uint8_t *ram(void *machine, uint64_t gpa, uint64_t len)
{
    struct world *w = machine;

    return phys_is_ram(&w->phys, gpa, len) ? phys_ptr(&w->phys, gpa) : NULL;
}

static void kick(void *machine, unsigned hartid)
{
    struct member *m = &((struct world *)machine)->member[hartid];

    pthread_mutex_lock(&m->lock);
    atomic_fetch_or(&m->h->s.pending, PENDING_IRQ);
    m->kicks++;
    pthread_cond_signal(&m->kicked);
    pthread_mutex_unlock(&m->lock);
}

static const struct rv_sbi_host host = {.ram = ram, .kick = kick};

static void add(struct world *w, unsigned i)
{
    struct member *m = &w->member[i];
    struct err e;

    m->w = w;
    m->h = aligned_alloc(64, align_up(sizeof *m->h, 64));
    assert_non_null(m->h);
    memset(m->h, 0, sizeof *m->h);
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->kicked, NULL);
    assert_true(rv_model_parse(&m->h->model, "default", &e));
    m->h->hartid = i;
    m->h->now_ticks = now_ticks;
    m->h->sbi = &host;
    m->h->machine = w;
    assert_non_null(mmu_create(&m->h->s, &w->phys, w->track, w->salts, &rv_mmu_guest));
    rv_cluster_add(w->cluster, m->h);
    rv_hart_reset(m->h, RAM);
}

/* Hart 0 runs in S, the others are stopped and asleep. */
static struct world *create(unsigned n)
{
    struct world *w = calloc(1, sizeof *w);
    struct err e;

    alarm(LIMIT_S);
    assert_non_null(w);
    w->n = n;
    assert_true(phys_init(&w->phys, RAM, RAM_LEN, &e));
    w->track = track_create(&w->phys, no_code, NULL);
    w->salts = salts_create(n);
    w->cluster = rv_cluster_create(n);
    for (unsigned i = 0; i < n; i++)
        add(w, i);
    rv_enter_supervisor(w->member[0].h, PC, 0, 0x82000000);
    rv_back(w->member[0].h);
    for (unsigned i = 1; i < n; i++)
        rv_stop(w->member[i].h);
    return w;
}

static void destroy(struct world *w)
{
    for (unsigned i = 0; i < w->n; i++) {
        mmu_destroy(w->member[i].h->s.mmu);
        free(w->member[i].h);
    }
    rv_cluster_destroy(w->cluster);
    salts_destroy(w->salts);
    track_destroy(w->track);
    phys_fini(&w->phys);
    free(w);
    alarm(0);
}

static int64_t call_of(struct rv_hart *h, uint64_t eid, uint64_t fid, const uint64_t arg[6])
{
    memcpy(&h->s.reg[10], arg, 6 * sizeof *arg);
    h->s.reg[16] = fid;
    h->s.reg[17] = eid;
    rv_trap(h, RV_ECALL_S, 0);
    return (int64_t)h->s.reg[10];
}

#define CALL(i, eid, fid, ...) call_of(w->member[i].h, eid, fid, (uint64_t[6]){__VA_ARGS__})

static uint64_t status(struct world *w, unsigned of)
{
    assert_int_equal(CALL(0, HSM, STATUS, of), OK);
    return w->member[0].h->s.reg[11];
}

static bool waits(const struct world *w, unsigned i)
{
    return (atomic_load(&w->member[i].h->s.pending) & PENDING_WAIT) != 0;
}

/* What the run loop of hart i does when it is waked: it asks, and delivers. */
static bool wake(struct world *w, unsigned i)
{
    rv_back(w->member[i].h);
    return rv_interrupt(w->member[i].h);
}

static uint64_t fences(const struct world *w, unsigned i)
{
    return mmu_stats(w->member[i].h->s.mmu)->fences;
}

/* Starts hart i, which then runs and sleeps no more. */
static void begin(struct world *w, unsigned i)
{
    assert_int_equal(CALL(0, HSM, START, i, PC, 0x55), OK);
    assert_true(wake(w, i));
    assert_false(waits(w, i));
}

/* ---- Start and stop -------------------------------------------------------------------------- */

static void a_hart_is_started(void **state)
{
    struct world *w = create(3);
    struct rv_hart *h = w->member[1].h;

    (void)state;
    assert_int_equal(status(w, 0), RV_HSM_STARTED);
    assert_int_equal(status(w, 1), RV_HSM_STOPPED);
    assert_true(waits(w, 1));
    assert_false(rv_wakes(h));
    assert_int_equal(CALL(0, HSM, STATUS, 3), INVALID_PARAM);
    assert_int_equal(CALL(0, HSM, START, 3, PC, 0), INVALID_PARAM);
    assert_int_equal(CALL(0, HSM, START, UINT64_MAX, PC, 0), INVALID_PARAM);
    assert_int_equal(CALL(0, HSM, START, 0, PC, 0), ALREADY_AVAILABLE);
    assert_int_equal(CALL(0, HSM, START, 1, PC + 1, 0), INVALID_ADDRESS);
    assert_int_equal(CALL(0, HSM, START, 1, 0x1000, 0), INVALID_ADDRESS);
    assert_int_equal(CALL(0, HSM, START, 1, RAM + RAM_LEN, 0), INVALID_ADDRESS);
    assert_int_equal(w->member[1].kicks, 0);
    /* What it was before is gone: it begins as the first hart did. */
    h->s.reg[7] = 7;
    h->satp = UINT64_C(8) << 60;
    h->stvec = 0x1234;
    h->mie = RV_IRQ_S;
    assert_int_equal(CALL(0, HSM, START, 1, PC + 0x40, 0x1234567), OK);
    assert_int_equal(w->member[1].kicks, 1);
    assert_int_equal(status(w, 1), RV_HSM_START_PENDING);
    assert_int_equal(CALL(0, HSM, START, 1, PC, 0), ALREADY_AVAILABLE);
    assert_true(rv_wakes(h));
    assert_true(wake(w, 1));
    assert_int_equal(status(w, 1), RV_HSM_STARTED);
    assert_false(waits(w, 1));
    assert_int_equal(h->s.pc, PC + 0x40);
    assert_int_equal(h->s.reg[10], 1);
    assert_int_equal(h->s.reg[11], 0x1234567);
    assert_int_equal(h->priv, RV_S);
    assert_true(h->builtin_sbi);
    assert_int_equal(h->s.reg[7] | h->satp | h->stvec | h->mie, 0);
    assert_int_equal(rv_sstatus(h) & RV_STATUS_SIE, 0);
    assert_int_equal(CALL(0, HSM, START, 1, PC, 0), ALREADY_AVAILABLE);
    assert_int_equal(status(w, 2), RV_HSM_STOPPED);
    destroy(w);
}

/* Nothing wakes a stopped hart but its start; the last one that runs cannot stop. */
static void a_hart_stops(void **state)
{
    struct world *w = create(2);
    struct rv_hart *h = w->member[1].h;

    (void)state;
    assert_int_equal(CALL(0, HSM, STOP, 0), FAILED);
    assert_false(waits(w, 0));
    begin(w, 1);
    CALL(1, HSM, STOP, 0);
    assert_true(waits(w, 1));
    assert_int_equal(status(w, 1), RV_HSM_STOPPED);
    assert_int_equal(CALL(0, HSM, STOP, 0), FAILED);
    h->mie = RV_IRQ_S;
    h->mstatus |= RV_STATUS_SIE;
    rv_set_mip(h, RV_SEI, true);
    assert_false(rv_wakes(h));
    assert_false(wake(w, 1));
    assert_int_equal(h->priv, RV_S);
    assert_true(waits(w, 1));
    begin(w, 1);
    assert_int_equal(h->s.pc, PC);
    /* Now hart 0 may. */
    CALL(0, HSM, STOP, 0);
    assert_true(waits(w, 0));
    assert_int_equal(rv_hsm_state(w->member[0].h), RV_HSM_STOPPED);
    assert_int_equal(CALL(1, HSM, START, 0, PC, 0), OK);
    assert_true(wake(w, 0));
    destroy(w);
}

static void a_suspended_hart_goes_on_where_it_was(void **state)
{
    struct world *w = create(2);
    struct rv_hart *h = w->member[1].h;

    (void)state;
    begin(w, 1);
    h->mie = RV_IRQ_S;
    h->stvec = PC + 0x800;
    assert_int_equal(CALL(1, HSM, SUSPEND, 1, PC, 0), INVALID_PARAM);
    assert_false(waits(w, 1));
    assert_int_equal(CALL(1, HSM, SUSPEND, 0, 3, 5), OK); /* the address does not matter */
    assert_true(waits(w, 1));
    assert_int_equal(status(w, 1), RV_HSM_SUSPENDED);
    assert_int_equal(CALL(0, HSM, START, 1, PC, 0), ALREADY_AVAILABLE);
    assert_false(wake(w, 1)); /* somebody only looked */
    assert_int_equal(status(w, 1), RV_HSM_SUSPENDED);
    assert_int_equal(CALL(0, IPI, 0, 2, 0), OK);
    assert_true(rv_wakes(h));
    assert_false(wake(w, 1)); /* SIE is 0: it goes on behind the call */
    assert_false(waits(w, 1));
    assert_int_equal(status(w, 1), RV_HSM_STARTED);
    assert_int_equal(h->s.pc, PC + 8); /* both calls are behind it */
    assert_int_equal(h->s.reg[10], 0);
    /* With SIE the interrupt is taken, and then the call is over. */
    rv_sip_write(h, 2, 0);
    h->mstatus |= RV_STATUS_SIE;
    assert_int_equal(CALL(1, HSM, SUSPEND, 0), OK);
    assert_int_equal(CALL(0, IPI, 0, 1, 1), OK);
    assert_true(wake(w, 1));
    assert_int_equal(h->s.pc, PC + 0x800);
    assert_int_equal(h->sepc, PC + 12);
    destroy(w);
}

static void a_suspended_hart_goes_on_elsewhere(void **state)
{
    struct world *w = create(2);
    struct rv_hart *h = w->member[1].h;
    const uint64_t type = 0x80000000;

    (void)state;
    begin(w, 1);
    h->mie = bit(RV_SSI);
    h->satp = UINT64_C(8) << 60 | RAM >> 12;
    h->mstatus |= RV_STATUS_SIE;
    rv_sync(h);
    assert_int_equal(CALL(1, HSM, SUSPEND, type, 0x1000, 9), INVALID_ADDRESS);
    assert_int_equal(CALL(1, HSM, SUSPEND, type, PC + 1, 9), INVALID_ADDRESS);
    assert_false(waits(w, 1));
    CALL(1, HSM, SUSPEND, type, PC + 0x60, 9);
    assert_true(waits(w, 1));
    rv_set_mip(h, RV_SEI, true); /* not enabled */
    assert_false(wake(w, 1));
    assert_int_equal(status(w, 1), RV_HSM_SUSPENDED);
    assert_int_equal(CALL(0, IPI, 0, 0, UINT64_MAX), OK);
    assert_true(wake(w, 1));
    assert_false(waits(w, 1));
    assert_int_equal(h->s.pc, PC + 0x60);
    assert_int_equal(h->s.reg[10], 1);
    assert_int_equal(h->s.reg[11], 9);
    assert_int_equal(h->satp | (h->mstatus & RV_STATUS_SIE), 0);
    assert_true(rv_mip(h) & bit(RV_SSI)); /* what has waked it is still to be seen */
    destroy(w);
}

/* ---- Interrupts -------------------------------------------------------------------------------
 */

static void an_interrupt_reaches_those_that_run(void **state)
{
    struct world *w = create(4);

    (void)state;
    begin(w, 1);
    begin(w, 2);
    for (unsigned i = 0; i < 4; i++)
        w->member[i].kicks = 0;
    assert_int_equal(CALL(0, IPI, 0, 5, 1), OK); /* 1 and 3 */
    assert_true(rv_mip(w->member[1].h) & bit(RV_SSI));
    assert_false(rv_mip(w->member[0].h) & bit(RV_SSI));
    assert_false(rv_mip(w->member[2].h) & bit(RV_SSI));
    assert_int_equal(w->member[1].kicks, 1);
    assert_int_equal(w->member[2].kicks, 0);
    /* Hart 3 is stopped: no interrupt waits for its start. */
    assert_false(rv_mip(w->member[3].h) & bit(RV_SSI));
    assert_int_equal(CALL(2, IPI, 0, 0, UINT64_MAX), OK);
    for (unsigned i = 0; i < 3; i++)
        assert_true(rv_mip(w->member[i].h) & bit(RV_SSI));
    assert_int_equal(CALL(0, IPI, 0, 1, 4), INVALID_PARAM);
    assert_int_equal(CALL(0, IPI, 0, 0x11, 0), INVALID_PARAM);
    destroy(w);
}

static void legacy_masks_name_other_harts(void **state)
{
    struct world *w = create(3);
    uint64_t mask = 1 << 1 | UINT64_C(1) << 40; /* there is no hart 40 */
    uint64_t before;

    (void)state;
    begin(w, 1);
    memcpy(phys_ptr(&w->phys, RAM + 0x700), &mask, sizeof mask);
    assert_int_equal(CALL(0, 4, 0, RAM + 0x700), OK);
    assert_true(rv_mip(w->member[1].h) & bit(RV_SSI));
    assert_false(rv_mip(w->member[0].h) & bit(RV_SSI));
    before = fences(w, 1);
    assert_int_equal(CALL(0, 6, 0, RAM + 0x700, 0x1000, 0x1000), OK);
    assert_true(waits(w, 0));
    rv_interrupt(w->member[1].h);
    assert_int_equal(fences(w, 1), before + 1);
    assert_true(rv_wakes(w->member[0].h));
    destroy(w);
}

/* ---- Fences
 * -------------------------------------------------------------------------------------- */

static void a_fence_waits_for_those_that_run(void **state)
{
    struct world *w = create(4);
    struct rv_hart *h = w->member[0].h;
    uint64_t before[4];

    (void)state;
    begin(w, 1);
    begin(w, 2);
    for (unsigned i = 0; i < 4; i++) {
        before[i] = fences(w, i);
        w->member[i].kicks = 0;
    }
    /* An interrupt that is pending does not let it go on. */
    h->mie = RV_IRQ_S;
    h->mstatus |= RV_STATUS_SIE;
    rv_set_mip(h, RV_SEI, true);
    assert_int_equal(CALL(0, RFENCE, 1, 0, UINT64_MAX, 0x1000, 0x3000), OK);
    assert_true(waits(w, 0));
    assert_true(rv_is_fencing(h));
    assert_int_equal(fences(w, 0), before[0] + 3);
    assert_int_equal(fences(w, 1), before[1]);
    assert_int_equal(w->member[1].kicks, 1);
    assert_int_equal(w->member[3].kicks, 0);
    assert_false(rv_wakes(h));
    assert_false(rv_interrupt(h));
    assert_false(rv_interrupt(w->member[1].h));
    assert_int_equal(fences(w, 1), before[1] + 3);
    assert_false(rv_wakes(h));
    assert_int_equal(w->member[0].kicks, 0);
    rv_away(w->member[2].h); /* going to sleep does it, too */
    assert_int_equal(fences(w, 2), before[2] + 3);
    assert_int_equal(w->member[0].kicks, 1);
    assert_true(rv_wakes(h));
    assert_true(rv_interrupt(h)); /* and now the interrupt is taken, behind the call */
    assert_false(waits(w, 0));
    assert_false(rv_is_fencing(h));
    assert_int_equal(h->sepc, PC + 12);
    /* The stopped one does it before it runs. */
    assert_int_equal(fences(w, 3), before[3]);
    rv_back(w->member[3].h);
    assert_int_equal(fences(w, 3), before[3] + 3);
    /* Nobody is left to wait for. */
    rv_sip_write(h, 2, 0);
    CALL(0, RFENCE, 0, 1, 0);
    assert_false(waits(w, 0));
    destroy(w);
}

static void fence_i_waits_too(void **state)
{
    struct world *w = create(2);
    uint64_t before;

    (void)state;
    begin(w, 1);
    before = fences(w, 1);
    assert_int_equal(CALL(0, RFENCE, 0, 2, 0), OK);
    assert_true(waits(w, 0));
    rv_interrupt(w->member[1].h);
    assert_true(rv_wakes(w->member[0].h));
    assert_int_equal(fences(w, 1), before);
    destroy(w);
}

/* A sleeper is not waited for; what it has missed it does at once, and not more than there is room
 * for. */
static void a_sleeper_does_it_when_it_wakes(void **state)
{
    struct world *w = create(2);
    uint64_t before;

    (void)state;
    begin(w, 1);
    rv_away(w->member[1].h);
    before = fences(w, 1);
    for (unsigned k = 0; k < 16; k++)
        assert_int_equal(CALL(0, RFENCE, 2, 2, 0, 0x1000 * k + 1, 0x1000, 3), OK);
    assert_false(waits(w, 0));
    assert_int_equal(fences(w, 1), before);
    rv_back(w->member[1].h);
    assert_int_equal(fences(w, 1), before + 32);
    rv_away(w->member[1].h);
    for (unsigned k = 0; k < 17; k++)
        assert_int_equal(CALL(0, RFENCE, 2, 2, 0, 0x1000 * k + 1, 0x1000, 3), OK);
    rv_back(w->member[1].h);
    assert_int_equal(fences(w, 1), before + 33); /* all of it in one */
    rv_away(w->member[1].h);
    rv_back(w->member[1].h);
    assert_int_equal(fences(w, 1), before + 33);
    destroy(w);
}

static void enter_space(struct world *w, unsigned i, uint64_t asid)
{
    rv_satp_write(w->member[i].h, UINT64_C(8) << 60 | asid << 44 | RAM >> 12);
}

static void a_fence_of_another_space_waits_for_nobody(void **state)
{
    struct world *w = create(2);
    struct rv_hart *h = w->member[1].h;
    uint64_t before;

    (void)state;
    begin(w, 1);
    enter_space(w, 1, 5);
    before = fences(w, 1);
    w->member[1].kicks = 0;
    for (unsigned k = 0; k < 20; k++) /* it is the same again and again */
        assert_int_equal(CALL(0, RFENCE, 2, 2, 0, 0, UINT64_MAX, 3), OK);
    assert_int_equal(CALL(0, RFENCE, 2, 2, 0, 0x1000, 0x2000, 3), OK);
    assert_false(waits(w, 0));
    assert_int_equal(w->member[1].kicks, 0);
    enter_space(w, 1, 3);
    assert_int_equal(fences(w, 1), before + 3);
    enter_space(w, 1, 5);
    enter_space(w, 1, 3);
    assert_int_equal(fences(w, 1), before + 3);
    /* Now it is in that space. */
    assert_int_equal(CALL(0, RFENCE, 2, 2, 0, 0, UINT64_MAX, 3), OK);
    assert_true(waits(w, 0));
    assert_int_equal(w->member[1].kicks, 1);
    enter_space(w, 1, 5); /* that does it, too; who waits is told at the block's end */
    assert_int_equal(fences(w, 1), before + 4);
    assert_false(rv_wakes(w->member[0].h));
    assert_false(rv_interrupt(h));
    assert_int_equal(fences(w, 1), before + 4);
    assert_true(rv_wakes(w->member[0].h));
    assert_false(wake(w, 0));
    /* A fence of all spaces, and fence.i, are everybody's. */
    assert_int_equal(CALL(0, RFENCE, 1, 2, 0, 0x1000, 0x1000), OK);
    assert_true(waits(w, 0));
    assert_false(rv_interrupt(h));
    assert_false(wake(w, 0));
    assert_int_equal(CALL(0, RFENCE, 0, 2, 0), OK);
    assert_true(waits(w, 0));
    enter_space(w, 1, 3);
    assert_false(rv_wakes(w->member[0].h)); /* it may be in the middle of a block */
    assert_false(rv_interrupt(h));
    assert_true(rv_wakes(w->member[0].h));
    destroy(w);
}

static void two_that_fence_each_other_go_on(void **state)
{
    struct world *w = create(2);

    (void)state;
    begin(w, 1);
    CALL(0, RFENCE, 1, 3, 0, 0, 0);
    CALL(1, RFENCE, 1, 3, 0, 0, 0);
    assert_true(waits(w, 0) && waits(w, 1));
    rv_away(w->member[0].h); /* both sleep in their loops */
    rv_away(w->member[1].h);
    assert_true(rv_wakes(w->member[0].h) && rv_wakes(w->member[1].h));
    wake(w, 0);
    wake(w, 1);
    assert_false(waits(w, 0) || waits(w, 1));
    destroy(w);
}

/* ---- All of it, by threads
 * ----------------------------------------------------------------------- */

static uint64_t next_random(struct member *m)
{
    m->seed = m->seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return m->seed >> 33;
}

/* A run loop: sleeps while the hart waits, then lets it take what there is. */
static void loop(struct member *m)
{
    struct rv_hart *h = m->h;

    while (atomic_load(&h->s.pending)) {
        uint32_t p = atomic_exchange(&h->s.pending, 0);

        while (p & PENDING_WAIT && !rv_wakes(h)) {
            rv_away(h);
            pthread_mutex_lock(&m->lock);
            while (!(atomic_load(&h->s.pending) & PENDING_IRQ) && !rv_wakes(h))
                pthread_cond_wait(&m->kicked, &m->lock);
            atomic_fetch_and(&h->s.pending, ~(uint32_t)PENDING_IRQ);
            pthread_mutex_unlock(&m->lock);
            rv_back(h);
        }
        rv_interrupt(h);
    }
}

/* A step of guest code. What it has cached of the space that it is in must be as new as the newest
 * version whose fence was complete before the step. Of which space a fence was is not told here, so
 * each stands for all. */
static void use_translation(struct member *m)
{
    unsigned asid = m->asid;
    uint64_t n = mmu_stats(m->h->s.mmu)->fences, completed = atomic_load(&m->w->completed[asid]);

    for (unsigned k = 0; n != m->fences_seen && k < N_ASIDS; k++)
        m->cached[k] = atomic_load(&m->w->version[k]);
    m->fences_seen = n;
    CHECK(m->cached[asid] >= completed && "a hart uses what was fenced away");
}

static void go_to_another_space(struct member *m)
{
    m->asid = (m->asid + 1) % N_ASIDS;
    enter_space(m->w, (unsigned)m->h->hartid, m->asid);
}

static void raise_to(_Atomic uint64_t *word, uint64_t value)
{
    uint64_t old = atomic_load(word);

    while (old < value && !atomic_compare_exchange_weak(word, &old, value))
        continue;
}

static void change_and_fence(struct member *m)
{
    unsigned asid = (unsigned)next_random(m) % N_ASIDS;
    uint64_t fid = 1 + (next_random(m) & 1);
    uint64_t mine = atomic_fetch_add(&m->w->version[asid], 1) + 1;

    CHECK(call_of(m->h, RFENCE, fid, (uint64_t[6]){0, UINT64_MAX, 0x1000, 0x1000, asid}) == OK);
    m->n_waits += rv_is_fencing(m->h);
    loop(m);
    CHECK(!rv_is_fencing(m->h));
    raise_to(&m->w->completed[asid], mine);
}

/* Waits for an interrupt; another hart sends one to all before it ends. */
static void wait_for_ipi(struct member *m)
{
    if (atomic_load(&m->w->n_running) == 1)
        return;
    atomic_fetch_sub(&m->w->n_running, 1);
    atomic_fetch_or(&m->h->s.pending, PENDING_WAIT);
    loop(m);
    atomic_fetch_add(&m->w->n_running, 1);
    m->n_ipis += (rv_mip(m->h) & bit(RV_SSI)) != 0;
    rv_sip_write(m->h, 2, 0);
}

static void *hart_main(void *arg)
{
    struct member *m = arg;
    struct rv_hart *h = m->h;

    rv_back(h);
    loop(m);
    CHECK(h->s.reg[10] == h->hartid);
    h->mie = bit(RV_SSI);
    pthread_barrier_wait(&m->w->begin);
    for (unsigned k = 0; k < m->w->rounds; k++) {
        unsigned what = (unsigned)next_random(m) % 8;

        loop(m);
        use_translation(m);
        if (what < 3)
            change_and_fence(m);
        else if (what == 6)
            go_to_another_space(m);
        else if (what < 5)
            call_of(h, IPI, 0, (uint64_t[6]){next_random(m) & 15, 0});
        else if (what == 5 && h->hartid != 0)
            wait_for_ipi(m);
    }
    rv_away(h);
    return NULL;
}

static void threads_do_all_of_it(void **state)
{
    struct world *w = create(N_HARTS);
    const char *rounds = getenv("DBT_CLUSTER_ROUNDS");

    (void)state;
    w->rounds = rounds ? (unsigned)strtoul(rounds, NULL, 0) : 60000;
    atomic_store(&w->n_running, N_HARTS);
    pthread_barrier_init(&w->begin, NULL, N_HARTS);
    for (unsigned i = 1; i < N_HARTS; i++)
        assert_int_equal(CALL(0, HSM, START, i, PC, i), OK);
    for (unsigned i = 0; i < N_HARTS; i++) {
        w->member[i].seed = i + 1;
        pthread_create(&w->member[i].thread, NULL, hart_main, &w->member[i]);
    }
    /* Hart 0 never waits for an interrupt. Who still does when it has ended is sent one by us, in
     * its name, until all have ended. */
    pthread_join(w->member[0].thread, NULL);
    for (unsigned i = 1; i < N_HARTS; i++) {
        struct timespec t = {.tv_nsec = 1000000};

        while (pthread_tryjoin_np(w->member[i].thread, NULL) != 0) {
            rv_send_ipi(w->member[0].h, UINT64_C(0xe));
            nanosleep(&t, NULL);
        }
        assert_true(w->member[i].n_ipis > 0);
        assert_true(w->member[i].n_waits > 20);
    }
    pthread_barrier_destroy(&w->begin);
    for (unsigned k = 0; k < N_ASIDS; k++)
        assert_true(atomic_load(&w->completed[k]) > w->rounds / 4);
    destroy(w);
}

/* ---- Turns ------------------------------------------------------------------------------------
 */

/* Whether a hart that spins for so long says that it does. */
static bool yields(struct rv_hart *h, unsigned n_pauses)
{
    atomic_store(&h->s.pending, 0);
    for (unsigned k = 0; k < n_pauses; k++) {
        rv_help_pause(&h->s, 0, 0, 0, 0);
        rv_help_wrs(&h->s, 0x01d00073, 0, 0, 0);
    }
    return (atomic_load(&h->s.pending) & PENDING_YIELD) != 0;
}

static void who_spins_says_so_in_virtual_time(void **state)
{
    struct world *w = create(2), *alone = create(1);

    (void)state;
    assert_false(yields(w->member[0].h, 100));
    w->member[0].h->virtual_time = alone->member[0].h->virtual_time = true;
    assert_true(yields(w->member[0].h, 100));
    assert_false(yields(alone->member[0].h, 100));
    destroy(alone);
    destroy(w);
}

/* Harts that share a host thread: who pauses gives way, and says that it did. */
static void who_spins_says_so_where_threads_are_shared(void **state)
{
    struct world *w = create(2);
    struct rv_hart *h = w->member[0].h;

    (void)state;
    assert_false(yields(h, 10));
    h->has_paused = false;
    h->yields = true;
    assert_true(yields(h, 100));
    assert_true(h->has_paused);
    destroy(w);
}

/* Who was asked to give way while it held the kernel's locks does so behind them. */
static void who_is_asked_gives_way_in_user_mode(void **state)
{
    struct world *w = create(1);
    struct rv_hart *h = w->member[0].h;

    (void)state;
    for (unsigned asked = 0; asked < 2; asked++) {
        for (unsigned to_user = 0; to_user < 2; to_user++) {
            h->yield_in_user = asked;
            h->priv = RV_S;
            h->mstatus = to_user ? 0 : RV_STATUS_SPP;
            atomic_store(&h->s.pending, 0);
            rv_sret(h);
            assert_int_equal(h->priv, to_user ? RV_U : RV_S);
            assert_int_equal((atomic_load(&h->s.pending) & PENDING_YIELD) != 0, asked && to_user);
        }
    }
    destroy(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_spins_says_so_in_virtual_time),
        cmocka_unit_test(who_spins_says_so_where_threads_are_shared),
        cmocka_unit_test(who_is_asked_gives_way_in_user_mode),
        cmocka_unit_test(a_hart_is_started),
        cmocka_unit_test(a_hart_stops),
        cmocka_unit_test(a_suspended_hart_goes_on_where_it_was),
        cmocka_unit_test(a_suspended_hart_goes_on_elsewhere),
        cmocka_unit_test(an_interrupt_reaches_those_that_run),
        cmocka_unit_test(legacy_masks_name_other_harts),
        cmocka_unit_test(a_fence_waits_for_those_that_run),
        cmocka_unit_test(fence_i_waits_too),
        cmocka_unit_test(a_sleeper_does_it_when_it_wakes),
        cmocka_unit_test(a_fence_of_another_space_waits_for_nobody),
        cmocka_unit_test(two_that_fence_each_other_go_on),
        cmocka_unit_test(threads_do_all_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
