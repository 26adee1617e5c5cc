#include "tests/diff/oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <unicorn/unicorn.h>

#include "dbt/base/check.h"
#include "frontend/riscv/sys/sys.h"
#include "tests/diff/float_bits.h"

enum { MAX_STEPS = 4000, MRET = 0x30200073, N_REGS = 31 + 32 + 1 };
#define BOXED       UINT64_C(0xffffffff00000000)
#define CANONICAL_F UINT64_C(0xffffffff7fc00000)
#define CANONICAL_D UINT64_C(0x7ff8000000000000)

const char *const oracle_error_name[ORACLE_N_ERRORS] = {
    [ORACLE_UNBOXED_OPERAND] = "operand not NaN-boxed",
    [ORACLE_UNBOXED_RESULT] = "result not NaN-boxed",
    [ORACLE_MIN_SNAN] = "fmin, fmax with a signalling NaN",
    [ORACLE_FMA_INVALID] = "NV of inf * 0 + quiet NaN",
    [ORACLE_LRSC_MISALIGNED] = "misaligned lr, sc",
    [ORACLE_AMO_MISALIGNED] = "misaligned amo",
    [ORACLE_AMO_MINMAX] = "amomin.w, amomax.w and unsigned",
    [ORACLE_CSR_READ_ONLY] = "write of 0 to a read-only CSR",
    [ORACLE_SC_SIZE] = "sc of another size than lr",
    [ORACLE_SC_UNMAPPED] = "sc without reservation nor memory",
    [ORACLE_TORN_STORE] = "bytes stored before the fault",
};

/* What a program's instruction needs done before or behind it. */
enum {
    FIX_OPERANDS = 1,
    FIX_BOX = 2,
    FIX_MIN = 4,
    FIX_FMA = 8,
    FIX_LRSC = 16,
    FIX_AMO = 32,
    FIX_CSR = 64,
    FIX_EDGE = 128
};

struct fix {
    struct rv_insn i;
    uint8_t what;
};

struct oracle {
    uc_engine *uc;
    uint8_t *ram;
    enum rv_priv priv;
    int reg[N_REGS];
    struct fix at[RV_RANDOM_CODE_BYTES / 2]; /* by offset; of the program that runs */
    /* The run. */
    const struct fix *behind; /* done when the next instruction begins */
    uint64_t saved[3];        /* operands that were replaced for it */
    uint8_t replaced;         /* bit k: saved[k] */
    uint64_t value[3];        /* its operands; of an atomic: address, rs2, old word */
    uint64_t pc;
    struct diff_state trap; /* cause, epc, tval */
    uint32_t start, end;    /* of the program, offsets */
    bool trapped, torn;
    unsigned lr_bytes; /* of the reservation; 0: none */
    unsigned steps;
    uint64_t all_steps, errors[ORACLE_N_ERRORS];
};

/* ---- Unicorn ------------------------------------------------------------------------------- */

static void must(uc_err e, const char *what)
{
    if (e == UC_ERR_OK)
        return;
    fprintf(stderr, "unicorn: %s: %s\n", what, uc_strerror(e));
    exit(2);
}

static uint64_t get(struct oracle *o, int reg)
{
    uint64_t v = 0;

    must(uc_reg_read(o->uc, reg, &v), "read a register");
    return v;
}

static void put(struct oracle *o, int reg, uint64_t v)
{
    must(uc_reg_write(o->uc, reg, &v), "write a register");
}

static uint64_t get_f(struct oracle *o, unsigned r)
{
    return get(o, UC_RISCV_REG_F0 + (int)r);
}

static void put_f(struct oracle *o, unsigned r, uint64_t v)
{
    put(o, UC_RISCV_REG_F0 + (int)r, v);
}

static void trap(struct oracle *o, uint64_t cause, uint64_t tval)
{
    if (o->trapped)
        return;
    o->trapped = true;
    o->trap.cause = cause;
    o->trap.tval = tval;
    o->trap.epc = o->pc;
}

/* ---- Corrections ---------------------------------------------------------------------------- */

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);

    return n >= m && strcmp(name + n - m, end) == 0;
}

static uint8_t fixes_of(const struct rv_insn *i)
{
    const char *name = rv_rows[i->op].name;
    const char *syntax = rv_formats[rv_rows[i->op].format].syntax;
    uint8_t kind = rv_rows[i->op].kind;
    bool single = ends_with(name, "_s");
    uint8_t what = 0;

    if (kind == RV_KIND_AMO && (strncmp(name, "lr", 2) == 0 || strncmp(name, "sc", 2) == 0))
        return FIX_LRSC;
    if (i->op == RV_OP_csrrs || i->op == RV_OP_csrrc)
        return i->imm >> 10 == 3 && i->rs1 != 0 ? FIX_CSR : 0;
    if (kind == RV_KIND_STORE || i->op == RV_OP_fsw || i->op == RV_OP_fsd)
        return FIX_EDGE;
    if (strncmp(name, "amom", 4) == 0 && ends_with(name, "_w"))
        return FIX_AMO;
    if (name[0] != 'f' || i->op == RV_OP_fence || i->op == RV_OP_fence_i)
        return 0;
    if (single && strchr(syntax, 'S'))
        what |= FIX_OPERANDS;
    if (strchr(syntax, 'D') && ((single && i->op != RV_OP_fcvt_d_s) ||
                                strncmp(name, "fcvt_s_", 7) == 0 || i->op == RV_OP_fmv_w_x))
        what |= FIX_BOX;
    if (strncmp(name, "fmin", 4) == 0 || strncmp(name, "fmax", 4) == 0)
        what |= FIX_MIN;
    if (strchr(syntax, 'R'))
        what |= FIX_FMA;
    return what;
}

static bool is_single(const struct rv_insn *i)
{
    return ends_with(rv_rows[i->op].name, "_s");
}

static uint64_t address_of(struct oracle *o, const struct rv_insn *i)
{
    return i->rs1 ? get(o, UC_RISCV_REG_X0 + i->rs1) : 0;
}

/* The word that the atomic is at, or what is nearest. */
static uint8_t *target(struct oracle *o)
{
    return o->ram +
           (o->value[0] <= RV_RANDOM_RAM_BYTES - 8 ? o->value[0] : RV_RANDOM_RAM_BYTES - 8);
}

static void before_atomic(struct oracle *o, const struct rv_insn *i)
{
    o->value[0] = address_of(o, i) - RV_RANDOM_BASE;
    o->value[1] = i->rs2 ? get(o, UC_RISCV_REG_X0 + i->rs2) : 0;
    memcpy(&o->value[2], target(o), 8);
}

static void before(struct oracle *o, const struct fix *f)
{
    const uint8_t reg[3] = {f->i.rs1, f->i.rs2, f->i.rs3};
    const char *syntax = rv_formats[rv_rows[f->i.op].format].syntax;

    if (f->what & (FIX_AMO | FIX_LRSC)) {
        before_atomic(o, &f->i);
        return;
    }
    if (f->what & FIX_EDGE) {
        memcpy(&o->value[0], o->ram + RV_RANDOM_RAM_BYTES - 8, 8);
        return;
    }
    const char letter[3] = {'S', 'T', 'R'};

    for (unsigned k = 0; k < 3; k++) {
        if (!strchr(syntax, letter[k]))
            continue;
        o->value[k] = get_f(o, reg[k]);
        if (!(f->what & FIX_OPERANDS) || o->value[k] >= BOXED)
            continue;
        o->saved[k] = o->value[k];
        o->replaced |= 1 << k;
        o->errors[ORACLE_UNBOXED_OPERAND]++;
    }
    for (unsigned k = 0; k < 3; k++) {
        if (!(o->replaced & 1 << k))
            continue;
        o->value[k] = CANONICAL_F;
        put_f(o, reg[k], CANONICAL_F);
    }
}

static void restore(struct oracle *o, const struct rv_insn *i, bool completed)
{
    const uint8_t reg[3] = {i->rs1, i->rs2, i->rs3};
    bool sets = strchr(rv_formats[rv_rows[i->op].format].syntax, 'D') != NULL && completed;

    for (unsigned k = 0; k < 3; k++)
        if (o->replaced & 1 << k && !(sets && reg[k] == i->rd))
            put_f(o, reg[k], o->saved[k]);
    o->replaced = 0;
}

/* IEEE 754-2019 minimumNumber: of a NaN and a number, the number, also when it signals. */
static void fix_min(struct oracle *o, const struct rv_insn *i)
{
    bool s = is_single(i), nan_a = is_nan(o->value[0], s), nan_b = is_nan(o->value[1], s);
    uint64_t want = nan_b ? o->value[0] : o->value[1];

    if (!nan_a && !nan_b)
        return;
    if (nan_a && nan_b)
        want = s ? CANONICAL_F : CANONICAL_D;
    if (get_f(o, i->rd) == want)
        return;
    o->errors[ORACLE_MIN_SNAN]++;
    put_f(o, i->rd, want);
}

static void fix_fma(struct oracle *o, const struct rv_insn *i)
{
    bool s = is_single(i);
    bool invalid = (is_inf(o->value[0], s) && is_zero(o->value[1], s)) ||
                   (is_zero(o->value[0], s) && is_inf(o->value[1], s));

    if (!invalid || !is_nan(o->value[2], s) || !is_quiet(o->value[2], s))
        return;
    uint64_t fcsr = get(o, UC_RISCV_REG_FCSR);

    if (fcsr & 0x10)
        return;
    o->errors[ORACLE_FMA_INVALID]++;
    put(o, UC_RISCV_REG_FCSR, fcsr | 0x10);
}

static void fix_amo(struct oracle *o, const struct rv_insn *i)
{
    uint32_t a, b = (uint32_t)o->value[1], is, want;
    uint64_t inside = o->ram + o->value[0] - target(o); /* 4 for the last word of memory, else 0 */

    a = (uint32_t)(o->value[2] >> 8 * inside);

    switch (i->op) {
    case RV_OP_amomin_w: want = (int32_t)a < (int32_t)b ? a : b; break;
    case RV_OP_amomax_w: want = (int32_t)a > (int32_t)b ? a : b; break;
    case RV_OP_amominu_w: want = a < b ? a : b; break;
    default: want = a > b ? a : b; break;
    }
    memcpy(&is, o->ram + o->value[0], 4);
    if (is == want)
        return;
    o->errors[ORACLE_AMO_MINMAX]++;
    memcpy(o->ram + o->value[0], &want, 4);
}

/* A reservation of another size may be no use, and then memory stays as it is. */
static void fix_lrsc(struct oracle *o, const struct rv_insn *i)
{
    unsigned bytes = ends_with(rv_rows[i->op].name, "_w") ? 4 : 8;
    bool is_lr = i->op == RV_OP_lr_w || i->op == RV_OP_lr_d;
    unsigned reserved = o->lr_bytes;

    o->lr_bytes = is_lr ? bytes : 0;
    if (is_lr || reserved == 0 || reserved == bytes)
        return;
    o->errors[ORACLE_SC_SIZE]++;
    memcpy(target(o), &o->value[2], 8);
    if (i->rd)
        put(o, UC_RISCV_REG_X0 + i->rd, 1);
}

static void behind(struct oracle *o, const struct fix *f)
{
    if (f->what & FIX_AMO)
        fix_amo(o, &f->i);
    if (f->what & FIX_LRSC)
        fix_lrsc(o, &f->i);
    if (f->what & (FIX_AMO | FIX_LRSC | FIX_EDGE))
        return;
    restore(o, &f->i, true);
    if (f->what & FIX_BOX) {
        uint64_t v = get_f(o, f->i.rd);

        if (v < BOXED) {
            put_f(o, f->i.rd, v | BOXED);
            o->errors[ORACLE_UNBOXED_RESULT]++;
        }
    }
    if (f->what & FIX_MIN)
        fix_min(o, &f->i);
    if (f->what & FIX_FMA)
        fix_fma(o, &f->i);
}

static bool atomic_misaligned(struct oracle *o, const struct rv_insn *i)
{
    unsigned bytes = ends_with(rv_rows[i->op].name, "_w") ? 4 : 8;

    return address_of(o, i) % bytes != 0;
}

/* True, with the trap noted: Unicorn would go on where it is due. */
static bool trap_due(struct oracle *o, const struct fix *f)
{
    uint64_t at = address_of(o, &f->i);
    bool is_lr = f->i.op == RV_OP_lr_w || f->i.op == RV_OP_lr_d;

    if (f->what & FIX_CSR && at == 0) {
        o->errors[ORACLE_CSR_READ_ONLY]++;
        trap(o, RV_ILLEGAL, f->i.word);
        return true;
    }
    if (!(f->what & FIX_LRSC))
        return false;
    if (atomic_misaligned(o, &f->i)) {
        o->errors[ORACLE_LRSC_MISALIGNED]++;
        trap(o, is_lr ? RV_LOAD_MISALIGNED : RV_STORE_MISALIGNED, at);
        return true;
    }
    if (!is_lr && at - RV_RANDOM_BASE >= RV_RANDOM_RAM_BYTES) {
        o->errors[ORACLE_SC_UNMAPPED]++;
        trap(o, RV_STORE_ACCESS, at);
        return true;
    }
    return false;
}

/* ---- Hooks ---------------------------------------------------------------------------------- */

static void on_code(uc_engine *uc, uint64_t address, uint32_t size, void *arg)
{
    struct oracle *o = arg;
    uint64_t offset = address - RV_RANDOM_BASE;

    (void)size;
    if (o->behind)
        behind(o, o->behind);
    o->behind = NULL;
    o->pc = address;
    if (++o->steps > MAX_STEPS || offset < o->start || offset >= o->end) {
        uc_emu_stop(uc);
        return;
    }
    const struct fix *f = &o->at[offset / 2];

    if (!f->what)
        return;
    if (trap_due(o, f)) {
        uc_emu_stop(uc);
        return;
    }
    if (f->what != FIX_CSR) {
        before(o, f);
        o->behind = f;
    }
}

static uint64_t word_at_pc(const struct oracle *o)
{
    uint32_t word = 0;
    uint64_t offset = o->pc - RV_RANDOM_BASE;

    if (offset < RV_RANDOM_RAM_BYTES - 4)
        memcpy(&word, o->ram + offset, 4);
    return rv_len_bytes((uint16_t)word) == 2 ? word & 0xffff : word;
}

static void on_interrupt(uc_engine *uc, uint32_t number, void *arg)
{
    struct oracle *o = arg;
    uint64_t tval = 0;

    if (number == RV_ECALL_U)
        number += o->priv; /* what QEMU does in the step that Unicorn leaves out */
    if (number == RV_ILLEGAL)
        tval = word_at_pc(o);
    if (number == RV_LOAD_MISALIGNED) { /* lr is looked after elsewhere: it is an amo */
        number = RV_STORE_MISALIGNED;
        o->errors[ORACLE_AMO_MISALIGNED]++;
    }
    if (number == RV_STORE_MISALIGNED)
        tval = get(o, UC_RISCV_REG_X0 + o->at[(o->pc - RV_RANDOM_BASE) / 2].i.rs1);
    trap(o, number, tval);
    uc_emu_stop(uc);
}

static bool on_memory(uc_engine *uc, uc_mem_type type, uint64_t address, int size, int64_t value,
                      void *arg)
{
    struct oracle *o = arg;
    uint64_t cause = type == UC_MEM_READ_UNMAPPED    ? RV_LOAD_ACCESS
                     : type == UC_MEM_WRITE_UNMAPPED ? RV_STORE_ACCESS
                                                     : RV_FETCH_ACCESS;

    (void)uc, (void)size, (void)value;
    if (cause == RV_FETCH_ACCESS) {
        o->pc = address;
    } else if (o->pc - RV_RANDOM_BASE < RV_RANDOM_CODE_BYTES) {
        uint16_t op = o->at[(o->pc - RV_RANDOM_BASE) / 2].i.op;

        /* Unicorn tells which half of the atomic failed; the guest sees a store's fault. */
        if (rv_rows[op].kind == RV_KIND_AMO && rv_rows[op].name[0] != 'l')
            cause = atomic_misaligned(o, &o->at[(o->pc - RV_RANDOM_BASE) / 2].i)
                        ? RV_STORE_MISALIGNED /* either may come first (privileged, 3.7) */
                        : RV_STORE_ACCESS;
    }
    trap(o, cause, address);
    if (o->behind && o->behind->what & FIX_EDGE)
        o->torn = true;
    return false;
}

/* ---- Runs ------------------------------------------------------------------------------------ */

static void hook(struct oracle *o, int type, void *fn)
{
    uc_hook h;

    must(uc_hook_add(o->uc, &h, type, fn, o, 1, 0), "add a hook");
}

static void enter(struct oracle *o)
{
    const uint32_t mret = MRET;

    memcpy(o->ram, &mret, 4);
    put(o, UC_RISCV_REG_MEPC, RV_RANDOM_BASE + 0x100);
    put(o, UC_RISCV_REG_MSTATUS, RV_STATUS_FS | (uint64_t)o->priv << RV_STATUS_MPP_SHIFT);
    must(uc_emu_start(o->uc, RV_RANDOM_BASE, RV_RANDOM_BASE + 0x100, 0, 0), "mret");
}

struct oracle *oracle_create(enum rv_priv priv)
{
    struct oracle *o = calloc(1, sizeof *o);

    CHECK(o);
    o->priv = priv;
    o->ram =
        mmap(NULL, RV_RANDOM_RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(o->ram != MAP_FAILED);
    must(uc_open(UC_ARCH_RISCV, UC_MODE_RISCV64, &o->uc), "open");
    must(uc_mem_map_ptr(o->uc, RV_RANDOM_BASE, RV_RANDOM_RAM_BYTES, UC_PROT_ALL, o->ram), "map");
    put(o, UC_RISCV_REG_MSTATUS, RV_STATUS_FS);
    if (priv != RV_M)
        enter(o);
    for (int r = 1; r < 32; r++)
        o->reg[r - 1] = UC_RISCV_REG_X0 + r;
    for (int r = 0; r < 32; r++)
        o->reg[31 + r] = UC_RISCV_REG_F0 + r;
    o->reg[63] = UC_RISCV_REG_FCSR;
    hook(o, UC_HOOK_CODE, (void *)(uintptr_t)on_code);
    hook(o, UC_HOOK_INTR, (void *)(uintptr_t)on_interrupt);
    hook(o, UC_HOOK_MEM_INVALID, (void *)(uintptr_t)on_memory);
    return o;
}

void oracle_destroy(struct oracle *o)
{
    uc_close(o->uc);
    munmap(o->ram, RV_RANDOM_RAM_BYTES);
    free(o);
}

uint8_t *oracle_ram(struct oracle *o)
{
    return o->ram;
}

uint64_t oracle_steps(const struct oracle *o)
{
    return o->all_steps;
}

const uint64_t *oracle_errors(const struct oracle *o)
{
    return o->errors;
}

static void prepare(struct oracle *o, const struct rv_program *p)
{
    for (unsigned k = 0; k < p->n; k++) {
        struct fix *f = &o->at[p->offset[k] / 2];

        rv_decode(p->word[k], &f->i);
        f->what = fixes_of(&f->i);
    }
    o->start = p->start;
    o->end = p->end;
    o->behind = NULL;
    o->replaced = 0;
    o->trapped = o->torn = false;
    o->steps = 0;
    o->lr_bytes = 0;
}

/* A reservation outlives the run: an sc, whether it fails or not, ends it. */
static void end_reservation(struct oracle *o)
{
    const uint32_t sc_w = 0x1800a02f; /* sc.w x0, x0, (x1) */
    const uint64_t at = RV_RANDOM_BASE;
    uint32_t saved[2];

    memcpy(saved, o->ram, sizeof(saved));
    memcpy(o->ram + 4, &sc_w, 4);
    put(o, UC_RISCV_REG_X1, at);
    must(uc_ctl_remove_cache(o->uc, at, at + 8), "forget code");
    o->start = 0;
    must(uc_emu_start(o->uc, at + 4, at + 8, 0, 0), "sc");
    must(uc_ctl_remove_cache(o->uc, at, at + 8), "forget code");
    memcpy(o->ram, saved, sizeof(saved));
}

static void mend_torn_store(struct oracle *o)
{
    uint8_t *end = o->ram + RV_RANDOM_RAM_BYTES - 8;

    if (memcmp(end, &o->value[0], 8) == 0)
        return;
    o->errors[ORACLE_TORN_STORE]++;
    memcpy(end, &o->value[0], 8);
}

static void exchange_one(struct oracle *o, int reg, uint64_t *v, bool write)
{
    if (write)
        put(o, reg, *v);
    else
        *v = get(o, reg);
}

static void exchange(struct oracle *o, struct diff_state *s, bool write)
{
    void *value[N_REGS];

    for (unsigned r = 1; r < 32; r++)
        value[r - 1] = &s->x[r];
    for (unsigned r = 0; r < 32; r++)
        value[31 + r] = &s->f[r];
    value[63] = &s->fcsr;
    if (write)
        must(uc_reg_write_batch(o->uc, o->reg, value, N_REGS), "write registers");
    else
        must(uc_reg_read_batch(o->uc, o->reg, value, N_REGS), "read registers");
    if (o->priv >= RV_S)
        exchange_one(o, UC_RISCV_REG_SSCRATCH, &s->sscratch, write);
    if (o->priv == RV_M)
        exchange_one(o, UC_RISCV_REG_MSCRATCH, &s->mscratch, write);
}

static bool code_is_intact(const struct oracle *o, const struct rv_program *p)
{
    for (unsigned k = 0; k < p->n; k++)
        if (memcmp(o->ram + p->offset[k], &p->word[k], p->len[k]) != 0)
            return false;
    return true;
}

bool oracle_run(struct oracle *o, const struct rv_program *p, struct diff_state *s)
{
    prepare(o, p);
    must(uc_ctl_remove_cache(o->uc, RV_RANDOM_BASE + p->start, RV_RANDOM_BASE + p->end),
         "forget code");
    exchange(o, s, true);
    uc_err e = uc_emu_start(o->uc, RV_RANDOM_BASE + p->start, 0, 0, 0);

    o->all_steps += o->steps;
    /* Unicorn's word for what ends in a breakpoint. */
    if (e == UC_ERR_INSN_INVALID)
        trap(o, RV_BREAKPOINT, o->pc);
    if (o->behind)
        restore(o, &o->behind->i, false);
    o->behind = NULL;
    if (o->torn)
        mend_torn_store(o);
    exchange(o, s, false);
    s->cause = o->trap.cause;
    s->epc = o->trap.epc;
    s->tval = o->trap.tval;
    for (unsigned k = 0; k < p->n; k++)
        o->at[p->offset[k] / 2].what = 0;
    if (o->lr_bytes)
        end_reservation(o);
    return o->trapped && code_is_intact(o, p);
}
