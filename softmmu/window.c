/* What is mapped in a window: mapping and unmapping pages, and taking the right to store away from
 * pages that become code. windows.c has the addresses that it lies at. */
#define _GNU_SOURCE
#include "softmmu/window.h"

#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "dbt/base/bits.h"
#include "dbt/base/check.h"
#include "dbt/base/log.h"
#include "softmmu/track.h"

enum {
    SMALL_MS = 200, /* between two times that what was mapped page by page goes */
    CHUNKS_KEPT = 1024,
    POPULATE_MAX = 16, /* pages: more are mapped by the host as they are touched */
    SHUNNED = 8,       /* drops of a page */
    SHUNNED_MS = 500,  /* after the last; and at most between two */
};

/* Of which size the guest's leaf is that maps a page: a fence of any address in a leaf is one of
 * all of it. */
enum leaf_kind { LEAF_PAGE, LEAF_MIDDLE, LEAF_LARGE }; /* 4 KiB, at most 2 MiB, larger */

/* window.page[]: the RAM page's number + 1, its leaf's size, whether it is writable. */
#define ENTRY_WRITE  (UINT32_C(1) << 31)
#define ENTRY_LEAF   29
#define ENTRY_NUMBER ((UINT32_C(1) << ENTRY_LEAF) - 1)
_Static_assert(WINDOW_RAM_PAGES_MAX <= ENTRY_NUMBER, "its number + 1 fits");

static uint32_t entry_of(uint64_t number, enum leaf_kind leaf, bool write)
{
    return (uint32_t)(number + 1) | (uint32_t)leaf << ENTRY_LEAF | (write ? ENTRY_WRITE : 0);
}
static bool maps(uint32_t entry, uint64_t number)
{
    return (entry & ENTRY_NUMBER) == number + 1;
}
/* 64 KiB (Svnapot) are dropped with the 2 MiB around them. */
static enum leaf_kind leaf_of_len(uint64_t len)
{
    return len == PAGE_SIZE ? LEAF_PAGE : len <= MIDDLE_BYTES ? LEAF_MIDDLE : LEAF_LARGE;
}
static enum leaf_kind leaf_of(uint32_t entry)
{
    return (enum leaf_kind)(entry >> ENTRY_LEAF & 3);
}

/* window.where[].at[]: where page[] says something else the hint is old. */
#define WHERE_OTHERS (UINT32_C(1) << 31) /* in at[0]: a third guest page may map it, too */

/* Maps with a bit for 2 MiB, by pages. */
static bool has_mark(const uint64_t *map, uint64_t i)
{
    return (map[i / PAGES_MIDDLE / 64] & bit(i / PAGES_MIDDLE % 64)) != 0;
}
static void mark(uint64_t *map, uint64_t i, bool set)
{
    uint64_t *word = &map[i / PAGES_MIDDLE / 64], b = bit(i / PAGES_MIDDLE % 64);

    *word = set ? *word | b : *word & ~b;
}

/* Of window.page[i]. */
static uint64_t address_of(const struct window *w, uint64_t i)
{
    return w->first + (i << PAGE_BITS);
}

bool window_has(struct window *w, uint64_t va, bool write)
{
    pthread_mutex_lock(&w->all->lock);
    uint32_t e = w->page[(va - w->first) >> PAGE_BITS];

    pthread_mutex_unlock(&w->all->lock);
    return e && (!write || e & ENTRY_WRITE);
}

/* ---- Mapping -------------------------------------------------------------------------------- */

/* Do pages i - 1 and i lie in two host mappings? The host joins what can be one. */
static bool parts(const struct window *w, uint64_t i)
{
    uint32_t a = i ? w->page[i - 1] : 0, b = i < WINDOW_N_PAGES ? w->page[i] : 0;

    if (!a || !b)
        return a != b;
    return ((a ^ b) & ENTRY_WRITE) || !maps(b, a & ENTRY_NUMBER);
}

static uint64_t count_parts(const struct window *w, uint64_t first, uint64_t n)
{
    uint64_t sum = 0;

    for (uint64_t i = first; i <= first + n; i++)
        sum += parts(w, i);
    return sum;
}

/* What count_parts() said before something was changed there. */
static void count_pieces(struct window *w, uint64_t first, uint64_t n, uint64_t before)
{
    uint64_t now = count_parts(w, first, n);

    w->pieces += now - before;
    w->all->stats.mappings += now - before;
}

/* window.page[] of zeros. A chunk's entries are one page of the host's, which is given back when
 * they are many: a guest that goes over all addresses would have 2^28 bytes of them. */
static void forget_pages(struct window *w)
{
    uint64_t n_used = w->n_used;

    w->n_used = 0;
    memset(w->has_middle, 0, sizeof w->has_middle);
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
    /* A host that has more mappings than it allows refuses even one in place of many; to take the
     * rights away it needs no other. They are as many as before then, until the window goes. */
    if (mmap(w->origin, w->bytes, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED) {
        w->failed = true;
        CHECK(mprotect(w->origin, w->bytes, PROT_NONE) == 0);
    }
    forget_pages(w);
    w->all->stats.mappings -= w->pieces - WINDOW_PIECES_MIN;
    w->pieces = WINDOW_PIECES_MIN;
    w->n_pages = 0;
    range_clear(&w->large);
}

/* Clocks are read only where something is mapped: most fences are of other pages. */
static void spend(struct window *w, uint64_t ns, uint64_t *on)
{
    atomic_fetch_add_explicit(&w->spent, ns, memory_order_relaxed);
    *on += ns;
}

static void dropped(struct window *w, uint64_t ns)
{
    w->all->stats.drops++;
    spend(w, ns, &w->all->stats.drop_ns);
}

static void drop_all_locked(struct window *w)
{
    uint64_t from = window_work();

    log_line(LOG_mmu, "mmu: window %u: all %" PRIu64 " pages go", w->n, w->n_pages);
    unmap_all_locked(w);
    dropped(w, window_work() - from);
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
    uint64_t before = count_parts(w, first, n);

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
    count_pieces(w, first, n, before);
    if (n == PAGES_MIDDLE)
        mark(w->has_middle, first, false);
}

static bool is_used(const struct window *w, uint64_t i)
{
    return (w->used[i >> WINDOW_CHUNK_BITS >> 6] & bit(i >> WINDOW_CHUNK_BITS & 63)) != 0;
}

/* The first 2 MiB, from page i on, in which something may be mapped; behind all pages: none. */
static uint64_t next_used(const struct window *w, uint64_t i)
{
    while (i < WINDOW_N_PAGES && !is_used(w, i)) {
        uint64_t chunk = i >> WINDOW_CHUNK_BITS;

        i = w->used[chunk >> 6] >> (chunk & 63) ? (chunk + 1) << WINDOW_CHUNK_BITS
                                                : ((chunk | 63) + 1) << WINDOW_CHUNK_BITS;
    }
    return i;
}

/* Are there only pages of the smallest leaf, from `first` on? */
static bool is_small(const struct window *w, uint64_t first)
{
    bool any = false;

    for (uint64_t i = first; i < first + PAGES_MIDDLE; i++) {
        if (w->page[i] && leaf_of(w->page[i]) != LEAF_PAGE)
            return false;
        any |= w->page[i] != 0;
    }
    return any;
}

/* Linux maps what it patches at one address, for one store each, tens of thousands of times at
 * boot. */
static void note_drop(struct window *w, uint64_t i, uint64_t now)
{
    struct window_churn *c = &w->churn[i % WINDOW_N_CHURN];

    if (c->page != i || now - c->at_ns > SHUNNED_MS * UINT64_C(1000000))
        *c = (struct window_churn){.page = i};
    c->at_ns = now;
    c->n++;
}

bool window_shuns(struct window *w, uint64_t va)
{
    uint64_t i = (va - w->first) >> PAGE_BITS;
    const struct window_churn *c = &w->churn[i % WINDOW_N_CHURN];

    return c->page == i && c->n >= SHUNNED &&
           window_clock() - c->at_ns < SHUNNED_MS * UINT64_C(1000000);
}

static void drop_leaf_locked(struct window *w, uint64_t i)
{
    const bool is_middle = has_mark(w->has_middle, i);

    if (!is_middle && !w->page[i])
        return;
    uint64_t from = window_clock();

    log_line(LOG_mmu, "mmu: window %u: the %s of %" PRIx64 " goes", w->n,
             is_middle ? "2 MiB" : "page", address_of(w, i));
    note_drop(w, i, from);
    unmap_pages_locked(w, is_middle ? i - i % PAGES_MIDDLE : i, is_middle ? PAGES_MIDDLE : 1);
    dropped(w, window_took(from));
}

void window_drop_page(struct window *w, uint64_t va)
{
    if (!window_covers(w, va))
        return;
    uint64_t i = (va - w->first) >> PAGE_BITS;

    pthread_mutex_lock(&w->all->lock);
    if (range_has(&w->large, va)) /* which leaf it is in is not noted */
        drop_all_locked(w);
    else if (is_used(w, i))
        drop_leaf_locked(w, i);
    pthread_mutex_unlock(&w->all->lock);
}

/* Of 2 MiB that were of one leaf when they were checked last, and in which nothing was mapped
 * since: is that leaf where it was, and writable, so that no entry can claim too much? A kernel
 * maps all RAM by such leaves, and fences all addresses thousands of times while Debian boots. */
static bool stands_by_leaf(struct window *w, uint64_t first,
                           bool (*now)(void *arg, uint64_t va, struct window_leaf *leaf), void *arg)
{
    struct window_leaf l;
    uint64_t i = first;

    if (!has_mark(w->of_one_leaf, first))
        return false;
    while (i < first + PAGES_MIDDLE && !w->page[i])
        i++;
    if (i == first + PAGES_MIDDLE || !now(arg, address_of(w, i), &l) || !l.write ||
        l.len_bytes < MIDDLE_BYTES || leaf_of(w->page[i]) != leaf_of_len(l.len_bytes) ||
        !maps(w->page[i], (l.gpa - w->all->phys->ram_gpa) >> PAGE_BITS))
        return false;
    if (leaf_of_len(l.len_bytes) == LEAF_LARGE)
        range_add_leaf(&w->large, address_of(w, i), l.len_bytes);
    return true;
}

/* Is what is mapped in the 2 MiB from page `first` on as the page table says now? */
static bool stands(struct window *w, uint64_t first,
                   bool (*now)(void *arg, uint64_t va, struct window_leaf *leaf), void *arg)
{
    const struct phys *phys = w->all->phys;
    bool any = false, of_one_leaf = false;
    struct window_leaf l;

    if (stands_by_leaf(w, first, now, arg))
        return true;
    for (uint64_t i = first, n; i < first + PAGES_MIDDLE; i += n) {
        uint64_t va = address_of(w, i), number;

        n = 1;
        if (!w->page[i])
            continue;
        if (!now(arg, va, &l))
            return false;
        number = (l.gpa - phys->ram_gpa) >> PAGE_BITS;
        if (l.len_bytes >= MIDDLE_BYTES)
            n = first + PAGES_MIDDLE - i;
        of_one_leaf = !any && l.len_bytes >= MIDDLE_BYTES;
        any = true;
        if (leaf_of_len(l.len_bytes) == LEAF_LARGE)
            range_add_leaf(&w->large, va, l.len_bytes);
        for (uint64_t k = 0; k < n; k++) {
            uint32_t e = w->page[i + k];

            if (e && (!maps(e, number + k) || leaf_of(e) != leaf_of_len(l.len_bytes) ||
                      (e & ENTRY_WRITE && !l.write)))
                return false;
        }
    }
    if (of_one_leaf)
        mark(w->of_one_leaf, first, true);
    return true;
}

/* A chunk in which nothing is mapped any more: nobody need look there, and its entries, one page of
 * the host's, are given back. */
static void forget_empty(struct window *w, uint64_t chunk)
{
    uint32_t *page = w->page + (chunk << WINDOW_CHUNK_BITS);

    for (unsigned i = 0; i < 1u << WINDOW_CHUNK_BITS; i++)
        if (page[i])
            return;
    madvise(page, sizeof *page << WINDOW_CHUNK_BITS, MADV_DONTNEED);
    w->used[chunk >> 6] &= ~bit(chunk & 63);
    w->n_used--;
}

void window_check(struct window *w, bool (*now)(void *arg, uint64_t va, struct window_leaf *leaf),
                  void *arg)
{
    pthread_mutex_lock(&w->all->lock);
    if (w->n_pages) {
        uint64_t from = window_work(), n_pages = w->n_pages;

        range_clear(&w->large);
        for (uint64_t i = next_used(w, 0); i < WINDOW_N_PAGES; i = next_used(w, i + PAGES_MIDDLE))
            if (!stands(w, i, now, arg)) {
                unmap_pages_locked(w, i, PAGES_MIDDLE);
                if (is_used(w, i))
                    forget_empty(w, i >> WINDOW_CHUNK_BITS);
            }
        log_line(LOG_mmu, "mmu: window %u: %" PRIu64 " of %" PRIu64 " pages go", w->n,
                 n_pages - w->n_pages, n_pages);
        w->all->stats.drops += w->n_pages < n_pages;
        spend(w, window_work() - from, &w->all->stats.drop_ns);
    }
    pthread_mutex_unlock(&w->all->lock);
}

static bool is_at(const struct window *w, uint32_t hint, uint64_t number)
{
    return hint && maps(w->page[hint - 1], number);
}

static void note_where(struct window *w, uint64_t i, uint64_t number)
{
    uint32_t *at = w->where[number].at, here = (uint32_t)(i + 1);
    uint32_t others = at[0] & WHERE_OTHERS, first = at[0] ^ others;

    if (first == here || at[1] == here)
        return;
    if (!is_at(w, first, number))
        at[0] = here | others;
    else if (!is_at(w, at[1], number))
        at[1] = here;
    else
        at[0] |= WHERE_OTHERS;
}

/* Pages that follow each other in both, and may all be written or none. */
static bool map_run_locked(struct window *w, uint64_t i, uint64_t number, uint64_t n, bool write,
                           enum leaf_kind leaf)
{
    struct windows *ws = w->all;

    if (ws->stats.mappings + 2 > WINDOWS_PIECES_MAX)
        return false;
    uint64_t before = count_parts(w, i, n);

    /* Before: who protects a page looks here when the page is marked, we look at the mark with the
     * lock held. */
    for (uint64_t k = 0; k < n; k++) {
        w->n_pages += w->page[i + k] == 0;
        note_where(w, i + k, number + k);
        w->page[i + k] = entry_of(number + k, leaf, write);
        mark(w->of_one_leaf, i + k, false);
        if (leaf == LEAF_MIDDLE)
            mark(w->has_middle, i + k, true);
        w->n_used += !is_used(w, i + k);
        w->used[(i + k) >> WINDOW_CHUNK_BITS >> 6] |= bit((i + k) >> WINDOW_CHUNK_BITS & 63);
        if (write)
            atomic_store_explicit(&ws->writable[number + k], 1, memory_order_relaxed);
    }
    count_pieces(w, i, n, before);
    ws->stats.maps++;
    w->n_mapped += n;
    return mmap(w->origin + (i << PAGE_BITS), n << PAGE_BITS,
                write ? PROT_READ | PROT_WRITE : PROT_READ,
                MAP_SHARED | MAP_FIXED | (n <= POPULATE_MAX ? MAP_POPULATE : 0), ws->phys->memfd,
                (off_t)(number << PAGE_BITS)) != MAP_FAILED;
}

/* It costs more than it should: pages that were mapped one by one go, those of larger leaves stay.
 * They are of what was used once: Linux gives each process a stack at addresses of its own, and
 * fences those of many at a time. */
static void drop_small_locked(struct window *w)
{
    uint64_t n_pages = w->n_pages;

    for (uint64_t i = next_used(w, 0); i < WINDOW_N_PAGES; i = next_used(w, i + PAGES_MIDDLE))
        if (is_small(w, i))
            unmap_pages_locked(w, i, PAGES_MIDDLE);
    log_line(LOG_mmu, "mmu: window %u: %" PRIu64 " pages that were mapped one by one go", w->n,
             n_pages - w->n_pages);
}

static bool costs_too_much(struct window *w)
{
    const struct windows *ws = w->all;
    const bool plenty = ws->stats.mappings < WINDOWS_PIECES_MAX / 2;

    if (w->pieces < (plenty ? w->share : ws->pieces_of_one) &&
        ws->stats.mappings + 2 <= WINDOWS_PIECES_MAX)
        return false;
    uint64_t now = window_clock();

    if (now - w->dropped_at < SMALL_MS * UINT64_C(1000000))
        return false;
    w->dropped_at = now;
    return true;
}

/* As a RAM page is mapped now: code is read-only. */
static uint32_t wanted_entry(const struct window *w, uint64_t number, enum leaf_kind leaf,
                             bool write)
{
    const struct windows *ws = w->all;
    const uint64_t gpa = ws->phys->ram_gpa + (number << PAGE_BITS);

    return entry_of(number, leaf, write && !track_is_code(ws->track, gpa));
}

/* What is there as it should be stays: of 2 MiB in which a page was code, the others. */
bool window_map(struct window *w, uint64_t va, uint64_t gpa, unsigned n, bool write,
                uint64_t leaf_len)
{
    const enum leaf_kind leaf = leaf_of_len(leaf_len);
    struct windows *ws = w->all;
    uint64_t at = (va - w->first) >> PAGE_BITS, number = (gpa - ws->phys->ram_gpa) >> PAGE_BITS;

    DCHECK(phys_is_ram(ws->phys, gpa, (uint64_t)n << PAGE_BITS));
    DCHECK(at + n <= WINDOW_N_PAGES);
    pthread_mutex_lock(&ws->lock);
    if (w->n_used > CHUNKS_KEPT && w->n_pages < w->n_used)
        unmap_all_locked(w); /* a guest that fences page by page comes here */
    else if (costs_too_much(w))
        drop_small_locked(w);
    if (leaf == LEAF_LARGE) {
        range_add_leaf(&w->large, va, leaf_len);
        range_add_leaf(&w->large, va + ((uint64_t)(n - 1) << PAGE_BITS), leaf_len);
    }
    for (unsigned i = 0, k; i < n && !w->failed; i = k) {
        const uint32_t entry = wanted_entry(w, number + i, leaf, write);
        const bool is_there = w->page[at + i] == entry;

        for (k = i + 1; k < n; k++) {
            const uint32_t next = wanted_entry(w, number + k, leaf, write);

            if (((next ^ entry) & ENTRY_WRITE) || (w->page[at + k] == next) != is_there)
                break;
        }
        w->failed = !is_there &&
                    !map_run_locked(w, at + i, number + i, k - i, (entry & ENTRY_WRITE) != 0, leaf);
    }
    if (w->failed)
        unmap_all_locked(w);
    pthread_mutex_unlock(&ws->lock);
    return !w->failed;
}

/* ---- Pages that become code: any hart's thread, under track's lock ------------------------------
 */

/* Guest page i, if it maps the RAM page. True when something was changed. */
static bool protect_at(struct window *w, uint64_t i, uint64_t number)
{
    if (!maps(w->page[i], number) || !(w->page[i] & ENTRY_WRITE))
        return false;
    uint64_t before = count_parts(w, i, 1);

    log_line(LOG_mmu, "mmu: window %u: the page of %" PRIx64 " is code", w->n, address_of(w, i));
    w->page[i] &= ~ENTRY_WRITE;
    count_pieces(w, i, 1, before);
    if (mprotect(w->origin + (i << PAGE_BITS), PAGE_SIZE, PROT_READ) != 0) {
        w->failed = true;
        unmap_all_locked(w);
    }
    return true;
}

/* Wherever it is mapped; notes that anew. */
static bool protect_everywhere(struct window *w, uint64_t number)
{
    bool any = false;

    w->where[number] = (struct window_where){{0}};
    for (uint64_t i = next_used(w, 0); i < WINDOW_N_PAGES; i = next_used(w, i + 1)) {
        if (maps(w->page[i], number))
            note_where(w, i, number);
        any |= protect_at(w, i, number);
    }
    return any;
}

static bool protect_in(struct window *w, uint64_t number)
{
    const struct window_where where = w->where[number];
    bool any = false;

    if (where.at[0] & WHERE_OTHERS)
        return protect_everywhere(w, number);
    for (unsigned k = 0; k < 2; k++)
        any |= where.at[k] && protect_at(w, where.at[k] - 1, number);
    return any;
}

void window_protect(void *arg, uint64_t first, uint64_t n)
{
    struct windows *ws = arg;

    pthread_mutex_lock(&ws->lock);
    for (uint64_t i = first; i < first + n; i++) {
        if (!atomic_exchange_explicit(&ws->writable[i], 0, memory_order_relaxed))
            continue;
        for (struct window *w = ws->first; w; w = w->next) {
            uint64_t from = window_clock();

            if (!protect_in(w, i))
                continue;
            ws->stats.protects++;
            spend(w, window_took(from), &ws->stats.code_ns);
        }
    }
    pthread_mutex_unlock(&ws->lock);
}
