/* C functions that change every register which they may change: what the compiler left alone
 * by chance, translated code must not rely on. For x86-64 hosts. */
#pragma once

#include "dbt/ir/ir.h"

/* From now on the world's helpers and memory functions do so when host code calls them. Comes
 * behind x64_init_state(). */
void ir_world_clobber(struct cpu_state *s);
