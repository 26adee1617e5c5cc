/* Chains: a few floating-point instructions in one block, each of which may take what the others
 * made, with flags that add up over the block and over what was raised before. Private to fp_diff.
 */
#pragma once

#include "tests/diff/fp_guest.h"

enum { FP_CHAIN_CASES = 128 }; /* operands that a chain is run with */

/* Makes the chain of the seed and runs it in the guest. False: it differs from the rules, which
 * was printed. */
bool fp_chain_check(struct fp_guest *g, uint64_t seed);
