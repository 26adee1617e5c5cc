/* Windows: reserving addresses, mapping and unmapping pages, and taking the right to store away
 * from pages that become code. */
#define _GNU_SOURCE
#include "softmmu/window.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "dbt/base/bits.h"
#include "dbt/base/check.h"
#include "dbt/base/log.h"
#include "softmmu/track.h"

enum {
    VIEW_AT = 1 << 16,      /* from a window's base to its view */
    MAX_WINDOWS = 64,       /* of 2^38 bytes each; a process has 2^47 */
    PIECES_MAX = 24000,     /* of vm.max_map_count, 65530; track.c has as many */
    PIECES_OF_RESERVED = 4, /* base, view, origin, end */
    PAGES_MIDDLE = 512,
    CHUNKS_KEPT = 1024,
    POPULATE_MAX = 16, /* pages: more are mapped by the host as they are touched */
};

#define RESERVED_BYTES (VIEW_AT + (uint64_t)WINDOW_OFF + WINDOW_LIMIT_MAX + WINDOW_OFF)
_Static_assert(sizeof(struct mmu_view) + WINDOW_GUARD < WINDOW_OFF, "a guard before the origin");
_Static_assert(WINDOW_OFF % PAGE_SIZE == 0 && VIEW_AT % PAGE_SIZE == 0, "pages");

/* window.page[]: the RAM page's number + 1, its leaf's size, whether it is writable. */
#define ENTRY_WRITE  (UINT32_C(1) << 31)
#define ENTRY_LEAF   29
#define ENTRY_NUMBER ((UINT32_C(1) << ENTRY_LEAF) - 1)

static uint32_t entry_of(uint64_t number, enum window_leaf leaf, bool write)
{
    return (uint32_t)(number + 1) | (uint32_t)leaf << ENTRY_LEAF | (write ? ENTRY_WRITE : 0);
}
static enum window_leaf leaf_of(uint32_t entry)
{
    return (enum window_leaf)(entry >> ENTRY_LEAF & 3);
}

uint64_t window_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
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

static void protect(void *arg, uint64_t first, uint64_t n);

struct windows *windows_create(struct phys *phys, struct track *track, enum window_policy policy,
                               unsigned n_harts)
{
    struct windows *ws = calloc(1, sizeof *ws);

    CHECK(ws && "memory for the windows");
    pthread_mutex_init(&ws->lock, NULL);
    ws->phys = phys;
    ws->track = track;
    ws->policy = phys->ram_len >> PAGE_BITS < ENTRY_NUMBER ? policy : WINDOWS_OFF;
    ws->max_of_hart = MAX_WINDOWS / n_harts;
    ws->writable = calloc(phys->ram_len >> PAGE_BITS, 1);
    CHECK(ws->writable && "memory for the windows");
    track_set_protected(track, protect, ws);
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

/* ---- One window --------------------------------------------------------------------------- */

static void free_window(struct window *w)
{
    release(w->base, RESERVED_BYTES);
    release(w->page, WINDOW_N_PAGES * sizeof *w->page);
    release(w, sizeof *w);
}

struct window *window_open(struct windows *ws, uint64_t limit)
{
    struct window *w = reserve(sizeof *w, PROT_READ | PROT_WRITE);

    CHECK(limit <= WINDOW_LIMIT_MAX && (limit & (limit - 1)) == 0);
    if (!w)
        return NULL;
    w->all = ws;
    w->pieces = PIECES_OF_RESERVED;
    w->base = reserve(RESERVED_BYTES, PROT_NONE);
    w->page = reserve(WINDOW_N_PAGES * sizeof *w->page, PROT_READ | PROT_WRITE);
    if (!w->base || !w->page ||
        mprotect(w->base + VIEW_AT, align_up(sizeof *w->view, PAGE_SIZE), PROT_READ | PROT_WRITE) !=
            0) {
        free_window(w);
        return NULL;
    }
    w->view = (struct mmu_view *)(void *)(w->base + VIEW_AT);
    w->origin = (uint8_t *)w->view + WINDOW_OFF;
    w->view->window_limit = limit;
    w->view->window_origin = (uintptr_t)w->origin;
    pthread_mutex_lock(&ws->lock);
    w->next = ws->first;
    ws->first = w;
    ws->n++;
    ws->pieces += w->pieces;
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
    ws->n--;
    ws->pieces -= w->pieces;
    pthread_mutex_unlock(&ws->lock);
    free_window(w);
}

bool window_owns(const struct window *w, const void *hva)
{
    return (uint64_t)((uintptr_t)hva - (uintptr_t)w->base) < RESERVED_BYTES;
}

bool window_has(struct window *w, uint64_t va, bool write)
{
    pthread_mutex_lock(&w->all->lock);
    uint32_t e = w->page[va >> PAGE_BITS];

    pthread_mutex_unlock(&w->all->lock);
    return e && (!write || e & ENTRY_WRITE);
}

/* ---- Mapping -------------------------------------------------------------------------------- */

static void count_pieces(struct window *w, uint64_t n)
{
    w->pieces += n;
    w->all->pieces += n;
}

/* No more than each page by itself and what is behind it, however often they came and went. */
static void bound_pieces(struct window *w)
{
    uint64_t most = PIECES_OF_RESERVED + 2 * w->n_pages;

    if (w->pieces <= most)
        return;
    w->all->pieces -= w->pieces - most;
    w->pieces = most;
}

/* window.page[] of zeros. A chunk's entries are one page of the host's, which is given back when
 * they are many: a guest that goes over all addresses would have 2^28 bytes of them. */
static void forget_pages(struct window *w)
{
    uint64_t n_used = w->n_used;

    w->n_used = 0;
    if (n_used > CHUNKS_KEPT &&
        madvise(w->page, WINDOW_N_PAGES * sizeof *w->page, MADV_DONTNEED) == 0) {
        memset(w->used, 0, sizeof w->used);
        return;
    }
    for (uint64_t i = 0; i < WINDOW_N_CHUNKS / 64; i++) {
        for (; w->used[i]; w->used[i] &= w->used[i] - 1) {
            uint64_t chunk = 64 * i + (unsigned)__builtin_ctzll(w->used[i]);

            memset(w->page + (chunk << WINDOW_CHUNK_BITS), 0, sizeof *w->page << WINDOW_CHUNK_BITS);
        }
    }
}

static void unmap_all_locked(struct window *w)
{
    /* One mapping in place of many is never refused. */
    CHECK(mmap(w->origin, WINDOW_LIMIT_MAX, PROT_NONE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED);
    forget_pages(w);
    w->all->pieces -= w->pieces - PIECES_OF_RESERVED;
    w->pieces = PIECES_OF_RESERVED;
    w->n_pages = w->n_large = 0;
}

/* The clock is read only where something is mapped: most fences are of other pages. */
static void spent_since(struct window *w, uint64_t from)
{
    atomic_fetch_add_explicit(&w->spent, window_clock() - from, memory_order_relaxed);
}

static void drop_all_locked(struct window *w)
{
    uint64_t from = window_clock();

    unmap_all_locked(w);
    spent_since(w, from);
}

void window_drop_all(struct window *w)
{
    pthread_mutex_lock(&w->all->lock);
    if (w->n_pages)
        drop_all_locked(w);
    pthread_mutex_unlock(&w->all->lock);
}

static void unmap_pages_locked(struct window *w, uint64_t first, uint64_t n)
{
    count_pieces(w, 1);
    if (mmap(w->origin + (first << PAGE_BITS), n << PAGE_BITS, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED) {
        w->failed = true;
        unmap_all_locked(w);
        return;
    }
    for (uint64_t i = first; i < first + n; i++) {
        w->n_pages -= w->page[i] != 0;
        w->page[i] = 0;
    }
    bound_pieces(w);
}

static bool is_used(const struct window *w, uint64_t i)
{
    return (w->used[i >> WINDOW_CHUNK_BITS >> 6] & bit(i >> WINDOW_CHUNK_BITS & 63)) != 0;
}

static bool any_middle(const struct window *w, uint64_t first)
{
    for (uint64_t i = first; i < first + PAGES_MIDDLE; i++)
        if (leaf_of(w->page[i]) == LEAF_MIDDLE)
            return true;
    return false;
}

static void drop_leaf_locked(struct window *w, uint64_t i)
{
    uint64_t middle = i - i % PAGES_MIDDLE;
    bool is_middle = any_middle(w, middle);

    if (!is_middle && !w->page[i])
        return;
    uint64_t from = window_clock();

    unmap_pages_locked(w, is_middle ? middle : i, is_middle ? PAGES_MIDDLE : 1);
    spent_since(w, from);
}

void window_drop_page(struct window *w, uint64_t va)
{
    if (va >= WINDOW_LIMIT_MAX)
        return;
    pthread_mutex_lock(&w->all->lock);
    if (w->n_large) /* how far such a leaf reaches is not noted */
        drop_all_locked(w);
    else if (is_used(w, va >> PAGE_BITS))
        drop_leaf_locked(w, va >> PAGE_BITS);
    pthread_mutex_unlock(&w->all->lock);
}

/* Pages that follow each other in both, all code or none. */
static bool map_run_locked(struct window *w, uint64_t i, uint64_t number, uint64_t n, bool write,
                           enum window_leaf leaf)
{
    struct windows *ws = w->all;

    if (ws->pieces + 2 > PIECES_MAX)
        return false;
    count_pieces(w, 2);
    /* Before: who protects a page looks here when the page is marked, we look at the mark with the
     * lock held. */
    for (uint64_t k = 0; k < n; k++) {
        w->n_pages += w->page[i + k] == 0;
        w->page[i + k] = entry_of(number + k, leaf, write);
        w->n_large += leaf == LEAF_LARGE;
        w->n_used += !is_used(w, i + k);
        w->used[(i + k) >> WINDOW_CHUNK_BITS >> 6] |= bit((i + k) >> WINDOW_CHUNK_BITS & 63);
        if (write)
            atomic_store_explicit(&ws->writable[number + k], 1, memory_order_relaxed);
    }
    return mmap(w->origin + (i << PAGE_BITS), n << PAGE_BITS,
                write ? PROT_READ | PROT_WRITE : PROT_READ,
                MAP_SHARED | MAP_FIXED | (n <= POPULATE_MAX ? MAP_POPULATE : 0), ws->phys->memfd,
                (off_t)(number << PAGE_BITS)) != MAP_FAILED;
}

bool window_map(struct window *w, uint64_t va, uint64_t gpa, unsigned n, bool write,
                enum window_leaf leaf)
{
    struct windows *ws = w->all;
    uint64_t at = va >> PAGE_BITS, number = (gpa - ws->phys->ram_gpa) >> PAGE_BITS;

    DCHECK(phys_is_ram(ws->phys, gpa, (uint64_t)n << PAGE_BITS));
    DCHECK(at + n <= WINDOW_N_PAGES);
    pthread_mutex_lock(&ws->lock);
    if (w->n_used > CHUNKS_KEPT && w->n_pages < w->n_used)
        unmap_all_locked(w); /* a guest that fences page by page comes here */
    for (unsigned i = 0, k; i < n && !w->failed; i = k) {
        bool code = track_is_code(ws->track, gpa + ((uint64_t)i << PAGE_BITS));

        for (k = i + 1; k < n; k++)
            if (track_is_code(ws->track, gpa + ((uint64_t)k << PAGE_BITS)) != code)
                break;
        w->failed = !map_run_locked(w, at + i, number + i, k - i, write && !code, leaf);
    }
    if (w->failed)
        unmap_all_locked(w);
    pthread_mutex_unlock(&ws->lock);
    return !w->failed;
}

/* ---- Pages that become code: any hart's thread, under track's lock ------------------------------
 */

/* True when something was changed. */
static bool protect_in(struct window *w, uint64_t first, uint64_t n)
{
    bool any = false;

    for (uint64_t c = 0; c < WINDOW_N_CHUNKS; c++) {
        if (!w->used[c >> 6]) {
            c |= 63;
            continue;
        }
        if (!(w->used[c >> 6] & bit(c & 63)))
            continue;
        for (uint64_t i = c << WINDOW_CHUNK_BITS; i < (c + 1) << WINDOW_CHUNK_BITS; i++) {
            uint32_t e = w->page[i];

            if (!(e & ENTRY_WRITE) || (e & ENTRY_NUMBER) - 1 - first >= n)
                continue;
            w->page[i] = e & ~ENTRY_WRITE;
            any = true;
            count_pieces(w, 2);
            if (mprotect(w->origin + (i << PAGE_BITS), PAGE_SIZE, PROT_READ) == 0)
                continue;
            w->failed = true;
            unmap_all_locked(w);
            return true;
        }
    }
    return any;
}

/* RAM pages [first, first + n) are marked as code. When this returns no thread stores to them
 * through a window: mprotect waits for the host's TLBs. */
static void protect(void *arg, uint64_t first, uint64_t n)
{
    struct windows *ws = arg;
    bool any = false;

    pthread_mutex_lock(&ws->lock);
    for (uint64_t i = first; i < first + n; i++)
        any |= atomic_exchange_explicit(&ws->writable[i], 0, memory_order_relaxed) != 0;
    for (struct window *w = ws->first; any && w; w = w->next) {
        uint64_t from = window_clock();

        if (protect_in(w, first, n))
            spent_since(w, from);
    }
    pthread_mutex_unlock(&ws->lock);
}
