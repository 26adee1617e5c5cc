/* Where code is. The run loop asks for every block that the jump cache does not
 * know, so the answers are kept, a page each, beside the TLB. */
#include "softmmu/mmu_int.h"

/* Code of the upper half that is not in every space: what was entered or linked there so
 * far was global and may stay with the shared salts; from now on this space has its own. */
static void leave_shared_high(struct mmu *m)
{
    m->space->own_high = true;
    mmu_refresh(m);
    if (m->salts->n_harts > 1)
        space_forget_fetches(m->space); /* walked before another hart began this generation */
    salt_note_range(m, &m->space->high, &m->space->fetch_huge); /* of entries that may hit */
}

static bool access_fault(const struct mmu *m, uint64_t gva, struct mmu_fault *fault)
{
    *fault = (struct mmu_fault){m->guest->access_fault(MMU_FETCH), gva};
    return false;
}

static void keep(struct mmu *m, uint64_t gva, const struct mmu_map *map)
{
    struct space *sp = m->space;
    uint64_t flags = map->global ? TLB_GLOBAL : 0;

    if (map->page_len > PAGE_SIZE) {
        flags |= TLB_HUGE;
        range_add_leaf(&sp->fetch_huge, gva, map->page_len);
    }
    *fetch_slot(sp, gva) =
        (struct fetch_entry){page_of(gva) | 1, page_of(map->gpa) | flags, m->now.fetch_rights};
}

/* The page is noted as fetched, then walked to, and again if more had to be noted. */
static bool walk(struct mmu *m, uint64_t gva, uint64_t *gpa, struct mmu_fault *fault)
{
    const uint64_t rights = m->now.fetch_rights;
    struct mmu_map map;
    bool whole_page = false, again;

    m->stats.fetch_walks++;
    do {
        salt_note_fetch(salt_ref_of(m, m->space, gva), gva);
        again = false;
        if (!m->guest->walk(m->s, gva, MMU_FETCH, rights, &map, fault))
            return false;
        if (gva >> 63 && !map.global && !m->space->own_high) {
            leave_shared_high(m);
            again = true;
        }
        if (map.page_len > PAGE_SIZE)
            again |= salt_note_leaf(m, salt_ref_of(m, m->space, gva), gva, map.page_len);
    } while (again);
    /* Two bytes: the smallest instruction, and no finer does protection go. */
    if (!m->guest->allowed(m->s, map.gpa, 2, MMU_FETCH, rights, &whole_page))
        return access_fault(m, gva, fault);
    if (!phys_is_code(m->phys, map.gpa, 2))
        return access_fault(m, gva, fault);
    if (whole_page)
        keep(m, gva, &map);
    *gpa = map.gpa;
    return true;
}

bool mmu_fetched_whole(const struct mmu *m, uint64_t gva)
{
    const struct fetch_entry *f = fetch_slot(m->space, gva);

    return f->va == (page_of(gva) | 1) && f->rights == m->now.fetch_rights;
}

bool mmu_fetch(struct mmu *m, uint64_t gva, uint64_t *gpa, struct mmu_fault *fault)
{
    if (!mmu_fetched_whole(m, gva))
        return walk(m, gva, gpa, fault);
    *gpa = page_of(fetch_slot(m->space, gva)->gpa) | (gva & (PAGE_SIZE - 1));
    salt_note_fetch(salt_ref_of(m, m->space, gva), gva);
    return true;
}
