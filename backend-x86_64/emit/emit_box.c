/* Singles. A register holds a boxed one, with all ones above, unless software has put something
 * else there; what uses it as a single then sees the canonical NaN (unprivileged, 12.2). To ask
 * each register where it is used takes five instructions each. So a block asks once for all that it
 * uses as they are at its start, and is left before its first instruction when one is not boxed.
 *
 *      vandpd  xmm0, first, second
 *      vandpd  xmm0, xmm0, third
 *      vptest  xmm0, [box]             carry: all ones above
 *      jae     cold
 *
 * Where that happens again and again the block is made anew, and asks where they are used. */
#include "backend-x86_64/x64_int.h"

/* The floating-point registers whose values at the block's start are used as singles. */
static uint32_t find_singles(const struct ir_block *b)
{
    uint32_t singles = 0;

    for (unsigned i = 0; i < b->n; i++) {
        unsigned v = b->insn[i].a.n;

        if (b->insn[i].op == IR_unbox32 && b->insn[v].op == IR_getf && x64_is_from_start(b, v))
            singles |= UINT32_C(1) << b->insn[v].imm;
    }
    return singles;
}

/* The register's xmm, or xmm1 with what it holds. An operand in memory would be read as 16 bytes,
 * which wait for a store of 8 that was just made there. */
static unsigned value_of(struct x64_emitter *x, unsigned freg)
{
    unsigned pin = x->fpin_of_guest[freg];

    if (pin != X64_NO_REG)
        return pin;
    x64_vmovq_xm_rrm(&x->c, 1, 0, x64_guest_reg(STATE_FP + freg));
    return 1;
}

/* Not under virtual time, where a block is left at its ends only. */
void x64_box_start(struct x64_emitter *x)
{
    const struct ir_block *b = x->b;

    x->singles = 0;
    if (!x->touches_fp || b->virtual_time || ir_is_wild(b, IR_START_AT(b->gpa)))
        return;
    x->singles = find_singles(b);
    if (!x->singles)
        return;
    x64_vmovapd_rrr(&x->c, 0, 0, value_of(x, (unsigned)__builtin_ctz(x->singles)));
    for (uint32_t left = x->singles & (x->singles - 1); left; left &= left - 1)
        x64_vandpd_rrr(&x->c, 0, 0, value_of(x, (unsigned)__builtin_ctz(left)));
    x64_vptest_rrm(&x->c, 0, 0, STATE_MEM(fp_box));
    x64_cold_plain(x, x64_jcc(&x->c, CC_AE), PLAIN_START);
}

bool x64_is_single(const struct x64_emitter *x, const struct ir_insn *in)
{
    return x->singles >> in->imm & 1 && x64_is_from_start(x->b, x->i);
}
