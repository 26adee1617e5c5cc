#define _GNU_SOURCE
#include "dbt/base/pages.h"

#include <stdint.h>
#include <sys/mman.h>

#include "dbt/base/bits.h"

enum { PAGE = 4096, HUGE_PAGE = 2 << 20, STEP = 64 << 10 };

void *pages_create(size_t bytes)
{
    const size_t room = align_up(bytes, HUGE_PAGE) + HUGE_PAGE;
    uint8_t *p = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    uint8_t *at = p + (-(uintptr_t)p & (HUGE_PAGE - 1)), *end = at + align_up(bytes, PAGE);

    if (at != p)
        munmap(p, (size_t)(at - p));
    munmap(end, (size_t)(p + room - end));
    madvise(at, bytes, MADV_HUGEPAGE);
    pages_give(at, bytes, PAGES_WRITTEN);
    return at;
}

void pages_destroy(void *p, size_t bytes)
{
    munmap(p, align_up(bytes, PAGE));
}

void *pages_reserve(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

void pages_give(void *p, size_t bytes, enum pages_for what)
{
    const uintptr_t from = align_down((uintptr_t)p, PAGE);

    madvise((void *)from, align_up((uintptr_t)p + bytes, PAGE) - from,
            what == PAGES_READ ? MADV_POPULATE_READ : MADV_POPULATE_WRITE);
}

void pages_come(struct pages_ahead *a, void *base, size_t used, size_t bytes, enum pages_for what)
{
    if (used <= a->backed || a->backed >= bytes)
        return;
    const size_t want = align_up(used, STEP), to = want < bytes ? want : bytes;

    pages_give((uint8_t *)base + a->backed, to - a->backed, what);
    a->backed = to;
}
