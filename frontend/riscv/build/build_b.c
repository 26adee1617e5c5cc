/* Zba, Zbb, Zbs and Zicond: bits. */
#include "frontend/riscv/build/rv_build.h"

/* ---- Zba -------------------------------------------------------------------------- */

static ir_ref add_shifted(struct rv_build *t, ir_ref base, ir_ref index, unsigned shift)
{
    if (shift == 0)
        return ir_op2(t->b, IR_add, base, index);
    return ir_emit(t->b, IR_addsh, (uint8_t)shift, base, index, IR_NONE, 0);
}

static void shadd(struct rv_build *t, const struct rv_insn *i, unsigned shift)
{
    ir_ref index = rv_get(t, i->rs1);

    rv_set(t, i->rd, add_shifted(t, rv_get(t, i->rs2), index, shift));
}

static void add_uw(struct rv_build *t, const struct rv_insn *i, unsigned shift)
{
    ir_ref index = ir_op1(t->b, IR_zext32, rv_get(t, i->rs1));

    rv_set(t, i->rd, add_shifted(t, rv_get(t, i->rs2), index, shift));
}

static void slli_uw(struct rv_build *t, const struct rv_insn *i)
{
    ir_ref value = ir_op1(t->b, IR_zext32, rv_get(t, i->rs1));

    rv_set(t, i->rd, ir_op2(t->b, IR_shl, value, rv_imm(t, i)));
}

/* ---- Zbb -------------------------------------------------------------------------- */

static ir_ref invert(struct rv_build *t, ir_ref x)
{
    return ir_op2(t->b, IR_xor, x, ir_const(t->b, UINT64_MAX));
}

static void orn(struct rv_build *t, const struct rv_insn *i)
{
    ir_ref x = rv_get(t, i->rs1);

    rv_set(t, i->rd, ir_op2(t->b, IR_or, x, invert(t, rv_get(t, i->rs2))));
}

static void xnor(struct rv_build *t, const struct rv_insn *i)
{
    ir_ref x = rv_get(t, i->rs1);

    rv_set(t, i->rd, invert(t, ir_op2(t->b, IR_xor, x, rv_get(t, i->rs2))));
}

/* The 32 zeroes that extension adds in front are not counted. */
static void clzw(struct rv_build *t, const struct rv_insn *i)
{
    ir_ref n = ir_op1(t->b, IR_clz, ir_op1(t->b, IR_zext32, rv_get(t, i->rs1)));

    rv_set(t, i->rd, ir_op2(t->b, IR_sub, n, ir_const(t->b, 32)));
}

/* A one behind the word's end stops the count at 32. */
static void ctzw(struct rv_build *t, const struct rv_insn *i)
{
    ir_ref x = ir_op2(t->b, IR_or, rv_get(t, i->rs1), ir_const(t->b, bit(32)));

    rv_set(t, i->rd, ir_op1(t->b, IR_ctz, x));
}

static void cpopw(struct rv_build *t, const struct rv_insn *i)
{
    rv_set(t, i->rd, ir_op1(t->b, IR_popcnt, ir_op1(t->b, IR_zext32, rv_get(t, i->rs1))));
}

/* The larger or the smaller in the order that `less` gives. */
static void pick(struct rv_build *t, const struct rv_insn *i, enum ir_op less, bool larger)
{
    ir_ref x = rv_get(t, i->rs1), y = rv_get(t, i->rs2);
    ir_ref x_less = ir_op2(t->b, less, x, y);

    rv_set(t, i->rd, larger ? rv_select(t, x_less, y, x) : rv_select(t, x_less, x, y));
}

/* To the left by n is to the right by -n, of which the low bits count. */
static ir_ref opposite(struct rv_build *t, ir_ref n)
{
    return ir_op2(t->b, IR_sub, ir_const(t->b, 0), n);
}

static void rol(struct rv_build *t, const struct rv_insn *i)
{
    ir_ref x = rv_get(t, i->rs1);

    rv_set(t, i->rd, ir_op2(t->b, IR_rotr, x, opposite(t, rv_get(t, i->rs2))));
}

static void rolw(struct rv_build *t, const struct rv_insn *i)
{
    ir_ref x = rv_get(t, i->rs1);

    rv_set_w(t, i->rd, ir_op2(t->b, IR_rotr32, x, opposite(t, rv_get(t, i->rs2))));
}

/* ---- Zbs -------------------------------------------------------------------------- */

/* rd = op(rs1, a word that has bit n alone) */
static void with_bit(struct rv_build *t, const struct rv_insn *i, enum ir_op op, ir_ref n)
{
    ir_ref one = ir_op2(t->b, IR_shl, ir_const(t->b, 1), n);

    rv_set(t, i->rd, ir_op2(t->b, op, rv_get(t, i->rs1), one));
}

static void bit_r(struct rv_build *t, const struct rv_insn *i, enum ir_op op)
{
    with_bit(t, i, op, rv_get(t, i->rs2));
}

static void bit_i(struct rv_build *t, const struct rv_insn *i, enum ir_op op)
{
    with_bit(t, i, op, rv_imm(t, i));
}

static void bext(struct rv_build *t, const struct rv_insn *i, ir_ref n)
{
    ir_ref x = ir_op2(t->b, IR_shr, rv_get(t, i->rs1), n);

    rv_set(t, i->rd, ir_op2(t->b, IR_and, x, ir_const(t->b, 1)));
}

/* ---- Zicond ----------------------------------------------------------------------- */

static void czero_eqz(struct rv_build *t, const struct rv_insn *i)
{
    ir_ref x = rv_get(t, i->rs1), cond = rv_get(t, i->rs2);

    rv_set(t, i->rd, rv_select(t, cond, x, ir_const(t->b, 0)));
}

static void czero_nez(struct rv_build *t, const struct rv_insn *i)
{
    ir_ref x = rv_get(t, i->rs1), cond = rv_get(t, i->rs2);

    rv_set(t, i->rd, rv_select(t, cond, ir_const(t->b, 0), x));
}

#define RV(name, format, bits, needs, kind, builder)                                               \
    void rv_build_##name(struct rv_build *t, const struct rv_insn *i)                              \
    {                                                                                              \
        builder;                                                                                   \
    }
#include "frontend/riscv/isa/rv_zba.def"
#include "frontend/riscv/isa/rv_zbb.def"
#include "frontend/riscv/isa/rv_zbs.def"
#include "frontend/riscv/isa/rv_zicond.def"
