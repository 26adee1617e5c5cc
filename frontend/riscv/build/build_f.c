/* F and D. A single-precision value in a register is NaN-boxed: its upper half is all
 * ones. Operands are unboxed (what is not boxed reads as the canonical NaN), results
 * are boxed; moves and stores pass the bits through. That floating point is enabled
 * and the rounding mode legal is known here: rv_block.c has looked. */
#include "frontend/riscv/build/rv_build.h"

static ir_ref get_raw(struct rv_build *t, unsigned r)
{
    return ir_emit(t->b, IR_getf, 0, IR_NONE, IR_NONE, IR_NONE, r);
}

static void set_raw(struct rv_build *t, unsigned r, ir_ref value)
{
    ir_emit(t->b, IR_setf, 0, value, IR_NONE, IR_NONE, r);
}

static ir_ref get_fp(struct rv_build *t, unsigned r, unsigned width)
{
    ir_ref raw = get_raw(t, r);

    return width == 32 ? ir_op1(t->b, IR_unbox32, raw) : raw;
}

static void set_fp(struct rv_build *t, unsigned r, unsigned width, ir_ref value)
{
    set_raw(t, r, width == 32 ? ir_op1(t->b, IR_box32, value) : value);
}

/* ---- Rounding ------------------------------------------------------------------------ */

/* As raw bits: what a helper takes and gives. */
static ir_ref as_int(struct rv_build *t, ir_ref x)
{
    if (ir_is_none(x) || ir_ops[t->b->insn[x.n].op].result == 'I')
        return x;
    return ir_op1(t->b, IR_f2i, x);
}

/* ir_help_fp() takes three operands always. */
static ir_ref some_int(struct rv_build *t, ir_ref x)
{
    return ir_is_none(x) ? ir_const(t->b, 0) : as_int(t, x);
}

static ir_ref through_helper(struct rv_build *t, enum ir_op op, uint8_t aux, ir_ref x, ir_ref y,
                             ir_ref z)
{
    ir_ref a = some_int(t, x), b = some_int(t, y), c = some_int(t, z);
    ir_ref bits = ir_emit(t->b, IR_call, 0, a, b, c, IR_CALL(IR_HELP_fp, op | aux << 8));

    return ir_ops[op].result == 'F' ? ir_op1(t->b, IR_i2f, bits) : bits;
}

/* An operation that rounds as the instruction says. The host has no mode for RMM:
 * while frm holds it, what is dynamic goes through C. */
static ir_ref rounded(struct rv_build *t, const struct rv_insn *i, enum ir_op op, unsigned width,
                      ir_ref x, ir_ref y, ir_ref z)
{
    uint8_t aux = IR_FP(width, i->rm);

    if (i->rm == IR_RM_DYN && (t->mode & RV_MODE_FRM_RMM))
        return through_helper(t, op, aux, x, y, z);
    return ir_emit(t->b, op, aux, x, y, z, 0);
}

/* An operation whose result no mode changes: the mode in force is as good as any,
 * and costs nothing. */
static ir_ref exact(struct rv_build *t, enum ir_op op, unsigned width, ir_ref x, ir_ref y)
{
    return ir_emit(t->b, op, IR_FP(width, IR_RM_DYN), x, y, IR_NONE, 0);
}

/* ---- Memory, moves ---------------------------------------------------------------------- */

static void fp_load(struct rv_build *t, const struct rv_insn *i, enum ir_mem mem)
{
    ir_ref base = rv_get(t, i->rs1);

    rv_count_completed(t);
    set_raw(t, i->rd,
            ir_emit(t->b, IR_ldf, (uint8_t)mem, base, IR_NONE, IR_NONE, (uint64_t)i->imm));
}

static void fp_store(struct rv_build *t, const struct rv_insn *i, enum ir_mem mem)
{
    ir_ref base = rv_get(t, i->rs1);

    rv_count_completed(t);
    ir_emit(t->b, IR_stf, (uint8_t)mem, base, get_raw(t, i->rs2), IR_NONE, (uint64_t)i->imm);
}

static void fp_move_to_int(struct rv_build *t, const struct rv_insn *i, unsigned width)
{
    ir_ref bits = ir_op1(t->b, IR_f2i, get_raw(t, i->rs1));

    rv_set(t, i->rd, width == 32 ? ir_op1(t->b, IR_sext32, bits) : bits);
}

static void fp_move_from_int(struct rv_build *t, const struct rv_insn *i, unsigned width)
{
    set_fp(t, i->rd, width, ir_op1(t->b, IR_i2f, rv_get(t, i->rs1)));
}

/* ---- Arithmetic --------------------------------------------------------------------------- */

static void fp_bin(struct rv_build *t, const struct rv_insn *i, unsigned width, enum ir_op op)
{
    ir_ref x = get_fp(t, i->rs1, width), y = get_fp(t, i->rs2, width);

    set_fp(t, i->rd, width, rounded(t, i, op, width, x, y, IR_NONE));
}

/* Sign injection, minimum and maximum. */
static void fp_bin_exact(struct rv_build *t, const struct rv_insn *i, unsigned width, enum ir_op op)
{
    ir_ref x = get_fp(t, i->rs1, width), y = get_fp(t, i->rs2, width);

    set_fp(t, i->rd, width, exact(t, op, width, x, y));
}

static void fp_sqrt(struct rv_build *t, const struct rv_insn *i, unsigned width)
{
    ir_ref x = get_fp(t, i->rs1, width);

    set_fp(t, i->rd, width, rounded(t, i, IR_fsqrt, width, x, IR_NONE, IR_NONE));
}

static ir_ref negated(struct rv_build *t, unsigned width, ir_ref x)
{
    return exact(t, IR_fsgnjn, width, x, x);
}

/* Plus or minus (rs1 times rs2), plus or minus rs3: signs are flipped before the one
 * rounding. Negating rs1 negates the product, whichever of them is a NaN or zero. */
static void fp_fma(struct rv_build *t, const struct rv_insn *i, unsigned width, bool negate_product,
                   bool negate_addend)
{
    ir_ref x = get_fp(t, i->rs1, width), y = get_fp(t, i->rs2, width);
    ir_ref z = get_fp(t, i->rs3, width);

    if (negate_product)
        x = negated(t, width, x);
    if (negate_addend)
        z = negated(t, width, z);
    set_fp(t, i->rd, width, rounded(t, i, IR_ffma, width, x, y, z));
}

/* ---- Comparison ------------------------------------------------------------------------------ */

static void fp_compare(struct rv_build *t, const struct rv_insn *i, unsigned width, enum ir_op op)
{
    ir_ref x = get_fp(t, i->rs1, width), y = get_fp(t, i->rs2, width);

    rv_set(t, i->rd, exact(t, op, width, x, y));
}

static void fp_class(struct rv_build *t, const struct rv_insn *i, unsigned width)
{
    rv_set(t, i->rd, exact(t, IR_fclass, width, get_fp(t, i->rs1, width), IR_NONE));
}

/* ---- Conversion --------------------------------------------------------------------------- */

static void fp_to_int(struct rv_build *t, const struct rv_insn *i, unsigned width, enum ir_op op)
{
    ir_ref x = get_fp(t, i->rs1, width);

    rv_set(t, i->rd, rounded(t, i, op, width, x, IR_NONE, IR_NONE));
}

static void fp_from_int(struct rv_build *t, const struct rv_insn *i, unsigned width, enum ir_op op)
{
    set_fp(t, i->rd, width, rounded(t, i, op, width, rv_get(t, i->rs1), IR_NONE, IR_NONE));
}

static void fp_from_int_exact(struct rv_build *t, const struct rv_insn *i, unsigned width,
                              enum ir_op op)
{
    set_fp(t, i->rd, width, exact(t, op, width, rv_get(t, i->rs1), IR_NONE));
}

static void fp_narrow(struct rv_build *t, const struct rv_insn *i)
{
    ir_ref x = get_fp(t, i->rs1, 64);

    set_fp(t, i->rd, 32, rounded(t, i, IR_f64to32, 64, x, IR_NONE, IR_NONE));
}

static void fp_widen(struct rv_build *t, const struct rv_insn *i)
{
    set_fp(t, i->rd, 64, exact(t, IR_f32to64, 32, get_fp(t, i->rs1, 32), IR_NONE));
}

#define RV(name, format, bits, needs, kind, builder)                                               \
    void rv_build_##name(struct rv_build *t, const struct rv_insn *i)                              \
    {                                                                                              \
        builder;                                                                                   \
    }
#include "frontend/riscv/isa/rv_d.def"
#include "frontend/riscv/isa/rv_f.def"
