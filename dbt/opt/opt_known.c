/* Known bits, the light kind: how wide a value is, unsigned and signed. */
#include <string.h>

#include "dbt/opt/opt_fold.h"

static unsigned most(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

/* Below 2^width; sign: as far as is known otherwise. */
static struct opt_known bits(unsigned width, unsigned sign)
{
    width = least(width, 64);
    sign = least(least(sign, 64), width + 1);
    return (struct opt_known){(uint8_t)width, (uint8_t)most(sign, 1)};
}

static struct opt_known below(unsigned width)
{
    return bits(width, 64);
}

static struct opt_known of_constant(uint64_t v)
{
    return bits(width_of(v), 64 - (unsigned)__builtin_clrsbll((long long)v));
}

static struct opt_known of_sext(struct opt_known x, unsigned n)
{
    return x.width < n ? x : bits(64, least(x.sign, n));
}

static struct opt_known of_load(const struct ir_insn *i)
{
    unsigned n = 8 * ir_mem_size(i->aux);

    return ir_mem_signed(i->aux) ? bits(64, n) : below(n);
}

/* A shift of x by the constant k. */
static struct opt_known of_shift(enum ir_op op, struct opt_known x, unsigned k)
{
    if (k == 0)
        return x;
    if (op == IR_shl)
        return bits(x.width + k, x.sign + k);
    if (op == IR_shr)
        return below(x.width > k ? x.width - k : 0);
    return bits(x.width == 64 ? 64 : x.width > k ? x.width - k : 0, x.sign > k ? x.sign - k : 1);
}

/* A shift of x by something. */
static struct opt_known of_any_shift(enum ir_op op, struct opt_known x)
{
    if (op == IR_shl)
        return below(64);
    return op == IR_shr ? below(x.width) : x;
}

static struct opt_known of_binary(struct opt_fold *f, const struct ir_insn *i)
{
    struct opt_known x = opt_known(f, i->a), y = opt_known(f, i->b);
    unsigned wide = most(x.width, y.width), sign = most(x.sign, y.sign);
    uint64_t c;

    switch ((enum ir_op)i->op) {
    case IR_add: return bits(wide + 1, sign + 1);
    case IR_sub: return bits(64, sign + 1);
    case IR_addsh:
        return bits(most(x.width, y.width + (i->aux & 3u)) + 1,
                    most(x.sign, y.sign + (i->aux & 3u)) + 1);
    case IR_and: return bits(least(x.width, y.width), sign);
    case IR_andn: return bits(x.width, sign);
    case IR_or:
    case IR_xor: return bits(wide, sign);
    case IR_shl:
    case IR_shr:
    case IR_sar:
        if (ir_is_const(f->b, i->b, &c))
            return of_shift((enum ir_op)i->op, x, c & 63);
        return of_any_shift((enum ir_op)i->op, x);
    case IR_rotr32: return below(32);
    case IR_shr32: return below(ir_is_const(f->b, i->b, &c) ? 32 - (c & 31) : 32);
    case IR_mul: return bits(x.width + y.width, x.sign + y.sign);
    case IR_divu: /* by zero: all ones */
        return ir_is_const(f->b, i->b, &c) && c != 0 ? below(x.width) : below(64);
    case IR_remu: return below(x.width);
    case IR_divs: return bits(64, x.sign + 1u); /* min / -1; by zero: -1 */
    case IR_rems: return bits(64, x.sign);
    case IR_eq:
    case IR_ne:
    case IR_lt:
    case IR_ltu: return below(1);
    default: return below(64);
    }
}

static struct opt_known of_value(struct opt_fold *f, const struct ir_insn *i)
{
    switch ((enum ir_op)i->op) {
    case IR_const: return of_constant(i->imm);
    case IR_sext8: return of_sext(opt_known(f, i->a), 8);
    case IR_sext16: return of_sext(opt_known(f, i->a), 16);
    case IR_sext32: return of_sext(opt_known(f, i->a), 32);
    case IR_zext8: return below(least(opt_known(f, i->a).width, 8));
    case IR_zext16: return below(least(opt_known(f, i->a).width, 16));
    case IR_zext32: return below(least(opt_known(f, i->a).width, 32));
    case IR_orcb: return below((opt_known(f, i->a).width + 7u) & ~7u);
    case IR_clz:
    case IR_ctz:
    case IR_popcnt: return below(7);
    case IR_select: {
        struct opt_known x = opt_known(f, i->b), y = opt_known(f, i->c);

        return bits(most(x.width, y.width), most(x.sign, y.sign));
    }
    case IR_ld: return of_load(i);
    case IR_feq:
    case IR_flt:
    case IR_fle: return below(1);
    case IR_fclass: return below(10);
    case IR_f2s32:
    case IR_f2u32: return bits(64, 32);
    default:
        if ((ir_ops[i->op].flags & PURE) && !ir_is_none(i->b) && ir_ops[i->op].result == 'I')
            return of_binary(f, i);
        return below(64);
    }
}

void opt_known_clear(struct opt_fold *f, uint32_t n)
{
    memset(f->known, 0, n * sizeof(f->known[0]));
}

struct opt_known opt_find_known(struct opt_fold *f, ir_ref r)
{
    return f->known[r.n] = of_value(f, &f->b->insn[r.n]);
}
