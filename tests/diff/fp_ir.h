/* The IR's meaning of an instruction: ir_eval_fp(), which the evaluator calls and the constant
 * folder, put between boxes. Private to fp_diff. */
#pragma once

#include "tests/lib/fp_rules.h"

struct fp_meaning;

/* NULL: moves between registers are not the IR's arithmetic. */
const struct fp_meaning *fp_ir_find(const struct fp_rule *rule);

/* field: the rm field, 7 for what frm says. */
uint64_t fp_ir_apply(const struct fp_meaning *m, const struct fp_rule *rule, const uint64_t v[3],
                     unsigned field, unsigned frm, unsigned *flags);
