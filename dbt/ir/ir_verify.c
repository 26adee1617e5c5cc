/* Checks what every later piece relies upon. Run on what front ends build and
 * between passes in debug builds, and on each block that comes from text. */
#include <inttypes.h>

#include "dbt/ir/ir_form.h"

/* One line for a person: which instruction, and what is wrong with it. */
static bool wrong(struct err *e, const struct ir_block *b, uint32_t n, const char *what)
{
    return err_set(e, "block 0x%" PRIx64 ", %%%u (%s): %s", b->gpa, n,
                   b->insn[n].op < IR_OP_COUNT ? ir_ops[b->insn[n].op].name : "?", what);
}

static bool verify_operands(const struct ir_block *b, uint32_t n, struct err *e)
{
    const struct ir_insn *i = &b->insn[n];
    const ir_ref refs[3] = {i->a, i->b, i->c};
    const char *want = ir_ops[i->op].operands;
    bool ended = false; /* no operand follows one that a call leaves out */

    for (unsigned k = 0; k < 3; k++) {
        char class = 'N';

        if (*want)
            class = *want++;

        if (class == 'N' || (class == 'i' && ir_is_none(refs[k]))) {
            ended = true;
            if (!ir_is_none(refs[k]))
                return wrong(e, b, n, "has an operand too many");
            continue;
        }
        if (ended)
            return wrong(e, b, n, "has an operand after one that is missing");
        if (refs[k].n >= n)
            return wrong(e, b, n, "uses a value that is not made yet");
        if (ir_ops[b->insn[refs[k].n].op].result != (class == 'i' ? 'I' : class))
            return wrong(e, b, n, "has an operand of the wrong class");
    }
    return true;
}

static bool fits_int32(uint64_t v)
{
    return v == (uint64_t)(int64_t)(int32_t)v;
}

static bool aux_ok(const struct ir_insn *i)
{
    switch (ir_aux_form((enum ir_op)i->op)) {
    case AUX_NONE: return i->aux == 0;
    case AUX_SHIFT: return i->aux >= 1 && i->aux <= 3;
    case AUX_FENCE: return i->aux <= 1;
    case AUX_LEN: return i->aux >= 1 && i->aux <= 16;
    case AUX_COND: return i->aux <= IR_GEU;
    case AUX_FAST:
        return i->aux == 0 ||
               (i->aux < 32 && ir_fast_what(i->aux) > 0 && ir_fast_what(i->aux) < IR_FAST_COUNT);
    case AUX_FLOW: return i->aux <= (i->op == IR_exit_jump ? IR_RETURN : IR_CALLS);
    case AUX_FP: return i->aux < 16 && ir_rm_words[ir_fp_rm(i->aux)];
    case AUX_MEM:
        if (i->op == IR_ldf || i->op == IR_stf)
            return i->aux == IR_U32 || i->aux == IR_64;
        if (i->aux & IR_JOINED)
            return i->aux > (IR_JOINED | IR_U8) && i->aux <= (IR_JOINED | IR_64);
        return i->aux <= (i->op == IR_st ? IR_64 : IR_S32);
    }
    return false;
}

/* The conversions between the two widths name the one they start from. */
static bool width_ok(const struct ir_insn *i)
{
    return (i->op != IR_f32to64 || ir_fp_width(i->aux) == 32) &&
           (i->op != IR_f64to32 || ir_fp_width(i->aux) == 64);
}

static bool imm_ok(const struct ir_insn *i)
{
    switch (ir_imm_form((enum ir_op)i->op)) {
    case IMM_REG:
    case IMM_FREG: return i->imm < 32;
    case IMM_NONE: return i->imm == 0;
    case IMM_CALL: return true;
    case IMM_OFFSET:
        if (i->op == IR_insn)
            return i->imm < PAGE_SIZE;
        return i->op == IR_pc || fits_int32(i->imm);
    case IMM_VALUE:
        /* The guest's registers have get and set: passes follow those only. */
        if (i->op == IR_ldst || i->op == IR_stst)
            return i->imm % 8 == 0 && i->imm >= 8 * STATE_N_REGS && i->imm < 1u << 24;
        return i->op != IR_count || fits_int32(i->imm);
    }
    return false;
}

/* What the IR's own helper `fp` is told to do is a row of ir.def with its aux. */
static bool fp_call_ok(uint32_t k)
{
    const struct ir_insn does = {.op = k & 0xff, .aux = (uint8_t)(k >> 8)};

    return k < 1u << 16 && does.op < IR_OP_COUNT && (ir_ops[does.op].flags & FPFLAGS) &&
           aux_ok(&does) && width_ok(&does);
}

static unsigned fast_operands(enum ir_fast what)
{
    return what == IR_LR || what == IR_ZERO ? 1 : 2;
}

static bool verify_call(const struct ir_block *b, uint32_t n, struct err *e)
{
    const struct ir_insn *i = &b->insn[n];
    unsigned have = !ir_is_none(i->a) + !ir_is_none(i->b) + !ir_is_none(i->c);

    if (ir_call_id(i->imm) >= STATE_N_HELPERS || (b->helpers && ir_call_id(i->imm) >= b->n_helpers))
        return wrong(e, b, n, "calls a helper that does not exist");
    if (b->helpers && b->helpers[ir_call_id(i->imm)].n_args != have)
        return wrong(e, b, n, "gives a helper the wrong number of operands");
    if (i->aux && have != fast_operands(ir_fast_what(i->aux)))
        return wrong(e, b, n, "an atomic has an address, and a value to put there");
    if (ir_call_id(i->imm) == IR_HELP_fp && !fp_call_ok(ir_call_k(i->imm)))
        return wrong(e, b, n, "asks for an operation that is not one with flags");
    return true;
}

static bool verify_insn(const struct ir_block *b, uint32_t n, struct err *e)
{
    const struct ir_insn *i = &b->insn[n];

    if (i->op >= IR_OP_COUNT)
        return wrong(e, b, n, "is no operation");
    if (!verify_operands(b, n, e))
        return false;
    if (!aux_ok(i) || !width_ok(i))
        return wrong(e, b, n, "has a wrong aux");
    if (!imm_ok(i))
        return wrong(e, b, n, "has an immediate out of range");
    if (ir_aux_form((enum ir_op)i->op) == AUX_FLOW &&
        (i->aux == IR_CALLS) == ir_is_none(i->op == IR_exit_goto ? i->a : i->b))
        return wrong(e, b, n, "a call, and nothing else, has an address to return to");
    if (i->op == IR_call && !verify_call(b, n, e))
        return false;
    if (((ir_ops[i->op].flags & EXIT) != 0) != (n == b->n - 1))
        return wrong(e, b, n, "a block ends in its one exit");
    return true;
}

bool ir_verify(const struct ir_block *b, struct err *e)
{
    if (b->n == 0 || b->n > IR_MAX_INSNS)
        return err_set(e, "block 0x%" PRIx64 ": %u instructions", b->gpa, b->n);
    if (b->start != (b->gpa & (PAGE_SIZE - 1)))
        return err_set(e, "block 0x%" PRIx64 ": start 0x%x is not its place in the page", b->gpa,
                       b->start);
    if (b->insn[0].op != IR_insn)
        return wrong(e, b, 0, "a block begins with insn");
    for (uint32_t n = 0; n < b->n; n++) {
        if (!verify_insn(b, n, e))
            return false;
    }
    return true;
}
