#include "dbt/base/arena.h"

#include <sys/mman.h>

#include "dbt/base/bits.h"
#include "dbt/base/check.h"

void arena_init(struct arena *a, size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);

    CHECK(p != MAP_FAILED);
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
