/* What is in a window: pages that the soft MMU knows when the window is given, and then those that
 * are accessed, with their neighbours.
 *
 * A page is mapped only as it could be accessed with nothing changed: by what the page table and
 * physical protection say, with its accessed bit set, and to be written only if it is dirty. */
#include "softmmu/mmu_int.h"

#include <inttypes.h>

#include "dbt/base/check.h"
#include "dbt/base/log.h"

#define US UINT64_C(1000)
enum {
    AROUND = 16,     /* pages that are mapped with one that was asked for */
    FAULT_NS = 3000, /* a SIGSEGV, measured (docs/windows.md) */
};

/* ---- What may be mapped -----------------------------------------------------------------------
 */

/* What may be mapped at va, as far as it can be told without changing anything. */
struct peeked {
    struct mmu_map map;
    bool write;
};

static bool peek(struct mmu *m, uint64_t va, struct peeked *p)
{
    const uint64_t rights = m->now.data_rights;
    bool whole = false;

    if (!window_covers(m->slot->window, va) ||
        !m->guest->peek(m->s, va, MMU_LOAD, rights, &p->map) || !p->map.read ||
        (is_common_slot(m, m->slot) && !p->map.global) || !phys_is_ram(m->phys, p->map.gpa, 1) ||
        !m->guest->allowed(m->s, p->map.gpa, 1, MMU_LOAD, rights, &whole) || !whole)
        return false;
    p->write =
        p->map.write && m->guest->allowed(m->s, p->map.gpa, 1, MMU_STORE, rights, &whole) && whole;
    return true;
}

/* Is physical protection for the 2 MiB from gpa on the same, and allows what the leaf does? */
static bool allows_leaf(struct mmu *m, uint64_t gpa, bool write)
{
    const uint64_t rights = m->now.data_rights;
    bool whole;

    return phys_is_ram(m->phys, gpa, MIDDLE_BYTES) &&
           m->guest->allowed(m->s, gpa, MIDDLE_BYTES, MMU_LOAD, rights, &whole) &&
           (!write || m->guest->allowed(m->s, gpa, MIDDLE_BYTES, MMU_STORE, rights, &whole));
}

/* What is mapped at va was walked to by this peek, not by the walk that has filled the tables. */
static void note_peeked(struct mmu *m, uint64_t va)
{
    if (is_common_slot(m, m->slot))
        common_note(m, va, true);
}

struct checking {
    struct mmu *m;
    uint64_t noted; /* the last 2 MiB whose pages were */
};

static bool leaf_now(void *arg, uint64_t va, struct window_leaf *leaf)
{
    struct checking *c = arg;
    struct mmu *m = c->m;
    struct peeked p;

    if (!peek(m, va, &p))
        return false;
    if (align_down(va, MIDDLE_BYTES) != c->noted) {
        c->noted = align_down(va, MIDDLE_BYTES);
        note_peeked(m, va);
    }
    *leaf = (struct window_leaf){page_of(p.map.gpa), p.map.page_len, p.write};
    return p.map.page_len < MIDDLE_BYTES ||
           allows_leaf(m, align_down(p.map.gpa, MIDDLE_BYTES), p.map.write);
}

void window_recheck(struct mmu *m)
{
    struct checking c = {.m = m};

    DCHECK(is_common_slot(m, m->slot) && "it walks by what is in force");
    window_check(m->slot->window, leaf_now, &c);
    window_sample_soon(m);
}

static void map_pages(struct mmu *m, uint64_t va, uint64_t gpa, unsigned n, bool write,
                      uint64_t leaf_len)
{
    struct window *w = m->slot->window;
    const uint64_t before = w->n_mapped;

    window_map(w, va, gpa, n, write, leaf_len);
    m->stats.window_pages += w->n_mapped - before;
}

/* A leaf of 2 MiB and more: its 2 MiB around va in one piece, where physical protection is the same
 * for all of them. */
static bool map_leaf(struct mmu *m, uint64_t va, const struct peeked *p)
{
    const uint64_t gpa = align_down(p->map.gpa, MIDDLE_BYTES);

    if (p->map.page_len < MIDDLE_BYTES || p->write != p->map.write ||
        !allows_leaf(m, gpa, p->write))
        return false;
    map_pages(m, align_down(va, MIDDLE_BYTES), gpa, PAGES_MIDDLE, p->write, p->map.page_len);
    return true;
}

/* Pages that follow each other, not yet mapped. */
struct run {
    uint64_t va, gpa;
    unsigned n;
    bool write;
    uint64_t leaf_len;
};

static void flush(struct mmu *m, struct run *r)
{
    if (r->n)
        map_pages(m, r->va, r->gpa, r->n, r->write, r->leaf_len);
    r->n = 0;
}

static bool continues(const struct run *r, uint64_t va, const struct peeked *p)
{
    return va == r->va + ((uint64_t)r->n << PAGE_BITS) &&
           page_of(p->map.gpa) == r->gpa + ((uint64_t)r->n << PAGE_BITS) && p->write == r->write &&
           p->map.page_len == r->leaf_len;
}

static void add(struct mmu *m, struct run *r, uint64_t va, const struct peeked *p)
{
    if (r->n && !continues(r, va, p))
        flush(m, r);
    if (!r->n)
        *r = (struct run){
            .va = va, .gpa = page_of(p->map.gpa), .write = p->write, .leaf_len = p->map.page_len};
    r->n++;
}

static bool is_wanted(struct window *w, uint64_t va)
{
    return window_covers(w, va) && !window_has(w, va, false) && !window_shuns(w, va);
}

/* Is the page at va of one piece with the run, which begins before it or just behind it? */
static bool belongs(struct mmu *m, const struct run *r, uint64_t va)
{
    struct peeked p;

    return is_wanted(m->slot->window, va) && peek(m, va, &p) &&
           page_of(p.map.gpa) - r->gpa == va - r->va && p.write == r->write &&
           p.map.page_len == r->leaf_len;
}

/* The page of va, and those around it that make one piece with it. A kernel's pages are stacks for
 * the most part: each piece costs a system call, on each host thread, and what is below a stack's
 * first page is seldom used. */
static void map_piece(struct mmu *m, uint64_t va, const struct peeked *of)
{
    unsigned below = (unsigned)(va >> PAGE_BITS) % AROUND, above = AROUND - 1 - below;
    struct run run = {.n = 0};

    add(m, &run, page_of(va), of);
    for (; below > 0 && belongs(m, &run, run.va - PAGE_SIZE); below--) {
        run.va -= PAGE_SIZE;
        run.gpa -= PAGE_SIZE;
        run.n++;
    }
    for (; above > 0 && belongs(m, &run, run.va + ((uint64_t)run.n << PAGE_BITS)); above--)
        run.n++;
    flush(m, &run);
}

/* The page of va, and those around it that the guest has touched: it will again. */
static void map_around(struct mmu *m, uint64_t va)
{
    struct window *w = m->slot->window;
    uint64_t at = align_down(va, AROUND << PAGE_BITS);
    struct run run = {.n = 0};
    struct peeked p;

    for (unsigned n = AROUND; n > 0 && !w->failed; n--, at += PAGE_SIZE)
        if ((at == page_of(va) || is_wanted(w, at)) && peek(m, at, &p))
            add(m, &run, at, &p);
    flush(m, &run);
}

/* --stress=table: the windows hold the last few pages only. */
static void stress_map(struct mmu *m, uint64_t va)
{
    struct recent_page *oldest = &m->recent_page[m->n_recent_pages++ % N_RECENT];

    if (oldest->window)
        window_drop_page(oldest->window, oldest->va);
    *oldest = (struct recent_page){m->slot->window, page_of(va)};
}

void view_each_known(const struct mmu_view *v, const struct window *w,
                     void (*f)(void *arg, const struct tlb_entry *e, unsigned flags), void *arg)
{
    const struct tlb_entry *table[2] = {v->store, v->load};
    const uint8_t *flags[2] = {v->store_flags, v->load_flags};
    const uint64_t *filled[2] = {v->store_filled, v->load_filled};

    for (unsigned k = 0; k < 2; k++) {
        for (uint64_t touched = v->touched; touched; touched &= touched - 1) {
            unsigned n = (unsigned)__builtin_ctzll(touched);

            for (uint64_t left = filled[k][n]; left; left &= left - 1) {
                const unsigned i = n * CHUNK + (unsigned)__builtin_ctzll(left);
                const struct tlb_entry *e = &table[k][i];

                if ((!w || window_covers(w, e->tag)) && e->tag != TLB_EMPTY)
                    f(arg, e, flags[k][i]);
            }
        }
    }
}

unsigned view_n_loads(const struct mmu_view *v)
{
    unsigned sum = 0;

    for (uint64_t touched = v->touched; touched; touched &= touched - 1)
        sum += (unsigned)__builtin_popcountll(v->load_filled[__builtin_ctzll(touched)]);
    return sum;
}

struct filling {
    struct mmu *m;
    struct window *w;
    struct run run;
};

static void map_known(void *arg, const struct tlb_entry *e, unsigned flags)
{
    (void)flags;
    struct filling *f = arg;
    struct mmu *m = f->m;
    struct window *w = f->w;
    uint64_t va = e->tag;
    struct peeked p;

    if (w->failed || window_has(w, va, false) || !peek(m, va, &p))
        return;
    note_peeked(m, va);
    if (!map_leaf(m, va, &p))
        add(m, &f->run, va, &p);
}

void window_fill(struct mmu *m, const struct mmu_view *known)
{
    struct window *w = m->slot->window;
    struct filling f = {.m = m, .w = w};

    CHECK(w && "there is one in force");
    uint64_t from = window_work();

    view_each_known(known, w, map_known, &f);
    flush(m, &f.run);
    uint64_t ns = window_work() - from;

    atomic_fetch_add(&w->spent, ns);
    m->stats.window_fill_ns += ns;
    log_line(LOG_mmu, "mmu: window %u: filled with %" PRIu64 " pages in %" PRIu64 " us", w->n,
             w->n_pages, ns / US);
}

/* ---- A fault -------------------------------------------------------------------------------- */

/* What is there at va, and the window lacks. */
static void map(struct mmu *m, uint64_t va, const struct peeked *p)
{
    struct run alone = {.n = 0};

    if (m->stress) {
        stress_map(m, va);
        add(m, &alone, page_of(va), p);
        flush(m, &alone);
    } else if (!map_leaf(m, va, p)) {
        if (is_common_slot(m, m->slot))
            map_piece(m, va, p);
        else
            map_around(m, va);
    }
}

static enum mmu_window_fault fill(struct mmu *m, uint64_t va, enum mmu_access access)
{
    struct window *w = m->slot->window;
    struct mmu_place place;
    struct mmu_fault fault;
    struct peeked p = {.write = false};
    /* Could it be accessed as the page table was? */
    bool as_it_was = peek(m, va, &p) && (access != MMU_STORE || p.write);

    if (!mmu_try_translate(m, va, 1, access, &place, &fault))
        return WINDOW_GUEST;
    if (!place.is_ram)
        return WINDOW_DEVICE;
    if (access == MMU_STORE && track_is_code(m->track, place.gpa))
        return WINDOW_CODE;
    if (!peek(m, va, &p))
        return is_common_slot(m, m->slot) && !p.map.global ? WINDOW_LOCAL : WINDOW_PART;
    if (access == MMU_STORE && !p.write)
        return WINDOW_PART;
    if (w->failed)
        return WINDOW_REFUSED;
    if (window_shuns(w, va))
        return WINDOW_SHUNNED;
    note_peeked(m, va);
    map(m, va, &p);
    return w->failed ? WINDOW_REFUSED : as_it_was ? WINDOW_MAPPED : WINDOW_UPDATED;
}

static bool is_mapped(enum mmu_window_fault kind)
{
    return kind == WINDOW_MAPPED || kind == WINDOW_UPDATED;
}

static enum mmu_window_fault fill_all(struct mmu *m, uint64_t va, unsigned len,
                                      enum mmu_access access)
{
    const uint64_t last = va + len - 1;

    if (!window_covers(m->slot->window, va))
        return WINDOW_OUTSIDE;
    enum mmu_window_fault kind = fill(m, va, access);

    if (!is_mapped(kind) || page_of(va) == page_of(last) || !window_covers(m->slot->window, last))
        return kind;
    kind = fill(m, last, access);
    return is_mapped(kind) ? WINDOW_CROSSING : kind;
}

static const char *const fault_help[WINDOW_FAULT_KINDS] = {
#define WINDOW_FAULT(constant, name, help) [WINDOW_##constant] = (help),
#include "softmmu/window_faults.def"
#undef WINDOW_FAULT
};

enum mmu_window_fault mmu_window_fault(struct mmu *m, uint64_t va, unsigned len,
                                       enum mmu_access access)
{
    struct window *w = m->slot->window;

    CHECK(w && "code for windows runs with a window");
    uint64_t from = window_clock(), spent = atomic_load(&w->spent), pages = m->stats.window_pages;
    enum mmu_window_fault kind = fill_all(m, va, len, access);

    /* What was spent on dropping in between is counted already; or was another thread's. */
    uint64_t took = window_took(from);

    spent = atomic_load(&w->spent) - spent;
    uint64_t ns = FAULT_NS + took - (spent < took ? spent : took);

    m->stats.window_faults[kind]++;
    m->stats.window_fault_ns[kind] += ns;
    if (kind != WINDOW_OUTSIDE) /* of no page: the code is translated anew, the window stays */
        atomic_fetch_add(&w->spent, ns);
    window_sample_soon(m);
    log_line(LOG_mmu, "mmu: window %u: %s at %" PRIx64 ": %s; %" PRIu64 " pages mapped", w->n,
             access == MMU_STORE ? "store" : "load", va, fault_help[kind],
             m->stats.window_pages - pages);
    return kind;
}

static bool is_clean(struct mmu *m, uint64_t va)
{
    struct mmu_map map;

    return window_covers(m->slot->window, va) &&
           !(m->guest->peek(m->s, va, MMU_LOAD, m->now.data_rights, &map) && map.write);
}

bool mmu_window_is_clean(struct mmu *m, uint64_t va, unsigned len)
{
    return is_clean(m, va) || is_clean(m, va + len - 1);
}
