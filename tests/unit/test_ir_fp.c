/*
 * dbt/ir/ir_fp against rules picked by hand, and against the host's SSE and FMA
 * units on random operands of the kinds where floating point goes wrong.
 *
 * The host knows no RMM; that is derived from its other modes, and a tie is found
 * in binary128, where it can be computed without error (host_rmm).
 *
 *     DBT_FUZZ_CASES=n   cases for each operation and mode
 *     DBT_FUZZ_SEED=n    another sequence
 */
#include <immintrin.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dbt/ir/ir_fp.h"

__extension__ typedef __float128 quad;

enum type { F32, F64, I32, U32, I64, U64, BITS };

typedef uint64_t fp_fn(const uint64_t v[3], enum ir_rm rm, uint32_t *flags);

/* Is m, half way between two neighbours, the exact result? NULL where the host
 * function knows RMM itself. */
typedef bool tie_fn(const quad x[3], quad m);

struct op {
    const char *name;
    enum type in, out;
    int n_operands, n_modes;
    fp_fn *soft, *host;
    tie_fn *is_tie;
};

static int frac_bits(enum type t)
{
    return t == F32 ? 23 : 52;
}

static int exp_bits(enum type t)
{
    return t == F32 ? 8 : 11;
}

static uint64_t sign_bit(enum type t)
{
    return UINT64_C(1) << (exp_bits(t) + frac_bits(t));
}

static uint64_t inf_bits(enum type t)
{
    return ((UINT64_C(1) << exp_bits(t)) - 1) << frac_bits(t);
}

static bool is_nan_bits(enum type t, uint64_t bits)
{
    return (bits & ~sign_bit(t)) > inf_bits(t);
}

static bool is_snan_bits(enum type t, uint64_t bits)
{
    return is_nan_bits(t, bits) && !(bits >> (frac_bits(t) - 1) & 1);
}

/* ---- The host's answer ---------------------------------------------------- */

static uint32_t mxcsr_of(enum ir_rm rm)
{
    static const uint32_t rc[] = {
        [IR_RM_RNE] = 0, [IR_RM_RTZ] = 3, [IR_RM_RDN] = 1, [IR_RM_RUP] = 2};

    return 0x1f80 | rc[rm] << 13;
}

static uint32_t flags_of(uint32_t mxcsr)
{
    return (mxcsr & 0x01 ? IR_FP_NV : 0) | (mxcsr & 0x04 ? IR_FP_DZ : 0) |
           (mxcsr & 0x08 ? IR_FP_OF : 0) | (mxcsr & 0x10 ? IR_FP_UF : 0) |
           (mxcsr & 0x20 ? IR_FP_NX : 0);
}

static uint64_t canonical(enum type t, uint64_t bits)
{
    if (t == F32)
        return is_nan_bits(F32, bits & UINT32_MAX) ? IR_F32_NAN : bits & UINT32_MAX;
    if (t == F64)
        return is_nan_bits(F64, bits) ? IR_F64_NAN : bits;
    return bits & 1;
}

/* One instruction of the host, on x, y, z or on the integer n. The mode is set and
 * the flags are read inside one asm, for the compiler may move arithmetic across
 * an intrinsic that does so. */
#define HOST(fn, out, insn)                                                                        \
    static uint64_t host_##fn(const uint64_t v[3], enum ir_rm rm, uint32_t *flags)                 \
    {                                                                                              \
        __m128i x = _mm_cvtsi64_si128((int64_t)v[0]);                                              \
        const __m128i y = _mm_cvtsi64_si128((int64_t)v[1]);                                        \
        const __m128i z = _mm_cvtsi64_si128((int64_t)v[2]);                                        \
        const uint32_t before = mxcsr_of(rm), normal = 0x1f80;                                     \
        uint32_t after;                                                                            \
        __asm__ volatile(                                                                          \
            "ldmxcsr %[before]\n\t" insn "\n\tstmxcsr %[after]\n\tldmxcsr %[normal]"               \
            : [x] "+x"(x), [after] "=m"(after)                                                     \
            : [y] "x"(y), [z] "x"(z), [n] "r"(v[0]), [before] "m"(before), [normal] "m"(normal));  \
        *flags |= flags_of(after);                                                                 \
        return canonical(out, (uint64_t)_mm_cvtsi128_si64(x));                                     \
    }

#define HOST_PAIR(name, insn, operands)                                                            \
    HOST(f32_##name, F32, insn "ss " operands)                                                     \
    HOST(f64_##name, F64, insn "sd " operands)

#define HOST_COMPARE(name, insn)                                                                   \
    HOST(f32_##name, BITS, insn "ss %[y], %[x]")                                                   \
    HOST(f64_##name, BITS, insn "sd %[y], %[x]")

HOST_PAIR(add, "add", "%[y], %[x]")
HOST_PAIR(sub, "sub", "%[y], %[x]")
HOST_PAIR(mul, "mul", "%[y], %[x]")
HOST_PAIR(div, "div", "%[y], %[x]")
HOST_PAIR(sqrt, "sqrt", "%[x], %[x]")
HOST_PAIR(x86_fma, "vfmadd213", "%[z], %[y], %[x]")
HOST_PAIR(x86_from, "cvtsi2", "%[n], %[x]")
HOST_COMPARE(eq, "cmpeq")
HOST_COMPARE(lt, "cmplt")
HOST_COMPARE(le, "cmple")
HOST(f64_to_f32, F32, "cvtsd2ss %[x], %[x]")
HOST(f32_to_f64, F64, "cvtss2sd %[x], %[x]")
HOST(f64_rint, F64, "roundsd $4, %[x], %[x]")

/* x86 lets infinity times zero plus a quiet NaN pass in silence. */
static uint64_t fma_of(enum type t, fp_fn *x86, const uint64_t v[3], enum ir_rm rm, uint32_t *flags)
{
    const uint64_t a = v[0] & ~sign_bit(t), b = v[1] & ~sign_bit(t);

    if ((a == inf_bits(t) && b == 0) || (b == inf_bits(t) && a == 0))
        *flags |= IR_FP_NV;
    return x86(v, rm, flags);
}

/* minss and maxss return the second operand for NaNs and zeros: only the comparison
 * is the host's. */
static uint64_t min_max_of(enum type t, bool want_max, const uint64_t v[3], uint32_t *flags)
{
    fp_fn *const lt = t == F32 ? host_f32_lt : host_f64_lt;
    const bool a_nan = is_nan_bits(t, v[0]), b_nan = is_nan_bits(t, v[1]);
    uint32_t ignored = 0;

    if (is_snan_bits(t, v[0]) || is_snan_bits(t, v[1]))
        *flags |= IR_FP_NV;
    if (a_nan || b_nan)
        return canonical(t, a_nan ? v[1] : v[0]);
    if (lt(v, IR_RM_RNE, &ignored))
        return v[want_max];
    if (lt((uint64_t[]){v[1], v[0], 0}, IR_RM_RNE, &ignored))
        return v[!want_max];
    return want_max ? v[0] & v[1] : v[0] | v[1]; /* Equal, or zeros of two signs. */
}

static double f64_of(enum type t, uint64_t bits)
{
    const uint32_t low = (uint32_t)bits;
    float single;
    double result;

    memcpy(&single, &low, sizeof(single));
    memcpy(&result, &bits, sizeof(result));
    return t == F32 ? (double)single : result;
}

static double round_to_int(double a, enum ir_rm rm)
{
    uint32_t ignored = 0;
    uint64_t bits;

    if (rm == IR_RM_RMM)
        return fabs(a - trunc(a)) >= 0.5 ? trunc(a) + copysign(1, a) : trunc(a);
    memcpy(&bits, &a, sizeof(bits));
    return f64_of(F64, host_f64_rint((uint64_t[]){bits, 0, 0}, rm, &ignored));
}

static uint64_t to_int_of(enum type t, int bits, bool is_signed, const uint64_t v[3], enum ir_rm rm,
                          uint32_t *flags)
{
    const double a = f64_of(t, v[0]);
    const double above = ldexp(1, bits - is_signed), lowest = is_signed ? -above : 0;
    const uint64_t max = UINT64_MAX >> (64 - bits + is_signed), min = is_signed ? ~max : 0;
    uint64_t result;

    if (isnan(a) || round_to_int(a, rm) >= above || round_to_int(a, rm) < lowest) {
        *flags |= IR_FP_NV;
        result = a < 0 ? min : max;
    } else {
        const double r = round_to_int(a, rm);

        *flags |= r != a ? IR_FP_NX : 0;
        result = r < 0 ? (uint64_t)(int64_t)r : (uint64_t)r;
    }
    return bits == 32 ? (uint64_t)(int64_t)(int32_t)(uint32_t)result : result;
}

static int64_t int_of(enum type t, uint64_t n)
{
    return t == I32 ? (int32_t)(uint32_t)n : t == U32 ? (int64_t)(uint32_t)n : (int64_t)n;
}

/* The host converts no unsigned 64 bits: half of it, with the lost bit kept sticky, and doubled. */
static uint64_t from_int_of(enum type out, enum type in, const uint64_t v[3], enum ir_rm rm,
                            uint32_t *flags)
{
    fp_fn *const convert = out == F32 ? host_f32_x86_from : host_f64_x86_from;
    const uint64_t n = (uint64_t)int_of(in, v[0]);

    if (in != U64 || n >> 63 == 0)
        return convert((uint64_t[]){n, 0, 0}, rm, flags);
    return convert((uint64_t[]){n >> 1 | (n & 1), 0, 0}, rm, flags) +
           (UINT64_C(1) << frac_bits(out));
}

static uint64_t class_of(enum type t, const uint64_t v[3])
{
    const bool sign = (v[0] & sign_bit(t)) != 0;

    switch (t == F32 ? fpclassify((float)f64_of(F32, v[0])) : fpclassify(f64_of(F64, v[0]))) {
    case FP_INFINITE: return sign ? 1 << 0 : 1 << 7;
    case FP_NORMAL: return sign ? 1 << 1 : 1 << 6;
    case FP_SUBNORMAL: return sign ? 1 << 2 : 1 << 5;
    case FP_ZERO: return sign ? 1 << 3 : 1 << 4;
    default: return is_snan_bits(t, v[0]) ? 1 << 8 : 1 << 9;
    }
}

/* ---- RMM, derived --------------------------------------------------------- */

static quad quad_of(enum type t, uint64_t bits)
{
    if (t == F32 || t == F64)
        return f64_of(t, bits);
    return t == U64 ? (quad)bits : (quad)int_of(t, bits);
}

/* Knuth's two-sum: the error of x + y, which must be none. */
static bool sum_is(quad x, quad y, quad m)
{
    const quad s = x + y, y_part = s - x;

    return s == m && (x - (s - y_part)) + (y - y_part) == 0;
}

static bool add_is(const quad x[3], quad m)
{
    return sum_is(x[0], x[1], m);
}

static bool sub_is(const quad x[3], quad m)
{
    return sum_is(x[0], -x[1], m);
}

/* Below, every product is of at most 54 and 54 bits, and binary128 has 113. */
static bool mul_is(const quad x[3], quad m)
{
    return x[0] * x[1] == m;
}

static bool div_is(const quad x[3], quad m)
{
    return m * x[1] == x[0];
}

static bool sqrt_is(const quad x[3], quad m)
{
    return m * m == x[0];
}

static bool fma_is(const quad x[3], quad m)
{
    return sum_is(x[0] * x[1], x[2], m);
}

static bool value_is(const quad x[3], quad m)
{
    return x[0] == m;
}

/* RMM differs from RNE in ties alone, and there takes the larger neighbour. Flags
 * are RNE's: at the borders of overflow and tininess the even neighbour is the larger. */
static uint64_t host_rmm(const struct op *op, const uint64_t v[3], uint32_t *flags)
{
    uint32_t nearest_flags = 0, ignored = 0;
    const uint64_t nearest = op->host(v, IR_RM_RNE, &nearest_flags);

    *flags |= nearest_flags;
    if (!(nearest_flags & IR_FP_NX))
        return nearest;

    const uint64_t down = op->host(v, IR_RM_RDN, &ignored);
    const uint64_t up = op->host(v, IR_RM_RUP, &ignored);
    const quad low = quad_of(op->out, down), high = quad_of(op->out, up);
    quad x[3] = {0, 0, 0};

    for (int i = 0; i < op->n_operands; i++)
        x[i] = quad_of(op->in, v[i]);
    if (isinf((double)low) || isinf((double)high) || !op->is_tie(x, (low + high) / 2))
        return nearest;
    return (down & ~sign_bit(op->out)) > (up & ~sign_bit(op->out)) ? down : up;
}

static uint64_t host_answer(const struct op *op, const uint64_t v[3], enum ir_rm rm,
                            uint32_t *flags)
{
    return rm == IR_RM_RMM && op->is_tie ? host_rmm(op, v, flags) : op->host(v, rm, flags);
}

/* ---- The operations, one row each ----------------------------------------- */

#define WRAP(side, fn, value)                                                                      \
    static uint64_t side##_##fn(const uint64_t v[3], enum ir_rm rm, uint32_t *flags)               \
    {                                                                                              \
        (void)rm, (void)flags;                                                                     \
        return (uint64_t)(value);                                                                  \
    }

/* Operand n in the type of the format. */
#define A32(n) ((uint32_t)v[n])
#define A64(n) (v[n])

#define WRAP_FORMAT(f, T, A)                                                                       \
    WRAP(soft, f##_add, ir_##f##_add(A(0), A(1), rm, flags))                                       \
    WRAP(soft, f##_sub, ir_##f##_sub(A(0), A(1), rm, flags))                                       \
    WRAP(soft, f##_mul, ir_##f##_mul(A(0), A(1), rm, flags))                                       \
    WRAP(soft, f##_div, ir_##f##_div(A(0), A(1), rm, flags))                                       \
    WRAP(soft, f##_sqrt, ir_##f##_sqrt(A(0), rm, flags))                                           \
    WRAP(soft, f##_fma, ir_##f##_fma(A(0), A(1), A(2), rm, flags))                                 \
    WRAP(host, f##_fma, fma_of(T, host_##f##_x86_fma, v, rm, flags))                               \
    WRAP(soft, f##_min, ir_##f##_min(A(0), A(1), flags))                                           \
    WRAP(host, f##_min, min_max_of(T, false, v, flags))                                            \
    WRAP(soft, f##_max, ir_##f##_max(A(0), A(1), flags))                                           \
    WRAP(host, f##_max, min_max_of(T, true, v, flags))                                             \
    WRAP(soft, f##_eq, ir_##f##_eq(A(0), A(1), flags))                                             \
    WRAP(soft, f##_lt, ir_##f##_lt(A(0), A(1), flags))                                             \
    WRAP(soft, f##_le, ir_##f##_le(A(0), A(1), flags))                                             \
    WRAP(soft, f##_class, ir_##f##_class(A(0)))                                                    \
    WRAP(host, f##_class, class_of(T, v))                                                          \
    WRAP_INT(f, T, A, i32, I32, 32, true)                                                          \
    WRAP_INT(f, T, A, u32, U32, 32, false)                                                         \
    WRAP_INT(f, T, A, i64, I64, 64, true)                                                          \
    WRAP_INT(f, T, A, u64, U64, 64, false)

#define WRAP_INT(f, T, A, i, I, bits, is_signed)                                                   \
    WRAP(soft, f##_to_##i, ir_##f##_to_##i(A(0), rm, flags))                                       \
    WRAP(host, f##_to_##i, to_int_of(T, bits, is_signed, v, rm, flags))                            \
    WRAP(soft, f##_from_##i, ir_##f##_from_##i(v[0], rm, flags))                                   \
    WRAP(host, f##_from_##i, from_int_of(T, I, v, rm, flags))

WRAP_FORMAT(f32, F32, A32)
WRAP_FORMAT(f64, F64, A64)
WRAP(soft, f64_to_f32, ir_f64_to_f32(v[0], rm, flags))
WRAP(soft, f32_to_f64, ir_f32_to_f64((uint32_t)v[0], flags))

#define OP(fn, in, out, n_operands, n_modes, is_tie)                                               \
    {                                                                                              \
#fn, in, out, n_operands, n_modes, soft_##fn, host_##fn, is_tie                            \
    }

#define OPS(f, T)                                                                                  \
    OP(f##_add, T, T, 2, 5, add_is), OP(f##_sub, T, T, 2, 5, sub_is),                              \
        OP(f##_mul, T, T, 2, 5, mul_is), OP(f##_div, T, T, 2, 5, div_is),                          \
        OP(f##_sqrt, T, T, 1, 5, sqrt_is), OP(f##_fma, T, T, 3, 5, fma_is),                        \
        OP(f##_min, T, T, 2, 1, NULL), OP(f##_max, T, T, 2, 1, NULL),                              \
        OP(f##_eq, T, BITS, 2, 1, NULL), OP(f##_lt, T, BITS, 2, 1, NULL),                          \
        OP(f##_le, T, BITS, 2, 1, NULL), OP(f##_class, T, BITS, 1, 1, NULL),                       \
        OP(f##_to_i32, T, I32, 1, 5, NULL), OP(f##_to_u32, T, U32, 1, 5, NULL),                    \
        OP(f##_to_i64, T, I64, 1, 5, NULL), OP(f##_to_u64, T, U64, 1, 5, NULL),                    \
        OP(f##_from_i32, I32, T, 1, 5, value_is), OP(f##_from_u32, U32, T, 1, 5, value_is),        \
        OP(f##_from_i64, I64, T, 1, 5, value_is), OP(f##_from_u64, U64, T, 1, 5, value_is)

static const struct op ops[] = {
    OPS(f32, F32),
    OPS(f64, F64),
    OP(f32_to_f64, F32, F64, 1, 1, NULL),
    OP(f64_to_f32, F64, F32, 1, 5, value_is),
};

enum { N_OPS = sizeof(ops) / sizeof(ops[0]) };

static bool host_has(const struct op *op)
{
    return strstr(op->name, "fma") == NULL || __builtin_cpu_supports("fma");
}

static void report(const char *who, const struct op *op, enum ir_rm rm, const uint64_t v[3],
                   const uint64_t result[2], const uint32_t flags[2])
{
    static const char *const modes[] = {"rne", "rtz", "rdn", "rup", "rmm"};

    fail_msg("%s: %s %s %#" PRIx64 " %#" PRIx64 " %#" PRIx64 "\n    is     %#" PRIx64
             " flags %#x\n    wanted %#" PRIx64 " flags %#x",
             who, op->name, modes[rm], v[0], v[1], v[2], result[0], flags[0], result[1], flags[1]);
}

/* ---- Rules, picked by hand ------------------------------------------------ */

enum { NX = IR_FP_NX, UF = IR_FP_UF, OF = IR_FP_OF, DZ = IR_FP_DZ, NV = IR_FP_NV };
enum { RNE, RTZ, RDN, RUP, RMM };

struct row {
    const char *op;
    int rm;
    uint64_t v[3], result;
    uint32_t flags;
};

static const struct row rows[] = {
    /* Zeros: the sign of a sum (6.3) and of a product. */
    {"f32_add", RNE, {0x80000000, 0x00000000}, 0x00000000, 0},
    {"f32_add", RDN, {0x80000000, 0x00000000}, 0x80000000, 0},
    {"f32_add", RNE, {0x80000000, 0x80000000}, 0x80000000, 0},
    {"f32_sub", RDN, {0x3f800000, 0x3f800000}, 0x80000000, 0},
    {"f32_sub", RMM, {0x3f800000, 0x3f800000}, 0x00000000, 0},
    {"f32_fma", RUP, {0x3f800000, 0xbf800000, 0x3f800000}, 0x00000000, 0},
    {"f32_fma", RDN, {0x3f800000, 0xbf800000, 0x3f800000}, 0x80000000, 0},
    {"f32_fma", RNE, {0x80000000, 0x3f800000, 0x80000000}, 0x80000000, 0},
    {"f32_mul", RNE, {0x80000000, 0x3f800000}, 0x80000000, 0},
    {"f64_sqrt", RNE, {0x8000000000000000}, 0x8000000000000000, 0},

    /* A product too small to see still decides the rounding of a fused addend. */
    {"f32_fma", RDN, {0x00000001, 0x80000001, 0x3f800000}, 0x3f7fffff, NX},
    {"f32_fma", RUP, {0x00000001, 0x00000001, 0x3f800000}, 0x3f800001, NX},
    {"f32_fma", RNE, {0x00000001, 0x80000001, 0x00000001}, 0x00000001, UF | NX},

    /* Invalid, and the canonical NaN whatever came in. */
    {"f32_add", RNE, {0x7f800000, 0xff800000}, IR_F32_NAN, NV},
    {"f32_add", RNE, {0xffc12345, 0x3f800000}, IR_F32_NAN, 0},
    {"f32_sub", RNE, {0x7f800001, 0x7fc00000}, IR_F32_NAN, NV},
    {"f32_mul", RNE, {0x7f800000, 0x80000000}, IR_F32_NAN, NV},
    {"f32_div", RNE, {0x00000000, 0x80000000}, IR_F32_NAN, NV},
    {"f32_div", RNE, {0x7f800000, 0x7f800000}, IR_F32_NAN, NV},
    {"f32_sqrt", RNE, {0xff800000}, IR_F32_NAN, NV},
    {"f64_sqrt", RNE, {0x8000000000000001}, IR_F64_NAN, NV},
    {"f64_div", RNE, {0xfff8000000000001, 0}, IR_F64_NAN, 0},
    {"f32_fma", RNE, {0x7f800000, 0x00000000, 0x7fc00000}, IR_F32_NAN, NV},
    {"f64_fma", RNE, {0, 0xfff0000000000000, 0x7ff8000000000000}, IR_F64_NAN, NV},
    {"f32_fma", RNE, {0x7f800000, 0x3f800000, 0xff800000}, IR_F32_NAN, NV},
    {"f32_fma", RNE, {0x7f7fffff, 0x7f7fffff, 0xff800000}, 0xff800000, 0},

    /* Division by zero is of finite numbers; infinity over zero is exact. */
    {"f32_div", RNE, {0xbf800000, 0x00000000}, 0xff800000, DZ},
    {"f32_div", RNE, {0x7f800000, 0x80000000}, 0xff800000, 0},

    /* Tininess after rounding: just below the smallest normal, this rounds up to it
     * at full precision, or does not, by the mode. */
    {"f32_mul", RNE, {0x3f7ffffe, 0x00800001}, 0x00800000, NX},
    {"f32_mul", RMM, {0x3f7ffffe, 0x00800001}, 0x00800000, NX},
    {"f32_mul", RUP, {0x3f7ffffe, 0x00800001}, 0x00800000, NX},
    {"f32_mul", RTZ, {0x3f7ffffe, 0x00800001}, 0x007fffff, UF | NX},
    {"f32_mul", RDN, {0xbf7ffffe, 0x00800001}, 0x80800000, NX},
    {"f64_mul", RNE, {0x3feffffffffffffe, 0x0010000000000001}, 0x0010000000000000, NX},
    {"f64_mul", RDN, {0x3feffffffffffffe, 0x0010000000000001}, 0x000fffffffffffff, UF | NX},
    /* Exact at full precision, so tiny, although the subnormal rounds up to normal. */
    {"f32_mul", RNE, {0x00ffffff, 0x3f000000}, 0x00800000, UF | NX},
    {"f64_to_f32", RNE, {0x380fffffffffffff}, 0x00800000, NX},
    {"f64_to_f32", RNE, {0x380fffffe0000000}, 0x00800000, UF | NX},
    /* Tiny but exact raises nothing. */
    {"f32_mul", RNE, {0x00800000, 0x3f000000}, 0x00400000, 0},
    {"f32_mul", RNE, {0x00000001, 0x3f000000}, 0x00000000, UF | NX},
    {"f32_mul", RMM, {0x00000001, 0x3f000000}, 0x00000001, UF | NX},
    {"f32_mul", RDN, {0x80000001, 0x3e000000}, 0x80000001, UF | NX},

    /* Overflow: infinity or the largest number, by mode and sign. */
    {"f32_add", RNE, {0x7f7fffff, 0x73000000}, 0x7f800000, OF | NX},
    {"f32_add", RMM, {0x7f7fffff, 0x73000000}, 0x7f800000, OF | NX},
    {"f32_add", RNE, {0x7f7fffff, 0x72ffffff}, 0x7f7fffff, NX},
    {"f32_mul", RTZ, {0x7f7fffff, 0x7f7fffff}, 0x7f7fffff, OF | NX},
    {"f32_mul", RDN, {0x7f7fffff, 0x7f7fffff}, 0x7f7fffff, OF | NX},
    {"f32_mul", RDN, {0xff7fffff, 0x7f7fffff}, 0xff800000, OF | NX},
    {"f64_mul", RUP, {0xffefffffffffffff, 0x7fefffffffffffff}, 0xffefffffffffffff, OF | NX},
    {"f64_to_f32", RUP, {0x47efffffe0000001}, 0x7f800000, OF | NX},

    /* Ties. */
    {"f32_add", RNE, {0x4b800000, 0x3f800000}, 0x4b800000, NX},
    {"f32_add", RMM, {0x4b800000, 0x3f800000}, 0x4b800001, NX},
    {"f32_add", RMM, {0xcb800000, 0xbf800000}, 0xcb800001, NX},
    {"f32_from_i32", RNE, {0x01000001}, 0x4b800000, NX},
    {"f32_from_i32", RMM, {0x01000001}, 0x4b800001, NX},
    {"f64_to_i32", RNE, {0x4004000000000000}, 2, NX},
    {"f64_to_i32", RMM, {0x4004000000000000}, 3, NX},
    {"f64_to_i32", RMM, {0xbfe0000000000000}, UINT64_MAX, NX},

    /* To integers: what saturates is invalid and not inexact. */
    {"f32_to_i32", RTZ, {0x7fc00000}, 0x7fffffff, NV},
    {"f32_to_i32", RTZ, {0xffc00000}, 0x7fffffff, NV},
    {"f32_to_u32", RTZ, {0xff800001}, UINT64_MAX, NV},
    {"f32_to_u32", RTZ, {0x4f7fffff}, 0xffffffffffffff00, 0},
    {"f32_to_u32", RTZ, {0xbf7fffff}, 0, NX},
    {"f32_to_u32", RTZ, {0xbf800000}, 0, NV},
    {"f32_to_u32", RDN, {0x80000001}, 0, NV},
    {"f32_to_u64", RNE, {0xff800000}, 0, NV},
    {"f32_to_u64", RNE, {0x7f800000}, UINT64_MAX, NV},
    {"f64_to_i32", RTZ, {0xc1e00000001fffff}, 0xffffffff80000000, NX},
    {"f64_to_i32", RDN, {0xc1e0000000000001}, 0xffffffff80000000, NV},
    {"f64_to_i32", RNE, {0x41dfffffffe00000}, 0x7fffffff, NV},
    {"f64_to_u32", RNE, {0x41effffffff00000}, UINT64_MAX, NV},
    {"f64_to_u32", RTZ, {0x41efffffffffffff}, UINT64_MAX, NX},
    {"f64_to_i64", RNE, {0x43e0000000000000}, INT64_MAX, NV},
    {"f64_to_i64", RNE, {0xc3e0000000000000}, 0x8000000000000000, 0},
    {"f64_to_u64", RNE, {0x43efffffffffffff}, 0xfffffffffffff800, 0},
    {"f64_to_u64", RNE, {0x43f0000000000000}, UINT64_MAX, NV},
    {"f64_to_i64", RUP, {0x8000000000000001}, 0, NX},

    /* From integers. */
    {"f32_from_i32", RDN, {0xffffffff00000000}, 0, 0},
    {"f32_from_i32", RNE, {0x0000000080000000}, 0xcf000000, 0},
    {"f32_from_u32", RNE, {0xffffffff80000000}, 0x4f000000, 0},
    {"f64_from_u64", RNE, {UINT64_MAX}, 0x43f0000000000000, NX},
    {"f64_from_u64", RTZ, {UINT64_MAX}, 0x43efffffffffffff, NX},
    {"f64_from_i64", RNE, {UINT64_MAX}, 0xbff0000000000000, 0},

    /* Minimum, maximum, comparison. */
    {"f32_min", RNE, {0x00000000, 0x80000000}, 0x80000000, 0},
    {"f32_max", RNE, {0x80000000, 0x00000000}, 0x00000000, 0},
    {"f32_min", RNE, {0x7fc00000, 0x3f800000}, 0x3f800000, 0},
    {"f32_max", RNE, {0xbf800000, 0x7f800001}, 0xbf800000, NV},
    {"f64_max", RNE, {0xfff8000000000001, 0x7ff8000000000002}, IR_F64_NAN, 0},
    {"f64_min", RNE, {0xfff0000000000001, 0x7ff0000000000001}, IR_F64_NAN, NV},
    {"f32_eq", RNE, {0x80000000, 0x00000000}, 1, 0},
    {"f32_eq", RNE, {0x7fc00000, 0x7fc00000}, 0, 0},
    {"f32_eq", RNE, {0x7f800001, 0x3f800000}, 0, NV},
    {"f32_lt", RNE, {0x80000000, 0x00000000}, 0, 0},
    {"f32_lt", RNE, {0x7fc00000, 0x00000000}, 0, NV},
    {"f64_le", RNE, {0, 0xfff8000000000000}, 0, NV},
    {"f64_lt", RNE, {0xfff0000000000000, 0xffefffffffffffff}, 1, 0},

    /* Conversion between the formats, and classes. */
    {"f32_to_f64", RNE, {0xff800001}, IR_F64_NAN, NV},
    {"f32_to_f64", RNE, {0x80000001}, 0xb6a0000000000000, 0},
    {"f64_to_f32", RNE, {0xfff8000000000001}, IR_F32_NAN, 0},
    {"f64_to_f32", RUP, {0x0000000000000001}, 0x00000001, UF | NX},
    {"f32_class", RNE, {0xff800000}, 1 << 0, 0},
    {"f32_class", RNE, {0x80800000}, 1 << 1, 0},
    {"f32_class", RNE, {0x807fffff}, 1 << 2, 0},
    {"f32_class", RNE, {0x80000000}, 1 << 3, 0},
    {"f64_class", RNE, {0x0000000000000000}, 1 << 4, 0},
    {"f64_class", RNE, {0x000fffffffffffff}, 1 << 5, 0},
    {"f64_class", RNE, {0x0010000000000000}, 1 << 6, 0},
    {"f64_class", RNE, {0x7ff0000000000000}, 1 << 7, 0},
    {"f64_class", RNE, {0xfff0000000000001}, 1 << 8, 0},
    {"f64_class", RNE, {0x7ff8000000000000}, 1 << 9, 0},
};

static const struct op *find_op(const char *name)
{
    for (int i = 0; i < N_OPS; i++)
        if (strcmp(ops[i].name, name) == 0)
            return &ops[i];
    fail_msg("no operation %s", name);
    return NULL;
}

/* The host answers too, so that a row that is wrong is not believed. */
static void rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        const struct op *op = find_op(row->op);
        const enum ir_rm rm = (enum ir_rm)row->rm;
        uint32_t flags[2] = {0, row->flags}, host_flags[2] = {0, row->flags};
        const uint64_t soft[2] = {op->soft(row->v, rm, &flags[0]), row->result};

        if (soft[0] != soft[1] || flags[0] != flags[1])
            report("ir_fp", op, rm, row->v, soft, flags);
        if (!host_has(op))
            continue;

        const uint64_t host[2] = {host_answer(op, row->v, rm, &host_flags[0]), row->result};

        if (host[0] != host[1] || host_flags[0] != host_flags[1])
            report("the host", op, rm, row->v, host, host_flags);
    }
}

/* ---- Random operands ------------------------------------------------------ */

struct rng {
    uint64_t state;
};

/* Weyl sequence and a 64-bit mixer. */
static uint64_t draw(struct rng *r)
{
    uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static int draw_below(struct rng *r, int n)
{
    return (int)(draw(r) >> 33) % n;
}

static int draw_around(struct rng *r, int middle, int spread)
{
    return middle + draw_below(r, 2 * spread + 1) - spread;
}

/* Few bits, runs of bits, ties and their neighbours at every place. */
static uint64_t draw_pattern(struct rng *r, int width)
{
    const uint64_t mask = UINT64_MAX >> (64 - width);
    const uint64_t bit = UINT64_C(1) << draw_below(r, width);

    switch (draw_below(r, 6)) {
    case 0: return bit | UINT64_C(1) << draw_below(r, width);
    case 1: return bit - 1;
    case 2: return mask & (0 - bit);
    case 3: return mask & ((draw(r) | 1) * bit);
    case 4: return mask & ((draw(r) | 1) * bit + (uint64_t)draw_around(r, 0, 1));
    default: return mask & draw(r);
    }
}

static uint64_t draw_special(struct rng *r, enum type t)
{
    const uint64_t hidden = UINT64_C(1) << frac_bits(t), inf = inf_bits(t);
    const uint64_t one = inf / 2 & ~(hidden - 1), quiet = hidden / 2;
    const uint64_t table[] = {
        0,       1,       2,       hidden - 1,       hidden,      hidden + 1,
        inf - 1, inf - 2, inf,     inf + 1,          inf | quiet, inf | quiet | 5,
        one,     one - 1, one + 1, one + hidden / 2, one + hidden};

    return table[draw_below(r, sizeof(table) / sizeof(table[0]))];
}

static uint64_t with_exp(struct rng *r, enum type t, int exp)
{
    const int top = (1 << exp_bits(t)) - 2;
    const int clamped = exp < 0 ? 0 : exp > top ? top : exp;

    return (uint64_t)clamped << frac_bits(t) | draw_pattern(r, frac_bits(t));
}

/* `other` is an operand already drawn, to be close to, or to be multiplied or
 * divided with so that the result is about to underflow or overflow. */
static uint64_t draw_magnitude(struct rng *r, enum type t, uint64_t other)
{
    const int bias = (1 << (exp_bits(t) - 1)) - 1, p = frac_bits(t) + 1;
    const int other_exp = (int)((other & ~sign_bit(t)) >> frac_bits(t));
    const int edge = draw(r) & 1 ? 2 * bias : draw_around(r, 1 - p / 2, p / 2);

    switch (draw_below(r, 12)) {
    case 0: return draw_special(r, t);
    case 1: return draw(r);
    case 2: /* A power of two, with neighbours. */
        return ((uint64_t)draw_below(r, 2 * bias + 1) << frac_bits(t)) + draw(r) % 3 - 1;
    case 3: return draw_pattern(r, frac_bits(t)); /* Subnormal. */
    case 4: return with_exp(r, t, draw_around(r, bias, p + 3));
    case 5: /* About the integers' limits, and halves. */
        return with_exp(r, t, bias + draw_around(r, draw_below(r, 3) * 32, 3));
    case 6: return with_exp(r, t, draw_around(r, other_exp, 3));
    case 7: return with_exp(r, t, draw_around(r, other_exp, p + 3));
    case 8: return other + (uint64_t)draw_around(r, 0, 3);
    case 9: /* other * this at the edge */
        return with_exp(r, t, draw_around(r, edge + bias - other_exp, 2));
    case 10: /* other / this at the edge */
        return with_exp(r, t, draw_around(r, other_exp - edge + bias, 2));
    default: return with_exp(r, t, draw_below(r, 2 * bias + 1));
    }
}

static uint64_t draw_float(struct rng *r, enum type t, uint64_t other)
{
    const uint64_t magnitude = draw_magnitude(r, t, other) & (sign_bit(t) - 1);

    return draw(r) & 1 ? magnitude : magnitude | sign_bit(t);
}

static uint64_t draw_int(struct rng *r)
{
    const uint64_t n = draw_pattern(r, 1 + draw_below(r, 64));

    return draw(r) & 1 ? n : 0 - n;
}

/* -(a * b), nearly: what the fused sum leaves is the rounding error of the product. */
static uint64_t cancel_product(struct rng *r, enum type t, const uint64_t v[3])
{
    fp_fn *const mul = t == F32 ? soft_f32_mul : soft_f64_mul;
    uint32_t ignored = 0;
    const uint64_t product = mul(v, (enum ir_rm)draw_below(r, 5), &ignored);

    return (product ^ sign_bit(t)) + (uint64_t)(draw_below(r, 4) ? 0 : draw_around(r, 0, 3));
}

static void draw_operands(struct rng *r, const struct op *op, uint64_t v[3])
{
    v[0] = v[1] = v[2] = 0;
    if (op->in != F32 && op->in != F64) {
        v[0] = draw_int(r);
        return;
    }
    for (int i = 0; i < op->n_operands; i++)
        v[i] = draw_float(r, op->in, v[i ? i - 1 : 0]);
    if (op->n_operands == 3 && draw_below(r, 3) == 0)
        v[2] = cancel_product(r, op->in, v);
}

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
    const char *const text = getenv(variable);

    return text ? strtoull(text, NULL, 0) : otherwise;
}

/* The flags begin as a random set: they are sticky. */
static void check_one(struct rng *r, const struct op *op, enum ir_rm rm)
{
    uint64_t v[3];
    const uint32_t before = draw(r) & 3 ? 0 : (uint32_t)draw(r) & 31;
    uint32_t flags[2] = {before, before};

    draw_operands(r, op, v);

    const uint64_t result[2] = {op->soft(v, rm, &flags[0]), host_answer(op, v, rm, &flags[1])};

    if (result[0] != result[1] || flags[0] != flags[1])
        report("ir_fp and the host", op, rm, v, result, flags);
}

static void random_against_host(void **state)
{
    const uint64_t n_cases = number_from("DBT_FUZZ_CASES", 100000);
    const uint64_t seed = number_from("DBT_FUZZ_SEED", 1);
    struct rng r = {.state = seed};
    uint64_t total = 0;

    (void)state;
    for (int i = 0; i < N_OPS; i++) {
        for (int rm = 0; host_has(&ops[i]) && rm < ops[i].n_modes; rm++) {
            for (uint64_t n = 0; n < n_cases; n++)
                check_one(&r, &ops[i], (enum ir_rm)rm);
            total += n_cases;
        }
    }
    print_message("%" PRIu64 " cases from seed %" PRIu64 "\n", total, seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules),
        cmocka_unit_test(random_against_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
