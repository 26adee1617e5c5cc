/* Floating point in SSE registers. MXCSR holds the guest's dynamic rounding mode
 * and collects its flags, so an operation is inline when its rounding mode is the
 * dynamic one or does not matter; otherwise it is a call of the rules in integer
 * arithmetic (IR_HELP_fp). What x86 does differently is repaired out of line:
 *   - a NaN result becomes the canonical NaN before its bits are seen (emit_nan.c);
 *   - fma(inf, 0, qNaN) must raise invalid (11.2): where an FMA gives NaN its product is
 *     looked at;
 *   - minimum and maximum of a NaN and a number is the number.
 *
 * A scalar operation leaves the upper half of its first operand in the result. So a 32-bit
 * result is boxed when that operand was: `boxed` follows values, and box32 is then no code. */
#include "backend-x86_64/x64_int.h"
#include "dbt/base/check.h"

const uint64_t x64_canonical_nan[2] = {0xffffffff7fc00000, 0x7ff8000000000000};

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
    x64_nan_flush(x);
    x64_put_operand(x, 0, in->a);
    x64_put_operand(x, 1, in->b);
    x64_put_operand(x, 2, in->c);
    x64_claim_all(x);
    x64_call_helper(x, x->insn_off, IR_HELP_fp, in->op | (uint32_t)in->aux << 8);
    if (x->val[x->i].last == 0)
        return;
    if (ir_ops[in->op].result == 'F')
        x64_vmovq_xr_rrr(&x->c, x64_def_xmm(x), 0, RAX);
    else
        x64_mov_rr(&x->c, x64_def(x), RAX);
}

/* ---- Arithmetic --------------------------------------------------------------------- */

/* The result has the upper half of r. */
static void boxed_like(struct x64_emitter *x, const struct ir_insn *in, ir_ref r)
{
    x->val[x->i].boxed = !is64(in) && x->val[r.n].boxed;
}

static void arithmetic(struct x64_emitter *x, const struct ir_insn *in, vop *op64, vop *op32)
{
    unsigned a = x64_fp_operand(x, in, in->a);
    unsigned b = ir_is_none(in->b) ? a : x64_fp_operand(x, in, in->b);
    unsigned d = x64_def_xmm(x);

    (is64(in) ? op64 : op32)(&x->c, d, a, b);
    x64_nan_result(x, d, ir_fp_width(in->aux));
    boxed_like(x, in, in->a);
}

/* dst; base, val: the registers of a and b; imm: registers to repair with it, 32-bit ones
 * below. The result is a NaN. Invalid was raised unless the addend was a quiet NaN: then a
 * multiplication tells, of whose flags only that one counts. */
static void cold_fma(struct x64_emitter *x, const struct x64_cold *k)
{
    struct x64_code *c = &x->c;
    bool wide = ir_fp_width(k->aux) == 64;

    x64_stmxcsr(c, STATE_MEM(scratch[0]));
    (wide ? x64_vmulsd_rrr : x64_vmulss_rrr)(c, 1, k->base, k->val);
    x64_stmxcsr(c, STATE_MEM(scratch[1]));
    x64_mov32_rm(c, RAX, STATE_MEM(scratch[1]));
    x64_and32_ri(c, RAX, 1);
    x64_mov32_rm(c, RCX, STATE_MEM(scratch[0]));
    x64_or_rr(c, RAX, RCX);
    x64_mov32_mr(c, STATE_MEM(scratch[0]), RAX);
    x64_ldmxcsr(c, STATE_MEM(scratch[0]));
    x64_mov_imm(c, RAX, x64_canonical_nan[wide]);
    x64_vmovq_xr_rrr(c, k->dst, 0, RAX);
    x64_nan_repair(x, (uint32_t)k->imm, (uint32_t)(k->imm >> 32));
    x64_fix(c, x64_jmp(c), k->back);
}

/* d = a * b + addend, in the form whose first operand d already is; a and b are kept, in
 * xmm0 if need be, for the cold part. */
static void multiply_add(struct x64_emitter *x, bool wide, unsigned d, unsigned *a, unsigned *b,
                         unsigned addend)
{
    struct x64_code *c = &x->c;

    if (d != *a && d != *b) {
        xmm_mov(x, d, addend);
        (wide ? x64_vfmadd231sd_rrr : x64_vfmadd231ss_rrr)(c, d, *a, *b);
        return;
    }
    unsigned other = d == *a ? *b : *a;

    x64_vmovapd_rrr(c, 0, 0, d);
    (wide ? x64_vfmadd213sd_rrr : x64_vfmadd213ss_rrr)(c, d, other, addend);
    *a = *a == d ? 0 : *a;
    *b = *b == d ? 0 : *b;
}

static void fused(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;
    unsigned a = x64_fp_operand(x, in, in->a);
    unsigned b = x64_fp_operand(x, in, in->b);
    unsigned addend = x64_fp_operand(x, in, in->c);
    unsigned d = x64_def_xmm(x);

    boxed_like(x, in, d == a ? in->a : d == b ? in->b : in->c);
    multiply_add(x, is64(in), d, &a, &b, addend);
    (is64(in) ? x64_vucomisd_rrr : x64_vucomiss_rrr)(c, d, 0, d);
    struct x64_cold *k = x64_cold_add(x, cold_fma, x64_jcc(c, CC_P));

    k->back = x64_at(c);
    k->dst = (uint8_t)d;
    k->base = (uint8_t)a;
    k->val = (uint8_t)b;
    k->aux = in->aux;
    k->imm = x64_nan_settled(x);
}

/* a or b is a NaN; invalid was raised if one is signalling. The other is the result. */
static void cold_number(struct x64_emitter *x, const struct x64_cold *k)
{
    struct x64_code *c = &x->c;
    bool wide = ir_fp_width(k->aux) == 64;
    vop *look = wide ? x64_vucomisd_rrr : x64_vucomiss_rrr;

    look(c, k->base, 0, k->base);
    uint32_t a_is_number = x64_jcc(c, CC_NP);

    look(c, k->val, 0, k->val);
    uint32_t b_is_number = x64_jcc(c, CC_NP);

    x64_mov_imm(c, RAX, x64_canonical_nan[wide]);
    x64_vmovq_xr_rrr(c, k->dst, 0, RAX);
    x64_fix(c, x64_jmp(c), k->back);
    x64_fix(c, a_is_number, x64_at(c));
    xmm_mov(x, k->dst, k->base);
    x64_fix(c, x64_jmp(c), k->back);
    x64_fix(c, b_is_number, x64_at(c));
    xmm_mov(x, k->dst, k->val);
    x64_fix(c, x64_jmp(c), k->back);
}

/* The host gives its second operand when the two are equal, as zeros of either sign are:
 * both ways, the bits joined, give -0 for the minimum and +0 for the maximum. */
static void min_max(struct x64_emitter *x, const struct ir_insn *in, vop *op64, vop *op32)
{
    struct x64_code *c = &x->c;
    vop *op = is64(in) ? op64 : op32;
    unsigned a = x64_fp_operand(x, in, in->a);
    unsigned b = x64_fp_operand(x, in, in->b);
    unsigned d = x64_def_xmm(x);

    (is64(in) ? x64_vucomisd_rrr : x64_vucomiss_rrr)(c, a, 0, b);
    struct x64_cold *k = x64_cold_add(x, cold_number, x64_jcc(c, CC_P));

    op(c, 0, a, b);
    op(c, 1, b, a);
    (in->op == IR_fmin ? x64_vorpd_rrr : x64_vandpd_rrr)(c, d, 0, 1);
    k->back = x64_at(c);
    k->dst = (uint8_t)d;
    k->base = (uint8_t)a;
    k->val = (uint8_t)b;
    k->aux = in->aux;
    x->val[x->i].boxed = !is64(in) && x->val[in->a.n].boxed && x->val[in->b.n].boxed;
}

/* ---- Comparison, sign, boxes ----------------------------------------------------------- */

/* The register, or its copy in a scratch one, for what has no EVEX form. */
static unsigned low(struct x64_emitter *x, unsigned scratch, unsigned r)
{
    if (r < 16)
        return r;
    x64_vmovapd_rrr(&x->c, scratch, 0, r);
    return scratch;
}

static void compare(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;
    unsigned a = x64_fp_operand(x, in, in->a);
    unsigned b = x64_fp_operand(x, in, in->b);

    if (in->op == IR_feq) {
        x64_vcmpeq(c, is64(in), 0, low(x, 0, a), low(x, 1, b));
        x64_vmovq_rx_rr(c, RAX, 0);
        x64_and32_ri(c, RAX, 1);
        if (x->val[x->i].last != 0)
            x64_mov_rr(c, x64_def(x), RAX);
        return;
    }
    /* b above a: false when unordered, since CF is set then. */
    (is64(in) ? x64_vcomisd_rrr : x64_vcomiss_rrr)(c, b, 0, a);
    if (x->val[x->i].last == 0)
        return;
    x64_setcc(c, in->op == IR_flt ? CC_A : CC_AE, RAX);
    x64_movzx8_rr(c, x64_def(x), RAX);
}

/* fneg, fabs and the two others that look at one operand only. */
static void sign_of_itself(struct x64_emitter *x, const struct ir_insn *in, struct x64_mem mask)
{
    struct x64_code *c = &x->c;
    unsigned a = x64_fp_bits(x, in->a);
    unsigned d = x64_def_xmm(x);

    boxed_like(x, in, in->a);
    switch (in->op) {
    case IR_fsgnj: xmm_mov(x, d, a); break;
    case IR_fsgnjn: x64_vxorpd_rrm(c, d, a, mask); break;
    default: x64_vmovq_xm_rrm(c, 0, 0, mask); x64_vandnpd_rrr(c, d, 0, a); /* ~mask & a */
    }
}

static void sign(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;
    struct x64_mem mask = is64(in) ? STATE_MEM(fp_sign64) : STATE_MEM(fp_sign32);

    if (in->a.n == in->b.n) {
        sign_of_itself(x, in, mask);
        return;
    }
    unsigned a = x64_fp_bits(x, in->a);
    unsigned b = x64_fp_bits(x, in->b);
    unsigned d = x64_def_xmm(x);

    boxed_like(x, in, in->a);
    if (in->op == IR_fsgnjx) {
        x64_vandpd_rrm(c, 1, b, mask);
        x64_vxorpd_rrr(c, d, a, 1);
        return;
    }
    x64_vmovq_xm_rrm(c, 0, 0, mask);
    if (in->op == IR_fsgnjn)
        x64_vandnpd_rrr(c, 1, b, 0); /* ~b & mask */
    else
        x64_vandpd_rrr(c, 1, b, 0);
    x64_vandnpd_rrr(c, 0, 0, a); /* ~mask & a */
    x64_vorpd_rrr(c, d, 0, 1);
}

static void cold_unboxed(struct x64_emitter *x, const struct x64_cold *k)
{
    x64_mov_imm(&x->c, RAX, x64_canonical_nan[0]);
    x64_vmovq_xr_rrr(&x->c, k->dst, 0, RAX);
    x64_fix(&x->c, x64_jmp(&x->c), k->back);
}

static void unbox(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;

    if (x->val[in->a.n].boxed) {
        x64_alias_xmm(x, in->a);
        return;
    }
    unsigned a = x64_fp_operand(x, in, in->a);
    bool noted = x->nan_from != 0;
    unsigned d = x64_def_xmm(x);

    xmm_mov(x, d, a);
    x64_vptest_rrm(c, low(x, 0, a), 0, STATE_MEM(fp_box));
    struct x64_cold *k = x64_cold_add(x, cold_unboxed, x64_jcc(c, CC_AE));

    k->back = x64_at(c);
    k->dst = (uint8_t)d;
    if (noted)
        x64_nan_result(x, d, 32);
    x->val[x->i].boxed = true;
}

static void box(struct x64_emitter *x, const struct ir_insn *in)
{
    if (x->val[in->a.n].boxed) {
        x64_alias_xmm(x, in->a);
        return;
    }
    unsigned a = x64_fp_operand(x, in, in->a);
    bool noted = x->nan_from != 0;
    unsigned d = x64_def_xmm(x);

    x64_vorpd_rrm(&x->c, d, a, STATE_MEM(fp_box));
    if (noted)
        x64_nan_result(x, d, 32);
    x->val[x->i].boxed = true;
}

/* ---- Registers ------------------------------------------------------------------------- */

static void set_register(struct x64_emitter *x, const struct ir_insn *in)
{
    unsigned pin = x->fpin_of_guest[in->imm];
    unsigned r = pin == X64_NO_REG ? x64_fp_bits(x, in->a) : x64_xmm(x, in->a);

    if (pin != X64_NO_REG) {
        if (r == pin)
            return;
        x64_claim_fp(x, (unsigned)in->imm);
        x64_vmovapd_rrr(&x->c, pin, 0, r);
        x64_nan_copied(x, pin, r);
        return;
    }
    x64_claim_fp(x, (unsigned)in->imm);
    x64_vmovq_mx_mr(&x->c, x64_guest_reg(STATE_FP + (unsigned)in->imm), r);
    x64_at_home(x, in->a.n, STATE_FP + (unsigned)in->imm);
}

static void from_bits(struct x64_emitter *x, const struct ir_insn *in)
{
    uint64_t value;

    if (ir_is_const(x->b, in->a, &value) && value == 0) {
        unsigned d = x64_def_xmm(x);

        x64_vxorpd_rrr(&x->c, d, d, d);
        return;
    }
    unsigned a = x64_gpr(x, in->a);

    x64_vmovq_xr_rrr(&x->c, x64_def_xmm(x), 0, a);
}

static void registers(struct x64_emitter *x, const struct ir_insn *in)
{
    struct x64_code *c = &x->c;

    switch (in->op) {
    case IR_getf:
        (void)x64_def_xmm(x);
        x->val[x->i].boxed = x64_is_single(x, in);
        break;
    case IR_setf: set_register(x, in); break;
    case IR_f2i: {
        unsigned a = x64_fp_bits(x, in->a);

        x64_vmovq_rx_rr(c, x64_def(x), a);
        break;
    }
    case IR_i2f: from_bits(x, in); break;
    case IR_box32: box(x, in); break;
    default: unbox(x, in);
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
    case IR_f2s64:
    case IR_f2u32:
    case IR_f2u64: return rm == IR_RM_DYN || rm == IR_RM_RTZ;
    case IR_fmin:
    case IR_fmax:
    case IR_fclass:
    case IR_feq:
    case IR_flt:
    case IR_fle: return true;
    default: return rm == IR_RM_DYN;
    }
}

void x64_emit_fp(struct x64_emitter *x, const struct ir_insn *in)
{
    switch (in->op) {
    case IR_getfflags:
    case IR_setfflags: x64_emit_fflags(x, in); return;
    case IR_getf:
    case IR_setf:
    case IR_f2i:
    case IR_i2f:
    case IR_box32:
    case IR_unbox32: registers(x, in); return;
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
    case IR_fmin: min_max(x, in, x64_vminsd_rrr, x64_vminss_rrr); break;
    case IR_fmax: min_max(x, in, x64_vmaxsd_rrr, x64_vmaxss_rrr); break;
    default: CHECK(x64_emit_fp_convert(x, in) && "every operation of ir.def has a case");
    }
}
