/* Physical memory protection against a byte-by-byte transcription of the privileged
 * specification, 3.7.1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/rv_rig.h"

static int setup(void **state)
{
    *state = rig_create("default");
    return 0;
}

static int teardown(void **state)
{
    rig_destroy(*state);
    return 0;
}

/* ---- The second transcription ------------------------------------------------------------- */

static bool byte_matches(const struct rv_hart *h, unsigned i, uint64_t at)
{
    uint64_t addr = h->pmpaddr[i], size = 8;

    switch (h->pmpcfg[i] >> 3 & 3) {
    case 0: return false;
    case 1: return at >= (i ? h->pmpaddr[i - 1] * 4 : 0) && at < addr * 4;
    case 2: return at / 4 == addr;
    default:
        for (; addr & 1; addr >>= 1)
            size *= 2;
        return at / size == h->pmpaddr[i] * 4 / size;
    }
}

/* The lowest entry that matches any byte must match all; it decides. */
static bool oracle(const struct rv_hart *h, uint64_t gpa, unsigned len, enum mmu_access access,
                   enum rv_priv priv)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned n = 0;
        unsigned needs = access == MMU_LOAD ? 1 : access == MMU_STORE ? 2 : 4;

        for (unsigned k = 0; k < len; k++)
            n += byte_matches(h, i, gpa + k);
        if (n == 0)
            continue;
        if (n < len)
            return false;
        return (priv == RV_M && !(h->pmpcfg[i] & 0x80)) || (h->pmpcfg[i] & needs);
    }
    return priv == RV_M;
}

static void check(struct rig *r, uint64_t gpa, unsigned len, enum mmu_access access,
                  enum rv_priv priv)
{
    struct rv_hart *h = r->h;
    bool whole, got = rv_pmp_allowed(&h->s, gpa, len, access, priv, &whole);

    if (got != oracle(h, gpa, len, access, priv))
        fail_msg("gpa %lx len %u access %d priv %d: got %d; entry 0: cfg %02x addr %lx", gpa, len,
                 access, priv, got, h->pmpcfg[0], h->pmpaddr[0]);
    if (!whole || (gpa & 0xfff) + len > 4096)
        return;
    /* What is said of the page must hold for each word of it: some, others each time. */
    for (uint64_t at = (gpa & ~UINT64_C(0xfff)) + gpa * 4 % 148, end = gpa | 0xfff; at < end;
         at += 148)
        assert_int_equal(oracle(h, at, 4, access, priv), got);
}

static void check_around(struct rig *r, uint64_t at)
{
    static const enum rv_priv privs[] = {RV_U, RV_S, RV_M};

    for (int k = -9; k <= 9; k++) {
        for (unsigned len = 1; len <= 8; len *= 2) {
            uint64_t gpa = at + (uint64_t)(int64_t)k;

            if (at < 16 && k < 0)
                continue;
            for (unsigned x = 0; x < 9; x++)
                check(r, gpa, len, (enum mmu_access)(x % 3), privs[x / 3]);
        }
    }
}

static void put(struct rig *r, unsigned i, unsigned cfg, uint64_t addr)
{
    r->h->pmpcfg[i] = (uint8_t)cfg;
    r->h->pmpaddr[i] = addr & ((UINT64_C(1) << 54) - 1);
}

/* ---- Tests --------------------------------------------------------------------------------------
 */

static void test_nothing_configured(void **state)
{
    struct rig *r = *state;
    bool whole;

    for (unsigned access = 0; access < 3; access++) {
        assert_true(rv_pmp_allowed(&r->h->s, RIG_RAM, 8, (enum mmu_access)access, RV_M, &whole));
        assert_true(whole);
        assert_false(rv_pmp_allowed(&r->h->s, RIG_RAM, 8, (enum mmu_access)access, RV_S, &whole));
        assert_true(whole);
        assert_false(rv_pmp_allowed(&r->h->s, RIG_RAM, 8, (enum mmu_access)access, RV_U, &whole));
    }
}

/* Rights and lock of one entry, in each way to write it. */
static void test_cross_product(void **state)
{
    struct rig *r = *state;

    for (unsigned mode = 0; mode < 4; mode++) {
        for (unsigned rights = 0; rights < 16; rights++) {
            unsigned cfg = mode << 3 | (rights & 7) | (rights & 8 ? 0x80 : 0);

            put(r, 0, 0, 0x20000400);
            put(r, 1, cfg, mode == 3 ? 0x200004ff : 0x20000500);
            check_around(r, UINT64_C(0x80001000));
            check_around(r, UINT64_C(0x80001400));
            check_around(r, UINT64_C(0x80001800));
        }
    }
}

static void test_napot_sizes(void **state)
{
    struct rig *r = *state;
    bool whole;

    for (unsigned ones = 0; ones < 54; ones++) {
        uint64_t addr = (UINT64_C(0x2a5a5a5a5a5a5a) & ~bit(ones)) | (bit(ones) - 1);
        uint64_t size = UINT64_C(8) << ones;
        uint64_t first = addr * 4 / size * size;

        put(r, 0, 0x1f, addr);
        check_around(r, first);
        check_around(r, first + size);
        check_around(r, first + size / 2);
    }
    put(r, 0, 0x1f, UINT64_MAX);
    for (unsigned b = 0; b < 56; b++)
        assert_true(rv_pmp_allowed(&r->h->s, bit(b), 1, MMU_STORE, RV_U, &whole) && whole);
}

static void test_whole_page(void **state)
{
    struct rig *r = *state;
    bool whole;

    put(r, 0, 0x18, UINT64_C(0x80000000) >> 2 | 0x7fff); /* 256 KiB for M alone */
    put(r, 1, 0x1f, UINT64_MAX);
    assert_false(rv_pmp_allowed(&r->h->s, UINT64_C(0x8003fff8), 8, MMU_LOAD, RV_S, &whole));
    assert_true(whole);
    assert_true(rv_pmp_allowed(&r->h->s, UINT64_C(0x80040000), 8, MMU_LOAD, RV_S, &whole));
    assert_true(whole);
    /* A small entry anywhere in the page, even behind the access. */
    put(r, 2, 0x1f, UINT64_MAX);
    put(r, 1, 0x10, UINT64_C(0x80040ffc) >> 2);
    assert_true(rv_pmp_allowed(&r->h->s, UINT64_C(0x80040000), 8, MMU_LOAD, RV_S, &whole));
    assert_false(whole);
    /* A lower entry that covers the page hides it. */
    put(r, 0, 0x1f, UINT64_MAX);
    assert_true(rv_pmp_allowed(&r->h->s, UINT64_C(0x80040000), 8, MMU_LOAD, RV_S, &whole));
    assert_true(whole);
}

static void test_random_configurations(void **state)
{
    struct rig *r = *state;
    uint64_t seed = 5;

    for (int k = 0; k < 3000; k++) {
        unsigned shift = (unsigned)(rig_random(&seed) % 3) * 4;
        uint64_t at;

        for (unsigned i = 0; i < 16; i++) {
            uint64_t v = rig_random(&seed);
            uint64_t addr = (v >> 16 & 0xff) << shift;

            addr |= bit((unsigned)(v >> 32 & 7) + shift) - 1;
            put(r, i, v & 0x9f & (v >> 40 & 3 ? ~0x18u : ~0u), UINT64_C(0x20000000) + addr);
        }
        at = RIG_RAM + (rig_random(&seed) % 0x400 << (2 + shift) & ~UINT64_C(3));
        for (int n = 0; n < 30; n++) {
            unsigned len = 1u << rig_random(&seed) % 4;
            static const enum rv_priv privs[] = {RV_U, RV_S, RV_M};

            check(r, at + rig_random(&seed) % 64, len, (enum mmu_access)(rig_random(&seed) % 3),
                  privs[rig_random(&seed) % 3]);
        }
    }
}

/* A change takes effect at the next access, also of pages that were in use. */
static void test_takes_effect(void **state)
{
    struct rig *r = *state;
    struct cpu_state *s = &r->h->s;

    rig_csr_write(r, 0x3b0, UINT64_MAX);
    rig_csr_write(r, 0x3a0, 0x1f);
    r->h->priv = RV_S;
    rv_sync(r->h);
    if (setjmp(s->unwind) != 0)
        fail_msg("not allowed yet: cause %lu", s->exit_cause);
    assert_int_equal(mmu_load(s, RIG_RAM + 8, IR_64), 0);
    assert_false(mmu_store(s, RIG_RAM + 8, IR_64, 1));
    rig_csr_write(r, 0x3a0, 0x1d); /* no W */
    if (setjmp(s->unwind) == 0) {
        mmu_store(s, RIG_RAM + 8, IR_64, 2);
        fail_msg("stored where PMP forbids it");
    }
    assert_int_equal(s->exit_cause, RV_STORE_ACCESS);
    assert_int_equal(rig_peek64(r, RIG_RAM + 8), 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_nothing_configured), T(test_cross_product),         T(test_napot_sizes),
        T(test_whole_page),         T(test_random_configurations), T(test_takes_effect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
