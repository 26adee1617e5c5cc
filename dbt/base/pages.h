/* Memory whose pages come many at a time. One that is touched alone costs the host a fault, some 2
 * us, of which the page is a fifth; and if it is read first, another one and an interrupt of the
 * other processors. */
#pragma once

#include <stddef.h>

/* Zeros, for a table that is used all over: all of it at once, in huge pages where the host has
 * them. NULL: no memory. */
void *pages_create(size_t bytes);
void pages_destroy(void *p, size_t bytes);

/* Zeros that come as they are touched, and count for nothing before. NULL: no addresses. munmap()
 * gives them back. */
void *pages_reserve(size_t bytes);

enum pages_for { PAGES_WRITTEN, PAGES_READ };

/* All of [p, p + bytes) has its pages from now on. A host that does not know how gives them as they
 * are touched. */
void pages_give(void *p, size_t bytes, enum pages_for what);

/* How much of a range that is filled from its beginning on has its pages: 0 at first. */
struct pages_ahead {
    size_t backed;
};

/* [base, base + used) is about to be filled, of [base, base + bytes): it gets pages, and some of
 * what is behind it. One thread at a time. */
void pages_come(struct pages_ahead *a, void *base, size_t used, size_t bytes, enum pages_for what);
