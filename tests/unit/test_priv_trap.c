/* Traps, interrupts and returns against the privileged rules, over all that decides them: what is
 * pending, enabled and delegated, the mode, the status bits, the vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/riscv/rv_helper.h"
#include "tests/lib/priv_rig.h"

static const unsigned privs[] = {PR_U, PR_S, PR_M};
static const uint64_t tvecs[] = {UINT64_C(0x80001000), UINT64_C(0x80002001),
                                 UINT64_C(0xffffffffc0000005), UINT64_C(0xfffffffffffffffc)};

static struct rig *r;
static struct pr_hart start; /* before the case */
static uint64_t seed, n_cases;

static int setup(void **state)
{
    (void)state;
    r = rig_create("default");
    rv_pmpaddr_write(r->h, 0, UINT64_MAX);
    rv_pmpcfg_write(r->h, 0, 0x1f);
    priv_from_hart(&start, r->h);
    start.mtvec = tvecs[0];
    start.stvec = tvecs[1];
    start.mepc = 0x1234;
    start.sepc = 0x5678;
    start.pc = RIG_RAM + 0x100;
    n_cases = 0;
    seed = 1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    printf("    %lu cases\n", n_cases);
    rig_destroy(r);
    return 0;
}

/* ---- The same hart afterwards? --------------------------------------------------------------- */

static const struct {
    const char *name;
    size_t offset;
} fields[] = {
    {"pc", offsetof(struct pr_hart, pc)},         {"mstatus", offsetof(struct pr_hart, mstatus)},
    {"mcause", offsetof(struct pr_hart, mcause)}, {"mepc", offsetof(struct pr_hart, mepc)},
    {"mtval", offsetof(struct pr_hart, mtval)},   {"scause", offsetof(struct pr_hart, scause)},
    {"sepc", offsetof(struct pr_hart, sepc)},     {"stval", offsetof(struct pr_hart, stval)},
    {"mie", offsetof(struct pr_hart, mie)},       {"mip", offsetof(struct pr_hart, mip)},
};

static void difference(const char *what, const struct pr_hart *want, const struct pr_hart *got,
                       const char *clause)
{
    char text[400] = "";
    unsigned at = 0;

    if (want->priv != got->priv)
        at += (unsigned)snprintf(text, sizeof(text), " mode rule %c dbt %c", "US?M"[want->priv],
                                 "US?M"[got->priv]);
    for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]) && at < sizeof(text); i++) {
        uint64_t a, b;

        memcpy(&a, (const char *)want + fields[i].offset, 8);
        memcpy(&b, (const char *)got + fields[i].offset, 8);
        if (a != b)
            at += (unsigned)snprintf(text + at, sizeof(text) - at, " %s rule %lx dbt %lx",
                                     fields[i].name, a, b);
    }
    fail_msg("%s in %c, mstatus %lx mip %lx|%lx mie %lx mideleg %lx medeleg %lx mtvec %lx stvec "
             "%lx =>%s [%s]",
             what, "US?M"[start.priv], start.mstatus, start.mip, start.line, start.mie,
             start.mideleg, start.medeleg, start.mtvec, start.stvec,
             *text ? text : " hidden state differs", clause);
}

static void check_state(const char *what, const struct pr_hart *want, const char *clause)
{
    struct pr_hart got;

    n_cases++;
    priv_from_hart(&got, r->h);
    if (memcmp(want, &got, sizeof(got)) != 0)
        difference(what, want, &got, clause);
}

/* 3.1.9: "evaluated immediately following an xRET or an explicit write to a CSR on which these
 * conditions depend". */
static void check_noticed(const char *what, const struct pr_hart *now)
{
    const char *clause;
    int irq = pr_interrupt(now, &clause);

    if (irq >= 0 && !(atomic_load(&r->h->s.pending) & PENDING_IRQ))
        fail_msg("%s: interrupt %d is due and goes unnoticed, by %c mstatus %lx mip %lx mie %lx "
                 "mideleg %lx [%s]",
                 what, irq, "US?M"[now->priv], now -> mstatus, pr_pending(now), now -> mie,
                 now -> mideleg, clause);
}

static void set(uint64_t status)
{
    start.mstatus = (start.mstatus & ~(PR_SIE | PR_MIE | PR_SPIE | PR_MPIE | PR_SPP | PR_MPP |
                                       PR_MPRV | PR_TVM | PR_TW | PR_TSR)) |
                    status;
}

/* ---- Interrupts
 * ----------------------------------------------------------------------------------- */

/* Six bits n as mip has them: SSI MSI STI MTI SEI MEI. */
static uint64_t spread(unsigned n)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < 6; i++)
        v |= (uint64_t)(n >> i & 1) << (1 + 2 * i);
    return v;
}

static void one_interrupt(void)
{
    struct pr_hart want = start;
    const char *clause;
    int irq = pr_interrupt(&start, &clause);
    bool taken;

    atomic_store(&r->h->s.pending, 0);
    priv_to_hart(&start, r->h);
    check_noticed("new state", &start);
    taken = rv_interrupt(r->h);
    if (taken)
        pr_take_interrupt(&want, irq >= 0 ? irq : 0);
    else
        want = start;
    if (taken != (irq >= 0))
        difference(taken ? "an interrupt is taken" : "no interrupt is taken", &want, &start,
                   clause);
    check_state("interrupt", &want, clause);
}

/* Everything that decides, and each of the vectors. */
static void test_interrupts(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 64 * 64 * 8 * 3 * 4; i++) {
        uint64_t pending = spread(i & 63);
        /* SEI, and SSI and STI as some machines have them, may come from either side. */
        uint64_t software = pending & 0x222 & (rig_random(&seed) & 1 ? 0x222 : 0x022);

        start.mip = software;
        start.line = pending & ~software;
        start.mie = spread(i >> 6 & 63);
        start.mideleg =
            (i >> 12 & 1 ? 2 : 0) | (i >> 13 & 1 ? 0x20 : 0) | (i >> 14 & 1 ? 0x200 : 0);
        start.priv = privs[(i >> 15) % 3];
        set(((i >> 15) / 3 & 1 ? PR_MIE : 0) | ((i >> 15) / 6 & 1 ? PR_SIE : 0) |
            (rig_random(&seed) & (PR_SPIE | PR_MPIE | PR_SPP | PR_MPRV)) |
            (uint64_t)privs[rig_random(&seed) % 3] << PR_MPP_SHIFT);
        start.mtvec = tvecs[rig_random(&seed) % 4];
        start.stvec = tvecs[rig_random(&seed) % 4];
        one_interrupt();
    }
}

/* WFI ends whatever mstatus and mideleg say (3.3.3). */
static void test_wfi_wakes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 64 * 64 * 3; i++) {
        start.mip = spread(i & 63) & 0x222;
        start.line = spread(i & 63) & ~UINT64_C(0x222);
        start.mie = spread(i >> 6 & 63);
        start.mideleg = rig_random(&seed) & 0x222;
        start.priv = privs[i >> 12];
        set(rig_random(&seed) & (PR_MIE | PR_SIE));
        priv_to_hart(&start, r->h);
        n_cases++;
        if (rv_wakes(r->h) != ((pr_pending(&start) & start.mie) != 0))
            fail_msg("wfi: mip %lx mie %lx: wakes %d [3.3.3]", pr_pending(&start), start.mie,
                     rv_wakes(r->h));
    }
}

/* ---- Exceptions
 * ----------------------------------------------------------------------------------- */

static const uint8_t causes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15};
enum { N_CAUSES = sizeof(causes), N_STATUS = 64 * 3 };

static uint64_t status(unsigned n)
{
    return (n & 1 ? PR_SIE : 0) | (n & 2 ? PR_MIE : 0) | (n & 4 ? PR_SPIE : 0) |
           (n & 8 ? PR_MPIE : 0) | (n & 16 ? PR_SPP : 0) | (n & 32 ? PR_MPRV : 0) |
           (uint64_t)privs[n / 64 % 3] << PR_MPP_SHIFT;
}

static void test_exceptions(void **state)
{
    (void)state;
    for (unsigned i = 0; i < N_CAUSES * 4 * 3 * N_STATUS * 4; i++) {
        unsigned cause = causes[i % N_CAUSES], k = i / N_CAUSES;
        uint64_t bit = UINT64_C(1) << cause;
        const uint64_t medeleg[] = {0, bit, 0xb3ff & ~bit, 0xb3ff};
        uint64_t tval = rig_random(&seed);
        struct pr_hart want;

        start.medeleg = medeleg[k % 4] & 0xb3ff;
        start.priv = privs[k / 4 % 3];
        set(status(k / 12));
        start.mtvec = tvecs[k / (12 * N_STATUS)];
        start.stvec = tvecs[rig_random(&seed) % 4];
        start.pc = rig_random(&seed) & ~UINT64_C(1);
        want = start;
        pr_take_exception(&want, cause, tval);
        priv_to_hart(&start, r->h);
        rv_trap(r->h, cause, tval);
        check_state("exception", &want, "3.1.6.1, 3.1.7, 3.1.8, 3.1.14 to 3.1.16");
    }
}

/* ---- Privileged instructions
 * ------------------------------------------------------------------------- */

static const struct {
    const char *name;
    ir_helper_fn *fn;
    uint32_t word;
} insns[PR_N_INSNS] = {
    [PR_MRET] = {"mret", rv_help_mret, 0x30200073},
    [PR_SRET] = {"sret", rv_help_sret, 0x10200073},
    [PR_WFI] = {"wfi", rv_help_wfi, 0x10500073},
    [PR_SFENCE_VMA] = {"sfence.vma", rv_help_sfence, 0x12000073},
    [PR_SINVAL_VMA] = {"sinval.vma", rv_help_sfence, 0x16000073},
    [PR_SFENCE_W_INVAL] = {"sfence.w.inval", rv_help_sinval_check, 0x18000073},
    [PR_WRS_NTO] = {"wrs.nto", rv_help_wrs, 0x00d00073},
    [PR_WRS_STO] = {"wrs.sto", rv_help_wrs, 0x01d00073},
    [PR_CBO_CLEAN] = {"cbo.clean", rv_help_cbo, 0x0012a00f},
    [PR_CBO_FLUSH] = {"cbo.flush", rv_help_cbo, 0x0022a00f},
    [PR_CBO_INVAL] = {"cbo.inval", rv_help_cbo, 0x0002a00f},
    [PR_CBO_ZERO] = {"cbo.zero", rv_help_cbo, 0x0042a00f},
};

static void one_insn(enum pr_insn insn)
{
    uint64_t result = 0, cause = 0, tval = 0;
    struct pr_hart want = start;
    const char *clause;
    bool legal = pr_legal(&start, insn, &clause), did;

    priv_to_hart(&start, r->h);
    atomic_store(&r->h->s.pending, 0);
    did =
        rig_call(r, insns[insn].fn, insns[insn].word, RIG_RAM + 0x4000, 0, &result, &cause, &tval);
    if (did != legal || (!did && (cause != 2 || tval != insns[insn].word)))
        fail_msg("%s by %c, mstatus %lx menvcfg %lx senvcfg %lx => rule: %s, dbt: %s cause %lu "
                 "tval %lx [%s]",
                 insns[insn].name, "US?M"[start.priv], start.mstatus, start.menvcfg, start.senvcfg,
                 legal ? "legal" : "illegal", did ? "legal" : "illegal", cause, tval, clause);
    if (legal && insn <= PR_SRET) {
        pr_return(&want, insn);
        if (result != want.pc)
            fail_msg("%s by %c goes to %lx, not to %lx", insns[insn].name, "US?M"[start.priv],
                     result, want.pc);
        check_noticed(insns[insn].name, &want);
    }
    want.pc = r->h->s.pc; /* the run loop's */
    check_state(insns[insn].name, &want, "3.1.6.1, 3.1.6.3: xPP, xPIE, xIE, MPRV");
}

static void test_instructions(void **state)
{
    static const uint64_t envcfg[] = {0, 0x10, 0x30, 0x40, 0x80, 0xf0};

    (void)state;
    start.mip = 0x222;
    start.line = 0x888;
    for (unsigned i = 0; i < PR_N_INSNS * 3 * N_STATUS * 8; i++) {
        unsigned k = i / PR_N_INSNS / 3;

        start.priv = privs[i / PR_N_INSNS % 3];
        set(status(k % N_STATUS) | (k / N_STATUS & 1 ? PR_TVM : 0) |
            (k / N_STATUS & 2 ? PR_TW : 0) | (k / N_STATUS & 4 ? PR_TSR : 0));
        start.mie = spread((unsigned)rig_random(&seed) & (k & 1 ? 63 : 0));
        start.mideleg = rig_random(&seed) & 0x222;
        start.menvcfg = envcfg[rig_random(&seed) % 6];
        start.senvcfg = envcfg[rig_random(&seed) % 6];
        one_insn((enum pr_insn)(i % PR_N_INSNS));
    }
}

/* ---- CSR writes that let an interrupt through
 * ------------------------------------------------------------ */

static void test_noticed(void **state)
{
    static const uint16_t numbers[] = {0x300, 0x100, 0x304, 0x104, 0x344,
                                       0x144, 0x303, 0x14d, 0x30a};

    (void)state;
    for (unsigned i = 0; i < 1000000; i++) {
        unsigned number = numbers[i % 9];
        uint64_t v = rig_random(&seed), old;
        struct pr_hart now;
        const char *clause;

        start.priv = privs[1 + (v & 1)];
        start.mip = rig_random(&seed) & 0x222;
        start.line = rig_random(&seed) & 0xa88;
        start.mie = rig_random(&seed) & 0xaaa;
        start.mideleg = rig_random(&seed) & 0x222;
        start.menvcfg = rig_random(&seed) & PR_STCE;
        start.mcounteren = 2;
        start.stimecmp = v >> 8 & 1 ? 0 : UINT64_MAX;
        set(status((unsigned)(v >> 16) % N_STATUS));
        now = start;
        priv_to_hart(&start, r->h);
        atomic_store(&r->h->s.pending, 0);
        v = v >> 9 & 1 ? rig_random(&seed) : rig_random(&seed) & rig_random(&seed) & 0xaaa;
        /* What was due before has been noticed before. */
        if (pr_interrupt(&start, &clause) >= 0 || !pr_csr(&now, number, PR_WRITE, v, &old, &clause))
            continue;
        assert_true(rv_csr_access(r->h, number, RV_CSR_WRITE, true, v, &old));
        n_cases++;
        check_noticed(pr_csr_name(number), &now);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_interrupts),   T(test_wfi_wakes), T(test_exceptions),
        T(test_instructions), T(test_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
