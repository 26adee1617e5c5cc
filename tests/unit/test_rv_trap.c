/* Traps: who takes what, what is saved, which interrupt comes first, the way back,
 * and which privileged instructions are illegal where. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/riscv/rv_helper.h"
#include "tests/lib/rv_rig.h"

#define PC        UINT64_C(0x80001234)
#define TVAL      UINT64_C(0xffffffffdeadbeef)
#define INTERRUPT (UINT64_C(1) << 63)

static const enum rv_priv privs[] = {RV_U, RV_S, RV_M};

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

static void arm(struct rig *r, enum rv_priv priv, uint64_t mstatus)
{
    struct rv_hart *h = r->h;

    h->mstatus = mstatus;
    h->priv = priv;
    h->s.pc = PC;
    h->mepc = h->mcause = h->mtval = h->sepc = h->scause = h->stval = 0;
    rv_sync(h);
}

/* ---- Exceptions ------------------------------------------------------------------------ */

static void check_exception(struct rig *r, unsigned cause, enum rv_priv priv, bool delegated,
                            uint64_t status)
{
    struct rv_hart *h = r->h;
    bool to_s = delegated && priv != RV_M && cause != 11 && cause != 10 && cause != 14;
    uint64_t want;

    rig_csr_write(r, 0x302, delegated ? bit(cause) : ~bit(cause));
    arm(r, priv, status);
    rv_trap(h, cause, TVAL);
    if (to_s) {
        want = status & ~(bit(1) | bit(5) | bit(8));
        want |= (status >> 1 & 1) << 5 | (uint64_t)(priv == RV_S) << 8;
        assert_int_equal(h->scause, cause);
        assert_int_equal(h->sepc, PC);
        assert_int_equal(h->stval, TVAL);
        assert_int_equal(h->s.pc, 0x80040000);
        assert_int_equal(h->mcause | h->mepc | h->mtval, 0);
    } else {
        want = status & ~(bit(3) | bit(7) | 3 << 11);
        want |= (status >> 3 & 1) << 7 | (uint64_t)priv << 11;
        assert_int_equal(h->mcause, cause);
        assert_int_equal(h->mepc, PC);
        assert_int_equal(h->mtval, TVAL);
        assert_int_equal(h->s.pc, 0x80080000);
        assert_int_equal(h->scause | h->sepc | h->stval, 0);
    }
    assert_int_equal(h->mstatus, want);
    assert_int_equal(h->priv, to_s ? RV_S : RV_M);
}

static void test_delegation(void **state)
{
    struct rig *r = *state;
    uint64_t seed = 1;

    rig_csr_write(r, 0x105, 0x80040001); /* vectored: exceptions go to the base all the same */
    rig_csr_write(r, 0x305, 0x80080001);
    for (unsigned cause = 0; cause < 16; cause++) {
        for (unsigned p = 0; p < 3; p++) {
            for (int k = 0; k < 64; k++)
                check_exception(r, cause, privs[p], k & 1, rig_random(&seed) & UINT64_C(0x7e61aa));
        }
    }
}

/* ---- Interrupts ---------------------------------------------------------------------------- */

/* The specification's sentences once more: those for M first, in this order. */
static int expect_irq(uint64_t mip, uint64_t mie, uint64_t mideleg, enum rv_priv priv,
                      uint64_t status)
{
    static const int order[] = {11, 3, 7, 9, 1, 5};
    bool m = priv != RV_M || (status & 8);
    bool s = priv == RV_U || (priv == RV_S && (status & 2));

    for (int level = 0; level < 2; level++) {
        for (int i = 0; i < 6; i++) {
            bool here = (mideleg >> order[i] & 1) == (uint64_t)level;

            if (here && (mip & mie) >> order[i] & 1 && (level ? s : m))
                return order[i];
        }
    }
    return -1;
}

static uint64_t spread(unsigned six)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < 6; i++)
        v |= (uint64_t)(six >> i & 1) << (2 * i + 1);
    return v;
}

static void test_priority(void **state)
{
    struct rig *r = *state;
    struct rv_hart *h = r->h;

    for (unsigned i = 0; i < 1u << 15; i++) {
        uint64_t pending = spread(i & 63), enabled = spread(i >> 6 & 63);

        for (unsigned k = 0; k < 8 * 3 * 4; k++) {
            enum rv_priv priv = privs[k % 3];
            uint64_t status = (k / 3 & 1 ? 2 : 0) | (k / 6 & 1 ? 8 : 0);
            int want;

            h->mideleg = (k / 12 & 1 ? 2 : 0) | (k / 24 & 1 ? 0x20 : 0) | (k / 48 & 1 ? 0x200 : 0);
            atomic_store(&h->mip, pending & 0x222);
            atomic_store(&h->mip_line, pending & 0x888);
            h->mie = enabled;
            h->mstatus = status;
            h->priv = priv;
            want = expect_irq(pending, enabled, h->mideleg, priv, status);
            if (rv_irq_deliverable(h) != want)
                fail_msg("mip %lx mie %lx mideleg %lx priv %d mstatus %lx: want %d, got %d",
                         pending, enabled, h->mideleg, priv, status, want, rv_irq_deliverable(h));
        }
        i += 16; /* every 17th combination: all bits take part, in seconds */
    }
}

static void test_delivery(void **state)
{
    struct rig *r = *state;
    struct rv_hart *h = r->h;

    for (unsigned mode = 0; mode < 2; mode++) {
        for (unsigned irq = 1; irq <= 11; irq += 2) {
            bool to_s = irq % 4 == 1;

            h->mie = h->mideleg = 0;
            atomic_store(&h->mip, 0);
            atomic_store(&h->mip_line, 0);
            rig_csr_write(r, 0x305, 0x80080000 | mode);
            rig_csr_write(r, 0x105, 0x80040000 | mode);
            rig_csr_write(r, 0x303, 0x222);
            arm(r, RV_S, 2 | 8);
            atomic_store(&h->s.pending, 0);
            h->s.exit_tval = TVAL; /* of an exception before */
            rv_set_mip(h, irq, true);
            assert_int_equal(atomic_load(&h->s.pending), PENDING_IRQ);
            assert_false(rv_interrupt(h)); /* not enabled */
            assert_int_equal(atomic_load(&h->s.pending), 0);
            assert_false(rv_wakes(h));
            rig_csr_write(r, 0x304, bit(irq));
            assert_int_equal(atomic_load(&h->s.pending), PENDING_IRQ);
            assert_true(rv_wakes(h));
            assert_true(rv_interrupt(h));
            assert_int_equal(h->priv, to_s ? RV_S : RV_M);
            assert_int_equal(to_s ? h->scause : h->mcause, INTERRUPT | irq);
            assert_int_equal(to_s ? h->sepc : h->mepc, PC);
            assert_int_equal(to_s ? h->stval : h->mtval, 0);
            assert_int_equal(h->s.pc, (to_s ? 0x80040000 : 0x80080000) + (mode ? 4 * irq : 0));
            assert_false(rv_interrupt(h)); /* xIE is 0 now */
            assert_true(rv_wakes(h));
        }
    }
}

/* Each of the changes that can make a waiting interrupt deliverable must say so. */
static void test_pending_follows_csrs(void **state)
{
    struct rig *r = *state;
    struct rv_hart *h = r->h;
    struct {
        unsigned csr;
        uint64_t closed, open;
    } gates[] = {
        {0x300, 0, 8},
        {0x304, 0, 8},
        {0x303, 2, 0},
        {0x344, 0, 2},
    };

    for (unsigned i = 0; i < 4; i++) {
        arm(r, RV_M, 8);
        h->mie = 2 | 8;
        h->mideleg = 0;
        atomic_store(&h->mip, i == 2 ? 2 : 0);
        atomic_store(&h->mip_line, i < 2 ? 8 : 0);
        rig_csr_write(r, gates[i].csr, gates[i].closed);
        atomic_store(&h->s.pending, 0);
        assert_false(rv_interrupt(h));
        rig_csr_write(r, gates[i].csr, gates[i].open);
        assert_int_equal(atomic_load(&h->s.pending), PENDING_IRQ);
    }
}

/* Whoever runs, a bit that rises is looked at. */
static void test_raised_bits_are_heard(void **state)
{
    struct rig *r = *state;

    for (unsigned i = 0; i < 3; i++) {
        for (unsigned irq = 1; irq <= 11; irq += 2) {
            arm(r, privs[i], 0);
            rv_set_mip(r->h, irq, false);
            atomic_store(&r->h->s.pending, 0);
            rv_set_mip(r->h, irq, true);
            assert_int_equal(atomic_load(&r->h->s.pending), PENDING_IRQ);
        }
    }
}

struct raiser {
    struct rv_hart *h;
    _Atomic unsigned raised, taken;
};

/* Raises SSIP again and again, each time waiting until it was seen. */
static void *raise_many(void *arg)
{
    struct raiser *x = arg;

    for (unsigned i = 0; i < 20000; i++) {
        rv_set_mip(x->h, RV_SSI, true);
        atomic_fetch_add(&x->raised, 1);
        while (atomic_load(&x->taken) == i)
            continue;
    }
    return NULL;
}

static void test_no_lost_wakeup(void **state)
{
    struct rig *r = *state;
    struct raiser x = {.h = r->h};
    pthread_t thread;

    rig_csr_write(r, 0x303, 2);
    rig_csr_write(r, 0x304, 2);
    arm(r, RV_U, 0);
    assert_int_equal(pthread_create(&thread, NULL, raise_many, &x), 0);
    /* Asked without need too, as by other interrupts: that must not swallow the bit. */
    while (atomic_load(&x.taken) < 20000) {
        if (!rv_interrupt(r->h)) {
            if (atomic_load(&x.raised) > atomic_load(&x.taken) &&
                !(atomic_load(&r->h->s.pending) & PENDING_IRQ))
                fail_msg("interrupt %u was raised, and nothing is pending", x.raised);
            continue;
        }
        rv_set_mip(r->h, RV_SSI, false);
        arm(r, RV_U, 0);
        atomic_fetch_add(&x.taken, 1);
    }
    pthread_join(thread, NULL);
}

/* ---- The way back ---------------------------------------------------------------------------- */

static void test_xret(void **state)
{
    struct rig *r = *state;
    struct rv_hart *h = r->h;
    uint64_t seed = 3, cause, tval, pc;

    for (int k = 0; k < 500; k++) {
        uint64_t v = rig_random(&seed) & UINT64_C(0x3e69aa);
        enum rv_priv mpp = privs[rig_random(&seed) % 3], spp = v >> 8 & 1 ? RV_S : RV_U;
        uint64_t want;

        v |= (uint64_t)mpp << 11;
        v &= ~(v & 3 << 11) | (uint64_t)mpp << 11;
        arm(r, RV_M, v);
        h->mepc = 0x80000102;
        h->sepc = 0x80000204;
        want = (v & ~(8 | UINT64_C(3) << 11)) | (v >> 7 & 1) << 3 | 1 << 7;
        if (mpp != RV_M)
            want &= ~bit(17);
        assert_true(rig_call(r, rv_help_mret, 0x30200073, 0, 0, &pc, &cause, &tval));
        assert_int_equal(pc, h->mepc);
        assert_int_equal(h->mstatus, want);
        assert_int_equal(h->priv, mpp);

        arm(r, RV_M, v);
        h->sepc = 0x80000204;
        want = (v & ~(2 | bit(8))) | (v >> 5 & 1) << 1 | 1 << 5;
        want &= ~bit(17);
        assert_true(rig_call(r, rv_help_sret, 0x10200073, 0, 0, &pc, &cause, &tval));
        assert_int_equal(pc, 0x80000204);
        assert_int_equal(h->mstatus, want);
        assert_int_equal(h->priv, spp);
    }
}

/* ---- Legality ---------------------------------------------------------------------------------
 */

static bool is_legal(struct rig *r, ir_helper_fn *fn, uint32_t word, uint64_t a)
{
    uint64_t result, cause, tval;

    if (rig_call(r, fn, word, a, 0, &result, &cause, &tval))
        return true;
    assert_int_equal(cause, RV_ILLEGAL);
    assert_int_equal(tval, word);
    return false;
}

static void test_privileged_instructions(void **state)
{
    static const struct {
        ir_helper_fn *fn;
        uint32_t word;
        uint64_t forbids; /* the mstatus bit that closes it to S */
        bool m_only, user;
    } rows[] = {
        {rv_help_mret, 0x30200073, 0, true, false},
        {rv_help_sret, 0x10200073, RV_STATUS_TSR, false, false},
        {rv_help_wfi, 0x10500073, RV_STATUS_TW, false, false},
        {rv_help_sfence, 0x12000073, RV_STATUS_TVM, false, false},
        {rv_help_sinval_check, 0x18000073, 0, false, false},
        {rv_help_wrs, 0x00d00073, RV_STATUS_TW, false, true}, /* nto */
        {rv_help_wrs, 0x01d00073, 0, false, true},            /* sto */
        {rv_help_fence_i, 0x0000100f, 0, false, true},
        {rv_help_pause, 0x0100000f, 0, false, true},
    };
    struct rig *r = *state;

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (unsigned k = 0; k < 3 * 8; k++) {
            uint64_t status = (k & 1 ? RV_STATUS_TVM : 0) | (k & 2 ? RV_STATUS_TW : 0) |
                              (k & 4 ? RV_STATUS_TSR : 0);
            enum rv_priv priv = privs[k / 8];
            bool open = !(status & rows[i].forbids);
            bool want = priv == RV_M     ? true
                        : rows[i].m_only ? false
                        : priv == RV_S   ? open
                                         : rows[i].user && open;

            arm(r, priv, status);
            if (is_legal(r, rows[i].fn, rows[i].word, 0) != want)
                fail_msg("word %08x from %d under mstatus %lx", rows[i].word, priv, status);
        }
    }
}

static void test_wfi_waits(void **state)
{
    struct rig *r = *state;
    uint64_t result, cause, tval;

    atomic_store(&r->h->s.pending, 0);
    assert_true(rig_call(r, rv_help_wfi, 0x10500073, 0, 0, &result, &cause, &tval));
    assert_int_equal(atomic_load(&r->h->s.pending), PENDING_WAIT);
    atomic_store(&r->h->s.pending, 0);
    rig_csr_write(r, 0x304, 0x80);
    rv_set_mip(r->h, RV_MTI, true); /* enabled in mie: wakes though mstatus.MIE is 0 */
    assert_true(rv_wakes(r->h));
    atomic_store(&r->h->s.pending, 0);
    assert_true(rig_call(r, rv_help_wfi, 0x10500073, 0, 0, &result, &cause, &tval));
    assert_int_equal(atomic_load(&r->h->s.pending), 0);
}

/* Instead of libc's. */
static unsigned n_yields;

int sched_yield(void)
{
    n_yields++;
    return 0;
}

/* With fewer host cores than harts, who waits must let those run that it waits for: in pause, in
 * wrs, and in a wfi that returns at once, for an interrupt that is never taken. */
static void test_waiting_yields(void **state)
{
    static const struct {
        ir_helper_fn *fn;
        uint32_t word;
        bool pending;
        bool yields;
    } rows[] = {
        {rv_help_pause, 0x0100000f, false, true},
        {rv_help_wrs, 0x00d00073, false, true},
        {rv_help_wfi, 0x10500073, true, true},
        {rv_help_wfi, 0x10500073, false, false}, /* sleeps */
    };
    struct rig *r = *state;
    struct rv_cluster *two = rv_cluster_create(2);
    uint64_t result, cause, tval;

    rig_csr_write(r, 0x304, 0x80);
    for (unsigned n_harts = 1; n_harts <= 2; n_harts++) {
        for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            rv_set_mip(r->h, RV_MTI, rows[i].pending);
            n_yields = 0;
            for (int k = 0; k < 1000; k++)
                assert_true(rig_call(r, rows[i].fn, rows[i].word, 0, 0, &result, &cause, &tval));
            if (rows[i].yields && n_harts == 2)
                assert_in_range(n_yields, 1, 100);
            else
                assert_int_equal(n_yields, 0);
        }
        rv_cluster_add(two, r->h);
    }
    r->h->cluster = NULL;
    rv_cluster_destroy(two);
}

static void count_spins(void *arg, enum rv_spin what)
{
    ++((unsigned *)arg)[what];
}

/* Who waits for the word of a reservation, or in a wfi that does not wait, may do so by other
 * means. */
static void test_spinning(void **state)
{
    struct rig *r = *state;
    struct rv_cluster *two = rv_cluster_create(2);
    uint64_t result, cause, tval;
    unsigned spins[RV_N_SPINS] = {0}; /* by what for */

    rv_cluster_add(two, r->h);
    r->h->spins = count_spins;
    r->h->now_arg = spins;
    for (unsigned reserved = 0; reserved < 2; reserved++) {
        n_yields = 0;
        r->h->s.reservation = reserved;
        for (int k = 0; k < 1000; k++)
            assert_true(rig_call(r, rv_help_wrs, 0x00d00073, 0, 0, &result, &cause, &tval));
        assert_in_range(n_yields + spins[RV_SPIN_WORD], 1, 100);
        assert_int_equal(reserved ? n_yields : spins[RV_SPIN_WORD], 0);
    }
    spins[RV_SPIN_WORD] = 0;
    for (int k = 0; k < 1000; k++)
        assert_true(rig_call(r, rv_help_pause, 0x0100000f, 0, 0, &result, &cause, &tval));
    assert_int_equal(spins[RV_SPIN_WORD], 0); /* which says nothing of a word */
    assert_int_equal(spins[RV_SPIN_WFI], 0);
    assert_in_range(spins[RV_SPIN_PAUSE], 1, 100);
    rig_csr_write(r, 0x304, 0x80);
    rv_set_mip(r->h, RV_MTI, true);
    n_yields = 0;
    for (int k = 0; k < 1000; k++)
        assert_true(rig_call(r, rv_help_wfi, 0x10500073, 0, 0, &result, &cause, &tval));
    assert_in_range(spins[RV_SPIN_WFI], 1, 100);
    assert_int_equal(n_yields + spins[RV_SPIN_WORD], 0);
    rv_set_mip(r->h, RV_MTI, false);
    r->h->s.reservation = 0;
    r->h->spins = NULL;
    r->h->now_arg = r;
    r->h->cluster = NULL;
    rv_cluster_destroy(two);
}

static void test_cbo(void **state)
{
    static const struct {
        uint32_t imm;
        uint64_t field;
    } rows[] = {
        {RV_CBO_INVAL, UINT64_C(1) << 4}, /* invalidates by flushing */
        {RV_CBO_INVAL, RV_ENVCFG_CBIE},   {RV_CBO_CLEAN, RV_ENVCFG_CBCFE},
        {RV_CBO_FLUSH, RV_ENVCFG_CBCFE},  {RV_CBO_ZERO, RV_ENVCFG_CBZE},
    };
    struct rig *r = *state;
    const uint64_t all = RV_ENVCFG_CBIE | RV_ENVCFG_CBCFE | RV_ENVCFG_CBZE;

    rv_pmpaddr_write(r->h, 0, UINT64_MAX);
    rv_pmpcfg_write(r->h, 0, 0x1f);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t word = rows[i].imm << 20 | 10 << 15 | 2 << 12 | 0x0f;

        for (unsigned k = 0; k < 3 * 4; k++) {
            enum rv_priv priv = privs[k / 4];
            bool m = k & 1, s = k & 2;
            bool want = priv == RV_M ? true : priv == RV_S ? m : m && s;

            rig_csr_write(r, 0x30a, m ? rows[i].field : all & ~rows[i].field & ~RV_ENVCFG_CBIE);
            rig_csr_write(r, 0x10a, s ? rows[i].field : all & ~rows[i].field & ~RV_ENVCFG_CBIE);
            arm(r, priv, 0);
            assert_int_equal(is_legal(r, rv_help_cbo, word, RIG_RAM), want);
        }
    }
    rig_poke64(r, RIG_RAM + 0x138, 1);
    rig_poke64(r, RIG_RAM + 0x140, 2);
    assert_true(is_legal(r, rv_help_cbo, 4 << 20 | 0x200f, RIG_RAM + 0x13f));
    assert_int_equal(rig_peek64(r, RIG_RAM + 0x138), 0);
    assert_int_equal(rig_peek64(r, RIG_RAM + 0x140), 2);
}

static void test_atomics_reach_memory(void **state)
{
    struct rig *r = *state;
    uint64_t result, cause, tval;

    rig_poke64(r, RIG_RAM + 64, UINT64_C(0x1fffffff0));
    assert_true(
        rig_call(r, rv_help_amo, rv_k_amo(MMU_ADD, 4), RIG_RAM + 64, 1, &result, &cause, &tval));
    assert_int_equal(result, UINT64_C(0xfffffffffffffff0));
    assert_int_equal(rig_peek64(r, RIG_RAM + 64), UINT64_C(0x1fffffff1));
    assert_true(rig_call(r, rv_help_lr, 8, RIG_RAM + 64, 0, &result, &cause, &tval));
    assert_int_equal(result, UINT64_C(0x1fffffff1));
    assert_true(rig_call(r, rv_help_sc, 8, RIG_RAM + 64, 5, &result, &cause, &tval));
    assert_int_equal(result, 0);
    assert_int_equal(rig_peek64(r, RIG_RAM + 64), 5);
    assert_true(rig_call(r, rv_help_sc, 8, RIG_RAM + 64, 6, &result, &cause, &tval));
    assert_int_equal(result, 1);
    assert_false(rig_call(r, rv_help_lr, 8, RIG_RAM + 4, 0, &result, &cause, &tval));
    assert_int_equal(cause, RV_LOAD_MISALIGNED);
    assert_false(rig_call(r, rv_help_amo, rv_k_amo(MMU_OR, 8), 0x10, 0, &result, &cause, &tval));
    assert_int_equal(cause, RV_STORE_ACCESS);
    assert_int_equal(tval, 0x10);
}

static void test_fs_dirty_and_jump_check(void **state)
{
    struct rig *r = *state;
    uint64_t result, cause, tval;

    arm(r, RV_S, UINT64_C(1) << 13);
    assert_true(rig_call(r, rv_help_fs_dirty, 0, 0, 0, &result, &cause, &tval));
    assert_int_equal(rv_mstatus(r->h), RV_STATUS_FS | RV_STATUS_SD);
    assert_int_equal(rv_mode_key(r->h), RV_S | 3 << RV_MODE_FS_SHIFT);
    assert_true(rig_call(r, rv_help_jump_check, 0, 0x80000004, 0, &result, &cause, &tval));
    assert_false(rig_call(r, rv_help_jump_check, 0, 0x80000006, 0, &result, &cause, &tval));
    assert_int_equal(cause, RV_FETCH_MISALIGNED);
    assert_int_equal(tval, 0x80000006);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(rv_cause_name(13), "load page fault");
    assert_string_equal(rv_cause_name(INTERRUPT | 5), "supervisor timer interrupt");
    assert_string_equal(rv_cause_name(10), "reserved");
    assert_string_equal(rv_cause_name(UINT64_MAX), "reserved");
    assert_string_equal(rv_cause_name(64), "reserved");
}

/* Any cause that could be handed in is delivered without harm. */
static void test_odd_causes(void **state)
{
    struct rig *r = *state;

    rig_csr_write(r, 0x302, UINT64_MAX);
    for (unsigned i = 0; i < 64; i++) {
        arm(r, RV_U, 0);
        rv_trap(r->h, UINT64_C(1) << i, 0);
        assert_int_equal(r->h->priv == RV_S ? r->h->scause : r->h->mcause, UINT64_C(1) << i);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_delegation),
        T(test_priority),
        T(test_delivery),
        T(test_pending_follows_csrs),
        T(test_raised_bits_are_heard),
        T(test_no_lost_wakeup),
        T(test_xret),
        T(test_privileged_instructions),
        T(test_wfi_waits),
        T(test_waiting_yields),
        T(test_spinning),
        T(test_cbo),
        T(test_atomics_reach_memory),
        T(test_fs_dirty_and_jump_check),
        T(test_names),
        T(test_odd_causes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
