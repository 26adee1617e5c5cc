/* The code cache: one memfd mapped twice, written through one mapping and run
 * through the other, so that no page is ever writable and executable. It is cut
 * into segments that are filled in turn; when the last is full the oldest is
 * emptied and filled again, so what was made lately, and is hot, stays. Beside its
 * code a segment holds what is known about its blocks; both go together.
 *
 *   | stubs | segment 0 | segment 1 | ... |       code, twice mapped
 *           | meta 0    | meta 1    | ... |       struct block and its lists
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "dbt/base/err.h"

struct cache;
struct block;

enum { CACHE_STUB_BYTES = 8192, CACHE_HEADER = 16, CACHE_ALIGN = 16 };

/* ---- Before the first hart runs, after the last has stopped ------------------- */

/* n_segments >= 2. drop is called for every block of a segment that is emptied. */
struct cache *cache_create(size_t size_bytes, unsigned n_segments,
                           void (*drop)(void *arg, struct block *b), void *arg, struct err *e);
void cache_destroy(struct cache *c);

/* The first CACHE_STUB_BYTES, for the stubs. */
uint8_t *cache_stubs_rw(struct cache *c);
const uint8_t *cache_stubs_rx(const struct cache *c);

/* ---- The hart's thread --------------------------------------------------------- */

/* Where the next block's code may be written, and how much fits. */
uint8_t *cache_room(struct cache *c, size_t *cap_bytes);

/* Keeps size_bytes of what was written there as the code of b; gives where it runs.
 * The word before it names b (cache_block_of_code). */
const uint8_t *cache_commit(struct cache *c, size_t size_bytes, struct block *b);

/* Memory for b's description, 16-byte aligned, until its segment is emptied. NULL when the
 * segment's share is full. */
void *cache_meta(struct cache *c, size_t bytes);

/* Lists b as of the current segment. Called once a block, after its last cache_meta(). */
void cache_own(struct cache *c, struct block *b);

/* Goes on to the next segment, emptying it first. */
void cache_advance(struct cache *c);
/* Empties all segments. */
void cache_flush(struct cache *c);

/* Nothing in the current segment: more room cannot be had. */
bool cache_segment_empty(const struct cache *c);

/* How often a segment was emptied: a pointer to a block is good while this stays. */
uint64_t cache_generation(const struct cache *c);

/* ---- Any thread, also in a signal handler ---------------------------------------- */

uint8_t *cache_rw_of(const struct cache *c, const void *rx);
static inline struct block *cache_block_of_code(const void *code)
{
    return *(struct block *const *)((const uint8_t *)code - CACHE_HEADER);
}
/* The block whose code holds rx, or NULL. */
struct block *cache_find(const struct cache *c, const void *rx);

struct cache_stats {
    uint64_t blocks, code_bytes, evictions;
    size_t size_bytes;
};
const struct cache_stats *cache_stats(const struct cache *c);
