/* Drops extensions and masks whose upper bits nobody looks at. Backwards: how many low
 * bits of each value its users want; an operation whose low bits depend on low bits only
 * hands the wish on. Nothing is made twice: a value goes where all its users agree. */
#include <string.h>

#include "dbt/opt/opt_int.h"

enum { ALL = 64 };

/* Of the operand that is shifted, when `want` bits of the result are wanted. */
static unsigned wanted_of_shifted(const struct ir_block *b, const struct ir_insn *i, unsigned want)
{
    uint64_t k;

    if (!ir_is_const(b, i->b, &k))
        return i->op == IR_shl ? want : ALL;
    k &= 63;
    if (i->op == IR_shl)
        return want > k ? want - (unsigned)k : 0;
    return least(ALL, want + (unsigned)k);
}

/* How many low bits of operand `n` i looks at, when `want` of its result are wanted. */
static unsigned wanted_of(const struct ir_block *b, const struct ir_insn *i, unsigned n,
                          unsigned want)
{
    uint64_t mask;

    switch ((enum ir_op)i->op) {
    case IR_add:
    case IR_sub:
    case IR_mul:
    case IR_or:
    case IR_xor:
    case IR_andn:
    case IR_addsh: return want;
    case IR_and: return ir_is_const(b, i->b, &mask) ? least(want, width_of(mask)) : want;
    case IR_shl:
    case IR_shr:
    case IR_sar: return n == 0 ? wanted_of_shifted(b, i, want) : 6;
    case IR_rotr: return n == 0 ? ALL : 6;
    case IR_rotr32:
    case IR_shr32: return n == 0 ? 32 : 5;
    case IR_select: return n == 0 ? ALL : want;
    case IR_sext8:
    case IR_zext8:
    case IR_sext16:
    case IR_zext16:
    case IR_sext32:
    case IR_zext32: return least(want, extension((enum ir_op)i->op));
    case IR_st: return n == 0 ? ALL : 8 * ir_mem_size(i->aux);
    case IR_s32f:
    case IR_u32f: return 32;
    default: return ALL;
    }
}

/* Are the low `want` bits of i those of its operand a? */
static bool is_idle(const struct ir_block *b, const struct ir_insn *i, unsigned want)
{
    unsigned kept = extension((enum ir_op)i->op);
    uint64_t mask;

    if (i->op == IR_and && ir_is_const(b, i->b, &mask))
        return (~mask & low_mask(want)) == 0;
    return kept > 0 && want <= kept;
}

/* True when something may go. */
static bool find_wanted(const struct ir_block *b, uint8_t *wanted)
{
    bool any = false;

    memset(wanted, 0, b->n);
    for (uint32_t n = b->n; n-- > 0;) {
        const struct ir_insn *i = &b->insn[n];
        const ir_ref ops[3] = {i->a, i->b, i->c};

        any |= is_idle(b, i, wanted[n]);
        for (unsigned k = 0; k < 3 && !ir_is_none(ops[k]); k++) {
            unsigned want = wanted_of(b, i, k, wanted[n]);

            if (wanted[ops[k].n] < want)
                wanted[ops[k].n] = (uint8_t)want;
        }
    }
    return any;
}

void opt_demand(struct ir_block *b)
{
    uint8_t wanted[IR_MAX_INSNS];
    struct opt_map map;
    uint32_t out = 0;

    if (!find_wanted(b, wanted))
        return;
    opt_map_init(&map);
    for (uint32_t n = 0; n < b->n; n++) {
        struct ir_insn i = b->insn[n];

        opt_map_operands(&map, &i);
        if (is_idle(b, &i, wanted[n])) {
            map.to[n] = i.a;
            continue;
        }
        map.to[n] = (ir_ref){(uint16_t)out};
        b->insn[out++] = i;
    }
    b->n = out;
}
