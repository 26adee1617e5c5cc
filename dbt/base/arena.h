/* Memory that is taken piece by piece and given back all at once: what a
 * translation needs, and nothing else. One thread owns an arena. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "dbt/base/pages.h"

struct arena {
    uint8_t *base;
    size_t size;
    size_t used;
    struct pages_ahead ahead;
};

/* Reserves `size` bytes of zero pages, backed as they are taken. CHECKs on failure:
 * it is called at start-up with a fixed small size. */
void arena_init(struct arena *a, size_t size);
void arena_fini(struct arena *a);
/* Over zero pages of the caller's, not backed, which outlive it: no arena_fini(). */
void arena_init_over(struct arena *a, void *base, size_t size);

enum { ARENA_ALIGN = 16 };
/* ARENA_ALIGN-byte aligned, not cleared. CHECKs that it fits: the sizes that a
 * translation needs are bounded by its limits (IR_MAX_INSNS). */
void *arena_take(struct arena *a, size_t bytes);

static inline void arena_reset(struct arena *a)
{
    a->used = 0;
}
