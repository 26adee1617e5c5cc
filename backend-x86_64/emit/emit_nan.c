/* NaNs that are not canonical yet. The host lets an operand's payload through, or makes
 * a NaN with the sign set; RISC-V gives the canonical NaN (unprivileged, 11.3). Nobody sees the
 * difference until bits are looked at: stored, moved to an integer register, sign-injected,
 * or shown to the run loop where the block may leave. So an arithmetic result is noted here
 * (by register) and looked at only then, by x64_nan_flush().
 *
 * Arithmetic on a NaN gives a NaN: a result *covers* the operands that it was made of, and
 * as long as it is there to be looked at they need no look of their own. All that is noted is
 * repaired when one look finds a NaN. */
#include "backend-x86_64/x64_int.h"

static uint32_t noted(const struct x64_emitter *x)
{
    return x->nan[0] | x->nan[1];
}

/* The register and what it covers. */
static uint32_t shown_by(const struct x64_emitter *x, unsigned reg)
{
    uint32_t all = noted(x) & 1u << reg;

    if (all == 0)
        return 0;
    for (uint32_t m = noted(x); m; m &= m - 1) {
        unsigned r = (unsigned)__builtin_ctz(m);

        if (x->nan_cover[r] == reg)
            all |= 1u << r;
    }
    return all;
}

void x64_nan_gone(struct x64_emitter *x, unsigned reg)
{
    x->nan[0] &= ~(1u << reg);
    x->nan[1] &= ~(1u << reg);
    x->nan_from &= ~(1u << reg);
    for (uint32_t m = noted(x); m; m &= m - 1) {
        unsigned r = (unsigned)__builtin_ctz(m);

        if (x->nan_cover[r] == reg)
            x->nan_cover[r] = X64_NO_REG;
    }
}

static void made(struct x64_emitter *x, unsigned d, unsigned width, uint32_t from)
{
    x64_nan_gone(x, d);
    x->nan[width == 64] |= 1u << d;
    x->nan_cover[d] = X64_NO_REG;
    for (uint32_t m = from & noted(x) & ~(1u << d); m; m &= m - 1)
        x->nan_cover[__builtin_ctz(m)] = (uint8_t)d;
}

void x64_nan_result(struct x64_emitter *x, unsigned d, unsigned width)
{
    made(x, d, width, x->nan_from);
}

void x64_nan_reloaded(struct x64_emitter *x, unsigned reg, unsigned width)
{
    made(x, reg, width, 0);
}

void x64_nan_copied(struct x64_emitter *x, unsigned d, unsigned s)
{
    uint32_t from = shown_by(x, s);

    if (from == 0)
        x64_nan_gone(x, d);
    else if (d != s)
        made(x, d, x->nan[1] >> s & 1 ? 64 : 32, from);
}

uint64_t x64_nan_settled(struct x64_emitter *x)
{
    uint64_t regs = (x->nan[0] & x->nan_from) | (uint64_t)(x->nan[1] & x->nan_from) << 32;

    x->nan[0] &= ~x->nan_from;
    x->nan[1] &= ~x->nan_from;
    return regs;
}

unsigned x64_fp_bits(struct x64_emitter *x, ir_ref r)
{
    unsigned reg = x64_xmm(x, r);

    if (noted(x) >> reg & 1)
        x64_nan_flush(x);
    return reg;
}

unsigned x64_fp_operand(struct x64_emitter *x, const struct ir_insn *in, ir_ref r)
{
    unsigned reg = x64_xmm(x, r);

    if (ir_fp_width(in->aux) == 32 && (x->nan[1] >> reg & 1) != 0)
        x64_nan_flush(x);
    x->nan_from |= shown_by(x, reg);
    return reg;
}

void x64_nan_repair(struct x64_emitter *x, uint32_t regs32, uint32_t regs64)
{
    struct x64_code *c = &x->c;

    for (uint32_t m = regs32 | regs64; m; m &= m - 1) {
        unsigned r = (unsigned)__builtin_ctz(m);
        bool wide = (regs64 >> r & 1) != 0;

        (wide ? x64_vucomisd_rrr : x64_vucomiss_rrr)(c, r, 0, r);
        uint32_t number = x64_jcc(c, CC_NP);

        x64_mov_imm(c, RAX, x64_canonical_nan[wide]);
        x64_vmovq_xr_rrr(c, r, 0, RAX);
        x64_fix(c, number, x64_at(c));
    }
}

/* imm: registers to repair, 32-bit ones below, 64-bit ones above. */
static void cold_repair(struct x64_emitter *x, const struct x64_cold *k)
{
    x64_nan_repair(x, (uint32_t)k->imm, (uint32_t)(k->imm >> 32));
    x64_fix(&x->c, x64_jmp(&x->c), k->back);
}

/* Looks at the registers of one width, two at a time: a comparison is unordered when either
 * is a NaN. */
static void look(struct x64_emitter *x, uint32_t regs, bool wide)
{
    while (regs) {
        unsigned r = (unsigned)__builtin_ctz(regs);

        regs &= regs - 1;
        unsigned other = regs ? (unsigned)__builtin_ctz(regs) : r;

        regs &= regs - 1;
        (wide ? x64_vucomisd_rrr : x64_vucomiss_rrr)(&x->c, r, 0, other);
        struct x64_cold *k = x64_cold_add(x, cold_repair, x64_jcc(&x->c, CC_P));

        k->back = x64_at(&x->c);
        k->imm = x->nan[0] | (uint64_t)x->nan[1] << 32;
    }
}

void x64_nan_flush(struct x64_emitter *x)
{
    uint32_t covered = 0;

    for (uint32_t m = noted(x); m; m &= m - 1) {
        unsigned r = (unsigned)__builtin_ctz(m);

        if (x->nan_cover[r] != X64_NO_REG)
            covered |= 1u << r;
    }
    look(x, x->nan[0] & ~covered, false);
    look(x, x->nan[1] & ~covered, true);
    x->nan[0] = x->nan[1] = 0;
}
