/* Shares equal values: local value numbering with a small table that forgets on
 * collision. `pc` is shared too, since page_va does not change inside a block. */
#include "dbt/opt/opt_int.h"

enum { CSE_BITS = 8 };

static bool can_share(const struct ir_insn *i)
{
    return (ir_ops[i->op].flags & PURE) || i->op == IR_pc;
}

static bool equal(const struct ir_insn *x, const struct ir_insn *y)
{
    return x->op == y->op && x->aux == y->aux && x->a.n == y->a.n && x->b.n == y->b.n &&
           x->c.n == y->c.n && x->imm == y->imm;
}

static unsigned hash(const struct ir_insn *i)
{
    uint64_t key = i->op | (uint64_t)i->aux << 8 | (uint64_t)i->a.n << 16 | (uint64_t)i->b.n << 32 |
                   (uint64_t)i->c.n << 48;

    key = (key ^ i->imm * UINT64_C(0xff51afd7ed558ccd)) * UINT64_C(0x9e3779b97f4a7c15);
    return (unsigned)(key >> (64 - CSE_BITS));
}

void opt_cse(struct ir_block *b)
{
    uint16_t table[1 << CSE_BITS] = {0}; /* instruction 0 is `insn` and equals no value */
    struct opt_map map;
    uint32_t out = 0;

    opt_map_init(&map);
    for (uint32_t n = 0; n < b->n; n++) {
        struct ir_insn i = b->insn[n];

        opt_map_operands(&map, &i);
        if (can_share(&i)) {
            uint16_t *slot = &table[hash(&i)];

            if (equal(&b->insn[*slot], &i)) {
                map.to[n] = (ir_ref){*slot};
                continue;
            }
            *slot = (uint16_t)out;
        }
        map.to[n] = (ir_ref){(uint16_t)out};
        b->insn[out++] = i;
    }
    b->n = out;
}
