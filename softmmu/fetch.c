/* Where code is. The run loop asks for every block that the jump caches do not
 * know, so the answers are kept, a page each, beside the TLB. Those of the upper half are one table
 * for all spaces, as the salts are, while what is fetched there is global: a process that is new
 * finds the kernel's. */
#include "softmmu/mmu_int.h"

/* ---- What is remembered ------------------------------------------------------------------- */

static void forget(struct fetches *f, unsigned i)
{
    f->entry[i].va = 0;
    f->filled[i / 64] &= ~bit(i % 64);
}

/* Entries that have all of `with` in their flags and nothing of `without`. */
static void forget_those(struct fetches *f, unsigned with, unsigned without)
{
    for (unsigned n = 0; n < N_FETCH / 64; n++)
        for (uint64_t left = f->filled[n]; left; left &= left - 1) {
            unsigned i = 64 * n + (unsigned)__builtin_ctzll(left);

            if ((f->entry[i].gpa & (with | without)) == with)
                forget(f, i);
        }
}

void fetches_forget(struct fetches *f, bool global_too)
{
    forget_those(f, 0, global_too ? 0 : TLB_GLOBAL);
    if (global_too)
        range_clear(&f->huge);
}

/* One leaf lies under many entries, and they do not say how far it reaches. */
void fetches_fence_page(struct fetches *f, uint64_t va, bool global_too)
{
    unsigned keep = global_too ? 0 : TLB_GLOBAL, i = fetch_index(va);

    if (f->entry[i].va == (page_of(va) | 1) && !(f->entry[i].gpa & keep))
        forget(f, i);
    if (range_has(&f->huge, va))
        forget_those(f, TLB_HUGE, keep);
}

static bool is_for_all(const struct mmu *m, uint64_t va)
{
    return va >> 63 && !m->space->own_high;
}

/* ---- Fetching ----------------------------------------------------------------------------- */

/* Code of the upper half that is not in every space: what was entered or linked there so
 * far was global and may stay with the shared salts; from now on this space has its own. */
static void leave_shared_high(struct mmu *m)
{
    m->space->own_high = true;
    mmu_refresh(m);
}

static bool access_fault(const struct mmu *m, uint64_t gva, struct mmu_fault *fault)
{
    *fault = (struct mmu_fault){m->guest->access_fault(MMU_FETCH), gva};
    return false;
}

static void keep(struct mmu *m, uint64_t gva, const struct mmu_map *map)
{
    struct fetches *f = is_for_all(m, gva) ? &m->high_fetches : &m->space->fetches;
    uint64_t flags = map->global ? TLB_GLOBAL : 0;
    unsigned i = fetch_index(gva);

    if (map->page_len > PAGE_SIZE) {
        flags |= TLB_HUGE | (map->page_len >= MIDDLE_BYTES && !map->write ? TLB_TEXT : 0);
        range_add_leaf(&f->huge, gva, map->page_len);
    }
    f->entry[i] =
        (struct fetch_entry){page_of(gva) | 1, page_of(map->gpa) | flags, m->now.fetch_rights};
    f->filled[i / 64] |= bit(i % 64);
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
        if (is_for_all(m, gva))
            again |= leaves_note(m, &m->high, gva, rights, &map);
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

/* Or NULL. */
static const struct fetch_entry *find(const struct mmu *m, uint64_t gva)
{
    const struct fetches *f = is_for_all(m, gva) ? &m->high_fetches : &m->space->fetches;
    const struct fetch_entry *e = &f->entry[fetch_index(gva)];

    return e->va == (page_of(gva) | 1) && e->rights == m->now.fetch_rights ? e : NULL;
}

bool mmu_fetched_whole(const struct mmu *m, uint64_t gva)
{
    return find(m, gva) != NULL;
}

bool mmu_fetched_text(const struct mmu *m, uint64_t gva)
{
    const struct fetch_entry *e = find(m, gva);

    return e && e->gpa & TLB_TEXT;
}

unsigned fetches_n_known(const struct fetches *f)
{
    unsigned n = 0;

    for (unsigned i = 0; i < N_FETCH / 64; i++)
        n += (unsigned)__builtin_popcountll(f->filled[i]);
    return n;
}

uint64_t mmu_sampled_code(const struct mmu *m)
{
    const uint64_t pc = m->s->pc;
    const struct fetch_entry *e = pc >> 63 ? NULL : find(m, pc);

    return e ? page_of(e->gpa) | (pc & (PAGE_SIZE - 1)) : 0;
}

bool mmu_fetch(struct mmu *m, uint64_t gva, uint64_t *gpa, struct mmu_fault *fault)
{
    const struct fetch_entry *e = find(m, gva);

    if (!e)
        return walk(m, gva, gpa, fault);
    *gpa = page_of(e->gpa) | (gva & (PAGE_SIZE - 1));
    salt_note_fetch(salt_ref_of(m, m->space, gva), gva);
    return true;
}
