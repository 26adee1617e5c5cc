/* Inside the fold pass. Private to opt_fold*.c and opt_known.c. */
#pragma once

#include "dbt/opt/opt_int.h"

/* What is certain of a value: it is below 2^width, and equal to its low `sign`
 * bits sign-extended. 64 and 64: nothing is known. sign 0: nobody has asked yet. */
struct opt_known {
    uint8_t width, sign;
};

/* The block is rebuilt from `old` through the builder, which folds what it sees;
 * the rules here see through one or two values more. */
struct opt_fold {
    struct ir_block *b; /* the new one */
    uint32_t n_old;
    ir_ref right;                         /* operand b of the binary operation at hand */
    bool held[IR_MAX_INSNS + 1];          /* by new index: a register or the state has the value */
    struct opt_known known[IR_MAX_INSNS]; /* opt_known() fills what it is asked for */
    struct opt_map map;
    struct ir_insn old[IR_MAX_INSNS];
};

/* Nothing is known of the first n values. */
void opt_known_clear(struct opt_fold *f, uint32_t n);
/* Most values are never asked about. */
struct opt_known opt_find_known(struct opt_fold *f, ir_ref r);
static inline struct opt_known opt_known(struct opt_fold *f, ir_ref r)
{
    return f->known[r.n].sign ? f->known[r.n] : opt_find_known(f, r);
}

/* ---- Reaching through values ------------------------------------------------ */

/* The instruction behind r when it is `op` and it pays to reach through it. It
 * does not when the value is held by a register anyway: the operand behind it
 * would live longer, often in a register that was just given up, for nothing. */
static inline const struct ir_insn *opt_inner(const struct opt_fold *f, ir_ref r, enum ir_op op)
{
    const struct ir_insn *i = &f->b->insn[r.n];

    return i->op == op && !f->held[r.n] ? i : NULL;
}

/* The same for op(x, constant). */
static inline bool opt_inner_const(const struct opt_fold *f, ir_ref r, enum ir_op op, ir_ref *x,
                                   uint64_t *c)
{
    const struct ir_insn *i = opt_inner(f, r, op);

    if (!i || !ir_is_const(f->b, i->b, c))
        return false;
    *x = i->a;
    return true;
}

static inline bool opt_is_bool(struct opt_fold *f, ir_ref r)
{
    return opt_known(f, r).width <= 1;
}

static inline bool opt_fits_int32(uint64_t v)
{
    return v == (uint64_t)(int64_t)(int32_t)v;
}

/* A value with the same low n bits as r, if there is a simpler one. */
ir_ref opt_low_bits(const struct opt_fold *f, ir_ref r, unsigned n);

/* ---- Rules (opt_fold_int.c) --------------------------------------------------- */

/* A pure integer operation. Operands are values of the new block. */
ir_ref opt_fold_unary(struct opt_fold *f, enum ir_op op, ir_ref x);
ir_ref opt_fold_binary(struct opt_fold *f, enum ir_op op, uint8_t aux, ir_ref x, ir_ref y);
ir_ref opt_fold_select(struct opt_fold *f, ir_ref c, ir_ref x, ir_ref y);
