/* Physical memory protection against the privileged rules: pairs of entries in all their forms,
 * random layouts, page tables under protection, and what the soft MMU keeps of the answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

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

static void to_hart(void)
{
    memcpy(w.r->h->pmpcfg, w.p.pmpcfg, sizeof(w.p.pmpcfg));
    memcpy(w.r->h->pmpaddr, w.p.pmpaddr, sizeof(w.p.pmpaddr));
}

/* ---- The question itself --------------------------------------------------------------------- */

static bool ours(enum pr_kind kind, unsigned priv, uint64_t pa, unsigned size, bool *whole_page)
{
    enum mmu_access access = kind == PR_FETCH ? MMU_FETCH : kind == PR_LOAD ? MMU_LOAD : MMU_STORE;

    return rv_pmp_allowed(&w.r->h->s, pa, size, access, priv, whole_page);
}

static void check_raw(enum pr_kind kind, unsigned priv, uint64_t pa, unsigned size)
{
    const char *clause;
    char line[1024];
    bool whole_page, want = pr_pmp(&w.p, kind, priv, pa, size, &clause);
    bool got = ours(kind, priv, pa, size, &whole_page);

    w.n_cases++;
    w.n_allowed += want;
    if (got != want)
        fail_msg("pmp: %s of %u at pa %lx by %c, %s => rule: %d, dbt: %d [%s]", pr_kind_name(kind),
                 size, pa, "US?M"[priv], priv_line(&w.p, line, sizeof(line)), want, got, clause);
    /* If so, that is the answer for each word of the page. */
    if (whole_page && pa % 4096 + size <= 4096) {
        uint64_t at = (pa & ~UINT64_C(4095)) + (rig_random(&w.seed) & 0xffc);

        if (pr_pmp(&w.p, kind, priv, at, 4, &clause) != want)
            fail_msg("pmp: %lx speaks for its page, but %lx differs; %s [%s]", pa, at,
                     priv_line(&w.p, line, sizeof(line)), clause);
    }
}

/* R=0 with W=1 is reserved and cannot be written. */
static uint8_t cfg(unsigned n)
{
    static const uint8_t rwx[] = {0, 1, 3, 4, 5, 7};

    return (uint8_t)(rwx[n % 6] | n / 6 % 4 << 3 | n / 24 % 2 << 7);
}
enum { N_CFG = 48 };

/* Two entries in every form around one address; accesses that lie in, beside, or across. */
static void test_two_entries(void **state)
{
    static const uint64_t addr[][2] = {
        /* words; as NAPOT the last three are 8, 32 and 4096 bytes */
        {0x20000, 0x20002}, {0x20002, 0x20000}, {0x20001, 0x20001}, {0x20000, 0x20003},
        {0x20003, 0x20001}, {0x201ff, 0x20000}, {0, 0x20001},       {0x20002, 0x3fffffffffffff},
    };
    static const struct {
        uint16_t at;
        uint8_t size;
    } accesses[] = {{0, 4}, {0, 8}, {4, 4}, {4, 8}, {8, 4},
                    {2, 4}, {6, 8}, {3, 1}, {8, 8}, {12, 2}};

    (void)state;
    memset(w.p.pmpcfg, 0, sizeof(w.p.pmpcfg));
    for (unsigned i = 0; i < N_CFG * N_CFG * 8; i++) {
        w.p.pmpcfg[0] = cfg(i);
        w.p.pmpcfg[1] = cfg(i / N_CFG);
        w.p.pmpaddr[0] = addr[i / (N_CFG * N_CFG)][0];
        w.p.pmpaddr[1] = addr[i / (N_CFG * N_CFG)][1];
        to_hart();
        for (unsigned k = 0; k < 10 * 3; k++) {
            for (unsigned priv = 0; priv < 4; priv += 1 + priv)
                check_raw((enum pr_kind)(k % 3), priv, 0x80000 + accesses[k / 3].at,
                          accesses[k / 3].size);
        }
    }
}

/* An address register that has something to do with `pa`. */
static uint64_t random_addr(uint64_t pa)
{
    uint64_t v = rig_random(&w.seed);
    unsigned ones = (unsigned)(v >> 8) % 16;
    uint64_t near = (pa >> 2) + (v >> 32 & 7) - 3;

    switch (v & 7) {
    case 0: return v >> 10; /* anything */
    case 1: return (UINT64_C(1) << 54) - 1;
    case 2: return near;
    case 3: return (pa >> 2 & ~UINT64_C(1023)) + (v >> 40 & 3) * 1024; /* a page's edge */
    default:
        return ((pa >> 2) >> ones << ones) + (v >> 36 & 1 ? ((UINT64_C(1) << ones) - 1) >> 1 : 0);
    }
}

static void random_layout(uint64_t pa)
{
    unsigned n = (unsigned)(rig_random(&w.seed) % (PR_N_PMP + 1));

    memset(w.p.pmpcfg, 0, sizeof(w.p.pmpcfg));
    for (unsigned i = 0; i < n; i++) {
        w.p.pmpcfg[i] = cfg((unsigned)(rig_random(&w.seed) % N_CFG));
        w.p.pmpaddr[i] = random_addr(pa);
    }
}

static void test_random_layouts(void **state)
{
    (void)state;
    for (unsigned k = 0; k < 60000; k++) {
        uint64_t pa = rig_random(&w.seed) >> (8 + rig_random(&w.seed) % 50);

        random_layout(pa);
        to_hart();
        for (unsigned i = 0; i < 24; i++) {
            unsigned size = 1u << (rig_random(&w.seed) % 4);

            check_raw((enum pr_kind)(i % 3), i / 3 % 4 == 2 ? PR_M : i / 3 % 4,
                      pa + (rig_random(&w.seed) & 31), size);
        }
    }
}

/* ---- Through the soft MMU
 * ------------------------------------------------------------------------ */

/* A layout; then accesses all over the page in all states, each twice. */
static void one_layout(const char *what, uint64_t va, unsigned n_accesses)
{
    for (unsigned i = 0; i < n_accesses; i++) {
        uint64_t v = rig_random(&w.seed);
        enum pr_kind kind = (enum pr_kind)(v % PR_N_KINDS);
        unsigned size = kind == PR_LOAD || kind == PR_STORE ? 1u << (v >> 8 & 3) : priv_size(kind);
        uint64_t at = va + (v >> 12 & 3 ? v >> 16 & 0x3c : v >> 16 & 0xfff);

        if (kind == PR_FETCH)
            at &= ~UINT64_C(1);
        if (kind == PR_AMO || kind == PR_LR || kind == PR_SC || kind == PR_ZERO)
            at &= ~UINT64_C(7);
        /* CMO, "Page Fault": PMP shall be the same for all of a block, so that one byte stands for
         * it.
         */
        if (v >> 40 & 1) {
            priv_state(&w, (unsigned)(v >> 44) % PRIV_N_STATES);
            priv_apply(&w);
        }
        priv_check(&w, what, kind, at, size);
        priv_check(&w, what, kind, at, size);
    }
}

static void test_data_pages(void **state)
{
    static const uint8_t leaves[] = {0xcf, 0xdf, 0xc3, 0xd3, 0xc9, 0xcb, 0x43, 0x0f};
    uint64_t sv39 = w.p.satp;

    (void)state;
    w.p.menvcfg = PR_ADUE;
    for (unsigned k = 0; k < 20000; k++) {
        random_layout(RIG_RAM + PRIV_DATA + 0x20);
        /* The tables stay open, so that accesses get past them; test_tables is theirs. */
        if (k & 1) {
            w.p.pmpcfg[0] = 0x0f;
            w.p.pmpaddr[0] = (RIG_RAM + 0x20000) >> 2;
        }
        w.p.satp = k & 2 ? sv39 : 0;
        priv_poke(&w, PRIV_L0 + 0x83 * 8, priv_leaf(0, leaves[k / 4 % 8]));
        priv_apply_all(&w);
        priv_fence(&w);
        one_layout("pmp on data", w.p.satp ? PRIV_VA : RIG_RAM + PRIV_DATA, 32);
    }
}

/* Each table under entry 0 of its own rights. The walker reads, and writes A and D, as S. */
static void test_tables(void **state)
{
    static const uint64_t tables[] = {PRIV_ROOT, PRIV_L1, PRIV_L0};

    (void)state;
    for (unsigned i = 0; i < 3 * N_CFG * 2; i++) {
        uint64_t table = (RIG_RAM + tables[i % 3]) >> 2;

        memset(w.p.pmpcfg, 0, sizeof(w.p.pmpcfg));
        w.p.pmpcfg[0] = cfg(i / 3);
        w.p.pmpaddr[0] = (cfg(i / 3) >> 3 & 3) == 3 ? table | 511 : table + (i % 2 ? 0x83 * 2 : 6);
        w.p.pmpcfg[1] = 0x1f;
        w.p.pmpaddr[1] = (UINT64_C(1) << 54) - 1;
        w.p.menvcfg = i / (3 * N_CFG) ? PR_ADUE : 0;
        priv_apply_all(&w);
        for (unsigned n = 0; n < PRIV_N_STATES * PR_N_KINDS * 3; n++) {
            enum pr_kind kind = (enum pr_kind)(n / PRIV_N_STATES % PR_N_KINDS);
            static const unsigned low[] = {0x0f, 0x4f, 0xdf};

            priv_poke(&w, PRIV_L0 + 0x83 * 8, priv_leaf(0, low[n / (PRIV_N_STATES * PR_N_KINDS)]));
            priv_fence(&w);
            priv_state(&w, n % PRIV_N_STATES);
            priv_apply(&w);
            priv_check(&w, "pmp on tables", kind, PRIV_VA + 0x40, priv_size(kind));
        }
    }
}

/* Two pages, each with protection of its own. */
static void test_crossing(void **state)
{
    (void)state;
    priv_poke(&w, priv_entry(&w, 0) + 8, priv_pte(PRIV_DATA + 0x3000, 0xcf));
    for (unsigned k = 0; k < 20000; k++) {
        random_layout(RIG_RAM + PRIV_DATA + 0xffc);
        for (unsigned i = 0; i < PR_N_PMP; i++) {
            if (rig_random(&w.seed) & 1)
                w.p.pmpaddr[i] = random_addr(RIG_RAM + PRIV_DATA + 0x3004);
        }
        if (k & 1) {
            w.p.pmpcfg[0] = 0x0f;
            w.p.pmpaddr[0] = (RIG_RAM + 0x20000) >> 2;
        }
        priv_apply_all(&w);
        for (unsigned i = 0; i < 14; i++) {
            priv_state(&w, (unsigned)(rig_random(&w.seed) % PRIV_N_STATES));
            priv_apply(&w);
            priv_check(&w, "pmp, crossing", i & 1 ? PR_LOAD : PR_STORE, PRIV_VA + 0xff9 + i / 2, 8);
        }
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_two_entries), T(test_random_layouts), T(test_data_pages),
        T(test_tables),      T(test_crossing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
