/* How a C function leaves the block that called it: the guest's registers are in
 * the state, so all that is needed is where and why. */
#include "dbt/base/check.h"
#include "dbt/ir/state.h"

_Noreturn void state_leave(struct cpu_state *s, enum exit_reason reason)
{
    s->pc = s->page_va + s->insn_off;
    s->exit_block = NULL;
    s->exit_index = 0;
    longjmp(s->unwind, (int)reason + 1); /* longjmp cannot hand over 0 */
}

_Noreturn void state_raise(struct cpu_state *s, uint64_t cause, uint64_t tval)
{
    s->exit_cause = cause;
    s->exit_tval = tval;
    state_leave(s, EXIT_TRAP);
}
