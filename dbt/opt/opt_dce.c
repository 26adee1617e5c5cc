/* Drops values that nothing uses. What only computes or reads a register goes;
 * loads stay because they may fault, floating point because it raises flags. */
#include <string.h>

#include "dbt/opt/opt_int.h"

/* Neither walk asks what the processor could guess wrong: what is not kept marks nothing,
 * IR_NONE, as used, and is written to the block, then written over. */
void opt_dce(struct ir_block *b)
{
    uint8_t keep[IR_MAX_INSNS + 1];
    struct opt_map map;
    uint32_t out = 0;

    memset(keep, 0, b->n);
    for (uint32_t n = b->n; n-- > 0;) {
        const struct ir_insn *i = &b->insn[n];
        bool needed = keep[n] | !(ir_ops[i->op].flags & IDLE);

        keep[n] = needed;
        keep[needed ? i->a.n : IR_MAX_INSNS] = true;
        keep[needed ? i->b.n : IR_MAX_INSNS] = true;
        keep[needed ? i->c.n : IR_MAX_INSNS] = true;
    }
    opt_map_init(&map);
    for (uint32_t n = 0; n < b->n; n++) {
        struct ir_insn i = b->insn[n];

        opt_map_operands(&map, &i);
        map.to[n] = (ir_ref){(uint16_t)out};
        b->insn[out] = i;
        out += keep[n];
    }
    b->n = out;
}
