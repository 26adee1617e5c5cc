/* Drops values that nothing uses. What only computes or reads a register goes;
 * loads stay because they may fault, floating point because it raises flags. */
#include "dbt/opt/opt_int.h"

/* May it go when its value is not used? */
static bool is_idle(const struct ir_insn *i)
{
    unsigned flags = ir_ops[i->op].flags;

    return (flags & PURE) || ((flags & STATE) && ir_ops[i->op].result != 'N');
}

static void use(struct opt_bits *used, ir_ref r)
{
    if (!ir_is_none(r))
        opt_bits_add(used, r.n);
}

void opt_dce(struct ir_block *b)
{
    struct opt_bits keep;
    struct opt_map map;
    uint32_t out = 0;
    bool all = true;

    opt_bits_clear(&keep, b->n);
    for (uint32_t n = b->n; n-- > 0;) {
        const struct ir_insn *i = &b->insn[n];

        if (is_idle(i) && !opt_bits_has(&keep, n)) {
            all = false;
            continue;
        }
        opt_bits_add(&keep, n);
        use(&keep, i->a);
        use(&keep, i->b);
        use(&keep, i->c);
    }
    if (all)
        return;
    opt_map_init(&map);
    /* Without a branch: what goes is written too, and then written over. */
    for (uint32_t n = 0; n < b->n; n++) {
        struct ir_insn i = b->insn[n];

        opt_map_operands(&map, &i);
        map.to[n] = (ir_ref){(uint16_t)out};
        b->insn[out] = i;
        out += opt_bits_has(&keep, n);
    }
    b->n = out;
}
