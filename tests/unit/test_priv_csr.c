/* All 4096 CSR numbers in each privilege by each CSR instruction, and long random sequences,
 * against the privileged rules: what is read, what is written, what is illegal, and that nothing
 * else changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/riscv/rv_helper.h"
#include "tests/lib/priv_rig.h"

static const char *const models[] = {"default",
                                     "rv64gc",
                                     "rv64gc,zicntr=off,d=off,f=off,c=off",
                                     "default,sstc=off,zicbom=off",
                                     "default,svadu=off,zicboz=off",
                                     "default,svpbmt=off,c=off"};
enum { N_MODELS = sizeof(models) / sizeof(models[0]) };

static struct rig *r;
static struct pr_hart p;
static uint64_t seed, n_cases, n_legal;

static void begin(const char *model)
{
    r = rig_create(model);
    priv_from_hart(&p, r->h);
    pr_csr_reset(&p);
}

static void end(void)
{
    rig_destroy(r);
}

/* ---- Both harts alike? -------------------------------------------------------------------------
 */

static bool alike(void)
{
    struct pr_hart q;

    priv_from_hart(&q, r->h);
    q.mcycle = rv_counter(r->h, 0);
    q.minstret = rv_counter(r->h, 2);
    q.pc = p.pc; /* the run loop's */
    return memcmp(&p, &q, sizeof(p)) == 0 && rv_mip(r->h) == pr_pending(&p);
}

/* The first register that reads differently, by M. */
static unsigned first_difference(uint64_t *want, uint64_t *got)
{
    for (unsigned n = 0; n < 4096; n++) {
        struct pr_hart q = p;
        const char *clause;

        q.priv = PR_M;
        r->h->priv = RV_M;
        *want = *got = 0;
        if (pr_csr(&q, n, PR_READ, 0, want, &clause) &&
            (!rv_csr_access(r->h, n, RV_CSR_SET, false, 0, got) || *want != *got))
            return n;
    }
    return 0xfff;
}

static void check_alike(const char *what)
{
    uint64_t want, got;
    unsigned n;

    if (alike())
        return;
    n = first_difference(&want, &got);
    fail_msg("%s: csr %03x (%s) => rule: %lx, dbt: %lx", what, n,
             n == 0xfff ? "none that reads; hidden state" : pr_csr_name(n), want, got);
}

/* ---- One instruction by both
 * ---------------------------------------------------------------------- */

/* funct3 1, 2, 3: csrrw, csrrs, csrrc; 5, 6, 7 with an immediate. What rs1's field is decides
 * whether csrrs and csrrc write (Zicsr, "Conditions determining whether a CSR instruction reads or
 * writes"). */
static void check(const char *what, unsigned number, unsigned funct3, unsigned rs1,
                  uint64_t operand)
{
    static const enum pr_op ops[] = {PR_READ, PR_WRITE, PR_SET, PR_CLEAR};
    enum pr_op op = (funct3 & 3) != 1 && rs1 == 0 ? PR_READ : ops[funct3 & 3];
    uint32_t word = number << 20 | rs1 << 15 | funct3 << 12 | 3 << 7 | 0x73;
    uint64_t want = 0, got = 0, cause = 0, tval = 0, a, b;
    unsigned priv = p.priv;
    struct pr_hart before = p;
    const char *clause;
    bool legal = pr_csr(&p, number, op, operand, &want, &clause);
    bool did = rig_call(r, rv_help_csr, word, operand, 0, &got, &cause, &tval);

    n_cases++;
    n_legal += legal;
    if (did != legal || got != want || (!did && (cause != 2 || tval != word)) || !alike()) {
        unsigned n = did == legal ? first_difference(&a, &b) : number;

        fail_msg("%s: csr %03x (%s) op %u operand %lx by %c, mstatus %lx menvcfg %lx mcounteren "
                 "%lx scounteren %lx mideleg %lx mip %lx line %lx => rule: %s %lx, dbt: %s %lx "
                 "cause %lu tval %lx; first difference after: %03x rule %lx dbt %lx [%s]",
                 what, number, pr_csr_name(number) ? pr_csr_name(number) : "none", op, operand,
                 "US?M"[priv], before.mstatus, before.menvcfg, before.mcounteren, before.scounteren,
                 before.mideleg, before.mip, before.line, legal ? "reads" : "illegal", want,
                 did ? "reads" : "illegal", got, cause, tval, n, did == legal ? a : 0,
                 did == legal ? b : 0, clause);
    }
}

static void set_priv(unsigned priv)
{
    p.priv = priv;
    r->h->priv = (enum rv_priv)priv;
    rv_sync(r->h);
}

static uint64_t random_operand(void)
{
    uint64_t v = rig_random(&seed);

    switch (v & 7) {
    case 0: return 0;
    case 1: return UINT64_MAX;
    case 2: return UINT64_C(1) << (v >> 8 & 63);
    case 3: return v >> 32;
    case 4: return rig_random(&seed) & rig_random(&seed);
    default: return rig_random(&seed);
    }
}

/* Levels for SEI and M's three (the timer's is stimecmp's); for SSI a bit that software may clear.
 */
static void random_lines(void)
{
    bool ssi = rig_random(&seed) & 1;

    p.mip = (p.mip & ~UINT64_C(2)) | (ssi ? 2 : 0);
    rv_set_mip(r->h, 1, ssi);
    p.line = rig_random(&seed) & 0xa88;
    for (unsigned n = 3; n <= 11; n += 2) {
        if (n != 5)
            rv_set_mip(r->h, n, p.line >> n & 1);
    }
}

/* Gates open and shut, everything else anything. */
static void random_state(void)
{
    static const uint16_t gates[] = {0x300, 0x306, 0x106, 0x30a, 0x10a, 0x303, 0x304, 0x344,
                                     0x14d, 0x180, 0x003, 0x302, 0x305, 0x105, 0x3b0, 0x3b1};

    set_priv(PR_M);
    for (unsigned i = 0; i < sizeof(gates) / sizeof(gates[0]); i++)
        check("random state", gates[i], 1, 1, random_operand());
    random_lines();
    rv_sync(r->h);
}

/* Often to the very tick of stimecmp, or to the one before it. */
static void pass_time(void)
{
    uint64_t v = rig_random(&seed), ticks = v & 0xff;

    if (p.stimecmp > p.time && p.stimecmp >> 63 == 0 && v >> 8 & 1)
        ticks = p.stimecmp - p.time - (v >> 9 & 1);
    r->now += ticks;
    pr_advance(&p, ticks);
    check_alike("time passes");
}

static void reset(void)
{
    r->now = p.time = rig_random(&seed) & 0xffff;
    rv_hart_reset(r->h, RIG_RAM);
    pr_csr_reset(&p);
    check_alike("reset");
}

/* ---- Tests
 * --------------------------------------------------------------------------------------- */

static void all_numbers(void)
{
    static const unsigned privs[] = {PR_U, PR_S, PR_M};

    for (unsigned i = 0; i < 3; i++) {
        random_state();
        set_priv(privs[i]);
        for (unsigned n = 0; n < 4096; n++) {
            static const uint8_t funct3[] = {2, 3, 6, 7, 1, 2, 3, 5, 6, 7};

            for (unsigned k = 0; k < 10; k++) {
                bool immediate = funct3[k] > 4;
                unsigned rs1 = k < 4 ? 0 : 5;
                uint64_t operand = immediate ? rs1 : k < 4 ? 0 : random_operand();

                check("all numbers", n, funct3[k], rs1, operand);
            }
        }
    }
}

static void test_all_numbers(void **state)
{
    (void)state;
    for (unsigned m = 0; m < N_MODELS; m++) {
        begin(models[m]);
        for (unsigned round = 0; round < 6; round++) {
            all_numbers();
            if (round % 2)
                reset();
        }
        end();
    }
    printf("    %lu instructions, %lu of them legal\n", n_cases, n_legal);
}

/* Each gate alone and with the others, for what it guards. */
static void test_gates(void **state)
{
    (void)state;
    for (unsigned m = 0; m < N_MODELS; m++) {
        begin(models[m]);
        for (unsigned g = 0; g < 1024; g++) {
            static const unsigned privs[] = {PR_U, PR_S, PR_M};
            unsigned bit = g >> 5 & 31;

            set_priv(PR_M);
            check("gate", 0x300, 1, 1, (g & 1 ? PR_TVM : 0) | (uint64_t)(g >> 1 & 3) << 13);
            check("gate", 0x306, 1, 1, g & 8 ? UINT64_C(1) << bit : ~(UINT64_C(1) << bit));
            check("gate", 0x106, 1, 1, g & 16 ? UINT64_C(1) << bit : ~(UINT64_C(1) << bit));
            check("gate", 0x30a, 1, 1, g & 32 ? PR_STCE : 0);
            for (unsigned i = 0; i < 3; i++) {
                set_priv(privs[i]);
                for (unsigned n = 0xc00; n < 0xc20; n++)
                    check("counter", n, 2, 0, 0);
                check("fcsr", 3, 2, 0, 0);
                check("satp", 0x180, 2, 0, 0);
                check("satp", 0x180, 1, 1, UINT64_C(8) << 60);
                check("stimecmp", 0x14d, 2, 0, 0);
                check("stimecmp", 0x14d, 1, 1, 5);
            }
        }
        end();
    }
}

/* Every register that is here, in any order, by anybody, while time passes and lines move. */
static void test_sequences(void **state)
{
    (void)state;
    for (unsigned m = 0; m < N_MODELS; m++) {
        uint16_t here[256];
        unsigned n_here = 0;

        begin(models[m]);
        for (unsigned n = 0; n < 4096; n++) {
            if (pr_csr_here(&p, n))
                here[n_here++] = (uint16_t)n;
        }
        for (unsigned k = 0; k < 150000; k++) {
            static const unsigned privs[] = {PR_M, PR_M, PR_S, PR_U};
            uint64_t v = rig_random(&seed);
            unsigned rs1 = v >> 8 & 3 ? 7 : 0;

            set_priv(privs[v >> 12 & 3]);
            check("sequence", here[(v >> 16) % n_here], 1 + v % 3, rs1, rs1 ? random_operand() : 0);
            if ((v >> 32 & 15) == 0)
                random_lines();
            if ((v >> 36 & 15) == 0)
                pass_time();
            if ((v >> 40 & 1023) == 0)
                reset();
        }
        end();
    }
}

/* Locks hold against anything that M writes, until reset. */
static void test_pmp_locks(void **state)
{
    (void)state;
    begin("default");
    for (unsigned k = 0; k < 3000; k++) {
        for (unsigned i = 0; i < 30; i++) {
            uint64_t v = rig_random(&seed);
            bool cfg = (v & 3) == 0;
            /* Few locks, so that there is something left to try. */
            uint64_t operand = cfg ? rig_random(&seed) & ~(rig_random(&seed) & rig_random(&seed) &
                                                           UINT64_C(0x8080808080808080))
                                   : rig_random(&seed);

            if (cfg && i < 20)
                operand &= rig_random(&seed) | UINT64_C(0x7f7f7f7f7f7f7f7f);
            check("locks", cfg ? 0x3a0 + (v >> 8 & 1) * 2 : 0x3b0 + (v >> 8 & 15), 1, 1, operand);
        }
        reset();
    }
    end();
}

/* From each state that a write can leave, reset gives the same hart. */
static void test_reset(void **state)
{
    (void)state;
    for (unsigned m = 0; m < N_MODELS; m++) {
        begin(models[m]);
        check_alike("first reset");
        for (unsigned k = 0; k < 50; k++) {
            random_state();
            for (unsigned n = 0; n < 4096; n++) {
                if (pr_csr_here(&p, n))
                    check("before reset", n, 1, 1, random_operand());
            }
            reset();
        }
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_numbers), cmocka_unit_test(test_gates),
        cmocka_unit_test(test_sequences),   cmocka_unit_test(test_pmp_locks),
        cmocka_unit_test(test_reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
