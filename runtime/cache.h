/* The code cache: one memfd mapped twice, written through one mapping and run
 * through the other, so that no page is ever writable and executable. It is cut
 * into segments that are filled in turn, each writer's in its own; when all are full the oldest is
 * emptied and filled again, so what was made lately, and is hot, stays. Beside its
 * code a segment holds what is known about its blocks; both go together.
 *
 *   | stubs | hot 0 | hot 1 | ... | cold 0 | cold 1 | ... |       code, twice mapped
 *           | meta 0 | meta 1 | ... |                             struct block and its lists
 *
 * A segment has two areas: the first for what runs, the second for the parts of blocks that seldom
 * do. Blocks lie in both in the same order. What runs lies together, whoever made it: code at the
 * same place in several pieces of 16 MiB was slow, as if the processor told branches apart by some
 * 24 bits of their address (README.md, "Who owns what").
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend-x86_64/x64.h"
#include "dbt/base/err.h"

struct cache;
struct block;

enum { CACHE_STUB_BYTES = 8192, CACHE_HEADER = 16, CACHE_ALIGN = 16 };

/* ---- Before the first hart runs, after the last has stopped ------------------- */

/* n_segments > n_writers. drop is called for every block of a segment that is retired. */
struct cache *cache_create(size_t size_bytes, unsigned n_segments, unsigned n_writers,
                           void (*drop)(void *arg, struct block *b), void *arg, struct err *e);
void cache_destroy(struct cache *c);

/* The first CACHE_STUB_BYTES, for the stubs. */
uint8_t *cache_stubs_rw(struct cache *c);
const uint8_t *cache_stubs_rx(const struct cache *c);

/* ---- One writer: a thread of harts ------------------------------------------------
 *
 * Each writer fills a segment of its own, so that nobody waits while code is emitted. `w` is the
 * writer's number. */

/* Where the next block's code may be written, and how much fits. */
struct x64_room cache_room(struct cache *c, unsigned w);

/* The next block begins so many bytes later in both areas, a multiple of CACHE_ALIGN, less than
 * either's room. What was written there already is the caller's to move. */
void cache_skip(struct cache *c, unsigned w, size_t bytes);

/* Keeps b->size_bytes and b->cold_bytes of what was written there as the code of b; sets b->code
 * and b->cold, where it runs. The word before b->cold names b (cache_block_of). */
void cache_commit(struct cache *c, unsigned w, struct block *b);

/* Memory for b's description, 16-byte aligned, until its segment is emptied. NULL when the
 * segment's share is full. */
void *cache_meta(struct cache *c, unsigned w, size_t bytes);
/* As cache_meta(), from the beginning of one of the host's cache lines on. */
void *cache_meta_line(struct cache *c, unsigned w, size_t bytes);

/* Lists b as of the writer's segment. Called once a block, after its last cache_meta(). */
void cache_own(struct cache *c, unsigned w, struct block *b);

/* Nothing in the writer's segment: more room cannot be had. */
bool cache_segment_empty(const struct cache *c, unsigned w);

/* ---- One thread at a time (tcache's lock) ---------------------------------------- */

/* The oldest segment that no writer fills becomes w's next: drops all its blocks. Their memory is
 * as it was until cache_take(), for which the caller waits until no hart can be in it. False: it
 * had none, and nobody need wait. The generation changes. */
bool cache_retire(struct cache *c, unsigned w);
/* w goes on in that segment, which is empty now. */
void cache_take(struct cache *c, unsigned w);
/* Empties all segments: nobody runs. */
void cache_flush(struct cache *c);

/* ---- Any thread, also in a signal handler ---------------------------------------- */

/* How often a segment was retired: a pointer to a block is good while this stays. */
uint64_t cache_generation(const struct cache *c);

unsigned cache_n_segments(const struct cache *c);

uint8_t *cache_rw_of(const struct cache *c, const void *rx);
static inline struct block *cache_block_of(const void *cold)
{
    return *(struct block *const *)((const uint8_t *)cold - CACHE_HEADER);
}
/* The block whose code, either part, holds rx, or NULL. */
struct block *cache_find(const struct cache *c, const void *rx);

struct cache_stats {
    uint64_t blocks, code_bytes, evictions;
    size_t size_bytes;
};
const struct cache_stats *cache_stats(const struct cache *c);
