#include "runtime/rewrite.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "dbt/base/bits.h"
#include "dbt/base/check.h"
#include "dbt/ir/state.h"

/* MANY: often enough that a kernel which patches itself once at boot is left alone. MAX_STORE: what
 * is longer is new code, not a place in old code.
 *
 * Counts are halved with each PERIOD of blocks that are translated. So a place is what is behind
 * one translation in 128 or more; and it is none any more after two periods without a store. A page
 * whose code is replaced over and over, by short stores, has one translation in some hundreds
 * behind each granule: it never becomes a page of tiny blocks, however long the machine runs. MOST
 * is two times MANY, so that halving forgets no place that still is one. */
enum {
    GRANULE = 8,
    PER_PAGE = PAGE_SIZE / GRANULE,
    PAGES = 64,
    MANY = 8,
    MOST = 2 * MANY,
    PERIOD = 1024,
    MAX_STORE = 16,
};

struct page {
    uint64_t gpa;
    bool any;        /* a granule has been written MANY times */
    uint64_t period; /* the one in which count[] is up to date */
    uint8_t count[PER_PAGE];
};

struct rewrite {
    uint64_t n_translated;
    struct page
        page[PAGES]; /* by the low bits of the page's number; a newer page takes the place */
};

struct rewrite *rewrite_create(void)
{
    struct rewrite *r = calloc(1, sizeof *r);

    CHECK(r && "memory for the places that are rewritten");
    return r;
}

void rewrite_destroy(struct rewrite *r)
{
    free(r);
}

static unsigned slot(uint64_t gpa)
{
    return (unsigned)(gpa >> PAGE_BITS) & (PAGES - 1);
}

static void halve_counts(struct page *p, uint64_t period)
{
    uint64_t times = period - p->period;

    if (times == 0)
        return;
    p->period = period;
    p->any = false;
    for (unsigned k = 0; k < PER_PAGE; k++) {
        p->count[k] = times < 8 ? p->count[k] >> times : 0;
        p->any |= p->count[k] >= MANY;
    }
}

static void note_granule(struct rewrite *r, uint64_t gpa)
{
    struct page *p = &r->page[slot(gpa)];
    uint64_t page_gpa = align_down(gpa, PAGE_SIZE), period = r->n_translated / PERIOD;
    uint8_t *count = &p->count[(gpa & (PAGE_SIZE - 1)) / GRANULE];

    if (p->gpa != page_gpa)
        *p = (struct page){.gpa = page_gpa, .period = period};
    halve_counts(p, period);
    if (*count < MOST)
        p->any |= ++*count >= MANY;
}

void rewrite_note(struct rewrite *r, uint64_t gpa, uint64_t len_bytes)
{
    if (len_bytes > MAX_STORE)
        return;
    for (uint64_t at = align_down(gpa, GRANULE); at < gpa + len_bytes; at += GRANULE)
        note_granule(r, at);
}

uint32_t rewrite_block_end(struct rewrite *r, uint64_t gpa)
{
    struct page *p = &r->page[slot(gpa)];
    unsigned k = (unsigned)(gpa & (PAGE_SIZE - 1)) / GRANULE;

    r->n_translated++;
    if (!p->any || p->gpa != align_down(gpa, PAGE_SIZE))
        return PAGE_SIZE;
    halve_counts(p, r->n_translated / PERIOD);
    if (!p->any)
        return PAGE_SIZE;
    /* Places side by side are one: they are written together. */
    const bool inside = p->count[k] >= MANY;

    while (k < PER_PAGE && (p->count[k] >= MANY) == inside)
        k++;
    return k * GRANULE;
}
