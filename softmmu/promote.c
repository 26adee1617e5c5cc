/* Which address spaces have a window, and what is in it.
 *
 * A window pays where code runs for long in an address space whose mappings stay. What it costs is
 * known only afterwards. So (WINDOWS_AUTO):
 *
 *   gets a window    when it was found running for slot.need_ns, and would have saved by one what
 *                    it will cost as far as the TLB tells, from which it is filled: 1/RATE of the
 *                    time, and the walks for what the TLB had lost. What fences of all addresses
 *                    took in that time would have to be mapped again, and counts against it. Or as
 *                    soon as it is seen in code in which windows have earned before what it has
 *                    not yet earned itself (earned.c)
 *   loses it         when changing mappings took more than a credit and 1/RATE of the time, and the
 *                    next one takes BACKOFF times as long; or when nobody has used it for IDLE_MS
 *
 * The common view has one from the start, and loses it for the first of these reasons only.
 *
 * All of this happens between blocks (mmu_sample) or when a setting is new to the hart, in a
 * helper, behind which a block that runs counts on nothing of the window that it was entered with.
 */
#include "softmmu/mmu_int.h"

#include <inttypes.h>

#include "dbt/base/check.h"
#include "dbt/base/log.h"
#include "dbt/ir/ir.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
enum {
    AROUND = 16, /* pages that are mapped with one that was asked for */
    RATE = 32,
    BACKOFF = 8,
    SAMPLE_MAX_MS = 10, /* between two samples; what is longer was not all spent there */
    NEED_MS = 24,
    NEED_MAX_MS = 60000,
    CREDIT_MS = 3,
    CREDIT_COMMON_MS = 50, /* all that a kernel has translated would go with it */
    IDLE_MS = 10000,
    OPEN_US = 500, /* with the translation of what runs there */
    /* To map a page, and pages that follow each other; to unmap them when the process ends, or to
     * take the right to store away when they become code. Those that are written count twice. */
    PAGE_US = 2,
    PIECE_US = 2,
    GROW_US = 10,    /* a page fault of the guest's: two of the host's, and a page mapped alone */
    BLOCK_US = 5,    /* to make a new block and to run it for the first time, about */
    FAULT_NS = 3000, /* a SIGSEGV, measured (docs/windows.md) */
    FILL_NS = 60,    /* a walk, and the way there and back, at least */
    REFILL_NS = 500, /* to map a page again, AROUND at a time: 200 to 760 ns, measured */
};

void mmu_set_windows(struct mmu *m, struct windows *ws)
{
    m->windows = ws->policy == WINDOWS_OFF ? NULL : ws;
    mmu_refresh(m);
}

uint32_t mmu_code_mode(const struct mmu *m)
{
    return window_mode(m, &m->now, m->slot);
}

uint32_t window_mode(const struct mmu *m, const struct setting *set, const struct view_slot *slot)
{
    const struct mmu_guest *g = m->guest;
    bool common = m->common.slot.window && g->shares_code(set->space_key, set->data_rights);

    return common || slot->window ? IR_MODE_WINDOW : 0;
}

enum ir_window mmu_code_window(const struct mmu *m)
{
    const struct window *w = m->slot->window;

    return !w ? IR_WINDOW_NONE : w->first ? IR_WINDOW_UPPER : IR_WINDOW_LOWER;
}

bool mmu_owns_window_address(const struct mmu *m, const void *hva)
{
    return m->slot->window && window_owns(m->slot->window, hva);
}

/* ---- Having one --------------------------------------------------------------------------- */

static void take_away(struct mmu *m, struct view_slot *slot, const char *why)
{
    struct window *w = slot->window;

    uint64_t from = window_work();

    log_line(LOG_mmu, "mmu: window %u goes, with %" PRIu64 " pages: %s; %" PRIu64 " us were spent",
             w->n, w->n_pages, why, atomic_load(&w->spent) / US);
    for (unsigned i = 0; i < N_RECENT; i++) {
        if (m->recent[i].view == w->view)
            m->recent[i] = (struct recent){NULL, NULL};
        if (m->recent_page[i].window == w)
            m->recent_page[i].window = NULL;
    }
    if (!slot->pool)
        slot->pool = view_take(m);
    slot->window = NULL;
    slot->view = slot->pool;
    view_clear(slot); /* no fence has come here since it was in use */
    slot->view->rights = w->view->rights;
    slot->ran_ns = 0;
    earned_add(m, w->for_code, (int64_t)(w->spent_seen - atomic_load(&w->spent)));
    m->n_windows--;
    m->serial++;
    window_close(w);
    m->stats.windows_closed++;
    m->stats.window_turn_ns += window_work() - from;
}

/* The one that is used least recently makes room, if it is not in force. */
static bool make_room(struct mmu *m)
{
    struct view_slot *oldest = NULL;

    if (m->n_windows < m->windows->max_of_hart)
        return true;
    for (unsigned i = 0; i < m->n_spaces; i++) {
        for (unsigned k = 0; k < N_VIEWS; k++) {
            struct view_slot *slot = &m->spaces[i].slot[k];

            if (slot->window && slot != m->slot && (!oldest || slot->used < oldest->used))
                oldest = slot;
        }
    }
    if (!oldest)
        return false;
    take_away(m, oldest, "another needs its place");
    return true;
}

static int64_t credit_of(const struct mmu *m, const struct view_slot *slot)
{
    return (slot == &m->common.slot ? CREDIT_COMMON_MS : CREDIT_MS) * (int64_t)MS;
}

bool window_give(struct mmu *m, struct view_slot *slot, uint64_t space_key, uint64_t rights)
{
    uint64_t bound = m->guest->window_bound ? m->guest->window_bound(space_key, rights) : 0;
    uint64_t from = window_work();
    struct window *w;

    if (!bound || !make_room(m) || !(w = window_open(m->windows, bound)))
        return false;
    view_init(w->view);
    w->view->rights = rights;
    w->reviewed_at = window_clock();
    w->credit = credit_of(m, slot);
    m->stats.window_turn_ns += window_work() - from;
    slot->window = w;
    slot->view = w->view;
    view_clear(slot); /* nothing is in it, but slot.huge is another's or was never set */
    m->n_windows++;
    m->serial++;
    m->stats.windows_opened++;
    log_line(LOG_mmu, "mmu: window %u for space %" PRIx64 " after %" PRIu64 " ms", w->n, space_key,
             slot->ran_ns / MS);
    return true;
}

/* What comes back is as new to a window as to the tables; to map it again takes the time in which
 * one would earn that. */
void window_would_drop(struct view_slot *slot)
{
    uint64_t n = slot->n_fills < 2 * TLB_SIZE ? slot->n_fills : 2 * TLB_SIZE; /* at once */
    uint64_t ns = n * REFILL_NS * RATE;

    slot->ran_ns -= ns < slot->ran_ns ? ns : slot->ran_ns;
    slot->n_fills = 0;
}

void window_forget(struct mmu *m, struct view_slot *slot)
{
    if (slot->window)
        take_away(m, slot, "its space is recycled");
    slot->ran_ns = 0;
    slot->need_ns = NEED_MS * MS;
}

/* What changing its mappings may still take. */
static int64_t balance(const struct window *w, uint64_t now, uint64_t spent)
{
    return w->credit + (int64_t)((now - w->reviewed_at) / RATE) - (int64_t)(spent - w->spent_seen);
}

/* A window that has to go is seen to when the block that runs is left: a guest without a timer
 * would fence and fault for ever before a sample comes. */
static void sample_soon(struct mmu *m)
{
    const struct window *w = m->slot->window;

    if (w->failed || (m->windows->policy == WINDOWS_AUTO &&
                      balance(w, window_clock(), atomic_load(&w->spent)) < 0))
        state_pend(m->s, PENDING_LEAVE);
}

/* ---- Filling it ------------------------------------------------------------------------------ */

/* What may be mapped at va, as far as it can be told without changing anything. */
struct peeked {
    struct mmu_map map;
    bool write;
};

static bool peek(struct mmu *m, uint64_t va, struct peeked *p)
{
    const uint64_t rights = m->now.data_rights;
    bool whole = false;

    if (!window_covers(m->slot->window, va) || !m->guest->peek(m->s, va, rights, &p->map) ||
        !p->map.read || (m->slot == &m->common.slot && !p->map.global) ||
        !phys_is_ram(m->phys, p->map.gpa, 1) ||
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

static bool leaf_now(void *arg, uint64_t va, struct window_leaf *leaf)
{
    struct mmu *m = arg;
    struct peeked p;

    if (!peek(m, va, &p))
        return false;
    *leaf = (struct window_leaf){page_of(p.map.gpa), p.map.page_len, p.write};
    return p.map.page_len < MIDDLE_BYTES ||
           allows_leaf(m, align_down(p.map.gpa, MIDDLE_BYTES), p.map.write);
}

void window_recheck(struct mmu *m)
{
    DCHECK(m->slot == &m->common.slot && "it walks by what is in force");
    window_check(m->slot->window, leaf_now, m);
    sample_soon(m);
}

static void note_mapped(struct mmu *m, uint64_t n)
{
    m->stats.window_pages += n;
}

/* A leaf of 2 MiB and more: its 2 MiB around va in one piece, where physical protection is the same
 * for all of them. */
static bool map_leaf(struct mmu *m, uint64_t va, const struct peeked *p)
{
    const uint64_t gpa = align_down(p->map.gpa, MIDDLE_BYTES);

    if (p->map.page_len < MIDDLE_BYTES || p->write != p->map.write ||
        !allows_leaf(m, gpa, p->write))
        return false;
    note_mapped(m, PAGES_MIDDLE);
    window_map(m->slot->window, align_down(va, MIDDLE_BYTES), gpa, PAGES_MIDDLE, p->write,
               p->map.page_len);
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
    if (r->n) {
        note_mapped(m, r->n);
        window_map(m->slot->window, r->va, r->gpa, r->n, r->write, r->leaf_len);
    }
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

static bool has(const struct run *r, uint64_t va)
{
    return va - r->va < (uint64_t)r->n << PAGE_BITS;
}

/* The page of va, and those around it that the guest has touched: it will again. Of a kernel's,
 * which are stacks for the most part, those that make one piece with it: each costs a system call,
 * on each hart, and what is below a stack's first page is seldom used. */
static void map_around(struct mmu *m, uint64_t va)
{
    const bool in_one = m->slot == &m->common.slot;
    struct window *w = m->slot->window;
    uint64_t at = m->stress ? page_of(va) : align_down(va, AROUND << PAGE_BITS);
    unsigned n = m->stress ? 1 : AROUND; /* an end would be 0 where the addresses end */
    struct run run = {.n = 0};
    struct peeked p;

    for (; n > 0 && !w->failed; n--, at += PAGE_SIZE)
        if ((at == page_of(va) || is_wanted(w, at)) && peek(m, at, &p)) {
            if (in_one && run.n && !continues(&run, at, &p)) {
                if (has(&run, va))
                    break;
                run.n = 0;
            }
            add(m, &run, at, &p);
        }
    if (!in_one || has(&run, va))
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

/* Calls f for each entry of a page of the window's (NULL: of any) that the view's tables have, in
 * an order that has neighbours behind each other. Pages that are written have two. */
static void each_known(const struct mmu_view *v, const struct window *w,
                       void (*f)(struct mmu *m, struct run *r, const struct tlb_entry *e),
                       struct mmu *m, struct run *r)
{
    const struct tlb_entry *table[2] = {v->store, v->load};

    for (unsigned k = 0; k < 2; k++) {
        for (uint64_t touched = v->touched; touched; touched &= touched - 1) {
            unsigned first = (unsigned)__builtin_ctzll(touched) * CHUNK;

            for (unsigned i = first; i < first + CHUNK; i++)
                if ((!w || window_covers(w, table[k][i].tag)) && table[k][i].tag != TLB_EMPTY &&
                    tlb_index(table[k][i].tag) == i)
                    f(m, r, &table[k][i]);
        }
    }
}

static void map_known(struct mmu *m, struct run *r, const struct tlb_entry *e)
{
    struct window *w = m->slot->window;
    uint64_t va = e->tag;
    struct peeked p;

    if (!w->failed && !window_has(w, va, false) && peek(m, va, &p) && !map_leaf(m, va, &p))
        add(m, r, va, &p);
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
        return m->slot == &m->common.slot && !p.map.global ? WINDOW_LOCAL : WINDOW_PART;
    if (access == MMU_STORE && !p.write)
        return WINDOW_PART;
    if (w->failed)
        return WINDOW_REFUSED;
    if (window_shuns(w, va))
        return WINDOW_SHUNNED;
    if (m->stress)
        stress_map(m, va);
    if (m->stress || !map_leaf(m, va, &p))
        map_around(m, va);
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
    uint64_t from = window_work(), spent = atomic_load(&w->spent), pages = m->stats.window_pages;
    enum mmu_window_fault kind = fill_all(m, va, len, access);

    /* What was spent on dropping in between is counted already. */
    spent = atomic_load(&w->spent) - spent;
    uint64_t ns = FAULT_NS + (window_work() - from) - spent;

    m->stats.window_faults[kind]++;
    m->stats.window_fault_ns[kind] += ns;
    if (kind != WINDOW_OUTSIDE) /* of no page: the code is translated anew, the window stays */
        atomic_fetch_add(&w->spent, ns);
    sample_soon(m);
    log_line(LOG_mmu, "mmu: window %u: %s at %" PRIx64 ": %s; %" PRIu64 " pages mapped", w->n,
             access == MMU_STORE ? "store" : "load", va, fault_help[kind],
             m->stats.window_pages - pages);
    return kind;
}

static bool is_clean(struct mmu *m, uint64_t va)
{
    struct mmu_map map;

    return window_covers(m->slot->window, va) &&
           !(m->guest->peek(m->s, va, m->now.data_rights, &map) && map.write);
}

bool mmu_window_is_clean(struct mmu *m, uint64_t va, unsigned len)
{
    return is_clean(m, va) || is_clean(m, va + len - 1);
}

/* ---- Sampling -------------------------------------------------------------------------------- */

/* In microseconds. Pages that follow each other in both address spaces are one piece. run.gpa is
 * the addend. */
static void add_cost(struct mmu *m, struct run *r, const struct tlb_entry *e)
{
    (void)m;
    r->n += PAGE_US;
    if (e->tag != r->va + PAGE_SIZE || e->addend != r->gpa)
        r->n += PIECE_US;
    r->va = e->tag;
    r->gpa = e->addend;
}

/* What it will cost, by what the tables know. */
static uint64_t cost_of_window(struct mmu *m)
{
    struct run run = {.n = 0};

    each_known(m->slot->view, NULL, add_cost, m, &run);
    return (OPEN_US + run.n) * US;
}

static void promote(struct mmu *m, uint64_t cost)
{
    struct view_slot *slot = m->slot;
    struct mmu_view *known = slot->view;

    if (!window_give(m, slot, m->now.space_key, m->now.data_rights)) {
        slot->need_ns = NEED_MAX_MS * MS;
        return;
    }
    mmu_refresh(m); /* the view is another, and so are the salts */
    CHECK(m->slot == slot);
    struct window *w = slot->window;
    struct run run = {.n = 0};
    uint64_t from = window_work();

    each_known(known, w, map_known, m, &run);
    flush(m, &run);
    uint64_t ns = window_work() - from;

    atomic_fetch_add(&w->spent, ns);
    m->stats.window_fill_ns += ns;
    log_line(LOG_mmu, "mmu: window %u: filled with %" PRIu64 " pages in %" PRIu64 " us", w->n,
             w->n_pages, ns / US);
    /* Is paid for, by the time before or by what was earned; and what the estimate has more is for
     * what nobody measures: the opening, the closing, new code. */
    w->spent_seen = atomic_load(&w->spent);
    w->credit = credit_of(m, slot) + (int64_t)cost;
}

/* The physical page of the code that runs, 0 when it is not known, or a kernel's: that has one
 * window, for all spaces. */
static uint64_t code_page(const struct mmu *m)
{
    uint64_t pc = m->s->pc;

    return !(pc >> 63) && mmu_fetched_whole(m, pc) ? page_of(fetch_slot(m->space, pc)->gpa) : 0;
}

/* Where windows have earned in this code what the space cannot pay by itself yet, by the time that
 * it has run: many short ones could walk for as much, and would never drain the account. Not once
 * more where one has failed. */
static void promote_early(struct mmu *m, uint64_t code, uint64_t cost)
{
    const uint64_t own = m->slot->ran_ns / RATE;
    const int64_t lent = cost > own ? (int64_t)(cost - own) : 0;

    if (m->slot->need_ns > NEED_MS * MS || earned_of(m, code) < lent)
        return;
    promote(m, cost);
    if (!m->slot->window)
        return;
    m->slot->window->for_code = code;
    earned_add(m, code, -lent);
}

/* Between blocks only. The slot in force is taken into use anew, without its window. */
static void demote(struct mmu *m, const char *why, uint64_t need_ns)
{
    struct view_slot *slot = m->slot;

    take_away(m, slot, why);
    slot->need_ns = need_ns < NEED_MAX_MS * MS ? need_ns : NEED_MAX_MS * MS;
    mmu_refresh(m);
}

/* Where it was opened, and where it has shown that it should not have been. */
static void forget_earned(struct mmu *m, uint64_t code)
{
    earned_forget(m, code);
    earned_forget(m, m->slot->window->for_code);
}

static void review(struct mmu *m, uint64_t now, uint64_t since)
{
    struct window *w = m->slot->window;
    uint64_t spent = atomic_load(&w->spent), code = code_page(m);

    if (code)
        earned_add(m, code, (int64_t)(since / RATE) - (int64_t)(spent - w->spent_seen));
    w->credit = balance(w, now, spent);
    if (w->credit > credit_of(m, m->slot))
        w->credit = credit_of(m, m->slot);
    w->reviewed_at = now;
    w->spent_seen = spent;
    if (w->failed) {
        forget_earned(m, code);
        demote(m, "it needs more host mappings than there are", NEED_MAX_MS * MS);
    } else if (w->credit < 0 && m->windows->policy == WINDOWS_AUTO) {
        forget_earned(m, code);
        demote(m, "its mappings change too often", m->slot->need_ns * BACKOFF);
    }
}

/* One a call: a process that has gone says nothing. */
static void close_idle(struct mmu *m, uint64_t now)
{
    struct space *sp = &m->spaces[m->next_idle++ % m->n_spaces];

    for (unsigned k = 0; k < N_VIEWS; k++) {
        struct view_slot *slot = &sp->slot[k];

        if (!slot->window || slot == m->slot || m->windows->policy == WINDOWS_ALWAYS)
            continue;
        if (slot->window->last_used != slot->used) {
            slot->window->last_used = slot->used;
            slot->window->idle_from = now;
        } else if (now - slot->window->idle_from > IDLE_MS * MS) {
            take_away(m, slot, "nobody uses it");
        }
    }
}

void mmu_sample(struct mmu *m, uint64_t n_blocks)
{
    struct view_slot *slot = m->slot;

    if (!m->windows)
        return;
    uint64_t now = window_clock(), since = now - m->sampled_at;
    uint64_t n_new = n_blocks - m->sampled_blocks, n_faults = m->n_faults - m->sampled_faults;

    m->sampled_at = now;
    m->sampled_blocks = n_blocks;
    m->sampled_faults = m->n_faults;
    if (since > SAMPLE_MAX_MS * MS)
        since = SAMPLE_MAX_MS * MS;
    close_idle(m, now);
    if (slot->window) {
        review(m, now, since);
        return;
    }
    if (!m->guest->window_bound || !m->guest->window_bound(m->now.space_key, m->now.data_rights))
        return;
    if (n_new * BLOCK_US * US > since / 8)
        return; /* it is still coming to code that it has not run before */
    slot->ran_ns += since;
    if (n_faults * GROW_US * US > since / 8)
        return; /* and to pages */
    const uint64_t code = code_page(m);
    const bool due = slot->ran_ns >= slot->need_ns;

    if (!due && earned_of(m, code) <= 0)
        return;
    const uint64_t cost = cost_of_window(m);

    if (due && slot->ran_ns / RATE + slot->n_fills * FILL_NS >= cost)
        promote(m, cost);
    else
        promote_early(m, code, cost);
}
