/* Zicsr, the privileged instructions, cache blocks and waiting: what is left to C, and
 * how the block goes on behind it. */
#include "frontend/riscv/build/rv_build.h"
#include "frontend/riscv/rv_status.h"

/* ---- CSRs --------------------------------------------------------------------------- */

enum { CSR_FFLAGS = 1, CSR_SSTATUS = 0x100, CSR_TIME = 0xc01 };

/* Registers that are plain memory: no access to them has a consequence, so it needs no
 * C and does not end the block. A program counter drops the bits that an address
 * cannot have. */
struct plain_csr {
    uint16_t number; /* bits 8 and 9: the lowest privilege */
    bool is_pc;
    size_t offset; /* in struct rv_hart */
};

static const struct plain_csr plain_csrs[] = {
    {0x140, false, offsetof(struct rv_hart, sscratch)},
    {0x141, true, offsetof(struct rv_hart, sepc)},
    {0x142, false, offsetof(struct rv_hart, scause)},
    {0x143, false, offsetof(struct rv_hart, stval)},
    {0x340, false, offsetof(struct rv_hart, mscratch)},
    {0x341, true, offsetof(struct rv_hart, mepc)},
    {0x342, false, offsetof(struct rv_hart, mcause)},
    {0x343, false, offsetof(struct rv_hart, mtval)},
};

static const struct plain_csr *find_plain(const struct rv_build *t, unsigned number)
{
    for (unsigned k = 0; k < sizeof(plain_csrs) / sizeof(plain_csrs[0]); k++) {
        const struct plain_csr *p = &plain_csrs[k];

        if (p->number == number)
            return (p->number >> 8 & 3u) <= rv_build_priv(t) ? p : NULL;
    }
    return NULL;
}

static ir_ref load_hart(struct rv_build *t, size_t offset)
{
    return ir_emit(t->b, IR_ldst, 0, IR_NONE, IR_NONE, IR_NONE, offset);
}

/* The register, or the five bits in its place. */
static ir_ref csr_operand(struct rv_build *t, const struct rv_insn *i)
{
    if (rv_k_funct3(i->word) & 4)
        return ir_const(t->b, i->rs1);
    return rv_get(t, i->rs1);
}

/* The value that a CSR instruction writes. */
static ir_ref csr_new(struct rv_build *t, const struct rv_insn *i, ir_ref old)
{
    ir_ref value = csr_operand(t, i);
    unsigned op = rv_k_funct3(i->word) & 3; /* 1 write, 2 set, 3 clear */

    return op == 1 ? value : ir_op2(t->b, op == 2 ? IR_or : IR_andn, old, value);
}

/* Flags are read where floating point is on, and written where its state is dirty already. */
static bool flags_are_ours(const struct rv_build *t, bool writes)
{
    unsigned fs = rv_build_fs(t);

    return fs == 3 || (fs != 0 && !writes);
}

static void access_flags(struct rv_build *t, const struct rv_insn *i, bool writes)
{
    ir_ref old = ir_emit(t->b, IR_getfflags, 0, IR_NONE, IR_NONE, IR_NONE, 0);

    if (writes)
        ir_emit(t->b, IR_setfflags, 0, csr_new(t, i, old), IR_NONE, IR_NONE, 0);
    rv_set(t, i->rd, old);
}

static void access_plain(struct rv_build *t, const struct rv_insn *i, const struct plain_csr *p)
{
    ir_ref old = load_hart(t, p->offset);

    if (rv_k_csr_writes(i->word)) {
        ir_ref value = csr_new(t, i, old);

        if (p->is_pc)
            value =
                ir_op2(t->b, IR_andn, value, ir_const(t->b, rv_has(t->model, RV_EXT_c) ? 1 : 3));
        ir_emit(t->b, IR_stst, 0, value, IR_NONE, IR_NONE, p->offset);
    }
    rv_set(t, i->rd, old);
}

/* Of sstatus: reading it, and csrrsi and csrrci, which reach no field that can be written but SIE.
 * A register may have any bit: then mode and rights may change. */
static bool status_is_ours(const struct rv_build *t, const struct rv_insn *i, bool writes)
{
    unsigned funct3 = rv_k_funct3(i->word);

    return rv_build_priv(t) >= RV_S && (!writes || funct3 == 6 || funct3 == 7);
}

/* What is enabled and pending may be deliverable from now on, or not: the run loop will say. STIP
 * as stimecmp has it is among the lines. */
static void look_for_interrupts(struct rv_build *t)
{
    ir_ref software = load_hart(t, offsetof(struct rv_hart, mip));
    ir_ref lines = load_hart(t, offsetof(struct rv_hart, mip_line));
    ir_ref enabled = load_hart(t, offsetof(struct rv_hart, mie));
    ir_ref any = ir_op2(t->b, IR_and, ir_op2(t->b, IR_or, software, lines), enabled);

    ir_emit(t->b, IR_irq, 0, any, IR_NONE, IR_NONE, 0);
    rv_leave_pending(t);
}

static void access_status(struct rv_build *t, const struct rv_insn *i, bool writes)
{
    const size_t offset = offsetof(struct rv_hart, mstatus);
    ir_ref status = load_hart(t, offset);
    ir_ref old = ir_op2(t->b, IR_and, status, ir_const(t->b, RV_STATUS_S_VISIBLE));
    bool changes = writes && (i->rs1 & RV_STATUS_SIE);

    if (rv_build_fs(t) == 3)
        old = ir_op2(t->b, IR_or, old, ir_const(t->b, RV_STATUS_SD));
    if (changes) {
        ir_ref value = ir_op2(t->b, rv_k_funct3(i->word) == 6 ? IR_or : IR_andn, status,
                              ir_const(t->b, RV_STATUS_SIE));

        ir_emit(t->b, IR_stst, 0, value, IR_NONE, IR_NONE, offset);
    }
    rv_set(t, i->rd, old);
    if (changes && rv_k_funct3(i->word) == 6)
        look_for_interrupts(t);
}

static void csr_access(struct rv_build *t, const struct rv_insn *i)
{
    unsigned number = rv_k_csr(i->word);
    bool writes = rv_k_csr_writes(i->word);
    const struct plain_csr *plain = find_plain(t, number);

    if (plain) {
        access_plain(t, i, plain);
        return;
    }
    if (number == CSR_FFLAGS && flags_are_ours(t, writes)) {
        access_flags(t, i, writes);
        return;
    }
    if (number == CSR_SSTATUS && status_is_ours(t, i, writes)) {
        access_status(t, i, writes);
        return;
    }
    if (number == CSR_TIME && !writes && (t->mode & RV_MODE_TIME_OK)) {
        rv_count_completed(t);
        rv_set(t, i->rd, ir_emit(t->b, IR_time, 0, IR_NONE, IR_NONE, IR_NONE, 0));
        return;
    }
    rv_set(t, i->rd, rv_call(t, RV_HELP_csr, i->word, csr_operand(t, i), IR_NONE));
    /* Mode, translation or interrupts may be others now. */
    if (writes)
        rv_leave_resume(t);
}

/* ---- Traps and returns ---------------------------------------------------------------- */

/* In virtual time a trap takes as long as an instruction, and retires nothing. */
static void count_trap(struct rv_build *t)
{
    const size_t offset = offsetof(struct rv_hart, s.n_unretired);

    if (!t->b->virtual_time)
        return;
    ir_emit(t->b, IR_stst, 0, ir_op2(t->b, IR_add, load_hart(t, offset), ir_const(t->b, 1)),
            IR_NONE, IR_NONE, offset);
}

/* A system call is a jump to where the trap leads, which is the same place again and again: the
 * jump cache knows it, and the run loop would only look it up. */
static void ecall(struct rv_build *t, const struct rv_insn *i)
{
    (void)i;
    if (rv_build_priv(t) != RV_U) {
        rv_leave_trap(t, RV_CAUSE_ECALL + rv_build_priv(t), ir_const(t->b, 0));
        return;
    }
    ir_ref to = rv_call(t, RV_HELP_ecall, 0, IR_NONE, IR_NONE);

    count_trap(t);
    rv_leave_jump(t, to);
}

static void ebreak(struct rv_build *t, const struct rv_insn *i)
{
    (void)i;
    rv_leave_trap(t, RV_CAUSE_BREAKPOINT, rv_pc(t, t->off));
}

static void trap_return(struct rv_build *t, const struct rv_insn *i, enum rv_helper_id id)
{
    rv_leave_jump(t, rv_call(t, id, i->word, IR_NONE, IR_NONE));
}

static void wfi(struct rv_build *t, const struct rv_insn *i)
{
    rv_call(t, RV_HELP_wfi, i->word, IR_NONE, IR_NONE);
    rv_leave_resume(t);
}

static void wrs(struct rv_build *t, const struct rv_insn *i)
{
    rv_call(t, RV_HELP_wrs, i->word, IR_NONE, IR_NONE);
    rv_leave_paused(t);
}

/* ---- Translation and caches ------------------------------------------------------------- */

static void sfence(struct rv_build *t, const struct rv_insn *i)
{
    ir_ref va = rv_get(t, i->rs1);

    rv_call(t, RV_HELP_sfence, i->word, va, rv_get(t, i->rs2));
    rv_leave_resume(t);
}

/* What sinval.vma does is ordered already: only the legality is left. */
static void sinval_check(struct rv_build *t, const struct rv_insn *i)
{
    rv_call(t, RV_HELP_sinval_check, i->word, IR_NONE, IR_NONE);
}

static void cbo(struct rv_build *t, const struct rv_insn *i)
{
    bool fast = i->op == RV_OP_cbo_zero && (t->mode & RV_MODE_ZERO_OK);

    rv_call_fast(t, RV_HELP_cbo, fast ? IR_FAST(IR_ZERO, 8) : 0, i->word, rv_get(t, i->rs1),
                 IR_NONE);
    rv_leave_pending(t);
}

#define RV(name, format, bits, needs, kind, builder)                                               \
    void rv_build_##name(struct rv_build *t, const struct rv_insn *i)                              \
    {                                                                                              \
        builder;                                                                                   \
    }
#include "frontend/riscv/isa/rv_priv.def"
#include "frontend/riscv/isa/rv_zawrs.def"
#include "frontend/riscv/isa/rv_zicbo.def"
#include "frontend/riscv/isa/rv_zicsr.def"
