/* Drops extensions and masks whose upper bits nobody looks at. Backwards: how many low
 * bits of each value its users want; an operation whose low bits depend on low bits only
 * hands the wish on. Nothing is made twice: a value goes where all its users agree. One of
 * which nobody wants any bit goes altogether, so that `dce` has nothing left to do. */
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

/* How many low bits of its operands an instruction looks at. */
struct wish {
    uint8_t a, b, c;
    bool copy; /* the bits that are wanted of it are those of operand a */
};

static struct wish both(unsigned a, unsigned b)
{
    return (struct wish){(uint8_t)a, (uint8_t)b, 0, false};
}

static struct wish wish_of_extension(unsigned width, unsigned want)
{
    return (struct wish){(uint8_t)least(want, width), 0, 0, want <= width};
}

static struct wish wish_of_and(const struct ir_block *b, const struct ir_insn *i, unsigned want)
{
    uint64_t mask;

    if (!ir_is_const(b, i->b, &mask))
        return both(want, want);
    if ((~mask & low_mask(want)) == 0)
        return (struct wish){(uint8_t)want, 0, 0, true};
    return both(least(want, width_of(mask)), want);
}

/* When `want` bits of its result are wanted. */
static struct wish wish_of(const struct ir_block *b, const struct ir_insn *i, unsigned want)
{
    switch ((enum ir_op)i->op) {
    case IR_add:
    case IR_sub:
    case IR_mul:
    case IR_or:
    case IR_xor:
    case IR_andn:
    case IR_addsh: return both(want, want);
    case IR_and: return wish_of_and(b, i, want);
    case IR_shl:
    case IR_shr:
    case IR_sar: return both(wanted_of_shifted(b, i, want), 6);
    case IR_rotr: return both(ALL, 6);
    case IR_rotr32:
    case IR_shr32: return both(32, 5);
    case IR_select: return (struct wish){ALL, (uint8_t)want, (uint8_t)want, false};
    case IR_sext8:
    case IR_zext8: return wish_of_extension(8, want);
    case IR_sext16:
    case IR_zext16: return wish_of_extension(16, want);
    case IR_sext32:
    case IR_zext32: return wish_of_extension(32, want);
    case IR_st: return both(ALL, 8 * ir_mem_size(i->aux));
    case IR_s32f:
    case IR_u32f: return both(32, 0);
    default: return (struct wish){ALL, ALL, ALL, false};
    }
}

/* What becomes of each value. */
enum fate { KEEP, COPY, DROP };

struct demand {
    uint8_t wanted[IR_MAX_INSNS + 1]; /* of each value: low bits */
    uint8_t fate[IR_MAX_INSNS];
};

/* An operand is wanted, if only for a bit, even where all of them are shifted out. */
static void want_bits(struct demand *d, ir_ref r, unsigned bits)
{
    bits += bits == 0;
    if (d->wanted[r.n] < bits)
        d->wanted[r.n] = (uint8_t)bits;
}

/* True when something may go. */
static bool find_wanted(struct demand *d, const struct ir_block *b)
{
    bool any = false;

    memset(d->wanted, 0, b->n);
    d->wanted[IR_MAX_INSNS] = ALL;
    for (uint32_t n = b->n; n-- > 0;) {
        const struct ir_insn *i = &b->insn[n];
        unsigned want = d->wanted[n];

        bool idle = (ir_ops[i->op].flags & IDLE) != 0;

        d->fate[n] = DROP;
        any |= idle & (want == 0);
        if (idle & (want == 0))
            continue;
        const struct wish w = wish_of(b, i, want);

        d->fate[n] = w.copy ? COPY : KEEP;
        any |= w.copy;
        want_bits(d, i->a, w.a);
        if (w.copy)
            continue;
        want_bits(d, i->b, w.b);
        want_bits(d, i->c, w.c);
    }
    return any;
}

void opt_demand(struct ir_block *b)
{
    struct demand d;
    struct opt_map map;
    uint32_t out = 0;

    if (!find_wanted(&d, b))
        return;
    opt_map_init(&map);
    /* Without a branch: what goes is written too, and then written over. */
    for (uint32_t n = 0; n < b->n; n++) {
        struct ir_insn i = b->insn[n];

        opt_map_operands(&map, &i);
        map.to[n] = d.fate[n] == COPY ? i.a : (ir_ref){(uint16_t)out};
        b->insn[out] = i;
        out += d.fate[n] == KEEP;
    }
    b->n = out;
}
