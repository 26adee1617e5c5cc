/* Leaves of the page table through which code of the upper half was fetched, by any hart, in the
 * newest generation of a set that is for all spaces. A kernel fences all addresses when it has
 * given back some pages of data, and what it runs is mapped as before: the few leaves of it can be
 * walked to again, where a new generation would make all harts enter and link everything anew.
 *
 * Who fetches walks, notes the leaf, and walks again if that was news. Who fences has stored to the
 * page table, then reads the notes. Both have the lock in between, so either the second walk sees
 * what was stored, or the fence sees the note. */
#include "softmmu/mmu_int.h"

#include <stdlib.h>

#include "dbt/base/check.h"

struct leaves *leaves_create(void)
{
    struct leaves *l = calloc(1, sizeof *l);

    CHECK(l && "memory for the leaves of a kernel's code");
    return l;
}

void leaves_clear(struct leaves *l)
{
    l->n = 0;
    l->incomplete = false;
}

/* The leaf that map is of. One of 64 KiB (Svnapot) has sixteen entries, which need not say the same
 * any more: so of what is small each page is noted, and walked to by its own. */
static struct leaf noted_leaf(uint64_t va, uint64_t rights, const struct mmu_map *map)
{
    const uint64_t part = map->page_len < MIDDLE_BYTES ? PAGE_SIZE : map->page_len;
    const uint64_t first = align_down(va, part);

    return (struct leaf){
        .va = first, .gpa = map->gpa - (va - first), .len = map->page_len, .rights = rights};
}

static bool same_leaf(const struct leaf *a, const struct leaf *b)
{
    return a->va == b->va && a->gpa == b->gpa && a->len == b->len && a->rights == b->rights;
}

/* Its notes are those of the generation that the hart is in. */
static bool is_for(const struct salt_ref *r)
{
    return r->set && r->set->leaves && r->set->generation == r->generation;
}

/* Those of the generation that the hart takes its next salts from, if it need not begin one. It may
 * lag behind, and forgets what it has fetched when it goes on. Alone it would keep that, of which
 * another generation's list does not know: then there is none to ask. salts.lock is held. */
static const struct leaves *leaves_of_next(const struct mmu *m)
{
    const struct salt_key key = {.half = SALT_HIGH_OF_ALL, .domain = m->domain};
    const struct salt_set *set = salt_set_of(m->salts, &key);

    return set && (m->salts->n_harts > 1 || set->generation == m->high.generation) ? set->leaves
                                                                                   : NULL;
}

/* True when the leaf was not there. */
static bool add(struct leaves *l, const struct leaf *leaf)
{
    for (unsigned i = 0; i < l->n; i++)
        if (same_leaf(&l->leaf[i], leaf))
            return false;
    if (l->n < N_LEAVES)
        l->leaf[l->n++] = *leaf;
    else if (l->incomplete)
        return false;
    else
        l->incomplete = true;
    return true;
}

bool leaves_note(struct mmu *m, const struct salt_ref *r, uint64_t va, uint64_t rights,
                 const struct mmu_map *map)
{
    const struct leaf leaf = noted_leaf(va, rights, map);
    bool is_news;

    pthread_mutex_lock(&m->salts->lock);
    is_news = is_for(r) && add(r->set->leaves, &leaf);
    pthread_mutex_unlock(&m->salts->lock);
    return is_news;
}

bool leaves_may_have(struct mmu *m, uint64_t va)
{
    bool may = true;

    pthread_mutex_lock(&m->salts->lock);
    const struct leaves *l = leaves_of_next(m);

    if (l && !l->incomplete) {
        may = false;
        for (unsigned i = 0; i < l->n; i++)
            may |= va - align_down(l->leaf[i].va, l->leaf[i].len) < l->leaf[i].len;
    }
    pthread_mutex_unlock(&m->salts->lock);
    return may;
}

static bool stands(struct mmu *m, const struct leaf *leaf)
{
    struct mmu_map map;

    if (!m->guest->peek(m->s, leaf->va, MMU_FETCH, leaf->rights, &map) || !map.global)
        return false;
    const struct leaf now = noted_leaf(leaf->va, leaf->rights, &map);

    return same_leaf(leaf, &now);
}

bool leaves_stand(struct mmu *m)
{
    struct leaves l = {.incomplete = true};

    if (!m->guest->peek)
        return false;
    pthread_mutex_lock(&m->salts->lock);
    const struct leaves *next = leaves_of_next(m);

    if (next)
        l = *next;
    pthread_mutex_unlock(&m->salts->lock);
    for (unsigned i = 0; i < l.n; i++)
        if (!stands(m, &l.leaf[i]))
            return false;
    return !l.incomplete;
}
