/* Conversions and moves: IEEE 754-2019, 5.4.2, 5.8; the manual's chapters F and D. */
#include "tests/lib/fp_rules_int.h"

/* Of an integer type: what its register's low bits hold. */
static int int_bits(char type)
{
    return type == 'w' || type == 'u' ? 32 : 64;
}

static bool int_is_signed(char type)
{
    return type == 'w' || type == 'l';
}

/* 32-bit results are sign-extended, those of unsigned conversions too. */
static uint64_t int_register(char type, uint64_t value)
{
    return int_bits(type) == 32 ? (uint64_t)(int64_t)(int32_t)(uint32_t)value : value;
}

/* The manual's table "Domains of float-to-integer conversions and behavior for invalid inputs". */
static uint64_t saturated(char type, bool negative, unsigned *flags)
{
    const uint64_t top = UINT64_C(1) << (int_bits(type) - 1);

    *flags |= FP_NV;
    if (int_is_signed(type))
        return int_register(type, negative ? top : top - 1);
    return int_register(type, negative ? 0 : top - 1 + top);
}

/* NV when the rounded value does not fit, and then no NX. A NaN is like positive infinity. */
uint64_t fp_rule_to_int(const struct fp_rule *rule, const uint64_t v[3], unsigned rm,
                        unsigned *flags)
{
    const char type = rule->result;
    struct fp_num n = fp_num_of(fp_format_of(rule->operands[0]), v[0]);
    bool inexact;

    if (fp_is_nan(&n))
        return saturated(type, false, flags);
    if (n.kind == FP_ZERO)
        return 0;
    if (n.kind == FP_INFINITE || n.exp + fp_top(n.sig) > 65)
        return saturated(type, n.sign, flags);

    fp_wide magnitude = fp_round_off(n.sig, -n.exp, n.sign, rm, &inexact);
    fp_wide limit = (fp_wide)1 << (int_bits(type) - int_is_signed(type)); /* the first too large */

    if (n.sign ? magnitude > (int_is_signed(type) ? limit : 0) : magnitude >= limit)
        return saturated(type, n.sign, flags);
    if (inexact)
        *flags |= FP_NX;
    return int_register(type, n.sign ? 0 - (uint64_t)magnitude : (uint64_t)magnitude);
}

uint64_t fp_rule_from_int(const struct fp_rule *rule, const uint64_t v[3], unsigned rm,
                          unsigned *flags)
{
    const struct fp_format *f = fp_format_of(rule->result);
    const char type = rule->operands[0];
    uint64_t value = int_bits(type) == 32 ? (uint32_t)v[0] : v[0];
    bool negative = int_is_signed(type) && value >> (int_bits(type) - 1);
    struct fp_num n = {.kind = FP_NUMBER, .sign = negative};

    if (value == 0)
        return fp_zero(f, false);
    n.sig = negative ? ((fp_wide)1 << int_bits(type)) - value : value;
    return fp_round(f, &n, rm, flags);
}

/* Between the formats: a NaN becomes canonical, a signalling one raises NV. */
uint64_t fp_rule_convert(const struct fp_rule *rule, const uint64_t v[3], unsigned rm,
                         unsigned *flags)
{
    const struct fp_format *to = fp_format_of(rule->result);
    struct fp_num n = fp_num_of(fp_format_of(rule->operands[0]), v[0]);

    switch (n.kind) {
    case FP_SIGNALLING: return fp_invalid(to, flags);
    case FP_QUIET: return fp_canonical_nan(to);
    case FP_INFINITE: return fp_infinity(to, n.sign);
    case FP_ZERO: return fp_zero(to, n.sign);
    default: return fp_round(to, &n, rm, flags);
    }
}

/* FMV.X.W takes the low half, boxed or not; moves change no bit. */
uint64_t fp_rule_to_x(const struct fp_rule *rule, const uint64_t v[3], unsigned rm, unsigned *flags)
{
    (void)rm, (void)flags;
    return int_register(rule->result, v[0]);
}

uint64_t fp_rule_from_x(const struct fp_rule *rule, const uint64_t v[3], unsigned rm,
                        unsigned *flags)
{
    (void)rm, (void)flags;
    return rule->result == 's' ? (uint32_t)v[0] : v[0];
}
