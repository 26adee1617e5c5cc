/* Inside the run loop and the cache that harts share. */
#pragma once

#include <pthread.h>

#include "dbt/base/tsan.h"
#include "runtime/hart.h"
#include "runtime/jumps.h"
#include "runtime/proc.h"
#include "runtime/rewrite.h"
#include "runtime/seen.h"
#include "runtime/stress.h"
#include "runtime/touch.h"
#include "runtime/turns.h"
#include "runtime/wild.h"

struct check;

struct tcache {
    struct tcache_config config;
    struct phys *phys;
    struct track *track;
    struct reserve *reserve; /* --lrsc=strict; NULL: off */
    struct cache *cache;
    struct block_table *blocks;
    struct rewrite *rewrite;
    struct seen *seen;
    struct seen *noted, *hot; /* wild.c: accesses and starts; blocks */
    struct touches *touches;
    struct salts *salts;
    struct windows *windows;
    struct x64_stubs stubs;
    struct hart *hart[MAX_HARTS];
    unsigned n_harts;
    /* Of blocks (table, links, lists), of which segments are taken, of rewrite, of each hart's
     * `making` and `evaluated`. Translated code and look-ups go without. It and the epoch have a
     * line each of the host's caches: all harts read what is below whenever they come round their
     * loop. */
    _Alignas(X64_LINE) pthread_mutex_t lock;

    /* quiesce.c */
    _Alignas(X64_LINE) _Atomic uint64_t epoch;
    _Alignas(X64_LINE) pthread_mutex_t stop_lock; /* held while the world is stopped */
    _Atomic uint32_t stopping;                    /* 1: harts wait here */
    struct hart *stopped_by;                      /* stop_lock */
    _Atomic uint64_t word_waiters;                /* bit n: hart n sleeps in sleep_on_word() */
    _Atomic unsigned n_wraps; /* of the salts: each hart follows in quiesce_enter() */

    struct turns turns;       /* config.turns */
    struct proc *proc;        /* config.n_procs of them */
    unsigned n_threads;       /* of the host's: hart n runs on the one n mod this */
    struct phys_jumps *jumps; /* jumps.c; one a thread */
};

/* The pages that a hart reads to make a block. While they are here they count as code, so that
 * their store views stay read-only, and a store to one is noted. */
struct making {
    bool now;
    bool stale;      /* one was stored to: what was read may be old */
    uint64_t gpa[2]; /* of pages; [1] 0: none */
};

/* look.c: a loop in which the hart waits. */
struct look {
    unsigned left; /* blocks that may still be looked at; 0: it does not look */
    uint64_t pc, reg[STATE_N_REGS];
    unsigned n_loads, size; /* of one load, in bytes; found: 4 or 8 */
    uint64_t va, value;     /* its; found: of the word */
    uint64_t gpa;           /* found: where others can look at it */
    bool is_unclear;        /* there was a store, another load, or a look at the clock */
    bool is_found;
};

struct hart {
    struct tcache *tc;
    unsigned n; /* its number */
    struct cpu_state *s;
    struct mmu *mmu;
    struct wild *wild;
    struct stress stress;
    struct making making;
    struct block
        evaluated; /* what runs for the first time, known to no list; len_bytes 0: nothing */
    struct translator *translator;
    struct hart_config config;
    struct check *check;    /* ENGINE_CHECK only */
    _Atomic uint32_t kicks; /* ENGINE_CHECK: bits that wait for the block's end */
    _Atomic bool asleep;
    /* What it sleeps on: its thread's; others read it while its bit in word_waiters is set. */
    _Atomic uintptr_t word; /* its address, and its size, which must not part: word_wait.c */
    _Atomic uint64_t word_value;
    _Atomic uint64_t passed; /* the epoch in which it came round its loop last; see quiesce.c */
    struct turn turn;        /* config.turns */
    struct proc_place place; /* config.n_procs */
    bool salts_wrapped;
    unsigned n_wraps; /* of the salts, that it has followed */
    struct ir_env env;
    /* The direct exit that led here, to be linked to the block that is found next. */
    struct block_exit *link_from;
    uint64_t link_generation;
    struct look look;
    struct hart_stats stats;
};

/* The host's that it runs on. What one hart at a time uses, between two places where it may give
 * way, the harts of a thread have in common: the segment that they fill, a jump cache. Also from a
 * signal handler (tsan.h). */
NOT_SANITIZED static inline unsigned hart_thread(const struct hart *h)
{
    return h->n % h->tc->n_threads;
}

static inline void tcache_lock(struct tcache *t)
{
    pthread_mutex_lock(&t->lock);
}
static inline void tcache_unlock(struct tcache *t)
{
    pthread_mutex_unlock(&t->lock);
}

/* The word that tells a sleeper: in check mode it is not the guest's own, which must not
 * change while a block runs twice. */
NOT_SANITIZED static inline _Atomic uint32_t *hart_kick_word(struct hart *h)
{
    return h->tc->config.engine == ENGINE_CHECK ? &h->kicks : &h->s->pending;
}

/* As state_pend(), in what tells a sleeper. Also from a signal handler (tsan.h). */
NOT_SANITIZED static inline void hart_pend(struct hart *h, uint32_t bits)
{
    atomic_fetch_or(hart_kick_word(h), bits);
    atomic_store(&h->s->limit, 0);
}

/* Has anything come that ends a sleep? */
static inline bool hart_is_kicked(struct hart *h)
{
    return (atomic_load(hart_kick_word(h)) & ~(uint32_t)PENDING_WAIT) != 0;
}

/* ---- dispatch.c ------------------------------------------------------------------------ */

/* For tcache_create(). */
void hart_make_stubs(struct tcache *t);

/* Delivers a guest trap at s->pc. */
void take_trap(struct hart *h, uint64_t cause, uint64_t tval);

/* hart_sleep(). The kind matters where harts share a processor. */
void sleep_outside(struct hart *h, uint64_t timeout_ns, enum proc_sleep kind);

/* What a block's end leaves to do; its registers are in the state. */
void block_left(struct hart *h, enum exit_reason reason);

/* A line under -d exec for what is about to run at s->pc. */
void log_exec(const struct hart *h, uint64_t gpa);

/* The block at s->pc, translated if need be. NULL: a fetch fault was delivered, or the block ran
 * for the first time, and has run. */
struct block *fetch_block(struct hart *h);
/* How often the block at s->pc reaches memory, if there is one that lies in one page. Where a hart
 * is kept from going on it is a loop that has turned, mostly, or what leads there. */
struct mmu_density hart_density(const struct hart *h);
/* Nobody enters it from now on. Takes the cache's lock. */
void hart_drop_block(struct hart *h, struct block *b);

/* ---- look.c ---------------------------------------------------------------------------- */

/* Is the block at s->pc to be looked at? Where the loop has closed, the hart is to rest. */
bool look_goes_on(struct hart *h);
/* hart.env's. */
uint64_t look_load(struct cpu_state *s, uint64_t va, uint8_t aux);
bool look_store(struct cpu_state *s, uint64_t va, uint8_t aux, uint64_t value);
uint64_t look_time(struct cpu_state *s);

/* ---- word_wait.c ---------------------------------------------------------------------- */

/* Is h's word another than when it went to sleep? */
bool word_has_changed(const struct hart *h);
/* hart_sleep_on_word(). */
bool sleep_on_word(struct hart *h, const void *word, unsigned size, uint64_t value,
                   uint64_t timeout_ns, uint64_t *n_sleeps);
/* Wakes harts whose words have changed; for when there is one (word_waiters). */
void word_wake(struct tcache *t);

/* ---- check_mode.c ------------------------------------------------------------------- */

struct check *check_create(struct hart *h);
void check_destroy(struct check *c);
/* Runs b in both engines and compares; ends the process with both dumps and exit status
 * EXIT_BUG at the first difference. */
enum exit_reason check_run(struct check *c, struct block *b);
/* The host code finds that a block is to go; it does so when the run is over: a store of the
 * block's into itself finds in either run what it finds in the other. */
void check_drop_later(struct check *c, struct block *b);

/* ---- host_signal.c -------------------------------------------------------------------- */

/* Makes SIGSEGV in h's code go on in the slow path. Once a thread. */
void host_signal_install(struct hart *h);
/* The thread's hart is another one from now on, or none (NULL). */
void hart_set_running(struct hart *h);
