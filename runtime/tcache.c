/* What all harts share: making it, and hearing of stores into code. */
#include "runtime/tcache.h"

#include <stdlib.h>

#include "dbt/base/bits.h"
#include "runtime/hart_int.h"

static bool on_write(void *arg, uint64_t gpa, unsigned len, bool *page_is_code)
{
    struct tcache *t = arg;
    uint64_t page = align_down(gpa, PAGE_SIZE);
    bool hit = block_drop_range(t->blocks, gpa, len);

    if (hit)
        rewrite_note(t->rewrite, gpa, len);
    *page_is_code = block_page_has_code(t->blocks, gpa);
    for (unsigned k = 0; k < t->n_harts; k++) {
        const struct block *b = &t->hart[k]->evaluated;

        if (!b->len_bytes)
            continue;
        hit |= block_overlaps(b, gpa, len);
        *page_is_code |= block_overlaps(b, page, PAGE_SIZE);
    }
    return hit;
}

static void drop_block(void *arg, struct block *b)
{
    struct tcache *t = arg;

    block_drop(t->blocks, b);
}

struct tcache *tcache_create(struct phys *phys, const struct tcache_config *config, struct err *e)
{
    struct tcache *t = calloc(1, sizeof *t);

    CHECK(t && "memory for the translation cache");
    t->config = *config;
    t->config.translate.host_code = config->engine != ENGINE_INTERP;
    t->phys = phys;
    t->epoch = 1;
    pthread_mutex_init(&t->stop_lock, NULL);
    if (config->engine != ENGINE_INTERP && !x64_host_ok(e))
        goto fail;
    t->blocks = block_table_create(phys);
    t->rewrite = rewrite_create();
    t->track = track_create(phys, on_write, t);
    t->cache = cache_create(config->cache_bytes, config->cache_segments, drop_block, t, e);
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
    if (t->track)
        track_destroy(t->track);
    if (t->blocks)
        block_table_destroy(t->blocks);
    if (t->rewrite)
        rewrite_destroy(t->rewrite);
    pthread_mutex_destroy(&t->stop_lock);
    free(t);
}

void tcache_wrote(struct tcache *t, uint64_t gpa, uint64_t len_bytes)
{
    track_wrote(t->track, gpa, len_bytes);
}
