/*
 * Unpacking an operand, and rounding a result: the one place where a rounding
 * mode is interpreted and inexact, overflow and underflow are raised.
 */
#include "dbt/ir/ir_fp_int.h"

/* ---- Unpacking ----------------------------------------------------------- */

static struct fp_num unpack_finite(const struct fp_format *f, bool sign, int biased, uint64_t frac)
{
    /* IEEE 754-2019 3.4: a subnormal has the exponent of the smallest normal and no hidden bit. */
    const int exp = (biased ? biased : 1) - fp_bias(f);
    const uint64_t sig = biased ? frac | (UINT64_C(1) << f->frac_bits) : frac;
    const int shift = __builtin_clzll(sig) - (63 - FP_NUM_POINT);

    return (struct fp_num){
        .kind = FP_FINITE,
        .sign = sign,
        .exp = exp + FP_NUM_POINT - f->frac_bits - shift,
        .sig = sig << shift,
    };
}

struct fp_num fp_unpack(const struct fp_format *f, uint64_t bits)
{
    const bool sign = (bits & fp_sign_bit(f)) != 0;
    const int biased = (int)(bits >> f->frac_bits) & fp_exp_mask(f);
    const uint64_t frac = bits & fp_frac_mask(f);

    if (fp_is_nan_bits(f, bits))
        return (struct fp_num){.kind = fp_is_snan_bits(f, bits) ? FP_SNAN : FP_QNAN, .sign = sign};
    if (biased == fp_exp_mask(f))
        return (struct fp_num){.kind = FP_INF, .sign = sign};
    if (biased == 0 && frac == 0)
        return (struct fp_num){.kind = FP_ZERO, .sign = sign, .exp = FP_ZERO_EXP};
    return unpack_finite(f, sign, biased, frac);
}

struct fp_exact fp_exact_of(struct fp_num n)
{
    return (struct fp_exact){
        .sign = n.sign,
        .exp = n.exp,
        .sig = (fp_u128)n.sig << (FP_EXACT_POINT - FP_NUM_POINT),
    };
}

/* ---- Rounding ------------------------------------------------------------ */

fp_u128 fp_shift_right_jam(fp_u128 sig, int distance)
{
    if (distance == 0)
        return sig;
    if (distance > 127)
        return sig != 0;

    const fp_u128 lost = sig & (((fp_u128)1 << distance) - 1);

    return (sig >> distance) | (lost != 0);
}

/* IEEE 754-2019 4.3. The part dropped is not zero; is the magnitude rounded up? */
static bool rounds_up(fp_u128 dropped, fp_u128 half, bool odd, bool sign, enum ir_rm rm)
{
    switch (rm) {
    case IR_RM_RNE: return dropped > half || (dropped == half && odd);
    case IR_RM_RMM: return dropped >= half;
    case IR_RM_RDN: return sign;
    case IR_RM_RUP: return !sign;
    case IR_RM_RTZ: break;
    }
    return false;
}

fp_u128 fp_round_at(fp_u128 sig, int drop, bool sign, enum ir_rm rm, bool *inexact)
{
    const fp_u128 unit = (fp_u128)1 << drop;
    const fp_u128 dropped = sig & (unit - 1);
    const fp_u128 kept = sig >> drop;

    *inexact = dropped != 0;
    if (!*inexact)
        return kept;
    return kept + rounds_up(dropped, unit >> 1, (kept & 1) != 0, sign, rm);
}

/* IEEE 754-2019 7.4: modes that do not round away from zero on this side stop at
 * the largest finite number, whose encoding is the one below infinity's. */
static uint64_t overflow(const struct fp_env *env, bool sign)
{
    const bool to_inf = rounds_up(1, 1, true, sign, env->rm);

    *env->flags |= IR_FP_OF | IR_FP_NX;
    return fp_inf(env->format, sign) - !to_inf;
}

/* IEEE 754-2019 7.5 (a), the choice of RISC-V: tiny is what lies below the smallest
 * normal once rounded to full precision as though the exponent had no bound. So
 * what is one exponent short and rounds up to a power of two is not tiny, even when
 * rounding it as a subnormal, which keeps one bit less, is inexact. */
static bool is_tiny(const struct fp_env *env, bool sign, int exp, fp_u128 sig, int drop)
{
    const int min_exp = 1 - fp_bias(env->format);
    bool inexact;

    if (exp != min_exp - 1)
        return exp < min_exp;

    const fp_u128 rounded = fp_round_at(sig, drop, sign, env->rm, &inexact);

    return rounded >> (env->format->frac_bits + 1) == 0;
}

/* sig has bit 127, which is worth 2^exp. */
static uint64_t round_pack_normalised(const struct fp_env *env, bool sign, int exp, fp_u128 sig)
{
    const struct fp_format *f = env->format;
    const int bias = fp_bias(f);
    const int min_exp = 1 - bias;
    const int drop = 127 - f->frac_bits;
    bool inexact;

    if (exp > bias)
        return overflow(env, sign);

    const bool tiny = is_tiny(env, sign, exp, sig, drop);

    if (exp < min_exp) {
        sig = fp_shift_right_jam(sig, min_exp - exp);
        exp = min_exp;
    }

    /* The hidden bit is added to the exponent field, which so becomes right for a
     * normal, for a subnormal, and for one that rounding carried to the next power. */
    const uint64_t rounded = (uint64_t)fp_round_at(sig, drop, sign, env->rm, &inexact);
    const uint64_t magnitude = ((uint64_t)(exp + bias - 1) << f->frac_bits) + rounded;

    if (magnitude >= fp_inf(f, false))
        return overflow(env, sign);
    if (inexact)
        *env->flags |= tiny ? IR_FP_UF | IR_FP_NX : IR_FP_NX;
    return fp_zero(f, sign) | magnitude;
}

uint64_t fp_round_pack(const struct fp_env *env, struct fp_exact x)
{
    if (x.sig == 0)
        return fp_zero(env->format, x.sign);

    const uint64_t high = (uint64_t)(x.sig >> 64);
    const int zeros = high ? __builtin_clzll(high) : 64 + __builtin_clzll((uint64_t)x.sig);

    return round_pack_normalised(env, x.sign, x.exp + (127 - FP_EXACT_POINT) - zeros,
                                 x.sig << zeros);
}
