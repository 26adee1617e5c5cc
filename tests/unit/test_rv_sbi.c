/* The built-in SBI, called as a kernel does: by an ecall from S. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/rv_rig.h"

enum { BASE = 0x10, TIME = 0x54494d45, IPI = 0x735049, RFENCE = 0x52464e43, HSM = 0x48534d };
enum { SRST = 0x53525354, PMU = 0x504d55, DBCN = 0x4442434e };
enum {
    OK = 0,
    FAILED = -1,
    NOT_SUPPORTED = -2,
    INVALID_PARAM = -3,
    INVALID_ADDRESS = -5,
    ALREADY_AVAILABLE = -6,
    ALREADY_STARTED = -7,
    ALREADY_STOPPED = -8,
};
#define PC UINT64_C(0x80000100)

static int setup(void **state)
{
    struct rig *r = rig_create("default");

    rv_enter_supervisor(r->h, PC, 0, 0x82000000);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    rig_destroy(*state);
    return 0;
}

/* Returns a0; *value is a1. */
static int64_t call(struct rig *r, uint64_t eid, uint64_t fid, const uint64_t arg[6],
                    uint64_t *value)
{
    struct rv_hart *h = r->h;
    uint64_t before[STATE_N_REGS];

    for (unsigned i = 0; i < 6; i++)
        h->s.reg[10 + i] = arg[i];
    h->s.reg[16] = fid;
    h->s.reg[17] = eid;
    memcpy(before, h->s.reg, sizeof(before));
    h->s.pc = PC;
    rv_trap(h, RV_ECALL_S, 0);
    assert_int_equal(h->s.pc, PC + 4);
    assert_int_equal(h->priv, RV_S);
    /* All registers but a0 and a1 are kept. */
    before[10] = h->s.reg[10];
    before[11] = h->s.reg[11];
    assert_memory_equal(before, h->s.reg, sizeof(before));
    *value = h->s.reg[11];
    return (int64_t)h->s.reg[10];
}

#define CALL(eid, fid, value, ...) call(r, eid, fid, (uint64_t[6]){__VA_ARGS__}, value)

/* ---- The state that a kernel finds ------------------------------------------------------ */

static void test_entry(void **state)
{
    struct rig *r = *state;
    struct rv_hart *h = r->h;
    bool whole;

    assert_int_equal(h->s.pc, PC);
    assert_int_equal(h->s.reg[10], 0);
    assert_int_equal(h->s.reg[11], 0x82000000);
    assert_int_equal(h->priv, RV_S);
    assert_int_equal(h->satp, 0);
    assert_int_equal(rv_sstatus(h) & (RV_STATUS_SIE | RV_STATUS_SD), 0);
    assert_int_equal(h->medeleg, 0xb1ff);
    assert_int_equal(h->mideleg, 0x222);
    assert_int_equal(h->menvcfg, UINT64_C(0xe0000000000000f0));
    assert_true(rv_mode_key(h) & RV_MODE_TIME_OK);
    assert_true(rv_pmp_allowed(&h->s, RIG_RAM, 8, MMU_FETCH, RV_U, &whole) && whole);
    assert_false(rv_wakes(h));
}

static void test_user_ecall_is_the_kernels(void **state)
{
    struct rig *r = *state;

    r->h->stvec = 0x80004000;
    r->h->priv = RV_U;
    rv_sync(r->h);
    rv_trap(r->h, RV_ECALL_U, 0);
    assert_int_equal(r->h->s.pc, 0x80004000);
    assert_int_equal(r->h->scause, RV_ECALL_U);
}

/* ---- Extensions ------------------------------------------------------------------------------ */

static void test_base(void **state)
{
    static const uint64_t known[] = {0,    1,    2,   3,      4,   5,    6,   7,   8,
                                     BASE, TIME, IPI, RFENCE, HSM, SRST, PMU, DBCN};
    struct rig *r = *state;
    uint64_t value;

    assert_int_equal(CALL(BASE, 0, &value, 0), OK);
    assert_int_equal(value, 0x02000000);
    assert_int_equal(CALL(BASE, 1, &value, 0), OK);
    assert_int_equal(value, 0x646274);
    for (unsigned fid = 4; fid <= 6; fid++) {
        assert_int_equal(CALL(BASE, fid, &value, 0), OK);
        assert_int_equal(value, rig_csr(r, 0xf11 + fid - 4));
    }
    for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        assert_int_equal(CALL(BASE, 3, &value, known[i]), OK);
        assert_int_equal(value, 1);
    }
    assert_int_equal(CALL(BASE, 3, &value, 0x53555350), OK);
    assert_int_equal(value, 0);
    assert_int_equal(CALL(BASE, 3, &value, 9), OK);
    assert_int_equal(value, 0);
    assert_int_equal(CALL(BASE, 7, &value, 0), NOT_SUPPORTED);
    assert_int_equal(CALL(0x53555350, 0, &value, 0), NOT_SUPPORTED);
    assert_int_equal(CALL(UINT64_MAX, 0, &value, 0), NOT_SUPPORTED);
}

static void check_timer(struct rig *r, uint64_t eid)
{
    uint64_t value;

    r->now = 100;
    assert_int_equal(CALL(eid, 0, &value, 200), OK);
    assert_int_equal(r->armed, 200);
    assert_int_equal(rig_csr(r, 0x144), 0);
    r->now = 200;
    rv_timer_tick(r->h);
    assert_int_equal(rig_csr(r, 0x144), 0x20);
    assert_int_equal(CALL(eid, 0, &value, UINT64_MAX), OK);
    assert_int_equal(rig_csr(r, 0x144), 0);
    assert_int_equal(CALL(eid, 0, &value, 1), OK); /* past already */
    assert_int_equal(rig_csr(r, 0x144), 0x20);
}

static void test_time(void **state)
{
    struct rig *r = *state;
    uint64_t value;

    check_timer(r, TIME);
    check_timer(r, 0);
    assert_int_equal(CALL(TIME, 1, &value, 0), NOT_SUPPORTED);
}

/* A model without Sstc has the SBI's timer all the same. */
static void test_time_without_sstc(void **state)
{
    struct rig *r = rig_create("rv64gc");

    (void)state;
    rv_enter_supervisor(r->h, PC, 0, 0);
    check_timer(r, TIME);
    rig_destroy(r);
}

static void test_ipi(void **state)
{
    struct rig *r = *state;
    uint64_t value;

    assert_int_equal(CALL(IPI, 0, &value, 1, 0), OK);
    assert_int_equal(rig_csr(r, 0x144), 2);
    rig_csr_write(r, 0x144, 0);
    assert_int_equal(rig_csr(r, 0x144), 0);
    assert_int_equal(CALL(IPI, 0, &value, 0, 0), OK);
    assert_int_equal(rig_csr(r, 0x144), 0);
    assert_int_equal(CALL(IPI, 0, &value, 0, UINT64_MAX), OK); /* all */
    assert_int_equal(rig_csr(r, 0x144), 2);
    assert_int_equal(CALL(IPI, 0, &value, 2, 0), INVALID_PARAM);
    assert_int_equal(CALL(IPI, 0, &value, 1, 1), INVALID_PARAM);
    assert_int_equal(CALL(IPI, 0, &value, 4, UINT64_MAX - 1), INVALID_PARAM);
    assert_int_equal(CALL(IPI, 1, &value, 1, 0), NOT_SUPPORTED);
}

static void test_rfence(void **state)
{
    struct rig *r = *state;
    uint64_t value, fences = mmu_stats(r->h->s.mmu)->fences;

    assert_int_equal(CALL(RFENCE, 0, &value, 1, 0), OK);
    assert_int_equal(CALL(RFENCE, 1, &value, 0, 0, 0, 0), OK); /* nobody */
    assert_int_equal(mmu_stats(r->h->s.mmu)->fences, fences);
    assert_int_equal(CALL(RFENCE, 1, &value, 1, 0, 0x1ff8, 0x10), OK); /* two pages */
    assert_int_equal(mmu_stats(r->h->s.mmu)->fences, fences + 2);
    assert_int_equal(CALL(RFENCE, 2, &value, 1, 0, 0x1000, 0x2000, 5), OK);
    assert_int_equal(mmu_stats(r->h->s.mmu)->fences, fences + 4);
    assert_int_equal(CALL(RFENCE, 1, &value, 0, UINT64_MAX, 0, 0), OK);
    assert_int_equal(CALL(RFENCE, 1, &value, 1, 0, 0x1000, UINT64_MAX), OK);
    assert_int_equal(CALL(RFENCE, 1, &value, 1, 0, UINT64_MAX, UINT64_MAX), OK);
    assert_int_equal(mmu_stats(r->h->s.mmu)->fences, fences + 7);
    assert_int_equal(CALL(RFENCE, 1, &value, 2, 0, 0, 0), INVALID_PARAM);
    for (unsigned fid = 3; fid < 8; fid++)
        assert_int_equal(CALL(RFENCE, fid, &value, 1, 0, 0, 0), NOT_SUPPORTED);
}

static void test_hsm(void **state)
{
    struct rig *r = *state;
    uint64_t value;

    assert_int_equal(CALL(HSM, 0, &value, 0, 0x80000000, 0), ALREADY_AVAILABLE);
    assert_int_equal(CALL(HSM, 0, &value, 1, 0x80000000, 0), INVALID_PARAM);
    assert_int_equal(CALL(HSM, 1, &value, 0), FAILED);
    assert_int_equal(CALL(HSM, 2, &value, 0), OK);
    assert_int_equal(value, 0);
    assert_int_equal(CALL(HSM, 2, &value, 1), INVALID_PARAM);
    atomic_store(&r->h->s.pending, 0);
    assert_int_equal(CALL(HSM, 3, &value, 0), OK);
    assert_int_equal(atomic_load(&r->h->s.pending), PENDING_WAIT);
    assert_int_equal(CALL(HSM, 3, &value, 0x80000000), NOT_SUPPORTED);
    assert_int_equal(CALL(HSM, 3, &value, 5), INVALID_PARAM);
    assert_int_equal(CALL(HSM, 4, &value, 0), NOT_SUPPORTED);
}

static void test_srst(void **state)
{
    struct rig *r = *state;
    uint64_t value;

    assert_int_equal(CALL(SRST, 0, &value, 3, 0), INVALID_PARAM);
    assert_int_equal(CALL(SRST, 0, &value, 0, 2), INVALID_PARAM);
    assert_int_equal(CALL(SRST, 1, &value, 0, 0), NOT_SUPPORTED);
    assert_int_equal(r->reset_type, -1);
    CALL(SRST, 0, &value, 1, 1);
    assert_int_equal(r->reset_type, 1);
    assert_int_equal(r->reset_reason, 1);
    CALL(8, 0, &value, 0);
    assert_int_equal(r->reset_type, 0);
}

static void test_dbcn(void **state)
{
    struct rig *r = *state;
    uint64_t value;

    memcpy(phys_ptr(&r->phys, RIG_RAM + 0x800), "hello", 5);
    assert_int_equal(CALL(DBCN, 0, &value, 5, RIG_RAM + 0x800, 0), OK);
    assert_int_equal(value, 5);
    assert_int_equal(CALL(DBCN, 2, &value, 0x121), OK);
    assert_string_equal(r->out, "hello!");
    assert_int_equal(CALL(DBCN, 0, &value, 5, RIG_RAM + 0x800, 1), INVALID_PARAM);
    assert_int_equal(CALL(DBCN, 0, &value, 5, 0x1000, 0), INVALID_PARAM);
    assert_int_equal(CALL(DBCN, 0, &value, UINT64_MAX, RIG_RAM, 0), INVALID_PARAM);
    assert_int_equal(CALL(DBCN, 0, &value, 2, RIG_RAM + RIG_RAM_LEN - 1, 0), INVALID_PARAM);
    assert_int_equal(CALL(DBCN, 0, &value, 0, 0, 0), OK);
    assert_int_equal(value, 0);
    assert_int_equal(CALL(DBCN, 0, &value, RIG_RAM_LEN, RIG_RAM, 0), OK);
    assert_true(value > 0 && value < RIG_RAM_LEN); /* a part, so that the call ends soon */
    r->in = "abc";
    assert_int_equal(CALL(DBCN, 1, &value, 2, RIG_RAM + 0x900, 0), OK);
    assert_int_equal(value, 2);
    assert_memory_equal(phys_ptr(&r->phys, RIG_RAM + 0x900), "ab", 3);
    assert_int_equal(r->wrote_gpa, RIG_RAM + 0x900);
    assert_int_equal(r->wrote_len, 2);
    r->in = "";
    assert_int_equal(CALL(DBCN, 1, &value, 2, RIG_RAM + 0x900, 0), OK);
    assert_int_equal(value, 0);
    assert_int_equal(CALL(DBCN, 3, &value, 0), NOT_SUPPORTED);
}

static void test_pmu(void **state)
{
    struct rig *r = *state;
    uint64_t value;

    assert_int_equal(CALL(PMU, 0, &value, 0), OK);
    assert_int_equal(value, 2);
    assert_int_equal(CALL(PMU, 1, &value, 0), OK);
    assert_int_equal(value, 0xc00 | 63 << 12);
    assert_int_equal(CALL(PMU, 1, &value, 1), OK);
    assert_int_equal(value, 0xc02 | 63 << 12);
    assert_int_equal(CALL(PMU, 1, &value, 2), INVALID_PARAM);
    /* Stop both, match instructions, start from 1000. */
    assert_int_equal(CALL(PMU, 4, &value, 0, 3, 1), OK);
    assert_int_equal(CALL(PMU, 4, &value, 0, 3, 0), ALREADY_STOPPED);
    assert_int_equal(CALL(PMU, 2, &value, 0, 3, 0, 2, 0), OK);
    assert_int_equal(value, 1);
    r->now = 10;
    assert_int_equal(CALL(PMU, 3, &value, 1, 1, 1, 1000), OK);
    assert_int_equal(rig_csr(r, 0xc02), 1000);
    r->now = 11;
    assert_int_equal(rig_csr(r, 0xc02), 1100);
    assert_int_equal(rig_csr(r, 0xc00), 0);
    assert_int_equal(CALL(PMU, 3, &value, 0, 3, 0), ALREADY_STARTED); /* and starts the other */
    r->now = 12;
    assert_int_equal(rig_csr(r, 0xc00), 100);
    /* Matching may clear and start by itself. */
    assert_int_equal(CALL(PMU, 4, &value, 0, 1, 0), OK);
    assert_int_equal(CALL(PMU, 2, &value, 0, 3, 6, 1, 0), OK);
    assert_int_equal(value, 0);
    r->now = 13;
    assert_int_equal(rig_csr(r, 0xc00), 100);
    assert_int_equal(CALL(PMU, 2, &value, 0, 3, 0, 3, 0), NOT_SUPPORTED);       /* cache misses */
    assert_int_equal(CALL(PMU, 2, &value, 0, 3, 0, 0xf0000, 0), NOT_SUPPORTED); /* firmware */
    assert_int_equal(CALL(PMU, 2, &value, 0, 2, 0, 1, 0), NOT_SUPPORTED);       /* not in the set */
    assert_int_equal(CALL(PMU, 3, &value, 0, 4, 0), INVALID_PARAM);
    assert_int_equal(CALL(PMU, 3, &value, 2, 1, 0), INVALID_PARAM);
    assert_int_equal(CALL(PMU, 3, &value, UINT64_MAX, 1, 0), INVALID_PARAM);
    assert_int_equal(CALL(PMU, 5, &value, 0), NOT_SUPPORTED);
}

/* ---- Legacy: a0 only, a1 is kept
 * ------------------------------------------------------------------- */

static void test_legacy_console(void **state)
{
    struct rig *r = *state;
    uint64_t value;

    assert_int_equal(CALL(1, 7, &value, 'x', 0x55), 0);
    assert_int_equal(value, 0x55);
    assert_string_equal(r->out, "x");
    r->in = "\xff";
    assert_int_equal(CALL(2, 0, &value, 0), 0xff);
    assert_int_equal(CALL(2, 0, &value, 0), -1);
}

static void test_legacy_masks(void **state)
{
    struct rig *r = *state;
    uint64_t value, mask = RIG_RAM + 0x700;

    rig_poke64(r, mask, 0);
    assert_int_equal(CALL(4, 0, &value, mask), 0);
    assert_int_equal(rig_csr(r, 0x144), 0);
    rig_poke64(r, mask, 1);
    assert_int_equal(CALL(4, 0, &value, mask), 0);
    assert_int_equal(rig_csr(r, 0x144), 2);
    assert_int_equal(CALL(3, 0, &value, 0), 0);
    assert_int_equal(rig_csr(r, 0x144), 0);
    assert_int_equal(CALL(4, 0, &value, 0), 0); /* NULL: all */
    assert_int_equal(rig_csr(r, 0x144), 2);
    assert_int_equal(CALL(4, 0, &value, mask + 4), INVALID_ADDRESS);
    assert_int_equal(CALL(4, 0, &value, 0x1000), INVALID_ADDRESS);
    assert_int_equal(CALL(5, 0, &value, mask), 0);
    assert_int_equal(CALL(6, 0, &value, mask, 0x1000, 0x1000), 0);
    assert_int_equal(CALL(7, 0, &value, 0, 0x1000, 0x1000, 1), 0);
    assert_int_equal(CALL(7, 0, &value, 0x1000, 0, 0, 1), INVALID_ADDRESS);
    /* The mask's address is a virtual one: an unmapped page is the call's failure, no trap. */
    rig_csr_write(r, 0x180, UINT64_C(8) << 60 | (RIG_RAM + 0x10000) >> 12);
    assert_int_equal(CALL(4, 0, &value, mask), INVALID_ADDRESS);
    rig_poke64(r, RIG_RAM + 0x10000 + 8, RIG_RAM >> 12 << 10 | 0xc7);
    rig_poke64(r, mask, 1);
    assert_int_equal(CALL(3, 0, &value, 0), 0);
    assert_int_equal(CALL(4, 0, &value, 0x40000700), 0);
    assert_int_equal(rig_csr(r, 0x144), 2);
}

/* Whatever a kernel puts into its registers, the call returns. */
static void test_random_calls(void **state)
{
    static const uint64_t eids[] = {BASE, TIME, IPI, RFENCE, HSM, SRST, PMU, DBCN, 0,
                                    1,    2,    3,   4,      5,   6,    7,   8};
    struct rig *r = *state;
    uint64_t seed = 9, value, arg[6];

    for (int k = 0; k < 50000; k++) {
        for (unsigned i = 0; i < 6; i++) {
            uint64_t v = rig_random(&seed);

            arg[i] = v & 1 ? v >> 1 & 7 : v & 2 ? ~(v >> 60) : v & 4 ? RIG_RAM + (v >> 45) : v;
        }
        call(r, eids[rig_random(&seed) % 17], rig_random(&seed) % 8, arg, &value);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_entry),
        T(test_user_ecall_is_the_kernels),
        T(test_base),
        T(test_time),
        T(test_time_without_sstc),
        T(test_ipi),
        T(test_rfence),
        T(test_hsm),
        T(test_srst),
        T(test_dbcn),
        T(test_pmu),
        T(test_legacy_console),
        T(test_legacy_masks),
        T(test_random_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
