/* Folding. Walks the block once and builds it anew, in its place, from a copy: a
 * rule may add a constant, which is why the others' way of compacting in place
 * does not serve here. Integer rules are in opt_fold_int.c; below are memory,
 * floating point and exits. */
#include <string.h>

#include "dbt/opt/opt_fold.h"

/* No rule makes more than this of one instruction. Blocks that could overflow
 * are left alone: a front end's limits keep real ones far below. */
enum { GROWTH = 3 };

static ir_ref keep(struct opt_fold *f, const struct ir_insn *i)
{
    return ir_emit(f->b, (enum ir_op)i->op, i->aux, i->a, i->b, i->c, i->imm);
}

/* ---- Memory ------------------------------------------------------------------ */

static ir_ref fold_memory(struct opt_fold *f, struct ir_insn *i)
{
    uint64_t c;
    ir_ref from;

    if (opt_inner_const(f, i->a, IR_add, &from, &c) && opt_fits_int32(i->imm + c)) {
        i->a = from;
        i->imm += c;
    }
    if (i->op == IR_st)
        i->b = opt_low_bits(f, i->b, 8 * ir_mem_size(i->aux));
    if (i->op == IR_stf && i->aux == IR_U32 && opt_inner(f, i->b, IR_box32))
        i->b = f->b->insn[i->b.n].a;
    return keep(f, i);
}

/* ---- Floating point ------------------------------------------------------------ */

static void unbox_operand(const struct opt_fold *f, ir_ref *r, char class)
{
    const struct ir_insn *i;

    if (class == 'F' && (i = opt_inner(f, *r, IR_box32)) != NULL)
        *r = i->a;
}

/* A 32-bit operation does not look at the upper half that box32 sets. */
static ir_ref fold_fp(struct opt_fold *f, struct ir_insn *i)
{
    const char *class = ir_ops[i->op].operands;

    if (ir_fp_width(i->aux) == 32) {
        unbox_operand(f, &i->a, class[0]);
        if (class[1])
            unbox_operand(f, &i->b, class[1]);
        if (class[1] && class[2])
            unbox_operand(f, &i->c, class[2]);
    }
    return keep(f, i);
}

/* ---- Exits ------------------------------------------------------------------------ */

static bool holds(enum ir_cond cond, uint64_t a, uint64_t b)
{
    bool even = cond <= IR_NE ? a == b : cond <= IR_GE ? (int64_t)a < (int64_t)b : a < b;

    return even != (cond & 1); /* the odd ones are their opposites */
}

/* The comparison whose result, not 0, is what `exit_if` asks for. */
static bool compare_cond(enum ir_op op, enum ir_cond *cond)
{
    switch (op) {
    case IR_eq: *cond = IR_EQ; return true;
    case IR_ne: *cond = IR_NE; return true;
    case IR_lt: *cond = IR_LT; return true;
    case IR_ltu: *cond = IR_LTU; return true;
    default: return false;
    }
}

/* exit_if (x == 0) or (x != 0), x a value that compares: does the comparison
 * itself. True when something changed. */
static bool exit_if_compared(struct opt_fold *f, struct ir_insn *i)
{
    const struct ir_insn *x = opt_inner(f, i->a, (enum ir_op)f->b->insn[i->a.n].op);
    enum ir_cond cond;
    uint64_t c;

    if (!x)
        return false;
    if (compare_cond((enum ir_op)x->op, &cond)) {
        i->aux = (uint8_t)(i->aux == IR_NE ? cond : cond ^ 1);
        i->a = x->a;
        i->b = x->b;
        return true;
    }
    if (x->op == IR_xor && ir_is_const(f->b, x->b, &c) && c == 1 && opt_is_bool(f, x->a)) {
        i->aux ^= 1;
        i->a = x->a; /* compared with the 0 that is there */
        return true;
    }
    if (x->op == IR_sub || x->op == IR_xor) {
        i->a = x->a;
        i->b = x->b;
        return true;
    }
    return false;
}

/* The greatest value in the order of the comparison. */
static uint64_t greatest(enum ir_cond cond)
{
    return cond >= IR_LTU ? UINT64_MAX : (uint64_t)INT64_MAX;
}

/* One step towards the plainest comparison. */
static bool simplify_exit_if(struct opt_fold *f, struct ir_insn *i)
{
    uint64_t x = 0, y = 0;
    bool x_const = ir_is_const(f->b, i->a, &x), y_const = ir_is_const(f->b, i->b, &y);

    if (x_const && y_const)
        return false;
    if (i->aux <= IR_NE && x_const) {
        ir_ref swap = i->a;

        i->a = i->b;
        i->b = swap;
        return true;
    }
    if (i->aux >= IR_LTU && y_const && y == 1) { /* below 1: is 0 */
        i->aux = i->aux == IR_LTU ? IR_EQ : IR_NE;
        i->b = ir_const(f->b, 0);
        return true;
    }
    if (i->aux >= IR_LTU && x_const && x == 0) { /* 0 is below: is not 0 */
        i->aux = i->aux == IR_LTU ? IR_NE : IR_EQ;
        return true;
    }
    if (i->aux > IR_NE && x_const && x != greatest((enum ir_cond)i->aux)) {
        /* c < b: b >= c + 1, since x86 wants the constant on the right. */
        i->a = i->b;
        i->b = ir_const(f->b, x + 1);
        i->aux ^= 1;
        return true;
    }
    return i->aux <= IR_NE && y_const && y == 0 && exit_if_compared(f, i);
}

static ir_ref fold_exit_if(struct opt_fold *f, struct ir_insn *i)
{
    uint64_t x = 0, y = 0;

    while (simplify_exit_if(f, i))
        ;
    if (i->a.n == i->b.n || (ir_is_const(f->b, i->a, &x) && ir_is_const(f->b, i->b, &y))) {
        if (!holds((enum ir_cond)i->aux, x, y))
            return IR_NONE; /* never taken; one that always is stays, with what follows it */
    }
    return keep(f, i);
}

/* ---- The walk ----------------------------------------------------------------------- */

static ir_ref fold_pure(struct opt_fold *f, struct ir_insn *i)
{
    enum ir_op op = (enum ir_op)i->op;

    if (op == IR_const)
        return keep(f, i);
    if (op == IR_fsgnj || op == IR_fsgnjn || op == IR_fsgnjx)
        return fold_fp(f, i);
    if (ir_is_none(i->b))
        return opt_fold_unary(f, op, i->a);
    if (ir_is_none(i->c))
        return opt_fold_binary(f, op, i->aux, i->a, i->b);
    return opt_fold_select(f, i->a, i->b, i->c);
}

/* The value that takes the place of i, whose operands are mapped. */
static ir_ref fold_insn(struct opt_fold *f, struct ir_insn *i)
{
    unsigned flags = ir_ops[i->op].flags;

    if (flags & PURE)
        return fold_pure(f, i);
    if (flags & FPFLAGS)
        return fold_fp(f, i);
    if (flags & (LOAD | STORE))
        return fold_memory(f, i);
    if (i->op == IR_exit_if)
        return fold_exit_if(f, i);
    return keep(f, i);
}

/* Copies the block, and marks, by old index, what a set or stst puts away. */
static void take_copy(struct opt_fold *f, bool *held_old)
{
    memset(held_old, false, f->n_old * sizeof(held_old[0]));
    for (uint32_t n = 0; n < f->n_old; n++) {
        const struct ir_insn *i = &f->b->insn[n];
        bool is_set = (ir_ops[i->op].flags & (STATE | IDLE)) == STATE;

        f->old[n] = *i;
        held_old[is_set ? i->a.n : IR_MAX_INSNS] = true;
    }
}

void opt_fold(struct ir_block *b)
{
    struct opt_fold f;
    bool held_old[IR_MAX_INSNS + 1];

    if (b->n > IR_MAX_INSNS / GROWTH)
        return;
    opt_map_init(&f.map);
    f.b = b;
    f.n_old = b->n;
    f.right = IR_NONE;
    take_copy(&f, held_old);
    opt_known_clear(&f, GROWTH * b->n);
    memset(f.held, false, GROWTH * b->n * sizeof(f.held[0]));
    f.held[IR_MAX_INSNS] = false;
    b->n = 0;
    for (uint32_t n = 0; n < f.n_old; n++) {
        struct ir_insn i = f.old[n];
        ir_ref r;

        opt_map_operands(&f.map, &i);
        r = fold_insn(&f, &i);
        f.map.to[n] = r;
        f.held[r.n] |= held_old[n]; /* r is none where an exit went */
    }
}
