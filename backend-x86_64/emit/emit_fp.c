/* Floating point in SSE registers. MXCSR holds the guest's dynamic rounding mode
 * and collects its flags, so an operation is inline when its rounding mode is the
 * dynamic one or does not matter; otherwise it is a call of the rules in integer
 * arithmetic (IR_HELP_fp). What x86 does differently is repaired out of line:
 *   - a NaN result becomes the canonical NaN (RISC-V unprivileged, 11.3);
 *   - fma(inf, 0, qNaN) must raise invalid (11.2): an FMA that gives NaN is
 *     computed again by the rules, for its flags too;
 *   - out-of-range conversions saturate. */
#include "backend-x86_64/x64_int.h"
#include "dbt/base/check.h"

static const uint64_t canonical_nan[2] = {0xffffffff7fc00000, 0x7ff8000000000000};

typedef void vop(struct x64_code *c, unsigned d, unsigned v, unsigned rm);

static bool is64(const struct ir_insn *in)
{
    return ir_fp_width(in->aux) == 64;
}

static void xmm_mov(struct x64_emitter *x, unsigned d, unsigned s)
{
    if (d != s)
        x64_vmovapd_rrr(&x->c, d, 0, s);
}

/* ---- Calls of the rules ------------------------------------------------------------ */

static void by_rules(struct x64_emitter *x, const struct ir_insn *in)
{
    x64_put_operand(x, 0, in->a);
    x64_put_operand(x, 1, in->b);
    x64_put_operand(x, 2, in->c);
    x64_claim_all(x);
    x64_call_helper(x, IR_HELP_fp, in->op | (uint32_t)in->aux << 8);
    if (x->val[x->i].last == 0)
        return;
    if (ir_ops[in->op].result == 'F')
        x64_vmovq_xr_rrr(&x->c, x64_def_xmm(x), 0, RAX);
    else
        x64_mov_rr(&x->c, x64_def(x), RAX);
}

/* ---- Arithmetic --------------------------------------------------------------------- */

static void cold_nan(struct x64_emitter *x, const struct x64_cold *k)
{
    x64_mov_imm(&x->c, RAX, canonical_nan[ir_fp_width(k->aux) == 64]);
    x64_vmovq_xr_rrr(&x->c, k->dst, 0, RAX);
    x64_fix(&x->c, x64_jmp(&x->c), k->back);
}

/* Width of the result: a conversion between the two has the other one than its source. */
static unsigned result_width(const struct ir_insn *in)
{
    if (in->op == IR_f32to64)
        return 64;
    return in->op == IR_f64to32 ? 32 : ir_fp_width(in->aux);
}

static void fix_nan(struct x64_emitter *x, const struct ir_insn *in, unsigned d)
{
    unsigned width = result_width(in);

    if (width == 64)
        x64_vucomisd_rrr(&x->c, d, 0, d);
    else
        x64_vucomiss_rrr(&x->c, d, 0, d);
    struct x64_cold *k = x64_cold_add(x, cold_nan, x64_jcc(&x->c, CC_P));

    k->back = x64_at(&x->c);
    k->dst = (uint8_t)d;
    k->aux = IR_FP(width, 0);
}

static void arithmetic(struct x64_emitter *x, const struct ir_insn *in, vop *op64, vop *op32)
{
    unsigned a = x64_xmm(x, in->a);
    unsigned b = ir_is_none(in->b) ? a : x64_xmm(x, in->b);
    unsigned d = x64_def_xmm(x);

    (is64(in) ? op64 : op32)(&x->c, d, a, b);
    fix_nan(x, in, d);
}

/* base, val, disp: the registers of a, b, c. */
static void cold_fma(struct x64_emitter *x, const struct x64_cold *k)
{
    struct x64_code *c = &x->c;
    const uint8_t operand[3] = {k->base, k->val, (uint8_t)k->disp};

    for (unsigned n = 0; n < 3; n++)
        x64_vmovq_mx_mr(c, x64_state_at(offsetof(struct cpu_state, scratch) + 8 * n), operand[n]);
    x64_keep_xmm(x, k->xmm_live, false);
    x64_mov_imm(c, RAX, IR_HELP_fp);
    x64_mov32_mi(c, STATE_MEM(helper_k), (int32_t)(IR_ffma | (uint32_t)k->aux << 8));
    x64_call_stub(x, X64_STUB_CALL);
    x64_keep_xmm(x, k->xmm_live, true);
    x64_vmovq_xr_rrr(c, 0, 0, RAX);
    x64_fix(c, x64_jmp(c), k->back);
}

static void fused(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;
    unsigned a = x64_xmm(x, in->a);
    unsigned b = x64_xmm(x, in->b);
    unsigned addend = x64_xmm(x, in->c);

    x64_vmovapd_rrr(c, 0, 0, a);
    if (is64(in)) {
        x64_vfmadd213sd_rrr(c, 0, b, addend);
        x64_vucomisd_rrr(c, 0, 0, 0);
    } else {
        x64_vfmadd213ss_rrr(c, 0, b, addend);
        x64_vucomiss_rrr(c, 0, 0, 0);
    }
    struct x64_cold *k = x64_cold_add(x, cold_fma, x64_jcc(c, CC_P));

    k->back = x64_at(c);
    k->base = (uint8_t)a;
    k->val = (uint8_t)b;
    k->disp = (int32_t)addend;
    k->aux = in->aux;
    k->xmm_live = x64_xmm_live(x);
    if (x->val[x->i].last != 0)
        x64_vmovapd_rrr(c, x64_def_xmm(x), 0, 0);
}

/* ---- Comparison, sign, boxes ----------------------------------------------------------- */

static void compare(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;
    unsigned a = x64_xmm(x, in->a);
    unsigned b = x64_xmm(x, in->b);

    if (in->op == IR_feq) {
        (is64(in) ? x64_vucomisd_rrr : x64_vucomiss_rrr)(c, a, 0, b);
        x64_setcc(c, CC_NP, RAX);
        x64_setcc(c, CC_E, RCX);
        x64_movzx8_rr(c, RCX, RCX);
        x64_and_rr(c, RAX, RCX);
        x64_and_ri(c, RAX, 1);
    } else {
        /* b above a: false when unordered, since CF is set then. */
        (is64(in) ? x64_vcomisd_rrr : x64_vcomiss_rrr)(c, b, 0, a);
        x64_setcc(c, in->op == IR_flt ? CC_A : CC_AE, RAX);
        x64_movzx8_rr(c, RAX, RAX);
    }
    if (x->val[x->i].last != 0)
        x64_mov_rr(c, x64_def(x), RAX);
}

static void sign(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;
    struct x64_mem mask = is64(in) ? STATE_MEM(fp_sign64) : STATE_MEM(fp_sign32);
    unsigned a = x64_xmm(x, in->a);
    unsigned b = x64_xmm(x, in->b);

    x64_vmovq_xm_rrm(c, 0, 0, mask);
    unsigned d = x64_def_xmm(x);

    if (in->op == IR_fsgnjx) {
        x64_vandpd_rrr(c, 1, 0, b);
        x64_vxorpd_rrr(c, d, a, 1);
        return;
    }
    if (in->op == IR_fsgnjn && a == b) {
        x64_vxorpd_rrr(c, d, a, 0);
        return;
    }
    if (in->op == IR_fsgnjn)
        x64_vandnpd_rrr(c, 1, b, 0); /* ~b & mask */
    else
        x64_vandpd_rrr(c, 1, b, 0);
    x64_vandnpd_rrr(c, 0, 0, a); /* ~mask & a */
    x64_vorpd_rrr(c, d, 0, 1);
}

static void unbox(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;
    unsigned a = x64_xmm(x, in->a);
    unsigned d = x64_def_xmm(x);

    x64_vmovq_rx_rr(c, RAX, a);
    xmm_mov(x, d, a);
    x64_shr_ri8(c, RAX, 32);
    x64_add_ri(c, RAX, 1); /* 2^32 when all ones */
    x64_shr_ri8(c, RAX, 32);
    struct x64_cold *k = x64_cold_add(x, cold_nan, x64_jcc(c, CC_E));

    k->back = x64_at(c);
    k->dst = (uint8_t)d;
    k->aux = IR_FP(32, 0);
}

/* ---- Conversions ------------------------------------------------------------------------ */

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

/* To a signed integer. The host gives the least integer, and raises invalid alone,
 * when the value does not fit: that result goes to the rules, which saturate. */
static void to_signed(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;
    bool truncate = ir_fp_rm(in->aux) == IR_RM_RTZ;
    unsigned a = x64_xmm(x, in->a);

    if (in->op == IR_f2s64) {
        if (truncate)
            (is64(in) ? x64_vcvttsd2si_rrr : x64_vcvttss2si_rrr)(c, RAX, 0, a);
        else
            (is64(in) ? x64_vcvtsd2si_rrr : x64_vcvtss2si_rrr)(c, RAX, 0, a);
        x64_cmp_ri(c, RAX, 1); /* overflows for the least integer only */
    } else {
        if (truncate)
            (is64(in) ? x64_vcvttsd2si32_rrr : x64_vcvttss2si32_rrr)(c, RAX, 0, a);
        else
            (is64(in) ? x64_vcvtsd2si32_rrr : x64_vcvtss2si32_rrr)(c, RAX, 0, a);
        x64_movsxd_rr(c, RAX, RAX);
        x64_cmp32_ri(c, RAX, 1);
    }
    struct x64_cold *k = x64_cold_add(x, cold_to_int, x64_jcc(c, CC_O));

    k->back = x64_at(c);
    k->base = (uint8_t)a;
    k->op = in->op;
    k->aux = in->aux;
    k->xmm_live = x64_xmm_live(x);
    if (x->val[x->i].last != 0)
        x64_mov_rr(c, x64_def(x), RAX);
}

static void from_int(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;
    unsigned a = x64_gpr(x, in->a);

    if (in->op == IR_s32f) {
        x64_movsxd_rr(c, RAX, a);
        a = RAX;
    } else if (in->op == IR_u32f) {
        x64_mov32_rr(c, RAX, a);
        a = RAX;
    }
    unsigned d = x64_def_xmm(x);

    x64_vxorpd_rrr(c, d, d, d); /* else the result would wait for d's old value */
    (is64(in) ? x64_vcvtsi2sd_rrr : x64_vcvtsi2ss_rrr)(c, d, d, a);
}

static void convert(struct x64_emitter *x, const struct ir_insn *in)
{
    unsigned a = x64_xmm(x, in->a);
    unsigned d = x64_def_xmm(x);

    if (in->op == IR_f32to64)
        x64_vcvtss2sd_rrr(&x->c, d, a, a);
    else
        x64_vcvtsd2ss_rrr(&x->c, d, a, a);
    fix_nan(x, in, d);
}

/* ---- Registers ------------------------------------------------------------------------- */

static void registers(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;

    switch (in->op) {
    case IR_getf: (void)x64_def_xmm(x); break;
    case IR_setf: {
        unsigned r = x64_xmm(x, in->a);
        unsigned pin = x->fpin_of_guest[in->imm];

        if (pin != X64_NO_REG) {
            if (r != pin)
                x64_claim_fp(x, (unsigned)in->imm);
            xmm_mov(x, pin, r);
            break;
        }
        x64_claim_fp(x, (unsigned)in->imm);
        x64_vmovq_mx_mr(c, x64_guest_reg(STATE_FP + (unsigned)in->imm), r);
        x64_at_home(x, in->a.n, STATE_FP + (unsigned)in->imm);
        break;
    }
    case IR_f2i: {
        unsigned a = x64_xmm(x, in->a);

        x64_vmovq_rx_rr(c, x64_def(x), a);
        break;
    }
    case IR_i2f: {
        unsigned a = x64_gpr(x, in->a);

        x64_vmovq_xr_rrr(c, x64_def_xmm(x), 0, a);
        break;
    }
    default: { /* box32 */
        unsigned a = x64_xmm(x, in->a);

        x64_vorpd_rrm(c, x64_def_xmm(x), a, STATE_MEM(fp_box));
    }
    }
}

/* Can the host do it under the rounding mode that MXCSR holds? */
static bool rounds_inline(const struct ir_insn *in)
{
    unsigned rm = ir_fp_rm(in->aux);

    switch (in->op) {
    case IR_f32to64: return true; /* exact */
    case IR_s32f:
    case IR_u32f: return rm == IR_RM_DYN || is64(in);
    case IR_f2s32:
    case IR_f2s64: return rm == IR_RM_DYN || rm == IR_RM_RTZ;
    case IR_feq:
    case IR_flt:
    case IR_fle: return true;
    default: return rm == IR_RM_DYN;
    }
}

void x64_emit_fp(struct x64_emitter *x, const struct ir_insn *in)
{
    switch (in->op) {
    case IR_getf:
    case IR_setf:
    case IR_f2i:
    case IR_i2f:
    case IR_box32: registers(x, in); return;
    case IR_unbox32: unbox(x, in); return;
    case IR_fsgnj:
    case IR_fsgnjn:
    case IR_fsgnjx: sign(x, in); return;
    default: break;
    }
    if (!rounds_inline(in)) {
        by_rules(x, in);
        return;
    }
    switch (in->op) {
    case IR_fadd: arithmetic(x, in, x64_vaddsd_rrr, x64_vaddss_rrr); break;
    case IR_fsub: arithmetic(x, in, x64_vsubsd_rrr, x64_vsubss_rrr); break;
    case IR_fmul: arithmetic(x, in, x64_vmulsd_rrr, x64_vmulss_rrr); break;
    case IR_fdiv: arithmetic(x, in, x64_vdivsd_rrr, x64_vdivss_rrr); break;
    case IR_fsqrt: arithmetic(x, in, x64_vsqrtsd_rrr, x64_vsqrtss_rrr); break;
    case IR_ffma: fused(x, in); break;
    case IR_feq:
    case IR_flt:
    case IR_fle: compare(x, in); break;
    case IR_f2s32:
    case IR_f2s64: to_signed(x, in); break;
    case IR_s32f:
    case IR_u32f:
    case IR_s64f: from_int(x, in); break;
    case IR_f32to64:
    case IR_f64to32: convert(x, in); break;
    default: by_rules(x, in);
    }
}
