/* What floating point may not do: reserved rounding modes, in the instruction or in frm, and
 * anything while mstatus.FS is off. Private to fp_diff. */
#pragma once

#include "tests/diff/fp_guest.h"

/* Adds to *passed and *failed a count for each instruction and way to be illegal; prints what
 * failed. */
void fp_illegal_check(struct fp_guest *g, uint64_t *passed, uint64_t *failed);
