/* The common view: what a kernel has mapped alike in all address spaces of a hart, and of the harts
 * that run in turn on one thread (mmu_share).
 *
 * A translation that one hart has walked to may be used by another only if that one might have
 * walked to it itself, for each is told only of changes to what it can know (privileged
 * specification, SFENCE.VMA). A hart may walk ahead at any time while its page table is in force.
 * So whenever a global page is filled, each other user is asked: would its walk begin with the same
 * entry of the root? If so it leads to the same page, and may be used. If not, that page is
 * foreign to the user. When it comes back the tables are emptied, and of its window remains what it
 * walks to itself.
 *
 * A fence of a page drops it for all, which is more than is asked. After a fence of all addresses
 * all is foreign to the user that has made it, but if another user has come back so behind the
 * fence's moment: all that is there was walked to since, by walks that the user was asked about. Of
 * a fence that is for all harts so the first one of each thread only looks through the window.
 * Those that others ask of a hart that is away are done before it goes on
 * (frontend/riscv/sys/cluster.c). */
#include "softmmu/mmu_int.h"

#include "dbt/base/check.h"

void common_init(struct mmu *m)
{
    m->common = &m->own_common;
    m->common->user[m->common->n_users++] = m;
}

/* Nobody runs any more: if it is m's own, the others only have to find none. */
void common_fini(struct mmu *m)
{
    struct common *c = m->common;
    unsigned n = 0;

    window_forget(m, &m->own_common.slot);
    for (unsigned i = 0; i < c->n_users; i++) {
        if (c == &m->own_common)
            c->user[i]->common = &c->user[i]->own_common;
        else if (c->user[i] != m)
            c->user[n++] = c->user[i];
    }
    c->n_users = n;
}

void mmu_share(struct mmu *m, struct mmu *first)
{
    struct common *c = first->common;

    CHECK(m->common == &m->own_common && m->common->n_users == 1 && !m->common->slot.live);
    CHECK(!c->slot.live && c->n_users < MMU_SHARERS_MAX);
    views_join(m, first->views);
    m->common = c;
    c->user[c->n_users++] = m;
}

void slot_changed(struct mmu *m, const struct view_slot *slot)
{
    if (!is_common_slot(m, slot)) {
        m->serial++;
        return;
    }
    for (unsigned i = 0; i < m->common->n_users; i++)
        m->common->user[i]->serial++;
}

struct mmu *slot_owner(struct mmu *m, const struct view_slot *slot)
{
    return is_common_slot(m, slot) ? m->common->user[0] : m;
}

/* ---- Taking it into use --------------------------------------------------------------- */

struct view_slot *common_view(struct mmu *m, uint64_t space_key, uint64_t data_rights)
{
    struct view_slot *slot = &m->common->slot;

    DCHECK(!slot->live || slot->rights == data_rights);
    if (!slot->live)
        view_fit_out(m, slot, space_key, data_rights);
    return slot;
}

bool common_is_for(struct mmu *m, uint64_t space_key, uint64_t data_rights)
{
    if (!m->guest->shares_view || !m->guest->shares_view(space_key, data_rights))
        return false;
    if (m->common->is_of_no_use)
        window_forget(m, &m->common->slot);
    return !m->common->is_of_no_use;
}

/* A kernel whose own pages are not global loses them at each change of space: it is better off with
 * a view for each. */
static void count_loss(struct mmu *m)
{
    struct common *c = m->common;

    if (++c->n_lost < COMMON_TRIAL || c->n_lost < c->n_entered / 2)
        return;
    c->is_of_no_use = true;
    slot_changed(m, &c->slot);
}

void common_enter(struct mmu *m, const struct space *sp)
{
    struct common *c = m->common;

    c->n_entered++;
    if (c->has_others && c->of != sp)
        count_loss(m);
    if (m->is_foreign) {
        const uint64_t since = mmu_moment(m);

        if (c->slot.window)
            window_recheck(m);
        view_clear_tables(&c->slot);
        c->walked_since = since;
    } else if (c->has_others) {
        view_clear_local(&c->slot); /* the window has none */
    }
    m->is_foreign = false;
    c->has_others = false;
    c->others_go = false;
    c->of = sp;
}

/* ---- What is in it ------------------------------------------------------------------------ */

static bool agrees(const struct mmu *m, const struct mmu *user, uint64_t va)
{
    return user->domain == m->domain && m->guest->walks_alike &&
           m->guest->walks_alike(m->s, user->s, va);
}

void common_note(struct mmu *m, uint64_t va, bool is_global)
{
    struct common *c = m->common;

    if (!is_global) {
        c->has_others = true;
        return;
    }
    for (unsigned i = 0; i < c->n_users; i++) {
        struct mmu *user = c->user[i];

        if (user != m && !user->is_foreign && !agrees(m, user, va))
            user->is_foreign = true;
    }
}

/* ---- Fences --------------------------------------------------------------------------------- */

/* May what is not global in it be this hart's, and of this asid? */
static bool is_of(const struct mmu *m, uint32_t asid)
{
    for (unsigned i = 0; i < m->n_spaces; i++)
        if (m->common->of == &m->spaces[i])
            return m->space_asid[i] == asid;
    return false;
}

void common_fence(struct mmu *m, uint64_t moment, bool all_va, uint64_t va, bool all_asid,
                  uint32_t asid)
{
    struct common *c = m->common;

    /* A generation was begun behind the fence's stores, and what is there was walked to behind
     * that; else it is not known. */
    if (all_va && all_asid)
        m->is_foreign |= c->walked_since <= moment;
    else if (all_va && is_of(m, asid))
        c->others_go = true;
    else if (!all_va && c->slot.live && (all_asid || is_of(m, asid)))
        view_fence_page(&c->slot, va, all_asid);
}
