/* Private to tests/lib/fp_rules*.c: numbers taken apart, and the one rounding. */
#pragma once

#include "tests/lib/fp_rules.h"

typedef unsigned __int128 fp_wide;

/* IEEE 754-2019, table 3.5. */
struct fp_format {
    int precision; /* p, the leading bit included */
    int emax;      /* also the bias; emin is 1 - emax */
    int width;
};
extern const struct fp_format fp_single, fp_double;

static inline const struct fp_format *fp_format_of(char type)
{
    return type == 's' ? &fp_single : &fp_double;
}

enum fp_kind { FP_ZERO, FP_NUMBER, FP_INFINITE, FP_QUIET, FP_SIGNALLING };

/* A FP_NUMBER is sig * 2^exp, sig not 0. */
struct fp_num {
    enum fp_kind kind;
    bool sign;
    int exp;
    fp_wide sig;
};

static inline bool fp_is_nan(const struct fp_num *n)
{
    return n->kind >= FP_QUIET;
}

struct fp_num fp_num_of(const struct fp_format *f, uint64_t bits);

uint64_t fp_zero(const struct fp_format *f, bool sign);
uint64_t fp_infinity(const struct fp_format *f, bool sign);
uint64_t fp_canonical_nan(const struct fp_format *f);
uint64_t fp_invalid(const struct fp_format *f, unsigned *flags); /* raises NV, gives the NaN */

/* The number of the highest bit that is set; w is not 0. */
int fp_top(fp_wide w);
/* w / 2^n; what is lost leaves its mark in bit 0. */
fp_wide fp_shift_jam(fp_wide w, int n);
/* w / 2^drop as an integer, rounded; *inexact says whether anything was lost. drop may be
 * negative, as long as nothing leaves at the top. */
fp_wide fp_round_off(fp_wide w, int drop, bool sign, unsigned rm, bool *inexact);
/* The datum nearest to n as rm wants it, n a FP_NUMBER, with OF, UF and NX. */
uint64_t fp_round(const struct fp_format *f, const struct fp_num *n, unsigned rm, unsigned *flags);

/* ---- The rules: fp_rules_arith.c, fp_rules_convert.c --------------------------------------- */

enum { FP_ADD, FP_SUBTRACT };
enum { FP_MADD, FP_MSUB, FP_NMSUB, FP_NMADD };
enum { FP_SIGN, FP_SIGN_NOT, FP_SIGN_XOR };
enum { FP_MIN, FP_MAX };
enum { FP_EQ, FP_LT, FP_LE };

fp_rule_fn fp_rule_add, fp_rule_mul, fp_rule_div, fp_rule_sqrt, fp_rule_fma;
fp_rule_fn fp_rule_sign, fp_rule_minmax, fp_rule_compare, fp_rule_class;
fp_rule_fn fp_rule_to_int, fp_rule_from_int, fp_rule_convert, fp_rule_to_x, fp_rule_from_x;
