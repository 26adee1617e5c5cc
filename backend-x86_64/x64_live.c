/* Liveness: each value's last use; then, backwards over the block, the pinned register that it may
 * be made in, the next event of each guest register, the next barrier. */
#include "backend-x86_64/x64_int.h"

/* Operations at which guest registers must be in their places. */
static bool is_barrier(unsigned op)
{
    return (ir_ops[op].flags & (FAULT | SIDE | EXIT)) != 0;
}

/* Forwards, so that the last use is what stays. Nothing is asked on the way: it would be guessed
 * wrong every other time. */
static void find_last_uses(struct x64_emitter *x)
{
    const struct ir_block *b = x->b;

    for (unsigned i = 0; i < b->n; i++) {
        const struct ir_insn *in = &b->insn[i];

        x->val[i] = (struct x64_val){.where = V_NONE, .hint = X64_NO_REG};
        x->val[in->a.n].last = x->val[in->b.n].last = x->val[in->c.n].last = (uint16_t)i;
    }
    x->val[IR_MAX_INSNS].last = X64_NONE; /* IR_NONE's: never released */
}

/* The pinned register that value i is about to be put into, when nothing in between could see
 * the old content: then the value may be made there. next: the nearest later get or set of
 * each guest register. */
static uint8_t hint_of(const struct x64_emitter *x, unsigned i, unsigned guest,
                       const unsigned *next, unsigned barrier)
{
    unsigned set = next[guest];

    if (set >= x->b->n || barrier < set)
        return X64_NO_REG;
    const struct ir_insn *in = &x->b->insn[set];

    if (in->op == IR_setf) {
        const struct ir_insn *value = &x->b->insn[in->a.n];
        bool through_box = value->op == IR_box32 && value->a.n == i;

        return in->a.n == i || through_box ? x->fpin_of_guest[guest - STATE_FP] : X64_NO_REG;
    }
    return in->op == IR_set && in->a.n == i ? x->pin_of_guest[guest] : X64_NO_REG;
}

/* The registers, or the flags and the rounding mode. */
static bool touches_fp(unsigned op)
{
    return (ir_ops[op].flags & FPFLAGS) || op == IR_getf || op == IR_setf || op == IR_getfflags ||
           op == IR_setfflags;
}

static bool is_pinned(const struct x64_emitter *x, unsigned reg)
{
    return (reg < STATE_FP ? x->pin_of_guest[reg] : x->fpin_of_guest[reg - STATE_FP]) != X64_NO_REG;
}

void x64_live(struct x64_emitter *x)
{
    const struct ir_block *b = x->b;
    unsigned barrier = b->n;
    unsigned touched[STATE_N_REGS + 1]; /* nearest later get or set of a guest register */

    for (unsigned g = 0; g <= STATE_N_REGS; g++)
        touched[g] = b->n;
    x->touches_fp = x->calls = false;
    find_last_uses(x);
    for (unsigned i = b->n; i-- > 0;) {
        const struct ir_insn *in = &b->insn[i];
        struct x64_val *v = &x->val[i];
        unsigned reg = x64_reg_of(in);

        /* Until the value is reached, hint is the guest register of its nearest set. */
        if (v->hint != X64_NO_REG) {
            /* What is boxed in place may be made there too. */
            if (in->op == IR_box32)
                x->val[in->a.n].hint = v->hint;
            v->hint = hint_of(x, i, v->hint, touched, barrier);
        }
        if (reg < STATE_N_REGS && is_pinned(x, reg))
            x->val[in->a.n].hint = (uint8_t)reg;
        x->touches_fp |= touches_fp(in->op);
        x->calls |= in->op == IR_call;
        x->next_event[i] = (uint16_t)touched[reg];
        touched[reg] = i;
        barrier = is_barrier(in->op) ? i : barrier;
        x->barrier[i] = (uint16_t)barrier;
    }
    for (unsigned g = 0; g < STATE_N_REGS; g++)
        x->event[g] = (uint16_t)touched[g];
}
