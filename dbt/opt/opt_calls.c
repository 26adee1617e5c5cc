/* Calls and returns that the front end marked (enum ir_flow). The back end makes them so that
 * the host foresees where a return goes; without this pass they are jumps like others. */
#include "dbt/opt/opt_int.h"

/* The marks are the front end's: there is nothing to find. */
void opt_calls(struct ir_block *b)
{
    (void)b;
}

void opt_forget_calls(struct ir_block *b)
{
    struct ir_insn *exit = &b->insn[b->n - 1];

    if (exit->op == IR_exit_goto)
        exit->a = IR_NONE;
    else if (exit->op == IR_exit_jump)
        exit->b = IR_NONE;
    else
        return;
    exit->aux = IR_PLAIN;
}
