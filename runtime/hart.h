/* A hart: a guest CPU, its MMU and its translator, on a host thread of its own or, where there are
 * more of them than the host has processors, one that it shares (proc.h). The code that it
 * runs is the machine's (tcache.h). The loop knows no guest architecture: that is guest_ops.
 *
 *   pending work -> find the block at pc, or translate it -> run it -> why it left
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dbt/ir/guest.h"
#include "dbt/translate.h"
#include "runtime/block.h"
#include "runtime/cache.h"
#include "runtime/tcache.h"
#include "softmmu/mmu.h"
#include "softmmu/track.h"

/* What the machine does for the loop, on the hart's thread, between blocks. */
struct hart_events {
    /* PENDING_EVENT or PENDING_TIME was set. False: the run is over. */
    bool (*poll)(void *arg);
    /* The guest waits: sleeps until pending is not 0 or the next deadline. */
    void (*wait)(void *arg);
    /* PENDING_REST was set: sleeps for a moment. NULL: nobody sets it. */
    void (*rest)(void *arg);
    /* PENDING_YIELD was set where harts share processors: to call hart_yield(), now or at a better
     * moment. NULL: there are none. */
    void (*yield)(void *arg);
    /* The hart wants to be asked to poll in `ns` from now, if it still runs then; an earlier wish
     * of its stands. NULL: it is asked seldom enough. */
    void (*sample_after)(void *arg, uint64_t ns);
    void *arg;
};

struct hart_config {
    const struct guest_ops *guest;
    uint64_t (*time)(struct cpu_state *s); /* the IR's `time`, for the evaluator */
    const struct mmu_guest *mmu_guest;
    struct hart_events events;
    bool evaluate_first; /* ENGINE_JIT: a block's first run is the evaluator's, later ones are
                            translated */
    bool no_links;       /* --stress=links: every exit comes back to the loop */
    bool stress_irq;     /* the loop looks for an interrupt before each block; no links */
    bool stress_table;   /* the MMU's tables hold a few entries only */
};

struct hart_stats {
    uint64_t translated, guest_insns; /* blocks, and the instructions in them */
    uint64_t exits[4];                /* by exit_reason */
    uint64_t evaluated;               /* blocks that ran for the first time, and were not kept */
    uint64_t traps, interrupts, runs, store_faults;
    uint64_t hot;  /* blocks translated again, with cells */
    uint64_t wild; /* accesses that lost their cell */
    uint64_t word_sleeps, wfi_sleeps, pause_sleeps;
};

struct hart;

/* ---- Before the first run, after the last ------------------------------------------ */

/* s is the guest's state, zeroed but for what the guest's own set-up did; borrowed, as t is. NULL
 * with the reason when the host refuses memory. All harts of t are made before the first runs. */
struct hart *hart_create(struct cpu_state *s, struct tcache *t, const struct hart_config *config,
                         struct err *e);
/* When no hart of its tcache runs any more. */
void hart_destroy(struct hart *h);

/* ---- The hart's thread --------------------------------------------------------------- */

/* Runs from s->pc until events.poll says that it is over. */
void hart_run(struct hart *h);

/* tcache_wrote() by this hart, which leaves the block that it runs if that was dropped. */
void hart_wrote(struct hart *h, uint64_t gpa, uint64_t len_bytes);

const struct hart_stats *hart_stats(const struct hart *h);
const struct cache_stats *hart_cache_stats(const struct hart *h);
const struct block_stats *hart_block_stats(const struct hart *h);
const struct track_stats *hart_track_stats(const struct hart *h);
struct windows_stats hart_windows_stats(const struct hart *h);

/* ---- Any thread, also a signal handler -------------------------------------------------- */

/* Makes the loop look at `bits` (PENDING_*) at the next block boundary, and wakes it
 * from hart_sleep(). */
void hart_kick(struct hart *h, uint32_t bits);

/* The hart whose code, loop or events this thread is in; NULL: none. */
struct hart *hart_running(void);

/* ---- The hart's thread; with turns, that of whoever has the turn, or before the first run -- */

/* Turns: PENDING_TIME is set when icount is there, and ends a sleep; UINT64_MAX: never. */
void hart_set_due(struct hart *h, uint64_t icount);

/* ---- The hart's thread, from events.wait ------------------------------------------------ */

/* Others that share its processor run, if there are any who can. From events.yield or .rest. */
void hart_yield(struct hart *h);
/* May one of them want to, soon? */
bool hart_shares_processor(const struct hart *h);

/* Sleeps until it is kicked or timeout_ns have passed; UINT64_MAX: no limit. May return
 * early. Harts that take turns have a clock of their own: there it is until hart_set_due(). */
void hart_sleep(struct hart *h, uint64_t timeout_ns);
/* Sleeps likewise, and keeps its turn: for the guest no time passes. From events.poll. */
void hart_hold(struct hart *h, uint64_t timeout_ns);
/* As hart_sleep(), or until another hart that comes round its loop finds that the word (of size
 * bytes, in guest RAM's plain view) is not `value` any more. True: it is something else. From
 * events.rest. */
bool hart_sleep_on_word(struct hart *h, const void *word, unsigned size, uint64_t value,
                        uint64_t timeout_ns);
/* As hart_sleep(), for a hart that spins, nobody knows what for. From events.rest. */
void hart_sleep_in_wfi(struct hart *h, uint64_t timeout_ns);
/* For one that waits in a loop: it will be seen what for, and then events.rest is called again.
 * From there. */
void hart_look(struct hart *h);
/* It waits for something else. */
void hart_look_away(struct hart *h);
/* Is it a word? Then it may sleep until that changes, as in hart_sleep_on_word(). */
bool hart_has_found(const struct hart *h);
bool hart_sleep_in_pause(struct hart *h, uint64_t timeout_ns);
/* Comes round its loop, where somebody sleeps on a word: it may have changed that. */
void hart_look_at_words(struct hart *h);
