/*
 * Conversions: to integers, from integers, and between the two formats.
 */
#include "dbt/ir/ir_fp_int.h"

struct fp_int_type {
    int bits;
    bool is_signed;
};

static const struct fp_int_type fp_i32 = {32, true};
static const struct fp_int_type fp_u32 = {32, false};
static const struct fp_int_type fp_i64 = {64, true};
static const struct fp_int_type fp_u64 = {64, false};

/* ---- To integers --------------------------------------------------------- */

/* RV64 keeps every 32-bit result sign-extended, the unsigned one as well. */
static uint64_t to_register(const struct fp_int_type *t, uint64_t n)
{
    return t->bits == 32 ? (uint64_t)(int64_t)(int32_t)(uint32_t)n : n;
}

/* The largest magnitude that fits on this side of zero. */
static uint64_t limit(const struct fp_int_type *t, bool sign)
{
    const uint64_t unsigned_max = UINT64_MAX >> (64 - t->bits);

    if (!t->is_signed)
        return sign ? 0 : unsigned_max;
    return (unsigned_max >> 1) + sign;
}

static uint64_t with_sign(const struct fp_int_type *t, bool sign, uint64_t magnitude)
{
    return to_register(t, sign ? 0 - magnitude : magnitude);
}

/* The F chapter's table of "Domains of float-to-integer conversions". Not inexact:
 * IEEE 754-2019 7.1 wants invalid alone when the result could not be delivered. */
static uint64_t saturate(const struct fp_int_type *t, bool sign, uint32_t *flags)
{
    *flags |= IR_FP_NV;
    return with_sign(t, sign, limit(t, sign));
}

/* |a| with the unit bit at FP_NUM_POINT; its exponent is at most 63. */
static fp_u128 fixed_point(struct fp_num a)
{
    return a.exp >= 0 ? (fp_u128)a.sig << a.exp : fp_shift_right_jam(a.sig, -a.exp);
}

/* What is out of range is known only when rounded: -0.9 towards zero is an unsigned
 * zero, inexact; downwards it is -1, invalid. */
static uint64_t to_int(const struct fp_env *env, const struct fp_int_type *t, uint64_t bits)
{
    const struct fp_num a = fp_unpack(env->format, bits);
    bool inexact;

    /* A NaN of either sign converts like plus infinity. */
    if (fp_is_nan(a))
        return saturate(t, false, env->flags);
    if (a.kind == FP_INF || a.exp > 63)
        return saturate(t, a.sign, env->flags);

    const fp_u128 magnitude = fp_round_at(fixed_point(a), FP_NUM_POINT, a.sign, env->rm, &inexact);

    if (magnitude > limit(t, a.sign))
        return saturate(t, a.sign, env->flags);
    if (inexact)
        *env->flags |= IR_FP_NX;
    return with_sign(t, a.sign, (uint64_t)magnitude);
}

/* ---- From integers ------------------------------------------------------- */

/* Zero becomes +0 in every mode: it has no sign to keep (IEEE 754-2019 5.4.1). */
static uint64_t from_int(const struct fp_env *env, const struct fp_int_type *t, uint64_t n)
{
    const uint64_t value = t->bits == 64 ? n : n & UINT32_MAX;
    const bool sign = t->is_signed && value >> (t->bits - 1) != 0;
    const uint64_t magnitude = sign ? 0 - to_register(t, value) : value;
    const struct fp_exact x = {.sign = sign, .exp = FP_EXACT_POINT, .sig = magnitude};

    return fp_round_pack(env, x);
}

/* ---- Between formats ----------------------------------------------------- */

static uint64_t convert(const struct fp_env *env, const struct fp_format *source, uint64_t bits)
{
    const struct fp_num a = fp_unpack(source, bits);

    if (a.kind == FP_SNAN)
        return fp_invalid(env);
    if (a.kind == FP_QNAN)
        return fp_nan(env->format);
    if (a.kind == FP_INF)
        return fp_inf(env->format, a.sign);
    return fp_round_pack(env, fp_exact_of(a));
}

/* ---- The door ------------------------------------------------------------ */

#define FP_INT(type)                                                                               \
    uint64_t ir_f32_to_##type(uint32_t a, enum ir_rm rm, uint32_t *flags)                          \
    {                                                                                              \
        return to_int(&(struct fp_env){&fp_f32, rm, flags}, &fp_##type, a);                        \
    }                                                                                              \
    uint64_t ir_f64_to_##type(uint64_t a, enum ir_rm rm, uint32_t *flags)                          \
    {                                                                                              \
        return to_int(&(struct fp_env){&fp_f64, rm, flags}, &fp_##type, a);                        \
    }                                                                                              \
    uint32_t ir_f32_from_##type(uint64_t n, enum ir_rm rm, uint32_t *flags)                        \
    {                                                                                              \
        return (uint32_t)from_int(&(struct fp_env){&fp_f32, rm, flags}, &fp_##type, n);            \
    }                                                                                              \
    uint64_t ir_f64_from_##type(uint64_t n, enum ir_rm rm, uint32_t *flags)                        \
    {                                                                                              \
        return from_int(&(struct fp_env){&fp_f64, rm, flags}, &fp_##type, n);                      \
    }

FP_INT(i32)
FP_INT(u32)
FP_INT(i64)
FP_INT(u64)

uint64_t ir_f32_to_f64(uint32_t a, uint32_t *flags)
{
    return convert(&(struct fp_env){&fp_f64, IR_RM_RNE, flags}, &fp_f32, a);
}

uint32_t ir_f64_to_f32(uint64_t a, enum ir_rm rm, uint32_t *flags)
{
    return (uint32_t)convert(&(struct fp_env){&fp_f32, rm, flags}, &fp_f64, a);
}
