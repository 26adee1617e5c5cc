#include "runtime/block.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "dbt/base/bits.h"
#include "dbt/base/check.h"
#include "dbt/base/log.h"
#include "dbt/base/pages.h"
#include "runtime/hart_int.h"
#include "runtime/quiesce.h"

/* More than a full cache of the default size has blocks, which is some 700,000: each step along a
 * list would be one more miss of the processor's caches (docs/speed.md, "Jumps"). */
enum { HASH_BITS = 20 };

struct block_table {
    const struct phys *phys;
    struct tcache *tc;
    struct cache *cache;
    struct block **page; /* one list head a page that can hold code */
    struct block_stats stats;
    struct block *_Atomic hash[1 << HASH_BITS];
};

static size_t page_list_bytes(const struct block_table *t)
{
    return phys_n_pages(t->phys) * sizeof(struct block *);
}

struct block_table *block_table_create(const struct phys *phys, struct tcache *tc)
{
    struct block_table *t = pages_create(sizeof *t);

    CHECK(t && "memory for the block table");
    t->phys = phys;
    t->tc = tc;
    t->page = mmap(NULL, page_list_bytes(t), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(t->page != MAP_FAILED);
    return t;
}

void block_table_destroy(struct block_table *t)
{
    munmap(t->page, page_list_bytes(t));
    pages_destroy(t, sizeof *t);
}

void block_table_set_cache(struct block_table *t, struct cache *cache)
{
    t->cache = cache;
}

static unsigned hash(uint64_t gpa, uint32_t mode)
{
    uint64_t h = (gpa >> 1 ^ (uint64_t)mode << 20) * UINT64_C(0x9e3779b97f4a7c15);

    return (unsigned)(h >> (64 - HASH_BITS));
}

/* Who comes here without the lock sees a block whole: it was stored before its address was. One
 * that was taken out of its chain still leads on. */
static struct block *first_of(struct block_table *t, uint64_t gpa, uint32_t mode)
{
    return atomic_load_explicit(&t->hash[hash(gpa, mode)], memory_order_acquire);
}

static struct block *next_of(struct block *b)
{
    return atomic_load_explicit(&b->next_hash, memory_order_acquire);
}

struct block *block_find(struct block_table *t, uint64_t gpa, uint32_t mode,
                         bool (*gpa2_of)(void *arg, uint64_t *gpa2), void *arg)
{
    uint64_t gpa2;

    for (struct block *b = first_of(t, gpa, mode); b; b = next_of(b)) {
        if (b->gpa != gpa || b->mode != mode)
            continue;
        if (!b->gpa2 || (gpa2_of(arg, &gpa2) && gpa2 == b->gpa2))
            return b;
    }
    return NULL;
}

static struct block **page_head(struct block_table *t, uint64_t gpa)
{
    return &t->page[phys_page(t->phys, gpa)];
}

static unsigned link_of(const struct block *b, uint64_t gpa)
{
    return b->gpa >> PAGE_BITS == gpa >> PAGE_BITS ? 0 : 1;
}

void block_insert(struct block_table *t, struct block *b)
{
    struct block *_Atomic *bucket = &t->hash[hash(b->gpa, b->mode)];

    atomic_store_explicit(&b->next_hash, *bucket, memory_order_relaxed);
    atomic_store_explicit(bucket, b, memory_order_release);
    b->next_in_page[0] = *page_head(t, b->gpa);
    *page_head(t, b->gpa) = b;
    if (b->gpa2 && b->gpa2 >> PAGE_BITS != b->gpa >> PAGE_BITS) {
        b->next_in_page[1] = *page_head(t, b->gpa2);
        *page_head(t, b->gpa2) = b;
    }
    t->stats.made++;
    log_line(LOG_cache, "made %" PRIx64 " mode %x, %u bytes at %p, %u at %p", b->gpa, b->mode,
             b->size_bytes, (const void *)b->code, b->cold_bytes, (const void *)b->cold);
}

static void remove_from_page(struct block_table *t, struct block *b, uint64_t gpa)
{
    struct block **at = page_head(t, gpa);

    while (*at != b)
        at = &(*at)->next_in_page[link_of(*at, gpa)];
    *at = b->next_in_page[link_of(b, gpa)];
}

static void remove_from_hash(struct block_table *t, struct block *b)
{
    struct block *_Atomic *at = &t->hash[hash(b->gpa, b->mode)];

    while (*at != b)
        at = &(*at)->next_hash;
    atomic_store_explicit(at, next_of(b), memory_order_release);
}

static void set_tag(struct block_table *t, struct block_exit *e, uint64_t page_tag)
{
    uint8_t *rw = cache_rw_of(t->cache, e->from->code);
    struct page_cell *cell = (struct page_cell *)(void *)(rw + e->at.cell);

    __atomic_store_n(&cell->page_tag, page_tag, __ATOMIC_RELEASE);
}

/* Points e's jump back at its own stub. The cell goes first: while it is empty the
 * jump behind it is not reached. */
static void unpatch(struct block_table *t, struct block_exit *e)
{
    const uint8_t *code = e->from->code;
    uint8_t *rw = cache_rw_of(t->cache, code);

    if (e->at.cell) {
        set_tag(t, e, PAGE_CELL_EMPTY);
        e->epoch = quiesce_begin(t->tc);
    }
    x64_patch(rw + e->at.jump, code + e->at.jump, code + e->at.stub);
    e->to = NULL;
}

static void unlink_exit(struct block_table *t, struct block_exit *e)
{
    struct block_exit **at = &e->to->incoming;

    while (*at != e)
        at = &(*at)->next_in;
    *at = e->next_in;
    unpatch(t, e);
}

void block_drop(struct block_table *t, struct block *b)
{
    if (b->dropped)
        return;
    atomic_store(&b->dropped, true); /* and a fence: see jumps_forget() */
    remove_from_hash(t, b);
    remove_from_page(t, b, b->gpa);
    if (b->gpa2 && b->gpa2 >> PAGE_BITS != b->gpa >> PAGE_BITS)
        remove_from_page(t, b, b->gpa2);
    for (struct block_exit *e = b->incoming; e;) {
        struct block_exit *next = e->next_in;

        unpatch(t, e);
        e = next;
    }
    b->incoming = NULL;
    for (unsigned k = 0; k < b->n_exits; k++)
        if (b->exit[k].to)
            unlink_exit(t, &b->exit[k]);
    if (b->code)
        jumps_forget(t->tc, b);
    t->stats.dropped++;
    log_line(LOG_cache, "drop %" PRIx64 " mode %x", b->gpa, b->mode);
}

bool block_overlaps(const struct block *b, uint64_t gpa, uint64_t len)
{
    uint64_t first = PAGE_SIZE - (b->gpa & (PAGE_SIZE - 1));
    uint64_t len1 = b->len_bytes < first ? b->len_bytes : first;

    if (gpa < b->gpa + len1 && b->gpa < gpa + len)
        return true;
    return b->gpa2 && gpa < b->gpa2 + (b->len_bytes - len1) && b->gpa2 < gpa + len;
}

/* Drops what overlaps, or only finds whether anything does. */
static bool over_range(struct block_table *t, uint64_t gpa, uint64_t len_bytes, bool drop)
{
    bool any = false;

    if (!len_bytes || !phys_is_code(t->phys, gpa, len_bytes))
        return false;
    for (uint64_t page = align_down(gpa, PAGE_SIZE); page < gpa + len_bytes; page += PAGE_SIZE) {
        for (struct block *b = *page_head(t, page); b;) {
            struct block *next = b->next_in_page[link_of(b, page)];

            if (block_overlaps(b, gpa, len_bytes)) {
                any = true;
                if (drop)
                    block_drop(t, b);
            }
            b = next;
        }
    }
    return any;
}

bool block_drop_range(struct block_table *t, uint64_t gpa, uint64_t len_bytes)
{
    return over_range(t, gpa, len_bytes, true);
}

bool block_would_drop(struct block_table *t, uint64_t gpa, uint64_t len_bytes)
{
    return over_range(t, gpa, len_bytes, false);
}

bool block_page_has_code(const struct block_table *t, uint64_t gpa)
{
    return t->page[phys_page(t->phys, gpa)] != NULL;
}

/* Where in to's code. */
static uint32_t entry_by(const struct block_exit *e, const struct block *to)
{
    if (e->from == to && e->at.turns)
        return to->loop;
    bool fp_in = e->from->touches_fp && !e->at.lands;

    return e->at.onward && (fp_in || !to->touches_fp) ? to->onward : 0;
}

void block_link(struct block_table *t, struct block_exit *e, struct block *to, uint64_t page_tag,
                const struct hart *self)
{
    const uint8_t *code = e->from->code;
    uint8_t *rw = cache_rw_of(t->cache, code);
    /* Then it needs another tag only: who has compared the old one goes where both lead. */
    const bool is_there = e->to && e->to == to && e->at.cell;

    if (!is_there) {
        if (e->to)
            unlink_exit(t, e);
        if (e->at.cell && e->epoch && !quiesce_is_over(t->tc, self, e->epoch))
            return;
        x64_patch(rw + e->at.jump, code + e->at.jump, to->code + entry_by(e, to));
        e->to = to;
        e->next_in = to->incoming;
        to->incoming = e;
    }
    if (e->at.cell)
        set_tag(t, e, page_tag);
    t->stats.links++;
    log_line(LOG_cache, "link %" PRIx64 " to %" PRIx64, e->from->gpa, to->gpa);
}

void block_unlink_cells(struct block_table *t)
{
    for (unsigned h = 0; h < 1u << HASH_BITS; h++)
        for (struct block *b = t->hash[h]; b; b = b->next_hash)
            for (unsigned k = 0; k < b->n_exits; k++)
                if (b->exit[k].to && b->exit[k].at.cell)
                    unlink_exit(t, &b->exit[k]);
}

struct block_stats *block_stats(struct block_table *t)
{
    return &t->stats;
}
