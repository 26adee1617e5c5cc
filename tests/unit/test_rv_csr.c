/* CSRs: which exist for whom, which bits can be written, and what follows from
 * writing them. The lists here are a second transcription of the privileged
 * specification, not made from rv_csr.def. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/riscv/rv_helper.h"
#include "softmmu/mmu_int.h"
#include "tests/lib/rv_rig.h"

enum { MSTATUS = 0x300, MIE = 0x304, MIDELEG = 0x303, MIP = 0x344, SIP = 0x144, SIE = 0x104 };
enum { MENVCFG = 0x30a, SENVCFG = 0x10a, SATP = 0x180, STIMECMP = 0x14d, SSTATUS = 0x100 };
enum { FFLAGS = 1, FRM = 2, FCSR = 3, MCYCLE = 0xb00, MINSTRET = 0xb02, MCOUNTINHIBIT = 0x320 };
enum { MCOUNTEREN = 0x306, SCOUNTEREN = 0x106, CYCLE = 0xc00, TIME = 0xc01, INSTRET = 0xc02 };
enum { PMPCFG0 = 0x3a0, PMPCFG2 = 0x3a2, PMPADDR0 = 0x3b0 };

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

static bool access(struct rig *r, unsigned number, enum rv_csr_op op, bool write, uint64_t v,
                   uint64_t *old)
{
    return rv_csr_access(r->h, number, op, write, v, old);
}

static void set_priv(struct rig *r, enum rv_priv priv)
{
    r->h->priv = priv;
    rv_sync(r->h);
}

/* ---- Existence and privilege ---------------------------------------------------------- */

/* Is there such a register in the model "default"? */
static bool expect_exists(unsigned n)
{
    static const uint16_t single[] = {
        0x001, 0x002, 0x003, 0xc00, 0xc01, 0xc02, 0x100, 0x104, 0x105, 0x106, 0x10a,
        0x140, 0x141, 0x142, 0x143, 0x144, 0x14d, 0x180, 0xf11, 0xf12, 0xf13, 0xf14,
        0xf15, 0x300, 0x301, 0x302, 0x303, 0x304, 0x305, 0x306, 0x30a, 0x320, 0x340,
        0x341, 0x342, 0x343, 0x344, 0x747, 0x3a0, 0x3a2, 0xb00, 0xb02,
    };

    for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++) {
        if (single[i] == n)
            return true;
    }
    return (n >= 0xc03 && n <= 0xc1f) || (n >= 0x323 && n <= 0x33f) || (n >= 0xb03 && n <= 0xb1f) ||
           (n >= 0x3b0 && n <= 0x3bf);
}

static void check_all_numbers(struct rig *r, enum rv_priv priv)
{
    for (unsigned n = 0; n < 4096; n++) {
        bool readable = expect_exists(n) && (unsigned)priv >= (n >> 8 & 3);
        bool writable = readable && n >> 10 != 3;
        uint64_t old = 0, again;

        set_priv(r, priv);
        if (access(r, n, RV_CSR_SET, false, 0, &old) != readable)
            fail_msg("csr %03x read from %d: expected %d", n, priv, readable);
        if (access(r, n, RV_CSR_SET, true, 0, &again) != writable)
            fail_msg("csr %03x set from %d: expected %d", n, priv, writable);
    }
}

static void test_exists(void **state)
{
    struct rig *r = *state;

    /* All that can be closed is open. */
    rig_csr_write(r, MSTATUS, RV_STATUS_FS);
    rig_csr_write(r, MCOUNTEREN, UINT64_MAX);
    rig_csr_write(r, SCOUNTEREN, UINT64_MAX);
    rig_csr_write(r, MENVCFG, RV_ENVCFG_STCE);
    check_all_numbers(r, RV_M);
    check_all_numbers(r, RV_S);
    check_all_numbers(r, RV_U);
}

static void test_fp_off(void **state)
{
    struct rig *r = *state;
    uint64_t old;

    for (unsigned n = FFLAGS; n <= FCSR; n++)
        assert_false(access(r, n, RV_CSR_SET, false, 0, &old));
    rig_csr_write(r, MSTATUS, UINT64_C(1) << 13);
    for (unsigned n = FFLAGS; n <= FCSR; n++)
        assert_true(access(r, n, RV_CSR_SET, false, 0, &old));
}

static void test_counter_enables(void **state)
{
    struct rig *r = *state;
    uint64_t old;

    for (unsigned bits = 0; bits < 4; bits++) {
        bool m = bits & 1, s = bits & 2;

        for (unsigned n = 0; n < 32; n++) {
            rig_csr_write(r, MCOUNTEREN, m ? bit(n) : ~bit(n));
            rig_csr_write(r, SCOUNTEREN, s ? bit(n) : ~bit(n));
            set_priv(r, RV_M);
            assert_true(access(r, CYCLE + n, RV_CSR_SET, false, 0, &old));
            set_priv(r, RV_S);
            assert_int_equal(access(r, CYCLE + n, RV_CSR_SET, false, 0, &old), m);
            assert_int_equal((rv_mode_key(r->h) & RV_MODE_TIME_OK) != 0, n == 1 ? m : !m);
            set_priv(r, RV_U);
            assert_int_equal(access(r, CYCLE + n, RV_CSR_SET, false, 0, &old), m && s);
            if (n == 1)
                assert_int_equal((rv_mode_key(r->h) & RV_MODE_TIME_OK) != 0, m && s);
        }
    }
}

static void test_tvm_and_stimecmp(void **state)
{
    struct rig *r = *state;
    uint64_t old;

    for (unsigned bits = 0; bits < 4; bits++) {
        rig_csr_write(r, MENVCFG, bits & 1 ? RV_ENVCFG_STCE : 0);
        rig_csr_write(r, MCOUNTEREN, bits & 2 ? 2 : 0);
        set_priv(r, RV_M);
        assert_true(access(r, STIMECMP, RV_CSR_SET, false, 0, &old));
        set_priv(r, RV_S);
        assert_int_equal(access(r, STIMECMP, RV_CSR_SET, false, 0, &old), bits == 3);
    }
    rig_csr_write(r, MSTATUS, RV_STATUS_TVM);
    set_priv(r, RV_S);
    assert_false(access(r, SATP, RV_CSR_SET, false, 0, &old));
    set_priv(r, RV_M);
    assert_true(access(r, SATP, RV_CSR_SET, false, 0, &old));
}

static void test_smaller_model(void **state)
{
    struct rig *r = rig_create("rv64gc,zicntr=off,d=off,f=off");
    uint64_t old;

    (void)state;
    assert_false(access(r, STIMECMP, RV_CSR_SET, false, 0, &old));
    assert_false(access(r, TIME, RV_CSR_SET, false, 0, &old));
    rig_csr_write(r, MSTATUS, RV_STATUS_FS);
    assert_int_equal(rig_csr(r, MSTATUS) & (RV_STATUS_FS | RV_STATUS_SD), 0);
    assert_false(access(r, FCSR, RV_CSR_SET, false, 0, &old));
    rig_csr_write(r, MENVCFG, UINT64_MAX);
    assert_int_equal(rig_csr(r, MENVCFG), 1); /* FIOM alone */
    assert_int_equal(rig_csr(r, 0x301), UINT64_C(2) << 62 | 0x141105);
    rig_destroy(r);
}

/* ---- The instruction ------------------------------------------------------------------------ */

static uint32_t csr_word(unsigned number, unsigned funct3, unsigned rs1, unsigned rd)
{
    return number << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | 0x73;
}

static void test_instruction(void **state)
{
    struct rig *r = *state;
    uint64_t result, cause, tval;
    uint32_t word = csr_word(0x340, 1, 5, 6);

    assert_true(rig_call(r, rv_help_csr, word, 0xf0, 0, &result, &cause, &tval));
    assert_int_equal(result, 0);
    assert_true(
        rig_call(r, rv_help_csr, csr_word(0x340, 2, 5, 6), 0x0f, 0, &result, &cause, &tval));
    assert_int_equal(result, 0xf0);
    assert_true(
        rig_call(r, rv_help_csr, csr_word(0x340, 3, 5, 6), 0x3c, 0, &result, &cause, &tval));
    assert_int_equal(result, 0xff);
    assert_int_equal(rig_csr(r, 0x340), 0xc3);
    /* csrrwi, csrrsi, csrrci: the operand arrives ready. */
    assert_true(rig_call(r, rv_help_csr, csr_word(0x340, 5, 3, 0), 3, 0, &result, &cause, &tval));
    assert_int_equal(rig_csr(r, 0x340), 3);
    /* The rs1 field decides whether it writes, not the value. */
    word = csr_word(0xf14, 2, 0, 6);
    assert_true(rig_call(r, rv_help_csr, word, 0, 0, &result, &cause, &tval));
    word = csr_word(0xf14, 2, 5, 6);
    assert_false(rig_call(r, rv_help_csr, word, 0, 0, &result, &cause, &tval));
    assert_int_equal(cause, RV_ILLEGAL);
    assert_int_equal(tval, word);
    word = csr_word(0xf14, 1, 0, 0); /* csrw mhartid, x0 */
    assert_false(rig_call(r, rv_help_csr, word, 0, 0, &result, &cause, &tval));
    assert_false(rig_call(r, rv_help_csr, csr_word(0x7a0, 2, 0, 6), 0, 0, &result, &cause, &tval));
}

/* ---- Writable bits ----------------------------------------------------------------------------
 */

#define ALL       UINT64_MAX
#define MSTATUS_W UINT64_C(0x7e79aa) /* with MPP 3; SIE MIE SPIE MPIE SPP MPP FS MPRV..TSR */
#define MSTATUS_F UINT64_C(0xa00000000)

/* Registers that are plain bits: each reads as (written & mask) | fixed. */
static const struct {
    uint16_t number;
    uint64_t mask, fixed;
} plain[] = {
    {0x105, ~UINT64_C(2), 0},
    {0x106, 0xffffffff, 0},
    {0x140, ALL, 0},
    {0x141, ~UINT64_C(1), 0},
    {0x142, ALL, 0},
    {0x143, ALL, 0},
    {0x14d, ALL, 0},
    {0x301, 0, UINT64_C(0x800000000014112d)}, /* ACDFIMSU */
    {0x302, 0xb3ff, 0},
    {0x303, 0x222, 0},
    {0x304, 0xaaa, 0},
    {0x305, ~UINT64_C(2), 0},
    {0x306, 0xffffffff, 0},
    {0x320, 0xfffffffd, 0},
    {0x323, 0, 0},
    {0x33f, 0, 0},
    {0x340, ALL, 0},
    {0x341, ~UINT64_C(1), 0},
    {0x342, ALL, 0},
    {0x343, ALL, 0},
    {0x3b0, UINT64_C(0x3fffffffffffff), 0},
    {0x3bf, UINT64_C(0x3fffffffffffff), 0},
    {0x747, 0, 0},
    {0xb03, 0, 0},
    {0xb1f, 0, 0},
};

static void test_plain_masks(void **state)
{
    struct rig *r = *state;
    uint64_t seed = 1;

    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        for (int k = 0; k < 200; k++) {
            uint64_t v = k == 0 ? 0 : k == 1 ? ALL : rig_random(&seed);

            rig_csr_write(r, plain[i].number, v);
            if (rig_csr(r, plain[i].number) != ((v & plain[i].mask) | plain[i].fixed))
                fail_msg("csr %03x: wrote %lx, read %lx", plain[i].number, v,
                         rig_csr(r, plain[i].number));
        }
    }
}

static void test_mstatus(void **state)
{
    struct rig *r = *state;
    uint64_t seed = 2, mpp = 0;

    assert_int_equal(rig_csr(r, MSTATUS), MSTATUS_F);
    for (int k = 0; k < 2000; k++) {
        uint64_t v = k == 0 ? ALL : rig_random(&seed);
        uint64_t want = (v & MSTATUS_W & ~RV_STATUS_MPP) | MSTATUS_F;

        rig_csr_write(r, MSTATUS, v);
        if ((v >> 11 & 3) != 2)
            mpp = v >> 11 & 3;
        want |= mpp << 11;
        want |= (v >> 13 & 3) == 3 ? bit(63) : 0;
        assert_int_equal(rig_csr(r, MSTATUS), want);
        assert_int_equal(rig_csr(r, SSTATUS), want & UINT64_C(0x80000002000c6122));
    }
}

static void test_sstatus(void **state)
{
    struct rig *r = *state;
    uint64_t seed = 3;

    for (int k = 0; k < 2000; k++) {
        uint64_t before = rig_random(&seed) | 3 << 11, v = rig_random(&seed);
        const uint64_t mine = 0xc6122;

        rig_csr_write(r, MSTATUS, before);
        rig_csr_write(r, SSTATUS, v);
        before = (before & MSTATUS_W & ~mine) | (v & mine) | MSTATUS_F;
        before |= (before >> 13 & 3) == 3 ? bit(63) : 0;
        assert_int_equal(rig_csr(r, MSTATUS), before);
    }
}

static void test_envcfg(void **state)
{
    struct rig *r = *state;
    uint64_t seed = 4, m = 0, s = 0;
    const uint64_t s_mask = 0xf1, m_mask = s_mask | UINT64_C(7) << 61;

    for (int k = 0; k < 500; k++) {
        uint64_t v = rig_random(&seed);
        uint64_t keep = (v >> 4 & 3) == 2 ? 0x30 : 0;

        rig_csr_write(r, MENVCFG, v);
        rig_csr_write(r, SENVCFG, v);
        m = (v & m_mask & ~keep) | (m & keep);
        s = (v & s_mask & ~keep) | (s & keep);
        assert_int_equal(rig_csr(r, MENVCFG), m);
        assert_int_equal(rig_csr(r, SENVCFG), s);
    }
}

static void test_satp(void **state)
{
    struct rig *r = *state;
    uint64_t rest = UINT64_C(0x0abcdef123456789);

    for (uint64_t mode = 0; mode < 16; mode++) {
        rig_csr_write(r, SATP, UINT64_C(8) << 60 | 0x77);
        rig_csr_write(r, SATP, mode << 60 | rest);
        assert_int_equal(rig_csr(r, SATP), mode == 8   ? mode << 60 | rest
                                           : mode == 0 ? 0
                                                       : UINT64_C(8) << 60 | 0x77);
    }
}

/* ---- Interrupt bits ---------------------------------------------------------------------------
 */

static void test_sie_sip_views(void **state)
{
    struct rig *r = *state;
    uint64_t seed = 5;

    for (int k = 0; k < 1000; k++) {
        uint64_t deleg = rig_random(&seed) & 0x222, mie = rig_random(&seed) & 0xaaa;
        uint64_t soft = rig_random(&seed) & 0x222, v = rig_random(&seed);

        rig_csr_write(r, MIDELEG, deleg);
        rig_csr_write(r, MIE, mie);
        rig_csr_write(r, MIP, soft);
        assert_int_equal(rig_csr(r, SIE), mie & deleg);
        assert_int_equal(rig_csr(r, SIP), soft & deleg);
        rig_csr_write(r, SIE, v);
        assert_int_equal(rig_csr(r, MIE), (mie & ~deleg) | (v & deleg));
        rig_csr_write(r, SIP, v);
        assert_int_equal(rig_csr(r, MIP), (soft & ~(deleg & 2)) | (v & deleg & 2));
    }
}

static void test_seip_is_two_bits(void **state)
{
    struct rig *r = *state;
    uint64_t old;

    rv_set_mip(r->h, RV_SEI, true);
    assert_int_equal(rig_csr(r, MIP), 0x200);
    /* csrrs of another bit must not make the line a software bit. */
    assert_true(access(r, MIP, RV_CSR_SET, true, 2, &old));
    assert_int_equal(old, 0x200);
    assert_int_equal(rig_csr(r, MIP), 0x202);
    rv_set_mip(r->h, RV_SEI, false);
    assert_int_equal(rig_csr(r, MIP), 0x002);
    /* Software's own bit stays under a line that comes and goes. */
    assert_true(access(r, MIP, RV_CSR_SET, true, 0x200, &old));
    rv_set_mip(r->h, RV_SEI, true);
    rv_set_mip(r->h, RV_SEI, false);
    assert_int_equal(rig_csr(r, MIP), 0x202);
    assert_true(access(r, MIP, RV_CSR_CLEAR, true, 0x200, &old));
    assert_int_equal(rig_csr(r, MIP), 0x002);
    /* Under a line that is up the bit beneath is set and cleared all the same. */
    rv_set_mip(r->h, RV_SEI, true);
    assert_true(access(r, MIP, RV_CSR_SET, true, 0x200, &old));
    rv_set_mip(r->h, RV_SEI, false);
    assert_int_equal(rig_csr(r, MIP), 0x202);
    assert_true(access(r, MIP, RV_CSR_CLEAR, true, 0x200, &old));
    assert_int_equal(rig_csr(r, MIP), 0x002);
    /* And the lines of M are not software's. */
    rv_set_mip(r->h, RV_MTI, true);
    rig_csr_write(r, MIP, 0);
    assert_int_equal(rig_csr(r, MIP), 0x080);
    rig_csr_write(r, MIP, ALL);
    assert_int_equal(rig_csr(r, MIP), 0x2a2);
}

static void test_sstc(void **state)
{
    struct rig *r = *state;

    r->now = 1000;
    rig_csr_write(r, MIP, bit(RV_STI));
    assert_int_equal(rig_csr(r, MIP), 0x20); /* software's, as long as STCE is 0 */
    rig_csr_write(r, STIMECMP, 500);
    assert_int_equal(rig_csr(r, MIP), 0x20);
    rig_csr_write(r, STIMECMP, 2000);
    rig_csr_write(r, MENVCFG, RV_ENVCFG_STCE);
    assert_int_equal(rig_csr(r, MIP), 0); /* hidden now */
    assert_int_equal(r->armed, 2000);
    rig_csr_write(r, MIP, bit(RV_STI));
    assert_int_equal(rig_csr(r, MIP), 0);
    r->now = 1999;
    rv_timer_tick(r->h); /* too early: armed again */
    assert_int_equal(rig_csr(r, MIP), 0);
    assert_int_equal(r->armed, 2000);
    r->now = 2000;
    assert_int_equal(rig_csr(r, MIP), 0x20); /* seen even before the machine's timer fires */
    atomic_store(&r->h->s.pending, 0);
    rv_timer_tick(r->h);
    assert_int_equal(atomic_load(&r->h->s.pending), PENDING_IRQ);
    rig_csr_write(r, STIMECMP, 3000);
    assert_int_equal(rig_csr(r, MIP), 0);
    assert_int_equal(r->armed, 3000);
    rig_csr_write(r, STIMECMP, 1);
    assert_int_equal(rig_csr(r, MIP), 0x20);
    rig_csr_write(r, MENVCFG, 0);
    assert_int_equal(rig_csr(r, MIP), 0x20); /* software's again, from the start */
    rig_csr_write(r, MIP, 0);
    assert_int_equal(rig_csr(r, MIP), 0);
    /* What is written while stimecmp decides is not kept for later. */
    rig_csr_write(r, STIMECMP, 5000);
    rig_csr_write(r, MENVCFG, RV_ENVCFG_STCE);
    rig_csr_write(r, MIP, bit(RV_STI));
    rig_csr_write(r, MENVCFG, 0);
    assert_int_equal(rig_csr(r, MIP), 0);
}

/* ---- Floating point
 * ------------------------------------------------------------------------------ */

static void test_fcsr(void **state)
{
    static const uint32_t rc[8] = {0, 3, 1, 2, 0, 0, 0, 0};
    struct rig *r = *state;
    unsigned last_valid = 0;

    for (unsigned v = 0; v < 256; v++) {
        unsigned frm = v >> 5, flags = v & 31;

        rig_csr_write(r, MSTATUS, UINT64_C(1) << 13);
        rig_csr_write(r, FCSR, v | 0xffffff00);
        last_valid = frm <= 4 ? frm : last_valid; /* what fp_rm keeps */
        assert_int_equal(rig_csr(r, FCSR), v);
        assert_int_equal(rig_csr(r, FRM), frm);
        assert_int_equal(rig_csr(r, FFLAGS), flags);
        assert_int_equal(r->h->s.mxcsr, 0x1f80 | rc[frm] << 13 | ir_fp_to_mxcsr(flags));
        assert_int_equal(r->h->s.fp_rm, last_valid);
        assert_int_equal(rv_mode_key(r->h), RV_M | 3 << RV_MODE_FS_SHIFT |
                                                (frm == 4 ? RV_MODE_FRM_RMM : 0) |
                                                (frm > 4 ? RV_MODE_FRM_INVALID : 0) |
                                                RV_MODE_TIME_OK | RV_MODE_ZERO_OK);
        rig_csr_write(r, FFLAGS, 21);
        assert_int_equal(rig_csr(r, FCSR), frm << 5 | 21);
        rig_csr_write(r, FRM, 2);
        assert_int_equal(rig_csr(r, FCSR), 2 << 5 | 21);
        last_valid = 2;
    }
    /* Reading leaves FS alone. */
    rig_csr_write(r, MSTATUS, UINT64_C(2) << 13);
    rig_csr(r, FCSR);
    assert_int_equal(rig_csr(r, MSTATUS) & RV_STATUS_FS, UINT64_C(2) << 13);
    assert_int_equal(rv_mode_key(r->h) >> RV_MODE_FS_SHIFT & 3, 1);
}

/* ---- Counters
 * ------------------------------------------------------------------------------------- */

static void test_counters_host_time(void **state)
{
    struct rig *r = *state;

    assert_int_equal(rig_csr(r, MCYCLE), 0);
    r->now = 10;
    assert_int_equal(rig_csr(r, TIME), 10);
    assert_int_equal(rig_csr(r, MCYCLE), 1000);
    assert_int_equal(rig_csr(r, CYCLE), 1000);
    rig_csr_write(r, MINSTRET, 7);
    r->now = 11;
    assert_int_equal(rig_csr(r, INSTRET), 107);
    rig_csr_write(r, MCOUNTINHIBIT, 4);
    r->now = 50;
    assert_int_equal(rig_csr(r, INSTRET), 107);
    assert_int_equal(rig_csr(r, CYCLE), 5000);
    rig_csr_write(r, MINSTRET, 200); /* writable while it stands */
    rig_csr_write(r, MCOUNTINHIBIT, 1);
    r->now = 51;
    assert_int_equal(rig_csr(r, INSTRET), 300);
    assert_int_equal(rig_csr(r, CYCLE), 5000);
    rig_csr_write(r, MCOUNTINHIBIT, 0);
    r->now = 52;
    assert_int_equal(rig_csr(r, CYCLE), 5100);
}

static void test_counters_virtual_time(void **state)
{
    struct rig *r = *state;

    r->h->virtual_time = true;
    rig_csr_write(r, MINSTRET, 0);
    r->h->s.icount = 1234;
    assert_int_equal(rig_csr(r, INSTRET), 1233); /* the write itself is not counted */
    rig_csr_write(r, MCYCLE, UINT64_MAX);
    r->h->s.icount++;
    assert_true(rig_csr(r, CYCLE) == UINT64_MAX);
    r->h->s.icount++;
    assert_int_equal(rig_csr(r, CYCLE), 0);
}

/* ---- PMP registers
 * ---------------------------------------------------------------------------------- */

static void test_pmp_registers(void **state)
{
    struct rig *r = *state;
    uint64_t seed = 6;

    for (int k = 0; k < 500; k++) {
        uint64_t v = rig_random(&seed) & ~UINT64_C(0x8080808080808080), want = 0;

        for (unsigned i = 0; i < 8; i++) {
            uint64_t cfg = v >> 8 * i & 0x1f;

            want |= (cfg & 1 ? cfg : cfg & ~UINT64_C(2)) << 8 * i;
        }
        rig_csr_write(r, PMPCFG0, v);
        rig_csr_write(r, PMPCFG2, v);
        assert_int_equal(rig_csr(r, PMPCFG0), want);
        assert_int_equal(rig_csr(r, PMPCFG2), want);
    }
}

static void test_pmp_lock(void **state)
{
    struct rig *r = *state;

    rig_csr_write(r, PMPADDR0 + 1, 0x100);
    rig_csr_write(r, PMPADDR0 + 2, 0x200);
    rig_csr_write(r, PMPCFG0, UINT64_C(0x89) << 16 | 0x18 << 8); /* 2: TOR, locked, R */
    rig_csr_write(r, PMPADDR0 + 1, 0x111);                       /* its lower end: locked with it */
    rig_csr_write(r, PMPADDR0 + 2, 0x222);
    rig_csr_write(r, PMPADDR0 + 3, 0x333);
    assert_int_equal(rig_csr(r, PMPADDR0 + 1), 0x100);
    assert_int_equal(rig_csr(r, PMPADDR0 + 2), 0x200);
    assert_int_equal(rig_csr(r, PMPADDR0 + 3), 0x333);
    rig_csr_write(r, PMPCFG0, 0x1f1f1f1f);
    assert_int_equal(rig_csr(r, PMPCFG0), 0x1f891f1f);
    /* A locked entry that is not TOR locks its own address only. */
    rig_csr_write(r, PMPCFG2, 0x98 << 8);
    rig_csr_write(r, PMPADDR0 + 8, 0x888);
    rig_csr_write(r, PMPADDR0 + 9, 0x999);
    assert_int_equal(rig_csr(r, PMPADDR0 + 8), 0x888);
    assert_int_equal(rig_csr(r, PMPADDR0 + 9), 0);
    rv_hart_reset(r->h, RIG_RAM);
    assert_int_equal(rig_csr(r, PMPCFG0), 0);
}

/* ---- Rights
 * ---------------------------------------------------------------------------------------- */

static void test_rights(void **state)
{
    struct rig *r = *state;

    for (unsigned i = 0; i < 2 * 2 * 2 * 2 * 3 * 3; i++) {
        bool paged = i & 1, sum = i & 2, mxr = i & 4, mprv = i & 8;
        static const enum rv_priv privs[] = {RV_U, RV_S, RV_M};
        enum rv_priv priv = privs[i / 16 % 3], mpp = privs[i / 48];
        enum rv_priv data = mprv ? mpp : priv;
        uint64_t want = data;

        rig_csr_write(r, SATP, paged ? UINT64_C(8) << 60 : 0);
        rig_csr_write(r, MSTATUS,
                      (uint64_t)mpp << 11 | (sum ? RV_STATUS_SUM : 0) | (mxr ? RV_STATUS_MXR : 0) |
                          (mprv ? RV_STATUS_MPRV : 0));
        set_priv(r, priv);
        if (paged && data != RV_M)
            want |= (data == RV_S && sum ? RV_RIGHTS_SUM : 0) | (mxr ? RV_RIGHTS_MXR : 0);
        assert_int_equal(rv_data_rights(r->h), want);
        assert_int_equal(rv_fetch_rights(r->h), priv);
        assert_int_equal(r->h->s.mmu->slot->rights, want);
    }
}

/* Whatever is thrown at the registers, a hart stays within legal values. */
static void test_random_writes(void **state)
{
    struct rig *r = *state;
    uint64_t seed = 7, old;

    for (int k = 0; k < 200000; k++) {
        unsigned number = (unsigned)rig_random(&seed) & 0xfff;

        access(r, number, (enum rv_csr_op)(1 + rig_random(&seed) % 3), true, rig_random(&seed),
               &old);
        assert_int_not_equal(r->h->mstatus >> 11 & 3, 2);
        assert_true(r->h->frm < 8 && (r->h->s.mxcsr & 0xffff9fc0) == 0x1f80);
        assert_true(rv_satp_mode(r->h->satp) == 0 || rv_satp_mode(r->h->satp) == 8);
    }
}

static void test_print(void **state)
{
    struct rig *r = *state;
    FILE *out = tmpfile();
    char line[128];
    bool mstatus = false, mcycle = false, pmpaddr = false;

    assert_non_null(out);
    rig_csr_write(r, 0x3b7, 0x1234);
    rv_guest_ops.print_state(&r->h->s, out);
    rewind(out);
    while (fgets(line, sizeof(line), out)) {
        mstatus |= strcmp(line, "mstatus        0000000a00000000\n") == 0;
        mcycle |= strncmp(line, "mcycle", 6) == 0;
        pmpaddr |= strcmp(line, "pmpaddr7       0000000000001234\n") == 0;
        assert_null(strstr(line, "pmpaddr8"));
    }
    fclose(out);
    assert_true(mstatus);
    assert_true(pmpaddr);
    assert_false(mcycle);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_exists),
        T(test_fp_off),
        T(test_counter_enables),
        T(test_tvm_and_stimecmp),
        T(test_smaller_model),
        T(test_instruction),
        T(test_plain_masks),
        T(test_mstatus),
        T(test_sstatus),
        T(test_envcfg),
        T(test_satp),
        T(test_sie_sip_views),
        T(test_seip_is_two_bits),
        T(test_sstc),
        T(test_fcsr),
        T(test_counters_host_time),
        T(test_counters_virtual_time),
        T(test_pmp_registers),
        T(test_pmp_lock),
        T(test_rights),
        T(test_random_writes),
        T(test_print),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
