/* Which address spaces have a window; what is in it: fill.c.
 *
 * A window pays where code runs for long in an address space whose mappings stay. What it costs is
 * known only afterwards. So (WINDOWS_AUTO):
 *
 *   gets a window    when it was found running for slot.need_ns, and would have saved by one what
 *                    it will cost as far as the TLB tells, from which it is filled, and what
 *                    windows in this code have cost too much before (earned.c): a part of the time,
 *                    by how often the code that was found running reaches memory, and the walks for
 *                    what the TLB had lost. What fences of all addresses took in that time would
 *                    have to be mapped again, and counts against it. Half of the price where its
 *                    code can be lent the rest (part_to_pay). Or as soon as it is seen in code in
 *                    which windows have earned before what it has not yet earned itself
 *   loses it         when changing mappings took more than a credit and 1/RATE of the time in which
 *                    its hart ran, and the next one takes BACKOFF times as long; when nobody has
 *                    used it for IDLE_MS; or when its hart has as many as it may
 *
 * The common view has one from the start, and loses it for the first of these reasons only, where
 * more than 1/RATE_COMMON of the time goes: a kernel that starts processes one after the other
 * takes a fifth less time with one, and what is spent is mostly on those processes' stacks.
 *
 * All of this happens between blocks (mmu_sample) or when a setting is new to the hart, in a
 * helper, behind which a block that runs counts on nothing of the window that it was entered with.
 */
#include "softmmu/mmu_int.h"

#include <inttypes.h>
#include <string.h>

#include "dbt/base/check.h"
#include "dbt/base/log.h"
#include "dbt/ir/ir.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
enum {
    RATE = 32,     /* also what one saves in code of which nothing is known */
    RATE_MOST = 4, /* what it saves where the guest hardly does anything but reach memory */
    /* Halves of an instruction's time for a look-up in the table, where a cell takes one. By the
     * kernels of bench/, which have from none, where they wait for arithmetic, to ten halves. */
    LOOKUP_HALVES = 3,
    LOADS_NEAR = 1024, /* so many entries are likely to be in the host's nearest cache */
    LOOKUP_HALVES_FAR = 8,
    RATE_COMMON = 8,
    BACKOFF = 8,
    SAMPLE_MIN_US = 200, /* a guest that writes code comes to where they are taken all the time */
    SAMPLE_MAX_MS = 10,  /* between two samples; what is longer was not all spent there */
    /* The first looks come a millisecond apart, so many as many times as far apart. */
    SAMPLES_AS_OFTEN = 8,
    NEED_MS = 3,
    HOPE = 2,           /* who has run for so long will do so for as long again, as a rule */
    NEED_AGAIN_MS = 24, /* and BACKOFF times as long where one has failed */
    NEED_MAX_MS = 60000,
    CREDIT_MS = 3,
    CREDIT_COMMON_MS = 50, /* all that a kernel has translated would go with it */
    IDLE_MS = 10000,
    OPEN_US = 500,
    CODE_US = 200,  /* to translate what runs of a page of code anew, and what that displaces */
    CODE_ONCE = 64, /* so many pages any program runs, for the most part once, when it starts */
    /* To map a page, and pages that follow each other; to unmap them when the process ends, or to
     * take the right to store away when they become code. Those that are written count twice. */
    PAGE_US = 2,
    PIECE_US = 2,
    MIDDLE_US = 30,  /* 2 MiB of a huge leaf */
    GROW_US = 10,    /* a page fault of the guest's: two of the host's, and a page mapped alone */
    BLOCK_US = 5,    /* to make a new block and to run it for the first time, about */
    FILL_NS = 60,    /* a walk, and the way there and back, at least */
    N_MIDDLE = 512,  /* 2 MiB of huge leaves that cost_of_window() tells apart */
    REFILL_NS = 500, /* to map a page again, AROUND at a time: 200 to 760 ns, measured */
};

void mmu_set_windows(struct mmu *m, struct windows *ws)
{
    m->windows = ws->policy == WINDOWS_OFF ? NULL : ws;
    mmu_refresh(m);
}

void mmu_sample_due(struct mmu *m)
{
    m->sample_soon = true;
}

bool mmu_wants_sample(const struct mmu *m)
{
    return m->windows && (m->sample_soon || window_clock() - m->sampled_at >= SAMPLE_MIN_US * US);
}

uint32_t mmu_code_mode(const struct mmu *m)
{
    return window_mode(m, &m->now, m->slot);
}

uint32_t window_mode(const struct mmu *m, const struct setting *set, const struct view_slot *slot)
{
    const struct mmu_guest *g = m->guest;
    bool common = m->common->slot.window && g->shares_code(set->space_key, set->data_rights);

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

static void forget_recent(struct mmu *m, const struct window *w)
{
    for (unsigned i = 0; i < N_RECENT; i++) {
        if (m->recent[i].view == w->view)
            m->recent[i] = (struct recent){NULL, NULL};
        if (m->recent_page[i].window == w)
            m->recent_page[i].window = NULL;
    }
}

/* What samples have found counts from here on. */
static void forget_samples(struct view_slot *slot)
{
    slot->ran_ns = slot->saving_ns = 0;
    slot->n_code = slot->n_made = 0;
    memset(slot->code, 0, sizeof slot->code);
}

static uint64_t need_again(uint64_t need_ns)
{
    return need_ns > NEED_AGAIN_MS * MS ? need_ns : NEED_AGAIN_MS * MS;
}

static void take_away(struct mmu *m, struct view_slot *slot, const char *why)
{
    struct window *w = slot->window;

    uint64_t from = window_work();

    log_line(LOG_mmu, "mmu: window %u goes, with %" PRIu64 " pages: %s; %" PRIu64 " us were spent",
             w->n, w->n_pages, why, atomic_load(&w->spent) / US);
    if (is_common_slot(m, slot))
        for (unsigned i = 0; i < m->common->n_users; i++)
            forget_recent(m->common->user[i], w);
    else
        forget_recent(m, w);
    slot->window = NULL;
    slot_take_own(m, slot);
    forget_samples(slot);
    earned_add(m, w->for_code, (int64_t)(w->spent_seen - atomic_load(&w->spent)));
    slot_owner(m, slot)->n_windows--;
    slot_changed(m, slot);
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
    /* Else there may be more spaces than windows, each of which takes another's in its turn. */
    oldest->need_ns = need_again(oldest->need_ns);
    return true;
}

static int64_t credit_of(const struct mmu *m, const struct view_slot *slot)
{
    return (is_common_slot(m, slot) ? CREDIT_COMMON_MS : CREDIT_MS) * (int64_t)MS;
}

/* Its hart's own, which stands while another one has the thread; what harts have in common goes by
 * the host's. */
static uint64_t clock_for(const struct mmu *m, const struct window *w, uint64_t now)
{
    return w->first ? now : now - m->away_ns;
}

bool window_give(struct mmu *m, struct view_slot *slot, uint64_t space_key, uint64_t rights)
{
    uint64_t bound = m->guest->window_bound ? m->guest->window_bound(space_key, rights) : 0;
    uint64_t from = window_work();
    struct window *w;

    if (!bound || !make_room(slot_owner(m, slot)) || !(w = window_open(m->windows, bound)))
        return false;
    view_init(w->view);
    w->reviewed_at = clock_for(m, w, window_clock());
    w->credit = credit_of(m, slot);
    if (is_common_slot(m, slot))
        w->share = m->windows->pieces_of_common;
    m->stats.window_turn_ns += window_work() - from;
    slot->window = w;
    slot->view = w->view;
    view_clear(slot); /* nothing is in it, but slot.huge is another's or was never set */
    slot_owner(m, slot)->n_windows++;
    slot_changed(m, slot);
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
    uint64_t ns = n * REFILL_NS;

    slot->saving_ns -= ns < slot->saving_ns ? ns : slot->saving_ns;
    memset(slot->code, 0, sizeof slot->code); /* what was put off would be spared that */
    slot->n_fills = 0;
}

void window_forget(struct mmu *m, struct view_slot *slot)
{
    if (slot->window)
        take_away(m, slot, "its space is recycled");
    forget_samples(slot);
    slot->n_samples = 0;
    slot->need_ns = NEED_MS * MS;
}

/* What changing the mappings of the window in force may still take. */
static int64_t balance(const struct mmu *m, uint64_t now, uint64_t spent)
{
    const struct window *w = m->slot->window;
    const uint64_t rate = w->first ? RATE_COMMON : RATE, ns = clock_for(m, w, now) - w->reviewed_at;

    return w->credit + (int64_t)(ns / rate) - (int64_t)(spent - w->spent_seen);
}

/* A window that has to go is seen to when the block that runs is left: a guest without a timer
 * would fence and fault for ever before a sample comes. */
void window_sample_soon(struct mmu *m)
{
    const struct window *w = m->slot->window;

    if (w->failed || (m->windows->policy == WINDOWS_AUTO &&
                      balance(m, window_clock(), atomic_load(&w->spent)) < 0)) {
        m->sample_soon = true;
        state_pend(m->s, PENDING_LEAVE);
    }
}

/* ---- Sampling -------------------------------------------------------------------------------- */

/* Of `ns` in which such code ran: what a window saves, or would have saved. It is a guess: code
 * that waits for arithmetic saves nothing, and a list's elements save more. */
static uint64_t guess(const struct mmu_view *v, uint64_t ns, struct mmu_density code)
{
    if (!code.n_insns)
        return ns / RATE;
    const uint64_t lookup = view_n_loads(v) > LOADS_NEAR ? LOOKUP_HALVES_FAR : LOOKUP_HALVES;
    uint64_t halves = code.n_accesses + (lookup - 1) * code.n_lookups;
    uint64_t saving = ns * halves / (2 * code.n_insns);

    return saving < ns / RATE_MOST ? saving : ns / RATE_MOST;
}

/* What of that is more than 1/RATE is counted when the code's page is found running again. A
 * compiler, which is found in another page each time, waits for its own code: it saves next to
 * nothing, and has what it runs translated once more. Of a kernel's code no page is known: 1/RATE.
 */
static uint64_t saving_of(struct view_slot *slot, uint64_t page, uint64_t ns,
                          struct mmu_density code)
{
    if (!page)
        return ns / RATE;
    uint64_t saving = guess(slot->view, ns, code);

    for (unsigned i = 0; i < N_CODE; i++) {
        if (slot->code[i].page == page) {
            saving += slot->code[i].saved_ns;
            slot->code[i].saved_ns = 0;
            return saving;
        }
    }
    const uint64_t at_once = saving < ns / RATE ? saving : ns / RATE;

    slot->code[slot->next_code++ % N_CODE] = (struct sampled_code){page, saving - at_once};
    return at_once;
}

struct cost {
    uint64_t us;
    const struct tlb_entry *last;
    uint64_t middle[N_MIDDLE][2]; /* 2 MiB of huge leaves that are counted, by address | 1 */
};

/* A huge leaf is mapped 2 MiB at a time. Of those that have one place two are counted as that, and
 * all pages of a third: more than it costs, but not many times as much as without these places. */
static void add_middle(struct cost *c, uint64_t va)
{
    const uint64_t middle = align_down(va, MIDDLE_BYTES) | 1;
    uint64_t *seen = c->middle[va / MIDDLE_BYTES % N_MIDDLE];

    for (unsigned i = 0; i < 2; i++) {
        if (seen[i] == middle)
            return;
        if (!seen[i]) {
            seen[i] = middle;
            c->us += MIDDLE_US;
            return;
        }
    }
    c->us += PAGE_US + PIECE_US;
}

/* Pages that follow each other in both address spaces are one piece. */
static void add_cost(void *arg, const struct tlb_entry *e, unsigned flags)
{
    struct cost *c = arg;

    if (flags & TLB_MIDDLE) {
        add_middle(c, e->tag);
        return;
    }
    c->us += PAGE_US;
    if (!c->last || e->tag != c->last->tag + PAGE_SIZE || e->addend != c->last->addend)
        c->us += PIECE_US;
    c->last = e;
}

/* Pages of code that will be translated once more, beyond what any program has. A kernel's is
 * translated for windows anyway: it had one from the start. */
static unsigned much_code(const struct mmu *m)
{
    const unsigned n = is_common_slot(m, m->slot) ? 0 : fetches_n_known(&m->space->fetches);

    return n > CODE_ONCE ? n - CODE_ONCE : 0;
}

/* As much of it as samples did not find there already. */
static uint64_t cost_of_code(const struct mmu *m)
{
    const struct view_slot *slot = m->slot;

    return much_code(m) * CODE_US * (slot->n_code - slot->n_made) / slot->n_code;
}

/* What it will cost, by what the tables know, and the code that it has run. */
static uint64_t cost_of_window(struct mmu *m)
{
    struct cost cost = {.us = OPEN_US + cost_of_code(m)};

    view_each_known(m->slot->view, NULL, add_cost, &cost);
    return cost.us * US;
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

    log_line(LOG_mmu, "mmu: window %u: would have saved %" PRIu64 " us, and costs %" PRIu64, w->n,
             slot->saving_ns / US, cost / US);
    forget_samples(slot); /* what was put off was not saved by a window */
    window_fill(m, known);
    /* Is paid for, by the time before, what was earned, or on credit; and what the estimate has
     * more is for what nobody measures: the opening, the closing, new code. */
    w->spent_seen = atomic_load(&w->spent);
    w->credit = credit_of(m, slot) + (int64_t)cost;
}

static int64_t rest_of(uint64_t cost, uint64_t own)
{
    return cost > own ? (int64_t)(cost - own) : 0;
}

/* The code owes what it is lent, until windows have earned that in it. */
static void promote_by_loan(struct mmu *m, uint64_t code, uint64_t cost, int64_t lent)
{
    promote(m, cost);
    if (!m->slot->window || !code)
        return;
    m->slot->window->for_code = code;
    if (lent)
        earned_lend(m, code, lent);
}

/* Who has run for some time in known code pays half, and is lent the rest. Not where much code has
 * to be made once more, of which the price is a guess, nor where a window has failed before. */
static unsigned part_to_pay(struct mmu *m, uint64_t code)
{
    return code && m->slot->need_ns <= NEED_MS * MS && !much_code(m) && earned_can_lend(m, code)
               ? HOPE
               : 1;
}

/* Where windows have earned in this code what the space cannot pay by itself yet, by the time that
 * it has run: many short ones could walk for as much, and would never drain the account. Not once
 * more where one has failed, or lost its place. */
static bool may_be_early(struct mmu *m, uint64_t code, int64_t lent)
{
    return m->slot->need_ns <= NEED_MS * MS && earned_of(m, code) >= lent;
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

static void review(struct mmu *m, uint64_t now, uint64_t page, uint64_t saving)
{
    struct window *w = m->slot->window;
    uint64_t spent = atomic_load(&w->spent);

    if (page)
        earned_add(m, page, (int64_t)saving - (int64_t)(spent - w->spent_seen));
    w->credit = balance(m, now, spent);
    if (w->credit > credit_of(m, m->slot))
        w->credit = credit_of(m, m->slot);
    w->reviewed_at = clock_for(m, w, now);
    w->spent_seen = spent;
    if (w->failed) {
        forget_earned(m, page);
        demote(m, "it needs more host mappings than there are", NEED_MAX_MS * MS);
    } else if (w->credit < 0 && m->windows->policy == WINDOWS_AUTO) {
        forget_earned(m, page);
        demote(m, "its mappings change too often", BACKOFF * need_again(m->slot->need_ns));
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

/* What windows have overdrawn in this code comes first: what is left of the saving. */
static uint64_t pay_debt(struct mmu *m, uint64_t page, uint64_t saving)
{
    const int64_t owed = -earned_of(m, page);

    if (owed <= 0)
        return saving;
    const uint64_t paid = (uint64_t)owed < saving ? (uint64_t)owed : saving;

    earned_add(m, page, (int64_t)paid);
    return saving - paid;
}

static bool may_have_one(const struct mmu *m)
{
    const struct mmu_guest *g = m->guest;

    return g->window_bound && g->window_bound(m->now.space_key, m->now.data_rights);
}

static void look_at(struct mmu *m, uint64_t n_blocks, struct mmu_density code)
{
    struct view_slot *slot = m->slot;
    uint64_t now = window_clock(), since = now - m->sampled_at;
    uint64_t n_new = n_blocks - m->sampled_blocks, n_faults = m->n_faults - m->sampled_faults;

    m->sampled_at = now;
    m->sample_soon = false;
    m->sampled_blocks = n_blocks;
    m->sampled_faults = m->n_faults;
    if (since > SAMPLE_MAX_MS * MS)
        since = SAMPLE_MAX_MS * MS;
    close_idle(m, now);
    const uint64_t page = page_of(mmu_sampled_code(m));

    if (slot->window) {
        review(m, now, page, saving_of(slot, page, since, code));
        return;
    }
    if (!may_have_one(m))
        return;
    if (n_new * BLOCK_US * US > since / 8)
        return; /* it is still coming to code that it has not run before */
    slot->ran_ns += since;
    slot->n_code++;
    slot->n_made += code.is_made;
    slot->saving_ns += pay_debt(m, page, saving_of(slot, page, since, code));
    if (n_faults * GROW_US * US > since / 8)
        return; /* and to pages */
    const bool due = slot->ran_ns >= slot->need_ns;

    if (!due && earned_of(m, page) <= 0)
        return;
    const uint64_t cost = cost_of_window(m), own = slot->saving_ns + slot->n_fills * FILL_NS;
    const int64_t rest = rest_of(cost, slot->saving_ns);

    if (due && own >= cost / part_to_pay(m, page))
        promote_by_loan(m, page, cost, rest_of(cost, own));
    else if (may_be_early(m, page, rest))
        promote_by_loan(m, page, cost, rest);
}

uint64_t mmu_sample(struct mmu *m, uint64_t n_blocks, struct mmu_density code)
{
    if (!m->windows)
        return 0;
    look_at(m, n_blocks, code);
    struct view_slot *slot = m->slot;

    /* A kernel that has lost the common one would be woken from its sleep for nothing. */
    if (slot->window || m->windows->policy != WINDOWS_AUTO || is_common_slot(m, slot) ||
        !may_have_one(m))
        return 0;
    const uint64_t ms = 1 + slot->n_samples++ / SAMPLES_AS_OFTEN;

    return (ms < SAMPLE_MAX_MS ? ms : SAMPLE_MAX_MS) * MS;
}
