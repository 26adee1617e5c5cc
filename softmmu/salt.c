/* Salts: what makes a jump-cache tag or a page tag die without being found.
 * An id stands for (space or all spaces' upper half, generation, fetch rights, mode). */
#include "softmmu/mmu_int.h"

#include "dbt/base/check.h"

/* 0 is no id: a state that was never switched has salt 0. */
enum { FIRST_ID = 1 };

static uint64_t page_hash(uint64_t va)
{
    return (va >> PAGE_BITS) * UINT64_C(0x9e3779b97f4a7c15) >> 51; /* 13 bits: BLOOM_BITS */
}

void salt_note_fetch(struct salt_set *set, uint64_t va)
{
    uint64_t h = page_hash(va);

    set->fetched[h / 64] |= bit(h % 64);
}

bool salt_has_fetched(const struct salt_set *set, uint64_t va)
{
    uint64_t h = page_hash(va);

    return (set->fetched[h / 64] >> (h % 64) & 1) || range_has(&set->huge, va);
}

void salt_drop(struct salt_set *set)
{
    set->n = 0;
    set->next = 0;
    memset(set->fetched, 0, sizeof(set->fetched));
}

void salt_clear(struct salt_set *set)
{
    salt_drop(set);
    range_clear(&set->huge);
}

struct salt_set *salt_set_of(struct mmu *m, struct space *sp, uint64_t va)
{
    if (!(va >> 63))
        return &sp->low;
    return sp->own_high ? &sp->high : &m->high;
}

/* All ids were given out once. What carries an old one goes, then they can be
 * given out again. */
static void begin_anew(struct mmu *m)
{
    for (unsigned i = 0; i < m->n_spaces; i++) {
        salt_drop(&m->spaces[i].low);
        salt_drop(&m->spaces[i].high);
    }
    salt_drop(&m->high);
    m->serial++;
    m->next_id = FIRST_ID;
    for (unsigned i = 0; i < 1u << JUMP_BITS; i++)
        m->s->jump[i].tag = JUMP_EMPTY;
    m->s->returns_stale = 1;
    if (m->salts_wrapped)
        m->salts_wrapped(m->salts_wrapped_arg);
}

void salt_reserve(struct mmu *m)
{
    if (m->next_id + 2 > SALT_IDS)
        begin_anew(m);
}

uint64_t salt_get(struct mmu *m, struct salt_set *set, uint64_t fetch_rights, uint32_t mode)
{
    unsigned i;

    for (i = 0; i < set->n; i++) {
        if (set->salt[i].fetch_rights == fetch_rights && set->salt[i].mode == mode)
            return (uint64_t)set->salt[i].id << 40;
    }
    if (set->n < N_SALTS)
        i = set->n++;
    else
        i = set->next++ % N_SALTS;
    CHECK(m->next_id < SALT_IDS && "salt_reserve comes before salt_get");
    set->salt[i].fetch_rights = fetch_rights;
    set->salt[i].mode = mode;
    set->salt[i].id = m->next_id++;
    return (uint64_t)set->salt[i].id << 40;
}
