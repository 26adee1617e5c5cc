/* The IR's own helpers, see ir_helper.def. */
#include "dbt/ir/ir.h"

uint64_t ir_help_fp(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b, uint64_t c)
{
    enum ir_op op = (enum ir_op)(k & 0xff);
    uint8_t aux = (uint8_t)(k >> 8);
    uint32_t flags = 0;
    uint64_t result = ir_eval_fp(op, aux, s->fp_rm, a, b, c, &flags);

    s->mxcsr |= ir_fp_to_mxcsr(flags);
    return result;
}
