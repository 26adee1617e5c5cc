/* Operands to words: the formats' pieces run backwards. */
#include <string.h>

#include "dbt/base/bits.h"

#include "frontend/riscv/rv_decode.h"

bool rv_encode(const struct rv_insn *i, uint32_t *word)
{
    const struct rv_format *f = &rv_formats[rv_rows[i->row].format];
    const int64_t want[RV_FIELD_COUNT] = {
        [RV_FIELD_rd] = i->rd,   [RV_FIELD_rs1] = i->rs1, [RV_FIELD_rs2] = i->rs2,
        [RV_FIELD_rs3] = i->rs3, [RV_FIELD_rm] = i->rm,   [RV_FIELD_imm] = i->imm,
    };
    int64_t got[RV_FIELD_COUNT];
    uint32_t free_bits = 0;

    for (unsigned k = 0; k < f->n_pieces; k++) {
        struct rv_piece p = f->piece[k];

        if (p.n > 0)
            free_bits |= (uint32_t)bits_get((uint64_t)want[p.field], p.to, p.n) << p.lo;
    }
    *word = (free_bits & ~rv_row_mask(i->row)) | rv_row_match(i->row);

    /* What does not fit (an odd branch, a register that three bits cannot name)
     * reads back as something else. */
    rv_operands(f, *word, got);
    return i->row != RV_OP_reserved && memcmp(want, got, sizeof(want)) == 0;
}
