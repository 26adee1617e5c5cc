/* The translation cache that all harts of a machine share: code, what is known about it, which
 * pages it came from; and how harts wait for each other (quiesce.c).
 *
 *   struct tcache   phys (borrowed), track, cache, block table, rewritten places, salts, stubs
 *     | hart ...    its state, MMU, translator, room to emit into
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dbt/base/err.h"
#include "dbt/translate.h"
#include "softmmu/phys.h"
#include "softmmu/windows.h"

enum engine { ENGINE_JIT, ENGINE_INTERP, ENGINE_CHECK };
enum { MAX_HARTS = 64 };

struct hart;
struct tcache;

struct tcache_config {
    enum engine engine;
    struct translate_options translate;
    size_t cache_bytes;
    unsigned cache_segments;
    uint64_t stress_seed; /* stress.h; 0: off */
    /* ENGINE_INTERP: off. AUTO goes by the host's clock: off under virtual time, where a run
     * repeats. */
    enum window_policy windows;
    unsigned n_harts; /* at most MAX_HARTS; 0: one */
    /* proc.h: so many host threads, fewer than harts, each of which runs several in turn. 0: each
     * hart has its own thread. ENGINE_JIT or INTERP, without `turns`. */
    unsigned n_procs;
    /* One hart runs at a time (turns.h), and icount is the clock of all: translate.virtual_time.
     * Several harts in ENGINE_CHECK must take turns. */
    bool turns;
    uint64_t
        max_insns; /* turns: nobody executes an instruction when icount is there; 0: no limit */
};

/* ---- Before the first hart is made, after the last is gone -------------------------- */

/* phys is borrowed. NULL with the reason when the host refuses memory or lacks instructions. */
struct tcache *tcache_create(struct phys *phys, const struct tcache_config *config, struct err *e);
void tcache_destroy(struct tcache *t);

/* turns: each hart counts as one that wants to run from now on, though its thread may still be on
 * its way; the first one begins. */
void tcache_muster(struct tcache *t);

/* ---- Any thread ------------------------------------------------------------------------ */

/* A device or the loader wrote guest RAM: blocks made from it are dropped, and reservations end
 * (--lrsc=strict). A hart that runs one leaves it at its end. Takes the cache's lock: the caller
 * holds none that is behind it in README.md's order. */
void tcache_wrote(struct tcache *t, uint64_t gpa, uint64_t len_bytes);

/* Stops the world: returns when no hart but `self` runs guest code or its loop, which is within one
 * block's time; sleeping harts stay asleep. self: the hart whose thread this is, which must be in
 * its loop (events.poll), or NULL. One stops at a time, the others wait. */
void tcache_stop(struct tcache *t, struct hart *self);
void tcache_resume(struct tcache *t);
