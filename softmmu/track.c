/* Code pages. (Of the ROM nothing is kept: no store reaches it.) One word a page of RAM; its store
 * view is read-only exactly while PROTECTED is set (but for the moments in which the lock is held).
 *
 *             track_protect                     on_write: no blocks are left
 *    open  ------------------->  protected  -----------------------------------> open
 *                                    |  ^            flips < FLIPS_MAX
 *                flips == FLIPS_MAX  v  |  track_protect
 *                                 idle: protected, no blocks --- IDLE_MAX stores --> open
 *
 * Opening and protecting a page again costs two mprotect, a fault and a refill,
 * some 12 us; a store to a protected page goes the slow way, some 0.1 us. So a
 * page whose blocks are gone is opened at once the first FLIPS_MAX times, since
 * most never come back; one that keeps turning into code (a JIT's) has first to
 * take IDLE_MAX stores in a row without being translated from, which bounds the loss
 * to about twice what knowing the future would cost. The slow stores ask on_write each time, and
 * it compares granules: code and data may share a page for good. */
#define _GNU_SOURCE
#include "softmmu/track.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "dbt/base/check.h"
#include "dbt/base/lock.h"
#include "dbt/base/log.h"

enum {
    TRACK_PAGE = 4096,
    FLIPS_MAX = 8,
    IDLE_MAX = 128,

    PROTECTED = 1 << 15,
    TELLING = 1 << 14, /* on_protected has not returned: other mappings may be writable still */
    FLIPS_SHIFT = 8,
    FLIPS_MASK = 15 << FLIPS_SHIFT,
    IDLE_MASK = 255,
    CLAIMS_SHIFT = 16, /* above: how often track_protect was called, see left_empty() */

    /* Each run of protected pages costs the host two mappings, and a process has
     * 65530 (vm.max_map_count). With this many runs, pages that would
     * make more of them are protected 2 MiB at a time. */
    RUNS_MAX = 12000,
    CHUNK_PAGES = 512,

    /* Where so many of these pages hold code, the others will, too: each that is protected by
     * itself costs a system call, and interrupts the processors of other harts. */
    GROUP_PAGES = 16,
    GROUP_CODE = 3,
};

struct track {
    struct phys *phys;
    bool (*on_write)(void *arg, uint64_t gpa, unsigned len, bool *page_is_code);
    void *arg;
    uint64_t n_pages;
    void (*on_protected)(void *arg, uint64_t first, uint64_t n); /* or NULL */
    void *on_protected_arg;
    /* Held while PROTECTED changes together with the mapping. Innermost but for the windows' lock:
     * nothing is called, and no other lock taken, under it, but by on_protected. */
    pthread_mutex_t lock;
    uint64_t n_runs;          /* lock: of adjacent protected pages */
    struct track_stats stats; /* relaxed atomics */
    /* Sequentially consistent: a writer stores, then reads PROTECTED; a translator
     * sets PROTECTED, then reads the bytes. One of them sees the other. */
    _Atomic uint32_t *page;
};

static void count(uint64_t *stat)
{
    __atomic_fetch_add(stat, 1, __ATOMIC_RELAXED);
}

struct track *
track_create(struct phys *phys,
             bool (*on_write)(void *arg, uint64_t gpa, unsigned len, bool *page_is_code), void *arg)
{
    struct track *t = calloc(1, sizeof(*t));

    CHECK(t);
    t->phys = phys;
    t->on_write = on_write;
    t->arg = arg;
    t->n_pages = phys->ram_len / TRACK_PAGE;
    t->page = calloc(t->n_pages, sizeof(*t->page));
    CHECK(t->page);
    lock_init(&t->lock);
    return t;
}

void track_destroy(struct track *t)
{
    if (!t)
        return;
    pthread_mutex_destroy(&t->lock);
    free((void *)t->page);
    free(t);
}

void track_set_protected(struct track *t, void (*fn)(void *arg, uint64_t first, uint64_t n),
                         void *arg)
{
    t->on_protected = fn;
    t->on_protected_arg = arg;
}

/* It may wrap: nobody is held up for 65536 calls. */
static uint32_t add_claim(uint32_t state)
{
    return state + (UINT32_C(1) << CLAIMS_SHIFT);
}

static uint64_t page_index(const struct track *t, uint64_t gpa)
{
    DCHECK(phys_is_ram(t->phys, gpa, 1));
    return (gpa - t->phys->ram_gpa) / TRACK_PAGE;
}

bool track_is_code(const struct track *t, uint64_t gpa)
{
    return (atomic_load(&t->page[page_index(t, gpa)]) & PROTECTED) != 0;
}

/* ---- Protecting and opening, under the lock ------------------------------------- */

static bool is_protected(const struct track *t, uint64_t i)
{
    return i < t->n_pages && (atomic_load(&t->page[i]) & PROTECTED);
}

/* How many of the two neighbours are protected: a page between none of them is
 * a run more, one between two joins two runs. (i - 1 wraps at 0: not a page.) */
static int protected_neighbours(const struct track *t, uint64_t i)
{
    return is_protected(t, i - 1) + is_protected(t, i + 1);
}

static bool remap_locked(struct track *t, uint64_t first, uint64_t n, int prot)
{
    return mprotect(t->phys->store + first * TRACK_PAGE, n * TRACK_PAGE, prot) == 0;
}

static void mark_protected_locked(struct track *t, uint64_t i, unsigned flags)
{
    if (is_protected(t, i))
        return;
    t->n_runs += (uint64_t)(1 - protected_neighbours(t, i));
    atomic_store(&t->page[i], (atomic_load(&t->page[i]) | flags) & ~(uint32_t)IDLE_MASK);
}

static void tell_protected_locked(struct track *t, uint64_t first, uint64_t n)
{
    if (t->on_protected)
        t->on_protected(t->on_protected_arg, first, n);
    for (uint64_t i = first; i < first + n; i++)
        atomic_fetch_and(&t->page[i], ~(uint32_t)TELLING);
}

/* The mapping changes first: who sees PROTECTED without TELLING may read the bytes. False when the
 * host refuses. Pages beside the wanted one open only after IDLE_MAX stores. PROTECTED comes before
 * on_protected, so that nobody maps the page writable behind it; TELLING holds up who would read
 * the bytes meanwhile. */
static bool protect_range_locked(struct track *t, uint64_t first, uint64_t n, uint64_t wanted)
{
    if (!remap_locked(t, first, n, PROT_READ))
        return false;
    for (uint64_t i = first; i < first + n; i++) {
        if (i == wanted)
            mark_protected_locked(t, i, PROTECTED | TELLING);
        else
            mark_protected_locked(t, i, PROTECTED | TELLING | FLIPS_MAX << FLIPS_SHIFT);
    }
    tell_protected_locked(t, first, n);
    return true;
}

static bool protect_group_locked(struct track *t, uint64_t i)
{
    const uint64_t first = i / GROUP_PAGES * GROUP_PAGES;
    unsigned n_code = 1;

    for (uint64_t k = first; k < first + GROUP_PAGES; k++)
        n_code += is_protected(t, k);
    if (n_code < GROUP_CODE || first + GROUP_PAGES > t->n_pages)
        return protect_range_locked(t, i, 1, i);
    return protect_range_locked(t, first, GROUP_PAGES, i);
}

static void protect_page_locked(struct track *t, uint64_t i, bool is_text)
{
    uint64_t first = i / CHUNK_PAGES * CHUNK_PAGES;
    uint64_t n = t->n_pages - first < CHUNK_PAGES ? t->n_pages - first : CHUNK_PAGES;

    if ((t->n_runs < RUNS_MAX || protected_neighbours(t, i) > 0) &&
        (is_text ? protect_group_locked(t, i) : protect_range_locked(t, i, 1, i)))
        return;
    if (protect_range_locked(t, first, n, i))
        return;
    CHECK(protect_range_locked(t, 0, t->n_pages, i) && "one mapping less cannot be refused");
}

/* old: the page's word when it was decided; a claim that has come since keeps it protected. */
static void open_page_locked(struct track *t, uint64_t i, uint32_t old)
{
    uint32_t flips = (old & FLIPS_MASK) >> FLIPS_SHIFT;
    uint32_t claims = old >> CLAIMS_SHIFT;
    int neighbours = protected_neighbours(t, i);

    if (neighbours == 2 && t->n_runs >= RUNS_MAX)
        return;
    /* PROTECTED goes first: who misses it waits for the lock in track_protect. */
    if (!atomic_compare_exchange_strong(&t->page[i], &old,
                                        claims << CLAIMS_SHIFT |
                                            (flips < FLIPS_MAX ? flips + 1 : flips) << FLIPS_SHIFT))
        return;
    if (!remap_locked(t, i, 1, PROT_READ | PROT_WRITE)) {
        atomic_fetch_or(&t->page[i], PROTECTED | TELLING); /* slow, and right */
        tell_protected_locked(t, i, 1);
        return;
    }
    t->n_runs += (uint64_t)(neighbours - 1);
    count(&t->stats.unprotects);
}

static bool protect(struct track *t, uint64_t gpa, bool is_text)
{
    if (phys_is_rom(t->phys, gpa, 1))
        return false;
    uint64_t i = page_index(t, gpa);
    uint32_t old = atomic_load(&t->page[i]);
    bool became;

    while ((old & (PROTECTED | TELLING)) == PROTECTED) {
        if (atomic_compare_exchange_weak(&t->page[i], &old, add_claim(old & ~(uint32_t)IDLE_MASK)))
            return false;
    }
    pthread_mutex_lock(&t->lock);
    became = !is_protected(t, i);
    if (became) {
        protect_page_locked(t, i, is_text);
        count(&t->stats.protects);
        log_line(LOG_mmu, "mmu: page %" PRIx64 " holds code", gpa & ~(uint64_t)4095);
    }
    atomic_fetch_add(&t->page[i], add_claim(0));
    pthread_mutex_unlock(&t->lock);
    return became;
}

bool track_protect(struct track *t, uint64_t gpa)
{
    return protect(t, gpa, false);
}

bool track_protect_text(struct track *t, uint64_t gpa)
{
    return protect(t, gpa, true);
}

/* ---- Stores ------------------------------------------------------------------------ */

/* on_write found no block in the page; before it was asked there had been so many claims. Another
 * hart may be about to read the page: it says so where on_write sees it, then calls track_protect.
 * So either on_write saw it, or the claim came after they were counted, and the count differs.
 * A mark that stores take away would not do: a third one's store may take it between the two. */
static void left_empty(struct track *t, uint64_t i, uint32_t claims)
{
    pthread_mutex_lock(&t->lock);
    uint32_t state = atomic_load(&t->page[i]);

    if ((state & PROTECTED) && state >> CLAIMS_SHIFT == claims) {
        bool settled = (state & FLIPS_MASK) >> FLIPS_SHIFT < FLIPS_MAX;

        if (settled || (state & IDLE_MASK) + 1 >= IDLE_MAX)
            open_page_locked(t, i, state);
        else
            atomic_fetch_add(&t->page[i], 1);
    }
    pthread_mutex_unlock(&t->lock);
}

static bool wrote_page(struct track *t, uint64_t gpa, unsigned len_bytes)
{
    bool page_is_code = true;
    bool hit;

    if (phys_is_rom(t->phys, gpa, 1))
        return t->on_write(t->arg, gpa, len_bytes, &page_is_code);
    uint64_t i = page_index(t, gpa);

    if (!is_protected(t, i))
        return false;
    count(&t->stats.writes);
    uint32_t claims = atomic_load(&t->page[i]) >> CLAIMS_SHIFT;

    hit = t->on_write(t->arg, gpa, len_bytes, &page_is_code);
    if (hit)
        count(&t->stats.hits);
    if (!page_is_code)
        left_empty(t, i, claims);
    return hit;
}

/* The fence: the bytes before the look at PROTECTED. Not every caller has one. */
bool track_wrote(struct track *t, uint64_t gpa, uint64_t len_bytes)
{
    bool hit = false;

    atomic_thread_fence(memory_order_seq_cst);
    while (len_bytes > 0) {
        uint64_t in_page = TRACK_PAGE - gpa % TRACK_PAGE;
        uint64_t n = len_bytes < in_page ? len_bytes : in_page;

        hit |= wrote_page(t, gpa, (unsigned)n);
        gpa += n;
        len_bytes -= n;
    }
    return hit;
}

bool track_owns(const struct track *t, const void *hva, uint64_t *gpa)
{
    uint64_t offset = (uint64_t)((uintptr_t)hva - (uintptr_t)t->phys->store);

    if (offset >= t->phys->ram_len)
        return false;
    *gpa = t->phys->ram_gpa + offset;
    return true;
}

const struct track_stats *track_stats(const struct track *t)
{
    return &t->stats;
}
