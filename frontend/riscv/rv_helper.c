/* The complete table of what translated code may call: the IR's own functions,
 * then the front end's. */
#include "frontend/riscv/rv_helper.h"

#include "frontend/riscv/rv.h"

static const struct ir_helper helpers[] = {
#define IR_HELPER(name, fn, n) {#name, fn, n},
#include "dbt/ir/ir_helper.def"
#undef IR_HELPER
#define RV_HELPER(name, fn, n) {#name, fn, n},
#include "frontend/riscv/rv_helper.def"
#undef RV_HELPER
};

_Static_assert(sizeof(helpers) / sizeof(helpers[0]) == RV_HELP_END, "ids are indices");
_Static_assert((int)RV_HELP_END <= (int)STATE_N_HELPERS, "cpu_state.helper[] has room");

const struct ir_helper *rv_helpers(unsigned *n)
{
    *n = RV_HELP_END;
    return helpers;
}
