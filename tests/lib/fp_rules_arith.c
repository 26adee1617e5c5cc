/* Computation, comparison and signs: IEEE 754-2019, 5.4 to 5.7, 6.3, 7.2, 7.3 and 9.6. */
#include "tests/lib/fp_rules_int.h"

/* Is any operand a signalling NaN? Then the operation is invalid (7.2). */
static bool signals(const struct fp_num *n, unsigned count)
{
    for (unsigned k = 0; k < count; k++)
        if (n[k].kind == FP_SIGNALLING)
            return true;
    return false;
}

static bool any_nan(const struct fp_num *n, unsigned count)
{
    for (unsigned k = 0; k < count; k++)
        if (fp_is_nan(&n[k]))
            return true;
    return false;
}

/* A NaN operand makes a NaN. */
static uint64_t nan_of(const struct fp_format *f, const struct fp_num *n, unsigned count,
                       unsigned *flags)
{
    return signals(n, count) ? fp_invalid(f, flags) : fp_canonical_nan(f);
}

/* ---- Sums ------------------------------------------------------------------------------------ */

enum { PLACE = 125 }; /* the leading bit of a term; a carry has room above it */

static void align_top(struct fp_num *n)
{
    int up = PLACE - fp_top(n->sig);

    n->sig <<= up;
    n->exp -= up;
}

/* x + y, both numbers of at most 106 significant bits. Where bits of the lesser are jammed
 * together they lie more than 20 places below its leading bit, so at most one leading bit of
 * the difference is lost, and the jam stays below every place that rounding looks at. */
static uint64_t sum_numbers(const struct fp_format *f, struct fp_num x, struct fp_num y,
                            unsigned rm, unsigned *flags)
{
    align_top(&x);
    align_top(&y);
    if (y.exp > x.exp || (y.exp == x.exp && y.sig > x.sig)) {
        struct fp_num t = x;

        x = y;
        y = t;
    }
    y.sig = fp_shift_jam(y.sig, x.exp - y.exp);
    x.sig = x.sign == y.sign ? x.sig + y.sig : x.sig - y.sig;
    if (x.sig == 0)
        return fp_zero(f, rm == FP_RDN); /* 6.3 */
    return fp_round(f, &x, rm, flags);
}

/* Neither is a NaN. */
static uint64_t sum(const struct fp_format *f, const struct fp_num *x, const struct fp_num *y,
                    unsigned rm, unsigned *flags)
{
    if (x->kind == FP_INFINITE && y->kind == FP_INFINITE && x->sign != y->sign)
        return fp_invalid(f, flags);
    if (x->kind == FP_INFINITE)
        return fp_infinity(f, x->sign);
    if (y->kind == FP_INFINITE)
        return fp_infinity(f, y->sign);
    if (x->kind == FP_ZERO && y->kind == FP_ZERO)
        return fp_zero(f, x->sign == y->sign ? x->sign : rm == FP_RDN); /* 6.3 */
    if (x->kind == FP_ZERO)
        return fp_round(f, y, rm, flags);
    if (y->kind == FP_ZERO)
        return fp_round(f, x, rm, flags);
    return sum_numbers(f, *x, *y, rm, flags);
}

uint64_t fp_rule_add(const struct fp_rule *rule, const uint64_t v[3], unsigned rm, unsigned *flags)
{
    const struct fp_format *f = fp_format_of(rule->result);
    struct fp_num n[2] = {fp_num_of(f, v[0]), fp_num_of(f, v[1])};

    if (any_nan(n, 2))
        return nan_of(f, n, 2, flags);
    n[1].sign ^= rule->variant == FP_SUBTRACT;
    return sum(f, &n[0], &n[1], rm, flags);
}

/* ---- Products -------------------------------------------------------------------------------- */

static bool infinity_times_zero(const struct fp_num *x, const struct fp_num *y)
{
    return (x->kind == FP_INFINITE && y->kind == FP_ZERO) ||
           (x->kind == FP_ZERO && y->kind == FP_INFINITE);
}

/* Exact: 53 bits times 53. Neither is a NaN, nor are they infinity and zero. */
static struct fp_num product(const struct fp_num *x, const struct fp_num *y)
{
    struct fp_num n = {.sign = x->sign != y->sign};

    if (x->kind == FP_INFINITE || y->kind == FP_INFINITE) {
        n.kind = FP_INFINITE;
    } else if (x->kind == FP_NUMBER && y->kind == FP_NUMBER) {
        n.kind = FP_NUMBER;
        n.exp = x->exp + y->exp;
        n.sig = x->sig * y->sig;
    }
    return n;
}

static uint64_t datum(const struct fp_format *f, const struct fp_num *n, unsigned rm,
                      unsigned *flags)
{
    if (n->kind == FP_INFINITE)
        return fp_infinity(f, n->sign);
    if (n->kind == FP_ZERO)
        return fp_zero(f, n->sign);
    return fp_round(f, n, rm, flags);
}

uint64_t fp_rule_mul(const struct fp_rule *rule, const uint64_t v[3], unsigned rm, unsigned *flags)
{
    const struct fp_format *f = fp_format_of(rule->result);
    struct fp_num n[2] = {fp_num_of(f, v[0]), fp_num_of(f, v[1])};

    if (any_nan(n, 2))
        return nan_of(f, n, 2, flags);
    if (infinity_times_zero(&n[0], &n[1]))
        return fp_invalid(f, flags);
    struct fp_num r = product(&n[0], &n[1]);

    return datum(f, &r, rm, flags);
}

/* The manual, "Single-Precision Floating-Point Computational Instructions": infinity times zero
 * raises NV even when the addend is a quiet NaN. FNMADD is -(a * b) - c, FNMSUB is -(a * b) + c. */
uint64_t fp_rule_fma(const struct fp_rule *rule, const uint64_t v[3], unsigned rm, unsigned *flags)
{
    const struct fp_format *f = fp_format_of(rule->result);
    struct fp_num n[3] = {fp_num_of(f, v[0]), fp_num_of(f, v[1]), fp_num_of(f, v[2])};

    if (infinity_times_zero(&n[0], &n[1]))
        return fp_invalid(f, flags);
    if (any_nan(n, 3))
        return nan_of(f, n, 3, flags);
    struct fp_num p = product(&n[0], &n[1]);

    p.sign ^= rule->variant == FP_NMSUB || rule->variant == FP_NMADD;
    n[2].sign ^= rule->variant == FP_MSUB || rule->variant == FP_NMADD;
    return sum(f, &p, &n[2], rm, flags);
}

/* ---- Quotients, roots ------------------------------------------------------------------------ */

uint64_t fp_rule_div(const struct fp_rule *rule, const uint64_t v[3], unsigned rm, unsigned *flags)
{
    const struct fp_format *f = fp_format_of(rule->result);
    struct fp_num n[2] = {fp_num_of(f, v[0]), fp_num_of(f, v[1])};
    const bool sign = n[0].sign != n[1].sign;

    if (any_nan(n, 2))
        return nan_of(f, n, 2, flags);
    if (n[0].kind == n[1].kind && n[0].kind != FP_NUMBER)
        return fp_invalid(f, flags); /* 0 / 0, infinity / infinity */
    if (n[0].kind == FP_INFINITE)
        return fp_infinity(f, sign);
    if (n[0].kind == FP_ZERO || n[1].kind == FP_INFINITE)
        return fp_zero(f, sign);
    if (n[1].kind == FP_ZERO) {
        *flags |= FP_DZ; /* 7.3: of a finite dividend only */
        return fp_infinity(f, sign);
    }
    /* A dividend with its leading bit at 120 leaves a quotient of more than 64 bits. */
    int up = 120 - fp_top(n[0].sig);
    fp_wide dividend = n[0].sig << up, quotient = dividend / n[1].sig;
    struct fp_num r = {.kind = FP_NUMBER, .sign = sign, .exp = n[0].exp - up - n[1].exp - 1};

    r.sig = quotient << 1 | (quotient * n[1].sig != dividend);
    return fp_round(f, &r, rm, flags);
}

/* The square root of w, digit by digit from the top: 2 * digits bits of w, from bit 2 * digits - 1
 * down. Bit 0 of what it returns, below the root's last digit, says that something is left. */
static uint64_t root_of(fp_wide w, int digits)
{
    uint64_t root = 0, rest = 0;

    for (int k = digits - 1; k >= 0; k--) {
        rest = rest << 2 | ((uint64_t)(w >> 2 * k) & 3);
        uint64_t trial = root << 2 | 1;
        uint64_t fits = 0 - (uint64_t)(rest >= trial); /* all ones, or nothing: no branch */

        rest -= trial & fits;
        root = root << 1 | (fits & 1);
    }
    return root << 1 | (rest != 0);
}

uint64_t fp_rule_sqrt(const struct fp_rule *rule, const uint64_t v[3], unsigned rm, unsigned *flags)
{
    const struct fp_format *f = fp_format_of(rule->result);
    struct fp_num n = fp_num_of(f, v[0]);

    if (fp_is_nan(&n))
        return nan_of(f, &n, 1, flags);
    if (n.kind == FP_ZERO)
        return fp_zero(f, n.sign); /* 5.4.1: the root of -0 is -0 */
    if (n.sign)
        return fp_invalid(f, flags);
    if (n.kind == FP_INFINITE)
        return fp_infinity(f, false);
    /* Two digits more than the format has. The exponent under the root is even. */
    const int digits = f->precision + 2;
    int up = 2 * digits - 1 - fp_top(n.sig);

    up -= (n.exp - up) & 1;
    struct fp_num r = {.kind = FP_NUMBER, .exp = (n.exp - up) / 2 - 1};

    r.sig = root_of(n.sig << up, digits);
    return fp_round(f, &r, rm, flags);
}

/* ---- Order ----------------------------------------------------------------------------------- */

/* -1, 0, 1: |x| against |y|, neither a NaN. */
static int order_magnitudes(const struct fp_num *x, const struct fp_num *y)
{
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1; /* zero, numbers, infinity */
    if (x->kind != FP_NUMBER)
        return 0;
    struct fp_num a = *x, b = *y;

    align_top(&a);
    align_top(&b);
    if (a.exp != b.exp)
        return a.exp < b.exp ? -1 : 1;
    return a.sig == b.sig ? 0 : a.sig < b.sig ? -1 : 1;
}

/* Zeros are equal whatever their signs. */
static int order(const struct fp_num *x, const struct fp_num *y)
{
    if (x->kind == FP_ZERO && y->kind == FP_ZERO)
        return 0;
    if (x->sign != y->sign)
        return x->sign ? -1 : 1;
    return x->sign ? -order_magnitudes(x, y) : order_magnitudes(x, y);
}

/* The manual: FEQ is quiet, FLT and FLE signal; all give 0 when an operand is a NaN. */
uint64_t fp_rule_compare(const struct fp_rule *rule, const uint64_t v[3], unsigned rm,
                         unsigned *flags)
{
    const struct fp_format *f = fp_format_of(rule->operands[0]);
    struct fp_num n[2] = {fp_num_of(f, v[0]), fp_num_of(f, v[1])};

    (void)rm;
    if (any_nan(n, 2)) {
        if (rule->variant != FP_EQ || signals(n, 2))
            *flags |= FP_NV;
        return 0;
    }
    int o = order(&n[0], &n[1]);

    return rule->variant == FP_EQ ? o == 0 : rule->variant == FP_LT ? o < 0 : o <= 0;
}

/* minimumNumber and maximumNumber of 9.6: a number is preferred to a NaN, -0 is less than +0,
 * and a signalling NaN raises NV even when the result is a number. */
uint64_t fp_rule_minmax(const struct fp_rule *rule, const uint64_t v[3], unsigned rm,
                        unsigned *flags)
{
    const struct fp_format *f = fp_format_of(rule->result);
    struct fp_num n[2] = {fp_num_of(f, v[0]), fp_num_of(f, v[1])};

    (void)rm;
    if (signals(n, 2))
        *flags |= FP_NV;
    if (fp_is_nan(&n[0]) && fp_is_nan(&n[1]))
        return fp_canonical_nan(f);
    if (fp_is_nan(&n[0]) || fp_is_nan(&n[1]))
        return fp_is_nan(&n[0]) ? v[1] : v[0];
    int o = order(&n[0], &n[1]);

    if (o == 0)
        o = (int)n[1].sign - (int)n[0].sign;
    return (o < 0) == (rule->variant == FP_MIN) ? v[0] : v[1];
}

/* ---- Signs and classes ----------------------------------------------------------------------- */

uint64_t fp_rule_sign(const struct fp_rule *rule, const uint64_t v[3], unsigned rm, unsigned *flags)
{
    const struct fp_format *f = fp_format_of(rule->result);
    const uint64_t bit = UINT64_C(1) << (f->width - 1);

    (void)rm, (void)flags;
    switch (rule->variant) {
    case FP_SIGN: return (v[0] & ~bit) | (v[1] & bit);
    case FP_SIGN_NOT: return (v[0] & ~bit) | (~v[1] & bit);
    default: return v[0] ^ (v[1] & bit);
    }
}

/* The manual's table "Format of result of FCLASS instruction". */
uint64_t fp_rule_class(const struct fp_rule *rule, const uint64_t v[3], unsigned rm,
                       unsigned *flags)
{
    const struct fp_format *f = fp_format_of(rule->operands[0]);
    struct fp_num n = fp_num_of(f, v[0]);
    bool normal = n.kind == FP_NUMBER && n.exp + fp_top(n.sig) >= 1 - f->emax;

    (void)rm, (void)flags;
    switch (n.kind) {
    case FP_SIGNALLING: return 1 << 8;
    case FP_QUIET: return 1 << 9;
    case FP_INFINITE: return n.sign ? 1 << 0 : 1 << 7;
    case FP_ZERO: return n.sign ? 1 << 3 : 1 << 4;
    default: break;
    }
    if (normal)
        return n.sign ? 1 << 1 : 1 << 6;
    return n.sign ? 1 << 2 : 1 << 5;
}
