/* Puts the halves of a product behind each other, since the host makes both at once
 * (backend-x86_64/emit/emit_alu.c). RISC-V has an instruction for each, which the M extension
 * recommends to follow each other (unprivileged specification, "M", multiplication); compilers put
 * others between them all the same. */
#include <string.h>

#include "dbt/opt/opt_int.h"

enum { LOOK_BACK = 16 }; /* instructions */

static bool is_high(const struct ir_insn *i)
{
    return i->op == IR_mulhu || i->op == IR_mulhs;
}

static bool are_halves(const struct ir_insn *x, const struct ir_insn *y)
{
    return ((is_high(x) && y->op == IR_mul) || (x->op == IR_mul && is_high(y))) &&
           x->a.n == y->a.n && x->b.n == y->b.n;
}

struct pairs {
    uint16_t behind[IR_MAX_INSNS]; /* the half that moves up behind an instruction, 0: none */
    bool moves[IR_MAX_INSNS];
};

/* The first half of instruction n, which has none yet; 0: there is none. */
static uint32_t first_half(const struct ir_block *b, const struct pairs *p, uint32_t n)
{
    uint32_t end = n > LOOK_BACK ? n - LOOK_BACK : 0;

    for (uint32_t k = n; k-- > end;)
        if (are_halves(&b->insn[k], &b->insn[n]) && !p->behind[k] && !p->moves[k])
            return k;
    return 0;
}

static bool find(const struct ir_block *b, struct pairs *p)
{
    bool found = false;

    memset(p->behind, 0, b->n * sizeof p->behind[0]);
    memset(p->moves, 0, b->n * sizeof p->moves[0]);
    for (uint32_t n = 0; n < b->n; n++) {
        const struct ir_insn *i = &b->insn[n];
        uint32_t first;

        if ((i->op != IR_mul && !is_high(i)) || !(first = first_half(b, p, n)))
            continue;
        p->behind[first] = (uint16_t)n;
        p->moves[n] = found = true;
    }
    return found;
}

static bool has_high(const struct ir_block *b)
{
    bool has = false;

    for (uint32_t n = 0; n < b->n; n++)
        has |= is_high(&b->insn[n]);
    return has;
}

static void put(struct ir_block *b, struct opt_map *map, const struct ir_insn *old, uint32_t n)
{
    struct ir_insn i = old[n];

    opt_map_operands(map, &i);
    map->to[n] = (ir_ref){(uint16_t)b->n};
    b->insn[b->n++] = i;
}

void opt_pair(struct ir_block *b)
{
    struct ir_insn old[IR_MAX_INSNS];
    const uint32_t n_old = b->n;
    struct pairs p;
    struct opt_map map;

    if (!has_high(b) || !find(b, &p))
        return;
    memcpy(old, b->insn, n_old * sizeof old[0]);
    opt_map_init(&map);
    b->n = 0;
    for (uint32_t n = 0; n < n_old; n++) {
        if (p.moves[n])
            continue;
        put(b, &map, old, n);
        if (p.behind[n])
            put(b, &map, old, p.behind[n]);
    }
}
