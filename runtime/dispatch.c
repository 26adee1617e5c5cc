/* The run loop. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <linux/futex.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "dbt/base/bits.h"
#include "dbt/base/clock.h"
#include "dbt/base/log.h"
#include "dbt/base/tsan.h"
#include "runtime/hart_int.h"
#include "runtime/mmu_layout.h"
#include "runtime/quiesce.h"
#include "softmmu/reserve.h"
#include "softmmu/salts.h"

static void salts_wrapped(void *arg)
{
    struct hart *h = arg;

    h->salts_wrapped = true;
    state_pend(h->s, PENDING_LEAVE);
}

static uint64_t slow_load(struct cpu_state *s, uint64_t va, uint8_t aux)
{
    if (s->worn_code)
        wild_worn(s->owner, va);
    if (aux & IR_JOINED)
        hart_part_joined(s->owner, va, ir_mem_size(aux), MMU_LOAD);
    if (s->window_fault)
        hart_window_fault(s->owner, va, ir_mem_size(aux), MMU_LOAD);
    return mmu_load(s, va, aux);
}

static bool slow_store(struct cpu_state *s, uint64_t va, uint8_t aux, uint64_t value)
{
    if (s->worn_code)
        wild_worn(s->owner, va);
    if (aux & IR_JOINED)
        hart_part_joined(s->owner, va, ir_mem_size(aux), MMU_STORE);
    if (s->window_fault)
        hart_window_fault(s->owner, va, ir_mem_size(aux), MMU_STORE);
    return mmu_store(s, va, aux, value);
}

static void atomic_faulted(void *arg, uint64_t va, unsigned len, enum mmu_access access)
{
    hart_window_fault(arg, va, len, access);
}

_Static_assert(2 * N_CELLS == STATE_N_CELLS, "each cell's misses are counted");

static const struct x64_mmu_layout mmu_layout = {
    MMU_LAYOUT,
    .load = slow_load,
    .store = slow_store,
};

void hart_make_stubs(struct tcache *t)
{
    x64_make_stubs(&t->stubs, cache_stubs_rw(t->cache), cache_stubs_rx(t->cache), CACHE_STUB_BYTES,
                   &mmu_layout, x64_n_xmm(t->config.translate.stress_regs));
}

struct hart *hart_create(struct cpu_state *s, struct tcache *t, const struct hart_config *config,
                         struct err *e)
{
    struct hart *h = calloc(1, sizeof *h);
    struct translate_options options = t->config.translate;
    unsigned n_helpers;

    CHECK(h && "memory for a hart");
    CHECK(t->n_harts < t->config.n_harts);
    h->s = s;
    h->tc = t;
    atomic_init(&h->passed, UINT64_MAX);
    atomic_init(&h->turn.due, UINT64_MAX);
    h->config = *config;
    h->config.no_links |= config->stress_irq;
    h->env = (struct ir_env){.load = look_load, .store = look_store, .time = look_time};
    s->owner = h;
    s->mxcsr |= 0x1f80;
    h->wild = wild_create(t);
    options.advice = (struct ir_advice){.is_wild = wild_is_noted,
                                        .is_hot = config->evaluate_first ? wild_is_hot : NULL,
                                        .is_counted = wild_is_counted,
                                        .arg = h->wild};
    h->n = t->n_harts;
    h->mmu = mmu_create(s, t->phys, t->track, t->salts, config->mmu_guest);
    if (!h->mmu) {
        err_set(e, "the host has no memory for the soft MMU's tables");
        hart_destroy(h);
        return NULL;
    }
    if (config->stress_table)
        mmu_stress(h->mmu);
    if (t->reserve)
        mmu_reserve_strictly(h->mmu, t->reserve, t->n_harts);
    mmu_set_salt_wrap(h->mmu, salts_wrapped, h);
    mmu_set_window_fault(h->mmu, atomic_faulted, h);
    mmu_set_windows(h->mmu, t->windows);
    h->translator = translator_create(config->guest, &mmu_layout, &options);
    const struct ir_helper *helpers = config->guest->helpers(&n_helpers);

    x64_init_state(s, &t->stubs, &mmu_layout, helpers, n_helpers);
    if (t->config.engine == ENGINE_CHECK)
        h->check = check_create(h);
    stress_init(&h->stress, t->config.stress_seed, h->n);
    jumps_join(h);
    t->hart[t->n_harts++] = h;
    proc_join(h);
    return h;
}

void hart_destroy(struct hart *h)
{
    if (h->check)
        check_destroy(h->check);
    if (h->translator)
        translator_destroy(h->translator);
    if (h->mmu)
        mmu_destroy(h->mmu);
    fiber_destroy(&h->place.fiber);
    wild_destroy(h->wild);
    free(h);
}

/* Also from a signal handler (tsan.h). What it tells is in the word alone. */
NOT_SANITIZED void hart_kick(struct hart *h, uint32_t bits)
{
    hart_pend(h, bits);
    if (h->tc->config.n_procs)
        proc_kicked(h);
    else if (h->tc->config.turns)
        turns_kicked(h);
    else if (atomic_load(&h->asleep))
        syscall(SYS_futex, hart_kick_word(h), FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void sleep_outside(struct hart *h, uint64_t timeout_ns, enum proc_sleep kind)
{
    struct timespec t = {.tv_sec = (time_t)(timeout_ns / 1000000000),
                         .tv_nsec = (long)(timeout_ns % 1000000000)};

    quiesce_leave(h);
    if (h->tc->config.turns) {
        turns_give(h, TURN_IDLE);
        quiesce_enter(h);
        return;
    }
    if (h->tc->config.n_procs) {
        mmu_pause(h->mmu);
        proc_sleep(h, timeout_ns, kind);
        quiesce_enter(h);
        mmu_resume(h->mmu);
        return;
    }
    atomic_store(&h->asleep, true);
    /* A kick between the test and the call changes the word: the call returns at once. */
    uint32_t seen = atomic_load(hart_kick_word(h));

    if ((seen & ~(uint32_t)PENDING_WAIT) == 0)
        syscall(SYS_futex, hart_kick_word(h), FUTEX_WAIT_PRIVATE, seen,
                timeout_ns == UINT64_MAX ? NULL : &t, NULL, 0);
    atomic_store(&h->asleep, false);
    quiesce_enter(h);
}

void hart_sleep(struct hart *h, uint64_t timeout_ns)
{
    sleep_outside(h, timeout_ns, SLEEP_ALARMED);
}

void hart_hold(struct hart *h, uint64_t timeout_ns)
{
    if (!h->tc->config.turns) {
        sleep_outside(h, timeout_ns, SLEEP_TIMED);
        return;
    }
    quiesce_leave(h);
    nanosleep(&(struct timespec){.tv_sec = (time_t)(timeout_ns / 1000000000),
                                 .tv_nsec = (long)(timeout_ns % 1000000000)},
              NULL);
    quiesce_enter(h);
}

void hart_yield(struct hart *h)
{
    quiesce_leave(h);
    mmu_pause(h->mmu);
    proc_yield(h);
    quiesce_enter(h);
    mmu_resume(h->mmu);
}

bool hart_shares_processor(const struct hart *h)
{
    return h->tc->config.n_procs && proc_is_shared(h);
}

void hart_wrote(struct hart *h, uint64_t gpa, uint64_t len_bytes)
{
    if (h->tc->reserve)
        reserve_wrote(h->tc->reserve, gpa, len_bytes);
    if (track_wrote(h->tc->track, gpa, len_bytes))
        state_pend(h->s, PENDING_LEAVE);
}

/* Each round takes what is pending: a bit that stayed would keep hart_sleep() from sleeping.
 * It does so before it asks the guest, so that what comes after the answer ends the sleep.
 * PENDING_LEAVE means nothing here, where no block runs; PENDING_IRQ is set again at the end. */
static void wait_for_interrupt(struct hart *h)
{
    const struct hart_events *ev = &h->config.events;
    const uint32_t events =
        PENDING_EVENT | PENDING_TIME | (h->tc->config.n_procs ? PENDING_YIELD : 0);

    for (;;) {
        uint32_t p = atomic_exchange(&h->s->pending, 0) | atomic_exchange(&h->kicks, 0);
        bool awake = h->config.guest->wakes(h->s);

        if (awake || p & events) {
            /* The loop polls, and comes back here if there is still nothing. */
            state_pend(h->s, (p & events) | PENDING_IRQ | (awake ? 0 : PENDING_WAIT));
            return;
        }
        ev->wait(ev->arg);
    }
}

/* With several harts the first that stops the world does it, and those that wanted to find it done.
 */
static void begin_salts_anew(struct hart *h)
{
    struct tcache *t = h->tc;

    h->salts_wrapped = false;
    h->link_from = NULL;
    if (t->config.n_harts == 1) {
        block_unlink_cells(t->blocks);
        return;
    }
    tcache_stop(t, h);
    if (salts_are_low(t->salts)) {
        block_unlink_cells(t->blocks);
        salts_begin_anew(t->salts);
        atomic_fetch_add(&t->n_wraps, 1);
    }
    tcache_resume(t);
}

/* Once around the loop, or more. Kicks that came meanwhile are seen, as where none have to wait
 * for a block's end: the engines are to do the same at the same time. */
static void pass(struct hart *h)
{
    quiesce_pass(h);
    if (h->tc->config.engine == ENGINE_CHECK)
        state_pend(h->s, atomic_exchange(&h->kicks, 0));
}

static void sample(struct hart *h)
{
    const struct hart_events *ev = &h->config.events;
    const uint64_t ns =
        mmu_sample(h->mmu, h->stats.translated + h->stats.evaluated, hart_density(h));

    if (ns && ev->sample_after)
        ev->sample_after(ev->arg, ns);
}

/* False: the run is over. */
static bool serve_pending(struct hart *h)
{
    struct cpu_state *s = h->s;
    const struct hart_events *ev = &h->config.events;

    pass(h);
    if (atomic_load_explicit(&h->tc->word_waiters, memory_order_relaxed))
        word_wake(h->tc);
    if (h->config.stress_irq)
        state_pend(s, PENDING_IRQ | PENDING_EVENT);
    while (atomic_load(&s->pending)) {
        uint32_t p = atomic_fetch_and(&s->pending, PENDING_IRQ);

        /* Again: a kick that has just been taken may be that of somebody who waits for us, and
         * kicks once (quiesce.c). */
        if (p & PENDING_YIELD && h->tc->config.turns)
            turns_yield(h);
        else if (p & PENDING_YIELD && ev->yield)
            ev->yield(ev->arg);
        pass(h);
        if (h->salts_wrapped)
            begin_salts_anew(h);
        if ((p & (PENDING_EVENT | PENDING_TIME)) && !ev->poll(ev->arg))
            return false;
        if (p & PENDING_WAIT)
            wait_for_interrupt(h);
        else if (p & PENDING_REST)
            ev->rest(ev->arg);
        if (mmu_wants_sample(h->mmu))
            sample(h);
        wild_look_again(h, clock_ns(CLOCK_MONOTONIC));
        if (atomic_load(&s->pending) & PENDING_IRQ && h->config.guest->interrupt(s)) {
            h->link_from = NULL;
            h->stats.interrupts++;
        }
    }
    return true;
}

/* The exit's block is there as long as the generation is what it was. */
static bool may_link(const struct hart *h, const struct block_exit *e, const struct block *b)
{
    if (h->link_generation != cache_generation(h->tc->cache) || e->from->dropped ||
        e->from->mode != b->mode)
        return false;
    /* A guard holds the salt of the half that jumps; the other half may have changed. */
    if (b->dropped || (h->s->page_va ^ h->s->pc) >> 63)
        return false;
    /* An exit without a guard vouches for the physical page that its block is in. A block
     * that straddles has bytes of another one too; and the page may have been mapped
     * elsewhere, with no fence yet, since its block was entered. */
    return e->at.cell || !(b->gpa2 || (e->from->gpa ^ b->gpa) >> PAGE_BITS);
}

/* Links the exit that led here to b, which is at s->pc. */
static void link_exit(struct hart *h, struct block *b)
{
    struct block_exit *e = h->link_from;

    h->link_from = NULL;
    stress_pause(&h->stress);
    tcache_lock(h->tc);
    if (may_link(h, e, b))
        block_link(h->tc->blocks, e, b, h->s->page_tag, h);
    tcache_unlock(h->tc);
}

void log_exec(const struct hart *h, uint64_t gpa)
{
    if (log_on(LOG_exec) && log_in_filter(h->s->pc))
        log_line(LOG_exec, "exec %016" PRIx64 " (physical %" PRIx64 ")", h->s->pc, gpa);
}

static enum exit_reason run(struct hart *h, struct block *b)
{
    struct cpu_state *s = h->s;

    log_exec(h, b->gpa);
    if (h->tc->config.engine == ENGINE_INTERP)
        return ir_eval(b->ir, s, &h->env);
    if (h->tc->config.engine == ENGINE_CHECK)
        return check_run(h->check, b);
    if (!h->config.no_links && jump_is_tagged(s->pc))
        jumps_note(h, b);
    return h->tc->stubs.enter(s, b->code);
}

/* Under virtual time a trap takes as long as an instruction: a guest whose handler traps at
 * once completes none, and its clock must go on all the same. */
void take_trap(struct hart *h, uint64_t cause, uint64_t tval)
{
    struct cpu_state *s = h->s;

    h->stats.traps++;
    if (h->tc->config.translate.virtual_time) {
        s->n_unretired++;
        if (++s->icount >= s->icount_deadline)
            state_pend(s, PENDING_TIME);
    }
    h->config.guest->trap(s, cause, tval);
}

void block_left(struct hart *h, enum exit_reason reason)
{
    struct cpu_state *s = h->s;

    if (h->evaluated.len_bytes) {
        tcache_lock(h->tc);
        h->evaluated.len_bytes = 0;
        tcache_unlock(h->tc);
    }
    h->stats.exits[reason]++;
    switch (reason) {
    case EXIT_LINK:
        /* The evaluator names no block, and has set pc. */
        if (h->tc->config.engine == ENGINE_JIT && s->exit_block) {
            struct block *from = cache_block_of(s->exit_block);

            tsan_acquire(from); /* publish() */
            struct block_exit *e = &from->exit[s->exit_index];

            s->pc = s->page_va + (uint64_t)(int64_t)e->at.target;
            stress_pause(&h->stress);
            if (!h->config.no_links) {
                /* In this order: the segment of `from` may just have been retired, and will be used
                 * again when we have passed. Then either `from` is dropped, or the generation
                 * changes behind what is kept here. */
                h->link_generation = cache_generation(h->tc->cache);
                h->link_from = from->dropped ? NULL : e;
            }
        }
        break;
    case EXIT_TRAP: take_trap(h, s->exit_cause, s->exit_tval); break;
    case EXIT_LOOKUP:
    case EXIT_PENDING: break;
    }
}

void hart_run(struct hart *h)
{
    host_signal_install(h);
    mmu_load_gs(h->s);
    quiesce_enter(h);
    /* Helpers that do not return come back here, with the guest's registers in place. */
    int jumped = _setjmp(h->s->unwind);

    if (jumped)
        block_left(h, (enum exit_reason)(jumped - 1));
    while (serve_pending(h)) {
        unsigned n_wraps = h->n_wraps;

        mmu_set_limit(h->mmu);
        struct block *b = fetch_block(h);

        /* What was found under old salts is not entered under new ones: nothing has noted it. */
        if (!b || n_wraps != h->n_wraps)
            continue;
        if (h->link_from)
            link_exit(h, b);
        state_set_page(h->s, h->s->pc);
        stress_pause(&h->stress);
        h->stats.runs++;
        block_left(h, run(h, b));
    }
    quiesce_leave(h);
    if (h->tc->config.turns)
        turns_give(h, TURN_OUT);
    hart_set_running(NULL);
}

const struct hart_stats *hart_stats(const struct hart *h)
{
    return &h->stats;
}

const struct cache_stats *hart_cache_stats(const struct hart *h)
{
    return cache_stats(h->tc->cache);
}

const struct block_stats *hart_block_stats(const struct hart *h)
{
    return block_stats(h->tc->blocks);
}

const struct track_stats *hart_track_stats(const struct hart *h)
{
    return track_stats(h->tc->track);
}

struct windows_stats hart_windows_stats(const struct hart *h)
{
    return windows_stats(h->tc->windows);
}
