/* The optimiser: makes a block shorter without changing what it does. Each pass
 * is linear, works in place, takes no memory from the heap, and can be switched
 * off. Between any two of its instructions that may leave the block the guest's
 * registers are as the front end built them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dbt/ir/ir.h"

enum opt_bit {
#define OPT_PASS(name, help) OPT_##name##_bit,
#include "dbt/opt/opt_pass.def"
#undef OPT_PASS
    OPT_COUNT
};

enum opt_set {
#define OPT_PASS(name, help) OPT_##name = 1u << OPT_##name##_bit,
#include "dbt/opt/opt_pass.def"
#undef OPT_PASS
    OPT_ALL = (1u << OPT_COUNT) - 1,
};

/* ---- Any thread: the block is the caller's -------------------------------- */

/* Called after each pass that ran, with its name. */
typedef void opt_dump(void *arg, const struct ir_block *b, const char *pass);

/* Runs the passes of `enabled` (enum opt_set). dump may be NULL. */
void opt_run(struct ir_block *b, uint32_t enabled, opt_dump *dump, void *arg);

/* Applies --opt's list to *enabled: "name" or "+name" switches on, "-name" off;
 * "all", "none". */
bool opt_parse(const char *list, uint32_t *enabled, struct err *e) MUST_CHECK;

/* Name and help of pass i, 0 <= i < OPT_COUNT. */
const char *opt_name(unsigned i);
const char *opt_help(unsigned i);
