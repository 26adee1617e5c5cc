#define _GNU_SOURCE
#include "runtime/cache.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dbt/base/arena.h"
#include "dbt/base/bits.h"
#include "runtime/block.h"

enum area { HOT, COLD, N_AREAS };

struct segment {
    size_t used[N_AREAS]; /* bytes of code */
    struct pages_ahead written[N_AREAS], run[N_AREAS];
    struct arena meta;
    struct block **block;    /* in the order of their addresses */
    _Atomic size_t n_blocks; /* a signal handler on any thread reads the list */
    bool taken;              /* a writer fills it, or waits to */
};

enum { MAX_WRITERS = 64 };

struct cache {
    uint8_t *rw;
    const uint8_t *rx;
    int memfd;
    size_t segment_bytes;
    size_t area_bytes[N_AREAS]; /* of each segment; all of them: segment_bytes */
    struct block **lists;       /* segment[].block, one behind the other */
    uint8_t *metas;             /* what segment[].meta are over, likewise */
    unsigned n_segments;
    unsigned newest;                                  /* segment that was taken last */
    unsigned current[MAX_WRITERS], next[MAX_WRITERS]; /* next: between retire and take */
    _Atomic uint64_t generation;
    void (*drop)(void *arg, struct block *b);
    void *arg;
    struct cache_stats stats; /* relaxed atomics */
    struct segment segment[];
};

/* A block's description takes about as much as its code, its IR more. HOT_SHARE: hundredths, of
 * what Linux makes it is 39. */
enum { META_SHARE = 8, BLOCK_MIN_BYTES = 32, BLOCK_MANY_BYTES = 4096, HOT_SHARE = 41 };

static size_t list_length(const struct cache *c)
{
    return c->segment_bytes / BLOCK_MIN_BYTES + 1;
}

static size_t lists_bytes(const struct cache *c)
{
    return c->n_segments * list_length(c) * sizeof(struct block *);
}

static size_t meta_bytes(const struct cache *c)
{
    return c->segment_bytes * META_SHARE + (1u << 20);
}

static bool map_views(struct cache *c, size_t bytes, struct err *e)
{
    c->memfd = memfd_create("dbt-code", MFD_CLOEXEC);
    if (c->memfd < 0)
        return err_set(e, "cannot create the code cache: %s", strerror(errno));
    if (ftruncate(c->memfd, (off_t)bytes) != 0)
        return err_set(e, "cannot get %zu bytes for the code cache: %s", bytes, strerror(errno));
    c->rw = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, c->memfd, 0);
    c->rx = mmap(NULL, bytes, PROT_READ | PROT_EXEC, MAP_SHARED, c->memfd, 0);
    if (c->rw == MAP_FAILED || c->rx == MAP_FAILED)
        return err_set(e, "the host refuses executable memory for the code cache: %s",
                       strerror(errno));
    return true;
}

struct cache *cache_create(size_t size_bytes, unsigned n_segments, unsigned n_writers,
                           void (*drop)(void *arg, struct block *b), void *arg, struct err *e)
{
    struct cache *c = calloc(1, sizeof *c + n_segments * sizeof c->segment[0]);

    CHECK(c && "memory for the cache's head");
    c->segment_bytes = align_down(size_bytes / n_segments, 4096);
    CHECK(n_segments > n_writers && n_writers <= MAX_WRITERS && c->segment_bytes >= 4096);
    c->area_bytes[HOT] = align_down(c->segment_bytes / 100 * HOT_SHARE, X64_LINE);
    c->area_bytes[COLD] = c->segment_bytes - c->area_bytes[HOT];
    c->n_segments = n_segments;
    for (unsigned w = 0; w < n_writers; w++) {
        c->current[w] = w;
        c->segment[w].taken = true;
    }
    c->newest = n_writers - 1;
    c->drop = drop;
    c->arg = arg;
    c->stats.size_bytes = c->segment_bytes * n_segments;
    if (!map_views(c, CACHE_STUB_BYTES + c->stats.size_bytes, e)) {
        if (c->memfd >= 0)
            close(c->memfd);
        free(c);
        return NULL;
    }
    /* One mapping for all segments: there may be a thousand of them. */
    c->lists = pages_reserve(lists_bytes(c));
    c->metas = pages_reserve(n_segments * meta_bytes(c));
    CHECK(c->lists && c->metas && "addresses for what is known of blocks");
    for (unsigned k = 0; k < n_segments; k++) {
        struct segment *g = &c->segment[k];

        arena_init_over(&g->meta, c->metas + k * meta_bytes(c), meta_bytes(c));
        g->block = c->lists + k * list_length(c);
    }
    return c;
}

void cache_destroy(struct cache *c)
{
    size_t bytes = CACHE_STUB_BYTES + c->stats.size_bytes;

    munmap(c->metas, c->n_segments * meta_bytes(c));
    munmap(c->lists, lists_bytes(c));
    munmap(c->rw, bytes);
    munmap((void *)(uintptr_t)c->rx, bytes);
    close(c->memfd);
    free(c);
}

uint8_t *cache_stubs_rw(struct cache *c)
{
    return c->rw;
}

const uint8_t *cache_stubs_rx(const struct cache *c)
{
    return c->rx;
}

static struct segment *current(struct cache *c, unsigned w)
{
    return &c->segment[c->current[w]];
}

static void add_stat(uint64_t *stat, uint64_t n)
{
    __atomic_fetch_add(stat, n, __ATOMIC_RELAXED);
}

/* Where the areas of segment k begin in the cache. */
static size_t area_at(const struct cache *c, unsigned k, enum area a)
{
    return CACHE_STUB_BYTES + (a == HOT ? 0 : c->n_segments * c->area_bytes[HOT]) +
           k * c->area_bytes[a];
}

/* Where the next block begins, from the area's start. */
static size_t next_at(struct cache *c, unsigned w, enum area a)
{
    return align_up(current(c, w)->used[a], CACHE_ALIGN) + (a == COLD ? CACHE_HEADER : 0);
}

/* Both views' pages, for what a block takes mostly. */
static void back_ahead(struct cache *c, unsigned w, enum area a)
{
    struct segment *g = current(c, w);
    const size_t begin = area_at(c, c->current[w], a), bytes = c->area_bytes[a];
    const size_t used = g->used[a] + BLOCK_MANY_BYTES;

    pages_come(&g->written[a], c->rw + begin, used, bytes, PAGES_WRITTEN);
    pages_come(&g->run[a], (void *)(uintptr_t)(c->rx + begin), used, bytes, PAGES_READ);
}

static uint8_t *room_in(struct cache *c, unsigned w, enum area a, size_t *bytes)
{
    size_t at = next_at(c, w, a);

    *bytes = at < c->area_bytes[a] ? c->area_bytes[a] - at : 0;
    back_ahead(c, w, a);
    return c->rw + area_at(c, c->current[w], a) + at;
}

struct x64_room cache_room(struct cache *c, unsigned w)
{
    struct x64_room r;

    r.hot = room_in(c, w, HOT, &r.hot_bytes);
    r.cold = room_in(c, w, COLD, &r.cold_bytes);
    return r;
}

void cache_skip(struct cache *c, unsigned w, size_t bytes)
{
    struct segment *g = current(c, w);

    for (enum area a = HOT; a < N_AREAS; a++) {
        g->used[a] = align_up(g->used[a], CACHE_ALIGN) + bytes;
        CHECK(next_at(c, w, a) <= c->area_bytes[a]);
    }
}

/* Gives where in the cache it begins. */
static size_t keep(struct cache *c, unsigned w, enum area a, size_t bytes)
{
    size_t at = next_at(c, w, a);

    CHECK(at + bytes <= c->area_bytes[a]);
    current(c, w)->used[a] = at + bytes;
    add_stat(&c->stats.code_bytes, bytes);
    return area_at(c, c->current[w], a) + at;
}

void cache_commit(struct cache *c, unsigned w, struct block *b)
{
    size_t cold = keep(c, w, COLD, b->cold_bytes);

    memcpy(c->rw + cold - CACHE_HEADER, &b, sizeof b);
    b->code = c->rx + keep(c, w, HOT, b->size_bytes);
    b->cold = c->rx + cold;
}

void *cache_meta(struct cache *c, unsigned w, size_t bytes)
{
    struct segment *g = current(c, w);

    if (g->meta.size - g->meta.used < bytes + 16 ||
        g->n_blocks >= c->segment_bytes / BLOCK_MIN_BYTES)
        return NULL;
    return arena_take(&g->meta, bytes);
}

void *cache_meta_line(struct cache *c, unsigned w, size_t bytes)
{
    size_t used = align_up(current(c, w)->meta.used, ARENA_ALIGN);
    size_t pad = align_up(used, X64_LINE) - used;
    uint8_t *p = cache_meta(c, w, pad + bytes);

    return p ? p + pad : NULL;
}

void cache_own(struct cache *c, unsigned w, struct block *b)
{
    struct segment *g = current(c, w);
    size_t n = atomic_load_explicit(&g->n_blocks, memory_order_relaxed);

    g->block[n] = b;
    atomic_store_explicit(&g->n_blocks, n + 1, memory_order_release);
    add_stat(&c->stats.blocks, 1);
}

static void drop_all(struct cache *c, struct segment *g)
{
    for (size_t k = 0; k < g->n_blocks; k++)
        c->drop(c->arg, g->block[k]);
    if (g->n_blocks)
        add_stat(&c->stats.evictions, 1);
    c->generation++;
}

static void make_empty(struct segment *g)
{
    g->n_blocks = 0;
    g->used[HOT] = g->used[COLD] = 0;
    arena_reset(&g->meta);
}

bool cache_retire(struct cache *c, unsigned w)
{
    unsigned k = c->newest;

    do
        k = (k + 1) % c->n_segments;
    while (c->segment[k].taken);
    c->segment[k].taken = true;
    c->newest = c->next[w] = k;
    drop_all(c, &c->segment[k]);
    return c->segment[k].n_blocks > 0;
}

void cache_take(struct cache *c, unsigned w)
{
    current(c, w)->taken = false;
    c->current[w] = c->next[w];
    make_empty(current(c, w));
}

void cache_flush(struct cache *c)
{
    for (unsigned k = 0; k < c->n_segments; k++) {
        drop_all(c, &c->segment[k]);
        make_empty(&c->segment[k]);
    }
}

bool cache_segment_empty(const struct cache *c, unsigned w)
{
    return c->segment[c->current[w]].n_blocks == 0;
}

unsigned cache_n_segments(const struct cache *c)
{
    return c->n_segments;
}

uint64_t cache_generation(const struct cache *c)
{
    return c->generation;
}

uint8_t *cache_rw_of(const struct cache *c, const void *rx)
{
    return c->rw + ((const uint8_t *)rx - c->rx);
}

static const uint8_t *part_of(const struct block *b, enum area a)
{
    return a == HOT ? b->code : b->cold;
}

struct block *cache_find(const struct cache *c, const void *rx)
{
    const uint8_t *p = rx;

    if (p < c->rx + CACHE_STUB_BYTES || p >= c->rx + CACHE_STUB_BYTES + c->stats.size_bytes)
        return NULL;
    const size_t off = (size_t)(p - c->rx);
    const enum area a = off < area_at(c, 0, COLD) ? HOT : COLD;
    const struct segment *g = &c->segment[(off - area_at(c, 0, a)) / c->area_bytes[a]];
    size_t lo = 0, hi = atomic_load_explicit(&g->n_blocks, memory_order_acquire);

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (part_of(g->block[mid], a) <= p)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == 0)
        return NULL;
    struct block *b = g->block[lo - 1];

    return p < part_of(b, a) + (a == HOT ? b->size_bytes : b->cold_bytes) ? b : NULL;
}

const struct cache_stats *cache_stats(const struct cache *c)
{
    return &c->stats;
}
