/* Says that the back end may give each access a cell, which remembers the page that was touched
 * last. */
#include "dbt/opt/opt_int.h"

void opt_cells(struct ir_block *b)
{
    b->cells = true;
}
