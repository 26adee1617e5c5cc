/* The page walk: every combination of an entry's low bits with every kind of access
 * against a second transcription of the supervisor specification, then what is
 * about a table's shape. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "frontend/riscv/rv_helper.h"
#include "tests/lib/rv_rig.h"

/* Tables, one page each, and a frame that leaves point at. */
enum { ROOT = 0x10000, L3 = 0x13000, L2 = 0x14000, L1 = 0x11000, L0 = 0x12000 };
#define FRAME UINT64_C(0xc0000000)         /* aligned for every superpage of Sv39 */
#define VA    UINT64_C(0x00000000c0603abc) /* vpn: 3, 3, 3 in Sv39 */
enum { V = 1, R = 2, W = 4, X = 8, U = 16, G = 32, A = 64, D = 128 };
#define N (UINT64_C(1) << 63)

static uint64_t pte(uint64_t pa, uint64_t low)
{
    return pa >> 12 << 10 | low;
}

/* Where the leaf of VA is, as a physical address; the path to it is written. */
static uint64_t lay_path(struct rig *r, unsigned level)
{
    static const uint64_t tables[] = {L0, L1, ROOT};

    for (unsigned l = 2; l > level; l--)
        rig_poke64(r, RIG_RAM + tables[l] + 3 * 8, pte(RIG_RAM + tables[l - 1], V));
    return RIG_RAM + tables[level] + 3 * 8;
}

static int setup(void **state)
{
    struct rig *r = rig_create("default");

    rv_pmpaddr_write(r->h, 0, UINT64_MAX);
    rv_pmpcfg_write(r->h, 0, 0x1f);
    r->h->satp = UINT64_C(8) << 60 | (RIG_RAM + ROOT) >> 12;
    r->h->menvcfg = 0;
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    rig_destroy(*state);
    return 0;
}

static bool walk(struct rig *r, uint64_t va, enum mmu_access access, uint64_t rights,
                 struct mmu_map *map, struct mmu_fault *fault)
{
    return rv_walk(&r->h->s, va, access, rights, map, fault);
}

static void expect_fault(struct rig *r, uint64_t va, enum mmu_access access, uint64_t rights,
                         uint64_t cause)
{
    struct mmu_map map;
    struct mmu_fault fault;

    assert_false(walk(r, va, access, rights, &map, &fault));
    assert_int_equal(fault.cause, cause);
    assert_int_equal(fault.tval, va);
}

static struct mmu_map expect_map(struct rig *r, uint64_t va, enum mmu_access access,
                                 uint64_t rights)
{
    struct mmu_map map = {0};
    struct mmu_fault fault = {0};

    if (!walk(r, va, access, rights, &map, &fault))
        fail_msg("va %lx: cause %lu", va, fault.cause);
    return map;
}

static uint64_t page_fault(enum mmu_access access)
{
    return access == MMU_FETCH ? 12 : access == MMU_LOAD ? 13 : 15;
}

/* ---- Permissions ------------------------------------------------------------------------ */

/* Does an entry with these low bits allow the access? A and D apart. */
static bool oracle_rights(unsigned bits, enum mmu_access access, bool user, bool sum, bool mxr)
{
    if (!(bits & V))
        return false;
    if (!(bits & R) && (bits & W))
        return false;
    if (!(bits & (R | X)))
        return false; /* a pointer at the last level, or one with reserved bits set */
    if (user && !(bits & U))
        return false;
    if (!user && (bits & U)) {
        if (access == MMU_FETCH || !sum)
            return false;
    }
    if (access == MMU_FETCH)
        return bits & X;
    if (access == MMU_STORE)
        return bits & W;
    return (bits & R) || (mxr && (bits & X));
}

static void check_permission(struct rig *r, uint64_t at, unsigned level, unsigned bits,
                             enum mmu_access access, uint64_t rights, bool adue)
{
    bool user = (rights & 3) == RV_U, sum = rights & RV_RIGHTS_SUM, mxr = rights & RV_RIGHTS_MXR;
    unsigned used = bits | A | (access == MMU_STORE ? D : 0);
    bool ok = oracle_rights(bits, access, user, sum, mxr) && (adue || used == bits);
    uint64_t entry = pte(FRAME, bits);
    struct mmu_map map;
    struct mmu_fault fault;

    rig_poke64(r, at, entry);
    r->h->menvcfg = adue ? RV_ENVCFG_ADUE : 0;
    if (walk(r, VA, access, rights, &map, &fault) != ok)
        fail_msg("level %u bits %02x access %d rights %lx adue %d: expected %d", level, bits,
                 access, rights, adue, ok);
    assert_int_equal(rig_peek64(r, at), ok ? pte(FRAME, used) : entry);
    if (!ok) {
        assert_int_equal(fault.cause, page_fault(access));
        assert_int_equal(fault.tval, VA);
        return;
    }
    assert_int_equal(map.page_len, UINT64_C(4096) << 9 * level);
    assert_int_equal(map.gpa, FRAME | (VA & (map.page_len - 1)));
    assert_int_equal(map.read, oracle_rights(bits, MMU_LOAD, user, sum, mxr));
    assert_int_equal(map.write, oracle_rights(bits, MMU_STORE, user, sum, mxr) && (used & D));
    assert_int_equal(map.global, (bits & G) != 0);
}

static void test_permissions(void **state)
{
    struct rig *r = *state;

    for (unsigned level = 0; level < 3; level++) {
        uint64_t at = lay_path(r, level);

        for (unsigned bits = 0; bits < 256; bits++) {
            /* Above the last level a plain pointer leads on: test_pointers. */
            if (level > 0 && (bits & (V | R | W | X | U | A | D)) == V)
                continue;
            for (unsigned k = 0; k < 3 * 2 * 8; k++) {
                uint64_t rights = (k / 3 & 1 ? RV_S : RV_U) | (k / 6 & 1 ? RV_RIGHTS_SUM : 0) |
                                  (k / 12 & 1 ? RV_RIGHTS_MXR : 0);

                check_permission(r, at, level, bits, (enum mmu_access)(k % 3), rights, k / 24);
            }
        }
    }
}

static void test_identity(void **state)
{
    struct rig *r = *state;
    struct mmu_map map;

    for (int bare = 0; bare < 2; bare++) {
        if (bare)
            r->h->satp = 0;
        map = expect_map(r, UINT64_C(0xff00000000001234), MMU_STORE, bare ? RV_U : RV_M);
        assert_int_equal(map.gpa, UINT64_C(0xff00000000001234));
        assert_int_equal(map.page_len, 4096);
        assert_true(map.read && map.write && !map.global);
    }
}

/* ---- Shape -------------------------------------------------------------------------------------
 */

static void test_canonical(void **state)
{
    static const uint64_t bad[] = {
        UINT64_C(0x0000004000000000),
        UINT64_C(0x8000000000000000),
        UINT64_C(0xffffffbfffffffff),
        UINT64_C(0x7fffffffffffffff),
    };
    struct rig *r = *state;

    /* Whatever their low bits would find. */
    for (unsigned i = 0; i < 512; i++)
        rig_poke64(r, RIG_RAM + ROOT + i * 8, pte(0, V | R | W | X | A | D | (i & 1 ? U : 0)));
    for (unsigned i = 0; i < 4; i++) {
        expect_fault(r, bad[i], MMU_LOAD, RV_S, 13);
        expect_fault(r, bad[i], MMU_FETCH, RV_S, 12);
        expect_fault(r, bad[i], MMU_STORE, RV_U, 15);
    }
    /* The upper half uses the root's upper entries. */
    rig_poke64(r, RIG_RAM + ROOT + 511 * 8, pte(UINT64_C(0x80000000), V | R | A));
    assert_int_equal(expect_map(r, UINT64_MAX, MMU_LOAD, RV_S).gpa, UINT64_C(0xbfffffff));
    rig_poke64(r, RIG_RAM + ROOT + 256 * 8, pte(UINT64_C(0x40000000), V | R | A));
    assert_int_equal(expect_map(r, UINT64_C(0xffffffc000000010), MMU_LOAD, RV_S).gpa, 0x40000010);
}

static void test_superpage_alignment(void **state)
{
    struct rig *r = *state;

    for (unsigned level = 1; level < 3; level++) {
        uint64_t at = lay_path(r, level);

        for (unsigned b = 0; b < 44; b++) {
            rig_poke64(r, at, pte(0, V | R | A) | UINT64_C(1) << (10 + b));
            if (b < 9 * level)
                expect_fault(r, VA, MMU_LOAD, RV_S, 13);
            else
                assert_int_equal(expect_map(r, VA, MMU_LOAD, RV_S).gpa & ~UINT64_C(0x3fffffff),
                                 b >= 18 ? UINT64_C(1) << (12 + b) : 0);
        }
    }
}

static void test_reserved_bits(void **state)
{
    struct rig *r = *state;

    r->h->menvcfg = RV_ENVCFG_PBMTE;
    for (unsigned level = 0; level < 3; level++) {
        uint64_t at = lay_path(r, level);

        for (unsigned b = 54; b < 61; b++) {
            rig_poke64(r, at, pte(FRAME, V | R | W | A | D) | bit(b));
            expect_fault(r, VA, MMU_STORE, RV_S, 15);
        }
    }
}

static void test_pbmt(void **state)
{
    struct rig *r = *state;

    for (unsigned level = 0; level < 3; level++) {
        uint64_t at = lay_path(r, level);

        for (uint64_t type = 0; type < 4; type++) {
            rig_poke64(r, at, pte(FRAME, V | R | A) | type << 61);
            r->h->menvcfg = 0;
            if (type == 0)
                expect_map(r, VA, MMU_LOAD, RV_S);
            else
                expect_fault(r, VA, MMU_LOAD, RV_S, 13);
            r->h->menvcfg = RV_ENVCFG_PBMTE;
            if (type == 3)
                expect_fault(r, VA, MMU_LOAD, RV_S, 13);
            else
                expect_map(r, VA, MMU_LOAD, RV_S);
        }
    }
}

static void test_napot(void **state)
{
    struct rig *r = *state;
    uint64_t at = lay_path(r, 0);
    struct mmu_map map;

    for (uint64_t low = 0; low < 16; low++) {
        rig_poke64(r, at, pte(FRAME | low << 12, V | R | A) | N);
        if (low != 8) {
            expect_fault(r, VA, MMU_LOAD, RV_S, 13);
            continue;
        }
        map = expect_map(r, VA, MMU_LOAD, RV_S);
        assert_int_equal(map.gpa, FRAME | (VA & 0xffff));
        assert_int_equal(map.page_len, 65536);
    }
    for (unsigned level = 1; level < 3; level++) {
        at = lay_path(r, level);
        rig_poke64(r, at, pte(FRAME, V | R | A) | N);
        expect_fault(r, VA, MMU_LOAD, RV_S, 13);
        rig_poke64(r, at, pte(FRAME | 8 << 12, V | R | A) | N);
        expect_fault(r, VA, MMU_LOAD, RV_S, 13);
    }
    r->h->model.ext &= ~(UINT64_C(1) << RV_EXT_svnapot);
    rig_poke64(r, lay_path(r, 0), pte(FRAME | 8 << 12, V | R | A) | N);
    expect_fault(r, VA, MMU_LOAD, RV_S, 13);
}

/* A pointer may have V and G and nothing else. */
static void test_pointers(void **state)
{
    struct rig *r = *state;
    uint64_t leaf = lay_path(r, 0), at = RIG_RAM + L1 + 3 * 8;

    r->h->menvcfg = RV_ENVCFG_PBMTE;
    rig_poke64(r, leaf, pte(FRAME, V | R | A));
    for (unsigned b = 4; b < 64; b++) {
        if (b >= 8 && b < 54) /* software's bits and the page number */
            continue;
        rig_poke64(r, at, pte(RIG_RAM + L0, V) | bit(b));
        if (b == 5)
            assert_true(expect_map(r, VA, MMU_LOAD, RV_S).global);
        else
            expect_fault(r, VA, MMU_LOAD, RV_S, 13);
    }
    rig_poke64(r, at, pte(RIG_RAM + L0, V) | 3 << 8);
    assert_false(expect_map(r, VA, MMU_LOAD, RV_S).global);
    /* At the last level a pointer has nowhere to lead. */
    rig_poke64(r, leaf, pte(FRAME, V));
    expect_fault(r, VA, MMU_LOAD, RV_S, 13);
}

static void test_tables_outside_ram(void **state)
{
    struct rig *r = *state;
    uint64_t at = lay_path(r, 1);

    rig_poke64(r, at, pte(0x10000000, V));
    expect_fault(r, VA, MMU_FETCH, RV_S, 1);
    expect_fault(r, VA, MMU_LOAD, RV_S, 5);
    expect_fault(r, VA, MMU_STORE, RV_S, 7);
    rig_poke64(r, at, pte(RIG_RAM + RIG_RAM_LEN, V));
    expect_fault(r, VA, MMU_LOAD, RV_S, 5);
    r->h->satp = UINT64_C(8) << 60 | UINT64_C(0xfffffffffff);
    expect_fault(r, VA, MMU_LOAD, RV_U, 5);
}

static void test_pmp_on_tables(void **state)
{
    struct rig *r = *state;
    uint64_t leaf = lay_path(r, 0);

    /* Entry 0 covers the last table: NAPOT, 4096 bytes. Entry 1: the rest. */
    rv_pmpaddr_write(r->h, 0, (RIG_RAM + L0) >> 2 | 0x1ff);
    rv_pmpaddr_write(r->h, 1, UINT64_MAX);
    for (unsigned rwx = 0; rwx < 8; rwx++) {
        bool readable = rwx & 1, writable = (rwx & 3) == 3;

        rv_pmpcfg_write(r->h, 0, 0x1f00 | 0x18 | rwx);
        r->h->menvcfg = RV_ENVCFG_ADUE;
        rig_poke64(r, leaf, pte(FRAME, V | R | W | A));
        if (readable)
            expect_map(r, VA, MMU_LOAD, RV_S);
        else
            expect_fault(r, VA, MMU_LOAD, RV_S, 5);
        /* D must be set: that is a store to the table. */
        if (writable)
            expect_map(r, VA, MMU_STORE, RV_S);
        else
            expect_fault(r, VA, MMU_STORE, RV_S, 7);
        assert_int_equal(rig_peek64(r, leaf), pte(FRAME, V | R | W | A | (writable ? D : 0)));
    }
}

static void test_more_levels(void **state)
{
    struct rig *r = *state;
    struct mmu_map map;

    /* Sv48 and Sv57 cannot be put into satp yet; the walk knows them. */
    lay_path(r, 0);
    rig_poke64(r, RIG_RAM + L0 + 3 * 8, pte(FRAME, V | R | A));
    rig_poke64(r, RIG_RAM + L3 + 5 * 8, pte(RIG_RAM + ROOT, V));
    r->h->satp = UINT64_C(9) << 60 | (RIG_RAM + L3) >> 12;
    map = expect_map(r, UINT64_C(5) << 39 | VA, MMU_LOAD, RV_S);
    assert_int_equal(map.gpa, FRAME | 0xabc);
    expect_fault(r, UINT64_C(1) << 47, MMU_LOAD, RV_S, 13);
    rig_poke64(r, RIG_RAM + L2 + 7 * 8, pte(RIG_RAM + L3, V | G));
    r->h->satp = UINT64_C(10) << 60 | (RIG_RAM + L2) >> 12;
    map = expect_map(r, UINT64_C(7) << 48 | UINT64_C(5) << 39 | VA, MMU_LOAD, RV_S);
    assert_int_equal(map.gpa, FRAME | 0xabc);
    assert_true(map.global);
    expect_fault(r, UINT64_C(1) << 56, MMU_LOAD, RV_S, 13);
}

/* ---- What the hart makes of satp and rights for the soft MMU ------------------------------- */

/* Loads through VA, whose page moves with a fence of `asid` between; false when the old page is
 * still seen. */
static bool fence_is_heard(struct rig *r, uint64_t word, uint64_t asid)
{
    const uint64_t a = RIG_RAM + 0x20000, b = RIG_RAM + 0x21000, low = V | R | W | A | D;
    uint64_t at = lay_path(r, 0), result, cause, tval;

    mmu_flush_all(r->h->s.mmu);
    rig_poke64(r, a + (VA & 0xff8), 1);
    rig_poke64(r, b + (VA & 0xff8), 2);
    rig_poke64(r, at, pte(a, low));
    assert_int_equal(mmu_load(&r->h->s, VA & ~UINT64_C(7), IR_64), 1);
    rig_poke64(r, at, pte(b, low));
    assert_true(rig_call(r, rv_help_sfence, word, VA, asid, &result, &cause, &tval));
    return mmu_load(&r->h->s, VA & ~UINT64_C(7), IR_64) == 2;
}

/* sfence.vma with all 16 bits of an ASID; and of accesses that M makes under MPRV. */
static void test_fences_of_a_space(void **state)
{
    static const uint64_t asids[] = {1, 0xff, 0x100, 0x8001, 0xffff};
    enum { SFENCE_A0_A1 = 0x12b50073, SFENCE_ALL = 0x12000073 };
    struct rig *r = *state;
    uint64_t root = (RIG_RAM + ROOT) >> 12;

    for (unsigned i = 0; i < 5; i++) {
        rig_csr_write(r, 0x180, UINT64_C(8) << 60 | asids[i] << 44 | root);
        r->h->priv = RV_S;
        rv_sync(r->h);
        assert_true(fence_is_heard(r, SFENCE_A0_A1, asids[i]));
        assert_false(fence_is_heard(r, SFENCE_A0_A1, asids[i] ^ 0x8000));
        assert_true(fence_is_heard(r, SFENCE_ALL, 0));
        r->h->priv = RV_M;
        rig_csr_write(r, 0x300, RV_STATUS_MPRV | (uint64_t)RV_S << RV_STATUS_MPP_SHIFT);
        assert_true(fence_is_heard(r, SFENCE_A0_A1, asids[i]));
        assert_true(fence_is_heard(r, SFENCE_ALL, 0));
        rig_csr_write(r, 0x300, 0);
    }
}

/* Tables of random words, walked at random: always an answer, and a mapping only of
 * an address that the entries could name. */
static void test_random_tables(void **state)
{
    struct rig *r = *state;
    uint64_t seed = 11;

    r->h->menvcfg = RV_ENVCFG_ADUE | RV_ENVCFG_PBMTE;
    for (uint64_t gpa = RIG_RAM; gpa < RIG_RAM + RIG_RAM_LEN; gpa += 8) {
        uint64_t v = rig_random(&seed);

        rig_poke64(r, gpa, pte(RIG_RAM + (v & 0xff000), v & (v >> 32 & 1 ? 0x21 : 0xff)));
    }
    for (int k = 0; k < 500000; k++) {
        uint64_t va = (uint64_t)sign_extend(rig_random(&seed), 39);
        struct mmu_map map;
        struct mmu_fault fault;
        uint64_t rights = (rig_random(&seed) & 1) | (rig_random(&seed) & 12);

        if (walk(r, va, (enum mmu_access)(rig_random(&seed) % 3), rights, &map, &fault))
            assert_int_equal(map.gpa & 0xfff, va & 0xfff);
        else
            assert_int_equal(fault.tval, va);
    }
}

/* What a window is filled by: nothing is set, also where the hart may (Svadu). */
static void test_peek_changes_nothing(void **state)
{
    struct rig *r = *state;
    uint64_t leaf = lay_path(r, 0);
    struct mmu_map map;

    r->h->menvcfg = RV_ENVCFG_ADUE;
    rig_poke64(r, leaf, pte(FRAME, V | R | W | U));
    assert_false(rv_peek(&r->h->s, VA, MMU_LOAD, RV_U, &map));
    assert_int_equal(rig_peek64(r, leaf), pte(FRAME, V | R | W | U));
    rig_poke64(r, leaf, pte(FRAME, V | R | W | U | A));
    assert_true(rv_peek(&r->h->s, VA, MMU_LOAD, RV_U, &map));
    assert_true(map.read && !map.write);
    assert_false(rv_peek(&r->h->s, VA, MMU_LOAD, RV_S, &map));
    assert_int_equal(rig_peek64(r, leaf), pte(FRAME, V | R | W | U | A));
    rig_poke64(r, leaf, pte(FRAME, V | R | W | U | A | D));
    assert_true(rv_peek(&r->h->s, VA, MMU_LOAD, RV_U, &map));
    assert_true(map.read && map.write && map.gpa == (FRAME | (VA & 0xfff)));
}

static void test_windows_are_for_users_of_sv39(void **state)
{
    const uint64_t sv39 = UINT64_C(8) << 60, sv48 = UINT64_C(9) << 60;

    (void)state;
    assert_int_equal(rv_window_bound(sv39, RV_U), UINT64_C(1) << 38);
    assert_int_equal(rv_window_bound(sv39, RV_S), -(UINT64_C(1) << 38)); /* a kernel's own */
    assert_int_equal(rv_window_bound(sv39, RV_S | RV_RIGHTS_MXR), 0);
    assert_int_equal(rv_window_bound(sv48, RV_S), 0);
    assert_int_equal(rv_window_bound(0, RV_S), 0);
    assert_int_equal(rv_window_bound(sv39, RV_S | RV_RIGHTS_SUM), 0);
    assert_int_equal(rv_window_bound(sv39, RV_M), 0);
    assert_int_equal(rv_window_bound(sv48, RV_U), 0);
    assert_int_equal(rv_window_bound(0, RV_U), 0);
}

/* Two harts: a walks, b may have walked ahead. */
static void which_harts_walk_alike(void **state)
{
    enum { ROOT_TOO = 0x15000 };
    struct rig *r = *state;
    struct rv_hart *b = calloc(1, sizeof *b);
    const uint64_t satp = r->h->satp;

    assert_non_null(b);
    b->satp = satp;
    b->priv = RV_U; /* its satp is active */
    assert_true(rv_walks_alike(&r->h->s, &b->s, VA));
    b->priv = RV_M; /* a walk may have begun before */
    assert_true(rv_walks_alike(&r->h->s, &b->s, VA));
    b->walks_ended = true;
    assert_false(rv_walks_alike(&r->h->s, &b->s, VA));
    b->walks_ended = false;
    b->satp = satp | UINT64_C(7) << 44; /* another ASID: of global pages no matter */
    assert_true(rv_walks_alike(&r->h->s, &b->s, VA));
    b->satp = 0;
    assert_false(rv_walks_alike(&r->h->s, &b->s, VA));
    b->satp = satp + (UINT64_C(1) << 60); /* Sv48 */
    assert_false(rv_walks_alike(&r->h->s, &b->s, VA));
    b->satp = UINT64_C(8) << 60 | (RIG_RAM + ROOT_TOO) >> 12;
    rig_poke64(r, RIG_RAM + ROOT + 3 * 8, pte(RIG_RAM + L1, V));
    rig_poke64(r, RIG_RAM + ROOT_TOO + 3 * 8, pte(RIG_RAM + L1, V));
    assert_true(rv_walks_alike(&r->h->s, &b->s, VA));
    rig_poke64(r, RIG_RAM + ROOT_TOO + 3 * 8, pte(RIG_RAM + L1, V | G));
    assert_false(rv_walks_alike(&r->h->s, &b->s, VA));
    assert_true(rv_walks_alike(&r->h->s, &b->s, VA + (UINT64_C(1) << 30)));
    b->satp = UINT64_C(8) << 60 | 0x1000 >> 12; /* where there is no RAM */
    assert_false(rv_walks_alike(&r->h->s, &b->s, VA));
    free(b);
}

/* A walk that has begun in S or U mode goes on in M mode, until the hart fences, or has a new satp:
 * of that none has begun. */
static void when_walks_have_ended(void **state)
{
    struct rig *r = *state;
    struct rv_hart *h = r->h;
    uint64_t result, cause, tval;

    assert_true(h->walks_ended); /* reset */
    for (unsigned round = 0; round < 2; round++) {
        h->priv = round ? RV_S : RV_U;
        rv_sync(h);
        assert_false(h->walks_ended);
        h->priv = RV_M;
        rv_sync(h);
        assert_false(h->walks_ended);
        if (round)
            rv_satp_write(h, h->satp);
        else
            assert_true(rig_call(r, rv_help_sfence, 0x12000073, 0, 0, &result, &cause, &tval));
        assert_true(h->walks_ended);
    }
    h->priv = RV_S;
    rv_sync(h);
    rv_satp_write(h, h->satp);
    assert_false(h->walks_ended);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_permissions),
        T(test_identity),
        T(test_canonical),
        T(test_superpage_alignment),
        T(test_reserved_bits),
        T(test_pbmt),
        T(test_napot),
        T(test_pointers),
        T(test_tables_outside_ram),
        T(test_pmp_on_tables),
        T(test_more_levels),
        T(test_fences_of_a_space),
        T(test_random_tables),
        T(test_peek_changes_nothing),
        T(test_windows_are_for_users_of_sv39),
        T(which_harts_walk_alike),
        T(when_walks_have_ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
