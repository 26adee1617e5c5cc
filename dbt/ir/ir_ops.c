/* ir.def as a table: what each operation is called, takes, gives and may do. */
#include "dbt/ir/ir.h"

const struct ir_op_info ir_ops[IR_OP_COUNT] = {
#define IR(name, result, operands, flags, meaning) {#name, #result[0], operands, flags},
#include "dbt/ir/ir.def"
#undef IR
};
