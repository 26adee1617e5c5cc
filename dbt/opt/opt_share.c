/* Says that the back end may share the look-ups of accesses from one base. Which ones, it
 * finds itself: where it pays hangs on how it looks up, and there is nothing of it in the IR. */
#include "dbt/opt/opt_int.h"

void opt_share(struct ir_block *b)
{
    b->share_lookups = true;
}
