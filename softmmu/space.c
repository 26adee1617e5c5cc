/* Spaces and their views: finding, recycling, and dropping what a fence names. */
#define _GNU_SOURCE
#include "softmmu/mmu_int.h"

#include <inttypes.h>
#include <sys/mman.h>

#include "dbt/base/check.h"
#include "dbt/base/log.h"

/* ---- Dropping TLB entries ---------------------------------------------------------- */

/* Which entries go: those with (flags & flag_mask) == flags and (tag & va_mask) == va. */
struct drop {
    uint8_t flag_mask, flags;
    uint64_t va_mask, va;
};

/* Of the entries that were filled. */
static void drop_filled(struct tlb_entry *e, const uint8_t *flags, uint64_t *filled,
                        const struct drop *d)
{
    uint64_t left = *filled;

    for (uint64_t todo = left; todo; todo &= todo - 1) {
        unsigned i = (unsigned)__builtin_ctzll(todo);

        if ((flags[i] & d->flag_mask) == d->flags && (e[i].tag & d->va_mask) == d->va) {
            e[i].tag = TLB_EMPTY;
            left &= ~bit(i);
        }
    }
    *filled = left;
}

static void drop_from_view(struct mmu_view *v, const struct drop *d)
{
    cells_drop_all(v);
    for (uint64_t touched = v->touched; touched; touched &= touched - 1) {
        unsigned n = (unsigned)__builtin_ctzll(touched), at = n * CHUNK;

        drop_filled(v->load + at, v->load_flags + at, &v->load_filled[n], d);
        drop_filled(v->store + at, v->store_flags + at, &v->store_filled[n], d);
        if (!(v->load_filled[n] | v->store_filled[n]))
            v->touched &= ~bit(n);
    }
}

void view_clear_tables(struct view_slot *slot)
{
    drop_from_view(slot->view, &(struct drop){0});
    range_clear(&slot->huge[0]);
    range_clear(&slot->huge[1]);
}

static void clear_window(struct view_slot *slot)
{
    if (slot->window)
        window_drop_all(slot->window);
    window_would_drop(slot);
}

void view_clear(struct view_slot *slot)
{
    clear_window(slot);
    view_clear_tables(slot);
}

void view_clear_local(struct view_slot *slot)
{
    drop_from_view(slot->view, &(struct drop){.flag_mask = TLB_GLOBAL});
}

/* ---- Spaces --------------------------------------------------------------------------- */

/* All, or all that is not global; of windows all. */
static void clear_space(struct space *sp, bool global_too)
{
    for (unsigned i = 0; i < N_VIEWS; i++) {
        struct view_slot *slot = &sp->slot[i];

        if (slot->live)
            clear_window(slot);
        if (slot->view && global_too)
            view_clear_tables(slot);
        else if (slot->view)
            view_clear_local(slot);
    }
    fetches_forget(&sp->fetches, global_too);
    sp->stale = STALE_NOTHING;
    sp->n_own = 0;
}

static bool has_window(const struct space *sp)
{
    for (unsigned i = 0; i < N_VIEWS; i++)
        if (sp->slot[i].window)
            return true;
    return false;
}

/* One of which a fence by its asid has taken all, as a kernel does when a process ends; the one
 * that was used last, whose memory the host's caches have. Where processes come and go they all
 * would be gone through else. A fence of all spaces says nothing of any. */
static struct space *void_space(struct mmu *m)
{
    struct space *best = NULL;

    for (unsigned i = 0; i < m->n_spaces; i++) {
        struct space *sp = &m->spaces[i];

        if ((sp->stale == STALE_LOCAL || sp->n_own == 0) && sp != m->space &&
            m->space_key[i] != 0 && (!best || sp->used > best->used) && !has_window(sp))
            best = sp;
    }
    return best;
}

static struct space *oldest_space(struct mmu *m)
{
    struct space *oldest = NULL;

    for (unsigned i = 0; i < m->n_spaces; i++) {
        if (&m->spaces[i] != m->space && (!oldest || m->spaces[i].used < oldest->used))
            oldest = &m->spaces[i];
    }
    return oldest;
}

static struct space *free_space(struct mmu *m)
{
    struct space *sp = void_space(m);

    if (!sp && m->n_spaces < N_SPACES)
        return &m->spaces[m->n_spaces++];
    if (!sp)
        sp = oldest_space(m);
    m->serial++;
    m->stats.spaces_recycled++;
    return sp;
}

static uint64_t fenced_since(const struct mmu *m, unsigned half, uint32_t asid)
{
    const struct fenced *f = &m->fenced[half];
    const uint64_t of_asid = f->of_asid[asid % N_FENCED];

    return f->all > of_asid ? f->all : of_asid;
}

static struct space *make_space(struct mmu *m, uint64_t space_key, uint32_t asid)
{
    struct space *sp = free_space(m);
    size_t i = (size_t)(sp - m->spaces);

    m->space_key[i] = space_key;
    m->space_asid[i] = asid;
    for (unsigned k = 0; k < N_VIEWS; k++) {
        window_forget(m, &sp->slot[k]);
        slot_give_own(m, &sp->slot[k]);
        sp->slot[k].live = false;
    }
    if (m->common->of == sp)
        m->common->of = NULL;
    fetches_forget(&sp->fetches, true);
    salt_init(&sp->low, fenced_since(m, 0, asid));
    salt_init(&sp->high, fenced_since(m, 1, asid));
    sp->stale = STALE_NOTHING;
    sp->n_own = 0;
    sp->own_high = space_key == 0;
    m->stats.spaces_made++;
    return sp;
}

struct space *space_get(struct mmu *m, uint64_t space_key, uint32_t asid)
{
    for (unsigned i = 0; i < m->n_spaces; i++) {
        struct space *sp = &m->spaces[i];

        if (m->space_key[i] != space_key || m->space_asid[i] != asid)
            continue;
        if (sp->stale != STALE_NOTHING)
            clear_space(sp, sp->stale == STALE_ALL);
        return sp;
    }
    log_line(LOG_mmu, "mmu: space %" PRIx64 " asid %" PRIx32 " is new", space_key, asid);
    return make_space(m, space_key, asid);
}

/* ---- Views ---------------------------------------------------------------------------- */

void view_init(struct mmu_view *v)
{
    v->load[0].tag = v->load[TLB_SIZE - 1].tag = TLB_EMPTY;
    v->store[0].tag = v->store[TLB_SIZE - 1].tag = TLB_EMPTY;
    cells_init(v);
}

void view_fit_out(struct mmu *m, struct view_slot *slot, uint64_t space_key, uint64_t data_rights)
{
    window_forget(m, slot);
    if (!m->windows || (m->windows->policy != WINDOWS_ALWAYS && !is_common_slot(m, slot)) ||
        !window_give(m, slot, space_key, data_rights)) {
        slot_take_own(m, slot);
    }
    slot->rights = data_rights;
    slot->live = true;
}

struct view_slot *space_view(struct mmu *m, struct space *sp, uint64_t data_rights)
{
    const uint64_t space_key = m->space_key[sp - m->spaces];
    struct view_slot *best = NULL; /* a free one, or the one used least recently */

    if (common_is_for(m, space_key, data_rights))
        return common_view(m, space_key, data_rights);
    for (unsigned i = 0; i < N_VIEWS; i++) {
        struct view_slot *slot = &sp->slot[i];

        if (slot->live && slot->rights == data_rights) {
            if (!slot->view) /* a fence has emptied it */
                slot_take_own(m, slot);
            return slot;
        }
        if (!best || (best->live && (!slot->live || slot->used < best->used)))
            best = slot;
    }
    if (best->live)
        m->serial++; /* a combo may still lead here */
    view_fit_out(m, best, space_key, data_rights);
    return best;
}

/* ---- Fences ----------------------------------------------------------------------------- */

void view_fence_page(struct view_slot *slot, uint64_t va, bool global_too)
{
    struct mmu_view *v = slot->view;
    uint8_t keep = global_too ? 0 : TLB_GLOBAL;
    unsigned i = tlb_index(va);

    cells_drop_page(v, va);
    if (slot->window)
        window_drop_page(slot->window, va);
    if (v->load[i].tag == page_of(va) && !(v->load_flags[i] & keep))
        v->load[i].tag = TLB_EMPTY;
    if (v->store[i].tag == page_of(va) && !(v->store_flags[i] & keep))
        v->store[i].tag = TLB_EMPTY;
    if (!range_has(&slot->huge[va >> 63], va))
        return;
    /* One leaf lies under many entries, and they do not say how far it reaches. */
    drop_from_view(v, &(struct drop){.flag_mask = TLB_HUGE | keep,
                                     .flags = TLB_HUGE,
                                     .va_mask = bit(63),
                                     .va = va & bit(63)});
}

/* True when the hart must leave the generation. One that lags behind may go on to the newest if
 * that has not fetched the page; of its own nobody knows any more. */
static bool fence_salts(struct mmu *m, struct salt_ref *r, uint64_t va, uint64_t moment)
{
    if (!salt_may_have_fetched(r, va))
        return false;
    if (r == &m->high && !leaves_may_have(m, va))
        return !r->set || !salt_is_newest(r);
    salt_leave(r, moment, false);
    return true;
}

/* True when salts went. */
static bool fence_page(struct mmu *m, struct space *sp, uint64_t va, bool global_too,
                       uint64_t moment)
{
    /* Salts went when it became so, and this hart has fetched nothing since; another may have. */
    if (sp->stale == STALE_ALL) {
        salt_leave(va >> 63 ? &sp->high : &sp->low, moment, false);
        return false;
    }
    for (unsigned i = 0; i < N_VIEWS; i++) {
        if (sp->slot[i].view)
            view_fence_page(&sp->slot[i], va, global_too);
    }
    fetches_fence_page(&sp->fetches, va, global_too);
    /* The shared set knows global code only; mmu_fence() asks it once. */
    struct salt_ref *r = salt_ref_of(m, sp, va);

    if (r != &m->high)
        return fence_salts(m, r, va, moment);
    salt_leave(&sp->high, moment, false); /* should it get its own */
    return false;
}

static void fence_space_all(struct space *sp, uint64_t moment)
{
    sp->stale = STALE_ALL;
    salt_leave(&sp->low, moment, true);
    salt_leave(&sp->high, moment, true);
}

/* What is global in them goes, too. That is little where a kernel's rights have the common view. */
static void give_views(struct mmu *m, struct space *sp)
{
    if (!m->common->slot.live || m->common->is_of_no_use)
        return;
    for (unsigned i = 0; i < N_VIEWS; i++)
        if (&sp->slot[i] != m->slot && !sp->slot[i].window)
            slot_give_own(m, &sp->slot[i]);
}

static void fence_space_local(struct mmu *m, struct space *sp, uint64_t moment)
{
    give_views(m, sp);
    if (sp->stale == STALE_NOTHING)
        sp->stale = STALE_LOCAL;
    salt_leave(&sp->low, moment, false);
    salt_leave(&sp->high, moment, false);
}

/* For spaces that the hart does not have now. */
static void note_fence(struct mmu *m, uint64_t moment, bool all_va, uint64_t va, bool all_asid,
                       uint32_t asid)
{
    for (unsigned half = 0; half < 2; half++) {
        struct fenced *f = &m->fenced[half];

        if (all_va || va >> 63 == half)
            salt_demand(all_asid ? &f->all : &f->of_asid[asid % N_FENCED], moment);
    }
}

/* The page table's stores come before the look at the generation, and before the questions of
 * salt_may_have_fetched(). */
uint64_t mmu_moment(const struct mmu *m)
{
    atomic_thread_fence(memory_order_seq_cst);
    return atomic_load(&m->salts->generation);
}

void mmu_fence(struct mmu *m, bool all_va, uint64_t va, bool all_asid, uint32_t asid)
{
    mmu_fence_since(m, mmu_moment(m), all_va, va, all_asid, asid);
}

void mmu_fence_since(struct mmu *m, uint64_t moment, bool all_va, uint64_t va, bool all_asid,
                     uint32_t asid)
{
    bool refresh = all_va;

    m->stats.fences++;
    note_fence(m, moment, all_va, va, all_asid, asid);
    if (log_on(LOG_mmu))
        log_line(LOG_mmu, "mmu: fence %s%" PRIx64 " asid %s%" PRIx32, all_va ? "all " : "va ",
                 all_va ? 0 : va, all_asid ? "all " : "", all_asid ? 0 : asid);
    for (unsigned i = 0; i < m->n_spaces; i++) {
        if (m->space_key[i] == 0) /* no page table lies behind it */
            continue;
        if (!all_asid && m->space_asid[i] != asid)
            continue;
        if (all_va && all_asid)
            fence_space_all(&m->spaces[i], moment);
        else if (all_va)
            fence_space_local(m, &m->spaces[i], moment);
        else
            refresh |= fence_page(m, &m->spaces[i], va, all_asid, moment);
    }
    common_fence(m, moment, all_va, va, all_asid, asid);
    if (all_asid && all_va) {
        if (!m->high_in_doubt || m->high_moment < moment)
            m->high_moment = moment;
        m->high_in_doubt = true;
    } else if (all_asid && va >> 63) {
        fetches_fence_page(&m->high_fetches, va, true);
        refresh |= fence_salts(m, &m->high, va, moment);
    }
    if (refresh)
        mmu_refresh(m);
}

void mmu_flush_all(struct mmu *m)
{
    const uint64_t moment = mmu_moment(m);

    for (unsigned i = 0; i < m->n_spaces; i++)
        fence_space_all(&m->spaces[i], moment);
    note_fence(m, moment, true, 0, true, 0);
    m->is_foreign = true;
    fetches_forget(&m->high_fetches, true);
    salt_leave(&m->high, moment, true);
    m->high.set = NULL; /* what is fetched under another protection, no fence asks this one for */
    mmu_note_domain(m);
    mmu_refresh(m);
}

void mmu_forget_known(struct mmu *m)
{
    for (unsigned i = 0; i < m->n_spaces; i++)
        for (unsigned k = 0; k < N_VIEWS; k++)
            if (m->spaces[i].slot[k].view)
                drop_from_view(m->spaces[i].slot[k].view, &(struct drop){0});
    if (m->common->slot.live)
        drop_from_view(m->common->slot.view, &(struct drop){0});
}

void mmu_forget_store(struct mmu *m, uint64_t gva)
{
    struct tlb_entry *e = &m->slot->view->store[tlb_index(gva)];

    cells_drop_page(m->slot->view, gva);
    if (e->tag == page_of(gva))
        e->tag = TLB_EMPTY;
}
