/* Guest registers. A get of a register whose value is known becomes that value;
 * a set disappears when the register has the value already, or when it is set
 * again before anything can look.
 *
 * Who can look at a register: a helper reads and writes all of them; whatever may
 * leave the block shows all of them to the run loop. So a call forgets what is
 * known, while a load, which writes no register, does not. What only has an effect
 * (a fence, the count of virtual time) looks at none. */

#include "dbt/opt/opt_int.h"

enum { LOOKS = FAULT | SIDE | EXIT };

struct state_pass {
    bool unseen[IR_MAX_INSNS];   /* sets that another one overtakes */
    ir_ref value[STATE_N_REGS];  /* of the register by the block's text, or none */
    ir_ref stored[STATE_N_REGS]; /* what the register itself holds, or none; differs from
                                  * value[] between a set that was dropped and the next */
    struct opt_map map;
};

/* The index in reg[] that a get or set names. */
static unsigned reg_of(const struct ir_insn *i)
{
    return (unsigned)i->imm + (i->op == IR_getf || i->op == IR_setf ? STATE_FP : 0);
}

/* From the end backwards. A get needs no look: one that follows a set, without a
 * call between them, will be forwarded. */
static void find_unseen(struct state_pass *p, const struct ir_block *b)
{
    uint64_t overtaken = 0; /* a bit a register: a set follows before a look */

    for (uint32_t n = b->n; n-- > 0;) {
        const struct ir_insn *i = &b->insn[n];

        bool is_set = i->op == IR_set || i->op == IR_setf;
        uint64_t reg = is_set ? UINT64_C(1) << (reg_of(i) % STATE_N_REGS) : 0;

        p->unseen[n] = (overtaken & reg) != 0;
        overtaken = ir_ops[i->op].flags & LOOKS ? 0 : overtaken | reg;
    }
}

static void forget(struct state_pass *p)
{
    for (unsigned reg = 0; reg < STATE_N_REGS; reg++)
        p->value[reg] = p->stored[reg] = IR_NONE;
}

/* Is the set needed? Its operand is mapped. */
static bool keep_set(struct state_pass *p, const struct ir_insn *i, bool unseen)
{
    unsigned reg = reg_of(i);

    p->value[reg] = i->a;
    if (unseen || p->stored[reg].n == i->a.n)
        return false;
    p->stored[reg] = i->a;
    return true;
}

void opt_state(struct ir_block *b)
{
    struct state_pass p;
    uint32_t out = 0;

    opt_map_init(&p.map);
    find_unseen(&p, b);
    forget(&p);
    for (uint32_t n = 0; n < b->n; n++) {
        struct ir_insn i = b->insn[n];
        ir_ref here = {(uint16_t)out};

        opt_map_operands(&p.map, &i);
        if (i.op == IR_get || i.op == IR_getf) {
            unsigned reg = reg_of(&i);

            if (!ir_is_none(p.value[reg])) {
                p.map.to[n] = p.value[reg];
                continue;
            }
            p.value[reg] = p.stored[reg] = here;
        } else if (i.op == IR_set || i.op == IR_setf) {
            if (!keep_set(&p, &i, p.unseen[n]))
                continue;
        } else if (i.op == IR_call) {
            forget(&p);
        }
        p.map.to[n] = here;
        b->insn[out++] = i;
    }
    b->n = out;
}
