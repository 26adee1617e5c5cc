/* ir.def as a table: what each operation is called, takes, gives and may do. */
#include "dbt/ir/ir.h"

/* Where a row's result is N, nobody can use it. */
#define GIVES_N                0
#define GIVES_I                1
#define GIVES_F                1
#define IS_IDLE(result, flags) (GIVES_##result && ((flags) & (PURE | STATE)) != 0)

const struct ir_op_info ir_ops[IR_OP_COUNT] = {
#define IR(name, result, operands, flags, meaning)                                                 \
    {#name, #result[0], operands, (flags) | (IS_IDLE(result, flags) ? IDLE : 0)},
#include "dbt/ir/ir.def"
#undef IR
};
