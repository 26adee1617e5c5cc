/*
 * How floating point is computed here, privately to ir_fp_*.c: unpack the
 * operands, compute the exact result (or one that rounds as the exact one does),
 * round and pack once. The format is data, so that every rule stands once for
 * binary32 and binary64.
 *
 *     bits --fp_unpack--> fp_num --exact arithmetic--> fp_exact --fp_round_pack--> bits
 *
 * Width. A significand has at most 53 bits and stands at the top of fp_num.sig, so
 * a product has 106 and at least 20 zero bits below; a value that is shifted out
 * below bit 0 leaves a one there, the sticky bit ("jamming"). The sum of a jammed
 * value and one whose low bits are zero is odd, and lies on the same side of every
 * rounding boundary as the exact sum, as long as the boundary is at bit 2 or above.
 * It is: bits are lost only when the operands are more than 20 places apart, then
 * no more than two leading bits cancel, and the boundary is at bit 70 or above.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dbt/ir/ir_fp.h"

__extension__ typedef unsigned __int128 fp_u128;

struct fp_format {
    int exp_bits;
    int frac_bits; /* Without the hidden bit. */
};

static const struct fp_format fp_f32 = {.exp_bits = 8, .frac_bits = 23};
static const struct fp_format fp_f64 = {.exp_bits = 11, .frac_bits = 52};

enum fp_kind { FP_ZERO, FP_FINITE, FP_INF, FP_QNAN, FP_SNAN };

enum {
    FP_NUM_POINT = 62,    /* fp_num.sig: the place of the unit bit. */
    FP_EXACT_POINT = 124, /* fp_exact.sig: the same, twice, so that a product needs no shift. */
    FP_ZERO_EXP = -65536, /* Below every other: zero is the operand that alignment shifts. */
};

/* (-1)^sign * sig * 2^(exp - FP_NUM_POINT). A finite sig, of a subnormal too, has
 * bit 62 and none above; zero has none. Without meaning for infinity and NaN. */
struct fp_num {
    enum fp_kind kind;
    bool sign;
    int exp;
    uint64_t sig;
};

/* (-1)^sign * sig * 2^(exp - FP_EXACT_POINT). Below bit 127; not normalised. When
 * bits were lost bit 0 is set, and one of the topmost six bits is. */
struct fp_exact {
    bool sign;
    int exp;
    fp_u128 sig;
};

/* What every operation that rounds is handed. */
struct fp_env {
    const struct fp_format *format;
    enum ir_rm rm;
    uint32_t *flags;
};

static inline uint64_t fp_frac_mask(const struct fp_format *f)
{
    return (UINT64_C(1) << f->frac_bits) - 1;
}

static inline uint64_t fp_sign_bit(const struct fp_format *f)
{
    return UINT64_C(1) << (f->exp_bits + f->frac_bits);
}

static inline int fp_exp_mask(const struct fp_format *f)
{
    return (1 << f->exp_bits) - 1;
}

static inline int fp_bias(const struct fp_format *f)
{
    return fp_exp_mask(f) >> 1;
}

static inline uint64_t fp_zero(const struct fp_format *f, bool sign)
{
    return sign ? fp_sign_bit(f) : 0;
}

static inline uint64_t fp_inf(const struct fp_format *f, bool sign)
{
    return fp_zero(f, sign) | ((uint64_t)fp_exp_mask(f) << f->frac_bits);
}

/* Positive, quiet, and without payload (unprivileged manual, "NaN Generation and
 * Propagation"). */
static inline uint64_t fp_nan(const struct fp_format *f)
{
    return fp_inf(f, false) | (UINT64_C(1) << (f->frac_bits - 1));
}

static inline bool fp_is_nan(struct fp_num n)
{
    return n.kind == FP_QNAN || n.kind == FP_SNAN;
}

static inline bool fp_is_nan_bits(const struct fp_format *f, uint64_t bits)
{
    return (bits & ~fp_sign_bit(f)) > fp_inf(f, false);
}

static inline bool fp_is_snan_bits(const struct fp_format *f, uint64_t bits)
{
    return fp_is_nan_bits(f, bits) && (bits >> (f->frac_bits - 1) & 1) == 0;
}

static inline uint64_t fp_invalid(const struct fp_env *env)
{
    *env->flags |= IR_FP_NV;
    return fp_nan(env->format);
}

/* ir_fp_round.c */

struct fp_num fp_unpack(const struct fp_format *f, uint64_t bits);

/* A finite or zero operand as an exact result. */
struct fp_exact fp_exact_of(struct fp_num n);

/* Any distance; what falls off below sets bit 0. */
fp_u128 fp_shift_right_jam(fp_u128 sig, int distance);

/* The magnitude sig / 2^drop as an integer, 0 < drop < 128. */
fp_u128 fp_round_at(fp_u128 sig, int drop, bool sign, enum ir_rm rm, bool *inexact);

/* The result, with inexact, overflow and underflow. */
uint64_t fp_round_pack(const struct fp_env *env, struct fp_exact x);
