/* What the passes share. Private to dbt/opt. */
#pragma once

#include "dbt/opt/opt.h"

#define OPT_PASS(name, help) void opt_##name(struct ir_block *b);
#include "dbt/opt/opt_pass.def"
#undef OPT_PASS
/* Instead of `calls` when that is off. */
void opt_forget_calls(struct ir_block *b);

/* ---- Widths, in bits ---------------------------------------------------------------------- */

static inline unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static inline unsigned width_of(uint64_t v)
{
    return v ? 64 - (unsigned)__builtin_clzll(v) : 0;
}

static inline uint64_t low_mask(unsigned n)
{
    return n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

/* Width of an extension, 0 for other operations. */
static inline unsigned extension(enum ir_op op)
{
    switch (op) {
    case IR_sext8:
    case IR_zext8: return 8;
    case IR_sext16:
    case IR_zext16: return 16;
    case IR_sext32:
    case IR_zext32: return 32;
    default: return 0;
    }
}

/* ---- Where values are --------------------------------------------------------------------- */

/* Where values went: old index -> new value. A pass that walks forward writes
 * to[n] for each value before anything can use it. The last one is IR_NONE's. */
struct opt_map {
    ir_ref to[IR_MAX_INSNS + 1];
};

static inline void opt_map_init(struct opt_map *m)
{
    m->to[IR_MAX_INSNS] = IR_NONE;
}

static inline ir_ref opt_mapped(const struct opt_map *m, ir_ref r)
{
    return m->to[r.n];
}

static inline void opt_map_operands(const struct opt_map *m, struct ir_insn *i)
{
    i->a = opt_mapped(m, i->a);
    i->b = opt_mapped(m, i->b);
    i->c = opt_mapped(m, i->c);
}
