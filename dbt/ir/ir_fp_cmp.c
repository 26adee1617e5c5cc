/*
 * Comparison, minimum and maximum, and classification: operations on encodings,
 * none of which rounds.
 */
#include "dbt/ir/ir_fp_int.h"

/* An encoding is a sign and a magnitude, and among numbers its magnitude has their
 * order. As a two's complement integer it has it on both sides; the zeros are equal. */
static int64_t order(const struct fp_format *f, uint64_t bits)
{
    const int64_t magnitude = (int64_t)(bits & ~fp_sign_bit(f));

    return bits & fp_sign_bit(f) ? -magnitude : magnitude;
}

static bool any_nan(const struct fp_format *f, uint64_t a, uint64_t b)
{
    return fp_is_nan_bits(f, a) || fp_is_nan_bits(f, b);
}

static void raise_if_signalling(const struct fp_format *f, uint64_t a, uint64_t b, uint32_t *flags)
{
    if (fp_is_snan_bits(f, a) || fp_is_snan_bits(f, b))
        *flags |= IR_FP_NV;
}

/* ---- Comparison: IEEE 754-2019 5.6.1 and 5.11 ----------------------------- */

static int equal(const struct fp_format *f, uint64_t a, uint64_t b, uint32_t *flags)
{
    raise_if_signalling(f, a, b, flags);
    return !any_nan(f, a, b) && order(f, a) == order(f, b);
}

/* Are they ordered? If not, a signalling comparison is invalid. */
static bool ordered(const struct fp_format *f, uint64_t a, uint64_t b, uint32_t *flags)
{
    if (!any_nan(f, a, b))
        return true;
    *flags |= IR_FP_NV;
    return false;
}

static int less(const struct fp_format *f, uint64_t a, uint64_t b, uint32_t *flags)
{
    return ordered(f, a, b, flags) && order(f, a) < order(f, b);
}

static int less_equal(const struct fp_format *f, uint64_t a, uint64_t b, uint32_t *flags)
{
    return ordered(f, a, b, flags) && order(f, a) <= order(f, b);
}

/* ---- Minimum and maximum: IEEE 754-2019 9.6 ------------------------------- */

/* Version 2.2 of F: a signalling NaN raises invalid, yet the number wins over it. */
static uint64_t the_number(const struct fp_format *f, uint64_t a, uint64_t b)
{
    if (!fp_is_nan_bits(f, a))
        return a;
    return fp_is_nan_bits(f, b) ? fp_nan(f) : b;
}

/* For this purpose -0 is below +0, where comparison has them equal. */
static bool is_below(const struct fp_format *f, uint64_t a, uint64_t b)
{
    if (order(f, a) != order(f, b))
        return order(f, a) < order(f, b);
    return (a & fp_sign_bit(f)) != 0;
}

static uint64_t minimum(const struct fp_format *f, uint64_t a, uint64_t b, uint32_t *flags)
{
    raise_if_signalling(f, a, b, flags);
    if (any_nan(f, a, b))
        return the_number(f, a, b);
    return is_below(f, a, b) ? a : b;
}

static uint64_t maximum(const struct fp_format *f, uint64_t a, uint64_t b, uint32_t *flags)
{
    raise_if_signalling(f, a, b, flags);
    if (any_nan(f, a, b))
        return the_number(f, a, b);
    return is_below(f, a, b) ? b : a;
}

/* ---- Classification: the F chapter's table "Format of result of FCLASS" --- */

enum fp_class {
    CLASS_MINUS_INF = 1 << 0,
    CLASS_MINUS_NORMAL = 1 << 1,
    CLASS_MINUS_SUBNORMAL = 1 << 2,
    CLASS_MINUS_ZERO = 1 << 3,
    CLASS_PLUS_ZERO = 1 << 4,
    CLASS_PLUS_SUBNORMAL = 1 << 5,
    CLASS_PLUS_NORMAL = 1 << 6,
    CLASS_PLUS_INF = 1 << 7,
    CLASS_SNAN = 1 << 8,
    CLASS_QNAN = 1 << 9,
};

static enum fp_class classify(const struct fp_format *f, uint64_t bits)
{
    const bool sign = (bits & fp_sign_bit(f)) != 0;
    const uint64_t magnitude = bits & ~fp_sign_bit(f);

    if (fp_is_nan_bits(f, bits))
        return fp_is_snan_bits(f, bits) ? CLASS_SNAN : CLASS_QNAN;
    if (magnitude == fp_inf(f, false))
        return sign ? CLASS_MINUS_INF : CLASS_PLUS_INF;
    if (magnitude == 0)
        return sign ? CLASS_MINUS_ZERO : CLASS_PLUS_ZERO;
    if (magnitude <= fp_frac_mask(f))
        return sign ? CLASS_MINUS_SUBNORMAL : CLASS_PLUS_SUBNORMAL;
    return sign ? CLASS_MINUS_NORMAL : CLASS_PLUS_NORMAL;
}

/* ---- The door: each operation in both formats ---------------------------- */

#define FP_COMPARE(name, function)                                                                 \
    int ir_f32_##name(uint32_t a, uint32_t b, uint32_t *flags)                                     \
    {                                                                                              \
        return function(&fp_f32, a, b, flags);                                                     \
    }                                                                                              \
    int ir_f64_##name(uint64_t a, uint64_t b, uint32_t *flags)                                     \
    {                                                                                              \
        return function(&fp_f64, a, b, flags);                                                     \
    }

#define FP_CHOOSE(name, function)                                                                  \
    uint32_t ir_f32_##name(uint32_t a, uint32_t b, uint32_t *flags)                                \
    {                                                                                              \
        return (uint32_t)function(&fp_f32, a, b, flags);                                           \
    }                                                                                              \
    uint64_t ir_f64_##name(uint64_t a, uint64_t b, uint32_t *flags)                                \
    {                                                                                              \
        return function(&fp_f64, a, b, flags);                                                     \
    }

FP_COMPARE(eq, equal)
FP_COMPARE(lt, less)
FP_COMPARE(le, less_equal)
FP_CHOOSE(min, minimum)
FP_CHOOSE(max, maximum)

uint32_t ir_f32_class(uint32_t a)
{
    return classify(&fp_f32, a);
}

uint32_t ir_f64_class(uint64_t a)
{
    return classify(&fp_f64, a);
}
