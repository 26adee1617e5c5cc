/* Conversions, classes, and the sticky flags. To an integer, the host has a number for "does not
 * fit" and raises invalid with it, for signed results; unsigned ones are converted as signed, which
 * is right for what fits into both. Everything else goes to the rules, out of line, before the host
 * has raised a flag that the guest must not see. */
#include "backend-x86_64/x64_int.h"

static bool is64(const struct ir_insn *in)
{
    return ir_fp_width(in->aux) == 64;
}

/* ---- To an integer ---------------------------------------------------------------------- */

static void cold_to_int(struct x64_emitter *x, const struct x64_cold *k)
{
    struct x64_code *c = &x->c;

    x64_vmovq_mx_mr(c, STATE_MEM(scratch), k->base);
    x64_keep_xmm(x, k->xmm_live, false);
    x64_mov_imm(c, RAX, IR_HELP_fp);
    x64_mov32_mi(c, STATE_MEM(helper_k), (int32_t)(k->op | (uint32_t)k->aux << 8));
    x64_call_stub(x, X64_STUB_CALL);
    x64_keep_xmm(x, k->xmm_live, true);
    x64_fix(c, x64_jmp(c), k->back);
}

/* The result is in rax. */
static void finish(struct x64_emitter *x, const struct ir_insn *in, struct x64_cold *k, unsigned a)
{
    k->back = x64_at(&x->c);
    k->base = (uint8_t)a;
    k->op = in->op;
    k->aux = in->aux;
    k->xmm_live = x64_xmm_live(x);
    if (x->val[x->i].last != 0)
        x64_mov_rr(&x->c, x64_def(x), RAX);
}

static void to_int64(struct x64_emitter *x, uint8_t aux, unsigned a)
{
    struct x64_code *c = &x->c;
    bool wide = ir_fp_width(aux) == 64;

    if (ir_fp_rm(aux) == IR_RM_RTZ)
        (wide ? x64_vcvttsd2si_rrr : x64_vcvttss2si_rrr)(c, RAX, 0, a);
    else
        (wide ? x64_vcvtsd2si_rrr : x64_vcvtss2si_rrr)(c, RAX, 0, a);
}

/* To a signed integer. The host gives the least integer, and raises invalid alone,
 * when the value does not fit: that result goes to the rules, which saturate. */
static void to_signed(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;
    bool truncate = ir_fp_rm(in->aux) == IR_RM_RTZ;
    unsigned a = x64_fp_operand(x, in, in->a);

    if (in->op == IR_f2s64) {
        to_int64(x, in->aux, a);
        x64_cmp_ri(c, RAX, 1); /* overflows for the least integer only */
    } else {
        if (truncate)
            (is64(in) ? x64_vcvttsd2si32_rrr : x64_vcvttss2si32_rrr)(c, RAX, 0, a);
        else
            (is64(in) ? x64_vcvtsd2si32_rrr : x64_vcvtss2si32_rrr)(c, RAX, 0, a);
        x64_movsxd_rr(c, RAX, RAX);
        x64_cmp32_ri(c, RAX, 1);
    }
    finish(x, in, x64_cold_add(x, cold_to_int, x64_jcc(c, CC_O)), a);
}

/* Sign and biased exponent, in eax. */
static void exponent(struct x64_emitter *x, bool wide, unsigned a)
{
    x64_vmovq_rx_rr(&x->c, RAX, a);
    if (wide)
        x64_shr_ri8(&x->c, RAX, 52);
    else
        x64_shr32_ri8(&x->c, RAX, 23);
}

/* eax: sign and exponent. 2^63 up to 2^64: converted less 2^63, which is exact. */
static void cold_to_u64(struct x64_emitter *x, const struct x64_cold *k)
{
    struct x64_code *c = &x->c;
    bool wide = ir_fp_width(k->aux) == 64;

    x64_cmp32_ri(c, RAX, (wide ? 1023 : 127) + 63);
    uint32_t other = x64_jcc(c, CC_NE);

    x64_mov_imm(c, RAX, wide ? UINT64_C(0x43e0000000000000) : 0x5f000000);
    x64_vmovq_xr_rrr(c, 0, 0, RAX);
    (wide ? x64_vsubsd_rrr : x64_vsubss_rrr)(c, 0, k->base, 0);
    to_int64(x, k->aux, 0);
    x64_mov_imm(c, RCX, UINT64_C(1) << 63);
    x64_xor_rr(c, RAX, RCX);
    x64_fix(c, x64_jmp(c), k->back);
    x64_fix(c, other, x64_at(c));
    cold_to_int(x, k);
}

/* To an unsigned integer: inline for what is not negative and small enough. A 32-bit result
 * must not be rounded up to 2^32. */
static void to_unsigned(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;
    bool narrow = in->op == IR_f2u32;
    int limit = !narrow ? 63 : ir_fp_rm(in->aux) == IR_RM_RTZ ? 32 : 31;
    unsigned a = x64_fp_operand(x, in, in->a);

    exponent(x, is64(in), a);
    x64_cmp32_ri(c, RAX, (is64(in) ? 1023 : 127) + limit);
    struct x64_cold *k = x64_cold_add(x, narrow ? cold_to_int : cold_to_u64, x64_jcc(c, CC_AE));

    to_int64(x, in->aux, a);
    if (narrow)
        x64_movsxd_rr(c, RAX, RAX);
    finish(x, in, k, a);
}

/* ---- From an integer, between widths ------------------------------------------------------ */

/* xmm0: upper half all ones, and new, so that a result does not wait for an old value. */
static void ones(struct x64_emitter *x)
{
    x64_vpcmpeqd_rrr(&x->c, 0, 0, 0);
}

static void from_gpr(struct x64_emitter *x, bool wide, unsigned d, unsigned r)
{
    (wide ? x64_vcvtsi2sd_rrr : x64_vcvtsi2ss_rrr)(&x->c, d, 0, r);
}

/* base: an integer of 2^63 or more. Half of it, with what is cut off kept in the lowest bit,
 * rounds as the whole would. */
static void cold_from_u64(struct x64_emitter *x, const struct x64_cold *k)
{
    struct x64_code *c = &x->c;
    bool wide = ir_fp_width(k->aux) == 64;

    x64_mov_rr(c, RAX, k->base);
    x64_mov32_rr(c, RCX, k->base);
    x64_shr_ri8(c, RAX, 1);
    x64_and32_ri(c, RCX, 1);
    x64_or_rr(c, RAX, RCX);
    from_gpr(x, wide, k->dst, RAX);
    (wide ? x64_vaddsd_rrr : x64_vaddss_rrr)(c, k->dst, k->dst, k->dst);
    x64_fix(c, x64_jmp(c), k->back);
}

static void from_int(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;
    unsigned a = x64_gpr(x, in->a);
    unsigned d = x64_def_xmm(x);
    struct x64_cold *k = NULL;

    ones(x);
    if (in->op == IR_s32f) {
        x64_movsxd_rr(c, RAX, a);
        a = RAX;
    } else if (in->op == IR_u32f) {
        x64_mov32_rr(c, RAX, a);
        a = RAX;
    } else if (in->op == IR_u64f) {
        x64_test_rr(c, a, a);
        k = x64_cold_add(x, cold_from_u64, x64_jcc(c, CC_S));
    }
    from_gpr(x, is64(in), d, a);
    x->val[x->i].boxed = !is64(in);
    if (k) {
        k->back = x64_at(c);
        k->dst = (uint8_t)d;
        k->base = (uint8_t)a;
        k->aux = in->aux;
    }
}

static void convert(struct x64_emitter *x, const struct ir_insn *in)
{
    unsigned a = x64_fp_operand(x, in, in->a);
    unsigned d = x64_def_xmm(x);
    bool widens = in->op == IR_f32to64;

    if (widens) {
        x64_vcvtss2sd_rrr(&x->c, d, a, a);
    } else {
        ones(x);
        x64_vcvtsd2ss_rrr(&x->c, d, 0, a);
    }
    x64_nan_result(x, d, widens ? 64 : 32);
    x->val[x->i].boxed = !widens;
}

/* ---- Class ---------------------------------------------------------------------------------- */

static void bits_at_the_top(struct x64_emitter *x, bool wide, unsigned a)
{
    x64_vmovq_rx_rr(&x->c, RAX, a);
    if (!wide)
        x64_shl_ri8(&x->c, RAX, 32);
}

/* ecx + 1 unless rax (or eax) is below the limit. */
static void count_from(struct x64_emitter *x, bool wide, int32_t limit)
{
    if (wide)
        x64_cmp_ri(&x->c, RAX, limit);
    else
        x64_cmp32_ri(&x->c, RAX, limit);
    x64_sbb32_ri(&x->c, RCX, -1);
}

static void class_is_bit_rcx(struct x64_emitter *x, const struct x64_cold *k)
{
    x64_mov_imm(&x->c, RAX, 1);
    x64_shlx_rrr(&x->c, RAX, RCX, RAX);
    x64_fix(&x->c, x64_jmp(&x->c), k->back);
}

/* What is not normal: bit 4 for zero, 5 for subnormal, 7 for infinite; 7 less that when
 * negative; 8 for a signalling NaN, 9 for a quiet one. */
static void cold_class(struct x64_emitter *x, const struct x64_cold *k)
{
    struct x64_code *c = &x->c;
    bool wide = ir_fp_width(k->aux) == 64;

    bits_at_the_top(x, wide, k->base);
    x64_add_rr(c, RAX, RAX); /* without sign */
    x64_mov_imm(c, RCX, wide ? UINT64_C(0xffe0000000000000) : UINT64_C(0xff00000000000000));
    x64_cmp_rr(c, RAX, RCX);
    uint32_t nan = x64_jcc(c, CC_A);

    x64_mov_imm(c, RCX, 4);
    count_from(x, true, 1);
    x64_shr_ri8(c, RAX, wide ? 53 : 56);
    count_from(x, false, 1);
    count_from(x, false, wide ? 2047 : 255);
    bits_at_the_top(x, wide, k->base);
    x64_sar_ri8(c, RAX, 63);
    x64_and32_ri(c, RAX, 7);
    x64_xor_rr(c, RCX, RAX);
    class_is_bit_rcx(x, k);
    x64_fix(c, nan, x64_at(c));
    x64_shr_ri8(c, RAX, ir_fp_width(k->aux) == 64 ? 52 : 55);
    x64_and32_ri(c, RAX, 1); /* quiet */
    x64_mov_imm(c, RCX, 8);
    x64_or_rr(c, RCX, RAX);
    class_is_bit_rcx(x, k);
}

/* A normal number, inline: bit 6, or bit 1 when it is negative. */
static void class(struct x64_emitter *x, const struct ir_insn *in)
{
    enum { POSITIVE = 1 << 6, NEGATIVE = 1 << 1 };
    struct x64_code *c = &x->c;
    bool wide = is64(in);
    int infinite = wide ? 2047 : 255;
    unsigned a = x64_fp_operand(x, in, in->a);

    bits_at_the_top(x, wide, a);
    x64_mov_rr(c, RCX, RAX);
    x64_shr_ri8(c, RCX, wide ? 52 : 55);
    x64_and32_ri(c, RCX, infinite);
    x64_add_ri(c, RCX, -1);
    x64_cmp_ri(c, RCX, infinite - 1);
    struct x64_cold *k = x64_cold_add(x, cold_class, x64_jcc(c, CC_AE));

    x64_sar_ri8(c, RAX, 63);
    x64_and32_ri(c, RAX, POSITIVE ^ NEGATIVE);
    x64_xor_ri(c, RAX, POSITIVE);
    k->back = x64_at(c);
    k->base = (uint8_t)a;
    k->aux = in->aux;
    if (x->val[x->i].last != 0)
        x64_mov_rr(c, x64_def(x), RAX);
}

/* ---- Flags ---------------------------------------------------------------------------------- */

enum { MXCSR_FLAGS = 0x3d }; /* without the denormal flag, which no guest has */

/* d = the byte of a table in the state that rax counts to. */
static void look_up(struct x64_emitter *x, unsigned d, size_t table)
{
    struct x64_mem m = x64_state_at(table);

    m.index = RAX;
    x64_movzx8_rm(&x->c, d, m);
}

/* eax: which flags change; ecx: MXCSR. */
static void cold_set_flags(struct x64_emitter *x, const struct x64_cold *k)
{
    struct x64_code *c = &x->c;

    x64_xor32_rr(c, RCX, RAX);
    x64_mov32_mr(c, STATE_MEM(scratch[0]), RCX);
    x64_ldmxcsr(c, STATE_MEM(scratch[0]));
    x64_fix(c, x64_jmp(c), k->back);
}

/* Writing MXCSR is slow: most writes give back what a read has taken, around a comparison
 * that raised nothing, and change nothing. */
void x64_emit_fflags(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;

    x64_stmxcsr(c, STATE_MEM(scratch[0]));
    if (in->op == IR_getfflags) {
        x64_mov32_rm(c, RAX, STATE_MEM(scratch[0]));
        x64_and32_ri(c, RAX, 63);
        look_up(x, x64_def(x), offsetof(struct cpu_state, fflags_of_mxcsr));
        return;
    }
    x64_mov32_rr(c, RAX, x64_gpr(x, in->a));
    x64_and32_ri(c, RAX, 31);
    look_up(x, RAX, offsetof(struct cpu_state, mxcsr_of_fflags));
    x64_mov32_rm(c, RCX, STATE_MEM(scratch[0]));
    x64_xor32_rr(c, RAX, RCX);
    x64_and32_ri(c, RAX, MXCSR_FLAGS);
    struct x64_cold *k = x64_cold_add(x, cold_set_flags, x64_jcc(c, CC_NE));

    k->back = x64_at(c);
}

bool x64_emit_fp_convert(struct x64_emitter *x, const struct ir_insn *in)
{
    switch (in->op) {
    case IR_f2s32:
    case IR_f2s64: to_signed(x, in); return true;
    case IR_f2u32:
    case IR_f2u64: to_unsigned(x, in); return true;
    case IR_s32f:
    case IR_u32f:
    case IR_s64f:
    case IR_u64f: from_int(x, in); return true;
    case IR_f32to64:
    case IR_f64to32: convert(x, in); return true;
    case IR_fclass: class(x, in); return true;
    default: return false;
    }
}
