/* What the soft MMU remembers must not show: an access after others of any kind, by any state, has
 * the outcome that the privileged rules give it alone. Only software's changes of page tables wait
 * for a fence; those of mstatus, satp.MODE and privilege do not (3.1.6.3, 10.1.11). */
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

/* ---- Pairs --------------------------------------------------------------------------------- */

/* U, S and M as themselves, and M for U and S; those in which SUM and MXR mean nothing once. */
static const uint8_t states[] = {
    /* n = priv + 3 * MPRV + 6 * MPP + 18 * SUM + 36 * MXR, each in the order U, S, M */
    0,  36,         /* U; MXR */
    1,  19, 37, 55, /* S; SUM; MXR; both */
    2,  56,         /* M; both */
    5,  41, 23,     /* M as U; MXR; SUM */
    11, 29, 47, 65, /* M as S; SUM; MXR; both */
};
enum { N_STATES = sizeof(states) };

static bool legal_leaf(unsigned low)
{
    return (low & PTE_V) && ((low & PTE_R) || !(low & PTE_W)) && (low & (PTE_R | PTE_X));
}

/* Each access that can leave something behind, then each that could be misled by it. */
static void pairs(uint64_t at, uint64_t pte)
{
    static const enum pr_kind first[] = {PR_FETCH, PR_LOAD, PR_STORE, PR_AMO};

    for (unsigned i = 0; i < N_STATES * 4; i++) {
        for (unsigned j = 0; j < N_STATES * PR_N_KINDS; j++) {
            enum pr_kind then = (enum pr_kind)(j % PR_N_KINDS);

            priv_poke(&w, at, pte);
            mmu_fence(w.r->h->s.mmu, false, PRIV_VA, true, 0);
            priv_state(&w, states[i / 4]);
            priv_apply(&w);
            priv_check(&w, "first of two", first[i % 4], PRIV_VA + 8, priv_size(first[i % 4]));
            priv_state(&w, states[j / PR_N_KINDS]);
            priv_apply(&w);
            priv_check(&w, "second of two", then, PRIV_VA + 0x80, priv_size(then));
        }
    }
}

static void test_pairs(void **state)
{
    uint64_t at = priv_entry(&w, 0);

    (void)state;
    for (unsigned adue = 0; adue < 2; adue++) {
        w.p.menvcfg = adue ? PR_ADUE : 0;
        priv_apply_all(&w);
        for (unsigned low = 0; low < 256; low++) {
            if (legal_leaf(low) && !(low & PTE_G))
                pairs(at, priv_leaf(0, low));
        }
    }
}

/* From Bare to Sv39 and back: PRIV_DATA's physical address is a virtual one of another page. */
static void test_bare_and_back(void **state)
{
    uint64_t sv39 = w.p.satp, va = RIG_RAM + PRIV_DATA;

    (void)state;
    /* vpn[2] = 2: a table of its own that maps 0x80083000 elsewhere. */
    priv_poke(&w, PRIV_ROOT + 2 * 8, priv_pte(PRIV_L1 + 0x4000, PTE_V));
    priv_poke(&w, PRIV_L1 + 0x4000, priv_pte(PRIV_L0 + 0x4000, PTE_V));
    w.p.menvcfg = PR_ADUE;
    priv_apply_all(&w);
    for (unsigned low = 0; low < 256; low++) {
        priv_poke(&w, PRIV_L0 + 0x4000 + 0x83 * 8, priv_pte(PRIV_DATA + 0x1000, low));
        priv_fence(&w);
        for (unsigned i = 0; i < N_STATES * PR_N_KINDS * 4; i++) {
            enum pr_kind kind = (enum pr_kind)(rig_random(&w.seed) % PR_N_KINDS);

            priv_state(&w, states[i % N_STATES]);
            w.p.satp = rig_random(&w.seed) & 1 ? sv39 : 0;
            priv_apply(&w);
            priv_check(&w, "Bare or Sv39", kind, va, priv_size(kind));
        }
    }
}

/* ---- Long sequences
 * ------------------------------------------------------------------------------- */

enum { N_PAGES = 16, N_ROOTS = 3 };
#define MEGA_VA (PRIV_VA + (UINT64_C(1) << 30)) /* by a megapage: the 16 data pages in a row */

/* No global pages: marking as global what differs between spaces is a software bug (10.3.1). */
static void random_entry(uint64_t offset, bool mega)
{
    uint64_t v = rig_random(&w.seed);
    uint64_t low = v & 0xff & ~(uint64_t)PTE_G;

    if (v >> 8 & 7) /* seven of eight are leaves that somebody may use */
        low |= PTE_V | PTE_R;
    if (mega && !(low & (PTE_R | PTE_X)))
        low = 0;
    priv_poke(&w, offset, priv_pte(mega ? 0 : PRIV_DATA + (v >> 16 & 15) * 0x1000, low));
}

static uint64_t root_at(unsigned root)
{
    return PRIV_ROOT + root * 0x8000;
}

static uint64_t entry_at(unsigned root, unsigned page)
{
    return root_at(root) + 0x2000 + (0x83 + page) * 8;
}

/* Three page tables with an ASID each, the same addresses in all. */
static void lay_roots(void)
{
    for (unsigned root = 0; root < N_ROOTS; root++) {
        uint64_t base = root_at(root);

        priv_poke(&w, base + 3 * 8, priv_pte(base + 0x1000, PTE_V));
        priv_poke(&w, base + 4 * 8, priv_pte(base + 0x3000, PTE_V));
        priv_poke(&w, base + 0x1000, priv_pte(base + 0x2000, PTE_V));
        random_entry(base + 0x3000, true);
        for (unsigned page = 0; page < N_PAGES; page++)
            random_entry(entry_at(root, page), false);
    }
}

/* By any form of the fence that covers it; of a megapage any of its addresses will do. */
static void change_entry(void)
{
    uint64_t v = rig_random(&w.seed);
    unsigned root = (unsigned)(v % N_ROOTS), page = (unsigned)(v >> 8) % N_PAGES;
    bool mega = (v >> 32 & 7) == 0, all_va = (v >> 16 & 3) == 0, all_asid = v >> 18 & 1;
    uint64_t at = mega ? root_at(root) + 0x3000 : entry_at(root, page);

    random_entry(at, mega);
    mmu_fence(w.r->h->s.mmu, all_va, (mega ? MEGA_VA : PRIV_VA) + page * 4096, all_asid, root);
}

static void change_something(void)
{
    uint64_t v = rig_random(&w.seed);
    uint64_t root = v >> 8 & 3;

    switch (v % 16) {
    case 0: change_entry(); break;
    case 1:
        w.p.menvcfg ^= PR_ADUE;
        priv_apply_all(&w);
        break;
    case 2:
    case 3:
    case 4:
        w.p.satp = root < N_ROOTS ? UINT64_C(8) << 60 | root << 44 |
                                        (RIG_RAM + PRIV_ROOT + root * 0x8000) >> 12
                                  : 0;
        priv_apply(&w);
        break;
    default: priv_state(&w, (unsigned)(v >> 16) % PRIV_N_STATES); priv_apply(&w);
    }
}

static void long_sequence(bool stress)
{
    lay_roots();
    priv_fence(&w);
    if (stress)
        mmu_stress(w.r->h->s.mmu);
    for (unsigned k = 0; k < 1000000; k++) {
        uint64_t v = rig_random(&w.seed);
        enum pr_kind kind = (enum pr_kind)(v % PR_N_KINDS);
        uint64_t va = (v >> 40 & 3 ? PRIV_VA : MEGA_VA) + (v >> 8 & 15) * 4096;
        unsigned size = priv_size(kind);

        if (v >> 16 & 1)
            change_something();
        if (w.p.satp == 0) /* RAM, and what is not */
            va = v >> 17 & 7 ? RIG_RAM + PRIV_DATA + (v >> 8 & 15) * 4096 : va;
        if ((kind == PR_LOAD || kind == PR_STORE) && (v >> 20 & 7) == 0)
            va += 4096 - 1 - (v >> 24 & 7); /* may cross */
        else
            va += v >> 24 & 0xfc0;
        priv_check(&w, stress ? "sequence, small table" : "sequence", kind, va, size);
    }
}

static void test_sequence(void **state)
{
    (void)state;
    long_sequence(false);
}

static void test_sequence_stressed(void **state)
{
    (void)state;
    w.seed = 77;
    long_sequence(true);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_pairs),
        T(test_bare_and_back),
        T(test_sequence),
        T(test_sequence_stressed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
