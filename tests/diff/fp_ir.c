#include "tests/diff/fp_ir.h"

#include <string.h>

#include "dbt/ir/ir.h"
#include "dbt/ir/ir_arith.h"

#define BOX UINT64_C(0xffffffff00000000)

/* Operands whose sign is flipped before: rs1 to negate a product, rs3. */
enum { FLIP_A = 1, FLIP_C = 2 };

struct fp_meaning {
    const char *name;
    enum ir_op op;
    uint8_t width;
    uint8_t flip; /* FLIP_; of a sign injection, what ir_fsgnj() takes */
};

#define BOTH(name, op, flip)                                                                       \
    {name "_s", op, 32, flip},                                                                     \
    {                                                                                              \
        name "_d", op, 64, flip                                                                    \
    }
#define FROM(name, op)                                                                             \
    {"fcvt_s_" name, op, 32, 0},                                                                   \
    {                                                                                              \
        "fcvt_d_" name, op, 64, 0                                                                  \
    }

static const struct fp_meaning meanings[] = {
    BOTH("fadd", IR_fadd, 0),
    BOTH("fsub", IR_fsub, 0),
    BOTH("fmul", IR_fmul, 0),
    BOTH("fdiv", IR_fdiv, 0),
    BOTH("fsqrt", IR_fsqrt, 0),
    BOTH("fmadd", IR_ffma, 0),
    BOTH("fmsub", IR_ffma, FLIP_C),
    BOTH("fnmsub", IR_ffma, FLIP_A),
    BOTH("fnmadd", IR_ffma, FLIP_A | FLIP_C),
    BOTH("fmin", IR_fmin, 0),
    BOTH("fmax", IR_fmax, 0),
    BOTH("feq", IR_feq, 0),
    BOTH("flt", IR_flt, 0),
    BOTH("fle", IR_fle, 0),
    BOTH("fclass", IR_fclass, 0),
    BOTH("fcvt_w", IR_f2s32, 0),
    BOTH("fcvt_wu", IR_f2u32, 0),
    BOTH("fcvt_l", IR_f2s64, 0),
    BOTH("fcvt_lu", IR_f2u64, 0),
    FROM("w", IR_s32f),
    FROM("wu", IR_u32f),
    FROM("l", IR_s64f),
    FROM("lu", IR_u64f),
    BOTH("fsgnj", IR_fsgnj, 0),
    BOTH("fsgnjn", IR_fsgnjn, 1),
    BOTH("fsgnjx", IR_fsgnjx, 2),
    {"fcvt_s_d", IR_f64to32, 64, 0},
    {"fcvt_d_s", IR_f32to64, 32, 0},
};
enum { N_MEANINGS = sizeof(meanings) / sizeof(meanings[0]) };

const struct fp_meaning *fp_ir_find(const struct fp_rule *rule)
{
    for (unsigned k = 0; k < N_MEANINGS; k++)
        if (strcmp(meanings[k].name, rule->name) == 0)
            return &meanings[k];
    return NULL;
}

static uint64_t unbox(char type, uint64_t raw)
{
    return type == 's' && raw >> 32 != 0xffffffff ? BOX | IR_F32_NAN : raw;
}

uint64_t fp_ir_apply(const struct fp_meaning *m, const struct fp_rule *rule, const uint64_t v[3],
                     unsigned field, unsigned frm, unsigned *flags)
{
    const char type = rule->operands[0];
    const uint64_t sign = UINT64_C(1) << (m->width - 1);
    uint64_t a = unbox(type, v[0]), b = unbox(type, v[1]), c = unbox(type, v[2]), result;
    uint32_t raised = 0;

    if (m->op == IR_fsgnj || m->op == IR_fsgnjn || m->op == IR_fsgnjx) {
        result = ir_fsgnj(IR_FP(m->width, IR_RM_DYN), a, b, m->flip);
    } else {
        a ^= m->flip & FLIP_A ? sign : 0;
        c ^= m->flip & FLIP_C ? sign : 0;
        result = ir_eval_fp(m->op, IR_FP(m->width, field), frm, a, b, c, &raised);
    }
    *flags |= raised;
    return rule->result == 's' ? BOX | result : result;
}
