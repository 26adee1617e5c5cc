/* Every access that translation can tell apart, against the privileged rules: the walk alone, the
 * way through the soft MMU, addresses at the edges, accesses that cross a page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/lib/priv_world.h"

static struct priv_world w;

static int setup(void **state)
{
    (void)state;
    priv_world_init(&w, "default");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    printf("    %lu cases, %lu of them allowed\n", w.n_cases, w.n_allowed);
    priv_world_fini(&w);
    return 0;
}

/* ---- The walk alone ------------------------------------------------------------------------- */

/* What a leaf may have besides its low eight bits, as what to xor. */
static const uint64_t forms[] = {
    0,
    UINT64_C(3) << 8,       /* RSW */
    PTE_N | (3 ^ 8) << 10,  /* ppn[0] = 0x83 becomes 0x88: 64 KiB */
    PTE_N,                  /* ppn[0] = 0x83: reserved */
    PTE_N | 3 << 10,        /* 0x80: reserved */
    PTE_N | (3 ^ 12) << 10, /* 0x8c: reserved */
    PTE_PBMT(1),
    PTE_PBMT(2),
    PTE_PBMT(3),
    PTE_N | PTE_PBMT(1) | (3 ^ 8) << 10,
    UINT64_C(1) << 54,
    UINT64_C(1) << 57,
    UINT64_C(1) << 60,
    UINT64_C(1) << 18, /* ppn bit 8: a gigapage or megapage misaligned */
    UINT64_C(1) << 19, /* ppn bit 9: a gigapage misaligned */
    UINT64_C(1) << 27, /* ppn bit 17: likewise */
};
enum { N_FORMS = sizeof(forms) / sizeof(forms[0]) };

static bool translates(enum pr_kind kind)
{
    struct pr_access a;

    pr_access(&w.p, &w.m, kind, PRIV_VA, 1, &a);
    /* Outside RAM, translated all the same. */
    return a.ok || a.part[0].pa != 0;
}

struct walked {
    bool maps;
    struct mmu_map map;
    struct mmu_fault fault;
    uint64_t pte; /* afterwards */
};

static void report(enum pr_kind kind, uint64_t pte, const struct pr_access *want,
                   const struct walked *got)
{
    const struct pr_part *p = &want->part[0];
    char line[1024];

    fail_msg("walk: %s by %s, pte %lx => rule: pa %lx cause %lu pte %lx len %lx global %d; dbt: %s "
             "gpa %lx cause %lu pte %lx len %lx global %d read %d write %d [%s]",
             pr_kind_name(kind), priv_line(&w.p, line, sizeof(line)), pte, p->pa, want->cause,
             p->pte, p->leaf_len, p->global, got->maps ? "maps" : "fault", got->map.gpa,
             got->fault.cause, got->pte, got->map.page_len, got->map.global, got->map.read,
             got->map.write, want->clause);
}

/* What may be cached is what the same rights may do next, with nothing left to set. */
static bool cacheable_right(const struct mmu_map *map)
{
    uint64_t menvcfg = w.p.menvcfg;
    bool same;

    w.p.menvcfg &= ~PR_ADUE;
    same = map->read == translates(PR_LOAD) && map->write == translates(PR_STORE);
    w.p.menvcfg = menvcfg;
    return same;
}

static bool mapping_right(enum pr_kind kind, const struct pr_part *p, const struct mmu_map *map)
{
    return map->gpa == p->pa && map->global == p->global && map->page_len == p->leaf_len &&
           (kind == PR_FETCH || cacheable_right(map));
}

static void check_walk(uint64_t at, uint64_t pte, enum pr_kind kind)
{
    static const enum mmu_access access[] = {
        [PR_FETCH] = MMU_FETCH, [PR_LOAD] = MMU_LOAD, [PR_STORE] = MMU_STORE};
    struct rv_hart *h = w.r->h;
    uint64_t rights = kind == PR_FETCH ? rv_fetch_rights(h) : rv_data_rights(h);
    struct walked got = {0};
    struct pr_access want;
    bool maps, updated;

    priv_poke(&w, at, pte);
    pr_access(&w.p, &w.m, kind, PRIV_VA, 1, &want);
    maps = want.part[0].pa != 0;
    updated = want.part[0].updated && want.part[0].pte_pa == RIG_RAM + at;
    got.maps = rv_walk(&h->s, PRIV_VA, access[kind], rights, &got.map, &got.fault);
    got.pte = rig_peek64(w.r, RIG_RAM + at);
    w.n_cases++;
    w.n_allowed += maps;
    if (got.maps != maps || got.pte != (updated ? want.part[0].pte : pte))
        report(kind, pte, &want, &got);
    if (maps && !mapping_right(kind, &want.part[0], &got.map))
        report(kind, pte, &want, &got);
    if (!maps && (got.fault.cause != want.cause || got.fault.tval != want.tval))
        report(kind, pte, &want, &got);
}

/* Each entry by each kind by U and S, SUM and MXR, ADUE and PBMTE. */
static void walk_product(unsigned level, uint64_t form)
{
    uint64_t at = priv_entry(&w, level);

    /* What a pointer leads to. */
    if (level > 0)
        priv_poke(&w, priv_entry(&w, 0), priv_leaf(0, 0xff));
    if (level == 2)
        priv_poke(&w, PRIV_L1, priv_pte(PRIV_L0, PTE_V));
    for (unsigned k = 0; k < 2 * 4 * 4; k++) {
        w.p.priv = k & 1 ? PR_S : PR_U;
        w.p.mstatus =
            (w.p.mstatus & ~(PR_SUM | PR_MXR)) | (k & 2 ? PR_SUM : 0) | (k & 4 ? PR_MXR : 0);
        w.p.menvcfg = (k & 8 && w.p.svadu ? PR_ADUE : 0) | (k & 16 && w.p.svpbmt ? PR_PBMTE : 0);
        w.r->h->menvcfg = w.p.menvcfg;
        priv_apply(&w);
        for (unsigned low = 0; low < 256; low++) {
            bool leaf = (low & (PTE_R | PTE_X)) != 0;
            /* A pointer's page number is where the next table is. */
            uint64_t base = level == 0 ? priv_leaf(0, low)
                            : leaf     ? priv_leaf(level, low)
                                       : priv_pte(level == 2 ? PRIV_L1 : PRIV_L0, low);

            for (unsigned kind = PR_FETCH; kind <= PR_STORE; kind++)
                check_walk(at, base ^ form, (enum pr_kind)kind);
        }
    }
}

static void test_walk(void **state)
{
    (void)state;
    for (unsigned level = 0; level < 3; level++) {
        for (unsigned f = 0; f < N_FORMS; f++)
            walk_product(level, forms[f]);
    }
}

/* Without the extensions their bits are reserved. */
static void test_walk_smaller_model(void **state)
{
    (void)state;
    priv_world_fini(&w);
    priv_world_init(&w, "rv64gc");
    for (unsigned level = 0; level < 3; level++) {
        for (unsigned f = 0; f < 10; f++)
            walk_product(level, forms[f]);
    }
}

/* ---- Through the soft MMU ----------------------------------------------------------------------
 */

static void path_product(unsigned level, bool adue)
{
    uint64_t at = priv_entry(&w, level);

    if (level > 0)
        priv_poke(&w, priv_entry(&w, 0), priv_leaf(0, 0xff));
    at = level == 2 ? PRIV_ROOT + 3 * 8 : level == 1 ? PRIV_L1 : at;
    w.p.menvcfg = adue ? PR_ADUE : 0;
    priv_apply_all(&w);
    for (unsigned n = 0; n < PRIV_N_STATES; n++) {
        priv_state(&w, n);
        priv_apply(&w);
        for (unsigned low = 0; low < 256; low++) {
            uint64_t pte = priv_leaf(level, low);

            for (unsigned kind = 0; kind < PR_N_KINDS; kind++) {
                priv_poke(&w, at, pte);
                mmu_fence(w.r->h->s.mmu, false, PRIV_VA, true, 0);
                priv_check(&w, "fresh", (enum pr_kind)kind, PRIV_VA + 0x140,
                           priv_size((enum pr_kind)kind));
                /* What the first left in the tables may not change the answer. */
                priv_check(&w, "again", (enum pr_kind)kind, PRIV_VA + 0x140,
                           priv_size((enum pr_kind)kind));
            }
        }
    }
}

static void test_path(void **state)
{
    (void)state;
    for (unsigned level = 0; level < 3; level++) {
        path_product(level, false);
        path_product(level, true);
    }
}

static void test_path_bare(void **state)
{
    (void)state;
    w.p.satp = 0;
    for (unsigned n = 0; n < PRIV_N_STATES; n++) {
        priv_state(&w, n);
        priv_apply(&w);
        for (unsigned kind = 0; kind < PR_N_KINDS; kind++) {
            unsigned size = priv_size((enum pr_kind)kind);

            priv_check(&w, "bare", (enum pr_kind)kind, RIG_RAM + 0x84000, size);
            priv_check(&w, "bare, again", (enum pr_kind)kind, RIG_RAM + 0x84000, size);
            priv_check(&w, "bare, vacant", (enum pr_kind)kind, RIG_RAM + RIG_RAM_LEN, size);
            priv_check(&w, "bare, page 0", (enum pr_kind)kind, 0, size);
            priv_check(&w, "bare, high", (enum pr_kind)kind, UINT64_MAX - 63, size);
        }
    }
}

/* ---- Addresses ----------------------------------------------------------------------------------
 */

static void test_canonical(void **state)
{
    (void)state;
    priv_poke(&w, PRIV_ROOT + 511 * 8, priv_leaf(2, 0xef));
    priv_poke(&w, PRIV_ROOT + 256 * 8, priv_leaf(2, 0xef));
    for (unsigned n = 0; n < PRIV_N_STATES; n++) {
        static const uint64_t bases[] = {PRIV_VA, UINT64_C(0xffffffffc0083000),
                                         UINT64_C(0xffffffc000083000)};

        priv_state(&w, n);
        priv_apply(&w);
        for (unsigned i = 0; i < 3 * 64; i++) {
            for (unsigned kind = 0; kind < PR_N_KINDS; kind++) {
                uint64_t va = bases[i / 64];

                priv_check(&w, "canonical", (enum pr_kind)kind, va, priv_size((enum pr_kind)kind));
                if (i % 64 < 20)
                    continue;
                priv_check(&w, "one bit off", (enum pr_kind)kind, va ^ UINT64_C(1) << i % 64,
                           priv_size((enum pr_kind)kind));
                priv_check(&w, "all bits from one on", (enum pr_kind)kind,
                           va ^ UINT64_MAX << i % 64, priv_size((enum pr_kind)kind));
            }
        }
    }
}

/* Sizes and alignments within the page. */
static void test_alignment(void **state)
{
    (void)state;
    for (unsigned low = 0; low < 256; low++) {
        w.p.menvcfg = low & 1 ? PR_ADUE : 0;
        priv_poke(&w, priv_entry(&w, 0), priv_leaf(0, low | PTE_V));
        priv_apply_all(&w);
        for (unsigned n = 0; n < PRIV_N_STATES; n += 7) {
            priv_state(&w, n);
            priv_apply(&w);
            for (unsigned at = 0; at < 9; at++) {
                static const enum pr_kind kinds[] = {PR_LOAD, PR_STORE, PR_AMO, PR_LR, PR_SC};

                for (unsigned k = 0; k < 5 * 4; k++) {
                    unsigned size = 1u << k / 5;

                    if (kinds[k % 5] > PR_STORE && size < 4)
                        continue;
                    priv_check(&w, "alignment", kinds[k % 5], PRIV_VA + 0x200 + at, size);
                }
            }
        }
    }
}

/* ---- Crossing a page
 * ------------------------------------------------------------------------------ */

/* Two neighbours of all useful rights, at all cuts, three times without a fence. */
static void test_crossing(void **state)
{
    static const unsigned bits[] = {0x00, 0x01, 0x0f, 0x4f, 0xcf, 0xdf, 0xd7, 0xd3, 0xd9,
                                    0x5f, 0x57, 0x53, 0x43, 0xc7, 0x1f, 0xc5, 0xc9};
    enum { N = sizeof(bits) / sizeof(bits[0]) };
    uint64_t at = priv_entry(&w, 0);

    (void)state;
    for (unsigned i = 0; i < N * N * 2; i++) {
        w.p.menvcfg = i & 1 ? PR_ADUE : 0;
        priv_apply_all(&w);
        for (unsigned n = 0; n < PRIV_N_STATES; n++) {
            unsigned cut = 1 + n % 7, size = n % 3 == 0 && cut < 4 ? 4 : 8;
            enum pr_kind kind = (n + i / 2) % 2 ? PR_LOAD : PR_STORE;

            priv_poke(&w, at, priv_leaf(0, bits[i / 2 % N]));
            priv_poke(&w, at + 8, priv_pte(PRIV_DATA + 0x5000, bits[i / 2 / N]));
            priv_fence(&w);
            priv_state(&w, n);
            priv_apply(&w);
            priv_check(&w, "crossing", kind, PRIV_VA + 4096 - cut, size);
            priv_check(&w, "crossing, again", kind, PRIV_VA + 4096 - cut, size);
            priv_check(&w, "crossing, other kind", kind == PR_LOAD ? PR_STORE : PR_LOAD,
                       PRIV_VA + 4096 - cut, size);
            priv_check(&w, "second page alone", PR_LOAD, PRIV_VA + 4096, 8);
            priv_check(&w, "crossing, then", kind, PRIV_VA + 4096 - cut, size);
        }
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_walk),      T(test_walk_smaller_model), T(test_path),     T(test_path_bare),
        T(test_canonical), T(test_alignment),          T(test_crossing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
