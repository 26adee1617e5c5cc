/* A range of guest addresses that grows. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dbt/base/bits.h"

/* [first, last]; empty: first > last. Inclusive, since a leaf may end at 2^64. */
struct range {
    uint64_t first, last;
};

static inline void range_clear(struct range *r)
{
    *r = (struct range){UINT64_MAX, 0};
}
static inline bool range_has(const struct range *r, uint64_t va)
{
    return va >= r->first && va <= r->last;
}
static inline void range_add_leaf(struct range *r, uint64_t va, uint64_t page_len)
{
    uint64_t first = align_down(va, page_len);

    if (first < r->first)
        r->first = first;
    if (first + (page_len - 1) > r->last)
        r->last = first + (page_len - 1);
}
