/* Translation blocks: found by guest physical address and mode, listed by the
 * physical pages whose bytes they were made from, linked to each other.
 *
 * Invariants: a block that is in the table is in the list of each page it has bytes
 * of, and of no other; exit[i].to is set exactly while exit[i] is in to's list of
 * incoming links and its jump leads to to's code: to its `loop` from itself, to its `onward` where
 * no look at `pending` is needed. A dropped block is in none of these, and nothing leads to it; its
 * code may still be running, and leaves by its own stubs. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend-x86_64/x64.h"
#include "dbt/ir/ir.h"
#include "runtime/cache.h"
#include "softmmu/phys.h"

struct block_exit {
    struct block *from, *to;
    struct block_exit *next_in; /* of the links into `to` */
    uint64_t epoch; /* since when nobody passes who has not seen it unlinked; 0: always */
    struct x64_exit at;
};

/* What a look-up and an entry read comes first: one of the host's cache lines. */
struct block {
    uint64_t gpa;
    uint64_t gpa2; /* straddles: physical page of its last bytes; else 0 */
    uint32_t mode;
    uint32_t len_bytes;
    const uint8_t *code; /* where it runs; NULL under --engine=interp */
    uint32_t size_bytes;
    uint32_t loop, onward; /* as x64_unit has them */
    bool touches_fp;
    _Atomic bool dropped;
    uint8_t n_insns;               /* the guest's */
    uint8_t n_accesses, n_lookups; /* to memory, and by the table; 255 or more: 255 */
    struct block *_Atomic next_hash;
    struct block *next_in_page[2];
    struct block_exit *incoming;
    unsigned n_exits, n_map, n_sites;
    struct block_exit *exit;
    const struct x64_map *map;
    const struct x64_site *site;
    const struct ir_block *ir; /* interp and check: what the evaluator runs, else NULL */
    const uint8_t *cold;       /* the part of the code that seldom runs, apart from the rest */
    uint32_t cold_bytes;
};

_Static_assert(offsetof(struct block, next_in_page) <= X64_LINE, "one line");

struct block_table;
struct hart;
struct tcache;

/* ---- Before the first hart runs --------------------------------------------------- */

/* tc: for its grace periods, and its harts, whose jump caches hold addresses of code. */
struct block_table *block_table_create(const struct phys *phys, struct tcache *tc);
void block_table_destroy(struct block_table *t);
/* Set once, after the cache was made. */
void block_table_set_cache(struct block_table *t, struct cache *cache);

/* ---- A hart's thread, in its loop: no lock ------------------------------------------ */

/* A block that is found may be dropped the same moment by a store of another hart: then it is run
 * as one that was fetched before that store. Links are made under the lock, and ask.
 * gpa2_of gives the physical page behind the block's own, when a candidate straddles: false when it
 * has none. NULL: none. */
struct block *block_find(struct block_table *t, uint64_t gpa, uint32_t mode,
                         bool (*gpa2_of)(void *arg, uint64_t *gpa2), void *arg);

/* ---- One thread at a time: tcache's lock ---------------------------------------------- */

/* Makes a block known. Its fields are complete. */
void block_insert(struct block_table *t, struct block *b);

/* Takes it out of everything and unlinks it. Its memory stays until its segment goes. */
void block_drop(struct block_table *t, struct block *b);

/* Whether any of b's bytes is in [gpa, gpa + len_bytes), len_bytes not 0. */
bool block_overlaps(const struct block *b, uint64_t gpa, uint64_t len_bytes);

/* Drops every block with bytes in [gpa, gpa+len). True if there was one. */
bool block_drop_range(struct block_table *t, uint64_t gpa, uint64_t len_bytes);

/* Would it drop any? */
bool block_would_drop(struct block_table *t, uint64_t gpa, uint64_t len_bytes);

bool block_page_has_code(const struct block_table *t, uint64_t gpa);

/* Points exit e at `to`. page_tag: under which tag, for an exit that leaves the page; such an exit
 * is linked to another block only when no other hart can be in the middle of its old link, else
 * nothing is done but unlinking it. self: whose loop this is. */
void block_link(struct block_table *t, struct block_exit *e, struct block *to, uint64_t page_tag,
                const struct hart *self);
/* Unlinks every link that crosses a page: the tags have begun anew. The world is stopped. */
void block_unlink_cells(struct block_table *t);

struct block_stats {
    uint64_t made, dropped, links;
};
struct block_stats *block_stats(struct block_table *t);
