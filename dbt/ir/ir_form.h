/* What an operation's aux and imm stand for: the one answer for the printer, the
 * parser and the verifier. Private to dbt/ir. */
#pragma once

#include "dbt/ir/ir.h"

enum ir_aux_form {
    AUX_NONE,  /* 0 */
    AUX_SHIFT, /* 1..3, printed as a number */
    AUX_MEM,   /* enum ir_mem: ld.s32 */
    AUX_FENCE, /* 0 or 1 */
    AUX_LEN,   /* bytes of a guest instruction */
    AUX_COND,  /* enum ir_cond: exit_if.lt */
    AUX_FP,    /* IR_FP(): fadd.64.rne */
    AUX_FAST,  /* 0 or IR_FAST(): call, call.add.64 */
    AUX_FLOW,  /* enum ir_flow: exit_goto, exit_goto.call */
};

enum ir_imm_form {
    IMM_NONE,
    IMM_VALUE,  /* any 64 bits, printed in hexadecimal */
    IMM_REG,    /* r0..r31 */
    IMM_FREG,   /* f0..f31 */
    IMM_OFFSET, /* signed, from page_va or an address */
    IMM_CALL,   /* helper and k */
};

static inline enum ir_aux_form ir_aux_form(enum ir_op op)
{
    switch (op) {
    case IR_addsh: return AUX_SHIFT;
    case IR_ld:
    case IR_ldf:
    case IR_st:
    case IR_stf: return AUX_MEM;
    case IR_fence: return AUX_FENCE;
    case IR_insn: return AUX_LEN;
    case IR_exit_if: return AUX_COND;
    case IR_call: return AUX_FAST;
    case IR_exit_goto:
    case IR_exit_jump: return AUX_FLOW;
    case IR_fsgnj:
    case IR_fsgnjn:
    case IR_fsgnjx: return AUX_FP;
    default: return ir_ops[op].flags & FPFLAGS ? AUX_FP : AUX_NONE;
    }
}

/* How many operands the text names: what is optional is there for a call only. */
static inline unsigned ir_n_operands(const struct ir_insn *i)
{
    const char *operands = ir_ops[i->op].operands;
    unsigned n = 0;

    while (n < 3 && operands[n] && (operands[n] != 'i' || i->aux == IR_CALLS))
        n++;
    return n;
}

static inline enum ir_imm_form ir_imm_form(enum ir_op op)
{
    switch (op) {
    case IR_const:
    case IR_ldst:
    case IR_stst:
    case IR_count:
    case IR_exit_trap: return IMM_VALUE;
    case IR_get:
    case IR_set: return IMM_REG;
    case IR_getf:
    case IR_setf: return IMM_FREG;
    case IR_pc:
    case IR_ld:
    case IR_ldf:
    case IR_st:
    case IR_stf:
    case IR_insn:
    case IR_exit_pending:
    case IR_exit_if:
    case IR_exit_goto: return IMM_OFFSET;
    case IR_call: return IMM_CALL;
    default: return IMM_NONE;
    }
}

/* Words of the text form, in the order of their enums; NULL where there is none. */
static const char *const ir_mem_words[12] = {"u8",  "u16", "u32", "64",  "s8",  "s16",
                                             "s32", NULL,  NULL,  "j16", "j32", "j64"};
static const char *const ir_cond_words[6] = {"eq", "ne", "lt", "ge", "ltu", "geu"};
static const char *const ir_flow_words[3] = {"", "call", "ret"};
static const char *const ir_fast_words[IR_FAST_COUNT] = {NULL, "swap", "add", "xor", "and",
                                                         "or", "lr",   "sc",  "zero"};
static const char *const ir_rm_words[8] = {"rne", "rtz", "rdn", "rup", "rmm", NULL, NULL, "dyn"};
