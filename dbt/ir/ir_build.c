/* Building: appends instructions, and simplifies the pure ones as they come, so
 * that what a front end builds naively (add of x0, a shift by a constant, a mask
 * that masks nothing) costs no later pass anything. Looks at the operands of the
 * new instruction and no further; opt/fold.c looks deeper. */
#include "dbt/ir/ir.h"

static ir_ref append(struct ir_block *b, enum ir_op op, uint8_t aux, ir_ref x, ir_ref y, ir_ref z,
                     uint64_t imm)
{
    uint32_t n = b->n;

    CHECK(n < IR_MAX_INSNS && "a builder adds at most 48 for a guest instruction");
    b->insn[n] = (struct ir_insn){(uint8_t)op, aux, x, y, z, imm};
    b->n = n + 1;
    return (ir_ref){(uint16_t)n};
}

ir_ref ir_const(struct ir_block *b, uint64_t value)
{
    return append(b, IR_const, 0, IR_NONE, IR_NONE, IR_NONE, value);
}

static ir_ref binary(struct ir_block *b, enum ir_op op, uint8_t aux, ir_ref x, ir_ref y)
{
    return append(b, op, aux, x, y, IR_NONE, 0);
}

static bool same(ir_ref x, ir_ref y)
{
    return x.n == y.n;
}

static bool is_op(const struct ir_block *b, ir_ref r, enum ir_op op)
{
    return b->insn[r.n].op == op;
}

/* op(x, c), c constant, y the instruction that made it. */
static ir_ref binary_const(struct ir_block *b, enum ir_op op, uint8_t aux, ir_ref x, ir_ref y,
                           uint64_t c)
{
    switch (op) {
    case IR_add:
    case IR_or:
    case IR_xor:
    case IR_addsh:
        if (c == 0)
            return x;
        if (op == IR_or && c == UINT64_MAX)
            return y;
        break;
    case IR_sub: return c == 0 ? x : binary(b, IR_add, 0, x, ir_const(b, -c));
    case IR_and:
        if (c == 0 || c == UINT64_MAX)
            return c ? x : y;
        if (c == 0xff || c == 0xffff || c == 0xffffffff)
            return append(b,
                          c == 0xff     ? IR_zext8
                          : c == 0xffff ? IR_zext16
                                        : IR_zext32,
                          0, x, IR_NONE, IR_NONE, 0);
        break;
    case IR_andn: return ir_emit(b, IR_and, 0, x, ir_const(b, ~c), IR_NONE, 0);
    case IR_shl:
    case IR_shr:
    case IR_sar:
    case IR_rotr:
        if ((c & 63) == 0)
            return x;
        break;
    case IR_mul:
        if (c <= 1)
            return c ? x : y;
        if ((c & (c - 1)) == 0)
            return binary(b, IR_shl, 0, x, ir_const(b, (uint64_t)__builtin_ctzll(c)));
        break;
    case IR_divu:
        if (c != 0 && (c & (c - 1)) == 0)
            return ir_emit(b, IR_shr, 0, x, ir_const(b, (uint64_t)__builtin_ctzll(c)), IR_NONE, 0);
        break;
    case IR_remu:
        if (c == 0)
            return x;
        if ((c & (c - 1)) == 0)
            return ir_emit(b, IR_and, 0, x, ir_const(b, c - 1), IR_NONE, 0);
        break;
    case IR_ltu:
        if (c == 0)
            return y; /* nothing is below 0, and y is 0 */
        if (c == 1)
            return binary(b, IR_eq, 0, x, ir_const(b, 0));
        break;
    default: break;
    }
    return binary(b, op, aux, x, y);
}

/* op(c, y), c constant, x the instruction that made it; op does not commute. */
static ir_ref const_binary(struct ir_block *b, enum ir_op op, uint8_t aux, ir_ref x, ir_ref y,
                           uint64_t c)
{
    switch (op) {
    case IR_shl:
    case IR_shr:
    case IR_andn:
        if (c == 0)
            return x;
        if (op == IR_andn && c == UINT64_MAX)
            return binary(b, IR_xor, 0, y, x);
        break;
    case IR_sar:
    case IR_rotr:
        if (c == 0 || c == UINT64_MAX)
            return x;
        break;
    case IR_ltu:
        if (c == 0)
            return binary(b, IR_ne, 0, y, x);
        if (c == UINT64_MAX)
            return ir_const(b, 0);
        break;
    case IR_addsh:
        return c ? binary(b, op, aux, x, y) : binary(b, IR_shl, 0, y, ir_const(b, aux & 3));
    default: break;
    }
    return binary(b, op, aux, x, y);
}

/* Both operands are the same value. */
static ir_ref binary_same(struct ir_block *b, enum ir_op op, uint8_t aux, ir_ref x)
{
    switch (op) {
    case IR_and:
    case IR_or: return x;
    case IR_sub:
    case IR_xor:
    case IR_andn:
    case IR_ne:
    case IR_lt:
    case IR_ltu: return ir_const(b, 0);
    case IR_eq: return ir_const(b, 1);
    case IR_fsgnj: /* a register move */ return x;
    default: return binary(b, op, aux, x, x);
    }
}

static ir_ref build_binary(struct ir_block *b, enum ir_op op, uint8_t aux, ir_ref x, ir_ref y)
{
    uint64_t cx, cy;
    bool x_const = ir_is_const(b, x, &cx), y_const = ir_is_const(b, y, &cy);

    if (y_const) {
        if (x_const)
            return ir_const(b, ir_eval_pure(op, aux, cx, cy, 0, 0));
        return binary_const(b, op, aux, x, y, cy);
    }
    if (x_const) {
        if (ir_ops[op].flags & COMM)
            return binary_const(b, op, aux, y, x, cx);
        return const_binary(b, op, aux, x, y, cx);
    }
    if (same(x, y))
        return binary_same(b, op, aux, x);
    return binary(b, op, aux, x, y);
}

static ir_ref build_unary(struct ir_block *b, enum ir_op op, uint8_t aux, ir_ref x)
{
    const struct ir_insn *i = &b->insn[x.n];

    /* A constant of class F is i2f of a constant: there is nothing to gain. */
    if (i->op == IR_const && op != IR_i2f)
        return ir_const(b, ir_eval_pure(op, aux, i->imm, 0, 0, 0));
    switch (op) {
    case IR_f2i:
        if (i->op == IR_i2f)
            return i->a;
        break;
    case IR_i2f:
        if (i->op == IR_f2i)
            return i->a;
        break;
    case IR_sext8:
    case IR_sext16:
    case IR_sext32:
    case IR_zext8:
    case IR_zext16:
    case IR_zext32:
    case IR_orcb:
        if (i->op == op)
            return x;
        break;
    case IR_bswap:
        if (i->op == op)
            return i->a;
        break;
    case IR_box32:
    case IR_unbox32: /* both give a boxed value, of which both give the same */
        if (is_op(b, x, IR_box32) || is_op(b, x, IR_unbox32) ||
            (i->op == IR_ldf && i->aux == IR_U32))
            return x;
        break;
    default: break;
    }
    return append(b, op, aux, x, IR_NONE, IR_NONE, 0);
}

static ir_ref build_select(struct ir_block *b, ir_ref x, ir_ref y, ir_ref z)
{
    uint64_t c;

    if (ir_is_const(b, x, &c))
        return c ? y : z;
    if (same(y, z))
        return y;
    return append(b, IR_select, 0, x, y, z, 0);
}

ir_ref ir_emit(struct ir_block *b, enum ir_op op, uint8_t aux, ir_ref x, ir_ref y, ir_ref z,
               uint64_t imm)
{
    if (!(ir_ops[op].flags & PURE) || op == IR_const)
        return append(b, op, aux, x, y, z, imm);
    if (ir_is_none(y))
        return build_unary(b, op, aux, x);
    if (ir_is_none(z))
        return build_binary(b, op, aux, x, y);
    return build_select(b, x, y, z);
}
