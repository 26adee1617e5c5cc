/* Which exception comes first when one instruction has reason for several ("Synchronous exception
 * priority", 3.1.15), by guest code in both engines: its parcels in pages of all kinds, illegal or
 * not, with data in pages of all kinds, under PMP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dbt/opt/opt.h"
#include "tests/lib/priv_rig.h"
#include "tests/lib/rv_machine.h"

#define RAM UINT64_C(0x80000000)
/* Virtual addresses are physical ones, so that M runs the same code. */
enum { RAM_LEN = 1 << 20, ROOT = 0x10000, L1 = 0x11000, L0 = 0x12000 };
enum { CODE = 0x20000, DATA = 0x30000, V = 1, R = 2, W = 4, X = 8, U = 16, A = 64, D = 128 };

struct world {
    struct rv_machine *m;
    struct rv_hart *h;
    uint8_t *ram;
    struct pr_hart p;
    struct pr_memory mem;
    bool compressed;
};

static uint64_t seed = 3, n_cases, n_raised;

/* ---- The machine ------------------------------------------------------------------------------
 */

static void begin(struct world *w, const char *model, enum engine engine)
{
    struct rv_machine_config config = {.model = model,
                                       .engine = engine,
                                       .passes = OPT_ALL,
                                       .max_insns = 1,
                                       .ram_gpa = RAM,
                                       .ram_len = RAM_LEN};
    struct err e;

    w->m = rv_machine_create(&config, &e);
    assert_non_null(w->m);
    w->h = rv_machine_hart(w->m);
    w->ram = rv_machine_ram(w->m);
    w->mem = (struct pr_memory){w->ram, RAM, RAM_LEN};
    w->compressed = rv_has(&w->h->model, RV_EXT_c);
}

static void poke(struct world *w, unsigned at, const void *bytes, unsigned len)
{
    memcpy(w->ram + at, bytes, len);
    rv_machine_wrote(w->m, RAM + at, len);
}

static void poke_pte(struct world *w, unsigned at, unsigned page, unsigned low)
{
    uint64_t pte = (RAM + page) >> 12 << 10 | low;

    poke(w, at, &pte, 8);
}

/* ---- Instructions
 * ---------------------------------------------------------------------------------- */

/* x5 holds the address, x6 a value. */
enum insn {
    ADDI,
    ECALL,
    EBREAK,
    UNDEFINED,
    MRET_BELOW_M,
    CSR_READ,
    LD,
    SD,
    LR,
    SC,
    AMOADD,
    CBO_ZERO,
    CBO_CLEAN,
    JALR,
    N_INSN
};
static const uint32_t words[N_INSN] = {
    [ADDI] = 0x00138393,      [ECALL] = 0x00000073,        [EBREAK] = 0x00100073,
    [UNDEFINED] = 0xffffffff, [MRET_BELOW_M] = 0x30200073, [CSR_READ] = 0x000023f3,
    [LD] = 0x0002b383,        [SD] = 0x0062b023,           [LR] = 0x1002b3af,
    [SC] = 0x1862b3af,        [AMOADD] = 0x0062b3af,       [CBO_ZERO] = 0x0042a00f,
    [CBO_CLEAN] = 0x0012a00f, [JALR] = 0x000283e7,
};

/* csrrs x7, csr, x0: those that translated code may answer itself, and those that gates close. */
static const uint16_t csrs[] = {0xc00, 0xc01, 0xc02, 0xc03, 0x001, 0x002, 0x003, 0x100,
                                0x14d, 0x180, 0x300, 0x7a0, 0xf14, 0x015, 0xc01, 0xc01};

struct test_case {
    enum insn insn;
    uint32_t word;
    uint64_t pc, address;
};

static enum pr_kind data_kind(enum insn insn)
{
    switch (insn) {
    case LD: return PR_LOAD;
    case SD: return PR_STORE;
    case LR: return PR_LR;
    case SC: return PR_SC;
    case CBO_ZERO: return PR_ZERO;
    case CBO_CLEAN: return PR_CBO;
    default: return PR_AMO;
    }
}

static bool illegal(const struct world *w, const struct test_case *c)
{
    struct pr_hart copy = w->p;
    const char *clause;
    uint64_t old;

    switch (c->insn) {
    case UNDEFINED: return true;
    case MRET_BELOW_M: return !pr_legal(&w->p, PR_MRET, &clause);
    case CSR_READ: return !pr_csr(&copy, c->word >> 20, PR_READ, 0, &old, &clause);
    case CBO_ZERO: return !pr_legal(&w->p, PR_CBO_ZERO, &clause);
    case CBO_CLEAN: return !pr_legal(&w->p, PR_CBO_CLEAN, &clause);
    default: return false;
    }
}

/* ---- What the rules say
 * -------------------------------------------------------------------------------- */

static bool expected(const struct world *w, const struct test_case *c, uint64_t *cause,
                     uint64_t *tval, const char **clause)
{
    struct pr_access fetch[2], data;
    struct pr_reasons r = {.word = c->word, .pc = c->pc, .priv = w->p.priv};

    pr_access(&w->p, &w->mem, PR_FETCH, c->pc, 2, &fetch[0]);
    pr_access(&w->p, &w->mem, PR_FETCH, c->pc + 2, 2, &fetch[1]);
    r.fetch[0] = &fetch[0];
    r.fetch[1] = &fetch[1];
    r.illegal = illegal(w, c);
    r.ecall = c->insn == ECALL;
    r.ebreak = c->insn == EBREAK;
    r.target = c->address & ~UINT64_C(1); /* jalr clears bit 0 */
    r.target_misaligned = c->insn == JALR && !w->compressed && (r.target & 2);
    if (c->insn >= LD && c->insn <= CBO_CLEAN) {
        enum pr_kind kind = data_kind(c->insn);

        pr_access(&w->p, &w->mem, kind, c->address,
                  kind == PR_ZERO  ? 64
                  : kind == PR_CBO ? 1
                                   : 8,
                  &data);
        r.data = &data;
    }
    return pr_first_exception(&r, cause, tval, clause);
}

/* ---- Cases
 * -------------------------------------------------------------------------------------------------
 */

static unsigned pick(const uint8_t *of, unsigned n)
{
    return of[rig_random(&seed) % n];
}

/* Entry 0 takes something away: a page, a part of one, a table, a right. */
static void random_pmp(struct pr_hart *p)
{
    static const uint64_t regions[] = {
        (RAM + CODE) >> 2 | 511,        (RAM + CODE + 4096) >> 2 | 511, (RAM + DATA) >> 2 | 511,
        (RAM + DATA + 4096) >> 2 | 511, (RAM + L0) >> 2 | 511,          (RAM + ROOT) >> 2 | 511,
        (RAM + CODE + 0x800) >> 2 | 3,  (RAM + DATA + 8) >> 2,
    };
    static const uint8_t rights[] = {0, 1, 3, 4, 5, 7};
    uint64_t v = rig_random(&seed);

    memset(p->pmpcfg, 0, sizeof(p->pmpcfg));
    p->pmpcfg[0] = v & 1 ? (uint8_t)(0x18 | pick(rights, 6) | (v & 2 ? 0x80 : 0)) : 0;
    p->pmpaddr[0] = regions[v >> 8 & 7];
    p->pmpcfg[1] = 0x1f;
    p->pmpaddr[1] = (UINT64_C(1) << 53) - 1;
}

static void random_world(struct world *w)
{
    static const uint8_t code[] = {0,
                                   V,
                                   V | R | A,
                                   V | X,
                                   V | X | A,
                                   V | R | X | A,
                                   V | R | W | X | A | D,
                                   V | X | A,
                                   V | R | X | A};
    static const uint8_t data[] = {0,
                                   V,
                                   V | R,
                                   V | R | A,
                                   V | X | A,
                                   V | R | W,
                                   V | R | W | A,
                                   V | R | W | A | D,
                                   V | R | W | A | D};
    unsigned user = rig_random(&seed) % 4 == 0 ? 0 : U;
    uint64_t v = rig_random(&seed);

    poke_pte(w, ROOT + 2 * 8, L1, V);
    poke_pte(w, L1, L0, V);
    for (unsigned i = 0; i < 2; i++) {
        poke_pte(w, L0 + (CODE >> 12) * 8 + i * 8, CODE + i * 4096,
                 pick(code, 9) | (v >> i & 1 ? user : 0));
        poke_pte(w, L0 + (DATA >> 12) * 8 + i * 8, DATA + i * 4096,
                 pick(data, 9) | (v >> i & 4 ? user : 0));
    }
    priv_from_hart(&w->p, w->h);
    w->p.satp = v >> 8 & 7 ? UINT64_C(8) << 60 | (RAM + ROOT) >> 12 : 0;
    w->p.priv = (const unsigned[]){PR_U, PR_S, PR_S, PR_M}[v >> 12 & 3];
    w->p.mstatus &= ~(PR_SUM | PR_MXR | PR_MPRV | PR_MPP | PR_TVM | PR_FS);
    w->p.mstatus |= (v & (PR_SUM | PR_MXR | PR_TVM)) | (uint64_t)(v >> 16 & 1) << PR_MPP_SHIFT;
    if (w->p.priv == PR_M)
        w->p.mstatus |= v & PR_MPRV;
    w->p.mstatus |= UINT64_C(1) << 13;
    w->p.menvcfg = rig_random(&seed) & ((w->p.svadu ? PR_ADUE : 0) | PR_CBZE | PR_CBCFE);
    w->p.menvcfg |= w->p.sstc && v >> 20 & 1 ? PR_STCE : 0;
    w->p.mcounteren = rig_random(&seed) & 15;
    w->p.scounteren = rig_random(&seed) & 15;
    w->p.senvcfg = rig_random(&seed) & (PR_CBZE | PR_CBCFE);
    random_pmp(&w->p);
    priv_to_hart(&w->p, w->h);
    mmu_fence(w->h->s.mmu, true, 0, true, 0);
}

static struct test_case random_case(struct world *w)
{
    static const uint16_t code_at[] = {0, 0x7fe, 0x800, 0xffa, 0xffc, 0xffe};
    static const uint16_t data_at[] = {0, 4, 8, 0x40, 0xff8, 0xffc, 0xfff, 0x41, 2, 0x1002};
    struct test_case c = {.insn = (enum insn)(rig_random(&seed) % N_INSN)};
    bool jump = c.insn == JALR;

    c.pc = RAM + CODE + code_at[rig_random(&seed) % 6];
    if (!w->compressed)
        c.pc &= ~UINT64_C(3);
    c.address = RAM + DATA + data_at[rig_random(&seed) % 10];
    if (c.insn == MRET_BELOW_M && w->p.priv == PR_M)
        c.insn = UNDEFINED;
    if (rig_random(&seed) % 16 == 0 && !jump)
        c.address ^= UINT64_C(1) << 45; /* not canonical, or vacant */
    c.word = words[c.insn];
    if (c.insn == CSR_READ)
        c.word |= (uint32_t)csrs[rig_random(&seed) % 16] << 20;
    return c;
}

static void run_case(struct world *w, const struct test_case *c)
{
    struct rv_regs from = {.pc = c->pc};
    uint64_t cause = 0, tval = 0;
    struct rv_end end;
    const char *clause;
    char line[1024];
    bool want, got;

    poke(w, (unsigned)(c->pc - RAM), &c->word, 4);
    want = expected(w, c, &cause, &tval, &clause);
    from.x[5] = c->address;
    from.x[6] = 1;
    rv_machine_run(w->m, &from, (enum rv_priv)w->p.priv, 1, &end);
    /* A trap of the next instruction is not this one's. */
    got = end.trapped && end.regs.pc == c->pc;
    n_cases++;
    n_raised += want;
    if (got != want || (want && (cause != end.cause || tval != end.tval)))
        fail_msg("insn %08x at %lx, x5 %lx by %s => rule: %s %lu tval %lx, dbt: %s %lu tval %lx "
                 "[%s]",
                 c->word, c->pc, c->address, priv_line(&w->p, line, sizeof(line)),
                 want ? "cause" : "none", cause, tval, got ? "cause" : "none", end.cause, end.tval,
                 clause);
}

static void all_cases(const char *model, enum engine engine, unsigned n)
{
    struct world w;

    begin(&w, model, engine);
    for (unsigned k = 0; k < n; k++) {
        struct test_case c;

        random_world(&w);
        c = random_case(&w);
        run_case(&w, &c);
        /* Again, with what the first left translated and remembered. */
        run_case(&w, &c);
    }
    rv_machine_destroy(w.m);
}

static void test_interpreter(void **state)
{
    (void)state;
    all_cases("default", ENGINE_INTERP, 60000);
    printf("    %lu instructions, %lu of them trap\n", n_cases, n_raised);
}

static void test_translated(void **state)
{
    (void)state;
    all_cases("default", ENGINE_JIT, 60000);
}

static void test_without_compressed(void **state)
{
    (void)state;
    all_cases("default,c=off", ENGINE_JIT, 30000);
    all_cases("default,c=off", ENGINE_INTERP, 30000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interpreter),
        cmocka_unit_test(test_translated),
        cmocka_unit_test(test_without_compressed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
