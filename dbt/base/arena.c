#include "dbt/base/arena.h"

#include <sys/mman.h>

#include "dbt/base/bits.h"
#include "dbt/base/check.h"

void arena_init(struct arena *a, size_t size)
{
    void *p = pages_reserve(size);

    CHECK(p && "memory for an arena");
    arena_init_over(a, p, size);
}

void arena_init_over(struct arena *a, void *base, size_t size)
{
    *a = (struct arena){.base = base, .size = size};
}

void arena_fini(struct arena *a)
{
    munmap(a->base, a->size);
    *a = (struct arena){0};
}

void *arena_take(struct arena *a, size_t bytes)
{
    size_t at = align_up(a->used, ARENA_ALIGN);

    CHECK(at + bytes <= a->size);
    a->used = at + bytes;
    pages_come(&a->ahead, a->base, a->used, a->size, PAGES_WRITTEN);
    return a->base + at;
}
