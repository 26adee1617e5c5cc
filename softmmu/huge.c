/* RAM in the host's huge pages.
 *
 * The host gives memory a page at a time, with a fault each: 2.4 us where this was measured, 1.2 ms
 * for 2 MiB. 2 MiB in one piece cost it 0.12 ms, and its TLB one entry; of those that a kernel
 * touches at all it touches most. So what is touched for the first time brings the 2 MiB around it.
 * The host is asked to make one page of them (MADV_COLLAPSE, Linux 6.1), which works whatever is
 * set for memfds in /sys/kernel/mm/transparent_hugepage, and wherever a part is in use already.
 *
 * Nothing depends on it: where the host says no, pages come one by one as before. So they do where
 * it takes longer than that: a virtual machine that has told its host of free memory must get it
 * back, and 2 MiB are then more than the pages that are wanted (4 ms against less than 1,
 * measured). */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "dbt/base/check.h"
#include "dbt/base/clock.h"
#include "softmmu/phys.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum { ASKED = 1, TRIED = 4 /* before it is seen what they cost */, SLOW_US = 600 };

static uint64_t n_chunks(const struct phys *p)
{
    return p->ram_len / PHYS_HUGE_BYTES;
}

void phys_use_huge_pages(struct phys *p)
{
    /* One more, for what is left of RAM at its end: of that nobody asks. */
    _Atomic uint8_t *asked = calloc(n_chunks(p) + 1, 1);

    CHECK(asked && "memory for RAM's huge pages");
    atomic_store(&asked[n_chunks(p)], ASKED);
    p->huge.asked = asked;
}

void phys_huge_fini(struct phys *p)
{
    free((void *)p->huge.asked);
    p->huge.asked = NULL;
}

static void ask_no_more(struct phys *p)
{
    atomic_store_explicit(&p->huge.given_up, true, memory_order_relaxed);
    for (uint64_t i = 0; i < n_chunks(p); i++)
        atomic_store_explicit(&p->huge.asked[i], ASKED, memory_order_relaxed);
}

/* A host that knows no such call, or has no huge pages, will not have them later. One that searches
 * for long and then refuses costs as much as one that gives. */
static bool are_of_no_use(const struct phys *p, int error)
{
    uint64_t n = atomic_load_explicit(&p->huge.n_given, memory_order_relaxed) +
                 atomic_load_explicit(&p->huge.n_refused, memory_order_relaxed);

    return error == EINVAL ||
           (n >= TRIED &&
            atomic_load_explicit(&p->huge.ns, memory_order_relaxed) / n > SLOW_US * UINT64_C(1000));
}

/* Through the plain view, of which every page has the same rights: of the store view parts are
 * read-only. The mapping that comes of it is given up, as phys_unmap_plain() does: the store view's
 * is the one that is used. */
void phys_ask_huge(struct phys *p, uint64_t gpa)
{
    uint64_t chunk = (gpa - p->ram_gpa) / PHYS_HUGE_BYTES, from = clock_ns(CLOCK_MONOTONIC);
    uint8_t *at = p->ram + chunk * PHYS_HUGE_BYTES;

    if (atomic_exchange(&p->huge.asked[chunk], ASKED))
        return;
    (void)*(volatile uint8_t *)at; /* of 2 MiB of which nothing is there none is made */
    int error = madvise(at, PHYS_HUGE_BYTES, MADV_COLLAPSE) == 0 ? 0 : errno;

    madvise(at, PHYS_HUGE_BYTES, MADV_DONTNEED);
    atomic_fetch_add_explicit(error ? &p->huge.n_refused : &p->huge.n_given, 1,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&p->huge.ns, clock_ns(CLOCK_MONOTONIC) - from, memory_order_relaxed);
    if (are_of_no_use(p, error))
        ask_no_more(p);
}

void phys_back(struct phys *p, uint64_t gpa, uint64_t len_bytes)
{
    for (uint64_t at = gpa; at < gpa + len_bytes; at += PHYS_HUGE_BYTES)
        phys_touch(p, at);
    if (len_bytes > 0)
        phys_touch(p, gpa + len_bytes - 1);
}

void phys_huge_discarded(struct phys *p, uint64_t gpa, uint64_t len_bytes)
{
    uint64_t first = (gpa - p->ram_gpa + PHYS_HUGE_BYTES - 1) / PHYS_HUGE_BYTES;
    uint64_t end = (gpa - p->ram_gpa + len_bytes) / PHYS_HUGE_BYTES;

    if (!p->huge.asked || atomic_load_explicit(&p->huge.given_up, memory_order_relaxed))
        return;
    for (uint64_t i = first; i < end; i++)
        atomic_store_explicit(&p->huge.asked[i], 0, memory_order_relaxed);
}
