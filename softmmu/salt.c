/* Salts: what makes a jump-cache tag or a page tag die without being found.
 * An id stands for (space or all spaces' upper half, generation, fetch rights, mode).
 *
 * A generation promises this: whatever was entered or linked under its ids leads where a walk led
 * that was made *after the generation was begun*. So a hart may go on to a newer generation at any
 * time, if it forgets the fetches it remembers from before; and a fence, which forbids what was
 * walked before it, makes a hart leave for a generation begun after the fence. One that another
 * hart has begun meanwhile will do: so harts that all fence (a kernel's remote fence) meet again.
 * A hart that finds all that was fetched where it was, by walks behind the fence, may stay, or go
 * on to the newest generation if it is in an older one (leaves.c).
 */
#define _GNU_SOURCE
#include "softmmu/mmu_int.h"

#include <stdlib.h>

#include "dbt/base/check.h"
#include "dbt/base/lock.h"

/* 0 is no id: a state that was never switched has salt 0. */
enum { FIRST_ID = 1 };

static uint64_t page_hash(uint64_t va)
{
    return (va >> PAGE_BITS) * UINT64_C(0x9e3779b97f4a7c15) >> 51; /* 13 bits: BLOOM_BITS */
}

struct salts *salts_create(unsigned n_harts)
{
    struct salts *s = calloc(1, sizeof *s);

    CHECK(s && "memory for the salts");
    lock_init(&s->lock);
    s->n_harts = n_harts;
    s->next_id = FIRST_ID;
    return s;
}

void salts_destroy(struct salts *s)
{
    salts_begin_anew(s); /* for the leaves */
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* ---- What was fetched under a generation ---------------------------------------------------
 *
 * Who fetches notes it, then walks; who fences has stored to the page table, then asks. So either
 * the walk sees the new page table, or the fence sees the note. */

void salt_note_fetch(struct salt_ref *r, uint64_t va)
{
    uint64_t h = page_hash(va);
    _Atomic uint64_t *word = &r->set->fetched[h / 64];

    if (!(atomic_load_explicit(word, memory_order_relaxed) >> (h % 64) & 1))
        atomic_fetch_or(word, bit(h % 64));
}

static bool huge_has(const struct salt_set *set, uint64_t va)
{
    return va >= atomic_load(&set->huge_first) && va <= atomic_load(&set->huge_last);
}

bool salt_note_leaf(struct mmu *m, struct salt_ref *r, uint64_t va, uint64_t page_len)
{
    struct salt_set *set = r->set;
    struct range leaf = {UINT64_MAX, 0};

    range_add_leaf(&leaf, va, page_len);
    if (huge_has(set, leaf.first) && huge_has(set, leaf.last))
        return false;
    pthread_mutex_lock(&m->salts->lock);
    if (leaf.first < set->huge_first)
        atomic_store(&set->huge_first, leaf.first);
    if (leaf.last > set->huge_last)
        atomic_store(&set->huge_last, leaf.last);
    pthread_mutex_unlock(&m->salts->lock);
    return true;
}

/* A generation that is not the newest is nobody's to ask: another's notes are in its place. That is
 * asked behind the notes, since the number changes before they are cleared. */
bool salt_may_have_fetched(const struct salt_ref *r, uint64_t va)
{
    uint64_t h = page_hash(va);

    if (!r->set)
        return true;
    if (atomic_load(&r->set->fetched[h / 64]) >> (h % 64) & 1)
        return true;
    return huge_has(r->set, va) || !salt_is_newest(r);
}

/* ---- Leaving and entering generations -----------------------------------------------------------
 */

void salt_demand(uint64_t *least, uint64_t moment)
{
    if (*least <= moment)
        *least = moment + 1;
}

void salt_leave(struct salt_ref *r, uint64_t moment, bool fetches_go)
{
    salt_demand(&r->least, moment);
    r->forget |= fetches_go;
}

void salt_init(struct salt_ref *r, uint64_t least)
{
    *r = (struct salt_ref){.least = least};
}

struct salt_ref *salt_ref_of(struct mmu *m, struct space *sp, uint64_t va)
{
    if (!(va >> 63))
        return &sp->low;
    return sp->own_high ? &sp->high : &m->high;
}

static bool same_key(const struct salt_key *a, const struct salt_key *b)
{
    return a->space_key == b->space_key && a->asid == b->asid && a->half == b->half &&
           a->domain == b->domain;
}

static void clear_huge(struct salt_set *set)
{
    atomic_store(&set->huge_first, UINT64_MAX);
    atomic_store(&set->huge_last, 0);
}

/* Order matters: salt_may_have_fetched(). With one hart fetches may be remembered on, and `huge`
 * has to cover them; with several everybody forgets them. */
static void begin_generation(struct salts *s, struct salt_set *set, bool forget)
{
    atomic_store(&set->generation, atomic_fetch_add(&s->generation, 1) + 1);
    for (unsigned i = 0; i < BLOOM_BITS / 64; i++)
        atomic_store_explicit(&set->fetched[i], 0, memory_order_relaxed);
    if (forget || s->n_harts > 1) {
        clear_huge(set);
        if (set->leaves)
            leaves_clear(set->leaves);
    }
    set->n = set->next = 0;
}

struct salt_set *salt_set_of(struct salts *s, const struct salt_key *key)
{
    for (unsigned i = 0; i < s->n_sets; i++)
        if (same_key(&s->set[i].key, key))
            return &s->set[i];
    return NULL;
}

/* The set of this key, or the one used least recently, made it. Who is in an old set's generation
 * stays there, and finds that it is not the newest. */
static struct salt_set *find_set(struct salts *s, const struct salt_key *key)
{
    struct salt_set *there = salt_set_of(s, key), *oldest = &s->set[0];

    if (there)
        return there;
    for (unsigned i = 0; i < s->n_sets; i++) {
        if (s->set[i].used < oldest->used)
            oldest = &s->set[i];
    }
    if (s->n_sets < N_SETS)
        oldest = &s->set[s->n_sets++];
    oldest->key = *key;
    free(oldest->leaves);
    oldest->leaves = key->half == SALT_HIGH_OF_ALL ? leaves_create() : NULL;
    begin_generation(s, oldest, true);
    return oldest;
}

static uint64_t id_of(struct salts *s, struct salt_set *set, uint64_t fetch_rights, uint32_t mode)
{
    unsigned i;

    for (i = 0; i < set->n; i++) {
        if (set->salt[i].fetch_rights == fetch_rights && set->salt[i].mode == mode)
            return set->salt[i].id;
    }
    if (set->n < N_SALTS)
        i = set->n++;
    else
        i = set->next++ % N_SALTS;
    CHECK(s->next_id < SALT_IDS && "salt_reserve comes before salt_take");
    set->salt[i].fetch_rights = fetch_rights;
    set->salt[i].mode = mode;
    set->salt[i].id = s->next_id++;
    return set->salt[i].id;
}

uint64_t salt_take(struct mmu *m, struct salt_ref *r, const struct salt_key *key,
                   uint64_t fetch_rights, uint32_t mode, bool *is_another)
{
    struct salts *s = m->salts;

    pthread_mutex_lock(&s->lock);
    const bool is_there = r->set && same_key(&r->set->key, key);
    struct salt_set *set = is_there ? r->set : find_set(s, key);

    if (set->generation < r->least)
        begin_generation(s, set, r->forget);
    set->used = ++s->tick;
    *is_another =
        r->generation != 0 && (s->n_harts > 1 ? r->generation != set->generation : !is_there);
    r->set = set;
    r->generation = set->generation;
    r->forget = false;
    uint64_t id = id_of(s, set, fetch_rights, mode);

    pthread_mutex_unlock(&s->lock);
    return id << 40;
}

/* ---- When the ids run out
 * ------------------------------------------------------------------------
 */

/* One hart: all ids were given out once. What carries an old one goes, then they can be given out
 * again. Several: long before that the owner is told, and stops the world. */
void salt_reserve(struct mmu *m)
{
    struct salts *s = m->salts;
    const uint32_t margin = s->n_harts > 1 ? SALT_MARGIN : 2;

    if (atomic_load_explicit(&s->next_id, memory_order_relaxed) + margin <= SALT_IDS)
        return;
    if (s->n_harts == 1) {
        salts_begin_anew(s);
        mmu_begin_anew(m);
    }
    if (m->salts_wrapped)
        m->salts_wrapped(m->salts_wrapped_arg);
}

void salts_begin_anew(struct salts *s)
{
    for (unsigned i = 0; i < s->n_sets; i++)
        free(s->set[i].leaves);
    s->n_sets = 0;
    memset(s->set, 0, sizeof s->set);
    s->next_id = FIRST_ID;
}

bool salts_are_low(const struct salts *s)
{
    return s->next_id + SALT_MARGIN > SALT_IDS;
}

/* The sets are gone, and other keys may be where refs point: no ref is believed. Nor is any fetch
 * remembered, whose leaf the new sets would have to know. */
static void forget_ref(struct salt_ref *r)
{
    *r = (struct salt_ref){.generation = r->generation ? 1 : 0, .least = r->least, .forget = true};
}

void mmu_begin_anew(struct mmu *m)
{
    for (unsigned i = 0; i < m->n_spaces; i++) {
        forget_ref(&m->spaces[i].low);
        forget_ref(&m->spaces[i].high);
        fetches_forget(&m->spaces[i].fetches, true);
    }
    forget_ref(&m->high);
    fetches_forget(&m->high_fetches, true);
    m->serial++;
    state_empty_jumps(m->s);
    m->s->returns_stale = 1;
}

/* ---- Domains
 * ------------------------------------------------------------------------------------- */

uint32_t salts_domain(struct salts *s, const void *bytes, size_t len)
{
    uint32_t i = 0;

    CHECK(len <= DOMAIN_BYTES);
    pthread_mutex_lock(&s->lock);
    while (i < s->n_domains && i < N_DOMAINS && memcmp(s->domain[i], bytes, len) != 0)
        i++;
    if (i == s->n_domains && i < N_DOMAINS)
        memcpy(s->domain[i], bytes, len);
    else if (i == N_DOMAINS) /* more than any firmware makes: nothing is shared with this one */
        i = s->n_domains;
    if (i >= s->n_domains)
        s->n_domains = i + 1;
    pthread_mutex_unlock(&s->lock);
    return i + 1; /* 0 is of harts that have said nothing yet */
}
