#include <string.h>

#include "tests/lib/fp_rules_int.h"

const struct fp_format fp_single = {.precision = 24, .emax = 127, .width = 32};
const struct fp_format fp_double = {.precision = 53, .emax = 1023, .width = 64};

/* ---- The table ------------------------------------------------------------------------------ */

#define ROWS(type, letter)                                                                         \
    {"fadd_" type, type type, letter, true, fp_rule_add, FP_ADD},                                  \
        {"fsub_" type, type type, letter, true, fp_rule_add, FP_SUBTRACT},                         \
        {"fmul_" type, type type, letter, true, fp_rule_mul, 0},                                   \
        {"fdiv_" type, type type, letter, true, fp_rule_div, 0},                                   \
        {"fsqrt_" type, type, letter, true, fp_rule_sqrt, 0},                                      \
        {"fmadd_" type, type type type, letter, true, fp_rule_fma, FP_MADD},                       \
        {"fmsub_" type, type type type, letter, true, fp_rule_fma, FP_MSUB},                       \
        {"fnmsub_" type, type type type, letter, true, fp_rule_fma, FP_NMSUB},                     \
        {"fnmadd_" type, type type type, letter, true, fp_rule_fma, FP_NMADD},                     \
        {"fsgnj_" type, type type, letter, false, fp_rule_sign, FP_SIGN},                          \
        {"fsgnjn_" type, type type, letter, false, fp_rule_sign, FP_SIGN_NOT},                     \
        {"fsgnjx_" type, type type, letter, false, fp_rule_sign, FP_SIGN_XOR},                     \
        {"fmin_" type, type type, letter, false, fp_rule_minmax, FP_MIN},                          \
        {"fmax_" type, type type, letter, false, fp_rule_minmax, FP_MAX},                          \
        {"feq_" type, type type, 'l', false, fp_rule_compare, FP_EQ},                              \
        {"flt_" type, type type, 'l', false, fp_rule_compare, FP_LT},                              \
        {"fle_" type, type type, 'l', false, fp_rule_compare, FP_LE},                              \
        {"fclass_" type, type, 'l', false, fp_rule_class, 0},                                      \
        {"fcvt_w_" type, type, 'w', true, fp_rule_to_int, 0},                                      \
        {"fcvt_wu_" type, type, 'u', true, fp_rule_to_int, 0},                                     \
        {"fcvt_l_" type, type, 'l', true, fp_rule_to_int, 0},                                      \
        {"fcvt_lu_" type, type, 'v', true, fp_rule_to_int, 0},                                     \
        {"fcvt_" type "_w", "w", letter, true, fp_rule_from_int, 0},                               \
        {"fcvt_" type "_wu", "u", letter, true, fp_rule_from_int, 0},                              \
        {"fcvt_" type "_l", "l", letter, true, fp_rule_from_int, 0},                               \
    {                                                                                              \
        "fcvt_" type "_lu", "v", letter, true, fp_rule_from_int, 0                                 \
    }

const struct fp_rule fp_rules[] = {
    ROWS("s", 's'),
    ROWS("d", 'd'),
    {"fcvt_s_d", "d", 's', true, fp_rule_convert, 0},
    {"fcvt_d_s", "s", 'd', true, fp_rule_convert, 0},
    {"fmv_x_w", "r", 'w', false, fp_rule_to_x, 0},
    {"fmv_w_x", "l", 's', false, fp_rule_from_x, 0},
    {"fmv_x_d", "r", 'l', false, fp_rule_to_x, 0},
    {"fmv_d_x", "l", 'd', false, fp_rule_from_x, 0},
};
const unsigned fp_n_rules = sizeof(fp_rules) / sizeof(fp_rules[0]);

const struct fp_rule *fp_rule_find(const char *name)
{
    for (unsigned k = 0; k < fp_n_rules; k++)
        if (strcmp(fp_rules[k].name, name) == 0)
            return &fp_rules[k];
    return NULL;
}

/* ---- Registers ------------------------------------------------------------------------------ */

#define BOX UINT64_C(0xffffffff00000000)

uint64_t fp_rule_apply(const struct fp_rule *rule, const uint64_t *v, unsigned rm, unsigned *flags)
{
    uint64_t operand[3] = {0, 0, 0};

    for (unsigned k = 0; rule->operands[k]; k++) {
        operand[k] = v[k];
        if (rule->operands[k] == 's')
            operand[k] = (v[k] & BOX) == BOX ? v[k] & ~BOX : fp_canonical_nan(&fp_single);
    }
    uint64_t result = rule->rule(rule, operand, rm, flags);

    return rule->result == 's' ? BOX | result : result;
}

/* ---- Data ----------------------------------------------------------------------------------- */

uint64_t fp_infinity(const struct fp_format *f, bool sign)
{
    uint64_t exponent = (uint64_t)(2 * f->emax + 1) << (f->precision - 1);

    return fp_zero(f, sign) | exponent;
}

uint64_t fp_zero(const struct fp_format *f, bool sign)
{
    return (uint64_t)sign << (f->width - 1);
}

/* Positive, quiet, nothing else set (manual, "NaN Generation and Propagation"). */
uint64_t fp_canonical_nan(const struct fp_format *f)
{
    return fp_infinity(f, false) | UINT64_C(1) << (f->precision - 2);
}

uint64_t fp_invalid(const struct fp_format *f, unsigned *flags)
{
    *flags |= FP_NV;
    return fp_canonical_nan(f);
}

/* IEEE 754-2019, 3.4. The first bit of a NaN's fraction says that it is quiet (6.2.1). */
struct fp_num fp_num_of(const struct fp_format *f, uint64_t bits)
{
    int fraction_bits = f->precision - 1;
    uint64_t fraction = bits & ((UINT64_C(1) << fraction_bits) - 1);
    int exponent = (int)(bits >> fraction_bits) & (2 * f->emax + 1);
    struct fp_num n = {.sign = bits >> (f->width - 1) & 1};

    if (exponent == 2 * f->emax + 1) {
        bool quiet = fraction >> (fraction_bits - 1) & 1;

        n.kind = fraction == 0 ? FP_INFINITE : quiet ? FP_QUIET : FP_SIGNALLING;
        return n;
    }
    if (exponent == 0 && fraction == 0)
        return n;
    n.kind = FP_NUMBER;
    n.sig = exponent == 0 ? fraction : fraction | UINT64_C(1) << fraction_bits;
    n.exp = (exponent == 0 ? 1 : exponent) - f->emax - fraction_bits;
    return n;
}

/* ---- Rounding ------------------------------------------------------------------------------- */

int fp_top(fp_wide w)
{
    uint64_t high = (uint64_t)(w >> 64);

    return high ? 127 - __builtin_clzll(high) : 63 - __builtin_clzll((uint64_t)w);
}

fp_wide fp_shift_jam(fp_wide w, int n)
{
    if (n <= 0)
        return w;
    if (n > 127)
        return w != 0;
    return w >> n | ((w >> n) << n != w);
}

/* IEEE 754-2019, 4.3. */
fp_wide fp_round_off(fp_wide w, int drop, bool sign, unsigned rm, bool *inexact)
{
    *inexact = false;
    if (drop <= 0)
        return w << -drop;
    /* Where what is dropped lies: nothing, below half of a unit, half, above. */
    fp_wide kept = drop > 127 ? 0 : w >> drop;
    fp_wide lost = drop > 127 ? w : w - (kept << drop);
    fp_wide half = drop > 128 ? 0 : (fp_wide)1 << (drop - 1);
    bool up = false;

    *inexact = lost != 0;
    switch (rm) {
    case FP_RNE: up = half && (lost > half || (lost == half && (kept & 1))); break;
    case FP_RMM: up = half && lost >= half; break;
    case FP_RTZ: break;
    case FP_RDN: up = sign && lost; break;
    case FP_RUP: up = !sign && lost; break;
    }
    return kept + up;
}

/* IEEE 754-2019, 7.4: which of infinity and the largest number each mode carries to. */
static uint64_t overflow(const struct fp_format *f, bool sign, unsigned rm, unsigned *flags)
{
    bool away = rm == FP_RNE || rm == FP_RMM || rm == (sign ? FP_RDN : FP_RUP);

    *flags |= FP_OF | FP_NX;
    return fp_infinity(f, sign) - !away;
}

uint64_t fp_round(const struct fp_format *f, const struct fp_num *n, unsigned rm, unsigned *flags)
{
    const int p = f->precision, emin = 1 - f->emax;
    const int e = n->exp + fp_top(n->sig); /* 2^e <= |n| < 2^(e + 1) */
    const int least = emin - p + 1;        /* the unit of subnormal numbers is 2^least */
    const int unit = e < emin ? least : e - p + 1;
    bool inexact, ignored;
    fp_wide kept = fp_round_off(n->sig, unit - n->exp, n->sign, rm, &inexact);

    /* A number that rounds up to 2^p carries into the exponent, which is as it should be. */
    uint64_t bits = (uint64_t)kept + ((uint64_t)(unit - least) << (p - 1));

    if (bits >= fp_infinity(f, false))
        return overflow(f, n->sign, rm, flags);
    if (inexact) {
        /* Tiny after rounding (RISC-V's choice in 7.5): rounded as if the exponent had no
         * lower bound, the number is below 2^emin. */
        fp_wide free = fp_round_off(n->sig, e - p + 1 - n->exp, n->sign, rm, &ignored);
        bool reaches = e == emin - 1 && free >> p;

        *flags |= FP_NX;
        if (e < emin && !reaches)
            *flags |= FP_UF;
    }
    return fp_zero(f, n->sign) | bits;
}
