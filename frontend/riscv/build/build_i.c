/* RV64I: arithmetic, jumps, loads and stores, fences. */
#include "frontend/riscv/build/rv_build.h"

/* ---- Constants and word arithmetic ------------------------------------------------- */

static void lui(struct rv_build *t, const struct rv_insn *i)
{
    rv_set(t, i->rd, rv_imm(t, i));
}

static void auipc(struct rv_build *t, const struct rv_insn *i)
{
    t->auipc_rd = i->rd;
    t->auipc_offset = t->off + i->imm;
    rv_set(t, i->rd, rv_pc(t, t->auipc_offset));
}

static void srliw(struct rv_build *t, const struct rv_insn *i)
{
    ir_ref value = ir_op1(t->b, IR_zext32, rv_get(t, i->rs1));

    rv_set_w(t, i->rd, ir_op2(t->b, IR_shr, value, rv_imm(t, i)));
}

/* The sign is copied down from bit 31 up to bit 63, so the result is extended. */
static void sraiw(struct rv_build *t, const struct rv_insn *i)
{
    ir_ref value = ir_op1(t->b, IR_sext32, rv_get(t, i->rs1));

    rv_set(t, i->rd, ir_op2(t->b, IR_sar, value, rv_imm(t, i)));
}

/* Word shifts look at five bits of rs2. */
static ir_ref amount_w(struct rv_build *t, const struct rv_insn *i)
{
    return ir_op2(t->b, IR_and, rv_get(t, i->rs2), ir_const(t->b, 31));
}

static void sllw(struct rv_build *t, const struct rv_insn *i)
{
    ir_ref value = rv_get(t, i->rs1);

    rv_set_w(t, i->rd, ir_op2(t->b, IR_shl, value, amount_w(t, i)));
}

static void srlw(struct rv_build *t, const struct rv_insn *i)
{
    ir_ref value = ir_op1(t->b, IR_zext32, rv_get(t, i->rs1));

    rv_set_w(t, i->rd, ir_op2(t->b, IR_shr, value, amount_w(t, i)));
}

static void sraw(struct rv_build *t, const struct rv_insn *i)
{
    ir_ref value = ir_op1(t->b, IR_sext32, rv_get(t, i->rs1));

    rv_set(t, i->rd, ir_op2(t->b, IR_sar, value, amount_w(t, i)));
}

/* ---- Jumps and branches --------------------------------------------------------------- */

/* Without C a target must be a multiple of 4; pages are, so the offset tells. */
static bool target_ok(const struct rv_build *t, int64_t offset)
{
    return rv_has(t->model, RV_EXT_c) || (offset & 3) == 0;
}

/* The block goes on at the target of a short jump forward, which is how the two ways of an `if`
 * meet; behind its page's end it ends there, like any block. What is skipped belongs to
 * the block's range: a store there drops it in vain. */
static bool goes_on_at(const struct rv_build *t, int64_t target)
{
    return target >= t->next && target <= t->next + RV_MAX_SKIP;
}

static void jal(struct rv_build *t, const struct rv_insn *i)
{
    int64_t target = t->off + i->imm;

    if (!target_ok(t, target)) {
        rv_leave_trap(t, RV_CAUSE_FETCH_MISALIGNED, rv_pc(t, target));
        return;
    }
    if (i->rd == 0 && goes_on_at(t, target)) {
        t->next = (uint32_t)target;
        return;
    }
    rv_leave_jal(t, i, target);
}

/* auipc and jalr together are a far call or jump to a known place. */
static bool jalr_is_direct(const struct rv_build *t, const struct rv_insn *i, int64_t *target)
{
    if (i->rs1 == 0 || i->rs1 != t->auipc_rd)
        return false;
    *target = (t->auipc_offset + i->imm) & ~INT64_C(1);
    return *target == (int32_t)*target && target_ok(t, *target);
}

static void jalr(struct rv_build *t, const struct rv_insn *i)
{
    int64_t place;
    ir_ref target;

    if (jalr_is_direct(t, i, &place)) {
        rv_leave_jal(t, i, place);
        return;
    }
    target = rv_op_ri(t, i, IR_add);
    target = ir_op2(t->b, IR_and, target, ir_const(t->b, ~UINT64_C(1)));
    if (!rv_has(t->model, RV_EXT_c))
        rv_call(t, RV_HELP_jump_check, 0, target, IR_NONE);
    rv_leave_jalr(t, i, target);
}

/* A branch whose target is misaligned traps when it is taken, and only then. It retires only
 * when it is not, so it does not leave the block as others do, which are counted before. */
static void branch_misaligned(struct rv_build *t, enum ir_cond cond, ir_ref x, ir_ref y,
                              int64_t target)
{
    static const enum ir_op compare[] = {IR_eq, IR_lt, IR_ltu}; /* and their contraries */
    ir_ref taken = rv_pc(t, target), not_taken = rv_pc(t, t->next);
    ir_ref is = ir_op2(t->b, compare[cond / 2], x, y);
    ir_ref next =
        cond & 1 ? rv_select(t, is, not_taken, taken) : rv_select(t, is, taken, not_taken);

    rv_call(t, RV_HELP_jump_check, 0, next, IR_NONE);
}

static void branch(struct rv_build *t, const struct rv_insn *i, enum ir_cond cond)
{
    ir_ref x = rv_get(t, i->rs1), y = rv_get(t, i->rs2);
    int64_t target = t->off + i->imm;

    if (!target_ok(t, target)) {
        branch_misaligned(t, cond, x, y, target);
        return;
    }
    rv_leave_if(t, cond, x, y, target);
    if (t->n_side_exits == RV_MAX_SIDE_EXITS)
        rv_leave_goto(t, t->next);
}

/* ---- Memory ------------------------------------------------------------------------------ */

static void load(struct rv_build *t, const struct rv_insn *i, enum ir_mem mem)
{
    ir_ref base = rv_get(t, i->rs1);

    rv_count_completed(t);
    rv_set(t, i->rd, ir_emit(t->b, IR_ld, (uint8_t)mem, base, IR_NONE, IR_NONE, (uint64_t)i->imm));
}

static void store(struct rv_build *t, const struct rv_insn *i, enum ir_mem mem)
{
    ir_ref base = rv_get(t, i->rs1);

    rv_count_completed(t);
    ir_emit(t->b, IR_st, (uint8_t)mem, base, rv_get(t, i->rs2), IR_NONE, (uint64_t)i->imm);
}

/* The sets of a fence: bit 0 writes, 1 reads, 2 device output, 3 device input. The
 * host keeps every order but that of a store before a later load; passes must know of all. */
static void fence(struct rv_build *t, const struct rv_insn *i)
{
    const unsigned writes = 1 | 4, reads = 2 | 8;
    unsigned before = (unsigned)bits_get((uint64_t)i->imm, 4, 4);
    unsigned after = (unsigned)bits_get((uint64_t)i->imm, 0, 4);
    bool full = (before & writes) && (after & reads);

    ir_emit(t->b, IR_fence, full, IR_NONE, IR_NONE, IR_NONE, 0);
}

/* All orders but store before load. */
static void fence_tso(struct rv_build *t, const struct rv_insn *i)
{
    (void)i;
    ir_emit(t->b, IR_fence, 0, IR_NONE, IR_NONE, IR_NONE, 0);
}

static void pause_hint(struct rv_build *t, const struct rv_insn *i)
{
    (void)i;
    rv_call(t, RV_HELP_pause, 0, IR_NONE, IR_NONE);
    rv_leave_paused(t);
}

/* Stores into code have dropped its blocks already; a new look-up is all it takes. */
static void fence_i(struct rv_build *t, const struct rv_insn *i)
{
    (void)i;
    rv_call(t, RV_HELP_fence_i, 0, IR_NONE, IR_NONE);
    rv_leave_resume(t);
}

#define RV(name, format, bits, needs, kind, builder)                                               \
    void rv_build_##name(struct rv_build *t, const struct rv_insn *i)                              \
    {                                                                                              \
        builder;                                                                                   \
    }
#include "frontend/riscv/isa/rv_i.def"
