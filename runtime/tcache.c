/* What all harts share: making it, and hearing of stores into code. */
#define _GNU_SOURCE
#include "runtime/tcache.h"

#include <stdlib.h>
#include <string.h>

#include "dbt/base/bits.h"
#include "dbt/base/lock.h"
#include "runtime/hart_int.h"
#include "softmmu/reserve.h"
#include "softmmu/salts.h"

enum { MIN_SEGMENT = 32 << 10 }; /* with several harts */
_Static_assert((int)MAX_HARTS <= (int)RESERVE_MAX_HARTS, "each hart can reserve");

static bool reads_page(const struct making *m, uint64_t page)
{
    return m->now && (m->gpa[0] == page || (m->gpa[1] && m->gpa[1] == page));
}

static bool on_write(void *arg, uint64_t gpa, unsigned len, bool *page_is_code)
{
    struct tcache *t = arg;
    uint64_t page = align_down(gpa, PAGE_SIZE);

    tcache_lock(t);
    bool hit = block_drop_range(t->blocks, gpa, len);

    if (hit)
        rewrite_note(t->rewrite, gpa, len);
    *page_is_code =
        block_page_has_code(t->blocks, gpa) || (t->reserve && reserve_watches(t->reserve, gpa));
    for (unsigned k = 0; k < t->n_harts; k++) {
        struct hart *h = t->hart[k];

        if (reads_page(&h->making, page)) {
            h->making.stale = true;
            *page_is_code = true;
        }
        if (!h->evaluated.len_bytes)
            continue;
        hit |= block_overlaps(&h->evaluated, gpa, len);
        *page_is_code |= block_overlaps(&h->evaluated, page, PAGE_SIZE);
    }
    tcache_unlock(t);
    return hit;
}

static void drop_block(void *arg, struct block *b)
{
    struct tcache *t = arg;

    block_drop(t->blocks, b);
}

/* Each thread fills a segment, and a few are full: else what one makes would throw out what another
 * has just made. How much is needed at least goes by what runs, not by the threads. */
static struct cache *make_cache(struct tcache *t, struct err *e)
{
    const struct tcache_config *c = &t->config;
    unsigned n = c->n_harts == 1 ? c->cache_segments : c->cache_segments + 2 * t->n_threads;
    const size_t bytes = c->cache_bytes;
    const size_t least = (size_t)(c->cache_segments + 2 * c->n_harts) * MIN_SEGMENT;

    return cache_create(c->n_harts > 1 && bytes < least ? least : bytes, n, t->n_threads,
                        drop_block, t, e);
}

static enum window_policy policy_of(const struct tcache_config *c)
{
    bool none =
        c->engine == ENGINE_INTERP || (c->translate.virtual_time && c->windows == WINDOWS_AUTO);

    return none ? WINDOWS_OFF : c->windows;
}

struct tcache *tcache_create(struct phys *phys, const struct tcache_config *config, struct err *e)
{
    struct tcache *t = aligned_alloc(_Alignof(struct tcache), sizeof *t);

    CHECK(t && "memory for the translation cache");
    memset(t, 0, sizeof *t);
    t->config = *config;
    t->config.translate.host_code = config->engine != ENGINE_INTERP;
    t->phys = phys;
    t->config.n_harts = config->n_harts ? config->n_harts : 1;
    t->n_threads = t->config.n_procs ? t->config.n_procs : t->config.n_harts;
    t->config.translate.one_hart = t->config.n_harts == 1;
    t->epoch = 1;
    if (config->n_procs) {
        CHECK(!config->turns && config->engine != ENGINE_CHECK &&
              config->n_procs < config->n_harts);
        t->proc = calloc(config->n_procs, sizeof *t->proc);
        CHECK(t->proc && "memory for the processors");
    }
    jumps_init(t);
    turns_init(t);
    CHECK((config->turns || config->engine != ENGINE_CHECK || t->config.n_harts == 1) &&
          "between two runs of a block no other hart stores");
    lock_init(&t->lock);
    pthread_mutex_init(&t->stop_lock, NULL);
    if (config->engine != ENGINE_INTERP && !x64_host_ok(e))
        goto fail;
    t->blocks = block_table_create(phys, t);
    t->rewrite = rewrite_create();
    t->seen = seen_create();
    t->noted = seen_create();
    t->hot = seen_create();
    t->touches = touches_create();
    t->salts = salts_create(t->config.n_harts);
    t->reserve = config->translate.strict_lrsc ? reserve_create(t->config.n_harts) : NULL;
    t->track = track_create(phys, on_write, t);
    t->windows = windows_create(phys, t->track, policy_of(config), t->config.n_harts, t->n_threads);
    t->cache = make_cache(t, e);
    if (!t->cache)
        goto fail;
    block_table_set_cache(t->blocks, t->cache);
    hart_make_stubs(t);
    return t;

fail:
    tcache_destroy(t);
    return NULL;
}

void tcache_destroy(struct tcache *t)
{
    if (t->cache)
        cache_destroy(t->cache);
    windows_destroy(t->windows);
    if (t->track)
        track_destroy(t->track);
    reserve_destroy(t->reserve);
    if (t->blocks)
        block_table_destroy(t->blocks);
    if (t->rewrite)
        rewrite_destroy(t->rewrite);
    seen_destroy(t->seen);
    seen_destroy(t->noted);
    seen_destroy(t->hot);
    touches_destroy(t->touches);
    if (t->salts)
        salts_destroy(t->salts);
    turns_fini(t);
    free(t->proc);
    pthread_mutex_destroy(&t->stop_lock);
    pthread_mutex_destroy(&t->lock);
    jumps_fini(t);
    free(t);
}

void tcache_wrote(struct tcache *t, uint64_t gpa, uint64_t len_bytes)
{
    if (t->reserve)
        reserve_wrote(t->reserve, gpa, len_bytes);
    track_wrote(t->track, gpa, len_bytes);
}
