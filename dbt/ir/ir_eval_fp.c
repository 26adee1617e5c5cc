/* The meaning of the FPFLAGS rows: raw register bits in, raw register bits and
 * sticky flags out, on top of ir_fp.h. */
#include "dbt/ir/ir.h"

/* IE, DE, ZE, OE, UE, PE from bit 0 up; the guest's order is the other way. */
enum { MX_IE = 1, MX_ZE = 4, MX_OE = 8, MX_UE = 16, MX_PE = 32 };

uint32_t ir_fp_to_mxcsr(uint32_t flags)
{
    return (flags & IR_FP_NV ? MX_IE : 0) | (flags & IR_FP_DZ ? MX_ZE : 0) |
           (flags & IR_FP_OF ? MX_OE : 0) | (flags & IR_FP_UF ? MX_UE : 0) |
           (flags & IR_FP_NX ? MX_PE : 0);
}

uint32_t ir_fp_from_mxcsr(uint32_t mxcsr)
{
    return (mxcsr & MX_IE ? IR_FP_NV : 0) | (mxcsr & MX_ZE ? IR_FP_DZ : 0) |
           (mxcsr & MX_OE ? IR_FP_OF : 0) | (mxcsr & MX_UE ? IR_FP_UF : 0) |
           (mxcsr & MX_PE ? IR_FP_NX : 0);
}

static uint64_t boxed(uint32_t v)
{
    return UINT64_C(0xffffffff00000000) | v;
}

static uint64_t eval_32(enum ir_op op, enum ir_rm rm, uint64_t ra, uint64_t rb, uint64_t rc,
                        uint32_t *flags)
{
    uint32_t a = (uint32_t)ra, b = (uint32_t)rb, c = (uint32_t)rc;

    switch (op) {
    case IR_fadd: return boxed(ir_f32_add(a, b, rm, flags));
    case IR_fsub: return boxed(ir_f32_sub(a, b, rm, flags));
    case IR_fmul: return boxed(ir_f32_mul(a, b, rm, flags));
    case IR_fdiv: return boxed(ir_f32_div(a, b, rm, flags));
    case IR_fsqrt: return boxed(ir_f32_sqrt(a, rm, flags));
    case IR_ffma: return boxed(ir_f32_fma(a, b, c, rm, flags));
    case IR_fmin: return boxed(ir_f32_min(a, b, flags));
    case IR_fmax: return boxed(ir_f32_max(a, b, flags));
    case IR_feq: return (uint64_t)ir_f32_eq(a, b, flags);
    case IR_flt: return (uint64_t)ir_f32_lt(a, b, flags);
    case IR_fle: return (uint64_t)ir_f32_le(a, b, flags);
    case IR_fclass: return ir_f32_class(a);
    case IR_f2s32: return ir_f32_to_i32(a, rm, flags);
    case IR_f2u32: return ir_f32_to_u32(a, rm, flags);
    case IR_f2s64: return ir_f32_to_i64(a, rm, flags);
    case IR_f2u64: return ir_f32_to_u64(a, rm, flags);
    case IR_s32f: return boxed(ir_f32_from_i32(ra, rm, flags));
    case IR_u32f: return boxed(ir_f32_from_u32(ra, rm, flags));
    case IR_s64f: return boxed(ir_f32_from_i64(ra, rm, flags));
    case IR_u64f: return boxed(ir_f32_from_u64(ra, rm, flags));
    case IR_f32to64: return ir_f32_to_f64(a, flags);
    default: break;
    }
    CHECK(!"a 32-bit FPFLAGS operation");
    return 0;
}

static uint64_t eval_64(enum ir_op op, enum ir_rm rm, uint64_t a, uint64_t b, uint64_t c,
                        uint32_t *flags)
{
    switch (op) {
    case IR_fadd: return ir_f64_add(a, b, rm, flags);
    case IR_fsub: return ir_f64_sub(a, b, rm, flags);
    case IR_fmul: return ir_f64_mul(a, b, rm, flags);
    case IR_fdiv: return ir_f64_div(a, b, rm, flags);
    case IR_fsqrt: return ir_f64_sqrt(a, rm, flags);
    case IR_ffma: return ir_f64_fma(a, b, c, rm, flags);
    case IR_fmin: return ir_f64_min(a, b, flags);
    case IR_fmax: return ir_f64_max(a, b, flags);
    case IR_feq: return (uint64_t)ir_f64_eq(a, b, flags);
    case IR_flt: return (uint64_t)ir_f64_lt(a, b, flags);
    case IR_fle: return (uint64_t)ir_f64_le(a, b, flags);
    case IR_fclass: return ir_f64_class(a);
    case IR_f2s32: return ir_f64_to_i32(a, rm, flags);
    case IR_f2u32: return ir_f64_to_u32(a, rm, flags);
    case IR_f2s64: return ir_f64_to_i64(a, rm, flags);
    case IR_f2u64: return ir_f64_to_u64(a, rm, flags);
    case IR_s32f: return ir_f64_from_i32(a, rm, flags);
    case IR_u32f: return ir_f64_from_u32(a, rm, flags);
    case IR_s64f: return ir_f64_from_i64(a, rm, flags);
    case IR_u64f: return ir_f64_from_u64(a, rm, flags);
    case IR_f64to32: return boxed(ir_f64_to_f32(a, rm, flags));
    default: break;
    }
    CHECK(!"a 64-bit FPFLAGS operation");
    return 0;
}

uint64_t ir_eval_fp(enum ir_op op, uint8_t aux, unsigned fp_rm, uint64_t a, uint64_t b, uint64_t c,
                    uint32_t *flags)
{
    unsigned rm = ir_fp_rm(aux) == IR_RM_DYN ? fp_rm : ir_fp_rm(aux);

    /* The front end lets no reserved mode come so far. */
    DCHECK(rm <= IR_RM_RMM);
    if (ir_fp_width(aux) == 64)
        return eval_64(op, (enum ir_rm)rm, a, b, c, flags);
    return eval_32(op, (enum ir_rm)rm, a, b, c, flags);
}
