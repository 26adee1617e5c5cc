/* All windows of a machine, and the host addresses that each of them lies at. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>

#include "dbt/base/bits.h"
#include "dbt/base/check.h"
#include "dbt/base/clock.h"
#include "dbt/base/lock.h"
#include "softmmu/track.h"
#include "softmmu/window.h"

enum {
    SHORT_NS = 250000,
    VIEW_AT = 1 << 16, /* from a window's base to its view, when that is in front */
    MAX_WINDOWS = 128, /* of 2^38 bytes each; a process has 2^47 */
};

#define RESERVED_BYTES (3 * (uint64_t)WINDOW_OFF + WINDOW_LIMIT_MAX)
#define VIEW_BEHIND_AT (2 * (uint64_t)WINDOW_OFF + WINDOW_LIMIT_MAX)
_Static_assert(sizeof(struct mmu_view) + WINDOW_GUARD < WINDOW_OFF, "a guard before the origin");
_Static_assert(WINDOW_OFF % PAGE_SIZE == 0 && VIEW_AT % PAGE_SIZE == 0, "pages");

uint64_t window_clock(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t window_took(uint64_t from)
{
    const uint64_t ns = window_clock() - from;

    return ns < SHORT_NS ? ns : SHORT_NS;
}

uint64_t window_work(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static void *reserve(uint64_t bytes, int prot)
{
    void *p = mmap(NULL, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

static void release(void *p, uint64_t bytes)
{
    if (p)
        munmap(p, bytes);
}

/* ---- All windows ------------------------------------------------------------------------ */

struct windows *windows_create(struct phys *phys, struct track *track, enum window_policy policy,
                               unsigned n_harts, unsigned n_threads)
{
    struct windows *ws = calloc(1, sizeof *ws);

    CHECK(ws && "memory for the windows");
    lock_init(&ws->lock);
    ws->phys = phys;
    ws->track = track;
    ws->policy = phys->ram_len >> PAGE_BITS < WINDOW_RAM_PAGES_MAX ? policy : WINDOWS_OFF;
    ws->max_of_hart = MAX_WINDOWS / n_harts;
    ws->pieces_of_one = WINDOWS_PIECES_MAX / n_harts / 2;
    ws->pieces_of_common = WINDOWS_PIECES_MAX / n_threads / 2;
    ws->writable = calloc(phys->ram_len >> PAGE_BITS, 1);
    CHECK(ws->writable && "memory for the windows");
    track_set_protected(track, window_protect, ws);
    return ws;
}

void windows_destroy(struct windows *ws)
{
    if (!ws)
        return;
    CHECK(!ws->first && "the MMUs are gone");
    track_set_protected(ws->track, NULL, NULL);
    pthread_mutex_destroy(&ws->lock);
    free((void *)ws->writable);
    free(ws);
}

struct windows_stats windows_stats(struct windows *ws)
{
    pthread_mutex_lock(&ws->lock);
    struct windows_stats stats = ws->stats;

    pthread_mutex_unlock(&ws->lock);
    return stats;
}

/* ---- One window --------------------------------------------------------------------------- */

static uint64_t where_bytes(const struct window *w)
{
    return (w->all->phys->ram_len >> PAGE_BITS) * sizeof *w->where;
}

static void free_window(struct window *w)
{
    release(w->base, RESERVED_BYTES);
    release(w->page, WINDOW_N_PAGES * sizeof *w->page);
    release(w->where, where_bytes(w));
    release(w, sizeof *w);
}

/* From a window's base to its first page, which begins where a huge page of the host's may, as
 * large leaves do. */
static uint64_t origin_at(bool upper)
{
    return WINDOW_OFF + (upper ? 0 : VIEW_AT);
}

/* Where things are, once the addresses are reserved. */
static void lay_out(struct window *w, uint64_t bound)
{
    const bool upper = bound >> 63;
    const uint64_t off = upper ? -(uint64_t)WINDOW_OFF : WINDOW_OFF;

    w->view = (struct mmu_view *)(void *)(w->base + (upper ? VIEW_BEHIND_AT : VIEW_AT));
    w->first = upper ? bound : 0;
    w->bytes = upper ? -bound : bound;
    w->origin = (uint8_t *)((uintptr_t)w->view + off + w->first);
}

static void tell_code(struct window *w, bool upper)
{
    w->view->window_limit = upper ? 0 : w->bytes;
    w->view->window_floor = upper ? w->first - 1 : UINT64_MAX;
    w->view->window_origin = (uintptr_t)w->origin - w->first;
}

struct window *window_open(struct windows *ws, uint64_t bound)
{
    struct window *w = reserve(sizeof *w, PROT_READ | PROT_WRITE);

    if (!w)
        return NULL;
    w->all = ws;
    w->pieces = WINDOW_PIECES_MIN;
    w->share = ws->pieces_of_one;
    range_clear(&w->large);
    w->base = reserve_aligned(RESERVED_BYTES, origin_at(bound >> 63));
    w->page = reserve(WINDOW_N_PAGES * sizeof *w->page, PROT_READ | PROT_WRITE);
    w->where = reserve(where_bytes(w), PROT_READ | PROT_WRITE);
    if (w->base)
        lay_out(w, bound);
    CHECK(w->bytes <= WINDOW_LIMIT_MAX && (w->bytes & (w->bytes - 1)) == 0);
    if (!w->base || !w->page || !w->where ||
        mprotect(w->view, align_up(sizeof *w->view, PAGE_SIZE), PROT_READ | PROT_WRITE) != 0) {
        free_window(w);
        return NULL;
    }
    tell_code(w, bound >> 63);
    pthread_mutex_lock(&ws->lock);
    w->next = ws->first;
    ws->first = w;
    w->n = ++ws->n_ever;
    ws->stats.open++;
    ws->stats.mappings += w->pieces;
    pthread_mutex_unlock(&ws->lock);
    return w;
}

void window_close(struct window *w)
{
    struct windows *ws = w->all;
    struct window **at = &ws->first;

    pthread_mutex_lock(&ws->lock);
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    ws->stats.open--;
    ws->stats.mappings -= w->pieces;
    pthread_mutex_unlock(&ws->lock);
    free_window(w);
}

bool window_owns(const struct window *w, const void *hva)
{
    return (uint64_t)((uintptr_t)hva - (uintptr_t)w->base) < RESERVED_BYTES;
}
