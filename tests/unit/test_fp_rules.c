/* tests/lib/fp_rules.h: each instruction of F and D that computes has its rule, the rules say what
 * the texts say where they say it in numbers, and operands are what they are called. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/riscv/rv_decode.h"
#include "tests/lib/fp_operands.h"

#define BOX(x) (UINT64_C(0xffffffff00000000) | UINT64_C(x))

/* ---- Coverage of the table ------------------------------------------------------------------- */

static bool is_float_row(enum rv_op row)
{
    const uint8_t kind = rv_rows[row].kind;

    return !rv_row_is_compressed(row) &&
           (kind == RV_KIND_FP || kind == RV_KIND_FP_RM || kind == RV_KIND_FP_READ);
}

static const char *syntax_of(enum rv_op row)
{
    return rv_formats[rv_rows[row].format].syntax;
}

/* Loads and stores, whose operand is in parentheses, move bits only. */
static bool is_load_or_store(enum rv_op row)
{
    return strchr(syntax_of(row), '(') != NULL;
}

/* What the format says of the operands, the rule says too. */
static void same_operands(enum rv_op row, const struct fp_rule *rule)
{
    const char *syntax = syntax_of(row);
    const bool to_float = strchr(syntax, 'D') != NULL, from_float = strchr(syntax, 'S') != NULL;
    const unsigned arity = strchr(syntax, 'R') ? 3 : strchr(syntax, 'T') ? 2 : 1;

    assert_int_equal(fp_type_is_float(rule->result), to_float);
    assert_int_equal(fp_type_is_float(rule->operands[0]), from_float);
    assert_int_equal(fp_rule_arity(rule), arity);
    assert_int_equal(rule->rounds, rv_rows[row].kind == RV_KIND_FP_RM);
}

static void every_row_has_its_rule(void **state)
{
    unsigned n = 0;

    (void)state;
    for (enum rv_op row = 1; row < RV_OP_COUNT; row++) {
        if (!is_float_row(row) || is_load_or_store(row))
            continue;
        const struct fp_rule *rule = fp_rule_find(rv_rows[row].name);

        if (!rule)
            fail_msg("%s has no rule in tests/lib/fp_rules.c", rv_rows[row].name);
        same_operands(row, rule);
        n++;
    }
    assert_int_equal(n, fp_n_rules);
}

/* ---- The rules where the texts give numbers ---------------------------------------------------
 */

struct example {
    const char *name;
    unsigned rm;
    uint64_t v[3], result;
    unsigned flags;
};

static const struct example examples[] = {
    /* Manual, "Floating-point Conversions": the table of domains and invalid inputs. */
    {"fcvt_w_s", FP_RNE, {BOX(0xff800000)}, UINT64_C(0xffffffff80000000), FP_NV},
    {"fcvt_w_s", FP_RNE, {BOX(0x7fc00000)}, 0x7fffffff, FP_NV},
    {"fcvt_wu_s", FP_RNE, {BOX(0xbf800000)}, 0, FP_NV},
    {"fcvt_wu_s", FP_RNE, {BOX(0x7f800000)}, UINT64_MAX, FP_NV},
    {"fcvt_wu_d", FP_RNE, {UINT64_C(0x41e0000000000000)}, UINT64_C(0xffffffff80000000), 0},
    {"fcvt_wu_d", FP_RTZ, {UINT64_C(0xbfefffffffffffff)}, 0, FP_NX}, /* -0.99.. becomes 0 */
    {"fcvt_l_d", FP_RNE, {UINT64_C(0x43e0000000000000)}, INT64_MAX, FP_NV},
    {"fcvt_l_d", FP_RNE, {UINT64_C(0xc3e0000000000000)}, UINT64_C(1) << 63, 0},
    {"fcvt_lu_d", FP_RNE, {UINT64_C(0x43f0000000000000)}, UINT64_MAX, FP_NV},
    /* 2.5 in the five modes. */
    {"fcvt_w_d", FP_RNE, {UINT64_C(0x4004000000000000)}, 2, FP_NX},
    {"fcvt_w_d", FP_RTZ, {UINT64_C(0x4004000000000000)}, 2, FP_NX},
    {"fcvt_w_d", FP_RDN, {UINT64_C(0xc004000000000000)}, UINT64_C(0) - 3, FP_NX},
    {"fcvt_w_d", FP_RUP, {UINT64_C(0x4004000000000000)}, 3, FP_NX},
    {"fcvt_w_d", FP_RMM, {UINT64_C(0x4004000000000000)}, 3, FP_NX},
    /* Manual, "NaN Boxing of Narrower Values"; a move looks at no box. */
    {"fadd_s", FP_RNE, {0x3f800000, BOX(0x3f800000)}, BOX(0x7fc00000), 0},
    {"fclass_s", 0, {0x3f800000}, 1 << 9, 0},
    {"fmv_x_w", 0, {0xbf800000}, UINT64_C(0xffffffffbf800000), 0},
    /* Infinity times zero plus a quiet NaN (manual, F: fused multiply-add). */
    {"fmadd_s", FP_RNE, {BOX(0x7f800000), BOX(0), BOX(0x7fc00000)}, BOX(0x7fc00000), FP_NV},
    {"fmadd_s", FP_RNE, {BOX(0x3f800000), BOX(0), BOX(0x7fc00000)}, BOX(0x7fc00000), 0},
    /* Signs of zero, IEEE 754-2019, 6.3. */
    {"fsub_d", FP_RNE, {UINT64_C(0x3ff0000000000000), UINT64_C(0x3ff0000000000000)}, 0, 0},
    {"fsub_d", FP_RDN, {1, 1}, UINT64_C(1) << 63, 0},
    {"fnmadd_d", FP_RNE, {0, 0, 0}, UINT64_C(1) << 63, 0},
    {"fnmsub_d", FP_RNE, {0, 0, 0}, 0, 0},
    {"fsqrt_d", FP_RNE, {UINT64_C(1) << 63}, UINT64_C(1) << 63, 0},
    /* 7.2, 7.3: invalid, division by zero. */
    {"fdiv_d", FP_RNE, {UINT64_C(0x3ff0000000000000), 0}, UINT64_C(0x7ff0000000000000), FP_DZ},
    {"fdiv_d", FP_RNE, {0, 0}, UINT64_C(0x7ff8000000000000), FP_NV},
    {"fdiv_d", FP_RNE, {UINT64_C(0x7ff0000000000000), 0}, UINT64_C(0x7ff0000000000000), 0},
    {"fsqrt_s", FP_RNE, {BOX(0xbf800000)}, BOX(0x7fc00000), FP_NV},
    /* 7.4: what overflow carries to. */
    {"fadd_s", FP_RTZ, {BOX(0x7f7fffff), BOX(0x7f7fffff)}, BOX(0x7f7fffff), FP_OF | FP_NX},
    {"fadd_s", FP_RMM, {BOX(0x7f7fffff), BOX(0x7f7fffff)}, BOX(0x7f800000), FP_OF | FP_NX},
    {"fadd_s", FP_RUP, {BOX(0xff7fffff), BOX(0xff7fffff)}, BOX(0xff7fffff), FP_OF | FP_NX},
    /* 7.5, tiny after rounding: 2^-126 * (1 - 2^-25) rounds up to 2^-126 as if the exponent had
     * no bound; * (1 - 2^-24) is a number of 24 bits below 2^-126, and so is tiny. */
    {"fcvt_s_d", FP_RNE, {UINT64_C(0x380ffffff0000000)}, BOX(0x00800000), FP_NX},
    {"fcvt_s_d", FP_RNE, {UINT64_C(0x380fffffe0000000)}, BOX(0x00800000), FP_UF | FP_NX},
    {"fcvt_s_d", FP_RNE, {UINT64_C(0x3690000000000000)}, BOX(0), FP_UF | FP_NX},
    {"fcvt_s_d", FP_RMM, {UINT64_C(0x3690000000000000)}, BOX(1), FP_UF | FP_NX},
    /* 9.6: numbers before NaNs, -0 below +0, signalling NaNs always raise. */
    {"fmin_s", 0, {BOX(0), BOX(0x80000000)}, BOX(0x80000000), 0},
    {"fmax_s", 0, {BOX(0x80000000), BOX(0)}, BOX(0), 0},
    {"fmax_s", 0, {BOX(0x7f800001), BOX(0x3f800000)}, BOX(0x3f800000), FP_NV},
    {"fmin_s", 0, {BOX(0x7fc00001), BOX(0xffc00000)}, BOX(0x7fc00000), 0},
    {"feq_s", 0, {BOX(0x7fc00000), BOX(0)}, 0, 0},
    {"flt_s", 0, {BOX(0x7fc00000), BOX(0)}, 0, FP_NV},
    {"fle_s", 0, {BOX(0), BOX(0x80000000)}, 1, 0},
    /* Computed with the digits of the numbers: 1/3, the root of 2. */
    {"fdiv_s", FP_RNE, {BOX(0x3f800000), BOX(0x40400000)}, BOX(0x3eaaaaab), FP_NX},
    {"fdiv_s", FP_RTZ, {BOX(0x3f800000), BOX(0x40400000)}, BOX(0x3eaaaaaa), FP_NX},
    {"fsqrt_d", FP_RNE, {UINT64_C(0x4000000000000000)}, UINT64_C(0x3ff6a09e667f3bcd), FP_NX},
    {"fsqrt_d", FP_RDN, {UINT64_C(0x4000000000000000)}, UINT64_C(0x3ff6a09e667f3bcc), FP_NX},
    /* The rounding error of a product, exact: (1 + 2^-52)^2 - (1 + 2^-51) = 2^-104. */
    {"fmsub_d",
     FP_RNE,
     {UINT64_C(0x3ff0000000000001), UINT64_C(0x3ff0000000000001), UINT64_C(0x3ff0000000000002)},
     UINT64_C(0x3970000000000000),
     0},
    {"fsgnjn_s", 0, {BOX(0x3f800000), 0}, BOX(0xbf800000), 0}, /* of the canonical NaN */
    {"fcvt_s_lu", FP_RNE, {UINT64_MAX}, BOX(0x5f800000), FP_NX},
    {"fcvt_d_w", FP_RNE, {UINT64_C(0x1280000000)}, UINT64_C(0xc1e0000000000000), 0},
};

static void rules_say_what_the_texts_say(void **state)
{
    (void)state;
    for (unsigned k = 0; k < sizeof(examples) / sizeof(examples[0]); k++) {
        const struct example *x = &examples[k];
        unsigned flags = 0;
        uint64_t result = fp_rule_apply(fp_rule_find(x->name), x->v, x->rm, &flags);

        if (result != x->result || flags != x->flags)
            fail_msg("%s(%" PRIx64 ", %" PRIx64 ", %" PRIx64 "), mode %u: %" PRIx64
                     " flags %x, not %" PRIx64 " flags %x",
                     x->name, x->v[0], x->v[1], x->v[2], x->rm, result, flags, x->result, x->flags);
    }
}

/* ---- Operands ---------------------------------------------------------------------------------
 */

static void same_seed_same_operands(void **state)
{
    struct fp_operands a, b;

    (void)state;
    fp_operands_init(&a, 7);
    fp_operands_init(&b, 7);
    for (unsigned k = 0; k < 100 * fp_n_rules; k++) {
        uint64_t v[3], w[3];

        fp_operands_draw(&a, &fp_rules[k % fp_n_rules], v);
        fp_operands_draw(&b, &fp_rules[k % fp_n_rules], w);
        assert_memory_equal(v, w, sizeof(v));
    }
}

/* One case in 100 of each rule raises nothing; fused operations and divisions raise each flag in
 * one of 200 at least. */
static void operands_reach_every_flag(void **state)
{
    enum { CASES = 4000 };
    struct fp_operands o;

    (void)state;
    fp_operands_init(&o, 3);
    for (unsigned k = 0; k < fp_n_rules; k++) {
        unsigned seen[5] = {0}, none = 0;

        for (unsigned n = 0; n < CASES; n++) {
            uint64_t v[3];
            unsigned flags = 0;

            fp_operands_draw(&o, &fp_rules[k], v);
            fp_rule_apply(&fp_rules[k], v, n % FP_N_MODES, &flags);
            none += flags == 0;
            for (unsigned bit = 0; bit < 5; bit++)
                seen[bit] += flags >> bit & 1;
        }
        assert_true(none >= CASES / 100);
        if (strncmp(fp_rules[k].name, "fm", 2) == 0 && fp_rule_arity(&fp_rules[k]) == 3) {
            assert_true(seen[0] >= CASES / 4 && seen[4] >= CASES / 200);
            assert_true(seen[1] >= CASES / 200 && seen[2] >= CASES / 200);
        }
        if (strncmp(fp_rules[k].name, "fdiv", 4) == 0)
            assert_true(seen[3] >= CASES / 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_has_its_rule),
        cmocka_unit_test(rules_say_what_the_texts_say),
        cmocka_unit_test(same_seed_same_operands),
        cmocka_unit_test(operands_reach_every_flag),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
