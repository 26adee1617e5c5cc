/*
 * Add, subtract, multiply, divide, square root and fused multiply-add: the
 * special operands first, then the exact result, which fp_round_pack rounds.
 */
#include "dbt/ir/ir_fp_int.h"

/* Has this operation a NaN for its result? A signalling operand raises invalid. */
static bool any_nan(const struct fp_env *env, const struct fp_num *operands, int count)
{
    bool any = false;

    for (int i = 0; i < count; i++) {
        if (operands[i].kind == FP_SNAN)
            *env->flags |= IR_FP_NV;
        any |= fp_is_nan(operands[i]);
    }
    return any;
}

/* ---- Sums ---------------------------------------------------------------- */

/* IEEE 754-2019 6.3: a sum that is zero has the sign both terms have, and else is
 * +0, in RDN -0. That holds for two zeros and for an exact cancellation. */
static bool zero_sum_sign(const struct fp_env *env, bool a_sign, bool b_sign)
{
    return a_sign == b_sign ? a_sign : env->rm == IR_RM_RDN;
}

static struct fp_exact sum(const struct fp_env *env, struct fp_exact a, struct fp_exact b)
{
    if (a.exp < b.exp)
        return sum(env, b, a);

    const fp_u128 shifted = fp_shift_right_jam(b.sig, a.exp - b.exp);

    if (a.sign == b.sign)
        a.sig += shifted;
    else if (a.sig >= shifted)
        a.sig -= shifted;
    else
        a = (struct fp_exact){.sign = b.sign, .exp = a.exp, .sig = shifted - a.sig};
    if (a.sig == 0)
        a.sign = zero_sum_sign(env, a.sign, b.sign);
    return a;
}

static uint64_t add(const struct fp_env *env, uint64_t a_bits, uint64_t b_bits)
{
    const struct fp_num n[] = {fp_unpack(env->format, a_bits), fp_unpack(env->format, b_bits)};
    const struct fp_num a = n[0], b = n[1];

    if (any_nan(env, n, 2))
        return fp_nan(env->format);
    if (a.kind == FP_INF && b.kind == FP_INF && a.sign != b.sign)
        return fp_invalid(env);
    if (a.kind == FP_INF || b.kind == FP_INF)
        return a.kind == FP_INF ? a_bits : b_bits;
    return fp_round_pack(env, sum(env, fp_exact_of(a), fp_exact_of(b)));
}

/* The sign flipped of a NaN does not show: its result is canonical. */
static uint64_t sub(const struct fp_env *env, uint64_t a_bits, uint64_t b_bits)
{
    return add(env, a_bits, b_bits ^ fp_sign_bit(env->format));
}

/* ---- Products ------------------------------------------------------------ */

static bool is_inf_times_zero(struct fp_num a, struct fp_num b)
{
    return (a.kind == FP_INF && b.kind == FP_ZERO) || (a.kind == FP_ZERO && b.kind == FP_INF);
}

static struct fp_exact product(struct fp_num a, struct fp_num b)
{
    return (struct fp_exact){
        .sign = a.sign != b.sign,
        .exp = a.exp + b.exp,
        .sig = (fp_u128)a.sig * b.sig,
    };
}

static uint64_t mul(const struct fp_env *env, uint64_t a_bits, uint64_t b_bits)
{
    const struct fp_num n[] = {fp_unpack(env->format, a_bits), fp_unpack(env->format, b_bits)};
    const struct fp_num a = n[0], b = n[1];

    if (any_nan(env, n, 2))
        return fp_nan(env->format);
    if (is_inf_times_zero(a, b))
        return fp_invalid(env);
    if (a.kind == FP_INF || b.kind == FP_INF)
        return fp_inf(env->format, a.sign != b.sign);
    return fp_round_pack(env, product(a, b));
}

static uint64_t multiply_add(const struct fp_env *env, uint64_t a_bits, uint64_t b_bits,
                             uint64_t c_bits)
{
    const struct fp_format *f = env->format;
    const struct fp_num n[] = {fp_unpack(f, a_bits), fp_unpack(f, b_bits), fp_unpack(f, c_bits)};
    const struct fp_num a = n[0], b = n[1], c = n[2];
    const bool sign = a.sign != b.sign;

    /* First: IEEE 754-2019 7.2 (c) leaves it open when c is a quiet NaN, the F
     * chapter does not ("even when the addend is a quiet NaN"). A signalling c
     * raises the same flag. */
    if (is_inf_times_zero(a, b))
        return fp_invalid(env);
    if (any_nan(env, n, 3))
        return fp_nan(f);
    if (a.kind == FP_INF || b.kind == FP_INF) {
        const bool cancels = c.kind == FP_INF && c.sign != sign;

        return cancels ? fp_invalid(env) : fp_inf(f, sign);
    }
    if (c.kind == FP_INF)
        return c_bits;
    return fp_round_pack(env, sum(env, product(a, b), fp_exact_of(c)));
}

/* ---- Quotients and roots ------------------------------------------------- */

/* a / b with 63 or 64 significant bits and the sticky bit; both are finite, b is not zero. */
static struct fp_exact quotient(struct fp_num a, struct fp_num b)
{
    const fp_u128 dividend = (fp_u128)a.sig << (FP_NUM_POINT + 1);
    const fp_u128 quotient = dividend / b.sig;
    const bool sticky = dividend % b.sig != 0;

    return (struct fp_exact){
        .sign = a.sign != b.sign,
        .exp = a.exp - b.exp,
        .sig = quotient << (FP_EXACT_POINT - FP_NUM_POINT - 1) | sticky,
    };
}

static uint64_t divide(const struct fp_env *env, uint64_t a_bits, uint64_t b_bits)
{
    const struct fp_format *f = env->format;
    const struct fp_num n[] = {fp_unpack(f, a_bits), fp_unpack(f, b_bits)};
    const struct fp_num a = n[0], b = n[1];
    const bool sign = a.sign != b.sign;

    if (any_nan(env, n, 2))
        return fp_nan(f);
    if ((a.kind == FP_INF && b.kind == FP_INF) || (a.kind == FP_ZERO && b.kind == FP_ZERO))
        return fp_invalid(env);
    if (a.kind == FP_INF)
        return fp_inf(f, sign);
    if (b.kind == FP_INF || a.kind == FP_ZERO)
        return fp_zero(f, sign);
    /* IEEE 754-2019 7.3: only a finite dividend divides by zero; infinity / 0 is exact. */
    if (b.kind == FP_ZERO) {
        *env->flags |= IR_FP_DZ;
        return fp_inf(f, sign);
    }
    return fp_round_pack(env, quotient(a, b));
}

/* The root of a positive number, 63 bits and the sticky bit. With an even exponent
 * half of it is the root's; two's complement has the parity of negative ones too. */
static struct fp_exact root(struct fp_num a)
{
    const int odd = a.exp & 1;
    const fp_u128 radicand = (fp_u128)a.sig << (FP_NUM_POINT + odd);
    uint64_t root = 0;

    for (int bit = FP_NUM_POINT; bit >= 0; bit--) {
        const uint64_t trial = root | UINT64_C(1) << bit;

        if ((fp_u128)trial * trial <= radicand)
            root = trial;
    }
    return (struct fp_exact){
        .exp = (a.exp - odd) / 2,
        .sig =
            (fp_u128)root << (FP_EXACT_POINT - FP_NUM_POINT) | ((fp_u128)root * root != radicand),
    };
}

static uint64_t square_root(const struct fp_env *env, uint64_t a_bits)
{
    const struct fp_num a = fp_unpack(env->format, a_bits);

    if (any_nan(env, &a, 1))
        return fp_nan(env->format);
    /* IEEE 754-2019 5.4.1: the root of -0 is -0. */
    if (a.kind == FP_ZERO)
        return a_bits;
    if (a.sign)
        return fp_invalid(env);
    if (a.kind == FP_INF)
        return a_bits;
    return fp_round_pack(env, root(a));
}

/* ---- The door: each operation in both formats ---------------------------- */

#define FP_UNARY(name, function)                                                                   \
    uint32_t ir_f32_##name(uint32_t a, enum ir_rm rm, uint32_t *flags)                             \
    {                                                                                              \
        return (uint32_t)function(&(struct fp_env){&fp_f32, rm, flags}, a);                        \
    }                                                                                              \
    uint64_t ir_f64_##name(uint64_t a, enum ir_rm rm, uint32_t *flags)                             \
    {                                                                                              \
        return function(&(struct fp_env){&fp_f64, rm, flags}, a);                                  \
    }

#define FP_BINARY(name, function)                                                                  \
    uint32_t ir_f32_##name(uint32_t a, uint32_t b, enum ir_rm rm, uint32_t *flags)                 \
    {                                                                                              \
        return (uint32_t)function(&(struct fp_env){&fp_f32, rm, flags}, a, b);                     \
    }                                                                                              \
    uint64_t ir_f64_##name(uint64_t a, uint64_t b, enum ir_rm rm, uint32_t *flags)                 \
    {                                                                                              \
        return function(&(struct fp_env){&fp_f64, rm, flags}, a, b);                               \
    }

#define FP_TERNARY(name, function)                                                                 \
    uint32_t ir_f32_##name(uint32_t a, uint32_t b, uint32_t c, enum ir_rm rm, uint32_t *flags)     \
    {                                                                                              \
        return (uint32_t)function(&(struct fp_env){&fp_f32, rm, flags}, a, b, c);                  \
    }                                                                                              \
    uint64_t ir_f64_##name(uint64_t a, uint64_t b, uint64_t c, enum ir_rm rm, uint32_t *flags)     \
    {                                                                                              \
        return function(&(struct fp_env){&fp_f64, rm, flags}, a, b, c);                            \
    }

FP_BINARY(add, add)
FP_BINARY(sub, sub)
FP_BINARY(mul, mul)
FP_BINARY(div, divide)
FP_UNARY(sqrt, square_root)
FP_TERNARY(fma, multiply_add)
