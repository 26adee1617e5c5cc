/* softmmu/salt, leaves, fetch, space: random fetches, links, page-table changes, fences and changes
 * of protection of one to three harts, against what the privileged specification ("SFENCE.VMA")
 * allows: behind a fence nobody comes to a page that was there before it, by a fetch or by a link
 * under the salt in force; nor ever to one that protection forbids now. In the middle of a walk
 * another hart may do anything.
 *
 *      test_salts_random [SEED COUNT]      more of them */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/toy_guest.h"

enum {
    ALL = TOY_R | TOY_W | TOY_X,
    N_MAPS = 14,
    MAX_KEYS = 80,
    MAX_VERSIONS = 400,
    MAX_LINKS = 1 << 16,
    MAX_LATE = 16,
    MAX_HARTS = 3,
    STEPS = 3000,
    BIG = 0x4000, /* of a large leaf */
};

struct fence {
    bool all_va, all_asid;
    uint64_t va;
    uint32_t asid;
    unsigned at;     /* the step */
    uint64_t moment; /* the same, as the salts count */
};

static struct {
    unsigned n_harts, n_keys, now;
    struct toy *hart[MAX_HARTS];
    uint8_t domain[MAX_HARTS];
    unsigned key[MAX_HARTS], rights[MAX_HARTS];
    bool is_within;                   /* somebody's walk */
    bool is_stale;                    /* somebody has come to what is gone, in there */
    unsigned protection_lasts, moves; /* how often: each history has its own */
    bool big;                         /* some leaves are */
    /* Where each mapping led, and from which step on. */
    struct {
        uint64_t gpa;
        unsigned at;
    } was[N_MAPS][MAX_VERSIONS];
    unsigned n_was[N_MAPS];
    unsigned fenced[MAX_HARTS][N_MAPS][MAX_KEYS]; /* by this hart, when last */
    struct fence late[MAX_HARTS][MAX_LATE];       /* others', of which it has not been told */
    unsigned n_late[MAX_HARTS];
    struct {
        uint64_t salt, va, gpa;
    } link[MAX_LINKS];
    unsigned n_links;
    uint64_t random;
} w;

static unsigned below(unsigned n)
{
    w.random ^= w.random << 13;
    w.random ^= w.random >> 7;
    w.random ^= w.random << 17;
    return (unsigned)((w.random >> 11) % n);
}

static unsigned hart_of(const struct cpu_state *s)
{
    unsigned h = 0;

    while (s != &w.hart[h]->s)
        h++;
    return h;
}

static size_t domain_of(struct cpu_state *s, uint8_t *out)
{
    *out = w.domain[hart_of(s)];
    return 1;
}

static void others_step(unsigned h);

static bool walk(struct cpu_state *s, uint64_t gva, enum mmu_access access, uint64_t rights,
                 struct mmu_map *map, struct mmu_fault *fault)
{
    bool found = toy_walk(s, gva, access, rights, map, fault);

    others_step(hart_of(s));
    return found;
}

static bool peek(struct cpu_state *s, uint64_t gva, enum mmu_access access, uint64_t rights,
                 struct mmu_map *map)
{
    bool found = toy_peek_map(s, gva, access, rights, map);

    others_step(hart_of(s));
    return found;
}

/* A quarter of the histories is of a guest without: there every fence of all kills all. */
static const struct mmu_guest without_peek = {.walk = walk,
                                              .allowed = toy_allowed,
                                              .domain = domain_of,
                                              .access_fault = toy_access_fault,
                                              .misaligned = toy_misaligned};
static struct mmu_guest with_peek;

static uint32_t asid_of(unsigned key)
{
    return key == 0 ? 0 : key < 3 ? 1 : key % 7;
}

static void forget_links(void *arg)
{
    (void)arg;
    w.n_links = 0;
}

/* ---- The rules ---------------------------------------------------------------------------- */

static bool covers(const struct toy_map *p, unsigned key, const struct fence *f)
{
    if (!f->all_va && f->va - p->va >= p->len)
        return false;
    return f->all_asid || (!(p->flags & TOY_G) && asid_of(key) == f->asid);
}

static void was_fenced(unsigned h, const struct fence *f)
{
    for (unsigned i = 0; i < N_MAPS; i++)
        for (unsigned key = 1; key < MAX_KEYS; key++)
            if (covers(&w.hart[0]->map[i], key, f) && w.fenced[h][i][key] < f->at)
                w.fenced[h][i][key] = f->at;
}

/* Did mapping i lead to gpa at any time since the hart's last fence of it? */
static bool may_lead_to(unsigned h, unsigned i, uint64_t gpa)
{
    for (unsigned v = 0; v < w.n_was[i]; v++) {
        unsigned end = v + 1 < w.n_was[i] ? w.was[i][v + 1].at : UINT32_MAX;

        if (w.was[i][v].gpa == gpa && end > w.fenced[h][i][w.key[h]])
            return true;
    }
    return false;
}

/* ---- What harts do ------------------------------------------------------------------------ */

static void map_elsewhere(unsigned i)
{
    uint64_t gpa = TOY_RAM + (uint64_t)BIG * (1 + below(400));

    if (w.n_was[i] == MAX_VERSIONS)
        return;
    for (unsigned h = 0; h < w.n_harts; h++)
        w.hart[h]->map[i].gpa = gpa;
    w.was[i][w.n_was[i]].gpa = gpa;
    w.was[i][w.n_was[i]++].at = w.now;
}

static void make_fence(unsigned h, const struct fence *f)
{
    mmu_fence_since(w.hart[h]->mmu, f->moment, f->all_va, f->va, f->all_asid, f->asid);
    was_fenced(h, f);
}

static uint64_t offset_in(const struct toy_map *p)
{
    return UINT64_C(0x1000) * below((unsigned)(p->len >> 12));
}

/* Each other hart is told of half of them, later. */
static void fence(unsigned h, const struct toy_map *p)
{
    struct fence f = {.all_va = below(4) == 0,
                      .all_asid = below(2) != 0,
                      .va = p->va + offset_in(p),
                      .asid = asid_of(1 + below(w.n_keys)),
                      .at = w.now,
                      .moment = mmu_moment(w.hart[h]->mmu)};

    for (unsigned o = 0; o < w.n_harts; o++)
        if (o != h && below(2) && w.n_late[o] < MAX_LATE)
            w.late[o][w.n_late[o]++] = f;
    make_fence(h, &f);
}

static void hear_of_fences(unsigned h)
{
    for (unsigned k = 0; k < w.n_late[h]; k++)
        make_fence(h, &w.late[h][k]);
    w.n_late[h] = 0;
}

static void enter(unsigned h)
{
    w.key[h] = below(12) == 0 ? 0 : 1 + below(w.n_keys);
    w.rights[h] = below(4) ? TOY_SUPER : TOY_USER;
    toy_switch(w.hart[h], w.key[h], asid_of(w.key[h]), w.rights[h], w.rights[h], below(8) == 0);
}

/* 0 forbids nothing; others a hundred places each. */
static void change_protection(unsigned h)
{
    const struct fence all = {.all_va = true, .all_asid = true, .at = w.now};
    struct toy *t = w.hart[h];

    w.domain[h] = (uint8_t)below(3);
    t->forbidden = TOY_RAM + (uint64_t)BIG * 100 * w.domain[h];
    t->forbidden_len = w.domain[h] ? (uint64_t)BIG * 100 : 0;
    t->forbidden_access = 1 << MMU_FETCH;
    mmu_flush_all(t->mmu);
    was_fenced(h, &all);
}

/* And at once, perhaps, there is something to fence before anything else is known. */
static void come_under_another(unsigned h, unsigned i)
{
    const struct toy_map *p = &w.hart[h]->map[i];

    change_protection(h);
    if (below(2))
        return;
    map_elsewhere(i);
    w.now++;
    make_fence(h, &(struct fence){.all_asid = true,
                                  .va = p->va + offset_in(p),
                                  .at = w.now,
                                  .moment = mmu_moment(w.hart[h]->mmu)});
    enter(h);
}

static bool is_forbidden(unsigned h, uint64_t gpa)
{
    return gpa - w.hart[h]->forbidden < w.hart[h]->forbidden_len;
}

/* The world stands still. */
static void begin_anew(void)
{
    struct salts *salts = w.hart[0]->mmu->salts;

    forget_links(NULL);
    salts_begin_anew(salts);
    for (unsigned h = 0; h < w.n_harts; h++)
        mmu_begin_anew(w.hart[h]->mmu);
    for (unsigned h = 0; h < w.n_harts; h++)
        mmu_refresh(w.hart[h]->mmu);
}

static unsigned find_link(uint64_t salt, uint64_t va)
{
    unsigned k = 0;

    while (k < w.n_links && (w.link[k].salt != salt || w.link[k].va != va))
        k++;
    return k;
}

/* By the link that there may be, then by a fetch, which makes one. False: to a page that is gone.
 */
static bool run(unsigned h, unsigned i)
{
    struct toy *t = w.hart[h];
    const struct toy_map *p = &t->map[i];
    const uint64_t offset = offset_in(p), va = p->va + offset;
    unsigned k = find_link(t->s.salt[va >> 63], va);
    struct mmu_fault fault;
    uint64_t gpa;

    if (!w.key[h] || (p->key && p->key != w.key[h]) ||
        !(p->flags & TOY_U) == (w.rights[h] == TOY_USER))
        return true;
    if (k < w.n_links &&
        (!may_lead_to(h, i, w.link[k].gpa - offset) || is_forbidden(h, w.link[k].gpa)))
        return false;
    if (below(2))
        return true;
    if (!mmu_fetch(t->mmu, va, &gpa, &fault))
        return w.domain[h] != 0;
    if (is_forbidden(h, gpa))
        return false;
    k = find_link(t->s.salt[va >> 63], va);
    if (k == MAX_LINKS)
        return may_lead_to(h, i, gpa - offset);
    w.n_links += k == w.n_links;
    w.link[k].salt = t->s.salt[va >> 63];
    w.link[k].va = va;
    w.link[k].gpa = gpa;
    return may_lead_to(h, i, gpa - offset);
}

/* No id is given twice. */
static void run_low(struct salts *salts, uint32_t next_id)
{
    if (salts->next_id < next_id)
        salts->next_id = next_id;
}

static bool step(unsigned h)
{
    unsigned i = below(N_MAPS), what = below(100);

    if (what < w.moves)
        map_elsewhere(i);
    else if (what < 20)
        fence(h, &w.hart[h]->map[i]);
    else if (what < 24)
        hear_of_fences(h);
    else if (what < 44)
        enter(h);
    else if (what == 44 && below(w.protection_lasts) == 0)
        come_under_another(h, i);
    else if (what == 47 && w.n_harts > 1 && !w.is_within && below(40) == 0)
        begin_anew();
    else if (what == 45)
        mmu_refresh(w.hart[h]->mmu);
    else if (what == 46 && w.n_harts == 1 && below(10) == 0)
        run_low(w.hart[h]->mmu->salts, SALT_IDS - 1 - below(6));
    else
        return run(h, i);
    return true;
}

/* What another does while h walks. */
static void others_step(unsigned h)
{
    if (w.n_harts == 1 || w.is_within || !w.now || below(4))
        return;
    w.is_within = true;
    for (unsigned n = 1 + below(4); n > 0; n--) {
        unsigned o = below(w.n_harts);

        w.now++;
        w.is_stale |= o != h && !step(o);
    }
    w.now++;
    w.is_within = false;
}

static void map_at_random(unsigned i)
{
    bool high = below(3) > 0, global = high ? below(4) > 0 : below(6) == 0;
    uint64_t key = global || below(2) ? 0 : 1 + below(w.n_keys < 4 ? w.n_keys : 4);
    uint64_t va = (high ? UINT64_C(0xffffffff80000000) : 0x100000) + (uint64_t)i * 0x10000 +
                  (below(2) ? 0x1000000 : 0);
    uint64_t len = w.big && below(3) == 0 ? BIG : 0x1000;
    unsigned flags = ALL | (global ? TOY_G : 0) | (below(5) == 0 ? TOY_U : 0);

    for (unsigned h = 0; h < w.n_harts; h++)
        toy_add(w.hart[h], key, va, TOY_RAM, len, flags);
    w.was[i][0].gpa = TOY_RAM;
    w.was[i][0].at = 0;
    w.n_was[i] = 1;
}

/* A few spaces, and more than are kept. */
static const struct {
    unsigned n_harts, n_keys;
} kinds[] = {{1, 4}, {2, 4}, {3, 4}, {1, 70}, {2, 40}, {3, 70}};

enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

static void history(uint64_t seed, unsigned n_harts, unsigned n_keys)
{
    const struct mmu_guest *guest = seed / N_KINDS % 4 == 0 ? &without_peek : &with_peek;
    struct salts *salts = n_harts > 1 ? salts_create(n_harts) : NULL;

    memset(&w, 0, sizeof w);
    w.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    w.n_harts = n_harts;
    w.n_keys = n_keys;
    w.protection_lasts = 1 + below(6);
    w.moves = 1 + below(8);
    w.big = below(2) != 0;
    for (unsigned h = 0; h < n_harts; h++)
        w.hart[h] = toy_create_sharing(salts, guest);
    for (unsigned i = 0; i < N_MAPS; i++)
        map_at_random(i);
    for (unsigned h = 0; h < n_harts; h++) {
        mmu_set_salt_wrap(w.hart[h]->mmu, forget_links, NULL);
        mmu_flush_all(w.hart[h]->mmu);
        enter(h);
    }
    for (w.now = 1; w.now < STEPS; w.now++)
        if (!step(below(n_harts)) || w.is_stale)
            fail_msg("seed %llu, %u harts, %u spaces: stale at step %u", (unsigned long long)seed,
                     n_harts, n_keys, w.now);
    for (unsigned h = 0; h < n_harts; h++)
        toy_destroy(w.hart[h]);
    if (salts)
        salts_destroy(salts);
}

static uint64_t first_seed = 1, n_seeds = 1200;

static void nothing_stale_is_run(void **state)
{
    (void)state;
    with_peek = without_peek;
    with_peek.peek = peek;
    for (uint64_t n = 0; n < n_seeds; n++)
        history(first_seed + n, kinds[(first_seed + n) % N_KINDS].n_harts,
                kinds[(first_seed + n) % N_KINDS].n_keys);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_stale_is_run)};

    if (argc > 1)
        first_seed = strtoull(argv[1], NULL, 0);
    if (argc > 2)
        n_seeds = strtoull(argv[2], NULL, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
