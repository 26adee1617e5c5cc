/* The integer rules of the fold pass. Each looks for one shape and gives a
 * shorter one; what is left goes to the builder, which knows constants and the
 * identities that need no look behind an operand. */
#include "dbt/opt/opt_fold.h"

static ir_ref emit1(struct opt_fold *f, enum ir_op op, ir_ref x)
{
    return ir_emit(f->b, op, 0, x, IR_NONE, IR_NONE, 0);
}

static ir_ref emit2(struct opt_fold *f, enum ir_op op, ir_ref x, ir_ref y)
{
    return ir_emit(f->b, op, 0, x, y, IR_NONE, 0);
}

/* op(x, c). The constant that the old instruction had serves again when it can. */
static ir_ref emit2c(struct opt_fold *f, enum ir_op op, ir_ref x, uint64_t c)
{
    uint64_t old;

    if (ir_is_const(f->b, f->right, &old) && old == c)
        return emit2(f, op, x, f->right);
    return emit2(f, op, x, ir_const(f->b, c));
}

static bool is_signed(enum ir_op op)
{
    return op == IR_sext8 || op == IR_sext16 || op == IR_sext32;
}

ir_ref opt_low_bits(const struct opt_fold *f, ir_ref r, unsigned n)
{
    for (;;) {
        const struct ir_insn *i = &f->b->insn[r.n];
        uint64_t c;

        if (f->held[r.n])
            return r;
        if (extension((enum ir_op)i->op) < n &&
            (i->op != IR_and || !ir_is_const(f->b, i->b, &c) || (~c & low_mask(n)) != 0))
            return r;
        r = i->a;
    }
}

/* ---- Extensions and shifts -------------------------------------------------- */

ir_ref opt_fold_unary(struct opt_fold *f, enum ir_op op, ir_ref x)
{
    unsigned n = extension(op);

    if (n == 0)
        return emit1(f, op, x);
    if (is_signed(op) ? opt_known(f, x).sign <= n : opt_known(f, x).width <= n)
        return x;
    return emit1(f, op, opt_low_bits(f, x, n));
}

/* shl by k and back by k leaves the low 64 - k bits, extended. */
static bool shifts_to_extension(enum ir_op op, uint64_t k, enum ir_op *out)
{
    switch (k) {
    case 32: *out = op == IR_shr ? IR_zext32 : IR_sext32; return true;
    case 48: *out = op == IR_shr ? IR_zext16 : IR_sext16; return true;
    case 56: *out = op == IR_shr ? IR_zext8 : IR_sext8; return true;
    default: return false;
    }
}

/* op(op(x, a), b), all amounts below 64. */
static ir_ref two_shifts(struct opt_fold *f, enum ir_op op, ir_ref x, uint64_t sum)
{
    if (op == IR_rotr)
        return emit2c(f, op, x, sum & 63);
    if (sum < 64)
        return emit2c(f, op, x, sum);
    return op == IR_sar ? emit2c(f, op, x, 63) : ir_const(f->b, 0);
}

static ir_ref shift_by(struct opt_fold *f, enum ir_op op, ir_ref x, uint64_t k);

/* op(value, constant), held or not: for idioms that pay all the same. */
static bool is_by(const struct opt_fold *f, ir_ref r, enum ir_op op, ir_ref *from, uint64_t *k)
{
    const struct ir_insn *i = &f->b->insn[r.n];

    if (i->op != op || !ir_is_const(f->b, i->b, k))
        return false;
    *from = i->a;
    return true;
}

/* slli, and srli or srai: an extension, and a shift by the difference. An index that is
 * scaled so joins the addition behind it, which pays even when the slli is held. */
static ir_ref up_and_down(struct opt_fold *f, enum ir_op op, ir_ref x, uint64_t k)
{
    enum ir_op extend;
    uint64_t up;
    ir_ref from;

    if ((op != IR_shr && op != IR_sar) || !is_by(f, x, IR_shl, &from, &up))
        return IR_NONE;
    up &= 63;
    bool is_index = up > k && up - k <= 3;

    if ((f->held[x.n] && !is_index) || !shifts_to_extension(op, up, &extend))
        return IR_NONE;
    x = opt_fold_unary(f, extend, from);
    return up > k ? shift_by(f, IR_shl, x, up - k) : shift_by(f, op, x, k - up);
}

static ir_ref shift_by(struct opt_fold *f, enum ir_op op, ir_ref x, uint64_t k)
{
    const struct ir_insn *i;
    uint64_t inner;
    ir_ref from, r;

    if (k == 0)
        return x;
    if (op == IR_shr && opt_known(f, x).width <= k)
        return ir_const(f->b, 0);
    if (opt_inner_const(f, x, op, &from, &inner))
        return two_shifts(f, op, from, (inner & 63) + k);
    if (op == IR_shr && opt_inner_const(f, x, IR_shr32, &from, &inner))
        return emit2c(f, IR_shr32, from, (inner & 31) + k); /* less than 32: of known width */
    if (op == IR_shr && (i = opt_inner(f, x, IR_zext32)) != NULL)
        return emit2c(f, IR_shr32, opt_low_bits(f, i->a, 32), k);
    r = up_and_down(f, op, x, k);
    if (!ir_is_none(r))
        return r;
    if (op == IR_shl)
        x = opt_low_bits(f, x, 64 - (unsigned)k);
    return emit2c(f, op, x, k);
}

static ir_ref fold_shift(struct opt_fold *f, enum ir_op op, ir_ref x, ir_ref y)
{
    const struct ir_insn *i;
    uint64_t k;
    ir_ref from;

    if (ir_is_const(f->b, y, &k))
        return shift_by(f, op, x, k & 63);
    if (op == IR_shr && (i = opt_inner(f, x, IR_zext32)) != NULL &&
        opt_inner_const(f, y, IR_and, &from, &k) && k == 31)
        return emit2(f, IR_shr32, opt_low_bits(f, i->a, 32), from); /* srlw */
    return emit2(f, op, x, opt_low_bits(f, y, 6)); /* the operation masks by itself */
}

/* ---- Sums and masks ----------------------------------------------------------- */

static ir_ref add_constant(struct opt_fold *f, ir_ref x, uint64_t c)
{
    const struct ir_insn *pc = &f->b->insn[x.n];
    uint64_t inner;
    ir_ref from;

    /* pc costs nothing to make again, held or not. */
    if (pc->op == IR_pc && opt_fits_int32(pc->imm + c))
        return ir_emit(f->b, IR_pc, 0, IR_NONE, IR_NONE, IR_NONE, pc->imm + c);
    if (opt_inner_const(f, x, IR_add, &from, &inner))
        return emit2c(f, IR_add, from, inner + c);
    return emit2c(f, IR_add, x, c);
}

/* x + (y << 1..3) is one instruction on hosts with scaled addressing. */
static bool scaled(const struct opt_fold *f, ir_ref r, ir_ref *from, uint64_t *k)
{
    return opt_inner_const(f, r, IR_shl, from, k) && *k >= 1 && *k <= 3;
}

static ir_ref fold_add(struct opt_fold *f, ir_ref x, ir_ref y)
{
    uint64_t c;
    ir_ref from;

    if (ir_is_const(f->b, y, &c))
        return add_constant(f, x, c);
    if (scaled(f, y, &from, &c))
        return ir_emit(f->b, IR_addsh, (uint8_t)c, x, from, IR_NONE, 0);
    if (scaled(f, x, &from, &c))
        return ir_emit(f->b, IR_addsh, (uint8_t)c, y, from, IR_NONE, 0);
    return emit2(f, IR_add, x, y);
}

static ir_ref and_constant(struct opt_fold *f, ir_ref x, uint64_t c)
{
    const struct ir_insn *pc = &f->b->insn[x.n];
    uint64_t inner;
    ir_ref from;

    if ((~c & low_mask(opt_known(f, x).width)) == 0)
        return x;
    /* page_va ends in twelve zeros, so that only the offset is masked. */
    if (pc->op == IR_pc && ~c < PAGE_SIZE)
        return ir_emit(f->b, IR_pc, 0, IR_NONE, IR_NONE, IR_NONE, pc->imm & c);
    if (opt_inner_const(f, x, IR_and, &from, &inner))
        return and_constant(f, from, inner & c);
    if (c != 0 && (int64_t)c > 0)
        x = opt_low_bits(f, x, 64 - (unsigned)__builtin_clzll(c));
    return emit2c(f, IR_and, x, c);
}

/* The bits of extended values are extended: of a and b instead, and the result is extended,
 * so that one extension is left of a row of them. IR_NONE when that is not so. */
static ir_ref bits_of_extended(struct opt_fold *f, enum ir_op op, ir_ref x, ir_ref y)
{
    const struct ir_insn *i = &f->b->insn[x.n], *j = &f->b->insn[y.n];
    enum ir_op extend = (enum ir_op)i->op;
    unsigned n = extension(extend);
    ir_ref other = y;

    if (n == 0 || f->held[x.n])
        return IR_NONE;
    if (j->op == extend && !f->held[y.n])
        other = j->a;
    else if (is_signed(extend) ? opt_known(f, y).sign > n : opt_known(f, y).width > n)
        return IR_NONE;
    return emit1(f, extend, opt_fold_binary(f, op, 0, i->a, other));
}

/* and, or, xor of two values that are no constants. */
static ir_ref fold_bits(struct opt_fold *f, enum ir_op op, ir_ref x, ir_ref y)
{
    ir_ref r = bits_of_extended(f, op, x, y);

    if (ir_is_none(r))
        r = bits_of_extended(f, op, y, x);
    return ir_is_none(r) ? emit2(f, op, x, y) : r;
}

static ir_ref fold_and(struct opt_fold *f, ir_ref x, ir_ref y)
{
    uint64_t c;
    ir_ref from;

    if (ir_is_const(f->b, y, &c))
        return and_constant(f, x, c);
    if (opt_inner_const(f, y, IR_xor, &from, &c) && c == UINT64_MAX)
        return emit2(f, IR_andn, x, from);
    if (opt_inner_const(f, x, IR_xor, &from, &c) && c == UINT64_MAX)
        return emit2(f, IR_andn, y, from);
    return fold_bits(f, IR_and, x, y);
}

/* ---- Comparisons ----------------------------------------------------------------- */

/* The opposite of a 0-or-1 value. */
static ir_ref negate_bool(struct opt_fold *f, ir_ref x)
{
    const struct ir_insn *i;

    if ((i = opt_inner(f, x, IR_eq)) != NULL)
        return emit2(f, IR_ne, i->a, i->b);
    if ((i = opt_inner(f, x, IR_ne)) != NULL)
        return emit2(f, IR_eq, i->a, i->b);
    return emit2c(f, IR_xor, x, 1);
}

/* op is eq or ne. */
static ir_ref equal_constant(struct opt_fold *f, enum ir_op op, ir_ref x, uint64_t c)
{
    const struct ir_insn *i;
    uint64_t inner;
    ir_ref from;

    if (opt_is_bool(f, x) && c <= 1)
        return (op == IR_eq) == (c == 1) ? x : negate_bool(f, x);
    if ((c & ~low_mask(opt_known(f, x).width)) != 0)
        return ir_const(f->b, op == IR_ne);
    if (c == 0 && ((i = opt_inner(f, x, IR_sub)) || (i = opt_inner(f, x, IR_xor))))
        return emit2(f, op, i->a, i->b);
    if (opt_inner_const(f, x, IR_add, &from, &inner))
        return emit2c(f, op, from, c - inner);
    if (opt_inner_const(f, x, IR_xor, &from, &inner))
        return emit2c(f, op, from, c ^ inner);
    return emit2c(f, op, x, c);
}

static ir_ref fold_equal(struct opt_fold *f, enum ir_op op, ir_ref x, ir_ref y)
{
    uint64_t c;

    if (ir_is_const(f->b, y, &c))
        return equal_constant(f, op, x, c);
    return emit2(f, op, x, y);
}

/* 0 < x and x < 1, the manual's snez and seqz. */
static ir_ref fold_ltu(struct opt_fold *f, ir_ref x, ir_ref y)
{
    uint64_t c;

    if (ir_is_const(f->b, x, &c) && c == 0)
        return equal_constant(f, IR_ne, y, 0);
    if (ir_is_const(f->b, y, &c) && c == 1)
        return equal_constant(f, IR_eq, x, 0);
    return emit2(f, IR_ltu, x, y);
}

/* ---- The rest ----------------------------------------------------------------------- */

static ir_ref fold_xor(struct opt_fold *f, ir_ref x, ir_ref y)
{
    uint64_t c, inner;
    ir_ref from;

    if (!ir_is_const(f->b, y, &c))
        return fold_bits(f, IR_xor, x, y);
    if (c == 1 && opt_is_bool(f, x))
        return negate_bool(f, x);
    if (opt_inner_const(f, x, IR_xor, &from, &inner))
        return emit2c(f, IR_xor, from, inner ^ c);
    return emit2c(f, IR_xor, x, c);
}

static ir_ref behind(const struct opt_fold *f, ir_ref r, enum ir_op op)
{
    const struct ir_insn *i = &f->b->insn[r.n];

    return i->op == op ? i->a : r;
}

/* srliw, as what it was built or as what became of it. */
static bool is_shifted_word(const struct opt_fold *f, ir_ref r, ir_ref *from, uint64_t *k)
{
    if (is_by(f, r, IR_shr32, from, k))
        return *k != 0;
    if (!is_by(f, r, IR_shr, from, k) || *k == 0 || f->b->insn[from->n].op != IR_zext32)
        return false;
    *from = f->b->insn[from->n].a;
    return true;
}

/* A rotation in the base instruction set: slli and srli, or slliw and srliw, of the same
 * value by amounts that add up to the width. IR_NONE when it is none. */
static ir_ref rotation(struct opt_fold *f, ir_ref left, ir_ref right)
{
    uint64_t k, back;
    ir_ref x, z;

    if (is_by(f, right, IR_shr, &z, &back) && back != 0 && is_by(f, left, IR_shl, &x, &k) &&
        x.n == z.n && k + back == 64)
        return emit2(f, IR_rotr, x, f->b->insn[right.n].b);
    if (f->b->insn[left.n].op != IR_sext32 || !is_shifted_word(f, right, &z, &back) ||
        !is_by(f, f->b->insn[left.n].a, IR_shl, &x, &k) || k + back != 32)
        return IR_NONE;
    if (x.n != z.n && behind(f, x, IR_sext32).n != z.n)
        return IR_NONE;
    return emit1(f, IR_sext32, emit2(f, IR_rotr32, z, f->b->insn[right.n].b));
}

/* The two halves share no bit, so that or, xor and add are one. */
static ir_ref fold_rotation(struct opt_fold *f, ir_ref x, ir_ref y)
{
    ir_ref r = rotation(f, x, y);

    return ir_is_none(r) ? rotation(f, y, x) : r;
}

static ir_ref fold_or(struct opt_fold *f, ir_ref x, ir_ref y)
{
    uint64_t c, inner;
    ir_ref from;

    if (!ir_is_const(f->b, y, &c)) {
        ir_ref r = fold_rotation(f, x, y);

        return ir_is_none(r) ? fold_bits(f, IR_or, x, y) : r;
    }
    if (ir_is_const(f->b, y, &c) && opt_inner_const(f, x, IR_or, &from, &inner))
        return emit2c(f, IR_or, from, inner | c);
    return emit2(f, IR_or, x, y);
}

ir_ref opt_fold_binary(struct opt_fold *f, enum ir_op op, uint8_t aux, ir_ref x, ir_ref y)
{
    bool x_const = f->b->insn[x.n].op == IR_const, y_const = f->b->insn[y.n].op == IR_const;

    if (x_const && y_const)
        return ir_emit(f->b, op, aux, x, y, IR_NONE, 0);
    if (x_const && (ir_ops[op].flags & COMM)) {
        ir_ref swap = x;

        x = y;
        y = swap;
        y_const = true;
    }
    f->right = y;
    switch (op) {
    case IR_add: return fold_add(f, x, y);
    case IR_sub: return y_const ? add_constant(f, x, -f->b->insn[y.n].imm) : emit2(f, op, x, y);
    case IR_and: return fold_and(f, x, y);
    case IR_or: return fold_or(f, x, y);
    case IR_xor: return fold_xor(f, x, y);
    case IR_shl:
    case IR_shr:
    case IR_sar:
    case IR_rotr: return fold_shift(f, op, x, y);
    case IR_rotr32:
    case IR_shr32: return emit2(f, op, opt_low_bits(f, x, 32), opt_low_bits(f, y, 5));
    case IR_eq:
    case IR_ne: return fold_equal(f, op, x, y);
    case IR_ltu: return fold_ltu(f, x, y);
    default: return ir_emit(f->b, op, aux, x, y, IR_NONE, 0);
    }
}

ir_ref opt_fold_select(struct opt_fold *f, ir_ref c, ir_ref x, ir_ref y)
{
    const struct ir_insn *i;
    uint64_t k, one, zero;

    if ((i = opt_inner(f, c, IR_ne)) && ir_is_const(f->b, i->b, &k) && k == 0)
        return opt_fold_select(f, i->a, x, y);
    if ((i = opt_inner(f, c, IR_eq)) && ir_is_const(f->b, i->b, &k) && k == 0)
        return opt_fold_select(f, i->a, y, x);
    if (opt_is_bool(f, c) && ir_is_const(f->b, x, &one) && ir_is_const(f->b, y, &zero) &&
        one == 1 && zero == 0)
        return c;
    return ir_emit(f->b, IR_select, 0, c, x, y, 0);
}
